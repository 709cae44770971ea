"""A simulated exchange by itself: what it lists, answers and shows, message by message."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from math import inf
from typing import Any

import pytest

from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.data import Bar, BarType, DataGap, Quote
from workbench.model.enums import OrderSide, OrderStatus, OrderType
from workbench.model.errors import ConfigError
from workbench.model.instruments import CurrencyPair, Equity
from workbench.model.reports import OrderStatusReport
from workbench.runtime.clock import SimulatedClock
from workbench.sim import SimulatedExchange, SimulatedExecutionClient, SimulatedVenue
from workbench.sim.book import NOTHING, one_sided, top_of, walk

D = Decimal
PAIR = CurrencyPair.define("AUD/USD.SIM")
BID = BarType.parse("AUD/USD.SIM-1-minute-bid")
ASK = BarType.parse("AUD/USD.SIM-1-minute-ask")


class Venue:
    """An exchange that lists one pair, its client, and what they sent."""

    def __init__(self, **settings: Any) -> None:
        self.sent: list[Any] = []
        self.clock = SimulatedClock(1)
        self.exchange = SimulatedExchange(
            SimulatedVenue(**settings).for_instruments([PAIR]), self.clock, self.sent.append
        )
        self.exchange.process(PAIR)
        self.client = SimulatedExecutionClient(self.exchange, self.clock, self.sent.append)

    def about(self, number: int, instrument_id: str = PAIR.id) -> dict[str, Any]:
        return {
            "strategy_id": "S-1",
            "instrument_id": instrument_id,
            "client_order_id": f"O-{number}",
            "ts_init": 1,
        }

    def submit(self, number: int, price: str | None, instrument_id: str = PAIR.id) -> None:
        about = self.about(number, instrument_id)
        order = e.OrderInitialized(
            **about,
            ts_event=1,
            side=OrderSide.BUY,
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=D(10),
            price=None if price is None else D(price),
        )
        self.client.submit_order(c.SubmitOrder(**about, order=order))

    def names(self) -> list[str]:
        return [type(message).__name__ for message in self.sent]


def test_an_instrument_of_another_venue_is_not_listed() -> None:
    venue = Venue()
    venue.exchange.process(Equity.define("ACME.AWAY"))
    assert venue.exchange.engine("ACME.AWAY") is None  # type: ignore[arg-type]
    venue.submit(1, None, "ACME.AWAY")
    assert venue.names() == ["OrderSubmitted", "OrderRejected"]
    assert venue.sent[-1].reason == "ACME.AWAY is not listed at SIM"


def test_what_is_no_market_data_of_a_listed_instrument_is_passed_over() -> None:
    venue = Venue()
    venue.exchange.process(DataGap(PAIR.id, 1, 1, 1))
    venue.exchange.process("x")
    venue.exchange.process(Quote("ACME.AWAY", 1.0, 1.0, 1.0, 1.0, 1, 1))  # type: ignore[arg-type]
    engine = venue.exchange.engine(PAIR.id)
    assert engine is not None
    assert engine.desk.source is None


def test_a_query_of_an_open_order_is_answered_with_a_report() -> None:
    venue = Venue()
    venue.exchange.process(Quote(PAIR.id, 1.0, 1.1, inf, inf, 1, 1))
    venue.submit(1, "0.90000")
    venue.client.query_order(c.QueryOrder(**venue.about(1)))
    report = venue.sent[-1]
    assert isinstance(report, OrderStatusReport)
    assert (report.status, report.quantity, report.price) == (OrderStatus.ACCEPTED, 10, D("0.9"))
    venue.exchange.process(Quote(PAIR.id, 0.8, 0.9, inf, 4.0, 2, 2))
    state = asyncio.run(venue.client.venue_state())
    (report,) = state.orders
    assert (report.status, report.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, 4)
    assert state.account.account_id == "SIM-PAPER"
    before = len(venue.sent)
    venue.client.query_order(c.QueryOrder(**venue.about(2)))
    assert len(venue.sent) == before


def test_connecting_sends_the_account() -> None:
    venue = Venue()
    asyncio.run(venue.client.connect())
    asyncio.run(venue.client.disconnect())
    assert venue.names() == ["AccountState"]


def test_settings_need_a_name() -> None:
    with pytest.raises(ConfigError, match="needs its settings' name"):
        SimulatedExchange(SimulatedVenue(starting_balances="1 USD"), SimulatedClock(), print)


def bar(kind: BarType, *prices: float, volume: float | None = None) -> Bar:
    return Bar(kind, *prices, volume, 1, 1)  # type: ignore[misc]


def test_a_lone_bar_of_one_side_keeps_the_other() -> None:
    before = top_of(Quote(PAIR.id, 1.0, 1.1, 5.0, 6.0, 1, 1))
    bids = one_sided(b := bar(BID, 2, 4, 1, 3, volume=8.0), walk(b, False), before)
    assert [top[:2] for top in bids] == [(2, 1.1), (4, 1.1), (1, 1.1), (3, 1.1)]
    assert {(top.bid_size, top.ask_size) for top in bids} == {(2.0, 6.0)}
    asks = one_sided(a := bar(ASK, 2, 4, 1, 3), walk(a, True), before)
    assert [top[:2] for top in asks] == [(1.0, 2), (1.0, 1), (1.0, 4), (1.0, 3)]
    whole = walk(c_ := bar(BarType.parse("AUD/USD.SIM-1-minute-mid"), 2, 4, 1, 3), False)
    assert one_sided(c_, whole, before) is whole
    assert top_of(None) is NOTHING
    assert top_of(whole[0]) is whole[0]


def test_a_taker_on_the_ask_of_a_lone_bar_pays_it() -> None:
    venue = Venue()
    venue.exchange.process(bar(ASK, 1.1, 1.2, 1.0, 1.15))
    venue.submit(1, None)
    fill = venue.sent[-1]
    assert isinstance(fill, e.OrderFilled)
    assert fill.price == D("1.15")

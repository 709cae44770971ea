"""What the exchange does with statuses, funding and missing capabilities."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.test_exchange import PAIR, Script, quote, run
from tests.unit.test_matching import Venue
from workbench.engines.capabilities import Capabilities
from workbench.model import events as e
from workbench.model.data import FundingRate, InstrumentStatus, MarketStatus
from workbench.model.enums import ContingencyType, OrderStatus, OrderType, TimeInForce
from workbench.sim import SimulatedVenue

D = Decimal


def status(what: MarketStatus) -> InstrumentStatus:
    return InstrumentStatus(PAIR.id, what, 2, 2, "news")


@pytest.mark.parametrize("what", [one for one in MarketStatus if one is not MarketStatus.TRADING])
def test_an_order_for_a_market_that_does_not_trade_is_rejected(what: MarketStatus) -> None:
    venue = Venue()
    venue.exchange.process(quote(1, 1.0, 1.1))
    venue.exchange.process(status(what))
    venue.submit(1, "0.90000")
    assert venue.names()[-1] == "OrderRejected"
    assert venue.sent[-1].reason == f"the market is {what.value} (news)"
    venue.exchange.process(status(MarketStatus.TRADING))
    venue.submit(2, "0.90000")
    assert venue.names()[-1] == "OrderAccepted"


def test_what_rests_in_a_halted_market_can_be_cancelled_and_not_changed() -> None:
    from workbench.model import commands as c

    venue = Venue()
    venue.exchange.process(quote(1, 1.0, 1.1))
    venue.submit(1, "0.90000")
    venue.exchange.process(status(MarketStatus.HALTED))
    venue.client.modify_order(c.ModifyOrder(**venue.about(1), quantity=D(5)))
    assert venue.sent[-1].reason == "the market is halted (news)"
    venue.client.cancel_order(c.CancelOrder(**venue.about(1)))
    assert venue.names()[-1] == "OrderCanceled"


def test_before_the_open_orders_for_the_auction_are_taken() -> None:
    venue = Venue()
    venue.exchange.process(status(MarketStatus.PRE_OPEN))
    engine = venue.exchange.engine(PAIR.id)
    assert engine is not None
    order = e.OrderInitialized(
        **venue.about(1),
        ts_event=1,
        side="buy",  # type: ignore[arg-type]
        order_type=OrderType.MARKET,
        quantity=D(1),
        time_in_force=TimeInForce.AT_THE_OPEN,
    )
    from workbench.model import commands as c

    venue.client.submit_order(c.SubmitOrder(**venue.about(1), order=order))
    assert venue.names()[-1] == "OrderAccepted"


def held() -> Any:
    """Return an exchange at which 1,000 were bought at 1.10000."""
    _, engine = run([lambda s: s.market("buy", 1_000)], [quote(1, 1.0, 1.1)])
    return engine.exchanges[0], engine


def balance(exchange: Any) -> Decimal:
    return exchange.account.state(0).balances[0].total


def funding(rate: float, due: int | None) -> FundingRate:
    return FundingRate(PAIR.id, rate, 5, 5, due)


def test_funding_without_a_time_is_paid_at_once_at_the_middle() -> None:
    exchange, _ = held()
    exchange.process(funding(0.001, None))
    assert balance(exchange) == 1_000_000 - D("1.05")
    exchange.process(funding(-0.001, None))
    assert balance(exchange) == 1_000_000


def test_funding_is_paid_when_it_is_due_at_the_rate_told_last_and_the_mark_price() -> None:
    from workbench.model.data import MarkPrice

    exchange, engine = held()
    exchange.process(funding(0.001, 100))
    exchange.process(funding(0.002, 100))
    exchange.process(MarkPrice(PAIR.id, 2.0, 6, 6))
    assert balance(exchange) == 1_000_000
    engine._time.advance(100)
    assert balance(exchange) == 1_000_000 - 4
    engine._time.advance(1_000)
    assert balance(exchange) == 1_000_000 - 4
    exchange.process(funding(0.5, 100))  # of a funding that is over
    assert balance(exchange) == 1_000_000 - 4


def test_funding_that_is_moved_is_paid_once() -> None:
    exchange, engine = held()
    exchange.process(funding(0.001, 100))
    exchange.process(funding(0.001, 200))
    engine._time.advance(150)
    assert balance(exchange) == 1_000_000
    engine._time.advance(250)
    assert balance(exchange) == 1_000_000 - D("1.05")


def test_a_venue_without_stops_has_them_watched_on_our_side() -> None:
    spot = Capabilities(order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}))

    def both(s: Script) -> None:
        s.send(s.orders.stop_market(PAIR.id, "buy", 1, "1.20000"))
        s.send(s.orders.market_to_limit(PAIR.id, "buy", 1))

    data = [quote(1, 1.0, 1.1), quote(2, 1.2, 1.3)]
    script, _ = run([both], data, capabilities=spot)
    assert "Emulated" in script.told(0)
    assert script.mine[0].status is OrderStatus.FILLED
    assert script.mine[1].reason.startswith("CAPABILITY_MISSING")


def test_a_venue_without_contingencies_has_a_bracket_carried_out_on_our_side() -> None:
    alone = Capabilities(contingencies=frozenset[ContingencyType]())

    def step(s: Script) -> None:
        made = s.orders.bracket(PAIR.id, "buy", 1, stop_loss="0.90000", take_profit="1.20000")
        s.mine.extend(made)
        s.submit_order_list(made)

    script, engine = run([step], [quote(1, 1.0, 1.1), quote(2, 1.2, 1.3)], capabilities=alone)
    assert [order.status.value for order in script.mine] == ["filled", "canceled", "filled"]
    assert engine.core.portfolio.net_position(PAIR.id) == 0


def test_capabilities_are_checked() -> None:
    from workbench.model.errors import ConfigError

    with pytest.raises(ConfigError, match="capabilities must be a Capabilities"):
        SimulatedVenue(capabilities="all")  # type: ignore[arg-type]

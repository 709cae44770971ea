"""Whatever is done at a spot venue with money only, it refuses nothing and nothing is oversold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_reduce_only import FIXED, LACKING, STEPS, Trader
from tests.property.test_trading import PAIR
from workbench.engines.capabilities import Capabilities
from workbench.history import Timeline, load
from workbench.model import events as e
from workbench.model.data import Quote
from workbench.model.enums import OrderSide
from workbench.sim import BacktestEngine, SimulatedVenue

D = Decimal


class Buyer(Trader):
    """Buys, protects, and closes; notes what its venue refuses, and what rests to be sold."""

    def on_start(self) -> None:
        super().on_start()
        self.refused: list[str] = []

    def on_order_rejected(self, event: e.OrderRejected) -> None:
        self.refused.append(event.reason)

    def on_order_accepted(self, event: e.OrderAccepted) -> None:
        assert event.client_order_id
        resting = [one for one in self.cache.orders_open() if one.side is OrderSide.SELL]
        left = sum((one.leaves_quantity for one in resting), D(0))
        assert left <= self.cache.net_quantity(PAIR.id), "more rests than there is"

    def act(
        self, quote: Quote, what: str, side: str, quantity: int, loss: int, profit: int
    ) -> None:
        super().act(quote, what, "buy", quantity, loss, profit)


@given(
    steps=STEPS,
    others=st.one_of(st.just([]), STEPS),
    lacking=st.sampled_from([LACKING["links"], LACKING["triggers"], FIXED]),
    is_modest=st.booleans(),
    latency_ns=st.sampled_from([0, 4, 15]),
)
def test_a_spot_venue_refuses_nothing_and_nothing_is_oversold(
    steps: list[Any], others: list[Any], lacking: Capabilities, is_modest: bool, latency_ns: int
) -> None:
    level, quotes = 100, list[Any]()
    for number in range(len(steps) + 3):
        price = level / 100
        quotes.append(Quote(PAIR.id, price, price + 0.01, 1e6, 1e6, number * 10, number * 10))
        level += steps[number][-1] if number < len(steps) else 0
    buyers = [Buyer(steps=one, is_modest=is_modest) for one in (steps, others)]
    venue = SimulatedVenue(
        capabilities=lacking,
        account_type="cash",
        starting_balances=["1_000_000 USD"],
        latency_ns=latency_ns,
    ).for_instruments([PAIR])
    timeline = Timeline(load(quotes, [PAIR]), None, None)
    engine = BacktestEngine(timeline, [PAIR], [venue], buyers, run_tag="P")
    engine.run()
    assert engine.error is None, engine.error
    assert not engine.core.execution.refused_events
    assert [one.refused for one in buyers] == [[], []]
    account = engine.core.cache.account_at(PAIR.venue)
    assert account is not None
    totals = {one.currency.code: one for one in account.balances}
    held = totals["AUD"].total if "AUD" in totals else D(0)
    assert held == engine.core.cache.net_quantity(PAIR.id) >= 0
    assert all(one.free >= 0 for one in totals.values())

"""A bracket in a simulated cash account: filled and closed the same whatever its venue lacks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.property.test_trading import PAIR
from workbench.engines.capabilities import Capabilities
from workbench.history import Timeline, load
from workbench.model.data import Quote
from workbench.sim import BacktestEngine, SimulatedVenue
from workbench.trading import Strategy

D = Decimal
NO_LINKS: frozenset[Any] = frozenset()
VENUES = {
    "all": Capabilities(),
    "spot": Capabilities(reduce_only=False, contingencies=NO_LINKS),
    "fixed": Capabilities(reduce_only=False, contingencies=NO_LINKS, amend=False),
    "plain": Capabilities(
        reduce_only=False, contingencies=NO_LINKS, order_types={"market", "limit"}
    ),
}


class Buyer(Strategy):
    """Buys 10 with a bracket at the second quote, and closes some of it at the fourth."""

    closes: int = 0
    at_the_end: str = ""
    emulated: bool = False

    def on_start(self) -> None:
        self.seen = 0
        self.subscribe_quotes()

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1
        make = self.orders
        if self.seen == 2:
            options: dict[str, Any] = {"emulation_trigger": "bid_ask"} if self.emulated else {}
            self.made = make.bracket(
                PAIR.id, "buy", 10, stop_loss="0.90", take_profit="1.10", **options
            )
            self.submit_order_list(self.made)
        elif self.seen == 4 and self.closes:
            self.submit_order(make.market(PAIR.id, "sell", self.closes, reduce_only=True))

    def on_stop(self) -> None:
        for what in self.at_the_end.split():
            getattr(self, what)()


def run(path: list[float], venue: str, latency_ns: int = 0, **parameters: Any) -> BacktestEngine:
    quotes = [Quote(PAIR.id, p, p + 0.01, 1e6, 1e6, n * 10, n * 10) for n, p in enumerate(path)]
    sim = SimulatedVenue(
        capabilities=VENUES[venue],
        account_type="cash",
        starting_balances=["1_000_000 USD"],
        latency_ns=latency_ns,
    ).for_instruments([PAIR])
    timeline = Timeline(load(quotes, [PAIR]), None, None)
    engine = BacktestEngine(timeline, [PAIR], [sim], [Buyer(**parameters)], run_tag="B")
    engine.run()
    assert engine.error is None, engine.error
    assert not engine.core.execution.refused_events
    return engine


def statuses(engine: BacktestEngine) -> list[str]:
    return [order.status.value for order in engine.core.cache.orders()]


UP = [1.0, 1.0, 1.0, 1.0, 1.05, 1.1, 1.12, 1.12]
DOWN = [1.0, 1.0, 1.0, 1.0, 0.95, 0.9, 0.88, 0.9]


@pytest.mark.parametrize("emulated", [False, True])
@pytest.mark.parametrize("venue", VENUES)
def test_either_exit_sells_all_and_ends_the_other(venue: str, emulated: bool) -> None:
    risen = run(UP, venue, emulated=emulated)
    assert statuses(risen) == ["filled", "canceled", "filled"]
    assert risen.core.cache.orders()[2].average_price == D("1.10")
    fallen = run(DOWN, venue, emulated=emulated)
    assert statuses(fallen) == ["filled", "filled", "canceled"]
    assert fallen.core.cache.orders()[1].average_price == D("0.90")


@pytest.mark.parametrize("latency_ns", [0, 15])
@pytest.mark.parametrize("venue", VENUES)
def test_closing_at_the_market_is_not_refused_for_what_its_own_exits_tie_up(
    venue: str, latency_ns: int
) -> None:
    engine = run([1.0] * 9, venue, latency_ns, closes=10)
    assert statuses(engine) == ["filled", "canceled", "canceled", "filled"]
    assert engine.core.portfolio.is_flat()


@pytest.mark.parametrize("latency_ns", [0, 15])
@pytest.mark.parametrize("venue", ["all", "spot", "plain"])
def test_closing_a_part_leaves_exits_of_the_rest(venue: str, latency_ns: int) -> None:
    low = [*DOWN, *[0.88] * 4]
    engine = run([*low[:3], *[1.0] * 5, *low[4:]], venue, latency_ns, closes=3)
    assert statuses(engine) == ["filled", "filled", "canceled", "filled"]
    assert [order.filled_quantity for order in engine.core.cache.orders()] == [10, 7, 0, 3]
    assert engine.core.portfolio.is_flat()


@pytest.mark.parametrize(
    "at_the_end", ["close_all_positions cancel_all_orders", "cancel_all_orders close_all_positions"]
)
@pytest.mark.parametrize("latency_ns", [0, 15])
@pytest.mark.parametrize("venue", VENUES)
def test_a_strategy_that_cancels_and_closes_as_it_stops_ends_flat(
    venue: str, latency_ns: int, at_the_end: str
) -> None:
    engine = run([1.0] * 6, venue, latency_ns, at_the_end=at_the_end)
    assert statuses(engine) == ["filled", "canceled", "canceled", "filled"]
    assert engine.core.portfolio.is_flat()


class Hedger(Strategy):
    """Buys twice with brackets and closes the first position."""

    def on_start(self) -> None:
        self.seen = 0
        self.subscribe_quotes()

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1
        if self.seen in (2, 3):
            self.submit_order_list(
                self.orders.bracket(PAIR.id, "buy", 10, stop_loss="0.90", take_profit="1.10")
            )
        elif self.seen == 5:
            self.close_position(self.cache.positions_open()[0])


@pytest.mark.parametrize("latency_ns", [0, 15])
def test_where_positions_are_kept_apart_closing_one_leaves_the_exits_of_the_other(
    latency_ns: int,
) -> None:
    quotes = [Quote(PAIR.id, 1.0, 1.01, 1e6, 1e6, n * 10, n * 10) for n in range(12)]
    sim = SimulatedVenue(
        capabilities=VENUES["spot"],
        account_type="cash",
        order_management="hedging",
        starting_balances=["1_000_000 USD"],
        latency_ns=latency_ns,
    ).for_instruments([PAIR])
    timeline = Timeline(load(quotes, [PAIR]), None, None)
    engine = BacktestEngine(timeline, [PAIR], [sim], [Hedger()], run_tag="B")
    engine.run()
    assert engine.error is None, engine.error
    assert statuses(engine) == [
        *("filled", "canceled", "canceled"),
        *("filled", "accepted", "emulated"),
        "filled",
    ]

"""A venue without reduce-only orders ends where one that has them does, and turns no position."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.property.test_trading import PAIR
from workbench.engines.capabilities import Capabilities
from workbench.history import Timeline, load
from workbench.model import events as e
from workbench.model.data import Quote
from workbench.model.enums import ContingencyType, OrderType
from workbench.sim import BacktestEngine, SimulatedVenue
from workbench.trading import Strategy

D = Decimal
PLAIN = frozenset({OrderType.MARKET, OrderType.LIMIT})
NO_LINKS: frozenset[ContingencyType] = frozenset()
LACKING = {
    "reduce-only": Capabilities(reduce_only=False),
    "links": Capabilities(reduce_only=False, contingencies=NO_LINKS),
    "triggers": Capabilities(reduce_only=False, contingencies=NO_LINKS, order_types=PLAIN),
}
FIXED = Capabilities(reduce_only=False, contingencies=NO_LINKS, amend=False)


def step(*kinds: str, quantity: int = 9, move: int = 0) -> st.SearchStrategy[Any]:
    """Return what to do, how much of, ticks to both exits, and how the market moves then."""
    return st.tuples(
        st.sampled_from(kinds),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, quantity),
        st.integers(1, 6),
        st.integers(1, 6),
        st.integers(-move, move),
    )


STEPS = st.lists(
    st.tuples(
        step("bracket", "bracket", "entry"),
        step("exits", "stop", "part"),
        step("part", "exits", "close", quantity=4, move=1),
        step("part", "exits", "none", quantity=4, move=3),
        step("none", "part", move=9),
        step("close", "none", move=9),
    ),
    min_size=1,
    max_size=8,
).map(lambda rounds: [one for steps in rounds for one in steps])


class Trader(Strategy):
    """Opens with a bracket or without, protects, and closes in part or at once."""

    steps: list[Any]
    is_modest: bool = True
    """It has one way out at a time; else as many as it is let."""

    def on_start(self) -> None:
        self.todo = iter(self.steps)
        self.path: list[Decimal] = []
        self.subscribe_quotes()

    def on_quote(self, quote: Quote) -> None:
        self.path.append(self.cache.net_quantity(PAIR.id))
        step = next(self.todo, None)
        if step is not None:
            self.act(quote, *step[:-1])

    def act(
        self, quote: Quote, what: str, side: str, quantity: int, loss: int, profit: int
    ) -> None:
        held = self.path[-1]
        works = self.is_modest and bool(self.cache.orders_open() or self.cache.orders_emulated())
        sign = 1 if side == "buy" else -1
        mid, tick = PAIR.price(quote.bid), PAIR.price_increment
        if what in ("bracket", "entry"):
            if held or works:
                return
            stop, target = mid - sign * loss * tick, mid + sign * (profit + 1) * tick
            if what == "entry":
                self.submit_order(self.orders.market(PAIR.id, side, quantity))
            else:
                self.submit_order_list(
                    self.orders.bracket(PAIR.id, side, quantity, stop_loss=stop, take_profit=target)
                )
        elif held and what == "close":
            self.close_position()
        elif held:
            self.reduce(what, held, min(D(quantity), abs(held)), works, (loss, profit), mid)

    def reduce(
        self,
        what: str,
        held: Decimal,
        quantity: Decimal,
        works: bool,
        ticks: tuple[int, int],
        mid: Decimal,
    ) -> None:
        out, sign = ("sell", 1) if held > 0 else ("buy", -1)
        tick, make = PAIR.price_increment, self.orders
        stop, target = mid - sign * ticks[0] * tick, mid + sign * (ticks[1] + 1) * tick
        if what == "part":
            self.submit_order(make.market(PAIR.id, out, quantity, reduce_only=True))
        elif not works and what == "stop":
            self.submit_order(make.stop_market(PAIR.id, out, quantity, stop, reduce_only=True))
        elif not works and what == "exits":
            self.submit_order_list(
                make.ouo(
                    make.limit(PAIR.id, out, quantity, target, reduce_only=True),
                    make.stop_market(PAIR.id, out, quantity, stop, reduce_only=True),
                )
            )

    def on_position_event(self, event: e.PositionEvent) -> None:
        if isinstance(event, e.PositionOpened):
            order = self.cache.order(event.client_order_id)
            assert order is not None
            assert not order.reduce_only, "an order that only reduces opened a position"

    def on_position_closed(self, event: e.PositionClosed) -> None:
        # A venue keeps what could only reduce the next position; so nothing is to be left.
        self.cancel_all_orders()


def run(steps: list[Any], capabilities: Capabilities, *, is_modest: bool = True) -> Trader:
    level, quotes = 100, list[Any]()
    for number in range(len(steps) + 3):
        price = level / 100
        quotes.append(Quote(PAIR.id, price, price + 0.01, 1e6, 1e6, number * 10, number * 10))
        level += steps[number][-1] if number < len(steps) else 0
    trader = Trader(steps=steps, is_modest=is_modest)
    timeline = Timeline(load(quotes, [PAIR]), None, None)
    venue = SimulatedVenue(capabilities=capabilities).for_instruments([PAIR])
    engine = BacktestEngine(timeline, [PAIR], [venue], [trader], run_tag="P")
    engine.run()
    assert engine.error is None, engine.error
    assert not engine.core.execution.refused_events
    return trader


@given(steps=STEPS, lacking=st.sampled_from(sorted(LACKING)))
def test_positions_are_the_same_with_and_without_reduce_only(
    steps: list[Any], lacking: str
) -> None:
    capabilities = LACKING[lacking]
    there = run(steps, msgspec.structs.replace(capabilities, reduce_only=True))
    here = run(steps, capabilities)
    assert here.path == there.path
    assert here.cache.net_quantity(PAIR.id) == there.cache.net_quantity(PAIR.id)


@given(steps=STEPS, lacking=st.sampled_from([*LACKING.values(), FIXED]))
def test_nothing_that_only_reduces_turns_a_position_however_much_is_sent(
    steps: list[Any], lacking: Capabilities
) -> None:
    trader = run(steps, lacking, is_modest=False)
    working = [*trader.cache.orders_open(), *trader.cache.orders_emulated()]
    held = abs(trader.cache.net_quantity(PAIR.id))
    alone = [order for order in working if order.reduce_only and order.contingency is None]
    assert sum((order.leaves_quantity for order in alone), D(0)) <= held
    assert all(order.leaves_quantity <= held for order in working if order.reduce_only)

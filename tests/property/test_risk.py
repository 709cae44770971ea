"""Whatever strategies send: each order leaves or is denied, once; limits outside them hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.risk_core import PAIR, SECOND, Step, Trader, quotes, trade
from workbench.engines.risk import RiskLimits
from workbench.model import events as e

MOST = 300
RATE = 3

ORDERS = st.tuples(
    st.sampled_from(["market", "limit", "stop_market", "pair", "modify", "cancel", "all"]),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from([20, 50, 100, 105, 200, 400]),
    st.sampled_from(["0.5", "0.9", "1.2", "1.5", "1.55"]),
    st.booleans(),
)


def act(what: str, side: str, quantity: int, price: str, reduce_only: bool) -> Step:
    def make(trader: Trader) -> Any:
        if what == "stop_market":
            return trader.orders.stop_market(
                PAIR.id, side, quantity, price, reduce_only=reduce_only
            )
        if what == "market":
            return trader.orders.market(PAIR.id, side, quantity, reduce_only=reduce_only)
        return trader.orders.limit(PAIR.id, side, quantity, price, reduce_only=reduce_only)

    def step(trader: Trader) -> None:
        orders = trader.cache.orders()
        if what == "pair":
            trader.submit_order_list(trader.orders.together(make(trader), make(trader)))
        elif what == "all":
            trader.cancel_all_orders(PAIR.id, side)
        elif what == "cancel" and orders:
            trader.cancel_order(orders[-1])
        elif what == "modify" and orders:
            trader.modify_order(orders[-1], quantity=quantity)
        elif what in ("market", "limit", "stop_market"):
            trader.submit_order(make(trader))

    return step


ACTS = ORDERS.map(lambda drawn: act(*drawn))


def at_once(steps: list[Step]) -> Step:
    def step(trader: Trader) -> None:
        for one in steps:
            one(trader)

    return step


@given(
    batches=st.lists(st.lists(ACTS, max_size=5), min_size=1, max_size=10),
    on_excess=st.sampled_from(["drop", "buffer"]),
)
def test_every_order_leaves_or_is_denied_once_and_the_limits_hold(
    batches: list[list[Step]], on_excess: str
) -> None:
    # `trade` checks that each order was sent or denied, and never both.
    outcome = trade(
        *map(at_once, batches),
        data=quotes(len(batches) + 1, gap_ns=SECOND // 3),
        limits=RiskLimits(
            orders=RATE,
            modifies=RATE,
            on_excess=on_excess,  # type: ignore[arg-type]
            max_position=MOST,  # type: ignore[arg-type]
        ),
    )
    core = outcome.engine.core
    assert core.risk.waiting == 0
    assert core.execution.refused_events == []
    held = Decimal(0)
    times: list[int] = []
    for event in outcome.trader.events:
        if isinstance(event, e.OrderSubmitted):
            times.append(event.ts_event)
        elif isinstance(event, e.OrderFilled):
            held += event.side.sign * event.quantity
            assert abs(held) <= MOST
    assert all(late - early >= SECOND for early, late in zip(times, times[RATE:], strict=False))

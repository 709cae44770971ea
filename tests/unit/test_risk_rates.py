"""What is beyond the rate: dropped, or kept and checked again, through the trading core."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.risk_core import PAIR, SECOND, START, Outcome, Step, Trader, quotes, trade
from workbench.engines.risk import RiskLimits
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.enums import OrderStatus, TradingState
from workbench.model.orders import Order

D = Decimal
ONE_A_SECOND = RiskLimits(orders=1, modifies=1, on_excess="buffer")  # type: ignore[arg-type]


def several(count: int, **more: Any) -> Step:
    """Return a step that sends so many limit orders at once."""

    def step(trader: Trader) -> None:
        for _ in range(count):
            trader.limit("buy", 100, "0.5", **more)

    return step


def left_at(outcome: Outcome) -> list[tuple[int, int]]:
    """Return the number of each order that left, and after how many quarters of a second."""
    return [
        (int(one.client_order_id.rsplit("-", 1)[-1]), (one.ts_event - START) * 4 // SECOND)
        for one in outcome.trader.events
        if isinstance(one, e.OrderSubmitted)
    ]


def buffered(*steps: Step, limits: RiskLimits = ONE_A_SECOND, **more: Any) -> Outcome:
    more.setdefault("data", quotes(20, gap_ns=SECOND // 4))
    return trade(*steps, limits=limits, **more)


def idle(_: Trader) -> None:
    """Do nothing at this quote."""


def test_what_is_beyond_the_rate_leaves_in_its_order_when_there_is_room() -> None:
    outcome = buffered(several(3), idle, several(1))
    assert left_at(outcome) == [(1, 1), (2, 5), (3, 9), (4, 13)]
    assert outcome.codes == []


def test_of_what_waits_when_its_strategy_stops_only_what_reduces_still_leaves() -> None:
    def close(trader: Trader) -> None:
        trader.market("sell", 100, reduce_only=True)
        trader.limit("buy", 100, "0.5")
        trader.market("sell", 50, reduce_only=True)

    def enter(trader: Trader) -> None:
        trader.market("buy", 200)

    outcome = buffered(enter, close, data=quotes(2, gap_ns=SECOND // 4))
    assert outcome.codes == ["CANCELED_WHILE_WAITING"]
    assert outcome.denials[0].reason == "its strategy stopped while it waited for the rate"
    assert left_at(outcome) == [(1, 1), (2, 5), (4, 9)]


def test_what_waits_is_checked_again_at_its_release() -> None:
    def halt(trader: Trader) -> None:
        trader.core.risk.set_trading_state(TradingState.HALTED)

    assert buffered(several(3), halt).codes == ["TRADING_HALTED"] * 2

    def age(trader: Trader) -> None:
        trader.core.risk.is_stale = lambda _: True

    assert buffered(several(2), age).codes == ["QUOTE_STALE"]
    soon = START + SECOND // 2
    assert buffered(several(2, expire=soon)).codes == ["GTD_EXPIRED"]


def test_what_waits_keeps_its_claim_on_funds() -> None:
    def three(trader: Trader) -> None:
        several(2)(trader)
        trader.limit("buy", 100, "0.5")  # 15 together

    outcome = buffered(three, starting_balances=["10 USD"])
    assert outcome.codes == ["INSUFFICIENT_FUNDS"]
    assert len(outcome.sent) == 2


def test_a_cancel_of_what_waits_denies_it_and_nothing_leaves() -> None:
    def cancel_last(trader: Trader) -> None:
        several(3)(trader)
        for order in trader.cache.orders()[1:2]:
            trader.cancel_order(order)

    outcome = buffered(cancel_last)
    assert outcome.codes == ["CANCELED_WHILE_WAITING"]
    assert [number for number, _ in left_at(outcome)] == [1, 3]
    assert not any(isinstance(one, c.CancelOrder) for one in outcome.commands)
    assert outcome.engine.core.cache.orders()[1].status is OrderStatus.DENIED


def test_a_cancel_of_all_denies_what_waits_and_reaches_what_rests() -> None:
    def cancel(trader: Trader) -> None:
        trader.cancel_all_orders(PAIR.id, "buy")

    def mixed(trader: Trader) -> None:
        several(2)(trader)
        trader.limit("sell", 100, "1.5")

    outcome = buffered(mixed, cancel)
    assert outcome.codes == ["CANCELED_WHILE_WAITING"]
    assert sum(isinstance(one, c.CancelAllOrders) for one in outcome.commands) == 1
    assert [number for number, _ in left_at(outcome)] == [1, 3]
    assert outcome.engine.core.cache.orders()[0].status is OrderStatus.CANCELED


def test_a_list_that_waits_leaves_whole_or_is_denied_whole() -> None:
    two_a_second = RiskLimits(orders=2, on_excess="buffer")  # type: ignore[arg-type]

    def two(trader: Trader) -> None:
        trader.limit("buy", 100, "0.5")
        trader.submit_order_list(
            trader.orders.together(
                trader.orders.limit(PAIR.id, "buy", 100, "0.5"),
                trader.orders.limit(PAIR.id, "buy", 100, "0.6"),
            )
        )

    assert left_at(buffered(two, limits=two_a_second)) == [(1, 1), (2, 5), (3, 5)]

    def halt(trader: Trader) -> None:
        trader.core.risk.set_trading_state(TradingState.HALTED)

    outcome = buffered(two, halt, limits=two_a_second)
    assert outcome.codes == ["TRADING_HALTED", "ORDER_LIST_DENIED"]


def test_a_list_that_never_fits_into_the_rate_is_denied_at_once() -> None:
    def two(trader: Trader) -> None:
        made = [trader.orders.limit(PAIR.id, "buy", 100, "0.5") for _ in range(2)]
        trader.submit_order_list(trader.orders.together(*made))

    assert buffered(two).codes == ["RATE_LIMIT_EXCEEDED", "ORDER_LIST_DENIED"]


def test_modifications_wait_too_and_are_checked_again() -> None:
    placed: list[Order] = []

    def place(trader: Trader) -> None:
        placed.append(trader.orders.limit(PAIR.id, "buy", 100, "0.5"))
        trader.submit_order(placed[0])

    def change(trader: Trader) -> None:
        for quantity in (110, 120, 130):
            trader.modify_order(placed[0], quantity=quantity)

    def cancel(trader: Trader) -> None:
        trader.cancel_order(placed[0])

    changed = buffered(place, change)
    assert placed[0].quantity == 130
    sent = [one.quantity for one in changed.commands if isinstance(one, c.ModifyOrder)]
    assert sent == [110, 120, 130]
    placed.clear()
    ended = buffered(place, change, cancel)
    rejected = [one for one in ended.trader.events if isinstance(one, e.OrderModifyRejected)]
    assert [one.code for one in rejected] == ["ORDER_NOT_OPEN"] * 2
    assert placed[0].quantity == 110


def test_dropping_refuses_at_once_and_says_so() -> None:
    outcome = trade(several(3), limits=RiskLimits(orders=2, orders_interval_ns=SECOND))
    assert outcome.codes == ["RATE_LIMIT_EXCEEDED"]
    assert outcome.denials[0].reason == "more than 2 orders in 1 s; this one was dropped"


@pytest.mark.parametrize("wait", [True, False])
def test_what_waits_can_be_refused_when_a_run_is_over(wait: bool) -> None:
    def end(trader: Trader) -> None:
        several(2)(trader)

    def refuse(trader: Trader) -> None:
        assert trader.core.risk.waiting == 1
        if not wait:
            trader.core.risk.refuse_waiting("the run is over")
            assert trader.core.risk.waiting == 0

    outcome = buffered(end, refuse)
    assert outcome.codes == ([] if wait else ["CANCELED_WHILE_WAITING"])


def test_each_minute_counts_what_left_and_not_what_waits() -> None:
    limits = RiskLimits(orders=1, orders_per_minute=2, on_excess="buffer")  # type: ignore[arg-type]
    outcome = buffered(several(3), limits=limits)
    # The third passed while two had left or waited; there is no room for it when its turn comes.
    assert outcome.codes == ["ORDERS_PER_MINUTE_EXCEEDED"]
    assert len(outcome.sent) == 2

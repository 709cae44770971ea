"""Reduce-only kept on our side, for a venue that has no such orders; a test answers for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.execution_fakes import Broker as OtherBroker
from tests.execution_fakes import Setup as OtherSetup
from tests.unit.test_emulator import PAIR, Setup
from workbench.engines.capabilities import Capabilities
from workbench.model import events as e
from workbench.model.enums import OrderManagement, OrderStatus, OrderType
from workbench.model.orders import Order

D = Decimal
LACKING = Capabilities(contingencies=frozenset(), reduce_only=False)
FIXED = msgspec.structs.replace(LACKING, amend=False)
SIMPLE = msgspec.structs.replace(
    LACKING, order_types=frozenset({OrderType.MARKET, OrderType.LIMIT})
)


def long(quantity: int = 10, capabilities: Capabilities = LACKING, **core: Any) -> Setup:
    """Return a desk that holds so much."""
    setup = Setup(capabilities, **core)
    bought = setup.submit("market", "buy", quantity)
    setup.accept(bought)
    setup.fill(bought, quantity)
    return setup


def rest(setup: Setup, quantity: int, price: str = "1.20", **options: Any) -> Order:
    """Send a limit order that only reduces; accept it where it left."""
    order = setup.submit("limit", "sell", quantity, price, reduce_only=True, **options)
    if order.status is OrderStatus.SUBMITTED:
        setup.accept(order)
    return order


def sell(setup: Setup, quantity: int, *, reduce_only: bool = False) -> Order:
    """Sell at the market, at once."""
    order = setup.submit("market", "sell", quantity, reduce_only=reduce_only)
    setup.accept(order)
    setup.fill(order, quantity)
    return order


def new(setup: Setup, before: list[str]) -> list[str]:
    return setup.sent[len(before) :]


# What leaves


def test_what_only_reduces_leaves_as_a_plain_order_and_stays_reduce_only_here() -> None:
    setup = long()
    order = rest(setup, 10)
    left: Any = setup.broker.sent[-1].order
    assert (left.quantity, left.reduce_only) == (10, False)
    assert order.reduce_only
    assert [one.reduce_only for one in setup.desk.heard if type(one) is e.OrderInitialized] == [
        *(False, True)
    ]
    setup.check()


def test_where_the_venue_has_reduce_only_it_is_left_to_it() -> None:
    setup = long(capabilities=Capabilities(contingencies=frozenset()))
    rest(setup, 10)
    rest(setup, 10)
    assert setup.broker.sent[-1].order.reduce_only
    assert not setup.core.emulator.is_concerned
    before = setup.sent
    sell(setup, 10)
    assert new(setup, before) == ["sell 10 market"]


def test_orders_that_only_reduce_must_not_add_up_to_more_than_is_held() -> None:
    setup = long()
    rest(setup, 6)
    assert rest(setup, 4, "1.30").status is OrderStatus.ACCEPTED
    refused = rest(setup, 1, "1.40")
    assert refused.status is OrderStatus.DENIED
    assert refused.reason == (
        "REDUCE_ONLY: a reduce-only sell of 1, beside 10 of others, is more than the 10 there is to"
        " reduce in account SIM-PAPER. Its venue has no reduce-only orders: they must not add up to"
        " more, but linked ones (bracket, oco, ouo) count once"
    )
    assert setup.sent[-1] == "sell 4 limit @1.30"


def test_what_would_turn_the_position_by_itself_is_denied_as_anywhere() -> None:
    setup = long()
    assert rest(setup, 11).reason.startswith("REDUCE_ONLY")
    bought = setup.submit("limit", "buy", 1, "0.90", reduce_only=True)
    assert bought.reason.startswith("REDUCE_ONLY")
    assert setup.sent == ["buy 10 market"]


def test_other_orders_of_the_strategy_take_nothing_from_what_only_reduces() -> None:
    setup = long()
    setup.accept(setup.submit("limit", "sell", 10, "1.30"))
    assert rest(setup, 10).status is OrderStatus.ACCEPTED


@pytest.mark.parametrize("how", ["oco", "ouo"])
def test_linked_orders_count_once_with_the_largest(how: str) -> None:
    setup = long()
    orders = setup.desk.orders
    first = orders.limit(PAIR.id, "sell", 4, "1.20", reduce_only=True)
    second = orders.stop_market(PAIR.id, "sell", 8, "0.90", reduce_only=True)
    setup.submit_list(getattr(orders, how)(first, second))
    assert setup.sent[1:] == ["sell 4 limit @1.20", "sell 8 stop_market"]
    assert rest(setup, 3).reason.startswith("REDUCE_ONLY: a reduce-only sell of 3, beside 8")
    assert rest(setup, 2).status is OrderStatus.ACCEPTED


def test_a_list_that_would_be_too_much_is_denied_as_a_whole() -> None:
    setup = long()
    orders = setup.desk.orders
    first = orders.limit(PAIR.id, "sell", 6, "1.20", reduce_only=True)
    second = orders.limit(PAIR.id, "sell", 6, "1.30", reduce_only=True)
    setup.submit_list(orders.together(first, second))
    assert [one.status for one in (first, second)] == [OrderStatus.DENIED] * 2
    assert first.reason.startswith(f"ORDER_LIST_DENIED: {second.client_order_id} of its list")
    assert second.reason.startswith("REDUCE_ONLY: a reduce-only sell of 6, beside 6 of others")
    assert setup.sent == ["buy 10 market"]


def test_what_is_being_cancelled_makes_room_for_what_takes_its_place() -> None:
    setup = long()
    old = rest(setup, 10)
    setup.do("cancel_order", old)
    assert rest(setup, 10, "1.30").status is OrderStatus.ACCEPTED


def test_a_change_to_more_than_there_is_to_reduce_is_refused() -> None:
    setup = long()
    order = rest(setup, 6)
    setup.do("modify_order", order, quantity=11)
    rejected = setup.heard(e.OrderModifyRejected)
    assert (rejected.code, order.quantity) == ("REDUCE_ONLY", 6)
    assert "a reduce-only sell of 11, beside 0 of others" in rejected.reason
    setup.do("modify_order", order, quantity=10)
    assert setup.sent[-1] == "modify 10"
    setup.check()


def test_a_held_order_counts_too_and_is_cut_back_when_it_is_made_too_large() -> None:
    setup = long(capabilities=SIMPLE)
    stop = setup.submit("stop_market", "sell", 4, "0.90", reduce_only=True)
    assert rest(setup, 7).reason.startswith("REDUCE_ONLY")
    assert rest(setup, 6).status is OrderStatus.ACCEPTED
    assert stop.status is OrderStatus.EMULATED
    before = setup.sent
    setup.do("modify_order", stop, quantity=9)
    assert (stop.quantity, new(setup, before)) == (9, ["modify 1"])


# What is cut back


def test_closing_at_the_market_passes_and_cancels_what_rests_to_reduce() -> None:
    setup = long()
    first, second = rest(setup, 6), rest(setup, 4)
    before = setup.sent
    setup.do("close_position")
    assert new(setup, before) == ["sell 10 market"]
    closing = setup.core.cache.orders()[-1]
    setup.accept(closing)
    setup.fill(closing, 10)
    assert new(setup, before)[1:] == ["CancelOrder", "CancelOrder"]
    asked = [command.client_order_id for command in setup.broker.sent[-2:]]
    assert asked == [second.client_order_id, first.client_order_id]
    for order in (first, second):
        setup.event(e.OrderCanceled, order)
    setup.check()


def test_two_closes_at_the_market_are_one_too_many() -> None:
    setup = long()
    setup.do("close_position")
    again = setup.submit("market", "sell", 10, reduce_only=True)
    assert again.reason.startswith("REDUCE_ONLY: a reduce-only sell of 10, beside 10 of others")


def test_closing_a_position_twice_is_once_too_often() -> None:
    setup = long()
    setup.do("close_position")
    setup.do("close_position")
    assert setup.sent[1:] == ["sell 10 market"]
    assert setup.heard(e.OrderDenied).code == "REDUCE_ONLY"


@pytest.mark.parametrize("is_reducing", [True, False])
def test_what_is_newest_is_cut_back_first_when_the_position_shrinks(is_reducing: bool) -> None:
    setup = long()
    rest(setup, 4)
    newest = rest(setup, 6, "1.30")
    before = setup.sent
    sell(setup, 5, reduce_only=is_reducing)
    assert new(setup, before) == ["sell 5 market", "modify 1"]
    assert setup.broker.sent[-1].client_order_id == newest.client_order_id
    setup.event(e.OrderUpdated, newest, quantity=D(1))
    before = setup.sent
    sell(setup, 3, reduce_only=is_reducing)
    assert new(setup, before) == ["sell 3 market", "CancelOrder", "modify 2"]


def test_what_only_reduces_and_fills_takes_nothing_from_the_others() -> None:
    setup = long()
    first = rest(setup, 4)
    rest(setup, 6, "1.30")
    before = setup.sent
    setup.fill(first, 4)
    assert new(setup, before) == []


def test_of_linked_orders_each_is_cut_back() -> None:
    setup = long()
    orders = setup.desk.orders
    made = orders.ouo(
        orders.limit(PAIR.id, "sell", 10, "1.20", reduce_only=True),
        orders.stop_market(PAIR.id, "sell", 10, "0.90", reduce_only=True),
    )
    for order in setup.submit_list(made):
        setup.accept(order)
    before = setup.sent
    sell(setup, 7)
    assert new(setup, before) == ["sell 7 market", "modify 3", "modify 3"]
    for order in made:
        setup.event(e.OrderUpdated, order, quantity=D(3))
    # Their links know of it: one that fills ends the other.
    before = setup.sent
    setup.fill(made[0], 3)
    assert new(setup, before) == ["CancelOrder"]
    setup.check()


def test_where_nothing_can_be_changed_it_is_cancelled() -> None:
    setup = long(capabilities=FIXED)
    rest(setup, 4)
    rest(setup, 6, "1.30")
    before = setup.sent
    sell(setup, 1)
    assert new(setup, before) == ["sell 1 market", "CancelOrder"]


def test_a_position_that_turns_leaves_nothing_to_reduce() -> None:
    setup = long()
    rest(setup, 3)
    before = setup.sent
    sell(setup, 15)
    assert new(setup, before) == ["sell 15 market", "CancelOrder"]


def test_an_order_that_is_held_is_cut_back_or_ended_here() -> None:
    setup = long(capabilities=SIMPLE)
    stop = setup.submit("stop_market", "sell", 10, "0.90", reduce_only=True)
    sell(setup, 6)
    assert (stop.status, stop.quantity) == (OrderStatus.EMULATED, 4)
    sell(setup, 4)
    assert stop.status is OrderStatus.CANCELED
    assert stop.reason == "it only reduces, and less is held than it would trade"
    assert setup.sent == ["buy 10 market", "sell 6 market", "sell 4 market"]


def test_a_cancel_that_the_venue_refuses_is_asked_for_again() -> None:
    setup = long()
    order = rest(setup, 10)
    sell(setup, 10)
    setup.event(e.OrderCancelRejected, order, reason="not now")
    assert setup.sent[-2:] == ["CancelOrder", "CancelOrder"]
    setup.event(e.OrderCanceled, order)
    assert setup.failed == []
    setup.check()


def test_what_fills_before_it_is_cut_back_is_reported_as_it_turned_the_position() -> None:
    setup = long()
    order = rest(setup, 10)
    sell(setup, 10)
    setup.fill(order, 10)
    assert setup.core.cache.net_quantity(PAIR.id) == -10
    (failure,) = setup.failed
    assert failure.client_order_id == order.client_order_id
    assert "10 of it filled while it was being cancelled" in failure.reason


# Brackets


def bracket(setup: Setup, **options: Any) -> tuple[Order, Order, Order]:
    """Send a bracket whose entry is accepted."""
    made = setup.desk.orders.bracket(
        PAIR.id, "buy", 10, stop_loss="0.90", take_profit="1.20", **options
    )
    entry, stop, profit = setup.submit_list(made)
    setup.accept(entry)
    return entry, stop, profit


def accept_new(setup: Setup, *orders: Order) -> None:
    for order in orders:
        if order.status is OrderStatus.SUBMITTED:
            setup.accept(order)


@pytest.mark.parametrize(
    "capabilities",
    [LACKING, SIMPLE, Capabilities(reduce_only=False)],
    ids=["links", "triggers", "reduce-only alone"],
)
def test_a_take_profit_that_fills_ends_the_stop_of_its_bracket(capabilities: Capabilities) -> None:
    setup = Setup(capabilities)
    entry, stop, profit = bracket(setup)
    assert setup.sent == ["buy 10 market"]
    setup.fill(entry, 4)
    accept_new(setup, stop, profit)
    setup.fill(entry, 6)
    for order in (stop, profit):
        if order.status is not OrderStatus.EMULATED:
            setup.event(e.OrderUpdated, order, quantity=D(10))
    assert [one.order.reduce_only for one in setup.broker.sent if hasattr(one, "order")] == (
        [False] * (2 if capabilities is SIMPLE else 3)
    )
    setup.fill(profit, 10)
    if capabilities is SIMPLE:
        assert stop.status is OrderStatus.CANCELED
    else:
        assert setup.broker.sent[-1].client_order_id == stop.client_order_id
        assert setup.sent[-1] == "CancelOrder"
        setup.event(e.OrderCanceled, stop)
    assert setup.core.cache.net_quantity(PAIR.id) == 0
    assert setup.failed == []
    setup.check()


def test_exits_that_wait_for_their_entry_count_nothing() -> None:
    setup = long()
    rest(setup, 10)
    entry, stop, profit = bracket(setup, entry_price="0.95")
    assert [one.status for one in (stop, profit)] == [OrderStatus.EMULATED] * 2
    before = setup.sent
    sell(setup, 4)
    assert new(setup, before) == ["sell 4 market", "modify 6"]  # of the first alone
    setup.event(e.OrderUpdated, setup.core.cache.orders()[1], quantity=D(6))
    setup.fill(entry, 10)
    assert [one.status for one in (stop, profit)] == [OrderStatus.SUBMITTED] * 2
    assert rest(setup, 1).reason.startswith("REDUCE_ONLY: a reduce-only sell of 1, beside 16")


def test_closing_the_position_of_a_bracket_ends_both_its_exits() -> None:
    setup = Setup(LACKING)
    entry, stop, profit = bracket(setup)
    setup.fill(entry, 10)
    accept_new(setup, stop, profit)
    before = setup.sent
    setup.do("close_position")
    closing = setup.core.cache.orders()[-1]
    setup.accept(closing)
    setup.fill(closing, 3)
    assert new(setup, before) == ["sell 10 market", "modify 7", "modify 7"]
    setup.fill(closing, 7)
    assert new(setup, before)[3:] == ["CancelOrder", "CancelOrder"]
    for order in (stop, profit):
        setup.event(e.OrderModifyRejected, order, reason="it is being cancelled")
        setup.event(e.OrderCanceled, order)
    assert setup.failed == []
    setup.check()


# Accounts, positions, restarts


def test_each_account_is_kept_to_what_is_held_in_it() -> None:
    here = OtherBroker("FIRST", capabilities=LACKING)
    there = OtherBroker("SECOND", "SIM", "SECOND-1", capabilities=LACKING)
    setup = OtherSetup(here, there)
    setup.filled(10)
    setup.filled(4, account_id="SECOND-1")
    first = setup.accepted(10, "sell", reduce_only=True)
    assert first.status is OrderStatus.ACCEPTED
    refused = setup.submit(5, "sell", reduce_only=True, account_id="SECOND-1")
    assert refused.reason.startswith("REDUCE_ONLY")
    second = setup.accepted(4, "sell", account_id="SECOND-1", reduce_only=True)
    count = len(here.sent)
    setup.filled(4, "sell", account_id="SECOND-1")
    assert there.sent[-1].client_order_id == second.client_order_id
    assert there.kinds()[-1] == "CancelOrder"
    assert len(here.sent) == count


def test_where_positions_are_kept_apart_each_counts_for_itself() -> None:
    setup = OtherSetup(
        OtherBroker("APART", capabilities=LACKING, management=OrderManagement.HEDGING)
    )
    one, other = setup.filled(10).position_id, setup.filled(4).position_id
    first = setup.accepted(10, "sell", reduce_only=True, position_id=one)
    second = setup.accepted(4, "sell", reduce_only=True, position_id=other)
    again = setup.submit(1, "sell", reduce_only=True, position_id=other)
    assert again.reason.startswith("REDUCE_ONLY")
    count = len(setup.broker.sent)
    setup.filled(4, "sell", position_id=other)
    cancels = [one.client_order_id for one in setup.broker.sent[count + 1 :]]
    assert cancels == [second.client_order_id]
    assert first.is_open


def test_what_an_earlier_run_left_is_cut_back_when_strategies_start() -> None:
    setup = long()
    order = rest(setup, 10)
    sold = setup.submit("market", "sell", 10)
    setup.accept(sold)
    again = Setup(LACKING, quote=False)
    again.core.adopt()
    assert not again.core.emulator.is_concerned
    records = list(setup.core.log)
    later = Setup(LACKING, quote=False)
    later.core.rebuild(records)
    later.core.adopt()
    later.core.dispatcher.drain()
    assert later.sent == []  # within what is held
    known = later.core.cache.order(sold.client_order_id)
    assert known is not None
    later.fill(known, 10)
    assert later.sent == ["CancelOrder"]
    assert later.broker.sent[0].client_order_id == order.client_order_id

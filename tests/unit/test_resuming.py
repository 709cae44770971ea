"""What was held when a node ended is held by the next one; a log that ends is how it ended."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.unit.test_emulator import PAIR, SIMPLE, Setup
from tests.unit.test_shared_holdings import cancel, held, spot
from workbench.engines.capabilities import Capabilities
from workbench.model import events as e
from workbench.model.commands import SubmitOrder, SubmitOrderList
from workbench.model.enums import OrderStatus, OrderType
from workbench.model.orders import Order

D = Decimal
NO_STOPS = msgspec.structs.replace(
    SIMPLE, order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}), contingencies=frozenset()
)


def resumed(
    setup: Setup,
    *,
    until: Callable[[Any], bool] = lambda _: False,
    capabilities: Capabilities | None = None,
    **options: Any,
) -> Setup:
    """Return the next node, after one whose log ended before the first such message."""
    records: list[Any] = list(getattr(setup, "earlier", []))
    for record in setup.core.log:
        if until(record.message):
            break
        records.append(record)
    chosen = setup.broker.capabilities if capabilities is None else capabilities
    later = Setup(chosen, quote=False, run_tag=f"T{int(setup.run_tag[1:] or 0) + 1}", **options)
    later.core.rebuild(records)
    later.earlier = records  # type: ignore[attr-defined]
    later.trades = setup.trades
    submits = [r.message for r in records if isinstance(r.message, (SubmitOrder, SubmitOrderList))]
    later.core.emulator.remember(submits)
    later.core.adopt()
    later.core.dispatcher.drain()
    return later


def bracket(setup: Setup) -> Any:
    """Return an entry that rests, and the exits that wait for it."""
    made = setup.submit_list(
        setup.desk.orders.bracket(
            PAIR.id, "buy", 10, stop_loss="0.90", take_profit="1.20", entry_price="0.95"
        )
    )
    setup.accept(made.entry)
    return made


def now(setup: Setup, order: Order) -> Order:
    """Return what a later node knows of an order."""
    known = setup.core.cache.order(order.client_order_id)
    assert known is not None
    return known


def reason(setup: Setup, order: Order) -> str:
    """Return why an order was cancelled."""
    (found,) = [
        record.message.reason
        for record in setup.core.log
        if isinstance(record.message, e.OrderCanceled)
        and record.message.client_order_id == order.client_order_id
    ]
    return found


def test_what_is_held_is_held_again_and_nothing_is_sent() -> None:
    setup = Setup(NO_STOPS)
    stop = setup.submit("stop_market", "sell", 10, "0.90")
    later = resumed(setup)
    assert (now(later, stop).status, later.sent) == (OrderStatus.EMULATED, [])
    later.quote(0.95, 0.97)
    assert later.sent == []
    later.quote(0.90, 0.92)
    assert later.sent == ["sell 10 market"]


def test_it_is_held_again_and_again() -> None:
    setup = Setup(NO_STOPS)
    stop = setup.submit("stop_market", "sell", 10, "0.90")
    second = resumed(setup)
    assert now(second, stop).status is OrderStatus.EMULATED
    second.desk.cancel_order(now(second, stop))
    second.core.dispatcher.drain()
    assert now(second, stop).status is OrderStatus.CANCELED
    assert second.core.emulator.held == {}


def test_what_was_released_and_never_sent_goes_before_risk_again() -> None:
    setup = Setup(NO_STOPS)
    stop = setup.submit("stop_market", "sell", 10, "0.90")
    setup.quote(0.90, 0.92)
    sent: list[Any] = []

    def second_submit(message: Any) -> bool:
        sent.extend([message] if isinstance(message, SubmitOrder) else [])
        return len(sent) == 2

    later = resumed(setup, until=second_submit)
    assert (now(later, stop).status, later.sent) == (OrderStatus.RELEASED, [])
    later.quote(1.01, 1.02)  # it was triggered once: where the market is now does not matter
    assert later.sent == ["sell 10 market"]
    assert now(later, stop).status is OrderStatus.SUBMITTED
    assert later.core.emulator.held == {}


@pytest.mark.parametrize("lacking", ["data", "order type"])
def test_what_cannot_be_held_any_more_is_cancelled_with_the_reason(lacking: str) -> None:
    setup = Setup(NO_STOPS)
    stop = setup.submit("stop_market", "sell", 10, "0.90", trigger_type="last")
    if lacking == "data":
        later = resumed(setup, kinds="mark_prices")
        expected = "no data client has data for a last trigger"
    else:
        only = msgspec.structs.replace(NO_STOPS, order_types=frozenset({OrderType.LIMIT}))
        later = resumed(setup, capabilities=only)
        expected = "its client has not what it needs any more: it takes no stop_market orders"
    assert now(later, stop).status is OrderStatus.CANCELED
    assert expected in reason(later, stop)


def test_what_its_client_would_take_itself_by_now_is_not_held() -> None:
    setup = Setup(NO_STOPS)
    entry, *children = bracket(setup)
    later = resumed(setup, capabilities=Capabilities())
    assert now(later, entry).is_open
    for child in children:
        assert now(later, child).status is OrderStatus.CANCELED
        assert "would be given it now" in reason(later, child)


def test_children_wait_again_for_their_parent_and_even_each_other_out() -> None:
    setup = Setup(NO_STOPS)
    entry, stop, profit = bracket(setup)
    later = resumed(setup)
    later.quote(0.94, 0.96)
    later.fill(now(later, entry), 6)
    assert later.sent == ["sell 6 limit @1.20"]
    later.accept(now(later, profit))
    again = resumed(later)
    again.fill(now(again, entry), 4)
    assert again.sent == ["modify 10"]  # the take-profit is to be as large as what was bought
    again.event(e.OrderUpdated, now(again, profit), quantity=D(10))
    again.fill(now(again, profit), 6, "1.20")
    assert now(again, stop).quantity == 4
    again.quote(0.89, 0.91)
    assert again.sent[-1] == "sell 4 market"


def test_what_filled_without_a_node_has_its_effect_on_what_is_linked() -> None:
    setup = Setup(NO_STOPS)
    orders = setup.desk.orders
    one, other = setup.submit_list(
        orders.oco(
            orders.limit(PAIR.id, "buy", 10, "0.95"), orders.limit(PAIR.id, "buy", 10, "0.90")
        )
    )
    for order in (one, other):
        setup.accept(order)
    setup.fill(one, 10, "0.95")  # the last that is known: what it led to was not written down
    later = resumed(setup, until=lambda message: type(message).__name__ == "CancelOrder")
    assert later.sent == ["CancelOrder"]
    assert later.broker.sent[0].client_order_id == other.client_order_id


def test_what_was_bought_while_its_parent_ended_keeps_its_exits() -> None:
    setup = Setup(NO_STOPS)
    entry, stop, profit = bracket(setup)
    filled = resumed(setup)
    known = now(filled, entry)
    filled.core.emulator.adopt(())  # twice is once
    filled.fill(known, 3)
    filled.event(e.OrderCanceled, known, venue_order_id=known.venue_order_id)
    assert now(filled, stop).quantity == now(filled, profit).quantity == 3
    unfilled = resumed(setup)
    unfilled.event(e.OrderCanceled, now(unfilled, entry))
    assert {now(unfilled, one).status for one in (stop, profit)} == {OrderStatus.CANCELED}


def test_children_whose_parent_ended_without_a_node_are_cancelled() -> None:
    setup = Setup(NO_STOPS)
    entry, stop, profit = bracket(setup)
    setup.event(e.OrderCanceled, entry)
    later = resumed(
        setup,
        until=lambda m: (
            isinstance(m, e.OrderCanceled) and m.client_order_id != entry.client_order_id
        ),
    )
    for child in (stop, profit):
        assert now(later, child).status is OrderStatus.CANCELED
        assert reason(later, child) == f"its parent {entry.client_order_id} was over"


# A cash account's sales


def test_a_take_profit_still_waits_for_the_stop_to_go() -> None:
    setup = spot()
    stop, profit = held(setup)
    later = resumed(setup)
    later.quote(1.20, 1.21)
    assert later.sent == ["CancelOrder"]
    cancel(later, now(later, stop))
    assert later.sent[1:] == ["sell 10 limit @1.20"]
    later.accept(now(later, profit))
    later.fill(now(later, profit), 10, "1.20")
    assert (later.failed, later.core.emulator.held) == ([], {})


def test_a_take_profit_whose_stop_had_gone_for_it_leaves() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    cancel(setup, stop)

    def profit_leaves(message: Any) -> bool:
        is_its = getattr(message, "client_order_id", None) == profit.client_order_id
        return is_its and isinstance(message, e.OrderReleased)

    later = resumed(setup, until=profit_leaves)
    assert later.sent == ["sell 10 limit @1.20"]
    assert now(later, profit).status is OrderStatus.SUBMITTED


def test_a_stop_that_filled_without_a_node_takes_the_waiting_take_profit_with_it() -> None:
    setup = spot()
    stop, profit = held(setup)

    def profit_ends(message: Any) -> bool:
        is_its = getattr(message, "client_order_id", None) == profit.client_order_id
        return is_its and isinstance(message, e.OrderCanceled)

    setup.fill(stop, 10, "0.90")
    later = resumed(setup, until=profit_ends)
    assert (now(later, profit).status, later.sent) == (OrderStatus.CANCELED, [])


def test_what_waited_to_close_at_the_market_does_not_do_so_later() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.do("close_position", PAIR.id)
    orders = setup.core.cache.orders()
    (closing,) = [one for one in orders if one.side == "sell" and one not in (stop, profit)]
    assert closing.status is OrderStatus.EMULATED
    later = resumed(setup)
    assert now(later, closing).status is OrderStatus.CANCELED
    assert "the node ended before it could leave" in reason(later, closing)


def test_what_was_cut_back_to_what_is_held_is_not_asked_to_grow_again() -> None:
    setup = spot()
    stop, _ = held(setup)
    sold = setup.submit("market", "sell", 3, reduce_only=True)
    setup.event(e.OrderUpdated, stop, quantity=D(7))
    setup.accept(sold)
    setup.fill(sold, 3)
    assert stop.quantity == 7
    later = resumed(setup)
    assert later.sent == []
    assert now(later, stop).status is OrderStatus.ACCEPTED

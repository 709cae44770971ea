"""What may go wrong while one sale takes another's place in a cash account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.test_emulator import ACCOUNT, PAIR, Setup
from tests.unit.test_shared_holdings import NO_STOPS, bought, cancel, held, refuse, spot
from workbench.engines.demands import TRIES
from workbench.model import events as e
from workbench.model.enums import OrderStatus, TradingState
from workbench.model.identifiers import VenueOrderId
from workbench.model.orders import Order

D = Decimal


def entered(setup: Setup, filled: int) -> tuple[Order, Order, Order]:
    """Buy a part of 10 with a bracket; return its entry, its stop and its take-profit."""
    entry, stop, profit = setup.submit_list(
        setup.desk.orders.bracket(PAIR.id, "buy", 10, stop_loss="0.90", take_profit="1.20")
    )
    setup.accept(entry)
    setup.fill(entry, filled)
    setup.accept(stop)
    return entry, stop, profit


def resize(setup: Setup, order: Order, quantity: int) -> None:
    venue_id = VenueOrderId(order.client_order_id)
    setup.event(e.OrderUpdated, order, venue_order_id=venue_id, quantity=D(quantity))


def reject(setup: Setup, order: Order) -> None:
    setup.event(e.OrderRejected, order, account_id=ACCOUNT, reason="not today")


def asked_prices(setup: Setup, since: int) -> list[Any]:
    return [one.price for one in setup.broker.sent[since:]]


# The entry goes on filling


def test_an_entry_that_fills_while_the_stop_is_cancelled_makes_what_leaves_larger() -> None:
    setup = spot()
    entry, stop, profit = entered(setup, 4)
    setup.quote(1.20, 1.21)
    setup.fill(entry, 6)
    cancel(setup, stop)
    assert setup.sent[2:] == ["CancelOrder", "sell 10 limit @1.20"]
    setup.accept(profit)
    setup.fill(profit, 10, "1.20")
    assert (setup.core.cache.net_quantity(PAIR.id), setup.failed) == (0, [])
    setup.check()


def test_a_cancel_that_an_entrys_fill_overtook_is_asked_for_again() -> None:
    setup = spot()
    entry, stop, _ = entered(setup, 4)
    setup.quote(1.20, 1.21)
    setup.fill(entry, 6)
    refuse(setup, stop)
    assert setup.sent[2:] == ["CancelOrder", "modify 10"]
    resize(setup, stop, 10)
    setup.quote(1.20, 1.21)
    cancel(setup, stop)
    assert setup.sent[4:] == ["CancelOrder", "sell 10 limit @1.20"]
    assert setup.failed == []
    setup.check()


def test_an_entry_that_fills_after_the_take_profit_left_makes_it_larger() -> None:
    setup = spot()
    entry, stop, profit = entered(setup, 4)
    setup.quote(1.20, 1.21)
    cancel(setup, stop)
    setup.accept(profit)
    setup.fill(entry, 6)
    assert setup.sent[3:] == ["sell 4 limit @1.20", "modify 10"]
    resize(setup, profit, 10)
    setup.fill(profit, 10, "1.20")
    assert (setup.core.cache.net_quantity(PAIR.id), setup.failed) == (0, [])
    setup.check()


def test_an_entry_that_is_cancelled_leaves_the_exits_of_what_it_bought() -> None:
    setup = spot()
    entry, stop, profit = entered(setup, 4)
    cancel(setup, entry)
    setup.quote(1.20, 1.21)
    cancel(setup, stop)
    setup.accept(profit)
    assert setup.sent[2:] == ["CancelOrder", "sell 4 limit @1.20"]
    setup.quote(0.89, 0.91)
    assert asked_prices(setup, 4) == [D("0.89")]
    setup.check()


def test_each_of_two_brackets_swaps_its_own() -> None:
    setup = spot()
    first, second = held(setup), held(setup)
    setup.quote(1.20, 1.21)
    assert setup.sent[4:] == ["CancelOrder"] * 2
    cancel(setup, first[0])
    assert setup.sent[6:] == ["sell 10 limit @1.20"]
    setup.accept(first[1])
    setup.fill(second[0], 10, "1.20")
    assert second[1].status is OrderStatus.CANCELED
    setup.fill(first[1], 10, "1.20")
    assert (setup.core.cache.net_quantity(PAIR.id), setup.failed) == (0, [])
    setup.check()


# Only what was cancelled for it


@pytest.mark.parametrize("how", ["cancelled", "rejected"])
def test_a_take_profit_stands_in_for_no_stop_that_was_not_cancelled_for_it(how: str) -> None:
    setup = spot()
    entry, stop, profit = setup.submit_list(
        setup.desk.orders.bracket(PAIR.id, "buy", 10, stop_loss="0.90", take_profit="1.20")
    )
    setup.accept(entry)
    setup.fill(entry, 10)
    if how == "cancelled":
        setup.accept(stop)
        setup.do("cancel_order", stop)
        cancel(setup, stop)
    else:
        reject(setup, stop)
    setup.quote(1.20, 1.21)
    setup.accept(profit)
    sent = len(setup.sent)
    setup.quote(0.89, 0.91)
    assert setup.sent[sent:] == []


def test_a_stop_whose_cancel_was_refused_and_that_its_owner_cancelled_is_gone() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    for _ in range(TRIES):
        refuse(setup, stop)
    setup.do("cancel_order", stop)
    cancel(setup, stop)
    setup.quote(1.20, 1.21)
    setup.accept(profit)
    sent = len(setup.sent)
    setup.quote(0.89, 0.91)
    assert setup.sent[sent:] == []


def test_a_market_that_turned_before_the_cancel_was_confirmed_is_seen() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    setup.quote(0.89, 0.91)
    cancel(setup, stop)
    assert setup.sent[3:] == ["sell 10 limit @1.20"]
    setup.accept(profit)
    assert asked_prices(setup, 4) == [D("0.89")]


# What would not be let out


@pytest.mark.parametrize("lacking", ["links", "triggers"])
def test_while_trading_is_halted_what_rests_is_not_cancelled(lacking: str) -> None:
    setup = spot() if lacking == "links" else spot(NO_STOPS)
    held(setup)
    there = (1.20, 1.21) if lacking == "links" else (0.89, 0.91)
    setup.core.risk.set_trading_state(TradingState.HALTED)
    setup.quote(*there)
    setup.quote(*there)
    assert setup.sent[2:] == []
    setup.core.risk.set_trading_state(TradingState.ACTIVE)
    setup.quote(*there)
    assert setup.sent[2:] == ["CancelOrder"]
    setup.check()


def test_a_take_profit_that_is_reached_as_it_comes_waits_for_the_halt_to_end() -> None:
    setup = spot()
    bought(setup)
    orders = setup.desk.orders
    stop = orders.stop_market(PAIR.id, "sell", 10, "0.90")
    profit = orders.limit(PAIR.id, "sell", 10, "0.95")
    setup.core.emulator.set_may_leave(lambda _: False)
    setup.submit_list(orders.oco(stop, profit))
    setup.accept(stop)
    assert profit.status is OrderStatus.EMULATED
    setup.core.emulator.set_may_leave(lambda _: True)
    setup.quote(1.00, 1.02)
    cancel(setup, stop)
    assert setup.sent[2:] == ["CancelOrder", "sell 10 limit @0.95"]


# What is left without either


def test_a_take_profit_that_is_rejected_in_the_stops_place_is_reported() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    cancel(setup, stop)
    reject(setup, profit)
    (failed,) = setup.failed
    assert failed.client_order_id == profit.client_order_id
    assert failed.reason == (
        f"it is rejected (not today), and {stop.client_order_id} was cancelled for it: nothing"
        " guards AUD/USD.SIM now"
    )


def test_a_halt_between_cancel_and_release_is_reported() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    setup.core.risk.set_trading_state(TradingState.HALTED)
    cancel(setup, stop)
    assert profit.status is OrderStatus.DENIED
    assert len(setup.failed) == 1


def test_a_take_profit_that_is_cancelled_in_between_is_reported() -> None:
    setup = spot()
    _, profit = held(setup)
    setup.quote(1.20, 1.21)
    setup.do("cancel_order", profit)
    assert len(setup.failed) == 1


def test_whoever_cancels_all_is_told_nothing() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    setup.do("cancel_all_orders")
    cancel(setup, stop)
    assert (profit.status, setup.failed) == (OrderStatus.CANCELED, [])


def test_a_closing_that_is_rejected_after_the_stop_was_cancelled_is_reported() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.do("close_position")
    cancel(setup, stop)
    reject(setup, setup.core.cache.orders_in_flight()[0])
    assert len(setup.failed) == 1
    setup.quote(1.20, 1.21)
    assert profit.status is OrderStatus.SUBMITTED


# Closing at the market meanwhile


def test_cancelling_all_leaves_what_closes_at_the_market() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.do("close_position")
    setup.do("cancel_all_orders")
    assert profit.status is OrderStatus.CANCELED
    cancel(setup, stop)
    assert setup.sent[-1] == "sell 10 market"


def test_a_closing_may_be_cancelled_by_its_name() -> None:
    setup = spot()
    stop, _ = held(setup)
    setup.do("close_position")
    (closing,) = (
        one
        for one in setup.core.cache.orders()
        if one.order_type.value == "market" and one.status is OrderStatus.EMULATED
    )
    setup.do("cancel_order", closing)
    cancel(setup, stop)
    assert setup.sent[2:] == ["CancelOrder"]
    assert closing.status is OrderStatus.CANCELED


def test_what_closes_at_the_market_goes_before_a_take_profit_that_waits_for_the_same() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    setup.do("close_position")
    cancel(setup, stop)
    assert setup.sent[3:] == ["sell 10 market"]
    closing = setup.core.cache.orders_in_flight()[0]
    setup.accept(closing)
    setup.fill(closing, 10)
    assert (profit.status, setup.failed) == (OrderStatus.CANCELED, [])
    assert setup.sent[4:] == []
    setup.check()


def test_a_take_profit_waits_for_what_closes_a_part_and_then_swaps() -> None:
    setup = spot()
    stop, profit = held(setup)
    part = setup.submit("market", "sell", 3, reduce_only=True)
    resize(setup, stop, 7)
    setup.accept(part)
    setup.quote(1.20, 1.21)
    assert setup.sent[3:] == ["sell 3 market"]
    setup.fill(part, 3, "1.20")
    assert setup.sent[4:] == ["CancelOrder"]
    cancel(setup, stop)
    assert setup.sent[5:] == ["sell 7 limit @1.20"]
    assert (profit.quantity, setup.failed) == (7, [])
    setup.check()


def test_two_stops_held_here_do_not_wait_for_each_other() -> None:
    setup = spot(NO_STOPS)
    first, second = held(setup), held(setup)
    setup.quote(0.89, 0.91)
    cancel(setup, first[1])
    cancel(setup, second[1])
    assert setup.sent[-2:] == ["sell 10 market"] * 2
    assert setup.failed == []


def test_closing_twice_sells_once() -> None:
    setup = spot()
    stop, _ = held(setup)
    setup.do("close_position")
    setup.do("close_position")
    cancel(setup, stop)
    assert setup.sent[2:] == ["CancelOrder", "sell 10 market"]
    assert setup.failed == []


def test_two_that_close_parts_at_once_leave_the_stop_what_neither_sells() -> None:
    setup = spot()
    stop, _ = held(setup)
    for quantity in (2, 3):
        setup.submit("market", "sell", quantity, reduce_only=True)
    assert setup.sent[2:] == ["modify 8", "modify 5"]
    resize(setup, stop, 8)
    assert setup.sent[4:] == []
    resize(setup, stop, 5)
    assert setup.sent[4:] == ["sell 2 market", "sell 3 market"]
    setup.check()


def test_two_that_close_all_of_it_end_the_stop() -> None:
    setup = spot()
    stop, _ = held(setup)
    for quantity in (4, 6):
        setup.submit("market", "sell", quantity, reduce_only=True)
    resize(setup, stop, 6)
    cancel(setup, stop)
    assert setup.sent[2:] == ["modify 6", "CancelOrder", "sell 4 market", "sell 6 market"]
    assert setup.failed == []
    setup.check()


def test_where_the_stop_cannot_be_cancelled_closing_is_denied_and_it_stays() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.do("close_position")
    for _ in range(TRIES):
        refuse(setup, stop)
    assert setup.sent[2:] == ["CancelOrder"] * TRIES
    assert (stop.is_open, profit.status) == (True, OrderStatus.EMULATED)
    assert setup.heard(e.OrderDenied).code == "INSUFFICIENT_FUNDS"


def test_a_stop_that_fills_whole_while_closing_leaves_nothing_to_close() -> None:
    setup = spot()
    stop, _ = held(setup)
    setup.do("close_position")
    setup.fill(stop, 10, "0.90")
    assert (setup.core.cache.net_quantity(PAIR.id), setup.failed) == (0, [])
    assert setup.sent[2:] == ["CancelOrder"]
    setup.check()


# More than two


def test_of_three_linked_sales_one_takes_the_place() -> None:
    setup = spot()
    bought(setup)
    orders = setup.desk.orders
    stop = orders.stop_market(PAIR.id, "sell", 10, "0.90")
    near = orders.limit(PAIR.id, "sell", 10, "1.20")
    far = orders.limit(PAIR.id, "sell", 10, "1.25")
    setup.submit_list(orders.oco(stop, near, far))
    setup.accept(stop)
    setup.quote(1.26, 1.27)
    cancel(setup, stop)
    left = [one for one in (near, far) if one.status is OrderStatus.SUBMITTED]
    assert len(left) == 1
    setup.accept(left[0])
    setup.fill(left[0], 10, "1.26")
    assert (setup.core.cache.net_quantity(PAIR.id), setup.failed) == (0, [])
    assert setup.core.emulator.held == {}
    setup.check()

"""A cash account has what it sells only once; a test answers for its venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.unit.test_emulator import PAIR, Setup
from workbench.engines.capabilities import Capabilities
from workbench.engines.demands import TRIES
from workbench.model import events as e
from workbench.model.enums import AccountType, LiquiditySide, OrderStatus, OrderType
from workbench.model.identifiers import TradeId, VenueOrderId
from workbench.model.money import currency
from workbench.model.orders import Order

D = Decimal
SPOT = Capabilities(contingencies=frozenset(), reduce_only=False)
FIXED = msgspec.structs.replace(SPOT, amend=False)
NO_STOPS = msgspec.structs.replace(SPOT, order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}))


def spot(capabilities: Capabilities = SPOT, kind: AccountType = AccountType.CASH) -> Setup:
    """Return a desk whose account has money and nothing to sell."""
    setup = Setup(capabilities)
    setup.account(kind=kind)
    return setup


def held(setup: Setup, quantity: int = 10, **options: Any) -> tuple[Order, Order]:
    """Buy with a bracket; return its stop and its take-profit."""
    entry, stop, profit = setup.submit_list(
        setup.desk.orders.bracket(
            PAIR.id, "buy", quantity, stop_loss="0.90", take_profit="1.20", **options
        )
    )
    setup.accept(entry)
    setup.fill(entry, quantity)
    for order in (stop, profit):
        if order.status is OrderStatus.SUBMITTED:
            setup.accept(order)
    return stop, profit


def bought(setup: Setup, quantity: int = 10) -> None:
    order = setup.submit("market", "buy", quantity)
    setup.accept(order)
    setup.fill(order, quantity)


def cancel(setup: Setup, order: Order) -> None:
    venue_id = VenueOrderId(order.client_order_id)
    setup.event(e.OrderCanceled, order, venue_order_id=venue_id)


def refuse(setup: Setup, order: Order) -> None:
    setup.event(e.OrderCancelRejected, order, code="", reason="not now")


# Which one rests


def test_the_stop_rests_and_the_take_profit_waits_here() -> None:
    setup = spot()
    stop, profit = held(setup)
    assert setup.sent == ["buy 10 market", "sell 10 stop_market"]
    assert (stop.status, profit.status) == (OrderStatus.ACCEPTED, OrderStatus.EMULATED)
    setup.check()


def test_on_margin_both_rest() -> None:
    stop, profit = held(spot(kind=AccountType.MARGIN))
    assert (stop.status, profit.status) == (OrderStatus.ACCEPTED, OrderStatus.ACCEPTED)


@pytest.mark.parametrize("how", ["asked for", "lacking"])
def test_a_stop_that_is_watched_here_lets_the_take_profit_rest(how: str) -> None:
    if how == "asked for":
        stop, profit = held(spot(), emulation_trigger="bid_ask")
    else:
        stop, profit = held(spot(NO_STOPS))
    assert (stop.status, profit.status) == (OrderStatus.EMULATED, OrderStatus.ACCEPTED)


def test_a_post_only_order_rests_for_it_could_not_leave_once_the_market_is_there() -> None:
    setup = spot()
    bought(setup)
    orders = setup.desk.orders
    stop = orders.stop_market(PAIR.id, "sell", 10, "0.90")
    profit = orders.limit(PAIR.id, "sell", 10, "1.20", post_only=True)
    setup.submit_list(orders.oco(stop, profit))
    assert (stop.status, profit.status) == (OrderStatus.EMULATED, OrderStatus.SUBMITTED)


def test_linked_purchases_both_rest() -> None:
    setup = spot()
    orders = setup.desk.orders
    low = orders.limit(PAIR.id, "buy", 10, "0.90")
    high = orders.stop_market(PAIR.id, "buy", 10, "1.20")
    setup.submit_list(orders.oco(low, high))
    assert (low.status, high.status) == (OrderStatus.SUBMITTED, OrderStatus.SUBMITTED)


def test_a_list_is_refused_if_nobody_has_data_to_watch_its_take_profit_by() -> None:
    setup = Setup(SPOT, kinds="mark_prices")
    setup.account(kind=AccountType.CASH)
    bracket = setup.desk.orders.bracket(PAIR.id, "buy", 10, stop_loss="0.90", take_profit="1.20")
    setup.submit_list(bracket)
    assert {one.status for one in bracket} == {OrderStatus.DENIED}


# Taking its place


def test_what_rests_is_cancelled_before_what_was_triggered_leaves() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    assert setup.sent[2:] == ["CancelOrder"]
    assert (stop.status, profit.status) == (OrderStatus.PENDING_CANCEL, OrderStatus.EMULATED)
    setup.quote(1.21, 1.22)
    assert setup.sent[3:] == []
    cancel(setup, stop)
    assert setup.sent[3:] == ["sell 10 limit @1.20"]
    setup.accept(profit)
    setup.fill(profit, 10, "1.21")
    assert (profit.status, setup.failed) == (OrderStatus.FILLED, [])
    setup.check()


def test_what_fills_before_the_cancel_leaves_the_other_that_much_less() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    setup.fill(stop, 4, "1.20")
    cancel(setup, stop)
    assert setup.sent[3:] == ["sell 6 limit @1.20"]
    assert (profit.quantity, setup.failed) == (6, [])
    setup.check()


def test_what_fills_whole_before_the_cancel_ends_the_other() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    setup.fill(stop, 10, "1.20")
    assert (stop.status, profit.status) == (OrderStatus.FILLED, OrderStatus.CANCELED)
    assert (setup.sent[3:], setup.failed) == ([], [])
    setup.check()


def test_an_oco_that_fills_in_part_before_the_cancel_ends_the_other() -> None:
    setup = spot()
    bought(setup)
    orders = setup.desk.orders
    stop = orders.stop_market(PAIR.id, "sell", 10, "0.90")
    profit = orders.limit(PAIR.id, "sell", 10, "1.20")
    setup.submit_list(orders.oco(stop, profit))
    setup.accept(stop)
    setup.quote(1.20, 1.21)
    setup.fill(stop, 4, "1.20")
    assert profit.status is OrderStatus.CANCELED
    cancel(setup, stop)
    assert setup.sent[2:] == ["CancelOrder"]
    setup.check()


def test_where_the_cancel_is_refused_for_good_the_trigger_is_watched_again() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    for _ in range(TRIES):
        refuse(setup, stop)
    assert setup.sent[2:] == ["CancelOrder"] * TRIES
    assert len(setup.failed) == 1
    assert (stop.is_open, profit.status) == (True, OrderStatus.EMULATED)
    setup.quote(1.19, 1.20)
    assert setup.sent[2 + TRIES :] == []
    setup.quote(1.20, 1.21)
    cancel(setup, stop)
    assert setup.sent[2 + TRIES :] == ["CancelOrder", "sell 10 limit @1.20"]
    setup.check()


def test_a_held_stop_follows_a_part_of_its_take_profit_and_then_sells_the_rest() -> None:
    setup = spot(NO_STOPS)
    stop, profit = held(setup)
    setup.fill(profit, 4, "1.20")
    assert stop.quantity == 6
    setup.quote(0.89, 0.91)
    assert setup.sent[2:] == ["CancelOrder"]
    cancel(setup, profit)
    assert setup.sent[3:] == ["sell 6 market"]
    setup.check()


def test_a_take_profit_that_is_cancelled_while_it_waits_stays_so() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    setup.do("cancel_order", profit)
    cancel(setup, stop)
    assert profit.status is OrderStatus.CANCELED
    assert setup.sent[3:] == []


# Closing


def test_closing_at_the_market_waits_for_the_cancel_of_what_rests() -> None:
    setup = spot()
    stop, profit = held(setup)
    setup.do("close_position")
    assert setup.sent[2:] == ["CancelOrder"]
    cancel(setup, stop)
    assert setup.sent[3:] == ["sell 10 market"]
    closing = setup.core.cache.orders_in_flight()[0]
    setup.accept(closing)
    setup.fill(closing, 10)
    assert (profit.status, setup.failed) == (OrderStatus.CANCELED, [])
    assert setup.core.cache.positions_open() == []
    setup.check()


def test_closing_a_part_cuts_what_rests_back_to_the_others() -> None:
    setup = spot()
    stop, _ = held(setup)
    part = setup.submit("market", "sell", 3, reduce_only=True)
    assert (setup.sent[2:], part.status) == (["modify 7"], OrderStatus.EMULATED)
    venue_id = VenueOrderId(stop.client_order_id)
    setup.event(e.OrderUpdated, stop, venue_order_id=venue_id, quantity=D(7))
    assert setup.sent[3:] == ["sell 3 market"]
    setup.check()


def test_where_nothing_can_be_changed_closing_a_part_cancels_what_rests() -> None:
    setup = spot(FIXED)
    stop, _ = held(setup)
    setup.submit("market", "sell", 3, reduce_only=True)
    assert setup.sent[2:] == ["CancelOrder"]
    cancel(setup, stop)
    assert setup.sent[3:] == ["sell 3 market"]


def test_what_the_stop_sells_before_its_cancel_is_left_out_of_the_closing() -> None:
    setup = spot()
    stop, _ = held(setup)
    setup.do("close_position")
    setup.fill(stop, 4, "0.90")
    cancel(setup, stop)
    assert setup.sent[3:] == ["sell 6 market"]
    setup.check()


# What may be sold


def test_what_a_fill_brought_can_be_sold_before_the_balance_tells_of_it_but_only_once() -> None:
    setup = spot()
    bought(setup)
    first = setup.submit("limit", "sell", 6, "1.20")
    second = setup.submit("limit", "sell", 6, "1.30")
    assert first.status is OrderStatus.SUBMITTED
    assert second.reason == ("INSUFFICIENT_FUNDS: needs 6 AUD; 4 AUD of SIM-PAPER is free")
    setup.accept(first)
    assert setup.submit("limit", "sell", 6, "1.30").status is OrderStatus.DENIED
    assert setup.submit("limit", "sell", 4, "1.30").status is OrderStatus.SUBMITTED


def test_a_list_of_sales_may_not_add_up_to_more_than_fills_brought() -> None:
    setup = spot()
    bought(setup)
    orders = setup.desk.orders
    sales = [orders.limit(PAIR.id, "sell", 6, price) for price in ("1.20", "1.30")]
    setup.submit_list(orders.together(*sales))
    assert {one.status for one in sales} == {OrderStatus.DENIED}


# What is left where the stop was


def turned(setup: Setup) -> Order:
    """Let a take-profit take the stop's place, and fill in part."""
    stop, profit = held(setup)
    setup.quote(1.20, 1.21)
    cancel(setup, stop)
    setup.accept(profit)
    setup.fill(profit, 4, "1.20")
    return profit


def update(setup: Setup, order: Order, price: str) -> None:
    venue_id = VenueOrderId(order.client_order_id)
    setup.event(e.OrderUpdated, order, venue_order_id=venue_id, price=D(price))


def test_what_a_take_profit_has_left_is_sold_at_the_market_where_its_stop_was() -> None:
    setup = spot()
    profit = turned(setup)
    setup.quote(0.91, 0.92)
    assert setup.sent[4:] == []
    setup.quote(0.89, 0.91)
    setup.quote(0.88, 0.91)
    assert [one.price for one in setup.broker.sent[4:]] == [D("0.89")]
    update(setup, profit, "0.89")
    setup.quote(0.89, 0.91)
    assert setup.broker.sent[5:] == []
    setup.quote(0.87, 0.88)
    assert [one.price for one in setup.broker.sent[5:]] == [D("0.87")]
    update(setup, profit, "0.87")
    setup.fill(profit, 6, "0.87")
    setup.quote(0.80, 0.81)
    assert setup.broker.sent[6:] == []
    assert (profit.status, setup.failed) == (OrderStatus.FILLED, [])
    assert setup.feed.asked[-1] == "-quotes"
    setup.check()


def test_a_price_that_is_refused_for_good_is_reported() -> None:
    setup = spot()
    profit = turned(setup)
    setup.quote(0.89, 0.91)
    for _ in range(TRIES):
        setup.event(e.OrderModifyRejected, profit, code="", reason="not now")
    (failed,) = setup.failed
    assert failed.reason.startswith("a price of 0.89 was refused 3 times (not now), though the")


def test_where_orders_cannot_be_changed_the_take_profit_keeps_its_price() -> None:
    setup = spot(FIXED)
    turned(setup)
    setup.quote(0.89, 0.91)
    assert setup.sent[4:] == []


def test_an_entry_that_fills_in_parts_and_pays_in_kind_leaves_exits_of_what_is_held() -> None:
    setup = spot()
    entry, stop, profit = setup.submit_list(
        setup.desk.orders.bracket(PAIR.id, "buy", 10, stop_loss="0.90", take_profit="1.20")
    )
    setup.accept(entry)
    for number, quantity in enumerate((4, 6)):
        setup.event(
            e.OrderFilled,
            entry,
            account_id=entry.account_id,
            venue_order_id=VenueOrderId(entry.client_order_id),
            trade_id=TradeId(f"K{number}"),
            side=entry.side,
            order_type=entry.order_type,
            quantity=D(quantity),
            price=D(1),
            commission=D("0.01"),
            commission_currency=currency("AUD"),
            liquidity=LiquiditySide.TAKER,
        )
        if stop.status is OrderStatus.SUBMITTED:
            setup.accept(stop)
    assert setup.sent[1:] == ["sell 3 stop_market", "modify 9"]
    assert profit.quantity == 9
    venue_id = VenueOrderId(stop.client_order_id)
    setup.event(e.OrderUpdated, stop, venue_order_id=venue_id, quantity=D(9))
    setup.fill(stop, 9, "0.90")
    assert setup.core.cache.net_quantity(PAIR.id) == D("0.98")
    assert (profit.status, entry.is_closed) == (OrderStatus.CANCELED, True)
    assert setup.failed == []
    setup.check()

"""The cache: how orders and positions are filed, what of a book is ours, and what is forgotten."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.execution_fakes import ACCOUNT, OTHER, PAIR, Broker, D, Desk, Setup
from workbench.model import events as e
from workbench.model.data import Quote
from workbench.model.enums import OrderSide, OrderStatus
from workbench.model.errors import ThreadError
from workbench.model.identifiers import VenueOrderId
from workbench.model.orders import Order


def test_orders_are_filed_by_what_they_wait_for() -> None:
    setup = Setup()
    cache, desk = setup.cache, setup.desk
    new = desk.orders.limit(PAIR.id, "buy", 1, "1.0")
    cache.add_order(new)
    sent, resting, done = setup.submit(), setup.accepted(), setup.filled(10)
    setup.submitted(sent)
    held = desk.orders.limit(PAIR.id, "buy", 1, "1.0")
    cache.add_order(held)
    setup.event(e.OrderEmulated, held)
    mine = {"instrument_id": PAIR.id, "strategy_id": desk.strategy_id}
    for which in ({}, mine, {"instrument_id": PAIR.id}, {"strategy_id": desk.strategy_id}):
        assert cache.orders_initialized(**which) == [new]
        assert cache.orders_in_flight(**which) == [sent]
        assert cache.orders_open(**which) == [resting]
        assert cache.orders_emulated(**which) == [held]
        assert cache.orders_closed(**which) == [done]
        assert len(cache.orders(**which)) == 5
    for which in ({"instrument_id": OTHER.id}, {"strategy_id": "NOBODY"}):
        assert cache.orders_open(**which) == cache.orders_closed(**which) == []
    setup.event(e.OrderReleased, held, order_type=held.order_type, quantity=held.quantity)
    assert cache.orders_emulated() == [held]
    setup.submitted(held)
    assert (cache.orders_emulated(), cache.orders_in_flight()) == ([], [sent, held])


def test_an_emulated_order_is_told_of_once_though_it_is_sent_later() -> None:
    setup = Setup()
    order = setup.desk.orders.limit(PAIR.id, "buy", 1, "1.0")
    setup.cache.add_order(order)
    setup.event(e.OrderEmulated, order)
    setup.event(e.OrderReleased, order, order_type=order.order_type, quantity=order.quantity)
    setup.execution.execute(setup.submit_command(order))
    assert setup.desk.kinds() == ["OrderInitialized", "OrderEmulated", "OrderReleased"]
    assert setup.broker.kinds() == ["SubmitOrder"]


def test_an_order_is_found_by_the_id_its_venue_gave_it() -> None:
    setup = Setup()
    first = setup.accepted()
    assert first.venue_order_id is not None
    assert setup.cache.order_at_venue(PAIR.id, first.venue_order_id) is first
    second = setup.accepted()
    assert second.venue_order_id is not None
    assert setup.cache.order_at_venue(PAIR.id, second.venue_order_id) is second
    assert setup.cache.order_at_venue(OTHER.id, second.venue_order_id) is None
    assert setup.cache.order_at_venue(PAIR.id, VenueOrderId("X")) is None


# What of the book is ours


def levels(setup: Setup) -> tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]:
    own = setup.cache.own_orders(PAIR.id)
    return dict(own.bids), dict(own.asks)


@pytest.mark.parametrize("asked_first", [True, False])
def test_own_orders_are_what_rests_by_side_and_price(asked_first: bool) -> None:
    setup = Setup()
    if asked_first:
        assert levels(setup) == ({}, {})
    first, _, third = setup.accepted(10), setup.accepted(5), setup.accepted(7, "sell")
    setup.submit(100)
    assert levels(setup) == ({D("1.0"): 15}, {D("1.0"): 7})
    setup.fill(first, 4)
    assert levels(setup)[0] == {D("1.0"): 11}
    setup.event(e.OrderUpdated, first, price=D("0.9"), quantity=D(12))
    assert levels(setup)[0] == {D("1.0"): 5, D("0.9"): 8}
    setup.event(e.OrderCanceled, third)
    assert levels(setup)[1] == {}
    assert setup.cache.own_orders(PAIR.id).quantity_at(OrderSide.BUY, D("0.9")) == 8
    assert setup.cache.own_orders(PAIR.id).quantity_at(OrderSide.SELL, D("0.9")) == 0
    assert setup.cache.own_orders(OTHER.id).bids == {}


def test_a_stop_limit_is_in_the_book_once_it_was_triggered() -> None:
    setup = Setup()
    order = setup.desk.orders.stop_limit(PAIR.id, "buy", 10, "1.2", "1.15")
    setup.cache.add_order(order)
    setup.accept(order)
    assert levels(setup) == ({}, {})
    setup.event(e.OrderPendingUpdate, order)
    assert levels(setup) == ({}, {})
    setup.event(e.OrderUpdated, order, quantity=D(10))
    setup.event(e.OrderTriggered, order)
    assert levels(setup)[0] == {D("1.2"): 10}
    setup.event(e.OrderPendingCancel, order)
    assert levels(setup)[0] == {D("1.2"): 10}
    setup.fill(order, 4)
    assert levels(setup)[0] == {D("1.2"): 6}


def test_an_order_without_a_price_is_not_in_the_book() -> None:
    setup = Setup()
    order = setup.desk.orders.market(PAIR.id, "buy", 10)
    setup.cache.add_order(order)
    setup.accept(order)
    assert levels(setup) == ({}, {})


# Forgetting


def at(setup: Setup, ts: int, side: str = "buy", quantity: int = 10) -> Order:
    """Fill an order at a time."""
    order = setup.accepted(quantity, side)
    setup.fill(order, quantity, ts=ts)
    return order


def test_what_was_closed_before_a_time_is_forgotten_and_what_it_realised_stays() -> None:
    setup = Setup()
    first, second = at(setup, 10), at(setup, 20, "sell")
    third = at(setup, 30)
    realized = setup.core.portfolio.realized_pnl()
    purged = setup.core.purge(25)
    assert purged.orders == [first, second]
    assert [p.ts_closed for p in purged.positions] == [20]
    assert setup.cache.orders() == setup.cache.orders_closed() == [third]
    assert setup.cache.positions() == setup.cache.positions_open()
    assert setup.core.portfolio.realized_pnl() == realized != {}
    assert setup.core.purge(25).orders == []
    assert setup.cache.purged_before_ns == 25


def test_what_works_and_what_is_open_is_never_forgotten() -> None:
    setup = Setup()
    resting, sent = setup.accepted(), setup.submit()
    setup.submitted(sent)
    pending = setup.accepted()
    setup.desk.cancel_order(pending)
    setup.core.dispatcher.drain()
    new = setup.desk.orders.limit(PAIR.id, "buy", 1, "1.0")
    setup.cache.add_order(new)
    opened = at(setup, 5)
    assert setup.core.purge(10**18).orders == [opened]
    assert setup.cache.orders() == [resting, sent, pending, new]
    assert [p.signed_quantity for p in setup.cache.positions()] == [10]


def test_orders_that_are_kept_and_newer_ones_stay() -> None:
    setup = Setup()
    first, second, third = at(setup, 10), at(setup, 20), at(setup, 30)
    purged = setup.core.purge(30, keep={first.client_order_id})
    assert purged.orders == [second]
    assert setup.cache.orders() == [first, third]


def test_an_order_that_is_linked_to_one_that_works_stays() -> None:
    setup = Setup()
    bracket = setup.desk.orders.bracket(
        PAIR.id, "buy", 10, entry_price="1.0", stop_loss="0.9", take_profit="1.2"
    )
    for order in bracket:
        setup.cache.add_order(order)
        setup.accept(order)
    entry, stop, profit = bracket
    setup.fill(entry, 10, ts=5)
    setup.event(e.OrderCanceled, stop, 6)
    assert setup.core.purge(100).orders == []
    setup.fill(profit, 10, ts=7)
    assert setup.core.purge(100).orders == [entry, stop, profit]


def test_a_closed_position_stays_while_an_order_for_it_works() -> None:
    setup = Setup(Broker(management="hedging"))
    opened = setup.accepted(10)
    setup.fill(opened, 4, ts=5)
    name = str(opened.position_id)
    closing = setup.accepted(4, "sell", position_id=name)
    setup.fill(closing, 4, ts=6)
    assert setup.core.purge(100) == ([closing], [])
    setup.event(e.OrderCanceled, opened, 7)
    assert [p.position_id for p in setup.core.purge(100).positions] == [name]


def test_a_late_fill_of_a_forgotten_order_is_refused_and_reported() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.event(e.OrderCanceled, order, 5)
    setup.core.purge(100)
    setup.fill(order, 10)
    ((event, reason),) = setup.execution.refused_events
    assert isinstance(event, e.OrderFilled)
    assert reason == f"no order {order.client_order_id} is known (any more)"
    assert setup.cache.positions() == []


def test_a_fill_after_a_cancel_moves_the_order_to_the_end_of_what_is_closed() -> None:
    setup = Setup()
    first, second = setup.accepted(), setup.accepted()
    setup.event(e.OrderCanceled, first, 10)
    setup.event(e.OrderCanceled, second, 20)
    setup.fill(first, 4, ts=30)
    assert setup.cache.orders_closed() == [second, first]
    assert first.status is OrderStatus.CANCELED
    assert setup.core.purge(30).orders == [second]


def test_a_forgotten_order_is_found_by_no_id() -> None:
    setup = Setup()
    order = at(setup, 5)
    assert order.venue_order_id is not None
    assert setup.cache.order_at_venue(PAIR.id, order.venue_order_id) is order
    setup.core.purge(100)
    assert setup.cache.order_at_venue(PAIR.id, order.venue_order_id) is None
    assert setup.cache.order(order.client_order_id) is None


def test_only_the_nodes_own_thread_forgets() -> None:
    setup = Setup()
    setup.core.own_thread()
    setup.core._thread += 1  # as if this were another thread
    with pytest.raises(ThreadError, match=r"node\.call\(strategy\.core\.purge"):
        setup.core.purge(1)


def test_positions_of_two_strategies_are_told_apart_and_added_up() -> None:
    setup = Setup()
    first = setup.desk
    setup.filled(10)
    setup.desk = Desk()
    setup.core.add_actor(setup.desk)
    setup.desk.start()
    setup.filled(4, "sell")
    cache = setup.cache
    assert cache.net_quantity(PAIR.id) == cache.net_quantity(PAIR.id, account_id=ACCOUNT) == 6
    assert cache.net_quantity(PAIR.id, first.strategy_id) == 10
    assert cache.net_quantity(PAIR.id, account_id="SIM-009") == 0
    held = cache.position_of(PAIR.id, first.strategy_id)
    assert cache.positions_open(strategy_id=first.strategy_id) == [held]
    assert cache.positions_closed() == []
    assert cache.quote(PAIR.id) == Quote(PAIR.id, 1.0, 1.1, 1e6, 1e6, 1, 1)

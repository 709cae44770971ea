"""Fills beyond what was ordered, fills after a cancel, and fills that were told before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.execution_fakes import PAIR, D, Setup
from workbench.model import events as e
from workbench.model.enums import OrderStatus
from workbench.model.errors import DuplicateFillError, OrderStateError
from workbench.model.orders import Order


def allowing() -> tuple[Setup, list[Any]]:
    setup, told = Setup(allow_overfills=True), list[Any]()
    setup.core.bus.subscribe("events.overfilled.*", told.append)
    return setup, told


def test_an_overfill_counts_where_it_is_allowed_and_is_reported() -> None:
    setup, told = allowing()
    order = setup.accepted(10)
    setup.fill(order, 4, price=1)
    setup.fill(order, 8, price=2)
    assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, 12)
    assert (order.overfill_quantity, order.leaves_quantity) == (2, 0)
    assert order.average_price == (D(4) + 16) / 12
    assert setup.core.portfolio.net_position(PAIR.id) == 12
    ((event, sentence),) = told
    assert event.quantity == 8
    assert sentence.startswith(f"order {order.client_order_id} is for 10; with trade T2 12 are")
    assert setup.execution.overfills == told
    assert setup.cache.orders_open() == []


def test_a_fill_of_a_filled_order_is_an_overfill_too() -> None:
    setup, told = allowing()
    order = setup.filled(10)
    setup.fill(order, 3)
    assert (order.status, order.overfill_quantity, len(told)) == (OrderStatus.FILLED, 3, 1)
    assert setup.core.portfolio.net_position(PAIR.id) == 13


def test_an_overfill_after_a_cancel_fills_the_order() -> None:
    setup, _ = allowing()
    order = setup.accepted(10)
    setup.event(e.OrderCanceled, order)
    setup.fill(order, 11)
    assert (order.status, order.overfill_quantity) == (OrderStatus.FILLED, 1)


def test_a_duplicate_is_refused_though_overfills_are_allowed() -> None:
    setup, told = allowing()
    order = setup.accepted(10)
    setup.fill(order, 10, "T-1")
    setup.fill(order, 10, "T-1")
    assert (order.filled_quantity, told) == (10, [])
    assert "already holds a fill with trade id T-1" in setup.execution.refused_events[0][1]


def test_an_order_that_is_over_otherwise_takes_no_overfill() -> None:
    setup, told = allowing()
    order = setup.submit(10)
    setup.submitted(order)
    setup.event(e.OrderRejected, order, account_id=setup.broker.account_id, reason="no")
    setup.fill(order, 11)
    assert (order.status, order.filled_quantity, told) == (OrderStatus.REJECTED, 0, [])
    assert len(setup.execution.refused_events) == 1


def snapshot(order: Order) -> Any:
    return {name: getattr(order, name) for name in order.__struct_fields__ if name != "trade_ids"}


def test_a_refused_overfill_changes_nothing_of_the_order() -> None:
    setup = Setup()
    order = setup.accepted(10)
    setup.fill(order, 4, "T-1")
    before = snapshot(order), list(order.trade_ids)
    fill = next(x for x in setup.desk.heard if isinstance(x, e.OrderFilled))
    fields = {name: getattr(fill, name) for name in fill.__struct_fields__}
    with pytest.raises(DuplicateFillError):
        order.apply_overfill(fill)
    for quantity in ("6", "0", "-1"):
        again = e.OrderFilled(**{**fields, "trade_id": "T-2", "quantity": D(quantity)})
        with pytest.raises(OrderStateError, match="is no overfill"):
            order.apply_overfill(again)
    assert (snapshot(order), order.trade_ids) == before
    assert order.overfill_quantity == 0


def test_what_a_cancelled_order_did_not_fill_counts_as_open_no_longer() -> None:
    setup = Setup()
    order = setup.accepted(10)
    setup.event(e.OrderCanceled, order)
    setup.fill(order, 4)
    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELED, 4)
    assert (setup.cache.orders_open(), setup.cache.orders_closed()) == ([], [order])
    assert setup.desk.kinds()[-4:] == [
        *("OrderCanceled", "OrderFilled", "PositionOpened", "OrderCanceled"),
    ]
    assert order.reason == "it was cancelled before this fill came"
    setup.fill(order, 6)
    assert order.status is OrderStatus.FILLED
    assert setup.core.portfolio.net_position(PAIR.id) == 10


def test_only_the_newest_refusals_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.engines.execution.KEPT_REFUSALS", 3)
    setup = Setup()
    order = setup.accepted(10)
    for number in range(5):
        setup.fill(order, 20, f"T-{number}")
    kept = [event for event, _ in setup.execution.refused_events]
    assert [e_.trade_id for e_ in kept if isinstance(e_, e.OrderFilled)] == ["T-2", "T-3", "T-4"]

"""Which closed orders and positions may be forgotten: those that nothing refers to that works."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from workbench.model.identifiers import ClientOrderId
from workbench.model.orders import Order
from workbench.model.positions import Position

_T = TypeVar("_T", Order, Position)


class Purged(NamedTuple):
    """What was forgotten."""

    orders: list[Order]
    positions: list[Position]


def purgeable_orders(
    closed: Iterable[Order],
    closed_before_ns: int,
    working: Iterable[Order],
    orders: Mapping[ClientOrderId, Order],
    keep: Container[ClientOrderId],
) -> list[Order]:
    """Return the closed orders that may be forgotten.

    Args:
        closed: Closed orders, in the order they were closed.
        closed_before_ns: Those that were closed before this, nanoseconds.
        working: The orders that work; none that one of them is linked to is returned.
        orders: All orders by id; none is returned that is linked to one that is not closed.
        keep: Nor one of these.
    """
    linked = {one for order in working for one in _links(order)}
    return [
        order
        for order in _before(closed, closed_before_ns)
        if order.client_order_id not in linked
        and order.client_order_id not in keep
        and not any(_works(orders.get(one)) for one in _links(order))
    ]


def purgeable_positions(
    closed: Iterable[Position], closed_before_ns: int, working: Iterable[Order]
) -> list[Position]:
    """Return the closed positions that may be forgotten: to which no working order belongs.

    Args:
        closed: Closed positions, in the order they were closed.
        closed_before_ns: Those that were closed before this, nanoseconds.
        working: The orders that work.
    """
    named = {order.position_id for order in working}
    return [
        position
        for position in _before(closed, closed_before_ns)
        if position.position_id not in named
    ]


def _before(items: Iterable[_T], ts_ns: int) -> Iterator[_T]:
    """Go through what ended before a time, of items in the order they ended."""
    for item in items:
        if item.ts_last >= ts_ns:
            return
        yield item


def _links(order: Order) -> Iterator[ClientOrderId]:
    yield from order.terms.linked_order_ids
    if order.terms.parent_order_id is not None:
        yield order.terms.parent_order_id


def _works(order: Order | None) -> bool:
    return order is not None and not order.is_closed

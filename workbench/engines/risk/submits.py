"""What a submit is made of, and which of its orders a cancel or an end is for."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.model.commands import CancelAllOrders, CancelOrder, SubmitOrder, SubmitOrderList
from workbench.model.events import PLAIN, OrderInitialized

Submit = SubmitOrder | SubmitOrderList


def may_wait(order: OrderInitialized) -> bool:
    """Return whether an order has anything that could be watched on our side."""
    return order.terms is not PLAIN or order.trigger_price is not None


def is_emulated(order: OrderInitialized, _: Submit) -> bool:
    """Return whether an order names a trigger that is watched on our side."""
    return order.terms.emulation_trigger is not None


def orders_of(command: Submit) -> tuple[OrderInitialized, ...]:
    """Return the orders that a submit sends."""
    return (command.order,) if isinstance(command, SubmitOrder) else command.orders


def grows(submit: Submit) -> bool:
    """Return whether any of its orders may grow a position."""
    return not all(order.reduce_only for order in orders_of(submit))


def meant(submit: Submit, command: CancelOrder | CancelAllOrders) -> Iterator[OrderInitialized]:
    """Iterate over the orders of a submit that a cancel is for."""
    for order in orders_of(submit):
        if isinstance(command, CancelOrder):
            if order.client_order_id == command.client_order_id:
                yield order
        elif (
            order.strategy_id == command.strategy_id
            and order.instrument_id == command.instrument_id
            and command.side in (None, order.side)
        ):
            yield order

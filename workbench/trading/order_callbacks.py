"""Which of a strategy's callbacks takes which event of its orders and positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.model import events as e

Callbacks = dict[type, tuple[tuple[str, Callable[[Any], None]], ...]]
"""What takes each kind of event, in this order, with its name."""

_OF_ORDERS: dict[type[e.OrderEvent], str] = {
    e.OrderInitialized: "on_order_initialized",
    e.OrderDenied: "on_order_denied",
    e.OrderSubmitted: "on_order_submitted",
    e.OrderAccepted: "on_order_accepted",
    e.OrderRejected: "on_order_rejected",
    e.OrderCanceled: "on_order_canceled",
    e.OrderExpired: "on_order_expired",
    e.OrderTriggered: "on_order_triggered",
    e.OrderEmulated: "on_order_emulated",
    e.OrderReleased: "on_order_released",
    e.OrderPendingUpdate: "on_order_pending_update",
    e.OrderPendingCancel: "on_order_pending_cancel",
    e.OrderModifyRejected: "on_order_modify_rejected",
    e.OrderCancelRejected: "on_order_cancel_rejected",
    e.OrderUpdated: "on_order_updated",
    e.OrderFilled: "on_order_filled",
}
_OF_POSITIONS: dict[type[e.PositionEvent], str] = {
    e.PositionOpened: "on_position_opened",
    e.PositionChanged: "on_position_changed",
    e.PositionClosed: "on_position_closed",
}


def resolved(strategy: object, root: type) -> Callbacks:
    """Return what of a strategy takes each kind of event: what is its own, or its class's.

    Args:
        strategy: Whose.
        root: The class whose callbacks do nothing.
    """
    names: dict[type, tuple[str, str]] = {}
    names.update((kind, (name, "on_order_event")) for kind, name in _OF_ORDERS.items())
    names.update((kind, (name, "on_position_event")) for kind, name in _OF_POSITIONS.items())
    return {kind: _overridden(strategy, root, of_kind) for kind, of_kind in names.items()}


def _overridden(
    strategy: object, root: type, names: tuple[str, ...]
) -> tuple[tuple[str, Callable[[Any], None]], ...]:
    found = ((name, getattr(strategy, name), getattr(root, name)) for name in names)
    return tuple(
        (name, own) for name, own, empty in found if getattr(own, "__func__", own) is not empty
    )

"""Which of a strategy's orders leave, and where they go: by its state and its routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.model.commands import SubmitOrder
from workbench.model.events import OrderDenied, OrderInitialized, about
from workbench.model.orders import Order
from workbench.runtime.lifecycle import ComponentState
from workbench.trading.routes import Route

if TYPE_CHECKING:
    from workbench.trading.actor import Actor

_STOPPED = (ComponentState.STOPPED, ComponentState.FAULTED)


class Admission:
    """Lets a strategy's orders through, or denies them; one that has stopped may only reduce.

    Args:
        strategy: Whose, which is part of a core.
    """

    def __init__(self, strategy: Actor) -> None:
        self._strategy = strategy
        self._core = strategy.core

    def route(
        self, orders: Sequence[Order], client_id: str | None, account_id: str | None
    ) -> Route | None:
        """Return where orders go that are submitted together; None if nowhere, which is told."""
        if not all(map(self._may_send, orders)):
            denials = [self._stopped(order) for order in orders]
        else:
            route = self._core.routes.find(orders, client_id, account_id)
            if not route.code:
                return route
            denials = [self._denial(order, route.code, route.reason) for order in orders]
        for denial in denials:
            self._core.senders.exec_event.send(denial)
        return None

    def late_denial(self, command: SubmitOrder) -> OrderDenied | None:
        """Return what refuses an order that was held on our side, None where it may leave now.

        It was let through when it was given; since then its strategy may have stopped, or its route
        closed.
        """
        order = command.order
        if not self._may_send(order):
            return self._stopped(order)
        route = self._core.routes.find((order,), command.client_id, command.account_id)
        return self._denial(order, route.code, route.reason) if route.code else None

    def _may_send(self, order: Order | OrderInitialized) -> bool:
        return order.reduce_only or self._strategy.state not in _STOPPED

    def _stopped(self, order: Order | OrderInitialized) -> OrderDenied:
        strategy = self._strategy
        reason = f"{strategy.component_id} is {strategy.state.value}; only reduce-only orders pass"
        return self._denial(order, "STRATEGY_STOPPED", f"{reason} now")

    def _denial(self, order: Order | OrderInitialized, code: str, reason: str) -> OrderDenied:
        fields = about(order, self._core.clock.timestamp_ns())
        return OrderDenied(code=code, reason=reason, **fields)

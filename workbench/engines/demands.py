"""What contingencies followed on our side demand of orders at their venues.

Each demand is a command of our own, which no risk check sees. It is asked for until it is done:
again when it is refused, for an order that its venue had not accepted then once it has. What fills
before it arrives cannot be undone; if it may hurt (an order that its venue keeps from growing a
position cannot) it is reported, as is what was refused for good.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from workbench.engines.cache import Cache
from workbench.model.commands import CancelOrder, ModifyOrder, TradingCommand
from workbench.model.enums import ContingencyType, OrderStatus
from workbench.model.events import (
    OrderCancelRejected,
    OrderEvent,
    OrderFilled,
    OrderModifyRejected,
)
from workbench.model.identifiers import ClientOrderId, InstrumentId, StrategyId
from workbench.model.money import ZERO
from workbench.model.orders import Order
from workbench.runtime.clock import Clock

TRIES = 3
"""How often a demand is asked for before it counts as refused for good."""

_NOT_NOW = frozenset({OrderStatus.RELEASED, OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL})
"""While an order is so, what its venue refused is not asked for again."""


class ContingencyFailed(msgspec.Struct, frozen=True, kw_only=True):
    """What a contingency demands could not be done, or came too late."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    reason: str
    ts_event: int


class _Demand(msgspec.Struct, eq=False):
    """What is demanded of an order: another quantity or price, or (neither) its end.

    Attributes:
        reason: Why it is demanded.
        tries: How often it was asked for.
        is_due: It is to be asked for as soon as the order's state allows it.
        refusal: What the venue said last.
    """

    quantity: Decimal | None
    reason: str
    tries: int = 0
    is_due: bool = False
    refusal: str = ""
    price: Decimal | None = None

    @property
    def is_end(self) -> bool:
        """Return whether it is to end."""
        return self.quantity is None and self.price is None

    @property
    def asked(self) -> str:
        """Return what is asked for, in words."""
        if self.price is not None:
            return f"a price of {self.price}"
        return "a cancel" if self.quantity is None else f"a quantity of {self.quantity}"

    def is_asked_by(self, command: CancelOrder | ModifyOrder) -> bool:
        """Return whether a command asks for it."""
        if isinstance(command, CancelOrder):
            return self.is_end
        return (command.quantity, command.price) == (self.quantity, self.price)

    def is_met_by(self, order: Order) -> bool:
        """Return whether an order is what was demanded of it."""
        if self.price is not None:
            return self.price == order.price
        return self.quantity == order.quantity


class Demands:
    """Asks for what contingencies demand until it is done.

    Args:
        cache: What is known.
        clock: For the time of commands.
        send: Takes our commands; they come back by `take` before they leave.
        failed: Told of what could not be done.
        is_harmless: Whether an order's venue keeps it from growing a position.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        send: Callable[[TradingCommand], None],
        failed: Callable[[ContingencyFailed], None],
        is_harmless: Callable[[Order], bool],
    ) -> None:
        self._is_harmless = is_harmless
        self._cache = cache
        self._clock = clock
        self._send = send
        self._failed = failed
        self._demands: dict[ClientOrderId, _Demand] = {}
        self._sent: list[CancelOrder | ModifyOrder] = []

    def __contains__(self, client_order_id: ClientOrderId) -> bool:
        """Return whether something is demanded of an order."""
        return client_order_id in self._demands

    def leaves(self, order: Order) -> Decimal:
        """Return what an order has left to fill once what is demanded of it is done."""
        demand = self._demands.get(order.client_order_id)
        if demand is None:
            return order.leaves_quantity
        if demand.is_end:
            return ZERO
        quantity = order.quantity if demand.quantity is None else demand.quantity
        return max(ZERO, quantity - order.filled_quantity)

    def end(self, client_order_id: ClientOrderId, reason: str) -> None:
        """Demand that an order ends."""
        self._demand(client_order_id, _Demand(None, reason))

    def resize(self, client_order_id: ClientOrderId, quantity: Decimal, reason: str) -> None:
        """Demand that an order has another quantity."""
        self._demand(client_order_id, _Demand(quantity, reason))

    def reprice(self, client_order_id: ClientOrderId, price: Decimal, reason: str) -> None:
        """Demand that an order has another price."""
        self._demand(client_order_id, _Demand(None, reason, price=price))

    def _demand(self, key: ClientOrderId, demand: _Demand) -> None:
        self._demands.pop(key, None)
        order = self._cache.order(key)
        if order is not None and not order.is_closed:
            self._demands[key] = demand
            self._ask(order, demand)

    def _ask(self, order: Order, demand: _Demand) -> None:
        demand.tries += 1
        demand.is_due = False
        fields: dict[str, Any] = {
            "strategy_id": order.strategy_id,
            "instrument_id": order.instrument_id,
            "client_order_id": order.client_order_id,
            "ts_init": self._clock.timestamp_ns(),
        }
        if demand.is_end:
            command = CancelOrder(**fields)
        else:
            command = ModifyOrder(quantity=demand.quantity, price=demand.price, **fields)
        self._sent.append(command)
        self._send(command)

    # Commands

    def is_ours(self, command: TradingCommand) -> bool:
        """Return whether a command was sent from here, or one that is equal."""
        return command in self._sent

    def take(self, command: CancelOrder | ModifyOrder) -> bool:
        """Return whether a command that was sent from here is still to leave."""
        self._sent.remove(command)
        demand = self._demands.get(command.client_order_id)
        order = self._cache.order(command.client_order_id)
        if demand is None or order is None or not demand.is_asked_by(command):
            return False  # done, or something else is demanded by now
        # Another cancel may be on its way; should it be refused, this is asked for again.
        demand.is_due = order.status is OrderStatus.PENDING_CANCEL
        return not demand.is_due

    # Events

    def on_event(self, event: OrderEvent) -> None:
        """See what became of an order of which something is demanded."""
        demand = self._demands.get(event.client_order_id)
        order = self._cache.order(event.client_order_id)
        if demand is None or order is None:
            return
        if isinstance(event, OrderFilled) and not self._is_harmless(order):
            self._check_overtaken(order, demand, event)
        if order.is_closed or demand.is_met_by(order):
            del self._demands[order.client_order_id]
        elif demand.quantity is not None and order.filled_quantity >= demand.quantity:
            # More was filled than it should have been cut to: what is left must go.
            self.end(order.client_order_id, demand.reason)
        else:
            refused = OrderCancelRejected if demand.is_end else OrderModifyRejected
            if isinstance(event, refused):
                demand.is_due, demand.refusal = True, event.reason
            if demand.is_due and order.status not in _NOT_NOW:
                self._ask_again(order, demand)

    def _ask_again(self, order: Order, demand: _Demand) -> None:
        if demand.tries < TRIES:
            self._ask(order, demand)
            return
        del self._demands[order.client_order_id]
        self.fail(
            order,
            f"{demand.asked} was refused {TRIES} times ({demand.refusal}), though {demand.reason}",
        )

    def _check_overtaken(self, order: Order, demand: _Demand, fill: OrderFilled) -> None:
        if demand.is_end:
            what = "it was being cancelled"
        elif demand.quantity is not None and order.filled_quantity > demand.quantity:
            what = f"it was being cut to {demand.quantity}"
        else:
            return
        self.fail(order, f"{fill.quantity} of it filled while {what}: {demand.reason}")

    def check_late(self, fill: OrderFilled) -> None:
        """Report a parent that filled after its children had been cancelled on our side."""
        order = self._cache.order(fill.client_order_id)
        if order is None or order.contingency is not ContingencyType.OTO:
            return
        children = [self._cache.order(one) for one in order.linked_order_ids]
        left = [one for one in children if one is not None]
        if left and all(
            one.status is OrderStatus.CANCELED and one.account_id is None for one in left
        ):
            self.fail(order, f"{fill.quantity} of it filled after its children were cancelled")

    def fail(self, order: Order, reason: str) -> None:
        """Report what a contingency could not bring about."""
        self._failed(
            ContingencyFailed(
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                reason=reason,
                ts_event=self._clock.timestamp_ns(),
            )
        )

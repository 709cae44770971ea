"""Fills that were inferred from quantities, until the venue's own come and are found counted."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from workbench.model.errors import DuplicateFillError
from workbench.model.events import OrderFilled
from workbench.model.identifiers import ClientOrderId
from workbench.model.orders import Order


class InferredFills:
    """Keeps a fill from counting twice: once inferred, once when its own event comes late.

    A venue's fill of before the report that proved the inferred one is taken to be (a part of) it.

    Attributes:
        open: By order, what was inferred and not seen yet, and up to which time.
    """

    def __init__(self) -> None:
        self.open: dict[ClientOrderId, tuple[Decimal, int]] = {}

    def uncovered(self, order: Order, fill: OrderFilled) -> OrderFilled:
        """Return what of a fill is not counted yet: all of it for most.

        Raises:
            DuplicateFillError: If all of it is counted already.
        """
        counted, until = self.open.get(order.client_order_id, (Decimal(0), 0))
        is_late = bool(counted) and fill.ts_event <= until
        if fill.reconciliation or not is_late or fill.trade_id in order.trade_ids:
            return fill
        left = counted - fill.quantity
        if left >= 0:
            self._keep(order.client_order_id, left, until)
            raise DuplicateFillError(
                f"trade {fill.trade_id} of order {order.client_order_id} was counted before it"
                f" came: a fill of {counted} was inferred from the venue's quantities"
            )
        return msgspec.structs.replace(
            fill, quantity=-left, commission=fill.commission * -left / fill.quantity
        )

    def settle(self, fill: OrderFilled) -> None:
        """Note a fill, as it came, whose uncovered part was applied."""
        counted, until = self.open.get(fill.client_order_id, (Decimal(0), 0))
        if fill.reconciliation:
            self._keep(fill.client_order_id, counted + fill.quantity, fill.ts_event)
        elif counted and fill.ts_event <= until:
            self._keep(fill.client_order_id, Decimal(0), until)

    def _keep(self, client_order_id: ClientOrderId, quantity: Decimal, until: int) -> None:
        if quantity:
            self.open[client_order_id] = quantity, until
        else:
            self.open.pop(client_order_id, None)

    def forget(self, client_order_ids: Iterable[ClientOrderId]) -> None:
        """Note that these orders are known no longer."""
        if self.open:
            for client_order_id in client_order_ids:
                self.open.pop(client_order_id, None)

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
        if fill.reconciliation:
            if fill.trade_id not in order.trade_ids:
                before, _ = self.open.get(order.client_order_id, (Decimal(0), 0))
                self.open[order.client_order_id] = before + fill.quantity, fill.ts_event
            return fill
        counted, until = self.open.get(order.client_order_id, (Decimal(0), 0))
        if not counted or fill.ts_event > until or fill.trade_id in order.trade_ids:
            return fill
        left = counted - fill.quantity
        if left > 0:
            self.open[order.client_order_id] = left, until
        else:
            del self.open[order.client_order_id]
        if left >= 0:
            raise DuplicateFillError(
                f"trade {fill.trade_id} of order {order.client_order_id} was counted before it"
                f" came: a fill of {counted} was inferred from the venue's quantities"
            )
        return msgspec.structs.replace(
            fill, quantity=-left, commission=fill.commission * -left / fill.quantity
        )

    def forget(self, client_order_ids: Iterable[ClientOrderId]) -> None:
        """Note that these orders are known no longer."""
        if self.open:
            for client_order_id in client_order_ids:
                self.open.pop(client_order_id, None)

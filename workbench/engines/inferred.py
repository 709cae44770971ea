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
    """

    def __init__(self) -> None:
        # By order: what was inferred and not seen yet, up to which time.
        self._open: dict[ClientOrderId, tuple[Decimal, int]] = {}

    def __len__(self) -> int:
        """Return of how many orders inferred fills wait for the venue's own."""
        return len(self._open)

    def uncovered(self, order: Order, fill: OrderFilled) -> OrderFilled:
        """Return what of a fill is not counted yet: all of it for most.

        Raises:
            DuplicateFillError: If all of it is counted already.
        """
        if fill.reconciliation:
            if fill.trade_id not in order.trade_ids:
                before, _ = self._open.get(order.client_order_id, (Decimal(0), 0))
                self._open[order.client_order_id] = before + fill.quantity, fill.ts_event
            return fill
        counted, until = self._open.get(order.client_order_id, (Decimal(0), 0))
        if not counted or fill.ts_event > until or fill.trade_id in order.trade_ids:
            return fill
        left = counted - fill.quantity
        if left > 0:
            self._open[order.client_order_id] = left, until
        else:
            del self._open[order.client_order_id]
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
        if self._open:
            for client_order_id in client_order_ids:
                self._open.pop(client_order_id, None)

"""Orders that were cancelled and made anew: several at the exchange, one to the node.

The first leg has the order's own id, each that follows has it with a counter, `<id>.1`, `<id>.2`.
So the order can be put together again after a crash, from what the exchange has.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from workbench.model.enums import OrderStatus
from workbench.model.identifiers import ClientOrderId
from workbench.model.money import ZERO
from workbench.model.reports import OrderStatusReport

_LEG = re.compile(r"(O-.+)\.(\d{1,3})")


def base_of(client_order_id: ClientOrderId) -> tuple[ClientOrderId, int]:
    """Return the order that an id at the exchange is a leg of, and which leg.

    >>> base_of(ClientOrderId("O-200913122640123-001-1-17.2"))
    ('O-200913122640123-001-1-17', 2)
    """
    found = _LEG.fullmatch(client_order_id)
    if found is None:
        return client_order_id, 0
    return ClientOrderId(found[1]), int(found[2])


def leg_of(client_order_id: ClientOrderId, count: int) -> ClientOrderId:
    """Return the id of a leg."""
    return ClientOrderId(f"{client_order_id}.{count}") if count else client_order_id


class Legs:
    """What is known of orders that have more than one leg.

    Attributes:
        replacing: The orders whose present leg is being cancelled for a new one.
        sent_ns: When a leg was sent that was not answered.
    """

    def __init__(self) -> None:
        self.replacing: set[ClientOrderId] = set()
        self.sent_ns: dict[ClientOrderId, int] = {}
        self._filled_before: dict[ClientOrderId, dict[int, Decimal]] = {}
        self._newest: dict[ClientOrderId, int] = {}

    def newest(self, client_order_id: ClientOrderId) -> int:
        """Return the number of an order's newest leg."""
        return self._newest.get(client_order_id, 0)

    def begin(self, client_order_id: ClientOrderId, leg: int, filled_before: Decimal) -> None:
        """Take note of a leg, and what had filled in those before it."""
        self._filled_before.setdefault(client_order_id, {})[leg] = filled_before
        self._newest[client_order_id] = max(leg, self.newest(client_order_id))

    def withdraw(self, client_order_id: ClientOrderId, leg: int) -> None:
        """Take note that a leg does not exist."""
        self._filled_before.get(client_order_id, {}).pop(leg, None)
        self._newest[client_order_id] = leg - 1
        self.sent_ns.pop(client_order_id, None)

    def filled_before(self, client_order_id: ClientOrderId, leg: int) -> Decimal | None:
        """Return what had filled before a leg, None where that is not known."""
        return self._filled_before.get(client_order_id, {}).get(leg) if leg else ZERO

    def whole(self, report: OrderStatusReport) -> OrderStatusReport | None:
        """Return the report of a leg as one of the order; None if it is not to be told.

        That is so for a leg that ended because another follows it, and for one of which it is not
        known what had filled before it.
        """
        if report.client_order_id is None:
            return report
        base, leg = base_of(report.client_order_id)
        before = self.filled_before(base, leg)
        if before is None or leg < self.newest(base):
            return None
        has_ended = report.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED)
        if has_ended and base in self.replacing:
            return None
        if not leg:
            return report
        status, filled = report.status, report.filled_quantity + before
        if status is OrderStatus.ACCEPTED and filled:
            status = OrderStatus.PARTIALLY_FILLED
        return msgspec.structs.replace(
            report,
            client_order_id=base,
            status=status,
            quantity=report.quantity + before,
            filled_quantity=filled,
            average_price=None if before else report.average_price,
        )

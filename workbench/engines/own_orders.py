"""What of the market's book is ours: own orders that rest at a price, by side and price.

Kept up to date from the first time somebody asks for an instrument; before that it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from workbench.engines.triggers import AFTER_TRIGGER
from workbench.model.enums import OrderSide, OrderStatus, OrderType
from workbench.model.identifiers import ClientOrderId
from workbench.model.money import ZERO
from workbench.model.order_state import OPEN
from workbench.model.orders import Order

_TRIGGERED_FIRST = frozenset(
    kind for kind, after in AFTER_TRIGGER.items() if after is OrderType.LIMIT
)


class OwnOrders:
    """The own orders that rest in one instrument's book, as quantities by price.

    An order counts from its acceptance, one with a trigger once that was reached, with what is
    still to be filled. Orders without a price, and those whose trigger waits, are not in the book.

    Attributes:
        bids: Quantity by price of what buys.
        asks: Quantity by price of what sells.
    """

    def __init__(self, orders: Iterable[Order]) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self._filed: dict[ClientOrderId, tuple[OrderSide, Decimal, Decimal]] = {}
        for order in orders:
            self.update(order)

    def side(self, side: OrderSide) -> dict[Decimal, Decimal]:
        """Return the quantities by price of one side."""
        return self.bids if side is OrderSide.BUY else self.asks

    def quantity_at(self, side: OrderSide, price: Decimal) -> Decimal:
        """Return how much of a side and price is ours."""
        return self.side(side).get(price, ZERO)

    def update(self, order: Order) -> None:
        """File an order as it is now."""
        before = self._filed.pop(order.client_order_id, None)
        if before is not None:
            side, price, quantity = before
            levels = self.side(side)
            rest = levels[price] - quantity
            if rest:
                levels[price] = rest
            else:
                del levels[price]
        price = order.price
        if price is not None and _rests(order):
            levels = self.side(order.side)
            quantity = order.leaves_quantity
            levels[price] = levels.get(price, ZERO) + quantity
            self._filed[order.client_order_id] = order.side, price, quantity


def _rests(order: Order) -> bool:
    if order.status not in OPEN:
        return False
    if order.order_type not in _TRIGGERED_FIRST or order.filled_quantity:
        return True
    return OrderStatus.TRIGGERED in (order.status, order.status_before_pending)

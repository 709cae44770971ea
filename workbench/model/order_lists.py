"""Orders that are submitted together, and what they have to do with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from workbench.model.enums import ContingencyType, OrderStatus
from workbench.model.errors import ConfigError
from workbench.model.identifiers import OrderListId
from workbench.model.orders import Order


class OrderList:
    """Orders of one instrument that leave together or not at all.

    Args:
        order_list_id: Its name.
        orders: One or more new orders of one strategy and instrument, each once.

    Raises:
        ConfigError: If they do not fit together, or one was submitted before.
    """

    def __init__(self, order_list_id: OrderListId, orders: Sequence[Order]) -> None:
        _check(orders)
        self.order_list_id = order_list_id
        self.orders = tuple(orders)
        for order in orders:
            order.terms = msgspec.structs.replace(order.terms, order_list_id=order_list_id)

    def __iter__(self) -> Iterator[Order]:
        """Go through its orders."""
        return iter(self.orders)

    def __len__(self) -> int:
        """Return how many orders it holds."""
        return len(self.orders)

    def __getitem__(self, index: int) -> Order:
        """Return one of its orders."""
        return self.orders[index]

    def __repr__(self) -> str:
        """Return its id and what it holds."""
        kinds = ", ".join(f"{o.side.value} {o.order_type.value}" for o in self.orders)
        return f"{type(self).__name__}({self.order_list_id}: {kinds})"


class Bracket(OrderList):
    """An entry with its exits: they work once the entry fills, and a fill of one shrinks the other.

    Attributes:
        entry: The order that opens.
        stop_loss: Closes at a loss, or None.
        take_profit: Closes at a profit, or None.
    """

    def __init__(
        self,
        order_list_id: OrderListId,
        entry: Order,
        stop_loss: Order | None,
        take_profit: Order | None,
    ) -> None:
        self.entry = entry
        self.stop_loss = stop_loss
        self.take_profit = take_profit
        exits = [order for order in (stop_loss, take_profit) if order is not None]
        super().__init__(order_list_id, [entry, *exits])
        if len(exits) == 2:
            link(exits, ContingencyType.OUO)
        make_children(entry, exits)


def link(orders: Sequence[Order], contingency: ContingencyType) -> None:
    """Make orders siblings: OCO or OUO."""
    ids = tuple(order.client_order_id for order in orders)
    for order in orders:
        others = tuple(one for one in ids if one != order.client_order_id)
        order.terms = msgspec.structs.replace(
            order.terms, contingency=contingency, linked_order_ids=others
        )


def make_children(parent: Order, children: Sequence[Order]) -> None:
    """Make orders the children of an OTO: they work once the parent fills."""
    parent.terms = msgspec.structs.replace(
        parent.terms,
        contingency=ContingencyType.OTO,
        linked_order_ids=tuple(child.client_order_id for child in children),
    )
    for child in children:
        child.terms = msgspec.structs.replace(child.terms, parent_order_id=parent.client_order_id)


def _check(orders: Sequence[Order]) -> None:
    if not orders:
        raise ConfigError("an order list holds one order or more; got none")
    first = orders[0]
    if len({order.client_order_id for order in orders}) < len(orders):
        raise ConfigError("an order list holds each order once")
    for order in orders:
        if order.status is not OrderStatus.INITIALIZED or order.order_list_id is not None:
            raise ConfigError(
                f"order {order.client_order_id} was submitted or is of a list already; make a new"
                " one for each list"
            )
        if (order.instrument_id, order.strategy_id) != (first.instrument_id, first.strategy_id):
            raise ConfigError(
                "the orders of a list are of one instrument and strategy; got"
                f" {first.instrument_id} of {first.strategy_id} and {order.instrument_id} of"
                f" {order.strategy_id}"
            )

"""What is done to an order before its client gets it: whether it can have it, and which position.

One that only reduces leaves as a plain order where a client has no such orders; it is kept from
growing a position on our side (`workbench.engines.reduce_only`).

At a HEDGING client an order that names no position gets one of its own, an exit of an order list
that of the order it waits for. At a NETTING one there is nothing to name: what is named is checked
and left out.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.capabilities import ALL_CAPABILITIES
from workbench.engines.clients import ExecutionClient
from workbench.model.commands import SubmitOrder, SubmitOrderList
from workbench.model.enums import OrderManagement
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import PositionId
from workbench.model.positions import own_position_id

Submit = TypeVar("Submit", SubmitOrder, SubmitOrderList)


class Denial(NamedTuple):
    """Why a client cannot get an order."""

    code: str
    reason: str


class Placement:
    """Readies orders for their clients.

    Args:
        cache: Where orders and positions are.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def denial(self, client: ExecutionClient, order: OrderInitialized) -> Denial | None:
        """Return why a client cannot get an order, None if it can.

        Links and reduce-only that it lacks are carried out on our side, whoever sends the order on.
        """
        abilities = client.capabilities
        if abilities is not ALL_CAPABILITIES:
            lacking = abilities.missing(order) or abilities.trigger_to_emulate(order)
            if lacking:
                return Denial(
                    "CAPABILITY_MISSING", f"execution client {client.client_id}: {lacking}"
                )
        if order.position_id is not None:
            return self._check_position(client, order, order.position_id)
        return None

    def ready(self, client: ExecutionClient, order: OrderInitialized) -> OrderInitialized:
        """Return the order as the client gets it; the order kept here becomes the same."""
        if client.order_management is OrderManagement.HEDGING:
            position_id = order.position_id or self._default_position(order)
        else:
            position_id = None
        if position_id == order.position_id:
            return order
        kept = self._cache.order(order.client_order_id)
        if kept is not None:
            kept.position_id = position_id
        return msgspec.structs.replace(order, position_id=position_id)

    def plain(self, client: ExecutionClient, command: Submit) -> Submit:
        """Return a command as the client gets it: without reduce-only where it has none."""
        if isinstance(command, SubmitOrder):
            order = command.order
            if not order.reduce_only or client.capabilities.reduce_only:
                return command
            return msgspec.structs.replace(command, order=_plain(order))
        if client.capabilities.reduce_only:
            return command
        return msgspec.structs.replace(command, orders=tuple(map(_plain, command.orders)))

    def _default_position(self, order: OrderInitialized) -> PositionId:
        parent_id = order.terms.parent_order_id
        if parent_id is None or not order.reduce_only:
            return own_position_id(order.client_order_id)
        parent = self._cache.order(parent_id)
        named = None if parent is None else parent.position_id
        return named or own_position_id(parent_id)

    def _check_position(
        self, client: ExecutionClient, order: OrderInitialized, position_id: PositionId
    ) -> Denial | None:
        position = self._cache.position(position_id)
        if position is None:
            return Denial("POSITION_UNKNOWN", f"no position {position_id} is known")
        if not position.is_open:
            return Denial("POSITION_CLOSED", f"position {position_id} is closed")
        whose = (position.instrument_id, position.strategy_id, position.account_id)
        wanted = (order.instrument_id, order.strategy_id, client.account_id)
        if whose == wanted:
            return None
        return Denial(
            "POSITION_MISMATCH",
            f"position {position_id} is one of {whose[1]} in {whose[0]}, account {whose[2]}; the"
            f" order is of {wanted[1]} in {wanted[0]}, for account {wanted[2]}",
        )


def _plain(order: OrderInitialized) -> OrderInitialized:
    return msgspec.structs.replace(order, reduce_only=False) if order.reduce_only else order

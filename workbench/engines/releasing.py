"""What leaves of an order that was held, when what it waited for has come."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.emulation_needs import EmulationNeeds
from workbench.engines.held_orders import Held, bare_terms
from workbench.engines.triggers import AFTER_TRIGGER
from workbench.model.commands import SubmitOrder
from workbench.model.enums import OrderManagement
from workbench.model.events import OrderReleased, about
from workbench.model.identifiers import PositionId
from workbench.model.money import ZERO


class Releases:
    """Says how large a held order may be when it is released, and how it goes before risk again.

    Args:
        cache: What is known.
        needs: Knows the clients that commands are for.
    """

    def __init__(self, cache: Cache, needs: EmulationNeeds) -> None:
        self._cache = cache
        self._needs = needs

    def reducible(self, held: Held) -> Decimal:
        """Return how much a reduce-only order finds to reduce, in steps; of any other all of it.

        It may have waited for long, and what it protects been closed in part; risk would refuse all
        of it.
        """
        order = held.definition
        if not order.reduce_only:
            return held.quantity
        position_id = order.position_id or self._parents_position(held)
        if position_id is None:
            whose = self._cache.account_among(held.instrument.venue, *held.named)
            signed = self._cache.net_quantity(order.instrument_id, order.strategy_id, whose)
        else:
            position = self._cache.position(position_id)
            signed = ZERO if position is None else position.signed_quantity
        return held.instrument.quantity(-order.side.sign * signed)

    def command(self, held: Held, now_ns: int) -> SubmitOrder:
        """Return what puts an order before risk again: as it is now, and without its links."""
        order = self._cache.order(held.definition.client_order_id)
        assert order is not None
        definition = order.to_initialized()
        if definition.position_id is None:
            position_id = self._parents_position(held)
            definition = msgspec.structs.replace(definition, position_id=position_id)
        definition = msgspec.structs.replace(definition, terms=bare_terms(definition))
        return msgspec.structs.replace(held.command, order=definition, ts_init=now_ns)

    def _parents_position(self, held: Held) -> PositionId | None:
        """Return what an exit's parent opened, where positions are kept apart."""
        order = self._cache.order(held.definition.client_order_id)
        parent_id = None if order is None else order.parent_order_id
        parent = None if parent_id is None else self._cache.order(parent_id)
        if parent is None or not held.definition.reduce_only:
            return None
        client = self._needs.client(held.command)
        is_hedging = client is not None and client.order_management is OrderManagement.HEDGING
        return parent.position_id if is_hedging else None


def released(held: Held, price: Decimal | None, now_ns: int) -> OrderReleased:
    """Return what tells of a release, of what the order is now.

    Args:
        held: Which.
        price: By which its trigger was reached; None for one without.
        now_ns: For the event.
    """
    kind = held.definition.order_type
    return OrderReleased(
        order_type=kind if held.watch is None else AFTER_TRIGGER.get(kind, kind),
        quantity=held.quantity,
        price=held.price,
        released_price=price,
        **about(held.definition, now_ns),
    )

"""Closing at the market what a resting sale ties up, in a cash account.

A cash account has what it sells only once. A market order that only reduces goes before what rests
to do so: where both would sell the same it waits here, until what is in its way has been cut back
as far as it must, the newest first (where positions are kept apart, that of its own position). Like
any market order it is not among what "cancel all" ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from workbench.engines.cache import Cache
from workbench.engines.demands import Demands
from workbench.engines.emulation_needs import EmulationNeeds
from workbench.engines.held_orders import Held, Stage
from workbench.engines.reduce_only import age, linked, position_of
from workbench.model.commands import SubmitOrder
from workbench.model.enums import OrderSide, OrderType
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId
from workbench.model.money import ZERO
from workbench.model.orders import Order


class Closings:
    """Has what rests cut back for orders that close at the market.

    Args:
        cache: What is known.
        needs: Knows the clients that commands are for.
        held: The orders that are held.
        end: Ends an order, with the reason.
        resize: Gives an order another quantity, with the reason.
        demands: What is asked of orders, and was not refused for good.
    """

    def __init__(
        self,
        cache: Cache,
        needs: EmulationNeeds,
        held: Mapping[ClientOrderId, Held],
        end: Callable[[ClientOrderId, str], None],
        resize: Callable[[ClientOrderId, Decimal, str], None],
        demands: Demands,
    ) -> None:
        self._cache = cache
        self._needs = needs
        self._held = held
        self._end = end
        self._resize = resize
        self._demands = demands
        self._waiting: dict[ClientOrderId, None] = {}

    def is_in_the_way(self, command: SubmitOrder) -> bool:
        """Return whether what rests ties up what an order would close."""
        return bool(self._beyond(command))

    def make_room(self, held: Held) -> list[ClientOrderId]:
        """Have what rests cut back as far as it is in the way; return what is to end."""
        name = held.definition.client_order_id
        found = self._beyond(held.command)
        held.stage = Stage.CLEARING
        held.rivals = tuple(one.client_order_id for one, _ in found)
        self._waiting[name] = None
        client = self._needs.client(held.command)
        amends = client is not None and client.capabilities.amend
        ended: list[ClientOrderId] = []
        for order, left in found:
            if self._demands.leaves(order) <= left:
                continue  # asked of it already
            reason = f"{name} closes what it would sell"
            if left and amends and left >= (held.instrument.min_quantity or ZERO):
                self._resize(order.client_order_id, order.filled_quantity + left, reason)
            else:
                ended.append(order.client_order_id)
                self._end(order.client_order_id, reason)
        return ended

    def is_market(self, held: Held) -> bool:
        """Return whether a held order is one that closes, and only waits until it may leave."""
        return held.watch is None and _closes(held.command.order)

    def settled(self) -> list[Held]:
        """Return the orders that may leave now; what is still in their way is for risk to see."""
        if not self._waiting:
            return []
        found: list[Held] = []
        for name in list(self._waiting):
            held = self._held.get(name)
            if held is not None:
                beyond = self._beyond(held.command)
                if any(one.client_order_id in self._demands for one, _ in beyond):
                    continue
                found.append(held)
            del self._waiting[name]
        return found

    def is_awaited(self, client_order_id: ClientOrderId) -> bool:
        """Return whether an order is in the way of one that waits."""
        return any(
            client_order_id in held.rivals
            for name in self._waiting
            if (held := self._held.get(name)) is not None
        )

    def is_under_way(self, order: OrderInitialized | Order) -> bool:
        """Return whether something closes at the market what an order would sell."""
        book = self._cache.book(order.instrument_id, order.strategy_id)
        return any(
            _closes(one) for one in {**book.emulated, **book.in_flight, **book.open}.values()
        )

    def _beyond(self, command: SubmitOrder) -> list[tuple[Order, Decimal]]:
        """Return what rests in the way of an order that closes, and what each may have left."""
        order = command.order
        if not _closes(order):
            return []
        client = self._needs.client(command)
        if client is None or not self._needs.is_cash(client):
            return []
        account_id = client.account_id
        instrument = self._cache.require_instrument(order.instrument_id)
        book = self._cache.book(order.instrument_id, order.strategy_id)
        working = {**book.emulated, **book.open, **book.in_flight}
        working.pop(order.client_order_id, None)
        sales = [
            one
            for one in working.values()
            if one.reduce_only
            and one.side is OrderSide.SELL
            and one.account_id in (None, account_id)
        ]
        resting = [
            one
            for one in sales
            if one.order_type is not OrderType.MARKET and one.account_id == account_id
        ]
        # Beside it others may be closing.
        excess = order.quantity + sum(
            one.leaves_quantity for one in sales if one.order_type is OrderType.MARKET
        )
        excess -= self._cache.net_quantity(order.instrument_id, order.strategy_id, account_id)
        position_id = position_of(self._cache, client, order)

        def rank(one: Order) -> tuple[bool, tuple[int, int, str]]:
            return position_of(self._cache, client, one) == position_id, age(one)

        groups = linked(sorted(resting, key=rank))
        sizes = [max(one.leaves_quantity for one in group) for group in groups]
        excess = sum(sizes, excess)
        found: list[tuple[Order, Decimal]] = []
        for group, size in zip(reversed(groups), reversed(sizes), strict=True):
            if excess > 0:
                left = instrument.quantity(max(ZERO, size - excess))
                excess -= size - left
                found.extend((one, left) for one in group if one.leaves_quantity > left)
        return found


def _closes(order: OrderInitialized | Order) -> bool:
    """Return whether an order sells at the market what is held; linked ones are no such orders."""
    return (
        order.reduce_only
        and order.order_type is OrderType.MARKET
        and order.side is OrderSide.SELL
        and order.terms.contingency is None
    )

"""Linked sales of what a cash account holds: one rests at the venue, the others wait here.

A cash account has what it sells only once: a venue that does not know that two orders are linked
refuses the second, though only one of them can fill. So of the linked sales (OCO, OUO) of a list
whose links are followed on our side, one leaves, and the others are held as EMULATED, watching
their triggers, a LIMIT its limit.

Which one rests: the stop. It is what must not be missed: a node that died, or a loop that a cell
keeps busy, does not watch, and a stop at the venue protects all the same. What a take-profit that
waits here loses is its place in the book: it leaves once the market has reached its limit, and the
stop is no more. Should the market turn before all of it has filled, and come to where the stop was,
what is left is given the market's price instead, again and again until it is sold: that is watched
here (of a STOP_MARKET or STOP_LIMIT at a venue that can change orders). Who would rather have it
the other way round gives the stop an `emulation_trigger`: what is watched here anyway is held, and
the take-profit rests. A `post_only` order could not leave once the market is there: it rests too.

When a held one's trigger is reached, what rests is cancelled first; the held one is released when
the venue has confirmed that, for as much as its links have left it: a fill that came before shrinks
it (OUO) or ends it (OCO). Where the venue refuses the cancel for good, it is watched again.

A node that goes on after another's end watches what waited, or lets it leave if what rested is over
(`workbench.engines.resuming`); it does not watch for a stop whose place was taken before.

A market order that only reduces goes before what rests to do so. Where both would sell the same it
waits here too, until what is in its way has been cut back as far as it must, the newest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.capabilities import Capabilities
from workbench.engines.clients import ExecutionClient
from workbench.engines.emulation_needs import WATCHABLE, EmulationNeeds, trigger_type
from workbench.engines.held_orders import Held, Stage, watch_of
from workbench.engines.reduce_only import age
from workbench.engines.triggers import STOPS, TOUCHES, TRAILING, Watch
from workbench.model.commands import SubmitOrder
from workbench.model.enums import AccountType, ContingencyType, OrderSide, OrderType, TriggerType
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.model.orders import Order

_SIBLINGS = (ContingencyType.OCO, ContingencyType.OUO)


class StandIn(msgspec.Struct, eq=False):
    """A stop that was cancelled for another order, whose trigger is watched in its place.

    Attributes:
        definition: Of the stop.
        watch: Its trigger.
        successor: The order that took its place.
    """

    definition: OrderInitialized
    instrument: Instrument
    watch: Watch | None
    sequence: int
    successor: ClientOrderId
    since_ns: int = 0


class SharedHoldings:
    """Says what of a list waits here, and has what rests end before that takes its place.

    Args:
        cache: What is known.
        needs: Knows the clients that commands are for.
        held: The orders that are held.
        end: Ends an order, with the reason.
        resize: Gives an order another quantity, with the reason.
        is_ending: Whether an order's end was asked for, and not refused for good.
    """

    def __init__(
        self,
        cache: Cache,
        needs: EmulationNeeds,
        held: Mapping[ClientOrderId, Held],
        end: Callable[[ClientOrderId, str], None],
        resize: Callable[[ClientOrderId, Decimal, str], None],
        is_ending: Callable[[ClientOrderId], bool],
    ) -> None:
        self._cache = cache
        self._held = held
        self._needs = needs
        self._end = end
        self._resize = resize
        self._is_ending = is_ending
        self._ended_here: set[ClientOrderId] = set()
        self._stood_in: dict[ClientOrderId, StandIn] = {}
        self._waiting: dict[ClientOrderId, Decimal | None] = {}

    # What waits here

    def watched(
        self, client: ExecutionClient, orders: Sequence[OrderInitialized]
    ) -> dict[ClientOrderId, TriggerType]:
        """Return which orders of a list are watched here, and by which price.

        Those whose triggers the client does not take, or that ask for it, and those that would tie
        up what another one does.
        """
        capabilities = client.capabilities
        found = {
            order.client_order_id: by
            for order in orders
            if (by := trigger_type(order, capabilities)) is not None
        }
        if self._is_cash(client):
            for group in _groups(orders):
                found.update(_held_of(group, capabilities))
        return found

    def rivals(
        self, client: ExecutionClient, order: OrderInitialized, orders: Sequence[OrderInitialized]
    ) -> tuple[ClientOrderId, ...]:
        """Return the orders of a list that tie up the same, and must end before this one leaves."""
        if not self._is_cash(client):
            return ()
        for group in _groups(orders):
            names = [one.client_order_id for one in group]
            if order.client_order_id in names:
                return tuple(one for one in names if one != order.client_order_id)
        return ()

    def _is_cash(self, client: ExecutionClient) -> bool:
        account = self._cache.account(client.account_id)
        return account is not None and account.account_type is AccountType.CASH

    # Taking the place of what rests

    def must_wait(self, held: Held, price: Decimal | None) -> bool:
        """Return whether something must end before an order leaves; it is asked to, then.

        Args:
            held: Whose trigger was reached.
            price: By this price.
        """
        name = held.definition.client_order_id
        working = [one for one in held.rivals if self._works(one)]
        if not working:
            return False
        for one in working:
            if one in self._held:
                self._ended_here.add(one)  # at once: nothing is to be confirmed
            self._end(one, f"{name}, which it is linked to, was triggered and takes its place")
        if not any(self._works(one) for one in working):
            return False
        held.stage = Stage.CLEARING
        self._waiting[name] = price
        return True

    def is_awaited(self, client_order_id: ClientOrderId) -> bool:
        """Return whether an order waits for the end of another one."""
        return any(
            client_order_id in held.rivals
            for name in self._waiting
            if (held := self._held.get(name)) is not None
        )

    def settled(self) -> list[tuple[Held, Decimal | None]]:
        """Return the orders that wait no longer, each with the price that reached its trigger.

        Those whose rivals are over may leave: one of those that are rivals. The others, whose
        rivals go on, are WATCHED again.
        """
        found: list[tuple[Held, Decimal | None]] = []
        for name, price in list(self._waiting.items()):
            held = self._held.get(name)
            if held is None or held.stage is not Stage.CLEARING:
                del self._waiting[name]
                continue
            if held.watch is None:
                working = [one.client_order_id for one, _ in self._beyond(held.command)]
            else:
                working = [one for one in held.rivals if self._works(one)]
            if any(self._is_ending(one) for one in working):
                continue
            del self._waiting[name]
            # What closes and is still in the way of others is for risk to refuse.
            goes_on = working and held.watch is not None
            held.stage = Stage.WATCHED if goes_on else Stage.RELEASING
            found.append((held, price))
        return found

    # What became of the stop

    def stand_ins(self, held: Held) -> list[StandIn]:
        """Return what is to be watched for the stops whose place an order takes."""
        client = self._needs.client(held.command)
        if held.watch is None or client is None or not client.capabilities.amend:
            return []
        name, found = held.definition.client_order_id, list[StandIn]()
        for rival in held.rivals:
            order = self._cache.order(rival)
            if order is None or order.order_type not in STOPS or not order.leaves_quantity:
                continue
            if not (order.is_closed or rival in self._ended_here):
                continue  # it waits here, and is watched as what it is
            definition = order.to_initialized()
            by = definition.terms.trigger_type
            if held.definition.order_type is OrderType.LIMIT:
                watch = watch_of(definition, by, held.instrument)
                found.append(StandIn(definition, held.instrument, watch, held.sequence, name))
        self._stood_in.update((one.successor, one) for one in found)
        return found

    def stand_in_of(self, successor: ClientOrderId) -> StandIn | None:
        """Return what stands in for the stop whose place an order took; once it is over."""
        order = self._cache.order(successor)
        if successor not in self._stood_in or order is None or not order.is_closed:
            return None
        return self._stood_in.pop(successor)

    def turned(self, stand_in: StandIn, price: Decimal) -> tuple[ClientOrderId, Decimal] | None:
        """Return the order that is to have the market's price, and that price; None if it has it.

        Args:
            stand_in: Whose trigger was reached.
            price: By this price.
        """
        order = self._cache.order(stand_in.successor)
        if order is None or not order.is_open or self._is_ending(order.client_order_id):
            return None
        if order.price is None or order.price <= price:
            return None
        return order.client_order_id, price

    # Closing at the market

    def is_in_the_way(self, command: SubmitOrder) -> bool:
        """Return whether what rests ties up what an order would close at the market."""
        return bool(self._beyond(command))

    def make_room(self, held: Held) -> None:
        """Have what rests cut back as far as it is in the way of an order that closes."""
        name = held.definition.client_order_id
        found = self._beyond(held.command)
        held.stage = Stage.CLEARING
        held.rivals = tuple(one.client_order_id for one, _ in found)
        self._waiting[name] = None
        client = self._needs.client(held.command)
        amends = client is not None and client.capabilities.amend
        for order, left in found:
            reason = f"{name} closes what it would sell"
            if left and amends and left >= (held.instrument.min_quantity or ZERO):
                self._resize(order.client_order_id, order.filled_quantity + left, reason)
            else:
                self._end(order.client_order_id, reason)

    def _beyond(self, command: SubmitOrder) -> list[tuple[Order, Decimal]]:
        """Return what rests in the way of an order that closes, and what each may have left."""
        order = command.order
        if not (order.reduce_only and order.order_type is OrderType.MARKET):
            return []
        client = self._needs.client(command)
        if client is None or client.capabilities.reduce_only or not self._is_cash(client):
            return []
        whose = order.strategy_id, client.account_id
        instrument = self._cache.require_instrument(order.instrument_id)
        book = self._cache.book(order.instrument_id, order.strategy_id)
        resting = [
            one
            for one in {**book.open, **book.in_flight}.values()
            if one.reduce_only
            and one.side is order.side is OrderSide.SELL
            and one.order_type is not OrderType.MARKET
            and one.account_id == client.account_id
        ]
        excess = sum((one.leaves_quantity for one in resting), order.quantity)
        excess -= self._cache.net_quantity(order.instrument_id, *whose)
        found: list[tuple[Order, Decimal]] = []
        for one in sorted(resting, key=age, reverse=True):
            if excess > 0:
                left = instrument.quantity(max(ZERO, one.leaves_quantity - excess))
                excess -= one.leaves_quantity - left
                found.append((one, left))
        return found

    def _works(self, name: ClientOrderId) -> bool:
        """Return whether an order is at the venue, or on its way there."""
        order = self._cache.order(name)
        if order is None or order.is_closed or name in self._ended_here:
            return False
        held = self._held.get(name)
        if held is None or held.stage is Stage.RELEASING:
            return True
        return held.stage is Stage.WAITING and held.watch is None


def _groups(orders: Iterable[OrderInitialized]) -> list[list[OrderInitialized]]:
    """Return the sales of a list that are linked to each other, in the order of the list."""
    groups: list[list[OrderInitialized]] = []
    for order in orders:
        if order.side is not OrderSide.SELL or order.terms.contingency not in _SIBLINGS:
            continue
        mine = [group for group in groups if any(_are_linked(one, order) for one in group)]
        groups = [group for group in groups if group not in mine]
        groups.append([*(one for group in mine for one in group), order])
    return [group for group in groups if len(group) > 1]


def _are_linked(one: OrderInitialized, other: OrderInitialized) -> bool:
    return one.instrument_id == other.instrument_id and (
        other.client_order_id in one.terms.linked_order_ids
        or one.client_order_id in other.terms.linked_order_ids
    )


def _held_of(
    group: Sequence[OrderInitialized], capabilities: Capabilities
) -> dict[ClientOrderId, TriggerType]:
    """Return which of linked sales wait beside the one that rests."""
    leaving = [order for order in group if trigger_type(order, capabilities) is None]
    resting = [one for one in leaving if one.post_only or one.order_type not in WATCHABLE]
    if not resting and leaving:
        resting = [min(leaving, key=_rank)]
    return {
        one.client_order_id: one.terms.trigger_type
        for one in leaving
        if not any(one is other for other in resting)
    }


def _rank(order: OrderInitialized) -> int:
    """Return what rests first: the lowest, of equal ones the first of the list."""
    if order.order_type in STOPS or order.order_type in TRAILING:
        return 0
    return 2 if order.order_type in TOUCHES else 1

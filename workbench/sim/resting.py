"""The orders that wait at the venue: limits for their price, stops and the like for their trigger.

Whatever the side, an order waits for a price to rise or to fall to its own. Four ladders, buy and
sell, up and down, keep them nearest first, then first-in first-out; four floats tell whether a
quote can reach any of them, which is all that most quotes are asked.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from workbench.engines.triggers import ON_BID_ASK, Watch, make_watch, whole_ticks
from workbench.model.enums import OrderSide, OrderType
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId, VenueOrderId
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO

_BEYOND_ROUNDING = 0.500001  # of a tick: a price rounds to a tick from half a tick away


class VenueOrder(msgspec.Struct, eq=False, gc=False):
    """An order as the venue has it.

    Attributes:
        definition: As it came.
        order_type: What it is now: a stop whose trigger was reached is a market order.
        ticks: Its limit in ticks, 0 without one.
        watch: Its trigger, None without one or once it was reached.
        rank: Where it stands in its ladder.
        armed_ns: When the session opened that it waited for.
    """

    definition: OrderInitialized
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId
    sequence: int
    side: OrderSide
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    ticks: int
    trigger_price: Decimal | None = None
    watch: Watch | None = None
    filled: Decimal = ZERO
    is_accepted: bool = False
    is_over: bool = False
    rank: int = 0
    armed_ns: int = 0

    @property
    def is_triggered(self) -> bool:
        """Return whether its trigger was reached and it is a limit order now."""
        return self.trigger_price is not None and self.order_type is OrderType.LIMIT

    @property
    def leaves(self) -> Decimal:
        """Return what is still to be filled."""
        return self.quantity - self.filled


def venue_order(
    definition: OrderInitialized,
    venue_order_id: VenueOrderId,
    sequence: int,
    instrument: Instrument,
) -> VenueOrder:
    """Return a new order as the venue keeps it."""
    return VenueOrder(
        definition=definition,
        client_order_id=definition.client_order_id,
        venue_order_id=venue_order_id,
        sequence=sequence,
        side=definition.side,
        order_type=definition.order_type,
        quantity=definition.quantity,
        price=definition.price,
        ticks=exact_ticks(definition.price, instrument),
        trigger_price=definition.trigger_price,
    )


def exact_ticks(price: Decimal | None, instrument: Instrument) -> int:
    """Return an exact price as whole ticks, 0 for none."""
    return 0 if price is None else whole_ticks(price, instrument)


def watch_of(order: VenueOrder, instrument: Instrument) -> Watch:
    """Return the watch of an order's trigger as it is now."""
    price = order.trigger_price
    trigger = None if price is None else exact_ticks(price, instrument)
    return make_watch(order.side, order.order_type, trigger, order.definition.terms, instrument)


class Ladder:
    """Orders that wait for a price to rise (or fall) to theirs, nearest first.

    Args:
        rises: Whether the price has to rise.
    """

    __slots__ = ("_entries", "rises")

    def __init__(self, rises: bool) -> None:
        self.rises = rises
        self._entries: list[tuple[int, int, VenueOrder]] = []

    def add(self, order: VenueOrder, ticks: int) -> bool:
        """Put an order in; return whether it is the nearest."""
        order.rank = ticks if self.rises else -ticks
        entry = (order.rank, order.sequence, order)
        insort(self._entries, entry)
        return self._entries[0] is entry

    def remove(self, order: VenueOrder) -> bool:
        """Take an order out; return whether it was the nearest."""
        index = bisect_left(self._entries, (order.rank, order.sequence))
        del self._entries[index]
        return index == 0

    @property
    def nearest(self) -> int | None:
        """Return the ticks of the nearest order."""
        if not self._entries:
            return None
        rank = self._entries[0][0]
        return rank if self.rises else -rank

    def reached(self, ticks: int) -> list[VenueOrder]:
        """Return the orders that a price of so many ticks reaches, in order."""
        rank = ticks if self.rises else -ticks
        end = bisect_right(self._entries, (rank, math.inf))
        return [order for _, _, order in self._entries[:end]]


class Resting:
    """All orders that wait in one instrument.

    Args:
        instrument: Whose ticks they are counted in.

    Attributes:
        orders: All of them.
        watched: Those that every price must be shown to: trailing stops, and triggers that do not
            go by bid and ask.
        parked: Those that wait for a time: for the session's opening or close, or their parent.
        armed: Those parked that trade at the next price.
        ask_floor, ask_ceiling: An ask between them reaches no buy order.
        bid_floor, bid_ceiling: A bid between them reaches no sale.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.orders: dict[ClientOrderId, VenueOrder] = {}
        self.watched: dict[ClientOrderId, VenueOrder] = {}
        self.parked: dict[ClientOrderId, VenueOrder] = {}
        self.armed: list[VenueOrder] = []
        self.ask_floor = self.bid_floor = -math.inf
        self.ask_ceiling = self.bid_ceiling = math.inf
        self._instrument = instrument
        self._ladders = {(side, rises): Ladder(rises) for side in OrderSide for rises in _WAYS}
        self._in: dict[ClientOrderId, Ladder] = {}

    def __contains__(self, client_order_id: ClientOrderId) -> bool:
        """Return whether an order waits here."""
        return client_order_id in self.orders

    def __iter__(self) -> Iterator[VenueOrder]:
        """Go through the orders, oldest first."""
        return iter(list(self.orders.values()))

    def add(self, order: VenueOrder) -> None:
        """Let an order wait for its price or trigger."""
        key = order.client_order_id
        self.orders[key] = order
        watch = order.watch
        if watch is None:
            rises, ticks = order.side is OrderSide.SELL, order.ticks
        elif watch.offset is None and watch.trigger_type in ON_BID_ASK:
            rises, ticks = watch.rises, watch.trigger or 0
        else:
            self.watched[key] = order
            return
        ladder = self._in[key] = self._ladders[order.side, rises]
        if ladder.add(order, ticks):
            self._set_bound(order.side, rises)

    def park(self, order: VenueOrder) -> None:
        """Let an order wait for a time or for its parent."""
        self.orders[order.client_order_id] = order
        self.parked[order.client_order_id] = order

    def is_parked(self, order: VenueOrder) -> bool:
        """Return whether an order waits for a time or for its parent, armed or not."""
        return order.client_order_id in self.parked or order in self.armed

    def arm(self, order: VenueOrder, at_ns: int) -> None:
        """Let a parked order trade at the next price from a time on."""
        del self.parked[order.client_order_id]
        order.armed_ns = at_ns
        self.armed.append(order)

    def take_armed(self, now_ns: int | None = None) -> list[VenueOrder]:
        """Return the orders that trade now, which wait no longer; None for all."""
        ready = [one for one in self.armed if now_ns is None or one.armed_ns <= now_ns]
        for order in ready:
            self.armed.remove(order)
            del self.orders[order.client_order_id]
        return ready

    def awaits_price(self, order: VenueOrder) -> bool:
        """Return whether an order waits for a price, not for a time or its parent."""
        key = order.client_order_id
        return key in self._in or key in self.watched

    def discard(self, order: VenueOrder) -> bool:
        """Take an order out; return whether it was here."""
        key = order.client_order_id
        if self.orders.pop(key, None) is None:
            return False
        ladder = self._in.pop(key, None)
        if ladder is not None:
            if ladder.remove(order):
                self._set_bound(order.side, ladder.rises)
        elif self.watched.pop(key, None) is None and self.parked.pop(key, None) is None:
            self.armed = [one for one in self.armed if one is not order]
        return True

    def redefine(self, instrument: Instrument) -> None:
        """Count in the ticks of an instrument's newer definition."""
        waiting = [order for order in self if self.awaits_price(order)]
        for order in waiting:
            self.discard(order)
        self._instrument = instrument
        for order in (*waiting, *self.parked.values(), *self.armed):
            order.ticks = exact_ticks(order.price, instrument)
            before = order.watch
            if before is not None:
                order.watch = watch_of(order, instrument)
                order.watch.was_reached = before.was_reached
                if before.activation is None:
                    order.watch.activation = None
        for order in waiting:
            self.add(order)

    def reached(self, side: OrderSide, ticks: int) -> list[VenueOrder]:
        """Return the orders of a side that its price reaches; those of the ladders only."""
        return [order for rises in _WAYS for order in self._ladders[side, rises].reached(ticks)]

    def _set_bound(self, side: OrderSide, rises: bool) -> None:
        nearest = self._ladders[side, rises].nearest
        size = self._instrument.tick_size
        if rises:
            bound = math.inf if nearest is None else (nearest - _BEYOND_ROUNDING) * size
            if side is OrderSide.BUY:
                self.ask_ceiling = bound
            else:
                self.bid_ceiling = bound
        else:
            bound = -math.inf if nearest is None else (nearest + _BEYOND_ROUNDING) * size
            if side is OrderSide.BUY:
                self.ask_floor = bound
            else:
                self.bid_floor = bound


_WAYS = (True, False)

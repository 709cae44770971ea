"""The shelf that orders wait on: each is put there, changed, watched, ended or released.

What an order waits for, and what its release or end means for others, is not known here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from workbench.engines.cache import Cache
from workbench.engines.emulation_ports import Outlets, Venues
from workbench.engines.held_orders import Held, Stage, make_held
from workbench.engines.releasing import released
from workbench.engines.triggers import limit_behind
from workbench.engines.watching import MarketWatch
from workbench.model.commands import ModifyOrder, SubmitOrder
from workbench.model.enums import OrderType, TimeInForce, TriggerType
from workbench.model.events import (
    OrderCanceled,
    OrderEmulated,
    OrderExpired,
    OrderInitialized,
    OrderUpdated,
    TimeEvent,
    about,
)
from workbench.model.identifiers import ClientOrderId
from workbench.runtime.clock import Clock


class Shelf:
    """Keeps the orders that are held, with their triggers and their times in force.

    Args:
        cache: Where instruments are.
        clock: For times in force.
        venues: Know when a day ends.
        outlets: Where events go.
        watch: Watches triggers.

    Attributes:
        held: What is on it.
        dropped: Orders that ended while they were on their way through risk.
    """

    def __init__(
        self, cache: Cache, clock: Clock, venues: Venues, outlets: Outlets, watch: MarketWatch
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._venues = venues
        self._outlets = outlets
        self._watch = watch
        self._count = 0
        self.held: dict[ClientOrderId, Held] = {}
        self.dropped: set[ClientOrderId] = set()

    def put(
        self,
        command: SubmitOrder,
        watched_by: TriggerType | None,
        rivals: tuple[ClientOrderId, ...] = (),
        *,
        waits: bool = False,
    ) -> Held:
        """Hold an order.

        Args:
            command: It came with, as an order of its own.
            watched_by: By which price its trigger is watched; None where it waits for something
                else.
            rivals: Linked orders that tie up the same.
            waits: Whether it waits for something before its trigger counts.
        """
        order = command.order
        instrument = self._cache.require_instrument(order.instrument_id)
        self._count += 1
        held = make_held(command, instrument, self._count, watched_by, rivals, waits=waits)
        self.held[order.client_order_id] = held
        self._outlets.event(OrderEmulated(**about(order, self._clock.timestamp_ns())))
        self._set_expiry(held)
        if not waits:
            self._watch.add(held)
        return held

    def put_back(self, held: Held) -> None:
        """Hold again what an earlier run held: nothing is told, and no trigger watched yet."""
        self._count += 1
        held.sequence = self._count
        self.held[held.definition.client_order_id] = held
        self._set_expiry(held)

    # Changes

    def trail(self, held: Held) -> None:
        """Tell of a trailing trigger that has moved."""
        watch = held.watch
        assert watch is not None
        trigger = watch.trigger
        assert trigger is not None
        increment = held.instrument.price_increment
        held.trigger_price = increment * trigger
        price = None
        if held.definition.order_type is OrderType.TRAILING_STOP_LIMIT:
            limit = limit_behind(trigger, watch.side, held.definition.terms, held.instrument)
            price = held.price = increment * limit
        self._update(held, trigger_price=held.trigger_price, price=price, is_unasked=True)

    def modify(self, held: Held, command: ModifyOrder) -> None:
        """Do what the owner of a held order asks for; once it is released it leaves with it."""
        if held.stage is Stage.RELEASING:
            held.later.append(command)
            return
        held.change(command)
        self._update(
            held,
            quantity=command.quantity,
            price=command.price,
            trigger_price=command.trigger_price,
        )
        if held.watch is not None and held.stage is Stage.WATCHED:
            self._watch.look(held)

    def resize(self, held: Held, quantity: Decimal) -> None:
        """Give an order another quantity, which its owner did not ask for."""
        if held.quantity != quantity:
            held.quantity = quantity
            self._update(held, quantity=quantity, is_unasked=True)

    def _update(self, held: Held, **changes: Any) -> None:
        fields = about(held.definition, self._clock.timestamp_ns())
        self._outlets.event(OrderUpdated(**changes, **fields))

    # Ends

    def end(
        self, held: Held, kind: type[OrderCanceled] | type[OrderExpired], **fields: Any
    ) -> None:
        """Cancel an order or let it expire."""
        key = held.definition.client_order_id
        del self.held[key]
        if held.is_sent:
            self.dropped.add(key)
        self.take_down(held)
        self._outlets.event(kind(**fields, **about(held.definition, self._clock.timestamp_ns())))

    def release(self, held: Held, price: Decimal | None) -> None:
        """Tell of a release; the order stays until it has passed risk once more.

        Args:
            held: Which.
            price: By which its trigger was reached; None for one without.
        """
        self.take_down(held)
        self._outlets.event(released(held, price, self._clock.timestamp_ns()))

    def take_down(self, held: Held) -> None:
        """Watch neither its trigger nor its time any more."""
        self._watch.remove(held)
        self._clock.cancel_timer(_alert(held.definition))

    # Time in force

    def _set_expiry(self, held: Held) -> None:
        order = held.definition
        end_ns = order.terms.expire_ns
        if order.time_in_force is TimeInForce.DAY:
            now = self._clock.timestamp_ns()
            end_ns = self._venues.client_for(held.command).day_ends(now)
        if end_ns is not None:
            self._clock.set_alert(_alert(order), end_ns, self._on_expiry)

    def _on_expiry(self, event: TimeEvent) -> None:
        held = self.held.get(ClientOrderId(event.name.removeprefix(_ALERT)))
        if held is not None:
            self.end(held, OrderExpired)


_ALERT = "order-emulator:end:"


def _alert(order: OrderInitialized) -> str:
    return f"{_ALERT}{order.client_order_id}"

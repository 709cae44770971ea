"""Linked sales of what a cash account holds: one rests at the venue, the others wait here.

A cash account has what it sells only once: a venue that does not know that two orders are linked
refuses the second, though only one of them can fill. So of the linked sales of a list whose links
are followed on our side one leaves (`workbench.engines.linked_sales` says which), and the others
are held as EMULATED, watching their triggers, a LIMIT its limit.

When a held one's trigger is reached, what rests is cancelled first; the held one is released when
the venue has confirmed that, for as much as its links have left it: a fill that came before shrinks
it (OUO) or ends it (OCO). Where the venue refuses the cancel for good, it is watched again. Nothing
is cancelled for what would be refused then: while trading is HALTED what rests stays, and what
closes at the market (`workbench.engines.closing`) goes first.

What a take-profit that waits here loses is its place in the book: it leaves once the market has
reached its limit, and the stop is no more. Should the market turn before all of it has filled, and
come to where the stop was, what is left is given the market's price instead, again and again until
it is sold: that is watched here (of a STOP_MARKET or STOP_LIMIT at a venue that can change orders;
not by the next run, once this one is over). What ends without having sold what it took the place
for is reported: nothing guards the rest then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient
from workbench.engines.closing import Closings
from workbench.engines.demands import Demands
from workbench.engines.emulation_needs import EmulationNeeds, trigger_type
from workbench.engines.held_orders import Held, Stage, watch_of
from workbench.engines.linked_sales import held_beside, rivals_of
from workbench.engines.triggers import STOPS, Watch
from workbench.model.commands import SubmitOrder
from workbench.model.enums import OrderStatus, OrderType, TriggerType
from workbench.model.events import OrderEvent, OrderInitialized
from workbench.model.identifiers import ClientOrderId
from workbench.model.instruments import Instrument
from workbench.model.orders import Order


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
        closings: Know what closes at the market.
        end: Ends an order, with the reason.
        demands: What is asked of orders, and was not refused for good.

    Attributes:
        may_leave: Whether an order would be let out now, whatever the account has.
    """

    def __init__(
        self,
        cache: Cache,
        needs: EmulationNeeds,
        held: Mapping[ClientOrderId, Held],
        closings: Closings,
        end: Callable[[ClientOrderId, str], None],
        demands: Demands,
    ) -> None:
        self.may_leave: Callable[[SubmitOrder], bool] = _always
        self._cache = cache
        self._needs = needs
        self._held = held
        self._closings = closings
        self._end = end
        self._demands = demands
        # Held ones that were ended just now; their books will say so.
        self._ended_here: set[ClientOrderId] = set()
        # What was ended for an order, while that is not over.
        self._replaced: dict[ClientOrderId, list[ClientOrderId]] = {}
        self._stood_in: dict[ClientOrderId, list[StandIn]] = {}
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
        if self._needs.is_cash(client):
            found.update(held_beside(orders, capabilities))
        return found

    def rivals(
        self, client: ExecutionClient, order: OrderInitialized, orders: Sequence[OrderInitialized]
    ) -> tuple[ClientOrderId, ...]:
        """Return the orders of a list that tie up the same, and must end before this one leaves."""
        return rivals_of(order, orders) if self._needs.is_cash(client) else ()

    # Taking the place of what rests

    def is_kept_back(self, held: Held) -> bool:
        """Return whether what rests is not to end for an order, which would not be let out."""
        return bool(held.rivals) and not self.may_leave(held.command)

    def must_wait(self, held: Held, price: Decimal | None) -> bool:
        """Return whether something must end before an order leaves; it is asked to, then.

        Args:
            held: Whose trigger was reached.
            price: By this price.
        """
        if not held.rivals:
            return False
        is_closing = self._closings.is_under_way(held.definition)
        if not (is_closing or self._clear(held)):
            return False
        held.stage = Stage.CLEARING
        self._waiting[held.definition.client_order_id] = price
        return True

    def _clear(self, held: Held) -> bool:
        """Ask what is in the way of an order to end; return whether it still works."""
        name = held.definition.client_order_id
        working = [one for one in held.rivals if self._works(one)]
        for one in working:
            if one in self._held:
                self._ended_here.add(one)  # at once: nothing is to be confirmed
            self._end(one, f"{name}, which it is linked to, was triggered and takes its place")
        self.replaces(held, working)
        return any(self._works(one) for one in working)

    def replaces(self, held: Held, names: Sequence[ClientOrderId]) -> None:
        """Note what is ended for an order that is held."""
        if names:
            self._replaced.setdefault(held.definition.client_order_id, []).extend(names)

    def is_awaited(self, client_order_id: ClientOrderId) -> bool:
        """Return whether an order waits for the end of another one."""
        return any(client_order_id in self._replaced.get(name, ()) for name in self._waiting)

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
            elif not self._closings.is_under_way(held.definition) and self._is_settled(held):
                del self._waiting[name]
                found.append((held, price))
        return found

    def _is_settled(self, held: Held) -> bool:
        """Return whether an order waits no longer, and give it its stage then."""
        asked = self._replaced.get(held.definition.client_order_id, [])
        working = [one for one in held.rivals if self._works(one)]
        is_asked = all(one in asked or one in self._held for one in working)
        if not (is_asked or self.is_kept_back(held)):
            # It has waited for what closed at the market until now.
            return not self._clear(held) and self._is_settled(held)
        if any(one in self._demands for one in working):
            return False
        asked[:] = [one for one in asked if one not in working]
        held.stage = Stage.WATCHED if working else Stage.RELEASING
        return True

    def _works(self, name: ClientOrderId) -> bool:
        """Return whether an order is at the venue, or on its way there."""
        order = self._cache.order(name)
        if order is None or order.is_closed or name in self._ended_here:
            return False
        held = self._held.get(name)
        if held is None or held.stage is Stage.RELEASING:
            return True
        return held.stage is Stage.WAITING and held.watch is None

    # What became of them

    def forget(self, held: Held) -> None:
        """Say nothing of what is ended for an order: its owner ends them all."""
        self._replaced.pop(held.definition.client_order_id, None)

    def on_event(self, event: OrderEvent) -> list[StandIn]:
        """Note the end of an order, report what it leaves; return what need not stand in for it."""
        key = event.client_order_id
        if not (self._ended_here or self._replaced or self._stood_in):
            return []
        order = self._cache.order(key)
        if order is None or not order.is_closed:
            return []
        self._ended_here.discard(key)
        names = self._replaced.pop(key, None)
        if names and order.leaves_quantity:
            self._report(order, names)
        return self._stood_in.pop(key, [])

    def _report(self, order: Order, names: Sequence[ClientOrderId]) -> None:
        """Report an order that ended, and so did what it took the place of."""
        if order.status is OrderStatus.CANCELED and order.account_id is not None:
            return  # whoever cancels what rests at the venue knows what else does
        others = (self._cache.order(one) for one in names)
        lost = [
            one.client_order_id
            for one in others
            if one is not None
            and one.leaves_quantity
            and (one.status is OrderStatus.CANCELED or one.client_order_id in self._demands)
        ]
        if not lost or self._closings.is_under_way(order) or self._is_cared_for(order, lost):
            return
        why = f" ({order.reason})" if order.reason else ""
        self._demands.fail(
            order,
            f"it is {order.status.value}{why}, and {', '.join(lost)} was cancelled for it: nothing"
            f" guards {order.instrument_id} now",
        )

    def _is_cared_for(self, order: Order, lost: Sequence[ClientOrderId]) -> bool:
        """Return whether nothing is left to reduce, or another linked order sells it."""
        instrument = self._cache.require_instrument(order.instrument_id)
        held = self._cache.net_quantity(order.instrument_id, order.strategy_id)
        linked = (self._cache.order(one) for one in order.linked_order_ids if one not in lost)
        return (order.reduce_only and held < instrument.quantity_increment) or any(
            one is not None and (one.status is OrderStatus.FILLED or not one.is_closed)
            for one in linked
        )

    # What stands in for the stop

    def stand_ins(self, held: Held) -> list[StandIn]:
        """Return what is to be watched for the stops whose place an order takes."""
        name = held.definition.client_order_id
        names = self._replaced.get(name)
        if not names or held.definition.order_type is not OrderType.LIMIT:
            return []
        client = self._needs.client(held.command)
        if client is None or not client.capabilities.amend:
            return []
        found: list[StandIn] = []
        for one in names:
            order = self._cache.order(one)
            if order is None or order.order_type not in STOPS or not order.leaves_quantity:
                continue
            definition = order.to_initialized()
            watch = watch_of(definition, definition.terms.trigger_type, held.instrument)
            found.append(StandIn(definition, held.instrument, watch, held.sequence, name))
        if found:
            self._stood_in[name] = found
        return found

    def standing_in(self, successor: ClientOrderId) -> Sequence[StandIn]:
        """Return what stands in for the stops whose place an order took."""
        return self._stood_in.get(successor, ())

    def turned(self, stand_in: StandIn, price: Decimal) -> tuple[ClientOrderId, Decimal] | None:
        """Return the order that is to have the market's price, and that price; None if it has it.

        Args:
            stand_in: Whose trigger was reached.
            price: By this price.
        """
        order = self._cache.order(stand_in.successor)
        if order is None or not order.is_open or order.client_order_id in self._demands:
            return None
        if order.price is None or order.price <= price:
            return None
        return order.client_order_id, price


def _always(_: SubmitOrder) -> bool:
    return True

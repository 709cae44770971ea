"""The order emulator: what a venue lacks is done on our side.

It stands between risk and execution. An order that asks for it (`emulation_trigger`), whose
trigger its client does not take, or that depends on another order in a way its client does not
know, is held here as EMULATED; all else is handed on untouched. When what it waits for comes it is
RELEASED and goes through risk once more, as the order it became: it may be denied then. A
reduce-only order is first cut to what there is left to reduce. Where a client has no such orders
they are kept to that all the time (`workbench.engines.reduce_only`).

A held order can be modified and cancelled like any other; nothing of that reaches a client. Its
GTD or DAY time ends here. A LIMIT with an emulation trigger is held until that price reaches its
limit; a MARKET order has nothing to wait for and is not held.

Of linked sales of what a cash account holds one rests, the others wait here for their triggers
(`workbench.engines.shared_holdings`).

Lists: one that its client can be given whole is handed on whole. Another is taken apart: each order
goes on alone, without its links, and these are followed here (`Contingencies`). What they demand of
an order at the venue is asked for with a command of our own, which passes no risk check, and again
if it is refused; what fills before such a cancel or change arrives cannot be undone: if it may hurt
(a reduce-only order cannot) it is reported, as is what was refused for good.

What it held when a node ended the next one holds again (`workbench.engines.resuming`).

It is synchronous, does no I/O, and does not know which set-up it is part of. Everything it decides
goes into the channels, so that nothing is entered while another callback runs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient
from workbench.engines.contingency import Contingencies, ContingencyActions
from workbench.engines.demands import Demands
from workbench.engines.emulation_needs import (
    WATCHABLE,
    EmulationNeeds,
    is_taken_apart,
    trigger_type,
)
from workbench.engines.emulation_ports import Outlets, Venues
from workbench.engines.held_orders import (
    Held,
    Stage,
    alone,
    make_held,
    of_list,
)
from workbench.engines.reduce_only import ReduceOnlyActions, ReduceOnlyKeeper
from workbench.engines.releasing import Releases, released
from workbench.engines.resuming import Resumption, Submit, Unheld
from workbench.engines.shared_holdings import SharedHoldings, StandIn
from workbench.engines.triggers import limit_behind
from workbench.engines.watching import DataSource, Listener, MarketWatch
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    QueryOrder,
    SubmitOrder,
    SubmitOrderList,
    TradingCommand,
)
from workbench.model.enums import (
    OrderStatus,
    OrderType,
    TimeInForce,
    TriggerType,
)
from workbench.model.events import (
    OrderCanceled,
    OrderDenied,
    OrderEmulated,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderRejected,
    OrderReleased,
    OrderUpdated,
    TimeEvent,
    about,
)
from workbench.model.identifiers import AccountId, ClientId, ClientOrderId, StrategyId
from workbench.model.money import ZERO
from workbench.model.orders import Order
from workbench.runtime.clock import Clock

_OVER: dict[type[OrderEvent], str] = {
    OrderDenied: "denied",
    OrderRejected: "rejected",
    OrderCanceled: "canceled",
    OrderExpired: "expired",
}


class OrderEmulator:
    """Holds orders whose triggers and links are watched on our side.

    Args:
        cache: What is known.
        clock: For times in force.
        venues: What is handed on to.
        data: Where the market comes from.
        outlets: Where decisions go.

    Attributes:
        watch: The market as triggers see it; a subscriber of the data engine.
        held: The orders that wait here.
        is_concerned: Whether a list was ever taken apart here, or a client lacks reduce-only; until
            then, and while nothing is held, no event concerns it.
    """

    def __init__(
        self, cache: Cache, clock: Clock, venues: Venues, data: DataSource, outlets: Outlets
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._venues = venues
        self._outlets = outlets
        listener = Listener(self._moved, self._on_reached)
        self.watch = MarketWatch(cache, clock, data, outlets.subscription, listener)
        self._needs = EmulationNeeds(venues, self.watch)
        self._releases = Releases(cache, self._needs)
        self.is_concerned = False
        self._links = Contingencies(
            ContingencyActions(self._demand_end, self._demand_quantity, self._release_child)
        )
        self.held: dict[ClientOrderId, Held] = {}
        self._count = 0
        # Submits that are on their way through risk of orders that ended meanwhile.
        self._dropped: set[ClientOrderId] = set()
        self._demands = Demands(
            cache, clock, outlets.command, outlets.failed, self._is_kept_at_venue
        )
        self._shares = SharedHoldings(
            cache, self._needs, self.held, self._demand_end, self._cut_back, self._is_ending
        )
        self._resumption = Resumption(cache, self._needs, self._links, self._shares)
        self._reductions = ReduceOnlyKeeper(
            cache,
            self._client_of,
            ReduceOnlyActions(self._leaves, self._demand_end, self._cut_back),
        )

    # Commands

    def execute(self, command: TradingCommand) -> None:
        """Hold what must be held, do what is asked of what is held, hand on the rest."""
        if isinstance(command, SubmitOrder):
            self._submit(command)
        elif isinstance(command, SubmitOrderList):
            self._submit_list(command)
        elif self._demands.is_ours(command):
            self._execute_ours(command)
        elif not (self.held or self.is_concerned):
            self._venues.execute(command)
        elif isinstance(command, CancelAllOrders):
            self._cancel_all(command)
        elif (held := self.held.get(command.client_order_id)) is None:
            self._hand_on(command)
        elif isinstance(command, CancelOrder):
            self._end(held, OrderCanceled)
        elif isinstance(command, ModifyOrder):
            self._modify(held, command)
        # A query is not for the venue: it does not know the order.

    def _hand_on(self, command: CancelOrder | ModifyOrder | QueryOrder) -> None:
        if isinstance(command, ModifyOrder) and self.is_concerned:
            rejection = self._reductions.rejection(command, self._clock.timestamp_ns())
            if rejection is not None:
                self._outlets.event(rejection)
                return
        self._venues.execute(command)

    def _submit(self, command: SubmitOrder) -> None:
        key = command.client_order_id
        if key in self._dropped:
            self._dropped.remove(key)
            return
        if command.order.reduce_only and self._is_refused(command, (command.order,)):
            return
        held = self.held.pop(key, None)
        if held is not None:
            self._venues.execute(command)
            for later in held.later:
                self._venues.execute(later)
            return
        order = command.order
        if order.order_type in WATCHABLE:
            capabilities = self._needs.capabilities(command)
            by = None if capabilities is None else trigger_type(order, capabilities)
            if capabilities is not None and by is not None:
                refusal = self._needs.refusal(order, capabilities, by)
                if refusal:
                    self._deny(order, refusal)
                else:
                    self._hold(command, by)
                return
        elif self._shares.is_in_the_way(command):
            self._shares.make_room(self._hold(command, None, waits=True))
            return
        self._venues.execute(command)

    def _submit_list(self, command: SubmitOrderList) -> None:
        client = self._needs.client(command)
        if client is None or not is_taken_apart(command.orders, client.capabilities):
            self._venues.execute(command)
            return
        capabilities, orders = client.capabilities, command.orders
        watched = self._shares.watched(client, orders)
        refusals = (
            self._needs.refusal(order, capabilities, watched.get(order.client_order_id))
            for order in orders
        )
        refusal = next(filter(None, refusals), "")
        if refusal:
            for order in orders:
                self._deny(order, refusal)
            return
        if self._is_refused(command, orders):
            return
        self._links.add(orders)
        self.is_concerned = True
        for order in orders:
            single = of_list(command, order)
            by = watched.get(order.client_order_id)
            waits = self._links.is_held(order.client_order_id)
            if waits or by is not None:
                rivals = () if by is None else self._shares.rivals(client, order, orders)
                self._hold(single, by, rivals, waits=waits)
            else:
                self._venues.execute(single)

    def waits_here(self, order: OrderInitialized, command: SubmitOrder | SubmitOrderList) -> bool:
        """Return whether an order of a command will be held here, and does not leave now."""
        held = self.held.get(order.client_order_id)
        if held is not None:
            return held.stage is not Stage.RELEASING
        client = self._needs.client(command)
        if client is None:
            return False
        capabilities = client.capabilities
        if trigger_type(order, capabilities) is not None:
            return True
        if order.terms.parent_order_id is not None and capabilities.link_to_emulate(order):
            return True
        return (
            isinstance(command, SubmitOrderList)
            and is_taken_apart(command.orders, capabilities)
            and order.client_order_id in self._shares.watched(client, command.orders)
        )

    def makes_room(self, order: OrderInitialized, account_id: AccountId) -> bool:
        """Return whether what ties up the same as an order is first cut back for it."""
        command = msgspec.structs.replace(alone(order), account_id=account_id)
        is_released = order.client_order_id in self.held
        return not is_released and self._shares.is_in_the_way(command)

    def named_by(self, client_order_id: ClientOrderId) -> tuple[ClientId | None, AccountId | None]:
        """Return the client and account that a held order names."""
        held = self.held.get(client_order_id)
        return (None, None) if held is None else held.named

    def _execute_ours(self, command: TradingCommand) -> None:
        assert isinstance(command, (CancelOrder, ModifyOrder))
        if not self._demands.take(command):
            return
        held = self.held.get(command.client_order_id)
        if held is not None:
            held.later.append(command)  # it is on its way through risk
        else:
            self._venues.execute(command)

    # Holding

    def _hold(
        self,
        command: SubmitOrder,
        watched_by: TriggerType | None,
        rivals: tuple[ClientOrderId, ...] = (),
        *,
        waits: bool = False,
    ) -> Held:
        order = command.order
        instrument = self._cache.require_instrument(order.instrument_id)
        self._count += 1
        held = make_held(command, instrument, self._count, watched_by, rivals, waits=waits)
        self.held[order.client_order_id] = held
        self._outlets.event(OrderEmulated(**about(order, self._clock.timestamp_ns())))
        self._set_expiry(held)
        if not waits:
            self.watch.add(held)
        return held

    def remember(self, commands: Iterable[Submit]) -> None:
        """Take the commands of earlier runs, in order; what they left is held again at `adopt`."""
        self._resumption.remember(commands)

    def adopt(self, strategies: Container[StrategyId]) -> None:
        """Go on with what an earlier run left: what was held, what is linked, what only reduces.

        Args:
            strategies: Those that run.
        """
        again: list[tuple[Held, Stage]] = []
        for found in self._resumption.again(strategies, self.held):
            if isinstance(found, Unheld):
                fields = about(found.order, self._clock.timestamp_ns())
                self._outlets.event(OrderCanceled(reason=found.reason, **fields))
            else:
                self.held[found.definition.client_order_id] = found
                self._set_expiry(found)
                again.append((found, found.stage))
        self._count += len(again)
        self.is_concerned |= self._resumption.has_links
        self._links.settle()
        for held, stage in again:
            is_held = held is self.held.get(held.definition.client_order_id)
            if is_held and held.stage is stage:
                self._go_on(held)
        self.is_concerned |= self._reductions.adopt()
        self._release_settled()

    def _go_on(self, held: Held) -> None:
        """Let an order that an earlier run held go on where it was."""
        if held.stage is Stage.RELEASING:
            self._release(held, None)
        elif held.stage is Stage.WATCHED:
            self.watch.add(held)

    def _deny(self, order: OrderInitialized, reason: str) -> None:
        fields = about(order, self._clock.timestamp_ns())
        self._outlets.event(OrderDenied(code="EMULATION_IMPOSSIBLE", reason=reason, **fields))

    def _moved(self, held: Held) -> None:
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

    def _update(self, held: Held, **changes: Any) -> None:
        fields = about(held.definition, self._clock.timestamp_ns())
        self._outlets.event(OrderUpdated(**changes, **fields))

    def _modify(self, held: Held, command: ModifyOrder) -> None:
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
            self.watch.look(held)

    def _cancel_all(self, command: CancelAllOrders) -> None:
        for held in list(self.held.values()):
            order = held.definition
            if (
                order.strategy_id == command.strategy_id
                and order.instrument_id == command.instrument_id
                and command.side in (None, order.side)
            ):
                self._end(held, OrderCanceled)
        self._venues.execute(command)

    def _end(
        self, held: Held, kind: type[OrderCanceled] | type[OrderExpired], **fields: Any
    ) -> None:
        key = held.definition.client_order_id
        del self.held[key]
        if held.is_sent:
            self._dropped.add(key)
        self._stop(held)
        self._outlets.event(kind(**fields, **about(held.definition, self._clock.timestamp_ns())))

    def _stop(self, held: Held) -> None:
        self.watch.remove(held)
        self._clock.cancel_timer(_alert(held))

    # Time in force

    def _set_expiry(self, held: Held) -> None:
        order = held.definition
        end_ns = order.terms.expire_ns
        if order.time_in_force is TimeInForce.DAY:
            now = self._clock.timestamp_ns()
            end_ns = self._venues.client_for(held.command).day_ends(now)
        if end_ns is not None:
            self._clock.set_alert(_alert(held), end_ns, self._on_expiry)

    def _on_expiry(self, event: TimeEvent) -> None:
        held = self.held.get(ClientOrderId(event.name.removeprefix(_ALERT)))
        if held is not None:
            self._end(held, OrderExpired)

    # Release

    def _on_reached(self, held: Held | StandIn, price: Decimal) -> None:
        """Release what was triggered, once nothing works that ties up the same."""
        if isinstance(held, StandIn):
            self._on_turned(held, price)
        elif self._shares.must_wait(held, price):
            self.watch.remove(held)
        else:
            self._release(held, price)

    def _release_settled(self) -> None:
        for held, price in self._shares.settled():
            if held.stage is Stage.RELEASING:
                self._release(held, price)
            else:
                self.watch.resume(held)

    def _on_turned(self, stand_in: StandIn, price: Decimal) -> None:
        found = self._shares.turned(stand_in, price)
        if found is not None:
            stop = stand_in.definition.client_order_id
            reason = f"the market is where {stop} was, whose place it took"
            self._demands.reprice(*found, reason)

    def _is_ending(self, key: ClientOrderId) -> bool:
        return key in self._demands

    def _release(self, held: Held, price: Decimal | None) -> None:
        held.stage = Stage.RELEASING
        self._stop(held)
        order = self._cache.order(held.definition.client_order_id)
        if order is not None and order.status is OrderStatus.RELEASED:
            self._resubmit(held)  # by an earlier run, which ended before it left
            return
        self._cut_to_position(held)
        self._outlets.event(released(held, price, self._clock.timestamp_ns()))
        for stand_in in self._shares.stand_ins(held):
            self.watch.add(stand_in)

    def _cut_to_position(self, held: Held) -> None:
        """Leave a reduce-only order no more than there is to reduce, as a venue does.

        Where nothing is to be reduced it stays, for risk to refuse.
        """
        left = self._releases.reducible(held)
        if ZERO < left < held.quantity:
            held.quantity = left
            self._links.on_cut(held.definition.client_order_id, left)

    def _resubmit(self, held: Held) -> None:
        """Put a released order before risk again."""
        held.is_sent = True
        self._outlets.submit(self._releases.command(held, self._clock.timestamp_ns()))

    # What only reduces

    def _is_refused(
        self,
        command: SubmitOrder | SubmitOrderList,
        orders: tuple[OrderInitialized, ...],
    ) -> bool:
        """Deny orders that may not leave together; return whether they may not."""
        client = self._needs.client(command)
        if client is None or client.capabilities.reduce_only:
            return False
        self.is_concerned = True
        denials = self._reductions.denials(client, orders, self._clock.timestamp_ns())
        for denial in denials:
            self._outlets.event(denial)
        return bool(denials)

    def _client_of(self, order: Order) -> ExecutionClient | None:
        held = self.held.get(order.client_order_id)
        return self._venues.client_of(order) if held is None else self._needs.client(held.command)

    def _leaves(self, order: Order) -> Decimal:
        """Return what an order has left once what was asked for is done."""
        held = self.held.get(order.client_order_id)
        if held is not None:
            return held.quantity
        if order.status is OrderStatus.EMULATED or order.client_order_id in self._dropped:
            return ZERO  # it ended here just now; its books will say so
        is_ending = order.status is OrderStatus.PENDING_CANCEL
        return ZERO if is_ending else self._demands.leaves(order)

    def _cut_back(self, key: ClientOrderId, quantity: Decimal, reason: str) -> None:
        self._links.on_cut(key, quantity)
        self._demand_quantity(key, quantity, reason)

    def _is_kept_at_venue(self, order: Order) -> bool:
        if self._shares.is_awaited(order.client_order_id):
            return True  # what it leaves is all that the one which waits for it may trade
        client = self._client_of(order) if order.reduce_only else None
        return client is not None and client.capabilities.reduce_only

    # Events

    def on_event(self, event: OrderEvent) -> None:
        """Note what became of an order; told after it was applied."""
        key = event.client_order_id
        held = self.held.get(key)
        if held is not None:
            if isinstance(event, OrderReleased):
                self._resubmit(held)
            elif isinstance(event, OrderDenied):
                del self.held[key]
        self._demands.on_event(event)
        if key in self._links:
            self._follow(event)
        elif isinstance(event, OrderFilled):
            self._demands.check_late(event)
        self._reductions.on_event(event)
        self._release_settled()
        stand_in = self._shares.stand_in_of(key)
        if stand_in is not None:
            self.watch.remove(stand_in)

    def _follow(self, event: OrderEvent) -> None:
        key = event.client_order_id
        what = _OVER.get(type(event))
        if isinstance(event, OrderFilled):
            self._links.on_filled(key, event.quantity)
        elif what is not None:
            self._links.on_over(key, what)
        elif isinstance(event, OrderUpdated):
            quantity = event.quantity
            # What was demanded here, or done to one held here, is no wish of its owner.
            if not (quantity is None or event.is_unasked or key in self._demands):
                self._links.on_resized(key, quantity)

    # What contingencies demand

    def _release_child(self, key: ClientOrderId, quantity: Decimal) -> None:
        held = self.held.get(key)
        if held is None:
            return
        if held.watch is None:
            held.quantity = quantity
            self._release(held, None)
            return
        held.stage = Stage.WATCHED
        self._resize_held(held, quantity)
        self.watch.add(held)

    def _resize_held(self, held: Held, quantity: Decimal) -> None:
        if held.quantity != quantity:
            held.quantity = quantity
            self._update(held, quantity=quantity, is_unasked=True)

    def _demand_end(self, key: ClientOrderId, reason: str) -> None:
        held = self.held.get(key)
        if held is not None:
            self._end(held, OrderCanceled, reason=reason)
        else:
            self._demands.end(key, reason)

    def _demand_quantity(
        self, key: ClientOrderId, quantity: Decimal, reason: str = "a linked order was filled"
    ) -> None:
        held = self.held.get(key)
        if held is not None and held.stage is not Stage.RELEASING:
            self._resize_held(held, quantity)
        else:
            self._demands.resize(key, quantity, reason)


_ALERT = "order-emulator:end:"


def _alert(held: Held) -> str:
    return f"{_ALERT}{held.definition.client_order_id}"

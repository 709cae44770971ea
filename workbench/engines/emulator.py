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

from collections.abc import Callable, Container, Iterable
from decimal import Decimal

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient
from workbench.engines.closing import Closings
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
    of_list,
)
from workbench.engines.reduce_only import ReduceOnlyActions, ReduceOnlyKeeper
from workbench.engines.releasing import Releases
from workbench.engines.resuming import Resumption, Unheld
from workbench.engines.risk.submits import Submit, meant
from workbench.engines.shared_holdings import SharedHoldings, StandIn
from workbench.engines.shelf import Shelf
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
)
from workbench.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderRejected,
    OrderReleased,
    OrderUpdated,
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
        is_concerned: Whether a list was ever taken apart here, something asked of what rests, or a
            client lacks reduce-only; until then, and while nothing is held, no event concerns it.
    """

    def __init__(
        self, cache: Cache, clock: Clock, venues: Venues, data: DataSource, outlets: Outlets
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._venues = venues
        self._outlets = outlets
        listener = Listener(lambda held: self._shelf.trail(held), self._on_reached)
        self.watch = MarketWatch(cache, clock, data, outlets.subscription, listener)
        self._shelf = Shelf(cache, clock, venues, outlets, self.watch)
        self.held = self._shelf.held
        self._needs = EmulationNeeds(cache, venues, self.watch)
        self._releases = Releases(cache, self._needs)
        self.is_concerned = False
        self._links = Contingencies(
            ContingencyActions(self._demand_end, self._demand_quantity, self._release_child)
        )
        self._demands = Demands(
            cache, clock, outlets.command, outlets.failed, self._is_kept_at_venue
        )
        self._closings = Closings(
            cache, self._needs, self.held, self._demand_end, self._cut_back, self._demands
        )
        self._shares = SharedHoldings(
            cache,
            self._needs,
            self.held,
            self._closings,
            self._demand_end,
            self._demands,
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
            self._shelf.end(held, OrderCanceled)
        elif isinstance(command, ModifyOrder):
            self._shelf.modify(held, command)
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
        if key in self._shelf.dropped:
            self._shelf.dropped.remove(key)
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
                    self._shelf.put(command, by)
                return
        elif self._closings.is_in_the_way(command):
            self.is_concerned = True
            held = self._shelf.put(command, None, waits=True)
            self._shares.replaces(held, self._closings.make_room(held))
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
                self._shelf.put(single, by, rivals, waits=waits)
            else:
                self._venues.execute(single)

    def waits_here(self, order: OrderInitialized, command: Submit) -> bool:
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

    def set_may_leave(self, may_leave: Callable[[SubmitOrder], bool]) -> None:
        """Say what tells whether an order would be let out now, whatever the account has."""
        self._shares.may_leave = may_leave

    def makes_room(self, order: OrderInitialized, account_id: AccountId) -> bool:
        """Return whether what ties up the same as an order is first cut back for it."""
        command = msgspec.structs.replace(alone(order), account_id=account_id)
        is_released = order.client_order_id in self.held
        return not is_released and self._closings.is_in_the_way(command)

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

    def _deny(self, order: OrderInitialized, reason: str) -> None:
        fields = about(order, self._clock.timestamp_ns())
        self._outlets.event(OrderDenied(code="EMULATION_IMPOSSIBLE", reason=reason, **fields))

    def _cancel_all(self, command: CancelAllOrders) -> None:
        for held in list(self.held.values()):
            if any(meant(held.command, command)) and not self._closings.is_market(held):
                self._shares.forget(held)
                self._shelf.end(held, OrderCanceled)
        self._venues.execute(command)

    # Release

    def _on_reached(self, held: Held | StandIn, price: Decimal) -> None:
        """Release what was triggered, once nothing works that ties up the same."""
        if isinstance(held, StandIn):
            self._on_turned(held, price)
        elif self._shares.is_kept_back(held):
            self.watch.resume(held)
        elif self._shares.must_wait(held, price):
            self.watch.remove(held)
        else:
            self._release(held, price)

    def _release_settled(self) -> None:
        for held in self._closings.settled():
            self._release(held, None)
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

    def _release(self, held: Held, price: Decimal | None) -> None:
        held.stage = Stage.RELEASING
        order = self._cache.order(held.definition.client_order_id)
        if order is not None and order.status is OrderStatus.RELEASED:
            self._shelf.take_down(held)
            self._resubmit(held)  # an earlier run let it go, and ended before it left
            return
        self._cut_to_position(held)
        self._shelf.release(held, price)
        for stand_in in self._shares.stand_ins(held):
            self.watch.resume(stand_in)

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

    # What an earlier run left

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
                self._shelf.put_back(found)
                again.append((found, found.stage))
        self.is_concerned |= self._resumption.has_links
        self._links.settle(self._reductions.within)
        for held, stage in again:
            if held.stage is not stage or held.definition.client_order_id not in self.held:
                continue  # its links have ended it, or let it go
            if stage is Stage.RELEASING:
                self._release(held, None)
            elif stage is Stage.WATCHED:
                self.watch.add(held)
        self.is_concerned |= self._reductions.adopt()
        self._release_settled()

    # What only reduces

    def _is_refused(self, command: Submit, orders: tuple[OrderInitialized, ...]) -> bool:
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
        if order.status is OrderStatus.EMULATED or order.client_order_id in self._shelf.dropped:
            return ZERO  # it ended here just now; its books will say so
        is_ending = order.status is OrderStatus.PENDING_CANCEL
        return ZERO if is_ending else self._demands.leaves(order)

    def _cut_back(self, key: ClientOrderId, quantity: Decimal, reason: str) -> None:
        self._links.on_cut(key, quantity)
        self._demand_quantity(key, quantity, reason)

    def _is_kept_at_venue(self, order: Order) -> bool:
        name = order.client_order_id
        if self._shares.is_awaited(name) or self._closings.is_awaited(name):
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
        for stand_in in self._shares.on_event(event):
            self.watch.remove(stand_in)
        if isinstance(event, OrderAccepted):
            for stand_in in self._shares.standing_in(key):
                self.watch.look(stand_in)  # the market may be there already
        self._release_settled()

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
        self._shelf.resize(held, quantity)
        self.watch.add(held)

    def _demand_end(self, key: ClientOrderId, reason: str) -> None:
        held = self.held.get(key)
        if held is not None:
            self._shelf.end(held, OrderCanceled, reason=reason)
        else:
            self._demands.end(key, reason)

    def _demand_quantity(
        self, key: ClientOrderId, quantity: Decimal, reason: str = "a linked order was filled"
    ) -> None:
        held = self.held.get(key)
        if held is not None and held.stage is not Stage.RELEASING:
            self._shelf.resize(held, quantity)
        else:
            self._demands.resize(key, quantity, reason)

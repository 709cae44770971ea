"""The execution engine: routes commands to clients, and applies what comes back.

State is updated first (order, position, portfolio), then strategies are told. Which client gets a
command is said in `workbench.engines.routing`, which position a fill belongs to in `.positions`,
what a venue's reports add in `.external`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any, Protocol

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient
from workbench.engines.external import FROM_FILL, ExternalOrders
from workbench.engines.inferred import InferredFills
from workbench.engines.placement import Denial, Placement
from workbench.engines.portfolio import Portfolio
from workbench.engines.positions import PositionKeeper
from workbench.engines.purging import Purged
from workbench.engines.routing import Router
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    QueryOrder,
    SubmitOrder,
    SubmitOrderList,
    TradingCommand,
)
from workbench.model.enums import OrderStatus
from workbench.model.errors import ClientError, ConfigError, OrderStateError, OverfillError
from workbench.model.events import (
    AccountState,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEmulated,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderPendingCancel,
    OrderPendingUpdate,
    PositionEvent,
    about,
)
from workbench.model.identifiers import ClientOrderId, InstrumentId, StrategyId
from workbench.model.orders import Order
from workbench.model.reports import ExecutionReport, FillReport, OrderStatusReport, PositionReport
from workbench.runtime.bus import MessageBus
from workbench.runtime.clock import Clock

KEPT_REFUSALS = 10_000
"""How many refused events, overfills and unreconciled reports are kept of each, the newest."""


class OrderOwner(Protocol):
    """Who is told of order and position events: a strategy."""

    def handle_order_event(self, event: OrderEvent) -> None:
        """Call what the strategy has for this order event."""

    def handle_position_event(self, event: PositionEvent) -> None:
        """Call what the strategy has for this position event."""


class ExecutionEngine:
    """Takes trading commands and execution events.

    Args:
        cache: What is known; written here.
        clock: For the events made here.
        portfolio: Told of realised profit.
        bus: Order, position and account events are published on `events.order.STRATEGY`,
            `events.position.STRATEGY` and `events.account.ACCOUNT`, reports on `reports.ACCOUNT`;
            what was refused on `events.refused.STRATEGY`, fills beyond an order's quantity on
            `events.overfilled.STRATEGY`, reports that do not fit on `events.unreconciled.ACCOUNT`,
            these three as pairs with the reason.
        send_event: Takes the events made here.
        on_applied: Told each order event after it was applied; the risk engine listens.
        on_derived: Told each event made here; the event log listens.
        allow_overfills: Whether a fill that goes beyond its order's quantity counts.
        align_positions: Whether a reported position that differs is made equal to ours by a
            synthetic fill (`reconciliation` is set on it).

    Attributes:
        router: Knows the execution clients.
        external: Turns reports into events; strategies claim external orders there.
        refused_events: The events that could not be applied, with the reason.
        overfills: The fills that went beyond their order's quantity and count, with a sentence.
        unreconciled: The reports that do not fit what is known, with the reason.
        on_sent: Told of each command that a client was given, with the client, right afterwards;
            queries are left out.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        portfolio: Portfolio,
        bus: MessageBus,
        send_event: Callable[[Any], None],
        on_applied: Callable[[OrderEvent], None],
        on_derived: Callable[[PositionEvent | OrderEvent], None],
        *,
        allow_overfills: bool = False,
        align_positions: bool = False,
    ) -> None:
        self.router = Router(cache)
        self.external = ExternalOrders(
            cache, self._note_unreconciled, align_positions=align_positions
        )
        self.refused_events: list[tuple[OrderEvent, str]] = []
        self.overfills: list[tuple[OrderFilled, str]] = []
        self.unreconciled: list[tuple[ExecutionReport, str]] = []
        self.on_sent: list[Callable[[ExecutionClient, TradingCommand], None]] = []
        self._cache = cache
        self._clock = clock
        self._bus = bus
        self._send_event = send_event
        self._on_applied = on_applied
        self._on_derived = on_derived
        self._allow_overfills = allow_overfills
        self._placement = Placement(cache)
        self._positions = PositionKeeper(cache, portfolio)
        self._convert = portfolio.rates.convert
        self._inferred = InferredFills()
        self._owners: dict[StrategyId, OrderOwner] = {}
        self._topics: dict[str, tuple[str, str]] = {}
        self._account_topics: dict[str, str] = {}

    def add_client(self, client: ExecutionClient) -> None:
        """Register an execution client; the first one of a venue is its default.

        Raises:
            ConfigError: If its name is taken, or its account at that venue has a client.
        """
        self.router.add(client)
        client.use_rates(self._convert)
        client.use_orders(self._cache)

    @property
    def clients(self) -> list[ExecutionClient]:
        """Return the execution clients, in the order they were registered."""
        return self.router.clients

    def client_for(self, command: TradingCommand) -> ExecutionClient:
        """Return the client a command goes to, to ask what it can do, say.

        Raises:
            ClientError: If there is none.
        """
        return self.router.client_for(command)

    def client_of(self, order: Order) -> ExecutionClient | None:
        """Return the client that has an order, or would get it; None if there is none."""
        return self.router.of_order(order)

    def add_owner(self, strategy_id: StrategyId, owner: OrderOwner) -> None:
        """Tell `owner` of the events of a strategy's orders and positions."""
        self._owners[strategy_id] = owner

    def configure(
        self,
        *,
        allow_overfills: bool,
        align_positions: bool,
        claims: Mapping[InstrumentId, StrategyId],
    ) -> None:
        """Take other settings than it was made with: those of the run whose events come now."""
        self._allow_overfills = allow_overfills
        self.external = ExternalOrders(
            self._cache, self._note_unreconciled, align_positions=align_positions
        )
        for instrument_id, strategy_id in claims.items():
            self.external.claim(instrument_id, strategy_id)

    def purge(self, closed_before_ns: int, keep: Container[ClientOrderId] = ()) -> Purged:
        """Forget what was closed before a time; see `Cache.purge`. Realised profit stays."""
        purged = self._cache.purge(closed_before_ns, keep)
        forgotten = [order.client_order_id for order in purged.orders]
        self.router.forget(forgotten)
        self._inferred.forget(forgotten)
        return purged

    # Commands

    def execute(self, command: TradingCommand) -> None:
        """Send one command to the client it is for.

        Raises:
            ClientError: If there is no such execution client, for what is about an order that is
                there already; a new order is denied then.
        """
        if isinstance(command, SubmitOrder):
            self._submit(command)
        elif isinstance(command, SubmitOrderList):
            self._submit_list(command)
        elif isinstance(command, CancelAllOrders):
            self._cancel_all(command)
        else:
            self._execute_on(self.router.client_for(command), command)

    def _execute_on(
        self, client: ExecutionClient, command: CancelOrder | ModifyOrder | QueryOrder
    ) -> None:
        if isinstance(command, CancelOrder):
            self._cancel(client, command)
        elif isinstance(command, ModifyOrder):
            self._modify(client, command)
        else:
            client.query_order(command)

    def _submit(self, command: SubmitOrder) -> None:
        order = command.order
        try:
            client = self.router.client_for(command)
        except ClientError as error:
            self._deny(order, Denial("CLIENT_UNKNOWN", str(error)))
            return
        denial = self._placement.denial(client, order)
        if denial is not None:
            self._deny(order, denial)
            return
        ready = self._ready(client, order)
        if ready is not order:
            command = msgspec.structs.replace(command, order=ready)
        if order.reduce_only:
            command = self._placement.plain(client, command)
        # Sent first: should `on_order_initialized` raise, the order is not left between two states.
        client.submit_order(command)
        self._note_sent(client, command)
        self._announce(ready)

    def _submit_list(self, command: SubmitOrderList) -> None:
        try:
            client = self.router.client_for(command)
        except ClientError as error:
            for order in command.orders:
                self._deny(order, Denial("CLIENT_UNKNOWN", str(error)))
            return
        for order in command.orders:
            denial = self._placement.denial(client, order)
            if denial is not None:
                reason = f"order {order.client_order_id} of its list cannot leave: {denial.reason}"
                for one in command.orders:
                    whole = denial if one is order else Denial(denial.code, reason)
                    self._deny(one, whole)
                return
        ready = tuple(self._ready(client, order) for order in command.orders)
        command = self._placement.plain(client, msgspec.structs.replace(command, orders=ready))
        client.submit_order_list(command)
        self._note_sent(client, command)
        for order in ready:
            self._announce(order)

    def _ready(self, client: ExecutionClient, order: OrderInitialized) -> OrderInitialized:
        if self.router.has_several:
            self.router.remember(order.client_order_id, client)
        ready = self._placement.ready(client, order)
        if ready is not order:
            self._on_derived(ready)
        return ready

    def _announce(self, order: OrderInitialized) -> None:
        """Tell of an order that is on its way; of one that was emulated its owner has heard."""
        kept = self._cache.order(order.client_order_id)
        if kept is None or kept.status is OrderStatus.INITIALIZED:
            self._tell(order, ())

    def _deny(self, order: OrderInitialized, denial: Denial) -> None:
        fields = about(order, self._clock.timestamp_ns())
        self._send_event(OrderDenied(code=denial.code, reason=denial.reason, **fields))

    def _cancel(self, client: ExecutionClient, command: CancelOrder) -> None:
        order = self._cache.order(command.client_order_id)
        if order is None or order.is_closed:
            self._reject(OrderCancelRejected, command, order)
            return
        self._pend(OrderPendingCancel, order)
        client.cancel_order(command)
        self._note_sent(client, command)

    def _modify(self, client: ExecutionClient, command: ModifyOrder) -> None:
        order = self._cache.order(command.client_order_id)
        if order is None or order.is_closed or order.status is OrderStatus.PENDING_CANCEL:
            self._reject(OrderModifyRejected, command, order)
            return
        if not client.capabilities.amend:
            reason = (
                f"execution client {client.client_id} cannot change an order: cancel it and submit"
                " another one"
            )
            fields = about(command, self._clock.timestamp_ns())
            self._send_event(
                OrderModifyRejected(code="CAPABILITY_MISSING", reason=reason, **fields)
            )
            return
        self._pend(OrderPendingUpdate, order)
        client.modify_order(command)
        self._note_sent(client, command)

    def _reject(
        self,
        kind: type[OrderCancelRejected] | type[OrderModifyRejected],
        command: CancelOrder | ModifyOrder,
        order: Order | None,
    ) -> None:
        became = "not known" if order is None else order.status.value
        fields = about(command, self._clock.timestamp_ns())
        self._send_event(kind(code="ORDER_NOT_OPEN", reason=f"the order is {became}", **fields))

    def _cancel_all(self, command: CancelAllOrders) -> None:
        clients = self.router.clients_for_all(command)
        for order in self._cache.orders_open(
            instrument_id=command.instrument_id, strategy_id=command.strategy_id
        ):
            if command.side in (None, order.side) and self.router.of_order(order) in clients:
                self._pend(OrderPendingCancel, order)
        for client in clients:
            client.cancel_all_orders(command)
            self._note_sent(client, command)

    def _note_sent(self, client: ExecutionClient, command: TradingCommand) -> None:
        for tell in self.on_sent:
            tell(client, command)

    def _pend(
        self, kind: type[OrderPendingCancel] | type[OrderPendingUpdate], order: Order
    ) -> None:
        fields = about(order, self._clock.timestamp_ns())
        self._send_event(
            kind(account_id=order.account_id, venue_order_id=order.venue_order_id, **fields)
        )

    # Events

    def process(self, event: Any) -> None:
        """Apply one execution event or report, then tell whom it concerns.

        Raises:
            StrategyError: If the strategy's callback raised.
        """
        if isinstance(event, OrderEvent):
            self._on_order_event(event)
        elif isinstance(event, AccountState):
            self._on_account(event)
        elif isinstance(event, (OrderStatusReport, FillReport, PositionReport)):
            self._bus.publish(f"reports.{event.account_id}", event)
            for made in self.external.events(event):
                self._make(made)
        else:
            raise ConfigError(f"{type(event).__name__} is not an execution event")

    def _make(self, event: OrderEvent) -> None:
        """Apply an event that is made here."""
        self._on_derived(event)
        if isinstance(event, OrderInitialized):
            self._cache.add_order(Order.from_initialized(event))
            self._tell(event, ())
        else:
            self._on_order_event(event)

    def _on_account(self, state: AccountState) -> None:
        for venue in self.router.venues_of(state.account_id):
            self._cache.put_account(venue, state)
        if self._bus.is_quiet:
            return
        topic = self._account_topics.get(state.account_id)
        if topic is None:
            topic = self._account_topics[state.account_id] = f"events.account.{state.account_id}"
        self._bus.publish(topic, state)

    def _on_order_event(self, event: OrderEvent) -> None:
        order = self._cache.order(event.client_order_id)
        if order is None:
            was_purged = " (any more)" if self._cache.purged_before_ns else ""
            self._refuse(event, f"no order {event.client_order_id} is known{was_purged}")
            return
        if isinstance(event, OrderFilled):
            self._on_fill(order, event)
            return
        is_new = order.status is OrderStatus.INITIALIZED
        try:
            order.apply(event)
        except OrderStateError as error:
            self._refuse(event, str(error))
            return
        self._cache.update_order(order)
        self._on_applied(event)
        if is_new and isinstance(event, (OrderDenied, OrderEmulated)):
            # Such an order never became a command: its owner hears of its making here.
            made = order.to_initialized()
            self._on_derived(made)
            self._tell(made, ())
        self._tell(event, ())

    def _on_fill(self, order: Order, event: OrderFilled) -> None:
        was_canceled = order.status is OrderStatus.CANCELED
        try:
            fill = event
            if event.reconciliation or self._inferred.open:
                fill = self._inferred.uncovered(order, event)
            try:
                order.apply(fill)
            except OverfillError as error:
                self._overfill(order, fill, error)
        except OrderStateError as error:
            self._refuse(event, str(error))
            return
        if event.reconciliation or self._inferred.open:
            self._inferred.settle(event)
        self._cache.update_order(order)
        is_hedging = fill.account_id in self.router.hedging
        changes = self._positions.apply_fill(order, fill, is_hedging=is_hedging)
        self._on_applied(fill)
        self._tell(fill, changes)
        if was_canceled and not order.is_closed:
            # The venue does not hold the rest: the table calls it partially filled, but its cancel
            # came before and no other will.
            self._make(
                OrderCanceled(
                    account_id=fill.account_id,
                    venue_order_id=fill.venue_order_id,
                    reason="it was cancelled before this fill came",
                    strategy_id=fill.strategy_id,
                    instrument_id=fill.instrument_id,
                    client_order_id=fill.client_order_id,
                    ts_event=fill.ts_event,
                    ts_init=fill.ts_init,
                )
            )

    def _overfill(self, order: Order, fill: OrderFilled, error: OverfillError) -> None:
        if FROM_FILL in order.terms.tags:
            order.apply_overfill(fill)
        elif self._allow_overfills:
            order.apply_overfill(fill)
            sentence = (
                f"order {order.client_order_id} is for {order.quantity}; with trade"
                f" {fill.trade_id} {order.filled_quantity} are filled"
            )
            _keep(self.overfills, (fill, sentence))
            self._bus.publish(f"events.overfilled.{fill.strategy_id}", (fill, sentence))
        else:
            raise error

    def _refuse(self, event: OrderEvent, reason: str) -> None:
        """Keep and report an event that cannot be applied; nothing else has changed."""
        _keep(self.refused_events, (event, reason))
        self._bus.publish(f"events.refused.{event.strategy_id}", (event, reason))

    def _note_unreconciled(self, report: ExecutionReport, reason: str) -> None:
        _keep(self.unreconciled, (report, reason))
        self._bus.publish(f"events.unreconciled.{report.account_id}", (report, reason))

    def _tell(
        self, event: OrderEvent, changes: tuple[PositionEvent, ...] | list[PositionEvent]
    ) -> None:
        for change in changes:
            self._on_derived(change)
        owner = self._owners.get(event.strategy_id)
        if not self._bus.is_quiet:
            self._tell_all(event, changes, owner)
        elif owner is not None:
            owner.handle_order_event(event)
            for change in changes:
                owner.handle_position_event(change)

    def _tell_all(
        self,
        event: OrderEvent,
        changes: tuple[PositionEvent, ...] | list[PositionEvent],
        owner: OrderOwner | None,
    ) -> None:
        """Tell whoever subscribed, and then the owner."""
        topics = self._topics.get(event.strategy_id)
        if topics is None:
            topics = f"events.order.{event.strategy_id}", f"events.position.{event.strategy_id}"
            self._topics[event.strategy_id] = topics
        self._bus.publish(topics[0], event)
        if owner is not None:
            owner.handle_order_event(event)
        for change in changes:
            self._bus.publish(topics[1], change)
            if owner is not None:
                owner.handle_position_event(change)


def _keep(kept: list[Any], item: Any) -> None:
    kept.append(item)
    if len(kept) > KEPT_REFUSALS:
        del kept[0]

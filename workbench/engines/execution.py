"""The execution engine: routes commands to clients, and applies what comes back.

State is updated first (order, position, portfolio), then strategies are told. NETTING: one position
per instrument and strategy; a flip closes it and opens the remainder as a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Protocol

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient
from workbench.engines.portfolio import Portfolio
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    SubmitOrder,
    TradingCommand,
)
from workbench.model.enums import OrderStatus
from workbench.model.errors import ClientError, ConfigError, OrderStateError
from workbench.model.events import (
    AccountState,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderPendingCancel,
    OrderPendingUpdate,
    PositionChanged,
    PositionClosed,
    PositionEvent,
    PositionOpened,
    about,
)
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    InstrumentId,
    PositionId,
    StrategyId,
    Venue,
    venue_of,
)
from workbench.model.orders import Order
from workbench.model.positions import Position, split_flip
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport
from workbench.runtime.bus import MessageBus
from workbench.runtime.clock import Clock


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
            `events.position.STRATEGY` and `events.account.ACCOUNT`.
        send_event: Takes the events made here.
        on_applied: Told each order event after it was applied; the risk engine listens.
        on_derived: Told each event made here; the event log listens.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        portfolio: Portfolio,
        bus: MessageBus,
        send_event: Callable[[Any], None],
        on_applied: Callable[[OrderEvent], None],
        on_derived: Callable[[PositionEvent | OrderInitialized], None],
    ) -> None:
        self.refused_events: list[tuple[OrderEvent, str]] = []
        self._cache = cache
        self._clock = clock
        self._portfolio = portfolio
        self._bus = bus
        self._send_event = send_event
        self._on_applied = on_applied
        self._on_derived = on_derived
        self._clients: dict[ClientId, ExecutionClient] = {}
        self._by_venue: dict[Venue, ExecutionClient] = {}
        self._accounts: dict[AccountId, tuple[Venue, str]] = {}
        self._owners: dict[StrategyId, OrderOwner] = {}
        self._position_count = 0
        self._topics: dict[str, tuple[str, str]] = {}

    def add_client(self, client: ExecutionClient) -> None:
        """Register an execution client.

        Raises:
            ConfigError: If its name is taken or its venue has a client.
        """
        if client.client_id in self._clients:
            raise ConfigError(
                f"an execution client named {client.client_id!r} is registered already"
            )
        if client.venue in self._by_venue:
            raise ConfigError(f"venue {client.venue} has an execution client already")
        self._clients[client.client_id] = client
        self._by_venue[client.venue] = client
        topic = f"events.account.{client.account_id}"
        self._accounts[client.account_id] = client.venue, topic

    @property
    def clients(self) -> list[ExecutionClient]:
        """Return the execution clients, in the order they were registered."""
        return list(self._clients.values())

    def add_owner(self, strategy_id: StrategyId, owner: OrderOwner) -> None:
        """Tell `owner` of the events of a strategy's orders and positions."""
        self._owners[strategy_id] = owner
        self._topics[strategy_id] = (
            f"events.order.{strategy_id}",
            f"events.position.{strategy_id}",
        )

    # Commands

    def execute(self, command: TradingCommand) -> None:
        """Send one command to the client it is for.

        Raises:
            ClientError: If no execution client serves the venue.
        """
        if isinstance(command, SubmitOrder):
            self._submit(command)
            return
        client = self._client(command.client_id, command.instrument_id)
        if isinstance(command, CancelOrder):
            self._cancel(client, command)
        elif isinstance(command, ModifyOrder):
            self._modify(client, command)
        elif isinstance(command, CancelAllOrders):
            self._cancel_all(client, command)
        else:
            client.query_order(command)

    def _submit(self, command: SubmitOrder) -> None:
        try:
            client = self._client(command.client_id, command.instrument_id)
        except ClientError as error:
            fields = about(command, self._clock.timestamp_ns())
            self._send_event(OrderDenied(code="CLIENT_UNKNOWN", reason=str(error), **fields))
            return
        # Sent first: should `on_order_initialized` raise, the order is not left between two states.
        client.submit_order(command)
        self._tell(command.order, ())

    def _cancel(self, client: ExecutionClient, command: CancelOrder) -> None:
        order = self._cache.order(command.client_order_id)
        if order is None or order.is_closed:
            self._reject(OrderCancelRejected, command, order)
            return
        self._pend(OrderPendingCancel, order)
        client.cancel_order(command)

    def _modify(self, client: ExecutionClient, command: ModifyOrder) -> None:
        order = self._cache.order(command.client_order_id)
        if order is None or order.is_closed or order.status is OrderStatus.PENDING_CANCEL:
            self._reject(OrderModifyRejected, command, order)
            return
        self._pend(OrderPendingUpdate, order)
        client.modify_order(command)

    def _reject(
        self,
        kind: type[OrderCancelRejected] | type[OrderModifyRejected],
        command: CancelOrder | ModifyOrder,
        order: Order | None,
    ) -> None:
        became = "not known" if order is None else order.status.value
        fields = about(command, self._clock.timestamp_ns())
        self._send_event(kind(code="ORDER_NOT_OPEN", reason=f"the order is {became}", **fields))

    def _cancel_all(self, client: ExecutionClient, command: CancelAllOrders) -> None:
        for order in self._cache.orders_open(
            instrument_id=command.instrument_id, strategy_id=command.strategy_id
        ):
            if command.side in (None, order.side):
                self._pend(OrderPendingCancel, order)
        client.cancel_all_orders(command)

    def _pend(
        self, kind: type[OrderPendingCancel] | type[OrderPendingUpdate], order: Order
    ) -> None:
        fields = about(order, self._clock.timestamp_ns())
        self._send_event(
            kind(account_id=order.account_id, venue_order_id=order.venue_order_id, **fields)
        )

    def _client(self, client_id: ClientId | None, instrument_id: InstrumentId) -> ExecutionClient:
        if client_id is not None:
            found = self._clients.get(client_id)
        else:
            found = self._by_venue.get(venue_of(instrument_id))
        if found is None:
            wanted = f"named {client_id!r}" if client_id else f"for {instrument_id!r}"
            known = (
                ", ".join(f"{c.client_id} ({c.venue})" for c in self._clients.values()) or "none"
            )
            raise ClientError(f"no execution client {wanted}; registered: {known}")
        return found

    # Events

    def process(self, event: Any) -> None:
        """Apply one execution event, then tell whom it concerns.

        Raises:
            StrategyError: If the strategy's callback raised.
        """
        if isinstance(event, OrderEvent):
            self._on_order_event(event)
        elif isinstance(event, AccountState):
            self._on_account(event)
        elif isinstance(event, (OrderStatusReport, FillReport, PositionReport)):
            self._bus.publish(f"reports.{event.account_id}", event)
        else:
            raise ConfigError(f"{type(event).__name__} is not an execution event")

    def _on_account(self, state: AccountState) -> None:
        found = self._accounts.get(state.account_id)
        if found is None:
            raise ClientError(f"no execution client holds account {state.account_id}")
        venue, topic = found
        self._cache.put_account(venue, state)
        self._bus.publish(topic, state)

    def _on_order_event(self, event: OrderEvent) -> None:
        order = self._cache.order(event.client_order_id)
        if order is None:
            self._refuse(event, f"no order {event.client_order_id} is known")
            return
        try:
            order.apply(event)
        except OrderStateError as error:
            self._refuse(event, str(error))
            return
        self._cache.update_order(order)
        changes = self._apply_fill(order, event) if isinstance(event, OrderFilled) else ()
        self._on_applied(event)
        if isinstance(event, OrderDenied):
            # A denied order never became a command: its owner hears of its making here.
            made = order.to_initialized()
            self._on_derived(made)
            self._tell(made, ())
        self._tell(event, changes)

    def _refuse(self, event: OrderEvent, reason: str) -> None:
        """Keep and report an event that cannot be applied; nothing else has changed."""
        self.refused_events.append((event, reason))
        self._bus.publish(f"events.refused.{event.strategy_id}", (event, reason))

    def _tell(
        self, event: OrderEvent, changes: tuple[PositionEvent, ...] | list[PositionEvent]
    ) -> None:
        for change in changes:
            self._on_derived(change)
        topics = self._topics.get(event.strategy_id)
        owner = self._owners.get(event.strategy_id)
        if topics is None or owner is None:
            return
        self._bus.publish(topics[0], event)
        owner.handle_order_event(event)
        for change in changes:
            self._bus.publish(topics[1], change)
            owner.handle_position_event(change)

    # Positions

    def _apply_fill(self, order: Order, fill: OrderFilled) -> list[PositionEvent]:
        position = self._cache.position_of(fill.instrument_id, fill.strategy_id)
        commission = fill.commission
        instrument = (
            self._cache.require_instrument(fill.instrument_id)
            if position is None
            else position.instrument
        )
        if fill.commission_currency != instrument.settlement_currency:
            # Charged to the account in its own currency; not part of this position's profit.
            commission = Decimal(0)
        if position is None:
            parts = ((fill.quantity, commission),)
        else:
            held = position.signed_quantity
            parts = split_flip(held, fill.side, fill.quantity, commission)
        changes: list[PositionEvent] = []
        for quantity, share in parts:
            if position is None or not position.is_open:
                position = self._open(fill, instrument)
                opened = True
            else:
                opened = False
            before = position.realized_pnl
            position.apply(fill.side, quantity, fill.price, share, fill.ts_event)
            self._portfolio.add_realized(position, position.realized_pnl - before)
            if not position.signed_quantity:
                self._cache.drop_netted(position)
                kind = PositionClosed
            else:
                kind = PositionOpened if opened else PositionChanged
            changes.append(_position_event(kind, position, fill))
            order.position_id = position.position_id
        return changes

    def _open(self, fill: OrderFilled, instrument: Any) -> Position:
        self._position_count += 1
        position = Position(
            position_id=PositionId(f"P-{fill.strategy_id}-{self._position_count}"),
            strategy_id=fill.strategy_id,
            account_id=fill.account_id,
            instrument=instrument,
            entry=fill.side,
        )
        self._cache.add_position(position)
        return position


def _position_event(
    kind: type[PositionOpened] | type[PositionChanged] | type[PositionClosed],
    position: Position,
    fill: OrderFilled,
) -> PositionEvent:
    return kind(
        position_id=position.position_id,
        strategy_id=position.strategy_id,
        instrument_id=fill.instrument_id,
        account_id=position.account_id,
        client_order_id=fill.client_order_id,
        side=position.side,
        signed_quantity=position.signed_quantity,
        average_open=position.average_open,
        average_close=position.average_close,
        realized_pnl=position.realized_pnl,
        currency=position.instrument.settlement_currency,
        ts_event=fill.ts_event,
        ts_init=fill.ts_init,
    )

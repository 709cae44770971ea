"""A trading core with a venue's two clients, for tests: no node, and any loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

from workbench.engines.cache import Cache
from workbench.model.errors import WorkbenchError
from workbench.model.events import OrderEvent
from workbench.model.identifiers import ClientOrderId, InstrumentId
from workbench.model.money import MONEY_CONTEXT
from workbench.model.orders import Order
from workbench.runtime.clock import LiveClock
from workbench.runtime.runner import AsyncRunner, Parking
from workbench.runtime.senders import get_data_event_sender, get_exec_event_sender
from workbench.trading.core import TradingCore
from workbench.trading.strategy import Strategy
from workbench.venues.contract import BrokerContext, DataContext, EndpointKind
from workbench.venues.data_client import VenueDataClient
from workbench.venues.execution_client import VenueExecutionClient
from workbench.venues.order_entry import Durable, ExecutionSettings
from workbench.venues.testing.trial import VenueTrial

GUARD_S = 60.0
"""How long something is waited for before a test fails: a guard against hanging, no measure."""


class Desk(Strategy):
    """Sends what a test tells it to, and notes what it is told.

    Attributes:
        data: Market data, in order.
        order_events: Order events, in order.
        responses: Answers to requests.
        gaps: Of data.
    """

    def forget(self) -> None:
        """Begin with nothing noted."""
        self.data: list[Any] = []
        self.order_events: list[OrderEvent] = []
        self.responses: list[Any] = []
        self.gaps: list[Any] = []

    def on_quote(self, quote: Any) -> None:
        """Note it."""
        self.data.append(quote)

    def on_trade(self, trade: Any) -> None:
        """Note it."""
        self.data.append(trade)

    def on_bar(self, bar: Any) -> None:
        """Note it."""
        self.data.append(bar)

    def on_data_gap(self, gap: Any) -> None:
        """Note it."""
        self.gaps.append(gap)

    def on_historical_data(self, response: Any) -> None:
        """Note it."""
        self.responses.append(response)

    def on_order_event(self, event: OrderEvent) -> None:
        """Note it."""
        self.order_events.append(event)

    def kinds(self, client_order_id: ClientOrderId) -> list[str]:
        """Return the kinds of an order's events, in order."""
        return [
            type(event).__name__
            for event in self.order_events
            if event.client_order_id == client_order_id
        ]


class VenueSession:
    """Core, clients and a `Desk` on the running loop.

    Args:
        trial: The venue.
        journal: Where the execution client writes down what leaves.
        settings: How it waits.
        run_tag: Part of client order ids; a later session of the same account has another.
        has_orders: Whether there is an execution client.

    Attributes:
        desk: The strategy.
        core: The trading core.
        data: The data client.
        execution: The execution client.
    """

    data: VenueDataClient
    execution: VenueExecutionClient

    def __init__(
        self,
        trial: VenueTrial,
        *,
        journal: Durable | None = None,
        settings: ExecutionSettings | None = None,
        run_tag: str = "1",
        has_orders: bool = True,
    ) -> None:
        self._trial = trial
        self._journal = journal
        self._settings = settings or trial.settings
        self._has_orders = has_orders
        self._runner = AsyncRunner()
        self._pump: asyncio.Task[None] | None = None
        with self._runner.bound():
            channels = self._runner.take_channels()
            self.core = TradingCore(trial.clock, channels, self._runner.senders, run_tag=run_tag)
            self.desk = Desk()
            self.desk.forget()
            self.desk.external_order_claims = (trial.instrument_id,)
            self.core.add_actor(self.desk)
            self._make_clients(trial.clock)
        self._parking = Parking(channels)

    def _make_clients(self, clock: LiveClock) -> None:
        trial = self._trial
        datad = trial.plugin.endpoint_class(EndpointKind.DATAD)(
            DataContext(clock.timestamp_ns), **trial.data_options
        )
        self.data = VenueDataClient(
            trial.plugin,
            datad,
            clock,
            get_data_event_sender().send,
            instrument_ids=[trial.instrument_id],
            settings=self._settings.link,
        )
        self.core.data.add_client(self.data)
        if not self._has_orders:
            return
        context = BrokerContext(clock.timestamp_ns, trial.account_id, trial.credentials)
        brokerd = trial.plugin.endpoint_class(EndpointKind.BROKERD)(context, **trial.broker_options)
        self.execution = VenueExecutionClient(
            trial.plugin,
            brokerd,
            trial.account_id,
            clock,
            get_exec_event_sender().send,
            instrument_ids=[trial.instrument_id],
            journal=self._journal,
            settings=self._settings,
        )
        self.core.execution.add_client(self.execution)

    @property
    def cache(self) -> Cache:
        """Return what is known."""
        return self.core.cache

    async def __aenter__(self) -> VenueSession:
        """Connect, take over what the venue holds, and start the desk."""
        self.core.own_thread()
        await self.data.connect()
        self.pump_once()
        if self._has_orders:
            await self.execution.connect()
            state = await self.execution.venue_state()
            send = self.core.senders.exec_event.send
            for report in (*state.fills, *state.orders, *state.positions):
                send(report)
        self.pump_once()
        with self._runner.bound():
            self.core.start_actors()
        self._pump = asyncio.create_task(self._run_pump(), name="session pump")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the desk and disconnect."""
        self.core.stop_actors()
        await self.leave()

    async def leave(self) -> None:
        """Disconnect without stopping anything first, as when a session is cut off."""
        if self._has_orders:
            await self.execution.disconnect()
        await self.data.disconnect()
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
        self.pump_once()
        self.core.release_thread()

    async def _run_pump(self) -> None:
        while True:
            self.pump_once()
            await self._parking.park()

    def pump_once(self) -> None:
        """Handle what waits."""
        with localcontext(MONEY_CONTEXT):
            while self.core.dispatcher.handle_next():
                pass
        self.core.clock.release()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something holds.

        Raises:
            WorkbenchError: If it does not come to be.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + GUARD_S
        while not condition():
            if self._pump is not None and self._pump.done():
                self._pump.result()
            if loop.time() > end_s:
                raise WorkbenchError(f"it never came to be: {what}")
            await asyncio.sleep(0.01)

    # Orders

    def limit(self, side: str, price: Any, quantity: Any = None, **more: Any) -> ClientOrderId:
        """Submit a limit order."""
        size = self._trial.quantity if quantity is None else quantity
        return self._submit(
            self.desk.orders.limit(self._trial.instrument_id, side, size, price, **more)
        )

    def market(self, side: str, quantity: Any = None) -> ClientOrderId:
        """Submit a market order."""
        size = self._trial.quantity if quantity is None else quantity
        return self._submit(self.desk.orders.market(self._trial.instrument_id, side, size))

    def stop_market(self, side: str, trigger: Any) -> ClientOrderId:
        """Submit a stop order."""
        instrument_id: InstrumentId = self._trial.instrument_id
        return self._submit(
            self.desk.orders.stop_market(instrument_id, side, self._trial.quantity, trigger)
        )

    def _submit(self, order: Order) -> ClientOrderId:
        self.desk.submit_order(order)
        return order.client_order_id

    def order(self, client_order_id: ClientOrderId) -> Order:
        """Return an order as it is here."""
        found = self.cache.order(client_order_id)
        if found is None:
            raise WorkbenchError(f"no order {client_order_id}")
        return found

    def held(self, code: str) -> Decimal:
        """Return an account's balance in a currency, as known here."""
        account = self.cache.account(self._trial.account_id)
        balances = () if account is None else account.balances
        return next((b.total for b in balances if b.currency.code == code), Decimal(0))

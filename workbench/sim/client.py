"""The execution client of a simulated exchange."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.engines.clients import ExecutionClient, VenueState
from workbench.engines.rates import Convert
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    QueryOrder,
    SubmitOrder,
    SubmitOrderList,
)
from workbench.model.events import OrderInitialized, OrderSubmitted
from workbench.model.identifiers import ClientId
from workbench.runtime.clock import Clock
from workbench.sim.exchange import SimulatedExchange


class SimulatedExecutionClient(ExecutionClient):
    """Trades at a simulated exchange; commands are handled synchronously.

    Args:
        exchange: Where it trades.
        clock: For the time of events.
        send_event: Takes execution events.
    """

    is_simulated = True

    def __init__(
        self, exchange: SimulatedExchange, clock: Clock, send_event: Callable[[Any], None]
    ) -> None:
        self.client_id = ClientId(exchange.name)
        self.venue = exchange.name
        self.account_id = exchange.account_id
        self.order_management = exchange.settings.order_management
        self.capabilities = exchange.settings.capabilities
        self.exchange = exchange
        self._clock = clock
        self._send = send_event

    def use_rates(self, convert: Convert) -> None:
        """Let the exchange's account convert into its base currency by these rates."""
        self.exchange.account.convert = convert

    async def connect(self) -> None:
        """Send the account's state."""
        self.exchange.send_account_state()

    async def disconnect(self) -> None:
        """Do nothing: there is no connection to end."""

    async def venue_state(self) -> VenueState:
        """Return the exchange's account and open orders."""
        return VenueState(
            account=self.exchange.account.state(self._clock.timestamp_ns()),
            orders=[self.exchange.report(order) for order in self.exchange.open_orders()],
        )

    def day_ends(self, now_ns: int) -> int:
        """Return when the session closes: just after what is stamped with the close itself."""
        return self.exchange.settings.session.next_close(now_ns) + 1

    def submit_order(self, command: SubmitOrder) -> None:
        """Note that the order is on its way, and send it."""
        self._note(command.order)
        self.exchange.execute(command)

    def submit_order_list(self, command: SubmitOrderList) -> None:
        """Note that the orders are on their way, and send them together."""
        for order in command.orders:
            self._note(order)
        self.exchange.execute(command)

    def _note(self, order: OrderInitialized) -> None:
        now = self._clock.timestamp_ns()
        self._send(
            OrderSubmitted(
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                account_id=self.account_id,
                ts_event=now,
                ts_init=now,
            )
        )

    def modify_order(self, command: ModifyOrder) -> None:
        """Send a change of an order."""
        self.exchange.execute(command)

    def cancel_order(self, command: CancelOrder) -> None:
        """Send a cancel."""
        self.exchange.execute(command)

    def cancel_all_orders(self, command: CancelAllOrders) -> None:
        """Send a cancel of all open orders of a strategy in an instrument."""
        self.exchange.execute(command)

    def query_order(self, command: QueryOrder) -> None:
        """Ask what became of an order."""
        self.exchange.execute(command)

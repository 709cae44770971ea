"""The engine that a journal is folded with, and what stands for the clients there were."""

from __future__ import annotations

from typing import Any, NoReturn

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient, VenueState
from workbench.engines.execution import ExecutionEngine
from workbench.engines.portfolio import Portfolio
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    QueryOrder,
    SubmitOrder,
)
from workbench.model.enums import OrderManagement
from workbench.model.errors import ConfigError
from workbench.model.events import OrderEvent, OrderFilled
from workbench.model.identifiers import AccountId, ClientId, Venue
from workbench.node.journal.errors import JournalError
from workbench.node.journal.records import RunStarted, TradedAccount
from workbench.runtime.bus import MessageBus
from workbench.runtime.clock import SimulatedClock


class FoldedExecution(ExecutionEngine):
    """An execution engine that nothing leaves, and whose settings are those of the run it is at."""

    def __init__(self, cache: Cache, portfolio: Portfolio, fills: list[OrderFilled]) -> None:
        def keep_fill(event: OrderEvent) -> None:
            if isinstance(event, OrderFilled):
                fills.append(event)

        super().__init__(
            *(cache, SimulatedClock(1), portfolio, MessageBus(), _ignore, keep_fill, _ignore)
        )
        self._known: set[tuple[AccountId, Venue]] = set()

    def add_account(self, traded: TradedAccount) -> None:
        """Know an account at a venue.

        Raises:
            ConfigError: If its positions were kept in another way before.
        """
        key = traded.account_id, traded.venue
        if key in self._known:
            before = traded.account_id in self.router.hedging
            if before != (traded.order_management is OrderManagement.HEDGING):
                raise ConfigError("its positions were netted in one run and hedged in another")
            return
        self.add_client(RecordedClient(traded))
        self._known.add(key)

    def begin(self, run: RunStarted) -> None:
        """Take the settings of a run."""
        self.configure(
            allow_overfills=run.allow_overfills,
            align_positions=run.align_positions,
            claims=run.claims,
        )


class RecordedClient(ExecutionClient):
    """Stands for the client of an account that was traded; nothing is ever sent to it."""

    def __init__(self, traded: TradedAccount) -> None:
        # Clients' names may have changed hands since.
        self.client_id = ClientId(f"{traded.account_id}@{traded.venue}")
        self.venue, self.account_id = traded.venue, traded.account_id
        self.order_management = traded.order_management
        self.is_simulated = traded.is_simulated

    async def connect(self) -> None:
        """Refuse."""
        self._refuse()

    async def disconnect(self) -> None:
        """Refuse."""
        self._refuse()

    async def venue_state(self) -> VenueState:
        """Refuse."""
        self._refuse()

    def submit_order(self, command: SubmitOrder) -> None:  # noqa: ARG002
        """Refuse."""
        self._refuse()

    def modify_order(self, command: ModifyOrder) -> None:  # noqa: ARG002
        """Refuse."""
        self._refuse()

    def cancel_order(self, command: CancelOrder) -> None:  # noqa: ARG002
        """Refuse."""
        self._refuse()

    def cancel_all_orders(self, command: CancelAllOrders) -> None:  # noqa: ARG002
        """Refuse."""
        self._refuse()

    def query_order(self, command: QueryOrder) -> None:  # noqa: ARG002
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise JournalError(f"{self.client_id} is a journal's; nothing can be sent to it")


def _ignore(_: Any) -> None: ...

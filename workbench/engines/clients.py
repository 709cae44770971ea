"""The client ports: what a data or execution client must be, whichever venue it speaks to.

Commands reach a client synchronously and must return at once; a client that does I/O starts a task
of its own. Clients answer through the senders they read when they were constructed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from workbench.engines.capabilities import ALL_CAPABILITIES, Capabilities
from workbench.engines.rates import Convert
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    DataKind,
    DataResponse,
    ModifyOrder,
    QueryOrder,
    RequestData,
    SubmitOrder,
    SubmitOrderList,
    Subscribe,
    Unsubscribe,
)
from workbench.model.data import BarType
from workbench.model.enums import OrderManagement
from workbench.model.events import AccountState
from workbench.model.identifiers import AccountId, ClientId, InstrumentId, Venue, VenueOrderId
from workbench.model.orders import Order
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport

_DAY_NS = 86_400_000_000_000


class DataClient(ABC):
    """A source of market data.

    Attributes:
        client_id: Its name, unique in a node.
        venues: The venues it serves; None for any.
    """

    client_id: ClientId
    venues: frozenset[Venue] | None = None

    @abstractmethod
    async def connect(self) -> None:
        """Connect, and send the instruments it serves as data events."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Disconnect; nothing is sent afterwards."""

    def serves(
        self,
        kind: DataKind,
        instrument_id: InstrumentId,  # noqa: ARG002  # for those who know what they have
        bar_type: BarType | None = None,  # noqa: ARG002
        topic: str = "",  # noqa: ARG002
    ) -> bool:
        """Return whether it has such data; bars that it does not serve are made inside.

        By default it has everything but custom data.
        """
        return kind is not DataKind.CUSTOM

    def bar_types(self, instrument_id: InstrumentId) -> Iterable[BarType]:  # noqa: ARG002
        """Return the bars it has, for coarser ones to be made of."""
        return ()

    @abstractmethod
    def subscribe(self, command: Subscribe) -> None:
        """Begin to send what is subscribed to."""

    @abstractmethod
    def unsubscribe(self, command: Unsubscribe) -> None:
        """Stop sending it."""

    @abstractmethod
    def request(self, command: RequestData) -> DataResponse | None:
        """Return the response if it is at hand; else send one with this request's id later."""

    async def run(self) -> None:  # noqa: B027 - to do nothing is what most clients do
        """Stream until cancelled; started when the node's phase is `running`.

        A client that streams from its own tasks leaves this as it is.
        """


@dataclass(frozen=True)
class VenueState:
    """Everything a venue reports of one account at one moment."""

    account: AccountState
    orders: list[OrderStatusReport] = field(default_factory=list[OrderStatusReport])
    fills: list[FillReport] = field(default_factory=list[FillReport])
    positions: list[PositionReport] = field(default_factory=list[PositionReport])


class OrderLookup(Protocol):
    """The orders that a node knows; its cache is one."""

    def order(self, client_order_id: str) -> Order | None:
        """Return an order by our id."""
        ...

    def order_at_venue(
        self, instrument_id: InstrumentId, venue_order_id: VenueOrderId
    ) -> Order | None:
        """Return an order by the venue's id."""
        ...

    def orders_open(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders that rest."""
        ...

    def orders_in_flight(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders of which an answer is awaited."""
        ...

    def net_quantity(self, instrument_id: str, *, account_id: str | None = None) -> Decimal:
        """Return what is held of an instrument, negative for a short."""
        ...


class ExecutionClient(ABC):
    """A way to a venue's order entry, for one account.

    Attributes:
        client_id: Its name, unique in a node.
        venue: The venue whose instruments it trades.
        account_id: The account it trades for.
        capabilities: What it can be given.
        order_management: How its account's fills make positions: NETTING, one per instrument and
            strategy, or HEDGING, one per order or as named.
        is_simulated: Whether its orders go to no real venue.
    """

    client_id: ClientId
    venue: Venue
    account_id: AccountId
    capabilities: Capabilities = ALL_CAPABILITIES
    order_management: OrderManagement = OrderManagement.NETTING
    is_simulated: bool = False

    def use_rates(self, convert: Convert) -> None:  # noqa: B027  # most accounts are kept elsewhere
        """Take the node's rates of exchange, for an account that the client itself keeps."""

    def use_orders(self, orders: OrderLookup) -> None:  # noqa: B027  # simulated ones know theirs
        """Take the node's orders, for a client that must know those of an earlier run."""

    @abstractmethod
    async def connect(self) -> None:
        """Connect, and send the account's state as an execution event."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Disconnect; nothing is sent afterwards."""

    @abstractmethod
    async def venue_state(self) -> VenueState:
        """Return what the venue holds, for reconciliation."""

    def day_ends(self, now_ns: int) -> int:
        """Return when DAY orders that are held on our side end; by default at midnight, UTC."""
        return (now_ns // _DAY_NS + 1) * _DAY_NS

    @abstractmethod
    def submit_order(self, command: SubmitOrder) -> None:
        """Send an order; `OrderSubmitted` comes first among its events."""

    def submit_order_list(self, command: SubmitOrderList) -> None:
        """Send the orders of a list, one by one where a client knows no better way."""
        for order in command.orders:
            self.submit_order(
                SubmitOrder(
                    strategy_id=command.strategy_id,
                    instrument_id=command.instrument_id,
                    client_order_id=order.client_order_id,
                    order=order,
                    client_id=command.client_id,
                    account_id=command.account_id,
                    ts_init=command.ts_init,
                )
            )

    @abstractmethod
    def modify_order(self, command: ModifyOrder) -> None:
        """Send a change of an order."""

    @abstractmethod
    def cancel_order(self, command: CancelOrder) -> None:
        """Send a cancel."""

    @abstractmethod
    def cancel_all_orders(self, command: CancelAllOrders) -> None:
        """Send a cancel of all open orders of a strategy in an instrument."""

    @abstractmethod
    def query_order(self, command: QueryOrder) -> None:
        """Ask what became of an order; the answer is an `OrderStatusReport`."""

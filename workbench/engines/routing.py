"""Which execution client a command goes to: the one it names, its account's, its venue's.

Commands about an order that was submitted follow that order to the client that has it.
"""

from __future__ import annotations

from collections.abc import Iterable

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient
from workbench.model.commands import (
    CancelAllOrders,
    SubmitOrder,
    SubmitOrderList,
    TradingCommand,
)
from workbench.model.enums import OrderManagement
from workbench.model.errors import ClientError, ConfigError
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    InstrumentId,
    Venue,
    venue_of,
)
from workbench.model.orders import Order


class Router:
    """Knows the execution clients, and which of them has which order.

    Args:
        cache: Told of each account; asked for orders.

    Attributes:
        hedging: The accounts whose positions are kept apart (HEDGING).
        simulated: The accounts whose orders go to no real venue.
        has_several: Whether a venue has more than one client.
    """

    def __init__(self, cache: Cache) -> None:
        self.hedging: set[AccountId] = set()
        self.simulated: set[AccountId] = set()
        self.has_several = False
        self._cache = cache
        self._clients: dict[ClientId, ExecutionClient] = {}
        self._by_venue: dict[Venue, ExecutionClient] = {}
        self._by_account: dict[AccountId, list[ExecutionClient]] = {}
        self._venues: dict[AccountId, list[Venue]] = {}
        # Only orders that did not go to their venue's first client.
        self._sent_to: dict[ClientOrderId, ExecutionClient] = {}

    @property
    def clients(self) -> list[ExecutionClient]:
        """Return the execution clients, in the order they were added."""
        return list(self._clients.values())

    def add(self, client: ExecutionClient) -> None:
        """Add a client; the first one of a venue gets what names neither client nor account.

        Raises:
            ConfigError: If its name is taken, another client trades the account at that venue, or
                the account's positions would be kept in two ways.
        """
        if client.client_id in self._clients:
            raise ConfigError(
                f"an execution client named {client.client_id!r} is registered already"
            )
        for other in self._by_account.get(client.account_id, ()):
            if other.venue == client.venue:
                raise ConfigError(
                    f"account {client.account_id} at venue {client.venue} has the execution client"
                    f" {other.client_id!r} already; a second client there needs an account of its"
                    " own"
                )
            if other.order_management is not client.order_management:
                raise ConfigError(
                    f"account {client.account_id} is {other.order_management.value} by"
                    f" {other.client_id!r} and {client.order_management.value} by"
                    f" {client.client_id!r}; it can be only one"
                )
        self._clients[client.client_id] = client
        self._by_venue.setdefault(client.venue, client)
        self._by_account.setdefault(client.account_id, []).append(client)
        self._venues.setdefault(client.account_id, []).append(client.venue)
        self.has_several = len(self._clients) > len(self._by_venue)
        if client.order_management is OrderManagement.HEDGING:
            self.hedging.add(client.account_id)
        if client.is_simulated:
            self.simulated.add(client.account_id)
        self._cache.register_account(client.venue, client.client_id, client.account_id)

    def venues_of(self, account_id: AccountId) -> list[Venue]:
        """Return the venues an account trades at.

        Raises:
            ClientError: If no client trades for it.
        """
        found = self._venues.get(account_id)
        if found is None:
            raise ClientError(f"no execution client holds account {account_id}")
        return found

    def client_for(self, command: TradingCommand) -> ExecutionClient:
        """Return the client that a command is for.

        Raises:
            ClientError: If there is none; lists those there are.
        """
        instrument_id = command.instrument_id
        if command.client_id is None and command.account_id is None:
            if isinstance(command, (SubmitOrder, SubmitOrderList, CancelAllOrders)):
                found = self._by_venue.get(venue_of(instrument_id))
            else:
                found = self._of_order(command.client_order_id, instrument_id)
        else:
            found = self._named(command.client_id, command.account_id, instrument_id)
        if found is None:
            raise self._unknown(command)
        return found

    def clients_for_all(self, command: CancelAllOrders) -> list[ExecutionClient]:
        """Return the clients that have working orders of a cancel-all's strategy and instrument.

        Where nobody has one, the client that would get a new order.

        Raises:
            ClientError: If there is none.
        """
        if command.client_id is not None or command.account_id is not None or not self.has_several:
            return [self.client_for(command)]
        whose = {"instrument_id": command.instrument_id, "strategy_id": command.strategy_id}
        cache = self._cache
        working = (
            *cache.orders_initialized(**whose),
            *cache.orders_in_flight(**whose),
            *cache.orders_open(**whose),
        )
        found: dict[ClientId, ExecutionClient] = {}
        for order in working:
            client = self.of_order(order)
            if client is not None:
                found[client.client_id] = client
        return list(found.values()) or [self.client_for(command)]

    def remember(self, client_order_id: ClientOrderId, client: ExecutionClient) -> None:
        """Note where an order was sent."""
        if self._by_venue.get(client.venue) is not client:
            self._sent_to[client_order_id] = client

    def forget(self, client_order_ids: Iterable[ClientOrderId]) -> None:
        """Note that these orders are known no longer."""
        if self._sent_to:
            for client_order_id in client_order_ids:
                self._sent_to.pop(client_order_id, None)

    def of_order(self, order: Order) -> ExecutionClient | None:
        """Return the client that has an order, None if there is none for it."""
        return self._of_order(order.client_order_id, order.instrument_id)

    def _of_order(
        self, client_order_id: ClientOrderId, instrument_id: InstrumentId
    ) -> ExecutionClient | None:
        client = self._sent_to.get(client_order_id)
        if client is not None:
            return client
        order = self._cache.order(client_order_id)
        if order is not None and order.account_id is not None:
            # One that was found at the venue, or sent before a restart.
            client = self._at(order.account_id, instrument_id)
        return client or self._by_venue.get(venue_of(instrument_id))

    def _at(self, account_id: AccountId, instrument_id: InstrumentId) -> ExecutionClient | None:
        """Return the client of an account, of several the one at the instrument's venue."""
        found = self._by_account.get(account_id, ())
        venue = venue_of(instrument_id)
        at_venue = [client for client in found if client.venue == venue]
        return next(iter((*at_venue, *found)), None)

    def _named(
        self,
        client_id: ClientId | None,
        account_id: AccountId | None,
        instrument_id: InstrumentId,
    ) -> ExecutionClient | None:
        if client_id is None:
            return None if account_id is None else self._at(account_id, instrument_id)
        client = self._clients.get(client_id)
        if client is not None and account_id not in (None, client.account_id):
            raise ClientError(
                f"execution client {client_id!r} trades for account {client.account_id}, not for"
                f" {account_id}"
            )
        return client

    def _unknown(self, command: TradingCommand) -> ClientError:
        if command.client_id is not None:
            wanted = f"named {command.client_id!r}"
        elif command.account_id is not None:
            wanted = f"for account {command.account_id!r}"
        else:
            wanted = f"for {command.instrument_id!r}"
        known = ", ".join(f"{c.client_id} ({c.venue})" for c in self._clients.values()) or "none"
        return ClientError(f"no execution client {wanted}; registered: {known}")

"""The cache: what the core knows now. Written by the engines only, read by everybody."""

from __future__ import annotations

from collections.abc import Container, Iterable, Set
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from workbench.engines.market import Market
from workbench.engines.own_orders import OwnOrders
from workbench.engines.purging import Purged, purgeable_orders, purgeable_positions
from workbench.engines.trading_books import TradingBook, TradingBooks
from workbench.model.data import (
    Bar,
    BarType,
    FundingRate,
    InstrumentStatus,
    MarkPrice,
    Quote,
    Trade,
)
from workbench.model.enums import OrderSide
from workbench.model.errors import ConfigError, InstrumentError
from workbench.model.events import AccountState
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    Venue,
    VenueOrderId,
)
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.model.order_state import CLOSED
from workbench.model.orders import Order
from workbench.model.positions import Position

_T = TypeVar("_T", Order, Position)


class Cache:
    """Instruments, market data, orders, positions and accounts, indexed.

    All lists it returns are copies; `Order` and `Position` objects are the live ones. Questions
    about one instrument or strategy look at nothing else, and none looks at closed orders or
    positions unless it asks for them.

    Attributes:
        purged_before_ns: The newest time for which `purge` was called, 0 if never.
        has_several_accounts: Whether a venue has more than one account.
        has_one_account: Whether clients trade for at most one account, at any venue.
    """

    def __init__(self) -> None:
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._markets: dict[InstrumentId, Market] = {}
        self.purged_before_ns = 0
        self._books = TradingBooks()
        self._find_book = self._books.find
        self._orders: dict[ClientOrderId, Order] = {}
        self._closed: dict[ClientOrderId, Order] = {}  # in the order they were closed
        self._positions: dict[PositionId, Position] = {}
        self._closed_positions: dict[PositionId, Position] = {}  # likewise
        self._own_orders: dict[InstrumentId, OwnOrders] = {}
        self._by_venue_id: dict[tuple[InstrumentId, VenueOrderId], Order] | None = None
        self._accounts: dict[AccountId, AccountState] = {}
        self._account_of: dict[Venue, AccountId] = {}
        self._accounts_at: dict[Venue, list[AccountId]] = {}
        self._account_of_client: dict[ClientId, AccountId] = {}
        self._registered: dict[AccountId, None] = {}
        self.has_several_accounts = False
        self.has_one_account = True

    # Instruments and market data

    def add_instrument(self, instrument: Instrument) -> None:
        """Keep an instrument, or its newer definition."""
        self._instruments[instrument.id] = instrument

    def instrument(self, instrument_id: str) -> Instrument | None:
        """Return an instrument, or None."""
        return self._instruments.get(InstrumentId(instrument_id))

    def require_instrument(self, instrument_id: str) -> Instrument:
        """Return an instrument.

        Raises:
            InstrumentError: If it is not known; lists those that are.
        """
        found = self._instruments.get(InstrumentId(instrument_id))
        if found is None:
            known = ", ".join(sorted(self._instruments)) or "none"
            raise InstrumentError(f"no instrument {instrument_id!r}; known: {known}")
        return found

    def instruments(self) -> list[Instrument]:
        """Return all instruments."""
        return list(self._instruments.values())

    def market(self, instrument_id: InstrumentId) -> Market:
        """Return the slot that holds an instrument's market data."""
        market = self._markets.get(instrument_id)
        if market is None:
            market = self._markets[instrument_id] = Market()
        return market

    def markets(self) -> list[tuple[InstrumentId, Market]]:
        """Return every instrument's slot that was asked for so far, oldest first."""
        return list(self._markets.items())

    def quote(self, instrument_id: str) -> Quote | None:
        """Return the latest quote, or None."""
        return self.market(InstrumentId(instrument_id)).quote

    def trade(self, instrument_id: str) -> Trade | None:
        """Return the latest trade, or None."""
        return self.market(InstrumentId(instrument_id)).trade

    def mark_price(self, instrument_id: str) -> MarkPrice | None:
        """Return the latest mark price, or None."""
        return self.market(InstrumentId(instrument_id)).mark_price

    def funding_rate(self, instrument_id: str) -> FundingRate | None:
        """Return the latest funding rate, or None."""
        return self.market(InstrumentId(instrument_id)).funding_rate

    def instrument_status(self, instrument_id: str) -> InstrumentStatus | None:
        """Return the latest status of the market, or None."""
        return self.market(InstrumentId(instrument_id)).status

    def bar(self, bar_type: str | BarType) -> Bar | None:
        """Return the latest bar of a type, or None."""
        kind = BarType.parse(bar_type)
        return self.market(kind.instrument_id).bars.get(kind)

    def price_to(self, instrument_id: InstrumentId, side: OrderSide) -> float | None:
        """Return what an order of `side` would trade at now, or None."""
        return self.market(instrument_id).price_to(side)

    # Orders

    def add_order(self, order: Order) -> None:
        """Keep a new order.

        Raises:
            ConfigError: If its id is known already.
        """
        if order.client_order_id in self._orders:
            raise ConfigError(
                f"order {order.client_order_id} was submitted before; make a new order for each"
                " submit"
            )
        self._orders[order.client_order_id] = order
        book = self._books.of(order.instrument_id, order.strategy_id)
        book.initialized[order.client_order_id] = order

    def update_order(self, order: Order) -> None:
        """File an order by its present status."""
        key, status = order.client_order_id, order.status
        book = self._find_book((order.instrument_id, order.strategy_id))
        if book is None:
            book = self._books.of(order.instrument_id, order.strategy_id)
        # An empty file is not looked into: most orders are submitted and filled, alone.
        if book.initialized:
            book.initialized.pop(key, None)
        if status not in CLOSED:
            book.file(key, order, status)
            if self._closed:
                self._closed.pop(key, None)  # a fill came after its cancel
        else:
            if book.open:
                book.open.pop(key, None)
            if book.in_flight:
                book.in_flight.pop(key, None)
            if book.emulated:
                book.emulated.pop(key, None)
            self._closed[key] = order
        if self._own_orders or self._by_venue_id is not None:
            self._update_asked_for(order)

    def _update_asked_for(self, order: Order) -> None:
        """Update the indices that are kept only once somebody asked for them."""
        own = self._own_orders.get(order.instrument_id)
        if own is not None:
            own.update(order)
        if self._by_venue_id is not None and order.venue_order_id is not None:
            self._by_venue_id[order.instrument_id, order.venue_order_id] = order

    def order(self, client_order_id: str) -> Order | None:
        """Return an order, or None."""
        return self._orders.get(ClientOrderId(client_order_id))

    def orders(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return all orders, oldest first, of one instrument or strategy where given."""
        return _select(self._orders.values(), instrument_id, strategy_id)

    def orders_open(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders that rest at a venue."""
        if instrument_id is not None and strategy_id is not None:  # asked for each order
            book = self._find_book((instrument_id, strategy_id))
            return [] if book is None else list(book.open.values())
        books = self._books.select(instrument_id, strategy_id)
        return [order for book in books for order in book.open.values()]

    def orders_in_flight(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders for which an answer of the venue is awaited."""
        books = self._books.select(instrument_id, strategy_id)
        return [order for book in books for order in book.in_flight.values()]

    def orders_initialized(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders whose submission has not been handled yet."""
        books = self._books.select(instrument_id, strategy_id)
        return [order for book in books for order in book.initialized.values()]

    def orders_emulated(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders that wait on our side, or were released and are not sent yet."""
        books = self._books.select(instrument_id, strategy_id)
        return [order for book in books for order in book.emulated.values()]

    def orders_closed(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders that are over, in the order they ended."""
        return _select(self._closed.values(), instrument_id, strategy_id)

    def latest_closed(self, limit: int) -> list[Order]:
        """Return the orders that ended last, the newest first."""
        return list(islice(reversed(self._closed.values()), limit))

    @property
    def closed_count(self) -> int:
        """Return how many orders are over."""
        return len(self._closed)

    def order_at_venue(
        self, instrument_id: InstrumentId, venue_order_id: VenueOrderId
    ) -> Order | None:
        """Return the order to which a venue gave an id, or None.

        The index behind it is made when it is first asked for.
        """
        if self._by_venue_id is None:
            self._by_venue_id = {
                (order.instrument_id, order.venue_order_id): order
                for order in self._orders.values()
                if order.venue_order_id is not None
            }
        return self._by_venue_id.get((instrument_id, venue_order_id))

    def own_orders(self, instrument_id: str) -> OwnOrders:
        """Return what of an instrument's book is ours; the same object, kept up to date."""
        key = InstrumentId(instrument_id)
        own = self._own_orders.get(key)
        if own is None:
            own = self._own_orders[key] = OwnOrders(self.orders_open(instrument_id=key))
        return own

    # Positions

    def add_position(self, position: Position) -> None:
        """Keep a new position."""
        self._positions[position.position_id] = position
        book = self._books.of(position.instrument_id, position.strategy_id)
        book.positions[position.position_id] = position

    def close_position(self, position: Position) -> None:
        """Note that a position was closed."""
        self._closed_positions[position.position_id] = position
        book = self._books.of(position.instrument_id, position.strategy_id)
        book.positions.pop(position.position_id, None)

    def book(self, instrument_id: InstrumentId, strategy_id: StrategyId) -> TradingBook:
        """Return what a strategy has working and holds in an instrument; for the engines."""
        return self._books.of(instrument_id, strategy_id)

    def position(self, position_id: str) -> Position | None:
        """Return a position by its id, or None."""
        return self._positions.get(PositionId(position_id))

    def position_of(
        self, instrument_id: str, strategy_id: str, account_id: str | None = None
    ) -> Position | None:
        """Return the open position of a strategy in an instrument (and account), or None.

        Of several (HEDGING, or in several accounts) the oldest; `positions_open` has them all.
        """
        book = self._find_book((instrument_id, strategy_id))
        if book is None or not book.positions:
            return None
        held = book.positions.values()
        return next((one for one in held if account_id in (None, one.account_id)), None)

    def positions(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Position]:
        """Return all positions, open and closed, oldest first."""
        return _select(self._positions.values(), instrument_id, strategy_id)

    def positions_open(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Position]:
        """Return the open positions."""
        books = self._books.select(instrument_id, strategy_id)
        return [position for book in books for position in book.positions.values()]

    def positions_closed(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Position]:
        """Return the closed positions, in the order they were closed."""
        return _select(self._closed_positions.values(), instrument_id, strategy_id)

    def latest_closed_positions(self, limit: int) -> list[Position]:
        """Return the positions that were closed last, the newest first."""
        return list(islice(reversed(self._closed_positions.values()), limit))

    @property
    def closed_position_count(self) -> int:
        """Return how many positions are closed."""
        return len(self._closed_positions)

    def net_quantity(
        self, instrument_id: str, strategy_id: str | None = None, account_id: str | None = None
    ) -> Decimal:
        """Return the signed quantity held in all positions, of one strategy or account or all."""
        if strategy_id is not None and account_id is None:  # asked for each order
            book = self._find_book((instrument_id, strategy_id))
            if book is None or not book.positions:
                return ZERO
            if len(book.positions) == 1:
                return next(iter(book.positions.values())).signed_quantity
        total = ZERO
        for book in self._books.select(instrument_id, strategy_id):
            for position in book.positions.values():
                if account_id is None or position.account_id == account_id:
                    total += position.signed_quantity
        return total

    # Forgetting

    def purge(self, closed_before_ns: int, keep: Container[ClientOrderId] = ()) -> Purged:
        """Forget orders and positions that were closed before a time, and return them.

        An order stays while it works, is in `keep`, or is linked to one that works; a position
        stays while it is open or a working order belongs to it. What is still to come for a
        forgotten order is refused, as for one that never was.

        Args:
            closed_before_ns: What was closed before this is forgotten, nanoseconds.
            keep: Orders to keep all the same.
        """
        self.purged_before_ns = max(self.purged_before_ns, closed_before_ns)
        working = [one for book in self._books.select(None, None) for one in book.working()]
        orders = purgeable_orders(
            self._closed.values(), closed_before_ns, working, self._orders, keep
        )
        for order in orders:
            del self._closed[order.client_order_id]
            del self._orders[order.client_order_id]
            if self._by_venue_id is not None and order.venue_order_id is not None:
                self._by_venue_id.pop((order.instrument_id, order.venue_order_id), None)
        positions = purgeable_positions(self._closed_positions.values(), closed_before_ns, working)
        for position in positions:
            del self._closed_positions[position.position_id]
            del self._positions[position.position_id]
        return Purged(orders, positions)

    # Accounts

    def register_account(self, venue: Venue, client_id: ClientId, account_id: AccountId) -> None:
        """Note which account a client trades for; the first one of a venue is its default."""
        self._account_of.setdefault(venue, account_id)
        here = self._accounts_at.setdefault(venue, [])
        here.append(account_id)
        self.has_several_accounts |= len(here) > 1
        self._account_of_client[client_id] = account_id
        self._registered[account_id] = None
        self.has_one_account = len(self._registered) < 2

    def account_of_client(self, client_id: str) -> AccountId | None:
        """Return the account an execution client trades for, None if there is no such client."""
        return self._account_of_client.get(ClientId(client_id))

    def put_account(self, venue: Venue, state: AccountState) -> None:
        """Keep an account's newest state; the first account of a venue is its default."""
        self._accounts[state.account_id] = state
        self._account_of.setdefault(venue, state.account_id)

    def account(self, account_id: str) -> AccountState | None:
        """Return an account's newest state, or None."""
        return self._accounts.get(AccountId(account_id))

    def account_at(self, venue: str) -> AccountState | None:
        """Return the newest state of the (first) account at a venue, or None."""
        account_id = self._account_of.get(Venue(venue))
        return None if account_id is None else self._accounts.get(account_id)

    def accounts_at(self, venue: str) -> list[AccountState]:
        """Return the newest state of each account at a venue, the first one first."""
        default = self._account_of.get(Venue(venue))
        known = self._accounts_at.get(Venue(venue)) or ([] if default is None else [default])
        return [self._accounts[name] for name in known if name in self._accounts]

    def account_for(
        self, venue: str, client_id: str | None = None, account_id: str | None = None
    ) -> AccountState | None:
        """Return the newest state of the account a command or order is for, or None.

        That is the one named, else that of the named client, else the first one of the venue (also
        for a client that is not known: what is for it is denied when it is sent on).
        """
        if account_id is None and client_id is not None:
            account_id = self._account_of_client.get(ClientId(client_id))
        return self.account_at(venue) if account_id is None else self.account(account_id)

    def account_among(
        self, venue: str, client_id: str | None = None, account_id: str | None = None
    ) -> AccountId | None:
        """Return which of a venue's accounts a command or order is for, None where it has one.

        As `account_for`, whether or not the account has told its state.
        """
        if not self.has_several_accounts or len(self._accounts_at.get(Venue(venue), ())) < 2:
            return None
        return self.account_id_for(venue, client_id, account_id)

    def account_id_for(
        self, venue: str, client_id: str | None = None, account_id: str | None = None
    ) -> AccountId | None:
        """Return the account a command is for, as `account_for`, whether or not it has a state."""
        if account_id is None and client_id is not None:
            account_id = self._account_of_client.get(ClientId(client_id))
        return self._account_of.get(Venue(venue)) if account_id is None else AccountId(account_id)

    def registered_accounts(self) -> list[AccountId]:
        """Return the accounts that clients trade for, whether or not they have told their state."""
        return list(self._registered)

    def is_split_by(self, accounts: Set[AccountId]) -> bool:
        """Return whether some of the accounts that clients trade for are among these, not all."""
        return 0 < len(accounts) < len(self._registered)

    def accounts(self) -> list[AccountState]:
        """Return the newest state of each account."""
        return list(self._accounts.values())


def _select(items: Iterable[_T], instrument_id: str | None, strategy_id: str | None) -> list[_T]:
    return [
        item
        for item in items
        if (instrument_id is None or item.instrument_id == instrument_id)
        and (strategy_id is None or item.strategy_id == strategy_id)
    ]

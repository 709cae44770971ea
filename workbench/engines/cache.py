"""The cache: what the core knows now. Written by the engines only, read by everybody."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar

from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.enums import OrderSide, PriceType
from workbench.model.errors import ConfigError, InstrumentError
from workbench.model.events import AccountState
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    Venue,
)
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.model.order_state import CLOSED, IN_FLIGHT, OPEN
from workbench.model.orders import Order
from workbench.model.positions import Position

_T = TypeVar("_T", Order, Position)


_OWN_SIDE = {OrderSide.BUY: (PriceType.ASK,), OrderSide.SELL: (PriceType.BID,)}
_BOTH_SIDES = (PriceType.LAST, PriceType.MID)


class Market:
    """The latest market data of one instrument; None where there was none yet."""

    __slots__ = ("bars", "quote", "trade")

    def __init__(self) -> None:
        self.quote: Quote | None = None
        self.trade: Trade | None = None
        self.bars: dict[BarType, Bar] = {}

    def price_to(self, side: OrderSide) -> float | None:
        """Return what `side` would trade at now: the other side's quote, or what comes nearest.

        None where nothing says it; a quote without that side (NaN) does not.
        """
        quote = self.quote
        if quote is not None:
            price = quote.ask if side is OrderSide.BUY else quote.bid
            if price == price:  # not NaN
                return price
        bar = self._latest_bar(_OWN_SIDE[side]) or self._latest_bar(_BOTH_SIDES)
        trade = self.trade
        if bar is None or (trade is not None and trade.ts_event > bar.ts_event):
            return None if trade is None else trade.price
        return bar.close

    def _latest_bar(self, of: tuple[PriceType, ...]) -> Bar | None:
        """Return the newest bar of these prices; of equally new ones the kind that came first."""
        latest: Bar | None = None
        for bar_type, bar in self.bars.items():
            if bar_type.spec.price_type in of and (
                latest is None or bar.ts_event > latest.ts_event
            ):
                latest = bar
        return latest


class Cache:
    """Instruments, market data, orders, positions and accounts, indexed.

    All lists it returns are copies; `Order` and `Position` objects are the live ones.
    """

    def __init__(self) -> None:
        self._instruments: dict[InstrumentId, Instrument] = {}
        self._markets: dict[InstrumentId, Market] = {}
        self._orders: dict[ClientOrderId, Order] = {}
        self._open: dict[ClientOrderId, Order] = {}
        self._in_flight: dict[ClientOrderId, Order] = {}
        self._initialized: dict[ClientOrderId, Order] = {}
        self._positions: dict[PositionId, Position] = {}
        self._netted: dict[tuple[InstrumentId, StrategyId], Position] = {}
        self._accounts: dict[AccountId, AccountState] = {}
        self._account_of: dict[Venue, AccountId] = {}

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

    def quote(self, instrument_id: str) -> Quote | None:
        """Return the latest quote, or None."""
        return self.market(InstrumentId(instrument_id)).quote

    def trade(self, instrument_id: str) -> Trade | None:
        """Return the latest trade, or None."""
        return self.market(InstrumentId(instrument_id)).trade

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
        self._initialized[order.client_order_id] = order

    def update_order(self, order: Order) -> None:
        """File an order by its present status."""
        key, status = order.client_order_id, order.status
        self._initialized.pop(key, None)
        if status in OPEN:
            self._open[key] = order
        else:
            self._open.pop(key, None)
        if status in IN_FLIGHT:
            self._in_flight[key] = order
        else:
            self._in_flight.pop(key, None)

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
        return _select(self._open.values(), instrument_id, strategy_id)

    def orders_in_flight(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders for which an answer of the venue is awaited."""
        return _select(self._in_flight.values(), instrument_id, strategy_id)

    def orders_initialized(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders whose submission has not been handled yet."""
        return _select(self._initialized.values(), instrument_id, strategy_id)

    def orders_closed(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Order]:
        """Return the orders that are over."""
        closed = (order for order in self._orders.values() if order.status in CLOSED)
        return _select(closed, instrument_id, strategy_id)

    # Positions

    def add_position(self, position: Position) -> None:
        """Keep a position as the one of its instrument and strategy."""
        self._positions[position.position_id] = position
        self._netted[position.instrument_id, position.strategy_id] = position

    def drop_netted(self, position: Position) -> None:
        """Note that a position was closed: its instrument and strategy have none now."""
        self._netted.pop((position.instrument_id, position.strategy_id), None)

    def position(self, position_id: str) -> Position | None:
        """Return a position by its id, or None."""
        return self._positions.get(PositionId(position_id))

    def position_of(self, instrument_id: str, strategy_id: str) -> Position | None:
        """Return the open position of a strategy in an instrument, or None."""
        return self._netted.get((InstrumentId(instrument_id), StrategyId(strategy_id)))

    def positions(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Position]:
        """Return all positions, open and closed, oldest first."""
        return _select(self._positions.values(), instrument_id, strategy_id)

    def positions_open(
        self, *, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> list[Position]:
        """Return the open positions."""
        return _select(self._netted.values(), instrument_id, strategy_id)

    def net_quantity(self, instrument_id: str, strategy_id: str | None = None) -> Decimal:
        """Return the signed quantity held, of one strategy or of all."""
        if strategy_id is not None:
            position = self.position_of(instrument_id, strategy_id)
            return ZERO if position is None else position.signed_quantity
        held = self.positions_open(instrument_id=instrument_id)
        return sum((position.signed_quantity for position in held), ZERO)

    # Accounts

    def put_account(self, venue: Venue, state: AccountState) -> None:
        """Keep an account's newest state, as the account of a venue."""
        self._accounts[state.account_id] = state
        self._account_of[venue] = state.account_id

    def account(self, account_id: str) -> AccountState | None:
        """Return an account's newest state, or None."""
        return self._accounts.get(AccountId(account_id))

    def account_at(self, venue: str) -> AccountState | None:
        """Return the newest state of the account at a venue, or None."""
        account_id = self._account_of.get(Venue(venue))
        return None if account_id is None else self._accounts[account_id]

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

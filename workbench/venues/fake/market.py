"""A venue in memory: one market, any number of accounts; it does what it is told, at once.

Nothing here waits or is lost: that is the wire's part (`workbench.venues.fake.wire`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from workbench.model.data import Bar, Quote, Trade
from workbench.model.enums import (
    AccountType,
    AggressorSide,
    LiquiditySide,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from workbench.model.events import AccountState, Balance, OrderInitialized
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    TradeId,
    VenueOrderId,
)
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO, Currency, currency
from workbench.model.order_state import CLOSED
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport
from workbench.venues.contract import OrderChange
from workbench.venues.errors import OrderNotFoundError, VenueRejectedError

_STOPS = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


class FakeOrder:
    """An order at the venue; changes in place."""

    def __init__(
        self, account_id: AccountId, order: OrderInitialized, venue_order_id: VenueOrderId
    ) -> None:
        self.account_id = account_id
        self.order = order
        self.venue_order_id = venue_order_id
        self.status = OrderStatus.ACCEPTED
        self.quantity = order.quantity
        self.price = order.price
        self.trigger_price = order.trigger_price
        self.filled = ZERO
        self.paid = ZERO
        self.reason = ""
        self.ts_event = 0

    @property
    def is_open(self) -> bool:
        """Return whether it rests."""
        return self.status not in CLOSED

    def report(self, ts_init: int) -> OrderStatusReport:
        """Return it as a report."""
        return OrderStatusReport(
            account_id=self.account_id,
            instrument_id=self.order.instrument_id,
            client_order_id=self.order.client_order_id,
            venue_order_id=self.venue_order_id,
            side=self.order.side,
            order_type=self.order.order_type,
            time_in_force=self.order.time_in_force,
            status=self.status,
            quantity=self.quantity,
            filled_quantity=self.filled,
            price=self.price,
            trigger_price=self.trigger_price,
            average_price=self.paid / self.filled if self.filled else None,
            reason=self.reason,
            ts_event=self.ts_event,
            ts_init=ts_init,
        )


class FakeMarket:
    """Orders, prices and balances.

    Market orders fill at the last quote, resting ones when a quote reaches them, all of it; smaller
    fills are made by `fill`. Its time never stands still: each event is later than the one before.

    Args:
        instruments: What is listed.
        clock_ns: The time.
        balances: What an account begins with, by currency.

    Attributes:
        orders: By account and client order id.
        fills: All of them, in order.
        submits: How often each client order id has come in, for tests to count.
        on_report: Told account and report of everything that happens.
        on_data: Told of market data.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        clock_ns: Callable[[], int],
        balances: Mapping[str, Decimal | int | str] | None = None,
    ) -> None:
        self.instruments = {instrument.id: instrument for instrument in instruments}
        self.orders: dict[tuple[AccountId, ClientOrderId], FakeOrder] = {}
        self.fills: list[FillReport] = []
        self.submits: dict[ClientOrderId, int] = {}
        self.quotes: dict[InstrumentId, Quote] = {}
        self.history: list[Quote | Trade | Bar] = []
        self.on_report: Callable[[AccountId, Any], None] = lambda _, __: None
        self.on_data: Callable[[Any], None] = lambda _: None
        self._clock_ns = clock_ns
        self._first = {currency(code): Decimal(amount) for code, amount in (balances or {}).items()}
        self._balances: dict[AccountId, dict[Currency, Decimal]] = {}
        self._rejections: list[str] = []
        self._count = 0
        self._last_ns = 0

    def now(self) -> int:
        """Return a time later than that of everything before."""
        self._last_ns = max(self._clock_ns(), self._last_ns + 1)
        return self._last_ns

    # The market

    def quote(self, instrument_id: InstrumentId, bid: float, ask: float) -> None:
        """Move the market; orders that it reaches fill."""
        now = self.now()
        quote = Quote(instrument_id, bid, ask, 1000.0, 1000.0, now, now)
        self.quotes[instrument_id] = quote
        self.publish(quote)
        for order in self.open_orders():
            if order.order.instrument_id == instrument_id:
                self._match(order, LiquiditySide.MAKER)

    def trade(self, instrument_id: InstrumentId, price: float, size: float = 1.0) -> None:
        """Publish a trade of others."""
        now = self.now()
        self._count += 1
        trade_id = TradeId(f"M-{self._count}")
        self.publish(Trade(instrument_id, price, size, AggressorSide.BUYER, trade_id, now, now))

    def publish(self, message: Any) -> None:
        """Send market data, and keep it as history."""
        if isinstance(message, (Quote, Trade, Bar)):
            self.history.append(message)
        self.on_data(message)

    # Orders

    def reject_next(self, reason: str) -> None:
        """Refuse the next order."""
        self._rejections.append(reason)

    def submit(self, account_id: AccountId, order: OrderInitialized) -> OrderStatusReport:
        """Take an order.

        Raises:
            VenueRejectedError: If it is refused.
        """
        name = order.client_order_id
        self.submits[name] = self.submits.get(name, 0) + 1
        if (account_id, name) in self.orders:
            raise VenueRejectedError(f"an order {name} came before", "DUPLICATE")
        if self._rejections:
            raise VenueRejectedError(self._rejections.pop(0), "TOLD_TO")
        instrument = self.instruments.get(order.instrument_id)
        if instrument is None:
            raise VenueRejectedError(f"no instrument {order.instrument_id}", "SYMBOL")
        if order.quantity % instrument.quantity_increment:
            raise VenueRejectedError("the quantity is off the grid", "LOT_SIZE")
        if order.order_type is OrderType.MARKET and order.instrument_id not in self.quotes:
            raise VenueRejectedError("there is no market", "NO_MARKET")
        self._count += 1
        placed = FakeOrder(account_id, order, VenueOrderId(f"V-{self._count}"))
        if order.post_only and self._reached(placed):
            raise VenueRejectedError("it would take liquidity", "POST_ONLY")
        self.orders[account_id, name] = placed
        self._tell(placed)
        self._match(placed, LiquiditySide.TAKER)
        if placed.is_open and order.time_in_force in _AT_ONCE:
            self._close(placed, OrderStatus.CANCELED)
        return placed.report(self._clock_ns())

    def cancel(self, account_id: AccountId, name: ClientOrderId) -> OrderStatusReport:
        """Cancel an order.

        Raises:
            OrderNotFoundError: If there is no such open order.
        """
        placed = self._open(account_id, name)
        self._close(placed, OrderStatus.CANCELED)
        return placed.report(self._clock_ns())

    def expire(self, account_id: AccountId, name: ClientOrderId) -> None:
        """Let an order end by itself."""
        self._close(self._open(account_id, name), OrderStatus.EXPIRED)

    def modify(self, account_id: AccountId, change: OrderChange) -> OrderStatusReport:
        """Change an order.

        Raises:
            OrderNotFoundError: If there is no such open order.
            VenueRejectedError: If it has filled beyond its new quantity.
        """
        placed = self._open(account_id, change.client_order_id)
        if change.quantity <= placed.filled:
            raise VenueRejectedError("so much has filled already", "QUANTITY")
        placed.quantity = change.quantity
        placed.price = change.price
        placed.trigger_price = change.trigger_price
        self._tell(placed)
        self._match(placed, LiquiditySide.TAKER)
        return placed.report(self._clock_ns())

    def fill(
        self,
        account_id: AccountId,
        name: ClientOrderId,
        quantity: Decimal | int | str | None = None,
        price: Decimal | int | str | None = None,
    ) -> FillReport:
        """Fill an open order, or a part of it, at its limit or the price given."""
        placed = self._open(account_id, name)
        size = placed.quantity - placed.filled if quantity is None else Decimal(quantity)
        at = self._price_of(placed) if price is None else Decimal(price)
        return self._fill(placed, size, at, LiquiditySide.MAKER)

    def open_orders(self, account_id: AccountId | None = None) -> list[FakeOrder]:
        """Return the orders that rest, of one account or of all."""
        return [
            order
            for order in self.orders.values()
            if order.is_open and account_id in (None, order.account_id)
        ]

    def _open(self, account_id: AccountId, name: ClientOrderId) -> FakeOrder:
        placed = self.orders.get((account_id, name))
        if placed is None or not placed.is_open:
            raise OrderNotFoundError(f"no open order {name}", "UNKNOWN_ORDER")
        return placed

    def _reached(self, placed: FakeOrder) -> bool:
        """Return whether the market is where an order fills."""
        quote = self.quotes.get(placed.order.instrument_id)
        if quote is None:
            return False
        is_buy = placed.order.side is OrderSide.BUY
        market = Decimal(repr(quote.ask if is_buy else quote.bid))
        if placed.order.order_type in _STOPS and placed.status is not OrderStatus.TRIGGERED:
            trigger = placed.trigger_price or ZERO
            return market >= trigger if is_buy else market <= trigger
        if placed.price is None:
            return True
        return market <= placed.price if is_buy else market >= placed.price

    def _match(self, placed: FakeOrder, liquidity: LiquiditySide) -> None:
        if not placed.is_open or not self._reached(placed):
            return
        is_stop = placed.order.order_type in _STOPS and placed.status is not OrderStatus.TRIGGERED
        if is_stop:
            placed.status = OrderStatus.TRIGGERED
            self._tell(placed)
            if not self._reached(placed):
                return
        price = self._price_of(placed)
        self._fill(placed, placed.quantity - placed.filled, price, liquidity)

    def _price_of(self, placed: FakeOrder) -> Decimal:
        if placed.price is not None:
            return placed.price
        quote = self.quotes[placed.order.instrument_id]
        is_buy = placed.order.side is OrderSide.BUY
        return Decimal(repr(quote.ask if is_buy else quote.bid))

    def _fill(
        self, placed: FakeOrder, quantity: Decimal, price: Decimal, liquidity: LiquiditySide
    ) -> FillReport:
        order = placed.order
        instrument = self.instruments[order.instrument_id]
        is_taker = liquidity is LiquiditySide.TAKER
        fee = instrument.taker_fee if is_taker else instrument.maker_fee
        commission = instrument.notional(quantity, price) * fee
        placed.filled += quantity
        placed.paid += quantity * price
        is_whole = placed.filled >= placed.quantity
        placed.status = OrderStatus.FILLED if is_whole else OrderStatus.PARTIALLY_FILLED
        placed.ts_event = self.now()
        self._count += 1
        fill = FillReport(
            account_id=placed.account_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=placed.venue_order_id,
            trade_id=TradeId(f"T-{self._count}"),
            side=order.side,
            quantity=quantity,
            price=price,
            commission=commission,
            commission_currency=instrument.quote_currency,
            liquidity=liquidity,
            ts_event=placed.ts_event,
            ts_init=placed.ts_event,
        )
        self.fills.append(fill)
        self._pay(instrument, fill)
        self.on_report(placed.account_id, fill)
        self._tell(placed)
        self.on_report(placed.account_id, self.account_state(placed.account_id))
        return fill

    def _close(self, placed: FakeOrder, status: OrderStatus) -> None:
        placed.status = status
        self._tell(placed)

    def _tell(self, placed: FakeOrder) -> None:
        placed.ts_event = self.now()
        self.on_report(placed.account_id, placed.report(placed.ts_event))

    # What an account holds

    def _pay(self, instrument: Instrument, fill: FillReport) -> None:
        balances = self.balances(fill.account_id)
        sign = fill.side.sign
        paid = instrument.notional(fill.quantity, fill.price) * sign + fill.commission
        quote = instrument.quote_currency
        balances[quote] = balances.get(quote, ZERO) - paid
        base = instrument.base_currency
        if base is not None:
            balances[base] = balances.get(base, ZERO) + fill.quantity * sign

    def balances(self, account_id: AccountId) -> dict[Currency, Decimal]:
        """Return what an account holds, by currency; changes in place."""
        return self._balances.setdefault(account_id, dict(self._first))

    def account_state(self, account_id: AccountId) -> AccountState:
        """Return an account's balances."""
        now = self.now()
        return AccountState(
            account_id=account_id,
            account_type=AccountType.CASH,
            base_currency=None,
            balances=tuple(Balance(c, amount) for c, amount in self.balances(account_id).items()),
            ts_event=now,
            ts_init=now,
        )

    def position_reports(self, account_id: AccountId) -> list[PositionReport]:
        """Return the net positions that the account's fills have made."""
        held: dict[InstrumentId, Decimal] = {}
        for fill in self.fills:
            if fill.account_id == account_id:
                signed = fill.quantity * fill.side.sign
                held[fill.instrument_id] = held.get(fill.instrument_id, ZERO) + signed
        now = self.now()
        return [
            PositionReport(
                account_id=account_id,
                instrument_id=instrument_id,
                signed_quantity=quantity,
                ts_event=now,
                ts_init=now,
            )
            for instrument_id, quantity in held.items()
            if quantity
        ]

    def place(self, account_id: AccountId, order: OrderInitialized) -> FakeOrder:
        """Take an order of the account that came by another way, from a phone say."""
        self.submit(account_id, order)
        return self.orders[account_id, order.client_order_id]

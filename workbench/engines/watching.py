"""Shows the market to the triggers that are watched on our side.

It takes the data of an instrument only while something of it is watched, and before any subscriber
does: what it decides stands in the channels ahead of what strategies send on the same message, and
strategies see a quote after the triggers did, whatever came first, their subscription or the order.

What is compared: a quote brings bid and ask, a trade the last price, a mark price itself; a side
without a size is not there. Each message shows only what it brings, so that the DOUBLE types count
updates of their own price.

Where an instrument has no quotes, its trades stand in for bid and ask, and where it has neither,
its bars do: those of bid and ask for their side, those of one price for all three. A bar tells of
its prices when it closes: it is walked open, high, low, close, and what it reaches on the way is
released at its end, at the prices there are then; of a bar that began before an order was held
only the close counts. Of several bar series of one price the finest is walked, for coarser ones
tell the same prices once more. A trigger by mark price has nothing that stands in for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.feeds import ORDER_EMULATOR, Route
from workbench.engines.market import Market
from workbench.engines.triggers import Prices, Watch, nearest_first
from workbench.model.commands import DataKind, Subscribe, Unsubscribe
from workbench.model.data import Bar, BarType, DataGap, MarkPrice, Quote, Trade
from workbench.model.enums import OrderSide, PriceType, TriggerType
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId, InstrumentId
from workbench.model.instruments import Instrument
from workbench.runtime.clock import Clock

_KINDS: dict[TriggerType, tuple[DataKind, ...]] = {
    TriggerType.DEFAULT: (DataKind.QUOTES,),
    TriggerType.BID_ASK: (DataKind.QUOTES,),
    TriggerType.LAST: (DataKind.TRADES,),
    TriggerType.LAST_OR_BID_ASK: (DataKind.QUOTES, DataKind.TRADES),
    TriggerType.MID: (DataKind.QUOTES,),
    TriggerType.MARK: (DataKind.MARK_PRICES,),
    TriggerType.DOUBLE_LAST: (DataKind.TRADES,),
    TriggerType.DOUBLE_BID_ASK: (DataKind.QUOTES,),
}
"""What is subscribed to for each."""

_ONE_SIDED = (PriceType.BID, PriceType.ASK)


class Watched(Protocol):
    """An order whose trigger is watched.

    Attributes:
        definition: As it came.
        instrument: What it trades.
        watch: Its trigger.
        sequence: Of two triggered at once and at one price the lower goes first.
        since_ns: Since when it is watched.
    """

    definition: OrderInitialized
    instrument: Instrument
    watch: Watch | None
    sequence: int
    since_ns: int


class DataSource(Protocol):
    """Where the market comes from: the data engine."""

    def serves(self, kind: DataKind, instrument_id: InstrumentId) -> bool:
        """Return whether a client has such data."""
        ...

    def tell_first(
        self, instrument_id: InstrumentId, routes: Mapping[DataKind, Route] | None
    ) -> None:
        """Let routes take an instrument's data before its subscribers, or none any more."""


class Listener(msgspec.Struct, frozen=True):
    """Who is told what the market does.

    Attributes:
        on_moved: A trailing trigger is elsewhere now.
        on_reached: A trigger was reached, by this price.
    """

    on_moved: Callable[[Any], None]
    on_reached: Callable[[Any, Decimal], None]


class _Book(msgspec.Struct, eq=False):
    """What is watched of one instrument."""

    market: Market
    orders: dict[ClientOrderId, Watched] = {}
    taken: dict[DataKind, int] = {}
    finest: dict[PriceType, BarType] = {}


class MarketWatch:
    """Takes market data and tells which triggers it reaches.

    Args:
        cache: What is known of the market.
        clock: For the time of subscriptions.
        data: Where the market comes from.
        send: Takes subscriptions.
        listener: Who is told.
    """

    component_id = ORDER_EMULATOR
    is_running = True

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        data: DataSource,
        send: Callable[[Subscribe | Unsubscribe], None],
        listener: Listener,
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._data = data
        self._send = send
        self._listener = listener
        self._books: dict[InstrumentId, _Book] = {}
        self._routes: dict[DataKind, Route] = {
            DataKind.QUOTES: self._on_quote,
            DataKind.TRADES: self._on_trade,
            DataKind.BARS: self._on_bar,
            DataKind.MARK_PRICES: self._on_mark_price,
        }

    def can_watch(self, instrument_id: InstrumentId, trigger_type: TriggerType) -> bool:
        """Return whether there is data that could reach such a trigger."""
        kinds = list(_KINDS[trigger_type])
        if trigger_type is not TriggerType.MARK:
            kinds += [DataKind.QUOTES, DataKind.TRADES, DataKind.BARS]
        return any(self._data.serves(kind, instrument_id) for kind in kinds)

    def add(self, order: Watched) -> None:
        """Watch an order's trigger: at the prices there are, then at those that come."""
        watch = order.watch
        assert watch is not None
        order.since_ns = self._clock.timestamp_ns()
        prices = self.prices(order.instrument)
        before = watch.trigger
        if watch.see(prices):
            self._listener.on_reached(order, _reached_by(watch, prices, order.instrument))
            return
        if watch.trigger != before:
            self._listener.on_moved(order)
        self._keep(order, watch)

    def resume(self, order: Watched) -> None:
        """Watch an order's trigger, unless it is watched, at the prices that come."""
        watch = order.watch
        assert watch is not None
        book = self._books.get(order.instrument.id)
        if book is None or order.definition.client_order_id not in book.orders:
            order.since_ns = self._clock.timestamp_ns()
            self._keep(order, watch)

    def look(self, order: Watched) -> None:
        """See whether an order whose trigger was moved is reached already."""
        watch = order.watch
        assert watch is not None
        prices = self.prices(order.instrument)
        if watch.is_reached(prices):
            self._listener.on_reached(order, _reached_by(watch, prices, order.instrument))

    def _keep(self, order: Watched, watch: Watch) -> None:
        instrument_id = order.instrument.id
        book = self._books.get(instrument_id)
        if book is None:
            book = self._books[instrument_id] = _Book(self._cache.market(instrument_id))
            self._data.tell_first(instrument_id, self._routes)
        book.orders[order.definition.client_order_id] = order
        for kind in _KINDS[watch.trigger_type]:
            book.taken[kind] = book.taken.get(kind, 0) + 1
            if book.taken[kind] == 1 and self._data.serves(kind, instrument_id):
                self._send(self._command(Subscribe, kind, instrument_id))

    def remove(self, order: Watched) -> None:
        """Watch an order no longer, if it is watched."""
        watch, instrument_id = order.watch, order.instrument.id
        book = self._books.get(instrument_id)
        if book is None or book.orders.pop(order.definition.client_order_id, None) is None:
            return
        assert watch is not None
        for kind in _KINDS[watch.trigger_type]:
            book.taken[kind] -= 1
            if not book.taken[kind] and self._data.serves(kind, instrument_id):
                self._send(self._command(Unsubscribe, kind, instrument_id))
        if not book.orders:
            del self._books[instrument_id]
            self._data.tell_first(instrument_id, None)

    def _command(
        self, of: type[Subscribe] | type[Unsubscribe], kind: DataKind, instrument_id: InstrumentId
    ) -> Any:
        return of(
            component_id=ORDER_EMULATOR,
            kind=kind,
            instrument_id=instrument_id,
            ts_init=self._clock.timestamp_ns(),
        )

    def prices(self, instrument: Instrument) -> Prices:
        """Return the market as it is now, in ticks."""
        market = self._cache.market(instrument.id)
        quote, trade, mark = market.quote, market.trade, market.mark_price
        if quote is not None:
            bid = _side(quote.bid, quote.bid_size, instrument)
            ask = _side(quote.ask, quote.ask_size, instrument)
        else:
            bid = _ticks(market.price_to(OrderSide.SELL), instrument)
            ask = _ticks(market.price_to(OrderSide.BUY), instrument)
        last = trade.price if trade is not None else _last_close(market)
        marked = None if mark is None else mark.price
        return Prices(bid, ask, _ticks(last, instrument), _ticks(marked, instrument))

    # Market data

    def _on_quote(self, quote: Quote) -> None:
        book = self._books[quote.instrument_id]
        instrument = self._cache.require_instrument(quote.instrument_id)
        bid = _side(quote.bid, quote.bid_size, instrument)
        ask = _side(quote.ask, quote.ask_size, instrument)
        self._show(book, [Prices(bid, ask)])

    def _on_trade(self, trade: Trade) -> None:
        book = self._books[trade.instrument_id]
        last = self._cache.require_instrument(trade.instrument_id).ticks(trade.price)
        if book.market.quote is None:
            self._show(book, [Prices(last, last, last)])
        else:
            self._show(book, [Prices(last=last)])

    def _on_mark_price(self, mark_price: MarkPrice) -> None:
        book = self._books[mark_price.instrument_id]
        instrument = self._cache.require_instrument(mark_price.instrument_id)
        self._show(book, [Prices(mark=instrument.ticks(mark_price.price))])

    def _on_bar(self, bar: Bar) -> None:
        book, spec = self._books[bar.instrument_id], bar.bar_type.spec
        if book.market.quote is not None and book.market.trade is not None:
            return
        if not _is_finest(book, bar.bar_type):
            return
        instrument = self._cache.require_instrument(bar.instrument_id)
        ticks = [instrument.ticks(price) for price in (bar.open, bar.high, bar.low, bar.close)]
        shown = [_bar_prices(one, spec.price_type, book.market) for one in ticks]
        length = spec.interval_ns
        self._show(book, shown, began=None if length is None else bar.ts_event - length)
        if spec.price_type in _ONE_SIDED and book.market.quote is None:
            self._show_middle(book, bar, instrument)

    def _show_middle(self, book: _Book, bar: Bar, instrument: Instrument) -> None:
        """Show the middle between a bid and an ask bar, which is known at their close only."""
        spec = bar.bar_type.spec
        of = PriceType.ASK if spec.price_type is PriceType.BID else PriceType.BID
        other_type = BarType(bar.instrument_id, msgspec.structs.replace(spec, price_type=of))
        other = book.market.bars.get(other_type)
        if other is not None and other.ts_event == bar.ts_event:
            closes = instrument.ticks(bar.close), instrument.ticks(other.close)
            self._show(book, [Prices(*closes)], only=TriggerType.MID)

    def _show(
        self,
        book: _Book,
        moments: list[Prices],
        began: int | None = None,
        only: TriggerType | None = None,
    ) -> None:
        """Show what a message brings to every trigger, or to those of one type.

        Of a bar, moments before its close are not shown to orders that came after it `began`.
        """
        final = len(moments) - 1
        for index, prices in enumerate(moments):
            reached: list[tuple[Watch, int, tuple[Watched, Decimal]]] = []
            for order in list(book.orders.values()):
                watch = order.watch
                assert watch is not None
                is_late = index < final and (began is None or order.since_ns > began)
                if is_late or only not in (None, watch.trigger_type):
                    continue
                before = watch.trigger
                if watch.see(prices):
                    price = _reached_by(watch, prices, order.instrument)
                    reached.append((watch, order.sequence, (order, price)))
                elif watch.trigger != before:
                    self._listener.on_moved(order)
            for order, price in nearest_first(reached):
                # One that was released may have ended another.
                if order.definition.client_order_id in book.orders:
                    self._listener.on_reached(order, price)

    # As a subscriber: the messages themselves come by `tell_first`.

    def route_of(self, callback: str, key: Any) -> Route:  # noqa: ARG002
        """Return what takes what was subscribed to: nothing, for it was seen first."""
        return _seen_first

    def on_instrument(self, instrument: Instrument) -> None:
        """Do nothing: a definition is looked up when it is needed."""

    def on_historical_data(self, response: Any) -> None:
        """Do nothing: nothing is requested."""

    def take_history(self, response: Any) -> None:
        """Do nothing: nothing is requested."""

    def on_data_gap(self, gap: DataGap) -> None:
        """Do nothing: what comes next shows where the market is."""


def _seen_first(_: Any) -> None:
    return None


def _ticks(price: float | None, instrument: Instrument) -> int | None:
    return None if price is None else instrument.ticks(price)


def _side(price: float, size: float, instrument: Instrument) -> int | None:
    """Return one side of a quote in ticks; None where nothing is there."""
    if math.isnan(price):
        return None
    is_there = math.isinf(size) or instrument.quantity(size) > 0
    return instrument.ticks(price) if is_there else None


def _is_finest(book: _Book, bar_type: BarType) -> bool:
    price_type = bar_type.spec.price_type
    finest = book.finest.get(price_type)
    if finest is not None and _length(bar_type) > _length(finest):
        return False
    book.finest[price_type] = bar_type
    return True


def _length(bar_type: BarType) -> float:
    return bar_type.spec.interval_ns or math.inf


def _last_close(market: Market) -> float | None:
    """Return the close of the newest bar of trades."""
    of_trades = [bar for kind, bar in market.bars.items() if kind.spec.price_type is PriceType.LAST]
    return max(of_trades, key=lambda bar: bar.ts_event).close if of_trades else None


def _bar_prices(ticks: int, price_type: PriceType, market: Market) -> Prices:
    """Return what a price of a bar stands in for."""
    is_quoted = market.quote is not None
    if price_type is PriceType.BID:
        return Prices(bid=None if is_quoted else ticks)
    if price_type is PriceType.ASK:
        return Prices(ask=None if is_quoted else ticks)
    if market.trade is not None:
        return Prices()
    own = is_quoted or any(one.spec.price_type in _ONE_SIDED for one in market.bars)
    both = None if own else ticks
    return Prices(both, both, ticks if price_type is PriceType.LAST else None)


def _reached_by(watch: Watch, prices: Prices, instrument: Instrument) -> Decimal:
    """Return the price that reached a trigger."""
    trigger = watch.trigger or 0
    shown = watch.prices(prices)
    far = [one for one in shown if (one >= trigger if watch.rises else one <= trigger)]
    return instrument.price_increment * Decimal(far[0])

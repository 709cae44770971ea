"""Market data of an exchange of ccxt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench.model.commands import DataKind
from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.errors import InstrumentError
from workbench.model.identifiers import InstrumentId
from workbench.model.instruments import Instrument
from workbench.venues.contract import (
    DataContext,
    DataSink,
    HistoryRequest,
    Subscription,
    SymbolMatch,
)
from workbench.venues.errors import NotSentError, VenueRejectedError
from workbench.venues.secrets import Credentials
from workbench_ccxt import history
from workbench_ccxt.failures import told
from workbench_ccxt.markets import instrument, instrument_id_of, matches, symbol_at
from workbench_ccxt.place import place_of
from workbench_ccxt.plugin import BARS
from workbench_ccxt.session import Session
from workbench_ccxt.tapping import Tap, TapTable

_log = logging.getLogger(__name__)
_MS = 1_000_000
_UNWATCH_S = 2.0


class CcxtDatad:
    """Quotes, trades, bars and their history; see `workbench_ccxt.place.Place` for the options."""

    def __init__(
        self,
        context: DataContext,
        *,
        exchange: str,
        market: str = "spot",
        venue: str = "",
        sandbox: bool = False,
        base_url: str = "",
        urls: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.place = place_of(
            {
                "exchange": exchange,
                "market": market,
                "venue": venue,
                "sandbox": sandbox,
                "base_url": base_url,
                "urls": urls,
                "options": options,
            }
        )
        self.venue = self.place.venue
        self.data_kinds = frozenset({DataKind.QUOTES, DataKind.TRADES, DataKind.BARS})
        self.bars = tuple(BARS)
        self._clock_ns = context.clock_ns
        self._session: Session | None = None
        self._sink: DataSink | None = None
        self._markets: tuple[Any, Any] | None = None
        self._watchers: dict[Subscription, asyncio.Task[None]] = {}
        self._unread = 0

    # Its life

    async def connect(self, sink: DataSink) -> None:
        """Load the markets; sockets are opened for the first subscriptions."""
        self._sink = sink
        self._session = session = Session(
            self.place,
            has_limiter=True,
            on_alive=sink.alive,
            on_lost=sink.lost,
            on_unread=self._note_unread,
        )
        await session.open(Credentials(), self._markets)
        exchange = session.exchange
        self._markets = exchange.markets, exchange.currencies
        self._learn(exchange)
        exchange.bidsasks = TapTable(self._take_quote)
        exchange.tickers = TapTable(self._take_quote)

    def _learn(self, exchange: Any) -> None:
        """Take note of what this exchange has."""
        has: dict[str, Any] = exchange.has
        frames: dict[str, Any] = exchange.timeframes or {}
        kinds = {
            DataKind.QUOTES: any(has.get(name) for name in _QUOTE_WATCHERS),
            DataKind.TRADES: has.get("watchTrades"),
            DataKind.BARS: has.get("watchOHLCV"),
        }
        self.data_kinds = frozenset(kind for kind, there in kinds.items() if there)
        self.bars = tuple(name for name, frame in BARS.items() if frame in frames)

    async def disconnect(self) -> None:
        """Close everything."""
        session, self._session = self._session, None
        self._watchers.clear()
        if session is not None:
            await session.close()

    def _note_unread(self, reason: str) -> None:
        self._unread += 1
        if self._unread & (self._unread - 1) == 0:  # the first, second, fourth, ...
            _log.warning(
                "%s: %d messages could not be read, the last one: %s",
                self.venue,
                self._unread,
                reason,
            )

    @property
    def _open(self) -> Session:
        if self._session is None:
            raise NotSentError(f"{self.place.exchange} is not connected: call connect first")
        return self._session

    @property
    def _exchange(self) -> Any:
        return self._open.check()

    def _market(self, instrument_id: InstrumentId) -> str:
        """Return the symbol of an instrument that the exchange has."""
        symbol = symbol_at(instrument_id)
        if symbol not in self._exchange.markets:
            raise VenueRejectedError(f"{self.place.exchange} has no market {symbol!r}")
        return symbol

    # Instruments

    async def load_instruments(self, instrument_ids: Sequence[InstrumentId]) -> list[Instrument]:
        """Return the instruments of the exchange's markets, with their increments and fees.

        A market without fixed increments is left out of all of them.

        Raises:
            InstrumentError: If such a one was asked for by name.
        """
        exchange, now = self._exchange, self._clock_ns()
        wanted = {symbol_at(one) for one in instrument_ids}
        found: list[Instrument] = []
        for symbol, market in exchange.markets.items():
            if wanted and symbol not in wanted:
                continue
            try:
                one = instrument(market, self.venue, exchange.precisionMode, now)
            except InstrumentError:
                if wanted:
                    raise
                continue
            if one is not None and (not instrument_ids or one.id in instrument_ids):
                found.append(one)
        return found

    async def search_symbols(self, text: str, limit: int) -> list[SymbolMatch]:
        """Return markets by symbol, the exchange's own id, or base currency."""
        return matches(self._exchange.markets.values(), text, limit, self.venue)

    # Subscriptions

    async def subscribe(self, subscription: Subscription) -> None:
        """Begin to watch; each message goes to the sink as ccxt parses it."""
        session, exchange = self._open, self._exchange
        symbol = self._market(subscription.instrument_id)
        if subscription in self._watchers:
            return
        take: Callable[[Any], None] | None = None
        if subscription.kind is DataKind.TRADES:
            take = self._trade_of(subscription.instrument_id)
            exchange.trades[symbol] = Tap(take)
            again = _bound(exchange.watch_trades, symbol)
        elif subscription.kind is DataKind.QUOTES:
            again = self._quote_watcher(exchange, symbol)
        elif subscription.kind is DataKind.BARS and subscription.bar_type is not None:
            again = self._bar_watcher(exchange, symbol, subscription.bar_type)
        else:
            raise VenueRejectedError(f"{self.place.exchange} has no {subscription}")
        self._watchers[subscription] = session.watch(again, f"watching {subscription}", take)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Stop watching, and tell the exchange where it can be told."""
        exchange = self._exchange
        task = self._watchers.pop(subscription, None)
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        symbol = symbol_at(subscription.instrument_id)
        more: tuple[Any, ...] = (symbol,)
        names: Sequence[str] = ("unWatchTrades",)
        if subscription.kind is DataKind.QUOTES:
            names = _QUOTE_UNWATCHERS
        elif subscription.bar_type is not None:
            names, more = ("unWatchOHLCV",), (symbol, BARS[str(subscription.bar_type.spec)])
        else:
            exchange.trades.pop(symbol, None)
        name = next((one for one in names if exchange.has.get(one)), "")
        if not name:
            return  # nobody listens any more; it goes on coming
        first = [symbol] if name == "unWatchBidsAsks" else symbol
        try:
            async with asyncio.timeout(_UNWATCH_S):
                await getattr(exchange, _METHODS[name])(first, *more[1:])
        except Exception as error:
            _log.info("%s: %s: %s", self.venue, name, error)

    def _trade_of(self, instrument_id: InstrumentId) -> Callable[[Any], None]:
        def take(raw: Any) -> None:
            if self._sink is not None:
                self._sink.data(history.trade(raw, instrument_id, self._clock_ns()))

        return take

    def _take_quote(self, symbol: str, raw: Any) -> None:
        instrument_id = instrument_id_of(symbol, self.venue)
        wanted = Subscription(kind=DataKind.QUOTES, instrument_id=instrument_id)
        if self._sink is None or wanted not in self._watchers:
            return
        bid, ask = raw.get("bid"), raw.get("ask")
        if bid is None or ask is None:
            return
        now, at_ms = self._clock_ns(), raw.get("timestamp")
        self._sink.data(
            Quote(
                instrument_id,
                float(bid),
                float(ask),
                float(raw.get("bidVolume") or 0.0),
                float(raw.get("askVolume") or 0.0),
                now if at_ms is None else int(at_ms) * _MS,
                now,
            )
        )

    def _quote_watcher(self, exchange: Any, symbol: str) -> Callable[[], Any]:
        if exchange.has.get("watchBidsAsks"):
            return _bound(exchange.watch_bids_asks, [symbol])
        if exchange.has.get("watchTicker"):
            return _bound(exchange.watch_ticker, symbol)

        async def top() -> None:
            book = await exchange.watch_order_book(symbol)
            if book["bids"] and book["asks"]:
                (bid, bid_size, *_), (ask, ask_size, *_) = book["bids"][0], book["asks"][0]
                raw = {"bid": bid, "ask": ask, "bidVolume": bid_size, "askVolume": ask_size}
                self._take_quote(symbol, raw | {"timestamp": book["timestamp"]})

        return top

    def _bar_watcher(self, exchange: Any, symbol: str, bar_type: BarType) -> Callable[[], Any]:
        frame = BARS.get(str(bar_type.spec))
        if frame is None or frame not in (exchange.timeframes or {}):
            raise VenueRejectedError(f"{self.place.exchange} has no {bar_type.spec} bars")
        pending: dict[int, Any] = {}

        async def again() -> None:
            rows = await exchange.watch_ohlcv(symbol, frame)
            pending.update({int(row[0]): list(row) for row in rows})
            newest = max(pending, default=0)
            # A candle is over once a later one has begun.
            for opened in sorted(opened for opened in pending if opened < newest):
                closed = history.bar(pending.pop(opened), bar_type, self._clock_ns())
                if self._sink is not None:
                    self._sink.data(closed)

        return again

    # History

    async def request_history(self, request: HistoryRequest) -> Sequence[Quote | Trade | Bar]:
        """Return trades or bars, fetched in pages."""
        exchange, now = self._exchange, self._clock_ns()
        symbol, name = self._market(request.instrument_id), self.place.exchange
        with told(name):
            if request.kind is DataKind.TRADES and exchange.has.get("fetchTrades"):
                return await history.trades(
                    lambda since, limit: exchange.fetch_trades(symbol, since, limit), request, now
                )
            if request.kind is DataKind.BARS and request.bar_type is not None:
                frame = BARS.get(str(request.bar_type.spec))
                if frame in self._frames(exchange):
                    return await history.bars(
                        lambda since, limit: exchange.fetch_ohlcv(symbol, frame, since, limit),
                        request,
                        request.bar_type,
                        now,
                    )
        what = request.bar_type or request.kind.value
        raise VenueRejectedError(f"{name} keeps no history of {what} for {symbol}")

    def _frames(self, exchange: Any) -> Mapping[str, Any]:
        return (exchange.timeframes or {}) if exchange.has.get("fetchOHLCV") else {}

    # Signs of life

    async def server_time(self) -> int:
        """Return the exchange's time."""
        return await self._open.server_time()

    async def ping(self) -> None:
        """Wait for a sign of life on every socket."""
        await self._open.ping()


_QUOTE_WATCHERS = ("watchBidsAsks", "watchTicker", "watchOrderBook")
_QUOTE_UNWATCHERS = ("unWatchBidsAsks", "unWatchTicker", "unWatchOrderBook")
_METHODS = {
    "unWatchTrades": "un_watch_trades",
    "unWatchOHLCV": "un_watch_ohlcv",
    "unWatchBidsAsks": "un_watch_bids_asks",
    "unWatchTicker": "un_watch_ticker",
    "unWatchOrderBook": "un_watch_order_book",
}


def _bound(method: Any, *arguments: Any) -> Callable[[], Any]:
    return lambda: method(*arguments)

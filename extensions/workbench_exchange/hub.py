"""Who listens to what, and what they are told when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from workbench.model.enums import OrderSide
from workbench_exchange import public
from workbench_exchange.candles import INTERVALS, opening
from workbench_exchange.pair import Pair
from workbench_exchange.sockets import Connection
from workbench_exchange.venue import UserEvent, Venue

BEATS_A_SECOND = 10
_PARTIAL = (5, 10, 20)
_Levels = dict[tuple[OrderSide, int], None]


class _Publishing:
    """How far a symbol was published."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.top: Any = None
        self.fast_id = self.slow_id = pair.book.update_id
        self.slow: _Levels = {}
        self.candles: dict[str, int] = {}  # when the candle began that was published last
        self.prefix = f"{pair.symbol.lower()}@"


class Hub:
    """Tells clients what happens.

    Args:
        venue: What happens there.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._publishing = [_Publishing(pair) for pair in venue.pairs.values()]
        self._streams: dict[str, dict[Connection, None]] = {}
        self._accounts: dict[str, dict[tuple[Connection, int], None]] = {}
        self._beats = 0
        venue.tell = self.tell

    def subscribe(self, connection: Connection, stream: str) -> None:
        """Let a connection hear a stream; a name that means nothing stays silent."""
        connection.streams[stream] = None
        self._streams.setdefault(stream, {})[connection] = None

    def unsubscribe(self, connection: Connection, stream: str) -> None:
        """Let it hear no more."""
        connection.streams.pop(stream, None)
        listeners = self._streams.get(stream, {})
        listeners.pop(connection, None)
        if not listeners:
            self._streams.pop(stream, None)

    def follow(self, connection: Connection, account: str) -> int:
        """Let a connection hear an account; return the subscription's number."""
        number = max(connection.accounts, default=-1) + 1
        connection.accounts[number] = account
        self._accounts.setdefault(account, {})[connection, number] = None
        return number

    def unfollow(self, connection: Connection, number: int) -> None:
        """Let it hear an account no more."""
        account = connection.accounts.pop(number)
        self._accounts[account].pop((connection, number), None)

    def heard(self) -> list[str]:
        """Return the streams and accounts that somebody listens to."""
        accounts = [name for name, listeners in self._accounts.items() if listeners]
        return sorted([*self._streams, *accounts])

    def forget(self, connection: Connection) -> None:
        """Let a connection hear nothing."""
        for stream in list(connection.streams):
            self.unsubscribe(connection, stream)
        for number in list(connection.accounts):
            self.unfollow(connection, number)

    # What happens at once

    def tell(self, events: list[UserEvent]) -> None:
        """Send accounts' events, then trades and new tops of books."""
        for account, payload in events:
            for connection, number in self._accounts.get(account, {}):
                message = {"subscriptionId": number, "event": payload}
                connection.send(payload["e"], _text(message))
        now = self._venue.now_ms()
        for one in self._publishing:
            self._tell_pair(one, now)

    def _tell_pair(self, one: _Publishing, now_ms: int) -> None:
        pair, prefix = one.pair, one.prefix
        if pair.new_trades:
            trades, pair.new_trades = pair.new_trades, []
            aggregates, pair.new_aggregates = pair.new_aggregates, []
            if f"{prefix}trade" in self._streams:
                for trade in trades:
                    payload = public.trade_event(pair, trade, now_ms)
                    self._send(f"{prefix}trade", "trade", payload)
            if f"{prefix}aggTrade" in self._streams:
                for aggregate in aggregates:
                    payload = public.aggregate_event(pair, aggregate, now_ms)
                    self._send(f"{prefix}aggTrade", "aggTrade", payload)
        if f"{prefix}bookTicker" in self._streams:
            top = (pair.book.best(OrderSide.BUY), pair.book.best(OrderSide.SELL))
            if top != one.top:
                one.top = top
                payload = public.book_ticker_event(pair)
                self._send(f"{prefix}bookTicker", "bookTicker", payload)

    # What happens at intervals

    def beat(self) -> None:
        """Publish what is published ten times a second, and what is once a second."""
        self._beats += 1
        is_second = self._beats % BEATS_A_SECOND == 0
        now = self._venue.now_ms()
        for one in self._publishing:
            self._publish_depth(one, now, is_second=is_second)
            self._publish_candles(one, now)
            if is_second:
                for name, is_short in (("ticker", False), ("miniTicker", True)):
                    self._publish(
                        f"{one.prefix}{name}",
                        name,
                        lambda one=one, is_short=is_short: public.day_event(
                            one.pair, now, is_short=is_short
                        ),
                    )

    def _publish_candles(self, one: _Publishing, now_ms: int) -> None:
        """Send the present candle, after the last word on those that ended since."""
        pair = one.pair
        for interval in INTERVALS:
            stream = f"{one.prefix}kline_{interval}"
            if stream not in self._streams:
                one.candles.pop(interval, None)
                continue
            pair.candles.roll(now_ms)
            since = one.candles.get(interval, opening(now_ms, interval))
            for candle in pair.candles.of(interval, since, now_ms):
                one.candles[interval] = candle.opened_ms
                payload = public.candle_event(pair, candle, interval, now_ms)
                self._send(stream, "kline", payload)

    def _publish_depth(self, one: _Publishing, now_ms: int, *, is_second: bool) -> None:
        pair, book = one.pair, one.pair.book
        changed, book.changed = book.changed, {}
        one.slow.update(changed)
        if changed:
            first, one.fast_id = one.fast_id + 1, book.update_id
            self._publish(
                f"{one.prefix}depth@100ms",
                "depthUpdate",
                lambda: public.depth_event(pair, first, changed, now_ms),
            )
        if is_second and one.slow:
            slow, one.slow = one.slow, {}
            first_slow, one.slow_id = one.slow_id + 1, book.update_id
            self._publish(
                f"{one.prefix}depth",
                "depthUpdate",
                lambda: public.depth_event(pair, first_slow, slow, now_ms),
            )
        for count in _PARTIAL:
            for ending in ("@100ms", "") if is_second else ("@100ms",):
                name = f"{one.prefix}depth{count}{ending}"
                self._publish(name, "depth", lambda count=count: public.depth(pair, count))

    def _publish(self, stream: str, kind: str, make: Callable[[], Any]) -> None:
        """Send what `make` returns, if it is heard."""
        if stream in self._streams:
            self._send(stream, kind, make())

    def _send(self, stream: str, kind: str, payload: Any) -> None:
        plain = wrapped = ""
        for connection in list(self._streams.get(stream, {})):
            if connection.wraps:
                wrapped = wrapped or _text({"stream": stream, "data": payload})
                connection.send(kind, wrapped)
            else:
                plain = plain or _text(payload)
                connection.send(kind, plain)


def _text(payload: Any) -> str:
    return msgspec.json.encode(payload).decode()

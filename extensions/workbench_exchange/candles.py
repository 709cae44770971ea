"""One-minute candles of a symbol's trades, and the longer ones that are made of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
_KEPT = 7 * 24 * 60
_FIRST_MONDAY_MS = 4 * DAY_MS  # the epoch was a Thursday
_UNITS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": DAY_MS}
INTERVALS = {
    name: int(name[:-1]) * _UNITS[name[-1]]
    for name in ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d")
} | {"1w": 7 * DAY_MS, "1M": 0}
"""Lengths in milliseconds; a month has none of its own."""


class Candle(msgspec.Struct, kw_only=True):
    """What was traded in an interval; prices in ticks, quantities in lots.

    Attributes:
        opened_ms: When it began.
        amount: Ticks × lots, added up.
        taken_lots, taken_amount: Of the trades in which the buyer was the taker.
        first_trade, last_trade: Ids; -1 without trades.
    """

    opened_ms: int
    open: int
    high: int
    low: int
    close: int
    lots: int = 0
    amount: int = 0
    trades: int = 0
    taken_lots: int = 0
    taken_amount: int = 0
    first_trade: int = -1
    last_trade: int = -1

    def add(self, other: Candle) -> None:
        """Take in a later candle."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.lots += other.lots
        self.amount += other.amount
        self.trades += other.trades
        self.taken_lots += other.taken_lots
        self.taken_amount += other.taken_amount
        if self.first_trade < 0:
            self.first_trade = other.first_trade
        self.last_trade = max(self.last_trade, other.last_trade)


class Candles:
    """The candles of one symbol; a minute without a trade has one too, at the last price."""

    def __init__(self) -> None:
        self.minutes: deque[Candle] = deque(maxlen=_KEPT)

    def see(self, number: int, ticks: int, lots: int, at_ms: int, is_buyer_maker: bool) -> None:
        """Count a trade."""
        taken = 0 if is_buyer_maker else lots
        trade = Candle(
            opened_ms=at_ms - at_ms % MINUTE_MS,
            open=ticks,
            high=ticks,
            low=ticks,
            close=ticks,
            lots=lots,
            amount=ticks * lots,
            trades=1,
            taken_lots=taken,
            taken_amount=ticks * taken,
            first_trade=number,
            last_trade=number,
        )
        self.put(trade)

    def put(self, candle: Candle) -> None:
        """Count a candle of at most a minute, no older than the newest."""
        self.roll(candle.opened_ms - 1)
        if self.minutes and self.minutes[-1].opened_ms >= candle.opened_ms:
            self.minutes[-1].add(candle)
        else:
            self.minutes.append(candle)

    def roll(self, now_ms: int) -> None:
        """Let the minutes that began since the last trade have their candles."""
        if not self.minutes:
            return
        last = self.minutes[-1]
        newest = now_ms - now_ms % MINUTE_MS
        opened = max(last.opened_ms + MINUTE_MS, newest - _KEPT * MINUTE_MS)
        while opened <= newest:
            price = last.close
            self.minutes.append(
                Candle(opened_ms=opened, open=price, high=price, low=price, close=price)
            )
            opened += MINUTE_MS

    def of(self, interval: str, start_ms: int, end_ms: int) -> list[Candle]:
        """Return the candles of an interval that began in [start_ms, end_ms], oldest first."""
        begin = opening(start_ms, interval) if start_ms > 0 else 0
        minutes = (one for one in self.minutes if one.opened_ms >= begin)
        joined = join(minutes, interval)
        return [one for one in joined if start_ms <= one.opened_ms <= end_ms]

    def last_day(self, now_ms: int) -> Candle | None:
        """Return the last 24 hours as one candle, None if nothing was ever traded."""
        self.roll(now_ms)
        day: Candle | None = None
        for one in self.minutes:
            if one.opened_ms <= now_ms - DAY_MS:
                continue
            if day is None:
                day = msgspec.structs.replace(one)
            else:
                day.add(one)
        return day


def join(minutes: Iterable[Candle], interval: str) -> list[Candle]:
    """Return longer candles made of one-minute ones."""
    joined: list[Candle] = []
    for one in minutes:
        opened = opening(one.opened_ms, interval)
        if joined and joined[-1].opened_ms == opened:
            joined[-1].add(one)
        else:
            joined.append(msgspec.structs.replace(one, opened_ms=opened))
    return joined


def opening(at_ms: int, interval: str) -> int:
    """Return when the interval began that a moment lies in."""
    if interval == "1M":
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
        first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return int(first.timestamp()) * 1000
    offset = _FIRST_MONDAY_MS if interval == "1w" else 0
    return at_ms - (at_ms - offset) % INTERVALS[interval]


def closing(opened_ms: int, interval: str) -> int:
    """Return the last millisecond of an interval."""
    if interval == "1M":
        return opening(opened_ms + 32 * DAY_MS, interval) - 1
    return opened_ms + INTERVALS[interval] - 1

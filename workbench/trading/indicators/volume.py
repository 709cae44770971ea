"""Volume: the price at which the market traded on average."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import nan
from typing import Any, Self, cast

from workbench.model.data import Bar, Trade
from workbench.model.errors import ConfigError, DataError
from workbench.trading.indicators.columns import Floats
from workbench.trading.indicators.indicator import Indicator

_NO_TIME = timedelta(0)


class VWAP(Indicator):
    """Volume-weighted average price since the session began.

    `sum(price * volume) / sum(volume)`, kept as a running mean, so that millions of trades do not
    cost digits. Of a bar the price is the typical one, `(high + low + close) / 3`. A volume that is
    not positive counts nothing.

    Args:
        session: How long a session is, such as `timedelta(days=1)`; without one it goes on until
            `reset()`. A bar belongs to the session in which it closes, one that closes at the very
            end to the session that ends; a trade at that time belongs to the next.
        opens: When sessions open, counted from midnight UTC (of 1970-01-01, a Thursday).

    Attributes:
        value: The average price; NaN while nothing was traded.
        volume: What was traded in the session.

    Raises:
        ConfigError: If `session` is not positive.

    >>> vwap = VWAP()
    >>> vwap.update(10.0, 1.0), vwap.update(13.0, 2.0)
    (10.0, 12.0)
    """

    inputs = ("high", "low", "close", "volume")

    def __init__(self, session: timedelta | None = None, *, opens: timedelta = _NO_TIME) -> None:
        if session is not None and session <= _NO_TIME:
            raise ConfigError(f"a session must be longer than nothing; got {session}")
        self.session = session
        self.opens = opens
        self._session_ns = 0 if session is None else _nanoseconds(session)
        self._opens_ns = _nanoseconds(opens)
        self.reset()

    @property
    def is_ready(self) -> bool:
        """Return whether anything was traded."""
        return self.volume > 0.0

    def reset(self) -> None:
        """Forget everything: a new session begins."""
        self.value = nan
        self.volume = 0.0
        self._number: int | None = None

    def update(self, price: float, volume: float) -> float:
        """Take what was traded next at which price, and return the average."""
        if price - price + (volume - volume) != 0.0 or volume <= 0.0:  # NaN or infinite, or none
            return self.value
        before = self.volume
        self.volume = before + volume
        if before:
            self.value += (price - self.value) * (volume / self.volume)
        else:
            self.value = price
        return self.value

    def update_bar(self, bar: Bar) -> float:
        """Take the next bar and return the average.

        Raises:
            DataError: If the bar's volume is not known.
        """
        if bar.volume is None:
            raise DataError(
                f"VWAP needs bars with a volume; the one of {bar.bar_type} at {bar.ts_event} has"
                " none: load data with that column"
            )
        self._enter(bar.ts_event - 1)
        return self.update((bar.high + bar.low + bar.close) / 3, bar.volume)

    def update_trade(self, trade: Trade) -> float:
        """Take the next trade and return the average."""
        self._enter(trade.ts_event)
        return self.update(trade.price, trade.size)

    def warm_up(self, values: Any) -> Self:
        """Take many rows, oldest first, and return itself, as after one update for each.

        Args:
            values: As for other indicators; with sessions only bars, for they have a time.

        Raises:
            DataError: If a column is missing, or there are sessions and `values` has no bars.
        """
        if not self._session_ns:
            return super().warm_up(values)
        if not isinstance(values, Sequence) or not all(
            isinstance(bar, Bar) for bar in cast(Sequence[object], values)
        ):
            raise DataError(
                "a VWAP of sessions is warmed up from a list of bars, which have times; got"
                f" {type(cast(object, values)).__name__}"
            )
        for bar in cast(Sequence[Bar], values):
            self.update_bar(bar)
        return self

    def _enter(self, ts_ns: int) -> None:
        if self._session_ns:
            number = (ts_ns - self._opens_ns) // self._session_ns
            if number != self._number:
                self.reset()
                self._number = number

    def _take(self, *columns: Floats) -> None:
        high, low, close, volume = columns
        prices = (high + low + close) / 3
        for price, traded in zip(prices.tolist(), volume.tolist(), strict=True):
            self.update(price, traded)

    def _arguments(self) -> tuple[Any, ...]:
        return () if self.session is None else (f"session={self.session}",)


def _nanoseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1) * 1000

"""Momentum: the relative strength index, and the distance of two averages."""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from workbench.model.errors import ConfigError
from workbench.trading.indicators.columns import Floats
from workbench.trading.indicators.indicator import PriceIndicator, checked_period
from workbench.trading.indicators.moving_averages import EMA, Start, WilderAverage


class RSI(PriceIndicator):
    """Relative strength index of Wilder, 0 to 100.

    `100 * gain / (gain + loss)` of Wilder's averages of upward and downward changes, which is
    `100 - 100 / (1 + RS)`. A market that never moved has no direction: its value is 50 (TA-Lib's
    is 0).

    Args:
        period: 1 or more.

    Attributes:
        value: The index; NaN before the second value.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.

    >>> RSI(2).warm_up([1.0, 2.0, 1.0, 2.0]).value
    75.0
    """

    def __init__(self, period: int = 14) -> None:
        self.period = checked_period(period)
        self._gain, self._loss = WilderAverage(period), WilderAverage(period)
        self.reset()

    @property
    def is_ready(self) -> bool:
        """Return whether it has seen `period` changes, which takes one value more."""
        return self._gain.is_ready

    def reset(self) -> None:
        """Forget everything."""
        self.value = nan
        self._last = nan
        self._gain.reset()
        self._loss.reset()

    def update(self, value: float) -> float:
        """Take the next value and return the index."""
        if value - value != 0.0:  # NaN or infinite
            return self.value
        change = value - self._last
        self._last = value
        if change == change:
            self._gain.update(change if change > 0.0 else 0.0)
            self._loss.update(-change if change < 0.0 else 0.0)
            self._compute()
        return self.value

    def _compute(self) -> None:
        gain, loss = self._gain.value, self._loss.value
        moved = gain + loss
        # The share first: it is never above 1, while 100 * gain / gain may be above 100.
        self.value = 100.0 * (gain / moved) if moved else 50.0

    def _take(self, *columns: Floats) -> None:
        (values,) = columns
        changes = np.diff(values, prepend=self._last)
        if self._last != self._last:
            changes = changes[1:]
        self._last = float(values[-1])
        if len(changes):
            self._gain.follow(np.where(changes > 0.0, changes, 0.0).tolist())
            self._loss.follow(np.where(changes < 0.0, -changes, 0.0).tolist())
            self._compute()

    def _arguments(self) -> tuple[Any, ...]:
        return (self.period,)


class MACD(PriceIndicator):
    """Moving average convergence divergence: a fast EMA less a slow one, and an EMA of that.

    Args:
        fast: Period of the quick average.
        slow: Period of the slow one, longer.
        signal: Period of the average of their difference.
        start: Where the averages start: see `EMA`. With `sma` all three are TA-Lib's: the fast one
            starts together with the slow one, at the mean of its last `fast` values, and the line
            is NaN until then.

    Attributes:
        value: The line, fast less slow.
        signal: The average of the line.
        histogram: The line less the signal.

    Raises:
        ConfigError: If a period is below 1 or `fast` is not below `slow`.

    Source: Gerald Appel, Technical Analysis: Power Tools for Active Investors, 2005.

    >>> macd = MACD(2, 3, 2).warm_up([1.0, 2.0, 4.0, 8.0])
    >>> macd.is_ready, round(macd.value, 6), round(macd.value - macd.signal - macd.histogram, 12)
    (True, 1.032407, 0.0)
    """

    def __init__(
        self, fast: int = 12, slow: int = 26, signal: int = 9, *, start: Start = "first"
    ) -> None:
        self._fast = EMA(checked_period(fast, "fast period"), start=start)
        self._slow = EMA(checked_period(slow, "slow period"), start=start)
        self._average = EMA(checked_period(signal, "signal period"), start=start)
        if fast >= slow:
            raise ConfigError(f"the fast period must be below the slow one; got {fast} and {slow}")
        self._fast_begins, self._line_begins = (0, 1) if start == "first" else (slow - fast, slow)
        self._needed = slow + signal - 1
        self.reset()

    @property
    def is_ready(self) -> bool:
        """Return whether it has seen `slow + signal - 1` values."""
        return self._slow.count >= self._needed

    def reset(self) -> None:
        """Forget everything."""
        self.value = self.signal = self.histogram = nan
        for average in (self._fast, self._slow, self._average):
            average.reset()

    def update(self, value: float) -> float:
        """Take the next value and return the line."""
        if value - value != 0.0:  # NaN or infinite
            return self.value
        slow = self._slow.update(value)
        count = self._slow.count
        if count > self._fast_begins:
            fast = self._fast.update(value)
            if count >= self._line_begins:
                self.value = fast - slow
                self.signal = self._average.update(self.value)
                self.histogram = self.value - self.signal
        return self.value

    def _take(self, *columns: Floats) -> None:
        values: list[float] = columns[0].tolist()
        lead = max(0, self._line_begins - self._slow.count)
        for value in values[:lead]:
            self.update(value)
        rest = values[lead:]
        if rest:
            pairs = zip(self._fast.follow(rest), self._slow.follow(rest), strict=True)
            line = [fast - slow for fast, slow in pairs]
            self.value = line[-1]
            self.signal = self._average.follow(line)[-1]
            self.histogram = self.value - self.signal

    def _arguments(self) -> tuple[Any, ...]:
        periods = (self._fast.period, self._slow.period, self._average.period)
        return periods if self._slow.start == "first" else (*periods, "start='sma'")

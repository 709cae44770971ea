"""Moving averages, updated in constant time and warmed up from arrays."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, islice
from math import isfinite, nan
from typing import Any, Literal

from workbench.model.errors import ConfigError
from workbench.trading.indicators.columns import Floats
from workbench.trading.indicators.indicator import PriceIndicator, checked_period

Start = Literal["first", "sma"]


class SMA(PriceIndicator):
    """Simple moving average: the mean of the last `period` values.

    Nothing is ever subtracted from a sum, so rounding errors do not pile up, and a value of another
    magnitude leaves no trace once it is out of the window.

    Args:
        period: How many values, 1 or more.

    Attributes:
        value: The mean of what it has seen, at most `period` values; NaN before the first.

    >>> sma = SMA(3).warm_up([1.0, 2.0, 3.0, 4.0])
    >>> sma.value, sma.is_ready
    (3.0, True)
    """

    def __init__(self, period: int) -> None:
        self.period = checked_period(period)
        self.reset()

    @property
    def is_ready(self) -> bool:
        """Return whether it has seen `period` values."""
        return self._count == self.period

    def reset(self) -> None:
        """Forget everything."""
        self.value = nan
        self._count = 0  # at most `period`
        # Values come in blocks of `period`. The window is what the present block holds so far and
        # the rest of the block before, whose sums from each value to its end are made at once.
        self._block: list[float] = []
        self._block_sum = 0.0
        self._older_sums: list[float] = []

    def update(self, value: float) -> float:
        """Take the next value and return the mean."""
        if value - value != 0.0:  # NaN or infinite
            return self.value
        self._block.append(value)
        self._block_sum = total = self._block_sum + value
        older = self._older_sums
        if older:
            self.value = average = (total + older.pop()) / self.period
            return average
        return self._begin_or_turn()

    def _begin_or_turn(self) -> float:
        """Return the mean where the window is one block: in the first, and whenever one is full."""
        block = self._block
        self.value = self._block_sum / len(block)
        self._count = max(self._count, len(block))
        if len(block) == self.period:
            self._older_sums = list(accumulate(reversed(block)))[:-1]
            self._block_sum = 0.0
            block.clear()
        return self.value

    def _take(self, *columns: Floats) -> None:
        (values,) = columns
        skipped = skippable(len(self._block), len(values), self.period)
        if skipped:
            self.reset()
        for value in values[skipped:].tolist():
            self.update(value)

    def _arguments(self) -> tuple[Any, ...]:
        return (self.period,)


def skippable(begun: int, coming: int, period: int) -> int:
    """Return how many of the coming values leave no trace in a window kept in blocks.

    All before the last whole block: it alone determines what the next one starts from.
    """
    first = period - begun if begun else 0
    blocks = (coming - first) // period
    return first + (blocks - 1) * period if blocks > 0 else 0


class EMA(PriceIndicator):
    """Exponential moving average: `value += alpha * (x - value)` with alpha = 2 / (period + 1).

    Args:
        period: 1 or more.
        start: Where it starts: at the `first` value, as pandas' `ewm(adjust=False)` does, or at the
            `sma` of the first `period` values, as TA-Lib does. The difference fades.

    Attributes:
        value: The average; NaN before the first value, the mean while an `sma` start is gathered.
        count: How many values it has seen.

    Raises:
        ConfigError: If the period or the start is none of these.

    >>> ema = EMA(3).warm_up([1.0, 2.0])
    >>> ema.value, ema.is_ready
    (1.5, False)
    >>> EMA(3, start="sma").warm_up([1.0, 2.0, 6.0, 5.0]).value
    4.0
    """

    def __init__(self, period: int, *, start: Start = "first") -> None:
        self.period = checked_period(period)
        self.alpha = 2 / (period + 1)
        self.start: Start = checked_start(start)
        self._averaged = 1 if start == "first" else period
        self.reset()

    @property
    def is_ready(self) -> bool:
        """Return whether it has seen `period` values."""
        return self.count >= self.period

    def reset(self) -> None:
        """Forget everything."""
        self.value = nan
        self.count = 0
        self._step = nan  # alpha once it has started

    def update(self, value: float) -> float:
        """Take the next value and return the average."""
        before = self.value
        self.value = average = before + self._step * (value - before)
        if average - average != 0.0:  # NaN or infinite: the value is, or it has not started yet
            self.value = before
            return self._start_with(value)
        self.count += 1
        return average

    def _start_with(self, value: float) -> float:
        if isfinite(value) and self.count < self._averaged:
            self.count += 1
            self.value = (
                value if self.count == 1 else self.value + (value - self.value) / self.count
            )
            if self.count == self._averaged:
                self._step = self.alpha
        return self.value

    def follow(self, values: Iterable[float]) -> list[float]:
        """Take finite values and return the average after each: `update` in a tight loop."""
        coming = iter(values)
        lead = max(0, self._averaged - self.count)
        averages = [self.update(value) for value in islice(coming, lead)]
        average, alpha = self.value, self.alpha
        for value in coming:
            average += alpha * (value - average)
            averages.append(average)
        self.count += max(0, len(averages) - lead)
        self.value = average
        return averages

    def _take(self, *columns: Floats) -> None:
        self.follow(columns[0].tolist())

    def _arguments(self) -> tuple[Any, ...]:
        return (self.period,) if self.start == "first" else (self.period, "start='sma'")


class WilderAverage(EMA):
    """Wilder's moving average: the `sma` of the first `period` values, then alpha = 1 / period.

    Args:
        period: 1 or more.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.

    >>> WilderAverage(2).warm_up([1.0, 3.0, 4.0]).value
    3.0
    """

    def __init__(self, period: int) -> None:
        super().__init__(period, start="sma")
        self.alpha = 1 / period

    def _arguments(self) -> tuple[Any, ...]:
        return (self.period,)


def checked_start(start: Start) -> Start:
    """Return where an average starts.

    Raises:
        ConfigError: If it is neither `first` nor `sma`.
    """
    if start not in ("first", "sma"):
        raise ConfigError(f"an average starts at 'first' or 'sma'; got {start!r}")
    return start

"""Volatility: the average true range, and bands of standard deviations."""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from math import isfinite, nan, sqrt
from typing import Any

import numpy as np

from workbench.model.data import Bar
from workbench.model.errors import ConfigError
from workbench.trading.indicators.columns import Floats
from workbench.trading.indicators.indicator import Indicator, PriceIndicator, checked_period
from workbench.trading.indicators.moving_averages import WilderAverage, skippable


class ATR(Indicator):
    """Average true range of Wilder, in units of price.

    Wilder's average of the true range: `max(high, last close) - min(low, last close)`. As in
    TA-Lib the first bar has none, for no close comes before it.

    Args:
        period: 1 or more.

    Attributes:
        value: The average; NaN before the second bar.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.

    >>> ATR(2).warm_up({"high": [3, 4, 6], "low": [1, 3, 5], "close": [2, 3, 6]}).value
    2.5
    """

    inputs = ("high", "low", "close")

    def __init__(self, period: int = 14) -> None:
        self.period = checked_period(period)
        self._average = WilderAverage(period)
        self.reset()

    @property
    def is_ready(self) -> bool:
        """Return whether it has seen `period` true ranges, which takes one bar more."""
        return self._average.is_ready

    def reset(self) -> None:
        """Forget everything."""
        self.value = nan
        self._last = nan
        self._average.reset()

    def update(self, high: float, low: float, close: float) -> float:
        """Take the next bar's prices and return the average."""
        if high - high + (low - low) + (close - close) != 0.0:  # NaN or infinite
            return self.value
        last = self._last
        self._last = close
        if last == last:
            top = last if last > high else high
            bottom = last if last < low else low
            self.value = self._average.update(top - bottom)
        return self.value

    def update_bar(self, bar: Bar) -> float:
        """Take the next bar and return the average."""
        return self.update(bar.high, bar.low, bar.close)

    def _take(self, *columns: Floats) -> None:
        high, low, close = columns
        last = np.concatenate(([self._last], close[:-1]))
        ranges = np.fmax(high, last) - np.fmin(low, last)
        if self._last != self._last:
            ranges = ranges[1:]
        self._last = float(close[-1])
        if len(ranges):
            self.value = self._average.follow(ranges.tolist())[-1]

    def _arguments(self) -> tuple[Any, ...]:
        return (self.period,)


class BollingerBands(PriceIndicator):
    """The mean of the last `period` values and a band of standard deviations around it.

    The deviation is that of a population (divided by `period`), as Bollinger and TA-Lib have it. It
    is computed from deviations, never from sums of squares, and nothing is ever subtracted from
    what was summed: neither large prices nor a past outlier cost digits.

    Args:
        period: 1 or more.
        deviations: How many standard deviations the bands are away, positive.

    Attributes:
        value: The middle band, the mean; NaN before the first value.
        upper: The mean and so many deviations.
        lower: The mean less so many deviations.
        deviation: One standard deviation.

    Raises:
        ConfigError: If the period is below 1 or `deviations` is not positive.

    Source: John Bollinger, Bollinger on Bollinger Bands, 2001. Blocks are joined as in Chan, Golub,
    LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, 1979.

    >>> bands = BollingerBands(4).warm_up([9.0, 2.0, 4.0, 4.0, 6.0])
    >>> bands.value, round(bands.deviation, 6), round(bands.upper, 6)
    (4.0, 1.414214, 6.828427)
    """

    def __init__(self, period: int = 20, deviations: float = 2.0) -> None:
        self.period = checked_period(period)
        if not isinstance(deviations, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"deviations must be a positive number; got {deviations!r}")
        if not (isfinite(deviations) and deviations > 0):
            raise ConfigError(f"deviations must be positive; got {deviations}")
        self.deviations = float(deviations)
        self.reset()

    @property
    def is_ready(self) -> bool:
        """Return whether it has seen `period` values."""
        return self._count == self.period

    @property
    def percent_b(self) -> float:
        """Return where the last value is: 0 at the lower band, 1 at the upper; NaN if they meet."""
        width = self.upper - self.lower
        return (self._last - self.lower) / width if width else nan

    @property
    def bandwidth(self) -> float:
        """Return the distance of the bands as a share of the middle; NaN at a middle of 0."""
        return (self.upper - self.lower) / self.value if self.value else nan

    def reset(self) -> None:
        """Forget everything."""
        self.value = self.upper = self.lower = self.deviation = nan
        self._last = nan
        self._count = 0  # at most `period`
        # Blocks as in SMA, here of (mean, sum of squared deviations).
        self._block: list[float] = []
        self._mean = self._squares = 0.0
        self._older: list[tuple[float, float]] = []

    def update(self, value: float) -> float:
        """Take the next value and return the middle band."""
        if value - value != 0.0:  # NaN or infinite
            return self.value
        block, older = self._block, self._older
        block.append(value)
        size = len(block)
        self._mean, self._squares = _joined(self._mean, self._squares, size, value)
        mean, squares = self._mean, self._squares
        if self._count < self.period:
            self._count += 1
        if older:
            others = len(older)
            older_mean, older_squares = older.pop()
            gap = mean - older_mean
            mean = older_mean + gap * size / self.period
            squares += older_squares + gap * gap * size * others / self.period
        self._last = value
        self.value = mean
        self.deviation = sqrt(squares / self._count)
        away = self.deviations * self.deviation
        self.upper, self.lower = mean + away, mean - away
        if size == self.period:
            self._turn()
        return self.value

    def _turn(self) -> None:
        """Begin a new block: sum up the ends of the one before, the shortest first."""
        self._older = []
        mean = squares = 0.0
        for size, value in enumerate(reversed(self._block[1:]), start=1):
            mean, squares = _joined(mean, squares, size, value)
            self._older.append((mean, squares))
        self._block.clear()
        self._mean = self._squares = 0.0

    def _take(self, *columns: Floats) -> None:
        (values,) = columns
        skipped = skippable(len(self._block), len(values), self.period)
        if skipped:
            self.reset()
        for value in values[skipped:].tolist():
            self.update(value)

    def _arguments(self) -> tuple[Any, ...]:
        return self.period, f"{self.deviations:g}"


def _joined(mean: float, squares: float, size: int, value: float) -> tuple[float, float]:
    """Return mean and sum of squared deviations of `size` values, `value` the newest (Welford)."""
    gap = value - mean
    mean += gap / size
    return mean, squares + gap * (value - mean)

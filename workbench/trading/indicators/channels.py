"""Channels: the highest high and lowest low."""

from __future__ import annotations

from collections import deque
from math import nan
from typing import Any

from workbench.model.data import Bar
from workbench.trading.indicators.columns import Floats
from workbench.trading.indicators.indicator import Indicator, checked_period


class DonchianChannel(Indicator):
    """The highest high and the lowest low of the last `period` bars, the present one among them.

    Two queues hold only those highs and lows that can still become the extreme: each is put in once
    and taken out once, so an update costs the same however long the period.

    Args:
        period: How many bars, 1 or more.

    Attributes:
        value: The middle of the channel; NaN before the first bar.
        upper: The highest high.
        lower: The lowest low.

    >>> channel = DonchianChannel(2).warm_up({"high": [9.0, 4.0, 5.0], "low": [8.0, 1.0, 2.0]})
    >>> channel.upper, channel.lower, channel.value
    (5.0, 1.0, 3.0)
    """

    inputs = ("high", "low")

    def __init__(self, period: int = 20) -> None:
        self.period = checked_period(period)
        self.reset()

    @property
    def is_ready(self) -> bool:
        """Return whether it has seen `period` bars."""
        return self._count >= self.period

    def reset(self) -> None:
        """Forget everything."""
        self.value = self.upper = self.lower = nan
        self._count = 0
        self._highs: deque[tuple[int, float]] = deque()  # falling, each with its bar's number
        self._lows: deque[tuple[int, float]] = deque()  # rising

    def update(self, high: float, low: float) -> float:
        """Take the next bar's high and low and return the middle of the channel."""
        if high - high + (low - low) != 0.0:  # NaN or infinite
            return self.value
        self._count += 1
        past = self._count - self.period
        highs, lows = self._highs, self._lows
        while highs and highs[-1][1] <= high:
            highs.pop()
        highs.append((self._count, high))
        if highs[0][0] <= past:
            highs.popleft()
        while lows and lows[-1][1] >= low:
            lows.pop()
        lows.append((self._count, low))
        if lows[0][0] <= past:
            lows.popleft()
        self.upper, self.lower = highs[0][1], lows[0][1]
        self.value = (self.upper + self.lower) / 2
        return self.value

    def update_bar(self, bar: Bar) -> float:
        """Take the next bar and return the middle of the channel."""
        return self.update(bar.high, bar.low)

    def _take(self, *columns: Floats) -> None:
        high, low = columns
        if len(high) >= self.period:
            self.reset()  # of what came before, nothing is left in the window
        rows = slice(max(0, len(high) - self.period), None)
        for pair in zip(high[rows].tolist(), low[rows].tolist(), strict=True):
            self.update(*pair)

    def _arguments(self) -> tuple[Any, ...]:
        return (self.period,)

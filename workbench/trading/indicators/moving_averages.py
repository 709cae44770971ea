"""Moving averages, updated in constant time and warmed up from arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Self

from workbench.model.errors import ConfigError


class MovingAverage(ABC):
    """What the moving averages share; use `SMA` or `EMA`.

    Args:
        period: 1 or more.

    Attributes:
        value: The average; NaN before the first value.
    """

    def __init__(self, period: int) -> None:
        if period < 1:
            raise ConfigError(f"a period must be 1 or more; got {period}")
        self.period = period
        self.value = float("nan")

    @abstractmethod
    def update(self, value: float) -> float:
        """Take the next value and return the average."""

    def warm_up(self, values: Iterable[float]) -> Self:
        """Take many values, oldest first (any float array or list), and return itself."""
        for value in values:
            self.update(float(value))
        return self

    def reset(self) -> None:
        """Forget everything."""
        self.__init__(self.period)

    def __repr__(self) -> str:
        """Return the period and value."""
        return f"{type(self).__name__}({self.period}, value={self.value:g})"


class SMA(MovingAverage):
    """Simple moving average: the mean of the last `period` values.

    The running sum is made anew once per period, so that rounding errors do not pile up.

    Args:
        period: How many values, 1 or more.

    Attributes:
        value: The mean of what it has seen, at most `period` values; NaN before the first.

    >>> sma = SMA(3).warm_up([1.0, 2.0, 3.0, 4.0])
    >>> sma.value, sma.is_ready
    (3.0, True)
    """

    def __init__(self, period: int) -> None:
        super().__init__(period)
        self._window: deque[float] = deque(maxlen=period)
        self._sum = 0.0
        self._until_resum = period

    @property
    def is_ready(self) -> bool:
        """Return whether it has seen `period` values."""
        return len(self._window) == self.period

    def update(self, value: float) -> float:
        """Take the next value and return the mean."""
        window = self._window
        if len(window) == self.period:
            self._sum -= window[0]
        window.append(value)
        self._sum += value
        self._until_resum -= 1
        if not self._until_resum:
            self._sum = sum(window)
            self._until_resum = self.period
        self.value = self._sum / len(window)
        return self.value


class EMA(MovingAverage):
    """Exponential moving average with alpha = 2 / (period + 1), started at the first value.

    `value += alpha * (x - value)`.

    Args:
        period: 1 or more.

    Attributes:
        value: The average; NaN before the first value.
        count: How many values it has seen.

    >>> ema = EMA(3).warm_up([1.0, 2.0])
    >>> ema.value, ema.is_ready
    (1.5, False)
    """

    def __init__(self, period: int) -> None:
        super().__init__(period)
        self.alpha = 2 / (period + 1)
        self.count = 0

    @property
    def is_ready(self) -> bool:
        """Return whether it has seen `period` values."""
        return self.count >= self.period

    def update(self, value: float) -> float:
        """Take the next value and return the average."""
        if self.count:
            self.value += self.alpha * (value - self.value)
        else:
            self.value = value
        self.count += 1
        return self.value

"""The intervals of time bars: left-open, `(start, close]`, on fixed boundaries, UTC.

Milliseconds to days are counted from 1970-01-01T00:00, so that steps that divide a day begin at
midnight; weeks begin on Mondays (counted from 1970-01-05), months on their first day (counted from
January of the year 0: a step of 3 gives calendar quarters).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime

from workbench.model.data import NANOSECONDS_IN_SECOND, BarSpec
from workbench.model.enums import BarAggregation
from workbench.model.errors import ConfigError

_FIRST_MONDAY_NS = 4 * 86_400 * NANOSECONDS_IN_SECOND


class Intervals(ABC):
    """The intervals of one specification."""

    @abstractmethod
    def close_of(self, ts: int) -> int:
        """Return the close of the interval a time belongs to: the first boundary not before it."""

    @abstractmethod
    def start_of(self, close: int) -> int:
        """Return the boundary before one."""

    def back(self, close: int, count: int) -> int:
        """Return the boundary that lies `count` intervals before one."""
        for _ in range(count):
            close = self.start_of(close)
        return close


class FixedIntervals(Intervals):
    """Intervals of one length.

    >>> FixedIntervals(60).close_of(60), FixedIntervals(60).close_of(61)
    (60, 120)
    """

    def __init__(self, length_ns: int, origin_ns: int = 0) -> None:
        self._length = length_ns
        self._origin = origin_ns

    def close_of(self, ts: int) -> int:
        """Return the first boundary not before a time."""
        return ts + (self._origin - ts) % self._length

    def start_of(self, close: int) -> int:
        """Return the boundary before one."""
        return close - self._length

    def back(self, close: int, count: int) -> int:
        """Return the boundary that lies `count` intervals before one."""
        return close - count * self._length


class MonthIntervals(Intervals):
    """Intervals of so many calendar months."""

    def __init__(self, months: int) -> None:
        self._months = months

    def close_of(self, ts: int) -> int:
        """Return the first boundary not before a time."""
        # What is at a boundary belongs to what ends there: it is as if one nanosecond earlier.
        moment = datetime.fromtimestamp((ts - 1) // NANOSECONDS_IN_SECOND, UTC)
        month = moment.year * 12 + moment.month - 1
        return _month_ns(month - month % self._months + self._months)

    def start_of(self, close: int) -> int:
        """Return the boundary before one."""
        moment = datetime.fromtimestamp(close // NANOSECONDS_IN_SECOND, UTC)
        return _month_ns(moment.year * 12 + moment.month - 1 - self._months)


def _month_ns(month: int) -> int:
    first = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(first.timestamp()) * NANOSECONDS_IN_SECOND


def intervals_of(spec: BarSpec) -> Intervals:
    """Return the intervals of time bars.

    Raises:
        ConfigError: If it is not time that closes the bars.
    """
    if spec.aggregation is BarAggregation.MONTH:
        return MonthIntervals(spec.step)
    length = spec.interval_ns
    if length is None:
        raise ConfigError(f"{spec} bars have no interval: time does not close them")
    return FixedIntervals(
        length, _FIRST_MONDAY_NS if spec.aggregation is BarAggregation.WEEK else 0
    )

"""A histogram of durations: constant memory, one quarter octave of resolution."""

from __future__ import annotations


class Histogram:
    """Counts non-negative integers in buckets a quarter of an octave wide.

    >>> histogram = Histogram()
    >>> for value in range(1, 101):
    ...     histogram.add(value)
    >>> histogram.count, 48 <= histogram.quantile(0.5) <= 64
    (100, True)
    """

    __slots__ = ("_buckets", "count", "maximum")

    def __init__(self) -> None:
        self._buckets = [0] * 264
        self.count = 0
        self.maximum = 0

    def add(self, value: int) -> None:
        """Count one value; a negative one counts as 0."""
        if value < 4:
            value = max(value, 0)
            self._buckets[value] += 1
        else:
            bits = value.bit_length()
            self._buckets[(bits << 2) | ((value >> (bits - 3)) & 3)] += 1
        self.count += 1
        if value > self.maximum:
            self.maximum = value

    def quantile(self, quantile: float) -> int | None:
        """Return an upper bound of the value at `quantile` (0 to 1), None if there is none."""
        if not self.count:
            return None
        rank = quantile * self.count
        seen = 0
        for index, count in enumerate(self._buckets):
            seen += count
            if count and seen >= rank:
                return min(_upper(index), self.maximum)
        return self.maximum


def _upper(index: int) -> int:
    if index < 4:
        return index
    bits, quarter = index >> 2, index & 3
    return ((5 + quarter) << (bits - 3)) - 1

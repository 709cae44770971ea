"""Bars that close when they hold so many updates, so much volume or so much value."""

from __future__ import annotations

import math
from decimal import Decimal

from workbench.engines.aggregation_building import BarAggregator, Cut, Emit
from workbench.model.data import BarType
from workbench.runtime.clock import Clock


class CountingBars(BarAggregator):
    """A bar every so much of something that updates have.

    Attributes:
        ts: The stamp of the latest update.
        nth: Which one of the updates with this stamp it was, from 1 on.
    """

    def __init__(self, bar_type: BarType, clock: Clock, emit: Emit) -> None:
        super().__init__(bar_type, clock, emit)
        self.ts = -1
        self.nth = 0
        self._step = Decimal(bar_type.spec.step)
        self._wanted = self._step

    @property
    def counted(self) -> Decimal:
        """How much the bar that is being built has of its step."""
        return self._step - self._wanted

    def begin_within(self, counted: Decimal) -> None:
        """Let the bar that is being built have so much of its step already."""
        self._wanted = self._step - counted

    def reset(self) -> None:
        """Begin the bar anew."""
        super().reset()
        self._wanted = self._step

    def _note(self, ts: int) -> None:
        if ts == self.ts:
            self.nth += 1
        else:
            self.ts = ts
            self.nth = 1

    def _close_full(self, ts: int) -> None:
        self._wanted = self._step
        self._close_bar(ts)


class TickBars(CountingBars):
    """A bar every so many updates."""

    def update(self, price: float, size: float, ts: int) -> None:
        """Add an update."""
        self._note(ts)
        self._builder.update(price, size)
        self._wanted -= 1
        if not self._wanted:
            self._close_full(ts)

    def _cut_at(self, ts: int) -> Cut:
        return Cut(ts, self.nth)


class _FilledBars(CountingBars):
    """A bar every so much of something; an update with more of it is split.

    Sums are of decimals, those that the floats are written as: no drift closes a bar early or late.
    """

    def __init__(self, bar_type: BarType, clock: Clock, emit: Emit) -> None:
        super().__init__(bar_type, clock, emit)
        self._over = Decimal(0)

    def _cut_at(self, ts: int) -> Cut:
        return Cut(ts, self.nth, self._over)

    def _fill(self, price: float, size: float, each: Decimal, ts: int) -> None:
        """Add a size of which each one counts for `each`."""
        self._note(ts)
        if not (0 < size < math.inf and each > 0):
            self._builder.update(price, 0.0)
            return
        left = Decimal(repr(size)) * each
        while left >= self._wanted:
            self._builder.update(price, float(self._wanted / each))
            left -= self._wanted
            self._over = left
            self._close_full(ts)
        if left > 0:
            self._wanted -= left
            self._builder.update(price, float(left / each))


class VolumeBars(_FilledBars):
    """A bar every so much volume."""

    def update(self, price: float, size: float, ts: int) -> None:
        """Add an update; what is over the step begins the next bar, or several."""
        self._fill(price, size, Decimal(1), ts)


class ValueBars(_FilledBars):
    """A bar every so much value: price times size."""

    def update(self, price: float, size: float, ts: int) -> None:
        """Add an update; what is over the step begins the next bar, or several."""
        self._fill(price, size, Decimal(repr(abs(price))), ts)

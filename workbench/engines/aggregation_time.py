"""Bars that close at the end of an interval of time.

Intervals of time are left-open, `(start, close]`, and a bar is stamped at its close: what is
stamped exactly at the boundary belongs to the bar that ends there. A simulated clock's timers fire
before the data of an equal time, so a time bar is not closed by a timer at its close, but at the
first of

- an update stamped after the close,
- a timer one nanosecond (and the build delay) after the close.

An update that comes later than that counts for the bar that is being built then; none is lost. Bars
made of finer bars have no timer, for a venue's bars come some time after their close: they close
with the finer bar that ends where they do, or with the first one after it.
"""

from __future__ import annotations

from typing import Any

from workbench.engines.aggregation_building import BarAggregator, Cut, Emit
from workbench.engines.aggregation_intervals import intervals_of
from workbench.model.commands import BarMaking
from workbench.model.data import Bar, BarType
from workbench.runtime.clock import Clock


class TimeBars(BarAggregator):
    """A bar every interval, from prices.

    Args:
        bar_type: What the bars are.
        clock: For the time of the bars, and for timers.
        emit: Takes each bar.
        making: With or without bars for intervals in which nothing came (these are flat), with or
            without the first one if it was begun in the middle, and how long to wait.
    """

    def __init__(self, bar_type: BarType, clock: Clock, emit: Emit, making: BarMaking) -> None:
        super().__init__(bar_type, clock, emit)
        self._intervals = intervals_of(bar_type.spec)
        self._making = making
        self._late_ns = 1 + making.build_delay_ns
        self._close = 0  # of the bar that is being built; 0 before the first update
        self._since = self.cut.ts
        self._is_live = True
        self._armed = 0
        self._timer = f"bars:{bar_type}"

    def update(self, price: float, size: float, ts: int) -> None:
        """Add an update; one after the present interval closes that first."""
        if ts > self._close:
            self._roll(ts)
        builder = self._builder
        builder.update(price, size)
        if builder.count == 1 and self._is_live:
            self._arm()

    def _roll(self, ts: int) -> None:
        """Close what ended before an update, and begin the interval it is in."""
        close = self._intervals.close_of(ts)
        if not self._close:
            self._close = close
            return
        self._finish(close)
        self._close = close

    def _finish(self, until: int) -> None:
        """Close all intervals that end before a boundary."""
        while self._close < until and (self._builder.count or self._fills):
            self._end_interval()
        self._close = max(self._close, until)

    @property
    def _fills(self) -> bool:
        return self._making.build_with_no_updates and self._builder.last == self._builder.last

    def _end_interval(self) -> None:
        ended = self._close
        self._close = self._intervals.close_of(ended + 1)
        # A bar that was begun in the middle of its interval is not whole.
        is_whole = self._since <= self._intervals.start_of(ended) + 1
        if is_whole or not self._making.skip_first_non_full_bar:
            self._close_bar(ended)
        else:
            self._builder.reset()
            self.cut = Cut(ended)

    def _arm(self) -> None:
        """Let a timer close the interval, where a bar will be built then."""
        if not (self._builder.count or self._fills) or self._armed == self._close:
            return
        if self._armed:
            self._clock.cancel_timer(self._timer)
        self._armed = self._close
        self._clock.set_alert(self._timer, self._close + self._late_ns, self._on_timer)

    def _on_timer(self, _: Any) -> None:
        ended, self._armed = self._armed, 0
        if ended == self._close:
            self._end_interval()
        self._arm()

    def reset(self) -> None:
        """Do nothing: a time bar that missed updates is still built, from those that came."""

    def begin(self, since_ns: int) -> None:
        """Prepare for updates from then on, without timers."""
        super().begin(since_ns)
        self._since = since_ns
        self._is_live = False

    def end_by(self, ns: int) -> None:
        """Close the intervals that ended by then."""
        if 0 < self._close <= ns:
            self._finish(self._intervals.close_of(ns + 1))

    def go_live(self, now_ns: int) -> None:
        """Close the intervals that ended before now; from here on timers close them."""
        self._is_live = True
        self.end_by(now_ns - self._late_ns)
        if self._close:
            self._arm()

    def close(self) -> None:
        """Make no more bars: no timer is left."""
        if self._armed:
            self._clock.cancel_timer(self._timer)
            self._armed = 0


class CoarserBars(BarAggregator):
    """A bar every interval, from finer bars; none where there were none of these."""

    def __init__(self, bar_type: BarType, clock: Clock, emit: Emit, making: BarMaking) -> None:
        super().__init__(bar_type, clock, emit)
        self._intervals = intervals_of(bar_type.spec)
        self._skips = making.skip_first_non_full_bar
        self._close = 0
        self._latest = 0
        self._since = self.cut.ts

    def update(self, price: float, size: float, ts: int) -> None:
        """Add a price as a bar that is flat."""
        self.update_bar(Bar(self.bar_type, price, price, price, price, size, ts, ts))

    def update_bar(self, bar: Bar) -> None:
        """Add a finer bar; one that ends where the coarser one does closes it.

        A bar that is not later than the one before (sent again after a reconnect) is not counted.
        """
        ts = bar.ts_event
        if ts <= self._latest:
            return
        self._latest = ts
        if ts > self._close:
            self._end_interval()
            self._close = self._intervals.close_of(ts)
        self._builder.update_bar(bar)
        if ts == self._close:
            self._end_interval()

    def _end_interval(self) -> None:
        if not self._builder.count:
            return
        is_whole = self._since <= self._intervals.start_of(self._close) + 1
        if is_whole or not self._skips:
            self._close_bar(self._close)
        else:
            self._builder.reset()

    def reset(self) -> None:
        """Do nothing: a time bar that missed updates is still built, from those that came."""

    def begin(self, since_ns: int) -> None:
        """Prepare for bars from then on."""
        super().begin(since_ns)
        self._since = since_ns

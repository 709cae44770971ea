"""Bars made inside: from quotes, trades or finer bars.

Intervals of time are left-open, `(start, close]`, and a bar is stamped at its close: what is
stamped exactly at the boundary belongs to the bar that ends there. A simulated clock's timers fire
before the data of an equal time, so a time bar is not closed by a timer at its close, but at the
first of

- an update stamped after the close,
- a timer one nanosecond (and the build delay) after the close.

An update that comes later than that counts for the bar that is being built then; none is lost. Bars
made of finer bars have no timer, for a venue's bars come some time after their close: they close
with the finer bar that ends where they do, or with the first one after it.

Volume is the sum of sizes: of trades, of the quotes' side (mid: the mean of both sides), or of the
finer bars' volumes (None where one of these is None).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from workbench.engines.aggregation_intervals import intervals_of
from workbench.model.commands import BarMaking
from workbench.model.data import Bar, BarSpec, BarType, Quote, Trade
from workbench.model.enums import BarAggregation, PriceType
from workbench.runtime.clock import Clock

Emit = Callable[[Bar], None]


class BarBuilder:
    """A bar that is being built.

    Attributes:
        count: How many updates it has.
        last: The last price, also of the bar before; NaN where there was none.
    """

    __slots__ = ("_bar_type", "_high", "_lost", "_low", "_open", "_volume", "count", "last")

    def __init__(self, bar_type: BarType) -> None:
        self._bar_type = bar_type
        self.last = float("nan")
        self.reset()

    def reset(self) -> None:
        """Forget the updates there were."""
        self.count = 0
        self._volume: float | None = 0.0
        self._lost = 0.0
        self._open = self._high = self._low = self.last

    def update(self, price: float, size: float) -> None:
        """Add a price and the size at it."""
        if not self.count:
            self._open = self._high = self._low = price
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self.last = price
        self.count += 1
        # `_add`, written out: this is done for every quote.
        volume = self._volume
        if volume is None or not size < math.inf:
            self._add(size)
        else:
            total = volume + size
            self._lost += (volume - total) + size if volume >= size else (size - total) + volume
            self._volume = total

    def update_bar(self, bar: Bar) -> None:
        """Add a finer bar."""
        if not self.count:
            self._open, self._high, self._low = bar.open, bar.high, bar.low
        else:
            self._high = max(self._high, bar.high)
            self._low = min(self._low, bar.low)
        self.last = bar.close
        self.count += 1
        if bar.volume is None:
            self._volume = None
        else:
            self._add(bar.volume)

    def _add(self, size: float) -> None:
        volume = self._volume
        if volume is None or size != size:
            return  # a size that is not known (NaN) adds nothing
        if size == math.inf:
            self._volume = None  # unlimited, as where a bar has no volume
            return
        # Neumaier's summation: ten times 0.1 is 1.0, however many updates a bar has.
        total = volume + size
        self._lost += (volume - total) + size if volume >= size else (size - total) + volume
        self._volume = total

    def build(self, ts_event: int, ts_init: int) -> Bar:
        """Return the bar and begin the next; without updates it is flat at the last price."""
        volume = self._volume
        bar = Bar(
            self._bar_type,
            self._open,
            self._high,
            self._low,
            self.last,
            None if volume is None else volume + self._lost,
            ts_event,
            ts_init,
        )
        self.reset()
        return bar


@dataclass(frozen=True)
class Cut:
    """Where the last closed bar ends in the updates.

    Attributes:
        ts: The stamp of the last update in it.
        nth: Which one of the updates with this stamp it is, from 1 on; 0 for all of them.
        over: How much of that update, in what is counted, is in the next bar.
    """

    ts: int
    nth: int = 0
    over: Decimal = Decimal(0)


class BarAggregator(ABC):
    """Makes the bars of one type; `update` takes prices, `emit` the bars.

    Args:
        bar_type: What the bars are.
        clock: For the time of the bars, and for timers.
        emit: Takes each bar.

    Attributes:
        emit: Takes each bar; may be replaced.
        cut: Up to where updates are in bars that were closed.
    """

    def __init__(self, bar_type: BarType, clock: Clock, emit: Emit) -> None:
        self.bar_type = bar_type
        self.emit = emit
        self.cut = Cut(clock.timestamp_ns())
        self._clock = clock
        self._builder = BarBuilder(bar_type)

    @abstractmethod
    def update(self, price: float, size: float, ts: int) -> None:
        """Add a price, the size at it and when it was."""

    def reset(self) -> None:
        """Take note that updates were missed: a bar that counts them begins anew."""
        self._builder.reset()

    def begin(self, since_ns: int) -> None:
        """Prepare for updates from then on, history maybe, without timers; `go_live` ends that."""
        self.cut = Cut(since_ns)

    def end_by(self, ns: int) -> None:  # noqa: B027 - only bars of time end by themselves
        """Close the intervals that ended by then."""

    def go_live(self, now_ns: int) -> None:  # noqa: B027 - only bars of time end by themselves
        """Close what ended before now, and let timers close bars from here on."""

    def close(self) -> None:  # noqa: B027 - only bars of time have timers
        """Make no more bars: no timer is left."""

    def _close_bar(self, ts: int) -> None:
        self.cut = self._cut_at(ts)
        self.emit(self._builder.build(ts, self._clock.timestamp_ns()))

    def _cut_at(self, ts: int) -> Cut:
        return Cut(ts)


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


_COUNTING: dict[BarAggregation, type[BarAggregator]] = {
    BarAggregation.TICK: TickBars,
    BarAggregation.VOLUME: VolumeBars,
    BarAggregation.VALUE: ValueBars,
}


def aggregator_of(
    bar_type: BarType, clock: Clock, emit: Emit, making: BarMaking, *, from_bars: bool
) -> BarAggregator:
    """Return what makes the bars of a type."""
    spec = bar_type.spec
    counting = _COUNTING.get(spec.aggregation)
    if counting is not None:
        return counting(bar_type, clock, emit)
    if from_bars:
        return CoarserBars(bar_type, clock, emit, making)
    return TimeBars(bar_type, clock, emit, making)


def intake(aggregator: BarAggregator) -> Callable[[Any], None]:
    """Return what hands an aggregator the messages of its source: quotes, trades or finer bars.

    A quote without the side that is wanted (NaN) is no update.
    """
    if isinstance(aggregator, CoarserBars):
        return aggregator.update_bar
    return _INTAKES[aggregator.bar_type.spec.price_type](aggregator.update)


def _of_trades(update: Callable[[float, float, int], None]) -> Callable[[Any], None]:
    def take(trade: Trade) -> None:
        update(trade.price, trade.size, trade.ts_event)

    return take


def _of_bids(update: Callable[[float, float, int], None]) -> Callable[[Any], None]:
    def take(quote: Quote) -> None:
        price = quote.bid
        if price == price:
            update(price, quote.bid_size, quote.ts_event)

    return take


def _of_asks(update: Callable[[float, float, int], None]) -> Callable[[Any], None]:
    def take(quote: Quote) -> None:
        price = quote.ask
        if price == price:
            update(price, quote.ask_size, quote.ts_event)

    return take


def _of_mids(update: Callable[[float, float, int], None]) -> Callable[[Any], None]:
    def take(quote: Quote) -> None:
        price = (quote.bid + quote.ask) / 2
        if price == price:
            update(price, (quote.bid_size + quote.ask_size) / 2, quote.ts_event)

    return take


_INTAKES = {
    PriceType.LAST: _of_trades,
    PriceType.BID: _of_bids,
    PriceType.ASK: _of_asks,
    PriceType.MID: _of_mids,
}


def coarsest_source(bar_types: Iterable[BarType], spec: BarSpec) -> BarType | None:
    """Return the coarsest of some bars that a specification's bars can be made of, or None."""
    fitting = [one for one in bar_types if not one.source and one.spec.divides(spec)]
    return max(fitting, key=lambda one: one.spec.interval_ns or 0, default=None)

"""A bar that is being built, and what all have in common that make bars.

Volume is the sum of sizes: of trades, of the quotes' side (mid: the mean of both sides), or of the
finer bars' volumes (None where one of these is None).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from workbench.model.data import Bar, BarType
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

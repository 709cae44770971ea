"""The five channels: first-in first-out, counted, stamped, never silent about a drop.

Everything is counted on the reader's side (`in = out + depth + drops`), so that a `put`, which
may come from another thread, is one append.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from workbench.model.data import Bar, BidAskBar, DataGap, Quote, Trade
from workbench.model.display import duration, grid_html, shown
from workbench.model.errors import ConfigError
from workbench.runtime.histogram import Histogram


class ChannelName(StrEnum):
    """The five channels, in the order a runner prefers them."""

    TIME_EVENTS = "time_events"
    EXECUTION_EVENTS = "execution_events"
    TRADING_COMMANDS = "trading_commands"
    DATA_COMMANDS = "data_commands"
    DATA_EVENTS = "data_events"


class ChannelStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A channel's counters at one moment; times in nanoseconds, None where nothing was measured."""

    name: str
    count_in: int
    count_out: int
    depth: int
    high_water: int
    oldest_age_ns: int | None
    drops: int
    hop_p50_ns: int | None
    hop_p99_ns: int | None

    def __repr__(self) -> str:
        """Return its name and how many messages came, went and wait."""
        return (
            f"<{self.name}: {self.depth:,} waiting, {self.count_in:,} in, {self.count_out:,} out,"
            f" {self.drops:,} dropped>"
        )

    def _repr_html_(self) -> str:
        return statistics_html([self])


_COLUMNS = ("channel", "in", "out", "waiting", "at most", "oldest", "drops", "hop p50", "hop p99")


def statistics_html(channels: Iterable[ChannelStatistics]) -> str:
    """Return the counters of channels as a table, one a row."""
    return grid_html(
        _COLUMNS,
        (
            (
                *(c.name, shown(c.count_in), shown(c.count_out), shown(c.depth)),
                *(shown(c.high_water), duration(c.oldest_age_ns), shown(c.drops)),
                *(duration(c.hop_p50_ns), duration(c.hop_p99_ns)),
            )
            for c in channels
        ),
    )


class Signal:
    """Tells the reader of several channels that something waits.

    Attributes:
        pending: Set by every `put`, cleared by the reader.
        parked: Set by a reader that sleeps; the next `put` calls `wake` once.
        wake: What ends the sleep; safe to call from any thread.
        reader: Who sleeps; there can be one.
    """

    __slots__ = ("_lock", "parked", "pending", "reader", "wake")

    def __init__(self) -> None:
        self.pending = False
        self.parked = False
        self.wake: Callable[[], None] = _nothing
        self.reader: object | None = None
        # Reentrant: a signal handler may put while its own thread is in `notify`.
        self._lock = threading.RLock()

    def notify(self) -> None:
        """Note that something waits, and wake a sleeping reader."""
        self.pending = True
        if self.parked:
            # Two threads may come here at once; the reader is woken by one of them.
            with self._lock:
                wakes = self.parked
                self.parked = False
            if wakes:
                self.wake()


def _nothing() -> None:
    return None


class Channel:
    """An unbounded first-in first-out channel.

    Args:
        name: Which of the five it is.
        signal: Told of every message; may be shared by several channels.
    """

    def __init__(self, name: ChannelName, signal: Signal | None = None) -> None:
        self.name = name
        self.signal = signal or Signal()
        self.queue: deque[Any] = deque()
        self.count_out: int = 0
        self.high_water = 0
        self.drops = 0
        self._hops: Histogram | None = None

    def put(self, message: Any) -> None:
        """Append a message; callable from any thread."""
        self.queue.append(message)
        signal = self.signal
        signal.pending = True
        if signal.parked:
            signal.notify()

    def take(self) -> Any:
        """Remove and return the oldest message.

        Raises:
            IndexError: If there is none.
        """
        depth = len(self.queue)
        if depth > self.high_water:
            self.high_water = depth
        message = self.queue.popleft()
        self.count_out += 1
        return message

    def waiting(self) -> list[Any]:
        """Return what waits, oldest first; it goes on waiting."""
        return list(self.queue)

    def drop_waiting(self) -> int:
        """Drop what waits and return how many messages that were; they are counted in `drops`."""
        dropped = 0
        # One by one: another thread may put meanwhile.
        while self.queue:
            self.queue.popleft()
            dropped += 1
        self.drops += dropped
        return dropped

    @property
    def depth(self) -> int:
        """Return how many messages wait."""
        return len(self.queue)

    @property
    def count_in(self) -> int:
        """Return how many messages were put."""
        return self.count_out + len(self.queue) + self.drops

    def statistics(self) -> ChannelStatistics:
        """Return the counters as they are now."""
        depth = len(self.queue)
        return ChannelStatistics(
            name=self.name.value,
            count_in=self.count_out + depth + self.drops,
            count_out=self.count_out,
            depth=depth,
            high_water=max(self.high_water, depth),
            oldest_age_ns=self._oldest_age_ns(),
            drops=self.drops,
            hop_p50_ns=self._hops and self._hops.quantile(0.5),
            hop_p99_ns=self._hops and self._hops.quantile(0.99),
        )

    def _oldest_age_ns(self) -> int | None:
        return None

    def __repr__(self) -> str:
        """Return its kind and name, and how many messages came, went and wait."""
        return f"<{type(self).__name__} {repr(self.statistics())[1:]}"

    def _repr_html_(self) -> str:
        return statistics_html([self.statistics()])


class TimedChannel(Channel):
    """A channel that also stamps messages and measures put-to-take latency.

    Args:
        name: Which of the five it is.
        signal: Told of every message.
        now: A monotonic clock in nanoseconds.
    """

    def __init__(self, name: ChannelName, signal: Signal, now: Callable[[], int]) -> None:
        super().__init__(name, signal)
        self.hops = self._hops = Histogram()
        self._now = now

    def put(self, message: Any) -> None:
        """Append a message with the time; callable from any thread."""
        self.queue.append((self._now(), message))
        signal = self.signal
        signal.pending = True
        if signal.parked:
            signal.notify()

    def take(self) -> Any:
        """Remove and return the oldest message.

        Raises:
            IndexError: If there is none.
        """
        queue = self.queue
        depth = len(queue)
        if depth > self.high_water:
            self.high_water = depth
        stamp, message = queue.popleft()
        self.count_out += 1
        self.hops.add(self._now() - stamp)
        return message

    def waiting(self) -> list[Any]:
        """Return what waits, oldest first; it goes on waiting."""
        return [stamped[1] for stamped in list(self.queue)]

    def _oldest_age_ns(self) -> int | None:
        try:
            return max(0, self._now() - self.queue[0][0])
        except IndexError:
            return None


_ConflationKey = tuple[type[Any], Any]


class ConflatingChannel(TimedChannel):
    """A bounded channel: once `capacity` messages wait, only the latest per instrument is kept.

    A message of market data that finds an older one of its type and instrument (a bar: of its bar
    type) waiting takes its place; the reader gets a `DataGap` with the number dropped before the
    survivor. Anything else (instruments, responses) is never dropped, nor is the only message of
    an instrument.

    Args:
        name: Which of the five it is; only data events may be conflated.
        signal: Told of every message.
        now: A monotonic clock in nanoseconds.
        capacity: From how many waiting messages on to conflate.
    """

    def __init__(
        self, name: ChannelName, signal: Signal, now: Callable[[], int], capacity: int
    ) -> None:
        super().__init__(name, signal, now)
        if capacity < 1:
            raise ConfigError(f"a bounded channel holds at least 1 message; got {capacity}")
        self.capacity = capacity
        self._lock = threading.Lock()
        self._slots: dict[_ConflationKey, list[Any]] = {}

    def put(self, message: Any) -> None:
        """Append a message, or replace the one of its instrument that waits."""
        key = _conflation_key(message)
        with self._lock:
            slot = self._slots.get(key) if key is not None else None
            if slot is not None and len(self.queue) >= self.capacity:
                slot[1] = message
                slot[2] += 1
                self.drops += 1
                return
            slot = [self._now(), message, 0]
            if key is not None:
                self._slots[key] = slot
            self.queue.append(slot)
        self.signal.notify()

    def drop_waiting(self) -> int:
        """Drop what waits; what was conflated with it has been counted before."""
        with self._lock:
            self._slots.clear()
            return super().drop_waiting()

    def take(self) -> Any:
        """Remove and return the oldest message, or the gap that comes before it.

        Raises:
            IndexError: If there is none.
        """
        with self._lock:
            depth = len(self.queue)
            if depth > self.high_water:
                self.high_water = depth
            slot = self.queue[0]
            stamp, message, dropped = slot
            if dropped:
                slot[2] = 0
                return DataGap(message.instrument_id, dropped, message.ts_event, message.ts_init)
            self.queue.popleft()
            key = _conflation_key(message)
            if key is not None and self._slots.get(key) is slot:
                del self._slots[key]
        self.count_out += 1
        self.hops.add(self._now() - stamp)
        return message


def _conflation_key(message: Any) -> _ConflationKey | None:
    if isinstance(message, (Quote, Trade)):
        return type(message), message.instrument_id
    if isinstance(message, Bar):
        return Bar, message.bar_type
    if isinstance(message, BidAskBar):
        return BidAskBar, message.bid.bar_type
    return None


@dataclass(frozen=True, repr=False)
class Channels:
    """The five channels of one runner, which share a signal."""

    time_events: Channel
    execution_events: Channel
    trading_commands: Channel
    data_commands: Channel
    data_events: Channel

    @staticmethod
    def plain() -> Channels:
        """Return five channels without stamps, as a backtest uses them."""
        signal = Signal()
        return Channels(
            Channel(ChannelName.TIME_EVENTS, signal),
            Channel(ChannelName.EXECUTION_EVENTS, signal),
            Channel(ChannelName.TRADING_COMMANDS, signal),
            Channel(ChannelName.DATA_COMMANDS, signal),
            Channel(ChannelName.DATA_EVENTS, signal),
        )

    @staticmethod
    def timed(now: Callable[[], int], conflate_above: int | None = None) -> Channels:
        """Return five channels that measure latency.

        Args:
            now: A monotonic clock in nanoseconds.
            conflate_above: From how many waiting data events on to keep only the latest of each
                instrument; None keeps everything.
        """
        signal = Signal()
        data: TimedChannel
        if conflate_above is None:
            data = TimedChannel(ChannelName.DATA_EVENTS, signal, now)
        else:
            data = ConflatingChannel(ChannelName.DATA_EVENTS, signal, now, conflate_above)
        return Channels(
            TimedChannel(ChannelName.TIME_EVENTS, signal, now),
            TimedChannel(ChannelName.EXECUTION_EVENTS, signal, now),
            TimedChannel(ChannelName.TRADING_COMMANDS, signal, now),
            TimedChannel(ChannelName.DATA_COMMANDS, signal, now),
            data,
        )

    @property
    def signal(self) -> Signal:
        """Return the signal all five share."""
        return self.time_events.signal

    def __iter__(self) -> Iterator[Channel]:
        """Iterate in the order a runner prefers them."""
        yield self.time_events
        yield self.execution_events
        yield self.trading_commands
        yield self.data_commands
        yield self.data_events

    @property
    def depth(self) -> int:
        """Return how many messages wait in all five."""
        return sum(channel.depth for channel in self)

    def statistics(self) -> list[ChannelStatistics]:
        """Return the counters of all five."""
        return [channel.statistics() for channel in self]

    def __repr__(self) -> str:
        """Return how many messages wait in each."""
        return f"<Channels: {', '.join(f'{c.name.value} {c.depth:,}' for c in self)}>"

    def _repr_html_(self) -> str:
        return statistics_html(self.statistics())

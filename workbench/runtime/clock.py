"""Clocks: the only source of time, with alerts and timers.

A clock hands out `TimeEvent`s through the sender it was given and keeps the callback of each; the
callback runs when the event is handled, not when it falls due. The live clock is sampled once per
handled message, so that all reads within it are equal.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from workbench.model.errors import ConfigError
from workbench.model.events import TimeEvent

TimeCallback = Callable[[TimeEvent], None]
NEVER = 2**63 - 1
"""A due time that never comes."""


class _Timer:
    __slots__ = ("callback", "due", "interval", "name", "stop")

    def __init__(self, name: str, due: int, interval: int, stop: int, callback: TimeCallback):
        self.name = name
        self.due = due
        self.interval = interval
        self.stop = stop
        self.callback = callback


class Clock(ABC):
    """Time in integer nanoseconds since the Unix epoch, UTC, with named alerts and timers.

    Attributes:
        next_due: When the next timer falls due, `NEVER` if there is none.
        changes: How many times a timer was set or cancelled.
    """

    def __init__(self) -> None:
        self.next_due = NEVER
        self.changes = 0
        self._heap: list[tuple[int, int, _Timer]] = []
        self._timers: dict[str, _Timer] = {}
        self._fired: dict[tuple[str, int], list[TimeCallback]] = {}
        self._sequence = 0

    @abstractmethod
    def timestamp_ns(self) -> int:
        """Return the time; within one handled message every read is equal."""

    @abstractmethod
    def sample(self) -> None:
        """Take the time for the message that is handled next."""

    @abstractmethod
    def release(self) -> None:
        """End the last sample: reads outside a handled message see the time go on."""

    def set_alert(self, name: str, at_ns: int, callback: TimeCallback) -> None:
        """Call back once at `at_ns`; at once (as the next time event) if that has passed.

        Raises:
            ConfigError: If a timer of this name is running.
        """
        self._add(_Timer(name, max(at_ns, self.timestamp_ns()), 0, NEVER, callback))

    def set_timer(
        self,
        name: str,
        interval_ns: int,
        callback: TimeCallback,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> None:
        """Call back every `interval_ns`, first one interval after `start_ns` (default: now).

        Args:
            name: Unique among the running timers.
            interval_ns: Positive.
            callback: Takes the `TimeEvent`.
            start_ns: Where the intervals are counted from.
            stop_ns: No event falls due after it.

        Raises:
            ConfigError: If the interval is not positive or a timer of this name is running.
        """
        if interval_ns <= 0:
            raise ConfigError(
                f"timer {name!r}: its interval must be positive; got {interval_ns} ns"
            )
        now = self.timestamp_ns()
        start = now if start_ns is None else start_ns
        due = start + interval_ns
        if due < now:
            due += -(-(now - due) // interval_ns) * interval_ns
        stop = NEVER if stop_ns is None else stop_ns
        if due <= stop:
            self._add(_Timer(name, due, interval_ns, stop, callback))

    def cancel_timer(self, name: str) -> bool:
        """Stop a timer or alert, and drop what it fired that is not handled yet.

        Returns:
            Whether there was anything to stop.
        """
        self.changes += 1
        timer = self._timers.pop(name, None)
        waiting = [key for key in self._fired if key[0] == name]
        for key in waiting:
            del self._fired[key]
        self._refresh()
        return timer is not None or bool(waiting)

    @property
    def timer_names(self) -> list[str]:
        """Return the names of the running timers and alerts, sorted."""
        return sorted(self._timers)

    def fire(self, event: TimeEvent) -> None:
        """Run the callback of a time event; one that was cancelled since does nothing."""
        key = (event.name, event.ts_event)
        callbacks = self._fired.get(key)
        if callbacks is None:
            return
        callback = callbacks.pop(0)
        if not callbacks:
            del self._fired[key]
        callback(event)

    def _add(self, timer: _Timer) -> None:
        if timer.name in self._timers:
            raise ConfigError(
                f"a timer named {timer.name!r} is running; cancel it first or choose another name"
            )
        self.changes += 1
        self._timers[timer.name] = timer
        self._push(timer)
        self._refresh()

    def _push(self, timer: _Timer) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (timer.due, self._sequence, timer))

    def _refresh(self) -> None:
        """Drop cancelled timers from the top of the heap and note when the next one is due."""
        heap = self._heap
        while heap and self._timers.get(heap[0][2].name) is not heap[0][2]:
            heapq.heappop(heap)
        self.next_due = heap[0][0] if heap else NEVER

    def _pop_due(self, ts_init: int | None) -> TimeEvent:
        """Take the next timer's event and set it up again if it repeats."""
        due, _, timer = heapq.heappop(self._heap)
        # An alert may be set anew, for the same time, before its last firing is handled.
        self._fired.setdefault((timer.name, due), []).append(timer.callback)
        again = due + timer.interval
        if timer.interval and again <= timer.stop:
            timer.due = again
            self._push(timer)
        else:
            del self._timers[timer.name]
        self._refresh()
        return TimeEvent(timer.name, due, due if ts_init is None else ts_init)


class SimulatedClock(Clock):
    """A clock that stands still until it is told to advance.

    >>> clock = SimulatedClock(10)
    >>> clock.set_alert("lunch", 12, lambda event: print(event.name, clock.timestamp_ns()))
    >>> while (event := clock.advance(20)) is not None:
    ...     clock.fire(event)
    lunch 12
    >>> clock.timestamp_ns()
    20
    """

    def __init__(self, start_ns: int = 0) -> None:
        super().__init__()
        self.now_ns = start_ns

    def timestamp_ns(self) -> int:
        """Return the simulated time."""
        return self.now_ns

    def sample(self) -> None:
        """Do nothing: simulated time only moves by `advance`."""

    def release(self) -> None:
        """Do nothing: simulated time only moves by `advance`."""

    def advance(self, to_ns: int) -> TimeEvent | None:
        """Move to the next timer due by `to_ns` and return its event, or to `to_ns` and None.

        Time never moves backwards: a `to_ns` in the past leaves it where it is.
        """
        if self.next_due <= to_ns:
            self.now_ns = max(self.now_ns, self.next_due)
            return self._pop_due(None)
        self.now_ns = max(self.now_ns, to_ns)
        return None


class LiveClock(Clock):
    """The wall clock. Its timers fire while it is started on a loop.

    Args:
        emit: Takes each time event when it falls due; the node passes the time events' sender.
    """

    def __init__(self, emit: Callable[[TimeEvent], None]) -> None:
        super().__init__()
        self._emit = emit
        self._sampled = 0
        self._last = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = NEVER

    def timestamp_ns(self) -> int:
        """Return the time; within one handled message every read is equal."""
        return self._sampled or self._read()

    def sample(self) -> None:
        """Take the time for the message that is handled next."""
        self._sampled = self._read()

    def release(self) -> None:
        """End the last sample."""
        self._sampled = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Fire timers on `loop` from now on, and on no other."""
        self.stop()
        self._loop = loop
        self._refresh()

    def stop(self) -> None:
        """Fire no more timers; they are kept."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        self._armed_for = NEVER
        self._loop = None

    def _read(self) -> int:
        # The wall clock may be set back; ours never goes backwards.
        now = time.time_ns()
        if now > self._last:
            self._last = now
        return self._last

    def _refresh(self) -> None:
        super()._refresh()
        if self._loop is None or self.next_due == self._armed_for:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._armed_for = self.next_due
        if self.next_due != NEVER:
            delay_s = max(0, self.next_due - self._read()) / 1e9
            self._handle = self._loop.call_later(delay_s, self._on_due)

    def _on_due(self) -> None:
        self._handle = None
        self._armed_for = NEVER
        now = self._read()
        while self.next_due <= now:
            self._emit(self._pop_due(now))
        self._refresh()

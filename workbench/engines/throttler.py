"""The throttler: at most so many sends in any window of time; the rest waits or is dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from workbench.model.errors import ConfigError
from workbench.model.events import TimeEvent
from workbench.runtime.clock import Clock

T = TypeVar("T")


class RateWindow:
    """Counts sends and knows whether another one fits: `limit` in any window of `interval_ns`.

    Raises:
        ConfigError: If it would allow nothing.

    >>> window = RateWindow(2, 1000)
    >>> [window.admit(now) for now in (0, 1, 2, 1000, 1001)]
    [True, True, False, True, True]
    """

    def __init__(self, limit: int, interval_ns: int) -> None:
        if limit < 1 or interval_ns < 1:
            raise ConfigError(
                f"a rate is at least 1 per at least 1 ns; got {limit} per {interval_ns} ns"
            )
        self.limit = limit
        self.interval_ns = interval_ns
        self._sent: deque[int] = deque()

    def admit(self, now_ns: int, count: int = 1) -> bool:
        """Return whether `count` sends may leave now, and count them if so: all or none."""
        # `has_room` and `count`, written out: every order comes by here.
        sent = self._sent
        horizon = now_ns - self.interval_ns
        while sent and sent[0] <= horizon:
            sent.popleft()
        if len(sent) + count > self.limit:
            return False
        if count == 1:
            sent.append(now_ns)
        else:
            sent.extend([now_ns] * count)
        return True

    def has_room(self, now_ns: int, count: int = 1) -> bool:
        """Return whether `count` sends may leave now, all of them."""
        sent = self._sent
        horizon = now_ns - self.interval_ns
        while sent and sent[0] <= horizon:
            sent.popleft()
        return len(sent) + count <= self.limit

    def count(self, now_ns: int, count: int = 1) -> None:
        """Count sends that leave now."""
        if count == 1:
            self._sent.append(now_ns)
        else:
            self._sent.extend([now_ns] * count)

    def room_at(self, count: int = 1) -> int:
        """Return from when on `count` sends have room if nothing else leaves (0: at once).

        Raises:
            ConfigError: If so many never fit.
        """
        if count > self.limit:
            raise ConfigError(f"{count} at once never fit into a rate of {self.limit}")
        in_the_way = len(self._sent) + count - self.limit
        return 0 if in_the_way <= 0 else self._sent[in_the_way - 1] + self.interval_ns


class Throttler(Generic[T]):
    """Sends messages at no more than a rate, in the order they came.

    Without `drop`, what is beyond the rate waits, first-in first-out, and a timer on the clock
    releases it; with it, it is dropped to that handler at once.

    Args:
        name: Names its timer; unique on the clock.
        limit: At most so many in any window of `interval_ns`.
        interval_ns: The window.
        clock: For the time, and the timer.
        send: Takes what may leave.
        drop: Takes what may not.
        release: Takes what has waited, in place of `send`; returns whether it left. What did not
            leave counts for nothing.

    >>> from workbench.runtime.clock import SimulatedClock
    >>> clock, sent = SimulatedClock(), []
    >>> throttler = Throttler("demo", 2, 1000, clock, sent.append)
    >>> for word in ("one", "two", "three"):
    ...     throttler.put(word)
    >>> sent, len(throttler)
    (['one', 'two'], 1)
    >>> clock.fire(clock.advance(1000))
    >>> sent
    ['one', 'two', 'three']
    """

    def __init__(
        self,
        name: str,
        limit: int,
        interval_ns: int,
        clock: Clock,
        send: Callable[[T], None],
        drop: Callable[[T], None] | None = None,
        release: Callable[[T], bool] | None = None,
    ) -> None:
        self.window = RateWindow(limit, interval_ns)
        self._name = name
        self._clock = clock
        self._send = send
        self._drop = drop
        self._release = release
        self._waiting: deque[tuple[T, int]] = deque()
        self._is_armed = False

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._waiting)

    def put(self, message: T, count: int = 1) -> None:
        """Send a message that counts as `count` sends, keep it, or drop it: all of it or nothing.

        Raises:
            ConfigError: If so many never fit into the rate, and there is no handler for drops.
        """
        if not self._waiting and self.window.admit(self._clock.timestamp_ns(), count):
            self._send(message)
        elif self._drop is not None:
            self._drop(message)
        else:
            self.wait(message, count)

    def wait(self, message: T, count: int = 1) -> None:
        """Keep a message until it may leave, though others are dropped.

        Raises:
            ConfigError: If so many never fit into the rate.
        """
        self.window.room_at(count)
        self._waiting.append((message, count))
        self._arm()

    def withdraw(self, is_meant: Callable[[T], bool]) -> list[T]:
        """Take out what waits and is meant, oldest first; it will not be sent."""
        taken = [message for message, _ in self._waiting if is_meant(message)]
        if taken:
            self._waiting = deque(one for one in self._waiting if not is_meant(one[0]))
            self._disarm()
            self._arm()
        return taken

    def _arm(self) -> None:
        if self._is_armed or not self._waiting:
            return
        self._is_armed = True
        at_ns = self.window.room_at(self._waiting[0][1])
        self._clock.set_alert(self._name, at_ns, self._on_alert)

    def _disarm(self) -> None:
        if self._is_armed:
            self._is_armed = False
            self._clock.cancel_timer(self._name)

    def _on_alert(self, _: TimeEvent) -> None:
        self._is_armed = False
        try:
            while self._waiting and self._release_next(self._clock.timestamp_ns()):
                pass
        finally:
            self._arm()

    def _release_next(self, now_ns: int) -> bool:
        message, count = self._waiting[0]
        if not self.window.has_room(now_ns, count):
            return False
        self._waiting.popleft()
        if self._release is None:
            self.window.count(now_ns, count)
            self._send(message)
        elif self._release(message):
            self.window.count(now_ns, count)
        return True

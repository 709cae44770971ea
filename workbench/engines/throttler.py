"""The throttler: at most so many sends in any window of time."""

from __future__ import annotations

from collections import deque

from workbench.model.errors import ConfigError


class Throttler:
    """Admits at most `limit` sends in any window of `interval_ns`.

    >>> throttler = Throttler(2, 1000)
    >>> [throttler.admit(now) for now in (0, 1, 2, 1000, 1001)]
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
        sent = self._sent
        horizon = now_ns - self.interval_ns
        while sent and sent[0] <= horizon:
            sent.popleft()
        if len(sent) + count > self.limit:
            return False
        sent.extend([now_ns] * count)
        return True

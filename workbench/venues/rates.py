"""The venue's rate limits, kept on our side."""

from __future__ import annotations

from collections.abc import Iterable

from workbench.engines.throttler import RateWindow
from workbench.venues.plugin import RateLimit

_RESERVED = 10  # one in so many is kept for cancels


class Rates:
    """Counts requests against every limit at once.

    Of each limit a tenth, one at least, is kept for what is urgent: cancels get through while
    orders wait. A limit of one has nothing to keep.

    Args:
        limits: The venue's.

    >>> rates = Rates([RateLimit(count=2, interval_s=1.0)])
    >>> [rates.admit(0, is_order=True), rates.admit(0, is_order=True)]
    [0, 1000000000]
    >>> rates.admit(0, is_order=False, is_urgent=True)
    0
    """

    def __init__(self, limits: Iterable[RateLimit]) -> None:
        self._windows = [
            (limit, RateWindow(limit.count, round(limit.interval_s * 1e9))) for limit in limits
        ]
        self._blocked_until = 0

    def admit(self, now_ns: int, *, is_order: bool, is_urgent: bool = False) -> int:
        """Count a request that leaves now, and return 0; or return how long it must wait, in ns.

        Args:
            now_ns: The time, of any clock that goes forward.
            is_order: Whether it is a submit or a modification.
            is_urgent: Whether it may use what is kept for cancels.
        """
        wait = max(0, self._blocked_until - now_ns)
        concerned = [w for limit, w in self._windows if is_order or not limit.orders_only]
        for window in concerned:
            kept = 0 if is_urgent else _kept(window.limit)
            if not window.has_room(now_ns, 1 + kept):
                wait = max(wait, window.room_at(1 + kept) - now_ns)
        if wait > 0:
            return wait
        for window in concerned:
            window.count(now_ns)
        return 0

    def block(self, until_ns: int) -> None:
        """Let nothing leave until then, as the venue asked for."""
        self._blocked_until = max(self._blocked_until, until_ns)


def _kept(limit: int) -> int:
    return min(limit - 1, max(1, limit // _RESERVED))

"""Forget what is closed while a node runs, so that one that runs for months stays as it was."""

from __future__ import annotations

from collections.abc import Callable

from workbench.model.events import TimeEvent
from workbench.trading.core import TradingCore

ALERT = "node:purge"
_MOST_OFTEN_NS, _LEAST_OFTEN_NS = 1_000_000_000, 60_000_000_000


def purge_regularly(
    core: TradingCore, after_s: float, tell: Callable[[int], None] | None = None
) -> None:
    """Have a core forget orders and positions `after_s` seconds after their end.

    It looks ten times in that time, at most once a second and at least once a minute.

    Args:
        core: Which.
        after_s: How long after their end.
        tell: Told first: what was closed before this time, nanoseconds, is forgotten now.
    """
    after_ns = int(after_s * 1e9)

    interval_ns = min(max(after_ns // 10, _MOST_OFTEN_NS), _LEAST_OFTEN_NS)

    def purge(event: TimeEvent) -> None:
        if tell is not None:
            tell(event.ts_init - after_ns)
        core.purge(event.ts_init - after_ns)
        arm()

    def arm() -> None:
        # One alert after another: a timer would make up for all the time before the node runs.
        core.clock.set_alert(ALERT, core.clock.timestamp_ns() + interval_ns, purge)

    arm()

"""Simulated time: the clock moves when a data event is taken; timers that are due fire first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.model.events import TimeEvent
from workbench.runtime.clock import NEVER, SimulatedClock


class SimulatedTime:
    """Moves a simulated clock along with the data.

    Args:
        clock: The clock.
        send: Takes each time event as it falls due.
        drain: Handles it, and all it causes, before the next.
    """

    def __init__(
        self, clock: SimulatedClock, send: Callable[[TimeEvent], None], drain: Callable[[], object]
    ) -> None:
        self._clock = clock
        self._send = send
        self._drain = drain

    def advance(self, to_ns: int) -> None:
        """Fire every timer due by `to_ns`, in order, then set the clock to it."""
        while (event := self._clock.advance(to_ns)) is not None:
            self._send(event)
            self._drain()

    def run_on(self, is_awaited: Callable[[], bool]) -> None:
        """Let time go on after the data's end, from timer to timer, while something is awaited."""
        while is_awaited() and self._clock.next_due != NEVER:
            self.advance(self._clock.next_due)

    def see(self, event: Any) -> None:
        """Advance to a data event that was taken."""
        self.advance(event.ts_init)

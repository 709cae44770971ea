"""Handling what waits while no pump runs: before it at start-up, and after it at the end."""

from __future__ import annotations

import time
from collections.abc import Callable

from workbench.node.faults import FAILURES
from workbench.runtime.dispatch import Dispatcher
from workbench.runtime.handling import Handling


class Draining:
    """Handles messages of one session, for as long as each of its phases allows.

    Args:
        dispatcher: What handles the messages.
        handling: Marks where that is done.
        budget_s: Seconds to handle messages at once where others wait for their turn.
        before_slice: Called before each such slice.
        note: Takes the failures that do not keep the rest from being handled.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        handling: Handling,
        budget_s: float,
        before_slice: Callable[[], None],
        note: Callable[[BaseException], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._handling = handling
        self._budget_ns = int(budget_s * 1e9)
        self._before_slice = before_slice
        self._note = note

    def flush_slice(self) -> bool:
        """Handle data events, then data commands, then the rest; return whether there may be more.

        All for one budget of time. What fails comes out.
        """
        self._before_slice()
        with self._handling:
            more = self._dispatcher.flush_slice(self._budget_ns, time.perf_counter_ns)
            return more or self._dispatcher.drain()

    def drain(self) -> bool:
        """Handle everything but data events; return whether messages may still wait."""
        with self._handling:
            return self._dispatcher.drain()

    def run_slice(self) -> bool:
        """Handle what waits for one budget of time; return whether there may be more."""
        self._before_slice()
        try:
            with self._handling:
                return self._dispatcher.run_slice(self._budget_ns, time.perf_counter_ns)
        except FAILURES as error:
            self._note(error)
            return True

    def limit(self, limit_s: float) -> None:
        """Handle at most so long at once, whatever a strategy answers to each answer it gets."""
        end = time.monotonic() + limit_s  # the loop's own clock stands still meanwhile
        self._dispatcher.limit(lambda: time.monotonic() >= end)

    def keep_on(self, handle: Callable[[], object]) -> None:
        """Handle messages; one that fails does not keep the rest from being handled."""
        while True:
            try:
                with self._handling:
                    handle()
                return
            except FAILURES as error:
                self._note(error)

"""The loop watch: a thread that notices when a loop is kept from running, and for how long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from workbench.model.errors import ConfigError


class LoopWatch:
    """Measures each stall of a loop.

    A thread sends the loop a beat every `interval_s`. Whatever runs on the loop first after a
    stall, the beat or the owner's `check`, reports it, before anything that queued up meanwhile
    is handled.

    Args:
        loop: The loop to watch; `check` and `on_stall` run on its thread.
        on_stall: Told the length of each stall, in nanoseconds, to `interval_s` exactly.
        now: A monotonic clock in nanoseconds.
        threshold_s: From how long on a wait is a stall.
        interval_s: How often to look.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_stall: Callable[[int], None],
        now: Callable[[], int],
        *,
        threshold_s: float = 0.25,
        interval_s: float = 0.05,
    ) -> None:
        if threshold_s <= 0 or interval_s <= 0:
            raise ConfigError("the loop watch's threshold and interval must be positive")
        self._loop = loop
        self._on_stall = on_stall
        self._now = now
        self._threshold_ns = int(threshold_s * 1e9)
        self._interval_s = interval_s
        self._interval_ns = int(interval_s * 1e9)
        self._sent = 0
        self._alive = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, name="workbench-loop-watch", daemon=True
        )

    def start(self) -> None:
        """Begin to watch."""
        self._alive = self._now()
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._alive = 0
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    @property
    def stalled_for_ns(self) -> int:
        """Return how long the loop has not answered; readable from any thread."""
        sent = self._sent
        return self._now() - sent if sent else 0

    def check(self) -> None:
        """Report a stall that has just ended; called on the loop's thread."""
        if not self._alive:
            return
        now = self._now()
        # What held the loop may have held the interpreter, and the thread with it: then the beat
        # came late or not at all, so the time it was due counts.
        due = self._alive + self._interval_ns
        waited = now - min(self._sent or due, due)
        self._alive = now
        if waited >= self._threshold_ns:
            self._sent = 0
            self._on_stall(waited)

    def _beat(self) -> None:
        self.check()
        self._sent = 0

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            if self._sent:
                continue
            self._sent = self._now()
            try:
                self._loop.call_soon_threadsafe(self._beat)
            except RuntimeError:
                # The loop was closed: there is nothing left to watch.
                return

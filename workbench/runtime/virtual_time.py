"""A loop whose time is virtual: it jumps to the next timer as soon as nothing else is to be done.

An hour of waiting takes no time and every run is alike, as long as only tasks and timers of the
loop are waited for: no sockets, no threads.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from workbench.model.errors import RunnerError
from workbench.model.events import TimeEvent
from workbench.runtime.clock import LiveClock

_T = TypeVar("_T")

START_NS = 1_767_225_600_000_000_000
"""2026-01-01, where virtual time begins."""


class _JumpingSelector(selectors.SelectSelector):
    """Waits for nothing: it tells the loop how long it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.jump: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RunnerError(
                "virtual time stands still: every task waits for something that no task or timer"
                " will bring about"
            )
        if not ready and timeout:
            self.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits; `time` begins at 0."""

    def __init__(self) -> None:
        self._now_s = 0.0
        selector = _JumpingSelector()
        selector.jump = self._jump
        super().__init__(selector)

    def _jump(self, by_s: float) -> None:
        self._now_s += by_s

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now_s


class VirtualClock(LiveClock):
    """The clock of a virtual loop: its time is the loop's, counted from `START_NS`.

    Args:
        loop: The loop.
        emit: Takes each time event when it falls due.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, emit: Callable[[TimeEvent], None] = lambda _: None
    ) -> None:
        super().__init__(emit)
        self._virtual = loop

    def _read(self) -> int:
        return START_NS + round(self._virtual.time() * 1e9)


def run_virtual(work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on a virtual loop of its own, to its end.

    >>> async def nap() -> float:
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> run_virtual(nap())
    3600.0
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)

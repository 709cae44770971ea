"""Running a coroutine inside a running loop: for a cell that cannot await."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")


def run_nested(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine on a loop that is running in this thread; return its result.

    `nest-asyncio2` is applied, which cannot be undone and slows the loop somewhat.

    Args:
        loop: The running loop.
        work: What to run.

    Raises:
        KeyboardInterrupt: If it was interrupted: `work` was cancelled, other tasks go on.
    """
    import nest_asyncio2  # pyright: ignore[reportMissingTypeStubs]

    nest_asyncio2.apply(loop)  # pyright: ignore[reportUnknownMemberType]
    ready: Sequence[Any] = getattr(loop, "_ready", ())
    counted = len(ready)
    task = loop.create_task(work)
    try:
        with _interrupting(lambda: loop.call_soon_threadsafe(task.cancel)) as interrupts:
            try:
                return loop.run_until_complete(task)
            except asyncio.CancelledError:
                if not interrupts:
                    raise
        raise KeyboardInterrupt("the wait was broken off; what was waited for goes on")
    finally:
        # A loop that was not patched when it began its batch of callbacks still counts on those
        # that were handled in here, and would fail ("pop from an empty deque").
        for _ in range(counted - len(ready)):
            loop.call_soon(_nothing)


@contextmanager
def _interrupting(cancel: Callable[[], object]) -> Generator[list[int]]:
    """Let an interrupt cancel the wait: raised wherever the loop is, it would kill some task."""
    interrupts: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def interrupt(number: int, _: Any) -> None:
        interrupts.append(number)
        cancel()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def _nothing() -> None:
    """Be a callback that does nothing."""

"""Tasks with an owner: none is forgotten, and what one raises is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class OwnedTasks:
    """The tasks of one client.

    Args:
        owner: Names them.
        on_failure: Told what a task was doing, and what it raised.
    """

    def __init__(self, owner: str, on_failure: Callable[[str, Exception], None]) -> None:
        self._owner = owner
        self._on_failure = on_failure
        self._tasks: dict[asyncio.Task[None], str] = {}

    def __len__(self) -> int:
        """Return how many are running."""
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        """Start a task; `what` says what it does."""
        task = asyncio.get_running_loop().create_task(work, name=f"workbench {self._owner} {what}")
        self._tasks[task] = what
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        what = self._tasks.pop(task, "")
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._on_failure(what, error)

    async def close(self, timeout_s: float) -> list[str]:
        """Cancel all tasks and wait for them; return what those that do not end were doing."""
        tasks = {task: what for task, what in self._tasks.items() if not task.done()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        return [what for task, what in tasks.items() if not task.done()]


def is_cancelled() -> bool:
    """Return whether the running task is being cancelled, by its owner and not from within."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

"""The tasks of one session: whose they are, what ends them, and what is heard of their failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from workbench.model.errors import WorkbenchError
from workbench.node.faults import Client, client_error
from workbench.node.waiting import Deadline, end_tasks, wait_until
from workbench.runtime.runner import AsyncRunnerHandle
from workbench.trading.core import TradingCore
from workbench.venues.tasks import is_cancelled

_log = logging.getLogger(__name__)


class SessionTasks:
    """A core's lanes, its data clients' streams, the pump, and what else a session starts.

    Args:
        core: Whose lanes and data clients run.
        stop: Tells whether a stop was asked for.
        note: Takes what a task failed with.
        deadline: Returns until when tasks are waited for that are to end now.
    """

    def __init__(
        self,
        core: TradingCore,
        stop: AsyncRunnerHandle,
        note: Callable[[BaseException], None],
        deadline: Callable[[], Deadline],
    ) -> None:
        self._core = core
        self._stop = stop
        self._note = note
        self._deadline = deadline
        self._own: set[asyncio.Task[Any]] = set()
        self._streams: dict[asyncio.Task[None], Client] = {}
        self._lanes: list[asyncio.Task[None]] = []

    @property
    def is_inside(self) -> bool:
        """Return whether this is called from one of these tasks, by a callback say."""
        try:
            return asyncio.current_task() in self._own
        except RuntimeError:
            return False

    def adopt_current(self) -> None:
        """Take the task that runs here for one of these."""
        current = asyncio.current_task()
        if current is not None:
            self._own.add(current)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task."""
        task = asyncio.create_task(work, name=f"workbench {name}")
        self._own.add(task)
        task.add_done_callback(self._own.discard)
        return task

    def forget(self) -> None:
        """Take no task for one of these any more."""
        self._own.clear()

    def begin(self) -> None:
        """Start lanes and streams."""
        core = self._core
        self._lanes = [self.spawn(lane.run(), f"lane {lane.name.value}") for lane in core.lanes]
        self._streams = {self.spawn(c.run(), f"stream {c.client_id}"): c for c in core.data.clients}

    async def run(self, work: Coroutine[Any, Any, None], has_failed: Callable[[], bool]) -> None:
        """Run the pump until a stop or the first failure, also of a stream.

        Args:
            work: Moves the messages.
            has_failed: Tells whether anything was noted.
        """
        pump = self.spawn(work, "pump")
        waiting: set[asyncio.Task[None]] = {pump, *self._streams}
        try:
            while not pump.done() and not has_failed():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if pump in done:
                    self._note_pump(pump)
                self._note_ended(done)
        finally:
            if not pump.done():
                await end_tasks([pump], self._deadline())
            else:
                self._note_pump(pump)

    def _note_pump(self, pump: asyncio.Task[None]) -> None:
        """Note how the pump ended, if it has; a strategy's failure comes before a stream's."""
        if pump.cancelled():
            if not self._stop.is_stopped and not is_cancelled():
                self._note(WorkbenchError("a callback broke off the handling of messages"))
        elif pump.done() and (error := pump.exception()) is not None:
            self._note(error)

    def _note_ended(self, tasks: set[asyncio.Task[None]]) -> None:
        for task in [task for task in self._streams if task in tasks]:
            client = self._streams.pop(task)
            if task.cancelled():
                self._note(client_error(client, "broke off its stream"))
            elif (error := task.exception()) is not None:
                self._note(client_error(client, "failed while streaming", error))

    async def end_streams(self) -> list[str]:
        """End the streams; return which did not end, a sentence each."""
        problems: list[str] = []
        pending = await end_tasks(self._streams, self._deadline())
        for task, client in self._streams.items():
            if task in pending:
                problem = f"{client.client_id} did not end its stream"
                problems.append(problem)
                _log.error(problem)
            elif not task.cancelled() and (error := task.exception()) is not None:
                self._note(client_error(client, "failed while streaming", error))
        self._streams = {}
        return problems

    async def end_lanes(self) -> None:
        """Close the lanes, and wait for their tasks."""
        self._core.lanes.close()
        await wait_until(self._lanes, self._deadline())

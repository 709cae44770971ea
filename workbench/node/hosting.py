"""Where a session runs: in the loop that runs here, in one of its own, or on its own thread."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from decimal import localcontext
from typing import Any, TypeVar

from workbench.model.errors import ThreadError, WorkbenchError
from workbench.model.money import MONEY_CONTEXT
from workbench.node.session import Session
from workbench.node.signals import stopping_on_signals
from workbench.node.waiting import call_on, retrieve, wait_for
from workbench.runtime.switching import quick_switching

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_BEGIN_S = 10.0
_LOOK_S = 0.002


class Host:
    """Gives a session a loop, waits for its end, and reaches into it from other threads.

    Args:
        session: What runs.
        name: For the thread and the task.
        finish: Called on the session's thread when it has ended, once at least.

    Attributes:
        stopped: Set by `finish`, when there is nothing more to wait for.
    """

    def __init__(self, session: Session, name: str, finish: Callable[[], None]) -> None:
        self.stopped = threading.Event()
        self._session = session
        self._name = name
        self._finish = finish
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    # Running

    def run_embedded(self) -> None:
        """Start a task in the loop that runs here, and return at once."""
        self._attach()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(), name=f"workbench {self._name}")
        self._task.add_done_callback(self._on_task_done)

    async def run_here(self) -> None:
        """Run in the loop that runs here, to completion."""
        self._attach()
        await self._run()

    def run_standalone(self) -> None:
        """Run in a loop of its own, to completion; signals stop it."""
        try:
            with stopping_on_signals(self._stop_on_signal):
                self._run_to_completion()
        finally:
            self._finish()

    def run_on_thread(self) -> None:
        """Run in a loop on a thread of its own; return when it has begun."""
        self._thread = threading.Thread(
            target=self._run_in_thread, name=f"workbench {self._name}", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None
            self._finish()
            raise
        self._session.begun.wait(_BEGIN_S)

    def _attach(self) -> None:
        """Tie the session to the loop that runs here, before its task has begun."""
        session = self._session
        session.loop, session.thread = asyncio.get_running_loop(), threading.get_ident()

    async def _run(self) -> None:
        try:
            await self._session.run()
        finally:
            self._finish()

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        retrieve(task)
        # Cancelled before it had begun, it could not finish by itself.
        self._finish()

    def _run_to_completion(self) -> None:
        # Not `asyncio.run`: where nest_asyncio2 was applied that one leaves its loop open.
        with asyncio.Runner() as runner:
            runner.run(self._run())

    def _run_in_thread(self) -> None:
        try:
            # From the start on: connecting, too, must not hold up the threads beside it.
            with quick_switching():
                self._run_to_completion()
        finally:
            self._finish()

    def _stop_on_signal(self, signal_name: str) -> None:
        # Inside a signal handler: nothing here takes a lock.
        session = self._session
        loop = session.loop
        if loop is None or loop.is_closed():
            session.request_stop()
        else:
            loop.call_soon_threadsafe(_log.info, "stopping on %s", signal_name)
            loop.call_soon_threadsafe(session.request_stop)

    # Waiting

    def wait(self, timeout_s: float) -> None:
        """Wait until it has stopped; its tasks go on meanwhile.

        Raises:
            WorkbenchError: If it has not by then.
        """
        session = self._session
        loop = session.loop
        if self.stopped.is_set():
            return
        if loop is None or session.thread != threading.get_ident():
            self.stopped.wait(timeout_s)
        else:
            with suppress(ThreadError):
                wait_for(self._until_stopped, loop, timeout_s)
        if not self.stopped.is_set():
            stalled_s = session.stalled_for_ns / 1e9
            raise WorkbenchError(
                f"the node did not stop within {timeout_s:g} s (phase: {session.phase.value}, its"
                f" loop has not answered for {stalled_s:.1f} s); it goes on stopping"
            )

    async def wait_async(self) -> None:
        """Wait until it has stopped and its thread, if it had one, has ended."""
        await self._until_stopped()
        while self._thread is not None and self._thread.is_alive():
            await asyncio.sleep(_LOOK_S)

    async def _until_stopped(self) -> None:
        while not self.stopped.is_set():
            await asyncio.sleep(_LOOK_S)

    def join(self, timeout_s: float) -> None:
        """Wait for the end of its thread, if it had one."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    # Reaching in

    def call(self, function: Callable[[], _T], timeout_s: float) -> _T:
        """Call on the session's thread where it runs, here where it does not.

        Raises:
            ThreadError: If its loop does not answer in time.
        """
        session = self._session
        loop = session.loop
        if loop is None or session.thread == threading.get_ident():
            return exactly(function)
        while not self.stopped.is_set():
            try:
                return call_on(loop, lambda: exactly(function), timeout_s)
            except ThreadError:
                # Where it stopped meanwhile, its loop runs nothing any more.
                if not self.stopped.is_set():
                    raise
        return exactly(function)

    def run_for(self, make: Callable[[], Coroutine[Any, Any, _T]], timeout_s: float) -> _T:
        """Run a coroutine on the session's loop, and wait for its result.

        Raises:
            ThreadError: If it takes longer, or the loop is closed.
        """
        session = self._session
        loop = session.loop
        if loop is None:
            raise ThreadError("the node does not run")
        if session.thread == threading.get_ident():
            return wait_for(make, loop, timeout_s)
        future = asyncio.run_coroutine_threadsafe(make(), loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise ThreadError(f"the node did not answer within {timeout_s:g} s") from None
        except KeyboardInterrupt:
            future.cancel()  # as where it runs here
            raise

    async def run_for_async(self, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run a coroutine on the session's loop, and await its result here."""
        session = self._session
        if session.loop is None or session.thread == threading.get_ident():
            return await make()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(make(), session.loop))

    @property
    def has_thread(self) -> bool:
        """Return whether it was given a thread of its own."""
        return self._thread is not None

    @property
    def has_lost_loop(self) -> bool:
        """Return whether the loop was closed before it had stopped."""
        loop = self._session.loop
        return loop is not None and loop.is_closed() and not self.stopped.is_set()

    @property
    def loop_state(self) -> str:
        """Return what became of its loop."""
        loop = self._session.loop
        if loop is None:
            return "never run"
        return "closed" if loop.is_closed() else "the host's, open"


def exactly(function: Callable[[], _T]) -> _T:
    """Call with the decimal context that the node computes in, whatever the caller's is."""
    with localcontext(MONEY_CONTEXT):
        return function()

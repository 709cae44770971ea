"""Waiting: for tasks within a time, and for a coroutine from code that cannot await."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

from workbench.model.errors import LifecycleError, ThreadError
from workbench.node.nesting import run_nested

_T = TypeVar("_T")
_LOOK_S = 0.05
_TURN_S = 0.001

Deadline = Callable[[], float]
"""Tells, by the running loop's clock, when to wait no longer; it may be brought forward."""


def at_once() -> float:
    """Be a deadline that has passed: tasks get one turn."""
    return 0.0


def is_loop_running() -> bool:
    """Return whether a loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def wait_until(
    tasks: Iterable[asyncio.Task[Any]], deadline: Deadline
) -> set[asyncio.Task[Any]]:
    """Wait for tasks, each of which gets at least one turn; return those that are not done."""
    pending = {task for task in tasks if not task.done()}
    now = asyncio.get_running_loop().time
    turns = 0
    while pending and (not turns or now() < deadline()):
        left_s = min(deadline() - now(), _LOOK_S)
        _, pending = await asyncio.wait(pending, timeout=max(left_s, _TURN_S))
        turns += 1
    return pending


async def end_tasks(
    tasks: Iterable[asyncio.Task[Any]], deadline: Deadline
) -> set[asyncio.Task[Any]]:
    """Cancel tasks and wait for them; return those that have not ended by then."""
    ended = list(tasks)
    for task in ended:
        task.add_done_callback(retrieve)
        task.cancel()
    return await wait_until(ended, deadline)


def retrieve(task: asyncio.Task[Any]) -> None:
    """Take a task's exception, so that it is not reported in some later cell."""
    if not task.cancelled():
        task.exception()


def wait_for(
    make: Callable[[], Coroutine[Any, Any, _T]], loop: asyncio.AbstractEventLoop, timeout_s: float
) -> _T:
    """Run a coroutine on a loop of this thread and wait for its result.

    Inside a running cell this is a nested run: `nest-asyncio2` is applied, which cannot be undone
    and slows the loop somewhat. Where you can, await instead.

    Args:
        make: Makes the coroutine.
        loop: The node's loop, which runs in this thread or stands still.
        timeout_s: How long to wait.

    Raises:
        ThreadError: If it takes longer, or the loop is closed.
        LifecycleError: If another loop runs in this thread.
    """
    if loop.is_closed():
        raise _closed()

    async def limited() -> _T:
        task = asyncio.ensure_future(make())
        end = loop.time() + timeout_s
        try:
            if await wait_until([task], lambda: end):
                raise _no_answer(timeout_s)
            return task.result()
        finally:
            if not task.done():
                await end_tasks([task], at_once)

    if loop.is_running():
        return run_nested(loop, limited())
    if is_loop_running():
        raise LifecycleError(
            "the node's loop stands still while another one runs on its thread; nothing can be"
            " waited for here"
        )
    return loop.run_until_complete(limited())


def call_on(loop: asyncio.AbstractEventLoop, function: Callable[[], _T], timeout_s: float) -> _T:
    """Call a function on a loop of another thread and wait for its result.

    What is given up has not been done and never will be: an order, say, is not sent later.

    Args:
        loop: The node's loop.
        function: Takes nothing; what it raises comes out here.
        timeout_s: How long to wait for it to begin.

    Raises:
        ThreadError: If the loop does not answer in time, or is closed.
    """
    answer: Future[_T] = Future()

    def reach() -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(function())
        except BaseException as error:
            answer.set_exception(error)

    try:
        loop.call_soon_threadsafe(reach)
    except RuntimeError:
        raise _closed() from None
    end = time.monotonic() + timeout_s
    while True:
        try:
            return answer.result(min(_LOOK_S, max(0.0, end - time.monotonic())))
        except TimeoutError:
            if answer.done():
                return answer.result()  # a TimeoutError of its own
        except KeyboardInterrupt:
            answer.cancel()
            raise
        # A closed loop runs nothing any more. What has begun is waited for: it has been done.
        is_closed = loop.is_closed()
        if (is_closed or time.monotonic() >= end) and answer.cancel():
            raise _closed() if is_closed else _no_answer(timeout_s)


def _closed() -> ThreadError:
    return ThreadError("the node's loop is closed")


def _no_answer(timeout_s: float) -> ThreadError:
    return ThreadError(f"the node's loop did not answer within {timeout_s:g} s")

"""Waiting for a coroutine from code that cannot await: a cell, a magic, a function."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from workbench.model.errors import LifecycleError, ThreadError

_T = TypeVar("_T")


def is_loop_running() -> bool:
    """Return whether a loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def wait_for(
    make: Callable[[], Coroutine[Any, Any, _T]],
    loop: asyncio.AbstractEventLoop,
    thread: int,
    timeout_s: float,
) -> _T:
    """Run a coroutine on a node's loop and wait for its result.

    On the loop's own thread, inside a running cell, this is a nested run: `nest-asyncio2` is
    applied, which cannot be undone and slows the loop somewhat. Where you can, await instead.

    Args:
        make: Makes the coroutine.
        loop: The node's loop.
        thread: The ident of the thread it runs on.
        timeout_s: How long to wait from another thread.

    Raises:
        ThreadError: If another thread's loop does not answer in time.
    """
    if threading.get_ident() != thread:
        future = asyncio.run_coroutine_threadsafe(make(), loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            if not future.cancel():
                raise
            raise ThreadError(f"the node's loop did not answer within {timeout_s:g} s") from None
    if not loop.is_running():
        raise LifecycleError("the node's loop is not running; nothing can be waited for")
    import nest_asyncio2

    nest_asyncio2.apply(loop)
    return loop.run_until_complete(make())

"""Waiting for what comes by itself: guarded against hanging, with no test decided by how long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import workbench as wb

GUARD_S = 120.0  # far above what anything here takes on a machine that is busy with other things


async def until(
    condition: Callable[[], object], node: wb.TradingNode | None = None, *, what: str = ""
) -> None:
    """Wait until something holds, and no longer than a node that is given is there."""
    end = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < end, f"it never came to be: {what or condition}"
        assert node is None or node.state in ("BUILT", "RUNNING"), node.fault
        await asyncio.sleep(0.001)


def until_blocking(condition: Callable[[], object]) -> None:
    """Wait until something holds, on a thread without a loop."""
    end = time.monotonic() + GUARD_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"it never came to be: {condition}"
        pause.wait(0.002)


async def until_running(node: wb.TradingNode) -> None:
    """Wait until a node's phase is `running`."""
    await until(lambda: node.phase == "running", what="running")

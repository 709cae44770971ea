"""A graceful stop when the kernel is shut down or restarted."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from typing import Any

from workbench.node import TradingNode, nodes
from workbench.runtime.lifecycle import NodeState

_log = logging.getLogger(__name__)

# The server kills a kernel 2.5 s after its request.
LIMIT_S = 1.5
_LOOK_S = 0.01


class GracefulShutdown:
    """Wraps a kernel's `do_shutdown`, so that nodes stop before it ends.

    Args:
        kernel: The running kernel, or None in a terminal.
    """

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._original: Any = None

    def install(self) -> None:
        """Wrap it."""
        if self._kernel is None:
            return
        original = self._original = self._kernel.do_shutdown

        async def do_shutdown(restart: bool) -> Any:
            await stop_all()
            reply = original(restart)
            return await reply if inspect.isawaitable(reply) else reply

        self._kernel.do_shutdown = do_shutdown

    def remove(self) -> None:
        """Put the original back."""
        if self._original is not None:
            # Ours hid the class's own method.
            self._kernel.__dict__.pop("do_shutdown", None)
            self._original = None


async def stop_all(limit_s: float = LIMIT_S) -> list[TradingNode]:
    """Stop every running node within one common limit; return those that did not.

    It may run on another thread than the nodes: a kernel takes shutdown requests on one of its own.
    """
    going = [n for n in nodes() if n.state in (NodeState.RUNNING, NodeState.STOPPING)]
    for node in going:
        if node.state is NodeState.RUNNING:
            node.request_stop()
    deadline = time.monotonic() + limit_s
    while any(n.state is not NodeState.STOPPED for n in going) and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_S)
    left = [node for node in going if node.state is not NodeState.STOPPED]
    for node in left:
        _log.error("the kernel ends before this node has stopped: %r", node)
    for node in going:
        for line in node.left_open:
            _log.warning("left open by %s: %s", node.config.trader_id, line)
    return left

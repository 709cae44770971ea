"""A graceful stop when the kernel is shut down or restarted."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from typing import Any

from workbench.model.errors import LifecycleError
from workbench.node import TradingNode, nodes
from workbench.runtime.lifecycle import NodeState

_log = logging.getLogger(__name__)

# The server kills a kernel 2.5 s after its request.
LIMIT_S = 1.5
# What of it the phases that wait may take: when they are cut short, the fills that came meanwhile
# are still to be handled.
_WAITING_SHARE = 0.8
_LOOK_S = 0.01


class GracefulShutdown:
    """Wraps a kernel's `do_shutdown`, so that nodes stop before it ends.

    Args:
        kernel: The running kernel.
    """

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._original: Any = None
        self._is_installed = False

    def install(self) -> None:
        """Wrap it."""
        self._original = self._kernel.do_shutdown
        self._kernel.do_shutdown = self._do_shutdown
        self._is_installed = True

    def remove(self) -> None:
        """Take the wrapper away, or, where another one was put around it, make it do nothing."""
        self._is_installed = False
        if self._kernel.do_shutdown == self._do_shutdown:
            # Ours hid the class's own method, unless there was a wrapper before.
            del self._kernel.do_shutdown
            if self._kernel.do_shutdown != self._original:
                self._kernel.do_shutdown = self._original

    async def _do_shutdown(self, restart: bool) -> Any:
        if self._is_installed:
            try:
                await stop_all()
            except Exception:  # whatever it is, the kernel must end
                _log.exception("the nodes could not be stopped")
        reply = self._original(restart)
        return await reply if inspect.isawaitable(reply) else reply


async def stop_all(limit_s: float = LIMIT_S) -> list[TradingNode]:
    """Stop every running node within one common limit; return those that did not.

    It may run on another thread than the nodes: a kernel takes shutdown requests on one of its own.
    """
    going = [node for node in nodes() if node.state in (NodeState.RUNNING, NodeState.STOPPING)]
    for node in going:
        try:
            node.request_stop(limit_s * _WAITING_SHARE)
        except LifecycleError as error:  # it stopped by itself at this moment
            _log.debug("no stop was needed: %s", error)
    deadline = time.monotonic() + limit_s
    while any(_is_going(node) for node in going) and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_S)
    left = [node for node in going if _is_going(node)]
    for node in left:
        _log.error("the kernel ends before this node has stopped: %r", node)
    for node in going:
        for line in node.left_open:
            _log.warning("left open by %s: %s", node.config.trader_id, line)
    return left


def _is_going(node: TradingNode) -> bool:
    return node.state in (NodeState.RUNNING, NodeState.STOPPING)

"""Who is told of a node's changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.node.node import TradingNode
    from workbench.node.session import Session

_log = logging.getLogger(__name__)
Listener = Callable[["TradingNode"], None]


class Listeners:
    """Tells of each change of one node, on its own thread."""

    def __init__(self) -> None:
        self._all: list[Listener] = []

    def add(self, listener: Listener) -> None:
        """Tell one more; if it raises it is logged and not told again: it only looks on."""
        self._all.append(listener)

    def notify(self, node: TradingNode, session: Session | None) -> None:
        """Tell all; from another thread than the node's it is posted there."""
        loop = None if session is None else session.loop
        if session is not None and loop is not None and session.thread != threading.get_ident():
            try:
                loop.call_soon_threadsafe(self._tell, node)
                return
            except RuntimeError:
                pass  # the loop is closed: no thread is the node's any more
        self._tell(node)

    def _tell(self, node: TradingNode) -> None:
        for listener in list(self._all):
            try:
                listener(node)
            except Exception:
                self._all.remove(listener)
                _log.exception("%r failed and is told of no more changes", listener)

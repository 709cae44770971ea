"""The nodes that exist in this process, so that a notebook can find and stop them."""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.node.node import TradingNode

_serial = itertools.count(1)
_nodes: weakref.WeakSet[TradingNode] = weakref.WeakSet()
_lock = threading.Lock()
_last_start = 0


def register(node: TradingNode) -> int:
    """Note a new node and return its serial number."""
    with _lock:
        _nodes.add(node)
        return next(_serial)


def nodes() -> list[TradingNode]:
    """Return the nodes that still exist, oldest first."""
    with _lock:
        found = list(_nodes)
    return sorted(found, key=lambda node: node.serial)


_TAGGED_NS = 1_000_000  # a run's tag names the millisecond


def own_start(start_ns: int) -> int:
    """Return a start that no other node of this process has, in whole milliseconds.

    Nodes that are built in one millisecond would give their orders the same ids.
    """
    global _last_start
    with _lock:
        _last_start = max(start_ns // _TAGGED_NS, _last_start + 1)
        return _last_start * _TAGGED_NS

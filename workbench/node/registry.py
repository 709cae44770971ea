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

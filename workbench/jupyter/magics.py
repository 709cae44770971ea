"""The `%node` magic: a word, one public call, an object with a good repr."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class

from workbench.jupyter.awaiting import AWAITED
from workbench.model.errors import ConfigError, LifecycleError
from workbench.node import TradingNode, nodes
from workbench.node.waiting import is_loop_running
from workbench.runtime.lifecycle import NodeState

_EXAMPLE = "make one first: node = wb.sandbox(strategy, instrument=instrument), then %node build"


def _build(node: TradingNode) -> TradingNode:
    node.build()
    return node


def _run(node: TradingNode) -> TradingNode:
    # Where no loop runs, as in a terminal, the node gets a thread and loop of its own.
    node.run(thread=not is_loop_running())
    return node


def _status(node: TradingNode) -> TradingNode:
    return node


def _stop(node: TradingNode) -> TradingNode:
    node.stop()
    return node


async def _stop_awaited(node: TradingNode) -> TradingNode:
    try:
        await node.stop_async()
    except LifecycleError as error:
        _point_to_running(error, node)
        raise
    return node


def _point_to_running(error: LifecycleError, node: TradingNode) -> None:
    """Say which other nodes run, where the one that was meant may be one of them."""
    for index, other in enumerate(nodes()):
        if other is not node and other.state in (NodeState.RUNNING, NodeState.STOPPING):
            error.add_note(
                f"Another node is {other.state.value}: {other!r}. Reach it as wb.nodes()[{index}],"
                f" for example `await wb.nodes()[{index}].stop_async()`."
            )


def _dispose(node: TradingNode) -> TradingNode:
    node.dispose()
    return node


WORDS: dict[str, Callable[[TradingNode], TradingNode]] = {
    "build": _build,
    "run": _run,
    "status": _status,
    "stop": _stop,
    "dispose": _dispose,
}
"""What can follow `%node`."""


def names_of_nodes(namespace: dict[str, Any]) -> list[str]:
    """Return the names by which a namespace's user knows nodes."""
    return [n for n, v in namespace.items() if isinstance(v, TradingNode) and n[0] != "_"]


@magics_class
class NodeMagics(Magics):
    """The magics that `%load_ext workbench` adds."""

    @line_magic
    def node(self, line: str) -> TradingNode | Coroutine[Any, Any, TradingNode]:
        """Step a trading node through its lifecycle.

        %node WORD [NAME]

            WORD      does                                     in Python
            build     makes engines and clients                node.build()
            run       starts it on the kernel's loop           node.run()
            status    shows where it is                        node
            stop      stops it gracefully and waits            await node.stop_async()
            dispose   lets go of everything                    node.dispose()

        NAME is the variable that holds the node; by default the node constructed last.
        `stop` raises what went wrong during the run, if anything did.

            node = wb.sandbox(strategy, instrument=instrument)
            %node build
            %node run
            %node stop
        """
        words = line.split()
        awaited = AWAITED in words
        words = [word for word in words if word != AWAITED]
        if not words or words[0] not in WORDS:
            got = f"got {words[0]!r}" if words else "got nothing"
            raise ConfigError(
                f"%node is followed by one of {', '.join(WORDS)}; {got}. Example: %node status"
            )
        if len(words) > 2:
            raise ConfigError(
                f"%node {words[0]} takes at most the name of a node; got {' '.join(words[1:])!r}"
            )
        node = self._find(words[1] if len(words) == 2 else None)
        try:
            return _stop_awaited(node) if awaited else WORDS[words[0]](node)
        except LifecycleError as error:
            _point_to_running(error, node)
            raise

    def _find(self, name: str | None) -> TradingNode:
        if name is None:
            known = nodes()
            if not known:
                raise ConfigError(f"there is no node yet; {_EXAMPLE}")
            return known[-1]
        namespace: dict[str, Any] = getattr(self.shell, "user_ns", {})
        found = namespace.get(name)
        if not isinstance(found, TradingNode):
            names = names_of_nodes(namespace)
            held = f"of type {type(found).__name__}" if name in namespace else "not defined"
            example = f"; {_EXAMPLE}" if not names else ""
            raise ConfigError(
                f"{name!r} is {held}, not a node; nodes: {', '.join(names) or 'none'}{example}"
            )
        return found

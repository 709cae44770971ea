"""What `%load_ext workbench` adds to a shell, and how it is taken away again."""

from __future__ import annotations

from typing import Any

from workbench.jupyter.awaiting import AwaitNodeStop
from workbench.jupyter.magics import WORDS, NodeMagics
from workbench.jupyter.shutdown import GracefulShutdown
from workbench.node import TradingNode


class Extension:
    """The magics, the input transformer and the shutdown hook of one shell.

    Args:
        shell: The running IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._awaiting = AwaitNodeStop(shell)
        self._shutdown = GracefulShutdown(getattr(shell, "kernel", None))

    def load(self) -> None:
        """Add everything."""
        shell = self._shell
        shell.register_magics(NodeMagics(shell))
        shell.set_hook("complete_command", _complete, str_key="%node")
        shell.input_transformers_post.append(self._awaiting.transform)
        shell.events.register("pre_run_cell", self._awaiting.begin)
        shell.events.register("post_run_cell", self._awaiting.end)
        self._shutdown.install()

    def unload(self) -> None:
        """Take everything away."""
        shell = self._shell
        shell.magics_manager.magics["line"].pop("node", None)
        shell.magics_manager.registry.pop(NodeMagics.__name__, None)
        shell.strdispatchers["complete_command"].strs.pop("%node", None)
        shell.input_transformers_post.remove(self._awaiting.transform)
        shell.events.unregister("pre_run_cell", self._awaiting.begin)
        shell.events.unregister("post_run_cell", self._awaiting.end)
        self._shutdown.remove()


def _complete(shell: Any, event: Any) -> list[str]:
    """Complete the word after `%node`, then the names of nodes."""
    words = event.line.split()
    done = len(words) - (not event.line.endswith(" "))
    if done <= 1:
        return list(WORDS)
    return [n for n, v in shell.user_ns.items() if isinstance(v, TradingNode) and n[0] != "_"]

"""What `%load_ext workbench` adds to a shell, and how it is taken away again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from workbench.jupyter.awaiting import AwaitNodeStop
from workbench.jupyter.completing import node_matcher
from workbench.jupyter.dashboard import Dashboards
from workbench.jupyter.helping import ask_for_help
from workbench.jupyter.magics import NodeMagics
from workbench.jupyter.shutdown import GracefulShutdown
from workbench.model.error_display import file_namers
from workbench.node import showing


class Extension:
    """The magics, their completion, the input transformer and the shutdown hook of one shell.

    Args:
        shell: The running IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._undo = ExitStack()

    def load(self) -> None:
        """Add everything."""
        shell = self._shell
        self._add_magics()
        awaiting = AwaitNodeStop(shell)
        self._append(shell.input_transformers_cleanup, ask_for_help)
        self._append(shell.input_transformers_post, awaiting.transform)
        self._append(shell.Completer.custom_matchers, node_matcher(shell))
        self._append(file_namers, _cell_namer(shell))
        for event, callback in (("pre_run_cell", awaiting.begin), ("post_run_cell", awaiting.end)):
            shell.events.register(event, callback)
            self._undo.callback(shell.events.unregister, event, callback)
        self._add_dashboards()
        kernel = getattr(shell, "kernel", None)
        if kernel is not None:
            shutdown = GracefulShutdown(kernel)
            shutdown.install()
            self._undo.callback(shutdown.remove)

    def unload(self) -> None:
        """Take everything away."""
        self._undo.close()

    def _add_magics(self) -> None:
        shell = self._shell
        magics = NodeMagics(shell)  # its base class also enters it in `configurables`
        shell.register_magics(magics)
        manager = shell.magics_manager
        for kind, names in NodeMagics.magics.items():
            for name in names:
                self._undo.callback(manager.magics[kind].pop, name, None)
        self._undo.callback(manager.registry.pop, NodeMagics.__name__, None)
        self._undo.callback(_remove, shell.configurables, magics)

    def _add_dashboards(self) -> None:
        dashboards = Dashboards(self._shell)
        self._undo.callback(dashboards.close)
        self._undo.callback(setattr, showing, "dashboard_maker", showing.dashboard_maker)
        showing.dashboard_maker = dashboards.open

    def _append(self, entries: list[Any], entry: Any) -> None:
        entries.append(entry)
        self._undo.callback(_remove, entries, entry)


def _remove(entries: list[Any], entry: Any) -> None:
    """Remove an entry if it is still there."""
    if entry in entries:
        entries.remove(entry)


def _cell_namer(shell: Any) -> Callable[[str], str]:
    """Return what turns the file name of a cell's code into `Cell In[7]`."""

    def name(filename: str) -> str:
        found = shell.compile.format_code_name(filename)
        return filename if found is None else " ".join(found)

    return name

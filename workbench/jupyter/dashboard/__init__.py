"""The dashboards of a shell's nodes; what shows them is imported when the first one is opened."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from workbench.model.errors import ConfigError
from workbench.node import TradingNode

if TYPE_CHECKING:
    from workbench.jupyter.dashboard.dashboard import Dashboard, StillDashboard

_SLOWEST_HZ, _FASTEST_HZ = 0.5, 10.0


class Dashboards:
    """Opens dashboards, one for each node, and closes them all at the end.

    Args:
        shell: The running IPython shell; without a kernel, as in a terminal, they stand still.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._open: dict[int, Dashboard] = {}

    def open(self, node: TradingNode, hz: float = 5.0) -> Dashboard | StillDashboard:
        """Return a node's dashboard, the one that is open if there is one.

        Args:
            node: The node to show.
            hz: Frames a second, 0.5 to 10.

        Raises:
            ConfigError: If `hz` is not within that.
        """
        if isinstance(hz, bool) or not isinstance(hz, (int, float)):
            raise ConfigError(f"hz is a number of frames a second; got {hz!r}")
        if not _SLOWEST_HZ <= hz <= _FASTEST_HZ:
            raise ConfigError(
                f"a dashboard shows {_SLOWEST_HZ:g} to {_FASTEST_HZ:g} frames a second; got {hz:g}"
            )
        from workbench.jupyter.dashboard.dashboard import Dashboard, StillDashboard

        found = self._open.get(node.serial)
        if found is not None:
            found.hz = hz
            return found
        loop = _kernel_loop(self._shell)
        if loop is None:
            return StillDashboard(node)
        made = Dashboard(node, hz, loop, lambda: self._forget(node.serial))
        self._open[node.serial] = made
        return made

    def close(self) -> None:
        """Close all that are open."""
        for dashboard in list(self._open.values()):
            dashboard.close()

    def _forget(self, serial: int) -> None:
        self._open.pop(serial, None)


def _kernel_loop(shell: Any) -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs a kernel's cells; None without a kernel."""
    if getattr(shell, "kernel", None) is None:
        return None
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # called from a thread
        return getattr(getattr(shell.kernel, "io_loop", None), "asyncio_loop", None)


__all__ = ["Dashboards"]

"""The widget: one comm, over which frames go out and what the view says comes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget

_HERE = Path(__file__).parent
_MODULE = ("parts.js", "charts.js", "dashboard.js")


class DashboardWidget(anywidget.AnyWidget):
    """A dashboard's model in the front end; it has no state, only messages."""

    # As text: of a path anywidget would watch the file, and keep each widget alive for that.
    _esm = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in _MODULE)
    _css = (_HERE / "dashboard.css").read_text(encoding="utf-8")

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._heed_subshells()

    def close(self) -> None:
        """Close its comm, and that of its layout."""
        layout = self.layout if self.comm is not None else None
        super().close()
        if layout is not None:
            layout.close()

    def _heed_subshells(self) -> None:
        """Let its messages be handled where the front end sends them: beside a busy cell.

        ipykernel 7.4 hands a widget's messages to the main shell, in case a cell waits for them:
        a synchronous cell would hold up KILL. Kernels without this method either handle them on
        the subshell anyway (7.0) or have no subshells (6).
        """
        comm: Any = self.comm
        if hasattr(comm, "_reply_subshell_for"):
            comm._reply_subshell_for = _as_sent


def _as_sent(_data: Any, subshell_id: str | None) -> str | None:
    return subshell_id

"""What shows a node as a dashboard: a hook that the notebook layer fills, since it is above."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.model.errors import ConfigError

if TYPE_CHECKING:
    from workbench.node.node import TradingNode

dashboard_maker: Callable[[TradingNode, float], Any] | None = None
"""Returns a node's dashboard at so many frames a second; None while the extension is not loaded."""


def dashboard(node: TradingNode, hz: float) -> Any:
    """Return the dashboard of a node.

    Raises:
        ConfigError: If the notebook extension is not loaded.
    """
    if dashboard_maker is None:
        raise ConfigError(
            "a dashboard is shown by the notebook extension, which is not loaded; run"
            " %load_ext workbench in a notebook's cell first"
        )
    return dashboard_maker(node, hz)

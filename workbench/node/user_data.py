"""Where a node keeps what outlives it, when it is not told where."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from workbench.node.config import TradingNodeConfig

DEFAULT = "default"
"""What `TradingNodeConfig(journal=...)` says for a file in the data folder."""


def data_folder(config: TradingNodeConfig) -> Path:
    """Return the folder for journals and leases; it need not exist."""
    if config.data_folder is not None:
        return Path(config.data_folder).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "workbench"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "workbench"


def journal_path(config: TradingNodeConfig) -> Path | None:
    """Return the file of a node's journal, None if it keeps none."""
    if config.journal is None:
        return None
    if config.journal == DEFAULT:
        return data_folder(config) / "journals" / f"{config.trader_id}.sqlite"
    return Path(config.journal).expanduser()


def leases_path(config: TradingNodeConfig) -> Path:
    """Return the file that says who trades which account."""
    return data_folder(config) / "leases.sqlite"

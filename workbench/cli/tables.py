"""Frames as text for a terminal and as CSV files, with amounts to the last digit."""

# pandas' stubs leave parts of these calls unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.model.display import format_ns
from workbench.model.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 20
ORDERS = (
    *("created", "client_order_id", "instrument_id", "side", "order_type", "quantity", "price"),
    *("status", "filled_quantity", "average_price", "reason"),
)
FILLS = (
    *("time", "client_order_id", "instrument_id", "side", "quantity", "price", "commission"),
    *("commission_currency", "liquidity"),
)
ACCOUNT = ("account_id", "currency", "total", "locked", "free")


def amount(value: Decimal) -> str:
    """Return an amount for reading: at most eight digits, none of them a trailing zero.

    >>> amount(Decimal("1234.500"))
    '1,234.5'
    """
    return f"{round(value, 8).normalize() + 0:,f}"


def as_text(value: Any) -> str:
    """Return a cell, exact: amounts without exponent, times as ISO 8601 with nanoseconds."""
    import pandas as pd

    if value is None or value is pd.NaT:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, pd.Timestamp):
        return format_ns(value.as_unit("ns").value)
    if isinstance(value, float):
        return repr(value) if value == value else ""
    return str(value)


def show(title: str, frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    """Print the last rows of a frame under a title that counts them all."""
    more = f" (the last {SHOWN})" if len(frame) > SHOWN else ""
    print(f"\n{title}: {len(frame):,}{more}")
    if len(frame):
        print(frame[list(columns)].tail(SHOWN).map(as_text).to_string(index=False))


def make_folder(path: str) -> Path:
    """Return a folder that exists.

    Raises:
        ConfigError: If it cannot be made.
    """
    folder = Path(path).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {path}: cannot make this folder: {error}") from error
    return folder


def write(folder: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    """Write each frame as `NAME.csv`; a frame's index is its first column unless it is a count."""
    for name, frame in frames.items():
        flat = frame.reset_index() if frame.index.name else frame
        flat.map(as_text).to_csv(folder / f"{name}.csv", index=False)
    print(f"\nwritten to {folder}: {', '.join(f'{name}.csv' for name in frames)}")

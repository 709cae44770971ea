"""Frames with two levels of columns (field and symbol, as yfinance makes them) as flat ones."""

# pandas' stubs leave much of a frame of unknown columns unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

from workbench.model.errors import DataError

_FIELDS = {"close", "bid", "ask", "price"}


def flatten_columns(frame: Any, symbol: str | None) -> tuple[Any, str | None]:
    """Return a frame with one level of columns, and the symbol it was reduced to, if any.

    Args:
        frame: A pandas DataFrame with one or two levels of columns.
        symbol: Which symbol to take; may be None where there is only one.

    Raises:
        DataError: If there are several symbols and none, or another one, is asked for.
    """
    if frame.columns.nlevels == 1:
        return frame, None
    fields = next(
        (
            level
            for level in range(frame.columns.nlevels)
            if _FIELDS & {str(name).lower() for name in frame.columns.get_level_values(level)}
        ),
        None,
    )
    if frame.columns.nlevels > 2 or fields is None:
        raise DataError(
            "DataFrame: its columns have several levels and none holds names such as 'Close';"
            " pass a frame with one level of columns"
        )
    symbols = [str(name) for name in frame.columns.get_level_values(1 - fields).unique()]
    if symbol is None and len(symbols) > 1:
        raise DataError(
            f"DataFrame: holds several symbols ({', '.join(symbols)}); pass symbol= to take one"
        )
    taken = symbols[0] if symbol is None else symbol
    if taken not in symbols:
        raise DataError(f"DataFrame: no symbol {taken!r}; there are {', '.join(symbols)}")
    chosen = [str(name) == taken for name in frame.columns.get_level_values(1 - fields)]
    flat = frame.loc[:, chosen]
    return flat.set_axis(flat.columns.get_level_values(fields), axis=1), taken

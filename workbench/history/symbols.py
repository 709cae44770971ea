"""One symbol out of a source of several: a dataset is of one instrument."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.history.names import find_column
from workbench.history.sources import RawTable
from workbench.model.errors import DataError

_LISTED = 10


def one_symbol(table: RawTable, symbol: str | None = None) -> RawTable:
    """Return the rows of one symbol.

    Args:
        table: Any table; without a column of symbols it is returned as it is.
        symbol: Which rows to take; may be None where there is one symbol only.

    Raises:
        DataError: If there are several symbols and none is asked for, or one that is not there.
    """
    if table.symbol is not None:
        return table
    column = find_column(table, "symbol")
    if column is None:
        if symbol is None:
            return table
        raise DataError(f"{table.label}: symbol={symbol!r} needs a column 'symbol'")
    values: list[Any] = column.values.tolist()
    there = sorted(set(map(str, values)))
    listed = ", ".join(there[:_LISTED]) + (", ..." if len(there) > _LISTED else "")
    if symbol is None:
        if len(there) < 2:
            return table
        raise DataError(
            f"{table.label}: holds several symbols ({listed}) and a dataset is of one instrument;"
            " pass symbol= to wb.bars, wb.quotes or wb.trades"
        )
    if symbol not in there:
        raise DataError(f"{table.label}: no symbol {symbol!r}; there are {listed}")
    return table.take(np.fromiter((str(v) == symbol for v in values), np.bool_, len(values)))

"""Columns of numbers and of sides, in whatever form they come, as float64 and as codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.history.rows import AnyArray, Float64Array, Rows
from workbench.history.sources import Column
from workbench.model.errors import DataError

_NONE, _BUYER, _SELLER = 0, 1, 2  # positions in columns.AGGRESSORS

_MAKER_SIDES = {"true": _SELLER, "1": _SELLER, "false": _BUYER, "0": _BUYER}
_AGGRESSOR_SIDES = {
    **dict.fromkeys(("buy", "buyer", "b", "bid", "1"), _BUYER),
    **dict.fromkeys(("sell", "seller", "s", "-1"), _SELLER),
    **dict.fromkeys(("", "none", "no_aggressor", "unknown", "n", "0"), _NONE),
}


def to_floats(column: Column, rows: Rows) -> Float64Array:
    """Return a column as float64; what is missing becomes NaN.

    Raises:
        DataError: Naming the row and value that is no number.
    """
    values = column.values
    if values.dtype.kind in "fiu":
        # A copy: what has been checked must not change when the source is edited later.
        return np.array(values, np.float64)
    if values.dtype.kind not in "OUST":
        raise DataError(
            f"{rows.label}: column {column.name!r} must hold numbers; it is {values.dtype}"
        )
    items: list[Any] = values.tolist()
    floats = np.empty(len(items), np.float64)
    for row, item in enumerate(items):
        try:
            floats[row] = np.nan if _is_missing(item) else float(item)
        except (TypeError, ValueError):
            raise DataError(
                f"{rows.at(row)}: {column.name} is {item!r}, not a number; mend the value, or name"
                " another column with columns="
            ) from None
    return floats


def to_maker_codes(column: Column, rows: Rows) -> AnyArray:
    """Return who took liquidity, as codes, from whether the buyer was the maker.

    Raises:
        DataError: Naming the row and value that is neither true nor false.
    """
    return _codes(column, rows, _MAKER_SIDES, "true or false")


def to_aggressor_codes(column: Column, rows: Rows) -> AnyArray:
    """Return who took liquidity, as codes, from words such as `buy`, `seller`, `S`, or 1 and -1.

    Raises:
        DataError: Naming the row and value that is no side.
    """
    return _codes(column, rows, _AGGRESSOR_SIDES, "'buy' or 'sell' (order book rows are no trades)")


def _codes(column: Column, rows: Rows, known: dict[str, int], expected: str) -> AnyArray:
    items: list[Any] = column.values.tolist()
    codes = {item: known.get(_word(item)) for item in set(items)}
    if None in codes.values():
        row = next(i for i, item in enumerate(items) if codes[item] is None)
        raise DataError(f"{rows.at(row)}: {column.name} is {items[row]!r}; expected {expected}")
    return np.fromiter(map(codes.__getitem__, items), np.int8, len(items))


def _word(item: Any) -> str:
    if _is_missing(item):
        return ""
    if isinstance(item, float) and item.is_integer():
        item = int(item)
    return str(item).strip().lower()


def _is_missing(item: Any) -> bool:
    return item is None or type(item).__name__ == "NAType"  # pandas.NA, without importing pandas

"""Columns of numbers out of whatever holds history: bars, frames, mappings, arrays."""

# Frames are recognised by their shape, not imported: their types are unknown here.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.model.data import Bar
from workbench.model.errors import DataError

Floats = npt.NDArray[np.float64]


def read_columns(values: Any, names: Sequence[str], owner: str) -> list[Floats]:
    """Return one float64 array for each name, all of one length.

    Args:
        values: Bars; a frame, mapping or structured array, whose columns are found by name whatever
            their case is; or plain numbers: one dimension for one name, else a column for each.
        names: The columns wanted.
        owner: Who wants them, for messages.

    Raises:
        DataError: If a column is missing, is not known in every bar, or the shape is another.
    """
    held = _column_names(values)
    if held is not None:
        found = [_found(name, held, owner, names) for name in names]
        arrays = [_floats(values[name], f"column {name}", owner) for name in found]
    else:
        arrays = _of_rows(values, names, owner)
    lengths = {len(array) for array in arrays}
    if len(lengths) > 1:
        raise DataError(f"{owner}: columns of one length were expected; got {sorted(lengths)}")
    return arrays


def _column_names(values: Any) -> list[Any] | None:
    """Return the names of the columns, None where it is no frame."""
    if isinstance(values, Mapping):
        return list(values)
    # An Arrow table's, a frame's, a structured array's.
    holders = ((values, "column_names"), (values, "columns"), (_dtype(values), "names"))
    for holder, attribute in holders:
        names = getattr(holder, attribute, None)
        if names is not None:
            return list(names)
    return None


def _dtype(values: Any) -> Any:
    return getattr(values, "dtype", None)


def _floats(values: Any, what: str, owner: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{owner} needs numbers in {what}: {error}") from error


def _found(name: str, held: list[Any], owner: str, names: Sequence[str]) -> Any:
    for candidate in held:
        if str(candidate).casefold() == name:
            return candidate
    raise DataError(
        f"{owner} needs the columns {', '.join(names)}; got {', '.join(map(str, held)) or 'none'}"
    )


def _of_rows(values: Any, names: Sequence[str], owner: str) -> list[Floats]:
    if not hasattr(values, "__array__"):
        rows = list(values) if isinstance(values, Iterable) else [values]
        if rows and isinstance(rows[0], Bar):
            return [_of_bars(rows, name, owner) for name in names]
        values = rows
    array = _floats(values, "what it is warmed up from", owner)
    if array.ndim == 1 and (len(names) == 1 or not len(array)):
        return [array] * len(names)
    if array.ndim == 2 and array.shape[1] == len(names):
        return [np.ascontiguousarray(array[:, place]) for place in range(len(names))]
    wanted = "one dimension" if len(names) == 1 else f"{len(names)} columns ({', '.join(names)})"
    raise DataError(f"{owner} needs bars, a frame, or an array with {wanted}; got {array.shape}")


def _of_bars(bars: list[Bar], name: str, owner: str) -> Floats:
    column = [getattr(bar, name) for bar in bars]
    if None in column:
        raise DataError(
            f"{owner} needs bars with a {name}; the bar at {bars[column.index(None)].ts_event} has"
            " none: load data with that column"
        )
    return np.array(column, dtype=np.float64)

"""Tables of any origin as named NumPy columns: frames, Arrow tables, arrays, dicts and files."""

# pyarrow ships no types, and pandas' stubs leave much of a frame of unknown columns unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.history.csvs import read_csv
from workbench.history.frames import flatten_columns
from workbench.history.rows import AnyArray, Int64Array, Rows
from workbench.model.errors import DataError

_ACCEPTED = (
    "a pandas or polars DataFrame, a pyarrow Table, a NumPy structured array, a dict of arrays,"
    " a path to .parquet, .csv or .csv.gz, or a list of messages"
)


@dataclass(frozen=True)
class Column:
    """One column.

    `naive` says of times that they name no zone; it is False where they did (they are UTC then),
    and None for NumPy's own, which never can.
    """

    name: str
    values: AnyArray
    naive: bool | None = None


@dataclass(frozen=True)
class RawTable:
    """Columns as they came, of equal length.

    Attributes:
        label: What the source is called in errors.
        columns: In their order; names may repeat.
        numbers: The user's row numbers where rows were left out, else None.
        index: The column that was a frame's time index, if any.
        symbol: The symbol that a frame of several was reduced to, if any.
    """

    label: str
    columns: tuple[Column, ...]
    numbers: Int64Array | None = None
    index: Column | None = None
    symbol: str | None = None

    def __len__(self) -> int:
        return len(self.columns[0].values) if self.columns else 0

    @property
    def rows(self) -> Rows:
        """Return the rows for use in errors."""
        return Rows(self.label, self.numbers)

    def take(self, mask: AnyArray) -> RawTable:
        """Return the rows where `mask` is true; their numbers stay what the user sees."""
        columns = tuple(Column(c.name, c.values[mask], c.naive) for c in self.columns)
        position = None if self.index is None else self.columns.index(self.index)
        return RawTable(
            self.label,
            columns,
            np.flatnonzero(mask).astype(np.int64),
            None if position is None else columns[position],
            self.symbol,
        )


def read_source(source: Any, symbol: str | None = None) -> RawTable:
    """Return the columns of a table of any kind.

    Args:
        source: A DataFrame, Table, structured array, dict of arrays, or path.
        symbol: Which symbol to take of a frame with one column per field and symbol.

    Raises:
        DataError: If it cannot be read or is nothing of the kind.
    """
    if isinstance(source, str | os.PathLike):
        return _from_path(Path(os.path.expanduser(source)))
    if isinstance(source, np.ndarray):
        return _from_record_array(source)
    if isinstance(source, Mapping):
        return _from_mapping(source)
    pandas = sys.modules.get("pandas")  # what was never imported cannot have made the source
    if pandas is not None and isinstance(source, pandas.DataFrame):
        return _from_frame(source, symbol)
    if pandas is not None and isinstance(source, pandas.Series):
        raise DataError("a Series is one column; pass a DataFrame with a column for each value")
    if isinstance(source, list | tuple):
        held = f"one of {type(source[0]).__name__}" if source else "an empty one"
        raise DataError(f"a list must hold Quote, Trade or Bar messages; got {held}")
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "to_arrow"):
        return _from_arrow(source)
    raise DataError(f"cannot read market data from {type(source).__name__}; pass {_ACCEPTED}")


def _from_path(path: Path) -> RawTable:
    name = path.name.lower()
    readers = {".parquet": _read_parquet, ".csv": read_csv, ".csv.gz": read_csv}
    reader = next((read for end, read in readers.items() if name.endswith(end)), None)
    if reader is None:
        raise DataError(f"{path}: unknown file type; known are {', '.join(readers)}")
    if not path.is_file():
        raise DataError(f"{path}: no such file (looked for {path.absolute()})")
    return _table(reader(path), str(path))


def _read_parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # One file, not a dataset: folders named a=b above it are no columns.
        return pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error


def _from_arrow(source: Any) -> RawTable:
    import pyarrow as pa

    label = type(source).__name__
    try:
        table = pa.table(source) if hasattr(source, "__arrow_c_stream__") else source.to_arrow()
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"{label}: not a table that Arrow can read: {error}") from error
    return _table(table, label)


def _table(table: Any, label: str) -> RawTable:
    pairs = zip(table.column_names, table.columns, strict=True)
    return RawTable(label, tuple(_arrow_column(name, column) for name, column in pairs))


def _arrow_column(name: str, column: Any) -> Column:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    naive = pa.types.is_date(column.type) or (
        pa.types.is_timestamp(column.type) and column.type.tz is None
    )
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    if isinstance(column, pa.ChunkedArray):
        return Column(name, column.to_numpy(), naive)
    return Column(name, column.to_numpy(zero_copy_only=False), naive)


def _from_frame(frame: Any, symbol: str | None) -> RawTable:
    frame, taken = flatten_columns(frame, symbol)
    index = None
    columns: list[Column] = []
    names = list(frame.index.names)
    for level, name in enumerate(names):
        values = frame.index.get_level_values(level)
        is_time = values.dtype.kind == "M"
        if is_time or name is not None:
            columns.append(_series_column("index" if name is None else str(name), values))
            index = columns[-1] if is_time else index
    columns += [
        _series_column(str(name), frame.iloc[:, position])
        for position, name in enumerate(frame.columns)
    ]
    return RawTable("DataFrame", tuple(columns), None, index, taken)


def _series_column(name: str, series: Any) -> Column:
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        zoned = pd.DatetimeIndex(series)
        return Column(name, zoned.tz_convert("UTC").tz_localize(None).to_numpy(), False)
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        return _arrow_column(name, pa.chunked_array([pa.array(series)]))
    if isinstance(dtype, pd.CategoricalDtype):
        return Column(name, np.asarray(series.astype(object)))
    values = np.asarray(series.to_numpy())
    return Column(name, values, True if values.dtype.kind == "M" else None)


def _from_record_array(array: AnyArray) -> RawTable:
    names = array.dtype.names
    if names is None or array.ndim != 1:
        raise DataError(
            f"an array of shape {array.shape} and dtype {array.dtype} has no named columns;"
            " pass a structured array, or a dict such as {'timestamp': ..., 'price': ...}"
        )
    return RawTable("array", tuple(Column(name, array[name]) for name in names))


def _from_mapping(source: Mapping[Any, Any]) -> RawTable:
    columns = tuple(_any_column(str(name), values) for name, values in source.items())
    lengths = {column.name: len(column.values) for column in columns}
    if len(set(lengths.values())) > 1:
        raise DataError(f"dict: columns must be equally long; got {lengths}")
    return RawTable("dict", columns)


def _any_column(name: str, values: Any) -> Column:
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(values, pandas.Series | pandas.Index):
        return _series_column(name, values)
    if type(values).__module__.split(".")[0] == "pyarrow":
        return _arrow_column(name, values)
    if isinstance(values, list | tuple):
        # Left to itself, NumPy would turn numbers beside text into text.
        return Column(name, np.fromiter(values, object, len(values)))
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(
            f"dict: column {name!r} must be one-dimensional; got {type(values).__name__}"
        )
    return Column(name, array)

"""A journal as Parquet files, one for each kind of record.

What messages hold becomes columns, over all types of the kind: a field that a type lacks is null.
Decimals stay exact (text, where 76 digits do not hold a column), times of records are UTC
timestamps, what is nested is JSON.
"""

# pyarrow ships no stubs.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.model.money import Currency
from workbench.node.journal.errors import JournalError
from workbench.node.journal.payloads import type_name
from workbench.node.journal.records import JournalKind, JournalRecord

if TYPE_CHECKING:
    from workbench.node.journal.view import JournalView

_AT_ONCE = 20_000
_ENVELOPE = ("sequence", "run", "number", "type", "time")
_PLAIN = (str, int, float, bytes, Decimal)


def export(view: JournalView, folder: Path, kinds: frozenset[JournalKind]) -> list[Path]:
    """Write a file for each of these kinds that has records.

    Raises:
        JournalError: If one cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tqdm import auto

    counts = {kind: count for kind, count in view.counts().items() if kind in kinds}
    # Without a monitor: its thread would outlive the bar.
    unwatched: Any = type("Bar", (auto.tqdm,), {"monitor_interval": 0})
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with unwatched(
            total=sum(counts.values()), desc="export", unit=" records", unit_scale=True, delay=1.0
        ) as bar:
            for kind in sorted(counts):
                path = folder / f"{kind.value}.parquet"
                pq.write_table(_table(view.messages(kind), bar), path, compression="zstd")
                written.append(path)
    except (OSError, pa.ArrowException) as error:
        raise JournalError(f"cannot write Parquet files to {folder}: {error}") from error
    return written


def _table(records: Iterator[JournalRecord], bar: Any) -> Any:
    import pyarrow as pa

    parts: list[dict[str, Any]] = []
    while some := list(islice(records, _AT_ONCE)):
        parts.append(_arrays(some))
        bar.update(len(some))
    names = list(dict.fromkeys(name for part in parts for name in part))
    lengths = [len(part["sequence"]) for part in parts]
    columns = [
        _joined(
            [part.get(name, pa.nulls(length)) for part, length in zip(parts, lengths, strict=True)]
        )
        for name in names
    ]
    return pa.table(dict(zip(names, columns, strict=True)))


def _arrays(records: list[JournalRecord]) -> dict[str, Any]:
    """Return some records as one array for each column."""
    import pyarrow as pa

    found: dict[str, list[Any]] = {}
    for index, record in enumerate(records):
        for name, value in _fields(record.message):
            column = found.get(name)
            if column is None:
                column = found[name] = [None] * len(records)
            column[index] = value
    arrays: dict[str, Any] = {
        "sequence": pa.array([r.sequence for r in records], pa.int64()),
        "run": pa.array([r.run for r in records], pa.int64()),
        "number": pa.array([r.number for r in records], pa.int64()),
        "type": pa.array([type_name(r.message) for r in records], pa.string()),
        "time": pa.array([r.ts for r in records], pa.timestamp("ns", tz="UTC")),
    }
    for name, values in found.items():
        # A message's own `type` or `time` stands beside that of its record.
        arrays[f"message_{name}" if name in _ENVELOPE else name] = _array(values)
    return arrays


def _fields(message: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if value is not None:
            yield name, _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Currency):
        return value.code
    if isinstance(value, Decimal) and not value.is_finite():
        return str(value)
    return value if isinstance(value, _PLAIN) else msgspec.json.encode(value).decode()


def _array(values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError):
        # Of several types, or more digits than Arrow has: as text nothing is lost.
        return pa.array([_text(value) for value in values], pa.string())


def _joined(arrays: list[Any]) -> Any:
    """Return arrays as one; where their types differ, the wider one, or text."""
    import pyarrow as pa

    try:
        tables = [pa.table({"one": array}) for array in arrays]
        return pa.concat_tables(tables, promote_options="permissive").column("one")
    except pa.ArrowException:
        return pa.chunked_array([[_text(value) for value in a.to_pylist()] for a in arrays])


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)

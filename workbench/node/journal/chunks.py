"""Market data in chunks: what was committed together is compressed together, by columns."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import msgspec

Entry = tuple[int, int, int, str, int, str, bytes]
"""Sequence, run, number, kind, time, type of the payload, payload."""

_LEVEL = 1  # the quickest: columns of one type compress well as they are


class _Columns(msgspec.Struct, frozen=True, array_like=True):
    sequences: list[int]
    runs: list[int]
    numbers: list[int]
    times: list[int]
    types: list[str]
    payloads: list[bytes]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Columns)


def pack(entries: Sequence[Entry]) -> tuple[int, int, int, int, int, int, bytes]:
    """Return entries of market data, in order, as one row of the table `data`."""
    columns = [list(column) for column in zip(*entries, strict=True)]
    sequences, runs, numbers, kinds, times, types, payloads = columns
    del kinds  # all the same
    packed = zlib.compress(
        _encoder.encode([sequences, runs, numbers, times, types, payloads]), _LEVEL
    )
    first, last = entries[0], entries[-1]
    return first[0], last[0], len(entries), first[4], last[4], last[1], packed


def unpack(records: bytes) -> Iterator[Entry]:
    """Yield the entries that `pack` took.

    Raises:
        ValueError: If the bytes are no such entries.
    """
    try:
        columns = _decoder.decode(zlib.decompress(records))
    except (zlib.error, msgspec.DecodeError) as error:
        raise ValueError(f"a chunk of market data cannot be read: {error}") from error
    for sequence, run, number, ts, name, payload in zip(
        columns.sequences,
        columns.runs,
        columns.numbers,
        columns.times,
        columns.types,
        columns.payloads,
        strict=True,
    ):
        yield sequence, run, number, "data", ts, name, payload

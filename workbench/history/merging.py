"""Datasets made of datasets: parts that follow one another, and bid and ask bars as one."""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from workbench.history.dataset import DataEvent, Dataset
from workbench.history.rows import Float64Array, Int64Array
from workbench.model.commands import DataKind
from workbench.model.data import Bar, BidAskBar
from workbench.model.display import format_ns
from workbench.model.errors import DataError
from workbench.model.identifiers import InstrumentId


def join(parts: Sequence[Dataset]) -> Dataset:
    """Return datasets of the same stream as one, in time order.

    Raises:
        DataError: If two of them overlap in time.
    """
    filled = [part for part in parts if len(part)]
    if len(filled) < 2:
        return (filled or list(parts))[0]
    parts = sorted(filled, key=lambda part: int(part.ts[0]))
    for before, after in pairwise(parts):
        if after.ts[0] <= before.ts[-1]:
            raise DataError(
                f"{before.source} and {after.source} both hold {before.kind.value} of"
                f" {before.name} and overlap from {format_ns(int(after.ts[0]))};"
                " cut one of them with .select(start, end)"
            )
    return JoinedDataset(parts)


class JoinedDataset(Dataset):
    """Datasets of one stream that follow one another in time; made by `join`."""

    def __init__(self, parts: Sequence[Dataset]) -> None:
        first = parts[0]
        super().__init__(
            first.kind,
            np.concatenate([part.ts for part in parts]),
            first.instrument_id,
            first.bar_spec,
            ", ".join(dict.fromkeys(part.source for part in parts)),
        )
        self.topic = first.topic
        self.parts = tuple(parts)
        self._ends: list[int] = np.cumsum([len(part) for part in parts]).tolist()

    def bind(self, instrument_id: InstrumentId) -> JoinedDataset:
        """Return this dataset: its parts know their instrument."""
        self._refuse_rebinding(instrument_id)
        return self

    def events(self, start: int = 0, stop: int | None = None) -> list[DataEvent]:
        """Return the messages of rows `start` to `stop` (exclusive)."""
        events: list[DataEvent] = []
        for part, first, last in self._cut(start, len(self) if stop is None else stop):
            events += part.events(first, last)
        return events

    def prices(self) -> Float64Array:
        """Return one price per row."""
        return np.concatenate([part.prices() for part in self.parts])

    def rows(self, start: int, stop: int) -> JoinedDataset:
        """Return a view of rows `start` to `stop` (exclusive)."""
        cut = [part.rows(first, last) for part, first, last in self._cut(start, stop)]
        return JoinedDataset(cut or [self.parts[0].rows(0, 0)])

    def _cut(self, start: int, stop: int) -> list[tuple[Dataset, int, int]]:
        """Return each part that rows `start` to `stop` touch, with its own row numbers."""
        cut: list[tuple[Dataset, int, int]] = []
        for part, end in zip(self.parts, self._ends, strict=True):
            base = end - len(part)
            first, last = max(start - base, 0), min(stop - base, len(part))
            if first < last:
                cut.append((part, first, last))
        return cut


class BidAskBars(Dataset):
    """Bid and ask bars of one instrument and length, seen together.

    An event is a `BidAskBar` where both sides have a bar of that time, else the one `Bar` there is.
    """

    def __init__(self, bid: Dataset, ask: Dataset) -> None:
        super().__init__(
            DataKind.BARS,
            bid.ts if np.array_equal(bid.ts, ask.ts) else np.union1d(bid.ts, ask.ts),
            bid.instrument_id,
            bid.bar_spec,
            f"{bid.source} and {ask.source}",
        )
        self.bid = bid
        self.ask = ask

    def bind(self, instrument_id: InstrumentId) -> BidAskBars:
        """Return this dataset: both sides know their instrument."""
        self._refuse_rebinding(instrument_id)
        return self

    def events(self, start: int = 0, stop: int | None = None) -> list[DataEvent]:
        """Return the events of rows `start` to `stop` (exclusive)."""
        ts = self.ts[start:stop]
        bids, bid_ts = _side(self.bid, ts)
        asks, ask_ts = _side(self.ask, ts)
        if len(bids) == len(asks) == len(ts):
            paired: list[DataEvent] = list(map(BidAskBar, bids, asks))
            return paired
        by_time = dict(zip(ask_ts, asks, strict=True))
        events: dict[int, DataEvent] = dict(by_time)
        for time, bar in zip(bid_ts, bids, strict=True):
            other = by_time.get(time)
            events[time] = bar if other is None else BidAskBar(bar, other)
        return [events[time] for time in ts.tolist()]

    def prices(self) -> Float64Array:
        """Return the mid of both closes, or the one close there is."""
        total = np.zeros(len(self))
        sides = np.zeros(len(self))
        for side in (self.bid, self.ask):
            position = np.searchsorted(self.ts, side.ts)
            total[position] += side.prices()
            sides[position] += 1
        return total / sides

    def rows(self, start: int, stop: int) -> BidAskBars:
        """Return a view of rows `start` to `stop` (exclusive)."""
        ts = self.ts[start:stop]
        return BidAskBars(
            self.bid.rows(*_bounds(self.bid, ts)), self.ask.rows(*_bounds(self.ask, ts))
        )


def _bounds(side: Dataset, ts: Int64Array) -> tuple[int, int]:
    return side.span(int(ts[0]), int(ts[-1]) + 1) if len(ts) else (0, 0)


def _side(side: Dataset, ts: Int64Array) -> tuple[list[Bar], list[int]]:
    first, last = _bounds(side, ts)
    bars = [event for event in side.events(first, last) if isinstance(event, Bar)]
    return bars, side.ts[first:last].tolist()

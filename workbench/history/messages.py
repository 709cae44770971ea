"""Datasets held as ready-made messages, and the sorting of a mixed list into such datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, cast

import numpy as np

from workbench.history.checks import (
    check_bars,
    check_mark_prices,
    check_not_empty,
    check_quotes,
    check_rates,
    check_times,
    check_trades,
)
from workbench.history.dataset import DataEvent, Dataset
from workbench.history.rows import Float64Array, Int64Array, Rows
from workbench.model.commands import DataKind
from workbench.model.custom_data import CustomData
from workbench.model.data import (
    Bar,
    BarSpec,
    BarType,
    FundingRate,
    InstrumentStatus,
    MarkPrice,
    Quote,
    Trade,
)
from workbench.model.errors import DataError
from workbench.model.identifiers import InstrumentId

KINDS: dict[type, DataKind] = {
    Quote: DataKind.QUOTES,
    Trade: DataKind.TRADES,
    Bar: DataKind.BARS,
    MarkPrice: DataKind.MARK_PRICES,
    FundingRate: DataKind.FUNDING_RATES,
    InstrumentStatus: DataKind.INSTRUMENT_STATUS,
}
"""The kind of each message; subclasses of `CustomData` are custom."""
_CHECKED: dict[
    DataKind, tuple[tuple[str, ...], Callable[[dict[str, Float64Array], Rows], None]]
] = {
    DataKind.QUOTES: (("bid", "ask", "bid_size", "ask_size"), check_quotes),
    DataKind.TRADES: (("price", "size"), check_trades),
    DataKind.BARS: (("open", "high", "low", "close"), check_bars),
    DataKind.MARK_PRICES: (("price",), check_mark_prices),
    DataKind.FUNDING_RATES: (("rate",), check_rates),
}
_PRICES = {
    DataKind.TRADES: "price",
    DataKind.BARS: "close",
    DataKind.MARK_PRICES: "price",
    DataKind.FUNDING_RATES: "rate",
}


class MessageList(Dataset):
    """A dataset of ready-made messages, ordered by `ts_init`; the messages are not copied.

    Args:
        messages: All of one kind and one instrument or bar type.
        ts: Their `ts_init`.
        offset: Where in `messages` the rows of this view begin; `ts` says how many there are.
        kind: Quotes, trades, bars, ...
        instrument_id: The instrument of all of them.
        bar_spec: How bars are cut; None for other kinds.
        source: What they are called in errors.
        topic: Of custom data: the name of its class.
    """

    def __init__(
        self,
        messages: Sequence[DataEvent],
        ts: Int64Array,
        kind: DataKind,
        instrument_id: InstrumentId,
        bar_spec: BarSpec | None,
        source: str,
        offset: int = 0,
        topic: str = "",
    ) -> None:
        super().__init__(kind, ts, instrument_id, bar_spec, source)
        self.topic = topic
        self._messages = messages
        self._offset = offset

    def bind(self, instrument_id: InstrumentId) -> MessageList:
        """Return this dataset: messages know their instrument."""
        self._refuse_rebinding(instrument_id)
        return self

    def events(self, start: int = 0, stop: int | None = None) -> list[DataEvent]:
        """Return the messages of rows `start` to `stop` (exclusive): a slice of those given."""
        start, stop, _ = slice(start, stop).indices(len(self.ts))
        return list(self._messages[self._offset + start : self._offset + max(start, stop)])

    def prices(self) -> Float64Array:
        """Return one price per row: a quote's mid, a trade's price, a bar's close; else NaN."""
        if self.kind is DataKind.QUOTES:
            mid: Float64Array = (self._column("bid") + self._column("ask")) / 2
            return mid
        name = _PRICES.get(self.kind)
        return np.full(len(self.ts), np.nan) if name is None else self._column(name)

    def rows(self, start: int, stop: int) -> MessageList:
        """Return a view of rows `start` to `stop` (exclusive)."""
        return MessageList(
            self._messages,
            self.ts[start:stop],
            self.kind,
            self.instrument_id,
            self.bar_spec,
            self.source,
            self._offset + start,
            self.topic,
        )

    def _column(self, name: str) -> Float64Array:
        return _floats(self.events(), name)


def is_messages(source: object) -> bool:
    """Return whether this is a list or tuple whose first item is a message."""
    if not isinstance(source, list | tuple) or not source:
        return False
    return _kind(type(cast("Sequence[object]", source)[0])) is not None


def _kind(of: type[Any]) -> DataKind | None:
    return KINDS.get(of) or (DataKind.CUSTOM if issubclass(of, CustomData) else None)


def split_messages(messages: Sequence[Any], source: str = "list") -> list[Dataset]:
    """Return one dataset per kind and instrument, bar type or topic, in order of first appearance.

    Args:
        messages: `Quote`, `Trade`, `Bar`, `MarkPrice`, `FundingRate`, `InstrumentStatus` and
            `CustomData` objects, in time order within each dataset.
        source: What the list is called in errors.

    Raises:
        DataError: If it is empty, holds anything else, is not sorted, or a value is impossible.
    """
    check_not_empty(len(messages), source)
    for found in set(map(type, messages)):
        if _kind(found) is None:
            row = next(i for i, message in enumerate(messages) if type(message) is found)
            raise DataError(
                f"{source}, row {row}: a list of messages holds Quote, Trade and Bar objects (or"
                f" MarkPrice, FundingRate, InstrumentStatus, CustomData); got {found.__name__}"
            )
    keys = [_key(message) for message in messages] if _is_mixed(messages) else None
    if keys is None:
        return [_one(messages, Rows(source))]
    positions: dict[object, list[int]] = {}
    for row, key in enumerate(keys):
        positions.setdefault(key, []).append(row)
    return [
        _one([messages[row] for row in rows], Rows(source, np.array(rows, np.int64)))
        for rows in positions.values()
    ]


def _is_mixed(messages: Sequence[Any]) -> bool:
    if len(set(map(type, messages))) > 1:
        return True
    name = "bar_type" if type(messages[0]) is Bar else "instrument_id"
    return len(set(map(attrgetter(name), messages))) > 1


def _key(message: DataEvent) -> object:
    return message.bar_type if isinstance(message, Bar) else (type(message), message.instrument_id)


def _one(messages: Sequence[Any], rows: Rows) -> MessageList:
    """Check messages of one kind and instrument."""
    first: Any = messages[0]
    of: type[Any] = first.__class__
    kind = _kind(of) or DataKind.CUSTOM
    bar_type: BarType | None = first.bar_type if kind is DataKind.BARS else None
    ts = np.fromiter(map(attrgetter("ts_init"), messages), np.int64, len(messages))
    rows = rows.timed(ts)
    check_times(ts, rows, unique=kind is DataKind.BARS)
    if kind in _CHECKED:
        names, check = _CHECKED[kind]
        columns = {name: _floats(messages, name) for name in names}
        if kind is DataKind.BARS and any(bar.volume is not None for bar in messages):
            volumes = (0.0 if bar.volume is None else bar.volume for bar in messages)
            columns["volume"] = np.fromiter(volumes, np.float64, len(messages))
        check(columns, rows)
    return MessageList(
        messages,
        ts,
        kind,
        first.instrument_id,
        None if bar_type is None else bar_type.spec,
        rows.label,
        topic=first.topic() if isinstance(first, CustomData) else "",
    )


def _floats(messages: Sequence[Any], name: str) -> Float64Array:
    return np.fromiter(map(attrgetter(name), messages), np.float64, len(messages))

"""Datasets held as columns: messages are made from a slice of rows when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import repeat
from typing import TypeVar

from workbench.history.dataset import DataEvent, Dataset
from workbench.history.rows import AnyArray, Float64Array, Int64Array
from workbench.model.commands import DataKind
from workbench.model.data import Bar, BarSpec, Quote, Trade
from workbench.model.enums import AggressorSide
from workbench.model.identifiers import InstrumentId, TradeId

_C = TypeVar("_C", bound="ColumnDataset")

AGGRESSORS = (AggressorSide.NONE, AggressorSide.BUYER, AggressorSide.SELLER)
"""What the codes in a column of aggressors mean."""


class ColumnDataset(Dataset):
    """A dataset whose columns are NumPy arrays of the length of `ts`.

    `columns` maps a name to float64, or to what the subclass says; `offset` is the number of the
    first row in the source.
    """

    KIND: DataKind

    def __init__(
        self,
        ts: Int64Array,
        columns: dict[str, AnyArray],
        instrument_id: InstrumentId | None = None,
        *,
        bar_spec: BarSpec | None = None,
        source: str = "arrays",
        offset: int = 0,
    ) -> None:
        super().__init__(self.KIND, ts, instrument_id, bar_spec, source)
        self.columns = columns
        self._offset = offset

    def bind(self: _C, instrument_id: InstrumentId) -> _C:
        """Return the same rows as data of this instrument; nothing is copied."""
        self._refuse_rebinding(instrument_id)
        return type(self)(
            self.ts,
            self.columns,
            instrument_id,
            bar_spec=self.bar_spec,
            source=self.source,
            offset=self._offset,
        )

    def rows(self: _C, start: int, stop: int) -> _C:
        """Return a view of rows `start` to `stop` (exclusive)."""
        return type(self)(
            self.ts[start:stop],
            {name: column[start:stop] for name, column in self.columns.items()},
            self._instrument_id,
            bar_spec=self.bar_spec,
            source=self.source,
            offset=self._offset + start,
        )

    def _times(self, start: int, stop: int | None) -> list[int]:
        return self.ts[start:stop].tolist()

    def _floats(self, name: str, start: int, stop: int | None) -> list[float]:
        return self.columns[name][start:stop].tolist()

    def _optional(
        self, name: str, start: int, stop: int | None, missing: float | None
    ) -> Iterable[float | None]:
        return self._floats(name, start, stop) if name in self.columns else repeat(missing)


class QuoteColumns(ColumnDataset):
    """Quotes: `bid`, `ask` and, where known, `bid_size` and `ask_size` (else infinite).

    >>> import numpy as np
    >>> ts = np.array([1, 2])
    >>> bid = np.array([1.0, 1.1])
    >>> QuoteColumns(ts, {"bid": bid, "ask": bid + 0.25}, InstrumentId("A/B.X")).prices()
    array([1.125, 1.225])
    """

    KIND = DataKind.QUOTES

    def events(self, start: int = 0, stop: int | None = None) -> list[DataEvent]:
        """Return the quotes of rows `start` to `stop` (exclusive)."""
        ts = self._times(start, stop)
        made: Iterable[DataEvent] = map(
            Quote,  # pyright: ignore[reportArgumentType]  # sizes are never None here
            repeat(self.instrument_id),
            self._floats("bid", start, stop),
            self._floats("ask", start, stop),
            self._optional("bid_size", start, stop, math.inf),
            self._optional("ask_size", start, stop, math.inf),
            ts,
            ts,
        )
        return list(made)

    def prices(self) -> Float64Array:
        """Return the mids."""
        mid: Float64Array = (self.columns["bid"] + self.columns["ask"]) / 2
        return mid


class TradeColumns(ColumnDataset):
    """Trades: `price`, `size` and, where known, `aggressor` (codes) and `trade_id` (else the row).

    `aggressor` holds positions in `AGGRESSORS`; `trade_id` integers or text.
    """

    KIND = DataKind.TRADES

    def events(self, start: int = 0, stop: int | None = None) -> list[DataEvent]:
        """Return the trades of rows `start` to `stop` (exclusive)."""
        ts = self._times(start, stop)
        made: Iterable[DataEvent] = map(
            Trade,
            repeat(self.instrument_id),
            self._floats("price", start, stop),
            self._floats("size", start, stop),
            self._aggressors(start, stop),
            self._trade_ids(start, len(ts)),
            ts,
            ts,
        )
        return list(made)

    def prices(self) -> Float64Array:
        """Return the prices."""
        return self.columns["price"]

    def _aggressors(self, start: int, stop: int | None) -> Iterable[AggressorSide]:
        codes = self.columns.get("aggressor")
        if codes is None:
            return repeat(AggressorSide.NONE)
        return map(AGGRESSORS.__getitem__, codes[start:stop].tolist())

    def _trade_ids(self, start: int, count: int) -> Iterable[TradeId]:
        ids = self.columns.get("trade_id")
        if ids is None:
            first = self._offset + start
            return map(TradeId, map(str, range(first, first + count)))
        return map(TradeId, map(str, ids[start : start + count].tolist()))


class BarColumns(ColumnDataset):
    """Bars stamped at their close: `open`, `high`, `low`, `close` and, where known, `volume`."""

    KIND = DataKind.BARS

    def events(self, start: int = 0, stop: int | None = None) -> list[DataEvent]:
        """Return the bars of rows `start` to `stop` (exclusive)."""
        ts = self._times(start, stop)
        bar_type = self.bar_type
        assert bar_type is not None, "bars have a specification"
        made: Iterable[DataEvent] = map(
            Bar,
            repeat(bar_type),
            self._floats("open", start, stop),
            self._floats("high", start, stop),
            self._floats("low", start, stop),
            self._floats("close", start, stop),
            self._optional("volume", start, stop, None),
            ts,
            ts,
        )
        return list(made)

    def prices(self) -> Float64Array:
        """Return the closes."""
        return self.columns["close"]

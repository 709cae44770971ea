"""The contract of stored market data: rows of one kind and one instrument, in time order."""

# NumPy's stubs leave parts of the overloads of searchsorted unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from workbench.history.moments import Moment, to_ns
from workbench.history.rows import Float64Array, Int64Array
from workbench.model.commands import DataKind
from workbench.model.custom_data import CustomData
from workbench.model.data import (
    Bar,
    BarSpec,
    BarType,
    BidAskBar,
    FundingRate,
    InstrumentStatus,
    MarkPrice,
    Quote,
    Trade,
)
from workbench.model.display import format_ns, pairs_html
from workbench.model.errors import DataError
from workbench.model.identifiers import InstrumentId

DataEvent = (
    Quote | Trade | Bar | BidAskBar | MarkPrice | FundingRate | InstrumentStatus | CustomData
)
_D = TypeVar("_D", bound="Dataset")


class Dataset(ABC):
    """Rows of one kind of market data of one instrument, checked and in time order.

    Made by `bars`, `quotes`, `trades` and `load`. It knows no instrument yet where its loader was
    given none; `load` gives it one.

    Args:
        kind: Quotes, trades or bars.
        ts: When each row was known, int64 nanoseconds UTC, never decreasing.
        instrument_id: None where it is not known yet.
        bar_spec: How bars are cut; None for other kinds.
        source: What the data was read from, for messages.

    Attributes:
        topic: Of custom data: the name of its class.
    """

    topic = ""

    def __init__(
        self,
        kind: DataKind,
        ts: Int64Array,
        instrument_id: InstrumentId | None,
        bar_spec: BarSpec | None,
        source: str,
    ) -> None:
        self.kind = kind
        self.ts = ts
        self.bar_spec = bar_spec
        self.source = source
        self._instrument_id = instrument_id

    @property
    def is_bound(self) -> bool:
        """Return whether the instrument is known."""
        return self._instrument_id is not None

    @property
    def instrument_id(self) -> InstrumentId:
        """Return the instrument.

        Raises:
            DataError: If the loader was given none.
        """
        if self._instrument_id is None:
            raise DataError(
                f"{self.source}: the instrument of these {self.kind.value} is not known;"
                f" pass it: wb.{self.kind.value}(source, instrument)"
            )
        return self._instrument_id

    @property
    def bar_type(self) -> BarType | None:
        """Return the type of the bars, None for quotes and trades."""
        return None if self.bar_spec is None else BarType(self.instrument_id, self.bar_spec)

    def __len__(self) -> int:
        return len(self.ts)

    @abstractmethod
    def bind(self: _D, instrument_id: InstrumentId) -> _D:
        """Return the same rows as data of this instrument.

        Raises:
            DataError: If they are of another one.
        """

    @abstractmethod
    def events(self, start: int = 0, stop: int | None = None) -> list[DataEvent]:
        """Return the messages of rows `start` to `stop` (exclusive), made on each call."""

    @abstractmethod
    def prices(self) -> Float64Array:
        """Return one float64 price per row: a quote's mid, a trade's price, a bar's close."""

    @abstractmethod
    def rows(self: _D, start: int, stop: int) -> _D:
        """Return a view of rows `start` to `stop` (exclusive)."""

    def span(self, start: int | None, end: int | None) -> tuple[int, int]:
        """Return the row numbers that bound `start <= ts < end` (nanoseconds, None: no bound)."""
        first = 0 if start is None else int(self.ts.searchsorted(start))
        last = len(self.ts) if end is None else int(self.ts.searchsorted(end))
        return first, max(first, last)

    def select(self: _D, start: Moment | None = None, end: Moment | None = None) -> _D:
        """Return a view of the rows with `start <= ts < end`.

        Args:
            start: Nanoseconds, ISO text (UTC where it names no zone) or a datetime with a zone.
            end: Likewise, exclusive.
        """
        first, last = self.span(
            None if start is None else to_ns(start, "start"),
            None if end is None else to_ns(end, "end"),
        )
        return self.rows(first, last)

    def _refuse_rebinding(self, instrument_id: InstrumentId) -> None:
        if self._instrument_id not in (None, instrument_id):
            raise DataError(
                f"{self.source}: these {self.kind.value} are of {self._instrument_id},"
                f" not of {instrument_id}"
            )

    @property
    def name(self) -> str:
        """Return the instrument, and for bars how they are cut."""
        instrument = self._instrument_id or "no instrument yet"
        return f"{instrument}-{self.bar_spec}" if self.bar_spec is not None else instrument

    def _period(self) -> str:
        if not len(self.ts):
            return "empty"
        return f"{format_ns(int(self.ts[0]))} to {format_ns(int(self.ts[-1]))}"

    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.name}: {len(self):,} rows, {self._period()}>"

    def _repr_html_(self) -> str:
        return pairs_html(
            [
                (self.kind.value, self.name),
                ("rows", f"{len(self):,}"),
                ("period", self._period()),
                ("source", self.source),
            ]
        )

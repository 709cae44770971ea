"""Market data: float64 prices and sizes, integer nanoseconds since the Unix epoch, UTC.

`ts_event` is when it happened at the venue, `ts_init` when the object was made; a stored bar is
stamped at its close. These structs are not tracked by the garbage collector (they cannot be part
of a cycle), which is what keeps a million of them cheap.
"""

from __future__ import annotations

import re

import msgspec

from workbench.model.enums import AggressorSide, BarAggregation, PriceType, parse_enum
from workbench.model.errors import ConfigError
from workbench.model.identifiers import InstrumentId, TradeId, parse_instrument_id

NANOSECONDS_IN_SECOND = 1_000_000_000

_FIXED_NS = {
    BarAggregation.MILLISECOND: 1_000_000,
    BarAggregation.SECOND: NANOSECONDS_IN_SECOND,
    BarAggregation.MINUTE: 60 * NANOSECONDS_IN_SECOND,
    BarAggregation.HOUR: 3600 * NANOSECONDS_IN_SECOND,
    BarAggregation.DAY: 86_400 * NANOSECONDS_IN_SECOND,
    BarAggregation.WEEK: 7 * 86_400 * NANOSECONDS_IN_SECOND,
}


class BarSpec(msgspec.Struct, frozen=True, cache_hash=True):
    """How bars are cut: every `step` of an aggregation, from one price.

    >>> BarSpec(1, BarAggregation.MINUTE, PriceType.BID)
    BarSpec('1-minute-bid')
    """

    step: int
    aggregation: BarAggregation
    price_type: PriceType = PriceType.LAST

    def __post_init__(self) -> None:
        """Check the step."""
        if self.step < 1:
            raise ConfigError(f"a bar's step must be 1 or more; got {self.step}")

    @staticmethod
    def parse(text: str) -> BarSpec:
        """Read `"1-minute-bid"`; the price is `last` where it is left out.

        Raises:
            ConfigError: If a part is missing or unknown.
        """
        match = re.fullmatch(r"(\d+)-([a-zA-Z]+)(?:-([a-zA-Z]+))?", text)
        if match is None:
            raise ConfigError(
                "a bar specification is STEP-AGGREGATION-PRICE, such as '1-minute-last';"
                f" got {text!r}"
            )
        return BarSpec(
            int(match[1]),
            parse_enum(BarAggregation, match[2], "bar aggregation"),
            parse_enum(PriceType, match[3] or "last", "bar price"),
        )

    @property
    def interval_ns(self) -> int | None:
        """Return the length in nanoseconds, or None where it is not fixed (months, ticks, ...)."""
        unit = _FIXED_NS.get(self.aggregation)
        return None if unit is None else unit * self.step

    def __str__(self) -> str:
        """Return the text `parse` reads."""
        return f"{self.step}-{self.aggregation.value}-{self.price_type.value}"

    def __repr__(self) -> str:
        """Return the text `parse` reads, in the class's name."""
        return f"BarSpec('{self}')"


class BarType(msgspec.Struct, frozen=True, cache_hash=True):
    """The bars of one instrument and specification.

    >>> BarType.parse("AUD/USD.SIM-1-minute-bid").spec.price_type
    <PriceType.BID: 'bid'>
    """

    instrument_id: InstrumentId
    spec: BarSpec

    @staticmethod
    def parse(value: str | BarType) -> BarType:
        """Read `"AUD/USD.SIM-1-minute-bid"`; a `BarType` is returned as it is.

        Raises:
            ConfigError: If a part is missing or unknown.
        """
        if isinstance(value, BarType):
            return value
        match = re.fullmatch(r"(.+?)-(\d+-[a-zA-Z]+(?:-[a-zA-Z]+)?)", value)
        if match is None:
            raise ConfigError(
                "a bar type is INSTRUMENT-STEP-AGGREGATION-PRICE, such as"
                f" 'BTC/USDT.BINANCE-1-minute-last'; got {value!r}"
            )
        return BarType(parse_instrument_id(match[1]), BarSpec.parse(match[2]))

    def __str__(self) -> str:
        """Return the text `parse` reads."""
        return f"{self.instrument_id}-{self.spec}"

    def __repr__(self) -> str:
        """Return the text `parse` reads, in the class's name."""
        return f"BarType('{self}')"


class Quote(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The best bid and ask and what is offered at them."""

    instrument_id: InstrumentId
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    ts_event: int
    ts_init: int

    @property
    def mid(self) -> float:
        """Return the middle between bid and ask."""
        return (self.bid + self.ask) / 2


class Trade(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A trade that happened in the market."""

    instrument_id: InstrumentId
    price: float
    size: float
    aggressor: AggressorSide
    trade_id: TradeId
    ts_event: int
    ts_init: int


class Bar(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Open, high, low, close and volume of an interval; `volume` is None where none is known."""

    bar_type: BarType
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    ts_event: int
    ts_init: int

    @property
    def instrument_id(self) -> InstrumentId:
        """Return the instrument of the bar's type."""
        return self.bar_type.instrument_id


class BidAskBar(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The bid and the ask bar of one interval: one event, seen together."""

    bid: Bar
    ask: Bar

    @property
    def instrument_id(self) -> InstrumentId:
        """Return the instrument of both bars."""
        return self.bid.bar_type.instrument_id

    @property
    def ts_event(self) -> int:
        """Return the close of the interval."""
        return self.bid.ts_event

    @property
    def ts_init(self) -> int:
        """Return when the bid bar was made."""
        return self.bid.ts_init


class DataGap(msgspec.Struct, frozen=True, tag=True):
    """Messages of one instrument that a bounded channel did not keep."""

    instrument_id: InstrumentId
    dropped: int
    ts_event: int
    ts_init: int

"""Market data: float64 prices and sizes, integer nanoseconds since the Unix epoch, UTC.

`ts_event` is when it happened at the venue, `ts_init` when the object was made; a stored bar is
stamped at its close. These structs are not tracked by the garbage collector (they cannot be part
of a cycle), which is what keeps a million of them cheap.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import msgspec

from workbench.model.enums import AggressorSide, BarAggregation, PriceType, parse_enum
from workbench.model.errors import ConfigError
from workbench.model.identifiers import InstrumentId, TradeId, parse_instrument_id

NANOSECONDS_IN_SECOND = 1_000_000_000
NO_INSTRUMENT = InstrumentId("")
"""The instrument of data that is of none."""

_FIXED_NS = {
    BarAggregation.MILLISECOND: 1_000_000,
    BarAggregation.SECOND: NANOSECONDS_IN_SECOND,
    BarAggregation.MINUTE: 60 * NANOSECONDS_IN_SECOND,
    BarAggregation.HOUR: 3600 * NANOSECONDS_IN_SECOND,
    BarAggregation.DAY: 86_400 * NANOSECONDS_IN_SECOND,
    BarAggregation.WEEK: 7 * 86_400 * NANOSECONDS_IN_SECOND,
}

_COUNTED = (BarAggregation.TICK, BarAggregation.VOLUME, BarAggregation.VALUE)


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

    @property
    def is_timed(self) -> bool:
        """Return whether time closes the bars."""
        return self.aggregation not in _COUNTED

    def divides(self, coarser: BarSpec) -> bool:
        """Return whether a whole number of these bars makes each of the coarser ones.

        >>> BarSpec.parse("1-minute").divides(BarSpec.parse("5-minute"))
        True
        """
        length = self.interval_ns
        if length is None or self == coarser or self.price_type is not coarser.price_type:
            return False
        whole = coarser.interval_ns
        if coarser.aggregation in (BarAggregation.WEEK, BarAggregation.MONTH):
            whole = _FIXED_NS[BarAggregation.DAY]  # weeks and months begin at midnight
        return whole is not None and whole % length == 0

    def __str__(self) -> str:
        """Return the text `parse` reads."""
        return f"{self.step}-{self.aggregation.value}-{self.price_type.value}"

    def __repr__(self) -> str:
        """Return the text `parse` reads, in the class's name."""
        return f"BarSpec('{self}')"


class BarType(msgspec.Struct, frozen=True, cache_hash=True):
    """The bars of one instrument and specification, and what they are made from.

    >>> BarType.parse("AUD/USD.SIM-1-minute-bid").spec.price_type
    <PriceType.BID: 'bid'>
    >>> BarType.parse("AUD/USD.SIM-5-minute-bid@1-minute-bid").source
    '1-minute-bid'

    Attributes:
        instrument_id: Their instrument.
        spec: How they are cut.
        source: What they are made from inside: `"quotes"`, `"trades"`, or the specification of
            finer bars. Empty: the data's own bars, or, where it has none, from what it has.
    """

    instrument_id: InstrumentId
    spec: BarSpec
    source: str = ""

    def __post_init__(self) -> None:
        """Check that the bars can be made from their source."""
        if self.source:
            _check_source(self.spec, self.source)

    @staticmethod
    def parse(value: str | BarType) -> BarType:
        """Read `"AUD/USD.SIM-1-minute-bid"`; a `BarType` is returned as it is.

        Raises:
            ConfigError: If a part is missing or unknown.
        """
        if isinstance(value, BarType):
            return value
        text: Any = value
        pattern = r"(.+?)-(\d+-[a-zA-Z]+(?:-[a-zA-Z]+)?)(?:@([\w-]+))?"
        match = re.fullmatch(pattern, text) if isinstance(text, str) else None
        if match is None:
            raise ConfigError(
                "a bar type is INSTRUMENT-STEP-AGGREGATION-PRICE, such as"
                f" 'BTC/USDT.BINANCE-1-minute-last'; got {value!r}"
            )
        return BarType(parse_instrument_id(match[1]), BarSpec.parse(match[2])).made_from(
            match[3] or ""
        )

    def made_from(self, source: str) -> BarType:
        """Return these bars as made from another source.

        Args:
            source: `"quotes"`, `"trades"`, or finer bars such as `"1-minute-last"` (`"1-minute"`:
                of the same price); empty for none in particular.

        Raises:
            ConfigError: If they cannot be made from it.
        """
        if not isinstance(source, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                "a source is 'quotes', 'trades' or finer bars such as '1-minute-last';"
                f" got {source!r}"
            )
        source = source.lower()
        if source and source not in ("quotes", "trades"):
            named = source if source.count("-") > 1 else f"{source}-{self.spec.price_type.value}"
            source = str(BarSpec.parse(named))
        return BarType(self.instrument_id, self.spec, source)

    @property
    def source_bars(self) -> BarType | None:
        """Return the finer bars they are made from; None where they are not made from bars."""
        if self.source in ("", "quotes", "trades"):
            return None
        return BarType(self.instrument_id, BarSpec.parse(self.source))

    def __str__(self) -> str:
        """Return the text `parse` reads."""
        return f"{self.instrument_id}-{self.spec}" + (f"@{self.source}" if self.source else "")

    def __repr__(self) -> str:
        """Return the text `parse` reads, in the class's name."""
        return f"BarType('{self}')"


def _check_source(spec: BarSpec, source: str) -> None:
    is_last = spec.price_type is PriceType.LAST
    if source == "trades" and not is_last:
        raise ConfigError(f"trades have no {spec.price_type.value} price; make {spec} from quotes")
    if source == "quotes" and is_last:
        raise ConfigError(f"quotes have no last price; make {spec} from trades")
    if source in ("quotes", "trades"):
        return
    finer = BarSpec.parse(source)
    if not finer.divides(spec):
        raise ConfigError(
            f"{spec} bars cannot be made from {finer} bars: these must be of the same price and"
            " their length must divide that of the others (one day, for weeks and months)"
        )


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


class MarkPrice(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The price a venue values open positions at."""

    instrument_id: InstrumentId
    price: float
    ts_event: int
    ts_init: int


class FundingRate(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What longs pay shorts at the next funding: a part of the notional, 0.0001 for 1 bp.

    `next_funding_ns` is when, nanoseconds since the epoch; None where the venue does not say.
    """

    instrument_id: InstrumentId
    rate: float
    ts_event: int
    ts_init: int
    next_funding_ns: int | None = None


class MarketStatus(StrEnum):
    """What can be done in a market."""

    PRE_OPEN = "pre_open"
    AUCTION = "auction"
    TRADING = "trading"
    PAUSED = "paused"
    HALTED = "halted"
    POST_CLOSE = "post_close"
    CLOSED = "closed"


class InstrumentStatus(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A market opened, closed, was halted, ...; `reason` is the venue's own word."""

    instrument_id: InstrumentId
    status: MarketStatus
    ts_event: int
    ts_init: int
    reason: str = ""


class DataGap(msgspec.Struct, frozen=True, tag=True):
    """Messages of one instrument that a bounded channel did not keep."""

    instrument_id: InstrumentId
    dropped: int
    ts_event: int
    ts_init: int

"""How long a bar is: as users write it, or as the times of the bars show it."""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import re

import numpy as np

from workbench.history.rows import Int64Array
from workbench.model.data import BarSpec
from workbench.model.display import format_ns
from workbench.model.enums import BarAggregation, PriceType, parse_enum
from workbench.model.errors import ConfigError, DataError

_UNITS = {
    BarAggregation.MILLISECOND: ("ms", "milli", "millisecond", "milliseconds"),
    BarAggregation.SECOND: ("s", "sec", "secs", "second", "seconds"),
    BarAggregation.MINUTE: ("m", "min", "mins", "minute", "minutes", "t"),
    BarAggregation.HOUR: ("h", "hr", "hrs", "hour", "hours"),
    BarAggregation.DAY: ("d", "day", "days"),
    BarAggregation.WEEK: ("w", "wk", "week", "weeks"),
    BarAggregation.MONTH: ("mo", "mon", "month", "months"),
}
_WORDS = {word: unit for unit, words in _UNITS.items() for word in words}
_STANDARD = (
    (BarAggregation.MILLISECOND, (100, 200, 250, 500)),
    (BarAggregation.SECOND, (1, 2, 5, 10, 15, 20, 30)),
    (BarAggregation.MINUTE, (1, 2, 3, 5, 10, 15, 20, 30)),
    (BarAggregation.HOUR, (1, 2, 3, 4, 6, 8, 12)),
    (BarAggregation.DAY, (1,)),
    (BarAggregation.WEEK, (1,)),
)
_DAY_NS = 86_400 * 10**9
_ODD_SHARE = 0.1


def parse_interval(interval: str | BarSpec, price: str | PriceType = "last") -> BarSpec:
    """Read `"1min"`, `"5m"`, `"1h"`, `"1d"`, `"1-minute"`, `"100-tick-bid"` or a `BarSpec`.

    `"1m"` is a minute; a month is `"1mo"` or `"1M"`.

    Args:
        interval: How bars are cut.
        price: Which price they are of, where `interval` does not say.

    Raises:
        ConfigError: If it cannot be read, or the two name different prices.

    >>> parse_interval("5m", "bid")
    BarSpec('5-minute-bid')
    """
    wanted = parse_enum(PriceType, price, "price")
    if isinstance(interval, str):
        short = re.fullmatch(r"\s*(\d*)\s*([a-zA-Z]+)\s*", interval)
        word = short[2] if short else ""
        unit = BarAggregation.MONTH if word == "M" else _WORDS.get(word.lower())
        if short and unit is not None:
            return BarSpec(int(short[1] or 1), unit, wanted)
        if short:
            raise ConfigError(
                f"interval must be such as '1min', '5m', '1h', '1d' or '100-tick'; got {interval!r}"
            )
        interval = BarSpec.parse(interval)
    if PriceType.LAST not in (interval.price_type, wanted) and interval.price_type is not wanted:
        raise ConfigError(f"interval {str(interval)!r} and price {wanted.value!r} differ")
    found = interval.price_type if wanted is PriceType.LAST else wanted
    return BarSpec(interval.step, interval.aggregation, found)


def infer_interval(ts: Int64Array, price: str | PriceType, label: str) -> BarSpec:
    """Return the standard interval that is the median spacing of bar times.

    Raises:
        DataError: If there is one bar only, no standard interval fits, or too many bars (more than
            a tenth) are closer together than it.
    """
    price_type = parse_enum(PriceType, price, "price")
    if len(ts) < 2:
        raise DataError(f"{label}: one bar shows no interval; pass it, such as interval='1min'")
    spacing = np.diff(ts)
    median = int(np.partition(spacing, len(spacing) // 2)[len(spacing) // 2])
    for unit, steps in _STANDARD:
        for step in steps:
            spec = BarSpec(step, unit, price_type)
            if spec.interval_ns == median and np.mean(spacing < median) <= _ODD_SHARE:
                return spec
    if 28 * _DAY_NS <= median <= 31 * _DAY_NS:
        return BarSpec(1, BarAggregation.MONTH, price_type)
    raise DataError(
        f"{label}: bars are {int(spacing.min()) / 1e9:g} s to {int(spacing.max()) / 1e9:g} s apart,"
        f" mostly {median / 1e9:g} s, which shows no standard interval; pass it, such as"
        " interval='1min'"
    )


def check_interval(spec: BarSpec, ts: Int64Array, label: str) -> None:
    """Refuse an interval that is far longer than the bars are apart.

    Raises:
        DataError: If most bars are at most half of it apart.
    """
    length = spec.interval_ns
    if length is None or len(ts) < 2:
        return
    median = int(np.median(np.diff(ts)))
    if median * 2 <= length:
        raise DataError(
            f"{label}: bars are mostly {median / 1e9:g} s apart (first at {format_ns(int(ts[0]))}),"
            f" so they are not {spec.step}-{spec.aggregation.value} bars; leave interval out, or"
            " aggregate them first"
        )

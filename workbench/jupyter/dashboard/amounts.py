"""Numbers as people read them: few digits, a unit, and always the same width of steps."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal

NOTHING = "–"
"""Stands where nothing was measured."""

_SCALES = ((1e9, "G"), (1e6, "M"), (1e4, "k"))


def count(value: int | None) -> str:
    """Return a count with its thousands apart, from ten million on in short.

    >>> count(1234), count(12_345_678), count(None)
    ('1,234', '12.3 M', '–')
    """
    if value is None:
        return NOTHING
    return f"{value:,}" if abs(value) < 10_000_000 else _scaled(float(value))


def rate(per_second: float | None) -> str:
    """Return a rate in messages a second.

    >>> rate(0.0), rate(3.14159), rate(240.4), rate(12_345.0)
    ('0', '3.1', '240', '12.3 k')
    """
    if per_second is None:
        return NOTHING
    if per_second < 0.05:
        return "0"
    return f"{per_second:.1f}" if per_second < 99.95 else _scaled(per_second)


def _scaled(value: float) -> str:
    for scale, unit in _SCALES:
        if abs(value) >= scale:
            return f"{value / (1e3 if unit == 'k' else scale):.1f} {unit}"
    return f"{value:,.0f}"


def duration(nanoseconds: int | None) -> str:
    """Return a length of time in the unit that leaves three digits.

    >>> duration(850), duration(12_345), duration(4_200_000), duration(3_210_000_000)
    ('850 ns', '12.3 µs', '4.2 ms', '3.21 s')
    >>> duration(150_000_000_000), duration(None)
    ('2 min 30 s', '–')
    """
    if nanoseconds is None:
        return NOTHING
    if nanoseconds < 1_000:
        return f"{nanoseconds} ns"
    if nanoseconds < 1_000_000:
        return _three_digits(nanoseconds / 1e3, "µs")
    if nanoseconds < 1_000_000_000:
        return _three_digits(nanoseconds / 1e6, "ms")
    seconds = nanoseconds / 1e9
    if seconds < 100:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _three_digits(value: float, unit: str) -> str:
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def amount(value: Decimal | float | None, digits: int = 28) -> str:
    """Return a price, quantity or balance, thousands apart, with so many digits at most.

    >>> amount(Decimal("1000000.50")), amount(Decimal("1E+3")), amount(None)
    ('1,000,000.50', '1,000', '–')
    >>> amount(Decimal("99.957500000000000000"), 9), amount(Decimal("2") / 3, 9)
    ('99.9575000', '0.666666667')
    """
    if value is None:
        return NOTHING
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if len(exact.as_tuple().digits) > digits:
        exact = Context(prec=digits).plus(exact)
    return f"{exact:,f}".replace("-", "−")


def money(value: Decimal | float | None) -> str:
    """Return a profit or loss with its sign, a true minus; six decimals where two show nothing.

    >>> money(Decimal("12.345")), money(Decimal("-1234.5")), money(Decimal("0.001"))
    ('+12.35', '−1,234.50', '+0.001000')
    >>> money(Decimal("0.00"))
    '0.00'
    """
    if value is None:
        return NOTHING
    if not value:
        return "0.00"
    decimals = 2 if abs(value) >= 0.005 else 6
    return f"{float(value):+,.{decimals}f}".replace("-", "−")


def time_of_day(nanoseconds: int | None) -> str:
    """Return a time of day in UTC, to the millisecond.

    >>> time_of_day(1_700_000_000_123_456_789)
    '22:13:20.123'
    """
    if nanoseconds is None:
        return NOTHING
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{rest // 1_000_000:03d}"


def moment(nanoseconds: int | None) -> str:
    """Return a date and time of day in UTC, to the second.

    >>> moment(1_700_000_000_123_456_789)
    '2023-11-14 22:13:20'
    """
    if nanoseconds is None:
        return NOTHING
    return f"{datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"

"""How values look: one line as text, a small table in a notebook.

Tables name no colours, so that they can be read on a light and on a dark page.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import msgspec

from workbench.model.money import MONEY_CONTEXT, Currency

LINE = 100
"""How many characters the repr of a value has at most."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 1_000_000_000
_LEFT = "style='text-align:left'"
_MOST = 10**19


def fitted(text: str, limit: int = LINE) -> str:
    """Return a text on one line, its middle left out where it is longer than `limit`.

    >>> fitted("a very long  text", 9)
    'a ve…text'
    """
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    half = (limit - 1) // 2
    return f"{line[: limit - 1 - half]}…{line[len(line) - half :]}"


def shown(value: object) -> str:
    """Return a value as a person reads it: grouped digits, no exponent, no trailing zeros.

    A `Decimal` is rounded to eight digits after the point, a float to four; None is empty.

    >>> shown(Decimal("1234567.500")), shown(1e6 / 7), shown(12_000), shown(None)
    ('1,234,567.5', '142,857.1429', '12,000', '')
    """
    if value is None:
        return ""
    if isinstance(value, Decimal) and value.is_finite():
        with localcontext(MONEY_CONTEXT):
            # `+ 0` in the context: no -0, and at most 28 digits.
            return f"{round(value, 8).normalize() + 0:,f}" if abs(value) < _MOST else f"{value:,f}"
    if isinstance(value, float):
        return f"{value:,.4f}"
    return f"{value:,}" if type(value) is int else str(value)


def told(message: object) -> str:
    """Return a message with the fields that say something; times of making are left out.

    >>> from workbench.model.data import Quote
    >>> told(Quote("A.B", 1.0, 2.0, 5.0, 5.0, 0, 0))
    'Quote(instrument_id=A.B, bid=1.0, ask=2.0, bid_size=5.0, ask_size=5.0)'
    """
    if not isinstance(message, msgspec.Struct) or type(message).__repr__ is not _PLAIN_REPR:
        return repr(message)  # it knows best how to look
    parts = [
        f"{field.name}={_told_value(value)}"
        for field in msgspec.structs.fields(message)
        if field.name not in ("ts_event", "ts_init")
        and _says(value := getattr(message, field.name), field.default)
    ]
    return f"{type(message).__name__}({', '.join(parts)})"


# Of a struct that does not say how it looks.
_PLAIN_REPR = msgspec.Struct.__repr__


def _says(value: object, default: object) -> bool:
    if isinstance(value, (str, tuple, msgspec.Struct)):
        return value not in ("", ()) and value != default
    return value is not None and value is not False


def _told_value(value: object) -> str:
    if isinstance(value, Decimal):
        return shown(value)
    if isinstance(value, (str, Currency)):
        return str(value)
    return told(value) if isinstance(value, msgspec.Struct) else repr(value)


def format_ns(ns: int) -> str:
    """Return a time as ISO 8601 text, as short as it is exact.

    >>> format_ns(1_500_000_000)
    '1970-01-01T00:00:01.5Z'
    """
    seconds, rest = divmod(int(ns), _SECOND_NS)
    whole = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{whole}{fraction}Z"


def duration(ns: int | None) -> str:
    """Return a length of time in the unit that suits it; empty for None.

    >>> duration(250), duration(12_300), duration(5_000_000), duration(1_250_000_000)
    ('250 ns', '12.3 µs', '5 ms', '1.25 s')
    """
    if ns is None:
        return ""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000)):
        if abs(ns) >= size:
            return (
                f"{ns / size:,.4g} {unit}" if abs(ns) < 1000 * size else f"{ns / size:,.0f} {unit}"
            )
    return f"{ns} ns"


def pairs_html(rows: Iterable[tuple[str, str]], title: str = "") -> str:
    """Return names and values as a table, one pair a row; everything is escaped.

    Args:
        rows: What each row is called, and what it says.
        title: A line in bold above it.
    """
    cells = "".join(
        f"<tr><th {_LEFT}>{html.escape(name)}</th><td {_LEFT}>{html.escape(text)}</td></tr>"
        for name, text in rows
    )
    return f"{_heading(title)}<table>{cells}</table>"


def grid_html(columns: Iterable[str], rows: Iterable[Iterable[str]], title: str = "") -> str:
    """Return rows below their columns' names as a table; everything is escaped."""
    head = "".join(f"<th {_LEFT}>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr>{''.join(f'<td {_LEFT}>{html.escape(text)}</td>' for text in row)}</tr>"
        for row in rows
    )
    return f"{_heading(title)}<table><tr>{head}</tr>{body}</table>"


def _heading(title: str) -> str:
    return f"<b>{html.escape(title)}</b>" if title else ""


def given(**values: object) -> list[tuple[str, str]]:
    """Return the values that are there, `_` in their names a space, each as `shown`.

    >>> given(average_price=Decimal("2.50"), reason="", trigger=None)
    [('average price', '2.5')]
    """
    rows = ((name.replace("_", " "), shown(value)) for name, value in values.items())
    return [(name, text) for name, text in rows if text]

"""Points in time as users write them, to and from integer nanoseconds since the Unix epoch, UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import numpy as np

from workbench.model.errors import DataError

Moment = int | str | datetime | np.datetime64
"""Nanoseconds, ISO 8601 text (UTC where it names no zone), a datetime with a zone, a datetime64."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FRACTION = re.compile(r"\.(\d{1,9})")


def to_ns(value: Moment, what: str = "time") -> int:
    """Return nanoseconds since the Unix epoch, UTC.

    Text without a zone is taken as UTC, and so is a `datetime64`, which cannot have one. A
    `datetime` without a zone is refused: Python means local time by it.

    Args:
        value: An integer (already nanoseconds), ISO 8601 text, a datetime or a `datetime64`.
        what: What the value is, for the error.

    Raises:
        DataError: If it is none of these or has no zone.

    >>> to_ns("1970-01-01T00:00:01.000000001")
    1000000001
    """
    if isinstance(value, bool):
        raise _unreadable(value, what)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, str):
        return _text_to_ns(value, what)
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[ns]").astype(np.int64))
    if not isinstance(value, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _unreadable(value, what)
    if value.tzinfo is None:
        raise DataError(f"{what} {value} has no time zone; add tzinfo=UTC, or pass ISO text")
    # A pandas Timestamp is a datetime with nanoseconds besides.
    return _datetime_to_ns(value) + int(getattr(value, "nanosecond", 0))


def _text_to_ns(text: str, what: str) -> int:
    fraction = _FRACTION.search(text)
    digits = fraction[1].ljust(9, "0") if fraction else "0"
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", text, count=1).strip())
    except ValueError:
        raise _unreadable(text, what) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _datetime_to_ns(moment) + int(digits)


def _datetime_to_ns(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND * 1000


def _unreadable(value: object, what: str) -> DataError:
    return DataError(
        f"{what} must be nanoseconds, ISO 8601 text such as '2024-01-31T09:30:00Z' or a datetime"
        f" with a zone; got {value!r}"
    )

"""Columns of times, in whatever form they come, as int64 nanoseconds since the Unix epoch, UTC."""

# pandas' stubs and pyarrow leave much of their results unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from datetime import date, datetime, tzinfo
from typing import Any

import numpy as np

from workbench.history.rows import AnyArray, Int64Array, Rows, first_true
from workbench.history.sources import Column
from workbench.model.errors import DataError

# An integer's size tells its unit: these are the years 1973 to 5138 in each of them.
_UNITS = ((10**8, 10**11, 10**9), (10**11, 10**14, 10**6), (10**14, 10**17, 10**3))
_ZONE = r"(Z|z|[+-]\d{2}(:?\d{2})?)$"
_LAST_SECOND = 2**63 // 10**9 - 1


def to_nanoseconds(column: Column, rows: Rows, tz: str | tzinfo | None = None) -> Int64Array:
    """Return the times of a column in nanoseconds UTC.

    `datetime64` of any unit, ISO 8601 text, datetimes and numbers are understood. Numbers are
    counted from the Unix epoch, in seconds, milliseconds, microseconds or nanoseconds, whichever
    puts the largest between the years 1973 and 5138. NumPy's `datetime64` is UTC; times of pandas,
    Arrow, files and Python without a zone are refused unless `tz` names it.

    Args:
        column: The times.
        rows: Where they came from, for errors.
        tz: The zone of times that name none, such as `"UTC"`; ignored for those that do.

    Raises:
        DataError: Naming the row and value that cannot be read, or the lack of a zone.
    """
    values = column.values
    kind = values.dtype.kind
    if kind == "M":
        naive = tz is not None if column.naive is None else column.naive
        return _from_datetime64(values, naive, column, rows, tz)
    if kind in "iu":
        return _from_integers(values, column, rows)
    if kind == "f":
        return _from_floats(values, column, rows)
    if kind in "OUT":
        return _from_objects(values.astype(object), column, rows, tz)
    raise DataError(f"{rows.label}: column {column.name!r} of {values.dtype} holds no times")


def _from_datetime64(
    values: AnyArray, naive: bool, column: Column, rows: Rows, tz: str | tzinfo | None
) -> Int64Array:
    _refuse_missing(np.isnat(values), column, rows)
    seconds = values.astype("datetime64[s]").astype(np.int64)
    outside = first_true(np.abs(seconds) > _LAST_SECOND)
    if outside is not None:
        raise DataError(
            f"{rows.at(outside)}: {column.name} {values[outside]} is outside the years 1678 to"
            " 2262 that nanoseconds can express"
        )
    moments = values.astype("datetime64[ns]")
    if naive:
        moments = _localize(moments, column, rows, tz)
    return np.ascontiguousarray(moments.astype(np.int64))


def _localize(moments: AnyArray, column: Column, rows: Rows, tz: str | tzinfo | None) -> AnyArray:
    if tz is None:
        raise DataError(
            f"{rows.label}: the times in column {column.name!r} have no time zone; pass tz='UTC',"
            " or the zone they are in, such as tz='America/New_York', to wb.bars(data, ...),"
            " wb.quotes or wb.trades (a pandas index can be localized with .tz_localize(...) as"
            " well)"
        )
    if tz == "UTC":
        return moments
    import pandas as pd

    try:
        wall = pd.DatetimeIndex(moments)
        localized = wall.tz_localize(tz, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC")
    except (LookupError, ValueError, TypeError, OSError) as error:
        raise DataError(f"{rows.label}: tz={tz!r} is no known time zone") from error
    unclear = first_true(np.asarray(localized.isna()))
    if unclear is not None:
        raise DataError(
            f"{rows.at(unclear)}: {column.name} {wall[unclear]} does not exist once in {tz}: the"
            " clocks were changed then; give the times in UTC"
        )
    return localized.to_numpy("datetime64[ns]")


def _from_integers(values: AnyArray, column: Column, rows: Rows) -> Int64Array:
    factor = _factor(values, column, rows)
    if int(values.max()) > np.iinfo(np.int64).max // factor:
        raise DataError(f"{rows.label}: column {column.name!r} holds times after the year 2262")
    return np.ascontiguousarray(values.astype(np.int64) * factor)


def _from_floats(values: AnyArray, column: Column, rows: Rows) -> Int64Array:
    _refuse_missing(~np.isfinite(values), column, rows)
    factor = _factor(values, column, rows)
    if factor == 1:
        raise DataError(
            f"{rows.label}: column {column.name!r} holds nanoseconds as {values.dtype}, which is"
            " not exact; convert it to int64 where the data is made"
        )
    whole = np.floor(values)
    # A float64 of seconds is good to a microsecond; what is beyond is noise.
    micro = np.round((values - whole) * (factor // 1000)).astype(np.int64)
    return whole.astype(np.int64) * factor + micro * 1000


def _factor(values: AnyArray, column: Column, rows: Rows) -> int:
    """Return the nanoseconds in the unit of these numbers."""
    largest = int(values.max()) if len(values) else 10**17
    if largest < 10**8:
        row = int(values.argmax())
        raise DataError(
            f"{rows.at(row)}: {column.name} {values[row]} is too small for a time: numbers are"
            " counted from 1970 in s, ms, us or ns; convert other forms to datetimes first"
        )
    return next((ns for low, high, ns in _UNITS if low <= largest < high), 1)


def _from_objects(
    values: AnyArray, column: Column, rows: Rows, tz: str | tzinfo | None
) -> Int64Array:
    types: set[type] = set(map(type, values.tolist()))
    if types <= {str}:
        return _from_text(values, column, rows, tz)
    if all(issubclass(t, int) and t is not bool for t in types):
        return _from_integers(values.astype(np.int64), column, rows)
    if types <= {int, float}:
        return _from_floats(values.astype(np.float64), column, rows)
    if all(issubclass(t, date) for t in types):
        return _from_datetimes(values, column, rows, tz)
    if types <= {np.datetime64}:
        moments = values.astype("datetime64[ns]")
        return _from_datetime64(moments, tz is not None, column, rows, tz)
    first = type(values[0])
    odd = next(i for i, v in enumerate(values) if _is_missing(v) or type(v) is not first)
    raise DataError(
        f"{rows.at(odd)}: {column.name} is {values[odd]!r}; a column of times holds datetimes,"
        " ISO 8601 text or numbers, one form throughout"
    )


def _is_missing(value: Any) -> bool:
    return value is None or not isinstance(value, str | date | int | float | np.datetime64)


def _from_datetimes(
    values: AnyArray, column: Column, rows: Rows, tz: str | tzinfo | None
) -> Int64Array:
    import pandas as pd

    _refuse_missing(np.array([v is pd.NaT for v in values]), column, rows)
    zones = np.array([isinstance(v, datetime) and v.tzinfo is not None for v in values])
    naive = _one_form(zones, values, column, rows)
    moments = pd.DatetimeIndex(pd.to_datetime(values, utc=True)).tz_localize(None)
    return _from_datetime64(moments.to_numpy(), naive, column, rows, tz)


def _from_text(values: AnyArray, column: Column, rows: Rows, tz: str | tzinfo | None) -> Int64Array:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(values) and values[0].isdigit() and len(values[0]) > 8:  # not 20240131
        numbers = pd.to_numeric(pd.Series(values), errors="coerce")
        _refuse_missing(numbers.isna().to_numpy(), column, rows)
        return _from_integers(numbers.to_numpy(), column, rows)
    time_of_day = rf"\d[T ]?\d{{2}}:?\d{{2}}.*{_ZONE}"  # else the -31 of a date looks like a zone
    zones = pc.match_substring_regex(pa.array(values, pa.string()), time_of_day).to_numpy(False)
    naive = _one_form(zones, values, column, rows)
    parsed = pd.to_datetime(pd.Series(values), format="ISO8601", utc=True, errors="coerce")
    bad = first_true(parsed.isna().to_numpy())
    if bad is not None:
        raise DataError(
            f"{rows.at(bad)}: {column.name} {values[bad]!r} is not ISO 8601, such as"
            " '2024-01-31 09:30:00'; parse it with pandas.to_datetime(..., format=...) first"
        )
    moments = pd.DatetimeIndex(parsed).tz_localize(None).to_numpy()
    return _from_datetime64(moments, naive, column, rows, tz)


def _one_form(zones: AnyArray, values: AnyArray, column: Column, rows: Rows) -> bool:
    """Return whether none has a zone; refuse some with and some without."""
    if len(zones) and zones.any() and not zones.all():
        odd = first_true(zones != zones[0]) or 0
        raise DataError(
            f"{rows.at(odd)}: {column.name} {values[odd]} and the rows before it differ in whether"
            " they name a time zone; give all of them one"
        )
    return not (len(zones) and zones[0])


def _refuse_missing(mask: AnyArray, column: Column, rows: Rows) -> None:
    bad = first_true(mask)
    if bad is not None:
        raise DataError(f"{rows.at(bad)}: no time in column {column.name!r}; drop or fill the row")

"""Which column is which: the names that are understood for each part of a quote, trade or bar."""

from __future__ import annotations

import re
from collections.abc import Mapping

from workbench.history.sources import Column, RawTable
from workbench.model.commands import DataKind
from workbench.model.errors import DataError

OPEN_TIMES = ("open_time", "start_time", "bar_start")
CLOSE_TIMES = ("close_time", "end_time", "bar_end")

# In order of preference. Upper and lower case and every mark between letters are ignored.
ALIASES: dict[str, tuple[str, ...]] = {
    "timestamp": (
        *("timestamp", "ts_event", "ts", "datetime", "event_time", "trade_time", "transact_time"),
        *("time", "date", *CLOSE_TIMES, *OPEN_TIMES, "ts_init", "gmt_time", "t"),
        *("index", "__index_level_0__", ""),  # what an index without a name is saved as
    ),
    "bid": ("bid", "bid_price", "best_bid", "best_bid_price", "bid_px", "bid_px_00"),
    "ask": ("ask", "ask_price", "best_ask", "best_ask_price", "ask_px", "ask_px_00", "offer"),
    "bid_size": (
        *("bid_size", "bid_qty", "bid_quantity", "bid_amount", "bid_volume", "best_bid_size"),
        *("best_bid_qty", "bid_sz", "bid_sz_00"),
    ),
    "ask_size": (
        *("ask_size", "ask_qty", "ask_quantity", "ask_amount", "ask_volume", "best_ask_size"),
        *("best_ask_qty", "ask_sz", "ask_sz_00", "offer_size"),
    ),
    "price": ("price", "trade_price", "px", "p"),
    "size": ("size", "quantity", "qty", "amount", "volume", "trade_size", "sz", "vol", "q"),
    "buyer_maker": ("buyer_maker", "is_buyer_maker"),
    "aggressor": ("aggressor", "aggressor_side", "taker_side", "side"),
    "trade_id": ("trade_id", "id", "agg_trade_id", "tid"),
    "open": ("open", "open_price", "o"),
    "high": ("high", "high_price", "h"),
    "low": ("low", "low_price", "l"),
    "close": ("close", "close_price", "c"),
    "volume": ("volume", "vol", "v"),
    "symbol": ("symbol", "ticker", "instrument_id", "instrument", "sym"),
}

REQUIRED: dict[DataKind, tuple[str, ...]] = {
    DataKind.QUOTES: ("timestamp", "bid", "ask"),
    DataKind.TRADES: ("timestamp", "price", "size"),
    DataKind.BARS: ("timestamp", "open", "high", "low", "close"),
}
_OPTIONAL: dict[DataKind, tuple[str, ...]] = {
    DataKind.QUOTES: ("bid_size", "ask_size"),
    DataKind.TRADES: ("buyer_maker", "aggressor", "trade_id"),
    DataKind.BARS: ("volume",),
}


def match_columns(
    table: RawTable, kind: DataKind, overrides: Mapping[str, str] | None = None
) -> dict[str, Column]:
    """Return the column of each part of a message that the table has.

    Args:
        table: The source's columns.
        kind: What to look for.
        overrides: Part to column name, such as `{"bid": "my_column"}`, instead of the usual names.

    Raises:
        DataError: If a part is missing, or two columns could be meant.
    """
    parts = REQUIRED[kind] + _OPTIONAL[kind]
    named = _overrides(table, kind, parts, overrides or {})
    found: dict[str, Column] = {}
    for part in parts:
        column = named.get(part) or find_column(table, part)
        if column is not None:
            found[part] = column
    missing = [part for part in REQUIRED[kind] if part not in found]
    if missing:
        raise DataError(_explain_missing(table, kind, missing))
    return found


def guess_kind(table: RawTable) -> DataKind:
    """Return the one kind of data that the columns can hold.

    Raises:
        DataError: If they can hold none, or more than one.
    """
    kinds = [
        kind
        for kind, parts in REQUIRED.items()
        if all(find_column(table, part) is not None for part in parts[1:])
    ]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        words = " or ".join(kind.value for kind in kinds)
        calls = " or ".join(f"wb.{kind.value}(...)" for kind in kinds)
        raise DataError(f"{table.label}: the columns could be {words}; say which with {calls}")
    raise DataError(
        f"{table.label}: columns {_listed(table)} are neither quotes (bid, ask), trades (price,"
        " size) nor bars (open, high, low, close); name them with"
        " wb.quotes/trades/bars(..., columns={'price': 'my_column'})"
    )


def is_stamped_at(column: Column) -> str | None:
    """Return "open" or "close" where a time column's name says which, else None.

    >>> import numpy as np
    >>> is_stamped_at(Column("Open time", np.array([0])))
    'open'
    """
    key = _key(column.name)
    if key in map(_key, OPEN_TIMES):
        return "open"
    return "close" if key in map(_key, CLOSE_TIMES) else None


def open_time_of(table: RawTable) -> Column | None:
    """Return the column that says when bars open, where there is one by name."""
    return next((c for c in table.columns if is_stamped_at(c) == "open"), None)


def _overrides(
    table: RawTable, kind: DataKind, parts: tuple[str, ...], overrides: Mapping[str, str]
) -> dict[str, Column]:
    named: dict[str, Column] = {}
    for part, name in overrides.items():
        meant = "timestamp" if part in ALIASES["timestamp"] else part
        if meant not in parts:
            raise DataError(f"columns={{{part!r}: ...}}: {kind.value} have {', '.join(parts)}")
        matching = [column for column in table.columns if column.name == name]
        if len(matching) != 1:
            count = "no" if not matching else f"{len(matching)}"
            raise DataError(f"{table.label}: {count} column {name!r}; there are {_listed(table)}")
        named[meant] = matching[0]
    return named


def find_column(table: RawTable, part: str) -> Column | None:
    """Return the column that goes by one of the names of a part, None where there is none.

    Raises:
        DataError: If two columns go by the same name.
    """
    if part == "timestamp" and table.index is not None:
        return table.index
    for alias in ALIASES[part]:
        key = _key(alias)
        found = [column for column in table.columns if _key(column.name) == key]
        if len(found) > 1:
            raise DataError(
                f"{table.label}: columns {', '.join(repr(c.name) for c in found)} could each be"
                f" {part!r}; say which with columns={{{part!r}: ...}}, or drop the others"
            )
        if found:
            return found[0]
    return None


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _listed(table: RawTable) -> str:
    return ", ".join(repr(column.name) for column in table.columns) or "(none)"


def _explain_missing(table: RawTable, kind: DataKind, missing: list[str]) -> str:
    wanted = "; ".join(
        f"{part!r} (understood: {', '.join(alias for alias in ALIASES[part] if alias)})"
        for part in missing
    )
    return (
        f"{table.label}: {kind.value} need a column for {wanted}. There are {_listed(table)}."
        f" Name yours with wb.{kind.value}(data, columns={{{missing[0]!r}: 'your_column'}})"
    )

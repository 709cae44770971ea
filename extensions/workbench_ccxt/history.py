"""Stored data, fetched in as many pages as it takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from workbench.model.data import Bar, BarType, Trade
from workbench.model.enums import AggressorSide
from workbench.model.identifiers import InstrumentId, TradeId
from workbench.venues.contract import HistoryRequest
from workbench.venues.errors import VenueError

_MS = 1_000_000
_PAGE = 1000
_MOST_PAGES = 2000
_FIRST_WINDOW_MS = 60_000
_LONGEST_WINDOW_MS = 7 * 86_400_000
_SIDES = {"buy": AggressorSide.BUYER, "sell": AggressorSide.SELLER}

Fetch = Callable[[int | None, int], Awaitable[Sequence[Any]]]
"""Fetches one page: the oldest so many since a time in ms, or the newest for None."""


def trade(raw: Any, instrument_id: InstrumentId, now_ns: int) -> Trade:
    """Return a public trade."""
    at_ms = raw["timestamp"]
    at_ns = now_ns if at_ms is None else int(at_ms) * _MS
    trade_id = raw["id"] or f"{at_ms}-{raw['price']}-{raw['amount']}"
    return Trade(
        instrument_id,
        float(raw["price"]),
        float(raw["amount"]),
        _SIDES.get(raw["side"], AggressorSide.NONE),
        TradeId(trade_id),
        at_ns,
        now_ns,
    )


def bar(row: Sequence[Any], bar_type: BarType, now_ns: int) -> Bar:
    """Return a candle of ccxt as a bar, stamped at its close."""
    length = bar_type.spec.interval_ns or 0
    opened, high, low, close, volume = row[1:6]
    return Bar(
        bar_type,
        float(opened),
        float(high),
        float(low),
        float(close),
        None if volume is None else float(volume),
        int(row[0]) * _MS + length,
        now_ns,
    )


async def forward(
    fetch: Fetch,
    since_ms: int,
    until_ms: int,
    time_of: Callable[[Any], int],
    key_of: Callable[[Any], Any],
) -> list[Any]:
    """Return everything of `since_ms <= time < until_ms`, page after page.

    Pages overlap by what has the same time as the last of a page.

    Raises:
        VenueError: If there are too many pages, or more of one time than fit into one.
    """
    found: dict[Any, Any] = {}
    since = since_ms
    for _ in range(_MOST_PAGES):
        page = await fetch(since, _PAGE)
        fresh = {key_of(row): row for row in page if key_of(row) not in found}
        found.update(fresh)
        if not page:
            break
        latest = max(time_of(row) for row in page)
        if not fresh and len(page) >= _PAGE and min(time_of(row) for row in page) == latest:
            raise VenueError(
                f"more than {_PAGE} rows of one time ({latest} ms): some would be lost"
            )
        if latest >= until_ms or (not fresh and latest <= since):
            break
        since = latest if fresh else latest + 1
    else:
        raise VenueError(f"more than {_MOST_PAGES} pages of history; ask for a shorter time")
    rows = [row for row in found.values() if since_ms <= time_of(row) < until_ms]
    return sorted(rows, key=time_of)


async def bars(
    fetch: Fetch, request: HistoryRequest, bar_type: BarType, now_ns: int
) -> Sequence[Bar]:
    """Return the bars that are asked for, without the one that is not over."""
    length_ms = (bar_type.spec.interval_ns or 0) // _MS
    end_ms = _ends_ms(request, now_ns)
    start_ms = 0 if request.start is None else request.start // _MS
    count = _PAGE if request.limit is None and request.start is None else request.limit
    if count is not None:
        start_ms = max(start_ms, min(end_ms, now_ns // _MS) - (count + 1) * length_ms)
    rows = await forward(
        fetch, start_ms - length_ms, end_ms, lambda row: int(row[0]), lambda row: int(row[0])
    )
    made = [bar(row, bar_type, now_ns) for row in rows]
    return [one for one in made if one.ts_event <= now_ns]


async def trades(fetch: Fetch, request: HistoryRequest, now_ns: int) -> Sequence[Trade]:
    """Return the trades that are asked for.

    Without a start: the newest, looked for in windows that grow until there are enough.
    """
    end_ms = _ends_ms(request, now_ns)
    if request.start is not None:
        rows = await _trades_since(fetch, request.start // _MS, end_ms)
    elif request.end is None or request.end >= now_ns:
        rows = await fetch(None, min(_PAGE, request.limit or _PAGE))
        if request.limit is not None and len(rows) < request.limit and len(rows) >= _PAGE:
            rows = await _newest(fetch, end_ms, request.limit)
    else:
        rows = await _newest(fetch, end_ms, request.limit or _PAGE)
    return [trade(row, request.instrument_id, now_ns) for row in rows]


async def _newest(fetch: Fetch, end_ms: int, count: int) -> Sequence[Any]:
    window_ms = _FIRST_WINDOW_MS
    while True:
        rows = await _trades_since(fetch, end_ms - window_ms, end_ms)
        if len(rows) >= count or window_ms >= _LONGEST_WINDOW_MS:
            return rows
        window_ms *= 4


async def _trades_since(fetch: Fetch, since_ms: int, until_ms: int) -> list[Any]:
    return await forward(
        fetch,
        since_ms,
        until_ms,
        lambda row: int(row["timestamp"]),
        lambda row: row["id"] or (row["timestamp"], row["price"], row["amount"]),
    )


def _ends_ms(request: HistoryRequest, now_ns: int) -> int:
    """Return the first millisecond that is not asked for any more."""
    end_ns = now_ns + 3_600_000 * _MS if request.end is None else request.end
    return -(-min(end_ns, now_ns + 3_600_000 * _MS) // _MS)

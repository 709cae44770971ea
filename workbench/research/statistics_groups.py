"""Statistics by strategy, instrument or account: what belongs to a group, and on what capital."""

# The stubs of NumPy and pandas leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, localcontext
from math import inf
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from workbench.history import Timeline
from workbench.model.enums import OrderSide, PositionSide
from workbench.model.errors import ConfigError
from workbench.model.events import PositionEvent
from workbench.model.identifiers import AccountId, PositionId
from workbench.model.money import MONEY_CONTEXT, ZERO
from workbench.research.equity import Times
from workbench.research.statistics import benchmark_returns, periodic_returns, statistics

if TYPE_CHECKING:
    import pandas as pd

Grouping = Literal["strategy", "instrument", "account"]
ProfitCurve = Callable[[list[PositionEvent]], "pd.DataFrame"]

_FIELDS = {"strategy": "strategy_id", "instrument": "instrument_id", "account": "account_id"}
_ALL = "all"


class ClosedByEvent(NamedTuple):
    """A position that was closed: the side that opened it, and what it brought."""

    entry: OrderSide
    realized_pnl: Decimal


def statistics_by(
    by: Grouping | None,
    *,
    events: Iterable[PositionEvent],
    balances: Mapping[AccountId, Mapping[str, Decimal]],
    currencies: Iterable[str],
    profit: ProfitCurve,
    benchmark: pd.Series[float] | None = None,
    interval: str = "1D",
    periods_per_year: float = 252,
) -> pd.DataFrame:
    """Return statistics, one a row, of each group and settlement currency, one a column.

    A group's returns are those of its capital and its profit together, realised or not. Its capital
    is what the accounts it traded in began with; strategies of one account therefore each count on
    the whole of it.

    Args:
        by: What makes a group; None for one group of everything.
        events: What happened to positions, in order and from their opening on. They tell of each
            position that was closed, also of those that a cache has forgotten since.
        balances: What each account began with, by currency code.
        currencies: Which have a column even if nothing was traded in them; only without `by`.
        profit: Makes the profit curve of some position events, by currency code.
        benchmark: Prices to compare with: see `benchmark_returns`.
        interval: The length of the intervals returns are of.
        periods_per_year: How many of them a year has.

    Raises:
        ConfigError: If `by` or `interval` is not known, or `periods_per_year` is not positive.
        DataError: If the benchmark is not usable.
    """
    if by is not None and by not in list(_FIELDS):
        raise ConfigError(f"statistics are by {', '.join(_FIELDS)} or None for all; got {by!r}")
    year: Any = periods_per_year
    if isinstance(year, bool) or not isinstance(year, (int, float)) or not 0 < year < inf:
        raise ConfigError(f"periods_per_year must be a positive number; got {year!r}")
    of_benchmark = None if benchmark is None else benchmark_returns(benchmark, interval)
    happened = _grouped(by, events)
    wanted = [] if by is not None else [(_ALL, code) for code in currencies]
    columns: dict[tuple[str, str], pd.Series[Any]] = {}
    for key in dict.fromkeys([*wanted, *happened]):
        moved = happened.get(key, [])
        accounts = balances if by is None else dict.fromkeys(e.account_id for e in moved)
        capital = _capital(balances, accounts, key[1])
        returns = _returns(profit(moved), key[1], capital, interval)
        columns[key] = statistics(
            closed_positions(moved),
            returns,
            benchmark=of_benchmark,
            periods_per_year=periods_per_year,
        )
    rows = statistics([], periodic_returns(_nothing()), benchmark=of_benchmark).index
    return _frame(columns, by, rows)


def interval_ends(timeline: Timeline, until: int, step: int) -> Times:
    """Return the ends of the intervals in which there was data, the last no later than `until`.

    An interval of `step` nanoseconds, counted from 1970-01-01, includes its end, not its beginning.
    One that ends with the very first event is part of the next: no time passed in it.
    """
    first = timeline.first_ts // step
    edges = np.arange(first, -(-until // step) + 1, dtype=np.int64) * step
    seen = np.zeros(max(0, len(edges) - 1), dtype=np.bool_)
    for stream in timeline.streams:
        known = np.searchsorted(stream.ts, np.minimum(edges, until), side="right")
        seen |= np.diff(known) > 0
    return np.minimum(edges[1:][seen], until)


def closed_positions(events: Iterable[PositionEvent]) -> list[ClosedByEvent]:
    """Return the positions that events tell were closed, in the order in which they were."""
    entries: dict[PositionId, OrderSide] = {}
    closed: list[ClosedByEvent] = []
    for event in events:
        if event.side is not PositionSide.FLAT:
            is_long = event.side is PositionSide.LONG
            entries[event.position_id] = OrderSide.BUY if is_long else OrderSide.SELL
        elif event.position_id in entries:
            closed.append(ClosedByEvent(entries.pop(event.position_id), event.realized_pnl))
    return closed


def _grouped(
    by: Grouping | None, events: Iterable[PositionEvent]
) -> dict[tuple[str, str], list[PositionEvent]]:
    groups: dict[tuple[str, str], list[PositionEvent]] = {}
    for event in events:
        group = _ALL if by is None else str(getattr(event, _FIELDS[by]))
        groups.setdefault((group, event.currency.code), []).append(event)
    return groups


def _capital(
    balances: Mapping[AccountId, Mapping[str, Decimal]], accounts: Iterable[AccountId], code: str
) -> Decimal:
    with localcontext(MONEY_CONTEXT):
        return sum((balances.get(account, {}).get(code, ZERO) for account in accounts), ZERO)


def _returns(profit: pd.DataFrame, code: str, capital: Decimal, interval: str) -> pd.Series[float]:
    import pandas as pd

    gained = profit[code] if code in profit else pd.Series(0.0, index=profit.index)
    worth = float(capital) + gained
    return periodic_returns(worth, start=float(capital), interval=interval)


def _nothing() -> pd.Series[float]:
    import pandas as pd

    return pd.Series(np.empty(0), index=pd.DatetimeIndex([], tz="UTC"))


def _frame(
    columns: dict[tuple[str, str], pd.Series[Any]], by: Grouping | None, rows: pd.Index[Any]
) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(columns, index=rows, dtype=object)
    if by is None:
        frame.columns = pd.Index([code for _, code in columns], name="currency")
    else:
        names = [by, "currency"]
        frame.columns = pd.MultiIndex.from_tuples(list(columns), names=names)
    return frame

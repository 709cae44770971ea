"""The equity curve: balance and open profit, sampled over the run."""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.history import Timeline
from workbench.model.enums import AccountType
from workbench.model.events import AccountState, PositionEvent
from workbench.model.identifiers import InstrumentId
from workbench.model.instruments import Instrument

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 2000
Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


def equity_curve(
    timeline: Timeline,
    instruments: list[Instrument],
    accounts: list[AccountState],
    positions: list[PositionEvent],
    handled_until: int,
) -> pd.DataFrame:
    """Return equity by currency over time, float64, indexed by `datetime64[ns, UTC]`.

    A margin account's equity is its balance and the unrealised profit of open positions at mid (or
    close) prices; a cash account's is its balances and, in the quote currency, the value of what it
    holds. At most about 2,000 points besides those at which an account changed.

    Args:
        timeline: Where prices come from.
        instruments: What was traded.
        accounts: Every account state, in order.
        positions: Every position event, in order.
        handled_until: The time the run reached, nanoseconds.
    """
    import pandas as pd

    times = _sample_times(timeline, accounts, handled_until)
    columns: dict[str, Floats] = {}
    for code in dict.fromkeys(b.currency.code for state in accounts for b in state.balances):
        columns[code] = _balances(accounts, code, times)
    for instrument in instruments:
        unit = instrument.settlement_currency.code
        price = _prices(timeline, instrument.id, times)
        if price is not None and unit in columns:
            columns[unit] = columns[unit] + _open_value(
                instrument, accounts, positions, price, times
            )
    index = pd.to_datetime(times, unit="ns", utc=True)
    return pd.DataFrame(columns, index=index).rename_axis("time")


def _sample_times(timeline: Timeline, accounts: list[AccountState], until: int) -> Times:
    parts: list[Times] = [np.array([a.ts_event for a in accounts], dtype=np.int64)]
    for stream in timeline.streams:
        ts = stream.ts
        if len(ts):
            parts.append(ts[:: max(1, len(ts) // SAMPLES)])
            parts.append(ts[-1:])
    times = np.unique(np.concatenate(parts))
    times = times[times <= until]
    if len(times) > 4 * SAMPLES:
        keep = np.linspace(0, len(times) - 1, 4 * SAMPLES).round().astype(np.int64)
        times = times[np.unique(keep)]
    return times


def _as_of(times: Times, known_at: Times, values: Floats, before: float) -> Floats:
    """Return the latest value known at each time, `before` where there was none yet."""
    where = np.searchsorted(known_at, times, side="right")
    return np.concatenate(([before], values))[where]


def _balances(accounts: list[AccountState], code: str, times: Times) -> Floats:
    rows: dict[str, list[tuple[int, float]]] = {}
    for state in accounts:
        for balance in state.balances:
            if balance.currency.code == code:
                rows.setdefault(state.account_id, []).append((state.ts_event, float(balance.total)))
    total = np.zeros(len(times))
    for series in rows.values():
        known_at = np.array([t for t, _ in series], dtype=np.int64)
        values = np.array([v for _, v in series])
        total = total + _as_of(times, known_at, values, 0.0)
    return total


def _prices(timeline: Timeline, instrument_id: InstrumentId, times: Times) -> Floats | None:
    for stream in timeline.streams:
        if stream.instrument_id == instrument_id:
            prices: Any = stream.dataset.prices()
            return _as_of(times, stream.dataset.ts, np.asarray(prices, dtype=np.float64), np.nan)
    return None


def _open_value(
    instrument: Instrument,
    accounts: list[AccountState],
    positions: list[PositionEvent],
    price: Floats,
    times: Times,
) -> Floats:
    """Return what open positions add to balances, in the settlement currency."""
    is_cash = any(a.account_type is AccountType.CASH for a in accounts)
    multiplier = float(instrument.multiplier)
    total = np.zeros(len(times))
    mine = [e for e in positions if e.instrument_id == instrument.id]
    for strategy_id in dict.fromkeys(e.strategy_id for e in mine):
        own = [e for e in mine if e.strategy_id == strategy_id]
        known_at = np.array([e.ts_event for e in own], dtype=np.int64)
        held = _as_of(times, known_at, np.array([float(e.signed_quantity) for e in own]), 0.0)
        entry = _as_of(times, known_at, np.array([float(e.average_open) for e in own]), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            if is_cash:
                value = held * multiplier * price
            elif instrument.is_inverse:
                value = held * multiplier * (1 / entry - 1 / price)
            else:
                value = held * multiplier * (price - entry)
        total = total + np.where(held == 0, 0.0, value)
    return total

"""Curves of a run: what accounts were worth and what trading brought, sampled over time."""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.history import Dataset, Stream, Timeline
from workbench.history.merging import BidAskBars
from workbench.model.commands import DataKind
from workbench.model.data import Quote, Trade
from workbench.model.enums import AccountType, PriceType
from workbench.model.events import AccountState, PositionEvent
from workbench.model.identifiers import AccountId, InstrumentId, PositionId, StrategyId
from workbench.model.instruments import Instrument

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 2000
"""How many rows of each stream are looked at; a curve has at most four times as many points."""

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


class Curves:
    """Curves of one run by currency code, float64, for plotting and for drawdowns.

    Open positions are valued at what closing them would bring: a long one at the bid, a short one
    at the ask, both the close or trade price where nothing else is known. Where a price is missing
    the curve is NaN.

    Args:
        timeline: Where prices come from.
        instruments: What was traded.
        accounts: Every account state, in order.
        positions: Every position event, in order.
        until: The time the run reached, nanoseconds.
        times: When the curves are looked at, rising nanoseconds; by default some thousand samples.
    """

    def __init__(
        self,
        timeline: Timeline,
        instruments: Iterable[Instrument],
        accounts: Sequence[AccountState],
        positions: Iterable[PositionEvent],
        until: int,
        times: Times | None = None,
    ) -> None:
        self._timeline = timeline
        self._instruments = {instrument.id: instrument for instrument in instruments}
        self._accounts = accounts
        self._tracks = _tracks(positions)
        self.times = _sample_times(timeline, accounts, until) if times is None else times

    def equity(self) -> pd.DataFrame:
        """Return what all accounts together were worth, a column for each currency they hold.

        Nothing is converted. A currency's column is its balance and, in it, the unrealised profit
        of a margin account's positions and the value of a cash account's shares. What a cash
        account bought of a currency is in that currency's own column.
        """
        columns = _balances(self._accounts, self.times)
        kinds = {state.account_id: state.account_type for state in self._accounts}
        for track in self._tracks:
            instrument = self._instruments[track.instrument_id]
            added = self._unrealized[track.key]
            if kinds.get(track.account_id) is AccountType.CASH:
                if instrument.base_currency is not None:
                    continue
                added = self._worth(track)
            unit = instrument.settlement_currency.code
            columns[unit] = columns.get(unit, 0.0) + added
        return self._frame(columns)

    def profit(self) -> pd.DataFrame:
        """Return realised and unrealised profit, commissions included, by settlement currency."""
        columns: dict[str, Floats] = {}
        for track in self._tracks:
            unit = self._instruments[track.instrument_id].settlement_currency.code
            realized = _as_of(self.times, track.times, track.realized, 0.0)
            columns[unit] = columns.get(unit, 0.0) + realized + self._unrealized[track.key]
        return self._frame(columns)

    def _frame(self, columns: dict[str, Floats]) -> pd.DataFrame:
        import pandas as pd

        index = pd.to_datetime(self.times, unit="ns", utc=True)
        return pd.DataFrame(columns, index=index, dtype=np.float64).rename_axis("time")

    @cached_property
    def _unrealized(self) -> dict[tuple[InstrumentId, StrategyId], Floats]:
        """Return the profit of closing each strategy's position."""
        return {track.key: self._open_profit(track) for track in self._tracks}

    @cached_property
    def _prices(self) -> dict[InstrumentId, tuple[Floats, Floats]]:
        """Return bid and ask of each instrument that was traded."""
        traded = dict.fromkeys(track.instrument_id for track in self._tracks)
        prices: dict[InstrumentId, tuple[Floats, Floats]] = {}
        for name in traded:
            # On the grid, as fills are and as the portfolio values what is held.
            tick = self._instruments[name].tick_size
            bid, ask = _bid_and_ask(self._timeline, name, self.times)
            prices[name] = np.round(bid / tick) * tick, np.round(ask / tick) * tick
        return prices

    def _closing(self, track: _Track) -> tuple[Floats, Floats]:
        """Return the quantity held, and the price at which that could be closed."""
        held = _as_of(self.times, track.times, track.held, 0.0)
        bid, ask = self._prices[track.instrument_id]
        return held, np.where(held > 0, bid, ask)

    def _open_profit(self, track: _Track) -> Floats:
        instrument = self._instruments[track.instrument_id]
        held, price = self._closing(track)
        entry = _as_of(self.times, track.times, track.entry, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = 1 / entry - 1 / price if instrument.is_inverse else price - entry
            return np.where(held == 0, 0.0, held * float(instrument.multiplier) * moved)

    def _worth(self, track: _Track) -> Floats:
        instrument = self._instruments[track.instrument_id]
        held, price = self._closing(track)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = 1 / price if instrument.is_inverse else price
            return np.where(held == 0, 0.0, held * float(instrument.multiplier) * each)


class _Track:
    """One strategy's position in one instrument after each of its events."""

    def __init__(self, first: PositionEvent) -> None:
        self.key = (first.instrument_id, first.strategy_id)
        self.instrument_id = first.instrument_id
        self.account_id: AccountId = first.account_id
        self._rows: list[tuple[int, float, float, float]] = []
        self._position_id: PositionId = first.position_id
        self._before = 0.0  # realised by positions that were closed earlier
        self._realized = 0.0

    def add(self, event: PositionEvent) -> None:
        """Take the next event."""
        if event.position_id != self._position_id:
            self._position_id = event.position_id
            self._before = self._realized
        self._realized = self._before + float(event.realized_pnl)
        self._rows.append(
            (
                event.ts_event,
                float(event.signed_quantity),
                float(event.average_open),
                self._realized,
            )
        )

    def finish(self) -> None:
        """Turn what was taken into arrays."""
        times, *columns = zip(*self._rows, strict=True)
        self.times: Times = np.array(times, dtype=np.int64)
        self.held, self.entry, self.realized = (np.array(c, dtype=np.float64) for c in columns)
        self._rows = []


def _tracks(positions: Iterable[PositionEvent]) -> list[_Track]:
    tracks: dict[tuple[InstrumentId, StrategyId], _Track] = {}
    for event in positions:
        key = (event.instrument_id, event.strategy_id)
        track = tracks.get(key)
        if track is None:
            track = tracks[key] = _Track(event)
        track.add(event)
    for track in tracks.values():
        track.finish()
    return list(tracks.values())


def _sample_times(timeline: Timeline, accounts: Sequence[AccountState], until: int) -> Times:
    parts: list[Times] = [np.array([a.ts_event for a in accounts], dtype=np.int64)]
    for stream in timeline.streams:
        handled = stream.ts[: int(stream.ts.searchsorted(until, side="right"))]
        if len(handled):
            parts.append(handled[:: max(1, len(handled) // SAMPLES)])
            parts.append(handled[-1:])
    times = np.unique(np.concatenate(parts))
    if len(times) > 4 * SAMPLES:
        keep = np.linspace(0, len(times) - 1, 4 * SAMPLES).round().astype(np.int64)
        times = times[np.unique(keep)]
    return times


def _as_of(times: Times, known_at: Times, values: Floats, before: float) -> Floats:
    """Return the latest value known at each time, `before` where there was none yet."""
    where = np.searchsorted(known_at, times, side="right")
    return np.concatenate(([before], values))[where]


def _balances(accounts: Sequence[AccountState], times: Times) -> dict[str, Floats]:
    """Return the total of each currency, all accounts together."""
    known: dict[tuple[str, AccountId], tuple[list[int], list[float]]] = {}
    for state in accounts:
        for balance in state.balances:
            key = (balance.currency.code, state.account_id)
            at, totals = known.setdefault(key, ([], []))
            at.append(state.ts_event)
            totals.append(float(balance.total))
    columns: dict[str, Floats] = {}
    for (code, _), (at, totals) in known.items():
        series = _as_of(times, np.array(at, np.int64), np.array(totals, np.float64), 0.0)
        columns[code] = columns.get(code, 0.0) + series
    return columns


class _Known(NamedTuple):
    """A price at each time, and since when it was known (-1, NaN: it was not)."""

    since: Times
    price: Floats

    def or_newer(self, other: _Known) -> _Known:
        """Return, time by time, the newer one; of equally new ones this."""
        takes = other.since > self.since
        return _Known(
            np.where(takes, other.since, self.since), np.where(takes, other.price, self.price)
        )

    def or_else(self, other: _Known) -> _Known:
        """Return the other one where this one's price is not known."""
        lacks = np.isnan(self.price)
        return _Known(
            np.where(lacks, other.since, self.since), np.where(lacks, other.price, self.price)
        )


def _bid_and_ask(
    timeline: Timeline, instrument_id: InstrumentId, times: Times
) -> tuple[Floats, Floats]:
    """Return at which prices one could sell and buy, at each time, as the portfolio sees it.

    The quote's; without one, that of the newest bar of this side, or of both; or a newer trade's.
    """
    nothing = _Known(np.full(len(times), -1, dtype=np.int64), np.full(len(times), np.nan))
    found: dict[tuple[DataKind, PriceType], _Known] = {}
    for stream in timeline.streams:
        if stream.instrument_id == instrument_id and len(stream):
            for price_type, dataset in _sides(stream):
                key = (stream.kind, price_type)
                prices = _sampled(dataset, stream, times, price_type)
                found[key] = found.get(key, nothing).or_newer(prices)

    def of(kind: DataKind, price_type: PriceType) -> _Known:
        return found.get((kind, price_type), nothing)

    both = of(DataKind.BARS, PriceType.LAST).or_newer(of(DataKind.BARS, PriceType.MID))
    trade = of(DataKind.TRADES, PriceType.LAST)
    bid, ask = (
        of(DataKind.QUOTES, side).or_else(of(DataKind.BARS, side).or_else(both).or_newer(trade))
        for side in (PriceType.BID, PriceType.ASK)
    )
    return bid.price, ask.price


def _sides(stream: Stream) -> list[tuple[PriceType, Dataset]]:
    """Return what a stream says about which price."""
    if stream.kind is DataKind.QUOTES:
        return [(PriceType.BID, stream.dataset), (PriceType.ASK, stream.dataset)]
    if isinstance(stream.dataset, BidAskBars):
        return [(PriceType.BID, stream.dataset.bid), (PriceType.ASK, stream.dataset.ask)]
    spec = stream.dataset.bar_spec
    return [(PriceType.LAST if spec is None else spec.price_type, stream.dataset)]


def _sampled(dataset: Dataset, stream: Stream, times: Times, price_type: PriceType) -> _Known:
    """Return the latest price within the stream's period at each time.

    Only the rows that are needed become messages, so that long data costs no more than short.
    """
    first, last = dataset.span(int(stream.ts[0]), int(stream.ts[-1]) + 1)
    ts = dataset.ts[first:last]
    wanted, back = np.unique(np.searchsorted(ts, times, side="right") - 1, return_inverse=True)
    prices = np.full(len(wanted), np.nan)
    for place, row in enumerate(wanted.tolist()):
        if row >= 0:
            prices[place] = _price(dataset.events(first + row, first + row + 1)[0], price_type)
    since = np.where(wanted < 0, -1, ts[np.maximum(wanted, 0)])
    return _Known(since[back], prices[back])


def _price(message: Any, price_type: PriceType) -> float:
    if isinstance(message, Quote):
        return message.bid if price_type is PriceType.BID else message.ask
    return message.price if isinstance(message, Trade) else message.close

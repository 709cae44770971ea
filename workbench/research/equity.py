"""Curves of a run: what accounts were worth and what trading brought, sampled over time."""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.history import Dataset, Stream, Timeline
from workbench.history.merging import BidAskBars
from workbench.model.commands import DataKind
from workbench.model.data import Quote, Trade
from workbench.model.enums import AccountType, PriceType
from workbench.model.events import AccountState, PositionClosed, PositionEvent
from workbench.model.identifiers import AccountId, InstrumentId, PositionId, StrategyId
from workbench.model.instruments import Instrument
from workbench.research.rate_curves import converted, rate_curves

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 2000
"""How many rows of each stream are looked at; a curve has at most four times as many points."""

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
_Key = tuple[InstrumentId, StrategyId, AccountId]


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
        self._known_prices: dict[InstrumentId, tuple[Floats, Floats]] = {}
        self._tracks = _tracks(positions, self._instruments)
        self.times = _sample_times(timeline, accounts, until) if times is None else times

    def equity(self) -> pd.DataFrame:
        """Return what all accounts together were worth, a column for each currency they hold.

        Nothing is converted. A currency's column is its balance and, in it, the unrealised profit
        of a margin account's positions and the value of a cash account's shares. What a cash
        account bought of a currency is in that currency's own column.
        """
        return self._frame(self._equity)

    def profit(self) -> pd.DataFrame:
        """Return realised and unrealised profit, commissions included, by settlement currency."""
        return self._frame(self._profit)

    def equity_in(self, currency: str, fixed: Mapping[str, Decimal]) -> pd.Series[float]:
        """Return `equity` as one sum of a currency, at the middle prices of pairs at each time.

        Args:
            currency: Its code.
            fixed: Rates by `FROM/TO` that go before prices.

        Raises:
            PriceError: If a rate that is needed was never known.
        """
        return self._in(self._equity, currency, fixed)

    def profit_in(self, currency: str, fixed: Mapping[str, Decimal]) -> pd.Series[float]:
        """Return `profit` as one sum of a currency (see `equity_in`)."""
        return self._in(self._profit, currency, fixed)

    def _in(
        self, columns: Mapping[str, Floats], currency: str, fixed: Mapping[str, Decimal]
    ) -> pd.Series[float]:
        instruments = self._instruments.values()
        rates = rate_curves(instruments, self._prices, fixed, currency, len(self.times))
        return self._frame({currency: converted(columns, rates, currency)})[currency]

    @cached_property
    def _equity(self) -> dict[str, Floats]:
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
        return columns

    @cached_property
    def _profit(self) -> dict[str, Floats]:
        columns: dict[str, Floats] = {}
        for track in self._tracks:
            unit = self._instruments[track.instrument_id].settlement_currency.code
            realized = _as_of(self.times, track.times, track.realized, 0.0)
            columns[unit] = columns.get(unit, 0.0) + realized + self._unrealized[track.key]
        return columns

    def _frame(self, columns: dict[str, Floats]) -> pd.DataFrame:
        import pandas as pd

        index = pd.to_datetime(self.times, unit="ns", utc=True)
        return pd.DataFrame(columns, index=index, dtype=np.float64).rename_axis("time")

    @cached_property
    def _unrealized(self) -> dict[_Key, Floats]:
        """Return the profit of closing each strategy's positions."""
        return {track.key: self._open_profit(track) for track in self._tracks}

    def _prices(self, instrument: Instrument) -> tuple[Floats, Floats]:
        """Return bid and ask of an instrument at each time."""
        found = self._known_prices.get(instrument.id)
        if found is None:
            # On the grid, as fills are and as the portfolio values what is held.
            tick = instrument.tick_size
            bid, ask = _bid_and_ask(self._timeline, instrument.id, self.times)
            found = np.round(bid / tick) * tick, np.round(ask / tick) * tick
            self._known_prices[instrument.id] = found
        return found

    def _open_profit(self, track: _Track) -> Floats:
        instrument = self._instruments[track.instrument_id]
        total = np.zeros(len(self.times))
        for side, price in zip(track.sides, self._prices(instrument), strict=True):
            held = _as_of(self.times, track.times, side.held, 0.0)
            entry = _as_of(self.times, track.times, side.entry, np.nan)
            with np.errstate(divide="ignore", invalid="ignore"):
                moved = 1 / entry - 1 / price if instrument.is_inverse else price - entry
                total += np.where(held == 0, 0.0, held * float(instrument.multiplier) * moved)
        return total

    def _worth(self, track: _Track) -> Floats:
        instrument = self._instruments[track.instrument_id]
        total = np.zeros(len(self.times))
        for side, price in zip(track.sides, self._prices(instrument), strict=True):
            held = _as_of(self.times, track.times, side.held, 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                each = 1 / price if instrument.is_inverse else price
                total += np.where(held == 0, 0.0, held * float(instrument.multiplier) * each)
        return total


class _Side(NamedTuple):
    """What is held on one side, signed, and at which average price, after each event."""

    held: Floats
    entry: Floats


class _Track:
    """One strategy's positions in one instrument and account after each of their events.

    With HEDGING several may be open at once; longs are closed at the bid, shorts at the ask, so
    each side is followed by itself.
    """

    def __init__(self, first: PositionEvent, is_inverse: bool) -> None:
        self.key = _key(first)
        self.instrument_id, _, self.account_id = self.key
        self._is_inverse = is_inverse
        self._rows: list[tuple[float, ...]] = []
        self._times: list[int] = []
        self._open: dict[PositionId, PositionEvent] = {}
        self._closed = 0.0  # realised by positions that were closed

    def add(self, event: PositionEvent) -> None:
        """Take the next event."""
        if isinstance(event, PositionClosed):
            self._open.pop(event.position_id, None)
            self._closed += float(event.realized_pnl)
        else:
            self._open[event.position_id] = event
        longs = [one for one in self._open.values() if one.signed_quantity > 0]
        shorts = [one for one in self._open.values() if one.signed_quantity < 0]
        realized = sum((float(one.realized_pnl) for one in self._open.values()), self._closed)
        self._times.append(event.ts_event)
        self._rows.append((*self._average(longs), *self._average(shorts), realized))

    def _average(self, positions: list[PositionEvent]) -> tuple[float, float]:
        """Return the quantity of positions and their average entry, as `Position` averages."""
        if len(positions) == 1:
            return float(positions[0].signed_quantity), float(positions[0].average_open)
        held = float(sum(one.signed_quantity for one in positions))
        if not positions:
            return held, np.nan
        if self._is_inverse:
            return held, held / sum(
                float(one.signed_quantity / one.average_open) for one in positions
            )
        return held, sum(float(one.signed_quantity * one.average_open) for one in positions) / held

    def finish(self) -> None:
        """Turn what was taken into arrays."""
        table: Floats = np.array(self._rows, dtype=np.float64).T
        self.times: Times = np.array(self._times, dtype=np.int64)
        self.sides = _Side(table[0], table[1]), _Side(table[2], table[3])
        self.realized: Floats = table[4]
        self._rows, self._times = [], []


def _key(event: PositionEvent) -> _Key:
    return event.instrument_id, event.strategy_id, event.account_id


def _tracks(
    positions: Iterable[PositionEvent], instruments: Mapping[InstrumentId, Instrument]
) -> list[_Track]:
    tracks: dict[_Key, _Track] = {}
    for event in positions:
        key = _key(event)
        track = tracks.get(key)
        if track is None:
            is_inverse = instruments[event.instrument_id].is_inverse
            track = tracks[key] = _Track(event, is_inverse)
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

"""Bars made inside equal what pandas, or a slow and plain reference, makes of the same updates."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.aggregation import aggregator_of, intake
from workbench.engines.aggregation_building import BarAggregator
from workbench.engines.aggregation_intervals import intervals_of
from workbench.model.commands import BarMaking
from workbench.model.data import Bar, BarSpec, BarType, Trade
from workbench.model.enums import AggressorSide
from workbench.model.identifiers import InstrumentId, TradeId
from workbench.runtime.channels import Channels
from workbench.runtime.clock import SimulatedClock
from workbench.sim.simulated_time import SimulatedTime

PAIR = InstrumentId("AUD/USD.SIM")
DAY = 86_400 * 10**9
START = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z

# Steps between updates, in thousandths of the interval: often none, or a whole one.
STEPS = st.one_of(st.sampled_from([0, 0, 1000, 2000]), st.integers(0, 2500))
NUDGES = st.sampled_from([0, 0, 1, -1])  # nanoseconds
PRICES = st.integers(1, 10**6).map(lambda cents: cents / 100)
SIZES = st.integers(1, 30_000).map(lambda thousandths: thousandths / 1000)
UPDATES = st.lists(st.tuples(STEPS, NUDGES, PRICES, SIZES), min_size=1, max_size=40)
Updates = list[tuple[int, int, float, float]]


class Run:
    """Feeds updates at their times; timers fire as in a backtest."""

    def __init__(self, spec: str, **making: Any) -> None:
        self.bars: list[Bar] = []
        self.clock = SimulatedClock(START)
        channels = Channels.plain()
        self.time = SimulatedTime(self.clock, channels.time_events.put, self._drain)
        self._events = channels.time_events
        bar_type = BarType(PAIR, BarSpec.parse(spec))
        self.aggregator: BarAggregator = aggregator_of(
            bar_type, self.clock, self.bars.append, BarMaking(**making), from_bars=False
        )
        self._take = intake(self.aggregator)

    def _drain(self) -> None:
        while self._events.queue:
            self.clock.fire(self._events.take())

    def feed(self, trades: list[Trade]) -> list[Bar]:
        for trade in trades:
            self.time.advance(trade.ts_init)
            self._take(trade)
        return self.bars


def trades(updates: Updates, interval_ns: int = 10**9) -> list[Trade]:
    made: list[Trade] = []
    ts = START
    for step, nudge, price, size in updates:
        ts += max(0, step * interval_ns // 1000 + nudge)
        made.append(Trade(PAIR, price, size, AggressorSide.NONE, TradeId(""), ts, ts))
    return made


RULES = {
    "1-millisecond": "1ms",
    "250-millisecond": "250ms",
    "1-second": "1s",
    "7-second": "7s",
    "1-minute": "1min",
    "1-hour": "1h",
    "1-day": "1D",
}


@pytest.mark.parametrize("spec", RULES)
@given(UPDATES)
def test_time_bars_equal_a_pandas_resample(spec: str, updates: Updates) -> None:
    data = trades(updates, BarSpec.parse(spec).interval_ns or 0)
    bars = Run(spec, build_with_no_updates=False).feed(data)
    index = pd.DatetimeIndex(np.array([trade.ts_event for trade in data], "M8[ns]"))
    grouped = pd.DataFrame(
        {"price": [t.price for t in data], "size": [t.size for t in data]}, index=index
    ).resample(RULES[spec], closed="right", label="right", origin="epoch")
    expected = grouped["price"].ohlc().dropna()
    expected = expected[expected.index.asi8 < data[-1].ts_event]  # the last one is not over
    assert [bar.ts_event for bar in bars] == expected.index.asi8.tolist()
    got = [(bar.open, bar.high, bar.low, bar.close) for bar in bars]
    assert got == list(expected.itertuples(index=False, name=None))
    volume = grouped["size"].sum().loc[expected.index]
    assert [bar.volume for bar in bars] == pytest.approx(volume.tolist(), rel=1e-12)


@given(UPDATES)
def test_with_empty_intervals_there_is_one_bar_each_and_the_others_are_the_same(
    updates: Updates,
) -> None:
    data = trades(updates)
    filled = Run("1-second").feed(data)
    plain = Run("1-second", build_with_no_updates=False).feed(data)
    stamps = [bar.ts_event for bar in filled]
    assert stamps == list(range(stamps[0], stamps[-1] + 1, 10**9)) if stamps else not plain
    assert [bar for bar in filled if bar.volume] == [bar for bar in plain if bar.volume]
    for before, bar in pairwise(filled):
        if not bar.volume:
            assert (bar.open, bar.high, bar.low, bar.close) == (before.close,) * 4


@given(st.integers(1, 7), UPDATES)
def test_tick_bars_hold_so_many_updates_each(step: int, updates: Updates) -> None:
    data = trades(updates)
    bars = Run(f"{step}-tick").feed(data)
    whole = [data[n : n + step] for n in range(0, len(data) - step + 1, step)]
    assert len(bars) == len(data) // step
    for bar, part in zip(bars, whole, strict=True):
        prices = [trade.price for trade in part]
        assert (bar.open, bar.high, bar.low, bar.close) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        )
        assert bar.ts_event == part[-1].ts_event
        assert bar.volume == pytest.approx(sum(trade.size for trade in part))


@pytest.mark.parametrize("kind", ["volume", "value"])
@given(st.integers(1, 40), UPDATES)
def test_volume_and_value_bars_close_exactly_where_the_sum_is_reached(
    kind: str, step: int, updates: Updates
) -> None:
    """Against a walk over exact fractions, one unit of a sum after the other."""
    scale = 1000 if kind == "value" else 1
    data = trades(updates)
    bars = Run(f"{step * scale}-{kind}").feed(data)
    # Where along the cumulated sum each update lies, exactly.
    edges: list[tuple[Fraction, Trade]] = []
    total = Fraction(0)
    for trade in data:
        each = Fraction(Decimal(repr(trade.price))) if kind == "value" else Fraction(1)
        total += Fraction(Decimal(repr(trade.size))) * each
        edges.append((total, trade))
    want = step * scale
    assert len(bars) == total // want
    begin = Fraction(0)
    for n, bar in enumerate(bars):
        low, high = Fraction(n * want), Fraction((n + 1) * want)
        inside: list[Trade] = []
        begin = Fraction(0)
        for end, trade in edges:
            if end > low and begin < high:
                inside.append(trade)
            begin = end
        prices = [trade.price for trade in inside]
        assert (bar.open, bar.high, bar.low, bar.close) == (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
        )
        assert bar.ts_event == inside[-1].ts_event
        if kind == "volume":
            assert bar.volume == pytest.approx(want, rel=1e-12)


@given(
    st.sampled_from(["1-minute", "4-hour", "1-day", "1-week", "2-week", "1-month", "3-month"]),
    st.integers(0, 200 * 365 * DAY),
)
def test_an_interval_is_left_open_and_neighbours_touch(spec: str, ts: int) -> None:
    intervals = intervals_of(BarSpec.parse(spec))
    close = intervals.close_of(ts)
    start = intervals.start_of(close)
    assert start < ts <= close
    assert intervals.close_of(close) == close
    assert intervals.close_of(start + 1) == close
    assert intervals.start_of(intervals.close_of(close + 1)) == close
    assert intervals.back(close, 3) == intervals.start_of(
        intervals.start_of(intervals.start_of(close))
    )


@pytest.mark.parametrize(
    ("spec", "rule"),
    [("1-week", "W-SUN"), ("1-month", "M"), ("3-month", "Q-DEC"), ("12-month", "Y")],
)
@given(st.integers(0, 100 * 365 * DAY))
def test_weeks_begin_on_mondays_and_months_are_those_of_the_calendar(
    spec: str, rule: str, ts: int
) -> None:
    period = pd.Timestamp(ts - 1).to_period(rule)
    assert (
        intervals_of(BarSpec.parse(spec)).close_of(ts)
        == (period + 1).start_time.as_unit("ns").value
    )

"""Bars made inside: boundaries, late updates, empty intervals, splits, what cannot be made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.property.test_aggregation import DAY, PAIR, START, Run
from workbench.engines.aggregation import coarsest_source, intake
from workbench.engines.aggregation_intervals import intervals_of
from workbench.engines.aggregation_time import CoarserBars
from workbench.model.commands import BarMaking
from workbench.model.data import Bar, BarSpec, BarType, Quote, Trade
from workbench.model.enums import AggressorSide
from workbench.model.errors import ConfigError
from workbench.model.identifiers import TradeId
from workbench.runtime.clock import SimulatedClock

SECOND = 10**9


def trade(at_s: float, price: float = 1.0, size: float = 1.0, *, known_s: float = 0.0) -> Trade:
    ts = START + round(at_s * SECOND)
    known = max(ts, START + round(known_s * SECOND))
    return Trade(PAIR, price, size, AggressorSide.NONE, TradeId(""), ts, known)


def stamps(bars: list[Bar]) -> list[float]:
    return [(bar.ts_event - START) / SECOND for bar in bars]


def test_an_update_at_the_boundary_belongs_to_the_bar_that_ends_there() -> None:
    run = Run("1-second")
    run.feed([trade(0.5, 1.0), trade(1.0, 2.0), trade(1.0, 3.0), trade(1.5, 4.0)])
    assert [(bar.close, bar.volume) for bar in run.bars] == [(3.0, 3.0)]
    bar = run.bars[0]
    assert bar.ts_event == START + SECOND
    assert bar.ts_init == START + SECOND + 1  # when it was known that nothing more comes


def test_an_update_that_comes_after_its_interval_was_closed_counts_for_the_next() -> None:
    run = Run("1-second")
    run.feed([trade(0.5), trade(0.9, 7.0, known_s=1.2), trade(1.5), trade(2.5)])
    assert [(bar.high, bar.volume) for bar in run.bars] == [(1.0, 1.0), (7.0, 2.0)]


def test_a_build_delay_waits_for_updates_on_their_way() -> None:
    run = Run("1-second", build_delay_ns=SECOND // 2)
    run.feed([trade(0.5), trade(0.9, 7.0, known_s=1.2), trade(1.6), trade(3.6)])
    assert [(bar.high, bar.volume) for bar in run.bars] == [(7.0, 2.0), (1.0, 1.0), (1.0, 0.0)]
    assert run.bars[0].ts_init == START + 3 * SECOND // 2 + 1


def test_an_update_after_the_close_does_not_wait_for_the_delay() -> None:
    run = Run("1-second", build_delay_ns=SECOND // 2)
    run.feed([trade(0.5), trade(1.1)])
    assert stamps(run.bars) == [1.0]


def test_intervals_without_updates_are_flat_or_left_out() -> None:
    data = [trade(0.5, 2.0), trade(3.5, 5.0), trade(4.5)]
    flat = Run("1-second").feed(data)
    assert [(bar.open, bar.close, bar.volume) for bar in flat] == [
        (2.0, 2.0, 1.0),
        (2.0, 2.0, 0.0),
        (2.0, 2.0, 0.0),
        (5.0, 5.0, 1.0),
    ]
    assert stamps(Run("1-second", build_with_no_updates=False).feed(data)) == [1.0, 4.0]


def test_empty_intervals_come_at_their_time_not_with_the_next_update() -> None:
    run = Run("1-second")
    run.feed([trade(0.5)])
    run.time.advance(START + 3 * SECOND)
    assert stamps(run.bars) == [1.0, 2.0]
    assert [bar.ts_init - bar.ts_event for bar in run.bars] == [1, 1]


@pytest.mark.parametrize("skips", [False, True])
def test_a_first_bar_begun_in_the_middle_is_left_out_on_request(skips: bool) -> None:
    run = Run("1-second", skip_first_non_full_bar=skips)
    run.clock.advance(START)
    run.feed([trade(0.0), trade(0.5), trade(1.5)])
    # Made at START: the interval that ends there was begun before.
    assert stamps(run.bars) == ([1.0] if skips else [0.0, 1.0])


def test_a_volume_bar_splits_an_update_over_its_step_into_as_many_as_it_takes() -> None:
    run = Run("10-volume")
    run.feed([trade(1, 1.0, 4.0), trade(2, 2.0, 27.5), trade(3, 3.0, 8.5)])
    assert [(bar.open, bar.close, bar.volume) for bar in run.bars] == [
        (1.0, 2.0, 10.0),
        (2.0, 2.0, 10.0),
        (2.0, 2.0, 10.0),
        (2.0, 3.0, 10.0),
    ]
    assert stamps(run.bars) == [2.0, 2.0, 2.0, 3.0]


def test_a_value_bar_splits_by_price_times_size() -> None:
    run = Run("100-value")
    run.feed([trade(1, 10.0, 4.0), trade(2, 20.0, 8.5)])
    assert [bar.volume for bar in run.bars] == [7.0, 5.0]


def test_sums_of_decimals_do_not_drift() -> None:
    """Ten times 0.1 is 0.9999999999999999 in floats, and the bar would come a trade late."""
    run = Run("1-volume")
    run.feed([trade(n, 1.0, 0.1) for n in range(1, 1001)])
    assert stamps(run.bars) == [float(n) for n in range(10, 1001, 10)]
    timed = Run("10-second")
    timed.feed([trade(n, 1.0, 0.1) for n in range(1, 100)])
    assert [bar.volume for bar in timed.bars] == [1.0] * 9


@pytest.mark.parametrize("size", [0.0, math.nan, math.inf])
@pytest.mark.parametrize("spec", ["10-volume", "10-value"])
def test_a_size_that_says_nothing_fills_no_bar(spec: str, size: float) -> None:
    run = Run(spec)
    run.feed([trade(1, 5.0, size), trade(2, 1.0, 10.0)])
    assert [(bar.open, bar.volume) for bar in run.bars] == [(5.0, 10.0)]


def test_a_quote_without_a_side_is_no_update_and_unlimited_size_is_no_volume() -> None:
    run = Run("1-second-mid")
    for ts, bid, ask, size in (
        (1, 1.0, 3.0, math.inf),
        (2, math.nan, 2.0, 1.0),
        (3, 1.0, 2.0, 1.0),
    ):
        at = START + ts * SECOND - SECOND // 2
        run.feed([Quote(PAIR, bid, ask, size, size, at, at)])  # type: ignore[list-item]
    assert [(bar.close, bar.volume) for bar in run.bars] == [(2.0, None), (2.0, 0.0)]


def minute(n: int, close: float = 1.0, volume: float | None = 1.0) -> Bar:
    ts = START + n * 60 * SECOND
    kind = BarType(PAIR, BarSpec.parse("1-minute"))
    return Bar(kind, close - 0.5, close + 1, close - 1, close, volume, ts, ts)


def coarser(spec: str, **making: Any) -> tuple[CoarserBars, list[Bar]]:
    made: list[Bar] = []
    kind = BarType(PAIR, BarSpec.parse(spec))
    return CoarserBars(kind, SimulatedClock(START), made.append, BarMaking(**making)), made


def test_a_coarser_bar_closes_with_the_finer_one_that_ends_where_it_does() -> None:
    aggregator, made = coarser("5-minute")
    take = intake(aggregator)
    for n in range(1, 6):
        take(minute(n, float(n)))
    assert stamps(made) == [300.0]
    bar = made[0]
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (0.5, 6.0, 0.0, 5.0, 5.0)


def test_a_coarser_bar_whose_last_finer_one_is_missing_closes_with_the_next() -> None:
    aggregator, made = coarser("5-minute")
    for n in (3, 4, 4, 17, 20):  # the fourth comes twice, as after a reconnect
        aggregator.update_bar(minute(n))
    assert [(bar.ts_event, bar.volume) for bar in made] == [
        (START + 300 * SECOND, 2.0),
        (START + 1200 * SECOND, 2.0),
    ]


def test_a_coarser_bar_of_finer_ones_without_volume_has_none() -> None:
    aggregator, made = coarser("2-minute")
    for n in range(1, 5):
        aggregator.update_bar(minute(n, volume=None if n == 1 else 2.0))
    assert [bar.volume for bar in made] == [None, 4.0]


def test_a_first_coarser_bar_that_is_not_whole_is_left_out_on_request() -> None:
    aggregator, made = coarser("5-minute", skip_first_non_full_bar=True)
    aggregator.begin(START + 60 * SECOND + 1)
    for n in range(2, 11):
        aggregator.update_bar(minute(n))
    assert stamps(made) == [600.0]


def test_a_gap_begins_counting_bars_anew_and_leaves_time_bars() -> None:
    for spec, bars in (("3-tick", 1), ("3-volume", 1), ("3-value", 1), ("10-second", 1)):
        run = Run(spec)
        run.feed([trade(1), trade(2)])
        run.aggregator.reset()
        run.feed([trade(3), trade(4)])
        assert run.bars == []
        run.feed([trade(5), trade(11)])
        assert len(run.bars) == bars
        assert run.bars[0].volume == (5.0 if spec == "10-second" else 3.0)


def test_no_timer_is_left_after_the_end() -> None:
    run = Run("1-second")
    run.feed([trade(0.5)])
    assert run.clock.timer_names == ["bars:AUD/USD.SIM-1-second-last"]
    run.aggregator.close()
    assert run.clock.timer_names == []


def test_only_bars_of_time_have_intervals() -> None:
    with pytest.raises(ConfigError, match="time does not close them"):
        intervals_of(BarSpec.parse("5-tick"))
    monday = 4 * DAY
    assert intervals_of(BarSpec.parse("1-week")).close_of(monday) == monday


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1-minute-last@quotes", "quotes have no last price"),
        ("1-minute-mid@trades", "trades have no mid price"),
        ("5-minute-last@2-minute", "cannot be made from 2-minute-last bars"),
        ("5-minute-last@1-minute-mid", "of the same price"),
        ("5-minute-last@5-minute", "cannot be made"),
        ("1-month-last@1-week", "one day, for weeks and months"),
        ("5-tick-last@1-minute", "cannot be made"),
        ("1-minute-last@nonsense", "bar specification is"),
    ],
)
def test_bars_that_cannot_be_made_of_their_source_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        BarType.parse(f"AUD/USD.SIM-{text}")


def test_a_bar_type_with_its_source_is_read_as_it_is_written() -> None:
    kind = BarType.parse("AUD/USD.SIM-5-MINUTE-last@1-minute")
    assert str(kind) == "AUD/USD.SIM-5-minute-last@1-minute-last"
    assert BarType.parse(str(kind)) == kind
    assert kind.source_bars == BarType.parse("AUD/USD.SIM-1-minute-last")
    assert kind.made_from("trades").source_bars is None
    assert kind.made_from("") == BarType.parse("AUD/USD.SIM-5-minute-last")


def test_the_coarsest_finer_bars_that_fit_are_the_source() -> None:
    there = [
        BarType.parse(f"AUD/USD.SIM-{one}")
        for one in ("1-minute-last", "7-minute-last", "5-minute-last", "15-minute-mid")
    ]

    def chosen(spec: str) -> str | None:
        found = coarsest_source(there, BarSpec.parse(spec))
        return None if found is None else str(found.spec)

    assert chosen("1-hour-last") == "5-minute-last"
    assert chosen("14-minute-last") == "7-minute-last"
    assert chosen("1-month-last") == "5-minute-last"
    assert chosen("30-minute-mid") == "15-minute-mid"
    assert chosen("30-second-last") is None
    assert chosen("10-tick-last") is None

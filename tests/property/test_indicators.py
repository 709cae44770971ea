"""What holds in every market: streaming, warming up and computing anew agree."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.trading.indicators import Indicator, WilderAverage

PERIODS = st.integers(1, 12)
# Ticks of 0.25, so that rows repeat values often: that is where a queue of extremes goes wrong.
PRICES = st.integers(-400, 400).map(lambda ticks: ticks / 4)
ANY = st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf])
ROWS = st.lists(st.tuples(ANY, ANY, ANY, st.floats(0, 1e6)), max_size=60)


@st.composite
def makers(draw: st.DrawFn) -> Callable[[], Indicator]:
    period, other, signal = draw(PERIODS), draw(PERIODS), draw(PERIODS)
    start = draw(st.sampled_from(["first", "sma"]))
    return draw(
        st.sampled_from(
            [
                lambda: wb.SMA(period),
                lambda: wb.EMA(period, start=start),
                lambda: WilderAverage(period),
                lambda: wb.RSI(period),
                lambda: wb.MACD(period, period + other, signal, start=start),
                lambda: wb.BollingerBands(period, 1.5),
                lambda: wb.ATR(period),
                lambda: wb.DonchianChannel(period),
                lambda: wb.VWAP(),
            ]
        )
    )


def bar_of(row: tuple[float, float, float, float]) -> wb.Bar:
    high, low, close, volume = row
    return wb.Bar(wb.BarType.parse("A/B.SIM-1-minute"), close, high, low, close, volume, 0, 0)


def state(indicator: Indicator) -> str:
    """All that an indicator holds, private parts too."""
    held = vars(indicator).items()
    return repr([(k, state(v) if isinstance(v, Indicator) else v) for k, v in held])


def shown(indicator: Indicator) -> str:
    """What it shows: a queue may number its rows differently."""
    return repr({k: v for k, v in vars(indicator).items() if not k.startswith("_")})


@given(makers(), ROWS, ROWS, ROWS)
def test_warming_up_in_the_middle_is_the_same_to_the_last_bit_as_streaming(
    make: Callable[[], Indicator],
    before: list[tuple[float, float, float, float]],
    history: list[tuple[float, float, float, float]],
    after: list[tuple[float, float, float, float]],
) -> None:
    streamed, warmed = make(), make()
    for row in (*before, *history):
        streamed.update_bar(bar_of(row))
    for row in before:
        warmed.update_bar(bar_of(row))
    warmed.warm_up([bar_of(row) for row in history])
    assert shown(warmed) == shown(streamed)
    assert warmed.is_ready == streamed.is_ready
    for row in after:
        assert repr(warmed.update_bar(bar_of(row))) == repr(streamed.update_bar(bar_of(row)))
        assert shown(warmed) == shown(streamed)


@given(makers(), ROWS)
def test_after_a_reset_it_is_as_new(
    make: Callable[[], Indicator], rows: list[tuple[float, float, float, float]]
) -> None:
    used = make().warm_up([bar_of(row) for row in rows])
    used.reset()
    assert state(used) == state(make())


@given(PERIODS, st.lists(PRICES, min_size=1, max_size=60))
def test_a_window_is_what_computing_it_anew_gives(period: int, prices: list[float]) -> None:
    sma, bands = wb.SMA(period), wb.BollingerBands(period)
    channel = wb.DonchianChannel(period)
    for place, price in enumerate(prices):
        window = np.array(prices[max(0, place - period + 1) : place + 1])
        # Quarters add up exactly, so there is nothing to be close to.
        assert sma.update(price) == window.sum() / len(window)
        bands.update(price)
        assert math.isclose(bands.value, window.mean(), rel_tol=1e-13, abs_tol=1e-12)
        assert math.isclose(bands.deviation, window.std(), rel_tol=1e-12, abs_tol=1e-12)
        channel.update(price + 1, price)
        assert (channel.upper, channel.lower) == (window.max() + 1, window.min())
        assert sma.is_ready == bands.is_ready == channel.is_ready == (place + 1 >= period)


@given(PERIODS, st.lists(PRICES, max_size=60))
def test_rsi_stays_between_0_and_100_and_turns_with_the_market(
    period: int, prices: list[float]
) -> None:
    rsi, mirrored = wb.RSI(period), wb.RSI(period)
    for price in prices:
        value, other = rsi.update(price), mirrored.update(-price)
        assert math.isnan(value) or 0.0 <= value <= 100.0
        assert math.isnan(value) or math.isclose(value + other, 100.0, rel_tol=1e-12)


@given(st.lists(st.tuples(PRICES, st.integers(1, 50)), min_size=1, max_size=60))
def test_vwap_is_between_the_lowest_and_the_highest_price(trades: list[tuple[float, int]]) -> None:
    vwap = wb.VWAP()
    for price, volume in trades:
        vwap.update(price, volume)
    prices, volumes = np.array(trades).T
    assert math.isclose(
        vwap.value, (prices * volumes).sum() / volumes.sum(), rel_tol=1e-12, abs_tol=1e-10
    )
    assert min(prices) - 1e-10 <= vwap.value <= max(prices) + 1e-10

"""Indicators against TA-Lib, on made and on real bars.

They are equal to 1e-9 from the first row that TA-Lib answers, with these conventions of ours:

| indicator | here | TA-Lib |
|---|---|---|
| EMA | starts at the first value | starts at the SMA of the first `period` |
| MACD | all three start at the first value | fast and slow start together at SMAs |
| RSI of a market that never moved | 50 | 0 |
| before an indicator is ready | what follows from the rows so far | NaN |

EMA and MACD are compared at once with `start="sma"`, and else when they have converged (after 40
periods); the third is named in a test; what is not ready is not compared.
SMA, BollingerBands (population deviation), ATR (the first bar has no true range), Wilder's averages
and DonchianChannel (MAX and MIN) have the same conventions. TA-Lib has no VWAP.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import workbench as wb
from workbench.trading.indicators import Indicator

talib = pytest.importorskip("talib", reason="TA-Lib is not installed; it is in the extra `oracle`")
pytestmark = pytest.mark.oracle

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "btcusdt-perp-1m.csv.gz"
Floats = npt.NDArray[np.float64]


def made(seed: int, count: int = 5_000) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.002, count)))
    open_ = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(open_, close) + random.uniform(0, 0.2, count)
    low = np.minimum(open_, close) - random.uniform(0, 0.2, count)
    return pd.DataFrame({"open": open_, "high": high, "low": low, "close": close})


@pytest.fixture(
    scope="module", params=["random 1", "random 2", "rounded to ticks", "real one-minute bars"]
)
def frame(request: pytest.FixtureRequest) -> pd.DataFrame:
    if request.param == "real one-minute bars":
        if not REAL.exists():
            pytest.skip(f"the real bars are not here: {REAL}")
        return pd.read_csv(REAL)
    if request.param == "rounded to ticks":
        return made(3).round(1)
    return made(int(request.param[-1]))


def streamed(indicator: Indicator, frame: pd.DataFrame, *attributes: str) -> list[Floats]:
    """Each attribute after each row, taken one row at a time."""
    rows: list[tuple[float, ...]] = []
    columns = [frame[name].tolist() for name in indicator.inputs]
    update: Callable[..., Any] = indicator.update  # type: ignore[attr-defined]
    for row in zip(*columns, strict=True):
        update(*row)
        rows.append(tuple(getattr(indicator, name) for name in attributes))
    return list(np.array(rows).T)


def ready_from(theirs: Floats) -> int:
    return int(np.flatnonzero(~np.isnan(theirs))[0])


def assert_equal(ours: Floats, theirs: Floats, begin: int, scale: float = 0.0) -> None:
    """Equal to 1e-9 of their values; `scale` is that of what a difference is taken from."""
    assert len(theirs) - begin > 1000
    np.testing.assert_allclose(ours[begin:], theirs[begin:], rtol=1e-9, atol=1e-9 * scale)


PERIODS = (2, 14, 50)


@pytest.mark.parametrize("period", PERIODS)
def test_sma_equals(frame: pd.DataFrame, period: int) -> None:
    (ours,) = streamed(wb.SMA(period), frame, "value")
    theirs = talib.SMA(frame["close"].to_numpy(), period)
    assert ready_from(theirs) == period - 1
    assert_equal(ours, theirs, period - 1)


@pytest.mark.parametrize("period", PERIODS)
def test_ema_equals_at_once_from_an_sma_and_once_converged_from_the_first_value(
    frame: pd.DataFrame, period: int
) -> None:
    theirs = talib.EMA(frame["close"].to_numpy(), period)
    (from_sma,) = streamed(wb.EMA(period, start="sma"), frame, "value")
    assert ready_from(theirs) == period - 1
    assert_equal(from_sma, theirs, period - 1)
    (from_first,) = streamed(wb.EMA(period), frame, "value")
    assert from_first[period] != pytest.approx(theirs[period], rel=1e-9)
    assert_equal(from_first, theirs, 40 * period)


@pytest.mark.parametrize("period", PERIODS)
def test_rsi_equals(frame: pd.DataFrame, period: int) -> None:
    closes = frame["close"].to_numpy()
    (ours,) = streamed(wb.RSI(period), frame, "value")
    theirs = talib.RSI(closes, period)
    assert ready_from(theirs) == period
    # Where averages of both changes are below 1e-14 TA-Lib says 0: the market does not move.
    still = np.convolve(np.diff(closes, prepend=closes[0]) != 0, np.ones(64 * period))[
        : len(closes)
    ]
    moved = (still > 0) | (np.arange(len(closes)) < 64 * period)
    assert moved.mean() > 0.99
    assert_equal(np.where(moved, ours, 0), np.where(moved, theirs, 0), period)


def test_rsi_of_a_market_that_never_moved_is_50_here_and_0_there() -> None:
    closes = np.full(30, 5.0)
    assert wb.RSI(14).warm_up(closes).value == 50.0
    assert talib.RSI(closes, 14)[-1] == 0.0


@pytest.mark.parametrize("period", PERIODS)
def test_atr_equals(frame: pd.DataFrame, period: int) -> None:
    (ours,) = streamed(wb.ATR(period), frame, "value")
    theirs = talib.ATR(*(frame[name].to_numpy() for name in ("high", "low", "close")), period)
    assert ready_from(theirs) == period
    assert_equal(ours, theirs, period)


@pytest.mark.parametrize(("fast", "slow", "signal"), [(12, 26, 9), (3, 5, 2), (20, 21, 30)])
def test_macd_equals_at_once_from_smas_and_once_converged_from_the_first_value(
    frame: pd.DataFrame, fast: int, slow: int, signal: int
) -> None:
    closes = frame["close"].to_numpy()
    theirs = talib.MACD(closes, fast, slow, signal)
    begin = ready_from(theirs[0])
    names = ("value", "signal", "histogram")
    from_smas = streamed(wb.MACD(fast, slow, signal, start="sma"), frame, *names)
    assert begin == slow + signal - 2
    for ours, their in zip(from_smas, theirs, strict=True):
        assert_equal(ours, their, begin, scale=closes.min())
    from_first = streamed(wb.MACD(fast, slow, signal), frame, *names)
    for ours, their in zip(from_first, theirs, strict=True):
        assert_equal(ours, their, 40 * (slow + signal), scale=closes.min())


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("deviations", [1.0, 2.5])
def test_bollinger_bands_equal(frame: pd.DataFrame, period: int, deviations: float) -> None:
    bands = wb.BollingerBands(period, deviations)
    upper, middle, lower = streamed(bands, frame, "upper", "value", "lower")
    theirs = talib.BBANDS(frame["close"].to_numpy(), period, deviations, deviations)
    assert ready_from(theirs[1]) == period - 1
    for ours, their in zip((upper, middle, lower), theirs, strict=True):
        assert_equal(ours, their, period - 1)


@pytest.mark.parametrize("period", PERIODS)
def test_donchian_channel_equals_maximum_and_minimum(frame: pd.DataFrame, period: int) -> None:
    upper, lower = streamed(wb.DonchianChannel(period), frame, "upper", "lower")
    highest = talib.MAX(frame["high"].to_numpy(), period)
    lowest = talib.MIN(frame["low"].to_numpy(), period)
    assert ready_from(highest) == period - 1
    np.testing.assert_array_equal(upper[period - 1 :], highest[period - 1 :])
    np.testing.assert_array_equal(lower[period - 1 :], lowest[period - 1 :])


def test_warming_up_from_a_frame_ends_where_their_arrays_end(frame: pd.DataFrame) -> None:
    closes = frame["close"].to_numpy()
    high, low = frame["high"].to_numpy(), frame["low"].to_numpy()
    pairs = [
        (wb.SMA(20), talib.SMA(closes, 20)),
        (wb.EMA(20, start="sma"), talib.EMA(closes, 20)),
        (wb.RSI(14), talib.RSI(closes, 14)),
        (wb.ATR(14), talib.ATR(high, low, closes, 14)),
    ]
    for indicator, theirs in pairs:
        assert indicator.warm_up(frame).value == pytest.approx(theirs[-1], rel=1e-9)

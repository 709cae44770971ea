"""Indicators against pandas and worked examples, from arrays, bars and one value at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import workbench as wb
from workbench.model.errors import ConfigError, DataError
from workbench.trading.indicators import Indicator, PriceIndicator, WilderAverage

RANDOM = np.random.default_rng(5)
CLOSES = 100 * np.exp(np.cumsum(RANDOM.normal(0, 0.01, 500)))
HIGHS = CLOSES + RANDOM.uniform(0, 1, 500)
LOWS = CLOSES - RANDOM.uniform(0, 1, 500)
VOLUMES = RANDOM.uniform(1, 9, 500)
TABLE = {"open": CLOSES, "high": HIGHS, "low": LOWS, "close": CLOSES, "volume": VOLUMES}
FRAME = pd.DataFrame(TABLE)
BAR_TYPE = wb.BarType.parse("BTC/USD.SIM-1-minute-last")
MINUTE = 60_000_000_000

MAKERS: dict[str, Callable[[], Indicator]] = {
    "SMA": lambda: wb.SMA(10),
    "EMA": lambda: wb.EMA(10),
    "EMA from an SMA": lambda: wb.EMA(10, start="sma"),
    "WilderAverage": lambda: WilderAverage(10),
    "RSI": lambda: wb.RSI(10),
    "MACD": lambda: wb.MACD(5, 10, 4),
    "MACD from SMAs": lambda: wb.MACD(5, 10, 4, start="sma"),
    "BollingerBands": lambda: wb.BollingerBands(10),
    "ATR": lambda: wb.ATR(10),
    "DonchianChannel": lambda: wb.DonchianChannel(10),
    "VWAP": lambda: wb.VWAP(),
}
READY_AFTER = {
    "RSI": 11,
    "ATR": 11,
    "MACD": 13,
    "MACD from SMAs": 13,
    "VWAP": 1,
}


def bars(count: int = 500, volume: bool = True) -> list[wb.Bar]:
    return [
        wb.Bar(
            BAR_TYPE,
            *(float(TABLE[name][row]) for name in ("open", "high", "low", "close")),
            float(VOLUMES[row]) if volume else None,
            row * MINUTE,
            row * MINUTE,
        )
        for row in range(count)
    ]


def lines(indicator: Indicator) -> dict[str, Any]:
    """Everything an indicator shows."""
    names = ("value", "upper", "lower", "deviation", "signal", "histogram", "volume", "is_ready")
    return {name: getattr(indicator, name) for name in names if hasattr(indicator, name)}


def every(maker: Callable[[], Indicator], attribute: str = "value") -> list[float]:
    """One attribute after each bar."""
    indicator = maker()
    found: list[float] = []
    for bar in bars():
        indicator.update_bar(bar)
        found.append(getattr(indicator, attribute))
    return found


@pytest.mark.parametrize("period", [1, 3, 20])
def test_sma_is_the_rolling_mean_of_pandas(period: int) -> None:
    sma = wb.SMA(period)
    ours = [sma.update(float(close)) for close in CLOSES]
    theirs = pd.Series(CLOSES).rolling(period, min_periods=1).mean()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("period", [1, 10, 20])
def test_ema_is_the_recursive_ewm_of_pandas(period: int) -> None:
    ema = wb.EMA(period)
    ours = [ema.update(float(close)) for close in CLOSES]
    theirs = pd.Series(CLOSES).ewm(span=period, adjust=False).mean()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_ema_from_an_sma_is_the_mean_until_it_has_started_and_recursive_after() -> None:
    ours = every(lambda: wb.EMA(10, start="sma"))
    started = [float(np.mean(CLOSES[:10])), *CLOSES[10:]]
    theirs = pd.Series(started).ewm(span=10, adjust=False).mean()
    np.testing.assert_allclose(ours[:10], pd.Series(CLOSES[:10]).expanding().mean(), rtol=1e-12)
    np.testing.assert_allclose(ours[9:], theirs, rtol=1e-12)


def test_wilders_average_moves_by_a_periodth_of_the_distance() -> None:
    average = WilderAverage(4)
    assert [average.update(x) for x in (2.0, 4.0, 6.0, 8.0, 9.0)] == [2.0, 3.0, 4.0, 5.0, 6.0]


def test_rsi_is_100_where_nothing_fell_0_where_nothing_rose_and_50_where_nothing_moved() -> None:
    assert wb.RSI(3).warm_up([1.0, 2.0, 3.0, 4.0]).value == 100.0
    assert wb.RSI(3).warm_up([-75.0, 0.0, 0.0, 79.0]).value == 100.0  # and no rounding above it
    assert wb.RSI(3).warm_up([4.0, 3.0, 2.0, 1.0]).value == 0.0
    assert wb.RSI(3).warm_up([1.0, 1.0, 1.0, 1.0]).value == 50.0
    assert math.isnan(wb.RSI(3).warm_up([1.0]).value)


def test_rsi_is_the_share_of_wilders_average_gain() -> None:
    # Changes +1 -1 +1 -3: gains 0.5 then 0.25, losses 0.5 then (0.5+3)/2, after a start of two.
    rsi = wb.RSI(2)
    values = [rsi.update(x) for x in (10.0, 11.0, 10.0, 11.0, 8.0)]
    assert values[1:] == pytest.approx([100.0, 50.0, 75.0, 100 * 0.375 / (0.375 + 1.625)])


def test_atr_averages_true_ranges_that_span_the_gap_from_the_last_close() -> None:
    atr = wb.ATR(2)
    assert math.isnan(atr.update(11.0, 9.0, 10.0))
    assert atr.update(15.0, 14.0, 15.0) == 5.0  # opened far above: counted from the close of 10
    assert atr.update(13.0, 12.0, 12.0) == 4.0  # far below: 15 - 12 = 3
    assert atr.update(16.0, 11.0, 14.0) == 4.5


def test_macd_is_the_difference_of_two_ewms_and_its_signal_an_ewm_of_that() -> None:
    closes = pd.Series(CLOSES)
    line = closes.ewm(span=5, adjust=False).mean() - closes.ewm(span=10, adjust=False).mean()
    signal = line.ewm(span=4, adjust=False).mean()
    np.testing.assert_allclose(every(MAKERS["MACD"]), line, rtol=0, atol=1e-12)
    np.testing.assert_allclose(every(MAKERS["MACD"], "signal"), signal, rtol=0, atol=1e-12)
    histogram = every(MAKERS["MACD"], "histogram")
    np.testing.assert_allclose(histogram, line - signal, rtol=0, atol=1e-12)


def test_macd_from_smas_has_no_line_before_the_slow_average_has_started() -> None:
    line = every(MAKERS["MACD from SMAs"])
    assert [math.isnan(value) for value in line[:10]] == [True] * 9 + [False]
    assert line[9] == pytest.approx(np.mean(CLOSES[5:10]) - np.mean(CLOSES[:10]), rel=1e-9)


@pytest.mark.parametrize("period", [1, 2, 20])
def test_bollinger_bands_are_the_rolling_mean_and_population_deviation(period: int) -> None:
    window = pd.Series(CLOSES).rolling(period, min_periods=1)
    mean = np.array([CLOSES[max(0, i - period + 1) : i + 1].mean() for i in range(500)])
    deviation = np.array([CLOSES[max(0, i - period + 1) : i + 1].std() for i in range(500)])
    np.testing.assert_allclose(window.mean(), mean, rtol=1e-12)
    bands = {name: every(lambda: wb.BollingerBands(period, 1.5), name) for name in ("value",)}
    np.testing.assert_allclose(bands["value"], mean, rtol=1e-12)
    for name, sign in (("upper", 1), ("lower", -1)):
        ours = every(lambda: wb.BollingerBands(period, 1.5), name)
        np.testing.assert_allclose(ours, mean + sign * 1.5 * deviation, rtol=1e-12)


def test_percent_b_and_bandwidth_say_where_in_the_bands_and_how_wide_they_are() -> None:
    bands = wb.BollingerBands(4, 2).warm_up([2.0, 4.0, 4.0, 6.0])
    width = 4 * math.sqrt(2)
    assert bands.bandwidth == pytest.approx(width / 4)
    assert bands.percent_b == pytest.approx((6 - (4 - width / 2)) / width)
    flat = wb.BollingerBands(2).warm_up([3.0, 3.0])
    assert (flat.upper, flat.lower, flat.bandwidth) == (3.0, 3.0, 0.0)
    assert math.isnan(flat.percent_b)


def test_donchian_channel_is_the_rolling_maximum_and_minimum() -> None:
    upper = pd.Series(HIGHS).rolling(10, min_periods=1).max()
    lower = pd.Series(LOWS).rolling(10, min_periods=1).min()
    assert every(MAKERS["DonchianChannel"], "upper") == upper.tolist()
    assert every(MAKERS["DonchianChannel"], "lower") == lower.tolist()
    assert every(MAKERS["DonchianChannel"]) == ((upper + lower) / 2).tolist()


def test_vwap_is_turnover_by_volume() -> None:
    typical = (HIGHS + LOWS + CLOSES) / 3
    expected = np.cumsum(typical * VOLUMES) / np.cumsum(VOLUMES)
    np.testing.assert_allclose(every(MAKERS["VWAP"]), expected, rtol=1e-12)


def test_vwap_begins_anew_with_each_session_and_a_closing_bar_belongs_to_the_old_one() -> None:
    session = wb.VWAP(timedelta(minutes=10), opens=timedelta(minutes=2))
    typical = (HIGHS + LOWS + CLOSES) / 3
    for row, bar in enumerate(bars(30)):
        value = session.update_bar(bar)
        first = max(0, (row - 3) // 10 * 10 + 3)  # the first bar closes a minute after the opening
        rows = slice(first, row + 1)
        expected = (typical[rows] * VOLUMES[rows]).sum() / VOLUMES[rows].sum()
        assert value == pytest.approx(expected, rel=1e-12), row
    warmed = wb.VWAP(timedelta(minutes=10), opens=timedelta(minutes=2)).warm_up(bars(30))
    assert lines(warmed) == lines(session)


def test_a_trade_at_the_end_of_a_session_belongs_to_the_next() -> None:
    vwap = wb.VWAP(timedelta(minutes=1))
    for ts, price in ((MINUTE - 1, 10.0), (MINUTE, 20.0), (MINUTE + 1, 30.0)):
        trade = wb.Trade("BTC/USD.SIM", price, 2.0, wb.AggressorSide.BUYER, str(ts), ts, ts)  # type: ignore[arg-type]
        vwap.update_trade(trade)
    assert (vwap.value, vwap.volume) == (25.0, 4.0)


def test_vwap_does_not_count_what_has_no_volume() -> None:
    vwap = wb.VWAP()
    vwap.update(10.0, 0.0)
    assert not vwap.is_ready
    assert math.isnan(vwap.value)
    vwap.update(10.0, 1.0)
    vwap.update(99.0, -1.0)
    assert (vwap.value, vwap.volume) == (10.0, 1.0)


def test_vwap_refuses_bars_without_a_volume_and_sessions_without_times() -> None:
    with pytest.raises(DataError, match=r"VWAP needs bars with a volume; the one of BTC/USD\.SIM"):
        wb.VWAP().update_bar(bars(1, volume=False)[0])
    with pytest.raises(DataError, match="VWAP needs bars with a volume; the bar at 0 has none"):
        wb.VWAP().warm_up(bars(1, volume=False))
    with pytest.raises(DataError, match="warmed up from a list of bars, which have times; got Dat"):
        wb.VWAP(timedelta(days=1)).warm_up(FRAME)
    with pytest.raises(ConfigError, match="a session must be longer than nothing; got 0:00:00"):
        wb.VWAP(timedelta(0))


@pytest.mark.parametrize("name", MAKERS)
def test_warm_up_from_whatever_holds_history_is_the_same_as_one_bar_after_another(
    name: str,
) -> None:
    made = MAKERS[name]()
    for bar in bars(57):
        made.update_bar(bar)
    records = FRAME.iloc[:57].to_records(index=False)
    columns = FRAME.iloc[:57][list(made.inputs)]
    for source in (
        bars(57),
        tuple(bars(57)),
        iter(bars(57)),
        FRAME.iloc[:57],
        FRAME.iloc[:57].rename(columns=str.title),
        {key: column[:57].tolist() for key, column in TABLE.items()},
        pa.table({key: column[:57] for key, column in TABLE.items()}),
        records,
        columns.to_numpy()[:, 0] if len(made.inputs) == 1 else columns.to_numpy(),
        columns["close"] if len(made.inputs) == 1 else columns,
        columns["close"].tolist() if len(made.inputs) == 1 else columns.to_numpy().tolist(),
    ):
        warmed = MAKERS[name]()
        assert warmed.warm_up(source) is warmed
        assert lines(warmed) == lines(made)
        assert type(warmed.value) is float
        (later,) = bars(58)[57:]
        expected = MAKERS[name]().warm_up(bars(58))
        assert warmed.update_bar(later) == expected.value
        assert lines(warmed) == lines(expected)


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_ready_when_its_periods_are_full_and_forgets_on_reset(name: str) -> None:
    indicator = MAKERS[name]()
    needed = READY_AFTER.get(name, 10)
    ready = [indicator.is_ready]
    for bar in bars(needed + 2):
        indicator.update_bar(bar)
        ready.append(indicator.is_ready)
    assert ready == [False] * needed + [True] * 3
    assert not math.isnan(indicator.value)
    indicator.reset()
    assert repr(lines(indicator)) == repr(lines(MAKERS[name]()))
    assert math.isnan(indicator.value)
    assert indicator.warm_up(FRAME).value == MAKERS[name]().warm_up(FRAME).value


@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", MAKERS)
def test_a_missing_value_is_as_if_its_row_were_not_there(name: str, missing: float) -> None:
    whole = MAKERS[name]().warm_up(FRAME.iloc[:60])
    holed = FRAME.iloc[:60].copy()
    rows = []
    for place in (0, 1, 7, 30, 60):
        rows.append(place + len(rows))
        gap = pd.DataFrame({key: [missing] for key in TABLE})
        holed = pd.concat([holed.iloc[: rows[-1]], gap, holed.iloc[rows[-1] :]])
    assert holed["close"].tolist().count(missing) == 5 or math.isnan(missing)
    assert lines(MAKERS[name]().warm_up(holed)) == lines(whole)
    streamed = MAKERS[name]()
    for values in holed.itertuples(index=False):
        open_, high, low, close, volume = values
        streamed.update_bar(wb.Bar(BAR_TYPE, open_, high, low, close, volume, 0, 0))
    assert lines(streamed) == lines(whole)


@pytest.mark.parametrize("name", MAKERS)
def test_warming_up_from_nothing_changes_nothing(name: str) -> None:
    indicator = MAKERS[name]().warm_up([])
    indicator.warm_up(FRAME.iloc[:0])
    assert repr(lines(indicator)) == repr(lines(MAKERS[name]()))


def test_an_indicator_shows_what_it_was_made_with() -> None:
    shown = [repr(maker()) for maker in MAKERS.values()]
    assert shown == [
        "SMA(10, value=nan)",
        "EMA(10, value=nan)",
        "EMA(10, start='sma', value=nan)",
        "WilderAverage(10, value=nan)",
        "RSI(10, value=nan)",
        "MACD(5, 10, 4, value=nan)",
        "MACD(5, 10, 4, start='sma', value=nan)",
        "BollingerBands(10, 2, value=nan)",
        "ATR(10, value=nan)",
        "DonchianChannel(10, value=nan)",
        "VWAP(value=nan)",
    ]
    assert repr(wb.VWAP(timedelta(days=1))) == "VWAP(session=1 day, 0:00:00, value=nan)"
    assert repr(wb.SMA(3).warm_up([1.0])) == "SMA(3, value=1)"


@pytest.mark.parametrize(
    "kind", [wb.SMA, wb.EMA, wb.RSI, wb.ATR, wb.BollingerBands, wb.DonchianChannel]
)
@pytest.mark.parametrize(
    ("period", "message"),
    [
        (0, "period must be 1 or more; got 0"),
        (2.0, r"whole number, 1 or more; got 2\.0"),
        (True, "whole number, 1 or more; got True"),
    ],
)
def test_a_period_that_is_no_whole_number_above_zero_is_refused(
    kind: Any, period: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(period)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wb.MACD(26, 12), "fast period must be below the slow one; got 26 and 12"),
        (lambda: wb.MACD(signal=0), "a signal period must be 1 or more; got 0"),
        (lambda: wb.EMA(3, start="last"), "starts at 'first' or 'sma'; got 'last'"),  # type: ignore[arg-type]
        (lambda: wb.BollingerBands(5, 0), "deviations must be positive; got 0"),
        (lambda: wb.BollingerBands(5, math.nan), "deviations must be positive; got nan"),
    ],
)
def test_other_arguments_that_make_no_sense_are_refused(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (FRAME[["open", "high"]], "ATR needs the columns high, low, close; got open, high"),
        (CLOSES, r"ATR needs bars, a frame, or an array with 3 columns \(high, low, close\); got"),
        (np.zeros((4, 2)), r"got \(4, 2\)"),
        ({"high": [1.0, 2.0], "low": [1.0], "close": [1.0]}, r"one length were expected; got \[1"),
        ({"high": ["a"], "low": [1.0], "close": [1.0]}, "ATR needs numbers in column high: could"),
        (["a"], "ATR needs numbers in what it is warmed up from"),
        (7, r"got \(1,\)"),
    ],
)
def test_history_without_what_is_needed_is_refused(source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        wb.ATR(3).warm_up(source)


def test_neither_an_average_nor_a_band_drifts_over_a_million_values() -> None:
    values = (1e6 + np.random.default_rng(8).normal(0, 1e-3, 1_000_003)).tolist()
    sma, bands = wb.SMA(50), wb.BollingerBands(50)
    for value in values:
        sma.update(value)
        bands.update(value)
    window = np.array(values[-50:]) - 1e6
    assert sma.value == pytest.approx(1e6 + window.mean(), rel=1e-15)
    # A running mean of 1e6 has 1e-10 of rounding, a ten-millionth of the deviation.
    assert bands.deviation == pytest.approx(window.std(), rel=1e-7)


def test_an_outlier_leaves_no_trace_as_soon_as_it_is_out_of_the_window() -> None:
    sma, bands = wb.SMA(7), wb.BollingerBands(7)
    values = [1e12, *(0.1 * k for k in range(40))]
    for place, value in enumerate(values):
        sma.update(value)
        bands.update(value)
        if place >= 7:
            window = np.array(values[place - 6 : place + 1])
            assert sma.value == pytest.approx(window.mean(), rel=1e-15)
            assert bands.deviation == pytest.approx(window.std(), rel=1e-14)


def test_vwap_of_one_price_is_that_price_however_long_it_goes_on() -> None:
    vwap = wb.VWAP()
    for volume in VOLUMES.tolist() * 200:
        vwap.update(0.1, volume)
    assert vwap.value == 0.1


class Range(PriceIndicator):
    """An indicator of a user, who builds on ours."""

    def __init__(self) -> None:
        self.reset()

    @property
    def is_ready(self) -> bool:
        return self.value == self.value

    def reset(self) -> None:
        self.value, self._low, self._high = math.nan, math.inf, -math.inf

    def update(self, value: float) -> float:
        self._low, self._high = min(self._low, value), max(self._high, value)
        self.value = self._high - self._low
        return self.value

    def _take(self, *columns: Any) -> None:
        for value in columns[0].tolist():
            self.update(value)

    def _arguments(self) -> tuple[Any, ...]:
        return ()


def test_an_indicator_built_on_ours_takes_bars_and_history_too() -> None:
    streamed = Range()
    for bar in bars(20):
        streamed.update_bar(bar)
    assert streamed.value == CLOSES[:20].max() - CLOSES[:20].min()
    assert Range().warm_up(FRAME.iloc[:20]).value == streamed.value

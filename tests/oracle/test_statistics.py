"""Statistics against empyrical-reloaded and pandas, on made and on real returns.

They are equal to 1e-9, with these conventions of ours:

| statistic | here | empyrical-reloaded |
|---|---|---|
| information ratio | annual, times sqrt(periods per year) | `excess_sharpe`, of one interval |
| tracking error | annual | none: `annual_volatility` of the difference |
| skew, kurtosis | corrected for the sample's size | none: compared with pandas' |
| risk return ratio | of one interval | none: `sharpe_ratio` with one interval a year |
| nothing varies | NaN | infinite or the rounding's ratio: not compared |
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.research import statistics_returns as ours
from workbench.research.statistics import periodic_returns

theirs = pytest.importorskip(
    "empyrical", reason="empyrical-reloaded is not installed; it is in the extra `oracle`"
)
pytestmark = pytest.mark.oracle

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "btcusdt-perp-1m.csv.gz"
BENCHMARK_SEED = 99


def made(seed: int, count: int = 1_000, mean: float = 0.0005) -> pd.Series:
    values = mean + 0.012 * np.random.default_rng(seed).standard_t(4, count)
    return pd.Series(values, pd.date_range("2021-01-01", periods=count, tz="UTC"))


def real(interval: str) -> pd.Series:
    if not REAL.exists():
        pytest.skip(f"the real bars are not here: {REAL}")
    frame = pd.read_csv(REAL)
    closes = pd.Series(
        frame["close"].to_numpy(), pd.DatetimeIndex(pd.to_datetime(frame["timestamp"], utc=True))
    )
    return periodic_returns(closes, interval=interval)


@pytest.fixture(
    scope="module",
    params=["gaining", "losing", "two", "with gaps", "real days", "real hours"],
)
def returns(request: pytest.FixtureRequest) -> pd.Series:
    kind: str = request.param
    if kind.startswith("real"):
        return real("1D" if kind == "real days" else "1h")
    if kind == "with gaps":
        values = made(4)
        values.iloc[::7] = math.nan
        return values
    seed, count, mean = {"gaining": (1, 1_000, 1e-3), "losing": (2, 1_000, -1e-3)}.get(
        kind, (3, 2, 0.0)
    )
    return made(seed, count, mean)


@pytest.fixture(scope="module")
def benchmark(returns: pd.Series) -> pd.Series:
    noise = made(BENCHMARK_SEED, len(returns)).to_numpy()
    return 0.4 * returns.fillna(0.0) + noise


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("year", [252, 365, 52])
def test_statistics_of_returns_equal(returns: pd.Series, year: int) -> None:
    # What is missing is left out here; empyrical counts it in the length of some statistics.
    returns = returns.dropna()
    annual = {"annualization": year}
    assert ours.volatility(returns, year) == close(theirs.annual_volatility(returns, **annual))
    assert ours.sharpe_ratio(returns, year) == close(theirs.sharpe_ratio(returns, **annual))
    riskless = ours.sharpe_ratio(returns, year, risk_free=1e-4)
    assert riskless == close(theirs.sharpe_ratio(returns, risk_free=1e-4, **annual))
    assert ours.sortino_ratio(returns, year) == close(theirs.sortino_ratio(returns, **annual))
    required = ours.sortino_ratio(returns, year, required=1e-4)
    assert required == close(theirs.sortino_ratio(returns, required_return=1e-4, **annual))
    assert ours.cagr(returns, year) == close(theirs.cagr(returns, **annual))
    assert ours.calmar_ratio(returns, year) == close(theirs.calmar_ratio(returns, **annual))
    assert ours.max_drawdown(returns) == close(theirs.max_drawdown(returns))
    assert ours.risk_return_ratio(returns) == close(theirs.sharpe_ratio(returns, annualization=1))


@pytest.mark.parametrize("year", [252, 365])
def test_statistics_against_a_benchmark_equal(
    returns: pd.Series, benchmark: pd.Series, year: int
) -> None:
    pair = returns, benchmark
    annual = {"annualization": year}
    assert ours.beta(*pair) == close(theirs.beta(*pair))
    assert ours.alpha(*pair, year) == close(theirs.alpha(*pair, **annual))
    riskless = ours.alpha(*pair, year, risk_free=1e-4)
    assert riskless == close(theirs.alpha(*pair, risk_free=1e-4, **annual))
    excess = theirs.excess_sharpe(*pair)
    assert ours.information_ratio(*pair, year) == close(excess * math.sqrt(year))
    active = (returns - benchmark).dropna()
    assert ours.tracking_error(*pair, year) == close(theirs.annual_volatility(active, **annual))


def test_moments_equal_those_of_pandas(returns: pd.Series) -> None:
    assert ours.skew(returns) == close(returns.skew())
    assert ours.kurtosis(returns) == close(returns.kurt())


def test_returns_of_days_equal_the_changes_of_a_resample() -> None:
    if not REAL.exists():
        pytest.skip(f"the real bars are not here: {REAL}")
    frame = pd.read_csv(REAL)
    index = pd.DatetimeIndex(pd.to_datetime(frame["timestamp"], utc=True))
    closes = pd.Series(frame["close"].to_numpy(), index)
    days = closes.resample("1D", closed="right", label="left").last().dropna()
    expected = days.pct_change().iloc[1:]
    found = periodic_returns(closes)
    assert len(found) > 30
    assert found.index.tolist() == expected.index.tolist()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)

"""Statistics of a series of returns, alone and against a benchmark's.

Returns are simple ones, one for each interval: 0.01 is one percent. A missing one (NaN) or an
infinite one is left out; against a benchmark, what only one of the two has. `periods_per_year` is
how many intervals a year has: 252 for daily returns of markets that close at weekends, 365 for
those that never close. Where a figure is not defined (no returns, one, or returns that do not
vary), it is NaN: never an error, never infinite.
"""

# The stubs of NumPy and pandas leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import isfinite, nan, sqrt
from typing import TYPE_CHECKING, ParamSpec

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
P = ParamSpec("P")


def _finite_or_nan(figure: Callable[P, float]) -> Callable[P, float]:
    """Make a figure NaN where its formula leaves the range of numbers."""

    @wraps(figure)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> float:
        try:
            with np.errstate(all="ignore"):
                found = figure(*args, **kwargs)
        except (OverflowError, ZeroDivisionError):
            return nan
        return found if isfinite(found) else nan

    return guarded


@_finite_or_nan
def volatility(returns: pd.Series[float], periods_per_year: float = 252) -> float:
    """Return the annual standard deviation: `std(r) * sqrt(periods_per_year)`, of a sample."""
    return _deviation(_values(returns)) * sqrt(periods_per_year)


@_finite_or_nan
def sharpe_ratio(
    returns: pd.Series[float], periods_per_year: float = 252, risk_free: float = 0.0
) -> float:
    """Return the annual Sharpe ratio: `mean(r - f) / std(r - f) * sqrt(periods_per_year)`.

    `risk_free` is the riskless return of one interval.

    Source: William F. Sharpe, The Sharpe Ratio, 1994.
    """
    values = _values(returns)
    return _ratio(_mean(values) - risk_free, _deviation(values)) * sqrt(periods_per_year)


@_finite_or_nan
def sortino_ratio(
    returns: pd.Series[float], periods_per_year: float = 252, required: float = 0.0
) -> float:
    """Return the annual Sortino ratio, NaN where no return is below the required one.

    `mean(r - required) / sqrt(mean(min(r - required, 0) ** 2)) * sqrt(periods_per_year)`, the mean
    of squares over all returns.

    Source: Frank A. Sortino, Lee N. Price, Performance Measurement in a Downside Risk Framework,
    1994.
    """
    excess = _values(returns) - required
    if len(excess) < 2:
        return nan
    downside = sqrt(_mean(np.minimum(excess, 0.0) ** 2))
    return _ratio(_mean(excess), downside) * sqrt(periods_per_year)


@_finite_or_nan
def skew(returns: pd.Series[float]) -> float:
    """Return the skewness of a sample, corrected for its size; NaN for fewer than 3 returns.

    `sqrt(n (n - 1)) / (n - 2) * m3 / m2 ** 1.5` with central moments m2, m3: G1 of Joanes and Gill,
    Comparing Measures of Sample Skewness and Kurtosis, 1998; pandas' `skew`.
    """
    values = _values(returns)
    count = len(values)
    if count < 3 or not _varies(values):
        return nan
    second, third = _central(values, 2), _central(values, 3)
    return sqrt(count * (count - 1)) / (count - 2) * _ratio(third, second**1.5)


@_finite_or_nan
def kurtosis(returns: pd.Series[float]) -> float:
    """Return the excess kurtosis of a sample, corrected for its size: 0 for a normal one.

    `(n - 1) / ((n - 2) (n - 3)) * ((n + 1) (m4 / m2 ** 2 - 3) + 6)` with central moments m2, m4: G2
    of Joanes and Gill, as above; pandas' `kurt`. NaN for fewer than 4 returns.
    """
    values = _values(returns)
    count = len(values)
    if count < 4 or not _varies(values):
        return nan
    excess = _ratio(_central(values, 4), _central(values, 2) ** 2) - 3
    return (count - 1) / ((count - 2) * (count - 3)) * ((count + 1) * excess + 6)


@_finite_or_nan
def risk_return_ratio(returns: pd.Series[float]) -> float:
    """Return the mean return by its standard deviation: `mean(r) / std(r)`, of one interval."""
    values = _values(returns)
    return _ratio(_mean(values), _deviation(values))


@_finite_or_nan
def cagr(returns: pd.Series[float], periods_per_year: float = 252) -> float:
    """Return the compound annual growth rate: `prod(1 + r) ** (periods_per_year / n) - 1`.

    NaN where more than all was lost: what is left then has no root.
    """
    values = _values(returns)
    if not len(values):
        return nan
    final = float(np.prod(1 + values))
    return _power(final, periods_per_year / len(values)) - 1


@_finite_or_nan
def max_drawdown(returns: pd.Series[float]) -> float:
    """Return the deepest fall below an earlier peak as a return: -0.2 is a fifth; 0 without a fall.

    `min(worth / max(worth until then) - 1)` of `worth = cumprod(1 + r)`, which starts at 1.
    """
    values = _values(returns)
    if not len(values):
        return nan
    worth = np.cumprod(np.concatenate(([1.0], 1 + values)))
    return float(np.min(worth / np.maximum.accumulate(worth) - 1))


@_finite_or_nan
def calmar_ratio(returns: pd.Series[float], periods_per_year: float = 252) -> float:
    """Return `cagr / -max_drawdown`, NaN without a drawdown.

    Source: Terry W. Young, Calmar Ratio: A Smoother Tool, 1991 (here over all of the returns).
    """
    return _ratio(cagr(returns, periods_per_year), -max_drawdown(returns))


@_finite_or_nan
def beta(returns: pd.Series[float], benchmark: pd.Series[float]) -> float:
    """Return `cov(r, b) / var(b)`: how far the benchmark moves the returns."""
    return _slope(*_aligned(returns, benchmark))


@_finite_or_nan
def alpha(
    returns: pd.Series[float],
    benchmark: pd.Series[float],
    periods_per_year: float = 252,
    risk_free: float = 0.0,
) -> float:
    """Return Jensen's alpha, compounded over a year.

    `(1 + mean(r - f - beta (b - f))) ** periods_per_year - 1`, with the riskless return `f` of one
    interval.

    Source: Michael C. Jensen, The Performance of Mutual Funds in the Period 1945-1964, 1968.
    """
    ours, theirs = _aligned(returns, benchmark)
    slope = _slope(ours, theirs)
    beyond = _mean(ours - risk_free - slope * (theirs - risk_free))
    return _power(1 + beyond, periods_per_year) - 1


@_finite_or_nan
def tracking_error(
    returns: pd.Series[float], benchmark: pd.Series[float], periods_per_year: float = 252
) -> float:
    """Return the annual deviation from the benchmark: `std(r - b) * sqrt(periods_per_year)`."""
    ours, theirs = _aligned(returns, benchmark)
    return _deviation(ours - theirs) * sqrt(periods_per_year)


@_finite_or_nan
def information_ratio(
    returns: pd.Series[float], benchmark: pd.Series[float], periods_per_year: float = 252
) -> float:
    """Return the annual information ratio: `mean(r - b) / std(r - b) * sqrt(periods_per_year)`.

    Annual as the Sharpe ratio is, so that it is the annual active return by the tracking error.

    Source: Richard C. Grinold, Ronald N. Kahn, Active Portfolio Management, 2000.
    """
    ours, theirs = _aligned(returns, benchmark)
    active = ours - theirs
    return _ratio(_mean(active), _deviation(active)) * sqrt(periods_per_year)


def _values(returns: pd.Series[float]) -> Floats:
    values = np.asarray(returns, dtype=np.float64)
    return values[np.isfinite(values)]


def _aligned(returns: pd.Series[float], benchmark: pd.Series[float]) -> tuple[Floats, Floats]:
    """Return both at the times that both have."""
    import pandas as pd

    both = pd.concat([returns, benchmark], axis=1, join="inner").to_numpy(dtype=np.float64)
    both = both[np.isfinite(both).all(axis=1)]
    return both[:, 0], both[:, 1]


def _mean(values: Floats) -> float:
    return float(np.mean(values)) if len(values) else nan


def _varies(values: Floats) -> bool:
    # Equal returns computed from prices differ by the rounding of 1 + r: that is no variation.
    spread = float(np.max(values) - np.min(values))
    return spread > 4 * float(np.finfo(np.float64).eps) * (1 + float(np.max(np.abs(values))))


def _deviation(values: Floats) -> float:
    if len(values) < 2:
        return nan
    return float(np.std(values, ddof=1)) if _varies(values) else 0.0


def _central(values: Floats, power: int) -> float:
    return _mean((values - np.mean(values)) ** power)


def _slope(returns: Floats, benchmark: Floats) -> float:
    if len(returns) < 2 or not _varies(benchmark):
        return nan
    moved = benchmark - np.mean(benchmark)
    return float(np.dot(moved, returns - np.mean(returns)) / np.dot(moved, moved))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else nan


def _power(base: float, exponent: float) -> float:
    """Return a power, NaN where it is not real."""
    return base**exponent if base >= 0 else nan

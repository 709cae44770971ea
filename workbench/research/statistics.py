"""Statistics of trading: of closed positions' profits and of returns, by any grouping.

`statistics` knows nothing of backtests: whatever has positions and a curve of what they brought can
be told about. What single figures mean is said where they are computed, in `statistics_profits` and
`statistics_returns`.
"""

# pandas' stubs leave parts of these calls unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.model.errors import ConfigError, DataError
from workbench.research import statistics_profits as of_profits
from workbench.research import statistics_returns as of_returns
from workbench.research.statistics_profits import ClosedPosition

if TYPE_CHECKING:
    import pandas as pd

_PROFIT_ROWS: dict[str, Callable[[list[Decimal]], Decimal | float]] = {
    "max winner": of_profits.max_winner,
    "avg winner": of_profits.average_winner,
    "min winner": of_profits.min_winner,
    "max loser": of_profits.max_loser,
    "avg loser": of_profits.average_loser,
    "min loser": of_profits.min_loser,
    "expectancy": of_profits.expectancy,
    "win rate": of_profits.win_rate,
    "profit factor": of_profits.profit_factor,
}


def statistics(
    closed: Iterable[ClosedPosition],
    returns: pd.Series[float],
    *,
    benchmark: pd.Series[float] | None = None,
    periods_per_year: float = 252,
) -> pd.Series[Any]:
    """Return all statistics of one group of positions and its returns.

    Args:
        closed: Positions that were closed, all of one settlement currency.
        returns: One for each interval: see `periodic_returns`.
        benchmark: The benchmark's returns over such intervals; without it the rows that compare are
            left out.
        periods_per_year: How many intervals a year has.

    Returns:
        A figure for each row: amounts are `Decimal`, all else is float; NaN where not defined.
    """
    import pandas as pd

    positions = list(closed)
    profits = [position.realized_pnl for position in positions]
    annual = {"periods_per_year": periods_per_year}
    rows: dict[str, Any] = {"closed positions": len(positions)}
    rows |= {name: figure(profits) for name, figure in _PROFIT_ROWS.items()}
    rows |= {
        "long ratio": of_profits.long_ratio(positions),
        "volatility": of_returns.volatility(returns, **annual),
        "sharpe ratio": of_returns.sharpe_ratio(returns, **annual),
        "sortino ratio": of_returns.sortino_ratio(returns, **annual),
        "skew": of_returns.skew(returns),
        "kurtosis": of_returns.kurtosis(returns),
        "risk return ratio": of_returns.risk_return_ratio(returns),
        "cagr": of_returns.cagr(returns, **annual),
        "calmar ratio": of_returns.calmar_ratio(returns, **annual),
        "max drawdown": of_returns.max_drawdown(returns),
    }
    if benchmark is not None:
        rows |= {
            "alpha": of_returns.alpha(returns, benchmark, **annual),
            "beta": of_returns.beta(returns, benchmark),
            "information ratio": of_returns.information_ratio(returns, benchmark, **annual),
            "tracking error": of_returns.tracking_error(returns, benchmark, **annual),
        }
    return pd.Series(rows, dtype=object)


def periodic_returns(
    worth: pd.Series[float], start: float | None = None, interval: str = "1D"
) -> pd.Series[float]:
    """Return the simple return of each interval in which a worth or price was seen.

    An interval includes its end and not its beginning, so that what closes at midnight belongs to
    the day that ends. An interval in which nothing was seen has no return: the next one's is from
    the last worth before it.

    Args:
        worth: Over time, rising; the index is a `DatetimeIndex` with a zone. NaN is passed over.
        start: What it was before the first; without it the first interval has no return.
        interval: A fixed length, as pandas writes it; counted from 1970-01-01 UTC.

    Returns:
        float64 by the beginning of the interval, UTC; NaN after a worth of 0 or less.

    Raises:
        DataError: If the index has no times with a zone.

    >>> import pandas as pd
    >>> at = pd.to_datetime(["2024-01-01 09:00Z", "2024-01-02 00:00Z", "2024-01-02 00:01Z"])
    >>> periodic_returns(pd.Series([101.0, 110.0, 99.0], index=at), start=100.0).round(6).tolist()
    [0.1, -0.1]
    """
    import pandas as pd

    index = worth.index
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise DataError(
            "a series over time needs a DatetimeIndex with a zone, such as"
            f" series.tz_localize('UTC'); got an index of {index.dtype}"
        )
    seen = worth.dropna()
    step = interval_ns(interval)
    ends = -(-pd.DatetimeIndex(seen.index).as_unit("ns").asi8 // step)
    last = np.append(ends[1:] != ends[:-1], True)[: len(ends)]
    values = seen.to_numpy(dtype=np.float64)[last]
    before = np.concatenate(([np.nan if start is None else start], values[:-1]))[: len(values)]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(before > 0, values / before - 1, np.nan)
    begins = pd.to_datetime((ends[last] - 1) * step, unit="ns", utc=True)
    returns = pd.Series(found, index=begins, dtype=np.float64, name=worth.name)
    return returns if start is not None else returns.iloc[1:]


def interval_ns(interval: str) -> int:
    """Return the length of an interval such as `1D` or `4h` in nanoseconds.

    Raises:
        ConfigError: If it is no fixed positive length.
    """
    import pandas as pd

    try:
        length = int(pd.Timedelta(interval).as_unit("ns").value)
    except ValueError:
        length = 0
    if length <= 0:
        raise ConfigError(f"an interval is a fixed length such as '1D' or '4h'; got {interval!r}")
    return length


def benchmark_returns(benchmark: pd.Series[float], interval: str = "1D") -> pd.Series[float]:
    """Return a benchmark's returns from its prices.

    Args:
        benchmark: Prices or index levels, each at the time at which it was known: a day's close at
            the day's end. Else as for `periodic_returns`.
        interval: The length of the intervals.

    Raises:
        DataError: If it is no series of numbers, or a price is not positive, as in a series of
            returns, or has no time.
    """
    import pandas as pd

    if not isinstance(benchmark, pd.Series) or not pd.api.types.is_numeric_dtype(benchmark):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(
            "a benchmark is a pandas Series of prices over time, numbers; got"
            f" {getattr(benchmark, 'dtype', type(benchmark).__name__)}"
        )
    lowest = benchmark.min()
    if lowest <= 0:
        raise DataError(
            f"a benchmark is a series of prices or index levels, all positive; got {lowest:g}."
            " Returns become levels by (1 + returns).cumprod()"
        )
    return periodic_returns(benchmark, interval=interval)

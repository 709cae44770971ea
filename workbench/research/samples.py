"""Made-up market data for trying things out: seeded random walks as DataFrames."""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.model.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

_START = "2026-01-05T00:00:00Z"


def sample_bars(
    count: int = 5000, *, seed: int = 1, start_price: float = 100.0, interval: str = "1min"
) -> pd.DataFrame:
    """Return made-up bars: a geometric random walk with slow waves, two digits.

    Args:
        count: How many.
        seed: The same seed gives the same bars.
        start_price: The first open.
        interval: Between closes, as pandas spells it.

    Returns:
        Columns open, high, low, close, volume (float64), indexed by close time (UTC).

    Raises:
        ConfigError: If the count or price is not positive.

    >>> sample_bars(3).shape
    (3, 5)
    """
    import pandas as pd

    _check(count, start_price)
    rng = np.random.default_rng(seed)
    wave = 1e-4 * np.sin(np.arange(count) / 150)
    close = np.round(start_price * np.exp(np.cumsum(rng.normal(0, 5e-4, count) + wave)), 2)
    opened = np.concatenate(([start_price], close[:-1]))
    high = np.round(np.maximum(opened, close) + np.abs(rng.normal(0, 0.02, count)), 2)
    low = np.round(np.minimum(opened, close) - np.abs(rng.normal(0, 0.02, count)), 2)
    volume = rng.integers(1_000, 10_000, count).astype(np.float64)
    index = pd.date_range(_START, periods=count + 1, freq=interval, name="time")[1:]
    return pd.DataFrame(
        {"open": opened, "high": high, "low": low, "close": close, "volume": volume}, index=index
    )


def sample_quotes(
    count: int = 20_000, *, seed: int = 1, start_price: float = 100.0, interval: str = "100ms"
) -> pd.DataFrame:
    """Return made-up quotes: a random walk of the mid price, a spread of two to four cents.

    Args:
        count: How many.
        seed: The same seed gives the same quotes.
        start_price: Where the walk begins.
        interval: Between quotes, as pandas spells it.

    Returns:
        Columns bid, ask, bid_size, ask_size (float64), indexed by time (UTC).

    Raises:
        ConfigError: If the count or price is not positive.

    >>> bool((sample_quotes(100).bid < sample_quotes(100).ask).all())
    True
    """
    import pandas as pd

    _check(count, start_price)
    rng = np.random.default_rng(seed)
    mid = start_price * np.exp(np.cumsum(rng.normal(0, 5e-5, count)))
    half = rng.integers(1, 3, count) * 0.01
    index = pd.date_range(_START, periods=count, freq=interval, name="time")
    return pd.DataFrame(
        {
            "bid": np.round(np.round(mid, 2) - half, 2),
            "ask": np.round(np.round(mid, 2) + half, 2),
            "bid_size": rng.integers(1, 100, count).astype(np.float64),
            "ask_size": rng.integers(1, 100, count).astype(np.float64),
        },
        index=index,
    )


def _check(count: int, start_price: float) -> None:
    if count < 1 or not start_price > 0:
        raise ConfigError(
            f"count and start_price must be positive; got {count!r} and {start_price!r}"
        )

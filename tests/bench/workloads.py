"""The two works that trading engines are compared on, from fixed seeds.

Work A: quotes one millisecond apart; every 1,000th sends a market order of 100,000, buying and
selling in turn; fee 0.00002 of notional. Work B: one-minute bars, always long 1 or short 1 by the
cross of two exponential averages (10 and 20, seeded with the first close, compared from the 20th
bar); fee 0.0001. In work B each open equals the close before, so that filling at this close and at
the next open is the same price.
"""

from __future__ import annotations

import numpy as np

A_SIZE, A_EVERY, A_FEE = 100_000, 1_000, "0.00002"
B_FEE, B_FAST, B_SLOW = "0.0001", 10, 20
START_NS = 1_600_000_020_000_000_000


def quotes(count: int) -> dict[str, np.ndarray]:
    """Return work A's quotes as arrays."""
    steps = np.random.default_rng(0).normal(0, 1e-6, count)
    mid = 0.75 + np.cumsum(steps)
    size = np.full(count, 1e6)
    return {
        "time": START_NS + np.arange(count, dtype=np.int64) * 1_000_000,
        "bid": np.round(mid - 5e-6, 5),
        "ask": np.round(mid + 5e-6, 5),
        "bid_size": size,
        "ask_size": size,
    }


def bars(count: int) -> dict[str, np.ndarray]:
    """Return work B's bars as arrays, stamped at their close."""
    rng = np.random.default_rng(1)
    close = np.round(1000 * np.exp(np.cumsum(rng.normal(0, 5e-4, count))), 2)
    opened = np.concatenate(([1000.0], close[:-1]))
    above, below = (np.abs(rng.normal(0, 0.2, count)) for _ in range(2))
    return {
        "time": START_NS + (np.arange(count, dtype=np.int64) + 1) * 60_000_000_000,
        "open": opened,
        "high": np.round(np.maximum(opened, close) + above, 2),
        "low": np.round(np.minimum(opened, close) - below, 2),
        "close": close,
        "volume": rng.integers(1000, 10_000, count).astype(float),
    }


class CrossRule:
    """Work B's rule, the same for every engine: returns the position to hold, or None to wait."""

    def __init__(self) -> None:
        self.count = 0
        self.fast = self.slow = 0.0
        self.fast_share, self.slow_share = 2 / (B_FAST + 1), 2 / (B_SLOW + 1)

    def update(self, close: float) -> int | None:
        """Take the next close."""
        self.count += 1
        if self.count == 1:
            self.fast = self.slow = close
            return None
        self.fast += self.fast_share * (close - self.fast)
        self.slow += self.slow_share * (close - self.slow)
        if self.count < B_SLOW or self.fast == self.slow:
            return None
        return 1 if self.fast > self.slow else -1

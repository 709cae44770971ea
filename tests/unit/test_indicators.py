"""Moving averages against pandas, from arrays and one value at a time."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from workbench.model.errors import ConfigError
from workbench.trading import EMA, SMA

CLOSES = 100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.01, 500)))


@pytest.mark.parametrize("period", [1, 3, 20])
def test_sma_is_the_rolling_mean_of_pandas(period: int) -> None:
    sma = SMA(period)
    ours = [sma.update(float(close)) for close in CLOSES]
    theirs = pd.Series(CLOSES).rolling(period, min_periods=1).mean()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("period", [1, 10, 20])
def test_ema_is_the_recursive_ewm_of_pandas(period: int) -> None:
    ema = EMA(period)
    ours = [ema.update(float(close)) for close in CLOSES]
    theirs = pd.Series(CLOSES).ewm(span=period, adjust=False).mean()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("kind", [SMA, EMA])
def test_warm_up_from_an_array_is_the_same_as_one_value_after_another(
    kind: type[SMA] | type[EMA],
) -> None:
    one_by_one = kind(10)
    for close in CLOSES[:50]:
        one_by_one.update(float(close))
    warmed = kind(10).warm_up(CLOSES[:50])
    assert warmed.value == one_by_one.value
    assert warmed.update(1.0) == one_by_one.update(1.0)
    assert type(warmed.value) is float


@pytest.mark.parametrize("kind", [SMA, EMA])
def test_it_is_ready_after_period_values_and_forgets_on_reset(kind: type[SMA] | type[EMA]) -> None:
    average = kind(3)
    assert math.isnan(average.value)
    assert [average.update(1.0) and average.is_ready for _ in range(3)] == [False, False, True]
    assert repr(average) == f"{kind.__name__}(3, value=1)"
    average.reset()
    assert math.isnan(average.value)
    assert not average.is_ready


@pytest.mark.parametrize("kind", [SMA, EMA])
def test_a_period_below_one_is_refused(kind: type[SMA] | type[EMA]) -> None:
    with pytest.raises(ConfigError, match="period must be 1 or more; got 0"):
        kind(0)


def test_sma_does_not_drift_over_many_values() -> None:
    sma = SMA(7)
    sma.warm_up([1e12, *([0.1] * 100)])
    assert sma.value == pytest.approx(0.1, abs=1e-15)

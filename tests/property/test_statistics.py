"""What holds for any profits and returns: figures are finite or NaN, and agree with one another."""

from __future__ import annotations

import math
from decimal import Decimal

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from workbench.research import statistics_profits as of_profits
from workbench.research import statistics_returns as of_returns
from workbench.research.statistics import periodic_returns

PROFITS = st.lists(
    st.decimals(-10_000, 10_000, places=4, allow_nan=False, allow_infinity=False), max_size=30
)
WILD = st.lists(st.floats() | st.sampled_from([-1.0, 0.0, 1e-17, 1e-160, 1e160]), max_size=12)
TAME = st.lists(st.floats(-0.2, 0.2).map(lambda x: round(x, 6)), min_size=5, max_size=40)
ALONE = (
    *(of_returns.volatility, of_returns.sharpe_ratio, of_returns.sortino_ratio, of_returns.skew),
    *(of_returns.kurtosis, of_returns.risk_return_ratio, of_returns.cagr, of_returns.max_drawdown),
    of_returns.calmar_ratio,
)
AGAINST = (
    *(of_returns.alpha, of_returns.beta, of_returns.tracking_error, of_returns.information_ratio),
)


def series(values: list[float]) -> pd.Series:
    return pd.Series(
        values, pd.date_range("2024-01-01", periods=len(values), tz="UTC"), dtype=float
    )


@given(PROFITS)
def test_winners_and_losers_are_in_order_and_add_up_to_all(profits: list[Decimal]) -> None:
    winners = [profit for profit in profits if profit > 0]
    losers = [profit for profit in profits if profit < 0]
    if winners:
        least, most = of_profits.min_winner(profits), of_profits.max_winner(profits)
        assert 0 < least <= most
        average = of_profits.average_winner(profits)
        assert least - Decimal("1e-20") <= average <= most + Decimal("1e-20")
    if losers:
        least, most = of_profits.min_loser(profits), of_profits.max_loser(profits)
        assert 0 > least >= most
    if profits:
        total = of_profits.expectancy(profits) * len(profits)
        assert abs(total - sum(profits)) < Decimal("1e-18")
        assert of_profits.win_rate(profits) == len(winners) / len(profits)
    factor = of_profits.profit_factor(profits)
    assert math.isnan(factor) == (not losers)
    if losers:
        assert (factor > 1) == (sum(profits) > 0)


@given(WILD, WILD)
def test_no_returns_whatever_make_a_figure_infinite_or_an_error(
    returns: list[float], benchmark: list[float]
) -> None:
    for figure in ALONE:
        assert not math.isinf(figure(series(returns)))
    for compared in AGAINST:
        assert not math.isinf(compared(series(returns), series(benchmark)))


@given(TAME)
def test_figures_of_returns_agree_with_one_another(values: list[float]) -> None:
    returns = series(values)
    assert -1.0 <= of_returns.max_drawdown(returns) <= 0.0
    doubled = 2 * returns
    for ratio in (of_returns.sharpe_ratio, of_returns.sortino_ratio, of_returns.skew):
        one, two = ratio(returns), ratio(doubled)
        assert math.isnan(one) == math.isnan(two)
        assert math.isnan(one) or math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-9)
    volatility = of_returns.volatility(returns)
    assert math.isclose(of_returns.volatility(doubled), 2 * volatility, rel_tol=1e-12)
    if volatility:
        assert math.isclose(of_returns.beta(doubled, returns), 2.0, rel_tol=1e-9)
        assert math.isclose(of_returns.tracking_error(doubled, returns), volatility, rel_tol=1e-9)


@given(TAME)
def test_returns_of_a_worth_lead_from_its_start_to_its_end(values: list[float]) -> None:
    worth = 100.0 * (1 + series(values)).cumprod()
    found = periodic_returns(worth, start=100.0)
    assert math.isclose(100.0 * (1 + found).prod(), worth.iloc[-1], rel_tol=1e-9)
    hourly = pd.Series(
        worth.to_numpy(), pd.date_range("2024-01-01", periods=len(worth), freq="h", tz="UTC")
    )
    found = periodic_returns(hourly, start=100.0)
    assert len(found) == math.ceil((len(worth) - 1) / 24) + 1
    assert math.isclose(100.0 * (1 + found).prod(), worth.iloc[-1], rel_tol=1e-9)

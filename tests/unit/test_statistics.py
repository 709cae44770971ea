"""Statistics against figures worked out by hand, and where they are not defined."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.model.enums import OrderSide
from workbench.model.errors import ConfigError, DataError
from workbench.model.positions import Position
from workbench.research import statistics_profits as of_profits
from workbench.research import statistics_returns as of_returns
from workbench.research.statistics import (
    benchmark_returns,
    interval_ns,
    periodic_returns,
    statistics,
)
from workbench.research.statistics_groups import closed_positions

PAIR = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01")
PROFITS = [Decimal(text) for text in ("3", "-1.5", "0", "0.5", "-0.25", "4.25")]
ONE_GROUP = (
    *("volatility", "sharpe_ratio", "sortino_ratio", "skew", "kurtosis", "risk_return_ratio"),
    *("cagr", "calmar_ratio", "max_drawdown"),
)
AGAINST = ("alpha", "beta", "information_ratio", "tracking_error")


def series(*values: float, start: str = "2024-01-01") -> pd.Series:
    return pd.Series(values, pd.date_range(start, periods=len(values), tz="UTC"), dtype=float)


def position(profit: str, entry: OrderSide = OrderSide.BUY) -> Position:
    return Position(
        position_id="P-1",  # type: ignore[arg-type]
        strategy_id="S-1",  # type: ignore[arg-type]
        account_id="SIM-PAPER",  # type: ignore[arg-type]
        instrument=PAIR,
        entry=entry,
        realized_pnl=Decimal(profit),
    )


def test_statistics_of_profits_are_exact_and_what_one_computes_by_hand() -> None:
    assert of_profits.max_winner(PROFITS) == Decimal("4.25")
    assert of_profits.average_winner(PROFITS) == Decimal("7.75") / 3
    assert of_profits.min_winner(PROFITS) == Decimal("0.5")
    assert of_profits.max_loser(PROFITS) == Decimal("-1.5")
    assert of_profits.average_loser(PROFITS) == Decimal("-0.875")
    assert of_profits.min_loser(PROFITS) == Decimal("-0.25")
    assert of_profits.expectancy(PROFITS) == Decimal(1)
    assert of_profits.win_rate(PROFITS) == 0.5
    assert of_profits.profit_factor(PROFITS) == 7.75 / 1.75


def test_expectancy_is_what_winners_and_losers_bring_at_their_rates() -> None:
    losing = Decimal(2) / 6
    winning = Decimal(3) / 6
    expected = winning * of_profits.average_winner(PROFITS)
    expected += losing * of_profits.average_loser(PROFITS)
    assert abs(of_profits.expectancy(PROFITS) - expected) < Decimal("1e-25")


def test_amounts_keep_28_digits_whatever_the_callers_context_is() -> None:
    import decimal

    with decimal.localcontext(prec=4):
        mean = of_profits.expectancy([Decimal("12345678901234.56"), Decimal("12345678901234.58")])
    assert mean == Decimal("12345678901234.57")


@pytest.mark.parametrize(
    ("profits", "defined"),
    [
        ([], set()),
        ([Decimal(2)], {"max_winner", "average_winner", "min_winner", "expectancy", "win_rate"}),
        (
            [Decimal(-2)],
            {
                *("max_loser", "average_loser", "min_loser"),
                *("expectancy", "win_rate", "profit_factor"),
            },
        ),
        ([Decimal(0)], {"expectancy", "win_rate"}),
    ],
)
def test_what_is_not_known_of_profits_is_nan(profits: list[Decimal], defined: set[str]) -> None:
    names = (
        *("max_winner", "average_winner", "min_winner", "max_loser", "average_loser", "min_loser"),
        *("expectancy", "win_rate", "profit_factor"),
    )
    found = {name: getattr(of_profits, name)(profits) for name in names}
    assert {name for name, value in found.items() if value == value} == defined
    for name in names[:7]:
        assert type(found[name]) is Decimal


def test_long_ratio_is_the_share_of_positions_entered_by_buying() -> None:
    sides = [OrderSide.BUY, OrderSide.SELL, OrderSide.BUY, OrderSide.BUY]
    assert of_profits.long_ratio([position("0", side) for side in sides]) == 0.75
    assert math.isnan(of_profits.long_ratio([]))


def test_statistics_of_returns_are_what_one_computes_by_hand() -> None:
    returns = series(0.10, -0.10, 0.05, 0.15)
    mean, count = 0.05, 4
    deviation = math.sqrt((0.05**2 + 0.15**2 + 0 + 0.10**2) / 3)
    assert of_returns.volatility(returns, 365) == pytest.approx(deviation * math.sqrt(365))
    assert of_returns.risk_return_ratio(returns) == pytest.approx(mean / deviation)
    sharpe = mean / deviation * math.sqrt(252)
    assert of_returns.sharpe_ratio(returns) == pytest.approx(sharpe)
    assert of_returns.sharpe_ratio(returns, risk_free=0.05) == pytest.approx(0, abs=1e-12)
    sortino = mean / math.sqrt(0.10**2 / 4) * math.sqrt(252)
    assert of_returns.sortino_ratio(returns) == pytest.approx(sortino)
    final = 1.1 * 0.9 * 1.05 * 1.15
    assert of_returns.cagr(returns, 12) == pytest.approx(final**3 - 1)
    assert of_returns.max_drawdown(returns) == pytest.approx(-0.1)
    assert of_returns.calmar_ratio(returns, 12) == pytest.approx((final**3 - 1) / 0.1)
    moments = [((0.05**k) + ((-0.15) ** k) + 0.0 + (0.10**k)) / count for k in (2, 3, 4)]
    skew = math.sqrt(12) / 2 * moments[1] / moments[0] ** 1.5
    assert of_returns.skew(returns) == pytest.approx(skew)
    kurtosis = 3 / 2 * (5 * (moments[2] / moments[0] ** 2 - 3) + 6)
    assert of_returns.kurtosis(returns) == pytest.approx(kurtosis)


def test_a_drawdown_counts_from_the_start_and_from_each_peak() -> None:
    assert of_returns.max_drawdown(series(-0.2, 0.5, -0.1)) == pytest.approx(-0.2)
    assert of_returns.max_drawdown(series(0.5, -0.2, 0.1, -0.5, 3.0)) == pytest.approx(-0.56)
    assert of_returns.max_drawdown(series(0.1, 0.0, 0.2)) == 0.0


def test_returns_that_are_a_benchmarks_twofold_and_a_little_have_beta_two_and_alpha() -> None:
    benchmark = series(0.01, -0.02, 0.03, 0.005)
    returns = 2 * benchmark + 0.001
    assert of_returns.beta(returns, benchmark) == pytest.approx(2)
    assert of_returns.alpha(returns, benchmark, 10) == pytest.approx(1.001**10 - 1)
    active = (benchmark + 0.001).to_numpy()
    deviation = active.std(ddof=1) * math.sqrt(10)
    assert of_returns.tracking_error(returns, benchmark, 10) == pytest.approx(deviation)
    ratio = active.mean() * 10 / deviation
    assert of_returns.information_ratio(returns, benchmark, 10) == pytest.approx(ratio)


def test_only_times_that_both_have_are_compared() -> None:
    benchmark = series(0.01, -0.02, 0.03, 0.005)
    returns = 2 * benchmark
    returns.iloc[1] = math.nan
    longer = pd.concat([benchmark, series(0.5, start="2024-02-01")])
    for name in ("beta", "tracking_error", "alpha", "information_ratio"):
        figure = getattr(of_returns, name)
        kept = returns.dropna()
        assert figure(returns, longer) == figure(kept, benchmark[kept.index])
    other = series(0.1, 0.2, 0.3, start="2030-01-01")
    assert math.isnan(of_returns.beta(returns, other))


@pytest.mark.parametrize(
    ("returns", "defined"),
    [
        (series(), set()),
        (series(math.nan, math.nan), set()),
        (series(0.01), {"cagr", "max_drawdown"}),
        (series(-0.01), {"cagr", "max_drawdown", "calmar_ratio"}),
        (series(0.0, 0.0, 0.0, 0.0), {"volatility", "cagr", "max_drawdown"}),
        (series(0.01, 0.01, 0.01, 0.01), {"volatility", "cagr", "max_drawdown"}),
        (
            series(-0.01, -0.01, -0.01, -0.01),
            {"volatility", "cagr", "max_drawdown", "calmar_ratio", "sortino_ratio"},
        ),
        (
            series(0.01, 0.02),
            set(ONE_GROUP) - {"skew", "kurtosis", "sortino_ratio", "calmar_ratio"},
        ),
        (series(0.01, -0.02, 0.03), set(ONE_GROUP) - {"kurtosis"}),
        (series(0.01, math.inf, -0.02, 0.03, math.nan), set(ONE_GROUP) - {"kurtosis"}),
        (series(-1.5, 0.1, 0.1, 0.3), set(ONE_GROUP) - {"cagr", "calmar_ratio"}),
        (series(-1.0, 0.1, 0.1, 0.3), set(ONE_GROUP)),
        (series(50.0), {"max_drawdown"}),  # a year of such days is beyond any float
        (series(1e300, 1e300), {"volatility"}),
    ],
)
def test_what_is_not_defined_of_returns_is_nan_and_never_infinite_or_an_error(
    returns: pd.Series, defined: set[str]
) -> None:
    found = {name: getattr(of_returns, name)(returns) for name in ONE_GROUP}
    assert {name for name, value in found.items() if not math.isnan(value)} == defined
    assert not any(map(math.isinf, found.values()))


def test_equal_gains_that_differ_by_rounding_only_have_no_sharpe_ratio() -> None:
    worth = 100 * 1.01 ** np.arange(50)
    returns = pd.Series(worth).pct_change()
    assert returns.nunique() > 1
    assert math.isnan(of_returns.sharpe_ratio(returns))
    assert of_returns.volatility(returns) == 0.0


@pytest.mark.parametrize(
    ("returns", "benchmark", "defined"),
    [
        (series(), series(), set()),
        (series(0.1), series(0.2), set()),
        (series(0.1, 0.2), series(0.1, 0.1), {"information_ratio", "tracking_error"}),
        (series(0.1, 0.2), series(0.1, 0.2), {"alpha", "beta", "tracking_error"}),
        (series(0.1, 0.1), series(0.1, 0.2), set(AGAINST)),
    ],
)
def test_what_is_not_defined_against_a_benchmark_is_nan(
    returns: pd.Series, benchmark: pd.Series, defined: set[str]
) -> None:
    found = {name: getattr(of_returns, name)(returns, benchmark) for name in AGAINST}
    assert {name for name, value in found.items() if not math.isnan(value)} == defined


def test_returns_of_days_are_from_close_to_close_and_midnight_ends_a_day() -> None:
    times = [
        *("2024-01-01 12:00", "2024-01-02 00:00", "2024-01-02 00:01", "2024-01-02 23:59"),
        *("2024-01-05 10:00", "2024-01-05 11:00"),
    ]
    worth = pd.Series(
        [100.0, 110.0, 90.0, 121.0, math.nan, 60.5], pd.DatetimeIndex(times, tz="UTC")
    )
    returns = periodic_returns(worth, start=100.0)
    expected = {"2024-01-01": 0.1, "2024-01-02": 0.1, "2024-01-05": -0.5}
    assert returns.index.strftime("%Y-%m-%d").tolist() == list(expected)
    assert returns.tolist() == pytest.approx(list(expected.values()))
    assert str(returns.index.dtype) == "datetime64[ns, UTC]"
    assert periodic_returns(worth).tolist() == pytest.approx([0.1, -0.5])
    berlin = worth.tz_convert("Europe/Berlin")
    pd.testing.assert_series_equal(periodic_returns(berlin, start=100.0), returns)


def test_returns_of_other_intervals_are_counted_from_1970() -> None:
    index = pd.date_range("2024-01-01 00:30", periods=5, freq="30min", tz="UTC")
    worth = pd.Series([1.0, 2.0, 4.0, 8.0, 16.0], index)
    returns = periodic_returns(worth, interval="1h")
    assert returns.tolist() == [3.0, 1.0]
    assert returns.index.strftime("%H:%M").tolist() == ["01:00", "02:00"]


def test_there_is_no_return_on_nothing() -> None:
    assert math.isnan(periodic_returns(series(5.0), start=0.0).iloc[0])
    assert np.isnan(periodic_returns(series(5.0, -1.0, 5.0))).tolist() == [False, True]
    assert len(periodic_returns(series())) == len(periodic_returns(series(), start=1.0)) == 0


def test_times_without_a_zone_and_intervals_without_a_length_are_refused() -> None:
    with pytest.raises(DataError, match=r"DatetimeIndex with a zone.*index of datetime64"):
        periodic_returns(series(1.0, 2.0).tz_localize(None))
    with pytest.raises(DataError, match="got an index of int64"):
        periodic_returns(pd.Series([1.0, 2.0]))
    for wrong in ("month", "-1D", "0s"):
        with pytest.raises(ConfigError, match=f"a fixed length such as '1D' or '4h'; got '{wrong}"):
            interval_ns(wrong)


def test_a_benchmark_of_returns_is_refused_with_how_to_make_prices_of_it() -> None:
    with pytest.raises(DataError, match=r"all positive; got -0\.02\. Returns become levels by"):
        benchmark_returns(series(0.01, -0.02))
    assert benchmark_returns(series(100.0, 101.0)).tolist() == pytest.approx([0.01])
    assert len(benchmark_returns(series())) == 0


ROWS = [
    *("closed positions", "max winner", "avg winner", "min winner", "max loser", "avg loser"),
    *("min loser", "expectancy", "win rate", "profit factor", "long ratio", "volatility"),
    *("sharpe ratio", "sortino ratio", "skew", "kurtosis", "risk return ratio", "cagr"),
    *("calmar ratio", "max drawdown"),
]


def test_all_statistics_are_those_of_closed_positions_and_of_the_returns() -> None:
    positions = [position("2"), position("-1", OrderSide.SELL)]
    returns, benchmark = series(0.02, -0.01, 0.03, 0.01), series(0.01, 0.01, 0.02, -0.01)
    found = statistics(positions, returns, benchmark=benchmark, periods_per_year=365)
    assert list(found.index) == [*ROWS, *AGAINST[:2], "information ratio", "tracking error"]
    assert found["closed positions"] == 2
    assert found["max winner"] == Decimal(2)
    assert (found["win rate"], found["long ratio"], found["profit factor"]) == (0.5, 0.5, 2.0)
    assert found["sharpe ratio"] == of_returns.sharpe_ratio(returns, 365)
    assert found["alpha"] == of_returns.alpha(returns, benchmark, 365)
    assert found["tracking error"] == of_returns.tracking_error(returns, benchmark, 365)
    assert list(statistics(positions, returns).index) == ROWS


def test_statistics_of_nothing_are_all_nan_but_the_count() -> None:
    found = statistics([], series(), benchmark=series())
    assert found["closed positions"] == 0
    assert found.drop("closed positions").isna().all()


def day(number: float) -> int:
    """Nanoseconds of a time in January 2024, in days from its first midnight."""
    return int(pd.Timestamp("2024-01-01", tz="UTC").value + number * 86_400 * 10**9)


class Buyer(wb.Strategy):
    """Buys and sells at the bars whose number is given."""

    symbol: str
    buys: tuple[int, ...] = ()
    sells: tuple[int, ...] = ()

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_bars(f"{self.symbol}-4-hour-last")

    def on_bar(self, bar: wb.Bar) -> None:
        if self.count in self.buys or self.count in self.sells:
            side = "buy" if self.count in self.buys else "sell"
            self.submit_order(self.orders.market(bar.instrument_id, side, 10))
        self.count += 1


BTC = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01")
ETH = wb.CurrencyPair.define("ETH/EUR.SIM", price_increment="0.01")
CLOSES = {
    name: np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 60))), 2)
    for seed, name in enumerate(("BTC/USD.SIM", "ETH/EUR.SIM"))
}


def bars_at(times: list[int], closes: Any, instrument: Any = BTC) -> Any:
    prices = dict.fromkeys(("open", "high", "low", "close"), closes)
    return wb.bars({"ts": times, **prices}, instrument, interval="4h")


def bars_of(instrument: Any) -> Any:
    """Six bars a day for ten days, the last of each day at midnight."""
    times = [day((number + 1) / 6) for number in range(60)]
    return bars_at(times, CLOSES[instrument.id], instrument)


@pytest.fixture(scope="module")
def result() -> wb.BacktestResult:
    """One buys and sells twice, one shorts another instrument, one holds on to what it bought."""
    return wb.backtest(
        [
            Buyer(symbol="BTC/USD.SIM", buys=(1, 20), sells=(9, 40)),
            Buyer(symbol="ETH/EUR.SIM", buys=(33,), sells=(3,)),
            Buyer(symbol="BTC/USD.SIM", buys=(10,)),
        ],
        [bars_of(BTC), bars_of(ETH)],
        instrument=[BTC, ETH],
        venue=wb.SimulatedVenue(starting_balances=["10_000 USD", "5_000 EUR"]),
    )


def worth_of(name: str, buys: dict[int, int], capital: float) -> list[float]:
    """Capital and profit at the end of each day of fills of 10 at the closes of bars."""
    closes = CLOSES[name]
    worth = []
    for last in range(5, 60, 6):
        done = {bar: sign for bar, sign in buys.items() if bar <= last}
        spent = sum(10 * sign * closes[bar] for bar, sign in done.items())
        worth.append(capital + 10 * sum(done.values()) * closes[last] - spent)
    return worth


def returns_of(worth: list[float], capital: float) -> pd.Series:
    return pd.Series([capital, *worth]).pct_change().iloc[1:]


def test_statistics_of_a_run_are_of_daily_returns_on_the_starting_balance(
    result: wb.BacktestResult,
) -> None:
    worth = worth_of("ETH/EUR.SIM", {3: -1, 33: 1}, 5_000)
    expected = returns_of(worth, 5_000)
    found = result.statistics(periods_per_year=365)
    assert list(found.columns) == ["USD", "EUR"]
    assert found.columns.name == "currency"
    assert found.loc["sharpe ratio", "EUR"] == pytest.approx(
        of_returns.sharpe_ratio(expected, 365), rel=1e-9
    )
    assert found.loc["max drawdown", "EUR"] == pytest.approx(of_returns.max_drawdown(expected))
    assert found.loc["cagr", "EUR"] == pytest.approx((worth[-1] / 5_000) ** 36.5 - 1)
    closes = [Decimal(str(close)) for close in CLOSES["ETH/EUR.SIM"]]
    assert found.loc["expectancy", "EUR"] == 10 * (closes[3] - closes[33])
    assert found.loc["long ratio", "EUR"] == 0.0
    assert found.loc["closed positions"].tolist() == [2, 1]


def test_statistics_by_strategy_tell_each_ones_own(result: wb.BacktestResult) -> None:
    found = result.statistics("strategy")
    assert list(found.columns.names) == ["strategy", "currency"]
    assert sorted(found.columns) == [
        ("Buyer-001", "USD"),
        ("Buyer-002", "EUR"),
        ("Buyer-003", "USD"),
    ]
    moves = {"Buyer-001": {1: 1, 9: -1, 20: 1, 40: -1}, "Buyer-003": {10: 1}}
    for name, buys in moves.items():
        expected = returns_of(worth_of("BTC/USD.SIM", buys, 10_000), 10_000)
        volatility = found[name, "USD"]["volatility"]
        assert volatility == pytest.approx(of_returns.volatility(expected), rel=1e-9)
    assert found["Buyer-003", "USD"]["closed positions"] == 0
    assert math.isnan(found["Buyer-003", "USD"]["expectancy"])
    alone = result.statistics()
    pd.testing.assert_series_equal(
        found["Buyer-002", "EUR"], alone["EUR"], check_names=False, check_exact=True
    )


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("instrument", [("BTC/USD.SIM", "USD"), ("ETH/EUR.SIM", "EUR")]),
        ("account", [("SIM-PAPER", "EUR"), ("SIM-PAPER", "USD")]),
    ],
)
def test_statistics_by_instrument_and_account_gather_what_belongs_together(
    result: wb.BacktestResult, by: Any, groups: list[tuple[str, str]]
) -> None:
    found, alone = result.statistics(by), result.statistics()
    assert list(found.columns.names) == [by, "currency"]
    assert sorted(found.columns) == groups
    for group in groups:
        pd.testing.assert_series_equal(found[group], alone[group[1]], check_names=False)


class Flipper(wb.Strategy):
    """Is long and short in turns, without ever being flat in between."""

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_bars("BTC/USD.SIM-4-hour-last")

    def on_bar(self, bar: wb.Bar) -> None:
        side, size = ("sell", 20) if self.count % 2 else ("buy", 20 if self.count else 10)
        self.submit_order(self.orders.market(bar.instrument_id, side, size))
        self.count += 1


def test_a_flip_closes_one_position_and_the_last_that_is_open_is_not_counted() -> None:
    flipped = wb.backtest(Flipper(), bars_of(BTC), instrument=BTC)
    positions = flipped.positions
    assert positions["closed"].isna().sum() == 1
    closed = positions[positions["closed"].notna()]
    found = flipped.statistics()["USD"]
    assert found["closed positions"] == len(closed) == 59
    assert found["expectancy"] * 59 == sum(closed["realized_pnl"])
    assert found["max winner"] == max(closed["realized_pnl"])
    assert found["long ratio"] == 30 / 59  # it began long


def test_a_position_whose_opening_was_not_seen_is_not_counted() -> None:
    flipped = wb.backtest(Flipper(), bars_of(BTC), instrument=BTC)
    events = [r.message for r in flipped.log if isinstance(r.message, wb.PositionEvent)]
    whole = closed_positions(events)
    assert len(whole) == 59
    assert closed_positions(events[1:]) == whole[1:]
    assert closed_positions([]) == []


def test_a_benchmark_adds_the_rows_that_compare_with_it(result: wb.BacktestResult) -> None:
    closes = pd.Series(
        CLOSES["BTC/USD.SIM"],
        pd.DatetimeIndex([day((number + 1) / 6) for number in range(60)], tz="UTC"),
    )
    found = result.statistics("strategy", benchmark=closes)
    market = closes.iloc[5::6].pct_change().to_numpy()[1:]
    ours = returns_of(worth_of("BTC/USD.SIM", {10: 1}, 10_000), 10_000).to_numpy()[1:]
    beta = np.cov(ours, market)[0, 1] / np.var(market, ddof=1)
    assert found["Buyer-003", "USD"]["beta"] == pytest.approx(beta, rel=1e-9)
    error = np.std(ours - market, ddof=1) * math.sqrt(252)
    assert found["Buyer-003", "USD"]["tracking error"] == pytest.approx(error, rel=1e-9)
    assert list(found.index[-4:]) == ["alpha", "beta", "information ratio", "tracking error"]


def test_shorter_intervals_look_more_often_and_begin_after_the_first_event(
    result: wb.BacktestResult,
) -> None:
    closes = CLOSES["BTC/USD.SIM"]
    found = result.statistics("strategy", interval="4h", periods_per_year=6 * 365)
    worth = [10_000.0] * 10 + [10_000 + 10 * (close - closes[10]) for close in closes[10:]]
    expected = of_returns.volatility(returns_of(worth[1:], 10_000), 6 * 365)
    assert found["Buyer-003", "USD"]["volatility"] == pytest.approx(expected, rel=1e-9)


def test_a_run_without_trades_has_a_column_for_each_currency_and_none_for_groups() -> None:
    nothing = wb.backtest(wb.Actor(), bars_of(BTC), instrument=BTC)
    alone = nothing.statistics(benchmark=series(1.0, 2.0))
    assert list(alone.columns) == ["USD"]
    assert alone.loc["closed positions", "USD"] == 0
    assert (alone.loc["volatility", "USD"], alone.loc["max drawdown", "USD"]) == (0.0, 0.0)
    for by in ("strategy", "instrument", "account"):
        grouped = nothing.statistics(by, benchmark=series(1.0, 2.0))
        assert grouped.shape == (24, 0)
        assert list(grouped.index) == list(alone.index)


def test_a_run_of_one_moment_has_statistics_without_returns() -> None:
    moment = wb.backtest(wb.Actor(), bars_at([day(1)], [100.0]), instrument=BTC)
    assert moment.statistics().drop("closed positions").isna().all().all()


def test_days_without_data_have_no_return() -> None:
    week = [day(number + 0.5) for number in (0, 1, 4, 5)]
    data = bars_at(week, [100.0, 101.0, 99.0, 98.0])
    held = wb.backtest(Buyer(symbol="BTC/USD.SIM", buys=(0,)), data, instrument=BTC)
    worth = [1e6, 1e6 + 10, 1e6 - 10, 1e6 - 20]
    expected = of_returns.volatility(returns_of(worth, 1e6))
    assert held.statistics().loc["volatility", "USD"] == pytest.approx(expected, rel=1e-9)


def test_statistics_by_something_else_are_refused(result: wb.BacktestResult) -> None:
    with pytest.raises(ConfigError, match="by strategy, instrument, account or None for all; got"):
        result.statistics("venue")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="an interval is a fixed length"):
        result.statistics(interval="fortnight")


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"by": ["strategy"]}, ConfigError, r"or None for all; got \['strategy'\]"),
        ({"periods_per_year": "252"}, ConfigError, "must be a positive number; got '252'"),
        ({"periods_per_year": 0}, ConfigError, "must be a positive number; got 0"),
        ({"benchmark": [1.0, 2.0]}, DataError, "is a pandas Series of prices .* got list"),
        ({"benchmark": pd.Series(["a", "b"])}, DataError, "Series of prices over time, numbers"),
    ],
)
def test_arguments_of_statistics_that_make_no_sense_are_refused(
    result: wb.BacktestResult, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        result.statistics(**given)

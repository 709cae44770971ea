"""The curves of a run against a slow reference: the portfolio itself, asked at every event."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.engines.portfolio import Portfolio
from workbench.research import equity as curves

PAIR = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01", taker_fee="0.001")
OTHER = wb.CurrencyPair.define("ETH/USD.SIM", price_increment="0.01", taker_fee="0.002")
ABROAD = wb.CurrencyPair.define("EUR/USD.FX", price_increment="0.01")
SHARE = wb.Equity.define("ACME.SIM", currency="USD")
INVERSE = wb.CryptoPerpetual.define(
    "BTC/USD-PERP.SIM",
    is_inverse=True,
    price_increment="0.5",
    quantity_increment="1",
    multiplier="100",
    taker_fee="0.0005",
)


class Turner(wb.Strategy):
    """Trades by a fixed pattern on one instrument and notes what the portfolio says it is worth.

    The notes are made when the next event comes, so after everything the last one caused.
    """

    instrument_id: str = PAIR.id
    pattern: tuple[str, ...] = ("buy 2", "buy 1", "", "sell 4", "", "buy 1", "sell 1", "buy 1")
    every: int = 3

    def on_start(self) -> None:
        self.seen = 0
        self.steps = itertools.cycle(self.pattern)
        self.subscribe_quotes(self.instrument_id)
        self.subscribe_trades(self.instrument_id)
        for bar_type in self.core.data.clients[0].bar_types(self.instrument_id):
            self.subscribe_bars(bar_type)  # those in the data; others would be made inside

    def on_quote(self, quote: wb.Quote) -> None:
        self.step()

    def on_trade(self, trade: wb.Trade) -> None:
        self.step()

    def on_bar(self, bar: wb.Bar) -> None:
        self.step()

    def step(self) -> None:
        self.seen += 1
        if self.seen % self.every == 0:
            side, _, size = next(self.steps).partition(" ")
            if side:
                self.submit_order(self.orders.market(self.instrument_id, side, int(size)))


def worth(portfolio: Portfolio, venues: Iterable[str]) -> dict[str, float]:
    total: dict[str, float] = {}
    for venue in venues:
        for code, amount in portfolio.equity(venue).items():
            total[code] = total.get(code, 0.0) + float(amount)
    return total


class Bookkeeper(wb.Actor):
    """The reference: just before each new time it asks the portfolio."""

    venues: tuple[str, ...] = ("SIM",)

    def on_start(self) -> None:
        self.worth: dict[int, dict[str, float]] = {}
        self.profit: dict[int, dict[str, float]] = {}

    def note(self, ts: int) -> None:
        self.worth[ts] = worth(self.portfolio, self.venues)
        pnl = self.portfolio.total_pnl()
        self.profit[ts] = {code: float(amount) for code, amount in pnl.items()}


def run(
    data: Any, instruments: Any, venue: Any, patterns: dict[str, tuple[str, ...]] | None = None
) -> tuple[wb.BacktestResult, Bookkeeper]:
    """Run turners, and ask the portfolio after each event by a timer just behind it."""
    venues = venue if isinstance(venue, list) else [venue]
    names = tuple(one.name or "SIM" for one in venues)
    chosen = patterns or {one.id: Turner().pattern for one in instruments}
    turners = [
        Turner(instrument_id=name, pattern=pattern, every=2 + n)
        for n, (name, pattern) in enumerate(chosen.items())
    ]

    class Noting(Bookkeeper):
        def on_start(self) -> None:
            super().on_start()
            for ts in times:
                self.clock.set_alert(f"note {ts}", ts + 1, lambda event, ts=ts: self.note(ts))

    keeper = Noting(venues=names)
    times = sorted({ts for dataset in data for ts in dataset.ts.tolist()})
    result = wb.backtest([*turners, keeper], data, instrument=instruments, venue=venue)
    # The last alert falls due after the last event: the run's end is the note.
    keeper.note(times[-1])
    return result, keeper


def check(result: wb.BacktestResult, keeper: Bookkeeper) -> None:
    equity, profit = result.equity, result.profit
    assert list(equity.index) == sorted(equity.index)
    assert set(equity.dtypes) == {np.dtype("float64")}
    assert str(equity.index.dtype) == "datetime64[ns, UTC]"
    assert len(result.fills) > 10
    times = [ts.value for ts in equity.index]
    assert times == sorted(keeper.worth)
    for ts, ours, gained in zip(
        times, equity.to_dict("records"), profit.to_dict("records"), strict=True
    ):
        # A currency that is not held yet counts as nothing.
        assert {code: w for code, w in ours.items() if w} == pytest.approx(
            {code: w for code, w in keeper.worth[ts].items() if w}, rel=1e-12
        )
        assert {c: p for c, p in gained.items() if p} == pytest.approx(
            {c: p for c, p in keeper.profit[ts].items() if p}, rel=1e-9, abs=1e-9
        )


def quotes(instrument: wb.Instrument, count: int = 120, seed: int = 1, price: float = 100.0) -> Any:
    return wb.quotes(wb.sample_quotes(count, seed=seed, start_price=price), instrument)


def test_a_margin_accounts_equity_is_balance_and_unrealised_profit() -> None:
    result, keeper = run([quotes(PAIR)], [PAIR], wb.SimulatedVenue())
    check(result, keeper)
    last = result.equity["USD"].iloc[-1]
    unrealized = result.summary["unrealized pnl USD"]
    assert unrealized
    assert last == float(result.balances["USD"] + unrealized)


def test_an_inverse_contract_is_worth_its_profit_in_the_base_currency() -> None:
    venue = wb.SimulatedVenue(starting_balances="2 BTC")
    result, keeper = run([quotes(INVERSE, price=40_000.0)], [INVERSE], venue)
    check(result, keeper)
    assert list(result.equity) == list(result.profit) == ["BTC"]


def test_a_cash_account_counts_what_it_bought_once_in_its_own_column() -> None:
    venue = wb.SimulatedVenue(
        account_type="cash", starting_balances=["10_000 USD", "9 BTC", "5 EUR"]
    )
    result, keeper = run([quotes(PAIR)], [PAIR], venue)
    check(result, keeper)
    last = result.equity.iloc[-1]
    assert dict(last) == {code: float(total) for code, total in result.balances.items()}
    assert result.equity["EUR"].eq(5.0).all()
    assert list(result.profit) == ["USD"]


def test_a_cash_account_counts_shares_at_their_price() -> None:
    venue = wb.SimulatedVenue(account_type="cash", starting_balances="10_000 USD")
    pattern = {SHARE.id: ("buy 2", "buy 3", "sell 1", "sell 4")}
    result, keeper = run([quotes(SHARE)], [SHARE], venue, pattern)
    check(result, keeper)
    # Either way of looking tells the same, where all that was bought can be sold in one currency.
    started = result.equity["USD"] - 10_000
    assert started.to_numpy() == pytest.approx(result.profit["USD"].to_numpy(), abs=1e-6)


def test_several_strategies_instruments_and_accounts_add_up() -> None:
    venues = [
        wb.SimulatedVenue(name="SIM", starting_balances="50_000 USD"),
        wb.SimulatedVenue(
            name="FX", account_type="cash", starting_balances=["70_000 USD", "50 EUR"]
        ),
    ]
    data = [quotes(PAIR), quotes(OTHER, 80, 2), quotes(ABROAD, 100, 3, 1.0)]
    result, keeper = run(data, [PAIR, OTHER, ABROAD], venues)
    check(result, keeper)
    assert result.equity.iloc[0].to_dict() == {"USD": 120_000.0, "EUR": 50.0}


def test_bid_and_ask_bars_value_longs_at_the_bid_and_shorts_at_the_ask() -> None:
    bars = wb.sample_bars(90)
    prices = ["open", "high", "low", "close"]
    ask = bars.assign(**{name: bars[name] + 0.05 for name in prices})
    # Gaps on either side: a lone bar leaves the other side as it was.
    data = [
        wb.bars(bars.drop(bars.index[[7, 30, 31]]), PAIR, price="bid", interval="1min"),
        wb.bars(ask.drop(ask.index[[12, 50]]), PAIR, price="ask", interval="1min"),
    ]
    result, keeper = run(data, [PAIR], wb.SimulatedVenue())
    check(result, keeper)


def test_trades_newer_than_the_last_bar_tell_the_price() -> None:
    bars = wb.sample_bars(60)
    times = bars.index + pd.Timedelta(seconds=20)
    table = pd.DataFrame(
        {"price": bars["close"].to_numpy()[::3] + 0.5, "size": 1.0}, index=times[::3]
    ).rename_axis("time")
    data = [wb.bars(bars, PAIR), wb.trades(table, PAIR)]
    result, keeper = run(data, [PAIR], wb.SimulatedVenue())
    check(result, keeper)


@given(
    seed=st.integers(0, 1000),
    pattern=st.lists(
        st.sampled_from(["buy 1", "buy 2", "buy 5", "sell 1", "sell 3", "sell 5", ""]),
        min_size=2,
        max_size=8,
    ),
)
def test_the_last_point_is_balance_and_unrealised_profit(seed: int, pattern: list[str]) -> None:
    turner = Turner(pattern=tuple(pattern))
    result = wb.backtest(turner, quotes(PAIR, 60, seed), instrument=PAIR)
    expected = result.balances["USD"] + result.summary["unrealized pnl USD"]
    assert result.equity["USD"].iloc[-1] == pytest.approx(float(expected), rel=1e-14)
    total = result.profit["USD"].iloc[-1] if "USD" in result.profit else 0.0
    assert total == pytest.approx(float(result.summary["total pnl USD"]), abs=1e-7)


def test_without_trades_equity_stays_what_it_began_with() -> None:
    result = wb.backtest(wb.Actor(), quotes(PAIR, 50), instrument=PAIR)
    assert result.equity["USD"].eq(1_000_000.0).all()
    assert len(result.equity) == 50
    assert result.profit.shape == (50, 0)
    assert result.summary["max drawdown % USD"] == 0.0


def test_the_curve_of_a_long_run_is_sampled_and_ends_with_the_last_event() -> None:
    count = 200_000
    turner = Turner(every=1000)
    data = quotes(PAIR, count)
    result = wb.backtest(turner, data, instrument=PAIR, progress=False)
    equity = result.equity
    assert curves.SAMPLES <= len(equity) <= 4 * curves.SAMPLES
    assert equity.index[-1].value == int(data.ts[-1])
    changed = {time.value for time in result.account["time"]}
    assert changed <= {time.value for time in equity.index}
    expected = float(result.balances["USD"] + result.summary["unrealized pnl USD"])
    assert equity["USD"].iloc[-1] == pytest.approx(expected, rel=1e-14)


def test_very_many_trades_do_not_make_the_curve_longer() -> None:
    turner = Turner(every=1, pattern=("buy 1", "sell 1"))
    data = wb.quotes(wb.sample_quotes(12_000, interval="1s"), PAIR)
    result = wb.backtest(turner, data, instrument=PAIR, progress=False)
    assert len(result.fills) == 12_000
    assert len(result.equity) == 4 * curves.SAMPLES


def test_an_interrupted_curve_ends_where_the_run_did() -> None:
    class Quitting(Turner):
        def step(self) -> None:
            super().step()
            if self.seen == 40:
                self.shutdown_system("enough")

    data = quotes(PAIR, 100)
    result = wb.backtest(Quitting(), data, instrument=PAIR)
    assert result.equity.index[-1].value == int(data.ts[39])
    assert len(result.equity) == 40


def test_a_price_from_before_the_period_values_nothing() -> None:
    class BuyFirst(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_quotes()

        def on_quote(self, quote: wb.Quote) -> None:
            if self.position() is None:
                self.submit_order(self.orders.market(quote.instrument_id, "buy", 1))

    data = quotes(PAIR, 50)
    result = wb.backtest(BuyFirst(), data, instrument=PAIR, start=int(data.ts[20]))
    assert len(result.equity) == 30
    assert not result.equity.isna().any().any()
    first = result.fills.iloc[0]
    spread = data.events(20, 21)[0]
    loss = float(first["commission"]) + spread.ask - spread.bid
    assert result.equity["USD"].iloc[0] == pytest.approx(1_000_000 - loss, rel=1e-12)


def test_the_deepest_fall_is_found_below_the_starting_balance_too() -> None:
    prices = [100.0, 90.0, 120.0, 60.0, 200.0]
    messages = [
        wb.Quote(PAIR.id, p, p, math.inf, math.inf, t, t) for t, p in enumerate(prices, 10**18)
    ]
    free = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01")

    class BuyAndHold(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_quotes()

        def on_quote(self, quote: wb.Quote) -> None:
            if self.position() is None:
                self.submit_order(self.orders.market(quote.instrument_id, "buy", 1))

    venue = wb.SimulatedVenue(starting_balances="100 USD")
    summary = wb.backtest(BuyAndHold(), messages, instrument=free, venue=venue).summary
    assert summary["max drawdown % USD"] == 50.0
    assert summary["return % USD"] == 100.0
    assert summary["total pnl USD"] == Decimal(100)
    fallen = wb.backtest(BuyAndHold(), messages[:2], instrument=free, venue=venue).summary
    assert (fallen["max drawdown % USD"], fallen["return % USD"]) == (10.0, -10.0)

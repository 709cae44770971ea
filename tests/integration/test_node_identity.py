"""One strategy object gives, to the byte, the same in a backtest and on replays of any speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import workbench as wb
from tests.node_fakes import OTHER, PAIR, ROOT

START = 1_767_571_200_000_000_000  # 2026-01-05T00:00:00Z
FAST = 1e9
DATA = ROOT.parent / "shared" / "data"


def assert_identical(
    strategy: wb.Strategy | Sequence[wb.Strategy],
    data: Any,
    *,
    least_fills: int = 1,
    speeds: Sequence[float | None] = (None, FAST),
    **settings: Any,
) -> wb.BacktestResult:
    """Run a backtest, then replays of several speeds; every outcome must be the same."""
    result = wb.backtest(strategy, data, progress=False, **settings)
    assert len(result.fills) >= least_fills
    for speed in speeds:
        node = wb.sandbox(strategy, data=data, speed=speed, **settings)
        node.build()
        node.run(raise_exception=True)
        assert_frame_equal(node.orders(), result.orders)
        assert_frame_equal(node.fills(), result.fills)
        assert_frame_equal(node.positions(), result.positions)
        assert node.core.log.to_bytes() == result.log.to_bytes()
        assert not node.core.execution.refused_events
        node.dispose()
    again = wb.backtest(strategy, data, progress=False, **settings)
    assert again.log.to_bytes() == result.log.to_bytes()
    return result


class EmaCross(wb.Strategy):
    """Long above, short below."""

    series: str = "1-minute-last"
    fast: int = 5
    slow: int = 20
    size: float = 1.0

    def on_start(self) -> None:
        self.quick, self.late = wb.EMA(self.fast), wb.EMA(self.slow)
        self.subscribe_bars(self.series)

    def on_bar(self, bar: wb.Bar) -> None:
        self.quick.update(bar.close)
        self.late.update(bar.close)
        if not (self.quick.is_ready and self.late.is_ready):
            return
        side = "buy" if self.quick.value > self.late.value else "sell"
        held = self.position()
        if held is not None and (held.signed_quantity > 0) == (side == "buy"):
            return
        self.close_position()
        self.submit_order(self.orders.market(bar.bar_type.instrument_id, side, self.size))

    def on_stop(self) -> None:
        self.close_all_positions()


class Quoter(wb.Strategy):
    """Limits around the market, moved and cancelled; timers, alerts, requests, two instruments."""

    every_ns: int = 3_000_000_000

    def on_start(self) -> None:
        self.count = 0
        self.answers: list[int] = []
        for instrument in self.cache.instruments():
            self.subscribe_quotes(instrument.id)
            self.subscribe_trades(instrument.id)
        self.clock.set_timer("requote", self.every_ns)
        self.clock.set_alert("late", self.clock.timestamp_ns() + 20_000_000_000, self.on_late)

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        if self.count % 11 == 0:
            price = quote.bid if self.count % 2 else round(quote.ask + 0.05, 2)
            side = "buy" if self.count % 2 else "sell"
            self.submit_order(self.orders.limit(quote.instrument_id, side, 1, price))
        if self.count % 50 == 0:
            self.cancel_all_orders(quote.instrument_id)

    def on_trade(self, trade: wb.Trade) -> None:
        resting = self.cache.orders_open(instrument_id=trade.instrument_id)
        if resting and self.count % 7 == 0:
            self.modify_order(resting[0], quantity=2)
        elif resting and self.count % 5 == 0:
            self.cancel_order(resting[0])

    def on_time_event(self, event: Any) -> None:
        self.submit_order(self.orders.market(PAIR.id, "buy" if self.count % 2 else "sell", 1))
        self.request_quotes(PAIR.id, limit=3)

    def on_late(self, event: Any) -> None:
        self.close_all_positions()

    def on_historical_data(self, response: Any) -> None:
        self.answers.append(len(response.data))
        if len(self.answers) % 4 == 0:
            self.submit_order(self.orders.market(OTHER.id, "sell", 1))


def quotes_and_trades(count: int = 1500) -> list[Any]:
    """Return quotes and trades of two instruments, some of them at equal times."""
    rng = np.random.default_rng(7)
    data: list[Any] = []
    for instrument, start in ((PAIR, 100.0), (OTHER, 50.0)):
        mid = start + np.round(np.cumsum(rng.normal(0, 0.01, count)), 2)
        times = START + np.sort(rng.integers(0, 600, count)) * 100_000_000
        bid = np.round(mid - 0.01, 2)
        quotes = pd.DataFrame(
            {
                "ts": times,
                "bid": bid,
                "ask": np.round(bid + 0.02, 2),
                "bid_size": 5.0,
                "ask_size": 5.0,
            }
        )
        trades = pd.DataFrame(
            {
                "ts": times[::3],
                "price": bid[::3],
                "size": 2.0,
                "side": np.where(rng.random(len(times[::3])) < 0.5, "buy", "sell"),
            }
        )
        data += [wb.quotes(quotes, instrument), wb.trades(trades, instrument)]
    return data


def bid_and_ask_bars(count: int = 600) -> list[Any]:
    bid = wb.sample_bars(count, seed=3).drop(columns="volume")
    return [wb.bars(bid, PAIR, price="bid"), wb.bars(bid + 0.02, PAIR, price="ask")]


def test_bars() -> None:
    result = assert_identical(EmaCross(), wb.sample_bars(3000), instrument=PAIR, least_fills=50)
    assert result.is_complete


@pytest.mark.parametrize(
    "venue",
    [
        {"fill_on": "next_open"},
        {"latency_ns": 50_000_000},
        {"latency_ns": 90_000_000_000},
        {"bar_path": "adaptive", "round_money": True, "taker_fee": "0.0005"},
        {"account_type": "margin", "leverage": 10, "maker_fee": "0.0001"},
    ],
)
def test_bars_at_venues_of_all_kinds(venue: dict[str, Any]) -> None:
    assert_identical(
        EmaCross(), wb.sample_bars(1000), instrument=PAIR, venue=wb.SimulatedVenue(**venue)
    )


def test_bid_and_ask_bars() -> None:
    assert_identical(
        EmaCross(series="1-minute-bid"), bid_and_ask_bars(), instrument=PAIR, least_fills=10
    )


@pytest.mark.parametrize("latency_ns", [0, 1, 250_000_000])
def test_quotes_and_trades_of_two_instruments_with_timers_limits_and_cancels(
    latency_ns: int,
) -> None:
    strategy = Quoter()
    assert_identical(
        strategy,
        quotes_and_trades(),
        instrument=[PAIR, OTHER],
        venue=wb.SimulatedVenue(latency_ns=latency_ns),
        least_fills=20,
    )
    assert strategy.answers


def test_two_strategies_in_one_run() -> None:
    assert_identical(
        [EmaCross(), EmaCross(fast=3, slow=9)], wb.sample_bars(800), instrument=PAIR, least_fills=20
    )


class WarmedUp(EmaCross):
    """Asks for what was before the start, and trades at once."""

    def on_start(self) -> None:
        super().on_start()
        self.request_bars(self.series)

    def on_historical_data(self, response: Any) -> None:
        self.warmed = len(response.data)
        for bar in response.data:
            self.quick.update(bar.close)
            self.late.update(bar.close)


def test_a_warm_up_from_before_the_start() -> None:
    data = wb.sample_bars(600)
    strategy = WarmedUp()
    result = assert_identical(
        strategy, data, instrument=PAIR, start=data.index[200], end=data.index[500]
    )
    assert strategy.warmed == 200
    assert result.events == 300


class Quits(EmaCross):
    """Leaves a limit resting and ends the run in the middle."""

    def on_start(self) -> None:
        super().on_start()
        self.count = 0

    def on_bar(self, bar: wb.Bar) -> None:
        super().on_bar(bar)
        self.count += 1
        instrument_id = bar.bar_type.instrument_id
        if self.count == 300:
            self.submit_order(
                self.orders.limit(instrument_id, "buy", 1, round(bar.close - 0.01, 2))
            )
            self.submit_order(self.orders.market(instrument_id, "sell", 1))
            self.shutdown_system("half way")


@pytest.mark.parametrize("speed", [None, FAST])
def test_a_strategy_that_ends_the_run_sees_nothing_of_what_comes_after(
    speed: float | None,
) -> None:
    result = assert_identical(Quits(), wb.sample_bars(2000), instrument=PAIR, speeds=[speed])
    assert result.events == 300


class Raises(EmaCross):
    def on_bar(self, bar: wb.Bar) -> None:
        super().on_bar(bar)
        if len(self.cache.orders()) > 10:
            raise ValueError("too many")


def test_a_fault_leaves_the_same_behind() -> None:
    data = wb.sample_bars(2000)
    strategies = [Raises(), EmaCross(fast=3, slow=9)]
    result = wb.backtest(strategies, data, instrument=PAIR, raise_exception=False, progress=False)
    node = wb.sandbox(strategies, data=data, instrument=PAIR)
    node.build()
    node.run()
    assert str(node.fault) == str(result.error)
    assert "too many" in str(node.fault)
    assert node.core.log.to_bytes() == result.log.to_bytes()
    assert_frame_equal(node.orders(), result.orders)
    node.dispose()


class Burst(wb.Strategy):
    """Sends on the very last event: what follows must come before `on_stop`."""

    def on_start(self) -> None:
        self.filled_before_stop = 0
        self.subscribe_bars("1-minute-last")

    def on_bar(self, bar: wb.Bar) -> None:
        for _ in range(3):
            self.submit_order(self.orders.market(bar.bar_type.instrument_id, "buy", 1))

    def on_stop(self) -> None:
        self.filled_before_stop = len(self.cache.orders_closed())


def test_what_the_last_event_causes_is_handled_before_the_strategy_stops() -> None:
    """Also where the runner's budget of time ends in between."""
    data = wb.sample_bars(10)
    strategy = Burst()
    config = wb.TradingNodeConfig(budget_s=1e-6)
    result = wb.backtest(strategy, data, instrument=PAIR, progress=False)
    for _ in range(5):
        node = wb.sandbox(strategy, data=data, instrument=PAIR, config=config)
        node.build()
        node.run(raise_exception=True)
        assert strategy.filled_before_stop == 30
        assert node.core.log.to_bytes() == result.log.to_bytes()
        node.dispose()


def test_a_replay_goes_at_its_speed_and_its_speed_changes_nothing_else() -> None:
    data = wb.sample_bars(20)
    assert_identical(EmaCross(fast=2, slow=3), data, instrument=PAIR, speeds=[60 * 200.0])


def test_a_replay_that_idles_waits_for_the_stop() -> None:
    from tests.node_fakes import run
    from tests.waiting import until

    async def main() -> None:
        strategy = EmaCross()
        node = wb.sandbox(strategy, data=wb.sample_bars(100), instrument=PAIR, on_exhausted="idle")
        node.build()
        node.run()
        await until(lambda: node.core.dispatcher.data_handled == 101)
        assert node.state == "RUNNING"
        await node.stop_async()
        node.dispose()

    run(main())


# Real data, beside the project


def real(*names: str) -> list[Path]:
    paths = [DATA / name for name in names]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        pytest.skip(f"real data is not here: {', '.join(missing)} in {DATA}")
    return paths


def test_real_bid_and_ask_bars_of_gbp_usd() -> None:
    bid, ask = real("gbpusd-m1-bid-2012.csv.gz", "gbpusd-m1-ask-2012.csv.gz")
    pair = wb.CurrencyPair.define("GBP/USD.FXCM", price_increment="0.00001")
    data = [
        wb.bars(pd.read_csv(bid)[:6000], pair, price="bid", tz="UTC"),
        wb.bars(pd.read_csv(ask)[:6000], pair, price="ask", tz="UTC"),
    ]
    assert_identical(
        EmaCross(series="1-minute-bid", fast=10, slow=40, size=100_000),
        data,
        instrument=pair,
        least_fills=50,
    )


def test_real_bars_of_the_btc_perpetual() -> None:
    (path,) = real("btcusdt-perp-1m.csv.gz")
    perpetual = wb.CryptoPerpetual.define("BTC/USDT-PERP.BINANCE")
    data = wb.bars(pd.read_csv(path)[:8000], perpetual, tz="UTC")
    assert_identical(EmaCross(fast=10, slow=40, size=1), data, instrument=perpetual, least_fills=50)


class Taker(wb.Strategy):
    """Trades on Binance's quotes and trades."""

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_quotes()
        self.subscribe_trades()

    def on_trade(self, trade: wb.Trade) -> None:
        self.count += 1
        if self.count % 40 == 0:
            side = "buy" if trade.aggressor is wb.AggressorSide.BUYER else "sell"
            self.submit_order(self.orders.market(trade.instrument_id, side, "0.01"))

    def on_quote(self, quote: wb.Quote) -> None:
        if self.count % 10 == 0:
            price = self.instrument.price(quote.bid)
            self.submit_order(self.orders.limit(quote.instrument_id, "buy", "0.01", price))
        if len(self.cache.orders_open()) > 5:
            self.cancel_all_orders()


def test_real_quotes_and_trades_of_binance() -> None:
    quotes, trades = real("btcusdt-quotes.parquet", "btcusdt-trades.parquet")
    pair = wb.CurrencyPair.define(
        "BTC/USDT.BINANCE", price_increment="0.01", quantity_increment="0.000001"
    )
    data = [
        wb.quotes(quotes, pair, tz="UTC"),
        wb.trades(trades, pair, tz="UTC"),
    ]
    assert_identical(Taker(), data, instrument=pair, least_fills=10)

"""Real market data through `wb.backtest` and through a replay node: the same to the last digit."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

import workbench as wb
from workbench.runtime.eventlog import TRADING_KINDS

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"the real data files are not here: no folder {FOLDER}"
)

FEE = "0.00002"
GBP = wb.CurrencyPair.define("GBP/USD.FXCM", price_increment="0.00001", taker_fee=FEE)
PERPETUAL = wb.CryptoPerpetual.define(
    "BTC/USDT-PERP.BINANCE",
    maker_fee="0.0002",
    taker_fee="0.0004",
    margin_init="0.05",
    margin_maint="0.025",
)
BTC = wb.CurrencyPair.define(
    "BTC/USDT.BINANCE",
    price_increment="0.01",
    quantity_increment="0.000001",
    maker_fee="0.00075",
    taker_fee="0.001",
)
SPEEDS = [None, 5e7]
FAST, SLOW, SIZE = 10, 20, 100_000


class EmaCross(wb.Strategy):
    """Long while the fast average of closes is at or above the slow one, short below it."""

    bars: str
    fast: int = FAST
    slow: int = SLOW
    size: Decimal

    def on_start(self) -> None:
        self.averages = wb.EMA(self.fast), wb.EMA(self.slow)
        self.subscribe_bars(self.bars)

    def on_bar(self, bar: wb.Bar) -> None:
        fast, slow = (average.update(bar.close) for average in self.averages)
        if not all(average.is_ready for average in self.averages):
            return
        side = "buy" if fast >= slow else "sell"
        position = self.position()
        wanted = wb.PositionSide.LONG if side == "buy" else wb.PositionSide.SHORT
        if position is None or position.side is not wanted:
            self.close_position()
            self.submit_order(self.orders.market(bar.instrument_id, side, self.size))


class Imbalance(wb.Strategy):
    """Quotes behind the heavier side of the book, and takes after a run of aggressive trades."""

    size: Decimal = Decimal("0.002")
    streak: int = 8

    def on_start(self) -> None:
        self.last, self.run, self.resting = "", 0, None
        self.subscribe_quotes()
        self.subscribe_trades()

    def on_quote(self, quote: wb.Quote) -> None:
        heavy = quote.bid_size > 3 * quote.ask_size
        if self.resting is not None and self.resting.is_open:
            if not heavy:
                self.cancel_order(self.resting)
            elif float(self.resting.price) < quote.bid:
                self.modify_order(self.resting, price=quote.bid)
        elif heavy and self.position() is None:
            self.resting = self.orders.limit(quote.instrument_id, "buy", self.size, quote.bid)
            self.submit_order(self.resting)

    def on_trade(self, trade: wb.Trade) -> None:
        self.run = self.run + 1 if trade.aggressor.value == self.last else 1
        self.last = trade.aggressor.value
        if self.run == self.streak:
            side = "buy" if self.position() is None else "sell"
            self.submit_order(self.orders.market(trade.instrument_id, side, self.size))


def replayed(strategy: wb.Strategy, speed: float | None, **given: Any) -> wb.TradingNode:
    """Replay into a node until the data is at its end."""
    node = wb.sandbox(strategy, speed=speed, **given)
    node.build()
    asyncio.run(node.run_async())
    assert node.fault is None
    assert node.state is wb.NodeState.STOPPED
    return node


def assert_same(result: wb.BacktestResult, node: wb.TradingNode) -> None:
    pairs = [
        (result.orders, node.orders()),
        (result.fills, node.fills()),
        (result.positions, node.positions()),
    ]
    for ours, theirs in pairs:
        assert len(ours)
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    final = node.accounts().set_index("currency")["total"]
    assert {code: str(total) for code, total in result.balances.items()} == {
        str(code): str(total) for code, total in final.items()
    }
    assert result.log.to_bytes(TRADING_KINDS) == node.core.log.to_bytes(TRADING_KINDS)


def check_all_ways(strategy: wb.Strategy, **given: Any) -> wb.BacktestResult:
    """Backtest, then replay the same object at each speed; what happened must be equal."""
    result = wb.backtest(strategy, progress=False, **given)
    assert result.is_complete
    # A cash account may run out of coins; nothing else is to be warned of.
    assert all("INSUFFICIENT_FUNDS" in warning for warning in result.warnings)
    for speed in SPEEDS:
        node = replayed(strategy, speed, **given)
        assert_same(result, node)
        node.dispose()
    return result


# GBP/USD: bid and ask bars, and a reference that knows nothing of workbench


class Row(NamedTuple):
    time: str
    open: str
    high: str
    low: str
    close: str


def rows(side: str) -> list[Row]:
    with gzip.open(FOLDER / f"gbpusd-m1-{side}-2012.csv.gz", "rt", newline="") as file:
        return [Row(*row) for row in csv.reader(file)][1:]


class Outcome(NamedTuple):
    """What the reference finds; a trade is (close of the bar, signed quantity, price)."""

    trades: list[tuple[pd.Timestamp, Decimal, Decimal]]
    realized: Decimal
    commissions: Decimal
    open_profit: Decimal


def averages(closes: Sequence[float], period: int) -> list[float]:
    made = [closes[0]]
    for close in closes[1:]:
        made.append(made[-1] + 2 / (period + 1) * (close - made[-1]))
    return made


def reference(bids: list[Row], asks: list[Row]) -> Outcome:
    """Trade the crossing on lists: buy at the ask's close, sell at the bid's."""
    closes = [float(row.close) for row in bids]
    fast, slow = averages(closes, FAST), averages(closes, SLOW)
    above = [f >= s for f, s in zip(fast, slow, strict=True)]
    first = SLOW - 1
    turns = [first] + [i for i in range(first + 1, len(bids)) if above[i] != above[i - 1]]
    price = {True: asks, False: bids}
    entries = [(i, above[i], Decimal(price[above[i]][i].close)) for i in turns]
    trades, realized, commissions = [], Decimal(0), Decimal(0)
    for number, (i, is_long, paid) in enumerate(entries):
        signed = Decimal(SIZE if is_long else -SIZE)
        # The earlier position goes first, at the same price, in an order of its own.
        sizes = [signed] if number == 0 else [signed, signed]
        for size in sizes:
            closed = pd.Timestamp(bids[i].time) + pd.Timedelta(minutes=1)
            trades.append((closed, size, paid))
            commissions += abs(size) * paid * Decimal(FEE)
    for (_, was_long, entry), (_, _, left) in pairwise(entries):
        realized += (left - entry) * (SIZE if was_long else -SIZE)
    _, is_long, entry = entries[-1]
    last = Decimal(price[not is_long][-1].close)
    open_profit = (last - entry) * (SIZE if is_long else -SIZE)
    return Outcome(trades, realized - commissions, commissions, open_profit)


@pytest.fixture(scope="module")
def gbp() -> list[wb.Dataset]:
    return [
        wb.bars(FOLDER / f"gbpusd-m1-{side}-2012.csv.gz", GBP, price=side, stamp="open")
        for side in ("bid", "ask")
    ]


def test_an_ema_cross_over_gbpusd_bars_gives_what_a_plain_loop_gives(
    gbp: list[wb.Dataset],
) -> None:
    strategy = EmaCross(bars="1-minute-bid", size=SIZE)
    result = check_all_ways(strategy, data=gbp, instrument=GBP)
    bids, asks = rows("bid"), rows("ask")
    expected = reference(bids, asks)

    assert result.events == len(bids) == len(asks) == 30_117
    sign = {"buy": 1, "sell": -1}
    fills = [
        (fill.time, sign[fill.side] * fill.quantity, fill.price)
        for fill in result.fills.itertuples()
    ]
    assert fills == expected.trades
    assert len(result.orders) == len(expected.trades)
    assert set(result.orders["status"]) == {"filled"}
    assert len(result.positions) == (len(expected.trades) + 1) // 2

    summary = result.summary
    assert result.balances == {"USD": 1_000_000 + expected.realized}
    assert summary["realized pnl USD"] == expected.realized
    assert summary["commissions USD"] == expected.commissions
    assert summary["unrealized pnl USD"] == expected.open_profit
    assert summary["total pnl USD"] == expected.realized + expected.open_profit
    last = result.equity["USD"].iloc[-1]
    assert last == pytest.approx(
        float(1_000_000 + expected.realized + expected.open_profit), rel=1e-14
    )


def test_a_part_of_gbpusd_trades_as_if_the_rest_did_not_exist(gbp: list[wb.Dataset]) -> None:
    strategy = EmaCross(bars="1-minute-bid", size=SIZE)
    given = {"data": gbp, "instrument": GBP, "start": "2012-02-06", "end": "2012-02-08"}
    result = check_all_ways(strategy, **given)
    sides = {side: rows(side) for side in ("bid", "ask")}
    # Both ends are closing times, a minute after the stamps of the file.
    inside = [
        number
        for number, row in enumerate(sides["bid"])
        if "2012-02-05 23:59:00" <= row.time < "2012-02-07 23:59:00"
    ]
    expected = reference(*([side[number] for number in inside] for side in sides.values()))
    assert result.events == len(inside)
    assert result.balances == {"USD": 1_000_000 + expected.realized}
    assert list(result.fills["price"]) == [price for _, _, price in expected.trades]


def test_an_ema_cross_over_the_btc_perpetuals_bars_is_the_same_in_backtest_and_replay() -> None:
    strategy = EmaCross(bars="1-minute-last", size="0.5")
    data = wb.bars(FOLDER / "btcusdt-perp-1m.csv.gz", PERPETUAL, tz="UTC")
    venue = wb.SimulatedVenue(starting_balances="100_000 USDT", leverage=10)
    result = check_all_ways(strategy, data=data, instrument=PERPETUAL, venue=venue)
    assert result.events == 45_031
    fills = result.fills
    # Without a spread every fill is at the close of the bar that turned the averages.
    with gzip.open(FOLDER / "btcusdt-perp-1m.csv.gz", "rt", newline="") as file:
        closes = {
            pd.Timestamp(row[0], tz="UTC"): Decimal(row[4]) for row in list(csv.reader(file))[1:]
        }
    assert [closes[fill.time] for fill in fills.itertuples()] == list(fills["price"])
    flows = sum(
        -fill.quantity * fill.price * {"buy": 1, "sell": -1}[fill.side] - fill.commission
        for fill in fills.itertuples()
    )
    (still,) = result.positions[result.positions["closed"].isna()].itertuples()
    assert result.balances == {"USDT": 100_000 + flows + still.quantity * still.average_open}


@pytest.mark.parametrize("account_type", ["margin", "cash"])
def test_quotes_and_trades_of_binance_trade_the_same_in_backtest_and_replay(
    account_type: str,
) -> None:
    files = [FOLDER / "btcusdt-quotes.parquet", FOLDER / "btcusdt-trades.parquet"]
    venue = wb.SimulatedVenue(
        account_type=account_type,
        starting_balances=["5_000 USDT", "0.05 BTC"],
        latency_ns=3_000_000,
    )
    result = check_all_ways(Imbalance(), data=files, instrument=BTC, venue=venue)
    assert result.events == 2_452
    statuses = set(result.orders["status"])
    assert {"filled", "canceled"} <= statuses
    assert set(result.fills["liquidity"]) == {"maker", "taker"}
    traded = {"USDT": Decimal(0), "BTC": Decimal(0)}
    for fill in result.fills.itertuples():
        sign = 1 if fill.side == "buy" else -1
        traded["BTC"] += sign * fill.quantity
        traded["USDT"] -= sign * fill.quantity * fill.price + fill.commission
    if account_type == "cash":
        assert result.balances == {
            "USDT": 5_000 + traded["USDT"],
            "BTC": Decimal("0.05") + traded["BTC"],
        }
    else:
        assert result.balances["BTC"] == Decimal("0.05")
        assert sum(result.positions["quantity"]) == traded["BTC"]

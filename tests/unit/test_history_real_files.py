"""Real market data beside the repository, where it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

import workbench.history as history
from workbench.model.data import BidAskBar
from workbench.model.enums import AggressorSide
from workbench.model.errors import DataError
from workbench.model.instruments import CryptoPerpetual, CurrencyPair

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"the real data files are not here: no folder {FOLDER}"
)
BTC = CurrencyPair.define("BTC/USDT.BINANCE", price_increment="0.01", quantity_increment="0.000001")


def test_bid_and_ask_bars_of_gbpusd_are_one_stream() -> None:
    gbp = CurrencyPair.define("GBP/USD.FXCM")
    sides = [
        history.bars(FOLDER / f"gbpusd-m1-{side}-2012.csv.gz", gbp, price=side, stamp="open")
        for side in ("bid", "ask")
    ]
    assert [str(side.bar_type) for side in sides] == [
        "GBP/USD.FXCM-1-minute-bid",
        "GBP/USD.FXCM-1-minute-ask",
    ]
    line = history.Timeline(sides)
    assert line.total == 30_117
    assert history.format_ns(line.first_ts) == "2012-02-01T00:01:00Z"
    first = next(line.runs())[1][0]
    assert isinstance(first, BidAskBar)
    assert (first.bid.open, first.ask.open, first.bid.volume) == (1.57597, 1.57608, None)


def test_bars_of_the_btc_perpetual_need_a_zone() -> None:
    perpetual = CryptoPerpetual.define("BTC/USDT-PERP.BINANCE")
    path = FOLDER / "btcusdt-perp-1m.csv.gz"
    with pytest.raises(DataError, match="pass tz='UTC'"):
        history.bars(path, perpetual)
    data = history.bars(path, perpetual, tz="UTC")
    assert (len(data), str(data.bar_spec)) == (45_031, "1-minute-last")
    assert history.format_ns(int(data.ts[0])) == "2021-12-31T23:01:00Z"
    assert data.events(0, 1)[0].volume == 2300413.7295


def test_binance_quotes_and_trades_load_without_being_told_what_they_are() -> None:
    files = [FOLDER / "btcusdt-quotes.parquet", FOLDER / "btcusdt-trades.parquet"]
    quotes, trades = history.load(files, [BTC])
    assert (len(quotes), len(trades)) == (451, 2_001)
    first = quotes.events(0, 1)[0]
    assert (first.bid, first.ask, first.bid_size) == (39432.99, 39433.62, 0.0031)
    trade = trades.events(0, 1)[0]
    assert (trade.trade_id, trade.aggressor) == ("553287559", AggressorSide.SELLER)
    line = history.Timeline([quotes, trades])
    times = [event.ts_init for _, run in line.runs() for event in run]
    assert times == sorted(times)
    assert len(times) == line.total == 2_452


def test_binance_quotes_can_be_asked_for_by_symbol() -> None:
    path = FOLDER / "btcusdt-quotes.parquet"
    assert len(history.quotes(path, BTC, symbol="BTC/USDT")) == 451
    with pytest.raises(DataError, match="no symbol 'ETH/USDT'; there are BTC/USDT"):
        history.quotes(path, BTC, symbol="ETH/USDT")


def test_prices_in_a_binary_form_of_another_program_are_refused() -> None:
    with pytest.raises(DataError, match=r"row 0 .*bid_price is b'.*not a number"):
        history.quotes(FOLDER / "nautilus64-quotes.parquet", "EUR/USD.SIM")


def test_order_book_levels_are_not_taken_for_trades() -> None:
    with pytest.raises(DataError, match="order book rows are no trades"):
        history.load(FOLDER / "tardis-deribit-l2.csv", [CryptoPerpetual.define("BTC/USD.DERIBIT")])

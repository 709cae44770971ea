"""The local exchange's market: the same for the same seed, or what a file holds."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from workbench_exchange import (
    Listing,
    LocalExchange,
    Market,
    RandomMarket,
    ReplayMarket,
)

from tests.integration.exchange.plain_client import ACCOUNTS, SYMBOL, clients_of
from tests.waiting import GUARD_S
from workbench.model.errors import ConfigError
from workbench.runtime.clock import SimulatedClock

START_NS = 1_700_000_000 * 10**9


def lived(market: Market | None, seed: int = 1, steps: int = 50) -> list[Any]:
    """Return book, trades and candles after so many steps."""
    exchange = LocalExchange(
        ["BTC/USDT", "ETH/USDT"],
        market=market,
        seed=seed,
        is_paced=False,
        clock=SimulatedClock(START_NS),
    )
    found: list[Any] = []

    async def trial() -> None:
        async with asyncio.timeout(GUARD_S), exchange, clients_of(exchange) as (one,):
            exchange.advance(steps)
            for symbol in ("BTCUSDT", "ETHUSDT"):
                found.append(await one.public("depth", symbol=symbol))
                found.append(await one.public("trades", symbol=symbol))
                found.append(await one.public("klines", symbol=symbol, interval="15m"))

    asyncio.run(trial())
    return found


def test_the_same_seed_makes_the_same_market_and_another_another() -> None:
    first = lived(None, seed=3)
    assert lived(None, seed=3) == first
    assert lived(None, seed=4) != first
    book, trades, candles = first[:3]
    assert len(book["bids"]) == len(book["asks"]) == 20
    assert 5 < len(trades) < 200
    assert len(candles) >= 40


def test_its_price_goes_on_after_a_restart_where_it_was() -> None:
    market = RandomMarket(volatility=30.0, history_minutes=0)

    async def trial() -> None:
        exchange = LocalExchange(["BTC/USDT"], market=market, is_paced=False, accounts=ACCOUNTS)
        async with asyncio.timeout(GUARD_S), exchange, clients_of(exchange) as (one, _):
            exchange.advance(500)
            await one.order("BUY", "MARKET", quantity="0.01")
            last = float((await one.public("ticker/price", symbol=SYMBOL))["price"])
            assert abs(last / 60_000 - 1) > 0.001
            await exchange.restart()
            book = await one.public("ticker/bookTicker", symbol=SYMBOL)
            assert float(book["bidPrice"]) < last * 1.001
            assert float(book["askPrice"]) > last * 0.999
            assert float(book["askPrice"]) / float(book["bidPrice"]) < 1.001

    asyncio.run(trial())


def test_resting_orders_fill_when_the_market_comes_to_them() -> None:
    async def trial() -> None:
        exchange = LocalExchange(["BTC/USDT"], seed=2, is_paced=False, accounts=ACCOUNTS)
        async with asyncio.timeout(GUARD_S), exchange, clients_of(exchange) as (one, _):
            top = await one.public("ticker/bookTicker", symbol=SYMBOL)
            price = f"{float(top['bidPrice']):.2f}"
            order = await one.limit("BUY", "0.01", price)
            for _ in range(200):
                exchange.advance(10)
                found = await one.signed("GET", "order", symbol=SYMBOL, orderId=order["orderId"])
                if found["status"] == "FILLED":
                    break
            assert found["status"] == "FILLED"
            fills = await one.signed("GET", "myTrades", symbol=SYMBOL, orderId=order["orderId"])
            assert {fill["price"][:8] for fill in fills} == {price[:8]}
            assert all(fill["isMaker"] for fill in fills)

    asyncio.run(trial())


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_of_quotes_is_replayed_against_the_clients_orders(
    tmp_path: Path, ending: str
) -> None:
    times = pd.to_datetime([0, 100, 200, 1000], unit="ms", utc=True)
    frame = pd.DataFrame(
        {
            "ts": times,
            "bid": [100.0, 100.1, 99.0, 101.0],
            "ask": [100.2, 100.3, 99.2, 101.2],
            "bid_size": [1.0, 2.0, 3.0, 4.0],
            "ask_size": [1.5, 2.5, 3.5, 4.5],
        }
    )
    path = tmp_path / f"quotes.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)

    async def trial() -> None:
        market = ReplayMarket({SYMBOL: str(path)})
        exchange = LocalExchange(
            ["BTC/USDT"], market=market, is_paced=False, accounts=ACCOUNTS
        )  # fmt: skip
        async with asyncio.timeout(GUARD_S), exchange, clients_of(exchange) as (one, _):
            book = await one.public("depth", symbol=SYMBOL)
            assert book["bids"] == [["100.00000000", "1.00000000"]]
            order = await one.limit("BUY", "0.5", "99.5")
            exchange.advance(2)
            found = await one.signed("GET", "order", symbol=SYMBOL, orderId=order["orderId"])
            assert (found["status"], found["cummulativeQuoteQty"]) == ("FILLED", "49.75000000")
            book = await one.public("depth", symbol=SYMBOL)
            assert book["asks"] == [["99.20000000", "3.00000000"]]
            assert not market.is_over
            exchange.advance(8)
            assert market.is_over
            top = await one.public("ticker/bookTicker", symbol=SYMBOL)
            assert (top["bidPrice"], top["askPrice"]) == ("101.00000000", "101.20000000")

    asyncio.run(trial())


def test_stored_trades_are_traded_again() -> None:
    frame = pd.DataFrame(
        {
            "ts": pd.to_datetime([0, 50, 90], unit="ms", utc=True),
            "price": [100.0, 101.0, 99.0],
            "size": [1.0, 2.0, 3.0],
            "aggressor": ["buyer", "buyer", "seller"],
        }
    )

    async def trial() -> None:
        exchange = LocalExchange(
            ["BTC/USDT"], market=ReplayMarket({SYMBOL: frame}), is_paced=False, accounts=ACCOUNTS
        )
        async with asyncio.timeout(GUARD_S), exchange, clients_of(exchange) as (one, _):
            order = await one.limit("BUY", "1", "99")
            exchange.advance(1)
            trades = await one.public("trades", symbol=SYMBOL)
            assert [(row["price"][:5], row["qty"][0], row["isBuyerMaker"]) for row in trades] == [
                ("100.0", "1", False),
                ("101.0", "2", False),
                ("99.00", "1", True),
                ("99.00", "2", True),
            ]
            found = await one.signed("GET", "order", symbol=SYMBOL, orderId=order["orderId"])
            assert found["status"] == "FILLED"

    asyncio.run(trial())


def test_a_market_or_listing_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        RandomMarket(spread=0)
    with pytest.raises(ConfigError, match="speed"):
        ReplayMarket({}, speed=0)
    with pytest.raises(ConfigError, match=r"multiple of 0\.00000001"):
        Listing(base="A", quote="B", tick=Decimal("0.0001"), step=Decimal("0.00001"))
    with pytest.raises(ConfigError, match="different symbols"):
        LocalExchange(["BTC/USDT", "BTC/USDT"])
    unlisted = LocalExchange(["BTC/USDT"], market=ReplayMarket({"XYZ": []}))
    with pytest.raises(ConfigError, match="listed are"):
        asyncio.run(unlisted.open())

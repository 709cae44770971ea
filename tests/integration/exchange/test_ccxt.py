"""ccxt, REST and websockets, trades at the local exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("ccxt", reason="ccxt is not installed; the extra `clients` brings it")
pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

import ccxt.pro
from workbench_exchange import LocalExchange, QuietMarket

from tests.waiting import GUARD_S, until

SYMBOL = "BTC/USDT"
BOTH = {name: {"BTC": 10, "USDT": 1_000_000} for name in ("a", "b")}


def connected(exchange: LocalExchange, account: str = "a") -> Any:
    key, where = exchange.keys[account], exchange.addresses
    client = ccxt.pro.binance(
        {
            "apiKey": key.api_key,
            "secret": key.api_secret,
            "enableRateLimit": False,
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchMargins": False,
                "fetchCurrencies": False,
            },
        }
    )
    client.has["fetchCurrencies"] = False
    client.number = str  # exact; with Decimal ccxt loses the fees of trades
    for name in ("public", "private", "v1"):
        client.urls["api"][name] = f"{where.rest}/api/v3"
    client.urls["api"]["ws"]["spot"] = f"{where.streams}/ws"
    client.urls["api"]["ws"]["ws-api"]["spot"] = where.requests
    return client


@asynccontextmanager
async def trading(**settings: Any) -> AsyncIterator[tuple[LocalExchange, Any, Any]]:
    """A quiet exchange with two accounts, and a client of each."""
    options = {"accounts": BOTH, "market": QuietMarket(), **settings}
    async with asyncio.timeout(GUARD_S), LocalExchange([SYMBOL], **options) as exchange:
        one, other = connected(exchange, "a"), connected(exchange, "b")
        try:
            yield exchange, one, other
        finally:
            await one.close()
            await other.close()


def numbers(*texts: str) -> list[Decimal]:
    return [Decimal(text) for text in texts]


async def limit(client: Any, side: str, quantity: str, price: str, **params: Any) -> Any:
    return await client.create_order(SYMBOL, "limit", side, quantity, price, params)


def test_markets_and_prices_are_loaded() -> None:
    async def trial() -> None:
        async with trading(market=None) as (_, client, _other):
            market = (await client.load_markets())[SYMBOL]
            steps = market["precision"]
            assert numbers(steps["price"], steps["amount"]) == numbers("0.01", "0.00001")
            assert Decimal(market["limits"]["cost"]["min"]) == 5
            ticker = await client.fetch_ticker(SYMBOL)
            book = await client.fetch_order_book(SYMBOL, 5)
            assert Decimal(ticker["bid"]) < Decimal(ticker["ask"])
            assert len(book["bids"]) == len(book["asks"]) == 5
            candles = await client.fetch_ohlcv(SYMBOL, "1m", limit=50)
            assert len(candles) == 50
            for row in candles:
                opened, high, low, close = numbers(*row[1:5])
                assert low <= min(opened, close)
                assert max(opened, close) <= high

    asyncio.run(trial())


def test_orders_fill_partly_cancel_and_are_found_by_the_clients_own_id() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, other):
            await one.load_markets()
            await other.load_markets()
            mine = await limit(one, "buy", "0.5", "50000", clientOrderId="mine-1")
            assert mine["status"] == "open"
            theirs = await other.create_order(SYMBOL, "market", "sell", "0.2")
            assert theirs["status"] == "closed"
            assert Decimal(theirs["average"]) == 50_000
            found = await one.fetch_order(None, SYMBOL, {"origClientOrderId": "mine-1"})
            assert numbers(found["filled"], found["remaining"]) == numbers("0.2", "0.3")
            (trade,) = await one.fetch_my_trades(SYMBOL)
            assert (trade["order"], trade["takerOrMaker"]) == (mine["id"], "maker")
            assert trade["fee"] == {"cost": "0.00020000", "currency": "BTC"}
            canceled = await one.cancel_order(None, SYMBOL, {"origClientOrderId": "mine-1"})
            assert canceled["status"] == "canceled"
            assert await one.fetch_open_orders(SYMBOL) == []
            with pytest.raises(ccxt.OrderNotFound):
                await one.cancel_order(mine["id"], SYMBOL)
            with pytest.raises(ccxt.OrderNotFound):
                await one.fetch_order(None, SYMBOL, {"origClientOrderId": "never-sent"})
            balance = await one.fetch_balance()
            assert Decimal(balance["BTC"]["total"]) == Decimal("10.1998")
            dollars = balance["USDT"]
            assert numbers(dollars["free"], dollars["used"]) == numbers("990000", "0")
            theirs_now = exchange.venue.wallets["b"].balances
            assert theirs_now["USDT"].free == Decimal(1_009_990)

    asyncio.run(trial())


def test_stops_wait_for_their_trigger_and_then_trade() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            await one.load_markets()
            await other.load_markets()
            await limit(other, "sell", "1", "50000")
            await one.create_order(SYMBOL, "market", "buy", "1")
            stop = await one.create_order(
                SYMBOL, "limit", "sell", "0.4", "48900", {"stopPrice": "49000"}
            )
            await limit(other, "buy", "0.1", "49000")
            await limit(other, "buy", "1", "48950")
            assert Decimal((await one.fetch_order(stop["id"], SYMBOL))["filled"]) == 0
            await one.create_order(SYMBOL, "market", "sell", "0.1")
            done = await one.fetch_order(stop["id"], SYMBOL)
            assert (done["status"], Decimal(done["average"])) == ("closed", 48_950)

    asyncio.run(trial())


def test_the_user_stream_tells_of_orders_fills_and_balances() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, other):
            await one.load_markets()
            await other.load_markets()
            orders = asyncio.create_task(one.watch_orders(SYMBOL))
            trades = asyncio.create_task(one.watch_my_trades(SYMBOL))
            balance = asyncio.create_task(one.watch_balance())
            await until(lambda: "a" in exchange.heard)
            mine = await limit(one, "buy", "0.5", "50000", clientOrderId="watched")
            (order,) = (await orders)[-1:]
            assert (order["id"], order["clientOrderId"]) == (mine["id"], "watched")
            assert Decimal((await balance)["USDT"]["used"]) == 25_000
            await other.create_order(SYMBOL, "market", "sell", "0.2")
            (trade,) = await trades
            assert numbers(trade["amount"], trade["price"]) == numbers("0.2", "50000")
            while Decimal(order["filled"]) != Decimal("0.2"):
                order = (await one.watch_orders(SYMBOL))[-1]

    asyncio.run(trial())


def test_market_streams_follow_the_book_and_the_trades() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, other):
            await one.load_markets()
            await other.load_markets()
            await limit(other, "sell", "1", "50000")
            await limit(other, "buy", "1", "49000")
            book = await one.watch_order_book(SYMBOL)
            assert (book["bids"][0][0], book["asks"][0][0]) == (49_000, 50_000)
            trades = asyncio.create_task(one.watch_trades(SYMBOL))
            tops = asyncio.create_task(one.watch_bids_asks([SYMBOL]))
            await until(lambda: len(exchange.heard) == 3)
            await one.create_order(SYMBOL, "market", "buy", "0.25")
            (trade,) = await trades
            assert (trade["side"], Decimal(trade["amount"])) == ("buy", Decimal("0.25"))
            await tops
            # What ccxt was told while nobody awaited it is in what it keeps, and is not told again.
            left = Decimal("0.75")
            await until(lambda: Decimal(one.bidsasks[SYMBOL]["askVolume"]) == left)
            await until(lambda: book["asks"][0][1] == left)

    asyncio.run(trial())


def test_orders_go_over_the_socket_too() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            await one.load_markets()
            await other.load_markets()
            mine = await one.create_order_ws(SYMBOL, "limit", "buy", "0.5", "50000")
            assert mine["status"] == "open"
            canceled = await one.cancel_order_ws(mine["id"], SYMBOL)
            assert canceled["status"] == "canceled"

    asyncio.run(trial())


def test_what_the_exchange_refuses_is_told_apart() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _):
            await one.load_markets()
            with pytest.raises(ccxt.InsufficientFunds):
                await limit(one, "buy", "100", "50000")
            with pytest.raises(ccxt.BadRequest, match="NOTIONAL"):
                await limit(one, "buy", "0.00005", "50000")
            exchange.skew(60_000)
            with pytest.raises(ccxt.InvalidNonce):
                await one.fetch_balance()
            exchange.skew(0)
            one.secret = "wrong"
            with pytest.raises(ccxt.AuthenticationError):
                await one.fetch_balance()

    asyncio.run(trial())


def test_an_order_whose_acknowledgement_is_lost_exists_all_the_same() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _):
            await one.load_markets()
            exchange.inject("lose_reply", "order.place")
            with pytest.raises(ccxt.NetworkError):
                await limit(one, "buy", "0.5", "50000", clientOrderId="lost")
            found = await one.fetch_order(None, SYMBOL, {"origClientOrderId": "lost"})
            assert found["status"] == "open"

    asyncio.run(trial())

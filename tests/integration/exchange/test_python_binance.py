"""python-binance trades at the local exchange: REST, WS-API, market and user streams."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports what websockets calls deprecated
    pytest.importorskip("binance", reason="the extra `clients` brings python-binance")
    from binance import AsyncClient, BinanceSocketManager
    from binance.exceptions import BinanceAPIException
pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from workbench_exchange import LocalExchange, QuietMarket

from tests.waiting import GUARD_S

# The client itself uses what its libraries call deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SYMBOL = "BTCUSDT"
BOTH = {name: {"BTC": 10, "USDT": 1_000_000} for name in ("a", "b")}


@asynccontextmanager
async def client_of(exchange: LocalExchange, account: str) -> AsyncIterator[AsyncClient]:
    key, where = exchange.keys[account], exchange.addresses
    client = AsyncClient(key.api_key, key.api_secret)
    client.API_URL = f"{where.rest}/api"
    client.ws_api._url = where.requests  # there is no other way to name it
    try:
        yield client
    finally:
        await client.close_connection()


@asynccontextmanager
async def trading() -> AsyncIterator[tuple[LocalExchange, AsyncClient, AsyncClient]]:
    """A quiet exchange with two accounts, and a client of each."""
    settings = {"accounts": BOTH, "market": QuietMarket()}
    async with (
        asyncio.timeout(GUARD_S),
        LocalExchange(["BTC/USDT"], **settings) as exchange,
        client_of(exchange, "a") as one,
        client_of(exchange, "b") as other,
    ):
        yield exchange, one, other


def test_prices_and_rules_are_read() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            await other.order_limit_sell(symbol=SYMBOL, quantity="1", price="50000")
            await other.order_limit_buy(symbol=SYMBOL, quantity="1", price="49000")
            await one.order_market_buy(symbol=SYMBOL, quoteOrderQty="10000")
            rules = await one.get_symbol_info(SYMBOL)
            assert {one["filterType"] for one in rules["filters"]} >= {"PRICE_FILTER", "LOT_SIZE"}
            ticker = await one.get_orderbook_ticker(symbol=SYMBOL)
            assert (ticker["askPrice"], ticker["askQty"]) == ("50000.00000000", "0.80000000")
            assert (await one.get_order_book(symbol=SYMBOL))["bids"] == [
                ["49000.00000000", "1.00000000"]
            ]
            assert (await one.get_ticker(symbol=SYMBOL))["volume"] == "0.20000000"
            assert len(await one.get_klines(symbol=SYMBOL, interval="1m")) == 1
            assert [row["q"] for row in await one.get_aggregate_trades(symbol=SYMBOL)] == [
                "0.20000000"
            ]

    asyncio.run(trial())


def test_orders_fill_partly_cancel_and_are_found_by_the_clients_own_id() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            mine = await one.order_limit_buy(
                symbol=SYMBOL, quantity="0.5", price="50000", newClientOrderId="mine-1"
            )
            theirs = await other.order_market_sell(symbol=SYMBOL, quantity="0.2")
            assert theirs["status"] == "FILLED"
            found = await one.get_order(symbol=SYMBOL, origClientOrderId="mine-1")
            assert (found["status"], found["executedQty"]) == ("PARTIALLY_FILLED", "0.20000000")
            (fill,) = await one.get_my_trades(symbol=SYMBOL)
            assert (fill["orderId"], fill["commission"]) == (mine["orderId"], "0.00020000")
            canceled = await one.cancel_order(symbol=SYMBOL, origClientOrderId="mine-1")
            assert canceled["status"] == "CANCELED"
            with pytest.raises(BinanceAPIException) as refused:
                await one.cancel_order(symbol=SYMBOL, origClientOrderId="mine-1")
            assert refused.value.code == -2011
            with pytest.raises(BinanceAPIException) as refused:
                await one.get_order(symbol=SYMBOL, origClientOrderId="never-sent")
            assert refused.value.code == -2013
            bitcoin = await one.get_asset_balance(asset="BTC")
            dollars = await one.get_asset_balance(asset="USDT")
            assert (bitcoin["free"], bitcoin["locked"]) == ("10.19980000", "0.00000000")
            assert (dollars["free"], dollars["locked"]) == ("990000.00000000", "0.00000000")

    asyncio.run(trial())


def test_a_stop_waits_for_its_trigger_and_can_be_replaced() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            await other.order_limit_sell(symbol=SYMBOL, quantity="1", price="50000")
            await one.order_market_buy(symbol=SYMBOL, quantity="1")
            stop = {
                "symbol": SYMBOL,
                "side": "SELL",
                "type": "STOP_LOSS_LIMIT",
                "timeInForce": "GTC",
                "quantity": "0.4",
                "price": "48900",
            }
            first = await one.create_order(**stop, stopPrice="48950")
            done = await one.cancel_replace_order(
                **stop,
                stopPrice="49000",
                cancelReplaceMode="STOP_ON_FAILURE",
                cancelOrderId=first["orderId"],
            )
            number = done["newOrderResponse"]["orderId"]
            await other.order_limit_buy(symbol=SYMBOL, quantity="1", price="49000")
            assert (await one.get_order(symbol=SYMBOL, orderId=number))["isWorking"] is False
            await one.order_market_sell(symbol=SYMBOL, quantity="0.1")
            filled = await one.get_order(symbol=SYMBOL, orderId=number)
            assert (filled["status"], filled["cummulativeQuoteQty"]) == ("FILLED", "19600.00000000")

    asyncio.run(trial())


def test_the_user_stream_tells_of_orders_fills_and_balances() -> None:
    async def trial() -> list[dict[str, Any]]:
        async with (
            trading() as (_, one, other),
            BinanceSocketManager(one).user_socket() as stream,
        ):
            await one.ws_order_limit_buy(symbol=SYMBOL, quantity="0.5", price="50000")
            await other.order_market_sell(symbol=SYMBOL, quantity="0.2")
            return [await stream.recv() for _ in range(4)]

    new, locked, fill, balances = asyncio.run(trial())
    assert (new["e"], new["x"], new["X"]) == ("executionReport", "NEW", "NEW")
    assert locked["B"] == [{"a": "USDT", "f": "975000.00000000", "l": "25000.00000000"}]
    assert (fill["x"], fill["l"], fill["z"]) == ("TRADE", "0.20000000", "0.20000000")
    assert {row["a"]: Decimal(row["l"]) for row in balances["B"]} == {"USDT": 15_000, "BTC": 0}


def test_market_streams_follow_the_book_and_the_trades() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, other):
            await other.order_limit_sell(symbol=SYMBOL, quantity="1", price="50000")
            manager = BinanceSocketManager(one)
            manager.STREAM_URL = f"{exchange.addresses.streams}/"
            names = ["btcusdt@trade", "btcusdt@bookTicker", "btcusdt@depth20@100ms"]
            seen: dict[str, Any] = {}
            async with manager.multiplex_socket(names) as stream:
                await one.order_market_buy(symbol=SYMBOL, quantity="0.25")
                while len(seen) < 3 or seen[names[2]]["asks"][0][1] != "0.75000000":
                    message = await stream.recv()
                    seen[message["stream"]] = message["data"]
            assert (seen[names[0]]["p"], seen[names[0]]["q"]) == ("50000.00000000", "0.25000000")
            assert seen[names[1]]["A"] == "0.75000000"

    asyncio.run(trial())

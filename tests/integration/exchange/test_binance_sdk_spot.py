"""binance-sdk-spot, the venue's own client, trades at the local exchange: REST, WS-API, streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("binance_sdk_spot", reason="the extra `clients` brings binance-sdk-spot")
pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from binance_common.configuration import (
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError
from binance_sdk_spot.rest_api.models import (
    NewOrderSideEnum,
    NewOrderTimeInForceEnum,
    NewOrderTypeEnum,
)
from binance_sdk_spot.spot import Spot
from binance_sdk_spot.websocket_api.models import (
    OrderPlaceSideEnum,
    OrderPlaceTimeInForceEnum,
    OrderPlaceTypeEnum,
)
from workbench_exchange import LocalExchange, QuietMarket

from tests.waiting import GUARD_S

# The client itself uses what its libraries call deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SYMBOL = "BTCUSDT"
BOTH = {name: {"BTC": 10, "USDT": 1_000_000} for name in ("a", "b")}


@pytest.fixture
def exchange() -> Iterator[LocalExchange]:
    """A quiet exchange on a thread of its own: the REST client blocks."""
    with LocalExchange(["BTC/USDT"], accounts=BOTH, market=QuietMarket()) as running:
        yield running


def client_of(exchange: LocalExchange, account: str) -> Any:
    key, where = exchange.keys[account], exchange.addresses
    credentials = {"api_key": key.api_key, "api_secret": key.api_secret}
    return Spot(
        ConfigurationRestAPI(**credentials, base_path=where.rest, retries=0),
        ConfigurationWebSocketAPI(**credentials, stream_url=where.requests),
        ConfigurationWebSocketStreams(stream_url=f"{where.streams}/stream"),
    )


def limit(client: Any, side: str, quantity: float, price: float, client_id: str = "") -> Any:
    response = client.rest_api.new_order(
        SYMBOL,
        NewOrderSideEnum[side],
        NewOrderTypeEnum["LIMIT"],
        time_in_force=NewOrderTimeInForceEnum["GTC"],
        quantity=quantity,
        price=price,
        new_client_order_id=client_id or None,
    )
    return response.data()


def market(client: Any, side: str, quantity: float) -> Any:
    return client.rest_api.new_order(
        SYMBOL, NewOrderSideEnum[side], NewOrderTypeEnum["MARKET"], quantity=quantity
    ).data()


def test_prices_and_rules_are_read(exchange: LocalExchange) -> None:
    one, other = client_of(exchange, "a"), client_of(exchange, "b")
    limit(other, "SELL", 1, 50_000)
    limit(other, "BUY", 1, 49_000)
    (rules,) = one.rest_api.exchange_info(symbol=SYMBOL).data().symbols
    assert rules.base_asset == "BTC"
    assert one.rest_api.depth(SYMBOL).data().asks == [["50000.00000000", "1.00000000"]]
    assert (
        one.rest_api.ticker_book_ticker(SYMBOL).data().actual_instance.bid_price.startswith("49000")
    )
    assert len(one.rest_api.klines(SYMBOL, "1m").data()) == 0
    market(one, "BUY", 0.1)
    assert len(one.rest_api.klines(SYMBOL, "1m").data()) == 1
    (trade,) = one.rest_api.get_trades(SYMBOL).data()
    assert (trade.price, trade.qty) == ("50000.00000000", "0.10000000")


def test_orders_fill_partly_cancel_and_are_found_by_the_clients_own_id(
    exchange: LocalExchange,
) -> None:
    one, other = client_of(exchange, "a"), client_of(exchange, "b")
    mine = limit(one, "BUY", 0.5, 50_000, "mine-1")
    theirs = market(other, "SELL", 0.2)
    assert (theirs.status, theirs.fills[0].commission) == ("FILLED", "10.00000000")
    found = one.rest_api.get_order(SYMBOL, orig_client_order_id="mine-1").data()
    assert (found.order_id, found.executed_qty) == (mine.order_id, "0.20000000")
    (fill,) = one.rest_api.my_trades(SYMBOL).data()
    assert (fill.order_id, fill.commission, fill.is_maker) == (mine.order_id, "0.00020000", True)
    canceled = one.rest_api.delete_order(SYMBOL, orig_client_order_id="mine-1").data()
    assert canceled.status == "CANCELED"
    assert one.rest_api.get_open_orders(SYMBOL).data() == []
    with pytest.raises(BadRequestError) as refused:
        one.rest_api.get_order(SYMBOL, orig_client_order_id="never-sent")
    assert refused.value.status_code == -2013
    balances = {
        row.asset: (Decimal(row.free), Decimal(row.locked))
        for row in one.rest_api.get_account().data().balances
    }
    assert balances == {"BTC": (Decimal("10.1998"), 0), "USDT": (990_000, 0)}


def test_a_stop_waits_for_its_trigger_and_then_trades(exchange: LocalExchange) -> None:
    one, other = client_of(exchange, "a"), client_of(exchange, "b")
    limit(other, "SELL", 1, 50_000)
    market(one, "BUY", 1)
    stop = one.rest_api.new_order(
        SYMBOL,
        NewOrderSideEnum["SELL"],
        NewOrderTypeEnum["STOP_LOSS"],
        quantity=0.4,
        stop_price=49_000,
    ).data()
    limit(other, "BUY", 1, 49_000)
    market(one, "SELL", 0.1)
    done = one.rest_api.get_order(SYMBOL, order_id=stop.order_id).data()
    assert (done.status, done.executed_qty) == ("FILLED", "0.40000000")


@asynccontextmanager
async def socket_of(exchange: LocalExchange, account: str) -> AsyncIterator[Any]:
    client = client_of(exchange, account)
    connection = await client.websocket_api.create_connection()
    try:
        yield connection
    finally:
        await connection.close_connection(close_session=True)


def test_the_user_stream_tells_of_orders_fills_and_balances(exchange: LocalExchange) -> None:
    async def trial() -> list[Any]:
        other = client_of(exchange, "b")
        events: list[Any] = []
        async with asyncio.timeout(GUARD_S), socket_of(exchange, "a") as one:
            answer = await one.user_data_stream_subscribe_signature()
            answer.stream.on("message", events.append)
            reply = await one.order_place(
                SYMBOL,
                OrderPlaceSideEnum["BUY"],
                OrderPlaceTypeEnum["LIMIT"],
                time_in_force=OrderPlaceTimeInForceEnum["GTC"],
                price=50_000.0,
                quantity=0.5,
                new_client_order_id="own:id/1",
            )
            placed = reply.data()
            assert placed.result.client_order_id == "own:id/1"
            assert {one.rate_limit_type for one in placed.rate_limits} == {
                "REQUEST_WEIGHT",
                "ORDERS",
            }
            await asyncio.to_thread(market, other, "SELL", 0.2)
            while len(events) < 4:
                await asyncio.sleep(0.005)
            canceled = await one.order_cancel(SYMBOL, orig_client_order_id="own:id/1")
            assert canceled.data().result.status == "CANCELED"
            while len(events) < 6:
                await asyncio.sleep(0.005)
            account = (await one.account_status()).data().result
            assert {row.asset: Decimal(row.free) for row in account.balances} == {
                "BTC": Decimal("10.1998"),
                "USDT": 990_000,
            }
        return [event.actual_instance for event in events]

    new, _, fill, balances, canceled, _ = asyncio.run(trial())
    assert (new.x, new.c) == ("NEW", "own:id/1")
    assert (fill.x, fill.X, fill.l, fill.n, fill.N) == (
        "TRADE",
        "PARTIALLY_FILLED",
        "0.20000000",
        "0.00020000",
        "BTC",
    )
    assert {row.a: row.f for row in balances.B} == {"BTC": "10.19980000", "USDT": "975000.00000000"}
    assert (canceled.x, canceled.C) == ("CANCELED", "own:id/1")


def test_market_streams_follow_the_book_and_the_trades(exchange: LocalExchange) -> None:
    async def trial() -> None:
        one, other = client_of(exchange, "a"), client_of(exchange, "b")
        trades: list[Any] = []
        tops: list[Any] = []
        depths: list[Any] = []
        async with asyncio.timeout(GUARD_S):
            connection = await one.websocket_streams.create_connection()
            (await connection.trade(SYMBOL.lower())).on("message", trades.append)
            (await connection.book_ticker(SYMBOL.lower())).on("message", tops.append)
            stream = await connection.diff_book_depth(SYMBOL.lower(), update_speed="100ms")
            stream.on("message", depths.append)
            await asyncio.to_thread(limit, other, "SELL", 1, 50_000)
            await asyncio.to_thread(market, one, "BUY", 0.25)
            while not (trades and len(tops) > 1 and depths and depths[-1].a[0][1] == "0.75000000"):
                await asyncio.sleep(0.005)
            await connection.close_connection(close_session=True)
        assert (trades[0].p, trades[0].q) == ("50000.00000000", "0.25000000")
        assert (tops[-1].a, tops[-1].A) == ("50000.00000000", "0.75000000")

    asyncio.run(trial())

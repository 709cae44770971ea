"""Market streams, WS-API and user stream of the local exchange, and what goes wrong there."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

import aiohttp
from workbench_exchange import LocalExchange, QuietMarket

from tests.integration.exchange.plain_client import (
    ACCOUNTS,
    SYMBOL,
    PlainClient,
    RefusedError,
    clients_of,
)
from tests.waiting import GUARD_S, until
from workbench.runtime.clock import SimulatedClock


@asynccontextmanager
async def trading(**settings: Any) -> AsyncIterator[tuple[LocalExchange, PlainClient, PlainClient]]:
    options = {"accounts": ACCOUNTS, "market": QuietMarket(), **settings}
    async with (
        asyncio.timeout(GUARD_S),
        LocalExchange(["BTC/USDT"], **options) as exchange,
        clients_of(exchange) as (one, other),
    ):
        yield exchange, one, other


def apply(side: dict[str, str], levels: list[list[str]]) -> None:
    for price, quantity in levels:
        side[price] = quantity
        if float(quantity) == 0:
            del side[price]


def test_a_book_kept_from_a_snapshot_and_differences_equals_the_exchanges() -> None:
    async def trial() -> None:
        async with (
            trading(market=None, is_paced=False) as (exchange, one, _),
            one.market("btcusdt@depth@100ms") as socket,
        ):
            events: list[Any] = []

            async def listen() -> None:
                while True:
                    events.append(await socket.receive_json())

            listening = asyncio.create_task(listen())
            exchange.advance(5)
            await until(lambda: events)
            snapshot = await one.public("depth", symbol=SYMBOL, limit=5000)
            book = {name: dict(snapshot[name]) for name in ("bids", "asks")}
            update_id = snapshot["lastUpdateId"]
            for _ in range(20):
                exchange.advance(3)
                await asyncio.sleep(0.02)
            final = await one.public("depth", symbol=SYMBOL, limit=5000)
            await until(lambda: events[-1]["u"] == final["lastUpdateId"])
            listening.cancel()
            assert all(after["U"] == one["u"] + 1 for one, after in itertools.pairwise(events))
            fresh = [event for event in events if event["u"] > update_id]
            assert fresh[0]["U"] <= update_id + 1
            for event in fresh:
                apply(book["bids"], event["b"])
                apply(book["asks"], event["a"])
            assert len(book["bids"]) > 10
            assert book == {name: dict(final[name]) for name in ("bids", "asks")}

    asyncio.run(trial())


def test_streams_are_subscribed_listed_wrapped_and_left() -> None:
    async def trial() -> None:
        async with (
            trading() as (_, one, other),
            one.market("btcusdt@trade", wraps=True) as socket,
        ):
            await socket.send_json(
                {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", "nobody@trade"], "id": 1}
            )
            assert await socket.receive_json() == {"result": None, "id": 1}
            await socket.send_json({"method": "UNSUBSCRIBE", "params": ["nobody@trade"], "id": 2})
            assert (await socket.receive_json())["id"] == 2
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
            names = ["btcusdt@trade", "btcusdt@aggTrade"]
            assert await socket.receive_json() == {"result": names, "id": 3}
            await socket.send_json({"method": "SUBSCRIBE", "params": 7, "id": 4})
            assert "error" in await socket.receive_json()
            await socket.send_str("no JSON")
            assert "error" in await socket.receive_json()
            for _ in range(2):
                await other.limit("SELL", "0.1", "50000")
            await one.order("BUY", "MARKET", quantity="0.15")
            messages = [await socket.receive_json() for _ in range(3)]
            assert [message["stream"] for message in messages] == [names[0], names[0], names[1]]
            whole = messages[2]["data"]
            assert (whole["f"], whole["l"], whole["q"]) == (1, 2, "0.15000000")

    asyncio.run(trial())


def test_candles_are_streamed_to_their_end_and_the_day_once_a_second() -> None:
    minute_ns = 60 * 10**9
    clock = SimulatedClock(29_000_000 * minute_ns - 50_000_000)

    async def trial() -> None:
        async with (
            trading(clock=clock, is_paced=False) as (exchange, one, other),
            one.market("btcusdt@kline_1m", "btcusdt@ticker", "btcusdt@depth5") as socket,
        ):
            one.now_ms = other.now_ms = lambda: clock.now_ns // 1_000_000
            await other.limit("SELL", "1", "50000")
            await one.order("BUY", "MARKET", quantity="0.25")
            seen: dict[str, Any] = {}
            while len(seen) < 3:
                message = await socket.receive_json()
                seen[message.get("e", "depth5")] = message
            candle = seen["kline"]["k"]
            assert (candle["v"], candle["n"], candle["x"]) == ("0.25000000", 1, False)
            assert seen["24hrTicker"]["c"] == "50000.00000000"
            assert seen["depth5"]["asks"] == [["50000.00000000", "0.75000000"]]
            exchange.advance(1)
            message = {"k": candle}
            while not message.get("k", candle)["x"]:
                message = await socket.receive_json()
            assert (message["k"]["v"], message["k"]["t"]) == ("0.25000000", candle["t"])
            message = await socket.receive_json()
            assert (message["k"]["v"], message["k"]["t"]) == ("0.00000000", candle["T"] + 1)

    asyncio.run(trial())


def test_requests_on_a_socket_are_answered_with_what_was_used() -> None:
    async def trial() -> None:
        async with trading() as (_, one, _other), one.requests() as socket:
            placed = await one.ask(
                socket, "order.place",
                symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC",
                quantity="0.1", price="40000", newClientOrderId="a:b/c.d",
            )  # fmt: skip
            assert (placed["status"], placed["result"]["status"]) == (200, "NEW")
            counts = {line["interval"]: line["count"] for line in placed["rateLimits"]}
            assert counts == {"MINUTE": 1, "SECOND": 1, "DAY": 1}
            found = await one.ask(
                socket, "order.status", symbol=SYMBOL, origClientOrderId="a:b/c.d"
            )
            assert found["result"]["orderId"] == placed["result"]["orderId"]
            (still,) = (await one.ask(socket, "openOrders.status"))["result"]
            assert still["clientOrderId"] == "a:b/c.d"
            unknown = await one.ask(socket, "order.cancel", symbol=SYMBOL, orderId=77)
            assert (unknown["status"], unknown["error"]["code"]) == (400, -2011)
            assert (await one.ask(socket, "order.dream"))["status"] == 400
            assert (await one.ask(socket, "ping"))["result"] == {}
            assert (await one.ask(socket, "myTrades", symbol=SYMBOL))["result"] == []

    asyncio.run(trial())


def test_two_subscriptions_hear_everything_and_one_that_left_nothing() -> None:
    async def trial() -> None:
        async with (
            trading() as (exchange, one, other),
            one.requests() as first,
            one.requests() as second,
        ):
            await one.follow(first)
            await one.follow(second)
            await one.limit("BUY", "0.1", "40000")
            kinds = [(await socket.receive_json())["event"]["x"] for socket in (first, second)]
            assert kinds == ["NEW", "NEW"]
            await one.ask(second, "userDataStream.unsubscribe")
            assert exchange.heard == ["a"]
            await other.limit("SELL", "0.1", "40000")
            events = [(await first.receive_json())["event"] for _ in range(3)]
            assert [event.get("x", "balance") for event in events] == [
                "balance",
                "TRADE",
                "balance",
            ]
            assert (await one.ask(second, "ping"))["status"] == 200

    asyncio.run(trial())


async def executions(socket: Any, count: int) -> list[str]:
    """Return the prices of so many execution reports, in the order in which they come."""
    prices: list[str] = []
    while len(prices) < count:
        event = (await socket.receive_json())["event"]
        if event["e"] == "executionReport":
            prices.append(event["p"][:5])
    return prices


@pytest.mark.parametrize(
    ("action", "count", "heard"),
    [
        ("drop", 2, ["40002", "40003"]),
        ("duplicate", 1, ["40000", "40000", "40001", "40002", "40003"]),
        ("reorder", 1, ["40001", "40000", "40002", "40003"]),
        ("delay", 1, ["40000", "40001", "40002", "40003"]),
    ],
)
def test_the_next_messages_of_a_kind_go_wrong_as_ordered(
    action: str, count: int, heard: list[str]
) -> None:
    async def trial() -> list[str]:
        async with trading() as (exchange, one, _), one.requests() as socket:
            await one.follow(socket)
            # What is locked is told beside it, which must not count as the next message.
            exchange.inject("drop", "outboundAccountPosition", count=4)
            exchange.inject(action, "executionReport", count=count, seconds=0.05)
            for price in range(40_000, 40_004):
                await one.limit("BUY", "0.1", str(price))
            return await executions(socket, len(heard))

    assert asyncio.run(trial()) == heard


def test_a_lost_request_is_not_carried_out_and_a_lost_reply_was() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _):
            for action, exists in (("lose_request", False), ("lose_reply", True)):
                exchange.inject(action, "order.place")
                with pytest.raises(aiohttp.ClientError):
                    await one.limit("BUY", "0.1", "40000", newClientOrderId=action)
                query = one.signed("GET", "order", symbol=SYMBOL, origClientOrderId=action)
                if exists:
                    assert (await query)["status"] == "NEW"
                else:
                    with pytest.raises(RefusedError) as refused:
                        await query
                    assert refused.value.code == -2013
            exchange.inject("refuse", "order.place")
            with pytest.raises(RefusedError) as refused:
                await one.limit("BUY", "0.1", "40000")
            assert refused.value.status == 429

    asyncio.run(trial())


def test_an_acknowledgement_lost_on_a_socket_ends_it_and_the_order_exists() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _), one.requests() as socket:
            exchange.inject("lose_reply", "order.place")
            with pytest.raises(TypeError):  # the socket ended in place of a reply
                await one.ask(
                    socket, "order.place", symbol=SYMBOL, side="BUY", type="LIMIT",
                    timeInForce="GTC", quantity="0.1", price="40000",
                )  # fmt: skip
            assert len(await one.signed("GET", "openOrders", symbol=SYMBOL)) == 1

    asyncio.run(trial())


def test_a_frozen_exchange_keeps_its_sockets_and_answers_once_it_thaws() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _), one.requests() as socket:
            await one.follow(socket)
            exchange.freeze()
            pending = asyncio.create_task(one.limit("BUY", "0.1", "40000"))
            await socket.ping()
            with pytest.raises(TimeoutError):
                await socket.receive(timeout=0.2)
            assert not pending.done()
            assert not socket.closed
            exchange.thaw()
            assert (await pending)["status"] == "NEW"
            assert (await socket.receive_json())["event"]["x"] == "NEW"

    asyncio.run(trial())


def test_sockets_are_pinged_and_pings_are_answered() -> None:
    async def trial() -> None:
        async with trading(ping_s=0.01) as (exchange, one, _):
            address = f"{exchange.addresses.streams}/ws/btcusdt@trade"
            async with one.session.ws_connect(address, autoping=False) as socket:
                assert (await socket.receive()).type is aiohttp.WSMsgType.PING
                await socket.ping(b"mine")
                while (message := await socket.receive()).type is not aiohttp.WSMsgType.PONG:
                    assert message.type is aiohttp.WSMsgType.PING
                assert message.data == b"mine"

    asyncio.run(trial())


def test_a_disconnected_client_comes_back_and_a_restart_is_commanded_from_outside() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _):
            shown = {"Authorization": f"Bearer {exchange.token}"}
            for command in ("disconnect", "restart"):
                async with one.requests() as socket:
                    await one.follow(socket)
                    address = f"{exchange.addresses.rest}/control"
                    async with one.session.post(
                        address, json={"do": command}, headers=shown
                    ) as reply:
                        assert reply.status == 200
                    ended = (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
                    assert (await socket.receive()).type in ended
                while True:
                    try:
                        await one.public("ping")
                        break
                    except (aiohttp.ClientError, RefusedError):
                        await asyncio.sleep(0.01)

    asyncio.run(trial())


def test_a_skewed_clock_is_seen_by_clients() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _):
            before = (await one.public("time"))["serverTime"]
            exchange.skew(3_600_000)
            assert (await one.public("time"))["serverTime"] >= before + 3_600_000
            with pytest.raises(RefusedError) as refused:
                await one.balances()
            assert refused.value.code == -1021

    asyncio.run(trial())


def test_the_control_address_obeys_who_shows_the_token_only() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _):
            address = f"{exchange.addresses.rest}/control"
            order = {"do": "inject", "action": "refuse", "kind": "order.place", "count": 2}
            async with one.session.post(address, json=order) as reply:
                assert reply.status == 401
            shown = {"Authorization": f"Bearer {exchange.token}"}
            async with one.session.post(address, json=order, headers=shown) as reply:
                (waiting,) = (await reply.json())["waiting"]
                assert (waiting["action"], waiting["count"]) == ("refuse", 2)
            for wrong in ({"do": "dance"}, {"do": "inject", "action": "sing"}, {"do": "skew"}):
                async with one.session.post(address, json=wrong, headers=shown) as reply:
                    assert reply.status == 400
            with pytest.raises(RefusedError) as refused:
                await one.limit("BUY", "0.1", "40000")
            assert refused.value.status == 429

    asyncio.run(trial())


def test_who_calls_it_by_another_name_is_not_answered() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _):
            address = f"{exchange.addresses.rest}/api/v3/time"
            headers = {"Host": "evil.example"}
            async with one.session.get(address, headers=headers) as reply:
                assert reply.status == 403

    asyncio.run(trial())

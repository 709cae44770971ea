"""Orders at the local exchange, asked for by a plain client over REST."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from workbench_exchange import Limits, LocalExchange, QuietMarket

from tests.integration.exchange.plain_client import (
    ACCOUNTS,
    SYMBOL,
    PlainClient,
    RefusedError,
    clients_of,
)
from tests.waiting import GUARD_S


@asynccontextmanager
async def trading(**settings: Any) -> AsyncIterator[tuple[LocalExchange, PlainClient, PlainClient]]:
    options = {"accounts": ACCOUNTS, "market": QuietMarket(), **settings}
    async with (
        asyncio.timeout(GUARD_S),
        LocalExchange(["BTC/USDT"], **options) as exchange,
        clients_of(exchange) as (one, other),
    ):
        yield exchange, one, other


async def refusal(request: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await request
    return caught.value


def test_what_a_key_signature_or_time_is_wrong_with_is_told() -> None:
    async def trial() -> None:
        async with trading() as (exchange, one, _):
            assert (await refusal(one.signed("GET", "account", timestamp=1))).code == -1021
            later = exchange._now_ms() + 60_000
            assert (await refusal(one.signed("GET", "account", timestamp=later))).code == -1021
            wide = await refusal(one.signed("GET", "account", recvWindow=60_001))
            assert wide.code == -1131
            assert (await refusal(one.public("account"))).code == -1102
            one._secret = "x" * 64
            assert (await refusal(one.signed("GET", "account"))).code == -1022
            one._api_key = "x" * 64
            unknown = await refusal(one.signed("GET", "account"))
            assert (unknown.status, unknown.code) == (401, -2015)

    asyncio.run(trial())


@pytest.mark.parametrize(
    ("kind", "changes", "code", "word"),
    [
        pytest.param("LIMIT", {"price": "50000.001"}, -1013, "PRICE_FILTER", id="tick"),
        pytest.param("LIMIT", {"quantity": "0.000001"}, -1013, "LOT_SIZE", id="step"),
        pytest.param("LIMIT", {"quantity": "9001"}, -1013, "LOT_SIZE", id="too many"),
        pytest.param("LIMIT", {"quantity": "0.00005"}, -1013, "NOTIONAL", id="too little"),
        pytest.param("LIMIT", {"quantity": "0.1234567891"}, -1111, "precision", id="digits"),
        pytest.param("LIMIT", {"quantity": "many"}, -1100, "quantity", id="no number"),
        pytest.param("LIMIT", {"quantity": "NaN"}, -1100, "quantity", id="not a number"),
        pytest.param("LIMIT", {"price": ""}, -1102, "price", id="no price"),
        pytest.param("LIMIT", {"timeInForce": ""}, -1102, "timeInForce", id="no force"),
        pytest.param("LIMIT", {"timeInForce": "DAY"}, -1115, "timeInForce", id="force"),
        pytest.param("LIMIT", {"symbol": "XYZ"}, -1121, "symbol", id="symbol"),
        pytest.param("LIMIT", {"side": "HOLD"}, -1117, "side", id="side"),
        pytest.param("ICEBERG", {}, -1116, "orderType", id="type"),
        pytest.param("LIMIT", {"newClientOrderId": "a b"}, -1100, "ClientOrderId", id="id"),
        pytest.param("LIMIT", {"quantity": "1000"}, -2010, "balance", id="balance"),
        pytest.param("MARKET", {"timeInForce": ""}, -1106, "price", id="price of a market order"),
        pytest.param("STOP_LOSS_LIMIT", {}, -1102, "stopPrice", id="no trigger"),
    ],
)
def test_an_order_that_breaks_a_rule_is_refused_with_its_code(
    kind: str, changes: dict[str, str], code: int, word: str
) -> None:
    async def trial() -> None:
        async with trading() as (_, one, _other):
            order = {
                "symbol": SYMBOL,
                "side": "BUY",
                "type": kind,
                "timeInForce": "GTC",
                "quantity": "0.1",
                "price": "50000",
                **changes,
            }
            before = await one.balances()
            for path in ("order", "order/test"):
                refused = await refusal(one.signed("POST", path, **order))
                assert refused.code == code
                assert word.lower() in refused.body["msg"].lower()
            assert await one.balances() == before
            assert await one.signed("GET", "allOrders", symbol=SYMBOL) == []

    asyncio.run(trial())


def test_an_immediate_order_never_rests_and_a_whole_one_never_fills_in_part() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            await other.limit("SELL", "0.3", "50000")
            whole = await one.limit("BUY", "0.5", "50000", timeInForce="FOK")
            assert (whole["status"], whole["executedQty"]) == ("EXPIRED", "0.00000000")
            at_once = await one.limit("BUY", "0.5", "50000", timeInForce="IOC")
            assert (at_once["status"], at_once["executedQty"]) == ("EXPIRED", "0.30000000")
            nothing = await one.order("BUY", "MARKET", quantity="1")
            assert (nothing["status"], nothing["executedQty"]) == ("EXPIRED", "0.00000000")
            assert await one.signed("GET", "openOrders") == []
            assert await one.balances() == {
                "BTC": ("10.29970000", "0.00000000"),
                "USDT": ("985000.00000000", "0.00000000"),
            }

    asyncio.run(trial())


def test_a_maker_only_order_that_would_take_is_refused() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            await other.limit("SELL", "0.3", "50000")
            taking = one.order("BUY", "LIMIT_MAKER", quantity="0.1", price="50000")
            assert (await refusal(taking)).code == -2010
            rests = await one.order(
                "BUY", "LIMIT_MAKER", quantity="0.1", price="49999.99", newOrderRespType="RESULT"
            )
            assert rests["status"] == "NEW"

    asyncio.run(trial())


def test_a_market_order_spends_or_earns_at_most_its_budget() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            await other.limit("SELL", "0.01", "50000")
            await other.limit("SELL", "1", "50001.37")
            bought = await one.order("BUY", "MARKET", quoteOrderQty="1000")
            # 500 buys 0.01; the other 500 buys 0.00999 at 50001.37 and leaves less than a step.
            assert bought["status"] == "FILLED"
            assert bought["executedQty"] == "0.01999000"
            assert bought["cummulativeQuoteQty"] == "999.51368630"
            assert [fill["price"] for fill in bought["fills"]] == [
                "50000.00000000",
                "50001.37000000",
            ]
            balances = await one.balances()
            assert balances["USDT"] == ("999000.48631370", "0.00000000")
            assert balances["BTC"] == ("10.01997001", "0.00000000")

    asyncio.run(trial())


def test_better_prices_and_earlier_orders_trade_first_and_at_their_own_price() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            late = await one.limit("SELL", "0.1", "50001")
            first = await one.limit("SELL", "0.1", "50000")
            second = await one.limit("SELL", "0.1", "50000")
            taken = await other.limit("BUY", "0.15", "50002")
            assert taken["cummulativeQuoteQty"] == "7500.00000000"
            done = {}
            for order in (late, first, second):
                found = await one.signed("GET", "order", symbol=SYMBOL, orderId=order["orderId"])
                done[order["orderId"]] = found["executedQty"]
            assert list(done.values()) == ["0.00000000", "0.10000000", "0.05000000"]

    asyncio.run(trial())


def test_an_account_never_trades_with_itself() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            mine = await one.limit("SELL", "0.1", "50000")
            await other.limit("SELL", "0.1", "50000")
            await one.limit("BUY", "0.1", "50000")
            found = await one.signed("GET", "order", symbol=SYMBOL, orderId=mine["orderId"])
            assert (found["status"], found["executedQty"]) == ("EXPIRED_IN_MATCH", "0.00000000")
            assert [
                row["isBuyer"] for row in await one.signed("GET", "myTrades", symbol=SYMBOL)
            ] == [True]
            assert (await one.balances())["BTC"] == ("10.09990000", "0.00000000")

    asyncio.run(trial())


def test_an_own_order_behind_what_is_wanted_stays() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            await other.limit("SELL", "0.1", "50000")
            mine = await one.limit("SELL", "0.1", "50000")
            await one.limit("BUY", "0.1", "50000")
            (row,) = await one.signed("GET", "openOrders", symbol=SYMBOL)
            assert row["orderId"] == mine["orderId"]

    asyncio.run(trial())


def test_a_clients_id_may_be_used_again_only_once_its_order_is_over() -> None:
    async def trial() -> None:
        async with trading() as (_, one, _other):
            first = await one.limit("BUY", "0.1", "50000", newClientOrderId="same")
            again = one.limit("BUY", "0.1", "50000", newClientOrderId="same")
            assert (await refusal(again)).code == -2010
            await one.signed("DELETE", "order", symbol=SYMBOL, origClientOrderId="same")
            second = await one.limit("BUY", "0.1", "50000", newClientOrderId="same")
            assert second["orderId"] > first["orderId"]
            found = await one.signed("GET", "order", symbol=SYMBOL, origClientOrderId="same")
            assert found["orderId"] == second["orderId"]

    asyncio.run(trial())


def test_a_stop_that_would_trigger_at_once_is_refused_and_others_go_off_in_a_chain() -> None:
    async def trial() -> None:
        async with trading() as (_, one, other):
            await other.limit("BUY", "1", "49000")
            await other.limit("BUY", "1", "48000")
            await other.limit("SELL", "0.1", "50000")
            await one.order("BUY", "MARKET", quantity="0.1")
            reached = one.order("BUY", "STOP_LOSS", quantity="0.1", stopPrice="50000")
            assert (await refusal(reached)).code == -2010
            stops = [
                await one.order("SELL", "STOP_LOSS", quantity="1", stopPrice="49000"),
                await one.order("SELL", "STOP_LOSS", quantity="0.2", stopPrice="48000"),
                await one.order("SELL", "TAKE_PROFIT", quantity="0.2", stopPrice="51000"),
            ]
            assert set(stops[0]) == {
                "symbol",
                "orderId",
                "orderListId",
                "clientOrderId",
                "transactTime",
            }
            assert (await one.balances())["BTC"][1] == "1.40000000"
            # A sale at 49000 sets off the first, which falls to 48000 and sets off the next.
            await one.order("SELL", "MARKET", quantity="0.5")
            rows = await one.signed("GET", "allOrders", symbol=SYMBOL, orderId=stops[0]["orderId"])
            assert [row["status"] for row in rows[:3]] == ["FILLED", "FILLED", "NEW"]
            assert rows[0]["cummulativeQuoteQty"] == "48500.00000000"

    asyncio.run(trial())


def test_a_stop_to_buy_that_became_dearer_takes_what_the_balance_pays() -> None:
    async def trial() -> None:
        accounts = {
            "a": {"USDT": 50_000},
            "b": {"BTC": 10, "USDT": 1_000_000},
            "c": {"USDT": 1_000_000},
        }
        options = {"accounts": accounts, "market": QuietMarket()}
        async with (
            asyncio.timeout(GUARD_S),
            LocalExchange(["BTC/USDT"], **options) as exchange,
            clients_of(exchange) as (one, other, third),
        ):
            await other.limit("SELL", "0.1", "50000")
            await other.limit("SELL", "1", "62500")
            stop = await one.order("BUY", "STOP_LOSS", quantity="1", stopPrice="50000")
            assert (await one.balances())["USDT"] == ("0.00000000", "50000.00000000")
            await third.order("BUY", "MARKET", quantity="0.1")  # the price is 50000, the ask 62500
            found = await one.signed("GET", "order", symbol=SYMBOL, orderId=stop["orderId"])
            assert (found["status"], found["executedQty"]) == ("EXPIRED", "0.80000000")
            assert await one.balances() == {
                "BTC": ("0.79920000", "0.00000000"),
                "USDT": ("0.00000000", "0.00000000"),
            }

    asyncio.run(trial())


def test_cancel_all_and_cancel_replace() -> None:
    async def trial() -> None:
        async with trading() as (_, one, _other):
            order = await one.limit("BUY", "0.1", "40000")
            replacing = {
                "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
                "quantity": "0.1", "price": "41000", "cancelReplaceMode": "STOP_ON_FAILURE",
            }  # fmt: skip
            done = await one.signed(
                "POST", "order/cancelReplace", **replacing, cancelOrderId=order["orderId"]
            )
            assert (done["cancelResult"], done["newOrderResult"]) == ("SUCCESS", "SUCCESS")
            failing = one.signed(
                "POST", "order/cancelReplace", **replacing, cancelOrderId=order["orderId"]
            )
            failed = await refusal(failing)
            assert failed.code == -2022
            assert failed.body["data"]["newOrderResult"] == "NOT_ATTEMPTED"
            await one.limit("BUY", "0.1", "39000")
            gone = await one.signed("DELETE", "openOrders", symbol=SYMBOL)
            assert [row["status"] for row in gone] == ["CANCELED", "CANCELED"]
            assert (await one.balances())["USDT"] == ("1000000.00000000", "0.00000000")
            none = one.signed("DELETE", "openOrders", symbol=SYMBOL)
            assert (await refusal(none)).code == -2011

    asyncio.run(trial())


def test_too_many_requests_or_orders_are_refused_with_when_to_come_again() -> None:
    async def trial() -> None:
        limits = Limits(weight_per_minute=100, orders_per_10_s=2)
        async with trading(limits=limits) as (_, one, other):
            for _ in range(2):
                await one.limit("BUY", "0.1", "40000")
            assert one.headers["X-MBX-ORDER-COUNT-10S"] == "2"
            many = await refusal(one.limit("BUY", "0.1", "40000"))
            assert (many.status, many.code) == (429, -1015)
            for _ in range(4):
                await other.signed("GET", "account")
            await other.public("depth", symbol=SYMBOL)
            assert other.headers["X-MBX-USED-WEIGHT-1M"] == "85"
            heavy = await refusal(other.signed("GET", "account"))
            assert (heavy.status, heavy.code) == (429, -1003)
            assert int(heavy.headers["Retry-After"]) >= 1

    asyncio.run(trial())

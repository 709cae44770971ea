"""What goes wrong with ccxt, one test for each: at the local exchange, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from workbench_ccxt.session import SILENCE_S

from tests.waiting import until
from workbench.model.commands import DataKind
from workbench.model.data import Trade
from workbench.model.enums import OrderSide, OrderStatus, OrderType, TimeInForce
from workbench.model.events import AccountState, OrderInitialized
from workbench.model.identifiers import ClientOrderId, StrategyId
from workbench.model.reports import FillReport, OrderStatusReport
from workbench.venues import (
    NotSentError,
    OrderQuery,
    Subscription,
    VenueError,
    VenueRejectedError,
)
from workbench.venues.testing import VenueSession

Make = Callable[..., Any]


def order(trial: Any, name: str, quantity: str = "1", price: str = "90") -> OrderInitialized:
    return OrderInitialized(
        strategy_id=StrategyId("S-001"),
        instrument_id=trial.instrument_id,
        client_order_id=ClientOrderId(name),
        side=OrderSide.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal(price),
        time_in_force=TimeInForce.GTC,
        ts_event=0,
        ts_init=0,
    )


def test_numbers_are_exact_from_the_wire_to_the_report(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, notes):
            name = ClientOrderId("O-exact-1")
            await brokerd.submit(order(local_trial, name, "0.12345", "87.13"))
            await local_trial.fill(name, Decimal("0.11111"))
            await until(lambda: notes.of(FillReport))
            (fill,) = notes.of(FillReport)
            assert (fill.quantity, fill.price) == (Decimal("0.11111"), Decimal("87.13"))
            assert fill.commission == Decimal("0.00011111")
            assert fill.commission_currency.code == "BTC"
            state = await brokerd.account_state()
            held = {balance.currency.code: balance for balance in state.balances}
            truth = local_trial.exchange.venue.wallets["a"].balances
            for code, balance in held.items():
                assert (balance.free, balance.locked) == (truth[code].free, truth[code].locked)

    local_trial.run(work())


def test_what_ccxt_would_round_is_refused(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            with pytest.raises(VenueRejectedError, match="off the grid"):
                await brokerd.submit(order(local_trial, "O-off-1", "0.123456"))
            assert local_trial.submits == {}

    local_trial.run(work())


def test_a_message_that_cannot_be_read_does_not_end_the_stream(local_trial: Any) -> None:
    bad = [
        json.dumps({"subscriptionId": 0, "event": {"e": "executionReport", "x": "TRADE"}}),
        json.dumps({"subscriptionId": 0, "event": {"e": "outboundAccountPosition", "B": [3]}}),
        "{ this is no JSON",
    ]

    async def work() -> None:
        async with VenueSession(local_trial) as session:
            name = session.limit("buy", Decimal(90))
            await session.until(lambda: session.order(name).venue_order_id, "it rests")
            hub = local_trial.exchange._server.desk.hub
            (listener,) = {connection for connection, _ in hub._accounts["a"]}
            for count in range(100):
                listener.send("executionReport", bad[count % 3])
                await local_trial.fill(name, Decimal("0.01"))
                listener.send("executionReport", bad[(count + 1) % 3])
            await session.until(lambda: session.order(name).is_closed, "all has filled")
            assert session.desk.kinds(name).count("OrderFilled") == 100
            assert session.order(name).filled_quantity == 1
            assert session.execution.link.reconnects == 0

    local_trial.run(work())


def test_what_could_not_be_read_is_asked_for(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (_, notes):
            hub = local_trial.exchange._server.desk.hub
            for _ in range(50):
                for connection, _ in hub._accounts["a"]:
                    connection.send("executionReport", "{ this is no JSON")
            await until(lambda: notes.gaps)
            assert len(notes.gaps) == 1
            assert notes.lost_for == []

    local_trial.run(work())


def test_a_hundred_fills_while_the_loop_is_held_up_arrive_once_each(make_trial: Make) -> None:
    trial = make_trial(is_threaded=True)

    async def work() -> None:
        async with VenueSession(trial) as session:
            name = session.limit("buy", Decimal(90))
            await session.until(lambda: session.order(name).venue_order_id, "it rests")

            def fill_all() -> None:
                for _ in range(100):
                    trial._fill(name, Decimal("0.01"))

            trial.act(fill_all)
            await session.until(lambda: session.order(name).is_closed, "all has filled")
            assert session.desk.kinds(name).count("OrderFilled") == 100
            assert session.execution.link.reconnects == 0

    trial.run(work())


def test_fills_come_though_an_exchange_puts_its_own_cache_back(local_trial: Any) -> None:
    async def work() -> None:
        from ccxt.async_support.base.ws.cache import ArrayCacheBySymbolById

        async with local_trial.broker() as (brokerd, notes):
            name = ClientOrderId("O-own-1")
            await brokerd.submit(order(local_trial, name))
            brokerd._exchange.myTrades = ArrayCacheBySymbolById(1000)
            for _ in range(10):
                await local_trial.fill(name, Decimal("0.1"))
            await until(lambda: len({fill.trade_id for fill in notes.of(FillReport)}) == 10)

    local_trial.run(work())


def test_a_burst_of_fifty_thousand_trades_arrives_whole_and_in_order(make_trial: Make) -> None:
    trial = make_trial(is_threaded=True)
    count = 50_000

    async def work() -> None:
        async with trial.data() as (datad, notes):
            wanted = Subscription(kind=DataKind.TRADES, instrument_id=trial.instrument_id)
            await datad.subscribe(wanted)
            await until(lambda: "btcusdt@trade" in trial.exchange.heard)
            trial.act(lambda: trial.trade(count))
            await until(lambda: len(notes.of(Trade)) >= count or notes.lost_for)
            numbers = [int(trade.trade_id) for trade in notes.of(Trade)]
            assert numbers == list(range(numbers[0], numbers[0] + count))

    trial.run(work())


def test_a_half_open_connection_is_noticed_within_five_seconds(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.data() as (datad, notes), local_trial.broker() as (_, reports):
            quotes = Subscription(kind=DataKind.QUOTES, instrument_id=local_trial.instrument_id)
            await datad.subscribe(quotes)
            await until(lambda: "btcusdt@bookTicker" in local_trial.exchange.heard)
            await asyncio.sleep(2 * SILENCE_S)  # silent, and alive
            assert notes.lost_for == reports.lost_for == []
            local_trial.exchange.freeze()
            await until(lambda: notes.lost_for and reports.lost_for)
            assert "no answer to pings" in notes.lost_for[0] + reports.lost_for[0]
            local_trial.exchange.thaw()

    assert SILENCE_S < 5
    local_trial.run(work())


def test_a_lost_acknowledgement_leaves_the_outcome_unknown_and_sends_nothing_again(
    local_trial: Any,
) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            await local_trial.lose_next_answer()
            with pytest.raises(VenueError) as caught:
                await brokerd.submit(order(local_trial, "O-lost-1"))
            assert not isinstance(caught.value, (VenueRejectedError, NotSentError))
            assert local_trial.submits == {"O-lost-1": 1}
            query = OrderQuery(
                client_order_id=ClientOrderId("O-lost-1"),
                instrument_ids=(local_trial.instrument_id,),
            )
            (report,) = await brokerd.order_status_reports(query)
            assert (report.client_order_id, report.status) == ("O-lost-1", OrderStatus.ACCEPTED)

    local_trial.run(work())


def test_an_order_that_certainly_did_not_leave_is_told_apart(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            await local_trial.exchange.close()
            with pytest.raises(NotSentError):
                await brokerd.submit(order(local_trial, "O-down-1"))

    local_trial.run(work())


def test_a_connection_is_refused_on_another_loop(make_trial: Make) -> None:
    trial = make_trial(is_threaded=True)

    async def work() -> None:
        async with trial.broker() as (brokerd, _), trial.data() as (datad, _):

            def elsewhere() -> None:
                for ask in (brokerd.account_state, datad.server_time):
                    with pytest.raises(VenueError, match="another event loop"):
                        asyncio.run(ask())

            await asyncio.to_thread(elsewhere)
            assert isinstance(await brokerd.account_state(), AccountState)

    trial.run(work())


def test_a_break_is_told_once_and_the_next_connect_is_a_new_one(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, notes):
            local_trial.exchange.disconnect()
            await until(lambda: notes.lost_for)
            with pytest.raises(VenueError, match="not connected"):
                await brokerd.account_state()
            await brokerd.disconnect()
            await brokerd.connect(notes)
            await brokerd.submit(order(local_trial, "O-again-1"))
            await until(lambda: notes.of(OrderStatusReport))
            assert len(notes.lost_for) == 1

    local_trial.run(work())


def test_nothing_is_left_open_whatever_happened(local_trial: Any) -> None:
    async def work() -> None:
        before = asyncio.all_tasks()
        for what in (lambda: None, local_trial.exchange.disconnect, local_trial.exchange.freeze):
            async with local_trial.data() as (datad, _), local_trial.broker():
                quotes = Subscription(kind=DataKind.QUOTES, instrument_id=local_trial.instrument_id)
                await datad.subscribe(quotes)
                await until(lambda: "btcusdt@bookTicker" in local_trial.exchange.heard)
                what()
        local_trial.exchange.thaw()
        await until(lambda: not local_trial.exchange.heard)
        # The exchange's own connections end by themselves.
        await until(lambda: all("ccxt" not in repr(one) for one in asyncio.all_tasks() - before))

    local_trial.run(work())


def test_a_connect_that_fails_leaves_nothing_open(make_trial: Make) -> None:
    trial = make_trial()

    async def work() -> None:
        await trial.exchange.close()
        with pytest.raises(VenueError, match="cannot be reached"):
            async with trial.broker():
                raise AssertionError("it cannot connect")

    trial.run(work())


def test_orders_leave_at_once_and_our_side_keeps_the_rate(local_trial: Any) -> None:
    async def work() -> None:
        async with local_trial.broker() as (brokerd, _):
            assert not brokerd._exchange.enableRateLimit
            orders = [limit for limit in brokerd.rate_limits if limit.orders_only]
            allowed = local_trial.exchange.config.limits.orders_per_10_s
            assert all(limit.count / limit.interval_s <= allowed / 10 for limit in orders)
            assert orders

    local_trial.run(work())

"""Start-up: its order, what is flushed while connecting, and that it fails closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

import workbench as wb
from tests.node_fakes import (
    OTHER,
    PAIR,
    Feed,
    Market,
    Stubborn,
    Trader,
    Watcher,
    forever,
    make_node,
    run,
)
from tests.waiting import until, until_running
from workbench.engines.clients import VenueState
from workbench.model.enums import OrderStatus, OrderType, TimeInForce
from workbench.model.identifiers import VenueOrderId
from workbench.model.reports import OrderStatusReport, PositionReport
from workbench.node import ReconciliationError

State = Callable[[VenueState], Awaitable[VenueState]]


async def fault_of(node: wb.TradingNode) -> BaseException:
    """Run a node that stops by itself; return what went wrong."""
    node.build()
    node.run()
    await until(lambda: node.state == "STOPPED")
    fault = node.fault
    assert fault is not None
    with pytest.raises(type(fault)) as raised:
        await node.stop_async()
    assert raised.value is fault
    node.dispose()
    return fault


def test_the_order_is_data_clients_then_execution_clients_then_reconciliation_then_strategies() -> (
    None
):
    async def main() -> None:
        log: list[str] = []

        class Logged(Watcher):
            def on_start(self) -> None:
                super().on_start()
                log.append("strategy starts")

        node = make_node(Logged(), log=log)
        node.on_change(lambda n: log.append(f"phase {n.phase}"))
        node.build()
        node.run()
        await until_running(node)
        await until(lambda: "FEED streams" in log)
        await node.stop_async()
        node.dispose()
        begun = log[log.index("phase connecting") : log.index("FEED streams") + 1]
        assert begun == [
            "phase connecting",
            "FEED connects",
            "FEED connected",
            "phase flushing",
            "phase connecting",
            "SIM-EXEC connects",
            "SIM-EXEC connected",
            "phase flushing",
            "phase reconciling",
            "SIM-EXEC is asked",
            "phase starting strategies",
            "strategy starts",
            "FEED subscribes BTC/USDT.SIM",
            "phase running",
            "FEED streams",
        ]

    run(main())


def test_an_instrument_that_comes_late_is_known_before_the_subscription_that_needs_it() -> None:
    async def main() -> None:
        async def slowly() -> None:
            # What is sent while connecting, from whichever thread, is handled meanwhile.
            thread = threading.Thread(target=lambda: feed.client.send(OTHER))
            thread.start()
            await until(lambda: node.core.cache.instrument(OTHER.id) is not None)
            thread.join()

        feed = Feed(connect=slowly)
        strategy = Watcher()
        node = make_node(strategy, feed=feed)
        node.build()
        node.run()
        await until_running(node)
        assert [i.id for i in node.core.cache.instruments()] == [OTHER.id, PAIR.id]
        assert "FEED subscribes ETH/USDT.SIM" in feed.log
        await node.stop_async()
        node.dispose()

    run(main())


def test_a_feed_that_never_pauses_does_not_hold_up_the_start() -> None:
    async def main() -> None:
        ended = threading.Event()

        def flood() -> None:
            while not ended.wait(0.0002):
                for _ in range(50):
                    feed.client.quote()

        async def connect() -> None:
            thread.start()

        thread = threading.Thread(target=flood)
        feed = Feed(connect=connect)
        node = make_node(Watcher(), feed=feed)
        node.build()
        node.run()
        await until_running(node)
        ended.set()
        thread.join()
        await node.stop_async()
        node.dispose()

    run(main())


def test_an_account_that_comes_with_the_venue_s_answer_is_seen_before_the_comparison() -> None:
    async def main() -> None:
        async def late(state: VenueState) -> VenueState:
            market.client.send(market.client.account())
            return state

        market = Market(sends_account=False, state=late)
        node = make_node(Watcher(), market=market)
        node.build()
        node.run()
        await until_running(node)
        await node.stop_async()
        node.dispose()

    run(main())


async def refuse(_: VenueState) -> VenueState:
    raise ConnectionError("the venue is closed")


async def hang(state: VenueState) -> VenueState:
    await forever()
    return state


async def holds_an_order(state: VenueState) -> VenueState:
    order = OrderStatusReport(
        account_id=state.account.account_id,
        instrument_id=PAIR.id,
        client_order_id=None,
        venue_order_id=VenueOrderId("V-9"),
        side=wb.OrderSide.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        status=OrderStatus.ACCEPTED,
        quantity=Decimal(1),
        filled_quantity=Decimal(0),
        ts_event=1,
        ts_init=1,
    )
    return VenueState(account=state.account, orders=[order])


async def holds_a_position(state: VenueState) -> VenueState:
    position = PositionReport(
        account_id=state.account.account_id,
        instrument_id=PAIR.id,
        signed_quantity=Decimal("-2"),
        ts_event=1,
        ts_init=1,
    )
    return VenueState(account=state.account, positions=[position])


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (refuse, "SIM-EXEC did not say what it holds: ConnectionError: the venue is closed"),
        (hang, r"SIM-EXEC did not say what it holds within 0\.1 s"),
        (holds_an_order, "order V-9 of BTC/USDT.SIM is open at the venue, unknown here"),
        (holds_a_position, "position in BTC/USDT.SIM: -2 at the venue, 0 here"),
    ],
)
def test_without_reconciliation_no_strategy_starts(state: State, said: str) -> None:
    async def main() -> None:
        log: list[str] = []
        strategy = Watcher()
        market = Market(state=state, log=log)
        limit_s = 0.1 if state is hang else 60.0
        node = make_node(
            strategy, feed=Feed(log=log), market=market, timeout_reconciliation_s=limit_s
        )
        fault = await fault_of(node)
        assert isinstance(fault, ReconciliationError)
        assert pytest.raises(ReconciliationError, match=said) is not None
        import re

        assert re.search(said, str(fault))
        assert strategy.state in ("READY", "DISPOSED")
        assert not hasattr(strategy, "seen")
        assert "FEED streams" not in log
        assert log[-4:] == [
            "FEED disconnects",
            "FEED disconnected",
            "SIM-EXEC disconnects",
            "SIM-EXEC disconnected",
        ]

    run(main())


def test_a_venue_whose_account_never_came_is_not_traded_at() -> None:
    async def main() -> None:
        fault = await fault_of(make_node(Watcher(), market=Market(sends_account=False)))
        assert "no state of account SIM-001 has come" in str(fault)

    run(main())


def test_one_venue_s_failure_does_not_keep_the_others_from_being_asked() -> None:
    async def main() -> None:
        log: list[str] = []
        node = make_node(Watcher(), market=Market(state=refuse, log=log))
        node.add_exec_client_factory(Market(venue="SECOND", state=holds_a_position, log=log))
        fault = await fault_of(node)
        assert "SECOND-EXEC is asked" in log
        assert "SIM-EXEC did not say" in str(fault)
        assert "SECOND-EXEC: position in" in str(fault)

    run(main())


async def fails() -> None:
    raise OSError("no route to host")


async def breaks_off() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (fails, "did not connect: OSError: no route to host"),
        (breaks_off, "broke off connecting"),
        (forever, "did not connect within 0.1 s"),
    ],
)
@pytest.mark.parametrize("side", ["data", "execution"])
def test_a_client_that_does_not_connect_ends_the_start(
    side: str, step: Callable[[], Awaitable[None]], said: str
) -> None:
    async def main() -> None:
        log: list[str] = []
        feed = Feed(connect=step, log=log) if side == "data" else Feed(log=log)
        market = Market(connect=step, log=log) if side == "execution" else Market(log=log)
        strategy = Watcher()
        node = make_node(strategy, feed=feed, market=market, timeout_connection_s=0.1)
        fault = await fault_of(node)
        assert isinstance(fault, wb.ClientError)
        assert said in str(fault)
        assert ("FEED" if side == "data" else "SIM-EXEC") in str(fault)
        assert not hasattr(strategy, "seen")
        assert "FEED disconnected" in log
        assert "SIM-EXEC disconnected" in log
        assert ("SIM-EXEC connects" in log) == (side == "execution")
        if step is fails:
            assert isinstance(fault.__cause__, OSError)

    run(main())


def test_a_client_that_does_not_heed_its_cancellation_does_not_hold_up_the_stop() -> None:
    async def main() -> None:
        stubborn = Stubborn()
        node = make_node(
            feed=Feed(connect=stubborn), timeout_connection_s=0.05, timeout_disconnection_s=0.1
        )
        node.build()
        node.run()
        await until(lambda: node.state == "STOPPED")
        assert "FEED did not connect within 0.05 s" in str(node.fault)
        node.dispose()
        left = [t for t in asyncio.all_tasks() if t.get_name() == "workbench connecting"]
        assert len(left) == 1
        stubborn.is_released = True
        await asyncio.wait(left)

    run(main())


PHASES = ["connecting", "flushing", "reconciling", "starting strategies", "running"]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("where", ["listener", "thread", "loop"])
def test_a_stop_asked_for_in_any_phase_is_honoured(phase: str, where: str) -> None:
    async def main() -> None:
        log: list[str] = []
        reached = asyncio.Event()
        loop = asyncio.get_running_loop()
        threads: list[threading.Thread] = []

        async def turns() -> None:
            await asyncio.sleep(0.02)

        async def state(found: VenueState) -> VenueState:
            await turns()
            return found

        def see(node: wb.TradingNode) -> None:
            if node.phase != phase or reached.is_set():
                return
            reached.set()
            if where == "listener":
                node.request_stop()
            elif where == "thread":
                threads.append(threading.Thread(target=node.stop))
                threads[0].start()
            else:
                loop.call_soon(node.request_stop)

        strategy = Watcher()
        node = make_node(
            strategy,
            feed=Feed(connect=turns, log=log),
            market=Market(connect=turns, state=state, log=log),
        )
        node.on_change(see)
        node.build()
        node.run()
        await reached.wait()
        await until(lambda: node.state == "STOPPED")
        for thread in threads:
            thread.join()
        await node.stop_async()
        assert node.fault is None
        assert log[-1] == "SIM-EXEC disconnected"
        started = hasattr(strategy, "seen")
        assert not started or strategy.seen == ["on_start", "on_stop"]
        if where == "listener":
            assert started == (phase == "running")
        node.dispose()

    run(main())


def test_a_stop_asked_for_before_the_session_began_connects_nothing() -> None:
    async def main() -> None:
        log: list[str] = []
        node = make_node(Watcher(), log=log)
        node.build()
        node.run()
        node.request_stop()
        assert node.state == "STOPPING"
        await node.stop_async()
        assert not any("connects" in line for line in log if "dis" not in line)
        node.dispose()

    run(main())


def test_run_in_a_running_loop_returns_at_once() -> None:
    async def main() -> None:
        node = make_node(Watcher())
        node.build()
        node.run()
        assert node.state == "RUNNING"
        assert node.phase == "idle"
        await until_running(node)
        await node.stop_async()
        node.dispose()

    run(main())


def test_run_without_a_loop_runs_to_completion() -> None:
    class Short(Trader):
        def on_order_filled(self, event: object) -> None:
            self.shutdown_system("enough")

    async def one_quote() -> None:
        feed.client.quote()
        await forever()

    strategy = Short()
    feed = Feed(stream=one_quote)
    node = make_node(strategy, feed=feed)
    node.build()
    node.run()
    assert node.state == "STOPPED"
    assert node.fault is None
    assert strategy.seen[-1] == "on_stop"
    node.stop()
    node.dispose()


@pytest.mark.parametrize("raise_exception", [False, True])
def test_run_without_a_loop_raises_a_fault_only_when_asked_to(raise_exception: bool) -> None:
    class Broken(wb.Strategy):
        def on_start(self) -> None:
            raise ValueError("broken")

    node = make_node(Broken())
    node.build()
    if raise_exception:
        with pytest.raises(wb.StrategyError, match="broken"):
            node.run(raise_exception=True)
        node.stop()  # told once
    else:
        node.run()
        with pytest.raises(wb.StrategyError, match="broken"):
            node.stop()
        node.stop()
    assert node.state == "STOPPED"
    node.dispose()


def test_run_async_ends_when_the_tasks_end_and_raises_the_fault() -> None:
    async def main() -> None:
        async def breaks() -> None:
            await asyncio.sleep(0.01)
            raise OSError("line cut")

        node = make_node(Watcher(), feed=Feed(stream=breaks))
        node.build()
        with pytest.raises(wb.ClientError, match="FEED failed while streaming: OSError: line cut"):
            await node.run_async()
        assert node.state == "STOPPED"
        await node.stop_async()
        node.dispose()

    run(main())


def test_a_stream_that_ends_by_itself_leaves_the_node_running() -> None:
    async def main() -> None:
        async def ends() -> None:
            feed.client.quote()

        strategy = Watcher()
        feed = Feed(stream=ends)
        node = make_node(strategy, feed=feed)
        node.build()
        node.run()
        await until_running(node)
        await until(lambda: strategy.quotes)
        feed.client.quote()
        await until(lambda: len(strategy.quotes) == 2)
        await node.stop_async()
        node.dispose()

    run(main())

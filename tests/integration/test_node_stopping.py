"""Stopping: residual events, what is left open, every client disconnected, the final drain."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import workbench as wb
from tests.node_fakes import (
    Feed,
    Market,
    Stubborn,
    Trader,
    Watcher,
    forever,
    make_node,
    nothing,
    run,
    simulated,
)
from tests.waiting import until, until_running
from workbench.jupyter.shutdown import stop_all
from workbench.model.events import TimeEvent


async def started(*strategies: wb.Actor, **parts: Any) -> wb.TradingNode:
    node = make_node(*strategies, **parts)
    node.build()
    node.run()
    await until_running(node)
    return node


def test_events_that_come_after_the_stop_are_still_handled() -> None:
    async def main() -> None:
        market = Market(answers="hold")
        strategy, feed = Trader(), Feed()
        node = await started(strategy, feed=feed, market=market, delay_post_stop_s=30.0)
        feed.client.quote()
        await until(lambda: market.held)
        await until(lambda: node.core.cache.orders_in_flight())
        node.request_stop()
        await until(lambda: node.phase == "handling residual events")
        await asyncio.sleep(0.02)
        assert node.state == "STOPPING"
        market.client.fill(market.held[0])
        await node.stop_async()
        assert strategy.seen[-3:] == ["on_stop", "OrderAccepted", "OrderFilled"]
        assert node.left_open == ["position P-Trader-001-1: 1 BTC/USDT.SIM"]
        node.dispose()

    run(main())


def test_what_stays_in_flight_is_waited_for_no_longer_than_it_may_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="workbench.node.session")

    async def main() -> None:
        market, feed = Market(answers="hold"), Feed()
        node = await started(Trader(), feed=feed, market=market, delay_post_stop_s=0.1)
        feed.client.quote()
        await until(lambda: node.core.cache.orders_in_flight())
        await node.stop_async()
        order = node.core.cache.orders()[0]
        line = f"order {order.client_order_id} (submitted): buy 1 BTC/USDT.SIM"
        assert node.left_open == [line]
        assert line in node._repr_html_()
        node.dispose()

    run(main())
    assert "left open: order" in caplog.text


def test_with_nothing_in_flight_a_stop_does_not_wait() -> None:
    async def main() -> None:
        node = await started(Watcher(), delay_post_stop_s=60.0)
        await node.stop_async()
        node.dispose()

    began = time.monotonic()
    run(main())
    assert time.monotonic() - began < 30


def test_what_a_strategy_sends_when_it_stops_is_handled() -> None:
    class Leaver(Watcher):
        def on_quote(self, quote: wb.Quote) -> None:
            if not self.cache.orders():
                self.submit_order(self.orders.market(quote.instrument_id, "buy", 1))

        def on_stop(self) -> None:
            self.close_all_positions()

    async def main() -> None:
        feed = Feed()
        node = await started(Leaver(), feed=feed, market=simulated())
        feed.client.quote()
        await until(lambda: len(node.core.cache.positions_open()) == 1)
        await node.stop_async()
        assert node.left_open == []
        assert len(node.fills()) == 2
        node.dispose()

    run(main())


async def fails() -> None:
    raise OSError("reset by peer")


async def breaks_off() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (fails, "failed to disconnect: OSError: reset by peer"),
        (forever, "did not disconnect within 0."),
        (breaks_off, "broke off disconnecting"),
    ],
)
@pytest.mark.parametrize("which", ["FEED", "SIM-EXEC"])
def test_every_client_is_disconnected_even_if_one_does_not(
    which: str, step: Callable[[], Awaitable[None]], said: str
) -> None:
    async def main() -> None:
        log: list[str] = []
        node = make_node(
            Watcher(),
            feed=Feed(disconnect=step if which == "FEED" else nothing, log=log),
            market=Market(disconnect=step if which == "SIM-EXEC" else nothing, log=log),
            timeout_disconnection_s=0.1,
        )
        node.add_data_client_factory(Feed(name="LAST", log=log))
        node.build()
        node.run()
        await until_running(node)
        await node.stop_async()
        ended = {line.split()[0] for line in log if line.endswith(" disconnected")}
        assert ended == {"FEED", "SIM-EXEC", "LAST"} - {which}
        assert len(node.disconnect_failures) == 1
        assert node.disconnect_failures[0].startswith(f"{which} {said}")
        assert node.state == "STOPPED"
        assert node.fault is None
        node.dispose()

    run(main())


def test_a_disconnect_that_raises_before_it_can_be_awaited_is_reported_alike() -> None:
    async def main() -> None:
        log: list[str] = []
        feed = Feed(log=log)
        node = await started(Watcher(), feed=feed, log=log)

        def no_coroutine() -> Any:
            raise TypeError("not today")

        feed.client.disconnect = no_coroutine  # pyright: ignore
        await node.stop_async()
        assert node.disconnect_failures == ["FEED failed to disconnect: TypeError: not today"]
        assert "SIM-EXEC disconnected" in log
        node.dispose()

    run(main())


def test_a_client_that_does_not_heed_its_cancellation_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        log: list[str] = []
        stubborn = Stubborn()
        node = await started(
            feed=Feed(disconnect=stubborn, log=log), log=log, timeout_disconnection_s=0.05
        )
        await node.stop_async()
        assert log[-1] == "SIM-EXEC disconnected"
        assert len(node.disconnect_failures) == 1
        stubborn.is_released = True
        await until(lambda: log[-1] == "FEED disconnected")
        node.dispose()

    run(main())


def test_a_stream_that_does_not_end_is_reported_and_its_client_disconnected() -> None:
    async def main() -> None:
        log: list[str] = []
        stubborn = Stubborn()
        node = await started(feed=Feed(stream=stubborn, log=log), timeout_disconnection_s=0.05)
        await until(lambda: "FEED streams" in log)
        await node.stop_async()
        assert node.disconnect_failures[0] == "FEED did not end its stream"
        assert "FEED disconnected" in log
        stubborn.is_released = True
        await until(
            lambda: not any("stream" in t.get_name() for t in asyncio.all_tasks()),
            what="stream ends",
        )
        node.dispose()

    run(main())


def test_the_final_drain_goes_time_data_commands_data_trading_execution() -> None:
    async def main() -> None:
        feed, market = Feed(), Market()
        handled: list[str] = []

        async def leave_messages() -> None:
            core = node.core
            core.dispatcher.taps.append(lambda number, channel, message: handled.append(channel))
            market.client.send(market.client.account())
            core.senders.trading_command.send(submit)
            feed.client.quote()
            core.senders.data_command.send(subscription)
            core.senders.time_event.send(TimeEvent("nobody's", 1, 1))

        feed.disconnect = leave_messages
        strategy = Trader()
        node = await started(strategy, feed=feed, market=market)
        log = [record.message for record in node.core.log]
        subscription = next(m for m in log if type(m).__name__ == "Subscribe")
        feed.client.quote()
        await until(lambda: strategy.seen[-1] == "OrderFilled")
        log = [record.message for record in node.core.log]
        submit = next(m for m in log if type(m).__name__ == "SubmitOrder")
        await node.stop_async()
        assert list(dict.fromkeys(handled)) == [
            "time_events",
            "data_commands",
            "data_events",
            "trading_commands",
            "execution_events",
        ]
        assert node.core.dispatcher.channels.depth == 0
        node.dispose()

    run(main())


def test_all_phases_of_a_stop_can_share_one_time() -> None:
    async def main() -> None:
        market, feed = Market(answers="hold", disconnect=forever), Feed(disconnect=forever)
        node = await started(
            Trader(), feed=feed, market=market, delay_post_stop_s=60.0, timeout_disconnection_s=60.0
        )
        feed.client.quote()
        await until(lambda: node.core.cache.orders_in_flight())
        node.request_stop()
        await until(lambda: node.phase == "handling residual events")
        node.request_stop(within_s=0.1)
        await until(lambda: node.state == "STOPPED")
        assert len(node.disconnect_failures) == 2
        assert len(node.left_open) == 1
        node.dispose()

    run(main())


def test_a_kernel_s_shutdown_gives_all_nodes_one_time_and_keeps_some_for_their_last_step() -> None:
    async def main() -> None:
        given: list[float] = []

        def noting(node: wb.TradingNode) -> wb.TradingNode:
            ask = node.request_stop

            def request_stop(within_s: float | None = None) -> None:
                given.append(within_s or 0.0)
                ask(within_s)

            node.request_stop = request_stop
            return node

        running = [
            noting(await started(Watcher(), feed=Feed(disconnect=step), trader_id=f"NODE-{number}"))
            for number, step in enumerate([nothing, forever])
        ]
        assert await stop_all(1.0) == []
        assert given == [pytest.approx(0.8)] * 2
        assert [node.state for node in running] == ["STOPPED"] * 2
        assert [len(node.disconnect_failures) for node in running] == [0, 1]
        for node in running:
            node.dispose()

    run(main())


def test_with_no_time_left_a_backlog_of_data_is_dropped_and_fills_are_handled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        feed, market, strategy = Feed(), Market(answers="hold"), Trader()

        async def leave_a_backlog() -> None:
            for _ in range(100):
                feed.client.quote()
            market.client.fill(market.held[0])

        feed.disconnect = leave_a_backlog
        node = await started(strategy, feed=feed, market=market)
        feed.client.quote()
        await until(lambda: market.held)
        node.request_stop(within_s=0.0)
        await until(lambda: node.state == "STOPPED")
        assert len(strategy.quotes) == 1
        assert len(node.fills()) == 1
        channels = node.channels()
        assert channels.loc["data_events", "drops"] == 100
        assert channels.loc["data_events", "depth"] == 0
        node.dispose()

    run(main())
    assert "TRADER-001 dropped 100 data events that were left: the time to stop" in caplog.text


def test_a_strategy_can_ask_for_the_shutdown_and_another_one_is_stopped_too() -> None:
    class Quitter(Watcher):
        def on_quote(self, quote: wb.Quote) -> None:
            self.shutdown_system("seen enough")

    async def main() -> None:
        other, feed, states = Watcher(), Feed(), []
        node = make_node(Quitter(), other, feed=feed)
        node.on_change(lambda n: states.append((n.state, n.phase)))
        node.build()
        task = asyncio.create_task(node.run_async())
        await until_running(node)
        feed.client.quote()
        await task
        assert other.seen == ["on_start", "on_stop"]
        assert ("STOPPING", "disconnecting") in states
        assert ("RUNNING", "disconnecting") not in states
        node.dispose()

    run(main())


def test_a_shutdown_asked_for_in_on_start_is_honoured() -> None:
    class Never(Watcher):
        def on_start(self) -> None:
            super().on_start()
            self.shutdown_system("not today")

    async def main() -> None:
        log: list[str] = []
        strategy = Never()
        node = make_node(strategy, log=log)
        node.build()
        await node.run_async()
        assert strategy.seen == ["on_start", "on_stop"]
        assert "FEED streams" not in log
        assert log[-1] == "SIM-EXEC disconnected"
        node.dispose()

    run(main())


def test_a_callback_cannot_wait_for_its_own_node() -> None:
    class Impatient(Watcher):
        def on_quote(self, quote: wb.Quote) -> None:
            inside[0].stop()

    inside: list[wb.TradingNode] = []

    async def main() -> None:
        feed = Feed()
        node = await started(Impatient(), feed=feed)
        inside.append(node)
        feed.client.quote()
        await until(lambda: node.state == "STOPPED")
        with pytest.raises(wb.StrategyError, match="callbacks cannot wait until"):
            await node.stop_async()
        node.dispose()

    run(main())


@pytest.mark.parametrize("phase", ["running", "handling residual events", "disconnecting"])
def test_a_cancelled_node_still_stops_gracefully(phase: str) -> None:
    """As `asyncio.run` does with every task at its end, and a kernel when it shuts down."""

    async def main() -> None:
        log: list[str] = []

        async def slowly() -> None:
            log.append("slow")
            await asyncio.sleep(0.05)

        market = Market(answers="hold", log=log)
        strategy, feed = Trader(), Feed(disconnect=slowly, log=log)
        node = make_node(
            strategy, feed=feed, market=market, delay_post_stop_s=0.5, timeout_disconnection_s=0.5
        )
        node.build()
        task = asyncio.create_task(node.run_async())
        await until_running(node)
        feed.client.quote()
        await until(lambda: node.core.cache.orders_in_flight())
        if phase != "running":
            node.request_stop()
            await until(lambda: node.phase == phase)
        for other in asyncio.all_tasks():
            if other is not asyncio.current_task():
                other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert node.state == "STOPPED"
        assert strategy.seen[-1] == "on_stop"
        assert "SIM-EXEC disconnected" in log
        assert "FEED disconnects" in log
        assert node.fault is None
        await node.stop_async()
        node.dispose()

    run(main())


def test_a_node_whose_task_was_cancelled_before_it_began_has_stopped() -> None:
    async def main() -> None:
        node = make_node(Watcher())
        node.build()
        node.run()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await until(lambda: node.state == "STOPPED")
        node.dispose()

    run(main())


def test_a_loop_that_ends_takes_its_node_to_a_graceful_stop() -> None:
    log: list[str] = []
    strategy = Watcher()
    node = make_node(strategy, log=log)
    node.build()

    async def main() -> None:
        node.run()
        await until_running(node)

    asyncio.Runner().__enter__().close()
    with asyncio.Runner() as runner:
        runner.run(main())
    assert node.state == "STOPPED"
    assert strategy.seen == ["on_start", "on_stop"]
    assert log[-1] == "SIM-EXEC disconnected"
    node.stop()
    node.dispose()


def test_a_node_begun_in_a_loop_that_ended_at_once_has_stopped() -> None:
    node = make_node()
    node.build()

    async def main() -> None:
        node.run()

    with asyncio.Runner() as runner:
        runner.run(main())
    assert node.state == "STOPPED"
    node.dispose()


def test_a_node_whose_loop_stands_still_is_stopped_by_running_the_loop() -> None:
    """As in a terminal, where the loop is frozen between two commands."""
    node = make_node(Watcher())
    node.build()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        node.run()
        await until_running(node)

    loop.run_until_complete(main())
    node.stop()
    assert node.state == "STOPPED"
    node.dispose()
    loop.close()

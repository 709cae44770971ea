"""Threads: a node on its own, calls and views from another, and a loop that does not answer."""

from __future__ import annotations

import asyncio
import decimal
import sys
import threading
from decimal import Decimal
from typing import Any

import pytest

import workbench as wb
from tests.node_fakes import Feed, Market, Trader, Watcher, forever, make_node, run
from tests.waiting import GUARD_S, until, until_blocking, until_running
from workbench.model.errors import ConfigError, LifecycleError, ThreadError
from workbench.node.waiting import call_on, wait_for
from workbench.runtime import senders


def on_thread(*strategies: wb.Actor, **parts: Any) -> wb.TradingNode:
    """Return a node that runs on a thread of its own."""
    node = make_node(*strategies, **parts)
    node.build()
    node.run(thread=True)
    until_blocking(lambda: node.phase == "running" or node.state == "STOPPED")
    return node


def test_a_node_on_its_own_thread_runs_is_reached_and_stops() -> None:
    strategy, feed = Trader(), Feed()
    interval = sys.getswitchinterval()
    node = on_thread(strategy, feed=feed)
    assert node.state == "RUNNING"
    names = [t.name for t in threading.enumerate()]
    assert "workbench TRADER-001" in names
    feed.client.quote()
    until_blocking(lambda: strategy.seen[-1] == "OrderFilled")
    assert node.call(threading.current_thread).name == "workbench TRADER-001"
    node.call(strategy.buy)
    until_blocking(lambda: len(node.fills()) == 2)
    assert len(node.orders()) == 2
    assert node.positions()["quantity"].tolist() == [Decimal(2)]
    assert node.accounts()["total"].tolist() == [Decimal(1_000_000)]
    node.stop()
    assert node.state == "STOPPED"
    assert not [t for t in threading.enumerate() if t.name.startswith("workbench")]
    assert sys.getswitchinterval() == interval
    assert len(node.fills()) == 2
    node.dispose()
    assert len(node.fills()) == 2


def test_overlapping_nodes_on_threads_leave_the_switch_interval_as_it_was() -> None:
    before = sys.getswitchinterval()
    first = on_thread(trader_id="FIRST")
    second = on_thread(trader_id="SECOND")
    try:
        assert sys.getswitchinterval() == pytest.approx(0.0005)
        first.stop()
        assert sys.getswitchinterval() == pytest.approx(0.0005)
        second.stop()
        assert sys.getswitchinterval() == before
    finally:
        sys.setswitchinterval(before)
        first.dispose()
        second.dispose()


def test_an_order_from_another_thread_is_refused_and_says_what_to_do() -> None:
    strategy, feed = Trader(), Feed()
    node = on_thread(strategy, feed=feed)
    feed.client.quote()
    until_blocking(lambda: len(node.fills()) == 1)
    order = node.call(lambda: strategy.orders.market("BTC/USDT.SIM", "buy", 1))
    for wrong in (
        lambda: strategy.submit_order(order),
        lambda: strategy.cancel_order(order),
        strategy.cancel_all_orders,
        lambda: strategy.modify_order(order, quantity=2),
    ):
        with pytest.raises(ThreadError, match=r"node\.call\(strategy\.submit_order, order\)"):
            wrong()
    assert len(node.orders()) == 1
    node.call(strategy.submit_order, order)
    until_blocking(lambda: len(node.fills()) == 2)
    node.stop()
    node.dispose()


def test_timers_subscriptions_and_requests_from_another_thread_are_refused_too() -> None:
    strategy = Watcher()
    node = on_thread(strategy)
    clock = strategy.clock
    for wrong, call in (
        (lambda: clock.set_timer("t", 10**9), r"clock\.set_timer, 't', interval"),
        (lambda: clock.set_alert("t", 10**19), r"clock\.set_alert, 't', at"),
        (lambda: clock.cancel_timer("t"), r"clock\.cancel_timer, 't'"),
        (strategy.subscribe_trades, "subscribe_trades"),
        (strategy.unsubscribe_quotes, "unsubscribe_quotes"),
        (lambda: strategy.subscribe_bars("1-minute-last"), "subscribe_bars"),
        (strategy.request_quotes, "request_quotes"),
        (lambda: strategy.request_bars("1-minute-last"), "request_bars"),
    ):
        with pytest.raises(ThreadError, match=rf"node\.call\(strategy\.{call}"):
            wrong()
    assert clock.timer_names == []
    node.call(clock.set_timer, "t", 10**9)
    assert clock.timer_names == ["t"]
    node.stop()
    # The run is over: what a strategy does when it is disposed of is no other thread's affair.
    assert clock.cancel_timer("t") is False
    node.dispose()


def test_trading_is_halted_from_another_thread_and_let_through_again() -> None:
    strategy, feed = Trader(), Feed()
    node = make_node(strategy, feed=feed)
    with pytest.raises(LifecycleError, match="call build"):
        node.set_trading_state("halted")
    node.build()
    asked_on: list[str] = []
    risk = node.core.risk
    change = risk.set_trading_state

    def note(state: Any) -> None:
        asked_on.append(threading.current_thread().name)
        change(state)

    risk.set_trading_state = note
    node.run(thread=True)
    until_blocking(lambda: node.phase == "running")
    assert "trading" not in repr(node)
    node.set_trading_state("halted")
    assert asked_on == ["workbench TRADER-001"]
    assert node.trading_state == "halted"
    assert "; trading: halted" in repr(node)
    assert "halted" in node._repr_html_()
    feed.client.quote()
    until_blocking(lambda: "OrderDenied" in strategy.seen)
    node.set_trading_state("active")
    node.call(strategy.buy)
    until_blocking(lambda: len(node.fills()) == 1)
    with pytest.raises(ConfigError, match=r"trading state must be one of .*'reducing'.*'paused'"):
        node.set_trading_state("paused")
    node.stop()
    with pytest.raises(LifecycleError, match="cannot set the trading state of a STOPPED node"):
        node.set_trading_state("halted")
    node.dispose()


def test_what_a_call_raises_comes_out_where_it_was_called() -> None:
    node = on_thread()
    with pytest.raises(ZeroDivisionError):
        node.call(lambda: 1 // 0)
    with pytest.raises(TimeoutError, match="its own"):
        node.call(raise_timeout)
    assert node.state == "RUNNING"
    node.stop()
    node.dispose()


def raise_timeout() -> None:
    raise TimeoutError("its own")


def test_a_call_computes_as_the_node_does_whatever_the_caller_s_decimals() -> None:
    node = on_thread()
    with decimal.localcontext(decimal.Context(prec=3)):
        assert node.call(lambda: Decimal(1) / 3) == Decimal("0.3333333333333333333333333333")
    node.stop()
    with decimal.localcontext(decimal.Context(prec=3)):
        assert len(str(node.call(lambda: Decimal(1) / 3))) == 30
    node.dispose()


def test_a_fault_on_its_thread_is_raised_by_stop_once() -> None:
    class Broken(Watcher):
        def on_quote(self, quote: wb.Quote) -> None:
            raise ValueError("bad")

    feed = Feed()
    node = on_thread(Broken(), feed=feed)
    feed.client.quote()
    until_blocking(lambda: node.state == "STOPPED")
    with pytest.raises(wb.StrategyError, match="bad"):
        node.stop()
    node.stop()
    node.dispose()


def test_a_node_on_its_thread_is_awaited_from_another_loop() -> None:
    async def main() -> None:
        node = make_node(Watcher())
        node.build()
        node.run(thread=True)
        await until_running(node)
        await node.stop_async()
        assert node.state == "STOPPED"
        node.dispose()

    run(main())


def test_listeners_are_told_on_the_node_s_thread() -> None:
    told: list[tuple[str, str]] = []
    node = make_node(Watcher())
    node.on_change(lambda n: told.append((n.state, threading.current_thread().name)))
    node.build()
    node.run(thread=True)
    until_blocking(lambda: node.phase == "running")
    node.stop()
    node.dispose()
    assert {name for state, name in told if state in ("STOPPING", "STOPPED")} == {
        "workbench TRADER-001"
    }
    assert told[0] == ("BUILT", "MainThread")


def test_a_stop_from_many_threads_at_once_stops_once() -> None:
    for _ in range(20):
        node = on_thread(Watcher())
        errors: list[BaseException] = []
        gate = threading.Barrier(5)

        def stop(
            node: wb.TradingNode = node,
            gate: threading.Barrier = gate,
            errors: list[BaseException] = errors,
        ) -> None:
            gate.wait()
            try:
                node.stop()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=stop) for _ in range(4)]
        for thread in threads:
            thread.start()
        gate.wait()
        for thread in threads:
            thread.join()
        assert not errors
        assert node.state == "STOPPED"
        node.dispose()


def test_a_stop_that_meets_the_node_s_own_end_is_not_refused() -> None:
    class Quitter(Watcher):
        def on_quote(self, quote: wb.Quote) -> None:
            self.shutdown_system("now")

    for _ in range(30):
        feed = Feed()
        node = on_thread(Quitter(), feed=feed)
        feed.client.quote()
        node.stop()
        assert node.state == "STOPPED"
        node.dispose()


def test_a_node_in_a_loop_is_stopped_and_looked_at_from_another_thread() -> None:
    async def main() -> None:
        strategy, feed = Trader(), Feed()
        node = make_node(strategy, feed=feed)
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote()
        await until(lambda: strategy.seen[-1] == "OrderFilled")
        frames: list[Any] = []

        def look_and_stop() -> None:
            frames.extend([node.orders(), node.fills(), node.positions(), node.channels()])
            node.stop()

        thread = threading.Thread(target=look_and_stop)
        thread.start()
        await until(lambda: node.state == "STOPPED")
        thread.join()
        assert [len(frame) for frame in frames] == [1, 1, 1, 5]
        node.dispose()

    run(main())


def test_a_loop_that_does_not_answer_gives_the_last_snapshot_and_calls_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy, feed = Trader(), Feed()
    node = on_thread(strategy, feed=feed)
    feed.client.quote()
    until_blocking(lambda: len(node.fills()) == 1)
    made = node.fills()
    monkeypatch.setattr("workbench.node.views.ANSWER_S", 0.05)
    monkeypatch.setattr("workbench.node.node._ANSWER_S", 0.05)
    release, busy = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        release.wait(GUARD_S)

    assert node._session is not None  # pyright: ignore
    loop = node._session.loop  # pyright: ignore
    assert loop is not None
    loop.call_soon_threadsafe(hold)
    busy.wait(GUARD_S)
    shown = node.fills()
    assert shown.equals(made)
    assert shown.attrs["as_of_ns"] > 0
    shown.loc[0, "price"] = Decimal(7)  # what was returned is the caller's
    assert node.fills().equals(made)
    with pytest.raises(ThreadError, match=r"did not answer within 0\.05 s, and there is no earlie"):
        node.orders()
    ran: list[int] = []
    with pytest.raises(ThreadError, match=r"the node's loop did not answer within 0\.05 s"):
        node.call(ran.append, 1)
    with pytest.raises(wb.WorkbenchError, match=r"did not stop within 0\.05 s .*has not answered"):
        node.stop(timeout_s=0.05)
    release.set()
    node.stop()
    assert not ran  # what was given up is not done later
    node.dispose()


def test_calls_while_the_node_stops_are_answered_or_made_directly() -> None:
    for _ in range(10):
        node = on_thread(Watcher())
        counts: list[int] = []
        go = threading.Event()

        def look(
            node: wb.TradingNode = node, counts: list[int] = counts, go: threading.Event = go
        ) -> None:
            go.wait()
            counts.extend(len(node.orders()) for _ in range(50))

        thread = threading.Thread(target=look)
        thread.start()
        go.set()
        node.stop()
        thread.join()
        assert counts == [0] * 50
        node.dispose()


def test_waiting_on_a_closed_loop_is_an_error_and_not_a_hang() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(ThreadError, match="loop is closed"):
        wait_for(forever, loop, 5)
    with pytest.raises(ThreadError, match="loop is closed"):
        call_on(loop, int, 5)


def test_a_loop_that_is_closed_during_the_wait_ends_it() -> None:
    loop = asyncio.new_event_loop()  # never run: nothing is ever answered
    threading.Timer(0.1, loop.close).start()
    with pytest.raises(ThreadError, match="loop is closed"):
        call_on(loop, int, 30)


def test_nothing_is_left_after_many_cycles_on_threads() -> None:
    before = threading.active_count()
    for _ in range(20):
        node = on_thread(Trader(), feed=Feed(), market=Market())
        node.stop()
        node.dispose()
    assert threading.active_count() == before
    assert senders.current() is None

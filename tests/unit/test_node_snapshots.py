"""Snapshots: plain values of a node, in every state and from any thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
import pytest

import workbench as wb
from tests.node_fakes import PAIR, Feed, Trader, Watcher, make_node, run, simulated
from tests.waiting import until, until_blocking, until_running
from workbench.model.errors import StrategyError
from workbench.node.snapshot_taking import ENDED_ORDERS, FILLS, _Tables
from workbench.node.snapshots import NodeSnapshot
from workbench.runtime.channels import ChannelName

T = TypeVar("T")


def elsewhere(function: Callable[[], T]) -> T:
    """Return what a function returns on another thread."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


class Working(Trader):
    """Buys one, and rests one order far below."""

    def buy(self) -> None:
        super().buy()
        self.submit_order(self.orders.limit(PAIR.id, "buy", 2, 50.0))


def test_it_can_be_taken_in_every_state() -> None:
    async def main() -> None:
        strategy, feed = Working(), Feed()
        node = make_node(strategy, feed=feed, market=simulated())
        seen: list[NodeSnapshot] = []

        def take() -> NodeSnapshot:
            seen.append(node.snapshot())
            assert msgspec.json.decode(msgspec.json.encode(seen[-1]))["state"] == node.state.value
            return seen[-1]

        first = take()
        assert (first.allowed, first.ts, first.channels) == (("build", "dispose"), 0, ())
        assert first.trading_state == "active"
        node.build()
        assert len(take().channels) == 5
        node.run()
        await until_running(node)
        feed.client.quote()
        await until(lambda: "OrderFilled" in strategy.seen and node.core.cache.orders_open())
        running = take()
        await node.stop_async()
        stopped = take()
        node.dispose()
        take()
        assert [s.state for s in seen] == ["CREATED", "BUILT", "RUNNING", "STOPPED", "DISPOSED"]
        assert running.phase == "running"
        assert running.instruments == (PAIR.id,)
        price = running.prices[0]
        assert (price.instrument_id, price.bid, price.ask) == (PAIR.id, 100.0, 100.02)
        assert [(o.status, o.is_open) for o in running.orders] == [
            ("accepted", True),
            ("filled", False),
        ]
        fill = running.fills[0]
        assert (fill.side, fill.quantity, fill.price) == ("buy", Decimal(1), Decimal("100.02"))
        assert fill.client_order_id == running.orders[1].client_order_id
        position = running.positions[0]
        assert (position.quantity, position.is_open) == (Decimal(1), True)
        profit = running.profit[0]
        assert profit.unrealized == position.unrealized_pnl == Decimal("-0.02")
        assert profit.total == profit.realized + profit.unrealized
        assert running.missing_prices == ()
        assert running.accounts[0].balances
        assert running.strategies[0].component_id == "Working-001"
        assert (running.counts.orders_open, running.counts.fills) == (1, 1)
        assert not running.has_thread
        assert stopped.left_open == tuple(node.left_open)
        assert len(stopped.left_open) == 2

    run(main())


def test_a_thread_gets_the_last_one_with_counters_and_state_as_they_are() -> None:
    async def main() -> None:
        strategy, feed = Working(), Feed()
        node = make_node(strategy, feed=feed, market=simulated())
        node.build()
        node.run()
        await until_running(node)
        old = elsewhere(node.snapshot)
        feed.client.quote()
        await until(lambda: "OrderFilled" in strategy.seen and node.core.cache.orders_open())
        feed.client.quote()  # it waits: this loop does not turn
        before = elsewhere(node.snapshot)
        assert before.ts == old.ts
        assert before.orders == ()
        assert before.channels[-1].name == ChannelName.DATA_EVENTS
        assert (before.channels[-1].depth, before.waiting_ns) == (1, 0)
        elsewhere(node.request_snapshot)
        elsewhere(node.request_snapshot)
        assert elsewhere(node.snapshot).waiting_ns > 0
        loop: Any = asyncio.get_running_loop()
        assert sum("_answer" in repr(handle) for handle in loop._ready) == 1
        await until(lambda: not elsewhere(node.snapshot).waiting_ns)
        after = elsewhere(node.snapshot)
        assert after.taken_ns > before.taken_ns
        assert len(after.orders) == 2
        node.core.risk.halt()
        assert elsewhere(node.snapshot).trading_state == "halted"
        await node.stop_async()
        assert elsewhere(node.snapshot).state == "STOPPED"
        node.dispose()

    run(main())


def test_a_loop_that_does_not_answer_is_shown_as_stalled() -> None:
    async def main() -> None:
        node = make_node(Watcher(), stall_threshold_s=0.01)
        node.build()
        node.run()
        await until_running(node)
        elsewhere(node.request_snapshot)
        until_blocking(lambda: elsewhere(node.snapshot).is_stalled)
        # The watch of the loop counts from its own last look: be surely above the threshold.
        until_blocking(lambda: elsewhere(node.snapshot).waiting_ns > 100_000_000)
        await until(lambda: node.snapshot().stalls)
        stall = node.snapshot().stalls[-1]
        assert stall.duration_ns >= 10_000_000
        assert node.snapshot().stall_count == len(node.stalls)
        await node.stop_async()
        node.dispose()

    run(main())


class Churning(wb.Strategy):
    """Buys and sells on each quote."""

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_quotes(PAIR.id)

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        side = "buy" if self.count % 2 else "sell"
        self.submit_order(self.orders.market(PAIR.id, side, 1))
        self.submit_order(self.orders.limit(PAIR.id, "buy", 1, 50.0))


def test_only_the_latest_are_kept_and_all_are_counted() -> None:
    async def main() -> None:
        strategy, feed = Churning(), Feed()
        limits = wb.RiskLimits(orders=10_000)
        node = make_node(strategy, feed=feed, market=simulated(), limits=limits)
        node.build()
        node.run()
        await until_running(node)
        for count in (100, 250):
            while strategy.count < count:
                feed.client.quote(100.0)
                await asyncio.sleep(0)
                await until(lambda: not node.core.dispatcher.channels.depth)
            await until(lambda: node.snapshot().counts.fills == strategy.count)
            assert node.snapshot().fills[-1].ts == node.fills()["time"].iloc[-1].value
        snapshot = node.snapshot()
        assert snapshot.counts.fills == 250
        assert len(snapshot.fills) == FILLS
        ids = node.fills()["client_order_id"].tolist()
        assert [f.client_order_id for f in snapshot.fills] == ids[-FILLS:]
        ended = [o for o in snapshot.orders if not o.is_open]
        assert len(ended) == ENDED_ORDERS
        assert [o.client_order_id for o in ended] == ids[: -ENDED_ORDERS - 1 : -1]
        assert snapshot.counts.orders_ended == 250
        assert snapshot.counts.orders_open == 250
        # What did not change is the very same row as before.
        assert node.snapshot().fills[0] is snapshot.fills[0]
        assert node.snapshot().orders[-1] is snapshot.orders[-1]
        await node.stop_async()
        node.dispose()

    run(main())


def test_threads_that_look_all_the_time_meet_no_change_under_way() -> None:
    strategy, feed = Churning(), Feed()
    node = make_node(strategy, feed=feed, market=simulated(), limits=wb.RiskLimits(orders=100_000))
    errors: list[BaseException] = []
    is_over = threading.Event()

    def look() -> None:
        try:
            while not is_over.is_set():
                node.request_snapshot()
                snapshot = node.snapshot()
                assert snapshot.counts.orders_open >= sum(o.is_open for o in snapshot.orders)
                msgspec.json.encode(snapshot)
        except BaseException as error:
            errors.append(error)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        node.build()
        node.run(thread=True)
        until_blocking(lambda: node.phase == "running")
        for _ in range(100):
            feed.client.quote(100.0)
        until_blocking(lambda: strategy.count == 100)
        node.stop()
        node.dispose()
    finally:  # else they would take the processor from all tests that follow
        is_over.set()
        for looker in lookers:
            looker.join()
        assert not errors
    assert node.snapshot().counts.fills == 100


class Failing(Watcher):
    """Raises on its first quote."""

    def on_quote(self, quote: wb.Quote) -> None:
        raise ValueError("no such thing")


def test_one_that_was_asked_for_before_the_end_is_not_taken_beside_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        feed = Feed()
        # No stall is long enough to make the price stale.
        node = make_node(Working(), feed=feed, market=simulated(), stall_threshold_s=3600.0)
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote()
        await until(lambda: len(node.fills()) == 1)
        looking: list[int] = []
        most: list[int] = []
        fields = _Tables.fields

        def seen(tables: _Tables) -> dict[str, Any]:
            looking.append(1)
            time.sleep(0.001)  # lets the other thread in
            most.append(len(looking))
            try:
                return fields(tables)
            finally:
                looking.pop()

        monkeypatch.setattr(_Tables, "fields", seen)
        loop: Any = asyncio.get_running_loop()
        elsewhere(node.request_snapshot)
        (answer,) = [one for one in loop._ready if "_answer" in repr(one)]
        node.request_stop()
        await until(lambda: node.state == "STOPPED")
        # As it is where the request comes behind the step that stops the node.
        thread = threading.Thread(target=lambda: [node.snapshot() for _ in range(50)])
        thread.start()
        while thread.is_alive():
            answer._callback()
        thread.join()
        assert len(most) > 50
        assert max(most) == 1
        assert node.snapshot().counts.fills == len(node.snapshot().fills) == 1
        node.dispose()

    run(main())


def test_what_a_strategy_raised_is_shown_with_its_name_and_the_event() -> None:
    async def main() -> None:
        feed = Feed()
        node = make_node(Failing(), feed=feed)
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote()
        await until(lambda: node.state == "STOPPED")
        with pytest.raises(StrategyError):
            await node.stop_async()
        snapshot = node.snapshot()
        assert "Failing-001 raised ValueError in on_quote handling Quote(" in snapshot.fault
        assert 'raise ValueError("no such thing")' in snapshot.exceptions[0]
        assert len(snapshot.exceptions) == 1
        node.dispose()

    run(main())

"""Many nodes in one process: one after another, and two at once that never cross."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import workbench as wb
from tests.node_fakes import OTHER, PAIR, Feed, Watcher, make_node, run
from tests.waiting import until, until_running
from workbench.runtime import senders


async def until_closed(node: wb.TradingNode, count: int) -> None:
    await until(lambda: len(node.core.cache.orders_closed()) == count)


class Alternating(Watcher):
    """Buys on every quote and keeps what it was told."""

    def on_start(self) -> None:
        super().on_start()
        self.events: list[Any] = []

    def on_quote(self, quote: wb.Quote) -> None:
        super().on_quote(quote)
        self.submit_order(self.orders.market(quote.instrument_id, "buy", 1))

    def on_order_event(self, event: Any) -> None:
        self.events.append(event)


def test_one_strategy_runs_in_node_after_node_in_one_loop() -> None:
    async def main() -> None:
        strategy = Alternating()
        before = threading.active_count()
        for cycle in range(20):
            feed = Feed()
            node = make_node(strategy, feed=feed)
            node.build()
            assert senders.current() is None
            node.run()
            await until_running(node)
            for _ in range(3):
                feed.client.quote()
            await until_closed(node, 3)
            assert len(strategy.quotes) == 3, cycle
            await node.stop_async()
            node.dispose()
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert threading.active_count() == before
            assert senders.current() is None
        assert strategy.state == "DISPOSED"

    run(main())


def test_two_nodes_at_once_never_cross() -> None:
    async def main() -> None:
        feeds = [Feed(PAIR), Feed(OTHER)]
        strategies = [Alternating(), Alternating()]
        nodes = [make_node(s, feed=f) for s, f in zip(strategies, feeds, strict=True)]
        for node in nodes:
            node.build()
        for node in nodes:
            node.run()
        for node in nodes:
            await until_running(node)
        for step in range(50):
            feeds[0].client.quote(100 + step, instrument=PAIR)
            feeds[1].client.quote(100 + step, instrument=OTHER)
            await asyncio.sleep(0.001 if step % 7 == 0 else 0)
        for node in nodes:
            await until_closed(node, 50)
        for node, strategy, instrument in zip(nodes, strategies, (PAIR, OTHER), strict=True):
            assert {quote.instrument_id for quote in strategy.quotes} == {instrument.id}
            assert [q.bid for q in strategy.quotes] == [100 + step for step in range(50)]
            assert {event.instrument_id for event in strategy.events} == {instrument.id}
            assert node.orders()["instrument_id"].unique().tolist() == [instrument.id]
            assert [i.id for i in node.core.cache.instruments()] == [instrument.id]
            # Every message handled here was made here: each number once, in order.
            numbers = [record.number for record in node.core.log]
            assert numbers == sorted(numbers)
        mine, others = ({o.client_order_id for o in n.core.cache.orders()} for n in nodes)
        assert len(mine | others) == 100  # one trader, and yet no id twice
        await nodes[0].stop_async()
        feeds[1].client.quote(7, instrument=OTHER)
        await until_closed(nodes[1], 51)
        await nodes[1].stop_async()
        for node in nodes:
            node.dispose()

    run(main())


def test_a_node_on_a_thread_and_one_in_the_loop_live_side_by_side() -> None:
    async def main() -> None:
        pairs = [(Alternating(), Feed()) for _ in range(2)]
        nodes = [make_node(strategy, feed=feed) for strategy, feed in pairs]
        for node, in_thread in zip(nodes, (True, False), strict=True):
            node.build()
            node.run(thread=in_thread)
        for node in nodes:
            await until_running(node)
        for _ in range(20):
            for _, feed in pairs:
                feed.client.quote()
        for node in nodes:
            await until(lambda node=node: len(node.fills()) == 20)
        for node in nodes:
            await node.stop_async()
            node.dispose()

    run(main())


def test_a_fault_in_one_node_leaves_the_other_running() -> None:
    class Broken(Watcher):
        def on_quote(self, quote: wb.Quote) -> None:
            raise ValueError("only here")

    async def main() -> None:
        feed, other_feed, other = Feed(), Feed(), Alternating()
        broken, healthy = make_node(Broken(), feed=feed), make_node(other, feed=other_feed)
        for node in (broken, healthy):
            node.build()
            node.run()
            await until_running(node)
        feed.client.quote()
        await until(lambda: broken.state == "STOPPED")
        assert healthy.state == "RUNNING"
        other_feed.client.quote()
        await until(lambda: len(healthy.fills()) == 1)
        await healthy.stop_async()
        for node in (broken, healthy):
            node.dispose()

    run(main())


def test_a_running_node_that_nobody_holds_goes_on_and_can_be_found() -> None:
    async def main() -> None:
        feed = Feed()
        node = make_node(Watcher(), feed=feed)
        node.build()
        node.run()
        await until_running(node)
        serial = node.serial
        del node
        gc.collect()
        await asyncio.sleep(0.01)
        found = [one for one in wb.nodes() if one.serial == serial]
        assert found[0].state == "RUNNING"
        await found[0].stop_async()
        found[0].dispose()

    run(main())

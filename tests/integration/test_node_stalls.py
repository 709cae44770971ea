"""Stalls of the loop: recorded, prices held for stale until a fresh one, nothing lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import workbench as wb
from tests.node_fakes import OTHER, PAIR, Feed, Watcher, make_node, run, simulated
from tests.waiting import until, until_running
from workbench.model.events import LoopStalled
from workbench.runtime.eventlog import RecordKind

STALL_S = 0.3
SETTINGS: dict[str, Any] = {"stall_threshold_s": 0.2, "max_quote_age_s": 0.1}


class Buyer(Watcher):
    """Buys one of whatever it is told to, and notes denials."""

    def buy(self, instrument: wb.Instrument = PAIR) -> None:
        self.submit_order(self.orders.market(instrument.id, "buy", 1))

    def on_order_denied(self, event: Any) -> None:
        self.seen.append(event.code)

    def on_order_filled(self, event: Any) -> None:
        self.seen.append("filled")


async def started(strategy: wb.Actor, feed: Feed) -> wb.TradingNode:
    node = make_node(strategy, feed=feed, market=simulated(*feed.instruments), **SETTINGS)
    node.build()
    node.run()
    await until_running(node)
    return node


def test_after_a_stall_orders_are_denied_until_a_fresh_quote_and_nothing_is_lost() -> None:
    async def main() -> None:
        strategy, feed = Buyer(), Feed(PAIR, OTHER)
        node = await started(strategy, feed)
        heard: list[LoopStalled] = []
        node.core.bus.subscribe("system.stalls", heard.append)
        feed.client.quote(100)
        feed.client.quote(200, instrument=OTHER)
        await until(lambda: len(strategy.quotes) == 2)
        node.call(strategy.buy)
        await until(lambda: strategy.seen[-1] == "filled")
        assert node.stale_instruments == []

        for bid in range(101, 111):  # queued up while the loop stands still
            feed.client.quote(bid, age_s=60)
        time.sleep(STALL_S)
        await until(lambda: len(strategy.quotes) == 12)
        assert [quote.bid for quote in strategy.quotes[2:]] == list(range(101, 111))
        assert len(node.stalls) == len(heard) >= 1
        assert node.stalls[0].duration_ns >= 0.2e9
        assert node.core.log.records([RecordKind.STALL])[0].message == node.stalls[0]
        assert node.stale_instruments == [PAIR.id, OTHER.id]

        node.call(strategy.buy)
        await until(lambda: strategy.seen[-1] == "QUOTE_STALE")
        feed.client.quote(111, age_s=30)  # too old to count
        await until(lambda: len(strategy.quotes) == 13)
        assert PAIR.id in node.stale_instruments
        feed.client.quote(112)
        await until(lambda: len(strategy.quotes) == 14)
        assert node.stale_instruments == [OTHER.id]
        node.call(strategy.buy)
        await until(lambda: strategy.seen[-1] == "filled")
        node.call(strategy.buy, OTHER)
        await until(lambda: strategy.seen[-1] == "QUOTE_STALE")
        assert [s["count_in"] for s in node.channels().reset_index().to_dict("records")][4] == 16
        await node.stop_async()
        node.dispose()

    run(main())


def test_an_order_sent_in_the_very_callback_that_stalled_is_denied() -> None:
    class Slow(Buyer):
        def on_quote(self, quote: wb.Quote) -> None:
            super().on_quote(quote)
            if len(self.quotes) == 1:
                time.sleep(STALL_S)
                self.buy()

    async def main() -> None:
        strategy, feed = Slow(), Feed()
        node = await started(strategy, feed)
        feed.client.quote()
        await until(lambda: strategy.seen[-1] == "QUOTE_STALE")
        assert len(node.stalls) >= 1
        feed.client.quote()
        await until(lambda: len(strategy.quotes) == 2)
        node.call(strategy.buy)
        await until(lambda: strategy.seen[-1] == "filled")
        await node.stop_async()
        node.dispose()

    run(main())


def test_an_order_sent_in_the_very_cell_that_stalled_is_denied() -> None:
    async def main() -> None:
        strategy, feed = Buyer(), Feed()
        node = await started(strategy, feed)
        feed.client.quote()
        await until(lambda: strategy.quotes)
        await asyncio.sleep(0.1)  # the watch has beaten
        time.sleep(STALL_S)
        strategy.buy()
        await until(lambda: strategy.seen[-1] == "QUOTE_STALE")
        await node.stop_async()
        node.dispose()

    run(main())


def test_a_stall_is_known_before_what_queued_up_is_handled() -> None:
    class Checker(Buyer):
        def on_quote(self, quote: wb.Quote) -> None:
            super().on_quote(quote)
            self.seen.append(f"stalls {len(inside[0].stalls) > 0}")

    inside: list[wb.TradingNode] = []

    async def main() -> None:
        strategy, feed = Checker(), Feed()
        node = await started(strategy, feed)
        inside.append(node)
        await asyncio.sleep(0.1)
        feed.client.quote(age_s=5)
        time.sleep(STALL_S)
        await until(lambda: strategy.quotes)
        assert strategy.seen[-1] == "stalls True"
        await node.stop_async()
        node.dispose()

    run(main())


def test_a_quiet_instrument_without_a_stall_is_not_stale() -> None:
    async def main() -> None:
        strategy, feed = Buyer(), Feed()
        node = await started(strategy, feed)
        feed.client.quote(age_s=3600)
        await until(lambda: strategy.quotes)
        node.call(strategy.buy)
        await until(lambda: strategy.seen[-1] == "filled")
        await node.stop_async()
        node.dispose()

    run(main())


def test_a_stall_changes_nothing_on_a_simulated_clock() -> None:
    class Sleepy(wb.Strategy):
        stalls: bool = False

        def on_start(self) -> None:
            self.count = 0
            self.subscribe_bars("1-minute-last")

        def on_bar(self, bar: wb.Bar) -> None:
            self.count += 1
            if self.stalls and self.count == 5:
                time.sleep(0.6)
            if self.count % 3 == 0:
                self.submit_order(self.orders.market(self.instrument.id, "buy", 1))

    data = wb.sample_bars(30)
    logs: list[bytes] = []
    for stalls in (False, True):
        node = wb.sandbox(
            Sleepy(stalls=stalls),
            data=data,
            instrument=PAIR,
            config=wb.TradingNodeConfig(stall_threshold_s=0.3),
        )
        node.build()
        node.run(raise_exception=True)
        assert bool(node.stalls) == stalls
        assert node.stale_instruments == []
        assert len(node.fills()) == 10
        logs.append(node.core.log.to_bytes())
        node.dispose()
    assert logs[0] == logs[1]

"""A strategy's code is exchanged while its node runs: what stays, what is new, what is noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests import node_fakes as f
from tests.waiting import until, until_running
from workbench.model.codec import decode, encode
from workbench.model.errors import ConfigError, LifecycleError, ThreadError
from workbench.model.events import StrategySwapped
from workbench.node import SwapReport
from workbench.runtime.eventlog import RecordKind


class Signals(wb.Strategy):
    """Buys whenever the bid is above its limit; keeps an average and a resting order."""

    limit: float = 1000.0

    def on_start(self) -> None:
        self.average = wb.EMA(3)
        self.fired: list[str] = []
        self.events: list[str] = []
        self.subscribe_quotes()
        self.subscribe_trades()
        self.register_indicator("quotes", self.average)
        self.clock.set_timer("tick", timedelta(milliseconds=5), self.on_tick)
        self.clock.set_timer("plain", timedelta(milliseconds=5))
        self.submit_order(self.orders.limit(f.PAIR.id, "buy", 1, 10))

    def on_quote(self, quote: wb.Quote) -> None:
        if self.position() is None:
            self.submit_order(self.orders.market(f.PAIR.id, "buy", 2))
        elif quote.bid > self.limit:
            self.submit_order(self.orders.market(f.PAIR.id, "buy", 1))

    def on_tick(self, event: wb.TimeEvent) -> None:
        self.fired.append("old")

    def on_order_filled(self, event: wb.OrderFilled) -> None:
        self.events.append("old fill")


class Lower(Signals):
    """The same with a lower limit, and with callbacks that were not there."""

    limit: float = 50.0

    def on_tick(self, event: wb.TimeEvent) -> None:
        self.fired.append("new")

    def on_time_event(self, event: wb.TimeEvent) -> None:
        self.fired.append("plain")

    def on_order_filled(self, event: wb.OrderFilled) -> None:
        self.events.append("new fill")

    def on_order_event(self, event: wb.OrderEvent) -> None:
        self.events.append(type(event).__name__)


class Other(wb.Strategy):
    """Without a callback for quotes, with one for trades."""

    def on_start(self) -> None:
        self.trades = 0

    def on_trade(self, trade: wb.Trade) -> None:
        self.trades += 1

    def on_tick(self, event: wb.TimeEvent) -> None: ...


Scenario = Callable[[wb.TradingNode, Any, f.Feed], Awaitable[None]]


def running(scenario: Scenario, *, thread: bool = False, **parameters: Any) -> None:
    """Run a scenario with a node of one `Signals` at the simulated exchange."""
    feed = f.Feed()

    async def main() -> None:
        strategy = Signals(**parameters)
        # However busy the machine is: after a stall an order on an old price would be denied.
        node = f.make_node(strategy, feed=feed, market=f.simulated(), stall_threshold_s=60.0)
        node.build()
        node.run(thread=thread)
        await until_running(node)
        node.call(feed.client.quote, 100.0)
        await until(lambda: len(node.fills()) == 1)
        await scenario(node, strategy, feed)
        await node.stop_async()
        node.dispose()

    f.run(main())


@pytest.mark.parametrize("thread", [False, True])
def test_the_next_signal_uses_the_new_code_and_everything_else_stays(thread: bool) -> None:
    async def scenario(node: wb.TradingNode, strategy: Any, feed: f.Feed) -> None:
        average, seen = strategy.average, strategy.average.value
        position = node.call(strategy.position)
        assert position.quantity == 2
        report = node.swap_strategy(strategy, Lower)
        assert type(strategy) is Lower
        assert strategy.limit == 50.0
        assert isinstance(report, SwapReport)
        assert report.is_changed
        assert report.parameters == ("limit=50.0, which was 1000.0",)
        assert str(report).startswith(f"Signals-001 goes on with code {report.old} → {report.new}")
        assert strategy.average is average
        node.call(feed.client.quote, 101.0)
        await until(lambda: len(node.fills()) == 2)
        assert strategy.average.value != seen
        assert node.call(strategy.position) is position
        assert position.quantity == 3
        assert node.orders()["status"].tolist() == ["accepted", "filled", "filled"]
        assert strategy.events[0] == "old fill"
        assert strategy.events[-2:] == ["new fill", "OrderFilled"]
        strategy.fired.clear()
        await until(lambda: {"new", "plain"} <= set(strategy.fired))
        assert "old" not in strategy.fired

    running(scenario, thread=thread)


def test_it_is_noted_in_the_event_log() -> None:
    async def scenario(node: wb.TradingNode, strategy: Any, feed: f.Feed) -> None:
        report = node.swap_strategy("Signals-001", Lower)
        records = node.core.log.records([RecordKind.SWAP])
        assert len(records) == 1
        noted = records[0].message
        assert noted == StrategySwapped(
            strategy_id=strategy.component_id,
            class_name="Lower",
            old=report.old,
            new=report.new,
            parameters=report.parameters,
            ts_event=report.ts_ns,
            ts_init=report.ts_ns,
        )
        assert decode(encode(noted)) == noted
        assert records[0].number == node.core.dispatcher.number
        assert b"swap\t" in node.core.log.to_bytes()

    running(scenario)


def test_twice_in_a_row_and_back_again() -> None:
    async def scenario(node: wb.TradingNode, strategy: Any, feed: f.Feed) -> None:
        first = node.swap_strategy(strategy, Lower)
        second = node.swap_strategy(strategy, Signals)
        third = node.swap_strategy(strategy, Signals)
        assert (first.old, first.new) == (second.new, second.old)
        assert not third.is_changed
        assert "the same code" in str(third)
        assert strategy.limit == 1000.0
        assert len(node.core.log.records([RecordKind.SWAP])) == 3

    running(scenario)


def test_callbacks_that_are_gone_are_not_called_and_new_ones_are() -> None:
    async def scenario(node: wb.TradingNode, strategy: Any, feed: f.Feed) -> None:
        strategy.trades = 0
        node.swap_strategy(strategy, Other)
        assert strategy.parameters == {}
        now = node.core.clock.timestamp_ns()
        node.call(feed.client.quote, 5000.0)  # Signals would buy
        trade = wb.Trade(f.PAIR.id, 100.0, 1.0, wb.AggressorSide.BUYER, "T-1", now, now)
        node.call(feed.client.send, trade)
        await until(lambda: strategy.trades == 1)
        assert len(node.orders()) == 2
        fills = len(strategy.events)
        node.call(strategy.submit_order, node.call(strategy.orders.market, f.PAIR.id, "buy", 1))
        await until(lambda: len(node.fills()) == 2)
        assert len(strategy.events) == fills

    running(scenario)


class Broken(wb.Strategy):
    needs: int


class WithoutTick(wb.Strategy):
    """Lacks what a timer calls."""


class Unready(Signals):
    def on_start(self) -> None:
        self.fresh = 0

    def on_quote(self, quote: wb.Quote) -> None:
        self.fresh += 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Broken, "Signals-001 cannot go on as Broken: Broken needs a value for its parameter"),
        (WithoutTick, "its timer 'tick' calls on_tick, which is no method any more"),
        (Unready, r"on_quote reads self\.fresh, which is not there yet"),
        (wb.Actor, "another subclass of wb.Strategy"),
    ],
)
def test_a_class_that_cannot_take_over_changes_nothing(kind: Any, said: str) -> None:
    async def scenario(node: wb.TradingNode, strategy: Any, feed: f.Feed) -> None:
        with pytest.raises(ConfigError, match=said):
            node.swap_strategy(strategy, kind)
        assert type(strategy) is Signals
        assert strategy.parameters == {"limit": 20_000.0}
        assert not node.core.log.records([RecordKind.SWAP])
        node.call(feed.client.quote, 30_000.0)
        await until(lambda: len(node.fills()) == 2)
        assert strategy.events == ["old fill"] * 2

    running(scenario, limit=20_000.0)


def test_a_failure_half_way_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(node: wb.TradingNode, strategy: Any, feed: f.Feed) -> None:
        class Stubborn(Signals):
            limit: float = 7.0

            def refresh_callbacks(self) -> None:
                raise RuntimeError("not now")

        with pytest.raises(RuntimeError, match="not now"):
            node.swap_strategy(strategy, Stubborn)
        assert type(strategy) is Signals
        assert (strategy.limit, strategy.parameters["limit"]) == (1000.0, 1000.0)
        assert not node.core.log.records([RecordKind.SWAP])

    running(scenario)


def test_a_live_node_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        strategy = Signals()
        # Its client does not say that it is simulated, so it needs a journal.
        settings = {"journal": tmp_path / "journal.sqlite", "data_folder": tmp_path}
        node = f.make_node(strategy, market=f.Market(is_simulated=False), **settings)
        assert node.is_live
        with pytest.raises(LifecycleError, match="Signals trades live: its code cannot be"):
            node.swap_strategy(strategy, Lower)
        node.build()
        with pytest.raises(LifecycleError, match="Signals-001 trades live: its code cannot be"):
            node.swap_strategy(strategy, Lower)
        assert type(strategy) is Signals
        node.dispose()

    f.run(main())


def test_whether_a_node_is_live_is_what_its_execution_clients_say(tmp_path: Path) -> None:
    simulated = f.make_node(market=f.simulated())
    assert not simulated.is_live
    simulated.build()
    assert not simulated.is_live
    both = f.make_node(market=f.simulated(f.PAIR), journal=tmp_path / "journal.sqlite")
    both.add_exec_client_factory(f.Market(venue="REAL", is_simulated=False))
    assert both.is_live
    both.build()
    assert both.is_live
    without = wb.TradingNode()
    assert not without.is_live
    for node in (simulated, both, without):
        node.dispose()


def test_before_it_is_built_and_after_it_stopped_it_is_allowed_disposed_it_is_not() -> None:
    async def main() -> None:
        strategy = Signals()
        node = f.make_node(strategy, market=f.simulated())
        report = node.swap_strategy("Signals", Lower)
        assert (report.strategy_id, report.ts_ns) == ("", 0)
        assert str(report).startswith("Lower goes on with code")
        node.build()
        node.swap_strategy("Lower-001", Signals)
        node.run()
        await until_running(node)
        await node.stop_async()
        node.swap_strategy(strategy, Lower)
        assert len(node.core.log.records([RecordKind.SWAP])) == 2
        node.dispose()
        with pytest.raises(LifecycleError, match="a DISPOSED node's strategies"):
            node.swap_strategy(strategy, Signals)

    f.run(main())


def test_a_strategy_that_is_not_there_is_answered_with_those_that_are() -> None:
    node = f.make_node(Signals(), Signals(), market=f.simulated())
    node.build()
    there = "its strategies: Signals-001, Signals-002"
    with pytest.raises(ConfigError, match=f"the node has no strategy 'Nobody'; {there}"):
        node.swap_strategy("Nobody", Lower)
    with pytest.raises(ConfigError, match="several strategies 'Signals'; say which: Signals-001"):
        node.swap_strategy("Signals", Lower)
    with pytest.raises(ConfigError, match=r"no strategy Signals\("):
        node.swap_strategy(Signals(), Lower)
    node.dispose()


def test_one_that_became_part_of_another_node_is_left_alone() -> None:
    strategy = Signals()
    first, second = (f.make_node(strategy, market=f.simulated()) for _ in range(2))
    first.build()
    second.build()
    with pytest.raises(LifecycleError, match="part of another node"):
        first.swap_strategy(strategy, Lower)
    second.swap_strategy(strategy, Lower)
    second.dispose()
    first.dispose()


def test_a_callback_of_the_node_cannot_do_it() -> None:
    refused: list[str] = []

    class Itself(f.Watcher):
        node: Any = None

        def on_quote(self, quote: wb.Quote) -> None:
            try:
                Itself.node.swap_strategy(self, Lower)
            except LifecycleError as error:
                refused.append(str(error))

    async def main() -> None:
        feed = f.Feed()
        node = f.make_node(Itself(), feed=feed, market=f.simulated())
        Itself.node = node
        node.build()
        node.run()
        await until_running(node)
        node.call(feed.client.quote)
        await until(lambda: refused)
        await node.stop_async()
        node.dispose()

    f.run(main())
    assert "one of the node's own callbacks cannot exchange code" in refused[0]


def test_where_the_loop_does_not_answer_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr("workbench.node.node._ANSWER_S", 0.05)

    async def scenario(node: wb.TradingNode, strategy: Any, feed: f.Feed) -> None:
        go_on, is_held = threading.Event(), threading.Event()

        def hold() -> None:
            is_held.set()
            go_on.wait(f.GUARD_S)

        loop = node._session.loop  # pyright: ignore
        loop.call_soon_threadsafe(hold)
        is_held.wait(f.GUARD_S)
        with pytest.raises(ThreadError, match="did not answer"):
            node.swap_strategy(strategy, Lower)
        go_on.set()
        assert type(strategy) is Signals
        await until(lambda: node.call(lambda: True))
        assert type(strategy) is Signals

    running(scenario, thread=True)


def test_what_was_exchanged_is_a_frame_and_among_the_lines_of_the_log() -> None:
    columns = ["time", "strategy_id", "class_name", "old", "new", "parameters"]

    async def scenario(node: wb.TradingNode, strategy: Any, feed: f.Feed) -> None:
        assert node.swaps().empty
        report = node.swap_strategy(strategy, Lower)
        swaps = node.swaps()
        assert list(swaps.columns) == columns
        assert swaps.iloc[0, 1:].tolist() == [
            *("Signals-001", "Lower", report.old, report.new, "limit=50.0, which was 1000.0"),
        ]
        assert swaps["time"].iloc[0].value == report.ts_ns
        lines = node.log()
        assert lines[["level", "text"]].to_numpy().tolist() == [["INFO", str(report)]]
        with pytest.raises(ConfigError, match="1 or more; got 0"):
            node.log(0)

    running(scenario)
    fresh = f.make_node()
    assert list(fresh.swaps().columns) == columns
    assert list(fresh.log().columns) == ["time", "level", "text"]
    fresh.dispose()


@pytest.mark.parametrize("state", ["CREATED", "BUILT", "RUNNING", "STOPPED", "DISPOSED"])
def test_a_reset_gives_an_equal_node_in_every_state(state: str) -> None:
    async def main() -> None:
        strategy = Signals(limit=3.0)
        node = f.make_node(strategy, market=f.simulated(), trader_id="T-9")
        if state in ("BUILT", "RUNNING", "STOPPED", "DISPOSED"):
            node.build()
        if state in ("RUNNING", "STOPPED", "DISPOSED"):
            node.run()
            await until_running(node)
        if state in ("STOPPED", "DISPOSED"):
            await node.stop_async()
        if state == "DISPOSED":
            node.dispose()
        assert node.state == state
        made = await node.reset_async()
        assert (node.state, made.state) == ("DISPOSED", "CREATED")
        assert made is not node
        assert made.config == node.config
        assert made.strategies == [strategy]
        made.build()
        assert [type(c) for c in made.core.data.clients] == [f.FeedClient]
        assert len(made.core.execution.clients) == 1
        made.run(thread=True)
        await until_running(made)
        again = made.reset()
        assert (made.state, again.state) == ("DISPOSED", "CREATED")
        again.dispose()

    f.run(main())

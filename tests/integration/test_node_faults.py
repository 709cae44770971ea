"""An exception reaches the user once, with its strategy and event, and nothing is left open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import workbench as wb
from tests.node_fakes import Feed, Market, Trader, Watcher, make_node, run
from tests.waiting import until, until_running


async def told_of_the_fault(node: wb.TradingNode) -> None:
    """Wait until a node has stopped by itself, then ask it how it went."""
    await until(lambda: node.state == "STOPPED")
    await node.stop_async()


class Broken(Trader):
    """Raises in one callback."""

    where: str = "on_quote"

    def _maybe(self, where: str) -> None:
        if where == self.where:
            raise ZeroDivisionError(f"in {where}")

    def on_start(self) -> None:
        super().on_start()
        self._maybe("on_start")
        self.clock.set_timer("beat", 1_000_000, lambda event: self._maybe("timer"))

    def on_quote(self, quote: wb.Quote) -> None:
        super().on_quote(quote)
        self._maybe("on_quote")

    def on_order_filled(self, event: Any) -> None:
        self._maybe("on_order_filled")

    def on_position_opened(self, event: Any) -> None:
        self._maybe("on_position_opened")

    def on_stop(self) -> None:
        super().on_stop()
        self._maybe("on_stop")

    def on_fault(self) -> None:
        self.seen.append("on_fault")


@pytest.mark.parametrize(
    ("where", "event"),
    [
        ("on_start", type(None)),
        ("on_quote", wb.Quote),
        ("on_order_filled", "OrderFilled"),
        ("on_position_opened", "PositionOpened"),
        ("timer", "TimeEvent"),
        ("on_stop", type(None)),
    ],
)
def test_an_exception_stops_the_node_and_is_raised_once(where: str, event: Any) -> None:
    async def main() -> None:
        log: list[str] = []
        broken, other = Broken(where=where), Watcher()
        feed = Feed(log=log)
        node = make_node(broken, other, feed=feed, log=log)
        node.build()
        node.run()
        if where == "on_stop":
            await until_running(node)
            node.request_stop()
        elif where != "on_start":
            await until_running(node)
            feed.client.quote()
        await until(lambda: node.state == "STOPPED")
        fault = node.fault
        assert isinstance(fault, wb.StrategyError)
        assert fault.strategy_id == "Broken-001"
        assert isinstance(fault.__cause__, ZeroDivisionError)
        assert (
            f"ZeroDivisionError: in {where}"
            in f"{type(fault.__cause__).__name__}: {fault.__cause__}"
        )
        found = type(fault.event)
        assert event in (found, found.__name__)
        assert broken.seen[-1] == "on_fault"
        assert broken.state == "FAULTED"
        if where != "on_start":  # those after it are not started
            assert other.seen == ["on_start", "on_stop"]
        assert log[-1] == "SIM-EXEC disconnected"
        assert "FEED disconnected" in log
        assert "fault: Broken-001 raised" in repr(node)
        with pytest.raises(wb.StrategyError) as raised:
            await node.stop_async()
        assert raised.value is fault
        await node.stop_async()
        node.dispose()

    run(main())


def test_a_fault_nobody_asks_for_is_logged_and_never_reported_as_unretrieved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        feed = Feed()
        node = make_node(Broken(where="on_quote"), feed=feed)
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote()
        await until(lambda: node.state == "STOPPED")
        node.dispose()

    run(main())  # which fails when the loop hears of an exception nobody took
    assert "Broken-001 raised ZeroDivisionError in on_quote" in caplog.text


def test_the_first_of_several_faults_is_the_one_and_the_others_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Worse(Broken):
        def on_fault(self) -> None:
            raise KeyError("in on_fault too")

    async def main() -> None:
        feed = Feed()
        node = make_node(Worse(where="on_quote"), Broken(where="on_stop"), feed=feed)
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote()
        with pytest.raises(
            wb.StrategyError, match="Worse-001 raised ZeroDivisionError in on_quote"
        ):
            await told_of_the_fault(node)
        node.dispose()

    run(main())
    assert "KeyError in on_fault" in caplog.text
    assert "Broken-002 raised ZeroDivisionError in on_stop" in caplog.text


def test_a_client_that_raises_on_a_command_stops_the_node_and_the_rest_is_disconnected() -> None:
    async def main() -> None:
        log: list[str] = []
        strategy, feed = Trader(), Feed(log=log)
        node = make_node(strategy, feed=feed, market=Market(answers="raise", log=log))
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote()
        with pytest.raises(ConnectionError, match="the line is dead"):
            await told_of_the_fault(node)
        assert strategy.seen[-1] == "on_stop"
        assert log[-1] == "SIM-EXEC disconnected"
        node.dispose()

    run(main())


def test_a_client_that_raises_while_the_strategies_stop_does_not_keep_others_open() -> None:
    class Leaver(Trader):
        def on_stop(self) -> None:
            super().on_stop()
            self.buy()

    async def main() -> None:
        log: list[str] = []
        feed, market = Feed(log=log), Market(log=log)
        first, second = Leaver(), Leaver()
        node = make_node(first, second, feed=feed, market=market)
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote()
        await until(lambda: second.seen[-1] == "OrderFilled")
        market.answers = "raise"
        with pytest.raises(ConnectionError):
            await node.stop_async()
        assert "on_stop" in first.seen
        assert "on_stop" in second.seen
        assert sum("submits" in line for line in log) == 4
        assert log[-1] == "SIM-EXEC disconnected"
        node.dispose()

    run(main())


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_a_callback_that_ends_the_process_still_stops_the_node(kind: type[BaseException]) -> None:
    class Ender(Watcher):
        def on_quote(self, quote: wb.Quote) -> None:
            raise kind("enough")

    async def one() -> None:
        await asyncio.sleep(0.01)
        feed.client.quote()

    log: list[str] = []
    strategy, feed = Ender(), Feed(stream=one, log=log)
    node = make_node(strategy, feed=feed, log=log)
    node.build()
    with pytest.raises(kind):
        node.run()
    assert node.state == "STOPPED"
    assert strategy.seen == ["on_start", "on_stop"]
    assert log[-1] == "SIM-EXEC disconnected"
    node.stop()  # it was told
    node.dispose()


def test_a_callback_that_raises_a_cancellation_is_a_fault_not_a_silent_stop() -> None:
    class Canceller(Watcher):
        def on_quote(self, quote: wb.Quote) -> None:
            raise asyncio.CancelledError

    async def main() -> None:
        feed = Feed()
        node = make_node(Canceller(), feed=feed)
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote()
        with pytest.raises(wb.WorkbenchError, match="a callback broke off"):
            await told_of_the_fault(node)
        node.dispose()

    run(main())


def test_a_stream_and_a_strategy_that_fail_together_are_both_known() -> None:
    async def main() -> None:
        async def quote_and_fail() -> None:
            feed.client.quote()
            await asyncio.sleep(0)
            raise OSError("cut")

        feed = Feed(stream=quote_and_fail)
        node = make_node(Broken(where="on_quote"), feed=feed)
        node.build()
        node.run()
        await until(lambda: node.state == "STOPPED")
        with pytest.raises(wb.WorkbenchError):
            await node.stop_async()
        session = node._session  # pyright: ignore
        assert session is not None
        kinds = {type(fault) for fault in session.faults}
        assert kinds == {wb.StrategyError, wb.ClientError}
        assert len(session.faults) == 2
        node.dispose()

    run(main())


def test_an_event_that_cannot_be_applied_is_warned_of_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        strategy, feed, market = Trader(), Feed(), Market(answers="hold")
        node = make_node(strategy, feed=feed, market=market)
        assert node.refused_events == []
        node.build()
        node.run()
        await until_running(node)
        feed.client.quote()
        await until(lambda: market.held)
        market.client.fill(market.held[0])
        await until(lambda: len(node.fills()) == 1)
        assert "refused" not in repr(node)
        market.client.fill(market.held[0])  # an acceptance and a fill of what is filled already
        await until(lambda: len(node.refused_events) == 2)
        assert "; refused events: 2" in repr(node)
        assert "2; the last: " in node._repr_html_()
        assert node.state == "RUNNING"
        assert node.positions()["quantity"].tolist() == [1]
        await node.stop_async()
        node.dispose()

    run(main())
    warned = [r for r in caplog.records if "cannot be applied" in r.message]
    assert [r.levelname for r in warned] == ["WARNING", "WARNING"]
    assert "OrderFilled for order" in warned[1].message

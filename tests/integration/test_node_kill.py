"""KILL: halted at once, the cancels before anything else, and what hangs is broken off."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest

import workbench as wb
from tests.node_fakes import PAIR, Feed, Market, MarketClient, make_node, run, simulated
from tests.waiting import GUARD_S, until, until_blocking, until_running
from workbench.engines.risk.switch import TradingSwitch
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.errors import BrokenOffError, LifecycleError, StrategyError, ThreadError
from workbench.model.events import OrderDenied
from workbench.model.identifiers import VenueOrderId
from workbench.model.risk_events import TradingStateChanged
from workbench.node.snapshots import KillReport
from workbench.runtime.channels import ChannelName

# What breaks a callback off may strike the measuring of coverage, too, which then waits for a lock
# that nobody gives back.
pytestmark = pytest.mark.unmeasured


class Resting(wb.Strategy):
    """Rests three orders on its first quote; on the second one it does what a test says."""

    def on_start(self) -> None:
        self.seen: list[str] = []
        self.quotes = 0
        self.then: Callable[[], object] = _nothing
        self.subscribe_quotes(PAIR.id)

    def on_quote(self, _: wb.Quote) -> None:
        self.quotes += 1
        if self.quotes == 1:
            self.rest(3)
        elif self.quotes == 2:
            self.then()

    def rest(self, count: int, **terms: Any) -> None:
        for _ in range(count):
            self.submit_order(self.orders.limit(PAIR.id, "buy", 1, 50.0, **terms))

    def on_order_event(self, event: Any) -> None:
        self.seen.append(type(event).__name__)

    def on_time_event(self, _: Any) -> None:
        self.seen.append("time event")


def _nothing() -> None:
    return None


def report_of(node: wb.TradingNode) -> KillReport:
    report = node.kill_report
    assert report is not None
    return report


def on_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def statuses(node: wb.TradingNode) -> list[str]:
    return node.orders()["status"].tolist()


async def resting(strategy: Resting, feed: Feed, **parts: Any) -> wb.TradingNode:
    """Return a running node whose strategy has three resting orders."""
    thread = parts.pop("thread", False)
    # No stall is long enough to make a price stale.
    node = make_node(strategy, feed=feed, market=simulated(), stall_threshold_s=3600.0, **parts)
    node.build()
    node.run(thread=thread)
    await until_running(node)
    feed.client.quote()
    await until(lambda: strategy.seen.count("OrderAccepted") == 3)
    return node


async def ended(node: wb.TradingNode) -> None:
    await node.stop_async()
    node.dispose()


def test_a_kill_cancels_everything_and_the_way_back_is_to_set_the_state() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        assert node.kill_report is None
        report = node.kill()
        # On the node's own thread nothing has to be waited for.
        assert (report.halted, report.queued, report.sent) == (True, 0, 3)
        assert report.text == "HALTED; 3 cancels sent"
        assert node.trading_state == "halted"
        await until(lambda: report_of(node).is_settled)
        assert statuses(node) == ["canceled"] * 3
        assert report_of(node).text == "HALTED; 3 cancels sent"
        strategy.rest(1)
        await until(lambda: "OrderDenied" in strategy.seen)
        node.set_trading_state("active")
        assert not report_of(node).halted
        strategy.rest(1)
        await until(lambda: strategy.seen.count("OrderAccepted") == 4)
        await asyncio.sleep(0.1)
        assert statuses(node)[-1] == "accepted"  # no kill's sweep is left that takes it
        assert node.snapshot().kill == node.kill_report
        changes = [r.message for r in node.core.log if type(r.message) is TradingStateChanged]
        assert [(one.state.value, one.reason) for one in changes] == [
            ("halted", "KILL"),
            ("active", ""),
        ]
        await ended(node)

    run(main())


def test_it_does_not_flatten() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        strategy.submit_order(strategy.orders.market(PAIR.id, "buy", 1))
        await until(lambda: "OrderFilled" in strategy.seen)
        node.kill()
        await until(lambda: report_of(node).is_settled)
        assert node.positions()["quantity"].tolist() == [Decimal(1)]
        assert report_of(node).left == ()
        await ended(node)

    run(main())


def test_during_a_busy_cell_it_is_halted_with_the_cancels_queued_and_they_come_first() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        order: list[str] = []

        def tap(_: int, channel: ChannelName, message: Any) -> None:
            order.append(f"{channel.value} {type(message).__name__}")

        node.core.dispatcher.taps.append(tap)
        reports: list[KillReport] = []
        states: list[str] = []

        def kill() -> None:
            reports.append(node.kill())
            states.append(node.trading_state)

        # A cell: the loop does not turn, and everything queues up meanwhile.
        strategy.clock.set_alert("late", node.core.clock.timestamp_ns())
        feed.client.quote()
        node.core.senders.exec_event.send(node.core.cache.accounts()[0])
        strategy.rest(1)
        killer = on_thread(kill)
        killer.join()
        order.append("the cell ends")
        assert states == ["halted"]
        assert reports[0].text == "HALTED; 4 cancels queued"
        assert report_of(node).sent == 0
        await until(lambda: report_of(node).is_settled)
        assert order[:4] == ["the cell ends", *["trading_commands CancelOrder"] * 3]
        assert order.index("time_events TimeEvent") > 3
        # What had passed risk and not left never does.
        assert "trading_commands SubmitOrder" not in order
        assert (report_of(node).sent, report_of(node).withdrawn) == (3, 1)
        assert statuses(node) == ["canceled"] * 3 + ["denied"]
        assert "time event" in strategy.seen
        assert node.fault is None
        await ended(node)

    run(main())


def test_a_node_on_its_own_thread_sends_them_while_a_cell_is_busy() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed, thread=True)
        node.kill()
        until_blocking(lambda: report_of(node).is_settled)  # this loop does not turn meanwhile
        assert report_of(node).sent == 3
        assert [order.status for order in node.core.cache.orders()] == ["canceled"] * 3
        assert node.trading_state == "halted"
        await ended(node)

    run(main())


@pytest.mark.parametrize("thread", [False, True])
def test_a_callback_that_hangs_is_broken_off_and_the_cancels_go_out(thread: bool) -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed, thread=thread)
        strategy.then = _spin
        first: list[KillReport] = []
        states: list[str] = []

        def kill() -> None:
            until_blocking(lambda: strategy.quotes >= 2)
            first.append(node.kill())
            states.append(node.trading_state)

        killer = on_thread(kill)
        feed.client.quote()
        await until(lambda: node.state == "STOPPED", what="stopped on the fault")
        killer.join()
        assert (first[0].halted, first[0].queued, states) == (True, 3, ["halted"])
        report = report_of(node)
        assert (report.sent, report.queued, report.left) == (3, 0, ())
        assert report.broke_off == "Resting-001.on_quote"
        assert report.is_settled
        assert statuses(node) == ["canceled"] * 3
        fault = node.fault
        assert isinstance(fault, StrategyError)
        assert isinstance(fault.__cause__, BrokenOffError)
        shown = node.snapshot().exceptions[0]
        assert "_spin" in shown
        assert "KILL broke it off" in shown
        assert "Resting-001 raised BrokenOffError in on_quote" in shown
        with pytest.raises(StrategyError):
            await node.stop_async()
        node.dispose()

    run(main())


def _spin() -> None:
    while True:
        pass


def _retry_for_ever() -> None:
    while True:
        try:
            time.monotonic()
        except Exception:
            continue


def test_a_loop_that_goes_on_after_every_exception_is_broken_off_too() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        strategy.then = _retry_for_ever
        killer = on_thread(lambda: (until_blocking(lambda: strategy.quotes >= 2), node.kill()))
        feed.client.quote()
        await until(lambda: node.state == "STOPPED")
        killer.join()
        assert report_of(node).sent == 3
        assert isinstance(node.fault, StrategyError)
        with pytest.raises(StrategyError):
            await node.stop_async()
        node.dispose()

    run(main())


def test_a_hang_in_c_code_is_told_as_not_cancelled_until_it_returns() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        released = threading.Lock()
        released.acquire()
        strategy.then = released.acquire
        told: list[KillReport] = []

        def kill() -> None:
            until_blocking(lambda: strategy.quotes >= 2)
            node.kill()
            until_blocking(lambda: report_of(node).not_cancelled)
            told.append(report_of(node))
            released.release()

        killer = on_thread(kill)
        feed.client.quote()
        await until(lambda: node.state == "STOPPED")
        killer.join()
        assert told[0].halted
        assert (told[0].queued, told[0].sent) == (3, 0)
        assert "does not return and is not broken off" in told[0].not_cancelled
        assert "Resting.on_quote (line " in told[0].text
        assert report_of(node).sent == 3
        assert report_of(node).not_cancelled == ""
        assert statuses(node) == ["canceled"] * 3
        with pytest.raises(StrategyError):
            await node.stop_async()
        node.dispose()

    run(main())


def test_a_strategy_that_hangs_as_it_starts_is_broken_off() -> None:
    class Hanging(wb.Strategy):
        def on_start(self) -> None:
            begun.set()
            _spin()

    begun = threading.Event()

    async def main() -> None:
        node = make_node(Hanging(), feed=Feed(), market=simulated())
        node.build()
        killer = on_thread(lambda: (begun.wait(GUARD_S), node.kill()))
        node.run()
        await until(lambda: node.state == "STOPPED")
        killer.join()
        assert report_of(node).broke_off == "Hanging-001.on_start"
        with pytest.raises(StrategyError, match="BrokenOffError in on_start"):
            await node.stop_async()
        node.dispose()

    run(main())


def test_a_callback_that_hangs_before_its_strategy_starts_is_broken_off() -> None:
    class Early(wb.Strategy):
        def on_order_event(self, _: Any) -> None:
            begun.set()
            _spin()

    begun = threading.Event()

    async def main() -> None:
        strategy = Early()
        node = make_node(strategy, feed=Feed(), market=Market())
        node.build()
        # As what a venue tells while the node connects, of an order that it knows already.
        strategy.submit_order(strategy.orders.limit(PAIR.id, "buy", 1, 50.0))
        killer = on_thread(lambda: (begun.wait(GUARD_S), node.kill()))
        node.run()
        await until(lambda: node.state == "STOPPED")
        killer.join()
        assert report_of(node).broke_off == "Early-001.on_order_event"
        with pytest.raises(StrategyError):
            await node.stop_async()
        node.dispose()

    run(main())


def test_a_callback_that_returns_as_it_is_broken_off_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, repetitions: Callable[[int], int]
) -> None:
    hang_s = 0.02
    monkeypatch.setattr("workbench.node.kill.HANG_S", hang_s)
    random = Random(5)
    broken: list[bool] = []

    async def once() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        spin_s = hang_s + random.uniform(0.0, 0.02)
        spun = threading.Event()

        def spin() -> None:
            while node.kill_report is None:
                pass
            end = time.monotonic() + spin_s
            while time.monotonic() < end:
                pass
            spun.set()

        strategy.then = spin
        killer = on_thread(lambda: (until_blocking(lambda: strategy.quotes >= 2), node.kill()))
        for _ in range(3):
            feed.client.quote()
        await until(lambda: spun.is_set() or node.fault is not None)
        await until(lambda: node.kill_report is not None and report_of(node).is_settled)
        killer.join()
        assert report_of(node).sent == 3
        assert statuses(node) == ["canceled"] * 3
        broken.append(node.fault is not None)
        if node.fault is None:
            await until(lambda: strategy.quotes == 4)
            await ended(node)
        else:
            assert isinstance(node.fault, StrategyError)
            assert isinstance(node.fault.__cause__, BrokenOffError)
            with pytest.raises(StrategyError):
                await node.stop_async()
            node.dispose()

    for _ in range(repetitions(200)):
        run(once(), collects=False)
    assert len(set(broken)) == 2, broken


class HangingVenue(Market):
    """A venue whose client does not return from a submit."""

    def __call__(self, context: Any) -> Any:
        self.client = HangingClient(self, context)
        return self.client


class HangingClient(MarketClient):
    """Spins while it submits."""

    def submit_order(self, command: c.SubmitOrder) -> None:
        self.market.held.append(command)
        _spin()


def test_a_client_that_hangs_is_broken_off_and_the_node_stops_on_that() -> None:
    async def main() -> None:
        strategy, feed, venue = Resting(), Feed(), HangingVenue()
        node = make_node(strategy, feed=feed, market=venue)
        node.build()
        node.run()
        await until_running(node)
        killer = on_thread(lambda: (until_blocking(lambda: bool(venue.held)), node.kill()))
        feed.client.quote()
        await until(lambda: node.state == "STOPPED")
        killer.join()
        assert isinstance(node.fault, BrokenOffError)
        assert "_spin" in node.snapshot().exceptions[0]
        assert report_of(node).broke_off == "a client"
        with pytest.raises(BrokenOffError):
            await node.stop_async()
        node.dispose()

    run(main())


class UncancellableClient(MarketClient):
    """Spins while it cancels."""

    def cancel_order(self, command: c.CancelOrder) -> None:
        venue = self.market
        assert isinstance(venue, UncancellableVenue)
        venue.cancelled.append(command.client_order_id)
        _spin()


class UncancellableVenue(Market):
    """A venue whose client does not return from a cancel."""

    def __init__(self) -> None:
        super().__init__(answers="hold")
        self.cancelled: list[str] = []

    def __call__(self, context: Any) -> Any:
        self.client = UncancellableClient(self, context)
        return self.client


@pytest.mark.parametrize("in_a_cell", [True, False])
def test_a_client_that_hangs_in_a_cancel_is_broken_off_and_the_others_get_theirs(
    in_a_cell: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("workbench.node.kill.HANG_S", 0.3)
    monkeypatch.setattr("workbench.node.kill.SETTLE_S", 0.3)

    async def main() -> None:
        strategy, venue = Resting(), UncancellableVenue()
        node = await in_flight(strategy, venue)
        if in_a_cell:
            node.kill()
        else:
            on_thread(node.kill).join()
        await until(lambda: report_of(node).is_settled)
        assert len(set(venue.cancelled)) == 3
        assert "BrokenOffError: KILL broke it off" in report_of(node).not_cancelled
        assert len(report_of(node).left) == 3
        assert node.state == "RUNNING"
        await ended(node)

    run(main())
    assert "the cancel of order" in caplog.text


def test_many_cancels_that_take_long_together_are_not_broken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workbench.node.kill.HANG_S", 0.5)

    async def main() -> None:
        strategy, venue = Resting(), SlowVenue("cancel")
        node = await in_flight(strategy, venue)
        strategy.rest(37)
        await until(lambda: len(venue.held) == 40)
        venue.takes_s = 0.02
        node.kill()
        await until(lambda: report_of(node).is_settled)
        assert statuses(node) == ["canceled"] * 40
        assert report_of(node).text == "HALTED; 40 cancels sent"
        await ended(node)

    run(main())


def test_a_callback_that_hangs_after_the_cancels_were_sent_is_broken_off_too() -> None:
    class Sulking(Resting):
        def on_order_canceled(self, _: Any) -> None:
            _spin()

    async def main() -> None:
        strategy, feed = Sulking(), Feed()
        node = await resting(strategy, feed)
        assert node.kill().sent == 3
        await until(lambda: node.state == "STOPPED")
        assert report_of(node).broke_off == "Sulking-001.on_order_canceled"
        assert report_of(node).is_settled
        assert statuses(node) == ["canceled"] * 3
        with pytest.raises(StrategyError):
            await node.stop_async()
        node.dispose()

    run(main())


def test_a_cell_that_shares_the_thread_is_never_broken_off() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        killer = on_thread(node.kill)
        # Much longer than a callback would be given: an exception would come out here.
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            pass
        killer.join()
        assert report_of(node).text == "HALTED; 3 cancels queued"
        await until(lambda: report_of(node).is_settled)
        assert report_of(node).broke_off == ""
        assert node.fault is None
        assert node.state == "RUNNING"
        await ended(node)

    run(main())


def test_a_callback_that_returns_in_time_is_left_alone() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        gate = threading.Event()
        strategy.then = lambda: gate.wait(GUARD_S)

        def kill() -> None:
            until_blocking(lambda: strategy.quotes >= 2)
            node.kill()
            gate.set()

        killer = on_thread(kill)
        feed.client.quote()
        feed.client.quote()
        await until(lambda: report_of(node).is_settled if node.kill_report else False)
        killer.join()
        assert report_of(node).sent == 3
        assert node.fault is None
        await until(lambda: strategy.quotes == 3)
        await ended(node)

    run(main())


class Insisting(Resting):
    """Answers each denial with another order, without end."""

    def __init__(self) -> None:
        self.insists = self.begins = False

    def on_start(self) -> None:
        super().on_start()
        if self.begins:
            self.insist()

    def insist(self) -> None:
        self.insists = True
        self.core.risk.halt()
        self.rest(1)

    def on_order_denied(self, _: wb.OrderDenied) -> None:
        if self.insists:
            self.rest(1)


@pytest.mark.parametrize("where", ["what a quote caused", "the start", "the run"])
def test_a_strategy_that_answers_each_denial_with_an_order_keeps_no_cancel_and_no_stop_back(
    where: str,
) -> None:
    async def main() -> None:
        strategy, feed = Insisting(), Feed()
        node = make_node(
            strategy,
            feed=feed,
            market=simulated(),
            stall_threshold_s=3600.0,
            timeout_disconnection_s=0.5,
        )
        node.build()
        strategy.begins = where == "the start"

        def kill() -> None:
            until_blocking(lambda: getattr(strategy, "seen", []).count("OrderDenied") > 50)
            node.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        node.run()
        if where != "the start":
            await until_running(node)
            feed.client.quote()
            await until(lambda: strategy.seen.count("OrderAccepted") == 3)
        if where == "the run":
            strategy.insist()
        elif where == "what a quote caused":
            # As what a simulated exchange causes, which sees a quote first.
            node.core.dispatcher.before_data.append(lambda _: strategy.insist())
            feed.client.quote()
        await until(lambda: node.kill_report is not None and report_of(node).is_settled)
        killer.join()
        assert report_of(node).left == ()
        assert statuses(node).count("canceled") == (0 if where == "the start" else 3)
        assert node.fault is None
        await ended(node)

    run(main())


def test_a_callback_may_kill_its_own_node() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        reports: list[KillReport] = []

        def kill() -> None:
            strategy.rest(1)
            reports.append(node.kill())

        strategy.then = kill
        feed.client.quote()
        await until(lambda: reports and report_of(node).is_settled)
        # Nothing is entered while a callback runs: not the client either.
        assert (reports[0].queued, reports[0].sent) == (4, 0)
        assert (report_of(node).sent, report_of(node).withdrawn) == (3, 1)
        assert node.fault is None
        await ended(node)

    run(main())


def test_two_kills_are_one_and_the_second_has_nothing_left_to_do() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        for killer in [on_thread(node.kill) for _ in range(5)]:
            killer.join()
        assert report_of(node).queued == 3
        await until(lambda: report_of(node).is_settled)
        assert strategy.seen.count("OrderCanceled") == 3
        assert node.kill().text == "HALTED; 0 cancels sent"
        assert report_of(node).is_settled
        await ended(node)

    run(main())


def test_what_is_held_here_and_what_waits_for_the_rate_never_leaves() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        limits = wb.RiskLimits(orders=5, orders_interval_ns=3600 * 10**9, on_excess="buffer")
        node = await resting(strategy, feed, limits=limits)
        strategy.submit_order(
            strategy.orders.stop_market(
                PAIR.id, "buy", 1, trigger_price=200.0, emulation_trigger="bid_ask"
            )
        )
        strategy.rest(4)  # two leave, two wait
        await until(lambda: strategy.seen.count("OrderAccepted") == 5)
        await until(lambda: "OrderEmulated" in strategy.seen)
        assert node.core.risk.waiting == 2
        node.kill()
        await until(lambda: report_of(node).is_settled)
        assert (report_of(node).sent, report_of(node).withdrawn) == (6, 2)
        assert sorted(statuses(node)) == ["canceled"] * 6 + ["denied"] * 2
        assert node.core.risk.waiting == 0
        assert not node.core.emulator.held
        denied = [r.message for r in node.core.log if type(r.message) is OrderDenied]
        assert all("KILL came" in one.reason for one in denied)
        await ended(node)

    run(main())


class SlowVenue(Market):
    """A venue that has not answered to orders yet, and cancels as a test says."""

    def __init__(self, cancels: str = "reject first") -> None:
        super().__init__(answers="hold")
        self.cancels = cancels
        self.takes_s = 0.0
        self.cancelled: list[str] = []

    def __call__(self, context: Any) -> Any:
        self.client = SlowClient(self, context)
        return self.client


def _compute(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


class SlowClient(MarketClient):
    """Rejects the first cancel of each order, as a venue does that does not know it yet."""

    def cancel_order(self, command: c.CancelOrder) -> None:
        venue = self.market
        assert isinstance(venue, SlowVenue)
        venue.cancelled.append(command.client_order_id)
        _compute(venue.takes_s)
        if venue.cancels == "raise":
            raise ConnectionError("the line is dead")
        if venue.cancels == "reject first" and venue.cancelled.count(command.client_order_id) == 1:
            self._about(e.OrderCancelRejected, command, code="", reason="unknown order")
            self._about(
                e.OrderAccepted,
                command,
                account_id=self.account_id,
                venue_order_id=VenueOrderId(f"V-{len(venue.cancelled)}"),
            )
        elif venue.cancels != "ignore":
            self._about(e.OrderCanceled, command, account_id=self.account_id)

    def _about(self, kind: Any, command: c.CancelOrder, **more: Any) -> None:
        self.send(kind(**more, **e.about(command, self.clock.timestamp_ns())))


async def in_flight(strategy: Resting, venue: SlowVenue | UncancellableVenue) -> wb.TradingNode:
    """Return a running node whose strategy has three orders on their way."""
    feed = Feed()
    node = make_node(strategy, feed=feed, market=venue)
    node.build()
    node.run()
    await until_running(node)
    feed.client.quote()
    await until(lambda: len(venue.held) == 3)
    return node


def test_orders_in_flight_are_cancelled_until_the_venue_knows_them() -> None:
    async def main() -> None:
        strategy, venue = Resting(), SlowVenue()
        node = await in_flight(strategy, venue)
        assert node.kill().sent == 3
        await until(lambda: report_of(node).is_settled)
        assert report_of(node).sent == 6
        assert statuses(node) == ["canceled"] * 3
        await ended(node)

    run(main())


def test_a_client_that_fails_keeps_no_other_cancel_back_and_is_told_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.node.kill.SETTLE_S", 0.6)

    async def main() -> None:
        strategy, venue = Resting(), SlowVenue("raise")
        node = await in_flight(strategy, venue)
        report = node.kill()
        assert len(set(venue.cancelled)) == 3
        assert report.not_cancelled.count("ConnectionError: the line is dead") == 3
        await until(lambda: report_of(node).is_settled)
        assert len(report_of(node).left) == 3
        assert "the line is dead" in report_of(node).not_cancelled
        assert node.trading_state == "halted"
        assert node.fault is None
        await ended(node)

    run(main())
    assert "the cancel of order" in caplog.text


def test_a_venue_that_does_not_answer_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.node.kill.SETTLE_S", 0.3)

    async def main() -> None:
        strategy, venue = Resting(), SlowVenue("ignore")
        node = await in_flight(strategy, venue)
        node.kill()
        await until(lambda: report_of(node).is_settled)
        report = report_of(node)
        assert report.not_cancelled == "the venue has not confirmed it"
        assert len(report.left) == 3
        assert report.text.endswith("3 left open")
        await ended(node)

    run(main())


def test_a_state_that_was_asked_for_before_a_kill_does_not_undo_it() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed)
        errors: list[BaseException] = []

        def resume() -> None:
            try:
                node.set_trading_state("active")
            except LifecycleError as error:
                errors.append(error)

        posted = on_thread(resume)
        # Posted, and not handled: this loop has not turned since.
        until_blocking(lambda: _is_posted(node))
        on_thread(node.kill).join()
        await until(lambda: not posted.is_alive())
        assert node.trading_state == "halted"
        assert "a KILL came after" in str(errors[0])
        await ended(node)

    run(main())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_the_middle_of_a_change_of_state_is_not_lost(
    when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        strategy, venue = Resting(), SlowVenue()
        node = await in_flight(strategy, venue)
        release = TradingSwitch.release

        def released(switch: TradingSwitch) -> None:
            on_thread(node.kill).join()
            release(switch)

        def told(_: object) -> None:
            node.core.bus.unsubscribe("events.risk", told)
            on_thread(node.kill).join()

        node.core.risk.set_trading_state(wb.TradingState.REDUCING)
        if when == "before":
            monkeypatch.setattr(TradingSwitch, "release", released)
        else:
            node.core.bus.subscribe("events.risk", told)
        with pytest.raises(LifecycleError, match="a KILL came after 'active' was asked for"):
            node.set_trading_state("active")
        monkeypatch.undo()
        assert node.trading_state == "halted"
        assert report_of(node).halted
        assert not report_of(node).is_settled
        await until(lambda: report_of(node).is_settled)
        # The second round, too: the first one was rejected.
        assert report_of(node).sent == 6
        assert statuses(node) == ["canceled"] * 3
        await ended(node)

    run(main())


def _is_posted(node: wb.TradingNode) -> bool:
    loop: Any = asyncio.get_running_loop()
    return any("reach" in repr(handle) for handle in loop._ready)


def test_in_other_states_it_says_what_it_can_do() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = make_node(strategy, feed=feed, market=simulated())
        with pytest.raises(LifecycleError, match=r"CREATED node .*call build"):
            node.kill()
        assert node.kill_report is None
        node.build()
        report = node.kill()
        assert (report.halted, report.is_settled, report.sent) == (True, True, 0)
        assert node.trading_state == "halted"
        node.run()
        await until_running(node)
        feed.client.quote()
        await until(lambda: strategy.seen.count("OrderDenied") == 3)
        await node.stop_async()
        report = node.kill()
        assert (report.text, report.is_settled) == ("HALTED; 0 cancels sent", True)
        node.dispose()
        assert node.kill().is_settled

    run(main())


def test_a_node_that_stopped_with_orders_left_open_says_that_they_are() -> None:
    async def main() -> None:
        strategy, venue = Resting(), SlowVenue("ignore")
        node = await in_flight(strategy, venue)
        await node.stop_async()
        report = node.kill()
        assert len(report.left) == 3
        assert "the node has stopped" in report.not_cancelled
        assert report.is_settled
        node.dispose()

    run(main())


def test_a_kill_while_the_node_stops_settles_with_it() -> None:
    async def main() -> None:
        strategy, venue = Resting(), SlowVenue("ignore")
        node = await in_flight(strategy, venue)
        node.kill()
        await node.stop_async()
        report = report_of(node)
        assert report.is_settled
        assert len(report.left) == 3
        node.dispose()

    run(main())


def test_risk_refuses_a_change_of_state_from_elsewhere_but_takes_a_halt() -> None:
    async def main() -> None:
        strategy, feed = Resting(), Feed()
        node = await resting(strategy, feed, thread=True)
        with pytest.raises(ThreadError):
            node.core.risk.set_trading_state(wb.TradingState.HALTED)
        node.core.risk.halt()
        assert node.trading_state == "halted"
        await ended(node)

    run(main())

"""KILL of a node that trades over real sockets, whatever the exchange or a callback does meanwhile.

The local exchange has a thread of its own: it goes on while the node's loop is held up.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ccxt", reason="ccxt is not installed; the extra `ccxt` brings it")
pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from workbench_ccxt import PLUGIN

import workbench as wb
from tests.ccxt_trial import LocalTrial
from tests.waiting import until, until_blocking
from workbench.model.errors import BrokenOffError, StrategyError
from workbench.node.snapshots import KillReport
from workbench.venues import (
    ExecutionSettings,
    InquirySettings,
    LinkSettings,
    VenueExecutionClient,
)
from workbench.venues.secrets import variable_of

ACCOUNT, PAIR = "TRIAL-001", "BTC/USDT.BINANCE"
LIMITS = wb.RiskLimits(max_order_quantity=10, max_position=100, max_loss_per_day="900_000 USDT")
SETTINGS = ExecutionSettings(
    request_timeout_s=2.0,
    fill_grace_s=0.2,
    inquiry=InquirySettings(first_wait_s=0.3, wait_s=0.5),
    link=LinkSettings(first_back_off_s=0.1, most_back_off_s=0.5),
)


class Desk(wb.Strategy):
    """Does what a test says with the next quote, and goes on trading when it is told to."""

    def on_start(self) -> None:
        self.seen: list[str] = []
        self.then: Callable[[], object] | None = None
        self.goes_on = self.insists = False
        self.subscribe_quotes(PAIR)

    def on_quote(self, _: wb.Quote) -> None:
        then, self.then = self.then, None
        if then is not None:
            then()
        if self.goes_on:
            self.rest(1)

    def rest(self, count: int) -> None:
        for _ in range(count):
            self.submit_order(self.orders.limit(PAIR, "buy", 1, 50.0))

    def on_order_event(self, event: Any) -> None:
        self.seen.append(type(event).__name__)

    def on_order_denied(self, _: wb.OrderDenied) -> None:
        if self.insists:
            self.rest(1)


class Live:
    """A live node over the local exchange, and what a test looks at."""

    def __init__(self, trial: LocalTrial, node: wb.TradingNode, desk: Desk) -> None:
        self.trial, self.node, self.desk = trial, node, desk
        self.exchange = trial.exchange
        self.heard: list[str] = []
        venue = trial.exchange.venue
        for name in ("place", "cancel"):
            setattr(venue, name, self._heard(name, getattr(venue, name)))

    def _heard(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            self.heard.append(name)
            return act(*arguments)

        return noted

    @property
    def report(self) -> KillReport:
        report = self.node.kill_report
        assert report is not None
        return report

    def open_there(self) -> int:
        """Return how many orders are open at the exchange."""
        return self.trial.act(lambda: len(self.exchange.venue.open.get("a", {})))

    def quote(self) -> None:
        """Move the market, so that there is a quote."""
        self.trial.act(lambda: self.trial._move(Decimal("99.99"), Decimal("100.01")))

    async def rests(self, count: int) -> None:
        """Rest so many orders."""
        before = self.desk.seen.count("OrderAccepted")
        self.desk.rest(count)
        await until(lambda: self.desk.seen.count("OrderAccepted") == before + count)

    async def settled(self) -> KillReport:
        """Wait until the report is settled; return it."""
        await until(lambda: self.node.kill_report is not None and self.report.is_settled)
        return self.report

    async def stop(self) -> None:
        """Stop the node in order."""
        await self.node.stop_async()
        self.node.dispose()


Play = Callable[[Callable[[Live], Awaitable[None]]], None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a test with a live node that is running."""
    trial = LocalTrial(is_threaded=True)

    async def play_on(work: Callable[[Live], Awaitable[None]]) -> None:
        key = trial.exchange.keys["a"]
        for name, value in (("api_key", key.api_key), ("api_secret", key.api_secret)):
            monkeypatch.setenv(variable_of(ACCOUNT, name), value)
        account = wb.VenueAccount(
            PLUGIN,
            ACCOUNT,
            instruments=[PAIR],
            settings=SETTINGS,
            exchange="binance",
            base_url=trial.exchange.addresses.rest,
        )
        (pair,) = await account.data().instruments(PAIR)
        config = wb.TradingNodeConfig(
            journal="default", data_folder=str(tmp_path), stall_threshold_s=3600.0
        )
        desk = Desk()
        node = wb.live(desk, venue=account, instrument=pair, limits=LIMITS, config=config)
        node.build()
        node.run()
        await until(lambda: node.phase == "running" or node.state == "STOPPED")
        assert node.fault is None
        live = Live(trial, node, desk)
        await until(lambda: node.core.cache.quote(PAIR) is not None or live.quote())
        await work(live)
        assert node.state == "DISPOSED"

    return lambda work: trial.run(play_on(work))


def killed_elsewhere(live: Live) -> None:
    """Kill from another thread."""
    thread = threading.Thread(target=live.node.kill)
    thread.start()
    thread.join()


def test_what_rests_what_is_on_its_way_and_what_was_never_acknowledged_is_cancelled(
    play: Play,
) -> None:
    async def work(live: Live) -> None:
        await live.rests(3)
        live.exchange.inject("lose_reply", "order.place")
        live.desk.rest(1)
        await until(lambda: live.heard.count("place") == 4)
        live.exchange.inject("delay", "order.place", count=2, seconds=1.0)
        live.desk.rest(2)
        await until(lambda: not live.exchange.faults.waiting())
        live.desk.goes_on = True
        killed_elsewhere(live)
        for _ in range(3):
            live.quote()
        report = await live.settled()
        assert (report.left, report.not_cancelled) == ((), "")
        assert live.open_there() == 0
        assert live.heard.count("place") == 6
        assert len(live.trial.submits) == 6
        await until(lambda: "OrderDenied" in live.desk.seen)
        statuses = live.node.orders()["status"].tolist()
        assert statuses[:6] == ["canceled"] * 6
        assert set(statuses[6:]) <= {"denied"}
        await live.stop()

    play(work)


def test_an_order_that_comes_to_the_exchange_after_its_cancel_is_cancelled_all_the_same(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.node.kill.SETTLE_S", 0.5)

    async def work(live: Live) -> None:
        live.exchange.inject("delay", "order.place", seconds=1.5)
        live.desk.rest(1)
        await until(lambda: not live.exchange.faults.waiting())
        killed_elsewhere(live)
        report = await live.settled()
        assert len(report.left) == 1
        assert report.not_cancelled
        await until(lambda: live.heard.count("place") == 1)
        await until(lambda: report is not live.report and not live.report.left)
        assert live.open_there() == 0
        assert live.report.not_cancelled == ""
        await live.stop()

    play(work)


def test_of_an_exchange_that_is_frozen_it_is_told_what_is_not_cancelled_until_it_is(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.node.kill.SETTLE_S", 0.5)

    async def work(live: Live) -> None:
        await live.rests(3)
        live.exchange.freeze()
        killed_elsewhere(live)
        report = await live.settled()
        assert len(report.left) == 3
        assert report.not_cancelled == "the venue has not confirmed it"
        assert report.text.endswith("3 left open")
        live.exchange.thaw()
        await until(lambda: not live.report.left)
        assert live.open_there() == 0
        assert live.report.not_cancelled == ""
        assert live.heard.count("place") == 3
        await live.stop()

    play(work)


def test_without_a_connection_the_cancels_wait_and_are_the_first_that_leaves(play: Play) -> None:
    async def work(live: Live) -> None:
        await live.rests(3)
        client = live.node.core.execution.clients[0]
        assert isinstance(client, VenueExecutionClient)
        link = client.link
        live.exchange.freeze()  # who connects again waits
        live.exchange.disconnect()
        await until(lambda: link.state in ("down", "connecting"))
        live.heard.clear()
        live.desk.rest(1)
        killed_elsewhere(live)
        live.desk.goes_on = True
        await until(lambda: live.report.sent)
        assert live.heard == []
        live.exchange.thaw()
        await until(lambda: not live.report.left and live.report.is_settled)
        assert live.open_there() == 0
        assert live.heard == ["cancel"] * 3
        await live.stop()

    play(work)


def _spin() -> None:
    while True:
        pass


def test_a_callback_that_hangs_is_broken_off_and_the_cancels_arrive_before_the_node_ends(
    play: Play,
) -> None:
    async def work(live: Live) -> None:
        await live.rests(3)
        spinning = threading.Event()
        live.desk.then = lambda: (spinning.set(), _spin())

        def kill() -> None:
            live.quote()
            until_blocking(spinning.is_set)
            live.node.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        await until(lambda: live.node.state == "STOPPED")
        killer.join()
        assert live.open_there() == 0
        assert (live.report.left, live.report.broke_off) == ((), "Desk-001.on_quote")
        assert isinstance(live.node.fault, StrategyError)
        assert isinstance(live.node.fault.__cause__, BrokenOffError)
        with pytest.raises(StrategyError):
            await live.node.stop_async()
        live.node.dispose()

    play(work)


def test_a_strategy_that_answers_every_denial_with_an_order_keeps_no_cancel_back(
    play: Play,
) -> None:
    async def work(live: Live) -> None:
        await live.rests(3)
        live.desk.insists = live.desk.goes_on = True
        killed_elsewhere(live)
        live.quote()
        report = await live.settled()
        assert report.left == ()
        assert live.open_there() == 0
        assert live.heard.count("place") == 3
        await until(lambda: live.desk.seen.count("OrderDenied") > 100)
        await live.stop()
        assert live.node.fault is None

    play(work)


def test_a_stop_right_after_a_kill_waits_until_what_was_refused_is_cancelled(play: Play) -> None:
    async def work(live: Live) -> None:
        await live.rests(3)
        live.exchange.inject("refuse", "order.cancel", count=2)
        killed_elsewhere(live)
        await live.stop()
        assert live.open_there() == 0
        assert (live.report.left, live.report.is_settled) == ((), True)

    play(work)


def test_a_node_that_stops_before_the_exchange_answered_says_what_is_left(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.node.kill.SETTLE_S", 0.5)

    async def work(live: Live) -> None:
        await live.rests(2)
        live.exchange.freeze()
        killed_elsewhere(live)
        await live.stop()
        assert len(live.report.left) == 2
        assert live.report.not_cancelled
        live.exchange.thaw()

    play(work)

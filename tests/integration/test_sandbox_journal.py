"""A sandbox node with a journal goes on after the death of its kernel as if nothing had been."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.node_fakes import PAIR, ROOT, Feed
from tests.waiting import until
from workbench.model.commands import SubmitOrder
from workbench.node.journal import Journal

D = Decimal
MARGIN = wb.CurrencyPair.define(
    "BTC/USDT.SIM",
    price_increment="0.01",
    quantity_increment="0.001",
    taker_fee="0.001",
    maker_fee="0.0005",
    margin_init="0.1",
    margin_maint="0.05",
)


class Desk(wb.Strategy):
    """Sends what a test tells it to."""

    def on_start(self) -> None:
        self.rejections: list[wb.OrderRejected] = []
        self.subscribe_quotes(PAIR.id)

    def on_order_rejected(self, event: wb.OrderRejected) -> None:
        self.rejections.append(event)

    def send(self, kind: str, side: str, quantity: Any, *prices: Any, **more: Any) -> wb.Order:
        order = getattr(self.orders, kind)(PAIR.id, side, quantity, *prices, **more)
        self.submit_order(order)
        return order


class Life:
    """One life of a sandbox node: from a build to a death or an end."""

    first = 100.0  # the bid to begin with
    before: Any
    after: Any
    open: Any
    held: Any

    def __init__(self, folder: Path, venue: wb.SimulatedVenue) -> None:
        self.desk, self.feed = Desk(), Feed(MARGIN)
        config = wb.TradingNodeConfig(
            journal=str(folder / "journal.sqlite"), stall_threshold_s=60, delay_post_stop_s=0.1
        )
        self.node = wb.sandbox(self.desk, self.feed, instrument=MARGIN, venue=venue, config=config)
        self.dies = True

    def quote(self, bid: float) -> None:
        self.feed.client.quote(bid)

    async def move(self, bid: float) -> None:
        """Let the market move, and wait until that is handled with all it causes."""
        self.quote(bid)
        await until(lambda: self.node.core.cache.quote(PAIR.id).bid == bid)  # type: ignore[union-attr]
        await until(lambda: not self.node.core.dispatcher.channels.depth)

    @property
    def exchange(self) -> Any:
        return self.node.core.execution.clients[0].exchange  # type: ignore[attr-defined]

    def balances(self) -> Any:
        state = self.exchange.account.state(0)
        return state.balances, state.margins

    def play(self, act: Any) -> None:
        async def main() -> None:
            self.node.build()
            task = asyncio.create_task(self.node.run_async())
            await until(lambda: self.node.phase == "running", self.node)
            self.before = self.balances()
            self.quote(self.first)
            await until(lambda: self.node.core.cache.quote(PAIR.id), self.node)
            await act(self)
            self.after = self.balances()
            self.open = {o.client_order_id: repr(o) for o in self.desk.cache.orders_open()}
            self.held = {p.position_id: repr(p) for p in self.desk.cache.positions_open()}
            if self.dies:
                journaling = self.node._journaling
                assert journaling is not None
                await journaling.journal.durable()
                journaling.journal.abandon()
                journaling._is_closed = True
                journaling._unfollow()
            await self.node.stop_async()
            await task

        asyncio.run(main())
        self.node.dispose()


VENUES = {
    "margin": wb.SimulatedVenue(starting_balances="10_000 USDT"),
    "cash": wb.SimulatedVenue(account_type="cash", starting_balances=["10_000 USDT", "5 BTC"]),
    "hedging": wb.SimulatedVenue(order_management="hedging", starting_balances="10_000 USDT"),
}


@pytest.fixture(params=list(VENUES))
def venue(request: pytest.FixtureRequest) -> wb.SimulatedVenue:
    return VENUES[request.param]


async def trade(life: Life) -> None:
    desk = life.desk
    orders = [
        desk.send("market", "buy", 2),
        desk.send("market", "sell", 1),
        desk.send("limit", "buy", 3, "95"),
        desk.send("stop_market", "sell", 1, "90"),
        desk.send("limit", "sell", 1, "110"),
    ]
    await until(lambda: orders[1].is_closed and orders[-1].is_open)


def test_orders_positions_and_account_survive_a_death(
    tmp_path: Path, venue: wb.SimulatedVenue
) -> None:
    first = Life(tmp_path, venue)
    first.play(trade)
    second = Life(tmp_path, venue)

    async def look(life: Life) -> None:
        assert life.before == first.after
        cache = life.desk.cache
        assert {o.client_order_id: repr(o) for o in cache.orders_open()} == first.open
        assert {p.position_id: repr(p) for p in cache.positions_open()} == first.held
        assert len(first.open) == 3
        await life.move(94.0)  # through the limit to buy
        assert len(cache.orders_open()) == 2
        await life.move(89.0)  # through the stop
        assert len(cache.orders_open()) == 1
        (resting,) = cache.orders_open()
        life.desk.cancel_order(resting)
        await until(lambda: resting.is_closed)

    second.dies = False
    second.play(look)
    fills = Journal.read_only(tmp_path / "journal.sqlite").fills()
    assert fills.trade_id.is_unique
    assert fills.quantity.tolist() == [2, 1, 3, 1]

    # As if there had been no death.
    whole = Life(tmp_path / "whole", venue)

    async def all_of_it(life: Life) -> None:
        await trade(life)
        await life.move(94.0)
        await life.move(89.0)
        (resting,) = life.desk.cache.orders_open()
        life.desk.cancel_order(resting)
        await until(lambda: resting.is_closed)

    whole.play(all_of_it)
    assert second.after == whole.after


def test_the_exits_of_a_bracket_still_even_each_other_out(tmp_path: Path) -> None:
    first = Life(tmp_path, VENUES["margin"])

    async def enter(life: Life) -> None:
        bracket = life.desk.orders.bracket(
            PAIR.id, "buy", 4, stop_loss="90", take_profit="120", entry_price="99"
        )
        life.desk.submit_order_list(bracket)
        await until(lambda: all(order.is_open for order in bracket.orders))
        assert len(life.desk.cache.orders_open()) == 3

    first.play(enter)
    second = Life(tmp_path, VENUES["margin"])

    async def fill(life: Life) -> None:
        assert life.before == first.after
        assert len(life.desk.cache.orders_open()) == 3
        await life.move(98.0)
        assert life.desk.cache.net_quantity(PAIR.id) == 4

    second.play(fill)
    third = Life(tmp_path, VENUES["margin"])

    async def leave(life: Life) -> None:
        assert life.before == second.after
        assert len(life.desk.cache.orders_open()) == 2
        await life.move(125.0)
        assert life.desk.cache.net_quantity(PAIR.id) == 0
        assert life.desk.cache.orders_open() == []

    third.play(leave)


def test_an_order_that_was_on_its_way_when_the_kernel_died_is_rejected(tmp_path: Path) -> None:
    first = Life(tmp_path, VENUES["margin"])

    async def send(life: Life) -> None:
        taken: list[Any] = []
        (client,) = life.node.core.execution.clients
        client.submit_order = taken.append  # type: ignore[method-assign]
        life.desk.send("limit", "buy", 1, "90")
        await until(lambda: taken)
        assert isinstance(taken[0], SubmitOrder)

    first.play(send)
    second = Life(tmp_path, VENUES["margin"])

    async def look(life: Life) -> None:
        (order,) = life.desk.cache.orders()
        assert order.status == "rejected"
        (told,) = life.desk.rejections
        assert (told.client_order_id, told.reason) == (
            order.client_order_id,
            "it was not sent: the node ended before it left",
        )
        assert life.exchange.open_orders() == []

    second.play(look)


def test_a_replay_with_a_journal_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    quotes = [wb.Quote(PAIR.id, 100.0 + i, 100.02 + i, 9.0, 9.0, i, i) for i in range(1, 9)]

    class Once(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_quotes(PAIR.id)

        def on_quote(self, quote: wb.Quote) -> None:
            if not self.cache.orders():
                self.submit_order(self.orders.market(PAIR.id, "buy", 1))

    for _ in range(2):
        node = wb.sandbox(
            Once(), quotes, instrument=PAIR, config=wb.TradingNodeConfig(journal=str(path))
        )
        node.build()
        node.run(raise_exception=True)
        assert len(node.fills()) == 1
        assert node.core.cache.net_quantity(PAIR.id) == 1
        node.dispose()
    view = Journal.read_only(path)
    assert len(view.runs()) == 2
    assert view.state().cache.net_quantity(PAIR.id) == 1


def be_killed(folder: Path) -> None:
    """Trade in this process, say what there is, and wait to be killed."""
    life = Life(folder, VENUES["margin"])

    async def wait(life: Life) -> None:
        await trade(life)
        journaling = life.node._journaling
        assert journaling is not None
        await journaling.journal.durable()
        print(told(life), flush=True)
        await asyncio.Event().wait()

    life.play(wait)


def told(life: Life) -> str:
    cache = life.desk.cache
    return repr((life.balances(), cache.orders_open(), cache.positions_open()))


def test_a_kernel_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    script = (
        "import pathlib; from tests.integration.test_sandbox_journal import be_killed;"
        f" be_killed(pathlib.Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        before = process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert process.returncode == -9
    life = Life(tmp_path, VENUES["margin"])

    async def look(life: Life) -> None:
        assert told(life) == before
        assert life.node.journal().state().runs[0].accounts[0].is_simulated
        assert len(life.desk.cache.orders_open()) == 3

    life.play(look)

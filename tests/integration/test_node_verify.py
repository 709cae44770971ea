"""Verifying runs of nodes: replays, the live clock, a venue; honest strategies and planted ones."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import workbench as wb
from tests.integration import test_node_promotion as promotion
from tests.node_fakes import PAIR, ROOT, Feed
from tests.verifying import Busy, market_data, replayed
from tests.waiting import until, until_blocking
from workbench.node.promotion import points
from workbench.node.verification import Verification, verify

COUNT = 10_000


class Steady(wb.Strategy):
    """Gives an order every fifth quote; honest."""

    size: int = 1

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_quotes(PAIR.id)

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        if self.count % 5 == 0:
            self.order(quote)

    def order(self, quote: wb.Quote) -> None:
        side = "buy" if self.count % 10 else "sell"
        self.submit_order(self.orders.market(PAIR.id, side, self.size))


class Watching(Steady):
    """Reads the wall clock."""

    def order(self, quote: wb.Quote) -> None:
        size = 1 + time.time_ns() % 997
        self.submit_order(self.orders.limit(PAIR.id, "buy", size, 50))


class Gambling(Steady):
    """Uses randomness of its own."""

    def order(self, quote: wb.Quote) -> None:
        if random.SystemRandom().random() < 0.5:
            self.submit_order(self.orders.market(PAIR.id, "buy", 1))


class Timing(Steady):
    """Sets a timer by the wall clock."""

    def on_start(self) -> None:
        super().on_start()
        self.clock.set_timer("beat", 10**9 + time.time_ns() % 10**9)

    def order(self, quote: wb.Quote) -> None:
        """Give none."""


class Raising(Steady):
    """Raises after its third order."""

    def order(self, quote: wb.Quote) -> None:
        super().order(quote)
        if self.count == 15:
            raise ValueError("the third is enough")


class Moody(Steady):
    """Raises in the copy only: in its second life."""

    lives = 0

    def on_start(self) -> None:
        super().on_start()
        type(self).lives += 1

    def order(self, quote: wb.Quote) -> None:
        super().order(quote)
        if self.lives == 2:
            raise ValueError("once was enough")


def quiet(done: int, total: int) -> None:
    """Show no bar."""


def checked(node: wb.TradingNode, **more: Any) -> Verification:
    return node.verify(progress=quiet, **more)


# --- replays ------------------------------------------------------------------------------------


def test_an_honest_strategy_is_identical_over_10_000_events(tmp_path: Path) -> None:
    node = replayed(tmp_path, Steady(), market_data(COUNT))
    told: list[tuple[int, int]] = []
    found = node.verify(progress=lambda done, total: told.append((done, total)))
    assert found.is_identical, found
    assert found.is_complete
    assert found.messages > COUNT
    assert found.commands > 1_500
    assert found.not_covered == ()
    assert [one.notes for one in found.strategies] == [()]
    assert told == sorted(told)
    assert told[-1] == (told[-1][1],) * 2
    node.dispose()


@pytest.mark.parametrize("seed", range(4))
def test_strategies_that_do_everything_are_identical_on_any_exchange(
    tmp_path: Path, seed: int
) -> None:
    venues = [
        None,
        wb.SimulatedVenue(latency_ns=300_000_000),
        wb.SimulatedVenue(
            order_management="hedging",
            capabilities=wb.Capabilities(
                order_types={"market", "limit"}, contingencies=(), amend=False
            ),
        ),
        wb.SimulatedVenue(account_type="cash", starting_balances=["100_000 USDT", "500 BTC"]),
    ]
    limits = [wb.RiskLimits(), wb.RiskLimits(orders=3), wb.RiskLimits(max_position=20)]
    node = replayed(
        tmp_path,
        [Busy(seed=seed), Busy(seed=seed + 1000)],
        market_data(300, seed),
        venue=venues[seed],
        limits=limits[seed % 3],
    )
    assert node.fault is None
    found = checked(node)
    assert found.is_identical, found
    assert found.is_complete
    assert all(one.commands > 50 for one in found.strategies)
    node.dispose()


@pytest.mark.parametrize("kind", [Watching, Gambling])
def test_a_strategy_that_depends_on_anything_else_is_found_with_both_sides(
    tmp_path: Path, kind: type[Steady]
) -> None:
    node = replayed(tmp_path, kind(), market_data(400))
    found = checked(node)
    assert not found.is_identical
    difference = found.difference
    assert difference is not None
    assert difference.strategy_id == f"{kind.__name__}-001"
    assert isinstance(difference.answering, wb.Quote)
    assert difference.recorded is not None or difference.given is not None
    if kind is Watching:
        assert [field.name for field in difference.fields] == ["order.quantity"]
        assert "order.quantity: " in str(found)
    assert "DIFFERENT" in repr(found)
    assert "the copy" in found._repr_html_()
    node.dispose()


def test_a_timer_by_the_wall_clock_is_found(tmp_path: Path) -> None:
    node = replayed(tmp_path, Timing(), market_data(200))
    difference = checked(node).difference
    assert difference is not None
    assert "timer" in difference.what
    assert difference.strategy_id == "Timing-001"
    node.dispose()


def test_an_honest_strategy_is_told_from_a_dishonest_one_beside_it(tmp_path: Path) -> None:
    strategies = [Gambling(), Steady(), Watching()]
    node = replayed(tmp_path, strategies, market_data(400))
    found = checked(node)
    assert [one.is_identical for one in found.strategies] == [False, True, False]
    assert found.strategies[1].commands > 60
    only = checked(node, strategy=strategies[1])
    assert only.is_identical
    assert [one.strategy_id for one in only.strategies] == ["Steady-002"]
    assert "Gambling-001 was not verified" in str(only)
    assert not checked(node, strategy="Watching").is_identical
    node.dispose()


def test_what_a_strategy_raised_it_must_raise_again(tmp_path: Path) -> None:
    node = replayed(tmp_path, [Raising(), Steady()], market_data(100))
    assert isinstance(node.fault, wb.StrategyError)
    found = checked(node)
    assert found.is_identical, found
    assert found.is_complete
    node.dispose()


def test_what_the_copy_alone_raises_is_shown_whole(tmp_path: Path) -> None:
    Moody.lives = 0
    node = replayed(tmp_path, Moody(), market_data(100))
    assert node.fault is None
    difference = checked(node).difference
    assert difference is not None
    assert "raised ValueError" in difference.what
    assert 'raise ValueError("once was enough")' in difference.traceback
    assert isinstance(difference.answering, wb.Quote)
    node.dispose()


def test_another_process_verifies_a_file(tmp_path: Path) -> None:
    node = replayed(tmp_path, Busy(seed=5), market_data(150, 5))
    node.dispose()
    code = (
        "import sys; from tests.verifying import Busy;"
        " from workbench.node.verification import verify;"
        " print(verify(sys.argv[1], Busy(seed=5), progress=lambda *_: None).is_identical,"
        " verify(sys.argv[1], Busy(seed=6), progress=lambda *_: None))"
    )
    path = str(tmp_path / "journal.sqlite")
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("True Verification of run 1")
    assert "DIFFERENT" in done.stdout
    assert "its parameter seed was 5, the copy's is 6" in done.stdout


def test_what_cannot_be_verified_says_what_to_set(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    bare = wb.sandbox(Steady(), market_data(5), instrument=PAIR)
    bare.build()
    bare.run()
    with pytest.raises(wb.ConfigError, match=r"TradingNodeConfig\(journal="):
        checked(bare)
    bare.dispose()
    config = wb.TradingNodeConfig(journal=str(path))
    node = wb.sandbox(Steady(), market_data(5), instrument=PAIR, config=config)
    node.build()
    node.run()
    with pytest.raises(wb.ConfigError, match=r"no market data; record market data: .*journal_data"):
        checked(node)
    node.dispose()
    with pytest.raises(wb.ConfigError, match="no run 7"):
        verify(path, Steady(), run=7)


def test_other_strategies_than_ran_are_refused_by_name(tmp_path: Path) -> None:
    node = replayed(tmp_path, Steady(), market_data(20))
    path = tmp_path / "journal.sqlite"
    with pytest.raises(wb.ConfigError, match=r"had 1 strategies, Steady-001; got 2"):
        verify(path, [Steady(), Steady()])
    with pytest.raises(wb.ConfigError, match=r"the copy of Steady-001 would be Gambling-001"):
        verify(path, Gambling())
    with pytest.raises(wb.ConfigError, match=r"run 1 has no strategy 'Nobody'; .*: Steady-001"):
        checked(node, strategy="Nobody")
    with pytest.raises(wb.ConfigError, match=r"the node has no strategy Steady\(.*: Steady-001$"):
        checked(node, strategy=Steady())
    node.dispose()


# --- the live clock -----------------------------------------------------------------------------


class Life:
    """One life of a sandbox node on the live clock, with a feed that a test steers."""

    def __init__(self, folder: Path, strategies: Any, **settings: Any) -> None:
        self.feed = Feed(PAIR)
        config = wb.TradingNodeConfig(
            **{
                "journal": str(folder / "journal.sqlite"),
                "journal_data": True,
                "delay_post_stop_s": 0.1,
                "stall_threshold_s": 60,
                **settings,
            }
        )
        self.node = wb.sandbox(strategies, self.feed, instrument=PAIR, config=config)
        self.strategies = self.node.strategies

    async def feed_all(self, data: list[Any], at_once: int = 25) -> None:
        """Let the market move, and wait until all of it is handled."""
        for number, one in enumerate(data):
            now = self.node.core.clock.timestamp_ns()
            self.feed.client.send(msgspec.structs.replace(one, ts_event=now, ts_init=now))
            if number % at_once == 0:
                await asyncio.sleep(0.001)
        await until(lambda: not self.node.core.dispatcher.channels.depth)

    def play(self, act: Callable[[Life], Awaitable[None]], *, dies: bool = False) -> None:
        async def main() -> None:
            self.node.build()
            task = asyncio.create_task(self.node.run_async())
            await until(lambda: self.node.phase == "running" or task.done())
            await act(self)
            if dies:
                await self.die()
            await self.node.stop_async()
            await task

        asyncio.run(main())

    async def die(self) -> None:
        """Write nothing down from now on, as the death of the process would."""
        journaling = self.node._journaling
        assert journaling is not None
        await journaling.journal.durable()
        journaling.journal.abandon()
        journaling._is_closed = True
        journaling._unfollow()


@pytest.mark.alone
def test_a_run_goes_on_while_it_is_verified(tmp_path: Path) -> None:
    life = Life(tmp_path, [Busy(seed=1), Steady()])

    async def act(life: Life) -> None:
        await life.feed_all(market_data(300, 1))
        found = await life.node.verify_async(progress=quiet)
        assert found.is_identical, found
        assert found.messages > 300
        assert "the run goes on" in str(found)
        await life.feed_all(market_data(50, 2))
        again = life.node.verify(progress=quiet)  # without awaiting: nested
        assert again.is_identical
        assert again.messages > found.messages

    life.play(act)
    found = checked(life.node)
    assert found.is_identical, found
    assert found.is_complete
    assert found.not_covered == ()
    life.node.dispose()


@pytest.mark.parametrize("dies", [True, False])
def test_a_run_that_begins_with_open_orders_and_positions_is_followed(
    tmp_path: Path, dies: bool
) -> None:
    first = Life(tmp_path, [Busy(seed=3), Steady()])

    async def trade(life: Life) -> None:
        await life.feed_all(market_data(200, 3))
        desk = life.strategies[1]
        assert isinstance(desk, wb.Strategy)
        desk.submit_order(desk.orders.limit(PAIR.id, "buy", 1, 50))
        desk.submit_order(desk.orders.market(PAIR.id, "buy", 3))
        await until(lambda: life.node.core.cache.orders_open() and desk.position() is not None)

    first.play(trade, dies=dies)
    first.node.dispose()
    second = Life(tmp_path, [Busy(seed=4), Steady()])

    async def go_on(life: Life) -> None:
        await life.feed_all(market_data(200, 4))

    second.play(go_on)
    found = checked(second.node)
    assert found.is_identical, found
    assert found.run == 2
    second.node.dispose()
    earlier = verify(tmp_path / "journal.sqlite", [Busy(seed=3), Steady()], run=1, progress=quiet)
    assert earlier.is_identical, earlier
    assert earlier.is_complete
    assert any("was killed" in one for one in earlier.not_covered) is dies


def test_orders_from_outside_are_given_again(tmp_path: Path) -> None:
    life = Life(tmp_path, Steady())

    async def act(life: Life) -> None:
        (desk,) = life.strategies
        assert isinstance(desk, wb.Strategy)
        await life.feed_all(market_data(40))
        order = desk.orders.limit(PAIR.id, "buy", 1, 50)
        desk.submit_order(order)  # as a cell does
        await until(lambda: order.is_open)
        desk.orders.market(PAIR.id, "buy", 7)  # made, and never sent
        await life.feed_all(market_data(40, 2))
        life.node.call(desk.cancel_order, order)
        life.node.call(desk.submit_order, desk.orders.limit(PAIR.id, "buy", 1, "50.001"))  # denied
        bracket = desk.orders.bracket(PAIR.id, "buy", 1, stop_loss=40, take_profit=200)
        desk.submit_order_list(bracket)
        desk.subscribe_trades(PAIR.id)
        desk.request_quotes(PAIR.id)
        await life.feed_all(market_data(40, 3))

    life.play(act)
    assert "PRICE_OFF_GRID" in set(life.node.journal().order_events().code.dropna())
    found = checked(life.node)
    assert found.is_identical, found
    assert found.is_complete
    life.node.dispose()


def test_a_call_that_changes_a_strategy_is_told_instead_of_blaming_it(tmp_path: Path) -> None:
    class Set(Steady):
        def resize(self) -> None:
            self.now = 2

        def order(self, quote: wb.Quote) -> None:
            size = getattr(self, "now", 1)
            self.submit_order(self.orders.market(PAIR.id, "buy", size))

    life = Life(tmp_path, Set())

    async def act(life: Life) -> None:
        (desk,) = life.strategies
        await life.feed_all(market_data(40))
        life.node.call(desk.resize)  # type: ignore[attr-defined]
        await life.feed_all(market_data(40, 2))

    life.play(act)
    difference = checked(life.node).difference
    assert difference is not None
    assert "Set-001.resize, from outside" in difference.caveat
    assert "but: after message" in str(difference)
    life.node.dispose()


def test_a_kill_ends_what_can_be_verified_and_says_so(tmp_path: Path) -> None:
    life = Life(tmp_path, [Busy(seed=2), Steady()])

    async def act(life: Life) -> None:
        await life.feed_all(market_data(100, 2))
        life.node.kill()
        await life.feed_all(market_data(20, 3))

    life.play(act)
    found = checked(life.node)
    assert found.is_identical, found
    assert not found.is_complete
    assert "a KILL came" in found.stopped
    assert f"verified up to message {found.last_number:,}" in str(found)
    assert found.messages > 100
    life.node.dispose()


def test_other_trading_states_are_followed(tmp_path: Path) -> None:
    life = Life(tmp_path, Busy(seed=8))

    async def act(life: Life) -> None:
        for number, state in enumerate(("reducing", "halted", "active")):
            await life.feed_all(market_data(60, number))
            life.node.set_trading_state(state)
        await life.feed_all(market_data(60, 9))

    life.play(act)
    found = checked(life.node)
    assert found.is_identical, found
    assert found.is_complete
    denied = life.node.journal().order_events()
    assert {"TRADING_HALTED", "TRADING_REDUCING"} <= set(denied.code.dropna())
    life.node.dispose()


def test_stale_prices_after_a_stall_are_followed(tmp_path: Path) -> None:
    life = Life(tmp_path, Busy(seed=8, activity=0.6), stall_threshold_s=0.1, max_quote_age_s=0.0)

    async def act(life: Life) -> None:
        await life.feed_all(market_data(60, 1))
        for number in range(3):
            for _ in range(10):
                life.feed.client.quote(100.0, age_s=3600)
            end = time.perf_counter() + 0.3
            while time.perf_counter() < end:
                pass
            for _ in range(30):
                life.feed.client.quote(100.0, age_s=3600)
            await life.feed_all(market_data(30, number))

    life.play(act)
    assert life.node.stalls
    codes = life.node.journal().order_events().code
    assert "QUOTE_STALE" in set(codes.dropna())
    found = checked(life.node)
    assert found.is_identical, found
    assert found.is_complete
    life.node.dispose()


def test_exchanged_code_is_followed_in_the_process_that_has_it(tmp_path: Path) -> None:
    class Other(Steady):
        def order(self, quote: wb.Quote) -> None:
            self.submit_order(self.orders.market(PAIR.id, "sell", 3))

    life = Life(tmp_path, Steady())

    async def act(life: Life) -> None:
        await life.feed_all(market_data(40))
        life.node.swap_strategy("Steady-001", Other)
        await life.feed_all(market_data(40, 2))

    life.play(act)
    found = checked(life.node)
    assert found.is_identical, found
    assert found.is_complete
    life.node.dispose()
    elsewhere = verify(tmp_path / "journal.sqlite", Steady(), progress=quiet)
    assert elsewhere.is_identical
    assert "the code of Steady-001 was exchanged" in elsewhere.stopped


def test_what_could_not_be_recorded_ends_what_can_be_verified(tmp_path: Path) -> None:
    life = Life(tmp_path, Steady())

    async def act(life: Life) -> None:
        await life.feed_all(market_data(30), at_once=1)
        journaling = life.node._journaling
        assert journaling is not None
        await journaling.journal.durable()
        journaling.journal._congested_at = 5
        # More at once than the disk takes: who feeds is not asked to wait inside one slice.
        await life.feed_all(market_data(3000, 2), at_once=3001)

    life.play(act)
    found = checked(life.node)
    assert found.is_identical, found
    assert "could not be recorded" in found.stopped
    assert found.messages > 10
    life.node.dispose()


def test_dropped_market_data_is_dropped_again(tmp_path: Path) -> None:
    life = Life(tmp_path, Busy(seed=4), conflate_above=5)

    async def act(life: Life) -> None:
        await life.feed_all(market_data(400, 4), at_once=80)

    life.play(act)
    assert "DataGap" in set(life.node.journal().records("data").type)
    found = checked(life.node)
    assert found.is_identical, found
    assert found.is_complete
    life.node.dispose()


def test_a_node_on_a_thread_of_its_own_is_verified_from_outside(tmp_path: Path) -> None:
    life = Life(tmp_path, Busy(seed=6))
    life.node.build()
    life.node.run(thread=True)
    until_blocking(lambda: life.node.phase == "running")
    for number in range(200):
        life.feed.client.quote(100.0 + number % 7 / 100)
    found = checked(life.node)
    assert found.is_identical, found
    life.node.stop()
    found = checked(life.node)
    assert found.is_identical, found
    assert found.is_complete
    assert found.messages > 200
    life.node.dispose()


def test_a_made_up_market_stays_one_where_its_answers_are_recorded(tmp_path: Path) -> None:
    config = wb.TradingNodeConfig(journal=str(tmp_path / "j.sqlite"), journal_data=True)
    node = wb.sandbox(Steady(), wb.Synthetic(PAIR), instrument=PAIR, config=config)
    node.build()
    check = points.market_data(node.core.data.clients, [])
    assert not check.passed
    assert check.found == "SYNTHETIC is not the market"
    node.dispose()


class Crossing(wb.Strategy):
    """Buys one, then sells one, with every third quote; whichever account it trades."""

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_quotes()

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        if self.count % 3 == 0:
            side = "sell" if self.position() else "buy"
            self.submit_order(self.orders.market(quote.instrument_id, side, 1))


def test_a_promotion_and_the_way_back_are_followed(tmp_path: Path) -> None:
    place, desk = promotion.Place(tmp_path), Crossing()
    node = place.node(desk, settings={"journal_data": True})

    async def trade() -> None:
        before = desk.count
        while desk.count < before + 10:
            place.quote()
            await asyncio.sleep(0.01)

    async def act() -> None:
        await trade()
        await node.promote_async(confirm=promotion.ACCOUNT, rules=promotion.RULES)
        await trade()
        assert place.placed
        await node.demote_async(position="leave")
        await trade()

    promotion.play(place, node, act)
    found = checked(node)
    assert found.is_identical, found
    assert found.is_complete
    assert found.commands >= 9


class Noting(Crossing):
    """Counts its denials too."""

    def on_start(self) -> None:
        super().on_start()
        self.denied = 0

    def on_order_denied(self, event: Any) -> None:
        self.denied += 1


def test_what_is_refused_since_promoted_code_has_changed_is_refused_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.node.promotion.auditions._LOOK_NS", 300_000_000)
    place, desk = promotion.Place(tmp_path), Noting()
    node = place.node(desk, settings={"journal_data": True})

    async def until(condition: Callable[[], Any]) -> None:
        while not condition():
            place.quote()
            await asyncio.sleep(0.01)

    async def act() -> None:
        await node.promote_async(confirm=promotion.ACCOUNT, rules=promotion.RULES)
        await until(lambda: place.placed)
        monkeypatch.setattr(Noting, "on_signal", lambda self, signal: None)
        await until(lambda: desk.denied >= 2)

    promotion.play(place, node, act)
    found = checked(node)
    assert found.is_identical, found
    assert found.is_complete
    (note,) = found.strategies[0].notes
    assert note.startswith("its code is another than the one that started: Noting changed; Noting.")

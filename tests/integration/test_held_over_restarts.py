"""What was held on our side is held again by the next node, and what is linked stays linked."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.integration import test_node_journal, test_sandbox_journal
from tests.integration.test_node_journal import Place, play
from tests.integration.test_sandbox_journal import VENUES, Life
from tests.node_fakes import PAIR
from tests.waiting import until
from workbench.model.events import OrderCanceled
from workbench.node.verification import verify

D = Decimal
AT_VENUE = test_node_journal.PAIR


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def live(folder: Path, act: Any, *, dies: bool = True, first: float = 100.0) -> Life:
    """Live one life of a sandbox node, whose first bid is this."""
    life = Life(folder, VENUES["margin"])
    life.dies, life.first = dies, first
    life.play(act)
    return life


def orders_of(life: Life) -> dict[str, wb.Order]:
    """Return a node's orders, by kind and side."""
    return {f"{o.side.value} {o.order_type.value}": o for o in life.desk.cache.orders()}


def _is_cancel(message: Any) -> bool:
    return isinstance(message, OrderCanceled)


class Waits(wb.Strategy):
    """Enters with a bracket that is held here, once."""

    def on_start(self) -> None:
        self.subscribe_quotes(PAIR.id)
        if not self.cache.orders():
            bracket = self.orders.bracket(
                PAIR.id,
                "buy",
                4,
                stop_loss="90",
                take_profit="120",
                entry_price="99",
                emulation_trigger="bid_ask",
            )
            self.submit_order_list(bracket)


HELD = [
    ("stop_market", "sell", ("95",), {}, 94.0),
    ("stop_limit", "sell", ("90", "95"), {}, 94.0),
    ("limit", "sell", ("105",), {}, 106.0),
    ("market_if_touched", "buy", ("97",), {}, 96.0),
    ("stop_market", "buy", ("105",), {"trigger": "mid"}, 106.0),
]


@pytest.mark.parametrize(("kind", "side", "prices", "more", "reached"), HELD)
def test_a_held_order_waits_again_and_goes_when_its_price_comes(
    tmp_path: Path, kind: str, side: str, prices: tuple[str, ...], more: Any, reached: float
) -> None:
    async def hold(life: Life) -> None:
        trigger = more.get("trigger", "bid_ask")
        order = life.desk.send(kind, side, 1, *prices, emulation_trigger=trigger)
        await until(lambda: order.status == "emulated")

    live(tmp_path, hold)

    async def wait(life: Life) -> None:
        (order,) = life.desk.cache.orders()
        assert order.status == "emulated"
        await life.move(101.0)
        assert order.status == "emulated"

    live(tmp_path, wait)

    async def reach(life: Life) -> None:
        (order,) = life.desk.cache.orders()
        await life.move(reached)
        await until(lambda: order.status == "filled")

    live(tmp_path, reach, dies=False)


def test_what_the_market_reached_while_no_node_ran_goes_at_the_first_price(tmp_path: Path) -> None:
    async def hold(life: Life) -> None:
        life.desk.send("market", "buy", 1)
        stop = life.desk.send("stop_market", "sell", 1, "95", emulation_trigger="bid_ask")
        await until(lambda: stop.status == "emulated")

    live(tmp_path, hold)

    async def reach(life: Life) -> None:
        await until(lambda: life.desk.cache.net_quantity(PAIR.id) == 0)
        assert orders_of(life)["sell market"].average_price == D("92")

    live(tmp_path, reach, dies=False, first=92.0)


def test_a_trailing_stop_goes_on_from_where_it_was(tmp_path: Path) -> None:
    async def hold(life: Life) -> None:
        order = life.desk.send(
            "trailing_stop_market",
            "sell",
            1,
            "3",
            emulation_trigger="bid_ask",
            activation_price="104",
        )
        await until(lambda: order.status == "emulated")
        await life.move(105.0)
        assert order.trigger_price == D("102")

    live(tmp_path, hold)

    async def go_on(life: Life) -> None:
        (order,) = life.desk.cache.orders()
        assert order.trigger_price == D("102")
        await life.move(103.0)
        assert (order.status, order.trigger_price) == ("emulated", D("102"))
        await life.move(101.5)
        await until(lambda: order.status == "filled")

    live(tmp_path, go_on, dies=False, first=104.0)


def test_a_change_of_a_held_order_outlives_its_node(tmp_path: Path) -> None:
    async def hold(life: Life) -> None:
        order = life.desk.send("stop_market", "sell", 3, "95", emulation_trigger="bid_ask")
        await until(lambda: order.status == "emulated")
        life.desk.modify_order(order, quantity=2, trigger_price="97")
        await until(lambda: order.quantity == 2)

    live(tmp_path, hold)

    async def go_on(life: Life) -> None:
        (order,) = life.desk.cache.orders()
        await life.move(96.0)
        await until(lambda: order.status == "filled")
        assert order.filled_quantity == 2

    live(tmp_path, go_on, dies=False)


def test_what_was_to_end_while_no_node_ran_expires(tmp_path: Path) -> None:
    async def hold(life: Life) -> None:
        order = life.desk.send(
            "stop_market",
            "sell",
            1,
            "95",
            emulation_trigger="bid_ask",
            expire=time.time_ns() + 500_000_000,
        )
        await until(lambda: order.status in ("emulated", "expired"))

    live(tmp_path, hold)

    async def look(life: Life) -> None:
        (order,) = life.desk.cache.orders()
        await until(lambda: order.status == "expired")

    live(tmp_path, look, dies=False)


def test_a_held_order_of_a_strategy_that_runs_no_more_is_cancelled(tmp_path: Path) -> None:
    async def hold(life: Life) -> None:
        order = life.desk.send("stop_market", "sell", 1, "95", emulation_trigger="bid_ask")
        await until(lambda: order.status == "emulated")

    live(tmp_path, hold)

    class Other(test_sandbox_journal.Desk):
        pass

    life = Life(tmp_path, VENUES["margin"])
    life.node.dispose()
    life.desk = Other()
    life.node = wb.sandbox(
        life.desk,
        life.feed,
        instrument=test_sandbox_journal.MARGIN,
        venue=VENUES["margin"],
        config=wb.TradingNodeConfig(journal=str(tmp_path / "journal.sqlite")),
    )

    async def look(life: Life) -> None:
        (order,) = life.node.core.cache.orders()
        await until(lambda: order.status == "canceled")
        reasons = [r.message.reason for r in life.node.core.log if _is_cancel(r.message)]
        assert reasons == ["it was held here for Desk-001, which does not run any more"]

    life.dies = False
    life.play(look)


@pytest.mark.parametrize("filled", ["before", "between", "after"])
@pytest.mark.parametrize("exit_", ["stop", "profit"])
def test_a_bracket_that_is_held_here_goes_on(tmp_path: Path, filled: str, exit_: str) -> None:
    async def enter(life: Life) -> None:
        bracket = life.desk.orders.bracket(
            PAIR.id,
            "buy",
            4,
            stop_loss="90",
            take_profit="120",
            entry_price="99",
            emulation_trigger="bid_ask",
        )
        life.desk.submit_order_list(bracket)
        await until(lambda: all(order.status == "emulated" for order in bracket.orders))
        if filled == "before":
            await go_in(life)

    async def go_in(life: Life) -> None:
        await life.move(98.0)
        await until(lambda: life.desk.cache.net_quantity(PAIR.id) == 4)
        # What a death meets between the two was not sent, and never is.
        await until(lambda: orders_of(life)["sell limit"].status == "accepted")

    live(tmp_path, enter)

    async def fill(life: Life) -> None:
        if filled == "between":
            await go_in(life)

    live(tmp_path, fill)

    async def leave(life: Life) -> None:
        if filled == "after":
            await go_in(life)
        await life.move(89.0 if exit_ == "stop" else 121.0)
        await until(lambda: life.desk.cache.net_quantity(PAIR.id) == 0)
        await until(lambda: all(order.is_closed for order in life.desk.cache.orders()))

    last = live(tmp_path, leave, dies=False)
    assert sorted(o.status.value for o in last.desk.cache.orders()) == [
        "canceled",
        "filled",
        "filled",
    ]


def test_a_run_that_held_again_what_an_earlier_one_held_is_verified(tmp_path: Path) -> None:
    for bids in ((100.0,), (100.0, 98.0), (100.0, 89.0)):
        life = Life(tmp_path, VENUES["margin"])
        life.node.dispose()
        waits = life.desk = Waits()  # type: ignore[assignment]
        life.node = wb.sandbox(
            waits,
            life.feed,
            instrument=test_sandbox_journal.MARGIN,
            venue=VENUES["margin"],
            config=wb.TradingNodeConfig(
                journal=str(tmp_path / "journal.sqlite"), journal_data=True
            ),
        )

        async def go_on(life: Life, bids: tuple[float, ...] = bids) -> None:
            for bid in bids:
                await life.move(bid)

        life.dies = False
        life.play(go_on)
    orders = life.desk.cache.orders()
    assert sorted(order.status.value for order in orders) == ["canceled", "filled", "filled"]
    for run in (1, 2, 3):
        report = verify(tmp_path / "journal.sqlite", Waits(), run=run, progress=_ignore)
        assert report.is_identical, repr(report)


def _ignore(done: int, total: int) -> None: ...


@pytest.mark.parametrize("exit_", ["stop", "profit"])
@pytest.mark.parametrize("moment", ["entry rests", "fills meanwhile", "filled", "exits meanwhile"])
def test_a_bracket_at_a_venue_without_links_goes_on_after_a_death(
    place: Place, moment: str, exit_: str
) -> None:
    enters, leaves = (98.5, 98.6), (89.0, 89.1) if exit_ == "stop" else (121.0, 121.1)
    first, second = test_node_journal.Desk(), test_node_journal.Desk()

    def move(prices: tuple[float, float]) -> None:
        place.market.quote(AT_VENUE.id, *prices)

    async def enter() -> None:
        bracket = first.orders.bracket(
            AT_VENUE.id, "buy", 2, stop_loss="90", take_profit="120", entry_price="99"
        )
        first.submit_order_list(bracket)
        await until(lambda: bracket.entry.is_open)
        if moment in ("filled", "exits meanwhile"):
            move(enters)
            stop, profit = bracket.orders[1:]
            await until(lambda: stop.is_open and (profit.is_open or profit.status == "emulated"))

    play(place, place.node(first), enter, dies=True)
    if moment == "fills meanwhile":
        move(enters)
    elif moment == "exits meanwhile":
        move(leaves)

    async def look() -> None:
        cache = second.cache
        if moment == "entry rests":
            move(enters)
        if moment != "exits meanwhile":
            await until(lambda: any(o.order_type == "stop_market" for o in cache.orders_open()))
            assert cache.net_quantity(AT_VENUE.id) == 2
        move(leaves)
        await until(lambda: cache.net_quantity(AT_VENUE.id) == 0)
        await until(lambda: all(order.is_closed for order in cache.orders()))

    play(place, place.node(second), look)
    (sale,) = [o for o in second.cache.orders() if o.side == "sell" and o.filled_quantity]
    assert sale.order_type == ("stop_market" if exit_ == "stop" else "limit")
    assert [o.filled for o in place.placed if o.filled] == [2, 2]


def test_an_oco_whose_first_filled_while_no_node_ran_loses_its_second(place: Place) -> None:
    first, second = test_node_journal.Desk(), test_node_journal.Desk()

    async def rest() -> None:
        orders = first.orders
        pair = orders.oco(
            orders.limit(AT_VENUE.id, "buy", 1, "95"),
            orders.stop_market(AT_VENUE.id, "buy", 1, "105"),
        )
        first.submit_order_list(pair)
        await until(lambda: all(order.is_open for order in pair.orders))

    play(place, place.node(first), rest, dies=True)
    place.market.quote(AT_VENUE.id, 94.0, 94.1)

    async def look() -> None:
        stop = next(o for o in second.cache.orders() if o.order_type == "stop_market")
        await until(lambda: stop.status == "canceled")
        assert second.cache.net_quantity(AT_VENUE.id) == 1

    play(place, place.node(second), look)

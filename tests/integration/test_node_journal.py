"""Nodes with journals at the venue in memory: what they keep, take over, and refuse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.node_fakes import Market, make_node
from tests.waiting import until
from workbench.engines.external import EXTERNAL
from workbench.model.enums import OrderStatus
from workbench.model.events import TimeEvent
from workbench.node import ReconciliationError
from workbench.node.journal import Journal, JournalError, LeaseError, Leases
from workbench.venues import ExecutionSettings, InquirySettings, LinkSettings
from workbench.venues.fake import FAKE, FakeVenue, Faults

PAIR = wb.CurrencyPair.define(
    "BTC/USDT.FAKE", price_increment="0.01", quantity_increment="0.001", taker_fee="0.001"
)
LIMITS = wb.RiskLimits(max_order_quantity=100, max_position=100, max_loss_per_day="10_000 USDT")
QUICK = ExecutionSettings(
    request_timeout_s=0.2,
    fill_grace_s=0.05,
    inquiry=InquirySettings(first_wait_s=0.05, wait_s=0.05),
    link=LinkSettings(first_back_off_s=0.02),
)
D = Decimal


class Desk(wb.Strategy):
    """Sends what a test tells it to."""

    def on_start(self) -> None:
        self.subscribe_quotes(PAIR.id)

    def buy(self, quantity: int = 1) -> wb.Order:
        order = self.orders.market(PAIR.id, "buy", quantity)
        self.submit_order(order)
        return order

    def rest(self, price: str = "90", quantity: int = 2) -> wb.Order:
        order = self.orders.limit(PAIR.id, "buy", quantity, price)
        self.submit_order(order)
        return order


class Place:
    """A venue, and the folder that nodes keep their journals in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fake = FakeVenue([PAIR], clock_ns=time.time_ns, balances={"USDT": 100_000})
        self.market = self.fake.market
        self.market.quote(PAIR.id, 99.99, 100.01)

    def node(self, desk: Desk, **settings: Any) -> wb.TradingNode:
        config = wb.TradingNodeConfig(
            **{"journal": "default", "data_folder": self.folder, **settings}
        )
        account = wb.VenueAccount(FAKE, "FAKE-001", settings=QUICK, fake=self.fake)
        return wb.live(desk, venue=account, instrument=PAIR, limits=LIMITS, config=config)

    @property
    def placed(self) -> list[Any]:
        return list(self.market.orders.values())

    def balances(self) -> dict[str, Decimal]:
        account_id = "FAKE-001"
        return {c.code: a for c, a in self.market.balances(account_id).items()}  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def play(
    place: Place, node: wb.TradingNode, act: Callable[[], Awaitable[None]], *, dies: bool = False
) -> None:
    """Run a node, let a test act, and stop it, or let it end as a killed process would."""

    async def main() -> None:
        node.build()
        task = asyncio.create_task(node.run_async())
        await until(lambda: node.phase == "running", node)
        while node.core.cache.quote(PAIR.id) is None:
            place.market.quote(PAIR.id, 99.99, 100.01)
            await asyncio.sleep(0.005)
        await act()
        if dies:
            journaling = node._journaling
            assert journaling is not None
            await journaling.journal.durable()
            journaling.journal.abandon()
            journaling._is_closed = True
            journaling._unfollow()
            for lease in journaling._leases:
                lease.give_back()  # as a dead process loses it
        await node.stop_async()
        await task

    asyncio.run(main())
    node.dispose()


def held(node: wb.TradingNode) -> dict[str, Decimal]:
    state = node.core.cache.account("FAKE-001")
    assert state is not None
    return {b.currency.code: b.total for b in state.balances}


def test_a_node_goes_on_where_the_last_one_ended(place: Place) -> None:
    desk = Desk()
    first = place.node(desk)

    async def trade() -> None:
        bought, resting = desk.buy(), desk.rest()
        await until(lambda: bought.is_closed and resting.is_open, first)

    play(place, first, trade)
    again = Desk()
    second = place.node(again)

    async def look() -> None:
        assert [p.signed_quantity for p in again.cache.positions_open()] == [1]
        assert [o.price for o in again.cache.orders_open()] == [D("90.00")]
        assert held(second) == place.balances()
        again.cancel_order(again.cache.orders_open()[0])
        await until(lambda: not again.cache.orders_open(), second)
        assert len(place.market.submits) == 2
        assert second.journal().state().cache.orders() == second.core.cache.orders()

    play(place, second, look)
    assert [p.status.value for p in place.placed] == ["filled", "canceled"]
    runs = Journal.read_only(place.folder / "journals" / "TRADER-001.sqlite").runs()
    assert runs.run_tag.nunique() == len(runs) == 2


def test_fills_that_came_while_no_node_ran_are_taken_over(place: Place) -> None:
    desk = Desk()
    first = place.node(desk)
    names: list[Any] = []

    async def trade() -> None:
        orders = [desk.rest("90"), desk.rest("91"), desk.rest("92")]
        await until(lambda: all(order.is_open for order in orders), first)
        names.extend(order.client_order_id for order in orders)

    play(place, first, trade, dies=True)
    place.market.fill("FAKE-001", names[0], D(2))  # type: ignore[arg-type]
    place.market.fill("FAKE-001", names[1], D("0.5"))  # type: ignore[arg-type]
    again = Desk()
    second = place.node(again)

    async def look() -> None:
        orders = {order.client_order_id: order for order in again.cache.orders()}
        assert [orders[name].filled_quantity for name in names] == [2, D("0.5"), 0]
        assert [orders[name].status.value for name in names] == [
            "filled",
            "partially_filled",
            "accepted",
        ]
        assert again.cache.net_quantity(PAIR.id) == D("2.5")
        assert held(second) == place.balances()

    play(place, second, look)
    assert second.journal().state().was_killed is False
    assert second.journal().fills().quantity.tolist() == [D(2), D("0.5")]


@pytest.mark.parametrize("arrives", [True, False])
def test_an_order_whose_answer_was_lost_is_asked_for_and_never_sent_twice(
    place: Place, arrives: bool
) -> None:
    desk = Desk()
    first = place.node(desk)

    async def trade() -> None:
        lost = {"lose_answer" if arrives else "lose_request": 1.0}
        place.fake.set_faults(Faults(drop=1.0, **lost))
        order = desk.rest()
        await until(lambda: bool(place.placed) or not arrives, first)
        await until(lambda: order.is_in_flight, first)

    play(place, first, trade, dies=True)
    place.fake.set_faults(Faults())
    state = Journal.read_only(place.folder / "journals" / "TRADER-001.sqlite").state()
    (unknown,) = state.book("FAKE-001").unknown
    again = Desk()
    second = place.node(again)

    async def look() -> None:
        (order,) = again.cache.orders()
        assert order.client_order_id == unknown.client_order_id
        if arrives:
            await until(lambda: order.is_open, second)
        else:
            await until(lambda: second.unknown_orders, second)
            assert list(second.unknown_orders) == [order.client_order_id]
            assert order.status is OrderStatus.SUBMITTED

    play(place, second, look)
    assert list(place.market.submits.values()) == [1] * arrives


def test_an_order_that_certainly_never_left_is_rejected_at_the_next_start(place: Place) -> None:
    desk = Desk()
    first = place.node(desk)

    async def trade() -> None:
        # Handled, and the process dies before the client has written its request down.
        taken: list[Any] = []
        for client in first.core.execution.clients:
            client.submit_order = taken.append  # type: ignore[method-assign]
        desk.rest()
        await until(lambda: taken, first)

    play(place, first, trade, dies=True)
    again = Desk()
    second = place.node(again)

    async def look() -> None:
        (order,) = again.cache.orders()
        assert order.status is OrderStatus.REJECTED

    play(place, second, look)
    assert place.placed == []


def test_an_order_of_nobody_is_external_or_of_who_claims_it(place: Place) -> None:
    desk = Desk()
    first = place.node(desk, trader_id="OTHER")

    async def trade() -> None:
        order = desk.rest()
        await until(lambda: order.is_open, first)

    play(place, first, trade)
    stranger = Desk()
    second = place.node(stranger)

    async def look() -> None:
        (order,) = second.core.cache.orders_open()
        assert order.strategy_id == EXTERNAL

    play(place, second, look)
    third = place.node(Desk())

    async def still() -> None:
        (order,) = third.core.cache.orders_open()
        assert order.strategy_id == EXTERNAL

    play(place, third, still)


def test_one_account_is_traded_by_one_node(place: Place) -> None:
    first, second = place.node(Desk()), place.node(Desk(), trader_id="OTHER")

    async def main() -> None:
        first.build()
        running = asyncio.create_task(first.run_async())
        await until(lambda: first.phase == "running", first)
        second.build()
        with pytest.raises(LeaseError, match=r"FAKE-001 is traded by TRADER-001"):
            await second.run_async()
        await first.stop_async()
        await running

    asyncio.run(main())
    second.dispose()
    first.dispose()
    assert Leases(place.folder / "leases.sqlite").holders() == []


def test_a_second_node_of_one_trader_is_not_even_built(place: Place) -> None:
    first, second = place.node(Desk()), place.node(Desk())
    first.build()
    with pytest.raises(JournalError, match="written by another node"):
        second.build()
    assert second.state == "CREATED"
    first.dispose()
    second.build()
    second.dispose()


def test_a_start_and_a_stop_send_and_cancel_nothing_by_themselves(place: Place) -> None:
    desk = Desk()
    first = place.node(desk)

    async def trade() -> None:
        resting, bought = desk.rest(), desk.buy()
        await until(lambda: resting.is_open and bought.is_closed, first)

    play(place, first, trade)
    first.dispose()
    before = [(one.order.client_order_id, one.status, one.filled) for one in place.placed]
    submits = dict(place.market.submits)
    second = place.node(Desk())

    async def look() -> None:
        assert len(second.orders()) == 2
        assert len(second.positions()) == 1

    play(place, second, look)
    second.dispose()
    assert [(one.order.client_order_id, one.status, one.filled) for one in place.placed] == before
    assert place.market.submits == submits


def test_a_real_account_needs_a_journal() -> None:
    node = make_node(Desk(), market=Market())
    node.add_exec_client_factory(Market(venue="REAL", is_simulated=False))
    with pytest.raises(wb.ConfigError, match="REAL-EXEC trades a real account"):
        node.build()
    assert node.state == "CREATED"
    node.dispose()


def test_a_journal_that_cannot_be_written_halts_and_lets_cancels_leave(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    node = place.node(desk)

    async def trade() -> None:
        resting = desk.rest()
        await until(lambda: resting.is_open, node)
        journaling = node._journaling
        assert journaling is not None
        store: Any = journaling.journal._commits._store  # type: ignore[attr-defined]
        await journaling.journal.durable()
        count = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store.limit_pages(count)
        for number in range(500):
            journaling.journal.append("time", TimeEvent("x" * 500, number, number))
        await until(lambda: node.trading_state == "halted", node)
        desk.cancel_order(resting)
        await until(lambda: resting.is_closed, node)
        denied = desk.buy()
        await until(lambda: denied.is_closed, node)
        assert denied.status is OrderStatus.DENIED

    with pytest.raises(JournalError):
        play(place, node, trade)
    assert [p.status.value for p in place.placed] == ["canceled"]
    assert isinstance(node.fault, JournalError)
    assert "halted" in caplog.text
    node.dispose()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "position in BTC/USDT.FAKE: 3 at the venue, 0 here"),
        ({"align_positions": True}, "no price is known to align them"),
    ],
)
def test_a_position_that_differs_is_no_start(
    place: Place, settings: dict[str, Any], said: str
) -> None:
    desk = Desk()
    first = place.node(desk, trader_id="OTHER")

    async def trade() -> None:
        bought = desk.buy(3)
        await until(lambda: bought.is_closed, first)

    play(place, first, trade)
    again = Desk()
    second = place.node(again, **settings)

    async def refused() -> None:
        second.build()
        with pytest.raises(ReconciliationError, match=said):
            await second.run_async()

    asyncio.run(refused())
    second.dispose()
    assert again.state in ("READY", "DISPOSED")
    assert Leases(place.folder / "leases.sqlite").holders() == []


def test_an_order_found_at_the_venue_is_of_the_strategy_that_claims_its_instrument(
    place: Place,
) -> None:
    desk = Desk()
    first = place.node(desk, trader_id="OTHER")

    async def trade() -> None:
        order = desk.rest()
        await until(lambda: order.is_open, first)

    play(place, first, trade)
    for _ in range(2):  # the second time from the journal
        claims = Desk()
        claims.external_order_claims = (PAIR.id,)
        node = place.node(claims)

        async def look(claims: Desk = claims) -> None:
            (order,) = claims.cache.orders_open()
            assert order.strategy_id == "Desk-001"

        play(place, node, look)

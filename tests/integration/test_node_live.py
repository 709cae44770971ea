"""A live node at the venue in memory, in virtual time: what it asks, when, and what it shows.

The client's settings are those that a user gets who says nothing, unless a test says otherwise.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import workbench as wb
from tests.trials.fault_life import ACCOUNT, PAIR, Life
from tests.trials.fault_venue import Process
from workbench.engines.external import EXTERNAL
from workbench.model.enums import OrderStatus
from workbench.model.errors import ConfigError
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId
from workbench.node import ReconciliationError
from workbench.runtime.virtual_time import START_NS, run_virtual
from workbench.venues import ExecutionSettings, InquirySettings, LinkSettings
from workbench.venues.fake import FAKE, FakeVenue, Faults

BY_HAND = ClientOrderId("web-1")
DEAF = Faults(drop=1.0)
CALM = Faults()
D = Decimal


class Desk(wb.Strategy):
    """Sends what a test tells it to."""

    def on_start(self) -> None:
        self.subscribe_quotes(PAIR.id)

    def rest(self, price: str = "90", quantity: int = 2) -> wb.Order:
        order = self.orders.limit(PAIR.id, "buy", quantity, price)
        self.submit_order(order)
        return order


class Claimer(Desk):
    """Takes what is found at the venue for its own."""

    external_order_claims = (PAIR.id,)


class Place:
    """A venue in virtual time, and lives of nodes on one journal.

    Args:
        folder: For the journal.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: Counter[ClientOrderId] = Counter()
        self.venue: FakeVenue
        self.life: Life

    def play(self, work: Callable[[Place], Awaitable[None]]) -> None:
        """Play a test in virtual time; the node that still runs is stopped at its end."""

        async def main() -> None:
            loop = asyncio.get_running_loop()
            self.venue = FakeVenue(
                [PAIR],
                clock_ns=lambda: START_NS + round(loop.time() * 1e9),
                balances={"USDT": 100_000, "BTC": 10},
            )
            self.venue.market.quote(PAIR.id, 99.99, 100.01)
            await work(self)
            if not self.life.is_over:
                await self.life.stop()

        run_virtual(main())

    async def begin(self, desk: Desk, settings: ExecutionSettings | None = None) -> Life:
        """Let a node start, and return once it runs or has failed to."""
        process = Process(self.sent, set())
        self.life = Life(self.venue, process, self.folder, desk, settings=settings)
        self.life.begin()
        await self.life.until_running()
        return self.life

    def by_hand(self, quantity: int = 2) -> None:
        """Let the account's owner place an order to buy at 90 from elsewhere."""
        order = OrderInitialized(
            strategy_id=EXTERNAL,
            instrument_id=PAIR.id,
            client_order_id=BY_HAND,
            side=wb.OrderSide.BUY,
            order_type=wb.OrderType.LIMIT,
            quantity=D(quantity),
            price=D(90),
            time_in_force=wb.TimeInForce.GTC,
            ts_event=0,
            ts_init=0,
        )
        self.venue.market.submit(ACCOUNT, order)

    def fill(self, name: ClientOrderId, quantity: str | None = None) -> None:
        """Let somebody take an order, or so much of it."""
        self.venue.market.fill(ACCOUNT, name, quantity)

    @property
    def now_s(self) -> float:
        """Return the time since the test began."""
        return asyncio.get_running_loop().time()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def until(place: Place, condition: Callable[[], Any], within_s: float) -> float:
    """Wait until something holds, within so long of virtual time; return when it did."""
    end_s = place.now_s + within_s
    while not condition():
        assert place.now_s < end_s, "it never came to be"
        await asyncio.sleep(0.01)
    return place.now_s


def test_an_order_without_an_answer_is_asked_for_five_times_and_then_shown_as_unknown(
    place: Place,
) -> None:
    asked: list[float] = []

    async def work(place: Place) -> None:
        desk = Desk()
        node = (await place.begin(desk)).node
        (client,) = node.core.execution.clients
        ask = client.brokerd.order_status_reports  # pyright: ignore

        async def noted(query: Any) -> Any:
            if query.client_order_id is not None:
                asked.append(place.now_s)
            return await ask(query)

        client.brokerd.order_status_reports = noted  # pyright: ignore
        place.venue.wire(ACCOUNT).lose_requests = 1
        sent_s, order = place.now_s, desk.rest()
        assert node.unknown_orders == {}
        unknown_s = await until(place, lambda: node.unknown_orders, 60)
        # 5 s for the answer, 1 s more for a message, then four times 5 s: and no regular check
        # asked for it besides.
        assert 20 < unknown_s - sent_s < 35
        assert "asked 5 times" in node.unknown_orders[order.client_order_id]
        assert len(asked) == 5
        assert all(later - before > 4.9 for before, later in itertools.pairwise(asked))
        await asyncio.sleep(600)
        # Once with every regular check from then on.
        assert 18 <= len(asked) - 5 <= 21
        assert order.status is OrderStatus.SUBMITTED
        assert place.sent[order.client_order_id] == 1
        assert order.client_order_id in node.unknown_orders

    place.play(work)


def test_an_unknown_order_that_arrives_late_is_known_again_and_no_longer_shown(
    place: Place,
) -> None:
    async def work(place: Place) -> None:
        desk = Desk()
        node = (await place.begin(desk)).node
        place.venue.wire(ACCOUNT).lose_requests = 1
        order = desk.rest()
        await until(place, lambda: node.unknown_orders, 60)
        place.venue.market.submit(ACCOUNT, order.to_initialized())
        await until(place, lambda: order.status is OrderStatus.ACCEPTED, 5)
        assert node.unknown_orders == {}

    place.play(work)


def test_an_unknown_order_stays_unknown_over_the_death_of_its_node(place: Place) -> None:
    async def work(place: Place) -> None:
        desk = Desk()
        life = await place.begin(desk)
        place.venue.wire(ACCOUNT).lose_requests = 1
        name = desk.rest().client_order_id
        await until(place, lambda: place.sent[name], 5)
        await life.die()
        node = (await place.begin(Desk())).node
        await until(place, lambda: name in node.unknown_orders, 60)
        known = node.core.cache.order(name)
        assert known is not None
        assert known.status is OrderStatus.SUBMITTED
        assert place.sent[name] == 1

    place.play(work)


def test_what_no_message_told_of_is_found_by_the_regular_check(place: Place) -> None:
    async def work(place: Place) -> None:
        desk = Desk()
        node = (await place.begin(desk)).node
        filled, ended = desk.rest(), desk.rest("91")
        await until(place, lambda: ended.status is OrderStatus.ACCEPTED, 5)
        place.venue.set_faults(DEAF)
        place.fill(filled.client_order_id)
        place.venue.market.expire(ACCOUNT, ended.client_order_id)
        place.by_hand()
        place.venue.set_faults(CALM)
        await until(place, lambda: filled.status is OrderStatus.FILLED, 40)
        await until(place, lambda: ended.status is OrderStatus.EXPIRED, 40)
        (found,) = node.core.cache.orders(strategy_id=EXTERNAL)
        assert found.client_order_id == BY_HAND
        account = node.core.cache.account(ACCOUNT)
        assert account is not None
        assert {b.currency: b.total for b in account.balances} == place.venue.market.balances(
            ACCOUNT
        )

    place.play(work)


def test_a_position_that_differs_while_running_is_told_once_it_is_certain(place: Place) -> None:
    async def work(place: Place) -> None:
        node = (await place.begin(Desk())).node
        market = place.venue.market
        place.venue.set_faults(DEAF)
        place.by_hand()
        place.fill(BY_HAND)
        # As of a transfer, say: no fill tells of it.
        market.fills[-1] = msgspec.structs.replace(market.fills[-1], ts_event=0)
        place.venue.set_faults(CALM)
        unreconciled = node.core.execution.unreconciled
        await until(place, lambda: unreconciled, 100)
        assert "2 at the venue, 0 here" in unreconciled[0][1]

    place.play(work)


def test_regular_checks_ask_little_and_can_be_set_or_switched_off(place: Place) -> None:
    def settings(every_s: float | None) -> ExecutionSettings:
        return ExecutionSettings(check_interval_s=every_s)

    async def requests_in(place: Place, given: ExecutionSettings | None, span_s: float) -> int:
        life = await place.begin(Desk(), given)
        (client,) = life.node.core.execution.clients
        count, call = 0, place.venue.wire(ACCOUNT).call

        async def counted(work: Any) -> Any:
            nonlocal count
            count += work.__qualname__.startswith("FakeBrokerd.") and "ping" not in (
                work.__qualname__
            )
            return await call(work)

        place.venue.wire(ACCOUNT).call = counted  # pyright: ignore
        assert client is not None
        await asyncio.sleep(span_s)
        place.venue.wire(ACCOUNT).call = call  # pyright: ignore
        await life.stop()
        return count

    async def work(place: Place) -> None:
        span_s = 600.0
        skews = await requests_in(place, settings(None), span_s)
        usual = await requests_in(place, None, span_s)
        often = await requests_in(place, settings(5.0), span_s)
        # Four questions every 30 s: of the 6,000 a minute that Binance allows, some 200.
        assert (usual - skews) / (span_s / 30) == pytest.approx(4, abs=0.5)
        assert (often - skews) / (span_s / 5) == pytest.approx(4, abs=0.5)

    place.play(work)


def test_an_order_found_at_the_start_is_as_large_as_it_is_though_a_part_has_filled(
    place: Place,
) -> None:
    async def work(place: Place) -> None:
        life = await place.begin(Desk())
        await life.stop()
        place.by_hand()
        place.fill(BY_HAND, "0.5")
        node = (await place.begin(Claimer())).node
        order = node.core.cache.order(BY_HAND)
        assert order is not None
        assert (order.status, order.quantity) == (OrderStatus.PARTIALLY_FILLED, 2)
        assert order.filled_quantity == D("0.5")
        assert order.strategy_id == "Claimer-001"
        assert node.core.execution.unreconciled == []

    place.play(work)


def test_what_a_strategy_does_with_a_claimed_order_can_be_read_back_from_the_journal(
    place: Place,
) -> None:
    async def work(place: Place) -> None:
        claimer = Claimer()
        life = await place.begin(claimer)
        place.by_hand()
        cache = life.node.core.cache
        await until(place, lambda: cache.order(BY_HAND), 5)
        order = cache.order(BY_HAND)
        assert order is not None
        claimer.modify_order(order, quantity=3)
        await until(place, lambda: order.quantity == 3, 5)
        await life.die()
        node = (await place.begin(Claimer())).node
        again = node.core.cache.order(BY_HAND)
        assert again is not None
        assert (again.quantity, again.strategy_id) == (3, "Claimer-001")

    place.play(work)


@pytest.mark.parametrize("fills", [False, True])
def test_a_change_that_a_node_did_not_live_to_hear_of_is_there_after_the_restart(
    place: Place, fills: bool
) -> None:
    async def work(place: Place) -> None:
        desk = Desk()
        life = await place.begin(desk)
        order = desk.rest()
        name = order.client_order_id
        await until(place, lambda: order.status is OrderStatus.ACCEPTED, 5)
        place.venue.set_faults(Faults(drop=1.0, delay_s=1.0))
        desk.modify_order(order, quantity=5)
        placed = place.venue.market.orders[ACCOUNT, name]
        await until(place, lambda: placed.quantity == 5, 5)
        assert order.status is OrderStatus.PENDING_UPDATE
        await life.die()
        place.venue.set_faults(CALM)
        if fills:
            place.fill(name)
        node = (await place.begin(Desk())).node
        again = node.core.cache.order(name)
        assert again is not None
        await until(place, lambda: again.status is placed.status, 30)
        assert again.quantity == 5
        assert again.filled_quantity == placed.filled == (5 if fills else 0)
        assert node.refused_events == []
        assert node.core.cache.net_quantity(PAIR.id) == placed.filled

    place.play(work)


def test_a_second_change_after_a_lost_answer_loses_no_fill_of_the_first(place: Place) -> None:
    async def work(place: Place) -> None:
        desk = Desk()
        node = (await place.begin(desk)).node
        order = desk.rest()
        name = order.client_order_id
        await until(place, lambda: order.status is OrderStatus.ACCEPTED, 5)
        place.venue.set_faults(DEAF)
        place.venue.wire(ACCOUNT).lose_answers = 1
        desk.modify_order(order, quantity=5)
        placed = place.venue.market.orders[ACCOUNT, name]
        await until(place, lambda: placed.quantity == 5, 5)
        place.fill(name)
        desk.modify_order(order, quantity=3)
        place.venue.set_faults(CALM)
        await until(place, lambda: order.status is OrderStatus.FILLED, 60)
        assert order.filled_quantity == order.quantity == 5
        assert node.refused_events == []
        trades = [fill.trade_id for fill in node.journal().state().fills]
        assert trades == [fill.trade_id for fill in place.venue.market.fills]

    place.play(work)


def test_a_strategy_is_not_started_while_the_venue_says_nothing(place: Place) -> None:
    async def work(place: Place) -> None:
        place.venue.wire(ACCOUNT).lose_requests = 10
        life = await place.begin(Desk())
        assert isinstance(await life.failed(), (wb.WorkbenchError, ReconciliationError))
        assert not life.has_started
        place.venue.wire(ACCOUNT).lose_requests = 0
        await place.begin(Desk())

    place.play(work)


def test_settings_are_checked_and_a_node_waits_as_they_say(place: Place) -> None:
    with pytest.raises(ConfigError, match="check_interval_s must be above 0, in seconds; got -1"):
        ExecutionSettings(check_interval_s=-1)
    with pytest.raises(ConfigError, match="queries must be 1 or more"):
        InquirySettings(queries=0)
    with pytest.raises(ConfigError, match="no field 'check_interval'"):
        ExecutionSettings(check_interval=5)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="request_timeout_s must be above 0, in seconds; got '5'"):
        ExecutionSettings(request_timeout_s="5")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"inquiry is wb.InquirySettings\(...\); got 5"):
        ExecutionSettings(inquiry=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"settings is wb.ExecutionSettings\(...\); got 30"):
        wb.VenueAccount(FAKE, ACCOUNT, settings=30, fake=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"settings is wb.LinkSettings\(...\); got Exec"):
        wb.VenueData(FAKE, settings=ExecutionSettings(), fake=None)  # type: ignore[arg-type]
    assert wb.ExecutionSettings is ExecutionSettings
    quick = ExecutionSettings(
        request_timeout_s=0.5,
        inquiry=InquirySettings(queries=2, first_wait_s=0.1, wait_s=0.2),
        link=LinkSettings(first_back_off_s=0.1),
    )

    async def work(place: Place) -> None:
        desk = Desk()
        node = (await place.begin(desk, quick)).node
        place.venue.wire(ACCOUNT).lose_requests = 1
        name = desk.rest().client_order_id
        await until(place, lambda: node.unknown_orders, 2)
        assert "asked 2 times" in node.unknown_orders[name]

    place.play(work)

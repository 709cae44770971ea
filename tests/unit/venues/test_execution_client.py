"""The execution client on the venue in memory: what leaves, when, and what is certain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from workbench.model.commands import CancelOrder, QueryOrder, SubmitOrder
from workbench.model.enums import OrderStatus
from workbench.model.reports import FillReport, OrderStatusReport
from workbench.venues import LinkState, RateLimit
from workbench.venues.fake import FAKE, Faults
from workbench.venues.outbox import PATIENCE_S
from workbench.venues.testing import FakeTrial, VenueSession

Test = Callable[[FakeTrial, VenueSession], Awaitable[None]]


class Notebook:
    """Writes down, and lets a test hold up what is safe.

    Attributes:
        written: Kind and payload, in order.
        failure: What writing down a request raises; `disk_failure` what waiting for it does.
    """

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []
        self.is_safe = asyncio.Event()
        self.is_safe.set()
        self.failure: Exception | None = None
        self.disk_failure: Exception | None = None

    def append(self, kind: str, payload: msgspec.Struct) -> int:
        if self.failure is not None and kind == "request":
            raise self.failure
        self.written.append((kind, payload))
        return len(self.written)

    async def durable(self, sequence: int) -> None:
        await self.is_safe.wait()
        if self.disk_failure is not None:
            raise self.disk_failure


def play(test: Test, *, journal: Any = None, **options: Any) -> None:
    trial = FakeTrial(**options)

    async def work() -> None:
        async with VenueSession(trial, journal=journal) as session:
            await test(trial, session)

    trial.run(work())


async def accepted(session: VenueSession, name: Any) -> None:
    await session.until(lambda: session.order(name).status is OrderStatus.ACCEPTED, "accepted")


def test_nothing_leaves_before_it_is_written_down_and_safe() -> None:
    journal = Notebook()

    async def test(trial: FakeTrial, session: VenueSession) -> None:
        journal.is_safe.clear()
        name = session.limit("buy", 90)
        await asyncio.sleep(1)
        assert [type(p) for kind, p in journal.written if kind == "request"] == [SubmitOrder]
        assert await trial.submits_of(name) == 0
        journal.is_safe.set()
        await accepted(session, name)
        assert await trial.submits_of(name) == 1
        await trial.fill(name, Decimal(1))
        await session.until(lambda: session.order(name).is_closed, "filled")
        reports = [p for kind, p in journal.written if kind == "report"]
        assert any(isinstance(one, FillReport) for one in reports)
        assert any(isinstance(one, OrderStatusReport) for one in reports)

    play(test, journal=journal)


def test_an_order_that_cannot_be_written_down_is_rejected_and_never_sent() -> None:
    journal = Notebook()

    async def test(trial: FakeTrial, session: VenueSession) -> None:
        journal.failure = OSError("the disk is full")
        name = session.limit("buy", 90)
        await session.until(lambda: session.order(name).is_closed, "it ends")
        assert session.order(name).status is OrderStatus.REJECTED
        assert "the disk is full" in session.order(name).reason
        assert await trial.submits_of(name) == 0
        journal.failure = None

    play(test, journal=journal)


@pytest.mark.parametrize("breaks", ["append", "disk", "hangs", "hangs behind an order"])
def test_a_cancel_leaves_whatever_becomes_of_the_journal(
    breaks: str, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Notebook()

    async def test(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("buy", 90)
        await accepted(session, name)
        if breaks == "append":
            journal.failure = OSError("the disk is full")
        elif breaks == "disk":
            journal.disk_failure = OSError("the disk is full")
        else:
            journal.is_safe.clear()
        if breaks == "hangs behind an order":
            waiting = session.limit("buy", 91)
            await asyncio.sleep(0.5)
        session.desk.cancel_order(session.order(name))
        await session.until(lambda: session.order(name).is_closed, "it ends")
        assert session.order(name).status is OrderStatus.CANCELED
        if breaks == "hangs behind an order":
            assert await trial.submits_of(waiting) == 0
            journal.is_safe.set()
            await accepted(session, waiting)
            assert await trial.submits_of(waiting) == 1
        journal.failure = journal.disk_failure = None
        journal.is_safe.set()

    play(test, journal=journal)
    assert "a cancel leaves all the same" in caplog.text


def test_cancels_wait_for_a_disk_that_hangs_all_at_once_not_one_after_the_other() -> None:
    journal = Notebook()

    async def test(trial: FakeTrial, session: VenueSession) -> None:
        names = [session.limit("buy", 90) for _ in range(5)]
        for name in names:
            await accepted(session, name)
        journal.is_safe.clear()
        began = asyncio.get_running_loop().time()
        for name in names:
            session.desk.cancel_order(session.order(name))
        await session.until(lambda: all(session.order(name).is_closed for name in names), "ended")
        assert asyncio.get_running_loop().time() - began < 2 * PATIENCE_S  # of virtual time
        journal.is_safe.set()

    play(test, journal=journal)


def test_of_an_order_one_cancel_waits_and_a_change_that_waits_behind_it_never_leaves() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("buy", 90)
        await accepted(session, name)
        order = session.order(name)
        outbox = session.execution._entry.outbox
        session.execution.link.up.clear()
        session.desk.modify_order(order, price=Decimal(89))
        await session.until(lambda: len(outbox) == 1, "the change waits")
        for _ in range(3):
            session.desk.cancel_order(order)
            await asyncio.sleep(0.1)
        assert len(outbox) == 2
        session.execution.link.up.set()
        await session.until(lambda: order.is_closed, "it ends")
        assert order.status is OrderStatus.CANCELED
        assert order.price == Decimal(90)
        await session.until(lambda: "OrderModifyRejected" in session.desk.kinds(name), "refused")
        assert "OrderUpdated" not in session.desk.kinds(name)

    play(test)


def test_an_order_without_a_connection_is_rejected_and_a_cancel_waits() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        resting = session.limit("buy", 90)
        await accepted(session, resting)
        await trial.break_connections()
        name = session.limit("buy", 91)
        session.desk.cancel_order(session.order(resting))
        await session.until(lambda: session.order(name).is_closed, "it ends")
        assert session.order(name).status is OrderStatus.REJECTED
        assert "no connection" in session.order(name).reason
        assert await trial.submits_of(name) == 0
        await session.until(
            lambda: session.order(resting).status is OrderStatus.CANCELED, "the cancel leaves"
        )

    play(test)


def test_an_order_the_venue_does_not_know_stays_in_flight_and_is_shown_as_unknown() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        await trial.lose_next_request()
        name = session.limit("buy", 90)
        await session.until(lambda: name in session.execution.unknown_orders, "unknown")
        assert "asked 5 times" in session.execution.unknown_orders[name]
        await asyncio.sleep(600)
        assert session.order(name).status is OrderStatus.SUBMITTED
        assert await trial.submits_of(name) == 0

    play(test)


def test_an_unknown_order_that_turns_up_is_known_again() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        await trial.lose_next_request()
        name = session.limit("buy", 90)
        await session.until(lambda: name in session.execution.unknown_orders, "unknown")
        trial.fake.market.submit(trial.account_id, session.order(name).to_initialized())
        await accepted(session, name)
        assert name not in session.execution.unknown_orders

    play(test)


def test_not_knowing_an_order_proves_that_it_never_came_where_requests_expire() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        await trial.lose_next_request()
        name = session.limit("buy", 90)
        await asyncio.sleep(6)
        assert session.order(name).status is OrderStatus.SUBMITTED
        await session.until(lambda: session.order(name).is_closed, "it is proven")
        assert session.order(name).status is OrderStatus.REJECTED
        assert "never came to the venue" in session.order(name).reason

    play(test, plugin=msgspec.structs.replace(FAKE, submit_expiry_s=1.0))


def test_cancels_leave_before_orders_that_wait_for_the_rate() -> None:
    limited = msgspec.structs.replace(FAKE, rate_limits=(RateLimit(count=5, interval_s=2.0),))

    async def test(trial: FakeTrial, session: VenueSession) -> None:
        await asyncio.sleep(3)
        resting = session.limit("buy", 90)
        await accepted(session, resting)
        await asyncio.sleep(3)
        names = [session.limit("buy", 80 + n) for n in range(8)]
        await asyncio.sleep(0.1)
        session.desk.cancel_order(session.order(resting))
        await asyncio.sleep(0.1)
        assert session.order(resting).status is OrderStatus.CANCELED
        waiting = [n for n in names if session.order(n).status is OrderStatus.SUBMITTED]
        assert len(waiting) >= 4
        await session.until(lambda: all(not session.order(n).is_in_flight for n in names), "all")
        late = [session.order(n) for n in names if session.order(n).is_closed]
        assert all("rate limits" in order.reason for order in late)

    play(test, plugin=limited)


def test_an_order_cancelled_before_it_left_never_leaves() -> None:
    journal = Notebook()

    async def test(trial: FakeTrial, session: VenueSession) -> None:
        journal.is_safe.clear()
        name = session.limit("buy", 90)
        await asyncio.sleep(0.1)
        session.desk.cancel_order(session.order(name))
        await session.until(lambda: session.order(name).is_closed, "it ends")
        journal.is_safe.set()
        await asyncio.sleep(1)
        assert session.order(name).status is OrderStatus.CANCELED
        assert await trial.submits_of(name) == 0

    play(test, journal=journal)


def test_a_refused_rate_stops_sending_for_as_long_as_the_venue_asks() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        trial.fake.rate_limit = 1
        first, second = session.limit("buy", 90), session.limit("buy", 91)
        await session.until(lambda: session.order(second).is_closed, "the second is refused")
        assert "429" in session.order(second).reason
        await accepted(session, first)
        third = session.limit("buy", 92)
        await accepted(session, third)

    play(test)


def test_a_fill_whose_message_is_dropped_is_found_by_the_regular_check() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("buy", 90)
        await accepted(session, name)
        trial.fake.set_faults(Faults(drop=1.0))
        await trial.fill(name, Decimal(1))
        trial.fake.set_faults(Faults())
        await session.until(lambda: session.order(name).status is OrderStatus.FILLED, "found")
        assert session.order(name).commission == Decimal("0.045")

    play(test)


def test_an_order_of_somebody_else_is_told_as_external() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        order = session.desk.orders.limit(trial.instrument_id, "buy", 1, 90).to_initialized()
        foreign: Any = msgspec.structs.replace(order, client_order_id="web-1")
        trial.fake.market.place(trial.account_id, foreign)
        await session.until(lambda: session.cache.order("web-1"), "it is known")
        assert session.order(foreign.client_order_id).status is OrderStatus.ACCEPTED

    play(test)


def test_a_query_is_answered_by_a_report() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("buy", 90)
        await accepted(session, name)
        heard: list[Any] = []
        session.core.bus.subscribe(f"reports.{trial.account_id}", heard.append)
        order = session.order(name)
        session.execution.query_order(
            QueryOrder(
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=name,
                ts_init=0,
            )
        )
        await session.until(lambda: heard, "the answer")
        assert heard[0].client_order_id == name

    play(test)


def test_a_cancel_of_an_order_nobody_knows_is_refused() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        heard: list[Any] = []
        session.core.bus.subscribe("events.refused.*", heard.append)
        unknown: Any = "O-9"
        session.execution.cancel_order(
            CancelOrder(
                strategy_id=session.desk.strategy_id,
                instrument_id=trial.instrument_id,
                client_order_id=unknown,
                ts_init=0,
            )
        )
        await session.until(lambda: heard, "the refusal")
        assert "knows no order O-9" in heard[0][0].reason

    play(test)


def test_disconnecting_refuses_what_waits_and_ends_every_task() -> None:
    journal = Notebook()
    trial = FakeTrial()

    async def work() -> None:
        before = asyncio.all_tasks()
        async with VenueSession(trial, journal=journal) as session:
            journal.is_safe.clear()
            name = session.limit("buy", 90)
            await asyncio.sleep(0.1)
        assert session.order(name).status is OrderStatus.REJECTED
        assert "disconnected before it left" in session.order(name).reason
        assert session.execution.link.state is LinkState.CLOSED
        assert asyncio.all_tasks() - before == set()

    trial.run(work())


def test_a_report_that_cannot_be_taken_does_not_end_the_stream(caplog: Any) -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        take, failed = session.execution.tracking.take, []

        def fail_once(report: Any, **more: Any) -> None:
            if not failed and isinstance(report, FillReport):
                failed.append(report)
                raise ValueError("a fee currency nobody knows")
            take(report, **more)

        session.execution.tracking.take = fail_once
        name = session.limit("buy", 90)
        await accepted(session, name)
        await trial.fill(name, Decimal(1))
        await session.until(lambda: session.order(name).status is OrderStatus.FILLED, "filled")
        assert failed
        assert session.execution.link.reconnects == 1

    play(test)
    assert "a fee currency nobody knows" in caplog.text


@pytest.mark.parametrize("answers", [True, False])
def test_a_cancel_of_all_leaves_orders_of_others_alone(answers: bool) -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        mine = session.limit("buy", 90)
        await accepted(session, mine)
        order = session.order(mine).to_initialized()
        foreign: Any = msgspec.structs.replace(order, client_order_id="web-1")
        session.core.execution.external._claims.clear()  # pyright: ignore
        trial.fake.market.place(trial.account_id, foreign)
        await session.until(lambda: session.cache.order("web-1"), "it is known")
        session.desk.cancel_all_orders(trial.instrument_id)
        await session.until(lambda: session.order(mine).is_closed, "mine ends")
        await asyncio.sleep(1)
        assert session.order(foreign.client_order_id).is_open
        await session.execution.cancel_account_orders(trial.instrument_id)
        await session.until(lambda: session.order(foreign.client_order_id).is_closed, "all end")

    play(test, answers=answers)

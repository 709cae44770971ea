"""A later session of an account: orders that an earlier one left are known and looked for."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from workbench.model.enums import OrderStatus
from workbench.model.orders import Order
from workbench.venues.testing import FakeTrial, VenueSession


async def left_behind(trial: FakeTrial, *, is_known: bool) -> Order:
    """Return an order whose session was cut off, before or after it heard of its arrival."""
    first = VenueSession(trial)
    await first.__aenter__()
    if not is_known:
        trial.fake.wire(trial.account_id).lose_answers = 1
        trial.fake.market.on_report = lambda *_: None
    name = first.limit("buy", 90)
    wanted = OrderStatus.ACCEPTED if is_known else OrderStatus.SUBMITTED
    await first.until(lambda: trial.fake.market.submits, "it arrives")
    await first.until(lambda: first.order(name).status is wanted, "it is as wanted")
    await first.leave()
    trial.fake.market.on_report = trial.fake._report  # pyright: ignore[reportPrivateUsage]
    return first.order(name)


def take_over(trial: FakeTrial, order: Order) -> VenueSession:
    """Return a session whose books were read back, not begun yet."""
    session = VenueSession(trial, run_tag="2")
    session.cache.add_instrument(trial.pair)
    session.cache.add_order(order)
    session.cache.update_order(order)
    return session


def test_an_order_that_was_on_its_way_is_found_by_its_id_and_not_sent_again() -> None:
    trial = FakeTrial()

    async def work() -> None:
        order = await left_behind(trial, is_known=False)
        assert order.status is OrderStatus.SUBMITTED
        async with take_over(trial, order) as session:
            await session.until(lambda: order.status is OrderStatus.ACCEPTED, "it is found")
            assert await trial.submits_of(order.client_order_id) == 1

    trial.run(work())


def test_an_order_that_was_on_its_way_and_never_came_is_unknown() -> None:
    trial = FakeTrial()

    async def work() -> None:
        order = await left_behind(trial, is_known=False)
        trial.fake.market.orders.clear()
        async with take_over(trial, order) as session:
            name = order.client_order_id
            await session.until(lambda: name in session.execution.unknown_orders, "unknown")
            await asyncio.sleep(300)
            assert order.status is OrderStatus.SUBMITTED
            assert await trial.submits_of(name) == 1

    trial.run(work())


def test_what_filled_between_two_sessions_counts_once() -> None:
    trial = FakeTrial()

    async def work() -> None:
        order = await left_behind(trial, is_known=True)
        await trial.fill(order.client_order_id, Decimal("0.25"))
        session = take_over(trial, order)
        session.execution.fills_since_ns = order.ts_init
        async with session:
            await trial.fill(order.client_order_id, Decimal("0.25"))
            await session.until(lambda: order.filled_quantity == Decimal("0.5"), "both")
            await session.execution.refresh()
            await asyncio.sleep(1)
            assert order.filled_quantity == Decimal("0.5")
            assert order.commission == Decimal("0.0225")
            assert len(order.trade_ids) == 2
            assert session.core.execution.unreconciled == []

    trial.run(work())


def test_an_order_that_ended_between_two_sessions_is_over() -> None:
    trial = FakeTrial()

    async def work() -> None:
        order = await left_behind(trial, is_known=True)
        trial.fake.market.expire(trial.account_id, order.client_order_id)
        async with take_over(trial, order) as session:
            await session.until(lambda: order.status is OrderStatus.EXPIRED, "it is over")
            state: Any = await session.execution.venue_state()
            assert state.orders == []

    trial.run(work())

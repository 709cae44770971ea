"""Orders in the account that came by another way, and whose a report is that names no order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec

from workbench.model.enums import OrderStatus
from workbench.model.events import OrderUpdated
from workbench.model.identifiers import ClientOrderId
from workbench.venues import OrderChange
from workbench.venues.fake import Faults
from workbench.venues.testing import FakeTrial, VenueSession

BY_HAND = ClientOrderId("web-1")


def play(test: Callable[[FakeTrial, VenueSession], Awaitable[None]], **options: Any) -> None:
    trial = FakeTrial(**options)

    async def work() -> None:
        async with VenueSession(trial) as session:
            await test(trial, session)

    trial.run(work())


def place_by_hand(trial: FakeTrial, session: VenueSession, quantity: int = 2) -> None:
    """Let the account's owner place an order to buy at 90 from elsewhere."""
    order = session.desk.orders.limit(trial.instrument_id, "buy", quantity, 90).to_initialized()
    foreign = msgspec.structs.replace(order, client_order_id=BY_HAND)
    trial.fake.market.place(trial.account_id, foreign)


def test_a_fill_without_a_name_is_asked_about_while_another_order_is_unknown() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        await trial.lose_next_request()
        name = session.limit("buy", 90)
        await session.until(lambda: name in session.execution.unknown_orders, "unknown")
        trial.fake.set_faults(Faults(drop=1.0))
        place_by_hand(trial, session)
        await trial.fill(BY_HAND, Decimal(2))
        trial.fake.set_faults(Faults())
        await session.until(
            lambda: session.cache.net_quantity(trial.instrument_id) == 2, "the fill counts"
        )
        assert session.order(name).status is OrderStatus.SUBMITTED
        assert session.order(name).filled_quantity == 0
        assert name in session.execution.unknown_orders

    play(test, names_orders=False)


def test_a_change_of_an_order_found_at_the_venue_is_told_to_who_claims_it() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        place_by_hand(trial, session)
        await session.until(lambda: session.cache.order(BY_HAND), "it is known")
        session.desk.modify_order(session.order(BY_HAND), quantity=3)
        await session.until(lambda: session.order(BY_HAND).quantity == 3, "it is changed")
        (told,) = [one for one in session.desk.order_events if isinstance(one, OrderUpdated)]
        assert told.strategy_id == session.desk.strategy_id

    play(test)


def test_a_change_by_another_hand_right_after_ours_is_taken() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        name = session.limit("buy", 90, Decimal(1))
        await session.until(lambda: session.order(name).is_open, "it rests")
        trial.fake.set_faults(Faults(delay_s=1.0))
        session.desk.modify_order(session.order(name), quantity=4)
        placed = trial.fake.market.orders[trial.account_id, name]
        await session.until(lambda: placed.quantity == 4, "ours has arrived")
        # What we are told of ours, we are told after this has happened.
        target = OrderChange(
            instrument_id=trial.instrument_id,
            client_order_id=name,
            side=placed.order.side,
            order_type=placed.order.order_type,
            quantity=Decimal(2),
            filled_quantity=Decimal(0),
            price=Decimal(90),
        )
        trial.fake.market.modify(trial.account_id, target)
        await asyncio.sleep(3)
        assert session.order(name).quantity == 2
        await trial.fill(name, Decimal(2))
        await session.until(lambda: session.order(name).is_closed, "it is filled")
        assert session.order(name).status is OrderStatus.FILLED
        assert session.core.execution.refused_events == []

    play(test)


def test_a_cancel_of_all_cancels_what_a_strategy_claims() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        place_by_hand(trial, session)
        await session.until(lambda: session.cache.order(BY_HAND), "it is known")
        session.desk.cancel_all_orders(trial.instrument_id)
        await session.until(lambda: session.order(BY_HAND).is_closed, "it ends")
        assert trial.fake.market.open_orders() == []

    play(test)


def test_an_order_that_is_first_heard_of_by_a_fill_is_not_taken_for_filled() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        trial.fake.set_faults(Faults(drop=1.0))
        place_by_hand(trial, session, quantity=2)
        trial.fake.set_faults(Faults())
        market = trial.fake.market
        heard, market.on_report = market.on_report, lambda *_: None
        fill = market.fill(trial.account_id, BY_HAND, "0.5")
        market.on_report = heard
        heard(trial.account_id, fill)
        await session.until(lambda: session.cache.order(BY_HAND), "it is known")
        await asyncio.sleep(1)
        order = session.order(BY_HAND)
        assert (order.status, order.quantity) == (OrderStatus.PARTIALLY_FILLED, 2)
        assert order.filled_quantity == Decimal("0.5")
        assert session.core.execution.unreconciled == []

    play(test)


def test_an_order_that_was_refused_is_not_called_unknown_afterwards() -> None:
    async def test(trial: FakeTrial, session: VenueSession) -> None:
        await trial.reject_next()
        trial.fake.set_faults(Faults(delay_s=1.0))
        name = session.limit("buy", 90)
        await asyncio.sleep(0.001)
        trial.fake.set_faults(Faults())  # the order alone is slow
        await session.execution.refresh()  # asks for it, as it is not there
        assert session.order(name).status is OrderStatus.SUBMITTED
        await session.until(lambda: session.order(name).is_closed, "refused")
        assert session.order(name).status is OrderStatus.REJECTED
        await asyncio.sleep(60)
        assert session.execution.unknown_orders == {}

    play(test)

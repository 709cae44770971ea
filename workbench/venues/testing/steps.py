"""The steps that the tests of the conformance suite are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from workbench.model.enums import OrderStatus, OrderType
from workbench.model.errors import WorkbenchError
from workbench.model.identifiers import ClientOrderId
from workbench.model.orders import Order
from workbench.venues.connection import LinkState
from workbench.venues.testing.session import GUARD_S, VenueSession
from workbench.venues.testing.trial import CannotSteerError, VenueTrial

Test = Callable[[VenueSession], Awaitable[None]]
LOW, HIGH = Decimal(90), Decimal(110)
"""Prices far from a trial's market: what rests there is filled by the trial alone."""
_STIR_S = 0.05


def try_out(trial: VenueTrial, test: Test, *, has_orders: bool = True) -> None:
    """Run a test on a core with the venue's clients; nothing of theirs may be left after it.

    It is skipped where the trial cannot make its venue do what the test needs.
    """

    async def work() -> None:
        before = asyncio.all_tasks()
        async with VenueSession(trial, has_orders=has_orders) as session:
            await test(session)
        await asyncio.sleep(0.2)
        left = {task for task in asyncio.all_tasks() - before if trial.owns(task)}
        assert not left, f"tasks were left: {left}"
        assert not session.core.execution.refused_events
        assert not session.core.execution.unreconciled

    try:
        trial.run(work())
    except CannotSteerError as reason:
        pytest.skip(str(reason))


def skip_without(trial: VenueTrial, order_type: OrderType) -> None:
    """Skip a test of orders of a type that the plug-in does not take."""
    if order_type not in trial.plugin.capabilities.order_types:
        pytest.skip(f"{trial.plugin.name} takes no {order_type.value} orders")


async def until_reconnected(session: VenueSession, *, has_data: bool = True) -> None:
    """Wait for both connections, or that of orders: without data there may be but one."""
    links = [session.execution.link, *([session.data.link] if has_data else ())]
    await session.until(
        lambda: all(link.reconnects and link.state is LinkState.UP for link in links),
        "the connections are up again",
    )


async def stir(trial: VenueTrial, *, is_trade: bool = False) -> None:
    """Let the venue have something to tell: a quote, or a trade."""
    if is_trade:
        await trial.print_trade(Decimal(100))
    else:
        await trial.move(Decimal(100) - trial.tick, Decimal(100) + trial.tick)


async def until_data(
    trial: VenueTrial,
    session: VenueSession,
    *,
    count: int = 1,
    is_trade: bool = False,
) -> None:
    """Keep the market busy until so much data came."""
    for _ in range(int(GUARD_S / _STIR_S)):
        if len(session.desk.data) >= count:
            return
        await stir(trial, is_trade=is_trade)
        await asyncio.sleep(_STIR_S)
    raise AssertionError("no data came")


async def until_status(session: VenueSession, name: ClientOrderId, status: OrderStatus) -> Order:
    """Wait until an order has a status, and return it; if it never has, tell of its events."""
    order = session.order(name)
    try:
        await session.until(lambda: order.status is status, f"{name} {status.value}")
    except WorkbenchError as error:
        kinds = ", ".join(session.desk.kinds(name))
        raise AssertionError(f"{error}; it is {order.status.value}: {kinds}") from error
    return order


async def with_market(trial: VenueTrial, session: VenueSession) -> None:
    """Let prices come, which risk needs for orders that name none."""
    session.desk.subscribe_quotes(trial.instrument_id)
    await until_data(trial, session)


async def agree(trial: VenueTrial, session: VenueSession, name: ClientOrderId) -> None:
    """Compare what has filled, and the balances, with the venue, to the last digit."""
    assert session.order(name).filled_quantity == await trial.filled_of(name)
    instrument = session.cache.require_instrument(trial.instrument_id)
    for unit in filter(None, (instrument.base_currency, instrument.quote_currency)):
        truth = await trial.balance_of(unit.code)
        await session.until(
            lambda unit=unit, truth=truth: session.held(unit.code) == truth,
            f"{unit}: {truth} at the venue",
        )

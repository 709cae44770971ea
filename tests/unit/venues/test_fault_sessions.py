"""Seeded sessions on a venue that misbehaves: whatever happens, the books agree in the end."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Any

import pytest

from workbench.model.order_state import CLOSED
from workbench.model.reports import PositionReport
from workbench.venues.fake import Faults
from workbench.venues.testing import FakeTrial, VenueSession

CALM = Faults()
ROUGH = Faults(
    lose_request=0.08,
    lose_answer=0.08,
    drop=0.08,
    duplicate=0.1,
    reorder=0.2,
    disconnect=0.02,
    delay_s=0.3,
)


def act(rng: random.Random, trial: FakeTrial, session: VenueSession, names: list[Any]) -> None:
    """Do one thing, here or at the venue."""
    market = trial.fake.market
    what = rng.randrange(8)
    here = [session.order(name) for name in names if session.order(name).is_open]
    there = market.open_orders(trial.account_id)
    if what < 3:
        side = rng.choice(["buy", "sell"])
        price = Decimal(90 if side == "buy" else 110)
        names.append(session.limit(side, price, Decimal(rng.randrange(1, 5))))
    elif what == 3 and here:
        session.desk.cancel_order(rng.choice(here))
    elif what == 4 and here:
        order = rng.choice(here)
        session.desk.modify_order(order, quantity=order.quantity + 1)
    elif what in (5, 6) and there:
        placed = rng.choice(there)
        left = placed.quantity - placed.filled
        part = left if rng.random() < 0.4 else min(left, Decimal("0.5"))
        market.fill(trial.account_id, placed.order.client_order_id, part)
    elif what == 7:
        step = rng.randrange(4)
        if step == 0:
            trial.fake.break_connections()
        elif step == 1:
            trial.fake.restart()
        elif step == 2:
            trial.fake.freeze()
        else:
            trial.fake.freeze(is_frozen=False)


def same_books(trial: FakeTrial, session: VenueSession) -> str:
    """Return what differs between the venue and here; "" for nothing."""
    market = trial.fake.market
    for (_, name), placed in market.orders.items():
        order = session.order(name)
        if order.filled_quantity != placed.filled:
            return f"{name}: {placed.filled} filled at the venue, {order.filled_quantity} here"
        if (placed.status in CLOSED) != order.is_closed:
            return f"{name}: {placed.status.value} at the venue, {order.status.value} here"
    held = sum((p.signed_quantity for p in market.position_reports(trial.account_id)), Decimal(0))
    here = session.cache.net_quantity(trial.instrument_id)
    if held != here:
        return f"position {held} at the venue, {here} here"
    for unit, amount in market.balances(trial.account_id).items():
        if session.held(unit.code) != amount:
            return f"{unit}: {amount} at the venue, {session.held(unit.code)} here"
    return ""


async def play(trial: FakeTrial, seed: int) -> list[str]:
    """Play one session and return what the strategy was told, for comparison."""
    rng = random.Random(seed)
    async with VenueSession(trial) as session:
        names: list[Any] = []
        trial.fake.set_faults(ROUGH)
        for _ in range(40):
            act(rng, trial, session, names)
            await asyncio.sleep(rng.random())
        trial.fake.restart()
        trial.fake.set_faults(CALM)
        await asyncio.sleep(100)
        assert same_books(trial, session) == ""
        market = trial.fake.market
        assert max(market.submits.values(), default=0) <= 1, "an order was sent twice"
        for name in names:
            order = session.order(name)
            kinds = session.desk.kinds(name)
            fills = [e for e in session.desk.order_events if e.client_order_id == name]
            trades = [e.trade_id for e in fills if type(e).__name__ == "OrderFilled"]  # pyright: ignore
            assert len(trades) == len(set(trades))
            arrived = (trial.account_id, name) in market.orders
            if not arrived:
                is_unknown = name in session.execution.unknown_orders
                never_sent = order.is_closed and "OrderFilled" not in kinds
                assert is_unknown or never_sent, f"{name} is {order.status.value}: {kinds}"
            assert not (arrived and "OrderRejected" in kinds), f"{name} is at the venue: {kinds}"
            assert not order.is_in_flight or not arrived, f"{name} is {order.status.value}"
        # A position may differ while a fill that no message told of has not been asked for yet.
        doubtful = [r for r, _ in session.core.execution.unreconciled]
        assert [r for r in doubtful if not isinstance(r, PositionReport)] == []
        assert [r for e, r in session.core.execution.refused_events] == []
        return [f"{type(e).__name__} {e.client_order_id}" for e in session.desk.order_events]


def run(seed: int, **options: Any) -> list[str]:
    trial = FakeTrial(**options)
    return trial.run(play(trial, seed))


@pytest.mark.parametrize("seed", range(60))
def test_books_agree_after_a_session_of_faults(seed: int) -> None:
    assert run(seed, answers=bool(seed % 3), names_orders=bool(seed % 2))


def test_a_seed_plays_the_same_session_again() -> None:
    assert run(7) == run(7)

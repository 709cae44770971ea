"""Random commands and random markets at the simulated exchange, of all kinds and settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.exchange_plans import (
    FEES,
    LATENCIES,
    MODELS,
    PAIR,
    Anything,
    check,
    market,
    run_engine,
    venue,
)
from workbench.model.enums import (
    AccountType,
    ContingencyType,
    OrderManagement,
    OrderType,
    TimeInForce,
)
from workbench.sim import BarPath, FillOn

KINDS = ("quotes", "trades", "bars", "pairs", "mixed")
CHOICES: dict[str, Any] = {
    "account_type": AccountType,
    "order_management": OrderManagement,
    "fill_on": FillOn,
    "bar_path": BarPath,
    "trades_move_book": (False, True),
    "rejects_reached_triggers": (False, True),
    "round_money": (False, True),
}
SEEDS = st.integers(0, 1_000_000)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(KINDS), count=st.integers(1, 100))
def test_whatever_is_sent_and_whatever_the_market_does_everything_adds_up(
    seed: int, kind: str, count: int
) -> None:
    check(run_engine(market(seed, count, kind), venue(seed), Anything(seed=seed)))


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(KINDS))
def test_two_strategies_at_one_exchange_do_not_mix(seed: int, kind: str) -> None:
    data = market(seed, 60, kind)
    check(run_engine(data, venue(seed), Anything(seed=seed), Anything(seed=seed + 1)))


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(KINDS))
def test_the_same_seed_gives_the_same_bytes(seed: int, kind: str) -> None:
    data = market(seed, 60, kind)
    logs = [
        run_engine(data, venue(seed), Anything(seed=seed)).core.log.to_bytes() for _ in range(2)
    ]
    assert logs[0] == logs[1]


def plan(number: int) -> tuple[list[Any], wb.SimulatedVenue]:
    """Return a market and a venue; over twelve numbers every model and setting has its turn."""
    seed = FIRST + number
    settings: dict[str, Any] = {
        "fill_model": MODELS[number % len(MODELS)],
        "fee_model": FEES[number % len(FEES)],
        "latency": LATENCIES[number % len(LATENCIES)],
        "round_money": number % 3 == 0,
    }
    return market(seed, 80, KINDS[number % len(KINDS)]), venue(seed, **settings)


FIRST = 3000  # with seeds from here on orders of every kind happen to fill
PLANS = range(12)
LIMITS = wb.RiskLimits(orders=1_000_000)


def test_the_plans_of_replays_fill_orders_of_every_kind() -> None:
    filled: set[tuple[str, Any]] = set()
    settings: set[tuple[str, str]] = set()
    for number in PLANS:
        data, chosen = plan(number)
        run = run_engine(data, chosen, Anything(seed=FIRST + number))
        for order in run.core.cache.orders():
            if order.filled_quantity:
                force = order.time_in_force
                filled |= {
                    ("type", order.order_type),
                    ("force", force),
                    ("link", order.contingency),
                }
        for name in ("fill_model", "fee_model", "latency", *CHOICES):
            settings.add((name, repr(getattr(chosen, name))))
    for name, kind in (("type", OrderType), ("force", TimeInForce), ("link", ContingencyType)):
        assert {one for what, one in filled if what == name} >= set(kind)
    wanted = {"fill_model": MODELS, "fee_model": FEES, "latency": LATENCIES, **CHOICES}
    for name, values in wanted.items():
        assert {one for what, one in settings if what == name} == {repr(one) for one in values}


@pytest.mark.parametrize("number", PLANS)
def test_a_replay_does_what_the_backtest_did(number: int) -> None:
    """Every order type, contingency and model, to the byte; each number is another venue."""
    data, settings = plan(number)
    chosen: dict[str, Any] = {"instrument": PAIR, "venue": settings}
    strategy = Anything(seed=FIRST + number)
    result = wb.backtest(strategy, data, progress=False, limits=LIMITS, **chosen)
    assert len(result.orders) > 20
    config = wb.TradingNodeConfig(limits=LIMITS)
    node = wb.sandbox(strategy, data=data, config=config, **chosen)
    node.build()
    node.run(raise_exception=True)
    assert node.core.log.to_bytes() == result.log.to_bytes()
    assert not node.core.execution.refused_events
    node.dispose()

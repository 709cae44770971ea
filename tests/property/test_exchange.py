"""Random commands and random markets at the simulated exchange, of all kinds and settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.exchange_plans import PAIR, Anything, check, market, run_engine, venue

KINDS = ("quotes", "trades", "bars", "pairs", "mixed")
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


@pytest.mark.parametrize("number", range(10))
def test_a_replay_does_what_the_backtest_did(number: int) -> None:
    """Every order type, contingency and model, to the byte; each number is another venue."""
    seed = 1000 + number
    data = market(seed, 80, KINDS[number % len(KINDS)])
    chosen: dict[str, Any] = {"instrument": PAIR, "venue": venue(seed)}
    limits = wb.RiskLimits(orders=1_000_000)
    strategy = Anything(seed=seed)
    result = wb.backtest(strategy, data, progress=False, limits=limits, **chosen)
    assert len(result.orders) > 20
    config = wb.TradingNodeConfig(limits=limits)
    node = wb.sandbox(strategy, data=data, config=config, **chosen)
    node.build()
    node.run(raise_exception=True)
    assert node.core.log.to_bytes() == result.log.to_bytes()
    assert not node.core.execution.refused_events
    node.dispose()

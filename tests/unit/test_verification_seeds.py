"""Honest strategies are identical, whatever they do: on replays, and live in virtual time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import workbench as wb
from tests.node_fakes import PAIR
from tests.verifying import Busy, market_data, replayed
from workbench.node.journal import Journal
from workbench.node.verification import verify
from workbench.runtime.clock import Clock
from workbench.runtime.virtual_time import VirtualClock, run_virtual

VENUES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "late": {"latency_ns": 300_000_000},
    "bare": {
        "capabilities": wb.Capabilities(order_types={"market", "limit"}, contingencies=()),
        "order_management": "hedging",
    },
    "cash": {"account_type": "cash", "starting_balances": ["100_000 USDT", "500 BTC"]},
}
LIMITS: dict[str, dict[str, Any]] = {
    "none": {},
    "slow": {"orders": 2, "modifies": 1},
    "waiting": {"orders": 2, "on_excess": "buffer"},
    "small": {"max_position": 10, "max_open_orders": 5},
    "losing": {"max_loss_per_day": "20 USDT", "on_loss": "reducing"},
}


def quiet(done: int, total: int) -> None:
    """Show no bar."""


def check(path: Path, strategies: list[Busy], run: int = -1) -> None:
    found = verify(path, strategies, run=run, progress=quiet)
    assert found.is_identical, found
    assert found.is_complete, found
    assert all(one.commands for one in found.strategies)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    venue=st.sampled_from(sorted(VENUES)),
    limits=st.sampled_from(sorted(LIMITS)),
)
def test_what_strategies_do_on_a_replay_they_do_again(seed: int, venue: str, limits: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = replayed(
            Path(folder),
            [Busy(seed=seed), Busy(seed=seed + 1, activity=0.05)],
            market_data(120, seed),
            venue=wb.SimulatedVenue(**VENUES[venue]),
            limits=wb.RiskLimits(**LIMITS[limits]),
        )
        assert node.fault is None
        node.dispose()
        path = Path(folder) / "journal.sqlite"
        check(path, [Busy(seed=seed), Busy(seed=seed + 1, activity=0.05)])


def live(folder: Path, strategies: list[Busy], venue: str, limits: str, lasts_s: float) -> None:
    """Let a sandbox node live for a while, in virtual time."""

    def opened(
        path: Path, trader_id: str, clock: Clock, *, redact: Callable[[str], str]
    ) -> Journal:
        return Journal.open(path, trader_id, clock, is_inline=True, redact=redact)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        config = wb.TradingNodeConfig(
            journal=str(folder / "journal.sqlite"),
            journal_data=True,
            limits=wb.RiskLimits(**LIMITS[limits]),
            budget_s=3600.0,
            stall_threshold_s=3600.0,
            delay_post_stop_s=0.5,
        )
        node = wb.TradingNode(
            config, open_journal=opened, make_clock=lambda emit: VirtualClock(loop, emit)
        )
        node.add_data_client_factory(wb.Synthetic(PAIR, rate=5.0, step_ticks=3.0))
        simulated = wb.SimulatedVenue(**VENUES[venue]).for_instruments([PAIR])
        node.add_exec_client_factory(wb.Simulated(simulated, [PAIR]))
        for strategy in strategies:
            node.add_strategy(strategy)
        node.build()
        task = asyncio.create_task(node.run_async())
        await asyncio.sleep(lasts_s)
        assert node.phase == "running", node.fault
        await node.stop_async()
        await task
        node.dispose()

    run_virtual(main())


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    venue=st.sampled_from(sorted(VENUES)),
    limits=st.sampled_from(sorted(LIMITS)),
)
def test_what_strategies_do_live_they_do_again_also_after_a_restart(
    seed: int, venue: str, limits: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lives = [
            [Busy(seed=seed + life), Busy(seed=seed + life + 7, activity=0.05)] for life in (0, 1)
        ]
        for strategies in lives:
            live(folder, strategies, venue, limits, 8.0)
        for number, strategies in enumerate(lives, 1):
            check(folder / "journal.sqlite", strategies, run=number)

"""The loss of a day goes on counting when a node is killed and another one takes its journal."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import workbench as wb
from tests.integration.test_sandbox_journal import MARGIN, VENUES, Desk, Life
from tests.node_fakes import ROOT, Feed
from tests.waiting import until
from workbench.model.risk_events import LossDayBegan, LossLimitReached
from workbench.runtime.clock import LiveClock

DAY = 86_400_000_000_000
NOON = 20_000 * DAY + DAY // 2


class Loser(Life):
    """A life of a sandbox node that may lose 100 USDT a day, at noon of a day of its own.

    Args:
        folder: Where its journal is.
        began_ns: When the first life began, on the wall clock.
        days: How many days later it is.
    """

    def __init__(self, folder: Path, began_ns: int, days: int = 0) -> None:
        self.desk, self.feed = Desk(), Feed(MARGIN)
        config = wb.TradingNodeConfig(
            journal=str(folder / "journal.sqlite"),
            limits=wb.RiskLimits(max_loss_per_day="100 USDT"),
            stall_threshold_s=60,
            delay_post_stop_s=0.1,
        )
        venue = VENUES["margin"]
        self.node = wb.sandbox(self.desk, self.feed, instrument=MARGIN, venue=venue, config=config)
        self.dies = True

        class Noon(LiveClock):
            """No test may depend on which side of midnight it runs."""

            def _read(self) -> int:
                return super()._read() - began_ns + NOON + days * DAY

        self.node._make_clock = Noon

    async def ask(self) -> str:
        """Send an order that would grow; return the code of its denial."""
        order = self.desk.send("limit", "buy", 1, "10")
        await until(lambda: order.is_open or order.is_closed)
        return order.reason.partition(":")[0]

    def told(self, kind: type[object]) -> list[object]:
        return [r.message for r in self.node.core.log if isinstance(r.message, kind)]


async def buy(life: Life) -> None:
    """Hold 10 BTC from 100 on, and lose 60 USDT of them."""
    order = life.desk.send("market", "buy", 10)
    await until(lambda: order.is_closed)
    await life.move(94.0)


def be_killed(folder: Path, began_ns: int) -> None:
    life = Loser(folder, began_ns)

    async def wait(life: Life) -> None:
        await buy(life)
        journaling = life.node._journaling
        assert journaling is not None
        await journaling.journal.durable()
        print("lost", flush=True)
        await asyncio.Event().wait()

    life.play(wait)


def test_a_killed_nodes_loss_counts_in_the_next_and_the_one_after(tmp_path: Path) -> None:
    began = time.time_ns()
    script = (
        "import pathlib; from tests.integration.test_loss_over_restarts import be_killed;"
        f" be_killed(pathlib.Path({str(tmp_path)!r}), {began})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "lost"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert process.returncode == -9

    second = Loser(tmp_path, began)

    async def lose(life: Life) -> None:
        assert isinstance(life, Loser)
        await life.move(95.0)
        assert await life.ask() == "", "50 and the commission of 1 are lost"
        await life.move(90.0)
        assert await life.ask() == "MAX_LOSS_PER_DAY", "which nobody lost in this run alone"
        await life.move(150.0)
        assert life.told(LossDayBegan) == [], "the day began in the first run"
        assert len(life.told(LossLimitReached)) == 1

    second.play(lose)

    third = Loser(tmp_path, began)

    async def stay(life: Life) -> None:
        assert isinstance(life, Loser)
        await life.move(150.0)
        assert await life.ask() == "MAX_LOSS_PER_DAY", "reached is reached for the day"
        assert life.told(LossLimitReached) == []

    third.play(stay)

    tomorrow = Loser(tmp_path, began, days=1)

    async def go_on(life: Life) -> None:
        assert isinstance(life, Loser)
        await life.move(150.0)
        assert await life.ask() == ""
        (event,) = life.told(LossDayBegan)
        assert isinstance(event, LossDayBegan)
        assert event.day == 20_001
        assert event.profit >= Decimal(490)

    tomorrow.play(go_on)

"""One life of a node at the venue in memory, in virtual time: to a stop, or to an abrupt end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import workbench as wb
from tests.trials.fault_venue import MORTAL, Process
from workbench.model.identifiers import AccountId
from workbench.node.journal import Journal
from workbench.node.phases import NodePhase
from workbench.runtime.clock import Clock
from workbench.runtime.virtual_time import VirtualClock
from workbench.venues import ExecutionSettings, InquirySettings, LinkSettings
from workbench.venues.fake import FakeVenue

ACCOUNT = AccountId("FAKE-001")
PAIR = wb.CurrencyPair.define(
    "BTC/USDT.FAKE",
    price_increment="0.01",
    quantity_increment="0.001",
    taker_fee="0.001",
    maker_fee="0.0005",
)
SETTINGS = ExecutionSettings(
    request_timeout_s=2.0,
    wait_timeout_s=3.0,
    fill_grace_s=0.2,
    check_interval_s=5.0,
    close_timeout_s=0.5,
    inquiry=InquirySettings(first_wait_s=0.3, wait_s=0.5),
    link=LinkSettings(
        connect_timeout_s=2.0, first_back_off_s=0.1, most_back_off_s=1.0, skew_interval_s=5.0
    ),
)
LIMITS = wb.RiskLimits(
    max_order_quantity=100, max_position=10_000, max_loss_per_day="10_000_000 USDT"
)
ACTS = timedelta(milliseconds=400)
LATENCY_S = 0.01
GUARD_S = 120.0


class Churn(wb.Strategy):
    """Sends, changes and cancels orders at every beat of a timer, as a seed says."""

    external_order_claims = (PAIR.id,)
    seed: int = 1

    def watch(self, on_start: Callable[[], None], note: Callable[[str], object]) -> None:
        """Take who is told that it starts, and of what it is told."""
        self.begins, self.note = on_start, note
        self.may_act = True

    def on_start(self) -> None:
        self.begins()
        self.rng = random.Random(self.seed)
        self.subscribe_quotes(PAIR.id)
        self.clock.set_timer("act", ACTS)

    def on_order_event(self, event: Any) -> None:
        self.note(f"{type(event).__name__} {event.client_order_id}")

    def on_time_event(self, event: wb.TimeEvent) -> None:
        quote = self.cache.quote(PAIR.id)
        if quote is None or not self.may_act:
            return
        rng, mine = self.rng, self.cache.orders_open(strategy_id=self.strategy_id)
        what, side = rng.random(), rng.choice(["buy", "sell"])
        quantity = Decimal(rng.randrange(1, 5))
        if what < 0.25 and mine:
            self.cancel_order(rng.choice(mine))
        elif what < 0.4 and mine:
            order = rng.choice(mine)
            self.modify_order(order, quantity=order.quantity + quantity)
        elif what < 0.6:
            self.submit_order(self.orders.market(PAIR.id, side, quantity))
        elif what < 0.9:
            away = rng.choice([-0.02, 0.01, 0.03, 0.5])
            price = quote.bid - away if side == "buy" else quote.ask + away
            self.submit_order(self.orders.limit(PAIR.id, side, quantity, PAIR.price(price)))


class Life:
    """A node from its building to its end.

    Args:
        venue: Where it trades.
        process: What counts what it does.
        folder: Where its journal is.
        strategy: What it runs.
        settings: How its client waits; None for what a user gets who says nothing.
        options: More of the venue's `brokerd`.

    Attributes:
        node: The node.
        has_started: Whether its strategy was started; the strategy tells, by `note_start`.
        log: What it handled and derived, once it is over.
    """

    def __init__(
        self,
        venue: FakeVenue,
        process: Process,
        folder: Path,
        strategy: wb.Strategy,
        *,
        settings: ExecutionSettings | None = SETTINGS,
        **options: Any,
    ) -> None:
        self.has_started = False
        self.log = b""
        self._venue = venue
        self._process = process
        loop = asyncio.get_running_loop()
        config = wb.TradingNodeConfig(
            trader_id="FAULTS",
            limits=LIMITS,
            journal=str(folder / "journal.sqlite"),
            data_folder=str(folder),
            log_limit=None,
            purge_closed_after_s=None,
            # What takes how long must not matter: time passes only where something waits.
            budget_s=3600.0,
            stall_threshold_s=3600.0,
            pause_s=0.02,
        )
        self.node = wb.TradingNode(
            config, open_journal=self._open, make_clock=lambda emit: VirtualClock(loop, emit)
        )
        more = {"fake": venue, "process": process}
        waits = None if settings is None else settings.link
        self.node.add_data_client_factory(wb.VenueData(MORTAL, settings=waits, **more))
        account = wb.VenueAccount(
            MORTAL, ACCOUNT, instruments=[PAIR.id], settings=settings, **more, **options
        )
        self.node.add_exec_client_factory(account)
        self.node.add_strategy(strategy)
        self._journal: Journal
        self._task: asyncio.Task[None]

    def _open(
        self, path: Path, trader_id: str, clock: Clock, *, redact: Callable[[str], str]
    ) -> Journal:
        self._journal = Journal.open(
            path,
            trader_id,
            clock,
            is_inline=True,
            latency_s=LATENCY_S,
            is_checked=False,
            redact=redact,
        )
        return self._journal

    def note_start(self) -> None:
        """Take note that the strategy is started, which must not be before the venue was heard."""
        if self._process.is_dead:
            return
        told, phase = self._process.was_told, self.node.phase
        assert told >= {"orders", "fills", "positions", "account"}, f"started on {told}"
        assert phase is NodePhase.STARTING, f"started while {phase}"
        self.has_started = True

    # Its course

    def begin(self) -> None:
        """Build it, and let it run."""
        self.node.build()
        self._task = asyncio.create_task(self.node.run_async())

    @property
    def is_over(self) -> bool:
        """Return whether it runs no more."""
        return self._task.done()

    async def until_running(self) -> bool:
        """Wait until it runs; return whether it does: it may have failed to start."""
        while self.node.phase is not NodePhase.RUNNING and not self.is_over:
            await asyncio.sleep(0.05)
        return not self.is_over

    async def until_quiet(self) -> None:
        """Wait until nothing is open to question, and then for two regular checks.

        Nothing may be sent meanwhile.
        """
        end_s = asyncio.get_running_loop().time() + GUARD_S
        while asking := self._asking:
            assert asyncio.get_running_loop().time() < end_s, f"never told: {sorted(asking)}"
            await asyncio.sleep(0.5)
        await asyncio.sleep(2.5 * (SETTINGS.check_interval_s or 0.0))

    @property
    def _asking(self) -> set[str]:
        """Return the orders of which something is awaited that is not called unknown yet."""
        in_flight = self.node.core.cache.orders_in_flight()
        return {str(one.client_order_id) for one in in_flight} - set(self.node.unknown_orders)

    async def stop(self) -> None:
        """End it in order."""
        await self.node.stop_async()
        await self._task
        self._end()

    async def failed(self) -> BaseException:
        """Return why it could not start."""
        (error,) = await asyncio.gather(self._task, return_exceptions=True)
        assert isinstance(error, BaseException)
        self._end()
        return error

    async def die(self) -> None:
        """End it as SIGKILL would: what was not committed is lost, and nothing more is sent."""
        self._process.is_dead = True
        self._journal.abandon()
        journaling = self.node._journaling
        assert journaling is not None
        journaling._is_closed = True
        journaling._unfollow()
        for lease in journaling._leases:
            lease.give_back()  # as a dead process loses it
        for wire in (self._venue.data_wire, self._venue.wire(ACCOUNT)):
            wire.disconnect()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._end()

    def _end(self) -> None:
        self.log = self.node.core.log.to_bytes()
        self.node.dispose()

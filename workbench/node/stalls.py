"""The stalls of a node's loop: measured, noted in the event log, and followed by a fresh look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from workbench.model.events import LoopStalled
from workbench.model.identifiers import InstrumentId
from workbench.node.config import TradingNodeConfig
from workbench.node.stale import StaleGuard
from workbench.runtime.clock import LiveClock
from workbench.runtime.eventlog import RecordKind
from workbench.runtime.loop_watch import LoopWatch
from workbench.trading.core import TradingCore


class Stalls:
    """Watches the loop of one run, and after each stall what prices are too old to trade on.

    Args:
        config: The node's settings.
        core: Its core; its risk engine asks here.

    Attributes:
        found: The stalls, oldest first.
    """

    def __init__(self, config: TradingNodeConfig, core: TradingCore) -> None:
        self.found: list[LoopStalled] = []
        self._core = core
        self._threshold_s = config.stall_threshold_s
        self._watch: LoopWatch | None = None
        self._guard = StaleGuard(core.cache, int(config.max_quote_age_s * 1e9))
        self._is_live = isinstance(core.clock, LiveClock)
        if self._is_live:
            # A stall cannot make simulated data older: there the guard has nothing to do.
            core.risk.is_stale = self._is_stale
            core.dispatcher.before_data.append(self._guard.see)

    def tell_fresh(self, tell: Callable[[InstrumentId], None]) -> None:
        """Tell of each instrument that has a fresh price again."""
        self._guard.on_fresh = tell

    @property
    def stale(self) -> list[str]:
        """Return the instruments whose price is stale."""
        return list(self._guard.stale)

    @property
    def stalled_for_ns(self) -> int:
        """Return how long the loop has not answered; readable from any thread."""
        return 0 if self._watch is None else self._watch.stalled_for_ns

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to watch a loop."""
        self._watch = LoopWatch(
            loop, self._on_stall, time.perf_counter_ns, threshold_s=self._threshold_s
        )
        self._watch.start()

    def check(self) -> None:
        """Note a stall that has just ended; called before anything is handled."""
        if self._watch is not None:
            self._watch.check()

    def stop(self) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.stop()

    def _is_stale(self, instrument_id: InstrumentId) -> bool:
        # Asked in the very callback or cell that stalled, when the loop has not turned yet.
        self.check()
        return self._guard.is_stale(instrument_id)

    def _on_stall(self, duration_ns: int) -> None:
        core = self._core
        now = core.clock.timestamp_ns()
        stall = LoopStalled(duration_ns, now, now)
        self.found.append(stall)
        if self._is_live:
            # To simulated time a stall is nothing: the log of a replay is that of its backtest.
            core.log.add(core.dispatcher.number, RecordKind.STALL, stall)
            self._guard.stalled(now)
        core.bus.publish("system.stalls", stall)

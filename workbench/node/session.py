"""A session: one run of a node, from connecting its clients to having disconnected them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from decimal import localcontext
from enum import StrEnum
from typing import Any

from workbench.engines.clients import DataClient, ExecutionClient
from workbench.model.errors import ClientError, StrategyError
from workbench.model.events import LoopStalled
from workbench.model.money import MONEY_CONTEXT
from workbench.node.config import TradingNodeConfig
from workbench.node.reconciliation import reconcile
from workbench.node.stale import StaleGuard
from workbench.runtime.clock import LiveClock
from workbench.runtime.eventlog import RecordKind
from workbench.runtime.loop_watch import LoopWatch
from workbench.runtime.runner import AsyncRunner, Pump
from workbench.trading.core import TradingCore

_log = logging.getLogger(__name__)
_LOOK_S = 0.005


class NodePhase(StrEnum):
    """Where inside RUNNING and STOPPING a node is."""

    IDLE = "idle"
    CONNECTING = "connecting"
    FLUSHING = "flushing"
    RECONCILING = "reconciling"
    STARTING = "starting strategies"
    RUNNING = "running"
    STOPPING = "stopping strategies"
    RESIDUAL = "handling residual events"
    DISCONNECTING = "disconnecting"


class _StopRequestedError(Exception):
    """Start-up was left because a stop was asked for."""


class Session:
    """Runs a built core on the running loop.

    Args:
        config: The node's settings.
        core: The trading core, with its clients and strategies.
        runner: Whose channels the core takes from.
        on_phase: Told of each phase.

    Attributes:
        phase: Where it is.
        faults: What went wrong, first things first.
        stalls: The loop's stalls.
        left_open: What was still open when it stopped.
        disconnect_failures: What went wrong while disconnecting.
    """

    def __init__(
        self,
        config: TradingNodeConfig,
        core: TradingCore,
        runner: AsyncRunner,
        on_phase: Callable[[NodePhase], None],
    ) -> None:
        self.phase = NodePhase.IDLE
        self.faults: list[BaseException] = []
        self.stalls: list[LoopStalled] = []
        self.left_open: list[str] = []
        self.disconnect_failures: list[str] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread = 0
        self.watch: LoopWatch | None = None
        self.begun = threading.Event()
        self._config = config
        self._core = core
        self._runner = runner
        self._on_phase = on_phase
        self._stop = runner.handle()
        self._guard = StaleGuard(core.cache, int(config.max_quote_age_s * 1e9))
        self._is_live = isinstance(core.clock, LiveClock)
        self._pump = Pump(
            core.dispatcher,
            self._stop,
            budget_s=config.budget_s,
            pause_s=config.pause_s,
            before_slice=self._check_watch,
        )
        self._streams: list[asyncio.Task[None]] = []
        self._lanes: list[asyncio.Task[None]] = []
        if self._is_live:
            # A stall cannot make simulated data older: there the guard has nothing to do.
            core.risk.is_stale = self._guard.is_stale
            core.dispatcher.before_data.append(self._guard.see)

    @property
    def stale(self) -> list[str]:
        """Return the instruments whose price is stale."""
        return list(self._guard.stale)

    @property
    def tasks(self) -> int:
        """Return how many of its tasks are not done."""
        return sum(not task.done() for task in (*self._streams, *self._lanes))

    def request_stop(self) -> None:
        """Ask for a graceful stop, in whichever phase; callable from any thread."""
        self._stop.stop()

    def _enter(self, phase: NodePhase) -> None:
        self.phase = phase
        self._on_phase(phase)

    async def run(self) -> None:
        """Start up, run until a stop is asked for or something fails, and shut down.

        What went wrong is in `faults`; only a cancellation comes out, after the shutdown.
        """
        loop = asyncio.get_running_loop()
        self.loop, self.thread = loop, threading.get_ident()
        self._core.own_thread()
        self.begun.set()
        if isinstance(self._core.clock, LiveClock):
            self._core.clock.start(loop)
        cancelled = False
        with localcontext(MONEY_CONTEXT):
            try:
                await self._start_up()
                await self._run_tasks()
            except _StopRequestedError:
                pass
            except asyncio.CancelledError:
                cancelled = True
            except Exception as error:
                self._note(error)
            await self._shut_down()
        if cancelled:
            raise asyncio.CancelledError

    def _note(self, error: BaseException) -> None:
        if isinstance(error, StrategyError):
            try:
                self._core.fault_actor(error.strategy_id)
            except StrategyError as another:
                self.faults.append(error)
                self.faults.append(another)
                return
        self.faults.append(error)

    # Start-up

    async def _start_up(self) -> None:
        core = self._core
        self._start_watch()
        self._enter(NodePhase.CONNECTING)
        connect = self._connect([c.connect for c in core.data.clients], "data clients")
        await self._while_flushing(connect)
        self._enter(NodePhase.FLUSHING)
        core.dispatcher.flush()
        self._check_stop()
        self._enter(NodePhase.CONNECTING)
        connect = self._connect([c.connect for c in core.execution.clients], "execution clients")
        await self._while_flushing(connect)
        self._enter(NodePhase.FLUSHING)
        core.dispatcher.flush()
        core.dispatcher.drain()
        self._check_stop()
        self._enter(NodePhase.RECONCILING)
        limit = self._config.timeout_reconciliation_s
        await self._while_flushing(_within(limit, self._reconcile(), "reconciliation did not end"))
        core.dispatcher.drain()
        self._enter(NodePhase.STARTING)
        self._check_stop()
        core.start_actors()
        await asyncio.sleep(0)
        self._check_stop()

    async def _connect(self, connects: list[Callable[[], Awaitable[None]]], what: str) -> None:
        async def connect_all() -> None:
            for connect in connects:
                await connect()

        limit = self._config.timeout_connection_s
        await _within(limit, connect_all(), f"the {what} did not connect")

    async def _reconcile(self) -> None:
        for client in self._core.execution.clients:
            await reconcile(client, self._core.cache)

    async def _while_flushing(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for start-up work; meanwhile data events are handled before data commands."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=_LOOK_S)
                self._core.dispatcher.flush()
                self._check_stop()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])
        task.result()

    def _check_stop(self) -> None:
        if self._stop.is_stopped:
            raise _StopRequestedError

    # Running

    async def _run_tasks(self) -> None:
        """Run lanes, streams and the pump until a stop or the first failure."""
        core = self._core
        self._lanes = [
            asyncio.create_task(lane.run(), name=f"workbench lane {lane.name.value}")
            for lane in core.lanes
        ]
        self._streams = [
            asyncio.create_task(client.run(), name=f"workbench stream {client.client_id}")
            for client in core.data.clients
        ]
        self._enter(NodePhase.RUNNING)
        pump = asyncio.create_task(self._pump.run(), name="workbench pump")
        waiting: set[asyncio.Task[None]] = {pump, *self._streams}
        try:
            while not pump.done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            if not pump.done():
                pump.cancel()
                await asyncio.wait([pump])

    def _start_watch(self) -> None:
        if self.loop is None:
            return
        self.watch = LoopWatch(
            self.loop,
            self._on_stall,
            time.perf_counter_ns,
            threshold_s=self._config.stall_threshold_s,
        )
        self.watch.start()

    def _check_watch(self) -> None:
        if self.watch is not None:
            self.watch.check()

    def _on_stall(self, duration_ns: int) -> None:
        core = self._core
        now = core.clock.timestamp_ns()
        stall = LoopStalled(duration_ns, now, now)
        self.stalls.append(stall)
        core.log.add(core.dispatcher.number, RecordKind.STALL, stall)
        core.bus.publish("system.stalls", stall)
        if self._is_live:
            self._guard.stalled(now)

    # Shutdown

    async def _shut_down(self) -> None:
        core = self._core
        self._enter(NodePhase.STOPPING)
        self._stop.stop()
        for error in core.stop_actors():
            self._note(error)
        self._enter(NodePhase.RESIDUAL)
        await self._handle_residual()
        self._report_open()
        self._enter(NodePhase.DISCONNECTING)
        await self._end(self._streams)
        await self._disconnect()
        if isinstance(core.clock, LiveClock):
            core.clock.stop()
        if self.watch is not None:
            self.watch.stop()
        while True:
            try:
                core.dispatcher.drain_finally()
                break
            except StrategyError as error:
                self._note(error)
        core.lanes.close()
        await self._end(self._lanes, cancel=False)
        self._enter(NodePhase.IDLE)

    async def _handle_residual(self) -> None:
        """Handle what still comes until nothing is in flight, for `delay_post_stop_s` at most."""
        core = self._core
        budget_ns = int(self._config.budget_s * 1e9)
        deadline = time.monotonic() + self._config.delay_post_stop_s
        while True:
            try:
                more = core.dispatcher.run_slice(budget_ns, time.perf_counter_ns)
            except StrategyError as error:
                self._note(error)
                continue
            if not more and not core.cache.orders_in_flight():
                return
            if time.monotonic() >= deadline:
                return
            await asyncio.sleep(self._config.pause_s)

    def _report_open(self) -> None:
        cache = self._core.cache
        self.left_open = [
            f"order {o.client_order_id} ({o.status.value}): {o.side.value} {o.leaves_quantity}"
            f" {o.instrument_id}"
            for o in {
                o.client_order_id: o for o in (*cache.orders_open(), *cache.orders_in_flight())
            }.values()
        ]
        self.left_open += [
            f"position {p.position_id}: {p.signed_quantity} {p.instrument_id}"
            for p in cache.positions_open()
        ]
        for line in self.left_open:
            _log.info("left open: %s", line)

    async def _end(self, tasks: list[asyncio.Task[None]], *, cancel: bool = True) -> None:
        for task in tasks:
            if cancel:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._config.timeout_disconnection_s)
        for task in tasks:
            if task.done() and not task.cancelled():
                error = task.exception()
                if error is not None and error not in self.faults:
                    self.faults.append(error)

    async def _disconnect(self) -> None:
        """Disconnect every client, even if one fails, within the time there is."""
        clients: list[DataClient | ExecutionClient] = [
            *self._core.data.clients,
            *self._core.execution.clients,
        ]
        if not clients:
            return
        tasks = {asyncio.ensure_future(client.disconnect()): client for client in clients}
        limit = self._config.timeout_disconnection_s
        _, pending = await asyncio.wait(tasks, timeout=limit)
        for task, client in tasks.items():
            if task in pending:
                task.cancel()
                problem = f"{client.client_id} did not disconnect within {limit:g} s"
            elif (error := task.exception()) is not None:
                problem = f"{client.client_id} failed to disconnect: {error}"
            else:
                continue
            self.disconnect_failures.append(problem)
            _log.error(problem)
        if pending:
            await asyncio.wait(pending, timeout=_LOOK_S)


async def _within(limit_s: float, work: Coroutine[Any, Any, None], failure: str) -> None:
    """Wait for work, so long and no longer."""
    try:
        async with asyncio.timeout(limit_s) as timeout:
            await work
    except TimeoutError as error:
        if not timeout.expired():
            raise
        raise ClientError(f"{failure} within {limit_s:g} s") from error

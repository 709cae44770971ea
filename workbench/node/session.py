"""A session: one run of a node, from connecting its clients to having disconnected them."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from decimal import localcontext
from typing import Any

from workbench.model.error_display import report
from workbench.model.errors import ClientError, StrategyError
from workbench.model.events import LoopStalled
from workbench.model.money import MONEY_CONTEXT
from workbench.node.builder import Built
from workbench.node.closing import disconnect_all
from workbench.node.config import TradingNodeConfig
from workbench.node.draining import Draining
from workbench.node.faults import FAILURES, Client, client_error
from workbench.node.left_open import left_open
from workbench.node.log_tail import running_node
from workbench.node.phases import NodePhase
from workbench.node.reconciliation import Reconciliation, ReconciliationError
from workbench.node.session_tasks import SessionTasks
from workbench.node.stalls import Stalls
from workbench.node.waiting import Deadline, end_tasks, retrieve
from workbench.runtime.clock import LiveClock
from workbench.runtime.handling import Handling
from workbench.runtime.runner import Pump

_log = logging.getLogger(__name__)
_LOOK_S = 0.005
NOT_LEFT = "the node stopped before the rate let it leave"
"""Why an order is denied that still waits for the rate when a node ends."""
_KILL_S = 10.0  # against hanging: a KILL's report is settled before that
_MORE_S = 1.0


def _nothing() -> None:
    return None


class _StopRequestedError(Exception):
    """Start-up was left because a stop was asked for."""


class Session:
    """Runs a built core on the running loop.

    Args:
        config: The node's settings.
        built: Runner and core, with its clients and strategies.
        on_phase: Told of each phase.
        serial: Which node it is a run of.

    Attributes:
        phase: Where it is.
        faults: What went wrong, first things first.
        left_open: What was still open when it stopped.
        disconnect_failures: What went wrong while disconnecting.
        halts: What lets nothing new through, though the node runs: a journal that cannot be
            written, an account that another node trades.
        loop: The loop it runs on, None before it has one; `thread` is the ident of that thread.
        begun: Set once it runs on its loop.
        handling: Where it handles messages, and where strategies start and stop.
        before_all: Called on its thread before anything else is handled there.
        is_killing: Tells whether a KILL's cancels may be on their way, for which a stop waits.
        before_start: Called just before strategies start, when our books are the venues'.
        after_start: Called when all of them have started.
    """

    def __init__(
        self,
        config: TradingNodeConfig,
        built: Built,
        on_phase: Callable[[NodePhase], None],
        serial: int = 0,
    ) -> None:
        self.phase = NodePhase.IDLE
        self.faults: list[BaseException] = []
        self.left_open: list[str] = []
        self.disconnect_failures: list[str] = []
        self.halts: list[BaseException] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread = 0
        self.begun = threading.Event()
        self.handling = Handling()
        self.before_all: Callable[[], None] = _nothing
        self.is_killing: Callable[[], bool] = bool
        self.before_start: list[Callable[[], None]] = []
        self.after_start: list[Callable[[], None]] = []
        self._config = config
        core = built.core
        self._core = core
        self._runner = built.runner
        self._time = built.simulated_time
        self._journaling = built.journaling
        self._on_phase = on_phase
        self._serial = serial
        self._stop = built.runner.handle()
        self._stop_by = math.inf
        self._stalls = Stalls(config, core)
        self._is_live = isinstance(core.clock, LiveClock)
        self._pump = Pump(
            core.dispatcher,
            self._stop,
            budget_s=config.budget_s,
            pause_s=config.pause_s,
            before_slice=self._before_slice,
            handling=self.handling,
            room=None if built.journaling is None else self._room,
        )
        if built.journaling is not None and built.journaling.circumstances is not None:
            built.journaling.circumstances.watch(self.handling)
            self._stalls.tell_fresh(built.journaling.circumstances.fresh)
        self._draining = Draining(
            core.dispatcher, self.handling, config.budget_s, self._before_slice, self.note
        )
        self._tasks = SessionTasks(
            core, self._stop, self.note, lambda: self._within(config.timeout_disconnection_s)
        )

    @property
    def stale(self) -> list[str]:
        """Return the instruments whose price is stale."""
        return self._stalls.stale

    @property
    def stalls(self) -> list[LoopStalled]:
        """Return the loop's stalls, oldest first."""
        return self._stalls.found

    @property
    def stalled_for_ns(self) -> int:
        """Return how long its loop has not answered."""
        return self._stalls.stalled_for_ns

    @property
    def is_inside(self) -> bool:
        """Return whether this is called from one of the node's own tasks, by a callback say."""
        return self._tasks.is_inside

    def request_stop(self, within_s: float | None = None) -> None:
        """Ask for a graceful stop, in whichever phase; callable from any thread.

        Args:
            within_s: What all phases of the stop may take together from now on.
        """
        if within_s is not None:
            self._stop_by = min(self._stop_by, self._now_s() + within_s)
        self._stop.stop()

    def _now_s(self) -> float:
        """Return the time of its loop, which may be virtual; from any thread."""
        return time.monotonic() if self.loop is None else self.loop.time()

    def _enter(self, phase: NodePhase) -> None:
        self.phase = phase
        self._on_phase(phase)

    def _begin(self, phase: NodePhase) -> None:
        """Enter a phase of the start-up, unless a stop was asked for."""
        self._check_stop()
        self._enter(phase)
        self._check_stop()

    def _check_stop(self) -> None:
        if self._stop.is_stopped:
            raise _StopRequestedError

    async def run(self) -> None:
        """Start up, run until a stop is asked for or something fails, and shut down.

        What went wrong is in `faults`; only a cancellation comes out, after the shutdown.
        """
        loop = asyncio.get_running_loop()
        self.loop, self.thread = loop, threading.get_ident()
        self._tasks.adopt_current()
        self._core.own_thread()
        self.begun.set()
        if isinstance(self._core.clock, LiveClock):
            self._core.clock.start(loop)
        cancelled = False
        # The node's tasks inherit it, and what they log is the node's.
        token = running_node.set(self._serial)
        try:
            with localcontext(MONEY_CONTEXT):
                try:
                    self._stalls.start(loop)
                    await self._start_up()
                    await self._run_tasks()
                except _StopRequestedError:
                    pass
                except asyncio.CancelledError:
                    cancelled = True
                except FAILURES as error:
                    self.note(error)
                cancelled = await self._shut_down() or cancelled
        finally:
            self._close()
            self._tasks.forget()
            running_node.reset(token)
        if cancelled:
            raise asyncio.CancelledError

    def note(self, error: BaseException) -> None:
        """Keep what went wrong; a strategy that raised takes no further part."""
        if any(error is known for known in self.faults):
            return
        self.faults.append(error)
        if self._journaling is not None:
            self._journaling.raised(error)
        if len(self.faults) > 1:
            _log.error("then, after %r: %s", self.faults[0], error)
        else:
            _log.error("the node stops on a fault:\n%s", report(error))
        if isinstance(error, StrategyError):
            try:
                self._core.fault_actor(error.strategy_id)
            except StrategyError as another:
                self.note(another)

    def _halt(self, error: BaseException) -> None:
        """Take note of what lets nothing new through; cancels still leave."""
        self.halts.append(error)
        self._core.risk.note_halt(str(error))
        _log.error("the node is halted: %s", error)

    async def _room(self) -> None:
        if self._journaling is not None:
            await self._journaling.room(lambda: self._stop.is_stopped)

    # Start-up

    async def _start_up(self) -> None:
        core = self._core
        self._check_stop()
        if self._journaling is not None:
            await self._journaling.begin(self._halt)
        await self._connect("data client", core.data.clients)
        await self._flush()
        await self._connect("execution client", core.execution.clients)
        await self._flush()
        await self._reconcile()
        self._begin(NodePhase.STARTING)
        self.before_all()
        for call in self.before_start:
            call()
        with self._runner.bound(), self.handling:
            core.start_actors()
        for call in self.after_start:
            call()
        self._check_stop()

    async def _connect(self, kind: str, clients: Sequence[Client]) -> None:
        self._begin(NodePhase.CONNECTING)
        connecting = ""

        async def connect_all() -> None:
            nonlocal connecting
            for client in clients:
                connecting = f"{kind} {client.client_id}"
                try:
                    await client.connect()
                except Exception as error:
                    raise client_error(client, "did not connect", error) from error
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    raise client_error(client, "broke off connecting") from None

        limit_s = self._config.timeout_connection_s
        if not await self._while_flushing(connect_all(), limit_s):
            raise ClientError(f"{connecting} did not connect within {limit_s:g} s")

    async def _flush(self) -> None:
        """Handle what came while connecting; a feed without a pause does not hold up the start."""
        self._begin(NodePhase.FLUSHING)
        deadline = self._now_s() + self._config.timeout_connection_s
        while self._flush_once() and self._now_s() < deadline:
            await asyncio.sleep(self._config.pause_s)

    async def _reconcile(self) -> None:
        self._begin(NodePhase.RECONCILING)
        core = self._core
        reconciliation = Reconciliation(core)
        limit_s = self._config.timeout_reconciliation_s
        if not await self._while_flushing(reconciliation.ask(), limit_s):
            raise ReconciliationError(
                f"{reconciliation.asking} did not say what it holds within {limit_s:g} s"
            )
        while self._draining.drain():
            self.before_all()  # a KILL cut it short
        reconciliation.compare()

    async def _while_flushing(self, work: Coroutine[Any, Any, None], limit_s: float) -> bool:
        """Do start-up work; meanwhile data events are handled before data commands, then the rest.

        Returns:
            Whether the work was done within the limit; else it was broken off.
        """
        task = self._tasks.spawn(work, self.phase.value)
        deadline = self._now_s() + limit_s
        try:
            while not task.done() and self._now_s() < deadline:
                more = self._flush_once()
                await asyncio.wait([task], timeout=self._config.pause_s if more else _LOOK_S)
        finally:
            if not task.done():
                await end_tasks([task], self._within(self._config.timeout_disconnection_s))
            else:
                task.add_done_callback(retrieve)
        if task.cancelled() or not task.done():
            return False
        task.result()
        return True

    def _flush_once(self) -> bool:
        """Handle what waits, for one budget of time; return whether there may be more."""
        more = self._draining.flush_slice()
        self._check_stop()
        return more

    # Running

    async def _run_tasks(self) -> None:
        """Run lanes, streams and the pump until a stop or the first failure."""
        self._tasks.begin()
        self._enter(NodePhase.RUNNING)
        await self._tasks.run(self._pump.run(), lambda: bool(self.faults))

    def _before_slice(self) -> None:
        self.before_all()
        self._stalls.check()

    # Shutdown

    def _within(self, limit_s: float) -> Deadline:
        """Return a deadline that keeps what `request_stop` allowed for all phases together."""
        end = self._now_s() + limit_s
        return lambda: min(end, self._stop_by)

    async def _shut_down(self) -> bool:
        """Stop, handle what is left and disconnect; nothing keeps the next step from being made.

        Returns:
            Whether a cancellation came meanwhile. It cuts short the step that waits.
        """
        cancelled = False
        self._stop.stop()
        for step in (
            self._stop_strategies,
            self._handle_residual,
            self._disconnect,
            self._drain,
            self._tasks.end_lanes,
            self._end_journal,
        ):
            try:
                await step()
            except asyncio.CancelledError:
                cancelled = True
            except FAILURES as error:
                self.note(error)
        return cancelled

    async def _stop_strategies(self) -> None:
        self._enter(NodePhase.STOPPING)
        core = self._core
        self.before_all()
        if not self._is_live:
            # Data that was not taken has not happened yet.
            self.disconnect_failures += await self._tasks.end_streams()
            core.dispatcher.channels.data_events.drop_waiting()
        self._draining.limit(self._config.delay_post_stop_s)
        if not self.faults:
            # A strategy sees what it caused before it is stopped, as in a backtest.
            self._draining.keep_on(core.dispatcher.drain)
            self.before_all()  # a KILL may have cut that short
        while True:
            try:
                with self.handling:
                    errors = core.stop_actors()
                for error in errors:
                    self.note(error)
                return
            except FAILURES as error:
                # Each one takes out an actor or a message: the rest still gets its turn.
                self.note(error)

    async def _handle_residual(self) -> None:
        """Handle what still comes until nothing is awaited, for `delay_post_stop_s` at most.

        A KILL has the time that it takes to settle.
        """
        self._enter(NodePhase.RESIDUAL)
        core = self._core
        time_moves = self._time
        if time_moves is not None:
            # No data moves simulated time any more: what is on its way arrives, as in a backtest.
            self._draining.keep_on(lambda: time_moves.run_on(lambda: core.is_awaiting))
        deadline = self._within(self._config.delay_post_stop_s)
        last = self._within(self._config.delay_post_stop_s + _KILL_S)
        try:
            while True:
                more = self._draining.run_slice()
                # Simulated clients answer at once: waiting would bring nothing more.
                awaits = time_moves is None and core.is_awaiting
                is_killing = self.is_killing()
                if not (more or awaits or is_killing):
                    return
                if self._now_s() >= (last() if is_killing else deadline()):
                    return
                await asyncio.sleep(self._config.pause_s)
        finally:
            self.left_open = left_open(self._core.cache)
            for line in self.left_open:
                _log.info("left open: %s", line)

    async def _disconnect(self) -> None:
        """End the streams, then disconnect every client, within the time there is for both."""
        self._enter(NodePhase.DISCONNECTING)
        deadline = self._within(self._config.timeout_disconnection_s)
        clients = [*self._core.data.clients, *self._core.execution.clients]
        try:
            self.disconnect_failures += await self._tasks.end_streams()
        finally:
            await disconnect_all(clients, deadline, self.disconnect_failures)

    async def _drain(self) -> None:
        self._core.risk.refuse_waiting(NOT_LEFT)
        deadline = self._within(self._config.timeout_disconnection_s)
        self._draining.limit(self._config.timeout_disconnection_s + _MORE_S)
        self._draining.keep_on(lambda: self._drain_until(deadline))
        self.left_open = left_open(self._core.cache)

    def _drain_until(self, deadline: Deadline) -> None:
        # Nothing turns the loop meanwhile: its own clock may stand still.
        at_s, began_s = self._now_s(), time.monotonic()
        dropped = self._core.dispatcher.drain_finally(
            lambda: time.monotonic() - began_s >= deadline() - at_s
        )
        if dropped:
            _log.warning(
                "%s dropped %d data events that were left: the time to stop was over",
                self._config.trader_id,
                dropped,
            )

    async def _end_journal(self) -> None:
        if self._journaling is not None:
            self.disconnect_failures += await self._journaling.end([*self.faults, *self.halts])

    def _close(self) -> None:
        if self._journaling is not None:
            self._journaling.close()  # where a cancellation cut its end short
        if isinstance(self._core.clock, LiveClock):
            self._core.clock.stop()
        self._stalls.stop()
        self._core.lanes.close()
        self._core.release_thread()
        self._enter(NodePhase.IDLE)

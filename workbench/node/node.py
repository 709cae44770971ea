"""The trading node: built once, run once, inside a running loop or on its own."""

from __future__ import annotations

import asyncio
import html
import logging
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.model.commands import ShutdownSystem
from workbench.model.errors import ConfigError, LifecycleError, WorkbenchError
from workbench.model.events import LoopStalled
from workbench.model.identifiers import ComponentId, run_tag
from workbench.node import frames
from workbench.node.clients import BuildContext, DataClientFactory, ExecClientFactory
from workbench.node.config import ClockKind, TradingNodeConfig
from workbench.node.registry import register
from workbench.node.session import NodePhase, Session
from workbench.node.waiting import is_loop_running, wait_for
from workbench.runtime.clock import LiveClock, SimulatedClock
from workbench.runtime.lifecycle import NODE_TRANSITIONS, Lifecycle, NodeState, NodeTrigger
from workbench.runtime.runner import AsyncRunner
from workbench.sim.simulated_time import SimulatedTime
from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_ANSWER_S = 10.0
_SWITCH_INTERVAL_S = 0.0005


class TradingNode:
    """Strategies, engines and clients, from `build()` to `dispose()`.

    Args:
        config: Its settings.

    >>> node = TradingNode()
    >>> node.state.value, node.allowed
    ('CREATED', ['build', 'dispose'])
    """

    def __init__(self, config: TradingNodeConfig | None = None) -> None:
        self.config = config or TradingNodeConfig()
        self.serial = register(self)
        self._lifecycle = Lifecycle("node", NODE_TRANSITIONS, NodeState.CREATED, self._on_state)
        self._data_factories: list[DataClientFactory] = []
        self._exec_factories: list[ExecClientFactory] = []
        self._actors: list[Actor] = []
        self._listeners: list[Callable[[TradingNode], None]] = []
        self._runner: AsyncRunner | None = None
        self._core: TradingCore | None = None
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._fault_reported = False

    # What it is made of

    def add_data_client_factory(self, factory: DataClientFactory) -> None:
        """Add what makes a data client in `build()`.

        Raises:
            LifecycleError: If the node is built.
        """
        self._must_be_created("add a data client factory to")
        self._data_factories.append(_callable(factory, "a data client factory"))

    def add_exec_client_factory(self, factory: ExecClientFactory) -> None:
        """Add what makes an execution client in `build()`.

        Raises:
            LifecycleError: If the node is built.
        """
        self._must_be_created("add an execution client factory to")
        self._exec_factories.append(_callable(factory, "an execution client factory"))

    def add_strategy(self, strategy: Actor) -> None:
        """Add a strategy or actor; the same object may have been in a backtest before.

        Raises:
            LifecycleError: If the node is built.
            ConfigError: If it is a class, no strategy at all, or added twice.
        """
        self._must_be_created("add a strategy to")
        if isinstance(strategy, type):
            raise ConfigError(f"pass an object, {strategy.__name__}(...), not the class")
        if not isinstance(strategy, Actor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"a strategy is a wb.Strategy or wb.Actor; got {strategy!r}")
        if any(strategy is one for one in self._actors):
            raise ConfigError(f"{strategy!r} was added already; make another object for a second one")
        self._actors.append(strategy)

    def _must_be_created(self, what: str) -> None:
        if self.state is not NodeState.CREATED:
            allowed = ", ".join(self.allowed) or "nothing"
            raise LifecycleError(f"cannot {what} a {self.state.value} node; allowed now: {allowed}")

    # Where it is

    @property
    def state(self) -> NodeState:
        """Return where in its lifecycle it is."""
        return self._lifecycle.state

    @property
    def phase(self) -> NodePhase:
        """Return where inside RUNNING or STOPPING it is; `idle` otherwise."""
        return NodePhase.IDLE if self._session is None else self._session.phase

    @property
    def allowed(self) -> list[str]:
        """Return what can be asked for now."""
        return [t.value for t in self._lifecycle.allowed if t is not NodeTrigger.FINISH]

    @property
    def fault(self) -> BaseException | None:
        """Return what went wrong first, or None."""
        session = self._session
        return session.faults[0] if session is not None and session.faults else None

    @property
    def core(self) -> TradingCore:
        """Return the trading core.

        Raises:
            LifecycleError: If the node is not built yet.
        """
        if self._core is None:
            raise LifecycleError(f"a {self.state.value} node has no core yet; call build() first")
        return self._core

    @property
    def strategies(self) -> list[Actor]:
        """Return its strategies and actors."""
        return list(self._actors)

    @property
    def left_open(self) -> list[str]:
        """Return what was open when it stopped, a sentence each."""
        return [] if self._session is None else list(self._session.left_open)

    @property
    def stalls(self) -> list[LoopStalled]:
        """Return the stalls of its loop."""
        return [] if self._session is None else list(self._session.stalls)

    @property
    def stale_instruments(self) -> list[str]:
        """Return the instruments that had no fresh price since the last stall."""
        return [] if self._session is None else self._session.stale

    def on_change(self, listener: Callable[[TradingNode], None]) -> None:
        """Call `listener(node)` after each change of state or phase, on the node's thread."""
        self._listeners.append(listener)

    def _on_state(self, _: NodeState) -> None:
        for listener in list(self._listeners):
            listener(self)

    def _on_phase(self, _: NodePhase) -> None:
        self._on_state(self.state)

    # Build

    def build(self) -> None:
        """Make engines and clients; an error leaves the node as it was.

        Raises:
            LifecycleError: If it was built before.
            ConfigError: If a factory makes no client.
        """
        self._lifecycle.check(NodeTrigger.BUILD)
        config = self.config
        runner = AsyncRunner(
            conflate_above=config.conflate_above,
            budget_s=config.budget_s,
            pause_s=config.pause_s,
            name=str(config.trader_id),
        )
        senders = runner.senders
        is_live = config.clock is ClockKind.LIVE
        clock = LiveClock(senders.time_event.send) if is_live else SimulatedClock()
        with runner.bound():
            channels = runner.take_channels()
            core = TradingCore(clock, channels, senders, run_tag="", limits=config.limits)
            if isinstance(clock, SimulatedClock):
                drain = core.dispatcher.drain
                moving = SimulatedTime(clock, senders.time_event.send, drain)
                core.dispatcher.before_data.append(moving.see)
            core.on_shutdown(self._on_shutdown)
            see_data = core.dispatcher.before_data.append
            context = BuildContext(clock, channels, senders, see_data, self._shutdown)
            for factory in self._data_factories:
                core.data.add_client(factory(context))
            for exec_factory in self._exec_factories:
                core.execution.add_client(exec_factory(context))
            core.run_tag = run_tag(clock.timestamp_ns(), config.trader_id)
            for actor in self._actors:
                core.add_actor(actor)
        self._runner, self._core = runner, core
        self._session = Session(config, core, runner, self._on_phase)
        self._lifecycle.apply(NodeTrigger.BUILD)

    def _shutdown(self, reason: str) -> None:
        now = self.core.clock.timestamp_ns()
        self.core.shutdown(
            ShutdownSystem(component_id=ComponentId("node"), reason=reason, ts_init=now)
        )

    def _on_shutdown(self, command: ShutdownSystem) -> None:
        _log.info("%s asked for a shutdown: %s", command.component_id, command.reason)
        if self._session is not None:
            self._session.request_stop()

    # Run

    def run(self, raise_exception: bool = False, *, thread: bool = False) -> None:
        """Run: in a running loop start a task and return at once, else run to completion.

        Args:
            raise_exception: Without a running loop: raise what went wrong instead of keeping it
                in `fault`.
            thread: Give the node a thread and loop of its own, and return at once.

        Raises:
            LifecycleError: If it is not built, or was run before.
        """
        session = self._begin()
        if thread:
            self._thread = threading.Thread(
                target=self._run_in_thread, name=f"workbench {self.config.trader_id}", daemon=True
            )
            self._thread.start()
            session.begun.wait(_ANSWER_S)
        elif is_loop_running():
            self._task = asyncio.get_running_loop().create_task(
                self._run(session), name=f"workbench node {self.serial}"
            )
            self._task.add_done_callback(_retrieve)
        else:
            with _stopping_on_signals(session):
                asyncio.run(self._run(session))
            if raise_exception and self.fault is not None:
                self._raise_fault()

    async def run_async(self) -> None:
        """Run until stopped; ends when all of the node's tasks have ended.

        Raises:
            LifecycleError: If it is not built, or was run before.
            BaseException: What went wrong, if anything did.
        """
        await self._run(self._begin())
        self._raise_fault()

    def _begin(self) -> Session:
        session = self._session
        self._lifecycle.apply(NodeTrigger.RUN)
        if session is None:
            raise LifecycleError("the node is not built")
        return session

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            self._finish()

    def _run_in_thread(self) -> None:
        session = self._session
        if session is None:
            return
        before = sys.getswitchinterval()
        sys.setswitchinterval(min(before, _SWITCH_INTERVAL_S))
        try:
            asyncio.run(self._run(session))
        finally:
            sys.setswitchinterval(before)

    def _finish(self) -> None:
        if self.state is NodeState.RUNNING:
            self._lifecycle.apply(NodeTrigger.STOP)
        if self.state is NodeState.STOPPING:
            self._lifecycle.apply(NodeTrigger.FINISH)
        self._stopped.set()
        fault = self.fault
        if fault is not None:
            _log.error("the node stopped on a fault: %s", fault, exc_info=fault)

    # Stop

    def stop(self, timeout_s: float = 60.0) -> None:
        """Stop gracefully and wait for it; the node's tasks go on meanwhile.

        In a cell, `await node.stop_async()` does the same without nesting the loop. On a node that
        has stopped by itself this returns at once.

        Args:
            timeout_s: How long to wait for a node on a thread of its own.

        Raises:
            LifecycleError: If it was never run, or is disposed of.
            BaseException: What went wrong during the run, if anything did and nobody was told.
        """
        session = self._stop_request()
        if session is not None and not self._stopped.is_set():
            loop = session.loop
            if loop is None or self._thread is not None:
                self._wait_outside(session, timeout_s)
            else:
                wait_for(self._until_stopped, loop, session.thread, timeout_s)
        self._raise_fault()

    async def stop_async(self) -> None:
        """Stop gracefully and wait for it.

        Raises:
            LifecycleError: If it was never run, or is disposed of.
            BaseException: What went wrong during the run, if anything did and nobody was told.
        """
        if self._stop_request() is not None:
            await self._until_stopped()
        self._raise_fault()

    def request_stop(self) -> None:
        """Ask for a graceful stop and return at once; callable from any thread.

        Raises:
            LifecycleError: If it was never run, or is disposed of.
        """
        self._stop_request()

    def _stop_request(self) -> Session | None:
        """Ask the session to stop; return None where it has stopped already."""
        session = self._session
        if self.state is NodeState.STOPPED:
            return None
        if self.state is NodeState.STOPPING:
            return session
        self._lifecycle.apply(NodeTrigger.STOP)
        if session is not None:
            session.request_stop()
        return session

    async def _until_stopped(self) -> None:
        while not self._stopped.is_set():
            await asyncio.sleep(0.002)

    def _wait_outside(self, session: Session, timeout_s: float) -> None:
        """Wait for a node whose loop runs on another thread, or has not begun to run here."""
        if self._thread is None and is_loop_running():
            loop = asyncio.get_running_loop()
            wait_for(self._until_stopped, loop, threading.get_ident(), timeout_s)
        elif not self._stopped.wait(timeout_s):
            stalled_s = session.watch.stalled_for_ns / 1e9 if session.watch else 0.0
            raise WorkbenchError(
                f"the node did not stop within {timeout_s:g} s (phase: {self.phase.value}, its loop has"
                f" not answered for {stalled_s:.1f} s); it goes on stopping"
            )

    def _raise_fault(self) -> None:
        fault = self.fault
        if fault is not None and not self._fault_reported:
            self._fault_reported = True
            raise fault

    # Dispose

    def dispose(self) -> None:
        """Let go of everything; the node cannot be used again. Twice does nothing.

        While it is stopping this waits, for `timeout_disconnection_s` at most.

        Raises:
            LifecycleError: If it is running.
        """
        if self.state is NodeState.DISPOSED:
            return
        if self.state is NodeState.STOPPING:
            self._wait_for_stop()
        self._lifecycle.check(NodeTrigger.DISPOSE)
        if self._core is not None:
            self._core.dispose_actors()
        if self._thread is not None:
            self._thread.join(self.config.timeout_disconnection_s)
        session = self._session
        loop = None if session is None else session.loop
        self._lifecycle.apply(NodeTrigger.DISPOSE)
        state = "never run" if loop is None else "closed" if loop.is_closed() else "the host's, open"
        _log.info("node %s disposed; loop: %s", self.config.trader_id, state)

    def _wait_for_stop(self) -> None:
        session = self._session
        limit = self.config.timeout_disconnection_s
        if session is None:
            return
        if session.loop is not None and session.thread == threading.get_ident():
            wait_for(self._until_stopped, session.loop, session.thread, limit)
        else:
            self._wait_outside(session, limit)

    # Reaching in

    def call(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function on the node's own thread, between two messages, and return its result.

        Args:
            function: Such as `strategy.submit_order`.
            *arguments: For it.

        Raises:
            ThreadError: If the node's loop does not answer within ten seconds.
        """
        session = self._session
        loop = None if session is None else session.loop
        if session is None or loop is None or self._stopped.is_set():
            return function(*arguments)
        if session.thread == threading.get_ident():
            return function(*arguments)

        async def reach() -> _T:
            return function(*arguments)

        return wait_for(reach, loop, session.thread, _ANSWER_S)

    # Views

    def orders(self) -> pd.DataFrame:
        """Return all orders, oldest first; amounts are `Decimal`, times UTC."""
        return self.call(lambda: frames.orders_frame(self._core.cache.orders() if self._core else []))

    def fills(self) -> pd.DataFrame:
        """Return all fills, oldest first."""
        core = self.core
        return self.call(lambda: frames.fills_frame(core.log))

    def positions(self) -> pd.DataFrame:
        """Return all positions, open and closed, oldest first; `quantity` is signed."""
        core = self.core
        return self.call(lambda: frames.positions_frame(core.cache.positions()))

    def accounts(self) -> pd.DataFrame:
        """Return each account's balances as they are now."""
        core = self.core
        return self.call(lambda: frames.accounts_frame(core.cache.accounts()))

    def channels(self) -> pd.DataFrame:
        """Return the five channels' counters, in the runner's order; times in nanoseconds."""
        core = self.core
        return frames.statistics_frame(core.dispatcher.channels.statistics())

    def lanes(self) -> pd.DataFrame:
        """Return the eight engine lanes' counters."""
        return frames.statistics_frame(self.core.lanes.statistics())

    # Looks

    def __repr__(self) -> str:
        """Return trader, state, phase and what is allowed now."""
        phase = "" if self.phase is NodePhase.IDLE else f" ({self.phase.value})"
        allowed = ", ".join(self.allowed) or "nothing"
        fault = "" if self.fault is None else f"; fault: {self.fault}"
        return (
            f"TradingNode({self.config.trader_id}): {self.state.value}{phase};"
            f" allowed now: {allowed}{fault}"
        )

    def _repr_html_(self) -> str:
        steps = " → ".join(
            f"<b style='border-bottom:3px solid currentColor'>{s.value}</b>"
            if s is self.state
            else f"<span style='opacity:.5'>{s.value}</span>"
            for s in NodeState
        )
        rows = [
            ("trader", str(self.config.trader_id)),
            ("phase", self.phase.value),
            ("allowed now", ", ".join(self.allowed) or "nothing"),
            ("strategies", ", ".join(map(repr, self._actors)) or "none"),
        ]
        if self.fault is not None:
            rows.append(("fault", str(self.fault)))
        rows += [("left open", line) for line in self.left_open]
        cells = "".join(
            f"<tr><th style='text-align:left'>{name}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in rows
        )
        return f"<div>{steps}<table>{cells}</table></div>"


def _callable(factory: _T, what: str) -> _T:
    if not callable(factory):
        raise ConfigError(f"{what} is called with a BuildContext and returns a client; got {factory!r}")
    return factory


def _retrieve(task: asyncio.Task[None]) -> None:
    """Take a task's exception, so that it is not reported in some later cell."""
    if not task.cancelled():
        task.exception()


@contextmanager
def _stopping_on_signals(session: Session) -> Generator[None]:
    """Let SIGINT and SIGTERM stop a standalone node gracefully."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: Any) -> None:
        _log.info("stopping on %s", signal.Signals(number).name)
        session.request_stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

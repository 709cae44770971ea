"""The trading node: built once, run once, inside a running loop or on its own."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from workbench.model.commands import ShutdownSystem
from workbench.model.enums import TradingState, parse_enum
from workbench.model.errors import (
    ConfigError,
    LifecycleError,
    StrategyError,
    WorkbenchError,
)
from workbench.model.events import LoopStalled, OrderEvent
from workbench.node import looks, showing
from workbench.node.builder import build
from workbench.node.clients import DataClientFactory, ExecClientFactory
from workbench.node.config import TradingNodeConfig
from workbench.node.hosting import Host, exactly
from workbench.node.phases import NodePhase
from workbench.node.registry import register
from workbench.node.session import Session
from workbench.node.snapshot_taking import Snapshots
from workbench.node.snapshots import NodeSnapshot
from workbench.node.swapping import SwapReport, swap_strategy
from workbench.node.views import NodeFrames, NodeViews
from workbench.node.waiting import is_loop_running
from workbench.runtime.lifecycle import NODE_TRANSITIONS, Lifecycle, NodeState, NodeTrigger
from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_ANSWER_S = 10.0


class TradingNode(NodeFrames):
    """Strategies, engines and clients, from `build()` to `dispose()`.

    Args:
        config: Its settings.

    Raises:
        ConfigError: If `config` is no `TradingNodeConfig`.

    >>> node = TradingNode()
    >>> node.state.value, node.allowed
    ('CREATED', ['build', 'dispose'])
    """

    def __init__(self, config: TradingNodeConfig | None = None) -> None:
        if config is not None and not isinstance(config, TradingNodeConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                "config is a wb.TradingNodeConfig(...), or TradingNodeConfig.from_dict(...) of a"
                f" mapping; got {config!r}"
            )
        self.config = config or TradingNodeConfig()
        self.serial = register(self)
        # Several threads may move it: each move is one step under the lock.
        self._lifecycle = Lifecycle("node", NODE_TRANSITIONS, NodeState.CREATED)
        self._lock = threading.RLock()
        self._data_factories: list[DataClientFactory] = []
        self._exec_factories: list[ExecClientFactory] = []
        self._actors: list[Actor] = []
        self._listeners: list[Callable[[TradingNode], None]] = []
        self._core: TradingCore | None = None
        self._session: Session | None = None
        self._views = NodeViews(self._call)
        self._snapshots = Snapshots(self, self._lock)
        # So that there is one of each phase, whoever asks for it and from which thread.
        self._listeners.append(Snapshots.see)
        self._host: Host | None = None
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
            raise ConfigError(
                f"{strategy!r} was added already; make another object for a second one"
            )
        self._actors.append(strategy)

    def _must_be_created(self, what: str) -> None:
        if self.state is not NodeState.CREATED:
            raise self._refusal(what)

    def _check(self, trigger: NodeTrigger) -> None:
        if (self.state, trigger) not in NODE_TRANSITIONS:
            raise self._refusal(trigger.value)

    def _refusal(self, what: str) -> LifecycleError:
        allowed = ", ".join(self.allowed) or "nothing"
        return LifecycleError(f"cannot {what} a {self.state.value} node; allowed now: {allowed}")

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
    def is_live(self) -> bool:
        """Return whether its orders may reach a real venue, not only a simulated exchange."""
        core = self._core
        ways = self._exec_factories if core is None else core.execution.clients
        # A factory that does not say so is taken for one of a real venue.
        return not all(getattr(way, "is_simulated", False) for way in ways)

    @property
    def is_inside(self) -> bool:
        """Return whether this is asked by one of the node's own callbacks."""
        return self._session is not None and self._session.is_inside

    @property
    def left_open(self) -> list[str]:
        """Return what was open when it stopped, a sentence each."""
        return [] if self._session is None else list(self._session.left_open)

    @property
    def disconnect_failures(self) -> list[str]:
        """Return what went wrong when its clients were disconnected, a sentence each."""
        return [] if self._session is None else list(self._session.disconnect_failures)

    @property
    def stalls(self) -> list[LoopStalled]:
        """Return the stalls of its loop."""
        return [] if self._session is None else list(self._session.stalls)

    @property
    def stale_instruments(self) -> list[str]:
        """Return the instruments that had no fresh price since the last stall."""
        return [] if self._session is None else self._session.stale

    @property
    def trading_state(self) -> TradingState:
        """Return what risk lets through: ACTIVE, REDUCING or HALTED."""
        return TradingState.ACTIVE if self._core is None else self._core.risk.trading_state

    @property
    def refused_events(self) -> list[tuple[OrderEvent, str]]:
        """Return the order events that could not be applied, each with the reason."""
        return [] if self._core is None else list(self._core.execution.refused_events)

    def on_change(self, listener: Callable[[TradingNode], None]) -> None:
        """Call `listener(node)` after each change of state or phase, on the node's thread.

        A listener that raises is logged and not called again: it only looks on.
        """
        self._listeners.append(listener)

    def _move(self, trigger: NodeTrigger, only_from: NodeState | None = None) -> None:
        """Move along the table; do nothing where the node is not in the state `only_from`."""
        with self._lock:
            if only_from is not None and self.state is not only_from:
                return
            self._lifecycle.apply(trigger)
        self._notify()

    def _notify(self) -> None:
        session = self._session
        loop = None if session is None else session.loop
        if session is not None and loop is not None and session.thread != threading.get_ident():
            try:
                loop.call_soon_threadsafe(self._tell_listeners)
                return
            except RuntimeError:
                pass  # the loop is closed: no thread is the node's any more
        self._tell_listeners()

    def _tell_listeners(self) -> None:
        for listener in list(self._listeners):
            try:
                listener(self)
            except Exception:
                self._listeners.remove(listener)
                _log.exception("%r failed and is told of no more changes", listener)

    def _on_phase(self, phase: NodePhase) -> None:
        if phase is NodePhase.STOPPING:
            # A fault or a strategy may have asked for it: nobody called `stop`.
            self._move(NodeTrigger.STOP, NodeState.RUNNING)
        self._notify()

    # Build

    def build(self) -> None:
        """Make engines and clients; an error leaves the node as it was.

        Raises:
            LifecycleError: If it was built before.
            ConfigError: If a factory makes no client.
        """
        self._check(NodeTrigger.BUILD)
        built = build(
            self.config, self._data_factories, self._exec_factories, self._actors, self._on_shutdown
        )
        self._core = self._views.core = built.core
        self._session = Session(self.config, built, self._on_phase)
        self._host = Host(self._session, str(self.config.trader_id), self._finish)
        self._snapshots.begin(built.core, self._session, self._host)
        self._move(NodeTrigger.BUILD)

    def _on_shutdown(self, command: ShutdownSystem) -> None:
        _log.info("%s asked for a shutdown: %s", command.component_id, command.reason)
        if self._session is not None:
            self._session.request_stop()

    # Run

    def run(self, raise_exception: bool = False, *, thread: bool = False) -> None:
        """Run: in a running loop start a task and return at once, else run to completion.

        Without a running loop the first SIGINT or SIGTERM stops the node gracefully; a second
        Ctrl-C interrupts what hangs.

        Args:
            raise_exception: Without a running loop: raise what went wrong instead of keeping it
                in `fault`.
            thread: Give the node a thread and loop of its own, and return at once.

        Raises:
            LifecycleError: If it is not built, or was run before.
        """
        host = self._begin()
        if thread:
            host.run_on_thread()
        elif is_loop_running():
            host.run_embedded()
        else:
            try:
                host.run_standalone()
            except BaseException as error:
                self._fault_reported = self._fault_reported or error is self.fault
                raise
            if raise_exception or not isinstance(self.fault, Exception):
                self._raise_fault()

    async def run_async(self) -> None:
        """Run until stopped; ends when all of the node's tasks have ended.

        Raises:
            LifecycleError: If it is not built, or was run before.
            BaseException: What went wrong, if anything did.
        """
        await self._begin().run_here()
        self._raise_fault()

    def _begin(self) -> Host:
        self._check(NodeTrigger.RUN)
        core = self.core
        for actor in self._actors:
            if actor.core is not core:
                raise LifecycleError(
                    f"{actor!r} has become part of another node or backtest since this node was"
                    " built; make another object, or another node, for each run"
                )
        if self._host is None:
            raise LifecycleError("the node is not built")
        # From now on, not only once strategies start, nobody else may take them.
        core.is_in_use = True
        self._move(NodeTrigger.RUN)
        return self._host

    def _finish(self) -> None:
        host = self._host
        if host is None or host.stopped.is_set():
            return
        self._move(NodeTrigger.STOP, NodeState.RUNNING)
        with self._lock:
            if self.state is NodeState.STOPPING:
                self._lifecycle.apply(NodeTrigger.FINISH)
            host.stopped.set()
        self.core.is_in_use = False
        self._notify()

    # Stop

    def stop(self, timeout_s: float = 60.0) -> None:
        """Stop gracefully and wait for it; the node's tasks go on meanwhile.

        In a cell, `await node.stop_async()` does the same without nesting the loop. On a node that
        has stopped by itself this returns at once.

        Args:
            timeout_s: How long to wait.

        Raises:
            LifecycleError: If it was never run, is disposed of, or one of its own callbacks calls.
            WorkbenchError: If it has not stopped by then; it goes on stopping.
            BaseException: What went wrong during the run, if anything did and nobody was told.
        """
        self._refuse_inside()
        self.request_stop()
        if self._host is not None:
            self._host.wait(timeout_s)
            self._host.join(timeout_s)
        self._raise_fault()

    async def stop_async(self) -> None:
        """Stop gracefully and wait for it, also for a node on another thread.

        Raises:
            LifecycleError: If it was never run, or is disposed of.
            BaseException: What went wrong during the run, if anything did and nobody was told.
        """
        self.request_stop()
        if self._host is not None:
            await self._host.wait_async()
        self._raise_fault()

    def request_stop(self, within_s: float | None = None) -> None:
        """Ask for a graceful stop and return at once; callable from any thread, more than once.

        Args:
            within_s: What all phases of the stop may take together from now on, as when the
                kernel shuts down; by default each has its own limit.

        Raises:
            LifecycleError: If it was never run, or is disposed of.
        """
        session = self._session
        with self._lock:
            if self.state is NodeState.STOPPED:
                return
            if self.state is not NodeState.STOPPING:
                self._check(NodeTrigger.STOP)
        self._move(NodeTrigger.STOP, NodeState.RUNNING)
        if session is None:
            return
        session.request_stop(within_s)
        is_over = self._host is None or self._host.stopped.is_set()
        if session.loop is not None and session.loop.is_closed() and not is_over:
            session.note(
                WorkbenchError(
                    "the loop the node ran on was closed before the node had stopped; its clients"
                    " were not disconnected"
                )
            )
            self._finish()

    def _refuse_inside(self) -> None:
        if self.is_inside:
            raise LifecycleError(
                "one of the node's own callbacks cannot wait until the node has stopped; call"
                " self.shutdown_system(reason), or node.request_stop()"
            )

    def _raise_fault(self) -> None:
        fault = self.fault
        if fault is not None and not self._fault_reported:
            self._fault_reported = True
            raise fault

    # Dispose

    def dispose(self) -> None:
        """Let go of everything; the node cannot be used again. Twice does nothing.

        While it is stopping this waits, for `timeout_disconnection_s` at most. What a strategy
        raises meanwhile comes out at the end, or as a note to an exception that is on its way out
        already: `try: node.run() finally: node.dispose()` never hides the first error.

        Raises:
            LifecycleError: If it is running.
            StrategyError: What an `on_dispose` raised.
        """
        if self.state is NodeState.DISPOSED:
            return
        if self.state is NodeState.STOPPING:
            self._refuse_inside()
            if self._host is not None:
                self._host.wait(self.config.timeout_disconnection_s)
        self._check(NodeTrigger.DISPOSE)
        errors = self._dispose_actors()
        if self._host is not None:
            self._host.join(self.config.timeout_disconnection_s)
        self._move(NodeTrigger.DISPOSE)
        self._snapshots.end()
        state = "never run" if self._host is None else self._host.loop_state
        _log.info("node %s disposed; loop: %s", self.config.trader_id, state)
        on_its_way = sys.exc_info()[1]
        first = on_its_way or next(iter(errors), None)
        for error in errors:
            if first is not None and error is not first:
                first.add_note(f"When the node was disposed of: {error}")
        if on_its_way is None and first is not None:
            raise first

    def _dispose_actors(self) -> list[StrategyError]:
        """Dispose of its actors, but of none that is part of another node by now."""
        errors: list[StrategyError] = []
        for actor in self._actors if self._core is not None else ():
            if actor.core is self._core:
                try:
                    actor.dispose()
                except StrategyError as error:
                    errors.append(error)
        return errors

    # Reaching in

    def set_trading_state(self, state: str) -> None:
        """Set what risk lets through, on the node's own thread; callable from any.

        Args:
            state: `"active"` for everything, `"reducing"` for what makes positions smaller, or
                `"halted"` for no new orders.

        Raises:
            ConfigError: If it is another word.
            LifecycleError: If the node is not built yet, or has stopped.
            ThreadError: If the node's loop does not answer within ten seconds.
        """
        wanted = parse_enum(TradingState, state, "trading state")
        core = self.core
        if self.state in (NodeState.STOPPED, NodeState.DISPOSED):
            raise self._refusal("set the trading state of")
        self.call(core.risk.set_trading_state, wanted)
        _log.info("trading state of %s: %s", self.config.trader_id, wanted.value)

    def call(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function on the node's own thread, between two messages, and return its result.

        Args:
            function: Such as `strategy.submit_order`.
            *arguments: For it.

        Raises:
            ThreadError: If the node's loop does not answer within ten seconds.
        """
        return self._call(lambda: function(*arguments), _ANSWER_S)

    def _call(self, function: Callable[[], _T], timeout_s: float) -> _T:
        return exactly(function) if self._host is None else self._host.call(function, timeout_s)

    def swap_strategy(self, which: Actor | str, kind: type[Actor]) -> SwapReport:
        """Let a strategy go on with the code of another class, between two messages.

        The object keeps its state: attributes, indicators, position, open orders, timers and
        subscriptions; `on_start` does not run again. A parameter that has its default takes the new
        one. The exchange is noted in the event log. If the class cannot take over, nothing changes.

        Args:
            which: The strategy, its id (`Cross-001`), or its class's name.
            kind: The class it is to be of.

        Raises:
            ConfigError: If there is no such strategy, or the class cannot take over; says why.
            LifecycleError: If the node is live or disposed of.
            ThreadError: If the node's loop does not answer within ten seconds.
        """
        return swap_strategy(self, which, kind)

    # Looks

    def snapshot(self) -> NodeSnapshot:
        """Return what the node is and has as plain values; never waits, from any thread.

        On the node's thread, and while it does not run, it is of now. From another thread it is the
        last one that was taken (`ts`, `taken_ns`; see `request_snapshot`), with state, counters,
        stalls, faults and log as they are now.
        """
        return self._snapshots.snapshot()

    def request_snapshot(self) -> None:
        """Let the node's loop take a snapshot as soon as it turns; returns at once."""
        self._snapshots.request()

    def dashboard(self, hz: float = 5.0) -> Any:
        """Return the node's dashboard: leave it as a cell's last line, and it shows the node live.

        It shows where the node is in its lifecycle, with buttons for what is allowed now, and one
        that kills: HALTED at once, and every open order cancelled. Below are prices with the fills
        on them, profit, positions, accounts, orders, the channels and lanes, the loop's stalls,
        what strategies raised, and the log. It looks on: the node is never delayed by it.

        A second call returns the same dashboard, which can be shown in several places; each shows
        what came before, also after the page was loaded anew. `close()` ends it.

        While a cell computes, the buttons work at once on ipykernel 7, as far as they need nothing
        of the kernel's loop: KILL and stop do not. On ipykernel 6 the kernel reads no message
        before the cell has ended or is interrupted.

        Args:
            hz: Frames a second, 0.5 to 10.

        Raises:
            ConfigError: If the notebook extension is not loaded (`%load_ext workbench`), or `hz` is
                not usable.
        """
        return showing.dashboard(self, hz)

    def __repr__(self) -> str:
        """Return trader, state, phase and what is allowed now."""
        return looks.to_text(self)

    def _repr_html_(self) -> str:
        return looks.to_html(self)


def _callable(factory: _T, what: str) -> _T:
    if not callable(factory):
        raise ConfigError(
            f"{what} is called with a BuildContext and returns a client; got {factory!r}"
        )
    return factory

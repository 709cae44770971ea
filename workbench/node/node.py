"""The trading node: built once, run once, inside a running loop or on its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from workbench.model.commands import ShutdownSystem
from workbench.model.enums import TradingState, parse_enum
from workbench.model.errors import ConfigError, LifecycleError, WorkbenchError
from workbench.node import looks, showing
from workbench.node.builder import MakeClock, Parts, build
from workbench.node.closing import dispose_of, raise_first
from workbench.node.config import TradingNodeConfig
from workbench.node.hosting import Host, exactly
from workbench.node.journal import Journal
from workbench.node.journaling import Journaling, OpenJournal
from workbench.node.kill import Killing
from workbench.node.listeners import Listeners
from workbench.node.parts import NodeParts
from workbench.node.phases import NodePhase
from workbench.node.promotion import Promoting
from workbench.node.promotions import NodePromotions
from workbench.node.registry import register
from workbench.node.session import Session
from workbench.node.shadow import Shadow
from workbench.node.snapshot_taking import Snapshots
from workbench.node.snapshots import KillReport
from workbench.node.swapping import SwapReport, swap_strategy
from workbench.node.views import NodeViews
from workbench.node.waiting import is_loop_running
from workbench.runtime.clock import LiveClock
from workbench.runtime.lifecycle import NODE_TRANSITIONS, Lifecycle, NodeState, NodeTrigger
from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_ANSWER_S = 10.0
_WAS_RUN = (NodeState.RUNNING, NodeState.STOPPING, NodeState.STOPPED)


class TradingNode(NodePromotions, NodeParts):
    """Strategies, engines and clients, from `build()` to `dispose()`.

    Args:
        config: Its settings.
        open_journal: Opens its journal; for tests, which may keep it without a thread.
        make_clock: Makes its live clock; for tests, whose time may be virtual.

    Raises:
        ConfigError: If `config` is no `TradingNodeConfig`.

    >>> node = TradingNode()
    >>> node.state.value, node.allowed
    ('CREATED', ['build', 'dispose'])
    """

    def __init__(
        self,
        config: TradingNodeConfig | None = None,
        *,
        open_journal: OpenJournal = Journal.open,
        make_clock: MakeClock = LiveClock,
    ) -> None:
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
        self._parts = Parts()
        self._listeners = Listeners()
        self._core: TradingCore | None = None
        self._session: Session | None = None
        self._views = NodeViews(self._call)
        self._snapshots = Snapshots(self, self._lock)
        # So that there is one of each phase, whoever asks for it and from which thread.
        self._listeners.add(Snapshots.see)
        self._host: Host | None = None
        self._killing: Killing | None = None
        self._open_journal = open_journal
        self._make_clock = make_clock
        self._journaling: Journaling | None = None
        self._promoting: Promoting | None = None
        self._shadow: Shadow | None = None
        self._fault_reported = False

    def _check(self, trigger: NodeTrigger) -> None:
        if (self.state, trigger) not in NODE_TRANSITIONS:
            raise self._refusal(trigger.value)

    # Changes

    def on_change(self, listener: Callable[[TradingNode], None]) -> None:
        """Call `listener(node)` after each change of state or phase, on the node's thread.

        A listener that raises is logged and not called again: it only looks on.
        """
        self._listeners.add(listener)

    def _move(self, trigger: NodeTrigger, only_from: NodeState | None = None) -> None:
        """Move along the table; do nothing where the node is not in the state `only_from`."""
        with self._lock:
            if only_from is not None and self.state is not only_from:
                return
            self._lifecycle.apply(trigger)
        self._notify()

    def _notify(self) -> None:
        self._listeners.notify(self, self._session)

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
            PromotionError: If a strategy that is promoted is not what was promoted, or its account
                is not traded here.
        """
        self._check(NodeTrigger.BUILD)
        built = build(
            self.config,
            self._parts,
            self._on_shutdown,
            self._open_journal,
            self._make_clock,
        )
        session = Session(self.config, built, self._on_phase, self.serial)
        promoting = Promoting(self.config, built, session)
        try:
            promoting.restore()
        except BaseException:
            if built.journaling is not None:
                built.journaling.close()
            raise
        self._promoting = promoting
        self._journaling = built.journaling
        self._shadow = built.shadow
        self._core = self._views.core = built.core
        self._session = session
        self._host = Host(self._session, str(self.config.trader_id), self._finish)
        self._snapshots.begin(built.core, self._session, self._host)
        self._killing = Killing(self, built.core, self._session)
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
        for actor in self._parts.actors:
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
        if self._killing is not None:
            self._killing.end()
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
        if self._host is not None and self._host.has_lost_loop:
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
        errors = dispose_of(self._parts.actors, self._core)
        if self._journaling is not None:
            self._journaling.close()
        if self._host is not None:
            self._host.join(self.config.timeout_disconnection_s)
        self._move(NodeTrigger.DISPOSE)
        self._snapshots.end()
        state = "never run" if self._host is None else self._host.loop_state
        _log.info("node %s disposed; loop: %s", self.config.trader_id, state)
        raise_first(errors)

    def reset(self) -> TradingNode:
        """Stop if it runs, dispose of it, and return an equal new node, ready to be built.

        The new one has the same settings, factories of clients and strategy objects; these begin
        as they were made. In a cell, `node = await node.reset_async()` does not nest the loop.

        Raises:
            LifecycleError: If one of the node's own callbacks calls.
            BaseException: What went wrong during the run, if nobody was told; do it once more then.
        """
        if self.state in _WAS_RUN:
            self.stop()
        return self._renewed()

    async def reset_async(self) -> TradingNode:
        """Do what `reset` does, awaiting the stop.

        Raises:
            BaseException: What went wrong during the run, if nobody was told; do it once more then.
        """
        if self.state in _WAS_RUN:
            await self.stop_async()
        return self._renewed()

    def _renewed(self) -> TradingNode:
        self.dispose()
        made = type(self)(self.config, open_journal=self._open_journal, make_clock=self._make_clock)
        made._parts = self._parts.copy()
        return made

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
        killing = self._kills()
        if self.state in (NodeState.STOPPED, NodeState.DISPOSED):
            raise self._refusal("set the trading state of")
        self.call(killing.set_state, wanted, killing.count)
        _log.info("trading state of %s: %s", self.config.trader_id, wanted.value)

    def kill(self) -> KillReport:
        """Let nothing new through and cancel every open order; returns at once, from any thread.

        HALTED holds immediately, also while a cell or a callback keeps the node's loop busy. Then
        every order of every strategy is cancelled, whether it rests at a venue, is on its way, or
        is held here: by a loop that is busy as the very first thing afterwards. What has not left
        is denied. A strategy's callback that does not return is broken off after half a second,
        which stops the node as any failure of a strategy does; where that is not possible, as in
        code in C, the report says `not_cancelled` until it returns. A cancel that a venue refuses
        or does not answer is given again while the kill stands.

        It cancels; it does not flatten: positions stay as they are.
        `node.set_trading_state("active")` is the way back.

        Returns:
            What has become of it so far; `kill_report` tells what became of it since.

        Raises:
            LifecycleError: If the node is not built yet.
        """
        killing = self._kills()
        if self._circumstances is not None:
            self._circumstances.killed()
        return killing.kill()

    def _kills(self) -> Killing:
        if self._killing is None:
            raise LifecycleError(
                f"a {self.state.value} node lets nothing through; call build() first"
            )
        return self._killing

    def call(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function on the node's own thread, between two messages, and return its result.

        Args:
            function: Such as `strategy.submit_order`.
            *arguments: For it.

        Raises:
            ThreadError: If the node's loop does not answer within ten seconds.
        """
        return self._call(lambda: self._called(function, *arguments), _ANSWER_S)

    def _called(self, function: Callable[..., _T], *arguments: Any) -> _T:
        if self._circumstances is not None:
            self._circumstances.called(function)
        return function(*arguments)

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

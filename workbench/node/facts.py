"""What can be asked about a node, from any thread: where it is, and what it has come to."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from workbench.model.enums import TradingState
from workbench.model.errors import ConfigError, LifecycleError
from workbench.model.events import LoopStalled, OrderEvent
from workbench.model.identifiers import AccountId
from workbench.node import frames
from workbench.node.builder import Parts
from workbench.node.circumstances import Circumstances
from workbench.node.config import TradingNodeConfig
from workbench.node.destinations import real_accounts
from workbench.node.journal import Journal, JournalView
from workbench.node.journaling import Journaling
from workbench.node.kill import Killing
from workbench.node.phases import NodePhase
from workbench.node.promotion import Certificate, Promoting
from workbench.node.session import Session
from workbench.node.snapshot_taking import Snapshots
from workbench.node.snapshots import KillReport, NodeSnapshot
from workbench.node.user_data import journal_path
from workbench.node.verification.of_node import verification_of, wait_for_verification
from workbench.node.verification.results import Verification
from workbench.node.verification.verifying import Progress
from workbench.node.views import NodeFrames
from workbench.runtime.lifecycle import Lifecycle, NodeState, NodeTrigger
from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore
from workbench.venues.execution_client import VenueExecutionClient

if TYPE_CHECKING:
    import pandas as pd


class NodeFacts(NodeFrames):
    """Where a node is, what it is made of, and what went wrong."""

    config: TradingNodeConfig
    _lifecycle: Lifecycle[NodeState, NodeTrigger]
    _parts: Parts
    _core: TradingCore | None
    _session: Session | None
    _snapshots: Snapshots
    _killing: Killing | None
    _journaling: Journaling | None
    _promoting: Promoting | None

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
        """Return what went wrong first, else what halted it, or None."""
        session = self._session
        return None if session is None else next(iter((*session.faults, *session.halts)), None)

    @property
    def is_built(self) -> bool:
        """Return whether its engines and clients are made."""
        return self._core is not None

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
        return list(self._parts.actors)

    @property
    def is_live(self) -> bool:
        """Return whether its orders may reach a real venue, not only a simulated exchange.

        What a demotion has left open at one is not asked here: the node's text, its dashboard and
        `snapshot().strategies` name it.
        """
        core = self._core
        if core is None:
            parts = self._parts
            ways = [one for one in parts.exec_factories if one not in parts.promotable]
            # A factory that does not say so is taken for one of a real venue.
            return not all(getattr(way, "is_simulated", False) for way in ways)
        guarded = core.routes.guarded
        open_to_all = [c for c in core.execution.clients if c.account_id not in guarded]
        return bool(core.routes.all()) or not all(client.is_simulated for client in open_to_all)

    @property
    def promoted(self) -> dict[str, str]:
        """Return the accounts that promoted strategies trade, by the strategies' ids."""
        return {name: one.account_id for name, one in self.certificates.items()}

    @property
    def certificates(self) -> dict[str, Certificate]:
        """Return what the promotions that hold were decided on, by the strategies' ids."""
        return {} if self._promoting is None else dict(self._promoting.certificates)

    @property
    def real_accounts(self) -> list[AccountId]:
        """Return the accounts at real venues; empty before it is built."""
        return [] if self._core is None else real_accounts(self._core)

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
    def _circumstances(self) -> Circumstances | None:
        return None if self._journaling is None else self._journaling.circumstances

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

    @property
    def kill_report(self) -> KillReport | None:
        """Return what has become of the latest `kill()`; None if there was none."""
        return None if self._killing is None else self._killing.report

    def journal(self) -> JournalView:
        """Return the trader's journal to read: this run's records and those of earlier ones.

        `node.journal().fills()`, `.order_events()`, `.records()`, `.runs()`, `.state()`. It can be
        read while the node writes it, and afterwards.

        Raises:
            ConfigError: If the node keeps none.
            JournalError: If there is none yet, or it cannot be read.
        """
        path = journal_path(self.config)
        if path is None:
            raise ConfigError(
                "this node keeps no journal; make one with TradingNodeConfig(journal='default'), or"
                " journal=PATH"
            )
        if self._journaling is not None:
            self._journaling.flush()
        return Journal.read_only(path, is_checked=False)

    @property
    def journal_run(self) -> int | None:
        """Return the number of its run in the journal; None where it has none yet."""
        return None if self._journaling is None else self._journaling.run

    def verify(
        self,
        strategy: Actor | str | None = None,
        run: int | None = None,
        *,
        progress: Progress | None = None,
    ) -> Verification:
        """Feed a run's record to fresh copies of its strategies, and compare every command.

        What came from outside (market data, time, a venue's events) is fed in the order it was
        handled, with no exchange; each order, change, cancel, denial, subscription and request must
        be as it was, to the byte. A run that goes on is verified as far as it is recorded; it goes
        on meanwhile. In a cell, `await node.verify_async()` does the same without nesting the loop.

        Args:
            strategy: Only this one: the object, its name (`Cross-001`) or class; by default all.
            run: Which run of the journal, -1 for the last; by default the node's own.
            progress: Told how many records were followed, and how many there are, instead of a bar.

        Raises:
            ConfigError: If there is no journal with market data
                (`TradingNodeConfig(journal=..., journal_data=True)`), or no such strategy or run.
            JournalError: If the journal cannot be read.
        """
        work = verification_of(self, self._circumstances, strategy, run, progress)
        session = self._session
        is_here = session is not None and session.thread == threading.get_ident()
        return wait_for_verification(work, session.loop if session and is_here else None)

    async def verify_async(
        self,
        strategy: Actor | str | None = None,
        run: int | None = None,
        *,
        progress: Progress | None = None,
    ) -> Verification:
        """Do what `verify` does, in a thread that is awaited."""
        work = verification_of(self, self._circumstances, strategy, run, progress)
        return await asyncio.to_thread(work)

    @property
    def unknown_orders(self) -> dict[str, str]:
        """Return the orders whose outcome their venue did not tell, and what was asked of it."""
        clients = [] if self._core is None else self._core.execution.clients
        return {
            str(name): what
            for client in clients
            if isinstance(client, VenueExecutionClient)
            for name, what in client.unknown_orders.items()
        }

    def log(self, limit: int = 20) -> pd.DataFrame:
        """Return the newest lines of the log that are about this node, oldest first.

        By default the logger `workbench` lets warnings and worse through; exchanges of code are
        among them in any case.

        Args:
            limit: How many.

        Raises:
            ConfigError: If that is not positive.
        """
        if type(limit) is not int or limit < 1:
            raise ConfigError(f"limit is a number of lines, 1 or more; got {limit!r}")
        return frames.log_frame(self.snapshot().log, self.swaps(), limit)

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

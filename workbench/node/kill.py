"""KILL: nothing new leaves, and everything that works is cancelled, before anything else.

From another thread HALTED holds at once, also while a cell or a callback keeps the node's loop
busy. The cancels are the first thing the loop handles after that. A callback that does not return
is broken off; code in C cannot be, and the report says so until it returns.

A cancel that is refused or not answered is given again, ever more seldom: while the kill stands
none of its orders is given up, and the report, though settled, says when one ends at last. A thread
watches over this until nothing is left, the state is set to another, or the node has ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.model.commands import CancelOrder, ModifyOrder, SubmitOrder, SubmitOrderList
from workbench.model.enums import OrderStatus, TradingState
from workbench.model.errors import (
    CALLBACK_FAILURES,
    BrokenOffError,
    LifecycleError,
    StrategyError,
)
from workbench.model.events import OrderCanceled, OrderDenied, OrderExpired, OrderRejected
from workbench.model.identifiers import ClientOrderId
from workbench.model.orders import Order
from workbench.node.faults import describe
from workbench.node.hosting import exactly
from workbench.node.left_open import order_left, working_orders
from workbench.node.session import Session
from workbench.node.snapshots import KillReport
from workbench.runtime.handling import Handling
from workbench.runtime.lifecycle import NodeState
from workbench.trading.core import TradingCore

if TYPE_CHECKING:
    from workbench.node.node import TradingNode

_log = logging.getLogger(__name__)
HANG_S = 0.5
"""From how long after the kill on a callback that has not returned is broken off."""
SETTLE_S = 5.0
"""How long after its cancels the report is settled, where a venue refuses or does not answer."""
_SHOWS_S = 0.25
_REPEAT_S = 0.25
_ANSWER_S = 1.0
_LONGEST_S = 30.0
_LOOK_S = 0.01
_SWEEP_S, _LATE_SWEEP_S = 0.05, 0.25
_REASON = "KILL"
_OVER = (OrderDenied, OrderRejected, OrderCanceled, OrderExpired)
_ENDED = (NodeState.STOPPED, NodeState.DISPOSED)


class Killing:
    """Halts one node and cancels what it has open.

    Args:
        node: Which.
        core: Its core.
        session: Its run.

    Attributes:
        report: What became of the latest kill; None if there was none.
        count: How many kills there were.
    """

    def __init__(self, node: TradingNode, core: TradingCore, session: Session) -> None:
        self.report: KillReport | None = None
        self.count = 0
        self._node = node
        self._core = core
        self._session = session
        self._lock = threading.RLock()
        self._is_pending = False
        self._handled = threading.Event()
        self._handled_at = 0.0
        self._watcher: threading.Thread | None = None
        self._is_sweep_asked = False
        self._tried: dict[ClientOrderId, tuple[int, float]] = {}
        self._faults_before = 0
        self._has_ended = False
        session.before_all = self.handle
        session.is_killing = self.is_at_work

    # From any thread

    def kill(self) -> KillReport:
        """Halt, and have everything cancelled; returns at once."""
        core = self._core
        core.risk.halt()
        with self._lock:
            self.count += 1
            # Whoever set another state until now knew nothing of this kill.
            core.risk.halt()
            self._handled.clear()
            self._tried = {}
            self._faults_before = len(self._session.faults)
            self.report = KillReport(ts=core.clock.timestamp_ns(), queued=self._count_working())
            self._is_pending = True
        _log.warning("KILL of %s", self._node.config.trader_id)
        if self._node.state in _ENDED:
            self._is_pending = False
            core.risk.note_halt(_REASON)
            self.end()
        elif self._may_act():
            # A client may hang here, too.
            self._watch()
            exactly(self.handle)
            exactly(self._sweep)
        else:
            self._post()
            self._watch()
        return self._latest

    def set_state(self, state: TradingState, asked_at: int) -> None:
        """Set the trading state on the node's thread, unless a kill came after it was asked for.

        Args:
            state: What is asked for.
            asked_at: How many kills there were when it was.

        Raises:
            LifecycleError: If there was one since.
        """
        risk = self._core.risk
        if asked_at == self.count:
            risk.set_trading_state(state)
            with self._lock:
                if asked_at == self.count:
                    if self.report is not None and state is not TradingState.HALTED:
                        # What works from now on may be new: nobody has killed that.
                        self._update(halted=False, is_settled=True)
                    return
            risk.halt()  # a kill came meanwhile
        raise LifecycleError(
            f"a KILL came after {state.value!r} was asked for; set it again if you still want that"
        )

    def is_at_work(self) -> bool:
        """Return whether a report is not settled."""
        return self.report is not None and not self.report.is_settled

    def end(self) -> None:
        """Settle the report: the node's run is over."""
        self._has_ended = True
        report = self.report
        if report is not None and (report.left or not report.is_settled):
            left = self._left(working_orders(self._core.cache))
            problem = report.not_cancelled or "the node has stopped"
            self._update(
                queued=0,
                left=tuple(map(order_left, left)),
                not_cancelled=problem if left else "",
                is_settled=True,
            )
        elif report is not None:
            self._update()  # what was broken off may have been noted since
        watcher = self._watcher
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(1.0)

    @property
    def _latest(self) -> KillReport:
        report = self.report
        assert report is not None
        return report

    def _update(self, **changes: Any) -> None:
        with self._lock:
            if not self._latest.broke_off:
                changes["broke_off"] = self._broken_off()
            self.report = msgspec.structs.replace(self._latest, **changes)

    def _broken_off(self) -> str:
        for error in self._session.faults[self._faults_before :]:
            if isinstance(error, StrategyError) and isinstance(error.__cause__, BrokenOffError):
                return f"{error.strategy_id}.{error.callback}"
            if isinstance(error, BrokenOffError):
                return "a client"
        return ""

    def _may_act(self) -> bool:
        """Return whether this thread may change the node's state now, between two messages."""
        session = self._session
        if session.loop is None:
            return self._node.state is NodeState.BUILT
        return session.thread == threading.get_ident() and not session.handling.is_inside

    def _post(self) -> None:
        # After the message being handled the loop's other work gets its turn, this before it.
        self._core.dispatcher.interrupt(at_once=True)
        self._on_loop(self.handle)

    def _on_loop(self, function: Callable[[], None]) -> None:
        loop = self._session.loop
        try:
            if loop is not None:
                loop.call_soon_threadsafe(exactly, function)
        except RuntimeError:
            self._has_ended = True
            self._update(not_cancelled="the node's loop is closed", is_settled=True)

    def _count_working(self) -> int:
        # The node's thread may be changing what is counted: then it is counted again.
        for _ in range(100):
            try:
                return len(working_orders(self._core.cache))
            except RuntimeError:
                continue
        return 0

    # On the node's thread

    def handle(self) -> None:
        """Send the cancels of a kill that waits; called before anything else is handled."""
        if not self._is_pending:
            return
        self._is_pending = False
        core = self._core
        core.risk.note_halt(_REASON)
        self._withdraw()
        found, over = working_orders(core.cache), self._over()
        working = [order for order in found if order.client_order_id not in over]
        # What has a cancel on its way gets another one only if that is not answered.
        chosen = [order for order in working if order.status is not OrderStatus.PENDING_CANCEL]
        self._handled_at = time.monotonic()
        problem = self._cancel(chosen)
        self._update(
            queued=0,
            sent=len(chosen),
            withdrawn=len(found) - len(working),
            not_cancelled=problem,
        )
        self._handled.set()

    def _withdraw(self) -> None:
        """Deny what has passed risk and not left: it waits for the rate, or in the channel."""
        core = self._core
        core.risk.refuse_waiting("KILL came while it waited for the rate; it was never sent")
        channel = core.dispatcher.channels.trading_commands
        for command in [channel.take() for _ in range(channel.depth)]:
            if isinstance(command, (SubmitOrder, SubmitOrderList, ModifyOrder)):
                core.risk.refuse(command, "KILL came before it was sent")
            else:
                channel.put(command)

    def _over(self) -> set[ClientOrderId]:
        """Return the orders whose end is known and has not been handled yet."""
        waiting = self._core.dispatcher.channels.execution_events.waiting()
        return {event.client_order_id for event in waiting if isinstance(event, _OVER)}

    def _cancel(self, orders: list[Order]) -> str:
        """Cancel orders, each whatever becomes of the others; return what went wrong."""
        core = self._core
        now = core.clock.timestamp_ns()
        problems: list[str] = []
        for order in orders:
            key = order.client_order_id
            rounds, _ = self._tried.get(key, (0, 0.0))
            self._tried[key] = rounds + 1, time.monotonic()
            command = CancelOrder(
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=key,
                ts_init=now,
            )
            try:
                # A client that hangs is broken off as well, and the next order's cancel is sent.
                with self._session.handling:
                    core.lanes.risk_commands.put(command)
                    core.dispatcher.handle_commands()
            except CALLBACK_FAILURES as error:
                _log.exception("the cancel of order %s failed", key)
                problems.append(f"order {key}: {describe(error)}")
        return "; ".join(problems)

    def _sweep(self) -> None:
        """Cancel again what still works, and note what does."""
        self._is_sweep_asked = False
        report = self._latest
        if self._is_pending or self._is_over or self._core.lanes.risk_commands.is_closed:
            return
        working, over = self._left(working_orders(self._core.cache)), self._over()
        left = [order for order in working if order.client_order_id not in over]
        again = [order for order in left if self._is_due(order)]
        problem = self._cancel(again) if again else report.not_cancelled
        is_time_over = time.monotonic() - self._handled_at >= SETTLE_S
        if is_time_over:
            problem = problem or "the venue has not confirmed it"
        self._update(
            sent=report.sent + len(again),
            left=tuple(map(order_left, left)),
            not_cancelled=problem if left else "",
            is_settled=is_time_over or not working,
        )

    def _left(self, working: list[Order]) -> list[Order]:
        """Return what of the orders that work the kill is about.

        Once it is settled only what it was about until then: what is found at a venue later may be
        somebody's answer to it.
        """
        if not self._latest.is_settled:
            return working
        return [order for order in working if order.client_order_id in self._tried]

    def _is_due(self, order: Order) -> bool:
        rounds, at = self._tried.get(order.client_order_id, (0, self._handled_at))
        first_s = _ANSWER_S if order.status is OrderStatus.PENDING_CANCEL else _REPEAT_S
        return time.monotonic() - at >= min(first_s * 2 ** max(rounds - 1, 0), _LONGEST_S)

    @property
    def _is_over(self) -> bool:
        """Return whether nothing more is tried."""
        report = self._latest
        return self._has_ended or (report.is_settled and not (report.left and report.halted))

    # The watcher

    def _watch(self) -> None:
        with self._lock:
            watched = self._watcher is not None and self._watcher.is_alive()
            if watched or self._is_over:
                return
            self._watcher = threading.Thread(
                target=self._watch_over, name="workbench kill", daemon=True
            )
            self._watcher.start()

    def _watch_over(self) -> None:
        while not self._is_watched_to_the_end():
            count = self.count
            freeing = _Freeing(self._session.handling, self._what_runs)
            while count == self.count and not self._is_over:
                # What hangs afterwards holds up the cancels that have to be repeated.
                self._note_hang(freeing.look(time.monotonic()))
                if self._is_pending:
                    self._core.dispatcher.interrupt(at_once=True)
                if self._handled.wait(_LOOK_S):
                    self._ask_sweep()
                    time.sleep(_LATE_SWEEP_S if self._latest.is_settled else _SWEEP_S)

    def _what_runs(self) -> int:
        """Return which message keeps the loop; until the kill is handled, all of them are one."""
        return 0 if self._is_pending else self._core.dispatcher.number

    def _is_watched_to_the_end(self) -> bool:
        # Under the lock: a kill that comes now finds no watcher any more, and starts one.
        with self._lock:
            if self._is_over:
                self._watcher = None
            return self._watcher is None

    def _ask_sweep(self) -> None:
        if not self._is_sweep_asked:
            self._is_sweep_asked = True
            self._on_loop(self._sweep)

    def _note_hang(self, reason: str) -> None:
        with self._lock:
            if not self._handled.is_set() and reason != self._latest.not_cancelled:
                self._update(not_cancelled=reason)


class _Freeing:
    """Breaks off the callback that keeps cancels waiting.

    A cell that keeps the loop busy is left alone: they are handled when it has ended.

    Args:
        handling: Where messages are handled.
        what: Tells what runs there: each may take so long.
    """

    def __init__(self, handling: Handling, what: Callable[[], int]) -> None:
        self._handling = handling
        self._what = what
        self._running = -1
        self._began = 0.0
        self._sent = 0.0

    def look(self, now: float) -> str:
        """Break off what runs; return why nothing is cancelled yet, empty where that is clear."""
        handling, running = self._handling, self._what()
        if not handling.is_inside:
            self._running = -1
            return ""
        if running != self._running:
            self._running, self._began, self._sent = running, now, 0.0
        if now - self._began < HANG_S:
            return ""
        name = handling.callback()
        # Once sent it is under way; but what runs may have swallowed it and go on.
        if now - self._sent >= HANG_S and handling.break_off():
            self._sent = now
        if now - self._began < HANG_S + _SHOWS_S:
            return ""
        return (
            f"{name or 'a callback'} does not return and is not broken off, as code in C cannot be;"
            " the cancels are sent as soon as it returns"
        )

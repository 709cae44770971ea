"""The trading core: clock, channels, engines and strategies, wired once, for every set-up.

It is synchronous, does no I/O, and does not know which set-up it is part of: whoever makes it
chooses the clock, the channels and the clients.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable
from decimal import localcontext
from typing import Any

from workbench.engines.aggregation_joining import HISTORY_TIMEOUT_NS
from workbench.engines.cache import Cache
from workbench.engines.data import DataEngine
from workbench.engines.demands import ContingencyFailed
from workbench.engines.emulation_ports import Outlets
from workbench.engines.emulator import OrderEmulator
from workbench.engines.execution import ExecutionEngine
from workbench.engines.portfolio import Portfolio
from workbench.engines.purging import Purged
from workbench.engines.rebuilding import rebuild
from workbench.engines.risk import RiskEngine, RiskLimits
from workbench.model.commands import DataResponse, RequestData, ShutdownSystem, SubmitOrder
from workbench.model.enums import TradingState
from workbench.model.errors import StrategyError, ThreadError
from workbench.model.events import OrderDenied, OrderEvent, OrderFilled, PositionEvent
from workbench.model.identifiers import (
    ClientOrderId,
    ComponentId,
    StrategyId,
    parse_instrument_id,
)
from workbench.model.money import MONEY_CONTEXT
from workbench.model.risk_events import LossDayBegan, RiskEvent
from workbench.runtime.bus import MessageBus
from workbench.runtime.channels import Channels
from workbench.runtime.clock import Clock
from workbench.runtime.dispatch import Dispatcher, Handlers
from workbench.runtime.eventlog import EventLog, Record, RecordKind
from workbench.runtime.lanes import LaneName, Lanes
from workbench.runtime.lifecycle import ComponentState
from workbench.runtime.senders import Senders
from workbench.trading.actor import Actor
from workbench.trading.routes import Routes
from workbench.trading.strategy import Strategy

SHUTDOWN_ENDPOINT = "system.shutdown"


class TradingCore:
    """Everything between the clients and the strategies.

    Args:
        clock: Live or simulated.
        channels: The five channels the dispatcher takes from.
        senders: Their sending halves.
        run_tag: Part of every client order id; differs between runs of one trader.
        limits: What risk enforces.
        allow_overfills: Whether a fill that goes beyond its order's quantity counts.
        align_positions: Whether a position that a venue reports differently is made equal to it.
        log_limit: How many records the event log keeps, the newest; None for all.
        history_timeout_ns: How long bars wait for their history.

    Attributes:
        actors: The actors and strategies, in the order they were added.
        log: The event log.
        is_in_use: Whether it runs or is about to; its strategies cannot join another one.
        routes: To which account a strategy's orders go.
    """

    def __init__(
        self,
        clock: Clock,
        channels: Channels,
        senders: Senders,
        *,
        run_tag: str,
        limits: RiskLimits | None = None,
        allow_overfills: bool = False,
        align_positions: bool = False,
        log_limit: int | None = None,
        history_timeout_ns: int = HISTORY_TIMEOUT_NS,
    ) -> None:
        self.clock = clock
        self.senders = senders
        self.run_tag = run_tag
        self.actors: list[Actor] = []
        self.is_in_use = False
        self.on_actor: Callable[[str, Actor | None], None] = _ignore
        self.cache = Cache()
        self.routes = Routes(self.cache.account_of_client)
        self.bus = MessageBus()
        self.log = EventLog(log_limit)
        self.portfolio = Portfolio(self.cache)
        self.risk = RiskEngine(
            self.cache,
            clock,
            senders.trading_command.send,
            senders.exec_event.send,
            limits,
            portfolio=self.portfolio,
            on_risk_event=self._on_risk_event,
            check_thread=self._check_state_thread,
        )
        self.data = DataEngine(
            self.cache, clock, senders.data_command.send, history_timeout_ns=history_timeout_ns
        )
        self.execution = ExecutionEngine(
            self.cache,
            clock,
            self.portfolio,
            self.bus,
            senders.exec_event.send,
            self._on_applied,
            self._on_derived,
            allow_overfills=allow_overfills,
            align_positions=align_positions,
        )
        self.emulator = OrderEmulator(
            self.cache,
            clock,
            self.execution,
            self.data,
            Outlets(
                event=senders.exec_event.send,
                command=senders.trading_command.send,
                subscription=senders.data_command.send,
                submit=self._on_released,
                failed=self._on_contingency_failed,
            ),
        )
        self.data.add_subscriber(self.emulator.watch)
        self.risk.waits_here = self.emulator.waits_here
        self.risk.set_held_for(self.emulator.named_by)
        self.risk.set_room(self.emulator.makes_room)
        self.emulator.set_may_leave(self._may_leave)
        self.risk.set_hedging(self.execution.router.hedging)
        self.risk.set_apart(self.execution.router.simulated)
        self.lanes = Lanes(
            {
                LaneName.DATA_COMMANDS: self.data.execute,
                LaneName.DATA_REQUESTS: self.data.execute,
                LaneName.DATA_RESPONSES: self.data.process,
                LaneName.DATA: self.data.process,
                LaneName.RISK_COMMANDS: self.risk.execute,
                LaneName.RISK_EVENTS: self.risk.on_event,
                LaneName.EXECUTION_COMMANDS: self.emulator.execute,
                LaneName.EXECUTION_EVENTS: self.execution.process,
            }
        )
        self.data.on_answer = self.lanes.data_responses.put
        self.dispatcher = Dispatcher(
            channels,
            clock,
            Handlers(
                time_event=clock.fire,
                execution_event=self.lanes.execution_events.put,
                trading_command=self.lanes.execution_commands.put,
                data_command=self._on_data_command,
                data_event=self._on_data_event,
            ),
        )
        self.dispatcher.taps.append(self.log.tap)
        self._request_count = 0
        self._thread = 0
        self._rebuilt: list[OrderFilled] | None = None

    # Wiring

    def _on_data_command(self, command: Any) -> None:
        is_request = isinstance(command, RequestData)
        (self.lanes.data_requests if is_request else self.lanes.data_commands).put(command)

    def _on_data_event(self, event: Any) -> None:
        is_response = isinstance(event, DataResponse)
        (self.lanes.data_responses if is_response else self.lanes.data).put(event)

    def _on_applied(self, event: Any) -> None:
        if self._rebuilt is not None:
            if isinstance(event, OrderFilled):
                self._rebuilt.append(event)
            return
        self.lanes.risk_events.put(event)
        emulator = self.emulator
        if emulator.held or emulator.is_concerned:
            emulator.on_event(event)

    def _on_released(self, command: SubmitOrder) -> None:
        denial = self._late_denial(command)
        if denial is not None:
            self.senders.exec_event.send(denial)
        else:
            self.lanes.risk_commands.put(command)

    def _may_leave(self, command: SubmitOrder) -> bool:
        """Return whether a held order would be let out now, whatever its account has."""
        is_halted = self.risk.trading_state is TradingState.HALTED
        return not is_halted and self._late_denial(command) is None

    def _late_denial(self, command: SubmitOrder) -> OrderDenied | None:
        owner = next((a for a in self.actors if a.component_id == command.strategy_id), None)
        return owner.late_denial(command) if isinstance(owner, Strategy) else None

    def _on_contingency_failed(self, failure: ContingencyFailed) -> None:
        self.bus.publish(f"events.contingency.{failure.strategy_id}", failure)

    def _on_derived(self, event: PositionEvent | OrderEvent) -> None:
        self.log.add(self.dispatcher.number, RecordKind.DERIVED, event)

    def _on_risk_event(self, event: RiskEvent) -> None:
        self.log.add(self.dispatcher.number, RecordKind.DERIVED, event)
        if not isinstance(event, LossDayBegan):
            self.bus.publish("events.risk", event)

    def own_thread(self) -> None:
        """Make the calling thread the one all state belongs to."""
        self._thread = threading.get_ident()

    def release_thread(self) -> None:
        """Let any thread in again: the run is over."""
        self._thread = 0

    def check_thread(self, what: str = "orders", call: str = "submit_order, order") -> None:
        """Refuse a change from another thread than the one state belongs to.

        Args:
            what: What would be changed.
            call: An example: a method of a strategy, and its arguments.

        Raises:
            ThreadError: With what to call instead.
        """
        if self._is_elsewhere():
            raise ThreadError(
                f"{what} belong to the node's own thread; from another one call"
                f" node.call(strategy.{call}), which posts it there and waits"
            )

    def _check_state_thread(self) -> None:
        if self._is_elsewhere():
            raise ThreadError(
                "the trading state belongs to the node's own thread; from another one call"
                " node.set_trading_state(...), which sets it there"
            )

    def _is_elsewhere(self) -> bool:
        return self._thread != 0 and threading.get_ident() != self._thread

    @property
    def is_awaiting(self) -> bool:
        """Return whether a venue's answer is awaited, or a command waits for the rate."""
        return bool(self.risk.waiting or self.cache.orders_in_flight())

    @property
    def request_count(self) -> int:
        """Return how many ids of requests were taken."""
        return self._request_count

    def skip_requests(self, count: int) -> None:
        """Leave out ids of requests, until so many were taken."""
        self._request_count = max(self._request_count, count)

    def next_request_id(self) -> int:
        """Return the next request's id."""
        self._request_count += 1
        return self._request_count

    def on_shutdown(self, handler: Callable[[ShutdownSystem], None]) -> None:
        """Let `handler` end the run when asked to; the latest handler is the one."""
        self.bus.deregister(SHUTDOWN_ENDPOINT)
        self.bus.register(SHUTDOWN_ENDPOINT, handler)

    def shutdown(self, command: ShutdownSystem) -> None:
        """Ask for the run to end gracefully."""
        self.bus.send(SHUTDOWN_ENDPOINT, command)

    # Strategies

    def add_actor(self, actor: Actor) -> ComponentId:
        """Add an actor or strategy and return the name it got, `CLASS-NNN`.

        Raises:
            ConfigError: If it claims external orders that another one claims.
        """
        component_id = ComponentId(f"{type(actor).__name__}-{len(self.actors) + 1:03d}")
        actor.attach(self, component_id)
        if isinstance(actor, Strategy):
            for instrument_id in actor.external_order_claims:
                self.execution.external.claim(
                    parse_instrument_id(instrument_id), StrategyId(component_id)
                )
            self.execution.add_owner(StrategyId(component_id), actor)
        self.actors.append(actor)
        self.data.add_subscriber(actor)
        return component_id

    def rebuild(self, records: Iterable[Record]) -> list[OrderFilled]:
        """Bring orders, positions and accounts to where earlier runs left them.

        Before actors are added. Nobody is told, nothing is sent, and the event log stays empty:
        it is of this run. Rates of orders count from now on, and so does the loss of the day where
        `risk.take_over` is not told of what was lost.

        Args:
            records: What earlier runs logged, oldest first (see `workbench.engines.rebuilding`).

        Returns:
            The fills that counted, in order.

        Raises:
            ClientError: If the execution client of an account is missing.
        """
        log, self.log = self.log, EventLog()
        fills = self._rebuilt = list[OrderFilled]()
        try:
            with localcontext(MONEY_CONTEXT):
                rebuild(records, self.cache, self.execution)
        finally:
            self.log = log
            self._rebuilt = None
        return fills

    def purge(self, closed_before_ns: int, keep: Container[ClientOrderId] = ()) -> Purged:
        """Forget orders and positions that were closed before a time; return what was forgotten.

        What works, and what is linked to what works, stays (see `Cache.purge`). Realised profit
        stays counted. A fill that still comes for a forgotten order is refused and reported.

        Args:
            closed_before_ns: What was closed before this is forgotten, nanoseconds.
            keep: Orders to keep all the same.

        Raises:
            ThreadError: From another thread than the node's own.
        """
        self.check_thread("orders and positions", "core.purge, closed_before_ns")
        return self.execution.purge(closed_before_ns, keep)

    def start_actors(self) -> None:
        """Start all, then handle what that caused.

        Raises:
            StrategyError: If one raised; those after it are not started.
            ConfigError: If a limit is of an instrument or account that is not there; none is
                started.
        """
        self.risk.limits.check_names(
            [instrument.id for instrument in self.cache.instruments()],
            [client.account_id for client in self.execution.clients],
        )
        with localcontext(MONEY_CONTEXT):
            try:
                for number, actor in enumerate(self.actors):
                    self.clock.sample()
                    self.on_actor("start", actor)
                    if not number:
                        self.adopt()
                    self.risk.begin()
                    actor.start()
            finally:
                self.clock.release()
            self.dispatcher.drain()

    def adopt(self) -> None:
        """Let the order emulator go on with what an earlier run left of these actors' orders."""
        self.emulator.adopt(frozenset(actor.component_id for actor in self.actors))

    def stop_actors(self) -> list[StrategyError]:
        """Stop all that run, then handle what that caused; return what they raised."""
        errors: list[StrategyError] = []
        with localcontext(MONEY_CONTEXT):
            for actor in self.actors:
                if actor.state is ComponentState.RUNNING:
                    self.clock.sample()
                    self.on_actor("stop", actor)
                    self._keep(errors, actor.stop)
            self.on_actor("stopped", None)
            self.risk.stop()
            while not self._keep(errors, self.dispatcher.drain):
                pass
        return errors

    def _keep(self, errors: list[StrategyError], step: Callable[[], object]) -> bool:
        """Take a step; keep what an actor raises, take the actor out, and return False."""
        try:
            step()
        except StrategyError as error:
            errors.append(error)
            try:
                self.fault_actor(error.strategy_id)
            except StrategyError as another:
                errors.append(another)
            return False
        return True

    def fault_actor(self, component_id: str) -> None:
        """Take the actor of this name out after its exception.

        Raises:
            StrategyError: If its `on_fault` raised too; it is out all the same.
        """
        for actor in self.actors:
            if actor.component_id == component_id and actor.state is not ComponentState.FAULTED:
                actor.fault()


def _ignore(what: str, actor: Actor | None) -> None: ...

"""The composition root: clock, channels, core, clients and strategies, put together once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import localcontext
from typing import TypeVar

from workbench.engines.clients import DataClient, ExecutionClient
from workbench.engines.demands import ContingencyFailed
from workbench.engines.external import EXTERNAL
from workbench.model.commands import ShutdownSystem
from workbench.model.errors import ConfigError
from workbench.model.events import OrderEvent, OrderFilled, OrderInitialized, TimeEvent
from workbench.model.identifiers import ComponentId, run_tag
from workbench.model.money import MONEY_CONTEXT
from workbench.model.reports import ExecutionReport
from workbench.model.risk_events import LossLimitReached, RiskEvent, TradingStateChanged
from workbench.node.clients import BuildContext, DataClientFactory, ExecClientFactory
from workbench.node.config import ClockKind, TradingNodeConfig
from workbench.node.journal import Journal
from workbench.node.journaling import Journaling, OpenJournal
from workbench.node.purging import purge_regularly
from workbench.node.registry import own_start
from workbench.node.shadow import Shadow
from workbench.runtime.clock import LiveClock, SimulatedClock
from workbench.runtime.eventlog import RecordKind
from workbench.runtime.runner import AsyncRunner
from workbench.sim import ReplayDataClient, SimulatedVenue
from workbench.sim.simulated_time import SimulatedTime
from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore

_log = logging.getLogger(__name__)
_C = TypeVar("_C", DataClient, ExecutionClient)

MakeClock = Callable[[Callable[[TimeEvent], None]], LiveClock]
"""Makes a node's live clock out of what takes its time events; `LiveClock` itself does."""


@dataclass(frozen=True)
class Parts:
    """What a node is made of, each in the order it was added.

    Attributes:
        data_factories: Make its data clients.
        exec_factories: Make its execution clients.
        promotable: Those of them that make a client of a real account which no order reaches
            without a promotion.
        actors: Its strategies and actors.
        shadows: Simulated venues that look on beside the real ones.
    """

    data_factories: list[DataClientFactory] = field(default_factory=list[DataClientFactory])
    exec_factories: list[ExecClientFactory] = field(default_factory=list[ExecClientFactory])
    promotable: list[ExecClientFactory] = field(default_factory=list[ExecClientFactory])
    actors: list[Actor] = field(default_factory=list[Actor])
    shadows: list[SimulatedVenue] = field(default_factory=list[SimulatedVenue])

    def copy(self) -> Parts:
        """Return the same parts, for another node."""
        return Parts(
            list(self.data_factories),
            list(self.exec_factories),
            list(self.promotable),
            list(self.actors),
            list(self.shadows),
        )


@dataclass(frozen=True)
class Built:
    """What a node runs.

    Attributes:
        runner: Whose channels the core takes from.
        core: The trading core, with its clients and strategies.
        simulated_time: What moves a simulated clock; None on the live one.
        journaling: What the node does with its journal; None without one.
        shadow: What looks on beside its venues; None without one.
    """

    runner: AsyncRunner
    core: TradingCore
    simulated_time: SimulatedTime | None
    journaling: Journaling | None = None
    shadow: Shadow | None = None


def build(
    config: TradingNodeConfig,
    parts: Parts,
    on_shutdown: Callable[[ShutdownSystem], None],
    open_journal: OpenJournal = Journal.open,
    make_clock: MakeClock = LiveClock,
) -> Built:
    """Put a node's parts together; the runner's senders are bound only meanwhile.

    Raises:
        ConfigError: If a factory makes no client, two have one name, two are replays, or a client
            trades a real account and there is no journal, or a shadow has no venue to stand beside.
        JournalError: If the journal cannot be used.
    """
    runner = AsyncRunner(
        conflate_above=config.conflate_above,
        budget_s=config.budget_s,
        pause_s=config.pause_s,
        name=str(config.trader_id),
    )
    emit = runner.senders.time_event.send
    clock = make_clock(emit) if config.clock is ClockKind.LIVE else SimulatedClock()
    journaling = Journaling.open(config, clock, str(config.trader_id), open_journal)
    try:
        with runner.bound(), localcontext(MONEY_CONTEXT):
            core, simulated_time = _core(config, runner, clock, journaling)
            core.on_shutdown(on_shutdown)
            _warn(core)
            if journaling is not None:
                journaling.attach(core)
            _add_clients(core, clock, parts, journaling)
            _guard(core, [parts.exec_factories.index(factory) for factory in parts.promotable])
            _take_over(core, config, journaling)
            for actor in parts.actors:
                core.add_actor(actor)
            shadow = _shadow(core, parts.shadows)
            if journaling is not None:
                journaling.follow()
    except BaseException:
        if journaling is not None:
            journaling.close()
        raise
    return Built(runner, core, simulated_time, journaling, shadow)


def _core(
    config: TradingNodeConfig,
    runner: AsyncRunner,
    clock: LiveClock | SimulatedClock,
    journaling: Journaling | None,
) -> tuple[TradingCore, SimulatedTime | None]:
    senders = runner.senders
    core = TradingCore(
        clock,
        runner.take_channels(),
        senders,
        run_tag="",
        limits=config.limits,
        allow_overfills=config.allow_overfills,
        align_positions=config.align_positions,
        log_limit=None if isinstance(clock, SimulatedClock) else config.log_limit,
        history_timeout_ns=round(config.timeout_history_s * 10**9),
    )
    if isinstance(clock, SimulatedClock):
        simulated_time = SimulatedTime(clock, senders.time_event.send, core.dispatcher.drain)
        core.dispatcher.before_data.append(simulated_time.see)
        return core, simulated_time
    if config.purge_closed_after_s is not None:
        tell = None if journaling is None else journaling.purged
        purge_regularly(core, config.purge_closed_after_s, tell)
    return core, None


def _warn(core: TradingCore) -> None:
    """Have the log told of what nobody may miss."""
    core.bus.subscribe("events.refused.*", _warn_of_refused)
    core.bus.subscribe("events.overfilled.*", _warn_of_overfill)
    core.bus.subscribe("events.unreconciled.*", _warn_of_unreconciled)
    core.bus.subscribe("events.risk", _warn_of_loss)
    core.bus.subscribe("events.contingency.*", _warn_of_contingency)
    core.log.followers.append(_warn_of_found)


def _add_clients(
    core: TradingCore,
    clock: LiveClock | SimulatedClock,
    parts: Parts,
    journaling: Journaling | None,
) -> None:
    def shutdown(reason: str) -> None:
        now = clock.timestamp_ns()
        core.shutdown(ShutdownSystem(component_id=ComponentId("node"), reason=reason, ts_init=now))

    see_data = core.dispatcher.before_data.append
    journal = None if journaling is None else journaling.port
    context = BuildContext(
        clock, core.dispatcher.channels, core.senders, see_data, shutdown, journal
    )
    found: list[DataClient] = []
    for factory in parts.data_factories:
        client = _client(factory, factory(context), DataClient)
        _refuse_second_replay(client, found)
        found.append(client)
        core.data.add_client(client if journaling is None else journaling.heard(client))
    for exec_factory in parts.exec_factories:
        made = _client(exec_factory, exec_factory(context), ExecutionClient)
        if journaling is None and not made.is_simulated:
            raise ConfigError(
                f"{made.client_id} trades a real account, and what it does must outlive this"
                " process: give the node a journal, TradingNodeConfig(journal='default') or"
                " journal=PATH"
            )
        core.execution.add_client(made)


def _guard(core: TradingCore, numbers: Sequence[int]) -> None:
    """Let no order reach the accounts of these clients without a route."""
    for number in numbers:
        client = core.execution.clients[number]
        first = next(one for one in core.execution.clients if one.venue == client.venue)
        if client.is_simulated or not first.is_simulated:
            raise ConfigError(
                f"{client.client_id} can be promoted to only if it is a real account, and its venue"
                f" {client.venue} has a simulated one before it"
            )
        core.routes.guarded.add(client.account_id)


def _shadow(core: TradingCore, venues: Sequence[SimulatedVenue]) -> Shadow | None:
    if not venues:
        return None
    shadow = Shadow(core, venues)
    shadow.attach()
    return shadow


def _take_over(core: TradingCore, config: TradingNodeConfig, journaling: Journaling | None) -> None:
    """Give a core its run's tag, and what earlier runs left."""
    # A replay has set the clock by now; its orders have the ids that its backtest gives them.
    start_ns = core.clock.timestamp_ns()
    # Whoever brings a clock of his own sees to it that no two runs begin at one time.
    if type(core.clock) is LiveClock:
        start_ns = own_start(start_ns)
    if journaling is None:
        core.run_tag = run_tag(start_ns, config.trader_id)
    else:
        journaling.take_over(core, start_ns)
        core.run_tag = journaling.run_tag


def _client(factory: object, made: _C, kind: type[_C]) -> _C:
    if not isinstance(made, kind):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"{factory!r} must return a {kind.__name__}; it returned {made!r}")
    return made


def _warn_of_refused(refused: tuple[OrderEvent, str]) -> None:
    event, reason = refused
    _log.warning(
        "%s for order %s cannot be applied and changed nothing: %s",
        type(event).__name__,
        event.client_order_id,
        reason,
    )


def _warn_of_found(_: int, kind: RecordKind, event: object) -> None:
    """Warn of what a venue's reports brought up that nobody here asked for."""
    if kind is not RecordKind.DERIVED:
        return
    if isinstance(event, OrderInitialized) and event.strategy_id == EXTERNAL:
        _log.warning(
            "order %s of %s is of nobody here: it was found at the venue",
            event.client_order_id,
            event.instrument_id,
        )
    elif isinstance(event, OrderFilled) and event.reconciliation:
        _log.warning(
            "a fill of %s for order %s is inferred from what the venue says: no report tells of it",
            event.quantity,
            event.client_order_id,
        )


def _warn_of_contingency(failure: ContingencyFailed) -> None:
    _log.warning(
        "order %s and what it is linked to are not as they should be: %s",
        failure.client_order_id,
        failure.reason,
    )


def _warn_of_loss(event: RiskEvent) -> None:
    if isinstance(event, LossLimitReached):
        _log.warning(
            "the day's loss%s came to %s %s, at its limit of %s",
            f" of {event.account_id}" if event.account_id else "",
            event.loss,
            event.currency,
            event.limit,
        )
    elif isinstance(event, TradingStateChanged) and event.reason:
        _log.warning("trading state: %s, as %s", event.state.value, event.reason)


def _warn_of_overfill(overfill: tuple[OrderFilled, str]) -> None:
    _log.warning("overfill: %s", overfill[1])


def _warn_of_unreconciled(unreconciled: tuple[ExecutionReport, str]) -> None:
    report, reason = unreconciled
    _log.warning(
        "%s of %s does not fit what is known and changed nothing: %s",
        type(report).__name__,
        report.instrument_id,
        reason,
    )


def _refuse_second_replay(client: DataClient, others: Sequence[DataClient]) -> None:
    is_replay = isinstance(client, ReplayDataClient)
    if is_replay and any(isinstance(other, ReplayDataClient) for other in others):
        raise ConfigError(
            "there are two replays in this node, and each would drive its clock; give one replay"
            " all the data: wb.Replay({instrument: first, another: second}, [instrument, another])"
        )

"""What a node records so that its run can be followed again, beside the messages it handles.

A command that is in a channel when handling begins, and was not when handling ended, came from
outside: from a cell, `node.call(...)`, a promotion or KILL. So outside calls are found where they
have an effect, and handling a message costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from workbench.engines.clients import DataClient, ExecutionClient
from workbench.model.commands import DataKind, DataResponse, RequestData, Subscribe, Unsubscribe
from workbench.model.data import BarType
from workbench.model.events import OrderDenied, OrderModifyRejected, StrategySwapped
from workbench.model.identifiers import ComponentId, InstrumentId
from workbench.node.journal import Journal, JournalError, JournalKind
from workbench.node.journal.circumstances import (
    CalledFromOutside,
    ClientBars,
    ClientServes,
    FoundDataClient,
    FoundExecutionClient,
    IdsTaken,
    Killed,
    PriceFresh,
    RecordedRoute,
    RoutesSet,
    StageSet,
    StrategiesStopped,
    StrategyStarted,
    StrategyStopping,
)
from workbench.runtime.channels import Channel
from workbench.runtime.eventlog import RecordKind
from workbench.runtime.handling import Handling
from workbench.sim.client import SimulatedExecutionClient
from workbench.trading.actor import Actor
from workbench.trading.code_identity import code_parts, short_fingerprint
from workbench.trading.strategy import Strategy

if TYPE_CHECKING:
    from workbench.trading.core import TradingCore

Made = tuple[type[Actor], dict[str, Any]]
"""A strategy as it was made: its class and its parameters."""

_REFUSALS = (OrderDenied, OrderModifyRejected)
_FOLLOWED = (
    *("submit_", "modify_", "cancel_", "close_"),
    *("subscribe_", "unsubscribe_", "request_", "publish_"),
)


class Circumstances:
    """Records what else the course of a run depends on.

    Args:
        journal: Where to.
        core: Whose run.

    Attributes:
        made: The strategies as they were made, in the order they were added; None before the run.
        codes: The classes that strategies were of in this process, by fingerprint.
    """

    def __init__(self, journal: Journal, core: TradingCore) -> None:
        self.made: list[Made] | None = None
        self.codes: dict[str, type[Actor]] = {}
        self._journal = journal
        self._core = core
        self._is_set = self._has_stopped = False
        self._is_recording = False
        self._commands: tuple[Channel, ...] = ()
        self._events = core.dispatcher.channels.execution_events
        self._counts: tuple[Any, ...] = ()

    def begin(self) -> None:
        """Record from now on: the run has begun."""
        self._is_recording = True

    def _note(self, payload: Any) -> None:
        if self._is_recording:
            number = self._core.dispatcher.number
            self._journal.append(JournalKind.CIRCUMSTANCE, payload, number=number)

    # Strategies

    def follow(self) -> None:
        """Record how strategies start and stop; they have been added."""
        core = self._core
        core.on_actor = self._on_actor
        core.log.followers.append(self._on_record)
        self.made = [(type(actor), dict(actor.parameters)) for actor in core.actors]
        for actor in core.actors:
            self.codes[short_fingerprint(type(actor))] = type(actor)

    def _on_actor(self, what: str, actor: Actor | None) -> None:
        if actor is None:
            self._has_stopped = True
            self._note(StrategiesStopped())
        elif what == "start":
            self._set_stage()
            self._note(_started(actor, self._core.request_count))
        else:
            self._note(StrategyStopping(strategy_id=actor.component_id))

    def _on_record(self, _: int, kind: RecordKind, message: Any) -> None:
        if kind is RecordKind.SWAP and isinstance(message, StrategySwapped):
            for actor in self._core.actors:
                if actor.component_id == message.strategy_id:
                    self.codes[message.new] = type(actor)

    def _set_stage(self) -> None:
        if self._is_set:
            return
        self._is_set = True
        core = self._core
        self._note(
            StageSet(
                data_clients=tuple(_found_data(client) for client in core.data.clients),
                execution_clients=tuple(map(_found_execution, core.execution.clients)),
                trading_state=core.risk.trading_state,
            )
        )
        if (routes := self._all_routes()) != RoutesSet():
            self._note(routes)

    # What comes from outside

    def watch(self, handling: Handling) -> None:
        """Record what comes from outside while `handling` is not entered."""
        channels = self._core.dispatcher.channels
        self._commands = channels.trading_commands, channels.data_commands
        handling.on_enter, handling.on_exit = self._entered, self._left
        self._left()

    def _count(self) -> tuple[Any, ...]:
        core = self._core
        return (
            core.clock.changes,
            core.request_count,
            *(one.orders.ids.count for one in core.actors if isinstance(one, Strategy)),
        )

    def _left(self) -> None:
        self._in = [channel.count_in for channel in self._commands]
        self._events_in = self._events.count_in
        self._counts = self._count()
        self._routes = self._all_routes()

    def _entered(self) -> None:
        self.note_routes()
        counts = self._count()
        if counts != self._counts:
            self._note_counts(counts)
        for channel, before in zip(self._commands, self._in, strict=True):
            for command in _newest(channel, channel.count_in - before):
                self._note(command)
        come = self._events.count_in - self._events_in
        if come > 0:
            for event in _newest(self._events, come):
                # Of all that clients send too, these are what risk answers to an outside call.
                if isinstance(event, _REFUSALS) and getattr(event, "account_id", None) is None:
                    self._note(event)

    def _note_counts(self, counts: tuple[Any, ...]) -> None:
        core = self._core
        if self._is_set and not self._has_stopped and counts[0] != self._counts[0]:
            self._note(CalledFromOutside(what="a timer was set or cancelled"))
        if counts[1] != self._counts[1]:
            self._note(IdsTaken(strategy_id=ComponentId(""), count=counts[1]))
        strategies = [one for one in core.actors if isinstance(one, Strategy)]
        for one, now, before in zip(strategies, counts[2:], self._counts[2:], strict=True):
            if now != before:
                self._note(IdsTaken(strategy_id=one.component_id, count=now))

    def _all_routes(self) -> RoutesSet:
        routes = self._core.routes
        return RoutesSet(
            routes=tuple(
                RecordedRoute(
                    strategy_id=strategy_id,
                    venue=venue,
                    account_id=route.account_id,
                    code=route.code,
                    reason=route.reason,
                )
                for (strategy_id, venue), route in routes.all().items()
            ),
            guarded=tuple(sorted(routes.guarded)),
        )

    def note_routes(self) -> None:
        """Note the routes, if they are others; called too where one changes inside a message."""
        now = self._all_routes()
        if now != self._routes:
            self._routes = now
            self._note(now)

    def called(self, function: Callable[..., Any]) -> None:
        """Note a call between two messages, unless what it does is recorded anyway."""
        owner = getattr(function, "__self__", None)
        what = getattr(function, "__qualname__", repr(function))
        if isinstance(owner, Actor):
            name = function.__name__
            is_ours = getattr(type(owner), name, None) is getattr(Strategy, name, owner)
            if is_ours and name.startswith(_FOLLOWED):
                return
            what = f"{owner.component_id}.{name}"
        elif str(getattr(function, "__module__", "")).startswith("workbench."):
            return  # swaps and the like have records of their own
        self._note(CalledFromOutside(what=what))

    def killed(self) -> None:
        """Note a KILL; from any thread, and whatever has become of the journal."""
        with suppress(JournalError):
            self._note(Killed())

    def fresh(self, instrument_id: InstrumentId) -> None:
        """Note that an instrument is stale no more."""
        self._note(PriceFresh(instrument_id=instrument_id))

    # Data clients

    def heard(self, client: DataClient) -> DataClient:
        """Return a data client whose answers are recorded; it does what that one does."""
        return HeardDataClient(client, self._note)

    def end(self) -> None:
        """Record nothing any more."""
        self._is_recording = False
        core = self._core
        if self._on_record in core.log.followers:
            core.log.followers.remove(self._on_record)


class HeardDataClient(DataClient):
    """A data client, whose answers are told: what it has, and what it gives at once.

    Args:
        client: The client.
        tell: Told of answers that are new.
    """

    def __init__(self, client: DataClient, tell: Callable[[Any], None]) -> None:
        self.client = client
        self.client_id, self.venues = client.client_id, client.venues
        self._tell = tell
        self._known: dict[Any, Any] = {}

    def _tell_new(self, key: Any, answer: Any, make: Callable[[], Any]) -> None:
        if self._known.get(key) != answer:
            self._known[key] = answer
            self._tell(make())

    async def connect(self) -> None:
        """Connect it."""
        await self.client.connect()

    async def disconnect(self) -> None:
        """Disconnect it."""
        await self.client.disconnect()

    async def run(self) -> None:
        """Let it stream."""
        await self.client.run()

    def serves(
        self,
        kind: DataKind,
        instrument_id: InstrumentId,
        bar_type: BarType | None = None,
        topic: str = "",
    ) -> bool:
        """Return whether it has such data."""
        answer = self.client.serves(kind, instrument_id, bar_type, topic)
        told = ClientServes(
            client_id=self.client_id,
            kind=kind,
            instrument_id=instrument_id,
            bar_type=bar_type,
            topic=topic,
            answer=answer,
        )
        self._tell_new((kind, instrument_id, bar_type, topic), answer, lambda: told)
        return answer

    def bar_types(self, instrument_id: InstrumentId) -> Iterable[BarType]:
        """Return the bars it has."""
        answer = tuple(self.client.bar_types(instrument_id))
        told = ClientBars(client_id=self.client_id, instrument_id=instrument_id, bar_types=answer)
        self._tell_new(instrument_id, answer, lambda: told)
        return answer

    def subscribe(self, command: Subscribe) -> None:
        """Subscribe at it."""
        self.client.subscribe(command)

    def unsubscribe(self, command: Unsubscribe) -> None:
        """Unsubscribe at it."""
        self.client.unsubscribe(command)

    def request(self, command: RequestData) -> DataResponse | None:
        """Ask it; what it answers at once is told."""
        answer = self.client.request(command)
        if answer is not None:
            self._tell(answer)
        return answer

    def __repr__(self) -> str:
        """Return what it is."""
        return repr(self.client)


def bare(client: DataClient) -> DataClient:
    """Return a data client itself, where its answers are heard."""
    return client.client if isinstance(client, HeardDataClient) else client


def _newest(channel: Channel, count: int) -> list[Any]:
    return channel.waiting()[-count:] if count > 0 else []


def _started(actor: Actor, requests: int) -> StrategyStarted:
    return StrategyStarted(
        strategy_id=actor.component_id,
        class_name=type(actor).__name__,
        fingerprint=short_fingerprint(type(actor)),
        parts=code_parts(type(actor)),
        parameters={name: repr(value) for name, value in actor.parameters.items()},
        trades=isinstance(actor, Strategy),
        requests=requests,
    )


def _found_data(client: DataClient) -> FoundDataClient:
    venues = None if client.venues is None else tuple(sorted(client.venues))
    return FoundDataClient(client_id=client.client_id, venues=venues)


def _found_execution(client: ExecutionClient) -> FoundExecutionClient:
    session = None
    if isinstance(client, SimulatedExecutionClient):
        session = client.exchange.settings.session
    return FoundExecutionClient(
        client_id=client.client_id, capabilities=client.capabilities, session=session
    )

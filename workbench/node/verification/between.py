"""What happens between two messages: strategies start and stop, something comes from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.model import commands as c
from workbench.model.errors import CALLBACK_FAILURES, ConfigError, StrategyError
from workbench.model.events import OrderDenied, OrderModifyRejected, StrategySwapped
from workbench.model.identifiers import InstrumentId
from workbench.model.orders import Order
from workbench.model.risk_events import RiskEvent, TradingStateChanged
from workbench.node.journal import ExceptionRaised, HistoryPurged, JournalKind, JournalRecord
from workbench.node.journal import circumstances as k
from workbench.node.verification.course import CannotFollowError, Course
from workbench.node.verification.results import equal
from workbench.node.verification.surroundings import (
    Cause,
    FollowedDataClient,
    FollowedExecutionClient,
)
from workbench.runtime.channels import ChannelName
from workbench.trading.actor import Actor
from workbench.trading.code_identity import short_fingerprint
from workbench.trading.code_swap import CodeSwap
from workbench.trading.strategy import Strategy

_TRADING = (
    *(c.SubmitOrder, c.SubmitOrderList, c.ModifyOrder),
    *(c.CancelOrder, c.CancelAllOrders, c.QueryOrder),
)
_REFUSALS = (OrderDenied, OrderModifyRejected)
_FROM_OUTSIDE = (*_TRADING, *_REFUSALS, k.CalledFromOutside, k.RoutesSet)
_ANSWERS = (k.ClientServes, k.ClientBars, c.DataResponse)
_INTERRUPTED = ("KeyboardInterrupt", "SystemExit", "BrokenOffError", "CancelledError")


class Between:
    """Lets happen to the copy what happened between two messages.

    Args:
        course: Where it has come to.
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self._core = course.copy.core
        self._clock = course.copy.clock
        self._stale: set[InstrumentId] = set()
        self._has_stalled = False
        self._owed: list[RiskEvent] = []
        self._core.risk.is_stale = self._is_stale
        self._circumstances: dict[type, Callable[[JournalRecord, Any], None]] = {
            k.StageSet: self._set_stage,
            k.StrategyStarted: self._start,
            k.StrategyStopping: self._stop,
            k.StrategiesStopped: self._stopped,
            k.PriceFresh: self._fresh,
            k.RoutesSet: self._set_routes,
            k.IdsTaken: self._take_ids,
            k.CalledFromOutside: self._called,
        }
        self._kinds: dict[JournalKind, Callable[[JournalRecord, Any], None]] = {
            JournalKind.DERIVED: self._derived,
            JournalKind.CIRCUMSTANCE: self._circumstance,
            JournalKind.STALL: self._stalled,
            JournalKind.PURGE: self._purge,
            JournalKind.SWAP: self._swap,
            JournalKind.EXCEPTION: self._exception,
        }

    def prepare(self, record: JournalRecord | None, after: list[JournalRecord]) -> None:
        """Look at what was recorded while a message was handled, before it is.

        Raises:
            CannotFollowError: If a KILL came, which may have struck in its middle.
        """
        for one in after:
            if one.kind is JournalKind.CIRCUMSTANCE:
                if isinstance(one.message, k.Killed):
                    raise CannotFollowError("a KILL came, which may strike in mid-message")
                if isinstance(one.message, _ANSWERS):
                    self._course.answers.take(one.message)
            elif one.kind is JournalKind.STALL and record is not None and one.ts == record.ts:
                # It was noticed where an order asked for it.
                self._has_stalled = True

    def follow(self, record: JournalRecord) -> None:
        """Let happen what a record says.

        Raises:
            FoundDifferenceError: If it did not happen so here.
            CannotFollowError: If it cannot be done here.
        """
        act = self._kinds.get(record.kind)
        if act is not None:
            act(record, record.message)

    def settle(self, after: list[JournalRecord]) -> None:
        """Take over what risk noted where something came from outside, and no command shows it.

        Raises:
            FoundDifferenceError: If nothing came from outside.
        """
        if not self._owed:
            return
        if not any(isinstance(one.message, _FROM_OUTSIDE) for one in after):
            what = "risk noted in the run what it did not in the copy"
            raise self._course.part(what, recorded=self._owed[0], cause=self._course.cause)
        self._pay()

    def _pay(self) -> None:
        """Let risk go on with what it noted in the run at a call from outside."""
        owed, self._owed = self._owed, []
        if owed:
            self._core.risk.take_over(owed)
            self._core.risk.begin()
            self._course.derived.clear()  # told in the run, with the times of then

    # What engines derive

    def _derived(self, record: JournalRecord, message: Any) -> None:
        course = self._course
        if course.derived and equal(course.derived[0].message, message):
            course.derived.popleft()
        elif isinstance(message, TradingStateChanged) and not course.derived:
            self._clock.now_ns = max(self._clock.now_ns, message.ts_event)
            self._core.risk.set_trading_state(message.state)
            course.derived.clear()  # its reason and time are those of the run
        elif isinstance(message, RiskEvent) and not course.derived:
            self._owed.append(message)
        elif course.derived:
            given = course.derived[0]
            what = "what followed for {} in the run is not what followed in the copy"
            raise course.part(what, recorded=message, given=given.message, cause=given.cause)
        else:
            what = "something followed for {} in the run that did not in the copy"
            raise course.part(what, recorded=message, record=record, cause=course.cause)

    # Stalls

    def _stalled(self, _: JournalRecord, __: Any) -> None:
        self._has_stalled = True
        self._settle_stall()

    def _settle_stall(self) -> None:
        if self._has_stalled:
            self._has_stalled = False
            self._stale = {instrument.id for instrument in self._core.cache.instruments()}

    def _is_stale(self, instrument_id: InstrumentId) -> bool:
        self._settle_stall()
        return instrument_id in self._stale

    def _fresh(self, _: JournalRecord, message: k.PriceFresh) -> None:
        self._stale.discard(message.instrument_id)

    # Circumstances

    def _circumstance(self, record: JournalRecord, message: Any) -> None:
        act = self._circumstances.get(message.__class__)
        if act is not None:
            act(record, message)
        elif isinstance(message, _REFUSALS):
            self._pay()
            self._course.outside.append(message)
        elif not isinstance(message, _ANSWERS):
            # When it was given, which is before it was found.
            ts = getattr(message, "ts_init", record.ts)
            self._course.turn_to(Cause(record.number, ts, "a call from outside"))
            self._pay()
            self.give(message)

    def give(self, command: Any) -> None:
        """Give a command as it was given from outside.

        Raises:
            CannotFollowError: If it does not leave as it did in the run.
        """
        core = self._core
        if not isinstance(command, _TRADING):
            core.senders.data_command.send(command)
            return
        for order in _orders_of(command):
            if core.cache.order(order.client_order_id) is None:
                core.cache.add_order(Order.from_initialized(order))
        core.lanes.risk_commands.put(command)
        last = self._course.copy.channels[ChannelName.TRADING_COMMANDS].last
        if last is None or not equal(last.message, command):
            raise CannotFollowError(
                f"a {type(command).__name__} from outside left in the run and would not here"
            )

    def _set_stage(self, record: JournalRecord, stage: k.StageSet) -> None:
        core = self._core
        for found in stage.data_clients:
            core.data.add_client(FollowedDataClient(found, self._course.answers))
        clients = {client.client_id: client for client in core.execution.clients}
        for found in stage.execution_clients:
            client = clients.get(found.client_id)
            if isinstance(client, FollowedExecutionClient):
                client.become(found)
        if stage.trading_state is not core.risk.trading_state:
            core.risk.set_trading_state(stage.trading_state)
            self._course.derived.clear()
        self._call(record, "what an earlier run left", core.adopt)

    def _start(self, record: JournalRecord, message: k.StrategyStarted) -> None:
        self._course.is_running = True
        actor = self._actor(message)

        def start() -> None:
            # Those that are not verified ask for nothing here.
            self._core.skip_requests(message.requests)
            self._core.risk.begin()
            actor.start()

        self._call(record, f"on_start of {message.strategy_id}", start)

    def _stop(self, record: JournalRecord, message: k.StrategyStopping) -> None:
        self._course.is_running = False
        self._call(record, f"on_stop of {message.strategy_id}", self._actor(message).stop)

    def _call(self, record: JournalRecord, what: str, function: Callable[[], None]) -> None:
        self._course.turn_to(Cause(record.number, record.ts, what))
        try:
            function()
        except CALLBACK_FAILURES as error:
            self._course.note_raised(error)

    def _stopped(self, record: JournalRecord, _: Any) -> None:
        self._course.is_running = False
        self._course.turn_to(Cause(record.number, record.ts, "the end of all strategies"))
        self._core.risk.stop()

    def _set_routes(self, _: JournalRecord, message: k.RoutesSet) -> None:
        routes = self._core.routes
        for strategy_id, venue in routes.all():
            routes.clear(strategy_id, venue)
        for one in message.routes:
            if one.account_id is not None:
                routes.set(one.strategy_id, one.venue, one.account_id)
        for one in message.routes:
            if one.code:
                routes.refuse(one.strategy_id, one.code, one.reason)
        routes.guarded.clear()
        routes.guarded.update(message.guarded)

    def _take_ids(self, _: JournalRecord, message: k.IdsTaken) -> None:
        if not message.strategy_id:
            self._core.skip_requests(message.count)
        elif isinstance(actor := self._actor(message), Strategy):
            actor.orders.ids.skip_to(message.count)

    def _called(self, record: JournalRecord, message: k.CalledFromOutside) -> None:
        after = f"after message {record.number:,}" if record.number else "before any message"
        self._course.unfollowed.append(
            f"{after}: {message.what}, from outside; what it changed is not recorded"
        )

    def _actor(self, message: Any) -> Actor:
        return self._course.copy.actors[message.strategy_id]

    # What else may happen

    def _purge(self, _: JournalRecord, message: HistoryPurged) -> None:
        self._core.purge(message.closed_before_ns, frozenset(message.keep))

    def _swap(self, _: JournalRecord, message: StrategySwapped) -> None:
        actor = self._course.copy.actors.get(message.strategy_id)
        if actor is None or message.strategy_id in self._course.stood_in:
            return
        kind = self._course.codes.get(message.new)
        if kind is None and short_fingerprint(type(actor)) == message.new:
            return
        if kind is None:
            raise CannotFollowError(
                f"the code of {message.strategy_id} was exchanged, and the new one"
                f" ({message.new}) is not here"
            )
        try:
            CodeSwap(actor, kind).do()
        except ConfigError as error:
            raise CannotFollowError(
                f"the code of {message.strategy_id} was exchanged: {error}"
            ) from None

    def _exception(self, record: JournalRecord, message: ExceptionRaised) -> None:
        course = self._course
        if course.raised and str(course.raised[0][1]) == message.text:
            course.raised.popleft()
            return
        if any(name in (message.type_name, *message.text.split()) for name in _INTERRUPTED):
            raise CannotFollowError(f"it was broken off: {message.text or message.type_name}")
        if message.type_name != StrategyError.__name__:
            return  # a client's failure, say
        owner = message.text.partition(" ")[0]
        if owner in course.stood_in:
            return
        given, error = None, None
        if course.raised:
            error = course.raised[0][1]
            given = str(error)
        raise course.part(
            "{} raised in the run what the copy does not",
            recorded=message.text,
            given=given,
            cause=course.cause,
            owner=owner,
            error=error,
            record=record,
        )


def _orders_of(command: Any) -> tuple[Any, ...]:
    if isinstance(command, c.SubmitOrder):
        return (command.order,)
    return command.orders if isinstance(command, c.SubmitOrderList) else ()

"""Following a run: each record is fed to the copy, and what the copy does is held against it.

What the core itself puts into its channels (commands, denials, what is pending, subscriptions, bars
made inside) must be there when the record of it comes. What came from outside (market data, a
venue's events) is fed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import closing
from decimal import localcontext
from typing import Any

from workbench.model import events as e
from workbench.model.custom_data import CustomData
from workbench.model.display import format_ns
from workbench.model.enums import TradingState
from workbench.model.errors import CALLBACK_FAILURES
from workbench.model.money import MONEY_CONTEXT
from workbench.model.orders import Order
from workbench.node.journal import JournalKind, JournalRecord
from workbench.node.session import NOT_LEFT
from workbench.node.verification.between import Between
from workbench.node.verification.copies import Copy, Made
from workbench.node.verification.course import (
    CannotFollowError,
    Course,
    FoundDifferenceError,
    owner_of,
)
from workbench.node.verification.plan import Plan, Step, Steps
from workbench.node.verification.results import equal
from workbench.node.verification.surroundings import Cause, Given
from workbench.runtime.channels import ChannelName
from workbench.runtime.eventlog import RecordKind
from workbench.trading.actor import Actor

_MADE_HERE = (
    *(e.OrderDenied, e.OrderEmulated, e.OrderReleased),
    *(e.OrderPendingCancel, e.OrderPendingUpdate),
)
"""Events that no client sends: the core makes them."""

_OWN_TIMERS = ("risk:", "bars:", "history:", "order-emulator:")
_HALTED = "TRADING_HALTED"

Handler = Callable[[Any], None]


class Follower:
    """Feeds a run to a copy of its strategies.

    Args:
        plan: The run.
        made: The strategies, in the order they were added.
        stood_in: Those that are not verified: what they gave in the run is given again.
        codes: Classes that strategies became in the run, by fingerprint.

    Attributes:
        course: Where it has come to.
        messages: How many messages were fed.
        records: How many records were read.
    """

    def __init__(
        self,
        plan: Plan,
        made: Sequence[Made],
        stood_in: Container[str],
        codes: Mapping[str, type[Actor]],
    ) -> None:
        self.messages = self.records = 0
        self._plan = plan
        self.course = course = Course(stood_in, codes, plan.entry.started.ts)
        with localcontext(MONEY_CONTEXT):
            course.copy = Copy(plan, made, stood_in, lambda: course.cause)
        self._channels, self._core = course.copy.channels, course.copy.core
        self._between = Between(course)
        self._popped: Counter[tuple[str, int]] = Counter()
        self._core.log.followers.append(self._on_derived)
        handlers = self._core.dispatcher.handlers
        self._handlers: dict[ChannelName, Handler] = {
            ChannelName.TIME_EVENTS: handlers.time_event,
            ChannelName.EXECUTION_EVENTS: handlers.execution_event,
            ChannelName.TRADING_COMMANDS: handlers.trading_command,
            ChannelName.DATA_COMMANDS: handlers.data_command,
            ChannelName.DATA_EVENTS: handlers.data_event,
        }
        self._takers: dict[ChannelName, Callable[[JournalRecord, Step, Steps], bool]] = {
            ChannelName.TIME_EVENTS: self._take_time,
            ChannelName.EXECUTION_EVENTS: self._take_event,
            ChannelName.TRADING_COMMANDS: self._take_command,
            ChannelName.DATA_COMMANDS: self._take_data_command,
            ChannelName.DATA_EVENTS: self._take_data,
        }

    def _on_derived(self, _: int, kind: RecordKind, message: Any) -> None:
        if kind is RecordKind.DERIVED:
            self.course.derived.append(Given(self.course.cause, message))

    def follow(self, tell: Callable[[int], None]) -> None:
        """Follow the run as far as it was recorded.

        Args:
            tell: Told how many records were followed.

        Raises:
            FoundDifferenceError: At the first difference.
            CannotFollowError: Where the record does not say how the run went on.
        """
        with localcontext(MONEY_CONTEXT), closing(self._plan.steps()) as found:
            steps = Steps(found)
            while (step := steps.next()) is not None:
                if not self._plan.is_over and steps.peek() is None:
                    return  # all that it brought about may not be recorded yet
                self._step(step, steps)
                self.records += 1 + len(step.after)
                tell(self.records)
            if self._plan.is_over:
                self.course.check_derived()
                self.course.check_nothing_is_left()

    def _step(self, step: Step, steps: Steps) -> None:
        self._between.prepare(step.record, step.after)
        if step.record is not None:
            self._feed(step.record, step, steps)
        for record in step.after:
            self._between.follow(record)
        self._between.settle(step.after)

    def _feed(self, record: JournalRecord, step: Step, steps: Steps) -> None:
        course, channel = self.course, record.channel
        assert channel is not None
        if record.number != course.last_number + 1:
            missing = f"message {course.last_number + 1:,}"
            if record.number > course.last_number + 2:
                missing = f"messages {course.last_number + 1:,} to {record.number - 1:,}"
            raise CannotFollowError(f"{missing} of market data could not be recorded")
        course.check_derived()
        self._core.dispatcher.number = record.number
        is_handled = self._takers[channel](record, step, steps)
        course.turn_to(Cause(record.number, record.ts, record.message))
        if is_handled:
            try:
                self._handlers[channel](record.message)
            except CALLBACK_FAILURES as error:
                course.note_raised(error)
        course.last_number = record.number
        self.messages += 1

    # Whether a message is handled, and that it is there where the core makes it

    def _take_data(self, record: JournalRecord, _: Step, __: Steps) -> bool:
        if self.course.is_running:
            # It was taken when nothing else waited.
            self.course.check_nothing_is_left()
            self._check_timers(record)
        return True

    def _check_timers(self, record: JournalRecord) -> None:
        """Check that no timer of the copy should have fallen due by simulated time."""
        timer = self.course.copy.clock.next_timer
        if not self._plan.is_live and timer is not None and timer[1] <= record.ts:
            raise self._timer_of_nobody(timer)

    def _mismatch(self, record: JournalRecord, steps: Steps) -> FoundDifferenceError:
        """Return what is different where the copy has not what was recorded."""
        assert record.channel is not None
        self._check_timers(record)
        return self.course.mismatch(record, self._channels[record.channel], steps)

    def _timer_of_nobody(self, timer: tuple[str, int]) -> FoundDifferenceError:
        name, due = timer
        return self.course.part(
            "the copy of {} has set a timer that was not set in the run",
            given=f"timer {name}, due at {format_ns(due)}",
            owner=self._owner_of_timer(name),
        )

    def _owner_of_timer(self, name: str) -> str:
        owner = name.partition(":")[0]
        return owner if owner in self.course.copy.actors else ""

    def _take_time(self, record: JournalRecord, _: Step, steps: Steps) -> bool:
        event: e.TimeEvent = record.message
        owner = self._owner_of_timer(event.name)
        if not owner and not event.name.startswith(_OWN_TIMERS):
            return False  # of a simulated exchange, say
        if owner in self.course.stood_in:
            return False
        key = event.name, event.ts_event
        if self._popped[key]:
            self._popped[key] -= 1
            return True
        clock = self.course.copy.clock
        if not clock.fall_due(event):
            raise self._timer_differs(event, owner, record)
        index = 0
        while self._plan.is_live and (also := _at_once(steps, index, event)) is not None:
            # On the live clock what is due falls due together, before any of it is handled.
            if clock.fall_due(also):
                self._popped[also.name, also.ts_event] += 1
            index += 1
        return True

    def _timer_differs(
        self, event: e.TimeEvent, owner: str, record: JournalRecord
    ) -> FoundDifferenceError:
        clock = self.course.copy.clock
        timer, due = clock.next_timer, clock.due_of(event.name)
        if timer is not None and due == event.ts_event:
            return self._timer_of_nobody(timer)
        return self.course.part(
            "a timer of {} fell due in the run that the copy has not set, or for another time",
            recorded=f"timer {event.name}, due at {format_ns(event.ts_event)}",
            given=None if due is None else f"timer {event.name}, due at {format_ns(due)}",
            owner=owner,
            record=record,
        )

    def _is_next(self, record: JournalRecord) -> bool:
        """Return whether the copy has put a record's message into its channel; take it if so."""
        assert record.channel is not None
        channel = self._channels[record.channel]
        first = channel.first
        if first is None or not equal(first.message, record.message):
            return False
        channel.take()
        return True

    def _count(self, message: Any) -> None:
        if owner := owner_of(message):
            self.course.commands[owner] += 1

    def _take_event(self, record: JournalRecord, step: Step, steps: Steps) -> bool:
        message, course = record.message, self.course
        if self._is_next(record) or self._is_refused_at_the_end(record):
            if isinstance(message, e.OrderDenied):
                self._count(message)
            return True
        if isinstance(message, e.OrderEvent):
            from_outside = next((one for one in course.outside if equal(one, message)), None)
            if from_outside is not None:
                course.outside.remove(from_outside)
                self._define(message, step)
            elif isinstance(message, _MADE_HERE):
                if message.strategy_id not in course.stood_in:
                    self._check_halt(message)
                    raise self._mismatch(record, steps)
                self._define(message, step)
        return True

    def _check_halt(self, message: e.OrderEvent) -> None:
        """Check that nothing has halted trading while a message was handled.

        Raises:
            CannotFollowError: If so: it is not recorded where in it.
        """
        is_halt = isinstance(message, e.OrderDenied) and message.code == _HALTED
        if is_halt and self._core.risk.trading_state is not TradingState.HALTED:
            raise CannotFollowError("trading was halted while this message was handled")

    def _is_refused_at_the_end(self, record: JournalRecord) -> bool:
        """Refuse what waits for the rate, where the node did so as it stopped; take the refusal."""
        message = record.message
        if not isinstance(message, e.OrderDenied) or message.reason != NOT_LEFT:
            return False
        if self.course.is_running or not self._core.risk.waiting:
            return False
        self.course.turn_to(Cause(self.course.last_number, message.ts_init, "the end"))
        self._core.risk.refuse_waiting(NOT_LEFT)
        return self._is_next(record)

    def _define(self, message: e.OrderEvent, step: Step) -> None:
        """Make an order known of which the run's core knew, and which no command defines."""
        cache = self._core.cache
        if cache.order(message.client_order_id) is not None:
            return
        for one in step.after:
            made = one.message
            is_it = one.kind is JournalKind.DERIVED and isinstance(made, e.OrderInitialized)
            if is_it and made.client_order_id == message.client_order_id:
                cache.add_order(Order.from_initialized(made))

    def _take_command(self, record: JournalRecord, _: Step, steps: Steps) -> bool:
        message = record.message
        if self._is_next(record):
            self._count(message)
            return True
        if owner_of(message) not in self.course.stood_in:
            raise self._mismatch(record, steps)
        self.course.turn_to(Cause(record.number, record.ts, "what is not verified"))
        self._between.give(message)
        self._channels[ChannelName.TRADING_COMMANDS].queue.pop()
        return True

    def _take_data_command(self, record: JournalRecord, _: Step, steps: Steps) -> bool:
        message = record.message
        if self._is_next(record):
            self._count(message)
            return True
        is_of_nobody = isinstance(message, CustomData)
        if owner_of(message) in self.course.stood_in or (is_of_nobody and self.course.stood_in):
            return True
        raise self._mismatch(record, steps)


def _at_once(steps: Steps, index: int, event: e.TimeEvent) -> e.TimeEvent | None:
    """Return another time event that fell due at the same moment."""
    step = steps.peek(index)
    if step is None or step.record is None or step.record.kind is not JournalKind.TIME:
        return None
    other: e.TimeEvent = step.record.message
    return other if other.ts_init == event.ts_init else None

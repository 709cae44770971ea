"""Where following a run has come to: what the copy has done that is not yet held against it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Iterator, Mapping
from typing import Any

from workbench.model import commands as c
from workbench.model.custom_data import CustomData, Signal
from workbench.model.display import format_ns
from workbench.model.error_display import report
from workbench.model.errors import StrategyError
from workbench.model.events import OrderEvent
from workbench.model.identifiers import ComponentId
from workbench.node.journal import JournalRecord
from workbench.node.verification.copies import Copy
from workbench.node.verification.plan import Steps
from workbench.node.verification.results import Difference, equal, fields_between
from workbench.node.verification.surroundings import Answers, Cause, Given, GivenChannel
from workbench.runtime.channels import ChannelName
from workbench.trading.actor import Actor

_AHEAD = 64
_RECENT = 512
_ORDERED = (
    ChannelName.EXECUTION_EVENTS,
    ChannelName.TRADING_COMMANDS,
    ChannelName.DATA_COMMANDS,
)


class FoundDifferenceError(Exception):
    """The run and the copy part here."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.what)
        self.difference = difference


class CannotFollowError(Exception):
    """The run goes on in a way that its record does not hold; says how."""


class Course:
    """What is known while a run is followed.

    Args:
        stood_in: The strategies that are not verified.
        codes: Classes that strategies became in the run, by fingerprint.
        start_ns: When the run began.

    Attributes:
        cause: What is handled.
        copy: The copy; set before anything is followed.
        answers: What data clients said.
        commands: How many commands were equal, by strategy.
        last_number: The number of the message that was fed last.
        derived: What the copy's engines derived.
        raised: What the copy raised.
        outside: Refusals that an outside call brought about.
        unfollowed: What happened of which nobody knows what it changed, a sentence each.
        is_running: Whether strategies have started, and none stops yet.
    """

    copy: Copy

    def __init__(
        self, stood_in: Container[str], codes: Mapping[str, type[Actor]], start_ns: int
    ) -> None:
        self.stood_in = stood_in
        self.codes = codes
        self.cause = Cause(0, start_ns, "what was before the first message")
        self.answers = Answers()
        self.commands: Counter[str] = Counter()
        self.last_number = 0
        self.derived: deque[Given] = deque()
        self.raised: deque[tuple[Cause, BaseException]] = deque()
        self.outside: list[OrderEvent] = []
        self.unfollowed: list[str] = []
        self.is_running = False
        self._recent: deque[Cause] = deque(maxlen=_RECENT)

    def turn_to(self, cause: Cause) -> None:
        """Note what is handled from now on."""
        self.cause = cause
        self.copy.clock.now_ns = max(self.copy.clock.now_ns, cause.ts)
        if not isinstance(cause.what, _COMMANDS):
            self._recent.append(cause)

    def note_raised(self, error: BaseException) -> None:
        """Keep what a callback of the copy raised, and take its owner out."""
        self.raised.append((self.cause, error))
        if isinstance(error, StrategyError):
            try:
                self.copy.core.fault_actor(error.strategy_id)
            except StrategyError as another:
                self.raised.append((self.cause, another))

    # Differences

    def part(
        self,
        what: str,
        *,
        recorded: Any = None,
        given: Any = None,
        cause: Cause | None = None,
        owner: str | None = None,
        error: BaseException | None = None,
        record: JournalRecord | None = None,
    ) -> FoundDifferenceError:
        """Return what says that the run and the copy part.

        Args:
            what: What is different; `{}` in it is for the strategy's name.
            recorded: What the run did.
            given: What the copy did.
            cause: What it answers.
            owner: Whose it is; by default it is looked for in the messages.
            error: What the copy raised.
            record: Where the run did it.
        """
        name = owner if owner is not None else owner_of(recorded) or owner_of(given)
        if cause is None and recorded is not None:
            cause = self._cause_of(recorded)
        number, ts = self.last_number, self.copy.clock.now_ns
        if cause is not None:
            number, ts = cause.number, cause.ts
        elif record is not None:
            number, ts = record.number, record.ts
        return FoundDifferenceError(
            Difference(
                strategy_id=ComponentId(name),
                number=number,
                ts=ts,
                what=what.format(name or "the core"),
                recorded=recorded,
                given=given,
                fields=tuple(_fields(recorded, given)),
                answering=None if cause is None else cause.what,
                answering_number=0 if cause is None else cause.number,
                caveat="; ".join(self.unfollowed),
                traceback="" if error is None else report(error),
            )
        )

    def _cause_of(self, recorded: Any) -> Cause | None:
        """Return what a command of the run answered: what was handled when it was made."""
        ts = getattr(recorded, "ts_init", None)
        return next((one for one in reversed(self._recent) if one.ts == ts), None)

    def mismatch(
        self, record: JournalRecord, channel: GivenChannel, steps: Steps
    ) -> FoundDifferenceError:
        """Return what is different where the copy's channel does not hold a record's message."""
        message, owner = record.message, owner_of(record.message)
        commands = self.copy.channels[ChannelName.TRADING_COMMANDS]
        if not isinstance(message, _COMMANDS) and commands.first is not None:
            return self.extra(commands.first)  # it came of a command that is still to come here
        waiting: list[Given] = list(channel.queue)
        if any(equal(one.message, message) for one in waiting[1:]):
            return self.extra(waiting[0])
        mine = next((one for one in waiting if owner_of(one.message) == owner), None)
        if mine is None or any(equal(mine.message, one) for one in _ahead(steps, record)):
            missing = "{} gave a command in the run that the copy does not give"
            if not isinstance(message, _GIVEN):
                missing = "something followed for {} in the run that did not in the copy"
            return self.part(missing, recorded=message, record=record)
        changed = "{} gave another command in the run than the copy gives"
        if not isinstance(message, _GIVEN):
            changed = "what followed for {} in the run is not what followed in the copy"
        return self.part(changed, recorded=message, given=mine.message, cause=mine.cause)

    def extra(self, given: Given) -> FoundDifferenceError:
        """Return what says that the copy did more than the run."""
        what = "the copy of {} gives a command that was not given in the run"
        if not isinstance(given.message, _GIVEN):
            what = "something followed in the copy of {} that did not in the run"
        return self.part(what, given=given.message, cause=given.cause)

    def check_nothing_is_left(self) -> None:
        """Check that the run did all that the copy has done.

        Raises:
            FoundDifferenceError: If not.
        """
        if self.raised:
            cause, error = self.raised[0]
            owner = error.strategy_id if isinstance(error, StrategyError) else ""
            what = f"the copy of {{}} raised {type(error.__cause__ or error).__name__} at"
            what += f" {format_ns(cause.ts)}, the run did not"
            raise self.part(what, given=str(error), cause=cause, owner=owner, error=error)
        left = [given for name in _ORDERED if (given := self.copy.channels[name].first) is not None]
        if left:
            raise self.extra(min(left, key=lambda one: one.cause.number))

    def check_derived(self) -> None:
        """Check that all that followed in the copy has followed in the run.

        Raises:
            FoundDifferenceError: If not.
        """
        if self.derived:
            given = self.derived[0]
            what = "something followed in the copy of {} that did not in the run"
            raise self.part(what, given=given.message, cause=given.cause)


_COMMANDS = (
    *(c.SubmitOrder, c.SubmitOrderList, c.ModifyOrder, c.CancelOrder, c.CancelAllOrders),
    *(c.QueryOrder, c.Subscribe, c.Unsubscribe, c.RequestData),
)
_GIVEN = (*_COMMANDS, Signal, CustomData)


def owner_of(message: Any) -> str:
    """Return the name of the strategy that a message is of; empty where it is of none."""
    found = getattr(message, "strategy_id", None) or getattr(message, "component_id", None)
    return str(found or "")


def _ahead(steps: Steps, record: JournalRecord) -> Iterator[Any]:
    """Yield the messages of the same channel that come next."""
    for index in range(_AHEAD):
        step = steps.peek(index)
        if step is None:
            return
        if step.record is not None and step.record.kind is record.kind:
            yield step.record.message


def _fields(recorded: Any, given: Any) -> Iterator[Any]:
    if type(recorded) is type(given) and recorded is not None and not isinstance(recorded, str):
        yield from fields_between(recorded, given)

"""What a copy of a core has around it: a clock, channels and clients that nothing goes through.

The clock stands at the time of the record that is followed, and its timers fall due when the record
of that comes. Clients send nothing and say what they said in the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn

from workbench.engines.clients import DataClient, ExecutionClient, VenueState
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    DataKind,
    DataResponse,
    ModifyOrder,
    QueryOrder,
    RequestData,
    SubmitOrder,
    SubmitOrderList,
    Subscribe,
    Unsubscribe,
)
from workbench.model.data import BarType
from workbench.model.errors import ClientError
from workbench.model.events import TimeEvent
from workbench.model.identifiers import ClientId, InstrumentId
from workbench.node.journal.circumstances import (
    ClientBars,
    ClientServes,
    FoundDataClient,
    FoundExecutionClient,
)
from workbench.node.journal.records import TradedAccount
from workbench.runtime.channels import Channel, ChannelName, Channels, Signal
from workbench.runtime.clock import NEVER, Clock


class FollowedClock(Clock):
    """A clock that shows what it is told, and whose timers fall due when it is told so.

    Attributes:
        now_ns: What it shows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 0

    def timestamp_ns(self) -> int:
        """Return what it shows."""
        return self.now_ns

    def sample(self) -> None:
        """Do nothing: it stands still."""

    def release(self) -> None:
        """Do nothing: it stands still."""

    @property
    def next_timer(self) -> tuple[str, int] | None:
        """Return name and time of the timer that falls due next."""
        return None if self.next_due == NEVER else (self._heap[0][2].name, self.next_due)

    def due_of(self, name: str) -> int | None:
        """Return when a timer falls due next; None where there is none of that name."""
        timer = self._timers.get(name)
        return None if timer is None else timer.due

    def fall_due(self, event: TimeEvent) -> bool:
        """Let the next timer fall due; return whether it is the one that the event is of."""
        if self.next_timer != (event.name, event.ts_event):
            return False
        self._pop_due(event.ts_init)
        return True


class Cause(NamedTuple):
    """What a message answers: the number and time of a record, and its message or a sentence."""

    number: int
    ts: int
    what: Any


class Given(NamedTuple):
    """A message that the copy put into a channel, and what it answers."""

    cause: Cause
    message: Any


class GivenChannel(Channel):
    """A channel that keeps with each message what it answers.

    Args:
        name: Which of the five it is.
        signal: Told of every message.
        cause: Tells what is handled.
    """

    def __init__(self, name: ChannelName, signal: Signal, cause: Callable[[], Cause]) -> None:
        super().__init__(name, signal)
        self._cause = cause

    def put(self, message: Any) -> None:
        """Append a message."""
        self.queue.append(Given(self._cause(), message))

    @property
    def first(self) -> Given | None:
        """Return the oldest message, which stays."""
        return self.queue[0] if self.queue else None

    @property
    def last(self) -> Given | None:
        """Return the newest message, which stays."""
        return self.queue[-1] if self.queue else None


def given_channels(cause: Callable[[], Cause]) -> dict[ChannelName, GivenChannel]:
    """Return five channels that share a signal."""
    signal = Signal()
    return {name: GivenChannel(name, signal, cause) for name in ChannelName}


def as_channels(given: dict[ChannelName, GivenChannel]) -> Channels:
    """Return them as what a dispatcher takes from."""
    return Channels(*(given[name] for name in ChannelName))


class Answers:
    """What data clients said in the run."""

    def __init__(self) -> None:
        self._serves: dict[tuple[Any, ...], bool] = {}
        self._bars: dict[tuple[Any, ...], tuple[BarType, ...]] = {}
        self._responses: dict[int, DataResponse] = {}

    def take(self, message: Any) -> None:
        """Take what was recorded; what is no answer is left alone."""
        if isinstance(message, ClientServes):
            asked = message.kind, message.instrument_id, message.bar_type, message.topic
            self._serves[message.client_id, *asked] = message.answer
        elif isinstance(message, ClientBars):
            self._bars[message.client_id, message.instrument_id] = message.bar_types
        elif isinstance(message, DataResponse):
            self._responses[message.request_id] = message

    def serves(self, client_id: ClientId, *asked: Any) -> bool:
        """Return whether a client has such data; one that was never asked has not."""
        return self._serves.get((client_id, *asked), False)

    def bar_types(self, client_id: ClientId, instrument_id: InstrumentId) -> tuple[BarType, ...]:
        """Return a client's bars."""
        return self._bars.get((client_id, instrument_id), ())

    def response(self, request_id: int) -> DataResponse | None:
        """Return what was answered at once, None where the answer came later."""
        return self._responses.pop(request_id, None)


class FollowedDataClient(DataClient):
    """Says what a data client of the run said.

    Args:
        found: The client.
        answers: What it said.
    """

    def __init__(self, found: FoundDataClient, answers: Answers) -> None:
        self.client_id = found.client_id
        self.venues = None if found.venues is None else frozenset(found.venues)
        self._answers = answers

    async def connect(self) -> None:
        """Refuse."""
        _refuse(self.client_id)

    async def disconnect(self) -> None:
        """Refuse."""
        _refuse(self.client_id)

    def serves(
        self,
        kind: DataKind,
        instrument_id: InstrumentId,
        bar_type: BarType | None = None,
        topic: str = "",
    ) -> bool:
        """Return what was answered in the run."""
        return self._answers.serves(self.client_id, kind, instrument_id, bar_type, topic)

    def bar_types(self, instrument_id: InstrumentId) -> Iterable[BarType]:
        """Return what was answered in the run."""
        return self._answers.bar_types(self.client_id, instrument_id)

    def subscribe(self, command: Subscribe) -> None:
        """Do nothing: what came is recorded."""

    def unsubscribe(self, command: Unsubscribe) -> None:
        """Do nothing: what came is recorded."""

    def request(self, command: RequestData) -> DataResponse | None:
        """Return what was answered at once."""
        return self._answers.response(command.request_id)


class FollowedExecutionClient(ExecutionClient):
    """Stands for the client of an account; nothing leaves, and what came is recorded.

    Args:
        traded: The account.
    """

    def __init__(self, traded: TradedAccount) -> None:
        self.client_id, self.venue = traded.client_id, traded.venue
        self.account_id, self.order_management = traded.account_id, traded.order_management
        self.is_simulated = traded.is_simulated
        self._session: Any = None

    def become(self, found: FoundExecutionClient) -> None:
        """Take over what it was able to do."""
        self.capabilities, self._session = found.capabilities, found.session

    def day_ends(self, now_ns: int) -> int:
        """Return when DAY orders end."""
        if self._session is None:
            return super().day_ends(now_ns)
        return self._session.next_close(now_ns) + 1

    async def connect(self) -> None:
        """Refuse."""
        _refuse(self.client_id)

    async def disconnect(self) -> None:
        """Refuse."""
        _refuse(self.client_id)

    async def venue_state(self) -> VenueState:
        """Refuse."""
        _refuse(self.client_id)

    def submit_order(self, command: SubmitOrder) -> None:
        """Do nothing."""

    def submit_order_list(self, command: SubmitOrderList) -> None:
        """Do nothing."""

    def modify_order(self, command: ModifyOrder) -> None:
        """Do nothing."""

    def cancel_order(self, command: CancelOrder) -> None:
        """Do nothing."""

    def cancel_all_orders(self, command: CancelAllOrders) -> None:
        """Do nothing."""

    def query_order(self, command: QueryOrder) -> None:
        """Do nothing."""


def _refuse(client_id: ClientId) -> NoReturn:
    raise ClientError(f"{client_id} is a client of a run that is over; nothing connects to it")

"""Subscriptions to bars: at the client or made inside, with what was before, joined without a seam.

Whoever asks for history gets it before its first bar, through `take_history`. What comes while the
answer is awaited is kept:

- Bars that nobody had yet and that are made inside: the messages they are made of are kept, joined
  with the history (each once), and the bar that was in progress goes on from there.
- Bars that come already: the subscriber's own bars are kept, and those that the history held are
  left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workbench.engines.aggregation_source import (
    BarSource,
    MadeBars,
    Window,
    source_of,
    window_of,
)
from workbench.engines.clients import DataClient
from workbench.engines.feeds import DATA_ENGINE, DataSubscriber, Feed, Feeds
from workbench.model.commands import (
    BarMaking,
    DataKind,
    DataResponse,
    RequestData,
    Subscribe,
)
from workbench.model.data import Bar, BarType
from workbench.model.errors import (
    CALLBACK_FAILURES,
    ClientError,
    ConfigError,
    StrategyError,
)
from workbench.model.events import TimeEvent
from workbench.runtime.clock import Clock

Join = Callable[[DataResponse], None]

HISTORY_TIMEOUT_NS = 30 * 10**9


class BarSubscriptions:
    """Begins bars, and joins their history to them.

    Args:
        feeds: All feeds.
        clock: For the bars that are made inside.
        publish: Takes each bar that is made inside.
        answer: Takes the responses that a client gives at once.
        timeout_ns: After how long without an answer bars go on without history.
    """

    def __init__(
        self,
        feeds: Feeds,
        clock: Clock,
        publish: Callable[[Any], None],
        answer: Callable[[DataResponse], None],
        timeout_ns: int = HISTORY_TIMEOUT_NS,
    ) -> None:
        self._timeout_ns = timeout_ns
        self._feeds = feeds
        self._clock = clock
        self._publish = publish
        self._answer = answer
        self._joins: dict[int, Join] = {}

    def subscribe(self, command: Subscribe, subscriber: DataSubscriber, client: DataClient) -> None:
        """Begin bars for a subscriber, with what was before where it asked for that.

        Raises:
            ClientError: If they are made in another way already, or their history cannot be had.
        """
        bar_type = bar_type_of(command)
        feed = self._feeds.feed(DataKind.BARS, bar_type)
        made: MadeBars | None = feed.made
        if made is not None and command.making not in (None, made.making):
            raise ClientError(
                f"{command.component_id} asked for {bar_type} as {command.making!r}, but they are"
                f" made as {made.making!r} already; ask for them in one way"
            )
        wants_history = command.request_id is not None
        if feed.add(subscriber):
            made = self._begin(feed, command, client)
            if made is not None and wants_history:
                made.await_history()
                self._ask_to_seed(made, command, client, feed, subscriber)
                return
        if wants_history:
            self._ask_to_join(command, client, feed, subscriber)

    def _begin(self, feed: Any, command: Subscribe, client: DataClient) -> MadeBars | None:
        """Begin bars nobody took before: at the client, or inside."""
        bar_type = bar_type_of(command)
        source = source_of(bar_type, client)
        if source is None:
            feed.source = client, command
            client.subscribe(command)
            return None
        made = self._made(bar_type, source, command.making)
        feed.made = made
        if made.begin():
            below = Subscribe(
                component_id=DATA_ENGINE,
                kind=source.kind,
                instrument_id=source.instrument_id,
                bar_type=source.bar_type,
                client_id=command.client_id,
                ts_init=command.ts_init,
            )
            if source.kind is DataKind.BARS:
                self._begin(made.taken, below, client)
            else:
                made.taken.source = client, below
                client.subscribe(below)
        return made

    def _made(self, bar_type: BarType, source: BarSource, making: BarMaking | None) -> MadeBars:
        taken = self._feeds.feed(source.kind, source.bar_type or source.instrument_id)
        return MadeBars(bar_type, source, making or BarMaking(), self._clock, self._publish, taken)

    def _ask_to_seed(
        self,
        made: MadeBars,
        command: Subscribe,
        client: DataClient,
        feed: Feed,
        subscriber: DataSubscriber,
    ) -> None:
        """Ask for what the bars are made of; what comes meanwhile is kept."""
        window = self._window(command, client, made.source)

        def join(response: DataResponse) -> None:
            if feed.made is not made:
                return
            bars = made.seed(response.data, window, command.ts_init)
            if subscriber in feed.subscribers:
                _give_history(subscriber, _of_bars(response, made.bar_type, bars))
            made.tell_seeded()

        self._ask(command, client, made.source, window, join)

    def _ask_to_join(
        self, command: Subscribe, client: DataClient, feed: Feed, subscriber: DataSubscriber
    ) -> None:
        """Ask for the history of bars that come already; the subscriber's own wait meanwhile."""
        bar_type = bar_type_of(command)
        made = feed.made
        if made is None:
            source = BarSource(DataKind.BARS, command.instrument_id, bar_type)
            start = None if command.history_ns is None else command.ts_init - command.history_ns
            window = Window(start, limit=command.history_bars)
        else:
            source, window = made.source, self._window(command, client, made.source)
        waiting: list[Bar] = []
        feed.hold(subscriber, waiting.append)
        # What is made from here on is kept; before that is the history's.
        handed_out = feed.market.bars.get(bar_type)
        end = made.end(handed_out) if made is not None and made.is_seeded else None

        def join(response: DataResponse) -> None:
            if feed.made is not made or subscriber not in feed.subscribers:
                return
            if made is None:
                last = response.data[-1].ts_event if response.data else -1
                _open(feed, subscriber, waiting, response, lambda bar: bar.ts_event > last)
            else:
                made.when_seeded(lambda: join_made(response))

        def join_made(response: DataResponse) -> None:
            if made is None:
                return
            last = end or made.past_end
            bars = made.past(response.data, window, last.cut.ts, last.cut)
            history = _of_bars(response, bar_type, bars)
            _open(feed, subscriber, waiting, history, _comes_after(last.coming))

        self._ask(command, client, source, window, join)

    def _window(self, command: Subscribe, client: DataClient, source: BarSource) -> Window:
        """Return what of a source is needed for the history a subscription asks for."""
        now = command.ts_init
        finer = source.bar_type
        if finer is not None and source_of(finer, client) is not None:
            raise ClientError(
                f"{command.component_id} asked for the history of {command.bar_type}; they are made"
                f" of {finer}, which are made inside too. Make them of quotes or trades instead"
            )
        start = None if command.history_ns is None else now - command.history_ns
        bar_type = bar_type_of(command)
        return window_of(bar_type, source, now, start=start, bars=command.history_bars)

    def request(self, command: RequestData, client: DataClient) -> bool:
        """Answer a request for bars that are made inside; return whether it is one."""
        bar_type = command.bar_type
        source = None if bar_type is None else source_of(bar_type, client)
        if bar_type is None or source is None:
            return False
        now = command.ts_init
        window = window_of(
            bar_type, source, now, start=command.start, end=command.end, bars=command.limit
        )
        made = self._made(bar_type, source, None)

        def join(response: DataResponse) -> None:
            ended = now if command.end is None else min(now, command.end)
            bars = made.past(response.data, window, ended - 1)
            self._answer(_of_bars(response, bar_type, bars))

        self._ask(command, client, source, window, join)
        return True

    def _ask(
        self,
        command: Subscribe | RequestData,
        client: DataClient,
        source: BarSource,
        window: Window,
        join: Join,
    ) -> None:
        request_id = command.request_id or 0
        self._joins[request_id] = join
        answer = client.request(
            RequestData(
                component_id=command.component_id,
                kind=source.kind,
                instrument_id=source.instrument_id,
                bar_type=source.bar_type,
                client_id=command.client_id,
                request_id=request_id,
                start=window.start,
                end=window.end,
                limit=window.limit,
                ts_init=command.ts_init,
            )
        )
        if answer is not None:
            self._answer(answer)
            return
        timeout_ns = self._timeout_ns

        def give_up(event: TimeEvent) -> None:
            self._answer(
                DataResponse(
                    request_id=request_id,
                    component_id=command.component_id,
                    kind=source.kind,
                    instrument_id=source.instrument_id,
                    bar_type=source.bar_type,
                    data=(),
                    error=f"{client.client_id} did not answer within {timeout_ns / 1e9:g} s",
                    ts_event=event.ts_event,
                    ts_init=event.ts_init,
                )
            )

        self._clock.set_alert(_alert(request_id), self._clock.timestamp_ns() + timeout_ns, give_up)

    def complete(self, response: DataResponse) -> bool:
        """Take a client's answer; return whether it was asked for here."""
        join = self._joins.pop(response.request_id, None)
        if join is None:
            return False
        self._clock.cancel_timer(_alert(response.request_id))
        join(response)
        return True


def _alert(request_id: int) -> str:
    return f"history:{request_id}"


def _open(
    feed: Feed,
    subscriber: DataSubscriber,
    waiting: list[Bar],
    response: DataResponse,
    is_new: Callable[[Bar], bool],
) -> None:
    """Give a subscriber its history, then what came since; from now on it takes bars itself.

    `is_new` tells whether a bar is not in the history.
    """
    _give_history(subscriber, response)
    for bar in waiting:
        if is_new(bar):
            feed.hand(subscriber, bar)

    def take(bar: Bar) -> None:
        # Until something newer comes, what comes may be in the history.
        if is_new(bar):
            feed.release(subscriber)(bar)

    feed.hold(subscriber, take)


def _comes_after(coming: Bar | None) -> Callable[[Bar], bool]:
    """Return what tells bars that come after one, which itself may be still to come."""
    is_past = coming is None

    def is_new(bar: Bar) -> bool:
        nonlocal is_past
        if bar is coming:
            is_past = True
            return False
        return is_past

    return is_new


def _give_history(subscriber: DataSubscriber, response: DataResponse) -> None:
    try:
        subscriber.take_history(response)
    except CALLBACK_FAILURES as error:
        raise StrategyError(
            subscriber.component_id, "on_historical_data", response, error
        ) from error


def bar_type_of(command: Subscribe) -> BarType:
    """Return the type of the bars a command is about.

    Raises:
        ConfigError: If it names none.
    """
    bar_type = command.bar_type
    if bar_type is None:
        raise ConfigError(f"a subscription to bars needs its bar type; got {command!r}")
    return bar_type


def _of_bars(response: DataResponse, bar_type: BarType, bars: tuple[Bar, ...]) -> DataResponse:
    """Return the answer with bars that were made of what the client answered."""
    return DataResponse(
        request_id=response.request_id,
        component_id=response.component_id,
        kind=DataKind.BARS,
        instrument_id=bar_type.instrument_id,
        bar_type=bar_type,
        data=bars,
        error=response.error,
        ts_event=response.ts_event,
        ts_init=response.ts_init,
    )

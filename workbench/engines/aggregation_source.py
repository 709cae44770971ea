"""What bars that are made inside are made from, and what history that takes.

The rule, the same in every set-up, for a client that does not serve a series of bars itself:

1. what the bar type names (`"5-minute-last@trades"`),
2. else trades for bars of the last price, quotes for those of bid, ask and mid,
3. else the coarsest finer bars the client has of which they can be made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from workbench.engines.aggregation import aggregator_of, coarsest_source, intake
from workbench.engines.aggregation_building import BarAggregator, Cut, Emit
from workbench.engines.aggregation_counting import CountingBars
from workbench.engines.aggregation_intervals import intervals_of
from workbench.engines.clients import DataClient
from workbench.engines.feeds import Feed, Route
from workbench.model.commands import BarMaking, DataKind
from workbench.model.data import Bar, BarSpec, BarType, Quote, Trade
from workbench.model.enums import BarAggregation, PriceType
from workbench.model.errors import ClientError
from workbench.model.identifiers import InstrumentId
from workbench.runtime.clock import Clock

_DAYS = {BarAggregation.WEEK: 7, BarAggregation.MONTH: 31}
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class BarSource:
    """The messages bars are made from; `bar_type` where these are bars."""

    kind: DataKind
    instrument_id: InstrumentId
    bar_type: BarType | None = None


def source_of(bar_type: BarType, client: DataClient) -> BarSource | None:
    """Return what bars are made from; None where they are left to the client."""
    instrument_id = bar_type.instrument_id
    if bar_type.source:
        finer = bar_type.source_bars
        kind = DataKind.BARS if finer else DataKind(bar_type.source)
        return BarSource(kind, instrument_id, finer)
    if client.serves(DataKind.BARS, instrument_id, bar_type):
        return None
    is_last = bar_type.spec.price_type is PriceType.LAST
    kind = DataKind.TRADES if is_last else DataKind.QUOTES
    if client.serves(kind, instrument_id):
        return BarSource(kind, instrument_id)
    finer = coarsest_source(client.bar_types(instrument_id), bar_type.spec)
    return None if finer is None else BarSource(DataKind.BARS, instrument_id, finer)


@dataclass(frozen=True)
class Window:
    """Which messages of a source are needed, and which bars of them are wanted.

    Attributes:
        start: Messages from then on; None for all.
        end: Messages and bars before then; None for all.
        limit: The newest so many messages.
        bars: The newest so many bars; None for all that begin within the window.
    """

    start: int | None = None
    end: int | None = None
    limit: int | None = None
    bars: int | None = None

    def wanted(self, bars: Sequence[Bar]) -> tuple[Bar, ...]:
        """Return the bars that are wanted of those that were made."""
        within = [bar for bar in bars if self.end is None or bar.ts_event < self.end]
        return tuple(within if self.bars is None else within[max(0, len(within) - self.bars) :])


def window_of(
    bar_type: BarType,
    source: BarSource,
    now_ns: int,
    *,
    start: int | None = None,
    end: int | None = None,
    bars: int | None = None,
) -> Window:
    """Return what history whole bars take.

    Args:
        bar_type: The bars.
        source: What they are made from.
        now_ns: The time.
        start: No bar begins before then.
        end: Every bar is stamped before then.
        bars: The newest so many.

    Raises:
        ClientError: For a number of bars of which nobody can say how much history they take.
    """
    spec = bar_type.spec
    until = now_ns if end is None else min(now_ns, end)
    if not spec.is_timed:
        if bars is None:
            return Window(start, end)
        if spec.aggregation is not BarAggregation.TICK:
            raise ClientError(
                f"how much history {bars} bars of {bar_type} take is not known: ask for a time,"
                " such as history=datetime.timedelta(hours=1)"
            )
        return Window(start, end, limit=(bars + 1) * spec.step, bars=bars)
    if bars is not None and source.bar_type is not None:
        return Window(start, end, limit=(bars + 1) * _ratio(source.bar_type.spec, spec), bars=bars)
    intervals = intervals_of(spec)
    begin = None if start is None else intervals.close_of(start)
    if bars is not None:
        first = intervals.back(intervals.start_of(intervals.close_of(until)), bars)
        begin = first if begin is None else max(begin, first)
    # What is stamped at the boundary belongs to the bar before.
    return Window(None if begin is None else begin + 1, end, bars=bars)


def _ratio(finer: BarSpec, coarser: BarSpec) -> int:
    days = _DAYS.get(coarser.aggregation)
    length = coarser.interval_ns if days is None else days * coarser.step * _DAY_NS
    return -(-(length or 0) // (finer.interval_ns or 1))


@dataclass(frozen=True)
class BarsEnd:
    """Where bars of the past end that are joined to those that are made.

    Attributes:
        cut: The place in what they are made of.
        coming: The last one of those of the past that were made but not handed out yet, if any.
    """

    cut: Cut
    coming: Bar | None = None


class MadeBars:
    """Bars that are made inside, of one type.

    Args:
        bar_type: What is made.
        source: From what.
        making: How.
        clock: For the bars' times, and for timers.
        publish: Takes each bar that is made live.
        taken: The feed of the source.

    Attributes:
        aggregator: What makes them.
        route: What takes the source's messages; changes.
        is_seeded: Whether it has had the history it waits for; True where it waits for none.
        past_end: Where the bars of the past ended, and those that are published began.
    """

    def __init__(
        self,
        bar_type: BarType,
        source: BarSource,
        making: BarMaking,
        clock: Clock,
        publish: Emit,
        taken: Feed,
    ) -> None:
        self.bar_type = bar_type
        self.source = source
        self.making = making
        self.is_seeded = True
        self._clock = clock
        self._publish = publish
        self._latest: Bar | None = None
        self.aggregator = self._aggregator(self._hand_on)
        self._intake = intake(self.aggregator)
        self.past_end = BarsEnd(self.aggregator.cut)
        self.taken = taken
        self.route = self._intake
        self._waiting: list[Any] = []
        self._then: list[Callable[[], None]] = []

    def _aggregator(self, emit: Emit) -> BarAggregator:
        return aggregator_of(
            self.bar_type,
            self._clock,
            emit,
            self.making,
            from_bars=self.source.kind is DataKind.BARS,
        )

    def _hand_on(self, bar: Bar) -> None:
        self._latest = bar
        self._publish(bar)

    def end(self, handed_out: Bar | None) -> BarsEnd:
        """Return where the bars end that are made by now.

        Args:
            handed_out: The last one that subscribers had.
        """
        return BarsEnd(self.aggregator.cut, None if self._latest is handed_out else self._latest)

    def begin(self) -> bool:
        """Take the source's messages from now on; return whether nobody did before."""
        return self.taken.attach(self.route)

    def close(self) -> None:
        """Make no more bars."""
        self.aggregator.close()

    def _reroute(self, route: Route) -> None:
        self.taken.exchange(self.route, route)
        self.route = route

    def reset(self) -> None:
        """Take note that messages of the source were missed."""
        self.aggregator.reset()

    # History

    def await_history(self) -> None:
        """Keep what comes until the history is there."""
        self.is_seeded = False
        self._waiting = []
        self._reroute(self._waiting.append)

    def when_seeded(self, then: Callable[[], None]) -> None:
        """Call back once the history is there, or at once."""
        if self.is_seeded:
            then()
        else:
            self._then.append(then)

    def seed(self, history: Sequence[Any], window: Window, asked_ns: int) -> tuple[Bar, ...]:
        """Make the bars of the past, and go on with what came meanwhile and comes from now on.

        Args:
            history: Messages of the source, in time order; may overlap what came meanwhile.
            window: What was asked for.
            asked_ns: When; bars that ended by then are of the past, later ones are published.

        Returns:
            The bars of the past.
        """
        now = self._clock.timestamp_ns()
        past: list[Bar] = []

        def sort(bar: Bar) -> None:
            if bar.ts_event <= asked_ns:
                self.past_end = BarsEnd(aggregator.cut)
                past.append(bar)
            else:
                self._hand_on(bar)

        known = _Known(history)
        aggregator = self.aggregator
        aggregator.begin(_since(history, window, asked_ns))
        self.past_end = BarsEnd(aggregator.cut)
        aggregator.emit = sort
        for message in known.joined(self._waiting):
            self._intake(message)
        aggregator.go_live(now)
        aggregator.emit = self._hand_on
        self._reroute(self._unless_known(known) if history else self._intake)
        return window.wanted(past)

    def tell_seeded(self) -> None:
        """Call back those that waited for the history."""
        self.is_seeded = True
        then, self._then = self._then, []
        for callback in then:
            callback()

    def _unless_known(self, known: _Known) -> Route:
        """Return what leaves out messages that the history held already."""

        def take(message: Any) -> None:
            if message.ts_event > known.last:
                self._reroute(self._intake)
            elif known.take(message):
                return
            self._intake(message)

        return take

    def past(
        self, history: Sequence[Any], window: Window, asked_ns: int, cut: Cut | None = None
    ) -> tuple[Bar, ...]:
        """Return the bars of a stretch of history; the bar being made is left as it is.

        Args:
            history: Messages of the source, in time order.
            window: What was asked for.
            asked_ns: Intervals that ended by then are over.
            cut: Where the last of the bars ends; without it, where they end is of no account.
        """
        made: list[Bar] = []
        aggregator = self._aggregator(made.append)
        aggregator.begin(_since(history, window, asked_ns))
        take = intake(aggregator)
        first = 0
        if cut is not None:
            history = history[: bisect_right(history, cut.ts, key=_time)]
            if isinstance(aggregator, CountingBars):
                counted, history = self._until(history, cut)
                # The first bar is short by what makes the last one end at the cut.
                first = 1 if counted else 0
                aggregator.begin_within(counted)
        for message in history:
            take(message)
        aggregator.end_by(asked_ns)
        return window.wanted(made[first:])

    def _until(self, history: Sequence[Any], cut: Cut) -> tuple[Decimal, Sequence[Any]]:
        """Return what of a history is before a cut, and what a bar that is whole there lacks it.

        The history ends with the stamp of the cut, but may hold more messages of that stamp.
        """
        aggregator = self._aggregator(_drop)
        assert isinstance(aggregator, CountingBars)
        take = intake(aggregator)
        until: list[Any] = []
        for message in history:
            take(message)
            until.append(message)
            if aggregator.ts == cut.ts and aggregator.nth == cut.nth:
                break
        lacks = cut.over - aggregator.counted
        return lacks if lacks >= 0 else lacks + self.bar_type.spec.step, until


def _drop(_: Bar) -> None:
    """Take a bar nobody wants."""


def _since(history: Sequence[Any], window: Window, asked_ns: int) -> int:
    if not history:
        return asked_ns
    first: int = history[0].ts_event
    return first if window.start is None else window.start


class _Known:
    """Which messages a history holds, to leave out the ones that come live as well."""

    def __init__(self, history: Sequence[Any]) -> None:
        self.last: int = history[-1].ts_event if history else -1
        self._history = history
        self._keys = Counter(map(_key, history))

    def take(self, message: Any) -> bool:
        """Return whether a message is in the history; each one there stands for one here."""
        key = _key(message)
        if self._keys.get(key, 0) <= 0:
            return False
        self._keys[key] -= 1
        return True

    def joined(self, waiting: Sequence[Any]) -> list[Any]:
        """Return the history and what came meanwhile, each message once, in time order."""
        fresh = [message for message in waiting if not self.take(message)]
        joined = [*self._history, *fresh]
        if fresh and fresh[0].ts_event < self.last:
            joined.sort(key=_time)
        return joined


def _time(message: Any) -> int:
    return message.ts_event


def _key(message: Quote | Trade | Bar) -> object:
    """Return what makes a message the same as another: a trade's id, a quote's or bar's values."""
    if isinstance(message, Trade):
        return message.trade_id or (message.ts_event, message.price, message.size)
    if isinstance(message, Quote):
        return (message.ts_event, message.bid, message.ask, message.bid_size, message.ask_size)
    return message.ts_event

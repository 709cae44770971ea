"""Feeds: one kind of data of one instrument (or bar type, or topic), and who takes it.

A feed's `process` is the whole path of a message: into the cache, then to each subscriber in the
order they came, then to the aggregators that make bars of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from workbench.engines.cache import Cache
from workbench.engines.market import Market
from workbench.model.commands import DataKind, DataResponse, Subscribe, Unsubscribe
from workbench.model.data import (
    Bar,
    BarType,
    DataGap,
    Quote,
    Trade,
)
from workbench.model.errors import CALLBACK_FAILURES, StrategyError
from workbench.model.identifiers import ComponentId, InstrumentId
from workbench.model.instruments import Instrument

if TYPE_CHECKING:
    from workbench.engines.aggregation_source import MadeBars
    from workbench.engines.clients import DataClient

Route = Callable[[Any], None]
FeedKey = InstrumentId | BarType | str | tuple[str, InstrumentId]
"""An instrument, a bar type, a signal's name, or a topic of custom data and an instrument."""
DATA_ENGINE = ComponentId("data-engine")
"""Who subscribes to what bars are made of."""
ORDER_EMULATOR = ComponentId("order-emulator")
"""Who takes what triggers are compared with, before anybody else."""


class DataSubscriber(Protocol):
    """Who can subscribe: an actor or strategy."""

    component_id: ComponentId

    @property
    def is_running(self) -> bool:
        """Return whether it was started and has not stopped."""
        ...

    def route_of(self, callback: str, key: FeedKey) -> Route:
        """Return what takes the messages of a feed: the callback, after what it feeds first."""
        ...

    def on_instrument(self, instrument: Instrument) -> None:
        """Take an instrument's new definition."""

    def on_historical_data(self, response: DataResponse) -> None:
        """Take the answer to a request."""

    def take_history(self, response: DataResponse) -> None:
        """Take what was before the first bar of a subscription."""

    def on_data_gap(self, gap: DataGap) -> None:
        """Take the news that messages were dropped."""


def deliver(
    subscribers: list[DataSubscriber], callback: str, message: DataResponse | DataGap | Instrument
) -> None:
    """Call a callback of each; an exception comes out with its owner's name and the message."""
    for subscriber in subscribers:
        try:
            getattr(subscriber, callback)(message)
        except CALLBACK_FAILURES as error:
            raise StrategyError(subscriber.component_id, callback, message, error) from error


class Feed:
    """One kind of data of one instrument, bar type or topic, and who takes it.

    Attributes:
        market: Where the latest message is kept.
        key: The instrument, bar type or topic.
        source: What began it at the client; None while nobody takes it, or it is made inside.
        made: What makes its bars inside, if it is that.
        subscribers: In the order they came.
        handler: What takes a message: nobody, the one subscriber's callback, or all of them.
    """

    __slots__ = (
        "_first",
        "_held",
        "_listeners",
        "_others",
        "_pairs",
        "_routes",
        "handler",
        "key",
        "made",
        "market",
        "source",
        "subscribers",
    )
    callback: ClassVar[str]

    def __init__(self, market: Market, key: FeedKey) -> None:
        self.market = market
        self.key = key
        self.source: tuple[DataClient, Subscribe] | None = None
        self.made: MadeBars | None = None
        self.subscribers: list[DataSubscriber] = []
        self.handler: Route = _to_nobody
        self._first: Route | None = None
        self._others: Route = _to_nobody
        self._held: list[DataSubscriber] = []
        self._routes: tuple[Route, ...] = ()
        self._pairs: tuple[tuple[DataSubscriber, Route], ...] = ()
        self._listeners: tuple[Route, ...] = ()

    @property
    def is_taken(self) -> bool:
        """Return whether anybody takes it."""
        return bool(self._routes or self._listeners)

    def add(self, subscriber: DataSubscriber) -> bool:
        """Add a subscriber; return whether nobody took it before."""
        if subscriber in self.subscribers:
            return False
        is_first = not self.is_taken
        self.subscribers.append(subscriber)
        self._routes = (*self._routes, subscriber.route_of(self.callback, self.key))
        self._choose()
        return is_first

    def remove(self, subscriber: DataSubscriber) -> bool:
        """Remove a subscriber; return whether it was the last that took it."""
        if subscriber not in self.subscribers:
            return False
        index = self.subscribers.index(subscriber)
        del self.subscribers[index]
        if subscriber in self._held:
            self._held.remove(subscriber)
        self._routes = self._routes[:index] + self._routes[index + 1 :]
        self._choose()
        return not self.is_taken

    def hold(self, subscriber: DataSubscriber, route: Route) -> None:
        """Let a route of ours take a subscriber's messages, until they are released."""
        if subscriber not in self._held:
            self._held.append(subscriber)
        self._redirect(subscriber, route)

    def release(self, subscriber: DataSubscriber) -> Route:
        """Let a subscriber take its messages itself again; return what takes them."""
        if subscriber in self._held:
            self._held.remove(subscriber)
        own = subscriber.route_of(self.callback, self.key)
        self._redirect(subscriber, own)
        return own

    def refresh(self, subscriber: DataSubscriber) -> None:
        """Take note that a subscriber's route has changed."""
        if subscriber not in self._held:
            self._redirect(subscriber, subscriber.route_of(self.callback, self.key))

    def _redirect(self, subscriber: DataSubscriber, route: Route) -> None:
        if subscriber in self.subscribers:
            index = self.subscribers.index(subscriber)
            self._routes = (*self._routes[:index], route, *self._routes[index + 1 :])
            self._choose()

    def hand(self, subscriber: DataSubscriber, message: Any) -> None:
        """Hand one subscriber a message that was kept for it."""
        try:
            subscriber.route_of(self.callback, self.key)(message)
        except CALLBACK_FAILURES as error:
            raise StrategyError(subscriber.component_id, self.callback, message, error) from error

    def attach(self, listener: Route) -> bool:
        """Add an aggregator's route; return whether nobody took it before."""
        is_first = not self.is_taken
        self._listeners = (*self._listeners, listener)
        self._choose()
        return is_first

    def exchange(self, listener: Route, other: Route) -> None:
        """Put another route of an aggregator in the place of one."""
        self._listeners = tuple(other if one == listener else one for one in self._listeners)

    def detach(self, listener: Route) -> bool:
        """Remove an aggregator's route; return whether nobody takes it any more."""
        self._listeners = tuple(one for one in self._listeners if one != listener)
        self._choose()
        return not self.is_taken

    def put_first(self, route: Route | None) -> None:
        """Let a route take each message before all others; None: no longer.

        It does not make the feed one that is taken: it hears of what others asked for.
        """
        if route is not self._first:
            self._first = route
            self._choose()

    def _choose(self) -> None:
        if len(self._routes) > 1 or self._listeners:
            self._pairs = tuple(zip(self.subscribers, self._routes, strict=True))
            self.handler = self._to_all
        else:
            self.handler = self._routes[0] if self._routes else _to_nobody
        if self._first is not None:
            self._others = self.handler
            self.handler = self._to_first

    def _to_first(self, message: Any) -> None:
        first = self._first
        assert first is not None
        try:
            first(message)
        except CALLBACK_FAILURES as error:
            raise StrategyError(ORDER_EMULATOR, self.callback, message, error) from error
        self._others(message)

    def _to_all(self, message: Any) -> None:
        for subscriber, route in self._pairs:
            try:
                route(message)
            except CALLBACK_FAILURES as error:
                raise StrategyError(
                    subscriber.component_id, self.callback, message, error
                ) from error
        try:
            for listener in self._listeners:
                listener(message)
        except CALLBACK_FAILURES as error:
            raise StrategyError(DATA_ENGINE, "aggregation", message, error) from error

    def deliver(self, message: Any) -> None:
        """Hand a message on; an exception comes out with its owner's name and the message."""
        try:
            self.handler(message)
        except StrategyError:
            raise
        except CALLBACK_FAILURES as error:
            raise self.blamed(message, error) from error

    def blamed(self, message: Any, error: BaseException) -> StrategyError:
        """Return what the one subscriber raised, with its name."""
        return StrategyError(self.subscribers[0].component_id, self.callback, message, error)

    def process(self, message: Any) -> None:
        """Handle a message."""
        self.deliver(message)


def _to_nobody(_: Any) -> None:
    return None


class QuoteFeed(Feed):
    """The quotes of an instrument."""

    __slots__ = ()
    callback = "on_quote"

    def process(self, message: Quote) -> None:
        """Handle a quote."""
        self.market.quote = message
        # `deliver`, written out here and for bars: a call costs a quarter of what a quote may.
        try:
            self.handler(message)
        except StrategyError:
            raise
        except CALLBACK_FAILURES as error:
            raise self.blamed(message, error) from error


class TradeFeed(Feed):
    """The trades of an instrument."""

    __slots__ = ()
    callback = "on_trade"

    def process(self, message: Trade) -> None:
        """Handle a trade."""
        self.market.trade = message
        self.deliver(message)


class BarFeed(Feed):
    """The bars of a type."""

    __slots__ = ()
    callback = "on_bar"

    def process(self, message: Bar) -> None:
        """Handle a bar."""
        self.market.bars[message.bar_type] = message
        try:
            self.handler(message)
        except StrategyError:
            raise
        except CALLBACK_FAILURES as error:
            raise self.blamed(message, error) from error


class KeptFeed(Feed):
    """What is rarer: the newest is kept in the market's attribute `slot`."""

    __slots__ = ()
    slot: ClassVar[str]

    def process(self, message: Any) -> None:
        """Keep a message and hand it on."""
        setattr(self.market, self.slot, message)
        self.deliver(message)


class MarkPriceFeed(KeptFeed):
    """The mark prices of an instrument."""

    __slots__ = ()
    callback = "on_mark_price"
    slot = "mark_price"


class FundingRateFeed(KeptFeed):
    """The funding rates of an instrument."""

    __slots__ = ()
    callback = "on_funding_rate"
    slot = "funding_rate"


class StatusFeed(KeptFeed):
    """The statuses of an instrument."""

    __slots__ = ()
    callback = "on_instrument_status"
    slot = "status"


class CustomFeed(Feed):
    """Custom data of one class, of one instrument or of all."""

    __slots__ = ()
    callback = "on_data"


class SignalFeed(Feed):
    """The signals of one name, or all."""

    __slots__ = ()
    callback = "on_signal"


FEEDS: dict[DataKind, type[Feed]] = {
    DataKind.QUOTES: QuoteFeed,
    DataKind.TRADES: TradeFeed,
    DataKind.BARS: BarFeed,
    DataKind.MARK_PRICES: MarkPriceFeed,
    DataKind.FUNDING_RATES: FundingRateFeed,
    DataKind.INSTRUMENT_STATUS: StatusFeed,
    DataKind.CUSTOM: CustomFeed,
    DataKind.SIGNALS: SignalFeed,
}


class Feeds:
    """All feeds of a node, by kind and key.

    Args:
        cache: Where the latest messages are kept.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._no_market = Market()
        self._feeds: dict[tuple[DataKind, FeedKey], Any] = {}
        self._first: dict[InstrumentId, Mapping[DataKind, Route]] = {}

    def feed(self, kind: DataKind, key: FeedKey) -> Any:
        """Return a feed; made where there is none yet."""
        feed = self._feeds.get((kind, key))
        if feed is None:
            feed = FEEDS[kind](self._market(kind, key), key)
            self._feeds[kind, key] = feed
            if self._first and (first := self._first.get(_instrument_of(key))) is not None:
                feed.put_first(first.get(kind))
        return feed

    def tell_first(
        self, instrument_id: InstrumentId, routes: Mapping[DataKind, Route] | None
    ) -> None:
        """Let routes take all of an instrument's data, by kind, before anybody else; None: none."""
        if routes is None:
            self._first.pop(instrument_id, None)
        else:
            self._first[instrument_id] = routes
        for (kind, key), feed in self._feeds.items():
            if _instrument_of(key) == instrument_id:
                feed.put_first(None if routes is None else routes.get(kind))

    def known(self, kind: DataKind, key: FeedKey) -> Any | None:
        """Return a feed that somebody took once, or None."""
        return self._feeds.get((kind, key))

    def __iter__(self) -> Iterator[Feed]:
        """Iterate over all, in the order they were made."""
        return iter(list(self._feeds.values()))

    def _market(self, kind: DataKind, key: FeedKey) -> Market:
        if isinstance(key, BarType):
            return self._cache.market(key.instrument_id)
        instrument_id = key[1] if isinstance(key, tuple) else key
        if kind is DataKind.SIGNALS or not instrument_id:
            return self._no_market
        return self._cache.market(InstrumentId(instrument_id))

    def end(self, feed: Feed, component_id: ComponentId, now_ns: int) -> None:
        """End a feed that nobody takes any more, where it comes from."""
        made, source = feed.made, feed.source
        feed.made = feed.source = None
        if made is not None:
            made.close()
            if made.taken.detach(made.route):
                self.end(made.taken, DATA_ENGINE, now_ns)
        elif source is not None:
            client, begun = source
            client.unsubscribe(
                Unsubscribe(
                    component_id=component_id,
                    kind=begun.kind,
                    instrument_id=begun.instrument_id,
                    bar_type=begun.bar_type,
                    topic=begun.topic,
                    client_id=begun.client_id,
                    ts_init=now_ns,
                )
            )


def _instrument_of(key: FeedKey) -> InstrumentId:
    if isinstance(key, BarType):
        return key.instrument_id
    return InstrumentId(key[1] if isinstance(key, tuple) else key)

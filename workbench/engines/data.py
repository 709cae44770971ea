"""The data engine: keeps the latest market data and hands each message to its subscribers.

A subscription is resolved once into a feed, whose `process` is the whole path of a quote: into
the cache, then to each handler. The live runner finds the feed by message; a backtest keeps the
feed of each of its streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from workbench.engines.cache import Cache, Market
from workbench.engines.clients import DataClient
from workbench.model.commands import (
    DataCommand,
    DataKind,
    DataResponse,
    RequestData,
    Subscribe,
    Unsubscribe,
)
from workbench.model.data import Bar, BarType, BidAskBar, DataGap, Quote, Trade
from workbench.model.errors import ClientError, ConfigError, StrategyError
from workbench.model.identifiers import ClientId, ComponentId, InstrumentId, Venue, venue_of
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Future, Instrument

Route = Callable[[Any], None]


class DataSubscriber(Protocol):
    """Who can subscribe: an actor or strategy."""

    component_id: ComponentId

    @property
    def is_running(self) -> bool:
        """Return whether it was started and has not stopped."""
        ...

    def on_quote(self, quote: Quote) -> None:
        """Take a quote."""

    def on_trade(self, trade: Trade) -> None:
        """Take a trade."""

    def on_bar(self, bar: Bar) -> None:
        """Take a bar."""

    def on_instrument(self, instrument: Instrument) -> None:
        """Take an instrument's new definition."""

    def on_historical_data(self, response: DataResponse) -> None:
        """Take the answer to a request."""

    def on_data_gap(self, gap: DataGap) -> None:
        """Take the news that messages were dropped."""


def _deliver(
    subscribers: list[DataSubscriber], callback: str, message: DataResponse | DataGap | Instrument
) -> None:
    """Call a callback of each; an exception comes out with its owner's name and the message."""
    for subscriber in subscribers:
        try:
            getattr(subscriber, callback)(message)
        except Exception as error:
            raise StrategyError(subscriber.component_id, callback, message, error) from error


class _Feed:
    """One kind of data of one instrument (or bar type), and who subscribed to it.

    Attributes:
        market: Where the latest message is kept.
        source: What began it at the client; None while nobody is subscribed.
        subscribers: In the order they came.
        handler: What takes a message: nobody, the one subscriber's callback, or all of them.
    """

    __slots__ = ("handler", "handlers", "market", "source", "subscribers")
    callback: ClassVar[str]

    def __init__(self, market: Market) -> None:
        self.market = market
        self.source: tuple[DataClient, Subscribe] | None = None
        self.subscribers: list[DataSubscriber] = []
        self.handlers: tuple[Route, ...] = ()
        self.handler: Route = _to_nobody

    def add(self, subscriber: DataSubscriber) -> bool:
        """Add a subscriber; return whether it is the first."""
        if subscriber in self.subscribers:
            return False
        self.subscribers.append(subscriber)
        self.handlers = (*self.handlers, getattr(subscriber, self.callback))
        self._choose()
        return len(self.subscribers) == 1

    def remove(self, subscriber: DataSubscriber) -> bool:
        """Remove a subscriber; return whether it was the last."""
        if subscriber not in self.subscribers:
            return False
        index = self.subscribers.index(subscriber)
        del self.subscribers[index]
        self.handlers = self.handlers[:index] + self.handlers[index + 1 :]
        self._choose()
        return not self.subscribers

    def _choose(self) -> None:
        if len(self.handlers) > 1:
            self.handler = self._to_all
        else:
            self.handler = self.handlers[0] if self.handlers else _to_nobody

    def _to_all(self, message: Quote | Trade | Bar) -> None:
        for subscriber, handler in zip(self.subscribers, self.handlers, strict=True):
            try:
                handler(message)
            except Exception as error:
                raise StrategyError(
                    subscriber.component_id, self.callback, message, error
                ) from error

    def deliver(self, message: Quote | Trade | Bar) -> None:
        """Hand a message on; an exception comes out with its owner's name and the message."""
        try:
            self.handler(message)
        except StrategyError:
            raise
        except Exception as error:
            raise self.blamed(message, error) from error

    def blamed(self, message: Quote | Trade | Bar, error: Exception) -> StrategyError:
        """Return what the one subscriber raised, with its name."""
        return StrategyError(self.subscribers[0].component_id, self.callback, message, error)


def _to_nobody(_: Quote | Trade | Bar) -> None:
    return None


class _QuoteFeed(_Feed):
    __slots__ = ()
    callback = "on_quote"

    def process(self, quote: Quote) -> None:
        self.market.quote = quote
        # `deliver`, written out here and for bars: a call costs a quarter of what a quote may.
        try:
            self.handler(quote)
        except StrategyError:
            raise
        except Exception as error:
            raise self.blamed(quote, error) from error


class _TradeFeed(_Feed):
    __slots__ = ()
    callback = "on_trade"

    def process(self, trade: Trade) -> None:
        self.market.trade = trade
        self.deliver(trade)


class _BarFeed(_Feed):
    __slots__ = ()
    callback = "on_bar"

    def process(self, bar: Bar) -> None:
        self.market.bars[bar.bar_type] = bar
        try:
            self.handler(bar)
        except StrategyError:
            raise
        except Exception as error:
            raise self.blamed(bar, error) from error


_FEEDS: dict[DataKind, type[_Feed]] = {
    DataKind.QUOTES: _QuoteFeed,
    DataKind.TRADES: _TradeFeed,
    DataKind.BARS: _BarFeed,
}


class DataEngine:
    """Takes data commands and data events.

    Args:
        cache: Where the latest data goes.

    Attributes:
        on_answer: Takes the responses that a client gives at once.
    """

    def __init__(self, cache: Cache) -> None:
        self.on_answer: Callable[[DataResponse], None] = self.process
        self._cache = cache
        self._subscribers: dict[ComponentId, DataSubscriber] = {}
        self._clients: dict[ClientId, DataClient] = {}
        self._feeds: dict[tuple[DataKind, InstrumentId | BarType], Any] = {}
        self._requests: dict[int, ComponentId] = {}
        self._handlers: dict[type, Route] = {
            Quote: self._on_quote,
            Trade: self._on_trade,
            Bar: self._on_bar,
            BidAskBar: self._on_bid_ask_bar,
            DataResponse: self._on_response,
            DataGap: self._on_gap,
            CurrencyPair: self._on_instrument,
            CryptoPerpetual: self._on_instrument,
            Equity: self._on_instrument,
            Future: self._on_instrument,
        }

    def add_client(self, client: DataClient) -> None:
        """Register a data client.

        Raises:
            ConfigError: If its name is taken.
        """
        if client.client_id in self._clients:
            raise ConfigError(f"a data client named {client.client_id!r} is registered already")
        self._clients[client.client_id] = client

    @property
    def clients(self) -> list[DataClient]:
        """Return the data clients, in the order they were registered."""
        return list(self._clients.values())

    def add_subscriber(self, subscriber: DataSubscriber) -> None:
        """Register an actor or strategy by its component id."""
        self._subscribers[subscriber.component_id] = subscriber

    # Commands

    def execute(self, command: DataCommand) -> None:
        """Carry out a subscription, its end, or a request.

        Raises:
            ClientError: If no data client serves the venue.
        """
        if isinstance(command, Subscribe):
            self._subscribe(command)
        elif isinstance(command, Unsubscribe):
            self._unsubscribe(command)
        else:
            self._request(command)

    def _subscribe(self, command: Subscribe) -> None:
        client = self._client(command.client_id, command.instrument_id)
        subscriber = self._subscribers[command.component_id]
        feed = self._feed(command.kind, command.bar_type or command.instrument_id)
        if feed.add(subscriber):
            feed.source = client, command
            client.subscribe(command)

    def _unsubscribe(self, command: Unsubscribe) -> None:
        feed = self._feed(command.kind, command.bar_type or command.instrument_id)
        if feed.remove(self._subscribers[command.component_id]):
            self._end(feed, command)

    def _request(self, command: RequestData) -> None:
        client = self._client(command.client_id, command.instrument_id)
        self._requests[command.request_id] = command.component_id
        answer = client.request(command)
        if answer is not None:
            self.on_answer(answer)

    def drop_subscriber(self, component_id: ComponentId, now_ns: int) -> None:
        """End all subscriptions of a component that stopped, and forget what it asked for."""
        subscriber = self._subscribers[component_id]
        for feed in self._feeds.values():
            if feed.remove(subscriber):
                _, begun = feed.source
                command = Unsubscribe(
                    component_id=component_id,
                    kind=begun.kind,
                    instrument_id=begun.instrument_id,
                    bar_type=begun.bar_type,
                    client_id=begun.client_id,
                    ts_init=now_ns,
                )
                self._end(feed, command)
        self._requests = {
            request_id: owner
            for request_id, owner in self._requests.items()
            if owner != component_id
        }

    def _end(self, feed: Any, command: Unsubscribe) -> None:
        client, _ = feed.source
        feed.source = None
        client.unsubscribe(command)

    def _client(self, client_id: ClientId | None, instrument_id: InstrumentId) -> DataClient:
        if client_id is not None:
            found = self._clients.get(client_id)
            if found is not None:
                return found
        else:
            venue: Venue = venue_of(instrument_id)
            for client in self._clients.values():
                if client.venues is None or venue in client.venues:
                    return client
        wanted = f"named {client_id!r}" if client_id else f"for {instrument_id!r}"
        known = ", ".join(self._clients) or "none"
        raise ClientError(f"no data client {wanted}; registered: {known}")

    def _feed(self, kind: DataKind, key: InstrumentId | BarType) -> Any:
        feed = self._feeds.get((kind, key))
        if feed is None:
            instrument_id = key.instrument_id if isinstance(key, BarType) else key
            feed = _FEEDS[kind](self._cache.market(instrument_id))
            self._feeds[kind, key] = feed
        return feed

    # Events

    def route(self, kind: DataKind, key: InstrumentId | BarType) -> Route:
        """Return what handles every message of one kind and instrument (or bar type)."""
        return self._feed(kind, key).process

    def route_bid_ask(self, bid: BarType, ask: BarType) -> Route:
        """Return what handles the events of a stream of paired bars, single ones among them."""
        feeds = {bid: self._feed(DataKind.BARS, bid), ask: self._feed(DataKind.BARS, ask)}

        def process(event: BidAskBar | Bar) -> None:
            if isinstance(event, Bar):
                feeds[event.bar_type].process(event)
            else:
                self._pair(event, feeds[bid], feeds[ask])

        return process

    def process(self, message: Any) -> None:
        """Handle one data event of any kind.

        Raises:
            StrategyError: If a subscriber's callback raised.
            ClientError: If it is no data event.
        """
        handler = self._handlers.get(message.__class__)
        if handler is None:
            raise ClientError(f"a client sent {message!r}, which is no data event")
        handler(message)

    def _on_quote(self, quote: Quote) -> None:
        self._feed(DataKind.QUOTES, quote.instrument_id).process(quote)

    def _on_trade(self, trade: Trade) -> None:
        self._feed(DataKind.TRADES, trade.instrument_id).process(trade)

    def _on_bar(self, bar: Bar) -> None:
        self._feed(DataKind.BARS, bar.bar_type).process(bar)

    def _on_bid_ask_bar(self, event: BidAskBar) -> None:
        bid = self._feed(DataKind.BARS, event.bid.bar_type)
        self._pair(event, bid, self._feed(DataKind.BARS, event.ask.bar_type))

    def _pair(self, event: BidAskBar, bid: _BarFeed, ask: _BarFeed) -> None:
        # Both are known before either is shown.
        bid.market.bars[event.bid.bar_type] = event.bid
        ask.market.bars[event.ask.bar_type] = event.ask
        bid.deliver(event.bid)
        ask.deliver(event.ask)

    def _on_instrument(self, instrument: Instrument) -> None:
        self._cache.add_instrument(instrument)
        running = [s for s in self._subscribers.values() if s.is_running]
        _deliver(running, "on_instrument", instrument)

    def _on_response(self, response: DataResponse) -> None:
        component_id = self._requests.pop(response.request_id, None)
        if component_id is not None:
            _deliver([self._subscribers[component_id]], "on_historical_data", response)

    def _on_gap(self, gap: DataGap) -> None:
        told: list[DataSubscriber] = []
        market = self._cache.market(gap.instrument_id)
        for feed in self._feeds.values():
            if feed.market is market:
                told.extend(s for s in feed.subscribers if s not in told)
        _deliver(told, "on_data_gap", gap)

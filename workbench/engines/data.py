"""The data engine: keeps the latest market data and hands each message to its subscribers.

A subscription is resolved once into a feed, whose `process` is the whole path of a quote: into
the cache, then to each handler. The live runner finds the feed by message; a backtest keeps the
feed of each of its streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

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


def _deliver(handlers: Iterable[Route], message: Any) -> None:
    """Call each handler; an exception comes out with its owner's name and the message."""
    handler: Any = None
    try:
        for handler in handlers:
            handler(message)
    except Exception as error:
        raise _blamed(handler, message, error) from error


class _Feed:
    """One kind of data of one instrument (or bar type), and who subscribed to it."""

    __slots__ = ("handlers", "market", "subscribers")

    def __init__(self, market: Market) -> None:
        self.market = market
        self.subscribers: list[DataSubscriber] = []
        self.handlers: tuple[Route, ...] = ()

    def add(self, subscriber: DataSubscriber, handler: Route) -> bool:
        """Add a subscriber; return whether it is the first."""
        if subscriber in self.subscribers:
            return False
        self.subscribers.append(subscriber)
        self.handlers = (*self.handlers, handler)
        return len(self.subscribers) == 1

    def remove(self, subscriber: DataSubscriber) -> bool:
        """Remove a subscriber; return whether it was the last."""
        if subscriber not in self.subscribers:
            return False
        index = self.subscribers.index(subscriber)
        del self.subscribers[index]
        self.handlers = self.handlers[:index] + self.handlers[index + 1 :]
        return not self.subscribers


class _QuoteFeed(_Feed):
    __slots__ = ()

    def process(self, quote: Quote) -> None:
        self.market.quote = quote
        # `_deliver`, written out here and for bars: a call costs a quarter of what a quote may.
        handler: Any = None
        try:
            for handler in self.handlers:
                handler(quote)
        except Exception as error:
            raise _blamed(handler, quote, error) from error


class _TradeFeed(_Feed):
    __slots__ = ()

    def process(self, trade: Trade) -> None:
        self.market.trade = trade
        _deliver(self.handlers, trade)


class _BarFeed(_Feed):
    __slots__ = ()

    def process(self, bar: Bar) -> None:
        self.market.put_bar(bar)
        handler: Any = None
        try:
            for handler in self.handlers:
                handler(bar)
        except Exception as error:
            raise _blamed(handler, bar, error) from error


def _blamed(handler: Any, message: Any, error: Exception) -> StrategyError:
    return StrategyError(handler.__self__.component_id, handler.__name__, message, error)


_FEEDS: dict[DataKind, type[_Feed]] = {
    DataKind.QUOTES: _QuoteFeed,
    DataKind.TRADES: _TradeFeed,
    DataKind.BARS: _BarFeed,
}
_CALLBACKS = {
    DataKind.QUOTES: "on_quote",
    DataKind.TRADES: "on_trade",
    DataKind.BARS: "on_bar",
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
        handler: Route = getattr(subscriber, _CALLBACKS[command.kind])
        if feed.add(subscriber, handler):
            client.subscribe(command)

    def _unsubscribe(self, command: Unsubscribe) -> None:
        feed = self._feed(command.kind, command.bar_type or command.instrument_id)
        if feed.remove(self._subscribers[command.component_id]):
            self._client(command.client_id, command.instrument_id).unsubscribe(command)

    def _request(self, command: RequestData) -> None:
        client = self._client(command.client_id, command.instrument_id)
        self._requests[command.request_id] = command.component_id
        answer = client.request(command)
        if answer is not None:
            self.on_answer(answer)

    def drop_subscriber(self, component_id: ComponentId) -> None:
        """End all subscriptions of a component that stopped."""
        subscriber = self._subscribers.get(component_id)
        if subscriber is not None:
            for feed in self._feeds.values():
                feed.remove(subscriber)

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
        """
        self._handlers[type(message)](message)

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
        bid.market.put_bar(event.bid)
        bid.market.put_bar(event.ask)
        _deliver(bid.handlers, event.bid)
        _deliver(ask.handlers, event.ask)

    def _on_instrument(self, instrument: Instrument) -> None:
        self._cache.add_instrument(instrument)
        _deliver([s.on_instrument for s in self._subscribers.values()], instrument)

    def _on_response(self, response: DataResponse) -> None:
        component_id = self._requests.pop(response.request_id, None)
        subscriber = None if component_id is None else self._subscribers.get(component_id)
        if subscriber is not None:
            _deliver((subscriber.on_historical_data,), response)

    def _on_gap(self, gap: DataGap) -> None:
        told: list[DataSubscriber] = []
        for feed in self._feeds.values():
            if feed.market is self._cache.market(gap.instrument_id):
                told.extend(s for s in feed.subscribers if s not in told)
        _deliver([s.on_data_gap for s in told], gap)

"""The data engine: keeps the latest market data and hands each message to its subscribers.

A subscription is resolved once into a feed, whose `process` is the whole path of a quote. The live
runner finds the feed by message; a backtest keeps the feed of each of its streams.

**What is made inside** (bars, and the signals and custom data that actors publish) goes into the
data commands and is handled after the message that caused it, as a message of its own: after the
orders that message caused, before the next market data. So it comes at the same place in a
backtest, a replay and live, it stands in the event log, no callback is entered while another runs,
and simulated exchanges, which see data events only, do not see it. An update thus reaches its
subscribers in the order they came, then the aggregators in the order their bars were first asked
for; what these close is handed on in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workbench.engines.aggregation_joining import HISTORY_TIMEOUT_NS, BarSubscriptions
from workbench.engines.cache import Cache
from workbench.engines.clients import DataClient
from workbench.engines.feeds import DataSubscriber, Feed, FeedKey, Feeds, Route, deliver
from workbench.model.commands import (
    DataKind,
    DataResponse,
    RequestData,
    Subscribe,
    Unsubscribe,
)
from workbench.model.custom_data import CustomData, Signal
from workbench.model.data import (
    NO_INSTRUMENT,
    Bar,
    BarType,
    BidAskBar,
    DataGap,
    FundingRate,
    InstrumentStatus,
    MarkPrice,
    Quote,
    Trade,
)
from workbench.model.errors import ClientError, ConfigError
from workbench.model.identifiers import ClientId, ComponentId, InstrumentId, Venue, venue_of
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Future, Instrument
from workbench.runtime.clock import Clock


class DataEngine:
    """Takes data commands and data events.

    Args:
        cache: Where the latest data goes.
        clock: For the bars that are made inside.
        publish: Takes what is made inside; puts it into the data commands.
        history_timeout_ns: How long bars wait for their history.

    Attributes:
        on_answer: Takes the responses that a client gives at once.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        publish: Callable[[Any], None],
        *,
        history_timeout_ns: int = HISTORY_TIMEOUT_NS,
    ) -> None:
        self.on_answer: Callable[[DataResponse], None] = self.process
        self._cache = cache
        self._subscribers: dict[ComponentId, DataSubscriber] = {}
        self._clients: dict[ClientId, DataClient] = {}
        self._feeds = Feeds(cache)
        self._bars = BarSubscriptions(
            self._feeds,
            clock,
            publish,
            lambda response: self.on_answer(response),
            history_timeout_ns,
        )
        self._requests: dict[int, ComponentId] = {}
        self._handlers: dict[type, Route] = {
            Quote: self._on_quote,
            Trade: self._on_trade,
            Bar: self._on_bar,
            BidAskBar: self._on_bid_ask_bar,
            MarkPrice: self._on_mark_price,
            FundingRate: self._on_funding_rate,
            InstrumentStatus: self._on_status,
            Signal: self._on_signal,
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

    def execute(self, command: Any) -> None:
        """Carry out a subscription, its end, or a request; hand on what was made inside.

        Raises:
            ClientError: If no data client serves the venue.
        """
        if isinstance(command, Subscribe):
            self._subscribe(command)
        elif isinstance(command, Unsubscribe):
            self._unsubscribe(command)
        elif isinstance(command, RequestData):
            self._request(command)
        else:
            self.process(command)

    def _subscribe(self, command: Subscribe) -> None:
        subscriber = self._subscribers[command.component_id]
        client = self._client_of(command)
        if command.kind is DataKind.BARS and client is not None:
            self._bars.subscribe(command, subscriber, client)
            return
        feed = self._feeds.feed(command.kind, _key(command))
        if feed.add(subscriber) and client is not None:
            feed.source = client, command
            client.subscribe(command)

    def _unsubscribe(self, command: Unsubscribe) -> None:
        feed = self._feeds.feed(command.kind, _key(command))
        if feed.remove(self._subscribers[command.component_id]):
            self._feeds.end(feed, command.component_id, command.ts_init)

    def _request(self, command: RequestData) -> None:
        client = self._client(command.client_id, command.instrument_id)
        self._requests[command.request_id] = command.component_id
        if self._bars.request(command, client):
            return
        answer = client.request(command)
        if answer is not None:
            self.on_answer(answer)

    def drop_subscriber(self, component_id: ComponentId, now_ns: int) -> None:
        """End all subscriptions of a component that stopped, and forget what it asked for."""
        subscriber = self._subscribers[component_id]
        for feed in self._feeds:
            if feed.remove(subscriber):
                self._feeds.end(feed, component_id, now_ns)
        self._requests = {
            request_id: owner
            for request_id, owner in self._requests.items()
            if owner != component_id
        }

    def serves(self, kind: DataKind, instrument_id: InstrumentId) -> bool:
        """Return whether a client has such data of an instrument."""
        try:
            client = self._client(None, instrument_id)
        except ClientError:
            return False
        has_bars = kind is DataKind.BARS and any(client.bar_types(instrument_id))
        return has_bars or client.serves(kind, instrument_id)

    def tell_first(
        self, instrument_id: InstrumentId, routes: Mapping[DataKind, Route] | None
    ) -> None:
        """Let routes take all of an instrument's data, by kind, before its subscribers do.

        The cache has each message by then. None ends it.
        """
        self._feeds.tell_first(instrument_id, routes)

    def refresh(self, component_id: ComponentId) -> None:
        """Take note that a component's routes have changed."""
        subscriber = self._subscribers[component_id]
        for feed in self._feeds:
            feed.refresh(subscriber)

    def _client_of(self, command: Subscribe) -> DataClient | None:
        """Return the client to subscribe at; None for what no client has but actors publish."""
        if command.kind is DataKind.SIGNALS:
            return None
        if command.kind is not DataKind.CUSTOM or command.client_id is not None:
            return self._client(command.client_id, command.instrument_id)
        asked = (command.kind, command.instrument_id, None, command.topic)
        return next((one for one in self._clients.values() if one.serves(*asked)), None)

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

    # Events

    def route(self, kind: DataKind, key: InstrumentId | BarType) -> Route:
        """Return what handles every message of one kind and instrument (or bar type)."""
        return self._feeds.feed(kind, key).process

    def route_bid_ask(self, bid: BarType, ask: BarType) -> Route:
        """Return what handles the events of a stream of paired bars, single ones among them."""
        feeds = {side: self._feeds.feed(DataKind.BARS, side) for side in (bid, ask)}

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
            if not isinstance(message, CustomData):
                raise ClientError(f"a client sent {message!r}, which is no data event")
            handler = self._handlers[message.__class__] = self._on_custom
        handler(message)

    def _on_quote(self, quote: Quote) -> None:
        self._feeds.feed(DataKind.QUOTES, quote.instrument_id).process(quote)

    def _on_trade(self, trade: Trade) -> None:
        self._feeds.feed(DataKind.TRADES, trade.instrument_id).process(trade)

    def _on_bar(self, bar: Bar) -> None:
        self._feeds.feed(DataKind.BARS, bar.bar_type).process(bar)

    def _on_bid_ask_bar(self, event: BidAskBar) -> None:
        bid = self._feeds.feed(DataKind.BARS, event.bid.bar_type)
        self._pair(event, bid, self._feeds.feed(DataKind.BARS, event.ask.bar_type))

    def _pair(self, event: BidAskBar, bid: Feed, ask: Feed) -> None:
        # Both are known before either is shown.
        bid.market.bars[event.bid.bar_type] = event.bid
        ask.market.bars[event.ask.bar_type] = event.ask
        bid.deliver(event.bid)
        ask.deliver(event.ask)

    def _on_mark_price(self, mark_price: MarkPrice) -> None:
        self._feeds.feed(DataKind.MARK_PRICES, mark_price.instrument_id).process(mark_price)

    def _on_funding_rate(self, funding_rate: FundingRate) -> None:
        self._feeds.feed(DataKind.FUNDING_RATES, funding_rate.instrument_id).process(funding_rate)

    def _on_status(self, status: InstrumentStatus) -> None:
        self._feeds.feed(DataKind.INSTRUMENT_STATUS, status.instrument_id).process(status)

    def _on_signal(self, signal: Signal) -> None:
        for topic in (signal.name, ""):
            feed = self._feeds.known(DataKind.SIGNALS, topic)
            if feed is not None:
                feed.process(signal)

    def _on_custom(self, data: CustomData) -> None:
        # Subscribers to the objects of all instruments first.
        for instrument_id in dict.fromkeys((NO_INSTRUMENT, data.instrument_id)):
            feed = self._feeds.known(DataKind.CUSTOM, (data.topic(), instrument_id))
            if feed is not None:
                feed.process(data)

    def _on_instrument(self, instrument: Instrument) -> None:
        self._cache.add_instrument(instrument)
        running = [s for s in self._subscribers.values() if s.is_running]
        deliver(running, "on_instrument", instrument)

    def _on_response(self, response: DataResponse) -> None:
        if self._bars.complete(response):
            return
        component_id = self._requests.pop(response.request_id, None)
        if component_id is not None:
            deliver([self._subscribers[component_id]], "on_historical_data", response)

    def _on_gap(self, gap: DataGap) -> None:
        """Tell everybody who takes data of the instrument, bars made inside among it.

        Bars that count (ticks, volume, value) begin anew; a time bar is built from what came.
        """
        told: list[DataSubscriber] = []
        market = self._cache.market(gap.instrument_id)
        for feed in self._feeds:
            if feed.market is market:
                if feed.made is not None:
                    feed.made.reset()
                told.extend(s for s in feed.subscribers if s not in told)
        deliver(told, "on_data_gap", gap)


def _key(command: Subscribe | Unsubscribe) -> FeedKey:
    if command.kind is DataKind.CUSTOM:
        return command.topic, command.instrument_id
    if command.kind is DataKind.SIGNALS:
        return command.topic
    return command.bar_type or command.instrument_id

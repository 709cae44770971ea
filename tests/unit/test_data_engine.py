"""The data engine: subscriptions, their end, requests, instruments and gaps."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.engines.clients import DataClient
from workbench.model import commands as c
from workbench.model.data import Bar, BarType, BidAskBar, DataGap, Quote, Trade
from workbench.model.enums import AggressorSide
from workbench.model.errors import ClientError, ConfigError, InstrumentError, StrategyError
from workbench.model.identifiers import ClientId, Venue
from workbench.model.instruments import CurrencyPair, Instrument
from workbench.runtime.channels import Channels
from workbench.runtime.clock import SimulatedClock
from workbench.runtime.senders import Senders
from workbench.trading import Actor, TradingCore

PAIR = CurrencyPair.define("AUD/USD.SIM")
BID = BarType.parse("AUD/USD.SIM-1-minute-bid")
ASK = BarType.parse("AUD/USD.SIM-1-minute-ask")


def quote(ts: int = 1) -> Quote:
    return Quote(PAIR.id, 1.0, 1.1, 1.0, 1.0, ts, ts)


def trade(ts: int = 1) -> Trade:
    return Trade(PAIR.id, 1.0, 1.0, AggressorSide.NONE, "1", ts, ts)  # type: ignore[arg-type]


def bar(kind: BarType, price: float = 1.0) -> Bar:
    return Bar(kind, price, price, price, price, None, 1, 1)


class Feed(DataClient):
    """Keeps what it is asked."""

    def __init__(self, name: str = "FEED", venue: str | None = "SIM") -> None:
        self.client_id = ClientId(name)
        self.venues = None if venue is None else frozenset({Venue(venue)})
        self.asked: list[Any] = []

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    def subscribe(self, command: c.Subscribe) -> None:
        self.asked.append(command)

    def unsubscribe(self, command: c.Unsubscribe) -> None:
        self.asked.append(command)

    def request(self, command: c.RequestData) -> None:
        self.asked.append(command)


class Listener(Actor):
    fails_in: str = ""

    def on_start(self) -> None:
        self.heard: list[Any] = []

    def hear(self, name: str, message: Any) -> None:
        self.heard.append(message)
        if name == self.fails_in:
            raise ValueError(name)

    def on_quote(self, quote: Quote) -> None:
        self.hear("on_quote", quote)

    def on_trade(self, trade: Trade) -> None:
        self.hear("on_trade", trade)

    def on_bar(self, bar: Bar) -> None:
        self.hear("on_bar", bar)

    def on_instrument(self, instrument: Instrument) -> None:
        self.hear("on_instrument", instrument)

    def on_historical_data(self, response: c.DataResponse) -> None:
        self.hear("on_historical_data", response)

    def on_data_gap(self, gap: DataGap) -> None:
        self.hear("on_data_gap", gap)


class Setup:
    def __init__(self, *actors: Listener) -> None:
        channels = Channels.plain()
        self.core = TradingCore(SimulatedClock(1), channels, Senders(channels, "test"), run_tag="T")
        self.feed = Feed()
        self.core.data.add_client(self.feed)
        self.core.cache.add_instrument(PAIR)
        for actor in actors:
            self.core.add_actor(actor)
        self.core.start_actors()

    def handle(self, *messages: Any) -> None:
        self.core.dispatcher.drain()
        for message in messages:
            self.core.dispatcher.handle_data(message)
            self.core.dispatcher.drain()

    def asked(self) -> list[str]:
        self.core.dispatcher.drain()
        return [type(command).__name__ for command in self.feed.asked]


def test_the_first_subscriber_subscribes_and_the_last_unsubscribes_at_the_client() -> None:
    first, second = Listener(), Listener()
    setup = Setup(first, second)
    first.subscribe_quotes()
    second.subscribe_quotes()
    first.subscribe_quotes()
    assert setup.asked() == ["Subscribe"]
    setup.handle(quote())
    assert first.heard == second.heard == [quote()]
    first.unsubscribe_quotes()
    first.unsubscribe_quotes()
    assert setup.asked() == ["Subscribe"]
    second.unsubscribe_quotes()
    assert setup.asked() == ["Subscribe", "Unsubscribe"]


def test_stopping_ends_subscriptions_at_the_client_and_forgets_requests() -> None:
    listener = Listener()
    setup = Setup(listener)
    listener.subscribe_bars(BID)
    request_id = listener.request_bars(BID)
    setup.core.dispatcher.drain()
    setup.core.stop_actors()
    assert setup.asked() == ["Subscribe", "RequestData", "Unsubscribe"]
    end = setup.feed.asked[-1]
    assert (end.kind, end.bar_type) == (c.DataKind.BARS, BID)
    setup.handle(bar(BID), response(request_id), PAIR)
    assert listener.heard == []


def response(request_id: int) -> c.DataResponse:
    return c.DataResponse(
        request_id=request_id,
        component_id="x",  # type: ignore[arg-type]
        kind=c.DataKind.BARS,
        instrument_id=PAIR.id,
        data=(),
        ts_event=1,
        ts_init=1,
    )


def test_an_answer_goes_once_to_who_asked() -> None:
    first, second = Listener(), Listener()
    setup = Setup(first, second)
    request_id = second.request_quotes(start=1, end=2, limit=3)
    second.request_trades()
    answer = response(request_id)
    setup.handle(answer, answer)
    assert (first.heard, second.heard) == ([], [answer])
    assert (setup.feed.asked[0].start, setup.feed.asked[0].limit) == (1, 3)


def test_what_nobody_subscribed_to_is_known_all_the_same() -> None:
    setup = Setup()
    setup.handle(quote(), trade(), bar(BID))
    cache = setup.core.cache
    assert cache.quote(PAIR.id) == quote()
    assert cache.trade(PAIR.id) == trade()
    assert cache.bar(BID) == bar(BID)


def test_both_bars_of_a_pair_are_known_before_either_is_shown() -> None:
    known: list[Any] = []

    class Watch(Listener):
        def on_bar(self, bar: Bar) -> None:
            known.append((bar.bar_type, self.cache.bar(BID), self.cache.bar(ASK)))

    watch = Watch()
    setup = Setup(watch)
    watch.subscribe_bars(ASK)
    watch.subscribe_bars(BID)
    bid, ask = bar(BID, 1.0), bar(ASK, 1.1)
    setup.handle(BidAskBar(bid, ask))
    assert known == [(BID, bid, ask), (ASK, bid, ask)]
    known.clear()
    setup.core.data.route_bid_ask(BID, ASK)(BidAskBar(bid, ask))
    setup.core.data.route_bid_ask(BID, ASK)(ask)
    assert [kind for kind, _, _ in known] == [BID, ASK, ASK]


def test_new_definitions_and_gaps_reach_those_they_concern() -> None:
    first, second = Listener(), Listener()
    setup = Setup(first, second)
    first.subscribe_quotes()
    first.subscribe_trades()
    newer = CurrencyPair.define("AUD/USD.SIM", price_increment="0.1")
    gap = DataGap(PAIR.id, 3, 1, 1)
    setup.handle(newer, gap)
    assert first.heard == [newer, gap]
    assert second.heard == [newer]
    assert setup.core.cache.instrument(PAIR.id) is newer


def test_definitions_that_come_before_the_start_are_not_called_out() -> None:
    listener = Listener()
    channels = Channels.plain()
    core = TradingCore(SimulatedClock(1), channels, Senders(channels, "test"), run_tag="T")
    core.add_actor(listener)
    core.dispatcher.handle_data(PAIR)
    assert core.cache.instruments() == [PAIR]
    core.start_actors()
    assert listener.heard == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("on_quote", quote()),
        ("on_trade", trade()),
        ("on_bar", BidAskBar(bar(BID), bar(ASK))),
        ("on_instrument", PAIR),
        ("on_data_gap", DataGap(PAIR.id, 3, 1, 1)),
        ("on_historical_data", response(1)),
    ],
)
@pytest.mark.parametrize("others", [0, 2])
def test_an_exception_names_its_owner_among_others(name: str, message: Any, others: int) -> None:
    actors = [Listener(fails_in=name if n == others else "") for n in range(others + 1)]
    setup = Setup(*actors)
    actors[-1].request_bars(BID)
    for actor in actors:
        actor.subscribe_quotes()
        actor.subscribe_trades()
        actor.subscribe_bars(BID)
    with pytest.raises(StrategyError) as raised:
        setup.handle(message)
    error = raised.value
    assert (error.strategy_id, error.callback) == (actors[-1].component_id, name)
    assert error.event == (message.bid if isinstance(message, BidAskBar) else message)
    assert isinstance(error.__cause__, ValueError)


def test_a_client_may_be_chosen_by_name_and_serves_its_venues_only() -> None:
    setup = Setup()
    data = setup.core.data
    anywhere = Feed("ANY", None)
    data.add_client(anywhere)
    assert [client.client_id for client in data.clients] == ["FEED", "ANY"]
    with pytest.raises(ConfigError, match="named 'ANY' is registered already"):
        data.add_client(anywhere)

    def ask(**to: Any) -> None:
        setup.core.data.execute(
            c.RequestData(
                request_id=1,
                component_id="x",  # type: ignore[arg-type]
                kind=c.DataKind.QUOTES,
                instrument_id=to.pop("instrument_id", PAIR.id),
                ts_init=1,
                **to,
            )
        )

    ask()
    ask(client_id="ANY")
    ask(instrument_id="AUD/USD.OTHER")
    assert (len(setup.feed.asked), len(anywhere.asked)) == (1, 2)
    with pytest.raises(ClientError, match="no data client named 'NOPE'; registered: FEED, ANY"):
        ask(client_id="NOPE")


def test_an_unknown_instrument_or_message_is_refused() -> None:
    listener = Listener()
    setup = Setup(listener)
    with pytest.raises(InstrumentError, match=r"no instrument 'NO/PE\.SIM'; known: AUD/USD\.SIM"):
        listener.subscribe_quotes("NO/PE.SIM")
    with pytest.raises(ClientError, match="'x', which is no data event"):
        setup.core.data.process("x")

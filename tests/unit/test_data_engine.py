"""The data engine: subscriptions, their end, requests, instruments and gaps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from workbench.engines.clients import DataClient
from workbench.model import commands as c
from workbench.model.custom_data import CustomData, Signal
from workbench.model.data import (
    Bar,
    BarType,
    BidAskBar,
    DataGap,
    FundingRate,
    InstrumentStatus,
    MarketStatus,
    MarkPrice,
    Quote,
    Trade,
)
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
    def __init__(self, *actors: Listener, feed: Feed | None = None) -> None:
        channels = Channels.plain()
        self.core = TradingCore(SimulatedClock(1), channels, Senders(channels, "test"), run_tag="T")
        self.feed = feed or Feed()
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


# What actors publish, and the kinds beside prices


class Mood(CustomData, frozen=True):
    score: float


class Hears(Listener):
    """Also hears of the rest."""

    def on_mark_price(self, mark_price: MarkPrice) -> None:
        self.hear("on_mark_price", mark_price)

    def on_funding_rate(self, funding_rate: FundingRate) -> None:
        self.hear("on_funding_rate", funding_rate)

    def on_instrument_status(self, status: InstrumentStatus) -> None:
        self.hear("on_instrument_status", status)

    def on_data(self, data: CustomData) -> None:
        self.hear("on_data", data)

    def on_signal(self, signal: Signal) -> None:
        self.hear("on_signal", signal)


RARE = [
    MarkPrice(PAIR.id, 1.0, 1, 1),
    FundingRate(PAIR.id, 0.0001, 1, 1, next_funding_ns=5),
    InstrumentStatus(PAIR.id, MarketStatus.HALTED, 1, 1, "news"),
]


def test_mark_prices_funding_and_status_reach_subscribers_and_the_cache() -> None:
    hears = Hears()
    setup = Setup(hears)
    hears.subscribe_mark_prices()
    hears.subscribe_funding_rates()
    hears.subscribe_instrument_status()
    setup.handle(*RARE)
    assert hears.heard == RARE
    cache = setup.core.cache
    known = [cache.mark_price(PAIR.id), cache.funding_rate(PAIR.id)]
    assert [*known, cache.instrument_status(PAIR.id)] == RARE
    hears.unsubscribe_mark_prices()
    hears.unsubscribe_funding_rates()
    hears.unsubscribe_instrument_status()
    setup.handle(*RARE)
    assert len(hears.heard) == 3
    assert setup.asked() == ["Subscribe"] * 3 + ["Unsubscribe"] * 3


@pytest.mark.parametrize("message", RARE)
def test_an_exception_on_a_rare_kind_names_its_owner(message: Any) -> None:
    name = {MarkPrice: "on_mark_price", FundingRate: "on_funding_rate"}.get(
        type(message), "on_instrument_status"
    )
    hears = Hears(fails_in=name)
    setup = Setup(hears)
    hears.subscribe_mark_prices()
    hears.subscribe_funding_rates()
    hears.subscribe_instrument_status()
    with pytest.raises(StrategyError, match=f"Hears-001 raised ValueError in {name}"):
        setup.handle(message)


def test_signals_go_to_those_of_their_name_and_to_those_of_all() -> None:
    named, everything, other = Hears(), Hears(), Hears()
    setup = Setup(named, everything, other)
    named.subscribe_signals("trend")
    everything.subscribe_signals()
    other.subscribe_signals("other")
    other.publish_signal("trend", 2)
    assert named.heard == []  # only after the callback
    setup.handle()
    signal = Signal("trend", 2.0, 1, 1, other.component_id)
    assert (named.heard, everything.heard, other.heard) == ([signal], [signal], [])
    named.unsubscribe_signals("trend")
    named.publish_signal("trend", 3)
    setup.handle()
    assert (len(named.heard), len(everything.heard)) == (1, 2)
    assert setup.asked() == []  # no client has signals
    with pytest.raises(ConfigError, match="a signal needs a name"):
        named.publish_signal("", 1.0)


def test_custom_data_goes_by_class_and_instrument_and_needs_no_client() -> None:
    everything, one = Hears(), Hears()
    setup = Setup(everything, one)
    everything.subscribe_data(Mood)
    one.subscribe_data(Mood, PAIR.id)
    of_none = Mood(1.0, ts_event=1, ts_init=1)
    of_pair = Mood(2.0, instrument_id=PAIR.id, ts_event=1, ts_init=1)
    one.publish_data(of_none)
    one.publish_data(of_pair)
    setup.handle(of_none)  # a client may send it too
    assert everything.heard == [of_none, of_pair, of_none]
    assert one.heard == [of_pair]
    assert setup.asked() == []
    one.unsubscribe_data(Mood, PAIR.id)
    setup.handle(of_pair)
    assert one.heard == [of_pair]
    with pytest.raises(ConfigError, match="of a class of your own"):
        one.subscribe_data(Quote)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="of a class of your own"):
        one.publish_data(quote())  # type: ignore[arg-type]


def test_a_client_that_is_named_is_asked_for_custom_data() -> None:
    hears = Hears()
    setup = Setup(hears)
    hears.subscribe_data(Mood, client_id="FEED")
    assert setup.asked() == ["Subscribe"]
    assert setup.feed.asked[0].topic == "Mood"


# Bars made inside


class Ticks(Feed):
    """Serves quotes and trades only."""

    def serves(self, kind: Any, instrument_id: Any, bar_type: Any = None, topic: str = "") -> bool:
        return kind in (c.DataKind.QUOTES, c.DataKind.TRADES)


def made_inside(*actors: Listener) -> Setup:
    return Setup(*actors, feed=Ticks())


def test_what_bars_are_made_of_is_subscribed_to_once_and_ended_with_the_last() -> None:
    first, second = Listener(), Listener()
    setup = made_inside(first, second)
    first.subscribe_bars("1-tick-mid")
    second.subscribe_bars("1-tick-mid")
    second.subscribe_bars("2-tick-bid")
    assert [(a.kind, a.component_id) for a in setup.feed.asked] == []
    assert setup.asked() == ["Subscribe"]
    assert setup.feed.asked[0].kind is c.DataKind.QUOTES
    setup.handle(quote(2), quote(3))
    assert [len(one.heard) for one in (first, second)] == [2, 3]
    first.unsubscribe_bars("1-tick-mid")
    second.unsubscribe_bars("1-tick-mid")
    assert setup.asked() == ["Subscribe"]
    second.unsubscribe_bars("2-tick-bid")
    assert setup.asked() == ["Subscribe", "Unsubscribe"]
    setup.handle(quote(4))
    assert len(second.heard) == 3


def test_bars_are_made_in_one_way_only() -> None:
    listener = Listener()
    setup = made_inside(listener)
    listener.subscribe_bars("1-minute-mid", skip_first_non_full_bar=True)
    setup.handle()
    listener.subscribe_bars("1-minute-mid", build_with_no_updates=False)
    with pytest.raises(ClientError, match="ask for them in one way"):
        setup.handle()


def test_the_history_of_bars_of_bars_made_inside_is_refused_with_what_to_do() -> None:
    listener = Listener()
    setup = made_inside(listener)
    listener.subscribe_bars("5-minute-mid", source="1-minute", history=3)
    with pytest.raises(ClientError, match="Make them of quotes or trades instead"):
        setup.handle()


@pytest.mark.parametrize("series", ["3-tick-mid", "3-volume-mid"])
def test_a_gap_reaches_those_with_bars_made_inside_and_begins_these_anew(series: str) -> None:
    listener = Listener()
    setup = made_inside(listener)
    listener.subscribe_bars(series)
    gap = DataGap(PAIR.id, 4, 3, 3)
    setup.handle(quote(1), quote(2), gap, quote(3), quote(4))
    assert listener.heard == [gap]
    setup.handle(quote(5))
    assert [type(one) for one in listener.heard] == [DataGap, Bar]


def test_an_aggregator_that_fails_is_not_blamed_on_a_strategy() -> None:
    listener = Listener()
    setup = made_inside(listener)
    listener.subscribe_quotes()
    listener.subscribe_bars("1-tick-mid")
    setup.handle()
    broken: Any = Quote(PAIR.id, 1.0, 1.1, None, 1.0, 1, 1)  # type: ignore[arg-type]
    with pytest.raises(StrategyError, match="data-engine raised TypeError in aggregation"):
        setup.handle(broken)


def at(ts: int, price: float = 1.0) -> Bar:
    return Bar(BID, price, price, price, price, None, ts, ts)


def test_bars_that_come_while_their_history_is_awaited_follow_it_once() -> None:
    class Warm(Listener):
        def on_start(self) -> None:
            super().on_start()
            self.closes = Keeps()
            self.register_indicator(BID, self.closes)

    early, warm = Listener(), Warm()
    setup = Setup(early, warm)
    early.subscribe_bars(BID)
    request_id = warm.subscribe_bars(BID, history=3)
    setup.handle(at(4, 4.0), at(5, 5.0))
    assert [setup.feed.asked[-1].limit, setup.feed.asked[-1].request_id] == [3, request_id]
    assert warm.heard == []
    history = (at(2, 2.0), at(3, 3.0), at(4, 4.0))
    answer = msgspec.structs.replace(response(request_id or 0), bar_type=BID, data=history)
    setup.handle(answer, at(4, 4.0), at(6, 6.0), at(6, 6.0))
    assert warm.heard == [answer, at(5, 5.0), at(6, 6.0), at(6, 6.0)]
    assert warm.closes.values == [2.0, 3.0, 4.0, 5.0, 6.0, 6.0]
    assert len(early.heard) == 5
    setup.handle(answer)  # a second answer is nobody's
    assert len(warm.heard) == 4


def test_who_leaves_while_its_history_is_awaited_gets_neither() -> None:
    listener = Listener()
    setup = Setup(listener)
    request_id = listener.subscribe_bars(BID, history=timedelta(minutes=5))
    setup.handle(at(4))
    listener.unsubscribe_bars(BID)
    setup.handle(response(request_id or 0), at(5))
    assert listener.heard == []


def test_an_exception_on_history_or_on_a_bar_that_waited_names_its_owner() -> None:
    for name in ("on_historical_data", "on_bar"):
        listener = Listener(fails_in=name)
        setup = Setup(listener)
        request_id = listener.subscribe_bars(BID, history=3)
        setup.handle(at(4))
        with pytest.raises(StrategyError, match=f"Listener-001 raised ValueError in {name}"):
            setup.handle(response(request_id or 0))


# Indicators


class Keeps:
    def __init__(self) -> None:
        self.values: list[float] = []
        self.is_ready = False

    def update(self, value: float) -> None:
        self.values.append(value)
        self.is_ready = len(self.values) > 1


def test_indicators_get_closes_mids_and_prices_before_the_callback() -> None:
    listener = Listener()
    setup = Setup(listener)
    closes, mids, prices = Keeps(), Keeps(), Keeps()
    listener.subscribe_bars(BID)
    listener.subscribe_quotes()
    setup.handle()
    # Also where the subscription has begun already.
    listener.register_indicator(BID, closes)
    listener.register_indicator("quotes", mids)
    listener.register_indicator("trades", prices, instrument_id=PAIR.id)
    listener.subscribe_trades()
    setup.handle(bar(BID, 3.0), quote(), trade())
    assert (closes.values, mids.values, prices.values) == ([3.0], [1.05], [1.0])
    assert listener.indicators == [closes, mids, prices]
    assert not listener.indicators_ready
    setup.handle(bar(BID, 4.0), quote(), trade())
    assert listener.indicators_ready


def test_what_cannot_be_updated_is_no_indicator() -> None:
    listener = Listener()
    Setup(listener)
    with pytest.raises(ConfigError, match="name the indicators too"):
        listener.register_indicator(BID)
    with pytest.raises(ConfigError, match=r"has a method update\(value\)"):
        listener.register_indicator(BID, object())


@pytest.mark.parametrize("history", [0, -1, 1.5, True, timedelta(0), "1h"])
def test_a_history_that_is_none_is_refused(history: Any) -> None:
    listener = Listener()
    Setup(listener)
    with pytest.raises(ConfigError, match="history"):
        listener.subscribe_bars(BID, history=history)


def test_a_number_of_volume_bars_says_nothing_of_how_far_back() -> None:
    listener = Listener()
    Setup(listener)
    for ask in (
        lambda: listener.subscribe_bars("100-volume-last", history=5),
        lambda: listener.request_bars("100-value-last", limit=5),
    ):
        with pytest.raises(ConfigError, match="is not known; ask for a time"):
            ask()

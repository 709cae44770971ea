"""Bars made inside, signals, custom data: the same in a backtest, a replay and live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from tests.node_fakes import OTHER, PAIR, ROOT, Feed, FeedClient, make_node, run
from tests.waiting import GUARD_S, until
from workbench.engines.clients import DataClient
from workbench.model import commands as c
from workbench.model.codec import decode, encode
from workbench.model.custom_data import CustomData, Signal
from workbench.model.data import FundingRate, InstrumentStatus, MarketStatus, MarkPrice
from workbench.model.identifiers import TradeId
from workbench.node import BuildContext
from workbench.runtime.eventlog import RecordKind

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_767_571_200_000_000_000  # 2026-01-05T00:00:00Z, a Monday
DATA = ROOT.parent / "shared" / "data"


class Sentiment(CustomData, frozen=True):
    """A user's own data."""

    score: float


def quotes(count: int = 3000, seconds: int = 3600, seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    mid = 100 + np.round(np.cumsum(rng.normal(0, 0.02, count)), 2)
    times = START + np.sort(rng.integers(1, seconds * 10, count)) * (SECOND // 10)
    sizes = rng.integers(1, 20, (2, count)).astype(float)
    return pd.DataFrame(
        {
            "ts": times,
            "bid": np.round(mid - 0.01, 2),
            "ask": np.round(mid + 0.01, 2),
            "bid_size": sizes[0],
            "ask_size": sizes[1],
        }
    )


def trades(count: int = 3000, seconds: int = 3600, seed: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "ts": START + np.sort(rng.integers(1, seconds * 10, count)) * (SECOND // 10),
            "price": 100 + np.round(np.cumsum(rng.normal(0, 0.02, count)), 2),
            "size": rng.integers(1, 5000, count) / 1000,
            "side": np.where(rng.random(count) < 0.5, "buy", "sell"),
        }
    )


class Collects(wb.Strategy):
    """Subscribes to bars and keeps what comes, in order."""

    series: list[str] = ["1-minute-mid"]  # noqa: RUF012 - a parameter's default
    history: int = 0

    def on_start(self) -> None:
        self.seen: list[Any] = []
        for one in self.series:
            self.subscribe_bars(one, history=self.history or None)

    def on_bar(self, bar: wb.Bar) -> None:
        self.seen.append(bar)

    def on_historical_data(self, response: Any) -> None:
        assert not response.error
        self.seen.append(response.data)

    def of(self, series: str) -> list[wb.Bar]:
        """Return the live bars of one type."""
        kind = self.bar_type(series)
        return [one for one in self.seen if isinstance(one, wb.Bar) and one.bar_type == kind]


def columns(bars: Sequence[wb.Bar]) -> list[tuple[int, float, float, float, float]]:
    return [(bar.ts_event, bar.open, bar.high, bar.low, bar.close) for bar in bars]


def resampled(
    prices: pd.Series, rule: str, until: int, sizes: pd.Series | None = None
) -> list[Any]:
    """Return what pandas makes of prices, for whole intervals that end before a time."""
    frame = prices.resample(rule, closed="right", label="right", origin="epoch").ohlc().dropna()
    frame = frame[frame.index.as_unit("ns").asi8 < until]
    rows = zip(
        frame.index.as_unit("ns").asi8.tolist(), *(frame[n] for n in frame.columns), strict=True
    )
    return list(rows)


def test_bars_of_quotes_are_made_inside_as_pandas_makes_them() -> None:
    data = quotes()
    strategy = Collects(series=["1-minute-mid", "5-minute-bid", "1-hour-ask"])
    result = wb.backtest(strategy, wb.quotes(data, PAIR), instrument=PAIR, progress=False)
    assert not result.warnings
    index = pd.to_datetime(data.ts)
    last = int(data.ts.iloc[-1])
    mids = pd.Series(((data.bid + data.ask) / 2).to_numpy(), index=index)
    assert columns(strategy.of("1-minute-mid")) == resampled(mids, "1min", last)
    bids = pd.Series(data.bid.to_numpy(), index=index)
    assert columns(strategy.of("5-minute-bid")) == resampled(bids, "5min", last)
    assert strategy.cache.bar(strategy.bar_type("5-minute-bid")) == strategy.of("5-minute-bid")[-1]
    sizes = pd.Series(data.bid_size.to_numpy(), index=index)
    volume = sizes.resample("5min", closed="right", label="right").sum()
    assert [bar.volume for bar in strategy.of("5-minute-bid")] == volume.tolist()[:11]


def test_coarser_bars_are_made_of_the_finer_ones_that_the_data_has() -> None:
    data = wb.sample_bars(700, seed=4)
    strategy = Collects(series=["5-minute-last", "1-hour-last", "1-minute-last"])
    wb.backtest(strategy, data, instrument=PAIR, progress=False)
    rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    for series, rule in (("5-minute-last", "5min"), ("1-hour-last", "1h")):
        made = strategy.of(series)
        expected = data.resample(rule, closed="right", label="right").agg(rules)
        expected = expected[expected.index <= data.index[-1]]
        whole = expected[
            expected.index.as_unit("ns").asi8 % (60 * MINUTE if rule == "1h" else 1) == 0
        ]
        assert [b.ts_event for b in made] == whole.index.as_unit("ns").asi8.tolist()
        got = [[b.open, b.high, b.low, b.close, b.volume] for b in made]
        assert np.allclose(got, whole.to_numpy(), rtol=0, atol=1e-9)
    # A coarser bar comes right after the finer one that ends where it does.
    order = [(str(b.bar_type.spec), b.ts_event) for b in strategy.seen]
    first = order.index(("5-minute-last", strategy.of("5-minute-last")[0].ts_event))
    assert order[first - 1] == ("1-minute-last", order[first][1])


class Everything(wb.Strategy):
    """Trades on bars made inside, signals and custom data, publishes and listens to itself."""

    def on_start(self) -> None:
        self.order: list[str] = []
        self.quick, self.late = wb.EMA(3), wb.EMA(9)
        for series in ("1-minute-mid", "100-tick-last", "25-volume-last", "5000-value-last"):
            self.subscribe_bars(series)
        self.subscribe_bars("5-minute-mid", history=timedelta(minutes=30))
        self.subscribe_bars("15-minute-mid", source="5-minute-mid")
        self.register_indicator("1-minute-mid", self.quick, self.late)
        self.subscribe_quotes(PAIR.id)
        self.subscribe_data(Sentiment)
        self.subscribe_data(Sentiment, OTHER.id)
        self.subscribe_signals()
        self.subscribe_mark_prices(PAIR.id)
        self.subscribe_funding_rates(PAIR.id)
        self.subscribe_instrument_status(PAIR.id)
        self.count = 0

    def bar_type(self, value: Any, source: str | None = None) -> Any:
        if isinstance(value, str) and value[:1].isdigit():
            value = f"{PAIR.id}-{value}"
        return super().bar_type(value, source)

    def note(self, what: str, message: Any) -> None:
        self.order.append(f"{what} {message.ts_event - START} {self.clock.timestamp_ns() - START}")

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        if self.count % 100 == 0:
            self.publish_signal("hundred", self.count)
            self.publish_data(Sentiment(0.5, ts_event=quote.ts_event, ts_init=quote.ts_event))
            self.order.append("published")
            self.submit_order(self.orders.market(PAIR.id, "buy", 1))

    def on_bar(self, bar: wb.Bar) -> None:
        self.note(str(bar.bar_type), bar)
        if str(bar.bar_type.spec) == "1-minute-mid" and self.indicators_ready:
            side = "buy" if self.quick.value > self.late.value else "sell"
            self.submit_order(self.orders.market(PAIR.id, side, 1))

    def on_historical_data(self, response: Any) -> None:
        self.order.append(f"history {len(response.data)}")

    def on_signal(self, signal: Signal) -> None:
        self.note(f"{signal.name} {signal.value}", signal)
        if signal.value < 500:
            self.publish_signal("echo", signal.value + 500)

    def on_data(self, data: CustomData) -> None:
        self.note(f"{data}", data)

    def on_mark_price(self, mark_price: MarkPrice) -> None:
        assert self.cache.mark_price(PAIR.id) is mark_price
        self.note("mark", mark_price)
        self.submit_order(self.orders.market(PAIR.id, "sell", 1))

    def on_funding_rate(self, funding_rate: FundingRate) -> None:
        assert self.cache.funding_rate(PAIR.id) is funding_rate
        self.note("funding", funding_rate)

    def on_instrument_status(self, status: InstrumentStatus) -> None:
        assert self.cache.instrument_status(PAIR.id) is status
        self.note(status.status.value, status)

    def on_order_filled(self, event: Any) -> None:
        self.note("filled", event)


def events_of_all_kinds() -> list[Any]:
    data: list[Any] = []
    for n in range(1, 12):
        ts = START + n * 5 * MINUTE
        data.append(MarkPrice(PAIR.id, 100.0 + n, ts, ts))
        data.append(FundingRate(PAIR.id, -0.0001 * n, ts, ts))
        data.append(Sentiment(float(n), ts_event=ts, ts_init=ts))
        data.append(Sentiment(float(-n), instrument_id=OTHER.id, ts_event=ts, ts_init=ts))
    for n, status in enumerate(MarketStatus):
        ts = START + n * 7 * MINUTE
        data.append(InstrumentStatus(PAIR.id, status, ts, ts))
        # A venue that is not open takes no orders: it opens again soon.
        data.append(InstrumentStatus(PAIR.id, MarketStatus.TRADING, ts + MINUTE, ts + MINUTE))
    return sorted(data, key=lambda one: one.ts_init)


def identical(strategy: Any, data: Any, **settings: Any) -> tuple[wb.BacktestResult, list[str]]:
    """Run a backtest and replays of two speeds; log and what the strategy saw are the same."""
    result = wb.backtest(strategy, data, progress=False, **settings)
    seen = list(strategy.order)
    for speed in (None, 1e9):
        node = wb.sandbox(strategy, data=data, speed=speed, **settings)
        node.build()
        node.run(raise_exception=True)
        assert strategy.order == seen
        assert node.core.log.to_bytes() == result.log.to_bytes()
        node.dispose()
    return result, seen


def all_kinds() -> list[Any]:
    return [wb.quotes(quotes(), PAIR), wb.trades(trades(), PAIR), events_of_all_kinds()]


def test_bars_made_inside_signals_and_custom_data_are_the_same_in_a_backtest_and_replays() -> None:
    result, seen = identical(
        Everything(),
        all_kinds(),
        instrument=[PAIR, OTHER],
        start=START + 20 * MINUTE,
        venue=wb.SimulatedVenue(latency_ns=SECOND),
    )
    kinds = {line.rpartition(" ")[0].rpartition(" ")[0] for line in seen}
    for what in ("mark", "funding", "closed", "filled", "hundred 100.0", "echo 600.0"):
        assert what in kinds
    for series in (
        "1-minute-mid",
        "100-tick-last",
        "5000-value-last",
        "15-minute-mid@5-minute-mid",
    ):
        assert f"{PAIR.id}-{series}" in kinds
    # Of the bar that ends at the start it is not known yet that it is over: it comes live.
    assert seen[0] == "history 3"
    assert f"{PAIR.id}-5-minute-mid {20 * MINUTE} {20 * MINUTE + 1}" in seen
    assert len(result.fills) > 30
    # What was published is in the log, and comes back from bytes.
    published = [r.message for r in result.log if r.kind is RecordKind.DATA_COMMAND]
    for kind in (wb.Bar, Signal, Sentiment):
        one = next(message for message in published if type(message) is kind)
        assert decode(encode(one)) == one


def test_what_is_published_comes_after_the_callback_and_before_the_next_data() -> None:
    _, seen = identical(Everything(), all_kinds(), instrument=[PAIR, OTHER])
    at = seen.index("published")
    assert seen[at + 1].startswith("filled")  # an order comes before what was published with it
    assert seen[at + 2].startswith("hundred 100.0")
    assert seen[at + 3].startswith("Sentiment(score=0.5")
    assert seen[at + 4].startswith("echo 600.0")


def test_bars_made_inside_do_not_move_the_simulated_book() -> None:
    class Rests(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_bars("1-second-mid")
            self.subscribe_quotes()
            self.sent = False

        def on_quote(self, quote: wb.Quote) -> None:
            if not self.sent:
                self.sent = True
                # Between bid and mid: a bar at the mid with one price for both would fill it.
                self.submit_order(self.orders.limit(PAIR.id, "buy", 1, "100.05"))

    rows = [
        wb.Quote(PAIR.id, 100.0, 100.08, 5.0, 5.0, START + n * SECOND, START + n * SECOND)
        for n in range(1, 20)
    ]
    result = wb.backtest(Rests(), rows, instrument=PAIR, progress=False)
    assert len(result.fills) == 0
    assert len(result.orders) == 1


@pytest.mark.parametrize(
    ("series", "history"),
    [
        ("1-minute-mid", 10),
        ("1-minute-mid", timedelta(minutes=10)),
        ("40-tick-mid", 10),
        ("400-volume-mid", timedelta(minutes=10)),
    ],
)
@pytest.mark.parametrize("second", [False, True])
def test_history_and_live_bars_join_without_gap_or_double(
    series: str, history: Any, second: bool
) -> None:
    """Subscribed in the middle of the run, alone or as the second one."""

    class Joins(wb.Strategy):
        def on_start(self) -> None:
            self.past: list[wb.Bar] = []
            self.live: list[wb.Bar] = []
            self.clock.set_alert("join", START + 25 * MINUTE + 7 * SECOND + 1, self.join)

        def join(self, _: Any) -> None:
            self.subscribe_bars(series, history=history)

        def on_historical_data(self, response: Any) -> None:
            assert not self.live
            self.past = list(response.data)

        def on_bar(self, bar: wb.Bar) -> None:
            self.live.append(bar)

    class Early(Collects):
        pass

    joins = Joins()
    early = Early(series=[series])
    strategies = [early, joins] if second else [joins]
    wb.backtest(strategies, wb.quotes(quotes(), PAIR), instrument=PAIR, progress=False)
    seen = [*joins.past, *joins.live]
    assert len(joins.past) >= 9
    assert len(joins.live) > 5
    times = [bar.ts_event for bar in seen]
    assert times == sorted(times)
    volume = sum(bar.volume or 0.0 for bar in seen)
    # Every quote after the first bar's beginning is in exactly one bar.
    data = quotes()
    size = (data.bid_size + data.ask_size) / 2
    first = joins.past[0]
    if series.endswith("minute-mid"):
        assert len(set(times)) == len(times)
        assert np.all(np.diff(times) == MINUTE)
        inside = size[(data.ts > first.ts_event - MINUTE) & (data.ts <= times[-1])].sum()
        assert volume == inside
    if second and series.startswith("1-minute"):
        expected = [bar for bar in early.seen if bar.ts_event >= first.ts_event]
        assert columns(seen) == columns(expected)
    elif second:
        # The live bars are those the first subscriber gets.
        assert joins.live == early.seen[-len(joins.live) :]
    elif series.startswith("40-tick"):
        # Forty quotes each, from one of them on to the last whole bar, none left out.
        values = ((data.bid + data.ask) / 2).tolist()
        closes = [bar.close for bar in seen]
        index = next(
            n
            for n in range(39, len(values))
            if values[n : n + 40 * len(closes) : 40][: len(closes)] == closes
        )
        assert volume == size[index - 39 : index + 1 + 40 * (len(closes) - 1)].sum()
    elif series.startswith("400-volume"):
        assert volume == pytest.approx(400.0 * len(seen))


def test_external_bars_join_their_history() -> None:
    data = wb.sample_bars(300)

    class Joins(wb.Strategy):
        def on_start(self) -> None:
            self.seen: list[Any] = []
            self.subscribe_bars("1-minute-last")
            self.clock.set_alert("join", data.index[100].value, self.join)

        def join(self, _: Any) -> None:
            assert self.subscribe_bars("1-minute-last", history=20) == 1

        def on_historical_data(self, response: Any) -> None:
            assert response.request_id == 1
            self.seen = list(response.data)

        def on_bar(self, bar: wb.Bar) -> None:
            self.seen.append(bar)

    strategy = Joins()
    wb.backtest(strategy, data, instrument=PAIR, progress=False)
    expected = data.index[81:].as_unit("ns").asi8.tolist()
    assert [bar.ts_event for bar in strategy.seen] == expected


def test_indicators_are_updated_with_the_history_and_before_each_bar() -> None:
    class Bars:
        def __init__(self) -> None:
            self.bars: list[wb.Bar] = []

        def update_bar(self, bar: wb.Bar) -> None:
            self.bars.append(bar)

    class Warm(wb.Strategy):
        def on_start(self) -> None:
            self.ema, self.sink = wb.EMA(10), Bars()
            self.ready_at_once: bool | None = None
            self.register_indicator("1-minute-last", self.ema, self.sink)
            assert not self.indicators_ready
            self.subscribe_bars("1-minute-last", history=15)

        def on_historical_data(self, response: Any) -> None:
            assert self.indicators_ready
            assert [bar.ts_event for bar in self.sink.bars] == [b.ts_event for b in response.data]

        def on_bar(self, bar: wb.Bar) -> None:
            assert self.sink.bars[-1] is bar
            if self.ready_at_once is None:
                self.ready_at_once = self.indicators_ready

    data = wb.sample_bars(200)
    strategy = Warm()
    wb.backtest(strategy, data, instrument=PAIR, start=data.index[100], progress=False)
    assert strategy.ready_at_once
    assert len(strategy.sink.bars) == 115
    reference = wb.EMA(10)
    for close in data["close"].iloc[85:]:
        reference.update(close)
    assert strategy.ema.value == reference.value


def test_a_request_for_bars_the_data_lacks_is_answered_with_bars_made_of_what_it_has() -> None:
    class Asks(Collects):
        def on_start(self) -> None:
            self.seen = []
            self.clock.set_alert("ask", START + 40 * MINUTE + 1)

        def on_time_event(self, event: Any) -> None:
            self.request_bars("5-minute-mid", limit=3)
            self.request_bars("5-minute-mid", start=START + 1, end=START + 20 * MINUTE)

    strategy = Asks()
    data = quotes()
    wb.backtest(strategy, wb.quotes(data, PAIR), instrument=PAIR, progress=False)
    newest, early = strategy.seen
    mids = pd.Series(((data.bid + data.ask) / 2).to_numpy(), index=pd.to_datetime(data.ts))
    made = resampled(mids, "5min", START + 40 * MINUTE + 1)
    assert columns(newest) == made[-3:]
    assert columns(early) == made[1:3]  # whole bars that begin at START + 1 or after


# Live


class Archive(Feed):
    """A feed with trades only, whose history comes when the test says so."""

    def __call__(self, context: BuildContext) -> DataClient:
        self.client = ArchiveClient(self, context)
        return self.client


class ArchiveClient(FeedClient):
    def __init__(self, feed: Feed, context: BuildContext) -> None:
        super().__init__(feed, context)
        self.asked: list[c.RequestData] = []
        self.sent: list[wb.Trade] = []

    def serves(self, kind: Any, instrument_id: Any, bar_type: Any = None, topic: str = "") -> bool:
        return kind is c.DataKind.TRADES

    def request(self, command: c.RequestData) -> None:
        self.asked.append(command)

    def trade(self, price: float, *, live: bool = True) -> None:
        """Make a trade; send it, or only keep it for the history."""
        now = self.clock.timestamp_ns()
        name = TradeId(f"T{len(self.sent)}")
        self.sent.append(wb.Trade(PAIR.id, price, 1.0, wb.AggressorSide.BUYER, name, now, now))
        if live:
            self.send(self.sent[-1])

    def answer(self, upto: int) -> None:
        """Answer the oldest request with the first so many trades."""
        command = self.asked.pop(0)
        now = self.clock.timestamp_ns()
        self.send(
            wb.DataResponse(
                request_id=command.request_id,
                component_id=command.component_id,
                kind=command.kind,
                instrument_id=command.instrument_id,
                data=tuple(self.sent[:upto]),
                ts_event=now,
                ts_init=now,
            )
        )


@pytest.mark.parametrize("held", [10, 14, 20, 23, 25])
def test_live_updates_that_come_while_the_history_is_awaited_are_neither_lost_nor_doubled(
    held: int,
) -> None:
    """Ten trades are past, fifteen come meanwhile, ten after; the history holds `held`."""

    async def main() -> None:
        feed = Archive()
        strategy = Collects(series=["5-tick-last"], history=100)
        node = make_node(strategy, feed=feed)
        node.build()
        for _ in range(10):
            feed.client.trade(float(len(feed.client.sent)), live=False)
        node.run()
        client: Any = feed.client
        await until(lambda: client.asked, what="the history is asked for")
        assert client.asked[0].kind is c.DataKind.TRADES
        for _ in range(15):
            client.trade(float(len(client.sent)))
        await until(lambda: node.core.cache.trade(PAIR.id) is client.sent[-1])
        assert strategy.seen == []
        client.answer(held)
        await until(lambda: strategy.seen)
        for _ in range(10):
            client.trade(float(len(client.sent)))
        await until(lambda: len(strategy.seen) == 6)
        past, *live = strategy.seen
        bars = [*past, *live]
        assert [(bar.open, bar.close) for bar in bars] == [(n, n + 4.0) for n in range(0, 35, 5)]
        assert len(past) == 2  # what ended before the history was asked for
        await node.stop_async()
        node.dispose()

    run(main())


def test_a_history_that_cannot_be_had_does_not_keep_live_bars_away() -> None:
    async def main() -> None:
        feed = Archive()
        strategy = Collects(series=["5-tick-last"], history=100)
        second = Collects(series=["5-tick-last"], history=100)
        node = make_node(strategy, second, feed=feed)
        node.build()
        node.run()
        client: Any = feed.client
        await until(lambda: len(client.asked) == 2)
        for _ in range(10):
            client.trade(1.0)
        client.asked[0], client.asked[1] = client.asked[1], client.asked[0]
        client.answer(0)  # the second one's comes first
        client.answer(0)
        await until(lambda: len(strategy.seen) == len(second.seen) == 3)
        assert strategy.seen == second.seen
        assert strategy.seen[0] == ()
        await node.stop_async()
        node.dispose()

    run(main())


def test_bars_go_on_without_a_history_that_never_comes() -> None:
    class Told(Collects):
        def on_historical_data(self, response: Any) -> None:
            self.seen.append(response.error)

    async def main() -> None:
        feed = Archive()
        strategy = Told(series=["5-tick-last"], history=100)
        node = make_node(strategy, feed=feed, timeout_history_s=0.05)
        node.build()
        node.run()
        client: Any = feed.client
        await until(lambda: client.asked, what="the history is asked for")
        for _ in range(5):
            client.trade(1.0)
        await until(lambda: len(strategy.seen) == 2)
        assert strategy.seen[0] == "FEED did not answer within 0.05 s"
        client.answer(5)  # too late
        client.trade(2.0)
        await until(lambda: node.core.cache.trade(PAIR.id) is client.sent[-1])
        assert len(strategy.seen) == 2
        assert not [n for n in node.core.clock.timer_names if n.startswith("history")]
        await node.stop_async()
        node.dispose()

    run(main())


def test_a_synthetic_market_has_bars_made_of_its_quotes_and_trades() -> None:
    class Watch(Collects):
        def on_bar(self, bar: wb.Bar) -> None:
            super().on_bar(bar)
            kinds = {one.bar_type.spec.price_type for one in self.seen}
            if len(kinds) == 2:
                self.shutdown_system("seen")

    async def main() -> None:
        strategy = Watch(series=["100-millisecond-mid", "2-tick-last"])
        market = wb.Synthetic(PAIR, rate=500)
        node = wb.sandbox(strategy, data=market, instrument=PAIR)
        node.build()
        await asyncio.wait_for(node.run_async(), GUARD_S)
        for bar in strategy.seen:
            assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        stamps = [b.ts_event for b in strategy.of("100-millisecond-mid")]
        assert all(ts % 100_000_000 == 0 for ts in stamps)
        node.dispose()

    run(main())


# Real data, beside the project


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"real data is not here: {name} in {DATA}")
    return path


BTC = wb.CurrencyPair.define(
    "BTC/USDT.BINANCE", price_increment="0.01", quantity_increment="0.000001"
)


def test_bars_of_real_trades_equal_what_pandas_makes_of_them() -> None:
    path = real("btcusdt-trades.parquet")
    frame = pd.read_parquet(path)
    data = wb.trades(frame, BTC, tz="UTC")
    stamps = pd.DatetimeIndex(pd.to_datetime(data.ts, utc=True))
    prices = pd.Series(frame["price"].astype(float).to_numpy(), index=stamps)
    sizes = pd.Series(frame["quantity"].astype(float).to_numpy(), index=stamps)
    strategy = Collects(series=["1-second-last", "50-tick-last", "5-volume-last"])
    wb.backtest(strategy, data, instrument=BTC, progress=False)
    last = int(data.ts[-1])
    made = [bar for bar in strategy.of("1-second-last") if bar.volume]
    assert columns(made) == resampled(prices, "1s", last)
    volume = sizes.resample("1s", closed="right", label="right").sum()
    volume = volume[volume > 0][: len(made)]
    assert np.allclose([bar.volume for bar in made], volume, rtol=1e-12, atol=0)
    flat = [bar for bar in strategy.of("1-second-last") if not bar.volume]
    assert all(bar.open == bar.high == bar.low == bar.close for bar in flat)
    ticks = strategy.of("50-tick-last")
    assert len(ticks) == len(prices) // 50
    assert [bar.close for bar in ticks] == prices.to_list()[49::50]
    by_volume = strategy.of("5-volume-last")
    assert len(by_volume) == int(sum(map(round, sizes * 1e6)) // 5_000_000)
    assert all(bar.volume == pytest.approx(5.0, abs=1e-12) for bar in by_volume)


def test_bars_of_real_quotes_are_the_same_in_a_backtest_and_a_replay() -> None:
    class Follows(Collects):
        def on_bar(self, bar: wb.Bar) -> None:
            super().on_bar(bar)
            side = "buy" if bar.close > bar.open else "sell"
            self.submit_order(self.orders.market(BTC.id, side, "0.01"))

    data = [
        wb.quotes(real("btcusdt-quotes.parquet"), BTC, tz="UTC"),
        wb.trades(real("btcusdt-trades.parquet"), BTC, tz="UTC"),
    ]
    strategy = Follows(series=["1-second-mid", "100-tick-last"], history=3)
    result = wb.backtest(strategy, data, instrument=BTC, progress=False)
    seen = strategy.seen
    assert len(result.fills) > 10
    node = wb.sandbox(strategy, data=data, instrument=BTC)
    node.build()
    node.run(raise_exception=True)
    assert strategy.seen == seen
    assert node.core.log.to_bytes() == result.log.to_bytes()
    node.dispose()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    ("series", "counted"),
    [
        ("3-tick-last", lambda _: 1),
        ("7-volume-last", lambda trade: trade.size),
        ("500-value-last", lambda trade: trade.size * trade.price),
    ],
)
def test_history_joins_bars_that_count_and_come_already_at_the_very_trade(
    series: str, counted: Callable[[wb.Trade], float], seed: int
) -> None:
    random = Random(seed)
    pair = wb.CurrencyPair.define("AUD/USD.SIM")
    ts, trades = 1, list[wb.Trade]()
    for number in range(1, 100):
        ts += random.choice((0, 0, 1_000, 5_000))
        buyer, name = wb.AggressorSide.BUYER, TradeId(str(number))
        size = float(random.randint(1, 9))
        trades.append(wb.Trade(pair.id, float(number), size, buyer, name, ts, ts))

    class First(wb.Actor):
        def on_start(self) -> None:
            self.own: list[wb.Bar] = []
            self.subscribe_bars(series)

        def on_bar(self, bar: wb.Bar) -> None:
            self.own.append(bar)

    class Late(wb.Actor):
        joins: int = 0

        def on_start(self) -> None:
            self.taken: list[wb.Bar] = []
            self.subscribe_trades()

        def on_trade(self, trade: wb.Trade) -> None:
            if trade.price == self.joins:
                history = 5 if "tick" in series else timedelta(microseconds=60)
                self.subscribe_bars(series, history=history)

        def on_historical_data(self, response: wb.DataResponse) -> None:
            self.past = len(response.data)
            self.taken += response.data

        def on_bar(self, bar: wb.Bar) -> None:
            self.taken.append(bar)

    begin = next(i for i in range(8, 99) if trades[i].ts_event > trades[i - 1].ts_event)
    actors = [First(), Late(joins=random.randint(begin + 20, 60))]
    result = wb.backtest(actors, trades, instrument=pair, start=trades[begin].ts_event)
    first, late = result.strategies
    taken: list[wb.Bar] = late.taken  # type: ignore[attr-defined]
    own: list[wb.Bar] = first.own  # type: ignore[attr-defined]

    # What is counted, one by one: a price is a trade's number, and tells where a bar begins.
    units = [trade.price for trade in trades for _ in range(int(counted(trade)))]
    step = int(series.split("-")[0])
    since = units.index(trades[begin].price)
    bars = [
        (units[i], units[i + step - 1]) for i in range(since % step, len(units) - step + 1, step)
    ]
    assert [(bar.open, bar.close) for bar in own] == bars[since // step :]
    assert [(bar.open, bar.close) for bar in taken] == bars[-len(taken) :]
    assert len(taken) > 15
    assert late.past >= 3  # type: ignore[attr-defined]

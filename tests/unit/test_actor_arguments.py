"""Wrong arguments of what an actor asks for: each error names what was expected and what came."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest

import workbench as wb
from workbench.model.identifiers import TradeId

PAIR = wb.CurrencyPair.define("AUD/USD.SIM")
DATA = [wb.Quote(PAIR.id, 1.0, 1.1, 1e6, 1e6, t, t) for t in (10, 20)] + [
    wb.Trade(PAIR.id, price, size, wb.AggressorSide.BUYER, TradeId("T"), t, t)
    for t, price, size in ((30, 10.0, 1.0), (40, 13.0, 2.0))
]


class Asks(wb.Actor):
    def on_quote(self, quote: wb.Quote) -> None:
        if quote.ts_event == 20:
            self.ask(self)

    ask: Any = None

    def on_start(self) -> None:
        self.answers: list[int] = []
        self.subscribe_quotes()

    def on_historical_data(self, response: wb.DataResponse) -> None:
        self.answers.append(len(response.data))


def run(ask: Callable[[Any], Any]) -> Any:
    return wb.backtest(Asks(ask=ask), DATA, instrument=PAIR, progress=False).strategies[0]


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "bar type is a number": (
        lambda a: a.subscribe_bars(5),
        "a bar type is INSTRUMENT-STEP-AGGREGATION-PRICE, such as"
        " 'BTC/USDT.BINANCE-1-minute-last'; got 5",
    ),
    "no bar type": (lambda a: a.request_bars(None), "a bar type is INSTRUMENT-STEP"),
    "indicator for nothing": (lambda a: a.register_indicator(5, wb.EMA(3)), "a bar type is INSTR"),
    "source is a number": (
        lambda a: a.subscribe_bars("5-minute-mid", source=5),
        "a source is 'quotes', 'trades' or finer bars such as '1-minute-last'; got 5",
    ),
    "flat bars": (
        lambda a: a.subscribe_bars("5-minute-mid", build_with_no_updates="no"),
        "build_with_no_updates must be True or False; got 'no'",
    ),
    "first bar": (
        lambda a: a.subscribe_bars("5-minute-mid", skip_first_non_full_bar=1),
        "skip_first_non_full_bar must be True or False; got 1",
    ),
    "limit is text": (
        lambda a: a.request_quotes(limit="x"),
        "limit must be a whole number, 1 or more; got 'x'",
    ),
    "limit is none": (lambda a: a.request_bars("1-tick-mid", limit=0), "limit must be a whole"),
    "start is text": (
        lambda a: a.request_trades(start="2024-01-01"),
        "start is nanoseconds or a datetime with a zone, such as datetime.UTC; got '2024-01-01'",
    ),
    "start has no zone": (
        lambda a: a.request_quotes(start=dt.datetime(2024, 1, 1)),
        "start is nanoseconds or a datetime with a zone",
    ),
    "end is a float": (lambda a: a.request_bars("1-tick-mid", end=1.5), "end is nanoseconds or"),
    "end before start": (
        lambda a: a.request_quotes(start=10, end=5),
        "end must not be before start; got 10 to 5",
    ),
    "signals of a number": (
        lambda a: a.subscribe_signals(5),
        "a signal's name is text, such as 'trend'; got 5",
    ),
    "signal is a number": (
        lambda a: a.publish_signal(5, 1.0),
        "a signal's name is text, such as 'trend'; got 5",
    ),
    "signal's value is text": (
        lambda a: a.publish_signal("trend", "up"),
        "the signal 'trend' must have a number for its value; got 'up'",
    ),
    "signal's value is none": (
        lambda a: a.publish_signal("trend", None),
        "the signal 'trend' must have a number for its value; got None",
    ),
    "alert's name": (lambda a: a.clock.set_alert(5, 10), "a timer's name is text; got 5"),
    "timer's name": (lambda a: a.clock.set_timer(None, 10), "a timer's name is text; got None"),
    "alert's callback": (
        lambda a: a.clock.set_alert("x", 10, 5),
        "'x': its callback takes a TimeEvent; got 5",
    ),
    "timer's callback": (
        lambda a: a.clock.set_timer("x", 10, "on_x"),
        "'x': its callback takes a TimeEvent; got 'on_x'",
    ),
    "timer's start": (
        lambda a: a.clock.set_timer("x", 10, start_ns="now"),
        "'x': start_ns is nanoseconds; got 'now'",
    ),
    "timer's stop": (
        lambda a: a.clock.set_timer("x", 10, stop_ns=dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
        "'x': stop_ns is nanoseconds; got datetime",
    ),
    "range of quotes": (
        lambda a: a.register_indicator("quotes", wb.ATR(3)),
        "ATR(3, value=nan) takes more than one value at a time; register it with bars",
    ),
    "volume of quotes": (
        lambda a: a.register_indicator("quotes", wb.VWAP()),
        "VWAP(value=nan) takes more than one value at a time; register it with bars or trades",
    ),
    "bands of text": (
        lambda a: wb.BollingerBands(20, "x"),  # type: ignore[arg-type]
        "deviations must be a positive number; got 'x'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_with_what_was_expected(name: str) -> None:
    ask, text = WRONG[name]
    with pytest.raises(wb.StrategyError, match=re.escape(text)) as raised:
        run(ask)
    assert isinstance(raised.value.__cause__, wb.ConfigError)


def test_requests_take_datetimes_as_well_as_nanoseconds() -> None:
    actor = run(lambda a: a.request_quotes(start=dt.datetime(1970, 1, 1, tzinfo=dt.UTC)))
    assert actor.answers == run(lambda a: a.request_quotes(start=0)).answers == [2]


def test_a_vwap_registered_with_trades_counts_their_sizes() -> None:
    class Average(wb.Actor):
        def on_start(self) -> None:
            self.vwap = wb.VWAP()
            self.register_indicator("trades", self.vwap)
            self.subscribe_trades()

    (actor,) = wb.backtest(Average(), DATA, instrument=PAIR, progress=False).strategies
    assert actor.vwap.value == 12.0  # type: ignore[attr-defined]

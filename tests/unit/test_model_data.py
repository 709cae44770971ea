"""Market data: how bars are named, and the views of a quote and of a pair of bars."""

from __future__ import annotations

import pytest

from workbench.model.data import NANOSECONDS_IN_SECOND, Bar, BarSpec, BarType, BidAskBar, Quote
from workbench.model.enums import BarAggregation, PriceType
from workbench.model.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1-minute-bid", BarSpec(1, BarAggregation.MINUTE, PriceType.BID)),
        ("15-MINUTE", BarSpec(15, BarAggregation.MINUTE, PriceType.LAST)),
        ("1000-tick-mid", BarSpec(1000, BarAggregation.TICK, PriceType.MID)),
    ],
)
def test_a_bar_specification_is_read_from_its_text(text: str, spec: BarSpec) -> None:
    assert BarSpec.parse(text) == spec
    assert BarSpec.parse(str(spec)) == spec
    assert hash(BarSpec.parse(text)) == hash(spec)


@pytest.mark.parametrize("text", ["", "minute", "1", "1-", "-1-minute", "1.5-minute", "1-minute-"])
def test_a_bar_specification_with_a_part_missing_shows_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="STEP-AGGREGATION-PRICE, such as '1-minute-last'"):
        BarSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1-fortnight", "bar aggregation must be one of 'millisecond', 'second'"),
        ("1-minute-low", "bar price must be one of 'last', 'bid', 'ask', 'mid'; got 'low'"),
        ("0-minute", "a bar's step must be 1 or more; got 0"),
    ],
)
def test_a_bar_specification_with_a_wrong_part_names_the_part(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BarSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250-millisecond", 0.25), ("5-minute", 300), ("4-hour", 14_400), ("1-week", 604_800)],
)
def test_a_bar_of_fixed_length_knows_it_in_nanoseconds(text: str, seconds: float) -> None:
    assert BarSpec.parse(text).interval_ns == seconds * NANOSECONDS_IN_SECOND


@pytest.mark.parametrize("text", ["1-month", "100-tick", "5-volume", "5-value"])
def test_a_bar_of_varying_length_has_no_interval(text: str) -> None:
    assert BarSpec.parse(text).interval_ns is None


@pytest.mark.parametrize(
    ("text", "instrument_id"),
    [
        ("AUD/USD.SIM-1-minute-bid", "AUD/USD.SIM"),
        ("BTC/USDT-PERP.BINANCE-5-minute", "BTC/USDT-PERP.BINANCE"),
        ("A.SIM-2-5-minute-bid", "A.SIM-2"),
        ("A.SIM-2-x-5-minute", "A.SIM-2-x"),
    ],
)
def test_a_bar_type_is_an_instrument_and_a_specification(text: str, instrument_id: str) -> None:
    bar_type = BarType.parse(text)
    assert bar_type.instrument_id == instrument_id
    assert BarType.parse(str(bar_type)) == bar_type
    assert BarType.parse(bar_type) is bar_type
    assert repr(bar_type) == f"BarType('{bar_type}')"


@pytest.mark.parametrize("text", ["", "AUD/USD.SIM", "1-minute-bid", "AUD/USD.SIM-minute"])
def test_a_bar_type_with_a_part_missing_shows_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match="INSTRUMENT-STEP-AGGREGATION-PRICE, such as"):
        BarType.parse(text)


def test_a_bar_type_of_a_bad_instrument_says_so() -> None:
    with pytest.raises(ConfigError, match=r"an instrument id is SYMBOL\.VENUE"):
        BarType.parse("AUDUSD-1-minute-bid")


def test_a_quote_knows_its_middle() -> None:
    assert Quote("AUD/USD.SIM", 1.0, 1.5, 1.0, 1.0, 1, 2).mid == 1.25


def test_a_pair_of_bars_is_one_event_of_one_instrument() -> None:
    bid = Bar(BarType.parse("AUD/USD.SIM-1-minute-bid"), 1.0, 1.0, 1.0, 1.0, None, 60, 61)
    ask = Bar(BarType.parse("AUD/USD.SIM-1-minute-ask"), 1.1, 1.1, 1.1, 1.1, None, 60, 62)
    both = BidAskBar(bid, ask)
    assert (both.instrument_id, both.ts_event, both.ts_init) == ("AUD/USD.SIM", 60, 61)
    assert ask.instrument_id == "AUD/USD.SIM"

"""Identifiers and the words of closed vocabularies, checked where they enter."""

from __future__ import annotations

import pytest

from workbench.model.enums import LiquiditySide, OrderSide, TimeInForce, parse_enum
from workbench.model.errors import ConfigError
from workbench.model.identifiers import (
    ClientOrderIds,
    parse_instrument_id,
    parse_name,
    symbol_of,
    venue_of,
)


@pytest.mark.parametrize(
    ("text", "symbol", "venue"),
    [
        ("BTC/USDT.BINANCE", "BTC/USDT", "BINANCE"),
        ("BRK.B.NYSE", "BRK.B", "NYSE"),
        ("BTC/USDT-PERP.X-1_a", "BTC/USDT-PERP", "X-1_a"),
        ("日経.TSE", "日経", "TSE"),
    ],
)
def test_an_instrument_id_is_split_at_its_last_dot(text: str, symbol: str, venue: str) -> None:
    assert parse_instrument_id(text) == text
    assert (symbol_of(text), venue_of(text)) == (symbol, venue)


@pytest.mark.parametrize(
    "text", ["", "BTC", ".BINANCE", "BTC.", "BTC USDT.X", "BTC.BIN ANCE", "BTC.X\n", "A.-X", "A.Ü"]
)
def test_an_instrument_id_without_symbol_or_venue_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"an instrument id is SYMBOL\.VENUE"):
        parse_instrument_id(text)


@pytest.mark.parametrize("text", ["A", "trader-1", "0_x"])
def test_a_name_holds_letters_digits_and_dashes(text: str) -> None:
    assert parse_name(text, "trader id") == text


@pytest.mark.parametrize("text", ["", "-a", "_a", "a b", "a.b", "é", "a\n"])
def test_a_bad_name_is_refused_with_what_it_is_for(text: str) -> None:
    with pytest.raises(ConfigError, match="trader id must start with a letter or digit"):
        parse_name(text, "trader id")


def test_client_order_ids_count_up_and_never_repeat() -> None:
    ids = ClientOrderIds("R", "1")
    assert [ids.next() for _ in range(3)] == ["O-R-1-1", "O-R-1-2", "O-R-1-3"]


def test_client_order_ids_fit_36_characters_for_a_hundred_million_orders() -> None:
    longest = "x" * (36 - len("O--1-") - 9)
    ClientOrderIds(longest, "1")
    with pytest.raises(ConfigError, match="shorten the run or owner tag"):
        ClientOrderIds(longest + "x", "1")


def test_client_order_ids_refuse_characters_that_venues_refuse() -> None:
    with pytest.raises(ConfigError, match="at most 36 characters out of"):
        ClientOrderIds("a b", "1")


@pytest.mark.parametrize("text", ["gtc", "GTC", "Gtc"])
def test_a_word_is_read_in_any_case(text: str) -> None:
    assert parse_enum(TimeInForce, text, "time in force") is TimeInForce.GTC


@pytest.mark.parametrize("value", ["", "long", None, 1])
def test_a_wrong_word_is_answered_with_the_right_ones(value: object) -> None:
    with pytest.raises(ConfigError, match="side must be one of 'buy', 'sell'; got"):
        parse_enum(OrderSide, value, "side")  # pyright: ignore[reportArgumentType]


def test_a_side_knows_its_sign_and_its_opposite() -> None:
    assert [side.sign for side in OrderSide] == [1, -1]
    assert [side.opposite for side in OrderSide] == [OrderSide.SELL, OrderSide.BUY]
    assert [side.value for side in LiquiditySide] == ["maker", "taker"]

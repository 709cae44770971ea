"""Instruments: definitions, and the border between floats and exact numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workbench.model.errors import ConfigError, InstrumentError
from workbench.model.instruments import (
    CryptoPerpetual,
    CurrencyPair,
    Equity,
    Future,
    Instrument,
    to_decimal,
)
from workbench.model.money import Currency

FOREX = CurrencyPair.define("AUD/USD.SIM")
ES: dict[str, Any] = {"underlying": "ES", "expiration_ns": 10**18}


def defined(kind: str, **more: Any) -> Instrument:
    if kind == "pair":
        return CurrencyPair.define("BTC/USDT.SIM", **more)
    if kind == "perpetual":
        return CryptoPerpetual.define("BTC/USDT-PERP.SIM", **more)
    if kind == "equity":
        return Equity.define("AAPL.NASDAQ", **more)
    return Future.define("ESH4.CME", **(ES | more))


KINDS = ["pair", "perpetual", "equity", "future"]


# Definitions


def test_a_pair_takes_its_currencies_from_its_symbol() -> None:
    pair = CurrencyPair.define("BTC/USDT.BINANCE", price_increment="0.01", taker_fee=0.001)
    assert (pair.base_currency, pair.quote_currency, pair.settlement_currency) == (
        Currency("BTC", 8),
        Currency("USDT", 8),
        Currency("USDT", 8),
    )
    assert (pair.taker_fee, pair.price_digits, pair.quantity_digits) == (Decimal("0.001"), 2, 0)
    assert pair.venue == "BINANCE"


def test_a_pair_without_a_slash_needs_its_currencies_said() -> None:
    with pytest.raises(InstrumentError, match="pass base_currency, or write the symbol as BASE/"):
        CurrencyPair.define("AUDUSD.SIM")
    with pytest.raises(InstrumentError, match="pass quote_currency"):
        CurrencyPair.define("AUDUSD.SIM", base_currency="AUD")
    pair = CurrencyPair.define("AUDUSD.SIM", base_currency="AUD", quote_currency="USD")
    assert pair.settlement_currency.code == "USD"


def test_a_perpetual_settles_in_its_quote_currency_and_an_inverse_one_in_its_base() -> None:
    linear = CryptoPerpetual.define("BTC/USDT-PERP.SIM")
    inverse = CryptoPerpetual.define("BTC/USD-PERP.SIM", is_inverse=True, price_increment="0.5")
    assert (linear.settlement_currency.code, inverse.settlement_currency.code) == ("USDT", "BTC")
    assert inverse.quote_currency.code == "USD"
    assert linear.notional(Decimal(2), Decimal(10_000)) == 20_000
    assert inverse.notional(Decimal(20_000), Decimal(10_000)) == 2
    assert inverse.profit(Decimal(-1000), Decimal(10_000), Decimal(12_500)) == Decimal("-0.02")
    chosen = CryptoPerpetual.define("BTC/USD.SIM", is_inverse=True, settlement_currency="USD")
    assert chosen.settlement_currency.code == "USD"


def test_a_share_is_in_dollars_unless_another_currency_is_named() -> None:
    assert Equity.define("AAPL.NASDAQ", isin="US0378331005").isin == "US0378331005"
    for euro in (
        Equity.define("SAP.XETRA", currency="EUR"),
        Equity.define("SAP.XETRA", quote_currency="EUR"),
    ):
        assert euro.quote_currency.code == euro.settlement_currency.code == "EUR"


def test_a_future_has_an_underlying_a_multiplier_and_an_end() -> None:
    future = Future.define("ESH4.CME", **ES, multiplier=50, activation_ns=5)
    assert (future.underlying, future.activation_ns, future.expiration_ns) == ("ES", 5, 10**18)
    assert future.notional(Decimal(2), Decimal(100)) == 10_000
    with pytest.raises(InstrumentError, match="it must expire after its activation"):
        Future.define("ESH4.CME", underlying="ES", expiration_ns=5, activation_ns=5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_common_attribute_can_be_given_as_a_plain_number(kind: str) -> None:
    limits: dict[str, Any] = {
        "min_quantity": 1,
        "max_quantity": "1e6",
        "min_notional": 5.5,
        "max_notional": Decimal(10) ** 9,
        "margin_init": 0.05,
        "margin_maint": "0.025",
        "maker_fee": -0.0001,
        "taker_fee": 0.1,
    }
    instrument = defined(kind, **limits, ts_event=7, ts_init=8)
    for name, value in limits.items():
        assert getattr(instrument, name) == Decimal(str(value))
    assert (instrument.ts_event, instrument.ts_init) == (7, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_argument_is_named_with_those_that_exist(kind: str) -> None:
    with pytest.raises(
        ConfigError, match=r"define has no argument 'tick', 'zzz'; it takes .*price_increment"
    ):
        defined(kind, zzz=1, tick=0.1)
    with pytest.raises(ConfigError, match="has no argument 'id'"):
        defined(kind, id="X.Y")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["abc", "", float("nan"), float("inf"), [], True, "sNaN"])
def test_a_bad_number_is_refused_by_its_name(kind: str, value: object) -> None:
    with pytest.raises(ConfigError, match=r"taker_fee must be a (finite )?number; got"):
        defined(kind, taker_fee=value)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("is_inverse", "yes", "bool"),
        ("is_inverse", 1, "bool"),
        ("ts_event", 1.5, "int"),
        ("ts_init", True, "int"),
    ],
)
def test_a_flag_or_time_of_another_type_is_refused(name: str, value: object, wanted: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be of type {wanted}; got"):
        defined("perpetual", **{name: value})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"price_increment": 0}, "price_increment must be positive; got 0"),
        ({"quantity_increment": "-1"}, "quantity_increment must be positive; got -1"),
        ({"multiplier": 0}, "multiplier must be positive; got 0"),
        ({"margin_init": -1}, "margin_init must not be negative; got -1"),
        ({"margin_maint": -1}, "margin_maint must not be negative; got -1"),
        ({"min_quantity": -1}, "min_quantity must not be negative; got -1"),
        ({"max_notional": -1}, "max_notional must not be negative; got -1"),
        ({"min_quantity": 2, "max_quantity": 1}, "min_quantity 2 is above max_quantity 1"),
        ({"min_notional": 2, "max_notional": 1}, "min_notional 2 is above max_notional 1"),
    ],
)
def test_an_inconsistent_definition_says_what_does_not_fit(
    kind: str, limits: dict[str, object], words: str
) -> None:
    with pytest.raises(InstrumentError, match=words):
        defined(kind, **limits)


@pytest.mark.parametrize("kind", KINDS)
def test_none_means_that_an_attribute_was_not_given(kind: str) -> None:
    given = defined(kind, max_quantity=None, settlement_currency=None, taker_fee=None)
    assert given == defined(kind)


def test_a_definition_with_a_bad_id_or_currency_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"an instrument id is SYMBOL\.VENUE"):
        Equity.define("AAPL")
    with pytest.raises(ConfigError, match="no currency 'XXX' is known"):
        Equity.define("AAPL.NASDAQ", currency="XXX")


# The border between floats and exact numbers


@pytest.mark.parametrize("value", [0.1, "0.1", Decimal("0.1")])
def test_a_number_becomes_the_shortest_decimal_that_means_it(value: float | str | Decimal) -> None:
    assert to_decimal(value) == Decimal("0.1")


@pytest.mark.parametrize(
    ("value", "price"),
    [
        (0.6543212, "0.65432"),
        (0.654325000001, "0.65433"),
        ("0.654325", "0.65432"),
        (Decimal("0.654335"), "0.65434"),
        (1, "1.00000"),
        (-0.000012, "-0.00001"),
        (0.1 + 0.2, "0.30000"),
    ],
)
def test_a_price_is_rounded_to_the_nearest_tick(value: Any, price: str) -> None:
    rounded = FOREX.price(value)
    assert rounded == Decimal(price)
    assert f"{rounded:.5f}" == price.ljust(7, "0")


@pytest.mark.parametrize(
    ("value", "quantity"),
    [
        (0.39, "0.3"),
        ("0.39", "0.3"),
        (0.3, "0.3"),
        (0.1 + 0.2, "0.3"),
        (0.7 - 0.4, "0.3"),
        (0.29999, "0.2"),
        (12, "12"),
        (-0.39, "-0.3"),
        ("-0.39", "-0.3"),
        (1e20, "1e20"),
    ],
)
def test_a_quantity_is_never_rounded_to_more_than_was_asked_for(value: Any, quantity: str) -> None:
    pair = CurrencyPair.define("AUD/USD.SIM", quantity_increment="0.1")
    assert pair.quantity(value) == Decimal(quantity)


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (0.65432, "0.65432"),
        (0.1 + 0.2, "0.3"),
        (0.654321, "0.654321"),
        (0.6543200001, "0.6543200001"),
        (Decimal("0.6543212345"), "0.6543212345"),
        ("0.6543212345", "0.6543212345"),
        (2, "2"),
    ],
)
def test_an_exact_price_is_the_tick_that_is_meant_or_the_number_itself(
    value: Any, exact: str
) -> None:
    assert FOREX.exact_price(value) == Decimal(exact)


def test_an_exact_quantity_stays_exact_where_floats_are_coarser_than_its_steps() -> None:
    pair = CurrencyPair.define("BTC/USDT.SIM", quantity_increment="0.00000001")
    assert pair.exact_quantity(0.1 + 0.2) == Decimal("0.3")
    assert pair.exact_quantity(123456789.12345678) == Decimal("123456789.12345678")
    assert pair.quantity(123456789.12345678) == Decimal("123456789.12345678")
    off = CurrencyPair.define("BTC/USDT.SIM", quantity_increment="0.000003")
    assert off.exact_quantity(2.0**53) == Decimal(2**53)  # 1/3 step off the grid
    assert off.quantity(2.0**53) == Decimal(2**53) - Decimal("0.000002")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "NaN", "x", True])
@pytest.mark.parametrize("method", ["price", "quantity", "exact_price", "exact_quantity"])
def test_what_is_not_a_finite_number_never_crosses_the_border(method: str, value: object) -> None:
    with pytest.raises(ConfigError, match=r"(price|quantity) must be a (finite )?number; got"):
        getattr(FOREX, method)(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_has_no_ticks(value: float) -> None:
    with pytest.raises(ConfigError, match="price must be a finite number"):
        FOREX.ticks(value)


def test_ticks_see_every_exact_touch_that_a_comparison_of_decimals_with_floats_misses() -> None:
    missed = 0
    for tick in range(1, 20_000):
        limit = FOREX.price_increment * tick
        ask = float(limit)
        missed += not Decimal(limit) >= Decimal(ask)
        assert FOREX.ticks(ask) == FOREX.ticks(float(limit)) == tick
        assert FOREX.price(ask) == FOREX.exact_price(ask) == limit
    assert missed > 5_000  # the trap is real


def test_the_size_of_a_tick_is_kept_beside_the_fields_and_does_not_count_as_one() -> None:
    used, fresh = CurrencyPair.define("AUD/USD.SIM"), CurrencyPair.define("AUD/USD.SIM")
    assert used.tick_size == used.tick_size == 0.00001
    assert used == fresh

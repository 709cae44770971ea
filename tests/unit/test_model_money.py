"""Currencies and exact amounts of money."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workbench.model.errors import ConfigError
from workbench.model.money import CURRENCIES, Currency, Money, currency, round_to_digits

USD = currency("USD")
EUR = currency("EUR")


def usd(amount: str) -> Money:
    return Money(Decimal(amount), USD)


@pytest.mark.parametrize(("code", "digits"), [("USD", 2), ("JPY", 0), ("BTC", 8), ("USDT", 8)])
def test_a_known_currency_shows_its_own_number_of_digits(code: str, digits: int) -> None:
    assert currency(code).digits == digits
    assert currency(code.lower()) is currency(code)
    assert str(currency(code)) == code


def test_every_known_currency_stands_under_its_own_code() -> None:
    assert all(code == unit.code for code, unit in CURRENCIES.items())


def test_an_unknown_code_says_how_to_make_a_currency_of_ones_own() -> None:
    with pytest.raises(ConfigError, match=r"pass Currency\('PEPE', digits=...\)"):
        currency("PEPE")
    own = Currency("PEPE", 18)
    assert currency(own) is own


@pytest.mark.parametrize("code", ["", "US D", "USD\n"])
def test_a_currency_code_is_one_word(code: str) -> None:
    with pytest.raises(ConfigError, match="a currency code is a word"):
        Currency(code, 2)


@pytest.mark.parametrize("digits", [-1, 19])
def test_a_currency_has_between_none_and_eighteen_digits(digits: int) -> None:
    with pytest.raises(ConfigError, match=f"between 0 and 18; got {digits}"):
        Currency("X", digits)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1_000_000 USD", "1000000"),
        ("1,000,000.50 USD", "1000000.50"),
        ("-1,000 usd", "-1000"),
        ("  12.30\tUSD ", "12.30"),
        ("1e3 USD", "1000"),
        (".5 USD", "0.5"),
    ],
)
def test_money_is_read_as_people_write_it(text: str, amount: str) -> None:
    assert Money.parse(text) == usd(amount)


def test_money_that_is_read_keeps_every_digit() -> None:
    digits = "1234567890.123456789012345678"
    assert Money.parse(f"{digits} USD").amount == Decimal(digits)
    assert Money.parse(usd("1")) == usd("1")


@pytest.mark.parametrize(
    "text",
    ["", "USD", "1000", "1000 USD now", "one USD", "nan USD", "inf USD", "1,5 USD", "1,0000 USD"],
)
def test_what_is_not_clearly_money_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="money is an amount and a currency"):
        Money.parse(text)


def test_money_in_an_unknown_currency_is_refused() -> None:
    with pytest.raises(ConfigError, match="no currency 'XXX' is known"):
        Money.parse("1 XXX")


def test_amounts_of_one_currency_add_subtract_negate_and_compare() -> None:
    assert usd("0.1") + usd("0.2") == usd("0.3")
    assert usd("1") - usd("3") == -usd("2")
    assert usd("1.0") == usd("1.00")
    assert hash(usd("1.0")) == hash(usd("1.00"))
    assert sorted([usd("2"), usd("-1"), usd("1")]) == [usd("-1"), usd("1"), usd("2")]
    assert usd("1") <= usd("1") < usd("2")
    assert usd("2") >= usd("1")


def test_amounts_of_two_currencies_never_mix() -> None:
    euros = Money(Decimal(1), EUR)
    assert euros != usd("1")
    for mix in (
        lambda: usd("1") + euros,
        lambda: usd("1") - euros,
        lambda: usd("1") < euros,
        lambda: usd("1") >= euros,
    ):
        with pytest.raises(ConfigError, match="cannot combine USD with EUR"):
            mix()


def test_money_is_shown_rounded_half_even_and_kept_exact() -> None:
    amount = usd("1234567.125")
    assert str(amount) == "1,234,567.12 USD"
    assert amount.rounded() == usd("1234567.12")
    assert repr(amount) == "Money('1234567.125 USD')"
    assert str(Money(Decimal("-2.5"), currency("JPY"))) == "-2 JPY"
    assert Money.parse("1_000 USD") == Money.parse(str(usd("1000")))


def test_an_amount_too_large_for_28_digits_with_its_decimals_is_still_shown() -> None:
    wei = Currency("WEI", 18)
    assert str(Money(Decimal(10) ** 27, wei)).startswith("1,000,000,000,000,000,000,000,000,000.00")
    assert round_to_digits(Decimal("5e20"), currency("BTC")) == Decimal("5e20")

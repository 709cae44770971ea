"""Rates of exchange: direct, the other way round, across others, fixed; never guessed."""

from __future__ import annotations

from decimal import Decimal, localcontext
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.cache import Cache
from workbench.engines.rates import Rates, RateStep
from workbench.model.data import Quote
from workbench.model.enums import PriceType
from workbench.model.errors import ConfigError, PriceError
from workbench.model.instruments import CryptoPerpetual, CurrencyPair
from workbench.model.money import Currency, currency

D = Decimal
BID, ASK = PriceType.BID, PriceType.ASK


class Prices:
    """A cache with pairs, and quotes of some of them."""

    def __init__(self, *pairs: str) -> None:
        self.cache = Cache()
        for name in pairs:
            self.add(name)

    def add(self, name: str) -> None:
        self.cache.add_instrument(CurrencyPair.define(name, price_increment="0.01"))

    def quote(self, name: str, bid: float, ask: float) -> None:
        pair = self.cache.require_instrument(name)
        self.cache.market(pair.id).quote = Quote(pair.id, bid, ask, 1.0, 1.0, 1, 1)


def test_a_pairs_price_is_a_rate_at_the_middle_or_on_the_side_that_trades() -> None:
    prices = Prices("EUR/USD.FX")
    prices.quote("EUR/USD.FX", 1.5, 1.6)
    rates = Rates(prices.cache)
    assert rates.rate("EUR", "USD") == D("1.55")
    # Selling euros hits the bid; buying them lifts the ask.
    assert rates.rate("EUR", "USD", BID) == D("1.5")
    assert rates.rate("EUR", "USD", ASK) == D("1.6")
    # Selling dollars buys the pair at the ask; buying dollars sells it at the bid.
    assert rates.rate("USD", "EUR", BID) == D("0.625")
    assert rates.rate("USD", "EUR", ASK) == 1 / D("1.5")
    assert rates.rate(currency("USD"), "USD") == 1
    with pytest.raises(ConfigError, match="MID, BID or ASK prices; got LAST"):
        rates.rate("EUR", "USD", PriceType.LAST)


def test_a_rate_is_not_known_without_a_positive_price_of_both_sides() -> None:
    prices = Prices("EUR/USD.FX")
    rates = Rates(prices.cache)
    assert rates.rate("EUR", "USD") is None
    prices.quote("EUR/USD.FX", 1.5, nan)
    assert rates.rate("EUR", "USD") is None
    assert rates.rate("EUR", "USD", BID) == D("1.5")
    assert rates.rate("EUR", "USD", ASK) is None
    prices.quote("EUR/USD.FX", -1.0, 1.5)
    assert rates.rate("EUR", "USD") is None
    prices.quote("EUR/USD.FX", 1.5, 1.5)
    assert rates.rate("EUR", "USD") == D("1.5")
    assert rates.rate("EUR", "JPY") is None
    assert rates.steps("EUR", "JPY") is None


def test_only_pairs_are_rates_and_new_ones_are_seen() -> None:
    prices = Prices()
    perp = CryptoPerpetual.define("BTC/USDT-PERP.SIM")
    prices.cache.add_instrument(perp)
    prices.cache.market(perp.id).quote = Quote(perp.id, 9.0, 9.0, 1.0, 1.0, 1, 1)
    rates = Rates(prices.cache)
    assert rates.rate("BTC", "USDT") is None
    prices.add("BTC/USDT.SIM")
    prices.quote("BTC/USDT.SIM", 10.0, 10.0)
    assert rates.rate("BTC", "USDT") == 10


def test_a_rate_across_takes_the_fewest_pairs_and_then_the_alphabet() -> None:
    prices = Prices("CHF/JPY.FX", "CHF/USD.FX", "EUR/JPY.FX", "EUR/USD.FX", "AUD/JPY.FX")
    prices.quote("CHF/JPY.FX", 150.0, 150.0)
    prices.quote("CHF/USD.FX", 1.25, 1.25)
    prices.quote("EUR/JPY.FX", 160.0, 160.0)
    prices.quote("EUR/USD.FX", 1.0, 1.0)
    rates = Rates(prices.cache)
    assert rates.steps("JPY", "USD") == [
        RateStep("JPY", "CHF", "CHF/JPY.FX", 1 / D(150)),
        RateStep("CHF", "USD", "CHF/USD.FX", D("1.25")),
    ]
    assert rates.convert(D(300), "JPY", "USD") == D("2.5")
    prices.quote("AUD/JPY.FX", 100.0, 100.0)
    # Longer, though its currency comes first.
    assert rates.convert(D(100), "AUD", "USD") == 100 * D(100) * D("1.25") / 150
    assert rates.convert(D(300), "JPY", "USD") == D("2.5")
    prices.add("USD/JPY.FX")
    prices.quote("USD/JPY.FX", 100.0, 100.0)
    assert rates.convert(D(300), "JPY", "USD") == 3
    assert rates.steps("USD", "USD") == []


def test_between_two_currencies_the_pair_quoted_that_way_round_comes_first_by_id() -> None:
    prices = Prices("USD/EUR.A", "EUR/USD.C", "EUR/USD.B")
    prices.quote("USD/EUR.A", 0.5, 0.5)
    rates = Rates(prices.cache)
    assert rates.rate("EUR", "USD") == 2
    prices.quote("EUR/USD.C", 3.0, 3.0)
    assert rates.rate("EUR", "USD") == 3
    prices.quote("EUR/USD.B", 4.0, 4.0)
    assert rates.rate("EUR", "USD") == 4
    assert rates.rate("USD", "EUR") == D("0.5")


def test_fixed_rates_go_before_prices_and_both_ways() -> None:
    prices = Prices("USDT/USD.SIM", "BTC/USDT.SIM")
    prices.quote("USDT/USD.SIM", 0.99, 0.99)
    prices.quote("BTC/USDT.SIM", 50_000.0, 50_000.0)
    rates = Rates(prices.cache, {"USDT/USD": 1})
    assert rates.rate("USDT", "USD") == 1
    assert rates.convert(D(2), "BTC", "USD") == 100_000
    assert rates.steps("BTC", "USD") == [
        RateStep("BTC", "USDT", "BTC/USDT.SIM", D(50_000)),
        RateStep("USDT", "USD", "fixed", D(1)),
    ]
    rates.fix("USD", "USDT", "1.25")
    assert rates.fixed == {"USD/USDT": D("1.25")}
    assert rates.rate("USDT", "USD") == D("0.8")
    coin = Currency("MINE", 2)
    rates.fix(coin, "USD", 4)
    assert rates.rate("USDT", coin) == D("0.2")


@pytest.mark.parametrize(
    ("fixed", "says"),
    [
        ({"USDT": 1}, "named like 'USDT/USD'; got 'USDT'"),
        ({"USDT/USD": 0}, "the rate USDT/USD must be positive; got 0"),
        ({"USDT/USD": "x"}, "the rate USDT/USD must be a number; got 'x'"),
        ({"USD/USD": 1}, "between two currencies; got 'USD' and 'USD'"),
        ({"USD/": 1}, "between two currencies; got 'USD' and ''"),
    ],
)
def test_a_fixed_rate_that_is_none_is_refused(fixed: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Rates(Cache(), fixed)


def test_a_sum_in_one_currency_names_every_rate_that_is_missing() -> None:
    prices = Prices("EUR/USD.FX", "GBP/USD.FX")
    prices.quote("EUR/USD.FX", 2.0, 2.0)
    rates = Rates(prices.cache)
    assert rates.total({"USD": D(1), "EUR": D(2), "XMR": D(0)}, "USD") == 5
    assert rates.total({}, "USD") == 0
    amounts = {"GBP": D(1), "USD": D(1), "XMR": D(1)}
    with pytest.raises(PriceError) as caught:
        rates.total(amounts, "USD")
    assert str(caught.value) == (
        "no rate GBP/USD, XMR/USD is known (pairs without a price: GBP/USD.FX); subscribe to a pair"
        " that says it, or fix it: portfolio.rates.fix('GBP', 'USD', rate)"
    )
    assert rates.missing(amounts, "USD") == ["GBP/USD", "XMR/USD"]
    with pytest.raises(PriceError, match=r"no rate XMR/EUR is known \(no pair says it\)"):
        rates.total({"XMR": D(1)}, "EUR")


def test_rates_are_exact_to_28_digits_whatever_the_callers_context() -> None:
    prices = Prices("BTC/USD.SIM")
    prices.quote("BTC/USD.SIM", 3.0, 3.0)
    rates = Rates(prices.cache)
    with localcontext(prec=3):
        assert rates.rate("USD", "BTC") == D("0.3333333333333333333333333333")
        # Multiplied first: a third of three hundred is a hundred.
        assert rates.convert(D(300), "USD", "BTC") == 100
        assert rates.total({"BTC": D("1.23456789"), "USD": D("0.00000001")}, "BTC") > D("1.2345")


PAIRS = ("AUD/USD.SIM", "EUR/AUD.SIM", "EUR/JPY.SIM", "GBP/JPY.SIM", "JPY/KRW.SIM", "USD/CHF.SIM")


@given(
    known=st.dictionaries(st.sampled_from(PAIRS), st.integers(1, 500_000)),
    source=st.sampled_from(["AUD", "CHF", "EUR", "GBP", "JPY", "KRW", "USD"]),
    target=st.sampled_from(["AUD", "CHF", "EUR", "GBP", "JPY", "KRW", "USD"]),
    side=st.sampled_from([PriceType.MID, BID, ASK]),
)
def test_a_rate_is_known_exactly_where_known_prices_connect_and_back_gives_one(
    known: dict[str, int], source: str, target: str, side: PriceType
) -> None:
    prices = Prices(*PAIRS)
    group = {code: code for name in PAIRS for code in name.removesuffix(".SIM").split("/")}
    for name, cents in known.items():
        prices.quote(name, cents / 100, cents / 100)
        base, quote = name.removesuffix(".SIM").split("/")
        old, new = group[base], group[quote]
        group = {code: new if g == old else g for code, g in group.items()}
    rates = Rates(prices.cache)
    there, back = rates.rate(source, target, side), rates.rate(target, source, side)
    assert (there is None) == (back is None) == (group[source] != group[target])
    if there is not None and back is not None:
        assert abs(there * back - 1) < D("1e-20")
        product = D(1)
        for step in rates.steps(source, target, side) or []:
            product *= step.rate
        assert abs(product - there) < D("1e-20") * there

"""Accounts kept in one currency, inverse contracts, funding, leverage and hedged positions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workbench.engines.accounts import Account, CashAccount, FundingPayment, MarginAccount
from workbench.engines.needs import (
    Need,
    account_need,
    estimated_fee,
    holding_refusal,
    margin_need,
)
from workbench.model.enums import (
    AccountType,
    LiquiditySide,
    OrderManagement,
    OrderSide,
    OrderType,
)
from workbench.model.errors import ConfigError
from workbench.model.events import OrderFilled
from workbench.model.identifiers import AccountId, ClientOrderId, PositionId, StrategyId
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Future, Instrument
from workbench.model.money import Currency, Money, currency

D = Decimal
NAME, ME = AccountId("SIM-PAPER"), StrategyId("S-1")
ONE, TWO = ClientOrderId("O-1"), ClientOrderId("O-2")
LONG, SHORT = PositionId("P-LONG"), PositionId("P-SHORT")
USD, JPY, EUR, BTC = map(currency, ("USD", "JPY", "EUR", "BTC"))
YEN = CurrencyPair.define("USD/JPY.SIM", margin_init="0.1", margin_maint="0.05")
INVERSE = CryptoPerpetual.define(
    "BTC/USD-PERP.SIM",
    is_inverse=True,
    quantity_increment=1,
    margin_init="0.1",
    margin_maint="0.05",
)
PERP = CryptoPerpetual.define("BTC/USDT-PERP.SIM", margin_init="0.1", margin_maint="0.05")
SHARE = Equity.define("ACME.SIM", currency="EUR", taker_fee="0.01", maker_fee="0.02")


class KnownRates:
    """Rates that a test sets: what one of the first currency is worth in the second."""

    def __init__(self, **rates: str) -> None:
        self.rates = {tuple(name.split("_")): D(rate) for name, rate in rates.items()}

    def convert(self, amount: Decimal, source: Currency, target: Currency) -> Decimal | None:
        rate = self.rates.get((source.code, target.code))
        return None if rate is None else amount * rate


def money(*texts: str) -> list[Money]:
    return [Money.parse(text) for text in texts]


def fill(
    instrument: Instrument,
    side: str,
    quantity: str,
    price: str,
    commission: str = "0",
    unit: Currency | None = None,
    position: PositionId | None = None,
) -> OrderFilled:
    ids: Any = {"venue_order_id": "V-1", "trade_id": "T-1"}
    return OrderFilled(
        **ids,
        strategy_id=ME,
        instrument_id=instrument.id,
        client_order_id=ONE,
        account_id=NAME,
        side=OrderSide(side),
        order_type=OrderType.MARKET,
        quantity=D(quantity),
        price=D(price),
        commission=D(commission),
        commission_currency=unit or instrument.settlement_currency,
        liquidity=LiquiditySide.TAKER,
        position_id=position,
        ts_event=1,
        ts_init=1,
    )


def trade(account: Account, *fills: OrderFilled) -> None:
    instruments = {one.id: one for one in (YEN, INVERSE, PERP, SHARE)}
    for one in fills:
        account.apply_fill(instruments[one.instrument_id], one)


def balances(account: Account) -> dict[str, tuple[Decimal, Decimal]]:
    return {b.currency.code: (b.total, b.locked) for b in account.state(1).balances}


# Inverse contracts


def test_an_inverse_contracts_profit_margins_and_commission_are_in_its_base_coin() -> None:
    account = MarginAccount(NAME, money("2 BTC"), leverage=D(10))
    # 100,000 contracts of a dollar at 10,000 are 10 coins; a tenth of a tenth of that is margin.
    account.lock_order(ONE, ME, INVERSE, D(100_000), D(10_000))
    assert balances(account) == {"BTC": (D(2), D("0.1"))}
    account.unlock_order(ONE)
    trade(account, fill(INVERSE, "buy", "100000", "10000", "0.005"))
    (margin,) = account.margins()
    assert (margin.currency, margin.initial, margin.maintenance) == (BTC, D("0.1"), D("0.05"))
    assert balances(account) == {"BTC": (D("1.995"), D("0.05"))}
    trade(account, fill(INVERSE, "sell", "100000", "11000"))
    # 100,000 * (1/10,000 - 1/11,000) = 10 - 9.0909... coins.
    assert round(balances(account)["BTC"][0] - D("1.995"), 12) == D("0.909090909091")
    assert account.margins() == ()


def test_an_inverse_contracts_profit_may_be_kept_in_dollars() -> None:
    rates = KnownRates(BTC_USD="11000")
    account = MarginAccount(NAME, money("100 USD"), base_currency=USD, convert=rates.convert)
    trade(
        account, fill(INVERSE, "buy", "110000", "10000"), fill(INVERSE, "sell", "110000", "11000")
    )
    # 11 - 10 coins, at 11,000.
    assert balances(account) == {"USD": (D(11_100), D(0))}


# One currency


def test_an_account_with_a_base_currency_converts_profit_fees_margins_and_locks() -> None:
    rates = KnownRates(JPY_USD="0.01", EUR_USD="2")
    account = MarginAccount(NAME, money("1000 USD"), base_currency=USD, convert=rates.convert)
    account.lock_order(ONE, ME, YEN, D(100), D(100))
    assert balances(account) == {"USD": (D(1000), D(10))}
    account.unlock_order(ONE)
    trade(account, fill(YEN, "buy", "100", "100", "200"))
    assert balances(account) == {"USD": (D(998), D(5))}
    rates.rates["JPY", "USD"] = D("0.02")
    # The margin follows the rate, what was realised does not.
    assert balances(account) == {"USD": (D(998), D(10))}
    trade(account, fill(YEN, "sell", "100", "101", "3", EUR))
    assert balances(account) == {"USD": (D(994), D(0))}
    assert account.missing_rates == []
    assert account.state(1).base_currency == USD


def test_where_a_rate_is_missing_the_amount_keeps_its_currency_and_the_rate_is_named() -> None:
    rates = KnownRates()
    account = MarginAccount(NAME, money("1000 USD"), base_currency=USD, convert=rates.convert)
    trade(account, fill(YEN, "buy", "100", "100"))
    assert balances(account) == {"USD": (D(1000), D(0)), "JPY": (D(0), D(500))}
    rates.rates["JPY", "USD"] = D("0.01")
    assert balances(account)["USD"] == (D(1000), D(5))
    del rates.rates["JPY", "USD"]
    trade(account, fill(YEN, "sell", "100", "101", "1", EUR))
    assert balances(account) == {
        "USD": (D(1000), D(0)),
        "JPY": (D(100), D(0)),
        "EUR": (D(-1), D(0)),
    }
    assert account.missing_rates == ["EUR/USD", "JPY/USD"]
    without = MarginAccount(NAME, money("1000 USD"), base_currency=USD)
    without.lock_order(ONE, ME, YEN, D(100), D(100))
    assert balances(without) == {"USD": (D(1000), D(0)), "JPY": (D(0), D(1000))}
    assert without.missing_rates == ["JPY/USD"]


def test_a_cash_account_with_a_base_currency_buys_shares_of_another() -> None:
    account = CashAccount(
        NAME, money("1000 USD"), base_currency=USD, convert=KnownRates(EUR_USD="2").convert
    )
    account.lock_order(ONE, ME, SHARE, D(10), D(20))
    assert balances(account) == {"USD": (D(1000), D(408))}  # 200 EUR and the dearer fee, 2 %
    account.unlock_order(ONE)
    trade(account, fill(SHARE, "buy", "10", "20", "2"))
    assert balances(account) == {"USD": (D(596), D(0))}
    # A currency that was bought stays what it is.
    pair = CurrencyPair.define("GBP/USD.SIM")
    account.apply_fill(pair, fill(pair, "buy", "100", "1.5"))
    assert balances(account) == {"USD": (D(446), D(0)), "GBP": (D(100), D(0))}


def test_converted_money_is_rounded_to_the_base_currencys_digits() -> None:
    account = MarginAccount(
        NAME,
        money("100 USD"),
        base_currency=USD,
        round_money=True,
        convert=KnownRates(JPY_USD="0.0067").convert,
    )
    trade(account, fill(YEN, "buy", "100", "100"), fill(YEN, "sell", "100", "100.1"))
    assert balances(account)["USD"][0] == D("100.07")


def test_a_starting_balance_is_in_the_base_currency() -> None:
    with pytest.raises(ConfigError, match=r"is kept in USD alone; .* got 5\.00 EUR"):
        MarginAccount(NAME, money("5 EUR"), base_currency=USD)


# Leverage


def test_an_instrument_may_have_a_leverage_of_its_own() -> None:
    account = MarginAccount(NAME, money("100 USDT"), leverage=D(2), leverages={PERP.id: D(10)})
    account.lock_order(ONE, ME, PERP, D(1), D(100))
    assert balances(account)["USDT"] == (D(100), D(1))
    account.unlock_order(ONE)
    trade(account, fill(PERP, "buy", "1", "100"))
    assert account.margins()[0].initial == 1
    trade(account, fill(INVERSE, "buy", "100", "10"))
    assert [margin.initial for margin in account.margins()] == [D(1), D("0.5")]
    state = account.state(1)
    assert state.leverage_of(PERP.id) == 10
    assert state.leverage_of(INVERSE.id) == 2


@pytest.mark.parametrize("given", [{"leverage": D("0.5")}, {"leverages": {PERP.id: D(0)}}])
def test_a_leverage_below_one_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="leverage must be 1 or more"):
        MarginAccount(NAME, money("100 USDT"), **given)


# Funding


def test_longs_pay_a_positive_funding_rate_and_shorts_receive_it() -> None:
    account = hedging("100 USDT", "0 BTC")
    trade(account, fill(PERP, "buy", "2", "100", position=LONG))
    trade(account, fill(PERP, "sell", "3", "100", position=SHORT))
    trade(account, fill(INVERSE, "buy", "100", "10"))
    usdt = currency("USDT")
    assert account.apply_funding(PERP, D("0.01"), D(110)) == [
        FundingPayment(ME, LONG, D("-2.2"), usdt),
        FundingPayment(ME, SHORT, D("3.3"), usdt),
    ]
    assert balances(account)["USDT"][0] == D("101.1")
    assert account.apply_funding(PERP, D("-0.01"), D(110))[0].amount == D("2.2")
    assert balances(account)["USDT"][0] == 100


def test_funding_of_an_inverse_contract_is_paid_in_its_coin_and_rounded_where_that_is_done() -> (
    None
):
    account = MarginAccount(NAME, money("1 BTC"), round_money=True)
    trade(account, fill(INVERSE, "sell", "100", "10"))
    (payment,) = account.apply_funding(INVERSE, D("0.001"), D(30_000))
    assert payment == FundingPayment(ME, None, D("0.00000333"), BTC)
    assert balances(account)["BTC"][0] == D("1.00000333")


def test_without_a_position_and_in_a_cash_account_nothing_is_funded() -> None:
    margin = MarginAccount(NAME, money("100 USDT"))
    trade(margin, fill(PERP, "buy", "2", "100"), fill(PERP, "sell", "2", "100"))
    assert margin.apply_funding(PERP, D("0.01"), D(110)) == []
    assert CashAccount(NAME, money("100 USDT")).apply_funding(PERP, D("0.01"), D(110)) == []


# Hedging


def hedging(*balances: str) -> MarginAccount:
    return MarginAccount(NAME, money(*balances), order_management=OrderManagement.HEDGING)


def test_fills_that_name_a_position_keep_long_and_short_side_by_side() -> None:
    account = hedging("100 USDT")
    trade(
        account,
        fill(PERP, "buy", "1", "100", position=LONG),
        fill(PERP, "sell", "1", "110", position=SHORT),
    )
    # Nothing was closed, and both need margin: 100 and 110, a tenth of them.
    assert balances(account)["USDT"] == (D(100), D("10.5"))
    assert account.margins()[0].initial == 21
    trade(account, fill(PERP, "sell", "1", "105", position=LONG))
    assert balances(account)["USDT"] == (D(105), D("5.5"))
    trade(account, fill(PERP, "buy", "1", "105", position=SHORT))
    assert balances(account)["USDT"] == (D(110), D(0))


def test_an_order_against_one_hedged_position_locks_what_it_leaves_of_that_one() -> None:
    account = hedging("100 USDT")
    trade(account, fill(PERP, "buy", "1", "100", position=LONG))
    held = D(5)  # maintenance
    account.lock_order(ONE, ME, PERP, D(-1), D(100), LONG)
    assert balances(account)["USDT"][1] == held
    account.lock_order(TWO, ME, PERP, D(-1), D(100))  # opens one of its own
    assert balances(account)["USDT"][1] == held + 10
    trade(account, fill(PERP, "sell", "1", "100", position=LONG))
    assert balances(account)["USDT"][1] == 20  # what it was to close is gone
    assert account.unlock_order(ONE)
    assert account.unlock_order(TWO)
    assert balances(account)["USDT"][1] == 0


def test_a_hedged_fill_that_names_no_position_belongs_to_its_orders_own() -> None:
    account = hedging("100 USDT")
    trade(account, fill(PERP, "buy", "1", "100"))
    own = PositionId("P-O-1")
    trade(account, fill(PERP, "sell", "1", "110", position=own))
    assert balances(account)["USDT"] == (D(110), D(0))


def test_what_a_hedged_fill_has_beyond_the_position_it_closes_opens_its_orders_own() -> None:
    account = hedging("100 USDT")
    trade(account, fill(PERP, "buy", "1", "100", position=LONG))
    trade(account, fill(PERP, "sell", "3", "110", position=LONG))
    assert balances(account)["USDT"] == (D(110), D(11))  # two short at 110
    payments = account.apply_funding(PERP, D("0.01"), D(100))
    assert [(p.position_id, p.amount) for p in payments] == [(PositionId("P-O-1"), D(2))]


def test_what_names_a_closed_position_opens_its_orders_own() -> None:
    account = hedging("100 USDT")
    assert account.position_for(ONE, LONG) == LONG
    assert account.position_for(ONE, None) == "P-O-1"
    trade(account, fill(PERP, "buy", "1", "100", position=LONG))
    trade(account, fill(PERP, "sell", "1", "100", position=LONG))
    assert account.position_for(ONE, LONG) == "P-O-1"
    trade(account, fill(PERP, "sell", "1", "100", position=LONG))
    trade(account, fill(PERP, "buy", "1", "90", position=PositionId("P-O-1")))
    assert balances(account)["USDT"] == (D(110), D(0))
    netting = MarginAccount(NAME, money("100 USDT"))
    assert netting.position_for(ONE, LONG) is None
    assert CashAccount(NAME, money("100 USDT")).position_for(ONE, LONG) == LONG


def test_netting_takes_no_notice_of_a_position_that_an_order_names() -> None:
    account = MarginAccount(NAME, money("100 USDT"))
    trade(account, fill(PERP, "buy", "1", "100", position=LONG))
    account.lock_order(ONE, ME, PERP, D(-1), D(100), SHORT)
    assert balances(account)["USDT"] == (D(100), D(5))
    trade(account, fill(PERP, "sell", "1", "110", position=SHORT))
    assert balances(account)["USDT"][0] == 110


# What an order needs


def needs(account: Account, instrument: Instrument, signed: int, price: int, **more: Any) -> Any:
    return account_need(account.state(1), instrument, D(signed), D(price), **more)


def test_a_cash_buy_needs_its_notional_and_the_dearer_fee_and_a_sale_what_is_sold() -> None:
    account = CashAccount(NAME, money("1000 EUR"))
    assert needs(account, SHARE, 10, 20) == Need("EUR", D(204), EUR)
    assert needs(account, SHARE, 10, 20, fee=lambda *_: D(0)) == Need("EUR", D(200), EUR)
    assert needs(account, SHARE, -10, 20) == Need(SHARE.id, D(10))
    assert needs(account, YEN, -10, 20) == Need("USD", D(10), USD)
    assert estimated_fee(Equity.define("X.SIM", maker_fee="-0.01"), D(1), D(1)) == 0


def test_case_9_a_cash_account_lacks_what_an_order_beyond_it_needs() -> None:
    pair = CurrencyPair.define("AUD/USD.SIM")
    account = CashAccount(NAME, money("1_000_000 USD"))
    need = needs(account, pair, 10_000_000, 1, fee=estimated_fee)
    (balance,) = account.state(1).balances
    assert need.amount > balance.free
    assert account_need(account.state(1), pair, D(10_000_000), D("1.01")).amount == 10_100_000  # type: ignore[union-attr]
    assert needs(account, pair, 1_000_000, 1).amount <= balance.free


def test_a_margin_order_needs_initial_margin_of_what_it_adds() -> None:
    account = MarginAccount(NAME, money("100 USDT"), leverage=D(2))
    usdt = currency("USDT")
    assert needs(account, PERP, 4, 100) == Need("USDT", D(20), usdt)
    assert needs(account, PERP, -4, 100) == Need("USDT", D(20), usdt)
    assert needs(account, PERP, -4, 100, growth=D(1)) == Need("USDT", D(5), usdt)
    assert needs(account, PERP, -4, 100, growth=D(0)) is None
    assert needs(account, SHARE, 4, 100) is None
    assert margin_need(INVERSE, D(100), D(10), D(1)) == Need("BTC", D(1), BTC)


def test_a_need_is_converted_where_the_account_converts_and_else_names_its_own_currency() -> None:
    rates = KnownRates(JPY_USD="0.01", EUR_USD="2")
    margin = MarginAccount(NAME, money("100 USD"), base_currency=USD)
    assert needs(margin, YEN, 10, 100, convert=rates.convert) == Need("USD", D(1), USD)
    assert needs(margin, YEN, 10, 100) == Need("JPY", D(100), JPY)
    assert needs(margin, YEN, 10, 100, convert=KnownRates().convert) == Need("JPY", D(100), JPY)
    assert needs(margin, SHARE, 10, 100, convert=rates.convert) is None
    cash = CashAccount(NAME, money("100 USD"), base_currency=USD)
    assert needs(cash, SHARE, 10, 20, convert=rates.convert) == Need("USD", D(408), USD)
    assert needs(cash, SHARE, -10, 20, convert=rates.convert) == Need(SHARE.id, D(10))
    euro = CurrencyPair.define("EUR/USD.SIM")
    assert needs(cash, euro, -10, 20, convert=rates.convert) == Need("EUR", D(10), EUR)


def test_which_account_can_hold_what() -> None:
    cash, margin = AccountType.CASH, AccountType.MARGIN
    future = Future.define("ESH4.SIM", underlying="ES", expiration_ns=10**18)
    assert "a Future, which a cash account cannot hold" in holding_refusal(cash, None, future)
    assert "exchanges USD for JPY, and a cash account kept in EUR" in holding_refusal(
        cash, EUR, YEN
    )
    for kind, unit, instrument in (
        (margin, USD, future),
        (margin, USD, YEN),
        (cash, None, YEN),
        (cash, USD, SHARE),
    ):
        assert holding_refusal(kind, unit, instrument) == ""

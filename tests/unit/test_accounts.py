"""Account arithmetic: flows, locks, margins."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workbench.engines.accounts import CashAccount, MarginAccount
from workbench.model.enums import LiquiditySide, OrderSide, OrderType
from workbench.model.errors import ConfigError
from workbench.model.events import OrderFilled
from workbench.model.identifiers import AccountId, ClientOrderId, StrategyId
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Instrument
from workbench.model.money import Money, currency

D = Decimal
PAIR = CurrencyPair.define("AUD/USD.SIM", margin_init="0.1", margin_maint="0.05")
ME = StrategyId("S-1")
ONE, TWO = ClientOrderId("O-1"), ClientOrderId("O-2")


def money(*texts: str) -> list[Money]:
    return [Money.parse(text) for text in texts]


def fill(
    instrument: Instrument,
    side: str,
    quantity: int,
    price: str,
    commission: str = "0",
    unit: str | None = None,
    strategy: str = "S-1",
) -> OrderFilled:
    values: Any = {
        "strategy_id": strategy,
        "instrument_id": instrument.id,
        "client_order_id": ONE,
        "account_id": "SIM-PAPER",
        "venue_order_id": "V-1",
        "trade_id": "T-1",
    }
    return OrderFilled(
        **values,
        side=OrderSide(side),
        order_type=OrderType.MARKET,
        quantity=D(quantity),
        price=D(price),
        commission=D(commission),
        commission_currency=currency(unit or instrument.settlement_currency),
        liquidity=LiquiditySide.TAKER,
        ts_event=1,
        ts_init=1,
    )


def balances(account: CashAccount | MarginAccount) -> dict[str, tuple[Decimal, Decimal]]:
    return {b.currency.code: (b.total, b.locked) for b in account.state(1).balances}


def test_a_cash_account_moves_both_currencies_of_a_pair_and_the_commission() -> None:
    account = CashAccount(AccountId("SIM-PAPER"), money("100 USD"))
    account.apply_fill(PAIR, fill(PAIR, "buy", 10, "2", "1"))
    account.apply_fill(PAIR, fill(PAIR, "sell", 4, "3", "1", "EUR"))
    assert balances(account) == {
        "USD": (D(91), D(0)),
        "AUD": (D(6), D(0)),
        "EUR": (D(-1), D(0)),
    }


def test_a_cash_account_exchanges_money_for_shares() -> None:
    share = Equity.define("ACME.SIM")
    account = CashAccount(AccountId("SIM-PAPER"), money("100 USD"))
    account.apply_fill(share, fill(share, "buy", 10, "2"))
    assert balances(account) == {"USD": (D(80), D(0))}


def test_a_margin_account_moves_by_what_is_realised_per_strategy() -> None:
    account = MarginAccount(AccountId("SIM-PAPER"), money("100 USD"), leverage=D(5))
    account.apply_fill(PAIR, fill(PAIR, "buy", 10, "2", "1"))
    assert balances(account)["USD"] == (D(99), D("0.2"))
    account.apply_fill(PAIR, fill(PAIR, "sell", 10, "3", strategy="S-2"))
    # Each strategy's position needs its own margin.
    (margin,) = account.margins()
    assert (margin.initial, margin.maintenance) == (D("1.0"), D("0.50"))
    account.apply_fill(PAIR, fill(PAIR, "sell", 15, "3", "1.5", "EUR"))
    assert balances(account)["USD"][0] == 109
    assert balances(account)["EUR"][0] == D("-1.5")


def test_an_inverse_contract_settles_in_its_base_currency() -> None:
    perp = CryptoPerpetual.define("BTC/USD-PERP.SIM", is_inverse=True, quantity_increment=1)
    account = MarginAccount(AccountId("SIM-PAPER"), money("1 BTC"))
    account.apply_fill(perp, fill(perp, "buy", 100, "50"))
    account.apply_fill(perp, fill(perp, "sell", 100, "100"))
    assert balances(account)["BTC"] == (D(2), D(0))


@pytest.mark.parametrize(
    ("kind", "signed", "unit", "locked"),
    [
        (CashAccount, 10, "USD", D(20)),
        (CashAccount, -10, "AUD", D(10)),
        (MarginAccount, 10, "USD", D(1)),
        (MarginAccount, -10, "USD", D(1)),
    ],
)
def test_a_resting_order_locks_what_it_would_tie_up(
    kind: type[CashAccount | MarginAccount], signed: int, unit: str, locked: Decimal
) -> None:
    account = kind(AccountId("SIM-PAPER"), money("100 USD"), leverage=D(2))
    account.lock_order(ONE, ME, PAIR, D(signed), D(2))
    account.lock_order(TWO, ME, PAIR, D(signed), D(2))
    assert balances(account)[unit][1] == 2 * locked
    account.lock_order(TWO, ME, PAIR, D(signed) / 2, D(2))
    assert balances(account)[unit][1] == locked * 3 / 2
    assert account.unlock_order(ONE)
    assert account.unlock_order(TWO)
    assert not account.unlock_order(TWO)
    assert balances(account)[unit][1] == 0


def test_selling_shares_and_instruments_without_margin_lock_nothing() -> None:
    share = Equity.define("ACME.SIM")
    cash = CashAccount(AccountId("SIM-PAPER"), money("100 USD"))
    cash.lock_order(ONE, ME, share, D(-10), D(2))
    assert not cash.unlock_order(ONE)
    margin = MarginAccount(AccountId("SIM-PAPER"), money("100 USD"))
    margin.lock_order(ONE, ME, share, D(10), D(2))
    assert not margin.unlock_order(ONE)
    margin.apply_fill(share, fill(share, "buy", 10, "2"))
    assert margin.margins() == ()


def test_money_may_be_rounded_to_the_currencys_digits() -> None:
    account = MarginAccount(AccountId("SIM-PAPER"), money("100 USD"), round_money=True)
    account.apply_fill(PAIR, fill(PAIR, "buy", 3, "1.111", "0.125"))
    account.apply_fill(PAIR, fill(PAIR, "sell", 3, "1.222", "0.135"))
    # -0.12, then 0.333 - 0.14 = 0.193, rounded.
    assert balances(account)["USD"][0] == D("100.07")


def test_starting_balances_must_be_there_and_not_negative() -> None:
    with pytest.raises(ConfigError, match="needs a starting balance"):
        CashAccount(AccountId("SIM-PAPER"), [])
    with pytest.raises(ConfigError, match="must not be negative"):
        CashAccount(AccountId("SIM-PAPER"), money("-1 USD"))


def test_in_a_margin_account_orders_lock_what_they_add_to_the_position() -> None:
    account = MarginAccount(AccountId("SIM-PAPER"), money("100 USD"))
    pair = CurrencyPair.define("AUD/USD.SIM", margin_init="0.1")
    account.apply_fill(pair, fill(pair, "buy", 10, "1"))

    def locked() -> Decimal:
        return balances(account)["USD"][1]

    account.lock_order(ONE, ME, pair, D(-10), D(1))
    assert locked() == 0  # it closes
    account.lock_order(TWO, ME, pair, D(-15), D(2))
    assert locked() == 1  # together they leave a short of 15: 5 more, at 2
    account.apply_fill(pair, fill(pair, "sell", 10, "1"))
    assert account.unlock_order(ONE)
    assert locked() == 3  # nothing is held: it opens 15
    account.apply_fill(pair, fill(pair, "buy", 10, "1", strategy="S-2"))
    assert locked() == 3  # another strategy's position is not in question
    account.apply_fill(pair, fill(pair, "buy", 10, "1"))
    assert locked() == 0
    account.lock_order(ONE, ME, pair, D(-10), D(1))
    assert locked() == D("0.5")
    assert account.unlock_order(TWO)
    assert locked() == 0
    assert account.unlock_order(ONE)
    assert not account.unlock_order(ONE)

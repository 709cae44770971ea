"""The portfolio over several accounts, venues and currencies, and what it says is missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workbench.engines.cache import Cache
from workbench.engines.portfolio import Portfolio
from workbench.engines.rates import Rates
from workbench.model import events as e
from workbench.model.data import Quote
from workbench.model.enums import AccountType, OrderSide
from workbench.model.errors import ConfigError, PriceError
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    InstrumentId,
    PositionId,
    StrategyId,
    Venue,
)
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Future, Instrument
from workbench.model.money import currency
from workbench.model.positions import Position

D = Decimal
YEN = CurrencyPair.define("USD/JPY.FX", price_increment="0.01")
EURO = CurrencyPair.define("EUR/USD.FX", price_increment="0.01")
INVERSE = CryptoPerpetual.define("BTC/USD-PERP.COIN", is_inverse=True, quantity_increment=1)
SPOT = CurrencyPair.define("BTC/USDT.COIN", price_increment="0.01")
SHARE = Equity.define("ACME.CASH", currency="EUR")


class Books:
    """Three accounts at three venues: margin in dollars, margin in bitcoin, cash in euros."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.portfolio = Portfolio(self.cache)
        self.count = 0
        for instrument in (YEN, EURO, INVERSE, SPOT, SHARE):
            self.cache.add_instrument(instrument)
        self.account("FX", "USD", 1000, (e.MarginBalance(YEN.id, currency("JPY"), D(300), D(150)),))
        self.account("COIN", "BTC", 2)
        self.account("CASH", "EUR", 500, kind=AccountType.CASH)

    def account(
        self,
        venue: str,
        unit: str,
        amount: int,
        margins: tuple[e.MarginBalance, ...] = (),
        kind: AccountType = AccountType.MARGIN,
    ) -> None:
        state = e.AccountState(
            account_id=AccountId(f"{venue}-PAPER"),
            account_type=kind,
            base_currency=None,
            balances=(e.Balance(currency(unit), D(amount), D(1)),),
            margins=margins,
            ts_event=1,
            ts_init=1,
        )
        self.cache.put_account(Venue(venue), state)

    def hold(self, instrument: Instrument, quantity: int, price: str, owner: str = "S-1") -> None:
        self.count += 1
        side = OrderSide.BUY if quantity > 0 else OrderSide.SELL
        position = Position(
            position_id=PositionId(f"P-{self.count}"),
            strategy_id=StrategyId(owner),
            account_id=AccountId(f"{instrument.venue}-PAPER"),
            instrument=instrument,
            entry=side,
        )
        position.apply(side, D(abs(quantity)), D(price), D(1), 1)
        self.cache.add_position(position)
        self.portfolio.add_realized(position, D(-1))

    def quote(self, instrument: Instrument, bid: float, ask: float) -> None:
        self.cache.market(instrument.id).quote = Quote(instrument.id, bid, ask, 1.0, 1.0, 1, 1)


@pytest.fixture
def books() -> Books:
    """100 USD/JPY long, 50,000 inverse contracts short, 10 shares; all prices but BTC/USDT's."""
    books = Books()
    books.hold(YEN, 100, "100")
    books.hold(INVERSE, -50_000, "10000", "S-2")
    books.hold(SHARE, 10, "20")
    books.quote(YEN, 109.0, 111.0)
    books.quote(EURO, 1.5, 1.5)
    books.quote(INVERSE, 12_400.0, 12_500.0)
    books.quote(SHARE, 25.0, 26.0)
    return books


def test_amounts_come_by_currency_over_all_accounts(books: Books) -> None:
    portfolio = books.portfolio
    assert portfolio.realized_pnl() == {"JPY": D(-1), "BTC": D(-1), "EUR": D(-1)}
    # The short of 50,000 contracts from 10,000 to 12,500: 50,000 * (1/12,500 - 1/10,000).
    assert portfolio.unrealized_pnl() == {"JPY": D(900), "BTC": D(-1), "EUR": D(50)}
    assert portfolio.total_pnl() == {"JPY": D(899), "BTC": D(-2), "EUR": D(49)}
    assert portfolio.net_exposure() == {"JPY": D(10_900), "BTC": D(-4), "EUR": D(250)}
    assert portfolio.net_exposures() == {YEN.id: D(10_900), INVERSE.id: D(-4), SHARE.id: D(250)}
    assert portfolio.equity() == {"USD": D(1000), "JPY": D(900), "BTC": D(1), "EUR": D(750)}
    assert {c: b.total for c, b in portfolio.balances().items()} == {
        "USD": D(1000),
        "BTC": D(2),
        "EUR": D(500),
    }
    assert portfolio.locked() == {"USD": D(1), "BTC": D(1), "EUR": D(1)}
    assert portfolio.margins() == {YEN.id: (D(300), D(150))}


def test_an_answer_is_narrowed_down_by_account_venue_strategy_or_instrument(books: Books) -> None:
    portfolio = books.portfolio
    for at in ({"venue": "FX"}, {"account_id": "FX-PAPER"}, {"strategy_id": "S-1", "venue": "FX"}):
        narrowed: Any = at
        assert portfolio.realized_pnl(**narrowed) == {"JPY": D(-1)}
        assert portfolio.unrealized_pnl(**narrowed) == {"JPY": D(900)}
        assert portfolio.total_pnl(**narrowed) == {"JPY": D(899)}
        assert portfolio.net_exposure(**narrowed) == {"JPY": D(10_900)}
        assert portfolio.net_exposures(**narrowed) == {YEN.id: D(10_900)}
    assert portfolio.realized_pnl(strategy_id="S-2") == {"BTC": D(-1)}
    assert portfolio.equity(account_id="COIN-PAPER") == portfolio.equity("COIN") == {"BTC": D(1)}
    assert portfolio.equity("FX", account_id="COIN-PAPER") == {}
    assert portfolio.margins("COIN") == {}
    assert portfolio.net_position(YEN.id) == portfolio.net_position(YEN.id, "S-1") == 100
    assert portfolio.net_position(YEN.id, account_id="FX-PAPER") == 100
    assert portfolio.net_position(YEN.id, account_id="COIN-PAPER") == 0
    assert not portfolio.is_flat()
    assert portfolio.is_flat(YEN.id, "S-2")
    assert portfolio.is_flat(account_id="NONE-PAPER")
    assert not portfolio.is_flat(venue="CASH")


def test_everything_can_be_asked_in_one_currency(books: Books) -> None:
    portfolio = books.portfolio
    portfolio.rates.fix("USDT", "USD", 1)
    books.quote(SPOT, 10_000.0, 10_000.0)
    # USD/JPY 110, EUR/USD 1.5, BTC 10,000 USD.
    assert portfolio.total_pnl("USD/JPY.FX", currency="JPY") == {"JPY": D(899)}
    assert portfolio.realized_pnl(INVERSE.id, currency="USD") == {"USD": D(-10_000)}
    assert portfolio.net_exposure(SHARE.id, currency="USD") == {"USD": D(375)}
    assert portfolio.net_exposures(venue="COIN", currency="USD") == {INVERSE.id: D(-40_000)}
    assert portfolio.locked("CASH", currency="USD") == {"USD": D("1.5")}
    assert portfolio.margins(currency="USD") == {YEN.id: (D(300) / 110, D(150) / 110)}
    assert portfolio.balances("CASH", currency="USD")["USD"].free == D("748.5")
    assert portfolio.equity("FX", currency=currency("USD")) == {"USD": 1000 + D(900) / 110}
    total = 1000 + D(900) / 110 + 10_000 + D(1125)
    assert portfolio.equity(currency="USD") == {"USD": pytest.approx(total)}
    pnl = portfolio.total_pnl(currency="USD")["USD"]
    assert pnl == pytest.approx(D(899) / 110 - 20_000 + D("73.5"))
    assert portfolio.missing_rates("USD") == []
    assert Portfolio(Cache()).equity(currency="USD") == {"USD": D(0)}


def test_a_missing_rate_is_named_and_no_sum_is_given_without_it(books: Books) -> None:
    portfolio = books.portfolio
    assert portfolio.missing_rates("USD") == ["BTC/USD"]
    with pytest.raises(PriceError, match=r"no rate BTC/USD is known .*portfolio\.rates\.fix"):
        portfolio.equity(currency="USD")
    with pytest.raises(PriceError, match="no rate BTC/USD"):
        portfolio.realized_pnl(currency="USD")
    with pytest.raises(PriceError, match="no rate BTC/USD"):
        portfolio.net_exposures(currency="USD")
    # What does not need it is answered.
    assert portfolio.realized_pnl(strategy_id="S-1", venue="CASH", currency="USD") == {
        "USD": D("-1.5")
    }
    with pytest.raises(ConfigError, match="no currency 'USDD' is known"):
        portfolio.equity(currency="USDD")


def test_a_missing_price_is_left_out_by_currency_and_refused_in_a_sum(books: Books) -> None:
    portfolio = books.portfolio
    books.hold(SPOT, 1, "9000")
    assert portfolio.missing_prices() == [SPOT.id]
    assert portfolio.missing_prices(strategy_id="S-2") == []
    assert portfolio.missing_prices(SPOT.id, venue="COIN") == [SPOT.id]
    assert "USDT" not in portfolio.unrealized_pnl()
    portfolio.rates.fix("BTC", "USD", 10_000)
    portfolio.rates.fix("USDT", "USD", 1)
    for answer in (portfolio.unrealized_pnl, portfolio.total_pnl, portfolio.net_exposure):
        with pytest.raises(PriceError, match=r"no price of BTC/USDT\.COIN is known, which is held"):
            answer(currency="USD")
    with pytest.raises(PriceError, match=r"no price of BTC/USDT\.COIN"):
        portfolio.equity("COIN", currency="USD")
    assert portfolio.equity("CASH", currency="USD") == {"USD": D(1125)}


def test_profit_and_exposure_can_be_asked_at_a_price_of_ones_own(books: Books) -> None:
    portfolio = books.portfolio
    assert portfolio.unrealized_pnl(YEN.id, price=D(99)) == {"JPY": D(-100)}
    assert portfolio.total_pnl(YEN.id, price=D(99)) == {"JPY": D(-101)}
    assert portfolio.net_exposure(INVERSE.id, price=D(10_000)) == {"BTC": D(-5)}
    with pytest.raises(ConfigError, match="a price is that of one instrument"):
        portfolio.unrealized_pnl(price=D(99))


def test_mark_prices_may_value_positions_instead(books: Books) -> None:
    marks: dict[str, float] = {YEN.id: 120.0}

    def mark(instrument_id: InstrumentId, side: OrderSide) -> float | None:
        return marks.get(instrument_id)

    portfolio = Portfolio(books.cache, closing_price=mark)
    assert portfolio.unrealized_pnl() == {"JPY": D(2000)}
    assert portfolio.missing_prices() == [SHARE.id, INVERSE.id]
    portfolio.closing_price = books.cache.price_to
    assert portfolio.missing_prices() == []


def test_rates_of_ones_own_may_be_given() -> None:
    rates = Rates(Cache(), {"EUR/USD": 2})
    assert Portfolio(Cache(), rates).rates is rates


def test_realised_profit_is_kept_by_account_where_two_trade_one_instrument() -> None:
    books = Books()
    for account, amount in (("FX-PAPER", 5), ("FX-002", -2)):
        position = Position(
            position_id=PositionId(f"P-{account}"),
            strategy_id=StrategyId("S-1"),
            account_id=AccountId(account),
            instrument=EURO,
            entry=OrderSide.BUY,
        )
        books.portfolio.add_realized(position, D(amount))
        books.portfolio.add_realized(position, D(amount))
    assert books.portfolio.realized_pnl(account_id="FX-PAPER") == {"USD": D(10)}
    assert books.portfolio.realized_pnl(account_id="FX-002") == {"USD": D(-4)}
    assert books.portfolio.realized_pnl(EURO.id, "S-1") == {"USD": D(6)}
    assert books.portfolio.missing_rates("EUR") == ["BTC/EUR", "JPY/EUR", "USD/EUR"]


def test_two_accounts_margins_of_one_instrument_and_balances_of_one_currency_add_up() -> None:
    books = Books()
    margins = (e.MarginBalance(YEN.id, currency("JPY"), D(10), D(5)),)
    books.account("AWAY", "USD", 50, margins)
    assert books.portfolio.margins()[YEN.id] == (D(310), D(155))
    assert books.portfolio.balances()["USD"] == e.Balance(currency("USD"), D(1050), D(2))
    assert books.portfolio.equity()["USD"] == 1050


def test_a_venue_may_have_several_accounts() -> None:
    cache = Cache()
    portfolio = Portfolio(cache)
    for number, kind in ((1, AccountType.MARGIN), (2, AccountType.CASH)):
        name = AccountId(f"SIM-{number}")
        cache.register_account(Venue("SIM"), ClientId(f"C-{number}"), name)
        assert portfolio.balances("SIM", account_id=name) == {}
        state = e.AccountState(
            account_id=name,
            account_type=kind,
            base_currency=None,
            balances=(e.Balance(currency("USD"), D(number)),),
            ts_event=1,
            ts_init=1,
        )
        cache.put_account(Venue("SIM"), state)
    assert portfolio.equity("SIM") == {"USD": D(3)}
    assert portfolio.equity("SIM", account_id="SIM-2") == {"USD": D(2)}
    assert portfolio.equity(account_id="SIM-1") == {"USD": D(1)}
    assert portfolio.equity("AWAY") == {}


def test_a_futures_exposure_counts_its_multiplier() -> None:
    books = Books()
    future = Future.define("ESZ4.CASH", underlying="ES", expiration_ns=10**18, multiplier=50)
    books.cache.add_instrument(future)
    books.hold(future, -2, "4000")
    books.quote(future, 4010.0, 4010.25)
    assert books.portfolio.net_exposure(future.id) == {"USD": D(-2) * 50 * D("4010.25")}
    assert books.portfolio.unrealized_pnl(future.id) == {"USD": D(-2) * 50 * D("10.25")}

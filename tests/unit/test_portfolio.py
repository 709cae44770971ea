"""The portfolio and the cache: what is held, worth, locked; which price stands for what."""

from __future__ import annotations

from decimal import Decimal
from math import nan
from typing import Any

import pytest

from workbench.engines.cache import Cache
from workbench.engines.portfolio import Portfolio
from workbench.model import events as e
from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.enums import AccountType, AggressorSide, OrderSide
from workbench.model.errors import InstrumentError
from workbench.model.identifiers import AccountId, Venue
from workbench.model.instruments import CurrencyPair, Equity, Instrument
from workbench.model.money import currency
from workbench.model.positions import Position

D = Decimal
PAIR = CurrencyPair.define("AUD/USD.SIM")
SHARE = Equity.define("ACME.SIM")
AWAY = Equity.define("ACME.AWAY")


class Book:
    def __init__(self, kind: AccountType = AccountType.MARGIN) -> None:
        self.cache = Cache()
        self.portfolio = Portfolio(self.cache)
        for instrument in (PAIR, SHARE, AWAY):
            self.cache.add_instrument(instrument)
        self.cache.put_account(
            Venue("SIM"),
            e.AccountState(
                account_id=AccountId("SIM-PAPER"),
                account_type=kind,
                base_currency=None,
                balances=(e.Balance(currency("USD"), D(100), D(30)),),
                margins=(e.MarginBalance(PAIR.id, currency("USD"), D(20), D(10)),),
                ts_event=1,
                ts_init=1,
            ),
        )

    def hold(self, instrument: Instrument, quantity: int, price: str, owner: str = "S-1") -> None:
        side = OrderSide.BUY if quantity > 0 else OrderSide.SELL
        ids: Any = {
            "position_id": f"P-{owner}-{instrument.id}",
            "strategy_id": owner,
            "account_id": f"{instrument.venue}-PAPER",
        }
        position = Position(**ids, instrument=instrument, entry=side)
        position.apply(side, D(abs(quantity)), D(price), D(1), 1)
        self.cache.add_position(position)
        self.portfolio.add_realized(position, D(-1))

    def quote(self, instrument: Instrument, bid: float, ask: float) -> None:
        self.cache.market(instrument.id).quote = Quote(instrument.id, bid, ask, 1.0, 1.0, 1, 1)


def test_profit_is_by_currency_instrument_and_strategy() -> None:
    book = Book()
    book.hold(PAIR, 10, "1.0")
    book.hold(PAIR, -5, "1.0", "S-2")
    book.hold(SHARE, 2, "10")
    book.quote(PAIR, 1.5, 2.0)
    book.quote(SHARE, 11.0, 12.0)
    portfolio = book.portfolio
    assert portfolio.realized_pnl() == {"USD": D(-3)}
    assert portfolio.realized_pnl(PAIR.id, "S-2") == {"USD": D(-1)}
    # A long is closed at the bid, a short at the ask.
    assert portfolio.unrealized_pnl(PAIR.id, "S-1") == {"USD": D(5)}
    assert portfolio.unrealized_pnl(PAIR.id, "S-2") == {"USD": D(-5)}
    assert portfolio.total_pnl(strategy_id="S-1") == {"USD": D(5)}
    assert portfolio.net_exposure() == {"USD": D(27)}
    assert portfolio.net_exposure(PAIR.id) == {"USD": D(5)}
    assert portfolio.net_position(PAIR.id) == 5
    assert portfolio.missing_prices() == []


def test_a_missing_price_is_named_and_left_out() -> None:
    book = Book()
    book.hold(PAIR, 10, "1.0")
    book.hold(SHARE, 2, "10")
    book.quote(PAIR, nan, 2.0)
    assert book.portfolio.missing_prices() == [SHARE.id, PAIR.id]
    assert book.portfolio.unrealized_pnl() == {}
    assert book.portfolio.net_exposure() == {}
    assert book.portfolio.equity("SIM") == {"USD": D(100)}


def test_account_questions_are_answered_by_currency_and_instrument() -> None:
    portfolio = Book().portfolio
    assert portfolio.balances("SIM")["USD"].free == 70
    assert portfolio.locked("SIM") == {"USD": D(30)}
    assert portfolio.margins("SIM") == {PAIR.id: (D(20), D(10))}
    for answer in (portfolio.balances, portfolio.locked, portfolio.margins, portfolio.equity):
        assert answer("NOPE") == {}


@pytest.mark.parametrize(
    ("kind", "worth"), [(AccountType.MARGIN, D(107)), (AccountType.CASH, D(122))]
)
def test_equity_is_what_an_account_is_worth(kind: AccountType, worth: Decimal) -> None:
    book = Book(kind)
    book.hold(PAIR, 10, "1.0")
    book.hold(SHARE, 2, "10")
    book.hold(AWAY, 2, "10")
    book.quote(PAIR, 1.5, 2.0)
    book.quote(SHARE, 11.0, 12.0)
    book.quote(AWAY, 99.0, 99.0)
    # Margin: 5 and 2 of open profit. Cash: the pair's currency is a balance, shares are worth 22.
    assert book.portfolio.equity("SIM") == {"USD": worth}


# Which price stands for what

LAST, DAYS = BarType.parse("ACME.SIM-1-minute-last"), BarType.parse("ACME.SIM-1-day-last")
BID, ASK = BarType.parse("ACME.SIM-1-minute-bid"), BarType.parse("ACME.SIM-1-minute-ask")


def bar(kind: BarType, close: float, ts: int) -> Bar:
    return Bar(kind, close, close, close, close, None, ts, ts)


def test_a_price_is_the_quote_else_the_own_sides_bar_else_any_bar_or_trade() -> None:
    cache = Cache()
    market = cache.market(SHARE.id)

    def prices() -> tuple[float | None, float | None]:
        return cache.price_to(SHARE.id, OrderSide.BUY), cache.price_to(SHARE.id, OrderSide.SELL)

    assert prices() == (None, None)
    market.trade = Trade(SHARE.id, 9.0, 1.0, AggressorSide.NONE, "1", 1, 1)  # type: ignore[arg-type]
    assert prices() == (9.0, 9.0)
    market.bars[DAYS] = bar(DAYS, 5.0, 1)
    market.bars[LAST] = bar(LAST, 10.0, 2)
    assert prices() == (10.0, 10.0)
    market.bars[ASK] = bar(ASK, 11.0, 3)
    assert prices() == (11.0, 10.0)
    market.bars[BID] = bar(BID, 9.5, 3)
    assert prices() == (11.0, 9.5)
    market.trade = Trade(SHARE.id, 12.0, 1.0, AggressorSide.NONE, "2", 4, 4)  # type: ignore[arg-type]
    assert prices() == (12.0, 12.0)
    market.quote = Quote(SHARE.id, 8.0, nan, 1.0, 1.0, 5, 5)
    assert prices() == (12.0, 8.0)
    market.quote = Quote(SHARE.id, 8.0, 8.5, 1.0, 1.0, 6, 6)
    assert prices() == (8.5, 8.0)


def test_the_cache_answers_for_what_it_does_not_hold() -> None:
    cache = Cache()
    assert cache.instrument("NO/PE.SIM") is None
    with pytest.raises(InstrumentError, match=r"no instrument 'NO/PE\.SIM'; known: none"):
        cache.require_instrument("NO/PE.SIM")
    assert cache.quote("NO/PE.SIM") is None
    assert cache.bar("NO/PE.SIM-1-minute-last") is None
    assert cache.order("O-1") is None
    assert cache.position("P-1") is None
    assert cache.account("SIM-PAPER") is None
    assert cache.account_at("SIM") is None
    assert cache.net_quantity("NO/PE.SIM", "S-1") == 0


def test_the_cache_files_positions_and_accounts() -> None:
    book = Book()
    book.hold(PAIR, 10, "1.0")
    book.hold(PAIR, 10, "1.0", "S-2")
    cache = book.cache
    (own,) = cache.positions(strategy_id="S-2")
    assert cache.position(own.position_id) is own
    assert cache.net_quantity(PAIR.id) == 20
    cache.close_position(own)
    assert cache.positions_open(instrument_id=PAIR.id, strategy_id="S-2") == []
    assert cache.net_quantity(PAIR.id) == 10
    assert cache.accounts() == [cache.account("SIM-PAPER")]

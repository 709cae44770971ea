"""Balances add up: to realised profit in a margin account, to flows less fees in a cash account."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.accounts import Account, CashAccount, MarginAccount
from workbench.engines.cache import Cache
from workbench.engines.needs import account_need, growth_of
from workbench.engines.portfolio import Portfolio
from workbench.model.data import Quote
from workbench.model.enums import LiquiditySide, OrderManagement, OrderSide, OrderType
from workbench.model.events import OrderFilled
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    PositionId,
    StrategyId,
    Venue,
    venue_of,
)
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Future, Instrument
from workbench.model.money import Currency, Money
from workbench.model.positions import Position, split_flip

D = Decimal
MARGINS: Any = {"margin_init": "0.1", "margin_maint": "0.05"}
LINEAR = CryptoPerpetual.define("BTC/USDT-PERP.SIM", price_increment="0.01", **MARGINS)
FUTURE = Future.define(
    "ESH4.SIM", underlying="ES", expiration_ns=10**18, multiplier="12.5", **MARGINS
)
INVERSE = CryptoPerpetual.define(
    "BTC/USD-PERP.SIM", is_inverse=True, quantity_increment=1, price_increment="0.01", **MARGINS
)
TRADED = (LINEAR, FUTURE, INVERSE)
PAIR, CROSS = CurrencyPair.define("AUD/USD.SIM"), CurrencyPair.define("EUR/AUD.SIM")
SHARE = Equity.define("ACME.SIM", currency="EUR", taker_fee="0.001")
EXACT = D("1e-15")  # the last of 28 digits of an inverse contract's quotients

QUANTITIES = st.integers(1, 50).map(D) | st.decimals("0.001", "500", places=3)
PRICES = st.decimals("0.5", "5000", places=2)


class Deal(NamedTuple):
    instrument: Instrument
    strategy: str
    position: str | None
    side: OrderSide
    quantity: Decimal
    price: Decimal
    commission: Decimal
    fee_unit: str


def deals(*instruments: Instrument, hedged: bool = False) -> st.SearchStrategy[list[Deal]]:
    each = st.builds(
        Deal,
        st.sampled_from(instruments),
        st.sampled_from(["S-1", "S-2"]),
        st.sampled_from(["P-1", "P-2", None]) if hedged else st.none(),
        st.sampled_from(list(OrderSide)),
        QUANTITIES,
        PRICES,
        st.decimals("-10", "10", places=6),
        st.sampled_from(["own", "own", "BNB"]),
    )
    return st.lists(each, min_size=1, max_size=25)


def as_fill(deal: Deal, number: int = 0) -> OrderFilled:
    ids: Any = {"client_order_id": f"O-{number}", "venue_order_id": "V", "trade_id": "T"}
    own = deal.instrument.settlement_currency
    # Names of positions are unique in a run.
    named = deal.position and f"{deal.position}/{deal.strategy}/{deal.instrument.id}"
    return OrderFilled(
        **ids,
        strategy_id=StrategyId(deal.strategy),
        instrument_id=deal.instrument.id,
        account_id=AccountId("SIM-PAPER"),
        side=deal.side,
        order_type=OrderType.MARKET,
        quantity=deal.quantity,
        price=deal.price,
        commission=deal.commission,
        commission_currency=own if deal.fee_unit == "own" else Currency("BNB", 8),
        liquidity=LiquiditySide.TAKER,
        position_id=PositionId(named) if named else None,
        ts_event=1,
        ts_init=1,
    )


def totals(account: Account) -> dict[str, Decimal]:
    return {balance.currency.code: balance.total for balance in account.state(1).balances}


class Desk:
    """The same fills as positions: an account that was written another way."""

    def __init__(self, *, is_hedging: bool = False) -> None:
        self.cache = Cache()
        self.portfolio = Portfolio(self.cache)
        self.is_hedging = is_hedging
        self.held: dict[tuple[str, str, str], Position] = {}

    def take(self, fill: OrderFilled, instrument: Instrument) -> None:
        own_commission = fill.commission_currency == instrument.settlement_currency
        commission = fill.commission if own_commission else D(0)
        own = f"P-{fill.client_order_id}" if self.is_hedging else ""
        name = fill.position_id or own
        was = self.held.get((fill.instrument_id, fill.strategy_id, name))
        if self.is_hedging and was is not None and not was.is_open:
            name = own  # what names a closed position opens one of its own
        position = self.held.get((fill.instrument_id, fill.strategy_id, name))
        before = D(0) if position is None else position.signed_quantity
        parts = split_flip(before, fill.side, fill.quantity, commission)
        # What is beyond a hedged position goes to the order's own.
        for part, (quantity, share) in zip((name, own), parts, strict=False):
            self.add(fill, instrument, part, quantity, share)

    def add(
        self,
        fill: OrderFilled,
        instrument: Instrument,
        name: str,
        quantity: Decimal,
        commission: Decimal,
    ) -> None:
        key = (fill.instrument_id, fill.strategy_id, name)
        position = self.held.get(key)
        if position is None or not position.is_open:
            position = self.held[key] = Position(
                position_id=PositionId("/".join(key)),
                strategy_id=fill.strategy_id,
                account_id=fill.account_id,
                instrument=instrument,
                entry=fill.side,
            )
        was = position.realized_pnl
        position.apply(fill.side, quantity, fill.price, commission, 1)
        self.portfolio.add_realized(position, position.realized_pnl - was)

    def gross(self, instrument: Instrument) -> Decimal:
        return sum(
            (
                instrument.notional(p.quantity, p.average_open)
                for p in self.held.values()
                if p.instrument_id == instrument.id and p.is_open
            ),
            D(0),
        )


def paid_elsewhere(given: Iterable[Deal]) -> Decimal:
    return sum((deal.commission for deal in given if deal.fee_unit != "own"), D(0))


@pytest.mark.parametrize("hedged", [False, True], ids=["netting", "hedging"])
@given(data=st.data())
def test_a_margin_balance_is_the_start_and_what_was_realised(
    hedged: bool, data: st.DataObject
) -> None:
    given_deals = data.draw(deals(*TRADED, hedged=hedged))
    start = {"USDT": D(1000), "USD": D(2000), "BTC": D(3)}
    leverage = D(4)
    account = MarginAccount(
        AccountId("SIM-PAPER"),
        [Money.parse(f"{amount} {code}") for code, amount in start.items()],
        leverage=leverage,
        order_management=OrderManagement.HEDGING if hedged else OrderManagement.NETTING,
    )
    desk = Desk(is_hedging=hedged)
    for count, deal in enumerate(given_deals, start=1):
        fill = as_fill(deal, count)
        account.apply_fill(deal.instrument, fill)
        desk.take(fill, deal.instrument)
        realized = desk.portfolio.realized_pnl()
        now = totals(account)
        for code, amount in start.items():
            assert abs(now[code] - amount - realized.get(code, D(0))) <= EXACT
        assert now.get("BNB", D(0)) == -paid_elsewhere(given_deals[:count])
        margins = {margin.instrument_id: margin for margin in account.margins()}
        for instrument in TRADED:
            gross = desk.gross(instrument) / leverage
            shown = margins.get(instrument.id)
            assert (shown is None) == (gross == 0)
            if shown is not None:
                assert abs(shown.initial - gross * instrument.margin_init) <= D("1e-12")
                assert abs(shown.maintenance - gross * instrument.margin_maint) <= D("1e-12")


@given(given_deals=deals(PAIR, CROSS, SHARE))
def test_a_cash_balance_is_the_start_and_the_flows_less_commissions(
    given_deals: list[Deal],
) -> None:
    account = CashAccount(AccountId("SIM-PAPER"), [Money.parse("1000 USD"), Money.parse("5 EUR")])
    expected = {"USD": D(1000), "EUR": D(5)}
    for deal in given_deals:
        account.apply_fill(deal.instrument, as_fill(deal))
        sign, worth = deal.side.sign, deal.quantity * deal.price
        own = deal.instrument.settlement_currency.code
        moves = [(own, -sign * worth), (own if deal.fee_unit == "own" else "BNB", -deal.commission)]
        if deal.instrument.base_currency is not None:
            moves.append((deal.instrument.base_currency.code, sign * deal.quantity))
        for code, amount in moves:
            expected[code] = expected.get(code, D(0)) + amount
        assert totals(account) == expected


@given(given_deals=deals(*TRADED), rate=st.decimals("0.01", "100", places=4))
def test_in_one_currency_a_balance_is_the_start_and_every_profit_at_its_rate(
    given_deals: list[Deal], rate: Decimal
) -> None:
    usd = Currency("USD", 2)
    rates: dict[str, Decimal | None] = {"USDT": rate, "BTC": 2 * rate, "BNB": None}

    def convert(amount: Decimal, source: Currency, target: Currency) -> Decimal | None:
        assert target == usd
        known = rates[source.code]
        return None if known is None else amount * known

    account = MarginAccount(
        AccountId("SIM-PAPER"), [Money.parse("1000 USD")], base_currency=usd, convert=convert
    )
    desk = Desk()
    for deal in given_deals:
        account.apply_fill(deal.instrument, as_fill(deal))
        desk.take(as_fill(deal), deal.instrument)
    realized = desk.portfolio.realized_pnl()
    expected = D(1000) + realized.get("USD", D(0))
    expected += sum(
        (realized.get(code, D(0)) * known for code, known in rates.items() if known), D(0)
    )
    now = totals(account)
    assert abs(now["USD"] - expected) <= D("1e-9")
    assert now.get("BNB", D(0)) == -paid_elsewhere(given_deals)
    assert set(now) <= {"USD", "BNB"}


@given(given_deals=deals(LINEAR, INVERSE), rate=st.decimals("-0.01", "0.01", places=5), mark=PRICES)
def test_funding_moves_a_balance_by_what_the_positions_pay_net(
    given_deals: list[Deal], rate: Decimal, mark: Decimal
) -> None:
    account = MarginAccount(AccountId("SIM-PAPER"), [Money.parse("1 USDT"), Money.parse("1 BTC")])
    held: dict[str, Decimal] = {}
    for deal in given_deals:
        account.apply_fill(deal.instrument, as_fill(deal))
        name = deal.instrument.id
        held[name] = held.get(name, D(0)) + deal.side.sign * deal.quantity
    for instrument in (LINEAR, INVERSE):
        code = instrument.settlement_currency.code
        before = totals(account)[code]
        payments = account.apply_funding(instrument, rate, mark)
        moved = totals(account)[code] - before
        assert abs(moved - sum((p.amount for p in payments), D(0))) <= EXACT
        net = instrument.notional(held.get(instrument.id, D(0)), mark)
        assert abs(moved + rate * net) <= EXACT


class Resting(NamedTuple):
    instrument: Instrument
    strategy: str
    signed: Decimal
    price: Decimal


ORDERS = st.lists(
    st.builds(
        Resting,
        st.sampled_from([PAIR, SHARE, LINEAR, INVERSE]),
        st.sampled_from(["S-1", "S-2"]),
        st.builds(
            lambda side, size: side.sign * size, st.sampled_from(list(OrderSide)), QUANTITIES
        ),
        PRICES,
    ),
    max_size=8,
)


def locked(account: Account) -> dict[str, Decimal]:
    return {b.currency.code: b.locked for b in account.state(1).balances if b.locked}


@given(orders=ORDERS)
def test_a_cash_account_locks_what_risk_is_told_that_orders_need(orders: list[Resting]) -> None:
    account = CashAccount(AccountId("SIM-PAPER"), [Money.parse("1000 USD")])
    expected: dict[str, Decimal] = {}
    for number, order in enumerate(orders):
        need = account_need(account.state(1), order.instrument, order.signed, order.price)
        assert need is not None
        if need.currency is not None:
            expected[need.unit] = expected.get(need.unit, D(0)) + need.amount
        account.lock_order(
            ClientOrderId(f"O-{number}"),
            StrategyId(order.strategy),
            order.instrument,
            order.signed,
            order.price,
        )
        assert locked(account) == expected
    for number in range(len(orders)):
        account.unlock_order(ClientOrderId(f"O-{number}"))
    assert locked(account) == {}


@given(given_deals=deals(LINEAR, INVERSE), orders=ORDERS)
def test_a_margin_account_locks_what_risk_is_told_that_orders_add(
    given_deals: list[Deal], orders: list[Resting]
) -> None:
    account = MarginAccount(AccountId("SIM-PAPER"), [Money.parse("1 USDT")], leverage=D(3))
    held: dict[tuple[str, str], Decimal] = {}
    for deal in given_deals:
        account.apply_fill(deal.instrument, as_fill(deal))
        key = (deal.instrument.id, deal.strategy)
        held[key] = held.get(key, D(0)) + deal.side.sign * deal.quantity
    free_of_orders = locked(account)
    working: dict[tuple[str, str, bool], Decimal] = {}
    for number, order in enumerate(orders):
        key = (order.instrument.id, order.strategy)
        before = working.get((*key, order.signed > 0), D(0))
        growth = size = abs(order.signed)
        if held.get(key, D(0)) * order.signed < 0:
            growth = growth_of(held[key], before, size)
        working[*key, order.signed > 0] = before + size
        state = account.state(1)
        need = account_need(state, order.instrument, order.signed, order.price, growth=growth)
        unit = order.instrument.settlement_currency.code
        was = locked(account).get(unit, D(0))
        account.lock_order(
            ClientOrderId(f"O-{number}"),
            StrategyId(order.strategy),
            order.instrument,
            order.signed,
            order.price,
        )
        added = locked(account).get(unit, D(0)) - was
        assert abs(added - (D(0) if need is None else need.amount)) <= D("1e-12")
    for number in range(len(orders)):
        account.unlock_order(ClientOrderId(f"O-{number}"))
    left = locked(account)
    for code in {*left, *free_of_orders}:
        assert abs(left.get(code, D(0)) - free_of_orders.get(code, D(0))) <= D("1e-12")


@given(given_deals=deals(*TRADED), bids=st.tuples(PRICES, PRICES, PRICES))
def test_equity_is_the_start_and_total_profit_in_one_currency_too(
    given_deals: list[Deal], bids: tuple[Decimal, Decimal, Decimal]
) -> None:
    account = MarginAccount(
        AccountId("SIM-PAPER"), [Money.parse("1000 USDT"), Money.parse("3 BTC")]
    )
    desk = Desk()
    portfolio = desk.portfolio
    for instrument, bid in zip(TRADED, bids, strict=True):
        desk.cache.add_instrument(instrument)
        quote = Quote(instrument.id, float(bid), float(bid) + 0.01, 1.0, 1.0, 1, 1)
        desk.cache.market(instrument.id).quote = quote
    for deal in given_deals:
        own = deal._replace(fee_unit="own")
        account.apply_fill(deal.instrument, as_fill(own))
        desk.take(as_fill(own), deal.instrument)
    for position in desk.held.values():
        if position.is_open:
            desk.cache.add_position(position)
    desk.cache.put_account(Venue("SIM"), account.state(1))
    portfolio.rates.fix("USDT", "USD", 1)
    portfolio.rates.fix("BTC", "USDT", 20_000)
    profit = portfolio.total_pnl(currency="USD")["USD"]
    equity = portfolio.equity(currency="USD")["USD"]
    assert abs(equity - (1000 + 60_000) - profit) <= D("1e-9")
    by_strategy = [
        portfolio.total_pnl(strategy_id=s, currency="USD")["USD"] for s in ("S-1", "S-2")
    ]
    assert abs(sum(by_strategy) - profit) <= D("1e-9")
    by_instrument = [portfolio.total_pnl(one.id, currency="USD")["USD"] for one in TRADED]
    assert abs(sum(by_instrument) - profit) <= D("1e-9")
    assert portfolio.equity(venue_of(LINEAR.id)) == portfolio.equity(account_id="SIM-PAPER")
    assert portfolio.missing_prices() == []

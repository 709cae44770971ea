"""Worked cases of the trading semantics: position, margin account and portfolio agree on each."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workbench.engines.accounts import MarginAccount
from workbench.engines.cache import Cache
from workbench.engines.portfolio import Portfolio
from workbench.model.enums import LiquiditySide, OrderSide, OrderType
from workbench.model.events import OrderFilled
from workbench.model.identifiers import AccountId, PositionId, StrategyId
from workbench.model.instruments import CurrencyPair
from workbench.model.money import Money
from workbench.model.positions import Position, split_flip

D = Decimal
PAIR = CurrencyPair.define("AUD/USD.SIM")
Deal = tuple[str, str, str, str]

CASE_1 = ("buy", "150000", "1.00001", "3"), ("sell", "150000", "1.00011", "0")
CASE_2 = (
    ("sell", "100000", "1.00000", "2"),
    ("buy", "50000", "1.00001", "2"),
    ("buy", "50000", "1.00003", "2"),
)
CASE_3 = ("sell", "100000", "1.00000", "0"), ("buy", "200000", "1.00010", "0")
# A basis point of each notional.
CASE_10 = (
    ("buy", "12", "100", "0.12"),
    ("buy", "17", "99", "0.1683"),
    ("sell", "9", "101", "0.0909"),
    ("sell", "4", "105", "0.042"),
    ("buy", "3", "103", "0.0309"),
)


@pytest.mark.parametrize(
    ("deals", "realized", "held"),
    [
        (CASE_1, ("-3", "12.00"), "0"),
        (CASE_2, ("-2", "-4.5", "-8.00"), "0"),
        (CASE_3, ("0", "-10.0"), "100000"),
        (CASE_10, ("-0.12", "-0.2883", "13.89666207", "36.19948966", "36.16858966"), "19"),
    ],
    ids=["case 1", "case 2", "case 3", "case 10"],
)
def test_position_account_and_portfolio_realise_the_same(
    deals: tuple[Deal, ...], realized: tuple[str, ...], held: str
) -> None:
    account = MarginAccount(AccountId("SIM-PAPER"), [Money.parse("1_000_000 USD")])
    portfolio = Portfolio(Cache())
    positions: list[Position] = []
    ids: Any = {"client_order_id": "O", "venue_order_id": "V", "trade_id": "T"}
    for (side, size, at, fee), expected in zip(deals, realized, strict=True):
        fill = OrderFilled(
            **ids,
            strategy_id=StrategyId("S-1"),
            instrument_id=PAIR.id,
            account_id=account.account_id,
            side=OrderSide(side),
            order_type=OrderType.MARKET,
            quantity=D(size),
            price=D(at),
            commission=D(fee),
            commission_currency=PAIR.settlement_currency,
            liquidity=LiquiditySide.TAKER,
            ts_event=1,
            ts_init=1,
        )
        account.apply_fill(PAIR, fill)
        before = positions[-1].signed_quantity if positions else D(0)
        for quantity, share in split_flip(before, fill.side, fill.quantity, fill.commission):
            if not positions or not positions[-1].is_open:
                positions.append(
                    Position(
                        position_id=PositionId(f"P-{len(positions)}"),
                        strategy_id=fill.strategy_id,
                        account_id=fill.account_id,
                        instrument=PAIR,
                        entry=fill.side,
                    )
                )
            was = positions[-1].realized_pnl
            positions[-1].apply(fill.side, quantity, fill.price, share, 1)
            portfolio.add_realized(positions[-1], positions[-1].realized_pnl - was)
        wanted = pytest.approx(D(expected), abs=D("5e-9"))
        assert sum(position.realized_pnl for position in positions) == wanted
        assert portfolio.realized_pnl(account_id="SIM-PAPER")["USD"] == wanted
        assert account.state(1).balances[0].total - 1_000_000 == wanted
    assert positions[-1].signed_quantity == D(held)

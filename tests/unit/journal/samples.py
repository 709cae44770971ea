"""Messages and journals for the tests of the journal."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench.model import events as e
from workbench.model.commands import SubmitOrder
from workbench.model.data import Quote
from workbench.model.enums import OrderSide, OrderType
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    InstrumentId,
    StrategyId,
    TradeId,
    Venue,
    VenueOrderId,
)
from workbench.model.instruments import CurrencyPair
from workbench.model.money import currency
from workbench.node.journal import Journal, TradedAccount
from workbench.runtime.clock import SimulatedClock

TRADER = "TRADER-001"
PAIR = CurrencyPair.define("AUD/USD.SIM")
ACCOUNT = AccountId("SIM-PAPER")
TRADED = TradedAccount(client_id=ClientId("SIM"), venue=Venue("SIM"), account_id=ACCOUNT)


def event(name: int | str, ts: int = 1) -> e.TimeEvent:
    return e.TimeEvent(str(name), ts, ts)


def quote(number: int) -> Quote:
    return Quote(PAIR.id, 1.0 + number / 1e5, 1.1 + number / 1e5, 1e6, 1e6, number, number)


def order(number: int, *, side: str = "buy", quantity: str = "10") -> e.OrderInitialized:
    return e.OrderInitialized(
        **about(number),
        side=OrderSide(side),
        order_type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal("1.00001"),
    )


def about(number: int) -> dict[str, Any]:
    return {
        "strategy_id": StrategyId("Desk-001"),
        "instrument_id": InstrumentId(PAIR.id),
        "client_order_id": ClientOrderId(f"O-T-1-{number}"),
        "ts_event": number,
        "ts_init": number,
    }


def submit(number: int, **more: Any) -> SubmitOrder:
    made = order(number)
    return SubmitOrder(
        strategy_id=made.strategy_id,
        instrument_id=made.instrument_id,
        client_order_id=made.client_order_id,
        order=made,
        ts_init=number,
        **more,
    )


def accepted(number: int, account_id: str = ACCOUNT) -> e.OrderAccepted:
    return e.OrderAccepted(
        **about(number),
        account_id=AccountId(account_id),
        venue_order_id=VenueOrderId(f"V-{number}"),
    )


def submitted(number: int, account_id: str = ACCOUNT) -> e.OrderSubmitted:
    return e.OrderSubmitted(**about(number), account_id=AccountId(account_id))


def filled(number: int, quantity: str = "10", account_id: str = ACCOUNT) -> e.OrderFilled:
    return e.OrderFilled(
        **about(number),
        account_id=AccountId(account_id),
        venue_order_id=VenueOrderId(f"V-{number}"),
        trade_id=TradeId(f"T-{number}-{quantity}"),
        side=OrderSide.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal("1.00001"),
        commission=Decimal("0.5"),
        commission_currency=currency("USD"),
        liquidity="maker",  # type: ignore[arg-type]
    )


def account(total: int, account_id: str = ACCOUNT) -> e.AccountState:
    return e.AccountState(
        account_id=AccountId(account_id),
        account_type="margin",  # type: ignore[arg-type]
        base_currency=None,
        balances=(e.Balance(currency("USD"), Decimal(total)),),
        ts_event=1,
        ts_init=1,
    )


def inline(folder: Path, **more: Any) -> Journal:
    """Return a journal without a thread, at a clock that stands still."""
    return Journal.open(
        folder / "journal.sqlite", TRADER, SimulatedClock(5), is_inline=True, **more
    )


def threaded(folder: Path, **more: Any) -> Journal:
    """Return a journal as a live node has it."""
    return Journal.open(folder / "journal.sqlite", TRADER, **more)

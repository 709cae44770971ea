"""Modifications, positions kept apart, and the thread the trading state belongs to."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest

from tests.risk_core import PAIR, Step, Trader, quotes, trade
from workbench.engines.risk import OnExcess, OnLoss, RiskLimits
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.enums import TradingState
from workbench.model.errors import ThreadError
from workbench.model.orders import Order
from workbench.node.config import TradingNodeConfig

D = Decimal


def changes(
    kind: str, arguments: list[Any], *steps: dict[str, Any], before: Step | None = None, **more: Any
) -> list[str]:
    """Return what became of modifications of an order: a code, or "" where one left."""
    placed: list[Order] = []

    def place(trader: Trader) -> None:
        placed.append(getattr(trader.orders, kind)(PAIR.id, *arguments))
        trader.submit_order(placed[0])

    def change(step: dict[str, Any]) -> Step:
        def modify(trader: Trader) -> None:
            if before is not None:
                before(trader)
            trader.modify_order(placed[0], **step)

        return modify

    outcome = trade(place, *map(change, steps), **more)
    rejected = [one for one in outcome.trader.events if isinstance(one, e.OrderModifyRejected)]
    codes = [one.code for one in rejected]
    left = sum(isinstance(one, c.ModifyOrder) for one in outcome.commands)
    assert left + len(codes) == len(steps), "passed on or refused, exactly once"
    return codes


@pytest.mark.parametrize(
    ("kind", "arguments", "change", "code"),
    [
        ("stop_market", ["buy", 100, "1.5"], {"trigger_price": "1.6"}, ""),
        ("stop_market", ["buy", 100, "1.5"], {"trigger_price": "1.65"}, "TRIGGER_PRICE_OFF_GRID"),
        ("stop_market", ["buy", 100, "1.5"], {"trigger_price": 0}, "TRIGGER_PRICE_INVALID"),
        ("stop_market", ["buy", 100, "1.5"], {"price": "1.6"}, "FIELD_UNEXPECTED"),
        ("limit", ["buy", 100, "0.5"], {"trigger_price": "0.6"}, "FIELD_UNEXPECTED"),
        ("limit", ["buy", 100, "0.5"], {"price": "0.6"}, ""),
        ("stop_limit", ["buy", 100, "1.6", "1.5"], {"price": "1.65"}, "PRICE_OFF_GRID"),
        ("stop_limit", ["buy", 100, "1.6", "1.5"], {"price": "1.7", "trigger_price": "1.6"}, ""),
        ("stop_market", ["buy", 100, "1.5"], {"quantity": 105}, "QUANTITY_OFF_GRID"),
        ("stop_market", ["buy", 100, "1.5"], {"quantity": 210}, "ORDER_TOO_LARGE"),
        ("stop_market", ["buy", 100, "1.5"], {"trigger_price": "4.1"}, "NOTIONAL_TOO_LARGE"),
        ("stop_market", ["buy", 100, "1.5"], {"trigger_price": "3.5"}, "INSUFFICIENT_FUNDS"),
    ],
)
def test_modifications_are_checked_once_each(
    kind: str, arguments: list[Any], change: dict[str, Any], code: str
) -> None:
    limits = RiskLimits(max_order_quantity=200, max_notional=400)  # type: ignore[arg-type]
    found = changes(kind, arguments, change, limits=limits, starting_balances=["30 USD"])
    assert found == ([code] if code else [])


@pytest.mark.parametrize(
    ("state", "code"), [("halted", "TRADING_HALTED"), ("reducing", "TRADING_REDUCING")]
)
def test_modifications_meet_the_trading_state(state: str, code: str) -> None:
    def set_state(trader: Trader) -> None:
        trader.core.risk.set_trading_state(TradingState(state))

    assert changes("limit", ["buy", 100, "0.5"], {"price": "0.6"}, before=set_state) == [code]


def test_modifications_beyond_their_rate_are_refused() -> None:
    found = changes(
        "limit",
        ["buy", 100, "0.5"],
        {"price": "0.6"},
        {"price": "0.7"},
        limits=RiskLimits(modifies=1, orders_interval_ns=10**12),
    )
    assert found == ["RATE_LIMIT_EXCEEDED"]


# Positions kept apart


def test_at_a_hedging_venue_reduce_only_is_against_the_position_an_order_names() -> None:
    def close(quantity: int, *, named: bool, side: str = "sell") -> Step:
        def step(trader: Trader) -> None:
            position = trader.cache.positions_open(strategy_id=trader.component_id)[0]
            name = str(position.position_id) if named else None
            trader.market(side, quantity, reduce_only=True, position_id=name)

        return step

    def buy(trader: Trader) -> None:
        trader.market("buy", 100)

    outcome = trade(
        *(buy, buy),
        close(200, named=True),  # more than that one position
        close(100, named=False),  # an order without a name opens one of its own
        close(100, named=True, side="buy"),
        close(100, named=True),
        order_management="hedging",
    )
    assert outcome.codes == ["REDUCE_ONLY"] * 3
    held = [position.signed_quantity for position in outcome.engine.core.cache.positions_open()]
    assert held == [100]


@pytest.mark.parametrize(
    ("management", "codes"), [("netting", []), ("hedging", ["INSUFFICIENT_FUNDS"])]
)
def test_where_positions_are_kept_apart_an_order_needs_margin_beside_them(
    management: str, codes: list[str]
) -> None:
    def buy(trader: Trader) -> None:
        trader.market("buy", 100)

    def turn(trader: Trader) -> None:
        trader.limit("sell", 200, "1.5")  # netted it leaves as much as there is; alone it needs 30

    outcome = trade(buy, turn, starting_balances=["15 USD"], order_management=management)
    assert outcome.codes == codes


# From outside


def test_the_trading_state_is_refused_to_another_thread() -> None:
    outcome = trade(lambda trader: None, data=quotes(1))
    core = outcome.engine.core
    core.own_thread()
    raised: list[BaseException] = []

    def change() -> None:
        try:
            core.risk.set_trading_state(TradingState.HALTED)
        except ThreadError as error:
            raised.append(error)

    thread = threading.Thread(target=change)
    thread.start()
    thread.join()
    assert len(raised) == 1
    assert "node.set_trading_state(...)" in str(raised[0])
    assert core.risk.trading_state is TradingState.ACTIVE
    core.risk.set_trading_state(TradingState.HALTED)
    assert core.risk.trading_state is TradingState.HALTED


def test_limits_are_read_from_a_file_as_from_code() -> None:
    config = TradingNodeConfig.from_dict(
        {
            "limits": {
                "on_excess": "buffer",
                "orders_per_minute": {"AUD/USD.SIM": 5},
                "max_order_quantity": 100,
                "max_notional": {"AUD/USD.SIM": 0.5},
                "max_position": "12.5",
                "max_open_orders": 3,
                "max_loss_per_day": {"SIM-PAPER": "5_000 USD"},
                "on_loss": "halted",
            }
        }
    )
    assert config.limits == RiskLimits(
        on_excess=OnExcess.BUFFER,
        orders_per_minute={"AUD/USD.SIM": 5},
        max_order_quantity=D(100),
        max_notional={"AUD/USD.SIM": D("0.5")},
        max_position=D("12.5"),
        max_open_orders=3,
        max_loss_per_day={"SIM-PAPER": "5_000 USD"},
        on_loss=OnLoss.HALTED,
    )

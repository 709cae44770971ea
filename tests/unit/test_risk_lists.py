"""Lists through the trading core: all orders pass, or none leaves; what waits ties up nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.risk_core import PAIR, SHARE, Outcome, Trader, trade
from workbench.engines.risk import OnExcess, RiskLimits
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.enums import TradingState
from workbench.model.order_lists import OrderList
from workbench.model.orders import Order

D = Decimal
Make = Callable[[Trader], OrderList]


def submit(make: Make) -> Callable[[Trader], None]:
    return lambda trader: trader.submit_order_list(make(trader))


def buy(trader: Trader, quantity: int, price: str | None = None, **more: Any) -> Order:
    return make(trader, "buy", quantity, price, **more)


def sell(trader: Trader, quantity: int, price: str | None = None, **more: Any) -> Order:
    return make(trader, "sell", quantity, price, **more)


def make(trader: Trader, side: str, quantity: int, price: str | None, **more: Any) -> Order:
    if price is None:
        return trader.orders.market(PAIR.id, side, quantity, **more)
    return trader.orders.limit(PAIR.id, side, quantity, price, **more)


def pairs(outcome: Outcome) -> list[tuple[str, str]]:
    """Return which order of the run was denied, by its number, and with which code."""
    return [(d.client_order_id.rsplit("-", 1)[-1], d.code) for d in outcome.denials]


def test_a_list_that_passes_leaves_as_one_command() -> None:
    outcome = trade(submit(lambda t: t.orders.together(buy(t, 100), buy(t, 100, "0.5"))))
    assert outcome.codes == []
    kinds = [type(command) for command in outcome.commands]
    assert kinds == [c.SubmitOrderList]


def test_one_order_that_fails_denies_its_list_and_each_order_once() -> None:
    outcome = trade(
        submit(lambda t: t.orders.together(buy(t, 100), buy(t, 105), buy(t, 0), buy(t, 100)))
    )
    assert pairs(outcome) == [
        ("1", "ORDER_LIST_DENIED"),
        ("2", "QUANTITY_OFF_GRID"),
        ("3", "ORDER_LIST_DENIED"),
        ("4", "ORDER_LIST_DENIED"),
    ]
    name = outcome.denials[1].client_order_id
    assert outcome.denials[0].reason == f"{name} of its list was denied: QUANTITY_OFF_GRID"
    assert outcome.commands == []


def test_the_orders_of_a_list_need_funds_together() -> None:
    def both(trader: Trader) -> OrderList:
        return trader.orders.together(buy(trader, 60, "1.0"), buy(trader, 60, "1.0"))

    # A tenth of the notional as margin: 6 each.
    assert trade(submit(both), starting_balances=["12 USD"]).codes == []
    refused = trade(
        submit(both), lambda t: t.submit_order(buy(t, 110, "1.0")), starting_balances=["11 USD"]
    )
    # What the list claimed for its first order is free again.
    assert pairs(refused) == [("1", "ORDER_LIST_DENIED"), ("2", "INSUFFICIENT_FUNDS")]
    assert len(refused.sent) == 1


@pytest.mark.parametrize(("limit", "codes"), [(3, []), (2, ["RATE_LIMIT_EXCEEDED"])])
def test_a_list_counts_its_orders_and_is_admitted_whole_or_not_at_all(
    limit: int, codes: list[str]
) -> None:
    def three(trader: Trader) -> OrderList:
        return trader.orders.together(buy(trader, 100), buy(trader, 100), buy(trader, 100))

    outcome = trade(submit(three), limits=RiskLimits(orders=limit))

    def twice(trader: Trader) -> None:
        trader.market("buy", 100)
        trader.market("buy", 100)

    expected = [*codes, *["ORDER_LIST_DENIED"] * 2] if codes else []
    assert outcome.codes == expected
    if codes:
        # Nothing of it was counted.
        two = trade(
            submit(three),
            twice,
            limits=RiskLimits(orders=limit, orders_interval_ns=10**12),
        )
        assert len(two.sent) == 2


@pytest.mark.parametrize(
    ("entry", "exits", "codes"),
    [
        (100, 100, []),
        (100, 110, ["ORDER_LIST_DENIED", "REDUCE_ONLY"]),
    ],
)
def test_a_reduce_only_child_is_checked_against_what_its_parent_will_open(
    entry: int, exits: int, codes: list[str]
) -> None:
    def bracket(trader: Trader) -> OrderList:
        return trader.orders.oto(buy(trader, entry), sell(trader, exits, "1.5", reduce_only=True))

    assert trade(submit(bracket)).codes == codes


def test_a_reduce_only_child_of_the_parents_side_reduces_nothing() -> None:
    outcome = trade(
        submit(lambda t: t.orders.oto(buy(t, 100), buy(t, 100, "0.5", reduce_only=True)))
    )
    assert pairs(outcome) == [("1", "ORDER_LIST_DENIED"), ("2", "REDUCE_ONLY")]


def test_a_child_may_sell_what_its_parent_buys_before_the_account_has_it() -> None:
    venue: dict[str, Any] = {"account_type": "cash", "starting_balances": ["1_000 USD"]}

    def bracket(trader: Trader) -> OrderList:
        entry = trader.orders.limit(SHARE.id, "buy", 100, 1)
        return trader.orders.oto(entry, trader.orders.limit(SHARE.id, "sell", 100, 2))

    assert trade(submit(bracket), **venue).codes == []

    def greedy(trader: Trader) -> OrderList:
        entry = trader.orders.limit(SHARE.id, "buy", 100, 1)
        return trader.orders.oto(entry, trader.orders.limit(SHARE.id, "sell", 101, 2))

    assert trade(submit(greedy), **venue).codes == ["ORDER_LIST_DENIED", "INSUFFICIENT_FUNDS"]


def test_linked_orders_need_what_the_dearest_does() -> None:
    def oco(trader: Trader) -> OrderList:
        return trader.orders.oco(
            trader.orders.limit(PAIR.id, "buy", 50, "0.8"),
            trader.orders.stop_market(PAIR.id, "buy", 50, "2.0"),
        )

    # A tenth of 50 x 2.0; 14 for both by themselves.
    assert trade(submit(oco), starting_balances=["10 USD"]).codes == []
    assert trade(submit(oco), starting_balances=["9 USD"]).codes == [
        "ORDER_LIST_DENIED",
        "INSUFFICIENT_FUNDS",
    ]


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        ("halted", ["TRADING_HALTED", "ORDER_LIST_DENIED", "ORDER_LIST_DENIED"]),
        ("reducing", ["TRADING_REDUCING", "ORDER_LIST_DENIED", "ORDER_LIST_DENIED"]),
        ("active", []),
    ],
)
def test_a_bracket_meets_the_trading_state(state: str, codes: list[str]) -> None:
    def bracket(trader: Trader) -> OrderList:
        trader.core.risk.set_trading_state(TradingState(state))
        return trader.orders.bracket(
            PAIR.id, "buy", 100, stop_loss="0.5", take_profit="1.5", entry_price="0.9"
        )

    outcome = trade(submit(bracket))
    assert outcome.codes == codes
    assert len(outcome.sent) == (0 if codes else 3)


def test_an_emulated_order_ties_up_nothing_and_counts_in_no_rate_until_it_is_released() -> None:
    def emulated(trader: Trader) -> None:
        trader.core.risk.waits_here = lambda order, _: order.terms.emulation_trigger is not None
        trader.submit_order(
            trader.orders.stop_market(PAIR.id, "buy", 100, "1.5", emulation_trigger="bid_ask")
        )
        trader.market("buy", 60)

    # Margin for 100 alone; a rate of one: both leave risk, as the first claims and counts nothing.
    outcome = trade(
        emulated,
        starting_balances=["15 USD"],
        limits=RiskLimits(orders=1),
        check=False,
    )
    assert outcome.codes == []
    assert sum(isinstance(one, c.SubmitOrder) for one in outcome.commands) == 2
    assert not any(isinstance(one, e.OrderDenied) for one in outcome.trader.events)


def test_of_a_list_that_waits_for_the_rate_the_canceled_order_is_the_one_that_is_named() -> None:
    made: list[OrderList] = []

    def wait(trader: Trader) -> None:
        trader.limit("buy", 100, "0.5")
        made.append(
            trader.orders.together(
                trader.orders.limit(PAIR.id, "buy", 100, "0.5"),
                trader.orders.limit(PAIR.id, "buy", 100, "0.6"),
            )
        )
        trader.submit_order_list(made[0])
        trader.cancel_order(made[0][1])

    outcome = trade(wait, limits=RiskLimits(orders=2, on_excess=OnExcess.BUFFER))
    first, second = made[0]
    assert first.reason.startswith(f"ORDER_LIST_DENIED: {second.client_order_id} of its list")
    assert second.reason.startswith("CANCELED_WHILE_WAITING: it was canceled")
    assert len(outcome.sent) == 1

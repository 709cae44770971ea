"""Every check through the trading core: one order leaves, its twin is refused, once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.risk_core import FUTURE, PAIR, SECOND, SHARE, START, Outcome, Step, Trader, quotes, trade
from workbench.engines.risk import RiskLimits
from workbench.model import events as e
from workbench.model.enums import TradingState
from workbench.model.orders import Order

D = Decimal
CASH: dict[str, Any] = {"account_type": "cash", "starting_balances": ["1_000 USD", "50 AUD"]}
POOR: dict[str, Any] = {"starting_balances": ["10 USD"]}


def order(kind: str, *arguments: Any, **options: Any) -> Step:
    """Return a step that submits an order of the pair."""

    def step(trader: Trader) -> None:
        make = getattr(trader.orders, kind)
        trader.submit_order(make(PAIR.id, *arguments, **options))

    return step


def of(instrument_id: str, kind: str, *arguments: Any, **options: Any) -> Step:
    def step(trader: Trader) -> None:
        make = getattr(trader.orders, kind)
        trader.submit_order(make(instrument_id, *arguments, **options))

    return step


def without(field: str, kind: str, *arguments: Any, **options: Any) -> Step:
    """Return a step that submits an order by hand that lacks something."""

    def step(trader: Trader) -> None:
        made: Order = getattr(trader.orders, kind)(PAIR.id, *arguments, **options)
        setattr(made, field, None)
        trader.submit_order(made)

    return step


def both(*steps: Step) -> Step:
    """Return steps as one, at one quote."""

    def step(trader: Trader) -> None:
        for one in steps:
            one(trader)

    return step


def state(word: str) -> Step:
    return lambda trader: trader.core.risk.set_trading_state(TradingState(word))


def stale(trader: Trader) -> None:
    trader.core.risk.is_stale = lambda instrument_id: instrument_id == PAIR.id


def future(trader: Trader) -> None:
    trader.core.cache.add_instrument(FUTURE)


def no_quotes(trader: Trader) -> None:
    trader.core.cache.market(PAIR.id).quote = None


BUY = order("market", "buy", 100)
PAST = START - SECOND
LATER = START + 3600 * SECOND

CASES: list[tuple[str, list[Step], list[Step], dict[str, Any]]] = [
    # code, steps whose last one is refused, steps whose last one passes, venue and limits
    (
        "REDUCE_ONLY",
        [BUY, order("market", "sell", 110, reduce_only=True)],
        [BUY, order("market", "sell", 100, reduce_only=True)],
        {},
    ),
    ("INSTRUMENT_UNKNOWN", [of("NO/PE.SIM", "market", "buy", 1)], [BUY], {}),
    (
        "INSTRUMENT_INACTIVE",
        [lambda t: None, of(FUTURE.id, "limit", "buy", 1, 1)],
        [of(FUTURE.id, "limit", "buy", 1, 1)],
        {"data": quotes(2, gap_ns=3000 * SECOND)},
    ),
    (
        "PRICE_INVALID",
        [order("limit", "buy", 100, 0)],
        [order("limit", "buy", 100, "0.5")],
        {},
    ),
    (
        "PRICE_OFF_GRID",
        [order("stop_limit", "buy", 100, "1.25", "1.2")],
        [order("stop_limit", "buy", 100, "1.3", "1.2")],
        {},
    ),
    (
        "FIELD_MISSING",
        [without("price", "limit", "buy", 100, "0.5")],
        [without("trigger_price", "trailing_stop_market", "sell", 100, "0.2")],
        {},
    ),
    (
        "FIELD_MISSING",
        [without("trigger_price", "stop_market", "buy", 100, "1.5")],
        [without("price", "trailing_stop_limit", "sell", 100, "0.2", "0.1")],
        {},
    ),
    (
        "TRIGGER_PRICE_INVALID",
        [order("stop_market", "sell", 100, "-0.5")],
        [order("stop_market", "sell", 100, "0.5")],
        {},
    ),
    (
        "TRIGGER_PRICE_OFF_GRID",
        [order("market_if_touched", "buy", 100, "0.55")],
        [order("market_if_touched", "buy", 100, "0.5")],
        {},
    ),
    (
        "TRIGGER_PRICE_OFF_GRID",
        [order("limit_if_touched", "buy", 100, "0.5", "0.55")],
        [order("limit_if_touched", "buy", 100, "0.5", "0.6")],
        {},
    ),
    (
        "ACTIVATION_PRICE_OFF_GRID",
        [order("trailing_stop_market", "sell", 100, "0.2", activation_price="1.25")],
        [order("trailing_stop_market", "sell", 100, "0.2", activation_price="1.3")],
        {},
    ),
    (
        "ACTIVATION_PRICE_INVALID",
        [order("trailing_stop_limit", "sell", 100, "0.2", "0.1", activation_price=0)],
        [order("trailing_stop_limit", "sell", 100, "0.2", "0.1", activation_price=2)],
        {},
    ),
    (
        "TRAILING_OFFSET_INVALID",
        [order("trailing_stop_market", "sell", 100, 0)],
        [order("trailing_stop_market", "sell", 100, "0.1")],
        {},
    ),
    (
        "TRAILING_OFFSET_INVALID",
        [order("trailing_stop_market", "sell", 100, 10_000, trailing_offset_type="basis_points")],
        [order("trailing_stop_market", "sell", 100, 9_999, trailing_offset_type="basis_points")],
        {},
    ),
    (
        "TRAILING_OFFSET_OFF_GRID",
        [order("trailing_stop_market", "sell", 100, "1.5", trailing_offset_type="ticks")],
        [order("trailing_stop_market", "sell", 100, 2, trailing_offset_type="ticks")],
        {},
    ),
    (
        "TRAILING_OFFSET_OFF_GRID",
        [order("trailing_stop_limit", "sell", 100, "0.15", "0.1")],
        [order("trailing_stop_limit", "sell", 100, "0.2", "0.1")],
        {},
    ),
    (
        "LIMIT_OFFSET_INVALID",
        [order("trailing_stop_limit", "sell", 100, "0.2", "-0.1")],
        [order("trailing_stop_limit", "sell", 100, "0.2", 0)],
        {},
    ),
    (
        "LIMIT_OFFSET_OFF_GRID",
        [order("trailing_stop_limit", "sell", 100, "0.2", "0.05")],
        [order("trailing_stop_limit", "sell", 100, "0.2", "0.1")],
        {},
    ),
    (
        "POST_ONLY_INVALID",
        [order("limit", "buy", 100, "0.5", post_only=True, time_in_force="ioc")],
        [order("limit", "buy", 100, "0.5", post_only=True)],
        {},
    ),
    ("QUANTITY_INVALID", [order("market", "buy", 0)], [BUY], {}),
    ("QUANTITY_OFF_GRID", [order("market", "buy", 105)], [BUY], {}),
    ("QUANTITY_TOO_SMALL", [order("market", "buy", 10)], [order("limit", "buy", 30, 1)], {}),
    ("QUANTITY_TOO_LARGE", [order("market", "buy", 10_010)], [order("market", "buy", 10_000)], {}),
    (
        "DISPLAY_QUANTITY_INVALID",
        [order("limit", "buy", 100, "0.5", display_quantity=110)],
        [order("limit", "buy", 100, "0.5", display_quantity=100)],
        {},
    ),
    (
        "DISPLAY_QUANTITY_OFF_GRID",
        [order("limit", "buy", 100, "0.5", display_quantity=15)],
        [order("limit", "buy", 100, "0.5", display_quantity=0)],
        {},
    ),
    (
        "ORDER_TOO_LARGE",
        [order("market", "buy", 110)],
        [BUY],
        {"limits": RiskLimits(max_order_quantity=100)},  # type: ignore[arg-type]
    ),
    (
        "GTD_EXPIRED",
        [order("limit", "buy", 100, "0.5", expire=PAST)],
        [order("limit", "buy", 100, "0.5", expire=LATER)],
        {},
    ),
    (
        "PRICE_MISSING",
        [both(no_quotes, BUY)],
        [both(no_quotes, order("stop_market", "buy", 100, "1.5"))],
        {},
    ),
    (
        "NOTIONAL_TOO_LARGE",
        [order("stop_market", "buy", 100, "2.1")],
        [order("stop_market", "buy", 100, "2.0")],
        {"limits": RiskLimits(max_notional=200)},  # type: ignore[arg-type]
    ),
    (
        "NOTIONAL_TOO_SMALL",
        [order("limit", "buy", 50, "0.5")],
        [order("limit", "buy", 60, "0.5")],
        {},
    ),
    (
        "ACCOUNT_TYPE",
        [both(future, of(FUTURE.id, "limit", "buy", 1, 1))],
        [of(SHARE.id, "limit", "buy", 1, 1)],
        CASH,
    ),
    (
        "INSUFFICIENT_FUNDS",
        [of(SHARE.id, "limit", "buy", 1000, 1)],  # the fee of 1 % comes on top
        [of(SHARE.id, "limit", "buy", 990, 1)],
        CASH,
    ),
    (
        "INSUFFICIENT_FUNDS",  # a tenth of the notional, at the trigger
        [order("stop_market", "buy", 100, "1.1")],
        [order("stop_market", "buy", 100, "1.0")],
        POOR,
    ),
    ("QUOTE_STALE", [both(stale, BUY)], [BUY], {}),
    ("TRADING_HALTED", [state("halted"), BUY], [state("active"), BUY], {}),
    (
        "TRADING_REDUCING",
        [BUY, state("reducing"), order("market", "sell", 110)],
        [BUY, state("reducing"), order("market", "sell", 100)],
        {},
    ),
    (
        "POSITION_TOO_LARGE",
        [BUY, order("limit", "buy", 60, "0.5"), order("limit", "buy", 50, "0.9")],
        [BUY, order("limit", "buy", 60, "0.5"), order("limit", "buy", 40, "0.9")],
        {"limits": RiskLimits(max_position=200)},  # type: ignore[arg-type]
    ),
    (
        "TOO_MANY_OPEN_ORDERS",
        [order("limit", "buy", 100, "0.5"), order("limit", "buy", 100, "0.6")],
        [order("limit", "buy", 100, "0.5"), BUY],  # a market order rests nowhere
        {"limits": RiskLimits(max_open_orders=1)},
    ),
    (
        "ORDERS_PER_MINUTE_EXCEEDED",
        [BUY, BUY],
        [BUY],
        {"limits": RiskLimits(orders_per_minute=1)},
    ),
    (
        "RATE_LIMIT_EXCEEDED",
        [both(BUY, BUY)],
        [BUY, BUY],
        {"limits": RiskLimits(orders=1)},
    ),
]


@pytest.mark.parametrize(("code", "refused", "passing", "more"), CASES)
def test_each_check_refuses_one_order_once_and_lets_its_twin_leave(
    code: str, refused: list[Step], passing: list[Step], more: dict[str, Any]
) -> None:
    bad = trade(*refused, **more)
    assert bad.codes == [code]
    # `Outcome.check_once` has seen that it did not leave; what came of it is the denial alone.
    told = bad.denials[0].client_order_id
    kinds = [type(one) for one in bad.trader.events if one.client_order_id == told]
    assert kinds == [e.OrderInitialized, e.OrderDenied]
    kept = bad.engine.core.cache.order(told)
    assert kept is not None
    assert kept.reason.startswith(f"{code}: ")
    good = trade(*passing, **more)
    assert good.codes == []
    assert good.sent


def test_a_cash_account_of_a_million_cannot_buy_for_ten() -> None:
    outcome = trade(
        of(SHARE.id, "limit", "buy", 10_100_000, 1),
        account_type="cash",
        starting_balances=["1_000_000 USD"],
    )
    assert outcome.codes == ["INSUFFICIENT_FUNDS"]
    assert outcome.denials[0].reason == ("needs 10201000.00 USD; 1000000 USD of SIM-PAPER is free")
    assert outcome.commands == []


def test_with_a_rate_of_ten_a_second_the_eleventh_order_is_denied() -> None:
    def eleven(trader: Trader) -> None:
        for _ in range(11):
            trader.market("buy", 100)

    outcome = trade(eleven, limits=RiskLimits(orders=10))
    assert outcome.codes == ["RATE_LIMIT_EXCEEDED"]
    assert outcome.denials[0].client_order_id.endswith("-11")
    assert len(outcome.sent) == 10


def test_of_an_order_that_fails_everything_the_checks_speak_in_their_order() -> None:
    """Each attempt mends what the one before was denied for; all later checks would still fail."""
    limits = RiskLimits(
        orders=1,
        orders_per_minute=2,
        max_order_quantity=2000,  # type: ignore[arg-type]
        max_notional=900,  # type: ignore[arg-type]
        max_position=50,  # type: ignore[arg-type]
    )
    from workbench.model.instruments import CurrencyPair

    tight = CurrencyPair.define(
        PAIR.id,
        price_increment="0.1",
        quantity_increment="10",
        max_notional=800,
        margin_init="1",
    )
    expired, wrong = {"expire": PAST}, {"expire": PAST, "reduce_only": True}
    attempts: list[tuple[str, Step | None, Step]] = [
        ("REDUCE_ONLY", None, of("NO/PE.SIM", "limit", "buy", 3005, "1.05", **wrong)),
        ("INSTRUMENT_UNKNOWN", None, of("NO/PE.SIM", "limit", "buy", 3005, "1.05", **expired)),
        ("PRICE_OFF_GRID", None, order("limit", "buy", 3005, "1.05", **expired)),
        ("QUANTITY_OFF_GRID", None, order("limit", "buy", 3005, "1.0", **expired)),
        ("ORDER_TOO_LARGE", None, order("limit", "buy", 3000, "1.0", **expired)),
        ("GTD_EXPIRED", None, order("limit", "buy", 1000, "1.0", **expired)),
        ("NOTIONAL_TOO_LARGE", None, order("limit", "buy", 1000, "1.0")),
        ("NOTIONAL_TOO_LARGE", None, order("limit", "buy", 850, "1.0")),
        ("INSUFFICIENT_FUNDS", None, order("limit", "buy", 600, "1.0")),
        ("QUOTE_STALE", None, order("limit", "buy", 100, "1.0")),
        ("TRADING_HALTED", _fresh, order("limit", "buy", 100, "1.0")),
        ("POSITION_TOO_LARGE", state("active"), order("limit", "buy", 100, "1.0")),
        ("", None, order("limit", "buy", 20, "1.0")),
        ("RATE_LIMIT_EXCEEDED", None, order("limit", "buy", 20, "1.0")),
    ]

    def all_at_once(trader: Trader) -> None:
        trader.core.cache.add_instrument(tight)
        stale(trader)
        state("halted")(trader)
        trader.todo = iter([climb(number) for number in range(len(attempts))])

    def climb(number: int) -> Step:
        def step(trader: Trader) -> None:
            _, mend, submit = attempts[number]
            if mend is not None:
                mend(trader)
            submit(trader)

        return step

    outcome = trade(
        all_at_once,
        data=quotes(len(attempts) + 1, gap_ns=SECOND // 20),
        limits=limits,
        starting_balances=["500 USD"],
    )
    assert outcome.codes == [code for code, *_ in attempts if code]
    reasons = [denial.reason for denial in outcome.denials]
    assert "the configured limit of 900" in reasons[6]
    assert "the instrument's limit of 800" in reasons[7]
    assert len(outcome.sent) == 1


def _fresh(trader: Trader) -> None:
    trader.core.risk.is_stale = lambda _: False


def test_the_minute_is_looked_at_before_the_rate() -> None:
    def three(trader: Trader) -> None:
        for _ in range(2):
            trader.market("buy", 100)

    outcome: Outcome = trade(three, limits=RiskLimits(orders=1, orders_per_minute=1))
    assert outcome.codes == ["ORDERS_PER_MINUTE_EXCEEDED"]

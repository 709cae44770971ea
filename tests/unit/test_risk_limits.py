"""The limits outside strategies, through the trading core."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.risk_core import PAIR, SECOND, SHARE, START, Outcome, Step, Trader, quotes, trade
from workbench.engines.risk import RiskLimits
from workbench.model.data import Quote
from workbench.model.enums import TradingState
from workbench.model.errors import ConfigError
from workbench.model.orders import Order
from workbench.model.risk_events import LossLimitReached, TradingStateChanged
from workbench.runtime.eventlog import RecordKind

D = Decimal
DAY = 86_400 * SECOND
MIDNIGHT = (START // DAY + 1) * DAY


def buy(quantity: int, price: str | None = None, **more: Any) -> Step:
    return _order("buy", quantity, price, **more)


def sell(quantity: int, price: str | None = None, **more: Any) -> Step:
    return _order("sell", quantity, price, **more)


def _order(side: str, quantity: int, price: str | None, **more: Any) -> Step:
    def step(trader: Trader) -> None:
        if price is None:
            trader.market(side, quantity, **more)
        else:
            trader.limit(side, quantity, price, **more)

    return step


def limits(**given: Any) -> RiskLimits:
    return RiskLimits(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"max_order_quantity": {SHARE.id: 10}},
        {"max_notional": {SHARE.id: 10}},
        {"max_position": {SHARE.id: 10}},
        {"max_open_orders": {SHARE.id: 1}},
        {"orders_per_minute": {SHARE.id: 1}},
    ],
)
def test_a_limit_of_another_instrument_is_none_of_this_one(given: Any) -> None:
    outcome = trade(buy(100, "0.5"), buy(100, "0.5"), limits=limits(**given))
    assert outcome.codes == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"max_order_quantity": {PAIR.id: 99}}, "ORDER_TOO_LARGE"),
        ({"max_notional": {PAIR.id: 49}}, "NOTIONAL_TOO_LARGE"),
        ({"max_position": {PAIR.id: 99}}, "POSITION_TOO_LARGE"),
    ],
)
def test_a_limit_of_an_instrument_refuses_its_orders_only(given: Any, code: str) -> None:
    def share(trader: Trader) -> None:
        trader.limit("buy", 500, "1.00", SHARE)

    outcome = trade(buy(100, "0.5"), share, limits=limits(**given))
    assert outcome.codes == [code]
    assert len(outcome.sent) == 1


# Position


def test_a_position_beyond_its_limit_can_be_closed_but_not_turned_too_far() -> None:
    def widen(trader: Trader) -> None:
        trader.market("buy", 100)

    outcome = trade(
        widen,
        sell(160),  # to short 60
        sell(100, reduce_only=False),  # short 160
        buy(60, reduce_only=True),
        limits=limits(max_position=100),
    )
    assert outcome.codes == ["POSITION_TOO_LARGE"]
    assert outcome.denials[0].reason == (
        "with a position of -60 and 0 that work on its side, this sell of 100 could leave all"
        " strategies with -160, beyond the configured limit of 100"
    )


@pytest.mark.parametrize(("scope", "refused"), [("account", True), ("strategy", False)])
def test_positions_are_limited_over_all_strategies_or_for_each(scope: str, refused: bool) -> None:
    other = Trader(steps=[buy(100)])
    outcome = trade(
        lambda _: None,
        buy(100),
        actors=[other],
        limits=limits(max_position=150, position_scope=scope),
    )
    assert outcome.codes == (["POSITION_TOO_LARGE"] if refused else [])


def test_a_modification_grows_no_position_beyond_its_limit() -> None:
    placed: list[Order] = []

    def place(trader: Trader) -> None:
        placed.append(trader.orders.limit(PAIR.id, "buy", 100, "0.5"))
        trader.submit_order(placed[0])

    def change(quantity: int) -> Step:
        return lambda trader: trader.modify_order(placed[0], quantity=quantity)

    outcome = trade(place, change(160), change(150), limits=limits(max_position=150))
    assert [type(one).__name__ for one in outcome.trader.events].count("OrderModifyRejected") == 1
    assert placed[0].quantity == 150


# Open orders and orders a minute


def test_open_orders_are_counted_by_instrument_or_over_all() -> None:
    def share(trader: Trader) -> None:
        trader.limit("buy", 1, "0.50", SHARE)

    each = trade(buy(100, "0.5"), share, limits=limits(max_open_orders={PAIR.id: 1}))
    assert each.codes == []
    over_all = trade(buy(100, "0.5"), share, limits=limits(max_open_orders=1))
    assert over_all.codes == ["TOO_MANY_OPEN_ORDERS"]


def test_an_order_that_is_over_leaves_its_place_to_another() -> None:
    def cancel(trader: Trader) -> None:
        trader.cancel_all_orders(PAIR.id)

    outcome = trade(
        buy(100, "0.5"),
        buy(100, "0.6"),
        cancel,
        buy(100, "0.6"),
        limits=limits(max_open_orders=1),
    )
    assert outcome.codes == ["TOO_MANY_OPEN_ORDERS"]


def test_after_a_minute_orders_may_leave_again() -> None:
    every_half_minute = quotes(4, gap_ns=30 * SECOND)
    outcome = trade(
        buy(100), buy(100), buy(100), data=every_half_minute, limits=limits(orders_per_minute=1)
    )
    assert outcome.codes == ["ORDERS_PER_MINUTE_EXCEEDED"]
    assert outcome.denials[0].reason == "more than 1 orders in a minute"
    assert [int(name.rsplit("-", 1)[-1]) for name in outcome.sent] == [1, 3]


# The loss of a day


def falling(*bids: float, first_ns: int = START) -> list[Quote]:
    """Return quotes of the pair with these bids, a tick wide and a second apart."""
    times = [first_ns + number * SECOND for number in range(1, len(bids) + 1)]
    return [
        Quote(PAIR.id, bid, bid + 0.1, 1e9, 1e9, ts, ts)
        for bid, ts in zip(bids, times, strict=True)
    ]


def losing(*more: Step, data: list[Quote] | None = None, **given: Any) -> Outcome:
    """Buy 1,000 at 2.1 and see the bid fall to 1.0: a loss of 1,100."""
    return trade(
        buy(1000),
        *more,
        data=data or falling(2.0, *[1.0] * len(more)),
        limits=limits(max_loss_per_day="1_000 USD", **given),
    )


def test_beyond_the_days_loss_only_what_reduces_leaves() -> None:
    outcome = losing(buy(100), sell(1010), sell(1000))
    assert outcome.codes == ["MAX_LOSS_PER_DAY", "MAX_LOSS_PER_DAY"]
    assert outcome.denials[0].reason == (
        "the day's loss came to 1100.00 USD, at its limit of 1000; nothing may grow until 00:00 UTC"
    )
    assert len(outcome.sent) == 2
    assert outcome.engine.core.risk.trading_state is TradingState.ACTIVE


def test_the_last_digit_of_an_average_price_does_not_save_a_limit() -> None:
    # 100 at 2.1 and 200 at 2.2: an average of 2.1666..., a loss of exactly 350 at a bid of 1.
    data = falling(2.0, 2.1, 1.0)
    outcome = trade(
        buy(100), buy(200), buy(100), data=data, limits=limits(max_loss_per_day="350 USD")
    )
    assert outcome.codes == ["MAX_LOSS_PER_DAY"]
    assert "came to 350.00 USD, at its limit of 350;" in outcome.denials[0].reason


def test_a_loss_below_the_limit_refuses_nothing() -> None:
    outcome = losing(buy(100), data=falling(2.0, 1.2))
    assert outcome.codes == []


def test_the_limit_is_told_once_and_kept_though_the_market_recovers() -> None:
    told: list[Any] = []
    outcome = trade(
        buy(1000),
        buy(100),
        buy(100),
        data=falling(2.0, 1.0, 5.0),
        limits=limits(max_loss_per_day="1_000 USD"),
        before=lambda engine: engine.core.bus.subscribe("events.risk", told.append),
    )
    assert outcome.codes == ["MAX_LOSS_PER_DAY"] * 2
    assert len(told) == 1
    assert isinstance(told[0], LossLimitReached)
    assert (told[0].loss, told[0].limit, told[0].currency.code) == (D("1100.0"), D(1000), "USD")
    log = outcome.engine.core.log.records([RecordKind.DERIVED])
    assert told[0] in [record.message for record in log]


@pytest.mark.parametrize(("word", "code"), [("reducing", "REDUCING"), ("halted", "HALTED")])
def test_a_loss_can_set_the_trading_state(word: str, code: str) -> None:
    told: list[Any] = []
    outcome = trade(
        buy(1000),
        buy(100),
        sell(1000),
        data=falling(2.0, 1.0, 1.0),
        limits=limits(max_loss_per_day={"SIM-PAPER": "1_000 USD"}, on_loss=word),
        before=lambda engine: engine.core.bus.subscribe("events.risk", told.append),
    )
    expected = [f"TRADING_{code}"] * (1 if word == "reducing" else 2)
    assert outcome.codes == expected
    assert outcome.engine.core.risk.trading_state is TradingState(word)
    assert [type(one) for one in told] == [LossLimitReached, TradingStateChanged]
    assert told[1].reason == "the day's loss of SIM-PAPER came to 1100.00 USD"


def test_a_loss_does_not_loosen_what_was_halted() -> None:
    def halt(trader: Trader) -> None:
        trader.core.risk.set_trading_state(TradingState.HALTED)
        trader.market("buy", 100)

    outcome = losing(halt, on_loss="reducing")
    assert outcome.engine.core.risk.trading_state is TradingState.HALTED


def test_a_new_day_begins_with_what_it_found() -> None:
    data = [
        *falling(2.0, 1.0),
        # The next day at the same price: nothing was lost in it.
        *falling(1.0, 0.9, first_ns=MIDNIGHT),
    ]
    outcome = losing(buy(100), buy(100), buy(100), data=data)
    assert outcome.codes == ["MAX_LOSS_PER_DAY"]
    assert len(outcome.sent) == 3


def test_the_days_first_value_is_that_of_midnight_not_of_the_first_order() -> None:
    data = [
        *falling(2.0),
        *falling(2.0, first_ns=MIDNIGHT - 2 * SECOND),
        # It falls after midnight, before anything is sent.
        *falling(1.0, 1.0, first_ns=MIDNIGHT + 5 * SECOND),
    ]
    outcome = losing(lambda _: None, lambda _: None, buy(100), data=data)
    assert outcome.codes == ["MAX_LOSS_PER_DAY"]
    assert "came to 1000.00 USD" in outcome.denials[0].reason


def test_a_loss_that_cannot_be_told_lets_nothing_grow() -> None:
    def forget(trader: Trader) -> None:
        trader.core.cache.market(PAIR.id).quote = None
        trader.limit("buy", 100, "1.0")
        trader.limit("sell", 100, "1.0")

    outcome = losing(forget)
    assert outcome.codes == ["LOSS_UNKNOWN"]
    assert PAIR.id in outcome.denials[0].reason


def test_the_trading_state_is_told_when_it_changes() -> None:
    told: list[Any] = []

    def twice(trader: Trader) -> None:
        trader.core.risk.set_trading_state(TradingState.REDUCING)
        trader.core.risk.set_trading_state(TradingState.REDUCING)

    trade(twice, before=lambda engine: engine.core.bus.subscribe("events.risk", told.append))
    assert [(one.state, one.reason) for one in told] == [(TradingState.REDUCING, "")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"max_position": {"AUD/USD.SIN": 5}},
            "max_position: no instrument 'AUD/USD.SIN' is known",
        ),
        ({"max_loss_per_day": {"SIM": "5 USD"}}, "max_loss_per_day: no account 'SIM' is known"),
    ],
)
def test_a_limit_of_what_is_not_there_lets_nothing_start(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        trade(buy(100), limits=limits(**given))


CHANGES: list[Any] = [
    lambda limits: setattr(limits, "max_position", None),
    lambda limits: limits.max_position.update({PAIR.id: 9}),
    lambda limits: limits.max_position.pop(PAIR.id),
    lambda limits: limits.max_position.clear(),
    lambda limits: limits.max_position.setdefault("X", 9),
    lambda limits: limits.max_position.__setitem__(PAIR.id, 9),
    lambda limits: limits.max_position.__delitem__(PAIR.id),
    lambda limits: limits.max_position.__ior__({PAIR.id: 9}),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_strategy_cannot_change_the_limits_by_accident(change: Any) -> None:
    given = {PAIR.id: 5_000}
    limits = RiskLimits(max_position=given)  # type: ignore[arg-type]
    refused: list[BaseException] = []

    def step(trader: Trader) -> None:
        for attempt in (
            lambda: change(trader.core.risk.limits),
            lambda: setattr(trader.core.risk, "limits", RiskLimits()),
        ):
            with pytest.raises((TypeError, AttributeError)) as caught:
                attempt()
            refused.append(caught.value)
        trader.market("buy", 6_000)

    outcome = trade(step, limits=limits)
    assert len(refused) == 2
    assert limits == RiskLimits(max_position={PAIR.id: D(5_000)})
    assert outcome.codes == ["POSITION_TOO_LARGE"]
    given[PAIR.id] = 9
    assert limits.max_position == {PAIR.id: 5_000}


def test_limits_by_name_are_encoded_copied_and_compared_like_any_dict() -> None:
    limits = RiskLimits(max_open_orders={PAIR.id: 5})
    assert msgspec.json.decode(msgspec.json.encode(limits.max_open_orders)) == {PAIR.id: 5}
    assert msgspec.to_builtins(limits)["max_open_orders"] == {PAIR.id: 5}
    for same in (copy.deepcopy(limits), pickle.loads(pickle.dumps(limits))):
        assert same == limits
        with pytest.raises(TypeError, match="limits cannot be changed"):
            same.max_open_orders[PAIR.id] = 9

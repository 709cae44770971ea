"""When triggers are reached, and how trailing ones follow, in whole ticks."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.triggers import (
    AFTER_TRIGGER,
    TRIGGERED,
    Prices,
    Watch,
    limit_behind,
    make_watch,
    nearest_first,
    offset_in_ticks,
    rises_to,
)
from workbench.model.enums import OrderSide, OrderType, TrailingOffsetType, TriggerType
from workbench.model.events import OrderTerms
from workbench.model.instruments import CurrencyPair

D = Decimal
BUY, SELL = OrderSide.BUY, OrderSide.SELL
PAIR = CurrencyPair.define("AUD/USD.SIM", price_increment="0.01")


def watch(
    side: OrderSide = BUY,
    kind: OrderType = OrderType.STOP_MARKET,
    trigger: int | None = 100,
    by: TriggerType = TriggerType.BID_ASK,
    **terms: Any,
) -> Watch:
    return make_watch(side, kind, trigger, OrderTerms(trigger_type=by, **terms), PAIR)


def test_every_type_with_a_trigger_says_what_it_becomes() -> None:
    assert set(AFTER_TRIGGER) == TRIGGERED
    assert not TRIGGERED & set(AFTER_TRIGGER.values())


@pytest.mark.parametrize(
    ("side", "kind", "rises"),
    [
        (BUY, OrderType.STOP_MARKET, True),
        (SELL, OrderType.STOP_LIMIT, False),
        (BUY, OrderType.MARKET_IF_TOUCHED, False),
        (SELL, OrderType.LIMIT_IF_TOUCHED, True),
        (BUY, OrderType.TRAILING_STOP_MARKET, True),
        (SELL, OrderType.TRAILING_STOP_LIMIT, False),
    ],
)
def test_a_buy_stop_and_a_sale_if_touched_wait_for_the_market_to_rise(
    side: OrderSide, kind: OrderType, rises: bool
) -> None:
    assert rises_to(side, kind) is rises
    above, below = Prices(110, 110), Prices(90, 90)
    assert watch(side, kind).is_reached(above) is rises
    assert watch(side, kind).is_reached(below) is not rises
    assert watch(side, kind).is_reached(Prices(100, 100))


@pytest.mark.parametrize(
    ("by", "reaches", "does_not"),
    [
        (TriggerType.DEFAULT, Prices(ask=100), Prices(bid=100, ask=99, last=100, mark=100)),
        (TriggerType.BID_ASK, Prices(ask=100), Prices(bid=100, ask=99, last=100, mark=100)),
        (TriggerType.LAST, Prices(last=100), Prices(bid=100, ask=100, mark=100)),
        (TriggerType.LAST_OR_BID_ASK, Prices(last=100), Prices(bid=100, mark=100)),
        (TriggerType.LAST_OR_BID_ASK, Prices(ask=100), Prices(last=99, mark=100)),
        (TriggerType.MID, Prices(99, 101), Prices(99, 100, last=100, mark=100)),
        (TriggerType.MID, Prices(99, 101), Prices(ask=101)),
        (TriggerType.MARK, Prices(mark=100), Prices(bid=100, ask=100, last=100)),
    ],
)
def test_each_trigger_type_is_compared_with_its_own_price(
    by: TriggerType, reaches: Prices, does_not: Prices
) -> None:
    assert watch(by=by).see(reaches)
    assert not watch(by=by).see(does_not)


def test_a_sale_is_compared_with_the_bid() -> None:
    stop = watch(SELL)
    assert not stop.see(Prices(bid=101, ask=100))
    assert stop.see(Prices(bid=100, ask=101))


def test_a_double_trigger_counts_updates_of_its_own_price_in_a_row() -> None:
    stop = watch(by=TriggerType.DOUBLE_LAST)
    seen = [Prices(last=100), Prices(last=99), Prices(last=100), Prices(ask=100), Prices(last=100)]
    assert [stop.see(prices) for prices in seen] == [False, False, False, False, True]


# Trailing


def trailing(side: OrderSide, **more: Any) -> Watch:
    chosen: dict[str, Any] = {
        "trailing_offset": D(5),
        "trailing_offset_type": TrailingOffsetType.TICKS,
        **more,
    }
    kind = OrderType.TRAILING_STOP_MARKET
    return watch(side, kind, chosen.pop("trigger", None), **chosen)


def test_a_trailing_sale_follows_the_bid_up_and_never_down() -> None:
    stop = trailing(SELL)
    triggers: list[int | None] = []
    for bid in (100, 103, 101, 104):
        assert not stop.see(Prices(bid, bid + 1))
        triggers.append(stop.trigger)
    assert triggers == [95, 98, 98, 99]
    assert stop.see(Prices(99, 100))


def test_a_trailing_buy_follows_the_ask_down_and_never_up() -> None:
    stop = trailing(BUY)
    for ask in (100, 97, 99):
        assert not stop.see(Prices(ask - 1, ask))
    assert stop.trigger == 102
    assert stop.see(Prices(101, 102))


def test_a_first_trigger_that_is_given_is_kept_until_the_market_moves_away_from_it() -> None:
    stop = trailing(SELL, trigger=90)
    stop.see(Prices(94, 95))
    assert stop.trigger == 90
    stop.see(Prices(96, 97))
    assert stop.trigger == 91


@pytest.mark.parametrize(("side", "far", "near"), [(SELL, 109, 110), (BUY, 91, 90)])
def test_a_trailing_stop_follows_once_its_activation_price_was_reached(
    side: OrderSide, far: int, near: int
) -> None:
    price = D("1.10") if side is SELL else D("0.90")
    stop = trailing(side, activation_price=price, trigger=100)
    assert not stop.see(Prices(far, far))
    assert stop.trigger == 100
    assert not stop.is_reached(Prices(100, 100)), "it waits for its activation first"
    stop.see(Prices(near, near))
    assert stop.activation is None
    assert stop.trigger == near - 5 * (1 if side is SELL else -1)


@pytest.mark.parametrize(
    ("kind", "offset", "expected"),
    [
        (TrailingOffsetType.PRICE, "0.05", (D(5), False)),
        (TrailingOffsetType.TICKS, "5", (D(5), False)),
        (TrailingOffsetType.BASIS_POINTS, "25", (D(25), True)),
    ],
)
def test_offsets_are_counted_in_ticks_or_basis_points(
    kind: TrailingOffsetType, offset: str, expected: Any
) -> None:
    assert offset_in_ticks(D(offset), kind, PAIR) == expected


def test_an_offset_in_basis_points_is_of_the_price_it_is_behind() -> None:
    points = TrailingOffsetType.BASIS_POINTS
    stop = trailing(SELL, trailing_offset=D(100), trailing_offset_type=points)
    stop.see(Prices(1000, 1001))
    assert stop.trigger == 990
    stop.see(Prices(2000, 2001))
    assert stop.trigger == 1980


@pytest.mark.parametrize(("side", "limit"), [(BUY, 103), (SELL, 97)])
def test_the_limit_of_a_trailing_stop_lies_beyond_its_trigger(side: OrderSide, limit: int) -> None:
    terms = OrderTerms(limit_offset=D(3), trailing_offset_type=TrailingOffsetType.TICKS)
    assert limit_behind(100, side, terms, PAIR) == limit


@given(
    st.sampled_from([BUY, SELL]),
    st.lists(st.integers(50, 150), min_size=1, max_size=40),
    st.integers(1, 20),
)
def test_a_trailing_trigger_never_goes_back_and_is_never_nearer_than_its_offset(
    side: OrderSide, prices: list[int], offset: int
) -> None:
    stop = trailing(side, trailing_offset=D(offset))
    before: int | None = None
    for price in prices:
        if stop.see(Prices(price, price)):
            assert before is not None
            assert (price - before) * side.sign >= 0
            return
        now = stop.trigger
        assert now is not None
        assert (now - price) * side.sign >= 0
        assert before is None or (before - now) * side.sign >= 0
        best = min if side is BUY else max
        seen = prices[: prices.index(price) + 1] if before is None else [price]
        assert (now - best(seen)) * side.sign <= offset or before is not None
        before = now


def test_of_triggers_reached_at_once_the_nearest_then_the_oldest_comes_first() -> None:
    near, far, late = watch(trigger=101), watch(trigger=105), watch(trigger=101)
    reached = [(far, 1, "far"), (late, 3, "late"), (near, 2, "near")]
    assert nearest_first(reached) == ["near", "late", "far"]
    below, deeper = watch(SELL, trigger=99), watch(SELL, trigger=95)
    assert nearest_first([(deeper, 1, "deeper"), (below, 2, "below")]) == ["below", "deeper"]

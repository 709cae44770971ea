"""Order types, triggers and times in force at the simulated exchange, by kind of market data."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.test_exchange import (
    ASK_BARS,
    BID_BARS,
    SHARE,
    Script,
    Step,
    bar,
    quote,
    run,
    trade,
)
from workbench.model import events as e
from workbench.model.data import InstrumentStatus, MarketStatus
from workbench.model.enums import LiquiditySide, OrderStatus
from workbench.sim import TradingSession

D = Decimal


def q(ts: int, bid: float, ask: float, *sizes: float) -> Any:
    return quote(ts, bid, ask, *sizes, instrument=SHARE)


def send(kind: str, *numbers: Any, **options: Any) -> Step:
    """Return a step that sends one order in the share."""
    return lambda s: s.send(getattr(s.orders, kind)(SHARE.id, *numbers, **options))


def fills(script: Script) -> list[tuple[int, Decimal, str]]:
    """Return (time, price, liquidity) of every fill."""
    return [
        (x.ts_event, x.price, x.liquidity.value)
        for x in script.heard
        if isinstance(x, e.OrderFilled)
    ]


def pairs(ts: int, *prices: float) -> list[Any]:
    """Return a bid bar, and an ask bar a tenth above it."""
    ask = tuple(round(price + 0.1, 2) for price in prices)
    return [bar(ts, prices, kind=BID_BARS), bar(ts, ask, kind=ASK_BARS)]  # type: ignore[arg-type]


# Each type on quotes: the first quote is 10.00/10.10, the second what the market does.

UP, DOWN = q(2, 10.4, 10.5), q(2, 9.5, 9.6)


@pytest.mark.parametrize(
    ("order", "then", "expected"),
    [
        (send("market", "buy", 1), UP, (1, "10.10", "taker")),
        (send("limit", "buy", 1, "9.80"), DOWN, (2, "9.80", "maker")),
        (send("limit", "sell", 1, "10.30"), UP, (2, "10.30", "maker")),
        (send("market_to_limit", "sell", 1), UP, (1, "10.00", "taker")),
        (send("stop_market", "buy", 1, "10.30"), UP, (2, "10.50", "taker")),
        (send("stop_market", "sell", 1, "9.80"), DOWN, (2, "9.50", "taker")),
        (send("stop_limit", "buy", 1, "10.60", "10.30"), UP, (2, "10.50", "taker")),
        (send("stop_limit", "sell", 1, "9.40", "9.80"), DOWN, (2, "9.50", "taker")),
        (send("market_if_touched", "buy", 1, "9.80"), DOWN, (2, "9.60", "taker")),
        (send("market_if_touched", "sell", 1, "10.30"), UP, (2, "10.40", "taker")),
        (send("limit_if_touched", "buy", 1, "9.70", "9.80"), DOWN, (2, "9.60", "taker")),
        (send("limit_if_touched", "sell", 1, "10.35", "10.30"), UP, (2, "10.40", "taker")),
        (send("trailing_stop_market", "buy", 1, "0.20"), UP, (2, "10.50", "taker")),
        (send("trailing_stop_market", "sell", 1, "0.20"), DOWN, (2, "9.50", "taker")),
        (send("trailing_stop_limit", "buy", 1, "0.20", "0.40"), UP, (2, "10.50", "taker")),
        (send("trailing_stop_limit", "sell", 1, "0.20", "0.40"), DOWN, (2, "9.50", "taker")),
    ],
)
def test_each_type_fills_on_quotes(order: Step, then: Any, expected: tuple[int, str, str]) -> None:
    script, _ = run([order], [q(1, 10.0, 10.1), then], SHARE)
    ts, price, liquidity = expected
    assert fills(script) == [(ts, D(price), liquidity)]


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(
    ("order", "path", "bid_price", "ask_more"),
    [
        # Gaps fill at the open, moves at the trigger.
        (send("stop_market", "sell", 1, "9.80"), (9.5, 9.6, 9.4, 9.5), "9.50", 0),
        (send("stop_market", "sell", 1, "9.80"), (10.0, 10.2, 9.4, 9.5), "9.80", 0),
        (send("stop_market", "buy", 1, "10.40"), (10.6, 10.7, 10.5, 10.6), "10.60", 1),
        (send("stop_market", "buy", 1, "10.40"), (10.0, 10.7, 9.9, 10.6), "10.40", 0),
        (send("market_if_touched", "sell", 1, "10.40"), (10.0, 10.7, 9.9, 10.6), "10.40", 0),
        (send("market_if_touched", "sell", 1, "10.40"), (10.6, 10.7, 10.5, 10.6), "10.60", 0),
        (send("market_if_touched", "buy", 1, "9.80"), (10.0, 10.2, 9.4, 9.5), "9.80", 0),
        (send("limit", "sell", 1, "10.40"), (10.6, 10.7, 10.5, 10.6), "10.40", 0),
        # The trigger is met falling, the limit above it rising again.
        (send("stop_limit", "sell", 1, "9.90", "9.80"), (10.0, 10.2, 9.4, 10.0), "9.90", 0),
        (send("stop_limit", "buy", 1, "10.30", "10.40"), (10.0, 10.7, 9.9, 10.0), "10.30", 0),
        # Trails the high 10.50, and is met on the way to the low.
        (send("trailing_stop_market", "sell", 1, "0.30"), (10.0, 10.5, 9.4, 9.5), "10.20", 0),
        (
            send("trailing_stop_limit", "sell", 1, 30, 5, trailing_offset_type="ticks"),
            (10.0, 10.5, 9.4, 9.5),
            "10.20",
            0,
        ),
    ],
)
def test_each_type_fills_on_bars_where_their_path_passes(
    order: Step,
    path: tuple[float, float, float, float],
    bid_price: str,
    ask_more: int,
    paired: bool,
) -> None:
    flat = (10.0, 10.0, 10.0, 10.0)
    if paired:
        data = [*pairs(1, *flat), *pairs(2, *path)]
        expected = D(bid_price) + ask_more * D("0.10")
    else:
        data, expected = [bar(1, flat), bar(2, path)], D(bid_price)
    script, _ = run([None, order] if paired else [order], data, SHARE)
    assert [(ts, price) for ts, price, _ in fills(script)] == [(2, expected)]


@pytest.mark.parametrize("kind", ["last", "mid", "bid_ask", "last_or_bid_ask"])
def test_on_bars_of_one_price_a_stop_by_any_price_fills_at_its_trigger(kind: str) -> None:
    script, _ = run(
        [send("stop_market", "sell", 1, "9.80", trigger_type=kind)],
        [bar(1, (10, 10, 10, 10)), bar(2, (10, 10.2, 9.4, 9.5))],
        SHARE,
    )
    assert [price for _, price, _ in fills(script)] == [D("9.80")]


def test_a_bar_that_nobody_waited_for_still_tells_the_last_price() -> None:
    # The stop comes at the close of the second bar, 9.50: by the last price it is reached at once.
    script, _ = run(
        [None, send("stop_market", "sell", 1, "9.80", trigger_type="last")],
        [bar(1, (10, 10, 10, 10)), bar(2, (10, 10, 9.5, 9.5)), bar(3, (11, 11, 11, 11))],
        SHARE,
    )
    assert fills(script) == [(2, D("9.50"), "taker")]


@pytest.mark.parametrize("path", [(9.5, 9.6, 9.4, 9.55), (10.0, 10.2, 9.4, 9.5)])
@pytest.mark.parametrize("kind", ["bid_ask", "last"])
def test_with_next_open_a_resting_stop_fills_in_the_bar_that_reaches_it(
    path: tuple[float, float, float, float], kind: str
) -> None:
    script, _ = run(
        [send("stop_market", "sell", 1, "9.80", trigger_type=kind)],
        [bar(1, (10, 10, 10, 10)), bar(2, path), bar(3, (8, 8, 8, 8))],
        SHARE,
        fill_on="next_open",
    )
    assert fills(script) == [(2, D(str(min(9.8, path[0]))).quantize(D("0.01")), "taker")]


# Trigger types on quotes and trades


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("default", 3),  # the bid falls to 9.70
        ("bid_ask", 3),
        ("last", 2),  # a trade at 9.70
        ("last_or_bid_ask", 2),
        ("mid", 5),  # 9.60 and 9.80
        ("double_last", 4),  # the second trade below
        ("double_bid_ask", 5),  # the second bid below
    ],
)
def test_each_trigger_type_goes_by_its_own_price(kind: str, expected: int) -> None:
    script, _ = run(
        [send("stop_market", "sell", 1, "9.75", trigger_type=kind)],
        [q(1, 10.0, 10.1), trade(2, 9.7, 1), q(3, 9.7, 10.1), trade(4, 9.7, 1), q(5, 9.6, 9.8)],
        SHARE,
    )
    assert [ts for ts, _, _ in fills(script)] == [expected]


def test_a_trade_moves_what_trails_the_last_price_only() -> None:
    def two(s: Script) -> None:
        for kind in ("last", "bid_ask"):
            s.send(s.orders.trailing_stop_market(SHARE.id, "sell", 1, "0.30", trigger_type=kind))

    script, _ = run([None, two], [q(1, 10.0, 10.1), trade(2, 10.0, 1), trade(3, 11.0, 1)], SHARE)
    assert [order.trigger_price for order in script.mine] == [D("10.70"), D("9.70")]


@pytest.mark.parametrize(
    ("unit", "offset", "trigger"),
    [("price", "0.30", "10.20"), ("ticks", 30, "10.20"), ("basis_points", 300, "10.18")],
)
def test_a_trailing_stop_follows_up_and_never_down(unit: str, offset: Any, trigger: str) -> None:
    order = send("trailing_stop_market", "sell", 1, offset, trailing_offset_type=unit)
    script, _ = run([order], [q(1, 10.0, 10.1), q(2, 10.5, 10.6), q(3, 10.3, 10.4)], SHARE)
    assert script.mine[0].trigger_price == D(trigger)
    assert script.told().count("Updated") == 2


def test_a_trailing_stop_waits_for_its_activation_price() -> None:
    order = send("trailing_stop_market", "sell", 1, "0.30", activation_price="10.40")
    data = [q(1, 10.0, 10.1), q(2, 9.0, 9.1), q(3, 10.4, 10.5), q(4, 10.1, 10.2)]
    script, _ = run([order], data, SHARE)
    assert fills(script) == [(4, D("10.10"), "taker")]
    assert script.mine[0].trigger_price == D("10.10")


def test_a_definition_sent_again_leaves_an_activated_trailing_stop_as_it_is() -> None:
    order = send("trailing_stop_market", "sell", 1, "0.30", activation_price="10.40")
    script, engine = run([order], [q(1, 10.0, 10.1), q(2, 10.5, 10.6)], SHARE)
    exchange = engine.exchanges[0]
    exchange.process(SHARE)
    exchange.process(q(3, 10.2, 10.3))
    assert exchange.open_orders() == []
    assert script.mine[0].trigger_price == D("10.20")


def test_a_limit_rests_as_a_maker_after_its_trigger() -> None:
    script, _ = run(
        [send("stop_limit", "buy", 1, "10.30", "10.40")],
        [q(1, 10.0, 10.1), q(2, 10.4, 10.5), q(3, 10.1, 10.2)],
        SHARE,
    )
    assert script.told() == ["Initialized", "Submitted", "Accepted", "Triggered", "Filled"]
    assert fills(script) == [(3, D("10.30"), "maker")]


def test_post_only_ends_an_order_that_would_take_once_it_is_triggered() -> None:
    script, _ = run(
        [send("stop_limit", "buy", 1, "10.60", "10.40", post_only=True)],
        [q(1, 10.0, 10.1), q(2, 10.4, 10.5)],
        SHARE,
    )
    assert script.told()[-2:] == ["Triggered", "Rejected"]


@pytest.mark.parametrize("rejects", [False, True])
def test_a_trigger_that_is_reached_already_fires_or_is_rejected(rejects: bool) -> None:
    script, _ = run(
        [send("stop_market", "sell", 1, "10.50")],
        [q(1, 10.0, 10.1)],
        SHARE,
        rejects_reached_triggers=rejects,
    )
    wanted = OrderStatus.REJECTED if rejects else OrderStatus.FILLED
    assert script.mine[0].status is wanted


# Changing triggered orders


def change(number: int = 0, **new: Any) -> Step:
    return lambda s: s.modify_order(s.mine[number], **new)


def test_a_trigger_that_is_moved_through_the_market_fires() -> None:
    data = [q(1, 10.0, 10.1), q(2, 10.0, 10.1)]
    script, _ = run(
        [send("stop_market", "sell", 1, "9.80"), change(trigger_price="10.05")], data, SHARE
    )
    assert fills(script) == [(2, D("10.00"), "taker")]


def test_a_limit_behind_a_trigger_is_repriced_without_firing_it() -> None:
    order = send("stop_limit", "sell", 1, "9.70", "9.80", trigger_type="double_bid_ask")
    data = [q(1, 10.0, 10.1), q(2, 9.7, 9.9), q(3, 9.9, 10.0)]
    script, _ = run([order, change(price="9.75")], data, SHARE)
    assert fills(script) == []
    assert script.mine[0].price == D("9.75")


def test_a_trigger_that_was_reached_cannot_be_moved() -> None:
    order = send("stop_limit", "buy", 1, "10.30", "10.40")
    script, _ = run(
        [order, change(trigger_price="10.90")], [q(1, 10.0, 10.1), q(2, 10.4, 10.5)], SHARE
    )
    rejected = script.heard[-1]
    assert isinstance(rejected, e.OrderModifyRejected)
    assert script.mine[0].status is OrderStatus.TRIGGERED


def test_a_trigger_is_not_told_to_who_waits_for_a_cancel() -> None:
    script, _ = run(
        [send("stop_limit", "buy", 1, "10.30", "10.40"), None, lambda s: s.cancel_order(s.mine[0])],
        [
            q(1, 10.0, 10.1),
            q(20, 10.0, 10.1),
            q(30, 10.0, 10.1),
            q(35, 10.4, 10.5),
            q(60, 10.4, 10.5),
        ],
        SHARE,
        latency_ns=10,
    )
    assert script.told()[-2:] == ["PendingCancel", "Canceled"]


# Times in force


NEW_YORK = TradingSession(open="09:30", close="16:00", timezone="America/New_York")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("morning", "opens", "closes"),
    [
        ("2026-03-06T13:00", "2026-03-06T14:30", "2026-03-06T21:00"),  # winter
        ("2026-03-09T13:00", "2026-03-09T13:30", "2026-03-09T20:00"),  # after the change
    ],
)
def test_sessions_follow_the_clocks_of_their_zone(morning: str, opens: str, closes: str) -> None:
    assert NEW_YORK.next_open(at(morning)) == at(opens)
    assert NEW_YORK.next_open(at(opens)) == at(opens)
    assert NEW_YORK.next_close(at(morning)) == at(closes)
    assert NEW_YORK.next_open(at(opens) + 1) > at(closes)


def test_a_session_of_whole_days_closes_at_midnight() -> None:
    assert TradingSession().next_close(at("2026-03-06T13:00")) == at("2026-03-07T00:00")
    assert TradingSession().next_close(at("2026-03-07T00:00")) == at("2026-03-07T00:00")


def timed(*moments: tuple[str, float]) -> list[Any]:
    return [q(at(f"2026-03-09T{text}"), price, price + 0.1) for text, price in moments]


def test_a_day_order_fills_at_the_close_and_not_after_it() -> None:
    order = send("limit", "buy", 1, "9.50", time_in_force="day")
    in_time = timed(("15:00", 10.0), ("20:00", 9.3))
    script, _ = run([order], in_time, SHARE, session=NEW_YORK)
    assert script.mine[0].status is OrderStatus.FILLED
    late = timed(("15:00", 10.0), ("20:01", 9.3))
    script, _ = run([order], late, SHARE, session=NEW_YORK)
    assert script.told()[-1] == "Expired"


def test_a_gtd_order_counts_what_is_stamped_with_its_end() -> None:
    def order(s: Script) -> None:
        s.send(s.orders.limit(SHARE.id, "buy", 1, "9.50", expire=5))

    script, _ = run([order], [q(1, 10.0, 10.1), q(5, 9.3, 9.4)], SHARE)
    assert script.mine[0].status is OrderStatus.FILLED
    script, _ = run([order], [q(1, 10.0, 10.1), q(6, 9.3, 9.4)], SHARE)
    assert script.mine[0].status is OrderStatus.EXPIRED


def test_an_order_that_waits_for_the_next_open_is_accepted_before_it_expires() -> None:
    def order(s: Script) -> None:
        s.send(s.orders.market(SHARE.id, "buy", 1, expire=5))

    data = [bar(1, (10, 10, 10, 10)), bar(9, (10, 10, 10, 10))]
    script, _ = run([order], data, SHARE, fill_on="next_open")
    assert script.told() == ["Initialized", "Submitted", "Accepted", "Expired"]


def test_an_order_for_the_open_trades_at_the_first_price_of_the_session() -> None:
    data = timed(("13:00", 10.0), ("13:29", 10.2), ("13:30", 10.4), ("13:31", 10.6))
    script, _ = run(
        [send("market", "buy", 1, time_in_force="at_the_open")], data, SHARE, session=NEW_YORK
    )
    assert [price for _, price, _ in fills(script)] == [D("10.50")]


def test_a_bar_that_ended_when_the_session_opened_is_not_its_first() -> None:
    bars = [bar(at(f"2026-03-09T13:{m}"), (p, p, p, p)) for m, p in ((29, 10), (30, 11), (31, 12))]
    script, _ = run(
        [send("market", "buy", 1, time_in_force="at_the_open")], bars, SHARE, session=NEW_YORK
    )
    assert [price for _, price, _ in fills(script)] == [D("12.00")]


def test_an_order_for_the_close_trades_at_the_bar_that_is_stamped_with_it() -> None:
    bars = [
        bar(at(f"2026-03-09T{text}"), (p, p, p, p))
        for text, p in (("19:59", 10), ("20:00", 11), ("20:01", 12))
    ]

    def both(s: Script) -> None:
        s.send(s.orders.market(SHARE.id, "buy", 1, time_in_force="at_the_close"))
        s.send(s.orders.limit(SHARE.id, "buy", 1, "9.00", time_in_force="at_the_close"))

    script, _ = run([both], bars, SHARE, session=NEW_YORK)
    assert [price for _, price, _ in fills(script)] == [D("11.00")]
    assert script.told(1)[-1] == "Expired"


def test_a_stop_cannot_be_for_an_auction() -> None:
    script, _ = run(
        [send("stop_market", "sell", 1, "9.00", time_in_force="at_the_open")],
        [q(1, 10.0, 10.1)],
        SHARE,
    )
    assert script.mine[0].reason == "a stop_market order cannot be at_the_open"


# Instructions


def test_a_quantity_in_quote_currency_is_turned_into_units() -> None:
    script, _ = run([send("market", "buy", 1010, quote_quantity=True)], [q(1, 10.0, 10.1)], SHARE)
    assert script.fills() == [(D(100), D("10.10"))]


def test_a_display_quantity_changes_nothing_at_level_1() -> None:
    order = send("limit", "buy", 10, "9.90", display_quantity=2)
    script, _ = run([order], [q(1, 10.0, 10.1), q(2, 9.7, 9.8)], SHARE)
    assert script.fills() == [(D(10), D("9.90"))]


# What else the market tells


def status(ts: int, what: MarketStatus, reason: str = "") -> InstrumentStatus:
    return InstrumentStatus(SHARE.id, what, ts, ts, reason)


def test_a_halted_market_matches_nothing_and_refuses_what_is_new() -> None:
    _, engine = run([send("limit", "buy", 1, "9.50")], [q(1, 10.0, 10.1)], SHARE)
    exchange = engine.exchanges[0]
    exchange.process(status(2, MarketStatus.HALTED, "news"))
    exchange.process(q(3, 9.0, 9.1))
    exchange.process(trade(4, 9.0, 100))
    exchange.process(bar(5, (9, 9, 9, 9)))
    (order,) = exchange.open_orders()
    engine_of = exchange.engine(SHARE.id)
    assert engine_of is not None
    assert engine_of.refusal(order) == "the market is halted (news)"
    exchange.process(status(6, MarketStatus.TRADING))
    exchange.process(q(7, 9.0, 9.1))
    assert exchange.open_orders() == []


def test_a_mark_price_triggers_what_goes_by_it() -> None:
    from workbench.model.data import MarkPrice

    order = send("stop_market", "sell", 1, "9.80", trigger_type="mark")
    _, engine = run([order], [q(1, 10.0, 10.1), q(2, 9.5, 9.6)], SHARE)
    exchange = engine.exchanges[0]
    exchange.process(MarkPrice(SHARE.id, 9.9, 3, 3))
    assert len(exchange.open_orders()) == 1
    exchange.process(MarkPrice(SHARE.id, 9.8, 4, 4))
    assert exchange.open_orders() == []


def test_the_maker_and_taker_sides_are_told_apart() -> None:
    script, _ = run(
        [send("limit", "buy", 2, "10.10")], [q(1, 10.0, 10.1, 5, 1), q(2, 9.9, 10.0)], SHARE
    )
    sides = [x.liquidity for x in script.heard if isinstance(x, e.OrderFilled)]
    assert sides == [LiquiditySide.TAKER, LiquiditySide.MAKER]

"""Frames: whole ones, differences, a window that is bounded, and text for people."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from workbench.jupyter.dashboard import frames, still, tables
from workbench.jupyter.dashboard.amounts import amount, count, duration, money, rate
from workbench.jupyter.dashboard.frames import FrameMaker
from workbench.node.snapshots import (
    AccountRow,
    BalanceRow,
    Counts,
    DestinationRow,
    FillRow,
    KillReport,
    LogLine,
    MarginRow,
    NodeSnapshot,
    OrderRow,
    PositionRow,
    PriceRow,
    ProfitRow,
    StallRow,
    StrategyRow,
)
from workbench.runtime.channels import ChannelName, ChannelStatistics
from workbench.runtime.lanes import LaneName, LaneStatistics

NOON = 1_800_000_000_000_000_000
S = 1_000_000_000


def channels(handled: int = 0, waiting: int = 0, drops: int = 0) -> tuple[ChannelStatistics, ...]:
    return tuple(
        ChannelStatistics(
            name=name.value,
            count_in=handled + waiting + drops,
            count_out=handled,
            depth=waiting,
            high_water=waiting,
            oldest_age_ns=2 * S if waiting else None,
            drops=drops,
            hop_p50_ns=80_000 if handled else None,
            hop_p99_ns=1_900_000 if handled else None,
        )
        for name in ChannelName
    )


def lanes(handled: int = 0) -> tuple[LaneStatistics, ...]:
    return tuple(
        LaneStatistics(
            name=name.value,
            count_in=handled,
            count_out=handled,
            depth=0,
            high_water=1,
            is_closed=False,
        )
        for name in LaneName
    )


def snapshot(**more: Any) -> NodeSnapshot:
    fields: dict[str, Any] = {
        "trader_id": "TRADER-001",
        "serial": 1,
        "ts": NOON,
        "taken_ns": 0,
        "state": "RUNNING",
        "phase": "running",
        "allowed": ("stop",),
        "trading_state": "ACTIVE",
        "channels": channels(),
        "lanes": lanes(),
    }
    return NodeSnapshot(**fields | more)


def order(number: int, **more: Any) -> OrderRow:
    fields: dict[str, Any] = {
        "client_order_id": f"O-{number}",
        "strategy_id": "S-001",
        "instrument_id": "BTC/USDT.SIM",
        "side": "buy",
        "order_type": "stop_market",
        "quantity": Decimal("0.5"),
        "filled_quantity": Decimal(0),
        "price": None,
        "trigger_price": Decimal("101.50"),
        "status": "accepted",
        "reason": "",
        "ts": NOON,
        "is_open": True,
    }
    return OrderRow(**fields | more)


def fill(number: int, side: str = "buy") -> FillRow:
    return FillRow(
        trade_id=f"T-{number}",
        client_order_id=f"O-{number}",
        strategy_id="S-001",
        instrument_id="BTC/USDT.SIM",
        ts=NOON + number,
        side=side,
        quantity=Decimal("0.5"),
        price=Decimal("100.25"),
        commission=Decimal("0.01"),
        commission_currency="USDT",
    )


def fills_until(last: int) -> dict[str, Any]:
    """The latest 200 of so many fills, as a snapshot has them."""
    rows = tuple(fill(number) for number in range(max(0, last - 200), last))
    return {"fills": rows, "counts": Counts(fills=last)}


def price(ts: int, bid: float | None, ask: float | None, last: float | None = None) -> PriceRow:
    return PriceRow(instrument_id="BTC/USDT.SIM", ts=ts, bid=bid, ask=ask, last=last)


def log_until(last: int) -> dict[str, Any]:
    numbers = range(max(0, last - 200), last)
    rows = tuple(LogLine(ts=NOON, level="INFO", logger="w", text=f"line {n}") for n in numbers)
    return {"log": rows, "log_count": last}


# Differences


def test_the_first_frame_tells_all_and_one_of_the_same_snapshot_tells_nothing() -> None:
    maker = FrameMaker()
    first = maker.add(snapshot(), S)
    assert first["head"]["state"] == "RUNNING"
    assert set(first["rows"]) == set(tables.COLUMNS)
    again = maker.add(snapshot(), S)
    assert set(again) == {"sparks"}  # the latest point of the spark lines is always told


def test_a_frame_holds_only_what_changed() -> None:
    maker = FrameMaker()
    maker.add(snapshot(), S)
    changed = maker.add(snapshot(orders=(order(1),), counts=Counts(orders_open=1)), S)
    assert set(changed["rows"]) == {"open_orders"}
    assert changed["badges"] == {"orders": ("1 open", "")}
    assert "head" not in changed
    assert "exceptions" not in changed
    ended = order(1, status="rejected", reason="too far away", is_open=False)
    changed = maker.add(snapshot(orders=(ended,)), S)
    assert set(changed["rows"]) == {"open_orders", "ended_orders"}
    (key, tone, cells), *_ = changed["rows"]["ended_orders"]
    assert (key, tone, cells[-1]) == ("O-1", "warn", "too far away")


def test_differences_add_up_to_a_whole_frame() -> None:
    maker = FrameMaker()
    seen: dict[str, Any] = {"rows": {}, "prices": [], "marks": [], "log": []}
    for step in range(1, 8):
        changes = maker.add(
            snapshot(
                ts=NOON + step * S,
                channels=channels(handled=10 * step),
                prices=(price(NOON + step * S, 100.0 + step, 101.0 + step),),
                **fills_until(step) | log_until(2 * step),
            ),
            step * S,
        )
        seen["rows"] |= changes.get("rows", {})
        seen["prices"] += changes["prices"]["BTC/USDT.SIM"]
        seen["marks"] += changes["marks"]
        seen["log"] += changes["log"]
    whole = maker.whole()
    assert whole["rows"] == seen["rows"]
    assert whole["prices"] == {"BTC/USDT.SIM": seen["prices"]}
    assert whole["marks"] == seen["marks"]
    assert [mark[4].split("; ")[1] for mark in seen["marks"]] == [f"O-{n}" for n in range(7)]
    assert [line[2] for line in whole["log"]] == [f"line {n}" for n in range(14)]
    assert whole["log"] == seen["log"]


def test_every_frame_is_json() -> None:
    maker = FrameMaker()
    given = snapshot(
        orders=(order(1),),
        positions=(position(),),
        profit=(profit("1.5", "-2"),),
        stalls=(StallRow(ts=NOON, duration_ns=S),),
        stall_count=1,
        kill=KillReport(ts=NOON, queued=3),
        **fills_until(3) | log_until(3),
    )
    for frame in (maker.add(given, S), maker.whole()):
        assert json.loads(msgspec.json.encode(frame))["head"]["trader"] == "TRADER-001"


# The window


def test_the_window_is_bounded_whatever_comes() -> None:
    maker = FrameMaker()
    steps = 2 * frames.MOST_POINTS
    for step in range(1, steps + 1):
        at = NOON + step * S
        maker.add(
            snapshot(
                ts=at,
                prices=(price(at, 100.0, 101.0),),
                profit=(profit("1", "1"),),
                stalls=(StallRow(ts=at, duration_ns=S),),
                stall_count=step,
                **fills_until(step) | log_until(step),
            ),
            step * S,
        )
    whole = maker.whole()
    assert len(whole["prices"]["BTC/USDT.SIM"]) == frames.MOST_POINTS
    assert len(whole["profit"]["USDT"]) == frames.MOST_POINTS
    assert len(whole["sparks"]) == frames.MOST_SPARKS
    assert len(whole["log"]) == frames.MOST_LOG_LINES
    assert len(whole["marks"]) == len(whole["stalls"]) == 500
    assert whole["prices"]["BTC/USDT.SIM"][-1][0] == (NOON + steps * S) / 1e6


def test_more_instruments_than_can_be_charted_do_not_grow_the_window() -> None:
    maker = FrameMaker()
    many = tuple(
        PriceRow(instrument_id=f"I{number}.SIM", ts=NOON, bid=1.0, ask=2.0, last=None)
        for number in range(100)
    )
    maker.add(snapshot(prices=many), S)
    assert len(maker.whole()["prices"]) == 30


def test_a_price_that_did_not_move_on_is_one_point() -> None:
    maker = FrameMaker()
    maker.add(snapshot(prices=(price(NOON, 100.0, 101.0),)), S)
    assert "prices" not in maker.add(snapshot(prices=(price(NOON, 100.0, 101.0),)), 2 * S)
    moved = maker.add(snapshot(prices=(price(NOON + S, 100.0, 102.0),)), 3 * S)
    assert moved["prices"]["BTC/USDT.SIM"] == [[(NOON + S) / 1e6, 100.0, 102.0, 101.0]]


def test_an_instrument_with_trades_only_has_a_line_too_and_one_without_a_price_none() -> None:
    maker = FrameMaker()
    traded = maker.add(snapshot(prices=(price(NOON, None, None, 7.5),)), S)
    assert traded["prices"]["BTC/USDT.SIM"] == [[NOON / 1e6, 7.5, 7.5, 7.5]]
    assert "prices" not in FrameMaker().add(snapshot(prices=(price(NOON, None, None),)), S)


def test_fills_that_came_between_two_frames_are_all_marked() -> None:
    maker = FrameMaker()
    maker.add(snapshot(**fills_until(2)), S)
    later = maker.add(snapshot(**fills_until(150)), 2 * S)
    assert len(later["marks"]) == 148
    assert "marks" not in maker.add(snapshot(**fills_until(150)), 3 * S)


def test_the_price_line_goes_through_the_fills_that_came_between_two_frames() -> None:
    maker = FrameMaker()
    maker.add(snapshot(prices=(price(NOON - S, 100.0, 101.0),)), S)
    later = snapshot(prices=(price(NOON + S, 100.0, 101.0),), **fills_until(1))
    (traded,) = later.fills
    assert maker.add(later, 2 * S)["prices"]["BTC/USDT.SIM"] == [
        [traded.ts / 1e6, 100.25, 100.25, 100.25],
        [(NOON + S) / 1e6, 100.0, 101.0, 100.5],
    ]


def test_a_spark_point_holds_the_highest_value_of_its_stretch() -> None:
    maker = FrameMaker()
    for tenth, waiting in enumerate((3, 900, 2)):
        maker.add(snapshot(channels=channels(waiting=waiting)), S + tenth * S // 10)
    ((stretch, values),) = maker.whole()["sparks"]
    assert (stretch, values[0]) == (1, 900)
    assert len(values) == tables.SERIES_OF_LANES + len(LaneName)


# Rates


def test_rates_are_of_the_last_second_or_so() -> None:
    rates = frames.Rates()
    for tenth in range(31):
        handled = 10 * tenth if tenth <= 20 else 200  # 100 a second, and none in the last second
        rates.add(tenth * S // 10, channels(handled=handled))
    assert rates.now["data_events"] == (0.0, 0.0)
    rates.add(32 * S // 10, channels(handled=440))
    assert rates.now["data_events"][1] == 240.0


def test_the_rate_in_of_a_backlog_differs_from_the_rate_out() -> None:
    rates = frames.Rates()
    rates.add(0, channels())
    rates.add(S, channels(handled=5, waiting=95))
    assert rates.now["data_events"] == (100.0, 5.0)


# Text


def position(**more: Any) -> PositionRow:
    fields: dict[str, Any] = {
        "position_id": "P-1",
        "strategy_id": "S-001",
        "account_id": "SIM-PAPER",
        "instrument_id": "BTC/USDT.SIM",
        "side": "long",
        "quantity": Decimal("2"),
        "peak_quantity": Decimal("3"),
        "average_open": Decimal("100.1234567890123456789"),
        "average_close": None,
        "realized_pnl": Decimal("-12.5"),
        "unrealized_pnl": Decimal("3"),
        "commission": Decimal("0.1"),
        "currency": "USDT",
        "opened": NOON,
        "closed": None,
        "is_open": True,
    }
    return PositionRow(**fields | more)


def profit(total: str, realised: str) -> ProfitRow:
    return ProfitRow(
        currency="USDT",
        realized=Decimal(realised),
        unrealized=Decimal(total) - Decimal(realised),
        total=Decimal(total),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (rate(99.96), "100"),
        (rate(9_999.0), "9,999"),
        (rate(12_345.0), "12.3 k"),
        (rate(2_500_000.0), "2.5 M"),
        (count(9_999_999), "9,999,999"),
        (duration(999), "999 ns"),
        (duration(1_000), "1.0 µs"),
        (duration(999_999), "1000 µs"),
        (duration(59_000_000_000), "59.0 s"),
        (amount(0.1), "0.1"),
        (amount(1e-9), "0.000000001"),
        (amount(Decimal("-3.50")), "−3.50"),
        (money(Decimal("-0.004")), "−0.004000"),
    ],
)
def test_numbers_are_written_for_people(text: str, expected: str) -> None:
    assert text == expected


def test_an_average_shows_nine_digits_and_a_quantity_all_it_has() -> None:
    ((_, _, cells),) = tables.position_rows((position(),))
    assert cells[4:8] == ("2", "100.123457", "–", "+3.00")
    (_, _, cells), *_ = tables.open_order_rows((order(1, quantity=Decimal("1.123456789012")),))
    assert cells[6:8] == ("stop market", "1.123456789012")


def test_a_closed_position_shows_the_most_that_was_held() -> None:
    closed = position(is_open=False, side="flat", quantity=Decimal(0), closed=NOON)
    ((_, tone, cells),) = tables.position_rows((closed,))
    assert (tone, cells[3], cells[4], cells[7]) == ("dim", "closed", "3", "")


def test_margins_stand_below_the_balances_of_their_account() -> None:
    balance = BalanceRow(
        currency="USDT", total=Decimal(1000), locked=Decimal(10), free=Decimal(990)
    )
    margin = MarginRow(
        instrument_id="XBT.SIM", currency="USDT", initial=Decimal(10), maintenance=Decimal(5)
    )
    account = AccountRow(
        account_id="SIM-PAPER",
        account_type="margin",
        ts=NOON,
        balances=(balance,),
        margins=(margin,),
    )
    shown = [cells for _, _, cells in tables.account_rows((account,))]
    assert shown[0] == ("SIM-PAPER", "paper", "USDT", "1,000", "10", "990")
    assert shown[1][2:5] == ("margin of XBT.SIM", "", "10 USDT")


def way(account_id: str, *, is_live: bool, refusal: str = "") -> DestinationRow:
    return DestinationRow(venue="SIM", account_id=account_id, is_live=is_live, refusal=refusal)


def strategy(number: int, *destinations: DestinationRow) -> StrategyRow:
    return StrategyRow(
        component_id=f"S-00{number}", text="", state="RUNNING", destinations=destinations
    )


PAPER, LIVE = way("SIM-PAPER", is_live=False), way("SIM-001", is_live=True)


def ways_of(*strategies: StrategyRow) -> list[tuple[str, str, str]]:
    return FrameMaker().add(snapshot(strategies=strategies), S)["head"]["ways"]


def test_where_orders_go_is_a_badge_of_its_account() -> None:
    assert ways_of() == []
    assert ways_of(strategy(1)) == []  # an actor
    assert ways_of(strategy(1, PAPER), strategy(2, PAPER)) == [
        ("PAPER SIM-PAPER", "paper", "Orders of S-001, S-002")
    ]
    assert ways_of(strategy(1, LIVE)) == [("LIVE SIM-001", "live", "Orders of S-001")]


def test_strategies_whose_orders_go_different_ways_are_named_the_live_ones_first() -> None:
    assert ways_of(strategy(1, PAPER), strategy(2, LIVE)) == [
        ("LIVE SIM-001: S-002", "live", "Orders of S-002"),
        ("PAPER SIM-PAPER: S-001", "paper", "Orders of S-001"),
    ]
    many = [strategy(number, PAPER) for number in range(1, 5)]
    found = [text for text, _, _ in ways_of(*many, strategy(5, LIVE))]
    assert found == ["LIVE SIM-001: S-005", "PAPER SIM-PAPER: 4 strategies"]


def test_a_way_on_which_nothing_leaves_says_so_and_why() -> None:
    closed = way("SIM-001", is_live=True, refusal="its code is another")
    ((text, tone, help_),) = ways_of(strategy(1, closed))
    assert (text, tone) == ("LIVE SIM-001, nothing leaves", "live")
    assert help_ == "Orders of S-001: its code is another"


def test_what_is_left_open_at_a_real_account_is_a_mark_of_its_own() -> None:
    left = msgspec.structs.replace(LIVE, left=("position 2 XBT.SIM", "order 7"))
    other = msgspec.structs.replace(LIVE, left=("position 1 XBT.SIM",))
    assert ways_of(strategy(1, PAPER, left), strategy(2, PAPER, other), strategy(3, LIVE)) == [
        (
            "LIVE SIM-001, left open: S-001, S-002",
            "live",
            "S-001 has left open: position 2 XBT.SIM; order 7."
            " S-002 has left open: position 1 XBT.SIM",
        ),
        ("LIVE SIM-001: S-003", "live", "Orders of S-003"),
        ("PAPER SIM-PAPER: S-001, S-002", "paper", "Orders of S-001, S-002"),
    ]


def test_orders_fills_positions_and_accounts_show_their_account() -> None:
    found = FrameMaker().add(
        snapshot(
            orders=(order(1, account_id="SIM-001"), order(2, is_open=False, account_id="SIM-001")),
            fills=(msgspec.structs.replace(fill(1), account_id="SIM-001"),),
            positions=(position(account_id="SIM-001"),),
        ),
        S,
    )["rows"]
    for name in ("open_orders", "ended_orders", "fills", "positions"):
        at = [title for title, _, _ in tables.COLUMNS[name]].index("Account")
        ((_, _, cells),) = found[name]
        assert cells[at] == "SIM-001", name
        assert len(cells) == len(tables.COLUMNS[name])
    balance = BalanceRow(currency="USDT", total=Decimal(1), locked=Decimal(0), free=Decimal(1))
    account = AccountRow(
        account_id="SIM-001",
        account_type="cash",
        ts=NOON,
        balances=(balance,),
        margins=(),
        is_live=True,
    )
    ((_, _, cells),) = tables.account_rows((account,))
    assert cells[:3] == ("SIM-001", "LIVE", "USDT")


def test_a_snapshot_that_stands_still_says_live_too() -> None:
    shown = snapshot(strategies=(strategy(1, LIVE),))
    assert "LIVE SIM-001" in still.to_text(shown)
    assert "<b>LIVE SIM-001</b>" in still.to_html(shown)


def test_a_backlog_and_a_drop_are_told_by_tone() -> None:
    tones = [tone for _, tone, _ in tables.channel_rows(snapshot(channels=channels()), {})]
    assert tones == [""] * 5
    for late in (channels(waiting=5), channels(drops=1)):
        rows = tables.channel_rows(snapshot(channels=late), {})
        assert [tone for _, tone, _ in rows] == ["warn"] * 5


def notice(name: str, given: NodeSnapshot) -> tuple[str, str] | None:
    found = FrameMaker().add(given, S)["head"]["notices"]
    return next(((tone, text) for key, tone, text in found if key == name), None)


def test_a_loop_that_does_not_answer_is_told_with_for_how_long() -> None:
    assert notice("stalled", snapshot(waiting_ns=200_000_000)) is None
    told = notice("stalled", snapshot(waiting_ns=3_200_000_000))
    assert told is not None
    assert told[1].startswith("The loop has not answered for 3.20 s: a cell is running")
    told = notice("stalled", snapshot(waiting_ns=3_200_000_000, has_thread=True))
    assert told is not None
    assert "a callback keeps it" in told[1]
    assert notice("stalled", snapshot(waiting_ns=3 * S, state="STOPPED")) is None


def test_a_kill_is_bad_news_only_where_something_was_not_cancelled() -> None:
    tones = [
        notice("kill", snapshot(kill=KillReport(ts=NOON, **more)))[0]  # type: ignore[index]
        for more in (
            {"queued": 3},
            {"queued": 3, "not_cancelled": "the loop does not answer"},
            {"sent": 3},
            {"sent": 3, "is_settled": True},
            {"sent": 3, "is_settled": True, "left": ("O-1 accepted",)},
        )
    ]
    assert tones == ["warn", "bad", "warn", "good", "bad"]


@pytest.mark.parametrize(
    ("state", "trading", "expected"),
    [
        ("CREATED", "ACTIVE", set()),
        ("BUILT", "ACTIVE", {"kill"}),
        ("RUNNING", "ACTIVE", {"kill"}),
        ("RUNNING", "HALTED", {"kill", "resume"}),
        ("STOPPED", "HALTED", set()),
    ],
)
def test_what_can_be_pressed_follows_the_state(
    state: str, trading: str, expected: set[str]
) -> None:
    given = snapshot(state=state, trading_state=trading, allowed=())
    head = FrameMaker().add(given, S)["head"]
    assert set(head["allowed"]) == expected
    assert ("resume" in head["hidden"]) == ("resume" not in expected)


def test_a_still_picture_needs_no_widget_and_escapes_what_it_shows() -> None:
    given = snapshot(
        trader_id="<b>T</b>",
        fault="it failed & stopped",
        orders=(order(1),),
        positions=(position(),),
        channels=channels(handled=12_345),
    )
    page = still.to_html(given)
    assert "&lt;b&gt;T&lt;/b&gt;" in page
    assert "it failed &amp; stopped" in page
    assert "<b>RUNNING</b>" in page
    assert "O-1" in page
    text = still.to_text(given)
    assert "RUNNING (running)" in text
    assert "12,345 handled" in text
    assert "Fault: it failed & stopped" in text


def test_a_still_picture_of_a_node_that_is_not_built_has_no_empty_tables() -> None:
    given = snapshot(state="CREATED", ts=0, channels=(), lanes=(), trading_state="")
    assert "<table" not in still.to_html(given)
    assert still.to_text(given).splitlines()[0] == "TRADER-001: CREATED"

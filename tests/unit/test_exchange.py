"""The simulated exchange, through the backtest engine: how orders fill, rest, change and end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest

from workbench.engines.risk import RiskLimits
from workbench.history import Timeline, load
from workbench.model import events as e
from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.enums import AggressorSide, LiquiditySide, OrderStatus
from workbench.model.instruments import CurrencyPair, Equity, Instrument
from workbench.model.orders import Order
from workbench.sim import BacktestEngine, SimulatedVenue
from workbench.trading import Strategy

D = Decimal
PAIR = CurrencyPair.define("AUD/USD.SIM")
CENT = CurrencyPair.define("ETH/USDT.SIM", price_increment="0.01", quantity_increment="0.1")
JPY = CurrencyPair.define("USD/JPY.SIM", price_increment="0.001")
SHARE = Equity.define("ACME.SIM", price_increment="0.01")
BARS = BarType.parse("ACME.SIM-1-minute-last")
BID_BARS = BarType.parse("ACME.SIM-1-minute-bid")
ASK_BARS = BarType.parse("ACME.SIM-1-minute-ask")

Step = Callable[["Script"], object]


class Script(Strategy):
    """Takes one step for each message it gets, and keeps what it is told."""

    steps: list[Any]

    def on_start(self) -> None:
        self.at = 0
        self.mine: list[Order] = []
        self.heard: list[e.OrderEvent | e.PositionEvent] = []
        for stream in ("quotes", "trades"):
            for instrument in self.cache.instruments():
                getattr(self, f"subscribe_{stream}")(instrument.id)
        for bar_type in (BARS, BID_BARS, ASK_BARS):
            if self.cache.instrument(bar_type.instrument_id):
                self.subscribe_bars(bar_type)

    def on_quote(self, quote: Quote) -> None:
        self.take_step()

    def on_trade(self, trade: Trade) -> None:
        self.take_step()

    def on_bar(self, bar: Bar) -> None:
        self.take_step()

    def take_step(self) -> None:
        if self.at < len(self.steps) and self.steps[self.at] is not None:
            self.steps[self.at](self)
        self.at += 1

    def send(self, order: Order) -> None:
        self.mine.append(order)
        self.submit_order(order)

    def market(self, side: str, quantity: Any, instrument: Instrument = PAIR, **more: Any) -> None:
        self.send(self.orders.market(instrument.id, side, quantity, **more))

    def limit(
        self, side: str, quantity: Any, price: Any, instrument: Instrument = PAIR, **more: Any
    ) -> None:
        self.send(self.orders.limit(instrument.id, side, quantity, price, **more))

    def on_order_event(self, event: e.OrderEvent) -> None:
        self.heard.append(event)

    def on_position_event(self, event: e.PositionEvent) -> None:
        self.heard.append(event)

    def told(self, number: int = 0) -> list[str]:
        """Return the kinds of events of one of its orders."""
        wanted = self.mine[number].client_order_id
        return [
            type(event).__name__.removeprefix("Order")
            for event in self.heard
            if isinstance(event, e.OrderEvent) and event.client_order_id == wanted
        ]

    def fills(self, number: int | None = None) -> list[tuple[Decimal, Decimal]]:
        wanted = None if number is None else self.mine[number].client_order_id
        return [
            (event.quantity, event.price)
            for event in self.heard
            if isinstance(event, e.OrderFilled) and wanted in (None, event.client_order_id)
        ]


def quote(
    ts: int,
    bid: float,
    ask: float,
    bid_size: float = inf,
    ask_size: float = inf,
    instrument: Instrument = PAIR,
) -> Quote:
    return Quote(instrument.id, bid, ask, bid_size, ask_size, ts, ts)


def trade(ts: int, price: float, size: float, aggressor: str = "none") -> Trade:
    return Trade(SHARE.id, price, size, AggressorSide(aggressor), f"{ts}", ts, ts)  # type: ignore[arg-type]


def bar(
    ts: int,
    prices: tuple[float, float, float, float],
    volume: float | None = None,
    kind: BarType = BARS,
) -> Bar:
    return Bar(kind, *prices, volume, ts, ts)


def run(
    steps: Sequence[Step | None] | Sequence[Script],
    data: Sequence[Any],
    *instruments: Instrument,
    limits: RiskLimits | None = None,
    **venue: Any,
) -> tuple[Script, BacktestEngine]:
    actors = [s for s in steps if isinstance(s, Script)] or [Script(steps=list(steps))]
    listed = list(instruments) or [PAIR]
    venue.setdefault("starting_balances", "1_000_000 USD")
    engine = BacktestEngine(
        Timeline(load(list(data), listed)),
        listed,
        [SimulatedVenue(**venue).for_instruments(listed)],
        actors,
        run_tag="T",
        limits=limits,
    )
    engine.run()
    assert engine.error is None, engine.error
    assert engine.core.execution.refused_events == []
    return actors[0], engine


def realized(engine: BacktestEngine) -> Decimal:
    return sum(engine.core.portfolio.realized_pnl().values(), D(0))


# The cases of SEMANTICS.md


def test_case_1_a_round_trip_realises_its_profit_less_the_fee() -> None:
    # A fee of 3 on 150,000 @1.00001; the maker side is free.
    fee = D(3) / (D(150_000) * D("1.00001"))
    pair = CurrencyPair.define("AUD/USD.SIM", taker_fee=fee, maker_fee=0)
    script, engine = run(
        [
            lambda s: s.market("buy", 150_000),
            lambda s: s.limit("sell", 150_000, "1.00011"),
        ],
        [quote(1, 1.0, 1.00001), quote(2, 1.0, 1.00001), quote(3, 1.00011, 1.00012)],
        pair,
    )
    assert script.fills() == [(D(150_000), D("1.00001")), (D(150_000), D("1.00011"))]
    assert round(realized(engine), 20) == 12


def test_case_2_a_short_closed_in_two_parts_has_an_average_close() -> None:
    _, engine = run(
        [
            lambda s: s.market("sell", 100_000),
            lambda s: s.market("buy", 50_000),
            lambda s: s.market("buy", 50_000),
        ],
        [quote(1, 1.00000, 1.00001), quote(2, 1.00000, 1.00001), quote(3, 1.00002, 1.00003)],
    )
    (position,) = engine.core.cache.positions()
    assert position.average_close == D("1.00002")
    # Fees of 2 each take 6 from what is realised without.
    assert realized(engine) - 6 == D("-8.00")


def test_case_3_a_flip_closes_the_short_and_opens_a_long() -> None:
    script, engine = run(
        [lambda s: s.market("sell", 100_000), lambda s: s.market("buy", 200_000)],
        [quote(1, 1.0, 1.00001), quote(2, 1.0, 1.00001)],
    )
    kinds = [type(event).__name__ for event in script.heard if isinstance(event, e.PositionEvent)]
    assert kinds == ["PositionOpened", "PositionClosed", "PositionOpened"]
    first, second = engine.core.cache.positions()
    assert (first.signed_quantity, second.signed_quantity) == (0, 100_000)
    assert engine.core.portfolio.net_position(PAIR.id) == 100_000


def test_case_4_a_taker_that_exhausts_level_1_slips_one_tick_for_the_rest() -> None:
    script, _ = run(
        [lambda s: s.market("buy", "1.5", CENT)],
        [quote(1, 1009.0, 1010.0, 5, 0.5, CENT)],
        CENT,
    )
    assert script.fills() == [(D("0.5"), D("1010.00")), (D("1.0"), D("1010.01"))]


def test_case_5_a_passive_order_fills_in_part_at_the_touch_and_whole_beyond_it() -> None:
    script, _ = run(
        [lambda s: s.limit("buy", 1_000_000, "90.000", JPY)],
        [
            quote(1, 90.002, 90.005, 1e6, 1e6, JPY),
            quote(2, 89.999, 90.000, 1e6, 1e5, JPY),
            quote(3, 89.998, 89.999, 1e6, 1e5, JPY),
        ],
        JPY,
    )
    assert script.fills() == [(D(100_000), D("90.000")), (D(900_000), D("90.000"))]
    assert script.mine[0].status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("force", "filled", "status"),
    [("ioc", 1_000_000, OrderStatus.CANCELED), ("fok", 0, OrderStatus.CANCELED)],
)
def test_case_6_ioc_takes_what_is_there_and_fok_nothing(
    force: str, filled: int, status: OrderStatus
) -> None:
    script, _ = run(
        [lambda s: s.market("buy", 2_000_000, JPY, time_in_force=force)],
        [quote(1, 90.002, 90.005, 1e6, 1e6, JPY)],
        JPY,
    )
    order = script.mine[0]
    assert (order.filled_quantity, order.status) == (filled, status)
    assert order.average_price == (D("90.005") if filled else None)


def test_case_9_a_cash_account_denies_what_it_cannot_pay() -> None:
    script, _ = run(
        [lambda s: s.market("buy", 10_100_000)],
        [quote(1, 0.99999, 1.0)],
        account_type="cash",
    )
    assert script.told() == ["Initialized", "Denied"]
    assert isinstance(script.heard[-1], e.OrderDenied)
    assert script.heard[-1].code == "INSUFFICIENT_FUNDS"


def test_case_9_the_eleventh_order_of_ten_a_second_is_denied() -> None:
    def eleven(s: Script) -> None:
        for _ in range(11):
            s.market("buy", 1)

    script, _ = run([eleven], [quote(1, 1.0, 1.1)], limits=RiskLimits(orders=10))
    codes = [event.code for event in script.heard if isinstance(event, e.OrderDenied)]
    assert codes == ["RATE_LIMIT_EXCEEDED"]
    assert script.mine[10].status is OrderStatus.DENIED


def test_case_10_realised_profit_of_averaged_entries_is_exact() -> None:
    share = Equity.define("ACME.SIM", taker_fee="0.0001", maker_fee="0.0001")
    deals = [("buy", 12, 100), ("buy", 17, 99), ("sell", 9, 101), ("sell", 4, 105), ("buy", 3, 103)]
    seen: list[Decimal] = []

    def deal(side: str, quantity: int) -> Step:
        return lambda s: s.market(side, quantity, share)

    class Watch(Script):
        def on_order_filled(self, event: e.OrderFilled) -> None:
            seen.append(self.portfolio.realized_pnl()["USD"])

    run(
        [Watch(steps=[deal(side, quantity) for side, quantity, _ in deals])],
        [
            quote(ts, float(p), float(p), instrument=share)
            for ts, (_, _, p) in enumerate(deals, start=1)
        ],
        share,
    )
    assert [round(amount, 8) for amount in seen[1:]] == [
        D("-0.2883"),
        D("13.89666207"),
        D("36.19948966"),
        D("36.16858966"),
    ]


# Taking


def test_market_order_without_an_opposite_quote_is_rejected() -> None:
    pair_bars = [bar(1, (10, 10, 10, 10), kind=BID_BARS)]
    script, _ = run([lambda s: s.market("buy", 1, SHARE)], pair_bars, SHARE)
    assert script.told() == ["Initialized", "Submitted", "Rejected"]
    assert script.mine[0].reason == "no ask to trade with at this moment"


def test_market_order_on_trades_alone_is_rejected_with_a_hint() -> None:
    script, _ = run([lambda s: s.market("buy", 1, SHARE)], [trade(1, 10.0, 5)], SHARE)
    assert "trades_move_book" in script.mine[0].reason


def test_trades_move_the_book_where_that_is_asked_for() -> None:
    script, _ = run(
        [lambda s: s.market("buy", 1, SHARE)], [trade(1, 10.0, 5)], SHARE, trades_move_book=True
    )
    assert script.fills() == [(D(1), D("10.00"))]


def test_a_side_without_size_offers_nothing() -> None:
    script, _ = run(
        [
            lambda s: (s.market("buy", 1), s.limit("buy", 1, "1.5")),
        ],
        [quote(1, 1.0, 1.1, 5, 0)],
    )
    assert script.mine[0].status is OrderStatus.REJECTED
    assert script.mine[1].status is OrderStatus.ACCEPTED


def test_what_own_orders_took_is_gone_until_the_next_quote() -> None:
    def twice(s: Script) -> None:
        s.market("buy", 60)
        s.market("buy", 60, time_in_force="ioc")

    script, _ = run(
        [twice, lambda s: s.market("buy", 60, time_in_force="ioc")],
        [quote(1, 1.0, 1.1, 100, 100), quote(2, 1.0, 1.1, 100, 100)],
    )
    assert script.fills() == [(D(60), D("1.1")), (D(40), D("1.1")), (D(60), D("1.1"))]
    assert script.mine[1].status is OrderStatus.CANCELED


def test_a_limit_order_that_takes_fills_at_the_offer_and_rests_with_the_remainder() -> None:
    script, _ = run([lambda s: s.limit("buy", 100, "1.10000")], [quote(1, 1.0, 1.1, 100, 60)])
    order = script.mine[0]
    assert script.told() == ["Initialized", "Submitted", "Accepted", "Filled"]
    assert (order.status, order.leaves_quantity) == (OrderStatus.PARTIALLY_FILLED, 40)


def test_a_limit_order_slips_one_tick_where_its_price_allows_it() -> None:
    script, _ = run([lambda s: s.limit("buy", 100, "1.10001")], [quote(1, 1.0, 1.1, 100, 60)])
    assert script.fills() == [(D(60), D("1.10000")), (D(40), D("1.10001"))]
    fills = [event for event in script.heard if isinstance(event, e.OrderFilled)]
    assert {fill.liquidity for fill in fills} == {LiquiditySide.TAKER}


@pytest.mark.parametrize("force", ["ioc", "fok"])
def test_a_limit_order_that_may_not_rest_is_canceled_when_there_is_nothing(force: str) -> None:
    script, _ = run(
        [lambda s: s.limit("buy", 100, "1.0", time_in_force=force)], [quote(1, 1.0, 1.1)]
    )
    assert script.told() == ["Initialized", "Submitted", "Canceled"]
    assert script.mine[0].reason.startswith(force)


def test_a_limit_ioc_takes_what_is_there_and_fok_fills_whole_or_not() -> None:
    def both(s: Script) -> None:
        s.limit("buy", 100, "1.10000", time_in_force="fok")
        s.limit("buy", 60, "1.10000", time_in_force="fok")
        s.limit("buy", 100, "1.10000", time_in_force="ioc")

    script, engine = run([both], [quote(1, 1.0, 1.1, 100, 80)])
    assert [script.fills(n) for n in range(3)] == [[], [(D(60), D("1.1"))], [(D(20), D("1.1"))]]
    assert engine.exchanges[0].open_orders() == []


def test_nothing_sells_below_one_tick() -> None:
    script, _ = run([lambda s: s.market("sell", 100)], [quote(1, 0.00001, 0.00002, 60, 60)])
    assert script.fills() == [(D(60), D("0.00001"))]
    assert script.mine[0].status is OrderStatus.CANCELED


# Making


def test_post_only_is_rejected_where_it_would_take_and_rests_where_not() -> None:
    def both(s: Script) -> None:
        s.limit("buy", 1, "1.10000", post_only=True)
        s.limit("buy", 1, "1.09999", post_only=True)

    script, _ = run([both], [quote(1, 1.0, 1.1)])
    assert script.told(0) == ["Initialized", "Submitted", "Rejected"]
    assert script.told(1) == ["Initialized", "Submitted", "Accepted"]


def test_resting_orders_fill_at_their_limit_best_price_first_then_first_in() -> None:
    def three(s: Script) -> None:
        s.limit("buy", 10, "0.90000")
        s.limit("buy", 10, "0.95000")
        s.limit("buy", 10, "0.90000")

    script, _ = run([three], [quote(1, 1.0, 1.1), quote(2, 0.8, 0.89)])
    ids = [event.client_order_id for event in script.heard if isinstance(event, e.OrderFilled)]
    assert ids == [script.mine[n].client_order_id for n in (1, 0, 2)]
    assert [price for _, price in script.fills()] == [D("0.95"), D("0.90"), D("0.90")]


def test_orders_of_one_price_share_the_size_at_the_touch_first_in_first_out() -> None:
    def two(s: Script) -> None:
        s.limit("sell", 10, "1.20000")
        s.limit("sell", 10, "1.20000")

    script, _ = run([two], [quote(1, 1.0, 1.1), quote(2, 1.2, 1.3, 15, 5)])
    assert [script.fills(0), script.fills(1)] == [[(D(10), D("1.2"))], [(D(5), D("1.2"))]]


def test_trades_fill_what_rests_up_to_their_size_and_by_their_aggressor() -> None:
    def two(s: Script) -> None:
        s.limit("buy", 10, "9.00", SHARE)
        s.limit("sell", 10, "11.00", SHARE)

    script, _ = run(
        [two],
        [
            trade(1, 10.0, 1),
            trade(2, 9.0, 4, "buyer"),  # at the price, but someone else's sale was taken
            trade(3, 9.0, 4, "seller"),
            trade(4, 9.0, 1),
            trade(5, 8.99, 100, "buyer"),  # through the price: whoever took, we were filled
            trade(6, 11.0, 3, "buyer"),
        ],
        SHARE,
    )
    assert script.fills(0) == [(D(4), D("9.00")), (D(1), D("9.00")), (D(5), D("9.00"))]
    assert script.fills(1) == [(D(3), D("11.00"))]


def test_a_trade_is_shared_by_price_then_time() -> None:
    def two(s: Script) -> None:
        s.limit("buy", 5, "9.00", SHARE)
        s.limit("buy", 5, "9.01", SHARE)

    script, _ = run([two], [trade(1, 10.0, 1), trade(2, 9.0, 7, "seller")], SHARE)
    assert [script.fills(0), script.fills(1)] == [[(D(2), D("9.00"))], [(D(5), D("9.01"))]]


def test_maker_and_taker_pay_their_own_fee() -> None:
    pair = CurrencyPair.define("AUD/USD.SIM", maker_fee="-0.0001", taker_fee="0.0002")
    steps: list[Step] = [
        lambda s: s.market("buy", 10_000),
        lambda s: s.limit("sell", 10_000, "1.20000"),
    ]
    data = [quote(1, 1.0, 1.1), quote(2, 1.0, 1.1), quote(3, 1.2, 1.3)]
    script, _ = run(steps, data, pair)
    assert [order.commission for order in script.mine] == [D("2.2"), D("-1.2")]
    script, _ = run(steps, data, pair, maker_fee="0.001", taker_fee=0)
    assert [order.commission for order in script.mine] == [0, D("12")]


# Reduce-only at the venue


def test_reduce_only_fills_no_more_than_is_held_when_it_arrives() -> None:
    def flip(s: Script) -> None:
        s.limit("sell", 10, "1.20000", reduce_only=True)
        s.limit("sell", 10, "1.30000", reduce_only=True)

    script, engine = run(
        [lambda s: s.market("buy", 15), flip],
        [quote(1, 1.0, 1.1), quote(2, 1.0, 1.1), quote(3, 1.4, 1.5)],
    )
    assert [script.fills(1), script.fills(2)] == [[(D(10), D("1.2"))], [(D(5), D("1.3"))]]
    assert script.mine[2].status is OrderStatus.CANCELED
    assert engine.core.portfolio.net_position(PAIR.id) == 0


def test_reduce_only_without_a_position_left_is_canceled_with_a_reason() -> None:
    def exits(s: Script) -> None:
        s.limit("sell", 10, "1.20000", reduce_only=True)
        s.market("sell", 10, reduce_only=True)

    script, _ = run(
        [lambda s: s.market("buy", 10), exits],
        [quote(1, 1.0, 1.1), quote(2, 1.0, 1.1), quote(3, 1.4, 1.5)],
    )
    assert script.told(1)[-1] == "Canceled"
    assert "nothing is left to reduce" in script.mine[1].reason


def test_reduce_only_holds_in_a_cash_account_too() -> None:
    def exit_twice(s: Script) -> None:
        # Each fits the position when risk looks; only the venue sees that together they do not.
        s.market("sell", 6, reduce_only=True)
        s.market("sell", 6, reduce_only=True)

    script, engine = run(
        [lambda s: s.market("buy", 10), exit_twice],
        [quote(1, 1.0, 1.1), quote(20, 1.0, 1.1), quote(40, 1.0, 1.1)],
        account_type="cash",
        starting_balances=["1_000 USD", "1_000 AUD"],
        latency_ns=10,
    )
    assert [script.fills(1), script.fills(2)] == [[(D(6), D("1.0"))], [(D(4), D("1.0"))]]
    assert engine.core.portfolio.net_position(PAIR.id) == 0


# Changing and ending


def modify(**change: Any) -> Step:
    return lambda s: s.modify_order(s.mine[0], **change)


QUIET = [quote(ts, 1.0, 1.1) for ts in range(1, 6)]


def test_price_and_quantity_of_an_open_order_can_be_modified() -> None:
    script, engine = run(
        [lambda s: s.limit("buy", 10, "0.90000"), modify(price="0.95000", quantity=20)], QUIET
    )
    assert script.told() == ["Initialized", "Submitted", "Accepted", "PendingUpdate", "Updated"]
    order = script.mine[0]
    assert (order.price, order.quantity, order.status) == (D("0.95"), 20, OrderStatus.ACCEPTED)
    (venue_order,) = engine.exchanges[0].open_orders()
    assert (venue_order.price, venue_order.quantity) == (D("0.95"), 20)


def test_an_order_repriced_across_the_spread_takes() -> None:
    script, _ = run([lambda s: s.limit("buy", 10, "0.90000"), modify(price="1.20000")], QUIET)
    assert script.fills() == [(D(10), D("1.1"))]
    assert script.heard[-2].liquidity is LiquiditySide.TAKER  # type: ignore[union-attr]


def test_modifying_one_order_leaves_the_others_alone() -> None:
    def two(s: Script) -> None:
        s.limit("buy", 10, "0.80000")
        s.limit("buy", 100, "1.00000")

    script, _ = run(
        [two, None, modify(price="0.85000")],
        [quote(1, 1.0, 1.1, 5, 5), quote(2, 0.9, 1.0, 5, 60), quote(3, 0.9, 1.0, 5, 0)],
    )
    assert script.fills() == [(D(60), D("1.0"))]


def test_a_post_only_order_cannot_be_repriced_into_taking() -> None:
    script, _ = run(
        [lambda s: s.limit("buy", 10, "0.90000", post_only=True), modify(price="1.10000")], QUIET
    )
    assert script.told()[-2:] == ["PendingUpdate", "ModifyRejected"]
    assert (script.mine[0].price, script.mine[0].status) == (D("0.9"), OrderStatus.ACCEPTED)


def test_a_larger_quantity_loses_its_place_and_a_smaller_one_keeps_it() -> None:
    def two(s: Script) -> None:
        s.limit("buy", 10, "0.90000")
        s.limit("buy", 10, "0.90000")

    touch = [quote(1, 1.0, 1.1), quote(2, 1.0, 1.1), quote(3, 0.8, 0.9, 5, 5)]
    script, _ = run([two, modify(quantity=5)], touch)
    assert [script.fills(0), script.fills(1)] == [[(D(5), D("0.9"))], []]
    script, _ = run([two, modify(quantity=11)], touch)
    assert [script.fills(0), script.fills(1)] == [[], [(D(5), D("0.9"))]]


PART = [quote(1, 1.0, 1.1), quote(2, 0.8, 0.9, 5, 6), quote(3, 1.0, 1.1), quote(4, 1.0, 1.1)]


def test_a_quantity_below_what_is_filled_is_refused() -> None:
    script, _ = run([lambda s: s.limit("buy", 10, "0.90000"), None, modify(quantity=5)], PART)
    rejected = script.heard[-1]
    assert isinstance(rejected, e.OrderModifyRejected)
    assert rejected.code == "QUANTITY_BELOW_FILLED"
    assert script.mine[0].status is OrderStatus.PARTIALLY_FILLED


def test_a_quantity_of_exactly_what_is_filled_ends_the_order() -> None:
    script, _ = run([lambda s: s.limit("buy", 10, "0.90000"), None, modify(quantity=6)], PART)
    assert script.told()[-2:] == ["Updated", "Canceled"]
    assert (script.mine[0].quantity, script.mine[0].filled_quantity) == (6, 6)


def test_a_fill_on_the_way_makes_a_smaller_quantity_be_refused_by_the_venue() -> None:
    script, _ = run(
        [lambda s: s.limit("buy", 10, "0.90000"), None, modify(quantity=5)],
        [
            *(quote(ts, 1.0, 1.1) for ts in (1, 20, 30)),
            quote(35, 0.8, 0.9, 5, 6),
            quote(99, 1.0, 1.1),
        ],
        latency_ns=10,
    )
    assert script.told()[3:] == ["PendingUpdate", "Filled", "ModifyRejected"]
    assert script.mine[0].quantity == 10


def test_a_closed_order_can_be_neither_modified_nor_canceled() -> None:
    def both(s: Script) -> None:
        s.modify_order(s.mine[0], quantity=5)
        s.cancel_order(s.mine[0])

    script, _ = run([lambda s: s.market("buy", 10), both], QUIET)
    assert script.told()[-2:] == ["ModifyRejected", "CancelRejected"]
    assert script.mine[0].status is OrderStatus.FILLED


def test_a_modify_behind_a_cancel_is_rejected() -> None:
    def both(s: Script) -> None:
        s.cancel_order(s.mine[0])
        s.modify_order(s.mine[0], quantity=5)

    script, _ = run([lambda s: s.limit("buy", 10, "0.90000"), both], QUIET)
    assert script.told()[3:] == ["PendingCancel", "Canceled", "ModifyRejected"]


def test_a_modify_behind_a_cancel_on_its_way_is_rejected_here() -> None:
    def both(s: Script) -> None:
        s.cancel_order(s.mine[0])
        s.modify_order(s.mine[0], quantity=5)

    script, _ = run(
        [lambda s: s.limit("buy", 10, "0.90000"), both],
        [quote(ts, 1.0, 1.1) for ts in (1, 20, 40)],
        latency_ns=10,
    )
    assert script.told()[3:] == ["PendingCancel", "ModifyRejected", "Canceled"]
    assert script.mine[0].quantity == 10


def test_a_cancel_that_arrives_after_the_fill_is_rejected() -> None:
    script, _ = run(
        [lambda s: s.limit("buy", 10, "0.90000"), lambda s: s.cancel_order(s.mine[0])],
        [quote(1, 1.0, 1.1), quote(20, 1.0, 1.1), quote(25, 0.8, 0.85), quote(99, 1.0, 1.1)],
        latency_ns=10,
    )
    assert script.told()[3:] == ["PendingCancel", "Filled", "CancelRejected"]
    assert script.mine[0].status is OrderStatus.FILLED


def test_cancel_all_cancels_the_side_that_is_named() -> None:
    def four(s: Script) -> None:
        s.limit("buy", 1, "0.90000")
        s.limit("sell", 1, "1.90000")
        s.limit("buy", 1, "0.80000")

    script, _ = run([four, lambda s: s.cancel_all_orders(side="buy")], QUIET)
    assert [order.status.value for order in script.mine] == ["canceled", "accepted", "canceled"]
    script, _ = run([four, lambda s: s.cancel_all_orders(PAIR.id)], QUIET)
    assert {order.status.value for order in script.mine} == {"canceled"}


def test_cancel_all_reaches_an_order_sent_in_the_same_callback() -> None:
    def both(s: Script) -> None:
        s.limit("buy", 1, "0.90000")
        s.cancel_all_orders()

    script, _ = run([both], QUIET)
    assert script.mine[0].status is OrderStatus.CANCELED


def test_cancel_all_leaves_the_orders_of_other_strategies_alone() -> None:
    first = Script(steps=[lambda s: s.limit("buy", 1, "0.90000")])
    second = Script(steps=[None, lambda s: s.cancel_all_orders(PAIR.id)])
    run([first, second], QUIET)
    assert first.mine[0].status is OrderStatus.ACCEPTED


# Bars


def test_an_order_from_on_bar_fills_at_that_bars_close() -> None:
    script, _ = run(
        [lambda s: s.market("buy", 1, SHARE)],
        [bar(1, (10, 12, 9, 11)), bar(2, (20, 20, 20, 20))],
        SHARE,
    )
    assert script.fills() == [(D(1), D("11.00"))]


def test_with_next_open_an_order_from_on_bar_fills_at_the_next_bars_open() -> None:
    def two(s: Script) -> None:
        s.market("buy", 1, SHARE)
        s.limit("buy", 1, "30.00", SHARE)
        s.limit("buy", 1, "5.00", SHARE)

    script, _ = run(
        [two],
        [bar(1, (10, 12, 9, 11)), bar(2, (20, 25, 19, 21))],
        SHARE,
        fill_on="next_open",
    )
    assert [script.fills(0), script.fills(1)] == [[(D(1), D("20.00"))]] * 2
    assert script.mine[2].status is OrderStatus.ACCEPTED
    filled = [event for event in script.heard if isinstance(event, e.OrderFilled)]
    assert [fill.ts_event for fill in filled] == [2, 2]


def test_an_order_that_waits_for_the_next_open_can_be_canceled() -> None:
    def both(s: Script) -> None:
        s.market("buy", 1, SHARE)
        s.cancel_order(s.mine[0])

    script, engine = run(
        [both], [bar(1, (10, 12, 9, 11)), bar(2, (20, 25, 19, 21))], SHARE, fill_on="next_open"
    )
    assert script.told() == ["Initialized", "Submitted", "PendingCancel", "Canceled"]
    assert engine.exchanges[0].open_orders() == []


def test_a_bar_walks_open_high_low_close() -> None:
    def two(s: Script) -> None:
        s.limit("buy", 1, "9.50", SHARE)
        s.limit("sell", 1, "11.50", SHARE)

    bars = [bar(1, (10, 10, 10, 10)), bar(2, (10, 12, 9, 11))]
    script, _ = run([two], bars, SHARE)
    assert [price for _, price in script.fills()] == [D("11.50"), D("9.50")]


@pytest.mark.parametrize(("low", "first"), [(9.0, "9.50"), (8.0, "11.50")])
def test_an_adaptive_bar_takes_the_nearer_extreme_first(low: float, first: str) -> None:
    def two(s: Script) -> None:
        s.limit("buy", 1, "9.50", SHARE)
        s.limit("sell", 1, "11.50", SHARE)

    bars = [bar(1, (10, 10, 10, 10)), bar(2, (10, 12, low, 11))]
    script, _ = run([two], bars, SHARE, bar_path="adaptive")
    assert script.fills()[0][1] == D(first)


def test_volume_is_spread_over_the_four_moments_of_a_bar() -> None:
    script, _ = run(
        [lambda s: s.limit("buy", 10, "9.00", SHARE)],
        [bar(1, (10, 10, 10, 10), 8), bar(2, (9, 9, 9, 9), 8)],
        SHARE,
    )
    assert script.fills() == [(D(2), D("9.00"))] * 4


def test_a_bar_without_volume_fills_nothing_and_one_without_the_column_everything() -> None:
    steps: list[Step] = [lambda s: s.limit("buy", 10, "9.00", SHARE)]
    script, _ = run(steps, [bar(1, (10, 10, 10, 10), 0), bar(2, (8, 8, 8, 8), 0)], SHARE)
    assert script.fills() == []
    script, _ = run(steps, [bar(1, (10, 10, 10, 10)), bar(2, (8, 8, 8, 8))], SHARE)
    assert script.fills() == [(D(10), D("9.00"))]


def test_what_was_taken_at_a_close_is_gone_for_the_order_from_on_bar() -> None:
    script, _ = run(
        [
            lambda s: s.limit("buy", 20, "9.50", SHARE),
            lambda s: s.market("buy", 2, SHARE, time_in_force="ioc"),
        ],
        [bar(1, (10, 10, 10, 10), 40), bar(2, (10, 10, 9.5, 9.5), 40)],
        SHARE,
    )
    assert script.fills(0) == [(D(10), D("9.50")), (D(10), D("9.50"))]
    assert script.fills(1) == []


def test_bid_and_ask_bars_of_one_interval_walk_together() -> None:
    script, _ = run(
        [lambda s: s.market("buy", 1, SHARE), None, lambda s: s.market("sell", 1, SHARE)],
        [
            bar(1, (10, 10, 10, 10), kind=BID_BARS),
            bar(1, (11, 11, 11, 11), kind=ASK_BARS),
            bar(2, (12, 12, 12, 12), kind=BID_BARS),
            bar(2, (13, 13, 13, 13), kind=ASK_BARS),
        ],
        SHARE,
    )
    assert [price for _, price in script.fills()] == [D("11.00"), D("12.00")]


def test_a_lone_bid_bar_leaves_the_ask_as_it_was() -> None:
    script, _ = run(
        [None, None, lambda s: s.market("buy", 1, SHARE)],
        [
            bar(1, (10, 10, 10, 10), kind=BID_BARS),
            bar(1, (11, 11, 11, 11), kind=ASK_BARS),
            bar(2, (12, 12, 12, 12), kind=BID_BARS),
        ],
        SHARE,
    )
    assert script.fills() == [(D(1), D("11.00"))]


def test_coarser_bars_of_an_instrument_do_not_move_its_book() -> None:
    hours = BarType.parse("ACME.SIM-1-hour-last")
    script, _ = run(
        [
            lambda s: s.limit("buy", 1, "5.00", SHARE),
            None,
            lambda s: s.market("sell", 1, SHARE),
        ],
        [
            bar(1, (10, 10, 10, 10)),
            bar(2, (11, 11, 11, 11)),
            bar(2, (4, 12, 4, 4), kind=hours),
            bar(3, (13, 13, 13, 13)),
        ],
        SHARE,
    )
    assert script.fills() == [(D(1), D("13.00"))]


# Latency


def test_latency_delays_arrival_exactly_and_the_book_of_that_time_counts() -> None:
    script, _ = run(
        [lambda s: s.market("buy", 1)],
        [quote(0, 1.0, 1.1), quote(9, 1.1, 1.2), quote(10, 1.2, 1.3), quote(11, 1.3, 1.4)],
        latency_ns=10,
    )
    fill = next(event for event in script.heard if isinstance(event, e.OrderFilled))
    # It arrives before the quote of the same nanosecond.
    assert (fill.ts_event, fill.price) == (10, D("1.2"))


def test_what_is_on_its_way_at_the_end_of_the_data_still_arrives() -> None:
    class Closing(Script):
        def on_stop(self) -> None:
            self.close_all_positions()

    strategy = Closing(steps=[lambda s: s.market("buy", 1)])
    _, engine = run([strategy], [quote(0, 1.0, 1.1), quote(50, 1.0, 1.1)], latency_ns=10)
    assert engine.core.portfolio.net_position(PAIR.id) == 0
    assert engine.core.clock.timestamp_ns() == 60


# Several strategies, instruments and venues


def test_positions_net_per_strategy_on_one_instrument() -> None:
    first = Script(steps=[lambda s: s.market("buy", 10)])
    second = Script(steps=[lambda s: s.market("sell", 4)])
    _, engine = run([first, second], QUIET)
    held = engine.core.portfolio.net_position
    assert held(PAIR.id) == 6
    assert held(PAIR.id, first.component_id) == 10
    assert held(PAIR.id, second.component_id) == -4


def test_two_venues_have_accounts_of_their_own() -> None:
    other = CurrencyPair.define("AUD/USD.OTHER", taker_fee="0.01")
    script = Script(steps=[None, lambda s: (s.market("buy", 10), s.market("sell", 10, other))])
    listed: list[Instrument] = [PAIR, other]
    data = [quote(1, 1.0, 1.1), quote(1, 2.0, 2.1, instrument=other), quote(2, 1.0, 1.1)]
    engine = BacktestEngine(
        Timeline(load(data, listed)),
        listed,
        [
            SimulatedVenue(name=name, starting_balances=f"{amount} USD").for_instruments(listed)
            for name, amount in (("SIM", 100), ("OTHER", 200))
        ],
        [script],
        run_tag="T",
    )
    engine.run()
    assert engine.error is None
    cache = engine.core.cache
    totals = {a.account_id: a.balances[0].total for a in cache.accounts()}
    assert totals == {"SIM-PAPER": 100, "OTHER-PAPER": D("199.8")}
    assert script.fills() == [(D(10), D("1.1")), (D(10), D("2.0"))]


def test_an_instrument_that_the_venue_does_not_list_is_denied() -> None:
    script, _ = run([lambda s: s.send(s.orders.market("NO/PE.SIM", "buy", 1))], QUIET)
    denied = script.heard[-1]
    assert isinstance(denied, e.OrderDenied)
    assert denied.code == "INSTRUMENT_UNKNOWN"


# Money


def test_round_money_rounds_each_fills_money_to_the_currencys_digits() -> None:
    pair = CurrencyPair.define("AUD/USD.SIM", taker_fee="0.00002")
    steps: list[Step] = [lambda s: s.market("buy", 100_000), lambda s: s.market("sell", 100_000)]
    data = [quote(1, 0.75, 0.75011), quote(2, 0.75, 0.75011)]
    _, exact = run(steps, data, pair)
    _, rounded = run(steps, data, pair, round_money=True)

    def balance(engine: BacktestEngine) -> Decimal:
        account = engine.core.cache.account_at("SIM")
        assert account is not None
        return account.balances[0].total - 1_000_000

    # Fees of 1.50022 and 1.50000, a loss of 11.
    assert balance(exact) == D("-14.00022")
    assert balance(rounded) == D("-14.00")


def test_account_state_is_right_when_the_fill_is_told() -> None:
    seen: list[tuple[Decimal, Decimal]] = []

    class Watch(Script):
        def on_order_filled(self, event: e.OrderFilled) -> None:
            account = self.cache.account_at("SIM")
            assert account is not None
            seen.append((account.balances[0].total, self.portfolio.net_position(PAIR.id)))

    pair = CurrencyPair.define("AUD/USD.SIM", taker_fee="0.01")
    run(
        [Watch(steps=[lambda s: s.market("buy", 100), lambda s: s.market("sell", 100)])],
        [quote(1, 1.0, 1.0), quote(2, 2.0, 2.0)],
        pair,
    )
    assert seen == [(D(999_999), D(100)), (D(1_000_097), D(0))]


def test_a_cash_account_locks_and_exchanges_currencies() -> None:
    states: list[dict[str, tuple[Decimal, Decimal]]] = []

    class Watch(Script):
        def on_quote(self, quote: Quote) -> None:
            states.append(
                {c: (b.total, b.locked) for c, b in self.portfolio.balances("SIM").items()}
            )
            super().on_quote(quote)

    pair = CurrencyPair.define("AUD/USD.SIM", maker_fee="0.01", taker_fee="0.01")
    run(
        [
            Watch(
                steps=[
                    lambda s: s.limit("buy", 100, "0.90000"),
                    None,
                    lambda s: s.limit("sell", 40, "1.20000"),
                    lambda s: s.cancel_all_orders(),
                ]
            )
        ],
        [
            quote(1, 1.0, 1.1),
            quote(2, 1.0, 1.1),
            quote(3, 0.8, 0.89),
            quote(4, 0.8, 0.89),
            quote(5, 0.8, 0.89),
        ],
        pair,
        account_type="cash",
        starting_balances="1_000 USD",
    )
    assert states == [
        {"USD": (D(1000), D(0))},
        {"USD": (D(1000), D("90.9"))},  # the notional and its fee
        {"USD": (D("909.1"), D(0)), "AUD": (D(100), D(0))},
        {"USD": (D("909.1"), D(0)), "AUD": (D(100), D(40))},
        {"USD": (D("909.1"), D(0)), "AUD": (D(100), D(0))},
    ]


def test_a_cash_account_pays_for_shares_and_sells_only_what_it_holds() -> None:
    def two(s: Script) -> None:
        s.limit("sell", 6, "12.00", SHARE)
        s.limit("sell", 5, "12.00", SHARE)
        s.limit("sell", 4, "12.00", SHARE)

    script, engine = run(
        [lambda s: s.market("buy", 10, SHARE), two],
        [quote(ts, 10.0, 11.0, instrument=SHARE) for ts in (1, 2)],
        SHARE,
        account_type="cash",
        starting_balances="1_000 USD",
    )
    assert [o.status.value for o in script.mine] == ["filled", "accepted", "denied", "accepted"]
    account = engine.core.cache.account_at("SIM")
    assert account is not None
    assert (account.balances[0].total, account.balances[0].locked) == (890, 0)
    assert engine.core.portfolio.equity("SIM") == {"USD": D(990)}


def test_a_margin_account_locks_margins_of_orders_and_positions() -> None:
    pair = CurrencyPair.define("AUD/USD.SIM", margin_init="0.1", margin_maint="0.05")
    seen: list[Decimal] = []

    class Watch(Script):
        def on_quote(self, quote: Quote) -> None:
            seen.append(self.portfolio.locked("SIM")["USD"])
            super().on_quote(quote)

    _, engine = run(
        [
            Watch(
                steps=[
                    lambda s: s.limit("buy", 1000, "0.90000"),
                    lambda s: s.market("sell", 500),
                    lambda s: s.limit("buy", 500, "0.50000", reduce_only=True),
                    lambda s: s.cancel_all_orders(),
                ]
            )
        ],
        [quote(ts, 1.0, 1.1) for ts in range(1, 6)],
        pair,
        leverage=10,
    )
    # 1000 x 0.9 x 0.1 / 10; then 500 x 1.0 x 0.05 / 10: to turn a short of 500 adds nothing.
    assert seen == [D(0), D("9"), D("2.5"), D("2.5"), D("2.5")]
    assert engine.core.portfolio.margins("SIM") == {PAIR.id: (D("5"), D("2.5"))}


def test_a_quote_without_one_side_fills_nothing_on_it() -> None:
    _, engine = run([lambda s: s.limit("buy", 1, "0.90000")], [quote(1, 1.0, 1.1)])
    exchange = engine.exchanges[0]
    exchange.process(quote(2, 0.8, nan))
    exchange.process(quote(3, nan, nan))
    assert [order.filled for order in exchange.open_orders()] == [0]
    exchange.process(quote(4, nan, 0.9))
    assert exchange.open_orders() == []


def test_a_newer_definition_of_an_instrument_moves_the_grid_of_its_orders() -> None:
    _, engine = run([lambda s: s.limit("buy", 1, "0.90000")], [quote(1, 1.0, 1.1)])
    exchange = engine.exchanges[0]
    exchange.process(CurrencyPair.define("AUD/USD.SIM", price_increment="0.01"))
    (order,) = exchange.open_orders()
    assert order.ticks == 90


def test_a_modify_after_a_cancel_does_not_take_the_cancel_back() -> None:
    def rest(s: Script) -> None:
        s.limit("buy", 1, "0.90000")

    def cancel_and_modify(s: Script) -> None:
        s.cancel_order(s.mine[0])
        s.modify_order(s.mine[0], price="0.80000")

    seen: list[OrderStatus] = []
    script, _ = run(
        [rest, None, cancel_and_modify, lambda s: seen.append(s.mine[0].status)],
        [quote(ts, 1.0, 1.1) for ts in (10, 20, 30, 32, 40)],
        latency_ns=5,
    )
    assert seen == [OrderStatus.PENDING_CANCEL]
    rejected = next(x for x in script.heard if isinstance(x, e.OrderModifyRejected))
    assert (rejected.code, rejected.reason) == ("ORDER_NOT_OPEN", "the order is pending_cancel")
    assert script.told()[-1] == "Canceled"


def test_with_cash_an_order_on_its_way_is_paid_for_whatever_is_asked_of_it() -> None:
    def twice(s: Script) -> None:
        s.market("buy", 90_000)

    def modify(s: Script) -> None:
        s.modify_order(s.mine[0], quantity=80_000)
        twice(s)

    script, engine = run(
        [twice, modify, twice],
        [quote(ts, 0.9, 1.0) for ts in (10, 20, 22, 24, 40)],
        account_type="cash",
        starting_balances="100_000 USD",
        latency_ns=15,
    )
    assert [order.status.value for order in script.mine] == ["filled", "denied", "denied"]
    assert engine.exchanges[0].account.state(0).balances[0].total == 10_000


def test_with_next_open_a_limit_repriced_through_the_market_waits_for_the_next_open() -> None:
    def rest(s: Script) -> None:
        s.limit("buy", 2, "5.00", SHARE)

    def through(s: Script) -> None:
        s.modify_order(s.mine[0], price="30.00")

    bars = [bar(1, (10, 12, 9, 11)), bar(2, (10, 12, 9, 11)), bar(3, (20, 25, 19, 21))]
    script, engine = run([rest, through], bars, SHARE, fill_on="next_open")
    filled = [(x.price, x.ts_event) for x in script.heard if isinstance(x, e.OrderFilled)]
    assert filled == [(D("20.00"), 3)]
    assert script.told().count("Accepted") == 1
    assert engine.exchanges[0].open_orders() == []


def test_a_limit_repriced_back_from_the_market_rests_again() -> None:
    def rest(s: Script) -> None:
        s.limit("buy", 2, "5.00", SHARE)

    def there_and_back(s: Script) -> None:
        s.modify_order(s.mine[0], price="30.00")
        s.modify_order(s.mine[0], price="29.00")
        s.modify_order(s.mine[0], price="8.00")

    bars = [bar(1, (10, 12, 9, 11)), bar(2, (10, 12, 9, 11)), bar(3, (20, 25, 7, 21))]
    script, _ = run([rest, there_and_back], bars, SHARE, fill_on="next_open")
    filled = [x for x in script.heard if isinstance(x, e.OrderFilled)]
    assert [(x.price, x.ts_event, x.liquidity) for x in filled] == [
        (D("8.00"), 3, LiquiditySide.MAKER)
    ]


def test_with_cash_a_limit_cannot_grow_beyond_what_is_there() -> None:
    def grow(s: Script) -> None:
        s.modify_order(s.mine[0], quantity=100_000, price="100.00000")

    script, engine = run(
        [lambda s: s.limit("buy", 10, "90.00000"), grow],
        [quote(10, 99.0, 100.0), quote(20, 99.0, 100.0), quote(30, 99.0, 100.0)],
        account_type="cash",
        starting_balances="10_000 USD",
    )
    rejected = next(x for x in script.heard if isinstance(x, e.OrderModifyRejected))
    assert rejected.code == "INSUFFICIENT_FUNDS"
    assert script.mine[0].status is OrderStatus.ACCEPTED
    assert engine.exchanges[0].account.state(0).balances[0].free == 9_100


def test_with_margin_an_order_that_closes_locks_nothing() -> None:
    pair = CurrencyPair.define("AUD/USD.SIM", margin_init="0.8", margin_maint="0.6")
    script, engine = run(
        [
            lambda s: s.market("buy", 10_000),
            lambda s: s.limit("sell", 10_000, "1.50000"),
            lambda s: s.market("buy", 1_000),
        ],
        [quote(ts, 1.0, 1.0) for ts in (10, 20, 30)],
        pair,
        starting_balances="10_000 USD",
    )
    assert [order.status.value for order in script.mine] == ["filled", "accepted", "filled"]
    (balance,) = engine.exchanges[0].account.state(0).balances
    assert (balance.total, balance.locked) == (10_000, 6_600)

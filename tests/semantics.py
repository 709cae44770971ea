"""The numbered cases of the trading semantics: orders, data, and what a result must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from typing import Any

import workbench as wb

D = Decimal
PAIR = wb.CurrencyPair.define("AUD/USD.SIM")
CENT = wb.CurrencyPair.define("ETH/USDT.SIM", price_increment="0.01", quantity_increment="0.1")
JPY = wb.CurrencyPair.define("USD/JPY.SIM", price_increment="0.001")
GOLD = wb.CurrencyPair.define("XAU/USD.SIM", price_increment="1")
SHARE = wb.Equity.define("ACME.SIM", price_increment="0.01")
FREE = wb.MakerTakerFeeModel(maker=0, taker=0)

Step = Callable[["Steps"], object]


class Steps(wb.Strategy):
    """Takes one step for each quote or bar."""

    steps: Any = ()

    def on_start(self) -> None:
        self.at = 0
        instrument_id = self.instrument.id
        self.subscribe_quotes(instrument_id)
        self.subscribe_bars(f"{instrument_id}-1-minute-last")

    def on_quote(self, quote: wb.Quote) -> None:
        self.step()

    def on_bar(self, bar: wb.Bar) -> None:
        self.step()

    def step(self) -> None:
        if self.at < len(self.steps) and self.steps[self.at] is not None:
            self.steps[self.at](self)
        self.at += 1

    def send(self, kind: str, side: str, *numbers: Any, **options: Any) -> None:
        make = getattr(self.orders, kind)
        self.submit_order(make(self.instrument.id, side, *numbers, **options))


def send(*arguments: Any, **options: Any) -> Step:
    return lambda strategy: strategy.send(*arguments, **options)


def bracket(*arguments: Any, **options: Any) -> Step:
    return lambda strategy: strategy.submit_order_list(
        strategy.orders.bracket(strategy.instrument.id, *arguments, **options)
    )


@dataclass(frozen=True)
class Case:
    """What is sent on which data, and what must have come of it.

    Attributes:
        fills: (quantity, price) in order.
        states: Of the orders, in the order they were made.
        more: Checks the result's other frames.
    """

    instrument: wb.Instrument
    steps: tuple[Step | None, ...]
    data: tuple[Any, ...]
    fills: list[tuple[Any, str]]
    states: list[str]
    venue: dict[str, Any] = field(default_factory=dict[str, Any])
    limits: wb.RiskLimits | None = None
    more: Callable[[Any], None] = lambda result: None

    def settings(self) -> wb.SimulatedVenue:
        return wb.SimulatedVenue(**{"fee_model": FREE, **self.venue})

    def check(self, result: Any) -> None:
        """Check the frames of a result, or of what has the same frames."""
        got = [(row.quantity, row.price) for row in result.fills.itertuples()]
        assert got == [(D(str(quantity)), D(price)) for quantity, price in self.fills]
        assert list(result.orders["status"]) == self.states
        self.more(result)


def quotes(instrument: wb.Instrument, *rows: tuple[float, ...]) -> tuple[wb.Quote, ...]:
    """Return (bid, ask, bid size, ask size), sizes unlimited where they are left out."""
    return tuple(
        wb.Quote(instrument.id, *row[:2], *(row[2:] or (inf, inf)), ts, ts)  # type: ignore[misc]
        for ts, row in enumerate(rows, start=1)
    )


def bars(instrument: wb.Instrument, *rows: tuple[float, float, float, float]) -> tuple[wb.Bar, ...]:
    kind = wb.BarType.parse(f"{instrument.id}-1-minute-last")
    minute = 60_000_000_000
    return tuple(wb.Bar(kind, *row, None, n * minute, n * minute) for n, row in enumerate(rows, 1))


def realized(*amounts: str) -> Callable[[Any], None]:
    def check(result: Any) -> None:
        assert [D(a) for a in amounts] == [round(p, 8) for p in result.positions["realized_pnl"]]

    return check


def two(result: Any) -> None:
    (position,) = result.positions.itertuples()
    assert position.realized_pnl == D("-8.00")
    assert position.average_close == D("1.00002")


def three(result: Any) -> None:
    sides = [(row.side, row.quantity) for row in result.positions.itertuples()]
    assert sides == [("flat", 0), ("long", 100_000)]


def eight(result: Any) -> None:
    stop = result.orders[result.orders["order_type"] == "stop_market"].iloc[0]
    assert (stop["quantity"], stop["filled_quantity"]) == (5, 0)


def denied(code: str) -> Callable[[Any], None]:
    def check(result: Any) -> None:
        reasons = [reason for reason in result.orders["reason"] if reason]
        assert [reason.split(":")[0] for reason in reasons] == [code]

    return check


def _eleven(strategy: Steps) -> None:
    for _ in range(11):
        strategy.send("market", "buy", 1)


DEALS = [("buy", 12, 100), ("buy", 17, 99), ("sell", 9, 101), ("sell", 4, 105), ("buy", 3, 103)]
JPY_1M = quotes(JPY, (90.002, 90.005, 1e6, 1e6), (90.002, 90.006, 1e6, 1e6))
FLAT_BAR = (1500.0, 1500.0, 1500.0, 1500.0)

CASES: dict[str, Case] = {
    "1": Case(
        PAIR,
        (send("market", "buy", 150_000), send("limit", "sell", 150_000, "1.00011")),
        quotes(PAIR, (1.0, 1.00001), (1.0, 1.00001), (1.00011, 1.00012)),
        [(150_000, "1.00001"), (150_000, "1.00011")],
        ["filled", "filled"],
        # 3 for the taker, nothing for the maker.
        {"fee_model": wb.MakerTakerFeeModel(maker=0, taker=D(3) / (150_000 * D("1.00001")))},
        more=realized("12.00"),
    ),
    "2": Case(
        PAIR,
        (send("market", "sell", 100_000), *[send("market", "buy", 50_000)] * 2),
        quotes(PAIR, (1.0, 1.00001), (1.0, 1.00001), (1.00002, 1.00003)),
        [(100_000, "1.00000"), (50_000, "1.00001"), (50_000, "1.00003")],
        ["filled"] * 3,
        {"fee_model": wb.FixedFeeModel(commission="2 USD")},
        more=two,
    ),
    "3": Case(
        PAIR,
        (send("market", "sell", 100_000), send("market", "buy", 200_000)),
        quotes(PAIR, (1.0, 1.00001), (1.0, 1.00001)),
        [(100_000, "1.00000"), (200_000, "1.00001")],
        ["filled"] * 2,
        more=three,
    ),
    "4": Case(
        CENT,
        (send("market", "buy", "1.5"),),
        quotes(CENT, (1009.0, 1010.0, 5.0, 0.5)),
        [("0.5", "1010.00"), ("1.0", "1010.01")],
        ["filled"],
    ),
    "5": Case(
        JPY,
        (send("limit", "buy", 1_000_000, "90.000"),),
        quotes(
            JPY, (90.002, 90.005, 1e6, 1e6), (89.999, 90.0, 1e6, 1e5), (89.998, 89.999, 1e6, 1e5)
        ),
        [(100_000, "90.000"), (900_000, "90.000")],
        ["filled"],
    ),
    "6 ioc": Case(
        JPY,
        (send("market", "buy", 2_000_000, time_in_force="ioc"),),
        JPY_1M,
        [(1_000_000, "90.005")],
        ["canceled"],
        {"starting_balances": "1_000_000_000 JPY"},
    ),
    "6 fok": Case(
        JPY,
        (send("market", "buy", 2_000_000, time_in_force="fok"),),
        JPY_1M,
        [],
        ["canceled"],
        {"starting_balances": "1_000_000_000 JPY"},
    ),
    "6 market to limit": Case(
        JPY,
        (send("market_to_limit", "buy", 2_000_000),),
        JPY_1M,
        [(1_000_000, "90.005")],
        ["partially_filled"],
        {"starting_balances": "1_000_000_000 JPY"},
        more=lambda result: _rests_at(result, "90.005"),
    ),
    "7 move": Case(
        GOLD,
        (send("stop_market", "sell", 1, 1490),),
        bars(GOLD, FLAT_BAR, (1500.0, 1510.0, 1480.0, 1495.0)),
        [(1, "1490")],
        ["filled"],
    ),
    "7 gap": Case(
        JPY,
        (send("stop_market", "buy", 1, "90.015"),),
        bars(JPY, (90.0, 90.0, 90.0, 90.0), (90.025, 90.03, 90.02, 90.025)),
        [(1, "90.025")],
        ["filled"],
    ),
    "8": Case(
        PAIR,
        (bracket("buy", 10, stop_loss="0.90000", take_profit="1.20000"),),
        quotes(PAIR, (1.0, 1.1), (1.2, 1.3, 5.0, 5.0)),
        [(10, "1.1"), (5, "1.2")],
        ["filled", "accepted", "partially_filled"],
        more=eight,
    ),
    "9 cash": Case(
        PAIR,
        (send("market", "buy", 10_100_000),),
        quotes(PAIR, (0.99999, 1.0)),
        [],
        ["denied"],
        {"account_type": "cash"},
        more=denied("INSUFFICIENT_FUNDS"),
    ),
    "9 rate": Case(
        PAIR,
        (_eleven,),
        quotes(PAIR, (1.0, 1.1)),
        [(1, "1.1")] * 10,
        [*["filled"] * 10, "denied"],
        limits=wb.RiskLimits(orders=10),
        more=denied("RATE_LIMIT_EXCEEDED"),
    ),
    **{
        f"10 after {count}": Case(
            SHARE,
            tuple(send("market", side, quantity) for side, quantity, _ in DEALS[:count]),
            quotes(SHARE, *((float(price), float(price)) for _, _, price in DEALS)),
            [(quantity, str(price)) for _, quantity, price in DEALS[:count]],
            ["filled"] * count,
            {"fee_model": wb.MakerTakerFeeModel(maker="0.0001", taker="0.0001")},
            more=realized(amount),
        )
        for count, amount in enumerate(
            ("-0.2883", "13.89666207", "36.19948966", "36.16858966"), start=2
        )
    },
}


def _rests_at(result: Any, price: str) -> None:
    order = result.orders.iloc[0]
    assert (order["price"], order["filled_quantity"]) == (D(price), 1_000_000)

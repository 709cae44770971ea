"""What is shown of the things a person meets: a line as text, a small table in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

import workbench as wb
from workbench.model import display
from workbench.model.enums import OrderSide, OrderStatus, OrderType
from workbench.model.events import OrderDenied
from workbench.model.identifiers import InstrumentId
from workbench.runtime.channels import Channels
from workbench.runtime.eventlog import EventLog, Record, RecordKind

PAIR = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01", quantity_increment="0.001")
EVIL = "<script>alert('x')</script>"


class Trader(wb.Strategy):
    size: float = 1
    label: str = ""
    table: list[int] = []  # noqa: RUF012  # a parameter's default, copied for each run

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_bars("1-minute-last")

    def on_bar(self, bar: wb.Bar) -> None:
        self.count += 1
        if self.count % 20 == 0:
            side = "buy" if self.position() is None else "sell"
            self.submit_order(self.orders.market(bar.instrument_id, side, self.size))
        if self.count == 30:
            self.submit_order(
                self.orders.limit(bar.instrument_id, "buy", self.size, 1, tags=(EVIL,))
            )
        if self.count == 31:
            self.submit_order(self.orders.limit(bar.instrument_id, "buy", self.size, 1.001))


@pytest.fixture(scope="module")
def trader() -> Trader:
    return Trader(label=EVIL, table=list(range(10_000)))


@pytest.fixture(scope="module")
def result(trader: Trader) -> wb.BacktestResult:
    venue = wb.SimulatedVenue(taker_fee="0.0002")
    return wb.backtest(trader, wb.sample_bars(70, seed=3), instrument=PAIR, venue=venue)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.styles: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.styles += [value or "" for name, value in attrs if name == "style"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def shown_things(trader: Trader) -> Iterator[Any]:
    cache = trader.cache
    yield from cache.orders()
    yield from cache.positions()
    yield from cache.accounts()
    yield PAIR
    yield from trader.core.log
    yield trader.core.log
    channels = trader.core.dispatcher.channels
    yield channels
    yield from channels
    yield from channels.statistics()
    yield trader.core.lanes
    yield Channels.timed(lambda: 0)


def test_values_fit_on_a_line_and_are_small_tables_without_colours_or_foreign_code(
    trader: Trader, result: wb.BacktestResult
) -> None:
    things = list(shown_things(trader))
    assert len(things) > 30
    for thing in things:
        text, html = repr(thing), thing._repr_html_()
        assert len(text) <= display.LINE, text
        assert "\n" not in text
        assert "<script>" not in html
        assert len(html) < 10_000
        reader = read(html)
        assert "table" in reader.tags
        assert not any("color" in style.replace("currentColor", "") for style in reader.styles)


def test_an_order_says_what_it_asks_for_and_what_became_of_it(
    trader: Trader, result: wb.BacktestResult
) -> None:
    filled, limit, denied = trader.cache.orders()[:3]
    price = display.shown(filled.average_price)
    start = f"<Order {filled.client_order_id} buy 1 BTC/USDT.SIM market"
    assert repr(filled) == f"{start}: filled 1 at {price}>"
    assert repr(limit).endswith("buy 1 BTC/USDT.SIM limit 1: accepted>")
    assert "&lt;script&gt;" in limit._repr_html_()
    assert denied.status is OrderStatus.DENIED
    assert display.fitted(denied.reason, 300).split("(")[0] in denied._repr_html_()


def test_a_position_says_what_it_holds_and_what_it_has_realized(
    trader: Trader, result: wb.BacktestResult
) -> None:
    closed, held = trader.cache.positions()
    assert " flat BTC/USDT.SIM; realized " in repr(closed)
    assert f" long 1 BTC/USDT.SIM at {display.shown(held.average_open)};" in repr(held)
    assert "closed" in closed._repr_html_()
    assert "closed" not in held._repr_html_()


def test_a_strategy_with_huge_parameters_is_shown_short(
    trader: Trader, result: wb.BacktestResult
) -> None:
    assert len(repr(trader)) < 150
    assert len(trader._repr_html_()) < 1_500
    assert "<script>" not in trader._repr_html_()
    read(trader._repr_html_())
    assert trader.parameters["table"] == list(range(10_000))


def test_a_result_fits_on_a_screen_however_many_strategies_it_had() -> None:
    many = wb.backtest(
        [Trader(label="x" * 50) for _ in range(30)], wb.sample_bars(50), instrument=PAIR
    )
    assert len(repr(many).splitlines()) < 25
    assert max(map(len, repr(many).splitlines())) < 400
    assert "<table>" in many._repr_html_()


def test_a_node_with_much_left_open_shows_the_first_and_counts_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = [f"order {n} {EVIL}" for n in range(500)]
    monkeypatch.setattr(wb.TradingNode, "left_open", property(lambda _: left))
    html = wb.TradingNode()._repr_html_()
    assert html.count("left open") == 11
    assert "and 490 more" in html
    assert "<script>" not in html
    read(html)


def test_settings_show_what_differs_from_the_defaults() -> None:
    assert repr(wb.TradingNodeConfig()) == "TradingNodeConfig()"
    limits = wb.RiskLimits(max_open_orders=3)
    assert repr(limits) == "RiskLimits(max_open_orders=3)"
    assert repr(wb.TradingNodeConfig(limits=limits)) == f"TradingNodeConfig(limits={limits!r})"


def test_a_finer_step_than_money_has_digits_is_shown() -> None:
    fine = wb.CurrencyPair.define("SHIB/USDT.SIM", price_increment="0.0000000001")
    assert "0.0000000001" in repr(fine) or "1E-10" in repr(fine)
    assert str(fine.price_increment) in fine._repr_html_()


def test_an_event_log_counts_by_kind_and_shows_its_newest_records() -> None:
    log = EventLog(limit=20)
    for number in range(30):
        log.add(number, RecordKind.STALL, f"{number} {EVIL}")
    assert repr(log) == "<EventLog: 20 stall; 10 older ones dropped>"
    assert repr(EventLog()) == "<EventLog: empty>"
    html = log._repr_html_()
    assert "<td style='text-align:left'>29</td>" in html
    assert "<td style='text-align:left'>19</td>" not in html
    assert "<script>" not in html


def test_a_command_tells_what_it_carries_in_the_same_way(
    trader: Trader, result: wb.BacktestResult
) -> None:
    command = trader.core.log.records([RecordKind.COMMAND])[0].message
    text = display.told(command)
    assert ", order=OrderInitialized(strategy_id=Trader-001, " in text
    assert "None" not in text
    assert "ts_init" not in text


def test_a_message_is_told_by_the_fields_that_say_something() -> None:
    event = OrderDenied(
        strategy_id="S-001",
        instrument_id=InstrumentId("A.B"),
        client_order_id="O-1",
        code="RATE",
        reason="too many",
        ts_event=1,
        ts_init=2,
    )
    assert display.told(event).startswith("OrderDenied(strategy_id=S-001, instrument_id=A.B,")
    assert "ts_" not in display.told(event)
    assert repr(Record(7, RecordKind.EVENT, event)).startswith("<7 event: OrderDenied(")
    assert display.told("anything") == "'anything'"


@pytest.mark.parametrize("status", OrderStatus)
@pytest.mark.parametrize("kind", OrderType)
def test_every_kind_of_order_in_every_state_fits_on_a_line(
    trader: Trader, result: wb.BacktestResult, status: OrderStatus, kind: OrderType
) -> None:
    order = msgspec.structs.replace(
        trader.cache.orders()[0],
        client_order_id="O-260105090000000-001-12-123456789",
        instrument_id=InstrumentId("BTC/USDT-PERPETUAL-20261225.EXCHANGE"),
        side=OrderSide.SELL,
        order_type=kind,
        status=status,
        price=Decimal("123456.789012345678"),
        trigger_price=Decimal("1E+3"),
        average_price=Decimal(1) / 3,
    )
    assert len(repr(order)) <= display.LINE
    assert read(order._repr_html_()).tags.count("tr") >= 6


def test_a_text_is_shortened_in_its_middle_to_the_very_limit() -> None:
    for limit in (3, 9, 10, 100):
        assert len(display.fitted("x" * 1000, limit)) == limit
    assert display.fitted("a\n b", 10) == "a b"
    assert display.fitted("x" * 10, 10) == "x" * 10


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_an_amount_that_is_no_number_is_shown_as_it_is(value: str) -> None:
    assert display.shown(Decimal(value)) == value


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0 ns"), (None, ""), (999, "999 ns"), (1_000, "1 µs"), (7_200_000_000_000, "7,200 s")],
)
def test_lengths_of_time_take_the_unit_that_suits_them(ns: int | None, text: str) -> None:
    assert display.duration(ns) == text

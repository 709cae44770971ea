"""What a backtest gives back: frames, summary, texts."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ElementTree
from decimal import Decimal
from io import StringIO
from typing import Any

import pandas as pd
import pytest

import workbench as wb
from workbench.node import frames

PAIR = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01", taker_fee="0.000123")
DATA = wb.sample_quotes(200)
AMOUNTS = {
    "orders": ["quantity", "filled_quantity", "average_price", "commission"],
    "order_events": ["quantity", "price", "trigger_price"],
    "fills": ["quantity", "price", "commission"],
    "positions": ["quantity", "peak_quantity", "average_open", "realized_pnl", "commission"],
    "account": ["total", "locked", "free"],
}
COLUMNS = {
    "orders": frames.ORDER_COLUMNS,
    "order_events": frames.ORDER_EVENT_COLUMNS,
    "fills": frames.FILL_COLUMNS,
    "positions": frames.POSITION_COLUMNS,
    "account": frames.ACCOUNT_COLUMNS,
}
TIMES = {
    "orders": ["created", "updated", "expires"],
    "order_events": ["time"],
    "fills": ["time"],
    "positions": ["opened", "closed"],
    "account": ["time"],
}


class Flipper(wb.Strategy):
    """Buys, flips short and back every few quotes, and leaves a limit order behind."""

    label: str = "plain"
    size: Decimal = Decimal(7)

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_quotes()

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        if self.count == 1:
            self.submit_order(self.orders.limit(quote.instrument_id, "buy", 1, "1.5"))
        if self.count % 10 == 0:
            side = "buy" if self.count % 20 else "sell"
            size = self.size if self.count == 10 else 2 * self.size
            self.submit_order(self.orders.market(quote.instrument_id, side, size))


@pytest.fixture(scope="module")
def result() -> wb.BacktestResult:
    return wb.backtest(Flipper(), DATA, instrument=PAIR)


@pytest.fixture(scope="module")
def nothing() -> wb.BacktestResult:
    """A run without orders."""
    return wb.backtest(wb.Actor(), DATA, instrument=PAIR)


@pytest.mark.parametrize("name", COLUMNS)
def test_frames_have_their_columns_amounts_are_exact_and_times_zoned(
    result: wb.BacktestResult, name: str
) -> None:
    frame: pd.DataFrame = getattr(result, name)
    assert tuple(frame.columns) == COLUMNS[name]
    assert list(frame.index) == list(range(len(frame)))
    assert len(frame) > 10
    for column in AMOUNTS[name]:
        assert {type(value) for value in frame[column]} <= {Decimal, type(None)}
    for column in TIMES[name]:
        assert str(frame[column].dtype) == "datetime64[ns, UTC]"
    assert getattr(result, name) is frame


@pytest.mark.parametrize("name", COLUMNS)
def test_a_run_without_orders_has_the_same_columns_and_dtypes(
    result: wb.BacktestResult, nothing: wb.BacktestResult, name: str
) -> None:
    full, empty = getattr(result, name), getattr(nothing, name)
    assert list(empty.columns) == list(full.columns)
    assert list(empty.dtypes) == list(full.dtypes)
    assert len(empty) == (1 if name == "account" else 0)


def test_a_run_without_orders_can_be_looked_at(nothing: wb.BacktestResult) -> None:
    assert nothing.balances == {"USD": Decimal(1_000_000)}
    assert nothing.summary["total pnl USD"] == 0
    assert nothing.summary["return % USD"] == 0.0
    assert "orders                   0\n" in repr(nothing)
    assert "<svg" in nothing._repr_html_()


def test_amounts_add_up_to_the_last_digit(result: wb.BacktestResult) -> None:
    fills, positions, summary = result.fills, result.positions, result.summary
    assert len(fills) > 20  # some orders took what two quotes offered
    for fill in fills.itertuples():
        assert fill.commission == fill.quantity * fill.price * Decimal("0.000123")
    charged = sum(fills["commission"])
    assert summary["commissions USD"] == charged == sum(positions["commission"])
    assert summary["realized pnl USD"] == sum(positions["realized_pnl"])
    assert result.balances["USD"] == 1_000_000 + summary["realized pnl USD"]
    assert result.account["total"].iloc[-1] == result.balances["USD"]
    total = summary["realized pnl USD"] + summary["unrealized pnl USD"]
    assert summary["total pnl USD"] == total
    assert summary["return % USD"] == pytest.approx(float(total) / 10_000, rel=1e-12)


def test_an_open_position_has_no_closing_time_and_a_signed_quantity(
    result: wb.BacktestResult,
) -> None:
    positions = result.positions
    assert result.summary["positions open"] == 1
    assert list(positions["closed"].isna()) == [False] * (len(positions) - 1) + [True]
    assert positions["quantity"].iloc[-1] == -7
    assert positions["side"].iloc[-1] == "short"
    assert set(positions["quantity"].iloc[:-1]) == {Decimal(0)}


def test_an_order_that_waits_is_in_the_frame_with_its_price(result: wb.BacktestResult) -> None:
    first = result.orders.iloc[0]
    assert (first["status"], first["price"], first["order_type"]) == (
        "accepted",
        Decimal("1.5"),
        "limit",
    )
    assert first["average_price"] is None


@pytest.mark.parametrize("name", COLUMNS)
def test_amounts_survive_a_csv_file_to_the_last_digit(result: wb.BacktestResult, name: str) -> None:
    frame: pd.DataFrame = getattr(result, name)
    text = frame.to_csv(index=False)
    back = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)
    for column in AMOUNTS[name]:
        held = ["" if value is None else value for value in frame[column]]
        assert [text and Decimal(text) for text in back[column]] == held
    for column in TIMES[name]:
        assert list(pd.to_datetime(back[column], utc=True)) == list(frame[column])


def test_a_time_of_zero_is_a_time_and_not_missing() -> None:
    messages = [wb.Quote(PAIR.id, 1.0, 1.5, 99.0, 99.0, t, t) for t in range(30)]
    result = wb.backtest(Flipper(), messages, instrument=PAIR)
    assert result.orders["created"].iloc[0] == pd.Timestamp(0, tz="UTC")
    assert not result.orders["created"].isna().any()
    assert result.equity.index[0] == pd.Timestamp(0, tz="UTC")


def test_nanoseconds_are_kept() -> None:
    base = 1_700_000_000_123_456_789
    messages = [wb.Quote(PAIR.id, 1.0, 1.5, 99.0, 99.0, base + t, base + t) for t in range(30)]
    result = wb.backtest(Flipper(), messages, instrument=PAIR)
    assert [time.value - base for time in result.fills["time"]] == [0, 9, 19, 29]
    assert result.summary["start"] == "2023-11-14T22:13:20.123456789Z"


def test_the_summary_says_what_ran_and_what_came_of_it(result: wb.BacktestResult) -> None:
    assert list(result.summary.index) == [
        "strategies",
        "start",
        "end",
        "events",
        "complete",
        "orders",
        "orders denied",
        "fills",
        "positions",
        "positions open",
        "balance USD",
        "realized pnl USD",
        "unrealized pnl USD",
        "total pnl USD",
        "return % USD",
        "max drawdown % USD",
        "commissions USD",
    ]
    assert result.summary["strategies"] == "Flipper(label='plain', size=Decimal('7'))"
    assert result.summary[["events", "orders", "fills"]].tolist() == [200, 21, len(result.fills)]
    assert result.summary["complete"] == "yes"
    assert result.is_complete
    assert result.ended == ""
    assert result.seconds > 0


def test_a_currency_that_is_only_held_has_a_balance_and_no_profit() -> None:
    venue = wb.SimulatedVenue(account_type="cash", starting_balances=["9_000 USD", "5 EUR"])
    summary = wb.backtest(Flipper(), DATA, instrument=PAIR, venue=venue).summary
    assert summary["balance EUR"] == 5
    assert "total pnl EUR" not in summary
    assert "return % BTC" not in summary


def test_a_summary_without_starting_balance_has_no_return() -> None:
    venue = wb.SimulatedVenue(starting_balances="5 EUR")
    result = wb.backtest(Flipper(), DATA, instrument=PAIR, venue=venue)
    assert "return % USD" not in result.summary
    assert result.summary["balance EUR"] == 5


def test_subscriptions_without_data_are_warnings() -> None:
    class Hopeful(wb.Actor):
        def on_start(self) -> None:
            self.subscribe_bars("1-minute-last")

    result = wb.backtest(Hopeful(), DATA, instrument=PAIR)
    (warning,) = result.warnings
    assert "Hopeful-001 subscribed to bars" in warning
    assert f"warning: {warning}" in repr(result)
    assert html.escape(warning) in result._repr_html_()


def test_text_from_users_is_escaped_in_html() -> None:
    sneaky = "<script>alert('&')</script>"
    shown = wb.backtest(Flipper(label=sneaky), DATA, instrument=PAIR)._repr_html_()
    assert "<script>" not in shown
    assert html.escape(sneaky)[:20] in shown


def test_html_is_well_formed_and_draws_the_equity_of_each_currency() -> None:
    venue = wb.SimulatedVenue(account_type="cash", starting_balances=["9_000 USD", "20 BTC"])
    result = wb.backtest(Flipper(), DATA, instrument=PAIR, venue=venue)
    tree = ElementTree.fromstring(result._repr_html_())
    captions = [caption.text or "" for caption in tree.iter("figcaption")]
    assert [caption.split(":")[0] for caption in captions] == ["equity, USD", "equity, BTC"]
    low, high = result.equity["BTC"].min(), result.equity["BTC"].max()
    assert f"{low:,.2f} to {high:,.2f}" in captions[1]
    for line in tree.iter("polyline"):
        points = [tuple(map(float, p.split(","))) for p in line.attrib["points"].split()]
        assert points == sorted(points, key=lambda point: point[0])
        assert points[0][0] == 0.0
        assert points[-1][0] == 640.0
        heights = [y for _, y in points]
        assert (min(heights), max(heights)) == (4.0, 116.0)


def test_very_many_points_make_a_small_picture_that_still_shows_the_extremes() -> None:
    data = wb.sample_quotes(50_000)
    result = wb.backtest(Flipper(), data, instrument=PAIR, progress=False)
    shown = result._repr_html_()
    assert len(shown) < 60_000
    heights = [float(y) for y in re.findall(r"\d,([\d.]+)", shown.split("points=")[1])]
    assert (min(heights), max(heights)) == (4.0, 116.0)


def test_huge_texts_are_shown_shortened_on_one_line() -> None:
    class Wordy(wb.Actor):
        text: str = ""

        def on_start(self) -> None:
            raise RuntimeError("line\n" * 5000)

    result = wb.backtest(Wordy(text="x" * 1_000_000), DATA, instrument=PAIR, raise_exception=False)
    assert len(repr(result)) < 3_000
    assert len(repr(result).splitlines()) == 18
    assert len(result._repr_html_()) < 10_000


def test_many_warnings_are_counted_and_the_first_ones_shown(result: wb.BacktestResult) -> None:
    many = wb.backtest(wb.Actor(), DATA, instrument=PAIR)
    many.warnings = [f"trouble {n}" for n in range(5000)]
    shown = repr(many)
    assert shown.count("warning:") == 11
    assert shown.endswith("and 4,990 more: see `warnings`")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("-0.000000001", "0"),
        ("0E-28", "0"),
        ("1234567.500", "1,234,567.5"),
        ("1E+6", "1,000,000"),
        ("123456789012345678901234567", "123,456,789,012,345,678,901,234,567"),
    ],
)
def test_amounts_are_shown_without_exponent_or_minus_zero(amount: str, shown: str) -> None:
    venue = wb.SimulatedVenue(starting_balances="1 USD")
    result = wb.backtest(wb.Actor(), DATA, instrument=PAIR, venue=venue)
    result.balances["USD"] = Decimal(amount)
    line = next(line for line in repr(result).splitlines() if line.startswith("balance"))
    assert line.split()[-1] == shown


def test_samples_are_seeded_and_refuse_nonsense() -> None:
    for make in (wb.sample_bars, wb.sample_quotes):
        assert make(50).equals(make(50))
        assert not make(50).equals(make(50, seed=2))
        wrong: list[dict[str, Any]] = [{"count": 0}, {"start_price": -1.0}]
        for keywords in wrong:
            with pytest.raises(wb.ConfigError, match="must be positive; got"):
                make(**keywords)


def test_denied_orders_are_counted_and_the_first_of_each_kind_is_explained() -> None:
    class Careless(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_quotes()

        def on_quote(self, quote: wb.Quote) -> None:
            off_grid = quote.bid + 0.000_004
            self.submit_order(self.orders.limit(quote.instrument_id, "buy", 1, off_grid))
            self.submit_order(self.orders.market(quote.instrument_id, "buy", "0.5"))

    pair = wb.CurrencyPair.define("AUD/USD.SIM")
    quotes = [wb.Quote(pair.id, 0.75, 0.75001, 1e6, 1e6, t, t) for t in (10**18, 10**18 + 1)]
    result = wb.backtest(Careless(), quotes, instrument=pair)
    assert result.summary["orders denied"] == 4
    assert [w.partition(";")[0] for w in result.warnings] == ["2 orders were denied"] * 2
    assert "not a multiple of 0.00001" in result.warnings[0]
    assert "not a multiple of 1" in result.warnings[1]
    assert "2 orders were denied" in repr(result)
    once = wb.backtest(Careless(), quotes[:1], instrument=pair)
    assert [w.partition(";")[0] for w in once.warnings] == ["1 order was denied"] * 2


def test_positions_beyond_the_account_are_warned_of_where_no_margin_is_held() -> None:
    class Bold(wb.Strategy):
        size: int

        def on_start(self) -> None:
            self.subscribe_quotes()

        def on_quote(self, quote: wb.Quote) -> None:
            if self.position() is None:
                self.submit_order(self.orders.market(quote.instrument_id, "buy", self.size))

    pair = wb.CurrencyPair.define("AUD/USD.SIM")
    quotes = [wb.Quote(pair.id, 0.75, 0.75001, 1e9, 1e9, t, t) for t in (10**18, 10**18 + 1)]
    venue = wb.SimulatedVenue(starting_balances="1000 USD")
    assert wb.backtest(Bold(size=1_000), quotes, instrument=pair, venue=venue).warnings == []
    (warning,) = wb.backtest(Bold(size=10_000), quotes, instrument=pair, venue=venue).warnings
    assert "reached 7,500.10 USD with 1,000.00 USD in the account" in warning
    held = wb.CurrencyPair.define("AUD/USD.SIM", margin_init=1)
    result = wb.backtest(Bold(size=10_000), quotes, instrument=held, venue=venue)
    assert len(result.fills) == 0
    assert "INSUFFICIENT_FUNDS" in result.warnings[0] or "needs 7500" in result.warnings[0]

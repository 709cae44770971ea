"""What users get wrong: each mistake is refused at the door, and says how to put it right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from tests.waiting import GUARD_S

PAIR = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01", quantity_increment="0.1")
BARS = wb.sample_bars(60)
QUOTES = wb.sample_quotes(60)
ATTEMPTS = [
    pytest.param(
        lambda strategy, data: wb.backtest(strategy, data, instrument=PAIR), id="backtest"
    ),
    pytest.param(
        lambda strategy, data: wb.sandbox(strategy, data=data, instrument=PAIR), id="node"
    ),
]
Attempt = Callable[[Any, Any], Any]


def with_value(frame: pd.DataFrame, column: str, row: int, value: Any) -> pd.DataFrame:
    frame = frame.astype({column: object})
    frame.iloc[row, frame.columns.get_loc(column)] = value
    return frame


# Data

BAD_DATA = {
    "times that go back": (
        BARS.iloc[::-1],
        r"row 1 \(2026-01-05T00:59:00Z\): time goes back.*sort the data by time first",
    ),
    "one row out of place": (
        pd.concat([QUOTES.iloc[:9], QUOTES.iloc[5:]]),
        r"row 9 .*time goes back.*sort the data",
    ),
    "two bars of one time": (
        pd.concat([BARS.iloc[:9], BARS.iloc[8:]]),
        r"row 9 \(2026-01-05T00:09:00Z\)",
    ),
    "a price that is not a number": (
        BARS.assign(close=BARS["close"].where(BARS.index != BARS.index[7])),
        r"row 7 \(2026-01-05T00:08:00Z\): close is nan; a price must be.*fill or drop those rows",
    ),
    "an infinite price": (
        with_value(BARS, "high", 3, np.inf).astype(float),
        r"row 3 .*: high is inf; a price must be a positive, finite number",
    ),
    "a negative price": (
        with_value(QUOTES, "bid", 7, -1.0).astype(float),
        r"row 7 .*: bid is -1.0; a price must be a positive, finite number",
    ),
    "a bid above its ask": (
        with_value(QUOTES, "bid", 7, 1e6).astype(float),
        r"row 7 .*bid",
    ),
    "a close above the high": (
        with_value(BARS, "close", 4, 1e6).astype(float),
        r"row 4 .*close",
    ),
    "text among the prices": (
        with_value(BARS, "close", 7, "abc"),
        r"row 7 .*: close is 'abc', not a number; mend the value, or name another column",
    ),
    "a column of flags": (
        BARS.assign(close=True),
        r"column 'close' must hold numbers; it is bool",
    ),
    "a column of dates": (
        BARS.assign(close=BARS.index),
        r"column 'close' must hold numbers; it is datetime64",
    ),
    "a missing column": (
        BARS.drop(columns="close"),
        r"columns 'time', 'open', 'high', 'low', 'volume' are neither quotes.*columns=",
    ),
    "no time at all": (
        BARS.reset_index(drop=True),
        r"time",
    ),
    "an index without a zone": (
        BARS.tz_localize(None),
        r"the times in column 'time' have no time zone; pass tz='UTC'",
    ),
    "no rows": (BARS.iloc[:0], r"no rows; at least one row of data is needed"),
    "an empty list": ([], r"no data; pass at least one source or dataset"),
    "nothing": (None, r"cannot read market data from NoneType; pass a pandas"),
    "a number": (7, r"cannot read market data from int; pass a pandas"),
    "a file that is not there": (
        "missing/bars.csv",
        r"missing/bars.csv: no such file \(looked for",
    ),
    "a list of other things": ([1, 2, 3], r"cannot read market data from int"),
    "data of an instrument nobody defined": (
        {"ETH/USD.SIM": QUOTES},
        r"no definition of ETH/USD.SIM; defined are BTC/USD.SIM. Pass it with instrument=",
    ),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("mistake", BAD_DATA)
def test_bad_data_is_refused_with_where_it_is_and_what_to_do(
    attempt: Attempt, mistake: str
) -> None:
    data, message = BAD_DATA[mistake]
    before = len(wb.nodes())
    with pytest.raises((wb.DataError, wb.InstrumentError), match=message) as raised:
        attempt(wb.Actor(), data)
    assert "\n" not in str(raised.value)
    assert len(wb.nodes()) <= before  # earlier nodes may be collected meanwhile


def test_wb_bars_refuses_the_same_before_there_is_a_backtest() -> None:
    for mistake in ("times that go back", "a negative price", "no rows"):
        data, message = BAD_DATA[mistake]
        load = wb.quotes if "bid" in getattr(data, "columns", ()) else wb.bars
        with pytest.raises(wb.DataError, match=message):
            load(data, PAIR)


def test_a_broken_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"this is no parquet")
    with pytest.raises(wb.DataError, match=r"broken.parquet"):
        wb.backtest(wb.Actor(), path, instrument=PAIR)


def test_a_refused_frame_is_left_as_it_was() -> None:
    frame = BARS.iloc[::-1]
    copy = frame.copy()
    with pytest.raises(wb.DataError):
        wb.backtest(wb.Actor(), frame, instrument=PAIR)
    pd.testing.assert_frame_equal(frame, copy)


@pytest.mark.parametrize(
    ("period", "message"),
    [
        ({"start": "yesterday"}, r"start must be nanoseconds, ISO 8601 text.*got 'yesterday'"),
        ({"end": BARS.index[3].tz_localize(None).to_pydatetime()}, r"end .* has no time zone"),
        ({"start": "2030-01-01"}, r"no data from 2030-01-01T00:00:00Z.*there is <bars BTC/USD.SIM"),
        ({"start": "2026-01-06", "end": "2026-01-05"}, r"no data from 2026-01-06"),
    ],
    ids=["text", "no zone", "after all data", "end before start"],
)
def test_a_period_without_data_says_what_data_there_is(
    period: dict[str, Any], message: str
) -> None:
    with pytest.raises(wb.DataError, match=message):
        wb.backtest(wb.Actor(), BARS, instrument=PAIR, **period)


# Arguments


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (wb.Strategy, r"pass an object, Strategy\(...\), not the class"),
        ("EmaCross", r"a strategy is a wb.Strategy or wb.Actor; got 'EmaCross'"),
        (None, r"a strategy is a wb.Strategy or wb.Actor; got None"),
        ([], r"pass at least one strategy"),
        ([wb.Actor(), wb.Strategy], r"pass an object, Strategy\(...\)"),
        ([wb.Actor()] * 2, r"passed twice; make another for a second one"),
    ],
    ids=["class", "name", "None", "none", "class in a list", "twice"],
)
def test_what_is_no_strategy_object_is_refused(
    attempt: Attempt, strategy: Any, message: str
) -> None:
    before = len(wb.nodes())
    with pytest.raises(wb.ConfigError, match=message):
        attempt(strategy, BARS)
    assert len(wb.nodes()) <= before  # earlier nodes may be collected meanwhile


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"instrument": "BTC/USD.SIM"}, r"instrument is a definition.*got 'BTC/USD.SIM'"),
        ({"instrument": None}, r"instrument is a definition.*got None"),
        ({"instrument": []}, r"pass at least one instrument"),
        ({"instrument": [PAIR, PAIR]}, r"each instrument is passed once"),
        (
            {"venue": wb.SimulatedVenue(name="BINANCE")},
            r"venue BINANCE has no instrument; the instruments are of: SIM",
        ),
        (
            {"venue": wb.SimulatedVenue(name="BINANCE", starting_balances="1 USD")},
            r"no simulated venue for SIM.*there is BINANCE. Pass one SimulatedVenue for each",
        ),
        (
            {"venue": [wb.SimulatedVenue(name=n, starting_balances="1 USD") for n in ("SIM", "X")]},
            r"for X, of which there is no instrument",
        ),
        ({"venue": [wb.SimulatedVenue(name="SIM")] * 2}, r"a simulated venue was passed twice"),
        ({"venue": "SIM"}, r"venue is a wb.SimulatedVenue.*got 'SIM'"),
        ({"limits": {"orders": 5}}, r"limits is a wb.RiskLimits"),
        ({"trader_id": "two words"}, r"trader_id must .*got 'two words'"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_refused_with_what_it_should_be(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(wb.ConfigError, match=message):
        wb.backtest(wb.Actor(), BARS, **({"instrument": PAIR} | given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"config": {"trader_id": "X"}}, r"config is a wb.TradingNodeConfig\(...\)"),
        ({"speed": 10}, r"speed= is for history that is replayed"),
        ({"start": 0, "end": 1}, r"start, end= is for history"),
        ({"data": wb.Synthetic(PAIR), "speed": 2}, r"speed= is for history"),
        ({"data": wb.Replay(BARS, PAIR), "speed": 2}, r"wb.Replay\(...\) has its own"),
        ({"data": BARS, "speed": 0}, r"speed must be positive"),
        ({"data": BARS, "on_exhausted": "wait"}, r"on_exhausted must be 'stop' or 'idle'"),
        ({"data": wb.Synthetic}, r"data is an object, such as Synthetic\(...\), not the class"),
    ],
)
def test_a_sandbox_refuses_what_it_would_have_to_ignore(
    given: dict[str, Any], message: str
) -> None:
    before = len(wb.nodes())
    with pytest.raises(wb.ConfigError, match=message):
        wb.sandbox(wb.Actor(), instrument=PAIR, **given)
    assert len(wb.nodes()) <= before  # earlier nodes may be collected meanwhile


def test_an_unknown_field_of_the_configuration_is_named_with_those_there_are() -> None:
    with pytest.raises(wb.ConfigError, match=r"no field 'trader'; it has: trader_id, clock"):
        wb.TradingNodeConfig(trader="ME")  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    "fields", [{"trader_id": ""}, {"clock": "wall"}, {"timeout_connection_s": "5"}]
)
def test_a_configuration_that_cannot_be_is_refused_and_shows_the_value(
    fields: dict[str, Any],
) -> None:
    (value,) = fields.values()
    with pytest.raises(wb.ConfigError, match=repr(value)):
        wb.TradingNodeConfig(**fields)


def test_an_unknown_parameter_of_a_strategy_is_named() -> None:
    class Ours(wb.Strategy):
        fast: int = 10

    with pytest.raises(wb.ConfigError, match=r"Ours has no parameter 'fats'; it has: fast"):
        Ours(fats=3)
    with pytest.raises(wb.ConfigError, match=r"fast='many' does not fit"):
        Ours(fast="many")


# Strategies that ask for what is not there


@pytest.mark.parametrize(
    "wrong",
    [
        lambda s: s.subscribe_quotes("ETH/USD.SIM"),
        lambda s: s.subscribe_bars("ETH/USD.SIM-1-minute-last"),
        lambda s: s.request_trades("ETH/USD.SIM"),
    ],
)
def test_data_of_an_unknown_instrument_is_refused_with_those_known(wrong: Any) -> None:
    class Asking(wb.Strategy):
        def on_start(self) -> None:
            wrong(self)

    with pytest.raises(wb.StrategyError, match=r"no instrument 'ETH/USD.SIM'; known: BTC/USD.SIM"):
        wb.backtest(Asking(), QUOTES, instrument=PAIR)


def test_an_order_of_an_unknown_instrument_is_denied_and_the_run_goes_on() -> None:
    class Asking(wb.Strategy):
        def on_start(self) -> None:
            self.submit_order(self.orders.market("ETH/USD.SIM", "buy", 1))

    result = wb.backtest(Asking(), QUOTES, instrument=PAIR)
    assert result.is_complete
    (order,) = result.orders.itertuples()
    assert (order.status, order.instrument_id) == ("denied", "ETH/USD.SIM")
    assert "ETH/USD.SIM" in order.reason


class OffGrid(wb.Strategy):
    """Sends orders off the grid, and one on it."""

    def on_start(self) -> None:
        self.denials: list[wb.OrderDenied] = []
        self.subscribe_quotes()

    def on_quote(self, quote: wb.Quote) -> None:
        if self.cache.orders():
            return
        orders, name = self.orders, quote.instrument_id
        self.submit_order(orders.limit(name, "buy", 1, 90.005))
        self.submit_order(orders.limit(name, "buy", 1, "90.001"))
        self.submit_order(orders.limit(name, "buy", Decimal("0.15"), 90))
        self.submit_order(orders.limit(name, "buy", 1, 90.01))
        self.submit_order(orders.limit(name, "sell", 1, -5))
        self.submit_order(orders.market(name, "buy", 0))

    def on_order_denied(self, event: wb.OrderDenied) -> None:
        self.denials.append(event)


def test_a_price_off_the_tick_grid_is_denied_and_not_rounded() -> None:
    strategy = OffGrid()
    orders = wb.backtest(strategy, QUOTES, instrument=PAIR).orders
    assert orders["status"].tolist() == ["denied"] * 3 + ["accepted"] + ["denied"] * 2
    assert orders["price"].tolist()[:4] == [
        Decimal("90.005"),
        Decimal("90.001"),
        Decimal(90),
        Decimal("90.01"),
    ]
    reasons = orders["reason"].tolist()
    assert "90.005" in reasons[0]
    assert "0.01" in reasons[0]
    assert "0.15" in reasons[2]
    assert [f"{denial.code}: {denial.reason}" for denial in strategy.denials] == [
        text for text in reasons if text
    ]
    assert len({denial.client_order_id for denial in strategy.denials}) == 5


# Strategies that raise

NAMES = [
    "on_start",
    "on_quote",
    "on_historical_data",
    "on_time_event",
    "on_order_event",
    "on_order_initialized",
    "on_order_denied",
    "on_order_submitted",
    "on_order_accepted",
    "on_order_filled",
    "on_order_canceled",
    "on_order_pending_cancel",
    "on_position_event",
    "on_position_opened",
    "on_position_changed",
    "on_position_closed",
    "on_stop",
]


class MistakeError(Exception):
    pass


class Busy(wb.Strategy):
    """Does a little of everything, so that every callback is called."""

    failing: str

    def __init__(self) -> None:
        name = self.failing
        before = getattr(self, name)

        def failing(*event: Any) -> None:
            before(*event)
            raise MistakeError(f"in {name}")

        failing.__name__ = name
        setattr(self, name, failing)
        self.count = 0

    def on_start(self) -> None:
        self.subscribe_quotes()
        self.request_quotes(limit=5)
        self.clock.set_alert("soon", self.clock.timestamp_ns() + 1)

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        orders, name = self.orders, quote.instrument_id
        if self.count in (5, 10):
            self.submit_order(orders.market(name, "buy", 1))
        if self.count == 15:
            self.close_position()
        if self.count == 20:
            self.submit_order(orders.limit(name, "buy", 1, "1.00"))
            self.submit_order(orders.limit(name, "buy", 1, "1.001"))
        if self.count == 25:
            self.cancel_all_orders()


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_in_any_callback_is_told_with_its_name_and_loses_nothing(name: str) -> None:
    strategy = Busy(failing=name)
    with pytest.raises(
        wb.StrategyError, match=rf"Busy-001 raised MistakeError in {name}\b"
    ) as raised:
        wb.backtest(strategy, QUOTES, instrument=PAIR)
    error = raised.value
    assert (error.strategy_id, error.callback) == ("Busy-001", name)
    assert isinstance(error.__cause__, MistakeError)
    assert (error.event is None) == (name in ("on_start", "on_stop"))
    result = error.result
    assert result.error is error
    assert result.ended == str(error)
    assert strategy.state.value == "FAULTED"
    # Every fill there was is in the frames, in a position and in the balance.
    realized = sum(result.positions["realized_pnl"], Decimal(0))
    assert result.balances == {"USD": 1_000_000 + realized}
    filled = sum(result.orders["filled_quantity"], Decimal(0))
    assert filled == sum(result.fills["quantity"], Decimal(0))
    if name not in ("on_start", "on_historical_data", "on_time_event"):
        assert len(result.equity) == result.events


@pytest.mark.parametrize("name", NAMES)
def test_a_node_whose_strategy_raises_stops_and_can_be_disposed_of(name: str) -> None:
    strategy = Busy(failing=name)
    node = wb.sandbox(strategy, data=QUOTES, instrument=PAIR)
    node.build()
    with pytest.raises(wb.StrategyError, match=rf"Busy-001 raised MistakeError in {name}\b"):
        asyncio.run(node.run_async())
    assert (node.state, node.allowed) == (wb.NodeState.STOPPED, ["dispose"])
    assert isinstance(node.fault, wb.StrategyError)
    filled = sum(node.orders()["filled_quantity"], Decimal(0))
    assert filled == sum(node.fills()["quantity"], Decimal(0))
    node.dispose()
    assert node.state is wb.NodeState.DISPOSED
    # The same object goes on elsewhere.
    with pytest.raises(wb.StrategyError):
        wb.backtest(strategy, QUOTES, instrument=PAIR)


def test_one_strategy_that_raises_does_not_spoil_what_another_did() -> None:
    class Good(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_quotes()
            self.stopped = False

        def on_quote(self, quote: wb.Quote) -> None:
            if self.position() is None:
                self.submit_order(self.orders.market(quote.instrument_id, "buy", 1))

        def on_stop(self) -> None:
            self.stopped = True

    good = Good()
    result = wb.backtest(
        [good, Busy(failing="on_order_filled")], QUOTES, instrument=PAIR, raise_exception=False
    )
    assert isinstance(result.error, wb.StrategyError)
    assert good.stopped
    assert good.state.value == "STOPPED"
    assert set(result.fills["strategy_id"]) == {"Good-001", "Busy-002"}


# Nodes asked for what they cannot do now


def refused(node: wb.TradingNode, what: Callable[[], Any], message: str) -> None:
    state = node.state
    with pytest.raises(wb.LifecycleError, match=message):
        what()
    assert node.state is state


def test_each_step_out_of_turn_is_refused_and_changes_nothing() -> None:
    node = wb.sandbox(wb.Actor(), data=QUOTES, instrument=PAIR, on_exhausted="idle")
    refused(node, node.run, r"cannot run a CREATED node; allowed now: build, dispose")
    refused(node, node.stop, r"cannot stop a CREATED node; allowed now: build, dispose")
    refused(node, lambda: node.core, r"no core yet; call build\(\) first")
    node.build()
    refused(node, node.build, r"cannot build a BUILT node; allowed now: run, dispose")
    refused(node, lambda: node.add_strategy(wb.Actor()), r"cannot add a strategy to a BUILT node")

    async def run() -> None:
        node.run()
        while node.phase.value != "running":
            await asyncio.sleep(0.001)
        refused(node, node.dispose, r"cannot dispose a RUNNING node; allowed now: stop")
        refused(node, node.run, r"cannot run a RUNNING node; allowed now: stop")
        refused(node, node.build, r"cannot build a RUNNING node; allowed now: stop")
        await node.stop_async()
        refused(node, node.run, r"cannot run a STOPPED node; allowed now: dispose")

    asyncio.run(asyncio.wait_for(run(), GUARD_S))
    assert node.fault is None
    node.dispose()
    node.dispose()
    for step, name in ((node.build, "build"), (node.run, "run"), (node.stop, "stop")):
        refused(node, step, rf"cannot {name} a DISPOSED node; allowed now: nothing")


def test_a_strategy_that_runs_elsewhere_is_refused_and_runs_on() -> None:
    strategy = wb.Actor()
    node = wb.sandbox(strategy, data=QUOTES, instrument=PAIR, on_exhausted="idle")
    node.build()

    async def run() -> None:
        node.run()
        while node.phase.value != "running":
            await asyncio.sleep(0.001)
        with pytest.raises(
            wb.LifecycleError,
            match=r"is RUNNING elsewhere, in a node or backtest that runs; stop that first",
        ):
            wb.backtest(strategy, QUOTES, instrument=PAIR)
        assert strategy.is_running
        await node.stop_async()

    asyncio.run(asyncio.wait_for(run(), GUARD_S))
    node.dispose()
    assert wb.backtest(strategy, QUOTES, instrument=PAIR).is_complete

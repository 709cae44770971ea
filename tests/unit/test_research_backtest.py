"""`wb.backtest`: what it takes, what it runs, and what it leaves behind."""

from __future__ import annotations

import asyncio
import decimal
import gc
import signal
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import workbench as wb
from tests.waiting import GUARD_S
from workbench.runtime.eventlog import TRADING_KINDS

BTC = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01", taker_fee="0.0001")
ETH = wb.CurrencyPair.define("ETH/USD.SIM", price_increment="0.01")
EUR = wb.CurrencyPair.define("EUR/USD.FX", price_increment="0.00001")
FRAME = wb.sample_bars(300)


class Crossing(wb.Strategy):
    """Long while the fast average is above the slow one, else flat."""

    bars: str = "1-minute-last"
    fast: int = 5
    slow: int = 20
    size: Decimal = Decimal(3)

    def on_start(self) -> None:
        self.fast_ema, self.slow_ema = wb.EMA(self.fast), wb.EMA(self.slow)
        self.subscribe_bars(self.bars)

    def on_bar(self, bar: wb.Bar) -> None:
        up = self.fast_ema.update(bar.close) > self.slow_ema.update(bar.close)
        if not self.slow_ema.is_ready:
            return
        position = self.position(bar.instrument_id)
        if up and position is None:
            self.submit_order(self.orders.market(bar.instrument_id, "buy", self.size))
        elif not up and position is not None:
            self.close_position(bar.instrument_id)


class Counter(wb.Actor):
    """Counts what it sees of everything there is."""

    def on_start(self) -> None:
        self.seen: list[tuple[str, str]] = []
        for instrument in self.cache.instruments():
            self.subscribe_quotes(instrument.id)
            self.subscribe_trades(instrument.id)

    def on_quote(self, quote: wb.Quote) -> None:
        self.seen.append(("quote", quote.instrument_id))

    def on_trade(self, trade: wb.Trade) -> None:
        self.seen.append(("trade", trade.instrument_id))


def forms_of(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """The same bars in every form a user may have them in."""
    flat = frame.reset_index()
    pq.write_table(pa.Table.from_pandas(flat), folder / "bars.parquet")
    flat.to_csv(folder / "bars.csv", index=False)
    flat.to_csv(folder / "bars.csv.gz", index=False)
    records = flat.assign(time=flat["time"].dt.tz_localize(None)).to_records(index=False)
    dataset = wb.bars(frame, BTC)
    return {
        "frame": frame,
        "frame with a time column": flat,
        "Arrow table": pa.Table.from_pandas(flat),
        "record array": wb.bars(records, tz="UTC"),
        "dict of arrays": {name: flat[name].to_numpy() for name in flat if name != "time"}
        | {"time": frame.index.as_unit("ns").asi8},
        "Parquet path": folder / "bars.parquet",
        "Parquet path as text": str(folder / "bars.parquet"),
        "CSV path": folder / "bars.csv",
        "packed CSV path": folder / "bars.csv.gz",
        "messages": dataset.events(),
        "dataset": dataset,
        "dataset without instrument": wb.bars(frame),
        "mapping by instrument": {BTC: frame},
        "mapping by id": {"BTC/USD.SIM": frame},
        "list": [frame.iloc[:100], dataset.select(start=frame.index[100].to_pydatetime())],
    }


def test_every_form_of_data_gives_the_same_run_byte_for_byte(tmp_path: Path) -> None:
    logs = {
        name: wb.backtest(Crossing(), data, instrument=BTC).log.to_bytes()
        for name, data in forms_of(FRAME, tmp_path).items()
    }
    assert len(logs["frame"]) > 5000
    assert [name for name, log in logs.items() if log != logs["frame"]] == []


def test_a_record_array_with_a_zoned_clock_needs_no_dataset() -> None:
    table = np.rec.fromarrays(
        [FRAME.index.as_unit("ns").asi8, *(FRAME[c].to_numpy() for c in FRAME)],
        names=["time", *FRAME.columns],
    )
    direct = wb.backtest(Crossing(), table, instrument=BTC)
    assert direct.log.to_bytes() == wb.backtest(Crossing(), FRAME, instrument=BTC).log.to_bytes()


def test_several_strategies_have_positions_and_order_ids_of_their_own() -> None:
    slow, quick = Crossing(slow=60), Crossing(fast=3, slow=10, size=1)
    result = wb.backtest([slow, quick], FRAME, instrument=BTC)
    assert result.strategies == [slow, quick]
    alone = [wb.backtest(one, FRAME, instrument=BTC) for one in (slow, quick)]
    for strategy_id, before in zip(("Crossing-001", "Crossing-002"), alone, strict=True):
        mine = result.fills[result.fills["strategy_id"] == strategy_id]
        assert list(mine["price"]) == list(before.fills["price"])
        assert set(mine["quantity"]) == set(before.fills["quantity"])
    assert result.orders["client_order_id"].is_unique
    total = sum(one.balances["USD"] - 1_000_000 for one in alone)
    assert result.balances["USD"] - 1_000_000 == total


def test_several_instruments_kinds_and_venues_run_in_one_timeline() -> None:
    quotes = {i: wb.sample_quotes(40, seed=n) for n, i in enumerate((BTC, ETH, EUR))}
    start = int(quotes[BTC].index.as_unit("ns").asi8[0])
    trade = wb.Trade(ETH.id, 100.0, 1.0, wb.AggressorSide.BUYER, "7", start, start)
    counter = Counter()
    data = [*(wb.quotes(frame, name) for name, frame in quotes.items()), [trade]]
    result = wb.backtest(
        counter,
        data,
        instrument=[BTC, ETH, EUR],
        venue=[
            wb.SimulatedVenue(name="SIM", starting_balances="5_000 USD"),
            wb.SimulatedVenue(name="FX", starting_balances=["7_000 USD", "10 EUR"]),
        ],
    )
    assert result.events == len(counter.seen) == 121
    assert counter.seen[:4] == [
        ("quote", BTC.id),
        ("quote", ETH.id),
        ("quote", EUR.id),
        ("trade", ETH.id),
    ]
    assert result.balances == {"USD": Decimal(12_000), "EUR": Decimal(10)}


def test_venues_default_to_one_margin_account_of_a_million_each() -> None:
    data = {BTC: wb.sample_quotes(5), EUR: wb.sample_quotes(5, start_price=1.0)}
    result = wb.backtest(Counter(), data, instrument=[BTC, EUR])
    accounts = result.account
    assert list(accounts["account_id"]) == ["FX-PAPER", "SIM-PAPER"]
    assert set(accounts["total"]) == {Decimal(1_000_000)}


def test_a_run_between_start_and_end_has_earlier_data_for_requests() -> None:
    class WarmUp(wb.Strategy):
        def on_start(self) -> None:
            self.answers: list[wb.DataResponse] = []
            self.bars: list[wb.Bar] = []
            self.request_bars("1-minute-last", limit=20)
            self.subscribe_bars("1-minute-last")

        def on_historical_data(self, response: wb.DataResponse) -> None:
            self.answers.append(response)
            assert not self.bars

        def on_bar(self, bar: wb.Bar) -> None:
            self.bars.append(bar)

    strategy = WarmUp()
    start, end = FRAME.index[100], FRAME.index[150]
    spelled = [(start.to_pydatetime(), end.to_pydatetime())]
    spelled += [(start.isoformat(), end.isoformat()), (start.value, end.value)]
    for first, last in spelled:
        result = wb.backtest(strategy, FRAME, instrument=BTC, start=first, end=last)
        assert result.events == len(strategy.bars) == 50
        assert strategy.bars[0].ts_init == start.value
        (answer,) = strategy.answers
        # The bar the run begins with comes to `on_bar`; it is not told twice.
        known = [bar.ts_init for bar in answer.data]
        assert known == [t.value for t in FRAME.index[80:100]]


def test_two_runs_are_equal_byte_for_byte() -> None:
    first, second = (wb.backtest(Crossing(), FRAME, instrument=BTC) for _ in range(2))
    assert first.log.to_bytes() == second.log.to_bytes()
    pd.testing.assert_frame_equal(first.fills, second.fills)


def test_a_strategy_object_begins_every_run_as_it_was_made() -> None:
    strategy = Crossing()
    logs = [wb.backtest(strategy, FRAME, instrument=BTC).log.to_bytes() for _ in range(3)]
    assert logs[0] == logs[1] == logs[2]
    other = wb.sample_bars(300, seed=9)
    assert wb.backtest(strategy, other, instrument=BTC).log.to_bytes() != logs[0]
    assert wb.backtest(strategy, FRAME, instrument=BTC).log.to_bytes() == logs[0]


def test_a_replay_of_the_same_object_trades_alike_to_the_byte() -> None:
    strategy = Crossing()
    result = wb.backtest(strategy, FRAME, instrument=BTC)
    node = wb.sandbox(strategy, data=FRAME, instrument=BTC)
    node.build()
    asyncio.run(node.run_async())
    try:
        ours, theirs = result.log, node.core.log
        assert ours.to_bytes(TRADING_KINDS) == theirs.to_bytes(TRADING_KINDS)
        pd.testing.assert_frame_equal(result.orders, node.orders())
    finally:
        node.dispose()


def test_the_trader_is_part_of_order_ids() -> None:
    ours = wb.backtest(Crossing(), FRAME, instrument=BTC).orders["client_order_id"]
    theirs = wb.backtest(Crossing(), FRAME, instrument=BTC, trader_id="ME-002").orders
    assert set(ours).isdisjoint(theirs["client_order_id"])


def test_limits_are_what_risk_enforces() -> None:
    limits = wb.RiskLimits(max_notional={BTC.id: Decimal(10)})
    result = wb.backtest(Crossing(), FRAME, instrument=BTC, limits=limits)
    assert set(result.orders["status"]) == {"denied"}
    assert result.fills.empty


def test_a_backtest_runs_on_any_thread_and_inside_a_running_loop() -> None:
    expected = wb.backtest(Crossing(), FRAME, instrument=BTC).log.to_bytes()
    found: list[bytes] = []

    def run() -> None:
        found.append(wb.backtest(Crossing(), FRAME, instrument=BTC).log.to_bytes())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(GUARD_S)

    async def inside() -> None:
        run()

    asyncio.run(inside())
    assert found == [expected, expected]


def test_a_backtest_in_a_strategys_callback_does_not_disturb_the_outer_one() -> None:
    class Outer(Crossing):
        def on_start(self) -> None:
            super().on_start()
            self.inner = wb.backtest(Crossing(), FRAME, instrument=BTC)

    outer = Outer()
    result = wb.backtest(outer, FRAME, instrument=BTC)
    plain = wb.backtest(Crossing(), FRAME, instrument=BTC)
    assert outer.inner.balances == result.balances == plain.balances


# What a run leaves as it was


class Failing(wb.Strategy):
    at: int = 100

    def on_start(self) -> None:
        self.subscribe_bars("1-minute-last")
        self.count = 0

    def on_bar(self, bar: wb.Bar) -> None:
        self.count += 1
        decimal.getcontext().prec = 9
        if self.count == self.at:
            raise ZeroDivisionError("a mistake")


@pytest.mark.parametrize("strategy", [Crossing(), Failing()], ids=["good", "failing"])
def test_the_callers_decimal_context_is_left_alone_and_does_not_matter(
    strategy: wb.Strategy,
) -> None:
    plain = wb.backtest(strategy, FRAME, instrument=BTC, raise_exception=False)
    venue = wb.SimulatedVenue(starting_balances="1000000.123456789 USD")
    with decimal.localcontext(decimal.Context(prec=3)) as context:
        context.traps[decimal.Inexact] = False
        before = context.copy()
        result = wb.backtest(strategy, FRAME, instrument=BTC, venue=venue, raise_exception=False)
        assert decimal.getcontext() is context
        assert (context.prec, context.rounding) == (before.prec, before.rounding)
        assert result.balances["USD"] == exactly(plain.balances["USD"], "0.123456789")
        free = [exactly(total, "0.123456789") for total in plain.account["free"]]
        assert list(result.account["free"]) == free
        assert result.summary["total pnl USD"] == plain.summary["total pnl USD"]
        shown = exactly(plain.balances["USD"], "0.12345679")
        assert f"balance USD              {shown:,f}"[:36] in repr(result)


def exactly(amount: Decimal, more: str) -> Decimal:
    with decimal.localcontext(prec=28):
        return amount + Decimal(more)


@pytest.mark.parametrize("strategy", [Crossing(), Failing()], ids=["good", "failing"])
def test_signal_handler_and_garbage_collector_are_left_as_they_were(strategy: wb.Strategy) -> None:
    def state() -> tuple[Any, ...]:
        return signal.getsignal(signal.SIGINT), gc.isenabled(), gc.get_threshold()

    def mine(*_: Any) -> None: ...

    before_all = signal.signal(signal.SIGINT, mine)
    gc.disable()
    try:
        before, frozen = state(), gc.get_freeze_count()
        wb.backtest(strategy, FRAME, instrument=BTC, raise_exception=False)
        assert state() == before
        assert before[0] is mine
        # Some Pythons freeze a few hundred objects when they start; those may be thawed.
        assert gc.get_freeze_count() in (0, frozen)
    finally:
        gc.enable()
        signal.signal(signal.SIGINT, before_all)


def test_objects_that_the_program_froze_stay_frozen() -> None:
    made = [[] for _ in range(5000)]
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        wb.backtest(Crossing(), FRAME, instrument=BTC)
        # A frozen object that is dropped counts no longer; a thaw would leave none.
        assert frozen >= gc.get_freeze_count() > frozen - 100 > len(made)
    finally:
        gc.unfreeze()


def test_an_interrupt_handler_that_ignores_stays() -> None:
    class Interrupting(Crossing):
        def on_bar(self, bar: wb.Bar) -> None:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert wb.backtest(Interrupting(), FRAME, instrument=BTC).is_complete
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# When a strategy raises


def test_a_strategys_exception_carries_what_was_computed() -> None:
    with pytest.raises(wb.StrategyError) as raised:
        wb.backtest(Failing(), FRAME, instrument=BTC)
    error = raised.value
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert str(error).startswith("Failing-001 raised ZeroDivisionError in on_bar handling Bar(")
    assert any("`result`" in note for note in error.__notes__)
    result = error.result
    assert (result.events, result.error, result.is_complete) == (100, error, False)
    assert result.ended == str(error)
    assert result.summary["complete"].startswith("no: Failing-001 raised")


def test_a_strategys_exception_can_be_had_in_the_result_instead() -> None:
    strategy = Failing(at=1)
    result = wb.backtest(strategy, FRAME, instrument=BTC, raise_exception=False)
    assert isinstance(result.error, wb.StrategyError)
    assert result.events == 1
    assert result.equity["USD"].tolist() == [1_000_000.0]
    # The object can be used again.
    assert wb.backtest(strategy, FRAME, instrument=BTC, raise_exception=False).events == 1


def test_a_run_whose_last_event_raised_is_not_complete() -> None:
    result = wb.backtest(Failing(at=300), FRAME, instrument=BTC, raise_exception=False)
    assert result.events == len(FRAME)
    assert not result.is_complete


def test_a_strategy_that_raises_in_on_start_has_a_result_without_events() -> None:
    class Broken(wb.Strategy):
        def on_start(self) -> None:
            raise RuntimeError("not today")

    result = wb.backtest(Broken(), FRAME, instrument=BTC, raise_exception=False)
    assert (result.events, result.is_complete) == (0, False)
    assert result.balances == {"USD": Decimal(1_000_000)}
    assert "not today" in repr(result)
    assert "not today" in result._repr_html_()


def test_a_strategy_can_end_the_run() -> None:
    class Quitting(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_bars("1-minute-last")

        def on_bar(self, bar: wb.Bar) -> None:
            if bar.ts_init == FRAME.index[9].value:
                self.shutdown_system("enough")

    result = wb.backtest(Quitting(), FRAME, instrument=BTC)
    assert (result.events, result.ended, result.is_complete) == (10, "enough", False)
    assert result.error is None


def test_an_account_that_ends_below_zero_is_warned_of() -> None:
    class Buys(wb.Strategy):
        def on_start(self) -> None:
            self.subscribe_quotes()

        def on_quote(self, quote: wb.Quote) -> None:
            if quote.ts_event == 1:
                self.submit_order(self.orders.market(quote.instrument_id, "buy", 1))

    pair = wb.CurrencyPair.define("AUD/USD.SIM")
    data = [wb.Quote(pair.id, 1.0, 1.1, 1e6, 1e6, ts, ts) for ts in (1, 2)]
    venue = wb.SimulatedVenue(fee_model=wb.FixedFeeModel(commission="2 BTC"))
    result = wb.backtest(Buys(), data, instrument=pair, venue=venue)
    assert result.warnings == [
        "SIM-PAPER ends with -2.00000000 BTC: it lost or was charged more than it had; what is in a"
        " currency that nothing settles in is part of no profit"
    ]

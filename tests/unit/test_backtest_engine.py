"""The backtest engine: the order in which things happen, faults, ends, and equal runs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import inf
from typing import Any

import pytest

from workbench.history import Timeline, load
from workbench.model import events as e
from workbench.model.commands import DataResponse
from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.enums import AggressorSide, OrderStatus
from workbench.model.errors import ClientError, ConfigError, LifecycleError, StrategyError
from workbench.model.instruments import CurrencyPair, Instrument
from workbench.model.orders import Order
from workbench.runtime.lifecycle import ComponentState
from workbench.sim import BacktestEngine, SimulatedVenue
from workbench.trading import Actor, Strategy

PAIR = CurrencyPair.define("AUD/USD.SIM", maker_fee="0.0001", taker_fee="0.0002")
BARS = BarType.parse("AUD/USD.SIM-1-minute-last")


def quote(ts: int, bid: float = 1.0, ask: float = 1.1, size: float = inf) -> Quote:
    return Quote(PAIR.id, bid, ask, size, size, ts, ts)


def bar(ts: int, low: float = 1.0, high: float = 1.0) -> Bar:
    return Bar(BARS, high, high, low, low, None, ts, ts)


def trade(ts: int, price: float = 1.05) -> Trade:
    return Trade(PAIR.id, price, 1.0, AggressorSide.NONE, f"{ts}", ts, ts)  # type: ignore[arg-type]


def make(
    actors: Sequence[Actor] | Actor,
    data: Sequence[Any],
    instruments: Sequence[Instrument] = (PAIR,),
    start: int | None = None,
    **venue: Any,
) -> BacktestEngine:
    return BacktestEngine(
        Timeline(load(list(data), instruments), start),
        instruments,
        [SimulatedVenue(**venue).for_instruments(list(instruments))],
        [actors] if isinstance(actors, Actor) else actors,
        run_tag="T",
    )


def run(actors: Sequence[Actor] | Actor, data: Sequence[Any], **more: Any) -> BacktestEngine:
    engine = make(actors, data, **more)
    engine.run()
    assert engine.error is None, engine.error
    return engine


# The order of things


class Diary(Strategy):
    """Writes down when each callback begins and ends."""

    def on_start(self) -> None:
        self.lines: list[str] = []
        self.inside = 0
        self.subscribe_quotes()
        self.subscribe_trades()
        self.subscribe_bars(BARS)
        self.note("start")

    def note(self, line: str) -> None:
        assert not self.inside, "a callback was entered while another ran"
        self.lines.append(line)

    def on_quote(self, quote: Quote) -> None:
        self.note("quote")

    def on_trade(self, trade: Trade) -> None:
        self.note("trade")

    def on_bar(self, bar: Bar) -> None:
        self.note("bar")

    def on_order_event(self, event: e.OrderEvent) -> None:
        self.note(type(event).__name__)

    def on_position_event(self, event: e.PositionEvent) -> None:
        self.note(type(event).__name__)

    def on_time_event(self, event: e.TimeEvent) -> None:
        self.note(f"timer {event.name}")

    def on_stop(self) -> None:
        self.note("stop")


def test_what_a_callback_submits_is_handled_after_it_returns() -> None:
    class Buyer(Diary):
        def on_quote(self, quote: Quote) -> None:
            super().on_quote(quote)
            self.inside += 1
            order = self.orders.market(PAIR.id, "buy", 1)
            self.submit_order(order)
            assert order.status is OrderStatus.INITIALIZED
            assert self.position() is None
            self.lines.append("submitted")
            self.inside -= 1

    strategy = Buyer()
    run(strategy, [quote(1)])
    assert strategy.lines == [
        *("start", "quote", "submitted"),
        *("OrderInitialized", "OrderSubmitted", "OrderFilled", "PositionOpened", "stop"),
    ]


def test_an_order_sent_from_an_order_callback_waits_for_its_end_too() -> None:
    class Chain(Diary):
        def on_quote(self, quote: Quote) -> None:
            super().on_quote(quote)
            self.submit_order(self.orders.market(PAIR.id, "buy", 1))

        def on_order_filled(self, event: e.OrderFilled) -> None:
            self.inside += 1
            if len(self.cache.orders()) < 2:
                self.submit_order(self.orders.market(PAIR.id, "sell", 1))
            self.inside -= 1

    strategy = Chain()
    run(strategy, [quote(1)])
    assert strategy.lines.count("OrderFilled") == 2
    assert strategy.lines[-2:] == ["PositionClosed", "stop"]


def test_a_denial_comes_as_an_event_after_the_callback() -> None:
    class Wrong(Diary):
        def on_quote(self, quote: Quote) -> None:
            self.note("quote")
            self.inside += 1
            self.submit_order(self.orders.market(PAIR.id, "buy", "0.5"))
            self.inside -= 1

    strategy = Wrong()
    run(strategy, [quote(1)])
    assert strategy.lines == ["start", "quote", "OrderInitialized", "OrderDenied", "stop"]


def test_state_is_updated_before_any_callback() -> None:
    seen: list[tuple[str, object]] = []

    class Watch(Strategy):
        def on_start(self) -> None:
            self.subscribe_quotes()
            self.subscribe_bars(BARS)

        def on_quote(self, quote: Quote) -> None:
            assert self.cache.quote(PAIR.id) is quote
            if not self.cache.orders():
                self.submit_order(self.orders.market(PAIR.id, "buy", 2))

        def on_bar(self, bar: Bar) -> None:
            assert self.cache.bar(BARS) is bar

        def on_order_event(self, event: e.OrderEvent) -> None:
            order = self.cache.order(event.client_order_id)
            assert order is not None
            seen.append((order.status.value, self.portfolio.net_position(PAIR.id)))

        def on_position_event(self, event: e.PositionEvent) -> None:
            assert self.position() is not None
            seen.append(("position", event.signed_quantity))

    run(Watch(), [quote(1), bar(2)])
    assert seen == [
        ("initialized", Decimal(0)),
        ("submitted", Decimal(0)),
        ("filled", Decimal(2)),
        ("position", Decimal(2)),
    ]


def test_fills_of_a_bar_are_known_before_on_bar_of_that_bar() -> None:
    class Rester(Diary):
        def on_bar(self, bar: Bar) -> None:
            super().on_bar(bar)
            if not self.cache.orders():
                self.submit_order(self.orders.limit(PAIR.id, "buy", 1, "0.90000"))

    strategy = Rester()
    run(strategy, [bar(1), bar(2, low=0.8)])
    assert strategy.lines[-4:] == ["OrderFilled", "PositionOpened", "bar", "stop"]


def test_at_equal_times_timers_come_first_then_quotes_trades_and_bars() -> None:
    class Timed(Diary):
        def on_start(self) -> None:
            super().on_start()
            self.clock.set_alert("alert", 20)
            self.clock.set_timer("timer", 10)

    strategy = Timed()
    run(strategy, [bar(20), trade(20), quote(10), quote(20)])
    assert strategy.lines == [
        *("start", "quote", "timer alert", "timer timer", "quote", "trade", "bar", "stop"),
    ]


def test_the_clock_shows_the_time_of_what_is_handled() -> None:
    times: list[tuple[str, int]] = []

    class Timed(Strategy):
        def on_start(self) -> None:
            times.append(("start", self.clock.timestamp_ns()))
            self.subscribe_quotes()
            self.clock.set_timer("timer", 7)

        def on_time_event(self, event: e.TimeEvent) -> None:
            times.append(("timer", self.clock.timestamp_ns()))
            assert event.ts_event == self.clock.timestamp_ns()

        def on_quote(self, quote: Quote) -> None:
            times.append(("quote", self.clock.timestamp_ns()))

    run(Timed(), [quote(10), quote(30)])
    assert times == [("start", 10), ("quote", 10), ("timer", 17), ("timer", 24), ("quote", 30)]


# Faults


def fault(
    strategy: Strategy, data: Sequence[Any] = (), **venue: Any
) -> tuple[StrategyError, BacktestEngine]:
    engine = make(strategy, data or [quote(1), trade(2), bar(3), quote(4)], **venue)
    engine.run()
    assert engine.error is not None
    return engine.error, engine


CALLBACKS = [
    *("on_start", "on_stop", "on_quote", "on_trade", "on_bar", "on_time_event"),
    *("on_historical_data", "on_order_initialized", "on_order_submitted", "on_order_accepted"),
    *("on_order_filled", "on_order_canceled", "on_order_pending_cancel", "on_order_denied"),
    *("on_order_pending_update", "on_order_updated", "on_order_modify_rejected"),
    *("on_order_cancel_rejected", "on_order_rejected", "on_order_event"),
    *("on_position_event", "on_position_opened", "on_position_changed", "on_position_closed"),
]


class Busy(Strategy):
    """Does something that brings every callback about."""

    def on_start(self) -> None:
        self.subscribe_quotes()
        self.subscribe_trades()
        self.subscribe_bars(BARS)
        self.request_quotes()
        self.clock.set_alert("alert", 4)
        self.at = 0

    def on_quote(self, quote: Quote) -> None:
        self.at += 1
        limit, market = self.orders.limit, self.orders.market
        if self.at == 1:
            self.first = limit(PAIR.id, "buy", 5, "0.90000")
            self.submit_order(self.first)
            self.submit_order(market(PAIR.id, "buy", 5))
            self.submit_order(market(PAIR.id, "buy", 5))
            self.submit_order(limit(PAIR.id, "buy", 5, "2.00000", post_only=True))
            self.submit_order(market(PAIR.id, "sell", "0.1"))
        elif self.at == 2:
            self.modify_order(self.first, quantity=6)
            self.modify_order(self.first, quantity="0.5")
        elif self.at == 3:
            self.cancel_order(self.first)
            self.cancel_order(self.first)
            self.close_position()


@pytest.mark.parametrize("name", CALLBACKS)
def test_an_exception_in_any_callback_names_strategy_callback_and_event(name: str) -> None:
    cause = ZeroDivisionError("division by zero")
    own = getattr(Busy, name)

    def failing(self: Busy, *event: Any) -> None:
        own(self, *event)
        raise cause

    strategy = type("Failing", (Busy,), {name: failing})()
    error, engine = fault(strategy, [quote(1), trade(2), bar(3), quote(4), quote(5)])
    assert (error.strategy_id, error.callback) == ("Failing-001", name)
    assert error.__cause__ is cause
    assert (error.event is None) == (name in ("on_start", "on_stop"))
    assert f"Failing-001 raised ZeroDivisionError in {name}" in str(error)
    assert strategy.state is ComponentState.FAULTED
    assert engine.ended == str(error)
    assert engine.core.execution.refused_events == []


def test_a_callback_that_is_no_method_is_named_too() -> None:
    class Assigned(Strategy):
        def on_start(self) -> None:
            self.on_quote = lambda quote: 1 / 0  # type: ignore[method-assign, assignment, return-value]
            self.subscribe_quotes()

    error, _ = fault(Assigned())
    assert (error.strategy_id, error.callback) == ("Assigned-001", "on_quote")


def test_the_second_of_two_subscribers_is_blamed_for_its_own_exception() -> None:
    class Fine(Strategy):
        def on_start(self) -> None:
            self.seen = 0
            self.subscribe_quotes()

        def on_quote(self, quote: Quote) -> None:
            self.seen += 1

    class Broken(Fine):
        def on_quote(self, quote: Quote) -> None:
            raise ValueError("no")

    fine, broken = Fine(), Broken()
    engine = make([fine, broken], [quote(1), quote(2)])
    engine.run()
    assert engine.error is not None
    assert engine.error.strategy_id == "Broken-002"
    assert fine.seen == 1
    assert (fine.state, broken.state) == (ComponentState.STOPPED, ComponentState.FAULTED)
    assert engine.events_handled == 1


def test_a_fault_keeps_the_numbers_of_messages_and_what_was_computed() -> None:
    class Late(Busy):
        def on_bar(self, bar: Bar) -> None:
            raise ValueError("late")

    for at_full_length in (False, True):
        engine = make(Late(), [quote(1), trade(2), bar(3), quote(4)])
        if at_full_length:
            engine.core.dispatcher.taps.append(lambda number, channel, message: None)
        engine.run()
        numbers = [record.number for record in engine.core.log]
        assert numbers == sorted(numbers)
        assert engine.events_handled == 3
        assert engine.core.portfolio.net_position(PAIR.id) == 10


def test_a_faulted_strategy_is_called_no_more_and_its_timers_are_gone() -> None:
    class Broken(Diary):
        def on_quote(self, quote: Quote) -> None:
            self.note("quote")
            self.clock.set_timer("timer", 1)
            self.submit_order(self.orders.market(PAIR.id, "buy", 1))
            raise ValueError("no")

        def on_fault(self) -> None:
            self.note("fault")

    strategy = Broken()
    _, engine = fault(strategy, [quote(1), quote(2), quote(3)])
    assert strategy.lines == ["start", "quote", "fault"]
    assert engine.core.clock.timer_names == []
    # The order had left; what the venue made of it is state, not a callback.
    assert engine.core.portfolio.net_position(PAIR.id) == 1


def test_exceptions_in_on_stop_and_on_fault_do_not_hide_one_another() -> None:
    class Broken(Strategy):
        def on_stop(self) -> None:
            raise ValueError("stop")

        def on_fault(self) -> None:
            raise ValueError("fault")

    class Fine(Strategy):
        def on_stop(self) -> None:
            self.stopped = True

    broken, fine = Broken(), Fine()
    engine = make([broken, fine], [quote(1)])
    engine.run()
    assert engine.error is not None
    assert engine.error.callback == "on_stop"
    assert "raised ValueError in on_fault: fault" in engine.error.__notes__[0]
    assert fine.stopped


def test_an_exception_in_on_fault_is_noted_beside_the_first() -> None:
    class Broken(Strategy):
        def on_start(self) -> None:
            raise ValueError("start")

        def on_fault(self) -> None:
            raise ValueError("fault")

    error, engine = fault(Broken())
    assert error.callback == "on_start"
    assert "in on_fault: fault" in error.__notes__[0]
    assert engine.events_handled == 0


def test_an_exception_after_the_strategies_stopped_is_kept_and_the_rest_arrives() -> None:
    class Broken(Strategy):
        def on_start(self) -> None:
            self.subscribe_quotes()

        def on_quote(self, quote: Quote) -> None:
            if not self.cache.orders():
                self.submit_order(self.orders.market(PAIR.id, "buy", 3))
                self.submit_order(self.orders.market(PAIR.id, "buy", 4))

        def on_order_filled(self, event: e.OrderFilled) -> None:
            raise ValueError("late")

    error, engine = fault(Broken(), [quote(1), quote(2)], latency_ns=10)
    assert (error.callback, engine.events_handled) == ("on_order_filled", 2)
    assert engine.core.portfolio.net_position(PAIR.id) == 7
    assert [order.filled_quantity for order in engine.core.cache.orders_closed()] == [3, 4]


# Ends


@pytest.mark.parametrize("taps", [0, 1])
@pytest.mark.parametrize("where", ["on_quote", "on_time_event", "on_order_filled", "on_start"])
def test_shutdown_ends_a_backtest_after_the_event_in_hand(where: str, taps: int) -> None:
    class Ender(Strategy):
        def on_start(self) -> None:
            self.seen = 0
            self.subscribe_quotes()
            self.clock.set_alert("alert", 2)
            self.end_in("on_start")

        def end_in(self, name: str) -> None:
            if name == where:
                self.shutdown_system("enough")

        def on_quote(self, quote: Quote) -> None:
            self.seen += 1
            if self.seen == 1:
                self.submit_order(self.orders.limit(PAIR.id, "buy", 1, "0.90000"))
            if self.seen == 2:
                self.end_in("on_quote")

        def on_time_event(self, event: e.TimeEvent) -> None:
            self.end_in("on_time_event")

        def on_order_filled(self, event: e.OrderFilled) -> None:
            self.end_in("on_order_filled")

    strategy = Ender()
    engine = make(strategy, [quote(1), quote(2, 0.8, 0.85), quote(3), quote(4)])
    engine.core.dispatcher.taps.extend([lambda *_: None] * taps)
    engine.run()
    assert engine.error is None
    assert engine.ended == "enough"
    assert engine.events_handled == strategy.seen == (0 if where == "on_start" else 2)
    assert strategy.state is ComponentState.STOPPED


def test_a_run_reports_its_progress_and_counts_its_events() -> None:
    told: list[int] = []
    engine = make(Busy(), [quote(ts) for ts in range(1, 20_001)])

    def tell(handled: int) -> int:
        told.append(handled)
        return 10_000

    engine.run(tell)
    assert told == [16, 10_016, 20_000]
    assert engine.events_handled == 20_000
    lane = engine.core.lanes.data.statistics()
    assert lane.count_in == lane.count_out == 20_001  # the instrument besides
    assert engine.core.dispatcher.data_handled == 20_001


def test_what_a_stopped_strategy_would_open_is_denied_and_what_closes_passes() -> None:
    class Requoting(Diary):
        def on_quote(self, quote: Quote) -> None:
            if not self.cache.orders():
                self.submit_order(self.orders.market(PAIR.id, "buy", 1))

        def on_order_filled(self, event: e.OrderFilled) -> None:
            if self.state is ComponentState.STOPPED:
                self.refused = self.orders.market(PAIR.id, "buy", 1)
                self.submit_order(self.refused)

        def on_stop(self) -> None:
            self.close_position()

    strategy = Requoting()
    engine = run(strategy, [quote(1), quote(2)])
    assert engine.core.portfolio.net_position(PAIR.id) == 0
    assert strategy.refused.status is OrderStatus.DENIED
    assert "STOPPED" in strategy.refused.reason
    assert strategy.lines[-2:] == ["OrderInitialized", "OrderDenied"]


def test_after_the_run_nothing_can_be_sent() -> None:
    strategy = Busy()
    run(strategy, [quote(1)])
    order = strategy.orders.market(PAIR.id, "buy", 1)
    for command in (
        lambda: strategy.submit_order(order),
        lambda: strategy.modify_order(strategy.first, quantity=1),
        lambda: strategy.cancel_order(strategy.first),
        lambda: strategy.cancel_all_orders(),
    ):
        with pytest.raises(LifecycleError, match="is over; it takes no more commands"):
            command()


def test_an_unlisted_venue_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigError, match=r"no simulated venue lists AUD/USD\.SIM"):
        make(Busy(), [quote(1)], name="OTHER", starting_balances="1 USD")


def test_a_client_that_waits_when_it_connects_is_refused() -> None:
    engine = make(Busy(), [quote(1)])

    class Waiting:
        def __await__(self) -> Any:
            yield

    async def connect() -> None:
        await Waiting()

    engine.data_client.connect = connect  # type: ignore[method-assign]
    with pytest.raises(ClientError, match="must not wait"):
        engine.run()


# Equal runs


class Churn(Strategy):
    """Sends something of everything, depending on what it sees."""

    every: int = 3

    def on_start(self) -> None:
        self.seen = 0
        self.mine: list[Order] = []
        self.subscribe_quotes()
        self.subscribe_trades()
        self.subscribe_bars("1-minute-last")
        self.request_quotes(limit=2)
        self.clock.set_timer("timer", 7)

    def on_time_event(self, event: e.TimeEvent) -> None:
        if self.mine and self.mine[-1].is_open:
            self.cancel_order(self.mine[-1])

    def on_quote(self, quote: Quote) -> None:
        self.seen += 1
        side = "buy" if self.seen % 2 else "sell"
        if self.seen % self.every == 0:
            self.submit_order(self.orders.market(PAIR.id, side, self.seen))
        elif self.seen % 5 == 0:
            price = PAIR.price(quote.bid if side == "buy" else quote.ask)
            self.mine.append(self.orders.limit(PAIR.id, side, 3, price))
            self.submit_order(self.mine[-1])

    def on_bar(self, bar: Bar) -> None:
        if self.mine and self.mine[-1].is_open:
            self.modify_order(self.mine[-1], quantity=9)

    def on_stop(self) -> None:
        self.cancel_all_orders()
        self.close_all_positions()


def walk(count: int = 400) -> list[Any]:
    data: list[Any] = []
    for n in range(count):
        mid = 1 + 0.01 * ((n * 7919) % 13 - 6)
        ts = 10**18 + n * 2
        data.append(quote(ts, mid - 0.0001, mid + 0.0001, 20.0))
        if n % 3 == 0:
            data.append(trade(ts, mid))
        if n % 10 == 0:
            data.append(Bar(BARS, mid, mid + 0.02, mid - 0.02, mid, 40.0, ts, ts))
    return data


@pytest.mark.parametrize("latency_ns", [0, 3])
def test_the_resolved_and_the_recorded_loop_leave_the_same_log(latency_ns: int) -> None:
    logs: list[bytes] = []
    numbers: list[list[int]] = []
    for taps in (0, 1):
        engine = make([Churn(), Churn(every=4)], walk(), latency_ns=latency_ns)
        engine.core.dispatcher.taps.extend([lambda *_: None] * taps)
        engine.run()
        assert engine.error is None
        logs.append(engine.core.log.to_bytes())
        numbers.append([record.number for record in engine.core.log])
    assert logs[0] == logs[1]
    assert numbers[0] == numbers[1]
    assert len(logs[0]) > 10_000


def test_one_object_runs_twice_to_the_byte() -> None:
    strategy = Churn()
    first = run(strategy, walk())
    second = run(strategy, walk())
    assert first.core.log.to_bytes() == second.core.log.to_bytes()
    assert strategy.core is second.core
    strategy.dispose()
    third = run(strategy, walk())
    assert third.core.log.to_bytes() == first.core.log.to_bytes()


def test_arrays_and_messages_run_the_same() -> None:
    quotes = [m for m in walk() if isinstance(m, Quote)]
    columns = {
        "ts": [q.ts_init for q in quotes],
        "bid": [q.bid for q in quotes],
        "ask": [q.ask for q in quotes],
        "bid_size": [q.bid_size for q in quotes],
        "ask_size": [q.ask_size for q in quotes],
    }
    import numpy as np

    table: Any = {name: np.array(values) for name, values in columns.items()}
    one = run(Churn(), quotes)
    engine = BacktestEngine(
        Timeline(load(table, [PAIR])),
        [PAIR],
        [SimulatedVenue().for_instruments([PAIR])],
        [Churn()],
        run_tag="T",
    )
    engine.run()
    assert engine.core.log.to_bytes() == one.core.log.to_bytes()


# History


class Asking(Strategy):
    ask_at: str = "on_start"
    what: str = "quotes"

    def on_start(self) -> None:
        self.answers: list[DataResponse] = []
        self.subscribe_quotes()
        if self.ask_at == "on_start":
            self.ask()

    def ask(self) -> None:
        if self.what == "bars":
            self.request_bars(BARS)
        elif self.what == "trades":
            self.request_trades()
        else:
            self.request_quotes(limit=2)

    def on_quote(self, quote: Quote) -> None:
        if self.ask_at == "on_quote" and not self.answers:
            self.ask()

    def on_historical_data(self, response: DataResponse) -> None:
        self.answers.append(response)


def times(strategy: Asking) -> list[int]:
    (answer,) = strategy.answers
    return [message.ts_event for message in answer.data]


def test_history_from_before_the_start_warms_a_strategy_up() -> None:
    strategy = Asking()
    run(strategy, [quote(ts) for ts in range(1, 9)], start=5)
    # Not the event of time 5, which is yet to come.
    assert times(strategy) == [3, 4]


def test_history_asked_for_later_ends_with_what_was_handled() -> None:
    class Later(Asking):
        def on_quote(self, quote: Quote) -> None:
            if quote.ts_event == 6:
                self.ask()

    strategy = Later(ask_at="later")
    run(strategy, [quote(ts) for ts in range(1, 9)])
    assert times(strategy) == [5, 6]


@pytest.mark.parametrize("what", ["bars", "trades"])
def test_history_that_is_not_there_is_an_answer_with_an_error(what: str) -> None:
    strategy = Asking(what=what)
    run(strategy, [quote(1)])
    (answer,) = strategy.answers
    assert answer.data == ()
    assert "no history of" in answer.error


def test_a_subscription_without_data_is_a_warning() -> None:
    strategy = Diary()
    engine = run(strategy, [quote(1)])
    assert len(engine.data_client.warnings) == 2
    assert (
        "Diary-001 subscribed to trades of AUD/USD.SIM, but the data holds only: quotes of"
        in (engine.data_client.warnings[0])
    )


def test_unsubscribing_ends_the_calls() -> None:
    class Once(Diary):
        def on_quote(self, quote: Quote) -> None:
            self.note("quote")
            self.unsubscribe_quotes()
            self.unsubscribe_trades()
            self.unsubscribe_bars("1-minute-last")

    strategy = Once()
    run(strategy, [quote(1), quote(2), trade(3), bar(4)])
    assert strategy.lines == ["start", "quote", "stop"]


def test_an_actor_takes_data_and_has_no_orders() -> None:
    class Watcher(Actor):
        def on_start(self) -> None:
            self.seen = 0
            self.subscribe_quotes()

        def on_quote(self, quote: Quote) -> None:
            self.seen += 1

    watcher = Watcher()
    engine = run([watcher, Busy()], [quote(1), quote(2)])
    assert watcher.seen == 2
    assert not hasattr(watcher, "submit_order")
    assert {order.strategy_id for order in engine.core.cache.orders()} == {"Busy-002"}


def order_ids(engine: BacktestEngine) -> list[str]:
    return [order.client_order_id for order in engine.core.cache.orders()]


def test_order_ids_name_run_and_strategy_and_never_repeat() -> None:
    engine = run([Busy(), Busy()], [quote(1)])
    ids = order_ids(engine)
    assert len(set(ids)) == len(ids) == 10
    assert {one.rsplit("-", 1)[0] for one in ids} == {"O-T-1", "O-T-2"}

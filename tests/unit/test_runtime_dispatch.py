"""The biased select, the connecting flush, the final drain, numbers and taps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workbench.runtime import (
    Channels,
    Clock,
    Dispatcher,
    EventLog,
    Handlers,
    LiveClock,
    SimulatedClock,
)
from workbench.runtime.channels import ChannelName


class Recorder:
    """A dispatcher whose handlers note what they get, and run what a test attaches to it."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.channels = Channels.plain()
        self.seen: list[Any] = []
        self.effects: dict[Any, Callable[[], None]] = {}
        self.clock = clock or SimulatedClock()
        handlers = Handlers(*(self.handle for _ in range(5)))
        self.dispatcher = Dispatcher(self.channels, self.clock, handlers)

    def handle(self, message: Any) -> None:
        self.seen.append(message)
        effect = self.effects.get(message)
        if effect is not None:
            effect()

    def put(self, **messages: str) -> None:
        for name, message in messages.items():
            getattr(self.channels, name).put(message)

    def put_one_of_each(self) -> None:
        """Put one message into each channel, the least preferred first."""
        self.put(
            data_events="data",
            data_commands="data command",
            trading_commands="trading command",
            execution_events="execution event",
            time_events="time event",
        )


class CountingClock(LiveClock):
    """A live clock whose every sample and reading is later than the one before."""

    def __init__(self) -> None:
        super().__init__(lambda event: None)
        self.samples = 0
        self.readings = 0

    def _read(self) -> int:
        self.readings += 1
        return self.readings

    def sample(self) -> None:
        self.samples += 1
        super().sample()


BIASED = ["time event", "execution event", "trading command", "data command", "data"]


def ticking() -> Callable[[], int]:
    """Return a clock that advances by one with each reading."""
    count = iter(range(10**9))
    return lambda: next(count)


def test_select_prefers_time_then_execution_then_trading_then_data_commands_then_data() -> None:
    run = Recorder()
    run.put_one_of_each()
    while run.dispatcher.handle_next():
        pass
    assert run.seen == BIASED


def test_what_a_handler_puts_is_handled_after_it_returns_and_never_inside() -> None:
    run = Recorder()
    depth: list[int] = []

    def effect() -> None:
        run.put(trading_commands="order")
        depth.append(len(run.seen))
        run.put(execution_events="denied")
        depth.append(len(run.seen))

    run.effects["data"] = effect
    run.put(data_events="data")
    run.channels.data_events.put("data 2")
    while run.dispatcher.handle_next():
        pass
    assert depth == [1, 1]
    assert run.seen == ["data", "denied", "order", "data 2"]


def test_a_cancel_put_behind_a_million_data_events_is_handled_after_at_most_one_of_them() -> None:
    run = Recorder()
    put = run.channels.data_events.put
    for number in range(1_000_000):
        put(number)
    for number in range(10):
        assert run.dispatcher.handle_next()
        assert run.seen[-1] == number
    run.put(trading_commands="cancel")
    run.dispatcher.handle_next()
    run.dispatcher.handle_next()
    assert run.seen[10:].index("cancel") <= 1
    assert run.channels.data_events.depth >= 999_989


def test_a_cancel_put_by_a_data_handler_is_the_next_message() -> None:
    run = Recorder()
    for number in range(5):
        run.channels.data_events.put(number)
    run.effects[1] = lambda: run.put(trading_commands="cancel")
    run.dispatcher.run_slice(10**9, ticking())
    assert run.seen == [0, 1, "cancel", 2, 3, 4]


def test_a_slice_handles_everything_within_its_budget_and_says_nothing_waits() -> None:
    run = Recorder()
    run.put_one_of_each()
    assert run.dispatcher.run_slice(10**9, ticking()) is False
    assert run.seen == BIASED


@pytest.mark.parametrize("channel", ["time_events", "trading_commands", "data_events"])
def test_a_slice_that_spends_its_budget_says_that_messages_wait(channel: str) -> None:
    run = Recorder()
    for number in range(100):
        run.put(**{channel: str(number)})
    assert run.dispatcher.run_slice(10, ticking()) is True
    assert 1 <= len(run.seen) <= 10
    assert run.dispatcher.run_slice(10**9, ticking()) is False
    assert run.seen == [str(number) for number in range(100)]


def test_a_slice_whose_budget_ends_with_the_last_message_says_nothing_waits() -> None:
    run = Recorder()
    run.put(data_events="only")
    assert run.dispatcher.run_slice(0, ticking()) is False
    assert run.seen == ["only"]


def test_a_slice_handles_at_least_one_message() -> None:
    run = Recorder()
    run.put(data_events="a", data_commands="b")
    assert run.dispatcher.run_slice(0, ticking()) is True
    assert run.seen == ["b"]


def test_an_interrupt_ends_the_slice_after_the_message_being_handled() -> None:
    run = Recorder()
    for number in range(5):
        run.channels.data_events.put(number)
    run.effects[2] = run.dispatcher.interrupt
    assert run.dispatcher.run_slice(10**9, ticking()) is True
    assert run.seen == [0, 1, 2]
    assert run.dispatcher.run_slice(10**9, ticking()) is False
    assert run.seen == [0, 1, 2, 3, 4]


def endless(run: Recorder, upto: int) -> None:
    """Answer every denial with an order, and every order with a denial; interrupt after some."""

    def answer() -> None:
        run.put(execution_events="denied")
        if run.seen.count("denied") == upto:
            run.dispatcher.interrupt(at_once=True)

    run.effects["denied"] = answer


def test_a_drain_without_end_is_interrupted_between_two_messages_and_goes_on_later() -> None:
    run = Recorder()
    endless(run, 3)
    run.put(execution_events="denied", trading_commands="cancel")
    assert run.dispatcher.drain()
    assert run.seen == ["denied"] * 3
    run.dispatcher.handle_commands()
    assert run.seen == ["denied"] * 3 + ["cancel"]
    run.effects.clear()
    assert not run.dispatcher.drain()
    assert run.seen == ["denied"] * 3 + ["cancel", "denied"]


def test_an_interrupt_before_a_drain_or_slice_began_is_forgotten() -> None:
    run = Recorder()
    run.put(data_events="data")
    run.put(execution_events="fill", trading_commands="order")
    run.dispatcher.interrupt(at_once=True)
    assert not run.dispatcher.drain()
    run.dispatcher.interrupt(at_once=True)
    assert not run.dispatcher.run_slice(10**9, ticking())
    assert run.seen == ["fill", "order", "data"]


@pytest.mark.parametrize("drive", ["run_slice", "flush_slice"])
def test_what_a_data_event_causes_without_end_is_interrupted_and_it_comes_after_that(
    drive: str,
) -> None:
    run = Recorder()
    endless(run, 3)
    run.dispatcher.before_data.append(lambda event: run.put(execution_events="denied"))
    run.put(data_events="data")
    slice_ = getattr(run.dispatcher, drive)
    assert slice_(10**9, ticking())
    assert run.seen == ["denied"] * 3
    run.effects.clear()
    assert not slice_(10**9, ticking())
    assert run.seen == ["denied"] * 4 + ["data"]
    assert run.dispatcher.data_handled == 1


def test_a_data_event_that_an_interrupt_kept_back_still_waits_and_the_final_drain_has_it() -> None:
    run = Recorder()
    run.effects["denied"] = lambda: run.dispatcher.interrupt(at_once=True)
    run.dispatcher.before_data.append(
        lambda event: run.put(execution_events="denied", trading_commands="order")
    )
    run.put(data_events="data")
    # The second message of what it caused is where it is interrupted.
    run.effects["order"] = run.effects.pop("denied")
    assert run.dispatcher.run_slice(10**9, ticking())
    assert run.seen == ["denied", "order"]
    assert run.channels.depth == 0
    run.dispatcher.drain_finally()
    assert run.seen == ["denied", "order", "data"]


def test_from_a_limit_on_no_drain_goes_on_without_end() -> None:
    run = Recorder()
    endless(run, 10**9)
    run.put(execution_events="denied")
    run.dispatcher.limit(lambda: len(run.seen) >= 5)
    assert run.dispatcher.drain()
    assert len(run.seen) == 5
    assert run.dispatcher.drain()
    assert len(run.seen) == 6
    run.dispatcher.limit(lambda: len(run.seen) >= 10)
    run.dispatcher.drain_finally()
    assert len(run.seen) == 10


def test_drain_handles_everything_but_data_events_in_order_of_preference() -> None:
    run = Recorder()
    run.put_one_of_each()
    run.dispatcher.drain()
    assert run.seen == BIASED[:-1]
    assert run.channels.data_events.depth == 1
    run.dispatcher.run_slice(10**9, ticking())
    assert run.seen == BIASED


def test_what_before_data_causes_is_handled_before_the_data_event_itself() -> None:
    run = Recorder()

    def exchange(event: Any) -> None:
        run.put(execution_events=f"fill by {event}")

    run.dispatcher.before_data.append(exchange)
    run.put(data_events="bar")
    while run.dispatcher.handle_next():
        pass
    assert run.seen == ["fill by bar", "bar"]


def test_observers_before_data_see_each_event_in_their_order() -> None:
    run = Recorder()
    order: list[str] = []
    run.dispatcher.before_data.append(lambda event: order.append(f"clock {event}"))
    run.dispatcher.before_data.append(lambda event: order.append(f"exchange {event}"))
    run.effects["q"] = lambda: order.append("engine q")
    run.dispatcher.handle_data("q")
    assert order == ["clock q", "exchange q", "engine q"]


def test_data_handed_over_directly_waits_for_the_commands_that_were_put_before_it() -> None:
    run = Recorder()
    run.put(trading_commands="one")
    run.channels.trading_commands.put("two")
    assert run.dispatcher.handle_next()
    run.dispatcher.handle_data("data")
    assert run.seen == ["one", "two", "data"]


def test_a_handlers_exception_comes_out_and_loses_no_other_message() -> None:
    run = Recorder()

    def fail() -> None:
        raise ValueError("boom")

    run.put_one_of_each()
    run.effects["execution event"] = fail
    with pytest.raises(ValueError, match="boom"):
        run.dispatcher.run_slice(10**9, ticking())
    assert run.seen == BIASED[:2]
    # Even a driver that hands data over itself finds the commands first.
    run.dispatcher.handle_data(run.channels.data_events.take())
    assert run.seen == BIASED


def test_connecting_flushes_data_events_before_data_commands() -> None:
    run = Recorder()
    run.put(data_commands="subscribe", data_events="instrument")
    run.dispatcher.flush()
    assert run.seen == ["instrument", "subscribe"]


def test_connecting_flush_goes_on_until_both_are_quiet() -> None:
    run = Recorder()
    run.put(data_commands="request instrument")
    run.effects["request instrument"] = lambda: run.put(
        data_commands="subscribe", data_events="instrument"
    )
    run.effects["subscribe"] = lambda: run.put(data_events="snapshot")
    run.dispatcher.flush()
    assert run.seen == ["request instrument", "instrument", "subscribe", "snapshot"]
    assert run.channels.depth == 0


def test_connecting_flush_handles_what_an_event_causes_elsewhere_but_no_data_command() -> None:
    run = Recorder()
    run.dispatcher.before_data.append(lambda event: run.put(execution_events=f"fill by {event}"))
    run.put(data_commands="subscribe", data_events="quote")
    run.dispatcher.flush()
    assert run.seen == ["fill by quote", "quote", "subscribe"]


def test_connecting_flush_in_slices_keeps_the_order_and_says_when_it_is_done() -> None:
    run = Recorder()
    for number in range(3):
        run.channels.data_commands.put(f"command {number}")
        run.channels.data_events.put(f"instrument {number}")
    slices = 1
    while run.dispatcher.flush_slice(0, ticking()):
        slices += 1
    assert slices == 6
    assert run.seen == [f"instrument {n}" for n in range(3)] + [f"command {n}" for n in range(3)]


def test_the_final_drain_goes_time_data_commands_data_events_trading_execution() -> None:
    run = Recorder()
    run.put_one_of_each()
    run.channels.data_events.put("data 2")
    run.dispatcher.drain_finally()
    assert run.seen == [
        "time event",
        "data command",
        "data",
        "data 2",
        "trading command",
        "execution event",
    ]


def test_the_final_drain_handles_in_another_round_what_later_channels_caused() -> None:
    run = Recorder()
    run.dispatcher.before_data.append(lambda event: run.put(execution_events="fill"))
    run.put(data_events="data")
    run.effects["fill"] = lambda: run.put(time_events="alert")
    run.dispatcher.drain_finally()
    assert run.seen == ["data", "fill", "alert"]
    assert run.channels.depth == 0


def test_the_final_drain_drops_the_data_left_when_its_time_is_over_and_handles_all_else() -> None:
    run = Recorder()
    for number in range(5):
        run.channels.data_events.put(number)
    run.put(trading_commands="order", execution_events="fill", data_commands="end", time_events="t")
    run.effects["fill"] = lambda: run.put(trading_commands="order 2", data_events="late")
    run.effects["order 2"] = lambda: run.put(execution_events="fill 2")
    assert run.dispatcher.drain_finally(lambda: 1 in run.seen) == 4
    assert run.seen == ["t", "end", 0, 1, "order", "fill", "order 2", "fill 2"]
    assert run.channels.depth == 0
    assert run.channels.data_events.drops == 4
    assert run.channels.data_events.count_in == 6


def test_the_final_drain_ends_though_another_thread_s_feed_does_not() -> None:
    run = Recorder()
    run.put(data_events="data", execution_events="fill")
    feed: list[int] = []

    def is_over() -> bool:
        feed.append(1)
        run.put(data_events="more")
        return len(feed) > 3

    run.dispatcher.drain_finally(is_over)
    assert run.seen.count("fill") == 1
    assert len(run.seen) == 4


def test_every_handled_message_has_a_number_and_the_tap_gets_number_channel_and_message() -> None:
    run = Recorder()
    taps: list[tuple[int, ChannelName, Any]] = []
    run.dispatcher.taps.append(lambda *tapped: taps.append(tapped))
    run.put_one_of_each()
    run.dispatcher.run_slice(10**9, ticking())
    run.put(data_events="flushed")
    run.dispatcher.flush()
    run.put(execution_events="last")
    run.dispatcher.drain_finally()
    names = [*ChannelName, ChannelName.DATA_EVENTS, ChannelName.EXECUTION_EVENTS]
    assert taps == list(zip(range(1, 8), names, [*BIASED, "flushed", "last"], strict=True))
    assert run.dispatcher.number == 7
    assert run.dispatcher.data_handled == 2


def test_the_tap_comes_before_the_handler_and_sees_what_before_data_caused_first() -> None:
    run = Recorder()
    order: list[str] = []
    run.dispatcher.taps.append(lambda number, name, message: order.append(f"{number} {message}"))
    run.dispatcher.before_data.append(lambda event: run.put(execution_events="fill"))
    run.effects["bar"] = lambda: order.append("handled bar")
    run.put(data_events="bar")
    run.dispatcher.handle_next()
    assert order == ["1 fill", "2 bar", "handled bar"]


def test_the_clock_is_sampled_once_per_handled_message() -> None:
    clock = CountingClock()
    run = Recorder(clock)
    run.put_one_of_each()
    run.dispatcher.run_slice(10**9, ticking())
    assert clock.samples == 5
    assert clock.readings == 5


def test_all_reads_of_the_clock_within_one_message_are_equal_and_later_messages_read_later() -> (
    None
):
    clock = CountingClock()
    run = Recorder(clock)
    reads: list[tuple[int, int]] = []
    for message in BIASED:
        run.effects[message] = lambda: reads.append((clock.timestamp_ns(), clock.timestamp_ns()))
    run.dispatcher.taps.append(lambda *_: reads.append((clock.timestamp_ns(),) * 2))
    run.put_one_of_each()
    run.dispatcher.run_slice(10**9, ticking())
    assert all(first == second for first, second in reads)
    assert len(reads) == 10
    assert len({first for first, _ in reads}) == 5


@pytest.mark.parametrize("drive", ["run_slice", "drain", "flush", "drain_finally"])
def test_the_sample_ends_with_the_slice_even_when_a_handler_raises(drive: str) -> None:
    clock = CountingClock()
    run = Recorder(clock)

    def fail() -> None:
        raise ValueError("boom")

    run.effects["x"] = fail
    run.put(data_commands="x")
    arguments = (10**9, ticking()) if drive == "run_slice" else ()
    with pytest.raises(ValueError, match="boom"):
        getattr(run.dispatcher, drive)(*arguments)
    assert clock.timestamp_ns() < clock.timestamp_ns()


def test_the_event_log_taps_a_dispatcher() -> None:
    run = Recorder()
    log = EventLog()
    run.dispatcher.taps.append(log.tap)
    run.put_one_of_each()
    run.dispatcher.run_slice(10**9, ticking())
    assert [(record.number, record.message) for record in log] == list(
        enumerate(BIASED[:-1], start=1)
    )

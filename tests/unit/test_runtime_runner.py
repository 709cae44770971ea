"""The runner, the pump and their parking on real loops and threads."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.waiting import GUARD_S
from workbench.model.errors import RunnerError
from workbench.model.events import TimeEvent
from workbench.runtime import (
    AsyncRunner,
    AsyncRunnerChannels,
    AsyncRunnerHandle,
    Channels,
    Dispatcher,
    Handlers,
    LiveClock,
    Pump,
    SimulatedClock,
)
from workbench.runtime.senders import current


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine on a new loop, guarded against hanging."""

    async def guarded() -> None:
        async with asyncio.timeout(GUARD_S):
            await test

    asyncio.run(guarded())


def handlers(handle: Callable[[Any], None]) -> Handlers:
    return Handlers(handle, handle, handle, handle, handle)


class Host:
    """A pump whose handlers note what they get; `effects` run when their message is handled."""

    def __init__(self, **settings: Any) -> None:
        self.seen: list[Any] = []
        self.effects: dict[Any, Callable[[], None]] = {}
        self.channels = Channels.plain()
        self.stop = AsyncRunnerHandle()
        self.dispatcher = Dispatcher(self.channels, SimulatedClock(), handlers(self.handle))
        self.pump = Pump(self.dispatcher, self.stop, **settings)

    def handle(self, message: Any) -> None:
        self.seen.append(message)
        effect = self.effects.get(message)
        if effect is not None:
            effect()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.001)

    async def parked(self) -> None:
        await self.until(lambda: self.channels.signal.parked)


# --- AsyncRunner -------------------------------------------------------------------------------


def test_constructing_a_runner_has_no_side_effect() -> None:
    threads = threading.active_count()
    before = current()
    AsyncRunner()
    assert current() is before
    assert threading.active_count() == threads


def test_run_handles_what_every_sender_sends_until_its_handle_is_stopped() -> None:
    runner = AsyncRunner()
    seen: list[Any] = []

    def handle(message: Any) -> None:
        seen.append(message)
        if message == "data":
            runner.handle().stop()

    senders = runner.senders
    senders.data_event.send("data")
    senders.data_command.send("data command")
    senders.trading_command.send("trading command")
    senders.exec_event.send("execution event")
    senders.time_event.send("time event")
    run(runner.run(handlers(handle)))
    assert seen == ["time event", "execution event", "trading command", "data command", "data"]
    assert runner.handle().is_stopped


def test_run_lets_a_handlers_exception_out() -> None:
    runner = AsyncRunner()

    def fail(message: Any) -> None:
        raise ZeroDivisionError(message)

    runner.senders.exec_event.send("fill")
    with pytest.raises(ZeroDivisionError, match="fill"):
        run(runner.run(handlers(fail)))


def test_channels_can_be_taken_once_and_then_run_is_refused() -> None:
    runner = AsyncRunner()
    channels = runner.take_channels()
    assert isinstance(channels, AsyncRunnerChannels)
    assert channels is runner.channels
    with pytest.raises(RunnerError, match="taken already"):
        runner.take_channels()
    with pytest.raises(RunnerError, match="taken already"):
        run(runner.run(handlers(print)))


def test_channels_cannot_be_taken_from_a_runner_that_has_run() -> None:
    runner = AsyncRunner()
    runner.handle().stop()
    run(runner.run(handlers(print)))
    with pytest.raises(RunnerError, match="taken already"):
        runner.take_channels()


def test_a_message_that_waits_when_the_runner_stops_is_not_lost() -> None:
    runner = AsyncRunner()
    runner.handle().stop()
    runner.senders.data_event.send("late")
    run(runner.run(handlers(print)))
    assert runner.channels.data_events.take() == "late"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"pause_s": 0}, "pause_s must be at least 0.0005"),
        ({"pause_s": 0.0004}, "got 0.0004"),
        ({"budget_s": 0}, "budget_s must be positive; got 0"),
    ],
)
def test_a_pause_that_would_starve_the_host_is_refused(
    settings: dict[str, float], text: str
) -> None:
    with pytest.raises(RunnerError, match=text):
        AsyncRunner(**settings)  # type: ignore[arg-type]
    with pytest.raises(RunnerError, match=text):
        Host(**settings)


def test_a_bounded_runner_conflates_data_events() -> None:
    runner = AsyncRunner(conflate_above=5)
    assert runner.channels.data_events.capacity == 5  # type: ignore[attr-defined]


# --- stopping ----------------------------------------------------------------------------------


def test_the_stop_signal_comes_before_every_message() -> None:
    host = Host()
    for number in range(5):
        host.channels.time_events.put(number)
    host.effects[1] = host.stop.stop
    run(host.pump.run())
    assert host.seen == [0, 1]
    assert host.channels.time_events.depth == 3


def test_a_stopped_pump_handles_nothing_more_by_itself() -> None:
    host = Host()
    host.stop.stop()
    host.channels.time_events.put("x")
    run(host.pump.run())
    assert host.seen == []


def test_a_step_after_the_stop_handles_what_is_left_and_never_parks() -> None:
    async def test() -> None:
        host = Host()
        host.stop.stop()
        host.channels.execution_events.put("residual")
        for _ in range(3):
            await host.pump.step()
        assert host.seen == ["residual"]
        assert host.pump.pauses == 3  # the host gets its turn even if the node waits by stepping

    run(test())


@pytest.mark.parametrize("from_thread", [False, True])
def test_stop_works_from_any_thread_and_wakes_a_parked_runner(from_thread: bool) -> None:
    async def test() -> None:
        host = Host()
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        if from_thread:
            await asyncio.to_thread(host.stop.stop)
        else:
            host.stop.stop()
        await task

    run(test())


def test_stop_from_a_signal_handler_wakes_a_loop_that_sleeps_in_select() -> None:
    host = Host()
    order: list[str] = []

    async def test() -> None:
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        # With nothing else to do the loop sleeps until this timer, unless the stop wakes it.
        guard = asyncio.get_running_loop().call_later(GUARD_S / 3, order.append, "guard")
        main = threading.main_thread().ident
        sender = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR1))
        sender.start()
        await task
        order.append("stopped")
        guard.cancel()
        sender.join(GUARD_S)

    previous = signal.signal(signal.SIGUSR1, lambda *_: host.stop.stop())
    try:
        run(test())
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert order == ["stopped"]


def test_stopping_twice_calls_back_once_and_a_late_callback_at_once() -> None:
    handle = AsyncRunnerHandle()
    calls: list[str] = []
    handle.on_stop(lambda: calls.append("early"))
    handle.stop()
    handle.stop()
    handle.on_stop(lambda: calls.append("late"))
    assert calls == ["early", "late"]


def test_cancelling_a_parked_runner_leaves_its_channels_usable_by_the_next() -> None:
    async def test() -> None:
        host = Host()
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not host.channels.signal.parked
        host.effects["x"] = host.stop.stop
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        host.channels.data_events.put("x")
        await task
        assert host.seen == ["x"]

    run(test())


# --- parking -----------------------------------------------------------------------------------


def test_a_put_from_another_thread_wakes_the_loop_once_per_batch_not_per_message() -> None:
    async def test() -> None:
        host = Host()
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        before = host.pump.parking.wakes

        def produce() -> None:
            for number in range(1_000):
                host.channels.data_events.put(number)

        producer = threading.Thread(target=produce)
        producer.start()
        producer.join(GUARD_S)  # the loop stands still meanwhile, so this is one batch
        await host.until(lambda: len(host.seen) == 1_000)
        assert host.pump.parking.wakes == before + 1
        assert host.seen == list(range(1_000))
        host.stop.stop()
        await task

    run(test())


def test_a_put_on_the_same_loop_wakes_a_parked_runner_once_per_batch() -> None:
    async def test() -> None:
        host = Host()
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        for number in range(100):
            host.channels.data_commands.put(number)
        await host.until(lambda: len(host.seen) == 100)
        assert host.pump.parking.wakes == 1
        host.stop.stop()
        await task

    run(test())


def test_no_message_of_several_threads_is_lost_to_a_runner_that_parks_between_them() -> None:
    async def test() -> None:
        host = Host()
        task = asyncio.create_task(host.pump.run())
        producers, each = 4, 2_000

        def produce(producer: int) -> None:
            channels = list(host.channels)
            for number in range(each):
                channels[number % 5].put((producer, number))

        threads = [threading.Thread(target=produce, args=(n,)) for n in range(producers)]
        for thread in threads:
            thread.start()
        await host.until(lambda: len(host.seen) == producers * each)
        for thread in threads:
            thread.join(GUARD_S)
        for producer in range(producers):
            for channel in range(5):
                got = [n for p, n in host.seen if p == producer and n % 5 == channel]
                assert got == list(range(channel, each, 5))
        host.stop.stop()
        await task

    run(test())


def test_single_puts_from_a_thread_that_waits_for_each_are_all_handled() -> None:
    async def test() -> None:
        host = Host()
        task = asyncio.create_task(host.pump.run())
        handled = threading.Semaphore(0)
        for number in range(300):
            host.effects[number] = handled.release
        in_time: list[bool] = []

        def produce() -> None:
            for number in range(300):
                host.channels.data_events.put(number)
                in_time.append(handled.acquire(timeout=GUARD_S))

        await asyncio.to_thread(produce)
        assert all(in_time)
        host.stop.stop()
        await task

    run(test())


def test_a_second_reader_of_the_same_channels_is_refused() -> None:
    async def test() -> None:
        host = Host()
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        second = Pump(host.dispatcher, AsyncRunnerHandle())
        with pytest.raises(RunnerError, match="one reader"):
            await second.step()
        host.channels.data_events.put("x")
        await host.until(lambda: host.seen == ["x"])
        host.stop.stop()
        await task

    run(test())


def test_a_pump_goes_on_across_a_second_event_loop() -> None:
    host = Host()

    async def first() -> None:
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def second() -> None:
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        await asyncio.to_thread(host.channels.data_events.put, "from a thread")
        await host.until(lambda: host.seen == ["from a thread"])
        host.stop.stop()
        await task

    run(first())
    run(second())


def test_a_put_after_the_loop_was_closed_waits_for_the_next_reader() -> None:
    host = Host()

    async def first() -> None:
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        task.cancel()

    run(first())
    producer = threading.Thread(target=host.channels.data_events.put, args=("late",))
    producer.start()
    producer.join(GUARD_S)
    host.pump.parking.nudge()
    assert host.channels.data_events.depth == 1
    host.effects["late"] = host.stop.stop
    run(host.pump.run())
    assert host.seen == ["late"]


def test_waking_before_the_first_sleep_is_harmless() -> None:
    host = Host()
    host.pump.parking.wake()
    host.pump.parking.nudge()
    host.channels.signal.wake()
    assert host.seen == []


# --- a guest in the loop -----------------------------------------------------------------------


class SleepCounter:
    """Stands in for the loop's `call_later` and notes every delay that is asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.delays: list[float] = []
        original = loop.call_at

        def call_at(when: float, *arguments: Any, **options: Any) -> asyncio.TimerHandle:
            self.delays.append(when - loop.time())
            return original(when, *arguments, **options)

        loop.call_at = call_at  # type: ignore[method-assign]


def test_a_runner_with_a_backlog_pauses_for_a_timed_moment_and_never_by_sleep_zero() -> None:
    async def test() -> None:
        host = Host(budget_s=1e-9)
        for number in range(50):
            host.channels.data_events.put(number)
        host.effects[49] = host.stop.stop
        counter = SleepCounter(asyncio.get_running_loop())
        await host.pump.run()
        assert host.seen == list(range(50))
        # One message per slice, and after each of them one sleep with a time.
        assert host.pump.pauses == 50
        assert len(counter.delays) == 50
        assert max(counter.delays) > 0

    run(test())


def test_the_hosts_own_work_gets_its_turn_between_two_slices_of_a_backlog() -> None:
    async def test() -> None:
        host = Host(budget_s=1e-9)
        for number in range(20):
            host.channels.data_events.put(number)
        task = asyncio.create_task(host.pump.run())
        turns: list[int] = []
        while len(host.seen) < 20:
            turns.append(len(host.seen))
            await asyncio.sleep(0.0001)
        assert set(turns) & set(range(1, 20))
        host.stop.stop()
        await task

    run(test())


def test_a_backlog_beyond_one_budget_is_handled_to_its_end_without_another_put() -> None:
    async def test() -> None:
        host = Host(budget_s=0.0005)
        for number in range(20_000):
            host.channels.data_events.put(number)
        task = asyncio.create_task(host.pump.run())
        await host.until(lambda: len(host.seen) == 20_000)
        host.stop.stop()
        await task

    run(test())


def test_a_stream_of_single_messages_spends_the_same_budget_as_a_backlog() -> None:
    async def test() -> None:
        # Each message is put by the host between two short sleeps of the pump; none ever waits
        # behind another, and still the pump pauses once its budget is spent.
        host = Host(budget_s=0.0005)
        task = asyncio.create_task(host.pump.run())
        number = 0
        while host.pump.pauses == 0:
            host.channels.data_events.put(number)
            number += 1
            await asyncio.sleep(0)
        assert host.channels.data_events.high_water == 1
        host.stop.stop()
        await task

    run(test())


def test_something_is_called_before_each_slice() -> None:
    async def test() -> None:
        order: list[str] = []
        host = Host(before_slice=lambda: order.append("check"))
        host.effects["x"] = lambda: order.append("handled")
        host.channels.data_events.put("x")
        task = asyncio.create_task(host.pump.run())
        await host.parked()
        assert order[:2] == ["check", "handled"]
        assert order.count("check") == host.pump.slices
        host.stop.stop()
        await task

    run(test())


def test_a_connecting_pump_flushes_in_budgets_data_events_first() -> None:
    async def test() -> None:
        host = Host(budget_s=1e-9)
        for number in range(3):
            host.channels.data_commands.put(f"command {number}")
            host.channels.data_events.put(f"instrument {number}")
        await host.pump.flush()
        assert host.seen == [f"instrument {n}" for n in range(3)] + [
            f"command {n}" for n in range(3)
        ]
        assert host.pump.pauses == 5  # one after each message but the last

    run(test())


def test_a_connecting_flush_ends_when_the_pump_is_stopped() -> None:
    async def test() -> None:
        host = Host()
        for number in range(3):
            host.channels.data_events.put(number)
        host.effects[0] = host.stop.stop
        await host.pump.flush()
        assert host.seen == [0]

    run(test())


def test_a_timer_on_a_real_loop_reaches_its_callback_through_the_runner() -> None:
    async def test() -> None:
        runner = AsyncRunner()
        clock = LiveClock(runner.senders.time_event.send)
        clock.start(asyncio.get_running_loop())
        fired: list[TimeEvent] = []

        def on_timer(event: TimeEvent) -> None:
            fired.append(event)
            if len(fired) == 3:
                clock.cancel_timer("tick")
                runner.handle().stop()

        clock.set_timer("tick", 1_000_000, on_timer)
        await runner.run(Handlers(clock.fire, print, print, print, print), clock)
        clock.stop()
        due = [event.ts_event for event in fired]
        assert due == [due[0], due[0] + 1_000_000, due[0] + 2_000_000]
        assert all(event.ts_init >= event.ts_event for event in fired)

    run(test())


def test_a_displaced_runner_says_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    first, second = AsyncRunner(name="first"), AsyncRunner(name="second")
    first.bind_senders()
    try:
        with caplog.at_level(logging.WARNING):
            second.bind_senders()
        assert "'first'" in caplog.text
        assert "'second'" in caplog.text
    finally:
        second.unbind_senders()

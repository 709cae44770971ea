"""The clocks: alerts, timers, cancelling, and time that never goes backwards."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.waiting import GUARD_S
from workbench.model.errors import ConfigError
from workbench.model.events import TimeEvent
from workbench.runtime import LiveClock, SimulatedClock
from workbench.runtime import clock as clock_module


def advance(clock: SimulatedClock, to_ns: int) -> list[tuple[str, int, int]]:
    """Advance and fire what falls due; return name, due time and the time when it was fired."""
    fired: list[tuple[str, int, int]] = []
    while (event := clock.advance(to_ns)) is not None:
        fired.append((event.name, event.ts_event, clock.timestamp_ns()))
        clock.fire(event)
    return fired


def ignore(event: TimeEvent) -> None:
    del event


# --- simulated ---------------------------------------------------------------------------------


def test_a_simulated_clock_stands_still_until_it_is_told_to_advance() -> None:
    clock = SimulatedClock(5)
    clock.sample()
    assert (clock.timestamp_ns(), clock.timestamp_ns()) == (5, 5)
    clock.release()
    assert advance(clock, 9) == []
    assert clock.timestamp_ns() == 9


def test_a_simulated_clock_never_moves_backwards() -> None:
    clock = SimulatedClock(100)
    assert advance(clock, 50) == []
    assert clock.timestamp_ns() == 100


def test_an_alert_fires_once_at_its_time() -> None:
    clock = SimulatedClock()
    got: list[TimeEvent] = []
    clock.set_alert("lunch", 12, got.append)
    assert clock.next_due == 12
    assert advance(clock, 11) == []
    assert advance(clock, 30) == [("lunch", 12, 12)]
    assert got == [TimeEvent("lunch", 12, 12)]
    assert clock.timer_names == []
    assert clock.next_due == clock_module.NEVER


def test_an_alert_whose_time_has_passed_fires_at_once_as_the_next_time_event() -> None:
    clock = SimulatedClock(100)
    clock.set_alert("past", 7, ignore)
    assert advance(clock, 100) == [("past", 100, 100)]


def test_a_timer_fires_every_interval_from_one_interval_after_now() -> None:
    clock = SimulatedClock(100)
    clock.set_timer("t", 10, ignore)
    assert [due for _, due, _ in advance(clock, 135)] == [110, 120, 130]
    assert clock.next_due == 140
    assert clock.timer_names == ["t"]


def test_a_timer_counts_from_its_start_and_stops_at_stop_ns() -> None:
    clock = SimulatedClock(100)
    clock.set_timer("t", 10, ignore, start_ns=105, stop_ns=135)
    assert [due for _, due, _ in advance(clock, 1_000)] == [115, 125, 135]
    assert clock.timer_names == []


def test_a_timer_that_started_in_the_past_goes_on_its_own_grid() -> None:
    clock = SimulatedClock(100)
    clock.set_timer("off", 10, ignore, start_ns=3)
    clock.set_timer("on", 10, ignore, start_ns=20)
    assert advance(clock, 112) == [
        ("on", 100, 100),
        ("off", 103, 103),
        ("on", 110, 110),
    ]


def test_a_timer_that_would_stop_before_its_first_event_is_not_set() -> None:
    clock = SimulatedClock(100)
    clock.set_timer("t", 10, ignore, stop_ns=109)
    assert clock.timer_names == []


def test_equal_due_times_fire_in_the_order_they_were_set() -> None:
    clock = SimulatedClock()
    for name in ("b", "a", "c"):
        clock.set_alert(name, 10, ignore)
    clock.set_timer("t", 5, ignore, stop_ns=10)
    assert [name for name, _, _ in advance(clock, 10)] == ["t", "b", "a", "c", "t"]


def test_a_callback_may_set_its_own_alert_anew() -> None:
    clock = SimulatedClock()

    def again(event: TimeEvent) -> None:
        if event.ts_event < 30:
            clock.set_alert("chain", event.ts_event + 10, again)

    clock.set_alert("chain", 10, again)
    assert [due for _, due, _ in advance(clock, 100)] == [10, 20, 30]


def test_a_cancelled_timer_does_not_fire() -> None:
    clock = SimulatedClock()
    clock.set_timer("t", 10, ignore)
    clock.set_alert("a", 15, ignore)
    assert clock.cancel_timer("t") is True
    assert clock.next_due == 15
    assert [name for name, _, _ in advance(clock, 50)] == ["a"]
    assert clock.cancel_timer("t") is False


def test_a_timer_cancelled_between_firing_and_handling_does_nothing() -> None:
    clock = SimulatedClock()
    got: list[TimeEvent] = []
    clock.set_alert("a", 10, got.append)
    event = clock.advance(10)
    assert event is not None
    assert clock.cancel_timer("a") is True
    clock.fire(event)
    assert got == []


def test_a_timer_cancelled_by_the_callback_of_an_earlier_one_due_at_the_same_time_is_silent() -> (
    None
):
    clock = SimulatedClock()
    got: list[str] = []
    clock.set_alert("first", 10, lambda _: got.append("first") or clock.cancel_timer("second"))
    clock.set_alert("second", 10, lambda _: got.append("second"))
    waiting = deque[TimeEvent]()
    while (event := clock.advance(10)) is not None:  # a runner queues both before handling one
        waiting.append(event)
    for event in waiting:
        clock.fire(event)
    assert got == ["first"]


def test_an_alert_set_anew_before_its_last_firing_is_handled_loses_neither_callback() -> None:
    clock = SimulatedClock()
    got: list[str] = []
    clock.set_alert("a", 10, lambda _: got.append("old"))
    old = clock.advance(10)
    clock.set_alert("a", 10, lambda _: got.append("new"))
    new = clock.advance(10)
    assert old is not None
    assert new is not None
    clock.fire(old)
    clock.fire(new)
    clock.fire(new)
    assert got == ["old", "new"]


def test_two_running_timers_cannot_have_one_name() -> None:
    clock = SimulatedClock()
    clock.set_timer("t", 10, ignore)
    with pytest.raises(ConfigError, match="a timer named 't' is running; cancel it first"):
        clock.set_alert("t", 20, ignore)


@pytest.mark.parametrize("interval_ns", [0, -1])
def test_an_interval_must_be_positive(interval_ns: int) -> None:
    with pytest.raises(ConfigError, match="'t': its interval must be positive"):
        SimulatedClock().set_timer("t", interval_ns, ignore)


# --- live --------------------------------------------------------------------------------------


def run(test: Coroutine[Any, Any, None]) -> None:
    async def guarded() -> None:
        async with asyncio.timeout(GUARD_S):
            await test

    asyncio.run(guarded())


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replace the wall clock by a list: its last element is the time."""
    times = [1_000]

    class Time:
        time_ns = staticmethod(lambda: times[-1])

    monkeypatch.setattr(clock_module, "time", Time)
    return times


def test_a_live_clock_never_goes_backwards(wall: list[int]) -> None:
    clock = LiveClock(ignore)
    reads: list[int] = []
    for now in (1_000, 2_000, 1_500, 1_999, 2_001):
        wall.append(now)
        reads.append(clock.timestamp_ns())
    assert reads == [1_000, 2_000, 2_000, 2_000, 2_001]


def test_a_sample_holds_a_live_clock_until_it_is_released(wall: list[int]) -> None:
    clock = LiveClock(ignore)
    clock.sample()
    wall.append(5_000)
    assert clock.timestamp_ns() == 1_000
    clock.sample()
    assert clock.timestamp_ns() == 5_000
    wall.append(6_000)
    clock.release()
    assert clock.timestamp_ns() == 6_000


def test_a_live_clock_reads_the_systems_time() -> None:
    clock = LiveClock(ignore)
    first = clock.timestamp_ns()
    assert first > 1_600_000_000 * 10**9
    assert clock.timestamp_ns() >= first


def live(use: Callable[[LiveClock, asyncio.Queue[TimeEvent]], Coroutine[Any, Any, None]]) -> None:
    async def test() -> None:
        events: asyncio.Queue[TimeEvent] = asyncio.Queue()
        clock = LiveClock(events.put_nowait)
        clock.start(asyncio.get_running_loop())
        try:
            await use(clock, events)
        finally:
            clock.stop()

    run(test())


def test_live_timers_and_alerts_fire_on_a_real_loop_in_order_of_their_due_times() -> None:
    async def use(clock: LiveClock, events: asyncio.Queue[TimeEvent]) -> None:
        now = clock.timestamp_ns()
        clock.set_alert("third", now + 3_000_000, ignore)
        clock.set_alert("second", now + 2_000_000, ignore)
        clock.set_alert("first", now + 1_000_000, ignore)
        got = [await events.get() for _ in range(3)]
        assert [event.name for event in got] == ["first", "second", "third"]
        assert all(event.ts_init >= event.ts_event for event in got)

    live(use)


def test_a_live_alert_in_the_past_is_emitted_by_the_loop_and_not_inside_the_call() -> None:
    async def use(clock: LiveClock, events: asyncio.Queue[TimeEvent]) -> None:
        clock.set_alert("past", 5, ignore)
        assert events.empty()
        assert (await events.get()).name == "past"

    live(use)


def test_a_live_timer_that_was_kept_waiting_emits_every_interval_it_missed(wall: list[int]) -> None:
    async def use(clock: LiveClock, events: asyncio.Queue[TimeEvent]) -> None:
        clock.stop()
        clock.set_timer("t", 10, ignore, stop_ns=1_100)
        wall.append(1_055)
        clock.start(asyncio.get_running_loop())
        got = [await events.get() for _ in range(5)]
        assert [event.ts_event for event in got] == [1_010, 1_020, 1_030, 1_040, 1_050]
        assert {event.ts_init for event in got} == {1_055}
        assert clock.next_due == 1_060

    live(use)


def test_a_cancelled_live_timer_is_not_emitted() -> None:
    async def use(clock: LiveClock, events: asyncio.Queue[TimeEvent]) -> None:
        now = clock.timestamp_ns()
        clock.set_alert("cancelled", now + 1_000_000, ignore)
        clock.set_alert("kept", now + 2_000_000, ignore)
        clock.cancel_timer("cancelled")
        assert (await events.get()).name == "kept"
        assert events.empty()

    live(use)


def test_a_stopped_live_clock_keeps_its_timers_and_fires_them_when_started_again() -> None:
    async def use(clock: LiveClock, events: asyncio.Queue[TimeEvent]) -> None:
        clock.set_alert("a", clock.timestamp_ns() + 1_000_000, ignore)
        clock.stop()
        await asyncio.sleep(0.005)
        assert events.empty()
        assert clock.timer_names == ["a"]
        clock.start(asyncio.get_running_loop())
        assert (await events.get()).name == "a"

    live(use)


def test_a_live_clock_started_on_a_second_loop_fires_there() -> None:
    emitted: list[TimeEvent] = []
    clock = LiveClock(emitted.append)

    async def first() -> None:
        clock.start(asyncio.get_running_loop())
        clock.set_alert("a", clock.timestamp_ns() + 50_000_000, ignore)

    async def second() -> None:
        clock.start(asyncio.get_running_loop())
        while not emitted:
            await asyncio.sleep(0.001)

    run(first())
    run(second())
    clock.stop()
    assert [event.name for event in emitted] == ["a"]

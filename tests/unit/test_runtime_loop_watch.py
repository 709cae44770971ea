"""The loop watch: stalls are measured, and reported before what queued up is handled."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.waiting import GUARD_S
from workbench.model.errors import ConfigError
from workbench.runtime import (
    AsyncRunnerHandle,
    Channels,
    Dispatcher,
    Handlers,
    LoopWatch,
    Pump,
    SimulatedClock,
)

THRESHOLD_S = 0.05
STALL_S = 0.4


def hold_the_interpreter() -> None:
    """Block the loop in one C call that lets no other thread run, for longer than the threshold."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < 2 * THRESHOLD_S:
        size = 20_000_000
        sum(range(size))


@pytest.mark.parametrize(
    "block", [lambda: time.sleep(STALL_S), hold_the_interpreter], ids=["sleep", "holding-the-GIL"]
)
def test_a_stall_is_reported_before_what_queued_up_meanwhile_is_handled(
    block: Callable[[], None],
) -> None:
    order: list[Any] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        watch = LoopWatch(
            loop,
            lambda stall_ns: order.append(("stall", stall_ns)),
            time.perf_counter_ns,
            threshold_s=THRESHOLD_S,
            interval_s=0.005,
        )
        channels = Channels.plain()
        handlers = Handlers(*(order.append for _ in range(5)))
        stop = AsyncRunnerHandle()
        pump = Pump(
            Dispatcher(channels, SimulatedClock(), handlers), stop, before_slice=watch.check
        )
        task = asyncio.create_task(pump.run())
        watch.start()
        await asyncio.sleep(0.05)
        order.clear()  # a busy machine may have stalled before the trial

        def cell() -> None:
            channels.data_events.put("queued at the stall's beginning")
            block()
            channels.execution_events.put("queued at its end")

        loop.call_soon(cell)
        while len(order) < 3:
            await asyncio.sleep(0.001)
        watch.stop()
        stop.stop()
        await task

    async def guarded() -> None:
        async with asyncio.timeout(GUARD_S):
            await test()

    asyncio.run(guarded())
    kind, stall_ns = order[0]
    assert kind == "stall"
    assert stall_ns >= THRESHOLD_S * 1e9
    assert order[1:3] == ["queued at its end", "queued at the stall's beginning"]


class ManualWatch:
    """A loop watch whose time a test moves, and whose beats reach the loop only when it says so."""

    def __init__(self) -> None:
        self.now_ns = 10**12
        self.stalls: list[int] = []
        self.beats: list[Callable[[], None]] = []
        self.sent = threading.Event()
        self.watch = LoopWatch(
            self,  # type: ignore[arg-type]
            self.stalls.append,
            lambda: self.now_ns,
            threshold_s=0.25,
            interval_s=0.001,
        )

    def call_soon_threadsafe(self, beat: Callable[[], None]) -> None:
        self.beats.append(beat)
        self.sent.set()

    def wait_for_a_beat(self) -> None:
        assert self.sent.wait(GUARD_S)
        self.sent.clear()

    def pass_time(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


def test_a_stall_is_reported_once_by_whatever_runs_first_the_check_or_the_beat() -> None:
    manual = ManualWatch()
    manual.watch.start()
    try:
        manual.wait_for_a_beat()
        manual.pass_time(0.5)
        assert manual.watch.stalled_for_ns == 500_000_000
        manual.watch.check()
        assert manual.stalls == [500_000_000]
        manual.watch.check()
        manual.beats.pop(0)()
        assert manual.stalls == [500_000_000]
        manual.wait_for_a_beat()
        manual.pass_time(0.3)
        manual.beats[-1]()
        (second,) = manual.stalls[1:]
        assert 299_000_000 <= second <= 300_000_000  # to the interval exactly
    finally:
        manual.watch.stop()


def test_a_wait_below_the_threshold_is_no_stall() -> None:
    manual = ManualWatch()
    manual.watch.start()
    try:
        manual.wait_for_a_beat()
        manual.pass_time(0.2)
        manual.beats.pop(0)()
        assert manual.stalls == []
    finally:
        manual.watch.stop()


def test_a_watch_that_is_not_running_reports_nothing() -> None:
    manual = ManualWatch()
    manual.watch.check()
    assert manual.watch.stalled_for_ns == 0
    manual.watch.start()
    manual.watch.stop()
    manual.pass_time(10)
    manual.watch.check()
    assert manual.stalls == []


def test_stopping_a_watch_that_never_started_is_harmless() -> None:
    ManualWatch().watch.stop()


def test_the_watch_ends_by_itself_when_its_loop_is_closed() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    before = set(threading.enumerate())
    watch = LoopWatch(loop, print, time.perf_counter_ns, interval_s=0.001)
    watch.start()
    for thread in set(threading.enumerate()) - before:
        thread.join(GUARD_S)
        assert not thread.is_alive()
    watch.stop()


@pytest.mark.parametrize("settings", [{"threshold_s": 0}, {"interval_s": -1}])
def test_threshold_and_interval_must_be_positive(settings: dict[str, float]) -> None:
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(ConfigError, match="must be positive"):
            LoopWatch(loop, print, time.perf_counter_ns, **settings)
    finally:
        loop.close()

"""Figures of the runtime: `python tests/bench/bench_runtime.py` prints one JSON line each.

Every figure is the median of `REPEATS` runs. Nothing here decides a test.
"""

from __future__ import annotations

import asyncio
import json
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

from workbench.runtime import (
    AsyncRunnerHandle,
    Channels,
    Dispatcher,
    Handlers,
    LiveClock,
    Pump,
)

REPEATS = 7
BURST = 512
BURSTS = 400
BACKLOG = 1_000_000


def _report(name: str, unit: str, runs: list[float], **more: Any) -> None:
    line = {
        "figure": name,
        "median": round(statistics.median(runs), 3),
        "best": round(max(runs) if unit.endswith("/s") else min(runs), 3),
        "unit": unit,
        "runs": len(runs),
        **more,
    }
    print(json.dumps(line), flush=True)


def _ignore(message: Any) -> None:
    del message


def _dispatcher(on_data: Callable[[Any], None]) -> Dispatcher:
    channels = Channels.timed(time.perf_counter_ns)
    clock = LiveClock(channels.time_events.put)
    handlers = Handlers(clock.fire, _ignore, _ignore, _ignore, on_data)
    return Dispatcher(channels, clock, handlers)


async def _latency(messages: int) -> list[int]:
    """Put one message a millisecond on the same loop; return each put-to-handler time in ns."""
    hops: list[int] = []
    dispatcher = _dispatcher(lambda sent: hops.append(time.perf_counter_ns() - sent))
    stop = AsyncRunnerHandle()
    put = dispatcher.channels.data_events.put
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(Pump(dispatcher, stop).run())
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(messages):
            put(time.perf_counter_ns())
            due += 0.001
            await asyncio.sleep(max(0.0001, due - loop.time()))
        stop.stop()
    return hops


def bench_latency() -> None:
    """Put-to-handler latency at 1,000 messages a second."""
    medians: list[float] = []
    tails: list[float] = []
    for _ in range(REPEATS):
        hops = sorted(asyncio.run(_latency(1_000)))
        medians.append(hops[len(hops) // 2] / 1e3)
        tails.append(hops[len(hops) * 99 // 100] / 1e3)
    _report("put_to_handler_p50_at_1000_per_s", "us", medians)
    _report("put_to_handler_p99_at_1000_per_s", "us", tails)


async def _saturation() -> tuple[float, int]:
    """Return messages per second, puts included, and the number of timed sleeps."""
    dispatcher = _dispatcher(_ignore)
    stop = AsyncRunnerHandle()
    pump = Pump(dispatcher, stop)
    put = dispatcher.channels.data_events.put
    begin = time.perf_counter()
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        task = group.create_task(pump.run())
        for _ in range(BURSTS):
            for number in range(BURST):
                put(number)
            await asyncio.sleep(0)
        while dispatcher.data_handled < BURSTS * BURST:
            await asyncio.sleep(0.0001)
        elapsed = time.perf_counter() - begin
        stop.stop()
        await task
    return BURSTS * BURST / elapsed, pump.pauses


def bench_saturation() -> None:
    """Messages a second through channel, pump and dispatcher, with the pauses and without."""
    runs = [asyncio.run(_saturation()) for _ in range(REPEATS)]
    _report(
        "runner_saturation_bursts_of_512",
        "messages/s",
        [rate for rate, _ in runs],
        timed_sleeps=statistics.median(pauses for _, pauses in runs),
    )
    rates: list[float] = []
    for _ in range(REPEATS):
        dispatcher = _dispatcher(_ignore)
        put = dispatcher.channels.data_events.put
        begin = time.perf_counter()
        for _ in range(BURSTS):
            for number in range(BURST):
                put(number)
            while dispatcher.run_slice(5_000_000, time.perf_counter_ns):
                pass
        rates.append(BURSTS * BURST / (time.perf_counter() - begin))
    _report("dispatcher_saturation_bursts_of_512", "messages/s", rates)


def bench_cancel_behind_backlog() -> None:
    """How many of a million waiting data events are handled before a cancel put behind them."""
    before: list[float] = []
    for _ in range(5):
        dispatcher = _dispatcher(_ignore)
        seen: list[int] = []
        dispatcher.taps.append(
            lambda number, name, message, seen=seen: (
                seen.append(number) if message == "cancel" else None
            )
        )
        channels = dispatcher.channels
        for number in range(BACKLOG):
            channels.data_events.put(number)
        dispatcher.handle_next()
        channels.trading_commands.put("cancel")
        while not seen:
            dispatcher.handle_next()
        before.append(seen[0] - 2)
    _report("data_events_between_cancel_and_its_handling", "messages", before, backlog=BACKLOG)


if __name__ == "__main__":
    print(json.dumps({"python": platform.python_version(), "machine": platform.machine()}))
    bench_latency()
    bench_saturation()
    bench_cancel_behind_backlog()

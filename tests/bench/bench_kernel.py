"""Figures in a real kernel: `python tests/bench/bench_kernel.py [--rounds 5]`.

Put to handler at 1,000 messages a second; messages a second at saturation, and how long `1+1` in a
cell takes meanwhile, for a backlog of 3,000,000 and with a producer on the same loop, whose own
work counts; how long `import workbench` and `%load_ext workbench` take.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

from jupyter_client.manager import KernelManager

SETUP = """
import asyncio, time, json
import workbench as wb
from workbench.runtime import AsyncRunnerHandle, Channels, Dispatcher, Handlers, LiveClock, Pump

hops = []
handled = 0
def ignore(message): pass
def on_stamp(sent): hops.append(time.perf_counter_ns() - sent)
def on_number(number):
    global handled
    handled += 1

def start(on_data):
    channels = Channels.timed(time.perf_counter_ns)
    clock = LiveClock(channels.time_events.put)
    stop = AsyncRunnerHandle()
    handlers = Handlers(clock.fire, ignore, ignore, ignore, on_data)
    pump = Pump(Dispatcher(channels, clock, handlers), stop)
    return channels.data_events, stop, asyncio.get_running_loop().create_task(pump.run())
"""

PACED = """
data, stop, task = start(on_stamp)
began = time.perf_counter()
for number in range(3000):
    wait = began + number * 0.001 - time.perf_counter()
    if wait > 0:
        await asyncio.sleep(wait)
    data.put(time.perf_counter_ns())
await asyncio.sleep(0.05)
stop.stop(); await task
hops.sort()
p50, p99 = hops[len(hops) // 2], hops[int(len(hops) * .99)]
print(json.dumps({"p50_us": p50 / 1e3, "p99_us": p99 / 1e3}))
"""

BACKLOG = """
handled = 0
data, stop, task = start(on_number)
for number in range(3_000_000):
    data.put(number)
async def wait():
    while data.depth:
        await asyncio.sleep(0.001)
    return time.perf_counter()
began = time.perf_counter()
drained = asyncio.get_running_loop().create_task(wait())
"""

BACKLOG_DRAINED = """
seconds = await drained - began
stop.stop(); await task
print(json.dumps({"backlog_messages_per_s": 3_000_000 / seconds}))
"""

SATURATE = """
handled = 0
data, stop, task = start(on_number)
async def produce():
    # Keeps the channel full: 2,000 messages whenever fewer than that wait.
    while not stop.is_stopped:
        while data.depth < 20_000:
            for number in range(2000):
                data.put(number)
        await asyncio.sleep(0.001)
producer = asyncio.get_running_loop().create_task(produce())
saturated = time.perf_counter(), handled
"""

FINISH = """
seconds, count = time.perf_counter() - saturated[0], handled - saturated[1]
stop.stop()
await producer; await task
print(json.dumps({"messages_per_s": count / seconds}))
"""

LOAD = """
import time
began = time.perf_counter()
get_ipython().run_line_magic("load_ext", "workbench")
print(time.perf_counter() - began)
"""


def run(client: Any, code: str) -> str:
    """Run a cell and return what it printed."""
    printed: list[str] = []

    def take(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            printed.append(content["text"])
        elif message["msg_type"] == "error":
            raise SystemExit("\n".join(content["traceback"]))

    client.execute_interactive(code, timeout=120, output_hook=take)
    return "".join(printed)


def cell_times(client: Any, count: int) -> list[float]:
    """Return how long `1+1` took in so many cells, in milliseconds, sorted."""
    times: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        run(client, "1+1")
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)


def one_round() -> dict[str, float]:
    """Start a kernel, measure once, shut it down."""
    manager = KernelManager(kernel_name="python3")
    manager.kernel_spec_manager.ensure_native_kernel = True
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        figures: dict[str, float] = {"load_ext_s": float(run(client, LOAD))}
        run(client, SETUP)
        figures.update(json.loads(run(client, PACED)))
        run(client, BACKLOG)
        cells = cell_times(client, 150)
        figures.update(json.loads(run(client, BACKLOG_DRAINED)))
        figures["backlog_cell_p99_ms"] = cells[int(len(cells) * 0.99)]
        run(client, SATURATE)
        cells = cell_times(client, 200)
        figures.update(json.loads(run(client, FINISH)))
        figures["cell_p50_ms"] = cells[len(cells) // 2]
        figures["cell_p99_ms"] = cells[int(len(cells) * 0.99)]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return figures


def import_seconds() -> float:
    """Return how long `import workbench` takes in a new process, the interpreter's start apart."""
    code = "import time; t = time.perf_counter(); import workbench; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print the medians of several rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    runs = [{**one_round(), "import_s": import_seconds()} for _ in range(rounds)]
    for name in runs[0]:
        values = [figures[name] for figures in runs]
        span = f"({min(values):,.3f} to {max(values):,.3f})"
        print(f"{name:16} {statistics.median(values):>12,.3f}   {span}")


if __name__ == "__main__":
    main()

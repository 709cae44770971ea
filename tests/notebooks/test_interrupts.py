"""Interrupting a cell does not interrupt the node."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from tests.notebooks.kernels import Kernel


@pytest.fixture
def running(kernel: Kernel) -> Generator[Kernel]:
    kernel.run("node = started()\nawait until(lambda: ticking(node))").ok()
    yield kernel
    kernel.run("seen = node.strategies[0].count").ok()
    kernel.wait_until("node.strategies[0].count > seen + 10")
    assert kernel.value("[node.phase, node.fault]") == ["running", None]
    kernel.run("%node stop\n%node dispose").ok()


def test_a_synchronous_cell(running: Kernel) -> None:
    cell = running.submit("print('begun', flush=True)\nwhile True: pass")
    running.wait_for_text(cell, "begun")
    running.interrupt()
    running.finish(cell)
    assert cell.error is not None
    assert cell.error["ename"] == "KeyboardInterrupt"


def test_an_awaiting_cell(running: Kernel) -> None:
    cell = running.submit("print('begun', flush=True)\nawait asyncio.sleep(1000)")
    running.wait_for_text(cell, "begun")
    running.interrupt()
    running.finish(cell)
    assert cell.error is not None
    assert cell.error["ename"] in ("CancelledError", "KeyboardInterrupt")


def test_no_cell_at_all(running: Kernel) -> None:
    running.interrupt()
    running.run("await asyncio.sleep(0.05)").ok()


SLOW_STOP = """
def slow_data(context):
    client = wb.Synthetic(PAIR, rate=500)(context)
    async def disconnect():
        print("disconnecting", flush=True)
        await slow_data.may_end.wait()
        print("disconnected", flush=True)
    client.disconnect = disconnect
    return client

slow_data.may_end = asyncio.Event()
node = wb.sandbox(Ticker(), data=slow_data, instrument=PAIR,
                  config=wb.TradingNodeConfig(timeout_disconnection_s=60))
node.build(); node.run()
await until(lambda: ticking(node))
"""


@pytest.mark.parametrize("stop", ["%node stop", "await node.stop_async()", "node.stop()"])
def test_a_cell_that_waits_for_the_stop(new_kernel: Callable[[], Kernel], stop: str) -> None:
    kernel = new_kernel()
    begun = kernel.run(SLOW_STOP).ok()
    cell = kernel.submit(stop)
    kernel.wait_for_text(begun, "disconnecting")
    kernel.interrupt()
    kernel.finish(cell)
    assert cell.error is not None
    assert cell.error["ename"] in ("CancelledError", "KeyboardInterrupt")
    # The node goes on stopping, and can be waited for again.
    assert kernel.value("[node.state, node.fault]") == ["STOPPING", None]
    kernel.run("slow_data.may_end.set()\n" + stop).ok()
    assert kernel.value("[node.state, node.fault]") == ["STOPPED", None]
    assert "disconnected" in begun.out

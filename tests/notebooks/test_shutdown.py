"""Restarting or shutting down the kernel stops nodes gracefully before it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.notebooks.kernels import Kernel

NODE = """
from pathlib import Path

def note(text):
    with open("marks.txt", "a") as marks:
        marks.write(text + "\\n")

class Marking(Ticker):
    def on_stop(self):
        note("strategy stopped")

def data(context):
    client = wb.Synthetic(PAIR, rate=500)(context)
    async def disconnect():
        await asyncio.sleep(0.01)
        note("disconnected")
    client.disconnect = disconnect
    return client

node = wb.sandbox(Marking(), data=data, instrument=PAIR)
%node build
%node run
await until(lambda: ticking(node))
"""


def marks(kernel: Kernel) -> list[str]:
    path = kernel.directory / "marks.txt"
    return path.read_text().splitlines() if path.exists() else []


def streamed(messages: list[dict]) -> str:
    return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")


@pytest.mark.parametrize("restart", [True, False])
def test_an_idle_kernel_stops_its_nodes(new_kernel: Callable[[], Kernel], restart: bool) -> None:
    kernel = new_kernel()
    kernel.run(NODE).ok()
    kernel.shutdown(restart=restart)
    assert marks(kernel) == ["strategy stopped", "disconnected"]


@pytest.mark.parametrize(
    "cell",
    ["await asyncio.sleep(1000)", "while True:\n    await asyncio.sleep(0.001)"],
)
def test_so_does_one_with_an_awaiting_cell(new_kernel: Callable[[], Kernel], cell: str) -> None:
    kernel = new_kernel()
    kernel.run(NODE).ok()
    kernel.wait_for_text(kernel.submit("print('begun', flush=True)\n" + cell), "begun")
    kernel.shutdown(restart=True)
    assert marks(kernel) == ["strategy stopped", "disconnected"]


def test_with_a_busy_cell_what_did_not_finish_is_logged(new_kernel: Callable[[], Kernel]) -> None:
    kernel = new_kernel()
    kernel.run(NODE).ok()
    busy = kernel.submit("print('begun', flush=True)\ntime.sleep(2.5)")
    kernel.wait_for_text(busy, "begun")
    messages = kernel.shutdown(restart=True)
    said = streamed(messages) + busy.err
    assert "before this node has stopped" in said
    assert "TRADER-001" in said


def test_a_client_that_hangs_does_not_hold_the_kernel(new_kernel: Callable[[], Kernel]) -> None:
    kernel = new_kernel()
    kernel.run(NODE.replace("asyncio.sleep(0.01)", "asyncio.sleep(1000)")).ok()
    messages = kernel.shutdown(restart=True)
    assert marks(kernel) == ["strategy stopped"]
    said = streamed(messages)
    assert "SYNTHETIC did not disconnect" in said or "before this node has stopped" in said


def test_a_node_on_a_thread_of_its_own_stops_even_with_a_busy_cell(
    new_kernel: Callable[[], Kernel],
) -> None:
    kernel = new_kernel()
    kernel.run(NODE.replace("%node run", "node.run(thread=True)")).ok()
    busy = kernel.submit("print('begun', flush=True)\ntime.sleep(2.5)")
    kernel.wait_for_text(busy, "begun")
    kernel.shutdown(restart=True)
    assert marks(kernel) == ["strategy stopped", "disconnected"]


def test_a_failing_strategy_does_not_keep_the_others_from_stopping(
    new_kernel: Callable[[], Kernel],
) -> None:
    kernel = new_kernel()
    kernel.run(NODE).ok()
    kernel.run(
        "class Bad(wb.Strategy):\n"
        "    def on_stop(self):\n"
        "        raise ValueError('not now')\n"
        "bad = started(Bad(), name='BAD')\n"
        "await until(lambda: bad.phase == 'running')"
    ).ok()
    kernel.shutdown(restart=True)
    assert marks(kernel) == ["strategy stopped", "disconnected"]

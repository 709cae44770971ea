"""`%node stop` waits for the graceful stop, wherever it stands, while the node's tasks go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.conftest import SETUP
from tests.notebooks.kernels import Kernel, execute

# A client that must be let run on the loop to disconnect: it takes ten turns of its own.
SLOW = """
def slow_data(context):
    client = wb.Synthetic(PAIR, rate=500)(context)
    client.turns = 0

    async def disconnect():
        for _ in range(10):
            await asyncio.sleep(0.005)
            client.turns += 1

    client.disconnect = disconnect
    slow_data.client = client
    return client


def slow_node():
    node = wb.sandbox(Ticker(), data=slow_data, instrument=PAIR)
    node.build()
    node.run()
    return node


def is_nested():
    return hasattr(asyncio.get_event_loop(), "_nest_patched") or hasattr(
        type(asyncio.get_event_loop()), "_nest_patched"
    ) or asyncio.run.__module__ != "asyncio.runners"
"""
CHECK = (
    "assert node.state == 'STOPPED', node\n"
    "assert slow_data.client.turns == 10\n"
    "assert node.strategies[0].stopped\n"
)


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel(SETUP, SLOW)
    yield kernel
    kernel.close()


AWAITED = {
    "at the top level": "%node stop",
    "with a name": "%node stop node",
    "in a loop": "for _ in range(2):\n    %node stop",
    "in a branch": "if node.state == 'RUNNING':\n    %node stop",
    "in an assignment": "stopped = %node stop\nassert stopped is node",
    "with other awaits": "await asyncio.sleep(0.01)\n%node stop\nawait asyncio.sleep(0.01)",
    "in a coroutine": "async def end():\n    %node stop\nawait end()",
    "in Python": "await node.stop_async()",
    "under try": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    %node stop",
}
NESTED = {
    "in a function": "def end():\n    %node stop\nend()",
    "under %%time": "%%time\n%node stop",
    "under %time": "%time %node stop",
    "in a lambda": "(lambda: get_ipython().run_line_magic('node', 'stop'))()",
    "in Python": "node.stop()",
    "in a comprehension": "[node.stop() for _ in range(2)]",
    "with awaits before": "await asyncio.sleep(0.01)\nnode.stop()",
}


@pytest.mark.parametrize("where", AWAITED)
def test_it_awaits(kernel: Kernel, where: str) -> None:
    kernel.run("node = slow_node()\nawait until(lambda: ticking(node))").ok()
    # What follows in the same cell sees the stopped node: the stop was waited for.
    cell = kernel.run(AWAITED[where] + "\n" + CHECK).ok()
    assert "never awaited" not in cell.err
    assert not kernel.value("is_nested()")
    kernel.run("%node dispose").ok()


@pytest.mark.parametrize("where", NESTED)
def test_where_it_cannot_await_it_nests(where: str, nesting_kernel: Kernel) -> None:
    kernel = nesting_kernel
    kernel.run("node = slow_node()\nawait until(lambda: ticking(node))").ok()
    magic = NESTED[where].startswith("%")
    cell = kernel.run(NESTED[where] + ("" if magic else "\n" + CHECK)).ok()
    assert "never awaited" not in cell.err
    kernel.run(CHECK).ok()
    assert kernel.value("is_nested()")
    kernel.run("%node dispose").ok()


@pytest.fixture(scope="module")
def nesting_kernel():
    """A kernel of its own: nesting cannot be undone."""
    kernel = Kernel(SETUP, SLOW)
    yield kernel
    kernel.close()


def test_tasks_of_the_user_go_on_during_a_nested_stop(nesting_kernel: Kernel) -> None:
    kernel = nesting_kernel
    kernel.run(
        "node = slow_node()\n"
        "beats = []\n"
        "async def beat():\n"
        "    while True:\n"
        "        beats.append(node.state.value)\n"
        "        await asyncio.sleep(0.001)\n"
        "beating = asyncio.create_task(beat())\n"
        "await until(lambda: ticking(node))"
    ).ok()
    kernel.run("node.stop()\nassert 'STOPPING' in beats, set(beats)\nbeating.cancel()").ok()


def test_a_stop_right_after_run_in_the_same_cell_is_honoured(nesting_kernel: Kernel) -> None:
    kernel = nesting_kernel
    kernel.run("node = make()\nnode.build()\nnode.run()\nnode.stop()").ok()
    assert kernel.value("node.state") == "STOPPED"
    kernel.run("node = make()\n%node build\n%node run\n%node stop\n%node dispose").ok()
    assert kernel.value("[node.state, node.fault]") == ["DISPOSED", None]


@pytest.mark.parametrize(
    "phase", ["connecting", "flushing", "reconciling", "starting strategies", "running"]
)
def test_a_stop_asked_for_in_each_phase_is_honoured(kernel: Kernel, phase: str) -> None:
    kernel.run(
        "node = make()\n"
        "seen = []\n"
        "def look(node):\n"
        "    seen.append(node.phase.value)\n"
        f"    if node.phase == {phase!r} and node.state == 'RUNNING':\n"
        "        node.request_stop()\n"
        "node.on_change(look)\n"
        "%node build\n%node run\n"
        "await until(lambda: node.state != 'RUNNING')\n"
        "%node stop\n"
    ).ok()
    assert kernel.value("[node.state, node.fault]") == ["STOPPED", None]
    seen = kernel.value("seen")
    order = ["connecting", "flushing", "reconciling", "starting strategies", "running"]
    later = order[order.index(phase) + 1 :]
    assert phase in seen
    # Connecting comes twice, for data and for execution; what must not come is what follows.
    assert not set(later) - {"connecting", "flushing"} & set(seen)
    kernel.run("%node dispose").ok()


def test_it_waits_under_nbclient(directory: Path) -> None:
    cells = [
        SETUP,
        "node = started()\nawait until(lambda: ticking(node))",
        "%node stop\nassert node.state == 'STOPPED'",
        "%node dispose\nassert node.fault is None\nassert not hasattr(asyncio, '_nest_patched')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    execute(notebook, directory)
    assert "DISPOSED" in str(notebook.cells[3].outputs) or not notebook.cells[3].outputs


def test_the_first_nested_stop_leaves_the_loop_what_it_still_counts_on(
    new_kernel: Callable[[], Kernel],
) -> None:
    # The loop goes through a batch of callbacks whose number it has noted; a nested run handles
    # them, and the loop, back at its batch, finds fewer than it counted.
    kernel = new_kernel()
    kernel.run(
        "node = started()\n"
        "await until(lambda: ticking(node))\n"
        "loop = asyncio.get_running_loop()\n"
        "woken = loop.create_future()\n"
        "def wake():\n"
        "    woken.set_result(None)\n"
        "    for _ in range(50):\n"
        "        loop.call_soon(lambda: None)\n"
        "loop.call_soon(wake)\n"
        "await woken\n"
        "node.stop()"
    ).ok()
    assert kernel.value("node.state") == "STOPPED"

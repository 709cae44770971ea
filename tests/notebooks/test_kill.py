"""KILL in a real kernel: acknowledged while a cell computes, and never inside that cell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notebooks.kernels import Kernel

_SETUP = """
import threading, time
import workbench as wb

PAIR = wb.CurrencyPair.define(
    "BTC/USDT.SIM", price_increment="0.01", quantity_increment="0.001"
)

class Resting(wb.Strategy):
    def on_start(self):
        self.n = 0
        self.subscribe_quotes(PAIR.id)

    def on_quote(self, quote):
        self.n += 1
        if self.n == 1:
            for _ in range(3):
                self.submit_order(self.orders.limit(PAIR.id, "buy", 1, quote.bid / 2))

def begin(thread):
    node = wb.sandbox(
        Resting(), data=wb.Synthetic(PAIR, seed=1), instrument=PAIR
    )
    node.build()
    node.run(thread=thread)
    return node

def killing(node):
    def kill():
        time.sleep(0.3)
        print("1:", node.kill().text, node.trading_state)
        time.sleep(0.9)
        print("2:", node.kill_report.text)
    thread = threading.Thread(target=kill)
    thread.start()
    return thread
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    made = Kernel(_SETUP)
    yield made
    made.close()


def begin(kernel: Kernel, thread: bool) -> None:
    kernel.run(f"node = begin({thread})").ok()
    kernel.wait_until("len(node.core.cache.orders_open()) == 3")
    kernel.run("before = len(node.core.log)").ok()


def end(kernel: Kernel) -> None:
    kernel.run("await node.stop_async(); node.dispose()").ok()


_BUSY = """
killer = killing(node)
end = time.monotonic() + 2.0
while time.monotonic() < end:
    pass
killer.join()
print("the cell ends")
"""


def test_on_the_kernel_s_loop_it_is_acknowledged_before_the_busy_cell_ends(kernel: Kernel) -> None:
    begin(kernel, thread=False)
    cell = kernel.run(_BUSY).ok()
    assert cell.out.splitlines() == [
        "1: HALTED; 3 cancels queued halted",
        "2: HALTED; 3 cancels queued",
        "the cell ends",
    ]
    kernel.wait_until("node.kill_report.is_settled")
    assert kernel.value("node.kill_report.text") == "HALTED; 3 cancels sent"
    assert kernel.value("node.orders()['status'].tolist()") == ["canceled"] * 3
    handled = kernel.value(
        "[type(r.message).__name__ for r in list(node.core.log)[before:]"
        " if r.kind in ('command', 'event', 'time')]"
    )
    assert handled[:3] == ["CancelOrder"] * 3
    assert kernel.value("node.state") == "RUNNING"
    end(kernel)


def test_on_a_thread_of_its_own_the_cancels_are_sent_while_the_cell_computes(
    kernel: Kernel,
) -> None:
    begin(kernel, thread=True)
    lines = kernel.run(_BUSY).ok().out.splitlines()
    assert lines[1:] == ["2: HALTED; 3 cancels sent", "the cell ends"]
    end(kernel)


def test_a_cell_that_calls_it_itself_has_cancelled_when_it_returns(kernel: Kernel) -> None:
    begin(kernel, thread=False)
    assert kernel.value("node.kill().text") == "HALTED; 3 cancels sent"
    end(kernel)

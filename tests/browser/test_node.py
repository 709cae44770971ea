"""A node worked with in JupyterLab: its words, an interrupt, a restart."""

from __future__ import annotations

from tests.browser.lab_page import LabPage
from tests.browser.server import LabServer

SETUP = """
%load_ext workbench
import asyncio, time
import workbench as wb

class Counter(wb.Strategy):
    def on_start(self):
        self.count = 0
        self.subscribe_quotes()

    def on_quote(self, quote):
        self.count += 1

pair = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01")
counter = Counter()
node = wb.sandbox(counter, wb.Synthetic(pair, rate=200), instrument=pair)
""".strip()
GROWS = """
seen = counter.count
while node.state == "RUNNING" and counter.count < seen + 20:
    await asyncio.sleep(0.01)
print(node.state, "and counting" if counter.count >= seen + 20 else "but stuck")
""".strip()


def opened(lab: LabPage, server: LabServer, name: str, *cells: str) -> LabPage:
    return lab.open(server.new(name, SETUP, *cells))


def test_a_node_is_built_run_and_stopped_and_says_where_it_is(
    lab: LabPage, server: LabServer
) -> None:
    cells = ("%node build", "%node run", GROWS, "%node stop", "%node dispose", "%node biuld")
    opened(lab, server, "words", *cells)
    lab.run_to_end(0)
    assert "BUILT" in lab.run_to_end(1)
    assert "RUNNING" in lab.run_to_end(2)
    assert lab.run_to_end(3).strip() == "RUNNING and counting"
    assert "STOPPED" in lab.run_to_end(4)
    assert "DISPOSED" in lab.run_to_end(5)
    assert lab.failures() == []
    # A wrong word says what was expected and what came.
    shown = lab.run_to_end(6)
    assert "ConfigError" in shown
    assert "'biuld'" in shown
    assert "build" in shown.replace("biuld", "")
    lab.picture("wrong-word-light")
    lab.theme("dark")
    lab.picture("wrong-word-dark")


def test_an_interrupted_cell_leaves_the_node_running(lab: LabPage, server: LabServer) -> None:
    cells = ("%node build\n%node run", "print('begun')\ntime.sleep(1000)", GROWS)
    opened(lab, server, "interrupt", *cells, "print('begun')\nawait asyncio.sleep(1000)", GROWS)
    lab.run_to_end(0)
    lab.run_to_end(1)
    for endless in (2, 4):
        moment = lab.moment()
        lab.run(endless)
        lab.wait_for_text(endless, "begun")
        lab.interrupt()
        lab.wait_for_end([endless], moment)
        assert "Interrupt" in lab.text(endless) or "Cancelled" in lab.text(endless)
        assert lab.run_to_end(endless + 1).strip() == "RUNNING and counting"
    assert len(lab.failures()) == 2


def test_a_kernel_restarted_while_a_node_runs_begins_anew(lab: LabPage, server: LabServer) -> None:
    opened(lab, server, "restart", "%node build\n%node run", GROWS, "%node stop", "node")
    for index in range(3):
        lab.run_to_end(index)
    (kernel,) = server.kernels()
    lab.restart()
    assert server.kernels() == [kernel]  # the same name, another process
    assert "NameError" in lab.run_to_end(4)
    for index in range(3):
        lab.run_to_end(index)
    assert lab.text(2).strip() == "RUNNING and counting"
    assert "STOPPED" in lab.run_to_end(3)

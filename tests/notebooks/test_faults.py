"""A strategy's exception reaches the user: when it happens, and again from `%node stop`."""

from __future__ import annotations

import pytest

from tests.notebooks.kernels import Kernel

BAD = """
class Bad(wb.Strategy):
    def on_start(self):
        self.count = 0
        self.subscribe_quotes()

    def on_quote(self, quote):
        self.count += 1
        if self.count == 10:
            self.deeper(quote)

    def deeper(self, quote):
        raise ValueError("spread is gone")  # the strategy's own line
"""
LINE = "# the strategy's own line"


@pytest.mark.parametrize("how", ["%node run", "node.run()"])
def test_it_is_visible_when_it_happens_and_raised_by_stop(kernel: Kernel, how: str) -> None:
    kernel.run(BAD).ok()
    running = kernel.run(f"node = make(Bad())\n%node build\n{how}").ok()
    kernel.wait_for_text(running, "spread is gone")  # without another cell being run
    kernel.wait_until("node.state == 'STOPPED'")
    shown = running.err
    for text in ("Bad-001", "ValueError", "on_quote", "Quote(", LINE, "Cell In["):
        assert text in shown
    assert shown.count(LINE) == 1
    assert "/workbench/" not in shown
    assert len(shown.splitlines()) < 20

    cell = kernel.run("%node stop")
    assert cell.error is not None
    assert cell.error["ename"] == "StrategyError"
    for text in ("Bad-001", "ValueError", "on_quote", "Quote(", LINE):
        assert text in cell.error_text
    assert "/workbench/" not in cell.error_text
    # It was told; the node is legal and goes on to its end.
    kernel.run("%node stop").ok()
    assert "spread is gone" in kernel.run("%node status").ok().result
    kernel.run("%node dispose").ok()
    assert "never retrieved" not in running.err + cell.err


@pytest.mark.parametrize("callback", ["on_start", "on_stop"])
def test_it_is_named_also_from_a_callback_without_an_event(kernel: Kernel, callback: str) -> None:
    kernel.run(
        f"class Bad(wb.Strategy):\n    def {callback}(self):\n        return {{}}['missing']"
    ).ok()
    kernel.run("node = make(Bad())\n%node build\n%node run").ok()
    kernel.run("await until(lambda: node.phase == 'running' or node.fault)").ok()
    cell = kernel.run("%node stop")
    assert "return {}['missing']" in cell.error_text
    assert f"Bad-001 raised KeyError in {callback}" in cell.error_text
    kernel.run("%node dispose").ok()


def test_what_caused_it_and_groups_are_shown_whole(kernel: Kernel) -> None:
    kernel.run(
        "class Bad(wb.Strategy):\n"
        "    def on_start(self):\n"
        "        try:\n"
        "            {}['first']\n"
        "        except KeyError as error:\n"
        "            raise ExceptionGroup('both', [ValueError('left'), OSError('right')]) "
        "from error"
    ).ok()
    running = kernel.run("node = make(Bad())\n%node build\n%node run").ok()
    kernel.wait_for_text(running, "on_start")
    kernel.wait_until("node.state == 'STOPPED'")
    cell = kernel.run("%node stop")
    for shown in (running.err, cell.error_text + cell.out + cell.err):
        for text in ("first", "both", "left", "right", "Bad-001"):
            assert text in shown
    kernel.run("%node dispose").ok()


def test_a_clients_exception_shows_the_clients_lines(kernel: Kernel) -> None:
    kernel.run(
        "def broken(context):\n"
        "    client = wb.Synthetic(PAIR)(context)\n"
        "    async def connect():\n"
        "        raise OSError('no route')  # the client's own line\n"
        "    client.connect = connect\n"
        "    return client\n"
        "node = wb.sandbox(Ticker(), data=broken, instrument=PAIR)"
    ).ok()
    running = kernel.run("%node build\n%node run").ok()
    kernel.wait_for_text(running, "# the client's own line")
    kernel.wait_until("node.state == 'STOPPED'")
    cell = kernel.run("%node stop")
    for shown in (running.err, cell.error_text):
        assert "ClientError: SYNTHETIC" in shown
        assert "no route" in shown
        assert "# the client's own line" in shown
        assert "/workbench/" not in shown
    kernel.run("%node dispose").ok()


def test_of_two_nodes_the_fault_of_one_leaves_the_other_running(kernel: Kernel) -> None:
    kernel.run(BAD).ok()
    kernel.run("good = started(name='GOOD'); bad = started(Bad(), name='BAD')").ok()
    kernel.wait_until("bad.state == 'STOPPED'")
    kernel.run("seen = good.strategies[0].count").ok()
    kernel.wait_until("good.strategies[0].count > seen + 5")
    kernel.run("%node stop good").ok()
    assert kernel.value("good.fault") is None
    assert kernel.run("%node stop bad").error is not None
    kernel.run("%node dispose good\n%node dispose bad").ok()

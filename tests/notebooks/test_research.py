"""Backtests in cells: a progress bar, an interrupt that keeps what was computed, redefinition."""

from __future__ import annotations

from tests.notebooks.kernels import Kernel

SLOW = """
class Slow(wb.Strategy):
    pause: float = 0.0
    def on_start(self):
        self.count = 0
        self.subscribe_quotes()
    def on_quote(self, quote):
        self.count += 1
        if self.count == 1:
            print("begun", flush=True)
        time.sleep(self.pause)
quotes = wb.sample_quotes(15_000)
"""


def test_a_run_of_over_a_second_shows_a_progress_bar(kernel: Kernel) -> None:
    kernel.run(SLOW).ok()
    cell = kernel.run("result = wb.backtest(Slow(pause=0.0001), quotes, instrument=PAIR)").ok()
    shown = cell.err + str([m["content"] for m in cell.messages if m["msg_type"] == "display_data"])
    assert "backtest" in shown or "HBox" in shown
    assert kernel.value("result.events") == 15_000
    cell = kernel.run("result = wb.backtest(Slow(), quotes[:100], instrument=PAIR)").ok()
    assert cell.err == ""
    assert not [m for m in cell.messages if m["msg_type"] == "display_data"]


def test_an_interrupt_keeps_what_was_computed(kernel: Kernel) -> None:
    kernel.run(SLOW).ok()
    cell = kernel.submit("result = wb.backtest(Slow(pause=0.001), quotes, instrument=PAIR)")
    kernel.wait_for_text(cell, "begun")
    kernel.interrupt()
    kernel.finish(cell).ok()
    assert 0 < kernel.value("result.events") < 15_000
    assert "interrupted" in kernel.run("result").ok().result
    # The next cell can be interrupted as ever.
    cell = kernel.submit("print('begun', flush=True)\ntime.sleep(1000)")
    kernel.wait_for_text(cell, "begun")
    kernel.interrupt()
    assert kernel.finish(cell).error is not None


def test_a_strategy_is_redefined_and_run_again_without_a_restart(kernel: Kernel) -> None:
    code = (
        "class Crossing(wb.Strategy):\n"
        "    size: float = {size}\n"
        "    def on_start(self):\n"
        "        self.count = 0\n"
        "        self.subscribe_quotes()\n"
        "    def on_quote(self, quote):\n"
        "        self.count += 1\n"
        "        if self.count == 5:\n"
        "            self.submit_order(self.orders.market(quote.instrument_id, 'buy', self.size))\n"
        "strategy = Crossing()\n"
        "result = wb.backtest(strategy, wb.sample_quotes(500), instrument=PAIR)\n"
    )
    for size in ("0.5", "0.25", "0.25"):
        kernel.run(code.format(size=size)).ok()
        assert kernel.value("[str(q) for q in result.fills.quantity]") == [f"{size:0<5}"] or (
            kernel.value("[float(q) for q in result.fills.quantity]") == [float(size)]
        )
        kernel.run(
            "node = wb.sandbox(strategy, data=wb.sample_quotes(500), instrument=PAIR)\n"
            "%node build\n%node run\n"
            "await until(lambda: node.state == 'STOPPED')\n%node stop\n"
            "assert node.fills().equals(result.fills)\n%node dispose"
        ).ok()


def test_a_strategys_exception_shows_its_line_and_keeps_the_result(kernel: Kernel) -> None:
    kernel.run(
        "class Bad(wb.Strategy):\n"
        "    def on_start(self):\n"
        "        self.count = 0\n"
        "        self.subscribe_quotes()\n"
        "    def on_quote(self, quote):\n"
        "        self.count += 1\n"
        "        assert self.count < 50  # its own line\n"
    ).ok()
    cell = kernel.run("wb.backtest(Bad(), wb.sample_quotes(500), instrument=PAIR)")
    assert cell.error is not None
    assert "# its own line" in cell.error_text
    assert "Bad-001 raised AssertionError in on_quote" in cell.error_text
    assert "wb.backtest(Bad()" in cell.error_text
    assert "/workbench/" not in cell.error_text
    assert kernel.value("__import__('sys').last_value.result.events") >= 49

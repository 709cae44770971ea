"""What a dashboard costs: `python tests/bench/bench_dashboard.py [--rounds 3] [--seconds 20]`.

A real JupyterLab, a real Chromium that shows the page, and a node on the kernel's loop with ten
instruments, each a series of prices. By turns without and with the dashboard at 5 Hz: the kernel's
CPU time as a share of one core, and the hop latency of data events. Wanted: under 2 % of a core,
and under 5 ms more of the hop's p99. Needs the extra `browser` and Chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.browser.lab_page import HEIGHT, WIDTH, LabPage
from tests.browser.server import LabServer

SETUP = """
%load_ext workbench
import json, os, time
import workbench as wb

PAIRS = [
    wb.CurrencyPair.define(f"{one}/USDT.SIM", price_increment="0.01", quantity_increment="0.001")
    for one in "BTC ETH SOL XRP ADA DOGE LTC BNB DOT AVAX".split()
]

class Trader(wb.Strategy):
    def on_start(self):
        self.count = 0
        for pair in PAIRS:
            self.subscribe_quotes(pair.id)

    def on_quote(self, quote):
        self.count += 1
        if self.count % 100 == 0:
            side = "buy" if self.count // 100 % 2 else "sell"
            self.submit_order(self.orders.market(quote.instrument_id, side, 0.5))

def started():
    node = wb.sandbox(Trader(), data=wb.Synthetic(PAIRS, rate=20), instrument=PAIRS)
    node.build()
    node.run()
    return node

print(os.getpid())
"""
START = "node = started()"
SHOW = "node.dashboard(hz={hz})"
RESET = "hops = node.core.dispatcher.channels.data_events.hops; hops.__init__()"
READ = "print(json.dumps([hops.count, hops.quantile(0.5), hops.quantile(0.99)]))"
CLOSE = "node.dashboard().close(); await node.stop_async(); node.dispose()"
CLOSE_BARE = "await node.stop_async(); node.dispose()"
CELLS = [SETUP, START, SHOW, RESET, READ, CLOSE, CLOSE_BARE]
_WARM_S = 6.0


def one_round(lab: LabPage, kernel: psutil.Process, seconds: float, is_shown: bool) -> Any:
    """Run a node for so long; return the share of a core, and the hops' count, p50 and p99."""
    lab.run_to_end(1)
    if is_shown:
        lab.run(2)
        lab.page.locator("[data-wb=chart-price] .bk-Figure").wait_for()
    time.sleep(_WARM_S)
    lab.run_to_end(3)
    before, began = kernel.cpu_times(), time.perf_counter()
    time.sleep(seconds)
    after, ended = kernel.cpu_times(), time.perf_counter()
    printed = lab.run_to_end(4)
    lab.run_to_end(5 if is_shown else 6)
    used = after.user + after.system - before.user - before.system
    return used / (ended - began), json.loads(printed)


def main() -> None:
    """Measure by turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--hz", type=float, default=5.0)
    chosen = parser.parse_args()
    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    server = LabServer()
    found: dict[bool, list[Any]] = {False: [], True: []}
    try:
        cells = [cell.replace("{hz}", f"{chosen.hz:g}") for cell in CELLS]
        name = server.new("bench", *cells)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path)
            context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
            lab = LabPage(context, server, "bench", Path(tempfile.gettempdir())).open(name)
            kernel = psutil.Process(int(lab.run_to_end(0)))
            for number in range(2 * chosen.rounds):
                is_shown = number % 2 == 1
                cpu, hops = one_round(lab, kernel, chosen.seconds, is_shown)
                found[is_shown].append((cpu, *hops))
                words = "with   " if is_shown else "without"
                print(f"{words}: CPU {cpu:.2%}, {hops[0]} hops, p50 {hops[1] / 1e3:.0f} µs,"
                      f" p99 {hops[2] / 1e6:.2f} ms")  # fmt: skip
            browser.close()
    finally:
        server.close()
    medians = {
        is_shown: [statistics.median(column) for column in zip(*rounds, strict=True)]
        for is_shown, rounds in found.items()
    }
    cpu = medians[True][0] - medians[False][0]
    hop_ms = (medians[True][3] - medians[False][3]) / 1e6
    print(f"the dashboard at {chosen.hz:g} Hz: {cpu:.2%} of a core, hop p99 {hop_ms:+.2f} ms")


if __name__ == "__main__":
    main()

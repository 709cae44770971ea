"""Writes the page of screenshots: python tests/browser/screenshots.py (notebooks/screenshots).

Each picture is of a real JupyterLab in a real Chromium; nothing in it is drawn or put together.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # this is a script: nothing else makes `tests` known

from tests.browser.board import Board, wait  # noqa: E402
from tests.browser.chromium import launched, opened, what_is_lacking  # noqa: E402
from tests.browser.lab_page import LabPage  # noqa: E402
from tests.browser.server import LabServer  # noqa: E402

FOLDER = ROOT / "notebooks" / "screenshots"
LIMIT_BYTES = 300_000
POINTS = 80  # of the price chart: some fifteen seconds

CAPTIONS = {
    "backtest": "A strategy and its backtest, in `01_quickstart.ipynb`.",
    "trading": "`%node watch` shows a running node live: where it is in its lifecycle and what can"
    " be done now, prices with its fills, profit, positions and accounts.",
    "orders": "Its orders, open and ended, and its fills.",
    "channels": "The five channels that everything goes through, and the engines' lanes, in"
    " JupyterLab's dark theme.",
    "kill": "KILL while a cell keeps the kernel busy: trading is halted at once, and the dashboard"
    " says that the cancels are queued. They are the first thing that is handled after the cell.",
}
SETUP = """
%load_ext workbench
import time
from pathlib import Path
import workbench as wb

class QuoteCross(wb.Strategy):
    fast: int = 15
    slow: int = 60

    def on_start(self):
        self.fast_ema, self.slow_ema = wb.EMA(self.fast), wb.EMA(self.slow)
        self.is_resting = False
        self.subscribe_quotes()

    def on_quote(self, quote):
        mid = (quote.bid + quote.ask) / 2
        side = "buy" if self.fast_ema.update(mid) > self.slow_ema.update(mid) else "sell"
        if not self.slow_ema.is_ready:
            return
        if not self.is_resting:
            self.is_resting = True
            for share in (0.97, 0.98, 0.99):
                price = self.instrument.price(quote.bid * share)
                self.submit_order(self.orders.limit(quote.instrument_id, "buy", 1, price))
        position = self.position()
        if position is None or (position.signed_quantity > 0) != (side == "buy"):
            size = 10 if position is None else 20
            self.submit_order(self.orders.market(quote.instrument_id, side, size))

instrument = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01")
node = wb.sandbox(QuoteCross(), wb.Synthetic(instrument, rate=20), instrument=instrument)
""".strip()
BUSY = """
print("computing", flush=True)
while not Path("seen").exists():  # a long computation
    time.sleep(0.02)
""".strip()


def take_backtest(lab: LabPage) -> None:
    lab.open("01_quickstart.ipynb")
    lab.run_all()
    lab.show(lab.index("wb.backtest("))
    lab.picture("backtest")


def take_dashboard(lab: LabPage, server: LabServer) -> None:
    lab.open(server.new("a node", SETUP, "%node build\n%node run", "%node watch", BUSY))
    for index in range(3):
        lab.run_to_end(index)
    board = Board(lab, 2)
    board.wait_for_state("RUNNING")
    wait(lab, lambda: board.price_points() > POINTS)
    lab.picture_of("trading", board.root)
    board.tab("orders")
    lab.picture_of("orders", board.root)
    lab.theme("dark")
    board.tab("channels")
    handled = board.handled()
    wait(lab, lambda: board.handled() > handled)  # another frame, with all charts there
    lab.picture_of("channels", board.root)
    lab.theme("light")
    board.tab("trading")
    moment = lab.moment()
    lab.run(3)
    lab.wait_for_text(3, "computing")
    board.press("kill")
    board.part("notice-kill").filter(has_text="queued").wait_for()
    board.part("trading").filter(has_text="halted").wait_for()
    lab.show(2)
    lab.picture("kill")
    (server.folder / "seen").touch()
    lab.wait_for_end([3], moment)


def write_page() -> None:
    parts = ["# Screenshots", "Made by `sh .ci/do screenshots`, in a real JupyterLab."]
    for name, caption in CAPTIONS.items():
        size = (FOLDER / f"{name}.png").stat().st_size
        if size > LIMIT_BYTES:
            raise ValueError(f"{name}.png has {size:,} bytes; the page takes {LIMIT_BYTES:,} each")
        parts += [caption, f"![{name}]({name}.png)"]
    (FOLDER / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def main() -> None:
    lacking = what_is_lacking()
    if lacking:
        sys.exit(lacking)
    FOLDER.mkdir(exist_ok=True)
    server = LabServer()
    try:
        with launched() as browser:
            with opened(browser, server, "backtest", FOLDER) as lab:
                take_backtest(lab)
            with opened(browser, server, "dashboard", FOLDER) as lab:
                take_dashboard(lab, server)
    finally:
        server.close()
    write_page()


if __name__ == "__main__":
    main()

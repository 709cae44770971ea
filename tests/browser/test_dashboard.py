"""The dashboard, looked at and clicked in JupyterLab."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.board import Board, wait
from tests.browser.lab_page import LabPage
from tests.browser.server import LabServer

SETUP = """
%load_ext workbench
import threading, time
from pathlib import Path
import workbench as wb

class Maker(wb.Strategy):
    '''Trades now and then, and keeps three orders far from the market.'''
    def on_start(self):
        self.count = 0
        self.subscribe_quotes()

    def on_quote(self, quote):
        self.count += 1
        if self.count == 1:
            for share in (0.5, 0.6, 0.7):
                price = self.instrument.price(quote.bid * share)
                self.submit_order(self.orders.limit(quote.instrument_id, "buy", 1, price))
        elif self.count % 50 == 0:
            side = "buy" if self.count % 100 else "sell"
            self.submit_order(self.orders.market(quote.instrument_id, side, 1))

pair = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01", taker_fee="0.0002")
maker = Maker()
node = wb.sandbox(maker, wb.Synthetic(pair, rate=100), instrument=pair)
""".strip()
WATCH = "%node watch"
GO = "%node build\n%node run"
# Holds the kernel until the test has seen what it waits for: no time decides.
BUSY = """
print("busy", flush=True)
until = time.monotonic() + 100
while not Path("{file}").exists() and time.monotonic() < until:
    time.sleep(0.02)
print("let go" if Path("{file}").exists() else "nobody came")
""".strip()
COUNT = """
from comm import get_comm_manager
def left():
    threads = [one for one in threading.enumerate() if "dashboard" in one.name]
    return len(get_comm_manager().comms), len(threads)
before = left()
""".strip()
LEFT = """
until = time.monotonic() + 60  # the page is told before the thread has ended
while left() != before and time.monotonic() < until:
    time.sleep(0.02)
print(before, left())
""".strip()


def watched(lab: LabPage, server: LabServer, name: str, *cells: str) -> Board:
    """Open a notebook whose second cell shows the dashboard of a node that runs."""
    lab.open(server.new(name, SETUP, WATCH, GO, *cells))
    for index in range(3):
        lab.run_to_end(index)
    assert lab.failures() == []
    board = Board(lab, 1)
    board.wait_for_state("RUNNING")
    return board


def test_the_strip_follows_build_run_stop_and_dispose_by_its_buttons(
    lab: LabPage, server: LabServer
) -> None:
    lab.open(server.new("buttons", SETUP, WATCH, "print(node.state, node.fault)"))
    lab.run_to_end(0)
    lab.run_to_end(1)
    board = Board(lab, 1)
    board.wait_for_state("CREATED")
    lab.picture("dashboard-created-light")
    for action, state in (
        ("build", "BUILT"),
        ("run", "RUNNING"),
        ("stop", "STOPPED"),
        ("dispose", "DISPOSED"),
    ):
        assert action in board.allowed()
        board.press(action)
        board.wait_for_state(state)
        assert lab.run_to_end(2).split() == [state, "None"]
    assert board.allowed() == set()
    lab.picture("dashboard-disposed-light")


def test_the_counters_of_channels_and_lanes_move(lab: LabPage, server: LabServer) -> None:
    board = watched(lab, server, "counters")
    board.tab("channels")
    wait(lab, lambda: board.value("channels", "data events", "In /s") not in ("", "0", "–"))
    first = board.handled()
    wait(lab, lambda: board.handled() > first + 100)
    line = board.part("table-channels").locator("svg path").last
    drawn = line.get_attribute("d")
    wait(lab, lambda: line.get_attribute("d") != drawn)


def test_kill_is_acknowledged_before_a_busy_cell_ends(
    lab: LabPage, server: LabServer, figure: Callable[[str, float], None]
) -> None:
    state = (
        "rested = node.orders().query('order_type == \"limit\"')\n"
        "print(node.snapshot().trading_state, *rested['status'])"
    )
    board = watched(lab, server, "kill", BUSY.format(file="kill-seen"), state)
    wait(lab, lambda: board.part("tile-orders").inner_text() == "3")
    lab.watch("trading", "[data-wb=trading]")
    lab.watch("kill", "[data-wb=notice-kill]")
    moment = lab.moment()
    lab.run(3)
    lab.wait_for_text(3, "busy")
    board.press("kill")
    board.part("notice-kill").filter(has_text="HALTED; 3 cancels queued").wait_for()
    board.part("trading").filter(has_text="halted").wait_for()
    lab.picture("dashboard-kill-light")
    (server.folder / "kill-seen").touch()
    lab.wait_for_end([3], moment)
    assert "let go" in lab.text(3)
    events = lab.events(moment)
    order = [one["kind"] for one in events if one["kind"] != "trading" or "halt" in one["text"]]
    assert order.index("click") < order.index("kill") < order.index("end")
    assert order.index("trading") < order.index("end")
    clicked = next(one["at"] for one in events if one["kind"] == "click" and "KILL" in one["text"])
    shown = next(one["at"] for one in events if one["kind"] == "kill")
    figure("KILL in a busy cell: click to HALTED in the page, ms", shown - clicked)
    # The cancels are the first thing that is handled after it.
    board.part("notice-kill").filter(has_text="3 cancels sent").wait_for()
    wait(lab, lambda: board.part("tile-orders").inner_text() == "0")
    assert lab.run_to_end(4).split() == ["halted", "canceled", "canceled", "canceled"]


def test_kill_cancels_within_a_busy_cell_where_the_node_has_a_thread(
    lab: LabPage, server: LabServer
) -> None:
    run = "node.build()\nnode.run(thread=True)"
    lab.open(server.new("thread", SETUP, run, WATCH, BUSY.format(file="thread-seen")))
    for index in range(3):
        lab.run_to_end(index)
    board = Board(lab, 2)
    wait(lab, lambda: board.part("tile-orders").inner_text() == "3")
    moment = lab.moment()
    lab.run(3)
    lab.wait_for_text(3, "busy")
    board.press("kill")
    board.part("notice-kill").filter(has_text="3 cancels sent").wait_for()
    wait(lab, lambda: board.part("tile-orders").inner_text() == "0")
    assert [one for one in lab.events(moment) if one["kind"] == "end"] == []
    (server.folder / "thread-seen").touch()
    lab.wait_for_end([3], moment)


def test_a_reload_keeps_what_was_there(lab: LabPage, server: LabServer) -> None:
    board = watched(lab, server, "reload")
    wait(lab, lambda: board.price_points() > 30)
    wait(lab, lambda: board.part("tile-fills").inner_text() not in ("", "0"))
    board.tab("channels")
    points, handled = board.price_points(), board.handled()
    lab.save()
    lab.reload()
    board = Board(lab, 1)
    board.wait_for_state("RUNNING")
    # The first frame after it brings all; a chart that began anew would need as long as before.
    wait(lab, lambda: board.price_points() > 0)
    assert board.price_points() >= points
    board.tab("channels")
    assert board.handled() >= handled
    seen = board.handled()
    wait(lab, lambda: board.handled() > seen)
    board.press("stop")
    board.wait_for_state("STOPPED")


def test_it_is_opened_twice_and_closed_without_a_trace(lab: LabPage, server: LabServer) -> None:
    lab.open(server.new("twice", SETUP, COUNT, GO, WATCH, "node.dashboard()", LEFT))
    for index in range(5):
        lab.run_to_end(index)
    boards = [Board(lab, 3), Board(lab, 4)]
    for board in boards:
        board.wait_for_state("RUNNING")
        board.tab("channels")
        first = board.handled()
        wait(lab, lambda board=board, first=first: board.handled() > first)
    boards[0].part("close").click()
    # It says that it is closed until JupyterLab takes its views away: no button is left.
    wait(lab, lambda: not any(board.allowed() for board in boards))
    assert lab.run_to_end(5).strip() == "(0, 0) (0, 0)"
    assert lab.failures() == []


def test_every_page_of_it_fits_and_can_be_read(lab: LabPage, server: LabServer) -> None:
    board = watched(lab, server, "looks")
    wait(lab, lambda: board.part("tile-fills").inner_text() not in ("", "0", "1", "2", "3"))
    wait(lab, lambda: board.price_points() > 10)
    for theme in ("light", "dark"):
        lab.theme(theme)
        for tab in ("trading", "orders", "channels", "log"):
            board.tab(tab)
            lab.picture_of(f"dashboard-{tab}-{theme}", board.root)
            assert board.root.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
        assert lab.overflows() == []


REAL = """
%load_ext workbench
import asyncio, tempfile, time
import workbench as wb
from workbench.venues.fake import FAKE, FakeVenue

class Maker(wb.Strategy):
    def on_start(self):
        self.subscribe_quotes()
    def trade(self):
        self.submit_order(self.orders.market(self.instrument.id, "buy", 1))
        self.submit_order(self.orders.limit(self.instrument.id, "buy", 1, price="90"))

pair = wb.CurrencyPair.define("BTC/USDT.FAKE", price_increment="0.01", quantity_increment="0.001")
fake = FakeVenue([pair], clock_ns=time.time_ns, balances={"USDT": 100_000, "BTC": 2})
async def moving():
    while True:
        fake.market.quote(pair.id, 99.99, 100.01)
        await asyncio.sleep(0.05)
first, second = Maker(), Maker()
limits = wb.RiskLimits(max_order_quantity=10, max_position=10, max_loss_per_day="1_000 USDT")
node = wb.sandbox(
    [first, second], account=wb.VenueAccount(FAKE, "FAKE-001", fake=fake), instrument=pair,
    config=wb.TradingNodeConfig(
        journal="default", data_folder=tempfile.mkdtemp(), limits=limits
    ),
)
node.build(); node.run()
market = asyncio.create_task(moving())
while node.core.cache.quote(pair.id) is None:
    await asyncio.sleep(0.01)
second.trade()
rules = wb.PromotionRules(min_duration_s=0, min_orders=0, min_fills=0, max_stall_s=60)
""".strip()
PROMOTE = "%node promote -s first --account FAKE-001 --confirm FAKE-001 --rules rules"
TRADE = "first.trade(); market.cancel()"


def test_it_shows_which_strategys_orders_are_live(lab: LabPage, server: LabServer) -> None:
    lab.open(server.new("live", REAL, WATCH, PROMOTE, TRADE))
    lab.run_to_end(0)
    lab.run_to_end(1)
    board = Board(lab, 1)
    board.wait_for_state("RUNNING")
    ways = board.part("ways")
    wait(lab, lambda: ways.inner_text() == "PAPER FAKE-PAPER")
    lab.run_to_end(2)
    wait(lab, lambda: board.badges() == ["LIVE FAKE-001: Maker-001", "PAPER FAKE-PAPER: Maker-002"])
    lab.run_to_end(3)
    assert lab.failures() == []
    board.tab("orders")
    board.part("table-fills").locator("tbody tr").nth(1).wait_for()
    assert board.value("fills", "Maker-001", "Account") == "FAKE-001"
    assert board.value("fills", "Maker-002", "Account") == "FAKE-PAPER"
    assert board.value("open_orders", "Maker-001", "Account") == "FAKE-001"
    for theme in ("light", "dark"):
        lab.theme(theme)
        for tab in ("trading", "orders"):
            board.tab(tab)
            lab.picture_of(f"dashboard-live-{tab}-{theme}", board.root)
            assert board.root.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
    board.tab("trading")
    assert board.value("accounts", "FAKE-001", "Kind") == "LIVE"
    assert board.value("accounts", "FAKE-PAPER", "Kind") == "paper"

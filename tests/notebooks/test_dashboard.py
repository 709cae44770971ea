"""The dashboard in a real kernel, whose front end is ours: frames, buttons, and what is left."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from tests.notebooks.conftest import SETUP
from tests.notebooks.front_end import FrontEnd
from tests.notebooks.kernels import Cell

LEFT = """
import gc, pathlib, threading, weakref
from ipywidgets.widgets import widget as _widgets

class Resting(Ticker):
    def on_quote(self, quote):
        self.count += 1
        if self.count == 10:
            self.submit_order(self.orders.limit(quote.instrument_id, "buy", 1, "50"))

def on_thread(strategy):
    node = make(strategy)
    node.build()
    node.run(thread=True)
    return node

def left():
    gc.collect()
    comms = get_ipython().kernel.comm_manager.comms
    threads = [t.name for t in threading.enumerate() if "dashboard" in t.name]
    tasks = [t.get_name() for t in asyncio.all_tasks() if "dashboard" in t.get_name()]
    return [len(_widgets._instances), len(comms), threads, tasks]
"""


@pytest.fixture
def page() -> Generator[FrontEnd]:
    """A kernel with a front end, for one test alone."""
    page = FrontEnd(SETUP, LEFT)
    yield page
    page.close()


def data_events(frame: dict[str, Any]) -> int:
    """Return how many data events a frame says the data lane has handled; -1 if it does not."""
    rows = frame.get("rows", {}).get("lanes", [])
    return next((int(cells[-1].replace(",", "")) for key, _, cells in rows if key == "data"), -1)


def notices(frame: dict[str, Any]) -> dict[str, str]:
    found = frame.get("head", {}).get("notices", [])
    return {name: text for name, _, text in found}


def test_counters_move_and_frames_follow_one_another(page: FrontEnd) -> None:
    cell = page.run("node = started()\ndashboard = node.dashboard()\ndashboard").ok()
    assert cell.result.startswith("Dashboard(TRADER-001, ")
    first = page.hello()
    assert first["head"]["trader"] == "TRADER-001"
    assert [name for name, _ in first["tabs"]] == ["trading", "orders", "channels", "log"]
    later = page.frame_where(lambda frame: data_events(frame) > max(0, data_events(first)))
    much_later = page.frame_where(lambda frame: data_events(frame) > data_events(later) + 20)
    assert much_later["sparks"]
    assert page.numbers == list(range(1, len(page.numbers) + 1))
    page.run("%node stop").ok()
    page.wait_for_state("STOPPED")


def test_the_buttons_take_a_node_through_its_life_and_resume_it_after_a_kill(
    page: FrontEnd,
) -> None:
    page.run("node = make()\ndashboard = node.dashboard()").ok()
    assert page.hello()["head"]["allowed"] == ["build", "dispose"]
    for number, (action, state) in enumerate([("build", "BUILT"), ("run", "RUNNING")]):
        assert page.press(action, number)["text"] == ""
        page.wait_for_state(state)
    page.run("await until(lambda: ticking(node))").ok()
    page.press("kill", 10)
    page.frame_where(lambda frame: "HALTED" in notices(frame).get("kill", ""))
    assert page.value("node.trading_state.value").upper() == "HALTED"
    assert page.press("resume", 11)["text"] == ""
    assert page.value("node.trading_state.value").upper() == "ACTIVE"
    for number, (action, state) in enumerate([("stop", "STOPPED"), ("dispose", "DISPOSED")], 20):
        assert page.press(action, number)["text"] == ""
        page.wait_for_state(state)


def test_a_node_in_which_nothing_happens_is_heard_of_nevertheless(page: FrontEnd) -> None:
    # The view takes silence for a lost kernel.
    page.run("node = make()\ndashboard = node.dashboard()").ok()
    page.hello()
    page.frame_where(lambda frame: frame == {})


def test_what_a_button_cannot_do_is_told_where_it_was_pressed(page: FrontEnd) -> None:
    page.run("node = make()\ndashboard = node.dashboard()").ok()
    page.hello()
    reply = page.press("run")
    assert reply["tone"] == "bad"
    assert reply["view"] == "first"
    assert reply["text"].startswith("Run: cannot run a CREATED node; allowed now: build, dispose")
    assert page.press("explode", 2)["text"].startswith("there is no button 'explode'")


def began(page: FrontEnd, node: str) -> Cell:
    """Start a node with a dashboard that is looked at, and then a busy cell."""
    page.run(f"node = {node}\ndashboard = node.dashboard()").ok()
    page.hello()
    page.run("await until(lambda: ticking(node, 30))").ok()
    # It ends when the test says so, not after some time.
    busy = page.submit(
        "print('begun', flush=True)\n"
        "guard = time.monotonic() + 120\n"
        "while not pathlib.Path('let go').exists() and time.monotonic() < guard:\n"
        "    time.sleep(0.01)\n"
        "print('end of the busy cell')"
    )
    page.wait_for_text(busy, "begun")
    return busy


def let_go(page: FrontEnd, busy: Cell) -> None:
    """End the busy cell."""
    assert "end of" not in busy.out
    (page.directory / "let go").touch()
    page.finish(busy).ok()


def test_kill_is_acknowledged_before_a_busy_cells_end(page: FrontEnd) -> None:
    can_be_told = page.make_subshell()
    busy = began(page, "started(Resting())")
    page.say("press", action="kill", number=1)
    # The frames go on in any case, and say why nothing moves.
    page.frame_where(lambda frame: "a cell is running" in notices(frame).get("stalled", ""))
    if can_be_told:
        page.wait_for(lambda one: one[0] == "reply")
        queued = page.frame_where(lambda frame: "HALTED" in notices(frame).get("kill", ""))
        assert notices(queued)["kill"] == "HALTED; 1 cancel queued"
    let_go(page, busy)
    # A kernel without subshells reads the message only now.
    reply = page.wait_for(lambda one: one[0] == "reply")[1]
    assert reply["text"] == ""
    sent = page.frame_where(lambda frame: "1 cancel sent" in notices(frame).get("kill", ""))
    assert sent["head"]["trading"] == "trading: halted"


def test_a_node_on_its_own_thread_cancels_before_a_busy_cells_end(page: FrontEnd) -> None:
    if not page.make_subshell():
        pytest.skip("a kernel without subshells reads no message before the cell's end")
    busy = began(page, "on_thread(Resting())")
    page.say("press", action="kill", number=1)
    page.frame_where(lambda frame: "1 cancel sent" in notices(frame).get("kill", ""))
    at = len(page.seen)
    page.frame_where(lambda frame: data_events(frame) > 0, at)  # it goes on meanwhile
    let_go(page, busy)
    page.run("%node stop").ok()


def test_a_page_that_is_loaded_anew_gets_the_window_kept_so_far(page: FrontEnd) -> None:
    page.run("node = started(Ticker(every=10))\ndashboard = node.dashboard()").ok()
    page.hello()
    (name,) = page.frame_where(lambda frame: frame.get("prices"))["prices"]
    page.frame_where(lambda frame: frame.get("marks"))
    seen = [one[2] for one in page.seen if one[0] == "frame"]
    prices = [point for frame in seen for point in frame.get("prices", {}).get(name, ())]
    marks = [mark for frame in seen for mark in frame.get("marks", ())]
    page.say("bye")
    again = page.hello("after the reload")
    assert again["prices"][name][: len(prices)] == prices
    assert again["marks"][: len(marks)] == marks
    assert again["tables"].keys() == again["rows"].keys()


def test_two_views_get_the_same_frames(page: FrontEnd) -> None:
    page.run("node = started()\nfirst = node.dashboard()").ok()
    page.hello("left")
    page.hello("right")
    assert page.value("first is node.dashboard()")
    assert len(page.comms) == 1
    page.view = "left"
    page.say("bye")
    at = len(page.seen)
    page.frame_where(lambda frame: data_events(frame) > 0, at)  # for the other one they go on


def test_nothing_is_sent_while_nobody_looks_but_the_window_goes_on(page: FrontEnd) -> None:
    page.run("node = started()\ndashboard = node.dashboard()").ok()
    points = "len(dashboard._frames.whole()['prices'].get(PAIR.id, ()))"
    page.wait_until(f"{points} >= 2")
    assert page.numbers == []
    page.hello()
    page.say("bye")
    page.wait_until("not dashboard._views")
    known = page.value("dashboard._number")
    before = page.value(points)
    page.wait_until(f"{points} >= {before} + 2")
    assert page.value("dashboard._number") == known


def test_a_view_that_went_without_a_word_is_sent_nothing_until_it_speaks(page: FrontEnd) -> None:
    page.run(
        "from workbench.jupyter.dashboard import dashboard as made\nmade._SILENT_S = 0.5\n"
        "node = started()\ndashboard = node.dashboard()\ndashboard"
    ).ok()
    page.hello()
    page.wait_until("not dashboard._views")
    known = page.value("dashboard._number")
    points = "len(dashboard._frames.whole()['prices'][PAIR.id])"
    page.wait_until(f"{points} >= {page.value(points)} + 2")
    assert page.value("dashboard._number") == known
    after = len(page.seen)
    page.say("here")
    whole = page.wait_for(lambda one: one[0] == "frame" and one[1], after)[2]
    assert whole["tabs"]


def test_closing_leaves_no_comm_thread_task_or_callback(page: FrontEnd) -> None:
    page.run("node = started()").ok()
    bare = page.value("left()")
    page.run("dashboard = node.dashboard()\nheld = weakref.ref(dashboard)").ok()
    page.hello()
    page.say("charts", script=False)
    page.wait_for(lambda one: one[0] == "charts")
    assert page.value("left()") != bare
    assert page.value("len(left()[2])") >= 1
    page.run("dashboard.close()\ndashboard.close()").ok()
    assert page.value("left()") == bare
    page.wait_for(lambda one: one[0] == "closed")
    page.wait_for(lambda one: one == ("comm_close", page.comms[-1]))
    page.run("del dashboard\ngc.collect()").ok()
    assert page.value("held() is None")
    assert page.value("node.state") == "RUNNING"
    page.run("again = node.dashboard()").ok()
    assert page.hello()["head"]["state"] == "RUNNING"
    page.run("again.close()\n%node stop").ok()


def test_the_view_can_close_it(page: FrontEnd) -> None:
    page.run("node = started()\ndashboard = node.dashboard()").ok()
    page.hello()
    page.say("close")
    page.wait_for(lambda one: one[0] == "comm_close")
    assert page.value("dashboard.is_closed")
    assert "closed" in page.run("dashboard").ok().result


def test_after_its_node_is_disposed_of_the_last_state_can_still_be_looked_at(
    page: FrontEnd,
) -> None:
    page.run("node = started()\ndashboard = node.dashboard()").ok()
    page.hello()
    page.run("%node stop\n%node dispose").ok()
    page.frame_where(lambda frame: frame.get("is_last"))
    page.wait_until("not left()[2]")
    again = page.hello("a reload")
    assert again["is_last"]
    assert again["head"]["state"] == "DISPOSED"
    assert again["prices"]


def test_unloading_the_extension_closes_dashboards(page: FrontEnd) -> None:
    page.run("node = make()").ok()
    bare = page.value("left()")
    page.run("dashboard = node.dashboard()\n%unload_ext workbench").ok()
    assert page.value("left()") == bare
    failed = page.run("node.dashboard()")
    assert "%load_ext workbench" in failed.error_text
    page.run("%load_ext workbench\nnode.dashboard()").ok()


def test_a_strategys_exception_is_shown_whole(page: FrontEnd) -> None:
    page.run(
        "class Broken(Ticker):\n"
        "    def on_quote(self, quote):\n"
        "        raise ValueError('the third wheel came off')\n"
        "node = started(Broken())\ndashboard = node.dashboard()"
    ).ok()
    page.hello()
    told = page.frame_where(lambda frame: frame.get("exceptions"))
    (text,) = told["exceptions"]
    assert "the third wheel came off" in text
    assert "on_quote" in text
    page.frame_where(lambda frame: "third wheel" in notices(frame).get("fault", ""))


def test_charts_come_with_their_script_and_nothing_in_them_is_elsewhere(page: FrontEnd) -> None:
    page.run("node = make()\ndashboard = node.dashboard()").ok()
    page.hello()
    page.say("charts", script=True)
    _, described, script = page.wait_for(lambda one: one[0] == "charts")
    charts = json.loads(described)
    assert set(charts["items"]) == {"price", "profit", "stalls"}
    assert charts["version"] in script.decode()
    assert b"http" not in described


def test_what_shows_no_widgets_gets_a_still_picture(page: FrontEnd) -> None:
    cell = page.run("node = started()\nnode.dashboard()").ok()
    (shown,) = [m["content"]["data"] for m in cell.messages if m["msg_type"] == "execute_result"]
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert "RUNNING" in shown["text/html"]
    assert "data events" in shown["text/plain"]


@pytest.mark.parametrize("hz", ["0.1", "60", "True", "'fast'"])
def test_an_unusable_rate_is_refused(page: FrontEnd, hz: str) -> None:
    failed = page.run(f"make().dashboard({hz})")
    assert "frames" in failed.error_text
    assert page.comms == []

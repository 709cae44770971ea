"""`%%strategy NAME`: a cell that defines a strategy, run again while it trades."""

from __future__ import annotations

import pytest

from tests.notebooks.kernels import Kernel
from tests.notebooks.test_node_magic import refused

CELL = """%%strategy cross
class Cross(wb.Strategy):
    limit: float = {limit}

    def on_start(self):
        self.average = wb.EMA(3)
        self.seen = []
        self.register_indicator("quotes", self.average, instrument_id=PAIR.id)
        self.subscribe_quotes()
        self.submit_order(self.orders.limit(PAIR.id, "buy", 1, 1))

    def on_quote(self, quote):
        if self.position() is None:
            self.submit_order(self.orders.market(PAIR.id, "buy", 2))
        elif quote.bid > self.limit:
            self.seen.append("{said}")
"""
FIRST = CELL.format(limit="1e9", said="first")
SECOND = CELL.format(limit="0.0", said="second")
# However busy the machine is: after a stall an order on an old price would be denied.
CALM = "stall_threshold_s=60.0"
RUN = f"node = started(cross, {CALM})\nawait until(lambda: len(node.fills()) == 1)"
END = "%node stop node\n%node dispose node\nassert node.fault is None"


@pytest.fixture
def kernel(kernel: Kernel) -> Kernel:
    kernel.run("globals().pop('cross', None); globals().pop('Cross', None)").ok()
    return kernel


def test_the_next_signal_uses_the_new_code_and_everything_else_stays(kernel: Kernel) -> None:
    assert kernel.run(FIRST).ok().result == "cross = Cross(limit=1000000000.0)"
    kernel.run(RUN).ok()
    kernel.run(
        "old, kept, average = Cross, cross, cross.average\n"
        "orders = [o.client_order_id for o in node.core.cache.orders_open()]\n"
        "position = cross.position()"
    ).ok()
    assert kernel.value("[len(orders), cross.seen]") == [1, []]
    shown = kernel.run(SECOND).ok().result
    assert shown.startswith("cross = Cross(limit=0.0)\nTRADER-001: Cross-001 goes on with code ")
    assert shown.endswith("; limit=0.0, which was 1000000000.0")
    kernel.run("await until(lambda: cross.seen)").ok()
    assert kernel.value("set(cross.seen) == {'second'}")
    assert kernel.value("cross is kept and type(cross) is Cross and Cross is not old")
    assert kernel.value("cross.average is average and average.is_ready")
    assert kernel.value("cross.position() is position and position.is_open")
    assert kernel.value("[o.client_order_id for o in node.core.cache.orders_open()] == orders")
    assert kernel.value("len(node.fills())") == 1
    kernel.run(
        "from workbench.model.events import StrategySwapped\n"
        "swaps = [r.message for r in node.core.log if isinstance(r.message, StrategySwapped)]"
    ).ok()
    assert kernel.value("[(s.strategy_id, s.old != s.new) for s in swaps]") == [["Cross-001", True]]
    kernel.run("lines = %node log").ok()
    assert kernel.value("lines.text.iloc[-1]").startswith("Cross-001 goes on with code")
    kernel.run(END).ok()


def test_on_a_thread_and_twice_in_a_row(kernel: Kernel) -> None:
    kernel.run(FIRST).ok()
    kernel.run(f"node = make(cross, {CALM}); node.build()\n%node run --thread").ok()
    kernel.run("while len(node.fills()) < 1: time.sleep(0.005)").ok()
    kernel.run(SECOND).ok()
    kernel.run(CELL.format(limit="0.0", said="third")).ok()
    kernel.run("cross.seen.clear()\nwhile not cross.seen: time.sleep(0.005)").ok()
    assert kernel.value("[set(cross.seen) == {'third'}, len(node.swaps())]") == [True, 2]
    kernel.run(END).ok()


def test_callbacks_that_are_gone_and_new_ones(kernel: Kernel) -> None:
    kernel.run(FIRST).ok()
    kernel.run(RUN).ok()
    kernel.run(
        "%%strategy cross\n"
        "class Cross(wb.Strategy):\n"
        "    def on_trade(self, trade):\n"
        "        self.seen.append('trade')\n"
    ).ok()
    kernel.run("node.call(cross.subscribe_trades); cross.seen.clear()").ok()
    kernel.run("await until(lambda: cross.seen)").ok()
    assert kernel.value("set(cross.seen)  == {'trade'}")
    assert kernel.value("dict(cross.parameters)") == {}
    kernel.run(SECOND).ok()
    kernel.run("cross.seen.clear()\nawait until(lambda: cross.seen)").ok()
    assert kernel.value("set(cross.seen)  == {'second'}")
    kernel.run(END).ok()


FAILING = {
    "nothing defined": ("x = 1", "ConfigError", "exactly one subclass of wb.Strategy; this one"),
    "two classes": (
        "class A(wb.Strategy): pass\nclass B(wb.Strategy): pass",
        *("ConfigError", "this one defines A, B"),
    ),
    "the object's own name": (
        "class cross(wb.Strategy): pass",
        *("ConfigError", "another name than its class"),
    ),
    "an actor": ("class Cross(wb.Actor): pass", "ConfigError", "another subclass of wb.Strategy"),
    "a misspelt callback": (
        "class Cross(wb.Strategy):\n    def on_quotes(self, quote): pass",
        *("ConfigError", "did you mean on_quote"),
    ),
    "a parameter without a value": (
        "class Cross(wb.Strategy):\n    must: int",
        *("ConfigError", "Cross-001 cannot go on as Cross: Cross needs a value"),
    ),
    "what only on_start sets": (
        "class Cross(wb.Strategy):\n"
        "    def on_start(self): self.fresh = 0\n"
        "    def on_quote(self, quote): self.fresh += 1",
        *("ConfigError", "on_quote reads self.fresh, which is not there yet"),
    ),
    "a syntax error": ("class Cross(wb.Strategy)\n    pass", "ConfigError", "line 2"),
    "tabs and spaces": (
        "class Cross(wb.Strategy):\n\tx = 1\n        y = 2",
        *("ConfigError", "line 4, 'y = 2': inconsistent use of tabs and spaces"),
    ),
    "an exception": ("LEFT = 1\nclass Cross(wb.Strategy):\n    x = no", "NameError", "'no'"),
}


def test_a_cell_that_fails_changes_nothing(kernel: Kernel) -> None:
    kernel.run(SECOND).ok()
    kernel.run(RUN).ok()
    kernel.run("kind = Cross; names = set(globals()) | {'names'}").ok()
    for code, error, said in FAILING.values():
        cell = kernel.run(f"%%strategy cross\n{code}")
        assert cell.error is not None, code
        assert cell.error["ename"] == error
        assert said in cell.error["evalue"]
        assert "/workbench/" not in cell.error_text
        assert kernel.value("type(cross) is kind and Cross is kind")
        left = kernel.value("sorted(n for n in set(globals()) - names if n[0] != '_')")
        assert left == [], code
    kernel.run("cross.seen.clear()\nawait until(lambda: cross.seen)").ok()
    assert kernel.value("set(cross.seen)  == {'second'} and len(node.swaps()) == 0")
    kernel.run(END).ok()


def test_an_object_that_cannot_be_made_is_shown_in_the_lines_of_the_cell(kernel: Kernel) -> None:
    cell = "class Cross(wb.Strategy):\n    def __init__(self):\n        self.x = no"
    text = kernel.run(f"%%strategy cross\n{cell}").error_text
    assert "line 4, in __init__" in text
    assert "NameError" in text
    assert "/workbench/" not in text
    assert "IPython" not in text


def test_an_exception_is_shown_in_the_lines_of_the_cell(kernel: Kernel) -> None:
    text = kernel.run("%%strategy cross\nclass Cross(wb.Strategy):\n\n    x = no").error_text
    assert "line 4, in Cross" in text
    assert "    x = no" in text
    assert "IPython" not in text
    kernel.run(FIRST).ok()
    kernel.run("import inspect").ok()
    assert "def on_quote" in kernel.value("inspect.getsource(Cross.on_quote)")


def test_a_live_node_is_refused_and_keeps_its_code(kernel: Kernel) -> None:
    kernel.run(SECOND).ok()
    kernel.run(
        "def venue(context):\n"
        "    client = wb.Simulated(wb.SimulatedVenue(name='SIM').for_instruments([PAIR]), [PAIR])"
        "(context)\n"
        "    client.is_simulated = False\n"
        "    return client\n"
        "import tempfile\nfolder = tempfile.mkdtemp()\n"
        f"settings = wb.TradingNodeConfig({CALM}, journal='default', data_folder=folder)\n"
        "node = wb.TradingNode(settings)\n"
        "node.add_data_client_factory(wb.Synthetic(PAIR, rate=200))\n"
        "node.add_exec_client_factory(venue)\n"
        "node.add_strategy(cross)\n"
        "node.build()\n%node run\n"
        "await until(lambda: len(node.fills()) == 1)\nkind = Cross"
    ).ok()
    refused(kernel, FIRST, "LifecycleError", "Cross-001 trades live: its code cannot be exchanged")
    assert kernel.value("type(cross) is kind and Cross is kind and cross.limit == 0.0")
    kernel.run(END).ok()


def test_all_that_have_the_class_go_on_with_it_or_one_node_alone(kernel: Kernel) -> None:
    kernel.run(FIRST).ok()
    kernel.run(
        f"left = started(cross, {CALM}); right = started(Cross(limit=5.0), name='R', {CALM})\n"
        "await until(lambda: len(left.fills()) and len(right.fills()))"
    ).ok()
    shown = kernel.run(SECOND).ok().result.splitlines()
    assert [line.split(" goes on")[0] for line in shown[1:]] == [
        *("TRADER-001: Cross-001", "R: Cross-001"),
    ]
    assert kernel.value("[type(n.strategies[0]) is Cross for n in (left, right)]") == [True, True]
    assert kernel.value("[n.strategies[0].limit for n in (left, right)]") == [0.0, 5.0]
    refused(
        kernel,
        FIRST.replace("cross\n", "cross --node right\n", 1),
        *("ConfigError", "cross is part of another node than that one; leave --node out"),
    )
    kernel.run(FIRST.replace("cross\n", "cross --node left\n", 1)).ok()
    assert kernel.value("[type(n.strategies[0]) is Cross for n in (left, right)]") == [True, False]
    refused(kernel, "%%strategy cross --node nowhere\nx = 1", "ConfigError", "'nowhere' is not def")
    kernel.run("for node in (left, right):\n    %node stop node\n    %node dispose node").ok()


def test_a_name_that_holds_something_else_is_left_alone(kernel: Kernel) -> None:
    kernel.run("node = make()").ok()
    refused(kernel, "%%strategy node\nclass A(wb.Strategy): pass", "ConfigError", "node holds a")
    refused(kernel, "%%strategy a-b\nclass A(wb.Strategy): pass", "ConfigError", "no name of a")
    refused(kernel, "%%strategy\nclass A(wb.Strategy): pass", "ConfigError", "required: NAME")
    kernel.run("%node dispose").ok()


def test_all_cells_run_twice_in_one_kernel_and_from_the_middle(kernel: Kernel) -> None:
    cells = [
        FIRST,
        "%node new trial --strategy cross --instrument PAIR --rate 500",
        "%node build trial\n%node run trial",
        "await until(lambda: len(trial.fills()) == 1)",
        SECOND,
        "await until(lambda: cross.seen)\nassert set(cross.seen) == {'second'}",
        "%node stop trial\n%node dispose trial\nassert trial.fault is None",
    ]
    for cell in [*cells, *cells, *cells[:5]]:
        kernel.run(cell).ok()
    # From the middle: the node runs, and is begun anew by one word.
    kernel.run("%node reset trial").ok()
    for cell in cells[2:]:
        kernel.run(cell).ok()


def test_after_a_fault_code_that_is_set_up_in_on_start_is_taken(kernel: Kernel) -> None:
    broken = (
        "%%strategy cross\nclass Cross(wb.Strategy):\n    def on_start(self):\n"
        "        self.subscribe_quotes()\n\n    def on_quote(self, quote):\n        1 / 0\n"
    )
    kernel.run(broken).ok()
    kernel.run(f"node = started(cross, {CALM})\nawait until(lambda: node.state == 'STOPPED')")
    assert kernel.run(FIRST).ok().result.startswith("cross = Cross(limit=1000000000.0)")
    assert "Do it once more: %node reset" in kernel.run("%node reset").error_text
    kernel.run("%node reset").ok()
    kernel.run("%node build\n%node run\nawait until(lambda: len(node.fills()) == 1)").ok()
    kernel.run(END).ok()

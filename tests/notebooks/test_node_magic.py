"""`%node WORD [NAME]`: its words, its names, its help, and what it says to a wrong one."""

from __future__ import annotations

import pytest

from tests.notebooks.kernels import Kernel

WORDS = [
    *("new", "build", "run", "status", "watch", "orders", "fills", "positions", "channels", "log"),
    *("journal", "shadow", "verify", "checklist", "promote", "demote"),
    *("halt", "resume", "kill", "stop", "dispose", "reset"),
]
ABOUT_ONE = WORDS[1:]
INSIDES = "/workbench/"


def refused(kernel: Kernel, code: str, kind: str, *said: str) -> str:
    """Run what must fail; check that the reply is short, ours, and says what is allowed."""
    cell = kernel.run(code)
    assert cell.error is not None
    assert cell.error["ename"] == kind
    for text in said:
        assert text in cell.error["evalue"]
        assert text in cell.error_text
    assert INSIDES not in cell.error_text
    assert "IPython" not in cell.error_text
    assert len(cell.error_text.splitlines()) <= 8, cell.error_text
    return cell.error_text


def test_there_is_no_node_yet(bare_kernel: Kernel) -> None:
    bare_kernel.run("%load_ext workbench").ok()
    for word in ABOUT_ONE:
        refused(bare_kernel, f"%node {word}", "ConfigError", "no node", "wb.sandbox(")


def test_a_node_is_stepped_through_its_lifecycle(kernel: Kernel) -> None:
    kernel.run("node = make()").ok()
    for word, state in [("status", "CREATED"), ("build", "BUILT"), ("run", "RUNNING")]:
        assert f": {state}" in kernel.run(f"%node {word}").ok().result
    assert "RUNNING" in kernel.run("%node status").ok().result
    assert ": STOPPED" in kernel.run("%node stop").ok().result
    assert ": DISPOSED" in kernel.run("%node dispose").ok().result


def test_without_a_name_it_is_the_node_constructed_last(kernel: Kernel) -> None:
    kernel.run("zeta = make(); alpha = make(); beta = alpha").ok()
    kernel.run("%node build").ok()
    assert kernel.value("[zeta.state, alpha.state]") == ["CREATED", "BUILT"]
    kernel.run("%node build zeta").ok()
    assert kernel.value("[zeta.state, alpha.state]") == ["BUILT", "BUILT"]
    kernel.run("%node dispose zeta\n%node dispose").ok()
    assert kernel.value("[zeta.state, alpha.state]") == ["DISPOSED", "DISPOSED"]


def test_its_result_can_be_assigned(kernel: Kernel) -> None:
    kernel.run("node = make()\nbuilt = %node build").ok()
    assert kernel.value("built is node")
    kernel.run("%node dispose").ok()


def test_words_and_then_names_are_completed_and_nothing_else(kernel: Kernel) -> None:
    kernel.run("left = make(); right = make(); limit = 3").ok()
    assert kernel.complete("%node ") == WORDS
    assert kernel.complete("%node st") == ["status", "stop"]
    assert kernel.complete("%node run --t") == ["--thread"]
    assert kernel.complete("%node new n --strategy Tick") == ["Ticker"]
    assert kernel.complete("%node new n --strategy Ticker -p ") == ["every="]
    assert kernel.complete("%node new n --instrument PA") == ["PAIR"]
    assert kernel.complete("x = 1\nif x:\n    %node di") == ["dispose"]
    assert {"left", "right"} <= set(kernel.complete("%node stop "))
    assert kernel.complete("%node stop l") == ["left"]
    assert "left" in kernel.complete("lef")


def test_its_help_shows_each_word_and_its_python(kernel: Kernel) -> None:
    reply = kernel.run("%node?").ok().reply
    assert reply is not None
    page = reply["payload"][0]["data"]["text/plain"]
    for word in WORDS:
        assert f"    {word} " in page
    for line in ("node.build()", "node.run()", "await node.stop_async()", "node.dispose()"):
        assert line in page


def test_a_words_help_shows_its_options_and_its_python(kernel: Kernel) -> None:
    for question in ("%node run?", "%node run --help", "if True:\n    %node run ?"):
        shown = kernel.run(question).ok().out
        assert "--thread" in shown
        assert "node.run(thread=False)" in shown
    assert "await node.stop_async()" in kernel.run("%node stop?").ok().out
    assert "result = wb.backtest(" in kernel.run("%backtest --help").ok().out


def test_a_node_is_made_of_a_few_words_and_its_python_is_shown(kernel: Kernel) -> None:
    cell = kernel.run(
        "%node new few --strategy Ticker -p every=2 --instrument PAIR --rate 500"
    ).ok()
    python = "few = wb.sandbox(Ticker(every=2), wb.Synthetic(PAIR, rate=500.0), instrument=PAIR)\n"
    assert cell.ok().out == python
    assert "CREATED" in cell.result
    kernel.run("%node build few\n%node run few").ok()
    kernel.run("await until(lambda: len(few.fills()) > 2)").ok()
    refused(kernel, "%node new few --strategy Ticker --instrument PAIR", "ConfigError", "RUNNING")
    kernel.run("%node stop few").ok()
    kernel.run("%node new few --strategy Ticker --instrument PAIR").ok()
    assert kernel.value("few.state") == "CREATED"
    refused(
        kernel, "%node new PAIR -s Ticker --instrument PAIR", "ConfigError", "PAIR holds a Curr"
    )
    kernel.run("%node dispose few").ok()


def test_it_is_looked_at_halted_and_killed(kernel: Kernel) -> None:
    kernel.run("node = started(Ticker(every=2))").ok()
    kernel.run("await until(lambda: len(node.fills()) > 2)").ok()
    for word in ("orders", "fills", "positions", "log"):
        cell = kernel.run(f"shown = %node {word}\nshown").ok()
        assert kernel.value("type(shown).__name__") == "DataFrame", cell.result
        assert (kernel.value("len(shown)") > 0) is (word != "log")
    shown = kernel.run("counters = %node channels\ncounters").ok().result
    assert "execution_events" in shown
    assert "risk_commands" in shown
    assert kernel.value("[len(counters.channels), len(counters.lanes)]") == [5, 8]
    assert "trading: halted" in kernel.run("%node halt").ok().result
    assert kernel.value("node.trading_state") == "halted"
    assert "trading" not in kernel.run("%node resume").ok().result
    kernel.run("report = %node kill").ok()
    assert kernel.value("[report.halted, node.trading_state]") == [True, "halted"]
    kernel.run("%node stop\n%node dispose").ok()


def test_its_log_shows_as_many_lines_as_asked_for(kernel: Kernel) -> None:
    kernel.run(
        "node = started()\n"
        "import logging\n"
        "for number in range(9): logging.getLogger('workbench').warning('line %s', number)"
    ).ok()
    kernel.run("lines = %node log -n 3").ok()
    assert kernel.value("[list(lines.columns), list(lines.text)]") == [
        ["time", "level", "text"],
        ["line 6", "line 7", "line 8"],
    ]
    refused(kernel, "%node log -n 0", "ConfigError", "limit is a number of lines, 1 or more; got 0")
    kernel.run("%node stop\n%node dispose").ok()


def test_watch_shows_the_dashboard(kernel: Kernel) -> None:
    kernel.run("node = started()").ok()
    kernel.run("shown = %node watch --hz 4").ok()
    assert "ashboard" in kernel.value("type(shown).__module__ + type(shown).__name__")
    kernel.run("shown.close()\n%node stop\n%node dispose").ok()


@pytest.mark.parametrize("where", ["", " node"])
def test_reset_makes_an_equal_node_under_the_same_names(kernel: Kernel, where: str) -> None:
    kernel.run("node = started(Ticker(every=2), name='TRADER-007'); same = node; old = [node]").ok()
    kernel.run("await until(lambda: len(node.fills()) > 2)").ok()
    assert "TradingNode(TRADER-007): CREATED" in kernel.run(f"%node reset{where}").ok().result
    assert kernel.value("[old[0].state, node.state, same is node, node is old[0]]") == [
        *("DISPOSED", "CREATED", True, False),
    ]
    assert kernel.value("node.strategies[0] is old[0].strategies[0]")
    kernel.run("%node build\n%node run").ok()
    kernel.run("await until(lambda: len(node.fills()) > 2)").ok()
    kernel.run("for _ in range(2):\n    %node reset").ok()
    assert kernel.value("node.state") == "CREATED"
    kernel.run("def again():\n    %node reset\n%node build\n%node run").ok()
    kernel.run("again()").ok()
    assert kernel.value("node.state") == "CREATED"
    kernel.run("%node dispose").ok()


def test_a_reset_does_not_hide_what_went_wrong(kernel: Kernel) -> None:
    kernel.run(
        "class Broken(Ticker):\n"
        "    def on_quote(self, quote): raise RuntimeError('out of cheese')\n"
        "node = started(Broken())"
    ).ok()
    kernel.wait_until("node.state == 'STOPPED'")
    cell = kernel.run("%node reset")
    assert cell.error is not None
    assert cell.error["ename"] == "StrategyError"
    assert kernel.value("node.state") == "STOPPED"
    kernel.run("%node reset").ok()
    assert kernel.value("node.state") == "CREATED"
    kernel.run("%node dispose").ok()


def test_with_thread_it_runs_on_one_of_its_own(kernel: Kernel) -> None:
    kernel.run("node = make(); node.build()\n%node run --thread").ok()
    kernel.run("before = node.strategies[0].count if ticking(node, 0) else 0").ok()
    kernel.run("import threading\nwhile not ticking(node): time.sleep(0.005)").ok()
    assert kernel.value("any(t.name == 'workbench TRADER-001' for t in threading.enumerate())")
    kernel.run(
        "%node halt\n%node resume\n%node orders\n%node channels\n%node stop\n%node dispose"
    ).ok()
    assert kernel.value("[node.state, node.fault]") == ["DISPOSED", None]


def test_a_backtest_is_one_line(kernel: Kernel) -> None:
    kernel.run(
        "class Once(wb.Strategy):\n"
        "    size: float = 1.0\n"
        "    def on_start(self): self.subscribe_bars('1-minute-last')\n"
        "    def on_bar(self, bar):\n"
        "        if self.position() is None:\n"
        "            self.submit_order(self.orders.market(bar.instrument_id, 'buy', self.size))\n"
        "bars = wb.sample_bars(30)\nbars.to_csv('bars.csv')"
    ).ok()
    cell = kernel.run("%backtest Once bars -p size=2 --instrument PAIR --name done").ok()
    assert cell.out == "done = wb.backtest(Once(size=2.0), bars, instrument=PAIR)\n"
    assert cell.result.startswith("BacktestResult")
    kernel.run("again = %backtest Once bars.csv -p size=2 --instrument PAIR").ok()
    assert kernel.value("again.fills.equals(done.fills) and len(again.fills) == 1")
    kernel.run("%backtest Once bars --instrument PAIR --name done").ok()
    refused(kernel, "%backtest Once", "ConfigError", "required: DATA")
    refused(kernel, "%backtest Once nothing.csv --instrument PAIR", "DataError", "no such file")
    refused(
        kernel, "%backtest Once bars --instrument PAIR --name Once", "ConfigError", "Once holds"
    )
    assert kernel.complete("%backtest Once bars -p ") == ["size="]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%node", "got nothing"),
        ("%node start", "got 'start'"),
        ("%node STOP", "got 'STOP'"),
        ("%node 'stop'", "got"),
    ],
)
def test_an_unknown_word_is_answered_with_those_there_are(
    kernel: Kernel, line: str, said: str
) -> None:
    refused(kernel, line, "ConfigError", said, ", ".join(WORDS))


def test_too_many_words_are_refused(kernel: Kernel) -> None:
    kernel.run("node = make()").ok()
    refused(kernel, "%node build node again", "ConfigError", "unrecognized arguments: again")
    refused(kernel, "%node stop node again", "ConfigError", "unrecognized arguments: again")
    refused(kernel, "%node build --fast", "ConfigError", "unrecognized arguments: --fast")
    refused(kernel, "%node log -n many", "ConfigError", "invalid int value: 'many'")
    refused(kernel, "%node new", "ConfigError", "required: NAME, -s/--strategy")
    refused(kernel, "%node biuld", "ConfigError", "got 'biuld'. Did you mean %node build?")
    refused(kernel, "%node new 'node", "ConfigError", "No closing quotation")
    assert kernel.value("node.state") == "CREATED"


def test_a_name_that_is_no_node_is_answered_with_those_that_are(kernel: Kernel) -> None:
    kernel.run("node = make(); thing = 7; nothing = None").ok()
    refused(kernel, "%node build thing", "ConfigError", "'thing'", "int", "node")
    refused(kernel, "%node build nothing", "ConfigError", "'nothing'", "NoneType", "node")
    refused(kernel, "%node build nowhere", "ConfigError", "'nowhere' is not defined", "node")
    refused(kernel, "%node stop nowhere", "ConfigError", "'nowhere' is not defined", "node")


def test_a_step_that_is_not_allowed_says_what_is_and_changes_nothing(kernel: Kernel) -> None:
    kernel.run("node = make()").ok()
    refused(kernel, "%node run", "LifecycleError", "CREATED", "allowed now: build, dispose")
    refused(kernel, "%node stop", "LifecycleError", "CREATED", "allowed now: build, dispose")
    kernel.run("%node build").ok()
    refused(kernel, "%node build", "LifecycleError", "BUILT", "allowed now: run, dispose")
    refused(kernel, "%node stop", "LifecycleError", "BUILT", "allowed now: run, dispose")
    kernel.run("%node run").ok()
    kernel.wait_until("node.phase == 'running'")
    refused(kernel, "%node run", "LifecycleError", "RUNNING", "allowed now: stop")
    refused(kernel, "%node build", "LifecycleError", "RUNNING", "allowed now: stop")
    refused(kernel, "%node dispose", "LifecycleError", "RUNNING", "allowed now: stop")
    assert kernel.value("node.state") == "RUNNING"
    kernel.run("%node stop").ok()
    refused(kernel, "%node run", "LifecycleError", "STOPPED", "allowed now: dispose")
    kernel.run("%node stop\n%node dispose\n%node dispose").ok()
    refused(kernel, "%node build", "LifecycleError", "DISPOSED", "allowed now: nothing")


def test_in_a_function_of_the_user_its_lines_are_shown(kernel: Kernel) -> None:
    kernel.run("node = make()\ndef begin():\n    %node run").ok()
    text = refused(kernel, "begin()", "LifecycleError", "CREATED")
    assert "in begin" in text
    assert "get_ipython().run_line_magic('node', 'run')" in text
    assert "Cell In[" in text
    kernel.run("%node dispose").ok()

"""`%node WORD [NAME]`: its words, its names, its help, and what it says to a wrong one."""

from __future__ import annotations

import pytest

from tests.notebooks.kernels import Kernel

WORDS = ["build", "run", "status", "stop", "dispose"]
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
    for word in WORDS:
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
    assert kernel.complete("x = 1\nif x:\n    %node d") == ["dispose"]
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
    refused(kernel, "%node build node again", "ConfigError", "at most", "'node again'")
    refused(kernel, "%node stop node again", "ConfigError", "at most", "'node again'")
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

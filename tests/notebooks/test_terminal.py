"""IPython in a terminal: its loop stands still at the prompt, so a node runs on its own thread."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.notebooks.kernels import environment
from tests.waiting import GUARD_S

pexpect = pytest.importorskip("pexpect")  # where there are terminals

CODE = """
%load_ext workbench
import time
import workbench as wb
pair = wb.CurrencyPair.define('BTC/USDT.SIM', price_increment='0.01')
node = wb.sandbox(wb.Strategy(), instrument=pair)
%node run
%node build
%node run
while node.phase != 'running': time.sleep(0.01)
print('thread', node.core.dispatcher.data_handled > 0)
%node orders
%node channels
%node halt
%node resume
%node kill
%node stop
%node reset
%node new other --strategy wb.Strategy
Quiet = type('Quiet', (wb.Strategy,), {})
%node new other --strategy Quiet --instrument pair
%node dispose other
%node dispose node
print('end', node.state.value, node.fault)
"""


def test_a_node_goes_on_while_the_prompt_waits(directory: Path) -> None:
    arguments = ["-m", "IPython", "--simple-prompt", "--colors=NoColor", "--no-banner"]
    where = os.environ | environment(directory) | {"TERM": "dumb"}
    shell = pexpect.spawn(
        sys.executable, arguments, env=where, cwd=str(directory), encoding="utf8", timeout=GUARD_S
    )
    try:
        shown = ""
        for line in CODE.strip().splitlines():
            shell.expect(r"In \[\d+\]: ")
            shown += shell.before
            shell.sendline(line)
            if line.startswith("while"):
                shell.sendline("")
        shell.expect("end DISPOSED None")
        shown += shell.before
    finally:
        shell.close(force=True)
    assert "cannot run a CREATED node; allowed now: build, dispose" in shown
    assert "/workbench/" not in shown
    for state in ("CREATED", "BUILT", "RUNNING", "STOPPED", "DISPOSED"):
        assert f"TradingNode(TRADER-001): {state}" in shown
    assert "trading: halted" in shown
    assert "execution_events" in shown
    assert "'wb.Strategy' is not defined; strategies:" in shown
    assert "other = wb.sandbox(Quiet(), instrument=pair)" in shown
    assert "thread True" in shown

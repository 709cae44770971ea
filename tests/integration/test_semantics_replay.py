"""Cases of the trading semantics on a node that replays their data, from the node's frames."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import workbench as wb
from tests.semantics import CASES, Steps

ALSO_ON_A_NODE = [name for name in CASES if name.split()[0] in ("2", "6", "7", "8", "10")]


@pytest.mark.parametrize("name", ALSO_ON_A_NODE)
def test_the_case_comes_out_the_same_on_a_replay(name: str) -> None:
    case = CASES[name]
    node = wb.sandbox(
        Steps(steps=case.steps),
        data=list(case.data),
        instrument=case.instrument,
        venue=case.settings(),
    )
    node.build()
    node.run(raise_exception=True)
    frames = SimpleNamespace(fills=node.fills(), orders=node.orders(), positions=node.positions())
    node.dispose()
    case.check(frames)

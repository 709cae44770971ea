"""Every numbered case of the trading semantics, from the frames of a backtest's result."""

from __future__ import annotations

import pytest

import workbench as wb
from tests.semantics import CASES, Steps


@pytest.mark.parametrize("name", CASES)
def test_the_case_comes_out_as_it_is_written(name: str) -> None:
    case = CASES[name]
    result = wb.backtest(
        Steps(steps=case.steps),
        list(case.data),
        instrument=case.instrument,
        venue=case.settings(),
        limits=case.limits,
        progress=False,
    )
    case.check(result)

"""The notebooks, opened and run by a person who has just installed everything."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.browser.lab_page import LabPage
from tests.browser.server import NOTEBOOKS

QUICKSTART = "01_quickstart.ipynb"
TRADES = "05_from_sandbox_to_live.ipynb"
USUAL = ("02_your_own_strategy.ipynb", "04_orders_and_risk.ipynb")
OTHERS = [
    # All of them run in tests/notebooks; here each costs a page and a kernel more.
    pytest.param(path.name, marks=() if path.name in USUAL else pytest.mark.full, id=path.stem)
    for path in sorted(NOTEBOOKS.glob("*.ipynb"))
    if path.name != QUICKSTART
]


def test_the_quickstart_runs_cell_by_cell_shows_its_node_and_runs_again(lab: LabPage) -> None:
    lab.open(QUICKSTART)
    lab.run_all()
    assert lab.failures() == []
    backtest = lab.cell(lab.index("wb.backtest("))
    curve = backtest.locator("svg").first.bounding_box()
    assert curve is not None
    assert curve["width"] > 200
    assert "BUILT" in lab.text(lab.index("%node build"))
    assert "RUNNING" in lab.text(lab.index("%node run"))
    assert "STOPPED" in lab.text(lab.index("%node stop"))
    assert lab.overflows() == []
    lab.picture_of_all("01_quickstart-light")
    lab.theme("dark")
    lab.picture_of_all("01_quickstart-dark")
    # And again in the same kernel, over what is there.
    first = lab.counts()
    lab.run_all()
    assert lab.failures() == []
    assert min(lab.counts()) > max(first)


@pytest.mark.parametrize("name", OTHERS)
def test_a_notebook_runs_and_fits_the_page(lab: LabPage, name: str) -> None:
    if name == TRADES and find_spec("ccxt") is None:
        pytest.skip("ccxt is not installed; the extra `ccxt` brings it")
    lab.open(name)
    lab.run_all()
    assert lab.failures() == []
    stem = name.removesuffix(".ipynb")
    lab.picture_of_all(f"{stem}-light")
    assert lab.overflows() == []

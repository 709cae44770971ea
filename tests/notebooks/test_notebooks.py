"""The notebooks in `notebooks/`: executed as they are, twice over, and from the middle."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks.kernels import Kernel, execute

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
QUICKSTART = FOLDER / "01_quickstart.ipynb"
TRADES = FOLDER / "05_from_sandbox_to_live.ipynb"
EXECUTED = [
    pytest.param(
        path,
        id=path.stem,
        marks=pytest.mark.skipif(
            path == TRADES and find_spec("ccxt") is None,
            reason="ccxt is not installed; the extra `ccxt` brings it",
        ),
    )
    for path in NOTEBOOKS
]
SAID = ("backtest", "promoted: ", "demoted: ")  # a progress bar, and what a log must not leave out


def read(path: Path) -> Any:
    return nbformat.read(path, nbformat.NO_CONVERT)


def code_of(path: Path) -> list[str]:
    """Return a notebook's cells, with a replay that does not pace itself for people."""
    sources = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    return [source.replace("speed=60_000", "speed=1_000_000") for source in sources]


def stop_of(cells: list[str]) -> int:
    return next(i for i, code in enumerate(cells) if code.startswith("%node stop"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_stores_no_outputs(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", EXECUTED)
def test_a_notebook_runs_in_a_clean_directory(path: Path, directory: Path) -> None:
    before = set(directory.rglob("*"))
    notebook = read(path)
    execute(notebook, directory)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            is_said = output.get("name") == "stderr"
            assert not is_said or any(words in output.text for words in SAID), output
    made = {p.relative_to(directory).parts[0] for p in set(directory.rglob("*")) - before}
    # What Jupyter itself keeps there; a notebook writes nothing.
    assert made <= {"kernels", "ipython", "config", "data", "runtime", "connection.json"} | {
        name for name in made if name.startswith("s-")
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_ends_with_a_stop_and_with_asserts(path: Path) -> None:
    cells = code_of(path)
    stop = stop_of(cells)
    assert all("assert" in code for code in cells[stop + 1 :])
    assert len(cells) > stop + 1


@pytest.mark.parametrize("path", EXECUTED)
def test_a_notebook_runs_twice_in_one_kernel_from_the_middle_and_after_its_node_was_left_running(
    path: Path, bare_kernel: Kernel
) -> None:
    cells = code_of(path)
    strategy = next(i for i, code in enumerate(cells) if code.startswith("class "))
    node = max(i for i, code in enumerate(cells) if "node = wb.sandbox(" in code)
    left_running = cells[node : stop_of(cells)]
    for part in (cells, cells[strategy:], left_running, cells):
        for code in part:
            bare_kernel.run(code).ok()


def test_the_quickstart_goes_on_from_a_changed_strategy_as_it_invites_to(
    bare_kernel: Kernel,
) -> None:
    cells = code_of(QUICKSTART)
    middle = next(i for i, code in enumerate(cells) if "class EmaCross" in code)
    changed = [code.replace("fast=10", "fast=7") for code in cells[middle:]]
    assert changed != cells[middle:]
    for code in cells + changed:
        bare_kernel.run(code).ok()
    assert bare_kernel.value("node.strategies[0].fast") == 7


def test_every_notebook_is_on_the_map_and_in_the_readme_in_order() -> None:
    for page in (FOLDER / "README.md", FOLDER.parent / "README.md"):
        text = page.read_text(encoding="utf-8")
        places = [text.find(path.name) for path in NOTEBOOKS]
        assert -1 not in places, page
        assert places == sorted(places), page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_names_only_notebooks_that_are_there(path: Path) -> None:
    named = set(re.findall(r"`(0\d_\w+)`", path.read_text(encoding="utf-8")))
    assert named <= {each.stem for each in NOTEBOOKS}

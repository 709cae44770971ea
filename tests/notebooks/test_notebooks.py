"""The notebooks in `notebooks/`: executed as they are, twice over, and from the middle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebooks.kernels import Kernel, execute

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
QUICKSTART = FOLDER / "01_quickstart.ipynb"


def read(path: Path) -> Any:
    return nbformat.read(path, nbformat.NO_CONVERT)


def code_of(path: Path) -> list[str]:
    """Return a notebook's cells, with a replay that does not pace itself for people."""
    sources = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    return [source.replace("speed=60_000", "speed=1_000_000") for source in sources]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_stores_no_outputs(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_a_clean_directory(path: Path, directory: Path) -> None:
    before = set(directory.rglob("*"))
    notebook = read(path)
    execute(notebook, directory)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr" or "backtest" in output.text, output
    made = {p.relative_to(directory).parts[0] for p in set(directory.rglob("*")) - before}
    # What Jupyter itself keeps there; a notebook writes nothing.
    assert made <= {"kernels", "ipython", "config", "data", "runtime", "connection.json"} | {
        name for name in made if name.startswith("s-")
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_ends_with_a_stop_and_with_asserts(path: Path) -> None:
    cells = code_of(path)
    stop = next(i for i, code in enumerate(cells) if code.startswith("%node stop"))
    assert all("assert" in code for code in cells[stop + 1 :])
    assert len(cells) > stop + 1


@pytest.mark.parametrize(
    "path", [p for p in NOTEBOOKS if p != QUICKSTART], ids=lambda path: path.stem
)
def test_a_notebook_runs_twice_in_one_kernel_and_after_one_left_its_node_running(
    path: Path, bare_kernel: Kernel
) -> None:
    cells = code_of(path)
    stop = next(i for i, code in enumerate(cells) if code.startswith("%node stop"))
    for part in (cells, cells[:stop], cells):
        for code in part:
            bare_kernel.run(code).ok()


def test_the_quickstart_runs_twice_in_one_kernel_and_from_the_middle(bare_kernel: Kernel) -> None:
    cells = code_of(QUICKSTART)
    for _ in range(2):
        for code in cells:
            bare_kernel.run(code).ok()
    # From the strategy on, as the notebook invites to do.
    middle = next(i for i, code in enumerate(cells) if "class EmaCross" in code)
    for code in cells[middle:]:
        bare_kernel.run(code.replace("fast=10", "fast=7")).ok()
    # And again without having stopped: only the node's own cells.
    node = next(i for i, code in enumerate(cells) if "wb.sandbox(" in code)
    for code in cells[node:]:
        bare_kernel.run(code).ok()


def test_the_quickstart_left_running_is_begun_anew(bare_kernel: Kernel) -> None:
    cells = code_of(QUICKSTART)
    stop = next(i for i, code in enumerate(cells) if code.startswith("%node stop"))
    for code in cells[:stop]:
        bare_kernel.run(code).ok()
    for code in cells:
        bare_kernel.run(code).ok()

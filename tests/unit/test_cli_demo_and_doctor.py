"""What the demonstration reads from a notebook, its page, and what the doctor finds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat.v4 as nbformat
import pytest

from workbench.cli import main
from workbench.cli.demo import find_notebook, last_heading, output_text
from workbench.cli.doctor import NEEDED, Level, kernelspec, packages, python
from workbench.cli.page import as_page

HTML_ONLY = {"text/html": "<b>bold</b>", "text/plain": "<IPython.core.display.HTML object>"}
WIDGET = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Button()"}


def code(*outputs: Any, source: str = "1 + 1") -> Any:
    return nbformat.new_code_cell(source, outputs=list(outputs))


def result(**data: Any) -> Any:
    kinds = {name.replace("_", "/"): value for name, value in data.items()}
    return nbformat.new_output("execute_result", data=kinds)


def test_the_text_of_a_cell_is_what_it_printed_and_the_plain_form_of_its_results() -> None:
    cell = code(
        nbformat.new_output("stream", name="stdout", text="one\n"),
        nbformat.new_output("stream", name="stderr", text="a progress bar"),
        nbformat.new_output("display_data", data=HTML_ONLY),
        nbformat.new_output("display_data", data=WIDGET),
        result(text_plain="   x\n0  1", text_html="<table></table>"),
    )
    assert output_text(cell) == "one\n   x\n0  1"


@pytest.mark.parametrize(
    ("source", "heading"),
    [("# A title\n\ntext", "A title"), ("text\n## One\n### Two", "Two"), ("#no heading", "")],
)
def test_the_heading_of_a_section(source: str, heading: str) -> None:
    assert last_heading(source) == heading


def test_a_page_shows_cells_and_outputs_and_takes_text_literally() -> None:
    notebook = nbformat.new_notebook(
        cells=[
            nbformat.new_markdown_cell("## A <title>\nSome **bold** `code`."),
            nbformat.new_raw_cell("raw & ready"),
            code(
                nbformat.new_output("stream", name="stdout", text="a < b\x1b[31m!\x1b[0m"),
                nbformat.new_output("error", ename="E", evalue="", traceback=["Trace<back>"]),
                result(text_html="<i>shown</i>", text_plain="hidden"),
                result(text_plain="1 < 2"),
                nbformat.new_output("display_data", data={"image/svg+xml": "<svg/>"}),
                nbformat.new_output("display_data", data={"image/png": "AAAA\n"}),
                nbformat.new_output("display_data", data={"application/javascript": "draw()"}),
                source="x < y",
            ),
        ]
    )
    page = as_page(notebook, "A & B")
    for part in (
        *(
            "<title>A &amp; B</title>",
            "<h2>A &lt;title&gt;</h2>",
            "<b>bold</b>",
            "<code>code</code>",
        ),
        *("raw &amp; ready", "x &lt; y", "a &lt; b!", "Trace&lt;back&gt;", "<i>shown</i>"),
        *("1 &lt; 2", "<svg/>", "data:image/png;base64,AAAA'", "<script>draw()</script>"),
    ):
        assert part in page
    assert "hidden" not in page


def test_the_quickstart_is_found_without_being_named() -> None:
    assert find_notebook(None).name == "01_quickstart.ipynb"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no notebook: looked for"), ("{]", "is no Jupyter notebook")]
)
def test_a_notebook_that_is_not_there_or_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    path = tmp_path / "one.ipynb"
    if content is not None:
        path.write_text(content)
    assert main(["demo", "--notebook", str(path), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


# --- doctor --------------------------------------------------------------------------------------


def test_an_old_python_is_a_problem() -> None:
    assert python((3, 11, 0)).level is Level.OK
    old = python((3, 10, 12))
    assert old.level is Level.PROBLEM
    assert "3.10.12" in old.detail
    assert old.mend == "WORKBENCH_PYTHON=/path/to/python3.11 sh .ci/do setup"


def test_what_is_missing_is_a_problem_and_comes_with_the_command_that_mends_it() -> None:
    found = {finding.what: finding for finding in packages(lambda name: None)}
    for name in NEEDED:
        assert found[name].level is Level.PROBLEM
        assert found[name].mend.startswith(f"{sys.executable} -m pip install '{name}")
    assert found["workbench"].level is Level.NOTE
    assert found["workbench"].mend.startswith(f"{sys.executable} -m pip install ")
    assert found["jupyterlab"].level is Level.NOTE


def test_a_version_that_is_too_old_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["ipykernel>=7.0", "pandas>=2.2.3", 'jupyterlab>=4.2; extra == "lab"']
    monkeypatch.setattr("importlib.metadata.requires", lambda name: lines)
    versions = {"ipykernel": "6.31.0", "pandas": "2.10"}
    found = {f.what: f for f in packages(lambda name: versions.get(name, "99.0"))}
    assert found["ipykernel"].level is Level.PROBLEM
    assert found["ipykernel"].detail == "6.31.0; 7.0 or newer is needed"
    assert found["ipykernel"].mend == f"{sys.executable} -m pip install 'ipykernel>=7.0'"
    assert found["pandas"].level is Level.OK
    assert found["jupyterlab"].level is Level.OK


def spec(program: str) -> dict[str, Any]:
    return {"resource_dir": "/kernels/x", "spec": {"argv": [program, "-m", "ipykernel_launcher"]}}


@pytest.mark.parametrize("program", [sys.executable, "python", "python3"])
def test_a_kernel_specification_of_this_python_is_found(program: str) -> None:
    found = kernelspec({"other": spec("/elsewhere/bin/python3"), "mine": spec(program)})
    assert found.level is Level.OK
    assert found.detail == "'mine' in /kernels/x"


@pytest.mark.parametrize("program", ["/elsewhere/bin/python3", "/usr/bin/julia", "R"])
def test_a_python_that_jupyter_does_not_see_is_a_problem(program: str) -> None:
    found = kernelspec({"other": spec(program)})
    assert found.level is Level.PROBLEM
    assert f"'other' runs {program}" in found.detail
    assert found.mend.startswith(f"{sys.executable} -m ipykernel install --user --name workbench")
    assert "there is none" in kernelspec({}).detail

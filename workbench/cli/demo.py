"""`workbench demo`: the quickstart notebook, executed in a real kernel, and what it said."""

# nbformat leaves notebooks and cells untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

from workbench.cli.kernels import KernelError, ScratchKernel, cancelled_by_signals
from workbench.cli.package import PACKAGE
from workbench.cli.page import as_page
from workbench.cli.subparsers import Subparsers
from workbench.cli.tables import make_folder
from workbench.model.errors import ConfigError

QUICKSTART = "01_quickstart.ipynb"
OUT = "workbench-demo"
_SAID = 3
_LINES = 24
_WIDTH = 68
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def add(subparsers: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "demo",
        help="run the quickstart notebook in a real kernel and say what it shows",
        description="Execute the quickstart notebook in a real kernel of this Python, in a scratch"
        " folder, and keep the executed notebook, as .ipynb and as .html.",
        parents=[common],
    )
    parser.add_argument("--notebook", metavar="PATH", help="another notebook")
    parser.add_argument(
        "--out",
        metavar="DIR",
        default=OUT,
        help="where the executed notebook goes; default: ./%(default)s",
    )
    parser.add_argument(
        "--timeout",
        type=int,
        default=120,
        metavar="SECONDS",
        help="the longest one cell may take; default: %(default)s",
    )
    parser.set_defaults(handler=demo)


def demo(arguments: argparse.Namespace) -> int:
    """Run it; return 0, 1 if a cell failed, 130 if it was interrupted."""
    path = find_notebook(arguments.notebook)
    notebook = read_notebook(path)
    folder = make_folder(arguments.out)
    if arguments.out == OUT:
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")  # often made inside a clone
    print(f"executing {path} in a kernel of {sys.executable}", flush=True)
    began = time.monotonic()
    with TemporaryDirectory(prefix="workbench-demo-", ignore_cleanup_errors=True) as scratch:
        run = asyncio.run(_Run(notebook).execute(Path(scratch), arguments.timeout))
    seconds = time.monotonic() - began
    saved = _save(notebook, folder, path.stem)
    if run.interrupted:
        print(
            f"\nworkbench: interrupted; the kernel has ended. Until then: {saved}", file=sys.stderr
        )
        return 130
    if run.failure:
        print(run.failure, file=sys.stderr)
        print(f"\nthe notebook as far as it came: {saved}", file=sys.stderr)
        return 1
    print(
        f"\nall {run.total} code cells ran, in {seconds:.1f} s. The last things the notebook said:"
    )
    for heading, text in run.said[-_SAID:]:
        print(f"\n{heading}\n{_indented(text)}")
    print(f"\nlook at {saved}")
    return 0


def find_notebook(given: str | None) -> Path:
    """Return the notebook that was asked for, by default the quickstart.

    An installed wheel holds it in `workbench/_notebooks`; a clone beside the package.

    Raises:
        ConfigError: If there is none.
    """
    if given is not None:
        places = [Path(given).expanduser()]
    else:
        folders = (PACKAGE / "_notebooks", PACKAGE.parent / "notebooks")
        places = [folder / QUICKSTART for folder in folders]
    for place in places:
        if place.is_file():
            return place
    looked = ", ".join(str(place.absolute()) for place in places)
    raise ConfigError(f"no notebook: looked for {looked}; name one with --notebook PATH")


def read_notebook(path: Path) -> Any:
    """Return a notebook in nbformat 4.

    Raises:
        ConfigError: If the file holds none.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise ConfigError(f"{path} is no Jupyter notebook: {error}") from error


class _Run:
    """One execution of a notebook.

    Attributes:
        total: How many code cells there are.
        said: Heading and text of each cell that put something out.
        failure: The cell that failed, whole, with its traceback; empty if none did.
        interrupted: Whether a signal ended it.
    """

    def __init__(self, notebook: Any) -> None:
        self._notebook = notebook
        self.total = sum(is_code(cell) for cell in notebook.cells)
        self.said: list[tuple[str, str]] = []
        self.failure = ""
        self.interrupted = False

    async def execute(self, scratch: Path, cell_timeout_s: int) -> _Run:
        """Run every code cell, saying where it is; return itself.

        Raises:
            KernelError: If the kernel does not start.
        """
        with cancelled_by_signals() as interrupted:
            try:
                async with ScratchKernel(
                    self._notebook, scratch, cell_timeout_s=cell_timeout_s
                ) as kernel:
                    await self._execute_cells(kernel)
            except (asyncio.CancelledError, KernelError):
                self.interrupted = interrupted()
                if not self.interrupted and not self.failure:
                    raise
        return self

    async def _execute_cells(self, kernel: ScratchKernel) -> None:
        from nbclient.exceptions import CellExecutionError

        number, heading, is_first = 0, "", False
        for index, cell in enumerate(self._notebook.cells):
            if not is_code(cell):
                found = last_heading(cell.source) if cell.cell_type == "markdown" else ""
                heading, is_first = (found, True) if found else (heading, is_first)
                continue
            number += 1
            line = cell.source.strip().splitlines()[0]
            label = f"[{number:>2}/{self.total}] {_short(heading if is_first else line)}"
            is_first = False
            print(f"{label:<{_WIDTH + 9}}", end="", flush=True)
            began = time.monotonic()
            try:
                await kernel.execute(cell, index)
            except CellExecutionError:
                print("failed", flush=True)
                self.failure = _failure(number, cell, error_text(cell))
                return
            except KernelError as error:
                print("ended", flush=True)
                self.failure = _failure(number, cell, str(error))
                raise
            print(f"{time.monotonic() - began:6.1f} s", flush=True)
            text = output_text(cell)
            if text:
                self.said.append((heading or line, text))
        kernel.keep_widgets()


def is_code(cell: Any) -> bool:
    """Return whether a cell is one that runs."""
    return cell.cell_type == "code" and bool(cell.source.strip())


def last_heading(source: str) -> str:
    """Return the last heading in a Markdown cell, without its marks; empty if there is none."""
    lines = [line for line in source.splitlines() if re.match(r"#{1,6} ", line)]
    return lines[-1].lstrip("# ").strip() if lines else ""


def output_text(cell: Any) -> str:
    """Return what a cell put out as text: what it printed, and the plain form of its results."""
    parts: list[str] = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            parts.append(output.text)
        elif "data" in output:
            plain = output.data.get("text/plain", "")
            # "<IPython.core.display.HTML object>" and the repr of a widget say nothing.
            if not ("text/html" in output.data and plain.startswith("<")) and not any(
                "widget" in kind for kind in output.data
            ):
                parts.append(plain if plain.endswith("\n") else f"{plain}\n")
    return "".join(parts).strip("\n")


def error_text(cell: Any) -> str:
    """Return the traceback in a cell's outputs."""
    errors = [output for output in cell.outputs if output.output_type == "error"]
    return "\n".join("\n".join(error.traceback) for error in errors)


def _failure(number: int, cell: Any, why: str) -> str:
    plain = why if _shows_colours(sys.stderr) else _ANSI.sub("", why)
    printed = output_text(cell)
    said = f"\n\nit had put out:\n{_indented(printed)}" if printed else ""
    return f"\ncode cell {number} failed:\n\n{_indented(cell.source, None)}{said}\n\n{plain}"


def _shows_colours(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _indented(text: str, most: int | None = _LINES) -> str:
    lines = _ANSI.sub("", text).splitlines()
    if most is not None and len(lines) > most:
        lines = [*lines[:most], f"... {len(lines) - most} more lines"]
    return "\n".join(f"    {line}" for line in lines)


def _save(notebook: Any, folder: Path, stem: str) -> str:
    """Write the executed notebook and a page of it; return where they are."""
    import nbformat

    executed, page = folder / f"{stem}.ipynb", folder / f"{stem}.html"
    try:
        nbformat.write(notebook, executed)
        page.write_text(as_page(notebook, stem), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write the executed notebook: {error}") from error
    return f"{page} (in a browser) or {executed} (in JupyterLab)"

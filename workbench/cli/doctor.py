"""`workbench doctor`: whether everything needed is there and works, and how to mend what is not."""

# nbformat and nbclient leave cells and kernel specifications untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workbench.cli.demo import error_text, output_text
from workbench.cli.kernels import KernelError, ScratchKernel, cancelled_by_signals
from workbench.cli.package import PACKAGE, VERSION
from workbench.cli.subparsers import Subparsers

DISTRIBUTION = "trading-workbench"
NEEDED = (
    *("ipykernel", "ipython", "ipywidgets", "nbclient", "nbformat", "pandas", "numpy", "pyarrow"),
    *("msgspec", "bokeh", "nest-asyncio2", "tqdm"),
)
OPTIONAL = {
    "jupyterlab": "the front end; not needed if you open notebooks in another one",
    "jupyter_bokeh": "live charts in notebooks",
}
OLDEST_PYTHON = (3, 11)


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "PROBLEM"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: What it is.
        detail: What was found.
        level: Whether that is fine.
        mend: The exact command that mends it.
    """

    what: str
    detail: str
    level: Level = Level.OK
    mend: str = ""


def add(subparsers: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "doctor",
        help="check versions, the kernel, Jupyter and the extension; say how to mend them",
        description="Check what workbench needs, start a kernel of this Python and load the"
        " extension in it. Exit code 0 if all that is needed is fine, else 1.",
        parents=[common],
    )
    parser.add_argument(
        "--timeout",
        type=int,
        default=60,
        metavar="SECONDS",
        help="the longest the kernel's start, or one command in it, may take; default: %(default)s",
    )
    parser.set_defaults(handler=doctor)


def doctor(arguments: argparse.Namespace) -> int:
    """Print every finding as it is made; return 1 if one is a problem."""
    problems: list[Finding] = []
    for finding in look(arguments.timeout):
        print(f"{finding.level.value:<8} {finding.what:<20} {finding.detail}", flush=True)
        if finding.mend:
            print(f"{'':<8} {'':<20} mend it: {finding.mend}", flush=True)
        if finding.level is Level.PROBLEM:
            problems.append(finding)
    if problems:
        print(f"\n{len(problems)} to mend: {', '.join(finding.what for finding in problems)}")
        return 1
    print("\nall that is needed is fine")
    return 0


def look(timeout_s: int) -> Iterator[Finding]:
    """Look at everything, the quick things first.

    Raises:
        KeyboardInterrupt: If a signal ends the kernel that is started for it.
    """
    yield python(sys.version_info[:3])
    yield from packages(installed_version)
    if installed_version("nbclient") and installed_version("ipykernel"):
        yield from kernel(timeout_s)
        yield kernelspec(kernelspecs())


def python(version: tuple[int, int, int]) -> Finding:
    """Judge the Python that runs."""
    text = f"{'.'.join(map(str, version))}  {sys.executable}"
    if version >= OLDEST_PYTHON:
        return Finding("python", text)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Finding(
        "python",
        f"{text}; {oldest} or newer is needed",
        Level.PROBLEM,
        f"WORKBENCH_PYTHON=/path/to/python{oldest} sh .ci/do setup",
    )


def installed_version(name: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def packages(version_of: Any) -> Iterator[Finding]:
    """Judge workbench and each distribution it needs or can use.

    Args:
        version_of: Returns the version of a distribution, or None.
    """
    if version_of(DISTRIBUTION) is None:
        note = f"{VERSION}, used from its folder {PACKAGE.parent}, not installed"
        yield Finding("workbench", note, Level.NOTE, _reinstall())
    else:
        yield Finding("workbench", f"{VERSION}  {PACKAGE}")
    oldest = _minimums()
    for name in NEEDED:
        found, least = version_of(name), oldest.get(name, "")
        wanted = f"{name}>={least}" if least else name
        mend = f"{sys.executable} -m pip install '{wanted}'"
        if found is None:
            yield Finding(name, "missing", Level.PROBLEM, mend)
        elif numbers(found) < numbers(least):
            yield Finding(name, f"{found}; {least} or newer is needed", Level.PROBLEM, mend)
        else:
            yield Finding(name, found)
    for name, use in OPTIONAL.items():
        found = version_of(name)
        if found is None:
            mend = f"{sys.executable} -m pip install {name}"
            yield Finding(name, f"not installed: {use}", Level.NOTE, mend)
        else:
            yield Finding(name, found)


def _minimums() -> dict[str, str]:
    """Return the oldest version of each dependency, where workbench is installed."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = (re.fullmatch(r"([\w.-]+)\s*>=\s*([\d.]+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match is not None}


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, for comparing two.

    >>> numbers("7.0.1rc1") < numbers("7.1")
    True
    """
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in leading[0].split(".")) if leading else ()


def _reinstall() -> str:
    """Return the command that installs this workbench."""
    root = PACKAGE.parent
    if (root / "pyproject.toml").is_file():
        return f"{sys.executable} -m pip install -e '{root}'"
    return f"{sys.executable} -m pip install --force-reinstall {DISTRIBUTION}"


def kernel(timeout_s: int) -> list[Finding]:
    """Start a kernel of this interpreter, import workbench there and load the extension."""
    import nbformat.v4 as nbformat

    checks = (
        ("import in a kernel", "import workbench\nprint(workbench.__version__)"),
        ("extension", "%load_ext workbench"),
    )
    notebook = nbformat.new_notebook(cells=[nbformat.new_code_cell(code) for _, code in checks])
    findings: list[Finding] = []
    with TemporaryDirectory(prefix="workbench-doctor-", ignore_cleanup_errors=True) as folder:
        try:
            asyncio.run(
                _try_cells(notebook, [w for w, _ in checks], Path(folder), timeout_s, findings)
            )
        except KernelError as error:
            mend = f"{sys.executable} -m pip install --force-reinstall ipykernel"
            findings.append(Finding("kernel", str(error), Level.PROBLEM, mend))
    return findings


async def _try_cells(
    notebook: Any, names: list[str], folder: Path, timeout_s: int, findings: list[Finding]
) -> None:
    from nbclient.exceptions import CellExecutionError

    with cancelled_by_signals() as interrupted:
        try:
            async with ScratchKernel(
                notebook, folder, cell_timeout_s=timeout_s, start_timeout_s=timeout_s
            ) as scratch:
                findings.append(Finding("kernel", "starts"))
                for index, (name, cell) in enumerate(zip(names, notebook.cells, strict=True)):
                    try:
                        await scratch.execute(cell, index)
                        findings.append(Finding(name, output_text(cell) or "loads"))
                    except CellExecutionError:
                        text = re.sub(r"\x1b\[[0-9;]*m", "", error_text(cell)).splitlines()[-1]
                        findings.append(Finding(name, text, Level.PROBLEM, _reinstall()))
        except (asyncio.CancelledError, KernelError):
            if interrupted():
                raise KeyboardInterrupt from None
            raise


def kernelspecs() -> dict[str, Any]:
    """Return the kernel specifications that Jupyter finds in this environment, by name."""
    from nbclient import NotebookClient
    from nbformat.v4 import new_notebook

    manager: Any = NotebookClient(new_notebook()).create_kernel_manager()
    return manager.kernel_spec_manager.get_all_specs()


def kernelspec(specs: dict[str, Any]) -> Finding:
    """Judge whether one of the kernel specifications runs this interpreter.

    Args:
        specs: By name: `resource_dir` and `spec` with its `argv`.
    """
    mine = [name for name, one in specs.items() if _runs_this_python(one["spec"]["argv"])]
    if mine:
        places = ", ".join(f"{name!r} in {specs[name]['resource_dir']}" for name in mine)
        return Finding("seen by Jupyter", places)
    others = ", ".join(f"{name!r} runs {one['spec']['argv'][0]}" for name, one in specs.items())
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return Finding(
        "seen by Jupyter",
        f"no kernel specification runs this Python ({others or 'there is none'})",
        Level.PROBLEM,
        f"{sys.executable} -m ipykernel install --user --name workbench"
        f" --display-name 'workbench (Python {minor})'",
    )


def _runs_this_python(argv: list[str]) -> bool:
    """Return whether a kernel's command starts this environment's Python.

    A bare `python` is replaced by Jupyter with its own. Links are not followed: the Pythons of two
    virtual environments may be links to the same one.
    """
    program, own = Path(argv[0]), Path(sys.executable)
    major, minor = sys.version_info[:2]
    if program.name not in {own.name, "python", f"python{major}", f"python{major}.{minor}"}:
        return False
    return not program.is_absolute() or program.parent == own.parent

"""The hosted demo without its builder: its environment made anew, and notebooks run there.

It installs from the package registry, once for all tests here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.kernels import environment

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"
NOTEBOOKS = ROOT / "notebooks"
SHOWN = ("01_quickstart.ipynb", "05_from_sandbox_to_live.ipynb")  # the second one needs most
INSTALL_S = 900.0  # guards against hanging
RUN_S = 300.0


class Venv:
    """A virtual environment with directories of its own for everything that is kept in a home."""

    def __init__(self, python: str, folder: Path) -> None:
        self.folder = folder
        self.log = ""
        self.environment = environment(folder / "homes")
        for name in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"):
            self.environment.pop(name, None)
        self.environment["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
        self.environment["PIP_NO_COMPILE"] = "1"  # most of it is never imported here
        self.run(python, "-m", "venv", str(folder), timeout_s=INSTALL_S)

    def run(
        self, *command: str, timeout_s: float = RUN_S, cwd: Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of this environment; fail with what it said if it fails."""
        ended = self.ended(*command, timeout_s=timeout_s, cwd=cwd)
        said = f"{ended.stdout}{ended.stderr}"
        assert ended.returncode == 0, f"{' '.join(command)}\n{said}"
        return ended

    def ended(
        self, *command: str, timeout_s: float = RUN_S, cwd: Path = ROOT
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of this environment to its end."""
        # Looked for there first: the path of the child is not what finds it.
        program = shutil.which(command[0], path=self.environment["PATH"]) or command[0]
        return subprocess.run(
            [program, *command[1:]],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )


def demos_python() -> str:
    """Return the Python that the demo names, or this one where that is not installed."""
    version = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    found = shutil.which(f"python{version}")
    if found is not None:
        asked = subprocess.run([found, "-I", "-c", "import venv, ensurepip"], capture_output=True)
        if asked.returncode == 0:
            return found
    return sys.executable


def needs_registry(venv: Venv) -> None:
    """Skip where no package registry answers; a pin that is not there is a failure, not that."""
    asked = venv.ended(
        "python", "-m", "pip", "download", "--no-deps", "-d", str(venv.folder), "pip"
    )
    if asked.returncode != 0:
        pytest.skip(f"no package registry answers here: {asked.stderr.strip()[-200:]}")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Generator[Venv]:
    """The demo's environment, made as its builder makes it: the requirements, then `postBuild`."""
    venv = Venv(demos_python(), tmp_path_factory.mktemp("demo") / "venv")
    needs_registry(venv)
    requirements = str(BINDER / "requirements.txt")
    venv.run("python", "-m", "pip", "install", "-q", "-r", requirements, timeout_s=INSTALL_S)
    venv.run(str(BINDER / "postBuild"), timeout_s=INSTALL_S)
    yield venv
    shutil.rmtree(venv.folder, ignore_errors=True)  # some hundred megabytes


def test_what_is_installed_fits_together_and_is_what_was_pinned(demo: Venv) -> None:
    assert "No broken requirements" in demo.run("python", "-m", "pip", "check").stdout
    frozen = demo.run("python", "-m", "pip", "freeze").stdout.lower().replace("_", "-")
    pinned = [line for line in (BINDER / "requirements.txt").read_text().splitlines() if line]
    for line in pinned:
        if not line.startswith("#"):
            assert line.lower().replace("_", "-") in frozen.splitlines()
    where = demo.run("python", "-I", "-c", "import workbench; print(workbench.__file__)").stdout
    assert where.startswith(str(demo.folder))


def test_jupyterlab_has_the_extensions_that_show_widgets_and_charts(demo: Venv) -> None:
    listed = demo.run("jupyter", "labextension", "list")
    lines = (listed.stdout + listed.stderr).splitlines()
    for name in ("@jupyter-widgets/jupyterlab-manager", "@bokeh/jupyter_bokeh", "anywidget"):
        line = next((line for line in lines if line.strip().startswith(name)), None)
        assert line is not None, "\n".join(lines)
        assert "enabled" in line
        assert "OK" in line
    # A question about news would cover the quickstart.
    disabled = [line for line in lines if "apputils-extension:announcements" in line]
    assert any("disabled" in line or line.strip().endswith("announcements") for line in disabled)


@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_runs_there(demo: Venv, directory: Path, name: str) -> None:
    shutil.copy(NOTEBOOKS / name, directory)
    demo.run("jupyter", "execute", "--inplace", name, cwd=directory)
    ran = nbformat.read(directory / name, nbformat.NO_CONVERT)
    code = [cell for cell in ran.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(o.output_type == "error" for cell in code for o in cell.outputs)


def test_the_builder_takes_the_files_for_what_they_are(tmp_path: Path) -> None:
    """The Dockerfile is rendered, not built: that would need Docker."""
    builder = Venv(sys.executable, tmp_path / "builder")
    needs_registry(builder)
    installed = builder.ended(
        *("python", "-m", "pip", "install", "-q", "jupyter-repo2docker"), timeout_s=INSTALL_S
    )
    if installed.returncode != 0:
        pytest.skip(f"repo2docker cannot be installed here: {installed.stderr.strip()[-200:]}")
    rendered = builder.run("repo2docker", "--no-build", "--debug", ".")
    version = (BINDER / "runtime.txt").read_text().strip().removeprefix("python-")
    assert f"python={version}" in rendered.stdout + rendered.stderr
    dockerfile = rendered.stdout + rendered.stderr
    steps = [
        'pip install --no-cache-dir -r "binder/requirements.txt"',
        "RUN ./binder/postBuild",
        'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"',
    ]
    places = [dockerfile.find(step) for step in steps]
    assert -1 not in places
    assert places == sorted(places)

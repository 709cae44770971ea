"""The project's own files: metadata, licence, layout, and the set-up script `.ci/do`."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import workbench
from tests.waiting import GUARD_S

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE = ROOT / "workbench"
VERSION = ".".join(str(part) for part in sys.version_info[:3])


def test_version_is_the_same_in_package_metadata_and_pyproject() -> None:
    declared = PYPROJECT["project"]["version"]
    assert workbench.__version__ == declared
    try:
        installed = importlib.metadata.version("trading-workbench")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("workbench is used from its source folder, not installed")
    assert installed == declared


def test_every_dependency_has_its_reason_beside_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    wanted = list(PYPROJECT["project"]["dependencies"])
    for requirements in PYPROJECT["project"]["optional-dependencies"].values():
        wanted += requirements
    for requirement in wanted:
        (line,) = [line for line in lines if line.strip().startswith(f'"{requirement}"')]
        assert line.partition("#")[2].strip(), f"{requirement} has no reason"


def test_licence_text_is_complete() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    headings = [
        "Apache License",
        "Version 2.0, January 2004",
        "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION",
        *(f"   {number}. " for number in range(1, 10)),
        "END OF TERMS AND CONDITIONS",
        "APPENDIX: How to apply the Apache License to your work.",
        "limitations under the License.",
    ]
    positions = [text.index(heading) for heading in headings]
    assert positions == sorted(positions)
    assert len(text.splitlines()) >= 201


def test_package_says_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_every_package_but_jupyter_is_checked_strictly() -> None:
    packages = {f"workbench/{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}
    assert packages - {"workbench/jupyter"} <= set(PYPROJECT["tool"]["pyright"]["strict"])


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def test_workbench_never_imports_an_extension() -> None:
    offenders = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in PACKAGE.rglob("*.py")
        for name in imported_modules(path)
        if name.startswith("workbench_")
    }
    assert not offenders


# --- .ci/do --------------------------------------------------------------------------------------

# Answers questions as the running Python does, but only pretends to make environments and to
# install: each pretended action is a line in the log.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
"-I -m venv "*)
    echo venv >>"$FAKE_LOG"
    mkdir -p "$4/bin"
    cp "$0" "$4/bin/python"
    printf '#!/bin/sh\\necho "ran: $*"\\n' >"$4/bin/workbench"
    chmod +x "$4/bin/workbench"
    ;;
"-I -m pip --version") ;;
"-I -m pip "*)
    for last; do :; done
    echo "install $last" >>"$FAKE_LOG"
    ;;
*) exec "{real}" "$@" ;;
esac
"""

OLD_PYTHON = """#!/bin/sh
exec "{real}" -I -c 'import sys
sys.version_info = (3, 9, 18, "final", 0)
exec(sys.argv[1])' "$3"
"""

PYTHON_WITHOUT_VENV = """#!/bin/sh
exec "{real}" -I -c 'import sys
sys.modules["ensurepip"] = None
exec(sys.argv[1])' "$3"
"""

BROKEN_SHIM = """#!/bin/sh
echo "pyenv: python3: command not found" >&2
exit 127
"""


class Clone:
    """A clone with only what `.ci/do` needs, in a folder with spaces, and pretended Pythons."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        self.venv = folder / "a clone-venv"
        self.bin = folder / "bin"
        self.log = folder / "log"
        (self.root / ".ci").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / ".ci" / "do", self.root / ".ci" / "do")
        (self.root / "pyproject.toml").write_text("[project]\n")

    def python(self, name: str, script: str) -> Path:
        path = self.bin / name
        path.write_text(script.replace("{real}", sys.executable))
        path.chmod(0o755)
        return path

    def do(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ambient = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "COV"))}
        ambient |= {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.root),
            "PYENV_ROOT": str(self.root),
            "FAKE_LOG": str(self.log),
        }
        return subprocess.run(
            ["sh", str(self.root / ".ci" / "do"), *arguments],
            env=ambient | environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GUARD_S,
            check=False,
        )

    def actions(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


@pytest.fixture
def prepared(clone: Clone) -> Clone:
    clone.python("python3", FAKE_PYTHON)
    assert clone.do("demo").returncode == 0
    assert clone.actions() == ["venv", "install ."]
    return clone


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(OLD_PYTHON, "is Python 3.9.18", id="too old"),
        pytest.param(
            PYTHON_WITHOUT_VENV, f"is Python {VERSION}, but cannot make", id="without ensurepip"
        ),
        pytest.param(BROKEN_SHIM, "does not run", id="shim that fails"),
        pytest.param("#!/bin/sh\n", "did not answer as a Python does", id="no Python at all"),
    ],
)
def test_an_unsuitable_python_is_refused_with_what_was_found(
    clone: Clone, script: str, reason: str
) -> None:
    python = clone.python("odd-python", script)
    done = clone.do("demo", WORKBENCH_PYTHON=str(python))
    assert done.returncode == 1
    assert "no suitable Python" in done.stderr
    assert "Python 3.11 or newer" in done.stderr
    assert f"{python} {reason}" in done.stderr
    assert "What to do" in done.stderr
    assert not clone.venv.exists()


def test_an_unsuitable_python_on_the_path_is_passed_over(clone: Clone) -> None:
    clone.python("python3", BROKEN_SHIM)
    clone.python("python3.12", OLD_PYTHON)
    clone.python("python3.13", FAKE_PYTHON)
    done = clone.do("demo", "--a", "b c")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ran: demo --a b c\n"


def test_the_environment_is_reused(prepared: Clone) -> None:
    assert prepared.do("demo").returncode == 0
    assert prepared.actions() == ["venv", "install ."]


def test_a_changed_pyproject_is_installed_again_into_the_same_environment(prepared: Clone) -> None:
    (prepared.root / "pyproject.toml").write_text("[project]\nversion = '2'\n")
    assert prepared.do("demo").returncode == 0
    assert prepared.actions() == ["venv", "install .", "install ."]


def test_extras_are_added_and_never_taken_away(prepared: Clone) -> None:
    for extras in ("test", "dev,test", "lab", ""):
        assert prepared.do("setup", extras).returncode == 0
    assert prepared.actions()[2:] == [
        "install .[test]",
        "install .[test,dev]",
        "install .[test,dev,lab]",
    ]


def break_python(venv: Path) -> None:
    (venv / "bin" / "python").write_text(BROKEN_SHIM)


def remove_python(venv: Path) -> None:
    (venv / "bin" / "python").unlink()


@pytest.mark.parametrize("damage", [break_python, remove_python])
def test_a_broken_environment_is_made_anew(prepared: Clone, damage: Callable[[Path], None]) -> None:
    damage(prepared.venv)
    assert prepared.do("demo").returncode == 0
    assert prepared.actions() == ["venv", "install .", "venv", "install ."]


def test_a_folder_of_somebody_else_is_never_deleted(clone: Clone) -> None:
    clone.python("python3", FAKE_PYTHON)
    clone.venv.mkdir()
    (clone.venv / "thesis.txt").write_text("years of work")
    done = clone.do("demo")
    assert done.returncode == 1
    assert "was not made by this script" in done.stderr
    assert (clone.venv / "thesis.txt").read_text() == "years of work"
    assert clone.actions() == []


def test_an_environment_around_the_clone_is_refused(clone: Clone) -> None:
    done = clone.do("demo", WORKBENCH_VENV=str(clone.root.parent))
    assert done.returncode == 1
    assert "contains the clone" in done.stderr


def test_a_failed_installation_is_shown_whole_and_tried_again(clone: Clone) -> None:
    failing = FAKE_PYTHON.replace(
        'echo "install $last" >>"$FAKE_LOG"', "echo first line; echo last line >&2; exit 1"
    )
    clone.python("python3", failing)
    for _ in range(2):
        done = clone.do("demo")
        assert done.returncode == 1
        assert "first line\nlast line\n" in done.stderr
    assert clone.actions() == ["venv"]


def test_a_second_run_waits_for_the_first_and_says_which_lock(clone: Clone) -> None:
    lock = Path(f"{clone.venv}.lock")
    lock.mkdir()
    (lock / "holder").write_text(f"{os.getpid()} {os.uname().nodename}\n")
    done = clone.do("demo", WORKBENCH_LOCK_WAIT_S="0")
    assert done.returncode == 1
    assert "waiting for another run" in done.stderr
    assert f"remove {lock}" in done.stderr
    assert lock.is_dir()


def test_the_lock_of_a_run_that_died_is_removed(clone: Clone) -> None:
    clone.python("python3", FAKE_PYTHON)
    with subprocess.Popen(["true"]) as ended:
        pass
    lock = Path(f"{clone.venv}.lock")
    lock.mkdir()
    (lock / "holder").write_text(f"{ended.pid} {os.uname().nodename}\n")
    done = clone.do("demo")
    assert done.returncode == 0, done.stderr
    assert not lock.exists()


def test_runs_at_once_set_up_once(clone: Clone) -> None:
    clone.python("python3", FAKE_PYTHON)
    environment = {
        "PATH": f"{clone.bin}:/usr/bin:/bin",
        "HOME": str(clone.root),
        "FAKE_LOG": str(clone.log),
    }
    runs = [
        subprocess.Popen(
            ["sh", str(clone.root / ".ci" / "do"), "demo"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for run in runs:
        _, error = run.communicate(timeout=GUARD_S)
        assert run.returncode == 0, error
    assert clone.actions() == ["venv", "install ."]

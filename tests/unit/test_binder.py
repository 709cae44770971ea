"""The hosted demo's files, and the address that opens it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"
SEEN = {"anywidget", "bokeh", "ipykernel", "ipywidgets", "jupyter-bokeh", "jupyterlab"}


def load_link() -> Any:
    spec = spec_from_file_location("binder_link", BINDER / "link.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


link = load_link()


def pins() -> dict[str, str]:
    lines = (BINDER / "requirements.txt").read_text().splitlines()
    found: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, equal, version = line.partition("==")
            assert equal, f"not pinned: {line}"
            found[canonicalize_name(name)] = version
    return found


def test_the_demo_pins_what_is_seen_and_everything_the_package_depends_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["lab"], *extras["exchange"], *extras["ccxt"]]
    wanted = {canonicalize_name(r.name): r for r in map(Requirement, needed)}
    pinned = pins()
    assert set(pinned) == set(wanted) | SEEN
    for name, requirement in wanted.items():
        assert requirement.specifier.contains(pinned[name]), requirement


def test_the_demos_python_is_one_that_the_package_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    runtime = (BINDER / "runtime.txt").read_text().strip()
    assert re.fullmatch(r"python-3\.\d+", runtime)
    supported = Requirement(f"x{project['requires-python']}").specifier
    assert supported.contains(runtime.removeprefix("python-"))


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_the_demos_scripts_can_be_executed(name: str) -> None:
    assert os.access(BINDER / name, os.X_OK)
    assert (BINDER / name).read_text().startswith("#!/bin/sh\n")


def test_the_start_script_becomes_what_it_is_given() -> None:
    program = "import os, sys; print(os.getppid(), sys.argv[1])"
    command = [str(BINDER / "start"), sys.executable, "-c", program, "two words"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    # No shell stays between: the server must get the signals.
    assert ended.stdout.split(maxsplit=1) == [str(os.getpid()), "two words\n"]


@pytest.mark.parametrize(
    ("repository", "named"),
    [
        ("https://github.com/someone/some.thing.git", "gh/someone/some.thing"),
        ("git@github.com:someone/thing.git", "gh/someone/thing"),
        ("ssh://git@github.com:22/someone/thing", "gh/someone/thing"),
        ("https://user:secret@gitlab.com/group/sub/thing.git", "gl/group%2Fsub%2Fthing"),
        ("https://code.example/a/thing/", "git/https%3A%2F%2Fcode.example%2Fa%2Fthing"),
    ],
)
def test_the_address_opens_the_quickstart_of_a_repository_in_jupyterlab(
    repository: str, named: str
) -> None:
    address = link.launch_address(repository, "a/branch")
    assert address.startswith(f"https://mybinder.org/v2/{named}/a%2Fbranch?")
    assert "secret" not in address
    opens = parse_qs(urlsplit(address).query)["urlpath"]
    assert opens == ["lab/tree/notebooks/01_quickstart.ipynb"]
    assert (ROOT / opens[0].removeprefix("lab/tree/")).is_file()


@pytest.mark.parametrize("repository", ["/srv/thing", "file:///srv/thing", "thing", ""])
def test_a_repository_that_nobody_can_reach_has_no_address(repository: str) -> None:
    with pytest.raises(ValueError, match="everybody can clone"):
        link.launch_address(repository)


def test_the_badge_leads_to_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    repository = "https://github.com/someone/thing"
    assert link.main(["--repository", repository]) == 0
    address = capsys.readouterr().out.strip()
    assert link.main(["--repository", repository, "--badge"]) == 0
    shown = capsys.readouterr().out.strip()
    assert shown == f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({address})"


def test_a_repository_that_cannot_be_opened_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert link.main(["--repository", "/srv/thing"]) == 2
    assert "everybody can clone" in capsys.readouterr().err


def test_the_readmes_badge_leads_to_the_quickstart_or_to_how_to_open_it() -> None:
    readme = (ROOT / "README.md").read_text()
    target = re.search(r"\[!\[Open in Binder\]\([^)]+\)\]\(([^)]+)\)", readme)
    assert target is not None
    if target[1].startswith("#"):
        headings = re.findall(r"^#+ (.+)$", readme, re.MULTILINE)
        anchors = [re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings]
        assert target[1][1:] in anchors
        assert "python binder/link.py" in readme
    else:
        assert parse_qs(urlsplit(target[1]).query)["urlpath"] == [link.OPENS]

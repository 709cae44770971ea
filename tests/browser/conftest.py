"""One JupyterLab and one Chromium for the tests of this folder; each is marked `browser`.

playwright comes with the extra `browser`; Chromium is the system's (`apt-get install chromium`),
or the one that WORKBENCH_CHROMIUM names. Without them the tests skip, but with CI set they fail:
there, nobody would notice. Pictures go to the folder that WORKBENCH_SCREENSHOTS names, or to a
temporary one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import launched, opened, what_is_lacking
from tests.browser.lab_page import LabPage
from tests.browser.server import LabServer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

_FAILED = pytest.StashKey[bool]()
_FIGURES = pytest.StashKey[dict[str, float]]()

# Errors on the console that say nothing about us, each with its reason.
_ALLOWED: tuple[re.Pattern[str], ...] = ()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and move them to the end.

    playwright's loop counts as running in this thread for as long as there is a browser: no test
    after it could run a loop of its own.
    """
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    for item in ours:
        item.add_marker("browser")
    items[:] = [item for item in items if here not in item.path.parents] + ours


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def chromium() -> Generator[BrowserContext]:
    """The browser; nothing outside this machine has a name in it."""
    lacking = what_is_lacking()
    if lacking and os.environ.get("CI"):
        pytest.fail(lacking, pytrace=False)
    if lacking:
        pytest.skip(lacking)
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go."""
    named = os.environ.get("WORKBENCH_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Notes a figure, which the summary shows; none decides a test."""

    def note(name: str, value: float) -> None:
        request.config.stash.setdefault(_FIGURES, {})[name] = value

    return note


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    figures = config.stash.get(_FIGURES, {})
    if figures:
        terminalreporter.section("figures")
    for name, value in figures.items():
        terminalreporter.write_line(f"{name}: {value:.0f}")


@pytest.fixture(scope="session")
def server(chromium: BrowserContext) -> Generator[LabServer]:
    """The JupyterLab, where there is a browser to look at it."""
    server = LabServer()
    yield server
    server.close()


@pytest.fixture
def lab(
    request: pytest.FixtureRequest, chromium: BrowserContext, server: LabServer, pictures: Path
) -> Generator[LabPage]:
    """A page of this test's own; what it asked for and what its console said is checked."""
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    with opened(chromium, server, name, pictures) as lab:
        yield lab
        if request.node.stash.get(_FAILED, False):
            lab.picture(f"failed-{name}")
    assert lab.foreign() == []
    assert [e for e in lab.errors if not any(a.search(e) for a in _ALLOWED)] == []

"""Options, markers and the hypothesis profile of the whole suite."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import coverage
import pytest
from hypothesis import settings

collect_ignore = ["bench"]  # scripts that print figures; they decide nothing
_ALONE = "WORKBENCH_TEST_ALONE"
TRIAL_FRACTION = 10  # the usual run makes every tenth of a long trial's repetitions


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full",
        action="store_true",
        help="run long trials whole, and ten times as many hypothesis examples",
    )


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background jobs so, and all processes of the tests would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    full = config.getoption("--full")
    in_ci = bool(os.environ.get("CI"))
    settings.register_profile(
        "workbench",
        max_examples=1000 if full else 100,
        deadline=None,  # a timing never decides a test
        derandomize=in_ci,  # the same commit gives the same answer; new examples are found at desks
        print_blob=True,
    )
    if config.getoption("--hypothesis-profile", default=None) is None:
        settings.load_profile("workbench")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out `full` unless --full is given."""
    if config.getoption("--full"):
        return
    kept, deselected = [], []
    for item in items:
        (deselected if item.get_closest_marker("full") else kept).append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is marked `alone` in a process of its own.

    A nested run patches asyncio for good: after it `asyncio.run` leaves its loops open.
    """
    if pyfuncitem.get_closest_marker("alone") is None or os.environ.get(_ALONE):
        return None
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-cov"),
            *(
                "-W",
                "ignore::ResourceWarning",
                "-W",
                "ignore::pytest.PytestUnraisableExceptionWarning",
            ),
            pyfuncitem.nodeid,
        ],
        cwd=pyfuncitem.config.rootpath,
        env=os.environ | {_ALONE: "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout, done.stdout
    return True


@pytest.fixture(autouse=True)
def _log_records() -> Iterator[None]:
    """Give logging its records back as they were: reading credentials has it hide them for good."""
    make = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(make)


@pytest.fixture(autouse=True)
def _unmeasured(request: pytest.FixtureRequest) -> Iterator[None]:
    """Measure no coverage during tests that are marked so."""
    measuring = coverage.Coverage.current()
    if measuring is None or request.node.get_closest_marker("unmeasured") is None:
        yield
        return
    measuring.stop()
    try:
        yield
    finally:
        measuring.start()


@pytest.fixture(scope="session")
def repetitions(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """How often to repeat a long trial: `repetitions(1000)` is 1000 with --full, else 100.

    Use it with a fixed seed, so that the shorter trial is the beginning of the whole one.
    """
    full = bool(request.config.getoption("--full"))

    def scaled(whole: int) -> int:
        return whole if full else max(1, whole // TRIAL_FRACTION)

    return scaled

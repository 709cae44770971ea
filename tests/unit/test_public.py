"""The public names: there, documented, and without a side effect when they are imported."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
import textwrap
from typing import Any

import pytest

import workbench as wb
from tests.waiting import GUARD_S


def in_a_process_of_its_own(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_public_names_are_sorted_unique_and_importable() -> None:
    def order(name: str) -> tuple[int, str]:
        """As ruff sorts: constants, then classes, then functions."""
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    assert sorted(wb.__all__, key=order) == wb.__all__
    assert len(set(wb.__all__)) == len(wb.__all__)
    assert [name for name in wb.__all__ if not hasattr(wb, name)] == []
    namespace: dict[str, Any] = {}
    exec("from workbench import *", namespace)
    assert set(wb.__all__) <= set(namespace)


def test_each_event_a_callback_can_be_given_is_public() -> None:
    given = set()
    for cls in (wb.Actor, wb.Strategy):
        for name, callback in vars(cls).items():
            if name.startswith("on_"):
                parameters = list(inspect.signature(callback).parameters.values())[1:]
                given |= {str(parameter.annotation).removeprefix("e.") for parameter in parameters}
    assert {"OrderFilled", "PositionClosed", "Quote", "TimeEvent", "DataResponse"} <= given
    assert given - set(wb.__all__) == set()


@pytest.mark.parametrize("name", wb.__all__)
def test_every_public_object_says_what_it_is(name: str) -> None:
    found = getattr(wb, name)
    own = found.__dict__.get("__doc__") if isinstance(found, type) else found.__doc__
    assert own
    first = own.strip().splitlines()[0]
    assert first.rstrip().endswith((".", ":"))
    assert len(first) >= len("A share.")


@pytest.mark.parametrize(
    "cls",
    [getattr(wb, name) for name in wb.__all__ if isinstance(getattr(wb, name), type)],
    ids=lambda cls: cls.__name__,
)
def test_every_public_method_of_a_public_class_says_what_it_does(cls: type) -> None:
    if issubclass(cls, BaseException):
        return
    mine = {
        name: member
        for base in cls.__mro__
        if base.__module__.startswith("workbench.")
        for name, member in vars(base).items()
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property))
    }
    assert [name for name, member in mine.items() if not (member.__doc__ or "").strip()] == []


def test_the_examples_of_public_objects_run() -> None:
    finder = doctest.DocTestFinder()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    tests = doctest.DocTestFinder(recurse=False).find(wb, "workbench")
    for name in wb.__all__:
        found: Any = getattr(wb, name)
        if isinstance(found, type) or inspect.isfunction(found):
            tests += finder.find(found, name, module=sys.modules[found.__module__])
    examples = {test.name: test for test in tests if test.examples}
    for example in examples.values():
        assert runner.run(example).failed == 0, example.name
    main = {"workbench", "backtest", "sandbox", "Strategy", "Actor", "TradingNode", "bars"}
    assert main <= set(examples)


def test_importing_loads_no_frames_charts_or_notebook() -> None:
    code = """
        import sys
        import workbench
        heavy = ("pandas", "pyarrow", "bokeh", "IPython", "ipywidgets", "ipykernel", "tqdm",
                 "matplotlib", "nbformat", "nest_asyncio2", "pytest", "unittest")
        print([name for name in heavy if name in sys.modules])
    """
    assert in_a_process_of_its_own(code) == "[]"


def test_importing_changes_nothing_in_the_process() -> None:
    code = """
        import asyncio, decimal, gc, locale, logging, os, signal, socket, sys, threading, warnings
        import numpy

        def state():
            root = logging.getLogger()
            ours = [name for name in logging.root.manager.loggerDict if "workbench" in name]
            return {
                "threads": threading.active_count(),
                "handlers": (list(root.handlers), root.level, logging.lastResort),
                "ours": [logging.getLogger(name).handlers for name in ours if
                         logging.getLogger(name).handlers],
                "policy": type(asyncio.events._event_loop_policy),
                "signals": [signal.getsignal(n) for n in range(1, 32) if n not in (9, 19)],
                "decimal": repr(decimal.getcontext()),
                "hooks": (sys.excepthook, sys.displayhook, threading.excepthook),
                "warnings": list(warnings.filters),
                "gc": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
                "switch": sys.getswitchinterval(),
                "environment": dict(os.environ),
                "files": sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else [],
                "task": asyncio.Task,
                "run": asyncio.run,
                "recursion": sys.getrecursionlimit(),
                "numpy": numpy.geterr(),
                "directory": os.getcwd(),
            }

        before = state()
        import workbench
        after = state()
        print([name for name in before if before[name] != after[name]])
    """
    assert in_a_process_of_its_own(code) == "[]"


def test_importing_and_running_a_backtest_leaves_no_thread_behind() -> None:
    code = """
        import threading
        import workbench as wb
        pair = wb.CurrencyPair.define("BTC/USD.SIM")
        wb.backtest(wb.Actor(), wb.sample_quotes(100), instrument=pair, progress=False)
        print(threading.active_count())
    """
    assert in_a_process_of_its_own(code) == "1"


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert wb.__version__ == version("trading-workbench")


@pytest.mark.parametrize(
    "name", [n for n in wb.__all__ if n.endswith("Error") and n != "WorkbenchError"]
)
def test_every_public_error_is_a_workbench_error_and_a_builtin_one(name: str) -> None:
    cls = getattr(wb, name)
    assert issubclass(cls, wb.WorkbenchError)
    assert any(base.__module__ == "builtins" for base in cls.__bases__)

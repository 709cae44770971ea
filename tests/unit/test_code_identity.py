"""The identity of a strategy's code: equal for equal behaviour anywhere, and what differs named."""

from __future__ import annotations

import importlib
import linecache
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

import workbench as wb
from workbench.trading.code_identity import (
    CodeIdentity,
    changed_parts,
    changes_since,
    code_fingerprint,
    code_parts,
    differences,
    identify,
    short_fingerprint,
)
from workbench.venues.testing.session import Desk

CELL = '''
import functools
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

import numpy as np
import workbench as wb

FAST = 3
RATE = Decimal("0.10")
WEIGHTS = {"a": 1, "b": [2, 3]}
GRID = np.arange(4.0)
SEEN = []
NEXT = 0


class Side(Enum):
    LONG = 1
    SHORT = -1


@dataclass(frozen=True)
class Settings:
    depth: int = 2
    names: tuple = ("x",)


SETTINGS = Settings()


def deepest(value):
    """Return it."""
    return value * FAST + WEIGHTS["a"]


def signal(value, scale=2):
    global NEXT
    NEXT += 1
    return deepest(value) * scale + float(GRID.sum())


def times(count):
    def outer(method):
        @functools.wraps(method)
        def inner(self, *arguments):
            return method(self, *arguments) * count

        return inner

    return outer


class Mixin:
    ROWS = 5

    def rows(self):
        return [one for one in range(self.ROWS) if one % 2]


class Cross(Mixin, wb.Strategy):
    """A cross."""

    fast: int = 10
    size: Decimal = Decimal("0.5")
    side = Side.LONG

    def __init__(self):
        self.sum = 0.0

    def on_start(self):
        self.average = wb.EMA(self.fast)
        self.subscribe_bars("1-minute-last")

    @property
    def spread(self):
        return RATE * SETTINGS.depth

    @times(2)
    def doubled(self, value):
        return signal(value)

    @staticmethod
    def shifted(value):
        try:
            return value + 1
        except TypeError:
            return 0

    def on_bar(self, bar):
        # What comes in is added up.
        SEEN.append(bar)
        self.sum += self.doubled(self.shifted(bar.close))
        self.fast
'''


def defined(cell: str = CELL, name: str = "__main__", kind: str = "Cross") -> Any:
    """The class that a cell defines, in a namespace of its own."""
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(cell, "<cell>", "exec", dont_inherit=True), namespace)
    return namespace[kind]


def identity(cell: str = CELL, **parameters: Any) -> CodeIdentity:
    return identify(defined(cell)(**parameters))


def changed(old: str, new: str) -> list[str]:
    """What is told of a cell in which one text is another."""
    assert old in CELL
    before, now = identity(), identity(CELL.replace(old, new, 1))
    told = differences(before, now)
    assert (before.fingerprint == now.fingerprint) is (not told)
    return told


# Equal


def test_an_equal_cell_run_again_is_equal() -> None:
    assert identity() == identity()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# What comes in is added up.\n", "# Another\n\n        # comment\n\n"),
        ('"""A cross."""', '"""Another text."""'),
        ('"""Return it."""', '"""Return it, by another text."""'),
        ("NEXT = 0\n", "NEXT = 7\n"),  # the code counts with it
        ("SEEN = []\n", "SEEN = [1]\n"),  # the code fills it
        ("class Mixin:\n", "UNUSED = 1\n\n\ndef unused():\n    return 2\n\n\nclass Mixin:\n"),
    ],
)
def test_what_changes_no_behaviour_does_not_count(old: str, new: str) -> None:
    assert changed(old, new) == []


def test_annotations_that_stay_text_are_the_same() -> None:
    later = identity("from __future__ import annotations\n" + CELL)
    assert differences(identity(), later) == []


def test_a_run_changes_nothing() -> None:
    strategy = defined()()
    before = identify(strategy)
    pair = wb.CurrencyPair.define(
        "BTC/USDT.SIM", price_increment="0.01", quantity_increment="0.001"
    )
    wb.backtest(strategy, wb.sample_bars(40), instrument=pair)
    assert strategy.sum > 0
    assert identify(strategy) == before


def test_the_fast_way_gives_the_same() -> None:
    strategy = defined()(fast=4)
    before = identify(strategy)
    assert code_fingerprint(strategy) == before.fingerprint
    assert changes_since(before, strategy) == []
    type(strategy).on_bar.__globals__["FAST"] = 9
    assert changes_since(before, strategy) == ["FAST 3 -> 9"]


def test_a_class_is_told_by_its_code_whatever_parameters_its_objects_are_given() -> None:
    kind = defined()
    parts = code_parts(kind)
    assert not any(name.startswith("parameter") for name in parts)
    assert parts.items() <= identify(kind(fast=4)).parts.items()
    assert short_fingerprint(kind) == identify(kind).fingerprint[:12]
    added = "    @property\n    def more(self):\n        return {'a', 'b', 'c'}\n\n    def on_bar"
    other = code_parts(defined(CELL.replace("    def on_bar", added)))
    assert changed_parts(parts, other) == ["Cross changed", "Cross.more is new"]


def test_classes_of_this_package_are_told_apart_by_name() -> None:
    assert short_fingerprint(Desk) != short_fingerprint(wb.Strategy)
    assert list(code_parts(Desk)) == ["Desk"]


SCRIPT = """
from workbench.trading.code_identity import identify
import msgspec, sys
sys.stdout.buffer.write(msgspec.json.encode(identify({})))
"""


def _in_another_process(folder: Path, script: str, seed: str) -> CodeIdentity:
    path = folder / f"script{seed}.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, str(path)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
        cwd=folder,
    )
    return msgspec.json.decode(done.stdout, type=CodeIdentity)


def test_other_processes_find_the_same_whether_they_run_or_import_it(tmp_path: Path) -> None:
    (tmp_path / "crossing.py").write_text(CELL)
    here = identity()
    ran = _in_another_process(tmp_path, CELL + SCRIPT.format("Cross()"), "1")
    again = _in_another_process(tmp_path, "\n\n" + CELL + SCRIPT.format("Cross()"), "2")
    imported = _in_another_process(
        tmp_path, "import crossing" + SCRIPT.format("crossing.Cross()"), "3"
    )
    assert ran.fingerprint == again.fingerprint == imported.fingerprint == here.fingerprint
    assert ran.parts == imported.parts == here.parts
    assert ran.dependencies == here.dependencies
    assert ran.environment == here.environment


def test_an_ipython_shell_in_another_process_finds_the_same(tmp_path: Path) -> None:
    cells = (
        "import sys\nfrom IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\nnamespace = shell.user_ns\n"
        f"shell.run_cell('1 + 1', store_history=True)\nshell.run_cell({CELL!r})\n"
        + SCRIPT.format("namespace['Cross']()")
    )
    env = {**os.environ, "IPYTHONDIR": str(tmp_path)}
    path = tmp_path / "shell.py"
    path.write_text(cells)
    done = subprocess.run(
        [sys.executable, str(path)], env=env, capture_output=True, check=True, text=True
    )
    found = done.stdout[done.stdout.index('{"fingerprint"') :]
    other = msgspec.json.decode(found, type=CodeIdentity)
    assert other.parts == identity().parts
    assert "SEEN.append(bar)" in other.sources["Cross.on_bar"]


# Different


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("self.sum += self", "self.sum -= self", ["Cross.on_bar changed"]),
        ("FAST = 3\n", "FAST = 4\n", ["FAST 3 -> 4"]),
        ('Decimal("0.10")', 'Decimal("0.1")', ["RATE 0.10 -> 0.1"]),
        ('"a": 1, "b"', '"a": 2, "b"', ["WEIGHTS changed"]),
        ("[2, 3]", "[2, 4]", ["WEIGHTS changed"]),
        ("np.arange(4.0)", "np.arange(5.0)", ["GRID changed"]),
        ("value * FAST +", "value / FAST +", ["deepest changed"]),
        ("deepest(value) * scale", "deepest(scale) * scale", ["signal changed"]),
        ("scale=2", "scale=3", ["signal changed"]),
        ("@times(2)", "@times(3)", ["Cross.doubled: count 2 -> 3"]),
        ("    @times(2)\n", "", ["Cross.doubled changed", "Cross.doubled is gone"]),
        ("ROWS = 5", "ROWS = 6", ["Mixin.ROWS 5 -> 6"]),
        ("if one % 2", "if not one % 2", ["Mixin.rows changed"]),
        ("range(self.ROWS)", "range(1, self.ROWS)", ["Mixin.rows changed"]),
        ("side = Side.LONG", "side = Side.SHORT", ["Cross.side changed"]),
        ("depth: int = 2", "depth: int = 3", ["SETTINGS changed", "Settings.depth 2 -> 3"]),
        ("Settings()", "Settings(names=('y',))", ["SETTINGS changed"]),
        ("except TypeError", "except ValueError", ["Cross.shifted changed"]),
        ("self.sum = 0.0", "self.sum = 0", ["Cross.__init__ changed"]),
        ("RATE * SETTINGS", "RATE + SETTINGS", ["Cross.spread changed"]),
        ("wb.EMA(", "wb.SMA(", ["Cross.on_start changed"]),
        ("fast: int = 10", "fast: int = 12", ["Cross.fast 10 -> 12", "parameter fast 10 -> 12"]),
        ("fast: int = 10", "fast: float = 10", ["Cross changed"]),
        ("    def on_bar", "    def on_quote", ["Cross changed"]),
        ("class Cross(Mixin, ", "class Cross(", ["Cross changed", "Mixin is gone"]),
    ],
)
def test_every_change_of_behaviour_counts_and_is_named(old: str, new: str, told: list[str]) -> None:
    assert set(told) <= set(changed(old, new))


def test_a_parameter_given_counts_by_its_value_not_by_how_it_was_given() -> None:
    assert identity(fast=10).fingerprint == identity().fingerprint
    told = differences(identity(), identity(fast=12, size="0.7"))
    assert told == ["parameter fast 10 -> 12", "parameter size Decimal('0.5') -> Decimal('0.7')"]


def test_a_helper_or_constant_bound_anew_in_the_notebook_counts() -> None:
    strategy = defined()()
    namespace = type(strategy).on_bar.__globals__
    before = identify(strategy)
    exec("def deepest(value):\n    return 1\n", namespace)
    assert differences(before, identify(strategy)) == ["FAST is gone", "WEIGHTS is gone"] or (
        "deepest changed" in differences(before, identify(strategy))
    )
    namespace["WEIGHTS"]["a"] = 1
    now = identify(strategy)
    namespace["GRID"][0] = 5.0
    assert differences(now, identify(strategy)) == ["GRID changed"]


def test_a_name_that_is_missing_counts_once_it_is_there() -> None:
    cell = "import workbench as wb\nclass Late(wb.Strategy):\n    def on_bar(self, bar): later()\n"
    kind = defined(cell, kind="Late")
    before = identify(kind())
    kind.on_bar.__globals__["later"] = lambda: 1
    assert "Late.on_bar changed" in differences(before, identify(kind()))


def test_what_the_object_has_in_the_place_of_its_methods_counts() -> None:
    strategy = defined()()
    before = identify(strategy)
    strategy.on_bar = lambda bar: None
    assert "on_bar of the object is new" in differences(before, identify(strategy))
    del strategy.on_bar
    assert identify(strategy) == before
    strategy.on_quote = strategy.on_bar  # one of its own: its state, not its code
    assert identify(strategy) == before


def test_a_parameter_that_somebody_sets_on_the_object_counts() -> None:
    strategy = defined()()
    before = identify(strategy)
    strategy.fast = 50
    assert differences(before, identify(strategy)) == ["parameter fast of the object is new"]


def test_a_parameter_that_the_code_itself_moves_is_its_state() -> None:
    strategy = defined(CELL.replace("        self.fast\n", "        self.fast += 1\n"))()
    before = identify(strategy)
    strategy.fast = 50
    assert identify(strategy) == before


def test_an_object_that_its_class_changes_is_state_and_another_is_not() -> None:
    cell = """
import workbench as wb
class Book:
    def __init__(self, size): self.size = size; self.rows = []
    def take(self, row): {take}
BOOK = Book(3)
class Uses(wb.Strategy):
    def on_bar(self, bar): BOOK.take(bar)
"""
    for take, is_state in (("self.rows.append(row)", True), ("return self.size", False)):
        kind = defined(cell.format(take=take), kind="Uses")
        before = identify(kind())
        kind.on_bar.__globals__["BOOK"].size = 4
        assert (differences(before, identify(kind())) == []) is is_state


# Modules


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, Path]]:
    path = tmp_path / "identity_signals.py"
    path.write_text("LIMIT = 3\nOTHER = 1\n\ndef near(x):\n    return x < LIMIT\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("identity_signals"), path
    del sys.modules["identity_signals"]


@pytest.mark.parametrize(
    "body",
    [
        "import identity_signals\ndef call(x): return identity_signals.near(x)",
        "import identity_signals as s\ndef call(x):\n    other = s\n    return other.near(x)",
        "from identity_signals import near\ndef call(x): return near(x)",
    ],
)
def test_the_users_modules_are_followed(body: str, module: tuple[ModuleType, Path]) -> None:
    cell = (
        f"import workbench as wb\n{body}\n"
        "class Uses(wb.Strategy):\n    def on_bar(self, bar): return call(bar.close)\n"
    )
    loaded, _ = module
    kind = defined(cell, kind="Uses")
    before = identify(kind())
    assert "identity_signals.near" in before.parts
    importlib.reload(loaded)
    assert identify(defined(cell, kind="Uses")()) == before
    loaded.OTHER = 2  # pyright: ignore[reportAttributeAccessIssue]
    assert identify(kind()) == before
    loaded.LIMIT = 4  # pyright: ignore[reportAttributeAccessIssue]
    assert differences(before, identify(kind())) == ["identity_signals.LIMIT 3 -> 4"]


def test_what_a_function_imports_when_it_runs_counts_by_its_file(
    module: tuple[ModuleType, Path],
) -> None:
    cell = (
        "import workbench as wb\nclass Uses(wb.Strategy):\n    def on_bar(self, bar):\n"
        "        import identity_signals\n        return identity_signals.near(bar.close)\n"
    )
    kind = defined(cell, kind="Uses")
    before = identify(kind())
    loaded = sys.modules.pop("identity_signals")
    assert identify(kind()) == before
    sys.modules["identity_signals"] = loaded
    module[1].write_text("def near(x):\n    return True\n")
    assert differences(before, identify(kind())) == ["Uses.on_bar changed"]


def test_libraries_are_named_by_version_and_not_walked() -> None:
    found = identity()
    assert set(found.dependencies) == {"numpy", "python", "trading-workbench"}
    assert not any(name.startswith(("numpy", "workbench", "functools")) for name in found.parts)
    cell = CELL.replace("GRID.sum()", "np.mean(GRID)")
    assert identity(cell).dependencies == found.dependencies


def test_other_versions_are_another_environment_and_not_another_code() -> None:
    before = identity()
    newer = {**before.dependencies, "numpy": "9.9"}
    now = msgspec.structs.replace(before, dependencies=newer)
    assert differences(before, now) == [f"numpy {before.dependencies['numpy']} -> 9.9"]


def test_code_compiled_by_another_python_is_said_not_to_compare() -> None:
    before, now = identity(), identity(CELL.replace("FAST = 3", "FAST = 4"))
    newer = {**now.dependencies, "python": "3.99.1"}
    told = differences(before, msgspec.structs.replace(now, dependencies=newer))
    assert told == [
        "code compiled by another version of Python, which cannot be compared",
        f"python {before.dependencies['python']} -> 3.99.1",
    ]


# Sources


def test_sources_are_those_of_the_code_or_none(tmp_path: Path) -> None:
    lines = CELL.splitlines(keepends=True)
    linecache.cache["<cell>"] = (len(CELL), None, lines, "<cell>")
    try:
        sources = identity().sources
        assert sources["Cross.shifted"].lstrip().startswith("@staticmethod")
        assert sources["signal"].startswith("def signal(value, scale=2):")
        assert sources["FAST"] == "3"
        edited = [line.replace("value + 1", "value + 2") for line in lines]
        linecache.cache["<cell>"] = (len(CELL), None, edited, "<cell>")
        assert "Cross.shifted" not in identity().sources
        assert identity().fingerprint == identity().fingerprint
    finally:
        del linecache.cache["<cell>"]
    assert "Cross.shifted" not in identity().sources


def test_texts_are_never_shown() -> None:
    cell = (
        "import workbench as wb\nKEY = 'very-secret'\n"
        "class Uses(wb.Strategy):\n    def on_bar(self, bar): return KEY\n"
    )
    found = identity_of(cell)
    assert "KEY" in found.parts
    assert "very-secret" not in repr(found.sources)


def identity_of(cell: str) -> CodeIdentity:
    return identify(defined(cell, kind="Uses")())


# Nothing is run


def test_nothing_of_the_users_is_run() -> None:
    cell = """
import workbench as wb
RAN = []
class Meta(type):
    def __getattribute__(cls, name):
        RAN.append(("meta", name))
        return super().__getattribute__(name)
class Trap(metaclass=Meta):
    __slots__ = ("inner", "__dict__")
    def __init__(self): self.inner = 1; self.more = 2
    @property
    def __class__(self): RAN.append("class"); return int
    def __getattribute__(self, name): RAN.append(name); return object.__getattribute__(self, name)
    def __getattr__(self, name): RAN.append(name)
    def __repr__(self): RAN.append("repr"); return ""
    def __eq__(self, other): RAN.append("eq"); return True
    def __hash__(self): RAN.append("hash"); return 1
    def __iter__(self): RAN.append("iter"); return iter(())
    def __bool__(self): RAN.append("bool"); return True
    def __reduce_ex__(self, protocol): RAN.append("reduce"); return (int, ())
class List(list):
    def __iter__(self): RAN.append("list"); return list.__iter__(self)
class Text(str):
    def __repr__(self): RAN.append("text"); return ""
TRAP, LIST, TEXT, NESTED = Trap(), List([1]), Text("a"), [{1: Trap()}, (Trap(),)]
TABLE = {Trap(): 1}
class Uses(wb.Strategy):
    value: object = TRAP
    held = TRAP
    @property
    def spread(self): RAN.append("property"); return 1
    def on_bar(self, bar, first=TRAP): return TRAP, LIST, TEXT, NESTED, TABLE, Trap, RAN
"""
    kind = defined(cell, kind="Uses")
    strategy = kind()
    namespace = kind.on_bar.__globals__
    namespace["RAN"].clear()
    before = identify(strategy)
    assert namespace["RAN"] == []
    namespace["LIST"].append(2)
    object.__getattribute__(namespace["TRAP"], "__dict__")["more"] = 3
    namespace["RAN"].clear()
    told = differences(before, identify(strategy))
    assert {"LIST changed", "TRAP changed"} <= set(told)
    assert namespace["RAN"] == []


def test_values_that_hold_themselves_are_read_once() -> None:
    cell = (
        "import workbench as wb\nROWS = []\nROWS.append(ROWS)\n"
        "class Node:\n    pass\nNODE = Node()\nNODE.me = NODE\n"
        "class Uses(wb.Strategy):\n    def on_bar(self, bar): return ROWS, NODE, Uses\n"
    )
    assert identity_of(cell) == identity_of(cell)


ODD = """
import collections, contextlib, enum, functools, itertools, logging, random, re, threading, typing
import msgspec, numpy as np, pandas as pd
import workbench as wb
LOG, LOCK, RNG = logging.getLogger("x"), threading.Lock(), np.random.default_rng(1)
R, COUNT, WORD, HINT = random.Random(1), itertools.count(), re.compile("a"), typing.Optional[int]
FRAME, MOMENT = pd.DataFrame({"a": [1.0]}), pd.Timestamp("2024-01-01", tz="UTC")
MOST, CACHED = functools.partial(max, 3), functools.lru_cache(lambda x: x + 1)
LAST, NAMES, NOTHING = collections.deque([1], 5), collections.Counter("aab"), None
class Settings(msgspec.Struct, frozen=True):
    rows: int = 1
    names: list = []
SETTINGS = Settings()
class Color(enum.Flag):
    RED = 1
    BLUE = 2
BOTH = Color.RED | Color.BLUE
@functools.singledispatch
def told(x): return 1
@told.register
def _(x: int): return 2
@contextlib.contextmanager
def logged(): yield LOG
AVERAGE = wb.EMA(12)
class Uses(wb.Strategy):
    class Inner:
        k = 3
    async def later(self):
        async with LOCK:
            yield 1
    def on_bar(self, bar):
        with logged():
            return (RNG, R, FRAME, MOMENT, COUNT, MOST(1), CACHED(1), WORD, LAST, NAMES, HINT,
                    NOTHING,
                    SETTINGS, BOTH, told(1), AVERAGE.value, [c for c in Color if c in BOTH])
"""


def test_whatever_a_notebook_holds_can_be_identified_and_stays_the_same() -> None:
    strategy = defined(ODD, kind="Uses")()
    held = type(strategy).on_bar.__globals__
    before = identify(strategy)
    assert identity_of(ODD) == before
    held["RNG"].normal(), next(held["COUNT"]), held["CACHED"](3), held["R"].random()
    held["AVERAGE"].update(3.0)
    assert changes_since(before, strategy) == []
    assert set(before.dependencies) >= {"msgspec", "numpy", "pandas"}
    for name, another in {
        "MOMENT": held["MOMENT"] + held["pd"].Timedelta(hours=1),
        "MOST": held["functools"].partial(max, 4),
        "BOTH": held["Color"].RED,
        "SETTINGS": held["Settings"](rows=2),
        "AVERAGE": wb.EMA(13),
        "HINT": str,
    }.items():
        kept, held[name] = held[name], another
        assert any(name in told or "on_bar" in told for told in changes_since(before, strategy))
        held[name] = kept
    held["told"].register(str)(lambda x: 3)
    assert changes_since(before, strategy) != []

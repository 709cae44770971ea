"""Everything that decides how a class behaves, found from it without running any of it.

Followed are methods, bases, and what their code names: functions and classes (through globals,
closures, defaults, decorators, attributes of modules) and constants. Nothing of the user's is
called on the way: no property, no `__repr__`, no `__eq__`, no `__getattr__`; classes, modules and
objects are read through the slots that Python itself keeps.

**What is not walked.** Libraries (and this one): their version names them. Of a library's object
only its type counts, and the user's functions that it holds, as a decorator does.

**State.** A value that the code itself binds anew (`global`) or changes in place (`SEEN.append`) is
what it remembers, not what it is: it counts by its type only. So do objects of a class whose
methods change them.
"""

from __future__ import annotations

import builtins
import functools
import hashlib
import importlib.machinery
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import (
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple, cast

from workbench.trading.actor import Actor
from workbench.trading.code_facts import CodeFacts, facts_of
from workbench.trading.code_origin import (
    is_library_code,
    is_library_module,
    module_of_class,
    names_of_module,
)
from workbench.trading.code_values import (
    MUTABLE,
    Values,
    attributes_of,
    dictionary_of,
    mro_of,
    namespace_of,
)
from workbench.trading.indicators import Indicator
from workbench.trading.parameters import Parameters

LENGTH = 12
"""How many hexadecimal digits a part's hash has."""

_MISSING: Any = object()
_GET: Any = vars(dict)["get"]  # a namespace may be of a class of its own
_QUALIFIED: Any = type.__dict__["__qualname__"]
_BASES: Any = type.__dict__["__bases__"]
_SKIPPED = frozenset(
    {
        *("__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__firstlineno__"),
        *("__static_attributes__", "__abstractmethods__", "_abc_impl", "__annotations_cache__"),
        # Made of what counts already.
        *("__dataclass_fields__", "__match_args__", "_member_map_", "_value2member_map_"),
        *("_member_names_", "_unhashable_values_", "_hashable_values_", "_unhashable_values_map_"),
    }
)
_MAKING = ("__init__", "__new__", "__post_init__", "__setattr__", "__set_name__")
_DESCRIPTORS = (GetSetDescriptorType, MemberDescriptorType)


def short(content: Any) -> str:
    """Return a short hash of what is made of plain values only."""
    return hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()[:LENGTH]


class Walk:
    """Finds what decides how a class behaves, part by part.

    Args:
        home: The class that it begins at; parts of its module are named without the module's name.

    Attributes:
        codes: The functions found, by the name of their part.
        shown: Constants that are numbers, as text, by the name of their part.
        packages: The packages of libraries that were met.
    """

    def __init__(self, home: type) -> None:
        self.codes: dict[str, CodeType] = {}
        self.shown: dict[str, str] = {}
        self.packages: set[str] = set()
        self.values = Values(self._refer, self._object)
        self._home = module_of_class(home)
        package = self._home.partition(".")[0]
        # A strategy that is installed as a package of its own is read all the same.
        self._own = None if package in ("workbench", "__main__") else package
        self._contents: dict[str, Any] = {}
        self._labels: dict[int, str] = {}
        self._kept: list[Any] = []
        self._waiting: deque[Callable[[], None]] = deque()
        self._constants: dict[tuple[int, str], _Constant] = {}
        self._changed: set[tuple[int, str]] = set()
        self._changed_attributes: set[str] = set()
        self._stored_attributes: set[str] = set()
        self._unless_stored: list[tuple[str, str, Any]] = []
        self._libraries: dict[int, FunctionType] = {}
        self._makes: dict[type, bool] = {}

    def add(self, name: str, content: Any) -> None:
        """Add a part."""
        self._contents[self._free(name)] = content

    def add_unless_stored(self, name: str, attribute: str, value: Any) -> None:
        """Add what an attribute holds, unless some code that was found sets it itself."""
        self._unless_stored.append((name, attribute, value))

    def finish(self) -> dict[str, str]:
        """Follow everything, and return a short hash of each part, by name."""
        while self._waiting:
            self._waiting.popleft()()
        for name, attribute, value in self._unless_stored:
            if attribute not in self._stored_attributes:
                self.add(name, self.values.of(value))
        remembered = {id(one.value) for one in self._constants.values() if self._is_state(one)}
        for one in self._constants.values():
            if self._is_state(one) or (id(one.value) in remembered and not _is_plain(one.value)):
                self._contents[one.label] = "state", self._kind(one.value)
                self.shown.pop(one.label, None)
        return {name: short(content) for name, content in sorted(self._contents.items())}

    # Names

    def _free(self, name: str) -> str:
        free, count = name, 1
        while free in self._contents:
            count += 1
            free = f"{name} ({count})"
        return free

    def _label(self, what: Any, name: str, module: Any) -> str:
        is_home = module == self._home or type(module) is not str
        label = self._free(name if is_home else f"{module}.{name}")
        self._labels[id(what)] = label
        self._kept.append(what)
        self._contents[label] = None
        return label

    # What is referred to

    def _refer(self, value: Any) -> Any:
        kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
        if kind is FunctionType:
            return self._function(value)
        if issubclass(kind, type):
            return self._class(value)
        if issubclass(kind, ModuleType):
            return "module", self._module_name(value)
        return None

    def _module_name(self, module: ModuleType) -> str:
        name = names_of_module(module).get("__name__")
        said = name if type(name) is str else ""
        if self._is_library(said):
            self._note(said)
        return said

    def _note(self, module: str) -> None:
        self.packages.add(module.partition(".")[0])

    def _is_library(self, module: str) -> bool:
        return module.partition(".")[0] != self._own and is_library_module(module)

    def _kind(self, value: Any) -> Any:
        return self._class(cast(Any, type(value)))

    # Functions

    def _function(self, function: FunctionType, name: str = "") -> Any:
        label = self._labels.get(id(function))
        if label is not None:
            return "function", label
        module = _GET(function.__globals__, "__name__")
        is_own = type(module) is str and module.partition(".")[0] == self._own
        if is_library_code(function.__code__) and not is_own:
            self._note(str(module))
            said = "library function", module, function.__qualname__
            if id(function) in self._libraries:
                return said  # what it holds was told where it was met first
            self._libraries[id(function)] = function
            return *said, self._held(function)
        label = self._label(function, name or _own_name(function), None if name else module)
        self.codes[label] = function.__code__
        self._waiting.append(lambda: self._read_function(function, label))
        return "function", label

    def _held(self, function: FunctionType) -> list[Any]:
        """Return what of the user's a library's function holds, as a decorator does."""
        facts = facts_of(function.__code__)
        found: list[Any] = []
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            if name not in facts.stored_free:
                found.append((name, self._code_in(_content(cell))))
        found += [(k, self._code_in(one)) for k, one in sorted(_own_items(function))]
        return found

    def _code_in(self, value: Any, depth: int = 2) -> Any:
        """Return what of a library's value is plain and cannot change, or code."""
        kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
        if _is_plain(value) or kind in (FunctionType, MethodType) or issubclass(kind, type):
            return self.values.of(value)
        if not depth:
            return self._kind(value)
        items: Iterable[Any] = ()
        if kind in (tuple, list, set, frozenset, deque):
            items = value
        elif kind is dict:
            items = cast("dict[Any, Any]", value).values()
        found = [self._code_in(one, depth - 1) for one in items if _is_code(one)]
        return self._kind(value), found

    def _read_function(self, function: FunctionType, label: str) -> None:
        facts = facts_of(function.__code__)
        namespace = function.__globals__
        self._take_changes(facts, namespace)
        names = [self._named(namespace, chain, facts) for chain in facts.chains]
        cells: list[Any] = []
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            if name in facts.stored_free or name in facts.changed_globals:
                self._changed.add((id(cell), name))
            cells.append((name, self._constant(cell, name, _content(cell), f"{label}: {name}")))
        self._contents[label] = (
            facts.digest,
            names,
            cells,
            self.values.each(function.__defaults__ or ()),
            self.values.of(function.__kwdefaults__),
            [(name, self._code_in(one)) for name, one in sorted(_own_items(function))],
            [self._imported(level, name) for level, name in facts.imports],
        )

    def _take_changes(self, facts: CodeFacts, namespace: Mapping[str, Any]) -> None:
        for name in facts.stored | facts.changed_globals:
            self._changed.add((id(namespace), name))
        self._changed_attributes |= facts.changed_attributes
        self._stored_attributes |= facts.stored_attributes

    def _named(self, namespace: Mapping[str, Any], chain: tuple[str, ...], facts: CodeFacts) -> Any:
        """Return what a name of a namespace, and the attributes read of it, stand for."""
        name = chain[0]
        value = _GET(namespace, name, _MISSING)
        if value is _MISSING:
            return "missing", name
        if not issubclass(type(value), ModuleType):
            module = namespace.get("__name__")
            is_home = module == self._home or type(module) is not str
            label = name if is_home else f"{module}.{name}"
            return name, self._constant(namespace, name, value, label)
        said = self._module_name(value)
        if self._is_library(said):
            return name, said, *chain[1:]
        inside = names_of_module(value)
        # One that is passed on, or bound to another name, may be asked for any of these.
        read = {one for code in facts.codes for one in code.co_names}
        wanted = chain[1:2] or tuple(sorted(one for one in read if one in inside))
        return name, said, [self._named(inside, (one, *chain[2:]), facts) for one in wanted]

    def _imported(self, level: int, name: str) -> Any:
        """Return what an import inside a function brings, loaded or not: the text of its file."""
        if level:
            return "relative import", level, name
        if self._is_library(name):
            self._note(name)
            return "import", name
        return "import", name, _file_of(name)

    # Constants

    def _constant(self, home: Any, name: str, value: Any, label: str) -> Any:
        """Return what a name is bound to: code, or a constant that is a part of its own."""
        referred = self._refer(value)
        if referred is not None:
            return referred
        key = id(home), name
        known = self._constants.get(key)
        if known is None:
            known = self._constants[key] = _Constant(key, self._free(label), value)
            self._kept += (home, value)
            self._contents[known.label] = None  # its name is taken, whatever is found in it
            self._contents[known.label] = self.values.of(value)
            if type(value) in (bool, int, float, Decimal):
                self.shown[known.label] = str(value)
        return "constant", known.label

    def _is_state(self, one: _Constant) -> bool:
        if one.key in self._changed:
            return True
        is_mutable = issubclass(type(one.value), MUTABLE)
        return is_mutable and one.key[1] in self._changed_attributes

    # Classes and objects

    def _class(self, kind: type) -> Any:
        label = self._labels.get(id(kind))
        if label is not None:
            return "class", label
        module = module_of_class(kind)
        if self._is_library(module):
            self._note(module)
            return "library", module, _QUALIFIED.__get__(kind)
        label = self._label(kind, _last(_QUALIFIED.__get__(kind)), module)
        self._waiting.append(lambda: self._read_class(kind, label))
        return "class", label

    def _read_class(self, kind: type, label: str) -> None:
        namespace = namespace_of(kind)
        members: list[Any] = []
        for name, value in sorted(namespace.items()):
            if name not in _SKIPPED and type(value) not in _DESCRIPTORS:
                members.append((name, self._member(kind, name, value, f"{label}.{name}")))
        self._contents[label] = (
            [self._class(base) for base in _BASES.__get__(kind)],
            self._kind(kind),
            members,
        )

    def _member(self, kind: type, name: str, value: Any, label: str) -> Any:
        if name == "__annotations__" and type(value) is dict:
            hints = cast("dict[str, Any]", value)
            return [(one, self._annotation(kind, hint)) for one, hint in hints.items()]
        inner = _function_in(value)
        if inner is not None and id(inner) not in self._labels:
            self._function(inner, label)
        if inner is not None or type(value) in _WRAPPERS:
            return self.values.of(value)
        return self._constant(kind, name, value, label)

    def _annotation(self, kind: type, hint: Any) -> Any:
        """Return what a hint stands for; one that stayed text is the same."""
        if type(hint) is str and hint.isidentifier():
            found = filter(None, map(_function_in, namespace_of(kind).values()))
            written = (one.__globals__ for one in found if not is_library_code(one.__code__))
            namespace: dict[str, Any] = next(written, dict[str, Any]())
            hint = _GET(namespace, hint, _GET(vars(builtins), hint, hint))
        return self.values.of(hint)

    def _object(self, value: Any) -> Any:
        kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
        module = module_of_class(kind)
        said = self._class(kind)
        if module == "typing":
            held = dictionary_of(value)
            return said, self.values.each((held.get("__origin__"), held.get("__args__")))
        if self._is_library(module):
            return said, self._library_state(value, kind)
        if any(base is Actor for base in mro_of(kind)):
            return said, self.values.of(parameters_of(value))
        if self._remembers(kind):
            return said, "state"
        return said, [(name, self.values.of(one)) for name, one in _sorted(attributes_of(value))]

    def _library_state(self, value: Any, kind: type) -> Any:
        """Return what counts of a library's object: what cannot change, and the user's code."""
        config = getattr(kind, "__struct_config__", None)
        if config is not None and config.frozen:
            fields: tuple[str, ...] = value.__struct_fields__
            return [(name, self.values.of(getattr(value, name))) for name in fields]
        if issubclass(kind, Indicator):
            return self.values.each(value.made_with)
        held = dictionary_of(value)
        return [(name, self._code_in(one)) for name, one in _sorted(held) if _is_code(one)]

    def _methods_after(self, kind: type) -> Iterator[CodeFacts]:
        """Iterate over what the methods say that a class itself has, but for those that make."""
        for name, value in namespace_of(kind).items():
            function = None if name in _MAKING else _function_in(value)
            if function is not None and not is_library_code(function.__code__):
                yield facts_of(function.__code__)

    def _remembers(self, kind: type) -> bool:
        """Return whether a class's own methods change its objects once they are made."""
        known = self._makes.get(kind)
        if known is None:
            known = self._makes[kind] = any(
                facts.stored_attributes or facts.changed_attributes
                for base in mro_of(kind)
                for facts in self._methods_after(base)
            )
        return known


def parameters_of(actor: Any) -> dict[str, Any]:
    """Return an actor's parameters, without asking it."""
    held = dictionary_of(actor).get("parameters")
    return dict(held) if type(held) is Parameters else {}


class _Constant(NamedTuple):
    key: tuple[int, str]
    label: str
    value: Any


_PLAIN: tuple[type, ...] = (type(None), bool, int, float, complex, str, bytes, type(...))
_WRAPPERS: tuple[type, ...] = (
    *(property, staticmethod, classmethod, functools.cached_property, functools.partial),
    MethodType,
)


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN


def _is_code(value: Any) -> bool:
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
    return kind in (FunctionType, *_WRAPPERS) or issubclass(kind, type)


def _function_in(value: Any) -> FunctionType | None:
    """Return the function that a member of a class is, bare or as a method of another kind."""
    if type(value) is property:
        value = value.fget
    elif type(value) in (staticmethod, classmethod):
        value = value.__func__
    elif type(value) is functools.cached_property:
        value = value.func
    return value if type(value) is FunctionType else None


def _own_name(function: FunctionType) -> str:
    return _last(function.__qualname__)


def _last(qualified: str) -> str:
    """Return a name without the functions that it was made in."""
    return qualified.rpartition("<locals>.")[2]


def _own_items(function: FunctionType) -> Iterable[tuple[str, Any]]:
    return function.__dict__.items()


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "<empty>"


def _sorted(held: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted((str(name), one) for name, one in held.items())


def _file_of(name: str) -> str | None:
    """Return a hash of the text of a module's file, found without importing anything."""
    path: list[str] | None = None
    spec = None
    for step in name.split("."):
        spec = importlib.machinery.PathFinder.find_spec(step, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    if spec is None or spec.origin is None:
        return None
    try:
        return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
    except OSError:
        return None

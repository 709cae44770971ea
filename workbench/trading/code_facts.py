"""What a code object says: what it does, without line numbers, and what it refers to.

A code object never changes, so what was read from one is kept as long as it lives.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
import weakref
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from types import CodeType
from typing import Any, NamedTuple, cast

_LOADS_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_LOADS_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")
_LOADS_FREE = ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF")
_STORES_ATTRIBUTE = ("STORE_ATTR", "DELETE_ATTR")
_STORES_ITEM = ("STORE_SUBSCR", "DELETE_SUBSCR")
_MUTATORS = frozenset(
    {
        *("add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert"),
        *("pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort"),
        *("subtract", "update"),
    }
)


class CodeFacts(NamedTuple):
    """What is known of a code object and those inside it.

    Attributes:
        digest: A hash of what it does; comments, docstrings and where it is written do not count.
        chains: The globals it reads, each with the attributes that it reads of them at once.
        stored: The globals it binds anew.
        stored_free: The variables of enclosing functions that it binds anew.
        changed_globals: The globals whose value it changes in place.
        changed_attributes: The attributes whose value it changes in place.
        stored_attributes: The attributes that it sets or deletes, of whatever object.
        imports: What it imports when it runs: level and dotted name.
        codes: The code objects in it, itself among them.
    """

    digest: str
    chains: tuple[tuple[str, ...], ...]
    stored: frozenset[str]
    stored_free: frozenset[str]
    changed_globals: frozenset[str]
    changed_attributes: frozenset[str]
    stored_attributes: frozenset[str]
    imports: tuple[tuple[int, str], ...]
    codes: tuple[CodeType, ...]


_known: dict[int, tuple[weakref.ref[CodeType], CodeFacts]] = {}


def facts_of(code: CodeType) -> CodeFacts:
    """Return what a code object says.

    >>> def count():
    ...     return len(SEEN) + LIMITS.upper
    >>> facts_of(count.__code__).chains
    (('LIMITS', 'upper'), ('SEEN',), ('len',))
    """
    key = id(code)
    known = _known.get(key)
    if known is not None and known[0]() is code:
        return known[1]
    facts = _read(code)
    # By identity: two equal code objects may differ in what equality does not look at.
    _known[key] = (weakref.ref(code, partial(_forget, _known, key)), facts)
    return facts


def _forget(known: dict[int, Any], key: int, _: Any) -> None:
    known.pop(key, None)


def plain_code(code: CodeType) -> tuple[Any, ...]:
    """Return what a code object does, as values whose `repr` is the same everywhere.

    Not its bytes: `wb.EMA(3)` is compiled another way where `import workbench as wb` stands in the
    same file than where it stands in another cell.
    """
    steps = [one for one in dis.get_instructions(code) if one.opname not in _IDLE]
    offsets = [step.offset for step in steps]
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    return (
        code.co_name,
        code.co_flags & _KINDS,
        arguments,
        (code.co_varnames, code.co_freevars, code.co_cellvars),
        [(_SAME.get(step.opname, step.opname), _argument(code, step, offsets)) for step in steps],
        [
            (
                _next(offsets, one.start),
                _next(offsets, one.end),
                _next(offsets, one.target),
                one.depth,
            )
            for one in _guarded(code)
        ],
    )


_IDLE = frozenset({"RESUME", "NOP", "EXTENDED_ARG", "PRECALL", "PUSH_NULL", "CACHE"})
_SAME = {"LOAD_METHOD": "LOAD_ATTR"}
_VALUES = frozenset((*dis.hasname, *dis.haslocal, *dis.hasfree, *dis.hasconst, *dis.hascompare))
_JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))
_KINDS = (
    (inspect.CO_OPTIMIZED | inspect.CO_NEWLOCALS | inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    | (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE)
    | inspect.CO_ASYNC_GENERATOR
)


def _argument(code: CodeType, step: dis.Instruction, offsets: Sequence[int]) -> Any:
    if step.opcode in _JUMPS:
        return _next(offsets, step.argval)
    if step.opcode not in _VALUES:
        return step.arg
    if step.opname in ("LOAD_SUPER_ATTR", "LOAD_SUPER_METHOD"):
        return step.argval, (step.arg or 0) >> 1 & 1
    if step.argval == code.co_firstlineno and "__firstlineno__" in code.co_names:
        return "line"
    return _plain_constant(step.argval)


def _next(offsets: Sequence[int], offset: int) -> int:
    """Return the number of the step at an offset, or of the first one after it."""
    return bisect_left(offsets, offset)


def _guarded(code: CodeType) -> Iterable[Any]:
    return cast(Any, dis.Bytecode(code)).exception_entries


def _plain_constant(value: Any) -> Any:
    if type(value) is CodeType:
        return plain_code(value)
    if type(value) is tuple:
        return tuple(map(_plain_constant, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if type(value) is frozenset:
        return "frozenset", sorted(repr(_plain_constant(one)) for one in value)  # pyright: ignore[reportUnknownVariableType]
    return value


def _read(code: CodeType) -> CodeFacts:
    codes = tuple(_codes(code))
    steps = [step for one in codes for step in _steps(one)]
    read = _Reading()
    for place in range(len(steps)):
        read.take(steps, place)
    return CodeFacts(
        digest=hashlib.sha256(repr(plain_code(code)).encode()).hexdigest(),
        chains=tuple(sorted(read.chains)),
        stored=frozenset(read.stored),
        stored_free=frozenset(read.stored_free),
        changed_globals=frozenset(read.changed_globals),
        changed_attributes=frozenset(read.changed_attributes),
        stored_attributes=frozenset(read.stored_attributes),
        imports=tuple(sorted(read.imports)),
        codes=codes,
    )


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for one in code.co_consts:
        if type(one) is CodeType:
            yield from _codes(one)


class _Step(NamedTuple):
    name: str
    value: Any
    effect: int


def _steps(code: CodeType) -> Iterator[_Step]:
    for one in dis.get_instructions(code):
        if one.opname in _IDLE:
            continue
        argument = one.arg if one.opcode >= dis.HAVE_ARGUMENT else None
        yield _Step(one.opname, one.argval, dis.stack_effect(one.opcode, argument, jump=False))
    yield _Step("", None, 0)  # nothing is read over the end of a code object


class _Reading:
    """What the steps refer to, gathered step by step."""

    def __init__(self) -> None:
        self.chains: set[tuple[str, ...]] = set()
        self.stored: set[str] = set()
        self.stored_free: set[str] = set()
        self.changed_globals: set[str] = set()
        self.changed_attributes: set[str] = set()
        self.stored_attributes: set[str] = set()
        self.imports: set[tuple[int, str]] = set()

    def take(self, steps: Sequence[_Step], at: int) -> None:
        """Take note of one step."""
        step = steps[at]
        if step.name in _LOADS_GLOBAL:
            self.chains.add((step.value, *_attributes_after(steps, at)))
        elif step.name in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            self.stored.add(step.value)
        elif step.name in ("STORE_DEREF", "DELETE_DEREF"):
            self.stored_free.add(step.value)
        elif step.name == "IMPORT_NAME":
            self.imports.add((steps[at - 2].value, step.value))
        else:
            self._take_change(steps, at)

    def _take_change(self, steps: Sequence[_Step], at: int) -> None:
        step = steps[at]
        if step.name in _LOADS_ATTRIBUTE and step.value in _MUTATORS:
            self._changed(steps[at - 1])
        elif step.name in _STORES_ATTRIBUTE:
            self.stored_attributes.add(step.value)
            self._changed(steps[at - 1])
        elif step.name in _STORES_ITEM:
            self._changed(_container(steps, at))
        elif step.name == "COPY" and steps[at + 1].name in _LOADS_ATTRIBUTE:
            self._changed(steps[at - 1])  # `stats.count += 1`
        elif step.name == "COPY" and steps[at + 1].name == "COPY" and step.value == 2:
            self._changed(_container(steps, at))  # `counts[name] += 1`

    def _changed(self, owner: _Step) -> None:
        if owner.name in _LOADS_GLOBAL or owner.name in _LOADS_FREE:
            self.changed_globals.add(owner.value)
        elif owner.name in _LOADS_ATTRIBUTE:
            self.changed_attributes.add(owner.value)


def _attributes_after(steps: Sequence[_Step], at: int) -> Iterator[str]:
    for step in steps[at + 1 :]:
        if step.name not in _LOADS_ATTRIBUTE:
            return
        yield step.value


def _container(steps: Sequence[_Step], at: int) -> _Step:
    """Return what loads the container, of which the key's value lies above on the stack."""
    grown = 0
    for place in range(at - 1, -1, -1):
        if grown == 1:
            return steps[place]
        grown += steps[place].effect
    return _Step("", None, 0)

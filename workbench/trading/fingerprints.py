"""The fingerprint of a class's code: equal for equal code, wherever and whenever it was defined.

The source text is no help: that of a class from a notebook's cell cannot be looked up once the cell
has changed. What is compiled is at hand, so that is what is hashed, without line numbers: comments
and blank lines make no other code.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Set
from types import CodeType, FunctionType
from typing import Any

_LENGTH = 12
_SKIPPED = frozenset(
    {
        *("__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__firstlineno__"),
        *("__static_attributes__", "__annotations__", "__annotate__", "__annotate_func__"),
        *("__annotations_cache__", "__abstractmethods__", "_abc_impl"),
    }
)


def fingerprint(cls: type, roots: Set[type]) -> str:
    """Return twelve hexadecimal digits for the code of a class and its bases.

    Args:
        cls: The class.
        roots: Bases that do not count, with those above them.

    >>> class One:
    ...     def value(self):
    ...         return 1
    >>> class Two(One):
    ...     def value(self):
    ...         return 2
    >>> fingerprint(One, {object}) == fingerprint(One, {object})
    True
    >>> fingerprint(One, {object}) == fingerprint(Two, {object})
    False
    """
    digest = hashlib.sha256()
    for base in cls.__mro__:
        if base not in roots and any(issubclass(base, root) for root in roots):
            for part in _of_class(base):
                digest.update(repr(part).encode())
    return digest.hexdigest()[:_LENGTH]


def _of_class(cls: type) -> Iterator[Any]:
    yield cls.__name__
    # `repr` of a type differs between text annotations and evaluated ones, not between two runs.
    for name, annotation in sorted(inspect.get_annotations(cls).items()):
        yield name, _of_value(annotation)
    for name, value in sorted(vars(cls).items()):
        if name not in _SKIPPED:
            yield name, _of_value(value)


def _of_value(value: Any) -> Any:
    if type(value) in (staticmethod, classmethod):
        return type(value).__name__, _of_value(value.__func__)
    if isinstance(value, property):
        return "property", *(_of_value(one) for one in (value.fget, value.fset, value.fdel))
    if isinstance(value, FunctionType):
        return _of_function(value)
    if isinstance(value, CodeType):
        return _of_code(value)
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, (set, frozenset)):
        return type(value).__name__, sorted(map(repr, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    if isinstance(value, (tuple, list)):
        return type(value).__name__, *map(_of_value, value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    shown = repr(value)
    # What shows where it is in memory would be another in every run.
    return type(value).__name__ if " at 0x" in shown else shown


def _of_function(function: FunctionType) -> Any:
    inner = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    return (
        _of_code(function.__code__),
        _of_value(function.__defaults__),
        _of_value(tuple(sorted((function.__kwdefaults__ or {}).items()))),
        [_of_code(one.__code__) for one in inner if isinstance(one, FunctionType)],
    )


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _of_code(code: CodeType) -> Any:
    constants = [_of_value(one) for one in code.co_consts]
    return code.co_name, code.co_code.hex(), code.co_names, code.co_varnames, constants

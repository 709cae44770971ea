"""Values as plain ones whose `repr` is the same everywhere, read without calling what is theirs."""

from __future__ import annotations

import functools
import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    GenericAlias,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    UnionType,
)
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np

_MRO: Any = type.__dict__["__mro__"]
_NAME: Any = type.__dict__["__name__"]
_NAMESPACE: Any = type.__dict__["__dict__"]
_DEEPEST = 60

_SCALARS: tuple[type, ...] = (
    *(type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented)),
    *(Decimal, Fraction, range, timezone, ZoneInfo),
)
_SCALAR_BASES: tuple[type, ...] = (str, int, float, complex, bytes, Decimal)
_MOMENTS: dict[type, tuple[str, ...]] = {
    datetime: (
        *("year", "month", "day", "hour", "minute", "second", "microsecond", "fold", "tzinfo"),
    ),
    date: ("year", "month", "day"),
    time: ("hour", "minute", "second", "microsecond", "fold", "tzinfo"),
    timedelta: ("days", "seconds", "microseconds"),
}

MUTABLE: tuple[type, ...] = (list, dict, set, deque, bytearray)
"""Builtin types whose objects change in place."""


def mro_of(kind: type) -> tuple[type, ...]:
    """Return a class and its bases, without asking its metaclass."""
    return _MRO.__get__(kind)


def namespace_of(kind: type) -> Mapping[str, Any]:
    """Return what a class itself holds, without asking its metaclass."""
    return _NAMESPACE.__get__(kind)


def dictionary_of(value: Any) -> Mapping[str, Any]:
    """Return the attributes in an object's dictionary, without asking the object."""
    for base in mro_of(cast(Any, type(value))):
        found = namespace_of(base).get("__dict__")
        if type(found) is GetSetDescriptorType:
            held: Any = found.__get__(value)
            return cast(dict[str, Any], held) if type(held) is dict else {}
    return {}


def name_of(kind: type) -> str:
    """Return the name of a class, without asking its metaclass."""
    return _NAME.__get__(kind)


def attributes_of(value: Any) -> dict[str, Any]:
    """Return an object's attributes, those in slots too, without asking the object."""
    found: dict[str, Any] = {}
    for base in mro_of(cast(Any, type(value))):
        for name, slot in namespace_of(base).items():
            if type(slot) is MemberDescriptorType and name not in found:
                try:
                    found[name] = slot.__get__(value)
                except AttributeError:
                    continue  # it was not set
    found.update(dictionary_of(value))
    return found


class Values:
    """Makes plain values of others.

    Args:
        refer: What is said of a function, class, module or any object that is not known here;
            asked with `None` in return where it is to be looked into here.
        objects: What is said of an object of any other class.
    """

    def __init__(self, refer: Callable[[Any], Any], objects: Callable[[Any], Any]) -> None:
        self._refer = refer
        self._objects = objects
        self._inside: dict[int, int] = {}

    def of(self, value: Any) -> Any:
        """Return a value as tuples, lists, text and numbers."""
        kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
        if kind in _SCALARS:
            return kind.__name__, _repr_of(kind)(value)
        referred = self._refer(value)
        if referred is not None:
            return referred
        place = self._inside.get(id(value))
        if place is not None or len(self._inside) > _DEEPEST:
            return "again", place
        self._inside[id(value)] = len(self._inside)
        try:
            return self._compound(value, kind)
        finally:
            del self._inside[id(value)]

    def each(self, values: Iterable[Any]) -> list[Any]:
        """Return several."""
        return [self.of(one) for one in values]

    def _compound(self, value: Any, kind: type) -> Any:
        for base, read in _READERS:
            if issubclass(kind, base):
                content = read(self, value)
                is_exact = kind is base or issubclass(kind, _CLOSED)
                return content if is_exact else (content, self._objects(value))
        return self._objects(value)


_Reader = Callable[[Values, Any], Any]


def _enum(values: Values, value: Any) -> Any:
    held = dictionary_of(value)
    return "member", *values.each((cast(Any, type(value)), held.get("_name_"), held.get("_value_")))


def _array(values: Values, value: Any) -> Any:
    array: np.ndarray[Any, Any] = np.ndarray.view(value, np.ndarray)
    if array.dtype.hasobject:
        return "array", array.shape, values.of(array.tolist())
    digest = hashlib.sha256(array.tobytes()).hexdigest()
    return values.of(cast(Any, type(value))), repr(array.dtype), array.shape, digest


def _unordered(name: str, iterate: Callable[[Any], Iterator[Any]]) -> _Reader:
    return lambda values, value: (name, sorted(map(repr, values.each(list(iterate(value))))))


def _dict(values: Values, value: Any) -> Any:
    # At once, as all containers: another thread may go on changing it.
    held = list(dict[Any, Any].items(value))
    return "dict", [(values.of(k), values.of(v)) for k, v in held]


def _partial(values: Values, value: Any) -> Any:
    keywords = dict(sorted(value.keywords.items()))
    return "partial", values.of(value.func), values.each(value.args), values.of(keywords)


def _alias(values: Values, value: Any) -> Any:
    return "alias", values.of(getattr(value, "__origin__", None)), values.each(value.__args__)


def _moment(values: Values, value: Any) -> Any:
    base = next(one for one in _MOMENTS if issubclass(type(value), one))
    return base.__name__, values.each(getattr(base, name).__get__(value) for name in _MOMENTS[base])


def _repr_of(kind: Any) -> Callable[[Any], str]:
    return kind.__repr__


def _scalar(_: Values, value: Any) -> Any:
    base = next(one for one in _SCALAR_BASES if issubclass(type(value), one))
    return base.__name__, _repr_of(base)(value)


def _number(values: Values, value: Any) -> Any:
    return values.of(cast(Any, type(value))), repr(value.dtype), value.tobytes().hex()


def _builtin(_: Values, value: Any) -> Any:
    owner = value.__self__
    said = "" if owner is None or type(owner) is ModuleType else type(owner).__name__
    return "builtin", str(value.__module__), value.__name__, said


def _items(name: str, iterate: Callable[[Any], Iterator[Any]]) -> _Reader:
    return lambda values, value: (name, values.each(list(iterate(value))))


_READERS: tuple[tuple[Any, _Reader], ...] = (
    (Enum, _enum),
    (np.ndarray, _array),
    (np.generic, _number),
    *((base, _scalar) for base in _SCALAR_BASES),
    *((base, _moment) for base in _MOMENTS),
    (tuple, _items("tuple", tuple[Any].__iter__)),
    (list, _items("list", list[Any].__iter__)),
    (deque, _items("deque", deque[Any].__iter__)),
    (dict, _dict),
    (MappingProxyType, lambda values, value: ("proxy", values.each(value.items()))),
    (set, _unordered("set", set[Any].__iter__)),
    (frozenset, _unordered("frozenset", frozenset[Any].__iter__)),
    (bytearray, lambda _, value: ("bytearray", bytearray.__repr__(value))),
    (re.Pattern, lambda _, value: ("pattern", repr(value.pattern), value.flags)),
    (PurePath, lambda _, value: ("path", PurePath.__str__(value))),
    (slice, lambda values, value: ("slice", values.each((value.start, value.stop, value.step)))),
    (
        property,
        lambda values, value: ("property", values.each((value.fget, value.fset, value.fdel))),
    ),
    (staticmethod, lambda values, value: ("staticmethod", values.of(value.__func__))),
    (classmethod, lambda values, value: ("classmethod", values.of(value.__func__))),
    (functools.cached_property, lambda values, value: ("cached", values.of(value.func))),
    (functools.partial, _partial),
    (MethodType, lambda v, value: ("method", v.of(value.__func__), v.of(value.__self__))),
    (BuiltinFunctionType, _builtin),
    (GenericAlias, _alias),
    (UnionType, _alias),
)
_CLOSED: tuple[type, ...] = (Enum, np.generic, PurePath)

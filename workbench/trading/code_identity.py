"""The identity of a strategy's code: equal where it behaves alike, and what differs where not."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from types import FunctionType, MethodType
from typing import Any

import msgspec
import numpy as np

from workbench.model.data import BarType
from workbench.trading.actor import Actor
from workbench.trading.code_facts import facts_of
from workbench.trading.code_origin import versions
from workbench.trading.code_sources import source_of
from workbench.trading.code_values import dictionary_of, mro_of, name_of, namespace_of
from workbench.trading.code_walk import Walk, parameters_of

_PARAMETER = "parameter "
_SHOWN_DIGITS = 12


class CodeIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy is made of, so that it can be told from any other.

    Attributes:
        fingerprint: 64 hexadecimal digits over all parts: code, constants and parameters.
        parts: A short hash of each part, by name: `Cross.on_bar`, `helper`, `parameter fast`.
        sources: The source of functions by the name of their part, where it can still be found,
            and constants that are numbers. Never what decides.
        parameters: The parameters as text.
        dependencies: The version of Python, of this distribution, and of those that the code
            names, by distribution.
        environment: 64 hexadecimal digits over the dependencies. It is no part of the fingerprint:
            the strategy is still the same one, and whoever compares says which of both he means.
            Only compiled code of one version of Python (3.12, say) can be compared.
    """

    fingerprint: str
    parts: dict[str, str]
    sources: dict[str, str]
    parameters: dict[str, str]
    dependencies: dict[str, str]
    environment: str

    def __repr__(self) -> str:
        """Return the beginning of the fingerprint and how many parts there are."""
        return f"CodeIdentity({self.fingerprint[:_SHOWN_DIGITS]}, {len(self.parts)} parts)"


def identify(what: Actor | type[Actor]) -> CodeIdentity:
    """Return the identity of a strategy, or of a class with its parameters' defaults left out.

    Its class, bases, and what their code names are followed, without running any of it; see
    `workbench.trading.code_walk` for what counts and what does not.

    >>> class Cross(Actor):
    ...     fast: int = 10
    ...     def on_bar(self, bar):
    ...         self.sum = bar.close * self.fast
    >>> before, now = identify(Cross()), identify(Cross(fast=12))
    >>> before.fingerprint == identify(Cross()).fingerprint
    True
    >>> differences(before, now)
    ['parameter fast 10 -> 12']
    """
    walk, parts = _walked(what)
    found = ((name, source_of(code)) for name, code in sorted(walk.codes.items()))
    sources = {name: text for name, text in found if text is not None} | walk.shown
    dependencies = versions(walk.packages)
    return CodeIdentity(
        fingerprint=_digest(parts),
        parts=parts,
        sources=sources,
        parameters={name: _shown(value) for name, value in _parameters(what).items()},
        dependencies=dependencies,
        environment=_digest(dependencies),
    )


def code_parts(what: Actor | type[Actor]) -> dict[str, str]:
    """Return the parts that `identify` would give, in a fraction of its time."""
    return _walked(what)[1]


def code_fingerprint(what: Actor | type[Actor]) -> str:
    """Return the fingerprint that `identify` would give, in a fraction of its time."""
    return _digest(code_parts(what))


def short_fingerprint(what: Actor | type[Actor]) -> str:
    """Return the first twelve digits of it: enough to show, and to find a class of one node by.

    >>> class One(Actor):
    ...     def value(self):
    ...         return 1
    >>> class Two(One):
    ...     pass
    >>> short_fingerprint(One) == short_fingerprint(One) != short_fingerprint(Two)
    True
    """
    return code_fingerprint(what)[:_SHOWN_DIGITS]


def is_comparable(python: str) -> bool:
    """Return whether code compiled by a version of Python can be compared with code here."""
    return _minor(python) == _minor(platform.python_version())


def changed_parts(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return which parts differ, a phrase each, where nothing else is known of them.

    >>> changed_parts({"Cross.on_bar": "1", "near": "2"}, {"Cross.on_bar": "3"})
    ['Cross.on_bar changed', 'near is gone']
    """
    differing = (name for name in sorted({*before, *now}) if before.get(name) != now.get(name))
    return list(dict.fromkeys(_told(one, before.get(one), now.get(one)) for one in differing))


def differences(before: CodeIdentity, now: CodeIdentity) -> list[str]:
    """Return what differs between two identities, a phrase each; empty where nothing does."""
    told: list[str] = []
    python = before.dependencies.get("python", ""), now.dependencies.get("python", "")
    if _minor(python[0]) == _minor(python[1]):
        told += _of_parts(before, now)
    elif before.fingerprint != now.fingerprint:
        told.append("code compiled by another version of Python, which cannot be compared")
    told += _of_texts(_PARAMETER, before.parameters, now.parameters)
    told += _of_texts("", before.dependencies, now.dependencies)
    return list(dict.fromkeys(told))


def changes_since(before: CodeIdentity, what: Actor | type[Actor]) -> list[str]:
    """Return what differs in the code now, a phrase each: fast where nothing does.

    What is imported stays what it is while a process lives, so dependencies are not asked again.
    """
    if code_fingerprint(what) == before.fingerprint:
        return []
    return differences(before, identify(what))


def _walked(what: Actor | type[Actor]) -> tuple[Walk, dict[str, str]]:
    kind = what if isinstance(what, type) else type(what)
    walk = Walk(kind)
    said = walk.values.of(kind)
    if said[0] == "library":
        walk.add(name_of(kind), said)  # its version names its code: there is nothing else of it
    for name, value in _parameters(what).items():
        walk.add(_PARAMETER + name, walk.values.of(value))
    if not isinstance(what, type):
        _add_hidden(walk, what)
    return walk, walk.finish()


def _parameters(what: Actor | type[Actor]) -> dict[str, Any]:
    return {} if isinstance(what, type) else parameters_of(what)


def _add_hidden(walk: Walk, actor: Actor) -> None:
    """Add what the object itself has in the place of its class's methods and parameters."""
    methods = {
        name: value
        for base in reversed(mro_of(type(actor)))
        for name, value in namespace_of(base).items()
        if type(value) is FunctionType
    }
    held = dictionary_of(actor)
    for name in sorted(held.keys() & methods.keys()):
        if not _is_own_choice(held[name], actor, methods):
            walk.add(f"{name} of the object", walk.values.of(held[name]))
    given = parameters_of(actor)
    for name in sorted(held.keys() & given.keys()):
        value = held[name]
        if type(value) in _NUMBERS and value is not given[name] and value != given[name]:
            walk.add_unless_stored(f"{_PARAMETER}{name} of the object", name, value)


_NUMBERS = (bool, int, float, str, Decimal)


def _is_own_choice(value: Any, actor: Actor, methods: Mapping[str, FunctionType]) -> bool:
    """Return whether a strategy took one of its own methods, or a function made in one, itself."""
    if type(value) is MethodType and value.__self__ is actor:
        value = value.__func__
    if type(value) is not FunctionType:
        return False
    made = (code for one in methods.values() for code in facts_of(one.__code__).codes[1:])
    return value in methods.values() or any(value.__code__ is code for code in made)


def _digest(held: Mapping[str, str]) -> str:
    return hashlib.sha256(repr(sorted(held.items())).encode()).hexdigest()


def _shown(value: Any) -> str:
    """Return a parameter as text: of what is not known to be harmless, only its type."""
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind in (bool, int, float, str, type(None), Decimal):
        return repr(value)
    if kind in (list, tuple):
        inner = ", ".join(map(_shown, value))
        return f"[{inner}]" if kind is list else f"({inner})"
    if kind is dict:
        return "{" + ", ".join(f"{_shown(k)}: {_shown(v)}" for k, v in value.items()) + "}"
    if issubclass(kind, Enum):
        return f"{name_of(kind)}.{dictionary_of(value).get('_name_')}"
    return repr(value) if kind in _SHOWN else f"<{name_of(kind)}>"


_SHOWN: tuple[Any, ...] = (date, timedelta, BarType, np.float64, np.int64)


def _of_parts(before: CodeIdentity, now: CodeIdentity) -> Iterator[str]:
    for name in sorted({*before.parts, *now.parts}):
        old, new = before.parts.get(name), now.parts.get(name)
        if old == new:
            continue
        shown = name.removeprefix(_PARAMETER)
        if shown != name and before.parameters.get(shown) != now.parameters.get(shown):
            continue  # told with both texts
        was, shows = before.sources.get(name), now.sources.get(name)
        is_number = was is not None and shows is not None and _is_number(was) and _is_number(shows)
        if is_number and was != shows:
            yield f"{_called(name)} {was} -> {shows}"
        else:
            yield _told(name, old, new)


def _told(name: str, old: str | None, new: str | None) -> str:
    if old is None:
        return f"{_called(name)} is new"
    return f"{_called(name)} {'is gone' if new is None else 'changed'}"


def _called(name: str) -> str:
    """Return a part's name without the number that tells it from others called alike."""
    return re.sub(r" \(\d+\)$", "", name)


def _of_texts(what: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if old is None:
            yield f"{what}{name} {new} is new"
        elif new is None:
            yield f"{what}{name} {old} is gone"
        else:
            yield f"{what}{name} {old} -> {new}"


def _is_number(text: str) -> bool:
    return text in ("True", "False") or re.fullmatch(r"[-+.\dEeinfa]+", text) is not None


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]

"""Typed parameters: annotated class attributes of a strategy become keyword arguments.

Values are checked against their annotation when the object is made, are shown in its repr, and
cannot be changed afterwards: a strategy with other parameters is another object.
"""

from __future__ import annotations

import html
import inspect
import json
import typing
from collections.abc import Iterator, Mapping, Set
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.instruments import to_decimal


class Parameters(Mapping[str, Any]):
    """The parameters of one strategy: a read-only mapping that compares and serialises.

    >>> Parameters({"fast": 10}) == {"fast": 10}
    True
    >>> Parameters({"fast": 10, "size": Decimal("0.1")}).to_json()
    '{"fast": 10, "size": "0.1"}'
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        """Return a value."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return the values as keyword arguments."""
        return ", ".join(f"{name}={value!r}" for name, value in self._values.items())

    def to_html(self) -> str:
        """Return a small HTML table."""
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(repr(value))}</td></tr>"
            for name, value in self._values.items()
        )
        return f"<table><tr><th>parameter</th><th>value</th></tr>{rows}</table>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_json(self) -> str:
        """Return them as JSON; decimals, ids and the like become text."""
        return json.dumps(msgspec.to_builtins(self._values, enc_hook=str))


class Declared(typing.NamedTuple):
    """One declared parameter."""

    hint: Any
    default: Any


REQUIRED: Any = inspect.Parameter.empty


def declared(cls: type, root: Set[type]) -> dict[str, Declared]:
    """Return what a class and its bases, up to those in `root`, declare.

    Args:
        cls: A strategy class.
        root: Classes whose annotations are no parameters.
    """
    found: dict[str, Declared] = {}
    for base in reversed(cls.__mro__):
        if base in root or not any(issubclass(base, r) for r in root):
            continue
        own = base.__dict__.get("__annotations__", {})
        hints = _hints(base, own)
        for name in own:
            hint = hints[name]
            if name.startswith("_") or typing.get_origin(hint) is ClassVar or hint is ClassVar:
                continue
            found[name] = Declared(hint, base.__dict__.get(name, REQUIRED))
    return found


def _hints(base: type, own: dict[str, Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(base)
    except NameError:
        # A name that only a type checker knows: that annotation is not checked.
        return {name: Any if isinstance(hint, str) else hint for name, hint in own.items()}


def resolve(what: str, wanted: Mapping[str, Declared], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter's value, checked.

    Raises:
        ConfigError: Naming what is unknown, missing, or of the wrong type.
    """
    unknown = sorted(set(given) - set(wanted))
    if unknown:
        known = ", ".join(wanted) or "none; declare them as annotated class attributes"
        raise ConfigError(
            f"{what} has no parameter {', '.join(map(repr, unknown))}; it has: {known}"
        )
    values: dict[str, Any] = {}
    for name, (hint, default) in wanted.items():
        value = given.get(name, default)
        if value is REQUIRED:
            raise ConfigError(f"{what} needs a value for its parameter {name!r}")
        values[name] = _checked(what, name, hint, value)
    return values


def _checked(what: str, name: str, hint: Any, value: Any) -> Any:
    if hint is Decimal:
        return to_decimal(value, f"{what}: {name}")
    if hint is Any:
        return value
    if isinstance(hint, type) and isinstance(value, hint) and not isinstance(value, bool):
        return value
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{what}: {name}={value!r} does not fit: {error}") from None
    except TypeError:
        # A type msgspec does not know: left to the strategy's own checks.
        return value

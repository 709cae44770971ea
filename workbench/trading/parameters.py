"""Typed parameters: annotated class attributes of a strategy become keyword arguments.

Values are checked against their annotation when the object is made, are shown in its repr, and
cannot be changed afterwards: a strategy with other parameters is another object.
"""

from __future__ import annotations

import copy
import inspect
import json
import sys
import typing
from collections.abc import Iterator, Mapping, Set
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import numpy as np

from workbench.model.display import LINE, fitted, grid_html
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

    def copies(self) -> dict[str, Any]:
        """Return the values to work with: containers are copies, so that these stay as given."""
        return {
            name: copy.deepcopy(value) if type(value) in _CONTAINERS else value
            for name, value in self._values.items()
        }

    def __repr__(self) -> str:
        """Return the values as keyword arguments, what is long shortened."""
        each = (f"{name}={fitted(repr(value), _LONGEST)}" for name, value in self._values.items())
        return ", ".join(each)

    def to_html(self) -> str:
        """Return a small HTML table."""
        rows = ((name, fitted(repr(value), LINE)) for name, value in self._values.items())
        return grid_html(("parameter", "value"), rows)

    def _repr_html_(self) -> str:
        return self.to_html()

    def to_json(self) -> str:
        """Return them as JSON; decimals, ids and the like become text."""
        return json.dumps(msgspec.to_builtins(self._values, enc_hook=str))


_LONGEST = 40  # characters of one value in a line
_CONTAINERS = (list, dict, set)


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

    Raises:
        ConfigError: If a parameter has the name of something every strategy has.
    """
    found: dict[str, Declared] = {}
    for base in reversed(cls.__mro__):
        if base in root or not any(issubclass(base, r) for r in root):
            continue
        for name, annotation in inspect.get_annotations(base).items():
            hint = _hint(base, annotation)
            if name.startswith("_") or typing.get_origin(hint) is ClassVar or hint is ClassVar:
                continue
            if any(hasattr(r, name) or name in inspect.get_annotations(r) for r in root):
                raise ConfigError(
                    f"{base.__name__} declares a parameter {name!r}, which every strategy has;"
                    " choose another name"
                )
            found[name] = Declared(hint, base.__dict__.get(name, REQUIRED))
    return found


def _hint(base: type, annotation: Any) -> Any:
    """Return an annotation as a type, `Any` where its text names what only a checker knows."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, _namespace(base), dict(vars(base)))
    except (NameError, AttributeError):
        return ClassVar if "ClassVar" in annotation else Any


def _namespace(base: type) -> dict[str, Any]:
    """Return the globals a class was defined in; one that a notebook made may have no module."""
    for member in vars(base).values():
        if inspect.isfunction(member):
            return member.__globals__
    return dict(vars(sys.modules.get(base.__module__, typing)))


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


def _plain(value: Any, hint: Any) -> Any:
    """Return a NumPy number, such as `np.arange` yields, as Python's, unless NumPy's is wanted."""
    is_wanted = isinstance(hint, type) and issubclass(hint, np.generic)
    return value.item() if _is_numpy(value) and not is_wanted else value


def _is_numpy(value: object) -> bool:
    return isinstance(value, (np.number, np.bool_))


def _checked(what: str, name: str, hint: Any, value: Any) -> Any:
    if hint is Any:
        return value
    value = _plain(value, hint)
    if hint is Decimal:
        return to_decimal(value, f"{what}: {name}")
    if isinstance(hint, type) and isinstance(value, hint) and not isinstance(value, bool):
        return value
    try:
        return typing.cast(Any, msgspec.convert(value, type=hint))
    except msgspec.ValidationError as error:
        raise ConfigError(f"{what}: {name}={value!r} does not fit: {error}") from None
    except TypeError:
        # A type msgspec does not know: left to the strategy's own checks.
        return value

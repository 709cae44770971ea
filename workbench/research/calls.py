"""Calls that are written down before they are made, so that they can be shown as Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

_T = TypeVar("_T")
_WIDTH = 88


class Variable:
    """A value that has a name.

    Args:
        name: The name.
        value: What it stands for.
    """

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def __repr__(self) -> str:
        """Return the name."""
        return self.name


class Call(Generic[_T]):
    """A call: what is shown is what is done.

    Args:
        name: How Python spells the function.
        function: What is called.
        arguments: Values, variables or calls; lists of them too.
        keywords: The same, by name.

    >>> call = Call("max", max, [Variable("x", 3), Call("abs", abs, -7)])
    >>> call
    max([x, abs(-7)])
    >>> call.make()
    7
    """

    def __init__(
        self, name: str, function: Callable[..., _T], /, *arguments: Any, **keywords: Any
    ) -> None:
        self.name = name
        self.function = function
        self.arguments = arguments
        self.keywords = keywords

    def make(self) -> _T:
        """Make the call, those among its arguments first."""
        keywords = {name: made(value) for name, value in self.keywords.items()}
        return self.function(*map(made, self.arguments), **keywords)

    def __repr__(self) -> str:
        """Return it as an expression on one line."""
        return f"{self.name}({', '.join(self._words())})"

    def _words(self) -> list[str]:
        named = [f"{name}={value!r}" for name, value in self.keywords.items()]
        return [*map(repr, self.arguments), *named]

    def to_python(self, target: str = "") -> str:
        """Return it as a statement, on several lines where one would be long.

        Args:
            target: The variable it is assigned to, if any.
        """
        left = f"{target} = " if target else ""
        line = f"{left}{self!r}"
        if len(line) <= _WIDTH:
            return line
        inner = "".join(f"    {word},\n" for word in self._words())
        return f"{left}{self.name}(\n{inner})"


def made(value: Any) -> Any:
    """Return what a value, variable or call stands for."""
    if isinstance(value, Call):
        return cast("Call[Any]", value).make()
    if isinstance(value, Variable):
        return value.value
    if isinstance(value, list):
        return [made(one) for one in cast("list[Any]", value)]
    return value


def one_or_list(values: list[Any]) -> Any:
    """Return the only value, or the list of several."""
    return values[0] if len(values) == 1 else values

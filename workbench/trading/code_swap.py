"""Exchanging the code of a strategy that goes on: another class, the same object.

Attributes, indicators, position, open orders, timers and subscriptions belong to the object and
stay. Parameters follow the new class: one that was never given another value than its default takes
the new default, any other keeps its value. `on_start` does not run again.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from workbench.model.errors import ConfigError
from workbench.runtime.lifecycle import ComponentState
from workbench.trading.actor import ROOTS, Actor, check_spelling
from workbench.trading.code_identity import short_fingerprint
from workbench.trading.parameters import REQUIRED, Parameters, resolve
from workbench.trading.strategy import Strategy

_SETTING_UP = ("__init__", "on_start")
_WITHOUT_STATE = (ComponentState.READY, ComponentState.DISPOSED)


class CodeSwap:
    """One exchange: checked when it is made, done by `do`, taken back by `undo`.

    Args:
        actor: Whose code it is.
        kind: The class it is to be of.
        begins_anew: Whether its run is over, so that `on_start` comes before anything else.

    Raises:
        ConfigError: If that class cannot take over; says why. Nothing was changed.

    Attributes:
        old: The fingerprint of the code it has.
        new: The fingerprint of the code it gets.
        changes: Which parameters are others then, a sentence each.
    """

    def __init__(self, actor: Actor, kind: type[Actor], *, begins_anew: bool = False) -> None:
        self.actor = actor
        self.kind = kind
        self._before = type(actor)
        _check_kind(actor, kind)
        self._values, self.changes = _parameters(actor, kind)
        self.old = short_fingerprint(self._before)
        self.new = short_fingerprint(kind)
        if not begins_anew:
            _check_timers(actor, kind)
            if actor.state not in _WITHOUT_STATE:
                _check_attributes(actor, kind)
        self._parameters = actor.parameters
        self._replaced: dict[str, Any] = {}

    def do(self) -> None:
        """Exchange it; on the thread that the actor's state belongs to, between two messages.

        Raises:
            ConfigError: If Python cannot make the object one of that class; nothing was changed.
        """
        actor = self.actor
        try:
            actor.__class__ = self.kind
        except TypeError as error:
            raise ConfigError(
                f"{_named(actor)} cannot become a {self.kind.__name__}: {error}"
            ) from None
        before = actor.parameters
        actor.parameters = Parameters(self._values)
        for name, value in actor.parameters.copies().items():
            if name not in before or before[name] is not self._values[name]:
                self._keep(name)
                setattr(actor, name, value)
        for name in set(before) - set(self._values):
            # It would hide what the class says now.
            if hasattr(self.kind, name) and name in vars(actor):
                self._keep(name)
                delattr(actor, name)
        actor.refresh_callbacks()

    def _keep(self, name: str) -> None:
        self._replaced[name] = vars(self.actor).get(name, REQUIRED)

    def undo(self) -> None:
        """Take it back."""
        actor = self.actor
        actor.__class__ = self._before
        actor.parameters = self._parameters
        for name, value in self._replaced.items():
            if value is not REQUIRED:
                setattr(actor, name, value)
            elif name in vars(actor):
                delattr(actor, name)
        actor.refresh_callbacks()


def _named(actor: Actor) -> str:
    return actor.component_id or type(actor).__name__


def _check_kind(actor: Actor, kind: Any) -> None:
    wanted = Strategy if isinstance(actor, Strategy) else Actor
    if not (isinstance(kind, type) and issubclass(kind, wanted)):
        raise ConfigError(
            f"{_named(actor)} goes on with another subclass of wb.{wanted.__name__}; got {kind!r}"
        )
    if issubclass(kind, Strategy) is not isinstance(actor, Strategy):
        raise ConfigError(
            f"{_named(actor)} is a wb.Actor, which sends no orders; {kind.__name__} is a"
            " wb.Strategy. Make an object of it and a new node"
        )
    if kind in ROOTS:
        raise ConfigError(f"{_named(actor)} goes on with a class of your own; got {kind!r}")
    check_spelling(kind)


def _parameters(actor: Actor, kind: type[Actor]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the values of the new class's parameters, and what is another now."""
    declared, before = kind.declared_parameters(), type(actor).declared_parameters()
    has = {name: one for name, one in before.items() if one.default is not REQUIRED}
    defaults = resolve(kind.__name__, has, {})
    kept = actor.parameters
    # A default that was never overruled is part of the code, which is what changes.
    given = {
        name: value
        for name, value in kept.items()
        if name in declared
        and (declared[name].default is REQUIRED or name not in defaults or defaults[name] != value)
    }
    try:
        values = resolve(kind.__name__, declared, given)
    except ConfigError as error:
        raise ConfigError(f"{_named(actor)} cannot go on as {kind.__name__}: {error}") from None
    same = {n: kept[n] for n in values if n in kept and _is_same(kept[n], values[n])}
    values |= same
    overruled = {n: one.default for n, one in declared.items() if one != before.get(n)}
    return values, tuple(_told(kept, values, overruled))


def _told(kept: Parameters, values: dict[str, Any], defaults: dict[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        default = defaults.get(name, REQUIRED)
        if name not in kept:
            yield f"{name}={value!r} is new"
        elif not _is_same(kept[name], value):
            yield f"{name}={value!r}, which was {kept[name]!r}"
        elif default is not REQUIRED and default != value:
            yield f"{name}={value!r} as it was given, though the default is {default!r}"
    for name in kept:
        if name not in values:
            yield f"{name} is no parameter any more"


def _is_same(one: Any, another: Any) -> bool:
    return type(one) is type(another) and one == another


def _check_timers(actor: Actor, kind: type[Actor]) -> None:
    clock = getattr(actor, "clock", None)
    for timer, method in clock.methods.items() if clock is not None else ():
        if not hasattr(kind, method) and method not in vars(actor):
            raise ConfigError(
                f"{_named(actor)} cannot go on as {kind.__name__}: its timer {timer!r} calls"
                f" {method}, which is no method any more; keep one, or cancel the timer first"
            )


def _check_attributes(actor: Actor, kind: type[Actor]) -> None:
    """Refuse code that reads what only `on_start` or `__init__`, which do not run again, set."""
    set_up: set[str] = set()
    set_later: set[str] = set()
    read: dict[str, str] = {}
    for name, function in _methods(kind):
        stored, loaded = _attributes(function)
        if name in _SETTING_UP:
            set_up |= stored
        else:
            set_later |= stored
            read |= dict.fromkeys(loaded, name)
    declared = kind.declared_parameters()
    for attribute in sorted((set_up - set_later) & set(read)):
        if not (hasattr(actor, attribute) or hasattr(kind, attribute) or attribute in declared):
            raise ConfigError(
                f"{_named(actor)} cannot go on as {kind.__name__}: {read[attribute]} reads"
                f" self.{attribute}, which is not there yet, for on_start does not run again. Set"
                f" it on the object first, or begin anew with a new node (%node reset)"
            )


def _methods(kind: type[Actor]) -> Iterator[tuple[str, Any]]:
    """Yield the functions of a class and its bases up to ours, as they were written."""
    seen: set[str] = set()
    for base in kind.__mro__:
        if base in ROOTS or not issubclass(base, Actor):
            continue
        for name, value in vars(base).items():
            function = getattr(value, "fget", value)
            if inspect.isfunction(function) and name not in seen:
                yield name, _written(function)
            if name not in _SETTING_UP:  # those of bases are often called by `super()`
                seen.add(name)


def _written(function: Any) -> Any:
    """Return an `__init__` as it was written, out of what makes it coexist with parameters."""
    inner = inspect.getclosurevars(function).nonlocals.get("init")
    return inner if inspect.isfunction(inner) else function


def _attributes(function: Any) -> tuple[set[str], set[str]]:
    """Return which attributes of its first argument a function sets, and which it reads."""
    code = function.__code__
    if not code.co_argcount:
        return set(), set()
    own = code.co_varnames[0]
    stored: set[str] = set()
    loaded: set[str] = set()
    # `self.count += 1` copies what it reads from, to write to it afterwards.
    steps = (one for one in dis.get_instructions(code) if one.opname != "COPY")
    for before, then in pairwise(steps):
        if not before.opname.startswith("LOAD_"):
            continue
        value = before.argval
        if (value[-1] if isinstance(value, tuple) and value else value) != own:
            continue
        if then.opname == "STORE_ATTR":
            stored.add(then.argval)
        elif then.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            loaded.add(then.argval)
    return stored, loaded

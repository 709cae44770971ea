"""Which strategy is meant: the object itself, or the one of that id or class name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from workbench.model.errors import ConfigError
from workbench.trading.actor import Actor

_T = TypeVar("_T")
_A = TypeVar("_A", bound=Actor)


class Candidate(NamedTuple, Generic[_T]):
    """What may be meant: what it is called, its class, and itself."""

    name: str
    class_name: str
    itself: _T


def chosen(owner: str, there: Sequence[Candidate[_T]], which: object) -> _T:
    """Return the one that is meant, the only one where `which` is None.

    Args:
        owner: Whose they are, for the error: `the node`.
        there: What may be meant.
        which: One of them itself, its name, or its class's name where no other has that class.

    Raises:
        ConfigError: If there is none, or more than one; says which there are.
    """
    found = [one for one in there if which is None or one.itself is which]
    found = found or [one for one in there if one.name and one.name == which]
    found = found or [one for one in there if one.class_name == which]
    if len(found) == 1:
        return found[0].itself
    meant = "" if which is None else f" {which!r}"
    if found:
        raise ConfigError(f"{owner} has several strategies{meant}; say which: {_names(found)}")
    raise ConfigError(f"{owner} has no strategy{meant}; its strategies: {_names(there)}")


def chosen_actor(actors: Sequence[_A], which: object) -> _A:
    """Return that of a node's strategies which is meant; see `chosen`."""
    there = [Candidate(one.component_id, type(one).__name__, one) for one in actors]
    return chosen("the node", there, which)


def _names(candidates: Sequence[Candidate[_T]]) -> str:
    # Before a node is built its strategies have no names yet.
    return ", ".join(one.name or repr(one.itself) for one in candidates) or "none"

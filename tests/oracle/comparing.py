"""When two outcomes are equal, and what is said where they are not."""

from __future__ import annotations

from decimal import Decimal

from tests.oracle.scenario import Fill, Outcome

CENT_OF_A_CENT = Decimal("0.0001")
"""Profits are equal to this: a peer keeps average prices in binary floating point."""

_SAME = {"denied": "refused", "rejected": "refused", "submitted": "accepted"}
"""Statuses that stand for one thing: who refuses, and what a waiting child is called."""


def differences(ours: Outcome, theirs: Outcome) -> list[str]:
    """Return what differs, a line for each; nothing where the outcomes are equal.

    Fills are compared by row: in which order one row's orders fill is a convention. Where that
    order is the same, the realised profit must be, too.
    """
    found: list[str] = []
    a, b = sorted(ours.fills), sorted(theirs.fills)
    found += [f"only here: {fill}" for fill in a if fill not in b]
    found += [f"only there: {fill}" for fill in b if fill not in a]
    if not found and a != b:
        found.append(f"{len(a)} fills here, {len(b)} there")
    for name in sorted(ours.orders.keys() | theirs.orders.keys()):
        here, there = (_status(one.orders.get(name)) for one in (ours, theirs))
        if here != there:
            found.append(f"order {name}: {here} here, {there} there")
    if ours.positions != theirs.positions:
        found.append(f"positions: {ours.positions} here, {theirs.positions} there")
    if abs(ours.total - theirs.total) > CENT_OF_A_CENT:
        found.append(f"total profit: {ours.total} here, {theirs.total} there")
    if is_in_step(ours, theirs) and abs(ours.profit - theirs.profit) > CENT_OF_A_CENT:
        found.append(f"profit: {ours.profit} here, {theirs.profit} there")
    return found


def is_in_step(ours: Outcome, theirs: Outcome) -> bool:
    """Return whether the fills came in the same order, and not only in the same rows."""
    return _order(ours.fills) == _order(theirs.fills)


def _order(fills: tuple[Fill, ...]) -> list[str]:
    return [fill.name for fill in fills]


def _status(found: tuple[str, int] | None) -> tuple[str, int] | None:
    return None if found is None else (_SAME.get(found[0], found[0]), found[1])

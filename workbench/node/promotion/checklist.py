"""The checklist: what must hold before orders go to a real account, each point by name."""

from __future__ import annotations

import msgspec

from workbench.model.display import grid_html

_MARKS = {True: "✓", False: "✗"}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One point.

    Attributes:
        name: Of the point.
        passed: Whether it holds.
        found: What was found, in words.
        wanted: What is asked for, and where it is missing what to do.
    """

    name: str
    passed: bool
    found: str
    wanted: str = ""

    def __str__(self) -> str:
        """Return it as a line."""
        asked = f" (wanted: {self.wanted})" if self.wanted and not self.passed else ""
        return f"{_MARKS[self.passed]} {self.name}: {self.found}{asked}"


class Checklist(msgspec.Struct, frozen=True, kw_only=True):
    """All points about one strategy and one account.

    Attributes:
        strategy_id: The strategy.
        account_id: The account its orders are to go to.
        checks: The points, in the order they are looked at.
        ts_ns: When they were, on the node's clock, nanoseconds.
    """

    strategy_id: str
    account_id: str
    checks: tuple[Check, ...]
    ts_ns: int

    @property
    def passed(self) -> bool:
        """Return whether every point holds."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> list[str]:
        """Return the names of the points that do not hold."""
        return [check.name for check in self.checks if not check.passed]

    def __getitem__(self, name: str) -> Check:
        """Return a point by its name."""
        for check in self.checks:
            if check.name == name:
                return check
        names = ", ".join(check.name for check in self.checks)
        raise KeyError(f"there is no point {name!r}; there are: {names}")

    def __str__(self) -> str:
        """Return all points, a line each."""
        return "\n".join((self._head(), *map(str, self.checks)))

    def __repr__(self) -> str:
        """Return all points, a line each."""
        return str(self)

    def _head(self) -> str:
        failed = self.failed
        verdict = "may be promoted" if not failed else f"may not be promoted: {', '.join(failed)}"
        return f"{self.strategy_id} to {self.account_id}: {verdict}"

    def _repr_html_(self) -> str:
        rows = [
            (_MARKS[check.passed], check.name, check.found, "" if check.passed else check.wanted)
            for check in self.checks
        ]
        return grid_html(("", "point", "found", "wanted"), rows, self._head())

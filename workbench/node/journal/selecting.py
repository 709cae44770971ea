"""Which records of a journal are wanted, said to SQLite and to chunks of market data alike."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workbench.model.enums import parse_enum
from workbench.model.errors import ConfigError
from workbench.node.journal.chunks import Entry
from workbench.node.journal.records import JournalKind

Kinds = JournalKind | str | Iterable[JournalKind | str] | None
"""One kind, several, or None for all."""

Time = int | str | datetime | None
"""Nanoseconds, a time, or a text that pandas reads; without a zone it is UTC."""


@dataclass(frozen=True)
class Selection:
    """What is wanted; bounds are None where there is none.

    Attributes:
        kinds: Of which kinds.
        types: Of which types, by name; empty for all.
        run: Of which run.
        after: Of sequences above this.
        since: From this time on, nanoseconds.
        until: Before this time.
    """

    kinds: frozenset[JournalKind]
    types: frozenset[str] = frozenset()
    run: int | None = None
    after: int = 0
    since: int | None = None
    until: int | None = None

    @property
    def others(self) -> frozenset[JournalKind]:
        """Return the kinds that are not in chunks."""
        return self.kinds - {JournalKind.DATA}

    @property
    def has_data(self) -> bool:
        """Return whether market data is wanted."""
        return JournalKind.DATA in self.kinds

    def condition(self) -> tuple[str, list[Any]]:
        """Return the condition on the table `record`, and the values for it."""
        parts, values = ["sequence > ?"], [self.after]
        return self._bounded(
            parts, values, ("kind", sorted(self.others)), ("type", sorted(self.types))
        )

    def chunk_condition(self) -> tuple[str, list[Any]]:
        """Return the condition on chunks that may hold what is wanted."""
        parts: list[str] = ["last > ?"]
        values: list[Any] = [self.after]
        if self.since is not None:
            parts.append("last_ts >= ?")
            values.append(self.since)
        if self.until is not None:
            parts.append("first_ts < ?")
            values.append(self.until)
        return " AND ".join(parts), values

    def _bounded(
        self, parts: list[str], values: list[Any], *among: tuple[str, list[Any]]
    ) -> tuple[str, list[Any]]:
        for name, wanted in among:
            # All kinds are no condition: an index of some would only be in the way.
            if wanted and not (name == "kind" and len(wanted) == len(JournalKind) - 1):
                # Kinds are literals, so that SQLite sees which index holds them.
                quoted = ", ".join(f"'{one}'" for one in wanted)
                marks = quoted if name == "kind" else ", ".join("?" * len(wanted))
                parts.append(f"{name} IN ({marks})")
                values.extend(() if name == "kind" else wanted)
        for text, bound in (
            ("run = ?", self.run),
            ("ts >= ?", self.since),
            ("ts < ?", self.until),
        ):
            if bound is not None:
                parts.append(text)
                values.append(bound)
        return " AND ".join(parts), values

    def takes(self, entry: Entry) -> bool:
        """Return whether an entry of a chunk is wanted."""
        sequence, run, _, _, ts, name, _ = entry
        return (
            sequence > self.after
            and (self.run is None or run == self.run)
            and (not self.types or name in self.types)
            and (self.since is None or ts >= self.since)
            and (self.until is None or ts < self.until)
        )


def kinds_of(kind: Kinds) -> frozenset[JournalKind]:
    """Return the kinds that are meant.

    Raises:
        ConfigError: If there is no such kind.
    """
    if kind is None:
        return frozenset(JournalKind)
    several = [kind] if isinstance(kind, str) else kind
    return frozenset(parse_enum(JournalKind, one, "kind") for one in several)


def types_of(types: str | Collection[str]) -> frozenset[str]:
    """Return the names that are meant; one text is one name."""
    return frozenset([types] if isinstance(types, str) else types)


def time_ns(time: Time) -> int | None:
    """Return a time in nanoseconds.

    Raises:
        ConfigError: If it cannot be read.
    """
    if time is None or isinstance(time, int):
        return time
    import pandas as pd

    try:
        stamp = pd.Timestamp(time)
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp
        return int(stamp.as_unit("ns").value)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"a time is nanoseconds, a datetime, or a text such as '2026-01-31 14:00'; got {time!r}"
        ) from error

"""The in-memory event log: what was asked for and what happened, in order, to the byte."""

from __future__ import annotations

import html
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any

import msgspec

from workbench.model.codec import encode
from workbench.model.display import fitted, grid_html, told
from workbench.model.errors import ConfigError
from workbench.runtime.channels import ChannelName


class RecordKind(StrEnum):
    """The kinds of record, those of the journal."""

    RUN = "run"
    TIME = "time"
    DATA_COMMAND = "data_command"
    COMMAND = "command"
    EVENT = "event"
    DERIVED = "derived"
    STALL = "stall"
    SWAP = "swap"


_KIND_OF = {
    ChannelName.TIME_EVENTS: RecordKind.TIME,
    ChannelName.EXECUTION_EVENTS: RecordKind.EVENT,
    ChannelName.TRADING_COMMANDS: RecordKind.COMMAND,
    ChannelName.DATA_COMMANDS: RecordKind.DATA_COMMAND,
}

TRADING_KINDS = (RecordKind.COMMAND, RecordKind.EVENT, RecordKind.DERIVED)
"""The kinds that are equal, byte for byte, between a backtest and a replay of the same data."""


class Record(msgspec.Struct, frozen=True):
    """One entry: the number of the handled message it belongs to, its kind, the message."""

    number: int
    kind: RecordKind
    message: Any

    def __repr__(self) -> str:
        """Return the number, the kind, and what happened."""
        return fitted(f"<{self.number} {self.kind.value}: {told(self.message)}>")

    def _repr_html_(self) -> str:
        return records_html([self])


_SHOWN = 10


def records_html(records: Iterable[Record]) -> str:
    """Return records as a table, one a row."""
    return grid_html(
        ("number", "kind", "message"),
        ((str(r.number), r.kind.value, fitted(told(r.message), 300)) for r in records),
    )


class EventLog:
    """Holds records in the order they happened. Market data is not logged.

    A dispatcher's `tap` fills it; events that engines derive (positions, new orders) are added
    with `add`, under the number of the message that caused them.

    Args:
        limit: How many records it keeps, the newest; None for all. What was dropped is counted: a
            log that dropped anything does not rebuild the run.

    Attributes:
        followers: Told of each record that is added, not of those that are tapped.

    Raises:
        ConfigError: If the limit is below 1.
    """

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise ConfigError(f"an event log keeps 1 record or more, or None for all; got {limit}")
        self._records: deque[tuple[int, RecordKind, Any]] = deque(maxlen=limit)
        self.followers: list[Callable[[int, RecordKind, Any], None]] = []
        self._count = 0  # of all records ever, where some are dropped
        # Without a limit nothing has to be counted: five records make one order.
        self._append = self._records.append if limit is None else self._append_counted

    def _append_counted(self, record: tuple[int, RecordKind, Any]) -> None:
        self._count += 1
        self._records.append(record)

    @property
    def dropped(self) -> int:
        """Return how many of the oldest records were dropped."""
        return max(0, self._count - len(self._records))

    def tap(self, number: int, channel: ChannelName, message: Any) -> None:
        """Take a handled message from a dispatcher."""
        if channel is not ChannelName.DATA_EVENTS:
            self._append((number, _KIND_OF[channel], message))

    def add(self, number: int, kind: RecordKind, message: Any) -> None:
        """Add a record of any kind."""
        self._append((number, kind, message))
        for follow in self.followers:
            follow(number, kind, message)

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """Iterate over the records, oldest first."""
        return (Record(*record) for record in self._records)

    @property
    def count(self) -> int:
        """Return how many records there ever were."""
        return max(self._count, len(self._records))

    def newest_first(self) -> Iterator[tuple[int, RecordKind, Any]]:
        """Iterate over number, kind and message of the records, the newest first."""
        return reversed(self._records)

    def records(self, kinds: Iterable[RecordKind] | None = None) -> list[Record]:
        """Return the records, all or those of some kinds."""
        wanted = frozenset(RecordKind if kinds is None else kinds)
        return [Record(*record) for record in self._records if record[1] in wanted]

    def to_bytes(self, kinds: Iterable[RecordKind] | None = None) -> bytes:
        """Return the records as msgpack, without their numbers, for comparing two runs.

        Args:
            kinds: Which kinds; all by default, `TRADING_KINDS` to compare a backtest and a replay.
        """
        parts: list[bytes] = []
        for record in self.records(kinds):
            parts.extend((record.kind.value.encode(), b"\t", encode(record.message), b"\n"))
        return b"".join(parts)

    def __repr__(self) -> str:
        """Return how many records there are, by kind."""
        kinds = Counter(record[1].value for record in list(self._records))
        counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        dropped = f"; {self.dropped:,} older ones dropped" if self.dropped else ""
        return f"<EventLog: {counts or 'empty'}{dropped}>"

    def _repr_html_(self) -> str:
        newest = [Record(*record) for record in list(self._records)[-_SHOWN:]]
        return f"{html.escape(repr(self))}{records_html(newest)}"

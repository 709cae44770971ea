"""Reading a journal: records, runs, fills and state, also while another process writes."""

# pandas' stubs leave parts of these calls unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import heapq
import html
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.model.display import format_ns, given, grid_html, pairs_html, shown
from workbench.model.errors import CodecError, ConfigError
from workbench.node import frames
from workbench.node.journal import chunks, schema
from workbench.node.journal.errors import JournalError
from workbench.node.journal.payloads import decode
from workbench.node.journal.records import JournalKind, JournalRecord, RunStarted
from workbench.node.journal.selecting import Kinds, Selection, Time, kinds_of, time_ns, types_of
from workbench.node.journal.tables import RunEntry, records_frame, runs_frame
from workbench.runtime.eventlog import Record, RecordKind

if TYPE_CHECKING:
    import pandas as pd

    from workbench.node.journal.folding import JournalState

_SELECT = "SELECT sequence, run, number, kind, ts, type, payload FROM record WHERE"
_SHARED = frozenset(kind.value for kind in RecordKind)
_KINDS = {kind.value: kind for kind in JournalKind}
_SHOWN_RUNS = 10


class JournalView:
    """A journal to read.

    Args:
        path: Its file.
        is_checked: Whether every page is looked at first.

    Raises:
        JournalError: If there is none, or it is damaged, or newer or older than this program.
    """

    def __init__(self, path: Path, *, is_checked: bool = True) -> None:
        self.path = path
        with closing(schema.connect(path, is_read_only=True)) as connection:
            version = schema.check(connection, path, is_thorough=is_checked)
            if version < schema.VERSION:
                raise JournalError(
                    f"{path} has journal version {version}; this workbench reads"
                    f" {schema.VERSION}. Open it once for writing, which brings it up to date"
                )
            self.trader_id = schema.trader_of(connection)

    def _settle(self) -> None:
        """Have what waits written before it is read."""

    def messages(
        self,
        kind: Kinds = None,
        *,
        run: int | None = None,
        types: str | Collection[str] = (),
        after: int = 0,
        since: Time = None,
        until: Time = None,
    ) -> Iterator[JournalRecord]:
        """Iterate over records, oldest first.

        Args:
            kind: One kind or several; all by default.
            run: Of this run only; -1 is the last, -2 the one before.
            types: Of these types only, by name: `OrderFilled`.
            after: Of later sequences only.
            since: From this time on: nanoseconds, a `datetime`, or a text pandas reads; UTC.
            until: Before this time.

        Raises:
            JournalError: If it cannot be read.
            ConfigError: If there is no such kind or run.
        """
        number = None if run is None else self._run_number(run)
        bounds = after, time_ns(since), time_ns(until)
        selection = Selection(kinds_of(kind), types_of(types), number, *bounds)
        self._settle()
        return self._read(selection)

    def _read(self, selection: Selection) -> Iterator[JournalRecord]:
        with closing(schema.connect(self.path, is_read_only=True)) as connection:
            sources: list[Iterator[chunks.Entry]] = []
            # Both in one view of the file, whatever is written meanwhile.
            connection.execute("BEGIN")
            if selection.others:
                where, values = selection.condition()
                sources.append(connection.execute(f"{_SELECT} {where} ORDER BY sequence", values))
            if selection.has_data and connection.execute("SELECT 1 FROM data LIMIT 1").fetchone():
                sources.append(_from_chunks(connection, selection))
            try:
                entries = heapq.merge(*sources)
                # Closed before the connection, should nobody read on to the end.
                with closing(entries):
                    yield from map(_record, entries)
            except sqlite3.OperationalError as error:
                raise JournalError(f"cannot read {self.path}: {error}") from error
            except (sqlite3.DatabaseError, ValueError) as error:
                raise schema.damaged(self.path, str(error)) from error

    def log(self, kind: Kinds = None, *, run: int | None = None) -> Iterator[Record]:
        """Iterate over the records an event log in memory would hold, as that holds them."""
        for record in self.messages(kind, run=run):
            if record.kind.value in _SHARED:
                yield Record(record.number, RecordKind(record.kind.value), record.message)

    def run_entries(self) -> list[RunEntry]:
        """Return the runs, the first one first."""
        with_bounds: list[tuple[JournalRecord, JournalRecord | None]] = []
        for record in self.messages(JournalKind.RUN):
            if isinstance(record.message, RunStarted):
                with_bounds.append((record, None))
            elif with_bounds and with_bounds[-1][0].run == record.run:
                with_bounds[-1] = with_bounds[-1][0], record
        starts = [started.sequence for started, _ in with_bounds]
        ends = [*starts[1:], self.last_sequence + 1]
        return [
            RunEntry(started.run, started, stopped, end - started.sequence)
            for (started, stopped), end in zip(with_bounds, ends, strict=False)
        ]

    def _run_number(self, run: int) -> int:
        runs = [entry.run for entry in self.run_entries()]
        if -len(runs) <= run < 0:
            return runs[run]
        if run not in runs:
            known = f"1 to {runs[-1]}" if runs else "none"
            raise ConfigError(f"no run {run} is in this journal; there are: {known}")
        return run

    @property
    def last_sequence(self) -> int:
        """Return the sequence of the last record that is durable, 0 for none."""
        with closing(schema.connect(self.path, is_read_only=True)) as connection:
            query = "SELECT max(ifnull((SELECT max(sequence) FROM record), 0),"
            query += " ifnull((SELECT last FROM data ORDER BY first DESC LIMIT 1), 0))"
            return int(connection.execute(query).fetchone()[0])

    def state(self) -> JournalState:
        """Return what is known after all runs: open and unanswered orders, positions, accounts.

        Raises:
            JournalError: If it cannot be read.
        """
        from workbench.node.journal.folding import FOLDED, JournalState, starts_of

        state = JournalState(starts_of(self.messages(JournalKind.RUN)))
        state.fold(self.messages(FOLDED))
        return state

    # Frames

    def records(
        self,
        kind: Kinds = None,
        *,
        run: int | None = None,
        types: str | Collection[str] = (),
        since: Time = None,
        until: Time = None,
    ) -> pd.DataFrame:
        """Return records, one a row: sequence, run, number, kind, channel, type, time, message.

        `message` is the message itself, `told` what it says in a line. The arguments are those of
        `messages`.
        """
        return records_frame(self.messages(kind, run=run, types=types, since=since, until=until))

    def newest(self, limit: int = 20) -> pd.DataFrame:
        """Return the newest records, oldest first, one a row as `records` has them.

        Args:
            limit: How many.

        Raises:
            ConfigError: If that is not positive.
        """
        if type(limit) is not int or limit < 1:
            raise ConfigError(f"limit is a number of records, 1 or more; got {limit!r}")
        self._settle()
        return records_frame(self.messages(after=max(0, self.last_sequence - limit)))

    def runs(self) -> pd.DataFrame:
        """Return the runs, one a row; `ended` is empty for one that was killed or goes on."""
        return runs_frame(self.run_entries())

    def fills(self, run: int | None = None) -> pd.DataFrame:
        """Return the fills, one a row, in the order they were handled."""
        return frames.fills_frame(self.log(("event", "derived"), run=run))

    def order_events(self, run: int | None = None) -> pd.DataFrame:
        """Return what became of every order, one event a row, in the order handled."""
        return frames.order_events_frame(self.log(("event", "derived"), run=run))

    def export(self, folder: str | Path, *, kind: Kinds = None) -> list[Path]:
        """Write Parquet files, one for each kind that has records; return them.

        What a message holds becomes columns, over all its kind's messages. A Decimal stays one,
        exactly; what is nested becomes JSON. A bar shows progress once it takes a second.

        Args:
            folder: Where to; made if there is none.
            kind: Which kinds; all by default.

        Raises:
            JournalError: If a file cannot be written.
        """
        from workbench.node.journal.parquet import export

        return export(self, Path(folder), kinds_of(kind))

    def counts(self) -> dict[JournalKind, int]:
        """Return how many records there are, by kind."""
        self._settle()
        with closing(schema.connect(self.path, is_read_only=True)) as connection:
            rows = list(connection.execute("SELECT kind, count(*) FROM record GROUP BY kind"))
            data = connection.execute("SELECT ifnull(sum(count), 0) FROM data").fetchone()[0]
        found = {JournalKind(kind): int(count) for kind, count in rows}
        if data:
            found[JournalKind.DATA] = int(data)
        return found

    def summary(self) -> pd.Series[Any]:
        """Return what the journal holds, in figures."""
        import pandas as pd

        return pd.Series(dict(self._summary()), dtype=object, name=str(self.trader_id))

    def _summary(self) -> list[tuple[str, Any]]:
        counts, runs = self.counts(), self.run_entries()
        size = sum(
            one.stat().st_size
            for one in (self.path, self.path.with_name(f"{self.path.name}-wal"))
            if one.exists()
        )
        rows: list[tuple[str, Any]] = [
            ("trader", str(self.trader_id)),
            ("file", str(self.path)),
            ("megabytes", round(size / 2**20, 2)),
            ("runs", len(runs)),
            ("records", sum(counts.values())),
            *((f"{kind.value} records", count) for kind, count in sorted(counts.items())),
        ]
        if runs:
            rows.insert(4, ("last run began", format_ns(runs[-1].started.ts)))
        return rows

    def __repr__(self) -> str:
        """Return whose it is, where, and how much it holds."""
        try:
            rows = dict(self._summary())
        except (JournalError, sqlite3.Error) as error:
            return f"<{type(self).__name__} of {self.trader_id}: {error}>"
        return (
            f"<{type(self).__name__} of {self.trader_id}: {rows['records']:,} records of"
            f" {rows['runs']} runs, {rows['megabytes']} MB in {self.path}>"
        )

    def _repr_html_(self) -> str:
        try:
            rows, runs = dict(self._summary()), self.run_entries()
        except (JournalError, sqlite3.Error):
            return f"<pre>{html.escape(repr(self))}</pre>"
        figures = pairs_html(given(**rows), f"Journal of {self.trader_id}")
        columns = ("run", "began", "ended", "reason", "records")
        shown_runs = [
            (
                *(str(entry.run), format_ns(entry.started.ts)),
                *("" if entry.stopped is None else format_ns(entry.stopped.ts),),
                *("" if entry.ended is None else entry.ended.reason, shown(entry.records)),
            )
            for entry in runs[-_SHOWN_RUNS:]
        ]
        return figures + grid_html(columns, shown_runs)


def _record(entry: chunks.Entry) -> JournalRecord:
    sequence, run, number, kind, ts, name, payload = entry
    try:
        message = decode(name, payload)
    except CodecError as error:
        raise JournalError(
            f"record {sequence} (a {name}) cannot be read: {error}. If it is data of your own,"
            " define its class first"
        ) from error
    return JournalRecord(sequence, run, number, _KINDS[kind], ts, message)


def _from_chunks(connection: sqlite3.Connection, selection: Selection) -> Iterator[chunks.Entry]:
    where, values = selection.chunk_condition()
    query = f"SELECT records FROM data WHERE {where} ORDER BY first"
    for (records,) in connection.execute(query, values):
        yield from filter(selection.takes, chunks.unpack(records))

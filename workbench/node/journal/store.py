"""The one writer of a journal's file: groups of entries, all of a group or none of it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from workbench.node.journal import chunks, schema
from workbench.node.journal.errors import JournalError
from workbench.node.journal.records import JournalKind

_INSERT = (
    "INSERT INTO record (sequence, run, number, kind, ts, type, payload)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_DATA = "INSERT INTO data VALUES (?, ?, ?, ?, ?, ?, ?)"
_DATA = JournalKind.DATA.value


class Store:
    """Writes to a journal's file; only one does at a time, in this process or another.

    Args:
        path: The file; made where there is none.
        trader_id: Whose journal it is.
        outlives_power_cut: Whether each commit is forced to the disk; else it only outlives the
            process.
        is_checked: Whether every page is looked at first.

    Attributes:
        last_sequence: Of the last record in the file, 0 for none.
        last_run: The highest run in it, 0 for none.

    Raises:
        JournalError: If another process writes to it, or it is damaged, newer, or another's.
    """

    def __init__(
        self,
        path: Path,
        trader_id: str,
        *,
        outlives_power_cut: bool = True,
        is_checked: bool = True,
    ) -> None:
        self.path = path
        schema.make_folder(path)
        self._lock = _lock(path)
        try:
            if not path.exists():
                schema.create(path, trader_id)
            schema.close_to_others(path)
            self._connection = schema.connect(path)
            try:
                version = schema.check(self._connection, path, is_thorough=is_checked)
                schema.prepare(self._connection, path, version, trader_id)
                if not outlives_power_cut:
                    self._connection.execute("PRAGMA synchronous=OFF")
                self.last_sequence, self.last_run = _ends(self._connection)
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise

    def write(self, entries: Sequence[chunks.Entry]) -> None:
        """Write entries in one transaction; when it returns they are durable.

        Raises:
            sqlite3.Error: If they cannot be written; then none is.
        """
        connection = self._connection
        data = [entry for entry in entries if entry[3] == _DATA]
        others = [entry for entry in entries if entry[3] != _DATA] if data else entries
        chunk = chunks.pack(data) if data else None
        connection.execute("BEGIN IMMEDIATE")
        try:
            if others:
                connection.executemany(_INSERT, others)
            if chunk is not None:
                connection.execute(_INSERT_DATA, chunk)
            connection.execute("COMMIT")
        except BaseException:
            # Some failures have rolled back already (a full disk), others have not.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def limit_pages(self, count: int) -> None:
        """Let the file grow to so many pages at most, as a full disk would."""
        self._connection.execute(f"PRAGMA max_page_count={count:d}")

    def close(self) -> None:
        """Close the file and let another process write to it."""
        try:
            self._connection.close()
        finally:
            os.close(self._lock)


def _ends(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the last sequence and the last run of all tables."""
    rows = [
        connection.execute("SELECT sequence, run FROM record ORDER BY sequence DESC LIMIT 1"),
        connection.execute("SELECT last, run FROM data ORDER BY first DESC LIMIT 1"),
    ]
    ends = [row for cursor in rows for row in cursor]
    return max((end[0] for end in ends), default=0), max((end[1] for end in ends), default=0)


def _lock(path: Path) -> int:
    """Take the lock beside the file; the system frees it when the process ends in any way."""
    # Not on the file itself: closing it would drop SQLite's own locks.
    name = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(name, os.O_CREAT | os.O_RDWR, schema.FILE_MODE)
    except OSError as error:
        raise JournalError(f"cannot make {name}: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise JournalError(
            f"the journal {path} is written by another node (process {holder}); stop that one, or"
            " give this trader another trader_id. Journal.read_only(path) reads it meanwhile"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor

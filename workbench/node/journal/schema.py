"""The file: its tables, its version and how older ones are brought up to it, its permissions.

`application_id` says that a file is a journal, `user_version` which version of the tables it has.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec

from workbench.node.journal import chunks
from workbench.node.journal.errors import JournalError

VERSION = 2
"""The version of the tables that this program writes."""

APPLICATION_ID = 0x574B4A4C  # "WKJL"
FILE_MODE, FOLDER_MODE = 0o600, 0o700
BUSY_S = 5.0
"""How long another process that holds the file is waited for."""

# Rare kinds are found without reading all the others.
_RARE = "('run', 'instrument', 'purge', 'swap', 'stall', 'promotion', 'exception')"

_CHUNK = 1_000

# Some commit has to wait until the pages before it are moved from the -wal file to the file: seldom
# (16 MB; by default SQLite does it every 4 MB), but not so much at once that closing takes long.
_CHECKPOINT_PAGES = 4_000

_FIRST = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE record (sequence INTEGER PRIMARY KEY, run INTEGER NOT NULL,"
    " number INTEGER NOT NULL, kind TEXT NOT NULL, ts INTEGER NOT NULL, payload BLOB NOT NULL)",
)


def _to_first(connection: sqlite3.Connection) -> None:
    for statement in _FIRST:
        connection.execute(statement)


def _to_second(connection: sqlite3.Connection) -> None:
    """Name each payload's type, find rare kinds fast, keep market data in chunks."""
    connection.execute("ALTER TABLE record ADD COLUMN type TEXT NOT NULL DEFAULT ''")
    connection.create_function("payload_type", 1, _type_of, deterministic=True)
    connection.execute("UPDATE record SET type = payload_type(payload)")
    connection.execute(f"CREATE INDEX record_rare ON record (kind, sequence) WHERE kind IN {_RARE}")
    # The columns of a chunk say which records it holds; these are compressed together.
    connection.execute(
        "CREATE TABLE data (first INTEGER PRIMARY KEY, last INTEGER NOT NULL,"
        " count INTEGER NOT NULL, first_ts INTEGER NOT NULL, last_ts INTEGER NOT NULL,"
        " run INTEGER NOT NULL, records BLOB NOT NULL)"
    )
    rows = connection.execute(
        "SELECT sequence, run, number, kind, ts, type, payload FROM record WHERE kind = 'data'"
        " ORDER BY sequence"
    )
    while some := rows.fetchmany(_CHUNK):
        connection.execute("INSERT INTO data VALUES (?, ?, ?, ?, ?, ?, ?)", chunks.pack(some))
    connection.execute("DELETE FROM record WHERE kind = 'data'")


class _Tagged(msgspec.Struct):
    type: str


def _type_of(payload: bytes) -> str:
    return msgspec.msgpack.decode(payload, type=_Tagged).type


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_to_first, _to_second)
"""What makes each version of the one before; the first makes an empty file one."""


def create(path: Path, trader_id: str) -> None:
    """Make a journal that only its owner can read.

    It is put together under another name: whoever finds the file finds it whole.

    Raises:
        JournalError: If it cannot be made, or something of an older one is left.
    """
    wal = _beside(path, "-wal")
    if wal.exists() and wal.stat().st_size:
        # SQLite would play it into the new file.
        raise JournalError(
            f"the journal {path} is gone, but {wal.name} with its last records is there: put the"
            " file back, or move that one away too"
        )
    unfinished = _beside(path, ".new")
    try:
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))
        connection = connect(unfinished)
        try:
            _migrate(connection, 0, trader_id)
        finally:
            connection.close()
        unfinished.rename(path)
        _sync_folder(path.parent)
    except (OSError, sqlite3.Error) as error:
        raise JournalError(f"cannot make the journal {path}: {error}") from error


def _sync_folder(folder: Path) -> None:
    """Make sure that a power cut does not take away the name of a new file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make the folder of a journal, for its owner alone; one that is there stays as it is.

    Raises:
        JournalError: If it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    except OSError as error:
        raise JournalError(f"cannot make the folder {path.parent}: {error}") from error


def close_to_others(path: Path) -> None:
    """Let nobody but their owner read a journal's files.

    SQLite gives the files beside it (`-wal`, `-shm`) the permissions of the file itself.

    Raises:
        JournalError: If they belong to somebody else.
    """
    for one in (path, _beside(path, "-wal"), _beside(path, "-shm")):
        try:
            if one.exists() and stat.S_IMODE(one.stat().st_mode) & ~FILE_MODE:
                one.chmod(FILE_MODE)
        except OSError as error:
            raise JournalError(f"others can read {one}, and that stays so: {error}") from error


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def connect(path: Path, *, is_read_only: bool = False) -> sqlite3.Connection:
    """Return a connection in auto-commit mode; it may be used from one thread at a time.

    Raises:
        JournalError: If there is no such file, or it cannot be opened.
    """
    if not path.is_file():
        raise JournalError(f"there is no journal {path}")
    mode = "ro" if is_read_only else "rw"
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise JournalError(f"cannot open the journal {path}: {error}") from error


def check(connection: sqlite3.Connection, path: Path, *, is_thorough: bool) -> int:
    """Check that a file is a whole journal of a version that is known here.

    Args:
        connection: To the file.
        path: For messages.
        is_thorough: Whether every page is looked at.

    Returns:
        The version of its tables.

    Raises:
        JournalError: If it is damaged, no journal, or newer than this program.
    """
    try:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        kind = int(connection.execute("PRAGMA application_id").fetchone()[0])
        if not path.stat().st_size:
            raise damaged(path, "it is empty")
        if kind != APPLICATION_ID:
            raise JournalError(f"{path} is an SQLite file, but no journal; give another path")
        if version > VERSION:
            raise JournalError(
                f"{path} was written by a newer workbench (journal version {version}; this one"
                f" knows {VERSION} and older): update workbench, or give another path"
            )
        if is_thorough:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            if found != ["ok"]:
                raise damaged(path, "; ".join(found))
    except sqlite3.OperationalError as error:
        raise JournalError(f"cannot read the journal {path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error
    return version


def damaged(path: Path, what: str) -> JournalError:
    """Return the error for a file that is not whole."""
    return JournalError(
        f"the journal {path} is damaged ({what}) and was left as it is. Restore a copy, or move it"
        " away with its -wal and -shm files and start a new one: then the venue alone knows what"
        f" is open. `sqlite3 {path.name} .recover` shows what can still be read"
    )


def prepare(connection: sqlite3.Connection, path: Path, version: int, trader_id: str) -> None:
    """Bring an opened file up to this program's version, all or nothing.

    Raises:
        JournalError: If it cannot be written, or is another trader's.
    """
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # A commit is on the disk when it returns, and outlives a power cut.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        if version < VERSION:
            _migrate(connection, version, trader_id)
        owner = trader_of(connection)
    except sqlite3.Error as error:
        raise JournalError(f"cannot write the journal {path}: {error}") from error
    if owner != trader_id:
        raise JournalError(
            f"{path} is the journal of trader {owner}, not of {trader_id}; each has one of its own"
        )


def _migrate(connection: sqlite3.Connection, version: int, trader_id: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migrate in MIGRATIONS[version:]:
            migrate(connection)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('trader_id', ?)", (trader_id,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def trader_of(connection: sqlite3.Connection) -> str:
    """Return whose journal it is."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'trader_id'").fetchone()
    return "" if row is None else str(row[0])

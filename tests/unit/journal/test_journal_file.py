"""The file: permissions, versions, migration, damage, and who writes it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.journal import samples as s
from workbench.model.codec import encode
from workbench.node.journal import Journal, JournalError, JournalKind, schema


def modes(folder: Path) -> dict[str, int]:
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}


def test_the_files_and_a_new_folder_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)  # would give everything to everybody
    try:
        folder = tmp_path / "made"
        with s.threaded(folder) as journal:
            journal.append("time", s.event(1))
            journal.flush()
            names = {"journal.sqlite" + end for end in ("", "-wal", "-shm", ".lock")}
            assert modes(folder) == dict.fromkeys(names, 0o600)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_a_file_that_others_can_read_is_closed_to_them(tmp_path: Path) -> None:
    s.inline(tmp_path).close()
    path = tmp_path / "journal.sqlite"
    path.chmod(0o644)
    s.inline(tmp_path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_written_is_there_when_it_is_opened_again_and_goes_on(tmp_path: Path) -> None:
    with s.threaded(tmp_path) as journal:
        journal.begin_run("one")
        assert journal.append("time", s.event("a")) == 2
        assert journal.append("data", s.quote(1)) == 3
    with s.threaded(tmp_path) as journal:
        assert journal.sequence == 3
        assert journal.begin_run("two") == 2
        assert journal.append("time", s.event("b")) == 5
        found = [(r.sequence, r.run, r.kind.value) for r in journal.messages()]
    assert found == [(1, 1, "run"), (2, 1, "time"), (3, 1, "data"), (4, 2, "run"), (5, 2, "time")]


def test_each_commit_is_forced_to_the_disk_and_readers_do_not_wait(tmp_path: Path) -> None:
    with s.threaded(tmp_path) as journal:
        connection = journal._commits._store._connection
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_second_writer_is_refused_and_told_which_process_writes(tmp_path: Path) -> None:
    with s.threaded(tmp_path):
        with pytest.raises(JournalError, match=rf"another node \(process {os.getpid()}\)"):
            s.threaded(tmp_path)
        code = (
            "import sys; from workbench.node.journal import Journal, JournalError\n"
            "try: Journal.open(sys.argv[1], 'TRADER-001')\n"
            "except JournalError as error: print(error)"
        )
        path = str(tmp_path / "journal.sqlite")
        done = subprocess.run(
            [sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60
        )
        assert f"written by another node (process {os.getpid()})" in done.stdout
    s.threaded(tmp_path).close()


def test_another_traders_journal_is_refused(tmp_path: Path) -> None:
    s.inline(tmp_path).close()
    with pytest.raises(JournalError, match=r"of trader TRADER-001, not of OTHER"):
        Journal.open(tmp_path / "journal.sqlite", "OTHER")


def test_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    s.inline(tmp_path).close()
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"newer workbench .journal version 3; this one knows 2"):
        s.inline(tmp_path)
    with pytest.raises(JournalError, match=r"update workbench"):
        Journal.read_only(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"not a database, but long enough to look at" * 40, b"SQLite format 3\0" * 99]
)
def test_what_is_no_whole_journal_is_refused_and_left_as_it_is(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"is damaged .* and was left as it is\. Restore a copy"):
        s.inline(tmp_path)
    assert path.read_bytes() == content


def test_an_sqlite_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipe (name)")
    with pytest.raises(JournalError, match=r"is an SQLite file, but no journal"):
        s.inline(tmp_path)


def test_a_page_that_was_overwritten_is_found_when_it_is_opened(tmp_path: Path) -> None:
    with s.inline(tmp_path) as journal:
        for number in range(2_000):
            journal.append("event", s.submitted(number))
    path = tmp_path / "journal.sqlite"
    whole = path.read_bytes()
    assert len(whole) > 40 * 4096
    path.write_bytes(whole[: 20 * 4096] + os.urandom(2 * 4096) + whole[22 * 4096 :])
    damaged = path.read_bytes()
    for opened in (lambda: s.inline(tmp_path), lambda: Journal.read_only(path)):
        with pytest.raises(JournalError, match=r"is damaged"):
            opened()
    assert path.read_bytes() == damaged
    path.write_bytes(whole)
    with s.inline(tmp_path) as journal:
        assert journal.sequence == 2_000


def test_the_last_records_of_a_journal_that_is_gone_are_not_played_into_a_new_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "journal.sqlite-wal").write_bytes(b"x")
    with pytest.raises(JournalError, match=r"is gone, but journal.sqlite-wal"):
        s.inline(tmp_path)


def test_an_opening_that_was_cut_short_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite.new").write_bytes(b"half")
    s.inline(tmp_path).close()
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "journal.sqlite",
        "journal.sqlite.lock",
    ]


# --- migration -----------------------------------------------------------------------------------


def first_version(path: Path) -> list[tuple[int, int, str, bytes]]:
    """Write a journal as version 1 wrote it; return its records."""
    messages = [s.event("a"), s.submit(1), s.accepted(1), s.filled(1), s.quote(3)]
    kinds = ["time", "command", "event", "event", "data"]
    rows = [
        (number, 1, number, kind, 100 + number, encode(message))
        for number, (kind, message) in enumerate(zip(kinds, messages, strict=True), start=1)
    ]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(
            "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
        )
        connection.execute(
            "CREATE TABLE record (sequence INTEGER PRIMARY KEY, run INTEGER NOT NULL,"
            " number INTEGER NOT NULL, kind TEXT NOT NULL, ts INTEGER NOT NULL,"
            " payload BLOB NOT NULL)"
        )
        connection.execute("INSERT INTO meta VALUES ('trader_id', 'TRADER-001')")
        connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("PRAGMA application_id=0x574B4A4C")
        connection.execute("PRAGMA user_version=1")
    return [(row[0], row[4], row[3], row[5]) for row in rows]


def contents(journal: Journal) -> list[tuple[int, int, str, bytes]]:
    return [(r.sequence, r.ts, r.kind.value, encode(r.message)) for r in journal.messages()]


def test_a_journal_of_the_first_version_is_brought_up_to_date_with_all_its_records(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.sqlite"
    written = first_version(path)
    with pytest.raises(JournalError, match=r"has journal version 1; this workbench reads 2"):
        Journal.read_only(path)
    with s.inline(tmp_path) as journal:
        assert contents(journal) == written
        assert journal.records(types="OrderFilled").sequence.tolist() == [4]
        assert journal.append("data", s.quote(4)) == 6
        assert [r.message for r in journal.messages("data")] == [s.quote(3), s.quote(4)]
    with s.inline(tmp_path) as journal:
        assert contents(journal)[:5] == written
        assert journal.counts()[JournalKind.DATA] == 2


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first_version(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # A payload that has no type.
        connection.execute("INSERT INTO record VALUES (6, 1, 6, 'time', 1, x'00')")
        before = list(connection.execute("SELECT * FROM record"))
    with pytest.raises(JournalError, match=r"cannot write the journal"):
        s.inline(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.execute("SELECT * FROM record")) == before
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)

"""The right to trade an account: one node at a time has it.

All traders of a machine share one file of leases, since two traders must not trade one account. A
lease is taken for an owner (a node) in a process, and renewed while it is used. It passes on when
its process has ended, or when it was not renewed for `expiry_s`. Who lost one hears so when it
renews, and must send nothing more; who could not renew in time `may_send` no longer either, so that
two never trade at once, even if the one that lost it was merely held up.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from workbench.model.display import fitted, format_ns, grid_html
from workbench.model.errors import ConfigError
from workbench.model.identifiers import AccountId
from workbench.node.journal import schema
from workbench.node.journal.errors import JournalError, LeaseError
from workbench.node.journal.processes import ProcessId, is_gone, this_process

EXPIRY_S = 15.0
"""After how long without a renewal a lease passes on, by default."""

_RENEWALS = 5  # in the time after which it expires: a slow disk delays one, not all
_VERSION = 1
_TABLE = (
    "CREATE TABLE IF NOT EXISTS lease (account_id TEXT PRIMARY KEY, owner TEXT NOT NULL,"
    " host TEXT NOT NULL, scope TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL,"
    " token TEXT NOT NULL, taken INTEGER NOT NULL, renewed INTEGER NOT NULL,"
    " renewed_monotonic INTEGER NOT NULL, expiry INTEGER NOT NULL)"
)
_COLUMNS = (
    *("account_id", "owner", "host", "scope", "pid", "started", "token", "taken", "renewed"),
    *("renewed_monotonic", "expiry"),
)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM lease"
_REPLACE = f"INSERT OR REPLACE INTO lease VALUES ({', '.join('?' * len(_COLUMNS))})"


class Times(msgspec.Struct, frozen=True):
    """Clocks: `wall` says the time, `monotonic` what has passed; nanoseconds."""

    wall: Callable[[], int] = time.time_ns
    monotonic: Callable[[], int] = time.monotonic_ns


class LeaseHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Who trades an account.

    Attributes:
        account_id: The account.
        owner: The node's name.
        process: Where it runs.
        token: What only the holder knows it by.
        taken: Since when, nanoseconds.
        renewed: When it was renewed last, nanoseconds.
        renewed_monotonic: The same on the machine's monotonic clock.
        expiry: How long a renewal holds, nanoseconds.
    """

    account_id: AccountId
    owner: str
    process: ProcessId
    token: str
    taken: int
    renewed: int
    renewed_monotonic: int
    expiry: int


class Leases:
    """The leases of a machine's accounts, in one file.

    Args:
        path: The file; made, for its owner alone, where there is none.
        times: Clocks.
        process: Who asks; by default the calling process.

    Raises:
        JournalError: If the file cannot be made or read.
    """

    def __init__(
        self, path: str | Path, times: Times | None = None, process: ProcessId | None = None
    ) -> None:
        self.path = Path(path)
        self._times = Times() if times is None else times
        self._process = this_process() if process is None else process
        schema.make_folder(self.path)
        try:
            with suppress(FileExistsError):
                flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
                os.close(os.open(self.path, flags, schema.FILE_MODE))
            schema.close_to_others(self.path)
            with closing(self._connect()) as connection:
                connection.execute(_TABLE)
                connection.execute(f"PRAGMA user_version={_VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise JournalError(f"cannot use the file of leases {self.path}: {error}") from error

    def take(self, account_id: str, owner: str, expiry_s: float = EXPIRY_S) -> Lease:
        """Take the lease of an account.

        Args:
            account_id: The account.
            owner: The node's name, for those that are refused.
            expiry_s: How long it holds without a renewal.

        Raises:
            LeaseError: If somebody else has it; says who.
            JournalError: If the file cannot be written.
            ConfigError: If `expiry_s` is not positive.
        """
        if not expiry_s > 0:
            raise ConfigError(f"expiry_s is a number of seconds above 0; got {expiry_s!r}")
        made = self._made(AccountId(account_id), owner, int(expiry_s * 1e9))

        def put(connection: sqlite3.Connection) -> None:
            holder = _holder(connection, account_id)
            if holder is not None and not self._has_lost(holder):
                raise LeaseError(
                    f"account {account_id} is traded by {holder.owner} ({holder.process}, since"
                    f" {format_ns(holder.taken)}, renewed {format_ns(holder.renewed)}). Stop that"
                    " one first: a stopped node gives it back at once, and a dead one loses it"
                    f" within {holder.expiry / 1e9:g} s"
                )
            connection.execute(_REPLACE, _row(made))

        self._write(put)
        return Lease(self, made, self._times)

    def _made(self, account_id: AccountId, owner: str, expiry: int) -> LeaseHolder:
        now = self._times.wall()
        return LeaseHolder(
            account_id=account_id,
            owner=owner,
            process=self._process,
            token=os.urandom(16).hex(),
            taken=now,
            renewed=now,
            renewed_monotonic=self._times.monotonic(),
            expiry=expiry,
        )

    def _has_lost(self, holder: LeaseHolder) -> bool:
        if is_gone(holder.process, self._process):
            return True
        here, there = self._process, holder.process
        if here.scope and (here.host, here.scope) == (there.host, there.scope):
            # A wall clock that is set does not matter within one machine.
            return self._times.monotonic() - holder.renewed_monotonic > holder.expiry
        return self._times.wall() - holder.renewed > holder.expiry

    def renew(self, holder: LeaseHolder) -> LeaseHolder:
        """Renew a lease and return it; through `Lease.renew`.

        Raises:
            LeaseError: If it has passed on.
        """
        renewed = msgspec.structs.replace(
            holder, renewed=self._times.wall(), renewed_monotonic=self._times.monotonic()
        )

        def put(connection: sqlite3.Connection) -> None:
            now = _holder(connection, holder.account_id)
            if now is None or now.token != holder.token:
                who = "nobody" if now is None else f"{now.owner} ({now.process})"
                raise LeaseError(
                    f"the lease of account {holder.account_id} was lost: {who} has it. Send no more"
                    " orders; stop this node, or the other one, and start again"
                )
            connection.execute(_REPLACE, _row(renewed))

        self._write(put)
        return renewed

    def give_back(self, holder: LeaseHolder) -> None:
        """Give a lease back, if it is still held; through `Lease.give_back`."""

        def put(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM lease WHERE token = ?", (holder.token,))

        self._write(put)

    def holders(self) -> list[LeaseHolder]:
        """Return who has which account, also those that would lose it if somebody asked."""
        with closing(self._connect()) as connection:
            rows = connection.execute(f"{_SELECT} ORDER BY account_id")
            return [_read(row) for row in rows]

    def _write(self, change: Callable[[sqlite3.Connection], None]) -> None:
        """Make a change while no other process can look or write."""
        try:
            with closing(self._connect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    change(connection)
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise JournalError(f"cannot write the file of leases {self.path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        connection = schema.connect(self.path)
        # A power cut ends every holder too: nothing here has to outlive one.
        try:
            connection.execute("PRAGMA synchronous=OFF")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def __repr__(self) -> str:
        """Return who has which account."""
        holders = ", ".join(f"{one.account_id}: {one.owner}" for one in self.holders())
        return fitted(f"<Leases: {holders or 'none'}>")

    def _repr_html_(self) -> str:
        rows = [
            (one.account_id, one.owner, str(one.process), format_ns(one.taken))
            for one in self.holders()
        ]
        return grid_html(("account", "owner", "where", "since"), rows, "Leases")


class Lease:
    """The lease of one account; from `Leases.take`. Methods may be called from any thread.

    `renew` writes a file: call it off the loop, or let `keep` do it in a thread of its own, which a
    cell that computes for a minute does not hold up.

    Args:
        leases: Where it is.
        holder: As it was taken.
        times: Clocks.

    Attributes:
        lost: Why it is held no longer, None while it is.
    """

    def __init__(self, leases: Leases, holder: LeaseHolder, times: Times) -> None:
        self.lost: LeaseError | None = None
        self._leases = leases
        self._holder = holder
        self._monotonic = times.monotonic
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def account_id(self) -> AccountId:
        """Return the account it is of."""
        return self._holder.account_id

    @property
    def may_send(self) -> bool:
        """Return whether orders may leave: it was renewed in time, and is not lost. Costs no I/O.

        A lease that was not renewed in time is nobody's or another's: `renew` finds out.
        """
        holder = self._holder
        since = self._monotonic() - holder.renewed_monotonic
        return self.lost is None and since <= holder.expiry

    def renew(self) -> None:
        """Renew it.

        Raises:
            LeaseError: If it has passed on, now or earlier.
            JournalError: If the file cannot be written; it may be held still.
        """
        with self._lock:
            if self.lost is not None:
                raise LeaseError(str(self.lost))
            try:
                self._holder = self._leases.renew(self._holder)
            except LeaseError as error:
                self.lost = error
                raise

    def keep(self, on_lost: Callable[[LeaseError], None]) -> None:
        """Renew it in a thread of its own until it is given back or lost.

        Args:
            on_lost: Told, in that thread, when it is lost.
        """
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._keep,
                args=(on_lost,),
                name=f"workbench lease {self.account_id}",
                daemon=True,
            )
            self._thread.start()

    def _keep(self, on_lost: Callable[[LeaseError], None]) -> None:
        every_s = self._holder.expiry / 1e9 / _RENEWALS
        while not self._stop.wait(every_s):
            try:
                self.renew()
            except LeaseError as error:
                on_lost(error)
                return
            except JournalError:
                continue  # tried again; `may_send` ends by itself if it never works

    def give_back(self) -> None:
        """Let others have it; twice is once.

        Raises:
            JournalError: If the file cannot be written; it then expires.
        """
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._lock:
            if self.lost is None:
                self.lost = LeaseError(f"the lease of account {self.account_id} was given back")
                self._leases.give_back(self._holder)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give it back."""
        self.give_back()

    def __repr__(self) -> str:
        """Return whose it is, and whether it holds."""
        state = "held" if self.may_send else "lost" if self.lost is not None else "not renewed"
        return f"<Lease of {self.account_id} for {self._holder.owner}: {state}>"


def _holder(connection: sqlite3.Connection, account_id: str) -> LeaseHolder | None:
    row = connection.execute(f"{_SELECT} WHERE account_id = ?", (account_id,)).fetchone()
    return None if row is None else _read(row)


def _row(holder: LeaseHolder) -> tuple[Any, ...]:
    process = holder.process
    return (
        *(holder.account_id, holder.owner, process.host, process.scope, process.pid),
        *(process.started, holder.token, holder.taken, holder.renewed),
        *(holder.renewed_monotonic, holder.expiry),
    )


def _read(row: tuple[Any, ...]) -> LeaseHolder:
    account_id, owner, host, scope, pid, started, token, taken, renewed, monotonic, expiry = row
    return LeaseHolder(
        account_id=account_id,
        owner=owner,
        process=ProcessId(host=host, scope=scope, pid=pid, started=started),
        token=token,
        taken=taken,
        renewed=renewed,
        renewed_monotonic=monotonic,
        expiry=expiry,
    )

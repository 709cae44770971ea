"""The exchange's memory: one SQLite file that holds what it has acknowledged.

One transaction for each command or step of the market, committed before anything is said about it,
so a process that is killed at any point has either done it and remembers, or never did it. The
write-ahead log without an fsync at each commit is enough for that: what was committed is with the
operating system. (An order that must survive the machine's power failing is the business of the
client's journal; this is a stand-in for a venue, not one.)
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from workbench.model.errors import ConfigError
from workbench_exchange.orders import Fill, Order
from workbench_exchange.wallet import Balance

VERSION = 1
_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE accounts (
    name TEXT PRIMARY KEY, api_key TEXT NOT NULL UNIQUE, api_secret TEXT NOT NULL,
    updated_ms INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE balances (
    account TEXT NOT NULL, asset TEXT NOT NULL, free TEXT NOT NULL, locked TEXT NOT NULL,
    PRIMARY KEY (account, asset)
) WITHOUT ROWID;
CREATE TABLE orders (number INTEGER PRIMARY KEY, is_open INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE fills (
    symbol TEXT NOT NULL, number INTEGER NOT NULL, is_maker INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (symbol, number, is_maker)
) WITHOUT ROWID;
"""


class Key(NamedTuple):
    """What an account signs its requests with; its repr shows no secret."""

    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return "Key(***)"


class Changes(NamedTuple):
    """What one command changed."""

    orders: Iterable[Order] = ()
    fills: Iterable[Fill] = ()
    balances: Iterable[tuple[str, str, Balance]] = ()
    updated: Iterable[tuple[str, int]] = ()
    facts: Iterable[tuple[str, str]] = ()


class Store:
    """Reads and writes the file.

    Args:
        path: Made with mode 0600 if it is not there: it holds the keys.

    Raises:
        ConfigError: If the file is none of the exchange's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch(0o600)
        os.chmod(path, 0o600)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ConfigError(
                f"{path} cannot be used as the state of an exchange ({error}): name another file,"
                " or end the exchange that uses it"
            ) from error

    def _open(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        # One exchange a file: the lock is held until the file is closed.
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("BEGIN IMMEDIATE")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";"):
                execute(statement)
            execute(f"PRAGMA user_version = {VERSION}")
        execute("COMMIT")
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"its version is {version}, not {VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def keys(self) -> dict[str, Key]:
        """Return the keys by account."""
        rows = self._connection.execute("SELECT name, api_key, api_secret FROM accounts")
        return {name: Key(api_key, secret) for name, api_key, secret in rows}

    def add_account(self, name: str, key: Key, balances: dict[str, Balance]) -> None:
        """Write a new account."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO accounts VALUES (?, ?, ?, 0)", (name, *key))
        self._write(Changes(balances=[(name, asset, one) for asset, one in balances.items()]))
        self._connection.execute("COMMIT")

    def balances(self) -> dict[str, dict[str, Balance]]:
        """Return the balances by account and asset."""
        found: dict[str, dict[str, Balance]] = {}
        for account, asset, free, locked in self._connection.execute("SELECT * FROM balances"):
            balance = msgspec.convert({"free": free, "locked": locked}, Balance, strict=False)
            found.setdefault(account, {})[asset] = balance
        return found

    def updated_ms(self) -> dict[str, int]:
        """Return when each account's balances changed last."""
        return dict(self._connection.execute("SELECT name, updated_ms FROM accounts"))

    def orders(self) -> list[Order]:
        """Return all orders, oldest first."""
        decode = msgspec.json.Decoder(Order).decode
        rows = self._connection.execute("SELECT body FROM orders ORDER BY number")
        return [decode(body) for (body,) in rows]

    def fills(self) -> list[Fill]:
        """Return all fills, oldest first within a symbol."""
        decode = msgspec.json.Decoder(Fill).decode
        rows = self._connection.execute("SELECT body FROM fills ORDER BY symbol, number")
        return [decode(body) for (body,) in rows]

    def facts(self) -> dict[str, str]:
        """Return what else is remembered."""
        return dict(self._connection.execute("SELECT name, value FROM facts"))

    def commit(self, changes: Changes) -> None:
        """Write what one command changed, whole or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._write(changes)
        self._connection.execute("COMMIT")

    def _write(self, changes: Changes) -> None:
        def many(statement: str, rows: list[Any]) -> None:
            if rows:
                self._connection.executemany(statement, rows)

        encode = msgspec.json.encode
        many(
            "INSERT OR REPLACE INTO orders VALUES (?, ?, ?)",
            [(order.number, order.is_open, encode(order)) for order in changes.orders],
        )
        many(
            "INSERT INTO fills VALUES (?, ?, ?, ?)",
            [(one.symbol, one.number, one.is_maker, encode(one)) for one in changes.fills],
        )
        many(
            "INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?)",
            [(name, asset, str(b.free), str(b.locked)) for name, asset, b in changes.balances],
        )
        many(
            "UPDATE accounts SET updated_ms = ? WHERE name = ?",
            [(at, name) for name, at in changes.updated],
        )
        many("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(changes.facts))


class Counter:
    """Ids that never repeat, across restarts too: blocks of them are set aside in the store.

    Args:
        reserved: The first id that no earlier run can have given.
        block: How many are set aside at a time.

    Attributes:
        reserved: All ids below are set aside.
        is_due: Whether more were set aside and the store must be told before one is shown.
    """

    def __init__(self, reserved: int, block: int = 1000) -> None:
        self.reserved = reserved
        self.is_due = False
        self._next = reserved
        self._block = block

    def next(self) -> int:
        """Return an id."""
        number = self._next
        self._next += 1
        if number >= self.reserved:
            self.reserved = number + self._block
            self.is_due = True
        return number

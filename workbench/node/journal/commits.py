"""How appended records become durable: a thread that commits in groups, or in line for tests.

`append` never waits for the disk. What is waited for is committed at once, with all that was
appended until then. The rest waits a moment for company, market data and time events a longer one:
an order's own records, which come one after another, are one commit and not two. Order is kept:
when a record is durable, all before it are.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from workbench.node.journal.chunks import Entry
from workbench.node.journal.errors import JournalError
from workbench.node.journal.store import Store

_log = logging.getLogger(__name__)

WhenDurable = Callable[[JournalError | None], None]
"""Called once: with None when a record is durable, with the error when it will not be."""

LINGER_S = 0.1
"""How long unhurried records wait for company."""

SOON_S = 0.001
"""How long the others do, unless somebody waits for them."""

_GROUP = 10_000
"""How many records one commit takes at most, so that the first ones do not wait for all."""


class Commits(ABC):
    """Takes records in order and makes them durable.

    Args:
        store: Where they go.

    Attributes:
        fault: Why nothing can be written any more, None while all is well.
        on_fault: Told of it, from whichever thread finds out.
    """

    def __init__(self, store: Store) -> None:
        self.fault: JournalError | None = None
        self.on_fault: list[Callable[[JournalError], None]] = []
        self._store = store
        self._path = store.path
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._last = self._committed = store.last_sequence
        self._waiters: list[tuple[int, int, WhenDurable]] = []
        self._waiter_count = 0
        self._is_closed = False

    @property
    def last(self) -> int:
        """Return the sequence of the record appended last."""
        return self._last

    @property
    def committed(self) -> int:
        """Return the sequence up to which all records are durable."""
        return self._committed

    @abstractmethod
    def append(
        self, run: int, number: int, kind: str, ts: int, name: str, payload: bytes, is_hurried: bool
    ) -> int:
        """Take a record and return its sequence.

        Raises:
            JournalError: If the journal was closed.
        """

    def _put(self, run: int, number: int, kind: str, ts: int, name: str, payload: bytes) -> int:
        """Take a record; called with the lock held."""
        if self._is_closed:
            raise JournalError(f"the journal {self._path} was closed")
        self._last += 1
        # After a fault the node goes on without it (cancels still leave): only counted.
        if self.fault is None:
            self._waiting.append((self._last, run, number, kind, ts, name, payload))
        return self._last

    def when_durable(self, sequence: int, callback: WhenDurable) -> None:
        """Call back when a record is durable, or will never be; from any thread.

        The callback runs in the committing thread, or at once in this one; it must not wait.

        Raises:
            JournalError: If there is no such record.
        """
        with self._lock:
            if sequence > self._last:
                raise JournalError(f"no record {sequence} was appended; the last is {self._last}")
            error = None if sequence <= self._committed else self._hopeless()
            is_settled = sequence <= self._committed or error is not None
            if not is_settled:
                self._waiter_count += 1
                heapq.heappush(self._waiters, (sequence, self._waiter_count, callback))
                self._hurry()
        if is_settled:
            callback(error)

    def _hopeless(self) -> JournalError | None:
        """Return why what is not durable by now never will be."""
        if self.fault is None and self._is_closed:
            return JournalError(f"the journal {self._path} was closed before this was written")
        return self.fault

    @abstractmethod
    def _hurry(self) -> None:
        """Have what waits committed now; called with the lock held."""

    async def durable(self, sequence: int | None = None) -> None:
        """Return when a record, by default all that was appended so far, is durable.

        Raises:
            JournalError: If it cannot be written.
        """
        wanted = self._last if sequence is None else sequence
        if wanted <= self._committed:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def settle(error: JournalError | None) -> None:
            if future.done():
                return  # nobody waits any more
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(_again(error))

        def tell(error: JournalError | None) -> None:
            with suppress(RuntimeError):  # that loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, error)

        self.when_durable(wanted, tell)
        await future

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until all that was appended so far is durable.

        Raises:
            JournalError: If it cannot be written, or takes longer.
        """
        done = threading.Event()
        outcome: list[JournalError | None] = []

        def tell(error: JournalError | None) -> None:
            outcome.append(error)
            done.set()

        last = self._last
        self.when_durable(last, tell)
        if not done.wait(timeout_s):
            raise JournalError(
                f"{last - self._committed:,} records of {self._path} were not durable within"
                f" {timeout_s:g} s"
            )
        if outcome[0] is not None:
            raise _again(outcome[0])

    def _commit(self, group: list[Entry]) -> None:
        """Write a group and tell who waits for it; on a failure tell everybody."""
        try:
            self._store.write(group)
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._fail(error)
            return
        ready: list[WhenDurable] = []
        with self._lock:
            self._committed = group[-1][0]
            while self._waiters and self._waiters[0][0] <= self._committed:
                ready.append(heapq.heappop(self._waiters)[2])
        for callback in ready:
            self._tell(callback, None)

    def _fail(self, error: Exception) -> None:
        hint = "" if isinstance(error, sqlite3.Error) else f"{type(error).__name__}: "
        fault = JournalError(
            f"the journal {self._path} cannot be written ({hint}{error}): no order leaves any"
            " more. Mend that (free space, permissions), then start again: what the venue did"
            " meanwhile is asked for"
        )
        fault.__cause__ = error
        with self._lock:
            self.fault = fault
            self._waiting.clear()
            waiters, self._waiters = self._waiters, []
        for _, _, callback in waiters:
            self._tell(callback, fault)
        for listener in self.on_fault:
            self._tell(listener, fault)

    def _tell(self, callback: Callable[[Any], None], error: JournalError | None) -> None:
        """Call back; what it raises is its own and must not end what commits for all."""
        try:
            callback(error)
        except Exception:
            _log.exception("%s: %r, called as records became durable, raised", self._path, callback)

    def close(self, timeout_s: float | None = None) -> None:
        """Make what waits durable, then close the file.

        Raises:
            JournalError: If something could not be written; the file is closed all the same.
        """
        if self._is_closed:
            return
        try:
            if self.fault is None:
                self.flush(timeout_s)
        finally:
            self.abandon()
        if self.fault is not None:
            raise JournalError(
                f"{self._last - self._committed:,} records of {self._path} could not be"
                f" written: {self.fault.__cause__}"
            )

    def abandon(self) -> None:
        """Close the file without what still waits, as the end of the process would."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._waiting.clear()
            waiters, self._waiters = self._waiters, []
            self._hurry()
        self._end()
        error = self._hopeless()
        for sequence, _, callback in waiters:
            # The commit that was under way has been finished.
            self._tell(callback, None if sequence <= self._committed else error)
        self._store.close()

    def _end(self) -> None:  # noqa: B027  # in line there is nothing to end
        """End what commits."""


class ThreadCommits(Commits):
    """Commits in a thread of its own; the loop never waits for the disk.

    Args:
        store: Where records go; from now on used by that thread.
        linger_s: How long unhurried records wait for company.
    """

    def __init__(self, store: Store, linger_s: float = LINGER_S) -> None:
        super().__init__(store)
        self._linger_s = linger_s
        self._is_hurried = self._is_soon = False
        self._awake = threading.Condition(self._lock)
        self._thread = threading.Thread(
            target=self._run, name=f"workbench journal {store.path.stem}", daemon=True
        )
        self._thread.start()

    def append(
        self, run: int, number: int, kind: str, ts: int, name: str, payload: bytes, is_hurried: bool
    ) -> int:
        """Take a record and return its sequence; from any thread, without waiting."""
        with self._lock:
            is_first = not self._waiting
            sequence = self._put(run, number, kind, ts, name, payload)
            if is_first or (is_hurried and not self._is_soon):
                self._awake.notify()
            self._is_soon = self._is_soon or is_hurried
            return sequence

    def _hurry(self) -> None:
        # One call a group: the thread clears it when it takes one.
        if not self._is_hurried:
            self._is_hurried = True
            self._awake.notify()

    def _run(self) -> None:
        while True:
            group = self._next()
            if group is None:
                return
            if group:
                self._commit(group)

    def _next(self) -> list[Entry] | None:
        """Wait for the next group; None when it is closed."""
        waiting = self._waiting
        with self._lock:
            while not self._is_hurried:
                if not waiting:
                    self._awake.wait()
                elif self._is_soon:
                    self._awake.wait(SOON_S)
                    break
                elif not self._awake.wait(self._linger_s):
                    break
            if self._is_closed:
                return None
            group = [waiting.popleft() for _ in range(min(len(waiting), _GROUP))]
            self._is_hurried, self._is_soon = bool(waiting), False
            return group

    def _end(self) -> None:
        if threading.current_thread() is not self._thread:
            self._thread.join()


class InlineCommits(Commits):
    """Commits in the calling thread, when somebody waits: for tests under virtual time.

    Args:
        store: Where records go.
        latency_s: How long `durable` takes on its loop's clock.
    """

    def __init__(self, store: Store, latency_s: float = 0.0) -> None:
        super().__init__(store)
        self._latency_s = latency_s

    def append(
        self, run: int, number: int, kind: str, ts: int, name: str, payload: bytes, is_hurried: bool
    ) -> int:
        """Take a record and return its sequence; it is written when somebody waits for it."""
        del is_hurried
        with self._lock:
            return self._put(run, number, kind, ts, name, payload)

    async def durable(self, sequence: int | None = None) -> None:
        """Write all that waits after the latency, in this thread.

        Raises:
            JournalError: If it cannot be written.
        """
        wanted = self._last if sequence is None else sequence
        if wanted > self._committed and self._latency_s:
            await asyncio.sleep(self._latency_s)
        self._write_all()
        await super().durable(wanted)

    def flush(self, timeout_s: float | None = None) -> None:
        """Write all that waits, in this thread.

        Raises:
            JournalError: If it cannot be written.
        """
        self._write_all()
        super().flush(timeout_s)

    def when_durable(self, sequence: int, callback: WhenDurable) -> None:
        """Write all that waits, then call back.

        Raises:
            JournalError: If there is no such record.
        """
        self._write_all()
        super().when_durable(sequence, callback)

    def _hurry(self) -> None:
        pass  # everything was written before somebody could wait

    def _write_all(self) -> None:
        if self._waiting and not self._is_closed:
            group = list(self._waiting)
            self._waiting.clear()
            self._commit(group)


def _again(error: JournalError) -> JournalError:
    """Return an error of one's own: raising one in two places would mix up its tracebacks."""
    own = JournalError(str(error))
    own.__cause__ = error.__cause__
    return own

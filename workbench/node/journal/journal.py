"""The journal of a trader: what was asked for and what happened, durable before it has effect."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from workbench.model.enums import parse_enum
from workbench.model.errors import CodecError, ConfigError
from workbench.model.identifiers import InstrumentId, StrategyId, TraderId, parse_name, run_tag
from workbench.node.journal.commits import (
    LINGER_S,
    Commits,
    InlineCommits,
    ThreadCommits,
    WhenDurable,
)
from workbench.node.journal.errors import JournalError
from workbench.node.journal.payloads import Redact, encode, redacted, type_name
from workbench.node.journal.records import (
    UNHURRIED,
    JournalKind,
    RunStarted,
    RunStopped,
    TradedAccount,
)
from workbench.node.journal.store import Store
from workbench.node.journal.view import JournalView
from workbench.runtime.clock import Clock, LiveClock

CONGESTED_AT = 20_000
"""From how many records that are not durable yet a journal is congested."""

_NAMES: dict[str, str] = {kind: kind.value for kind in JournalKind}
_UNHURRIED = frozenset(kind.value for kind in UNHURRIED)
_MILLISECOND_NS = 1_000_000


class Journal(JournalView):
    """A journal that is written; make one with `Journal.open`.

    `append` takes a record and returns its sequence at once; `await durable(sequence)` returns when
    it, and all before it, are on the disk. What is open when a process dies is what the records
    say: `state()`.

    Above `congested_at` waiting records the journal is congested. `append` takes records all the
    same, since none may be lost; who feeds the node waits for `room()` before it takes more, and a
    `Recorder` leaves out market data meanwhile and says how much.

    If the disk fails the journal has a `fault`: `durable` raises it for everybody, whoever is in
    `on_fault` hears it, and no new order may leave. What is appended then is counted, not kept, so
    that the node can still cancel.

    >>> import tempfile
    >>> from workbench.model.events import TimeEvent
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Journal.open(Path(folder.name, "t.sqlite"), "TRADER-001") as journal:
    ...     sequence = journal.append("time", TimeEvent("bell", 1, 2), number=7)
    ...     journal.flush()
    ...     print(sequence, journal.records("time").number.tolist())
    1 [7]
    >>> folder.cleanup()
    """

    def __init__(
        self,
        commits: Commits,
        path: Path,
        clock: Clock,
        *,
        last_run: int,
        redact: Redact | None,
        congested_at: int,
    ) -> None:
        super().__init__(path, is_checked=False)
        self._commits = commits
        self._clock = clock
        self._redact = redact
        self._congested_at = congested_at
        self._run = self._last_run = last_run
        self._append = commits.append
        self._closing = threading.Lock()

    @staticmethod
    def open(
        path: str | Path,
        trader_id: str,
        clock: Clock | None = None,
        *,
        is_inline: bool = False,
        latency_s: float = 0.0,
        linger_s: float = LINGER_S,
        congested_at: int = CONGESTED_AT,
        redact: Redact | None = None,
        is_checked: bool = True,
    ) -> Journal:
        """Open a trader's journal for writing; make it where there is none.

        Args:
            path: Its file; a new folder is made for its owner alone, as is the file.
            trader_id: Whose it is.
            clock: Says when records are appended; by default the wall clock.
            is_inline: Whether commits are made by whoever waits, without a thread, and outlive the
                process but not a power cut: for tests under virtual time.
            latency_s: How long `durable` takes then, on the loop's clock.
            linger_s: How long market data and time events wait to be committed together.
            congested_at: From how many waiting records on it is congested.
            redact: Takes secrets out of every text that is written: `hide([...])`, or
                `workbench.venues.secrets.redact`.
            is_checked: Whether every page of an old file is looked at first.

        Raises:
            JournalError: If the file is damaged, of a newer version, another trader's, written by
                another process, or cannot be made. It is left as it is.
            ConfigError: If an argument does not fit.
        """
        parse_name(trader_id, "trader_id")
        if type(congested_at) is not int or congested_at < 1:
            raise ConfigError(f"congested_at is a whole number, 1 or more; got {congested_at!r}")
        if latency_s and not is_inline:
            raise ConfigError("latency_s is for a journal with is_inline=True: a disk has its own")
        file = Path(path)
        store = Store(file, trader_id, outlives_power_cut=not is_inline, is_checked=is_checked)
        commits = InlineCommits(store, latency_s) if is_inline else ThreadCommits(store, linger_s)
        return Journal(
            commits,
            file,
            LiveClock(_no_timers) if clock is None else clock,
            last_run=store.last_run,
            redact=redact,
            congested_at=congested_at,
        )

    @staticmethod
    def read_only(path: str | Path, *, is_checked: bool = True) -> JournalView:
        """Return a journal to read, which another process may write meanwhile.

        Raises:
            JournalError: If there is none, it is damaged, or of another version.
        """
        return JournalView(Path(path), is_checked=is_checked)

    # Writing

    def append(
        self, kind: JournalKind | str, payload: Any, *, number: int = 0, ts: int | None = None
    ) -> int:
        """Take a record and return its sequence, without waiting; from any thread.

        Args:
            kind: What kind of record.
            payload: A message of the model or a payload of the journal; encoded before this
                returns, so that it may change afterwards.
            number: The number of the handled message it belongs to.
            ts: When, nanoseconds; by default now.

        Raises:
            CodecError: If it cannot be encoded; nothing was appended.
            ConfigError: If there is no such kind.
            JournalError: If the journal was closed.
        """
        data = encode(payload)
        if self._redact is not None:
            data = redacted(data, self._redact)
        name = _NAMES.get(kind)  # a member equals its text
        if name is None:
            name = parse_enum(JournalKind, kind, "kind").value
        when = self._clock.timestamp_ns() if ts is None else ts
        is_hurried = name not in _UNHURRIED
        return self._append(self._run, number, name, when, type_name(payload), data, is_hurried)

    async def durable(self, sequence: int | None = None) -> None:
        """Return when a record, by default all that was appended so far, is durable; on any loop.

        Raises:
            JournalError: If it cannot be written: what depends on it must not be done.
        """
        await self._commits.durable(sequence)

    def when_durable(self, sequence: int, callback: WhenDurable) -> None:
        """Call back with None when a record is durable, with the error if it never will be.

        The callback runs in the committing thread, or at once; it must not wait.

        Raises:
            JournalError: If there is no such record.
        """
        self._commits.when_durable(sequence, callback)

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait, blocking this thread, until all that was appended so far is durable.

        Raises:
            JournalError: If it cannot be written, or takes longer.
        """
        self._commits.flush(timeout_s)

    async def room(self) -> None:
        """Return when the journal is not congested; from half of what makes it so.

        Raises:
            JournalError: If it cannot be written.
        """
        if self.is_congested:
            await self._commits.durable(self._commits.last - self._congested_at // 2)

    @property
    def is_inline(self) -> bool:
        """Return whether commits are made by whoever waits, without a thread."""
        return isinstance(self._commits, InlineCommits)

    @property
    def is_congested(self) -> bool:
        """Return whether more waits for the disk than is good."""
        return self._commits.last - self._commits.committed > self._congested_at

    @property
    def waiting(self) -> int:
        """Return how many records are not durable yet."""
        return self._commits.last - self._commits.committed

    @property
    def sequence(self) -> int:
        """Return the sequence of the record appended last."""
        return self._commits.last

    @property
    def fault(self) -> JournalError | None:
        """Return why nothing can be written any more, None while all is well."""
        return self._commits.fault

    @property
    def on_fault(self) -> list[Callable[[JournalError], None]]:
        """Return who is told of a fault, in whichever thread finds out; add to it."""
        return self._commits.on_fault

    # Runs

    def unused_run_tag(self, start_ns: int) -> str:
        """Return a tag for the client order ids of a run that no run here has had.

        Args:
            start_ns: When the run starts; later by milliseconds where that tag was used, by a clock
                that was set back for example.
        """
        used = {entry.began.run_tag for entry in self.run_entries()}
        while (tag := run_tag(start_ns, self.trader_id)) in used:
            start_ns += _MILLISECOND_NS
        return tag

    def begin_run(
        self,
        tag: str,
        *,
        version: str = "",
        config: object = None,
        environment: Mapping[str, str] | None = None,
        accounts: Sequence[TradedAccount] = (),
        allow_overfills: bool = False,
        align_positions: bool = False,
        claims: Mapping[InstrumentId, StrategyId] | None = None,
    ) -> int:
        """Begin a run and return its number; what is appended from now on belongs to it.

        Args:
            tag: Part of its client order ids, from `unused_run_tag`.
            version: Of workbench.
            config: The node's settings, a struct or mapping.
            environment: What it runs in.
            accounts: What it trades.
            allow_overfills: As its execution engine was told.
            align_positions: Likewise.
            claims: Whose external orders of an instrument are.

        Raises:
            JournalError: If a run here had that tag: client order ids would repeat.
            CodecError: If a setting cannot be written, such as a wrapped secret.
        """
        if any(entry.began.run_tag == tag for entry in self.run_entries()):
            raise JournalError(
                f"a run with the tag {tag} is in {self.path}: its client order ids would come up"
                " again; take the tag from unused_run_tag(start_ns)"
            )
        started = RunStarted(
            trader_id=TraderId(self.trader_id),
            run_tag=tag,
            version=version,
            config=_config_text(config),
            environment=dict(environment or {}),
            accounts=tuple(accounts),
            allow_overfills=allow_overfills,
            align_positions=align_positions,
            claims=dict(claims or {}),
        )
        encode(started)  # before the run is another
        self._last_run += 1
        self._run = self._last_run
        self.append(JournalKind.RUN, started)
        return self._run

    def end_run(self, reason: str = "", faults: Sequence[BaseException] = ()) -> int:
        """Note that the run ended in order; return the record's sequence."""
        told = tuple(f"{type(fault).__name__}: {fault}" for fault in faults)
        return self.append(JournalKind.RUN, RunStopped(reason=reason, faults=told))

    @property
    def run(self) -> int:
        """Return the number of the present run."""
        return self._run

    # The end

    def close(self, timeout_s: float | None = None) -> None:
        """Make what waits durable, then close the file; twice is once.

        Raises:
            JournalError: If something could not be written; the file is closed all the same.
        """
        self._commits.close(timeout_s)

    def abandon(self) -> None:
        """Close the file without what still waits, as the death of the process would."""
        self._commits.abandon()

    def _settle(self) -> None:
        if self.fault is None and self.waiting:
            self.flush()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it; an error on the way out does not hide the one that led here."""
        try:
            self.close()
        except JournalError:
            if error is None:
                raise


def _no_timers(_: object) -> None:
    """Nothing is ever set on the clock that only says when."""


def _config_text(config: object) -> str:
    """Return settings as JSON; a value JSON has no word for, such as a secret, is refused."""
    try:
        plain = msgspec.to_builtins({} if config is None else config, str_keys=True)
        return json.dumps(plain, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise CodecError(
            f"the settings cannot be journaled: {error}. A secret is left out of them"
        ) from error

"""A run as its journal has it: how it was set up, and its messages in the order handled."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.identifiers import ComponentId
from workbench.node.config import ClockKind, TradingNodeConfig
from workbench.node.journal import (
    DataNotRecorded,
    Journal,
    JournalKind,
    JournalRecord,
    JournalView,
)
from workbench.node.journal.circumstances import StrategyStarted
from workbench.node.journal.records import CHANNELS
from workbench.node.journal.tables import RunEntry

_FOLLOWED = (
    *(JournalKind.RUN, JournalKind.TIME, JournalKind.DATA_COMMAND, JournalKind.COMMAND),
    *(JournalKind.EVENT, JournalKind.DERIVED, JournalKind.STALL, JournalKind.SWAP),
    *(JournalKind.DATA, JournalKind.INSTRUMENT, JournalKind.PURGE, JournalKind.EXCEPTION),
    JournalKind.CIRCUMSTANCE,
)
_HOW = (
    "record market data: TradingNodeConfig(journal='default', journal_data=True), and run the node"
    " with it"
)


class Step(NamedTuple):
    """A handled message, None before the first one, and the records that follow it."""

    record: JournalRecord | None
    after: list[JournalRecord]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is followed.

    Attributes:
        view: The journal.
        entry: The run.
        config: The node's settings.
        started: The strategies that were started, in the order they were.
    """

    view: JournalView
    entry: RunEntry
    config: TradingNodeConfig
    started: tuple[StrategyStarted, ...]

    @property
    def is_over(self) -> bool:
        """Return whether the run says that it has ended."""
        return self.entry.ended is not None

    @property
    def is_live(self) -> bool:
        """Return whether its clock was the live one."""
        return self.config.clock is ClockKind.LIVE

    def names(self) -> list[ComponentId]:
        """Return the names of its strategies."""
        return [one.strategy_id for one in self.started]

    def steps(self) -> Generator[Step]:
        """Yield its messages, each with what was recorded until the next one."""
        record: JournalRecord | None = None
        after: list[JournalRecord] = []
        records: Any = self.view.messages(_FOLLOWED, run=self.entry.run)
        with closing(records):
            for found in records:
                if is_message(found):
                    yield Step(record, after)
                    record, after = found, []
                else:
                    after.append(found)
        yield Step(record, after)


def is_message(record: JournalRecord) -> bool:
    """Return whether a record is of a message that was handled."""
    is_handled = record.kind in CHANNELS and record.number > 0
    return is_handled and not isinstance(record.message, DataNotRecorded)


def plan(journal: str | Path | JournalView, run: int) -> Plan:
    """Return what is followed of a run.

    Raises:
        ConfigError: If there is no such run, or it was not recorded as this needs.
        JournalError: If the journal cannot be read.
    """
    view = journal
    if not isinstance(view, JournalView):
        view = Journal.read_only(Path(view), is_checked=False)
    entries = view.run_entries()
    if not entries:
        raise ConfigError(f"{view.path} holds no run yet; {_HOW}")
    runs = [entry.run for entry in entries]
    chosen = runs[run] if -len(runs) <= run < 0 else run
    entry = next((one for one in entries if one.run == chosen), None)
    if entry is None:
        raise ConfigError(f"no run {run} is in {view.path}; there are: {_told(runs)}")
    config = TradingNodeConfig.from_dict(json.loads(entry.began.config))
    if not config.journal_data:
        raise ConfigError(f"run {chosen} of {view.path} holds no market data; {_HOW}")
    records = view.messages(JournalKind.CIRCUMSTANCE, run=chosen, types="StrategyStarted")
    started = tuple(r.message for r in records if isinstance(r.message, StrategyStarted))
    if not started and any(True for _ in view.messages(JournalKind.COMMAND, run=chosen)):
        raise ConfigError(
            f"run {chosen} of {view.path} was recorded by an older workbench, which did not write"
            " down how strategies started; runs from now on can be verified"
        )
    return Plan(view=view, entry=entry, config=config, started=started)


def _told(runs: list[int]) -> str:
    return str(runs[0]) if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"


class Steps:
    """Steps, of which the next ones can be looked at.

    Args:
        steps: The steps.
    """

    def __init__(self, steps: Iterator[Step]) -> None:
        self._steps = steps
        self._seen: deque[Step] = deque()

    def peek(self, index: int = 0) -> Step | None:
        """Return one of the next steps, which stays; None behind the last one."""
        while len(self._seen) <= index:
            step = next(self._steps, None)
            if step is None:
                return None
            self._seen.append(step)
        return self._seen[index]

    def next(self) -> Step | None:
        """Return the next step, None behind the last one."""
        if self._seen:
            return self._seen.popleft()
        return next(self._steps, None)

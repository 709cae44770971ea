"""Records and runs as DataFrames."""

# pandas' stubs leave parts of these calls unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.model.display import told
from workbench.node.journal.payloads import type_name
from workbench.node.journal.records import JournalRecord, RunStarted, RunStopped

if TYPE_CHECKING:
    import pandas as pd

RECORD_COLUMNS = (
    *("sequence", "run", "number", "kind", "channel", "type", "time", "told", "message"),
)
RUN_COLUMNS = (
    *("run", "began", "ended", "records", "run_tag", "version", "accounts", "reason", "faults"),
)


class RunEntry(msgspec.Struct, frozen=True):
    """A run: how it began, how it ended (None: it was killed, or goes on), how much it recorded."""

    run: int
    started: JournalRecord
    stopped: JournalRecord | None
    records: int

    @property
    def began(self) -> RunStarted:
        """Return what it was."""
        return self.started.message

    @property
    def ended(self) -> RunStopped | None:
        """Return how it ended, None where nothing says so."""
        return None if self.stopped is None else self.stopped.message


def records_frame(records: Iterable[JournalRecord]) -> pd.DataFrame:
    """Return records, one a row."""
    rows: list[tuple[Any, ...]] = [
        (
            *(r.sequence, r.run, r.number, r.kind.value),
            *(None if r.channel is None else r.channel.value, type_name(r.message), r.ts),
            *(told(r.message), r.message),
        )
        for r in records
    ]
    return _frame(rows, RECORD_COLUMNS, whole=("sequence", "run", "number"), times=("time",))


def runs_frame(runs: Iterable[RunEntry]) -> pd.DataFrame:
    """Return runs, one a row."""
    rows: list[tuple[Any, ...]] = []
    for entry in runs:
        began, ended = entry.began, entry.ended
        accounts = ", ".join(str(account.account_id) for account in began.accounts)
        rows.append(
            (
                *(entry.run, entry.started.ts),
                *(None if entry.stopped is None else entry.stopped.ts, entry.records),
                *(began.run_tag, began.version, accounts),
                *(None if ended is None else ended.reason,),
                *(None if ended is None else "; ".join(ended.faults),),
            )
        )
    return _frame(rows, RUN_COLUMNS, whole=("run", "records"), times=("began", "ended"))


def _frame(
    rows: list[tuple[Any, ...]],
    columns: tuple[str, ...],
    *,
    whole: tuple[str, ...],
    times: tuple[str, ...],
) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    for name in whole:
        frame[name] = frame[name].astype("int64")
    for name in times:
        values = pd.Series(frame[name], dtype="Int64")
        frame[name] = pd.to_datetime(values, unit="ns", utc=True)
    return frame

"""The journal: every order, report and event of a trader on disk, and who may trade an account.

How to build on this:

- The composition root opens one `Journal` for a trader (`Journal.open(path, trader_id, clock)`),
  takes a `Lease` for every account that is no simulation, and begins a run
  (`journal.begin_run(journal.unused_run_tag(start_ns), accounts=..., config=...)`); that tag goes
  into `TradingCore(run_tag=...)`. Instruments that are known before any message are appended by
  hand (kind `instrument`).
- A `Recorder` is a dispatcher's tap, and takes what `EventLog.add` takes. A message is recorded
  before it is handled, so that whatever it causes has a later sequence.
- A client that sends to a venue waits (`await journal.durable()`: all that was appended so far, so
  the command and everything that led to it) before the first byte leaves, and checks
  `lease.may_send`. A cancel may leave without waiting where `journal.fault` is set.
- A `Journal` is the `Durable` that an execution client of `workbench.venues` writes to.
- A client that receives appends what came, as it came (`RawReport`), before it makes events of it.
- The pump waits for `journal.room()` where `journal.is_congested`. `journal.on_fault` and
  `lease.keep(on_lost)` call from another thread: post to the loop.
- A new session asks `journal.state()`: what is open, what is unknown and must be queried by its
  client order id, positions, accounts, fills. `of_accounts` gives the records that
  `engines.rebuilding.rebuild` needs to bring the session's own core there: before its actors are
  added, and before it is recorded. Then the venue is asked for what it says.
- What a core forgets (`TradingCore.purge`) is told with `Recorder.purged` first.

Files are their owner's alone; secrets are refused (a wrapped one cannot be encoded) or hidden
(`redact=hide([...])`).
"""

from workbench.node.journal.errors import JournalError, LeaseError
from workbench.node.journal.folding import AccountBook, JournalState, fold, of_accounts
from workbench.node.journal.journal import Journal
from workbench.node.journal.lease import Lease, LeaseHolder, Leases
from workbench.node.journal.payloads import hide
from workbench.node.journal.recorder import Recorder
from workbench.node.journal.records import (
    DataNotRecorded,
    ExceptionRaised,
    HistoryPurged,
    JournalKind,
    JournalRecord,
    Promotion,
    RawReport,
    RunStarted,
    RunStopped,
    TradedAccount,
)
from workbench.node.journal.view import JournalView

__all__ = [
    "AccountBook",
    "DataNotRecorded",
    "ExceptionRaised",
    "HistoryPurged",
    "Journal",
    "JournalError",
    "JournalKind",
    "JournalRecord",
    "JournalState",
    "JournalView",
    "Lease",
    "LeaseError",
    "LeaseHolder",
    "Leases",
    "Promotion",
    "RawReport",
    "Recorder",
    "RunStarted",
    "RunStopped",
    "TradedAccount",
    "fold",
    "hide",
    "of_accounts",
]

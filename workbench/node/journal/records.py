"""What a journal holds: the kinds of records, and those payloads that are no messages of the core.

A record is an envelope (sequence, run, number of the handled message, kind, time) around a payload:
a message of the model, or one of the structs below.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from workbench.model.display import fitted, told
from workbench.model.enums import OrderManagement
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    InstrumentId,
    StrategyId,
    TraderId,
    Venue,
)
from workbench.node.journal.circumstances import CIRCUMSTANCES
from workbench.runtime.channels import ChannelName


class JournalKind(StrEnum):
    """The kinds of record; those of the event log in memory have the same names.

    `command` is what was handled, `request` what a client is about to send for it; `raw` is what a
    venue sent, `report` what a client read in it, `event` what was handled; `circumstance` is what
    else a run's course depends on.
    """

    RUN = "run"
    TIME = "time"
    DATA_COMMAND = "data_command"
    COMMAND = "command"
    EVENT = "event"
    DERIVED = "derived"
    STALL = "stall"
    SWAP = "swap"
    REQUEST = "request"
    REPORT = "report"
    RAW = "raw"
    DATA = "data"
    INSTRUMENT = "instrument"
    PURGE = "purge"
    PROMOTION = "promotion"
    EXCEPTION = "exception"
    CIRCUMSTANCE = "circumstance"


UNHURRIED = frozenset(
    {JournalKind.TIME, JournalKind.DATA_COMMAND, JournalKind.DATA, JournalKind.CIRCUMSTANCE}
)
"""Kinds that wait a moment for others before they are committed; nothing is paid with them."""

CHANNELS: dict[JournalKind, ChannelName] = {
    JournalKind.TIME: ChannelName.TIME_EVENTS,
    JournalKind.EVENT: ChannelName.EXECUTION_EVENTS,
    JournalKind.COMMAND: ChannelName.TRADING_COMMANDS,
    JournalKind.DATA_COMMAND: ChannelName.DATA_COMMANDS,
    JournalKind.INSTRUMENT: ChannelName.DATA_EVENTS,
    JournalKind.DATA: ChannelName.DATA_EVENTS,
}
"""The channel a record's message was taken from, for the kinds that were."""


class TradedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that a run trades, and the client it does so by.

    `is_continued` is False where the run begins it anew, as a simulated exchange does that took
    over nothing: what was before is not part of its state then.
    """

    client_id: ClientId
    venue: Venue
    account_id: AccountId
    order_management: OrderManagement = OrderManagement.NETTING
    is_simulated: bool = False
    is_continued: bool = True


class RunStarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A run began.

    Attributes:
        trader_id: Whose.
        run_tag: Part of every client order id of the run.
        version: Of workbench.
        config: The node's settings as JSON; a setting that is a secret cannot be in it.
        environment: Python, platform, versions, host.
        accounts: What is traded, in the order the clients were registered.
        allow_overfills: As the execution engine was told.
        align_positions: Likewise.
        claims: Whose external orders of an instrument are.
    """

    trader_id: TraderId
    run_tag: str
    version: str = ""
    config: str = "{}"
    environment: dict[str, str] = {}
    accounts: tuple[TradedAccount, ...] = ()
    allow_overfills: bool = False
    align_positions: bool = False
    claims: dict[InstrumentId, StrategyId] = {}


class RunStopped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A run ended in order; one that was killed has no such record."""

    reason: str = ""
    faults: tuple[str, ...] = ()


class RawReport(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a venue sent, as it came; `source` says by which way (`user stream`, `GET order`)."""

    client_id: ClientId
    source: str
    data: bytes
    account_id: AccountId | None = None


class HistoryPurged(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What was closed before a time was forgotten; `keep` as given to `TradingCore.purge`."""

    closed_before_ns: int
    keep: tuple[ClientOrderId, ...] = ()


class DataNotRecorded(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """So many market data events were handled and not recorded, as too much waited for the disk."""

    count: int
    first_number: int
    last_number: int


class Promotion(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A strategy's orders go elsewhere now, or that was refused.

    `action` is `promoted`, `demoted` or `refused`; `certificate` holds what JSON can hold.
    """

    action: str
    strategy_id: str
    account_id: AccountId
    fingerprint: str = ""
    certificate: dict[str, Any] = {}


class ExceptionRaised(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something raised: where, its type's name, its text, its traceback."""

    where: str
    type_name: str
    text: str
    traceback: str = ""


class JournalRecord(msgspec.Struct, frozen=True):
    """One entry of a journal.

    Attributes:
        sequence: Its place in the journal; grows by one.
        run: The run it belongs to, 1 for the first; 0 before any.
        number: The number of the handled message it belongs to, 0 for none.
        kind: What kind of record.
        ts: When it was appended, nanoseconds, on the node's clock.
        message: The payload.
    """

    sequence: int
    run: int
    number: int
    kind: JournalKind
    ts: int
    message: Any

    @property
    def channel(self) -> ChannelName | None:
        """Return the channel its message was taken from, None where it was not."""
        return CHANNELS.get(self.kind)

    def __repr__(self) -> str:
        """Return its sequence, kind, and what happened."""
        return fitted(f"<{self.sequence} {self.kind.value}: {told(self.message)}>")


PAYLOADS: tuple[type[msgspec.Struct], ...] = (
    RunStarted,
    RunStopped,
    RawReport,
    HistoryPurged,
    DataNotRecorded,
    Promotion,
    ExceptionRaised,
    *CIRCUMSTANCES,
)
"""The payloads that are no messages of the core."""

"""What a node's dispatcher and log tell a journal."""

from __future__ import annotations

from typing import Any

from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Future
from workbench.node.journal.journal import Journal
from workbench.node.journal.records import DataNotRecorded, HistoryPurged, JournalKind
from workbench.runtime.channels import ChannelName
from workbench.runtime.eventlog import RecordKind

_INSTRUMENTS = frozenset((CurrencyPair, CryptoPerpetual, Equity, Future))
_KIND_OF = {
    ChannelName.TIME_EVENTS: JournalKind.TIME,
    ChannelName.EXECUTION_EVENTS: JournalKind.EVENT,
    ChannelName.TRADING_COMMANDS: JournalKind.COMMAND,
    ChannelName.DATA_COMMANDS: JournalKind.DATA_COMMAND,
}


class Recorder:
    """Appends handled and derived messages, with their numbers; the shape of an `EventLog`.

    Args:
        journal: Where to.
        records_data: Whether market data is recorded too, as verifying a run needs. Instruments
            always are.

    Attributes:
        data_left_out: How many market data events were not recorded, as the journal was congested.
    """

    def __init__(self, journal: Journal, *, records_data: bool = False) -> None:
        self.data_left_out = 0
        self._journal = journal
        self._records_data = records_data
        self._gap: tuple[int, int, int] | None = None

    def tap(self, number: int, channel: ChannelName, message: Any) -> None:
        """Take a handled message from a dispatcher.

        Raises:
            CodecError: If it cannot be encoded.
        """
        if channel is not ChannelName.DATA_EVENTS:
            self._journal.append(_KIND_OF[channel], message, number=number)
        elif type(message) in _INSTRUMENTS:
            self._journal.append(JournalKind.INSTRUMENT, message, number=number)
        elif self._records_data:
            self._take_data(number, message)

    def _take_data(self, number: int, message: Any) -> None:
        if self._journal.is_congested:
            # Who should have waited for `room()` did not: memory is not to grow without end.
            self.data_left_out += 1
            count, first, _ = self._gap or (0, number, number)
            self._gap = count + 1, first, number
            return
        self.end_gap()
        self._journal.append(JournalKind.DATA, message, number=number)

    def end_gap(self) -> None:
        """Say how much market data was left out, if any was since the last time."""
        if self._gap is not None:
            count, first, last = self._gap
            self._gap = None
            left_out = DataNotRecorded(count=count, first_number=first, last_number=last)
            self._journal.append(JournalKind.DATA, left_out, number=last)

    def add(self, number: int, kind: RecordKind, message: Any) -> None:
        """Take what an engine derived, or another record of the event log.

        Raises:
            CodecError: If it cannot be encoded.
        """
        self._journal.append(JournalKind(kind.value), message, number=number)

    def purged(self, number: int, purge: HistoryPurged) -> None:
        """Note that a core forgot what was closed; appended before it does."""
        self._journal.append(JournalKind.PURGE, purge, number=number)

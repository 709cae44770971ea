"""The data client of a backtest: history is there already, so it only answers requests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from workbench.engines.clients import DataClient
from workbench.history import Timeline
from workbench.model.commands import DataKind, DataResponse, RequestData, Subscribe, Unsubscribe
from workbench.model.data import NO_INSTRUMENT, BarType
from workbench.model.errors import DataError
from workbench.model.identifiers import ClientId, InstrumentId
from workbench.model.instruments import Instrument
from workbench.runtime.clock import Clock

_log = logging.getLogger(__name__)


class HistoryDataClient(DataClient):
    """Serves stored data of any venue.

    Args:
        timeline: The data.
        instruments: Sent when it connects.
        clock: For the time of responses, which never hold what is later than it.
        send_event: Takes data events.

    Attributes:
        warnings: Subscriptions for which there is no data.
    """

    def __init__(
        self,
        timeline: Timeline,
        instruments: Iterable[Instrument],
        clock: Clock,
        send_event: Callable[[Any], None],
        client_id: str = "HISTORY",
    ) -> None:
        self.client_id = ClientId(client_id)
        self.timeline = timeline
        self.warnings: list[str] = []
        self._instruments = list(instruments)
        self._clock = clock
        self._send = send_event

    async def connect(self) -> None:
        """Send the instruments."""
        for instrument in self._instruments:
            self._send(instrument)

    async def disconnect(self) -> None:
        """Do nothing: there is no connection to end."""

    def serves(
        self,
        kind: DataKind,
        instrument_id: InstrumentId,
        bar_type: BarType | None = None,
        topic: str = "",
    ) -> bool:
        """Return whether the data holds it."""
        for stream in self.timeline.streams:
            if stream.kind is not kind or stream.topic != topic:
                continue
            if kind is DataKind.BARS:
                if bar_type in stream.bar_types:
                    return True
            # Custom data of all instruments is wanted where none is named.
            elif instrument_id in (stream.instrument_id, NO_INSTRUMENT):
                return True
        return False

    def bar_types(self, instrument_id: InstrumentId) -> list[BarType]:
        """Return the bars the data holds."""
        streams = self.timeline.streams
        return [one for s in streams if s.instrument_id == instrument_id for one in s.bar_types]

    def subscribe(self, command: Subscribe) -> None:
        """Note if there is no data of this kind."""
        if self.serves(command.kind, command.instrument_id, command.bar_type, command.topic):
            return
        held = ", ".join(
            _describe(s.kind, s.instrument_id, s.bar_types, s.topic) for s in self.timeline.streams
        )
        self.warnings.append(
            f"{command.component_id} subscribed to {_wanted(command)}, but the data holds only:"
            f" {held}"
        )
        _log.warning(self.warnings[-1])

    def unsubscribe(self, command: Unsubscribe) -> None:
        """Do nothing: the data comes all the same."""

    def request(self, command: RequestData) -> DataResponse:
        """Return what was known by now; market data that is queued up does not delay it."""
        now = self._clock.timestamp_ns()
        # While strategies start, the clock stands at the first event, which is yet to come.
        before = now if now > self.timeline.first_ts else now - 1
        data: tuple[Any, ...] = ()
        error = ""
        try:
            data = self.timeline.history(
                command.kind,
                command.instrument_id,
                command.bar_type,
                start=command.start,
                end=command.end,
                limit=command.limit,
                before=before,
            )
        except DataError as problem:
            error = str(problem)
        return DataResponse(
            request_id=command.request_id,
            component_id=command.component_id,
            kind=command.kind,
            instrument_id=command.instrument_id,
            bar_type=command.bar_type,
            data=data,
            error=error,
            ts_event=now,
            ts_init=now,
        )


def _wanted(command: Subscribe) -> str:
    if command.bar_type is not None:
        return f"bars of {command.bar_type}"
    return _describe(command.kind, command.instrument_id, (), command.topic)


def _describe(kind: DataKind, instrument_id: str, bar_types: Iterable[Any], topic: str = "") -> str:
    types = ", ".join(str(bar_type) for bar_type in bar_types)
    what = f"{kind.value} data {topic}" if topic else kind.value
    return types or (f"{what} of {instrument_id}" if instrument_id else what)

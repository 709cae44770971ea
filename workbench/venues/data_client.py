"""A node's data client over a plug-in's `datad`: the same for every venue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from workbench.engines.clients import DataClient
from workbench.model.commands import (
    DataKind,
    DataResponse,
    RequestData,
    Subscribe,
    Unsubscribe,
)
from workbench.model.data import Bar, BarSpec, BarType, DataGap, Quote, Trade
from workbench.model.errors import ClientError
from workbench.model.identifiers import ClientId, InstrumentId, Venue, venue_of
from workbench.model.instruments import Instrument
from workbench.runtime.clock import Clock
from workbench.venues.connection import Link, LinkSettings, told_error
from workbench.venues.contract import (
    DataEndpoints,
    EndpointKind,
    HistoryRequest,
    Subscription,
    check_endpoints,
)
from workbench.venues.errors import VenueRejectedError
from workbench.venues.plugin import VenuePlugin
from workbench.venues.tasks import OwnedTasks

_log = logging.getLogger(__name__)


class _Sink:
    """Takes what one connection brings; deaf once there is a newer one."""

    __slots__ = ("_epoch", "_link", "_send")

    def __init__(self, link: Link, epoch: int, send: Callable[[Any], None]) -> None:
        self._link = link
        self._epoch = epoch
        self._send = send

    def data(self, message: Any) -> None:
        if self._epoch == self._link.epoch:
            self._link.alive()
            self._send(message)

    def alive(self) -> None:
        if self._epoch == self._link.epoch:
            self._link.alive()

    def lost(self, reason: str) -> None:
        if self._epoch == self._link.epoch:
            self._link.lost(reason)

    def gap(self, reason: str) -> None:
        if self._epoch == self._link.epoch:
            self._link.gap(reason)


class VenueDataClient(DataClient):
    """Streams a venue's market data into a node.

    It owns its tasks. A connection that is lost is made again, and everything is subscribed to
    again; strategies are told of the gap (`on_data_gap`, with `dropped=0`: nobody knows how much).
    A subscription that the venue refuses is a fault of the node, named after the venue.

    Args:
        plugin: The plug-in.
        datad: Its endpoints.
        clock: The node's clock.
        send_event: Takes data events.
        instrument_ids: What to load; all the venue has, if empty.
        client_id: Its name; the venue's by default.
        settings: How long its connection waits.

    Attributes:
        link: The connection: its state, how often it was made again, the venue's clock skew.
        datad: The endpoints.
        unsupported: The optional endpoints there are not.

    Raises:
        PluginError: If the endpoints do not keep the contract.
    """

    def __init__(
        self,
        plugin: VenuePlugin,
        datad: DataEndpoints,
        clock: Clock,
        send_event: Callable[[Any], None],
        *,
        instrument_ids: Sequence[InstrumentId] = (),
        client_id: str = "",
        settings: LinkSettings | None = None,
    ) -> None:
        self.unsupported = check_endpoints(plugin.name, EndpointKind.DATAD, datad)
        self.datad = datad
        self.client_id = ClientId(client_id or datad.venue)
        self.venues = frozenset({Venue(datad.venue)})
        self._plugin = plugin
        self._clock = clock
        self._send = send_event
        self._instrument_ids = tuple(instrument_ids)
        self._wanted: dict[Subscription, None] = {}
        self._active: dict[Subscription, None] = {}
        self._changed = asyncio.Event()
        self._fault: asyncio.Future[None] | None = None
        self._faults: list[ClientError] = []
        self._was_up = False
        self._tasks = OwnedTasks(self.client_id, self._failed)
        waits = settings or LinkSettings()
        self._close_s = waits.close_timeout_s
        self.link = Link(
            self.client_id,
            datad,
            lambda link, epoch: _Sink(link, epoch, send_event),
            self._restore,
            self._on_down,
            clock.timestamp_ns,
            waits,
            self._trait("silence_s"),
        )

    def _trait(self, name: str) -> Any:
        """Return what the endpoints say of themselves, else what the plug-in does."""
        return getattr(self.datad, name, getattr(self._plugin, name))

    # The port

    async def connect(self) -> None:
        """Connect, and send the instruments."""
        await self.link.start()
        self._tasks.spawn(self._keep_subscribed(), "subscribing")

    async def disconnect(self) -> None:
        """End every task and close the connection."""
        left = await self._tasks.close(self._close_s)
        await self.link.stop()
        if left:
            raise ClientError(f"{self.client_id} did not end {', '.join(left)}")

    def serves(
        self,
        kind: DataKind,
        instrument_id: InstrumentId,
        bar_type: BarType | None = None,
        topic: str = "",
    ) -> bool:
        """Return whether the plug-in has such data; coarser bars are made inside."""
        if kind is DataKind.BARS and bar_type is not None:
            return not bar_type.source and bar_type.spec in self._bar_specs()
        if kind is not DataKind.CUSTOM and venue_of(instrument_id) != self.datad.venue:
            return False
        return kind in self._trait("data_kinds") and (kind is DataKind.CUSTOM or not topic)

    def bar_types(self, instrument_id: InstrumentId) -> Iterable[BarType]:
        """Return the bars the plug-in has."""
        return [BarType(instrument_id, spec) for spec in self._bar_specs()]

    def _bar_specs(self) -> list[BarSpec]:
        return [BarSpec.parse(text) for text in self._trait("bars")]

    def subscribe(self, command: Subscribe) -> None:
        """Want this data from now on.

        Raises:
            ClientError: If the plug-in has no such data.
        """
        asked = (command.kind, command.instrument_id, command.bar_type, command.topic)
        if not self.serves(*asked):
            kinds = ", ".join(sorted(kind.value for kind in self._trait("data_kinds")))
            bars = ", ".join(self._trait("bars")) or "none"
            raise ClientError(
                f"{command.component_id} subscribed to {_subscription(command)}, but"
                f" {self.client_id} has {kinds}; bars: {bars}"
            )
        self._wanted[_subscription(command)] = None
        self._changed.set()

    def unsubscribe(self, command: Unsubscribe) -> None:
        """Want it no longer."""
        self._wanted.pop(_subscription(command), None)
        self._changed.set()

    def request(self, command: RequestData) -> DataResponse | None:
        """Ask the venue; the response comes as a data event."""
        if "request_history" in self.unsupported:
            return self._response(command, (), f"{self.client_id} has no history")
        self._tasks.spawn(self._answer(command), f"answering request {command.request_id}")
        return None

    async def run(self) -> None:
        """Wait, streaming, until cancelled; raise what nothing can be done about.

        Raises:
            ClientError: If a subscription was refused, or there is a fault of the plug-in.
        """
        if self._faults:
            raise self._faults[0]
        self._fault = asyncio.get_running_loop().create_future()
        await self._fault

    # Subscriptions: what is wanted is made so, in the order it was asked for

    async def _keep_subscribed(self) -> None:
        while True:
            await self._changed.wait()
            await self.link.up.wait()
            self._changed.clear()
            await self._subscribe_all()

    async def _subscribe_all(self) -> None:
        for gone in [one for one in self._active if one not in self._wanted]:
            if not self.link.up.is_set():
                return
            self._active.pop(gone, None)
            await self._try(self.datad.unsubscribe(gone), f"unsubscribing from {gone}")
        for new in [one for one in self._wanted if one not in self._active]:
            if not self.link.up.is_set():
                return
            self._active[new] = None
            await self._try(self.datad.subscribe(new), f"subscribing to {new}")

    def _on_down(self, _: str) -> None:
        self._active.clear()

    async def _try(self, work: Any, what: str) -> None:
        epoch = self.link.epoch
        try:
            await work
        except VenueRejectedError as error:
            self._failed(what, error)
        except Exception as error:
            if epoch == self.link.epoch:
                self.link.lost(f"{what}: {told_error(error)}")

    async def _restore(self) -> None:
        """Send the instruments, and tell of the gap where there was a connection before."""
        if not self._was_up:
            for instrument in await self.load_instruments(self._instrument_ids):
                self._send(instrument)
        else:
            now = self._clock.timestamp_ns()
            for instrument_id in dict.fromkeys(one.instrument_id for one in self._wanted):
                self._send(DataGap(instrument_id, 0, now, now))
        self._was_up = True
        self._changed.set()

    async def load_instruments(self, instrument_ids: Sequence[InstrumentId]) -> list[Instrument]:
        """Return the venue's instruments.

        Raises:
            ClientError: If one that was asked for is not there.
        """
        found = list(await self.datad.load_instruments(instrument_ids))
        missing = sorted(set(instrument_ids) - {instrument.id for instrument in found})
        if missing:
            raise ClientError(f"{self.client_id} has no instrument {', '.join(missing)}")
        return found

    # Requests

    async def _answer(self, command: RequestData) -> None:
        request = HistoryRequest(
            kind=command.kind,
            instrument_id=command.instrument_id,
            bar_type=command.bar_type,
            start=command.start,
            end=command.end,
            limit=command.limit,
        )
        try:
            await self.link.up.wait()
            found = await self.datad.request_history(request)
            data, problem = _trimmed(found, request), ""
        except Exception as error:
            data, problem = (), f"{self.client_id}: {told_error(error)}"
        self._send(self._response(command, data, problem))

    def _response(
        self, command: RequestData, data: tuple[Quote | Trade | Bar, ...], error: str = ""
    ) -> DataResponse:
        now = self._clock.timestamp_ns()
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

    def _failed(self, what: str, error: Exception) -> None:
        fault = ClientError(f"{self.client_id} failed at {what}: {told_error(error)}")
        fault.__cause__ = error
        self._faults.append(fault)
        if self._fault is not None and not self._fault.done():
            self._fault.set_exception(fault)


def _subscription(command: Subscribe | Unsubscribe) -> Subscription:
    return Subscription(
        kind=command.kind,
        instrument_id=command.instrument_id,
        bar_type=command.bar_type,
        topic=command.topic,
    )


def _trimmed(
    found: Sequence[Quote | Trade | Bar], request: HistoryRequest
) -> tuple[Quote | Trade | Bar, ...]:
    """Return what was asked for, in time order, without what pages had in common."""
    start = request.start if request.start is not None else -(2**63)
    end = request.end if request.end is not None else 2**63
    kept = {_key(one): one for one in found if start <= one.ts_event < end}
    data = sorted(kept.values(), key=lambda one: one.ts_event)
    return tuple(data if request.limit is None else data[max(0, len(data) - request.limit) :])


def _key(message: Quote | Trade | Bar) -> object:
    if isinstance(message, Trade):
        return message.trade_id
    return message.ts_event if isinstance(message, Bar) else message

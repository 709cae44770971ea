"""A node's execution client over a plug-in's `brokerd`: the same for every venue.

An order command is written down (`Durable`), then leaves, once. What follows:

- The venue took or refused it, and said so: that is the event.
- It certainly did not leave (no connection, the rate, the journal): it is rejected, saying so.
- Anything else, a timeout among them, leaves its outcome unknown. It stays in flight and the venue
  is asked by client order id, up to `queries` times and after every reconnect. Then it stands in
  `unknown_orders`. It is never sent again, and silence is never taken for an answer.

While there is no connection orders are refused and cancels wait. After every reconnect, and where
the plug-in tells of a gap, orders, fills, positions and account are asked for and sent on as
reports before anything new leaves.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from workbench.engines.capabilities import Capabilities
from workbench.engines.clients import ExecutionClient, OrderLookup, VenueState
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    QueryOrder,
    SubmitOrder,
)
from workbench.model.errors import ClientError
from workbench.model.events import AccountState
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    InstrumentId,
    Venue,
)
from workbench.model.reports import (
    ExecutionReport,
    FillReport,
    OrderStatusReport,
    PositionReport,
)
from workbench.runtime.clock import Clock
from workbench.venues.connection import Link, told_error
from workbench.venues.contract import (
    BrokerEndpoints,
    EndpointKind,
    Permissions,
    check_endpoints,
)
from workbench.venues.inquiries import Inquiries
from workbench.venues.order_entry import Durable, ExecutionSettings, NotWritten, OrderEntry
from workbench.venues.owners import Owners
from workbench.venues.plugin import VenuePlugin
from workbench.venues.position_differences import PositionDifferences
from workbench.venues.queries import Queries
from workbench.venues.rates import Rates
from workbench.venues.secrets import without_secrets
from workbench.venues.tasks import OwnedTasks
from workbench.venues.tracked import Tracked
from workbench.venues.tracking import Tracking

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class _Sink:
    """Takes what one connection brings; deaf once there is a newer one."""

    __slots__ = ("_epoch", "_link", "_take")

    def __init__(self, link: Link, epoch: int, take: Callable[[Any], None]) -> None:
        self._link = link
        self._epoch = epoch
        self._take = take

    def report(self, report: ExecutionReport | AccountState) -> None:
        if self._epoch != self._link.epoch:
            return
        self._link.alive()
        try:
            self._take(report)
        except Exception as error:
            # One bad message must not end the stream; what it said is asked for.
            _log.exception("a report could not be taken: %r", report)
            self._link.lost(f"a report could not be taken: {told_error(error)}")

    def alive(self) -> None:
        if self._epoch == self._link.epoch:
            self._link.alive()

    def lost(self, reason: str) -> None:
        if self._epoch == self._link.epoch:
            self._link.lost(reason)

    def gap(self, reason: str) -> None:
        if self._epoch == self._link.epoch:
            self._link.gap(reason)


class VenueExecutionClient(ExecutionClient):
    """Trades one account at a venue.

    Args:
        plugin: The plug-in.
        brokerd: Its endpoints.
        account_id: The account.
        clock: The node's clock.
        send_event: Takes execution events and reports.
        instrument_ids: What is looked at when orders and fills are asked for, besides the
            instruments of orders that came by.
        client_id: Its name; by default the account's.
        journal: Where commands and reports are written down first.
        fills_since_ns: From when on fills are asked for at the start; by default from the start.
        settings: How it waits.

    Attributes:
        link: The connection: its state, how often it was made again, the venue's clock skew.
        brokerd: The endpoints.
        unsupported: The optional endpoints there are not.
        tracking: The orders as seen from here.

    Raises:
        PluginError: If the endpoints do not keep the contract.
    """

    def __init__(
        self,
        plugin: VenuePlugin,
        brokerd: BrokerEndpoints,
        account_id: AccountId,
        clock: Clock,
        send_event: Callable[[Any], None],
        *,
        instrument_ids: Sequence[InstrumentId] = (),
        client_id: str = "",
        journal: Durable | None = None,
        fills_since_ns: int | None = None,
        settings: ExecutionSettings | None = None,
    ) -> None:
        self.unsupported = check_endpoints(plugin.name, EndpointKind.BROKERD, brokerd)
        self.brokerd = brokerd
        self.account_id = account_id
        self.client_id = ClientId(client_id or account_id)
        self.venue = Venue(brokerd.venue)
        self._plugin = plugin
        self._clock = clock
        self._send = send_event
        self._journal: Durable = journal or NotWritten()
        self._settings = settings or ExecutionSettings()
        self._has_started = False
        self._tasks = OwnedTasks(self.client_id, self._failed)
        self._rates = Rates(self._trait("rate_limits"))
        self._entry = OrderEntry(
            account_id,
            brokerd,
            clock,
            send_event,
            self._take,
            self._journal,
            self._settings,
            self._tasks,
            self._rates,
        )
        self.tracking = Tracking(
            account_id,
            send_event,
            self._fetch_fills,
            self._entry.settle,
            lambda instrument_id, number: self._owners.begin(instrument_id, number),
        )
        self._queries = Queries(
            brokerd,
            self.unsupported,
            self.tracking,
            self._rates,
            self._settings,
            instrument_ids,
            fills_since_ns,
        )
        self._differences = PositionDifferences(account_id, clock, self.tracking)
        self.link = Link(
            self.client_id,
            brokerd,
            lambda link, epoch: _Sink(link, epoch, self._take),
            self._restore,
            self._on_down,
            clock.timestamp_ns,
            self._settings.link,
            self._trait("silence_s"),
        )
        self._inquiries = Inquiries(
            self.client_id,
            self._settings.inquiry,
            self._ask_for,
            self.link.up,
            self._tasks,
            self._entry.unanswered,
        )
        self._owners = Owners(
            self.client_id,
            self._settings.fill_grace_s,
            self._settings.inquiry,
            self._queries.order_at_venue,
            self._take,
            self.link.up,
            self._tasks,
        )
        self._owners.tracking = self.tracking
        self._entry.connect_to(self.tracking, self._inquiries, self.link)

    def _trait(self, name: str) -> Any:
        """Return what the endpoints say of themselves, else what the plug-in does."""
        return getattr(self.brokerd, name, getattr(self._plugin, name))

    @property
    def capabilities(self) -> Capabilities:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return what it can be given; without `modify` nothing can be amended."""
        told: Capabilities = self._trait("capabilities")
        if told.amend and "modify" in self.unsupported:
            return msgspec.structs.replace(told, amend=False)
        return told

    @property
    def fills_since_ns(self) -> int | None:
        """Return from when on fills are asked for; None before it connects, unless it was set."""
        return self._queries.since_ns

    @fills_since_ns.setter
    def fills_since_ns(self, since_ns: int | None) -> None:
        self._queries.since_ns = since_ns

    @property
    def unknown_orders(self) -> dict[ClientOrderId, str]:
        """Return the orders whose outcome the venue did not tell, and what was asked of it."""
        return dict(self._inquiries.unknown)

    def use_orders(self, orders: OrderLookup) -> None:
        """Take the node's orders, so that those of an earlier run are known here."""
        self.tracking.lookup = orders

    # The connection

    async def connect(self) -> None:
        """Connect, and send the account's state."""
        await _showable(self.link.start())
        self._tasks.spawn(self._entry.outbox.run(), "sending")
        if self._settings.check_interval_s is not None:
            self._tasks.spawn(self._check(self._settings.check_interval_s), "checking")

    async def disconnect(self) -> None:
        """Refuse what has not left, wait a little for what has, and end every task."""
        await self._entry.close()
        left = await self._tasks.close(self._settings.close_timeout_s)
        await self.link.stop()
        if left:
            raise ClientError(f"{self.client_id} did not end {', '.join(left)}")

    def _on_down(self, reason: str) -> None:
        self._entry.outbox.refuse_orders(f"the connection was lost before it left: {reason}")

    def _failed(self, what: str, error: Exception) -> None:
        """Take a failure of ours for a lost connection: all that matters is asked for again."""
        _log.error("%s failed at %s", self.client_id, what, exc_info=error)
        self.link.lost(f"{what} failed: {told_error(error)}")

    async def venue_state(self) -> VenueState:
        """Return what the venue holds; what comes later counts from here."""
        self.tracking.adopt_open()
        held = await _showable(self._queries.everything())
        states, new_fills = self.tracking.absorb(held.orders, held.fills)
        for at_venue in self.tracking.nameless:
            found = await _showable(self._queries.order_at_venue(*at_venue))
            more_states, more_fills = self.tracking.absorb(found, [])
            states, new_fills = states + more_states, new_fills + more_fills
        for tracked in self._absent(held.orders):
            self._inquiries.begin(tracked, at_once=True)
        return dataclasses.replace(held, orders=states, fills=new_fills)

    async def permissions(self) -> Permissions | None:
        """Return what the venue says that the credentials may do, None where it cannot be asked."""
        if "permissions" in self.unsupported:
            return None
        return await self._queries.within(self.brokerd.permissions)

    async def refresh(self) -> None:
        """Ask for orders, fills, positions and account, and send them on as reports."""
        held = await self._queries.everything()
        for fill in sorted(held.fills, key=lambda one: (one.ts_event, one.trade_id)):
            self._take(fill)
        for report in held.orders:
            self._take(report)
        for tracked in self._absent(held.orders):
            self._inquiries.begin(tracked, at_once=True)
        self._take(held.account)
        if "position_reports" not in self.unsupported:
            self._tasks.spawn(self._check_positions(held.positions), "checking positions")

    async def _check_positions(self, positions: list[PositionReport]) -> None:
        await asyncio.sleep(self._settings.fill_grace_s)  # until what came is applied
        for position in self._differences.confirmed(positions, self._queries.instruments()):
            self._take(position)

    async def _restore(self) -> None:
        if not self._has_started:
            if self.fills_since_ns is None:
                self.fills_since_ns = self._clock.timestamp_ns()
            self._take(await self._queries.account())
            self._has_started = True
            return
        await self.refresh()

    def _absent(self, orders: list[OrderStatusReport]) -> list[Tracked]:
        """Return the orders that have not ended here, and are not open at the venue."""
        reported = {(one.instrument_id, one.venue_order_id) for one in orders}
        named = {one.client_order_id for one in orders}
        return [
            one
            for one in self.tracking.unfinished()
            if one.client_order_id not in named
            and (one.instrument_id, one.venue_order_id) not in reported
            and (one.last is not None or one.awaits_answer or one.venue_order_id is not None)
        ]

    async def _check(self, interval_s: float) -> None:
        """Look at regular intervals for what no message told."""
        while True:
            await asyncio.sleep(interval_s)
            await self.link.up.wait()
            try:
                await self.refresh()
            except Exception as error:
                _log.warning("%s: a regular check: %s", self.client_id, told_error(error))

    # What comes

    def _take(self, report: ExecutionReport | AccountState, *, is_asked: bool = False) -> None:
        self._journal.append("report", report)
        if isinstance(report, (OrderStatusReport, FillReport)):
            self.tracking.take(report, is_asked=is_asked)
        else:
            self._send(report)

    def _fetch_fills(self, tracked: Tracked) -> None:
        self._tasks.spawn(self._get_fills(tracked), f"fetching fills of {tracked.client_order_id}")

    async def _get_fills(self, tracked: Tracked) -> None:
        """Ask for the fills that a state tells of, unless they come by themselves."""
        owed, early = tracked.owed, len(tracked.early)
        for _ in range(self._settings.inquiry.queries):
            await asyncio.sleep(self._settings.fill_grace_s)
            if (tracked.owed, len(tracked.early)) != (owed, early):
                return  # what came since sees to itself
            await self.link.up.wait()
            try:
                fills = await self._queries.fills_of(tracked)
            except Exception as error:
                _log.warning("%s: asking for fills: %s", self.client_id, told_error(error))
                continue
            for fill in fills:
                self._take(fill)
            if early:
                await self._answer(tracked)
        if (tracked.owed, len(tracked.early)) == (owed, early):
            self.tracking.give_up(tracked)

    # Commands

    def submit_order(self, command: SubmitOrder) -> None:
        """Write the order down and let it leave; rejected at once without a connection."""
        self._entry.submit(command)

    def modify_order(self, command: ModifyOrder) -> None:
        """Write the change down and let it leave; rejected at once without a connection."""
        self._entry.modify(command)

    def cancel_order(self, command: CancelOrder) -> None:
        """Write the cancel down and let it leave first; without a connection it waits."""
        self._entry.cancel(command)

    def cancel_all_orders(self, command: CancelAllOrders) -> None:
        """Cancel a strategy's orders one by one; those of others in the account stay."""
        self._entry.cancel_all(command)

    async def cancel_account_orders(self, instrument_id: InstrumentId) -> None:
        """Cancel every open order of the account in an instrument, whoever sent it.

        Raises:
            ClientError: If the plug-in has no `cancel_all`.
        """
        if "cancel_all" in self.unsupported:
            raise ClientError(f"{self.client_id}: the plug-in has no cancel_all")
        await self._queries.within(lambda: self.brokerd.cancel_all(instrument_id))

    def query_order(self, command: QueryOrder) -> None:
        """Ask what became of an order; the answer comes as a report."""
        tracked = self.tracking.known(command.client_order_id)
        if tracked is not None:
            self._tasks.spawn(self._answer(tracked), f"querying {tracked.client_order_id}")

    async def _answer(self, tracked: Tracked) -> None:
        try:
            await self._ask_for(tracked)
        except Exception as error:
            _log.warning("%s: a query: %s", self.client_id, told_error(error))

    async def _ask_for(self, tracked: Tracked) -> bool:
        """Ask the venue for one order; return whether it knows it."""
        found = await self._queries.order(tracked)
        for report in found:
            self._take(report, is_asked=True)
        if not found:
            self._entry.not_there(tracked, self._trait("submit_expiry_s"))
        return bool(found)


async def _showable(work: Awaitable[_T]) -> _T:
    """Await something; what it raises, which users get to see, tells no secret."""
    try:
        return await work
    except Exception as error:
        shown = without_secrets(error)
        if shown is error:
            raise
    raise shown

"""Asking a venue what it holds of an account, as soon as its rate allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TypeVar

from workbench.engines.clients import VenueState
from workbench.model.events import AccountState
from workbench.model.identifiers import InstrumentId, VenueOrderId
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport
from workbench.venues.contract import BrokerEndpoints, FillQuery, OrderQuery
from workbench.venues.order_entry import ExecutionSettings
from workbench.venues.rates import Rates
from workbench.venues.tracked import Tracked
from workbench.venues.tracking import Tracking

_T = TypeVar("_T")


class Queries:
    """The questions of one client.

    Args:
        brokerd: The endpoints.
        unsupported: The optional endpoints there are not.
        tracking: The orders as seen from here.
        rates: The venue's limits.
        settings: How long an answer is waited for, and how far back fills are asked for.
        instrument_ids: What is looked at, besides the instruments of orders that came by.
        since_ns: From when on fills are asked for.

    Attributes:
        since_ns: From when on fills are asked for; None for all there are.
    """

    def __init__(
        self,
        brokerd: BrokerEndpoints,
        unsupported: Collection[str],
        tracking: Tracking,
        rates: Rates,
        settings: ExecutionSettings,
        instrument_ids: Iterable[InstrumentId],
        since_ns: int | None,
    ) -> None:
        self.since_ns = since_ns
        self._brokerd = brokerd
        self._unsupported = unsupported
        self._tracking = tracking
        self._rates = rates
        self._settings = settings
        self._instrument_ids = dict.fromkeys(instrument_ids)

    async def within(self, make: Callable[[], Awaitable[_T]]) -> _T:
        """Ask the venue, as soon as its rate allows.

        Raises:
            TimeoutError: If it does not answer in time.
        """
        loop = asyncio.get_running_loop()
        while wait_ns := self._rates.admit(round(loop.time() * 1e9), is_order=False):
            await asyncio.sleep(wait_ns / 1e9)
        async with asyncio.timeout(self._settings.request_timeout_s):
            return await make()

    def instruments(self) -> tuple[InstrumentId, ...]:
        """Return what is looked at."""
        for tracked in self._tracking.orders.values():
            self._instrument_ids[tracked.instrument_id] = None
        return tuple(self._instrument_ids)

    async def everything(self) -> VenueState:
        """Return the open orders, the fills since the latest known one, positions and account."""
        instrument_ids = self.instruments()
        # Orders first: a fill between the two questions is then told twice rather than not at all.
        all_open = OrderQuery(instrument_ids=instrument_ids)
        orders = await self.within(lambda: self._brokerd.order_status_reports(all_open))
        fills = await self._fills(FillQuery(instrument_ids=instrument_ids, since_ns=self._from()))
        positions: list[PositionReport] = []
        if "position_reports" not in self._unsupported:
            positions = await self.within(self._brokerd.position_reports)
        account = await self.account()
        return VenueState(account=account, orders=orders, fills=fills, positions=positions)

    async def account(self) -> AccountState:
        """Return the account's balances."""
        return await self.within(self._brokerd.account_state)

    async def order(self, tracked: Tracked) -> list[OrderStatusReport]:
        """Return one order as the venue has it; nothing where it does not know it."""
        query = OrderQuery(
            client_order_id=tracked.client_order_id,
            venue_order_id=tracked.venue_order_id,
            instrument_ids=(tracked.instrument_id,),
        )
        return await self.within(lambda: self._brokerd.order_status_reports(query))

    async def order_at_venue(
        self, instrument_id: InstrumentId, venue_order_id: VenueOrderId
    ) -> list[OrderStatusReport]:
        """Return an order of whomever by the venue's id."""
        query = OrderQuery(venue_order_id=venue_order_id, instrument_ids=(instrument_id,))
        return await self.within(lambda: self._brokerd.order_status_reports(query))

    async def fills_of(self, tracked: Tracked) -> list[FillReport]:
        """Return the fills of one order."""
        return await self._fills(
            FillQuery(
                instrument_ids=(tracked.instrument_id,),
                since_ns=self._from(),
                client_order_id=tracked.client_order_id,
                venue_order_id=tracked.venue_order_id,
            )
        )

    async def _fills(self, query: FillQuery) -> list[FillReport]:
        return await self.within(lambda: self._brokerd.fill_reports(query))

    def _from(self) -> int | None:
        """Return from when on fills are asked for; orders that are not over reach further back."""
        since, latest = self.since_ns, self._tracking.latest_fill_ns
        overlap = round(self._settings.fill_overlap_s * 1e9)
        if latest:
            since = max(since or 0, latest - overlap)
        open_since = [one.sent_ns for one in self._tracking.unfinished() if one.sent_ns]
        if since is None or not open_since:
            return since
        return min(since, min(open_since) - overlap)

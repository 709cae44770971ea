"""Asking a venue whose orders are of which reports came that name none of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from workbench.model.identifiers import InstrumentId, VenueOrderId
from workbench.model.reports import OrderStatusReport
from workbench.venues.connection import told_error
from workbench.venues.inquiries import InquirySettings
from workbench.venues.tasks import OwnedTasks
from workbench.venues.tracking import Tracking

_log = logging.getLogger(__name__)


class Owners:
    """The questions of one client; one series for an order at a time.

    Args:
        owner: The client's name.
        grace_s: How long it may turn out by itself.
        settings: How often it is asked then.
        ask: Asks for an order by the venue's id.
        take: Takes the answer.
        is_up: Set while the venue can be asked.
        tasks: Where the series run.

    Attributes:
        tracking: What has the reports that wait; set before anything comes.
    """

    tracking: Tracking

    def __init__(
        self,
        owner: str,
        grace_s: float,
        settings: InquirySettings,
        ask: Callable[[InstrumentId, VenueOrderId], Awaitable[list[OrderStatusReport]]],
        take: Callable[[OrderStatusReport], None],
        is_up: asyncio.Event,
        tasks: OwnedTasks,
    ) -> None:
        self._owner = owner
        self._grace_s = grace_s
        self._settings = settings
        self._ask = ask
        self._take = take
        self._is_up = is_up
        self._tasks = tasks
        self._asking: set[tuple[InstrumentId, VenueOrderId]] = set()

    def begin(self, instrument_id: InstrumentId, venue_order_id: VenueOrderId) -> None:
        """Ask for an order, unless it turns out by itself whose it is."""
        key = instrument_id, venue_order_id
        if key in self._asking:
            return
        self._asking.add(key)
        task = self._tasks.spawn(self._series(*key), f"asking whose {venue_order_id} is")
        task.add_done_callback(lambda _: self._asking.discard(key))

    async def _series(self, instrument_id: InstrumentId, venue_order_id: VenueOrderId) -> None:
        wait_s = self._grace_s
        for _ in range(self._settings.queries):
            await asyncio.sleep(wait_s)
            wait_s = self._settings.wait_s
            await self._is_up.wait()
            if (instrument_id, venue_order_id) not in self.tracking.nameless:
                return
            try:
                found = await self._ask(instrument_id, venue_order_id)
            except Exception as error:
                _log.warning("%s: asking whose an order is: %s", self._owner, told_error(error))
                continue
            for report in found:
                self._take(report)

"""The venue in memory as a node reaches it that may die: then nothing of it reaches the venue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from workbench.model.events import AccountState, OrderInitialized
from workbench.model.identifiers import ClientOrderId
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport
from workbench.venues import BrokerContext, DataContext, FillQuery, OrderQuery, VenueRejectedError
from workbench.venues.fake import FAKE, FakeVenue
from workbench.venues.fake.venue import FakeBrokerd, FakeDatad
from workbench.venues.fake.wire import Wire


class Process:
    """What one life of a node did, as seen from the outside.

    Args:
        sent: Counts how often which order was sent, over all lives.
        refused: Takes the orders that the venue refused, and said so.

    Attributes:
        is_dead: Set when it dies.
        was_told: What the venue said of all it holds, in this life: `orders`, `fills`, ...
    """

    def __init__(self, sent: Counter[ClientOrderId], refused: set[ClientOrderId]) -> None:
        self.is_dead = False
        self.was_told: set[str] = set()
        self.sent = sent
        self.refused = refused


class _NoWire:
    """The wire of a process that is dead."""

    is_connected = False

    def connect(self, deliver: Callable[[Any], None], lost: Callable[[str], None]) -> None:
        raise ConnectionError("the process is dead")

    def disconnect(self) -> None:
        """Do nothing: the wire is another process's by now."""

    async def call(self, work: Callable[[], Any]) -> Any:
        raise ConnectionError("the process is dead")


_NO_WIRE: Any = _NoWire()


class MortalDatad(FakeDatad):
    """Market data, as long as the process lives."""

    def __init__(self, context: DataContext, *, fake: FakeVenue, process: Process) -> None:
        super().__init__(context, fake=fake)
        self._process = process

    @property
    def _wire(self) -> Wire:
        return _NO_WIRE if self._process.is_dead else super()._wire


class MortalBrokerd(FakeBrokerd):
    """Orders, as long as the process lives."""

    def __init__(
        self,
        context: BrokerContext,
        *,
        fake: FakeVenue,
        process: Process,
        answers: bool = True,
        names_orders: bool = True,
    ) -> None:
        super().__init__(context, fake=fake, answers=answers, names_orders=names_orders)
        self._process = process

    @property
    def _wire(self) -> Wire:
        return _NO_WIRE if self._process.is_dead else super()._wire

    async def submit(self, order: OrderInitialized) -> OrderStatusReport | None:
        """Send an order, and count it."""
        self._process.sent[order.client_order_id] += not self._process.is_dead
        try:
            return await super().submit(order)
        except VenueRejectedError:
            self._process.refused.add(order.client_order_id)
            raise

    async def order_status_reports(self, query: OrderQuery) -> list[OrderStatusReport]:
        """Return orders."""
        found = await super().order_status_reports(query)
        if query.client_order_id is None and query.venue_order_id is None:
            self._process.was_told.add("orders")
        return found

    async def fill_reports(self, query: FillQuery) -> list[FillReport]:
        """Return fills."""
        found = await super().fill_reports(query)
        self._process.was_told.add("fills")
        return found

    async def position_reports(self) -> list[PositionReport]:
        """Return positions."""
        found = await super().position_reports()
        self._process.was_told.add("positions")
        return found

    async def account_state(self) -> AccountState:
        """Return balances."""
        found = await super().account_state()
        self._process.was_told.add("account")
        return found


MORTAL = msgspec.structs.replace(
    FAKE,
    datad=f"{__name__}:{MortalDatad.__name__}",
    brokerd=f"{__name__}:{MortalBrokerd.__name__}",
)
"""The plug-in; its options are the venue and the process."""

"""The venue in memory as a plug-in: its two endpoint classes, and what a test steers it by."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from workbench.engines.capabilities import Capabilities
from workbench.model.commands import DataKind
from workbench.model.data import Bar, Quote, Trade
from workbench.model.enums import OrderType, TimeInForce
from workbench.model.events import AccountState, OrderInitialized
from workbench.model.identifiers import AccountId, InstrumentId
from workbench.model.instruments import Instrument
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport
from workbench.venues.contract import (
    BrokerContext,
    BrokerSink,
    DataContext,
    DataSink,
    FillQuery,
    HistoryRequest,
    OrderChange,
    OrderQuery,
    OrderTarget,
    Permissions,
    Subscription,
    SymbolMatch,
)
from workbench.venues.errors import RateLimitedError
from workbench.venues.fake.market import FakeMarket
from workbench.venues.fake.wire import Faults, Wire
from workbench.venues.plugin import VenuePlugin

_DATA: dict[Any, DataKind] = {Quote: DataKind.QUOTES, Trade: DataKind.TRADES, Bar: DataKind.BARS}


class FakeVenue:
    """A venue to test against: what happens is decided by the test, and by a seed.

    Args:
        instruments: What is listed, of one venue.
        clock_ns: The time; a `VirtualClock`'s, say.
        seed: Of what goes wrong.
        faults: How often what goes wrong.
        balances: What each account begins with, by currency.

    Attributes:
        market: Orders, prices, balances; steer it by `market.quote`, `market.fill`, ...
        faults: How often what goes wrong; `set_faults` changes it.
        skew_ns: How far its clock is ahead.
        rate_limit: How many order requests it takes in a second; None for any number.
        permissions: What it says the credentials may do.

    >>> from workbench.model.instruments import CurrencyPair
    >>> FakeVenue([CurrencyPair.define("BTC/USDT.FAKE")], clock_ns=lambda: 0).name
    'FAKE'
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        *,
        clock_ns: Callable[[], int],
        seed: int = 0,
        faults: Faults | None = None,
        balances: Mapping[str, Decimal | int | str] | None = None,
    ) -> None:
        listed = list(instruments)
        self.name = str(listed[0].venue)
        self.skew_ns = 0
        self.rate_limit: int | None = None
        self.permissions = Permissions(may_trade=True)
        self._clock_ns = clock_ns
        self._random = random.Random(seed)
        self.faults = faults or Faults()
        self.market = FakeMarket(listed, self.time_ns, balances)
        self.market.on_report = self._report
        self.market.on_data = self._data
        self.data_wire = Wire(self._random, self.faults)
        self.wires: dict[AccountId, Wire] = {}
        self.subscriptions: dict[Subscription, None] = {}
        self._taken_s: list[float] = []

    def time_ns(self) -> int:
        """Return the venue's time."""
        return self._clock_ns() + self.skew_ns

    def wire(self, account_id: AccountId) -> Wire:
        """Return the wire to an account's client."""
        return self.wires.setdefault(account_id, Wire(self._random, self.faults))

    def set_faults(self, faults: Faults) -> None:
        """Change what goes wrong from now on."""
        self.faults = faults
        for wire in self._all_wires():
            wire.faults = faults

    def _all_wires(self) -> list[Wire]:
        return [self.data_wire, *self.wires.values()]

    # What a test does to it

    def break_connections(self, reason: str = "the connection broke") -> None:
        """Break every connection; clients are told."""
        for wire in self._all_wires():
            wire.break_off(reason)

    def freeze(self, *, is_frozen: bool = True) -> None:
        """Let connections be half open: nothing comes through, and nobody is told."""
        for wire in self._all_wires():
            wire.is_frozen = is_frozen

    def restart(self) -> None:
        """Break every connection and thaw them; what is stored stays."""
        self.break_connections("the venue restarts")
        self.freeze(is_frozen=False)

    def _report(self, account_id: AccountId, report: Any) -> None:
        self.wire(account_id).push(report)

    def _data(self, message: Any) -> None:
        kind = _DATA.get(type(message))
        if kind is None or any(
            one.kind is kind
            and one.instrument_id == message.instrument_id
            and (one.bar_type is None or one.bar_type == message.bar_type)
            for one in self.subscriptions
        ):
            self.data_wire.push(message)

    def check_rate(self) -> None:
        """Count an order request.

        Raises:
            RateLimitedError: If there were too many.
        """
        now_s = asyncio.get_running_loop().time()
        self._taken_s = [at_s for at_s in self._taken_s if at_s > now_s - 1.0]
        if self.rate_limit is not None and len(self._taken_s) >= self.rate_limit:
            raise RateLimitedError("too many orders", retry_after_s=1.0, code="429")
        self._taken_s.append(now_s)


class FakeDatad:
    """Market data of a `FakeVenue`."""

    def __init__(self, context: DataContext, *, fake: FakeVenue) -> None:
        self.venue = fake.name
        self._context = context
        self._fake = fake

    async def connect(self, sink: DataSink) -> None:
        """Connect."""
        self._fake.subscriptions.clear()
        self._wire.connect(sink.data, sink.lost)
        await self._call(lambda: None)

    async def disconnect(self) -> None:
        """Disconnect."""
        self._wire.disconnect()

    @property
    def _wire(self) -> Wire:
        return self._fake.data_wire

    async def _call(self, work: Callable[[], Any]) -> Any:
        return await self._wire.call(work)

    async def load_instruments(self, instrument_ids: Sequence[InstrumentId]) -> list[Instrument]:
        """Return what is listed."""
        listed = self._fake.market.instruments
        return await self._call(
            lambda: [
                one for one in listed.values() if not instrument_ids or one.id in instrument_ids
            ]
        )

    async def subscribe(self, subscription: Subscription) -> None:
        """Begin to send."""
        await self._call(lambda: self._fake.subscriptions.setdefault(subscription))

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Stop sending."""
        await self._call(lambda: self._fake.subscriptions.pop(subscription, None))

    async def request_history(self, request: HistoryRequest) -> Sequence[Quote | Trade | Bar]:
        """Return what was published."""
        return await self._call(
            lambda: [
                one
                for one in self._fake.market.history
                if _DATA[type(one)] is request.kind
                and one.instrument_id == request.instrument_id
                and (not isinstance(one, Bar) or one.bar_type == request.bar_type)
            ]
        )

    async def search_symbols(self, text: str, limit: int) -> list[SymbolMatch]:
        """Return what is listed with this text in its id."""
        found = [name for name in self._fake.market.instruments if text.upper() in name.upper()]
        return await self._call(lambda: [SymbolMatch(name) for name in found[:limit]])

    async def server_time(self) -> int:
        """Return the venue's time."""
        return await self._call(self._fake.time_ns)

    async def ping(self) -> None:
        """Ask for a sign of life."""
        await self._call(lambda: None)


class FakeBrokerd:
    """Orders at a `FakeVenue`.

    Args:
        context: The account.
        fake: The venue.
        answers: Whether submit, modify and cancel return the order; else only the sink tells.
        names_orders: Whether fills that are asked for carry our order id; at many venues they do
            not.
    """

    def __init__(
        self,
        context: BrokerContext,
        *,
        fake: FakeVenue,
        answers: bool = True,
        names_orders: bool = True,
    ) -> None:
        self.venue = fake.name
        self._account_id = context.account_id
        self._fake = fake
        self._answers = answers
        self._names_orders = names_orders

    async def connect(self, sink: BrokerSink) -> None:
        """Connect."""
        self._wire.connect(sink.report, sink.lost)
        await self._wire.call(lambda: None)

    async def disconnect(self) -> None:
        """Disconnect."""
        self._wire.disconnect()

    @property
    def _wire(self) -> Wire:
        return self._fake.wire(self._account_id)

    async def _order(self, work: Callable[[], OrderStatusReport]) -> OrderStatusReport | None:
        def limited() -> OrderStatusReport:
            self._fake.check_rate()
            return work()

        report = await self._wire.call(limited)
        return report if self._answers else None

    async def submit(self, order: OrderInitialized) -> OrderStatusReport | None:
        """Send an order."""
        return await self._order(lambda: self._fake.market.submit(self._account_id, order))

    async def cancel(self, target: OrderTarget) -> OrderStatusReport | None:
        """Cancel an order."""
        name = target.client_order_id
        return await self._order(lambda: self._fake.market.cancel(self._account_id, name))

    async def modify(self, change: OrderChange) -> OrderStatusReport | None:
        """Change an order."""
        return await self._order(lambda: self._fake.market.modify(self._account_id, change))

    async def cancel_all(self, instrument_id: InstrumentId) -> None:
        """Cancel every open order of the account in an instrument."""

        def work() -> None:
            for placed in self._fake.market.open_orders(self._account_id):
                if placed.order.instrument_id == instrument_id:
                    self._fake.market.cancel(self._account_id, placed.order.client_order_id)

        await self._wire.call(work)

    async def order_status_reports(self, query: OrderQuery) -> list[OrderStatusReport]:
        """Return the open orders, or the one that is asked for."""

        def work() -> list[OrderStatusReport]:
            now = self._fake.time_ns()
            name, at_venue = query.client_order_id, query.venue_order_id
            if name is None and at_venue is None:
                return [one.report(now) for one in self._fake.market.open_orders(self._account_id)]
            return [
                one.report(now)
                for (account_id, known), one in self._fake.market.orders.items()
                if account_id == self._account_id
                and (known == name or one.venue_order_id == at_venue)
            ]

        return await self._wire.call(work)

    async def fill_reports(self, query: FillQuery) -> list[FillReport]:
        """Return the account's fills."""
        since = query.since_ns or 0

        def work() -> list[FillReport]:
            return [
                one if self._names_orders else _nameless(one)
                for one in self._fake.market.fills
                if one.account_id == self._account_id
                and one.ts_event >= since
                and (not query.instrument_ids or one.instrument_id in query.instrument_ids)
            ]

        return await self._wire.call(work)

    async def position_reports(self) -> list[PositionReport]:
        """Return the net positions."""
        market = self._fake.market
        return await self._wire.call(lambda: market.position_reports(self._account_id))

    async def account_state(self) -> AccountState:
        """Return the balances."""
        market = self._fake.market
        return await self._wire.call(lambda: market.account_state(self._account_id))

    async def permissions(self) -> Permissions:
        """Return what `fake.permissions` says."""
        return await self._wire.call(lambda: self._fake.permissions)

    async def server_time(self) -> int:
        """Return the venue's time."""
        return await self._wire.call(self._fake.time_ns)

    async def ping(self) -> None:
        """Ask for a sign of life."""
        await self._wire.call(lambda: None)


def _nameless(fill: FillReport) -> FillReport:
    return msgspec.structs.replace(fill, client_order_id=None)


FAKE = VenuePlugin(
    name="fake",
    summary="A venue in memory, for tests",
    datad="workbench.venues.fake:FakeDatad",
    brokerd="workbench.venues.fake:FakeBrokerd",
    data_kinds=frozenset({DataKind.QUOTES, DataKind.TRADES}),
    bars=("1-minute-last",),
    capabilities=Capabilities(
        order_types=frozenset(
            {OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_MARKET, OrderType.STOP_LIMIT}
        ),
        time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
        contingencies=frozenset(),
        display_quantity=False,
        reduce_only=False,
    ),
    silence_s=4.0,
)
"""The plug-in: pass the venue as an option, `fake=FakeVenue(...)`."""

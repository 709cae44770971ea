"""What a plug-in's author gives the conformance suite: a venue, and ways to steer it."""

# ruff: noqa: ARG002  # what a trial cannot do takes its arguments all the same

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from decimal import Decimal
from typing import Any, ClassVar, NoReturn, TypeVar

from workbench.model.identifiers import AccountId, ClientOrderId, InstrumentId
from workbench.model.instruments import CurrencyPair
from workbench.runtime.clock import LiveClock
from workbench.runtime.virtual_time import VirtualClock, run_virtual
from workbench.venues.connection import LinkSettings
from workbench.venues.fake import FAKE, FakeVenue, Faults
from workbench.venues.inquiries import InquirySettings
from workbench.venues.order_entry import ExecutionSettings
from workbench.venues.plugin import VenuePlugin
from workbench.venues.secrets import Credentials

_T = TypeVar("_T")


class CannotSteerError(Exception):
    """A trial has no way to make its venue do something; the test that needs it is skipped."""


class VenueTrial(ABC):
    """A venue that a plug-in speaks to, local to the test.

    A subclass says what to trade and with which options, starts the venue in `open`, and overrides
    what of the rest it can do: what it cannot is skipped.

    Attributes:
        plugin: The plug-in.
        instrument_id: What is traded.
        account_id: The account.
        quantity: Of an order; half of it must be on the grid.
        tick: One price step.
        data_options: Of the plug-in's `datad`.
        broker_options: Of its `brokerd`.
        credentials: What its `brokerd` needs.
        is_virtual: Whether everything runs on one loop without sockets, in virtual time.
        settings: How the clients wait; short, so that a suite is over soon.
        clock: The clock; set before `open`.
    """

    plugin: VenuePlugin
    instrument_id: InstrumentId
    account_id: AccountId = AccountId("TRIAL-001")
    quantity: Decimal = Decimal(1)
    tick: Decimal = Decimal("0.01")
    data_options: Mapping[str, Any]
    broker_options: Mapping[str, Any]
    credentials: Credentials = Credentials()
    is_virtual: ClassVar[bool] = False
    settings: ExecutionSettings = ExecutionSettings(
        request_timeout_s=2.0,
        wait_timeout_s=3.0,
        fill_grace_s=0.2,
        inquiry=InquirySettings(first_wait_s=0.3, wait_s=0.5),
        link=LinkSettings(first_back_off_s=0.1, most_back_off_s=1.0, skew_interval_s=1.0),
    )
    clock: LiveClock

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a test on a loop of its own."""
        if self.is_virtual:
            return run_virtual(self._around(work))
        with asyncio.Runner() as runner:
            return runner.run(self._around(work))

    async def _around(self, work: Coroutine[Any, Any, _T]) -> _T:
        loop = asyncio.get_running_loop()
        self.clock = VirtualClock(loop) if self.is_virtual else LiveClock(lambda _: None)
        self.clock.start(loop)
        try:
            await self.open()
            try:
                return await work
            finally:
                await self.close()
                self.clock.stop()
        finally:
            work.close()

    @abstractmethod
    async def open(self) -> None:
        """Start the venue, with a market of about 100 in the instrument."""

    async def close(self) -> None:  # noqa: B027 - most have nothing to end
        """End the venue."""

    def owns(self, task: asyncio.Task[Any]) -> bool:
        """Return whether a task is the plug-in's, and not one of a server on the same loop."""
        return True

    # What a test makes the venue do

    async def move(self, bid: Decimal, ask: Decimal) -> None:
        """Move the best bid and ask."""
        self._cannot("move the market")

    async def print_trade(self, price: Decimal) -> None:
        """Let others trade."""
        self._cannot("print a trade")

    async def fill(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        """Fill so much of a resting order."""
        self._cannot("fill an order in part")

    async def break_connections(self) -> None:
        """Break every connection, so that both sides notice."""
        self._cannot("break connections")

    async def freeze(self, *, is_frozen: bool) -> None:
        """Let connections be half open: nothing comes through, and nobody notices."""
        self._cannot("freeze connections")

    async def lose_next_answer(self) -> None:
        """Take the next order request, and lose its answer."""
        self._cannot("lose an answer")

    async def lose_next_request(self) -> None:
        """Lose the next order request."""
        self._cannot("lose a request")

    async def repeat_messages(self) -> None:
        """Send every message of the account's stream twice from now on."""
        self._cannot("repeat messages")

    async def shuffle_messages(self) -> None:
        """Send the messages of the account's stream out of order from now on."""
        self._cannot("send messages out of order")

    async def reject_next(self) -> None:
        """Refuse the next order."""
        self._cannot("refuse an order")

    async def skew_clock(self, by_ns: int) -> None:
        """Set the venue's clock ahead."""
        self._cannot("set the venue's clock")

    # What the venue holds in truth

    async def submits_of(self, client_order_id: ClientOrderId) -> int:
        """Return how often the order came in."""
        self._cannot("count submits")

    async def filled_of(self, client_order_id: ClientOrderId) -> Decimal:
        """Return how much of an order has filled at the venue."""
        self._cannot("tell what has filled")

    async def balance_of(self, code: str) -> Decimal:
        """Return what the account holds of a currency."""
        self._cannot("tell balances")

    def _cannot(self, what: str) -> NoReturn:
        raise CannotSteerError(f"{type(self).__name__} has no way to {what}")


class FakeTrial(VenueTrial):
    """The venue in memory, in virtual time.

    Args:
        broker_options: More options of `FakeBrokerd`.
        plugin: Another plug-in that takes the option `fake`.
    """

    is_virtual = True

    def __init__(self, *, plugin: VenuePlugin = FAKE, **broker_options: Any) -> None:
        self.plugin = plugin
        self.pair = CurrencyPair.define(
            "BTC/USDT.FAKE",
            price_increment="0.01",
            quantity_increment="0.001",
            taker_fee="0.001",
            maker_fee="0.0005",
        )
        self.instrument_id = self.pair.id
        self.fake: FakeVenue
        self._more = broker_options

    async def open(self) -> None:
        """Make the venue."""
        self.fake = FakeVenue(
            [self.pair],
            clock_ns=self.clock.timestamp_ns,
            balances={"USDT": 1_000_000, "BTC": 100},
        )
        self.data_options = {"fake": self.fake}
        self.broker_options = {"fake": self.fake, **self._more}
        await self.move(Decimal("99.99"), Decimal("100.01"))

    @property
    def _wire(self) -> Any:
        return self.fake.wire(self.account_id)

    async def move(self, bid: Decimal, ask: Decimal) -> None:
        """Move the best bid and ask."""
        self.fake.market.quote(self.instrument_id, float(bid), float(ask))

    async def print_trade(self, price: Decimal) -> None:
        """Let others trade."""
        self.fake.market.trade(self.instrument_id, float(price))

    async def fill(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        """Fill so much of a resting order."""
        self.fake.market.fill(self.account_id, client_order_id, quantity)

    async def break_connections(self) -> None:
        """Break every connection."""
        self.fake.break_connections()

    async def freeze(self, *, is_frozen: bool) -> None:
        """Let connections be half open."""
        self.fake.freeze(is_frozen=is_frozen)

    async def lose_next_answer(self) -> None:
        """Take the next order request, and lose its answer."""
        self._wire.lose_answers = 1

    async def lose_next_request(self) -> None:
        """Lose the next order request."""
        self._wire.lose_requests = 1

    async def repeat_messages(self) -> None:
        """Send everything twice."""
        self.fake.set_faults(Faults(duplicate=1.0))

    async def shuffle_messages(self) -> None:
        """Send half of everything late."""
        self.fake.set_faults(Faults(reorder=0.5, delay_s=0.2))

    async def reject_next(self) -> None:
        """Refuse the next order."""
        self.fake.market.reject_next("told to refuse")

    async def skew_clock(self, by_ns: int) -> None:
        """Set the venue's clock ahead."""
        self.fake.skew_ns = by_ns

    async def submits_of(self, client_order_id: ClientOrderId) -> int:
        """Return how often the order came in."""
        return self.fake.market.submits.get(client_order_id, 0)

    async def filled_of(self, client_order_id: ClientOrderId) -> Decimal:
        """Return how much of an order has filled at the venue."""
        placed = self.fake.market.orders.get((self.account_id, client_order_id))
        return Decimal(0) if placed is None else placed.filled

    async def balance_of(self, code: str) -> Decimal:
        """Return what the account holds of a currency."""
        balances = self.fake.market.balances(self.account_id)
        return next((amount for c, amount in balances.items() if c.code == code), Decimal(0))

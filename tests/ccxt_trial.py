"""The local exchange as a venue of the plug-in for ccxt: what its tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

from workbench_ccxt import PLUGIN
from workbench_ccxt.brokerd import CcxtBrokerd
from workbench_ccxt.datad import CcxtDatad
from workbench_exchange import Listing, LocalExchange, QuietMarket

from workbench.model.enums import OrderSide
from workbench.model.identifiers import ClientOrderId, InstrumentId
from workbench.venues import BrokerContext, DataContext
from workbench.venues.secrets import Credentials, Secret
from workbench.venues.testing import VenueTrial

LISTING = Listing(base="BTC", quote="USDT", min_notional=Decimal(1))
MONEY = {"BTC": 100, "USDT": 1_000_000}
EVENTS = ("executionReport", "outboundAccountPosition")


_T = TypeVar("_T")


class Notes:
    """A sink that notes what it is told."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.lost_for: list[str] = []
        self.gaps: list[str] = []
        self.signs = 0

    def data(self, message: Any) -> None:
        self.messages.append(message)

    report = data

    def alive(self) -> None:
        self.signs += 1

    def lost(self, reason: str) -> None:
        self.lost_for.append(reason)

    def gap(self, reason: str) -> None:
        self.gaps.append(reason)

    def of(self, kind: type[_T]) -> list[_T]:
        return [one for one in self.messages if isinstance(one, kind)]


class LocalTrial(VenueTrial):
    """The local exchange as a venue.

    Args:
        is_threaded: Whether it has a thread of its own: it goes on while this loop is held up.
        market: What moves the prices; by default nothing.
        money: What the account has to begin with.
        options: More of the plug-in's `brokerd`.
    """

    plugin = PLUGIN
    instrument_id = InstrumentId("BTC/USDT.BINANCE")

    def __init__(
        self,
        *,
        is_threaded: bool = False,
        market: Any = None,
        money: dict[str, int] = MONEY,
        **options: Any,
    ) -> None:
        self.options = options
        self.money = money
        self.is_threaded = is_threaded
        self.market = market or QuietMarket()
        self.exchange: LocalExchange

    async def open(self) -> None:
        """Start the exchange, and a market of about 100."""
        self.exchange = LocalExchange(
            [LISTING],
            accounts={"a": self.money, "b": {name: 10 * amount for name, amount in MONEY.items()}},
            market=self.market,
        )
        if self.is_threaded:
            self.exchange.start()
        else:
            await self.exchange.open()
        key = self.exchange.keys["a"]
        self.data_options = {"exchange": "binance", "base_url": self.exchange.addresses.rest}
        self.broker_options = {**self.data_options, **self.options}
        self.credentials = Credentials(
            {"api_key": Secret(key.api_key), "api_secret": Secret(key.api_secret)}
        )
        self._quoted: list[int] = []
        self._moves = 0
        self.submits: dict[str, int] = {}
        self._count_submits()
        await self.move(Decimal("99.99"), Decimal("100.01"))

    async def close(self) -> None:
        """End the exchange."""
        self.exchange.thaw()
        if self.is_threaded:
            self.exchange.stop()
        else:
            await self.exchange.close()

    def act(self, work: Callable[[], _T]) -> _T:
        """Do something at the exchange; this loop is held up until it is done."""

        async def later() -> _T:
            return work()

        return self.exchange.run(later()) if self.is_threaded else work()

    @asynccontextmanager
    async def broker(self) -> AsyncIterator[tuple[CcxtBrokerd, Notes]]:
        """Connect the endpoints for orders, without a client around them."""
        clock_ns = self.clock.timestamp_ns
        context = BrokerContext(clock_ns, self.account_id, self.credentials)
        made, notes = CcxtBrokerd(context, **self.broker_options), Notes()
        try:
            await made.connect(notes)
            yield made, notes
        finally:
            await made.disconnect()

    @asynccontextmanager
    async def data(self) -> AsyncIterator[tuple[CcxtDatad, Notes]]:
        """Connect the endpoints for market data, without a client around them."""
        made, notes = CcxtDatad(DataContext(self.clock.timestamp_ns), **self.data_options), Notes()
        try:
            await made.connect(notes)
            yield made, notes
        finally:
            await made.disconnect()

    @property
    def pair(self) -> Any:
        """Return the symbol."""
        return self.exchange.venue.pairs["BTCUSDT"]

    def _count_submits(self) -> None:
        place = self.exchange.venue.place

        def counted(owner: str, pair: Any, new: Any) -> Any:
            self.submits[new.client_id] = self.submits.get(new.client_id, 0) + 1
            return place(owner, pair, new)

        self.exchange.venue.place = counted  # pyright: ignore[reportAttributeAccessIssue]

    def _ticks(self, price: Decimal) -> int:
        return int(price / LISTING.tick)

    async def move(self, bid: Decimal, ask: Decimal, size: Decimal | None = None) -> None:
        """Move the best bid and ask, and let the last price be there; so much is bid for."""
        self.act(lambda: self._move(bid, ask, size))

    def _move(self, bid: Decimal, ask: Decimal, size: Decimal | None = None) -> None:
        venue, pair = self.exchange.venue, self.pair
        for number in self._quoted:
            pair.book.cancel(number)
        self._moves += 1  # the same top of the book is not told twice
        lots = 100_000_000 + self._moves
        bid_lots = lots if size is None else int(size / LISTING.step)
        self._quoted = [
            venue.quote(pair, side, self._ticks(price), count)
            for side, price, count in (
                (OrderSide.BUY, bid, bid_lots),
                (OrderSide.SELL, ask, lots),
            )
        ]
        venue.trade(pair, OrderSide.BUY, 1)
        venue.settle(pair)
        venue.commit()

    async def print_trade(self, price: Decimal) -> None:
        """Let others trade."""
        self.act(lambda: self.trade(1))

    def trade(self, count: int) -> None:
        """Let others trade so often, told all at once."""
        for _ in range(count):
            self.exchange.venue.trade(self.pair, OrderSide.BUY, 10)
        self.exchange.venue.commit()

    async def fill(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        """Let somebody take so much of an order, whatever stands before it."""
        self.act(lambda: self._fill(client_order_id, quantity))

    def _fill(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        venue, pair = self.exchange.venue, self.pair
        order = self.order(client_order_id)
        for number in self._quoted:
            pair.book.cancel(number)
        lots = int(quantity / LISTING.step)
        limit = order.ticks
        venue.trade(pair, order.side.opposite, lots, limit=limit)
        venue.commit()

    def order(self, client_order_id: ClientOrderId) -> Any:
        """Return an order at the exchange."""
        found = self.exchange.venue.find("a", "BTCUSDT", None, client_order_id)
        assert found is not None, f"no order {client_order_id}"
        return found

    async def break_connections(self) -> None:
        """End every connection."""
        self.exchange.disconnect()

    async def freeze(self, *, is_frozen: bool) -> None:
        """Answer nothing, or go on."""
        if is_frozen:
            self.exchange.freeze()
        else:
            self.exchange.thaw()

    async def lose_next_answer(self) -> None:
        """Take the next order, and close the connection."""
        self.exchange.inject("lose_reply", "order.place")

    async def lose_next_request(self) -> None:
        """Close the connection at the next order, which is not taken."""
        self.exchange.inject("lose_request", "order.place")

    async def repeat_messages(self) -> None:
        """Send the account's events twice."""
        for kind in EVENTS:
            self.exchange.inject("duplicate", kind, count=1000)

    async def shuffle_messages(self) -> None:
        """Send half of the account's events after the next one."""
        self.exchange.inject("reorder", "executionReport", count=1000)

    async def reject_next(self) -> None:
        """Leave the account without money for the next order."""
        self.exchange.venue.wallets["a"].balances["USDT"].free = Decimal(0)

    async def skew_clock(self, by_ns: int) -> None:
        """Set the exchange's clock ahead."""
        self.exchange.skew(by_ns // 1_000_000)

    async def submits_of(self, client_order_id: ClientOrderId) -> int:
        """Return how often the order came in."""
        return self.submits.get(client_order_id, 0)

    async def filled_of(self, client_order_id: ClientOrderId) -> Decimal:
        """Return how much of an order has filled."""
        return LISTING.quantity(self.order(client_order_id).done)

    async def balance_of(self, code: str) -> Decimal:
        """Return what the account holds of a currency."""
        balance = self.exchange.venue.wallets["a"].balances[code]
        return balance.free + balance.locked

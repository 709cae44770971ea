"""One symbol: its book, its trades, and the stops that wait for its price."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from workbench.model.enums import OrderSide
from workbench.sim.order_book import OrderBook
from workbench_exchange.candles import Candles
from workbench_exchange.config import Listing
from workbench_exchange.orders import Order
from workbench_exchange.store import Counter

_KEPT_TRADES = 5_000


class PublicTrade(NamedTuple):
    """A trade as everybody sees it."""

    number: int
    ticks: int
    lots: int
    at_ms: int
    is_buyer_maker: bool


class Aggregate(msgspec.Struct):
    """The trades of one taker at one price.

    Attributes:
        number: Its id.
        first, last: Ids of its trades.
    """

    number: int
    ticks: int
    lots: int
    first: int
    last: int
    at_ms: int
    is_buyer_maker: bool


class Reach(NamedTuple):
    """What a taker would find: lots, and ticks × lots of them."""

    lots: int
    amount: int


class Stops:
    """Orders that wait for a trigger; two bounds tell whether a price reaches any."""

    def __init__(self) -> None:
        self._rising: dict[int, Order] = {}
        self._falling: dict[int, Order] = {}

    def __iter__(self) -> Iterator[Order]:
        """Go through them."""
        return iter([*self._rising.values(), *self._falling.values()])

    def add(self, order: Order) -> None:
        """Let an order wait."""
        waiting = self._rising if order.rises else self._falling
        waiting[order.number] = order

    def discard(self, order: Order) -> None:
        """Take an order out, if it is here."""
        self._rising.pop(order.number, None)
        self._falling.pop(order.number, None)

    def take_reached(self, ticks: int) -> list[Order]:
        """Take out the orders whose trigger a price reaches, the nearest trigger first."""
        rising = [one for one in self._rising.values() if one.stop_ticks <= ticks]
        falling = [one for one in self._falling.values() if one.stop_ticks >= ticks]
        rising.sort(key=lambda one: (one.stop_ticks, one.number))
        falling.sort(key=lambda one: (-one.stop_ticks, one.number))
        for order in (*rising, *falling):
            self.discard(order)
        return [*rising, *falling]


class Pair:
    """A listed symbol.

    Args:
        listing: Its rules.
        trade_ids, aggregate_ids: Count its trades.
        last_ticks: The last price that is remembered, 0 for none.
        update_id: Where the book's updates are counted from.

    Attributes:
        last_ticks: The last trade's price, 0 before the first.
        new_trades, new_aggregates: Those that nobody was told of yet.
    """

    def __init__(
        self,
        listing: Listing,
        trade_ids: Counter,
        aggregate_ids: Counter,
        last_ticks: int,
        update_id: int,
    ) -> None:
        self.listing = listing
        self.book = OrderBook(update_id)
        self.candles = Candles()
        self.stops = Stops()
        self.trade_ids = trade_ids
        self.aggregate_ids = aggregate_ids
        self.last_ticks = last_ticks
        self.trades: deque[PublicTrade] = deque(maxlen=_KEPT_TRADES)
        self.aggregates: deque[Aggregate] = deque(maxlen=_KEPT_TRADES)
        self.new_trades: list[PublicTrade] = []
        self.new_aggregates: list[Aggregate] = []

    @property
    def symbol(self) -> str:
        """Return the symbol."""
        return self.listing.symbol

    def traded(self, taker: OrderSide, parts: Iterable[tuple[int, int]], at_ms: int) -> list[int]:
        """Note the trades of one taker, as (ticks, lots); return their ids."""
        is_buyer_maker = taker is OrderSide.SELL
        numbers: list[int] = []
        aggregate: Aggregate | None = None
        for ticks, lots in parts:
            number = self.trade_ids.next()
            numbers.append(number)
            trade = PublicTrade(number, ticks, lots, at_ms, is_buyer_maker)
            self.trades.append(trade)
            self.new_trades.append(trade)
            self.candles.see(number, ticks, lots, at_ms, is_buyer_maker)
            self.last_ticks = ticks
            if aggregate is not None and aggregate.ticks == ticks:
                aggregate.lots += lots
                aggregate.last = number
                continue
            aggregate = Aggregate(
                self.aggregate_ids.next(), ticks, lots, number, number, at_ms, is_buyer_maker
            )
            self.aggregates.append(aggregate)
            self.new_aggregates.append(aggregate)
        return numbers

    def reach(
        self,
        owner: str,
        side: OrderSide,
        *,
        lots: int | None = None,
        limit: int | None = None,
        budget: int | None = None,
    ) -> Reach:
        """Return what a taker would find now.

        Args:
            owner: Whose own orders do not count.
            side: Of the taker.
            lots: How many it wants at most.
            limit: Its worst price.
            budget: The most that ticks × lots may come to.
        """
        found = amount = 0
        for ticks, offered in self.book.offered(owner, side, limit):
            wanted = offered if lots is None else min(offered, lots - found)
            if budget is not None:
                wanted = min(wanted, (budget - amount) // ticks)
            if wanted <= 0:
                break
            found += wanted
            amount += wanted * ticks
        return Reach(found, amount)

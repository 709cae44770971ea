"""A book of orders of several participants, matched by price, then time.

The matching engine of a simulated venue (`workbench.sim.matching`) has one trader and a top of book
that comes from data: what it is told is offered, is there. A market that several participants make
themselves needs the other kind: every order in the book is somebody's, an order trades with orders,
and what was taken is gone until somebody offers anew. It serves the local exchange.

Prices are whole ticks and quantities whole lots (steps of quantity), so that nothing is rounded;
amounts of money are ticks times lots.

>>> book = OrderBook()
>>> book.add(BookOrder(1, "maker", OrderSide.SELL, ticks=101, left=5))
>>> taken = book.take("taker", OrderSide.BUY, lots=3, limit=102)
>>> [(match.maker.number, match.maker.ticks, match.lots) for match in taken.matches]
[(1, 101, 3)]
>>> book.best(OrderSide.SELL)
(101, 2)
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from workbench.model.enums import OrderSide


class BookOrder(msgspec.Struct, eq=False, gc=False):
    """An order that rests.

    Attributes:
        number: Unique in its book.
        owner: Who never trades with an order of their own; empty for anybody.
        side: Whether it buys or sells.
        ticks: Its price.
        left: How many lots are still wanted.
    """

    number: int
    owner: str
    side: OrderSide
    ticks: int
    left: int


class Match(NamedTuple):
    """A trade with an order that rested, at its price; `maker.left` is already what remains."""

    maker: BookOrder
    lots: int


class Taken(NamedTuple):
    """What a taker found.

    Attributes:
        matches: Its trades, in order.
        prevented: Orders of its own that stood in the way and were taken out.
    """

    matches: list[Match]
    prevented: list[BookOrder]


class _Level:
    __slots__ = ("orders", "total")

    def __init__(self) -> None:
        self.orders: dict[int, BookOrder] = {}  # first in, first out
        self.total = 0


class OrderBook:
    """Both sides of one instrument.

    Attributes:
        update_id: Rises with every change of a level.
        changed: The levels that changed since somebody cleared it, as (side, ticks).
    """

    def __init__(self, update_id: int = 0) -> None:
        self.update_id = update_id
        self.changed: dict[tuple[OrderSide, int], None] = {}
        self._orders: dict[int, BookOrder] = {}
        self._levels: dict[OrderSide, dict[int, _Level]] = {side: {} for side in OrderSide}
        # Ranks, the best last: ticks of bids, negative ticks of asks.
        self._ranks: dict[OrderSide, list[int]] = {side: [] for side in OrderSide}

    def __contains__(self, number: int) -> bool:
        """Return whether an order rests here."""
        return number in self._orders

    def __len__(self) -> int:
        """Return how many orders rest."""
        return len(self._orders)

    def add(self, order: BookOrder) -> None:
        """Let an order rest, last at its price. It must not cross: `take` first.

        Raises:
            ValueError: If its number is taken, or nothing of it is left.
        """
        if order.number in self._orders or order.left <= 0:
            raise ValueError(f"expected a new order with something left; got {order!r}")
        levels = self._levels[order.side]
        level = levels.get(order.ticks)
        if level is None:
            level = levels[order.ticks] = _Level()
            insort(self._ranks[order.side], order.ticks * order.side.sign)
        self._orders[order.number] = order
        level.orders[order.number] = order
        level.total += order.left
        self._note(order.side, order.ticks)

    def cancel(self, number: int) -> BookOrder | None:
        """Take an order out and return it; None if it does not rest here."""
        order = self._orders.get(number)
        if order is not None:
            self._remove(order, self._levels[order.side][order.ticks])
        return order

    def take(
        self,
        owner: str,
        side: OrderSide,
        *,
        lots: int,
        limit: int | None = None,
    ) -> Taken:
        """Trade with what rests on the other side, best price first, then first-in first-out.

        Args:
            owner: Who takes: orders of theirs are taken out instead of traded with.
            side: Of the taker.
            lots: How many are wanted at most.
            limit: The worst price; None for any.
        """
        matches: list[Match] = []
        prevented: list[BookOrder] = []
        for level in self._reachable(side, limit):
            for maker in list(level.orders.values()):
                if lots <= 0:
                    return Taken(matches, prevented)
                if owner and maker.owner == owner:
                    self._remove(maker, level)
                    prevented.append(maker)
                    continue
                wanted = min(maker.left, lots)
                self._reduce(maker, wanted, level)
                matches.append(Match(maker, wanted))
                lots -= wanted
        return Taken(matches, prevented)

    def offered(
        self, owner: str, side: OrderSide, limit: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Go through what a taker would find, as (ticks, lots) best first, without its own."""
        for level in self._reachable(side, limit):
            for maker in level.orders.values():
                if not owner or maker.owner != owner:
                    yield maker.ticks, maker.left

    def best(self, side: OrderSide) -> tuple[int, int] | None:
        """Return the best price of a side and how much is there, None where nothing is."""
        ranks = self._ranks[side]
        if not ranks:
            return None
        ticks = ranks[-1] * side.sign
        return ticks, self._levels[side][ticks].total

    def levels(self, side: OrderSide, count: int) -> list[tuple[int, int]]:
        """Return the best levels of a side as (ticks, lots), best first."""
        levels, sign = self._levels[side], side.sign
        best = self._ranks[side][: -count - 1 : -1]
        return [(rank * sign, levels[rank * sign].total) for rank in best]

    def lots_at(self, side: OrderSide, ticks: int) -> int:
        """Return how much rests at a price."""
        level = self._levels[side].get(ticks)
        return 0 if level is None else level.total

    def _reachable(self, side: OrderSide, limit: int | None) -> Iterator[_Level]:
        """Go through the levels that a taker reaches; what a visit empties is gone then."""
        other = side.opposite
        levels = self._levels[other]
        for rank in reversed(list(self._ranks[other])):
            ticks = rank * other.sign
            if limit is not None and (ticks - limit) * side.sign > 0:
                return
            yield levels[ticks]

    def _reduce(self, order: BookOrder, lots: int, level: _Level) -> None:
        order.left -= lots
        level.total -= lots
        if order.left:
            self._note(order.side, order.ticks)
        else:
            self._remove(order, level)

    def _remove(self, order: BookOrder, level: _Level) -> None:
        del self._orders[order.number]
        del level.orders[order.number]
        level.total -= order.left
        if not level.orders:
            del self._levels[order.side][order.ticks]
            ranks = self._ranks[order.side]
            del ranks[bisect_left(ranks, order.ticks * order.side.sign)]
        self._note(order.side, order.ticks)

    def _note(self, side: OrderSide, ticks: int) -> None:
        self.update_id += 1
        self.changed[side, ticks] = None

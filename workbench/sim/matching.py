"""The matching engine of one instrument: level 1, price before time, whole ticks.

A limit BUY fills when ask <= price, at its own limit when it rested; best price first, then
first-in first-out. At a touch the size shown limits what is filled, once the market has gone through
the price everything is. What our own orders took is gone until the next quote or bar. A taker that
exhausts level 1 slips one tick for the rest (not IOC).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from workbench.model.data import Bar, BidAskBar, Quote, Trade
from workbench.model.enums import (
    AggressorSide,
    LiquiditySide,
    OrderSide,
    OrderType,
    TimeInForce,
)
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId, VenueOrderId
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.sim.book import Top, one_sided, top_of, walk

Source = Quote | Bar | BidAskBar | Trade | Top


@dataclass(eq=False)
class VenueOrder:
    """An order as the venue has it."""

    definition: OrderInitialized
    venue_order_id: VenueOrderId
    sequence: int
    quantity: Decimal
    price: Decimal | None
    ticks: int
    filled: Decimal = ZERO
    is_over: bool = False
    is_accepted: bool = False

    @property
    def side(self) -> OrderSide:
        """Return buy or sell."""
        return self.definition.side

    @property
    def leaves(self) -> Decimal:
        """Return what is still to be filled."""
        return self.quantity - self.filled


@dataclass
class MatchingListener:
    """What the exchange does when the matching engine decides.

    Attributes:
        accepted: The order rests from now on.
        rejected: It was refused, with the reason.
        filled: (order, quantity, price, liquidity).
        canceled: It no longer rests, with the reason.
        reducible: How much a reduce-only order may still fill; None for no limit.
    """

    accepted: Callable[[VenueOrder], None]
    rejected: Callable[[VenueOrder, str], None]
    filled: Callable[[VenueOrder, Decimal, Decimal, LiquiditySide], None]
    canceled: Callable[[VenueOrder, str], None]
    reducible: Callable[[VenueOrder], Decimal | None]


@dataclass
class _Taken:
    """What our own orders took from the present top."""

    bid: Decimal = ZERO
    ask: Decimal = ZERO
    source: Source | None = field(default=None)


class MatchingEngine:
    """Matches the orders of one instrument against its market data.

    Args:
        instrument: What is traded.
        listener: Told what happens, in order.
        adaptive_bars: Walk bars low-first when the low is nearer to the open.
        trades_move_book: Take the last trade as bid and ask.
    """

    def __init__(
        self,
        instrument: Instrument,
        listener: MatchingListener,
        *,
        adaptive_bars: bool = False,
        trades_move_book: bool = False,
    ) -> None:
        self.instrument = instrument
        self.resting: dict[ClientOrderId, VenueOrder] = {}
        self.deferred: list[VenueOrder] = []
        self.source: Source | None = None
        self._listener = listener
        self._adaptive = adaptive_bars
        self._trades_move_book = trades_move_book
        self._taken = _Taken()

    # Market data

    def on_quote(self, quote: Quote) -> None:
        """Take a quote as the top of the book and fill what it reaches."""
        self.source = quote
        if self.resting:
            self._match()

    def on_trade(self, trade: Trade) -> None:
        """Fill what rests at or through a trade's price, up to its size."""
        if self._trades_move_book:
            self.source = trade
        if self.resting:
            self._match_trade(trade)

    def on_bar(self, bar: Bar | BidAskBar) -> None:
        """Walk a bar that shows both sides; afterwards its close is the top of the book."""
        if self.resting or self.deferred:
            self._walk(walk(bar, self._adaptive))
        self.source = bar

    def on_paired_bar(self, bar: Bar | BidAskBar) -> None:
        """Walk a bar of a stream of bid and ask bars; where one is alone, the other side stays."""
        if isinstance(bar, BidAskBar):
            self.on_bar(bar)
            return
        moments = one_sided(bar, walk(bar, self._adaptive), top_of(self.source))
        self._walk(moments)
        self.source = moments[3]

    def _walk(self, moments: tuple[Top, ...]) -> None:
        for moment in moments:
            self.source = moment
            if self.deferred:
                waiting, self.deferred = self.deferred, []
                for order in waiting:
                    if not order.is_over:
                        self.place(order)
            if self.resting:
                self._match()

    @property
    def is_on_bars(self) -> bool:
        """Return whether bars, not quotes, move the book now."""
        return isinstance(self.source, (Bar, BidAskBar, Top))

    # Orders

    def place(self, order: VenueOrder) -> None:
        """Match a new order, and let what remains rest, end or slip as its kind demands."""
        if order.definition.order_type is OrderType.MARKET:
            self._take(order, None)
        elif self._is_marketable(order):
            if order.definition.post_only:
                self._end(order)
                self._listener.rejected(order, "post-only, and it would have taken liquidity")
            else:
                self._take(order, order.ticks)
        elif order.definition.time_in_force is TimeInForce.GTC:
            self._rest(order)
        else:
            self._cancel(order, f"{order.definition.time_in_force.value}: nothing to trade with")

    def amend(
        self, order: VenueOrder, quantity: Decimal, price: Decimal | None, sequence: int
    ) -> None:
        """Change a resting order; a new price or a larger quantity puts it last in its queue."""
        if price != order.price or quantity > order.quantity:
            order.sequence = sequence
        order.quantity = quantity
        if price is not None:
            order.price = price
            order.ticks = _ticks(price, self.instrument)

    def rematch(self) -> None:
        """Fill what the present top reaches, after an amendment."""
        for order in self._queue():
            if not order.is_over and self._is_marketable(order):
                self._take(order, order.ticks)

    def remove(self, order: VenueOrder) -> None:
        """Take an order out."""
        self._end(order)

    def _rest(self, order: VenueOrder) -> None:
        self.resting[order.definition.client_order_id] = order
        if not order.is_accepted:
            order.is_accepted = True
            self._listener.accepted(order)

    def _end(self, order: VenueOrder) -> None:
        order.is_over = True
        self.resting.pop(order.definition.client_order_id, None)

    def _cancel(self, order: VenueOrder, reason: str) -> None:
        self._end(order)
        self._listener.canceled(order, reason)

    def _fill(
        self, order: VenueOrder, quantity: Decimal, ticks: int, liquidity: LiquiditySide
    ) -> None:
        """Fill part of an order, at most what reduce-only allows."""
        most = self._listener.reducible(order) if order.definition.reduce_only else None
        if most is not None and quantity > most:
            quantity = most
        if quantity > 0:
            order.filled += quantity
            if order.filled >= order.quantity:
                self._end(order)
            self._listener.filled(
                order, quantity, self.instrument.price_increment * ticks, liquidity
            )
        if most is not None and most <= quantity and not order.is_over:
            self._cancel(order, "reduce-only, and nothing is left to reduce")

    # Taking

    def _is_marketable(self, order: VenueOrder) -> bool:
        price, _ = self._offer(order.side)
        if math.isnan(price):
            return False
        offered = self.instrument.ticks(price)
        return offered <= order.ticks if order.side is OrderSide.BUY else offered >= order.ticks

    def _offer(self, side: OrderSide) -> tuple[float, float]:
        """Return price and size that an order of `side` would take."""
        top = top_of(self.source)
        if side is OrderSide.BUY:
            return top.ask, top.ask_size
        return top.bid, top.bid_size

    def _take(self, order: VenueOrder, limit: int | None) -> None:
        side = order.side
        price, _ = self._offer(side)
        if math.isnan(price):
            self._end(order)
            other = "ask" if side is OrderSide.BUY else "bid"
            self._listener.rejected(order, f"no {other} to trade with at this moment")
            return
        ticks = self.instrument.ticks(price)
        available = self._available(side)
        force = order.definition.time_in_force
        wanted = order.leaves
        if force is TimeInForce.FOK and available is not None and available < wanted:
            self._cancel(order, f"fok: {available} of {wanted} available")
            return
        first = wanted if available is None else min(wanted, available)
        if first > 0:
            self._use(side, first)
            self._fill(order, first, ticks, LiquiditySide.TAKER)
        if order.is_over:
            return
        slipped = ticks + side.sign
        within = limit is None or (slipped <= limit if side is OrderSide.BUY else slipped >= limit)
        if force is not TimeInForce.GTC:
            self._cancel(order, f"{force.value}: {order.leaves} not available")
        elif within and slipped > 0:
            self._fill(order, order.leaves, slipped, LiquiditySide.TAKER)
        elif limit is None:
            self._cancel(order, "no price is left below one tick")
        else:
            self._rest(order)

    def _available(self, side: OrderSide) -> Decimal | None:
        """Return what is left of the size shown; None for unlimited."""
        _, size = self._offer(side)
        if math.isinf(size):
            return None
        taken = ZERO
        if self._taken.source is self.source:
            taken = self._taken.ask if side is OrderSide.BUY else self._taken.bid
        return max(ZERO, self.instrument.quantity(size) - taken)

    def _use(self, side: OrderSide, quantity: Decimal) -> None:
        if self._taken.source is not self.source:
            self._taken = _Taken(source=self.source)
        if side is OrderSide.BUY:
            self._taken.ask += quantity
        else:
            self._taken.bid += quantity

    # Making

    def _queue(self) -> list[VenueOrder]:
        """Return the resting orders, best price first, then first-in first-out."""
        return sorted(
            self.resting.values(), key=lambda o: (o.side.value, -o.side.sign * o.ticks, o.sequence)
        )

    def _match(self) -> None:
        top = top_of(self.source)
        bid, ask = _maybe_ticks(top.bid, self.instrument), _maybe_ticks(top.ask, self.instrument)
        if not any(_reached(order, bid, ask) for order in self.resting.values()):
            return
        for order in self._queue():
            if order.is_over or not _reached(order, bid, ask):
                continue
            if order.ticks != (ask if order.side is OrderSide.BUY else bid):
                self._fill(order, order.leaves, order.ticks, LiquiditySide.MAKER)
                continue
            available = self._available(order.side)
            quantity = order.leaves if available is None else min(order.leaves, available)
            if quantity > 0:
                self._use(order.side, quantity)
                self._fill(order, quantity, order.ticks, LiquiditySide.MAKER)

    def _match_trade(self, trade: Trade) -> None:
        ticks = self.instrument.ticks(trade.price)
        left = self.instrument.quantity(trade.size)
        for order in self._queue():
            hit = AggressorSide.SELLER if order.side is OrderSide.BUY else AggressorSide.BUYER
            through = (ticks - order.ticks) * order.side.sign
            if order.is_over or through > 0 or left <= 0:
                continue
            # At the same price only the trade's own counterparties can have been filled.
            if through == 0 and trade.aggressor not in (hit, AggressorSide.NONE):
                continue
            quantity = min(order.leaves, left)
            left -= quantity
            self._fill(order, quantity, order.ticks, LiquiditySide.MAKER)


def _reached(order: VenueOrder, bid: int | None, ask: int | None) -> bool:
    if order.side is OrderSide.BUY:
        return ask is not None and ask <= order.ticks
    return bid is not None and bid >= order.ticks


def _maybe_ticks(price: float, instrument: Instrument) -> int | None:
    return None if math.isnan(price) else instrument.ticks(price)


def _ticks(price: Decimal | None, instrument: Instrument) -> int:
    return 0 if price is None else int((price / instrument.price_increment).to_integral_value())


def venue_order(
    definition: OrderInitialized,
    venue_order_id: VenueOrderId,
    sequence: int,
    instrument: Instrument,
) -> VenueOrder:
    """Return a new order as the venue keeps it."""
    return VenueOrder(
        definition=definition,
        venue_order_id=venue_order_id,
        sequence=sequence,
        quantity=definition.quantity,
        price=definition.price,
        ticks=_ticks(definition.price, instrument),
    )

"""The matching engine of one instrument: level 1, price before time, whole ticks.

A limit BUY fills when ask <= price, at its own limit when it rested; best price first, then
first-in first-out. At a touch the size shown limits what is filled, once the market has gone
through the price everything is. What our own orders took is gone until the next quote or bar. A
taker that exhausts level 1 slips one tick for the rest (not IOC). A side that shows no size is not
there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import msgspec

from workbench.model.data import Bar, BarType, BidAskBar, Quote, Trade
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
_NOT_FIXED = float("inf")


class Offer(NamedTuple):
    """What one side shows: its price in ticks and how much; None for unlimited."""

    ticks: int
    shown: Decimal | None


class VenueOrder(msgspec.Struct, eq=False, gc=False):
    """An order as the venue has it."""

    definition: OrderInitialized
    venue_order_id: VenueOrderId
    sequence: int
    quantity: Decimal
    price: Decimal | None
    ticks: int
    filled: Decimal = ZERO
    is_accepted: bool = False
    is_over: bool = False

    @property
    def side(self) -> OrderSide:
        """Return buy or sell."""
        return self.definition.side

    @property
    def leaves(self) -> Decimal:
        """Return what is still to be filled."""
        return self.quantity - self.filled

    def is_reached(self, offer: Offer | None) -> bool:
        """Return whether its limit allows to trade at an offer."""
        if offer is None:
            return False
        return (offer.ticks - self.ticks) * self.side.sign <= 0


@dataclass
class MatchingListener:
    """What the exchange does when the matching engine decides.

    Attributes:
        accepted: The order rests from now on.
        rejected: It was refused, with the reason.
        filled: (order, quantity, price, liquidity).
        canceled: It no longer rests, with the reason.
        reducible: How much a reduce-only order may still fill.
    """

    accepted: Callable[[VenueOrder], None]
    rejected: Callable[[VenueOrder, str], None]
    filled: Callable[[VenueOrder, Decimal, Decimal, LiquiditySide], None]
    canceled: Callable[[VenueOrder, str], None]
    reducible: Callable[[VenueOrder], Decimal]


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
        waits_for_open: An order sent on a bar that would take waits for the next bar's open.
    """

    def __init__(
        self,
        instrument: Instrument,
        listener: MatchingListener,
        *,
        adaptive_bars: bool = False,
        trades_move_book: bool = False,
        waits_for_open: bool = False,
    ) -> None:
        self.instrument = instrument
        self.resting: dict[ClientOrderId, VenueOrder] = {}
        self.deferred: list[VenueOrder] = []
        self.source: Source | None = None
        self._listener = listener
        self._adaptive = adaptive_bars
        self._trades_move_book = trades_move_book
        self._waits_for_open = waits_for_open
        self._bars: BarType | None = None
        self._taken = _Taken()

    def redefine(self, instrument: Instrument) -> None:
        """Take an instrument's newer definition."""
        self.instrument = instrument
        for order in (*self.resting.values(), *self.deferred):
            order.ticks = _ticks(order.price, instrument)

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

    def on_bar(self, bar: Bar) -> None:
        """Walk a bar that shows both sides; afterwards its close is the top of the book."""
        if bar.bar_type is self._bars or self._is_finest(bar.bar_type):
            if self.resting or self.deferred:
                self._walk_whole(bar)
            self.source = bar

    def on_paired_bar(self, bar: Bar | BidAskBar) -> None:
        """Walk a bar of a stream of bid and ask bars; where one is alone, the other side stays."""
        if not self._is_finest(bar.bid.bar_type if isinstance(bar, BidAskBar) else bar.bar_type):
            return
        if isinstance(bar, BidAskBar):
            self._walk_whole(bar)
            self.source = bar
            return
        moments = one_sided(bar, walk(bar, self._adaptive), top_of(self.source))
        self._walk(moments)
        self.source = moments[3]

    def _is_finest(self, bar_type: BarType) -> bool:
        """Return whether no finer bars are there: coarser ones tell the same prices once more."""
        if self._bars is not None and _length(bar_type) > _length(self._bars):
            return False
        self._bars = bar_type
        return True

    def _walk_whole(self, bar: Bar | BidAskBar) -> None:
        moments = walk(bar, self._adaptive)
        self._walk(moments)
        if self._taken.source is moments[3]:
            # The close is still the same moment: what was taken of it is gone.
            self._taken.source = bar

    def _walk(self, moments: tuple[Top, ...]) -> None:
        for moment in moments:
            self.source = moment
            if self.deferred:
                waiting, self.deferred = self.deferred, []
                for order in waiting:
                    if not order.is_over:
                        self._place(order, waits=False)
            if self.resting:
                self._match()

    # Orders

    def place(self, order: VenueOrder) -> None:
        """Match a new order, and let what remains rest, end or slip as its kind demands."""
        self._place(order, waits=self._takers_wait())

    def _takers_wait(self) -> bool:
        return self._waits_for_open and isinstance(self.source, (Bar, BidAskBar, Top))

    def _place(self, order: VenueOrder, *, waits: bool) -> None:
        definition = order.definition
        offer = self._offer(order.side)
        takes = definition.order_type is OrderType.MARKET or order.is_reached(offer)
        if takes and definition.post_only:
            self._end(order)
            self._listener.rejected(order, "post-only, and it would have taken liquidity")
        elif takes and waits:
            self.deferred.append(order)
        elif takes and offer is None:
            self._end(order)
            self._listener.rejected(order, self._nothing_offered(order.side))
        else:
            self._enter(order, offer if takes else None)

    def _enter(self, order: VenueOrder, offer: Offer | None) -> None:
        """Accept an order if it may rest, and let it take what is offered."""
        definition = order.definition
        force = definition.time_in_force
        if definition.order_type is OrderType.LIMIT and force is TimeInForce.GTC:
            self.resting[definition.client_order_id] = order
            if not order.is_accepted:
                order.is_accepted = True
                self._listener.accepted(order)
        if offer is not None:
            self._take(order, offer)
        elif force is not TimeInForce.GTC:
            self._cancel(order, f"{force.value}: nothing to trade with")

    def would_take(self, order: VenueOrder, price: Decimal | None) -> bool:
        """Return whether an order that rests would take liquidity at another price."""
        offer = self._offer(order.side)
        ticks = _ticks(price, self.instrument)
        return offer is not None and (offer.ticks - ticks) * order.side.sign <= 0

    def amend(
        self, order: VenueOrder, quantity: Decimal, price: Decimal | None, sequence: int
    ) -> None:
        """Change a resting order; a new price or a larger quantity puts it last in its queue."""
        if price is None:
            price = order.price
        if price != order.price or quantity > order.quantity:
            order.sequence = sequence
        order.quantity = quantity
        order.price = price
        order.ticks = _ticks(price, self.instrument)

    def rematch(self, order: VenueOrder) -> None:
        """Let an order that got another price take what it reaches now, or wait as a new one."""
        offer = self._offer(order.side)
        takes = offer is not None and order.is_reached(offer)
        client_order_id = order.definition.client_order_id
        if self._takers_wait():
            if takes and self.resting.pop(client_order_id, None) is not None:
                self.deferred.append(order)
            elif not takes and order.is_accepted and order in self.deferred:
                self.deferred.remove(order)
                self.resting[client_order_id] = order
        elif offer is not None and takes:
            self._take(order, offer)

    def remove(self, order: VenueOrder) -> None:
        """Take an order out."""
        self._end(order)

    def _end(self, order: VenueOrder) -> None:
        order.is_over = True
        self.resting.pop(order.definition.client_order_id, None)

    def _cancel(self, order: VenueOrder, reason: str) -> None:
        self._end(order)
        self._listener.canceled(order, reason)

    def _wanted(self, order: VenueOrder) -> Decimal:
        """Return what is still to be filled, at most what reduce-only allows."""
        leaves = order.quantity - order.filled
        if not order.definition.reduce_only:
            return leaves
        return min(leaves, self._listener.reducible(order))

    def _fill(
        self, order: VenueOrder, quantity: Decimal, ticks: int, liquidity: LiquiditySide
    ) -> None:
        """Fill part of an order, at most what it wants."""
        if quantity > 0:
            order.filled += quantity
            if order.filled >= order.quantity:
                self._end(order)
            self._listener.filled(
                order, quantity, self.instrument.price_increment * ticks, liquidity
            )
        if order.definition.reduce_only and not order.is_over and self._wanted(order) <= 0:
            self._cancel(order, "reduce-only, and nothing is left to reduce")

    # Taking

    def _offer(self, side: OrderSide) -> Offer | None:
        """Return what an order of `side` would take; None where nothing is there."""
        top = top_of(self.source)
        if side is OrderSide.BUY:
            return self._offer_of(top.ask, top.ask_size)
        return self._offer_of(top.bid, top.bid_size)

    def _offer_of(self, price: float, size: float) -> Offer | None:
        if math.isnan(price):
            return None
        if math.isinf(size):
            return Offer(self.instrument.ticks(price), None)
        shown = self.instrument.quantity(size)
        return Offer(self.instrument.ticks(price), shown) if shown > 0 else None

    def _nothing_offered(self, side: OrderSide) -> str:
        other = "ask" if side is OrderSide.BUY else "bid"
        hint = "; data of trades only needs trades_move_book" if self.source is None else ""
        return f"no {other} to trade with at this moment{hint}"

    def _take(self, order: VenueOrder, offer: Offer) -> None:
        side, force = order.side, order.definition.time_in_force
        limited = order.definition.order_type is OrderType.LIMIT
        available = self._left(side, offer)
        wanted = self._wanted(order)
        if force is TimeInForce.FOK and available is not None and available < wanted:
            self._cancel(order, f"fok: {available} of {wanted} available")
            return
        first = wanted if available is None else min(wanted, available)
        self._use(side, first)
        self._fill(order, first, offer.ticks, LiquiditySide.TAKER)
        if order.is_over:
            return
        slipped = Offer(offer.ticks + side.sign, None)
        if force is not TimeInForce.GTC:
            self._cancel(order, f"{force.value}: {order.leaves} not available")
        elif slipped.ticks > 0 and (not limited or order.is_reached(slipped)):
            self._fill(order, self._wanted(order), slipped.ticks, LiquiditySide.TAKER)
        elif not limited:
            self._cancel(order, "no price is left below one tick")

    def _left(self, side: OrderSide, offer: Offer) -> Decimal | None:
        """Return what is left of what an offer showed; None for unlimited."""
        if offer.shown is None or self._taken.source is not self.source:
            return offer.shown
        taken = self._taken.ask if side is OrderSide.BUY else self._taken.bid
        return max(ZERO, offer.shown - taken)

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
        offers = {
            OrderSide.BUY: self._offer_of(top.ask, top.ask_size),
            OrderSide.SELL: self._offer_of(top.bid, top.bid_size),
        }
        if not any(order.is_reached(offers[order.side]) for order in self.resting.values()):
            return
        for order in self._queue():
            offer = offers[order.side]
            if offer is None or order.is_over or not order.is_reached(offer):
                continue
            quantity = self._wanted(order)
            if order.ticks == offer.ticks:
                available = self._left(order.side, offer)
                quantity = quantity if available is None else min(quantity, available)
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
            quantity = min(self._wanted(order), left)
            left -= quantity
            self._fill(order, quantity, order.ticks, LiquiditySide.MAKER)


def _length(bar_type: BarType) -> float:
    return bar_type.spec.interval_ns or _NOT_FIXED


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

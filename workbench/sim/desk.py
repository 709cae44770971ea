"""The order desk of one instrument: what becomes of an order at the prices of this moment.

A market order trades, a limit order trades or rests, a stop waits for its trigger; what must not
rest ends. What a taker finds beyond the size shown is the fill model's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from workbench.engines.triggers import AFTER_TRIGGER, TRIGGERED, Prices, Watch, limit_behind
from workbench.model.data import Bar, BidAskBar, Quote, Trade
from workbench.model.enums import AggressorSide, LiquiditySide, OrderSide, OrderType, TimeInForce
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.sim.book import Top, top_of
from workbench.sim.depth import Depth
from workbench.sim.fill_models import FillModel
from workbench.sim.offers import Offer, Offers, best_first, offer_of, offers_of
from workbench.sim.resting import Resting, VenueOrder, exact_ticks, watch_of

Source = Quote | Bar | BidAskBar | Trade | Top
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
AUCTIONS = frozenset({TimeInForce.AT_THE_OPEN, TimeInForce.AT_THE_CLOSE})
_NEVER_RESTS = _AT_ONCE | AUCTIONS
_RESTS = frozenset({OrderType.LIMIT, OrderType.MARKET_TO_LIMIT})
_UNPRICED = frozenset({OrderType.MARKET, OrderType.MARKET_TO_LIMIT})


@dataclass
class MatchingListener:
    """What the exchange does when the matching engine decides.

    Attributes:
        accepted: The order rests from now on.
        rejected: It was refused, with the reason.
        triggered: Its trigger was reached; it is a limit order now.
        updated: Its price or trigger price changed of the venue's own accord.
        filled: (order, quantity, price, liquidity).
        canceled: It no longer rests, with the reason.
        expired: Its time in force ended.
        reducible: How much a reduce-only order may still fill.
    """

    accepted: Callable[[VenueOrder], None]
    rejected: Callable[[VenueOrder, str], None]
    triggered: Callable[[VenueOrder], None]
    updated: Callable[[VenueOrder], None]
    filled: Callable[[VenueOrder, Decimal, Decimal, LiquiditySide], None]
    canceled: Callable[[VenueOrder, str], None]
    expired: Callable[[VenueOrder], None]
    reducible: Callable[[VenueOrder], Decimal]


class OrderDesk:
    """Places, fills and ends the orders of one instrument.

    Args:
        instrument: What is traded.
        listener: Told what happens, in order.
        fills: What takers find.
        waits_for_open: An order sent on a bar that would take waits for the next bar's open.
        rejects_reached: Reject an order whose trigger is reached already when it comes.

    Attributes:
        resting: The orders that wait.
        waits_for_open: Whether orders that take liquidity wait for the next bar's open.
        deferred: Those that wait for the next bar's open.
        source: What shows the present prices.
        at: What is offered within a move, in place of what the source shows.
        is_walking: Whether a bar is gone through: nothing that comes up then waits for an open.
        is_halted: Whether nothing can be traded now.
        depth: What can be taken.
        last, mark: The last trade's price and the mark price, None before the first.
        arrivals: How many orders have begun to wait.
    """

    def __init__(
        self,
        instrument: Instrument,
        listener: MatchingListener,
        fills: FillModel,
        *,
        waits_for_open: bool = False,
        rejects_reached: bool = False,
    ) -> None:
        self.instrument = instrument
        self.resting = Resting(instrument)
        self.deferred: list[VenueOrder] = []
        self.source: Source | None = None
        self.at: Offers | None = None
        self.is_walking = False
        self.is_halted = False
        self.depth = Depth(instrument, fills)
        self._last: float | None = None
        self._before_last: Source | None = None  # what showed the prices when it was told
        self.mark: float | None = None
        self.arrivals = 0
        self._listener = listener
        self.waits_for_open = waits_for_open
        self._rejects_reached = rejects_reached

    @property
    def last(self) -> float | None:
        """Return the last price, None before the first; that of a bar is its close."""
        source = self.source
        if type(source) is Bar and source is not self._before_last:
            return source.close
        return self._last

    @last.setter
    def last(self, price: float | None) -> None:
        self._last = price
        self._before_last = self.source

    def redefine(self, instrument: Instrument) -> None:
        """Take an instrument's newer definition."""
        self.instrument = self.depth.instrument = instrument
        self.resting.redefine(instrument)
        for order in self.deferred:
            order.ticks = exact_ticks(order.price, instrument)

    def place(self, order: VenueOrder) -> None:
        """Match a new order, and let what remains rest, end or slip as its kind demands."""
        if order.order_type in TRIGGERED:
            self._await_trigger(order)
        elif order.definition.time_in_force in AUCTIONS:
            self._accept(order)
            self.resting.park(order)
        else:
            self.work(order, waits=self._takers_wait())

    def hold(self, order: VenueOrder) -> None:
        """Keep an order that works once its parent fills."""
        self._accept(order)
        self.resting.park(order)

    def let_go(self, order: VenueOrder) -> None:
        """Hold an order no longer whose parent filled: it is about to be placed."""
        self.resting.discard(order)

    def arm(self, order: VenueOrder, now_ns: int) -> None:
        """Let an order for the session's opening trade at the next price."""
        self.resting.arm(order, now_ns)

    def close_session(self, order: VenueOrder) -> None:
        """Let an order for the session's close trade at the present price."""
        self.resting.discard(order)
        self.auction(order)

    def auction(self, order: VenueOrder) -> None:
        """Let an order trade at once; what is left of it ends.

        One that the fill of another cancelled just now is over already.
        """
        if order.is_over:
            return
        if not self.is_halted:
            self.work(order, waits=False)
        if not order.is_over:
            self.expire(order)

    def expire(self, order: VenueOrder) -> None:
        """End an order whose time is over."""
        # One that waits for the next open has not been accepted; only what was can expire.
        self._accept(order)
        self._end(order)
        self._listener.expired(order)

    def _takers_wait(self) -> bool:
        return (
            self.waits_for_open
            and not self.is_walking
            and isinstance(self.source, (Bar, BidAskBar, Top))
        )

    def _accept(self, order: VenueOrder) -> None:
        if not order.is_accepted:
            order.is_accepted = True
            self._listener.accepted(order)

    def _await_trigger(self, order: VenueOrder) -> None:
        watch = order.watch = watch_of(order, self.instrument)
        before = watch.trigger
        is_reached = watch.see(self.prices())
        if is_reached and self._rejects_reached and not order.is_accepted:
            self._end(order)
            self._listener.rejected(order, "its trigger is reached already")
            return
        self._accept(order)
        if watch.trigger != before:
            self.trail(order)
        if is_reached:
            self.trigger(order)
        else:
            self.rest(order)

    def trail(self, order: VenueOrder) -> None:
        """Give a trailing stop the prices that its watch has moved to."""
        watch, increment = order.watch, self.instrument.price_increment
        assert watch is not None
        trigger = watch.trigger
        assert trigger is not None
        order.trigger_price = increment * trigger
        if order.order_type is OrderType.TRAILING_STOP_LIMIT:
            order.ticks = limit_behind(trigger, order.side, order.definition.terms, self.instrument)
            order.price = increment * order.ticks
        self._listener.updated(order)

    def trigger(self, order: VenueOrder) -> None:
        """Let an order go on whose trigger was reached."""
        order.watch = None
        order.order_type = AFTER_TRIGGER[order.order_type]
        if order.order_type is OrderType.LIMIT:
            self._listener.triggered(order)
        if not order.is_over:
            self.work(order, waits=self._takers_wait())

    def rest(self, order: VenueOrder) -> None:
        """Let an order wait for its price or trigger."""
        self.arrivals += 1
        self.resting.add(order)

    def work(self, order: VenueOrder, *, waits: bool) -> None:
        """Let a market or limit order take what it can, and rest, end or slip."""
        offer = self._offer(order.side)
        unpriced = order.order_type in _UNPRICED
        takes = unpriced or _reaches(order.side, order.ticks, offer)
        if takes and order.definition.post_only:
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
        force = order.definition.time_in_force
        if order.order_type in _RESTS and force not in _NEVER_RESTS:
            if order.order_type is OrderType.MARKET_TO_LIMIT and offer is not None:
                order.ticks = offer.ticks
                order.price = self.instrument.price_increment * offer.ticks
            self._accept(order)
            self.rest(order)
        if offer is not None:
            self._take(order, offer)
        elif force in _AT_ONCE:
            self._cancel(order, f"{force.value}: nothing to trade with")

    def would_take(self, order: VenueOrder, price: Decimal | None) -> bool:
        """Return whether an order that rests would take liquidity at another price."""
        if order.watch is not None or self.resting.is_parked(order):
            return False
        ticks = exact_ticks(price, self.instrument)
        return _reaches(order.side, ticks, self._offer(order.side))

    def amend_refusal(
        self,
        order: VenueOrder,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> str:
        """Return why an order cannot be changed so, "" if it can."""
        if quantity < order.filled:
            return f"{order.filled} are filled; the quantity cannot become {quantity}"
        is_retriggered = trigger_price not in (None, order.trigger_price)
        if is_retriggered and order.order_type not in TRIGGERED:
            return "it has no trigger that could still be reached"
        is_repriced = price not in (None, order.price)
        if is_repriced and order.price is None and order.order_type is not OrderType.LIMIT:
            return f"a {order.order_type.value} order has no price to change"
        if is_repriced and order.definition.post_only and self.would_take(order, price):
            return "post-only, and it would have taken liquidity"
        return ""

    def amend(
        self,
        order: VenueOrder,
        quantity: Decimal,
        price: Decimal | None,
        trigger_price: Decimal | None,
        sequence: int,
    ) -> None:
        """Change a resting order; a new price or a larger quantity puts it last in its queue."""
        price = order.price if price is None else price
        trigger_price = order.trigger_price if trigger_price is None else trigger_price
        is_moved = price != order.price or trigger_price != order.trigger_price
        waits = self.resting.awaits_price(order)
        if waits:
            self.resting.discard(order)
        if is_moved or quantity > order.quantity:
            order.sequence = sequence
        order.quantity = quantity
        order.price = price
        order.ticks = exact_ticks(price, self.instrument)
        if order.watch is not None and trigger_price != order.trigger_price:
            order.watch.trigger = exact_ticks(trigger_price, self.instrument)
            order.watch.was_reached = False
        order.trigger_price = trigger_price
        if waits:
            self.rest(order)

    def rematch(self, order: VenueOrder) -> None:
        """Let an order with another price take what it reaches now, or wait as a new one."""
        if self.resting.is_parked(order):
            return
        if order.watch is not None:
            self._rewatch(order, order.watch)
            return
        offer = self._offer(order.side)
        takes = _reaches(order.side, order.ticks, offer)
        if self._takers_wait():
            if takes and self.resting.discard(order):
                self.deferred.append(order)
            elif not takes and order.is_accepted and order in self.deferred:
                self.deferred.remove(order)
                self.rest(order)
        elif offer is not None and takes:
            self._take(order, offer)

    def _rewatch(self, order: VenueOrder, watch: Watch) -> None:
        """Show a trigger that was moved what there is now."""
        before = watch.trigger
        if watch.see(self.prices()):
            self.resting.discard(order)
            self.trigger(order)
        elif watch.trigger != before:
            self.trail(order)

    def remove(self, order: VenueOrder) -> None:
        """Take an order out."""
        self._end(order)

    def _end(self, order: VenueOrder) -> None:
        order.is_over = True
        self.resting.discard(order)

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

    # What is offered

    def _offer(self, side: OrderSide) -> Offer | None:
        """Return what an order of `side` would take; None where nothing is there."""
        if self.at is not None:
            return self.at[side]
        top = top_of(self.source)
        if side is OrderSide.BUY:
            return offer_of(self.instrument, top.ask, top.ask_size)
        return offer_of(self.instrument, top.bid, top.bid_size)

    def _nothing_offered(self, side: OrderSide) -> str:
        other = "ask" if side is OrderSide.BUY else "bid"
        hint = "; data of trades only needs trades_move_book" if self.source is None else ""
        return f"no {other} to trade with at this moment{hint}"

    def prices(self, offers: Offers | None = None) -> Prices:
        """Return what triggers are compared with."""
        at = offers or self.at or offers_of(self.instrument, top_of(self.source))
        bid, ask = at[OrderSide.SELL], at[OrderSide.BUY]
        ticks = self.instrument.ticks
        return Prices(
            None if bid is None else bid.ticks,
            None if ask is None else ask.ticks,
            None if self.last is None else ticks(self.last),
            None if self.mark is None else ticks(self.mark),
        )

    # Taking

    def _take(self, order: VenueOrder, offer: Offer) -> None:
        side, force = order.side, order.definition.time_in_force
        wanted = self._wanted(order)
        found = self.depth.found(order, offer, wanted, self.source)
        if force is TimeInForce.FOK:
            available = sum((size for _, size in found if size is not None), ZERO)
            if all(size is not None for _, size in found) and available < wanted:
                self._cancel(order, f"fok: {available} of {wanted} available")
                return
        for ticks, size in found:
            quantity = wanted if size is None else min(wanted, size)
            if quantity > 0:
                self.depth.use(side, quantity, self.source)
                self._fill(order, quantity, ticks, LiquiditySide.TAKER)
            if order.is_over:
                return
            wanted = self._wanted(order)
        self._after_taking(order)

    def _after_taking(self, order: VenueOrder) -> None:
        """Let what is left of a taker rest, or end."""
        force = order.definition.time_in_force
        if force in _AT_ONCE:
            self._cancel(order, f"{force.value}: {order.leaves} not available")
        elif order.order_type is OrderType.MARKET:
            self._cancel(order, "no price is left below one tick")
        elif order.order_type is OrderType.MARKET_TO_LIMIT:
            order.order_type = OrderType.LIMIT
            self._listener.updated(order)

    def meet(self, order: VenueOrder, offers: Offers) -> None:
        """Trade an order that the market has come to."""
        if order.watch is not None:
            self.resting.discard(order)
            self.trigger(order)
            return
        offer = offers[order.side]
        quantity = self._wanted(order)
        if offer is not None and order.ticks == offer.ticks:
            if not self.depth.fills_touch():
                return
            shown = self.depth.shown(offer)
            if shown is not None:
                left = max(ZERO, shown - self.depth.gone(order.side, self.source))
                quantity = min(quantity, left)
            self.depth.use(order.side, quantity, self.source)
        self._fill(order, quantity, order.ticks, LiquiditySide.MAKER)

    def match_trade(self, trade: Trade) -> None:
        """Fill what rests at or through a trade's price, up to its size."""
        ticks = self.instrument.ticks(trade.price)
        left = self.instrument.quantity(trade.size)
        reached = [
            order
            for side in OrderSide
            for order in self.resting.reached(side, ticks)
            if order.watch is None
        ]
        for order in sorted(reached, key=best_first):
            hit = AggressorSide.SELLER if order.side is OrderSide.BUY else AggressorSide.BUYER
            if order.is_over or left <= 0:
                continue
            # At the same price only the trade's own counterparties can have been filled.
            if order.ticks == ticks and trade.aggressor not in (hit, AggressorSide.NONE):
                continue
            quantity = min(self._wanted(order), left)
            left -= quantity
            self._fill(order, quantity, order.ticks, LiquiditySide.MAKER)


def _reaches(side: OrderSide, ticks: int, offer: Offer | None) -> bool:
    """Return whether a limit allows to trade at an offer."""
    return offer is not None and (offer.ticks - ticks) * side.sign <= 0

"""The matching engine of one instrument: level 1, price before time, whole ticks.

A limit BUY fills when ask <= price, at its own limit when it rested; best price first, then
first-in first-out. At a touch the size shown limits what is filled, once the market has gone
through the price everything is. What our own orders took is gone until the next quote or bar. A
side that shows no size is not there. What a taker finds beyond the size shown is the fill model's.

A quote, a trade and a bar's open are jumps: what they reach trades at the prices they brought.
Within a bar the price moves: each order is met where the path passes its price, in the order of the
path, and a stop fills at its trigger. What such a fill brings about (the exits of a bracket) is
there for the rest of the path.
"""

from __future__ import annotations

import math

from workbench.engines.triggers import ON_BID_ASK, Prices
from workbench.model.data import (
    Bar,
    BarType,
    BidAskBar,
    InstrumentStatus,
    MarketStatus,
    Quote,
    Trade,
)
from workbench.model.enums import PriceType, TriggerType
from workbench.model.identifiers import ClientOrderId
from workbench.model.instruments import Instrument
from workbench.sim.book import Top, one_sided, top_of, walk
from workbench.sim.desk import AUCTIONS, MatchingListener, OrderDesk
from workbench.sim.fill_models import FillModel
from workbench.sim.offers import (
    Offers,
    Step,
    between,
    offers_of,
    steps_of,
)
from workbench.sim.resting import VenueOrder

_NOT_FIXED = float("inf")


class MatchingEngine:
    """Matches the orders of one instrument against its market data.

    Args:
        instrument: What is traded.
        listener: Told what happens, in order.
        fills: What takers find.
        adaptive_bars: Walk bars low-first when the low is nearer to the open.
        trades_move_book: Take the last trade as bid and ask.
        waits_for_open: An order sent on a bar that would take waits for the next bar's open.
        rejects_reached: Reject an order whose trigger is reached already when it comes.

    Attributes:
        desk: Where its orders are.
        halt: Why the market does not trade; empty while it does.
        waiting: The orders that rest.
    """

    def __init__(
        self,
        instrument: Instrument,
        listener: MatchingListener,
        fills: FillModel,
        *,
        adaptive_bars: bool = False,
        trades_move_book: bool = False,
        waits_for_open: bool = False,
        rejects_reached: bool = False,
    ) -> None:
        self.desk = OrderDesk(
            instrument,
            listener,
            fills,
            waits_for_open=waits_for_open,
            rejects_reached=rejects_reached,
        )
        self._resting = self.desk.resting
        self.waiting = self.desk.resting.orders
        self._adaptive = adaptive_bars
        self._trades_move_book = trades_move_book
        self._bars: BarType | None = None
        self._tells_last = False
        self._least_size = float(instrument.quantity_increment)
        self._takes_auctions = False
        self.halt = ""

    def redefine(self, instrument: Instrument) -> None:
        """Take an instrument's newer definition."""
        self._least_size = float(instrument.quantity_increment)
        self.desk.redefine(instrument)

    @property
    def instrument(self) -> Instrument:
        """Return what is traded."""
        return self.desk.instrument

    # Market data

    def only_keeps(self, bar_type: BarType | None) -> bool:
        """Return whether, while nothing rests, what comes is only kept as `desk.source`.

        A driver may do that itself then, for a run of quotes, or of bars of a type that prices
        both sides: it spares a call for each.
        """
        return not self.desk.waits_for_open and (bar_type is None or bar_type == self._bars)

    def on_quote(self, quote: Quote) -> None:
        """Take a quote as the top of the book and fill what it reaches."""
        self.desk.source = quote
        if not self.waiting or self.halt:
            return
        resting = self._resting
        if (
            resting.ask_floor >= quote.ask
            or resting.ask_ceiling <= quote.ask
            or resting.bid_floor >= quote.bid
            or resting.bid_ceiling <= quote.bid
            or resting.armed
        ):
            self._jump()
        elif resting.watched:
            self._look_at(quote)

    def _look_at(self, quote: Quote) -> None:
        """Show a quote that fills nothing to what is watched, without counting its sizes."""
        least = self._least_size
        if not (quote.bid_size >= least and quote.ask_size >= least):
            self._jump()
            return
        ticks, bid, ask = self.desk.instrument.ticks, quote.bid, quote.ask
        self._look(
            Prices(None if math.isnan(bid) else ticks(bid), None if math.isnan(ask) else ticks(ask))
        )

    def on_trade(self, trade: Trade) -> None:
        """Fill what rests at or through a trade's price, up to its size."""
        self.desk.last = trade.price
        self.desk.depth.see_trade(trade.size)
        resting = self._resting
        if self._trades_move_book:
            self.desk.source = trade
        if not resting.orders or self.halt:
            return
        self.desk.match_trade(trade)
        if self._trades_move_book:
            # Limits were matched with the trade itself.
            self._jump(triggers_only=True)
        elif resting.watched:
            self._look(Prices(last=self.instrument.ticks(trade.price)))

    def on_mark(self, price: float) -> None:
        """Take a mark price, for the triggers that go by it."""
        self.desk.mark = price
        if self._resting.watched and not self.halt:
            self._look(Prices(mark=self.instrument.ticks(price)))

    def on_status(self, status: InstrumentStatus) -> None:
        """Take what can be done in the market: unless it trades, nothing is matched."""
        self.halt = ""
        if status.status is not MarketStatus.TRADING:
            more = f" ({status.reason})" if status.reason else ""
            self.halt = f"the market is {status.status.value}{more}"
        self._takes_auctions = status.status in _BEFORE_TRADING
        self.desk.is_halted = bool(self.halt)

    def refusal(self, order: VenueOrder) -> str:
        """Return why a new order is not taken now, "" if it is."""
        if self._takes_auctions and order.definition.time_in_force in AUCTIONS:
            return ""
        return self.halt

    def valuation(self) -> float | None:
        """Return what a position is valued at: the mark price, else the middle, else the last."""
        if self.desk.mark is not None:
            return self.desk.mark
        top = top_of(self.desk.source)
        middle = (top.bid + top.ask) / 2
        return self.desk.last if math.isnan(middle) else middle

    def on_bar(self, bar: Bar) -> None:
        """Walk a bar that shows both sides; afterwards its close is the top of the book."""
        if bar.bar_type is self._bars or self._is_finest(bar.bar_type):
            desk = self.desk
            if (self.waiting or desk.deferred) and not self.halt:
                self._walk_whole(bar)
            desk.source = bar

    def on_paired_bar(self, bar: Bar | BidAskBar) -> None:
        """Walk a bar of a stream of bid and ask bars; where one is alone, the other side stays."""
        if not self._is_finest(bar.bid.bar_type if isinstance(bar, BidAskBar) else bar.bar_type):
            return
        is_awaited = (self._resting.orders or self.desk.deferred) and not self.halt
        if isinstance(bar, BidAskBar):
            if is_awaited:
                self._walk_whole(bar)
            self.desk.source = bar
            return
        moments = one_sided(bar, walk(bar, self._adaptive), top_of(self.desk.source))
        if is_awaited:
            self._walk(moments, bar)
        self.desk.source = moments[3]

    def _is_finest(self, bar_type: BarType) -> bool:
        """Return whether no finer bars are there: coarser ones tell the same prices once more."""
        if self._bars is not None and _length(bar_type) > _length(self._bars):
            return False
        self._bars = bar_type
        return True

    def _walk_whole(self, bar: Bar | BidAskBar) -> None:
        moments = walk(bar, self._adaptive)
        self._walk(moments, bar)
        # The close is still the same moment: what was taken of it is gone.
        self.desk.depth.same_moment(moments[3], bar)

    def _walk(self, moments: tuple[Top, ...], bar: Bar | BidAskBar) -> None:
        desk = self.desk
        # Bars of one price are bars of trades as far as triggers are concerned.
        self._tells_last = not isinstance(bar, BidAskBar) and bar.volume != 0 and _is_whole(bar)
        desk.is_walking = True
        before: Offers | None = None
        for moment in moments:
            desk.source = moment
            if self._tells_last:
                desk.last = moment.bid
            offers = offers_of(desk.instrument, moment)
            if before is None:
                waiting, desk.deferred = desk.deferred, []
                for order in waiting:
                    if not order.is_over:
                        desk.work(order, waits=False)
            if self._resting.orders:
                # A bar that ended when a session opened is of the time before it.
                self._pass(before, offers, moment_ns=bar.ts_event - 1)
            before = offers
        desk.is_walking = self._tells_last = False

    def _jump(self, *, triggers_only: bool = False) -> None:
        self._pass(
            None,
            offers_of(self.desk.instrument, top_of(self.desk.source)),
            triggers_only=triggers_only,
        )

    # What a move of the market reaches

    def _pass(
        self,
        before: Offers | None,
        offers: Offers,
        *,
        triggers_only: bool = False,
        moment_ns: int | None = None,
    ) -> None:
        """Trade what a jump to these offers reaches, or a move to them from those before.

        Args:
            before: What was offered before a move; None at a jump.
            offers: What is offered after it.
            triggers_only: Leave limit orders alone.
            moment_ns: Auctions that were armed later do not trade yet; None: all do.
        """
        if self._resting.armed:
            for order in self._resting.take_armed(moment_ns):
                self.desk.auction(order)
        done: set[tuple[ClientOrderId, bool]] = set()
        while steps := self._steps(before, offers, done):
            arrivals, start = self.desk.arrivals, before
            for step in steps:
                order = step.order
                done.add((order.client_order_id, order.watch is None))
                if order.is_over or not self._resting.awaits_price(order):
                    continue
                if triggers_only and order.watch is None:
                    continue
                if start is not None:
                    # From where the steps were counted: their ways are parts of that move.
                    self.desk.at = before = between(start, offers, step)
                self.desk.meet(order, offers)
                if self.desk.arrivals != arrivals:
                    break  # what came in may be met before the next
        self.desk.at = None
        if self._resting.watched:
            self._look(self._brought(offers))

    def _steps(
        self, before: Offers | None, offers: Offers, done: set[tuple[ClientOrderId, bool]]
    ) -> list[Step]:
        watched: list[VenueOrder] = []
        if self._resting.watched and before is not None:
            watched = self._watched_on_path(offers)
        steps = steps_of(self._resting, watched, before, offers)
        if not done:
            return steps
        return [
            step
            for step in steps
            if (step.order.client_order_id, step.order.watch is None) not in done
        ]

    def _watched_on_path(self, offers: Offers) -> list[VenueOrder]:
        """Return the watched orders that trigger where the path passes their trigger."""
        prices = self._brought(offers)
        passed = _PASSED if self._tells_last else _PASSED_BID_ASK
        return [
            order
            for order in self._resting.watched.values()
            if order.watch is not None
            and order.watch.trigger_type in passed
            and order.watch.is_reached(prices)
        ]

    def _brought(self, offers: Offers) -> Prices:
        """Return what is new with these offers: an old price does not trigger what came after it.

        Nor does it count for the DOUBLE types.
        """
        is_last = self._tells_last or isinstance(self.desk.source, Trade)
        prices = self.desk.prices(offers)
        return prices._replace(last=prices.last if is_last else None, mark=None)

    def _look(self, prices: Prices) -> None:
        """Show new prices to the triggers that must see every one of them."""
        reached: list[VenueOrder] = []
        for order in list(self._resting.watched.values()):
            watch = order.watch
            if order.is_over or watch is None:
                continue
            before = watch.trigger
            if watch.see(prices):
                reached.append(order)
            elif watch.trigger != before:
                self.desk.trail(order)
        reached.sort(key=_nearest_trigger)
        for order in reached:
            if not order.is_over and self._resting.discard(order):
                self.desk.trigger(order)


_BEFORE_TRADING = frozenset({MarketStatus.PRE_OPEN, MarketStatus.AUCTION})
_PASSED_BID_ASK = ON_BID_ASK | {TriggerType.LAST_OR_BID_ASK}
_PASSED = _PASSED_BID_ASK | {TriggerType.LAST, TriggerType.MID}
"""Trigger types by whose price the path is known, of a bar of one price and of bid and ask bars.

The others are looked at when a bar's four prices are there.
"""


def _is_whole(bar: Bar) -> bool:
    return bar.bar_type.spec.price_type not in (PriceType.BID, PriceType.ASK)


def _length(bar_type: BarType) -> float:
    return bar_type.spec.interval_ns or _NOT_FIXED


def _nearest_trigger(order: VenueOrder) -> tuple[int, int]:
    watch = order.watch
    assert watch is not None
    trigger = watch.trigger or 0
    return trigger if watch.rises else -trigger, order.sequence

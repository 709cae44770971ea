"""When a waiting order's trigger is reached, and how a trailing one follows the market.

One arithmetic for the simulated exchange and for orders whose triggers are watched on our side.
Everything is in whole ticks, the middle of a quote in halves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple, TypeVar

import msgspec

from workbench.model.enums import OrderSide, OrderType, TrailingOffsetType, TriggerType
from workbench.model.events import OrderTerms
from workbench.model.instruments import Instrument

STOPS = frozenset({OrderType.STOP_MARKET, OrderType.STOP_LIMIT})
TOUCHES = frozenset({OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED})
TRAILING = frozenset({OrderType.TRAILING_STOP_MARKET, OrderType.TRAILING_STOP_LIMIT})
TRIGGERED = STOPS | TOUCHES | TRAILING
"""The types that wait for a trigger."""

AFTER_TRIGGER: dict[OrderType, OrderType] = {
    OrderType.STOP_MARKET: OrderType.MARKET,
    OrderType.MARKET_IF_TOUCHED: OrderType.MARKET,
    OrderType.TRAILING_STOP_MARKET: OrderType.MARKET,
    OrderType.STOP_LIMIT: OrderType.LIMIT,
    OrderType.LIMIT_IF_TOUCHED: OrderType.LIMIT,
    OrderType.TRAILING_STOP_LIMIT: OrderType.LIMIT,
}
"""What an order is once its trigger was reached."""

ON_BID_ASK = frozenset({TriggerType.DEFAULT, TriggerType.BID_ASK})
_DOUBLE = frozenset({TriggerType.DOUBLE_LAST, TriggerType.DOUBLE_BID_ASK})


class Prices(NamedTuple):
    """The market in ticks; None where there is no such price."""

    bid: int | None = None
    ask: int | None = None
    last: int | None = None
    mark: int | None = None


def rises_to(side: OrderSide, order_type: OrderType) -> bool:
    """Return whether the trigger is above the market: for a buy stop and a sale if touched."""
    return (side is OrderSide.BUY) is (order_type not in TOUCHES)


def _bid_ask(side: OrderSide, prices: Prices) -> tuple[int | None, ...]:
    return (prices.ask if side is OrderSide.BUY else prices.bid,)


def _last(_: OrderSide, prices: Prices) -> tuple[int | None, ...]:
    return (prices.last,)


def _last_or_bid_ask(side: OrderSide, prices: Prices) -> tuple[int | None, ...]:
    return (prices.last, *_bid_ask(side, prices))


def _mid(_: OrderSide, prices: Prices) -> tuple[float | None, ...]:
    if prices.bid is None or prices.ask is None:
        return (None,)
    return ((prices.bid + prices.ask) / 2,)


def _mark(_: OrderSide, prices: Prices) -> tuple[int | None, ...]:
    return (prices.mark,)


_WATCHED: dict[TriggerType, Callable[[OrderSide, Prices], tuple[float | None, ...]]] = {
    TriggerType.DEFAULT: _bid_ask,
    TriggerType.BID_ASK: _bid_ask,
    TriggerType.LAST: _last,
    TriggerType.LAST_OR_BID_ASK: _last_or_bid_ask,
    TriggerType.MID: _mid,
    TriggerType.MARK: _mark,
    TriggerType.DOUBLE_LAST: _last,
    TriggerType.DOUBLE_BID_ASK: _bid_ask,
}


class Watch(msgspec.Struct, eq=False, gc=False):
    """One trigger that is watched, and how far it has come.

    Attributes:
        side: Of its order.
        rises: Whether it is reached from below.
        trigger_type: Which price is compared.
        trigger: Where it is, in ticks; None while a trailing one has none yet.
        activation: A trailing one follows once the market has reached this; None: at once.
        offset: How far a trailing one follows behind, in ticks or basis points; else None.
        is_relative: Whether the offset is in basis points.
        was_reached: Whether the last price had reached it, for the DOUBLE types.
    """

    side: OrderSide
    rises: bool
    trigger_type: TriggerType
    trigger: int | None
    activation: int | None = None
    offset: Decimal | None = None
    is_relative: bool = False
    was_reached: bool = False

    def prices(self, prices: Prices) -> list[float]:
        """Return the prices that are compared with it."""
        watched = _WATCHED[self.trigger_type](self.side, prices)
        return [price for price in watched if price is not None]

    def is_reached(self, prices: Prices) -> bool:
        """Return whether a price reaches it now, without taking note of it."""
        trigger = self.trigger
        if trigger is None or self.activation is not None:
            return False
        if self.rises:
            return any(price >= trigger for price in self.prices(prices))
        return any(price <= trigger for price in self.prices(prices))

    def see(self, prices: Prices) -> bool:
        """Take the next prices and return whether they trigger it; else a trailing one follows."""
        watched = self.prices(prices)
        if not watched:
            return False
        if self.activation is not None and not self._activates(watched):
            return False
        reached = self.is_reached(prices)
        if reached and self.trigger_type in _DOUBLE and not self.was_reached:
            self.was_reached = True
            return False
        self.was_reached = reached
        if not reached and self.offset is not None:
            self._follow(watched)
        return reached

    def _activates(self, watched: list[float]) -> bool:
        # A sale trails a market that rose to its activation price, a buy one that fell to it.
        activation = self.activation
        assert activation is not None
        if self.side is OrderSide.SELL:
            is_there = any(price >= activation for price in watched)
        else:
            is_there = any(price <= activation for price in watched)
        if is_there:
            self.activation = None
        return is_there

    def _follow(self, watched: list[float]) -> None:
        for price in watched:
            candidate = self._behind(price)
            trigger = self.trigger
            if trigger is None or (candidate < trigger if self.rises else candidate > trigger):
                self.trigger = candidate

    def _behind(self, price: float) -> int:
        offset = self.offset
        assert offset is not None
        exact = Decimal(price)
        away = exact * offset / 10_000 if self.is_relative else offset
        behind = exact + away if self.rises else exact - away
        return int(behind.to_integral_value(ROUND_HALF_EVEN))


def whole_ticks(price: Decimal, instrument: Instrument) -> int:
    """Return an exact price in ticks."""
    return int((price / instrument.price_increment).to_integral_value())


def make_watch(
    side: OrderSide,
    order_type: OrderType,
    trigger: int | None,
    terms: OrderTerms,
    instrument: Instrument,
) -> Watch:
    """Return the watch of an order's trigger.

    Args:
        side: Its side.
        order_type: One of `TRIGGERED`.
        trigger: Where it is, in ticks; None for a trailing one that has none yet.
        terms: Its terms.
        instrument: Whose ticks it is counted in.
    """
    watch = Watch(side, rises_to(side, order_type), terms.trigger_type, trigger)
    if order_type in TRAILING:
        watch.offset, watch.is_relative = offset_in_ticks(
            terms.trailing_offset or Decimal(0), terms.trailing_offset_type, instrument
        )
        activation = terms.activation_price
        if activation is not None:
            watch.activation = whole_ticks(activation, instrument)
    return watch


def at_any_price(side: OrderSide) -> Watch:
    """Return a watch that the first quote reaches, or what stands in for one."""
    return Watch(side, rises=False, trigger_type=TriggerType.DEFAULT, trigger=sys.maxsize)


def offset_in_ticks(
    offset: Decimal, kind: TrailingOffsetType, instrument: Instrument
) -> tuple[Decimal, bool]:
    """Return an offset in ticks, or unchanged with True where it is in basis points."""
    if kind is TrailingOffsetType.BASIS_POINTS:
        return offset, True
    if kind is TrailingOffsetType.TICKS:
        return offset, False
    return offset / instrument.price_increment, False


def limit_behind(trigger: int, side: OrderSide, terms: OrderTerms, instrument: Instrument) -> int:
    """Return the limit of a trailing stop limit in ticks: the limit offset beyond its trigger."""
    offset, is_relative = offset_in_ticks(
        terms.limit_offset or Decimal(0), terms.trailing_offset_type, instrument
    )
    away = trigger * offset / 10_000 if is_relative else offset
    exact = Decimal(trigger) + side.sign * away
    return int(exact.to_integral_value(ROUND_HALF_EVEN))


_T = TypeVar("_T")


def nearest_first(reached: list[tuple[Watch, int, _T]]) -> list[_T]:
    """Return what was triggered, nearest trigger first, then first-in first-out.

    Args:
        reached: Each watch with its order's sequence number and the order.
    """

    def rank(entry: tuple[Watch, int, _T]) -> tuple[int, int]:
        watch, sequence, _ = entry
        trigger = watch.trigger or 0
        return trigger if watch.rises else -trigger, sequence

    return [order for _, _, order in sorted(reached, key=rank)]

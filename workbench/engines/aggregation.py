"""Bars made inside: from quotes, trades or finer bars.

`aggregation_time` says where bars of time begin and end, `aggregation_building` what is in a bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from workbench.engines.aggregation_building import BarAggregator, Emit
from workbench.engines.aggregation_counting import TickBars, ValueBars, VolumeBars
from workbench.engines.aggregation_time import CoarserBars, TimeBars
from workbench.model.commands import BarMaking
from workbench.model.data import BarSpec, BarType, Quote, Trade
from workbench.model.enums import BarAggregation, PriceType
from workbench.runtime.clock import Clock

_COUNTING: dict[BarAggregation, type[BarAggregator]] = {
    BarAggregation.TICK: TickBars,
    BarAggregation.VOLUME: VolumeBars,
    BarAggregation.VALUE: ValueBars,
}


def aggregator_of(
    bar_type: BarType, clock: Clock, emit: Emit, making: BarMaking, *, from_bars: bool
) -> BarAggregator:
    """Return what makes the bars of a type."""
    spec = bar_type.spec
    counting = _COUNTING.get(spec.aggregation)
    if counting is not None:
        return counting(bar_type, clock, emit)
    if from_bars:
        return CoarserBars(bar_type, clock, emit, making)
    return TimeBars(bar_type, clock, emit, making)


def intake(aggregator: BarAggregator) -> Callable[[Any], None]:
    """Return what hands an aggregator the messages of its source: quotes, trades or finer bars.

    A quote without the side that is wanted (NaN) is no update.
    """
    if isinstance(aggregator, CoarserBars):
        return aggregator.update_bar
    return _INTAKES[aggregator.bar_type.spec.price_type](aggregator.update)


def _of_trades(update: Callable[[float, float, int], None]) -> Callable[[Any], None]:
    def take(trade: Trade) -> None:
        update(trade.price, trade.size, trade.ts_event)

    return take


def _of_bids(update: Callable[[float, float, int], None]) -> Callable[[Any], None]:
    def take(quote: Quote) -> None:
        price = quote.bid
        if price == price:
            update(price, quote.bid_size, quote.ts_event)

    return take


def _of_asks(update: Callable[[float, float, int], None]) -> Callable[[Any], None]:
    def take(quote: Quote) -> None:
        price = quote.ask
        if price == price:
            update(price, quote.ask_size, quote.ts_event)

    return take


def _of_mids(update: Callable[[float, float, int], None]) -> Callable[[Any], None]:
    def take(quote: Quote) -> None:
        price = (quote.bid + quote.ask) / 2
        if price == price:
            update(price, (quote.bid_size + quote.ask_size) / 2, quote.ts_event)

    return take


_INTAKES = {
    PriceType.LAST: _of_trades,
    PriceType.BID: _of_bids,
    PriceType.ASK: _of_asks,
    PriceType.MID: _of_mids,
}


def coarsest_source(bar_types: Iterable[BarType], spec: BarSpec) -> BarType | None:
    """Return the coarsest of some bars that a specification's bars can be made of, or None."""
    fitting = [one for one in bar_types if not one.source and one.spec.divides(spec)]
    return max(fitting, key=lambda one: one.spec.interval_ns or 0, default=None)

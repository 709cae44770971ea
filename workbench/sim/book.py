"""What can be traded at this moment, read from the newest quote or bar only when it is needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from workbench.model.data import Bar, BidAskBar, Quote, Trade
from workbench.model.enums import PriceType


class Top(NamedTuple):
    """Best bid and ask with their sizes; NaN where there is none, infinite size for unlimited."""

    bid: float
    ask: float
    bid_size: float
    ask_size: float


NOTHING = Top(math.nan, math.nan, 0.0, 0.0)


def top_of(source: Quote | Bar | BidAskBar | Trade | Top | None) -> Top:
    """Return what a source of prices offers: for a bar, its close and a fourth of its volume."""
    return _TOPS[type(source)](source)


def walk(bar: Bar | BidAskBar, adaptive: bool) -> tuple[Top, Top, Top, Top]:
    """Return the four moments of a bar: open, high, low, close, or low before high.

    One series means bid = ask. Bid and ask bars of one interval walk together on the bid's path.
    A fourth of the volume is there at each moment; no volume column means unlimited size.

    Args:
        bar: A bar, or the bid and ask bar of one interval.
        adaptive: Take the low first when it is nearer to the open.
    """
    bid, ask = (bar.bid, bar.ask) if isinstance(bar, BidAskBar) else (bar, bar)
    bid_size, ask_size = _moment_size(bid), _moment_size(ask)
    opened = Top(bid.open, ask.open, bid_size, ask_size)
    high = Top(bid.high, ask.high, bid_size, ask_size)
    low = Top(bid.low, ask.low, bid_size, ask_size)
    close = _close(bid, ask)
    if adaptive and bid.open - bid.low < bid.high - bid.open:
        return opened, low, high, close
    return opened, high, low, close


def _close(bid: Bar, ask: Bar) -> Top:
    return Top(bid.close, ask.close, _moment_size(bid), _moment_size(ask))


def recent_volume(source: object) -> float | None:
    """Return the volume of the bar that a source of prices is, or is a moment of; else None."""
    if isinstance(source, BidAskBar):
        source = source.bid
    if isinstance(source, Bar):
        return source.volume
    if isinstance(source, Top) and math.isfinite(source.bid_size):
        return source.bid_size * 4
    return None


def one_sided(bar: Bar, moments: tuple[Top, ...], before: Top) -> tuple[Top, ...]:
    """Return the moments of a lone bid or ask bar: the other side stays as it was before."""
    price_type = bar.bar_type.spec.price_type
    if price_type is PriceType.BID:
        return tuple(m._replace(ask=before.ask, ask_size=before.ask_size) for m in moments)
    if price_type is PriceType.ASK:
        return tuple(m._replace(bid=before.bid, bid_size=before.bid_size) for m in moments)
    return moments


def _moment_size(bar: Bar) -> float:
    return math.inf if bar.volume is None else bar.volume / 4


# `Any`: each function takes the type it stands beside.
_TOPS: dict[type, Callable[[Any], Top]] = {
    Top: lambda top: top,
    Quote: lambda quote: Top(quote.bid, quote.ask, quote.bid_size, quote.ask_size),
    Bar: lambda bar: _close(bar, bar),
    BidAskBar: lambda bars: _close(bars.bid, bars.ask),
    Trade: lambda trade: Top(trade.price, trade.price, trade.size, trade.size),
    type(None): lambda _: NOTHING,
}

"""The latest market data of an instrument, as the cache holds it."""

from __future__ import annotations

from workbench.model.data import (
    Bar,
    BarType,
    FundingRate,
    InstrumentStatus,
    MarkPrice,
    Quote,
    Trade,
)
from workbench.model.enums import OrderSide, PriceType

_OWN_SIDE = {OrderSide.BUY: (PriceType.ASK,), OrderSide.SELL: (PriceType.BID,)}
_BOTH_SIDES = (PriceType.LAST, PriceType.MID)


class Market:
    """The latest market data of one instrument; None where there was none yet."""

    __slots__ = ("bars", "funding_rate", "mark_price", "quote", "status", "trade")

    def __init__(self) -> None:
        self.quote: Quote | None = None
        self.trade: Trade | None = None
        self.mark_price: MarkPrice | None = None
        self.funding_rate: FundingRate | None = None
        self.status: InstrumentStatus | None = None
        self.bars: dict[BarType, Bar] = {}

    def price_to(self, side: OrderSide) -> float | None:
        """Return what `side` would trade at now: the other side's quote, or what comes nearest.

        None where nothing says it; a quote without that side (NaN) does not.
        """
        quote = self.quote
        if quote is not None:
            price = quote.ask if side is OrderSide.BUY else quote.bid
            if price == price:  # not NaN
                return price
        bar = self._latest_bar(_OWN_SIDE[side]) or self._latest_bar(_BOTH_SIDES)
        trade = self.trade
        if bar is None or (trade is not None and trade.ts_event > bar.ts_event):
            return None if trade is None else trade.price
        return bar.close

    def _latest_bar(self, of: tuple[PriceType, ...]) -> Bar | None:
        """Return the newest bar of these prices; of equally new ones the kind that came first."""
        latest: Bar | None = None
        for bar_type, bar in self.bars.items():
            if bar_type.spec.price_type in of and (
                latest is None or bar.ts_event > latest.ts_event
            ):
                latest = bar
        return latest

"""What can be taken at a moment: what is shown less what our orders took, and the model's tiers."""

from __future__ import annotations

import math
from collections import deque
from decimal import Decimal
from random import Random

from workbench.model.enums import OrderSide, OrderType, TimeInForce
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.sim.book import recent_volume
from workbench.sim.fill_models import FillModel, Seen
from workbench.sim.offers import Offer
from workbench.sim.resting import VenueOrder

_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_RECENT_TRADES = 20


class Depth:
    """The liquidity of one instrument.

    What our own orders took of a moment is gone until the next: `moment` is any object, the same
    for as long as the same prices and sizes are shown.

    Args:
        instrument: Whose quantities are counted.
        model: What takers find.
    """

    def __init__(self, instrument: Instrument, model: FillModel) -> None:
        self.instrument = instrument
        self._model = model
        self._random = Random(f"{model.seed}:{instrument.id}")
        self._moment: object = None
        self._bought = self._sold = ZERO
        self._is_level_1 = type(model) is FillModel and not model.prob_slippage
        self._trades: deque[float] = deque(maxlen=_RECENT_TRADES)

    def see_trade(self, size: float) -> None:
        """Count a trade in the recent volume."""
        self._trades.append(size)

    def same_moment(self, before: object, now: object) -> None:
        """Note that another object stands for the same moment: what was taken of it is gone."""
        if self._moment is before:
            self._moment = now

    def gone(self, side: OrderSide, moment: object) -> Decimal:
        """Return how much of what a moment shows to `side` our own orders have taken."""
        if self._moment is not moment:
            return ZERO
        return self._bought if side is OrderSide.BUY else self._sold

    def shown(self, offer: Offer) -> Decimal | None:
        """Return the size of an offer, rounded down to the grid; None for unlimited."""
        return None if offer.size == math.inf else self.instrument.quantity(offer.size)

    def use(self, side: OrderSide, quantity: Decimal, moment: object) -> None:
        """Note what an order of `side` takes."""
        if self._moment is not moment:
            self._moment = moment
            self._bought = self._sold = ZERO
        if side is OrderSide.BUY:
            self._bought += quantity
        else:
            self._sold += quantity

    def fills_touch(self) -> bool:
        """Return whether a limit order fills at a touch of its price this time."""
        return self._model.fills_touch(self._random)

    def found(
        self, order: VenueOrder, offer: Offer, wanted: Decimal, moment: object
    ) -> list[tuple[int, Decimal | None]]:
        """Return what a taker finds as (ticks, size), best first, without what is gone already.

        Args:
            order: Who takes; its limit and time in force bound what is found.
            offer: The best price.
            wanted: How much it wants.
            moment: When.
        """
        is_fresh = self._moment is not moment
        if self._is_level_1 and is_fresh and offer.size >= float(wanted):
            # What most orders find, without asking the model: enough.
            return [(offer.ticks, None)]
        side, shown = order.side, self.shown(offer)
        gone = ZERO if is_fresh else self.gone(side, moment)
        found: list[tuple[int, Decimal | None]] = []
        seen = Seen(wanted, shown, self._recent(moment))
        for tier in self._model.tiers(seen, self._random):
            ticks = offer.ticks + tier.worse * side.sign
            if not _may_take(order, ticks, tier.is_slip, offer):
                break
            size = tier.size
            if size is not None:
                # A share of a volume need not be on the grid.
                size -= size % self.instrument.quantity_increment
                used = min(gone, size)
                gone -= used
                size -= used
            found.append((ticks, size))
        return found

    def _recent(self, moment: object) -> Decimal | None:
        if self._is_level_1:
            return None  # it does not ask
        volume = recent_volume(moment)
        if volume is None and self._trades:
            volume = sum(self._trades)
        return None if volume is None else self.instrument.quantity(volume)


def _may_take(order: VenueOrder, ticks: int, is_slip: bool, offer: Offer) -> bool:
    """Return whether an order trades at a price, behind what is shown if it is slippage."""
    if ticks <= 0:
        return False
    if is_slip and order.definition.time_in_force in _AT_ONCE:
        return False
    if order.order_type is OrderType.LIMIT:
        return (ticks - order.ticks) * order.side.sign <= 0
    # A market-to-limit order takes the best price only.
    return order.order_type is OrderType.MARKET or ticks == offer.ticks

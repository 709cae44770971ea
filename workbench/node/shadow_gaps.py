"""How far an order at its venue is from the same order in a shadow, and what that adds up to.

Every gap is positive where the venue was worse. Amounts are `Decimal`, times nanoseconds.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from workbench.model.enums import OrderSide, OrderStatus, OrderType
from workbench.model.events import OrderFilled, OrderInitialized
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    StrategyId,
    TradeId,
)
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.model.order_state import CLOSED

_BPS = Decimal(10_000)


class PriceGap(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse one price is than another, for so much of an instrument.

    Attributes:
        price: In the quote currency.
        ticks: In price increments.
        bps: In ten-thousandths of the shadow's price.
        money: For the quantity, in the settlement currency, before fees.
    """

    price: Decimal
    ticks: Decimal
    bps: Decimal
    money: Decimal

    @staticmethod
    def between(
        instrument: Instrument, side: OrderSide, quantity: Decimal, venue: Decimal, shadow: Decimal
    ) -> PriceGap:
        """Return how much worse the venue's price is than the shadow's."""
        gap = side.sign * (venue - shadow)
        return PriceGap(
            price=gap,
            ticks=gap / instrument.price_increment,
            bps=gap / shadow * _BPS if shadow else ZERO,
            money=instrument.profit(side.sign * quantity, shadow, venue),
        )


class OrderGap(msgspec.Struct, frozen=True, kw_only=True):
    """One order, at its venue and in the shadow.

    Attributes:
        client_order_id, strategy_id, account_id, instrument_id, side, order_type: The order's.
        quantity: As it is now at the venue.
        given: When the strategy gave it.
        venue_status, shadow_status: What became of it.
        venue_filled, shadow_filled: How much is filled.
        venue_price, shadow_price: The average price of that, None without a fill.
        gap: Between the two prices, for what is filled at both; None where one has no fill.
        currency: What `gap.money` is in.
        venue_delay_ns, shadow_delay_ns: From when it was given until the node knew of the first
            fill.
        missed_at_venue: What is filled in the shadow alone, once the order is over at the venue.
        missed_in_shadow: What is filled at the venue alone, likewise.
        venue_rejection, shadow_rejection: Why it was rejected, empty where it was not.
    """

    client_order_id: ClientOrderId
    strategy_id: StrategyId
    account_id: AccountId
    instrument_id: InstrumentId
    side: OrderSide
    order_type: OrderType
    quantity: Decimal
    given: int
    venue_status: OrderStatus
    shadow_status: OrderStatus
    venue_filled: Decimal
    shadow_filled: Decimal
    venue_price: Decimal | None
    shadow_price: Decimal | None
    gap: PriceGap | None
    currency: str
    venue_delay_ns: int | None
    shadow_delay_ns: int | None
    missed_at_venue: Decimal
    missed_in_shadow: Decimal
    venue_rejection: str
    shadow_rejection: str

    @property
    def is_working(self) -> bool:
        """Return whether it is not over at the venue: then nothing counts as missed yet."""
        return self.venue_status not in CLOSED

    @property
    def matched(self) -> Decimal:
        """Return how much is filled at both."""
        return min(self.venue_filled, self.shadow_filled)


class FillGap(msgspec.Struct, frozen=True, kw_only=True):
    """One fill at a venue, beside the average price of its order in the shadow.

    `ts` is when the node knew of it; `gap` is None where the shadow's order has no fill, and its
    `money` is for as large a part of the fill as the shadow has of the order.
    """

    ts: int
    trade_id: TradeId
    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    side: OrderSide
    quantity: Decimal
    venue_price: Decimal
    shadow_price: Decimal | None
    gap: PriceGap | None
    currency: str


class InstrumentGap(msgspec.Struct, frozen=True, kw_only=True):
    """What the orders of an instrument add up to.

    Attributes:
        instrument_id: The instrument.
        orders: How many there were.
        working: How many are not over at the venue.
        filled_at_both, filled_at_venue_only, filled_in_shadow_only: How many of those that are
            over were filled, wholly or in part.
        rejected_at_venue_only, rejected_in_shadow_only: How many were rejected by one of the two.
        venue_filled, shadow_filled, missed_at_venue, missed_in_shadow: Sums of quantities.
        ticks, bps: The mean gap of what is filled at both, by quantity and by worth; None without.
        money: Its sum, in `currency`.
        currency: The settlement currency.
        venue_delay_ns, shadow_delay_ns: Means over the orders that are filled at both.
    """

    instrument_id: InstrumentId
    orders: int
    working: int
    filled_at_both: int
    filled_at_venue_only: int
    filled_in_shadow_only: int
    rejected_at_venue_only: int
    rejected_in_shadow_only: int
    venue_filled: Decimal
    shadow_filled: Decimal
    missed_at_venue: Decimal
    missed_in_shadow: Decimal
    ticks: Decimal | None
    bps: Decimal | None
    money: Decimal
    currency: str
    venue_delay_ns: int | None
    shadow_delay_ns: int | None


class Leg:
    """What became of an order on one side; changes in place.

    Attributes:
        quantity: How large it is now.
        status: Where in its life it is.
        filled: How much is filled.
        first_ns: When the node knew of its first fill.
        rejection: Why it was rejected.
    """

    __slots__ = ("_worth", "filled", "first_ns", "quantity", "rejection", "status")

    def __init__(self, quantity: Decimal) -> None:
        self.quantity = quantity
        self.status = OrderStatus.SUBMITTED
        self.filled = ZERO
        self.first_ns: int | None = None
        self.rejection = ""
        self._worth = ZERO

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will become of it."""
        return self.status in CLOSED

    @property
    def price(self) -> Decimal | None:
        """Return the average price of its fills."""
        return self._worth / self.filled if self.filled else None

    def fill(self, event: OrderFilled) -> None:
        """Count a fill."""
        if self.first_ns is None:
            self.first_ns = event.ts_init
        self.filled += event.quantity
        self._worth += event.quantity * event.price


class ShadowedOrder:
    """An order that went to a venue and to its shadow; changes in place.

    Args:
        definition: As it was sent.
        account_id: The account at the venue.
        given_ns: When the strategy gave it.
        instrument: What it trades.

    Attributes:
        venue: What became of it there.
        shadow: What became of it in the shadow.
    """

    __slots__ = ("account_id", "definition", "given_ns", "instrument", "shadow", "venue")

    def __init__(
        self,
        definition: OrderInitialized,
        account_id: AccountId,
        given_ns: int,
        instrument: Instrument,
    ) -> None:
        self.definition = definition
        self.account_id = account_id
        self.given_ns = given_ns
        self.instrument = instrument
        self.venue = Leg(definition.quantity)
        self.shadow = Leg(definition.quantity)

    def gap(self) -> OrderGap:
        """Return the order as it is now on both sides."""
        definition, venue, shadow = self.definition, self.venue, self.shadow
        beyond = venue.filled - shadow.filled if venue.is_over else ZERO
        venue_price, shadow_price = venue.price, shadow.price
        matched = min(venue.filled, shadow.filled)
        return OrderGap(
            client_order_id=definition.client_order_id,
            strategy_id=definition.strategy_id,
            account_id=self.account_id,
            instrument_id=definition.instrument_id,
            side=definition.side,
            order_type=definition.order_type,
            quantity=venue.quantity,
            given=self.given_ns,
            venue_status=venue.status,
            shadow_status=shadow.status,
            venue_filled=venue.filled,
            shadow_filled=shadow.filled,
            venue_price=venue_price,
            shadow_price=shadow_price,
            gap=self._between(matched, venue_price, shadow_price),
            currency=self.instrument.settlement_currency.code,
            venue_delay_ns=self._delay(venue),
            shadow_delay_ns=self._delay(shadow),
            missed_at_venue=max(ZERO, -beyond),
            missed_in_shadow=max(ZERO, beyond),
            venue_rejection=venue.rejection,
            shadow_rejection=shadow.rejection,
        )

    def fill_gap(self, fill: OrderFilled) -> FillGap:
        """Return one of its fills at the venue beside what the shadow has."""
        shadow_price, filled = self.shadow.price, self.venue.filled
        # Of a fill counts what the shadow has, too: so fills add up to what their order is.
        share = min(filled, self.shadow.filled) / filled
        return FillGap(
            ts=fill.ts_init,
            trade_id=fill.trade_id,
            client_order_id=fill.client_order_id,
            instrument_id=fill.instrument_id,
            side=fill.side,
            quantity=fill.quantity,
            venue_price=fill.price,
            shadow_price=shadow_price,
            gap=self._between(fill.quantity * share, fill.price, shadow_price),
            currency=self.instrument.settlement_currency.code,
        )

    def _between(
        self, quantity: Decimal, venue: Decimal | None, shadow: Decimal | None
    ) -> PriceGap | None:
        if venue is None or shadow is None:
            return None
        return PriceGap.between(self.instrument, self.definition.side, quantity, venue, shadow)

    def _delay(self, leg: Leg) -> int | None:
        return None if leg.first_ns is None else leg.first_ns - self.given_ns


class Tally:
    """Adds up the orders of one instrument.

    Args:
        instrument_id: Which.
    """

    def __init__(self, instrument_id: InstrumentId) -> None:
        self._instrument_id = instrument_id
        self._currency = ""
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._sums = dict.fromkeys(_SUMMED, ZERO)
        self._matched = self._ticks = self._worth = self._bps = self._money = ZERO
        self._delays = [0, 0]
        self._filled = 0  # orders with a fill on both sides, those that work included

    def copy(self) -> Tally:
        """Return one that can be added to without changing this one."""
        made = Tally(self._instrument_id)
        for name, value in vars(self).items():
            setattr(made, name, value.copy() if isinstance(value, (dict, list)) else value)
        return made

    def add(self, order: OrderGap) -> None:
        """Count an order."""
        self._currency = order.currency
        counts = self._counts
        counts["orders"] += 1
        for name, counted in _counted(order).items():
            counts[name] += counted
        for name in _SUMMED:
            self._sums[name] += getattr(order, name)
        gap, matched = order.gap, order.matched
        if gap is None or order.shadow_price is None:
            return
        worth = matched * abs(order.shadow_price)
        self._matched += matched
        self._worth += worth
        self._ticks += gap.ticks * matched
        self._bps += gap.bps * worth
        self._money += gap.money
        self._delays[0] += order.venue_delay_ns or 0
        self._delays[1] += order.shadow_delay_ns or 0
        self._filled += 1

    def total(self) -> InstrumentGap:
        """Return what it has come to."""
        venue_delay, shadow_delay = self._delays
        filled = self._filled
        return InstrumentGap(
            instrument_id=self._instrument_id,
            **self._counts,
            **self._sums,
            ticks=self._ticks / self._matched if self._matched else None,
            bps=self._bps / self._worth if self._worth else None,
            money=self._money,
            currency=self._currency,
            venue_delay_ns=venue_delay // filled if filled else None,
            shadow_delay_ns=shadow_delay // filled if filled else None,
        )


_COUNTED = (
    *("orders", "working", "filled_at_both", "filled_at_venue_only", "filled_in_shadow_only"),
    *("rejected_at_venue_only", "rejected_in_shadow_only"),
)
_SUMMED = ("venue_filled", "shadow_filled", "missed_at_venue", "missed_in_shadow")


def _counted(order: OrderGap) -> dict[str, bool]:
    if order.is_working:
        return {"working": True}
    venue, shadow = bool(order.venue_filled), bool(order.shadow_filled)
    refused, refused_here = bool(order.venue_rejection), bool(order.shadow_rejection)
    return {
        "filled_at_both": venue and shadow,
        "filled_at_venue_only": venue and not shadow,
        "filled_in_shadow_only": shadow and not venue,
        "rejected_at_venue_only": refused and not refused_here,
        "rejected_in_shadow_only": refused_here and not refused,
    }

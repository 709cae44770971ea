"""A position: the sum of its fills, with average-cost accounting.

Realised profit includes commissions when they are charged. For a linear instrument the profit of
closing `q` at `p` is `q * multiplier * (p - average_open)`, for an inverse one
`q * multiplier * (1/average_open - 1/p)`. Accordingly an average price is the arithmetic mean
weighted by quantity for a linear instrument and the harmonic one for an inverse one: only so is
the sum of profits what the fills cost and brought.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from workbench.model.display import fitted, format_ns, given, pairs_html, shown
from workbench.model.enums import OrderSide, PositionSide
from workbench.model.errors import OrderStateError
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
)
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO


class Position(msgspec.Struct, kw_only=True, gc=False):
    """A position of one strategy in one instrument; `signed_quantity` is negative for a short.

    Quantities are in the instrument's units, prices in its quote currency, `realized_pnl` and
    `commission` in its settlement currency (`Decimal`, exact to 28 digits).
    """

    position_id: PositionId
    strategy_id: StrategyId
    account_id: AccountId
    instrument: Instrument
    entry: OrderSide
    signed_quantity: Decimal = ZERO
    peak_quantity: Decimal = ZERO
    average_open: Decimal = ZERO
    average_close: Decimal | None = None
    closed_quantity: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    commission: Decimal = ZERO
    fill_count: int = 0
    ts_opened: int = 0
    ts_closed: int = 0
    ts_last: int = 0

    @property
    def instrument_id(self) -> InstrumentId:
        """Return the instrument's id."""
        return self.instrument.id

    @property
    def side(self) -> PositionSide:
        """Return which way it faces."""
        if self.signed_quantity > 0:
            return PositionSide.LONG
        return PositionSide.SHORT if self.signed_quantity < 0 else PositionSide.FLAT

    @property
    def quantity(self) -> Decimal:
        """Return its size without sign."""
        return abs(self.signed_quantity)

    @property
    def is_open(self) -> bool:
        """Return whether it holds anything."""
        return self.signed_quantity != 0

    def apply(
        self, side: OrderSide, quantity: Decimal, price: Decimal, commission: Decimal, ts_event: int
    ) -> None:
        """Add one fill, which may not turn the position around (split a flip first: `split_flip`).

        Args:
            side: Bought or sold.
            quantity: How much, positive.
            price: At which price.
            commission: What it cost, in the settlement currency; negative for a rebate.
            ts_event: When, in nanoseconds.

        Raises:
            OrderStateError: If the fill is larger than what it would close.
        """
        held = self.signed_quantity
        signed = quantity if side is OrderSide.BUY else -quantity
        total = held + signed
        if not held:
            self.entry = side
            self.average_open = price
            self.ts_opened = self.ts_opened or ts_event
        elif side is self.entry:
            self.average_open = average_price(
                self.instrument, held, self.average_open, signed, price
            )
        elif quantity > abs(held):
            raise OrderStateError(
                f"position {self.position_id} holds {held}; a {side.value} of {quantity} would turn"
                " it around: split the fill first"
            )
        else:
            self._close(quantity, price, -signed)
        self.signed_quantity = total
        self.commission += commission
        self.realized_pnl -= commission
        self.fill_count += 1
        self.ts_last = ts_event
        size = abs(total)
        if size > self.peak_quantity:
            self.peak_quantity = size
        if not total:
            self.ts_closed = ts_event

    def _close(self, quantity: Decimal, price: Decimal, signed_closed: Decimal) -> None:
        before, old = self.closed_quantity, self.average_close
        closed = before + quantity
        if old is None:
            self.average_close = price
        else:
            self.average_close = average_price(self.instrument, before, old, quantity, price)
        self.closed_quantity = closed
        self.realized_pnl += self.instrument.profit(signed_closed, self.average_open, price)

    def unrealized_pnl(self, price: Decimal) -> Decimal:
        """Return the profit of closing all of it at `price`, before commissions."""
        if not self.signed_quantity:
            return ZERO
        return self.instrument.profit(self.signed_quantity, self.average_open, price)

    def __repr__(self) -> str:
        """Return its id, what it holds, and what it has realised."""
        return fitted(f"<Position {self.position_id} {self._held}; realized {self._realized}>")

    def _repr_html_(self) -> str:
        rows = given(
            position=self._held,
            strategy=self.strategy_id,
            peak_quantity=self.peak_quantity,
            average_open=self.average_open,
            average_close=self.average_close,
            realized_pnl=self._realized,
            commission=self.commission,
            fills=self.fill_count,
            opened=format_ns(self.ts_opened),
            closed=None if self.is_open else format_ns(self.ts_closed),
            account=self.account_id,
        )
        return pairs_html(rows, str(self.position_id))

    @property
    def _held(self) -> str:
        """Return what it holds, such as `long 5 ABC.SIM at 98.5`."""
        at = f" {shown(self.quantity)}" if self.is_open else ""
        price = f" at {shown(self.average_open)}" if self.is_open else ""
        return f"{self.side.value}{at} {self.instrument_id}{price}"

    @property
    def _realized(self) -> str:
        return f"{shown(self.realized_pnl)} {self.instrument.settlement_currency}"


def own_position_id(client_order_id: ClientOrderId) -> PositionId:
    """Return the id of the position that an order opens for itself (HEDGING).

    >>> own_position_id(ClientOrderId("O-20260101T000000-1-1"))
    'P-O-20260101T000000-1-1'
    """
    return PositionId(f"P-{client_order_id}")


def average_price(
    instrument: Instrument, held: Decimal, average: Decimal, more: Decimal, price: Decimal
) -> Decimal:
    """Return the average price of `held` at `average` and `more` at `price`.

    Weighted by quantity; for an inverse instrument the harmonic mean, which is what its profit
    formula asks for. Both quantities have the same sign.
    """
    if instrument.is_inverse:
        return (held + more) / (held / average + more / price)
    return (average * held + price * more) / (held + more)


def split_flip(
    held: Decimal, side: OrderSide, quantity: Decimal, commission: Decimal
) -> tuple[tuple[Decimal, Decimal], ...]:
    """Split a fill into what closes a position and what opens the next.

    Args:
        held: The signed quantity held before.
        side: The fill's side.
        quantity: The fill's quantity.
        commission: The fill's commission, split pro rata; the parts add up to it exactly.

    Returns:
        One or two pairs of (quantity, commission), the closing part first.

    >>> split_flip(Decimal(-100), OrderSide.BUY, Decimal(200), Decimal(3))
    ((Decimal('100'), Decimal('1.5')), (Decimal('100'), Decimal('1.5')))
    """
    size = abs(held)
    opposes = held < 0 if side is OrderSide.BUY else held > 0
    if not opposes or quantity <= size:
        return ((quantity, commission),)
    # Subtracted twice: the larger of two parts that add up exactly leaves no digits for rounding.
    opening = commission - commission * size / quantity
    return ((size, commission - opening), (quantity - size, opening))

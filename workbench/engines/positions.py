"""Position keeping: which position a fill belongs to, and what becomes of it.

NETTING: one position per instrument, strategy and account. A fill that turns it around closes it
and opens the remainder as a new one; the commission is split pro rata.

HEDGING: a fill belongs to the position its order names, by default one of the order's own. What a
fill has beyond the position it closes, or brings once that is closed, opens a position of the
order's own, as a flip does.

A commission taken in the base currency (spot exchanges take it from what was bought) leaves less of
it. With a fill of `q` at the price `p` and such a commission `c`, a purchase adds `q - c` at `p`,
and a sale takes `q + c` off; what was taken counts at the fill's price: realised profit falls by
`c * p * multiplier`. So a position is what the account has got, and its profit what that cost and
brought. What a sale's commission takes beyond what is held comes from elsewhere in the account: it
counts as profit lost, and opens nothing. A commission in any other currency is the account's
affair alone.

Ids: `P-<strategy>-<n>` for netted positions, `P-<client order id>` for an order's own.
"""

from __future__ import annotations

from decimal import Decimal

from workbench.engines.cache import Cache
from workbench.engines.portfolio import Portfolio
from workbench.model.enums import OrderSide
from workbench.model.events import (
    OrderFilled,
    PositionChanged,
    PositionClosed,
    PositionEvent,
    PositionOpened,
)
from workbench.model.identifiers import PositionId
from workbench.model.instruments import DERIVATIVES, Instrument
from workbench.model.money import ZERO
from workbench.model.orders import Order
from workbench.model.positions import Position, own_position_id, split_flip


class PositionKeeper:
    """Applies fills to positions.

    Args:
        cache: Where positions are.
        portfolio: Told of realised profit.
    """

    def __init__(self, cache: Cache, portfolio: Portfolio) -> None:
        self._cache = cache
        self._portfolio = portfolio
        self._count = 0

    def apply_fill(
        self, order: Order, fill: OrderFilled, *, is_hedging: bool
    ) -> list[PositionEvent]:
        """Apply a fill that its order took; return what it did to positions.

        Args:
            order: Whose `position_id` becomes that of the position it traded last.
            fill: The fill.
            is_hedging: Whether positions of the fill's account are kept apart.

        Raises:
            InstrumentError: If the instrument is not known.
        """
        position = self._named(order, fill) if is_hedging else self._netted(fill)
        instrument = (
            self._cache.require_instrument(fill.instrument_id)
            if position is None
            else position.instrument
        )
        held = ZERO if position is None else position.signed_quantity
        quantity, commission = _effect(fill, instrument, held)
        if position is None:
            parts = ((quantity, commission),)
        else:
            parts = split_flip(held, fill.side, quantity, commission)
        changes: list[PositionEvent] = []
        for quantity, share in parts:
            if position is None or not position.signed_quantity:
                position_id = self._new_id(order, fill) if is_hedging else self._next_id(fill)
                position = self._open(position_id, fill, instrument)
                kind = PositionOpened
            else:
                kind = PositionChanged
            before = position.realized_pnl
            position.apply(fill.side, quantity, fill.price, share, fill.ts_event)
            self._portfolio.add_realized(position, position.realized_pnl - before)
            if not position.signed_quantity:
                self._cache.close_position(position)
                kind = PositionClosed
            changes.append(_position_event(kind, position, fill))
            order.position_id = position.position_id
        return changes

    def _netted(self, fill: OrderFilled) -> Position | None:
        book = self._cache.book(fill.instrument_id, fill.strategy_id)
        for position in book.positions.values():
            if position.account_id == fill.account_id:
                return position
        return None

    def _named(self, order: Order, fill: OrderFilled) -> Position | None:
        """Return the open position the fill names, else the one its order traded last."""
        held = self._cache.book(fill.instrument_id, fill.strategy_id).positions
        for position_id in (fill.position_id, order.position_id):
            position = None if position_id is None else held.get(position_id)
            if position is not None and position.account_id == fill.account_id:
                return position
        return None

    def _next_id(self, fill: OrderFilled) -> PositionId:
        self._count += 1
        return PositionId(f"P-{fill.strategy_id}-{self._count}")

    def _new_id(self, order: Order, fill: OrderFilled) -> PositionId:
        """Return an id that no position has: the one named, else one of the order's own."""
        named = fill.position_id or order.position_id
        if named is not None and self._cache.position(named) is None:
            return named
        first = own_position_id(fill.client_order_id)
        unused, number = first, 1
        while self._cache.position(unused) is not None:
            number += 1
            unused = PositionId(f"{first}-{number}")
        return unused

    def _open(self, position_id: PositionId, fill: OrderFilled, instrument: Instrument) -> Position:
        position = Position(
            position_id=position_id,
            strategy_id=fill.strategy_id,
            account_id=fill.account_id,
            instrument=instrument,
            entry=fill.side,
        )
        self._cache.add_position(position)
        return position


def _effect(fill: OrderFilled, instrument: Instrument, held: Decimal) -> tuple[Decimal, Decimal]:
    """Return how much a fill trades of a position, and its commission in settlement currency."""
    quantity, commission = fill.quantity, fill.commission
    unit = fill.commission_currency
    if not commission or unit == instrument.settlement_currency:
        return quantity, commission
    if unit != instrument.base_currency or isinstance(instrument, DERIVATIVES):
        # Charged to the account in its own currency; not part of this position's profit.
        return quantity, ZERO
    taken = commission / instrument.multiplier
    traded = quantity - fill.side.sign * taken
    if fill.side is OrderSide.SELL and held >= quantity:
        traded = min(traded, held)
    if traded <= 0:
        return quantity, ZERO  # no venue takes all of a fill: it is not understood
    return traded, instrument.notional(taken, fill.price)


def _position_event(
    kind: type[PositionOpened] | type[PositionChanged] | type[PositionClosed],
    position: Position,
    fill: OrderFilled,
) -> PositionEvent:
    return kind(
        position_id=position.position_id,
        strategy_id=position.strategy_id,
        instrument_id=fill.instrument_id,
        account_id=position.account_id,
        client_order_id=fill.client_order_id,
        side=position.side,
        signed_quantity=position.signed_quantity,
        average_open=position.average_open,
        average_close=position.average_close,
        realized_pnl=position.realized_pnl,
        currency=position.instrument.settlement_currency,
        ts_event=fill.ts_event,
        ts_init=fill.ts_init,
    )

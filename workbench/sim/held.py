"""What strategies hold at a simulated exchange: how much a reduce-only order may still fill."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from workbench.engines.positions import own_position_id
from workbench.model.enums import OrderSide
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import InstrumentId, PositionId, StrategyId
from workbench.model.money import ZERO
from workbench.model.positions import Position

_Key = tuple[InstrumentId, StrategyId, PositionId | None]


class HeldPositions:
    """Signed quantities by position, as the engines see them; closed ones are forgotten.

    Args:
        is_hedging: Whether an order's fills belong to the position it names or to one of its own;
            else there is one position per instrument and strategy.
    """

    def __init__(self, *, is_hedging: bool) -> None:
        self._is_hedging = is_hedging
        self._held: dict[_Key, Decimal] = {}

    def quantities(self) -> list[Decimal]:
        """Return the signed quantities of all open positions."""
        return list(self._held.values())

    def count(self, definition: OrderInitialized, quantity: Decimal) -> None:
        """Count a fill; what it has beyond a position that it names goes to its order's own."""
        signed = quantity if definition.side is OrderSide.BUY else -quantity
        if not self._is_hedging:
            key: _Key = (definition.instrument_id, definition.strategy_id, None)
            self._put(key, self._held.get(key, ZERO) + signed)
            return
        key = self._key(definition)
        held = self._held.get(key, ZERO)
        if held * signed <= 0 and quantity > abs(held):
            own = self._key(definition, is_own=True)
            if own != key:
                self._held.pop(key, None)
                key, held = own, self._held.get(own, ZERO) + held
        self._put(key, held + signed)

    def restore(self, positions: Iterable[Position]) -> None:
        """Hold these positions, too."""
        for position in positions:
            name = position.position_id if self._is_hedging else None
            key: _Key = (position.instrument_id, position.strategy_id, name)
            self._put(key, self._held.get(key, ZERO) + position.signed_quantity)

    def _put(self, key: _Key, quantity: Decimal) -> None:
        if quantity:
            self._held[key] = quantity
        else:
            self._held.pop(key, None)

    def reducible(self, definition: OrderInitialized) -> Decimal:
        """Return how much of its position an order would reduce at most."""
        held = self._held.get(self._key(definition), ZERO)
        return max(ZERO, -definition.side.sign * held)

    def _key(self, definition: OrderInitialized, *, is_own: bool = False) -> _Key:
        position_id = None
        if self._is_hedging:
            own = own_position_id(definition.client_order_id)
            position_id = own if is_own else definition.position_id or own
        return definition.instrument_id, definition.strategy_id, position_id

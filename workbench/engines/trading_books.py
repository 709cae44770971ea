"""What works and what is held, filed by instrument and strategy.

A question about one strategy's orders in one instrument costs what the answer holds: neither other
strategies' orders nor closed ones are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.model.enums import OrderStatus
from workbench.model.identifiers import ClientOrderId, InstrumentId, PositionId, StrategyId
from workbench.model.order_state import IN_FLIGHT, OPEN
from workbench.model.orders import Order
from workbench.model.positions import Position

_EMULATED = frozenset({OrderStatus.EMULATED, OrderStatus.RELEASED})


class TradingBook:
    """The working orders and open positions of one strategy in one instrument, each by its id."""

    __slots__ = ("emulated", "in_flight", "initialized", "open", "positions")

    def __init__(self) -> None:
        self.initialized: dict[ClientOrderId, Order] = {}
        self.emulated: dict[ClientOrderId, Order] = {}
        self.in_flight: dict[ClientOrderId, Order] = {}
        self.open: dict[ClientOrderId, Order] = {}
        self.positions: dict[PositionId, Position] = {}

    def file(self, key: ClientOrderId, order: Order, status: OrderStatus) -> None:
        """File an order that works by its status; one that stays in a file keeps its place."""
        if status in IN_FLIGHT:
            self.in_flight[key] = order
        elif self.in_flight:
            self.in_flight.pop(key, None)
        if status in OPEN:
            self.open[key] = order
        elif self.open:
            self.open.pop(key, None)
        if status in _EMULATED:
            self.emulated[key] = order
        elif self.emulated:
            self.emulated.pop(key, None)

    def working(self) -> Iterator[Order]:
        """Go through the working orders."""
        yield from self.initialized.values()
        yield from self.emulated.values()
        yield from self.in_flight.values()
        yield from self.open.values()


class TradingBooks:
    """A book for each pair of instrument and strategy that ever traded.

    Attributes:
        find: Return the book of a pair of instrument and strategy, or None.
    """

    def __init__(self) -> None:
        self._books: dict[tuple[str, str], TradingBook] = {}
        self.find = self._books.get
        self._of_instrument: dict[str, list[TradingBook]] = {}
        self._of_strategy: dict[str, list[TradingBook]] = {}

    def of(self, instrument_id: InstrumentId, strategy_id: StrategyId) -> TradingBook:
        """Return the book of an instrument and strategy, a new one if there was none."""
        key = instrument_id, strategy_id
        book = self._books.get(key)
        if book is None:
            book = self._books[key] = TradingBook()
            self._of_instrument.setdefault(instrument_id, []).append(book)
            self._of_strategy.setdefault(strategy_id, []).append(book)
        return book

    def select(self, instrument_id: str | None, strategy_id: str | None) -> Iterator[TradingBook]:
        """Iterate over the books of an instrument, a strategy, both, or all of them."""
        if instrument_id is not None and strategy_id is not None:
            book = self.find((instrument_id, strategy_id))
            return iter(()) if book is None else iter((book,))
        if instrument_id is not None:
            return iter(self._of_instrument.get(instrument_id, ()))
        if strategy_id is not None:
            return iter(self._of_strategy.get(strategy_id, ()))
        return iter(self._books.values())

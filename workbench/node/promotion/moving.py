"""Moving a strategy from one account to another.

What it has open where it leaves is cancelled and closed by commands like any others: they are
journaled, its orders and positions follow the events, and the strategy hears of them. They are
handled before any market data that waits, and at a simulated exchange they arrive at once.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal

import msgspec

from workbench.engines.clients import ExecutionClient
from workbench.model.commands import CancelOrder
from workbench.model.enums import OrderSide
from workbench.model.identifiers import ClientOrderId, InstrumentId, PositionId, venue_of
from workbench.model.money import ZERO
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.node.left_open import order_left, working_orders
from workbench.sim.client import SimulatedExecutionClient
from workbench.trading.core import TradingCore
from workbench.trading.strategy import Strategy


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a move did.

    Attributes:
        cancelled: The orders that were to be cancelled, a sentence each.
        closed: What was to be closed: instrument and signed quantity.
        opened: What was to be opened at the new account: instrument and signed quantity.
        left: What was still open at the old account right afterwards, a sentence each.
    """

    cancelled: tuple[str, ...] = ()
    closed: dict[InstrumentId, Decimal] = {}
    opened: dict[InstrumentId, Decimal] = {}
    left: tuple[str, ...] = ()


class Mover:
    """Moves one strategy, step by step; each step is taken between two messages.

    Args:
        core: Whose strategy it is.
        strategy: Which.
        source: The client of the account that it leaves.
    """

    def __init__(self, core: TradingCore, strategy: Strategy, source: ExecutionClient) -> None:
        self._core = core
        self._strategy = strategy
        self._source = source
        self._cancelled: dict[ClientOrderId, str] = {}
        self._closed: dict[PositionId, tuple[InstrumentId, Decimal]] = {}
        self._opened: dict[InstrumentId, Decimal] = {}

    def expedited(self) -> AbstractContextManager[None]:
        """Let what is sent to a simulated exchange meanwhile arrive at once."""
        source = self._source
        if isinstance(source, SimulatedExecutionClient):
            return source.exchange.arrivals.expedited(self._strategy.strategy_id)
        return nullcontext()

    def to(self, target: ExecutionClient) -> None:
        """Let orders go to another client's account from now on."""
        strategy_id = self._strategy.strategy_id
        self._core.routes.set(strategy_id, target.venue, target.account_id)

    def back(self) -> None:
        """Let orders go to the venue's first client again."""
        self._core.routes.clear(self._strategy.strategy_id, self._source.venue)

    def cancel(self) -> None:
        """Cancel the orders that work at the account; each once."""
        core = self._core
        for order in self._working():
            if order.client_order_id not in self._cancelled:
                self._cancelled[order.client_order_id] = order_left(order)
                core.lanes.risk_commands.put(
                    CancelOrder(
                        strategy_id=order.strategy_id,
                        instrument_id=order.instrument_id,
                        client_order_id=order.client_order_id,
                        ts_init=core.clock.timestamp_ns(),
                    )
                )

    def close(self) -> None:
        """Send a market order for each position that is held there; for each once."""
        for position in self._held():
            if position.position_id not in self._closed:
                held = position.instrument_id, position.signed_quantity
                self._closed[position.position_id] = held
                self._strategy.close_position(position)

    def open(self) -> None:
        """Buy or sell where orders go now what was closed."""
        strategy = self._strategy
        for instrument_id, quantity in self._closed.values():
            side = OrderSide.BUY if quantity > 0 else OrderSide.SELL
            strategy.submit_order(strategy.orders.market(instrument_id, side, abs(quantity)))
            self._opened[instrument_id] = self._opened.get(instrument_id, ZERO) + quantity

    def is_awaited(self) -> bool:
        """Return whether an answer to what was sent is still to come."""
        is_closing = any(p.position_id in self._closed for p in self._held())
        return is_closing or bool(self._working())

    def planned(self, *, opens: bool) -> Moved:
        """Return what a promotion would do now."""
        held: dict[InstrumentId, Decimal] = {}
        for position in self._held():
            name = position.instrument_id
            held[name] = held.get(name, ZERO) + position.signed_quantity
        cancelled = tuple(order_left(order) for order in self._working())
        return Moved(cancelled=cancelled, closed=held, opened=dict(held) if opens else {})

    def left(self) -> list[str]:
        """Return what is still open at the account, a sentence each."""
        lines = [order_left(order) for order in self._working()]
        lines += [f"position {p.signed_quantity} {p.instrument_id}" for p in self._held()]
        return lines

    def moved(self) -> Moved:
        """Return what was done, and what is left by now."""
        closed: dict[InstrumentId, Decimal] = {}
        for instrument_id, quantity in self._closed.values():
            closed[instrument_id] = closed.get(instrument_id, ZERO) + quantity
        return Moved(
            cancelled=tuple(self._cancelled.values()),
            closed=closed,
            opened=dict(self._opened),
            left=tuple(self.left()),
        )

    def _working(self) -> list[Order]:
        """Return the strategy's orders that work there; what was not sent yet is meant for it."""
        source, strategy_id = self._source, self._strategy.strategy_id
        return [
            order
            for order in working_orders(self._core.cache)
            if order.strategy_id == strategy_id
            and order.account_id in (None, source.account_id)
            and venue_of(order.instrument_id) == source.venue
        ]

    def _held(self) -> list[Position]:
        held = self._core.cache.positions_open(strategy_id=self._strategy.strategy_id)
        return [position for position in held if position.account_id == self._source.account_id]

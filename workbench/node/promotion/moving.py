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
from workbench.model.enums import OrderSide, OrderStatus
from workbench.model.identifiers import ClientOrderId, InstrumentId, PositionId, venue_of
from workbench.model.money import ZERO
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.node.left_open import order_left, position_left, working_orders
from workbench.sim.client import SimulatedExecutionClient
from workbench.trading.core import TradingCore
from workbench.trading.strategy import Strategy


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a move did.

    Attributes:
        cancelled: The orders that were cancelled, as they were before, a sentence each.
        closed: What was closed: instrument and signed quantity.
        opened: What was ordered at the new account: instrument and signed quantity.
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
        has_left: Whether its orders went elsewhere before it was started.
    """

    def __init__(
        self,
        core: TradingCore,
        strategy: Strategy,
        source: ExecutionClient,
        *,
        has_left: bool = False,
    ) -> None:
        self._core = core
        self._strategy = strategy
        self._source = source
        # Of what was not sent yet, which is meant for the source: all until the route changes.
        self._unsent: frozenset[ClientOrderId] | None = frozenset() if has_left else None
        self._cancelled: dict[ClientOrderId, str] = {}
        self._closing: dict[PositionId, list[Order]] = {}
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
        self._unsent = self._unsent_now()
        self._core.routes.set(strategy_id, target.venue, target.account_id)

    def back(self) -> None:
        """Let orders go to the venue's first client again."""
        self._unsent = self._unsent_now()
        self._core.routes.clear(self._strategy.strategy_id, self._source.venue)

    def cancel(self) -> None:
        """Cancel the orders that work at the account, each once, but for those that close."""
        core = self._core
        closing = (order for orders in self._closing.values() for order in orders)
        done = {*self._cancelled, *(order.client_order_id for order in closing)}
        for order in self._working():
            if order.client_order_id not in done:
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
        """Send a market order for each position that is held there.

        Again for what a fill has added or left since, not for what was refused.
        """
        for position in self._held():
            before = self._closing.get(position.position_id)
            if before is None or (before[-1].is_closed and not _is_for(before[-1], position)):
                self._close(position)

    def _close(self, position: Position) -> None:
        quantity = position.instrument.quantity(position.quantity)
        if not quantity:
            return  # what a fee has left of a step: nobody can sell it
        orders = self._strategy.orders
        side = OrderSide.SELL if position.signed_quantity > 0 else OrderSide.BUY
        order = orders.market(position.instrument_id, side, quantity, reduce_only=True)
        self._closing.setdefault(position.position_id, []).append(order)
        if self._unsent is not None:
            self._unsent |= {order.client_order_id}
        self._strategy.submit_order(
            order, account_id=position.account_id, position_id=position.position_id
        )

    def open(self) -> None:
        """Buy or sell where orders go now what was closed."""
        strategy = self._strategy
        for instrument_id, quantity in self._closed().items():
            side = OrderSide.BUY if quantity > 0 else OrderSide.SELL
            strategy.submit_order(strategy.orders.market(instrument_id, side, abs(quantity)))
            self._opened[instrument_id] = quantity

    def _closed(self) -> dict[InstrumentId, Decimal]:
        """Return what the orders that close have filled, as it was held."""
        closed: dict[InstrumentId, Decimal] = {}
        for order in (one for orders in self._closing.values() for one in orders):
            name, filled = order.instrument_id, order.side.sign * order.filled_quantity
            closed[name] = closed.get(name, ZERO) - filled
        return {name: quantity for name, quantity in closed.items() if quantity}

    def is_awaited(self) -> bool:
        """Return whether an answer to what was sent is still to come."""
        return bool(self._working())

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
        return lines + [position_left(position) for position in self._held()]

    def moved(self) -> Moved:
        """Return what was done, and what is left by now."""
        return Moved(
            cancelled=tuple(
                line for name, line in self._cancelled.items() if self._is_cancelled(name)
            ),
            closed=self._closed(),
            opened=dict(self._opened),
            left=tuple(self.left()),
        )

    def _is_cancelled(self, client_order_id: ClientOrderId) -> bool:
        """Return whether an order that was to be cancelled has ended, and not by being filled."""
        order = self._core.cache.order(client_order_id)
        return order is None or (order.is_closed and order.status is not OrderStatus.FILLED)

    def _unsent_now(self) -> frozenset[ClientOrderId]:
        unsent = (order for order in self._working() if order.account_id is None)
        return frozenset(order.client_order_id for order in unsent)

    def _working(self) -> list[Order]:
        """Return the strategy's orders that work there, or are meant for it and not sent yet."""
        source, strategy_id = self._source, self._strategy.strategy_id
        return [
            order
            for order in working_orders(self._core.cache)
            if order.strategy_id == strategy_id
            and venue_of(order.instrument_id) == source.venue
            and self._is_there(order)
        ]

    def _is_there(self, order: Order) -> bool:
        if order.account_id is not None:
            return order.account_id == self._source.account_id
        return self._unsent is None or order.client_order_id in self._unsent

    def _held(self) -> list[Position]:
        held = self._core.cache.positions_open(strategy_id=self._strategy.strategy_id)
        return [position for position in held if position.account_id == self._source.account_id]


def _is_for(order: Order, position: Position) -> bool:
    """Return whether an order was refused that would have closed what is held."""
    would_close = position.instrument.quantity(-position.signed_quantity)
    return not order.filled_quantity and order.side.sign * order.quantity == would_close

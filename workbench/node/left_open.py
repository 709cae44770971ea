"""What is open: the orders that work and the positions that are held, in words."""

from __future__ import annotations

from workbench.engines.cache import Cache
from workbench.model.orders import Order
from workbench.model.positions import Position


def working_orders(cache: Cache) -> list[Order]:
    """Return every order that has not ended, each once: made, held here, on its way, or resting."""
    return _each_once(*_sent(cache), *cache.orders_initialized())


def left_open(cache: Cache) -> list[str]:
    """Return the orders that were sent or are held here, and the positions, a sentence each."""
    lines = [order_left(order) for order in _each_once(*_sent(cache))]
    lines += [
        f"position {p.position_id}: {p.signed_quantity} {p.instrument_id}"
        for p in cache.positions_open()
    ]
    return lines


def left_at(cache: Cache, strategy_id: str, account_id: str) -> list[str]:
    """Return what a strategy has open at an account, a sentence each."""
    orders = _each_once(
        *cache.orders_open(strategy_id=strategy_id),
        *cache.orders_in_flight(strategy_id=strategy_id),
    )
    held = cache.positions_open(strategy_id=strategy_id)
    lines = [order_left(order) for order in orders if order.account_id == account_id]
    return lines + [position_left(one) for one in held if one.account_id == account_id]


def position_left(position: Position) -> str:
    """Return a position that is held as a sentence."""
    return f"position {position.signed_quantity} {position.instrument_id}"


def order_left(order: Order) -> str:
    """Return an order that works as a sentence."""
    return (
        f"order {order.client_order_id} ({order.status.value}): {order.side.value}"
        f" {order.leaves_quantity} {order.instrument_id}"
    )


def _sent(cache: Cache) -> tuple[Order, ...]:
    return (*cache.orders_open(), *cache.orders_in_flight(), *cache.orders_emulated())


def _each_once(*orders: Order) -> list[Order]:
    return list({order.client_order_id: order for order in orders}.values())

"""Rebuild what was known from a run's log: the same orders, positions and accounts.

What came in is fed again (orders as they were sent, events, reports); what was derived is derived
again. Of the derived records only those that define an order are read.
"""

from __future__ import annotations

from collections.abc import Iterable

from workbench.engines.cache import Cache
from workbench.engines.execution import ExecutionEngine
from workbench.model.commands import SubmitOrder, SubmitOrderList
from workbench.model.enums import OrderStatus
from workbench.model.events import (
    AccountState,
    OrderDenied,
    OrderEmulated,
    OrderEvent,
    OrderInitialized,
)
from workbench.model.identifiers import ClientOrderId
from workbench.model.orders import Order
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport
from workbench.runtime.eventlog import Record, RecordKind

_FED = (OrderEvent, AccountState, OrderStatusReport, FillReport, PositionReport)


def rebuild(records: Iterable[Record], cache: Cache, execution: ExecutionEngine) -> None:
    """Bring a fresh cache and engine to where a run's were at the end of its log.

    Args:
        records: All records, oldest first.
        cache: Empty but for instruments.
        execution: Works on it; has the run's execution clients (nothing is sent to them) and its
            settings.

    Raises:
        ClientError: If an account's client is missing.
    """
    kept = list(records)
    made = {
        record.message.client_order_id: record.message
        for record in kept
        if record.kind is RecordKind.DERIVED and isinstance(record.message, OrderInitialized)
    }
    for record in kept:
        message = record.message
        if isinstance(message, SubmitOrder):
            _define(message.order, made, cache)
        elif isinstance(message, SubmitOrderList):
            for order in message.orders:
                _define(order, made, cache)
        elif record.kind is RecordKind.EVENT and isinstance(message, _FED):
            if isinstance(message, (OrderDenied, OrderEmulated)):
                # It never was a command, or is not yet one.
                order = made.get(message.client_order_id)
                if order is not None:
                    _define(order, made, cache)
            execution.process(message)


def _define(
    order: OrderInitialized, made: dict[ClientOrderId, OrderInitialized], cache: Cache
) -> None:
    known = cache.order(order.client_order_id)
    if known is None:
        known = Order.from_initialized(order)
        cache.add_order(known)
    if known.status in (OrderStatus.INITIALIZED, OrderStatus.RELEASED):
        # Which position it is for was settled when it was sent.
        settled = made.get(order.client_order_id)
        known.position_id = order.position_id if settled is None else settled.position_id

"""What is asked for: immutable data, trading and system commands."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.enums import OrderSide
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import (
    ClientId,
    ClientOrderId,
    ComponentId,
    InstrumentId,
    StrategyId,
)


class DataKind(StrEnum):
    """What kind of market data a subscription or request is for."""

    QUOTES = "quotes"
    TRADES = "trades"
    BARS = "bars"


class Subscribe(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Send this data to `component_id` from now on; `bar_type` for bars only."""

    component_id: ComponentId
    kind: DataKind
    instrument_id: InstrumentId
    bar_type: BarType | None = None
    client_id: ClientId | None = None
    ts_init: int


class Unsubscribe(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Send this data to `component_id` no longer."""

    component_id: ComponentId
    kind: DataKind
    instrument_id: InstrumentId
    bar_type: BarType | None = None
    client_id: ClientId | None = None
    ts_init: int


class RequestData(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Ask for history: `start <= ts_event < end` (nanoseconds; None: no bound), newest `limit`."""

    request_id: int
    component_id: ComponentId
    kind: DataKind
    instrument_id: InstrumentId
    bar_type: BarType | None = None
    start: int | None = None
    end: int | None = None
    limit: int | None = None
    client_id: ClientId | None = None
    ts_init: int


class DataResponse(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """The answer to a `RequestData`, in time order; `error` says why there is none."""

    request_id: int
    component_id: ComponentId
    kind: DataKind
    instrument_id: InstrumentId
    bar_type: BarType | None = None
    data: tuple[Quote | Trade | Bar, ...]
    error: str = ""
    ts_event: int
    ts_init: int


class SubmitOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Send an order; `order` holds all that defines it."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    order: OrderInitialized
    client_id: ClientId | None = None
    ts_init: int


class ModifyOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Change quantity or price of an open order; None leaves one as it is."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    quantity: Decimal | None = None
    price: Decimal | None = None
    client_id: ClientId | None = None
    ts_init: int


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Cancel one order."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    client_id: ClientId | None = None
    ts_init: int


class CancelAllOrders(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Cancel all open orders of a strategy in an instrument, of one side or both."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    side: OrderSide | None = None
    client_id: ClientId | None = None
    ts_init: int


class QueryOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Ask the venue what became of an order; the answer is an `OrderStatusReport`."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    client_id: ClientId | None = None
    ts_init: int


class ShutdownSystem(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """End the run gracefully; the same in every set-up."""

    component_id: ComponentId
    reason: str
    ts_init: int


DataCommand = Subscribe | Unsubscribe | RequestData
TradingCommand = SubmitOrder | ModifyOrder | CancelOrder | CancelAllOrders | QueryOrder

"""What a venue says it holds: the raw material of reconciliation."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from workbench.model.enums import LiquiditySide, OrderSide, OrderStatus, OrderType, TimeInForce
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    TradeId,
    VenueOrderId,
)
from workbench.model.money import ZERO, Currency


class OrderStatusReport(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """An order as the venue has it."""

    account_id: AccountId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId | None
    venue_order_id: VenueOrderId
    side: OrderSide
    order_type: OrderType
    time_in_force: TimeInForce
    status: OrderStatus
    quantity: Decimal
    filled_quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    average_price: Decimal | None = None
    reason: str = ""
    ts_event: int
    ts_init: int


class FillReport(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """A fill as the venue has it; unique by instrument and trade id."""

    account_id: AccountId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId | None
    venue_order_id: VenueOrderId
    trade_id: TradeId
    side: OrderSide
    quantity: Decimal
    price: Decimal
    commission: Decimal = ZERO
    commission_currency: Currency
    liquidity: LiquiditySide
    ts_event: int
    ts_init: int


class PositionReport(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """A net position as the venue has it; `signed_quantity` is negative for a short."""

    account_id: AccountId
    instrument_id: InstrumentId
    signed_quantity: Decimal
    average_open: Decimal | None = None
    ts_event: int
    ts_init: int


ExecutionReport = OrderStatusReport | FillReport | PositionReport

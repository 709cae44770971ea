"""What is asked for: immutable data, trading and system commands."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.enums import OrderSide
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    ComponentId,
    InstrumentId,
    OrderListId,
    StrategyId,
)


class DataKind(StrEnum):
    """What kind of market data a subscription or request is for."""

    QUOTES = "quotes"
    TRADES = "trades"
    BARS = "bars"
    MARK_PRICES = "mark_prices"
    FUNDING_RATES = "funding_rates"
    INSTRUMENT_STATUS = "instrument_status"
    CUSTOM = "custom"
    SIGNALS = "signals"


class DataCommandFields(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all data commands share: who asks, for which data.

    `bar_type` is for bars only, `topic` for custom data (its class's name) and signals (theirs, or
    empty for all); `instrument_id` is empty where these are not of one.
    """

    component_id: ComponentId
    kind: DataKind
    instrument_id: InstrumentId
    bar_type: BarType | None = None
    topic: str = ""
    client_id: ClientId | None = None
    ts_init: int


class BarMaking(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How bars are made inside; see `subscribe_bars`."""

    build_with_no_updates: bool = True
    skip_first_non_full_bar: bool = False
    build_delay_ns: int = 0


class Subscribe(DataCommandFields, frozen=True, kw_only=True, gc=False, tag=True):
    """Send this data to `component_id` from now on.

    Bars may be asked for with what was before: `request_id` is that of the answer, `history_ns` how
    long before now it begins, `history_bars` the newest so many; `making` is for bars that are made
    inside.
    """

    request_id: int | None = None
    history_ns: int | None = None
    history_bars: int | None = None
    making: BarMaking | None = None


class Unsubscribe(DataCommandFields, frozen=True, kw_only=True, gc=False, tag=True):
    """Send this data to `component_id` no longer."""


class RequestData(DataCommandFields, frozen=True, kw_only=True, gc=False, tag=True):
    """Ask for history: `start <= ts_event < end` (nanoseconds; None: no bound), newest `limit`."""

    request_id: int
    start: int | None = None
    end: int | None = None
    limit: int | None = None


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


class TradingCommandFields(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all trading commands share.

    `client_id` or `account_id` where not the first client of the venue is meant.
    """

    strategy_id: StrategyId
    instrument_id: InstrumentId
    client_id: ClientId | None = None
    account_id: AccountId | None = None
    ts_init: int


class OrderCommandFields(TradingCommandFields, frozen=True, kw_only=True, gc=False):
    """What the trading commands about one order share."""

    client_order_id: ClientOrderId


class SubmitOrder(OrderCommandFields, frozen=True, kw_only=True, gc=False, tag=True):
    """Send an order; `order` holds all that defines it."""

    order: OrderInitialized


class SubmitOrderList(TradingCommandFields, frozen=True, kw_only=True, gc=False, tag=True):
    """Send the orders of a list together: all leave, or none; they are of one instrument."""

    order_list_id: OrderListId
    orders: tuple[OrderInitialized, ...]


class ModifyOrder(OrderCommandFields, frozen=True, kw_only=True, gc=False, tag=True):
    """Change quantity, price or trigger price of an open order; None leaves one as it is."""

    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None


class CancelOrder(OrderCommandFields, frozen=True, kw_only=True, gc=False, tag=True):
    """Cancel one order."""


class CancelAllOrders(TradingCommandFields, frozen=True, kw_only=True, gc=False, tag=True):
    """Cancel all open orders of a strategy in an instrument, of one side or both."""

    side: OrderSide | None = None


class QueryOrder(OrderCommandFields, frozen=True, kw_only=True, gc=False, tag=True):
    """Ask the venue what became of an order; the answer is an `OrderStatusReport`."""


class ShutdownSystem(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """End the run gracefully; the same in every set-up."""

    component_id: ComponentId
    reason: str
    ts_init: int


DataCommand = Subscribe | Unsubscribe | RequestData
TradingCommand = (
    SubmitOrder | SubmitOrderList | ModifyOrder | CancelOrder | CancelAllOrders | QueryOrder
)

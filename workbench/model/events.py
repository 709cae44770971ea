"""What happened: immutable order, position, account and system events.

Every event carries `ts_event`, when it happened, and `ts_init`, when the object was made (integer
nanoseconds, UTC). Amounts are `Decimal`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from workbench.model.display import fitted, format_ns, grid_html, shown
from workbench.model.enums import (
    AccountType,
    ContingencyType,
    LiquiditySide,
    OrderSide,
    OrderType,
    PositionSide,
    TimeInForce,
    TrailingOffsetType,
    TriggerType,
)
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    ComponentId,
    InstrumentId,
    OrderListId,
    PositionId,
    StrategyId,
    TradeId,
    VenueOrderId,
)
from workbench.model.money import ZERO, Currency


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """What all order events share."""

    strategy_id: StrategyId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    ts_event: int
    ts_init: int


def about(what: Any, ts_ns: int) -> dict[str, Any]:
    """Return what every order event holds, for an event of now about a command or an order."""
    return {
        "strategy_id": what.strategy_id,
        "instrument_id": what.instrument_id,
        "client_order_id": what.client_order_id,
        "ts_event": ts_ns,
        "ts_init": ts_ns,
    }


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What defines the less common orders; most share the one object `PLAIN`.

    Attributes:
        trigger_type: Which price its trigger is compared with.
        activation_price: A trailing stop trails once the market has reached it.
        trailing_offset: How far its trigger follows behind the market.
        trailing_offset_type: What that offset and `limit_offset` are counted in.
        limit_offset: How far the limit of a trailing stop limit lies behind its trigger.
        expire_ns: When a GTD order ends, nanoseconds.
        quote_quantity: Its size as it was asked for, in the quote currency.
        display_quantity: How much of it the venue shows.
        emulation_trigger: Its trigger is watched on our side, by this price.
        contingency: What it has to do with its linked orders.
        order_list_id: The list it was submitted in.
        linked_order_ids: The orders it is linked to; for the parent of an OTO its children.
        parent_order_id: It works once this order fills.
        tags: Words of the strategy's own.
    """

    trigger_type: TriggerType = TriggerType.DEFAULT
    activation_price: Decimal | None = None
    trailing_offset: Decimal | None = None
    trailing_offset_type: TrailingOffsetType = TrailingOffsetType.PRICE
    limit_offset: Decimal | None = None
    expire_ns: int | None = None
    quote_quantity: Decimal | None = None
    display_quantity: Decimal | None = None
    emulation_trigger: TriggerType | None = None
    contingency: ContingencyType | None = None
    order_list_id: OrderListId | None = None
    linked_order_ids: tuple[ClientOrderId, ...] = ()
    parent_order_id: ClientOrderId | None = None
    tags: tuple[str, ...] = ()


PLAIN = OrderTerms()
"""The terms of an order that has none of them."""


class OrderInitialized(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """An order was made; holds everything that defines it."""

    side: OrderSide
    order_type: OrderType
    quantity: Decimal
    time_in_force: TimeInForce = TimeInForce.GTC
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    post_only: bool = False
    reduce_only: bool = False
    position_id: PositionId | None = None
    terms: OrderTerms = PLAIN


class OrderDenied(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """The risk engine refused it: `code` for programs, `reason` for people. Nothing was sent."""

    code: str
    reason: str


class OrderSubmitted(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """It was sent to the venue."""

    account_id: AccountId


class OrderAccepted(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """The venue has it."""

    account_id: AccountId
    venue_order_id: VenueOrderId


class OrderRejected(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """The venue refused it."""

    account_id: AccountId
    reason: str


class OrderCanceled(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """It no longer rests."""

    account_id: AccountId | None = None
    venue_order_id: VenueOrderId | None = None
    reason: str = ""


class OrderExpired(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """Its time in force ended."""

    account_id: AccountId | None = None
    venue_order_id: VenueOrderId | None = None


class OrderTriggered(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """Its trigger was reached."""

    account_id: AccountId | None = None
    venue_order_id: VenueOrderId | None = None


class OrderEmulated(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """Its trigger, or the order it depends on, is watched on our side."""


class OrderReleased(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """What was waited for on our side came; the order goes on as `order_type`.

    `released_price` is the market price that reached its trigger, None where it waited for another
    order.
    """

    order_type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    released_price: Decimal | None = None


class OrderPendingUpdate(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """A modification is on its way."""

    account_id: AccountId | None = None
    venue_order_id: VenueOrderId | None = None


class OrderPendingCancel(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """A cancel is on its way."""

    account_id: AccountId | None = None
    venue_order_id: VenueOrderId | None = None


class OrderModifyRejected(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """A modification was refused; the order is as it was.

    `code` is set where it was refused on our side, so that it was never sent and leaves what is
    pending at the venue pending; it is empty where the venue refused it.
    """

    reason: str
    code: str = ""
    account_id: AccountId | None = None


class OrderCancelRejected(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """A cancel was refused; the order is as it was. `code` as in `OrderModifyRejected`."""

    reason: str
    code: str = ""
    account_id: AccountId | None = None


class OrderUpdated(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """Quantity, price or trigger price are now these; None leaves one as it was.

    `is_unasked` where the venue did it of its own accord (a trailing stop, a linked order): what is
    pending stays so.
    """

    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    is_unasked: bool = False
    account_id: AccountId | None = None
    venue_order_id: VenueOrderId | None = None


class OrderFilled(OrderEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """A fill: `quantity` at `price`, with its commission (negative for a rebate)."""

    account_id: AccountId
    venue_order_id: VenueOrderId
    trade_id: TradeId
    side: OrderSide
    order_type: OrderType
    quantity: Decimal
    price: Decimal
    commission: Decimal
    commission_currency: Currency
    liquidity: LiquiditySide
    position_id: PositionId | None = None
    reconciliation: bool = False


class PositionEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """What all position events share: the position as it is after the event.

    `signed_quantity` is negative for a short; `realized_pnl` is in `currency`, with commissions.
    """

    position_id: PositionId
    strategy_id: StrategyId
    instrument_id: InstrumentId
    account_id: AccountId
    client_order_id: ClientOrderId
    side: PositionSide
    signed_quantity: Decimal
    average_open: Decimal
    average_close: Decimal | None
    realized_pnl: Decimal
    currency: Currency
    ts_event: int
    ts_init: int


class PositionOpened(PositionEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """A position was opened."""


class PositionChanged(PositionEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """A position grew or shrank."""


class PositionClosed(PositionEvent, frozen=True, kw_only=True, gc=False, tag=True):
    """A position was closed."""


class Balance(msgspec.Struct, frozen=True, gc=False):
    """One currency of an account: `total`, and how much of it is `locked`."""

    currency: Currency
    total: Decimal
    locked: Decimal = ZERO

    @property
    def free(self) -> Decimal:
        """Return what can be used."""
        return self.total - self.locked


class MarginBalance(msgspec.Struct, frozen=True, gc=False):
    """The margin one instrument ties up, in `currency`."""

    instrument_id: InstrumentId
    currency: Currency
    initial: Decimal
    maintenance: Decimal


class AccountState(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """An account's balances as its venue (or its simulation) has them now.

    `leverage` divides margins; `leverages` names the instruments that have one of their own.
    """

    account_id: AccountId
    account_type: AccountType
    base_currency: Currency | None
    leverage: Decimal = Decimal(1)
    leverages: tuple[tuple[InstrumentId, Decimal], ...] = ()
    balances: tuple[Balance, ...]
    margins: tuple[MarginBalance, ...] = ()
    ts_event: int
    ts_init: int

    def leverage_of(self, instrument_id: InstrumentId) -> Decimal:
        """Return what divides the margins of an instrument."""
        for name, leverage in self.leverages:
            if name == instrument_id:
                return leverage
        return self.leverage

    def __repr__(self) -> str:
        """Return its id and kind, and each balance."""
        balances = ", ".join(
            f"{shown(b.total)} {b.currency}" + (f" ({shown(b.locked)} locked)" if b.locked else "")
            for b in self.balances
        )
        return fitted(f"<AccountState {self.account_id} {self.account_type.value}: {balances}>")

    def _repr_html_(self) -> str:
        rows = [
            (str(b.currency), shown(b.total), shown(b.locked), shown(b.free)) for b in self.balances
        ]
        margins = [
            (m.instrument_id, str(m.currency), shown(m.initial), shown(m.maintenance))
            for m in self.margins
        ]
        title = f"{self.account_id} ({self.account_type.value}) at {format_ns(self.ts_event)}"
        table = grid_html(("currency", "total", "locked", "free"), rows, title)
        if not margins:
            return table
        return table + grid_html(("margin of", "currency", "initial", "maintenance"), margins)


class TimeEvent(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A timer or alert fired: `ts_event` is when it was due."""

    name: str
    ts_event: int
    ts_init: int


class StrategySwapped(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """The code of a strategy or actor was exchanged while it kept its state.

    `old` and `new` are fingerprints of the code; `parameters` says, a sentence each, which
    parameters are others now.
    """

    strategy_id: ComponentId
    class_name: str
    old: str
    new: str
    parameters: tuple[str, ...] = ()
    ts_event: int
    ts_init: int


class LoopStalled(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The node's loop was kept from running, by a cell for example.

    `duration_ns` was measured; `ts_event` is its end on the node's clock.
    """

    duration_ns: int
    ts_event: int
    ts_init: int

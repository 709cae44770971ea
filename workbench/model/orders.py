"""An order and the one function that changes it: `Order.apply`, one event at a time."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from workbench.model import events as e
from workbench.model.display import fitted, format_ns, given, pairs_html, shown
from workbench.model.enums import (
    ContingencyType,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
    TriggerType,
)
from workbench.model.errors import DuplicateFillError, OrderStateError, OverfillError
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    OrderListId,
    PositionId,
    StrategyId,
    TradeId,
    VenueOrderId,
)
from workbench.model.money import ZERO
from workbench.model.order_state import (
    CLOSED,
    IN_FLIGHT,
    OPEN,
    PENDING,
    OrderTrigger,
    allowed_now,
    next_status,
)

_Located = e.OrderCanceled | e.OrderExpired | e.OrderTriggered


class Order(msgspec.Struct, kw_only=True, gc=False, tag=True):
    """An order as we know it: what defines it, and what became of it.

    Only `apply` changes it. Read `status`, `filled_quantity`, `average_price`, `is_open`; `reason`
    says why it ended, after a denial as `CODE: sentence`. `terms` holds what defines the less
    common orders: trailing offsets, links, expiry.
    """

    strategy_id: StrategyId
    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    side: OrderSide
    order_type: OrderType
    quantity: Decimal
    time_in_force: TimeInForce
    price: Decimal | None
    trigger_price: Decimal | None = None
    post_only: bool
    reduce_only: bool
    terms: e.OrderTerms = e.PLAIN
    ts_init: int
    ts_last: int
    status: OrderStatus = OrderStatus.INITIALIZED
    account_id: AccountId | None = None
    venue_order_id: VenueOrderId | None = None
    position_id: PositionId | None = None
    filled_quantity: Decimal = ZERO
    average_price: Decimal | None = None
    commission: Decimal = ZERO
    trade_ids: list[TradeId] = []  # msgspec copies it
    reason: str = ""
    status_before_pending: OrderStatus | None = None

    @staticmethod
    def from_initialized(event: e.OrderInitialized) -> Order:
        """Return the order that the event defines."""
        return Order(
            strategy_id=event.strategy_id,
            instrument_id=event.instrument_id,
            client_order_id=event.client_order_id,
            side=event.side,
            order_type=event.order_type,
            quantity=event.quantity,
            time_in_force=event.time_in_force,
            price=event.price,
            trigger_price=event.trigger_price,
            post_only=event.post_only,
            reduce_only=event.reduce_only,
            position_id=event.position_id,
            terms=event.terms,
            ts_init=event.ts_init,
            ts_last=event.ts_init,
        )

    def to_initialized(self) -> e.OrderInitialized:
        """Return the event that defines this order as it is now."""
        return e.OrderInitialized(
            strategy_id=self.strategy_id,
            instrument_id=self.instrument_id,
            client_order_id=self.client_order_id,
            side=self.side,
            order_type=self.order_type,
            quantity=self.quantity,
            time_in_force=self.time_in_force,
            price=self.price,
            trigger_price=self.trigger_price,
            post_only=self.post_only,
            reduce_only=self.reduce_only,
            position_id=self.position_id,
            terms=self.terms,
            ts_event=self.ts_init,
            ts_init=self.ts_init,
        )

    @property
    def leaves_quantity(self) -> Decimal:
        """Return what is still to be filled; 0 after an overfill."""
        leaves = self.quantity - self.filled_quantity
        return leaves if leaves > 0 else ZERO

    @property
    def overfill_quantity(self) -> Decimal:
        """Return what was filled beyond its quantity."""
        beyond = self.filled_quantity - self.quantity
        return beyond if beyond > 0 else ZERO

    @property
    def trigger_type(self) -> TriggerType:
        """Return which price its trigger is compared with."""
        return self.terms.trigger_type

    @property
    def expire_ns(self) -> int | None:
        """Return when a GTD order ends, nanoseconds."""
        return self.terms.expire_ns

    @property
    def contingency(self) -> ContingencyType | None:
        """Return what it has to do with its linked orders."""
        return self.terms.contingency

    @property
    def order_list_id(self) -> OrderListId | None:
        """Return the list it was submitted in."""
        return self.terms.order_list_id

    @property
    def linked_order_ids(self) -> tuple[ClientOrderId, ...]:
        """Return the orders it is linked to."""
        return self.terms.linked_order_ids

    @property
    def parent_order_id(self) -> ClientOrderId | None:
        """Return the order whose fill it waits for."""
        return self.terms.parent_order_id

    @property
    def is_open(self) -> bool:
        """Return whether it rests at the venue."""
        return self.status in OPEN

    @property
    def is_in_flight(self) -> bool:
        """Return whether an answer of the venue is awaited."""
        return self.status in IN_FLIGHT

    @property
    def is_closed(self) -> bool:
        """Return whether it is over."""
        return self.status in CLOSED

    def apply(self, event: e.OrderEvent) -> None:
        """Change the order by one event; on an error nothing has changed.

        Raises:
            OrderStateError: If the order's state does not allow it, or a quantity does not fit.
            DuplicateFillError: If a fill's trade id is already there.
        """
        _APPLY[type(event)](self, event)
        self.ts_last = event.ts_event

    def apply_overfill(self, event: e.OrderFilled) -> None:
        """Apply a fill that goes beyond the quantity, where the trader allows for such.

        It fills the order, or comes after it was filled; `filled_quantity` is then more than
        `quantity`. On an error nothing has changed.

        Raises:
            OrderStateError: If the order's state does not allow a fill, or this one fits: `apply`
                takes that.
            DuplicateFillError: If the trade id is already there.
        """
        _overfilled(self, event)
        self.ts_last = event.ts_event

    def __repr__(self) -> str:
        """Return its id, what it asks for, and what became of it."""
        filled = ""
        if self.filled_quantity:
            filled = f" {shown(self.filled_quantity)} at {shown(self.average_price)}"
        return fitted(f"<Order {self.client_order_id} {self._asks}: {self.status.value}{filled}>")

    def _repr_html_(self) -> str:
        asked = given(
            strategy=self.strategy_id,
            time_in_force=self.time_in_force.value,
            instructions=self._instructions,
            trailing_offset=self.terms.trailing_offset,
            linked=None if self.contingency is None else self.contingency.value,
            parent=self.parent_order_id,
            tags=", ".join(self.terms.tags),
        )
        became = given(
            filled=self.filled_quantity,
            average_price=self.average_price,
            commission=self.commission if self.trade_ids else None,
            reason=fitted(self.reason, 300),
            account=self.account_id,
            created=format_ns(self.ts_init),
            updated=format_ns(self.ts_last),
        )
        rows = [("order", self._asks), *asked, ("status", self.status.value), *became]
        return pairs_html(rows, str(self.client_order_id))

    @property
    def _asks(self) -> str:
        """Return what it asks for, such as `buy 5 ABC.SIM limit 98.5`."""
        kind = self.order_type.value.replace("_", " ")
        price = "" if self.price is None else f" {shown(self.price)}"
        trigger = "" if self.trigger_price is None else f" from {shown(self.trigger_price)}"
        return (
            f"{self.side.value} {shown(self.quantity)} {self.instrument_id} {kind}{price}{trigger}"
        )

    @property
    def _instructions(self) -> str:
        told = {"post-only": self.post_only, "reduce-only": self.reduce_only}
        return ", ".join(name for name, is_told in told.items() if is_told)


_UPDATABLE = OPEN | {OrderStatus.SUBMITTED, OrderStatus.EMULATED}

# The functions of the table at the end. Each checks everything before it changes anything.


def _move(order: Order, trigger: OrderTrigger) -> None:
    order.status = next_status(order.status, trigger, order.client_order_id)
    order.status_before_pending = None


def _locate(order: Order, event: _Located) -> None:
    """Keep where the order rests: one that was found at the venue has not been accepted here."""
    if order.venue_order_id is None:
        order.venue_order_id = event.venue_order_id
        order.account_id = order.account_id or event.account_id


def _settle_pending(order: Order) -> None:
    """Return to the state before the first pending one; a fill since then has ended the pending."""
    before = order.status_before_pending
    if before is not None:
        order.status = before
        order.status_before_pending = None


def _denied(order: Order, event: e.OrderDenied) -> None:
    _move(order, OrderTrigger.DENY)
    order.reason = f"{event.code}: {event.reason}"


def _submitted(order: Order, event: e.OrderSubmitted) -> None:
    _move(order, OrderTrigger.SUBMIT)
    order.account_id = event.account_id


def _accepted(order: Order, event: e.OrderAccepted) -> None:
    _move(order, OrderTrigger.ACCEPT)
    order.account_id = event.account_id
    order.venue_order_id = event.venue_order_id


def _rejected(order: Order, event: e.OrderRejected) -> None:
    _move(order, OrderTrigger.REJECT)
    order.account_id = event.account_id
    order.reason = event.reason


def _canceled(order: Order, event: e.OrderCanceled) -> None:
    _move(order, OrderTrigger.CANCEL)
    _locate(order, event)
    order.reason = event.reason


def _expired(order: Order, event: e.OrderExpired) -> None:
    _move(order, OrderTrigger.EXPIRE)
    _locate(order, event)


def _triggered(order: Order, event: e.OrderTriggered) -> None:
    _move(order, OrderTrigger.TRIGGER)
    _locate(order, event)


def _emulated(order: Order, _: e.OrderEmulated) -> None:
    _move(order, OrderTrigger.EMULATE)


def _released(order: Order, event: e.OrderReleased) -> None:
    _move(order, OrderTrigger.RELEASE)
    order.order_type = event.order_type
    order.quantity = event.quantity
    order.price = event.price
    order.terms = msgspec.structs.replace(order.terms, emulation_trigger=None)
    if event.order_type in (OrderType.MARKET, OrderType.LIMIT):
        order.trigger_price = None


def _pender(trigger: OrderTrigger) -> Callable[[Order, e.OrderEvent], None]:
    def pend(order: Order, _: e.OrderEvent) -> None:
        before = order.status
        order.status = next_status(before, trigger, order.client_order_id)
        if before not in PENDING:
            order.status_before_pending = before

    return pend


def _refused(order: Order, event: e.OrderModifyRejected | e.OrderCancelRejected) -> None:
    # What was refused here never left: what is pending at the venue still is.
    if not event.code:
        _settle_pending(order)


def _updated(order: Order, event: e.OrderUpdated) -> None:
    if order.status not in _UPDATABLE:
        raise _refusal(order, "update")
    quantity = event.quantity
    if quantity is not None:
        if quantity < order.filled_quantity or quantity <= 0:
            raise OrderStateError(
                f"order {order.client_order_id} has {order.filled_quantity} filled;"
                f" its quantity cannot become {quantity}"
            )
        order.quantity = quantity
    if event.price is not None:
        order.price = event.price
    if event.trigger_price is not None:
        order.trigger_price = event.trigger_price
    if event.venue_order_id is not None:
        order.venue_order_id = event.venue_order_id
    if not event.is_unasked:
        _settle_pending(order)


def _filled(order: Order, event: e.OrderFilled) -> None:
    before = order.filled_quantity
    if before and event.trade_id in order.trade_ids:
        raise _duplicate(order, event)
    filled = before + event.quantity
    if filled == order.quantity:
        trigger = OrderTrigger.FILL_REST
    elif before < filled < order.quantity:
        trigger = OrderTrigger.FILL_PART
    else:
        kind, unfit = OverfillError, "too large"
        if filled <= before:
            kind, unfit = OrderStateError, "not positive"
        raise kind(
            f"order {order.client_order_id} is for {order.quantity} and has {before} filled;"
            f" a fill of {event.quantity} is {unfit} and was not applied"
        )
    _move(order, trigger)
    _add_fill(order, event, before, filled)


def _overfilled(order: Order, event: e.OrderFilled) -> None:
    before = order.filled_quantity
    if event.trade_id in order.trade_ids:
        raise _duplicate(order, event)
    filled = before + event.quantity
    if event.quantity <= 0 or filled <= order.quantity:
        raise OrderStateError(
            f"order {order.client_order_id} is for {order.quantity} and has {before} filled;"
            f" a fill of {event.quantity} is no overfill and was not applied as one"
        )
    if order.status is not OrderStatus.FILLED:  # a filled order stays what it is
        _move(order, OrderTrigger.FILL_REST)
    _add_fill(order, event, before, filled)


def _add_fill(order: Order, event: e.OrderFilled, before: Decimal, filled: Decimal) -> None:
    if before:
        old = order.average_price or ZERO
        order.average_price = (old * before + event.price * event.quantity) / filled
    else:
        order.average_price = event.price
    order.filled_quantity = filled
    order.commission += event.commission
    order.account_id = event.account_id
    order.venue_order_id = event.venue_order_id
    order.trade_ids.append(event.trade_id)


def _duplicate(order: Order, event: e.OrderFilled) -> DuplicateFillError:
    return DuplicateFillError(
        f"order {order.client_order_id} already holds a fill with trade id {event.trade_id};"
        " the second one was not applied"
    )


def _initialized(order: Order, _: e.OrderInitialized) -> None:
    raise _refusal(order, "initialize")


def _refusal(order: Order, what: str) -> OrderStateError:
    return OrderStateError(
        f"order {order.client_order_id} is {order.status.value} and cannot {what};"
        f" allowed now: {allowed_now(order.status)}"
    )


# `Any`: each function takes the event type it stands beside.
_APPLY: dict[type[e.OrderEvent], Callable[[Order, Any], None]] = {
    e.OrderInitialized: _initialized,
    e.OrderDenied: _denied,
    e.OrderEmulated: _emulated,
    e.OrderReleased: _released,
    e.OrderSubmitted: _submitted,
    e.OrderAccepted: _accepted,
    e.OrderRejected: _rejected,
    e.OrderCanceled: _canceled,
    e.OrderExpired: _expired,
    e.OrderTriggered: _triggered,
    e.OrderPendingUpdate: _pender(OrderTrigger.PEND_UPDATE),
    e.OrderPendingCancel: _pender(OrderTrigger.PEND_CANCEL),
    e.OrderModifyRejected: _refused,
    e.OrderCancelRejected: _refused,
    e.OrderUpdated: _updated,
    e.OrderFilled: _filled,
}

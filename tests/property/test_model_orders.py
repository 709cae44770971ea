"""Whatever events come in whatever order, an order stays within its table and its quantity."""

from __future__ import annotations

import copy
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from workbench.model import events as e
from workbench.model.codec import decode, encode
from workbench.model.enums import LiquiditySide, OrderSide, OrderStatus, OrderType
from workbench.model.errors import DuplicateFillError, OrderStateError
from workbench.model.money import Currency
from workbench.model.order_state import TRANSITIONS
from workbench.model.orders import Order

USD = Currency("USD", 2)
QUANTITIES = st.integers(1, 12).map(Decimal) | st.decimals("0.001", "12", places=3)
PRICES = st.decimals("0.00001", "1000", places=5)
EDGES = {(before, after) for (before, _), after in TRANSITIONS.items()}
PENDING = (OrderStatus.PENDING_UPDATE, OrderStatus.PENDING_CANCEL)


class AnOrderUnderRandomEvents(RuleBasedStateMachine):
    """Applies random events and keeps its own account of what was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = 0
        self.fills: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
        self.before_pending: OrderStatus | None = None

    def ids(self) -> dict[str, object]:
        self.clock += 1
        return {
            "strategy_id": "S-1",
            "instrument_id": "AUD/USD.SIM",
            "client_order_id": "O-1",
            "ts_event": self.clock,
            "ts_init": self.clock,
        }

    def at(self) -> dict[str, object]:
        return self.ids() | {"account_id": "SIM-1", "venue_order_id": "V-1"}

    def apply(self, event: e.OrderEvent) -> Exception | None:
        """Apply an event; on a refusal check that nothing has changed, and give it back."""
        before = copy.deepcopy(self.order)
        try:
            self.order.apply(event)
        except OrderStateError as error:
            refused = error
        else:
            refused = None
        if refused is not None:
            assert self.order == before
            assert str(refused).startswith("order O-1 ")
            return refused
        status = self.order.status
        assert self.order.ts_last == event.ts_event
        answers = (e.OrderModifyRejected, e.OrderCancelRejected, e.OrderUpdated)
        if not isinstance(event, answers):
            assert (before.status, status) in EDGES
        elif status is not before.status:
            assert before.status in PENDING
            assert status is self.before_pending
        if status in PENDING and before.status not in PENDING:
            self.before_pending = before.status
        elif status not in PENDING:
            self.before_pending = None
        return None

    @initialize(quantity=QUANTITIES, price=PRICES)
    def make(self, quantity: Decimal, price: Decimal) -> None:
        self.order = Order.from_initialized(
            e.OrderInitialized(
                **self.ids(),
                side=OrderSide.BUY,
                order_type=OrderType.LIMIT,
                quantity=quantity,
                price=price,
            )
        )

    @rule()
    def accept_as_usual(self) -> None:
        """The common way in, so that random walks do not all end early."""
        self.apply(e.OrderSubmitted(**self.ids(), account_id="SIM-1"))
        self.apply(e.OrderAccepted(**self.at()))

    @rule(
        kind=st.sampled_from(
            [
                e.OrderAccepted,
                e.OrderCanceled,
                e.OrderExpired,
                e.OrderTriggered,
                e.OrderPendingUpdate,
                e.OrderPendingCancel,
            ]
        )
    )
    def something_at_the_venue(self, kind: type[e.OrderAccepted]) -> None:
        self.apply(kind(**self.at()))

    @rule()
    def deny(self) -> None:
        self.apply(e.OrderDenied(**self.ids(), code="X", reason="x"))

    @rule()
    def emulate(self) -> None:
        self.apply(e.OrderEmulated(**self.ids()))

    @rule()
    def release(self) -> None:
        self.apply(
            e.OrderReleased(**self.ids(), order_type=OrderType.MARKET, quantity=self.order.quantity)
        )

    @rule()
    def reject(self) -> None:
        self.apply(e.OrderRejected(**self.ids(), account_id="SIM-1", reason="x"))

    @rule(kind=st.sampled_from([e.OrderModifyRejected, e.OrderCancelRejected]))
    def refuse(self, kind: type[e.OrderModifyRejected]) -> None:
        assert self.apply(kind(**self.ids(), reason="x")) is None

    @rule(kind=st.sampled_from([e.OrderModifyRejected, e.OrderCancelRejected]))
    def refuse_here(self, kind: type[e.OrderModifyRejected]) -> None:
        before = copy.deepcopy(self.order)
        self.apply(kind(**self.ids(), reason="x", code="ORDER_NOT_OPEN"))
        before.ts_last = self.order.ts_last
        assert self.order == before

    @rule(quantity=st.none() | QUANTITIES | st.just(Decimal(0)), price=st.none() | PRICES)
    def update(self, quantity: Decimal | None, price: Decimal | None) -> None:
        refused = self.apply(e.OrderUpdated(**self.ids(), quantity=quantity, price=price))
        if refused is None:
            assert quantity in (None, self.order.quantity)
            assert price in (None, self.order.price)

    @rule(quantity=QUANTITIES | st.sampled_from([Decimal(0), Decimal(-1)]), price=PRICES)
    def fill(self, quantity: Decimal, price: Decimal) -> None:
        self.fill_with(f"T-{self.clock}", quantity, price)

    @precondition(lambda self: self.order.leaves_quantity > 0)
    @rule(price=PRICES)
    def fill_the_rest(self, price: Decimal) -> None:
        self.fill_with(f"T-{self.clock}", self.order.leaves_quantity, price)

    @precondition(lambda self: self.fills)
    @rule(data=st.data())
    def fill_again(self, data: st.DataObject) -> None:
        trade_id = data.draw(st.sampled_from(sorted(self.fills)))
        quantity, price, _ = self.fills[trade_id]
        assert isinstance(self.fill_with(trade_id, quantity, price), DuplicateFillError)

    def fill_with(self, trade_id: str, quantity: Decimal, price: Decimal) -> Exception | None:
        commission = quantity * price / 1000
        refused = self.apply(
            e.OrderFilled(
                **self.at(),
                trade_id=trade_id,
                side=OrderSide.BUY,
                order_type=OrderType.LIMIT,
                quantity=quantity,
                price=price,
                commission=commission,
                commission_currency=USD,
                liquidity=LiquiditySide.TAKER,
            )
        )
        if refused is None:
            self.fills[trade_id] = quantity, price, commission
        return refused

    @invariant()
    def what_is_filled_is_the_sum_of_the_fills_and_never_too_much(self) -> None:
        order = self.order
        assert order.filled_quantity == sum(quantity for quantity, _, _ in self.fills.values())
        assert 0 <= order.filled_quantity <= order.quantity
        assert order.leaves_quantity >= 0
        assert order.commission == sum(commission for _, _, commission in self.fills.values())
        assert order.trade_ids == list(self.fills)
        if self.fills:
            worth = sum(quantity * price for quantity, price, _ in self.fills.values())
            error = abs((order.average_price or 0) * order.filled_quantity - worth)
            assert error <= Decimal("1e-18")

    @invariant()
    def a_status_agrees_with_what_is_filled(self) -> None:
        order = self.order
        if order.status is OrderStatus.FILLED:
            assert order.leaves_quantity == 0
        if order.status is OrderStatus.PARTIALLY_FILLED:
            assert order.filled_quantity > 0
        assert (order.status_before_pending is not None) == (order.status in PENDING)
        assert not (order.is_open and order.is_closed)

    @invariant()
    def the_order_can_be_stored_and_goes_on_from_where_it_was(self) -> None:
        stored = decode(encode(self.order))
        assert stored == self.order
        self.order = stored


TestAnOrderUnderRandomEvents = AnOrderUnderRandomEvents.TestCase
TestAnOrderUnderRandomEvents.settings = settings(stateful_step_count=30)

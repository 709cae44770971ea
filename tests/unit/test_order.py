"""What an order keeps of its events: pending states, updates, fills, duplicates, overfills."""

from __future__ import annotations

import copy
from decimal import Decimal

import pytest

from workbench.model import events as e
from workbench.model.enums import LiquiditySide, OrderSide, OrderStatus, OrderType
from workbench.model.errors import DuplicateFillError, OrderStateError
from workbench.model.money import Currency
from workbench.model.orders import Order

IDS = {
    "strategy_id": "S-1",
    "instrument_id": "AUD/USD.SIM",
    "client_order_id": "O-1",
    "ts_event": 5,
    "ts_init": 6,
}
AT = {"account_id": "SIM-1", "venue_order_id": "V-1"}
S = OrderStatus


def initialized(quantity: str = "10", price: str | None = "1.5") -> e.OrderInitialized:
    return e.OrderInitialized(
        **IDS,
        side=OrderSide.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
    )


SUBMITTED = e.OrderSubmitted(**IDS, account_id="SIM-1")
ACCEPTED = e.OrderAccepted(**IDS, **AT)
TRIGGERED = e.OrderTriggered(**IDS, **AT)
CANCELED = e.OrderCanceled(**IDS, **AT, reason="asked for")
PENDING_UPDATE = e.OrderPendingUpdate(**IDS, **AT)
PENDING_CANCEL = e.OrderPendingCancel(**IDS, **AT)
MODIFY_REJECTED = e.OrderModifyRejected(**IDS, reason="too late")
MODIFY_DENIED = e.OrderModifyRejected(**IDS, reason="off the grid", code="PRICE_INVALID")
CANCEL_REJECTED = e.OrderCancelRejected(**IDS, reason="too late")
UPDATED = e.OrderUpdated(**IDS, quantity=Decimal(12), price=Decimal("1.6"))


def filled(
    trade_id: str, quantity: str, price: str = "1.5", commission: str = "0"
) -> e.OrderFilled:
    return e.OrderFilled(
        **IDS,
        **AT,
        trade_id=trade_id,
        side=OrderSide.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal(price),
        commission=Decimal(commission),
        commission_currency=Currency("USD", 2),
        liquidity=LiquiditySide.MAKER,
    )


def order_after(*events: e.OrderEvent) -> Order:
    order = Order.from_initialized(initialized())
    for event in events:
        order.apply(event)
    return order


TO_SUBMITTED = (SUBMITTED,)
TO_ACCEPTED = (SUBMITTED, ACCEPTED)
TO_TRIGGERED = (SUBMITTED, ACCEPTED, TRIGGERED)
TO_PARTIALLY_FILLED = (SUBMITTED, ACCEPTED, filled("T-1", "4"))
BEFORE_PENDING = [
    pytest.param(TO_SUBMITTED, S.SUBMITTED, id="submitted"),
    pytest.param(TO_ACCEPTED, S.ACCEPTED, id="accepted"),
    pytest.param(TO_TRIGGERED, S.TRIGGERED, id="triggered"),
    pytest.param(TO_PARTIALLY_FILLED, S.PARTIALLY_FILLED, id="partially_filled"),
]


def test_an_order_holds_what_its_initialized_event_defined_and_gives_it_back() -> None:
    event = initialized()
    order = Order.from_initialized(event)
    assert order.status is S.INITIALIZED
    assert order.leaves_quantity == 10
    assert not order.is_open
    assert not order.is_in_flight
    assert not order.is_closed
    back = order.to_initialized()
    assert back.ts_event == back.ts_init == event.ts_init
    assert Order.from_initialized(back) == order


def test_orders_do_not_share_their_list_of_trade_ids() -> None:
    order_after(*TO_PARTIALLY_FILLED)
    assert Order.from_initialized(initialized()).trade_ids == []


@pytest.mark.parametrize(
    ("events", "is_open", "is_in_flight", "is_closed"),
    [
        (TO_SUBMITTED, False, True, False),
        (TO_ACCEPTED, True, False, False),
        ((*TO_ACCEPTED, PENDING_CANCEL), True, True, False),
        ((*TO_ACCEPTED, CANCELED), False, False, True),
        ((*TO_ACCEPTED, filled("T-1", "10")), False, False, True),
    ],
)
def test_an_order_knows_whether_it_is_open_in_flight_or_closed(
    events: tuple[e.OrderEvent, ...], is_open: bool, is_in_flight: bool, is_closed: bool
) -> None:
    order = order_after(*events)
    assert (order.is_open, order.is_in_flight, order.is_closed) == (
        is_open,
        is_in_flight,
        is_closed,
    )


# Pending states and their returns


@pytest.mark.parametrize(("events", "status"), BEFORE_PENDING)
@pytest.mark.parametrize(
    ("pending", "answer"),
    [
        pytest.param((PENDING_UPDATE,), MODIFY_REJECTED, id="modify-rejected"),
        pytest.param((PENDING_UPDATE,), UPDATED, id="updated"),
        pytest.param((PENDING_CANCEL,), CANCEL_REJECTED, id="cancel-rejected"),
        pytest.param((PENDING_UPDATE, PENDING_UPDATE), MODIFY_REJECTED, id="twice-modified"),
        pytest.param((PENDING_CANCEL, PENDING_CANCEL), CANCEL_REJECTED, id="twice-canceled"),
        pytest.param((PENDING_UPDATE, PENDING_CANCEL), CANCEL_REJECTED, id="modified-canceled"),
        pytest.param((PENDING_UPDATE, PENDING_CANCEL), UPDATED, id="modified-canceled-updated"),
    ],
)
def test_an_answer_returns_to_the_state_before_the_first_pending_one(
    events: tuple[e.OrderEvent, ...],
    status: S,
    pending: tuple[e.OrderEvent, ...],
    answer: e.OrderEvent,
) -> None:
    order = order_after(*events, *pending)
    assert order.is_in_flight
    order.apply(answer)
    assert order.status is status
    assert order.status_before_pending is None


@pytest.mark.parametrize("answer", [MODIFY_REJECTED, CANCEL_REJECTED, UPDATED])
@pytest.mark.parametrize("pending", [PENDING_UPDATE, PENDING_CANCEL])
@pytest.mark.parametrize("events", [TO_SUBMITTED, TO_ACCEPTED, TO_TRIGGERED])
def test_a_fill_while_pending_is_what_the_order_returns_to(
    events: tuple[e.OrderEvent, ...], pending: e.OrderEvent, answer: e.OrderEvent
) -> None:
    order = order_after(*events, pending, filled("T-1", "4"), answer)
    assert order.status is S.PARTIALLY_FILLED
    assert order.filled_quantity == 4


def test_a_return_goes_to_the_exact_state_even_if_fills_came_before_it() -> None:
    order = order_after(*TO_PARTIALLY_FILLED, ACCEPTED, PENDING_UPDATE, MODIFY_REJECTED)
    assert order.status is S.ACCEPTED


@pytest.mark.parametrize("pending", [PENDING_UPDATE, PENDING_CANCEL])
def test_a_modification_refused_by_risk_leaves_what_is_pending_at_the_venue_pending(
    pending: e.OrderEvent,
) -> None:
    order = order_after(*TO_ACCEPTED, pending)
    status = order.status
    order.apply(MODIFY_DENIED)
    assert order.status is status
    order.apply(MODIFY_REJECTED)
    assert order.status is S.ACCEPTED


@pytest.mark.parametrize("answer", [MODIFY_REJECTED, CANCEL_REJECTED, UPDATED])
def test_an_answer_after_the_pending_ended_changes_no_status(answer: e.OrderEvent) -> None:
    order = order_after(*TO_ACCEPTED, PENDING_UPDATE, ACCEPTED, answer)
    assert order.status is S.ACCEPTED


@pytest.mark.parametrize("rejection", [MODIFY_REJECTED, CANCEL_REJECTED])
def test_a_rejection_that_comes_after_the_end_changes_no_status(
    rejection: e.OrderEvent,
) -> None:
    order = order_after(*TO_ACCEPTED, PENDING_CANCEL, filled("T-1", "10"), rejection)
    assert order.status is S.FILLED


# What events leave behind


def test_an_update_changes_what_it_names_and_leaves_the_rest() -> None:
    order = order_after(*TO_ACCEPTED, e.OrderUpdated(**IDS, quantity=Decimal(7)))
    assert (order.quantity, order.price) == (Decimal(7), Decimal("1.5"))
    order.apply(e.OrderUpdated(**IDS, price=Decimal(2), venue_order_id="V-2"))
    assert (order.quantity, order.price, order.venue_order_id) == (Decimal(7), Decimal(2), "V-2")


@pytest.mark.parametrize("quantity", ["3.99", "0", "-1"])
def test_an_update_cannot_take_back_what_is_filled(quantity: str) -> None:
    order = order_after(*TO_PARTIALLY_FILLED)
    before = copy.deepcopy(order)
    with pytest.raises(OrderStateError, match="has 4 filled; its quantity cannot become"):
        order.apply(e.OrderUpdated(**IDS, quantity=Decimal(quantity), price=Decimal(9)))
    assert order == before


def test_an_update_to_nothing_is_refused_before_the_first_fill() -> None:
    order = order_after(*TO_ACCEPTED)
    with pytest.raises(OrderStateError, match="its quantity cannot become 0"):
        order.apply(e.OrderUpdated(**IDS, quantity=Decimal(0)))


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (e.OrderDenied(**IDS, code="X", reason="too much"), "X: too much"),
        (e.OrderRejected(**IDS, account_id="SIM-1", reason="no such pair"), "no such pair"),
        (CANCELED, "asked for"),
    ],
)
def test_an_order_keeps_the_reason_it_ended_for(event: e.OrderEvent, reason: str) -> None:
    assert order_after(event).reason == reason


@pytest.mark.parametrize("found", [e.OrderCanceled, e.OrderExpired, e.OrderTriggered])
def test_an_order_found_at_the_venue_keeps_its_account_and_venue_order_id(
    found: type[e.OrderCanceled] | type[e.OrderExpired] | type[e.OrderTriggered],
) -> None:
    order = order_after(found(**IDS, **AT))
    assert (order.account_id, order.venue_order_id) == ("SIM-1", "V-1")


def test_an_event_without_a_venue_order_id_does_not_erase_the_one_that_is_known() -> None:
    order = order_after(*TO_ACCEPTED, e.OrderCanceled(**IDS))
    assert (order.account_id, order.venue_order_id) == ("SIM-1", "V-1")


def test_an_emulated_order_is_released_and_sent() -> None:
    order = order_after(
        e.OrderEmulated(**IDS),
        e.OrderReleased(
            **IDS, order_type=OrderType.MARKET, quantity=Decimal(100), released_price=Decimal("1.4")
        ),
        *TO_ACCEPTED,
    )
    assert order.status is S.ACCEPTED


# Fills


def test_fills_add_up_to_quantity_average_price_and_commission() -> None:
    order = order_after(
        *TO_ACCEPTED,
        filled("T-1", "4", "1.5", "0.04"),
        filled("T-2", "5", "1.4", "0.05"),
    )
    assert order.status is S.PARTIALLY_FILLED
    assert order.filled_quantity == 9
    assert order.leaves_quantity == 1
    assert order.average_price == Decimal("13") / 9
    assert order.commission == Decimal("0.09")
    assert order.trade_ids == ["T-1", "T-2"]
    order.apply(filled("T-3", "1", "1.3", "-0.02"))
    assert order.status is S.FILLED
    assert order.average_price == pytest.approx(Decimal("1.43"))
    assert order.commission == Decimal("0.07")


@pytest.mark.parametrize("quantity", ["4", "1", "100"])
def test_a_second_fill_with_the_same_trade_id_is_refused(quantity: str) -> None:
    order = order_after(*TO_PARTIALLY_FILLED)
    before = copy.deepcopy(order)
    with pytest.raises(DuplicateFillError, match="already holds a fill with trade id T-1"):
        order.apply(filled("T-1", quantity))
    assert order == before


@pytest.mark.parametrize(
    ("quantity", "words"),
    [("6.01", "too large"), ("100", "too large"), ("0", "not positive"), ("-1", "not positive")],
)
def test_a_fill_that_does_not_fit_is_refused_and_changes_nothing(quantity: str, words: str) -> None:
    order = order_after(*TO_PARTIALLY_FILLED)
    before = copy.deepcopy(order)
    text = f"is for 10 and has 4 filled; a fill of {quantity} is {words} and was not applied"
    with pytest.raises(OrderStateError, match=text):
        order.apply(filled("T-2", quantity))
    assert order == before


def test_a_fill_on_its_way_still_reaches_a_canceled_order() -> None:
    assert order_after(*TO_ACCEPTED, CANCELED, filled("T-1", "4")).status is S.PARTIALLY_FILLED
    assert order_after(*TO_ACCEPTED, CANCELED, filled("T-1", "10")).status is S.FILLED


def test_a_fill_can_come_before_the_acceptance() -> None:
    order = order_after(SUBMITTED, filled("T-1", "4"))
    assert order.status is S.PARTIALLY_FILLED
    assert order.venue_order_id == "V-1"

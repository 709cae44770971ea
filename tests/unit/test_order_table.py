"""The order state table, written out a second time and compared with the code row by row."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from workbench.model import events as e
from workbench.model.enums import LiquiditySide, OrderSide, OrderStatus, OrderType
from workbench.model.errors import OrderStateError
from workbench.model.money import Currency
from workbench.model.order_state import (
    CLOSED,
    IN_FLIGHT,
    OPEN,
    PENDING,
    TRANSITIONS,
    OrderTrigger,
    next_status,
)
from workbench.model.orders import Order

# status: what it may become, in the words of the specification's table.
WRITTEN = {
    "initialized": (
        "denied submitted emulated released rejected accepted canceled expired triggered"
    ),
    "emulated": "released canceled expired",
    "released": "submitted denied canceled",
    "submitted": (
        "pending_update pending_cancel rejected canceled accepted partially_filled filled"
    ),
    "accepted": (
        "pending_update pending_cancel rejected canceled triggered expired partially_filled filled"
    ),
    "triggered": "pending_update pending_cancel rejected canceled expired partially_filled filled",
    "partially_filled": (
        "pending_update pending_cancel canceled expired accepted partially_filled filled"
    ),
    "pending_update": (
        "accepted rejected canceled expired triggered pending_update pending_cancel"
        " partially_filled filled"
    ),
    "pending_cancel": ("accepted rejected canceled expired pending_cancel partially_filled filled"),
    "canceled": "partially_filled filled",
    "denied": "",
    "rejected": "",
    "expired": "",
    "filled": "",
}

LEADS_TO = {
    "deny": "denied",
    "emulate": "emulated",
    "release": "released",
    "submit": "submitted",
    "reject": "rejected",
    "accept": "accepted",
    "cancel": "canceled",
    "expire": "expired",
    "trigger": "triggered",
    "pend_update": "pending_update",
    "pend_cancel": "pending_cancel",
    "fill_part": "partially_filled",
    "fill_rest": "filled",
}

IDS = {
    "strategy_id": "S-1",
    "instrument_id": "AUD/USD.SIM",
    "client_order_id": "O-1",
    "ts_event": 5,
    "ts_init": 6,
}
AT = {"account_id": "SIM-1", "venue_order_id": "V-1"}


def fill(quantity: int) -> e.OrderFilled:
    return e.OrderFilled(
        **IDS,
        **AT,
        trade_id="T-9",
        side=OrderSide.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=Decimal("0.65"),
        commission=Decimal(0),
        commission_currency=Currency("USD", 2),
        liquidity=LiquiditySide.MAKER,
    )


EVENTS: dict[str, Callable[[], e.OrderEvent]] = {
    "deny": lambda: e.OrderDenied(**IDS, code="X", reason="x"),
    "emulate": lambda: e.OrderEmulated(**IDS),
    "release": lambda: e.OrderReleased(**IDS, order_type=OrderType.MARKET, quantity=Decimal(10)),
    "submit": lambda: e.OrderSubmitted(**IDS, account_id="SIM-1"),
    "reject": lambda: e.OrderRejected(**IDS, account_id="SIM-1", reason="x"),
    "accept": lambda: e.OrderAccepted(**IDS, **AT),
    "cancel": lambda: e.OrderCanceled(**IDS, **AT),
    "expire": lambda: e.OrderExpired(**IDS, **AT),
    "trigger": lambda: e.OrderTriggered(**IDS, **AT),
    "pend_update": lambda: e.OrderPendingUpdate(**IDS, **AT),
    "pend_cancel": lambda: e.OrderPendingCancel(**IDS, **AT),
    "fill_part": lambda: fill(1),
    "fill_rest": lambda: fill(10),
}

ROWS = [
    pytest.param(status, trigger, id=f"{status}-{trigger}")
    for status in WRITTEN
    for trigger in LEADS_TO
]


def order_in(status: str) -> Order:
    """An order put into a status by force, with nothing filled."""
    return Order(
        strategy_id="S-1",
        instrument_id="AUD/USD.SIM",
        client_order_id="O-1",
        side=OrderSide.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(10),
        time_in_force="gtc",
        price=Decimal("0.65"),
        post_only=False,
        reduce_only=False,
        ts_init=1,
        ts_last=1,
        status=OrderStatus(status),
        status_before_pending=OrderStatus.ACCEPTED if status.startswith("pending") else None,
    )


def test_the_written_table_names_every_status_and_every_trigger() -> None:
    assert set(WRITTEN) == {status.value for status in OrderStatus}
    assert set(LEADS_TO) == {trigger.value for trigger in OrderTrigger} == set(EVENTS)


def test_the_table_in_the_code_is_the_written_one_and_nothing_more() -> None:
    written = {
        (status, trigger): target
        for status, targets in WRITTEN.items()
        for trigger, target in LEADS_TO.items()
        if target in targets.split()
    }
    coded = {(s.value, t.value): target.value for (s, t), target in TRANSITIONS.items()}
    assert coded == written


@pytest.mark.parametrize(("status", "trigger"), ROWS)
def test_an_event_moves_the_order_exactly_where_the_row_says(status: str, trigger: str) -> None:
    order = order_in(status)
    before = order_in(status)
    target = LEADS_TO[trigger]
    if target in WRITTEN[status].split():
        order.apply(EVENTS[trigger]())
        assert order.status.value == target
        assert order.ts_last == 5
        return
    with pytest.raises(OrderStateError) as refused:
        order.apply(EVENTS[trigger]())
    assert order == before
    text = str(refused.value)
    assert f"order O-1 is {status} and cannot {trigger}; allowed now: " in text
    named = text.partition("allowed now: ")[2].split(", ")
    allowed = [t for t, target in LEADS_TO.items() if target in WRITTEN[status].split()]
    assert sorted(named) == sorted(allowed or ["nothing"])


@pytest.mark.parametrize("status", WRITTEN)
def test_no_order_can_be_initialized_a_second_time(status: str) -> None:
    order = order_in(status)
    again = order.to_initialized()
    with pytest.raises(OrderStateError, match=f"is {status} and cannot initialize; allowed now: "):
        order.apply(again)
    assert order == order_in(status)


@pytest.mark.parametrize("status", WRITTEN)
def test_only_an_open_or_submitted_order_can_be_updated(status: str) -> None:
    order = order_in(status)
    update = e.OrderUpdated(**IDS, price=Decimal("0.66"))
    allowed = {
        "submitted",
        "accepted",
        "triggered",
        "partially_filled",
        "pending_update",
        "pending_cancel",
        "emulated",
    }
    if status in allowed:
        order.apply(update)
        assert order.price == Decimal("0.66")
        return
    with pytest.raises(OrderStateError, match=f"is {status} and cannot update; allowed now: "):
        order.apply(update)
    assert order == order_in(status)


def test_open_in_flight_and_closed_hold_the_statuses_of_the_specification() -> None:

    assert {
        OrderStatus.ACCEPTED,
        OrderStatus.TRIGGERED,
        OrderStatus.PENDING_UPDATE,
        OrderStatus.PENDING_CANCEL,
        OrderStatus.PARTIALLY_FILLED,
    } == OPEN
    assert {
        OrderStatus.SUBMITTED,
        OrderStatus.PENDING_UPDATE,
        OrderStatus.PENDING_CANCEL,
    } == IN_FLIGHT
    assert {OrderStatus.PENDING_UPDATE, OrderStatus.PENDING_CANCEL} == PENDING
    assert {
        OrderStatus.DENIED,
        OrderStatus.REJECTED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.FILLED,
    } == CLOSED


def test_a_closed_order_leads_nowhere_but_to_a_late_fill() -> None:
    left = {(status, target) for (status, _), target in TRANSITIONS.items() if status in CLOSED}
    assert left == {
        (OrderStatus.CANCELED, OrderStatus.PARTIALLY_FILLED),
        (OrderStatus.CANCELED, OrderStatus.FILLED),
    }


def test_a_refusal_without_an_order_id_speaks_of_an_order() -> None:
    with pytest.raises(
        OrderStateError, match="an order is filled and cannot cancel; allowed now: nothing"
    ):
        next_status(OrderStatus.FILLED, OrderTrigger.CANCEL)

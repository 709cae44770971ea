"""What a venue reports that nobody here sent, and what reports add to orders that are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.execution_fakes import ACCOUNT, OTHER, PAIR, Broker, D, Desk, Setup
from workbench.engines.external import EXTERNAL
from workbench.model import events as e
from workbench.model.enums import (
    LiquiditySide,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from workbench.model.errors import ConfigError
from workbench.model.money import currency
from workbench.model.orders import Order
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport

S = OrderStatus


def status(is_: OrderStatus = S.ACCEPTED, filled: int = 0, ts: int = 5, **more: Any) -> Any:
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "instrument_id": PAIR.id,
        "client_order_id": None,
        "venue_order_id": "77",
        "side": OrderSide.BUY,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "quantity": D(10),
        "price": D("1.0"),
        **more,
    }
    return OrderStatusReport(
        status=is_, filled_quantity=D(filled), ts_event=ts, ts_init=ts, **fields
    )


def trade(trade_id: str, quantity: int, ts: int = 5, **more: Any) -> Any:
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "instrument_id": PAIR.id,
        "client_order_id": None,
        "venue_order_id": "77",
        "side": OrderSide.BUY,
        "price": D("1.0"),
        "commission": D(1),
        "commission_currency": currency("USD"),
        "liquidity": LiquiditySide.MAKER,
        **more,
    }
    return FillReport(
        trade_id=trade_id,  # type: ignore[arg-type]
        quantity=D(quantity),
        ts_event=ts,
        ts_init=ts,
        **fields,
    )


def position(quantity: int, average: str | None = None, ts: int = 5, **more: Any) -> PositionReport:
    fields: dict[str, Any] = {"account_id": ACCOUNT, "instrument_id": PAIR.id, **more}
    return PositionReport(
        signed_quantity=D(quantity),
        average_open=None if average is None else D(average),
        ts_event=ts,
        ts_init=ts,
        **fields,
    )


def of(order: Order) -> dict[str, Any]:
    return {"client_order_id": order.client_order_id, "venue_order_id": order.venue_order_id}


def heard(setup: Setup) -> list[str]:
    """Listen to what is published of orders."""
    names: list[str] = []
    setup.core.bus.subscribe("events.order.*", lambda event: names.append(type(event).__name__))
    return names


def only(setup: Setup) -> Order:
    (order,) = setup.cache.orders()
    return order


def test_an_order_nobody_sent_belongs_to_external_and_is_published() -> None:
    setup = Setup()
    names = heard(setup)
    setup.tell(status())
    order = only(setup)
    assert (order.strategy_id, order.status) == (EXTERNAL, S.ACCEPTED)
    assert (order.client_order_id, order.venue_order_id) == ("E-AUD/USD.SIM-77", "77")
    assert names == ["OrderInitialized", "OrderAccepted"]
    assert setup.desk.heard == []
    assert setup.cache.orders_open(strategy_id=EXTERNAL) == [order]
    setup.tell(status())
    assert len(names) == 2


@pytest.mark.parametrize(
    ("is_", "filled", "events"),
    [
        (S.REJECTED, 0, ["OrderRejected"]),
        (S.CANCELED, 0, ["OrderCanceled"]),
        (S.EXPIRED, 0, ["OrderExpired"]),
        (S.TRIGGERED, 0, ["OrderAccepted", "OrderTriggered"]),
        (S.SUBMITTED, 0, ["OrderAccepted"]),
        (S.PARTIALLY_FILLED, 4, ["OrderAccepted", "OrderFilled"]),
        (S.FILLED, 10, ["OrderAccepted", "OrderFilled"]),
        (S.CANCELED, 4, ["OrderAccepted", "OrderFilled", "OrderCanceled"]),
        (S.EXPIRED, 4, ["OrderAccepted", "OrderFilled", "OrderExpired"]),
    ],
)
def test_an_order_that_was_found_ends_up_as_the_venue_has_it(
    is_: OrderStatus, filled: int, events: list[str]
) -> None:
    setup = Setup()
    names = heard(setup)
    setup.tell(status(is_, filled))
    order = only(setup)
    assert names == ["OrderInitialized", *events]
    assert order.status is (S.ACCEPTED if is_ is S.SUBMITTED else is_)
    assert order.filled_quantity == filled == setup.cache.net_quantity(PAIR.id)
    setup.tell(status(is_, filled))
    assert len(names) == 1 + len(events)


def test_a_claim_gives_external_orders_to_a_strategy() -> None:
    setup = Setup(claims=(PAIR.id,))
    setup.tell(status(filled=4))
    order = only(setup)
    assert order.strategy_id == setup.desk.strategy_id
    assert setup.desk.kinds() == [
        *("OrderInitialized", "OrderAccepted", "OrderFilled", "PositionOpened"),
    ]
    setup.desk.cancel_order(order)
    setup.core.dispatcher.drain()
    assert setup.broker.kinds() == ["CancelOrder"]
    setup.tell(status(venue_order_id="78", instrument_id=OTHER.id))
    assert setup.cache.orders()[-1].strategy_id == EXTERNAL


def test_two_strategies_cannot_claim_one_instrument() -> None:
    setup = Setup(claims=(PAIR.id,))
    rival = Desk()
    rival.external_order_claims = (PAIR.id,)
    with pytest.raises(ConfigError, match="are claimed by Desk-001 already; Desk-002 cannot"):
        setup.core.add_actor(rival)
    assert setup.core.actors == [setup.desk]


def test_a_missing_fill_is_inferred_at_the_price_the_averages_imply() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.fill(order, 4, price=D("1.0"))
    setup.tell(status(S.PARTIALLY_FILLED, 6, average_price=D("1.1"), **of(order)))
    fill = setup.desk.heard[-2]
    assert isinstance(fill, e.OrderFilled)
    assert (fill.quantity, fill.price, fill.reconciliation) == (2, D("1.3"), True)
    assert fill.trade_id == f"INFERRED-{order.venue_order_id}-6"
    assert order.average_price == D("1.1")
    assert setup.core.portfolio.net_position(PAIR.id) == 6


def test_without_any_price_a_missing_fill_is_told_and_not_guessed() -> None:
    setup = Setup()
    names = heard(setup)
    setup.tell(status(S.FILLED, 10, order_type=OrderType.MARKET, price=None))
    assert names == ["OrderInitialized", "OrderAccepted"]
    assert setup.execution.unreconciled[0][1].endswith("no price is given")


def test_an_inferred_fill_does_not_count_again_when_it_comes() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.tell(status(S.PARTIALLY_FILLED, 6, ts=5, **of(order)))
    setup.fill(order, 2, "T-1", ts=3)
    setup.fill(order, 4, "T-2", ts=5)
    assert (order.filled_quantity, len(setup.execution.refused_events)) == (6, 2)
    assert "was counted before it came" in setup.execution.refused_events[0][1]
    setup.fill(order, 3, "T-3", ts=5)
    assert order.filled_quantity == 9


def test_what_a_late_fill_has_beyond_the_inferred_one_counts() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.tell(status(S.PARTIALLY_FILLED, 3, ts=5, **of(order)))
    setup.fill(order, 4, "T-1", ts=4, commission=8)
    assert (order.filled_quantity, order.commission) == (4, 2)


def test_a_fill_after_the_report_that_proved_another_is_a_new_one() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.tell(status(S.PARTIALLY_FILLED, 3, ts=5, **of(order)))
    setup.fill(order, 3, "T-1", ts=6)
    assert (order.filled_quantity, setup.execution.refused_events) == (6, [])


def test_a_report_brings_an_order_of_ours_up_to_date() -> None:
    setup = Setup()
    order = setup.submit()
    setup.submitted(order)
    report = {"client_order_id": order.client_order_id}
    setup.tell(status(quantity=D(20), price=D("0.9"), **report))
    assert (order.status, order.quantity, order.price) == (S.ACCEPTED, 20, D("0.9"))
    setup.tell(status(quantity=D(20), price=D("0.9"), trigger_price=D("0.8"), **report))
    assert order.trigger_price == D("0.8")
    setup.tell(status(S.CANCELED, quantity=D(20), reason="by the desk", **report))
    assert (order.status, order.reason) == (S.CANCELED, "by the desk")
    assert setup.execution.unreconciled == []


def test_an_order_is_found_by_the_venues_id_too() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.tell(status(S.CANCELED, venue_order_id=order.venue_order_id))
    assert order.status is S.CANCELED
    later = setup.accepted()
    setup.tell(status(S.CANCELED, venue_order_id=later.venue_order_id))
    assert later.status is S.CANCELED
    assert len(setup.cache.orders()) == 2


def test_what_is_on_its_way_is_left_to_its_own_answer() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.desk.modify_order(order, quantity=20)
    setup.core.dispatcher.drain()
    setup.tell(status(quantity=D(30), **of(order)))
    assert (order.status, order.quantity) == (S.PENDING_UPDATE, 10)


def test_an_order_that_expired_before_anything_else_was_told_of_it_is_over() -> None:
    setup = Setup()
    order = setup.submit()
    setup.submitted(order)
    setup.tell(status(S.EXPIRED, client_order_id=order.client_order_id))
    assert (order.status, order.venue_order_id) == (S.EXPIRED, "77")


def test_an_older_report_says_nothing_new() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.fill(order, 4, ts=9)
    setup.tell(status(quantity=D(30), ts=5, **of(order)))
    assert (order.quantity, order.filled_quantity) == (10, 4)
    assert setup.execution.unreconciled == []


def contradictions(order: Order) -> Iterator[tuple[Any, str]]:
    yield status(filled=2, ts=9, **of(order)), "2 filled at the venue, 4 here"
    yield position(7), "7 at the venue, 4 here"
    yield status(instrument_id="X.SIM"), "no instrument X.SIM is known"


def test_what_contradicts_our_books_changes_nothing_and_is_told() -> None:
    setup = Setup()
    told: list[Any] = []
    setup.core.bus.subscribe("events.unreconciled.*", told.append)
    order = setup.accepted()
    setup.fill(order, 4)
    names = heard(setup)
    for report, reason in contradictions(order):
        setup.tell(report)
        assert told[-1] == (report, reason)
    assert names == []
    setup.event(e.OrderCanceled, order)
    setup.tell(status(S.PARTIALLY_FILLED, 4, ts=9, **of(order)))
    assert told[-1][1] == "it is open at the venue; here it is canceled"
    assert setup.execution.unreconciled == told


# Fills


def test_a_fill_of_an_unknown_order_makes_the_order_and_later_ones_add_to_it() -> None:
    setup = Setup()
    setup.tell(trade("T-1", 4))
    order = only(setup)
    assert (order.status, order.strategy_id, order.quantity) == (S.FILLED, EXTERNAL, 4)
    setup.tell(trade("T-2", 3))
    setup.tell(trade("T-2", 3))
    assert (only(setup).filled_quantity, order.status) == (7, S.FILLED)
    assert setup.cache.net_quantity(PAIR.id) == 7
    assert (setup.execution.overfills, setup.execution.refused_events) == ([], [])
    # The order's own report infers what is missing still.
    setup.tell(status(S.FILLED, 10))
    assert setup.cache.net_quantity(PAIR.id) == 10


def test_reported_fills_of_a_known_order_are_applied_once() -> None:
    setup = Setup()
    order = setup.accepted()
    for trade_id in ("T-1", "T-2", "T-1"):
        setup.tell(trade(trade_id, 3, **of(order)))
    assert (order.filled_quantity, order.commission) == (6, 2)
    assert setup.execution.refused_events == []


def test_an_inferred_fill_that_was_refused_swallows_no_real_one() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.event(e.OrderPendingCancel, order)
    # Its cancel is on its way, so it is not changed to 20: 12 are more than it can hold.
    setup.tell(status(S.PARTIALLY_FILLED, 12, ts=9, **{**of(order), "quantity": D(20)}))
    assert order.filled_quantity == 0
    setup.fill(order, 10, ts=8)
    assert (order.status, order.filled_quantity) == (S.FILLED, 10)
    assert setup.cache.net_quantity(PAIR.id) == 10


def test_a_fill_found_before_its_order_was_heard_of_accepts_it() -> None:
    setup = Setup()
    order = setup.submit()
    setup.tell(trade("T-1", 10, client_order_id=order.client_order_id))
    assert order.status is S.FILLED


def test_what_may_have_been_forgotten_is_not_taken_in_again() -> None:
    setup = Setup()
    setup.core.purge(20)
    setup.tell(status(S.FILLED, 10, ts=30))
    setup.tell(trade("T-1", 4, ts=19))
    assert setup.cache.orders() == []
    assert [reason for _, reason in setup.execution.unreconciled] == [
        "no such order is known; it may have been forgotten (purged)"
    ] * 2
    setup.tell(trade("T-2", 4, ts=20))
    setup.tell(status(S.PARTIALLY_FILLED, 3, venue_order_id="78"))
    assert setup.cache.net_quantity(PAIR.id) == 7


# Positions


def test_a_position_that_differs_is_made_equal_where_that_is_asked_for() -> None:
    setup = Setup(align_positions=True)
    setup.filled(10)
    setup.tell(position(-5, "1.25"))
    assert setup.cache.net_quantity(PAIR.id) == -5
    order = setup.cache.orders()[-1]
    assert (order.strategy_id, order.average_price) == (EXTERNAL, D("1.25"))
    (fill,) = (
        record.message
        for record in setup.core.log
        if isinstance(record.message, e.OrderFilled) and record.message.reconciliation
    )
    assert (fill.side, fill.quantity) == (OrderSide.SELL, 15)
    setup.tell(position(-5, "1.25"))
    assert len(setup.cache.orders()) == 2


def test_without_an_average_the_market_prices_what_aligns() -> None:
    setup = Setup(align_positions=True)
    setup.tell(position(5))
    assert setup.cache.orders()[-1].average_price == D("1.1")
    setup.cache.market(PAIR.id).quote = None
    setup.tell(position(9))
    assert setup.execution.unreconciled[-1][1].endswith("and no price is known to align them")


def test_the_same_alignment_is_not_made_twice() -> None:
    setup = Setup(align_positions=True)
    setup.tell(position(5))
    setup.filled(3)
    setup.tell(position(5))
    assert "made them equal before" in setup.execution.unreconciled[-1][1]
    assert setup.cache.net_quantity(PAIR.id) == 8


def test_a_position_is_compared_within_its_account() -> None:
    setup = Setup(Broker(), Broker("TWO", account_id="SIM-002"))
    setup.filled(10)
    setup.filled(4, account_id="SIM-002")
    setup.tell(position(10))
    setup.tell(position(4, account_id="SIM-002"))
    assert setup.execution.unreconciled == []

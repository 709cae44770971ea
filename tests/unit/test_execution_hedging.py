"""HEDGING: positions that are kept apart; and flips, which NETTING has too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.execution_fakes import ACCOUNT, OTHER, PAIR, Broker, D, Desk, Setup
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.enums import OrderStatus
from workbench.model.errors import ConfigError
from workbench.model.identifiers import PositionId
from workbench.model.orders import Order


def hedging(**more: Any) -> Setup:
    return Setup(Broker(management="hedging"), **more)


def held(setup: Setup) -> dict[str, Decimal]:
    """Return what is held by the numbers of the orders that opened it."""
    return {
        str(p.position_id).removeprefix("P-O-T-1-"): p.signed_quantity
        for p in setup.cache.positions_open()
    }


def position_of(order: Order) -> str:
    assert order.position_id is not None
    return order.position_id


def test_each_order_opens_a_position_of_its_own_and_the_client_is_told_which() -> None:
    setup = hedging()
    first, second = setup.filled(10), setup.filled(4, "sell")
    assert held(setup) == {"1": 10, "2": -4}
    assert [command.order.position_id for command in setup.broker.sent] == [
        first.position_id,
        second.position_id,
    ]
    assert position_of(first) == f"P-{first.client_order_id}"
    assert setup.cache.net_quantity(PAIR.id, setup.desk.strategy_id) == 6
    assert setup.desk.position(PAIR.id) is setup.cache.position(position_of(first))


def test_partial_fills_of_an_order_make_one_position() -> None:
    setup = hedging()
    order = setup.accepted(10)
    setup.fill(order, 4)
    setup.fill(order, 6)
    assert held(setup) == {"1": 10}
    assert setup.desk.kinds()[-4:] == [
        *("OrderFilled", "PositionOpened"),
        *("OrderFilled", "PositionChanged"),
    ]


def test_an_order_that_names_a_position_adds_to_it_or_closes_it() -> None:
    setup = hedging()
    first = setup.filled(10)
    setup.filled(5, position_id=position_of(first))
    setup.filled(3)
    assert held(setup) == {"1": 15, "3": 3}
    setup.filled(15, "sell", position_id=position_of(first))
    assert held(setup) == {"3": 3}
    position = setup.cache.position(position_of(first))
    assert position is not None
    assert (position.signed_quantity, position.fill_count) == (0, 3)


def test_a_fill_without_a_position_goes_to_its_orders() -> None:
    setup = hedging()
    order = setup.accepted(10)
    setup.fill(order, 10, position_id=None)
    assert held(setup) == {"1": 10}


def test_a_position_the_venue_names_is_the_one_its_fills_go_to() -> None:
    setup = hedging()
    order = setup.accepted(10)
    for quantity in (4, 6):
        setup.fill(order, quantity, position_id=PositionId("TICKET-7"))
    (position,) = setup.cache.positions_open()
    assert (position.position_id, position.signed_quantity) == ("TICKET-7", 10)
    assert order.position_id == "TICKET-7"


@pytest.mark.parametrize("commission", ["3", "0"])
def test_what_a_fill_has_beyond_the_position_it_closes_opens_one_of_its_own(
    commission: str,
) -> None:
    setup = hedging()
    first = setup.filled(10)
    second = setup.accepted(30, "sell", position_id=position_of(first))
    setup.fill(second, 30, price=2, commission=commission, position_id=first.position_id)
    assert held(setup) == {"2": -20}
    changes = [event for event in setup.desk.heard if isinstance(event, e.PositionEvent)]
    assert [type(change).__name__ for change in changes[-2:]] == [
        *("PositionClosed", "PositionOpened"),
    ]
    assert changes[-2].realized_pnl == D("9.5") - D(commission) / 3
    assert changes[-1].realized_pnl == -D(commission) * 2 / 3
    assert position_of(second) == f"P-{second.client_order_id}"


def test_a_later_fill_of_such_an_order_goes_where_its_remainder_went() -> None:
    setup = hedging()
    first = setup.filled(10)
    second = setup.accepted(30, "sell", position_id=position_of(first))
    for quantity in (20, 10):
        setup.fill(second, quantity, position_id=first.position_id)
    assert held(setup) == {"2": -20}


def test_a_fill_that_comes_once_its_position_is_closed_opens_another() -> None:
    setup = hedging()
    first = setup.filled(10)
    closers = [setup.accepted(10, "sell", position_id=position_of(first)) for _ in range(2)]
    for order in closers:
        setup.fill(order, 10, position_id=first.position_id)
    assert held(setup) == {"3": -10}
    # One whose own position was closed while it was filling.
    fourth = setup.accepted(10)
    setup.fill(fourth, 4)
    setup.filled(4, "sell", position_id=position_of(fourth))
    setup.fill(fourth, 6)
    assert held(setup) == {"3": -10, "4-2": 6}


def deny(setup: Setup, position_id: str, instrument: str = PAIR.id, **more: Any) -> str:
    """Have the engine deny an order, past the risk engine, and return why."""
    order = setup.desk.orders.market(instrument, "sell", 5)
    order.position_id = PositionId(position_id)
    setup.cache.add_order(order)
    count = len(setup.broker.sent)
    setup.execution.execute(
        c.SubmitOrder(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            order=order.to_initialized(),
            ts_init=1,
            **more,
        )
    )
    setup.core.dispatcher.drain()
    assert order.status is OrderStatus.DENIED
    assert len(setup.broker.sent) == count
    return order.reason


@pytest.mark.parametrize("management", ["netting", "hedging"])
def test_a_position_that_an_order_names_must_be_open_and_its_own(management: str) -> None:
    setup = Setup(Broker(management=management), Broker("TWO", account_id="SIM-002"))
    opened = setup.filled(10)
    name = position_of(opened)
    assert deny(setup, "P-1") == "POSITION_UNKNOWN: no position P-1 is known"
    assert deny(setup, name, OTHER.id).startswith(f"POSITION_MISMATCH: position {name} is one of")
    assert "for account SIM-002" in deny(setup, name, client_id="TWO")
    other = Desk()
    setup.core.add_actor(other)
    other.start()
    setup.desk = other
    assert "the order is of Desk-002" in deny(setup, name)
    position = setup.cache.position(name)
    assert position is not None
    position.apply(position.entry.opposite, position.quantity, D(1), D(0), 3)
    assert deny(setup, name) == f"POSITION_CLOSED: position {name} is closed"


def test_where_positions_are_netted_the_client_is_told_none() -> None:
    setup = Setup()
    order = setup.filled(10)
    setup.desk.close_position(PAIR.id)
    setup.core.dispatcher.drain()
    command = setup.broker.sent[-1]
    assert (command.order.quantity, command.order.position_id) == (10, None)
    assert position_of(order) == "P-Desk-001-1"


def test_closing_an_instrument_closes_each_of_its_positions() -> None:
    setup = hedging()
    setup.filled(10)
    setup.filled(4, "sell")
    setup.desk.close_position(PAIR.id)
    setup.core.dispatcher.drain()
    closing = [command.order for command in setup.broker.sent[-2:]]
    assert [(o.side.value, o.quantity, o.reduce_only) for o in closing] == [
        ("sell", 10, True),
        ("buy", 4, True),
    ]
    for order in setup.cache.orders_initialized():
        setup.accept(order)
        setup.fill(order, order.quantity)
    assert held(setup) == {}


def test_one_position_is_closed_and_another_strategys_is_not() -> None:
    setup = hedging()
    for side in ("buy", "sell"):
        setup.filled(10, side)
    first, second = setup.cache.positions_open()
    setup.desk.close_position(first)
    setup.desk.close_position(second)
    setup.core.dispatcher.drain()
    assert [command.order.position_id for command in setup.broker.sent[-2:]] == [
        first.position_id,
        second.position_id,
    ]
    other = Desk()
    setup.core.add_actor(other)
    with pytest.raises(ConfigError, match="is of Desk-001, not of Desk-002"):
        other.close_position(first)


def test_a_closed_position_is_not_closed_again() -> None:
    setup = hedging()
    first = setup.filled(10)
    setup.filled(10, "sell", position_id=position_of(first))
    position = setup.cache.position(position_of(first))
    assert position is not None
    count = len(setup.broker.sent)
    setup.desk.close_position(position)
    setup.desk.close_all_positions()
    setup.core.dispatcher.drain()
    assert len(setup.broker.sent) == count


def test_the_exits_of_a_bracket_belong_to_the_position_its_entry_opens() -> None:
    setup = hedging()
    bracket = setup.desk.orders.bracket(
        PAIR.id, "buy", 10, entry_price="1.0", stop_loss="0.9", take_profit="1.2"
    )
    setup.execution.execute(_list(setup, bracket.orders))
    setup.core.dispatcher.drain()
    own = f"P-{bracket.entry.client_order_id}"
    assert {command.order.position_id for command in setup.broker.sent} == {own}
    assert {order.position_id for order in bracket} == {own}
    assert bracket.take_profit is not None
    for order in bracket:
        setup.accept(order)
    setup.fill(bracket.entry, 10)
    setup.fill(bracket.take_profit, 10)
    assert setup.cache.positions_open() == []


def test_an_exit_that_comes_alone_finds_its_parents_position() -> None:
    setup = hedging()
    bracket = setup.desk.orders.bracket(PAIR.id, "buy", 10, entry_price="1.0", stop_loss="0.9")
    for order in bracket:
        setup.cache.add_order(order)
    entry, exit_ = bracket
    for order in bracket:
        setup.execution.execute(
            c.SubmitOrder(
                strategy_id=order.strategy_id,
                instrument_id=PAIR.id,
                client_order_id=order.client_order_id,
                order=order.to_initialized(),
                ts_init=1,
            )
        )
    assert exit_.position_id == entry.position_id == f"P-{entry.client_order_id}"


def _list(setup: Setup, orders: tuple[Order, ...]) -> c.SubmitOrderList:
    for order in orders:
        setup.cache.add_order(order)
    name = orders[0].order_list_id
    assert name is not None
    return c.SubmitOrderList(
        strategy_id=orders[0].strategy_id,
        instrument_id=PAIR.id,
        order_list_id=name,
        orders=tuple(order.to_initialized() for order in orders),
        ts_init=1,
    )


# NETTING


def test_a_flip_closes_the_position_and_opens_the_remainder() -> None:
    setup = Setup()
    setup.filled(10, "sell")
    setup.fill(setup.accepted(20), 20, commission=3)
    first, second = setup.cache.positions()
    assert (first.signed_quantity, second.signed_quantity) == (0, 10)
    assert (first.commission, second.commission) == (D("2.0"), D("1.5"))
    assert first.account_id == ACCOUNT
    assert setup.core.portfolio.realized_pnl() == {"USD": D("-3.5")}


def test_a_closed_position_is_followed_by_a_new_one() -> None:
    setup = Setup()
    for side in ("buy", "sell", "buy"):
        setup.filled(10, side)
    assert [p.position_id for p in setup.cache.positions()] == ["P-Desk-001-1", "P-Desk-001-2"]
    assert setup.cache.positions_closed() == [setup.cache.positions()[0]]

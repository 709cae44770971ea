"""The execution engine with a client whose answers a test gives, and a core around it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.execution_fakes import ACCOUNT, PAIR, Broker, D, Desk, Setup
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.enums import AccountType, OrderStatus
from workbench.model.errors import ClientError, ConfigError, ThreadError
from workbench.model.identifiers import AccountId, VenueOrderId
from workbench.model.reports import PositionReport
from workbench.trading import Strategy


def test_a_command_reaches_the_client_of_its_instruments_venue() -> None:
    setup = Setup()
    order = setup.submit()
    (command,) = setup.broker.sent
    assert command.client_order_id == order.client_order_id
    assert setup.desk.kinds() == ["OrderInitialized"]
    assert setup.core.execution.clients == [setup.broker]


def test_an_order_for_an_unknown_client_is_denied_and_the_run_goes_on() -> None:
    setup = Setup()
    order = setup.submit(client_id="NOPE")
    assert setup.broker.sent == []
    assert order.status is OrderStatus.DENIED
    assert setup.desk.kinds() == ["OrderInitialized", "OrderDenied"]
    assert "no execution client named 'NOPE'; registered: SIM (SIM)" in order.reason
    assert setup.submit(client_id="SIM").status is OrderStatus.INITIALIZED
    assert len(setup.broker.sent) == 1


def test_a_query_goes_to_the_client_and_reports_are_published() -> None:
    setup = Setup()
    order = setup.accepted()
    heard: list[Any] = []
    setup.core.bus.subscribe("reports.*", heard.append)
    query = c.QueryOrder(
        strategy_id=order.strategy_id,
        instrument_id=PAIR.id,
        client_order_id=order.client_order_id,
        ts_init=1,
    )
    setup.core.execution.execute(query)
    assert setup.broker.sent[-1] is query
    report = PositionReport(
        account_id=ACCOUNT,
        instrument_id=PAIR.id,
        signed_quantity=D(3),
        average_open=None,
        ts_event=1,
        ts_init=1,
    )
    setup.tell(report)
    assert heard == [report]


def test_a_query_without_a_client_is_an_error() -> None:
    setup = Setup()
    query = c.QueryOrder(
        strategy_id=setup.desk.strategy_id,
        instrument_id="AUD/USD.NOPE",  # type: ignore[arg-type]
        client_order_id="O-1",  # type: ignore[arg-type]
        ts_init=1,
    )
    with pytest.raises(ClientError, match=r"no execution client for 'AUD/USD\.NOPE'"):
        setup.core.execution.execute(query)


def test_names_and_venues_of_clients_are_unique() -> None:
    setup = Setup()
    with pytest.raises(ConfigError, match="named 'SIM' is registered already"):
        setup.core.execution.add_client(Broker("SIM", "OTHER"))
    with pytest.raises(ConfigError, match="needs an account of its own"):
        setup.core.execution.add_client(Broker("OTHER", "SIM"))


def test_a_duplicate_fill_is_refused_and_reported() -> None:
    setup = Setup()
    refused: list[Any] = []
    setup.core.bus.subscribe("events.refused.*", refused.append)
    order = setup.accepted()
    setup.fill(order, 4, "T-1")
    setup.fill(order, 4, "T-1")
    assert order.filled_quantity == 4
    assert setup.core.portfolio.net_position(PAIR.id) == 4
    ((event, reason),) = refused
    assert event.trade_id == "T-1"
    assert "already holds a fill with trade id T-1" in reason
    assert setup.core.execution.refused_events == refused


def test_an_overfill_is_refused_and_changes_nothing() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.fill(order, 11, "T-1")
    assert (order.status, order.filled_quantity) == (OrderStatus.ACCEPTED, 0)
    assert setup.core.cache.positions() == []
    assert "too large" in setup.core.execution.refused_events[0][1]


def test_an_event_of_an_unknown_order_is_refused_and_reported() -> None:
    setup = Setup()
    order = setup.desk.orders.market(PAIR.id, "buy", 1)
    setup.event(e.OrderCanceled, order)
    assert "no order" in setup.core.execution.refused_events[0][1]


def test_a_fill_that_was_on_its_way_counts_after_a_cancel() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.event(e.OrderCanceled, order)
    setup.fill(order, 10, "T-1")
    assert order.status is OrderStatus.FILLED
    assert setup.core.portfolio.net_position(PAIR.id) == 10


def test_a_commission_in_another_currency_is_no_part_of_the_positions_profit() -> None:
    setup = Setup()
    setup.fill(setup.accepted(), 10, "T-1", unit="EUR")
    assert setup.core.portfolio.realized_pnl() == {"USD": 0}


def test_what_comes_from_an_unknown_account_or_is_no_event_is_an_error() -> None:
    setup = Setup()
    state = e.AccountState(
        account_id=AccountId("OTHER-PAPER"),
        account_type=AccountType.CASH,
        base_currency=None,
        balances=(),
        ts_event=1,
        ts_init=1,
    )
    with pytest.raises(ClientError, match="no execution client holds account OTHER-PAPER"):
        setup.tell(state)
    with pytest.raises(ConfigError, match="str is not an execution event"):
        setup.tell("x")


def test_events_are_published_before_the_strategy_hears_of_them() -> None:
    setup = Setup()
    heard: list[str] = []
    setup.core.bus.subscribe("events.*", lambda event: heard.append(type(event).__name__))
    setup.fill(setup.accepted(), 10, "T-1")
    assert heard == [
        *("OrderInitialized", "OrderSubmitted", "OrderAccepted", "OrderFilled", "PositionOpened"),
    ]
    assert setup.desk.kinds() == heard


def test_an_order_of_nobody_here_is_applied_all_the_same() -> None:
    setup = Setup()
    order = setup.desk.orders.limit(PAIR.id, "buy", 10, "1.0")
    order.strategy_id = "EXTERNAL"  # type: ignore[assignment]
    setup.core.cache.add_order(order)
    setup.event(e.OrderAccepted, order, account_id=ACCOUNT, venue_order_id=VenueOrderId("V-1"))
    assert setup.core.cache.orders_open() == [order]
    assert setup.desk.heard == []


def test_a_modify_and_a_cancel_on_their_way_return_to_the_state_before() -> None:
    setup = Setup()
    order = setup.accepted()
    setup.desk.modify_order(order, quantity=20)
    setup.desk.cancel_order(order)
    setup.core.dispatcher.drain()
    assert order.status is OrderStatus.PENDING_CANCEL
    assert setup.core.cache.orders_in_flight() == [order]
    setup.event(e.OrderCancelRejected, order, reason="too late")
    assert order.status is OrderStatus.ACCEPTED
    assert [type(sent).__name__ for sent in setup.broker.sent[1:]] == ["ModifyOrder", "CancelOrder"]


def test_an_order_is_sent_though_on_order_initialized_raises() -> None:
    setup = Setup()

    class Broken(Strategy):
        def on_order_initialized(self, event: e.OrderInitialized) -> None:
            raise ValueError("no")

    broken = Broken()
    setup.core.add_actor(broken)
    broken.start()
    order = broken.orders.limit(PAIR.id, "buy", 10, "1.0")
    broken.submit_order(order)
    errors = setup.core.stop_actors()
    assert [error.callback for error in errors] == ["on_order_initialized"]
    assert [sent.client_order_id for sent in setup.broker.sent] == [order.client_order_id]


# What a strategy may send


def test_an_order_is_submitted_once_by_the_strategy_that_made_it() -> None:
    setup = Setup()
    order = setup.submit()
    with pytest.raises(ConfigError, match="was submitted before"):
        setup.desk.submit_order(order)
    other = Desk()
    setup.core.add_actor(other)
    with pytest.raises(ConfigError, match="is of Desk-001, not of Desk-002"):
        other.submit_order(setup.desk.orders.market(PAIR.id, "buy", 1))
    with pytest.raises(ConfigError, match="is of Desk-001, not of Desk-002"):
        other.cancel_order(order)


def test_what_was_not_submitted_can_be_neither_modified_nor_canceled() -> None:
    setup = Setup()
    order = setup.desk.orders.limit(PAIR.id, "buy", 1, "1.0")
    with pytest.raises(ConfigError, match="has not been submitted yet"):
        setup.desk.cancel_order(order)
    with pytest.raises(ConfigError, match="has not been submitted yet"):
        setup.desk.modify_order(order, quantity=2)
    with pytest.raises(ConfigError, match="pass the new quantity"):
        setup.desk.modify_order(order)


def test_another_thread_may_not_send() -> None:
    setup = Setup()
    setup.core.own_thread()
    setup.submit()
    setup.core._thread += 1  # as if this were another thread
    with pytest.raises(ThreadError, match="posts it there and waits"):
        setup.submit()


def test_a_shutdown_that_nobody_handles_is_an_error_and_the_latest_handler_counts() -> None:
    setup = Setup()
    with pytest.raises(ConfigError, match="no endpoint"):
        setup.desk.shutdown_system("enough")
    heard: list[c.ShutdownSystem] = []
    setup.core.on_shutdown(lambda command: None)
    setup.core.on_shutdown(heard.append)
    setup.desk.shutdown_system("enough")
    assert [(h.component_id, h.reason) for h in heard] == [("Desk-001", "enough")]

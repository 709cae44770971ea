"""Which client gets a command, and what a client is never given."""

from __future__ import annotations

from typing import Any

import pytest

from tests.execution_fakes import ACCOUNT, OTHER, PAIR, Broker, Setup
from workbench.engines.capabilities import Capabilities
from workbench.engines.risk import RiskLimits
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.enums import (
    ContingencyType,
    OrderManagement,
    OrderStatus,
    OrderType,
    TimeInForce,
    TrailingOffsetType,
    TriggerType,
)
from workbench.model.errors import ClientError, ConfigError
from workbench.model.identifiers import AccountId, ClientId
from workbench.model.orders import Order

SECOND = "SIM-002"


def two(**core: Any) -> Setup:
    """A venue with two accounts, and another venue of the same account."""
    return Setup(Broker("FIRST"), Broker("SECOND", account_id=SECOND), Broker("FAR", "FAR"), **core)


def sent(setup: Setup) -> list[int]:
    return [len(broker.sent) for broker in setup.brokers]


def test_the_first_client_of_a_venue_gets_what_names_none() -> None:
    setup = two()
    setup.submit()
    assert sent(setup) == [1, 0, 0]


def test_an_order_goes_to_the_client_or_account_it_names() -> None:
    setup = two()
    setup.submit(client_id="SECOND")
    setup.submit(account_id=SECOND)
    setup.submit(client_id="SECOND", account_id=SECOND)
    setup.submit(account_id=ACCOUNT)
    assert sent(setup) == [1, 3, 0]


def test_an_account_at_two_venues_trades_at_the_instruments() -> None:
    setup = Setup(Broker("FAR", "FAR"), Broker("NEAR"))
    setup.submit(account_id=ACCOUNT)
    assert sent(setup) == [0, 1]


def test_a_client_that_does_not_trade_for_the_account_is_refused() -> None:
    setup = two()
    order = setup.submit(client_id="FIRST", account_id=SECOND)
    assert order.reason == (
        "CLIENT_UNKNOWN: execution client 'FIRST' trades for account SIM-PAPER, not for SIM-002"
    )
    order = setup.submit(account_id="SIM-003")
    assert order.reason == (
        "ACCOUNT_MISSING: account SIM-003 has not told its balances; known: SIM-002, SIM-PAPER"
    )
    assert sent(setup) == [0, 0, 0]


def test_what_is_about_an_order_follows_it_to_its_client() -> None:
    setup = two()
    order = setup.accepted(client_id="SECOND", account_id=SECOND)
    setup.desk.modify_order(order, quantity=20)
    setup.core.dispatcher.drain()
    setup.event(e.OrderUpdated, order, quantity=order.quantity)
    setup.desk.cancel_order(order)
    setup.core.dispatcher.drain()
    query = c.QueryOrder(
        strategy_id=order.strategy_id,
        instrument_id=PAIR.id,
        client_order_id=order.client_order_id,
        ts_init=1,
    )
    setup.execution.execute(query)
    assert setup.brokers[1].kinds() == ["SubmitOrder", "ModifyOrder", "CancelOrder", "QueryOrder"]
    assert sent(setup) == [0, 4, 0]
    assert setup.execution.client_for(query) is setup.brokers[1]


def test_an_order_that_was_found_at_a_venue_belongs_to_the_client_of_its_account() -> None:
    setup = two()
    order = setup.desk.orders.limit(PAIR.id, "buy", 10, "1.0")
    setup.cache.add_order(order)
    setup.accept(order, SECOND)
    setup.desk.cancel_order(order)
    setup.core.dispatcher.drain()
    assert setup.brokers[1].kinds() == ["CancelOrder"]


def test_cancel_all_reaches_every_client_that_has_orders_and_only_these() -> None:
    setup = two()
    first, second = setup.accepted(), setup.accepted(client_id="SECOND", account_id=SECOND)
    setup.desk.cancel_all_orders(PAIR.id)
    setup.core.dispatcher.drain()
    assert [broker.kinds()[-1] for broker in setup.brokers[:2]] == ["CancelAllOrders"] * 2
    assert [o.status for o in (first, second)] == [OrderStatus.PENDING_CANCEL] * 2
    assert sent(setup)[2] == 0
    for order in (first, second):
        setup.event(e.OrderCanceled, order)
    third = setup.accepted(client_id="SECOND", account_id=SECOND)
    setup.desk.cancel_all_orders(PAIR.id)
    setup.core.dispatcher.drain()
    assert sent(setup)[0] == 2
    assert third.status is OrderStatus.PENDING_CANCEL


def test_cancel_all_of_one_client_leaves_the_others_orders() -> None:
    setup = two()
    first, second = setup.accepted(), setup.accepted(client_id="SECOND", account_id=SECOND)
    command = c.CancelAllOrders(
        strategy_id=setup.desk.strategy_id,
        instrument_id=PAIR.id,
        client_id=ClientId("SECOND"),
        ts_init=1,
    )
    setup.execution.execute(command)
    setup.core.dispatcher.drain()
    assert (first.status, second.status) == (OrderStatus.ACCEPTED, OrderStatus.PENDING_CANCEL)
    assert sent(setup) == [1, 2, 0]


def test_cancel_all_where_nothing_works_goes_where_an_order_would() -> None:
    setup = two()
    setup.desk.cancel_all_orders(PAIR.id)
    setup.core.dispatcher.drain()
    assert sent(setup) == [1, 0, 0]


def test_clients_of_one_account_agree_on_how_its_positions_are_kept() -> None:
    setup = Setup()
    with pytest.raises(ConfigError, match="needs an account of its own"):
        setup.execution.add_client(Broker("AGAIN"))
    with pytest.raises(ConfigError, match=r"netting by 'SIM' and hedging by 'FAR'"):
        setup.execution.add_client(Broker("FAR", "FAR", management=OrderManagement.HEDGING))
    assert setup.execution.clients == [setup.broker]


def test_the_cache_tells_accounts_of_one_venue_apart() -> None:
    setup = two()
    cache = setup.cache
    first, second = cache.account_at("SIM"), cache.account(SECOND)
    assert first is not None
    assert first.account_id == ACCOUNT
    assert cache.account_for("SIM") is first
    assert cache.account_for("SIM", client_id="SECOND") is second is not None
    assert cache.account_for("SIM", client_id="FIRST", account_id=SECOND) is second
    assert cache.account_for("SIM", client_id="NOPE") is first
    assert cache.account_for("SIM", account_id="NOPE") is None
    assert cache.account_at("FAR") is first


def test_positions_in_two_accounts_are_two_and_close_where_they_are() -> None:
    setup = two()
    setup.filled(10)
    setup.filled(7, "sell", account_id=SECOND)
    held = setup.cache.positions_open(instrument_id=PAIR.id)
    assert [(p.account_id, p.signed_quantity) for p in held] == [(ACCOUNT, 10), (SECOND, -7)]
    assert setup.cache.net_quantity(PAIR.id, setup.desk.strategy_id) == 3
    setup.desk.close_position(held[0])
    setup.core.dispatcher.drain()
    order = setup.cache.order(setup.brokers[0].sent[-1].client_order_id)
    assert order is not None
    setup.accept(order)
    setup.fill(order, 10)
    assert setup.cache.positions_open() == [held[1]]
    assert sent(setup) == [2, 1, 0]


# What a client can be given


PLAIN_ONLY = Capabilities(
    order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}),
    time_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC}),
    trigger_types=frozenset(),
    contingencies=frozenset(),
    post_only=False,
    reduce_only=False,
    display_quantity=False,
    amend=False,
)


def lacking(setup: Setup) -> dict[str, Order]:
    make = setup.desk.orders
    return {
        "takes no fok orders, only gtc, ioc": make.limit(
            PAIR.id, "buy", 10, "1.0", time_in_force="fok"
        ),
        "takes no market_to_limit orders, only limit, market": make.market_to_limit(
            PAIR.id, "buy", 10
        ),
        "takes no stop_market orders, only limit, market": make.stop_market(
            PAIR.id, "buy", 10, "1.2"
        ),
        "has no post-only orders": make.limit(PAIR.id, "buy", 10, "1.0", post_only=True),
        "always shows all of an order": make.limit(PAIR.id, "buy", 10, "1.0", display_quantity=5),
    }


def test_an_order_beyond_its_clients_capabilities_is_denied_with_what_the_client_can_do() -> None:
    setup = Setup(Broker("PLAIN", capabilities=PLAIN_ONLY))
    for reason, order in lacking(setup).items():
        setup.cache.add_order(order)
        command = c.SubmitOrder(
            strategy_id=order.strategy_id,
            instrument_id=PAIR.id,
            client_order_id=order.client_order_id,
            order=order.to_initialized(),
            ts_init=1,
        )
        setup.execution.execute(command)
        setup.core.dispatcher.drain()
        assert order.status is OrderStatus.DENIED
        assert order.reason == f"CAPABILITY_MISSING: execution client PLAIN: it {reason}"
    assert setup.broker.sent == []
    setup.submit()
    assert setup.broker.kinds() == ["SubmitOrder"]


def test_a_reduce_only_order_leaves_as_a_plain_one_where_the_client_has_none() -> None:
    setup = Setup(Broker("PLAIN", capabilities=PLAIN_ONLY))
    setup.filled(10)
    order = setup.submit(5, "sell", reduce_only=True)
    assert [one.order.reduce_only for one in setup.broker.sent] == [False, False]
    assert order.reduce_only
    assert PLAIN_ONLY.to_emulate(order.to_initialized()) == "it has no reduce-only orders"
    assert "reduce" not in PLAIN_ONLY.missing(order.to_initialized())


def test_one_order_that_cannot_leave_keeps_its_whole_list_back() -> None:
    setup = Setup(Broker("PLAIN", capabilities=PLAIN_ONLY))
    good = setup.desk.orders.limit(PAIR.id, "buy", 10, "1.0")
    bad = setup.desk.orders.limit(PAIR.id, "buy", 10, "1.0", post_only=True)
    for order in (good, bad):
        setup.cache.add_order(order)
    setup.execution.execute(
        c.SubmitOrderList(
            strategy_id=good.strategy_id,
            instrument_id=PAIR.id,
            order_list_id="L-1",  # type: ignore[arg-type]
            orders=(good.to_initialized(), bad.to_initialized()),
            ts_init=1,
        )
    )
    setup.core.dispatcher.drain()
    assert [o.status for o in (good, bad)] == [OrderStatus.DENIED] * 2
    assert f"order {bad.client_order_id} of its list cannot leave" in good.reason
    assert setup.broker.sent == []


def test_a_change_is_refused_where_the_client_cannot_amend_and_the_order_stays() -> None:
    setup = Setup(Broker("PLAIN", capabilities=PLAIN_ONLY))
    order = setup.accepted()
    setup.desk.modify_order(order, quantity=20)
    setup.core.dispatcher.drain()
    assert order.status is OrderStatus.ACCEPTED
    last = setup.desk.heard[-1]
    assert isinstance(last, e.OrderModifyRejected)
    assert (last.code, setup.broker.kinds()) == ("CAPABILITY_MISSING", ["SubmitOrder"])


def test_what_is_left_to_emulate_is_named() -> None:
    setup = Setup()
    stop = setup.desk.orders.stop_market(PAIR.id, "buy", 10, "1.2", trigger_type="mark")
    trail = setup.desk.orders.trailing_stop_market(
        PAIR.id, "buy", 10, trailing_offset=100, trailing_offset_type="ticks"
    )
    bracket = setup.desk.orders.bracket(PAIR.id, "buy", 10, stop_loss="0.9", take_profit="1.2")
    by_bid_ask = Capabilities(
        trigger_types=frozenset({TriggerType.BID_ASK, TriggerType.DEFAULT}),
        trailing_offset_types=frozenset({TrailingOffsetType.PRICE}),
        contingencies=frozenset({ContingencyType.OCO}),
    )
    assert by_bid_ask.to_emulate(stop.to_initialized()) == (
        "it has no triggers by mark, only by bid_ask, default"
    )
    assert by_bid_ask.to_emulate(trail.to_initialized()) == (
        "it has no trailing offsets in ticks, only in price"
    )
    assert by_bid_ask.to_emulate(bracket[0].to_initialized()) == "it has no oto orders, only oco"
    assert by_bid_ask.to_emulate(bracket[1].to_initialized()) == (
        "it has no oto, ouo orders, only oco"
    )
    assert Capabilities().to_emulate(bracket[1].to_initialized()) == ""
    assert PLAIN_ONLY.missing(stop.to_initialized()) == ""


def test_a_list_reaches_a_client_that_knows_no_lists_one_by_one() -> None:
    setup = Setup()
    orders = setup.desk.orders.together(
        *[setup.desk.orders.limit(PAIR.id, "buy", size, "1.0") for size in (1, 2)]
    )
    setup.desk.submit_order_list(orders, account_id=ACCOUNT)
    setup.core.dispatcher.drain()
    assert [command.order.quantity for command in setup.broker.sent] == [1, 2]
    assert {command.account_id for command in setup.broker.sent} == {AccountId(ACCOUNT)}
    assert setup.desk.kinds() == ["OrderInitialized"] * 2


def test_a_list_for_an_unknown_client_is_denied_whole() -> None:
    setup = Setup()
    make = setup.desk.orders
    orders = make.together(*[make.limit(PAIR.id, "buy", size, "1.0") for size in (1, 2)])
    for order in orders:
        setup.cache.add_order(order)
    setup.execution.execute(
        c.SubmitOrderList(
            strategy_id=setup.desk.strategy_id,
            instrument_id=PAIR.id,
            order_list_id=orders.order_list_id,
            orders=tuple(order.to_initialized() for order in orders),
            client_id=ClientId("NOPE"),
            ts_init=1,
        )
    )
    setup.core.dispatcher.drain()
    assert all(order.reason.startswith("CLIENT_UNKNOWN") for order in orders)


def test_what_is_about_no_order_here_and_no_venue_is_an_error() -> None:
    setup = Setup()
    command = c.CancelAllOrders(
        strategy_id=setup.desk.strategy_id,
        instrument_id="X.NOPE",  # type: ignore[arg-type]
        ts_init=1,
    )
    with pytest.raises(ClientError, match=r"no execution client for 'X\.NOPE'"):
        setup.execution.execute(command)
    assert OTHER.venue == PAIR.venue


def test_a_change_that_its_client_cannot_make_ties_up_nothing() -> None:
    setup = Setup(Broker("PLAIN", capabilities=PLAIN_ONLY))
    setup.cash(1_000)
    order = setup.accepted(100)
    setup.desk.modify_order(order, quantity=900)
    setup.core.dispatcher.drain()
    assert setup.desk.heard[-1].code == "CAPABILITY_MISSING"  # type: ignore[union-attr]
    assert setup.submit(500).reason == "", "900 of the 1,000 USD are free"


def test_risk_looks_at_the_account_that_an_order_names() -> None:
    setup = two()
    setup.cash(10, SECOND)
    order = setup.submit(500, account_id=SECOND)
    assert order.reason == ("INSUFFICIENT_FUNDS: needs 500.0 USD; 10 USD of SIM-002 is free")
    assert setup.submit(5, account_id=SECOND).reason == ""
    assert sent(setup) == [0, 1, 0]


def test_a_reduce_only_order_finds_nothing_to_reduce_in_the_hedging_account_it_names() -> None:
    setup = Setup(Broker("FIRST"), Broker("SECOND", account_id=SECOND, management="hedging"))
    setup.filled(10)
    order = setup.submit(10, "sell", reduce_only=True, account_id=SECOND)
    assert order.reason.startswith("REDUCE_ONLY")


def test_what_its_own_client_takes_counts_in_the_rate_whatever_the_first_one_lacks() -> None:
    plain = Broker("FIRST", capabilities=PLAIN_ONLY)
    setup = Setup(plain, Broker("SECOND", account_id=SECOND), limits=RiskLimits(orders=1))
    stops = [setup.desk.orders.stop_market(PAIR.id, "buy", 10, "2.0") for _ in range(2)]
    for stop in stops:
        setup.desk.submit_order(stop, client_id="SECOND")
    setup.core.dispatcher.drain()
    assert stops[1].reason.startswith("RATE_LIMIT_EXCEEDED")
    assert sent(setup) == [0, 1]

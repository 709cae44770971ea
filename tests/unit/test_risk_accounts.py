"""Risk with several accounts at a venue: each order is checked against the account it is for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.execution_fakes import ACCOUNT, PAIR, Broker, Setup
from tests.unit.test_emulator import Feed
from workbench.engines.risk import RiskLimits
from workbench.model.data import Quote
from workbench.model.enums import TradingState
from workbench.model.identifiers import AccountId, StrategyId, Venue
from workbench.model.orders import Order
from workbench.model.risk_events import LossDayBegan, LossLimitReached

D = Decimal
REAL = AccountId("SIM-001")
VENUE = Venue("SIM")


class Paper(Broker):
    """A simulated venue."""

    is_simulated = True


def mixed(**limits: Any) -> Setup:
    """A venue's simulated account, which is its first, and a real one."""
    given = RiskLimits(**limits) if limits else None
    return Setup(Paper("PAPER"), Broker("REAL", account_id=REAL), limits=given)


def code(order: Order) -> str:
    return order.reason.partition(":")[0]


def quoted(setup: Setup, bid: float) -> None:
    quote = Quote(PAIR.id, bid, bid + 0.1, 1e6, 1e6, 2, 2)
    setup.cache.market(PAIR.id).quote = quote


# Reduce-only and positions


@pytest.mark.parametrize(("holder", "other"), [(ACCOUNT, REAL), (REAL, ACCOUNT)])
def test_reduce_only_reduces_what_its_own_account_holds(holder: str, other: str) -> None:
    setup = mixed()
    setup.filled(10, account_id=holder)
    assert code(setup.submit(10, "sell", reduce_only=True, account_id=other)) == "REDUCE_ONLY"
    assert code(setup.submit(10, "sell", reduce_only=True, account_id=holder)) == ""


def test_reduce_only_without_an_account_is_for_the_venues_first() -> None:
    setup = mixed()
    setup.filled(10, account_id=REAL)
    assert code(setup.submit(10, "sell", reduce_only=True)) == "REDUCE_ONLY"
    assert code(setup.submit(10, "sell", reduce_only=True, client_id="REAL")) == ""


def test_equal_and_opposite_positions_of_two_accounts_do_not_hide_each_other() -> None:
    setup = mixed()
    setup.filled(10, "buy", account_id=REAL)
    setup.filled(10, "sell", account_id=ACCOUNT)
    assert setup.core.portfolio.net_position(PAIR.id) == 0, "an answer over all stays a sum"
    assert code(setup.submit(10, "sell", reduce_only=True, account_id=REAL)) == ""
    assert code(setup.submit(10, "buy", reduce_only=True, account_id=ACCOUNT)) == ""
    assert code(setup.submit(10, "buy", reduce_only=True, account_id=REAL)) == "REDUCE_ONLY"


def test_a_named_position_of_another_account_is_not_there_to_be_reduced() -> None:
    setup = mixed()
    setup.filled(10, account_id=ACCOUNT)
    held = setup.cache.positions_open()[0].position_id
    order = setup.submit(10, "sell", reduce_only=True, account_id=REAL, position_id=held)
    assert code(order) == "REDUCE_ONLY"


@pytest.mark.parametrize("scope", ["account", "strategy"])
def test_a_position_is_limited_in_each_account(scope: str) -> None:
    setup = mixed(max_position=15, position_scope=scope)
    setup.filled(10, account_id=ACCOUNT)
    assert code(setup.submit(10, account_id=REAL)) == "", "the simulated one is not in its way"
    assert code(setup.submit(10, account_id=REAL)) == "POSITION_TOO_LARGE", "its own is"
    assert code(setup.submit(10, account_id=ACCOUNT)) == "POSITION_TOO_LARGE"


def test_a_simulated_short_lets_no_real_long_grow_beyond_its_limit() -> None:
    setup = mixed(max_position=15)
    setup.filled(15, "sell", account_id=ACCOUNT)
    setup.filled(10, account_id=REAL)
    assert code(setup.submit(10, account_id=REAL)) == "POSITION_TOO_LARGE"


def test_a_reducing_state_looks_at_the_orders_account() -> None:
    setup = mixed()
    setup.filled(10, "sell", account_id=ACCOUNT)
    setup.core.risk.set_trading_state(TradingState.REDUCING)
    assert code(setup.submit(10, "buy", account_id=REAL)) == "TRADING_REDUCING"
    assert code(setup.submit(10, "buy", account_id=ACCOUNT)) == ""


def test_what_works_in_another_account_does_not_stand_beside_a_reduction() -> None:
    setup = mixed()
    setup.filled(10, account_id=REAL)
    setup.accepted(10, "sell", account_id=ACCOUNT)
    setup.core.risk.set_trading_state(TradingState.REDUCING)
    assert code(setup.submit(10, "sell", account_id=REAL)) == ""


def test_a_modification_is_checked_in_the_account_of_its_order() -> None:
    setup = mixed(max_position=15)
    setup.filled(10, account_id=ACCOUNT)
    order = setup.accepted(10, account_id=REAL)
    setup.desk.modify_order(order, quantity=15)
    setup.core.dispatcher.drain()
    assert order.quantity == 10
    assert setup.desk.kinds()[-1] == "OrderPendingUpdate"
    setup.desk.modify_order(setup.accepted(5, account_id=ACCOUNT), quantity=6)
    setup.core.dispatcher.drain()
    assert "POSITION_TOO_LARGE" in [getattr(one, "code", "") for one in setup.desk.heard]


def test_an_order_that_waits_on_our_side_is_changed_for_the_account_it_will_go_to() -> None:
    setup = mixed(max_position=15)
    setup.core.data.add_client(Feed({"quotes"}))
    setup.filled(10, account_id=ACCOUNT)
    order = setup.desk.orders.limit(PAIR.id, "buy", 10, "0.5", emulation_trigger="bid_ask")
    setup.desk.submit_order(order, account_id=REAL)
    setup.core.dispatcher.drain()
    assert order.reason == ""
    setup.desk.modify_order(order, quantity=15)
    setup.core.dispatcher.drain()
    assert order.quantity == 15


# Open orders


def test_open_orders_all_together_are_the_real_ones_or_the_simulated_ones() -> None:
    setup = mixed(max_open_orders=1)
    setup.accepted(10, account_id=ACCOUNT)
    setup.accepted(10, account_id=REAL)
    assert code(setup.submit(10, account_id=REAL)) == "TOO_MANY_OPEN_ORDERS"
    assert code(setup.submit(10, account_id=ACCOUNT)) == "TOO_MANY_OPEN_ORDERS"


def test_open_orders_of_real_accounts_count_together() -> None:
    first, second = Broker("ONE"), Broker("TWO", account_id=REAL)
    setup = Setup(first, second, limits=RiskLimits(max_open_orders=1))
    setup.accepted(10, account_id=ACCOUNT)
    assert code(setup.submit(10, account_id=REAL)) == "TOO_MANY_OPEN_ORDERS"


def test_open_orders_of_an_instrument_count_in_each_account() -> None:
    setup = mixed(max_open_orders={PAIR.id: 1})
    setup.accepted(10, account_id=ACCOUNT)
    assert code(setup.submit(10, account_id=REAL)) == ""
    assert code(setup.submit(10, account_id=REAL)) == "TOO_MANY_OPEN_ORDERS"


@pytest.mark.parametrize("most", [1, {PAIR.id: 1}])
def test_simulated_orders_use_up_no_real_minute(most: Any) -> None:
    setup = mixed(orders_per_minute=most)
    assert code(setup.submit(10, account_id=ACCOUNT)) == ""
    assert code(setup.submit(10, account_id=REAL)) == ""
    assert code(setup.submit(10, account_id=REAL)) == "ORDERS_PER_MINUTE_EXCEEDED"
    assert code(setup.submit(10)) == "ORDERS_PER_MINUTE_EXCEEDED"


# The day's loss


def test_a_simulated_profit_does_not_make_up_for_a_real_loss() -> None:
    setup = mixed(max_loss_per_day="500 USD")
    setup.filled(1000, "buy", account_id=REAL)
    setup.filled(1000, "sell", account_id=ACCOUNT)
    quoted(setup, 0.4)  # real: -600, simulated: about +600
    assert code(setup.submit(10, account_id=REAL)) == "MAX_LOSS_PER_DAY"
    assert code(setup.submit(10, "sell", account_id=ACCOUNT)) == ""


def test_a_simulated_loss_refuses_no_real_order_and_sets_no_state() -> None:
    setup = mixed(max_loss_per_day="500 USD", on_loss="halted")
    told: list[Any] = []
    setup.core.bus.subscribe("events.risk", told.append)
    setup.filled(1000, account_id=ACCOUNT)
    quoted(setup, 0.4)
    assert code(setup.submit(10, account_id=ACCOUNT)) == "MAX_LOSS_PER_DAY"
    assert code(setup.submit(10, account_id=REAL)) == ""
    assert setup.core.risk.trading_state is TradingState.ACTIVE
    assert [type(one) for one in told] == [LossLimitReached]
    assert told[0].accounts == (ACCOUNT,)


def test_a_real_loss_sets_the_state_for_all() -> None:
    setup = mixed(max_loss_per_day="500 USD", on_loss="halted")
    setup.filled(1000, account_id=REAL)
    quoted(setup, 0.4)
    assert code(setup.submit(10, account_id=REAL)) == "TRADING_HALTED"
    assert setup.core.risk.trading_state is TradingState.HALTED


def test_real_accounts_lose_together() -> None:
    setup = Setup(
        *(Paper("PAPER"), Broker("ONE", account_id="SIM-1"), Broker("TWO", account_id="SIM-2")),
        limits=RiskLimits(max_loss_per_day="500 USD"),
    )
    for account_id in ("SIM-1", "SIM-2"):
        setup.filled(500, account_id=account_id)
    quoted(setup, 0.45)  # each lost about 275
    order = setup.submit(10, account_id="SIM-1")
    assert code(order) == "MAX_LOSS_PER_DAY"
    assert "the day's loss of SIM-1, SIM-2 came to 551.00 USD" in order.reason


def test_an_unknown_simulated_loss_refuses_no_real_order() -> None:
    setup = mixed(max_loss_per_day="500 USD")
    setup.filled(10, account_id=ACCOUNT)
    setup.cache.market(PAIR.id).quote = None
    assert code(setup.submit(10, account_id=ACCOUNT)) == "LOSS_UNKNOWN"
    assert code(setup.submit(10, account_id=REAL)) == ""


def test_each_accounts_day_begins_once_and_is_recorded() -> None:
    setup = mixed(max_loss_per_day="500 USD")
    setup.filled(10, account_id=REAL)
    setup.filled(10, account_id=REAL)
    began = [r.message for r in setup.core.log if isinstance(r.message, LossDayBegan)]
    assert [(one.account_id, one.profit) for one in began] == [(REAL, 0), (ACCOUNT, 0)]


# What strategies see


def test_a_strategys_position_is_that_where_its_orders_go() -> None:
    setup = mixed()
    setup.filled(10, account_id=ACCOUNT)
    setup.filled(7, "sell", account_id=REAL)
    desk = setup.desk
    assert desk.position(PAIR.id).account_id == ACCOUNT  # type: ignore[union-attr]
    setup.core.routes.set(StrategyId(desk.component_id), VENUE, REAL)
    assert desk.position(PAIR.id).account_id == REAL  # type: ignore[union-attr]
    setup.core.routes.clear(StrategyId(desk.component_id), VENUE)
    setup.fill(setup.accepted(10, "sell", account_id=ACCOUNT), 10)
    assert desk.position(PAIR.id) is None
    assert setup.cache.position_of(PAIR.id, desk.component_id).account_id == REAL  # type: ignore[union-attr]


def test_a_held_order_is_cut_to_what_its_account_holds() -> None:
    setup = mixed()
    setup.core.data.add_client(Feed({"quotes"}))
    setup.filled(10, account_id=ACCOUNT)
    setup.filled(4, account_id=REAL)
    desk = setup.desk
    order = desk.orders.stop_market(
        PAIR.id, "sell", 4, "0.9", reduce_only=True, emulation_trigger="bid_ask"
    )
    desk.submit_order(order, account_id=REAL)
    setup.core.dispatcher.drain()
    setup.fill(setup.accepted(1, "sell", account_id=REAL), 1)
    setup.core.senders.data_event.send(Quote(PAIR.id, 0.8, 0.9, 1e6, 1e6, 3, 3))
    while setup.core.dispatcher.handle_next():
        pass
    assert setup.brokers[1].sent[-1].order.quantity == 3

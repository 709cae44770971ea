"""Commissions taken in what is traded: a position is what the account has got."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.execution_fakes import PAIR, Setup
from workbench.model.instruments import CryptoPerpetual

D = Decimal


def traded(*fills: tuple[str, str, str, str], unit: str = "AUD") -> Setup:
    """Return a core after fills of (side, quantity, price, commission)."""
    setup = Setup()
    for side, quantity, price, commission in fills:
        order = setup.accepted(1_000_000, side)
        setup.fill(order, D(quantity), unit=unit, price=D(price), commission=commission)
    return setup


def test_a_fee_taken_from_what_was_bought_leaves_less_and_counts_at_the_fills_price() -> None:
    setup = traded(("buy", "200", "1.5", "0.2"))
    (position,) = setup.cache.positions_open()
    assert (position.signed_quantity, position.average_open) == (D("199.8"), D("1.5"))
    assert (position.commission, position.realized_pnl) == (D("0.3"), D("-0.3"))


def test_what_was_bought_less_its_fee_closes_with_what_it_brought() -> None:
    setup = traded(("buy", "200", "1.5", "0.2"))
    order = setup.accepted(1_000_000, "sell")
    setup.fill(order, D("199.8"), price=D("1.6"), commission="0.31968")
    assert setup.cache.positions_open() == []
    (position,) = setup.cache.positions_closed()
    paid, got = D(200) * D("1.5"), D("199.8") * D("1.6") - D("0.31968")
    assert position.realized_pnl == got - paid


def test_a_fee_of_a_sale_taken_in_kind_closes_no_more_than_is_held() -> None:
    setup = traded(("buy", "200", "1.5", "0"), ("sell", "200", "1.6", "0.2"))
    assert setup.cache.positions_open() == []
    (position,) = setup.cache.positions_closed()
    assert position.realized_pnl == D(200) * D("0.1") - D("0.2") * D("1.6")


def test_a_fee_of_a_sale_taken_from_what_stays_leaves_less() -> None:
    setup = traded(("buy", "200", "1.5", "0"), ("sell", "100", "1.6", "0.2"))
    (position,) = setup.cache.positions_open()
    assert position.signed_quantity == D("99.8")


def test_a_fee_that_would_take_all_of_a_fill_is_left_out() -> None:
    setup = traded(("buy", "200", "1.5", "200"))
    (position,) = setup.cache.positions_open()
    assert (position.signed_quantity, position.realized_pnl) == (D(200), D(0))


def test_a_contracts_fee_in_its_base_currency_leaves_its_quantity_alone() -> None:
    setup = Setup()
    perpetual = CryptoPerpetual.define("BTC/USDT-PERP.SIM")
    setup.cache.add_instrument(perpetual)
    order = setup.desk.orders.market(perpetual.id, "buy", 2)
    setup.core.cache.add_order(order)
    setup.accept(order)
    setup.fill(order, 2, unit="BTC", price=D(100), commission="0.002")
    (position,) = setup.cache.positions_open()
    assert (position.signed_quantity, position.realized_pnl) == (D(2), D(0))


def test_closing_leaves_what_is_below_a_step() -> None:
    setup = traded(("buy", "200", "1.5", "0.2"))
    step = setup.cache.require_instrument(PAIR.id).quantity_increment
    sent = len(setup.broker.sent)
    setup.desk.close_position(PAIR.id)
    setup.core.dispatcher.drain()
    (command,) = setup.broker.sent[sent:]
    assert command.order.quantity == D("199.8") // step * step
    order: Any = setup.cache.order(command.client_order_id)
    setup.accept(order)
    setup.fill(order, order.quantity)
    sent = len(setup.broker.sent)
    setup.desk.close_position(PAIR.id)
    setup.core.dispatcher.drain()
    assert setup.broker.sent[sent:] == []
    assert setup.cache.net_quantity(PAIR.id) == D("0.8")
    assert setup.core.portfolio.is_flat(PAIR.id)


def test_what_an_earlier_fee_left_is_sold_with_what_is_bought_next() -> None:
    setup = traded(("buy", "200", "1.5", "0.2"))
    assert not setup.core.portfolio.is_flat(PAIR.id)
    for left, sold in (("0.8", 199), ("0.6", 200)):
        setup.desk.close_position(PAIR.id)
        setup.core.dispatcher.drain()
        order: Any = setup.cache.order(setup.broker.sent[-1].client_order_id)
        assert order.quantity == sold
        setup.accept(order)
        setup.fill(order, order.quantity)
        assert setup.cache.net_quantity(PAIR.id) == D(left)
        bought = setup.accepted(1_000_000, "buy")
        setup.fill(bought, D(200), unit="AUD", price=D("1.5"), commission="0.2")


FILLS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 500),
        st.decimals("0.5", "2", places=4),
        st.decimals("0", "0.9", places=6),
        st.sampled_from(["AUD", "USD", "EUR"]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("last", ["1", "1.37"])
@given(fills=FILLS)
def test_positions_are_worth_what_the_wallet_gained(fills: list[Any], last: str) -> None:
    setup, price = Setup(), D(last)
    aud = usd = lost = D(0)
    for side, quantity, at, commission, unit in fills:
        order = setup.accepted(1_000_000, side)
        held = setup.cache.net_quantity(PAIR.id)
        setup.fill(order, quantity, unit=unit, price=at, commission=commission)
        sign = 1 if side == "buy" else -1
        aud += sign * quantity
        usd -= sign * quantity * at
        usd -= commission if unit == "USD" else 0
        taken = commission if unit == "AUD" else D(0)
        aud -= taken
        # What a sale's fee takes beyond what is held counts at once, and opens nothing.
        beyond = max(D(0), quantity + taken - held) if side == "sell" and held >= quantity else 0
        lost += beyond
        usd -= beyond * at
    assert setup.cache.net_quantity(PAIR.id) == aud + lost
    positions = setup.cache.positions()
    worth = sum((one.realized_pnl + one.unrealized_pnl(price) for one in positions), D(0))
    assert abs(worth - (usd + (aud + lost) * price)) < D("1e-15")

"""A position is the sum of its fills; profit is what they cost and brought."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.model.enums import OrderSide, PositionSide
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Future, Instrument
from workbench.model.positions import Position, split_flip

BUY, SELL = OrderSide.BUY, OrderSide.SELL
LINEAR = CurrencyPair.define("AUD/USD.SIM")
FUTURE = Future.define("ESH4.CME", underlying="ES", expiration_ns=10**18, multiplier="12.5")
INVERSE = CryptoPerpetual.define("BTC/USD-PERP.SIM", is_inverse=True, quantity_increment=1)

SIDES = st.sampled_from([BUY, SELL])
QUANTITIES = st.integers(1, 50).map(Decimal) | st.decimals("0.001", "500", places=3)
PRICES = st.decimals("0.5", "5000", places=5)
COMMISSIONS = st.decimals("-10", "10", places=6)
FILLS = st.lists(st.tuples(SIDES, QUANTITIES, PRICES, COMMISSIONS), min_size=1, max_size=30)
Fill = tuple[OrderSide, Decimal, Decimal, Decimal]


def held_after(instrument: Instrument, fills: list[Fill]) -> list[Position]:
    """Net all fills, splitting each flip; every position there was, the last perhaps open."""
    positions: list[Position] = []
    for moment, (side, quantity, price, commission) in enumerate(fills, start=1):
        held = positions[-1].signed_quantity if positions else Decimal(0)
        for part, share in split_flip(held, side, quantity, commission):
            if not positions or not positions[-1].is_open:
                positions.append(
                    Position(
                        position_id=f"P-{len(positions)}",
                        strategy_id="S-1",
                        account_id="SIM-1",
                        instrument=instrument,
                        entry=side,
                    )
                )
            positions[-1].apply(side, part, price, share, moment)
    return positions


def brought(instrument: Instrument, side: OrderSide, quantity: Decimal, price: Decimal) -> Decimal:
    """What a fill adds to profit if its price were zero later: cash of a linear contract."""
    worth = instrument.notional(quantity, price)
    return side.sign * worth if instrument.is_inverse else -side.sign * worth


@pytest.mark.parametrize("instrument", [LINEAR, FUTURE, INVERSE], ids=["pair", "future", "inverse"])
@given(fills=FILLS, last=PRICES)
def test_a_position_is_the_sum_of_its_fills(
    instrument: Instrument, fills: list[Fill], last: Decimal
) -> None:
    positions = held_after(instrument, fills)
    open_ones = [position for position in positions if position.is_open]
    assert open_ones in ([], positions[-1:])
    signed = sum((side.sign * quantity for side, quantity, _, _ in fills), Decimal(0))
    assert sum(position.signed_quantity for position in positions) == signed
    paid = sum((commission for *_, commission in fills), Decimal(0))
    charged = sum((position.commission for position in positions), Decimal(0))
    assert abs(charged - paid) <= Decimal("1e-20")

    # Closing everything at `last`: profit is what all fills brought, less what was paid.
    total = sum((p.realized_pnl + p.unrealized_pnl(last) for p in positions), Decimal(0))
    cash = sum((brought(instrument, s, q, price) for s, q, price, _ in fills), Decimal(0))
    if signed:
        cash += brought(instrument, SELL if signed > 0 else BUY, abs(signed), last)
    assert abs(total - (cash - paid)) <= Decimal("1e-15")


@given(fills=FILLS)
def test_what_a_position_tells_about_itself_agrees(fills: list[Fill]) -> None:
    for position in held_after(LINEAR, fills):
        size = position.quantity
        assert position.peak_quantity >= size
        assert position.ts_opened <= position.ts_last
        assert (position.side is PositionSide.FLAT) == (not position.is_open)
        assert position.is_open or position.ts_closed == position.ts_last
        assert (position.average_close is None) == (position.closed_quantity == 0)
        assert position.closed_quantity + size >= position.peak_quantity
        if position.is_open:
            expected = PositionSide.LONG if position.entry is BUY else PositionSide.SHORT
            assert position.side is expected


@given(fills=FILLS)
def test_an_average_open_lies_between_the_prices_that_were_paid(fills: list[Fill]) -> None:
    for instrument in (LINEAR, INVERSE):
        bought = [(BUY, quantity, price, fee) for _, quantity, price, fee in fills]
        (position,) = held_after(instrument, bought)
        paid = [price for _, _, price, _ in bought]
        slack = Decimal("1e-20")
        assert min(paid) - slack <= position.average_open <= max(paid) + slack


@given(
    held=st.decimals("-100000", "100000", places=8),
    side=SIDES,
    quantity=st.decimals("0.00000001", "100000", places=8),
    commission=st.builds(
        lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=28).map(tuple),
        st.integers(-30, 5),
    ),
)
def test_a_split_fill_adds_up_exactly(
    held: Decimal, side: OrderSide, quantity: Decimal, commission: Decimal
) -> None:
    parts = split_flip(held, side, quantity, commission)
    assert sum(part for part, _ in parts) == quantity
    with localcontext(prec=100):  # 28 digits would round a difference away
        assert sum(share for _, share in parts) == commission
    after = held + side.sign * quantity
    flips = held * after < 0
    assert len(parts) == (2 if flips else 1)
    if flips:
        (closing, fee), (opening, rest) = parts
        assert (closing, opening) == (abs(held), abs(after))
        assert fee * commission >= 0
        assert rest * commission >= 0
        tolerance = abs(commission) * Decimal("1e-26")
        assert abs(fee - commission * closing / quantity) <= tolerance

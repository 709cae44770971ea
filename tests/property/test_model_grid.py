"""The border between floats and exact numbers holds on every grid."""

from __future__ import annotations

import math
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.model.instruments import GRID_TOLERANCE, CurrencyPair
from workbench.model.money import CURRENCIES, Money

INCREMENTS = st.sampled_from(
    [Decimal(text) for text in ("0.00000001", "0.00001", "0.0025", "0.01", "0.25", "0.5", "1", "5")]
)
STEPS = st.integers(0, 2**32 - 1)
FLOATS = st.floats(0, 1e15)


def pair(increment: Decimal) -> CurrencyPair:
    return CurrencyPair.define(
        "AUD/USD.SIM", price_increment=increment, quantity_increment=increment
    )


@given(INCREMENTS, STEPS)
def test_a_float_on_the_grid_is_its_tick_in_every_way_of_reading_it(
    increment: Decimal, steps: int
) -> None:
    instrument = pair(increment)
    exact = increment * steps
    value = float(exact)
    assert instrument.ticks(value) == steps
    assert instrument.price(value) == instrument.exact_price(value) == exact
    assert instrument.quantity(value) == instrument.exact_quantity(value) == exact
    for number in (exact, str(exact)):
        assert instrument.price(number) == instrument.exact_price(number) == exact
        assert instrument.quantity(number) == exact


@given(INCREMENTS, STEPS, st.sampled_from([-1, 1]))
def test_arithmetic_noise_does_not_leave_the_tick(
    increment: Decimal, steps: int, direction: int
) -> None:
    assume(steps < 10**9)  # beyond, one unit in the last place is more than the tolerance
    value = math.nextafter(float(increment * steps), direction * math.inf)
    assume(value >= 0)
    instrument = pair(increment)
    assert instrument.exact_price(value) == increment * steps
    assert instrument.quantity(value) == increment * steps


@given(INCREMENTS, FLOATS)
def test_a_quantity_is_on_the_grid_and_never_more_than_was_asked_for(
    increment: Decimal, value: float
) -> None:
    quantity = pair(increment).quantity(value)
    assert quantity % increment == 0
    asked = Decimal(repr(value))
    assert asked - increment < quantity <= asked + increment * Decimal("0.0000011")


@given(INCREMENTS, FLOATS)
def test_an_exact_number_never_rounds_by_more_than_the_tolerance(
    increment: Decimal, value: float
) -> None:
    allowed = increment * Decimal(str(GRID_TOLERANCE)) * Decimal("1.1")
    exact = pair(increment).exact_price(value)
    meant = Decimal(value), Decimal(repr(value))
    assert min(abs(exact - one) for one in meant) <= allowed
    if exact % increment != 0:
        assert exact == Decimal(repr(value))


@given(INCREMENTS, st.floats(0, 1e6))
def test_a_price_is_the_nearest_tick(increment: Decimal, value: float) -> None:
    price = pair(increment).price(value)
    assert price % increment == 0
    assert abs(price - Decimal(value)) <= increment * Decimal("0.501")


@given(
    st.decimals("-1e18", "1e18", places=9),
    st.decimals("-1e18", "1e18", places=9),
    st.sampled_from(sorted(CURRENCIES)),
)
def test_money_adds_exactly_and_is_read_from_what_it_shows(
    one: Decimal, other: Decimal, code: str
) -> None:
    first, second = Money(one, CURRENCIES[code]), Money(other, CURRENCIES[code])
    assert (first + second) - second == first
    assert (first < second) == (one < other)
    assert Money.parse(str(first)) == first.rounded()
    assert Money.parse(repr(first)[7:-2]) == first

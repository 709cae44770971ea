"""Average-cost accounting of a position, against the worked cases of the specification."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest

from workbench.model.enums import OrderSide, PositionSide
from workbench.model.errors import OrderStateError
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Future, Instrument
from workbench.model.positions import Position, split_flip

BUY, SELL = OrderSide.BUY, OrderSide.SELL
AUDUSD = CurrencyPair.define("AUD/USD.SIM", price_increment="0.00001")
INVERSE = CryptoPerpetual.define(
    "BTC/USD-PERP.SIM", is_inverse=True, price_increment="0.5", quantity_increment=1
)


def position_in(instrument: Instrument = AUDUSD) -> Position:
    return Position(
        position_id="P-1",
        strategy_id="S-1",
        account_id="SIM-1",
        instrument=instrument,
        entry=BUY,
    )


def apply_all(position: Position, *fills: tuple[OrderSide, str, str, str]) -> list[Decimal]:
    """Apply (side, quantity, price, fee) one after another; the realised profit after each."""
    realised: list[Decimal] = []
    for moment, (side, quantity, price, fee) in enumerate(fills, start=1):
        position.apply(side, Decimal(quantity), Decimal(price), Decimal(fee), moment)
        realised.append(position.realized_pnl)
    return realised


def test_a_new_position_is_flat() -> None:
    position = position_in()
    assert position.side is PositionSide.FLAT
    assert not position.is_open
    assert position.quantity == 0
    assert position.unrealized_pnl(Decimal(1)) == 0
    assert position.instrument_id == "AUD/USD.SIM"


def test_case_1_a_long_bought_and_sold_realises_twelve() -> None:
    position = position_in()
    apply_all(position, (BUY, "150000", "1.00001", "3"))
    assert (position.side, position.quantity) == (PositionSide.LONG, 150_000)
    assert position.realized_pnl == -3
    assert position.unrealized_pnl(Decimal("1.00011")) == 15
    apply_all(position, (SELL, "150000", "1.00011", "0"))
    assert position.realized_pnl == Decimal("12.00")
    assert position.commission == 3
    assert position.average_close == Decimal("1.00011")
    assert not position.is_open


def test_case_2_a_short_bought_back_in_halves_realises_minus_eight() -> None:
    position = position_in()
    apply_all(
        position,
        (SELL, "100000", "1.00000", "2"),
        (BUY, "50000", "1.00001", "2"),
        (BUY, "50000", "1.00003", "2"),
    )
    assert position.realized_pnl == Decimal("-8.00")
    assert position.average_open == 1
    assert position.average_close == Decimal("1.00002")
    assert position.commission == 6
    assert (position.entry, position.side) == (SELL, PositionSide.FLAT)


def test_case_3_a_flip_closes_the_short_and_opens_a_long_of_the_rest() -> None:
    short = position_in()
    apply_all(short, (SELL, "100000", "1.00000", "2"))
    (closing, fee), (opening, rest) = split_flip(
        short.signed_quantity, BUY, Decimal(200_000), Decimal(3)
    )
    short.apply(BUY, closing, Decimal("1.00010"), fee, 2)
    long = position_in()
    long.apply(BUY, opening, Decimal("1.00010"), rest, 2)
    assert not short.is_open
    assert short.realized_pnl == Decimal("-13.5")
    assert (long.side, long.quantity) == (PositionSide.LONG, 100_000)
    assert long.realized_pnl == Decimal("-1.5")
    assert long.average_open == Decimal("1.00010")


def test_case_10_fees_in_basis_points_are_realised_as_they_are_charged() -> None:
    traded = [(BUY, 12, 100), (BUY, 17, 99), (SELL, 9, 101), (SELL, 4, 105), (BUY, 3, 103)]
    fills = [
        (side, str(quantity), str(price), str(Decimal(quantity * price) / 10_000))
        for side, quantity, price in traded
    ]
    realised = apply_all(position_in(), *fills)
    assert [round(amount, 8) for amount in realised[1:]] == [
        Decimal("-0.2883"),
        Decimal("13.89666207"),
        Decimal("36.19948966"),
        Decimal("36.16858966"),
    ]


def test_a_position_remembers_its_peak_its_times_and_its_number_of_fills() -> None:
    position = position_in()
    apply_all(
        position,
        (BUY, "10", "1", "0"),
        (BUY, "5", "2", "0"),
        (SELL, "12", "2", "0"),
        (SELL, "3", "1", "0"),
    )
    assert position.peak_quantity == 15
    assert (position.ts_opened, position.ts_last, position.ts_closed) == (1, 4, 4)
    assert position.fill_count == 4
    assert position.closed_quantity == 15


def test_a_partial_close_leaves_the_average_of_what_is_left_alone() -> None:
    position = position_in()
    apply_all(position, (BUY, "10", "1.00", "0"), (SELL, "4", "1.50", "0"))
    assert position.average_open == 1
    assert position.signed_quantity == 6
    assert position.ts_closed == 0


def test_a_rebate_is_a_profit() -> None:
    position = position_in()
    apply_all(position, (BUY, "10", "1", "-0.5"))
    assert (position.realized_pnl, position.commission) == (Decimal("0.5"), Decimal("-0.5"))


@pytest.mark.parametrize(("first", "second"), [(BUY, SELL), (SELL, BUY)])
def test_a_fill_that_would_turn_the_position_around_is_refused(
    first: OrderSide, second: OrderSide
) -> None:
    position = position_in()
    apply_all(position, (first, "10", "1", "0"))
    with pytest.raises(OrderStateError, match=r"position P-1 holds -?10; a .* of 11 would turn it"):
        position.apply(second, Decimal(11), Decimal(1), Decimal(1), 2)
    assert position.quantity == 10
    assert (position.commission, position.fill_count, position.ts_last) == (0, 1, 1)


def test_a_multiplier_scales_the_profit() -> None:
    future = Future.define("ESH4.CME", underlying="ES", expiration_ns=10**18, multiplier=50)
    position = position_in(future)
    apply_all(position, (SELL, "2", "4800.25", "0"), (BUY, "2", "4790.25", "0"))
    assert position.realized_pnl == 1000


def test_an_inverse_contract_profits_in_its_base_currency() -> None:
    position = position_in(INVERSE)
    apply_all(position, (BUY, "1000", "10000", "0"))
    assert position.unrealized_pnl(Decimal(12_500)) == Decimal("0.02")
    apply_all(position, (SELL, "1000", "12500", "0"))
    assert position.realized_pnl == Decimal("0.02")


def test_an_inverse_short_profits_when_the_price_falls() -> None:
    position = position_in(INVERSE)
    apply_all(position, (SELL, "1000", "12500", "0"), (BUY, "1000", "10000", "0"))
    assert position.realized_pnl == Decimal("0.02")


def test_an_inverse_position_averages_so_that_profit_is_the_sum_of_its_fills() -> None:
    position = position_in(INVERSE)
    apply_all(position, (BUY, "100", "10000", "0"), (BUY, "100", "20000", "0"))
    assert position.average_open == pytest.approx(Decimal("13333.33333333"))
    apply_all(position, (SELL, "50", "16000", "0"), (SELL, "150", "20000", "0"))
    # Bought for 0.01 + 0.005 coins, sold for 0.003125 + 0.0075.
    assert round(position.realized_pnl, 20) == Decimal("0.004375")
    by_averages = 200 * (1 / position.average_open - 1 / (position.average_close or Decimal(1)))
    assert round(by_averages, 20) == Decimal("0.004375")


@pytest.mark.parametrize(
    ("held", "side", "quantity"),
    [("0", BUY, "5"), ("10", BUY, "5"), ("10", SELL, "10"), ("-10", BUY, "3"), ("-1", SELL, "9")],
)
def test_a_fill_that_turns_nothing_around_stays_whole(
    held: str, side: OrderSide, quantity: str
) -> None:
    whole = split_flip(Decimal(held), side, Decimal(quantity), Decimal("0.7"))
    assert whole == ((Decimal(quantity), Decimal("0.7")),)


def test_the_parts_of_a_commission_add_up_where_a_third_would_not() -> None:
    (_, closing), (_, opening) = split_flip(Decimal(1), SELL, Decimal(30_000), Decimal(1))
    assert closing == pytest.approx(Decimal(1) / 30_000)
    with localcontext(prec=100):  # 28 digits would round a difference away
        assert closing + opening == 1

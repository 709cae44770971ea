"""Fill models: what takers find, how limits fill at a touch, and that a seed repeats a run."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.test_exchange import PAIR, SHARE, Script, bar, quote, run, trade
from workbench.model.errors import ConfigError
from workbench.model.instruments import CurrencyPair
from workbench.sim import (
    BestPriceFillModel,
    FillModel,
    OneTickSlippageFillModel,
    SizeAwareFillModel,
    ThreeTierFillModel,
    TieredFillModel,
    TwoTierFillModel,
    VolumeSensitiveFillModel,
)

D = Decimal


def taken(model: FillModel, quantity: int = 100, **options: Any) -> list[tuple[int, str]]:
    """Return what a market buy of 100 finds at 1.10000, where 30 are shown."""
    script, _ = run(
        [lambda s: s.market("buy", quantity, **options)],
        [quote(1, 1.0, 1.1, 30, 30)],
        fill_model=model,
    )
    return [(int(quantity), str(price)) for quantity, price in script.fills()]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (FillModel(), [(30, "1.10000"), (70, "1.10001")]),
        (FillModel(prob_slippage=1.0), [(30, "1.10001"), (70, "1.10002")]),
        (BestPriceFillModel(), [(100, "1.10000")]),
        (BestPriceFillModel(prob_slippage=1.0), [(100, "1.10001")]),
        (OneTickSlippageFillModel(), [(100, "1.10001")]),
        (TwoTierFillModel(), [(10, "1.10000"), (90, "1.10001")]),
        (ThreeTierFillModel(), [(50, "1.10000"), (30, "1.10001"), (20, "1.10002")]),
        (TieredFillModel(sizes=(5, 6)), [(5, "1.10000"), (6, "1.10001"), (89, "1.10002")]),  # type: ignore[arg-type]
        (SizeAwareFillModel(), [(10, "1.10000"), (90, "1.10001")]),
        (SizeAwareFillModel(threshold=D(100)), [(100, "1.10000")]),
        # Without a bar or trades the size shown stands for the volume.
        (VolumeSensitiveFillModel(), [(7, "1.10000"), (93, "1.10001")]),
    ],
)
def test_what_a_taker_finds(model: FillModel, expected: list[tuple[int, str]]) -> None:
    assert taken(model) == expected


@pytest.mark.parametrize(
    ("model", "ioc", "fok"),
    [
        (FillModel(), 30, 0),
        (ThreeTierFillModel(), 100, 100),
        (TwoTierFillModel(), 10, 0),
        (BestPriceFillModel(), 100, 100),
    ],
)
def test_what_must_not_rest_stops_before_what_is_not_shown(
    model: FillModel, ioc: int, fok: int
) -> None:
    assert sum(n for n, _ in taken(model, time_in_force="ioc")) == ioc
    assert sum(n for n, _ in taken(model, time_in_force="fok")) == fok


def test_the_recent_volume_is_that_of_the_bar_or_of_the_last_trades() -> None:
    model = VolumeSensitiveFillModel(share=D("0.5"))
    on_bars, _ = run(
        [lambda s: s.market("buy", 100, SHARE)],
        [bar(1, (10, 10, 10, 10), 60)],
        SHARE,
        fill_model=model,
    )
    assert on_bars.fills() == [(D(30), D("10.00")), (D(70), D("10.01"))]
    on_trades, _ = run(
        [None, None, lambda s: s.market("buy", 100, SHARE)],
        [trade(1, 10, 7), trade(2, 10, 8), quote(3, 9.9, 10.0, instrument=SHARE)],
        SHARE,
        fill_model=model,
    )
    # Half of 15 is no whole share.
    assert on_trades.fills() == [(D(7), D("10.00")), (D(93), D("10.01"))]


def touches(prob: float, seed: int, *instruments: CurrencyPair) -> list[int]:
    """Return how many of 40 touches each instrument's orders needed to fill."""
    listed = instruments or (PAIR,)

    def rest(s: Script) -> None:
        for one in listed:
            for _ in range(5):
                s.limit("buy", 1, "1.00000", one)

    data = [quote(1, 1.0, 1.1, instrument=one) for one in listed]
    data += [quote(ts, 0.9, 1.0, instrument=one) for ts in range(2, 42) for one in listed]
    model = FillModel(prob_fill_on_limit=prob, seed=seed)
    steps = [*[None] * (len(listed) - 1), rest]
    script, _ = run(steps, data, *listed, fill_model=model)
    return [x.ts_event for x in script.heard if type(x).__name__ == "OrderFilled"]


def test_a_touch_fills_with_its_probability_and_a_move_through_always() -> None:
    assert touches(0.0, 1) == []
    assert touches(1.0, 1) == [2] * 5
    assert touches(0.3, 1) not in ([], [2] * 5)
    script, _ = run(
        [lambda s: s.limit("buy", 1, "1.00000")],
        [quote(1, 1.0, 1.1), quote(2, 0.9, 0.99999)],
        fill_model=FillModel(prob_fill_on_limit=0.0),
    )
    assert script.fills() == [(D(1), D("1.0"))]


def test_a_seed_repeats_a_run_and_another_one_does_not() -> None:
    assert touches(0.1, 7) == touches(0.1, 7)
    assert touches(0.1, 7) != touches(0.1, 8)


def test_two_instruments_do_not_share_random_numbers() -> None:
    other = CurrencyPair.define("NZD/USD.SIM")
    alone = touches(0.1, 7)
    together = touches(0.1, 7, PAIR, other)
    # Those of the first are what they are without the second.
    rest = list(together)
    for ts in alone:
        rest.remove(ts)
    assert rest != alone


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: FillModel(prob_slippage=1.5), "prob_slippage must be from 0 to 1; got 1.5"),
        (lambda: FillModel(prob_fill_on_limit=True), "must be a number from 0 to 1; got True"),
        (lambda: FillModel(seed="x"), "seed must be a whole number"),  # type: ignore[arg-type]
        (lambda: FillModel(slip=1), "no field 'slip'"),  # type: ignore[call-arg]
        (lambda: TieredFillModel(sizes=()), "sizes are one number or more"),
        (lambda: TieredFillModel(sizes=(0,)), "sizes must be positive"),  # type: ignore[arg-type]
        (lambda: SizeAwareFillModel(threshold=D(0)), "threshold must be positive"),
        (lambda: VolumeSensitiveFillModel(share=D(2)), "share must be above 0 and at most 1"),
    ],
)
def test_a_wrong_setting_is_named(make: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make()

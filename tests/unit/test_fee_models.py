"""Fee models, through the exchange."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.test_exchange import Script, Step, quote, realized, run
from workbench.model import events as e
from workbench.model.errors import ConfigError
from workbench.sim import FeeModel, FixedFeeModel, MakerTakerFeeModel, PerContractFeeModel

D = Decimal
DATA = [quote(1, 1.0, 1.1, 60, 60), quote(2, 1.0, 1.1, 60, 60), quote(3, 1.2, 1.3, 60, 60)]
STEPS: list[Step] = [
    lambda s: s.market("buy", 100),  # 60 and 40: two fills
    lambda s: s.limit("sell", 100, "1.15000"),  # a maker
]


def fees(model: FeeModel, **venue: Any) -> list[Decimal]:
    script, _ = run(STEPS, DATA, fee_model=model, **venue)
    return [x.commission for x in script.heard if isinstance(x, e.OrderFilled)]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (FeeModel(), ["0", "0", "0"]),
        (FixedFeeModel(commission="2 USD"), ["2", "0", "2"]),  # type: ignore[arg-type]
        (FixedFeeModel(commission="2 USD", per_fill=True), ["2", "2", "2"]),  # type: ignore[arg-type]
        (PerContractFeeModel(commission="0.01 USD"), ["0.6", "0.4", "1"]),  # type: ignore[arg-type]
        (MakerTakerFeeModel(maker=D("-0.001"), taker=D("0.01")), ["0.66", "0.440004", "-0.115"]),
    ],
)
def test_what_fills_cost(model: FeeModel, expected: list[str]) -> None:
    assert fees(model) == [D(amount) for amount in expected]


def test_one_of_your_own() -> None:
    class Half(FeeModel, frozen=True, kw_only=True):
        def fee(self, instrument: Any, fill: Any) -> Any:
            return fill.quantity / 2, instrument.settlement_currency

    assert fees(Half()) == [30, 20, 50]


def test_a_fixed_fee_is_part_of_what_is_realised() -> None:
    script, engine = run(
        [lambda s: s.market("buy", 150_000), lambda s: s.market("sell", 150_000)],
        [quote(1, 1.0, 1.00001), quote(2, 1.00011, 1.00012)],
        fee_model=FixedFeeModel(commission="1.5 USD"),  # type: ignore[arg-type]
    )
    assert realized(engine) == D("12.00")
    assert isinstance(script, Script)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: FixedFeeModel(commission="2"), "money is an amount and a currency"),  # type: ignore[arg-type]
        (lambda: PerContractFeeModel(commission="-1 USD"), "must not be negative"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_setting_is_named(make: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make()

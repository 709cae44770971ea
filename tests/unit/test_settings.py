"""Wrong arguments of the settings users type: each error names what was expected and what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import workbench as wb

WRONG: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "venue's name": (wb.SimulatedVenue, {"name": 5}, "the venue's name is text; got 5"),
    "trader id": (wb.TradingNodeConfig, {"trader_id": None}, "trader_id is text; got None"),
    "currency": (wb.SimulatedVenue, {"base_currency": 1.5}, "a currency is a code such as"),
    "money": (wb.FixedFeeModel, {"commission": -1}, "money is an amount and a currency, such as"),
    "nothing for a fee": (wb.FixedFeeModel, {}, "FixedFeeModel needs commission=..."),
    "nothing for a contract": (wb.PerContractFeeModel, {}, "PerContractFeeModel needs commission="),
    "switch": (
        wb.SimulatedVenue,
        {"trades_move_book": "no"},
        "SimulatedVenue: trades_move_book must be True or False; got 'no'",
    ),
    "switch of a model": (
        wb.FixedFeeModel,
        {"commission": "1 USD", "per_fill": 1},
        "FixedFeeModel: per_fill must be True or False; got 1",
    ),
    "switch of a node": (
        wb.TradingNodeConfig,
        {"allow_overfills": "yes"},
        "TradingNodeConfig: allow_overfills must be True or False; got 'yes'",
    ),
    "unknown capability": (wb.Capabilities, {"types": 1}, "Capabilities has no field 'types'; it"),
    "one capability as text": (
        wb.Capabilities,
        {"order_types": "market"},
        "order_types must be a set of OrderType, such as {'market'}; got 'market'",
    ),
    "no capabilities": (wb.Capabilities, {"contingencies": None}, "such as {'oco'}; got None"),
    "misspelt capability": (
        wb.Capabilities,
        {"time_in_force": ["gtx"]},
        "time_in_force must be one of 'gtc', ",
    ),
    "switch of a capability": (
        wb.Capabilities,
        {"amend": 0},
        "Capabilities: amend must be True or False; got 0",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_with_what_was_expected(name: str) -> None:
    settings, given, text = WRONG[name]
    with pytest.raises(wb.ConfigError, match=re.escape(text)):
        settings(**given)


def test_settings_without_fields_say_so() -> None:
    with pytest.raises(wb.ConfigError, match="FeeModel takes no arguments; got 3"):
        wb.FeeModel(3)  # type: ignore[call-arg]


def test_capabilities_are_taken_as_words() -> None:
    spot = wb.Capabilities(
        order_types=["market", "limit"],  # type: ignore[arg-type]
        contingencies=(),  # type: ignore[arg-type]
    )
    assert spot.order_types == frozenset({wb.OrderType.MARKET, wb.OrderType.LIMIT})
    assert all(type(kind) is wb.OrderType for kind in spot.order_types)
    assert spot.contingencies == frozenset()
    assert wb.Capabilities() == wb.Capabilities()


def test_settings_with_many_fields_show_what_was_chosen() -> None:
    assert repr(wb.SimulatedVenue()) == "SimulatedVenue()"
    assert repr(wb.SimulatedVenue(name="SIM", leverage=2)) == (  # type: ignore[arg-type]
        "SimulatedVenue(name='SIM', leverage=Decimal('2'))"
    )
    assert repr(wb.Capabilities(amend=False)) == "Capabilities(amend=False)"

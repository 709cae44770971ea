"""The simulated venue's settings: plain values become exact, mistakes are named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workbench.model.enums import AccountType
from workbench.model.errors import ConfigError
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Future, Instrument
from workbench.model.money import Money, currency
from workbench.runtime.clock import SimulatedClock
from workbench.sim import BarPath, FillOn, SimulatedExchange, SimulatedVenue

PAIR = CurrencyPair.define("BTC/USDT.BINANCE")
SHARE = Equity.define("ACME.NYSE")


def test_plain_values_become_exact_ones() -> None:
    venue = SimulatedVenue(
        name="SIM",
        account_type="CASH",  # type: ignore[arg-type]
        starting_balances=["10 USD", Money(Decimal(1), currency("BTC"))],
        base_currency="USD",  # type: ignore[arg-type]
        leverage=2.5,  # type: ignore[arg-type]
        maker_fee="-0.0001",  # type: ignore[arg-type]
        fill_on="next_open",  # type: ignore[arg-type]
        bar_path="adaptive",  # type: ignore[arg-type]
    )
    assert venue.account_type is AccountType.CASH
    assert [str(money) for money in venue.starting_balances] == ["10.00 USD", "1.00000000 BTC"]
    assert (venue.leverage, venue.maker_fee) == (Decimal("2.5"), Decimal("-0.0001"))
    assert (venue.fill_on, venue.bar_path) == (FillOn.NEXT_OPEN, BarPath.ADAPTIVE)
    assert venue.base_currency == currency("USD")
    assert venue.account_id == "SIM-PAPER"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"fill_on": "open"}, "fill_on must be one of 'close', 'next_open'"),
        ({"account_type": "credit"}, "account_type must be one of"),
        ({"bar_path": "x"}, "bar_path must be one of"),
        ({"leverage": 0.5}, "leverage must be 1 or more"),
        ({"latency_ns": -1}, "latency_ns must be a whole number"),
        ({"latency_ns": 1.5}, "latency_ns must be a whole number"),
        ({"taker_fee": "x"}, "taker_fee must be a number"),
        ({"starting_balances": 100}, "starting_balances is '1_000_000 USD'"),
        ({"starting_balances": [100]}, "starting_balances is '1_000_000 USD'"),
        ({"starting_balances": "100"}, "money is an amount and a currency"),
        ({"base_currency": "NOPE"}, "no currency 'NOPE' is known"),
        ({"name": "a b"}, "the venue's name must start with"),
    ],
)
def test_a_wrong_value_is_named(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        SimulatedVenue(**given)


def test_a_typo_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no field .delay.; it has: name, .*latency_ns"):
        SimulatedVenue(delay=1)  # type: ignore[call-arg]


def test_name_and_balance_come_from_the_instruments() -> None:
    venue = SimulatedVenue().for_instruments([PAIR])
    assert (venue.name, str(venue.starting_balances[0])) == ("BINANCE", "1,000,000.00000000 USDT")
    named = SimulatedVenue(name="NYSE").for_instruments([PAIR, SHARE])
    assert str(named.starting_balances[0]) == "1,000,000.00 USD"


def test_several_venues_need_settings_of_their_own() -> None:
    with pytest.raises(ConfigError, match=r"of 2 venues \(BINANCE, NYSE\); pass one"):
        SimulatedVenue().for_instruments([PAIR, SHARE])
    with pytest.raises(ConfigError, match="venue SIM has no instrument; the instruments are of"):
        SimulatedVenue(name="SIM").for_instruments([PAIR])


@pytest.mark.parametrize(
    "derivative",
    [
        CryptoPerpetual.define("BTC/USDT-PERP.SIM"),
        Future.define("ESH4.SIM", underlying="ES", expiration_ns=1),
    ],
)
def test_a_cash_account_lists_no_derivatives(derivative: Instrument) -> None:
    venue = SimulatedVenue(account_type="cash", name="SIM", starting_balances="1 USD")  # type: ignore[arg-type]
    with pytest.raises(
        ConfigError, match="which a cash account cannot hold; use account_type='margin'"
    ):
        venue.for_instruments([derivative])
    exchange = SimulatedExchange(venue, SimulatedClock(1), print)
    with pytest.raises(ConfigError, match="cannot hold"):
        exchange.add_instrument(derivative)
    assert venue.for_instruments([SHARE, PAIR]) == venue

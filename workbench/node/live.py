"""A ready-made node for a real venue: `wb.live(...)`. What is not said is not assumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workbench.engines.risk import RiskLimits
from workbench.model.errors import ConfigError
from workbench.model.instruments import Instrument
from workbench.node.clients import Replay, as_instruments
from workbench.node.config import ClockKind, TradingNodeConfig
from workbench.node.node import TradingNode
from workbench.node.required_limits import missing_limits
from workbench.node.setups import as_settings, as_shadows, as_strategies
from workbench.node.synthetic import Synthetic
from workbench.node.user_data import DEFAULT
from workbench.sim.venue import SimulatedVenue
from workbench.trading.actor import Actor
from workbench.venues.factory import VenueAccount, VenueData


def live(
    strategy: Actor | Sequence[Actor],
    *,
    venue: VenueAccount,
    instrument: Instrument | Sequence[Instrument],
    limits: RiskLimits | None = None,
    data: Any = None,
    shadow: bool | SimulatedVenue = False,
    config: TradingNodeConfig | None = None,
) -> TradingNode:
    """Return a CREATED node that trades an account at a venue.

    Args:
        strategy: A strategy object, or several.
        venue: The account, such as `wb.VenueAccount("ccxt", "BINANCE-001", exchange="binance")`.
        instrument: The instrument, or several; those of the account's venue.
        limits: What risk enforces. How large an order, a position and a day's loss may be must be
            said: `max_order_quantity` or `max_notional`, `max_position`, `max_loss_per_day`.
        data: A data client factory; by default market data of the same plug-in.
        shadow: Whether a simulated exchange runs beside the venue on the same orders, and how it
            is simulated: `True`, or a `SimulatedVenue`. `node.shadow()` tells how far apart they
            are.
        config: The node's settings, which may hold the limits; its clock is the live one, and its
            journal, where none is named, the trader's default one.

    Raises:
        ConfigError: If an argument is not usable, or a limit is missing.
        CredentialsError: If the account's credentials are not in the environment or the keyring.
    """
    instruments = as_instruments(instrument)
    strategies = as_strategies(strategy)
    if not isinstance(venue, VenueAccount):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(
            "venue is the account to trade, such as wb.VenueAccount('ccxt', 'BINANCE-001',"
            f" exchange='binance'); got {venue!r}"
        )
    settings = as_settings(config, limits)
    _check_limits(settings.limits)
    venue.credentials()  # refused now, not when it connects
    shadows = as_shadows(shadow, instruments)
    account = venue.for_instruments(instruments)
    settings = msgspec.structs.replace(
        settings, clock=ClockKind.LIVE, journal=settings.journal or DEFAULT
    )
    node = TradingNode(settings)
    node.add_data_client_factory(_data(data, account))
    node.add_exec_client_factory(account)
    for one in shadows:
        node.add_shadow(one)
    for one in strategies:
        node.add_strategy(one)
    return node


def _check_limits(limits: RiskLimits) -> None:
    missing = missing_limits(limits)
    if missing:
        raise ConfigError(
            f"a live node needs limits; pass limits=wb.RiskLimits(...) with {', '.join(missing)}"
        )


def _data(data: Any, account: VenueAccount) -> Any:
    if data is None:
        return account.data()
    if isinstance(data, (Replay, Synthetic)):
        raise ConfigError(f"a live node trades on the market's own data; got {data!r}")
    if isinstance(data, VenueData) or (callable(data) and not isinstance(data, type)):
        return data
    raise ConfigError(f"data is a data client factory, such as wb.VenueData('ccxt'); got {data!r}")

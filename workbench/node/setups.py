"""Ready-made nodes: `wb.sandbox(...)` puts clock, data client and execution client together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from workbench.engines.risk import RiskLimits
from workbench.model.errors import ConfigError
from workbench.model.instruments import Instrument
from workbench.node.clients import Replay, Simulated, as_instruments
from workbench.node.config import ClockKind, TradingNodeConfig
from workbench.node.node import TradingNode
from workbench.node.synthetic import Synthetic
from workbench.node.user_data import DEFAULT
from workbench.sim import OnExhausted
from workbench.sim.venue import SimulatedVenue
from workbench.trading.actor import Actor
from workbench.venues.factory import VenueAccount


def as_strategies(strategy: Actor | Sequence[Actor]) -> list[Actor]:
    """Return one or several strategies as a list.

    Raises:
        ConfigError: If there is none, one is there twice, or a class was passed instead of an
            object.
    """
    if isinstance(strategy, Sequence) and not isinstance(strategy, str):
        found = list(strategy)
    else:
        found = [cast("Actor", strategy)]
    for one in found:
        if isinstance(one, type):
            raise ConfigError(f"pass an object, {one.__name__}(...), not the class")
        if not isinstance(one, Actor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"a strategy is a wb.Strategy or wb.Actor; got {one!r}")
    if not found:
        raise ConfigError("pass at least one strategy")
    if len(set(map(id, found))) < len(found):
        raise ConfigError("one strategy object was passed twice; make another for a second one")
    return found


def as_venues(
    venue: SimulatedVenue | Sequence[SimulatedVenue] | None, instruments: list[Instrument]
) -> list[SimulatedVenue]:
    """Return the simulated venues of some instruments, with names and balances filled in.

    Raises:
        ConfigError: If an instrument's venue has none.
    """
    names = sorted({instrument.venue for instrument in instruments})
    if venue is None:
        venues = [SimulatedVenue(name=name).for_instruments(instruments) for name in names]
    else:
        given: list[Any] = [venue]
        if isinstance(venue, Sequence) and not isinstance(venue, str):
            given = list(venue)
        for one in given:
            if not isinstance(one, SimulatedVenue):
                raise ConfigError(f"venue is a wb.SimulatedVenue, or a list of them; got {one!r}")
        venues = [one.for_instruments(instruments) for one in given]
    there = {str(one.name) for one in venues}
    missing = sorted(set(names) - there)
    if missing:
        raise ConfigError(
            f"no simulated venue for {', '.join(missing)}, the venue of your instruments; there is"
            f" {', '.join(sorted(there)) or 'none'}. Pass one SimulatedVenue for each venue"
        )
    unused = sorted(there - set(names))
    if unused or len(there) < len(venues):
        what = f"for {', '.join(unused)}, of which there is no instrument" if unused else "twice"
        raise ConfigError(f"a simulated venue was passed {what}; the venues are {', '.join(names)}")
    return venues


def as_shadows(
    shadow: bool | SimulatedVenue | Sequence[SimulatedVenue], instruments: list[Instrument]
) -> list[SimulatedVenue]:
    """Return what stands beside the venues of some instruments: nothing for False.

    Raises:
        ConfigError: If it is something else, or an instrument's venue has none.
    """
    if isinstance(shadow, bool):
        return as_venues(None, instruments) if shadow else []
    if not isinstance(shadow, (SimulatedVenue, Sequence)) or isinstance(shadow, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"shadow is True, False or a wb.SimulatedVenue(...); got {shadow!r}")
    return as_venues(shadow, instruments)


def sandbox(
    strategy: Actor | Sequence[Actor],
    data: Any = "auto",
    *,
    instrument: Instrument | Sequence[Instrument],
    venue: SimulatedVenue | Sequence[SimulatedVenue] | None = None,
    account: VenueAccount | None = None,
    shadow: bool | SimulatedVenue | Sequence[SimulatedVenue] = False,
    speed: float | None = None,
    on_exhausted: str = "stop",
    start: Any = None,
    end: Any = None,
    limits: RiskLimits | None = None,
    config: TradingNodeConfig | None = None,
) -> TradingNode:
    """Return a CREATED node with simulated fills.

    Args:
        strategy: A strategy object, or several.
        data: `"synthetic"` for a made-up market on the live clock; a data client factory such as
            `wb.Synthetic(...)`; or history, as `wb.backtest` takes it, which is replayed. `"auto"`
            is the account's market data, without an account the made-up market.
        instrument: The instrument, or several.
        venue: How fills are simulated; by default a margin account of 1,000,000.
        account: A real account that strategies may be promoted to. It is connected and reconciled
            as the node starts, and no order goes there before `node.promote(...)`.
        shadow: Whether, once orders go to the account, another simulated exchange runs beside it
            on the same orders, and how it is simulated; see `node.shadow()`.
        speed: Of a replay: how many times real speed; None for as fast as it is handled.
        on_exhausted: Of a replay: `"stop"` the node at the data's end, or `"idle"`.
        start: Of a replay: only data from then on; earlier data answers requests.
        end: Of a replay: only data before then.
        limits: What risk enforces, in place of those of the config.
        config: The node's settings; its clock is set to what the data needs.

    Raises:
        ConfigError: If an argument is not usable.
        DataError: If the data is not.
        CredentialsError: If the account's credentials are not in the environment or the keyring.

    >>> from workbench.model.instruments import CurrencyPair
    >>> pair = CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01")
    >>> node = sandbox(Actor(), instrument=pair)
    >>> node.state.value
    'CREATED'
    """
    instruments = as_instruments(instrument)
    # All of it before the node is made: one that could not be completed is never the latest node.
    strategies = as_strategies(strategy)
    venues = as_venues(venue, instruments)
    settings = as_settings(config, limits)
    shadows = as_shadows(shadow, instruments)
    if shadows and account is None:
        raise ConfigError("a shadow stands beside a real account: pass account=, or leave it out")
    if account is not None:
        account = _as_account(account).for_instruments(instruments)
        settings = msgspec.structs.replace(settings, journal=settings.journal or DEFAULT)
    data = _data(data, account)
    if isinstance(data, type):
        raise ConfigError(f"data is an object, such as {data.__name__}(...), not the class")
    factory = _factory(data, instruments, speed, on_exhausted, start, end)
    idle = None if on_exhausted == OnExhausted.STOP else on_exhausted
    _refuse_unused(data, factory, speed=speed, on_exhausted=idle, start=start, end=end)
    kind = ClockKind.SIMULATED if isinstance(factory, Replay) else ClockKind.LIVE
    node = TradingNode(msgspec.structs.replace(settings, clock=kind))
    node.add_data_client_factory(factory)
    for one in venues:
        node.add_exec_client_factory(Simulated(one, instruments))
    if account is not None:
        node.add_exec_client_factory(account, promotable=True)
    for one in shadows:
        node.add_shadow(one)
    for one in strategies:
        node.add_strategy(one)
    return node


def as_settings(config: TradingNodeConfig | None, limits: RiskLimits | None) -> TradingNodeConfig:
    """Return a node's settings, with these limits where there are any.

    Raises:
        ConfigError: If `config` is no `TradingNodeConfig`.
    """
    if config is not None and not isinstance(config, TradingNodeConfig):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"config is a wb.TradingNodeConfig(...); got {config!r}")
    settings = config or TradingNodeConfig()
    return settings if limits is None else msgspec.structs.replace(settings, limits=limits)


def _factory(
    data: Any,
    instruments: list[Instrument],
    speed: float | None,
    on_exhausted: str,
    start: Any,
    end: Any,
) -> Any:
    if isinstance(data, str) and data == "synthetic":
        return Synthetic(instruments)
    if isinstance(data, (Synthetic, Replay)) or callable(data):
        return data
    return Replay(data, instruments, speed=speed, on_exhausted=on_exhausted, start=start, end=end)


def _data(data: Any, account: VenueAccount | None) -> Any:
    if isinstance(data, str) and data == "auto":
        return "synthetic" if account is None else account.data()
    if account is not None and (isinstance(data, (Replay, Synthetic)) or not callable(data)):
        raise ConfigError(
            "a replay or a made-up market promotes nothing: leave account= out, or data= for the"
            f" account's own market data; got data={type(data).__name__}"
        )
    return data


def _as_account(account: VenueAccount) -> VenueAccount:
    if not isinstance(account, VenueAccount):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(
            "account is a real account, such as wb.VenueAccount('ccxt', 'BINANCE-001',"
            f" exchange='binance'); got {account!r}"
        )
    account.credentials()  # refused now, not when it connects
    return account


def _refuse_unused(data: Any, factory: Any, **of_replay: Any) -> None:
    """Refuse what only a replay of history made here would heed."""
    given = [name for name, value in of_replay.items() if value is not None]
    if given and (factory is data or isinstance(factory, Synthetic)):
        what = "wb.Replay(...) has its own" if isinstance(data, Replay) else "this data has none"
        raise ConfigError(
            f"{', '.join(given)}= is for history that is replayed as data=...; {what}"
        )

"""Factories of a node's clients: `VenueData` for market data, `VenueAccount` for orders.

They are what a set-up is given in place of a replay or a simulated exchange; whichever venue it is,
the node sees a `DataClient` and an `ExecutionClient`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from workbench.engines.clients import DataClient, ExecutionClient
from workbench.model.errors import ConfigError
from workbench.model.identifiers import AccountId, InstrumentId, parse_instrument_id, parse_name
from workbench.model.instruments import Instrument
from workbench.runtime.clock import Clock, LiveClock
from workbench.runtime.senders import get_data_event_sender, get_exec_event_sender
from workbench.venues.connection import LinkSettings
from workbench.venues.contract import BrokerContext, DataContext, DataEndpoints, EndpointKind
from workbench.venues.data_client import VenueDataClient
from workbench.venues.execution_client import VenueExecutionClient
from workbench.venues.loader import as_plugin
from workbench.venues.order_entry import Durable, ExecutionSettings
from workbench.venues.plugin import VenuePlugin
from workbench.venues.secrets import Credentials, KeyringLookup, read_credentials

_S = TypeVar("_S", LinkSettings, ExecutionSettings)


class HasClock(Protocol):
    """What `VenueData` needs of a node's build context."""

    @property
    def clock(self) -> Clock:
        """Return the node's clock."""
        ...


class HasJournal(HasClock, Protocol):
    """What `VenueAccount` needs of it."""

    @property
    def journal(self) -> Callable[[AccountId], Durable] | None:
        """Return what gives an account's way to the journal; None where there is none."""
        ...


class VenueData:
    """A factory of a data client over a venue plug-in; needs no credentials.

    Args:
        venue: The plug-in's name; `wb.venues()` lists them.
        instruments: What is loaded, as ids; everything the venue has, if empty.
        name: The client's name; the venue's by default.
        settings: How its connection waits: `wb.LinkSettings(...)`.
        **options: What the plug-in takes, such as `exchange="binance"`.

    Raises:
        VenueError: If there is no such plug-in, or it has no market data.
        ConfigError: If an option is wrong.
    """

    def __init__(
        self,
        venue: str | VenuePlugin,
        *,
        instruments: Sequence[str] = (),
        name: str = "",
        settings: LinkSettings | None = None,
        **options: Any,
    ) -> None:
        self.plugin = as_plugin(venue)
        self.plugin.check_options(EndpointKind.DATAD, options)
        self.instrument_ids = _instrument_ids(instruments)
        self._name = parse_name(name, "a client's name") if name else ""
        self._settings = _checked(settings, LinkSettings)
        self._options = options

    def _endpoints(self, clock: Clock) -> DataEndpoints:
        make = self.plugin.endpoint_class(EndpointKind.DATAD)
        return make(DataContext(clock.timestamp_ns), **self._options)

    def __call__(self, context: HasClock) -> DataClient:
        """Return the client.

        Raises:
            ConfigError: If the node's clock is simulated.
        """
        _check_live(context.clock)
        return VenueDataClient(
            self.plugin,
            self._endpoints(context.clock),
            context.clock,
            get_data_event_sender().send,
            instrument_ids=self.instrument_ids,
            client_id=self._name,
            settings=self._settings,
        )

    async def instruments(self, *instrument_ids: str) -> list[Instrument]:
        """Return the venue's definitions of instruments, by a connection for just this.

        `pair, = await wb.VenueData("ccxt", exchange="binance").instruments("BTC/USDT.BINANCE")`.

        Raises:
            ClientError: If it has no such instrument.
        """
        clock = LiveClock(lambda _: None)
        client = VenueDataClient(
            self.plugin,
            self._endpoints(clock),
            clock,
            lambda _: None,
            instrument_ids=_instrument_ids(instrument_ids),
            settings=self._settings,
        )
        await client.connect()
        try:
            return await client.load_instruments(_instrument_ids(instrument_ids))
        finally:
            await client.disconnect()

    def __repr__(self) -> str:
        """Return the plug-in and its options."""
        return f"VenueData({_shown(self.plugin, self._options)})"


class VenueAccount:
    """A factory of an execution client over a venue plug-in, for one account.

    Credentials come from the environment or the keyring (see `workbench.venues.secrets`), and are
    read when the client is made.

    Args:
        venue: The plug-in's name; `wb.venues()` lists them.
        account: The account's name, such as `"BINANCE-001"`; credentials are kept under it.
        instruments: What is looked at when orders and fills are asked for, as ids.
        name: The client's name; the account's by default.
        settings: How it waits, and what it looks at by itself and how often:
            `wb.ExecutionSettings(check_interval_s=60.0)`.
        **options: What the plug-in takes, such as `exchange="binance"`.

    Raises:
        VenueError: If there is no such plug-in, or it has no orders.
        ConfigError: If an option is wrong.
    """

    is_simulated = False

    def __init__(
        self,
        venue: str | VenuePlugin,
        account: str,
        *,
        instruments: Sequence[str] = (),
        name: str = "",
        settings: ExecutionSettings | None = None,
        **options: Any,
    ) -> None:
        self.plugin = as_plugin(venue)
        self.plugin.check_options(EndpointKind.BROKERD, options)
        self.account_id = AccountId(parse_name(account, "account"))
        self.instrument_ids = _instrument_ids(instruments)
        self._name = parse_name(name, "a client's name") if name else ""
        self._settings = _checked(settings, ExecutionSettings)
        self._options = options

    def credentials(
        self, environ: Mapping[str, str] | None = None, lookup: KeyringLookup | None = None
    ) -> Credentials:
        """Read the account's credentials.

        Raises:
            CredentialsError: Naming what is missing, and where it was looked for.
        """
        return read_credentials(
            self.account_id,
            self.plugin.credentials,
            self.plugin.optional_credentials,
            environ,
            lookup,
        )

    def for_instruments(self, instruments: Sequence[Instrument]) -> VenueAccount:
        """Take these instruments where none were named."""
        if not self.instrument_ids:
            self.instrument_ids = tuple(instrument.id for instrument in instruments)
        return self

    def data(self, **changed: Any) -> VenueData:
        """Return market data of the same plug-in, with those of these options that it takes."""
        known = self.plugin.options(EndpointKind.DATAD)
        shared = {k: v for k, v in self._options.items() if known is None or k in known}
        return VenueData(self.plugin, instruments=self.instrument_ids, **{**shared, **changed})

    def __call__(self, context: HasJournal) -> ExecutionClient:
        """Return the client.

        Raises:
            ConfigError: If the node's clock is simulated.
            CredentialsError: If credentials are missing.
        """
        _check_live(context.clock)
        make = self.plugin.endpoint_class(EndpointKind.BROKERD)
        brokerd = make(
            BrokerContext(context.clock.timestamp_ns, self.account_id, self.credentials()),
            **self._options,
        )
        return VenueExecutionClient(
            self.plugin,
            brokerd,
            self.account_id,
            context.clock,
            get_exec_event_sender().send,
            instrument_ids=self.instrument_ids,
            client_id=self._name,
            journal=None if context.journal is None else context.journal(self.account_id),
            settings=self._settings,
        )

    def __repr__(self) -> str:
        """Return the plug-in, the account and the options; no credentials."""
        return f"VenueAccount({_shown(self.plugin, {'account': self.account_id} | self._options)})"


def _checked(settings: Any, kind: type[_S]) -> _S | None:
    if settings is not None and not isinstance(settings, kind):
        raise ConfigError(f"settings is wb.{kind.__name__}(...); got {settings!r}")
    return settings


def _instrument_ids(given: Sequence[str]) -> tuple[InstrumentId, ...]:
    if isinstance(given, str):
        raise ConfigError(f"instruments is a list of ids, such as ['{given}']; got {given!r}")
    return tuple(parse_instrument_id(one) for one in given)


def _check_live(clock: Clock) -> None:
    if not isinstance(clock, LiveClock):
        raise ConfigError(
            "a venue keeps real time: build the node with TradingNodeConfig(clock='live')"
        )


def _shown(plugin: VenuePlugin, options: Mapping[str, Any]) -> str:
    parts = [repr(plugin.name)]
    for name, value in options.items():
        is_plain = isinstance(value, (str, int, float, bool, msgspec.Struct))
        parts.append(f"{name}={value!r}" if is_plain else f"{name}=<{type(value).__name__}>")
    return ", ".join(parts)

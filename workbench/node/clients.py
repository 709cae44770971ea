"""What a client factory gets when a node is built, and the factories that come with workbench."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from workbench.engines.clients import DataClient, ExecutionClient
from workbench.history import Moment, Timeline, load
from workbench.model.errors import ConfigError
from workbench.model.identifiers import AccountId
from workbench.model.instruments import Instrument
from workbench.runtime.channels import Channels
from workbench.runtime.clock import Clock, SimulatedClock
from workbench.runtime.senders import Senders, get_exec_event_sender
from workbench.sim import (
    OnExhausted,
    Pacing,
    ReplayDataClient,
    SimulatedExchange,
    SimulatedExecutionClient,
    SimulatedVenue,
)
from workbench.venues.order_entry import Durable


@dataclass(frozen=True)
class BuildContext:
    """What a client is made with. The runner's senders are bound while a factory runs.

    Attributes:
        clock: The node's clock.
        channels: Its channels; a client looks at depths, and puts through its senders.
        senders: Their sending halves.
        see_data: Registers what sees each data event before the data engine does.
        shutdown: Asks the node to stop, with a reason.
        journal: Returns where the client of an account writes down what it sends and receives;
            None where the node has no journal.
    """

    clock: Clock
    channels: Channels
    senders: Senders
    see_data: Callable[[Callable[[Any], None]], None]
    shutdown: Callable[[str], None]
    journal: Callable[[AccountId], Durable] | None = None


class DataClientFactory(Protocol):
    """Makes a data client when a node is built."""

    def __call__(self, context: BuildContext) -> DataClient:
        """Return a new client."""
        ...


class ExecClientFactory(Protocol):
    """Makes an execution client when a node is built."""

    def __call__(self, context: BuildContext) -> ExecutionClient:
        """Return a new client."""
        ...


class Replay:
    """A factory of a data client that replays history into a node with a simulated clock.

    Args:
        data: Anything `wb.backtest` takes as data.
        instrument: The instrument, or a list of them.
        speed: How many times real speed; None for as fast as it is handled.
        on_exhausted: `"stop"` the node when the data is at its end, or `"idle"`.
        start: Only data from then on is replayed; earlier data answers requests.
        end: Only data before then.

    Raises:
        DataError: If the data cannot be used.
    """

    def __init__(
        self,
        data: Any,
        instrument: Instrument | Sequence[Instrument],
        *,
        speed: float | None = None,
        on_exhausted: str = "stop",
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> None:
        self.instruments = as_instruments(instrument)
        self.timeline = Timeline(load(data, self.instruments), start, end)
        self._pacing = Pacing(speed, _on_exhausted(on_exhausted), asyncio.sleep, time.monotonic)

    def __call__(self, context: BuildContext) -> DataClient:
        """Return the client, with the clock at the first event.

        Raises:
            ConfigError: If the node's clock is not simulated.
        """
        clock = context.clock
        if not isinstance(clock, SimulatedClock):
            raise ConfigError(
                "a replay drives the node's clock: build the node with"
                " TradingNodeConfig(clock='simulated')"
            )
        clock.advance(self.timeline.first_ts)
        return ReplayDataClient(
            self.timeline,
            self.instruments,
            clock,
            context.channels.data_events,
            self._pacing,
            context.shutdown,
        )

    def __repr__(self) -> str:
        """Return what is replayed."""
        return f"Replay({self.timeline!r}, speed={self._pacing.speed})"


class Simulated:
    """A factory of an execution client with simulated fills.

    Args:
        venue: How the venue is simulated.
        instruments: What it lists; more may come from the data client.
    """

    is_simulated = True

    def __init__(self, venue: SimulatedVenue, instruments: Sequence[Instrument]) -> None:
        self.venue = venue.for_instruments(list(instruments))

    def __call__(self, context: BuildContext) -> ExecutionClient:
        """Return the client of a new exchange, which sees data before the data engine does."""
        send = get_exec_event_sender().send
        exchange = SimulatedExchange(self.venue, context.clock, send)
        context.see_data(exchange.process)
        return SimulatedExecutionClient(exchange, context.clock, send)

    def __repr__(self) -> str:
        """Return the venue."""
        return f"Simulated({self.venue.name})"


def _on_exhausted(value: str) -> OnExhausted:
    try:
        return OnExhausted(value)
    except ValueError:
        raise ConfigError(f"on_exhausted must be 'stop' or 'idle'; got {value!r}") from None


def as_instruments(instrument: Instrument | Sequence[Instrument]) -> list[Instrument]:
    """Return one or several instruments as a list.

    Raises:
        ConfigError: If something else was passed.
    """
    found: list[Any] = [instrument]
    if isinstance(instrument, Iterable) and not isinstance(instrument, str):
        found = list(instrument)
    for one in found:
        if not isinstance(one, Instrument):
            raise ConfigError(
                "instrument is a definition such as wb.CurrencyPair.define('BTC/USDT.BINANCE'), or"
                f" a list of them; got {one!r}"
            )
    if not found:
        raise ConfigError("pass at least one instrument")
    ids = [one.id for one in found]
    if len(set(ids)) < len(ids):
        raise ConfigError(f"each instrument is passed once; got {', '.join(ids)}")
    return found

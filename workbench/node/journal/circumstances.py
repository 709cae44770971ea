"""What else the course of a run depends on, beside the messages that were handled.

A core does the same thing where it gets the same messages in the same order; these records hold
what it gets by other ways, so that a run can be followed again. Beside these payloads the kind
`circumstance` holds messages as they are: a trading or data command, or a denial, that came from
outside (from a cell, say), and a `DataResponse` that a data client gave at once. All carry the
number of the message that was handled last.
"""

from __future__ import annotations

import msgspec

from workbench.engines.capabilities import ALL_CAPABILITIES, Capabilities
from workbench.model.commands import DataKind
from workbench.model.data import BarType
from workbench.model.enums import TradingState
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    ComponentId,
    InstrumentId,
    StrategyId,
    Venue,
)
from workbench.sim.session import TradingSession


class FoundDataClient(msgspec.Struct, frozen=True, kw_only=True):
    """A data client; `venues` is None for one that serves any."""

    client_id: ClientId
    venues: tuple[Venue, ...] | None = None


class FoundExecutionClient(msgspec.Struct, frozen=True, kw_only=True):
    """What an execution client can do; `session` says when its days end where that is not 00:00."""

    client_id: ClientId
    capabilities: Capabilities = ALL_CAPABILITIES
    session: TradingSession | None = None


class StageSet(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What strategies find when they start, beside what was handled by then."""

    data_clients: tuple[FoundDataClient, ...] = ()
    execution_clients: tuple[FoundExecutionClient, ...] = ()
    trading_state: TradingState = TradingState.ACTIVE


class StrategyStarted(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A strategy or actor is about to start.

    Attributes:
        strategy_id: Its name in the node.
        class_name: Its class.
        fingerprint: Of its class's code, in short.
        parts: A short hash of each part of that code, by name; empty in older records, whose
            fingerprints were made in another way.
        parameters: Its parameters as text.
        trades: Whether it is a strategy, not an actor.
        requests: How many requests there were before.
    """

    strategy_id: ComponentId
    class_name: str
    fingerprint: str
    parts: dict[str, str] = {}
    parameters: dict[str, str] = {}
    trades: bool = True
    requests: int = 0


class StrategyStopping(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A strategy or actor is about to stop."""

    strategy_id: ComponentId


class StrategiesStopped(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All have stopped; nothing that grows leaves any more."""


class ClientServes(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a data client answered when it was asked whether it has such data; told when it is new.

    The fields are those of `DataClient.serves`.
    """

    client_id: ClientId
    kind: DataKind
    instrument_id: InstrumentId
    bar_type: BarType | None = None
    topic: str = ""
    answer: bool


class ClientBars(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The bars of an instrument that a data client has; told when they are new."""

    client_id: ClientId
    instrument_id: InstrumentId
    bar_types: tuple[BarType, ...]


class PriceFresh(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An instrument that was stale since a stall of the loop has a fresh price."""

    instrument_id: InstrumentId


class RecordedRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Where the orders of a strategy at a venue go; `code` and `reason` where they are denied."""

    strategy_id: StrategyId
    venue: Venue
    account_id: AccountId | None = None
    code: str = ""
    reason: str = ""


class RoutesSet(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """All routes there are from now on, and the accounts that nobody trades without one."""

    routes: tuple[RecordedRoute, ...] = ()
    guarded: tuple[AccountId, ...] = ()


class IdsTaken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """So many ids were taken by now: of a strategy's orders; of requests where it is empty."""

    strategy_id: ComponentId
    count: int


class CalledFromOutside(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something was called between two messages whose effect on a strategy is not recorded."""

    what: str


class Killed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """KILL came; it may strike in the middle of the message that is being handled."""


CIRCUMSTANCES: tuple[type[msgspec.Struct], ...] = (
    StageSet,
    StrategyStarted,
    StrategyStopping,
    StrategiesStopped,
    ClientServes,
    ClientBars,
    PriceFresh,
    RoutesSet,
    IdsTaken,
    CalledFromOutside,
    Killed,
)
"""The payloads of the kind `circumstance` that are no messages of the core."""

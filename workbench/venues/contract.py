"""The contract: which endpoints a venue's plug-in has, what each takes and what it returns.

A plug-in has one class for market data (`datad`, see `DataEndpoints`) and one for orders
(`brokerd`, see `BrokerEndpoints`). They are plain classes: nothing need be inherited. What they
lack, or have with other parameters, is told by name when the plug-in is first used
(`check_endpoints`). The tables `ENDPOINTS` are read off the two protocols here, so that the text
below is all there is.

**Threads.** Endpoints are awaited on the node's loop, and sinks are called there.

**Time** is integer nanoseconds, UTC. Take it from the context's `clock_ns`, never from the system.

**Errors.** `VenueRejectedError` and `NotSentError` (`workbench.venues.errors`) say what is certain;
any other exception leaves the outcome of an order command unknown, and it will be asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, cast

import msgspec

from workbench.model.commands import DataKind
from workbench.model.data import Bar, BarType, Quote, Trade
from workbench.model.enums import OrderSide, OrderType
from workbench.model.events import AccountState, OrderInitialized
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    VenueOrderId,
)
from workbench.model.instruments import Instrument
from workbench.model.reports import ExecutionReport, FillReport, OrderStatusReport, PositionReport
from workbench.venues.errors import PluginError
from workbench.venues.secrets import Credentials

# What endpoints are given


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """Which market data to send; `bar_type` is for bars, `topic` for custom data."""

    kind: DataKind
    instrument_id: InstrumentId
    bar_type: BarType | None = None
    topic: str = ""

    def __str__(self) -> str:
        """Return what it is of."""
        return f"{self.kind.value} of {self.bar_type or self.instrument_id or self.topic}"


class HistoryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which stored data to return: `start <= ts_event < end`, the newest `limit`.

    A bound that is None does not bound. What a venue returns beyond it is cut off by the caller.
    """

    kind: DataKind
    instrument_id: InstrumentId
    bar_type: BarType | None = None
    start: int | None = None
    end: int | None = None
    limit: int | None = None


class SymbolMatch(msgspec.Struct, frozen=True):
    """An instrument that a search found."""

    instrument_id: InstrumentId
    description: str = ""


class OrderTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The order that a cancel is for, by our id and, where it is known, the venue's."""

    instrument_id: InstrumentId
    client_order_id: ClientOrderId
    venue_order_id: VenueOrderId | None = None


class OrderChange(OrderTarget, frozen=True, kw_only=True):
    """What an order shall be like: all its terms, changed or not.

    Attributes:
        side: As it is.
        order_type: As it is.
        quantity: In all, what has filled already among it.
        filled_quantity: What is known to have filled.
        price: None for an order without a limit.
        trigger_price: None for an order without a trigger.
    """

    side: OrderSide
    order_type: OrderType
    quantity: Decimal
    filled_quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None


class OrderQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders to report: one, by its ids, or all that are open.

    Attributes:
        client_order_id: The one order that is asked for, whatever became of it.
        venue_order_id: The same by the venue's id, where it is known; alone where only that is.
        instrument_ids: The instruments to look in; empty for all, where the venue can do that.
    """

    client_order_id: ClientOrderId | None = None
    venue_order_id: VenueOrderId | None = None
    instrument_ids: tuple[InstrumentId, ...] = ()


class FillQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which fills to report, those of `since_ns` and later.

    Attributes:
        instrument_ids: The instruments to look in.
        since_ns: None for as far back as is convenient.
        client_order_id: Only those of this order; more may be returned.
        venue_order_id: The same by the venue's id, where it is known.
    """

    instrument_ids: tuple[InstrumentId, ...] = ()
    since_ns: int | None = None
    client_order_id: ClientOrderId | None = None
    venue_order_id: VenueOrderId | None = None


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue lets an account's credentials do; None where it does not say."""

    may_trade: bool | None = None
    may_withdraw: bool | None = None


# What endpoints are made with, and call back


@dataclass(frozen=True)
class DataContext:
    """What a `datad` is made with, before its options.

    Attributes:
        clock_ns: The node's time, for `ts_init`.
    """

    clock_ns: Callable[[], int]


@dataclass(frozen=True)
class BrokerContext:
    """What a `brokerd` is made with, before its options.

    Attributes:
        clock_ns: The node's time, for `ts_init`.
        account_id: The account, for every report.
        credentials: What the plug-in said it needs: `context.credentials["api_key"].reveal()`.
    """

    clock_ns: Callable[[], int]
    account_id: AccountId
    credentials: Credentials


class DataSink(Protocol):
    """Where a `datad` puts what comes. One that is connected anew gets a new one."""

    def data(self, message: Any) -> None:
        """Take a quote, trade, bar, mark price, ..., or an instrument that changed."""
        ...

    def alive(self) -> None:
        """Note that the connection lives: call it for heartbeats. `data` does so too."""
        ...

    def lost(self, reason: str) -> None:
        """Take note that the connection broke: `disconnect` is called, then `connect` again."""
        ...

    def gap(self, reason: str) -> None:
        """Take note that messages are missing though the connection lives (again)."""
        ...


class BrokerSink(Protocol):
    """Where a `brokerd` puts what comes. One that is connected anew gets a new one."""

    def report(self, report: ExecutionReport | AccountState) -> None:
        """Take an order's new state, a fill, a position or the account.

        Duplicates and late ones do no harm. A fill is known by instrument and trade id; report it
        whichever way it came.
        """
        ...

    def alive(self) -> None:
        """Note that the connection lives: call it for heartbeats. `report` does so too."""
        ...

    def lost(self, reason: str) -> None:
        """Take note that the connection broke: `disconnect` is called, then `connect` again."""
        ...

    def gap(self, reason: str) -> None:
        """Take note that reports may be missing: all of them are asked for."""
        ...


class DataEndpoints(Protocol):
    """Market data: `datad`. It is made as `datad(context, **options)` and needs no credentials.

    Making one does no I/O and imports nothing heavy. What differs by option may be said by
    attributes of these names, in place of those of the plug-in: `data_kinds`, `bars`,
    `silence_s`.

    Attributes:
        venue: The venue's name in instrument ids.
    """

    venue: str

    async def connect(self, sink: DataSink) -> None:
        """Connect. What `subscribe` asks for comes to the sink from then on."""
        ...

    async def disconnect(self) -> None:
        """Close everything. Called also when `connect` failed, and more than once."""
        ...

    async def load_instruments(self, instrument_ids: Sequence[InstrumentId]) -> list[Instrument]:
        """Return these instruments, all there are for none given; leave out what is unknown."""
        ...

    async def subscribe(self, subscription: Subscription) -> None:
        """Begin to send. Called again for each subscription after a new `connect`."""
        ...

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Stop sending."""
        ...

    async def request_history(self, request: HistoryRequest) -> Sequence[Quote | Trade | Bar]:
        """Return stored data, fetched in as many pages as it takes."""
        ...

    async def search_symbols(self, text: str, limit: int) -> list[SymbolMatch]:
        """Return instruments that a text may mean, the likeliest first."""
        ...

    async def server_time(self) -> int:
        """Return the venue's time, nanoseconds."""
        ...

    async def ping(self) -> None:
        """Ask the venue for a sign of life on the connection that data comes by."""
        ...


class BrokerEndpoints(Protocol):
    """Orders: `brokerd`. It is made as `brokerd(context, **options)`.

    Making one does no I/O and imports nothing heavy. What differs by option may be said by
    attributes of these names, in place of those of the plug-in: `capabilities`, `rate_limits`,
    `silence_s`, `submit_expiry_s`.

    Attributes:
        venue: The venue's name in instrument ids.
    """

    venue: str

    async def connect(self, sink: BrokerSink) -> None:
        """Connect, log in, and send what happens to the account from now on to the sink."""
        ...

    async def disconnect(self) -> None:
        """Close everything. Called also when `connect` failed, and more than once."""
        ...

    async def submit(self, order: OrderInitialized) -> OrderStatusReport | None:
        """Send an order under its `client_order_id`, once: never try again by yourself.

        Returns:
            The order as the venue has it now, or None where only the sink will tell.

        Raises:
            VenueRejectedError: The venue refused it.
            NotSentError: It did not leave.
        """
        ...

    async def cancel(self, target: OrderTarget) -> OrderStatusReport | None:
        """Cancel an order; returns and raises as `submit`.

        Raises:
            OrderNotFoundError: The venue has no such open order.
        """
        ...

    async def order_status_reports(self, query: OrderQuery) -> list[OrderStatusReport]:
        """Return what was asked for as the venue has it now.

        An empty answer to a query for one order says that the venue does not know it.
        """
        ...

    async def fill_reports(self, query: FillQuery) -> list[FillReport]:
        """Return fills, in any order."""
        ...

    async def account_state(self) -> AccountState:
        """Return the account's balances."""
        ...

    async def modify(self, change: OrderChange) -> OrderStatusReport | None:
        """Change a resting order; when it returns, the order has these terms.

        Where a venue can only cancel and make anew, do so here, and report what follows under the
        order's own `client_order_id`, with the venue's new id, and with quantities of the whole
        order.
        """
        ...

    async def cancel_all(self, instrument_id: InstrumentId) -> None:
        """Cancel every open order of the account in an instrument, whoever sent it."""
        ...

    async def position_reports(self) -> list[PositionReport]:
        """Return the net positions that are not flat."""
        ...

    async def permissions(self) -> Permissions:
        """Return what the credentials may do."""
        ...

    async def server_time(self) -> int:
        """Return the venue's time, nanoseconds."""
        ...

    async def ping(self) -> None:
        """Ask the venue for a sign of life on the connection that reports come by."""
        ...


# The tables


class EndpointKind(StrEnum):
    """What a set of endpoints is for."""

    DATAD = "datad"
    BROKERD = "brokerd"


class Endpoint(msgspec.Struct, frozen=True):
    """One row of a table.

    Attributes:
        name: The method's name.
        is_required: Whether a plug-in without it is refused.
        parameters: The names of what it takes, in order.
        returns: What it returns, as written.
        summary: What it does.
    """

    name: str
    is_required: bool
    parameters: tuple[str, ...]
    returns: str
    summary: str


_OPTIONAL = frozenset(
    {
        "cancel_all",
        "modify",
        "permissions",
        "ping",
        "position_reports",
        "request_history",
        "search_symbols",
        "server_time",
    }
)


def _table(protocol: type) -> Mapping[str, Endpoint]:
    rows: dict[str, Endpoint] = {}
    for name, function in vars(protocol).items():
        if name.startswith("_") or not inspect.iscoroutinefunction(function):
            continue
        signature = inspect.signature(function)
        rows[name] = Endpoint(
            name,
            name not in _OPTIONAL,
            tuple(signature.parameters)[1:],
            str(signature.return_annotation),
            (inspect.getdoc(function) or "").partition("\n")[0],
        )
    return MappingProxyType(rows)


ENDPOINTS: Mapping[EndpointKind, Mapping[str, Endpoint]] = MappingProxyType(
    {
        EndpointKind.DATAD: _table(DataEndpoints),
        EndpointKind.BROKERD: _table(BrokerEndpoints),
    }
)
"""By kind, the endpoints by name, in the order they are documented."""


def check_endpoints(plugin: str, kind: EndpointKind, endpoints: object) -> frozenset[str]:
    """Check an object, or the class of one, against its table.

    Args:
        plugin: The plug-in's name, for the error.
        kind: Which table.
        endpoints: What has the endpoints.

    Returns:
        The names of the optional endpoints it has not.

    Raises:
        PluginError: Naming each endpoint that is missing, not async, or takes other parameters.
    """
    problems: list[str] = []
    unsupported: set[str] = set()
    for name, endpoint in ENDPOINTS[kind].items():
        method: Any = getattr(endpoints, name, None)
        if method is None:
            if endpoint.is_required:
                problems.append(f"{name} is missing")
            else:
                unsupported.add(name)
            continue
        problem = _unfit(endpoint, method, drops_self=inspect.isclass(endpoints))
        if problem:
            problems.append(problem)
    if problems:
        where = endpoints if inspect.isclass(endpoints) else cast("type[Any]", type(endpoints))
        raise PluginError(
            f"venue plug-in {plugin!r}: its {kind.value}, {where.__module__}.{where.__qualname__},"
            f" does not keep the contract: {'; '.join(problems)}. See workbench.venues.contract"
        )
    return frozenset(unsupported)


def _unfit(endpoint: Endpoint, method: Any, *, drops_self: bool) -> str:
    """Return what is wrong with an endpoint's method; "" for nothing."""
    name, wanted = endpoint.name, endpoint.parameters
    if not callable(method):
        return f"{name} is no method but {method!r}"
    if not inspect.iscoroutinefunction(inspect.unwrap(method)):
        return f"{name} is not async"
    given = list(inspect.signature(method).parameters.values())[1 if drops_self else 0 :]
    positional = [p for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes = tuple(p.name for p in positional[: len(wanted)])
    beyond = [p for p in given if p.name not in takes and p.default is p.empty]
    needed = [p for p in beyond if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if takes == wanted and not needed:
        return ""
    found = ", ".join(str(p) for p in given)
    return f"{name} must take ({', '.join(wanted)}); it takes ({found})"

"""A node's journal: opened when it is built, written while it runs, closed when it has stopped.

What is done on the node's loop is appending, which waits for nothing. What has to wait for a disk
is done in other threads, but for the one reading at `build()`, before anything runs.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec

from workbench.engines.clients import DataClient, ExecutionClient
from workbench.engines.emulation_needs import is_taken_apart
from workbench.model.commands import SubmitOrder, SubmitOrderList
from workbench.model.enums import OrderStatus
from workbench.model.errors import ConfigError
from workbench.model.events import (
    AccountState,
    OrderInitialized,
    OrderRejected,
    OrderSubmitted,
    about,
)
from workbench.model.identifiers import AccountId, ClientOrderId
from workbench.model.orders import Order
from workbench.node.circumstances import Circumstances
from workbench.node.config import TradingNodeConfig
from workbench.node.faults import describe
from workbench.node.journal import (
    ExceptionRaised,
    HistoryPurged,
    Journal,
    JournalError,
    JournalKind,
    JournalState,
    Lease,
    LeaseError,
    Leases,
    Recorder,
    TradedAccount,
)
from workbench.node.journal.folding import FOLDED, starts_of
from workbench.node.journal.taking_over import take_over_books
from workbench.node.reconciliation import REFUSALS
from workbench.node.user_data import journal_path, leases_path
from workbench.runtime.clock import Clock, LiveClock
from workbench.sim.client import SimulatedExecutionClient
from workbench.sim.restoring import Left, restore
from workbench.trading.core import TradingCore
from workbench.venues.execution_client import VenueExecutionClient
from workbench.venues.secrets import redact

_log = logging.getLogger(__name__)
_LOOK_S = 0.25
_FLUSH_S = 2.0
_FILL_OVERLAP_NS = 60_000_000_000
_SUBMITS = ("SubmitOrder", "SubmitOrderList")


class OpenJournal(Protocol):
    """Opens a journal for writing; `Journal.open` does."""

    def __call__(
        self, path: Path, trader_id: str, clock: Clock, *, redact: Callable[[str], str]
    ) -> Journal:
        """Return the journal."""
        ...


class AccountJournal:
    """What an execution client writes down first: an account's way to the journal.

    Nothing leaves without being durable, or without the account's lease, but cancels: what sends
    them (`workbench.venues.outbox`) lets them leave whatever `durable` raises.

    Args:
        journal: Where to.
    """

    def __init__(self, journal: Journal) -> None:
        self.lease: Lease | None = None
        self._journal = journal

    def append(self, kind: str, payload: msgspec.Struct) -> int:
        """Write something down; return its sequence at once."""
        return self._journal.append(kind, payload)

    async def durable(self, sequence: int) -> None:
        """Return when what has this sequence may have its effect.

        Raises:
            JournalError: If it cannot be written.
            LeaseError: If the account may be traded no longer.
        """
        await self._journal.durable(sequence)
        lease = self.lease
        if lease is not None and not lease.may_send:
            raise LeaseError(str(lease.lost or f"{lease!r}; somebody else may trade it by now"))


class Journaling:
    """What a node does with its journal.

    Args:
        journal: The journal, open.
        config: The node's settings.
        owner: The node's name, for others that want to trade the same account.

    Attributes:
        journal: The journal.
        run_tag: Of the run's client order ids.
        state: What the journal knew before the run; None where nothing goes on.
        circumstances: Records what else verifying a run needs; None where it records no data.
    """

    def __init__(self, journal: Journal, config: TradingNodeConfig, owner: str) -> None:
        self.journal = journal
        self.run_tag = ""
        self.state: JournalState | None = None
        self.circumstances: Circumstances | None = None
        self._config = config
        self._owner = owner
        self._recorder = Recorder(journal, records_data=config.journal_data)
        self._ports: dict[AccountId, AccountJournal] = {}
        self._leases: list[Lease] = []
        self._core: TradingCore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_trouble: Callable[[BaseException], None] = _ignore
        self._has_begun = False
        self._is_closed = False

    @staticmethod
    def open(
        config: TradingNodeConfig, clock: Clock, owner: str, opener: OpenJournal
    ) -> Journaling | None:
        """Open the journal that a node's settings name; None where they name none.

        Raises:
            JournalError: If it cannot be opened, above all if another node writes it.
        """
        path = journal_path(config)
        if path is None:
            return None
        return Journaling(opener(path, config.trader_id, clock, redact=redact), config, owner)

    def port(self, account_id: AccountId) -> AccountJournal:
        """Return what the client of an account writes to."""
        return self._ports.setdefault(account_id, AccountJournal(self.journal))

    # Before actors are added

    def attach(self, core: TradingCore) -> None:
        """Take the core whose run it will be, before it has clients."""
        if self._config.journal_data:
            self.circumstances = Circumstances(self.journal, core)

    def heard(self, client: DataClient) -> DataClient:
        """Return what takes a data client's place in the core."""
        return client if self.circumstances is None else self.circumstances.heard(client)

    def take_over(self, core: TradingCore, start_ns: int) -> None:
        """Give a core the state that earlier runs left, and a tag that none of them had.

        Of simulated accounts only on the live clock: a replay begins anew.

        Raises:
            JournalError: If the journal cannot be read.
            ConfigError: If an account was of another kind before.
        """
        self._core = core
        self.run_tag = self.journal.unused_run_tag(start_ns)
        if not isinstance(core.clock, LiveClock):
            return
        # Once through all records for what was sent where, once for the books: not twice for these.
        state = self.state = JournalState(starts_of(self.journal.messages(JournalKind.RUN)))
        state.look_through(self.journal.messages(FOLDED))
        clients = core.execution.clients
        for client in clients:
            _check_kind(state, client)
        fills = take_over_books(
            core,
            state,
            self.journal.messages(FOLDED),
            allow_overfills=self._config.allow_overfills,
            align_positions=self._config.align_positions,
        )
        state.take_books(core.cache, core.portfolio, fills)
        for client in clients:
            if isinstance(client, VenueExecutionClient):
                client.fills_since_ns = self._fills_since(state, client.account_id)
            elif isinstance(client, SimulatedExecutionClient):
                self._restore_exchange(client, core, state)

    def _restore_exchange(
        self, client: SimulatedExecutionClient, core: TradingCore, state: JournalState
    ) -> None:
        """Let a simulated exchange go on where the one of the last run ended."""
        account_id = client.account_id
        if account_id not in state.account_ids:
            return
        states: list[AccountState] = []
        definitions: dict[ClientOrderId, OrderInitialized] = {}
        kinds = (JournalKind.EVENT, JournalKind.COMMAND)
        for record in self.journal.messages(kinds, types=("AccountState", "SubmitOrderList")):
            message = record.message
            if isinstance(message, SubmitOrderList):
                if not is_taken_apart(message.orders, client.capabilities):
                    definitions.update({one.client_order_id: one for one in message.orders})
            elif message.account_id == account_id and state.counts(record):
                if states and _totals(states[-1]) == _totals(message):
                    states.pop()
                states = [*states[-1:], message]
        left = Left(
            instruments=state.cache.instruments(),
            orders=core.cache.orders(),
            definitions=definitions,
            positions=[p for p in core.cache.positions_open() if p.account_id == account_id],
            fills=state.book(account_id).fills,
            states=states,
        )
        restore(client.exchange, left)

    def _fills_since(self, state: JournalState, account_id: AccountId) -> int | None:
        """Return from when on fills may be missing here; None for an account that is new."""
        if account_id not in state.account_ids:
            return None
        fills = state.book(account_id).fills
        if fills:
            return fills[-1].ts_event - _FILL_OVERLAP_NS
        for entry in self.journal.run_entries():
            if any(one.account_id == account_id for one in entry.began.accounts):
                return entry.started.ts - _FILL_OVERLAP_NS
        return None

    def follow(self) -> None:
        """Record what the core handles and derives from now on."""
        core = self._running_core
        core.dispatcher.taps.append(self._recorder.tap)
        core.log.followers.append(self._recorder.add)
        if self.circumstances is not None:
            self.circumstances.follow()

    def purged(self, closed_before_ns: int) -> None:
        """Note what the core is about to forget."""
        if self._has_begun and not self._is_closed:
            number = self._running_core.dispatcher.number
            self._recorder.purged(number, HistoryPurged(closed_before_ns=closed_before_ns))

    @property
    def run(self) -> int | None:
        """Return the number of the run, None before it has begun."""
        return self.journal.run if self._has_begun else None

    @property
    def _running_core(self) -> TradingCore:
        assert self._core is not None
        return self._core

    # The run

    async def begin(self, on_trouble: Callable[[BaseException], None]) -> None:
        """Take the leases, begin the run, and settle what certainly never left.

        Args:
            on_trouble: Told, on this loop, of what halts the node.

        Raises:
            LeaseError: If another node trades an account.
            JournalError: If the journal cannot be written.
        """
        self._loop, self._on_trouble = asyncio.get_running_loop(), on_trouble
        self.journal.on_fault.append(self._trouble)
        core = self._running_core
        await self._off_loop(lambda: self._begin(core))
        self._has_begun = True
        if self.circumstances is not None:
            self.circumstances.begin()
        for event in self._settling(core):
            core.senders.exec_event.send(event)

    def _begin(self, core: TradingCore) -> None:
        clients = core.execution.clients
        real = {client.account_id: None for client in clients if not client.is_simulated}
        leases = Leases(leases_path(self._config)) if real else None
        for account_id in real:
            assert leases is not None
            lease = leases.take(account_id, self._owner)
            self._leases.append(lease)
            self.port(account_id).lease = lease
            if not self._is_inline:
                lease.keep(self._trouble)
        is_continued = isinstance(core.clock, LiveClock)
        self.journal.begin_run(
            self.run_tag,
            version=sys.modules["workbench"].__version__,
            config=self._config,
            environment={
                "python": platform.python_version(),
                "platform": platform.platform(),
                "host": platform.node(),
            },
            accounts=[_traded(client, is_continued=is_continued) for client in clients],
            allow_overfills=self._config.allow_overfills,
            align_positions=self._config.align_positions,
            claims=core.execution.external.claims,
        )
        self.journal.flush()

    def _settling(self, core: TradingCore) -> Iterator[Any]:
        """Yield what became certain about orders of earlier runs by the end of these.

        Nothing leaves before the request for it is durable. Where there is none the order never
        left; where there is one it may have, and is asked for.
        """
        if self.state is None:
            return
        requested = self._requested()
        for client in core.execution.clients:
            if client.account_id not in self.state.account_ids:
                continue
            book = self.state.book(client.account_id)
            now, sent = core.clock.timestamp_ns(), requested
            if client.is_simulated:
                # What was on its way to an exchange in this process died with it.
                sent = frozenset[ClientOrderId]()
                for order in book.in_flight:
                    if order.status in REFUSALS:
                        reason = "the node that asked for it ended before it had an effect"
                        refusal = REFUSALS[order.status]
                        fields = about(order, now)
                        yield refusal(reason=reason, account_id=client.account_id, **fields)
            for order in book.unknown:
                yield from _settled(order, client.account_id, sent, now)

    def _requested(self) -> frozenset[ClientOrderId]:
        found: set[ClientOrderId] = set()
        for record in self.journal.messages(JournalKind.REQUEST, types=_SUBMITS):
            message = record.message
            if isinstance(message, SubmitOrderList):
                found.update(order.client_order_id for order in message.orders)
            elif isinstance(message, SubmitOrder):
                found.add(message.client_order_id)
        return frozenset(found)

    def _trouble(self, error: BaseException) -> None:
        """Halt, from any thread; the loop is told."""
        self._running_core.risk.halt()
        loop = self._loop
        with suppress(RuntimeError):  # closed: nobody is there any more
            if loop is not None:
                loop.call_soon_threadsafe(self._on_trouble, error)

    async def room(self, is_stopped: Callable[[], bool]) -> None:
        """Return when the journal has room for more, cannot be written, or the node stops."""
        journal = self.journal
        while journal.is_congested and journal.fault is None and not is_stopped():
            with suppress(TimeoutError, JournalError):
                async with asyncio.timeout(_LOOK_S):
                    await journal.room()

    def raised(self, error: BaseException) -> None:
        """Note what went wrong."""
        if not self._is_closed:
            self.journal.append(
                JournalKind.EXCEPTION,
                ExceptionRaised(where="node", type_name=type(error).__name__, text=str(error)),
            )

    def flush(self) -> None:
        """Wait a little for the disk to have what was recorded so far, for who reads it now."""
        if not self._is_closed and self.journal.fault is None:
            with suppress(JournalError):
                self.journal.flush(_FLUSH_S)

    async def end(self, faults: Iterable[BaseException]) -> list[str]:
        """End the run: nothing is recorded any more; return what went wrong with that."""
        if self._is_closed:
            return []
        if self._has_begun:
            self._recorder.end_gap()
            self.journal.end_run(faults=list(faults))
        return await self._off_loop(self.close)

    def close(self) -> list[str]:
        """Close the journal and give leases back, waiting for the disk; twice is once."""
        if self._is_closed:
            return []
        self._is_closed = True
        self._unfollow()
        problems: list[str] = []
        for step in (*(lease.give_back for lease in self._leases), self.journal.close):
            try:
                step()
            except JournalError as error:
                problems.append(describe(error))
                _log.error("ending the journal: %s", error)
        return problems

    def _unfollow(self) -> None:
        if self.circumstances is not None:
            self.circumstances.end()
        core = self._core
        if core is not None and self._recorder.tap in core.dispatcher.taps:
            core.dispatcher.taps.remove(self._recorder.tap)
            core.log.followers.remove(self._recorder.add)

    @property
    def _is_inline(self) -> bool:
        return self.journal.is_inline

    async def _off_loop(self, function: Callable[[], Any]) -> Any:
        """Call what waits for a disk; where time is virtual there are no threads."""
        return function() if self._is_inline else await asyncio.to_thread(function)


def _ignore(_: BaseException) -> None: ...


def _traded(client: ExecutionClient, *, is_continued: bool) -> TradedAccount:
    return TradedAccount(
        client_id=client.client_id,
        venue=client.venue,
        account_id=client.account_id,
        order_management=client.order_management,
        is_simulated=client.is_simulated,
        is_continued=is_continued or not client.is_simulated,
    )


def _totals(state: AccountState) -> dict[str, Any]:
    return {one.currency.code: one.total for one in state.balances if one.total}


def _check_kind(state: JournalState, client: ExecutionClient) -> None:
    name = client.account_id
    if name in state.account_ids and state.book(name).is_simulated != client.is_simulated:
        kinds = ("real", "simulated") if client.is_simulated else ("simulated", "real")
        raise ConfigError(
            f"account {name} was {kinds[0]} in this journal, and is to be {kinds[1]} now: give it"
            " another name, or the trader another journal"
        )


def _settled(
    order: Order, account_id: AccountId, requested: frozenset[ClientOrderId], now_ns: int
) -> Iterator[Any]:
    fields = about(order, now_ns)
    if order.status is not OrderStatus.SUBMITTED:
        yield OrderSubmitted(account_id=account_id, **fields)
    if order.client_order_id not in requested:
        reason = "it was not sent: the node ended before it left"
        yield OrderRejected(account_id=account_id, reason=reason, **fields)

"""What a new session starts with: the state that follows from a journal's records.

What came in is fed again to engines of its own, run after run (see `workbench.engines.rebuilding`).
Nothing is sent, and no strategy hears of it. An order whose submit was recorded and of which the
venue has said nothing is *unknown*: it may be there or not, and is asked for by its client order
id, never taken for dead and never sent again blindly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import localcontext
from typing import Any

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.portfolio import Portfolio
from workbench.engines.rebuilding import rebuild
from workbench.model.commands import SubmitOrder, SubmitOrderList
from workbench.model.display import fitted, grid_html
from workbench.model.enums import OrderStatus
from workbench.model.errors import ConfigError
from workbench.model.events import (
    AccountState,
    OrderEmulated,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    OrderReleased,
)
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    venue_of,
)
from workbench.model.money import MONEY_CONTEXT
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.model.risk_events import LossLimitReached
from workbench.node.journal.errors import JournalError
from workbench.node.journal.folded_execution import FoldedExecution
from workbench.node.journal.records import (
    HistoryPurged,
    JournalKind,
    JournalRecord,
    RunStarted,
    RunStopped,
    TradedAccount,
)
from workbench.runtime.eventlog import Record, RecordKind

FOLDED = (
    JournalKind.RUN,
    JournalKind.INSTRUMENT,
    JournalKind.COMMAND,
    JournalKind.EVENT,
    JournalKind.DERIVED,
    JournalKind.PURGE,
)
"""The kinds that state follows from; others change nothing."""

_BOUNDARIES = frozenset((JournalKind.RUN, JournalKind.INSTRUMENT, JournalKind.PURGE))
_FED = {
    JournalKind.COMMAND: RecordKind.COMMAND,
    JournalKind.EVENT: RecordKind.EVENT,
    JournalKind.DERIVED: RecordKind.DERIVED,
}


class AccountBook(msgspec.Struct, frozen=True, kw_only=True):
    """What one account has to do with: its orders, positions, fills and balances.

    Attributes:
        account_id: The account.
        is_simulated: Whether it is of no real venue.
        state: Its last state, None if none came.
        open: Orders that rest at the venue, as far as is known.
        unknown: Orders that may have been sent, of which the venue has said nothing.
        in_flight: Orders of which a change or cancel may have been sent, without an answer.
        emulated: Orders that wait on our side.
        positions: Open positions.
        fills: All fills that counted, oldest first.
    """

    account_id: AccountId
    is_simulated: bool
    state: AccountState | None
    open: list[Order]
    unknown: list[Order]
    in_flight: list[Order]
    emulated: list[Order]
    positions: list[Position]
    fills: list[OrderFilled]

    def __repr__(self) -> str:
        """Return how much there is of each."""
        return fitted(
            f"<{self.account_id}: {len(self.open)} open, {len(self.unknown)} unknown,"
            f" {len(self.in_flight)} in flight, {len(self.emulated)} emulated orders,"
            f" {len(self.positions)} positions, {len(self.fills):,} fills>"
        )


class JournalState:
    """What is known after a journal's records.

    Args:
        starts: From which sequence on the records of an account count, where a run began it anew;
            by default all do.

    Attributes:
        sequence: Of the last record that was folded.
        runs: What the runs were, the first one first.
        was_killed: Whether the last run did not end in order.
        client_order_ids: All that were ever used; the next one is none of these.
        cache: Instruments, orders, positions and accounts of all accounts together.
        portfolio: With the realised profit.
        fills: All fills that counted, oldest first.
    """

    def __init__(self, starts: Mapping[AccountId, int] | None = None) -> None:
        self.sequence = 0
        self._starts = dict(starts or {})
        self.runs: list[RunStarted] = []
        self.was_killed = False
        self.client_order_ids: set[ClientOrderId] = set()
        self.cache = Cache()
        self.portfolio = Portfolio(self.cache)
        self.fills: list[OrderFilled] = []
        self._accounts: dict[AccountId, TradedAccount] = {}
        self._here: tuple[TradedAccount, ...] = ()
        self._account_of: dict[ClientOrderId, AccountId] = {}
        self._on_its_way: set[ClientOrderId] = set()
        self._execution = FoldedExecution(self.cache, self.portfolio, self.fills)

    @property
    def account_ids(self) -> list[AccountId]:
        """Return the accounts that were ever traded, in the order they came up."""
        return list(self._accounts)

    @property
    def run_tags(self) -> frozenset[str]:
        """Return the tags of all runs; the next run's is none of these."""
        return frozenset(run.run_tag for run in self.runs)

    def account_of(self, order: Order) -> AccountId | None:
        """Return the account an order is of: that it came from, else that it was sent to."""
        return order.account_id or self._account_of.get(order.client_order_id)

    def counts(self, record: JournalRecord) -> bool:
        """Return whether a record is of the account's present life (see `starts`)."""
        if not self._starts:
            return True
        account_id = self.account_in(record.message)
        return account_id is None or record.sequence >= self._starts.get(account_id, 0)

    def account_in(self, message: Any) -> AccountId | None:
        """Return the account that a command, event or report which was folded is about.

        None for what is of none: an order that was denied before it had one.
        """
        if isinstance(message, SubmitOrderList):
            return self._account_of.get(message.orders[0].client_order_id)
        if isinstance(message, (SubmitOrder, OrderEvent)):
            return self._account_of.get(message.client_order_id)
        if isinstance(message, LossLimitReached) and message.accounts:
            return message.accounts[0]
        return getattr(message, "account_id", None)

    def book(self, account_id: str) -> AccountBook:
        """Return what one account has to do with.

        Raises:
            JournalError: If it was never traded.
        """
        name = AccountId(account_id)
        traded = self._accounts.get(name)
        if traded is None:
            known = ", ".join(self._accounts) or "none"
            raise JournalError(f"no account {account_id!r} is in this journal; there are: {known}")
        cache = self.cache
        mine = [order for order in _working(cache) if self.account_of(order) == name]
        return AccountBook(
            account_id=name,
            is_simulated=traded.is_simulated,
            state=cache.account(name),
            open=[order for order in mine if order.is_open],
            unknown=[order for order in mine if self._is_unknown(order)],
            in_flight=[order for order in mine if order.is_open and order.is_in_flight],
            emulated=[order for order in mine if self._waits_here(order)],
            positions=[p for p in cache.positions_open() if p.account_id == name],
            fills=[fill for fill in self.fills if fill.account_id == name],
        )

    def _is_unknown(self, order: Order) -> bool:
        if order.status is OrderStatus.SUBMITTED:
            return True
        is_new = order.status in (OrderStatus.INITIALIZED, OrderStatus.RELEASED)
        return is_new and order.client_order_id in self._on_its_way

    def _waits_here(self, order: Order) -> bool:
        if order.status is OrderStatus.EMULATED:
            return True
        return order.status is OrderStatus.RELEASED and not self._is_unknown(order)

    # Folding

    def fold(self, records: Iterable[JournalRecord]) -> None:
        """Go on with more records, oldest first; of kinds that change nothing none is needed.

        Raises:
            JournalError: If they contradict each other.
        """
        with localcontext(MONEY_CONTEXT):
            fed: list[Record] = []
            for record in records:
                self.sequence = record.sequence
                kind = _FED.get(record.kind)
                if kind is not None:
                    self._note(record.message)
                    if self.counts(record):
                        fed.append(Record(record.number, kind, record.message))
                elif record.kind in _BOUNDARIES:
                    rebuild(fed, self.cache, self._execution)
                    fed = []
                    self._cross(record.message)
            rebuild(fed, self.cache, self._execution)

    def look_through(self, records: Iterable[JournalRecord]) -> None:
        """Do what `fold` does but for the books: a core that takes over works them out itself.

        `take_books` brings them here afterwards.

        Raises:
            JournalError: If the records contradict each other.
        """
        for record in records:
            self.sequence = record.sequence
            if record.kind in _FED:
                self._note(record.message)
            elif record.kind in _BOUNDARIES:
                self._cross(record.message)

    def take_books(self, cache: Cache, portfolio: Portfolio, fills: list[OrderFilled]) -> None:
        """Take the books that somebody else worked out, after `look_through`."""
        self.cache, self.portfolio, self.fills = cache, portfolio, fills

    def _note(self, message: Any) -> None:
        """Keep what engines do not: which ids there were, what was sent where."""
        if isinstance(message, SubmitOrder):
            self._note_sent(message, (message.order,))
        elif isinstance(message, SubmitOrderList):
            self._note_sent(message, message.orders)
        elif isinstance(message, OrderEvent):
            self.client_order_ids.add(message.client_order_id)
            account_id = getattr(message, "account_id", None)
            if account_id is not None:
                self._account_of[message.client_order_id] = account_id
            if isinstance(message, (OrderEmulated, OrderReleased)):
                # It did not leave after all; after a release another submit follows.
                self._on_its_way.discard(message.client_order_id)

    def _note_sent(
        self, command: SubmitOrder | SubmitOrderList, orders: tuple[OrderInitialized, ...]
    ) -> None:
        account_id = self._account_for(command)
        for order in orders:
            self.client_order_ids.add(order.client_order_id)
            self._on_its_way.add(order.client_order_id)
            if account_id is not None:
                self._account_of[order.client_order_id] = account_id

    def _account_for(self, command: SubmitOrder | SubmitOrderList) -> AccountId | None:
        """Return where a submit went, as the run's router would say; None where it was denied."""
        if command.account_id is not None:
            return command.account_id
        venue = venue_of(command.instrument_id)
        for traded in self._here:
            if command.client_id is None:
                if traded.venue == venue:
                    return traded.account_id
            elif traded.client_id == command.client_id:
                return traded.account_id
        return None

    def _cross(self, message: Any) -> None:
        """Take a record that changes what those after it mean."""
        if isinstance(message, RunStarted):
            self._begin(message)
        elif isinstance(message, RunStopped):
            self.was_killed = False
        elif isinstance(message, HistoryPurged):
            self._execution.purge(message.closed_before_ns, frozenset(message.keep))
        else:
            self.cache.add_instrument(message)

    def _begin(self, run: RunStarted) -> None:
        self.runs.append(run)
        self.was_killed = True  # until it says otherwise
        self._here = run.accounts
        for traded in run.accounts:
            try:
                self._execution.add_account(traded)
            except ConfigError as error:
                raise JournalError(
                    f"run {len(self.runs)} ({run.run_tag}) trades account {traded.account_id} in"
                    f" another way than one before: {error}. Give it another account id"
                ) from error
            self._accounts[traded.account_id] = traded
        self._execution.begin(run)

    # How it looks

    def __repr__(self) -> str:
        """Return how much there is."""
        killed = ", the last one killed" if self.was_killed else ""
        return (
            f"<JournalState at record {self.sequence:,}: {len(self.runs)} runs{killed},"
            f" {len(self.cache.orders()):,} orders, {len(self.fills):,} fills, accounts"
            f" {', '.join(self._accounts) or 'none'}>"
        )

    def _repr_html_(self) -> str:
        columns = ("account", "open", "unknown", "in flight", "emulated", "positions", "fills")
        books = [self.book(account_id) for account_id in self._accounts]
        rows = [
            (
                book.account_id,
                *(str(len(orders)) for orders in (book.open, book.unknown, book.in_flight)),
                *(str(len(held)) for held in (book.emulated, book.positions, book.fills)),
            )
            for book in books
        ]
        return grid_html(columns, rows, repr(self).strip("<>"))


def fold(records: Iterable[JournalRecord]) -> JournalState:
    """Return what is known after records, oldest first.

    Raises:
        JournalError: If they contradict each other.
    """
    kept = list(records)
    state = JournalState(starts_of(kept))
    state.fold(kept)
    return state


def starts_of(records: Iterable[JournalRecord]) -> dict[AccountId, int]:
    """Return where each account was begun anew last, by the starts of runs among records."""
    return {
        traded.account_id: record.sequence
        for record in records
        if isinstance(record.message, RunStarted)
        for traded in record.message.accounts
        if not traded.is_continued
    }


def of_accounts(
    records: Iterable[JournalRecord], state: JournalState, account_ids: Iterable[str]
) -> Iterator[Record]:
    """Yield what `rebuild` needs to bring a core of its own to the state of some accounts.

    For a session that trades not all that were traded before: nothing of other accounts is in it.

    Args:
        records: The journal's.
        state: What they fold to.
        account_ids: The accounts that the session has clients for.
    """
    wanted = frozenset(AccountId(account_id) for account_id in account_ids)
    for record in records:
        kind = _FED.get(record.kind)
        if kind is None or not state.counts(record):
            continue
        if state.account_in(record.message) in wanted:
            yield Record(record.number, kind, record.message)


def _working(cache: Cache) -> Iterator[Order]:
    """Yield the orders that are not over, each once."""
    seen: set[ClientOrderId] = set()
    for orders in (
        cache.orders_initialized(),
        cache.orders_emulated(),
        cache.orders_in_flight(),
        cache.orders_open(),
    ):
        for order in orders:
            if order.client_order_id not in seen:
                seen.add(order.client_order_id)
                yield order

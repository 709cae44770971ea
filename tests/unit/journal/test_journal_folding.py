"""The state that follows from a journal, after a crash anywhere."""

from __future__ import annotations

import copy
import tempfile
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings

from tests.property import test_execution as trading
from tests.unit.journal import samples as s
from workbench.engines.cache import Cache
from workbench.engines.execution import ExecutionEngine
from workbench.engines.portfolio import Portfolio
from workbench.engines.rebuilding import rebuild
from workbench.model import events as e
from workbench.model.commands import CancelOrder
from workbench.model.enums import OrderManagement, OrderStatus
from workbench.model.identifiers import AccountId, ClientId, Venue
from workbench.model.orders import Order
from workbench.node.journal import (
    HistoryPurged,
    Journal,
    JournalError,
    JournalRecord,
    JournalState,
    Recorder,
    TradedAccount,
    fold,
    of_accounts,
)
from workbench.runtime.bus import MessageBus
from workbench.runtime.clock import SimulatedClock
from workbench.runtime.eventlog import RecordKind

OTHER = TradedAccount(client_id=ClientId("B"), venue=Venue("SIM"), account_id=AccountId("B-1"))
FIRST = (("instrument", s.PAIR), ("event", s.account(1_000)))


def begun(folder: Path, *accounts: TradedAccount, **more: Any) -> Journal:
    journal = s.inline(folder)
    journal.begin_run(f"run-{journal.sequence}", accounts=accounts or (s.TRADED,), **more)
    return journal


def add(journal: Journal, *items: tuple[str, Any]) -> None:
    for kind, message in items:
        journal.append(kind, message, number=journal.sequence)


def ids(orders: list[Order]) -> list[str]:
    return [order.client_order_id.rpartition("-")[2] for order in orders]


def test_an_order_is_unknown_from_its_command_until_the_venue_says_something(
    tmp_path: Path,
) -> None:
    with begun(tmp_path) as journal:
        add(journal, *FIRST, ("command", s.submit(1)), ("command", s.submit(2)))
        add(journal, ("event", s.submitted(2)), ("command", s.submit(3)))
        add(journal, ("event", s.submitted(3)), ("event", s.accepted(3)))
        book = journal.state().book(s.ACCOUNT)
        assert ids(book.unknown) == ["1", "2"]  # neither is taken for dead
        assert ids(book.open) == ["3"]
        assert book.state == s.account(1_000)
        denied = e.OrderDenied(**s.about(1), code="C", reason="r")
        rejected = e.OrderRejected(**s.about(2), account_id=s.ACCOUNT, reason="r")
        add(journal, ("event", denied), ("event", rejected))
        book = journal.state().book(s.ACCOUNT)
        assert (ids(book.unknown), ids(book.open)) == ([], ["3"])


def test_a_cancel_without_an_answer_is_in_flight(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        add(journal, *FIRST, ("command", s.submit(1)), ("event", s.submitted(1)))
        add(journal, ("event", s.accepted(1)))
        fields = {name: s.about(1)[name] for name in ("strategy_id", "instrument_id")}
        cancel = CancelOrder(client_order_id=s.about(1)["client_order_id"], ts_init=1, **fields)
        add(journal, ("command", cancel), ("event", e.OrderPendingCancel(**s.about(1))))
        book = journal.state().book(s.ACCOUNT)
        assert ids(book.in_flight) == ids(book.open) == ["1"]
        assert book.open[0].status is OrderStatus.PENDING_CANCEL


def test_fills_make_positions_and_count_once(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        add(journal, *FIRST, ("command", s.submit(1)), ("event", s.submitted(1)))
        add(journal, ("event", s.accepted(1)), ("event", s.filled(1, "4")))
        add(journal, ("event", s.filled(1, "4")))  # told again after a reconnect
        book = journal.state().book(s.ACCOUNT)
        assert [fill.quantity for fill in book.fills] == [Decimal(4)]
        assert [p.signed_quantity for p in book.positions] == [Decimal(4)]
        assert book.open[0].leaves_quantity == 6
        assert repr(book).startswith("<SIM-PAPER: 1 open, 0 unknown, 0 in flight")


def test_an_order_that_waits_on_our_side_is_not_unknown_until_it_is_sent(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        add(journal, *FIRST, ("command", s.submit(1)), ("event", e.OrderEmulated(**s.about(1))))
        add(journal, ("derived", s.order(1)))
        book = journal.state().book(s.ACCOUNT)
        assert (ids(book.emulated), book.unknown) == (["1"], [])
        released = e.OrderReleased(
            **s.about(1), order_type=s.order(1).order_type, quantity=Decimal(10)
        )
        add(journal, ("event", released))
        book = journal.state().book(s.ACCOUNT)
        assert (ids(book.emulated), book.unknown) == (["1"], [])
        add(journal, ("command", s.submit(1)))
        book = journal.state().book(s.ACCOUNT)
        assert (book.emulated, ids(book.unknown)) == ([], ["1"])


def test_the_books_of_two_accounts_stay_apart(tmp_path: Path) -> None:
    with begun(tmp_path, s.TRADED, OTHER) as journal:
        add(journal, *FIRST, ("event", s.account(7, "B-1")))
        add(journal, ("command", s.submit(1)))
        add(journal, ("command", s.submit(2, account_id=AccountId("B-1"))))
        add(journal, ("command", s.submit(3, client_id=ClientId("B"))))
        add(journal, ("command", s.submit(4, client_id=ClientId("nobody"))))
        add(journal, ("event", s.submitted(2, "B-1")), ("event", s.accepted(2, "B-1")))
        add(journal, ("event", s.filled(2, "10", "B-1")))
        state = journal.state()
        assert state.account_ids == ["SIM-PAPER", "B-1"]
        mine, theirs = state.book("SIM-PAPER"), state.book("B-1")
        assert (ids(mine.unknown), ids(theirs.unknown)) == (["1"], ["3"])
        assert (len(mine.fills), len(theirs.fills)) == (0, 1)
        assert (mine.positions, len(theirs.positions)) == ([], 1)
        assert theirs.state == s.account(7, "B-1")
        with pytest.raises(JournalError, match=r"no account 'C' .* there are: SIM-PAPER, B-1"):
            state.book("C")
        assert "<th" in state._repr_html_()


def test_a_core_that_trades_one_account_is_rebuilt_without_the_others(tmp_path: Path) -> None:
    with begun(tmp_path, s.TRADED, OTHER) as journal:
        add(journal, *FIRST, ("event", s.account(7, "B-1")))
        for number, account_id in enumerate(("SIM-PAPER", "B-1"), start=1):
            command = s.submit(number, account_id=AccountId(account_id))
            add(journal, ("command", command), ("event", s.submitted(number, account_id)))
            add(journal, ("event", s.accepted(number, account_id)))
            add(journal, ("event", s.filled(number, "4", account_id)))
        state = journal.state()
        records = list(of_accounts(journal.messages(), state, ["B-1"]))
    cache = Cache()
    cache.add_instrument(s.PAIR)
    execution = engine(cache)
    execution.add_client(trading.Broker("B", "SIM", "B-1"))
    rebuild(records, cache, execution)
    assert ids(cache.orders()) == ["2"]
    (found,), known = cache.orders(), state.book("B-1").open[0]
    known.position_id = found.position_id  # netted positions are counted over what is there
    assert found == known
    assert cache.net_quantity(s.PAIR.id) == 4
    assert [account.account_id for account in cache.accounts()] == ["B-1"]


def engine(cache: Cache) -> ExecutionEngine:
    def ignore(_: Any) -> None: ...

    clock, portfolio, bus = SimulatedClock(1), Portfolio(cache), MessageBus()
    return ExecutionEngine(cache, clock, portfolio, bus, ignore, ignore, ignore)


def test_state_goes_on_over_runs_and_knows_whether_the_last_was_killed(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        add(journal, *FIRST, ("command", s.submit(1)), ("event", s.submitted(1)))
        journal.end_run("asked for")
        assert not journal.state().was_killed
    with begun(tmp_path, s.TRADED, OTHER) as journal:
        add(journal, ("event", s.accepted(1)), ("command", s.submit(2)))
        journal.flush()
        journal.abandon()
    state = Journal.read_only(tmp_path / "journal.sqlite").state()
    assert state.was_killed
    assert len(state.run_tags) == 2
    assert state.client_order_ids == {"O-T-1-1", "O-T-1-2"}
    book = state.book(s.ACCOUNT)
    assert (ids(book.open), ids(book.unknown)) == (["1"], ["2"])
    assert "2 runs, the last one killed" in repr(state)


def test_the_settings_of_each_run_are_those_its_records_are_folded_with(tmp_path: Path) -> None:
    def trade(number: int, quantity: str) -> list[tuple[str, Any]]:
        return [
            ("command", s.submit(number)),
            *(("event", made(number)) for made in (s.submitted, s.accepted)),
            ("event", s.filled(number, quantity)),
        ]

    with begun(tmp_path) as journal:
        add(journal, *FIRST, *trade(1, "11"))  # beyond its quantity: refused
    with begun(tmp_path, allow_overfills=True) as journal:
        add(journal, *trade(2, "11"))
    with begun(tmp_path) as journal:
        add(journal, *trade(3, "11"))
        state = journal.state()
    quantities = [order.filled_quantity for order in state.cache.orders()]
    assert quantities == [0, 11, 0]


def test_an_account_that_is_kept_in_another_way_in_a_later_run_is_refused(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        add(journal, *FIRST)
    hedged = TradedAccount(
        client_id=ClientId("X"),
        venue=Venue("SIM"),
        account_id=s.ACCOUNT,
        order_management=OrderManagement.HEDGING,
    )
    with (
        begun(tmp_path, hedged) as journal,
        pytest.raises(JournalError, match=r"run 2 .* trades account SIM-PAPER in another way"),
    ):
        journal.state()


def test_an_account_that_a_run_begins_anew_has_nothing_of_what_was_before(tmp_path: Path) -> None:
    trade = [("command", s.submit(1)), ("event", s.submitted(1)), ("event", s.accepted(1))]
    with begun(tmp_path, s.TRADED, OTHER) as journal:
        add(journal, *FIRST, *trade, ("event", s.filled(1, "4")))
        add(journal, ("command", s.submit(2, account_id=AccountId("B-1"))))
    anew = msgspec.structs.replace(s.TRADED, is_continued=False)
    with begun(tmp_path, anew, OTHER) as journal:
        state = journal.state()
        assert (state.cache.account(s.ACCOUNT), state.book(s.ACCOUNT).open) == (None, [])
        assert state.cache.positions() == state.fills == []
        assert ids(state.book("B-1").unknown) == ["2"]
        add(journal, ("event", s.account(5)), ("command", s.submit(3)))
        state = journal.state()
        assert ids(state.book(s.ACCOUNT).unknown) == ["3"]
        assert state.book(s.ACCOUNT).state == s.account(5)
        assert len(state.client_order_ids) == 3
        assert fold(journal.messages()).cache.orders() == state.cache.orders()
        fed = of_accounts(journal.messages(), state, [s.ACCOUNT])
        assert [record.message for record in fed] == [s.account(5), s.submit(3)]


def test_what_was_forgotten_is_forgotten_again_but_its_ids_are_not_used_again(
    tmp_path: Path,
) -> None:
    with begun(tmp_path) as journal:
        add(journal, *FIRST, ("command", s.submit(1)), ("event", s.submitted(1)))
        add(journal, ("event", s.accepted(1)), ("event", s.filled(1)))
        add(journal, ("purge", HistoryPurged(closed_before_ns=100)))
        add(journal, ("event", s.filled(1, "3")))  # of an order nobody knows any more: refused
        state = journal.state()
    assert state.cache.orders() == []
    assert state.client_order_ids == {"O-T-1-1"}
    assert [p.signed_quantity for p in state.cache.positions_open()] == [Decimal(10)]
    assert len(state.book(s.ACCOUNT).fills) == 1


# --- any run, cut anywhere -----------------------------------------------------------------------


class Journaled(trading.Trading):
    """What strategies and venues do at random, journaled; a copy of the state at every message."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.journal = Journal.open(
            Path(self.folder.name, "j.sqlite"), "TRADER-001", SimulatedClock(5), is_inline=True
        )
        core = self.setup.core
        self.journal.begin_run(
            "T",
            accounts=[
                TradedAccount(
                    client_id=broker.client_id,
                    venue=broker.venue,
                    account_id=broker.account_id,
                    order_management=broker.order_management,
                )
                for broker in self.setup.brokers
            ],
            allow_overfills=self.allow_overfills,
        )
        for instrument in (trading.PAIR, trading.OTHER):
            self.journal.append("instrument", instrument)
        self.recorder = Recorder(self.journal)
        for record in core.log:
            self.recorder.add(record.number, record.kind, record.message)
        self.states: dict[int, Any] = {}
        core.dispatcher.taps.insert(0, self._keep)
        core.dispatcher.taps.append(self.recorder.tap)
        note, purge = core.log.add, core.purge

        def add(number: int, kind: RecordKind, message: Any) -> None:
            note(number, kind, message)
            self.recorder.add(number, kind, message)

        def forget(closed_before_ns: int) -> Any:
            self._keep()
            self.recorder.purged(0, HistoryPurged(closed_before_ns=closed_before_ns))
            return purge(closed_before_ns)

        core.log.add = add  # type: ignore[method-assign]
        core.purge = forget  # type: ignore[method-assign,assignment]

    def _keep(self, *_: Any) -> None:
        """Copy the state as it is after all that was recorded so far."""
        realized = self.setup.core.portfolio.realized_pnl()
        cache = self.cache
        kept = cache.orders(), cache.positions(), cache.accounts(), realized, self.applied
        self.states[self.journal.sequence] = copy.deepcopy(kept)

    def teardown(self) -> None:
        self._keep()
        records = list(self.journal.messages())
        growing = JournalState()
        done = 0
        for sequence, kept in self.states.items():
            growing.fold(records[done:sequence])
            done = sequence
            self._compare(fold(records[:sequence]), kept)
            self._compare(growing, kept)
        self._compare_within_messages(records)
        assert growing.client_order_ids >= {order.client_order_id for order in self.sent}
        self.journal.close()
        self.folder.cleanup()

    def _compare(self, state: JournalState, kept: Any) -> None:
        orders, positions, accounts, realized, fills = kept
        # What never was a command, or was not denied yet, had no effect on anything.
        new = OrderStatus.INITIALIZED
        folded = {order.client_order_id for order in state.cache.orders()}
        was = [o for o in orders if o.status is not new or o.client_order_id in folded]
        assert state.cache.orders() == was
        assert state.cache.positions() == positions
        assert state.cache.accounts() == accounts
        assert state.portfolio.realized_pnl() == realized
        assert state.fills == fills

    def _compare_within_messages(self, records: list[JournalRecord]) -> None:
        """Cut between the records of one message: it was handled, or it was not."""
        bounds = sorted(self.states)
        for before, after in pairwise(bounds):
            for cut in range(before + 1, after):
                filled = {p.position_id: p.signed_quantity for p in self.states[before][1]}
                then = {p.position_id: p.signed_quantity for p in self.states[after][1]}
                cache = fold(records[:cut]).cache
                found = {p.position_id: p.signed_quantity for p in cache.positions()}
                assert found in (filled, then)


class JournaledWithOverfills(Journaled):
    """The same where fills beyond an order's quantity count."""

    allow_overfills = True


TestJournaled = Journaled.TestCase
TestJournaled.settings = settings(max_examples=15, stateful_step_count=20)
TestJournaledWithOverfills = JournaledWithOverfills.TestCase
TestJournaledWithOverfills.settings = settings(max_examples=8, stateful_step_count=20)

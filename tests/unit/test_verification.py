"""Verification finds whatever is changed in a record, and shows it well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import workbench as wb
from tests.node_fakes import PAIR
from tests.verifying import Busy, Tampered, is_kind, market_data, only_changed, replayed
from workbench.model import commands as c
from workbench.model import events as e
from workbench.node.journal import (
    ExceptionRaised,
    JournalKind,
    JournalRecord,
    RunStarted,
    RunStopped,
)
from workbench.node.journal.circumstances import StrategyStarted
from workbench.node.verification import (
    Difference,
    FieldDifference,
    StrategyVerification,
    Verification,
    verify,
)
from workbench.node.verification.results import equal, fields_between

Change = Callable[[JournalRecord], Iterable[JournalRecord]]
D = Decimal


class Maker(wb.Strategy):
    """Quotes both sides, takes now and then, and is denied once."""

    def on_start(self) -> None:
        self.count = 0
        self.subscribe_quotes(PAIR.id)
        self.clock.set_timer("beat", 5 * 10**9)
        self.request_quotes(PAIR.id, limit=1)

    def on_quote(self, quote: wb.Quote) -> None:
        self.count += 1
        if self.count % 10 == 1:
            self.cancel_all_orders()
            self.submit_order(self.orders.limit(PAIR.id, "buy", 1, round(quote.bid - 0.1, 2)))
            self.submit_order(self.orders.market(PAIR.id, "buy", 1))
        if self.count == 15:
            self.submit_order(self.orders.limit(PAIR.id, "buy", 1, quote.bid - 0.005))

    def on_time_event(self, event: wb.TimeEvent) -> None:
        for order in self.cache.orders_open():
            self.modify_order(order, quantity=2)

    def on_stop(self) -> None:
        self.cancel_all_orders()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    node = replayed(folder, Maker(), market_data(60))
    assert node.fault is None
    node.dispose()
    return folder / "journal.sqlite"


def found(path: Path, change: Change) -> Verification:
    return verify(Tampered(path, change), Maker(), progress=lambda *_: None)


def of_type(kind: type, number: int = 0) -> Callable[[JournalRecord], bool]:
    """Return what tells the message of a type that came after so many others, each time anew."""
    seen: dict[int, None] = {}

    def is_meant(record: JournalRecord) -> bool:
        if type(record.message) is not kind or record.kind is JournalKind.CIRCUMSTANCE:
            return False
        seen[record.sequence] = None
        return sorted(seen).index(record.sequence) == number

    return is_meant


def changing(is_meant: Callable[[JournalRecord], bool], **changes: Any) -> Change:
    def change(record: JournalRecord) -> Iterable[JournalRecord]:
        if is_meant(record):
            message = msgspec.structs.replace(record.message, **changes)
            record = msgspec.structs.replace(record, message=message)
        return (record,)

    return change


def dropping(is_meant: Callable[[JournalRecord], bool]) -> Change:
    """Leave a message out; the numbers of those behind it close up."""
    gone: list[int] = []

    def change(record: JournalRecord) -> Iterator[JournalRecord]:
        if not gone and is_meant(record):
            gone.append(record.sequence)
        if gone and record.sequence == gone[0]:
            return
        if gone and record.sequence > gone[0]:
            record = msgspec.structs.replace(record, number=max(0, record.number - 1))
        yield record

    return change


def repeating(is_meant: Callable[[JournalRecord], bool]) -> Change:
    """Let a message come twice; the numbers of those behind it move on."""
    twice: list[int] = []

    def change(record: JournalRecord) -> Iterator[JournalRecord]:
        if not twice and is_meant(record):
            twice.append(record.sequence)
            yield record
            yield msgspec.structs.replace(record, number=record.number + 1)
            return
        if twice and record.sequence > twice[0]:
            record = msgspec.structs.replace(record, number=record.number + 1)
        yield record

    return change


def test_an_untouched_record_is_identical(recorded: Path) -> None:
    whole = found(recorded, lambda record: (record,))
    assert whole.is_identical
    assert whole.is_complete
    assert whole.difference is None
    assert "identical" in repr(whole)


def test_a_record_of_an_older_workbench_is_refused_with_the_reason(recorded: Path) -> None:
    def old(record: JournalRecord) -> Iterable[JournalRecord]:
        return () if record.kind is JournalKind.CIRCUMSTANCE else (record,)

    with pytest.raises(wb.ConfigError, match="recorded by an older workbench"):
        found(recorded, old)


def test_what_has_changed_in_the_code_since_is_named(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def notes() -> tuple[str, ...]:
        return found(recorded, lambda record: (record,)).strategies[0].notes

    assert notes() == ()
    monkeypatch.setattr(Maker, "on_stop", lambda self: self.cancel_all_orders() or None)
    assert notes() == ("its code is another than the one that started: Maker.on_stop changed",)


UNTOLD = "whether its code is the one that started cannot be told: "


def test_code_of_an_older_workbench_s_record_cannot_be_told(recorded: Path) -> None:
    is_start = is_kind(JournalKind.CIRCUMSTANCE, StrategyStarted)
    whole = found(recorded, only_changed(is_start, fingerprint="0123456789ab", parts={}))
    assert whole.is_identical
    assert whole.strategies[0].notes == (f"{UNTOLD}the run was recorded by an older workbench",)


def test_code_that_another_python_compiled_cannot_be_told(recorded: Path) -> None:
    is_start = is_kind(JournalKind.RUN, RunStarted)
    (note,) = (
        found(recorded, only_changed(is_start, environment={"python": "3.99.1"}))
        .strategies[0]
        .notes
    )
    assert note.startswith(f"{UNTOLD}it ran on Python 3.99.1, this is 3.")


CHANGES: dict[str, tuple[type, dict[str, Any], str]] = {
    "an order's time": (c.SubmitOrder, {"ts_init": 5}, "ts_init"),
    "an order's account": (c.SubmitOrder, {"account_id": "X-1"}, "account_id"),
    "a cancel's side": (c.CancelAllOrders, {"side": "buy"}, "side"),
    "a change's quantity": (c.ModifyOrder, {"quantity": D(3)}, "quantity"),
    "a change's digits": (c.ModifyOrder, {"quantity": D("2.000")}, "quantity"),
    "a subscription's data": (c.Subscribe, {"kind": c.DataKind.TRADES}, "kind"),
    "a request's limit": (c.RequestData, {"limit": 2}, "limit"),
    "a denial's reason": (e.OrderDenied, {"reason": "because"}, "reason"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_command_that_is_another_is_found_field_by_field(recorded: Path, name: str) -> None:
    kind, changes, field = CHANGES[name]
    difference = found(recorded, changing(of_type(kind), **changes)).difference
    assert difference is not None
    assert difference.strategy_id == "Maker-001"
    assert type(difference.recorded) is type(difference.given) is kind
    assert [one.name for one in difference.fields] == [field]
    assert difference.answering is not None


def test_the_order_in_a_command_is_compared_too(recorded: Path) -> None:
    is_meant = of_type(c.SubmitOrder, 2)

    def change(record: JournalRecord) -> Iterable[JournalRecord]:
        if is_meant(record):
            order = msgspec.structs.replace(record.message.order, price=D("99.5"))
            message = msgspec.structs.replace(record.message, order=order)
            record = msgspec.structs.replace(record, message=message)
        return (record,)

    difference = found(recorded, change).difference
    assert difference is not None
    (field,) = difference.fields
    assert (field.name, field.recorded) == ("order.price", "99.5")
    assert isinstance(difference.answering, wb.Quote)
    assert difference.number == difference.answering_number


@pytest.mark.parametrize(
    ("kind", "number"),
    [(c.SubmitOrder, 0), (c.SubmitOrder, 1), (c.CancelAllOrders, 1), (c.Subscribe, 0)],
)
def test_a_command_that_is_missing_in_the_record_is_found(
    recorded: Path, kind: type, number: int
) -> None:
    whole = found(recorded, dropping(of_type(kind, number)))
    difference = whole.difference
    assert difference is not None
    assert "was not given in the run" in difference.what
    assert difference.recorded is None
    assert type(difference.given) is kind


@pytest.mark.parametrize("kind", [c.SubmitOrder, c.CancelAllOrders, c.ModifyOrder, c.Subscribe])
def test_a_command_that_only_the_record_has_is_found(recorded: Path, kind: type) -> None:
    difference = found(recorded, repeating(of_type(kind))).difference
    assert difference is not None
    assert "that the copy does not give" in difference.what
    assert type(difference.recorded) is kind
    assert difference.given is None


def test_a_denial_that_only_the_record_has_is_found(recorded: Path) -> None:
    difference = found(recorded, repeating(of_type(e.OrderDenied))).difference
    assert difference is not None
    assert difference.strategy_id == "Maker-001"


def test_a_timer_for_another_time_is_found(recorded: Path) -> None:
    difference = found(recorded, changing(of_type(e.TimeEvent, 2), ts_event=7)).difference
    assert difference is not None
    assert "timer of Maker-001" in difference.what
    assert "Maker-001:beat" in str(difference.recorded)
    assert "Maker-001:beat" in str(difference.given)


def test_a_timer_that_did_not_fall_due_in_the_record_is_found(recorded: Path) -> None:
    difference = found(recorded, dropping(of_type(e.TimeEvent, 3))).difference
    assert difference is not None
    assert "has set a timer that was not set in the run" in difference.what


def test_another_quote_leads_to_other_commands(recorded: Path) -> None:
    whole = found(recorded, changing(of_type(wb.Quote, 10), bid=50.0))
    difference = whole.difference
    assert difference is not None
    assert [field.given for field in difference.fields] == ["49.90"]
    assert whole.messages > 20


def test_another_fill_leads_to_another_position(recorded: Path) -> None:
    difference = found(recorded, changing(of_type(e.OrderFilled), price=D(1))).difference
    assert difference is not None
    assert isinstance(difference.recorded, e.PositionOpened)


def raised_after_a_command(text: str) -> Change:
    """Let the record say that a callback raised, after the first command."""
    done: list[int] = []

    def change(record: JournalRecord) -> Iterator[JournalRecord]:
        yield record
        if record.kind is JournalKind.COMMAND and done in ([], [record.sequence]):
            done[:] = [record.sequence]
            raised = ExceptionRaised(where="node", type_name="StrategyError", text=text)
            yield msgspec.structs.replace(
                record, kind=JournalKind.EXCEPTION, number=0, message=raised
            )

    return change


def test_an_exception_that_only_the_record_has_is_found(recorded: Path) -> None:
    change = raised_after_a_command("Maker-001 raised ValueError in on_quote: no")
    difference = found(recorded, change).difference
    assert difference is not None
    assert "raised in the run what the copy does not" in difference.what
    assert difference.strategy_id == "Maker-001"


@pytest.mark.parametrize("name", ["KeyboardInterrupt", "BrokenOffError"])
def test_a_callback_that_was_broken_off_ends_what_can_be_verified(
    recorded: Path, name: str
) -> None:
    text = f"Maker-001 raised {name} in on_quote: it did not return"
    whole = found(recorded, raised_after_a_command(text))
    assert whole.is_identical
    assert "it was broken off" in whole.stopped


def test_a_gap_in_the_numbers_ends_what_can_be_verified(recorded: Path) -> None:
    is_meant = of_type(wb.Quote, 30)
    whole = found(recorded, lambda record: () if is_meant(record) else (record,))
    assert whole.is_identical
    assert f"message {whole.last_number + 1:,} of market data could not be" in whole.stopped


def test_a_run_that_is_not_over_is_compared_but_for_its_last_message(recorded: Path) -> None:
    def unfinished(record: JournalRecord) -> Iterable[JournalRecord]:
        return () if isinstance(record.message, RunStopped) else (record,)

    ended = found(recorded, lambda record: (record,))
    whole = found(recorded, unfinished)
    assert whole.is_identical
    assert whole.messages == ended.messages - 1
    assert ended.not_covered == ()
    assert "the run goes on or was killed" in str(whole)


def test_every_command_that_is_dropped_or_repeated_is_found(tmp_path: Path) -> None:
    node = replayed(tmp_path, Busy(seed=11), market_data(60, 11))
    path = tmp_path / "journal.sqlite"
    commands = list(node.journal().messages(("command", "data_command")))
    node.dispose()
    for record in commands[:: max(1, len(commands) // 25)]:
        for tamper in (dropping, repeating):
            change = tamper(lambda one, record=record: one.sequence == record.sequence)
            whole = verify(Tampered(path, change), Busy(seed=11), progress=lambda *_: None)
            assert not whole.is_identical, record


# --- how it looks -------------------------------------------------------------------------------


def test_fields_are_compared_to_the_digit_and_by_path() -> None:
    one = wb.Quote(PAIR.id, 1.0, 2.0, 1.0, 1.0, 1, 1)
    other = msgspec.structs.replace(one, bid=1.5, ts_init=2)
    assert [f.name for f in fields_between(one, other)] == ["bid", "ts_init"]
    assert list(fields_between(one, one)) == []
    assert equal(float("nan"), float("nan"))
    assert not equal(D("1.0"), D("1.00"))
    assert not equal(1, 1.0)


def test_a_difference_reads_as_sentences_and_as_a_table() -> None:
    difference = Difference(
        strategy_id="S-001",  # type: ignore[arg-type]
        number=12,
        ts=10**18,
        what="S-001 gave another command <b>",
        recorded="left",
        given=None,
        fields=(FieldDifference("order.price", "1", "2"),),
        answering="on_start of S-001",
        answering_number=11,
        caveat="something else",
        traceback="Traceback: <x>",
    )
    text = repr(difference)
    assert "message: 12 at 2001-09-09T01:46:40Z" in text
    assert "answering: on_start of S-001 (message 11)" in text
    assert "the copy: nothing" in text
    assert "order.price: 1 in the run, 2 in the copy" in text
    assert "but: something else" in text
    page = difference._repr_html_()
    assert "<b>" not in page.replace("<b>Ver", "")
    assert "&lt;x&gt;" in page
    assert "order.price" in page


def test_a_verification_says_how_far_it_went() -> None:
    one = StrategyVerification(strategy_id="S-001", commands=1200, notes=("code is another",))  # type: ignore[arg-type]
    whole = Verification(
        trader_id="T",  # type: ignore[arg-type]
        run=3,
        messages=5000,
        commands=1200,
        last_number=5000,
        strategies=(one,),
        stopped="a KILL came",
        not_covered=("x was called",),
    )
    assert whole.is_identical
    assert not whole.is_complete
    text = str(whole)
    assert "run 3 of T: identical; 5,000 messages fed, 1,200 commands equal" in text
    assert "verified up to message 5,000: a KILL came" in text
    assert "S-001: code is another" in text
    assert "a KILL came" in whole._repr_html_()
    assert repr(one) == "<S-001: 1,200 commands, identical>"

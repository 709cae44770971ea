"""What is appended and what is read: kinds, payloads, secrets, frames, Parquet."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

import workbench as wb
from tests.unit.journal import samples as s
from workbench.model.commands import DataKind
from workbench.model.errors import CodecError, ConfigError
from workbench.model.events import LoopStalled
from workbench.model.identifiers import AccountId, ClientId, ComponentId, StrategyId
from workbench.model.orders import Order
from workbench.node.journal import (
    DataNotRecorded,
    ExceptionRaised,
    HistoryPurged,
    Journal,
    JournalError,
    JournalKind,
    Promotion,
    RawReport,
    Recorder,
    RunStarted,
    hide,
)
from workbench.node.journal import circumstances as k
from workbench.node.journal.payloads import redacted
from workbench.node.journal.records import PAYLOADS
from workbench.runtime.channels import ChannelName
from workbench.runtime.eventlog import RecordKind

STRATEGY = ComponentId("S-001")
BARS = wb.BarType.parse("AUD/USD.SIM-1-minute-bid")
PAYLOAD_SAMPLES: list[Any] = [
    RawReport(
        client_id=ClientId("B"), source="user stream", data=b'{"e":"x"}\xff', account_id=s.ACCOUNT
    ),
    HistoryPurged(closed_before_ns=5),
    DataNotRecorded(count=3, first_number=1, last_number=3),
    Promotion(
        action="promoted",
        strategy_id="S-001",
        account_id=AccountId("B-1"),
        certificate={"fills": 3, "points": [1.5, None, "x"]},
    ),
    ExceptionRaised(where="S-001", type_name="ValueError", text="no", traceback="..."),
    RunStarted(trader_id=s.TRADER, run_tag="t", accounts=(s.TRADED,)),  # type: ignore[arg-type]
]
CIRCUMSTANCE_SAMPLES: list[Any] = [
    k.StageSet(
        data_clients=(k.FoundDataClient(client_id=ClientId("F"), venues=(s.TRADED.venue,)),),
        execution_clients=(
            k.FoundExecutionClient(
                client_id=ClientId("B"),
                capabilities=wb.Capabilities(order_types={"market"}, amend=False),
                session=wb.TradingSession(open="09:30", close="16:00"),
            ),
        ),
    ),
    k.StrategyStarted(
        strategy_id=STRATEGY,
        class_name="S",
        fingerprint="f",
        parts={"S.on_bar": "0a"},
        parameters={"fast": "10"},
    ),
    k.StrategyStopping(strategy_id=STRATEGY),
    k.StrategiesStopped(),
    k.ClientServes(
        client_id=ClientId("F"),
        kind=DataKind.BARS,
        instrument_id=s.PAIR.id,
        bar_type=BARS,
        answer=True,
    ),
    k.ClientBars(client_id=ClientId("F"), instrument_id=s.PAIR.id, bar_types=(BARS,)),
    k.PriceFresh(instrument_id=s.PAIR.id),
    k.RoutesSet(
        routes=(
            k.RecordedRoute(
                strategy_id=StrategyId(STRATEGY), venue=s.TRADED.venue, account_id=s.ACCOUNT
            ),
        ),
        guarded=(s.ACCOUNT,),
    ),
    k.IdsTaken(strategy_id=STRATEGY, count=3),
    k.CalledFromOutside(what="S-001.set"),
    k.Killed(),
]


class Temper(wb.CustomData, frozen=True):
    score: float


class Secret:
    """A stand-in for a wrapped secret: it has no encoding."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "***"


def journaled(folder: Path, *items: tuple[str, Any]) -> Journal:
    journal = s.inline(folder)
    for number, (kind, message) in enumerate(items, start=1):
        journal.append(kind, message, number=number, ts=number * 10**9)
    return journal


def test_what_is_appended_comes_back_as_it_was_with_its_envelope(tmp_path: Path) -> None:
    messages = [s.submit(1), s.accepted(1), s.filled(1), s.account(5), s.PAIR, s.quote(2), Temper(
        score=0.5, ts_event=1, ts_init=1
    ), *PAYLOAD_SAMPLES, *CIRCUMSTANCE_SAMPLES]  # fmt: skip
    kinds = ["command", "event", "event", "event", "instrument", "data", "data"]
    kinds += ["raw", "purge", "data", "promotion", "exception", "run"]
    kinds += ["circumstance"] * len(CIRCUMSTANCE_SAMPLES)
    with journaled(tmp_path, *zip(kinds, messages, strict=True)) as journal:
        found = list(journal.messages())
    assert [r.message for r in found] == messages
    assert [r.kind.value for r in found] == kinds
    assert [r.sequence for r in found] == [r.number for r in found] == list(range(1, 25))
    assert [r.ts for r in found] == [n * 10**9 for n in range(1, 25)]


def test_there_is_a_sample_of_every_payload() -> None:
    samples = (*PAYLOAD_SAMPLES, *CIRCUMSTANCE_SAMPLES)
    names = {type(sample).__name__ for sample in samples} | {"RunStopped"}
    assert names == {kind.__name__ for kind in PAYLOADS}


def test_the_kinds_of_the_event_log_are_kinds_of_the_journal() -> None:
    assert {kind.value for kind in RecordKind} <= {kind.value for kind in JournalKind}


def test_what_changes_after_it_was_appended_was_kept_as_it_was(tmp_path: Path) -> None:
    with s.inline(tmp_path) as journal:
        order = Order.from_initialized(s.order(1))
        before = copy.deepcopy(order)
        journal.append("derived", order)
        order.apply(s.submitted(1))
        (record,) = journal.messages()
    assert record.message == before != order


@pytest.mark.parametrize("message", ["text", None, {"a": 1}, object(), 5])
def test_what_nobody_can_read_again_is_refused_where_it_is_appended(
    tmp_path: Path, message: object
) -> None:
    with s.inline(tmp_path) as journal:
        with pytest.raises(CodecError, match=r"is not a message type"):
            journal.append("event", message)
        assert journal.sequence == 0


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    with s.inline(tmp_path) as journal:
        with pytest.raises(ConfigError, match=r"one of .*command.*got 'evnt'"):
            journal.append("evnt", s.event(1))
        with pytest.raises(ConfigError, match=r"evnt"):
            journal.records("evnt")
        assert journal.sequence == 0


# --- secrets -------------------------------------------------------------------------------------


def test_a_wrapped_secret_cannot_be_journaled_and_is_not_in_the_error(tmp_path: Path) -> None:
    wrapped: Any = Secret("hunter2-hunter2")
    attempts: list[Callable[[Journal], object]] = [
        lambda journal: journal.append("event", wrapped),
        lambda journal: journal.append(
            "exception", ExceptionRaised(where="x", type_name="E", text=wrapped)
        ),
        lambda journal: journal.append(
            "promotion", msgspec.structs.replace(PAYLOAD_SAMPLES[3], certificate={"key": wrapped})
        ),
        lambda journal: journal.begin_run("t", config={"venue": {"api_secret": wrapped}}),
        lambda journal: journal.begin_run("t", environment={"KEY": wrapped}),
    ]
    with s.inline(tmp_path) as journal:
        for attempt in attempts:
            with pytest.raises(CodecError) as caught:
                attempt(journal)
            assert "hunter2" not in str(caught.value)
        assert (journal.sequence, journal.run) == (0, 0)


def test_the_venues_secret_cannot_be_journaled(tmp_path: Path) -> None:
    secrets = pytest.importorskip("workbench.venues.secrets")
    wrapped = secrets.Secret("hunter2-hunter2")
    with s.inline(tmp_path) as journal, pytest.raises(CodecError) as caught:
        journal.begin_run("t", config={"api_secret": wrapped})
    assert "hunter2" not in str(caught.value)


def test_known_secrets_are_hidden_in_everything_that_is_written(tmp_path: Path) -> None:
    key = "s3cr3t-k3y"
    with s.inline(tmp_path, redact=hide([key, "s3cr3t-k3y-longer"])) as journal:
        journal.append(
            "raw",
            RawReport(client_id=ClientId("B"), source="ws", data=b"key=%b&x=\xff" % key.encode()),
        )
        journal.append(
            "exception", ExceptionRaised(where="x", type_name="E", text=f"GET ?{key}-longer")
        )
        denied = s.e.OrderDenied(**s.about(1), code="C", reason=f"because of {key}")
        journal.append("event", denied)
        journal.append("promotion", msgspec.structs.replace(
            PAYLOAD_SAMPLES[3], certificate={"by": [key], key: 1}
        ))  # fmt: skip
        journal.append("event", s.filled(1))
        journal.begin_run("t", environment={"URL": f"https://x/?k={key}"})
        raw, exception, event, promotion, fill, run = (r.message for r in journal.messages())
    assert raw.data == b"key=***&x=\xff"
    assert exception.text == "GET ?***"
    assert event.reason == "because of ***"
    assert promotion.certificate == {"by": ["***"], "***": 1}
    assert fill == s.filled(1)
    assert run.environment == {"URL": "https://x/?k=***"}
    for file in tmp_path.iterdir():
        assert key.encode() not in file.read_bytes()


def test_a_secret_too_short_to_tell_from_anything_else_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"four characters or more"):
        hide(["abcdef", "abc"])
    assert redacted(b"x", hide(["abcd"])) == b"x"


@pytest.mark.parametrize("lead", ["", "é", "x" * 31, "x" * 32, "x" * 200, "x" * 300, "x" * 70_000])
def test_a_secret_is_found_wherever_it_stands_in_whatever_letters(
    tmp_path: Path, lead: str
) -> None:
    key = "schlüssel-√2"
    text = f"{lead}{key}"
    with s.inline(tmp_path, redact=hide([key])) as journal:
        for ts in (1, -1, -30, 2**40):
            journal.append("exception", ExceptionRaised(where=text, type_name=key, text=key + lead))
            journal.append("event", s.e.TimeEvent(text, ts, ts))
        for record in journal.messages("exception"):
            message = record.message
            assert (message.where, message.text) == (f"{lead}***", f"***{lead}")
        assert {r.message.name for r in journal.messages("event")} == {f"{lead}***"}


# --- reading -------------------------------------------------------------------------------------


def mixed(folder: Path) -> Journal:
    return journaled(
        folder,
        ("time", s.event("a")),
        ("data", s.quote(1)),
        ("command", s.submit(1)),
        ("data", s.quote(2)),
        ("event", s.submitted(1)),
        ("event", s.filled(1)),
        ("stall", LoopStalled(5, 6, 7)),
        ("data", s.quote(3)),
    )


@pytest.mark.parametrize(
    ("wanted", "sequences"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"kind": "event"}, [5, 6]),
        ({"kind": ("data", JournalKind.TIME)}, [1, 2, 4, 8]),
        ({"kind": "data", "after": 2}, [4, 8]),
        ({"kind": "stall"}, [7]),
        ({"kind": ()}, []),
        ({"types": "OrderFilled"}, [6]),
        ({"types": ("OrderFilled", "Quote")}, [2, 4, 6, 8]),
        ({"since": 3 * 10**9, "until": 5 * 10**9}, [3, 4]),
        ({"since": "1970-01-01 00:00:07"}, [7, 8]),
        ({"since": datetime(1970, 1, 1, 0, 0, 8, tzinfo=UTC)}, [8]),
        ({"until": "1970-01-01T01:00:02+01:00"}, [1]),
        ({"after": 6}, [7, 8]),
    ],
)
def test_records_are_chosen_by_kind_type_time_and_sequence(
    tmp_path: Path, wanted: dict[str, Any], sequences: list[int]
) -> None:
    with mixed(tmp_path) as journal:
        journal.flush()
        # In chunks of one, two and more, and across them.
        journal.append("data", s.quote(9), ts=2**62)
        assert [r.sequence for r in journal.messages(**wanted) if r.sequence < 9] == sequences


@pytest.mark.parametrize(("limit", "sequences"), [(3, [6, 7, 8]), (1, [8]), (99, [*range(1, 9)])])
def test_the_newest_records_are_the_last_ones_of_any_kind(
    tmp_path: Path, limit: int, sequences: list[int]
) -> None:
    with mixed(tmp_path) as journal:
        assert journal.newest(limit).sequence.tolist() == sequences
        with pytest.raises(ConfigError, match="1 or more; got 0"):
            journal.newest(0)


def test_a_time_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with mixed(tmp_path) as journal, pytest.raises(ConfigError, match=r"a time is nanoseconds"):
        journal.records(since="soon")


def test_records_are_a_frame_with_what_each_says(tmp_path: Path) -> None:
    with mixed(tmp_path) as journal:
        frame = journal.records(("command", "data"))
        assert frame.sequence.tolist() == [2, 3, 4, 8]
        assert frame.channel.tolist() == ["data_events", "trading_commands", *["data_events"] * 2]
        assert frame.type.tolist() == ["Quote", "SubmitOrder", "Quote", "Quote"]
        assert str(frame.time.dtype) == "datetime64[ns, UTC]"
        assert frame.message[0] == s.quote(1)
        assert frame.told[0].startswith("Quote(instrument_id=AUD/USD.SIM, bid=1.00001")
        assert list(journal.records("promotion").columns) == list(frame.columns)
        fills = journal.fills()
        assert fills.price.tolist() == [Decimal("1.00001")]
        assert journal.order_events().event.tolist() == ["OrderSubmitted", "OrderFilled"]


def test_runs_tell_how_they_began_and_ended_and_one_that_was_killed(tmp_path: Path) -> None:
    with s.inline(tmp_path) as journal:
        assert journal.runs().empty
        config = wb.TradingNodeConfig(trader_id="TRADER-001")
        journal.begin_run("one", version="1.2", config=config, accounts=[s.TRADED])
        journal.append("event", s.account(5))
        journal.begin_run("two")
        journal.append("time", s.event("a"))
        journal.end_run("asked for", [ValueError("bad")])
        runs = journal.runs()
        assert runs.run.tolist() == [1, 2]
        assert runs.records.tolist() == [2, 3]
        assert runs.accounts.tolist() == ["SIM-PAPER", ""]
        assert runs.ended.isna().tolist() == [True, False]
        assert runs.reason.tolist() == [None, "asked for"]
        assert runs.faults[1] == "ValueError: bad"
        assert [r.sequence for r in journal.messages(run=1)] == [1, 2]
        assert [r.sequence for r in journal.messages(run=-1)] == [3, 4, 5]
        with pytest.raises(ConfigError, match=r"no run 3 is in this journal; there are: 1 to 2"):
            journal.records(run=3)
        began = journal.run_entries()[0].began
        assert json.loads(began.config)["trader_id"] == "TRADER-001"
        assert began.version == "1.2"


def test_a_tag_never_comes_up_again_even_when_the_clock_was_set_back(tmp_path: Path) -> None:
    with s.inline(tmp_path) as journal:
        first = journal.unused_run_tag(10**18)
        journal.begin_run(first)
        second = journal.unused_run_tag(10**18)
        journal.begin_run(second)
    with s.inline(tmp_path) as journal:
        assert len({first, second, journal.unused_run_tag(10**18)}) == 3
        with pytest.raises(JournalError, match=r"client order ids would come up again"):
            journal.begin_run(first)


def test_a_journal_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    with s.threaded(tmp_path) as journal:
        view = Journal.read_only(journal.path)
        assert view.records().empty
        for number in range(5):
            journal.append("event", s.submitted(number))
        journal.flush()
        reading = view.messages()
        assert next(reading).sequence == 1
        journal.append("event", s.submitted(5))
        journal.append("data", s.quote(5))
        journal.flush()
        # What it reads is of one moment.
        assert [r.sequence for r in reading] == [2, 3, 4, 5]
        assert view.last_sequence == 7
        assert not hasattr(view, "append")


def test_reading_shows_what_was_appended_just_before(tmp_path: Path) -> None:
    with s.threaded(tmp_path, linger_s=3600.0) as journal:
        journal.append("data", s.quote(1))
        assert journal.waiting == 1
        assert len(journal.records()) == 1


def test_data_of_a_class_that_is_gone_is_named(tmp_path: Path) -> None:
    from workbench.model.custom_data import CUSTOM_TYPES

    class Gone(wb.CustomData, frozen=True):
        score: int

    with journaled(tmp_path, ("data", Gone(score=1, ts_event=1, ts_init=1))) as journal:
        assert len(journal.records("data")) == 1
        del CUSTOM_TYPES["Gone"]
        with pytest.raises(JournalError, match=r"a custom.Gone. .* define its class first"):
            journal.records("data")


def test_it_says_what_it_holds(tmp_path: Path) -> None:
    with mixed(tmp_path) as journal:
        journal.begin_run("<one>")
        summary = journal.summary()
        assert summary["records"] == 9
        assert summary["data records"] == 3
        assert repr(journal).startswith("<Journal of TRADER-001: 9 records of 1 runs, ")
        page = journal._repr_html_()
        assert "Journal of TRADER-001" in page
        assert "event records" in page
        assert repr(next(journal.messages("stall"))).startswith("<7 stall: LoopStalled(")
    path = journal.path
    view = Journal.read_only(path)
    path.unlink()
    assert "there is no journal" in repr(view)
    assert "there is no journal" in view._repr_html_()
    with pytest.raises(JournalError, match=r"there is no journal"):
        Journal.read_only(path)


# --- the recorder --------------------------------------------------------------------------------


def test_a_recorder_keeps_handled_messages_with_their_numbers_and_instruments_but_no_data(
    tmp_path: Path,
) -> None:
    with s.inline(tmp_path) as journal:
        recorder = Recorder(journal)
        recorder.tap(1, ChannelName.DATA_EVENTS, s.PAIR)
        recorder.tap(2, ChannelName.DATA_EVENTS, s.quote(1))
        recorder.tap(3, ChannelName.TRADING_COMMANDS, s.submit(1))
        recorder.tap(4, ChannelName.EXECUTION_EVENTS, s.submitted(1))
        recorder.add(4, RecordKind.DERIVED, s.order(1))
        recorder.tap(5, ChannelName.TIME_EVENTS, s.event(1))
        recorder.purged(6, HistoryPurged(closed_before_ns=1))
        found = [(r.number, r.kind.value) for r in journal.messages()]
        assert found == [
            (1, "instrument"),
            (3, "command"),
            (4, "event"),
            (4, "derived"),
            (5, "time"),
            (6, "purge"),
        ]
        assert len(list(journal.log())) == 4
        with_data = Recorder(journal, records_data=True)
        with_data.tap(7, ChannelName.DATA_EVENTS, s.quote(1))
        assert [r.message for r in journal.messages("data")] == [s.quote(1)]


def test_market_data_is_left_out_while_too_much_waits_and_the_gap_is_recorded(
    tmp_path: Path,
) -> None:
    with s.inline(tmp_path, congested_at=2) as journal:
        recorder = Recorder(journal, records_data=True)
        for number in range(1, 8):
            recorder.tap(number, ChannelName.DATA_EVENTS, s.quote(number))
        recorder.tap(8, ChannelName.EXECUTION_EVENTS, s.submitted(8))  # never left out
        journal.flush()
        recorder.tap(9, ChannelName.DATA_EVENTS, s.quote(9))
        found = [r.message for r in journal.messages()]
    gap = DataNotRecorded(count=4, first_number=4, last_number=7)
    assert found == [*map(s.quote, (1, 2, 3)), s.submitted(8), gap, s.quote(9)]
    assert recorder.data_left_out == 4


def test_market_data_that_is_committed_together_takes_little_room(tmp_path: Path) -> None:
    with s.inline(tmp_path) as journal:
        for number in range(10_000):
            journal.append("data", s.quote(number), number=number)
    bytes_each = journal.path.stat().st_size / 10_000
    assert bytes_each < 60  # encoded alone each has more than twice that


# --- Parquet -------------------------------------------------------------------------------------


def test_an_export_has_a_file_for_each_kind_with_exact_amounts(tmp_path: Path) -> None:
    third = Decimal(1) / 3
    tiny = Decimal("0.000000000000000000000000000000123456789012345678901234567")
    huge = Decimal(10) ** 60 + third
    with mixed(tmp_path) as journal:
        for number, price in enumerate((third, tiny, Decimal(100_000)), start=2):
            fill = msgspec.structs.replace(s.filled(number), price=price)
            journal.append("event", fill)
        journal.append("derived", msgspec.structs.replace(s.filled(1), price=huge))
        journal.append("derived", msgspec.structs.replace(s.filled(2), price=tiny))
        files = journal.export(tmp_path / "out")
        assert [file.name for file in files] == [
            *("command.parquet", "data.parquet", "derived.parquet", "event.parquet"),
            *("stall.parquet", "time.parquet"),
        ]
        assert [f.name for f in journal.export(tmp_path / "some", kind="data")] == ["data.parquet"]
    events = pq.read_table(tmp_path / "out" / "event.parquet").to_pylist()
    assert [row["type"] for row in events] == ["OrderSubmitted", *["OrderFilled"] * 4]
    assert [row["price"] for row in events] == [
        None,
        *(Decimal("1.00001"), third, tiny, Decimal(100_000)),
    ]
    assert events[1]["commission_currency"] == "USD"
    assert events[1]["side"] == "buy"
    derived = pq.read_table(tmp_path / "out" / "derived.parquet").to_pylist()
    assert [Decimal(row["price"]) for row in derived] == [huge, tiny]
    commands = pq.read_table(tmp_path / "out" / "command.parquet").to_pylist()
    assert json.loads(commands[0]["order"])["quantity"] == "10"
    data = pq.read_table(tmp_path / "out" / "data.parquet").to_pandas()
    assert data.bid.tolist() == [s.quote(n).bid for n in (1, 2, 3)]
    assert str(data.time.dtype) == "datetime64[ns, UTC]"


def test_parts_of_an_export_that_differ_in_type_are_brought_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.node.journal import parquet

    monkeypatch.setattr(parquet, "_AT_ONCE", 1)
    prices = [Decimal("1.5"), Decimal("1E+50"), Decimal("1E-40"), Decimal("NaN")]
    with s.inline(tmp_path) as journal:
        for number, price in enumerate(prices):
            journal.append("event", msgspec.structs.replace(s.filled(number), price=price))
        journal.append("event", s.submitted(9))
        journal.export(tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "event.parquet").to_pylist()
    assert [Decimal(row["price"]) for row in rows[:3]] == prices[:3]
    assert Decimal(rows[3]["price"]).is_nan()
    assert rows[4]["price"] is None


def test_an_export_to_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with (
        mixed(tmp_path) as journal,
        pytest.raises(JournalError, match=r"cannot write Parquet files to"),
    ):
        journal.export(tmp_path / "out")

"""The event log: records, kinds, bytes."""

from __future__ import annotations

import pytest

from workbench.model.codec import decode, encode
from workbench.model.commands import ShutdownSystem
from workbench.model.errors import CodecError, ConfigError
from workbench.model.events import LoopStalled, TimeEvent
from workbench.model.identifiers import ComponentId
from workbench.runtime import TRADING_KINDS, EventLog, Record, RecordKind
from workbench.runtime.channels import ChannelName

TIME = TimeEvent("t", 1, 2)
STALL = LoopStalled(5, 6, 7)
COMMAND = ShutdownSystem(component_id=ComponentId("c"), reason="r", ts_init=3)


def filled() -> EventLog:
    log = EventLog()
    log.tap(1, ChannelName.TIME_EVENTS, TIME)
    log.tap(2, ChannelName.DATA_EVENTS, TIME)
    log.tap(3, ChannelName.TRADING_COMMANDS, COMMAND)
    log.tap(4, ChannelName.EXECUTION_EVENTS, TIME)
    log.add(4, RecordKind.DERIVED, STALL)
    log.tap(5, ChannelName.DATA_COMMANDS, COMMAND)
    log.add(5, RecordKind.STALL, STALL)
    return log


def test_the_log_holds_what_was_asked_for_and_happened_in_order_without_market_data() -> None:
    assert list(filled()) == [
        Record(1, RecordKind.TIME, TIME),
        Record(3, RecordKind.COMMAND, COMMAND),
        Record(4, RecordKind.EVENT, TIME),
        Record(4, RecordKind.DERIVED, STALL),
        Record(5, RecordKind.DATA_COMMAND, COMMAND),
        Record(5, RecordKind.STALL, STALL),
    ]
    assert len(filled()) == 6


def test_records_can_be_chosen_by_kind() -> None:
    log = filled()
    assert [record.number for record in log.records(TRADING_KINDS)] == [3, 4, 4]
    assert log.records([]) == []
    assert log.records() == list(log)


def test_equal_histories_have_equal_bytes_whatever_their_numbers() -> None:
    first, second = filled(), EventLog()
    for number, record in enumerate(first, start=100):
        second.add(number, record.kind, record.message)
    assert first.to_bytes() == second.to_bytes()
    second.add(200, RecordKind.STALL, STALL)
    assert first.to_bytes() != second.to_bytes()
    assert first.to_bytes(TRADING_KINDS) == second.to_bytes(TRADING_KINDS)


def test_the_bytes_are_kind_and_msgpack_of_each_record() -> None:
    log = EventLog()
    log.add(1, RecordKind.TIME, TIME)
    log.add(2, RecordKind.STALL, STALL)
    assert log.to_bytes() == b"time\t" + encode(TIME) + b"\nstall\t" + encode(STALL) + b"\n"
    assert decode(log.to_bytes([RecordKind.TIME])[len("time\t") : -1]) == TIME


def test_the_order_and_the_kind_of_records_change_the_bytes() -> None:
    logs = [EventLog() for _ in range(3)]
    logs[0].add(1, RecordKind.TIME, TIME)
    logs[0].add(2, RecordKind.STALL, STALL)
    logs[1].add(1, RecordKind.STALL, STALL)
    logs[1].add(2, RecordKind.TIME, TIME)
    logs[2].add(1, RecordKind.EVENT, TIME)
    logs[2].add(2, RecordKind.STALL, STALL)
    assert len({log.to_bytes() for log in logs}) == 3


def test_what_is_no_message_has_no_bytes() -> None:
    log = EventLog()
    log.add(1, RecordKind.RUN, "text")
    with pytest.raises(CodecError, match="str is not a message type"):
        log.to_bytes()


def test_a_bounded_log_keeps_the_newest_records_and_counts_what_it_dropped() -> None:
    log = EventLog(2)
    for number in range(5):
        log.add(number, RecordKind.RUN, TimeEvent("x", number, number))
    assert [record.number for record in log] == [3, 4]
    assert (len(log), log.dropped) == (2, 3)
    unbounded = EventLog()
    unbounded.tap(1, ChannelName.TIME_EVENTS, TimeEvent("x", 1, 1))
    assert unbounded.dropped == 0
    with pytest.raises(ConfigError, match="1 record or more, or None for all; got 0"):
        EventLog(0)

"""The five channels: order, counters, conflation and its gaps."""

from __future__ import annotations

import threading

import pytest

from tests.waiting import GUARD_S
from workbench.model.data import Bar, BarType, BidAskBar, DataGap, Quote, Trade
from workbench.model.enums import AggressorSide
from workbench.model.errors import ConfigError
from workbench.model.identifiers import InstrumentId, TradeId
from workbench.runtime.channels import (
    Channel,
    ChannelName,
    Channels,
    ConflatingChannel,
    Signal,
    TimedChannel,
)

EURUSD = InstrumentId("EUR/USD.SIM")
GBPUSD = InstrumentId("GBP/USD.SIM")


class StepClock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 1_000

    def __call__(self) -> int:
        return self.now_ns


def quote(number: int, instrument_id: InstrumentId = EURUSD) -> Quote:
    return Quote(instrument_id, 1.0, 1.1, 1.0, 1.0, number, number)


def conflating(capacity: int) -> ConflatingChannel:
    return ConflatingChannel(ChannelName.DATA_EVENTS, Signal(), StepClock(), capacity)


def drained(channel: Channel) -> list[object]:
    return [channel.take() for _ in iter(lambda: channel.depth, 0)]


def test_channels_are_the_five_in_the_order_a_runner_prefers_them() -> None:
    expected = [
        ChannelName.TIME_EVENTS,
        ChannelName.EXECUTION_EVENTS,
        ChannelName.TRADING_COMMANDS,
        ChannelName.DATA_COMMANDS,
        ChannelName.DATA_EVENTS,
    ]
    for channels in (
        Channels.plain(),
        Channels.timed(StepClock()),
        Channels.timed(StepClock(), conflate_above=2),
    ):
        assert [channel.name for channel in channels] == expected
        assert [row.name for row in channels.statistics()] == expected
        assert {id(channel.signal) for channel in channels} == {id(channels.signal)}


def test_every_channel_counts_in_out_depth_and_high_water() -> None:
    for channel in Channels.timed(StepClock()):
        for number in range(5):
            channel.put(number)
        assert [channel.take(), channel.take()] == [0, 1]
        channel.put(5)
        row = channel.statistics()
        assert (row.count_in, row.count_out, row.depth, row.high_water, row.drops) == (
            6,
            2,
            4,
            5,
            0,
        )
        assert channel.count_in == 6


def test_high_water_counts_what_waits_before_anything_was_taken() -> None:
    channel = Channel(ChannelName.TIME_EVENTS)
    channel.put("a")
    channel.put("b")
    assert channel.statistics().high_water == 2


def test_a_timed_channel_tells_the_age_of_its_oldest_message() -> None:
    now = StepClock()
    channel = TimedChannel(ChannelName.DATA_EVENTS, Signal(), now)
    assert channel.statistics().oldest_age_ns is None
    channel.put("old")
    now.now_ns += 70
    channel.put("new")
    now.now_ns += 30
    assert channel.statistics().oldest_age_ns == 100
    channel.take()
    assert channel.statistics().oldest_age_ns == 30


def test_a_timed_channel_keeps_a_histogram_of_hop_latency() -> None:
    now = StepClock()
    channel = TimedChannel(ChannelName.DATA_EVENTS, Signal(), now)
    assert channel.statistics().hop_p50_ns is None
    for latency in (4, 4, 1_000_000):
        channel.put("x")
        now.now_ns += latency
        channel.take()
    row = channel.statistics()
    assert (row.hop_p50_ns, row.hop_p99_ns) == (4, 1_000_000)
    assert channel.hops.count == 3


def test_a_plain_channel_measures_no_times() -> None:
    channel = Channel(ChannelName.DATA_EVENTS)
    channel.put("x")
    row = channel.statistics()
    assert (row.oldest_age_ns, row.hop_p50_ns, row.hop_p99_ns) == (None, None, None)


@pytest.mark.parametrize("channel", list(Channels.timed(StepClock(), conflate_above=2)))
def test_taking_from_an_empty_channel_is_an_index_error(channel: Channel) -> None:
    with pytest.raises(IndexError):
        channel.take()
    assert channel.count_in == 0


def test_execution_events_and_trading_commands_are_never_dropped() -> None:
    channels = Channels.timed(StepClock(), conflate_above=1)
    for channel in (channels.execution_events, channels.trading_commands):
        for number in range(1_000):
            channel.put(quote(number))  # even what a data channel would conflate
        assert [message.ts_event for message in drained(channel)] == list(range(1_000))  # type: ignore[attr-defined]
        assert channel.drops == 0


def test_data_events_are_lossless_by_default() -> None:
    channel = Channels.timed(StepClock()).data_events
    sent = [quote(number) for number in range(10_000)]
    for message in sent:
        channel.put(message)
    assert drained(channel) == sent
    assert channel.drops == 0


def test_a_conflating_channel_keeps_the_latest_per_instrument_and_reports_the_gap_first() -> None:
    channel = conflating(2)
    channel.put(quote(1, EURUSD))
    channel.put(quote(2, GBPUSD))
    for number in (3, 4, 5):
        channel.put(quote(number, EURUSD))
    assert drained(channel) == [
        DataGap(EURUSD, 3, 5, 5),
        quote(5, EURUSD),
        quote(2, GBPUSD),
    ]
    row = channel.statistics()
    assert (row.count_in, row.count_out, row.depth, row.drops) == (5, 2, 0, 3)


@pytest.mark.parametrize("channel", list(Channels.timed(StepClock(), conflate_above=1))[-1:])
def test_what_waits_is_dropped_and_counted_once(channel: ConflatingChannel) -> None:
    for number in range(3):
        channel.put(quote(number))
    dropped = channel.drop_waiting()
    assert channel.depth == 0
    assert channel.drops == 3
    assert dropped == 1  # two had been conflated away before
    channel.put(quote(9))
    assert channel.take() == quote(9)
    assert (channel.count_in, channel.drops) == (4, 3)


def test_a_conflating_channel_below_its_capacity_drops_nothing() -> None:
    channel = conflating(4)
    sent = [quote(number) for number in range(4)]
    for message in sent:
        channel.put(message)
    assert drained(channel) == sent
    assert channel.drops == 0


def test_a_replaced_message_is_the_newest_of_its_instrument_so_order_is_kept() -> None:
    channel = conflating(3)
    for number in range(1, 7):
        channel.put(quote(number))
    assert drained(channel) == [quote(1), quote(2), DataGap(EURUSD, 3, 6, 6), quote(6)]


def test_a_survivor_replaced_between_its_gap_and_itself_brings_a_second_gap() -> None:
    channel = conflating(1)
    channel.put(quote(1))
    channel.put(quote(2))
    assert channel.take() == DataGap(EURUSD, 1, 2, 2)
    channel.put(quote(3))
    assert drained(channel) == [DataGap(EURUSD, 1, 3, 3), quote(3)]


def test_the_only_message_of_an_instrument_is_never_dropped() -> None:
    channel = conflating(1)
    ids = [InstrumentId(f"I{number}.SIM") for number in range(20)]
    for number, instrument_id in enumerate(ids):
        channel.put(quote(number, instrument_id))
    assert [message.instrument_id for message in drained(channel)] == ids  # type: ignore[attr-defined]


def test_what_is_not_market_data_is_never_conflated() -> None:
    channel = conflating(1)
    for message in ("instrument", "response", "response"):
        channel.put(message)
    assert drained(channel) == ["instrument", "response", "response"]


def test_kinds_of_data_and_bar_types_are_conflated_apart() -> None:
    minute, hour = (BarType.parse(f"EUR/USD.SIM-1-{unit}-bid") for unit in ("minute", "hour"))

    def bar(bar_type: BarType, number: int) -> Bar:
        return Bar(bar_type, 1.0, 1.0, 1.0, 1.0, None, number, number)

    sent = [
        bar(hour, 1),
        bar(minute, 2),
        quote(3),
        Trade(EURUSD, 1.0, 1.0, AggressorSide.BUYER, TradeId("T"), 4, 4),
        BidAskBar(bar(minute, 5), bar(minute, 5)),
        BidAskBar(bar(hour, 6), bar(hour, 6)),
    ]
    channel = conflating(1)
    for message in sent:
        channel.put(message)
    assert drained(channel) == sent
    assert channel.drops == 0


def test_a_conflating_channel_measures_the_survivor() -> None:
    now = StepClock()
    channel = ConflatingChannel(ChannelName.DATA_EVENTS, Signal(), now, 1)
    channel.put(quote(1))
    now.now_ns += 50
    assert channel.statistics().oldest_age_ns == 50
    channel.take()
    assert channel.statistics().hop_p50_ns == 50


def test_a_bounded_channel_needs_room_for_one_message() -> None:
    with pytest.raises(ConfigError, match="at least 1 message; got 0"):
        Channels.timed(StepClock(), conflate_above=0)


def test_a_parked_reader_is_woken_once_however_many_threads_put_at_the_same_time() -> None:
    signal = Signal()
    channel = Channel(ChannelName.DATA_EVENTS, signal)
    for _ in range(50):
        wakes: list[int] = []
        signal.wake = lambda wakes=wakes: wakes.append(1)
        signal.parked = True
        barrier = threading.Barrier(4)

        def put(barrier: threading.Barrier = barrier) -> None:
            barrier.wait(GUARD_S)
            channel.put("x")

        threads = [threading.Thread(target=put) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GUARD_S)
        assert wakes == [1]
    assert channel.depth == 200


def test_concurrent_puts_from_several_threads_lose_nothing_and_keep_each_producers_order() -> None:
    producers, each = 4, 5_000
    for channels in (
        Channels.plain(),
        Channels.timed(lambda: 0),
        Channels.timed(lambda: 0, conflate_above=10_000_000),
    ):
        channel = channels.data_events

        def produce(producer: int, channel: Channel = channel) -> None:
            for number in range(each):
                channel.put((producer, number))

        threads = [threading.Thread(target=produce, args=(n,)) for n in range(producers)]
        for thread in threads:
            thread.start()
        taken: list[tuple[int, int]] = []
        while len(taken) < producers * each:
            if channel.depth:
                taken.append(channel.take())
            elif not any(thread.is_alive() for thread in threads) and not channel.depth:
                break
        for thread in threads:
            thread.join(GUARD_S)
        assert channel.count_in == channel.count_out == producers * each
        for producer in range(producers):
            assert [n for p, n in taken if p == producer] == list(range(each))

"""Channels, dispatcher and broadcast against reference models, whatever the sequence."""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workbench.model.data import DataGap, Quote
from workbench.model.identifiers import InstrumentId
from workbench.runtime import (
    BroadcastChannel,
    Channels,
    Dispatcher,
    Handlers,
    Lagged,
    SimulatedClock,
)
from workbench.runtime.channels import Channel, ChannelName, ConflatingChannel, Signal, TimedChannel

TAKE = "take"
operations = st.lists(st.one_of(st.just(TAKE), st.integers(0, 3)), max_size=80)


@given(operations=operations, timed=st.booleans())
def test_a_lossless_channel_is_a_counted_queue(operations: list[Any], timed: bool) -> None:
    ticks = iter(range(10**6))
    channel = (
        TimedChannel(ChannelName.DATA_EVENTS, Signal(), lambda: next(ticks))
        if timed
        else Channel(ChannelName.DATA_EVENTS)
    )
    model: deque[tuple[int, int]] = deque()
    puts = takes = high_water = 0
    for operation in operations:
        if operation == TAKE:
            if model:
                assert channel.take() == model.popleft()
                takes += 1
        else:
            channel.put((puts, operation))
            model.append((puts, operation))
            puts += 1
        high_water = max(high_water, len(model))
        row = channel.statistics()
        assert (row.count_in, row.count_out, row.depth, row.drops) == (puts, takes, len(model), 0)
        assert row.high_water == high_water
        assert row.count_in == row.count_out + row.depth + row.drops
        assert (row.oldest_age_ns is not None) == (timed and bool(model))


@given(operations=operations, capacity=st.integers(1, 6))
def test_a_conflating_channel_loses_nothing_silently(operations: list[Any], capacity: int) -> None:
    channel = ConflatingChannel(ChannelName.DATA_EVENTS, Signal(), lambda: 0, capacity)
    puts = 0
    waiting_ids: dict[str, int] = {}
    dropped = reported = 0
    got: dict[str, list[int]] = {}
    last_put: dict[str, int] = {}

    def take() -> None:
        nonlocal reported
        message = channel.take()
        if isinstance(message, DataGap):
            reported += message.dropped
            assert message.dropped > 0
            return
        got.setdefault(message.instrument_id, []).append(message.ts_event)
        waiting_ids[message.instrument_id] -= 1

    for operation in operations:
        if operation == TAKE:
            if channel.depth:
                take()
        else:
            name = InstrumentId(f"I{operation}.SIM")
            before = channel.depth
            replaces = before >= capacity and waiting_ids.get(name, 0) > 0
            channel.put(Quote(name, 1.0, 1.0, 1.0, 1.0, puts, puts))
            last_put[name] = puts
            puts += 1
            dropped += replaces
            assert channel.depth == before + (not replaces)
            if not replaces:
                waiting_ids[name] = waiting_ids.get(name, 0) + 1
        row = channel.statistics()
        assert row.count_in == puts == row.count_out + row.depth + row.drops
        assert row.drops == dropped
        assert row.depth <= capacity + 4  # the bound, and the only message of each instrument
    while channel.depth:
        take()
    assert reported == dropped
    for name, numbers in got.items():
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == last_put[name]


CHANNELS = [
    "time_events",
    "execution_events",
    "trading_commands",
    "data_commands",
    "data_events",
]
FINAL_ORDER = [0, 3, 4, 2, 1]
messages = st.lists(st.integers(0, 4), max_size=12)
# Each message causes the ones below it, once it is handled.
effects = st.recursive(
    st.tuples(st.integers(0, 4), st.just(())),
    lambda below: st.tuples(st.integers(0, 4), st.lists(below, max_size=3).map(tuple)),
    max_leaves=12,
)


class Model:
    """Five lists and the rule which is next, as slow and plain as can be."""

    def __init__(self, first: list[Any]) -> None:
        self.queues: list[list[Any]] = [[] for _ in CHANNELS]
        self.seen: list[Any] = []
        self.put(first)

    def put(self, first: Any) -> None:
        for message in first:
            self.queues[message[0]].append(message)

    def handle(self, index: int) -> None:
        message = self.queues[index].pop(0)
        self.seen.append(message)
        self.put(message[1])

    def next_of(self, order: list[int]) -> bool:
        for index in order:
            if self.queues[index]:
                self.handle(index)
                return True
        return False


def built(first: list[Any]) -> tuple[Dispatcher, list[Any]]:
    seen: list[Any] = []
    channels = Channels.plain()

    def put(message: Any) -> None:
        getattr(channels, CHANNELS[message[0]]).put(message)

    def handle(message: Any) -> None:
        seen.append(message)
        for effect in message[1]:
            put(effect)

    for message in first:
        put(message)
    return Dispatcher(channels, SimulatedClock(), Handlers(*(handle for _ in range(5)))), seen


def ticking() -> Any:
    ticks = iter(range(10**6))
    return lambda: next(ticks)


@given(first=st.lists(effects, max_size=12), budget=st.integers(0, 5))
def test_slices_handle_messages_in_the_biased_order_of_a_reference(
    first: list[Any], budget: int
) -> None:
    dispatcher, seen = built(first)
    model = Model(first)
    while model.next_of([0, 1, 2, 3, 4]):
        pass
    now = ticking()
    while dispatcher.run_slice(budget, now):
        assert dispatcher.channels.depth > 0
    assert dispatcher.channels.depth == 0
    assert seen == model.seen
    assert dispatcher.number == len(seen)
    assert dispatcher.data_handled == sum(message[0] == 4 for message in seen)


@given(first=st.lists(effects, max_size=12))
def test_a_drain_leaves_data_events_and_then_the_rest_is_in_order(first: list[Any]) -> None:
    dispatcher, seen = built(first)
    model = Model(first)
    while model.next_of([0, 1, 2, 3]):
        pass
    dispatcher.drain()
    assert seen == model.seen
    while model.next_of([0, 1, 2, 3, 4]):
        pass
    while dispatcher.handle_next():
        pass
    assert seen == model.seen


@given(first=st.lists(effects, max_size=12))
def test_a_final_drain_goes_round_in_its_own_order(first: list[Any]) -> None:
    dispatcher, seen = built(first)
    model = Model(first)
    while any(model.queues):
        for index in FINAL_ORDER:
            while model.queues[index]:
                model.handle(index)
    dispatcher.drain_finally()
    assert seen == model.seen
    assert dispatcher.channels.depth == 0


@given(first=st.lists(effects, max_size=12))
def test_a_flush_never_handles_a_data_command_while_a_data_event_waits(first: list[Any]) -> None:
    dispatcher, _ = built(first)
    data = dispatcher.channels.data_events
    waiting: list[int] = []
    dispatcher.taps.append(
        lambda number, name, message: waiting.append(
            data.depth if name is ChannelName.DATA_COMMANDS else 0
        )
    )
    dispatcher.flush()
    assert not any(waiting)
    assert data.depth == dispatcher.channels.data_commands.depth == 0


@given(
    operations=st.lists(st.sampled_from(["send", "read a", "read b"]), max_size=60),
    capacity=st.integers(1, 5),
)
def test_a_broadcast_reader_gets_each_message_or_is_told_how_many_it_missed(
    operations: list[str], capacity: int
) -> None:
    ring = BroadcastChannel(capacity)
    readers = {"read a": ring.subscribe(), "read b": ring.subscribe()}
    seen = dict.fromkeys(readers, 0)  # how many messages each reader knows of
    sent = 0
    for operation in [*operations, *(["read a", "read b"] * (capacity + 1))]:
        if operation == "send":
            ring.send(sent)
            sent += 1
            continue
        got = readers[operation].receive_nowait()
        if got is None:
            assert seen[operation] == sent
        elif isinstance(got, Lagged):
            seen[operation] += got.count
            assert seen[operation] == sent - capacity
        else:
            assert got == seen[operation]
            seen[operation] += 1
    assert set(seen.values()) == {sent}

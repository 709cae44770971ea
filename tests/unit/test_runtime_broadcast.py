"""Broadcast channels: a ring, a cursor per reader, `Lagged` for the slow ones."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.waiting import GUARD_S
from workbench.model.errors import ConfigError, RunnerError
from workbench.runtime import BroadcastChannel, Closed, Lagged


def run(test: Coroutine[Any, Any, None]) -> None:
    async def guarded() -> None:
        async with asyncio.timeout(GUARD_S):
            await test

    asyncio.run(guarded())


def test_every_reader_gets_every_message_sent_since_it_subscribed() -> None:
    ring = BroadcastChannel(10)
    early = ring.subscribe()
    ring.send(1)
    late = ring.subscribe()
    ring.send(2)
    assert [early.receive_nowait() for _ in range(3)] == [1, 2, None]
    assert [late.receive_nowait() for _ in range(2)] == [2, None]


def test_a_slow_reader_gets_lagged_with_the_count_and_goes_on_with_the_oldest_held() -> None:
    ring = BroadcastChannel(3)
    slow, quick = ring.subscribe(), ring.subscribe()
    quick_got: list[Any] = []
    for number in range(8):
        ring.send(number)
        quick_got.append(quick.receive_nowait())
    assert quick_got == list(range(8))
    assert [slow.receive_nowait() for _ in range(5)] == [Lagged(5), 5, 6, 7, None]
    for number in range(8, 12):
        ring.send(number)
    assert slow.receive_nowait() == Lagged(1)
    assert slow.receive_nowait() == 9


def test_a_waiting_reader_is_woken_by_the_next_message() -> None:
    async def test() -> None:
        ring = BroadcastChannel(2)
        readers = [ring.subscribe() for _ in range(3)]
        tasks = [asyncio.create_task(reader.receive()) for reader in readers]
        await asyncio.sleep(0)
        ring.send("x")
        assert await asyncio.gather(*tasks) == ["x"] * 3

    run(test())


def test_closing_the_channel_lets_readers_finish_what_it_holds() -> None:
    async def test() -> None:
        ring = BroadcastChannel(2)
        reader = ring.subscribe()
        waiting = ring.subscribe()
        collected: list[Any] = []

        async def collect() -> None:
            collected.extend([message async for message in waiting])

        task = asyncio.create_task(collect())
        await asyncio.sleep(0)
        for number in range(3):
            ring.send(number)
        ring.close()
        assert [message async for message in reader] == [Lagged(1), 1, 2]
        await task
        assert collected == [Lagged(1), 1, 2]
        with pytest.raises(Closed):
            reader.receive_nowait()
        with pytest.raises(Closed):
            ring.send(4)

    run(test())


def test_closing_a_reader_ends_its_wait_and_takes_it_off_the_list() -> None:
    async def test() -> None:
        ring = BroadcastChannel(2)
        reader = ring.subscribe()
        assert ring.subscriber_count == 1
        task = asyncio.create_task(reader.receive())
        await asyncio.sleep(0)
        reader.close()
        with pytest.raises(Closed):
            await task
        assert ring.subscriber_count == 0
        ring.send("x")
        with pytest.raises(Closed):
            reader.receive_nowait()

    run(test())


def test_a_cancelled_wait_loses_no_message() -> None:
    async def test() -> None:
        ring = BroadcastChannel(2)
        reader = ring.subscribe()
        task = asyncio.create_task(reader.receive())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ring.send("x")
        assert await reader.receive() == "x"

    run(test())


def test_two_tasks_cannot_wait_on_one_reader() -> None:
    async def test() -> None:
        ring = BroadcastChannel(2)
        reader = ring.subscribe()
        task = asyncio.create_task(reader.receive())
        await asyncio.sleep(0)
        with pytest.raises(RunnerError, match="subscribe once for each"):
            await reader.receive()
        ring.send("x")
        assert await task == "x"

    run(test())


def test_a_broadcast_channel_holds_at_least_one_message() -> None:
    with pytest.raises(ConfigError, match="at least 1 message; got 0"):
        BroadcastChannel(0)

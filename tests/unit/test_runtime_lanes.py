"""The eight engine lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.waiting import GUARD_S
from workbench.runtime import Lane, LaneName, Lanes


def lanes_of(handle: Callable[[Any], None]) -> Lanes:
    return Lanes(dict.fromkeys(LaneName, handle))


def test_eight_engine_lanes_are_visible() -> None:
    lanes = lanes_of(print)
    assert [lane.name for lane in lanes] == list(LaneName)
    assert [row.name for row in lanes.statistics()] == [
        "data_commands",
        "data_requests",
        "data_responses",
        "data",
        "risk_commands",
        "risk_events",
        "execution_commands",
        "execution_events",
    ]
    for lane in lanes:
        assert getattr(lanes, lane.name.value) is lane


def test_each_lane_hands_its_messages_to_its_own_handler() -> None:
    seen: list[tuple[LaneName, str]] = []
    lanes = Lanes({name: lambda m, name=name: seen.append((name, m)) for name in LaneName})
    for lane in lanes:
        lane.put("x")
    assert seen == [(name, "x") for name in LaneName]


def test_a_lane_is_drained_synchronously_and_counts() -> None:
    seen: list[int] = []
    lane = Lane(LaneName.DATA, seen.append)
    for number in range(3):
        lane.put(number)
        assert seen[-1] == number
    lane.count(10)
    row = lane.statistics()
    assert (row.count_in, row.count_out, row.depth, row.is_closed) == (13, 13, 0, False)


def test_a_message_put_by_the_lanes_own_handler_is_handled_right_after_it() -> None:
    order: list[str] = []

    def handle(message: str) -> None:
        order.append(f"begin {message}")
        if message == "a":
            lane.put("b")
            lane.put("c")
            assert lane.statistics().depth == 2
        order.append(f"end {message}")

    lane = Lane(LaneName.RISK_EVENTS, handle)
    lane.put("a")
    assert order == ["begin a", "end a", "begin b", "end b", "begin c", "end c"]
    assert lane.statistics().high_water == 2


def test_what_waited_when_a_handler_raised_is_handled_in_order_by_the_next_put() -> None:
    seen: list[str] = []

    def handle(message: str) -> None:
        seen.append(message)
        if message == "a":
            lane.put("b")
            lane.put("c")
            raise ValueError("boom")

    lane = Lane(LaneName.EXECUTION_EVENTS, handle)
    with pytest.raises(ValueError, match="boom"):
        lane.put("a")
    row = lane.statistics()
    assert (row.count_in, row.count_out, row.depth) == (3, 1, 2)
    lane.put("d")
    assert seen == ["a", "b", "c", "d"]
    row = lane.statistics()
    assert (row.count_in, row.count_out, row.depth) == (4, 4, 0)


def test_the_sentinel_ends_every_lanes_task_and_gathering_them_waits_for_it() -> None:
    async def test() -> None:
        lanes = lanes_of(print)
        tasks = [asyncio.ensure_future(lane.run()) for lane in lanes]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        lanes.close()
        async with asyncio.timeout(GUARD_S):
            await asyncio.gather(*tasks)
        assert all(row.is_closed for row in lanes.statistics())

    asyncio.run(test())


def test_a_lane_closed_before_its_task_began_ends_at_once() -> None:
    async def test() -> None:
        lane = Lane(LaneName.DATA, print)
        lane.close()
        lane.close()
        async with asyncio.timeout(GUARD_S):
            await lane.run()
        assert lane.is_closed

    asyncio.run(test())


def test_a_cancellation_ends_a_lane_and_it_can_be_run_again_on_another_loop() -> None:
    lane = Lane(LaneName.DATA, print)

    async def cancelled() -> None:
        task = asyncio.ensure_future(lane.run())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def closed() -> None:
        task = asyncio.ensure_future(lane.run())
        await asyncio.sleep(0)
        lane.close()
        async with asyncio.timeout(GUARD_S):
            await task

    asyncio.run(cancelled())
    assert not lane.is_closed
    asyncio.run(closed())

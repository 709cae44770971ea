"""The replay client under a test's own clock: order, pace, back-pressure, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from workbench.history import Timeline, load
from workbench.model.data import Quote
from workbench.model.errors import ConfigError
from workbench.model.instruments import CurrencyPair
from workbench.runtime.channels import Channel, ChannelName
from workbench.runtime.clock import SimulatedClock
from workbench.sim import OnExhausted, Pacing, ReplayDataClient
from workbench.sim.replay import BATCH

PAIR = CurrencyPair.define("AUD/USD.SIM")
SECOND = 1_000_000_000


class Stage:
    """Time that passes only in `sleep`, which also handles what is in the channel."""

    def __init__(self, times: list[int], speed: float | None, on_exhausted: OnExhausted) -> None:
        self.now = 0.0
        self.deepest = 0
        self.taken: list[tuple[float, int]] = []
        self.ended: list[str] = []
        self.channel = Channel(ChannelName.DATA_EVENTS)
        data = [Quote(PAIR.id, 1.0, 1.1, 1.0, 1.0, ts, ts) for ts in times]
        self.client = ReplayDataClient(
            Timeline(load(data, [PAIR])),
            [PAIR],
            SimulatedClock(times[0]),
            self.channel,
            Pacing(speed, on_exhausted, self.sleep, lambda: self.now),
            self.ended.append,
        )

    async def sleep(self, seconds: float) -> None:
        self.handle()
        self.now += seconds

    def handle(self) -> None:
        self.deepest = max(self.deepest, self.channel.depth)
        while self.channel.depth:
            message: Any = self.channel.take()
            if isinstance(message, Quote):
                self.taken.append((self.now, message.ts_init))

    def run(self, what: Callable[[], Awaitable[None]] | None = None) -> None:
        async def whole() -> None:
            await (what or self.client.run)()

        asyncio.run(whole())


def test_without_a_speed_everything_comes_at_once_in_order() -> None:
    times = list(range(SECOND, 3 * BATCH * SECOND, SECOND))
    stage = Stage(times, None, OnExhausted.STOP)
    stage.run()
    assert [ts for _, ts in stage.taken] == times
    # What is not handled yet holds the replay back.
    assert stage.deepest <= 2 * BATCH
    assert stage.client.is_exhausted
    assert stage.ended == ["the replay is at its end"]


def test_a_speed_paces_and_changes_nothing_else() -> None:
    stage = Stage([0, SECOND, 5 * SECOND], 2.0, OnExhausted.STOP)
    stage.run()
    assert [ts for _, ts in stage.taken] == [0, SECOND, 5 * SECOND]
    for handled_at, ts in stage.taken:
        assert ts / SECOND / 2 <= handled_at <= ts / SECOND / 2 + 0.1


def test_idle_leaves_the_node_running() -> None:
    stage = Stage([0, 1], None, OnExhausted.IDLE)
    stage.run()
    assert stage.client.is_exhausted
    assert stage.ended == []


def test_connecting_sends_the_instruments() -> None:
    stage = Stage([0], None, OnExhausted.STOP)
    stage.run(stage.client.connect)
    assert stage.channel.take() == PAIR
    stage.run(stage.client.disconnect)
    assert not stage.client.is_exhausted


@pytest.mark.parametrize("speed", [0, -1.0, float("nan")])
def test_a_speed_that_goes_nowhere_is_refused(speed: float) -> None:
    with pytest.raises(ConfigError, match="speed must be positive"):
        Stage([0], speed, OnExhausted.STOP)

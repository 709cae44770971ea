"""The replay data client: history put into a running node, paced or as fast as it is handled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from workbench.history import Timeline
from workbench.model.errors import ConfigError
from workbench.model.instruments import Instrument
from workbench.runtime.channels import Channel
from workbench.runtime.clock import Clock
from workbench.sim.history_client import HistoryDataClient

BATCH = 4096
_SHORTEST_SLEEP_S = 0.0005
_LONGEST_SLEEP_S = 0.05


class OnExhausted(StrEnum):
    """What happens when the data is at its end."""

    STOP = "stop"
    IDLE = "idle"


@dataclass(frozen=True)
class Pacing:
    """How a replay goes.

    Attributes:
        speed: How many times real speed; None for as fast as it is handled.
        on_exhausted: Stop the node, or leave it running.
        sleep: Waits for so many seconds.
        now: A monotonic clock in seconds.
    """

    speed: float | None
    on_exhausted: OnExhausted
    sleep: Callable[[float], Awaitable[None]]
    now: Callable[[], float]

    def __post_init__(self) -> None:
        """Check the speed."""
        if self.speed is not None and not self.speed > 0:
            raise ConfigError(
                "speed must be positive (1 is real speed), or None for no pacing;"
                f" got {self.speed!r}"
            )


class ReplayDataClient(HistoryDataClient):
    """Puts stored data into the data events of a running node.

    Args:
        timeline: The data.
        instruments: Sent when it connects.
        clock: The node's simulated clock.
        channel: The data events, whose depth holds the replay back.
        pacing: How fast, and what then.
        shutdown: Asks the node to stop; called with a reason when the data is at its end.
    """

    def __init__(
        self,
        timeline: Timeline,
        instruments: Iterable[Instrument],
        clock: Clock,
        channel: Channel,
        pacing: Pacing,
        shutdown: Callable[[str], None],
    ) -> None:
        super().__init__(timeline, instruments, clock, channel.put, "REPLAY")
        self.is_exhausted = False
        self._channel = channel
        self._pacing = pacing
        self._shutdown = shutdown

    async def run(self) -> None:
        """Put every event, then wait until all are handled."""
        if self._pacing.speed is None:
            await self._run_freely()
        else:
            await self._run_paced(self._pacing.speed)
        while self._channel.depth:
            await self._pacing.sleep(_SHORTEST_SLEEP_S)
        self.is_exhausted = True
        if self._pacing.on_exhausted is OnExhausted.STOP:
            self._shutdown("the replay is at its end")

    async def _run_freely(self) -> None:
        put = self._channel.put
        for _, events in self.timeline.runs(BATCH):
            for event in events:
                put(event)
            while self._channel.depth > BATCH:
                await self._pacing.sleep(_SHORTEST_SLEEP_S)

    async def _run_paced(self, speed: float) -> None:
        pacing = self._pacing
        first = self.timeline.first_ts
        began = pacing.now()
        for _, events in self.timeline.runs(BATCH):
            for event in events:
                due = began + (event.ts_init - first) / 1e9 / speed
                while (wait := due - pacing.now()) > 0:
                    await pacing.sleep(min(max(wait, _SHORTEST_SLEEP_S), _LONGEST_SLEEP_S))
                while self._channel.depth > BATCH:
                    await pacing.sleep(_SHORTEST_SLEEP_S)
                self._channel.put(event)

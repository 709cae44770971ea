"""Engine lanes: the visible entrances of the engines, each with counters and a task.

A lane without I/O is drained synchronously, in the runner's order: `put` handles the message at
once unless one is being handled, and then right after it. Its task waits for the lane's end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

import msgspec

from workbench.model.display import grid_html, shown


class LaneName(StrEnum):
    """The eight lanes."""

    DATA_COMMANDS = "data_commands"
    DATA_REQUESTS = "data_requests"
    DATA_RESPONSES = "data_responses"
    DATA = "data"
    RISK_COMMANDS = "risk_commands"
    RISK_EVENTS = "risk_events"
    EXECUTION_COMMANDS = "execution_commands"
    EXECUTION_EVENTS = "execution_events"


class LaneStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """A lane's counters at one moment."""

    name: str
    count_in: int
    count_out: int
    depth: int
    high_water: int
    is_closed: bool

    def __repr__(self) -> str:
        """Return its name and how many messages came and wait."""
        closed = ", closed" if self.is_closed else ""
        return f"<{self.name}: {self.depth:,} waiting, {self.count_in:,} in{closed}>"


class Lane:
    """One entrance of an engine.

    Args:
        name: Which of the eight it is.
        handler: What handles its messages.
    """

    def __init__(self, name: LaneName, handler: Callable[[Any], None]) -> None:
        self.name = name
        self.count_in = 0
        self._most_waiting = 0
        self._handler = handler
        self._waiting: deque[Any] = deque()
        self._busy = False
        self._closed = False
        self._future: asyncio.Future[None] | None = None

    def put(self, message: Any) -> None:
        """Handle a message now, or right after those that came before it.

        What the handler raises comes out here. The message that failed counts as out; what still
        waited then is handled first by the next `put`.
        """
        self.count_in += 1
        waiting = self._waiting
        if self._busy or waiting:
            waiting.append(message)
            if len(waiting) > self._most_waiting:
                self._most_waiting = len(waiting)
            if not self._busy:
                self._drain()
            return
        self._busy = True
        try:
            self._handler(message)
        finally:
            self._busy = False
        if waiting:
            self._drain()

    def _drain(self) -> None:
        waiting = self._waiting
        self._busy = True
        try:
            while waiting:
                self._handler(waiting.popleft())
        finally:
            self._busy = False

    def count(self, messages: int) -> None:
        """Count messages that a driver handed to the engine by a resolved route."""
        self.count_in += messages

    @property
    def count_out(self) -> int:
        """Return how many messages were handed to the engine."""
        return self.count_in - len(self._waiting)

    @property
    def high_water(self) -> int:
        """Return how many messages there were at once at most, the one being handled aside."""
        return self._most_waiting or min(1, self.count_in)

    @property
    def is_closed(self) -> bool:
        """Return whether its sentinel has come."""
        return self._closed

    def close(self) -> None:
        """Put the sentinel: what waits is left uncounted as out, and `run` ends."""
        self._closed = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def run(self) -> None:
        """Wait for the sentinel; a cancellation ends it too."""
        if not self._closed:
            self._future = asyncio.get_running_loop().create_future()
            await self._future

    def statistics(self) -> LaneStatistics:
        """Return the counters as they are now."""
        return LaneStatistics(
            name=self.name.value,
            count_in=self.count_in,
            count_out=self.count_out,
            depth=len(self._waiting),
            high_water=self.high_water,
            is_closed=self._closed,
        )


class Lanes:
    """The eight lanes of one core.

    Args:
        handlers: What handles the messages of each.
    """

    def __init__(self, handlers: dict[LaneName, Callable[[Any], None]]) -> None:
        self.data_commands = Lane(LaneName.DATA_COMMANDS, handlers[LaneName.DATA_COMMANDS])
        self.data_requests = Lane(LaneName.DATA_REQUESTS, handlers[LaneName.DATA_REQUESTS])
        self.data_responses = Lane(LaneName.DATA_RESPONSES, handlers[LaneName.DATA_RESPONSES])
        self.data = Lane(LaneName.DATA, handlers[LaneName.DATA])
        self.risk_commands = Lane(LaneName.RISK_COMMANDS, handlers[LaneName.RISK_COMMANDS])
        self.risk_events = Lane(LaneName.RISK_EVENTS, handlers[LaneName.RISK_EVENTS])
        self.execution_commands = Lane(
            LaneName.EXECUTION_COMMANDS, handlers[LaneName.EXECUTION_COMMANDS]
        )
        self.execution_events = Lane(LaneName.EXECUTION_EVENTS, handlers[LaneName.EXECUTION_EVENTS])

    def __iter__(self) -> Iterator[Lane]:
        """Iterate in the order data, risk, execution."""
        yield from (self.data_commands, self.data_requests, self.data_responses, self.data)
        yield from (self.risk_commands, self.risk_events)
        yield from (self.execution_commands, self.execution_events)

    def close(self) -> None:
        """Put a sentinel into each."""
        for lane in self:
            lane.close()

    def statistics(self) -> list[LaneStatistics]:
        """Return the counters of all eight."""
        return [lane.statistics() for lane in self]

    def __repr__(self) -> str:
        """Return how many messages came into all eight, and how many wait."""
        count_in = sum(lane.count_in for lane in self)
        waiting = count_in - sum(lane.count_out for lane in self)
        return f"<Lanes: {waiting:,} waiting, {count_in:,} in>"

    def _repr_html_(self) -> str:
        return grid_html(
            ("lane", "in", "out", "waiting", "at most", "state"),
            (
                (
                    *(s.name, shown(s.count_in), shown(s.count_out), shown(s.depth)),
                    *(shown(s.high_water), "closed" if s.is_closed else "open"),
                )
                for s in self.statistics()
            ),
        )

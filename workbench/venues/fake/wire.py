"""The wire between a client and the venue in memory, and what can go wrong on it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.settings import SettingsMeta
from workbench.venues.errors import VenueError

_R = TypeVar("_R")
_LATER = 10
"""How many times longer than others a request may take whose connection ended."""


class Faults(msgspec.Struct, frozen=True, kw_only=True, metaclass=SettingsMeta):
    """How often what goes wrong: probabilities for each message, and times in seconds.

    Attributes:
        lose_request: A request never arrives; no answer comes.
        lose_answer: A request arrives, and the connection breaks before its answer.
        drop: What the venue sends by itself never arrives.
        duplicate: It arrives twice.
        reorder: It arrives later than what follows.
        disconnect: The connection breaks.
        arrive_late: A request that is on its way when its connection ends arrives all the same,
            though nobody waits for its answer any more.
        delay_s: The longest a message takes; each takes a part of it.
    """

    lose_request: float = 0.0
    lose_answer: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    disconnect: float = 0.0
    arrive_late: float = 0.0
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value < 0 or (name != "delay_s" and value > 1):
                raise ConfigError(f"{name} must be between 0 and 1 (delay_s: 0 or more): {value}")


class Wire:
    """Carries requests and messages of one client.

    Args:
        rng: Decides what goes wrong.
        faults: How often.

    Attributes:
        faults: May be changed at any time.
        is_frozen: While set, nothing comes through in either direction, and nobody is told.
        lose_answers: How many answers are lost next, whatever the faults say.
        lose_requests: How many requests are lost next.
    """

    def __init__(self, rng: random.Random, faults: Faults) -> None:
        self.faults = faults
        self.is_frozen = False
        self.lose_answers = 0
        self.lose_requests = 0
        self._random = rng
        self._lost: Callable[[str], None] | None = None
        self._deliver: Callable[[Any], None] | None = None
        self._arrival_s = 0.0
        self._broken = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        """Return whether there is a client."""
        return self._deliver is not None

    def connect(self, deliver: Callable[[Any], None], lost: Callable[[str], None]) -> None:
        """Take a client."""
        self._deliver, self._lost = deliver, lost
        self._broken = asyncio.Event()

    def disconnect(self) -> None:
        """Let the client go."""
        self._deliver = self._lost = None
        self._broken.set()

    def break_off(self, reason: str) -> None:
        """Break the connection; the client is told, and what is on its way is lost."""
        lost = self._lost
        self.disconnect()
        if lost is not None:
            lost(reason)

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability

    def _delay(self) -> float:
        longest = self.faults.delay_s
        return self._random.random() * longest if longest else 0.0

    # Requests

    async def call(self, work: Callable[[], _R]) -> _R:
        """Carry a request to the venue and its answer back.

        Raises:
            ConnectionError: If the connection breaks on the way; the venue may have done it.
        """
        if not self.is_connected:
            raise ConnectionError("there is no connection")
        try:
            await self._travel()
        except (ConnectionError, asyncio.CancelledError):
            if self._happens(self.faults.arrive_late):
                self._arrive_late(work, self._delay() * _LATER)
            raise
        if self.lose_requests or self._happens(self.faults.lose_request):
            self.lose_requests = max(0, self.lose_requests - 1)
            await self._broken.wait()
            raise ConnectionError("the connection broke")
        answer: _R | None = None
        refusal: Exception | None = None
        try:
            answer = work()
        except Exception as error:
            refusal = error
        if self.lose_answers or self._happens(self.faults.lose_answer):
            self.lose_answers = max(0, self.lose_answers - 1)
            raise ConnectionError("the connection broke before the answer")
        await self._travel()
        if refusal is not None:
            raise refusal
        return answer  # pyright: ignore[reportReturnType]  # it is what `work` returned

    async def _travel(self) -> None:
        broken = self._broken
        if not self.is_connected:
            raise ConnectionError("there is no connection")
        delay_s = self._delay()
        if delay_s:
            await asyncio.sleep(delay_s)
        if self.is_frozen:
            await broken.wait()
        if broken.is_set():
            raise ConnectionError("the connection broke")

    def _arrive_late(self, work: Callable[[], Any], wait_s: float) -> None:
        """Let a request arrive that nobody waits for any more; not while nothing comes through."""

        def arrive() -> None:
            if self.is_frozen:
                self._arrive_late(work, wait_s)
                return
            with suppress(VenueError):  # its answer goes nowhere
                work()

        asyncio.get_running_loop().call_later(max(wait_s, 0.001), arrive)

    # Messages

    def push(self, message: Any) -> None:
        """Carry what the venue sends by itself, in order unless told otherwise."""
        if not self.is_connected or self.is_frozen:
            return
        if self._happens(self.faults.disconnect):
            self.break_off("told to break")
            return
        if self._happens(self.faults.drop):
            return
        for _ in range(2 if self._happens(self.faults.duplicate) else 1):
            self._send(message)

    def _send(self, message: Any) -> None:
        deliver = self._deliver
        loop = asyncio.get_running_loop()
        at_s = loop.time() + self._delay()
        if self._happens(self.faults.reorder):
            at_s += self.faults.delay_s or 0.01
        else:
            at_s = self._arrival_s = max(at_s, self._arrival_s)

        def arrive() -> None:
            if deliver is not None and self._deliver is deliver and not self.is_frozen:
                deliver(message)

        loop.call_at(at_s, arrive)

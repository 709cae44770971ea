"""What is about to leave: cancels first, then in the order it came, no faster than is allowed.

Nothing leaves before it is written down, except a cancel: a journal that cannot be written, or
takes too long, keeps none back.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any

from workbench.venues.connection import told_error
from workbench.venues.rates import Rates
from workbench.venues.tasks import is_cancelled
from workbench.venues.tracked import Tracked

_log = logging.getLogger(__name__)
PATIENCE_S = 1.0
"""How long a cancel waits until it is written down."""


class Priority(IntEnum):
    """What leaves first."""

    CANCEL = 0
    ORDER = 1


class Request:
    """One request that waits to leave.

    Attributes:
        tracked: The order it is about.
        priority: What leaves first.
        is_submit: Whether it is the order itself.
        sequence: Its number in the journal; 0 where there is none.
        send: Sends it and handles the answer.
        refuse: Told why it did not leave.
        deadline_s: On the loop's clock, until when it may wait; None for as long as it takes.
        patience_s: Likewise, until when a cancel waits for being written down.
    """

    __slots__ = (
        "deadline_s",
        "is_submit",
        "patience_s",
        "priority",
        "refuse",
        "send",
        "sequence",
        "tracked",
    )

    def __init__(
        self,
        tracked: Tracked,
        priority: Priority,
        send: Callable[[], Awaitable[None]],
        refuse: Callable[[str], None],
        *,
        is_submit: bool = False,
        sequence: int = 0,
        deadline_s: float | None = None,
    ) -> None:
        self.tracked = tracked
        self.priority = priority
        self.send = send
        self.refuse = refuse
        self.is_submit = is_submit
        self.sequence = sequence
        self.deadline_s = deadline_s
        self.patience_s = 0.0


class Outbox:
    """Lets requests leave one by one; what they wait for afterwards is not waited for here.

    Args:
        rates: The venue's limits.
        is_up: Set while requests may leave.
        durable: Waits until a number of the journal is safe on disk.
        start: Starts the sending of a request.
    """

    def __init__(
        self,
        rates: Rates,
        is_up: asyncio.Event,
        durable: Callable[[int], Awaitable[None]],
        start: Callable[[Request], None],
    ) -> None:
        self._rates = rates
        self._is_up = is_up
        self._durable = durable
        self._start = start
        self._heap: list[tuple[int, int, Request]] = []
        self._count = 0
        self._changed = asyncio.Event()
        self._writing: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._heap)

    def put(self, request: Request) -> None:
        """Let a request leave in its turn."""
        self._count += 1
        heapq.heappush(self._heap, (request.priority, self._count, request))
        self._changed.set()
        if request.priority is Priority.CANCEL:
            request.patience_s = asyncio.get_running_loop().time() + PATIENCE_S
            if self._writing is not None:
                self._writing.cancel()  # an order that waits for the disk holds it up no longer

    def has_cancel(self, tracked: Tracked) -> bool:
        """Return whether a cancel of an order waits here."""
        return any(
            entry[2].tracked is tracked and entry[2].priority is Priority.CANCEL
            for entry in self._heap
        )

    def take_back(self, tracked: Tracked) -> bool:
        """Take an order back that has not left; return whether it was still here."""
        left = [
            entry
            for entry in self._heap
            if entry[2].tracked is not tracked or not entry[2].is_submit
        ]
        if len(left) == len(self._heap):
            return False
        self._heap = left
        heapq.heapify(self._heap)
        return True

    def refuse_orders(self, reason: str) -> None:
        """Refuse whatever waits but cancels."""
        self._refuse(lambda request: request.priority is not Priority.CANCEL, reason)

    def refuse_all(self, reason: str) -> None:
        """Refuse whatever waits."""
        self._refuse(lambda _: True, reason)

    def _refuse(self, is_meant: Callable[[Request], bool], reason: str) -> None:
        entries, self._heap = sorted(self._heap, key=lambda entry: entry[1]), []
        self._heap = [entry for entry in entries if not is_meant(entry[2])]
        heapq.heapify(self._heap)
        for _, _, request in entries:
            if is_meant(request):
                request.refuse(reason)

    async def run(self) -> None:
        """Let requests leave until cancelled."""
        while True:
            self._changed.clear()
            self._refuse_late()
            if not self._heap:
                await self._changed.wait()
                continue
            await self._turn(self._heap[0])

    async def _turn(self, entry: tuple[int, int, Request]) -> None:
        """Let the first request leave, unless something more urgent comes or it has to wait."""
        request = entry[2]
        loop = asyncio.get_running_loop()
        if not self._is_up.is_set():
            await self._wait(self._is_up.wait())
            return
        is_cancel = request.priority is Priority.CANCEL
        if is_cancel:
            await self._try_to_write(request)
        elif not await self._write(entry):
            return
        if not self._heap or self._heap[0] is not entry or not self._is_up.is_set():
            return
        now = round(loop.time() * 1e9)
        wait_ns = self._rates.admit(now, is_order=not is_cancel, is_urgent=is_cancel)
        if wait_ns:
            await self._wait(asyncio.sleep(wait_ns / 1e9))
        elif self._pop(entry):
            self._start(request)

    async def _try_to_write(self, cancel: Request) -> None:
        try:
            async with asyncio.timeout_at(cancel.patience_s):
                await self._durable(cancel.sequence)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
        except Exception as error:
            _log.warning("a cancel leaves all the same: %s", told_error(error))

    async def _write(self, entry: tuple[int, int, Request]) -> bool:
        """Return whether an order is written down; not so if a cancel came meanwhile."""
        request = entry[2]
        self._writing = asyncio.ensure_future(self._durable(request.sequence))
        try:
            await self._writing
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return False
        except Exception as error:
            if self._pop(entry):
                request.refuse(f"it could not be written down: {told_error(error)}")
            return False
        finally:
            self._writing = None
        return True

    def _pop(self, entry: tuple[int, int, Request]) -> bool:
        if entry not in self._heap:
            return False
        self._heap.remove(entry)
        heapq.heapify(self._heap)
        return True

    async def _wait(self, what: Awaitable[object]) -> None:
        """Wait for something, for something that comes, or until a request may wait no longer."""
        loop = asyncio.get_running_loop()
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(what),
            asyncio.ensure_future(self._changed.wait()),
        ]
        deadlines = [one.deadline_s for _, _, one in self._heap if one.deadline_s is not None]
        limit_s = max(0.0, min(deadlines) - loop.time()) if deadlines else None
        try:
            await asyncio.wait(waits, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _refuse_late(self) -> None:
        now_s = asyncio.get_running_loop().time()

        def is_late(request: Request) -> bool:
            return request.deadline_s is not None and request.deadline_s <= now_s

        if any(is_late(request) for _, _, request in self._heap):
            self._refuse(is_late, "it had to wait too long for the venue's rate limits")

"""Asking a venue what became of an order, as often as is sensible and no further."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.identifiers import ClientOrderId
from workbench.model.settings import SettingsMeta
from workbench.venues.connection import check_seconds, told_error
from workbench.venues.tasks import OwnedTasks
from workbench.venues.tracked import Tracked

_log = logging.getLogger(__name__)


class InquirySettings(
    msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True, metaclass=SettingsMeta
):
    """How often a venue is asked about an order.

    Attributes:
        queries: How often at most, before the order counts as unknown.
        first_wait_s: Before the first question, for the answer to come by itself, seconds.
        wait_s: Between two questions.
    """

    queries: int = 5
    first_wait_s: float = 1.0
    wait_s: float = 5.0

    def __post_init__(self) -> None:
        """Check that something is asked."""
        if type(self.queries) is not int or self.queries < 1:
            raise ConfigError(f"queries must be 1 or more; got {self.queries!r}")
        check_seconds("first_wait_s", self.first_wait_s)
        check_seconds("wait_s", self.wait_s)


class Inquiries:
    """The questions of one client; one series for an order at a time.

    Args:
        owner: The client's name.
        settings: How often.
        ask: Asks for an order, sends on what is told, and returns whether the venue knows it.
        is_up: Set while the venue can be asked; without a connection nothing counts.
        tasks: Where the series run.
        on_unanswered: Told of an order at the end of a series that settled nothing.

    Attributes:
        unknown: The orders of which the venue told nothing, with what was asked.
    """

    def __init__(
        self,
        owner: str,
        settings: InquirySettings,
        ask: Callable[[Tracked], Awaitable[bool]],
        is_up: asyncio.Event,
        tasks: OwnedTasks,
        on_unanswered: Callable[[Tracked], None],
    ) -> None:
        self.unknown: dict[ClientOrderId, str] = {}
        self._owner = owner
        self._settings = settings
        self._ask = ask
        self._is_up = is_up
        self._tasks = tasks
        self._on_unanswered = on_unanswered
        self._running: dict[ClientOrderId, asyncio.Task[None]] = {}

    def begin(self, tracked: Tracked, *, at_once: bool = False) -> None:
        """Ask for an order, beginning anew where it is being asked for.

        One that is unknown after a whole series is asked for once.

        Args:
            tracked: The order.
            at_once: Whether there is nothing to wait for first.
        """
        name = tracked.client_order_id
        running = self._running.get(name)
        if running is not None and not running.done():
            if not at_once or running is asyncio.current_task():
                return
            running.cancel()
        task = self._tasks.spawn(self._series(tracked, at_once=at_once), f"asking for {name}")
        self._running[name] = task
        task.add_done_callback(lambda done: self._forget(name, done))

    def end(self, tracked: Tracked) -> None:
        """Take note that everything about an order is settled."""
        if self.unknown.pop(tracked.client_order_id, None) is not None:
            _log.warning("%s: order %s is unknown no longer", self._owner, tracked.client_order_id)

    def _forget(self, name: ClientOrderId, task: asyncio.Task[None]) -> None:
        if self._running.get(name) is task:
            del self._running[name]

    async def _series(self, tracked: Tracked, *, at_once: bool) -> None:
        settings = self._settings
        queries = 1 if tracked.client_order_id in self.unknown else settings.queries
        asked, was_known, wait_s = 0, False, settings.first_wait_s
        while asked < queries:
            if asked or not at_once:
                await asyncio.sleep(wait_s)
                wait_s = settings.wait_s
                if _is_settled(tracked):
                    return
            await self._is_up.wait()
            asked += 1
            try:
                was_known = await self._ask(tracked)
            except Exception as error:
                _log.warning("%s: no answer to a query: %s", self._owner, told_error(error))
                continue
            if _is_settled(tracked) or (was_known and not tracked.awaits_answer):
                return
        self._on_unanswered(tracked)
        if not _is_settled(tracked):
            self._call_unknown(tracked, was_known=was_known)

    def _call_unknown(self, tracked: Tracked, *, was_known: bool) -> None:
        name = tracked.client_order_id
        if name in self.unknown:
            return
        told = "it is still waited for" if was_known else "the venue told nothing of it"
        self.unknown[name] = f"asked {self._settings.queries} times: {told}"
        _log.warning("%s: order %s is unknown: %s", self._owner, name, self.unknown[name])


def _is_settled(tracked: Tracked) -> bool:
    """Return whether nothing is left to ask."""
    return not tracked.awaits_answer and (tracked.last is not None or tracked.is_over)

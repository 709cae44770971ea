"""One connection to a venue: made, watched, made again, and its clock compared with ours.

Whoever uses it says how to connect and what to do after each connect (`restore`: subscribe again,
ask for reports). Until that is done the connection is not `up`, and nothing new is sent.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec

from workbench.model.errors import ConfigError, LifecycleError
from workbench.model.settings import SettingsMeta
from workbench.venues.errors import VenueError
from workbench.venues.secrets import redact
from workbench.venues.tasks import OwnedTasks, is_cancelled

_log = logging.getLogger(__name__)


class LinkState(StrEnum):
    """Where a connection is."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    RESTORING = "restoring"
    UP = "up"
    DOWN = "down"


class LinkTrigger(StrEnum):
    """What can happen to a connection."""

    CONNECT = "connect"
    CONNECTED = "connected"
    RESTORED = "restored"
    GAP = "gap"
    LOSE = "lose"
    CLOSE = "close"


_S, _T = LinkState, LinkTrigger

LINK_TRANSITIONS: Mapping[tuple[LinkState, LinkTrigger], LinkState] = MappingProxyType(
    {
        (_S.CLOSED, _T.CONNECT): _S.CONNECTING,
        (_S.DOWN, _T.CONNECT): _S.CONNECTING,
        (_S.CONNECTING, _T.CONNECTED): _S.RESTORING,
        (_S.RESTORING, _T.RESTORED): _S.UP,
        (_S.UP, _T.GAP): _S.RESTORING,
        (_S.CONNECTING, _T.LOSE): _S.DOWN,
        (_S.RESTORING, _T.LOSE): _S.DOWN,
        (_S.UP, _T.LOSE): _S.DOWN,
        **{(state, _T.CLOSE): _S.CLOSED for state in LinkState},
    }
)
"""The whole table."""


def check_seconds(name: str, value: Any) -> None:
    """Refuse what is no number of seconds above 0.

    Raises:
        ConfigError: Naming the setting.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise ConfigError(f"{name} must be above 0, in seconds; got {value!r}")


class LinkSettings(
    msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True, metaclass=SettingsMeta
):
    """How long a connection waits for what, in seconds.

    Attributes:
        connect_timeout_s: For connecting.
        close_timeout_s: For disconnecting.
        first_back_off_s: Before the first attempt to connect again; doubled for each that follows.
        most_back_off_s: At most so long.
        skew_interval_s: How often the venue's clock is compared with ours.
        ping_timeout_s: For the answer to a ping or a question for the time.
    """

    connect_timeout_s: float = 10.0
    close_timeout_s: float = 3.0
    first_back_off_s: float = 0.25
    most_back_off_s: float = 30.0
    skew_interval_s: float = 60.0
    ping_timeout_s: float = 3.0

    def __post_init__(self) -> None:
        """Check that all are positive."""
        for name in self.__struct_fields__:
            check_seconds(name, getattr(self, name))


class Link:
    """Keeps a connection.

    Args:
        name: Of the client, for messages.
        endpoints: What has `connect` and `disconnect`.
        make_sink: Makes a new sink for each connect; it is given the link and the epoch.
        restore: What is to be done after each connect, before the connection is `up`.
        on_down: Told why the connection is lost.
        clock_ns: Our time.
        settings: How long it waits.
        silence_s: From how long a silence on a connection is taken for dead; None for never.

    Attributes:
        state: Where it is; `LINK_TRANSITIONS` says what can follow.
        epoch: Counts the connects; what comes by an earlier one is not heard.
        reason: Why it was lost last.
        reconnects: How often it was made again.
        skew_ns: The venue's clock less ours, None where it cannot be told.
        up: Set while the state is `up`.
    """

    def __init__(
        self,
        name: str,
        endpoints: Any,
        make_sink: Callable[[Link, int], Any],
        restore: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
        clock_ns: Callable[[], int],
        settings: LinkSettings,
        silence_s: float | None,
    ) -> None:
        self.state = LinkState.CLOSED
        self.epoch = 0
        self.reason = ""
        self.reconnects = 0
        self.skew_ns: int | None = None
        self.up = asyncio.Event()
        self._name = name
        self._endpoints = endpoints
        self._make_sink = make_sink
        self._restore = restore
        self._on_down = on_down
        self._clock_ns = clock_ns
        self._settings = settings
        self._silence_s = silence_s
        self._tasks = OwnedTasks(name, self._failed)
        self._attention = asyncio.Event()
        self._has_gap = False
        self._heard_s = 0.0

    # What happens to it

    def alive(self) -> None:
        """Note that something came."""
        self._heard_s = asyncio.get_running_loop().time()

    def lost(self, reason: str) -> None:
        """Take the connection for dead, and make it again."""
        if (self.state, LinkTrigger.LOSE) not in LINK_TRANSITIONS:
            return
        self.reason = redact(reason)
        self.epoch += 1
        self._move(LinkTrigger.LOSE)
        _log.warning("%s: the connection is lost: %s", self._name, self.reason)
        self._on_down(self.reason)
        self._attention.set()

    def gap(self, reason: str) -> None:
        """Do again what is to be done after a connect, as something may be missing."""
        _log.warning("%s: messages may be missing: %s", self._name, redact(reason))
        self._has_gap = True
        if self.state is LinkState.UP:
            self._move(LinkTrigger.GAP)
        self._attention.set()

    def _move(self, trigger: LinkTrigger) -> None:
        target = LINK_TRANSITIONS.get((self.state, trigger))
        if target is None:
            raise LifecycleError(f"{self._name}: a {self.state.value} link cannot {trigger.value}")
        self.state = target
        if target is LinkState.UP:
            self.up.set()
        else:
            self.up.clear()

    def _failed(self, what: str, error: Exception) -> None:
        self.lost(f"{what} failed: {type(error).__name__}: {error}")

    # Its life

    async def start(self) -> None:
        """Connect for the first time, and keep the connection from then on.

        Raises:
            LifecycleError: If it was started before.
            Exception: What the endpoints raised, or `VenueError` if it was lost meanwhile.
        """
        if self.state is not LinkState.CLOSED:
            raise LifecycleError(f"{self._name}: a link that is {self.state.value} cannot start")
        try:
            await self._open()
        except BaseException:
            self._move(LinkTrigger.CLOSE)
            await self._shut()
            raise
        self._tasks.spawn(self._keep(), "keeping the connection")
        self._tasks.spawn(self._compare_clocks(), "comparing clocks")
        if self._silence_s is not None:
            self._tasks.spawn(self._watch(self._silence_s), "watching the connection")

    async def stop(self) -> None:
        """End it."""
        if self.state is LinkState.CLOSED:
            return
        self.epoch += 1
        self._move(LinkTrigger.CLOSE)
        await self._tasks.close(self._settings.close_timeout_s)
        await self._shut()

    async def _open(self) -> None:
        self._move(LinkTrigger.CONNECT)
        self.epoch += 1
        epoch = self.epoch
        self._has_gap = False
        self.alive()
        async with asyncio.timeout(self._settings.connect_timeout_s):
            await self._endpoints.connect(self._make_sink(self, epoch))
        self._check(epoch)
        self._move(LinkTrigger.CONNECTED)
        await self._measure_skew()
        await self._restore()
        self._check(epoch)
        self.alive()
        self._settle()

    def _check(self, epoch: int) -> None:
        if epoch != self.epoch:
            raise VenueError(f"{self._name}: the connection was lost at once: {self.reason}")

    async def _shut(self) -> None:
        try:
            async with asyncio.timeout(self._settings.close_timeout_s):
                await self._endpoints.disconnect()
        except asyncio.CancelledError:
            if is_cancelled():
                raise
        except Exception as error:
            _log.warning("%s: disconnecting: %s", self._name, told_error(error))

    async def _keep(self) -> None:
        while True:
            await self._attention.wait()
            self._attention.clear()
            if self.state is LinkState.DOWN:
                await self._reopen()
            elif self.state is LinkState.RESTORING:
                await self._fill_gap()

    async def _fill_gap(self) -> None:
        epoch = self.epoch
        self._has_gap = False
        try:
            await self._restore()
            self._check(epoch)
        except Exception as error:
            self.lost(f"what was missing could not be asked for: {told_error(error)}")
        else:
            self._settle()

    def _settle(self) -> None:
        self._move(LinkTrigger.RESTORED)
        if self._has_gap:
            self._move(LinkTrigger.GAP)
            self._attention.set()

    async def _reopen(self) -> None:
        wait_s = self._settings.first_back_off_s
        while True:
            await self._shut()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, self._settings.most_back_off_s)
            try:
                await self._open()
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                self._missed("connecting was broken off")
            except Exception as error:
                self._missed(told_error(error))
            else:
                self.reconnects += 1
                _log.warning("%s: connected again", self._name)
                return

    def _missed(self, why: str) -> None:
        self.lost(f"connecting again: {why}")
        self._attention.clear()

    # Watching

    async def _watch(self, silence_s: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            quiet_s = loop.time() - self._heard_s
            if self.state not in (LinkState.UP, LinkState.RESTORING):
                await self.up.wait()
            elif quiet_s >= silence_s:
                self.lost(f"nothing came for {silence_s:g} s")
            elif quiet_s >= silence_s / 2 and hasattr(self._endpoints, "ping"):
                await self._ping(min(self._settings.ping_timeout_s, silence_s - quiet_s))
            else:
                due_s = silence_s / 2 if quiet_s < silence_s / 2 else silence_s
                due_at_s = loop.time() + max(due_s - quiet_s, 0.001)
                await asyncio.sleep(due_at_s - loop.time())
                if loop.time() - due_at_s > silence_s / 4:
                    self.alive()  # the loop was held up: what came meanwhile is still to be read

    async def _ping(self, timeout_s: float) -> None:
        epoch = self.epoch
        try:
            async with asyncio.timeout(timeout_s):
                await self._endpoints.ping()
        except Exception:
            await asyncio.sleep(0.05)  # no sign of life: the silence goes on
        else:
            if epoch == self.epoch:
                self.alive()

    async def _compare_clocks(self) -> None:
        while True:
            await asyncio.sleep(self._settings.skew_interval_s)
            await self.up.wait()
            await self._measure_skew()

    async def _measure_skew(self) -> None:
        """Compare clocks, taking the venue's time to be that of the middle of the round trip."""
        if not hasattr(self._endpoints, "server_time"):
            return
        before = self._clock_ns()
        try:
            async with asyncio.timeout(self._settings.ping_timeout_s):
                theirs = await self._endpoints.server_time()
        except Exception as error:
            _log.warning("%s: its time could not be asked for: %s", self._name, told_error(error))
            return
        self.skew_ns = theirs - (before + self._clock_ns()) // 2


def told_error(error: BaseException) -> str:
    """Return an error as one line, without secrets."""
    return redact(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)

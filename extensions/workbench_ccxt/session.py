"""One object of ccxt from connect to disconnect: made, listened to, watched over, and closed."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from workbench.venues.errors import NotSentError, VenueError, VenueRejectedError
from workbench.venues.secrets import Credentials
from workbench.venues.tasks import OwnedTasks
from workbench_ccxt.failures import failure, told
from workbench_ccxt.place import Place, check_url, texts
from workbench_ccxt.tapping import Listener, tapped

_log = logging.getLogger(__name__)

_TICK_S = 1.0
SILENCE_S = 4.0
"""A socket that is pinged and stays silent so long is dead."""

_GOODBYE_S = 1.0
_CREDENTIALS = {
    "api_key": "apiKey",
    "api_secret": "secret",
    "passphrase": "password",
    "uid": "uid",
}


class Session:
    """A connection to an exchange through ccxt.

    Args:
        place: Which exchange.
        has_limiter: Whether ccxt spaces requests out; else whoever sends them does.
        on_alive: Told of every frame that comes.
        on_lost: Told once, and why, that the connection is broken.
        on_unread: Told that a message could not be read.

    Attributes:
        exchange: The object of ccxt, once `open` has made it.
    """

    exchange: Any

    def __init__(
        self,
        place: Place,
        *,
        has_limiter: bool,
        on_alive: Callable[[], None],
        on_lost: Callable[[str], None],
        on_unread: Callable[[str], None],
    ) -> None:
        self.exchange = None
        self._place = place
        self._has_limiter = has_limiter
        self._on_alive = on_alive
        self._on_lost = on_lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = False
        self._heard_s: dict[int, float] = {}
        self._listener = Listener(self._frame, on_unread, self.lost)
        self._tasks = OwnedTasks(f"ccxt {place.exchange}", self._failed)

    # Its life

    async def open(self, credentials: Credentials, markets: tuple[Any, Any] | None) -> None:
        """Make the object of ccxt, and load the exchange's markets unless they are given.

        Raises:
            VenueError: If there is no such exchange, or it cannot be reached.
        """
        self._loop = asyncio.get_running_loop()
        # ccxt takes 0.7 s to import: not on the loop.
        ccxt: Any = await asyncio.to_thread(importlib.import_module, "ccxt.pro")
        self.exchange = exchange = self._make(ccxt)
        for name, attribute in _CREDENTIALS.items():
            if name in credentials:
                setattr(exchange, attribute, credentials[name].reveal())
        with told(self._place.exchange):
            if markets is None:
                await exchange.load_markets()
            else:
                exchange.set_markets(*markets)
        self._tasks.spawn(self._watch_sockets(), "watching sockets")

    def _make(self, ccxt: Any) -> Any:
        place = self._place
        found = getattr(ccxt, place.exchange, None)
        if place.exchange not in ccxt.exchanges or found is None:
            close = ", ".join(n for n in ccxt.exchanges if n[:3] == place.exchange[:3]) or "none"
            raise VenueError(
                f"ccxt {ccxt.__version__} streams from no exchange {place.exchange!r}; names that"
                f" begin alike: {close}"
            )
        exchange = tapped(found, self._listener)(
            {"enableRateLimit": self._has_limiter, "newUpdates": True}
        )
        exchange.options = exchange.deep_extend(exchange.options, place.ccxt_options)
        exchange.number = str  # exact; with Decimal ccxt loses the fees of trades
        if place.exchange.startswith("binance"):
            exchange.has["fetchCurrencies"] = False  # needs a key, and tells nothing of markets
        if place.sandbox:
            try:
                exchange.set_sandbox_mode(True)
            except Exception as error:
                raise VenueError(
                    f"ccxt knows no sandbox of {place.exchange}: leave sandbox=True out, or pass"
                    f" urls={{...}} of one ({type(error).__name__}: {error})"
                ) from error
        if place.api_urls:
            exchange.urls["api"] = exchange.deep_extend(exchange.urls["api"], place.api_urls)
        for url in texts(exchange.urls["api"]):
            check_url(url)  # ccxt's own, too
        if exchange.verify is not True:
            raise VenueError(f"ccxt does not check the certificates of {place.exchange}")
        return exchange

    async def close(self) -> None:
        """End every task, socket and request."""
        self._is_over = True
        await self._tasks.close(_GOODBYE_S)
        exchange = self.exchange
        if exchange is None:
            return
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await exchange.close()
        except TimeoutError:
            # A half-open connection hears no goodbye.
            self._abort_sockets()
            await exchange.close()
        finally:
            for attribute in _CREDENTIALS.values():
                setattr(exchange, attribute, None)

    def _abort_sockets(self) -> None:
        for client in self._clients():
            link = getattr(client.connection, "_conn", None)
            transport = getattr(link, "transport", None)
            if transport is not None:
                transport.abort()

    def check(self) -> Any:
        """Return the object of ccxt, for use on this loop.

        Raises:
            NotSentError: If it is not connected, or was on another event loop.
        """
        if self._loop is None or self.exchange is None or self._is_over:
            raise NotSentError(f"{self._place.exchange} is not connected: call connect first")
        if asyncio.get_running_loop() is not self._loop:
            raise NotSentError(
                f"{self._place.exchange} was connected on another event loop: a connection works"
                " on the loop that made it; disconnect there, and connect here"
            )
        return self.exchange

    # What happens to it

    def lost(self, reason: str) -> None:
        """Take note, once, that the connection is broken."""
        if not self._is_over:
            self._is_over = True
            self._on_lost(reason)

    def _failed(self, what: str, error: Exception) -> None:
        self.lost(f"{what}: {failure(self._place.exchange, error)}")

    def _frame(self, client: Any) -> None:
        if self._loop is not None:
            self._heard_s[id(client)] = self._loop.time()
        self._on_alive()

    def _clients(self) -> list[Any]:
        clients: dict[str, Any] = getattr(self.exchange, "clients", None) or {}
        return list(clients.values())

    def _open_clients(self) -> list[Any]:
        return [one for one in self._clients() if one.connection is not None]

    def watch(
        self,
        again: Callable[[], Awaitable[Any]],
        what: str,
        take: Callable[[Any], None] | None = None,
    ) -> asyncio.Task[None]:
        """Watch something until the connection is over; what comes is taken by a tap.

        Args:
            again: A watcher of ccxt.
            what: Says what it watches.
            take: Takes what the watcher returns. With a tap in place that is nothing; but an
                exchange may put a cache of its own there again.
        """

        async def work() -> None:
            while True:
                with told(self._place.exchange):
                    found = await again()
                if take is not None:
                    for one in found or ():
                        take(one)

        return self._tasks.spawn(work(), what)

    async def settled(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait until the sockets that watchers have asked for are open and logged in.

        Raises:
            VenueError: If one of the watchers failed.
        """
        while True:
            await asyncio.sleep(0.02)
            for task in tasks:
                if task.done() and not task.cancelled() and task.exception() is not None:
                    raise failure(self._place.exchange, _as_error(task.exception()))
            clients = self._clients()
            if clients and all(_is_ready(client) for client in clients):
                # Subscriptions leave after the login, and are not always acknowledged.
                await asyncio.sleep(0.05)
                return

    # Signs of life

    async def _watch_sockets(self) -> None:
        """Ping every socket, and take one for dead that is silent too long."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_TICK_S)
            now = loop.time()
            for client in self._open_clients():
                heard = self._heard_s.setdefault(id(client), now)
                if now - before > 2 * _TICK_S:
                    # This loop was held up: what came meanwhile is still to be read.
                    self._heard_s[id(client)] = now
                elif now - heard >= SILENCE_S:
                    self.lost(f"nothing came for {SILENCE_S:g} s, no answer to pings either")
                    return
                if now - heard >= _TICK_S / 2:
                    await self._ping_socket(client)

    async def _ping_socket(self, client: Any) -> None:
        try:
            async with asyncio.timeout(_TICK_S):
                await client.connection.ping()
        except (OSError, RuntimeError, TimeoutError) as error:
            _log.debug("a ping could not be sent: %s", error)

    async def ping(self) -> None:
        """Return once every socket, or the exchange where there is none, has shown life."""
        exchange = self.check()
        clients = self._open_clients()
        if not clients:
            with told(self._place.exchange):
                await exchange.fetch_time()
            self._on_alive()
            return
        before = dict(self._heard_s)
        for client in clients:
            await self._ping_socket(client)
        while any(self._heard_s.get(id(one)) == before.get(id(one)) for one in clients):
            await asyncio.sleep(0.02)

    async def server_time(self) -> int:
        """Return the exchange's time in nanoseconds; requests are signed by it from then on."""
        exchange = self.check()
        if not exchange.has.get("fetchTime"):
            raise VenueRejectedError(f"{self._place.exchange} does not tell its time")
        before = exchange.milliseconds()
        with told(self._place.exchange):
            theirs = int(await exchange.fetch_time())
        ours = (before + exchange.milliseconds()) // 2
        exchange.options["timeDifference"] = ours - theirs
        return theirs * 1_000_000


def _as_error(error: BaseException | None) -> Exception:
    return error if isinstance(error, Exception) else VenueError(repr(error))


def _is_ready(client: Any) -> bool:
    if not client.connected.done() or client.connection is None:
        return False
    return all(
        future.done()
        for name, future in client.futures.items()
        if str(name).startswith("authenticat")
    )

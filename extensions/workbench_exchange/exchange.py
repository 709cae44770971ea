"""`LocalExchange`: the exchange as one object, on the running loop or on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import msgspec

from workbench.model.errors import ConfigError, LifecycleError
from workbench.model.instruments import Number, to_decimal
from workbench.runtime.clock import Clock, LiveClock, SimulatedClock
from workbench_exchange.config import (
    DEFAULT_LISTINGS,
    ExchangeConfig,
    Limits,
    Listing,
    as_accounts,
    as_listings,
)
from workbench_exchange.desk import Desk
from workbench_exchange.faults import ANY, Action, Faults
from workbench_exchange.hub import BEATS_A_SECOND
from workbench_exchange.market import STEP_MS, Market, RandomMarket
from workbench_exchange.server import Server
from workbench_exchange.store import Key, Store
from workbench_exchange.venue import Venue

_LOG = logging.getLogger("workbench_exchange")
_T = TypeVar("_T")
_WAIT_S = 30.0
_ANSWER_S = 0.05  # for the answer to who asked to be disconnected


class Addresses(NamedTuple):
    """Where clients connect.

    Attributes:
        rest: Of REST, without `/api/v3`.
        streams: Of the market streams, without `/ws` or `/stream`.
        requests: Of the WS-API, whole.
    """

    rest: str
    streams: str
    requests: str


class LocalExchange:
    """A spot exchange on this machine's loopback, with accounts, a living market and a memory.

    Use it on a running loop (`async with LocalExchange() as exchange`), or on a thread of its own
    where the loop is somebody else's or often busy, as in a notebook (`LocalExchange().start()`,
    later `.stop()`). Its methods may be called from any thread.

    Args:
        symbols: What is listed: `Listing`s, or texts such as `BTC/USDT` or `SOL/USDT:150`; by
            default BTC/USDT and ETH/USDT.
        accounts: Name → asset → amount, for accounts that the state file does not know yet.
        market: What moves the prices; by default `RandomMarket(seed)`. `QuietMarket()`: nothing.
        seed: Of the default market.
        is_paced: Whether the market moves by itself in real time; else only by `advance`.
        host: 127.0.0.1, localhost or ::1.
        port: 0 takes a free one.
        file: Where its state is kept, mode 0600; by default it is forgotten at the end.
        clock: Its time; by default the wall clock. With a `SimulatedClock`, `advance` moves it.
        maker_fee, taker_fee: Shares of what an order receives.
        limits: How much one client may ask for.
        ping_s: How often sockets are pinged.

    Attributes:
        port: Where it listens.
        faults: What is to go wrong; see `inject`.
        token: What requests to /control show.

    Raises:
        ConfigError: If something cannot be used.

    >>> with LocalExchange(["BTC/USDT"], market=QuietMarket()) as exchange:
    ...     exchange.addresses.rest == f"http://127.0.0.1:{exchange.port}"
    True
    """

    def __init__(
        self,
        symbols: Iterable[Listing | str] = tuple(DEFAULT_LISTINGS.values()),
        *,
        accounts: Mapping[str, Mapping[str, Number]] | None = None,
        market: Market | None = None,
        seed: int = 1,
        is_paced: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        file: str | Path | None = None,
        clock: Clock | None = None,
        maker_fee: Number = Decimal("0.001"),
        taker_fee: Number = Decimal("0.001"),
        limits: Limits | None = None,
        ping_s: float = 20.0,
    ) -> None:
        config = ExchangeConfig(
            listings=as_listings(symbols),
            maker_fee=to_decimal(maker_fee, "maker_fee"),
            taker_fee=to_decimal(taker_fee, "taker_fee"),
            limits=limits or Limits(),
            ping_s=ping_s,
        )
        if accounts is not None:
            config = msgspec.structs.replace(config, accounts=as_accounts(accounts))
        self.config = config
        self.faults = Faults()
        self.token = secrets.token_hex(16)
        self.port = port
        self._host = host
        self._file = None if file is None else Path(file).expanduser()
        self._market = RandomMarket(seed) if market is None else market
        self._is_paced = is_paced
        self._clock = LiveClock(lambda _: None) if clock is None else clock
        self._skew_ms = 0
        self._store: Store | None = None
        self._venue: Venue | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._server = Server(self.faults, ping_s, self.token, self._control)
        self._beating: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Event | None = None
        self._error: Exception | None = None

    # Life

    async def open(self) -> None:
        """Begin to listen, on the running loop.

        Raises:
            LifecycleError: If it is open.
            ConfigError: If the file, host or port cannot be used.
        """
        if self._loop is not None:
            raise LifecycleError("the exchange is open already; close it first")
        self._loop = asyncio.get_running_loop()
        self.faults.begin()
        try:
            if self._file is None:
                self._folder = TemporaryDirectory(prefix="workbench-exchange-")
                self._file = Path(self._folder.name) / "state.sqlite"
            self._remember()
            await self._server.open(self._host, self.port)
        except BaseException:
            self._forget()
            raise
        self.port = self._server.port
        self._beating = asyncio.create_task(self._beat())

    async def close(self) -> None:
        """End every connection, stop listening, and close the file.

        Raises:
            Exception: What ended the market before, if anything did.
        """
        tasks = [task for task in (self._beating, self._restarting) if task is not None]
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        self._beating = self._restarting = None
        self.faults.clear()
        await self._server.close()
        self._forget()
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _remember(self) -> None:
        """Make the venue out of what the file holds."""
        assert self._file is not None
        self._store = Store(self._file)
        self._venue = Venue(self.config, self._store, self._now_ms)
        self._market.open(self._venue)
        self._venue.commit()
        self._server.desk = Desk(self._venue, self.faults, self._now_ms)

    def _forget(self) -> None:
        self._server.desk = None
        if self._store is not None:
            self._store.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = self._file = None
        self._store = self._loop = None

    async def __aenter__(self) -> LocalExchange:
        """Open it."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    def start(self) -> LocalExchange:
        """Run it on a thread of its own, and return it once it listens.

        Raises:
            LifecycleError: If it is open.
            ConfigError: If the file, host or port cannot be used.
        """
        if self._thread is not None or self._loop is not None:
            raise LifecycleError("the exchange is open already; stop it first")
        failures: list[BaseException] = []
        is_ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(is_ready, failures)),
            name="workbench-exchange",
            daemon=True,
        )
        self._thread.start()
        is_ready.wait()
        if failures:
            self._thread.join()
            self._thread = None
            raise failures[0]
        return self

    def stop(self) -> None:
        """End what `start` began; does nothing if it is not running.

        Raises:
            Exception: What ended the market before, if anything did.
        """
        thread, loop, ended = self._thread, self._loop, self._ended
        if thread is None:
            return
        if loop is not None and ended is not None:
            loop.call_soon_threadsafe(ended.set)
        thread.join()
        self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def _live(self, is_ready: threading.Event, failures: list[BaseException]) -> None:
        self._ended = asyncio.Event()
        try:
            await self.open()
        except BaseException as error:
            failures.append(error)
            return
        finally:
            is_ready.set()
        await self._ended.wait()
        try:
            await self.close()
        except Exception as error:
            self._error = error  # for whoever stops it

    def __enter__(self) -> LocalExchange:
        """Start it on a thread of its own."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    # What it is

    @property
    def venue(self) -> Venue:
        """Return accounts, orders and books; to be read on its own loop only.

        Raises:
            LifecycleError: If it was never open.
        """
        if self._venue is None:
            raise LifecycleError("the exchange is not open; start it, or use `async with`")
        return self._venue

    @property
    def keys(self) -> dict[str, Key]:
        """Return each account's key and secret."""
        return dict(self.venue.keys)

    @property
    def heard(self) -> list[str]:
        """Return the streams and the accounts that some socket listens to."""
        desk = self._server.desk
        return [] if desk is None else desk.hub.heard()

    @property
    def addresses(self) -> Addresses:
        """Return where clients connect."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        place = f"{host}:{self.port}"
        return Addresses(f"http://{place}", f"ws://{place}", f"ws://{place}/ws-api/v3")

    def __repr__(self) -> str:
        """Return where it listens and what it lists, and no secret."""
        names = ", ".join(listing.symbol for listing in self.config.listings)
        where = self.addresses.rest if self._loop is not None else "closed"
        return f"LocalExchange({names}; {where})"

    def _now_ms(self) -> int:
        return self._clock.timestamp_ns() // 1_000_000 + self._skew_ms

    # How it moves

    async def _beat(self) -> None:
        """Move the market and publish, until it fails: then at least somebody is told."""
        try:
            await self._beat_on()
        except Exception:
            _LOG.exception("the exchange's market has stopped; it still answers")
            raise

    async def _beat_on(self) -> None:
        """Move the market and publish, at a steady pace."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + 1 / BEATS_A_SECOND, loop.time())
            await asyncio.sleep(due - loop.time())
            if self._server.desk is None:
                continue  # it is down for a moment
            if self._is_paced and self.faults.running.is_set():
                self._step()
            self._server.desk.hub.beat()

    def _step(self) -> None:
        self._market.step(self.venue)
        self.venue.commit()

    def advance(self, steps: int = 1) -> None:
        """Move the market by so many steps of 100 ms, and a simulated clock with it."""
        self._on_loop(lambda: self._advance(steps))

    def _advance(self, steps: int) -> None:
        for _ in range(steps):
            if isinstance(self._clock, SimulatedClock):
                self._clock.advance(self._clock.now_ns + STEP_MS * 1_000_000)
            self._step()

    # What goes wrong

    def inject(
        self, action: Action | str, kind: str = ANY, *, count: int = 1, seconds: float = 0.0
    ) -> None:
        """Let the next `count` messages of a kind go wrong; see `Action`.

        Raises:
            ConfigError: If there is no such action, or a number is not usable.
        """
        self._on_loop(lambda: self.faults.add(action, kind, count=count, seconds=seconds))

    def freeze(self) -> None:
        """Answer nothing from now on; sockets stay open, as if the machine had vanished."""
        self._on_loop(self.faults.running.clear)

    def thaw(self) -> None:
        """Go on after a `freeze`: what came meanwhile is answered now."""
        self._on_loop(self.faults.running.set)

    def skew(self, milliseconds: int) -> None:
        """Set the exchange's clock ahead, or back with a negative number."""

        def move() -> None:
            self._skew_ms = milliseconds

        self._on_loop(move)

    def disconnect(self) -> None:
        """End every connection without a goodbye."""
        self._on_loop(self._server.abort_all)

    async def restart(self, down_s: float = 0.0) -> None:
        """End every connection, forget everything but the file, and come back on the same port.

        To be awaited on the exchange's own loop; from elsewhere use `/control`.
        """
        await self._server.close()
        self._server.desk = None
        assert self._store is not None
        self._store.close()
        self.faults.clear()
        await asyncio.sleep(down_s)
        self._remember()
        await self._server.open(self._host, self.port)

    # From other threads and processes

    def _on_loop(self, act: Callable[[], _T]) -> _T:
        """Do something on the exchange's loop, and wait for it unless this is its thread."""
        loop = self._loop
        if loop is None or _running_loop() is loop:
            return act()

        async def later() -> _T:
            return act()

        return asyncio.run_coroutine_threadsafe(later(), loop).result(_WAIT_S)

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine such as `restart()` on the exchange's loop, from another thread."""
        if self._loop is None or _running_loop() is self._loop:
            work.close()
            raise LifecycleError("the exchange is not on another thread; await the coroutine")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT_S)

    async def _control(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what a request to /control says: `{"do": NAME, ...arguments}`."""
        given = dict(order)
        name = given.pop("do", "")
        if name == "restart":
            # The answer comes first: what asks is disconnected too.
            self._restarting = asyncio.create_task(self._restart_soon(**given))
        elif name == "disconnect":
            asyncio.get_running_loop().call_later(_ANSWER_S, self._server.abort_all)
        elif name in _CONTROLS:
            getattr(self, name)(**given)
        elif name != "status":
            known = ", ".join(sorted([*_CONTROLS, "disconnect", "restart", "status"]))
            raise ConfigError(f"expected a `do` of {known}; got {name!r}")
        return {
            "waiting": self.faults.waiting(),
            "hits": self.faults.hits,
            "is_frozen": not self.faults.running.is_set(),
            "skew_ms": self._skew_ms,
        }

    async def _restart_soon(self, down_s: float = 0.0) -> None:
        await asyncio.sleep(_ANSWER_S)
        await self.restart(down_s)


_CONTROLS = frozenset({"advance", "freeze", "inject", "skew", "thaw"})


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

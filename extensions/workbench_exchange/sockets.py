"""One client's websocket: a queue, a task that empties it, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from workbench_exchange.faults import OF_MESSAGES, Action, Faults

_MOST_WAITING = 100_000


class Connection:
    """A websocket as the rest of the exchange sees it.

    Args:
        faults: What is to go wrong.
        ping_s: How often it is pinged.
        wraps: Whether messages are wrapped with the name of their stream.

    Attributes:
        streams: What it has subscribed to.
        accounts: Whose events it gets, by the number of the subscription.
    """

    def __init__(self, faults: Faults, ping_s: float, *, wraps: bool = False) -> None:
        # Pings are answered by hand: a frozen exchange answers none.
        self.socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=2**20)
        self.wraps = wraps
        self.streams: dict[str, None] = {}
        self.accounts: dict[int, str] = {}
        self._faults = faults
        self._ping_s = ping_s
        self._queue: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        self._held: str | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._transport: asyncio.Transport | None = None

    async def open(self, request: web.BaseRequest) -> None:
        """Shake hands and begin to send."""
        await self.socket.prepare(request)
        self._transport = request.transport
        self._tasks = [asyncio.create_task(one) for one in (self._write(), self._ping())]

    async def close(self) -> None:
        """Send no more, and say goodbye."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.socket.close()

    def abort(self) -> None:
        """End the connection without a goodbye."""
        if self._transport is not None:
            self._transport.abort()

    def send(self, kind: str, text: str) -> None:
        """Send a message, unless it is to go wrong."""
        if self._queue.qsize() > _MOST_WAITING:
            self.abort()  # it reads nothing
            return
        fault = self._faults.take(kind, OF_MESSAGES)
        action = None if fault is None else fault.action
        if action is Action.DROP:
            return
        if action is Action.REORDER and self._held is None:
            self._held = text
            return
        self._put(text, 0.0 if fault is None else fault.seconds)
        if action is Action.DUPLICATE:
            self._put(text, 0.0)
        if self._held is not None:
            self._put(self._held, 0.0)
            self._held = None

    def _put(self, text: str, delay_s: float) -> None:
        self._queue.put_nowait((text, delay_s))

    async def received(self) -> AsyncIterator[str]:
        """Go through the texts that the client sends."""
        async for message in self.socket:
            await self._faults.running.wait()
            if message.type is aiohttp.WSMsgType.PING:
                await self.socket.pong(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                yield message.data

    async def _write(self) -> None:
        try:
            while True:
                text, delay_s = await self._queue.get()
                if delay_s:
                    await asyncio.sleep(delay_s)
                await self._faults.running.wait()
                await self.socket.send_str(text)
        except ConnectionError:
            return  # it has gone; whoever reads from it notices

    async def _ping(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._ping_s)
                await self._faults.running.wait()
                await self.socket.ping()
        except ConnectionError:
            return

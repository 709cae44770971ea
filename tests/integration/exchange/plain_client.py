"""A client of the exchange's protocol that shares no code with the exchange."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp

ACCOUNTS = {name: {"BTC": 10, "USDT": 1_000_000} for name in ("a", "b")}
SYMBOL = "BTCUSDT"


class RefusedError(Exception):
    """An error's reply: HTTP status, body, headers."""

    def __init__(self, status: int, body: Any, headers: dict[str, str]) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body, self.headers = status, body, headers
        self.code = body.get("code")


class PlainClient:
    """REST requests, signed where they must be, and sockets."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Any, key: Any) -> None:
        self.addresses = addresses
        self.session = session
        self.headers: dict[str, str] = {}
        self.now_ms = lambda: time.time_ns() // 1_000_000
        self._rest = f"{addresses[0]}/api/v3/"
        self._api_key, self._secret = key
        self._numbers = itertools.count(1)

    def sign(self, text: str) -> str:
        return hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    async def public(self, path: str, **params: Any) -> Any:
        return await self._send("GET", f"{path}?{urlencode(params)}")

    async def signed(self, method: str, path: str, **params: Any) -> Any:
        params.setdefault("timestamp", self.now_ms())
        query = urlencode(params)
        return await self._send(method, f"{path}?{query}&signature={self.sign(query)}")

    async def _send(self, method: str, path: str) -> Any:
        headers = {"X-MBX-APIKEY": self._api_key}
        async with self.session.request(method, self._rest + path, headers=headers) as reply:
            body = await reply.json()
            self.headers = dict(reply.headers)
            if reply.status != 200:
                raise RefusedError(reply.status, body, self.headers)
            return body

    async def order(self, side: str, kind: str, **params: Any) -> Any:
        return await self.signed("POST", "order", symbol=SYMBOL, side=side, type=kind, **params)

    async def limit(self, side: str, quantity: str, price: str, **params: Any) -> Any:
        params = {"timeInForce": "GTC", "quantity": quantity, "price": price, **params}
        return await self.order(side, "LIMIT", **params)

    async def balances(self) -> dict[str, tuple[str, str]]:
        account = await self.signed("GET", "account")
        return {row["asset"]: (row["free"], row["locked"]) for row in account["balances"]}

    @asynccontextmanager
    async def market(self, *streams: str, wraps: bool = False) -> AsyncIterator[Any]:
        path = f"stream?streams={'/'.join(streams)}" if wraps else f"ws/{'/'.join(streams)}"
        async with self.session.ws_connect(f"{self.addresses[1]}/{path}") as socket:
            yield socket

    @asynccontextmanager
    async def requests(self) -> AsyncIterator[Any]:
        async with self.session.ws_connect(self.addresses[2]) as socket:
            yield socket

    async def ask(self, socket: Any, method: str, **params: Any) -> Any:
        """Send a signed request on a socket and return its reply; events before it are lost."""
        params |= {"apiKey": self._api_key, "timestamp": self.now_ms()}
        text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
        number = next(self._numbers)
        signed = params | {"signature": self.sign(text)}
        await socket.send_json({"id": number, "method": method, "params": signed})
        while True:
            message = await socket.receive_json()
            if message.get("id") == number:
                return message

    async def follow(self, socket: Any) -> int:
        reply = await self.ask(socket, "userDataStream.subscribe.signature")
        return reply["result"]["subscriptionId"]


@asynccontextmanager
async def clients_of(exchange: Any) -> AsyncIterator[list[PlainClient]]:
    """A client of each account, in the order of their names."""
    async with aiohttp.ClientSession() as session:
        yield [
            PlainClient(session, exchange.addresses, key)
            for _, key in sorted(exchange.keys.items())
        ]

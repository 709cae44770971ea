"""HTTP and websockets on one port of the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from workbench.model.errors import ConfigError, WorkbenchError
from workbench_exchange.desk import Desk, LostError
from workbench_exchange.faults import Faults
from workbench_exchange.operations import OPERATIONS, Operation
from workbench_exchange.refusals import RefusalError
from workbench_exchange.sockets import Connection
from workbench_exchange.talks import talk_market, talk_requests

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ROUTES = {(one.method, f"/api/v3/{one.path}"): one for one in OPERATIONS.values()}
_PATHS = {path for _, path in _ROUTES}
_JSON = {"Content-Type": "application/json;charset=UTF-8"}
Control = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Server:
    """Listens, and passes on what comes.

    Args:
        faults: What is to go wrong.
        ping_s: How often sockets are pinged.
        token: What a request to /control must show.
        control: Answers such a request.

    Attributes:
        desk: Where requests are carried out; exchanged when the exchange restarts.
        port: Where it listens; 0 before it does.
    """

    def __init__(self, faults: Faults, ping_s: float, token: str, control: Control) -> None:
        self.desk: Desk | None = None
        self.port = 0
        self._faults = faults
        self._ping_s = ping_s
        self._token = token
        self._control = control
        self._server: web.Server | None = None
        self._runner: web.ServerRunner | None = None

    async def open(self, host: str, port: int) -> None:
        """Begin to listen.

        Raises:
            ConfigError: If the host is not this machine's loopback, or the port is taken.
        """
        if host not in LOOPBACK:
            raise ConfigError(
                f"the exchange listens on loopback only ({', '.join(LOOPBACK)}); got {host!r}"
            )
        self._server = web.Server(self._handle, access_log=None)
        runner = self._runner = web.ServerRunner(self._server, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, host, port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigError(
                f"cannot listen on {host}:{port} ({error.strerror}); port 0 takes a free one"
            ) from error
        self.port = runner.addresses[0][1]

    async def close(self) -> None:
        """End every connection and stop listening."""
        self.abort_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def abort_all(self) -> None:
        """End every connection without a goodbye."""
        handlers = [] if self._server is None else self._server.connections
        for handler in handlers:
            if handler.transport is not None:
                handler.transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        # Against pages that reach for us by a name of theirs that resolves to loopback.
        if (request.url.host or "") not in LOOPBACK:
            return _reply({"code": -1, "msg": "this exchange answers on loopback only"}, 403)
        if request.path.startswith("/control"):
            return await self._answer_control(request)  # also while frozen
        await self._faults.running.wait()
        desk = self.desk
        if desk is None:
            return _reply({"code": -1001, "msg": "the exchange is starting"}, 503)
        if request.path.startswith("/api/"):
            return await self._answer(desk, request)
        return await self._serve_socket(desk, request)

    async def _answer(self, desk: Desk, request: web.BaseRequest) -> web.StreamResponse:
        operation = _ROUTES.get((request.method, request.path))
        if operation is None:
            status = 405 if request.path in _PATHS else 404
            return _reply({"code": -1000, "msg": f"no {request.method} {request.path}"}, status)
        query = request.raw_path.partition("?")[2]
        body = await request.text() if request.can_read_body else ""
        params = dict(parse_qsl(query, keep_blank_values=True))
        params |= parse_qsl(body, keep_blank_values=True)
        api_key = request.headers.get("X-MBX-APIKEY", "")
        delay_s = desk.delay_of(operation.name)
        if delay_s:
            await asyncio.sleep(delay_s)
        try:
            result, status, more = self._carry_out(desk, operation, api_key, params, query, body)
        except LostError:
            if request.transport is not None:
                request.transport.close()
            return web.Response()
        await self._faults.running.wait()
        return _reply(result, status, desk.quota(api_key).headers() | more)

    def _carry_out(
        self,
        desk: Desk,
        operation: Operation,
        api_key: str,
        params: dict[str, str],
        query: str,
        body: str,
    ) -> tuple[Any, int, dict[str, str]]:
        payload = _unsigned(query) + _unsigned(body)
        try:
            return desk.carry_out(operation, api_key, params, [payload]), 200, {}
        except RefusalError as refusal:
            later = refusal.retry_after_s
            more = {} if later is None else {"Retry-After": str(later)}
            return refusal.payload(), refusal.status, more

    async def _answer_control(self, request: web.BaseRequest) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return _reply({"error": "expected the header Authorization: Bearer TOKEN"}, 401)
        try:
            order = msgspec.json.decode(await request.read(), type=dict[str, Any])
            return _reply(await self._control(order))
        except (WorkbenchError, msgspec.MsgspecError, TypeError) as error:
            return _reply({"error": str(error)}, 400)

    async def _serve_socket(self, desk: Desk, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        is_requests = path.startswith("/ws-api/")
        if request.headers.get("Upgrade", "").lower() != "websocket" or not (
            is_requests or path.startswith(("/ws", "/stream"))
        ):
            return _reply({"code": -1000, "msg": f"no {request.method} {path}"}, 404)
        connection = Connection(self._faults, self._ping_s, wraps=path.startswith("/stream"))
        if not is_requests:
            for name in _streams(path, request.url.query.get("streams", "")):
                desk.hub.subscribe(connection, name)
        try:
            await connection.open(request)
            # Whoever leaves in the middle of a message has left.
            with contextlib.suppress(ConnectionError):
                await (talk_requests if is_requests else talk_market)(desk, connection)
        finally:
            desk.hub.forget(connection)
            await connection.close()
        return connection.socket


def _streams(path: str, named: str) -> list[str]:
    """Return the streams that an address names."""
    if path.startswith("/stream"):
        return [name for name in named.split("/") if name]
    return [name for name in path.removeprefix("/ws").split("/") if "@" in name]


def _unsigned(text: str) -> str:
    """Return a query or body without the signature."""
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def _reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers=_JSON | (headers or {})
    )

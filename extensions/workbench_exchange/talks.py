"""What clients say on sockets: subscriptions of the market streams, and requests of the WS-API."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from workbench_exchange import public
from workbench_exchange.desk import Desk, LostError
from workbench_exchange.gate import socket_payloads
from workbench_exchange.operations import OPERATIONS
from workbench_exchange.refusals import RefusalError, missing
from workbench_exchange.sockets import Connection

_MOST_STREAMS = 1024
_FOLLOW = "userDataStream.subscribe.signature"


class Message(msgspec.Struct):
    """A request on a socket."""

    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"null")
    id: Any = None

    def names(self) -> list[str] | None:
        """Return the names in its parameters, None if they are no list of names."""
        try:
            return msgspec.json.decode(self.params, type=list[str] | None) or []
        except msgspec.ValidationError:
            return None

    def texts(self) -> dict[str, str] | None:
        """Return its parameters as texts, None if they are no object.

        A number stays as it was written: that is what was signed.
        """
        try:
            found = msgspec.json.decode(self.params, type=dict[str, msgspec.Raw] | None)
        except msgspec.ValidationError:
            return None
        given: dict[str, msgspec.Raw] = found or {}
        texts = {name: bytes(value).decode() for name, value in given.items()}
        return {
            name: msgspec.json.decode(text) if text.startswith('"') else text
            for name, text in texts.items()
            if text != "null"
        }


def read(text: str) -> Message | None:
    """Return a request, None if it is none."""
    try:
        return msgspec.json.decode(text, type=Message)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


def _text(payload: Any) -> str:
    return msgspec.json.encode(payload).decode()


async def talk_market(desk: Desk, connection: Connection) -> None:
    """Answer a connection of the market streams until it ends."""
    async for text in connection.received():
        message = read(text)
        answer = _BAD_JSON if message is None else _market_answer(desk, connection, message)
        connection.send("reply", _text(answer))


_BAD_JSON: dict[str, Any] = {
    "error": {"code": 3, "msg": "Invalid JSON: expected an object"},
    "id": None,
}


def _market_answer(desk: Desk, connection: Connection, message: Message) -> dict[str, Any]:
    hub, names = desk.hub, message.names()
    if message.method == "LIST_SUBSCRIPTIONS":
        return {"result": list(connection.streams), "id": message.id}
    change = {"SUBSCRIBE": hub.subscribe, "UNSUBSCRIBE": hub.unsubscribe}.get(message.method)
    if change is None or names is None:
        text = f"Invalid request: unknown variant `{message.method}` or params are no list"
        return {"error": {"code": 2, "msg": text}, "id": message.id}
    if len(connection.streams) + len(names) > _MOST_STREAMS:
        return {"error": {"code": 1, "msg": "Too many streams"}, "id": message.id}
    for name in names:
        change(connection, name)
    return {"result": None, "id": message.id}


async def talk_requests(desk: Desk, connection: Connection) -> None:
    """Answer a connection of the WS-API until it ends."""
    async with asyncio.TaskGroup() as late:
        async for text in connection.received():
            message = read(text)
            params = None if message is None else message.texts()
            if message is None or params is None:
                refusal = RefusalError(-1135, "Error parsing request: expected an object")
                connection.send("reply", _text(_error(desk, "", None, refusal)))
                continue
            delay_s = desk.delay_of(message.method)
            if delay_s:
                late.create_task(_answer_late(desk, connection, message, params, delay_s))
            else:
                _answer(desk, connection, message, params)


async def _answer_late(
    desk: Desk, connection: Connection, message: Message, params: dict[str, str], delay_s: float
) -> None:
    await asyncio.sleep(delay_s)
    _answer(desk, connection, message, params)


def _answer(desk: Desk, connection: Connection, message: Message, params: dict[str, str]) -> None:
    api_key = params.get("apiKey", "")
    try:
        result = _carry_out(desk, connection, message.method, params)
    except LostError:
        connection.abort()
        return
    except RefusalError as refusal:
        connection.send("reply", _text(_error(desk, api_key, message.id, refusal)))
        return
    body = {"id": message.id, "status": 200, "result": result, "rateLimits": _used(desk, api_key)}
    connection.send("reply", _text(body))


def _carry_out(desk: Desk, connection: Connection, method: str, params: dict[str, str]) -> Any:
    operation = OPERATIONS.get(method)
    if operation is not None:
        payloads = socket_payloads(params)
        return desk.carry_out(operation, params.get("apiKey", ""), params, payloads)
    if method == _FOLLOW:
        desk.quota(params.get("apiKey", "")).use(2)
        account = desk.gate.account_of(params.get("apiKey", ""))
        desk.gate.check(account, params, socket_payloads(params))
        return {"subscriptionId": desk.hub.follow(connection, account)}
    if method == "userDataStream.unsubscribe":
        return _unfollow(desk, connection, params)
    if method == "session.subscriptions":
        return [{"subscriptionId": number} for number in connection.accounts]
    if method == "session.logon":
        raise RefusalError(
            -4056, "HMAC_SHA256 API key is not supported: sign each request, or subscribe signed."
        )
    raise RefusalError(-1020, f"This operation is not supported: {method!r}")


def _unfollow(desk: Desk, connection: Connection, params: dict[str, str]) -> dict[str, Any]:
    given = params.get("subscriptionId", "")
    numbers = list(connection.accounts)
    if given:
        numbers = [number for number in numbers if str(number) == given]
        if not numbers:
            raise missing("subscriptionId")
    for number in numbers:
        desk.hub.unfollow(connection, number)
    return {}


def _error(desk: Desk, api_key: str, number: Any, refusal: RefusalError) -> dict[str, Any]:
    return {
        "id": number,
        "status": refusal.status,
        "error": refusal.payload(),
        "rateLimits": _used(desk, api_key),
    }


def _used(desk: Desk, api_key: str) -> list[dict[str, Any]]:
    return desk.quota(api_key).lines(public.rate_limits(desk.venue.config))

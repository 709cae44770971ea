"""Misbehaviour on demand: what shall go wrong with the next messages, and with the exchange itself.

Each order to misbehave names a kind of message and how many of them it hits, so that a test which
uses it goes the same way every time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from enum import StrEnum
from typing import Any

import msgspec

from workbench.model.errors import ConfigError

ANY = "*"


class Action(StrEnum):
    """What happens to a message.

    Messages that the exchange sends (their kind is the event's name, such as `executionReport`,
    `trade` or `depthUpdate`, or `reply` for a socket's answers):

    - DROP: it is not sent.
    - DELAY: it, and what comes after it on its connection, is sent so many seconds later.
    - DUPLICATE: it is sent twice.
    - REORDER: it is sent after the next one of its connection.

    Requests (their kind is the operation's name, such as `order.place`):

    - REFUSE: not carried out; answered with status 429.
    - LOSE_REQUEST: not carried out; the connection is closed without an answer.
    - LOSE_REPLY: carried out; the connection is closed without an answer.
    - DELAY: carried out so many seconds later.
    """

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    REFUSE = "refuse"
    LOSE_REQUEST = "lose_request"
    LOSE_REPLY = "lose_reply"


OF_MESSAGES = frozenset({Action.DROP, Action.DELAY, Action.DUPLICATE, Action.REORDER})
OF_REQUESTS = frozenset({Action.REFUSE, Action.LOSE_REQUEST, Action.LOSE_REPLY, Action.DELAY})


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One order to misbehave.

    Attributes:
        action: What happens.
        kind: To which messages; `*` for any.
        count: To how many more of them.
        seconds: For delays.
    """

    action: Action
    kind: str = ANY
    count: int = 1
    seconds: float = 0.0


class Faults:
    """What is to go wrong.

    Attributes:
        hits: How many messages were hit.
        running: Unset while the exchange is frozen: everything waits for it, sockets stay open.
    """

    def __init__(self) -> None:
        self.hits = 0
        self.running = asyncio.Event()
        self._waiting: list[Fault] = []
        self.begin()

    def begin(self) -> None:
        """Let nothing be frozen on the loop that runs now: an event belongs to one loop."""
        self.running = asyncio.Event()
        self.running.set()

    def add(
        self, action: Action | str, kind: str = ANY, *, count: int = 1, seconds: float = 0.0
    ) -> None:
        """Let the next messages of a kind go wrong.

        Raises:
            ConfigError: If there is no such action, or a number is not usable.
        """
        try:
            action = Action(action)
        except ValueError:
            known = ", ".join(Action)
            raise ConfigError(f"expected an action of {known}; got {action!r}") from None
        if count < 1 or seconds < 0:
            raise ConfigError(
                f"expected a count of 1 or more and seconds not below 0; got {count}, {seconds}"
            )
        self._waiting.append(Fault(action=action, kind=kind, count=count, seconds=seconds))

    def clear(self) -> None:
        """Let everything go well from now on."""
        self._waiting.clear()
        self.running.set()

    def waiting(self) -> list[dict[str, Any]]:
        """Return what is still to go wrong."""
        return [msgspec.to_builtins(fault) for fault in self._waiting]

    def take(self, kind: str, actions: Container[Action]) -> Fault | None:
        """Return what happens to a message, None for nothing."""
        for fault in self._waiting:
            if fault.action in actions and fault.kind in (ANY, kind):
                fault.count -= 1
                if fault.count == 0:
                    self._waiting.remove(fault)
                self.hits += 1
                return fault
        return None

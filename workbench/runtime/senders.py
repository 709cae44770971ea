"""The sending halves of the five channels, and the thread's binding of them.

A component reads its senders once, when it is constructed or started, inside the `bound()` block
of the runner it belongs to, and keeps them. Nothing reads thread-local storage while messages flow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol

from workbench.model.errors import SenderError
from workbench.runtime.channels import Channel, Channels


class _Sender:
    """Puts messages into one channel.

    Attributes:
        send: Takes a message; callable from any thread.
    """

    __slots__ = ("channel_name", "send")

    def __init__(self, channel: Channel) -> None:
        self.channel_name = channel.name
        self.send: Callable[[Any], None] = channel.put

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channel_name.value})"


class AsyncTimeEventSender(_Sender):
    """Sends timer and alert firings."""


class AsyncDataCommandSender(_Sender):
    """Sends subscriptions and requests to the data engine."""


class AsyncDataEventSender(_Sender):
    """Sends market data, instruments and responses to the data engine."""


class AsyncTradingCommandSender(_Sender):
    """Sends orders and cancels to the execution engine."""


class AsyncExecEventSender(_Sender):
    """Sends order events, account states, reports and denials to the execution engine."""


class Senders:
    """The five senders of one runner.

    Args:
        channels: The channels they put into.
        owner: A name for messages about the binding.
        on_displaced: Told, with the new owner's name, when another runner binds over this one.
    """

    def __init__(
        self,
        channels: Channels,
        owner: str,
        on_displaced: Callable[[str], None] | None = None,
    ) -> None:
        self.owner = owner
        self.on_displaced = on_displaced
        self.time_event = AsyncTimeEventSender(channels.time_events)
        self.data_command = AsyncDataCommandSender(channels.data_commands)
        self.data_event = AsyncDataEventSender(channels.data_events)
        self.trading_command = AsyncTradingCommandSender(channels.trading_commands)
        self.exec_event = AsyncExecEventSender(channels.execution_events)


class _Binding(Protocol):
    senders: Senders | None


_local: _Binding = threading.local()  # pyright: ignore[reportAssignmentType]


def bind(senders: Senders) -> None:
    """Make `senders` this thread's; the last to bind wins and the one before is told."""
    before = current()
    _local.senders = senders
    if before is not None and before is not senders and before.on_displaced is not None:
        before.on_displaced(senders.owner)


def unbind(senders: Senders) -> None:
    """Take the binding back if it is still that of `senders`."""
    if current() is senders:
        _local.senders = None


def current() -> Senders | None:
    """Return what is bound on this thread, or None."""
    return getattr(_local, "senders", None)


@contextmanager
def bound(senders: Senders) -> Generator[Senders]:
    """Bind for the length of a block and restore what was bound before."""
    before = current()
    _local.senders = senders
    try:
        yield senders
    finally:
        _local.senders = before


def _read(what: str) -> Senders:
    senders = current()
    if senders is None:
        thread = threading.current_thread().name
        raise SenderError(
            f"no {what} sender is bound on thread {thread!r}; read it inside the runner's"
            " `bound()` block or after its `bind_senders()`, on the same thread"
        )
    return senders


def get_time_event_sender() -> AsyncTimeEventSender:
    """Return this thread's sender of time events.

    Raises:
        SenderError: If no runner has bound its senders on this thread.
    """
    return _read("time event").time_event


def get_data_cmd_sender() -> AsyncDataCommandSender:
    """Return this thread's sender of data commands.

    Raises:
        SenderError: If no runner has bound its senders on this thread.
    """
    return _read("data command").data_command


def get_data_event_sender() -> AsyncDataEventSender:
    """Return this thread's sender of data events.

    Raises:
        SenderError: If no runner has bound its senders on this thread.
    """
    return _read("data event").data_event


def get_trading_cmd_sender() -> AsyncTradingCommandSender:
    """Return this thread's sender of trading commands.

    Raises:
        SenderError: If no runner has bound its senders on this thread.
    """
    return _read("trading command").trading_command


def get_exec_event_sender() -> AsyncExecEventSender:
    """Return this thread's sender of execution events.

    Raises:
        SenderError: If no runner has bound its senders on this thread.
    """
    return _read("execution event").exec_event

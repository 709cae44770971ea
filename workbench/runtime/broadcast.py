"""A broadcast channel: a ring that many readers follow, each at its own pace.

For dashboards and recorders; nobody on the order path reads from one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from workbench.model.errors import ConfigError, RunnerError


@dataclass(frozen=True)
class Lagged:
    """What a slow reader gets instead of the `count` messages it missed."""

    count: int


class Closed(Exception):  # noqa: N818 - the end of a stream is no error
    """The channel was closed and everything it held has been read."""


class BroadcastChannel:
    """A ring of the last `capacity` messages.

    Args:
        capacity: How many messages are held.

    >>> ring = BroadcastChannel(2)
    >>> reader = ring.subscribe()
    >>> for number in (1, 2, 3):
    ...     ring.send(number)
    >>> reader.receive_nowait(), reader.receive_nowait(), reader.receive_nowait()
    (Lagged(count=1), 2, 3)
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ConfigError(f"a broadcast channel holds at least 1 message; got {capacity}")
        self.capacity = capacity
        self._ring: list[Any] = [None] * capacity
        self._next = 0
        self._closed = False
        self._subscriptions: set[Subscription] = set()

    def send(self, message: Any) -> None:
        """Put a message over the oldest one; readers that wait are woken.

        Raises:
            Closed: If the channel is closed.
        """
        if self._closed:
            raise Closed
        self._ring[self._next % self.capacity] = message
        self._next += 1
        self._wake()

    def subscribe(self) -> Subscription:
        """Return a reader that gets every message sent from now on."""
        subscription = Subscription(self, self._next)
        self._subscriptions.add(subscription)
        return subscription

    @property
    def subscriber_count(self) -> int:
        """Return how many readers there are."""
        return len(self._subscriptions)

    def close(self) -> None:
        """End the channel: readers get what it still holds, then `Closed`."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        for subscription in self._subscriptions:
            subscription.wake()

    def read(self, cursor: int) -> tuple[Any, int]:
        """Return what a reader at `cursor` gets, and its next cursor.

        Raises:
            LookupError: If there is nothing to read yet.
            Closed: If there never will be.
        """
        oldest = max(0, self._next - self.capacity)
        if cursor < oldest:
            return Lagged(oldest - cursor), oldest
        if cursor == self._next:
            if self._closed:
                raise Closed
            raise LookupError
        return self._ring[cursor % self.capacity], cursor + 1

    def forget(self, subscription: Subscription) -> None:
        """Take a reader off the list."""
        self._subscriptions.discard(subscription)


class Subscription:
    """One reader of a broadcast channel; also an async iterator of its messages."""

    def __init__(self, channel: BroadcastChannel, cursor: int) -> None:
        self._channel = channel
        self._cursor = cursor
        self._closed = False
        self._future: asyncio.Future[None] | None = None

    def receive_nowait(self) -> Any:
        """Return the next message, a `Lagged`, or None if nothing waits.

        Raises:
            Closed: If this reader was closed, or the channel is closed and read to its end.
        """
        try:
            return self._read()
        except LookupError:
            return None

    async def receive(self) -> Any:
        """Wait for the next message or `Lagged`.

        Raises:
            Closed: If this reader was closed, or the channel is closed and read to its end.
            RunnerError: If another task waits on this reader.
        """
        while True:
            try:
                return self._read()
            except LookupError:
                pass
            if self._future is not None:
                raise RunnerError("another task waits on this reader; subscribe once for each")
            self._future = asyncio.get_running_loop().create_future()
            try:
                await self._future
            finally:
                self._future = None

    def _read(self) -> Any:
        if self._closed:
            raise Closed
        message, self._cursor = self._channel.read(self._cursor)
        return message

    def __aiter__(self) -> Subscription:
        """Iterate until the channel is closed."""
        return self

    async def __anext__(self) -> Any:
        """Return the next message or `Lagged`."""
        try:
            return await self.receive()
        except Closed:
            raise StopAsyncIteration from None

    def wake(self) -> None:
        """Let a waiting `receive` look again."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def close(self) -> None:
        """Read no more; a `receive` that waits ends with `Closed`."""
        self._closed = True
        self._channel.forget(self)
        self.wake()

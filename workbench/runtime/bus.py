"""The message bus: topics with wildcards, point-to-point endpoints, request and response.

For events and observers; market data takes the data engine's handler table instead. A topic is
matched against patterns once and the result kept. Patterns are filed by the literal text before
their first wildcard, so a new topic is compared only with patterns that can match it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from workbench.model.errors import ConfigError

BusHandler = Callable[[Any], None]
_KEPT_TOPICS = 100_000
_TOPIC = re.compile(r"[^\s*?]+")
_PATTERN = re.compile(r"\S+")


class _Subscription:
    __slots__ = ("handler", "matches", "order", "pattern")

    def __init__(self, pattern: str, handler: BusHandler, order: tuple[int, int]) -> None:
        self.pattern = pattern
        self.handler = handler
        self.order = order
        parts = (_WILD.get(c) or re.escape(c) for c in pattern)
        self.matches = re.compile("".join(parts), re.DOTALL).fullmatch


_WILD = {"*": ".*", "?": "."}


def _literal_prefix(pattern: str) -> str:
    cut = min((pattern.find(c) for c in "*?" if c in pattern), default=len(pattern))
    return pattern[:cut]


class MessageBus:
    """Publishes to topics, sends to endpoints, and answers requests.

    `*` in a pattern stands for any text, also none; `?` for exactly one character.

    Attributes:
        is_quiet: Whether nobody has ever subscribed: what would be published need not be.

    >>> bus = MessageBus()
    >>> bus.subscribe("events.order.*", print)
    >>> bus.publish("events.order.EmaCross-001", "filled")
    filled
    """

    def __init__(self) -> None:
        self._by_prefix: dict[int, dict[str, list[_Subscription]]] = {}
        self._kept: dict[str, tuple[BusHandler, ...]] = {}
        self._endpoints: dict[str, BusHandler] = {}
        self._requests: dict[int, BusHandler] = {}
        self._sequence = 0
        self._request_id = 0
        self.is_quiet = True

    def subscribe(self, pattern: str, handler: BusHandler, *, priority: int = 0) -> None:
        """Call `handler` with every message on a matching topic.

        Args:
            pattern: A topic, with `*` and `?` as wildcards.
            handler: Takes the message.
            priority: Higher ones are called first; equal ones in the order they subscribed.

        Raises:
            ConfigError: If the pattern is empty or has white space, or the pair is subscribed.
        """
        if not _PATTERN.fullmatch(pattern):
            raise ConfigError(f"a topic pattern is text without white space; got {pattern!r}")
        prefix = _literal_prefix(pattern)
        group = self._by_prefix.setdefault(len(prefix), {}).setdefault(prefix, [])
        if any(s.pattern == pattern and s.handler == handler for s in group):
            raise ConfigError(f"this handler is subscribed to {pattern!r} already")
        self._sequence += 1
        self.is_quiet = False
        group.append(_Subscription(pattern, handler, (-priority, self._sequence)))
        self._kept.clear()

    def unsubscribe(self, pattern: str, handler: BusHandler) -> None:
        """End a subscription; one that does not exist is left alone."""
        prefix = _literal_prefix(pattern)
        groups = self._by_prefix.get(len(prefix), {})
        kept = [
            s for s in groups.get(prefix, []) if not (s.pattern == pattern and s.handler == handler)
        ]
        if kept:
            groups[prefix] = kept
        else:
            groups.pop(prefix, None)
            if not groups:
                self._by_prefix.pop(len(prefix), None)
        self._kept.clear()

    def has_subscribers(self, topic: str) -> bool:
        """Return whether anybody would get a message on `topic`."""
        return bool(self._resolve(topic))

    def publish(self, topic: str, message: Any) -> None:
        """Call every handler whose pattern matches the topic.

        Raises:
            ConfigError: If the topic has a wildcard or white space.
        """
        handlers = self._kept.get(topic)
        if handlers is None:
            handlers = self._resolve(topic)
        for handler in handlers:
            handler(message)

    def _resolve(self, topic: str) -> tuple[BusHandler, ...]:
        found = self._kept.get(topic)
        if found is not None:
            return found
        if not _TOPIC.fullmatch(topic):
            raise ConfigError(f"a topic is text without white space, '*' and '?'; got {topic!r}")
        matching: list[_Subscription] = []
        for length, groups in self._by_prefix.items():
            group = groups.get(topic[:length])
            if group is not None:
                matching.extend(s for s in group if s.matches(topic))
        matching.sort(key=lambda s: s.order)
        if len(self._kept) >= _KEPT_TOPICS:
            self._kept.clear()
        handlers = self._kept[topic] = tuple(s.handler for s in matching)
        return handlers

    def register(self, endpoint: str, handler: BusHandler) -> None:
        """Make `handler` the one that gets what is sent to `endpoint`.

        Raises:
            ConfigError: If the endpoint is taken.
        """
        if endpoint in self._endpoints:
            raise ConfigError(f"endpoint {endpoint!r} is registered already; deregister it first")
        self._endpoints[endpoint] = handler

    def deregister(self, endpoint: str) -> None:
        """Give an endpoint up; one that does not exist is left alone."""
        self._endpoints.pop(endpoint, None)

    @property
    def endpoints(self) -> list[str]:
        """Return the registered endpoints, sorted."""
        return sorted(self._endpoints)

    def send(self, endpoint: str, message: Any) -> None:
        """Hand a message to the one handler of an endpoint.

        Raises:
            ConfigError: If nobody registered it.
        """
        handler = self._endpoints.get(endpoint)
        if handler is None:
            known = ", ".join(self.endpoints) or "none"
            raise ConfigError(f"no endpoint {endpoint!r}; registered: {known}")
        handler(message)

    def open_request(self, callback: BusHandler) -> int:
        """Return a new correlation id whose response will go to `callback`, once."""
        self._request_id += 1
        self._requests[self._request_id] = callback
        return self._request_id

    def respond(self, request_id: int, response: Any) -> bool:
        """Give the response of a request to its callback.

        Returns:
            Whether the request was open; a second response finds it closed.
        """
        callback = self._requests.pop(request_id, None)
        if callback is None:
            return False
        callback(response)
        return True

    @property
    def open_requests(self) -> int:
        """Return how many requests wait for a response."""
        return len(self._requests)

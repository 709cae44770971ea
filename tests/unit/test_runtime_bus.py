"""The message bus: topics, endpoints, requests."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.model.errors import ConfigError
from workbench.runtime import MessageBus


def test_a_message_reaches_every_subscription_that_matches_its_topic() -> None:
    bus = MessageBus()
    seen: list[str] = []
    for pattern in ("events.order.Ema-001", "events.*", "*", "events.order.Ema-00?", "events.fill"):
        bus.subscribe(pattern, lambda _, pattern=pattern: seen.append(pattern))
    bus.publish("events.order.Ema-001", "filled")
    assert seen == ["events.order.Ema-001", "events.*", "*", "events.order.Ema-00?"]


def test_a_star_stands_for_any_text_also_none_and_a_question_mark_for_one_character() -> None:
    bus = MessageBus()
    bus.subscribe("a*b?", print)
    assert bus.has_subscribers("abc")
    assert bus.has_subscribers("a.x.y.bc")
    assert not bus.has_subscribers("ab")
    assert not bus.has_subscribers("abcd")


def test_other_characters_of_a_pattern_mean_themselves() -> None:
    bus = MessageBus()
    bus.subscribe("a.b[c]+(d)|e^$", print)
    assert bus.has_subscribers("a.b[c]+(d)|e^$")
    assert not bus.has_subscribers("axb[c]+(d)|e^$")


def test_higher_priorities_come_first_and_equal_ones_in_the_order_they_subscribed() -> None:
    bus = MessageBus()
    seen: list[str] = []
    for name, pattern, priority in (
        ("a", "t*", 0),
        ("b", "*", 5),
        ("c", "t", 0),
        ("d", "?", 5),
        ("e", "t", -1),
    ):
        bus.subscribe(pattern, lambda _, name=name: seen.append(name), priority=priority)
    bus.publish("t", None)
    assert seen == ["b", "d", "a", "c", "e"]


def test_a_new_subscription_sees_topics_that_were_published_before() -> None:
    bus = MessageBus()
    seen: list[Any] = []
    bus.publish("t", 1)
    bus.subscribe("t", seen.append)
    bus.publish("t", 2)
    bus.unsubscribe("t", seen.append)
    bus.publish("t", 3)
    assert seen == [2]
    assert not bus.has_subscribers("t")


def test_unsubscribing_one_leaves_the_others() -> None:
    bus = MessageBus()
    first: list[Any] = []
    second: list[Any] = []
    bus.subscribe("t.*", first.append)
    bus.subscribe("t.*", second.append)
    bus.unsubscribe("t.*", first.append)
    bus.unsubscribe("t.*", first.append)
    bus.unsubscribe("unknown", first.append)
    bus.publish("t.x", 1)
    assert (first, second) == ([], [1])


def test_a_handler_may_subscribe_and_unsubscribe_while_it_is_called() -> None:
    bus = MessageBus()
    seen: list[str] = []

    def once(message: str) -> None:
        seen.append(message)
        bus.unsubscribe("t", once)
        bus.subscribe("t", late)

    def late(message: str) -> None:
        seen.append(f"late {message}")

    bus.subscribe("t", once)
    bus.publish("t", "1")
    bus.publish("t", "2")
    assert seen == ["1", "late 2"]


def test_subscribing_the_same_handler_to_the_same_pattern_twice_is_refused() -> None:
    bus = MessageBus()
    bus.subscribe("t", print)
    with pytest.raises(ConfigError, match="subscribed to 't' already"):
        bus.subscribe("t", print)


@pytest.mark.parametrize("pattern", ["", "a b", " ", "a\n"])
def test_a_pattern_without_text_or_with_white_space_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="a topic pattern is text without white space"):
        MessageBus().subscribe(pattern, print)


@pytest.mark.parametrize("topic", ["", "a b", "events.*", "a?"])
def test_a_topic_with_a_wildcard_or_white_space_is_refused(topic: str) -> None:
    with pytest.raises(ConfigError, match="a topic is text"):
        MessageBus().publish(topic, None)


def test_a_handlers_exception_reaches_the_publisher() -> None:
    bus = MessageBus()

    def fail(message: Any) -> None:
        raise ZeroDivisionError(message)

    bus.subscribe("t", fail)
    with pytest.raises(ZeroDivisionError, match="x"):
        bus.publish("t", "x")


def test_the_memory_of_topics_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.runtime.bus._KEPT_TOPICS", 3)
    bus = MessageBus()
    seen: list[int] = []
    bus.subscribe("t.*", seen.append)
    for number in range(10):
        bus.publish(f"t.{number}", number)
        bus.publish("t.0", -1)
    assert [number for number in seen if number >= 0] == list(range(10))


def test_an_endpoint_has_one_handler() -> None:
    bus = MessageBus()
    seen: list[str] = []
    bus.register("Risk.execute", seen.append)
    bus.send("Risk.execute", "order")
    assert seen == ["order"]
    with pytest.raises(ConfigError, match=r"'Risk\.execute' is registered already"):
        bus.register("Risk.execute", print)
    bus.deregister("Risk.execute")
    bus.deregister("Risk.execute")
    bus.register("Risk.execute", print)


def test_sending_to_an_unknown_endpoint_names_the_known_ones() -> None:
    bus = MessageBus()
    with pytest.raises(ConfigError, match="no endpoint 'x'; registered: none"):
        bus.send("x", None)
    bus.register("b", print)
    bus.register("a", print)
    assert bus.endpoints == ["a", "b"]
    with pytest.raises(ConfigError, match="registered: a, b"):
        bus.send("x", None)


def test_a_response_goes_to_the_request_with_its_correlation_id_once() -> None:
    bus = MessageBus()
    first: list[str] = []
    second: list[str] = []
    one, two = bus.open_request(first.append), bus.open_request(second.append)
    assert (one, two, bus.open_requests) == (1, 2, 2)
    assert bus.respond(two, "b") is True
    assert bus.respond(one, "a") is True
    assert bus.respond(one, "again") is False
    assert bus.respond(99, "nobody asked") is False
    assert (first, second, bus.open_requests) == (["a"], ["b"], 0)


def test_a_callback_may_open_the_next_request() -> None:
    bus = MessageBus()
    ids: list[int] = []
    bus.respond(bus.open_request(lambda _: ids.append(bus.open_request(print))), None)
    assert ids == [2]
    assert bus.open_requests == 1

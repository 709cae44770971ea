"""The bus against a plain reference that matches wildcards without regular expressions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workbench.runtime import MessageBus

patterns = st.text(alphabet="ab.*?[", min_size=1, max_size=6)
topics = st.text(alphabet="ab.[", min_size=1, max_size=6)


def matches(pattern: str, topic: str) -> bool:
    if not pattern:
        return not topic
    if pattern[0] == "*":
        return any(matches(pattern[1:], topic[cut:]) for cut in range(len(topic) + 1))
    return bool(topic) and pattern[0] in ("?", topic[0]) and matches(pattern[1:], topic[1:])


@given(pattern=patterns, topic=topics)
def test_a_pattern_matches_what_the_reference_says(pattern: str, topic: str) -> None:
    bus = MessageBus()
    bus.subscribe(pattern, print)
    assert bus.has_subscribers(topic) == matches(pattern, topic)


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("subscribe"), patterns, st.integers(-2, 2)),
            st.tuples(st.just("unsubscribe"), st.integers(0, 20)),
            st.tuples(st.just("publish"), topics),
        ),
        max_size=30,
    )
)
def test_publishing_calls_the_matching_handlers_in_order_through_any_changes(
    steps: list[tuple[Any, ...]],
) -> None:
    bus = MessageBus()
    live: list[tuple[int, int, str, Any]] = []
    called: list[int] = []
    for number, step in enumerate(steps):
        if step[0] == "subscribe":

            def handler(message: Any, number: int = number) -> None:
                called.append(number)

            bus.subscribe(step[1], handler, priority=step[2])
            live.append((-step[2], number, step[1], handler))
        elif step[0] == "unsubscribe":
            if step[1] < len(live):
                _, _, pattern, handler = live.pop(step[1])
                bus.unsubscribe(pattern, handler)
        else:
            called.clear()
            bus.publish(step[1], None)
            expected = [
                number
                for _, number, pattern, _ in sorted(live, key=lambda s: s[:2])
                if matches(pattern, step[1])
            ]
            assert called == expected

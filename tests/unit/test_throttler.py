"""The throttler: windows never exceed their limit; what is beyond waits or is dropped."""

from __future__ import annotations

import pytest

from workbench.engines.throttler import RateWindow, Throttler
from workbench.model.errors import ConfigError
from workbench.runtime.clock import SimulatedClock


class Gate:
    """A throttler of two in ten nanoseconds, on a clock of its own, and what it let through."""

    def __init__(self, *, drops: bool = False) -> None:
        self.clock = SimulatedClock(100)
        self.sent: list[tuple[str, int]] = []
        self.dropped: list[str] = []
        self.refused: set[str] = set()
        self.throttler: Throttler[str] = Throttler(
            "gate",
            2,
            10,
            self.clock,
            self.take,
            self.dropped.append if drops else None,
            self.release,
        )

    def take(self, word: str) -> None:
        self.sent.append((word, self.clock.timestamp_ns()))

    def release(self, word: str) -> bool:
        if word in self.refused:
            return False
        self.take(word)
        return True

    def advance(self, to_ns: int) -> None:
        while (event := self.clock.advance(to_ns)) is not None:
            self.clock.fire(event)


def test_a_window_admits_so_many_and_no_more() -> None:
    window = RateWindow(2, 10)
    admitted = [(now, window.admit(now)) for now in (0, 5, 9, 10, 11, 15, 19, 20)]
    assert admitted == [
        (0, True),
        (5, True),
        (9, False),
        (10, True),
        (11, False),
        (15, True),
        (19, False),
        (20, True),
    ]


def test_several_are_admitted_whole_or_not_at_all() -> None:
    window = RateWindow(3, 10)
    assert window.admit(0, 2)
    assert not window.admit(1, 2)
    assert window.admit(1, 1)
    assert window.admit(10, 2)
    assert not window.admit(10)


def test_a_window_knows_when_there_will_be_room() -> None:
    window = RateWindow(3, 10)
    assert window.room_at(3) == 0
    window.count(0)
    window.count(5, 2)
    assert [window.room_at(count) for count in (1, 2, 3)] == [10, 15, 15]
    with pytest.raises(ConfigError, match="4 at once never fit into a rate of 3"):
        window.room_at(4)


@pytest.mark.parametrize(("limit", "interval_ns"), [(0, 10), (1, 0)])
def test_a_rate_that_admits_nothing_is_refused(limit: int, interval_ns: int) -> None:
    with pytest.raises(ConfigError, match="at least 1 per at least 1 ns"):
        RateWindow(limit, interval_ns)


def test_with_a_handler_what_is_beyond_is_dropped_to_it() -> None:
    gate = Gate(drops=True)
    for word in "abc":
        gate.throttler.put(word)
    assert [word for word, _ in gate.sent] == ["a", "b"]
    assert gate.dropped == ["c"]
    gate.advance(200)
    assert len(gate.sent) == 2
    assert gate.clock.timer_names == []


def test_without_a_handler_what_is_beyond_leaves_later_in_its_order() -> None:
    gate = Gate()
    for word in "abcde":
        gate.throttler.put(word)
    gate.advance(105)
    gate.throttler.put("f")
    gate.advance(200)
    assert gate.sent == [
        *[("a", 100), ("b", 100)],
        *[("c", 110), ("d", 110)],
        *[("e", 120), ("f", 120)],
    ]
    assert gate.clock.timer_names == []


def test_nothing_overtakes_what_waits() -> None:
    gate = Gate()
    gate.throttler.put("a")
    gate.throttler.put("bc", 2)
    gate.throttler.put("d")  # there is room for it, but not before the pair
    assert [word for word, _ in gate.sent] == ["a"]
    gate.advance(300)
    assert gate.sent == [("a", 100), ("bc", 110), ("d", 120)]


def test_what_never_fits_is_refused_rather_than_kept() -> None:
    gate = Gate()
    with pytest.raises(ConfigError, match="3 at once never fit"):
        gate.throttler.put("abc", 3)
    assert len(gate.throttler) == 0


def test_what_is_withdrawn_does_not_leave_and_the_next_takes_its_place() -> None:
    gate = Gate()
    for word in "abcd":
        gate.throttler.put(word)
    assert gate.throttler.withdraw(lambda word: word == "c") == ["c"]
    assert gate.throttler.withdraw(lambda word: word == "x") == []
    gate.advance(300)
    assert [word for word, _ in gate.sent] == ["a", "b", "d"]


def test_when_nothing_waits_any_more_there_is_no_timer() -> None:
    gate = Gate()
    for word in "abc":
        gate.throttler.put(word)
    assert gate.clock.timer_names == ["gate"]
    gate.throttler.withdraw(lambda _: True)
    assert gate.clock.timer_names == []


def test_what_was_refused_at_its_release_takes_no_room() -> None:
    gate = Gate()
    gate.refused = {"c"}
    for word in "abcde":
        gate.throttler.put(word)
    gate.advance(110)
    assert gate.sent[2:] == [("d", 110), ("e", 110)]


def test_a_release_that_raises_leaves_the_rest_waiting_for_the_timer() -> None:
    gate = Gate()

    def fail(word: str) -> bool:
        if word == "c":
            raise ValueError(word)
        return gate.release(word)

    throttler = Throttler("raising", 1, 10, gate.clock, gate.take, None, fail)
    for word in "bcd":
        throttler.put(word)
    with pytest.raises(ValueError, match="c"):
        gate.advance(110)
    gate.advance(300)
    assert [word for word, _ in gate.sent] == ["b", "d"]

"""Whatever is put and whenever: no window exceeds its limit, nothing is lost or overtaken."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from workbench.engines.throttler import Throttler
from workbench.runtime.clock import SimulatedClock

PUTS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 3)), max_size=40)


def windows(times: list[int], interval_ns: int) -> list[int]:
    """Return how many sends the window that ends at each send holds."""
    return [
        number + 1 - bisect_right(times, time - interval_ns) for number, time in enumerate(times)
    ]


@given(
    puts=PUTS,
    limit=st.integers(3, 6),
    interval_ns=st.integers(1, 20),
    drops=st.booleans(),
    refuses=st.booleans(),
)
def test_no_window_holds_more_than_the_limit_and_all_is_sent_in_order_or_dropped(
    puts: list[tuple[int, int]], limit: int, interval_ns: int, drops: bool, refuses: bool
) -> None:
    clock = SimulatedClock(0)
    left: list[tuple[int, int, int]] = []
    dropped: list[tuple[int, int]] = []
    refused: list[tuple[int, int]] = []

    def send(message: tuple[int, int]) -> None:
        left.append((*message, clock.timestamp_ns()))

    def release(message: tuple[int, int]) -> bool:
        if refuses and message[0] % 3 == 0:
            refused.append(message)
            return False
        send(message)
        return True

    throttler: Throttler[tuple[int, int]] = Throttler(
        "t", limit, interval_ns, clock, send, dropped.append if drops else None, release
    )

    def advance(to_ns: int) -> None:
        while (event := clock.advance(to_ns)) is not None:
            clock.fire(event)

    now = 0
    for number, (gap, count) in enumerate(puts):
        now += gap
        advance(now)
        throttler.put((number, count), count)
    advance(now + interval_ns * (sum(count for _, count in puts) + 1))

    times = [time for _, count, time in left for _ in range(count)]
    assert all(held <= limit for held in windows(times, interval_ns))
    assert [number for number, *_ in left] == sorted(number for number, *_ in left)
    gone = sorted([number for number, *_ in (*left, *dropped, *refused)])
    assert gone == list(range(len(puts)))
    assert len(throttler) == 0
    assert clock.timer_names == []
    if not drops:
        assert dropped == []

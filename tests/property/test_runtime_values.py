"""Histogram, lifecycles and the simulated clock, whatever they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.model.errors import LifecycleError
from workbench.runtime import (
    ComponentState,
    ComponentTrigger,
    Lifecycle,
    NodeState,
    NodeTrigger,
    SimulatedClock,
)
from workbench.runtime.histogram import Histogram
from workbench.runtime.lifecycle import COMPONENT_TRANSITIONS, NODE_TRANSITIONS


@given(
    values=st.lists(st.integers(-10, 2**62), min_size=1, max_size=200),
    quantile=st.sampled_from([0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_quantile_bounds_numpys_from_above_by_less_than_a_quarter(
    values: list[int], quantile: float
) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = int(
        np.quantile(np.array(values, dtype=np.int64).clip(0), quantile, method="inverted_cdf")
    )
    measured = histogram.quantile(quantile)
    assert measured is not None
    assert exact <= measured <= exact * 1.25
    assert histogram.count == len(values)
    assert histogram.maximum == max(0, *values)
    assert measured <= histogram.maximum


def test_an_empty_histogram_has_no_quantiles() -> None:
    assert Histogram().quantile(0.5) is None


def check_sequence(table: Any, start: Any, triggers: list[Any]) -> None:
    changes: list[Any] = []
    lifecycle = Lifecycle("x", table, start, changes.append)
    state, expected = start, []
    for trigger in triggers:
        target = table.get((state, trigger))
        if target is None:
            with pytest.raises(LifecycleError):
                lifecycle.apply(trigger)
        else:
            lifecycle.apply(trigger)
            expected.append(target)
            state = target
        assert lifecycle.state is state
        assert set(lifecycle.allowed) == {t for s, t in table if s is state}
    assert changes == expected


@given(triggers=st.lists(st.sampled_from(NodeTrigger), max_size=20))
def test_a_node_never_reaches_a_state_by_an_undeclared_edge(triggers: list[NodeTrigger]) -> None:
    check_sequence(NODE_TRANSITIONS, NodeState.CREATED, triggers)


@given(triggers=st.lists(st.sampled_from(ComponentTrigger), max_size=30))
def test_a_component_never_reaches_a_state_by_an_undeclared_edge(
    triggers: list[ComponentTrigger],
) -> None:
    check_sequence(COMPONENT_TRANSITIONS, ComponentState.READY, triggers)


timers = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 40), st.one_of(st.none(), st.integers(0, 100))),
    max_size=6,
)


@given(timers=timers, steps=st.lists(st.integers(0, 120), max_size=10))
def test_timers_fire_at_every_due_time_in_order_and_time_never_goes_back(
    timers: list[tuple[int, int, int | None]], steps: list[int]
) -> None:
    clock = SimulatedClock()
    fired: list[tuple[int, str]] = []
    for number, (interval, start, stop) in enumerate(timers):
        clock.set_timer(
            f"t{number}",
            interval,
            lambda event: fired.append((event.ts_event, event.name)),
            start_ns=start,
            stop_ns=stop,
        )
    reached = 0
    for to_ns in steps:
        while (event := clock.advance(to_ns)) is not None:
            assert event.ts_event == event.ts_init == clock.timestamp_ns()
            clock.fire(event)
        reached = max(reached, to_ns)
        assert clock.timestamp_ns() == reached
        assert clock.next_due > reached
    expected = [
        (due, f"t{number}")
        for number, (interval, start, stop) in enumerate(timers)
        for due in range(start + interval, reached + 1, interval)
        if stop is None or due <= stop
    ]
    assert [due for due, _ in fired] == sorted(due for due, _ in expected)
    assert sorted(fired) == sorted(expected)

"""Lifecycle tables: every row, and every pair that is not a row."""

from __future__ import annotations

from itertools import product

import pytest

from workbench.model.errors import LifecycleError, WorkbenchError
from workbench.runtime import ComponentState, ComponentTrigger, Lifecycle, NodeState, NodeTrigger
from workbench.runtime.lifecycle import COMPONENT_TRANSITIONS, NODE_TRANSITIONS

TABLES = [
    ("node", NODE_TRANSITIONS, NodeState, NodeTrigger),
    ("EmaCross", COMPONENT_TRANSITIONS, ComponentState, ComponentTrigger),
]
PAIRS = [
    pytest.param(what, table, state, trigger, id=f"{state.name}-{trigger.name}")
    for what, table, states, triggers in TABLES
    for state, trigger in product(states, triggers)
]


def test_the_nodes_table_is_the_one_of_the_architecture() -> None:
    assert {(s.value, t.value): to.value for (s, t), to in NODE_TRANSITIONS.items()} == {
        ("CREATED", "build"): "BUILT",
        ("BUILT", "run"): "RUNNING",
        ("RUNNING", "stop"): "STOPPING",
        ("STOPPING", "finish stopping"): "STOPPED",
        ("STOPPED", "dispose"): "DISPOSED",
        ("CREATED", "dispose"): "DISPOSED",
        ("BUILT", "dispose"): "DISPOSED",
    }


@pytest.mark.parametrize(("what", "table", "state", "trigger"), PAIRS)
def test_a_lifecycle_moves_along_its_table_and_refuses_every_other_pair(
    what: str, table: dict, state: NodeState, trigger: NodeTrigger
) -> None:
    changes: list[object] = []
    lifecycle = Lifecycle(what, table, state, changes.append)
    target = table.get((state, trigger))
    if target is not None:
        assert lifecycle.check(trigger) is target
        assert lifecycle.state is state
        assert lifecycle.apply(trigger) is target
        assert lifecycle.state is target
        assert changes == [target]
        return
    with pytest.raises(LifecycleError) as error:
        lifecycle.apply(trigger)
    assert isinstance(error.value, (WorkbenchError, RuntimeError))
    allowed = ", ".join(t.value for s, t in table if s is state) or "nothing"
    assert str(error.value) == (
        f"cannot {trigger.value} a {state.value} {what}; allowed now: {allowed}"
    )
    assert lifecycle.state is state
    assert changes == []


def test_nothing_leaves_disposed() -> None:
    for _, table, states, _ in TABLES:
        assert Lifecycle("x", table, states.DISPOSED).allowed == []


@pytest.mark.parametrize(("what", "table", "states", "triggers"), TABLES)
def test_every_state_can_be_reached_and_every_trigger_is_used(
    what: str, table: dict, states: type[NodeState], triggers: type[NodeTrigger]
) -> None:
    reached = {next(iter(states))}
    for _ in states:
        reached |= {to for (state, _), to in table.items() if state in reached}
    assert reached == set(states)
    assert {trigger for _, trigger in table} == set(triggers)

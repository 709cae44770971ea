"""Lifecycles are tables: one dict from (state, trigger) to state, one function that applies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from workbench.model.errors import LifecycleError


class NodeState(StrEnum):
    """Where a node is."""

    CREATED = "CREATED"
    BUILT = "BUILT"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    DISPOSED = "DISPOSED"


class NodeTrigger(StrEnum):
    """What moves a node on; the first four are what users ask for."""

    BUILD = "build"
    RUN = "run"
    STOP = "stop"
    DISPOSE = "dispose"
    FINISH = "finish stopping"


NODE_TRANSITIONS: Mapping[tuple[NodeState, NodeTrigger], NodeState] = {
    (NodeState.CREATED, NodeTrigger.BUILD): NodeState.BUILT,
    (NodeState.CREATED, NodeTrigger.DISPOSE): NodeState.DISPOSED,
    (NodeState.BUILT, NodeTrigger.RUN): NodeState.RUNNING,
    (NodeState.BUILT, NodeTrigger.DISPOSE): NodeState.DISPOSED,
    (NodeState.RUNNING, NodeTrigger.STOP): NodeState.STOPPING,
    (NodeState.STOPPING, NodeTrigger.FINISH): NodeState.STOPPED,
    (NodeState.STOPPED, NodeTrigger.DISPOSE): NodeState.DISPOSED,
}


class ComponentState(StrEnum):
    """Where an actor or strategy is."""

    READY = "READY"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAULTED = "FAULTED"
    DISPOSED = "DISPOSED"


class ComponentTrigger(StrEnum):
    """What moves an actor or strategy on."""

    START = "start"
    STARTED = "finish starting"
    STOP = "stop"
    STOPPED = "finish stopping"
    RESUME = "resume"
    FAULT = "fault"
    RESET = "reset"
    DISPOSE = "dispose"


_C, _T = ComponentState, ComponentTrigger

COMPONENT_TRANSITIONS: Mapping[tuple[ComponentState, ComponentTrigger], ComponentState] = {
    (_C.READY, _T.START): _C.STARTING,
    (_C.READY, _T.RESET): _C.READY,
    (_C.READY, _T.DISPOSE): _C.DISPOSED,
    (_C.STARTING, _T.STARTED): _C.RUNNING,
    (_C.STARTING, _T.FAULT): _C.FAULTED,
    (_C.RUNNING, _T.STOP): _C.STOPPING,
    (_C.RUNNING, _T.FAULT): _C.FAULTED,
    (_C.STOPPING, _T.STOPPED): _C.STOPPED,
    (_C.STOPPING, _T.FAULT): _C.FAULTED,
    (_C.STOPPED, _T.RESUME): _C.STARTING,
    (_C.STOPPED, _T.RESET): _C.READY,
    (_C.STOPPED, _T.DISPOSE): _C.DISPOSED,
    (_C.FAULTED, _T.RESET): _C.READY,
    (_C.FAULTED, _T.DISPOSE): _C.DISPOSED,
}

_S = TypeVar("_S", bound=StrEnum)
_G = TypeVar("_G", bound=StrEnum)


class Lifecycle(Generic[_S, _G]):
    """A state that moves only along its table.

    Args:
        what: What it is, for the error: `node`, or a strategy's name.
        table: From (state, trigger) to state.
        state: Where it begins.
        on_change: Told the new state after each move.

    >>> node = Lifecycle("node", NODE_TRANSITIONS, NodeState.CREATED)
    >>> node.apply(NodeTrigger.RUN)
    Traceback (most recent call last):
    workbench.model.errors.LifecycleError: cannot run a CREATED node; allowed now: build, dispose
    """

    def __init__(
        self,
        what: str,
        table: Mapping[tuple[_S, _G], _S],
        state: _S,
        on_change: Callable[[_S], None] | None = None,
    ) -> None:
        self.what = what
        self.state = state
        self._table = table
        self._on_change = on_change

    @property
    def allowed(self) -> list[_G]:
        """Return the triggers that are allowed now."""
        return [trigger for state, trigger in self._table if state is self.state]

    def check(self, trigger: _G) -> _S:
        """Return the state `trigger` would lead to.

        Raises:
            LifecycleError: If it is not allowed now; says what is.
        """
        target = self._table.get((self.state, trigger))
        if target is None:
            allowed = ", ".join(t.value for t in self.allowed) or "nothing"
            raise LifecycleError(
                f"cannot {trigger.value} a {self.state.value} {self.what}; allowed now: {allowed}"
            )
        return target

    def apply(self, trigger: _G) -> _S:
        """Move along the table and return the new state.

        Raises:
            LifecycleError: If it is not allowed now; says what is.
        """
        self.state = self.check(trigger)
        if self._on_change is not None:
            self._on_change(self.state)
        return self.state

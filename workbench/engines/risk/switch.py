"""The switch of the trading state: moved on the node's thread, and towards HALTED from any."""

from __future__ import annotations

from collections.abc import Callable

from workbench.engines.risk.checks import Checks
from workbench.model.enums import TradingState
from workbench.model.risk_events import RiskEvent, TradingStateChanged
from workbench.runtime.clock import Clock


class TradingSwitch:
    """Sets what the checks let through, and tells of each change once.

    Args:
        checks: Where the state is looked up.
        clock: For the time of a change.
        tell: Told of each.
    """

    def __init__(self, checks: Checks, clock: Clock, tell: Callable[[RiskEvent], None]) -> None:
        self._checks = checks
        self._clock = clock
        self._tell = tell
        self._told = checks.state
        self._is_held = False

    @property
    def state(self) -> TradingState:
        """Return what is let through."""
        return self._checks.state

    def halt(self) -> None:
        """Halt at once, whatever is set meanwhile, from any thread; `change` tells of it."""
        self._is_held = True
        self._checks.state = TradingState.HALTED

    def release(self) -> None:
        """Let a change count again."""
        self._is_held = False

    def resume(self, state: TradingState) -> None:
        """Begin with the state that an earlier run ended with; told of then, and not again."""
        self._checks.state = self._told = state

    def change(self, state: TradingState, reason: str = "") -> None:
        """Set the state, on the node's thread."""
        if self._is_held:
            state = TradingState.HALTED
        self._checks.state = state
        if self._is_held:
            # Another thread may have halted it between these lines.
            self._checks.state = state = TradingState.HALTED
        if state is self._told:
            return
        self._told = state
        now = self._clock.timestamp_ns()
        self._tell(TradingStateChanged(state=state, reason=reason, ts_event=now, ts_init=now))

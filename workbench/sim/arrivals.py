"""How long commands travel to a simulated exchange, and which of them do not."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from workbench.model.commands import TradingCommand
from workbench.model.identifiers import StrategyId
from workbench.runtime.clock import Clock
from workbench.sim.latency import LatencyModel
from workbench.sim.order_times import OrderTimes


class Arrivals:
    """Hands each command to an exchange when it gets there.

    Args:
        latency: How long each kind takes.
        clock: Whose time passes meanwhile.
        times: Where alerts are set.
        arrive: Takes what has arrived.
        depart: Told of what travels, when it is sent.
    """

    def __init__(
        self,
        latency: LatencyModel,
        clock: Clock,
        times: OrderTimes,
        arrive: Callable[[TradingCommand], None],
        depart: Callable[[TradingCommand], None],
    ) -> None:
        self._latency = latency
        self._is_instant = latency.is_zero
        self._clock = clock
        self._times = times
        self._arrive = arrive
        self._depart = depart
        self._expedited: StrategyId | None = None
        self._travelling: dict[int, TradingCommand] = {}
        self._count = 0

    def send(self, command: TradingCommand) -> None:
        """Let a command arrive at once, or after the latency."""
        if self._is_instant or command.strategy_id == self._expedited:
            self._arrive(command)
            return
        self._depart(command)
        self._count += 1
        number = self._count
        self._travelling[number] = command
        due = self._clock.timestamp_ns() + self._latency.delay_ns(command)
        self._times.alert("arrival", due, lambda _: self._land(number))

    def _land(self, number: int) -> None:
        command = self._travelling.pop(number, None)
        if command is not None:  # else it was expedited
            self._arrive(command)

    @contextmanager
    def expedited(self, strategy_id: StrategyId) -> Generator[None]:
        """Let a strategy's commands arrive at once, first those that are on their way."""
        whose = [n for n, command in self._travelling.items() if command.strategy_id == strategy_id]
        for number in whose:
            self._land(number)
        self._expedited = strategy_id
        try:
            yield
        finally:
            self._expedited = None

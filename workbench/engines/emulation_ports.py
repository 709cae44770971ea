"""What the order emulator is connected to: the way on to the venues, and where its decisions go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from workbench.engines.clients import ExecutionClient
from workbench.engines.demands import ContingencyFailed
from workbench.model.commands import SubmitOrder, Subscribe, TradingCommand, Unsubscribe
from workbench.model.events import OrderEvent
from workbench.model.orders import Order


class Venues(Protocol):
    """What commands are handed on to: the execution engine."""

    def execute(self, command: TradingCommand) -> None:
        """Send one command to the client it is for."""

    def client_for(self, command: TradingCommand) -> ExecutionClient:
        """Return the client that a command is for.

        Raises:
            ClientError: If there is none.
        """
        ...

    def client_of(self, order: Order) -> ExecutionClient | None:
        """Return the client that has an order, or would get it; None if there is none."""
        ...


class Outlets(msgspec.Struct, frozen=True):
    """Where the emulator puts what it decides.

    Attributes:
        event: Takes events; the execution events.
        command: Takes commands of our own; the trading commands.
        subscription: Takes subscriptions; the data commands.
        submit: Takes orders that were released; risk.
        failed: Takes contingencies that failed.
    """

    event: Callable[[OrderEvent], None]
    command: Callable[[TradingCommand], None]
    subscription: Callable[[Subscribe | Unsubscribe], None]
    submit: Callable[[SubmitOrder], None]
    failed: Callable[[ContingencyFailed], None]

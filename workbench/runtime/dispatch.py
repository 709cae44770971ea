"""The biased select: one place that decides which message is handled next, and numbers it.

Time events come first, then execution events, trading commands, data commands, and data events
last, so that a cancel never waits behind a tick backlog. Before a data event reaches the data
engine, everything in `before_data` sees it (simulated time, simulated exchanges), and what that
caused is handled first: a strategy never sees a bar before the fills it brought.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workbench.runtime.channels import Channel, ChannelName, Channels
from workbench.runtime.clock import Clock

Handler = Callable[[Any], None]
Tap = Callable[[int, ChannelName, Any], None]


@dataclass(frozen=True)
class Handlers:
    """Who handles the messages of each channel."""

    time_event: Handler
    execution_event: Handler
    trading_command: Handler
    data_command: Handler
    data_event: Handler


class Dispatcher:
    """Takes messages from five channels and hands each to its handler.

    Args:
        channels: Where messages come from.
        clock: Sampled once before each message.
        handlers: Where they go.

    Attributes:
        number: The number of the message handled last; the first one is 1.
        before_data: Called with each data event, in order, before its handler.
        data_handled: How many data events were handled.
    """

    def __init__(self, channels: Channels, clock: Clock, handlers: Handlers) -> None:
        self.channels = channels
        self.signal = channels.signal
        self.clock = clock
        self.handlers = handlers
        self.number = 0
        self.data_handled = 0
        self.before_data: list[Handler] = []
        self.taps: list[Tap] = []
        self._routes = (
            (channels.time_events, handlers.time_event),
            (channels.execution_events, handlers.execution_event),
            (channels.trading_commands, handlers.trading_command),
            (channels.data_commands, handlers.data_command),
        )

    def drain(self) -> None:
        """Handle everything but data events, in order of preference, until nothing waits."""
        while self._next_but_data():
            pass
        self.clock.release()

    def _next_but_data(self) -> bool:
        # Cleared before looking: whoever puts after this sets it again.
        self.signal.pending = False
        for channel, handler in self._routes:
            if channel.queue:
                self._handle(channel, handler)
                self.signal.pending = True
                return True
        return False

    def _handle(self, channel: Channel, handler: Handler) -> None:
        message = channel.take()
        self.clock.sample()
        self.number += 1
        for tap in self.taps:
            tap(self.number, channel.name, message)
        handler(message)

    def handle_data(self, event: Any) -> None:
        """Handle one data event that was taken from its channel."""
        self.clock.sample()
        for see in self.before_data:
            see(event)
        if self.signal.pending:
            while self._next_but_data():
                pass
            self.clock.sample()
        self.number += 1
        self.data_handled += 1
        for tap in self.taps:
            tap(self.number, ChannelName.DATA_EVENTS, event)
        self.handlers.data_event(event)

    def handle_next(self) -> bool:
        """Handle the one message that is due next; return whether there was one."""
        if self._next_but_data():
            return True
        data = self.channels.data_events
        if not data.queue:
            return False
        self.signal.pending = True
        self.handle_data(data.take())
        return True

    def run_slice(self, budget_ns: int, now: Callable[[], int]) -> bool:
        """Handle messages until none waits or the budget is spent.

        Args:
            budget_ns: How long to go on; at least one message is handled.
            now: A monotonic clock in nanoseconds.

        Returns:
            Whether messages still wait.
        """
        deadline = now() + budget_ns
        handle_next = self.handle_next
        try:
            while handle_next():
                if now() >= deadline:
                    return self.signal.pending
            return False
        finally:
            self.clock.release()

    def flush(self) -> None:
        """Handle data events before data commands until both are quiet.

        While connecting, an instrument must be known before a subscription that needs it.
        """
        data, commands = self.channels.data_events, self.channels.data_commands
        while data.queue or commands.queue:
            if data.queue:
                self.handle_data(data.take())
            else:
                self._handle(commands, self.handlers.data_command)
        self.clock.release()

    def drain_finally(self) -> None:
        """Handle what is left at the end: time, data commands, data events, trading, execution."""
        channels, handlers = self.channels, self.handlers
        order: tuple[tuple[Channel, Handler], ...] = (
            (channels.time_events, handlers.time_event),
            (channels.data_commands, handlers.data_command),
            (channels.data_events, handlers.data_event),
            (channels.trading_commands, handlers.trading_command),
            (channels.execution_events, handlers.execution_event),
        )
        # What one channel's messages cause in an earlier one is handled in the next round.
        while channels.depth:
            for channel, handler in order:
                while channel.queue:
                    if channel is channels.data_events:
                        self.handle_data(channel.take())
                    else:
                        self._handle(channel, handler)
        self.signal.pending = False
        self.clock.release()

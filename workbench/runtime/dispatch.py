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


def _never() -> bool:
    return False


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
        taps: Called with number, channel and message, before the message's handler.
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
        self._sample = clock.sample
        self._deadline = 0
        self._is_watched = self._is_interrupted = False
        self._is_over = _never
        self._seen: Any = None
        self._on_data = handlers.data_event
        self._routes = (
            (channels.time_events, handlers.time_event),
            (channels.execution_events, handlers.execution_event),
            (channels.trading_commands, handlers.trading_command),
            (channels.data_commands, handlers.data_command),
        )

    def drain(self) -> bool:
        """Handle everything but data events, in order of preference, until nothing waits.

        Returns:
            Whether messages may still wait: it was interrupted at once, or its time was over.
        """
        # `_next_but_data`, written out: four messages make one order.
        signal, sample, taps, routes = self.signal, self._sample, self.taps, self._routes
        self._begin()
        try:
            while True:
                signal.pending = False
                for channel, handler in routes:  # noqa: B007  # used behind the loop
                    if channel.queue:
                        break
                else:
                    return False
                signal.pending = True
                message = channel.take()
                sample()
                self.number += 1
                for tap in taps:
                    tap(self.number, channel.name, message)
                handler(message)
                if self._is_watched and self._must_end():
                    return True
        finally:
            self.clock.release()

    def _next_but_data(self) -> bool:
        # `pending` is False only while these four are known to be empty. It is cleared before
        # looking: whoever puts after this sets it again.
        signal = self.signal
        signal.pending = False
        for channel, handler in self._routes:
            if channel.queue:
                signal.pending = True
                self._handle(channel, handler)
                return True
        return False

    def _handle(self, channel: Channel, handler: Handler) -> None:
        message = channel.take()
        self._sample()
        self._deliver(channel.name, message, handler)

    def _deliver(self, name: ChannelName, message: Any, handler: Handler) -> None:
        self.number += 1
        for tap in self.taps:
            tap(self.number, name, message)
        handler(message)

    def handle_data(self, event: Any) -> None:
        """Handle one data event that was taken from its channel.

        Interrupted at once while it handles what that caused, it leaves the rest of it for later,
        and the event after that.
        """
        self._sample()
        for see in self.before_data:
            see(event)
        if self.signal.pending and self._next_but_data():
            while self._next_but_data():
                if self._is_watched and self._must_end():
                    self._seen = event
                    return
            self._sample()
        self._deliver_data(event)

    def _deliver_seen(self) -> None:
        """Hand on the data event that was kept until all that it caused is handled."""
        event, self._seen = self._seen, None
        self._sample()
        self._deliver_data(event)

    def _deliver_data(self, event: Any) -> None:
        self.data_handled += 1
        self._deliver(ChannelName.DATA_EVENTS, event, self._on_data)

    def handle_next(self) -> bool:
        """Handle the one message that is due next; return whether there was one."""
        if self.signal.pending and self._next_but_data():
            return True
        if self._seen is not None:
            self._deliver_seen()
            return True
        data = self.channels.data_events
        if not data.queue:
            return False
        self.handle_data(data.take())
        return True

    def run_slice(self, budget_ns: int, now: Callable[[], int]) -> bool:
        """Handle messages until none waits, the budget is spent, or `interrupt` is called.

        Args:
            budget_ns: How long to go on; at least one message is handled.
            now: A monotonic clock in nanoseconds.

        Returns:
            Whether messages still wait.
        """
        return self._slice(self.handle_next, budget_ns, now)

    def _slice(
        self, handle_next: Callable[[], bool], budget_ns: int, now: Callable[[], int]
    ) -> bool:
        self._begin()
        self._deadline = now() + budget_ns
        try:
            while handle_next():
                if now() >= self._deadline:
                    return self.channels.depth > 0 or self._seen is not None
            return False
        finally:
            self.clock.release()

    def handle_commands(self) -> None:
        """Handle the trading commands that wait, before anything else that does."""
        channel = self.channels.trading_commands
        try:
            while channel.queue:
                self._handle(channel, self.handlers.trading_command)
        finally:
            self.clock.release()

    def interrupt(self, *, at_once: bool = False) -> None:
        """End the slice that runs after the message being handled; callable from any thread.

        Args:
            at_once: Also a `drain`, and in the middle of what a data event caused: between any two
                messages. What comes between two slices is forgotten: ask again.
        """
        if at_once:
            self._is_interrupted = self._is_watched = True
        self._deadline = 0

    def limit(self, is_over: Callable[[], bool]) -> None:
        """From now on end each `drain`, after at least one message, once this tells so.

        For the end of a run: a strategy may answer every answer to it, without end.
        """
        self._is_over = is_over
        self._is_watched = True

    def _begin(self) -> None:
        self._is_interrupted = False
        self._is_watched = self._is_over is not _never

    def _must_end(self) -> bool:
        return self._is_interrupted or self._is_over()

    def flush(self) -> None:
        """Handle data events before data commands until both are quiet.

        While connecting, an instrument must be known before a subscription that needs it.
        """
        try:
            while self._flush_next():
                pass
        finally:
            self.clock.release()

    def flush_slice(self, budget_ns: int, now: Callable[[], int]) -> bool:
        """Flush for at most a budget of time; the arguments are those of `run_slice`.

        Returns:
            Whether messages may still wait.
        """
        return self._slice(self._flush_next, budget_ns, now)

    def _flush_next(self) -> bool:
        data, commands = self.channels.data_events, self.channels.data_commands
        if self._seen is not None:
            if not self._next_but_data_commands():
                self._deliver_seen()
            return True
        if data.queue:
            event = data.take()
            self._sample()
            for see in self.before_data:
                see(event)
            if self._next_but_data_commands():
                while self._next_but_data_commands():
                    if self._is_watched and self._must_end():
                        self._seen = event
                        return True
                self._sample()
            self._deliver_data(event)
            return True
        if commands.queue:
            self._handle(commands, self.handlers.data_command)
            return True
        return False

    def _next_but_data_commands(self) -> bool:
        for channel, handler in self._routes[:3]:
            if channel.queue:
                self._handle(channel, handler)
                return True
        return False

    def drain_finally(self, is_over: Callable[[], bool] = _never) -> int:
        """Handle what is left at the end: time, data commands, data events, trading, execution.

        What one channel's messages cause in an earlier one is handled in the next round.

        Args:
            is_over: Tells when there is no time for data events any more; those that are left are
                dropped. All other messages are handled whatever it tells, up to `limit`.

        Returns:
            How many data events were dropped.
        """
        data = self.channels.data_events
        try:
            if self._seen is not None:
                self._deliver_seen()
            while not self._is_over() and (
                self._waits_but_data() or (data.queue and not is_over())
            ):
                self._drain_round(is_over)
        finally:
            self.clock.release()
        return data.drop_waiting() if is_over() else 0

    def _waits_but_data(self) -> bool:
        return any(channel.queue for channel, _ in self._routes)

    def _drain_round(self, is_over: Callable[[], bool]) -> None:
        channels, handlers = self.channels, self.handlers
        self._drain_one(channels.time_events, handlers.time_event)
        self._drain_one(channels.data_commands, handlers.data_command)
        while channels.data_events.queue and not is_over():
            event = channels.data_events.take()
            self._sample()
            for see in self.before_data:
                see(event)
            self._deliver_data(event)
        self._drain_one(channels.trading_commands, handlers.trading_command)
        self._drain_one(channels.execution_events, handlers.execution_event)

    def _drain_one(self, channel: Channel, handler: Handler) -> None:
        while channel.queue:
            self._handle(channel, handler)
            if self._is_over():
                return

"""The async runner: a biased select over five channels, as a guest on somebody else's loop.

Messages are handled for at most a budget of time; then the runner sleeps, for a timed moment,
never `sleep(0)`, so that the host's own work (a notebook's cells) gets its turn.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from workbench.model.errors import BrokenOffError, RunnerError
from workbench.runtime import senders
from workbench.runtime.channels import Channels
from workbench.runtime.clock import Clock, LiveClock
from workbench.runtime.dispatch import Dispatcher, Handlers
from workbench.runtime.handling import Handling, came_too_late
from workbench.runtime.switching import quick_switching

_log = logging.getLogger(__name__)

AsyncRunnerChannels = Channels
"""The receiving halves, as `AsyncRunner.take_channels` hands them out."""

BUDGET_S = 0.005
PAUSE_S = 0.0005


class AsyncRunnerHandle:
    """Stops a runner from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def is_stopped(self) -> bool:
        """Return whether `stop` was called."""
        return self._event.is_set()

    def stop(self) -> None:
        """Ask the runner to end; calling it again does nothing."""
        if not self._event.is_set():
            self._event.set()
            for callback in list(self._callbacks):
                callback()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call back, on the stopping thread, when `stop` is called; at once if it was."""
        self._callbacks.append(callback)
        if self._event.is_set():
            callback()


class Parking:
    """Lets one task sleep until a signal; a `put` from any thread ends the sleep.

    However many messages a batch holds, the loop is woken once.
    """

    def __init__(self, channels: Channels) -> None:
        self.wakes = 0
        self._signal = channels.signal
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._future: asyncio.Future[None] | None = None

    async def park(self) -> None:
        """Sleep until something is put or `wake` is called; return at once if something waits.

        Raises:
            RunnerError: If another task sleeps on these channels.
        """
        signal = self._signal
        if signal.reader is not None:
            raise RunnerError("another task waits for these channels; they can have one reader")
        # Asked for each time: the next sleep may be on another loop, or on another thread's.
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._thread = threading.get_ident()
        self._future = loop.create_future()
        signal.reader = self
        signal.wake = self.wake
        signal.parked = True
        try:
            # A put between the last look and parking has set `pending`.
            if not signal.pending:
                await self._future
        finally:
            signal.parked = False
            signal.reader = None
            self._future = None

    def wake(self) -> None:
        """End the sleep, from any thread."""
        self.wakes += 1
        if threading.get_ident() == self._thread:
            self._resolve()
        else:
            self.nudge()

    def nudge(self) -> None:
        """End the sleep, also from a signal handler, which may run inside the loop's `select`."""
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._resolve)
            except RuntimeError:
                # The loop was closed: nobody sleeps there any more.
                _log.debug("a message came after the loop was closed")

    def _resolve(self) -> None:
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)


class Pump:
    """Runs a dispatcher on the running loop, a budget of time at a time.

    However the messages come, one by one or as a backlog, no more than the budget is spent on them
    without a timed sleep in between.

    Args:
        dispatcher: What handles the messages.
        stop: Ends `run` when stopped.
        budget_s: Seconds to handle messages before pausing.
        pause_s: Seconds to pause; at least 0.0005.
        before_slice: Called before each slice; the node checks its loop watch there.
        handling: Marks where messages are handled, for who breaks off what hangs there.
        room: Awaited before each slice: returns once more may be handled.

    Attributes:
        parking: Where the pump sleeps while nothing waits.
        pauses: How many timed sleeps there were.
        slices: How many slices were begun.

    Raises:
        RunnerError: If the budget is not positive or the pause too short.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        stop: AsyncRunnerHandle,
        *,
        budget_s: float = BUDGET_S,
        pause_s: float = PAUSE_S,
        before_slice: Callable[[], None] | None = None,
        handling: Handling | None = None,
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        _check_guest(budget_s, pause_s)
        self.dispatcher = dispatcher
        self.parking = Parking(dispatcher.channels)
        self.pauses = 0
        self.slices = 0
        self._stop = stop
        self._budget_ns = int(budget_s * 1e9)
        self._spent_ns = 0
        self._pause_s = pause_s
        self._pause_ns = int(pause_s * 1e9)
        self._before_slice = before_slice
        self._room = room
        self._handling = Handling() if handling is None else handling
        stop.on_stop(self._on_stop)

    def _on_stop(self) -> None:
        self.dispatcher.interrupt()
        self.dispatcher.signal.pending = True
        self.parking.nudge()

    async def run(self) -> None:
        """Handle messages until stopped; the message being handled is finished first."""
        with quick_switching():
            while not self._stop.is_stopped:
                if self._room is not None:
                    await self._room()
                await self.step()

    async def step(self) -> None:
        """Handle one slice, then pause if the budget is spent, else sleep until something comes.

        Once stopped it pauses instead of sleeping, so that a node can go on with what is left.
        """
        if self._before_slice is not None:
            self._before_slice()
        self.slices += 1
        begin = time.perf_counter_ns()
        waits = self._run_slice()
        end = time.perf_counter_ns()
        self._spent_ns += end - begin
        if waits or self._spent_ns >= self._budget_ns or self._stop.is_stopped:
            await self._pause()
            return
        await self.parking.park()
        # Short sleeps do not count as one: a stream of single messages must not starve the host.
        if time.perf_counter_ns() - end >= self._pause_ns:
            self._spent_ns = 0

    def _run_slice(self) -> bool:
        try:
            with self._handling:
                left_ns = self._budget_ns - self._spent_ns
                return self.dispatcher.run_slice(left_ns, time.perf_counter_ns)
        except BrokenOffError as error:
            if not came_too_late(error):
                raise
            _log.warning("a callback returned just when it was to be broken off")
            return True

    async def flush(self) -> None:
        """Flush while connecting (see `Dispatcher.flush`), a budget of time at a time."""
        while not self._stop.is_stopped and self.dispatcher.flush_slice(
            self._budget_ns, time.perf_counter_ns
        ):
            await self._pause()

    async def _pause(self) -> None:
        self.pauses += 1
        await asyncio.sleep(self._pause_s)
        self._spent_ns = 0


def _check_guest(budget_s: float, pause_s: float) -> None:
    if pause_s < PAUSE_S:
        raise RunnerError(
            f"pause_s must be at least {PAUSE_S}: shorter sleeps starve the host's loop;"
            f" got {pause_s}"
        )
    if budget_s <= 0:
        raise RunnerError(f"budget_s must be positive; got {budget_s}")


class AsyncRunner:
    """Five channels and the loop that empties them.

    Constructing one has no side effect. `bind_senders` (or `with runner.bound():`) puts the sending
    halves where components read them. Then either `await runner.run(handlers)`, or
    `take_channels()` and let a node interleave them with its own phases.

    Args:
        conflate_above: Bound the data events: from this many waiting on, keep only the latest of
            each instrument and report the gap. None keeps everything.
        budget_s: Seconds to handle messages before pausing.
        pause_s: Seconds to pause; at least 0.0005.
        name: For messages about the binding.
    """

    def __init__(
        self,
        *,
        conflate_above: int | None = None,
        budget_s: float = BUDGET_S,
        pause_s: float = PAUSE_S,
        name: str = "runner",
    ) -> None:
        _check_guest(budget_s, pause_s)
        self.name = name
        self.displaced_by: str | None = None
        self.budget_s = budget_s
        self.pause_s = pause_s
        self._channels = Channels.timed(time.perf_counter_ns, conflate_above)
        self._senders = senders.Senders(self._channels, name, self._on_displaced)
        self._handle = AsyncRunnerHandle()
        self._taken = False

    def _on_displaced(self, owner: str) -> None:
        self.displaced_by = owner
        _log.warning(
            "the senders of %r are no longer bound on this thread: those of %r are",
            self.name,
            owner,
        )

    @property
    def channels(self) -> Channels:
        """Return the channels, to look at their counters."""
        return self._channels

    @property
    def senders(self) -> senders.Senders:
        """Return the sending halves."""
        return self._senders

    def bind_senders(self) -> None:
        """Make this runner's senders the thread's; a runner that was bound before is told."""
        self.displaced_by = None
        senders.bind(self._senders)

    def unbind_senders(self) -> None:
        """Take the binding back if it is still this runner's."""
        senders.unbind(self._senders)

    @contextmanager
    def bound(self) -> Generator[senders.Senders]:
        """Bind for the length of a block, then restore what was bound before."""
        with senders.bound(self._senders) as bound:
            yield bound

    def handle(self) -> AsyncRunnerHandle:
        """Return what stops this runner, from any thread."""
        return self._handle

    def take_channels(self) -> AsyncRunnerChannels:
        """Hand the receiving halves over; afterwards `run` is not for this runner.

        Raises:
            RunnerError: If they were taken before, or `run` was called.
        """
        if self._taken:
            raise RunnerError(
                "this runner's channels have been taken already; make a new AsyncRunner"
            )
        self._taken = True
        return self._channels

    async def run(self, handlers: Handlers, clock: Clock | None = None) -> None:
        """Handle messages until `handle().stop()`.

        Args:
            handlers: Where messages go; their exceptions end the run and come out here.
            clock: Sampled before each message; by default a live clock.

        Raises:
            RunnerError: If the channels were taken, or it was run before.
        """
        channels = self.take_channels()
        clock = clock or LiveClock(self._senders.time_event.send)
        dispatcher = Dispatcher(channels, clock, handlers)
        await Pump(dispatcher, self._handle, budget_s=self.budget_s, pause_s=self.pause_s).run()

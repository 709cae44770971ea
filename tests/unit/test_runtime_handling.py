"""Breaking off what hangs: callbacks alone, and never what merely shares their thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.waiting import until_blocking
from workbench.model.errors import BrokenOffError
from workbench.runtime import handling
from workbench.runtime.channels import Channels
from workbench.runtime.clock import SimulatedClock
from workbench.runtime.dispatch import Dispatcher, Handlers
from workbench.runtime.handling import Handling
from workbench.runtime.runner import AsyncRunnerHandle, Pump

# See tests/integration/test_node_kill.py.
pytestmark = pytest.mark.unmeasured


def made(handler: Callable[[Any], None]) -> tuple[Dispatcher, Channels]:
    """Return a dispatcher that hands data events to a handler."""
    channels = Channels.plain()
    handlers = Handlers(_ignore, _ignore, _ignore, _ignore, handler)
    return Dispatcher(channels, SimulatedClock(), handlers), channels


def _ignore(_: Any) -> None:
    return None


def _spin(_: Any = None) -> None:
    while True:
        pass


class Breaker:
    """Tries to break off, from a thread of its own, until told to stop or it was sent."""

    def __init__(self, handling: Handling, tries: int | None = None) -> None:
        self.sent: list[bool] = []
        self.names: list[str] = []
        self._handling = handling
        self._tries = tries
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        def is_done() -> bool:
            self.names.append(self._handling.callback())
            self.sent.append(self._handling.break_off())
            return self.sent[-1] or len(self.sent) == self._tries

        until_blocking(is_done)

    def __enter__(self) -> Breaker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()


def test_a_callback_that_spins_is_broken_off_where_it_is() -> None:
    marked = Handling()
    dispatcher, channels = made(_spin)
    channels.data_events.put("quote")
    with Breaker(marked) as breaker, pytest.raises(BrokenOffError) as caught, marked:
        dispatcher.handle_next()
    assert breaker.names[-1].startswith("_spin (line ")
    assert caught.traceback[-1].name == "_spin"
    assert not marked.is_inside


def test_outside_of_handling_nothing_is_broken_off() -> None:
    marked = Handling()
    with Breaker(marked, tries=50) as breaker:
        until_blocking(lambda: len(breaker.sent) == 50)
    assert not any(breaker.sent)
    assert set(breaker.names) == {""}


def test_code_that_handling_did_not_call_is_not_broken_off() -> None:
    marked = Handling()
    with marked, Breaker(marked, tries=50) as breaker:
        # This test's own lines stand for the host's: nothing of ours has called them.
        until_blocking(lambda: len(breaker.sent) == 50)
    assert not any(breaker.sent)


def test_the_pump_outlives_an_exception_that_came_too_late() -> None:
    seen: list[str] = []

    # As if it had struck a line of ours, which is what it does when it comes too late.
    ours: dict[str, Any] = {"BrokenOffError": BrokenOffError}
    exec(compile("def late(): raise BrokenOffError", handling.__file__, "exec"), ours)

    def handle(message: str) -> None:
        if message == "late":
            ours["late"]()
        seen.append(message)

    async def main() -> None:
        dispatcher, channels = made(handle)
        pump = Pump(dispatcher, AsyncRunnerHandle())
        for message in ("late", "next"):
            channels.data_events.put(message)
        await pump.step()
        await asyncio.wait([asyncio.ensure_future(pump.step())], timeout=0.1)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(main())
    assert seen == ["next"]


def test_the_pump_fails_where_a_client_was_broken_off() -> None:
    def hang(_: Any) -> None:
        raise BrokenOffError

    async def main() -> None:
        dispatcher, channels = made(hang)
        channels.data_events.put("quote")
        with pytest.raises(BrokenOffError):
            await Pump(dispatcher, AsyncRunnerHandle()).step()

    asyncio.run(main())

"""Binding the senders to a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.waiting import GUARD_S
from workbench.model.errors import SenderError, WorkbenchError
from workbench.runtime import (
    AsyncDataCommandSender,
    AsyncDataEventSender,
    AsyncExecEventSender,
    AsyncRunner,
    AsyncTimeEventSender,
    AsyncTradingCommandSender,
    get_data_cmd_sender,
    get_data_event_sender,
    get_exec_event_sender,
    get_time_event_sender,
    get_trading_cmd_sender,
)
from workbench.runtime.senders import current

GETTERS: dict[str, tuple[Callable[[], Any], type]] = {
    "time_events": (get_time_event_sender, AsyncTimeEventSender),
    "data_commands": (get_data_cmd_sender, AsyncDataCommandSender),
    "data_events": (get_data_event_sender, AsyncDataEventSender),
    "trading_commands": (get_trading_cmd_sender, AsyncTradingCommandSender),
    "execution_events": (get_exec_event_sender, AsyncExecEventSender),
}


@pytest.fixture(autouse=True)
def nothing_stays_bound() -> Iterator[None]:
    assert current() is None
    yield
    assert current() is None


@pytest.mark.parametrize("channel", GETTERS)
def test_a_bound_sender_puts_into_its_own_channel(channel: str) -> None:
    getter, kind = GETTERS[channel]
    runner = AsyncRunner()
    with runner.bound():
        sender = getter()
    assert isinstance(sender, kind)
    sender.send("x")
    assert {c.name.value: c.depth for c in runner.channels if c.depth} == {channel: 1}
    assert repr(sender) == f"{kind.__name__}({channel})"


@pytest.mark.parametrize("channel", GETTERS)
def test_reading_a_sender_before_binding_raises_an_error_that_says_so(channel: str) -> None:
    with pytest.raises(SenderError, match=r"no .* sender is bound on thread 'MainThread'") as error:
        GETTERS[channel][0]()
    assert "bind_senders()" in str(error.value)
    assert isinstance(error.value, WorkbenchError)


def test_reading_a_sender_from_another_thread_than_the_one_that_bound_raises_and_names_it() -> None:
    runner = AsyncRunner()
    errors: list[str] = []

    def read() -> None:
        for getter, _ in GETTERS.values():
            try:
                getter()
            except SenderError as error:
                errors.append(str(error))

    with runner.bound():
        thread = threading.Thread(target=read, name="elsewhere")
        thread.start()
        thread.join(GUARD_S)
    assert len(errors) == 5
    assert all("'elsewhere'" in text and "on the same thread" in text for text in errors)


def test_the_last_runner_to_bind_wins_and_the_earlier_one_is_told() -> None:
    first, second = AsyncRunner(name="first"), AsyncRunner(name="second")
    first.bind_senders()
    assert get_data_event_sender() is first.senders.data_event
    second.bind_senders()
    assert get_data_event_sender() is second.senders.data_event
    assert first.displaced_by == "second"
    assert second.displaced_by is None
    first.bind_senders()
    assert (first.displaced_by, second.displaced_by) == (None, "first")
    first.unbind_senders()


def test_binding_the_same_runner_again_displaces_nobody() -> None:
    runner = AsyncRunner()
    runner.bind_senders()
    runner.bind_senders()
    assert runner.displaced_by is None
    runner.unbind_senders()


def test_unbinding_a_displaced_runner_leaves_the_binding_alone() -> None:
    first, second = AsyncRunner(), AsyncRunner()
    first.bind_senders()
    second.bind_senders()
    first.unbind_senders()
    assert current() is second.senders
    second.unbind_senders()


def test_a_bound_block_restores_what_was_bound_before_even_when_it_raises() -> None:
    outer, inner = AsyncRunner(), AsyncRunner()
    with outer.bound() as senders:
        assert senders is outer.senders
        with inner.bound():
            assert current() is inner.senders
        assert current() is outer.senders
        with pytest.raises(ZeroDivisionError), inner.bound():
            raise ZeroDivisionError
        assert current() is outer.senders
        assert outer.displaced_by is None


def test_two_nodes_in_one_kernel_never_cross() -> None:
    class Component:
        def __init__(self) -> None:
            self.send = get_trading_cmd_sender().send

    runners = [AsyncRunner(name="a"), AsyncRunner(name="b")]
    components: list[Component] = []
    for runner in runners:
        with runner.bound():
            components.append(Component())
    for number in range(4):
        components[number % 2].send(number)
    taken = [[runner.channels.trading_commands.take() for _ in range(2)] for runner in runners]
    assert taken == [[0, 2], [1, 3]]


def test_a_sender_that_was_read_keeps_working_unbound_and_from_any_thread() -> None:
    runner = AsyncRunner()
    with runner.bound():
        sender = get_exec_event_sender()
    thread = threading.Thread(target=sender.send, args=("fill",))
    thread.start()
    thread.join(GUARD_S)
    assert runner.channels.execution_events.take() == "fill"

"""Signals: they stop a standalone node gracefully and leave an embedded one alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from textwrap import dedent

import pytest

from tests.node_fakes import ROOT
from tests.waiting import GUARD_S

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")

HEAD = """
import asyncio, logging, os, signal, sys, time
import workbench as wb
from tests.node_fakes import *
from tests.waiting import *

def say(what):
    print(what, flush=True)

log = []
feed, market = Feed(log=log), Market(log=log)
"""


@contextmanager
def process(script: str) -> Generator[subprocess.Popen[str]]:
    """Run a script until it has said `ready`."""
    started = subprocess.Popen(
        [sys.executable, "-c", HEAD + dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n", started.communicate(timeout=GUARD_S)
        yield started
    finally:
        started.kill()
        started.communicate(timeout=GUARD_S)


STANDALONE = """
class Ready(Watcher):
    def on_start(self):
        super().on_start()
        self.clock.set_timer("soon", 10_000_000, self.soon)

    def soon(self, event):
        self.clock.cancel_timer("soon")
        say("ready")

    def on_stop(self):
        say("on_stop")

before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
node = make_node(Ready(), feed=feed, market=market)
node.build()
node.run()
say(log[-1]); say(node.state); say(node.fault)
assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
node.dispose()
say("end")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_standalone_node_gracefully(number: signal.Signals) -> None:
    with process(STANDALONE) as running:
        running.send_signal(number)
        out, err = running.communicate(timeout=GUARD_S)
        assert out.split("\n")[:-1] == [
            "on_stop",
            "SIM-EXEC disconnected",
            "STOPPED",
            "None",
            "end",
        ]
        assert running.returncode == 0, err


HANGING = """
class Hangs(Watcher):
    def on_start(self):
        super().on_start()
        self.clock.set_alert("soon", self.clock.timestamp_ns(), self.soon)

    def soon(self, event):
        say("ready")
        before = time.monotonic()
        while time.monotonic() < before + 60:
            time.sleep(0.01)

node = make_node(Hangs(), feed=feed, market=market)
node.build()
try:
    node.run()
except KeyboardInterrupt:
    say("interrupted"); say(log[-1]); say(node.state)
node.dispose()
"""


def test_a_second_interrupt_breaks_off_a_callback_that_hangs() -> None:
    with process(HANGING) as running:
        running.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.5)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=GUARD_S)
        assert out.split("\n")[:-1] == ["interrupted", "SIM-EXEC disconnected", "STOPPED"], err
        assert running.returncode == 0, err


def test_a_second_termination_ends_the_process() -> None:
    with process(HANGING) as running:
        running.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.5)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=GUARD_S)
        assert running.returncode == -signal.SIGTERM


def test_a_second_interrupt_cuts_a_slow_stop_short() -> None:
    script = """
    async def slowly():
        say("slow")
        await asyncio.sleep(60)

    class Ready(Watcher):
        def on_start(self):
            super().on_start()
            self.clock.set_alert("soon", self.clock.timestamp_ns(), lambda event: say("ready"))

    feed.disconnect = slowly
    node = make_node(Ready(), feed=feed, market=market, timeout_disconnection_s=60.0)
    node.build()
    try:
        node.run()
    except KeyboardInterrupt:
        say(node.state); say(node.disconnect_failures[0].split()[0])
    node.dispose()
    """
    with process(script) as running:
        running.send_signal(signal.SIGINT)
        assert running.stdout is not None
        assert running.stdout.readline() == "slow\n"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=GUARD_S)
        assert out.split("\n")[:-1] == ["STOPPED", "FEED"], err


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    script = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + STANDALONE
    with process(script) as running:
        running.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(0.5)
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=GUARD_S)
        assert out.endswith("end\n"), err


def test_an_embedded_node_installs_no_handler_and_survives_an_interrupted_cell() -> None:
    script = """
    async def main():
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        strategy = Watcher()
        node = make_node(strategy, feed=feed, market=market)
        node.build(); node.run()
        await until_running(node)
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
        try:
            say("ready")
            time.sleep(30)  # a cell
        except KeyboardInterrupt:
            say("cell interrupted")
        feed.client.quote()
        await until(lambda: strategy.quotes)
        say(node.state)
        await node.stop_async()
        node.dispose()

    signal.signal(signal.SIGINT, signal.default_int_handler)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    say("end")
    """
    with process(script) as running:
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=GUARD_S)
        assert out.split("\n")[:-1] == ["cell interrupted", "RUNNING", "end"], err


def test_a_node_on_its_own_thread_installs_no_handler() -> None:
    script = """
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    node = make_node(Watcher(), feed=feed, market=market)
    node.build(); node.run(thread=True)
    until_blocking(lambda: node.phase == "running")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    try:
        say("ready")
        time.sleep(30)
    except KeyboardInterrupt:
        say(node.state)
    node.stop()
    node.dispose()
    say("end")
    """
    with process(script) as running:
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=GUARD_S)
        assert out.split("\n")[:-1] == ["RUNNING", "end"], err

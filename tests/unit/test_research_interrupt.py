"""Interrupts and the progress bar of a backtest, by real signals in real processes."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import workbench as wb
from tests.waiting import GUARD_S

PAIR = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01")

PREAMBLE = """
import signal, sys, threading, time
import workbench as wb

PAIR = wb.CurrencyPair.define("BTC/USD.SIM", price_increment="0.01")

def say(*what):
    print(*what, flush=True)

class Endless(wb.Strategy):
    after: int = 20_000
    def on_start(self):
        self.count = 0
        self.subscribe_quotes()
    def on_quote(self, quote):
        self.count += 1
        if self.count == 10:
            self.submit_order(self.orders.market(quote.instrument_id, "buy", 1))
        if self.count == self.after:
            say("READY")
        while self.count >= self.after and not interrupted():
            time.sleep(0.001)

def interrupted():
    return "interrupt" not in getattr(signal.getsignal(signal.SIGINT), "__qualname__", "")

data = wb.sample_quotes(100_000)
before = signal.getsignal(signal.SIGINT)
"""


@contextmanager
def process(code: str) -> Iterator[tuple[subprocess.Popen[str], Callable[[str], list[str]]]]:
    """Run code; `until(word)` returns the lines up to one that begins with the word."""
    script = PREAMBLE + textwrap.dedent(code)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # an interrupt of the test run is not for it
    ) as running:
        guard = threading.Timer(GUARD_S, running.kill)
        guard.start()

        def until(word: str) -> list[str]:
            lines: list[str] = []
            for line in running.stdout or ():
                lines.append(line.rstrip("\n"))
                if line.startswith(word):
                    return lines
            raise AssertionError(f"the process ended without {word}:\n" + "\n".join(lines))

        try:
            yield running, until
        finally:
            guard.cancel()
            running.kill()


def test_an_interrupt_ends_the_run_after_the_present_event_and_keeps_what_was_computed() -> None:
    code = """
        strategy = Endless()
        result = wb.backtest(strategy, data, instrument=PAIR, progress=False)
        say("ENDED", result.ended, result.events, len(result.fills), result.is_complete)
        say("HANDLER", signal.getsignal(signal.SIGINT) is before)
        say("STATE", strategy.state.value, len(result.equity) > 100)
        again = wb.backtest(Endless(after=10**9), data, instrument=PAIR, progress=False)
        say("AGAIN", again.events, again.ended == "")
    """
    with process(code) as (running, until):
        until("READY")
        running.send_signal(2)
        assert until("ENDED")[-1] == "ENDED interrupted 20000 1 False"
        assert until("HANDLER")[-1] == "HANDLER True"
        assert until("STATE")[-1] == "STATE STOPPED True"
        assert until("AGAIN")[-1] == "AGAIN 100000 True"


def test_a_second_interrupt_breaks_off_and_leaves_the_strategy_usable() -> None:
    code = """
        class Stuck(Endless):
            def on_quote(self, quote):
                self.count += 1
                if self.count == 5:
                    say("READY")
                    while not interrupted():
                        time.sleep(0.001)
                    say("FIRST")
                    while True:
                        time.sleep(0.001)

        strategy = Stuck()
        try:
            wb.backtest(strategy, data, instrument=PAIR, progress=False)
        except KeyboardInterrupt:
            say("BROKEN", signal.getsignal(signal.SIGINT) is before, strategy.state.value)
        result = wb.backtest(strategy, wb.sample_quotes(4), instrument=PAIR)
        say("AGAIN", result.events, strategy.state.value)
    """
    with process(code) as (running, until):
        until("READY")
        running.send_signal(2)
        until("FIRST")
        running.send_signal(2)
        assert until("BROKEN")[-1] == "BROKEN True FAULTED"
        assert until("AGAIN")[-1] == "AGAIN 4 STOPPED"


def test_a_handler_of_the_programs_own_gets_the_second_interrupt() -> None:
    code = """
        def mine(*_):
            say("MINE")
        signal.signal(signal.SIGINT, mine)

        class Twice(Endless):
            def on_quote(self, quote):
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)

        result = wb.backtest(Twice(), data, instrument=PAIR, progress=False)
        say("ENDED", result.events, result.ended, signal.getsignal(signal.SIGINT) is mine)
    """
    with process(code) as (_, until):
        assert until("ENDED") == ["MINE", "ENDED 1 interrupted True"]


def test_a_backtest_on_another_thread_leaves_interrupts_to_the_program() -> None:
    code = """
        done = threading.Event()
        class Waiting(Endless):
            def on_quote(self, quote):
                self.count += 1
                if self.count == 5:
                    say("READY")
                    done.wait(30)

        found = []
        def run():
            found.append(wb.backtest(Waiting(), wb.sample_quotes(9), instrument=PAIR))
        thread = threading.Thread(target=run)
        try:
            thread.start()
            while thread.is_alive():
                time.sleep(0.001)
        except KeyboardInterrupt:
            say("PROGRAM")
        done.set()
        thread.join()
        say("ENDED", found[0].is_complete, signal.getsignal(signal.SIGINT) is before)
    """
    with process(code) as (running, until):
        until("READY")
        running.send_signal(2)
        assert until("ENDED") == ["PROGRAM", "ENDED True True"]


# The progress bar

QUICK = 'result = wb.backtest(wb.Actor(), data, instrument=PAIR{})\nsay("ENDED", result.events)'


@pytest.mark.parametrize("keywords", ["", ", progress=None", ", progress=False"])
def test_a_short_run_shows_no_bar_and_does_not_even_load_one(keywords: str) -> None:
    code = QUICK.format(keywords) + '\nsay("LOADED", "tqdm" in sys.modules)'
    with process(code) as (_, until):
        assert until("LOADED") == ["ENDED 100000", "LOADED False"]


def test_a_bar_that_was_asked_for_is_shown_from_beginning_to_end() -> None:
    code = QUICK.format(", progress=True") + '\nsay("THREADS", threading.active_count())'
    with process(code) as (_, until):
        lines = until("THREADS")
    assert any("backtest" in line and "100%" in line for line in lines)
    assert lines[-1] == "THREADS 1"


def test_a_long_run_shows_a_bar_by_default_and_never_where_it_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.modules["workbench.research.backtest"], "PROGRESS_AFTER_S", 1e-9)
    data = wb.sample_quotes(50_000)
    wb.backtest(wb.Actor(), data, instrument=PAIR, progress=False)
    assert capsys.readouterr().err == ""
    wb.backtest(wb.Actor(), data, instrument=PAIR)
    shown = capsys.readouterr().err
    assert "backtest" in shown
    assert "50.0k/50.0k" in shown


def test_the_bar_of_a_run_that_failed_stays_where_it_was(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Failing(wb.Actor):
        def on_start(self) -> None:
            self.count = 0
            self.subscribe_quotes()

        def on_quote(self, quote: wb.Quote) -> None:
            self.count += 1
            if self.count == 30_000:
                raise RuntimeError("a mistake")

    data = wb.sample_quotes(50_000)
    with pytest.raises(wb.StrategyError):
        wb.backtest(Failing(), data, instrument=PAIR, progress=True)
    shown = capsys.readouterr().err
    assert "100%" not in shown
    assert "/50.0k" in shown
    assert shown.endswith("\n")


def test_a_terminal_sees_the_bar_move() -> None:
    code = PREAMBLE + QUICK.format(", progress=True")
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    with subprocess.Popen([sys.executable, "-c", code], stdout=follower, stderr=follower) as shown:
        os.close(follower)
        read, end = b"", time.monotonic() + GUARD_S
        while b"ENDED" not in read and time.monotonic() < end:
            if select.select([leader], [], [], 0.1)[0]:
                read += os.read(leader, 65536)
        shown.kill()
    os.close(leader)
    assert re.search(rb"backtest:\s+0%.*\r.*backtest: 100%", read, re.S)

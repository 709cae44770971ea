"""Leases: one node at a time trades an account, also when processes race, stall or die."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.waiting import GUARD_S
from workbench.model.errors import ConfigError
from workbench.node.journal import JournalError, LeaseError, Leases
from workbench.node.journal.lease import Lease, Times
from workbench.node.journal.processes import ProcessId, is_gone, this_process

SECOND = 10**9


class Time:
    """Clocks that a test moves."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 10**18, 5 * SECOND

    def pass_s(self, seconds: float) -> None:
        self.wall += int(seconds * SECOND)
        self.monotonic += int(seconds * SECOND)

    @property
    def times(self) -> Times:
        return Times(lambda: self.wall, lambda: self.monotonic)


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def leases(tmp_path: Path, now: Time) -> Leases:
    return Leases(tmp_path / "made" / "leases.sqlite", now.times)


def test_a_second_node_is_refused_by_name_of_the_holder(leases: Leases) -> None:
    leases.take("B-1", "node one")
    with pytest.raises(
        LeaseError, match=rf"B-1 is traded by node one \(process {os.getpid()} on .*2001-09-09"
    ):
        leases.take("B-1", "node two")
    leases.take("B-2", "node two")  # another account is free
    assert [(one.account_id, one.owner) for one in leases.holders()] == [
        ("B-1", "node one"),
        ("B-2", "node two"),
    ]


def test_a_lease_that_was_given_back_is_free(leases: Leases) -> None:
    with leases.take("B-1", "one") as lease:
        assert lease.may_send
    assert not lease.may_send
    lease.give_back()
    assert leases.holders() == []
    other = leases.take("B-1", "two")
    with pytest.raises(LeaseError, match=r"was given back"):
        lease.renew()
    assert other.may_send


def test_a_holder_that_did_not_renew_in_time_loses_it_and_hears_so(
    leases: Leases, now: Time
) -> None:
    lease = leases.take("B-1", "one", expiry_s=10)
    now.pass_s(10)
    assert lease.may_send
    with pytest.raises(LeaseError):
        leases.take("B-1", "two")
    now.pass_s(0.001)
    # From the moment at which another may take it, it sends nothing.
    assert not lease.may_send
    other = leases.take("B-1", "two", expiry_s=10)
    with pytest.raises(LeaseError, match=r"B-1 was lost: two \(process .*\) has it. Send no more"):
        lease.renew()
    assert not lease.may_send
    with pytest.raises(LeaseError, match=r"lost"):
        lease.renew()
    lease.give_back()  # takes nothing from the other
    other.renew()
    assert other.may_send


def test_a_holder_that_was_held_up_goes_on_if_nobody_took_it(leases: Leases, now: Time) -> None:
    lease = leases.take("B-1", "one", expiry_s=10)
    now.pass_s(60)
    assert not lease.may_send
    lease.renew()
    assert lease.may_send
    with pytest.raises(LeaseError):
        leases.take("B-1", "two")


def test_a_renewed_lease_is_kept_and_a_wall_clock_that_jumps_does_not_matter(
    leases: Leases, now: Time
) -> None:
    lease = leases.take("B-1", "one", expiry_s=10)
    for jump in (10**15, -(10**16), 10**15):
        now.pass_s(9)
        now.wall += jump
        lease.renew()
        with pytest.raises(LeaseError):
            leases.take("B-1", "two")


def test_of_another_machine_only_the_time_since_the_renewal_counts(
    tmp_path: Path, now: Time
) -> None:
    far = ProcessId(host="far", scope="boot", pid=1, started="5")
    there = Leases(tmp_path / "leases.sqlite", now.times, far)
    here = Leases(tmp_path / "leases.sqlite", now.times)
    lease = there.take("B-1", "one", expiry_s=10)
    now.monotonic = 0  # another machine's counts from elsewhere
    with pytest.raises(LeaseError, match=r"process 1 on far"):
        here.take("B-1", "two")
    now.wall += 10 * SECOND + 1
    here.take("B-1", "two")
    with pytest.raises(LeaseError, match=r"lost"):
        lease.renew()


@pytest.mark.parametrize("expiry_s", [0, -1, float("nan")])
def test_an_expiry_is_positive(leases: Leases, expiry_s: float) -> None:
    with pytest.raises(ConfigError, match=r"expiry_s is a number of seconds above 0"):
        leases.take("B-1", "one", expiry_s=expiry_s)


def test_the_file_is_its_owners_alone_and_says_who_has_what(leases: Leases) -> None:
    leases.take("B-1", "<one>")
    assert stat.S_IMODE(leases.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(leases.path.parent.stat().st_mode) == 0o700
    assert repr(leases) == "<Leases: B-1: <one>>"
    assert "&lt;one&gt;" in leases._repr_html_()


def test_a_file_that_is_no_file_of_leases_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "leases.sqlite"
    path.write_bytes(b"something else, long enough to be looked at" * 99)
    with pytest.raises(JournalError, match=r"cannot use the file of leases"):
        Leases(path)


# --- processes -----------------------------------------------------------------------------------


def test_this_process_is_alive_and_one_that_has_its_number_later_is_not_it() -> None:
    here = this_process()
    assert here.pid == os.getpid()
    assert not is_gone(here, here)
    assert is_gone(msgspec.structs.replace(here, started="1"), here)
    elsewhere = msgspec.structs.replace(here, started="1", scope="another container")
    assert not is_gone(elsewhere, here)  # nobody can tell


CHILD = """
import sys
from workbench.node.journal import LeaseError, Leases
leases = Leases(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    lease = leases.take("B-1", sys.argv[2])
    print("taken", flush=True)
except LeaseError as error:
    print(error, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def children(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    path = str(tmp_path / "leases.sqlite")
    made = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, path, f"node {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    try:
        yield made
    finally:
        for child in made:
            child.kill()
            child.communicate(timeout=GUARD_S)


def answers(children: list[subprocess.Popen[str]]) -> list[str]:
    return [child.stdout.readline().strip() for child in children if child.stdout is not None]


def test_of_processes_that_race_one_gets_it_and_when_it_is_killed_another_may(
    children: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    assert answers(children) == ["ready"] * 4
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    told = answers(children)
    assert told.count("taken") == 1
    winner = told.index("taken")
    refused = [text for text in told if text != "taken"]
    assert all(f"is traded by node {winner} (process" in text for text in refused)
    leases = Leases(tmp_path / "leases.sqlite")
    with pytest.raises(LeaseError, match=rf"node {winner}"):
        leases.take("B-1", "late")
    children[winner].send_signal(signal.SIGKILL)
    children[winner].wait(GUARD_S)
    # It is dead: its lease is not waited for.
    assert leases.take("B-1", "late").may_send


# --- keeping -------------------------------------------------------------------------------------


def test_a_lease_is_kept_by_a_thread_until_it_is_lost(tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases.sqlite")
    lease = leases.take("B-1", "one", expiry_s=0.05)
    renewed = threading.Event()
    renew = leases.renew

    def noted(holder: object) -> object:
        made = renew(holder)  # type: ignore[arg-type]
        renewed.set()
        return made

    leases.renew = noted  # type: ignore[method-assign,assignment]
    lost: list[LeaseError] = []
    heard = threading.Event()
    lease.keep(lambda error: (lost.append(error), heard.set()))  # type: ignore[arg-type,func-returns-value]
    assert renewed.wait(GUARD_S)
    steal(leases)
    assert heard.wait(GUARD_S)
    assert "was lost" in str(lost[0])
    assert not lease.may_send
    lease.give_back()


def steal(leases: Leases) -> None:
    """Take the lease as another process would that found the holder dead."""
    (holder,) = leases.holders()
    leases.give_back(holder)
    leases.take("B-1", "thief", expiry_s=3600)


def test_keeping_goes_on_when_the_file_cannot_be_written_for_a_while(tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases.sqlite")
    lease: Lease = leases.take("B-1", "one", expiry_s=0.05)
    renew, tries = leases.renew, threading.Semaphore(0)
    done = threading.Event()
    failures = 3

    def sometimes(holder: object) -> object:
        nonlocal failures
        tries.release()
        failures -= 1
        if failures >= 0:
            raise JournalError("the disk is full")
        done.set()
        return renew(holder)  # type: ignore[arg-type]

    leases.renew = sometimes  # type: ignore[method-assign,assignment]
    lost: list[LeaseError] = []
    lease.keep(lost.append)
    assert done.wait(GUARD_S)
    lease.give_back()
    assert lost == []
    assert leases.holders() == []

"""Processes that are killed while they append: what was reported durable is there, nothing half."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.waiting import GUARD_S
from workbench.model.events import TimeEvent
from workbench.node.journal import Journal

KILLS = 100

# Every record says which one it is. Some are waited for; each report is one write to the pipe.
CHILD = """
import os, random, sys
from workbench.node.journal import Journal
from workbench.model.events import TimeEvent

rng = random.Random(int(sys.argv[2]))
journal = Journal.open(sys.argv[1], "TRADER-001", linger_s=0.005)
os.write(1, b"open\\n")
kinds = ("event", "time", "data", "command")
while True:
    for _ in range(rng.randrange(1, 200)):
        number = journal.sequence + 1
        message = TimeEvent("x" * (number * 7919 % 300), number, number)
        journal.append(rng.choice(kinds), message, number=number)
    sequence = journal.sequence
    def report(error, sequence=sequence):
        if error is None:
            os.write(1, b"%d\\n" % sequence)
    journal.when_durable(sequence, report)
    if rng.random() < 0.3:
        journal.flush()
"""


def killed(path: Path, seed: int, after: int) -> int:
    """Run a process that appends, kill it after so many reports; return what was durable last."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    try:
        reports = [child.stdout.readline() for _ in range(1 + after)]
        if after % 3 == 0:
            # Somewhere within the next commits, not just after one.
            reports.append(child.stdout.read(1))
    finally:
        child.kill()
        rest, errors = child.communicate(timeout=GUARD_S)
    lines = (b"".join(reports) + rest).split(b"\n")[:-1]
    assert lines[:1] == [b"open"], errors.decode()
    durable = [int(line) for line in lines[1:]]
    assert durable == sorted(durable)
    assert len(durable) >= after
    return durable[-1] if durable else 0


def test_every_record_that_was_reported_durable_survives_kills_in_order_and_whole(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    rng = random.Random(20)
    path = tmp_path / "journal.sqlite"
    kept = 0
    count = repetitions(KILLS)
    for seed in range(count):
        reported = killed(path, seed, rng.randrange(20))
        with Journal.open(path, "TRADER-001") as journal:
            found = list(journal.messages(after=kept))
            last = journal.sequence
        assert last >= max(reported, kept), f"kill {seed}: {reported} was durable, {last} is there"
        assert [r.sequence for r in found] == list(range(kept + 1, last + 1))
        for record in found:
            number = record.sequence
            assert record.message == TimeEvent("x" * (number * 7919 % 300), number, number)
            assert record.number == number
        kept = last
    assert kept > 100 * count

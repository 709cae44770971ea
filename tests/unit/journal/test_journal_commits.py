"""Durability: order, waiting from threads and loops, congestion, a disk that fails, closing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.unit.journal import samples as s
from tests.waiting import GUARD_S
from workbench.node.journal import Journal, JournalError


@contextmanager
def held_up(journal: Journal) -> Iterator[None]:
    """Let no commit through meanwhile, as a slow disk would."""
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def fill_the_disk(journal: Journal) -> None:
    """Let the file grow no more."""
    store = journal._commits._store
    count = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store.limit_pages(count)


def overflow(journal: Journal) -> int:
    """Append more than fits on the full disk."""
    for number in range(500):
        journal.append("time", s.event("x" * 500), number=number)
    return journal.sequence


@pytest.fixture(params=["thread", "inline"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    made = s.threaded(tmp_path) if request.param == "thread" else s.inline(tmp_path)
    yield made
    made.abandon()


def test_what_is_durable_can_be_read_by_others_and_was_written_in_order(journal: Journal) -> None:
    async def append() -> None:
        for number in range(100):
            sequence = journal.append("event", s.submitted(number), number=number)
            if number % 7 == 0:
                await journal.durable(sequence)
                assert Journal.read_only(journal.path).last_sequence >= sequence
        await journal.durable()
        assert journal.waiting == 0

    asyncio.run(append())
    found = [(r.sequence, r.number) for r in Journal.read_only(journal.path).messages()]
    assert found == [(number + 1, number) for number in range(100)]


def test_append_returns_while_the_disk_is_held_up_and_durable_waits(tmp_path: Path) -> None:
    with s.threaded(tmp_path) as journal:

        async def append() -> None:
            with held_up(journal):
                sequence = journal.append("command", s.submit(1))
                waiting = asyncio.create_task(journal.durable(sequence))
                turns = 0
                for _ in range(50):  # the loop goes on
                    await asyncio.sleep(0.001)
                    turns += 1
                assert (turns, waiting.done(), journal.waiting) == (50, False, 1)
            await asyncio.wait_for(waiting, GUARD_S)
            assert journal.waiting == 0

        asyncio.run(append())


def test_what_was_appended_while_a_commit_was_made_goes_with_the_next_one(tmp_path: Path) -> None:
    with s.threaded(tmp_path) as journal:
        groups: list[int] = []
        write = journal._commits._store.write

        def counted(entries: list[object]) -> None:
            write(entries)  # type: ignore[arg-type]
            groups.append(len(entries))

        journal._commits._store.write = counted  # type: ignore[method-assign]
        with held_up(journal):
            for number in range(500):
                journal.append("event", s.submitted(number))
        journal.flush(GUARD_S)
        # The first ones were on their way before the others came.
        assert sum(groups) == 500
        assert len(groups) < 10


def test_several_threads_and_loops_wait_at_once(journal: Journal) -> None:
    heard: list[tuple[str, JournalError | None]] = []
    sequence = journal.append("event", s.submitted(1))

    def on_a_loop_of_its_own() -> None:
        asyncio.run(journal.durable(sequence))
        heard.append(("loop", None))

    threads = [threading.Thread(target=on_a_loop_of_its_own) for _ in range(3)]
    threads.append(threading.Thread(target=lambda: journal.flush(GUARD_S)))
    for thread in threads:
        thread.start()
    done = threading.Event()
    journal.when_durable(sequence, lambda error: (heard.append(("call", error)), done.set()))
    assert done.wait(GUARD_S)
    for thread in threads:
        thread.join(GUARD_S)
    assert sorted(heard, key=str) == [("call", None), *[("loop", None)] * 3]


def test_threads_append_without_a_gap_or_a_double(tmp_path: Path) -> None:
    with s.threaded(tmp_path) as journal:
        taken: list[list[int]] = [[] for _ in range(4)]

        def append(mine: list[int]) -> None:
            mine.extend(journal.append("event", s.submitted(1)) for _ in range(500))

        threads = [threading.Thread(target=append, args=(mine,)) for mine in taken]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GUARD_S)
        assert all(mine == sorted(mine) for mine in taken)
        assert sorted(n for mine in taken for n in mine) == list(range(1, 2_001))
        assert [r.sequence for r in journal.messages()] == list(range(1, 2_001))


def test_waiting_for_what_was_never_appended_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalError, match=r"no record 1 was appended; the last is 0"):
        journal.when_durable(1, lambda error: None)


def test_who_stops_waiting_does_not_disturb_the_others(tmp_path: Path) -> None:
    with s.threaded(tmp_path) as journal:

        async def wait() -> None:
            with held_up(journal):
                sequence = journal.append("command", s.submit(1))
                first, second = (asyncio.create_task(journal.durable(sequence)) for _ in range(2))
                await asyncio.sleep(0)
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
            await asyncio.wait_for(second, GUARD_S)

        asyncio.run(wait())


def test_a_callback_that_raises_is_told_of_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    with s.threaded(tmp_path) as journal:
        with held_up(journal):
            journal.when_durable(journal.append("command", s.submit(1)), fail)
            later = journal.append("command", s.submit(2))
        asyncio.run(journal.durable(later))
    assert "ZeroDivisionError" in caplog.text


def test_a_waiter_whose_loop_is_gone_disturbs_nobody(tmp_path: Path) -> None:
    with s.threaded(tmp_path) as journal, held_up(journal):
        sequence = journal.append("command", s.submit(1))

        async def leave() -> None:
            waiting = asyncio.create_task(journal.durable(sequence))
            await asyncio.sleep(0)
            waiting.cancel()

        asyncio.run(leave())
    assert Journal.read_only(journal.path).last_sequence == sequence


# --- congestion ----------------------------------------------------------------------------------


def test_above_its_bound_a_journal_is_congested_takes_what_comes_and_tells_of_room(
    tmp_path: Path,
) -> None:
    with s.threaded(tmp_path, congested_at=10) as journal:

        async def crowd() -> None:
            await journal.room()  # there is
            with held_up(journal):
                for number in range(10):
                    journal.append("event", s.submitted(number))
                assert not journal.is_congested
                journal.append("event", s.submitted(10))
                assert journal.is_congested
                assert journal.append("command", s.submit(11)) == 12
                waiting = asyncio.create_task(journal.room())
                await asyncio.sleep(0.01)
                assert not waiting.done()
            await asyncio.wait_for(waiting, GUARD_S)
            assert not journal.is_congested

        asyncio.run(crowd())


@pytest.mark.parametrize("bound", [0, 1.5, True])
def test_a_bound_is_a_whole_number(tmp_path: Path, bound: object) -> None:
    with pytest.raises(Exception, match=r"congested_at is a whole number, 1 or more"):
        s.threaded(tmp_path, congested_at=bound)


# --- a disk that fails ---------------------------------------------------------------------------


def test_a_full_disk_is_a_fault_that_everybody_who_waits_hears_of(journal: Journal) -> None:
    journal.append("event", s.submitted(1))
    journal.flush()
    fill_the_disk(journal)
    told: list[JournalError] = []
    journal.on_fault.append(told.append)

    async def wait() -> None:
        sequence = overflow(journal)
        waiting = [asyncio.create_task(journal.durable(n)) for n in (sequence - 1, sequence)]
        for task in waiting:
            with pytest.raises(JournalError, match=r"cannot be written .*full"):
                await asyncio.wait_for(task, GUARD_S)
        with pytest.raises(JournalError, match=r"no order leaves any more. Mend that"):
            await journal.durable()
        await journal.durable(1)  # that is on the disk

    asyncio.run(wait())
    assert told == [journal.fault]
    with pytest.raises(JournalError, match=r"full"):
        journal.flush(GUARD_S)


def test_after_a_fault_records_are_counted_and_a_close_says_how_many_are_missing(
    journal: Journal,
) -> None:
    fill_the_disk(journal)
    overflow(journal)
    with pytest.raises(JournalError):
        journal.flush(GUARD_S)
    before = journal.sequence
    assert journal.append("event", s.submitted(1)) == before + 1  # a cancel's answer, say
    with pytest.raises(JournalError, match=r"501 records of .* could not be written: .*full"):
        journal.close()
    assert Journal.read_only(journal.path).last_sequence == 0


def test_a_group_that_cannot_be_written_leaves_nothing_half_there(tmp_path: Path) -> None:
    journal = s.inline(tmp_path)
    journal.append("event", s.submitted(1))
    journal.flush()
    fill_the_disk(journal)
    for number in range(400):
        journal.append("data", s.quote(number))
        journal.append("event", s.submitted(number))
    with pytest.raises(JournalError, match=r"full"):
        journal.flush()
    with pytest.raises(JournalError):
        journal.close()
    with s.inline(tmp_path) as journal:
        assert [r.sequence for r in journal.messages()] == [1]
        assert journal.append("event", s.submitted(2)) == 2


# --- closing -------------------------------------------------------------------------------------


def test_closing_writes_what_waits_and_twice_is_once(journal: Journal) -> None:
    for number in range(50):
        journal.append("data", s.quote(number))
    journal.close()
    journal.close()
    view = Journal.read_only(journal.path)
    assert [r.message.ts_event for r in view.messages()] == list(range(50))
    with pytest.raises(JournalError, match=r"was closed"):
        journal.append("time", s.event(1))


def test_what_was_abandoned_is_as_if_the_process_had_died(tmp_path: Path) -> None:
    journal = s.inline(tmp_path)
    journal.append("event", s.submitted(1))
    journal.flush()
    sequence = journal.append("event", s.submitted(2))
    journal.abandon()
    with pytest.raises(JournalError, match=r"closed before this was written"):
        asyncio.run(journal.durable(sequence))
    with s.inline(tmp_path) as journal:
        assert journal.sequence == 1


def test_abandoning_tells_those_who_wait(tmp_path: Path) -> None:
    journal = s.threaded(tmp_path)
    heard: list[JournalError | None] = []
    release = threading.Event()

    async def wait() -> None:
        with held_up(journal):
            journal.append("event", s.submitted(1))
            await asyncio.sleep(0.01)  # now most likely on its way
            later = journal.append("event", s.submitted(2))
            journal.when_durable(later, heard.append)
            thread = threading.Thread(target=journal.abandon)
            thread.start()
        thread.join(GUARD_S)
        release.set()

    asyncio.run(wait())
    assert release.is_set()
    (error,) = heard
    written = Journal.read_only(journal.path).last_sequence
    assert (error is None) == (written == 2)


def test_an_error_on_the_way_out_does_not_hide_the_one_that_led_there(tmp_path: Path) -> None:
    def fail() -> None:
        with s.inline(tmp_path) as journal:
            fill_the_disk(journal)
            overflow(journal)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


def test_no_thread_is_left_after_closing(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    s.threaded(tmp_path).close()
    assert set(threading.enumerate()) == before


# --- in line -------------------------------------------------------------------------------------


def test_in_line_nothing_is_written_before_somebody_waits(tmp_path: Path) -> None:
    journal = s.inline(tmp_path)
    journal.append("command", s.submit(1))
    assert Journal.read_only(journal.path).last_sequence == 0
    asyncio.run(journal.durable(1))
    assert Journal.read_only(journal.path).last_sequence == 1
    journal.append("command", s.submit(2))
    journal.close()
    assert Journal.read_only(journal.path).last_sequence == 2


def test_in_line_a_latency_passes_on_the_loops_clock(tmp_path: Path) -> None:
    journal = s.inline(tmp_path, latency_s=3600.0)
    journal.append("command", s.submit(1))
    loop = Hasty()
    try:
        loop.run_until_complete(journal.durable())
    finally:
        loop.close()
    assert loop.time() >= 3600
    journal.close()
    with pytest.raises(Exception, match=r"latency_s is for a journal with is_inline=True"):
        s.threaded(tmp_path, latency_s=1.0)


class Hasty(asyncio.SelectorEventLoop):
    """A loop whose time passes at once while it waits."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        select: Callable[[float | None], object] = self._selector.select  # type: ignore[attr-defined]

        def at_once(timeout: float | None = None) -> object:
            self._now += timeout or 0.0
            return select(0)

        self._selector.select = at_once  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now

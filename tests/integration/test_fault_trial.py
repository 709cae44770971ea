"""Seeded sessions of whole nodes at a venue that misbehaves, in virtual time: the books agree."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from tests.trials.faults import WHOLE, found, play


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Let the log keep quiet about what goes wrong on purpose."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.trial
@pytest.mark.parametrize("tenth", range(10))
def test_nothing_is_lost_sent_twice_or_counted_twice_whatever_goes_wrong(
    tenth: int, repetitions: Callable[[int], int]
) -> None:
    sessions = repetitions(WHOLE)
    each = sessions // 10
    amiss: dict[int, list[str]] = {}
    for seed in range(tenth * each, (tenth + 1) * each):
        session = play(seed)
        if session.differences:
            amiss[seed] = session.differences
    assert amiss == {}


def test_a_seed_plays_the_same_session_again_byte_for_byte() -> None:
    first, again = play(4), play(4)
    assert first.digest == again.digest
    assert len(first.digest) > 10_000
    assert play(5).digest != first.digest


def test_what_breaks_a_session_off_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seed: int) -> None:
        raise RuntimeError(f"planted in {seed}")

    monkeypatch.setattr("tests.trials.faults.play", fail)
    differences, _ = found(3, counts={})  # pyright: ignore[reportArgumentType]
    assert differences == ["it was broken off by RuntimeError: planted in 3"]

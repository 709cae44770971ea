"""A live node, or its exchange, is killed again and again, over real sockets: the books agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ccxt", reason="ccxt is not installed; the extra `ccxt` brings it")
pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from tests.trials.crash import KILLS_EACH, WHOLE, run


@pytest.mark.trial
def test_no_order_or_fill_is_lost_or_counted_twice_wherever_node_or_exchange_is_killed(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    kills = repetitions(WHOLE)
    killed = lives = checks = 0
    for seed in range(kills // KILLS_EACH):
        trial = run(seed, KILLS_EACH, tmp_path / str(seed))
        assert trial.differences == [], f"seed {seed}"
        assert trial.checks > 1
        killed, lives, checks = killed + trial.killed, lives + trial.lives, checks + trial.checks
    print(f"{killed} processes killed in {lives} lives; the books were compared {checks} times")
    assert killed >= kills

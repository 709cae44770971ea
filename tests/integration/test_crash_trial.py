"""A live node that is killed again and again, over real sockets: its books stay the exchange's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ccxt", reason="ccxt is not installed; the extra `ccxt` brings it")
pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from tests.trials.crash import Trial

LIVES_EACH = 10


def test_no_order_or_fill_is_lost_or_counted_twice_wherever_a_node_is_killed(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    lives = repetitions(200)
    killed = 0
    for seed in range(lives // LIVES_EACH):
        with Trial(seed, tmp_path / str(seed)) as trial:
            for _ in range(LIVES_EACH):
                trial.crash()
            assert trial.differences() == []
            killed += trial.died.total()
    print(f"killed {killed} of {lives} lives")
    assert killed > lives // 2

"""The throttler: at most so many in any window, all of a batch or none."""

from __future__ import annotations

import pytest

from workbench.engines.throttler import Throttler
from workbench.model.errors import ConfigError


def test_any_window_admits_at_most_the_limit() -> None:
    throttler = Throttler(2, 10)
    assert [throttler.admit(now) for now in (0, 5, 9, 10, 14, 15)] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_a_batch_is_admitted_whole_or_not_at_all() -> None:
    throttler = Throttler(3, 10)
    assert throttler.admit(0, 2)
    assert not throttler.admit(0, 2)
    assert throttler.admit(0, 1)


@pytest.mark.parametrize(("limit", "interval_ns"), [(0, 1), (1, 0)])
def test_a_rate_of_nothing_is_refused(limit: int, interval_ns: int) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Throttler(limit, interval_ns)

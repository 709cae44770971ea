"""Forgetting while a node runs, on a simulated clock in place of a live one."""

from __future__ import annotations

import pytest

from tests.execution_fakes import Setup
from workbench.model import events as e
from workbench.model.errors import ConfigError
from workbench.node.config import TradingNodeConfig
from workbench.node.purging import ALERT, purge_regularly

SECOND = 10**9


def advance(setup: Setup, to_ns: int) -> None:
    while (event := setup.clock.advance(to_ns)) is not None:
        setup.clock.fire(event)


def test_what_ended_is_forgotten_after_its_time_and_not_before() -> None:
    setup = Setup()
    purge_regularly(setup.core, after_s=100)
    order = setup.accepted()
    setup.event(e.OrderCanceled, order, 5 * SECOND)
    advance(setup, 104 * SECOND)
    assert setup.cache.orders() == [order]
    advance(setup, 116 * SECOND)
    assert setup.cache.orders() == []
    assert setup.clock.timer_names == [ALERT]


@pytest.mark.parametrize(("after_s", "interval_s"), [(0.5, 1), (100, 10), (86_400, 60)])
def test_it_looks_ten_times_in_that_time_within_bounds(after_s: float, interval_s: int) -> None:
    setup = Setup()
    purge_regularly(setup.core, after_s)
    assert setup.clock.next_due == 1 + interval_s * SECOND


def test_a_nodes_settings_say_what_it_keeps() -> None:
    assert TradingNodeConfig().purge_closed_after_s == 86_400
    nothing_lost = TradingNodeConfig(purge_closed_after_s=None, log_limit=None)
    assert (nothing_lost.purge_closed_after_s, nothing_lost.log_limit) == (None, None)
    with pytest.raises(ConfigError, match="log_limit is a whole number, 1 or more, or None; got 0"):
        TradingNodeConfig(log_limit=0)
    with pytest.raises(ConfigError, match="purge_closed_after_s is a number of seconds"):
        TradingNodeConfig(purge_closed_after_s=-1)
    with pytest.raises(ConfigError, match="allow_overfills must be True or False; got 'yes'"):
        TradingNodeConfig(allow_overfills="yes")  # type: ignore[arg-type]

"""The latency model: each kind of command on its own way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.test_exchange import Script, quote, run
from workbench.model import events as e
from workbench.model.enums import OrderStatus
from workbench.model.errors import ConfigError
from workbench.sim import LatencyModel, SimulatedVenue

D = Decimal
QUIET = [quote(ts, 1.0, 1.1) for ts in range(1, 100, 2)]


def times(script: Script) -> dict[str, int]:
    return {type(x).__name__: x.ts_event for x in script.heard if isinstance(x, e.OrderEvent)}


def test_each_kind_of_command_takes_its_own_time() -> None:
    latency = LatencyModel(base_ns=1, insert_ns=4, update_ns=9, cancel_ns=19)
    script, _ = run(
        [
            lambda s: s.limit("buy", 1, "0.90000"),
            *[None] * 4,
            lambda s: s.modify_order(s.mine[0], price="0.80000"),
            *[None] * 9,
            lambda s: s.cancel_order(s.mine[0]),
        ],
        QUIET,
        latency=latency,
    )
    at = times(script)
    assert (at["OrderSubmitted"], at["OrderAccepted"]) == (1, 6)
    assert (at["OrderPendingUpdate"], at["OrderUpdated"]) == (11, 21)
    assert (at["OrderPendingCancel"], at["OrderCanceled"]) == (31, 51)


def test_a_cancel_that_overtakes_its_order_is_rejected_and_the_order_works() -> None:
    def both(s: Script) -> None:
        s.limit("buy", 1, "0.90000")
        s.cancel_order(s.mine[0])
        s.modify_order(s.mine[0], quantity=2)

    script, _ = run([both], QUIET, latency=LatencyModel(insert_ns=10))
    assert "CancelRejected" in script.told()
    assert script.told()[-1] == "Accepted"
    assert script.mine[0].status is OrderStatus.ACCEPTED


def test_commands_of_one_moment_arrive_in_their_order() -> None:
    def two(s: Script) -> None:
        s.limit("buy", 1, "0.90000")
        s.limit("buy", 1, "0.90000")

    script, _ = run(
        [two],
        [quote(1, 1.0, 1.1), quote(50, 0.8, 0.9, 1, 1)],
        latency=LatencyModel(base_ns=10),
    )
    assert script.fills(0) == [(D(1), D("0.90000"))]
    assert script.fills(1) == []


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: LatencyModel(base_ns=-1), "base_ns must be a whole number of nanoseconds"),
        (lambda: LatencyModel(insert_ns=0.5), "insert_ns must be a whole number"),  # type: ignore[arg-type]
        (lambda: SimulatedVenue(latency=5), "latency must be a LatencyModel"),  # type: ignore[arg-type]
        (
            lambda: SimulatedVenue(latency_ns=5, latency=LatencyModel(base_ns=1)),
            "pass latency or latency_ns, not both",
        ),
    ],
)
def test_a_wrong_setting_is_named(make: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make()

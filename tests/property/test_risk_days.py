"""A run that is cut anywhere and continued refuses exactly where the uncut run does."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.execution_fakes import ACCOUNT
from tests.risk_lives import REAL, Life
from workbench.engines.risk import RiskLimits

Act = tuple[Any, ...]
TRADES = st.tuples(
    st.just("trade"),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from([10, 300, 700]),
    st.sampled_from([ACCOUNT, REAL]),
)
QUOTES = st.tuples(st.just("quote"), st.sampled_from([0.4, 0.7, 1.0, 1.3, 1.6]))
WAITS = st.tuples(st.just("wait"), st.sampled_from([1, 9, 26]))
ACTS = st.lists(TRADES | QUOTES | TRADES | WAITS, min_size=2, max_size=25)
LIMITS = st.builds(
    RiskLimits,
    max_loss_per_day=st.sampled_from(["300 USD", {ACCOUNT: "200 USD", REAL: "300 USD"}]),
    on_loss=st.sampled_from(["refuse", "reducing", "halted"]),
)


def done(life: Life, act: Act) -> tuple[str, str]:
    """Do it; return the code of a denial, and the trading state after it."""
    code = getattr(life, act[0])(*act[1:]) or ""
    return code, life.core.risk.trading_state.value


@given(limits=LIMITS, acts=ACTS, data=st.data())
def test_a_run_that_is_cut_refuses_where_the_uncut_run_does(
    limits: RiskLimits, acts: list[Act], data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(acts) - 1), max_size=3))
    whole = Life(limits, mixed=True)
    expected = [done(whole, act) for act in acts]

    life, earlier = Life(limits, mixed=True), []
    seen: list[tuple[str, str]] = []
    for number, act in enumerate(acts):
        if number in cuts:
            earlier.append(life.records())
            now_ns, bid = life.clock.timestamp_ns(), life.bid
            life = Life(limits, earlier, now_ns, bid, mixed=True)
        seen.append(done(life, act))
    assert seen == expected
    profits = life.core.portfolio.total_pnl(currency="USD")
    assert profits == whole.core.portfolio.total_pnl(currency="USD")

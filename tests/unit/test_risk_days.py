"""The loss of a day goes on counting where a run is cut and another one continues."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.execution_fakes import ACCOUNT
from tests.risk_lives import DAY, REAL, START, Life
from workbench.engines.risk import RiskLimits
from workbench.model.codec import decode, encode
from workbench.model.enums import TradingState
from workbench.model.risk_events import LossDayBegan, LossLimitReached, TradingStateChanged

D = Decimal


def limits(most: Any = "500 USD", **more: Any) -> RiskLimits:
    return RiskLimits(max_loss_per_day=most, **more)


def after(first: Life, given: RiskLimits | None = None, **more: Any) -> Life:
    """The life after one that died."""
    now, bid = first.clock.timestamp_ns(), first.bid
    given = first.core.risk.limits if given is None else given
    return Life(given, [first.records()], **{"now_ns": now, "bid": bid, **more})


def held(most: Any = "500 USD", **more: Any) -> Life:
    """A life that has 1,000, bought at 1.0."""
    life = Life(limits(most, **more))
    assert life.trade("buy", 1000) == ""
    return life


@pytest.mark.parametrize("most", ["500 USD", {ACCOUNT: "500 USD"}])
def test_what_was_lost_before_a_death_counts_after_it(most: Any) -> None:
    first = held(most)
    first.quote(0.6)
    assert first.trade("sell", 1000) == "", "400 are lost and realised"
    second = after(first)
    assert second.trade("buy", 1000) == ""
    second.quote(0.45)
    assert second.trade("buy", 10) == "MAX_LOSS_PER_DAY", "150 more are"


def test_what_a_position_loses_while_nothing_runs_counts() -> None:
    second = after(held(), bid=0.4)
    assert second.trade("buy", 10) == "MAX_LOSS_PER_DAY"
    assert second.trade("sell", 10) == "", "what reduces passes"


def test_a_limit_that_was_reached_stays_reached_though_the_market_recovers() -> None:
    first = held()
    first.quote(0.4)
    assert first.trade("buy", 10) == "MAX_LOSS_PER_DAY"
    second = after(first, bid=2.0)
    assert second.trade("buy", 10) == "MAX_LOSS_PER_DAY"
    assert second.told(LossLimitReached) == [], "it was told once"


def test_it_counts_over_several_runs() -> None:
    lives = [held()]
    for _ in range(3):
        records = [life.records() for life in lives]
        lives.append(Life(limits(), records, now_ns=lives[-1].clock.timestamp_ns(), bid=0.8))
    assert [life.told(LossDayBegan) != [] for life in lives] == [True, False, False, False]
    lives[-1].quote(0.5)
    assert lives[-1].trade("buy", 10) == "MAX_LOSS_PER_DAY"


def test_a_day_that_began_while_nothing_ran_begins_with_its_first_value() -> None:
    first = held()
    second = after(first, now_ns=START + DAY, bid=0.4)
    assert second.trade("buy", 10) == "", "the fall was yesterday's, or nobody knows"
    (began,) = second.told(LossDayBegan)
    assert (began.day, began.profit) == ((START + DAY) // DAY, D(-600))
    second.quote(-0.2)
    assert second.trade("buy", 10) == "MAX_LOSS_PER_DAY"


def test_a_limit_reached_yesterday_is_over() -> None:
    first = held()
    first.quote(0.4)
    assert first.trade("buy", 10) == "MAX_LOSS_PER_DAY"
    assert after(first, now_ns=START + DAY).trade("buy", 10) == ""


def test_midnight_comes_for_a_run_that_nobody_traded_in() -> None:
    second = after(held())
    second.wait(13)
    second.quote(0.6)
    second.wait(2)  # midnight passes at 0.6
    second.quote(0.3)
    assert second.trade("buy", 10) == "", "300 of the new day"
    (began,) = second.told(LossDayBegan)
    assert (began.profit, began.ts_event) == (D(-400), START // DAY * DAY + DAY)


def test_a_limit_raised_above_what_was_lost_lets_orders_pass_again() -> None:
    first = held()
    first.quote(0.4)
    assert first.trade("buy", 10) == "MAX_LOSS_PER_DAY"
    second = after(first, limits("700 USD"))
    assert second.trade("buy", 10) == ""
    second.quote(0.3)
    assert second.trade("buy", 10) == "MAX_LOSS_PER_DAY", "what was lost before counts"
    assert after(first, limits("600 USD"), bid=2.0).trade("buy", 10) == "MAX_LOSS_PER_DAY"


def test_a_limit_in_another_currency_begins_anew() -> None:
    first = held()
    first.quote(0.4)
    assert first.trade("buy", 10) == "MAX_LOSS_PER_DAY"
    second = after(first, limits("500 EUR"))
    second.core.portfolio.rates.fix("USD", "EUR", 1)
    assert second.trade("buy", 10) == ""


@pytest.mark.parametrize("word", ["reducing", "halted"])
def test_the_state_that_a_loss_set_stays_over_deaths_and_days(word: str) -> None:
    first = held(on_loss=word)
    first.quote(0.4)
    assert first.trade("buy", 10) == f"TRADING_{word.upper()}"
    second = after(first)
    assert second.core.risk.trading_state is TradingState(word)
    assert second.told(TradingStateChanged) == []
    assert second.trade("buy", 10) == f"TRADING_{word.upper()}"
    third = Life(
        limits(on_loss=word), [first.records(), second.records()], now_ns=START + 3 * DAY, bid=0.4
    )
    assert third.trade("buy", 10) == f"TRADING_{word.upper()}"


def test_a_state_that_somebody_set_after_a_loss_is_kept_from_coming_back() -> None:
    first = held(on_loss="reducing")
    first.quote(0.4)
    assert first.trade("buy", 10) == "TRADING_REDUCING"
    first.core.risk.set_trading_state(TradingState.ACTIVE)
    assert after(first).core.risk.trading_state is TradingState.ACTIVE


def test_a_kill_after_a_loss_does_not_hide_it() -> None:
    first = held(on_loss="reducing")
    first.quote(0.4)
    assert first.trade("buy", 10) == "TRADING_REDUCING"
    first.core.risk.halt()
    first.core.risk.note_halt("KILL")
    assert after(first).core.risk.trading_state is TradingState.REDUCING


def test_simulated_and_real_losses_stay_apart_over_a_death() -> None:
    first = Life(limits(), mixed=True)
    first.trade("buy", 1000, ACCOUNT)
    first.quote(0.4)
    assert first.trade("buy", 10, ACCOUNT) == "MAX_LOSS_PER_DAY"
    second = after(first, mixed=True)
    assert second.trade("buy", 10, ACCOUNT) == "MAX_LOSS_PER_DAY"
    assert second.trade("buy", 10, REAL) == ""


def test_what_a_sandbox_lost_alone_is_not_lost_by_the_real_account_beside_it_later() -> None:
    first = held()
    first.quote(0.4)
    assert first.trade("buy", 10) == "MAX_LOSS_PER_DAY"
    second = after(first, mixed=True)
    assert second.trade("buy", 10, REAL) == ""
    assert second.trade("buy", 10, ACCOUNT) == "MAX_LOSS_PER_DAY"


def test_the_beginning_of_a_day_is_recorded_and_not_published() -> None:
    life = Life(limits())
    published: list[Any] = []
    life.core.bus.subscribe("events.risk", published.append)
    life.trade("buy", 10)
    (began,) = life.told(LossDayBegan)
    assert (began.account_id, began.day, began.profit) == (ACCOUNT, START // DAY, D(0))
    assert began.ts_event == START
    assert published == []
    assert decode(encode(began)) == began


def test_nothing_is_told_where_no_loss_is_limited() -> None:
    life = Life(RiskLimits())
    life.trade("buy", 10)
    life.wait(30)
    assert life.told(LossDayBegan) == []
    assert after(life).trade("buy", 10) == ""

"""Venues with one defect each: the suite finds it, by the test that is there for it."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import Any

import msgspec
import pytest

from workbench.model.commands import DataKind
from workbench.model.identifiers import TradeId
from workbench.model.instruments import CurrencyPair
from workbench.model.reports import FillReport
from workbench.venues import VenueRejectedError
from workbench.venues.fake import FAKE, FakeBrokerd, FakeDatad
from workbench.venues.testing import FakeTrial, VenueConformance

MODULE = types.ModuleType("venues_with_defects")
sys.modules[MODULE.__name__] = MODULE


class SendsAgain(FakeBrokerd):
    async def submit(self, order: Any) -> Any:
        try:
            return await super().submit(order)
        except ConnectionError:
            return await super().submit(order)


class LosesCancels(FakeBrokerd):
    async def cancel(self, target: Any) -> Any:
        return None


class CancelsNothingAtOnce(FakeBrokerd):
    async def cancel(self, target: Any) -> Any:
        raise VenueRejectedError("not today")


class ChangesNothing(FakeBrokerd):
    async def modify(self, change: Any) -> Any:
        raise VenueRejectedError("not today")


class NamesFillsAnew(FakeBrokerd):
    count = 0

    async def connect(self, sink: Any) -> None:
        report = sink.report

        def renamed(message: Any) -> None:
            if isinstance(message, FillReport):
                NamesFillsAnew.count += 1
                name = TradeId(f"X-{NamesFillsAnew.count}")
                message = msgspec.structs.replace(message, trade_id=name)
            report(message)

        self._wire.connect(renamed, sink.lost)


class FindsNoOrder(FakeBrokerd):
    async def order_status_reports(self, query: Any) -> Any:
        return []


class KnowsNoIdsOfItsOwn(FakeBrokerd):
    async def order_status_reports(self, query: Any) -> Any:
        query = msgspec.structs.replace(query, venue_order_id=None)
        return await super().order_status_reports(query)


class FindsNoFill(FakeBrokerd):
    async def fill_reports(self, query: Any) -> Any:
        return []

    async def connect(self, sink: Any) -> None:
        def without_fills(message: Any) -> None:
            if not isinstance(message, FillReport):
                sink.report(message)

        self._wire.connect(without_fills, sink.lost)


class ForgetsMoney(FakeBrokerd):
    async def connect(self, sink: Any) -> None:
        def without_money(message: Any) -> None:
            if not hasattr(message, "balances"):
                sink.report(message)

        self._wire.connect(without_money, sink.lost)

    async def account_state(self) -> Any:
        self.first = getattr(self, "first", None) or await super().account_state()
        return self.first


class SwallowsRefusals(FakeBrokerd):
    async def submit(self, order: Any) -> Any:
        try:
            return await super().submit(order)
        except VenueRejectedError:
            return None


class LeavesATask(FakeBrokerd):
    async def connect(self, sink: Any) -> None:
        await super().connect(sink)
        self.task = asyncio.create_task(asyncio.sleep(10_000))


class TellsTheWrongTime(FakeBrokerd):
    async def server_time(self) -> int:
        return 5


class NoticesNothing(FakeBrokerd):
    silence_s = None

    async def connect(self, sink: Any) -> None:
        self._wire.connect(sink.report, lambda _: None)


class NeverEndsADay(FakeBrokerd):
    async def submit(self, order: Any) -> Any:
        return await super().submit(msgspec.structs.replace(order, time_in_force="gtc"))


class OverruledRate(FakeBrokerd):
    async def submit(self, order: Any) -> Any:
        self._fake.rate_limit = 5
        return await super().submit(order)


class MakesUpInstruments(FakeDatad):
    async def load_instruments(self, instrument_ids: Any) -> Any:
        return [CurrencyPair.define(name) for name in instrument_ids]


class NeverUnsubscribes(FakeDatad):
    async def unsubscribe(self, subscription: Any) -> None:
        return None


class NeverSubscribes(FakeDatad):
    async def subscribe(self, subscription: Any) -> None:
        return None


class HasNoPast(FakeDatad):
    async def request_history(self, request: Any) -> Any:
        return []


class FindsNoSymbol(FakeDatad):
    async def search_symbols(self, text: str, limit: int) -> Any:
        return []


class SubscribesOnce(FakeDatad):
    async def subscribe(self, subscription: Any) -> None:
        if not getattr(self, "has_subscribed", False):
            self.has_subscribed = True
            await super().subscribe(subscription)


class TakesOtherParameters(FakeDatad):
    async def subscribe(self, instrument_id: Any, kind: Any) -> None: ...  # pyright: ignore


FOUND_BY: list[tuple[type, str]] = [
    (SendsAgain, "test_a_lost_answer_leaves_one_order"),
    (LosesCancels, "test_an_order_is_cancelled"),
    (LosesCancels, "test_a_cancel_at_once_follows_its_order"),
    (CancelsNothingAtOnce, "test_all_orders_of_a_strategy_are_cancelled"),
    (ChangesNothing, "test_an_order_is_modified"),
    (NamesFillsAnew, "test_repeated_messages_count_once"),
    (NamesFillsAnew, "test_messages_out_of_order_end_in_the_right_state"),
    (FindsNoOrder, "test_reports_tell_what_is_open_and_what_filled"),
    (KnowsNoIdsOfItsOwn, "test_an_order_is_found_by_the_venues_id_alone"),
    (FindsNoFill, "test_a_break_in_the_middle_of_an_order_loses_no_fill"),
    (ForgetsMoney, "test_a_market_order_fills"),
    (ForgetsMoney, "test_a_limit_order_rests_fills_in_part_and_whole"),
    (ForgetsMoney, "test_a_stop_order_triggers"),
    (SwallowsRefusals, "test_a_refused_order_is_rejected_with_its_reason"),
    (LeavesATask, "test_it_connects_and_disconnects_without_a_trace"),
    (TellsTheWrongTime, "test_its_clock_is_compared_with_ours"),
    (NoticesNothing, "test_a_half_open_connection_is_noticed"),
    (NoticesNothing, "test_a_broken_connection_is_made_again"),
    (NoticesNothing, "test_an_order_that_ended_while_disconnected_is_found"),
    (NeverEndsADay, "test_an_order_that_may_not_rest_ends"),
    (OverruledRate, "test_rate_limits_are_kept_on_our_side"),
    (MakesUpInstruments, "test_an_unknown_instrument_is_left_out"),
    (HasNoPast, "test_history_is_as_it_was_asked_for"),
    (FindsNoSymbol, "test_symbols_are_found"),
    (SubscribesOnce, "test_a_broken_connection_is_made_again"),
    (TakesOtherParameters, "test_endpoints_keep_the_contract"),
]


def trial_of(defect: type) -> FakeTrial:
    setattr(MODULE, defect.__name__, defect)
    kind = "datad" if issubclass(defect, FakeDatad) else "brokerd"
    path = f"{MODULE.__name__}:{defect.__name__}"
    return FakeTrial(plugin=msgspec.structs.replace(FAKE, **{kind: path}))


@pytest.mark.parametrize(
    ("defect", "name"), [pytest.param(*row, id=f"{row[0].__name__}-{row[1]}") for row in FOUND_BY]
)
def test_a_defect_is_found(defect: type, name: str) -> None:
    test = getattr(VenueConformance(), name)
    test(FakeTrial())
    with pytest.raises(Exception) as found:  # noqa: PT011  # a test may fail in any way but a skip
        test(trial_of(defect))
    assert not isinstance(found.value, (NotImplementedError, AttributeError, NameError))


@pytest.mark.parametrize("defect", [NeverSubscribes, NeverUnsubscribes])
@pytest.mark.parametrize("kind", [DataKind.QUOTES, DataKind.TRADES])
def test_a_defect_of_subscriptions_is_found(defect: type, kind: DataKind) -> None:
    test = VenueConformance().test_data_of_each_kind_comes
    test(FakeTrial(), kind)
    with pytest.raises(AssertionError):
        test(trial_of(defect), kind)

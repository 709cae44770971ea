"""A live node at the venue in memory, which has no reduce-only orders; restarted in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.waiting import until
from workbench.model.enums import OrderStatus
from workbench.venues import ExecutionSettings, InquirySettings, LinkSettings
from workbench.venues.fake import FAKE, FakeVenue

D = Decimal
PAIR = wb.CurrencyPair.define(
    "BTC/USDT.FAKE", price_increment="0.01", quantity_increment="0.001", taker_fee="0.001"
)
LIMITS = wb.RiskLimits(max_order_quantity=100, max_position=100, max_loss_per_day="10_000 USDT")
QUICK = ExecutionSettings(
    request_timeout_s=0.2,
    fill_grace_s=0.05,
    inquiry=InquirySettings(first_wait_s=0.05, wait_s=0.05),
    link=LinkSettings(first_back_off_s=0.02),
)
ACCOUNT = "FAKE-001"


class Desk(wb.Strategy):
    """Sends what a test tells it to."""

    def on_start(self) -> None:
        self.denials: list[str] = []
        self.subscribe_quotes(PAIR.id)

    def on_quote(self, quote: wb.Quote) -> None: ...

    def on_order_denied(self, event: wb.OrderDenied) -> None:
        self.denials.append(f"{event.code}: {event.reason}")

    def bracket(self) -> list[wb.Order]:
        made = self.orders.bracket(PAIR.id, "buy", 4, stop_loss="90", take_profit="110")
        self.submit_order_list(made)
        return list(made)


class Place:
    """A venue, and the folder that nodes keep their journals in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fake = FakeVenue([PAIR], clock_ns=time.time_ns, balances={"USDT": 100_000, "BTC": 50})
        self.market = self.fake.market

    def run(self, act: Callable[[wb.TradingNode, Desk], Awaitable[None]]) -> wb.TradingNode:
        """Run a node, let a test act, and stop it."""
        desk = Desk()
        account = wb.VenueAccount(FAKE, ACCOUNT, settings=QUICK, fake=self.fake)
        config = wb.TradingNodeConfig(
            journal="default", journal_data=True, data_folder=self.folder, limits=LIMITS
        )
        node = wb.live(desk, venue=account, instrument=PAIR, config=config)

        async def main() -> None:
            node.build()
            task = asyncio.create_task(node.run_async())
            try:
                await until(lambda: node.phase == "running")
                while node.core.cache.quote(PAIR.id) is None:
                    self.market.quote(PAIR.id, 99.99, 100.01)
                    await asyncio.sleep(0.005)
                await act(node, desk)
            finally:
                await node.stop_async()
                await task

        asyncio.run(main())
        return node


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_bracket_works_and_closing_takes_its_exits_away(place: Place) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        entry, stop, profit = desk.bracket()
        await until(lambda: entry.is_closed and stop.is_open)
        assert profit.status is OrderStatus.EMULATED
        desk.close_position()
        await until(lambda: stop.is_closed and profit.is_closed)
        assert [one.status for one in (stop, profit)] == [OrderStatus.CANCELED] * 2
        assert not node.core.cache.positions_open()
        assert desk.denials == []
        again, stop, profit = desk.bracket()
        await until(lambda: again.is_closed and stop.is_open)
        place.market.quote(PAIR.id, 89.99, 90.01)
        await until(lambda: stop.is_closed and profit.is_closed)
        assert (stop.status, profit.status) == (OrderStatus.FILLED, OrderStatus.CANCELED)
        assert not node.core.cache.positions_open()

    node = place.run(act)
    assert not any(one.order.reduce_only for one in place.market.orders.values())
    assert node.verify().is_identical


def test_what_an_earlier_node_left_is_still_kept_within_the_position(place: Place) -> None:
    names: list[Any] = []

    async def first(_: wb.TradingNode, desk: Desk) -> None:
        entry, stop, profit = desk.bracket()
        await until(lambda: entry.is_closed and stop.is_open)
        names.extend((stop.client_order_id, profit.client_order_id))

    async def second(node: wb.TradingNode, desk: Desk) -> None:
        stop, profit = (node.core.cache.order(name) for name in names)
        assert stop is not None
        assert profit is not None
        assert (stop.leaves_quantity, profit.status) == (4, OrderStatus.EMULATED)
        order = desk.orders.market(PAIR.id, "sell", 3, reduce_only=True)
        desk.submit_order(order)
        await until(lambda: stop.leaves_quantity == 1 and order.is_closed)
        desk.close_all_positions()
        await until(lambda: stop.is_closed)
        assert desk.denials == []

    place.run(first)
    node = place.run(second)
    assert node.verify().is_identical

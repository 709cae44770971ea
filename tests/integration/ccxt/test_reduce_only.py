"""A live node at a spot exchange, which has no reduce-only orders: brackets and closing work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.ccxt_trial import MONEY
from tests.waiting import until
from workbench.model.commands import SubmitOrder
from workbench.model.enums import OrderStatus
from workbench.node.journal import JournalKind

D = Decimal
LIMITS = wb.RiskLimits(max_order_quantity=10, max_position=10, max_loss_per_day="1_000 USDT")


class Desk(wb.Strategy):
    """Sends what the test tells it to."""

    instrument_id: str = ""

    def on_start(self) -> None:
        self.quotes: list[wb.Quote] = []
        self.denials: list[str] = []
        self.subscribe_quotes(self.instrument_id)

    def on_quote(self, quote: wb.Quote) -> None:
        self.quotes.append(quote)

    def on_order_denied(self, event: wb.OrderDenied) -> None:
        self.denials.append(f"{event.code}: {event.reason}")

    def bracket(self) -> list[wb.Order]:
        made = self.orders.bracket(self.instrument_id, "buy", 2, stop_loss="90", take_profit="110")
        self.submit_order_list(made)
        return list(made)


def play(
    trial: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[wb.TradingNode, Desk], Awaitable[None]],
) -> wb.TradingNode:
    """Run a live node at the exchange, let a test act, and stop it."""
    found: list[wb.TradingNode] = []

    async def main() -> None:
        key = trial.exchange.keys["a"]
        monkeypatch.setenv("WORKBENCH_TRIAL_001_API_KEY", key.api_key)
        monkeypatch.setenv("WORKBENCH_TRIAL_001_API_SECRET", key.api_secret)
        options = {"exchange": "binance", "base_url": trial.exchange.addresses.rest}
        (pair,) = await wb.VenueData("ccxt", **options).instruments(trial.instrument_id)
        desk = Desk(instrument_id=pair.id)
        config = wb.TradingNodeConfig(
            journal=str(folder / "journal.sqlite"), journal_data=True, data_folder=str(folder)
        )
        node = wb.live(
            desk,
            venue=wb.VenueAccount("ccxt", trial.account_id, **options),
            instrument=pair,
            limits=LIMITS,
            config=config,
        )
        found.append(node)
        node.build()
        node.run()
        try:
            await until(lambda: node.phase == "running", node)
            await trial.move(D("99.99"), D("100.01"))
            await until(lambda: desk.quotes and desk.quotes[-1].ask == 100.01, node)
            await act(node, desk)
        finally:
            await node.stop_async()

    trial.run(main())
    return found[0]


def test_a_take_profit_that_is_reached_cancels_the_stop_and_nothing_left_as_reduce_only(
    local_trial: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        entry, stop, profit = desk.bracket()
        await until(lambda: entry.is_closed and stop.is_open, node)
        assert profit.status is OrderStatus.EMULATED
        await local_trial.move(D("110.01"), D("110.02"))
        await until(lambda: profit.is_closed and stop.is_closed, node)
        assert (profit.status, stop.status) == (OrderStatus.FILLED, OrderStatus.CANCELED)
        await until(lambda: not node.core.cache.positions_open(), node)
        assert desk.denials == []

    node = play(local_trial, tmp_path, monkeypatch, act)
    journal = node.journal()
    requests = [one.message for one in journal.messages(JournalKind.REQUEST)]
    commands = [one.message for one in journal.messages(JournalKind.COMMAND)]
    plain = [one.order.reduce_only for one in requests if isinstance(one, SubmitOrder)]
    asked = [one.order.reduce_only for one in commands if isinstance(one, SubmitOrder)]
    assert (plain, asked) == ([False] * 3, [True] * 2)
    report = node.verify()
    assert report.is_identical, report
    node.dispose()


def test_closing_a_position_cancels_the_exits_of_its_bracket(
    local_trial: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        entry, stop, profit = desk.bracket()
        await until(lambda: entry.is_closed and stop.is_open, node)
        desk.close_position()
        await until(lambda: stop.is_closed and profit.is_closed, node)
        assert [one.status for one in (stop, profit)] == [OrderStatus.CANCELED] * 2
        await until(lambda: not node.core.cache.positions_open(), node)
        assert await local_trial.balance_of("BTC") == MONEY["BTC"]
        assert desk.denials == []

    node = play(local_trial, tmp_path, monkeypatch, act)
    assert node.verify().is_identical
    node.dispose()


def test_a_partial_close_makes_the_exits_smaller(
    local_trial: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        entry, stop, profit = desk.bracket()
        await until(lambda: entry.is_closed and stop.is_open, node)
        desk.submit_order(desk.orders.market(desk.instrument_id, "sell", "0.5", reduce_only=True))
        left = D("1.498")
        await until(lambda: stop.leaves_quantity == profit.leaves_quantity == left, node)
        await until(lambda: stop.status is OrderStatus.ACCEPTED, node)
        await local_trial.move(D("89.98"), D("89.99"))
        await until(lambda: stop.is_closed and profit.is_closed, node)
        assert (stop.status, stop.filled_quantity) == (OrderStatus.FILLED, D("1.498"))
        await until(lambda: not node.core.cache.positions_open(), node)
        assert await local_trial.balance_of("BTC") == MONEY["BTC"]

    play(local_trial, tmp_path, monkeypatch, act).dispose()

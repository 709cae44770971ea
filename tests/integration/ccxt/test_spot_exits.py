"""Buying and selling at a spot exchange with money only, as a user has it: no coin to begin with.

The exchange takes the fee of a purchase in what was bought, and has what it sells only once.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from tests.integration.ccxt.test_reduce_only import LIMITS
from tests.waiting import until
from workbench.model.enums import OrderStatus

D = Decimal
USDT = 1_000_000
MONEY = {"USDT": USDT}


def verified(node: wb.TradingNode) -> None:
    """Hold that a fresh copy gives the same commands, and let go of the node."""
    report = node.verify()
    assert report.is_identical, report.difference
    node.dispose()


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Give logging its records back as they were."""
    make = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(make)


class Desk(wb.Strategy):
    """Sends what the test tells it to."""

    instrument_id: str = ""
    closes_at_once: bool = False
    as_it_stops: str = ""

    def on_start(self) -> None:
        self.quotes: list[wb.Quote] = []
        self.denials: list[str] = []
        self.rejections: list[str] = []
        self.subscribe_quotes(self.instrument_id)

    def on_quote(self, quote: wb.Quote) -> None:
        self.quotes.append(quote)

    def on_order_denied(self, event: wb.OrderDenied) -> None:
        self.denials.append(f"{event.code}: {event.reason}")

    def on_order_rejected(self, event: wb.OrderRejected) -> None:
        self.rejections.append(event.reason)

    def on_order_filled(self, event: wb.OrderFilled) -> None:
        order = self.cache.order(event.client_order_id)
        if self.closes_at_once and event.side.value == "buy" and order and order.is_closed:
            self.close_position()

    def on_stop(self) -> None:
        for what in self.as_it_stops.split():
            getattr(self, what)()

    def bracket(self, quantity: str, **options: Any) -> list[wb.Order]:
        made = self.orders.bracket(
            self.instrument_id, "buy", quantity, stop_loss="90", take_profit="110", **options
        )
        self.submit_order_list(made)
        return list(made)

    def buy(self, quantity: str) -> wb.Order:
        order = self.orders.market(self.instrument_id, "buy", quantity)
        self.submit_order(order)
        return order


Act = Callable[[wb.TradingNode, Desk], Awaitable[None]]


class Place:
    """The exchange, and the folder that nodes keep their journals in."""

    def __init__(self, trial: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trial = trial
        self.folder = folder
        self.monkeypatch = monkeypatch

    def run(self, *acts: Act, **options: Any) -> wb.TradingNode:
        """Run a live node for each of the acts, one after the other; return the last."""
        nodes: list[wb.TradingNode] = []

        async def main() -> None:
            nodes.extend([await self._play(act, options) for act in acts])
            await self._compare(nodes[-1])

        self.trial.run(main())
        for node in nodes[:-1]:
            node.dispose()
        return nodes[-1]

    async def _play(self, act: Act, options: dict[str, Any]) -> wb.TradingNode:
        trial = self.trial
        key = trial.exchange.keys["a"]
        self.monkeypatch.setenv("WORKBENCH_TRIAL_001_API_KEY", key.api_key)
        self.monkeypatch.setenv("WORKBENCH_TRIAL_001_API_SECRET", key.api_secret)
        where = {"exchange": "binance", "base_url": trial.exchange.addresses.rest}
        (pair,) = await wb.VenueData("ccxt", **where).instruments(trial.instrument_id)
        desk = Desk(instrument_id=pair.id, **options)
        config = wb.TradingNodeConfig(
            journal=str(self.folder / "journal.sqlite"),
            journal_data=True,
            data_folder=str(self.folder),
        )
        node = wb.live(
            desk,
            venue=wb.VenueAccount("ccxt", trial.account_id, **where),
            instrument=pair,
            limits=LIMITS,
            config=config,
        )
        node.build()
        node.run()
        try:
            await until(lambda: node.phase == "running", node)
            await trial.move(D("99.99"), D("100.01"))
            await until(lambda: desk.quotes and desk.quotes[-1].ask == 100.01, node)
            await act(node, desk)
        finally:
            await node.stop_async()
        assert desk.rejections == []
        return node

    async def _compare(self, node: wb.TradingNode) -> None:
        """Hold the books against the wallet, to the last digit."""
        cache = node.core.cache
        assert await self.trial.balance_of("BTC") == cache.net_quantity(self.trial.instrument_id)
        made = sum((one.realized_pnl for one in cache.positions()), D(0))
        tied = sum((one.quantity * one.average_open for one in cache.positions_open()), D(0))
        assert await self.trial.balance_of("USDT") == USDT + made - tied


@pytest.fixture
def place(make_trial: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(make_trial(money=MONEY), tmp_path, monkeypatch)


async def entered(node: wb.TradingNode, orders: list[wb.Order]) -> list[wb.Order]:
    entry, stop, profit = orders
    await until(lambda: entry.is_closed and stop.is_open, node)
    return [stop, profit]


async def flat(node: wb.TradingNode, left: str = "0") -> None:
    cache = node.core.cache
    await until(lambda: sum(p.quantity for p in cache.positions_open()) == D(left), node)
    await until(lambda: not (cache.orders_open() or cache.orders_emulated()), node)


@pytest.mark.parametrize(("size", "sold"), [("2", "1.998"), ("0.12345", "0.12332")])
def test_a_take_profit_takes_the_place_of_the_stop_that_rests(
    place: Place, size: str, sold: str
) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        stop, profit = await entered(node, desk.bracket(size))
        assert (stop.quantity, stop.status, profit.status) == (
            *(D(sold), OrderStatus.ACCEPTED, OrderStatus.EMULATED),
        )
        await place.trial.move(D("110.02"), D("110.03"))
        await flat(node, str(D(size) * D("0.999") - D(sold)))
        assert (stop.status, profit.status) == (OrderStatus.CANCELED, OrderStatus.FILLED)
        assert profit.filled_quantity == D(sold)
        assert desk.denials == []

    node = place.run(act)
    verified(node)


def test_the_stop_at_the_exchange_triggers_and_ends_the_take_profit(place: Place) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        stop, profit = await entered(node, desk.bracket("2"))
        await place.trial.move(D("89.98"), D("89.99"))
        await flat(node)
        assert (stop.status, profit.status) == (OrderStatus.FILLED, OrderStatus.CANCELED)
        assert desk.denials == []

    node = place.run(act)
    verified(node)


def test_after_a_part_of_a_take_profit_the_stop_held_here_sells_the_rest(place: Place) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        entry, stop, profit = desk.bracket("2", emulation_trigger="bid_ask")
        await until(lambda: entry.is_closed and profit.is_open, node)
        assert stop.status is OrderStatus.EMULATED
        await place.trial.fill(profit.client_order_id, D("0.5"))
        await until(lambda: profit.filled_quantity == D("0.5"), node)
        await until(lambda: stop.quantity == D("1.498"), node)
        await place.trial.move(D("89.98"), D("89.99"))
        await flat(node)
        assert (stop.status, profit.status) == (OrderStatus.FILLED, OrderStatus.CANCELED)
        assert stop.filled_quantity == D("1.498")
        assert desk.denials == []

    node = place.run(act)
    verified(node)


@pytest.mark.parametrize(("size", "left"), [("2", "0"), ("0.12345", "0.00000655")])
def test_what_was_bought_can_be_sold_as_soon_as_its_fill_is_told(
    place: Place, size: str, left: str
) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        entry = desk.buy(size)
        await until(lambda: entry.is_closed, node)
        await flat(node, left)
        assert desk.denials == []

    node = place.run(act, closes_at_once=True)
    verified(node)


def test_a_stop_protects_over_a_restart(place: Place) -> None:
    names: list[Any] = []

    async def first(node: wb.TradingNode, desk: Desk) -> None:
        names.extend(one.client_order_id for one in await entered(node, desk.bracket("2")))

    async def second(node: wb.TradingNode, desk: Desk) -> None:
        stop, profit = (node.core.cache.order(name) for name in names)
        assert stop is not None
        assert profit is not None
        assert (stop.status, profit.status) == (OrderStatus.ACCEPTED, OrderStatus.EMULATED)
        assert node.core.cache.net_quantity(desk.instrument_id) == D("1.998")
        await place.trial.move(D("89.98"), D("89.99"))
        await flat(node)
        assert stop.status is OrderStatus.FILLED
        await until(lambda: profit.status is OrderStatus.CANCELED, node)  # it waited here again

    node = place.run(first, second)
    verified(node)


def test_a_take_profit_goes_on_waiting_over_a_restart(place: Place) -> None:
    names: list[Any] = []

    async def first(node: wb.TradingNode, desk: Desk) -> None:
        names.extend(one.client_order_id for one in await entered(node, desk.bracket("2")))

    async def second(node: wb.TradingNode, desk: Desk) -> None:
        stop, profit = (node.core.cache.order(name) for name in names)
        assert stop is not None
        assert profit is not None
        await place.trial.move(D("120.01"), D("120.02"))
        await flat(node)
        assert (stop.status, profit.status) == (OrderStatus.CANCELED, OrderStatus.FILLED)

    node = place.run(first, second)
    verified(node)


def test_a_node_that_takes_over_closes_what_the_first_one_bought(place: Place) -> None:
    async def first(node: wb.TradingNode, desk: Desk) -> None:
        entry = desk.buy("2")
        await until(lambda: entry.is_closed, node)

    async def second(node: wb.TradingNode, desk: Desk) -> None:
        desk.close_position()
        await flat(node)
        assert desk.denials == []

    place.run(first, second).dispose()


def test_closing_at_the_market_first_cancels_the_stop_that_ties_it_up(place: Place) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        stop, profit = await entered(node, desk.bracket("2"))
        desk.close_position()
        await flat(node)
        assert [one.status for one in (stop, profit)] == [OrderStatus.CANCELED] * 2
        assert desk.denials == []

    node = place.run(act)
    verified(node)


def test_closing_a_part_first_makes_the_stop_smaller(place: Place) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        stop, profit = await entered(node, desk.bracket("2"))
        part = desk.orders.market(desk.instrument_id, "sell", "0.5", reduce_only=True)
        desk.submit_order(part)
        await until(lambda: part.is_closed, node)
        assert part.status is OrderStatus.FILLED
        await until(lambda: stop.quantity == profit.quantity == D("1.498"), node)
        assert (stop.status, profit.status) == (OrderStatus.ACCEPTED, OrderStatus.EMULATED)
        await place.trial.move(D("89.98"), D("89.99"))
        await flat(node)
        assert stop.status is OrderStatus.FILLED
        assert desk.denials == []

    node = place.run(act)
    verified(node)


def test_a_bracket_closed_as_soon_as_its_entry_filled_leaves_nothing(place: Place) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        entry, stop, profit = desk.bracket("2")
        await until(lambda: entry.is_closed and stop.is_closed and profit.is_closed, node)
        await flat(node)

    place.run(act, closes_at_once=True).dispose()


def test_after_a_part_of_a_take_profit_the_rest_is_sold_where_the_stop_was(place: Place) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        stop, profit = await entered(node, desk.bracket("2"))
        await place.trial.move(D("110.02"), D("110.03"), D("0.5"))
        await until(lambda: profit.filled_quantity == D("0.5"), node)
        assert stop.status is OrderStatus.CANCELED
        await place.trial.move(D("89.98"), D("89.99"))
        await flat(node)
        assert (profit.status, profit.price) == (OrderStatus.FILLED, D("89.98"))
        assert desk.denials == []

    node = place.run(act)
    verified(node)


@pytest.mark.parametrize(
    "as_it_stops",
    ["close_all_positions cancel_all_orders", "cancel_all_orders close_all_positions"],
)
def test_what_is_closed_and_cancelled_as_a_strategy_stops_is_both(
    place: Place, as_it_stops: str
) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        await entered(node, desk.bracket("2"))

    node = place.run(act, as_it_stops=as_it_stops)
    cache = node.core.cache
    assert cache.net_quantity(place.trial.instrument_id) == 0
    assert [*cache.orders_open(), *cache.orders_emulated()] == []
    verified(node)


def test_while_trading_is_halted_the_stop_stays_at_the_exchange(place: Place) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        stop, profit = await entered(node, desk.bracket("2"))
        node.set_trading_state("halted")
        await place.trial.move(D("110.02"), D("110.03"))
        await until(lambda: desk.quotes[-1].bid == 110.02, node)
        assert (stop.status, profit.status) == (OrderStatus.ACCEPTED, OrderStatus.EMULATED)
        node.set_trading_state("active")
        await place.trial.move(D("110.04"), D("110.05"))
        await flat(node)
        assert (stop.status, profit.status) == (OrderStatus.CANCELED, OrderStatus.FILLED)

    node = place.run(act)
    verified(node)


def test_what_a_fee_leaves_below_a_step_does_not_keep_a_strategy_from_going_on(
    place: Place,
) -> None:
    async def act(node: wb.TradingNode, desk: Desk) -> None:
        for left in ("0.00000655", "0.0000031"):
            assert node.core.portfolio.is_flat()
            entry = desk.buy("0.12345")
            await until(lambda entry=entry: entry.is_closed, node)
            assert not node.core.portfolio.is_flat()
            desk.close_position()
            await flat(node, left)
        assert desk.denials == []

    place.run(act).dispose()

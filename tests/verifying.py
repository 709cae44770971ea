"""Strategies, markets and journals for the tests of verification."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

import workbench as wb
from tests.node_fakes import PAIR
from workbench.model.identifiers import TradeId
from workbench.node.journal import JournalKind, JournalRecord, JournalView

START_NS = 1_767_225_600_000_000_000


class Pulse(wb.CustomData, frozen=True):
    """What busy strategies publish."""

    beat: int


class Busy(wb.Strategy):
    """Does everything a strategy can do, as its seed says; honest: the same again each time.

    Args of a life: how often it acts on a quote, and its seed.
    """

    seed: int = 1
    activity: float = 0.2

    def on_start(self) -> None:
        self.rng = random.Random(self.seed)
        self.steps = 0
        self.subscribe_quotes(PAIR.id)
        self.subscribe_trades(PAIR.id)
        self.subscribe_bars("1-minute-mid@quotes")
        self.subscribe_bars("10-tick-last", history=2)
        self.subscribe_signals("pulse")
        self.subscribe_data(Pulse)
        self.request_quotes(PAIR.id, limit=5)
        self.clock.set_timer("beat", timedelta(seconds=7))
        self.clock.set_alert("once", self.clock.timestamp_ns() + 11 * 10**9)

    # What it does

    def act(self) -> None:
        quote = self.cache.quote(PAIR.id)
        if quote is None:
            return
        choice = self.rng.choice(_ACTIONS)
        choice(self, quote)

    def _price(self, quote: wb.Quote, *, above: bool) -> float:
        ticks = self.rng.randint(-3, 12)
        base = quote.ask if above else quote.bid
        return round(base + (ticks if above else -ticks) * 0.01, 2)

    def _side(self) -> str:
        return self.rng.choice(("buy", "sell"))

    def _size(self) -> int:
        return self.rng.randint(1, 5)

    def market(self, _: wb.Quote) -> None:
        self.submit_order(self.orders.market(PAIR.id, self._side(), self._size()))

    def limit(self, quote: wb.Quote) -> None:
        side = self._side()
        more: dict[str, Any] = self.rng.choice(
            (
                {},
                {"post_only": True},
                {"time_in_force": "ioc"},
                {"time_in_force": "day"},
                {"expire": self.clock.timestamp_ns() + 9 * 10**9},
                {"emulation_trigger": "bid_ask"},
            )
        )
        price = self._price(quote, above=side == "sell")
        self.submit_order(self.orders.limit(PAIR.id, side, self._size(), price, **more))

    def stop_order(self, quote: wb.Quote) -> None:
        side = self._side()
        price = self._price(quote, above=side == "buy")
        more: dict[str, Any] = self.rng.choice(
            ({}, {"emulation_trigger": "bid_ask"}, {"emulation_trigger": "last"})
        )
        self.submit_order(self.orders.stop_market(PAIR.id, side, self._size(), price, **more))

    def stop_limit(self, quote: wb.Quote) -> None:
        side = self._side()
        price = self._price(quote, above=side == "buy")
        order = self.orders.stop_limit(PAIR.id, side, self._size(), price, price)
        self.submit_order(order)

    def touched(self, quote: wb.Quote) -> None:
        side = self._side()
        price = self._price(quote, above=side == "sell")
        self.submit_order(self.orders.market_if_touched(PAIR.id, side, self._size(), price))

    def limit_touched(self, quote: wb.Quote) -> None:
        side = self._side()
        price = self._price(quote, above=side == "sell")
        self.submit_order(self.orders.limit_if_touched(PAIR.id, side, self._size(), price, price))

    def to_limit(self, _: wb.Quote) -> None:
        self.submit_order(self.orders.market_to_limit(PAIR.id, self._side(), self._size()))

    def trailing(self, _: wb.Quote) -> None:
        more: dict[str, Any] = self.rng.choice(({}, {"emulation_trigger": "bid_ask"}))
        order = self.orders.trailing_stop_market(PAIR.id, self._side(), self._size(), 0.1, **more)
        self.submit_order(order)

    def trailing_limit(self, _: wb.Quote) -> None:
        order = self.orders.trailing_stop_limit(PAIR.id, self._side(), self._size(), 0.1, 0.05)
        self.submit_order(order)

    def bracket(self, quote: wb.Quote) -> None:
        bracket = self.orders.bracket(
            PAIR.id,
            "buy",
            self._size(),
            stop_loss=round(quote.bid - 0.2, 2),
            take_profit=round(quote.ask + 0.2, 2),
        )
        self.submit_order_list(bracket)

    def pair(self, quote: wb.Quote) -> None:
        one = self.orders.limit(PAIR.id, "buy", 1, round(quote.bid - 0.05, 2))
        other = self.orders.limit(PAIR.id, "sell", 1, round(quote.ask + 0.05, 2))
        self.submit_order_list(self.rng.choice((self.orders.oco, self.orders.ouo))(one, other))

    def reducing(self, _: wb.Quote) -> None:
        self.submit_order(self.orders.market(PAIR.id, "sell", 5, reduce_only=True))

    def off_grid(self, quote: wb.Quote) -> None:
        self.submit_order(self.orders.limit(PAIR.id, "buy", 1, quote.bid - 0.005))

    def change(self, quote: wb.Quote) -> None:
        for order in self.cache.orders_open(strategy_id=self.component_id)[:2]:
            if order.price is not None:
                self.modify_order(order, price=self._price(quote, above=order.side == "sell"))

    def cancel(self, _: wb.Quote) -> None:
        for order in self.cache.orders_open(strategy_id=self.component_id)[:2]:
            self.cancel_order(order)

    def cancel_everything(self, _: wb.Quote) -> None:
        self.cancel_all_orders(side=self.rng.choice((None, "buy", "sell")))

    def close(self, _: wb.Quote) -> None:
        self.close_all_positions()

    def publish(self, _: wb.Quote) -> None:
        self.publish_signal("pulse", float(self.steps))
        now = self.clock.timestamp_ns()
        self.publish_data(Pulse(beat=self.steps, ts_event=now, ts_init=now))

    def ask(self, _: wb.Quote) -> None:
        self.request_bars("10-tick-last", limit=2)

    def alarm(self, _: wb.Quote) -> None:
        now = self.clock.timestamp_ns()
        if "later" in self.clock.timer_names:
            self.clock.cancel_timer("later")
        else:
            self.clock.set_alert("later", now + self.rng.randint(1, 9) * 10**9, self.on_later)

    # When

    def on_quote(self, quote: wb.Quote) -> None:
        self.steps += 1
        if self.rng.random() < self.activity:
            self.act()

    def on_trade(self, trade: wb.Trade) -> None:
        if self.rng.random() < self.activity / 2:
            self.act()

    def on_bar(self, bar: wb.Bar) -> None:
        if self.rng.random() < 0.5:
            self.act()

    def on_signal(self, signal: Any) -> None:
        self.act()

    def on_data(self, data: Any) -> None:
        self.act()

    def on_historical_data(self, response: Any) -> None:
        self.steps += len(response.data)
        self.act()

    def on_time_event(self, event: wb.TimeEvent) -> None:
        self.act()

    def on_later(self, event: wb.TimeEvent) -> None:
        self.act()

    def on_order_event(self, event: Any) -> None:
        # What an earlier run left may end before this one has started.
        if self.is_running and self.rng.random() < 0.05:
            self.act()

    def on_position_event(self, event: Any) -> None:
        if self.is_running and self.rng.random() < 0.1:
            self.act()

    def on_stop(self) -> None:
        self.cancel_all_orders()
        self.close_all_positions()


_ACTIONS: tuple[Callable[[Busy, wb.Quote], None], ...] = (
    *(Busy.market, Busy.limit, Busy.limit, Busy.stop_order, Busy.stop_limit, Busy.touched),
    *(Busy.limit_touched, Busy.to_limit, Busy.trailing, Busy.trailing_limit, Busy.bracket),
    *(Busy.pair, Busy.reducing, Busy.off_grid, Busy.change, Busy.cancel, Busy.cancel_everything),
    *(Busy.close, Busy.publish, Busy.ask, Busy.alarm),
)


def market_data(count: int, seed: int = 1, step_ns: int = 700_000_000) -> list[Any]:
    """Return quotes and now and then a trade, a walk from 100."""
    rng = random.Random(seed)
    found: list[Any] = []
    bid = 100.0
    for number in range(count):
        ts = START_NS + number * step_ns
        bid = round(bid + rng.choice((-0.03, -0.02, -0.01, 0.0, 0.01, 0.02, 0.03)), 2)
        if rng.random() < 0.2:
            found.append(
                wb.Trade(PAIR.id, bid, 2.0, wb.AggressorSide.BUYER, TradeId(f"T{number}"), ts, ts)
            )
        else:
            found.append(wb.Quote(PAIR.id, bid, round(bid + 0.02, 2), 50.0, 50.0, ts, ts))
    return found


def replayed(folder: Path, strategies: Any, data: list[Any], **settings: Any) -> wb.TradingNode:
    """Return a node that has replayed data, with a journal of it."""
    venue = settings.pop("venue", None)
    config = wb.TradingNodeConfig(
        journal=str(folder / "journal.sqlite"), journal_data=True, **settings
    )
    by_kind = [[d for d in data if type(d) is kind] for kind in (wb.Quote, wb.Trade)]
    node = wb.sandbox(
        strategies,
        {PAIR.id: [one for one in by_kind if one]},
        instrument=PAIR,
        venue=venue,
        config=config,
    )
    node.build()
    node.run()
    return node


class Tampered(JournalView):
    """A journal whose records come changed.

    Args:
        path: Its file.
        change: Returns what comes in the place of a record.
    """

    def __init__(
        self, path: Path, change: Callable[[JournalRecord], Iterable[JournalRecord]]
    ) -> None:
        super().__init__(path, is_checked=False)
        self._change = change

    def _read(self, selection: Any) -> Iterator[JournalRecord]:
        for record in super()._read(selection):
            yield from self._change(record)


def only_changed(
    is_meant: Callable[[JournalRecord], bool], **changes: Any
) -> Callable[[JournalRecord], Iterable[JournalRecord]]:
    """Return what changes fields of the first message that is meant."""
    found: list[int] = []

    def change(record: JournalRecord) -> Iterable[JournalRecord]:
        if is_meant(record) and (not found or record.sequence == found[0]):
            found[:] = [record.sequence]
            message = msgspec.structs.replace(record.message, **changes)
            record = msgspec.structs.replace(record, message=message)
        yield record

    return change


def is_kind(kind: JournalKind, type_: type) -> Callable[[JournalRecord], bool]:
    """Return what tells records of a kind with a message of a type."""
    return lambda record: record.kind is kind and isinstance(record.message, type_)

"""Runs a scenario through `wb.backtest`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd

import workbench as wb
from tests.oracle.scenario import (
    CASH,
    TICK,
    Action,
    Bar,
    Cancel,
    Fill,
    Modify,
    Outcome,
    Scenario,
    Submit,
    SubmitList,
    Ticket,
    at,
    row_of,
    ticks_of,
)
from workbench.model.data import Bar as BarMessage
from workbench.model.data import BarType
from workbench.model.data import Quote as QuoteMessage

PAIR = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment=TICK, quantity_increment=1)
BARS = {side: BarType.parse(f"{PAIR.id}-1-minute-{side}") for side in ("last", "bid", "ask")}


class Scripted(wb.Strategy):
    """Does what a scenario says."""

    scenario: Any = None

    def on_start(self) -> None:
        self.row = -1
        self.made: dict[str, Any] = {}
        self.todo = self.scenario.actions_after()
        if self.scenario.has_bars:
            self.subscribe_bars(BARS[next(iter(self.scenario.sides()))])
        else:
            self.subscribe_quotes(PAIR.id)

    def on_quote(self, quote: Any) -> None:
        self.go_on()

    def on_bar(self, bar: Any) -> None:
        self.go_on()

    def go_on(self) -> None:
        self.row += 1
        for action in self.todo.get(self.row, ()):
            self.act(action)

    def act(self, action: Action) -> None:
        if isinstance(action, Submit):
            self.submit_order(self.make(action.ticket))
        elif isinstance(action, SubmitList):
            self.submit_order_list(self.make_list(action))
        elif isinstance(action, Modify):
            order = self.made[action.name]
            if order.is_open:
                self.modify_order(
                    order,
                    quantity=action.quantity,
                    price=None if action.price is None else at(action.price),
                    trigger_price=None if action.trigger is None else at(action.trigger),
                )
        elif isinstance(action, Cancel) and self.made[action.name].is_open:
            self.cancel_order(self.made[action.name])

    def make(self, ticket: Ticket) -> Any:
        options: dict[str, Any] = {"time_in_force": ticket.force}
        if ticket.expires is not None:
            options["expire"] = self.scenario.expiry_ns(ticket.expires)
        for name in ("post_only", "reduce_only"):
            if getattr(ticket, name):
                options[name] = True
        if ticket.position is not None:
            options["position_id"] = self.made[ticket.position].position_id
        if ticket.trigger_type != "default":
            options["trigger_type"] = ticket.trigger_type
        prices = [at(price) for price in (ticket.price, ticket.trigger) if price is not None]
        if ticket.offset is not None:
            prices = [_offset(ticket, ticket.offset)]
            options["trailing_offset_type"] = ticket.offset_type
            if ticket.limit_offset is not None:
                prices.append(_offset(ticket, ticket.limit_offset))
            for name, ticks in (
                ("activation_price", ticket.activation),
                ("trigger_price", ticket.trigger),
                ("price", ticket.price),
            ):
                if ticks is not None:
                    options[name] = at(ticks)
        order = getattr(self.orders, ticket.kind)(
            PAIR.id, ticket.side, ticket.quantity, *prices, **options
        )
        self.made[ticket.name] = order
        return order

    def make_list(self, action: SubmitList) -> Any:
        if action.link != "bracket":
            return getattr(self.orders, action.link)(*map(self.make, action.tickets))
        entry, stop, limit = action.tickets
        options: dict[str, Any] = {"time_in_force": entry.force}
        if entry.expires is not None:
            options["expire"] = self.scenario.expiry_ns(entry.expires)
        bracket = self.orders.bracket(
            PAIR.id,
            entry.side,
            entry.quantity,
            stop_loss=at(stop.trigger or 0),
            take_profit=at(limit.price or 0),
            entry_price=None if entry.price is None else at(entry.price),
            entry_trigger_price=None if entry.trigger is None else at(entry.trigger),
            **options,
        )
        for ticket, order in zip(action.tickets, bracket, strict=True):
            self.made[ticket.name] = order
        return bracket


def _offset(ticket: Ticket, ticks: int) -> Decimal:
    return at(ticks) if ticket.offset_type == "price" else Decimal(ticks)


def run(scenario: Scenario) -> Outcome:
    """Return what came of a scenario here."""
    venue = wb.SimulatedVenue(
        starting_balances=f"{CASH} USDT",
        maker_fee=scenario.maker,
        taker_fee=scenario.taker,
        order_management="hedging" if scenario.hedging else "netting",
        bar_path="adaptive" if scenario.adaptive else "ohlc",
        rejects_reached_triggers=scenario.rejects_reached,
        fill_on=scenario.fill_on,
        latency_ns=scenario.latency_ns,
        round_money=True,
    )
    strategy = Scripted(scenario=scenario)
    result = wb.backtest(strategy, _data(scenario), instrument=PAIR, venue=venue, progress=False)
    names = {order.client_order_id: name for name, order in strategy.made.items()}
    fills = tuple(
        Fill(
            row_of(scenario, int(pd.Timestamp(fill.time).value)),
            names[fill.client_order_id],
            fill.side,
            int(fill.quantity),
            ticks_of(fill.price),
            fill.commission,
        )
        for fill in result.fills.reset_index().itertuples()
    )
    return Outcome(
        fills=fills,
        orders={
            name: (order.status.value, int(order.filled_quantity))
            for name, order in strategy.made.items()
        },
        positions=tuple(sorted(int(held) for held in result.positions["quantity"] if held)),
        profit=result.balances["USDT"] - CASH,
        total=result.summary["total pnl USDT"],
        reasons={name: order.reason for name, order in strategy.made.items() if order.reason},
    )


def _data(scenario: Scenario) -> list[Any]:
    if scenario.has_bars:
        return [
            [_bar(BARS[side], bar, scenario.time_ns(row)) for row, bar in enumerate(found)]
            for side, found in scenario.sides().items()
        ]
    return [
        QuoteMessage(
            PAIR.id,
            row.bid / 100,
            row.ask / 100,
            float(row.bid_size),
            float(row.ask_size),
            scenario.time_ns(index),
            scenario.time_ns(index),
        )
        for index, row in enumerate(scenario.rows)
    ]


def _bar(kind: BarType, row: Bar, time_ns: int) -> BarMessage:
    prices = (row.open / 100, row.high / 100, row.low / 100, row.close / 100)
    return BarMessage(kind, *prices, float(row.volume), time_ns, time_ns)

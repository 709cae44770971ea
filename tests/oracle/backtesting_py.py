"""Runs a scenario of bars through backtesting.py.

It knows market, limit, stop and stop-limit orders, and a stop-loss and take-profit for each trade;
its `next` begins with the second bar, and what is sent on the last one is lost.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd
from backtesting import Backtest, Strategy

from tests.oracle.scenario import (
    CASH,
    Cancel,
    Fill,
    Scenario,
    Submit,
    SubmitList,
    Ticket,
)

Trades = Counter[tuple[int, str, int]]
"""How much was bought and sold: by row, side and price in ticks."""


@dataclass(frozen=True)
class Traded:
    """What came of a scenario there: it tells of trades, each with an entry and an exit.

    Attributes:
        trades: Entries and exits.
        total: Profit, realised or not, fees included.
        open_lots: The quantities and entry prices (ticks) of the trades that are open.
    """

    trades: Trades
    total: float
    open_lots: tuple[tuple[int, int], ...]


class Scripted(Strategy):
    """Does what a scenario says."""

    scenario: Any = None

    def init(self) -> None:
        self.todo = self.scenario.actions_after()
        self.sent: dict[str, Any] = {}

    def next(self) -> None:
        for action in self.todo.get(len(self.data) - 1, ()):
            if isinstance(action, Submit):
                self.send(action.ticket)
            elif isinstance(action, SubmitList):
                entry, stop, limit = action.tickets
                self.send(entry, sl=_price(stop.trigger), tp=_price(limit.price))
            elif isinstance(action, Cancel) and self.sent[action.name] in self.orders:
                self.sent[action.name].cancel()

    def send(self, ticket: Ticket, **exits: Any) -> None:
        send = self.buy if ticket.side == "buy" else self.sell
        self.sent[ticket.name] = send(
            size=ticket.quantity,
            limit=_price(ticket.price),
            stop=_price(ticket.trigger),
            tag=ticket.name,
            **exits,
        )


def _price(ticks: int | None) -> float | None:
    return None if ticks is None else ticks / 100


def run(scenario: Scenario) -> Traded:
    """Return what came of a scenario there."""
    frame = pd.DataFrame(
        [tuple(part / 100 for part in row[:4]) for row in scenario.rows],
        columns=["Open", "High", "Low", "Close"],
        index=pd.to_datetime([scenario.time_ns(row) for row in range(len(scenario.rows))]),
    )
    test = Backtest(
        frame,
        Scripted,
        cash=CASH,
        commission=float(scenario.taker),
        trade_on_close=scenario.fill_on == "close",
        hedging=scenario.hedging,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # open trades at the end, and exits within their bar
        outcome = test.run(scenario=scenario)
    strategy = outcome["_strategy"]
    trades: Trades = Counter()
    for trade in (*strategy.trades, *strategy.closed_trades):
        size, sides = int(abs(trade.size)), ("buy", "sell") if trade.is_long else ("sell", "buy")
        trades[trade.entry_bar, sides[0], round(trade.entry_price * 100)] += size
        if trade.exit_bar is not None:
            trades[int(trade.exit_bar), sides[1], round(trade.exit_price * 100)] += size
    return Traded(
        trades,
        outcome["Equity Final [$]"] - CASH,
        tuple((int(trade.size), round(trade.entry_price * 100)) for trade in strategy.trades),
    )


def trades_of(fills: tuple[Fill, ...]) -> Trades:
    """Return our fills as how much was bought and sold."""
    trades: Trades = Counter()
    for fill in fills:
        trades[fill.row, fill.side, fill.price] += fill.quantity
    return trades

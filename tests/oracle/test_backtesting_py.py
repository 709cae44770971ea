"""Orders on bars through backtesting.py: what was bought and sold when, and profit, must be equal.

It tells of trades, not of fills, so entries and exits are compared by row, side and price. Its
lots are closed first in first out, ours at average cost: only the sum of realised and unrealised
profit is the same while a position is open.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

pytest.importorskip(
    "backtesting", reason="backtesting.py is not installed; it is in the extra `oracle`"
)

from tests.oracle import backtesting_py, market_data, ours
from tests.oracle import random_scenarios as draw
from tests.oracle.backtesting_py import Trades, trades_of
from tests.oracle.scenario import Action, Bar, Outcome, Scenario, Submit, SubmitList, Ticket

pytestmark = pytest.mark.oracle

TABLE = Path(__file__).with_name("CONVENTIONS.md")
FEE = {"maker": "0.0003", "taker": "0.0003"}


def singles(
    seed: int, kinds: tuple[str, ...], fill_on: str, *, gaps: bool = False, takes: bool = False
) -> Scenario:
    """Return single orders; without `takes` every limit is away from the market when it comes."""
    random = Random(seed)
    rows = draw.bars(random, 40, gaps=gaps)
    return Scenario(rows, orders(random, rows, kinds, takes=takes), fill_on=fill_on, **FEE)  # type: ignore[arg-type]


def orders(
    random: Random, rows: tuple[Bar, ...], kinds: tuple[str, ...], *, takes: bool = False
) -> tuple[Action, ...]:
    desk = draw.Desk(random, rows)
    actions: list[Action] = []
    # What is sent on the first bar or the last has no counterpart there.
    for row in range(1, len(rows) - 2):
        if random.random() < 0.35:
            ticket = desk.ticket(row, random.choice(kinds))
            sign = 1 if ticket.side == "buy" else -1
            if ticket.kind == "limit" and not takes:
                ticket = ticket._replace(price=rows[row].close - sign * random.randint(1, 8))
            elif ticket.kind == "stop_limit":
                ticket = ticket._replace(
                    price=int(ticket.trigger or 0) + sign * random.randint(1, 5)
                )
            actions.append(Submit(row, ticket))
    return tuple(actions)


def exits(seed: int, fill_on: str) -> Scenario:
    """Return an entry with its stop-loss and take-profit."""
    random = Random(seed)
    rows = draw.bars(random, 30, gaps=False)
    tickets = draw.bracket(draw.Desk(random, rows), 2)
    return Scenario(rows, (SubmitList(2, "bracket", tickets),), fill_on=fill_on, **FEE)  # type: ignore[arg-type]


FAMILIES: dict[str, Callable[[int], Scenario]] = {
    "market at this close": partial(singles, kinds=("market",), fill_on="close", gaps=True),
    "market at the next open": partial(singles, kinds=("market",), fill_on="next_open", gaps=True),
    "stops with gaps": partial(
        singles, kinds=("market", "stop_market"), fill_on="next_open", gaps=True
    ),
    "stops": partial(singles, kinds=("market", "stop_market"), fill_on="close"),
    "limits": partial(singles, kinds=("market", "limit"), fill_on="close"),
    "limits that take at the next open": partial(
        singles, kinds=("market", "limit"), fill_on="next_open", takes=True
    ),
    "stop limits": partial(singles, kinds=("stop_limit",), fill_on="next_open"),
    "exits, entered at this close": partial(exits, fill_on="close"),
    "exits, entered at the next open": partial(exits, fill_on="next_open"),
}


def compare(scenario: Scenario, hint: str) -> Outcome:
    here, there = ours.run(scenario), backtesting_py.run(scenario)
    found = trades_of(here.fills)
    assert found == there.trades, (
        f"{hint}: here {found - there.trades}, there {there.trades - found}"
    )
    assert float(here.total) == pytest.approx(there.total, abs=1e-4), hint
    return here


def is_ambiguous(scenario: Scenario, outcome: Outcome) -> bool:
    """Return whether an exit fills in its entry's bar, or both could in one (CONVENTIONS.md)."""
    rows = [fill.row for fill in outcome.fills]
    if len(rows) < 2:
        return False
    _, stop, limit = scenario.tickets()
    low, high = sorted((stop.trigger or 0, limit.price or 0))
    bar = scenario.rows[rows[-1]]
    assert isinstance(bar, Bar)
    return rows[0] == rows[-1] or (bar.low <= low and bar.high >= high)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_orders_trade_alike(family: str, repetitions: Callable[[int], int]) -> None:
    count, aside, fills = repetitions(500), 0, 0
    for seed in range(count):
        scenario = FAMILIES[family](seed)
        if "exits" in family and is_ambiguous(scenario, ours.run(scenario)):
            aside += 1
            continue
        fills += len(compare(scenario, f"{family}, seed {seed}").fills)
    assert aside < 0.5 * count
    assert fills > count


SOURCES = {
    "made": market_data.made_bars,
    "pound": market_data.pound_bars,
    "bitcoin": market_data.bitcoin_bars,
}


@pytest.mark.parametrize("fill_on", ["close", "next_open"])
@pytest.mark.parametrize("source", SOURCES)
def test_crossing_averages_earn_alike(
    source: str, fill_on: str, repetitions: Callable[[int], int]
) -> None:
    rows = SOURCES[source](repetitions(30_000))
    crossings = market_data.crossings(rows)
    scenario = Scenario(rows, crossings, fill_on=fill_on, maker="0.0001", taker="0.0001")
    here = compare(scenario, source)
    assert len(here.fills) == len(crossings) > 50


@pytest.mark.parametrize("source", SOURCES)
def test_random_stops_on_other_bars_trade_alike(
    source: str, repetitions: Callable[[int], int]
) -> None:
    rows = SOURCES[source](repetitions(20_000))
    sent = orders(Random(1), rows, ("market", "stop_market"))
    here = compare(Scenario(rows, sent, fill_on="next_open", **FEE), source)  # type: ignore[arg-type]
    assert len(here.fills) > 500


# Conventions


class Convention(NamedTuple):
    """Trades here and there, as `ROW SIDE QUANTITY@PRICE`."""

    scenario: Scenario
    here: str
    there: str


def told(trades: Trades) -> str:
    return ", ".join(
        f"{row} {side} {quantity}@{price}"
        for (row, side, price), quantity in sorted(trades.items())
    )


BAR = Bar(10_000, 10_010, 9_990, 10_000)


def buy(kind: str, **prices: int) -> Ticket:
    return Ticket("a", kind, "buy", 5, **prices)  # type: ignore[arg-type]


def bracket(stop: int, limit: int, **entry: int) -> SubmitList:
    kind = "stop_market" if entry else "market"
    made = (
        buy(kind, **entry),
        Ticket("s", "stop_market", "sell", 5, trigger=stop, reduce_only=True),
        Ticket("t", "limit", "sell", 5, price=limit, reduce_only=True),
    )
    return SubmitList(1, "bracket", made)


def after(bar: Bar, action: Ticket | SubmitList, fill_on: str = "next_open") -> Scenario:
    action = action if isinstance(action, SubmitList) else Submit(1, action)
    return Scenario((BAR, BAR, bar, BAR), (action,), fill_on=fill_on)


CONVENTIONS: dict[str, Convention] = {
    "a limit that the open has gone through": Convention(
        after(Bar(9_980, 10_000, 9_970, 9_990), buy("limit", price=9_990)),
        "2 buy 5@9990",
        "2 buy 5@9980",
    ),
    "a limit that takes at this close": Convention(
        after(BAR, buy("limit", price=10_005), "close"),
        "1 buy 5@10000",
        "2 buy 5@10000",
    ),
    "a stop that is reached when it comes": Convention(
        after(Bar(9_995, 9_998, 9_990, 9_995), buy("stop_market", trigger=9_999)),
        "2 buy 5@9995",
        "3 buy 5@10000",
    ),
    "a gap over a stop, trading on the close": Convention(
        after(Bar(10_020, 10_030, 10_010, 10_020), buy("stop_market", trigger=10_015), "close"),
        "2 buy 5@10020",
        "2 buy 5@10015",
    ),
    "a stop limit at its trigger": Convention(
        after(BAR, buy("stop_limit", price=10_005, trigger=10_005)),
        "2 buy 5@10005",
        "3 buy 5@10000",
    ),
    "a gap over a stop limit": Convention(
        after(Bar(10_010, 10_030, 10_008, 10_020), buy("stop_limit", price=10_015, trigger=10_005)),
        "2 buy 5@10010",
        "2 buy 5@10005",
    ),
    "both exits within one bar": Convention(
        after(BAR, bracket(9_995, 10_005)),
        "2 buy 5@10000, 2 sell 5@10005",
        "2 buy 5@10000, 2 sell 5@9995",
    ),
    "an exit within its entry's bar": Convention(
        after(BAR, bracket(9_995, 10_020, trigger=10_005)),
        "2 buy 5@10005, 2 sell 5@9995",
        "2 buy 5@10005, 3 sell 5@9995",
    ),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_convention_is_as_the_table_says(name: str) -> None:
    convention = CONVENTIONS[name]
    here = trades_of(ours.run(convention.scenario).fills)
    there = backtesting_py.run(convention.scenario).trades
    assert (told(here), told(there)) == (convention.here, convention.there)


def test_lots_are_closed_first_in_first_out_there_and_at_average_cost_here() -> None:
    rows = tuple(Bar(price, price, price, price) for price in (100, 100, 110, 120, 120))
    actions = (
        Submit(1, Ticket("a", "market", "buy", 10)),
        Submit(2, Ticket("b", "market", "buy", 10)),
        Submit(3, Ticket("c", "market", "sell", 10)),
    )
    scenario = Scenario(rows, actions)
    here, there = ours.run(scenario), backtesting_py.run(scenario)
    assert trades_of(here.fills) == there.trades
    assert float(here.total) == pytest.approx(there.total) == pytest.approx(3.0)
    assert here.profit == pytest.approx(1.5)  # 10 at 1.05, sold at 1.20
    assert there.open_lots == ((10, 110),)  # 10 at 1.00, sold at 1.20: 2.0


def test_every_convention_is_in_the_table_and_tested() -> None:
    lines = TABLE.read_text().partition("## backtesting.py")[2].partition("\n## ")[0].splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][1:]
    assert rows == [*CONVENTIONS, "what a part of a position cost"]

"""One neutral form for what is tried on several engines: data, orders, and what came of them.

Prices are whole ticks, quantities whole units, times the number of a row. A runner for each engine
turns a `Scenario` into that engine's own objects and what happened into an `Outcome`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

TICK = Decimal("0.01")
DIGITS = 2
START_NS = 1_600_000_020_000_000_000  # on a whole minute
CASH = 1_000_000_000


class Quote(NamedTuple):
    """A row of quotes."""

    bid: int
    ask: int
    bid_size: int = 1_000
    ask_size: int = 1_000


class Bar(NamedTuple):
    """A row of bars, stamped at its close."""

    open: int
    high: int
    low: int
    close: int
    volume: int = 1_000_000


class BidAsk(NamedTuple):
    """A row of bid and ask bars of one interval."""

    bid: Bar
    ask: Bar


class Ticket(NamedTuple):
    """An order; words are those of `wb.OrderType`, `wb.TimeInForce` and so on.

    `expires` is the number of the row after which, and before the next, a GTD order ends;
    `position` names the order that opened the position this one is for.
    """

    name: str
    kind: str
    side: str
    quantity: int
    price: int | None = None
    trigger: int | None = None
    force: str = "gtc"
    expires: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    offset: int | None = None
    offset_type: str = "price"
    limit_offset: int | None = None
    activation: int | None = None
    trigger_type: str = "default"
    position: str | None = None


class Submit(NamedTuple):
    """Submit one order when the row of this number has been seen."""

    after: int
    ticket: Ticket


class SubmitList(NamedTuple):
    """Submit linked orders: `oco`, `ouo`, `oto` (the first is the parent) or `bracket`.

    A bracket is an entry, its stop-loss and its take-profit: OTO, and OUO between the exits.
    """

    after: int
    link: str
    tickets: tuple[Ticket, ...]


class Modify(NamedTuple):
    """Change an order that may be open."""

    after: int
    name: str
    quantity: int | None = None
    price: int | None = None
    trigger: int | None = None


class Cancel(NamedTuple):
    """Cancel an order that may be open."""

    after: int
    name: str


Action = Submit | SubmitList | Modify | Cancel


@dataclass(frozen=True)
class Scenario:
    """Data, what is done on it, and how the venue is set up.

    Attributes:
        rows: Quotes or bars.
        actions: What is submitted, changed and cancelled when.
        maker, taker: Fees as shares of notional.
        hedging: One position an order, not one an instrument.
        adaptive: Walk a bar to the nearer of high and low first.
        rejects_reached: Reject an order whose trigger is reached when it comes.
        fill_on: `close` or `next_open`: when what is sent on a bar takes.
        peer_consumes: Whether the peer, too, remembers what orders took of a size shown.
        peer_expires_with_row: Whether the peer is told that row's time as an order's expiry, and
            not one between it and the next.
        latency_ns: How long every command is on its way.
        step_s: Seconds from row to row, 0 for one with quotes and sixty with bars.
    """

    rows: tuple[Quote, ...] | tuple[Bar, ...] | tuple[BidAsk, ...]
    actions: tuple[Action, ...]
    maker: str = "0"
    taker: str = "0"
    hedging: bool = False
    adaptive: bool = False
    rejects_reached: bool = False
    fill_on: str = "close"
    peer_consumes: bool = True
    peer_expires_with_row: bool = True
    latency_ns: int = 0
    step_s: int = 0

    @property
    def has_bars(self) -> bool:
        """Return whether its data are bars."""
        return not isinstance(self.rows[0], Quote)

    def sides(self) -> dict[str, list[Bar]]:
        """Return its bars by price type: `last`, or `bid` and `ask`."""
        found: dict[str, list[Bar]] = {}
        for row in self.rows:
            sides = row._asdict().items() if isinstance(row, BidAsk) else [("last", row)]
            for side, bar in sides:
                found.setdefault(side, []).append(bar)
        return found

    @property
    def step_ns(self) -> int:
        """Return the time between two rows."""
        return (self.step_s or (60 if self.has_bars else 1)) * 1_000_000_000

    def time_ns(self, row: int) -> int:
        """Return when a row is known."""
        return START_NS + (row + 1) * self.step_ns

    def expiry_ns(self, row: int) -> int:
        """Return a time between this row and the next."""
        return self.time_ns(row) + self.step_ns // 2

    def actions_after(self) -> dict[int, list[Action]]:
        """Return the actions by the row they follow."""
        found: dict[int, list[Action]] = {}
        for action in self.actions:
            found.setdefault(action.after, []).append(action)
        return found

    def tickets(self) -> list[Ticket]:
        """Return all its orders."""
        found: list[Ticket] = []
        for action in self.actions:
            if isinstance(action, Submit):
                found.append(action.ticket)
            elif isinstance(action, SubmitList):
                found.extend(action.tickets)
        return found


class Fill(NamedTuple):
    """A fill: at which row, of which order."""

    row: int
    name: str
    side: str
    quantity: int
    price: int
    fee: Decimal = Decimal(0)


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario.

    Attributes:
        fills: In the order in which they came.
        orders: The last status and the filled quantity of each order.
        positions: The signed quantities of those that are open, sorted.
        profit: Realised, fees included.
        total: The same, and what closing the open positions would bring, before its fees.
        reasons: Why orders were denied, rejected or cancelled; not compared.
    """

    fills: tuple[Fill, ...]
    orders: dict[str, tuple[str, int]]
    positions: tuple[int, ...]
    profit: Decimal
    total: Decimal
    reasons: dict[str, str] = field(default_factory=dict, compare=False)


def at(price: int) -> Decimal:
    """Return ticks as a price."""
    return TICK * price


def row_of(scenario: Scenario, time_ns: int) -> int:
    """Return the row that was the newest at a time."""
    return (time_ns - START_NS) // scenario.step_ns - 1


def ticks_of(price: Decimal) -> int:
    """Return a price as whole ticks; one between two ticks is a defect."""
    ticks = price / TICK
    assert ticks == int(ticks), f"{price} is not on the grid"
    return int(ticks)

"""Seeded random scenarios, by family; the same seed gives the same scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tests.oracle.scenario import (
    Action,
    Bar,
    BidAsk,
    Cancel,
    Modify,
    Quote,
    Scenario,
    Submit,
    SubmitList,
    Ticket,
)

FEES: dict[str, Any] = {"maker": "0.0001", "taker": "0.0003"}
Size = Callable[[Random], int]
_TRIGGERED = ("stop_market", "stop_limit", "market_if_touched", "limit_if_touched")


def ample(_: Random) -> int:
    """Return a size that no order exhausts."""
    return 1_000_000


def scarce(random: Random) -> int:
    """Return a size that many orders exhaust."""
    return random.randint(1, 16)


def quotes(
    random: Random, count: int, size: Size = ample, start: int = 10_000
) -> tuple[Quote, ...]:
    """Return a walk of a few ticks a row, with spreads of one to four ticks."""
    rows: list[Quote] = []
    bid = start
    shown: set[tuple[str, int, int]] = set()
    while len(rows) < count:
        bid += random.choice((-3, -2, -1, -1, 0, 0, 1, 1, 2, 3))
        row = Quote(bid, bid + random.randint(1, 4), size(random), size(random))
        # The peer takes an equal price and size for what its orders have taken already.
        sides = {("bid", row.bid, row.bid_size), ("ask", row.ask, row.ask_size)}
        if size is ample or not sides & shown:
            shown |= sides
            rows.append(row)
    return tuple(rows)


def bars(random: Random, count: int, volume: Size = ample, *, gaps: bool = True) -> tuple[Bar, ...]:
    """Return bars whose opens may gap away from the close before."""
    rows: list[Bar] = []
    close = 10_000
    for _ in range(count):
        opened = close + (random.choice((0, 0, 0, random.randint(-6, 6))) if gaps else 0)
        close = opened + random.randint(-8, 8)
        high = max(opened, close) + random.randint(0, 6)
        low = min(opened, close) - random.randint(0, 6)
        if high - opened == opened - low:
            high += 1  # which comes first in an adaptive walk is a convention
        rows.append(Bar(opened, high, low, close, volume(random)))
    return tuple(rows)


def bid_ask_bars(random: Random, count: int) -> tuple[BidAsk, ...]:
    """Return bid bars, and ask bars at varying distances above them; all on even ticks."""
    rows: list[BidAsk] = []
    for bar in bars(random, count):
        bid = Bar(*(2 * price for price in bar[:4]))
        opened, high, low, close = (price + 2 * random.randint(1, 4) for price in bid[:4])
        ask = Bar(opened, max(opened, high, close), min(opened, low, close), close)
        rows.append(BidAsk(bid, ask))
    return tuple(rows)


class Desk:
    """Draws orders that suit the market as it is after a row.

    Args:
        random: Where they come from.
        rows: The data.
        most: The largest quantity.
        forces: Times in force to choose from.
        nearest: How near a trigger is to the market, in ticks; negative ones are reached already.
        offset_types: What trailing offsets are counted in.
        activates: Whether some trailing stops wait for an activation price.
    """

    def __init__(
        self,
        random: Random,
        rows: Sequence[Quote] | Sequence[Bar] | Sequence[BidAsk],
        most: int = 10,
        forces: Sequence[str] = ("gtc",),
        *,
        nearest: int = 1,
        offset_types: Sequence[str] = ("price",),
        activates: bool = False,
    ) -> None:
        self.random = random
        self.nearest = nearest
        self.offset_types = offset_types
        self.activates = activates
        self.rows = rows
        self.most = most
        self.forces = forces
        self.count = 0

    def market(self, row: int, side: str) -> int:
        """Return the price at which `side` would trade after a row."""
        now = self.rows[row]
        if isinstance(now, Bar):
            return now.close
        if isinstance(now, BidAsk):
            return now.ask.close if side == "buy" else now.bid.close
        return now.ask if side == "buy" else now.bid

    def ticket(self, row: int, kind: str, **more: Any) -> Ticket:
        """Return an order of a kind; triggers are away from the market, limits on either side."""
        random = self.random
        self.count += 1
        side = random.choice(("buy", "sell"))
        sign = 1 if side == "buy" else -1
        here = self.market(row, side)
        fields: dict[str, Any] = {"force": random.choice(self.forces)}
        if fields["force"] == "gtd" and (kind == "market" or row > len(self.rows) - 4):
            fields["force"] = "gtc"
        if fields["force"] == "gtd":
            fields["expires"] = min(row + random.randint(1, 10), len(self.rows) - 2)
        if kind == "limit":
            fields["price"] = here - sign * random.randint(-3, 8)
        elif kind.startswith("trailing"):
            fields |= self._trailing(row, kind, here, sign)
        elif kind in _TRIGGERED:
            fields |= self._triggered(kind, here, sign)
        fields |= more
        return Ticket(f"o{self.count}", kind, side, random.randint(1, self.most), **fields)

    def _triggered(self, kind: str, here: int, sign: int) -> dict[str, Any]:
        random = self.random
        way = sign if kind.startswith("stop") else -sign
        trigger = here + way * random.randint(self.nearest, 8)
        if kind == "stop_limit":
            # Within reach of the trigger, or out of the reach of a jump: see CONVENTIONS.md.
            return {"trigger": trigger, "price": trigger + sign * random.choice((-3, -2, -1, 8, 9))}
        if kind == "limit_if_touched":
            # The peer refuses a limit short of the trigger.
            return {"trigger": trigger, "price": trigger + sign * random.randint(0, 4)}
        return {"trigger": trigger}

    def _trailing(self, row: int, kind: str, here: int, sign: int) -> dict[str, Any]:
        random = self.random
        offset = random.randint(2, 9)
        fields: dict[str, Any] = {
            "offset": offset,
            "offset_type": random.choice(self.offset_types),
            "trigger_type": "bid_ask",
        }
        if kind == "trailing_stop_limit":
            fields["limit_offset"] = random.randint(8, 11)
        if isinstance(self.rows[row], Bar):
            # Without quotes the peer does not know where to begin.
            fields["trigger"] = here + sign * offset
        if self.activates and random.random() < 0.5:
            fields["activation"] = here - sign * random.randint(1, 4)
        return fields

    def change(self, row: int, ticket: Ticket) -> Action:
        """Return a cancel or a change of an earlier order."""
        random = self.random
        if random.random() < 0.5:
            return Cancel(row, ticket.name)
        sign = 1 if ticket.side == "buy" else -1
        here = self.market(row, ticket.side)
        what = random.choice(("quantity", "price", "trigger"))
        if what == "trigger" and ticket.kind in ("stop_market", "market_if_touched"):
            touch = -1 if "touched" in ticket.kind else 1
            trigger = here + touch * sign * random.randint(1, 8)
            if trigger != ticket.trigger:
                return Modify(row, ticket.name, trigger=trigger)
        if what == "price" and ticket.kind == "limit":
            return Modify(row, ticket.name, price=here - sign * random.randint(-2, 8))
        return Modify(row, ticket.name, quantity=random.randint(1, self.most))


def singles(
    seed: int,
    kinds: Sequence[str],
    *,
    forces: Sequence[str] = ("gtc",),
    size: Size = ample,
    most: int = 10,
    on_bars: bool = False,
    changes: float = 0.3,
    post_only: float = 0.0,
    count: int = 40,
    start: int = 10_000,
    desk_options: dict[str, Any] | None = None,
    **more: Any,
) -> Scenario:
    """Return a scenario of single orders of some kinds, with changes and cancels."""
    random = Random(seed)
    rows = bars(random, count, size) if on_bars else quotes(random, count, size, start)
    desk = Desk(random, rows, most, forces, **(desk_options or {}))
    actions = _single_orders(desk, kinds, changes=changes, post_only=post_only)
    return Scenario(rows, actions, **{**FEES, **more})


def singles_on(
    seed: int,
    rows: tuple[Quote, ...] | tuple[Bar, ...] | tuple[BidAsk, ...],
    kinds: Sequence[str],
    *,
    adaptive: bool = False,
) -> Scenario:
    """Return a scenario of single orders on data that are there; limits are odd ticks."""
    desk = Desk(Random(seed), rows)
    actions = [
        _at_odd_limit(action) for action in _single_orders(desk, kinds, changes=0.3, post_only=0.0)
    ]
    return Scenario(rows, tuple(actions), adaptive=adaptive, **FEES)


def _at_odd_limit(action: Action) -> Action:
    if isinstance(action, Submit) and action.ticket.price is not None:
        return action._replace(ticket=action.ticket._replace(price=action.ticket.price | 1))
    if isinstance(action, Modify) and action.price is not None:
        return action._replace(price=action.price | 1)
    return action


def _single_orders(
    desk: Desk, kinds: Sequence[str], *, changes: float, post_only: float
) -> tuple[Action, ...]:
    random = desk.random
    actions: list[Action] = []
    sent: list[Ticket] = []
    for row in range(len(desk.rows) - 1):
        if random.random() < 0.35:
            kind = random.choice(kinds)
            options: dict[str, object] = {}
            if kind == "limit" and random.random() < post_only:
                options.update(post_only=True, force="gtc", expires=None)
            ticket = desk.ticket(row, kind, **options)
            sent.append(ticket)
            actions.append(Submit(row, ticket))
        if sent and random.random() < 0.3 * changes:
            ticket = random.choice(sent[-4:])
            if ticket.expires != row:
                actions.append(desk.change(row, ticket))
    return tuple(actions)


def delayed(seed: int, kinds: Sequence[str], steps: int) -> Scenario:
    """Return single orders that are on their way for so many steps, an odd number.

    Every quote is repeated a step later, and commands arrive with a repetition: the peer handles
    them after the data of that time.
    """
    plain = singles(seed, kinds)
    rows = tuple(row for row in plain.rows for _ in range(2))
    actions = tuple(action._replace(after=2 * action.after) for action in plain.actions)
    latency_ns = steps * plain.step_ns
    return replace(plain, rows=rows, actions=actions, latency_ns=latency_ns)


def windows(
    seed: int, kinds: Sequence[str], forces: Sequence[str] = ("gtc",), *, scarce_at: int = 0
) -> Scenario:
    """Return orders one after another, each alone with scarce sizes.

    Orders that take are to meet the scarce size of the row after which they come (`scarce_at` 0),
    and ample ones when they rest; stops are to meet scarce ones later (1). What is left of an order
    is cancelled before the next.
    """
    random = Random(seed)
    length = 6
    rows = tuple(
        row
        if (index % length > 0) is (scarce_at > 0)
        else row._replace(bid_size=ample(random), ask_size=ample(random))
        for index, row in enumerate(quotes(random, 10 * length, scarce))
    )
    desk = Desk(random, rows, 20, forces)
    actions: list[Action] = []
    for row in range(0, len(rows), length):
        ticket = desk.ticket(row, random.choice(kinds))
        if ticket.kind == "limit":
            ticket = ticket._replace(price=desk.market(row, ticket.side))
        actions += [Submit(row, ticket), Cancel(row + length - 1, ticket.name)]
    return Scenario(rows, tuple(actions), **FEES)


def bar_windows(seed: int, kinds: Sequence[str], *, adaptive: bool = False) -> Scenario:
    """Return orders on bars one after another, each alone with scarce volumes."""
    random = Random(seed)
    length = 4
    # Each volume once: the peer takes an equal price and size for what its orders have taken.
    volumes = iter(random.sample(range(4, 400, 4), 15 * length))
    rows = bars(random, 15 * length, lambda _: next(volumes))
    desk = Desk(random, rows, 20)
    actions: list[Action] = []
    for row in range(0, len(rows), length):
        ticket = desk.ticket(row, random.choice(kinds))
        ticket = ticket._replace(quantity=random.randint(1, 120))
        actions += [Submit(row, ticket), Cancel(row + length - 1, ticket.name)]
    return Scenario(rows, tuple(actions), adaptive=adaptive, **FEES)


def reductions(seed: int) -> Scenario:
    """Return a large position, and reduce-only orders that trade at once: some would enlarge it."""
    random = Random(seed)
    rows = quotes(random, 40)
    desk = Desk(random, rows, 5)
    actions: list[Action] = [Submit(0, desk.ticket(0, "market")._replace(quantity=50))]
    later = sorted(random.sample(range(1, 39), 9))
    actions += [Submit(row, desk.ticket(row, "market", reduce_only=True)) for row in later]
    return Scenario(rows, tuple(actions), **FEES)


def hedges(seed: int) -> Scenario:
    """Return positions side by side, each of which a later order closes, in part or whole."""
    random = Random(seed)
    rows = quotes(random, 40)
    desk = Desk(random, rows)
    actions: list[Action] = []
    opened: list[Ticket] = []
    for row in range(0, 38, 2):
        if opened and random.random() < 0.5:
            first = opened.pop(random.randrange(len(opened)))
            ticket = desk.ticket(row, random.choice(("market", "limit", "stop_market")))
            while ticket.side == first.side:
                ticket = desk.ticket(row, random.choice(("market", "limit", "stop_market")))
            quantity = random.randint(1, first.quantity)
            actions.append(Submit(row, ticket._replace(quantity=quantity, position=first.name)))
        else:
            opened.append(desk.ticket(row, "market"))
            actions.append(Submit(row, opened[-1]))
    return Scenario(rows, tuple(actions), hedging=True, **FEES)


def lists(
    seed: int, links: Sequence[str], *, size: Size = ample, on_bars: bool = False, **more: Any
) -> Scenario:
    """Return a scenario of one list of linked orders."""
    random = Random(seed)
    count = 30
    rows = bars(random, count, size) if on_bars else quotes(random, count, size)
    desk = Desk(random, rows)
    link = random.choice(links)
    draw = bracket if link == "bracket" else _pair
    actions = [SubmitList(2, link, draw(desk, 2))]
    return Scenario(rows, tuple(actions), **{**FEES, **more})


def bracket(desk: Desk, row: int) -> tuple[Ticket, ...]:
    random = desk.random
    kind = random.choice(("market", "limit", "stop_market"))
    entry = desk.ticket(row, kind)
    sign = 1 if entry.side == "buy" else -1
    here = desk.market(row, entry.side)
    if kind == "limit":
        here = here - sign * random.randint(1, 4)
        entry = entry._replace(price=here)
    elif kind == "stop_market":
        here = int(str(entry.trigger))
    other = "sell" if sign > 0 else "buy"
    stop = Ticket(
        f"{entry.name}s",
        "stop_market",
        other,
        entry.quantity,
        trigger=here - sign * random.randint(9, 14),
        reduce_only=True,
    )
    limit = Ticket(
        f"{entry.name}t",
        "limit",
        other,
        entry.quantity,
        price=here + sign * random.randint(4, 12),
        reduce_only=True,
    )
    return entry, stop, limit


def _pair(desk: Desk, row: int) -> tuple[Ticket, ...]:
    """Return a resting buy below and a stop buy above the market, or the same for a sale."""
    random = desk.random
    limit = desk.ticket(row, "limit")
    sign = 1 if limit.side == "buy" else -1
    here = desk.market(row, limit.side)
    limit = limit._replace(price=here - sign * random.randint(1, 8))
    stop = desk.ticket(row, "stop_market")
    stop = stop._replace(
        side=limit.side, quantity=limit.quantity, trigger=here + sign * random.randint(2, 8)
    )
    return limit, stop

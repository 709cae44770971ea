"""The fault trial: sessions of whole nodes at a venue in memory that misbehaves, in virtual time.

A session is a venue, a journal, and lives of a node that follow one another on them. Messages are
dropped, delayed, duplicated and reordered, requests and answers are lost or arrive late,
connections break or are half open, the venue restarts; others trade, and a hand places orders from
elsewhere. A life ends in order or abruptly: its journal closed with what was not committed lost,
also while it starts. Whenever things are calm again:

- No order is lost, and none was sent twice.
- No fill is lost or counted twice; position and balances are the venue's.
- No order is taken for dead because the venue is silent: what was sent and never came is *unknown*.
- No strategy was started before the venue had said what it holds.
- The journal says what the node knows.

Everything follows from the seed: `--seed 7` plays the same session again, byte for byte.

`python -m tests.trials.faults --full`, or `--seed 7`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.trials.fault_life import ACCOUNT, PAIR, Churn, Life
from tests.trials.fault_venue import Process
from tests.trials.folding import differs_from_its_journal
from workbench.model.enums import OrderSide, OrderType, TimeInForce
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId, StrategyId
from workbench.model.order_state import CLOSED
from workbench.model.reports import PositionReport
from workbench.node.journal import Journal
from workbench.runtime.virtual_time import START_NS, run_virtual
from workbench.venues import VenueRejectedError
from workbench.venues.fake import FakeOrder, FakeVenue, Faults

WHOLE = 1000
CALM = Faults()
ROUGH: dict[str, float] = {
    "lose_request": 0.06,
    "lose_answer": 0.06,
    "drop": 0.08,
    "duplicate": 0.1,
    "reorder": 0.2,
    "disconnect": 0.01,
    "arrive_late": 0.5,
}
MONEY = {"USDT": 1_000_000, "BTC": 1000}
ATTEMPTS = 3


class Session:
    """One session.

    Args:
        seed: What follows from it is everything.
        folder: For the journal.

    Attributes:
        differences: What was found to be wrong.
        counts: Of what happened.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.differences: list[str] = []
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._sent: Counter[ClientOrderId] = Counter()
        self._refused: set[ClientOrderId] = set()
        self._by_hand = 0
        self._told: list[str] = []
        self._logs: list[bytes] = []
        self._options: dict[str, Any] = {
            "answers": bool(seed % 3),
            "names_orders": bool(seed % 2),
        }
        loop = asyncio.get_running_loop()
        self.venue = FakeVenue(
            [PAIR],
            clock_ns=lambda: START_NS + round(loop.time() * 1e9),
            seed=seed,
            balances=MONEY,
        )
        self._price = 10_000
        self._move()

    @property
    def digest(self) -> bytes:
        """Return all that the nodes handled and derived, what strategies were told, and fills."""
        fills = [f"{one.trade_id} {one.quantity}" for one in self.venue.market.fills]
        return b"\n".join([*self._logs, *(one.encode() for one in (*self._told, *fills))])

    # Its course

    async def play(self) -> None:
        """Play it."""
        for _ in range(self.rng.randrange(2, 4)):
            for attempt in range(ATTEMPTS):
                is_calm = attempt == ATTEMPTS - 1 or self.rng.random() < 0.5
                self._calm() if is_calm else self.venue.set_faults(self._rough())
                if await self._live():
                    break
            else:
                self.differences.append("a node did not start though all was calm")
        self._calm()
        life = self._begin()
        if not await life.until_running():
            raise await life.failed()
        await self._check(life)
        await life.stop()
        self._over(life)

    def _rough(self) -> Faults:
        much = self.rng.choice([0.3, 1.0])
        return Faults(**{k: v * much for k, v in ROUGH.items()}, delay_s=0.3 * self.rng.random())

    def _calm(self) -> None:
        self.venue.set_faults(CALM)
        self.venue.freeze(is_frozen=False)

    def _begin(self) -> Life:
        self.counts["lives"] += 1
        process = Process(self._sent, self._refused)
        churn = self._churn = Churn(seed=self.rng.randrange(10**6))
        life = Life(self.venue, process, self._folder, churn, **self._options)
        churn.watch(life.note_start, lambda what: process.is_dead or self._told.append(what))
        life.begin()
        return life

    async def _live(self) -> bool:
        """Live once; return whether the node started."""
        life = self._begin()
        if self.rng.random() < 0.2:
            await asyncio.sleep(self.rng.random())
            if not life.is_over:
                return await self._kill(life)
        if not await life.until_running():
            error = await life.failed()
            self._told.append(f"failed: {error}")
            self.counts["failed starts"] += 1
            if life.has_started:
                self.differences.append(f"the strategy was started all the same: {error}")
            self._over(life)
            return False
        self.venue.set_faults(self._rough())
        for _ in range(self.rng.randrange(5, 20)):
            self._act()
            await asyncio.sleep(self.rng.random())
            if life.is_over:
                raise await life.failed()
        if self.rng.random() < 0.3:
            self._calm()
            await self._check(life)
        if self.rng.random() < 0.7:
            return await self._kill(life)
        await life.stop()
        self._over(life)
        return True

    async def _kill(self, life: Life) -> bool:
        await life.die()
        self.counts["abrupt ends"] += 1
        self._over(life)
        return True

    def _over(self, life: Life) -> None:
        self._logs.append(life.log)
        self.differences += self._amiss_in_the_journal()

    # What happens at the venue

    def _move(self) -> None:
        self._price += self.rng.randrange(-3, 4)
        self.venue.market.quote(PAIR.id, self._price / 100, (self._price + 2) / 100)

    def _act(self) -> None:
        market, rng = self.venue.market, self.rng
        self._move()
        what, resting = rng.random(), market.open_orders(ACCOUNT)
        if what < 0.3 and resting:
            placed = rng.choice(resting)
            left = placed.quantity - placed.filled
            part = left if rng.random() < 0.4 else min(left, Decimal("0.5"))
            market.fill(ACCOUNT, placed.order.client_order_id, part)
        elif what < 0.36:
            self._place_by_hand()
        elif what < 0.4 and resting:
            market.expire(ACCOUNT, rng.choice(resting).order.client_order_id)
        elif what < 0.44:
            market.reject_next("told to refuse")
        elif what < 0.56:
            self._break()

    def _break(self) -> None:
        step = self.rng.randrange(4)
        if step == 0:
            self.venue.break_connections()
        elif step == 1:
            self.venue.restart()
        else:
            self.venue.freeze(is_frozen=step == 2)
        self.counts["troubles"] += 1

    def _place_by_hand(self) -> None:
        """Let the account's owner place an order from elsewhere."""
        self._by_hand += 1
        now = self.venue.time_ns()
        order = OrderInitialized(
            strategy_id=StrategyId("BY-HAND"),
            instrument_id=PAIR.id,
            client_order_id=ClientOrderId(f"hand-{self._by_hand}"),
            side=self.rng.choice([OrderSide.BUY, OrderSide.SELL]),
            order_type=OrderType.LIMIT,
            quantity=Decimal(self.rng.randrange(1, 4)),
            price=PAIR.price(self._price / 100),
            time_in_force=TimeInForce.GTC,
            ts_event=now,
            ts_init=now,
        )
        with suppress(VenueRejectedError):
            self.venue.market.submit(ACCOUNT, order)
        self.counts["orders by hand"] += 1

    # What must hold

    async def _check(self, life: Life) -> None:
        """Compare, once nothing is open to question any more."""
        self._churn.may_act = False
        await life.until_quiet()
        self.counts["checks"] += 1
        self.differences += self._differing(life)

    def _differing(self, life: Life) -> Iterator[str]:
        node, market = life.node, self.venue.market
        cache = node.core.cache
        for (_, name), placed in market.orders.items():
            # One of elsewhere is known by the venue's id where fills come without ours.
            order = cache.order(name) or cache.order_at_venue(PAIR.id, placed.venue_order_id)
            yield from _order_differs(placed, order)
        yield from self._wrongly_settled(life)
        for name, count in (self._sent + Counter(market.submits)).items():
            if self._sent[name] > 1 or market.submits.get(name, 0) > 1:
                yield f"{name} was sent {count} times"
        fills = node.journal().state().fills
        here = Counter((f.trade_id, f.quantity, f.price, f.commission) for f in fills)
        there = Counter((f.trade_id, f.quantity, f.price, f.commission) for f in market.fills)
        if here != there:
            yield f"fills lost: {dict(there - here)}, too many: {dict(here - there)}"
        held = sum((p.signed_quantity for p in market.position_reports(ACCOUNT)), Decimal(0))
        if cache.net_quantity(PAIR.id) != held:
            yield f"position {cache.net_quantity(PAIR.id)} here, {held} at the venue"
        account = cache.account(ACCOUNT)
        balances = {} if account is None else {b.currency: b.total for b in account.balances}
        if balances != market.balances(ACCOUNT):
            yield f"balances {balances} here, {market.balances(ACCOUNT)} at the venue"
        yield from differs_from_its_journal(node)
        yield from (f"refused: {event}: {why}" for event, why in node.refused_events)
        for report, why in node.core.execution.unreconciled:
            # A position may differ while a fill has not been asked for yet.
            if not isinstance(report, PositionReport):
                yield f"{type(report).__name__} does not fit: {why}"

    def _wrongly_settled(self, life: Life) -> Iterator[str]:
        """Yield orders that are not at the venue and not what they should be then."""
        unknown, market = life.node.unknown_orders, self.venue.market
        for name in unknown:
            order = life.node.core.cache.order(name)
            if order is None or order.is_closed:
                yield f"{name} is called unknown, and is {order and order.status.value}"
        at_venue = {placed.venue_order_id for placed in market.orders.values()}
        for order in life.node.core.cache.orders():
            name = order.client_order_id
            if (ACCOUNT, name) in market.orders or order.venue_order_id in at_venue:
                continue
            if order.filled_quantity:
                yield f"{name}: {order.filled_quantity} filled of what is not at the venue"
            elif self._sent[name] and name not in self._refused:
                if name not in unknown:
                    yield f"{name} was sent and never came: {order.status.value}, {order.reason}"
            elif not order.is_closed and name not in unknown:
                # One that died just before sending is unknown: its journal cannot tell.
                yield f"{name} was not sent, or refused: {order.status.value}"

    def _amiss_in_the_journal(self) -> Iterator[str]:
        """Yield what is missing in the journal between two lives, or too much."""
        state = Journal.read_only(self._folder / "journal.sqlite", is_checked=False).state()
        missing = sorted(set(self._sent) - state.client_order_ids)
        if missing:
            yield f"sent, and not in the journal: {missing}"
        trades = Counter(fill.trade_id for fill in state.fills)
        known = Counter(fill.trade_id for fill in self.venue.market.fills)
        if trades - known:
            yield f"fills in the journal that never were: {dict(trades - known)}"


def _order_differs(placed: FakeOrder, order: Any) -> Iterator[str]:
    name = placed.order.client_order_id
    if order is None:
        is_of_no_effect = name.startswith("hand-") and placed.status in CLOSED and not placed.filled
        if not is_of_no_effect:
            yield f"{name} is lost: {placed.status.value} at the venue"
        return
    there = placed.status, placed.filled, placed.quantity, placed.price
    here = order.status, order.filled_quantity, order.quantity, order.price
    if placed.status in CLOSED:  # what an order that ended was to be like does not matter
        there, here = there[:2], here[:2]
        if name.startswith("hand-") and order.is_closed:
            # Of one that came and ended unheard only the fills can be known.
            there, here = there[1:], here[1:]
    if there != here:
        yield f"{name}: {there} at the venue, {here} here"


def play(seed: int) -> Session:
    """Play the session of a seed and return it."""

    async def main() -> Session:
        with tempfile.TemporaryDirectory() as folder:
            session = Session(seed, Path(folder))
            await session.play()
            return session

    return run_virtual(main())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="only this one, in place of the first ones")
    parser.add_argument("--sessions", type=int, default=WHOLE // 10, help="default: %(default)s")
    parser.add_argument("--full", action="store_true", help=f"{WHOLE} sessions")
    parser.add_argument("--log", action="store_true", help="show the log, and what breaks one off")
    given = parser.parse_args()
    logging.disable(logging.NOTSET if given.log else logging.CRITICAL)
    seeds = range(WHOLE if given.full else given.sessions) if given.seed is None else [given.seed]
    began, counts, failed = time.monotonic(), Counter[str](), list[int]()
    for seed in seeds:
        differences, digest = found(seed, counts, breaks_off=given.log)
        if differences:
            failed.append(seed)
            print(f"seed {seed}: {'; '.join(differences)}", flush=True)
        elif given.seed is not None:
            print(f"seed {seed}: {digest}")
    told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    took_s = time.monotonic() - began
    print(f"{len(seeds):,} sessions: {told}; {took_s:.0f} s")
    print(f"with differences: {failed or 'none'}")
    sys.exit(bool(failed))


def found(seed: int, counts: Counter[str], *, breaks_off: bool = False) -> tuple[list[str], str]:
    """Return what is amiss in a session, and the digest of all that happened in it.

    Args:
        seed: Which.
        counts: Takes what happened.
        breaks_off: Whether an exception comes out, rather than being told.
    """
    try:
        session = play(seed)
    except Exception as error:
        if breaks_off:
            raise
        return [f"it was broken off by {type(error).__name__}: {error}"], ""
    market = session.venue.market
    counts.update(session.counts, orders=len(market.orders), fills=len(market.fills))
    return session.differences, hashlib.sha256(session.digest).hexdigest()


if __name__ == "__main__":
    main()

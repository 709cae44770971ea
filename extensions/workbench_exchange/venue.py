"""The exchange without its sockets: accounts, orders and what becomes of them.

Everything is synchronous and deterministic. A caller runs one command (or one step of the market),
then `commit`, which writes what changed and hands on what happened; only after that anybody is told
of it. An order in the book is in `workbench.sim.order_book`, where it meets those of the market and
of other accounts; an account's own orders never trade with each other: the one that rested expires.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

from workbench.model.enums import OrderSide
from workbench.model.errors import ConfigError
from workbench.model.money import ZERO
from workbench.sim.order_book import BookOrder
from workbench_exchange import reports
from workbench_exchange.config import UNIT, ExchangeConfig, Listing
from workbench_exchange.orders import TRIGGERED, Fill, Force, Kind, NewOrder, Order, Status
from workbench_exchange.pair import Pair
from workbench_exchange.refusals import RefusalError, insufficient, rejected, unknown_symbol
from workbench_exchange.store import Changes, Counter, Key, Store
from workbench_exchange.wallet import Balance, Wallet

_UPDATES_A_START = 10**12
_MARKETS = frozenset({Kind.MARKET, Kind.STOP_LOSS, Kind.TAKE_PROFIT})


class UserEvent(NamedTuple):
    """What an account is told on its stream."""

    account: str
    payload: dict[str, Any]


class Venue:
    """All accounts and symbols.

    Args:
        config: What is listed and who has an account; an account that the store knows keeps its
            balances and keys.
        store: Where everything is remembered.
        now_ms: The exchange's time.

    Attributes:
        pairs: By symbol.
        wallets: By account.
        keys: By account.
        orders: Every order ever, by number.
        tell: Takes the events of a command once it is committed.
    """

    def __init__(self, config: ExchangeConfig, store: Store, now_ms: Callable[[], int]) -> None:
        self.config = config
        self.store = store
        self.now_ms = now_ms
        self.tell: Callable[[list[UserEvent]], None] = lambda _: None
        facts = store.facts()
        start = int(facts.get("starts", "0")) + 1
        self._facts: dict[str, str] = {"starts": str(start)}
        self._counters: dict[str, Counter] = {}
        self._order_ids = self._counter(facts, "orders")
        self._execution_ids = self._counter(facts, "executions")
        self.pairs = {
            listing.symbol: Pair(
                listing,
                self._counter(facts, f"trades:{listing.symbol}"),
                self._counter(facts, f"aggregates:{listing.symbol}"),
                int(facts.get(f"last:{listing.symbol}", "0")),
                start * _UPDATES_A_START,
            )
            for listing in config.listings
        }
        self._quote_count = 0
        self._last_kept: dict[str, int] = {}
        self._dirty: dict[int, Order] = {}
        self._new_fills: list[Fill] = []
        self._events: list[UserEvent] = []
        self._by_client: dict[tuple[str, str, str], Order] = {}
        self.open: dict[str, dict[int, Order]] = {}
        self.orders: dict[int, Order] = {}
        self.orders_of: dict[tuple[str, str], list[Order]] = {}
        self.fills: dict[tuple[str, str], list[Fill]] = {}
        self.fills_of_order: dict[int, list[Fill]] = {}
        self._check_listings(facts)
        self._open_accounts()
        self._load()
        self.commit()

    @staticmethod
    def _start_of(facts: dict[str, str], name: str) -> int:
        return int(facts.get(f"ids:{name}", "1"))

    def _counter(self, facts: dict[str, str], name: str) -> Counter:
        counter = self._counters[name] = Counter(self._start_of(facts, name))
        return counter

    def _check_listings(self, facts: dict[str, str]) -> None:
        for symbol, pair in self.pairs.items():
            grid = f"{pair.listing.tick} {pair.listing.step}"
            known = facts.get(f"grid:{symbol}", grid)
            if known != grid:
                raise ConfigError(
                    f"{self.store.path} counts {symbol} in tick and step {known}; its listing has"
                    f" {grid}: list it as before, or begin with another file"
                )
            self._facts[f"grid:{symbol}"] = grid

    def _open_accounts(self) -> None:
        known = self.store.keys()
        for name, amounts in self.config.accounts.items():
            if name not in known:
                key = Key(secrets.token_hex(32), secrets.token_hex(32))
                balances = {asset: Balance(free) for asset, free in amounts.items()}
                self.store.add_account(name, key, balances)
        self.keys = self.store.keys()
        self.account_of_key = {key.api_key: name for name, key in self.keys.items()}
        balances, updated = self.store.balances(), self.store.updated_ms()
        self.wallets = {
            name: Wallet(balances.get(name, {}), updated.get(name, 0)) for name in self.keys
        }

    def _load(self) -> None:
        """Take up what the store holds: open orders are in the book again, oldest first."""
        for order in self.store.orders():
            self._keep(order)
            pair = self.pairs.get(order.symbol)
            if not order.is_open:
                continue
            if pair is None:
                raise ConfigError(
                    f"{self.store.path} holds open orders in {order.symbol}, which is not listed:"
                    " list it too"
                )
            if order.is_working:
                pair.book.add(_resting(order))
            else:
                pair.stops.add(order)
        for fill in self.store.fills():
            self._keep_fill(fill)

    def _keep(self, order: Order) -> None:
        self.orders[order.number] = order
        self.orders_of.setdefault((order.owner, order.symbol), []).append(order)
        self._by_client[order.owner, order.symbol, order.client_id] = order
        if order.is_open:
            self.open.setdefault(order.owner, {})[order.number] = order

    def _keep_fill(self, fill: Fill) -> None:
        self.fills.setdefault((fill.owner, fill.symbol), []).append(fill)
        self.fills_of_order.setdefault(fill.order, []).append(fill)

    # What is asked

    def pair(self, symbol: str) -> Pair:
        """Return a listed symbol.

        Raises:
            RefusalError: If it is not listed.
        """
        pair = self.pairs.get(symbol)
        if pair is None:
            raise unknown_symbol()
        return pair

    def find(self, owner: str, symbol: str, number: int | None, client_id: str) -> Order | None:
        """Return an order by the exchange's id, else by the client's; None if there is none."""
        if number is None:
            return self._by_client.get((owner, symbol, client_id))
        order = self.orders.get(number)
        is_meant = order is not None and (order.owner, order.symbol) == (owner, symbol)
        return order if is_meant else None

    def next_client_id(self) -> str:
        """Return a client's id for an order that came without one."""
        return f"auto-{self._execution_ids.next()}"

    # Commands

    def check(self, owner: str, pair: Pair, new: NewOrder) -> tuple[int, Decimal]:
        """Return how many lots a new order is for, and what it locks.

        Raises:
            RefusalError: If it would not be taken now, with the reason.
        """
        named = self._by_client.get((owner, pair.symbol, new.client_id))
        if named is not None and named.is_open:
            raise rejected("Duplicate order sent.")
        mine, most = self.open.get(owner, {}), self.config.limits.max_open_orders
        if len(mine) >= most and sum(one.symbol == pair.symbol for one in mine.values()) >= most:
            raise RefusalError(-1013, "Filter failure: MAX_NUM_ORDERS")
        if new.kind is Kind.LIMIT_MAKER and pair.reach("", new.side, limit=new.ticks, lots=1).lots:
            raise rejected("Order would immediately match and take.")
        if new.stop_ticks and pair.last_ticks and _is_reached(new, pair.last_ticks):
            raise rejected("Stop price would trigger immediately.")
        asset = _locked_asset(pair.listing, new.side)
        lots, lock = self._price_of(owner, pair, new)
        if lock > self.wallets[owner].free(asset):
            raise insufficient()
        return lots, lock

    def _price_of(self, owner: str, pair: Pair, new: NewOrder) -> tuple[int, Decimal]:
        listing = pair.listing
        lots, limit = new.lots, new.ticks or new.stop_ticks
        if limit:
            amount = limit * lots
        else:
            budget = None if new.budget is None else int(new.budget // listing.worth)
            found = pair.reach(owner, new.side, lots=lots or None, budget=budget)
            lots, amount = lots or found.lots, found.amount
        is_buy = new.side is OrderSide.BUY
        return lots, listing.worth * amount if is_buy else listing.quantity(lots)

    def place(self, owner: str, pair: Pair, new: NewOrder) -> Order:
        """Take a new order and let it trade.

        Raises:
            RefusalError: If it is not taken.
        """
        lots, lock = self.check(owner, pair, new)
        now = self.now_ms()
        order = Order(
            number=self._order_ids.next(),
            owner=owner,
            symbol=pair.symbol,
            client_id=new.client_id,
            side=new.side,
            kind=new.kind,
            force=new.force,
            lots=lots,
            ticks=new.ticks,
            stop_ticks=new.stop_ticks,
            budget=new.budget,
            created_ms=now,
            updated_ms=now,
            is_working=new.kind not in TRIGGERED,
            working_ms=-1 if new.kind in TRIGGERED else now,
        )
        self._relock(order, lock)
        self._keep(order)
        self._report(order, "NEW")
        if order.is_working:
            self._work(pair, order)
            self.settle(pair)
        else:
            pair.stops.add(order)
        return order

    def cancel(self, order: Order, cancel_id: str) -> None:
        """Cancel an open order.

        Raises:
            RefusalError: If it is over.
        """
        if not order.is_open:
            raise RefusalError(-2011, "Unknown order sent.")
        pair = self.pair(order.symbol)
        pair.book.cancel(order.number)
        pair.stops.discard(order)
        self._end(order, Status.CANCELED, cancel_id)

    # What the market does

    def quote(self, pair: Pair, side: OrderSide, ticks: int, lots: int) -> int:
        """Let the market offer; return the order's number. What it crosses, it trades with."""
        self._quote_count -= 1
        matched = self._match(pair, "", side, lots, ticks)
        left = lots - sum(part for _, part, _ in matched)
        if left:
            pair.book.add(BookOrder(self._quote_count, "", side, ticks, left))
        return self._quote_count

    def trade(self, pair: Pair, side: OrderSide, lots: int, limit: int | None = None) -> None:
        """Let somebody without an account take."""
        self._match(pair, "", side, lots, limit)

    def settle(self, pair: Pair) -> None:
        """Let the stops that the last price reaches work, and what those reach."""
        while pair.last_ticks:
            reached = pair.stops.take_reached(pair.last_ticks)
            if not reached:
                return
            for order in reached:
                if order.is_open:
                    self._activate(pair, order)

    def _activate(self, pair: Pair, order: Order) -> None:
        order.is_working = True
        order.working_ms = order.updated_ms = self.now_ms()
        self._report(order, "NEW")
        self._work(pair, order)

    def _work(self, pair: Pair, order: Order) -> None:
        """Let an order take, then rest or end."""
        limit = order.ticks or None
        lots = order.left
        if order.kind in _MARKETS and order.side is OrderSide.BUY:
            lots = self._affordable(pair, order)
        found = pair.reach(order.owner, order.side, lots=lots, limit=limit).lots
        if order.force is not Force.FOK or found >= lots:
            for number, part, ticks in self._match(pair, order.owner, order.side, lots, limit):
                self._fill(pair, order, number, ticks, part, is_maker=False)
        if order.left == 0 and order.done:
            self._end(order, Status.FILLED)
        elif order.kind in _MARKETS or order.force is not Force.GTC:
            self._end(order, Status.EXPIRED)
        else:
            pair.book.add(_resting(order))

    def _affordable(self, pair: Pair, order: Order) -> int:
        """Lock what a market order to buy will pay, and return how many lots that is."""
        free = self.wallets[order.owner].free(pair.listing.quote)
        budget = int((order.locked + free) // pair.listing.worth)
        found = pair.reach(order.owner, order.side, lots=order.left, budget=budget)
        self._relock(order, pair.listing.worth * found.amount)
        return found.lots

    def _match(
        self, pair: Pair, owner: str, side: OrderSide, lots: int, limit: int | None
    ) -> list[tuple[int, int, int]]:
        """Trade with the book; return (trade id, lots, ticks) of each, makers already told."""
        taken = pair.book.take(owner, side, lots=lots, limit=limit)
        for maker in taken.prevented:
            self._end(self.orders[maker.number], Status.EXPIRED_IN_MATCH)
        matches = taken.matches
        if not matches:
            return []
        parts = [(match.maker.ticks, match.lots) for match in matches]
        numbers = pair.traded(side, parts, self.now_ms())
        for number, match in zip(numbers, matches, strict=True):
            if match.maker.owner:
                order = self.orders[match.maker.number]
                self._fill(pair, order, number, order.ticks, match.lots, is_maker=True)
                if order.left == 0:
                    self._end(order, Status.FILLED)
        return [(number, part, ticks) for number, (ticks, part) in zip(numbers, parts, strict=True)]

    # What becomes of an order

    def _fill(
        self, pair: Pair, order: Order, number: int, ticks: int, lots: int, *, is_maker: bool
    ) -> None:
        listing, wallet = pair.listing, self.wallets[order.owner]
        quantity, paid = listing.quantity(lots), listing.worth * ticks * lots
        is_buyer = order.side is OrderSide.BUY
        spent, received = (paid, quantity) if is_buyer else (quantity, paid)
        asset = listing.base if is_buyer else listing.quote
        rate = self.config.maker_fee if is_maker else self.config.taker_fee
        fee = (received * rate).quantize(UNIT, ROUND_DOWN)
        wallet.spend(listing.quote if is_buyer else listing.base, spent)
        wallet.receive(asset, received - fee)
        order.locked -= spent
        order.done += lots
        order.paid += paid
        order.updated_ms = self.now_ms()
        is_whole = order.left == 0
        order.status = Status.FILLED if is_whole else Status.PARTIALLY_FILLED
        if is_buyer and order.is_priced:
            # It may have paid less than its limit.
            self._relock(order, listing.worth * order.ticks * order.left)
        fill = Fill(
            number=number,
            order=order.number,
            owner=order.owner,
            symbol=order.symbol,
            price=listing.price(ticks),
            quantity=quantity,
            paid=paid,
            fee=fee,
            fee_asset=asset,
            at_ms=order.updated_ms,
            is_buyer=is_buyer,
            is_maker=is_maker,
        )
        self._keep_fill(fill)
        self._new_fills.append(fill)
        self._report(order, "TRADE", fill)

    def _end(self, order: Order, status: Status, cancel_id: str = "") -> None:
        self._relock(order, ZERO)
        order.status = status
        order.updated_ms = self.now_ms()
        self.open[order.owner].pop(order.number, None)
        self._dirty[order.number] = order
        if status is not Status.FILLED:
            what = "TRADE_PREVENTION" if status is Status.EXPIRED_IN_MATCH else status.value
            self._report(order, what, cancel_id=cancel_id)

    def _relock(self, order: Order, amount: Decimal) -> None:
        """Keep so much of the account for an order, no more and no less."""
        asset = _locked_asset(self.pairs[order.symbol].listing, order.side)
        self.wallets[order.owner].lock(asset, amount - order.locked)
        order.locked = amount

    def _report(
        self, order: Order, what: str, fill: Fill | None = None, cancel_id: str = ""
    ) -> None:
        self._dirty[order.number] = order
        listing = self.pairs[order.symbol].listing
        execution = self._execution_ids.next()
        payload = reports.execution(order, listing, what, self.now_ms(), execution, fill, cancel_id)
        self._events.append(UserEvent(order.owner, payload))

    # What is remembered

    def commit(self) -> None:
        """Write what has changed, then hand on what happened."""
        now = self.now_ms()
        moved = {name: wallet for name, wallet in self.wallets.items() if wallet.touched}
        for name, wallet in moved.items():
            wallet.updated_ms = now
            assets = {asset: wallet.balances[asset] for asset in wallet.touched}
            self._events.append(UserEvent(name, reports.account_position(assets, now)))
        if moved:
            # Not at every trade of the market: it goes on near where it was.
            for pair in self.pairs.values():
                if self._last_kept.get(pair.symbol) != pair.last_ticks:
                    self._last_kept[pair.symbol] = pair.last_ticks
                    self._facts[f"last:{pair.symbol}"] = str(pair.last_ticks)
        for name, counter in self._counters.items():
            if counter.is_due:
                self._facts[f"ids:{name}"] = str(counter.reserved)
                counter.is_due = False
        if self._dirty or self._new_fills or moved or self._facts:
            self.store.commit(
                Changes(
                    orders=self._dirty.values(),
                    fills=self._new_fills,
                    balances=[
                        (name, asset, wallet.balances[asset])
                        for name, wallet in moved.items()
                        for asset in wallet.touched
                    ],
                    updated=[(name, now) for name in moved],
                    facts=list(self._facts.items()),
                )
            )
        for wallet in moved.values():
            wallet.touched.clear()
        self._dirty, self._new_fills, self._facts = {}, [], {}
        events, self._events = self._events, []
        self.tell(events)


def _resting(order: Order) -> BookOrder:
    return BookOrder(order.number, order.owner, order.side, order.ticks, order.left)


def _locked_asset(listing: Listing, side: OrderSide) -> str:
    return listing.quote if side is OrderSide.BUY else listing.base


def _is_reached(new: NewOrder, ticks: int) -> bool:
    """Return whether a stop's trigger is reached already when it comes."""
    is_stop = new.kind in (Kind.STOP_LOSS, Kind.STOP_LOSS_LIMIT)
    rises = is_stop is (new.side is OrderSide.BUY)
    return ticks >= new.stop_ticks if rises else ticks <= new.stop_ticks

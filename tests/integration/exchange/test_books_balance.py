"""Whatever is asked of the exchange, its books balance, and its file holds them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aiohttp", reason="aiohttp is not installed; the extra `exchange` brings it")

from workbench_exchange.config import ExchangeConfig, as_accounts, as_listings
from workbench_exchange.orders import Kind, Status, read_order
from workbench_exchange.refusals import RefusalError
from workbench_exchange.store import Store
from workbench_exchange.venue import UserEvent, Venue

from workbench.model.enums import OrderSide

SYMBOL = "BTCUSDT"
CONFIG = ExchangeConfig(
    listings=as_listings(["BTC/USDT"]),
    accounts=as_accounts({name: {"BTC": "3", "USDT": "300"} for name in ("a", "b")}),
    maker_fee=Decimal("0.0007"),
    taker_fee=Decimal("0.0013"),
)
STEPS = 60


def some_order(source: Random) -> dict[str, str]:
    """Return an order that has a chance of meeting another."""
    price = f"{source.choice((99, 99.99, 100, 100.01, 101)):.2f}"
    return {
        "symbol": SYMBOL,
        "side": source.choice(("BUY", "SELL")),
        "type": source.choice((*("LIMIT", "MARKET") * 3, *(kind.value for kind in Kind))),
        "timeInForce": source.choice(("GTC", "GTC", "GTC", "IOC", "FOK")),
        "quantity": source.choice(("0.1", "0.33333", "0.9", "2")),
        "price": price,
        "stopPrice": source.choice(("98", "99", "100", "101", "102")),
        "quoteOrderQty": source.choice(("", "", "10", "77.7")),
    }


def some_steps(source: Random) -> Iterator[tuple[str, Any, Any]]:
    """Go through what happens: orders mostly, and a market around 100."""
    for _ in range(STEPS):
        what = source.choices(("place", "quote", "trade", "cancel", "restart"), (8, 4, 2, 2, 1))[0]
        if what == "place":
            yield what, source.choice("ab"), some_order(source)
        elif what == "cancel":
            yield what, source.choice("ab"), source.randrange(6)
        else:
            side = source.choice(list(OrderSide))
            ticks = 10_000 - side.sign * source.randrange(-50, 250)
            yield what, side, (ticks, source.randrange(1, 150_000))


_NEEDED = {
    Kind.LIMIT: {"timeInForce", "price"},
    Kind.LIMIT_MAKER: {"price"},
    Kind.MARKET: set(),
    Kind.STOP_LOSS: {"stopPrice"},
    Kind.TAKE_PROFIT: {"stopPrice"},
    Kind.STOP_LOSS_LIMIT: {"timeInForce", "price", "stopPrice"},
    Kind.TAKE_PROFIT_LIMIT: {"timeInForce", "price", "stopPrice"},
}


def asked(order: dict[str, str]) -> dict[str, str]:
    """Return the parameters that belong to an order's type."""
    kind = Kind(order["type"])
    kept = {"symbol", "side", "type", "quantity"} | _NEEDED[kind]
    if kind is Kind.MARKET and order["quoteOrderQty"]:
        kept = {"symbol", "side", "type", "quoteOrderQty"}
    return {name: value for name, value in order.items() if name in kept}


class World:
    """A venue, the money that came from or went to the market, and what accounts were told."""

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "state.sqlite"
        self.told: list[UserEvent] = []
        self.now = 1_700_000_000_000
        self.count = 0
        self.begin()

    def begin(self) -> None:
        self.store = Store(self.path)
        self.venue = Venue(CONFIG, self.store, lambda: self.now)
        self.venue.tell = self.told.extend

    def do(self, what: str, who: Any, details: Any) -> None:
        self.now += 1
        self.count += 1
        venue, pair = self.venue, self.venue.pair(SYMBOL)
        if what == "place":
            try:
                new = read_order(asked(details), pair.listing, f"id-{self.count}")
                venue.place(who, pair, new)
            except RefusalError:
                pass
        elif what == "cancel":
            mine = list(venue.open.get(who, {}).values())
            if mine:
                venue.cancel(mine[details % len(mine)], "bye")
        elif what == "restart":
            self.store.close()
            self.begin()
        elif what == "quote":
            venue.quote(pair, who, *details)
            venue.settle(pair)
        else:
            venue.trade(pair, who, details[1])
            venue.settle(pair)
        venue.commit()

    def check(self) -> None:
        venue = self.venue
        for name, wallet in venue.wallets.items():
            mine = [one for one in venue.orders.values() if one.owner == name]
            fills = venue.fills.get((name, SYMBOL), [])
            expected = {"BTC": Decimal(3), "USDT": Decimal(300)}
            for fill in fills:
                sign = 1 if fill.is_buyer else -1
                expected["BTC"] += sign * fill.quantity
                expected["USDT"] -= sign * fill.paid
                expected[fill.fee_asset] -= fill.fee
            kept = {"BTC": Decimal(0), "USDT": Decimal(0)}
            for order in mine:
                self.check_order(order, fills)
                kept["USDT" if order.side is OrderSide.BUY else "BTC"] += order.locked
            for asset, balance in wallet.balances.items():
                assert balance.free >= 0
                assert balance.locked == kept[asset]
                assert balance.free + balance.locked == expected[asset]

    def check_order(self, order: Any, fills: list[Any]) -> None:
        pair = self.venue.pair(SYMBOL)
        its = [fill for fill in fills if fill.order == order.number]
        assert sum(fill.quantity for fill in its) == pair.listing.quantity(order.done)
        assert sum(fill.paid for fill in its) == order.paid
        assert (order.status is Status.FILLED) is (order.done > 0 and order.left == 0)
        if order.is_priced:
            limit = pair.listing.price(order.ticks)
            assert all((fill.price - limit) * order.side.sign <= 0 for fill in its)
        is_waiting = any(stop is order for stop in pair.stops)
        assert (order.number in pair.book or is_waiting) is order.is_open
        assert order.locked == self.needed(order)

    def needed(self, order: Any) -> Decimal:
        """Return what an order must keep of its account, no more and no less."""
        listing = self.venue.pair(SYMBOL).listing
        if not order.is_open:
            return Decimal(0)
        if order.side is OrderSide.SELL:
            return listing.quantity(order.left)
        return listing.worth * (order.ticks or order.stop_ticks) * order.left

    def remembered(self) -> Any:
        return msgspec.to_builtins(
            [
                self.store.balances(),
                self.store.orders(),
                sorted(self.store.fills(), key=lambda fill: (fill.number, fill.is_maker)),
            ]
        )

    def known(self) -> Any:
        fills = [fill for rows in self.venue.fills.values() for fill in rows]
        return msgspec.to_builtins(
            [
                {name: wallet.balances for name, wallet in self.venue.wallets.items()},
                list(self.venue.orders.values()),
                sorted(fills, key=lambda fill: (fill.number, fill.is_maker)),
            ]
        )


@given(st.integers(0, 2**32))
def test_balances_fills_locks_and_the_file_agree_after_every_step(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder)
        for step in some_steps(Random(seed)):
            world.do(*step)
            world.check()
            assert world.remembered() == world.known()
        executed = {name: Decimal(0) for name in ("a", "b")}
        for account, event in world.told:
            if event["e"] == "executionReport":
                executed[account] += Decimal(event["l"])
        for name, quantity in executed.items():
            fills = world.venue.fills.get((name, SYMBOL), [])
            assert quantity == sum(fill.quantity for fill in fills)
        numbers = [event["I"] for _, event in world.told if event["e"] == "executionReport"]
        assert len(numbers) == len(set(numbers))
        world.store.close()

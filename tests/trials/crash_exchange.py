"""The exchange of the crash trial: a process of its own that may be told where to die.

It is told by its standard input, a line of JSON at a time, answers each on its standard output, and
stops in order at the end of the input:

`{"moves": true}` lets the market move, `{"point": NAME, "nth": 3}` says where to die, `{"point":
null}` takes that back, `{"books": true}` asks what it holds.

`python -m tests.trials.crash_exchange '{"folder": ..., "seed": 1, "port": 0}'`
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from workbench_exchange import LocalExchange, RandomMarket
from workbench_exchange.desk import Desk
from workbench_exchange.sockets import Connection
from workbench_exchange.store import Store
from workbench_exchange.venue import Venue

from tests.trials.dying import Place, arm

OWNER, PAIR = "a", "BTCUSDT"
MONEY = {"BTC": 100, "USDT": 10_000_000}
STEP_S = 0.02
POINTS: dict[str, Place] = {
    "the exchange, before a request": Place(Desk, "carry_out", "before", 60),
    "the exchange, with a request carried out and not answered": Place(
        Desk, "carry_out", "after", 60
    ),
    "the exchange, before it takes an order": Place(Venue, "place", "before", 12),
    "the exchange, in the middle of a fill": Place(Venue, "_fill", "after", 10),
    "the exchange, before it remembers": Place(Store, "commit", "before", 40),
    "the exchange, with something remembered and not told": Place(Store, "commit", "after", 40),
    "the exchange, before it sends a message": Place(Connection, "send", "before", 300),
}
"""Where the exchange may end."""

STATUS = {
    "NEW": "accepted",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "canceled",
    "EXPIRED": "expired",
    "EXPIRED_IN_MATCH": "expired",
}


def note_orders(path: Path) -> None:
    """Write down the client's id of each order that comes, before anything is done with it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    place = Venue.place

    def noted(self: Venue, owner: str, pair: Any, new: Any) -> Any:
        os.write(descriptor, f"{new.client_id}\n".encode())
        return place(self, owner, pair, new)

    Venue.place = noted


def books(venue: Venue) -> dict[str, Any]:
    """Return what the exchange holds."""
    listing = venue.pairs[PAIR].listing
    fills = venue.fills.get((OWNER, PAIR), [])
    return {
        "orders": [
            [order.client_id, STATUS[order.status.value], str(listing.quantity(order.done))]
            for order in venue.orders_of.get((OWNER, PAIR), [])
        ],
        "trades": [str(fill.number) for fill in fills],
        "position": str(sum(_gained(fill, listing.base) for fill in fills)),
        "balances": {
            asset: str(balance.free + balance.locked)
            for asset, balance in venue.wallets[OWNER].balances.items()
        },
    }


def _gained(fill: Any, base: str) -> Any:
    """Return what a fill added to the account: less its fee, where that was taken in kind."""
    taken = fill.fee if fill.fee_asset == base else 0
    return (fill.quantity if fill.is_buyer else -fill.quantity) - taken


class Mover:
    """Moves the market while it may, on a thread of its own.

    Args:
        exchange: Whose.

    Attributes:
        may: Set while it may.
    """

    def __init__(self, exchange: LocalExchange) -> None:
        self.may = threading.Event()
        self._exchange = exchange
        self._over = threading.Event()
        self._held = threading.Lock()
        self._thread = threading.Thread(target=self._move, name="mover", daemon=True)
        self._thread.start()

    def _move(self) -> None:
        while not self._over.wait(STEP_S):
            with self._held:
                if self.may.is_set():
                    self._exchange.advance(1)

    def let(self, *, moves: bool) -> None:
        """Let it move, or return once it stands still."""
        with self._held:
            if moves:
                self.may.set()
            else:
                self.may.clear()

    def end(self) -> None:
        """Move no more."""
        self._over.set()
        self._thread.join()


def main(given: dict[str, Any]) -> None:
    folder = Path(given["folder"])
    note_orders(folder / "placed")
    exchange = LocalExchange(
        ["BTC/USDT"],
        accounts={OWNER: MONEY},
        market=RandomMarket(given["seed"]),
        is_paced=False,
        port=given["port"],
        file=folder / "exchange.sqlite",
    )
    with exchange:
        exchange.advance(5)
        mover = Mover(exchange)
        key = exchange.keys[OWNER]
        say({"url": exchange.addresses.rest, "port": exchange.port, "key": list(key)})
        disarm = None
        for line in sys.stdin:
            order = json.loads(line)
            answer: dict[str, Any] = {}
            if "moves" in order:
                mover.let(moves=order["moves"])
            if "point" in order:
                if disarm is not None:
                    disarm()
                    disarm = None
                if order["point"] is not None:
                    disarm = arm(POINTS[order["point"]], order["nth"])
            if "books" in order:

                async def look() -> dict[str, Any]:
                    return books(exchange.venue)

                answer = exchange.run(look())
            say(answer)
        mover.end()


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

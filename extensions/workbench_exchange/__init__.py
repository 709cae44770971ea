"""A spot exchange on loopback, for demonstrations and tests, that speaks a real venue's protocol.

It speaks the part of Binance's spot REST, market-stream and WS-API protocol that ccxt,
python-binance and binance-sdk-spot use, so clients that nobody here wrote can trade at it. Its
market is seeded random flow or the replay of a file; it remembers orders, fills and balances in a
file; and it misbehaves on demand.

In a notebook or a test:

    exchange = LocalExchange(seed=7, file="exchange.sqlite").start()
    key = exchange.keys["trader"]            # .api_key, .api_secret
    exchange.addresses                       # where REST, streams and WS-API are
    exchange.inject("lose_reply", "order.place")
    exchange.stop()

From a shell: `workbench exchange --port 0 --file exchange.sqlite`.

How to build on this
--------------------
- ccxt: `urls["api"]["public" | "private" | "v1"]` is `addresses.rest + "/api/v3"`,
  `urls["api"]["ws"]["spot"]` is `addresses.streams + "/ws"`, and
  `urls["api"]["ws"]["ws-api"]["spot"]` is `addresses.requests`.
- `async with LocalExchange(...)` shares the loop of a test; `start()` has a thread of its own,
  which is what a kernel whose cells block needs.
- For tests without chance: `market=QuietMarket()` and a second account as counterparty
  (`accounts={"a": {...}, "b": {...}}`), or `is_paced=False` and `exchange.advance(steps)`.
- Layers, from the inside: `venue` (orders, accounts; synchronous, committed by `store`), `desk`
  (checks, limits, faults), `operations` (one table for REST and sockets), `hub` and `sockets` (who
  hears what), `server` (HTTP), `exchange` (life, threads, control).
- Another process commands it with `POST /control`, the token as bearer, such as
  `{"do": "inject", "action": "drop", "kind": "executionReport", "count": 3}`.
"""

from workbench_exchange.config import Limits, Listing
from workbench_exchange.exchange import Addresses, LocalExchange
from workbench_exchange.faults import Action
from workbench_exchange.market import Market, QuietMarket, RandomMarket, ReplayMarket
from workbench_exchange.store import Key

__all__ = [
    "Action",
    "Addresses",
    "Key",
    "Limits",
    "Listing",
    "LocalExchange",
    "Market",
    "QuietMarket",
    "RandomMarket",
    "ReplayMarket",
]

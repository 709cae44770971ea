"""Any exchange of ccxt as a venue: market data and orders, by the contract of `workbench.venues`.

    wb.venues()["ccxt"]      # what it can do; its extra is `ccxt`

Options of both endpoint classes are those of `Place` (`exchange="binance"`, `market="spot"`,
`sandbox=True`, ...); `brokerd` also takes `rate_limits`. Symbols are ccxt's: `BTC/USDT.BINANCE` at
spot, `BTC/USDT:USDT.BINANCE` for a perpetual.

ccxt has hazards that this package is built around; each has a test.

- Its message handlers end a stream for good at one exception: every frame is guarded, and what
  could not be read is asked for.
- Its watchers return what is left of a cache when they wake: nothing is read from caches, each
  parsed trade, fill and order is taken as it is put into them (`workbench_ccxt.tapping`).
- It notices a half-open connection late: every socket is pinged, and has seconds to answer.
- It reconnects by itself and tells nobody: here the first error ends the connection, the sink is
  told, and the next `connect` is a new object of ccxt.
- Its numbers are floats by default: here they are texts, and become `Decimal`.

How to build on this. `session` keeps one object of ccxt; `datad` and `brokerd` are thin; what
ccxt's values mean is in pure functions: `markets`, `orders`, `failures`, `client_ids`, `history`.
This package imports ccxt at `connect` only.
"""

from workbench_ccxt.place import Place
from workbench_ccxt.plugin import PLUGIN

__all__ = ["PLUGIN", "Place"]

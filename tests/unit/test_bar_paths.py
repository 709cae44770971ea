"""Orders that one move within a bar reaches: each is met exactly at its own price."""

from __future__ import annotations

from typing import Any

import workbench as wb
from workbench.model.data import Bar, BarType

PAIR = wb.CurrencyPair.define("AUD/USD.SIM", price_increment="0.01")
BARS = BarType.parse(f"{PAIR.id}-1-minute-last")


class BothWays(wb.Strategy):
    """Sells at three stops on the way down, and buys at a touch below them."""

    def on_start(self) -> None:
        self.subscribe_bars(BARS)

    def on_bar(self, bar: Any) -> None:
        if self.cache.orders():
            return
        for trigger in ("0.98", "0.96", "0.94"):
            self.submit_order(self.orders.stop_market(PAIR.id, "sell", 1, trigger))
        self.submit_order(self.orders.market_if_touched(PAIR.id, "buy", 1, "0.93"))


def test_each_order_of_either_side_is_met_at_its_price_however_many_are_met_before() -> None:
    bars = [
        Bar(BARS, 1.0, 1.0, low, close, None, time, time)
        for low, close, time in ((1.0, 1.0, 60_000_000_000), (0.90, 0.92, 120_000_000_000))
    ]
    result = wb.backtest(BothWays(), bars, instrument=PAIR, progress=False)
    assert [str(price) for price in result.fills["price"]] == ["0.98", "0.96", "0.94", "0.93"]

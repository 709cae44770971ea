"""One life of a live node that is killed at a point which its arguments name; its own process.

`python -m tests.trials.crash_life '{"folder": ..., "url": ..., "seed": 1, "point": ..., "nth": 3}'`
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

from workbench_ccxt import PLUGIN
from workbench_ccxt.brokerd import CcxtBrokerd

import workbench as wb
from workbench.node.journal import Journal
from workbench.node.journaling import AccountJournal, Journaling
from workbench.node.reconciliation import Reconciliation
from workbench.venues import ExecutionSettings, VenueExecutionClient

ACCOUNT, PAIR = "TRIAL-001", "BTC/USDT.BINANCE"
POINTS: dict[str, tuple[type, str, str]] = {
    "before a record is appended": (Journal, "append", "before"),
    "after a record was appended": (Journal, "append", "after"),
    "before a request is durable": (AccountJournal, "durable", "before"),
    "after a request was durable": (AccountJournal, "durable", "after"),
    "before an order is sent": (CcxtBrokerd, "submit", "before"),
    "while an order is on its way": (CcxtBrokerd, "submit", "meanwhile"),
    "after an order was acknowledged": (CcxtBrokerd, "submit", "after"),
    "before a cancel is sent": (CcxtBrokerd, "cancel", "before"),
    "after a cancel was acknowledged": (CcxtBrokerd, "cancel", "after"),
    "before a report is taken": (VenueExecutionClient, "_take", "before"),
    "after a report was taken": (VenueExecutionClient, "_take", "after"),
    "before a run begins": (Journaling, "begin", "before"),
    "while reconciling": (Reconciliation, "_apply", "after"),
}
"""Where a life may end: a method, and whether before, after or during its nth call."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, nth: int, delay_s: float) -> None:
    """Let this process die at the nth time that it comes to a point."""
    owner, name, when = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)
    count = 0

    def is_due() -> bool:
        nonlocal count
        count += 1
        return count == nth

    @functools.wraps(original)  # the contract is checked by signature
    async def awaited(*arguments: Any, **more: Any) -> Any:
        due = is_due()
        if due and when == "before":
            die()
        if due and when == "meanwhile":
            asyncio.get_running_loop().call_later(delay_s, die)
        result = await original(*arguments, **more)
        if due and when == "after":
            die()
        return result

    @functools.wraps(original)
    def called(*arguments: Any, **more: Any) -> Any:
        due = is_due()
        if due and when == "before":
            die()
        result = original(*arguments, **more)
        if due and when == "after":
            die()
        return result

    setattr(owner, name, awaited if asyncio.iscoroutinefunction(original) else called)


class Churn(wb.Strategy):
    """Sends and cancels orders as a seed says, some with every quote, so many in a life."""

    external_order_claims = (PAIR,)
    seed: int = 1
    actions: int = 0

    def on_start(self) -> None:
        self.rng = random.Random(self.seed)
        self.left = self.actions
        self.subscribe_quotes(PAIR)

    def on_quote(self, quote: wb.Quote) -> None:
        if not self.left:
            return
        self.left -= 1
        rng, mine = self.rng, self.cache.orders_open()
        what, side = rng.random(), rng.choice(["buy", "sell"])
        if what < 0.3 and mine:
            self.cancel_order(rng.choice(mine))
        elif what < 0.6:
            self.submit_order(self.orders.market(PAIR, side, "0.01"))
        else:
            instrument = self.cache.require_instrument(PAIR)
            away = rng.choice([-0.0002, 0.0001, 0.0005])
            price = quote.bid * (1 - away) if side == "buy" else quote.ask * (1 + away)
            self.submit_order(self.orders.limit(PAIR, side, "0.02", instrument.price(price)))


def books(node: wb.TradingNode) -> dict[str, Any]:
    """Return what the node knows, for comparison."""
    cache = node.core.cache
    state = cache.account(ACCOUNT)
    assert state is not None
    return {
        "orders": {
            order.client_order_id: [order.status.value, str(order.filled_quantity)]
            for order in cache.orders()
        },
        "position": str(cache.net_quantity(PAIR)),
        "balances": {b.currency.code: str(b.total) for b in state.balances},
        "fills": len(node.journal().state().fills),
        "trades": [f.trade_id for f in node.journal().state().fills],
        "unknown": list(node.unknown_orders),
    }


def main(given: dict[str, Any]) -> None:
    if given.get("point"):
        arm(given["point"], given["nth"], given["delay_s"])
    is_last = bool(given.get("is_last"))
    account = wb.VenueAccount(
        PLUGIN,
        ACCOUNT,
        instruments=[PAIR],
        settings=ExecutionSettings(check_interval_s=1.0),
        exchange="binance",
        base_url=given["url"],
    )
    limits = wb.RiskLimits(max_order_quantity=1, max_position=50, max_loss_per_day="900_000 USDT")
    config = wb.TradingNodeConfig(
        journal="default", data_folder=given["folder"], stall_threshold_s=60
    )
    (pair,) = asyncio.run(account.data().instruments(PAIR))
    churn = Churn(seed=given["seed"], actions=0 if is_last else given["actions"])
    node = wb.live(churn, venue=account, instrument=pair, limits=limits, config=config)

    async def live() -> None:
        node.build()
        task = asyncio.create_task(node.run_async())
        while node.phase != "running" and not task.done():
            await asyncio.sleep(0.01)
        print("running", flush=True)
        while not task.done():
            cache = node.core.cache
            waits = node.core.is_awaiting and set(node.unknown_orders) != {
                order.client_order_id for order in cache.orders_in_flight()
            }
            if not churn.left and not waits and not is_last:
                break
            if is_last and not waits:
                break
            await asyncio.sleep(0.02)
        if is_last and not task.done():
            await asyncio.sleep(2.5)  # two regular checks
            print(json.dumps(books(node)), flush=True)
        if not task.done():
            await node.stop_async()
        await task

    asyncio.run(live())
    node.dispose()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

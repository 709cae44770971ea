"""One life of a live node that is killed at a point which its arguments name; its own process.

It says what it knows, a line of JSON, as soon as it has started and nothing is open to question;
then it waits for the file `go` before its strategy acts.

`python -m tests.trials.crash_life '{"folder": ..., "url": ..., "seed": 1, "point": ..., "nth": 3}'`
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any

from workbench_ccxt import PLUGIN
from workbench_ccxt.brokerd import CcxtBrokerd

import workbench as wb
from tests.trials.dying import Place, arm
from tests.trials.folding import differs_from_its_journal
from workbench.node.journal import Journal
from workbench.node.journaling import AccountJournal, Journaling
from workbench.node.reconciliation import Reconciliation
from workbench.venues import (
    ExecutionSettings,
    InquirySettings,
    LinkSettings,
    VenueExecutionClient,
)

ACCOUNT, PAIR = "TRIAL-001", "BTC/USDT.BINANCE"
POINTS: dict[str, Place] = {
    "before a record is appended": Place(Journal, "append", "before", 400),
    "after a record was appended": Place(Journal, "append", "after", 400),
    "before a request is durable": Place(AccountJournal, "durable", "before", 15),
    "after a request was durable": Place(AccountJournal, "durable", "after", 15),
    "before an order is sent": Place(CcxtBrokerd, "submit", "before", 12),
    "while an order is on its way": Place(CcxtBrokerd, "submit", "meanwhile", 12),
    "after an order was acknowledged": Place(CcxtBrokerd, "submit", "after", 12),
    "before a cancel is sent": Place(CcxtBrokerd, "cancel", "before", 5),
    "while a cancel is on its way": Place(CcxtBrokerd, "cancel", "meanwhile", 5),
    "after a cancel was acknowledged": Place(CcxtBrokerd, "cancel", "after", 5),
    "before a report is taken": Place(VenueExecutionClient, "_take", "before", 60),
    "after a report was taken": Place(VenueExecutionClient, "_take", "after", 60),
    "before a run begins": Place(Journaling, "begin", "before", 1),
    "after a run began": Place(Journaling, "begin", "after", 1),
    "reconciling, while the venue is asked": Place(
        VenueExecutionClient, "venue_state", "meanwhile", 1
    ),
    "reconciling, before reports are applied": Place(Reconciliation, "_apply", "before", 1),
    "reconciling, after reports were applied": Place(Reconciliation, "_apply", "after", 1),
    "reconciling, after all was compared": Place(Reconciliation, "compare", "after", 1),
    "while everything is asked for again": Place(VenueExecutionClient, "refresh", "meanwhile", 2),
}
"""Where a life may end."""

PATIENCE_S = 60.0
"""For a machine that is busy with something else: how fast it is decides nothing."""

SETTINGS = ExecutionSettings(
    check_interval_s=1.0,
    # Short, so that a life in which a request was lost is over soon.
    inquiry=InquirySettings(first_wait_s=0.3, wait_s=0.4),
    link=LinkSettings(connect_timeout_s=PATIENCE_S),
)


class Churn(wb.Strategy):
    """Sends and cancels orders as a seed says, some with every quote, so many in a life."""

    external_order_claims = (PAIR,)
    seed: int = 1
    left: int = 0

    def on_start(self) -> None:
        self.rng = random.Random(self.seed)
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
    cache, state = node.core.cache, node.journal().state()
    account = cache.account(ACCOUNT)
    assert account is not None
    return {
        "orders": {
            order.client_order_id: [order.status.value, str(order.filled_quantity)]
            for order in cache.orders()
        },
        "position": str(cache.net_quantity(PAIR)),
        "balances": {b.currency.code: str(b.total) for b in account.balances},
        "trades": [str(fill.trade_id) for fill in state.fills],
        "unknown": list(node.unknown_orders),
        "unlike its journal": differs_from_its_journal(node),
    }


async def until_settled(node: wb.TradingNode, churn: Churn, task: asyncio.Task[None]) -> bool:
    """Wait until nothing is left to do, nor open to question; return whether the node runs."""
    while not task.done():
        in_flight = {order.client_order_id for order in node.core.cache.orders_in_flight()}
        is_asked = node.core.is_awaiting and set(node.unknown_orders) != in_flight
        if not churn.left and not is_asked:
            return True
        await asyncio.sleep(0.02)
    return False


async def live(node: wb.TradingNode, churn: Churn, given: dict[str, Any]) -> None:
    node.build()
    task = asyncio.create_task(node.run_async())
    while node.phase != "running" and not task.done():
        await asyncio.sleep(0.01)
    if await until_settled(node, churn, task):
        print(json.dumps(books(node)), flush=True)
        while not Path(given["go"]).exists() and not task.done():
            await asyncio.sleep(0.02)
        churn.left = given["actions"]
    if await until_settled(node, churn, task):
        await asyncio.sleep(given["lasts_s"])
        if given["lasts_s"]:
            print(json.dumps(books(node)), flush=True)
        await node.stop_async()
    await task


def main(given: dict[str, Any]) -> None:
    if given.get("point"):
        arm(POINTS[given["point"]], given["nth"], given["delay_s"])
    account = wb.VenueAccount(
        PLUGIN,
        ACCOUNT,
        instruments=[PAIR],
        settings=SETTINGS,
        exchange="binance",
        base_url=given["url"],
    )
    limits = wb.RiskLimits(max_order_quantity=1, max_position=50, max_loss_per_day="900_000 USDT")
    config = wb.TradingNodeConfig(
        journal="default",
        data_folder=given["folder"],
        stall_threshold_s=PATIENCE_S,
        timeout_connection_s=PATIENCE_S,
        timeout_reconciliation_s=PATIENCE_S,
    )
    data = account.data(settings=SETTINGS.link)
    (pair,) = asyncio.run(data.instruments(PAIR))
    churn = Churn(seed=given["seed"])
    node = wb.live(churn, venue=account, data=data, instrument=pair, limits=limits, config=config)
    asyncio.run(live(node, churn, given))
    node.dispose()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

"""Whether what a node holds in memory is what its journal says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import workbench as wb
from workbench.engines.cache import Cache


def differs_from_its_journal(node: wb.TradingNode) -> list[str]:
    """Return what differs between a node's cache and the fold of its journal; empty for nothing."""
    here, folded = _facts(node.core.cache), _facts(node.journal().state().cache)
    names: Iterable[Any] = sorted({*here, *folded})
    return [
        f"{name}: {here.get(name)} here, {folded.get(name)} in the journal"
        for name in names
        if here.get(name) != folded.get(name)
    ]


def _facts(cache: Cache) -> dict[str, str]:
    """Return what a cache knows of orders, positions and accounts, each by its name."""
    found: dict[str, str] = {}
    for order in cache.orders():
        found[f"order {order.client_order_id}"] = (
            f"{order.status.value}, {order.quantity} @ {order.price}, {order.filled_quantity}"
            f" filled @ {order.average_price}, {order.venue_order_id}, {list(order.trade_ids)}"
        )
    for position in cache.positions():
        found[f"position {position.position_id}"] = (
            f"{position.signed_quantity} @ {position.average_open},"
            f" {position.realized_pnl} realised"
        )
    for account in cache.accounts():
        balances = {one.currency.code: one.total for one in account.balances}
        found[f"account {account.account_id}"] = str(balances)
    return found

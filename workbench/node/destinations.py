"""Where the orders of a node's strategies go: to which account, real or simulated."""

from __future__ import annotations

from contextlib import suppress

from workbench.engines.clients import ExecutionClient
from workbench.model.identifiers import AccountId, StrategyId, Venue
from workbench.node.left_open import left_at
from workbench.node.snapshots import DestinationRow
from workbench.trading.actor import Actor
from workbench.trading.core import TradingCore
from workbench.trading.strategy import Strategy

_LOOKS = 10


def destinations(core: TradingCore, actor: Actor) -> tuple[DestinationRow, ...]:
    """Return where the orders of a strategy go, venue by venue; nothing for a mere actor.

    Real accounts follow at which it has something open though its orders go elsewhere: an order
    that reduces it may still go there. It may be asked for from any thread.
    """
    if not isinstance(actor, Strategy) or not actor.component_id:
        return ()
    strategy_id = StrategyId(actor.component_id)
    clients = core.execution.clients
    first: dict[Venue, ExecutionClient] = {}
    for client in clients:
        first.setdefault(client.venue, client)
    real = _real(clients)
    routes = core.routes.all()
    found: list[DestinationRow] = []
    for venue, client in first.items():
        route = routes.get((strategy_id, venue))
        account_id = client.account_id
        if route is not None and route.account_id is not None:
            account_id = route.account_id
        found.append(
            DestinationRow(
                venue=venue,
                account_id=account_id,
                is_live=account_id in real,
                refusal="" if route is None else route.reason,
            )
        )
    ways = {one.account_id for one in found}
    others = {one.account_id: one for one in clients if one.account_id not in ways}
    for account_id in real:
        left = _left(core, strategy_id, account_id) if account_id in others else ()
        if left:
            venue = others[account_id].venue
            row = DestinationRow(venue=venue, account_id=account_id, is_live=True, left=left)
            found.append(row)
    return tuple(found)


def _left(core: TradingCore, strategy_id: StrategyId, account_id: AccountId) -> tuple[str, ...]:
    for _ in range(_LOOKS):
        # The node's own thread may file an order at this very moment.
        with suppress(RuntimeError):
            return tuple(left_at(core.cache, strategy_id, account_id))
    return ("what cannot be read while it changes so fast",)


def real_accounts(core: TradingCore) -> list[AccountId]:
    """Return the accounts at real venues, in the order their clients were added."""
    return _real(core.execution.clients)


def _real(clients: list[ExecutionClient]) -> list[AccountId]:
    return list(dict.fromkeys(one.account_id for one in clients if not one.is_simulated))

"""Where a strategy's orders go: the account that gets what names none, and who may trade which.

Without routes an order goes to the first execution client of its instrument's venue. A route sends
those of one strategy at one venue to another account. An account that is guarded takes orders from
the strategies alone that have a route to it, also where a strategy names it. What reduces a
position may always go where the position is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from workbench.model.events import OrderInitialized
from workbench.model.identifiers import AccountId, StrategyId, Venue, venue_of
from workbench.model.orders import Order

_Order = Order | OrderInitialized


class Route(NamedTuple):
    """Where orders go, or why they go nowhere.

    Attributes:
        account_id: The account; None for that of the venue's first client.
        code: Of the denial, empty where orders may go there.
        reason: Of the denial.
    """

    account_id: AccountId | None
    code: str = ""
    reason: str = ""


class Routes:
    """The routes of one core.

    Args:
        account_of_client: Tells which account a client trades for, None for an unknown one.

    Attributes:
        guarded: The accounts that no strategy trades without a route.
    """

    def __init__(self, account_of_client: Callable[[str], AccountId | None]) -> None:
        self._account_of_client = account_of_client
        self.guarded: set[AccountId] = set()
        self._routes: dict[tuple[StrategyId, Venue], Route] = {}

    def set(self, strategy_id: StrategyId, venue: Venue, account_id: AccountId) -> None:
        """Send what a strategy trades at a venue to an account from now on."""
        self._routes[strategy_id, venue] = Route(account_id)

    def refuse(self, strategy_id: StrategyId, code: str, reason: str) -> None:
        """Let nothing of a strategy leave on its routes until they are set again."""
        for key, route in self._routes.items():
            if key[0] == strategy_id:
                self._routes[key] = route._replace(code=code, reason=reason)

    def clear(self, strategy_id: StrategyId, venue: Venue) -> None:
        """Send what a strategy trades at a venue to the venue's first client again."""
        self._routes.pop((strategy_id, venue), None)

    def account_of(self, strategy_id: str, venue: str) -> AccountId | None:
        """Return the account that a route leads to, None without one."""
        route = self._routes.get((StrategyId(strategy_id), Venue(venue)))
        return None if route is None else route.account_id

    def all(self) -> dict[tuple[StrategyId, Venue], Route]:
        """Return every route."""
        return dict(self._routes)

    def find(
        self, orders: Sequence[_Order], client_id: str | None, account_id: str | None
    ) -> Route:
        """Return where orders go together that name this client or account, or neither of them."""
        named = None if account_id is None else AccountId(account_id)
        if not self._routes and not self.guarded:
            return Route(named)
        order = orders[0]  # they are of one strategy and one instrument
        route = self._routes.get((order.strategy_id, venue_of(order.instrument_id)))
        if client_id is None and named is None:
            return Route(None) if route is None else _passed(route, orders)
        target = named if client_id is None else self._account_of_client(client_id)
        if route is not None and route.account_id == target:
            return _passed(route, orders)._replace(account_id=named)
        if target in self.guarded and not _reduce(orders):
            reason = (
                f"{order.strategy_id} is not promoted to account {target}; node.promote(...) does"
            )
            return Route(named, "NOT_PROMOTED", reason)
        return Route(named)


def _passed(route: Route, orders: Sequence[_Order]) -> Route:
    """Let what reduces a position go on a route that is refused."""
    return Route(route.account_id) if _reduce(orders) else route


def _reduce(orders: Sequence[_Order]) -> bool:
    return all(order.reduce_only for order in orders)

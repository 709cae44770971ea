"""What an earlier run of a node held on our side, and how it is held again.

A trigger that is watched here is watched by nobody while no node runs. When one runs again, what
was held is held as it has become, with the links there were: what the market has reached meanwhile
is released at the first price that shows it, what was filled, cancelled or expired at the venue has
its effect on what is linked to it. What cannot be held any more is cancelled, with the reason.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient
from workbench.engines.contingency import Contingencies
from workbench.engines.emulation_needs import EmulationNeeds, is_taken_apart, trigger_type
from workbench.engines.held_orders import Held, Stage, held_again, make_held, of_list
from workbench.engines.risk.submits import Submit, orders_of
from workbench.engines.shared_holdings import SharedHoldings
from workbench.engines.triggers import at_any_price
from workbench.model.commands import SubmitOrder
from workbench.model.enums import OrderStatus, TriggerType
from workbench.model.identifiers import ClientOrderId, StrategyId
from workbench.model.orders import Order

_HELD = (OrderStatus.EMULATED, OrderStatus.RELEASED)


class Unheld(msgspec.Struct, frozen=True):
    """An order that was held and cannot be any more, and why."""

    order: Order
    reason: str


class _Group(msgspec.Struct, frozen=True):
    """What came with one command: its orders, and what of them is watched here."""

    client: ExecutionClient
    orders: tuple[SubmitOrder, ...]
    watched: dict[ClientOrderId, TriggerType]
    rivals: dict[ClientOrderId, tuple[ClientOrderId, ...]]


class Resumption:
    """Holds again what was held.

    Args:
        cache: What is known.
        needs: Knows the clients that commands are for.
        links: Follows again what was followed.
        shares: Knows what of a list waits for the sake of others.

    Attributes:
        has_links: Whether anything of a list that was taken apart is followed again.
    """

    def __init__(
        self, cache: Cache, needs: EmulationNeeds, links: Contingencies, shares: SharedHoldings
    ) -> None:
        self.has_links = False
        self._cache = cache
        self._needs = needs
        self._links = links
        self._shares = shares
        self._commands: list[Submit] = []

    def remember(self, commands: Iterable[Submit]) -> None:
        """Keep the commands of earlier runs that brought what is not over, each order's first."""
        known: set[ClientOrderId] = set()
        for command in commands:
            names = [order.client_order_id for order in orders_of(command)]
            if not known.isdisjoint(names):
                continue  # what was released went before risk again
            known.update(names)
            orders = [self._cache.order(name) for name in names]
            if any(order is not None and not order.is_closed for order in orders):
                self._commands.append(command)

    def again(
        self, strategies: Container[StrategyId], held: Container[ClientOrderId]
    ) -> Iterator[Held | Unheld]:
        """Yield what is to be held again, in the order it came, and what cannot be.

        The links are followed again; what follows from them is still to be settled.

        Args:
            strategies: Whose orders may be held.
            held: Which are held by now.
        """
        commands, self._commands = self._commands, []
        seen: set[ClientOrderId] = set()
        for command in commands:
            group = self._group(command)
            if group is None:
                continue
            for single in group.orders:
                order = self._cache.order(single.client_order_id)
                if order is None or order.status not in _HELD:
                    continue
                seen.add(order.client_order_id)
                reason = self._refusal(order, single, group, strategies)
                yield Unheld(order, reason) if reason else self._held(order, single, group)
        for order in self._cache.orders_emulated():
            if order.client_order_id not in seen and order.client_order_id not in held:
                reason = "it was held here, and its client is gone or would be given it now"
                yield Unheld(order, reason)

    def _group(self, command: Submit) -> _Group | None:
        client = self._needs.client(command)
        if client is None:
            return None
        if isinstance(command, SubmitOrder):
            by = trigger_type(command.order, client.capabilities)
            watched = {} if by is None else {command.client_order_id: by}
            return _Group(client, (command,), watched, {})
        orders = command.orders
        if not is_taken_apart(orders, client.capabilities):
            return None
        definitions = {one.client_order_id: one for one in orders}
        known = ((name, self._cache.order(name)) for name in definitions)
        self._links.restore(
            definitions, {name: order for name, order in known if order is not None}
        )
        self.has_links = True
        return _Group(
            client,
            tuple(of_list(command, one) for one in orders),
            self._shares.watched(client, orders),
            {one.client_order_id: self._shares.rivals(client, one, orders) for one in orders},
        )

    def _refusal(
        self, order: Order, single: SubmitOrder, group: _Group, strategies: Container[StrategyId]
    ) -> str:
        if order.strategy_id not in strategies:
            return f"it was held here for {order.strategy_id}, which does not run any more"
        missing = group.client.capabilities.missing(single.order)
        if missing:
            return f"its client has not what it needs any more: {missing}"
        by = group.watched.get(order.client_order_id)
        if by is None and order.client_order_id not in self._links:
            return "it waited for what it would close, and the node ended before it could leave"
        return self._needs.refusal(single.order, group.client.capabilities, by)

    def _held(self, order: Order, single: SubmitOrder, group: _Group) -> Held:
        name = order.client_order_id
        by = group.watched.get(name)
        held = make_held(
            single,
            self._cache.require_instrument(order.instrument_id),
            0,
            by,
            () if by is None else group.rivals.get(name, ()),
            waits=by is None or self._links.is_held(name),
        )
        held_again(held, order)
        if order.status is OrderStatus.RELEASED:
            # It goes before risk, which must know a price: at the first there is.
            held.watch, held.stage = at_any_price(order.side), Stage.WATCHED
        elif held.rivals and self._is_alone(held, single, group):
            held.watch = None
            if not self._links.is_held(name):
                held.stage = Stage.RELEASING
        return held

    def _is_alone(self, held: Held, single: SubmitOrder, group: _Group) -> bool:
        """Return whether an order waited only for the sake of others, and these are over."""
        if trigger_type(single.order, group.client.capabilities) is not None:
            return False
        rivals = [self._cache.order(name) for name in held.rivals]
        return all(order is None or order.is_closed for order in rivals)

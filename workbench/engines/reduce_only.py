"""Reduce-only, kept on our side for clients that have no such orders.

Orders leave for such a client as plain ones; here they stay reduce-only, and this keeps them so:

- What a strategy's reduce-only orders of one side could trade in one account and instrument is
  never more than its position there. Orders linked to each other (OCO, OUO) count once, with the
  largest of them; children whose parent has not filled, and what is being cancelled, count nothing.
  What would be more is denied with the code `REDUCE_ONLY`. An order that trades at once (a market
  order, IOC, FOK) counts only beside others that do: what rests is cut back when it fills.
- When a position becomes smaller, what rests beyond it is cut back at once, newest first: given
  another quantity where that can be done, else cancelled.

In the time that takes, what was cut back may fill at the venue: a position can then turn. Of
linked orders that is as little likely as that both fill within that time; it is reported, as any
contingency that came too late.

Where every client has reduce-only orders nothing here is ever called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from workbench.engines.cache import Cache
from workbench.engines.clients import ExecutionClient
from workbench.model.commands import ModifyOrder
from workbench.model.enums import (
    ContingencyType,
    OrderManagement,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from workbench.model.events import (
    OrderAccepted,
    OrderCancelRejected,
    OrderDenied,
    OrderEmulated,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderUpdated,
    about,
)
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
)
from workbench.model.money import ZERO
from workbench.model.orders import Order

_SIBLINGS = (ContingencyType.OCO, ContingencyType.OUO)
_AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
_AUCTIONS = (TimeInForce.AT_THE_OPEN, TimeInForce.AT_THE_CLOSE)
_HERE = (OrderStatus.EMULATED, OrderStatus.RELEASED)
_WAITS = (OrderStatus.INITIALIZED, OrderStatus.EMULATED)
_GROWS = (OrderEmulated, OrderAccepted, OrderUpdated, OrderCancelRejected)
"""After which a reduce-only order may be more than it was taken for."""

_REASON = "it only reduces, and less is held than it would trade"


@dataclass(frozen=True)
class ReduceOnlyActions:
    """How orders are cut back, at once.

    Attributes:
        leaves: Return what an order has left to trade once what was asked for has been done.
        end: End an order, with the reason.
        resize: Give an order another quantity (its total, what is filled included), with the
            reason.
    """

    leaves: Callable[[Order], Decimal]
    end: Callable[[ClientOrderId, str], None]
    resize: Callable[[ClientOrderId, Decimal, str], None]


class ReduceOnlyKeeper:
    """Denies reduce-only orders that would be too many, and cuts back those that rest.

    Args:
        cache: What is known.
        client_of: Returns the client that has an order, or would get it.
        actions: How to act.
    """

    def __init__(
        self,
        cache: Cache,
        client_of: Callable[[Order], ExecutionClient | None],
        actions: ReduceOnlyActions,
    ) -> None:
        self._cache = cache
        self._client_of = client_of
        self._actions = actions
        self._leaves = actions.leaves

    # Before they leave

    def denials(
        self, client: ExecutionClient, orders: Sequence[OrderInitialized], now_ns: int
    ) -> list[OrderDenied]:
        """Return what denies the orders of one command that would be too many: all, or none.

        Args:
            client: Which they are for; it has no reduce-only orders.
            orders: One, or those of a list.
            now_ns: For the denials.
        """
        before: list[Order] = []
        for order in orders:
            kept = self._cache.order(order.client_order_id)
            if kept is None or not order.reduce_only or self._waits(kept):
                continue
            position_id = position_of(self._cache, client, order)
            reason = self._reason(client, kept, order.quantity, before, position_id)
            if reason:
                return [_denied(one, order, reason, now_ns) for one in orders]
            before.append(kept)
        return []

    def rejection(self, command: ModifyOrder, now_ns: int) -> OrderModifyRejected | None:
        """Return what refuses a change to more than an open order may have; None if it may."""
        order, quantity = self._cache.order(command.client_order_id), command.quantity
        if order is None or quantity is None or not (order.reduce_only and order.is_open):
            return None
        client = self._lacking(order)
        if client is None or quantity <= order.quantity:
            return None
        reason = self._reason(client, order, quantity - order.filled_quantity, ())
        if not reason:
            return None
        return OrderModifyRejected(code="REDUCE_ONLY", reason=reason, **about(command, now_ns))

    def _reason(
        self,
        client: ExecutionClient,
        order: Order,
        quantity: Decimal,
        before: Iterable[Order],
        position_id: PositionId | None = None,
    ) -> str:
        """Return why an order may not trade a quantity beside what works; "" where it may."""
        position_id = position_id or self._position_of(client, order)
        at_once = _trades_at_once(order)
        others = {
            one.client_order_id: one
            for one in (*self._working(client, order.instrument_id, order.strategy_id), *before)
            if one.side is order.side
            and one.client_order_id != order.client_order_id
            and self._position_of(client, one) == position_id
            and (_trades_at_once(one) or not at_once)
        }
        beside = ZERO
        for group in linked([*others.values(), order]):
            most = self._largest(one for one in group if one is not order)
            # Of those it is linked to only one can fill: what is larger counts in its place.
            beside += max(ZERO, most - quantity) if group[-1] is order else most
        room = self._room(client, order, position_id)
        if beside + quantity <= room:
            return ""
        return (
            f"a reduce-only {order.side.value} of {quantity}, beside {beside} of others, is more"
            f" than the {room} there is to reduce in account {client.account_id}. Its venue has no"
            " reduce-only orders: they must not add up to more, but linked ones (bracket, oco,"
            " ouo) count once"
        )

    # While they work

    def adopt(self) -> bool:
        """Cut back what an earlier run left; return whether it left anything that only reduces."""
        left = [
            order
            for order in self._cache.orders_open()
            if order.reduce_only and self._lacking(order) is not None
        ]
        for order in left:
            self._keep(order)
        return bool(left)

    def on_event(self, event: OrderEvent) -> None:
        """Cut back what an event has left beyond its position; told after it was applied."""
        order = self._cache.order(event.client_order_id)
        if order is not None and (
            isinstance(event, OrderFilled) or (order.reduce_only and isinstance(event, _GROWS))
        ):
            self._keep(order)

    def _keep(self, order: Order) -> None:
        client = self._lacking(order)
        if client is None:
            return
        beyond = self._beyond(client, order.instrument_id, order.strategy_id)
        for one, left in beyond:
            self._cut(client, one, left)

    def _cut(self, client: ExecutionClient, order: Order, left: Decimal) -> None:
        instrument = self._cache.require_instrument(order.instrument_id)
        left = instrument.quantity(left)
        can_change = client.capabilities.amend or order.status in _HERE
        if not left or not can_change or left < (instrument.min_quantity or ZERO):
            self._actions.end(order.client_order_id, _REASON)
        else:
            self._actions.resize(order.client_order_id, order.filled_quantity + left, _REASON)

    def _beyond(
        self, client: ExecutionClient, instrument_id: InstrumentId, strategy_id: StrategyId
    ) -> list[tuple[Order, Decimal]]:
        """Return the orders that rest beyond their position, and what each may have left."""
        piles: dict[tuple[OrderSide, PositionId | None], list[Order]] = {}
        for order in self._working(client, instrument_id, strategy_id):
            if not _trades_at_once(order):
                key = order.side, self._position_of(client, order)
                piles.setdefault(key, []).append(order)
        found: list[tuple[Order, Decimal]] = []
        for (_, position_id), pile in piles.items():
            groups = linked(pile)
            sizes = [self._largest(group) for group in groups]
            excess = sum(sizes, ZERO) - self._room(client, pile[0], position_id)
            for group, size in zip(reversed(groups), reversed(sizes), strict=True):
                if excess <= 0:
                    break
                left = max(ZERO, size - excess)
                excess -= size - left
                found.extend((one, left) for one in group if self._leaves(one) > left)
        return found

    # What there is

    def within(self, client_order_id: ClientOrderId, quantity: Decimal) -> Decimal:
        """Return how much of a quantity that an order is to have it may have at its client.

        Where that lacks reduce-only: what has filled, and what there is to reduce, in steps.
        """
        order = self._cache.order(client_order_id)
        client = None if order is None or not order.reduce_only else self._lacking(order)
        if order is None or client is None:
            return quantity
        room = self._room(client, order, self._position_of(client, order))
        instrument = self._cache.require_instrument(order.instrument_id)
        return min(quantity, order.filled_quantity + instrument.quantity(room))

    def _lacking(self, order: Order) -> ExecutionClient | None:
        """Return the client of an order if it has no reduce-only orders."""
        client = self._client_of(order)
        return None if client is None or client.capabilities.reduce_only else client

    def _account_of(self, order: Order) -> AccountId | None:
        if order.account_id is not None:
            return order.account_id
        client = self._client_of(order)
        return None if client is None else client.account_id

    def _largest(self, orders: Iterable[Order]) -> Decimal:
        return max((self._leaves(order) for order in orders), default=ZERO)

    def _working(
        self, client: ExecutionClient, instrument_id: InstrumentId, strategy_id: StrategyId
    ) -> list[Order]:
        """Return the reduce-only orders that work in a client's account, oldest first."""
        book = self._cache.book(instrument_id, strategy_id)
        found = {**book.open, **book.in_flight, **book.emulated}
        working = [
            order
            for order in found.values()
            if order.reduce_only
            and self._account_of(order) == client.account_id
            and not self._waits(order)
        ]
        return sorted(working, key=age)

    def _waits(self, order: Order) -> bool:
        """Return whether an order waits for a parent that has not filled."""
        if order.status not in _WAITS or order.parent_order_id is None:
            return False
        parent = self._cache.order(order.parent_order_id)
        return parent is not None and not parent.filled_quantity

    def _position_of(self, client: ExecutionClient, order: Order) -> PositionId | None:
        return position_of(self._cache, client, order)

    def _room(
        self, client: ExecutionClient, order: Order, position_id: PositionId | None
    ) -> Decimal:
        """Return how much there is that orders of an order's side could reduce."""
        if client.order_management is not OrderManagement.HEDGING:
            whose = order.strategy_id, client.account_id
            held = self._cache.net_quantity(order.instrument_id, *whose)
        else:
            position = None if position_id is None else self._cache.position(position_id)
            held = ZERO if position is None else position.signed_quantity
        return max(ZERO, -order.side.sign * held)


def position_of(
    cache: Cache, client: ExecutionClient, order: Order | OrderInitialized
) -> PositionId | None:
    """Return the position an order is for, where a client keeps them apart."""
    if client.order_management is not OrderManagement.HEDGING:
        return None
    parent_id = order.terms.parent_order_id
    parent = None if parent_id is None else cache.order(parent_id)
    return order.position_id or (None if parent is None else parent.position_id)


def _denied(
    order: OrderInitialized, culprit: OrderInitialized, reason: str, now_ns: int
) -> OrderDenied:
    code = "REDUCE_ONLY"
    if order is not culprit:
        code, reason = "ORDER_LIST_DENIED", f"{culprit.client_order_id} of its list: {reason}"
    return OrderDenied(code=code, reason=reason, **about(order, now_ns))


def age(order: Order) -> tuple[int, int, str]:
    """Return what sorts orders by age; those of one moment by the counter in their id."""
    key = order.client_order_id
    return order.ts_init, len(key), key


def _trades_at_once(order: Order) -> bool:
    """Return whether an order trades when it comes, and nothing of it rests."""
    if order.status is OrderStatus.EMULATED and order.order_type is not OrderType.MARKET:
        return False
    if order.time_in_force in _AT_ONCE:
        return order.order_type in (OrderType.MARKET, OrderType.LIMIT)
    return order.order_type is OrderType.MARKET and order.time_in_force not in _AUCTIONS


def linked(orders: Sequence[Order]) -> list[list[Order]]:
    """Return orders in groups of which only one can fill, by the newest of each."""
    groups: list[list[Order]] = []
    for order in orders:
        mine = [group for group in groups if any(_are_linked(one, order) for one in group)]
        groups = [group for group in groups if group not in mine]
        groups.append([*(one for group in mine for one in group), order])
    return groups


def _are_linked(one: Order, other: Order) -> bool:
    return (one.contingency in _SIBLINGS and other.client_order_id in one.linked_order_ids) or (
        other.contingency in _SIBLINGS and one.client_order_id in other.linked_order_ids
    )

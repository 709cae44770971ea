"""Which of the linked sales of a list rests at the venue, and which wait here.

Of those (OCO, OUO) that sell the same, one leaves: the stop. It is what must not be missed: a node
that died, or a loop that a cell keeps busy, does not watch, and a stop at the venue protects all
the same. Who would rather have it the other way round gives the stop an `emulation_trigger`: what
is watched here anyway is held, and the take-profit rests. A `post_only` order could not leave once
the market is there: it rests too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.engines.capabilities import Capabilities
from workbench.engines.emulation_needs import WATCHABLE, trigger_type
from workbench.engines.triggers import STOPS, TOUCHES, TRAILING
from workbench.model.enums import ContingencyType, OrderSide, TriggerType
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId

_SIBLINGS = (ContingencyType.OCO, ContingencyType.OUO)


def held_beside(
    orders: Sequence[OrderInitialized], capabilities: Capabilities
) -> dict[ClientOrderId, TriggerType]:
    """Return which linked sales of a list wait beside one that rests, and by which price."""
    found: dict[ClientOrderId, TriggerType] = {}
    for group in _groups(orders):
        leaving = [order for order in group if trigger_type(order, capabilities) is None]
        resting = [one for one in leaving if one.post_only or one.order_type not in WATCHABLE]
        if not resting and leaving:
            resting = [min(leaving, key=_rank)]
        found.update(
            (one.client_order_id, one.terms.trigger_type)
            for one in leaving
            if not any(one is other for other in resting)
        )
    return found


def rivals_of(
    order: OrderInitialized, orders: Sequence[OrderInitialized]
) -> tuple[ClientOrderId, ...]:
    """Return the orders of a list that sell the same as one of it."""
    for group in _groups(orders):
        names = [one.client_order_id for one in group]
        if order.client_order_id in names:
            return tuple(one for one in names if one != order.client_order_id)
    return ()


def _groups(orders: Iterable[OrderInitialized]) -> list[list[OrderInitialized]]:
    """Return the sales of a list that are linked to each other, in the order of the list."""
    groups: list[list[OrderInitialized]] = []
    for order in orders:
        if order.side is not OrderSide.SELL or order.terms.contingency not in _SIBLINGS:
            continue
        mine = [group for group in groups if any(_are_linked(one, order) for one in group)]
        groups = [group for group in groups if group not in mine]
        groups.append([*(one for group in mine for one in group), order])
    return [group for group in groups if len(group) > 1]


def _are_linked(one: OrderInitialized, other: OrderInitialized) -> bool:
    return one.instrument_id == other.instrument_id and (
        other.client_order_id in one.terms.linked_order_ids
        or one.client_order_id in other.terms.linked_order_ids
    )


def _rank(order: OrderInitialized) -> int:
    """Return what rests first: the lowest, of equal ones the first of the list."""
    if order.order_type in STOPS or order.order_type in TRAILING:
        return 0
    return 2 if order.order_type in TOUCHES else 1

"""What becomes of linked orders, the same at a simulated exchange and on our side.

- OTO: children wait for their parent. Those that only reduce work from its first fill on, for as
  much as it filled; others once all of it is filled. When it ends, those that still wait are
  cancelled. When its exits have closed all that it opened, what is left of it is cancelled. A
  child as large as its parent follows when that is given another quantity.
- OCO: any fill of one cancels the others.
- OUO: a fill of one leaves the others no more than it has left itself; when it has nothing left
  they are cancelled.

A cancel, expiry or rejection of one sibling leaves the others: a stop-loss is not taken away
because a take-profit was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from workbench.model.enums import ContingencyType, OrderStatus
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId
from workbench.model.money import ZERO
from workbench.model.orders import Order

Within = Callable[[ClientOrderId, Decimal], Decimal]


@dataclass(frozen=True)
class ContingencyActions:
    """How what follows from a fill or an end is carried out, at once.

    Attributes:
        cancel: End an order, with the reason.
        resize: Give an order another quantity (its total, what is filled included).
        release: Let an order work that waited for its parent, for this quantity.
    """

    cancel: Callable[[ClientOrderId, str], None]
    resize: Callable[[ClientOrderId, Decimal], None]
    release: Callable[[ClientOrderId, Decimal], None]


class _Node:
    """A linked order, as far as its links need it.

    Attributes:
        quantity: Its total now.
        wanted: What its owner wants it to be at most; its links may leave it less.
        is_held: It waits for its parent.
        is_over: It ended, or a cancel was asked for; a fill may still come.
    """

    __slots__ = ("definition", "filled", "is_held", "is_over", "quantity", "wanted")

    def __init__(self, definition: OrderInitialized) -> None:
        self.definition = definition
        self.quantity = self.wanted = definition.quantity
        self.filled = ZERO
        self.is_held = definition.terms.parent_order_id is not None
        self.is_over = False

    @property
    def leaves(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def contingency(self) -> ContingencyType | None:
        return self.definition.terms.contingency


class Contingencies:
    """Follows linked orders and acts when one of them fills or ends.

    Args:
        actions: How to act.
    """

    def __init__(self, actions: ContingencyActions) -> None:
        self._actions = actions
        self._nodes: dict[ClientOrderId, _Node] = {}

    def add(self, orders: Iterable[OrderInitialized]) -> None:
        """Follow the linked ones among these orders of one list."""
        for order in orders:
            terms = order.terms
            if terms.contingency is not None or terms.parent_order_id is not None:
                self._nodes[order.client_order_id] = _Node(order)

    def restore(
        self,
        definitions: Mapping[ClientOrderId, OrderInitialized],
        orders: Mapping[ClientOrderId, Order],
    ) -> None:
        """Follow again the linked orders of groups that are not over; nothing is done yet.

        Args:
            definitions: As they were sent.
            orders: As they are now.
        """
        known = [one for name, one in definitions.items() if name in orders]
        self.add(known)
        for definition in known:
            node = self._nodes.get(definition.client_order_id)
            if node is None:
                continue
            order = orders[definition.client_order_id]
            parent = orders.get(definition.terms.parent_order_id or ClientOrderId(""))
            node.quantity, node.filled = order.quantity, order.filled_quantity
            node.is_over = order.is_closed
            if parent is None:
                node.is_held = False
                continue
            if not parent.filled_quantity:
                node.wanted = order.quantity  # nobody but its owner has changed it yet
            node.is_held = order.status is OrderStatus.EMULATED or not (
                parent.filled_quantity if definition.reduce_only else parent.leaves_quantity <= 0
            )
        for node in list(self._nodes.values()):
            self._forget(node)

    def settle(self, within: Within) -> None:
        """Do what follows from what orders are that were restored; twice is once.

        Args:
            within: Returns how much of a quantity that a child is to have it may have: of what its
                parent filled a fee may have been taken.
        """
        # What exits have closed is known before their parents are asked what there is to close.
        nodes = list(self._nodes.values())
        for node in sorted(nodes, key=lambda one: one.contingency is ContingencyType.OTO):
            if node.filled:
                self._pass_on(node, within)
            if node.is_over:
                self._cancel_waiting(node, "over")
            self._forget(node)

    def __contains__(self, client_order_id: ClientOrderId) -> bool:
        """Return whether an order is followed."""
        return client_order_id in self._nodes

    def is_held(self, client_order_id: ClientOrderId) -> bool:
        """Return whether an order waits for its parent."""
        node = self._nodes.get(client_order_id)
        return node is not None and node.is_held

    def on_resized(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        """Note that an order's owner gave it another quantity; what `resize` did is no news."""
        node = self._nodes.get(client_order_id)
        if node is None or quantity == node.quantity:
            return
        if node.contingency is ContingencyType.OTO:
            for child in self._linked(node):
                if child.is_held and child.quantity == node.quantity:
                    child.quantity = quantity
                if child.wanted == node.wanted:
                    child.wanted = quantity
        node.quantity = node.wanted = quantity

    def on_cut(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        """Note that an order has less for now, though its owner wants as much as before."""
        node = self._nodes.get(client_order_id)
        if node is not None:
            node.quantity = quantity

    def on_filled(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        """Take a fill of an order and act on the others."""
        node = self._nodes.get(client_order_id)
        if node is None:
            return
        node.filled += quantity
        if node.leaves <= 0:
            node.is_over = True
        self._pass_on(node)
        self._forget(node)

    def _pass_on(self, node: _Node, within: Within | None = None) -> None:
        """Let what an order has filled have its effect on those linked to it."""
        name, contingency = node.definition.client_order_id, node.contingency
        if contingency is ContingencyType.OTO:
            self._feed_children(node, within)
        elif contingency is ContingencyType.OCO:
            for sibling in self._linked(node):
                self._cancel(sibling, f"{name} was filled (OCO)")
        elif contingency is ContingencyType.OUO:
            self._even_out(node)
        if node.leaves <= 0:
            self._end_parent(node)

    def on_over(self, client_order_id: ClientOrderId, what: str) -> None:
        """Take an order's end other than by a fill: a rejection, cancel or expiry.

        Args:
            client_order_id: Which.
            what: What happened to it, for the reason of what is cancelled with it.
        """
        node = self._nodes.get(client_order_id)
        if node is None or node.is_over:
            return
        node.is_over = True
        self._cancel_waiting(node, what)
        self._forget(node)

    def _linked(self, node: _Node) -> list[_Node]:
        """Return the linked orders that are not over."""
        linked = (self._nodes.get(one) for one in node.definition.terms.linked_order_ids)
        return [one for one in linked if one is not None and not one.is_over]

    def _feed_children(self, parent: _Node, within: Within | None) -> None:
        for child in self._linked(parent):
            if child.is_over:
                continue  # a child that was released before it filled at once
            if not child.definition.reduce_only:
                if parent.leaves <= 0 and child.is_held:
                    self._release(child, child.quantity)
                continue
            quantity = min(child.wanted, parent.filled - self._closed_beside(child))
            if quantity <= child.filled:
                continue
            if child.is_held:
                self._release(child, quantity)
                continue
            if within is not None:
                quantity = max(child.quantity, within(child.definition.client_order_id, quantity))
            self._resize(child, quantity)

    def _closed_beside(self, child: _Node) -> Decimal:
        """Return what the siblings of an OUO have closed of what their parent opened."""
        terms = child.definition.terms
        if terms.contingency is not ContingencyType.OUO:
            return ZERO
        siblings = (self._nodes.get(one) for one in terms.linked_order_ids)
        return sum((one.filled for one in siblings if one is not None), ZERO)

    def _even_out(self, node: _Node) -> None:
        name = node.definition.client_order_id
        for sibling in self._linked(node):
            if node.leaves <= 0:
                self._cancel(sibling, f"{name} was filled (OUO)")
            elif node.leaves < sibling.leaves:
                self._resize(sibling, sibling.filled + node.leaves)

    def _end_parent(self, exit_: _Node) -> None:
        """Cancel what is left of a parent whose exits have closed all that it opened."""
        parent = self._nodes.get(exit_.definition.terms.parent_order_id or ClientOrderId(""))
        if parent is None or parent.is_over or not exit_.definition.reduce_only:
            return
        if not self._linked(parent):
            self._cancel(parent, "its exits were filled")

    def _cancel_waiting(self, parent: _Node, what: str) -> None:
        """Cancel the children that wait for a parent that ended."""
        if parent.contingency is not ContingencyType.OTO:
            return
        name = parent.definition.client_order_id
        for child in self._linked(parent):
            if child.is_held:
                self._cancel(child, f"its parent {name} was {what}")

    def _cancel(self, node: _Node, reason: str) -> None:
        if node.is_over:
            return
        # Over before it is acted on: what that brings about finds it so.
        node.is_over = True
        node.is_held = False
        self._actions.cancel(node.definition.client_order_id, reason)
        self._cancel_waiting(node, "canceled")
        self._forget(node)

    def _release(self, node: _Node, quantity: Decimal) -> None:
        node.is_held = False
        node.quantity = quantity
        self._actions.release(node.definition.client_order_id, quantity)

    def _resize(self, node: _Node, quantity: Decimal) -> None:
        if quantity == node.quantity:
            return
        node.quantity = quantity
        # One that waits is told its quantity when it is released.
        if not node.is_held:
            self._actions.resize(node.definition.client_order_id, quantity)

    def _forget(self, node: _Node) -> None:
        """Let go of a group once all of it is over."""
        group = self._group(node)
        if all(one.is_over for one in group):
            for one in group:
                self._nodes.pop(one.definition.client_order_id, None)

    def _group(self, node: _Node) -> list[_Node]:
        found: dict[ClientOrderId, _Node] = {}
        ahead = [node]
        while ahead:
            one = ahead.pop()
            name = one.definition.client_order_id
            if name in found:
                continue
            found[name] = one
            terms = one.definition.terms
            near = (*terms.linked_order_ids, *filter(None, [terms.parent_order_id]))
            ahead.extend(self._nodes[other] for other in near if other in self._nodes)
        return list(found.values())

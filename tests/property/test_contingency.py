"""Random fills, cancels and rejections of linked orders never leave a contingency half done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.test_contingency import bracket, order
from workbench.engines.contingency import Contingencies, ContingencyActions
from workbench.model.enums import ContingencyType
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import ClientOrderId

D = Decimal


def siblings(kind: str, names: str, quantities: list[int]) -> list[OrderInitialized]:
    return [
        order(n, q, contingency=kind, linked=" ".join(o for o in names if o != n))
        for n, q in zip(names, quantities, strict=False)
    ]


GROUPS: Any = st.one_of(
    st.builds(bracket, st.integers(1, 12)),
    st.builds(
        siblings,
        st.sampled_from(["oco", "ouo"]),
        st.sampled_from(["AB", "ABC"]),
        st.lists(st.integers(1, 12), min_size=3, max_size=3),
    ),
    st.builds(
        lambda parent, child, reduces: [
            order("A", parent, contingency="oto", linked="B C"),
            order("B", child, parent="A", reduce_only=reduces),
            order("C", child, parent="A", reduce_only=reduces),
        ],
        st.integers(1, 12),
        st.integers(1, 12),
        st.booleans(),
    ),
)


class Venue(RuleBasedStateMachine):
    """A venue that does at once what it is told, and fills some orders when they are released."""

    def __init__(self) -> None:
        super().__init__()
        self.definitions: dict[str, OrderInitialized] = {}
        self.quantity: dict[str, Decimal] = {}
        self.filled: dict[str, Decimal] = {}
        self.held: set[str] = set()
        self.open: set[str] = set()
        self.at_release: list[int] = []
        self.links = Contingencies(ContingencyActions(self.cancel, self.resize, self.release))

    @precondition(lambda self: not self.open and not self.held)
    @rule(group=GROUPS, at_release=st.lists(st.sampled_from([0, 0, 1, 3, 99]), max_size=3))
    def submit(self, group: list[OrderInitialized], at_release: list[int]) -> None:
        self.at_release = at_release
        self.definitions.clear()
        self.links.add(group)
        for one in group:
            name = one.client_order_id
            self.definitions[name] = one
            self.quantity[name], self.filled[name] = one.quantity, D(0)
            waits = one.terms.parent_order_id is not None
            (self.held if waits else self.open).add(name)

    # What it is told

    def cancel(self, name: ClientOrderId, reason: str) -> None:
        assert name in self.open or name in self.held
        self.end(name)
        self.links.on_over(name, "canceled")

    def resize(self, name: ClientOrderId, quantity: Decimal) -> None:
        assert name in self.open, "only an order that works is given another quantity"
        assert quantity > self.filled[name]
        assert quantity != self.quantity[name]
        self.quantity[name] = quantity
        self.links.on_resized(name, quantity)

    def release(self, name: ClientOrderId, quantity: Decimal) -> None:
        assert name in self.held
        assert 0 < quantity <= self.definitions[name].quantity
        self.held.remove(name)
        self.open.add(name)
        self.quantity[name] = quantity
        if self.at_release:
            self.fill_some(name, self.at_release.pop())

    def end(self, name: str) -> None:
        self.open.discard(name)
        self.held.discard(name)

    def fill_some(self, name: str, most: int) -> None:
        quantity = min(D(most), self.quantity[name] - self.filled[name])
        if quantity > 0:
            self.filled[name] += quantity
            if self.filled[name] == self.quantity[name]:
                self.end(name)
            self.links.on_filled(ClientOrderId(name), quantity)

    # What the market and the owner do

    @precondition(lambda self: self.open)
    @rule(data=st.data(), most=st.integers(1, 12))
    def fill(self, data: st.DataObject, most: int) -> None:
        self.fill_some(data.draw(st.sampled_from(sorted(self.open))), most)

    @precondition(lambda self: self.open or self.held)
    @rule(data=st.data(), what=st.sampled_from(["canceled", "rejected", "expired"]))
    def finish(self, data: st.DataObject, what: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.open | self.held)))
        self.end(name)
        self.links.on_over(ClientOrderId(name), what)

    # What must hold now

    @invariant()
    def nothing_is_half_done(self) -> None:
        for name, one in self.definitions.items():
            linked = [o for o in one.terms.linked_order_ids if o in self.open]
            leaves = self.quantity[name] - self.filled[name]
            if one.terms.contingency is ContingencyType.OCO and self.filled[name]:
                assert not linked, "an OCO that filled has no open sibling"
            if one.terms.contingency is ContingencyType.OUO and self.filled[name]:
                assert leaves or not linked
                for other in linked if name in self.open else ():
                    assert self.quantity[other] - self.filled[other] == leaves or not (
                        self.filled[other] or one.quantity == self.definitions[other].quantity
                    )

    @invariant()
    def no_child_waits_for_a_parent_that_ended(self) -> None:
        for name in self.held:
            parent = self.definitions[name].terms.parent_order_id
            assert parent in self.open

    @invariant()
    def exits_never_close_more_than_was_opened(self) -> None:
        for one in self.definitions.values():
            parent = one.terms.parent_order_id
            if parent is not None and one.reduce_only:
                if one.client_order_id in self.open:
                    assert self.quantity[one.client_order_id] <= self.filled[parent]
                if one.terms.contingency is ContingencyType.OUO:
                    exits = [one.client_order_id, *one.terms.linked_order_ids]
                    assert sum(self.filled[e] for e in exits) <= self.filled[parent]

    @invariant()
    def every_open_order_is_followed_and_none_once_all_are_over(self) -> None:
        for name in self.open | self.held:
            assert ClientOrderId(name) in self.links
        if not self.open and not self.held:
            assert not any(ClientOrderId(name) in self.links for name in self.definitions)


TestContingencies = Venue.TestCase
TestContingencies.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)

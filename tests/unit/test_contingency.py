"""What becomes of linked orders, with a book whose answers come at once, as at an exchange."""

from __future__ import annotations

from decimal import Decimal

import pytest

from workbench.engines.contingency import Contingencies, ContingencyActions
from workbench.model.enums import ContingencyType, OrderSide, OrderType
from workbench.model.events import OrderInitialized, OrderTerms
from workbench.model.identifiers import ClientOrderId, InstrumentId, StrategyId

D = Decimal


def order(
    name: str,
    quantity: int = 10,
    *,
    contingency: str | None = None,
    linked: str = "",
    parent: str | None = None,
    reduce_only: bool = False,
) -> OrderInitialized:
    return OrderInitialized(
        strategy_id=StrategyId("S"),
        instrument_id=InstrumentId("A/B.SIM"),
        client_order_id=ClientOrderId(name),
        side=OrderSide.BUY,
        order_type=OrderType.LIMIT,
        quantity=D(quantity),
        price=D(1),
        reduce_only=reduce_only,
        terms=OrderTerms(
            contingency=None if contingency is None else ContingencyType(contingency),
            linked_order_ids=tuple(ClientOrderId(one) for one in linked.split()),
            parent_order_id=None if parent is None else ClientOrderId(parent),
        ),
        ts_event=0,
        ts_init=0,
    )


def bracket(quantity: int = 10) -> list[OrderInitialized]:
    return [
        order("E", quantity, contingency="oto", linked="S T"),
        order("S", quantity, contingency="ouo", linked="T", parent="E", reduce_only=True),
        order("T", quantity, contingency="ouo", linked="S", parent="E", reduce_only=True),
    ]


class Book:
    """Carries actions out at once and notes them; `at_once` fills an order when it is released."""

    def __init__(self, *orders: OrderInitialized) -> None:
        self.done: list[str] = []
        self.at_once: dict[str, int] = {}
        self.links = Contingencies(ContingencyActions(self.cancel, self.resize, self.release))
        self.links.add(orders)

    def cancel(self, name: ClientOrderId, reason: str) -> None:
        self.done.append(f"cancel {name}: {reason}")
        self.links.on_over(name, "canceled")

    def resize(self, name: ClientOrderId, quantity: Decimal) -> None:
        self.done.append(f"resize {name} {quantity}")
        self.links.on_resized(name, quantity)

    def release(self, name: ClientOrderId, quantity: Decimal) -> None:
        self.done.append(f"release {name} {quantity}")
        if name in self.at_once:
            self.fill(name, self.at_once[name])

    def fill(self, name: str, quantity: int) -> list[str]:
        self.links.on_filled(ClientOrderId(name), D(quantity))
        return self.done

    def over(self, name: str, what: str = "canceled") -> list[str]:
        self.links.on_over(ClientOrderId(name), what)
        return self.done

    @property
    def is_forgotten(self) -> bool:
        return not any(ClientOrderId(name) in self.links for name in "ABCDEGST")


def test_only_linked_orders_are_followed() -> None:
    book = Book(order("A"), *bracket())
    assert ClientOrderId("A") not in book.links
    assert ClientOrderId("E") in book.links
    assert [book.links.is_held(ClientOrderId(name)) for name in "AEST"] == [0, 0, 1, 1]
    assert book.fill("A", 10) == []
    assert book.over("A") == []


def test_any_fill_of_an_oco_cancels_the_others() -> None:
    names = {"A": "B C", "B": "A C", "C": "A B"}
    book = Book(*(order(n, contingency="oco", linked=linked) for n, linked in names.items()))
    assert book.fill("A", 1) == [
        "cancel B: A was filled (OCO)",
        "cancel C: A was filled (OCO)",
    ]
    book.fill("A", 9)
    assert len(book.done) == 2
    assert book.is_forgotten


def test_both_of_an_oco_that_fill_at_once_are_cancelled() -> None:
    book = Book(*(order(n, contingency="oco", linked=o) for n, o in (("A", "B"), ("B", "A"))))
    book.fill("A", 1)
    # It was on its way when the cancel was asked for.
    assert book.fill("B", 10)[1:] == ["cancel A: B was filled (OCO)"]


def test_a_fill_of_an_ouo_leaves_the_others_as_much_as_it_has_left() -> None:
    book = Book(*(order(n, contingency="ouo", linked=o) for n, o in (("A", "B"), ("B", "A"))))
    assert book.fill("A", 4) == ["resize B 6"]
    assert book.fill("B", 2)[1:] == ["resize A 8"]
    assert book.fill("A", 4)[2:] == ["cancel B: A was filled (OUO)"]
    assert book.is_forgotten


def test_a_smaller_order_of_an_ouo_stays_while_the_larger_has_more_left() -> None:
    book = Book(
        order("A", 10, contingency="ouo", linked="B"), order("B", 6, contingency="ouo", linked="A")
    )
    assert book.fill("A", 3) == []
    assert book.fill("A", 3) == ["resize B 4"]


def test_a_late_fill_of_a_cancelled_ouo_shrinks_the_other_and_does_not_end_it() -> None:
    book = Book(*(order(n, contingency="ouo", linked=o) for n, o in (("A", "B"), ("B", "A"))))
    book.over("A")
    assert book.fill("A", 3) == ["resize B 7"]


@pytest.mark.parametrize("what", ["rejected", "canceled", "expired", "denied"])
def test_children_end_with_a_parent_that_was_not_filled(what: str) -> None:
    book = Book(*bracket())
    assert book.over("E", what) == [
        f"cancel S: its parent E was {what}",
        f"cancel T: its parent E was {what}",
    ]
    assert book.is_forgotten


def test_exits_work_for_as_much_as_their_parent_filled() -> None:
    book = Book(*bracket())
    assert book.fill("E", 4) == ["release S 4", "release T 4"]
    assert book.fill("E", 6)[2:] == ["resize S 10", "resize T 10"]
    # Case 8 of the semantics.
    assert book.fill("T", 5)[4:] == ["resize S 5"]
    assert book.fill("S", 5)[5:] == ["cancel T: S was filled (OUO)"]
    assert book.is_forgotten


def test_exits_that_filled_already_count_when_the_parent_fills_more() -> None:
    book = Book(*bracket())
    book.fill("E", 4)
    book.fill("T", 1)
    del book.done[:]
    assert book.fill("E", 2) == ["resize S 5", "resize T 6"]


def test_a_cancelled_exit_leaves_the_other() -> None:
    book = Book(*bracket())
    book.fill("E", 10)
    del book.done[:]
    assert book.over("T") == []
    assert book.fill("S", 10) == []
    assert book.is_forgotten


def test_what_is_left_of_a_parent_ends_when_its_exits_have_closed_what_it_opened() -> None:
    book = Book(*bracket())
    book.fill("E", 4)
    del book.done[:]
    assert book.fill("S", 4) == ["cancel T: S was filled (OUO)", "cancel E: its exits were filled"]
    assert book.is_forgotten


def test_a_parent_that_ends_half_filled_leaves_its_exits_to_work() -> None:
    book = Book(*bracket())
    book.fill("E", 4)
    del book.done[:]
    assert book.over("E") == []
    assert book.fill("T", 4) == ["cancel S: T was filled (OUO)"]


def test_an_exit_that_fills_when_it_is_released_keeps_the_other_from_being_released() -> None:
    book = Book(*bracket())
    book.at_once["S"] = 10
    assert book.fill("E", 10) == ["release S 10", "cancel T: S was filled (OUO)"]
    assert book.is_forgotten


def test_an_exit_that_fills_in_part_when_it_is_released_leaves_the_other_the_rest() -> None:
    book = Book(*bracket())
    book.at_once["S"] = 3
    assert book.fill("E", 10) == ["release S 10", "release T 7"]


def test_children_that_do_not_reduce_wait_for_all_of_their_parent() -> None:
    book = Book(order("A", 10, contingency="oto", linked="B"), order("B", 3, parent="A"))
    assert book.fill("A", 9) == []
    assert book.fill("A", 1) == ["release B 3"]
    assert book.fill("B", 3) == ["release B 3"]
    assert book.is_forgotten


def test_children_that_do_not_reduce_end_with_a_parent_that_filled_in_part() -> None:
    book = Book(order("A", 10, contingency="oto", linked="B"), order("B", 3, parent="A"))
    book.fill("A", 9)
    assert book.over("A", "expired") == ["cancel B: its parent A was expired"]


def test_the_children_of_a_child_end_with_it() -> None:
    book = Book(
        order("A", contingency="oto", linked="B"),
        order("B", contingency="oto", linked="C", parent="A"),
        order("C", parent="B"),
    )
    assert book.over("A", "rejected") == [
        "cancel B: its parent A was rejected",
        "cancel C: its parent B was canceled",
    ]
    assert book.is_forgotten


def test_a_quantity_that_its_owner_gave_an_exit_is_the_most_it_works_for() -> None:
    book = Book(*bracket())
    book.links.on_resized(ClientOrderId("T"), D(5))
    assert book.fill("E", 10) == ["release S 10", "release T 5"]


def test_exits_as_large_as_their_parent_follow_when_that_grows() -> None:
    book = Book(*bracket())
    book.links.on_resized(ClientOrderId("E"), D(20))
    assert book.fill("E", 12) == ["release S 12", "release T 12"]
    assert book.fill("E", 8)[2:] == ["resize S 20", "resize T 20"]


def test_a_child_that_waits_for_all_of_its_parent_follows_when_that_shrinks() -> None:
    book = Book(order("A", 10, contingency="oto", linked="B"), order("B", 10, parent="A"))
    book.links.on_resized(ClientOrderId("A"), D(6))
    assert book.fill("A", 6) == ["release B 6"]

"""The book of several participants' orders: price, then time, and nothing made or lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.model.enums import OrderSide
from workbench.sim.order_book import BookOrder, OrderBook

BUY, SELL = OrderSide.BUY, OrderSide.SELL


def book_of(*orders: tuple[int, str, OrderSide, int, int]) -> OrderBook:
    book = OrderBook()
    for number, owner, side, ticks, lots in orders:
        book.add(BookOrder(number, owner, side, ticks, lots))
    return book


def test_better_prices_trade_first_then_earlier_orders() -> None:
    book = book_of((1, "", SELL, 102, 1), (2, "", SELL, 101, 1), (3, "", SELL, 101, 1))
    taken = book.take("", BUY, lots=5)
    assert [match.maker.number for match in taken.matches] == [2, 3, 1]
    assert book.best(SELL) is None


def test_a_limit_bounds_what_is_taken_on_both_sides() -> None:
    book = book_of((1, "", BUY, 99, 2), (2, "", BUY, 98, 2), (3, "", SELL, 101, 2))
    assert sum(match.lots for match in book.take("", SELL, lots=9, limit=99).matches) == 2
    assert book.take("", BUY, lots=9, limit=100).matches == []
    assert (book.best(BUY), book.best(SELL)) == ((98, 2), (101, 2))


def test_an_owners_own_orders_are_taken_out_instead_of_traded_with() -> None:
    book = book_of((1, "me", SELL, 100, 1), (2, "you", SELL, 100, 1), (3, "me", SELL, 101, 1))
    assert list(book.offered("me", BUY)) == [(100, 1)]
    taken = book.take("me", BUY, lots=1)
    assert [match.maker.number for match in taken.matches] == [2]
    assert [order.number for order in taken.prevented] == [1]
    assert 3 in book


def test_a_canceled_order_is_gone_and_an_unknown_one_is_none() -> None:
    book = book_of((1, "", BUY, 100, 1), (2, "", BUY, 100, 2))
    canceled = book.cancel(1)
    assert canceled is not None
    assert canceled.number == 1
    assert book.cancel(1) is None
    assert (book.lots_at(BUY, 100), book.lots_at(BUY, 99), len(book)) == (2, 0, 1)


def test_every_change_of_a_level_is_noted() -> None:
    book = book_of((1, "", BUY, 100, 3))
    assert (book.update_id, list(book.changed)) == (1, [(BUY, 100)])
    book.changed.clear()
    book.take("", SELL, lots=1)
    book.add(BookOrder(2, "", SELL, 101, 1))
    assert (book.update_id, list(book.changed)) == (3, [(BUY, 100), (SELL, 101)])


@pytest.mark.parametrize("order", [BookOrder(1, "", BUY, 99, 1), BookOrder(2, "", BUY, 99, 0)])
def test_a_number_twice_or_nothing_left_is_refused(order: BookOrder) -> None:
    with pytest.raises(ValueError, match="new order with something left"):
        book_of((1, "", BUY, 100, 1)).add(order)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["place", "take", "cancel"]),
        st.sampled_from([BUY, SELL]),
        st.sampled_from(["", "a", "b"]),
        st.integers(95, 105),
        st.integers(1, 9),
    ),
    max_size=60,
)


class Model:
    """The same book as one list of orders: slow, and easy to believe."""

    def __init__(self) -> None:
        self.orders: list[list[object]] = []  # number, owner, side, ticks, left

    def reached(self, side: OrderSide, limit: int | None) -> list[list[object]]:
        sign = side.sign
        there = [
            one
            for one in self.orders
            if one[2] is not side and (limit is None or (one[3] - limit) * sign <= 0)  # type: ignore[operator]
        ]
        return sorted(there, key=lambda one: (one[3] * sign, one[0]))  # type: ignore[operator]

    def take(self, owner: str, side: OrderSide, lots: int, limit: int | None) -> Iterator[object]:
        for one in self.reached(side, limit):
            if lots == 0:
                return
            if owner and one[1] == owner:
                self.orders.remove(one)
                continue
            part = min(lots, one[4])  # type: ignore[type-var]
            one[4] -= part  # type: ignore[operator]
            lots -= part  # type: ignore[operator]
            yield (one[0], part)
            if one[4] == 0:
                self.orders.remove(one)


@given(STEPS)
def test_it_does_what_a_plain_list_of_orders_does(
    steps: list[tuple[str, OrderSide, str, int, int]],
) -> None:
    book, model = OrderBook(), Model()
    for number, (what, side, owner, ticks, lots) in enumerate(steps):
        if what == "cancel":
            found = book.cancel(number - lots)
            before = [one for one in model.orders if one[0] == number - lots]
            assert (found is None) is (not before)
            model.orders = [one for one in model.orders if one[0] != number - lots]
            continue
        limit = ticks if what == "place" else None
        taken = book.take(owner, side, lots=lots, limit=limit)
        matches = [(match.maker.number, match.lots) for match in taken.matches]
        assert matches == list(model.take(owner, side, lots, limit))
        left = lots - sum(part for _, part in matches)
        if what == "place" and left:
            book.add(BookOrder(number, owner, side, ticks, left))
            model.orders.append([number, owner, side, ticks, left])
        for one in OrderSide:
            levels: dict[int, int] = {}
            for _, _, its_side, price, rest in model.orders:
                if its_side is one:
                    levels[price] = levels.get(price, 0) + rest  # type: ignore[index, operator]
            ordered = sorted(levels.items(), reverse=one is BUY)
            assert book.levels(one, 99) == ordered
            assert book.best(one) == (ordered[0] if ordered else None)

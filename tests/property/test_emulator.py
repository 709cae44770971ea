"""Whatever a slow venue answers, no contingency that is followed on our side stays half done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.test_emulator import ACCOUNT, PAIR, Setup
from tests.unit.test_resuming import resumed
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.enums import ContingencyType, OrderSide, OrderStatus
from workbench.model.identifiers import VenueOrderId
from workbench.model.orders import Order

D = Decimal
WORKING = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
ANSWERS = st.lists(st.booleans(), max_size=5)
"""Whether the venue refuses what it is asked for, one after another."""


class SlowVenue(RuleBasedStateMachine):
    """A venue that answers commands late, and fills orders before it has seen them."""

    def __init__(self) -> None:
        super().__init__()
        self.setup = Setup()
        self.bid = 100
        self.lists: list[Any] = []
        self.seen = 0
        self.todo: list[Any] = []
        self.book: dict[str, Order] = {}  # what the venue works
        self.refusals = 0
        self.failed: set[Any] = set()

    def take_in(self) -> None:
        """Let what was sent arrive in the venue's queue."""
        sent = self.setup.broker.sent
        self.todo.extend(sent[self.seen :])
        self.seen = len(sent)

    def order(self, name: str) -> Order:
        found = self.setup.core.cache.order(name)
        assert found is not None
        return found

    # What is asked for

    @initialize(kind=st.sampled_from(["oco", "ouo", "bracket"]), quantity=st.integers(1, 9))
    def start(self, kind: str, quantity: int) -> None:
        """Begin with a list that works."""
        if kind == "bracket":
            self.submit_bracket(quantity, None, None)
        else:
            self.submit_siblings(kind, (quantity, quantity))
        self.answer_some([False, False])

    @precondition(lambda self: len(self.lists) < 3)
    @rule(kind=st.sampled_from(["oco", "ouo"]), quantities=st.tuples(*[st.integers(1, 9)] * 2))
    def submit_siblings(self, kind: str, quantities: tuple[int, int]) -> None:
        orders = self.setup.desk.orders
        first, second = quantities
        self.lists.append(
            self.setup.submit_list(
                getattr(orders, kind)(
                    orders.limit(PAIR.id, "sell", first, "1.50"),
                    orders.limit(PAIR.id, "buy", second, "0.50"),
                )
            )
        )
        self.take_in()

    @precondition(lambda self: len(self.lists) < 3)
    @rule(
        quantity=st.integers(1, 9),
        entry=st.sampled_from([None, "0.60"]),
        emulation=st.sampled_from([None, "bid_ask"]),
    )
    def submit_bracket(self, quantity: int, entry: str | None, emulation: str | None) -> None:
        made = self.setup.desk.orders.bracket(
            PAIR.id,
            "buy",
            quantity,
            entry_price=entry,
            stop_loss="0.90",
            take_profit="1.20",
            emulation_trigger=emulation,
        )
        self.lists.append(self.setup.submit_list(made))
        self.take_in()

    @precondition(lambda self: self.lists)
    @rule(data=st.data(), what=st.sampled_from(["", "", "", "one", "buy", "sell", "all"]))
    def cancel(self, data: st.DataObject, what: str) -> None:
        if what == "one":
            order = data.draw(st.sampled_from([one for made in self.lists for one in made]))
            self.setup.do("cancel_order", order)
        elif what:
            self.setup.do("cancel_all_orders", PAIR.id, None if what == "all" else what)
        self.take_in()

    @rule(ticks=st.integers(-15, 15))
    def move(self, ticks: int) -> None:
        self.bid = max(50, self.bid + ticks)
        self.setup.quote(self.bid / 100, (self.bid + 2) / 100)
        self.take_in()

    @rule()
    def begin_anew(self) -> None:
        """Let the node end, and another one go on; what is on its way to the venue arrives."""
        self.failed |= {failure.client_order_id for failure in self.setup.failed}
        self.setup = resumed(self.setup)
        self.seen = 0
        self.book = {name: self.order(name) for name in self.book}
        self.lists = [[self.order(one.client_order_id) for one in made] for made in self.lists]
        self.take_in()
        self.move(0)

    # What the venue does

    @precondition(lambda self: self.todo)
    @rule(refusals=ANSWERS)
    def answer_some(self, refusals: list[bool]) -> None:
        for is_refused in refusals:
            if self.todo:
                self.answer(is_refused)

    def answer(self, is_refused: bool) -> None:
        command = self.todo.pop(0)
        if isinstance(command, c.SubmitOrder):
            self.answer_submit(command, is_refused)
        elif isinstance(command, c.CancelAllOrders):
            for name in list(self.book):
                order = self.book[name]
                if command.side in (None, order.side):
                    self.end(order)
        else:
            self.answer_change(command, is_refused)
        self.take_in()

    def answer_submit(self, command: c.SubmitOrder, is_refused: bool) -> None:
        order = self.order(command.client_order_id)
        if is_refused and command.order.quantity % 3 == 0:
            self.setup.event(e.OrderRejected, order, account_id=ACCOUNT, reason="no")
            return
        self.book[order.client_order_id] = order
        self.setup.event(
            e.OrderAccepted,
            order,
            account_id=ACCOUNT,
            venue_order_id=VenueOrderId(order.client_order_id),
        )

    def answer_change(self, command: Any, is_refused: bool) -> None:
        order = self.order(command.client_order_id)
        is_cancel = isinstance(command, c.CancelOrder)
        kind: Any = e.OrderCancelRejected if is_cancel else e.OrderModifyRejected
        is_here = order.client_order_id in self.book
        if not is_here or (is_refused and self.refusals % 2 == 0):
            # It never refuses the same thing three times.
            self.refusals += is_here
            self.setup.event(kind, order, reason="not now")
        elif is_cancel:
            self.refusals = 0
            self.end(order)
        elif command.quantity <= order.filled_quantity:
            self.setup.event(kind, order, reason="more is filled")
        else:
            self.refusals = 0
            self.setup.event(e.OrderUpdated, order, quantity=command.quantity)

    def end(self, order: Order) -> None:
        del self.book[order.client_order_id]
        self.setup.event(e.OrderCanceled, order)

    @precondition(lambda self: self.book)
    @rule(data=st.data(), most=st.integers(1, 9), then=ANSWERS)
    def fill(self, data: st.DataObject, most: int, then: list[bool]) -> None:
        """Fill some of an order, then answer what that brought about."""
        self.fill_some(data, most)
        self.answer_some(then)

    def fill_some(self, data: st.DataObject, most: int) -> None:
        order = self.book[data.draw(st.sampled_from(sorted(self.book)))]
        quantity = min(D(most), order.leaves_quantity, self.reducible(order))
        if quantity > 0:
            if quantity == order.leaves_quantity:
                del self.book[order.client_order_id]
            self.setup.fill(order, int(quantity))
            self.take_in()

    def reducible(self, order: Order) -> Decimal:
        if not order.reduce_only:
            return order.leaves_quantity
        held = self.setup.core.cache.net_quantity(PAIR.id)
        return max(D(0), -held if order.side is OrderSide.BUY else held)

    # What must hold

    @invariant()
    def every_event_could_be_applied(self) -> None:
        self.setup.check()

    @invariant()
    def nothing_waits_for_a_parent_that_ended(self) -> None:
        for order in self.setup.core.cache.orders_emulated():
            parent_id = order.parent_order_id
            parent = None if parent_id is None else self.order(parent_id)
            assert parent is None or not parent.is_closed or parent.filled_quantity

    def teardown(self) -> None:
        for _ in range(200):
            if not self.todo:
                break
            self.answer(is_refused=False)
        assert not self.todo
        failed = self.failed | {failure.client_order_id for failure in self.setup.failed}
        for made in self.lists:
            for order in made:
                self.check_links(order, failed)
        self.check_nothing_forgotten()
        super().teardown()

    def check_links(self, order: Order, failed: set[Any]) -> None:
        siblings = [self.order(one) for one in order.linked_order_ids]
        opened = [one for one in siblings if one.client_order_id in self.book]
        if order.contingency is ContingencyType.OCO and order.filled_quantity:
            assert not opened, "an OCO that filled has no open sibling"
        if order.contingency is ContingencyType.OUO and order.filled_quantity:
            done = order.status is OrderStatus.FILLED and self.has_closed_all(order, siblings)
            for other in opened:
                assert not done, "an OUO that is filled has no open sibling"
                if order.client_order_id in self.book:
                    assert (
                        other.leaves_quantity == order.leaves_quantity
                        or order.client_order_id in failed
                        or other.client_order_id in failed
                        or order.quantity != other.quantity
                    )

    def has_closed_all(self, order: Order, siblings: list[Order]) -> bool:
        """Return whether exits have closed what their parent opened.

        One that fills while it is to grow has not: its siblings stay for the rest.
        """
        parent_id = order.parent_order_id
        if parent_id is None:
            return True
        closed = sum((one.filled_quantity for one in siblings), order.filled_quantity)
        return closed >= self.order(parent_id).filled_quantity

    def check_nothing_forgotten(self) -> None:
        """What is open is open on both sides."""
        cache = self.setup.core.cache
        assert {o.client_order_id for o in cache.orders_open()} == set(self.book)
        assert not cache.orders_in_flight()


TestEmulator = SlowVenue.TestCase
TestEmulator.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)

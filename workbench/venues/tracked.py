"""One order of an account as its execution client sees it, and how reports of it compare."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from workbench.model.commands import ModifyOrder
from workbench.model.enums import OrderSide, OrderType
from workbench.model.identifiers import ClientOrderId, InstrumentId, StrategyId, VenueOrderId
from workbench.model.money import ZERO
from workbench.model.order_state import CLOSED
from workbench.model.orders import Order
from workbench.model.reports import FillReport, OrderStatusReport
from workbench.venues.contract import OrderChange, OrderTarget


class Tracked:
    """One order as its client sees it.

    Attributes:
        client_order_id, instrument_id, strategy_id, side, order_type: As in the order;
            `strategy_id` is None while nobody here has it.
        venue_order_id: None until the venue has named it.
        quantity, price, trigger_price: Its terms.
        filled: What of it is known to have filled.
        inferred: How much of that no fill was reported for.
        last: The last state that went on.
        owed: A state that waits for fills.
        early: Fills that wait for a state, as they go beyond the quantity that is known.
        awaits_submit, awaits_cancel, change: What was asked for and not answered yet.
        sent_ns: When its submit left, or was to leave; 0 where it is not known.
        has_ended: Whether it had ended before it was heard of here.
        was_changing: Whether an earlier run asked for a change, and what became of it is not known.
    """

    __slots__ = (
        "awaits_cancel",
        "awaits_submit",
        "change",
        "client_order_id",
        "early",
        "filled",
        "has_ended",
        "inferred",
        "instrument_id",
        "last",
        "order_type",
        "owed",
        "price",
        "quantity",
        "sent_ns",
        "side",
        "strategy_id",
        "trigger_price",
        "venue_order_id",
        "was_changing",
    )

    def __init__(
        self,
        client_order_id: ClientOrderId,
        instrument_id: InstrumentId,
        strategy_id: StrategyId | None,
        side: OrderSide,
        order_type: OrderType,
    ) -> None:
        self.client_order_id = client_order_id
        self.instrument_id = instrument_id
        self.strategy_id = strategy_id
        self.side = side
        self.order_type = order_type
        self.venue_order_id: VenueOrderId | None = None
        self.quantity = ZERO
        self.price: Decimal | None = None
        self.trigger_price: Decimal | None = None
        self.filled = ZERO
        self.inferred = ZERO
        self.last: OrderStatusReport | None = None
        self.owed: OrderStatusReport | None = None
        self.early: list[FillReport] = []
        self.awaits_submit = False
        self.awaits_cancel = False
        self.change: OrderChange | None = None
        self.was_changing = False
        self.sent_ns = 0
        self.has_ended = False

    @property
    def is_over(self) -> bool:
        """Return whether it has ended and nothing of it is awaited."""
        ended = self.last is not None and self.last.status in CLOSED
        return (ended or self.has_ended) and self.owed is None and not self.early

    @property
    def awaits_answer(self) -> bool:
        """Return whether something was asked for and not answered yet."""
        return self.awaits_submit or self.awaits_cancel or self.change is not None

    def settle(self) -> None:
        """Await nothing any more."""
        self.awaits_submit = self.awaits_cancel = False
        self.change = None

    def take_terms(self, source: Any) -> None:
        """Take quantity, price and trigger price of an order or report."""
        self.quantity = source.quantity
        self.price = source.price
        self.trigger_price = source.trigger_price

    def target(self) -> OrderTarget:
        """Return what names it to the venue."""
        return OrderTarget(
            instrument_id=self.instrument_id,
            client_order_id=self.client_order_id,
            venue_order_id=self.venue_order_id,
        )


def is_unheard_of(tracked: Tracked) -> bool:
    """Return whether nothing is known of an order yet but fills: not even how large it is."""
    return tracked.strategy_id is None and tracked.last is None


def fits(tracked: Tracked, fill: FillReport) -> bool:
    """Return whether a fill can be counted, by the order's quantity as far as it is known."""
    if tracked.strategy_id is None:
        return True
    left = tracked.quantity - tracked.filled - fill.quantity + tracked.inferred
    # While a change is on its way, what fills the old quantity may be a part of the new one.
    return left > 0 or (left == 0 and tracked.change is None)


def is_behind(report: OrderStatusReport, known: OrderStatusReport | None) -> bool:
    """Return whether a state is older than one that is known."""
    if known is None:
        return False
    if known.status in CLOSED:
        # A correction of how much had filled is let through: by what filled, not by time.
        return report.status not in CLOSED or report.filled_quantity < known.filled_quantity
    if report.filled_quantity != known.filled_quantity:
        return report.filled_quantity < known.filled_quantity
    return report.ts_event < known.ts_event and report.status not in CLOSED


def says_the_same(report: OrderStatusReport, known: OrderStatusReport | None) -> bool:
    """Return whether a state tells nothing but another time."""
    if known is None:
        return False
    return msgspec.structs.replace(report, ts_event=known.ts_event, ts_init=known.ts_init) == known


def change_of(tracked: Tracked, command: ModifyOrder) -> OrderChange:
    """Return what an order shall be like after a command: all its terms, changed or not."""

    def wanted(name: str) -> Any:
        given = getattr(command, name)
        return getattr(tracked, name) if given is None else given

    return OrderChange(
        instrument_id=tracked.instrument_id,
        client_order_id=tracked.client_order_id,
        venue_order_id=tracked.venue_order_id,
        side=tracked.side,
        order_type=tracked.order_type,
        quantity=wanted("quantity"),
        filled_quantity=tracked.filled,
        price=wanted("price"),
        trigger_price=wanted("trigger_price"),
    )


def has_other_terms(report: OrderStatusReport, known: Tracked | Order) -> bool:
    """Return whether a state tells of other terms; one that it does not tell is none."""
    told = (
        (report.price, known.price),
        (report.trigger_price, known.trigger_price),
    )
    return report.quantity != known.quantity or any(
        term is not None and term != before for term, before in told
    )


def has_terms(report: OrderStatusReport, wanted: OrderChange) -> bool:
    """Return whether an order has quantity, price and trigger price as they are wanted."""
    return (report.quantity, report.price, report.trigger_price) == (
        wanted.quantity,
        wanted.price,
        wanted.trigger_price,
    )

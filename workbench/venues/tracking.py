"""What a venue reports of orders, made harmless: duplicates, late ones, fills that come in any way.

Reports go on to the execution engine, which turns them into events. On the way:

- A fill counts once, by instrument and trade id, however often and by whichever way it comes.
- An order's state only goes forward: by cumulative quantity, then by time; nothing follows an end.
- A fill beyond an order's quantity waits for a state that tells a new one, as does a fill of all of
  it while a change is on its way: else the order would end here and live on there.
- A state that tells of more fills than came waits for them (`owed`), so that their own price and
  commission count. The fills are asked for; only where the venue does not give them does the state
  go on as it is, and the engine infers a fill.
- What has no client order id is known by the venue's id; while an order is on its way whose venue
  id is not known yet, it waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from workbench.engines.clients import OrderLookup
from workbench.model.enums import OrderSide, OrderStatus, OrderType
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    StrategyId,
    TradeId,
    VenueOrderId,
)
from workbench.model.money import ZERO
from workbench.model.order_state import CLOSED
from workbench.model.orders import Order
from workbench.model.reports import FillReport, OrderStatusReport
from workbench.venues.contract import OrderChange, OrderTarget

_REMEMBERED_FILLS = 200_000
_REMEMBERED_ORDERS = 20_000


class NoOrders:
    """Knows no orders: for a client without a node."""

    def order(self, client_order_id: str) -> Order | None:  # noqa: ARG002
        """Return None."""
        return None

    def order_at_venue(
        self,
        instrument_id: InstrumentId,  # noqa: ARG002
        venue_order_id: VenueOrderId,  # noqa: ARG002
    ) -> Order | None:
        """Return None."""
        return None

    def orders_open(
        self,
        *,
        instrument_id: str | None = None,  # noqa: ARG002
        strategy_id: str | None = None,  # noqa: ARG002
    ) -> list[Order]:
        """Return none."""
        return []

    orders_in_flight = orders_open

    def net_quantity(
        self,
        instrument_id: str,  # noqa: ARG002
        *,
        account_id: str | None = None,  # noqa: ARG002
    ) -> Decimal:
        """Return 0."""
        return ZERO


class Tracked:
    """One order as its client sees it.

    Attributes:
        client_order_id, instrument_id, strategy_id, side, order_type: As in the order;
            `strategy_id` is None for one that nobody here sent.
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


class Tracking:
    """Every order of one account, and the way of its reports.

    Args:
        account_id: Which; orders that the node knows of other accounts are none of its.
        send: Takes what goes on to the execution engine.
        on_owed: Told of an order whose fills are to be asked for.
        on_state: Told of an order and each state of it that is taken, before it goes on.

    Attributes:
        orders: Those that were heard of, by our id (or a made one for orders of others).
        lookup: What the node knows.
        latest_fill_ns: When the newest fill happened.
    """

    def __init__(
        self,
        account_id: AccountId,
        send: Callable[[Any], None],
        on_owed: Callable[[Tracked], None],
        on_state: Callable[[Tracked, OrderStatusReport], None],
    ) -> None:
        self.orders: dict[ClientOrderId, Tracked] = {}
        self.lookup: OrderLookup = NoOrders()
        self.latest_fill_ns = 0
        self._account_id = account_id
        self._send = send
        self._on_owed = on_owed
        self._on_state = on_state
        self._by_venue_id: dict[tuple[InstrumentId, VenueOrderId], Tracked] = {}
        self._fills: dict[tuple[InstrumentId, TradeId], None] = {}
        self._nameless: list[OrderStatusReport | FillReport] = []

    # Orders

    def begin(self, order: Any) -> Tracked:
        """Follow an order that is about to be sent."""
        tracked = Tracked(
            order.client_order_id,
            order.instrument_id,
            order.strategy_id,
            order.side,
            order.order_type,
        )
        tracked.take_terms(order)
        self._keep(tracked)
        return tracked

    def adopt(self, order: Order) -> Tracked:
        """Follow an order that the node knows, with the fills that are counted there."""
        found = self.orders.get(order.client_order_id)
        if found is not None:
            return found
        tracked = self.begin(order)
        tracked.filled = order.filled_quantity
        tracked.sent_ns = order.ts_init
        tracked.has_ended = order.is_closed
        self._name(tracked, order.venue_order_id)
        for trade_id in order.trade_ids:
            self._fills[order.instrument_id, trade_id] = None
        return tracked

    def known(self, client_order_id: ClientOrderId) -> Tracked | None:
        """Return an order by our id, if it was heard of here or in the node."""
        found = self.orders.get(client_order_id)
        if found is None:
            found = self._adopted(self.lookup.order(client_order_id))
        return found

    def _adopted(self, order: Order | None) -> Tracked | None:
        is_ours = order is not None and order.account_id in (None, self._account_id)
        return self.adopt(order) if order is not None and is_ours else None

    def adopt_open(self) -> None:
        """Follow every order that the node knows to rest or to be on its way."""
        for order in self.lookup.orders_open():
            self._adopted(order)
        for order in self.lookup.orders_in_flight():
            tracked = self._adopted(order)
            if tracked is None or tracked.last is not None:
                continue
            if order.status is OrderStatus.SUBMITTED:
                tracked.awaits_submit = True

    def unfinished(self) -> list[Tracked]:
        """Return the orders that have not ended."""
        return [one for one in self.orders.values() if not one.is_over]

    def _keep(self, tracked: Tracked) -> None:
        self.orders[tracked.client_order_id] = tracked
        if len(self.orders) > _REMEMBERED_ORDERS:
            over = [one for one in self.orders.values() if one.is_over]
            for one in over[: _REMEMBERED_ORDERS // 4]:
                del self.orders[one.client_order_id]
                if one.venue_order_id is not None:
                    self._by_venue_id.pop((one.instrument_id, one.venue_order_id), None)

    def _name(self, tracked: Tracked, venue_order_id: VenueOrderId | None) -> None:
        if venue_order_id is not None:
            tracked.venue_order_id = venue_order_id
            self._by_venue_id[tracked.instrument_id, venue_order_id] = tracked

    def _of(self, report: OrderStatusReport | FillReport) -> Tracked | None:
        """Return the order a report is of, None if that cannot be said yet."""
        if report.client_order_id is not None:
            found = self.known(report.client_order_id)
            if found is not None:
                return found
        at_venue = report.instrument_id, report.venue_order_id
        found = self._by_venue_id.get(at_venue)
        if found is None:
            found = self._adopted(self.lookup.order_at_venue(*at_venue))
        if found is not None:
            return found
        if report.client_order_id is None and self._may_be_ours(report):
            return None
        order_id = report.client_order_id or ClientOrderId(f"E-{'-'.join(at_venue)}")
        order_type = OrderType.MARKET
        if isinstance(report, OrderStatusReport):
            order_type = report.order_type
        made = Tracked(order_id, report.instrument_id, None, report.side, order_type)
        made.quantity = report.quantity
        self._keep(made)
        return made

    def _may_be_ours(self, report: OrderStatusReport | FillReport) -> bool:
        return any(
            one.venue_order_id is None
            and one.awaits_submit
            and one.instrument_id == report.instrument_id
            and one.side is report.side
            for one in self.orders.values()
        )

    def look_again(self) -> None:
        """Take again what waited for an order to be named; call it once an answer is settled."""
        waiting, self._nameless = self._nameless, []
        for report in waiting:
            self.take(report)

    # Reports

    def take(self, report: OrderStatusReport | FillReport, *, is_asked: bool = False) -> None:
        """Take an order's state or a fill.

        Args:
            report: What the venue says.
            is_asked: Whether it goes on even if it says nothing new.
        """
        tracked = self._of(report)
        if tracked is None:
            self._nameless.append(report)
            return
        is_new_name = tracked.venue_order_id != report.venue_order_id
        if isinstance(report, FillReport):
            if tracked.venue_order_id is None:
                self._name(tracked, report.venue_order_id)
            self._take_fill(tracked, report)
        else:
            self._take_state(tracked, report, is_asked=is_asked)
        if is_new_name and self._nameless:
            self.look_again()

    def _take_fill(self, tracked: Tracked, report: FillReport) -> None:
        key = report.instrument_id, report.trade_id
        if key in self._fills:
            return
        self._fills[key] = None
        if len(self._fills) > _REMEMBERED_FILLS:
            del self._fills[next(iter(self._fills))]
        self.latest_fill_ns = max(self.latest_fill_ns, report.ts_event)
        if report.client_order_id is None and tracked.strategy_id is not None:
            report = msgspec.structs.replace(report, client_order_id=tracked.client_order_id)
        if not _fits(tracked, report):
            tracked.early.append(report)
            self._on_owed(tracked)
            return
        self._count(tracked, report)

    def _count(self, tracked: Tracked, report: FillReport) -> None:
        counted = min(tracked.inferred, report.quantity)
        tracked.inferred -= counted
        tracked.filled += report.quantity - counted
        self._send(report)
        owed = tracked.owed
        if owed is not None and tracked.filled >= owed.filled_quantity:
            tracked.owed = None
            self._go_on(tracked, owed)

    def release(self, tracked: Tracked, *, is_last: bool = False) -> None:
        """Let fills go on that waited for a new quantity; the last time whether it fits or not."""
        waiting, tracked.early = tracked.early, []
        for fill in waiting:
            if is_last or _fits(tracked, fill):
                self._count(tracked, fill)
            else:
                tracked.early.append(fill)

    def _take_state(self, tracked: Tracked, report: OrderStatusReport, *, is_asked: bool) -> None:
        if _is_behind(report, tracked.last) or _is_behind(report, tracked.owed):
            return
        if report.client_order_id is None and tracked.strategy_id is not None:
            report = msgspec.structs.replace(report, client_order_id=tracked.client_order_id)
        self._name(tracked, report.venue_order_id)
        if report.filled_quantity > tracked.filled:
            self._owe(tracked, report)
        elif is_asked or not _says_the_same(report, tracked.last):
            self._go_on(tracked, report)
        else:
            self._on_state(tracked, report)

    def _owe(self, tracked: Tracked, report: OrderStatusReport) -> None:
        tracked.owed = report
        terms = report.quantity, report.price, report.trigger_price
        if tracked.last is None or terms != (
            tracked.quantity,
            tracked.price,
            tracked.trigger_price,
        ):
            # That it has arrived, or has other terms, is told at once.
            status = OrderStatus.PARTIALLY_FILLED if tracked.filled else OrderStatus.ACCEPTED
            early = msgspec.structs.replace(
                report, status=status, filled_quantity=tracked.filled, average_price=None
            )
            self._go_on(tracked, early)
        self.release(tracked, is_last=report.status in CLOSED)
        if tracked.filled < report.filled_quantity:
            self._on_owed(tracked)

    def give_up(self, tracked: Tracked) -> None:
        """Let a state go on whose fills the venue does not give: the rest is inferred from it."""
        self.release(tracked, is_last=True)
        owed, tracked.owed = tracked.owed, None
        if owed is not None:
            tracked.inferred += owed.filled_quantity - tracked.filled
            tracked.filled = owed.filled_quantity
            self._go_on(tracked, owed)

    def _go_on(self, tracked: Tracked, report: OrderStatusReport) -> None:
        if report.filled_quantity < tracked.filled and report.status not in CLOSED:
            # A newer fill overtook this state, which says the rest all the same.
            report = msgspec.structs.replace(
                report,
                status=OrderStatus.PARTIALLY_FILLED,
                filled_quantity=tracked.filled,
                average_price=None,
            )
        tracked.last = report
        self._on_state(tracked, report)
        is_overtaken = report.status not in CLOSED and tracked.filled >= report.quantity
        if not is_overtaken:
            self._send(report)
        if tracked.change is None:
            tracked.take_terms(report)
        if tracked.early:
            self.release(tracked)

    def absorb(
        self, orders: Iterable[OrderStatusReport], fills: Iterable[FillReport]
    ) -> tuple[list[OrderStatusReport], list[FillReport]]:
        """Take what a venue holds as known without sending it on; return it with our ids.

        For what is applied elsewhere, at the start: what comes later counts from here.
        """
        kept: list[Any] = []
        send, self._send = self._send, kept.append
        try:
            for fill in sorted(fills, key=lambda one: (one.ts_event, one.trade_id)):
                self.take(fill)
            for report in orders:
                self.take(report, is_asked=True)
                tracked = self._of(report)
                if tracked is not None and tracked.owed is not None:
                    self.give_up(tracked)
        finally:
            self._send = send
        states = {
            (one.instrument_id, one.venue_order_id): one
            for one in kept
            if isinstance(one, OrderStatusReport)
        }
        return list(states.values()), [one for one in kept if isinstance(one, FillReport)]


def _fits(tracked: Tracked, fill: FillReport) -> bool:
    """Return whether a fill can be counted, by the order's quantity as far as it is known."""
    if tracked.strategy_id is None:
        return True
    left = tracked.quantity - tracked.filled - fill.quantity + tracked.inferred
    # While a change is on its way, what fills the old quantity may be a part of the new one.
    return left > 0 or (left == 0 and tracked.change is None)


def _is_behind(report: OrderStatusReport, known: OrderStatusReport | None) -> bool:
    """Return whether a state is older than one that is known."""
    if known is None:
        return False
    if known.status in CLOSED:
        # A correction of how much had filled is let through: by what filled, not by time.
        return report.status not in CLOSED or report.filled_quantity < known.filled_quantity
    if report.filled_quantity != known.filled_quantity:
        return report.filled_quantity < known.filled_quantity
    return report.ts_event < known.ts_event and report.status not in CLOSED


def _says_the_same(report: OrderStatusReport, known: OrderStatusReport | None) -> bool:
    if known is None:
        return False
    return msgspec.structs.replace(report, ts_event=known.ts_event, ts_init=known.ts_init) == known

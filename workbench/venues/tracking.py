"""What a venue reports of orders, made harmless: duplicates, late ones, fills that come in any way.

Reports go on to the execution engine, which turns them into events. On the way:

- A fill counts once, by instrument and trade id, however often and by whichever way it comes.
- An order's state only goes forward: by cumulative quantity, then by time; nothing follows an end.
- A fill beyond an order's quantity waits for a state that tells a new one, as does a fill of all of
  it while a change is on its way: else the order would end here and live on there. For the same
  reason a fill of an order that nobody here knows waits for its first state.
- A state that tells of more fills than came waits for them (`owed`), so that their own price and
  commission count. The fills are asked for; only where the venue does not give them does the state
  go on as it is, and the engine infers a fill.
- What has no client order id is known by the venue's id; while an order is on its way whose venue
  id is not known yet, it waits, and the venue is asked whose it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec

from workbench.engines.clients import OrderLookup
from workbench.model.enums import OrderStatus, OrderType
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    TradeId,
    VenueOrderId,
)
from workbench.model.money import ZERO
from workbench.model.order_state import CLOSED
from workbench.model.orders import Order
from workbench.model.reports import FillReport, OrderStatusReport
from workbench.venues.tracked import Tracked, fits, is_behind, is_unheard_of, says_the_same

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


class Tracking:
    """Every order of one account, and the way of its reports.

    Args:
        account_id: Which; orders that the node knows of other accounts are none of its.
        send: Takes what goes on to the execution engine.
        on_owed: Told of an order whose fills are to be asked for.
        on_state: Told of an order and each state of it that is taken, before it goes on.
        on_nameless: Told of what waits until it can be said whose it is, by instrument and the
            venue's id; once for each.

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
        on_nameless: Callable[[InstrumentId, VenueOrderId], None],
    ) -> None:
        self.orders: dict[ClientOrderId, Tracked] = {}
        self.lookup: OrderLookup = NoOrders()
        self.latest_fill_ns = 0
        self._account_id = account_id
        self._send = send
        self._on_owed = on_owed
        self._on_state = on_state
        self._on_nameless = on_nameless
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
        tracked.was_changing = order.status is OrderStatus.PENDING_UPDATE
        self._name(tracked, order.venue_order_id)
        for trade_id in order.trade_ids:
            self._fills[order.instrument_id, trade_id] = None
        return tracked

    def known(self, client_order_id: ClientOrderId) -> Tracked | None:
        """Return an order by our id, if it was heard of here or in the node."""
        found = self.orders.get(client_order_id)
        if found is None:
            return self._adopted(self.lookup.order(client_order_id))
        if found.strategy_id is None:
            # Reports of it came first; by now the node has given it to somebody.
            order = self.lookup.order(client_order_id)
            if order is not None and self._is_mine(order):
                found.strategy_id = order.strategy_id
        return found

    def _is_mine(self, order: Order) -> bool:
        return order.account_id in (None, self._account_id)

    def _adopted(self, order: Order | None) -> Tracked | None:
        return self.adopt(order) if order is not None and self._is_mine(order) else None

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
        if found is not None:
            found = self.known(found.client_order_id) or found
        else:
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

    @property
    def nameless(self) -> list[tuple[InstrumentId, VenueOrderId]]:
        """Return instrument and venue's id of the orders of which reports wait, each once."""
        waiting = ((report.instrument_id, report.venue_order_id) for report in self._nameless)
        return list(dict.fromkeys(waiting))

    # Reports

    def take(self, report: OrderStatusReport | FillReport, *, is_asked: bool = False) -> None:
        """Take an order's state or a fill.

        Args:
            report: What the venue says.
            is_asked: Whether it goes on even if it says nothing new.
        """
        tracked = self._of(report)
        if tracked is None:
            at_venue = report.instrument_id, report.venue_order_id
            is_first = at_venue not in self.nameless
            self._nameless.append(report)
            if is_first:
                self._on_nameless(*at_venue)
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
        if not fits(tracked, report) or is_unheard_of(tracked):
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
            if is_last or fits(tracked, fill):
                self._count(tracked, fill)
            else:
                tracked.early.append(fill)

    def _take_state(self, tracked: Tracked, report: OrderStatusReport, *, is_asked: bool) -> None:
        if is_behind(report, tracked.last) or is_behind(report, tracked.owed):
            return
        if report.client_order_id is None and tracked.strategy_id is not None:
            report = msgspec.structs.replace(report, client_order_id=tracked.client_order_id)
        self._name(tracked, report.venue_order_id)
        if report.filled_quantity > tracked.filled:
            self._owe(tracked, report)
        elif is_asked or not says_the_same(report, tracked.last):
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
            for tracked in self.unfinished():
                if tracked.early and is_unheard_of(tracked):
                    self.release(tracked, is_last=True)  # no open order: this is all there is
        finally:
            self._send = send
        states = {
            (one.instrument_id, one.venue_order_id): one
            for one in kept
            if isinstance(one, OrderStatusReport)
        }
        return list(states.values()), [one for one in kept if isinstance(one, FillReport)]

"""What a simulated venue tells of its orders, as events and reports stamped with its clock."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from workbench.model.commands import CancelOrder, ModifyOrder
from workbench.model.enums import OrderStatus
from workbench.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderRejected,
    OrderTriggered,
    OrderUpdated,
    about,
)
from workbench.model.identifiers import AccountId, PositionId, TradeId, Venue
from workbench.model.money import Currency
from workbench.model.reports import OrderStatusReport
from workbench.runtime.clock import Clock
from workbench.sim.fee_models import FillFacts
from workbench.sim.resting import VenueOrder


class Answers:
    """Sends the events of orders; those of fills it only makes.

    Args:
        venue: Its name, part of trade ids.
        account_id: Whose orders.
        clock: For the time of events.
        send: Takes them.

    Attributes:
        trades: How many fills there were, which their ids count.
    """

    def __init__(
        self, venue: Venue, account_id: AccountId, clock: Clock, send: Callable[[Any], None]
    ) -> None:
        self._venue = venue
        self.trades = 0
        self._account_id = account_id
        self._clock = clock
        self._send = send

    def _about(self, what: Any) -> dict[str, Any]:
        fields = about(what, self._clock.timestamp_ns())
        fields["account_id"] = self._account_id
        return fields

    def accepted(self, order: VenueOrder) -> None:
        """Tell that an order rests, or waits."""
        self._tell(OrderAccepted, order)

    def rejected(self, definition: OrderInitialized, reason: str) -> None:
        """Tell that an order was refused."""
        self._send(OrderRejected(reason=reason, **self._about(definition)))

    def triggered(self, order: VenueOrder) -> None:
        """Tell that an order is a limit order now."""
        self._tell(OrderTriggered, order)

    def updated(self, order: VenueOrder, *, is_unasked: bool) -> None:
        """Tell what an order is now."""
        self._tell(
            OrderUpdated,
            order,
            quantity=order.quantity,
            price=order.price,
            trigger_price=order.trigger_price,
            is_unasked=is_unasked,
        )

    def canceled(self, order: VenueOrder, reason: str) -> None:
        """Tell that an order was cancelled."""
        self._tell(OrderCanceled, order, reason=reason)

    def expired(self, order: VenueOrder) -> None:
        """Tell that an order's time is over."""
        self._tell(OrderExpired, order)

    def fill(
        self,
        order: VenueOrder,
        facts: FillFacts,
        commission: Decimal,
        unit: Currency,
        position_id: PositionId | None,
    ) -> OrderFilled:
        """Return the event of a fill; the account is to see it first."""
        definition, now = order.definition, self._clock.timestamp_ns()
        self.trades += 1
        return OrderFilled(
            strategy_id=definition.strategy_id,
            instrument_id=definition.instrument_id,
            client_order_id=definition.client_order_id,
            account_id=self._account_id,
            venue_order_id=order.venue_order_id,
            trade_id=TradeId(f"{self._venue}-T{self.trades}"),
            side=definition.side,
            order_type=definition.order_type,
            quantity=facts.quantity,
            price=facts.price,
            commission=commission,
            commission_currency=unit,
            liquidity=facts.liquidity,
            position_id=position_id,
            ts_event=now,
            ts_init=now,
        )

    def modify_rejected(self, command: ModifyOrder, reason: str) -> None:
        """Tell that an order stays as it is."""
        self._send(OrderModifyRejected(reason=reason, **self._about(command)))

    def cancel_rejected(self, command: CancelOrder, reason: str) -> None:
        """Tell that there was nothing to cancel."""
        self._send(OrderCancelRejected(reason=reason, **self._about(command)))

    def report(self, order: VenueOrder) -> OrderStatusReport:
        """Return an open order as a report."""
        definition = order.definition
        now = self._clock.timestamp_ns()
        status = OrderStatus.TRIGGERED if order.is_triggered else OrderStatus.ACCEPTED
        return OrderStatusReport(
            account_id=self._account_id,
            instrument_id=definition.instrument_id,
            client_order_id=definition.client_order_id,
            venue_order_id=order.venue_order_id,
            side=order.side,
            order_type=definition.order_type,
            time_in_force=definition.time_in_force,
            status=OrderStatus.PARTIALLY_FILLED if order.filled else status,
            quantity=order.quantity,
            filled_quantity=order.filled,
            price=order.price,
            trigger_price=order.trigger_price,
            ts_event=now,
            ts_init=now,
        )

    def _tell(self, kind: Any, order: VenueOrder, **more: Any) -> None:
        self._send(
            kind(venue_order_id=order.venue_order_id, **more, **self._about(order.definition))
        )

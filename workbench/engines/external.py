"""What a venue's reports say that we do not know yet, as the events that make it so.

An order, fill or position that nobody here knows becomes an order of the strategy that claims its
instrument, else of `EXTERNAL`. Of an order that is known, what is missing is applied: its
acceptance, changed terms, fills, its end. A fill that no report holds, but quantities prove, is
inferred: at the price the averages imply, with a trade id made of the venue's order id and the
quantity filled, so that the same reports give the same fill.

What cannot be brought together (fewer fills at the venue than here, another position) changes
nothing and is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from workbench.engines.cache import Cache
from workbench.model import events as e
from workbench.model.enums import LiquiditySide, OrderSide, OrderStatus, OrderType, TimeInForce
from workbench.model.errors import ConfigError
from workbench.model.identifiers import (
    ClientOrderId,
    InstrumentId,
    StrategyId,
    TradeId,
    VenueOrderId,
)
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.model.order_state import CLOSED, OPEN, PENDING, TRANSITIONS, OrderTrigger
from workbench.model.orders import Order
from workbench.model.reports import (
    ExecutionReport,
    FillReport,
    OrderStatusReport,
    PositionReport,
)

EXTERNAL = StrategyId("EXTERNAL")
"""Who owns what was found at a venue and no strategy claims."""

FROM_FILL = "from_fill"
"""The tag of an order of which a fill was heard first: its quantity is what has filled so far."""

_NOT_THERE_YET = frozenset({OrderStatus.INITIALIZED, OrderStatus.SUBMITTED})
_AT_VENUE = OPEN | {OrderStatus.SUBMITTED, OrderStatus.FILLED}


class ExternalOrders:
    """Turns reports into events.

    Args:
        cache: What is known here.
        unreconciled: Told of a report that cannot be brought together with it, and why.
        align_positions: Whether a position that differs is made equal by a synthetic fill.
    """

    def __init__(
        self,
        cache: Cache,
        unreconciled: Callable[[ExecutionReport, str], None],
        *,
        align_positions: bool = False,
    ) -> None:
        self._cache = cache
        self._unreconciled = unreconciled
        self._align_positions = align_positions
        self._claims: dict[InstrumentId, StrategyId] = {}

    def claim(self, instrument_id: InstrumentId, strategy_id: StrategyId) -> None:
        """Give external orders of an instrument to a strategy.

        Raises:
            ConfigError: If another one claims it.
        """
        owner = self._claims.setdefault(instrument_id, strategy_id)
        if owner != strategy_id:
            raise ConfigError(
                f"external orders of {instrument_id} are claimed by {owner} already; {strategy_id}"
                " cannot have them too"
            )

    def unclaim(self, instrument_id: InstrumentId, strategy_id: StrategyId) -> None:
        """Give external orders of an instrument to nobody, where a strategy claims them."""
        if self._claims.get(instrument_id) == strategy_id:
            del self._claims[instrument_id]

    @property
    def claims(self) -> dict[InstrumentId, StrategyId]:
        """Return who claims external orders of which instrument."""
        return dict(self._claims)

    def owner_of(self, instrument_id: InstrumentId) -> StrategyId:
        """Return who gets external orders of an instrument."""
        return self._claims.get(instrument_id, EXTERNAL)

    def events(self, report: ExecutionReport) -> Iterator[e.OrderEvent]:
        """Yield what a report adds, one event at a time: each is applied before the next is made.

        `OrderInitialized` comes first for an order that is new here.
        """
        instrument = self._cache.instrument(report.instrument_id)
        if instrument is None:
            self._unreconciled(report, f"no instrument {report.instrument_id} is known")
        elif isinstance(report, OrderStatusReport):
            yield from self._of_status(report)
        elif isinstance(report, FillReport):
            yield from self._of_fill(report)
        else:
            yield from self._of_position(report, instrument)

    # Orders

    def _find(self, report: OrderStatusReport | FillReport) -> Order | None:
        found = self._cache.order(_id_of(report))
        if found is None:
            found = self._cache.order_at_venue(report.instrument_id, report.venue_order_id)
        return found

    def _is_forgotten(self, report: OrderStatusReport | FillReport) -> bool:
        """Return whether a report is of what may have been purged.

        A fill tells by its time. An order that is over may have been reported just now: once
        anything was purged, none is taken in.
        """
        until = self._cache.purged_before_ns
        is_over = isinstance(report, OrderStatusReport) and bool(until)
        if report.ts_event >= until and not is_over:
            return False
        self._unreconciled(report, "no such order is known; it may have been forgotten (purged)")
        return True

    def _of_status(self, report: OrderStatusReport) -> Iterator[e.OrderEvent]:
        order = self._find(report)
        if order is None:
            if report.status in CLOSED and self._is_forgotten(report):
                return
            made = self._made(
                report,
                _id_of(report),
                quantity=report.quantity,
                order_type=report.order_type,
                time_in_force=report.time_in_force,
                price=report.price,
                trigger_price=report.trigger_price,
            )
            yield made
            order = self._cache.order(made.client_order_id)
        if order is not None:
            yield from self._catch_up(order, report)

    def _made(
        self,
        report: ExecutionReport,
        client_order_id: ClientOrderId,
        *,
        side: OrderSide | None = None,
        **terms: Any,
    ) -> e.OrderInitialized:
        if not isinstance(report, PositionReport):
            side = report.side
        return e.OrderInitialized(
            strategy_id=self.owner_of(report.instrument_id),
            instrument_id=report.instrument_id,
            client_order_id=client_order_id,
            side=side or OrderSide.BUY,
            ts_event=report.ts_event,
            ts_init=report.ts_init,
            **terms,
        )

    def _catch_up(self, order: Order, report: OrderStatusReport) -> Iterator[e.OrderEvent]:
        about = _about(order, report)
        if report.status is OrderStatus.REJECTED:
            if _can(order, OrderTrigger.REJECT):
                yield e.OrderRejected(account_id=report.account_id, reason=report.reason, **about)
            return
        # One that expired at once, such as an IOC, may be told without having been accepted.
        is_over = report.status is OrderStatus.EXPIRED and not _can(order, OrderTrigger.EXPIRE)
        if order.status in _NOT_THERE_YET and (
            report.status in _AT_VENUE or report.filled_quantity or is_over
        ):
            yield _accepted(order, report)
        if report.ts_event >= order.ts_last:
            yield from self._changed(order, report)
        yield from self._filled(order, report)
        located = {"account_id": report.account_id, "venue_order_id": report.venue_order_id}
        if report.status is OrderStatus.TRIGGERED and order.status is OrderStatus.ACCEPTED:
            yield e.OrderTriggered(**located, **about)
        elif report.status is OrderStatus.CANCELED and _can(order, OrderTrigger.CANCEL):
            yield e.OrderCanceled(reason=report.reason, **located, **about)
        elif report.status is OrderStatus.EXPIRED and _can(order, OrderTrigger.EXPIRE):
            yield e.OrderExpired(**located, **about)

    def _changed(self, order: Order, report: OrderStatusReport) -> Iterator[e.OrderEvent]:
        if report.status in OPEN and order.is_closed:
            self._unreconciled(report, f"it is open at the venue; here it is {order.status.value}")
            return
        if not order.is_open or order.status in PENDING:
            return
        terms: dict[str, Decimal] = {}
        if report.quantity != order.quantity and report.quantity >= order.filled_quantity:
            terms["quantity"] = report.quantity
        if report.price is not None and report.price != order.price:
            terms["price"] = report.price
        if report.trigger_price is not None and report.trigger_price != order.trigger_price:
            terms["trigger_price"] = report.trigger_price
        if terms:
            yield e.OrderUpdated(
                is_unasked=True,
                account_id=report.account_id,
                venue_order_id=report.venue_order_id,
                **terms,
                **_about(order, report),
            )

    def _filled(self, order: Order, report: OrderStatusReport) -> Iterator[e.OrderEvent]:
        """Infer a fill where the venue has filled more than we know of."""
        missing = report.filled_quantity - order.filled_quantity
        if not missing:
            return
        if missing < 0:
            if report.ts_event >= order.ts_last:
                self._unreconciled(
                    report,
                    f"{report.filled_quantity} filled at the venue, {order.filled_quantity} here",
                )
            return
        price = _implied_price(order, report)
        if price is None:
            self._unreconciled(
                report, f"{missing} more filled at the venue than here, and no price is given"
            )
            return
        yield self._fill(
            order,
            report,
            trade_id=TradeId(f"INFERRED-{report.venue_order_id}-{report.filled_quantity}"),
            venue_order_id=report.venue_order_id,
            quantity=missing,
            price=price,
        )

    def _fill(
        self,
        order: Order,
        report: ExecutionReport,
        *,
        trade_id: TradeId,
        venue_order_id: VenueOrderId,
        quantity: Decimal,
        price: Decimal,
    ) -> e.OrderFilled:
        """Return a fill that no report holds."""
        instrument = self._cache.require_instrument(order.instrument_id)
        return e.OrderFilled(
            account_id=report.account_id,
            venue_order_id=venue_order_id,
            trade_id=trade_id,
            side=order.side,
            order_type=order.order_type,
            quantity=quantity,
            price=price,
            commission=ZERO,
            commission_currency=instrument.settlement_currency,
            liquidity=LiquiditySide.TAKER,
            reconciliation=True,
            **_about(order, report),
        )

    # Fills

    def _of_fill(self, report: FillReport) -> Iterator[e.OrderEvent]:
        order = self._find(report)
        if order is None:
            if self._is_forgotten(report):
                return
            made = self._made(
                report,
                _id_of(report),
                quantity=report.quantity,
                order_type=OrderType.MARKET,
                terms=e.OrderTerms(tags=(FROM_FILL,)),
            )
            yield made
            order = self._cache.order(made.client_order_id)
        if order is None or report.trade_id in order.trade_ids:
            return
        if order.status is OrderStatus.INITIALIZED:
            yield _accepted(order, report)
        yield e.OrderFilled(
            account_id=report.account_id,
            venue_order_id=report.venue_order_id,
            trade_id=report.trade_id,
            side=report.side,
            order_type=order.order_type,
            quantity=report.quantity,
            price=report.price,
            commission=report.commission,
            commission_currency=report.commission_currency,
            liquidity=report.liquidity,
            **_about(order, report),
        )

    # Positions

    def _of_position(
        self, report: PositionReport, instrument: Instrument
    ) -> Iterator[e.OrderEvent]:
        here = self._cache.net_quantity(report.instrument_id, account_id=report.account_id)
        missing = report.signed_quantity - here
        if not missing:
            return
        price = report.average_open
        if price is None:
            market = self._cache.price_to(
                report.instrument_id, OrderSide.BUY if missing > 0 else OrderSide.SELL
            )
            price = None if market is None else instrument.price(market)
        if not self._align_positions or price is None:
            why = "" if price is not None else ", and no price is known to align them"
            self._unreconciled(report, f"{report.signed_quantity} at the venue, {here} here{why}")
            return
        # The quantity too: a later report of the same moment may say another one.
        name = (
            f"E-ALIGN-{report.account_id}-{report.instrument_id}-{report.ts_event}-"
            f"{report.signed_quantity}"
        )
        if self._cache.order(name) is not None:
            self._unreconciled(report, f"{here} here, though {name} made them equal before")
            return
        made = self._made(
            report,
            ClientOrderId(name),
            side=OrderSide.BUY if missing > 0 else OrderSide.SELL,
            quantity=abs(missing),
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.IOC,
        )
        yield made
        order = self._cache.order(made.client_order_id)
        if order is None:
            return
        yield _accepted(order, report)
        yield self._fill(
            order,
            report,
            trade_id=TradeId(name),
            venue_order_id=VenueOrderId(name),
            quantity=abs(missing),
            price=price,
        )


def _id_of(report: OrderStatusReport | FillReport) -> ClientOrderId:
    if report.client_order_id is not None:
        return report.client_order_id
    # Some venues count their orders by instrument.
    return ClientOrderId(f"E-{report.instrument_id}-{report.venue_order_id}")


def _can(order: Order, trigger: OrderTrigger) -> bool:
    return (order.status, trigger) in TRANSITIONS


def _about(order: Order, report: ExecutionReport) -> dict[str, Any]:
    return {
        "strategy_id": order.strategy_id,
        "instrument_id": order.instrument_id,
        "client_order_id": order.client_order_id,
        "ts_event": report.ts_event,
        "ts_init": report.ts_init,
    }


def _accepted(order: Order, report: ExecutionReport) -> e.OrderAccepted:
    name = order.client_order_id if isinstance(report, PositionReport) else report.venue_order_id
    return e.OrderAccepted(
        account_id=report.account_id,
        venue_order_id=VenueOrderId(name),
        **_about(order, report),
    )


def _implied_price(order: Order, report: OrderStatusReport) -> Decimal | None:
    """Return at what price the fills that are missing were made, on average.

    The venue's average over all fills, less what is known here, over the rest; where it gives none
    the order's limit.
    """
    average = report.average_price
    if average is None:
        return report.price or order.price
    known = order.filled_quantity * (order.average_price or ZERO)
    rest = report.filled_quantity - order.filled_quantity
    price = (average * report.filled_quantity - known) / rest
    return price if price > 0 else average

"""A strategy: an actor that sends orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, dataclass_transform

from workbench.model import events as e
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    SubmitOrder,
    SubmitOrderList,
)
from workbench.model.enums import OrderSide, parse_enum
from workbench.model.errors import ConfigError, LifecycleError
from workbench.model.identifiers import (
    ClientId,
    ClientOrderIds,
    ComponentId,
    InstrumentId,
    PositionId,
    StrategyId,
    venue_of,
)
from workbench.model.instruments import Number
from workbench.model.order_lists import OrderList
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.runtime.lifecycle import ComponentState
from workbench.trading.actor import ROOTS, Actor, not_added
from workbench.trading.admission import Admission
from workbench.trading.order_callbacks import resolved
from workbench.trading.order_factory import OrderFactory

if TYPE_CHECKING:
    from workbench.trading.core import TradingCore


@dataclass_transform(kw_only_default=True)
class Strategy(Actor):
    """Something that trades: subclass it, declare parameters, write callbacks.

    The same object runs in a backtest, on a replay, in a sandbox and live.

    >>> class BuyOnce(Strategy):
    ...     size: int = 1
    ...     def on_start(self):
    ...         self.subscribe_quotes()
    ...     def on_quote(self, quote):
    ...         if not self.cache.orders():
    ...             self.submit_order(self.orders.market(quote.instrument_id, "buy", self.size))
    >>> BuyOnce(size=2)
    BuyOnce(size=2)

    Attributes:
        strategy_id: Its name in the node, `CLASS-NNN`.
        orders: Makes its orders.
        external_order_claims: The instruments whose orders become this strategy's where a venue
            reports one that nobody here sent; a subclass sets it, or whoever makes the strategy.
    """

    external_order_claims: Sequence[str] = ()

    @property
    def strategy_id(self) -> StrategyId:
        """Return its name in the node."""
        return StrategyId(self.component_id)

    @property
    def orders(self) -> OrderFactory:
        """Return what makes its orders.

        Raises:
            LifecycleError: If it has not been added to anything.
        """
        try:
            return self._factory
        except AttributeError:
            raise not_added(self) from None

    def attach(self, core: TradingCore, component_id: ComponentId) -> None:
        """Make it part of a core, as it was when it was made; called by the core."""
        super().attach(core, component_id)
        owner = str(len(core.actors) + 1)
        ids = ClientOrderIds(core.run_tag, owner)
        self._admission = Admission(self)
        self._factory = OrderFactory(StrategyId(component_id), core.cache, core.clock, ids)
        self._callbacks = resolved(self, Strategy)
        self._early: list[e.OrderEvent | e.PositionEvent] | None = []

    def start(self) -> None:
        """Run `on_start`, then tell what became of its orders before; called by the core.

        Before it nothing that `on_start` sets is there, and our books may not be the venue's yet.
        """
        super().start()
        early, self._early = self._early, None
        for event in early or ():
            self._tell(event)

    def refresh_callbacks(self) -> None:
        """Take note that the class is another now; called when its code is exchanged."""
        super().refresh_callbacks()
        if self._core is not None and self.state is not ComponentState.FAULTED:
            self._callbacks = resolved(self, Strategy)

    def fault(self) -> None:
        """Take no further part after an exception; called by the core.

        Raises:
            StrategyError: If `on_fault` raised; it takes no further part all the same.
        """
        self._callbacks = {}
        super().fault()

    def handle_order_event(self, event: e.OrderEvent) -> None:
        """Call what there is for this event; called by the execution engine."""
        self._tell(event)

    def handle_position_event(self, event: e.PositionEvent) -> None:
        """Call what there is for this event; called by the execution engine."""
        self._tell(event)

    def _tell(self, event: e.OrderEvent | e.PositionEvent) -> None:
        if self._early is not None:
            self._early.append(event)
            return
        for name, callback in self._callbacks.get(type(event), ()):
            self.call(name, callback, event)

    # What it can do

    def submit_order(
        self,
        order: Order,
        *,
        client_id: str | None = None,
        account_id: str | None = None,
        position_id: str | None = None,
    ) -> None:
        """Send an order: through risk, into the trading commands, handled after this callback.

        A strategy that has stopped may still reduce what it holds; anything else of it is denied.

        Args:
            order: Made by `self.orders`; each is submitted once.
            client_id: The execution client, where not the first one of the instrument's venue.
            account_id: The same, by the account it trades for.
            position_id: The open position it belongs to, where a client keeps them apart (HEDGING);
                by default such an order opens one of its own.

        Raises:
            ConfigError: If it was submitted before, or is another strategy's.
            LifecycleError: If the node or backtest is over.
        """
        core = self._open_core()
        self._check_own(order)
        if order.terms.order_list_id is not None:
            raise ConfigError(
                f"order {order.client_order_id} is of list {order.terms.order_list_id}; submit the"
                " list: submit_order_list(...)"
            )
        if position_id is not None:
            order.position_id = PositionId(position_id)
        core.cache.add_order(order)
        if order.terms.quote_quantity is not None:
            core.risk.size_in_units(order)
        route = self._admission.route((order,), client_id, account_id)
        if route is None:
            return
        core.lanes.risk_commands.put(
            SubmitOrder(
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                order=order.to_initialized(),
                client_id=None if client_id is None else ClientId(client_id),
                account_id=route.account_id,
                ts_init=core.clock.timestamp_ns(),
            )
        )

    def submit_order_list(
        self,
        order_list: OrderList,
        *,
        client_id: str | None = None,
        account_id: str | None = None,
    ) -> None:
        """Send the orders of a list together, such as a bracket: all pass risk, or none leaves.

        Args:
            order_list: Made by `self.orders`: `bracket`, `oco`, `ouo`, `oto` or `together`.
            client_id: The execution client, where not the first one of the instrument's venue.
            account_id: The same, by the account it trades for.

        Raises:
            ConfigError: If it was submitted before, or is another strategy's.
            LifecycleError: If the node or backtest is over.
        """
        core = self._open_core()
        for order in order_list:
            self._check_own(order)
        for order in order_list:
            core.cache.add_order(order)
            if order.terms.quote_quantity is not None:
                core.risk.size_in_units(order)
        route = self._admission.route(tuple(order_list), client_id, account_id)
        if route is None:
            return
        core.lanes.risk_commands.put(
            SubmitOrderList(
                strategy_id=StrategyId(self.component_id),
                instrument_id=order_list[0].instrument_id,
                order_list_id=order_list.order_list_id,
                orders=tuple(order.to_initialized() for order in order_list),
                client_id=None if client_id is None else ClientId(client_id),
                account_id=route.account_id,
                ts_init=core.clock.timestamp_ns(),
            )
        )

    def modify_order(
        self,
        order: Order,
        *,
        quantity: Number | None = None,
        price: Number | None = None,
        trigger_price: Number | None = None,
    ) -> None:
        """Ask for another quantity, price or trigger price of an open order.

        Raises:
            ConfigError: If none is given, a number cannot be read, or the order was not submitted
                by this strategy.
            LifecycleError: If the node or backtest is over.
        """
        if quantity is None and price is None and trigger_price is None:
            raise ConfigError("pass the new quantity=..., price=..., trigger_price=..., or several")
        core = self._open_core()
        self._check_submitted(order)
        route = core.routes.find((order,), None, order.account_id)
        if route.code:
            fields = e.about(order, core.clock.timestamp_ns())
            core.senders.exec_event.send(
                e.OrderModifyRejected(code=route.code, reason=route.reason, **fields)
            )
            return
        instrument = core.cache.require_instrument(order.instrument_id)
        core.lanes.risk_commands.put(
            ModifyOrder(
                strategy_id=StrategyId(self.component_id),
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                quantity=None if quantity is None else instrument.exact_quantity(quantity),
                price=None if price is None else instrument.exact_price(price),
                trigger_price=(
                    None if trigger_price is None else instrument.exact_price(trigger_price)
                ),
                ts_init=core.clock.timestamp_ns(),
            )
        )

    def cancel_order(self, order: Order) -> None:
        """Ask for an order to be cancelled; cancels always pass risk.

        Raises:
            ConfigError: If it was not submitted by this strategy.
            LifecycleError: If the node or backtest is over.
        """
        core = self._open_core()
        self._check_submitted(order)
        core.lanes.risk_commands.put(
            CancelOrder(
                strategy_id=StrategyId(self.component_id),
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                ts_init=core.clock.timestamp_ns(),
            )
        )

    def cancel_all_orders(
        self, instrument_id: str | None = None, side: OrderSide | str | None = None
    ) -> None:
        """Ask for all of this strategy's open orders in an instrument to be cancelled.

        Args:
            instrument_id: Whose; by default every instrument with open orders.
            side: Only `"buy"` or `"sell"` orders; by default both.

        Raises:
            LifecycleError: If the node or backtest is over.
        """
        core = self._open_core()
        chosen = None if side is None else parse_enum(OrderSide, side, "side")
        if instrument_id is None:
            cache, mine = core.cache, self.component_id
            working = (
                *cache.orders_initialized(strategy_id=mine),
                *cache.orders_in_flight(strategy_id=mine),
                *cache.orders_open(strategy_id=mine),
                *cache.orders_emulated(strategy_id=mine),
            )
            targets = sorted({order.instrument_id for order in working})
        else:
            targets = [core.cache.require_instrument(instrument_id).id]
        for target in targets:
            core.lanes.risk_commands.put(
                CancelAllOrders(
                    strategy_id=StrategyId(self.component_id),
                    instrument_id=target,
                    side=chosen,
                    ts_init=core.clock.timestamp_ns(),
                )
            )

    def close_position(self, what: Position | str | None = None) -> None:
        """Send a reduce-only market order for what is held; does nothing when flat.

        As much as the instrument's step allows, rounded down: what is below a step, such as what a
        commission taken in the base currency has left, cannot be sold and stays.

        Args:
            what: A position, or an instrument, all of whose positions are closed (by default the
                only instrument).

        Raises:
            ConfigError: If the position is another strategy's.
        """
        if isinstance(what, Position):
            self._check_position(what)
            held = [what] if what.is_open else []
        else:
            chosen = self.instrument.id if what is None else InstrumentId(what)
            held = self.cache.positions_open(instrument_id=chosen, strategy_id=self.component_id)
        for position in held:
            quantity = position.instrument.quantity(position.quantity)
            if not quantity:
                continue
            self.submit_order(
                self.orders.market(
                    position.instrument_id,
                    OrderSide.SELL if position.signed_quantity > 0 else OrderSide.BUY,
                    quantity,
                    reduce_only=True,
                ),
                account_id=position.account_id,
                position_id=position.position_id,
            )

    def close_all_positions(self) -> None:
        """Send a reduce-only market order for each open position of this strategy.

        What is below an instrument's step stays (see `close_position`).
        """
        for position in self.cache.positions_open(strategy_id=self.component_id):
            self.close_position(position)

    def position(self, instrument_id: str | None = None) -> Position | None:
        """Return this strategy's open position in an instrument (default: the only one).

        Of several (HEDGING) the oldest; where the venue has several accounts, that in the account
        to which orders go now that name none. `cache.positions_open` has all.
        """
        chosen = self.instrument.id if instrument_id is None else InstrumentId(instrument_id)
        core = self.core
        cache = core.cache
        if not cache.has_several_accounts:
            return cache.position_of(chosen, self.component_id)
        venue = venue_of(chosen)
        route = core.routes.account_of(self.component_id, venue)
        account_id = cache.account_among(venue, account_id=route)
        return cache.position_of(chosen, self.component_id, account_id)

    def _open_core(self) -> TradingCore:
        """Return the core, which must still take commands, from this thread."""
        core = self.core
        core.check_thread()
        if core.lanes.risk_commands.is_closed:
            raise LifecycleError(
                f"what {self.component_id} was part of is over; it takes no more commands"
            )
        return core

    def _check_own(self, order: Order) -> None:
        if order.strategy_id != self.component_id:
            raise ConfigError(
                f"order {order.client_order_id} is of {order.strategy_id}, not of"
                f" {self.component_id}; make it with this strategy's own `self.orders`"
            )

    def _check_position(self, position: Position) -> None:
        if position.strategy_id != self.component_id:
            raise ConfigError(
                f"position {position.position_id} is of {position.strategy_id}, not of"
                f" {self.component_id}"
            )

    def _check_submitted(self, order: Order) -> None:
        self._check_own(order)
        if self.core.cache.order(order.client_order_id) is None:
            raise ConfigError(f"order {order.client_order_id} has not been submitted yet")

    def late_denial(self, command: SubmitOrder) -> e.OrderDenied | None:
        """Return what refuses an order that was held on our side, None where it may leave now."""
        return self._admission.late_denial(command)

    # Callbacks, to be overridden

    def on_order_event(self, event: e.OrderEvent) -> None:
        """Take any order event, after its own callback."""

    def on_order_initialized(self, event: e.OrderInitialized) -> None:
        """Take the news that an order was made and is on its way."""

    def on_order_denied(self, event: e.OrderDenied) -> None:
        """Take a refusal by risk."""

    def on_order_submitted(self, event: e.OrderSubmitted) -> None:
        """Take the news that an order was sent."""

    def on_order_accepted(self, event: e.OrderAccepted) -> None:
        """Take the venue's acceptance."""

    def on_order_rejected(self, event: e.OrderRejected) -> None:
        """Take the venue's refusal."""

    def on_order_canceled(self, event: e.OrderCanceled) -> None:
        """Take the news that an order no longer rests."""

    def on_order_expired(self, event: e.OrderExpired) -> None:
        """Take the end of an order's time in force."""

    def on_order_triggered(self, event: e.OrderTriggered) -> None:
        """Take the news that an order's trigger was reached."""

    def on_order_emulated(self, event: e.OrderEmulated) -> None:
        """Take the news that an order waits on our side."""

    def on_order_released(self, event: e.OrderReleased) -> None:
        """Take the news that what an order waited for on our side came."""

    def on_order_pending_update(self, event: e.OrderPendingUpdate) -> None:
        """Take the news that a modification is on its way."""

    def on_order_pending_cancel(self, event: e.OrderPendingCancel) -> None:
        """Take the news that a cancel is on its way."""

    def on_order_modify_rejected(self, event: e.OrderModifyRejected) -> None:
        """Take a refused modification."""

    def on_order_cancel_rejected(self, event: e.OrderCancelRejected) -> None:
        """Take a refused cancel."""

    def on_order_updated(self, event: e.OrderUpdated) -> None:
        """Take an order's new quantity or price."""

    def on_order_filled(self, event: e.OrderFilled) -> None:
        """Take a fill."""

    def on_position_event(self, event: e.PositionEvent) -> None:
        """Take any position event, after its own callback."""

    def on_position_opened(self, event: e.PositionOpened) -> None:
        """Take the opening of a position."""

    def on_position_changed(self, event: e.PositionChanged) -> None:
        """Take a position's growth or shrinking."""

    def on_position_closed(self, event: e.PositionClosed) -> None:
        """Take a position's end."""


ROOTS.add(Strategy)

"""The simulated exchange: takes commands and market data, answers with execution events.

It is the same in a backtest, a replay and a sandbox: it reads the time from the clock it was given
and, for latency, sets alerts on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from workbench.engines.accounts import ACCOUNT_TYPES, Account
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    QueryOrder,
    SubmitOrder,
    TradingCommand,
)
from workbench.model.data import Bar, BidAskBar, Quote, Trade
from workbench.model.enums import LiquiditySide, OrderSide, OrderStatus, PriceType
from workbench.model.errors import ConfigError
from workbench.model.events import (
    AccountState,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderFilled,
    OrderModifyRejected,
    OrderRejected,
    OrderUpdated,
    TimeEvent,
    about,
)
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    StrategyId,
    TradeId,
    VenueOrderId,
)
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO, round_to_digits
from workbench.model.reports import OrderStatusReport
from workbench.runtime.clock import Clock
from workbench.sim.matching import MatchingEngine, MatchingListener, VenueOrder, venue_order
from workbench.sim.venue import BarPath, FillOn, SimulatedVenue

Route = Callable[[Any], None]


class SimulatedExchange:
    """One simulated venue with one account.

    Args:
        settings: How to simulate, with its name and balances filled in.
        clock: For the time of events, and for latency.
        send_event: Takes execution events.
    """

    def __init__(
        self, settings: SimulatedVenue, clock: Clock, send_event: Callable[[Any], None]
    ) -> None:
        if settings.name is None:
            raise ConfigError(
                "a simulated exchange needs its settings' name; use `for_instruments`"
            )
        self.settings = settings
        self.name = settings.name
        self.account: Account = ACCOUNT_TYPES[settings.account_type](
            settings.account_id,
            list(settings.starting_balances),
            base_currency=settings.base_currency,
            leverage=settings.leverage,
            round_money=settings.round_money,
        )
        self._clock = clock
        self._send = send_event
        self._engines: dict[InstrumentId, MatchingEngine] = {}
        self._orders: dict[ClientOrderId, VenueOrder] = {}
        self._order_count = 0
        self._trade_count = 0
        self._sequence = 0
        self._on_its_way: deque[TradingCommand] = deque()
        self._alerts = 0
        self._reported: AccountState | None = None
        self._held: dict[tuple[InstrumentId, StrategyId], Decimal] = {}
        self._listener = MatchingListener(
            self._accepted, self._rejected, self._filled, self._canceled, self._reducible
        )

    @property
    def account_id(self) -> AccountId:
        """Return the id of its account."""
        return self.settings.account_id

    def add_instrument(self, instrument: Instrument) -> None:
        """List an instrument, if it is of this venue; a newer definition replaces the older.

        Raises:
            ConfigError: If the account cannot hold it.
        """
        if instrument.venue != self.name:
            return
        self.settings.check_holds(instrument)
        engine = self._engines.get(instrument.id)
        if engine is not None:
            engine.redefine(instrument)
            return
        self._engines[instrument.id] = MatchingEngine(
            instrument,
            self._listener,
            adaptive_bars=self.settings.bar_path is BarPath.ADAPTIVE,
            trades_move_book=self.settings.trades_move_book,
            waits_for_open=self.settings.fill_on is FillOn.NEXT_OPEN,
        )

    # Market data

    def process(self, message: Any) -> None:
        """See a data event before the data engine does."""
        if isinstance(message, Instrument):
            self.add_instrument(message)
            return
        instrument_id = getattr(message, "instrument_id", None)
        engine = None if instrument_id is None else self._engines.get(instrument_id)
        if engine is None:
            return
        if isinstance(message, Quote):
            engine.on_quote(message)
        elif isinstance(message, Trade):
            engine.on_trade(message)
        elif isinstance(message, BidAskBar):
            engine.on_paired_bar(message)
        elif isinstance(message, Bar):
            see_bars(engine, message.bar_type.spec.price_type)(message)

    def engine(self, instrument_id: InstrumentId) -> MatchingEngine | None:
        """Return the matching engine of an instrument, None if it is not listed."""
        return self._engines.get(instrument_id)

    # Commands

    def execute(self, command: TradingCommand) -> None:
        """Take a command: at once, or after the latency."""
        if not self.settings.latency_ns:
            self._arrive(command)
            return
        self._on_its_way.append(command)
        self._alerts += 1
        due = self._clock.timestamp_ns() + self.settings.latency_ns
        self._clock.set_alert(f"{self.name}:arrival:{self._alerts}", due, self._on_arrival)

    def _on_arrival(self, _: TimeEvent) -> None:
        self._arrive(self._on_its_way.popleft())

    def _arrive(self, command: TradingCommand) -> None:
        if isinstance(command, SubmitOrder):
            self._submit(command)
        elif isinstance(command, ModifyOrder):
            self._modify(command)
        elif isinstance(command, CancelOrder):
            self._cancel(command)
        elif isinstance(command, CancelAllOrders):
            self._cancel_all(command)
        else:
            self._query(command)

    def _submit(self, command: SubmitOrder) -> None:
        engine = self._engines.get(command.instrument_id)
        self._order_count += 1
        self._sequence += 1
        venue_order_id = VenueOrderId(f"{self.name}-{self._order_count}")
        if engine is None:
            reason = f"{command.instrument_id} is not listed at {self.name}"
            self._send(OrderRejected(reason=reason, **self._about(command)))
            return
        order = venue_order(command.order, venue_order_id, self._sequence, engine.instrument)
        self._orders[command.client_order_id] = order
        engine.place(order)

    def _open_order(self, client_order_id: ClientOrderId) -> VenueOrder | None:
        order = self._orders.get(client_order_id)
        return None if order is None or order.is_over else order

    def _modify(self, command: ModifyOrder) -> None:
        order = self._open_order(command.client_order_id)
        if order is None:
            self._send(OrderModifyRejected(reason="the order is not open", **self._about(command)))
            return
        engine = self._engines[command.instrument_id]
        quantity = order.quantity if command.quantity is None else command.quantity
        is_repriced = command.price is not None and command.price != order.price
        reason = ""
        if quantity < order.filled:
            reason = f"{order.filled} are filled; the quantity cannot become {quantity}"
        elif is_repriced and order.definition.post_only and engine.would_take(order, command.price):
            reason = "post-only, and it would have taken liquidity"
        if reason:
            self._send(OrderModifyRejected(reason=reason, **self._about(command)))
            return
        self._sequence += 1
        engine.amend(order, quantity, command.price, self._sequence)
        if order.leaves > 0:
            # The account first, as with a fill.
            self._lock(order)
        self._send(
            OrderUpdated(
                quantity=quantity,
                price=order.price,
                venue_order_id=order.venue_order_id,
                **self._about(command),
            )
        )
        if order.leaves <= 0:
            engine.remove(order)
            self._canceled(order, "its quantity was reduced to what is filled")
            return
        if is_repriced:
            engine.rematch(order)

    def _cancel(self, command: CancelOrder) -> None:
        order = self._open_order(command.client_order_id)
        if order is None:
            reason = "the order is not open"
            self._send(OrderCancelRejected(reason=reason, **self._about(command)))
            return
        self._engines[command.instrument_id].remove(order)
        self._canceled(order, "")

    def _cancel_all(self, command: CancelAllOrders) -> None:
        for order in list(self._orders.values()):
            definition = order.definition
            if (
                definition.instrument_id == command.instrument_id
                and definition.strategy_id == command.strategy_id
                and command.side in (None, order.side)
                and not order.is_over
            ):
                self._engines[command.instrument_id].remove(order)
                self._canceled(order, "")

    def _query(self, command: QueryOrder) -> None:
        order = self._open_order(command.client_order_id)
        if order is not None:
            self._send(self.report(order))

    def report(self, order: VenueOrder) -> OrderStatusReport:
        """Return an open order as a report."""
        definition = order.definition
        now = self._clock.timestamp_ns()
        return OrderStatusReport(
            account_id=self.account_id,
            instrument_id=definition.instrument_id,
            client_order_id=definition.client_order_id,
            venue_order_id=order.venue_order_id,
            side=order.side,
            order_type=definition.order_type,
            time_in_force=definition.time_in_force,
            status=OrderStatus.PARTIALLY_FILLED if order.filled else OrderStatus.ACCEPTED,
            quantity=order.quantity,
            filled_quantity=order.filled,
            price=order.price,
            ts_event=now,
            ts_init=now,
        )

    def open_orders(self) -> list[VenueOrder]:
        """Return the orders that rest or wait for the next bar."""
        return [order for order in self._orders.values() if not order.is_over]

    # What the matching engines decide

    def _about(self, what: Any) -> dict[str, Any]:
        fields = about(what, self._clock.timestamp_ns())
        fields["account_id"] = self.account_id
        return fields

    def _accepted(self, order: VenueOrder) -> None:
        self._lock(order)
        self._send(
            OrderAccepted(venue_order_id=order.venue_order_id, **self._about(order.definition))
        )

    def _rejected(self, order: VenueOrder, reason: str) -> None:
        self._forget(order)
        self._send(OrderRejected(reason=reason, **self._about(order.definition)))

    def _canceled(self, order: VenueOrder, reason: str) -> None:
        self._forget(order)
        self._send(
            OrderCanceled(
                venue_order_id=order.venue_order_id, reason=reason, **self._about(order.definition)
            )
        )

    def _filled(
        self, order: VenueOrder, quantity: Decimal, price: Decimal, liquidity: LiquiditySide
    ) -> None:
        definition = order.definition
        engine = self._engines[definition.instrument_id]
        instrument = engine.instrument
        now = self._clock.timestamp_ns()
        self._trade_count += 1
        commission = instrument.notional(quantity, price) * self._fee(instrument, liquidity)
        if self.settings.round_money:
            commission = round_to_digits(commission, instrument.settlement_currency)
        fill = OrderFilled(
            strategy_id=definition.strategy_id,
            instrument_id=definition.instrument_id,
            client_order_id=definition.client_order_id,
            account_id=self.account_id,
            venue_order_id=order.venue_order_id,
            trade_id=TradeId(f"{self.name}-T{self._trade_count}"),
            side=definition.side,
            order_type=definition.order_type,
            quantity=quantity,
            price=price,
            commission=commission,
            commission_currency=instrument.settlement_currency,
            liquidity=liquidity,
            ts_event=now,
            ts_init=now,
        )
        self.account.apply_fill(instrument, fill)
        key = (definition.instrument_id, definition.strategy_id)
        self._held[key] = self._held.get(key, ZERO) + definition.side.sign * quantity
        if order.is_over:
            self._orders.pop(definition.client_order_id, None)
            self.account.unlock_order(definition.client_order_id)
        elif definition.client_order_id in engine.resting:
            self._lock_silently(order, instrument)
        # The account first: whoever is told of the fill finds the balance that it left.
        self.send_account_state()
        self._send(fill)

    def _fee(self, instrument: Instrument, liquidity: LiquiditySide) -> Decimal:
        if liquidity is LiquiditySide.MAKER:
            fee = self.settings.maker_fee
            return instrument.maker_fee if fee is None else fee
        fee = self.settings.taker_fee
        return instrument.taker_fee if fee is None else fee

    def _reducible(self, order: VenueOrder) -> Decimal:
        definition = order.definition
        held = self._held.get((definition.instrument_id, definition.strategy_id), ZERO)
        against = -held if order.side is OrderSide.BUY else held
        return max(ZERO, against)

    def _lock_silently(self, order: VenueOrder, instrument: Instrument) -> None:
        locks = self.account.locks_reductions or not order.definition.reduce_only
        if order.price is not None and locks:
            self.account.lock_order(
                order.definition.client_order_id,
                order.definition.strategy_id,
                instrument,
                order.side.sign * order.leaves,
                order.price,
            )

    def _lock(self, order: VenueOrder) -> None:
        instrument = self._engines[order.definition.instrument_id].instrument
        self._lock_silently(order, instrument)
        self._report_account()

    def _forget(self, order: VenueOrder) -> None:
        self._orders.pop(order.definition.client_order_id, None)
        if self.account.unlock_order(order.definition.client_order_id):
            self._report_account()

    def _report_account(self) -> None:
        """Send the account's state if it is not what was sent before."""
        state = self.account.state(self._clock.timestamp_ns())
        before = self._reported
        if before is None or (before.balances, before.margins) != (state.balances, state.margins):
            self._reported = state
            self._send(state)

    def send_account_state(self) -> None:
        """Send the account's state, as a venue does when a client connects and after a fill."""
        self._reported = self.account.state(self._clock.timestamp_ns())
        self._send(self._reported)


def see_bars(engine: MatchingEngine, price_type: PriceType) -> Callable[[Bar | BidAskBar], None]:
    """Return what takes the bars of a stream: those of one side alone leave the other as it was."""
    if price_type in (PriceType.BID, PriceType.ASK):
        return engine.on_paired_bar
    return engine.on_bar  # pyright: ignore[reportReturnType]  # only a paired stream has pairs

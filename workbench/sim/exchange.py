"""The simulated exchange: takes commands and market data, answers with execution events.

It is the same in a backtest, a replay and a sandbox: it reads the time from the clock it was given
and, for latency, sets alerts on it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from workbench.engines.accounts import ACCOUNT_TYPES, Account
from workbench.engines.contingency import Contingencies, ContingencyActions
from workbench.engines.triggers import TRIGGERED
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    QueryOrder,
    SubmitOrder,
    SubmitOrderList,
    TradingCommand,
)
from workbench.model.data import (
    Bar,
    BidAskBar,
    FundingRate,
    InstrumentStatus,
    MarkPrice,
    Quote,
    Trade,
)
from workbench.model.enums import (
    LiquiditySide,
    OrderManagement,
    OrderType,
    PriceType,
    TimeInForce,
)
from workbench.model.errors import ConfigError
from workbench.model.events import (
    AccountState,
    OrderInitialized,
)
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    VenueOrderId,
)
from workbench.model.instruments import Instrument
from workbench.model.money import round_to_digits
from workbench.model.reports import OrderStatusReport
from workbench.runtime.clock import Clock
from workbench.sim.answers import Answers
from workbench.sim.arrivals import Arrivals
from workbench.sim.desk import AUCTIONS, MatchingListener
from workbench.sim.fee_models import FillFacts
from workbench.sim.funding import Funding
from workbench.sim.held import HeldPositions
from workbench.sim.matching import MatchingEngine
from workbench.sim.order_times import OrderTimes
from workbench.sim.resting import VenueOrder, venue_order
from workbench.sim.venue import BarPath, FillOn, SimulatedVenue

Route = Callable[[Any], None]


class SimulatedExchange:
    """One simulated venue with one account.

    Args:
        settings: How to simulate, with its name and balances filled in.
        clock: For the time of events, and for latency.
        send_event: Takes execution events.

    Attributes:
        account: Its balances.
        times: When orders end.
        arrivals: What is on its way here.
        held: What strategies hold.
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
            leverages=settings.leverages,
            round_money=settings.round_money,
            order_management=settings.order_management,
            fee=settings.fee_model.estimate,
        )
        self._clock = clock
        self._send = send_event
        self._engines: dict[InstrumentId, MatchingEngine] = {}
        self._orders: dict[ClientOrderId, VenueOrder] = {}
        self._order_count = 0
        self._sequence = 0
        self.times = OrderTimes(settings.name, clock, settings.session)
        self._is_hedging = settings.order_management is OrderManagement.HEDGING
        self.held = HeldPositions(is_hedging=self._is_hedging)
        self._funding = Funding(clock, self.times, self._pay_funding)
        self._ending: set[ClientOrderId] = set()  # a cancel of theirs is on its way
        self._reported: AccountState | None = None
        self._answers = Answers(settings.name, settings.account_id, clock, send_event)
        self._linked = Contingencies(
            ContingencyActions(self._cancel_linked, self._resize_linked, self._release)
        )
        self._fee = settings.fee_model.fee
        self.arrivals = Arrivals(settings.latency, clock, self.times, self._arrive, self._depart)
        self._listener = MatchingListener(
            self._accepted,
            self._rejected,
            self._triggered,
            self._updated,
            self._filled,
            self._canceled,
            self._expired,
            lambda order: self.held.reducible(order.definition),
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
            self.settings.fill_model,
            adaptive_bars=self.settings.bar_path is BarPath.ADAPTIVE,
            trades_move_book=self.settings.trades_move_book,
            waits_for_open=self.settings.fill_on is FillOn.NEXT_OPEN,
            rejects_reached=self.settings.rejects_reached_triggers,
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
        elif isinstance(message, MarkPrice):
            engine.on_mark(message.price)
        elif isinstance(message, InstrumentStatus):
            engine.on_status(message)
        elif isinstance(message, FundingRate):
            self._funding.see(message)

    def _pay_funding(self, instrument_id: InstrumentId, rate: Decimal) -> None:
        """Move the account by a funding, at the mark price or what stands for it."""
        engine = self._engines[instrument_id]
        price = engine.valuation()
        if price is not None and self.account.apply_funding(
            engine.instrument, rate, engine.instrument.price(price)
        ):
            self.send_account_state()

    def engine(self, instrument_id: InstrumentId) -> MatchingEngine | None:
        """Return the matching engine of an instrument, None if it is not listed."""
        return self._engines.get(instrument_id)

    # Commands

    def execute(self, command: TradingCommand) -> None:
        """Take a command: at once, or after the latency."""
        self.arrivals.send(command)

    def _depart(self, command: TradingCommand) -> None:
        self._ending.update(order.client_order_id for order in self._to_cancel(command))

    def _arrive(self, command: TradingCommand) -> None:
        _ARRIVALS[type(command)](self, command)

    def _submit(self, command: SubmitOrder) -> None:
        order = self._register(command.order)
        if order is not None:
            self._place(order, self._engines[command.instrument_id])

    def _submit_list(self, command: SubmitOrderList) -> None:
        self._linked.add(command.orders)
        made = [self._register(definition) for definition in command.orders]
        engine = self._engines.get(command.instrument_id)
        if engine is None:
            return
        # What waits is there before what it waits for can fill; a rejection reaches all of them.
        waiting = [self._linked.is_held(one.client_order_id) for one in command.orders]
        for order, is_waiting in zip(made, waiting, strict=True):
            if is_waiting and order is not None and not order.is_over:
                self._hold(order, engine)
        for order, is_waiting in zip(made, waiting, strict=True):
            if not is_waiting and order is not None and not order.is_over:
                self._place(order, engine)

    def _register(self, definition: OrderInitialized) -> VenueOrder | None:
        """Keep a new order; return None if its instrument is not listed."""
        self._order_count += 1
        self._sequence += 1
        venue_order_id = VenueOrderId(f"{self.name}-{self._order_count}")
        engine = self._engines.get(definition.instrument_id)
        if engine is None:
            self._refuse(definition, f"{definition.instrument_id} is not listed at {self.name}")
            return None
        order = venue_order(definition, venue_order_id, self._sequence, engine.instrument)
        self._orders[definition.client_order_id] = order
        return order

    def _hold(self, order: VenueOrder, engine: MatchingEngine) -> None:
        """Keep an order that waits for its parent."""
        self.times.watch(order, engine.desk, is_held=True)
        engine.desk.hold(order)

    def _place(self, order: VenueOrder, engine: MatchingEngine) -> None:
        """Let an order work, or reject it."""
        force, kind = order.definition.time_in_force, order.definition.order_type
        reason = engine.refusal(order) if engine.halt else ""
        if force in AUCTIONS and kind in TRIGGERED:
            reason = f"a {kind.value} order cannot be {force.value}"
        if reason:
            engine.desk.remove(order)
            self._rejected(order, reason)
            return
        if force is not TimeInForce.GTC:
            self.times.watch(order, engine.desk)
        engine.desk.place(order)

    def _refuse(self, definition: OrderInitialized, reason: str) -> None:
        self._answers.rejected(definition, reason)
        self._linked.on_over(definition.client_order_id, "rejected")

    def _open_order(self, client_order_id: ClientOrderId) -> VenueOrder | None:
        order = self._orders.get(client_order_id)
        return None if order is None or order.is_over else order

    def _modify(self, command: ModifyOrder) -> None:
        order = self._open_order(command.client_order_id)
        if order is None:
            self._answers.modify_rejected(command, "the order is not open")
            return
        engine = self._engines[command.instrument_id]
        quantity = order.quantity if command.quantity is None else command.quantity
        is_repriced = command.price not in (None, order.price)
        is_moved = command.trigger_price not in (None, order.trigger_price)
        reason = engine.halt or engine.desk.amend_refusal(
            order, quantity, command.price, command.trigger_price
        )
        if reason:
            self._answers.modify_rejected(command, reason)
            return
        self._sequence += 1
        engine.desk.amend(order, quantity, command.price, command.trigger_price, self._sequence)
        self._linked.on_resized(order.client_order_id, quantity)
        if order.leaves > 0 and not self._linked.is_held(order.client_order_id):
            # The account first, as with a fill.
            self._lock(order)
        self._answers.updated(order, is_unasked=False)
        if order.leaves <= 0:
            engine.desk.remove(order)
            self._canceled(order, "its quantity was reduced to what is filled")
            return
        if is_moved or (is_repriced and order.watch is None):
            engine.desk.rematch(order)

    def _cancel(self, command: CancelOrder) -> None:
        order = self._open_order(command.client_order_id)
        if order is None:
            self._answers.cancel_rejected(command, "the order is not open")
            return
        self._engines[command.instrument_id].desk.remove(order)
        self._canceled(order, "")

    def _cancel_all(self, command: CancelAllOrders) -> None:
        for order in self._to_cancel(command):
            if not order.is_over:
                self._engines[command.instrument_id].desk.remove(order)
                self._canceled(order, "")

    def _to_cancel(self, command: TradingCommand) -> list[VenueOrder]:
        """Return the orders that a command cancels, of those that are here now."""
        if isinstance(command, CancelOrder):
            order = self._open_order(command.client_order_id)
            return [] if order is None else [order]
        if not isinstance(command, CancelAllOrders):
            return []
        wanted = command.instrument_id, command.strategy_id
        return [
            order
            for order in self._orders.values()
            if (order.definition.instrument_id, order.definition.strategy_id) == wanted
            and command.side in (None, order.side)
        ]

    def _query(self, command: QueryOrder) -> None:
        order = self._open_order(command.client_order_id)
        if order is not None:
            self._send(self.report(order))

    def report(self, order: VenueOrder) -> OrderStatusReport:
        """Return an open order as a report."""
        return self._answers.report(order)

    def open_orders(self) -> list[VenueOrder]:
        """Return the orders that rest or wait for the next bar."""
        return [order for order in self._orders.values() if not order.is_over]

    # What the matching engines decide

    def _accepted(self, order: VenueOrder) -> None:
        if not self._linked.is_held(order.client_order_id):
            self._lock(order)
        self._answers.accepted(order)

    def _rejected(self, order: VenueOrder, reason: str) -> None:
        self._forget(order)
        self._refuse(order.definition, reason)

    def _triggered(self, order: VenueOrder) -> None:
        # Who waits for a cancel is told of that, or of fills, and of nothing else.
        if order.client_order_id not in self._ending:
            self._answers.triggered(order)

    def _updated(self, order: VenueOrder) -> None:
        self._lock(order)
        self._answers.updated(order, is_unasked=True)

    def _canceled(self, order: VenueOrder, reason: str) -> None:
        self._forget(order)
        self._answers.canceled(order, reason)
        self._linked.on_over(order.client_order_id, "canceled")

    def _expired(self, order: VenueOrder) -> None:
        self._forget(order)
        self._answers.expired(order)
        self._linked.on_over(order.client_order_id, "expired")

    # What becomes of linked orders

    def _cancel_linked(self, client_order_id: ClientOrderId, reason: str) -> None:
        order = self._open_order(client_order_id)
        if order is not None:
            self._engines[order.definition.instrument_id].desk.remove(order)
            self._canceled(order, reason)

    def _resize_linked(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        order = self._open_order(client_order_id)
        if order is None:
            return
        engine = self._engines[order.definition.instrument_id]
        if quantity <= order.filled:
            self._cancel_linked(client_order_id, "nothing is left for it to do")
            return
        self._sequence += 1
        engine.desk.amend(order, quantity, None, None, self._sequence)
        self._updated(order)

    def _release(self, client_order_id: ClientOrderId, quantity: Decimal) -> None:
        order = self._open_order(client_order_id)
        if order is None:
            return
        is_smaller, order.quantity = quantity != order.quantity, quantity
        if order.order_type is not OrderType.MARKET:
            self._lock(order)
        if is_smaller:
            self._answers.updated(order, is_unasked=True)
        engine = self._engines[order.definition.instrument_id]
        engine.desk.let_go(order)
        self._place(order, engine)

    def _filled(
        self, order: VenueOrder, quantity: Decimal, price: Decimal, liquidity: LiquiditySide
    ) -> None:
        definition = order.definition
        engine = self._engines[definition.instrument_id]
        instrument = engine.desk.instrument
        facts = FillFacts(quantity, price, liquidity, order.filled == quantity)
        commission, unit = self._fee(instrument, facts)
        if self.settings.round_money:
            commission = round_to_digits(commission, unit)
        position_id = definition.position_id
        if self._is_hedging:
            position_id = self.account.position_for(definition.client_order_id, position_id)
        fill = self._answers.fill(order, facts, commission, unit, position_id)
        self.account.apply_fill(instrument, fill)
        self.held.count(definition, quantity)
        if order.is_over:
            self._drop(order)
            self.account.unlock_order(definition.client_order_id)
        elif definition.client_order_id in engine.desk.resting:
            self._lock_silently(order, instrument)
        # The account first: whoever is told of the fill finds the balance that it left.
        self.send_account_state()
        self._send(fill)
        if definition.client_order_id in self._linked:
            self._linked.on_filled(definition.client_order_id, quantity)

    def _drop(self, order: VenueOrder) -> None:
        self._orders.pop(order.client_order_id, None)
        if self._ending:
            self._ending.discard(order.client_order_id)
        if self.times.ends:
            self.times.forget(order.client_order_id)

    def _lock_silently(self, order: VenueOrder, instrument: Instrument) -> None:
        locks = self.account.locks_reductions or not order.definition.reduce_only
        price = order.trigger_price if order.price is None else order.price
        if price is not None and locks:
            self.account.lock_order(
                order.definition.client_order_id,
                order.definition.strategy_id,
                instrument,
                order.side.sign * order.leaves,
                price,
                order.definition.position_id,
            )

    def _lock(self, order: VenueOrder) -> None:
        instrument = self._engines[order.definition.instrument_id].instrument
        self._lock_silently(order, instrument)
        self._report_account()

    def _forget(self, order: VenueOrder) -> None:
        self._drop(order)
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


# `Any`: each takes the command it stands beside.
_ARRIVALS: dict[type, Callable[[SimulatedExchange, Any], None]] = {
    SubmitOrder: SimulatedExchange._submit,  # pyright: ignore[reportPrivateUsage]
    SubmitOrderList: SimulatedExchange._submit_list,  # pyright: ignore[reportPrivateUsage]
    ModifyOrder: SimulatedExchange._modify,  # pyright: ignore[reportPrivateUsage]
    CancelOrder: SimulatedExchange._cancel,  # pyright: ignore[reportPrivateUsage]
    CancelAllOrders: SimulatedExchange._cancel_all,  # pyright: ignore[reportPrivateUsage]
    QueryOrder: SimulatedExchange._query,  # pyright: ignore[reportPrivateUsage]
}


def see_bars(engine: MatchingEngine, price_type: PriceType) -> Callable[[Bar | BidAskBar], None]:
    """Return what takes the bars of a stream: those of one side alone leave the other as it was."""
    if price_type in (PriceType.BID, PriceType.ASK):
        return engine.on_paired_bar
    return engine.on_bar  # pyright: ignore[reportReturnType]  # only a paired stream has pairs

"""The risk engine: every order is checked here, in one order, before anything leaves.

Each check returns None or a refusal, a code for programs and a sentence for people. A refused
submit becomes one `OrderDenied`, a refused modification one `OrderModifyRejected`; nothing is sent.
Cancels always pass. Of an order that fails several checks the first one is told:

1. `REDUCE_ONLY`: reduce-only against the position; for a child in a list, against what its parent
   will open too.
2. `INSTRUMENT_UNKNOWN`, `INSTRUMENT_INACTIVE`.
3. `FIELD_MISSING`, `..._INVALID`, `..._OFF_GRID` of price, trigger_price, activation_price,
   trailing_offset and limit_offset; `POST_ONLY_INVALID`.
4. `QUANTITY_INVALID`, `QUANTITY_OFF_GRID`, `QUANTITY_TOO_SMALL`, `QUANTITY_TOO_LARGE`,
   `DISPLAY_QUANTITY_INVALID`, `DISPLAY_QUANTITY_OFF_GRID`, `ORDER_TOO_LARGE` (configured).
5. `GTD_EXPIRED`.
6. `PRICE_MISSING`, `NOTIONAL_TOO_LARGE` (configured).
7. `NOTIONAL_TOO_LARGE`, `NOTIONAL_TOO_SMALL` (the instrument's).
8. `ACCOUNT_MISSING`, `ACCOUNT_TYPE`, `INSUFFICIENT_FUNDS`.
9. `QUOTE_STALE`.
10. `LOSS_UNKNOWN`, `MAX_LOSS_PER_DAY`, `TRADING_HALTED`, `TRADING_REDUCING`, `POSITION_TOO_LARGE`,
    `TOO_MANY_OPEN_ORDERS`.
11. `ORDERS_PER_MINUTE_EXCEEDED`, `RATE_LIMIT_EXCEEDED`.

An order is valued at its limit, else its trigger, else the market. Of a list all pass or none: the
first that fails is denied with its own code, every other one with `ORDER_LIST_DENIED`. An order
whose trigger is watched on our side ties up nothing and counts in no rate until it is released;
then it is checked again like a new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Sequence, Set

from workbench.engines.cache import Cache
from workbench.engines.portfolio import Portfolio
from workbench.engines.risk.caps import MinuteRate
from workbench.engines.risk.checks import Checks, Destination, changed_by
from workbench.engines.risk.exposure import Exposure
from workbench.engines.risk.funds import Funds
from workbench.engines.risk.limits import OnExcess, RiskLimits
from workbench.engines.risk.loss import STATE_ON_LOSS, DayLoss, state_after
from workbench.engines.risk.refusals import Refusal
from workbench.engines.risk.submits import (
    Submit,
    grows,
    is_emulated,
    may_wait,
    meant,
    orders_of,
)
from workbench.engines.risk.switch import TradingSwitch
from workbench.engines.throttler import Throttler
from workbench.model.commands import (
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    SubmitOrder,
    SubmitOrderList,
    TradingCommand,
)
from workbench.model.enums import OrderStatus, TradingState
from workbench.model.events import (
    OrderDenied,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    about,
)
from workbench.model.identifiers import AccountId, ClientOrderId, InstrumentId
from workbench.model.orders import Order
from workbench.model.risk_events import LossDayBegan, LossLimitReached, RiskEvent
from workbench.runtime.clock import Clock

Send = Callable[[object], None]


class RiskEngine:
    """Checks trading commands and passes on what may leave.

    Args:
        cache: What is known.
        clock: For rates, expiry and days.
        send_command: Takes commands that passed.
        send_event: Takes denials.
        limits: What to enforce.
        portfolio: For the loss of a day and rates of exchange; by default one of its own, which
            knows rates but no profits.
        on_risk_event: Told of trading states and limits that were reached.
        check_thread: Called before the trading state is changed; may refuse.

    Attributes:
        waits_here: Whether an order that comes with a command will wait on our side and does not
            leave now; by default whether it has an emulation trigger.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        send_command: Send,
        send_event: Send,
        limits: RiskLimits | None = None,
        *,
        portfolio: Portfolio | None = None,
        on_risk_event: Callable[[RiskEvent], None] | None = None,
        check_thread: Callable[[], None] | None = None,
    ) -> None:
        self._limits = RiskLimits() if limits is None else limits
        self.waits_here: Callable[[OrderInitialized, Submit], bool] = is_emulated
        self._cache = cache
        self._clock = clock
        self._send_command = send_command
        self._send_event = send_event
        self._on_risk_event = on_risk_event
        self._check_thread = check_thread
        profits = Portfolio(cache) if portfolio is None else portfolio
        self._exposure = Exposure(cache)
        self._claims = self._exposure.claims
        self._minute = (
            MinuteRate(self._limits, clock, self._exposure)
            if self._limits.orders_per_minute
            else None
        )
        self._loss = (
            DayLoss(self._limits, cache, profits, clock, self._on_loss)
            if self._limits.max_loss_per_day
            else None
        )
        self._funds = Funds(cache, self._exposure, profits.rates.convert)
        self._checks = Checks(
            cache,
            clock,
            self._limits,
            self._exposure,
            self._funds,
            self._loss,
        )
        self._switch = TradingSwitch(self._checks, clock, self._tell)
        drops = self._limits.on_excess is OnExcess.DROP
        interval_ns = self._limits.orders_interval_ns
        self._submits: Throttler[Submit] = Throttler(
            "risk:orders",
            self._limits.orders,
            interval_ns,
            clock,
            send_command if self._minute is None else self._leave,
            self._drop_submit if drops else None,
            self._release_submit,
        )
        self._modifies: Throttler[ModifyOrder] = Throttler(
            "risk:modifications",
            self._limits.modifies,
            interval_ns,
            clock,
            self._leave_modify,
            self._drop_modify if drops else None,
            self._release_modify,
        )

    # From outside

    @property
    def limits(self) -> RiskLimits:
        """Return what is enforced; it stays so."""
        return self._limits

    @property
    def trading_state(self) -> TradingState:
        """Return what is let through: ACTIVE, REDUCING or HALTED."""
        return self._switch.state

    @property
    def is_stale(self) -> Callable[[InstrumentId], bool]:
        """Return what says that an instrument's price is too old to trade on; a node sets it."""
        return self._checks.is_stale

    @is_stale.setter
    def is_stale(self, guard: Callable[[InstrumentId], bool]) -> None:
        self._checks.is_stale = guard

    def set_hedging(self, accounts: Container[AccountId]) -> None:
        """Say which accounts keep positions apart; who opens accounts may add to it later."""
        self._exposure.hedging = accounts

    def set_apart(self, accounts: Set[AccountId]) -> None:
        """Say which accounts count by themselves, apart from all others, as simulated ones do.

        Neither what they lose nor what works in them counts for the others, nor the other way.
        """
        self._exposure.apart = accounts
        if self._loss is not None:
            self._loss.apart = accounts

    def set_room(self, makes_room: Callable[[OrderInitialized, AccountId], bool]) -> None:
        """Say what tells whether what ties up the same as an order is cut back before it leaves."""
        self._funds.makes_room = makes_room

    def set_held_for(self, find: Callable[[ClientOrderId], Destination]) -> None:
        """Say what tells which client and account an order that waits on our side names."""
        self._checks.held_for = find

    def take_over(self, events: Sequence[RiskEvent]) -> None:
        """Go on with the day's loss of earlier runs, and with the trading state it set.

        Args:
            events: What they told, oldest first.
        """
        if self._loss is None:
            return
        self._loss.take_over(events)
        state = state_after(events, self._limits.on_loss, self._loss)
        if state is not None:
            self._switch.resume(state)

    def begin(self) -> None:
        """Let the day of an earlier run go on; strategies are about to start."""
        if self._loss is not None:
            self._loss.begin()

    def set_trading_state(self, state: TradingState) -> None:
        """Let everything through (ACTIVE), only what reduces (REDUCING), or nothing (HALTED).

        Raises:
            ThreadError: From another thread than the node's; `node.set_trading_state` is for all.
        """
        if self._check_thread is not None:
            self._check_thread()
        self._switch.release()
        self._switch.change(TradingState(state))

    def halt(self) -> None:
        """Let nothing new through from now on, whatever else is set meanwhile; from any thread.

        The one change of state that needs no thread: it can only make it safer. `note_halt` tells
        of it on the node's thread, and `set_trading_state` ends it.
        """
        self._switch.halt()

    def note_halt(self, reason: str) -> None:
        """Tell of a `halt`, on the node's thread."""
        self._switch.change(TradingState.HALTED, reason)

    @property
    def waiting(self) -> int:
        """Return how many commands wait until the rate lets them leave."""
        return len(self._submits) + len(self._modifies)

    def stop(self) -> None:
        """Let of what waits for the rate only reduce-only orders leave: strategies have stopped."""
        if self._loss is not None:
            self._loss.stop()
        if self.waiting:
            self._refuse_waiting(grows, "its strategy stopped while it waited for the rate")

    def refuse_waiting(self, reason: str) -> None:
        """Deny everything that waits for the rate, because the run is over for example."""
        if self.waiting:
            self._refuse_waiting(lambda _: True, reason)

    def refuse(self, command: TradingCommand, reason: str) -> None:
        """Deny the orders of a command that passed and has not left, or refuse a modification."""
        refusal = Refusal("TRADING_HALTED", reason)
        if isinstance(command, (SubmitOrder, SubmitOrderList)):
            self._unclaim(command)
            self._deny(command, refusal)
        elif isinstance(command, ModifyOrder):
            self._reject(command, refusal)

    def _refuse_waiting(self, is_meant: Callable[[Submit], bool], reason: str) -> None:
        refusal = Refusal("CANCELED_WHILE_WAITING", reason)
        for command in self._submits.withdraw(is_meant):
            self._unclaim(command)
            self._deny(command, refusal)
        for modify in self._modifies.withdraw(lambda _: True):
            self._reject(modify, refusal)

    def size_in_units(self, order: Order) -> None:
        """Turn a new order's quantity, given in the quote currency, into units, rounded down.

        At its own price, else at the market's; without any it stays as it is, to be denied.
        """
        self._checks.size_in_units(order)

    # Commands

    def execute(self, command: TradingCommand) -> None:
        """Check one command; pass it on, keep it for the rate, or refuse it with one event each."""
        kind = type(command)
        if kind is SubmitOrder:
            self._submit(command)  # pyright: ignore[reportArgumentType]
        elif kind is SubmitOrderList:
            self._submit_list(command)  # pyright: ignore[reportArgumentType]
        elif kind is ModifyOrder:
            self._modify(command)  # pyright: ignore[reportArgumentType]
        else:
            if self._submits and isinstance(command, (CancelOrder, CancelAllOrders)):
                was_waiting = self._withdraw(command)
                if was_waiting and isinstance(command, CancelOrder):
                    return
            self._send_command(command)

    def on_event(self, event: OrderEvent) -> None:
        """Note what the account shows of an order from now on, or that it is over."""
        self._exposure.on_event(event)
        if self._loss is not None and type(event) is OrderFilled:
            self._loss.look(event.account_id)

    # Submits

    def _submit(self, command: SubmitOrder) -> None:
        order = command.order
        checked = self._checks.submit(order, command.client_id, command.account_id)
        if isinstance(checked, Refusal):
            self._deny(command, checked)
        elif may_wait(order) and self.waits_here(order, command):
            self._send_command(command)
        else:
            self._claims[order.client_order_id] = checked
            if self._minute is None:
                self._submits.put(command)
            else:
                self._throttle(command, order.instrument_id, 1)

    def _submit_list(self, command: SubmitOrderList) -> None:
        failed = self._check_list(command)
        if failed is not None:
            self._deny(command, *failed)
            return
        count = sum(not self.waits_here(order, command) for order in command.orders)
        if count:
            self._throttle(command, command.instrument_id, count)
        else:
            self._send_command(command)

    def _check_list(self, command: SubmitOrderList) -> tuple[Refusal, OrderInitialized] | None:
        """Check each order beside those before it; claim for all of them or for none."""
        self._exposure.examine(command.orders)
        try:
            for order in command.orders:
                checked = self._checks.submit(order, command.client_id, command.account_id)
                if isinstance(checked, Refusal):
                    self._unclaim(command)
                    return checked, order
                self._claims[order.client_order_id] = checked
        finally:
            self._exposure.examine(())
        for order in command.orders:
            # What waits, here or at the venue, ties up nothing until it works.
            if self.waits_here(order, command) or order.terms.parent_order_id is not None:
                self._claims.pop(order.client_order_id, None)
        return None

    def _throttle(self, command: Submit, instrument_id: InstrumentId, count: int) -> None:
        """Let what passed leave, keep it, or deny it, as the rates say."""
        refusal = None if self._minute is None else self._minute.check(instrument_id, count)
        if refusal is None and count > self._submits.window.limit:
            refusal = self._too_fast("orders", self._submits)
        if refusal is not None:
            self._unclaim(command)
            self._deny(command, refusal)
            return
        self._submits.put(command, count)

    def _leave(self, command: Submit) -> None:
        if self._minute is not None:
            count = sum(not self.waits_here(order, command) for order in orders_of(command))
            self._minute.count(command.instrument_id, count)
        self._send_command(command)

    def _drop_submit(self, command: Submit) -> None:
        if isinstance(command, SubmitOrder):
            order = self._cache.order(command.client_order_id)
            if order is not None and order.status is OrderStatus.RELEASED:
                # Its trigger does not come twice: it leaves as soon as the rate lets it.
                self._submits.wait(command)
                return
        self._unclaim(command)
        self._deny(command, self._too_fast("orders", self._submits))

    def _release_submit(self, command: Submit) -> bool:
        """Check again what has waited, and let it leave; return whether it did."""
        self._unclaim(command)
        if isinstance(command, SubmitOrder):
            order = command.order
            if self._is_over(order):
                return False
            checked = self._checks.submit(order, command.client_id, command.account_id)
            if isinstance(checked, Refusal):
                failed = checked, order
            else:
                self._claims[order.client_order_id] = checked
                failed = None
        else:
            failed = self._check_list(command)
        if failed is None and self._minute is not None:
            count = sum(not self.waits_here(order, command) for order in orders_of(command))
            refusal = self._minute.check(command.instrument_id, count)
            failed = None if refusal is None else (refusal, orders_of(command)[0])
        if failed is not None:
            self._unclaim(command)
            self._deny(command, *failed)
            return False
        self._leave(command)
        return True

    def _is_over(self, order: OrderInitialized) -> bool:
        """Return whether an order ended while it waited: an order linked to it was filled, say."""
        known = self._cache.order(order.client_order_id)
        return known is not None and known.is_closed

    def _withdraw(self, command: CancelOrder | CancelAllOrders) -> bool:
        """Deny what a cancel finds waiting for the rate; return whether it found anything."""
        found = self._submits.withdraw(lambda one: any(meant(one, command)))
        reason = "it was canceled while it waited for the rate; it was never sent"
        for one in found:
            self._unclaim(one)
            self._deny(one, Refusal("CANCELED_WHILE_WAITING", reason), next(meant(one, command)))
        return bool(found)

    def _unclaim(self, command: Submit) -> None:
        for order in orders_of(command):
            self._claims.pop(order.client_order_id, None)

    # Modifications

    def _modify(self, command: ModifyOrder) -> None:
        changed = self._checks.modify(command)
        if isinstance(changed, Refusal):
            self._reject(command, changed)
        elif self._waits(command):
            self._send_command(command)
        else:
            self._modifies.put(command)

    def _leave_modify(self, command: ModifyOrder) -> None:
        order = self._cache.order(command.client_order_id)
        if order is not None:
            changes = self._exposure.changes.setdefault(order.client_order_id, deque())
            changes.append(changed_by(order, command))
        self._send_command(command)

    def _drop_modify(self, command: ModifyOrder) -> None:
        self._reject(command, self._too_fast("modifications", self._modifies))

    def _release_modify(self, command: ModifyOrder) -> bool:
        checked = self._checks.modify(command)
        if isinstance(checked, Refusal):
            self._reject(command, checked)
            return False
        self._leave_modify(command)
        return True

    def _waits(self, command: ModifyOrder) -> bool:
        order = self._cache.order(command.client_order_id)
        return order is not None and order.status is OrderStatus.EMULATED

    # What is told

    def _on_loss(self, loss: DayLoss, event: LossDayBegan | LossLimitReached) -> None:
        self._tell(event)
        if isinstance(event, LossDayBegan) or not loss.sets_state(event):
            return
        state = STATE_ON_LOSS.get(self._limits.on_loss)
        # A state that lets even less through stays.
        if state is not None and self._checks.state is not TradingState.HALTED:
            whose = loss.whose(event)
            self._switch.change(
                state, f"the day's loss{whose} came to {event.loss} {event.currency}"
            )

    def _tell(self, event: RiskEvent) -> None:
        if self._on_risk_event is not None:
            self._on_risk_event(event)

    def _too_fast(self, what: str, rate: Throttler[Submit] | Throttler[ModifyOrder]) -> Refusal:
        window = rate.window
        return Refusal(
            "RATE_LIMIT_EXCEEDED",
            f"more than {window.limit} {what} in {window.interval_ns / 1e9:g} s; this one was"
            " dropped",
        )

    def _deny(
        self, command: Submit, refusal: Refusal, culprit: OrderInitialized | None = None
    ) -> None:
        """Deny every order of a command once: the culprit (else the first) with its own code."""
        now = self._clock.timestamp_ns()
        orders = orders_of(command)
        first = orders[0] if culprit is None else culprit
        for order in orders:
            said = refusal
            if order is not first:
                reason = f"{first.client_order_id} of its list was denied: {refusal.code}"
                said = Refusal("ORDER_LIST_DENIED", reason)
            self._send_event(OrderDenied(code=said.code, reason=said.reason, **about(order, now)))

    def _reject(self, command: ModifyOrder, refusal: Refusal) -> None:
        fields = about(command, self._clock.timestamp_ns())
        self._send_event(OrderModifyRejected(code=refusal.code, reason=refusal.reason, **fields))

"""The risk engine: every order is checked here, in one order, before anything leaves.

Each check returns None or a refusal, a code for programs and a sentence for people. A refused
submit becomes one `OrderDenied`, a refused modification one `OrderModifyRejected`; nothing is sent.
Cancels always pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from workbench.engines.cache import Cache
from workbench.engines.throttler import Throttler
from workbench.model.commands import ModifyOrder, SubmitOrder, TradingCommand
from workbench.model.enums import AccountType, OrderSide, OrderStatus, OrderType, TradingState
from workbench.model.errors import ConfigError
from workbench.model.events import (
    AccountState,
    OrderDenied,
    OrderEvent,
    OrderInitialized,
    OrderModifyRejected,
)
from workbench.model.identifiers import ClientOrderId, InstrumentId
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.runtime.clock import Clock

Send = Callable[[object], None]


@dataclass(frozen=True)
class RiskLimits:
    """What the risk engine enforces beyond the instrument's own limits.

    Attributes:
        orders: At most so many submits in any window of `orders_interval_ns`.
        modifies: The same for modifications.
        orders_interval_ns: The window, nanoseconds.
        max_notional: Per order, by instrument id, in the settlement currency.
    """

    orders: int = 100
    modifies: int = 100
    orders_interval_ns: int = 1_000_000_000
    max_notional: dict[str, Decimal] | None = None


class Refusal(NamedTuple):
    """Why an order may not leave."""

    code: str
    reason: str


class RiskEngine:
    """Checks trading commands and passes on what may leave.

    Args:
        cache: What is known.
        clock: For rates.
        send_command: Takes commands that passed.
        send_event: Takes denials.
        limits: What to enforce.

    Attributes:
        trading_state: ACTIVE, REDUCING or HALTED; set from outside.
        is_stale: Whether an instrument's price is too old to trade on; set by the node's guard.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        send_command: Send,
        send_event: Send,
        limits: RiskLimits | None = None,
    ) -> None:
        self.trading_state = TradingState.ACTIVE
        self.is_stale: Callable[[InstrumentId], bool] = _never_stale
        self._cache = cache
        self._clock = clock
        self._send_command = send_command
        self._send_event = send_event
        limits = limits or RiskLimits()
        self._max_notional = limits.max_notional or {}
        self._submit_rate = Throttler(limits.orders, limits.orders_interval_ns)
        self._modify_rate = Throttler(limits.modifies, limits.orders_interval_ns)
        # What orders that the account does not show yet will tie up: (currency code, amount).
        self._uncounted: dict[ClientOrderId, tuple[str, Decimal]] = {}
        self._checks = (
            self._check_reduce_only,
            self._check_price,
            self._check_quantity,
            self._check_notional,
            self._check_funds,
            self._check_stale,
            self._check_state,
        )

    def set_trading_state(self, state: TradingState) -> None:
        """Let everything through (ACTIVE), only what reduces (REDUCING), or nothing (HALTED)."""
        self.trading_state = TradingState(state)

    # Commands

    def execute(self, command: TradingCommand) -> None:
        """Check one command; pass it on or refuse it with one event."""
        if isinstance(command, SubmitOrder):
            refusal = self._refuse_submit(command.order)
            if refusal is not None:
                self._send_event(self._denied(command, refusal))
                return
        elif isinstance(command, ModifyOrder):
            refusal = self._refuse_modify(command)
            if refusal is not None:
                self._send_event(self._modify_rejected(command, refusal))
                return
        self._send_command(command)

    def on_event(self, event: OrderEvent) -> None:
        """Note that the account shows an order's funds from now on, or that it is over."""
        if self._uncounted:
            self._uncounted.pop(event.client_order_id, None)

    def _refuse_submit(self, order: OrderInitialized) -> Refusal | None:
        instrument = self._cache.instrument(order.instrument_id)
        if instrument is None:
            return Refusal("INSTRUMENT_UNKNOWN", f"no instrument {order.instrument_id!r} is known")
        for check in self._checks:
            refusal = check(order, instrument)
            if refusal is not None:
                self._uncounted.pop(order.client_order_id, None)
                return refusal
        if not self._submit_rate.admit(self._clock.timestamp_ns()):
            self._uncounted.pop(order.client_order_id, None)
            return _too_fast("orders", self._submit_rate)
        return None

    def _refuse_modify(self, command: ModifyOrder) -> Refusal | None:
        order = self._cache.order(command.client_order_id)
        instrument = self._cache.instrument(command.instrument_id)
        if order is None or instrument is None:
            return Refusal("ORDER_UNKNOWN", f"no order {command.client_order_id!r} is known")
        if not order.is_open or order.status is OrderStatus.PENDING_CANCEL:
            return Refusal(
                "ORDER_NOT_OPEN", f"the order is {order.status.value}; only an open one can change"
            )
        changed = order.to_initialized()
        quantity = order.quantity if command.quantity is None else command.quantity
        price = order.price if command.price is None else command.price
        refusal = (
            _off_grid("price", price, instrument.price_increment)
            or _quantity_refusal(quantity, instrument)
            or self._check_state(changed, instrument)
        )
        if refusal is None and quantity < order.filled_quantity:
            refusal = Refusal(
                "QUANTITY_BELOW_FILLED", f"{order.filled_quantity} are filled; got {quantity}"
            )
        if refusal is None and not self._modify_rate.admit(self._clock.timestamp_ns()):
            refusal = _too_fast("modifications", self._modify_rate)
        return refusal

    # Checks, in their order

    def _check_reduce_only(self, order: OrderInitialized, _: Instrument) -> Refusal | None:
        if not order.reduce_only or self._reduces(order):
            return None
        held = self._held(order)
        return Refusal(
            "REDUCE_ONLY",
            f"a reduce-only {order.side.value} of {order.quantity} does not reduce a position of {held}",
        )

    def _check_price(self, order: OrderInitialized, instrument: Instrument) -> Refusal | None:
        if order.order_type is OrderType.MARKET:
            return None
        price = order.price
        if price is None or price <= 0:
            return Refusal("PRICE_INVALID", f"a limit price must be positive; got {price}")
        return _off_grid("price", price, instrument.price_increment)

    def _check_quantity(self, order: OrderInitialized, instrument: Instrument) -> Refusal | None:
        return _quantity_refusal(order.quantity, instrument)

    def _check_notional(self, order: OrderInitialized, instrument: Instrument) -> Refusal | None:
        price = self._price_of(order, instrument)
        if price is None:
            return Refusal(
                "PRICE_MISSING",
                f"no quote, bar or trade of {instrument.id} has come yet to price a market order",
            )
        most = self._max_notional.get(instrument.id)
        if most is None and instrument.max_notional is None and instrument.min_notional is None:
            return None
        worth = instrument.notional(order.quantity, price)
        unit = instrument.settlement_currency.code
        for limit, whose in (
            (most, "the configured"),
            (instrument.max_notional, "the instrument's"),
        ):
            if limit is not None and worth > limit:
                return Refusal(
                    "NOTIONAL_TOO_LARGE", f"worth {worth} {unit}, above {whose} limit of {limit}"
                )
        if instrument.min_notional is not None and worth < instrument.min_notional:
            return Refusal(
                "NOTIONAL_TOO_SMALL",
                f"worth {worth} {unit}, below the instrument's least of {instrument.min_notional}",
            )
        return None

    def _check_funds(self, order: OrderInitialized, instrument: Instrument) -> Refusal | None:
        account = self._cache.account_at(instrument.venue)
        if account is None:
            return Refusal("ACCOUNT_MISSING", f"no account at {instrument.venue} is known")
        if account.account_type is AccountType.MARGIN:
            needed = self._margin_needed(order, instrument, account)
        else:
            needed = self._cash_needed(order, instrument)
            if isinstance(needed, Refusal):
                return needed
        if needed is None:
            return None
        unit, amount = needed
        free = _free(account, unit) - self._claimed(unit)
        if amount > free:
            return Refusal(
                "INSUFFICIENT_FUNDS",
                f"needs {amount} {unit}; {free} {unit} of {account.account_id} is free",
            )
        self._uncounted[order.client_order_id] = needed
        return None

    def _margin_needed(
        self, order: OrderInitialized, instrument: Instrument, account: AccountState
    ) -> tuple[str, Decimal] | None:
        if not instrument.margin_init:
            return None
        held = self._held(order)
        growth = abs(held + order.side.sign * order.quantity) - abs(held)
        price = self._price_of(order, instrument)
        if growth <= 0 or price is None:
            return None
        amount = instrument.notional(growth, price) * instrument.margin_init / account.leverage
        return instrument.settlement_currency.code, amount

    def _cash_needed(
        self, order: OrderInitialized, instrument: Instrument
    ) -> tuple[str, Decimal] | Refusal | None:
        price = self._price_of(order, instrument)
        if order.side is OrderSide.BUY:
            if price is None:
                return None
            return instrument.settlement_currency.code, instrument.notional(order.quantity, price)
        if instrument.base_currency is not None:
            return instrument.base_currency.code, order.quantity * instrument.multiplier
        selling = self._selling(order)
        held = self._cache.net_quantity(instrument.id)
        if order.quantity + selling > held:
            return Refusal(
                "INSUFFICIENT_FUNDS",
                f"a cash account cannot sell what it does not hold: {held} held, {selling} being sold,"
                f" {order.quantity} more asked for",
            )
        return None

    def _check_stale(self, order: OrderInitialized, instrument: Instrument) -> Refusal | None:
        if self.is_stale(instrument.id):
            return Refusal(
                "QUOTE_STALE",
                f"the loop was stalled and no fresh quote of {instrument.id} has come since",
            )
        return None

    def _check_state(self, order: OrderInitialized, _: Instrument) -> Refusal | None:
        if self.trading_state is TradingState.HALTED:
            return Refusal("TRADING_HALTED", "the trading state is HALTED; it refuses every order")
        if self.trading_state is TradingState.REDUCING and not self._reduces(order):
            return Refusal(
                "TRADING_REDUCING",
                "the trading state is REDUCING; it refuses what would grow or flip the position",
            )
        return None

    # What the checks ask

    def _held(self, order: OrderInitialized) -> Decimal:
        return self._cache.net_quantity(order.instrument_id, order.strategy_id)

    def _reduces(self, order: OrderInitialized) -> bool:
        held = self._held(order)
        return held * order.side.sign < 0 and order.quantity <= abs(held)

    def _price_of(self, order: OrderInitialized, instrument: Instrument) -> Decimal | None:
        if order.price is not None:
            return order.price
        price = self._cache.price_to(instrument.id, order.side)
        return None if price is None else instrument.price(price)

    def _selling(self, order: OrderInitialized) -> Decimal:
        """Return what other orders, on their way or resting, are about to sell."""
        others = {
            o.client_order_id: o
            for o in (
                *self._cache.orders_open(instrument_id=order.instrument_id),
                *self._cache.orders_in_flight(instrument_id=order.instrument_id),
                *self._cache.orders_initialized(),
            )
            if o.client_order_id != order.client_order_id
            and o.instrument_id == order.instrument_id
            and o.side is OrderSide.SELL
        }
        return sum((o.leaves_quantity for o in others.values()), ZERO)

    def _claimed(self, unit: str) -> Decimal:
        return sum((amount for code, amount in self._uncounted.values() if code == unit), ZERO)

    # Refusals as events

    def _denied(self, command: SubmitOrder, refusal: Refusal) -> OrderDenied:
        now = self._clock.timestamp_ns()
        return OrderDenied(
            strategy_id=command.strategy_id,
            instrument_id=command.instrument_id,
            client_order_id=command.client_order_id,
            code=refusal.code,
            reason=refusal.reason,
            ts_event=now,
            ts_init=now,
        )

    def _modify_rejected(self, command: ModifyOrder, refusal: Refusal) -> OrderModifyRejected:
        now = self._clock.timestamp_ns()
        return OrderModifyRejected(
            strategy_id=command.strategy_id,
            instrument_id=command.instrument_id,
            client_order_id=command.client_order_id,
            code=refusal.code,
            reason=refusal.reason,
            ts_event=now,
            ts_init=now,
        )


def _never_stale(_: InstrumentId) -> bool:
    return False


def _free(account: AccountState, unit: str) -> Decimal:
    return next((b.free for b in account.balances if b.currency.code == unit), ZERO)


def _off_grid(what: str, value: Decimal | None, increment: Decimal) -> Refusal | None:
    if value is None or not value % increment:
        return None
    return Refusal(
        f"{what.upper()}_OFF_GRID",
        f"{what} {value} is not a multiple of {increment}; nothing was rounded",
    )


def _quantity_refusal(quantity: Decimal, instrument: Instrument) -> Refusal | None:
    if quantity <= 0:
        return Refusal("QUANTITY_INVALID", f"a quantity must be positive; got {quantity}")
    least, most = instrument.min_quantity, instrument.max_quantity
    if least is not None and quantity < least:
        return Refusal("QUANTITY_TOO_SMALL", f"quantity {quantity} is below the least of {least}")
    if most is not None and quantity > most:
        return Refusal("QUANTITY_TOO_LARGE", f"quantity {quantity} is above the limit of {most}")
    return _off_grid("quantity", quantity, instrument.quantity_increment)


def _too_fast(what: str, rate: Throttler) -> Refusal:
    return Refusal(
        "RATE_LIMIT_EXCEEDED",
        f"more than {rate.limit} {what} in {rate.interval_ns / 1e9:g} s; this one was dropped",
    )


def check_limits(limits: RiskLimits) -> None:
    """Check risk limits before a run.

    Raises:
        ConfigError: Naming the limit that is not usable.
    """
    Throttler(limits.orders, limits.orders_interval_ns)
    Throttler(limits.modifies, limits.orders_interval_ns)
    for instrument_id, limit in (limits.max_notional or {}).items():
        if limit <= 0:
            raise ConfigError(f"max_notional[{instrument_id!r}] must be positive; got {limit}")

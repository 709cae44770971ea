"""The risk engine: every order is checked here, in one order, before anything leaves.

Each check returns None or a refusal, a code for programs and a sentence for people. A refused
submit becomes one `OrderDenied`, a refused modification one `OrderModifyRejected`; nothing is sent.
Cancels always pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from workbench.engines.accounts import growth_of
from workbench.engines.cache import Cache
from workbench.engines.throttler import Throttler
from workbench.model.commands import ModifyOrder, SubmitOrder, TradingCommand
from workbench.model.enums import AccountType, OrderSide, OrderStatus, OrderType, TradingState
from workbench.model.errors import ConfigError
from workbench.model.events import (
    AccountState,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderSubmitted,
    OrderUpdated,
    about,
)
from workbench.model.identifiers import ClientOrderId, InstrumentId
from workbench.model.instruments import DERIVATIVES, Future, Instrument, to_decimal
from workbench.model.money import ZERO
from workbench.model.orders import Order
from workbench.model.settings import SettingsMeta
from workbench.runtime.clock import Clock

Send = Callable[[object], None]


class RiskLimits(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    metaclass=SettingsMeta,
):
    """What the risk engine enforces beyond the instrument's own limits.

    Attributes:
        orders: At most so many submits in any window of `orders_interval_ns`.
        modifies: The same for modifications.
        orders_interval_ns: The window, nanoseconds.
        max_notional: Per order, by instrument id, in the settlement currency; plain numbers are
            made exact.

    Raises:
        ConfigError: If a limit allows nothing or is no number, or a field does not exist.

    >>> RiskLimits(max_notional={"BTC/USDT.BINANCE": 5_000.5}).max_notional
    {'BTC/USDT.BINANCE': Decimal('5000.5')}
    """

    orders: int = 100
    modifies: int = 100
    orders_interval_ns: int = 1_000_000_000
    max_notional: dict[str, Decimal] | None = None

    def __post_init__(self) -> None:
        """Check every field and make it exact."""
        for name in ("orders", "modifies", "orders_interval_ns"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} must be a whole number, 1 or more; got {value!r}")
        if self.max_notional is None:
            return
        if not isinstance(self.max_notional, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(
                "max_notional must map instrument ids to amounts, such as"
                f" {{'BTC/USDT.BINANCE': 10_000}}; got {self.max_notional!r}"
            )
        exact: dict[str, Decimal] = {}
        for instrument_id, given in self.max_notional.items():
            where = f"max_notional[{instrument_id!r}]"
            exact[instrument_id] = most = to_decimal(given, where)
            if most <= 0:
                raise ConfigError(f"{where} must be positive; got {most}")
        msgspec.structs.force_setattr(self, "max_notional", exact)


class Refusal(NamedTuple):
    """Why an order may not leave."""

    code: str
    reason: str


class Need(NamedTuple):
    """What an order ties up: an amount of a currency, or for a sale of shares of the instrument."""

    unit: str
    amount: Decimal


class Claim(NamedTuple):
    """An order that passed and that its account does not show yet, with what it will tie up."""

    order: OrderInitialized
    need: Need | None


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
        enforced: RiskLimits = RiskLimits() if limits is None else limits
        self._max_notional = enforced.max_notional or {}
        self._submit_rate = Throttler(enforced.orders, enforced.orders_interval_ns)
        self._modify_rate = Throttler(enforced.modifies, enforced.orders_interval_ns)
        self._claims: dict[ClientOrderId, Claim] = {}
        # Modifications that passed and were not answered, oldest first, as what the order becomes.
        self._changes: dict[ClientOrderId, deque[OrderInitialized]] = {}

    def set_trading_state(self, state: TradingState) -> None:
        """Let everything through (ACTIVE), only what reduces (REDUCING), or nothing (HALTED)."""
        self.trading_state = TradingState(state)

    def size_in_units(self, order: Order) -> None:
        """Turn a new order's quantity, given in the quote currency, into units, rounded down.

        At its own price, else at the market's; without any it stays as it is, to be denied.
        """
        instrument = self._cache.instrument(order.instrument_id)
        amount = order.terms.quote_quantity
        if instrument is None or amount is None:
            return
        price = order.price or order.trigger_price or self._market_price(order, instrument)
        if instrument.is_inverse:
            order.quantity = instrument.quantity(amount / instrument.multiplier)
        elif price is not None:
            order.quantity = instrument.quantity(amount / (price * instrument.multiplier))

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
        """Note what the account shows of an order from now on, or that it is over."""
        if self._changes:
            self._settle_changes(event)
        claim = self._claims.get(event.client_order_id)
        if claim is None or type(event) in _NOT_SHOWN_YET:
            return
        order = self._cache.order(event.client_order_id)
        if isinstance(event, OrderFilled) and order is not None and not order.is_closed:
            if claim.need is not None:
                rest = claim.need.amount * order.leaves_quantity / order.quantity
                claim = Claim(claim.order, Need(claim.need.unit, rest))
                self._claims[event.client_order_id] = claim
            return
        del self._claims[event.client_order_id]

    def _settle_changes(self, event: OrderEvent) -> None:
        changes = self._changes.get(event.client_order_id)
        if changes is None:
            return
        order = self._cache.order(event.client_order_id)
        left_out = isinstance(event, (OrderModifyRejected, OrderCancelRejected)) and event.code
        if isinstance(event, (OrderUpdated, OrderModifyRejected)) and not left_out:
            changes.popleft()
        # Nothing follows a cancel: when the venue answers it, it has answered what came before.
        is_last = isinstance(event, OrderCancelRejected) and not left_out
        if not changes or is_last or order is None or order.is_closed:
            del self._changes[event.client_order_id]

    def _refuse_submit(self, order: OrderInitialized) -> Refusal | None:
        refusal = self._check_reduce_only(order)
        if refusal is not None:
            return refusal
        instrument = self._cache.instrument(order.instrument_id)
        if instrument is None:
            return Refusal("INSTRUMENT_UNKNOWN", f"no instrument {order.instrument_id!r} is known")
        price = order.price
        if price is None:
            price = self._market_price(order, instrument)
        need = None
        refusal = (
            self._check_dates(instrument)
            or _price_refusal(order, instrument)
            or _quantity_refusal(order.quantity, instrument)
            or self._check_notional(order.quantity, price, instrument)
        )
        if refusal is None and price is not None:
            need = self._funds(order, price, instrument)
            refusal = need if isinstance(need, Refusal) else None
        refusal = refusal or self._check_stale(instrument) or self._check_state(order)
        if refusal is None and not self._submit_rate.admit(self._clock.timestamp_ns()):
            refusal = _too_fast("orders", self._submit_rate)
        if refusal is None and not isinstance(need, Refusal):
            self._claims[order.client_order_id] = Claim(order, need)
        return refusal

    def _refuse_modify(self, command: ModifyOrder) -> Refusal | None:
        order = self._cache.order(command.client_order_id)
        instrument = self._cache.instrument(command.instrument_id)
        if order is None or instrument is None:
            return Refusal("ORDER_UNKNOWN", f"no order {command.client_order_id!r} is known")
        if not order.is_open or order.status is OrderStatus.PENDING_CANCEL:
            return Refusal(
                "ORDER_NOT_OPEN", f"the order is {order.status.value}; only an open one can change"
            )
        quantity = order.quantity if command.quantity is None else command.quantity
        price = order.price if command.price is None else command.price
        if quantity < order.filled_quantity:
            return Refusal(
                "QUANTITY_BELOW_FILLED", f"{order.filled_quantity} are filled; got {quantity}"
            )
        changed = msgspec.structs.replace(order.to_initialized(), quantity=quantity, price=price)
        rest = _rest_of(changed, order)
        refusal = (
            self._check_dates(instrument)
            or _price_refusal(changed, instrument)
            or _quantity_refusal(quantity, instrument)
            or self._check_notional(quantity, price, instrument)
            or self._check_growth(order, rest, instrument)
            or self._check_state(rest)
        )
        if refusal is None and not self._modify_rate.admit(self._clock.timestamp_ns()):
            refusal = _too_fast("modifications", self._modify_rate)
        if refusal is None:
            self._changes.setdefault(order.client_order_id, deque()).append(changed)
        return refusal

    # Checks, in their order

    def _check_reduce_only(self, order: OrderInitialized) -> Refusal | None:
        if not order.reduce_only or self._reduces(order, order.quantity):
            return None
        held = self._held(order)
        return Refusal(
            "REDUCE_ONLY",
            f"a reduce-only {order.side.value} of {order.quantity} does not reduce a position of"
            f" {held}",
        )

    def _check_dates(self, instrument: Instrument) -> Refusal | None:
        if not isinstance(instrument, Future):
            return None
        first, end = instrument.activation_ns, instrument.expiration_ns
        now = self._clock.timestamp_ns()
        if first <= now < end:
            return None
        return Refusal(
            "INSTRUMENT_INACTIVE",
            f"{instrument.id} trades from {_utc(first)} until {_utc(end)}; it is {_utc(now)}",
        )

    def _check_notional(
        self, quantity: Decimal, price: Decimal | None, instrument: Instrument
    ) -> Refusal | None:
        if price is None:
            return Refusal(
                "PRICE_MISSING",
                f"no quote, bar or trade of {instrument.id} has come yet to price a market order",
            )
        most = self._max_notional.get(instrument.id)
        if most is None and instrument.max_notional is None and instrument.min_notional is None:
            return None
        worth = instrument.notional(quantity, price)
        unit = instrument.settlement_currency.code
        limits = ((most, "the configured"), (instrument.max_notional, "the instrument's"))
        for limit, whose in limits:
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

    def _funds(
        self, order: OrderInitialized, price: Decimal, instrument: Instrument
    ) -> Need | Refusal | None:
        """Return what the order will tie up, or why the account cannot bear it."""
        account = self._cache.account_at(instrument.venue)
        if account is None:
            return _no_account(instrument)
        if account.account_type is AccountType.CASH and isinstance(instrument, DERIVATIVES):
            return Refusal(
                "ACCOUNT_TYPE",
                f"{instrument.id} is a {type(instrument).__name__}, which the cash account"
                f" {account.account_id} cannot hold",
            )
        need = self._need(order, price, instrument, account)
        return need and (self._check_free(need, ZERO, instrument, account) or need)

    def _check_growth(
        self, order: Order, rest: OrderInitialized, instrument: Instrument
    ) -> Refusal | None:
        """Return why the account cannot bear what an open order would tie up beyond what it does.

        What shrinks passes, whatever the account has.
        """
        account = self._cache.account_at(instrument.venue)
        if account is None:
            return _no_account(instrument)
        price = rest.price
        need = None if price is None else self._need(rest, price, instrument, account)
        if need is None:
            return None
        own = self._tied_up(order, instrument, account) + self._being_added(order).amount
        return None if need.amount <= own else self._check_free(need, own, instrument, account)

    def _check_free(
        self, need: Need, own: Decimal, instrument: Instrument, account: AccountState
    ) -> Refusal | None:
        """Return a refusal if a need is above what is free and what the order ties up already."""
        if need.unit == instrument.id:
            free = self._cache.net_quantity(instrument.id) - self._being_sold(instrument)
        else:
            free = _free(account, need.unit)
        free -= self._claimed(need.unit)
        if need.amount - own <= free:
            return None
        of_own = f" beyond the {own} it ties up" if own else ""
        return Refusal(
            "INSUFFICIENT_FUNDS",
            f"needs {need.amount - own} {need.unit}{of_own}; {free} {need.unit} of"
            f" {account.account_id} is free",
        )

    def _need(
        self, order: OrderInitialized, price: Decimal, instrument: Instrument, account: AccountState
    ) -> Need | None:
        """Return what an order ties up until it is filled."""
        if account.account_type is AccountType.MARGIN:
            return self._margin_need(order, price, instrument, account)
        return _cash_need(order, price, instrument)

    def _margin_need(
        self, order: OrderInitialized, price: Decimal, instrument: Instrument, account: AccountState
    ) -> Need | None:
        """Return the initial margin of what the order adds to the position at worst."""
        if not instrument.margin_init or order.reduce_only:
            return None
        growth = order.quantity
        held = self._held(order)
        if held * order.side.sign < 0:
            # Orders that rest may close the position first; this one then opens another.
            before = self._working(order, with_reduce_only=False)
            growth = growth_of(held, before, growth)
        if growth <= 0:
            return None
        amount = instrument.notional(growth, price) * instrument.margin_init / account.leverage
        return Need(instrument.settlement_currency.code, amount)

    def _check_stale(self, instrument: Instrument) -> Refusal | None:
        if self.is_stale(instrument.id):
            return Refusal(
                "QUOTE_STALE",
                f"the loop was stalled and no fresh quote of {instrument.id} has come since",
            )
        return None

    def _check_state(self, order: OrderInitialized) -> Refusal | None:
        if self.trading_state is TradingState.ACTIVE:
            return None
        if self.trading_state is TradingState.HALTED:
            return Refusal("TRADING_HALTED", "the trading state is HALTED; it refuses every order")
        quantity = order.quantity
        if not order.reduce_only:
            # Together with what else is on its way it must not flip the position either.
            quantity += self._working(order)
        if not self._reduces(order, quantity):
            return Refusal(
                "TRADING_REDUCING",
                "the trading state is REDUCING; it refuses what would grow or flip the position",
            )
        return None

    # What the checks ask

    def _held(self, order: OrderInitialized) -> Decimal:
        return self._cache.net_quantity(order.instrument_id, order.strategy_id)

    def _reduces(self, order: OrderInitialized, quantity: Decimal) -> bool:
        held = self._held(order)
        return held * order.side.sign < 0 and quantity <= abs(held)

    def _market_price(
        self, order: OrderInitialized | Order, instrument: Instrument
    ) -> Decimal | None:
        """Return what prices a market order: its own side of the market, else the other."""
        price = self._cache.price_to(instrument.id, order.side)
        if price is None:
            price = self._cache.price_to(instrument.id, order.side.opposite)
        return None if price is None else instrument.price(price)

    def _tied_up(self, order: Order, instrument: Instrument, account: AccountState) -> Decimal:
        """Return what the account shows of an open order, or what it claims."""
        claim = self._claims.get(order.client_order_id)
        if claim is not None:
            need = claim.need
        elif order.price is None:
            need = None
        else:
            now = _rest_of(order.to_initialized(), order)
            need = self._need(now, order.price, instrument, account)
        return ZERO if need is None else need.amount

    def _being_added(self, order: Order) -> Need:
        """Return what modifications on their way may add to what an order ties up."""
        instrument = self._cache.require_instrument(order.instrument_id)
        account = self._cache.account_at(instrument.venue)
        most = Need("", ZERO)
        if account is None:
            return most
        for change in self._changes.get(order.client_order_id, ()):
            price = change.price
            rest = _rest_of(change, order)
            need = None if price is None else self._need(rest, price, instrument, account)
            if need is not None and need.amount > most.amount:
                most = need
        return Need(most.unit, max(ZERO, most.amount - self._tied_up(order, instrument, account)))

    def _working(self, order: OrderInitialized, *, with_reduce_only: bool = True) -> Decimal:
        """Return what the strategy's other orders of the same side are about to trade."""
        resting = self._cache.orders_open(
            instrument_id=order.instrument_id, strategy_id=order.strategy_id
        )
        working = {
            o.client_order_id: o.leaves_quantity
            for o in resting
            if o.side is order.side and (with_reduce_only or not o.reduce_only)
        }
        for claim in self._claims.values():
            other = claim.order
            if (
                other.strategy_id == order.strategy_id
                and other.instrument_id == order.instrument_id
                and other.side is order.side
                and (with_reduce_only or not other.reduce_only)
            ):
                working.setdefault(other.client_order_id, other.quantity)
        working.pop(order.client_order_id, None)
        return sum(working.values(), ZERO)

    def _being_sold(self, instrument: Instrument) -> Decimal:
        """Return what resting orders are about to sell and no claim counts."""
        resting = self._cache.orders_open(instrument_id=instrument.id)
        return sum(
            (
                order.leaves_quantity
                for order in resting
                if order.side is OrderSide.SELL and order.client_order_id not in self._claims
            ),
            ZERO,
        )

    def _claimed(self, unit: str) -> Decimal:
        needs = (claim.need for claim in self._claims.values())
        total = sum((need.amount for need in needs if need is not None and need.unit == unit), ZERO)
        for client_order_id in self._changes:
            order = self._cache.order(client_order_id)
            if order is not None:
                added = self._being_added(order)
                total += added.amount if added.unit == unit else ZERO
        return total

    # Refusals as events

    def _denied(self, command: SubmitOrder, refusal: Refusal) -> OrderDenied:
        fields = about(command, self._clock.timestamp_ns())
        return OrderDenied(code=refusal.code, reason=refusal.reason, **fields)

    def _modify_rejected(self, command: ModifyOrder, refusal: Refusal) -> OrderModifyRejected:
        fields = about(command, self._clock.timestamp_ns())
        return OrderModifyRejected(code=refusal.code, reason=refusal.reason, **fields)


_NOT_SHOWN_YET = (
    OrderSubmitted,
    OrderPendingUpdate,
    OrderPendingCancel,
    OrderModifyRejected,
    OrderCancelRejected,
)
"""Events after which an order that its account did not show still does not show there."""


def _utc(ts_ns: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts_ns // 1000)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _never_stale(_: InstrumentId) -> bool:
    return False


def _rest_of(definition: OrderInitialized, order: Order) -> OrderInitialized:
    """Return a definition with what is still to be filled as its quantity."""
    rest = definition.quantity - order.filled_quantity
    return msgspec.structs.replace(definition, quantity=rest)


def _no_account(instrument: Instrument) -> Refusal:
    return Refusal("ACCOUNT_MISSING", f"no account at {instrument.venue} is known")


def _cash_need(order: OrderInitialized, price: Decimal, instrument: Instrument) -> Need:
    if order.side is OrderSide.BUY:
        notional = instrument.notional(order.quantity, price)
        return Need(instrument.settlement_currency.code, notional)
    if instrument.base_currency is not None:
        return Need(instrument.base_currency.code, order.quantity * instrument.multiplier)
    # A cash account cannot sell shares that it does not hold.
    return Need(instrument.id, order.quantity)


def _free(account: AccountState, unit: str) -> Decimal:
    return next((b.free for b in account.balances if b.currency.code == unit), ZERO)


def _price_refusal(order: OrderInitialized, instrument: Instrument) -> Refusal | None:
    if order.order_type is OrderType.MARKET:
        return None
    price = order.price
    if price is None or price <= 0:
        return Refusal("PRICE_INVALID", f"a limit price must be positive; got {price}")
    return _off_grid("price", price, instrument.price_increment)


def _off_grid(what: str, value: Decimal, increment: Decimal) -> Refusal | None:
    if not value % increment:
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

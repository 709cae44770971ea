"""The checks of an order or a modification, in their order; see `workbench.engines.risk.engine`."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.risk import definition as defined
from workbench.engines.risk.caps import Check, exposure_checks, size_checks
from workbench.engines.risk.exposure import Claim, Exposure, pricing, rest_of
from workbench.engines.risk.funds import Funds
from workbench.engines.risk.limits import OnLoss, RiskLimits, of_instrument
from workbench.engines.risk.loss import DayLoss
from workbench.engines.risk.refusals import Refusal
from workbench.model.commands import ModifyOrder
from workbench.model.enums import OrderStatus, OrderType, TimeInForce, TradingState
from workbench.model.events import PLAIN, OrderInitialized
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    InstrumentId,
    venue_of,
)
from workbench.model.instruments import Future, Instrument
from workbench.model.orders import Order
from workbench.runtime.clock import Clock

Destination = tuple[ClientId | None, AccountId | None]
"""What a command names; neither is for the venue's first client."""


class Checks:
    """Says why an order or a modification may not leave, all but the rates.

    Args:
        cache: What is known.
        clock: For expiry.
        limits: What to enforce.
        exposure: What works and is on its way.
        funds: What accounts can bear.
        loss: The loss of the day, where that is limited.

    Attributes:
        state: What is let through.
        is_stale: Whether an instrument's price is too old to trade on.
        held_for: The client and account that an order which waits on our side names.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        limits: RiskLimits,
        exposure: Exposure,
        funds: Funds,
        loss: DayLoss | None,
    ) -> None:
        self.state = TradingState.ACTIVE
        self.is_stale: Callable[[InstrumentId], bool] = _never_stale
        self.held_for: Callable[[ClientOrderId], Destination] = _nowhere
        self._cache = cache
        self._clock = clock
        self._limits = limits
        self._exposure = exposure
        self._funds = funds
        self._loss = loss
        self._size_checks = size_checks(limits)
        self._exposure_checks = exposure_checks(limits, cache, exposure)

    def submit(
        self,
        order: OrderInitialized,
        client_id: ClientId | None,
        account_id: AccountId | None = None,
    ) -> Refusal | Claim:
        """Return why an order may not leave to a client or account, or what it will tie up."""
        exposure = self._exposure
        if self._cache.has_several_accounts:
            exposure.aim(venue_of(order.instrument_id), client_id, account_id)
        else:
            exposure.client_id = client_id
            exposure.account_id = account_id
        if order.reduce_only and not exposure.reduces(order, order.quantity):
            return self._not_reducing(order)
        instrument = self._cache.instrument(order.instrument_id)
        if instrument is None:
            return Refusal("INSTRUMENT_UNKNOWN", f"no instrument {order.instrument_id!r} is known")
        refusal = self._check_definition(order, instrument)
        if refusal is not None:
            return refusal
        price = order.trigger_price if order.price is None else order.price
        if price is None:
            price = self.market_price(order, instrument)
            if price is None:
                return Refusal(
                    "PRICE_MISSING",
                    f"no quote, bar or trade of {instrument.id} has come yet to price a"
                    f" {order.order_type.value} order",
                )
        refusal = self._check_notional(order.quantity, price, instrument)
        if refusal is not None:
            return refusal
        claim = self._funds.check(order, price, instrument)
        if isinstance(claim, Refusal):
            return claim
        return self._check_surroundings(order, instrument, claim.account_id) or claim

    def _check_definition(self, order: OrderInitialized, instrument: Instrument) -> Refusal | None:
        # What cannot fail is not asked: most orders are plain market and limit orders.
        refusal = self._check_active(instrument) if type(instrument) is Future else None
        if refusal is None and (order.order_type is not OrderType.MARKET or order.post_only):
            refusal = defined.price_refusal(order, instrument)
        if refusal is None:
            refusal = defined.quantity_refusal(order, instrument)
        if refusal is None and order.terms is not PLAIN:
            refusal = defined.display_refusal(order, instrument)
        if refusal is None and self._size_checks:
            refusal = _first(self._size_checks, order)
        if refusal is None and order.time_in_force is TimeInForce.GTD:
            refusal = defined.expiry_refusal(order, self._clock.timestamp_ns())
        return refusal

    def _check_active(self, instrument: Instrument) -> Refusal | None:
        if not isinstance(instrument, Future):
            return None
        return defined.active_refusal(instrument, self._clock.timestamp_ns())

    def _check_surroundings(
        self, order: OrderInitialized, instrument: Instrument, account_id: AccountId | None
    ) -> Refusal | None:
        """Check what is around an order: the age of the market, the state, configured limits."""
        refusal = None
        # What only reduces passes: a stop must not be lost to a stall.
        if self.is_stale(instrument.id) and not order.reduce_only:
            refusal = Refusal(
                "QUOTE_STALE",
                f"the loop was stalled and no fresh quote of {instrument.id} has come since",
            )
        if refusal is None and self._loss is not None:
            refusal = self._check_loss(self._loss, order, account_id)
        if refusal is None and self.state is not TradingState.ACTIVE:
            refusal = self._check_state(order)
        if refusal is None and self._exposure_checks:
            refusal = _first(self._exposure_checks, order)
        return refusal

    def modify(self, command: ModifyOrder) -> OrderInitialized | Refusal:
        """Return what an order will be, or why it may not become that."""
        order = self._cache.order(command.client_order_id)
        self._aim_at(command, order)
        instrument = self._cache.instrument(command.instrument_id)
        if order is None or instrument is None:
            return Refusal("ORDER_UNKNOWN", f"no order {command.client_order_id!r} is known")
        is_emulated = order.status is OrderStatus.EMULATED
        if not is_emulated and (not order.is_open or order.status is OrderStatus.PENDING_CANCEL):
            return Refusal(
                "ORDER_NOT_OPEN", f"the order is {order.status.value}; only an open one can change"
            )
        changed = changed_by(order, command)
        if changed.quantity < order.filled_quantity:
            return Refusal(
                "QUANTITY_BELOW_FILLED",
                f"{order.filled_quantity} are filled; got {changed.quantity}",
            )
        rest = rest_of(changed, order)
        refusal = (
            defined.unexpected_change(order.order_type, command.price, command.trigger_price)
            or self._check_active(instrument)
            or defined.price_refusal(changed, instrument)
            or defined.quantity_refusal(changed, instrument)
            or _first(self._size_checks, changed)
            or self._check_value(changed, instrument)
        )
        if refusal is None and not is_emulated:
            refusal = self._funds.check_growth(order, rest, instrument)
        if refusal is None and self._loss is not None and changed.quantity > order.quantity:
            refusal = self._check_loss(self._loss, rest, order.account_id)
        if refusal is None and self.state is not TradingState.ACTIVE:
            refusal = self._check_state(rest)
        if refusal is None and changed.quantity > order.quantity:
            refusal = _first(self._exposure_checks, rest)
        return refusal or changed

    def _aim_at(self, command: ModifyOrder, order: Order | None) -> None:
        """Look at the account of an order: where it is, or where it goes once it is released."""
        client_id, account_id = command.client_id, command.account_id
        if order is not None and order.account_id is not None:
            account_id = order.account_id
        elif client_id is None and account_id is None:
            client_id, account_id = self.held_for(command.client_order_id)
        self._exposure.aim(venue_of(command.instrument_id), client_id, account_id)

    def _check_value(self, changed: OrderInitialized, instrument: Instrument) -> Refusal | None:
        """Check the notional of a changed order where it has a price of its own."""
        price = pricing(changed)
        return None if price is None else self._check_notional(changed.quantity, price, instrument)

    def _not_reducing(self, order: OrderInitialized) -> Refusal:
        return Refusal(
            "REDUCE_ONLY",
            f"a reduce-only {order.side.value} of {order.quantity} does not reduce a position of"
            f" {self._exposure.held(order)}",
        )

    def _check_notional(
        self, quantity: Decimal, price: Decimal, instrument: Instrument
    ) -> Refusal | None:
        most = None
        if self._limits.max_notional is not None:
            most = of_instrument(self._limits.max_notional, instrument.id)
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

    def _check_loss(
        self, loss: DayLoss, order: OrderInitialized, account_id: AccountId | None
    ) -> Refusal | None:
        lost = None if account_id is None else loss.look(account_id)
        if lost is None or self._exposure.shrinks(order):
            return None
        # Where a loss sets the trading state, the state says what may leave.
        says_state = lost.sets_state and self._limits.on_loss is not OnLoss.REFUSE
        return None if says_state else lost.refusal

    def _check_state(self, order: OrderInitialized) -> Refusal | None:
        if self.state is TradingState.HALTED:
            return Refusal("TRADING_HALTED", "the trading state is HALTED; it refuses every order")
        if self._exposure.shrinks(order):
            return None
        return Refusal(
            "TRADING_REDUCING",
            "the trading state is REDUCING; it refuses what would grow or flip the position",
        )

    def size_in_units(self, order: Order) -> None:
        """Turn a new order's quantity in the quote currency into units, where a price is known."""
        instrument = self._cache.instrument(order.instrument_id)
        amount = order.terms.quote_quantity
        if instrument is None or amount is None:
            return
        price = pricing(order) or self.market_price(order, instrument)
        if instrument.is_inverse:
            order.quantity = instrument.quantity(amount / instrument.multiplier)
        elif price is not None:
            order.quantity = instrument.quantity(amount / (price * instrument.multiplier))

    def market_price(
        self, order: OrderInitialized | Order, instrument: Instrument
    ) -> Decimal | None:
        """Return what prices a market order: its own side of the market, else the other."""
        price = self._cache.price_to(instrument.id, order.side)
        if price is None:
            price = self._cache.price_to(instrument.id, order.side.opposite)
        return None if price is None else instrument.price(price)


def changed_by(order: Order, command: ModifyOrder) -> OrderInitialized:
    """Return what a modification makes of an order."""
    now = order.to_initialized()
    return msgspec.structs.replace(
        now,
        quantity=now.quantity if command.quantity is None else command.quantity,
        price=now.price if command.price is None else command.price,
        trigger_price=(
            now.trigger_price if command.trigger_price is None else command.trigger_price
        ),
    )


def _first(checks: tuple[Check, ...], order: OrderInitialized) -> Refusal | None:
    for check in checks:
        refusal = check(order)
        if refusal is not None:
            return refusal
    return None


def _never_stale(_: InstrumentId) -> bool:
    return False


def _nowhere(_: ClientOrderId) -> Destination:
    return None, None

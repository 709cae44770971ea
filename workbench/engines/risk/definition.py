"""Checks of an order against its instrument's definition and the time, whatever the market does."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from workbench.engines.risk.refusals import Refusal, utc
from workbench.engines.triggers import AFTER_TRIGGER, TRIGGERED
from workbench.model.enums import OrderType, TimeInForce, TrailingOffsetType
from workbench.model.events import OrderInitialized
from workbench.model.instruments import Future, Instrument

WITHOUT_PRICE = frozenset(
    kind for kind in OrderType if AFTER_TRIGGER.get(kind, kind) is OrderType.MARKET
)
"""The types that never have a limit price."""

_UNRESTING = WITHOUT_PRICE | {OrderType.MARKET_TO_LIMIT}
"""The types that trade at the market: none of them rests at a price of its own."""

WITHOUT_TRIGGER = frozenset(OrderType) - TRIGGERED
"""The types that wait for nothing."""

_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_MAX_BASIS_POINTS = Decimal(10_000)


def is_resting(order: OrderInitialized) -> bool:
    """Return whether it may wait at its venue, for a price or for its trigger."""
    return order.order_type is not OrderType.MARKET and order.time_in_force not in _AT_ONCE


def active_refusal(instrument: Future, now_ns: int) -> Refusal | None:
    """Refuse a future that does not trade yet, or no more."""
    first, end = instrument.activation_ns, instrument.expiration_ns
    if first <= now_ns < end:
        return None
    return Refusal(
        "INSTRUMENT_INACTIVE",
        f"{instrument.id} trades from {utc(first)} until {utc(end)}; it is {utc(now_ns)}",
    )


# Prices


def price_refusal(order: OrderInitialized, instrument: Instrument) -> Refusal | None:
    """Refuse prices, triggers and offsets that are missing, off the grid or out of range."""
    return _PRICE_CHECKS[order.order_type](order, instrument) or (
        _post_only_refusal(order) if order.post_only else None
    )


def _nothing(_: OrderInitialized, __: Instrument) -> None:
    return None


def _limit(order: OrderInitialized, instrument: Instrument) -> Refusal | None:
    price = order.price
    return _missing(order, "price") if price is None else _price("price", price, instrument)


def _stop(order: OrderInitialized, instrument: Instrument) -> Refusal | None:
    trigger = order.trigger_price
    if trigger is None:
        return _missing(order, "trigger_price")
    return _price("trigger_price", trigger, instrument)


def _stop_limit(order: OrderInitialized, instrument: Instrument) -> Refusal | None:
    return _limit(order, instrument) or _stop(order, instrument)


def _trailing(order: OrderInitialized, instrument: Instrument) -> Refusal | None:
    terms = order.terms
    named = (
        ("price", order.price),
        ("trigger_price", order.trigger_price),
        ("activation_price", terms.activation_price),
    )
    for what, price in named:
        refusal = None if price is None else _price(what, price, instrument)
        if refusal is not None:
            return refusal
    return _offset(order, "trailing_offset", terms.trailing_offset, instrument)


def _trailing_limit(order: OrderInitialized, instrument: Instrument) -> Refusal | None:
    return _trailing(order, instrument) or _offset(
        order, "limit_offset", order.terms.limit_offset, instrument
    )


_PRICE_CHECKS: dict[OrderType, Callable[[OrderInitialized, Instrument], Refusal | None]] = {
    OrderType.MARKET: _nothing,
    OrderType.MARKET_TO_LIMIT: _nothing,
    OrderType.LIMIT: _limit,
    OrderType.STOP_MARKET: _stop,
    OrderType.MARKET_IF_TOUCHED: _stop,
    OrderType.STOP_LIMIT: _stop_limit,
    OrderType.LIMIT_IF_TOUCHED: _stop_limit,
    OrderType.TRAILING_STOP_MARKET: _trailing,
    OrderType.TRAILING_STOP_LIMIT: _trailing_limit,
}


def _price(what: str, value: Decimal, instrument: Instrument) -> Refusal | None:
    if value <= 0:
        return Refusal(f"{what.upper()}_INVALID", f"{what} must be positive; got {value}")
    return _off_grid(what, value, instrument.price_increment)


def _offset(
    order: OrderInitialized, what: str, value: Decimal | None, instrument: Instrument
) -> Refusal | None:
    """Refuse an offset out of range; the limit may lie at its trigger, at an offset of 0."""
    if value is None:
        return _missing(order, what)
    kind = order.terms.trailing_offset_type
    code = f"{what.upper()}_INVALID"
    if value < 0 or (what == "trailing_offset" and not value):
        return Refusal(code, f"{what} must be positive; got {value}")
    if kind is TrailingOffsetType.BASIS_POINTS:
        if value < _MAX_BASIS_POINTS:
            return None
        return Refusal(code, f"{what} must be below {_MAX_BASIS_POINTS} basis points; got {value}")
    is_ticks = kind is TrailingOffsetType.TICKS
    return _off_grid(what, value, Decimal(1) if is_ticks else instrument.price_increment)


def _post_only_refusal(order: OrderInitialized) -> Refusal | None:
    if order.order_type not in _UNRESTING and order.time_in_force not in _AT_ONCE:
        return None
    return Refusal(
        "POST_ONLY_INVALID",
        f"a {order.order_type.value} order of {order.time_in_force.value} never rests, so it cannot"
        " be post-only",
    )


def _missing(order: OrderInitialized, field: str) -> Refusal:
    return Refusal("FIELD_MISSING", f"a {order.order_type.value} order needs {field}")


def _off_grid(what: str, value: Decimal, increment: Decimal) -> Refusal | None:
    if not value % increment:
        return None
    return Refusal(
        f"{what.upper()}_OFF_GRID",
        f"{what} {value} is not a multiple of {increment}; nothing was rounded",
    )


# Quantity and time


def quantity_refusal(order: OrderInitialized, instrument: Instrument) -> Refusal | None:
    """Refuse a quantity off the step grid or beyond the instrument's limits."""
    quantity = order.quantity
    if quantity <= 0:
        return Refusal("QUANTITY_INVALID", f"a quantity must be positive; got {quantity}")
    if quantity % instrument.quantity_increment:
        return _off_grid("quantity", quantity, instrument.quantity_increment)
    least, most = instrument.min_quantity, instrument.max_quantity
    if least is not None and quantity < least:
        return Refusal("QUANTITY_TOO_SMALL", f"quantity {quantity} is below the least of {least}")
    if most is not None and quantity > most:
        return Refusal("QUANTITY_TOO_LARGE", f"quantity {quantity} is above the limit of {most}")
    return None


def display_refusal(order: OrderInitialized, instrument: Instrument) -> Refusal | None:
    """Refuse to show more than there is, or a part off the step grid."""
    shown, quantity = order.terms.display_quantity, order.quantity
    if shown is None:
        return None
    # A child works for as much as its parent filled, which may be less than it was to show.
    is_too_large = shown > quantity and order.terms.parent_order_id is None
    if shown < 0 or is_too_large:
        return Refusal(
            "DISPLAY_QUANTITY_INVALID",
            f"display_quantity must lie between 0 and the order's {quantity}; got {shown}",
        )
    return _off_grid("display_quantity", shown, instrument.quantity_increment)


def expiry_refusal(order: OrderInitialized, now_ns: int) -> Refusal | None:
    """Refuse a GTD order whose time has come, or that has none."""
    expire_ns = order.terms.expire_ns
    if expire_ns is None:
        return Refusal("FIELD_MISSING", "a GTD order needs expire")
    if expire_ns > now_ns:
        return None
    return Refusal(
        "GTD_EXPIRED", f"a GTD order ends in the future; got {utc(expire_ns)}, it is {utc(now_ns)}"
    )


def unexpected_change(
    order_type: OrderType, price: Decimal | None, trigger_price: Decimal | None
) -> Refusal | None:
    """Refuse a change of something that an order of this type does not have."""
    for field, value, without in (
        ("price", price, WITHOUT_PRICE),
        ("trigger_price", trigger_price, WITHOUT_TRIGGER),
    ):
        if value is not None and order_type in without:
            return Refusal("FIELD_UNEXPECTED", f"a {order_type.value} order has no {field}")
    return None

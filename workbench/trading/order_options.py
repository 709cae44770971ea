"""The options that orders take beside side, quantity and prices, read and checked in one place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict

from workbench.model.enums import (
    OrderType,
    TimeInForce,
    TrailingOffsetType,
    TriggerType,
    parse_enum,
)
from workbench.model.errors import ConfigError
from workbench.model.events import PLAIN, OrderTerms
from workbench.model.identifiers import PositionId
from workbench.model.instruments import Number, to_decimal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OrderOptions(TypedDict, total=False):
    """What every order takes.

    Attributes:
        time_in_force: `"gtc"` (default), `"ioc"`, `"fok"`, `"gtd"`, `"day"`, `"at_the_open"` or
            `"at_the_close"`.
        expire: When a GTD order ends: nanoseconds, or a datetime with a zone; it makes one GTD.
        reduce_only: Whether it may only shrink a position.
        position_id: The position it is for, at a venue with `"hedging"`.
        emulation_trigger: Watch its trigger on our side, by this price, such as `"bid_ask"`.
        tags: Words of the strategy's own.
    """

    time_in_force: TimeInForce | str
    expire: int | datetime
    reduce_only: bool
    position_id: str | None
    emulation_trigger: TriggerType | str | None
    tags: tuple[str, ...]


class MarketOptions(OrderOptions, total=False):
    """What an order takes that trades at once.

    Attributes:
        quote_quantity: The quantity is in the quote currency; it is turned into units at the
            price there is when the order is submitted.
    """

    quote_quantity: bool


class LimitOptions(MarketOptions, total=False):
    """What an order takes that may rest at a price.

    Attributes:
        post_only: Reject it rather than let it take liquidity.
        display_quantity: How much of it the venue shows.
    """

    post_only: bool
    display_quantity: Number | None


class TriggerOptions(OrderOptions, total=False):
    """What an order takes that waits for a trigger.

    Attributes:
        trigger_type: Which price is compared with the trigger: `"default"`, `"bid_ask"`, `"last"`,
            `"last_or_bid_ask"`, `"mid"`, `"mark"`, `"double_last"` or `"double_bid_ask"`.
    """

    trigger_type: TriggerType | str


class TriggerLimitOptions(TriggerOptions, total=False):
    """What an order takes that rests at a price once its trigger was reached.

    Attributes:
        post_only: Reject it rather than let it take liquidity.
        display_quantity: How much of it the venue shows.
    """

    post_only: bool
    display_quantity: Number | None


class TrailingOptions(TriggerOptions, total=False):
    """What a trailing stop takes.

    Attributes:
        trailing_offset_type: What offsets are counted in: `"price"` (default), `"basis_points"` or
            `"ticks"`.
        activation_price: It trails once the market has reached this price; by default at once.
        trigger_price: Where its trigger is at first; by default the offset away from the market.
    """

    trailing_offset_type: TrailingOffsetType | str
    activation_price: Number | None
    trigger_price: Number | None


class TrailingLimitOptions(TrailingOptions, total=False):
    """What a trailing stop limit takes.

    Attributes:
        price: Its limit at first; by default the limit offset away from the trigger.
        post_only: Reject it rather than let it take liquidity.
        display_quantity: How much of it the venue shows.
    """

    price: Number | None
    post_only: bool
    display_quantity: Number | None


OPTIONS: dict[OrderType, frozenset[str]] = {
    OrderType.MARKET: frozenset(MarketOptions.__annotations__),
    OrderType.LIMIT: frozenset(LimitOptions.__annotations__),
    OrderType.MARKET_TO_LIMIT: frozenset(LimitOptions.__annotations__) - {"post_only"},
    OrderType.STOP_MARKET: frozenset(TriggerOptions.__annotations__),
    OrderType.MARKET_IF_TOUCHED: frozenset(TriggerOptions.__annotations__),
    OrderType.STOP_LIMIT: frozenset(TriggerLimitOptions.__annotations__),
    OrderType.LIMIT_IF_TOUCHED: frozenset(TriggerLimitOptions.__annotations__),
    OrderType.TRAILING_STOP_MARKET: frozenset(TrailingOptions.__annotations__),
    OrderType.TRAILING_STOP_LIMIT: frozenset(TrailingLimitOptions.__annotations__),
}
"""Which options an order of which type takes."""


class Instructions(NamedTuple):
    """Options as an order holds them."""

    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    position_id: PositionId | None = None
    terms: OrderTerms = PLAIN


_NONE = Instructions()


def read_options(
    order_type: OrderType, given: dict[str, Any], quantity: Decimal, more: dict[str, Any]
) -> Instructions:
    """Check what a user gave and make it exact.

    Args:
        order_type: Which order it is for.
        given: The options.
        quantity: The order's, for `quote_quantity`.
        more: Terms that are set already.

    Raises:
        ConfigError: If an option is not one of this type's, or cannot be read.
    """
    if not given and not more:
        return _NONE
    _refuse_unknown(order_type, given)
    force, expire_ns = _times(given)
    if expire_ns is not None:
        more["expire_ns"] = expire_ns
    if given.get("quote_quantity"):
        more["quote_quantity"] = quantity
    for name, kind in _ENUM_TERMS:
        value = given.get(name)
        if value is not None:
            more[name] = parse_enum(kind, value, name)
    if given.get("display_quantity") is not None:
        more["display_quantity"] = to_decimal(given["display_quantity"], "display_quantity")
    if given.get("tags"):
        more["tags"] = _tags(given["tags"])
    return Instructions(
        force,
        _switch(given, "post_only"),
        _switch(given, "reduce_only"),
        None if given.get("position_id") is None else PositionId(given["position_id"]),
        OrderTerms(**more) if more else PLAIN,
    )


_ENUM_TERMS = (("trigger_type", TriggerType), ("emulation_trigger", TriggerType))


def _refuse_unknown(order_type: OrderType, given: dict[str, Any]) -> None:
    unknown = sorted(given.keys() - OPTIONS[order_type])
    if unknown:
        raise ConfigError(
            f"a {order_type.value} order takes no {', '.join(map(repr, unknown))};"
            f" it takes {', '.join(sorted(OPTIONS[order_type]))}"
        )


def _times(given: dict[str, Any]) -> tuple[TimeInForce, int | None]:
    expire = given.get("expire")
    default = TimeInForce.GTC if expire is None else TimeInForce.GTD
    force = parse_enum(TimeInForce, given.get("time_in_force", default), "time_in_force")
    if (force is TimeInForce.GTD) is (expire is None):
        raise ConfigError(
            f"a GTD order, and no other, takes expire=...; got time_in_force={force.value!r} and"
            f" expire={expire!r}"
        )
    return force, None if expire is None else _nanoseconds(expire)


def _nanoseconds(moment: Any) -> int:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ConfigError("expire: give the datetime a zone, such as datetime.UTC")
        return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    if type(moment) is int:
        return moment
    raise ConfigError(f"expire is nanoseconds or a datetime with a zone; got {moment!r}")


def _switch(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{name} is True or False; got {value!r}")
    return value


def _tags(given: Any) -> tuple[str, ...]:
    words: tuple[Any, ...] = (given,) if isinstance(given, str) else tuple(given)
    for word in words:
        if not isinstance(word, str):
            raise ConfigError(f"tags are words; got {word!r}")
    return words

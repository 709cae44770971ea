"""The closed vocabularies of trading; every value is the lower-case word users may also type."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from workbench.model.errors import ConfigError


class OrderSide(StrEnum):
    """Whether an order or fill buys or sells."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """Return 1 for buy and -1 for sell."""
        return 1 if self is OrderSide.BUY else -1

    @property
    def opposite(self) -> OrderSide:
        """Return the other side."""
        return OrderSide.SELL if self is OrderSide.BUY else OrderSide.BUY


class OrderType(StrEnum):
    """How an order finds its price."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long an order may rest."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class OrderStatus(StrEnum):
    """Where an order is; the transitions are in `workbench.model.order_state`."""

    INITIALIZED = "initialized"
    DENIED = "denied"
    EMULATED = "emulated"
    RELEASED = "released"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELED = "canceled"
    EXPIRED = "expired"
    TRIGGERED = "triggered"
    PENDING_UPDATE = "pending_update"
    PENDING_CANCEL = "pending_cancel"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"


class LiquiditySide(StrEnum):
    """Whether a fill took liquidity or made it."""

    MAKER = "maker"
    TAKER = "taker"


class PositionSide(StrEnum):
    """Which way a position faces."""

    FLAT = "flat"
    LONG = "long"
    SHORT = "short"


class AccountType(StrEnum):
    """What an account's balance means."""

    CASH = "cash"
    MARGIN = "margin"


class TradingState(StrEnum):
    """What the risk engine lets through."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class AggressorSide(StrEnum):
    """Which side took liquidity in a market trade."""

    BUYER = "buyer"
    SELLER = "seller"
    NONE = "none"


class BarAggregation(StrEnum):
    """What closes a bar."""

    MILLISECOND = "millisecond"
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TICK = "tick"
    VOLUME = "volume"
    VALUE = "value"


class PriceType(StrEnum):
    """Which price a bar is built from."""

    LAST = "last"
    BID = "bid"
    ASK = "ask"
    MID = "mid"


_E = TypeVar("_E", bound=StrEnum)


def parse_enum(kind: type[_E], value: str, what: str) -> _E:
    """Return the member that `value` spells, in any case.

    Raises:
        ConfigError: Listing the words that are allowed.

    >>> parse_enum(OrderSide, "BUY", "side")
    <OrderSide.BUY: 'buy'>
    """
    if type(value) is kind:
        return value
    try:
        return kind(value.lower())
    except (ValueError, AttributeError):
        words = ", ".join(repr(member.value) for member in kind)
        raise ConfigError(f"{what} must be one of {words}; got {value!r}") from None

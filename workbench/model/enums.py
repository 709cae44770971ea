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
    STOP_MARKET = "stop_market"
    STOP_LIMIT = "stop_limit"
    MARKET_TO_LIMIT = "market_to_limit"
    MARKET_IF_TOUCHED = "market_if_touched"
    LIMIT_IF_TOUCHED = "limit_if_touched"
    TRAILING_STOP_MARKET = "trailing_stop_market"
    TRAILING_STOP_LIMIT = "trailing_stop_limit"


class TimeInForce(StrEnum):
    """How long an order may rest.

    GTC until cancelled, IOC and FOK not at all, GTD until a time, DAY until the session closes;
    AT_THE_OPEN and AT_THE_CLOSE trade at the next opening or closing of the session only.
    """

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTD = "gtd"
    DAY = "day"
    AT_THE_OPEN = "at_the_open"
    AT_THE_CLOSE = "at_the_close"


class TriggerType(StrEnum):
    """Which price is compared with a trigger.

    DEFAULT is the venue's own choice, at a simulated one BID_ASK: the ask for a buy, the bid for a
    sale. A DOUBLE one must be reached by two updates in a row.
    """

    DEFAULT = "default"
    BID_ASK = "bid_ask"
    LAST = "last"
    LAST_OR_BID_ASK = "last_or_bid_ask"
    MID = "mid"
    MARK = "mark"
    DOUBLE_LAST = "double_last"
    DOUBLE_BID_ASK = "double_bid_ask"


class TrailingOffsetType(StrEnum):
    """What a trailing offset is counted in."""

    PRICE = "price"
    BASIS_POINTS = "basis_points"
    TICKS = "ticks"


class ContingencyType(StrEnum):
    """What the orders of a list have to do with each other.

    OCO: the first fill of one cancels the others. OTO: the children work once the parent fills, for
    as much as it filled. OUO: a fill of one leaves the others as much as it has left itself.
    """

    OCO = "oco"
    OTO = "oto"
    OUO = "ouo"


class OrderManagement(StrEnum):
    """How fills make positions: one per instrument and strategy, or one per order or as named."""

    NETTING = "netting"
    HEDGING = "hedging"


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
    found = None
    if isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        # A look into the members' own table: calling the class costs ten times as much.
        found = kind._value2member_map_.get(value.lower())
    if found is None:
        words = ", ".join(repr(member.value) for member in kind)
        raise ConfigError(f"{what} must be one of {words}; got {value!r}")
    return found  # pyright: ignore[reportReturnType]  # its members are of this class

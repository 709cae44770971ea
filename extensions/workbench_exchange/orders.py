"""Clients' orders: how a request is read, and the order as the exchange keeps it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

import msgspec

from workbench.model.enums import OrderSide
from workbench.model.money import ZERO
from workbench_exchange.config import Listing
from workbench_exchange.refusals import RefusalError, filtered, illegal, missing, unneeded

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_W = TypeVar("_W", bound=StrEnum)
Params = Mapping[str, str]


class Kind(StrEnum):
    """The types of orders."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


class Force(StrEnum):
    """How long an order may rest."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Status(StrEnum):
    """What became of an order."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


TRIGGERED = frozenset(
    {Kind.STOP_LOSS, Kind.STOP_LOSS_LIMIT, Kind.TAKE_PROFIT, Kind.TAKE_PROFIT_LIMIT}
)
_FORCED = frozenset({Kind.LIMIT, Kind.STOP_LOSS_LIMIT, Kind.TAKE_PROFIT_LIMIT})
_PRICED = _FORCED | {Kind.LIMIT_MAKER}
_STOPS = frozenset({Kind.STOP_LOSS, Kind.STOP_LOSS_LIMIT})
OPEN = frozenset({Status.NEW, Status.PARTIALLY_FILLED})


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was asked for, in ticks and lots.

    Attributes:
        budget: Quote asset that a market order spends or earns, None if it has a quantity.
    """

    side: OrderSide
    kind: Kind
    force: Force
    lots: int
    ticks: int
    stop_ticks: int
    budget: Decimal | None
    client_id: str


class Order(msgspec.Struct, eq=False, kw_only=True):
    """An order of a client.

    Attributes:
        number: The exchange's id.
        lots, done: Its quantity and how much is filled; a market order by budget has 0 lots
            until it is over.
        paid: Quote asset of its fills.
        locked: What of the account is kept for it.
        is_working: Whether it can trade: a stop does once its trigger was reached.
        owner: The account.
    """

    number: int
    owner: str
    symbol: str
    client_id: str
    side: OrderSide
    kind: Kind
    force: Force
    lots: int
    ticks: int
    stop_ticks: int
    budget: Decimal | None
    created_ms: int
    updated_ms: int
    status: Status = Status.NEW
    done: int = 0
    paid: Decimal = ZERO
    locked: Decimal = ZERO
    is_working: bool = True
    working_ms: int = -1

    @property
    def left(self) -> int:
        """Return how many lots are still to be filled."""
        return self.lots - self.done

    @property
    def is_open(self) -> bool:
        """Return whether it may still fill."""
        return self.status in OPEN

    @property
    def is_priced(self) -> bool:
        """Return whether it has a limit."""
        return self.kind in _PRICED

    @property
    def rises(self) -> bool:
        """Return whether its trigger waits for the price to rise."""
        return (self.kind in _STOPS) is (self.side is OrderSide.BUY)


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """A trade of a client's order.

    Attributes:
        number: The trade's id, unique in its symbol.
        order: The order's id.
    """

    number: int
    order: int
    owner: str
    symbol: str
    price: Decimal
    quantity: Decimal
    paid: Decimal
    fee: Decimal
    fee_asset: str
    at_ms: int
    is_buyer: bool
    is_maker: bool


def read_order(params: Params, listing: Listing, client_id: str) -> NewOrder:
    """Return the order that a request asks for.

    Args:
        params: Of the request.
        listing: Of its symbol.
        client_id: Taken if the request names none.

    Raises:
        RefusalError: If a parameter is missing, not needed, or does not pass the symbol's filters.
    """
    side = _word(params, "side", OrderSide, -1117, "Invalid side.")
    kind = _word(params, "type", Kind, -1116, "Invalid orderType.")
    force = _force(params, kind)
    budget = _budget(params, kind, listing)
    new = NewOrder(
        side=side,
        kind=kind,
        force=force,
        lots=0 if budget is not None else _lots(params, listing),
        ticks=_ticks(params, "price", listing, is_needed=kind in _PRICED),
        stop_ticks=_ticks(params, "stopPrice", listing, is_needed=kind in TRIGGERED),
        budget=budget,
        client_id=read_client_id(params, "newClientOrderId") or client_id,
    )
    price = new.ticks or new.stop_ticks
    if new.lots and price and listing.worth * price * new.lots < listing.min_notional:
        raise filtered("NOTIONAL")
    return new


def read_client_id(params: Params, name: str) -> str:
    """Return a client's own id, empty if there is none."""
    given = params.get(name, "")
    if given and not CLIENT_ID.fullmatch(given):
        raise RefusalError(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is"
            " '^[.A-Z\\:/a-z0-9_-]{1,36}$'.",
        )
    return given


def read_integer(params: Params, name: str) -> int | None:
    """Return a whole number, None if it was not sent."""
    given = params.get(name, "")
    if not given:
        return None
    if not given.isdecimal() or len(given) > 19:
        raise illegal(name)
    return int(given)


def _word(params: Params, name: str, words: type[_W], code: int, text: str) -> _W:
    given = params.get(name, "")
    if not given:
        raise missing(name)
    for word in words:
        if word.name == given:
            return word
    raise RefusalError(code, text)


def _force(params: Params, kind: Kind) -> Force:
    given = params.get("timeInForce", "")
    if kind not in _FORCED:
        if given and kind is not Kind.LIMIT_MAKER:
            raise unneeded("timeInForce")
        return Force.GTC
    return _word(params, "timeInForce", Force, -1115, "Invalid timeInForce.")


def _decimal(params: Params, name: str) -> Decimal | None:
    given = params.get(name, "")
    if not given:
        return None
    try:
        # Clients may write small numbers with an exponent.
        number = Decimal(given)
    except InvalidOperation:
        raise illegal(name) from None
    if not _NUMBER.fullmatch(f"{number:f}"):
        raise illegal(name)
    if -int(number.normalize().as_tuple().exponent) > 8:
        raise RefusalError(-1111, f"Parameter '{name}' has too much precision.")
    return number


def _lots(params: Params, listing: Listing) -> int:
    quantity = _decimal(params, "quantity")
    if quantity is None:
        raise missing("quantity")
    if not listing.min_quantity <= quantity <= listing.max_quantity or quantity % listing.step:
        raise filtered("LOT_SIZE")
    return int(quantity / listing.step)


def _ticks(params: Params, name: str, listing: Listing, *, is_needed: bool) -> int:
    price = _decimal(params, name)
    if not is_needed:
        if price:
            raise unneeded(name)
        return 0
    if price is None:
        raise missing(name)
    if price <= 0 or price % listing.tick:
        raise filtered("PRICE_FILTER")
    return int(price / listing.tick)


def _budget(params: Params, kind: Kind, listing: Listing) -> Decimal | None:
    budget = _decimal(params, "quoteOrderQty")
    if budget is None:
        return None
    if kind is not Kind.MARKET or params.get("quantity"):
        raise unneeded("quoteOrderQty")
    if budget < listing.min_notional:
        raise filtered("NOTIONAL")
    return budget

"""Orders and fills between workbench and ccxt: pure functions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from workbench.model.enums import (
    LiquiditySide,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from workbench.model.events import OrderInitialized
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    TradeId,
    VenueOrderId,
)
from workbench.model.money import ZERO
from workbench.model.reports import FillReport, OrderStatusReport, PositionReport
from workbench.venues.contract import OrderChange
from workbench.venues.errors import VenueError
from workbench_ccxt.markets import instrument_id_of, number, unit

_log = logging.getLogger(__name__)
_MS = 1_000_000
_STOPS = (OrderType.STOP_MARKET, OrderType.STOP_LIMIT)
_PRICED = (OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED)
_FORCES = {force.value.upper(): force for force in TimeInForce}
_ENDS = {
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "canceling": OrderStatus.ACCEPTED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
ENDED = frozenset(_ENDS.values()) - {OrderStatus.ACCEPTED}
"""Where an order no longer rests."""


class Terms(NamedTuple):
    """What makes an order; the exchange does not always say it again.

    Attributes:
        client_order_id: Ours; of one leg, where it was made anew.
        quantity: In all.
    """

    client_order_id: ClientOrderId
    side: OrderSide
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False


def terms_of(order: OrderInitialized) -> Terms:
    """Return the terms of an order."""
    return Terms(*(getattr(order, name) for name in Terms._fields))


def changed(change: OrderChange, before: Terms | None) -> Terms:
    """Return the terms of a changed order; what a change does not name is as it was."""
    given = {name: getattr(change, name) for name in Terms._fields if hasattr(change, name)}
    return Terms(**given) if before is None else before._replace(**given)


class Wire(NamedTuple):
    """The arguments of ccxt's `create_order` and `edit_order` after the symbol."""

    kind: str
    side: str
    amount: str
    price: str | None
    params: dict[str, Any]


def wire(terms: Terms, client_id: str) -> Wire:
    """Return what an order is to ccxt."""
    params: dict[str, Any] = {"clientOrderId": client_id}
    is_priced = terms.order_type in _PRICED
    if is_priced and terms.post_only:
        params["postOnly"] = True
    elif is_priced:
        params["timeInForce"] = terms.time_in_force.value.upper()
    if terms.trigger_price is not None:
        params["triggerPrice"] = f"{terms.trigger_price:f}"
    if terms.reduce_only:
        params["reduceOnly"] = True
    return Wire(
        "limit" if is_priced else "market",
        terms.side.value,
        f"{terms.quantity:f}",
        None if terms.price is None else f"{terms.price:f}",
        params,
    )


def status_report(
    raw: Mapping[str, Any],
    ours: Terms | None,
    client_order_id: ClientOrderId | None,
    account_id: AccountId,
    venue: str,
    now_ns: int,
) -> OrderStatusReport:
    """Return an order of ccxt as a report.

    Raises:
        VenueError: If it has no id, side or quantity.
    """
    quantity = number(raw.get("amount")) or (None if ours is None else ours.quantity)
    if not raw.get("id") or quantity is None or not raw.get("side"):
        raise VenueError(f"expected an order with id, side and amount; got {dict(raw)!r}")
    kind = _type(raw) if ours is None else ours.order_type
    filled = number(raw.get("filled")) or ZERO
    price = number(raw.get("price")) if kind in _PRICED else None
    trigger = number(raw.get("triggerPrice")) if _is_triggered(kind) else None
    if ours is not None and raw.get("status") is None:
        price, trigger = ours.price, ours.trigger_price  # a bare acknowledgement
    force = _FORCES.get(str(raw.get("timeInForce")).upper(), TimeInForce.GTC)
    return OrderStatusReport(
        account_id=account_id,
        instrument_id=instrument_id_of(raw["symbol"], venue),
        client_order_id=client_order_id,
        venue_order_id=VenueOrderId(str(raw["id"])),
        side=OrderSide(raw["side"]),
        order_type=kind,
        time_in_force=force if ours is None else ours.time_in_force,
        status=_status(raw, filled, quantity),
        quantity=quantity,
        filled_quantity=filled,
        price=price,
        trigger_price=trigger,
        average_price=number(raw.get("average")) if filled else None,
        ts_event=_latest_ns(raw, now_ns),
        ts_init=now_ns,
    )


def _status(raw: Mapping[str, Any], filled: Decimal, quantity: Decimal) -> OrderStatus:
    ended = _ENDS.get(str(raw.get("status")))
    if ended is OrderStatus.FILLED and filled < quantity:
        return OrderStatus.CANCELED  # "closed" says only that it is no longer open
    if ended is not None:
        return ended
    return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED


def _is_triggered(kind: OrderType) -> bool:
    return kind in _STOPS or kind in (OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED)


def _type(raw: Mapping[str, Any]) -> OrderType:
    """Return what an order is that we did not send."""
    words = str(raw.get("type") or "limit").lower()
    is_limit = "limit" in words or (words not in ("market",) and "market" not in words)
    if words in ("stop_loss", "stop", "take_profit"):
        is_limit = False
    if "profit" in words or number(raw.get("takeProfitPrice")):
        return OrderType.LIMIT_IF_TOUCHED if is_limit else OrderType.MARKET_IF_TOUCHED
    if "stop" in words or number(raw.get("triggerPrice")):
        return OrderType.STOP_LIMIT if is_limit else OrderType.STOP_MARKET
    return OrderType.LIMIT if is_limit else OrderType.MARKET


def _latest_ns(raw: Mapping[str, Any], now_ns: int) -> int:
    names = ("lastUpdateTimestamp", "lastTradeTimestamp", "timestamp")
    times = [int(raw[name]) for name in names if raw.get(name) is not None]
    return max(times) * _MS if times else now_ns


def fill_report(
    raw: Mapping[str, Any],
    client_order_id: ClientOrderId | None,
    account_id: AccountId,
    venue: str,
    now_ns: int,
) -> FillReport:
    """Return a trade of the account as a report.

    Raises:
        VenueError: If it has no order, side, price or amount.
    """
    quantity, price = number(raw.get("amount")), number(raw.get("price"))
    if not quantity or price is None or not raw.get("order") or not raw.get("side"):
        raise VenueError(f"expected a fill with order, side, price, amount; got {dict(raw)!r}")
    at_ms = raw.get("timestamp")
    trade_id = raw.get("id") or f"{raw['order']}-{at_ms}-{price}-{quantity}"
    quote = str(raw["symbol"]).partition("/")[2].partition(":")[0]
    cost, code = _fee(raw, quote)
    return FillReport(
        account_id=account_id,
        instrument_id=instrument_id_of(raw["symbol"], venue),
        client_order_id=client_order_id,
        venue_order_id=VenueOrderId(str(raw["order"])),
        trade_id=TradeId(str(trade_id)),
        side=OrderSide(raw["side"]),
        quantity=quantity,
        price=price,
        commission=cost,
        commission_currency=unit(code),
        liquidity=LiquiditySide.MAKER
        if raw.get("takerOrMaker") == "maker"
        else LiquiditySide.TAKER,
        ts_event=now_ns if at_ms is None else int(at_ms) * _MS,
        ts_init=now_ns,
    )


def _fee(raw: Mapping[str, Any], quote: str) -> tuple[Decimal, str]:
    """Return a fill's fee and its currency; nothing, in the quote currency, where none is told."""
    fees = [raw["fee"]] if raw.get("fee") else list(raw.get("fees") or ())
    paid: dict[str, Decimal] = {}
    for fee in fees:
        cost, code = number(fee.get("cost")), fee.get("currency")
        if cost is not None and code:
            paid[code] = paid.get(code, ZERO) + cost
    if len(paid) > 1:
        _log.warning("fill %s has fees in several currencies: %s", raw.get("id"), paid)
    code, cost = next(iter(paid.items()), (quote, ZERO))
    return cost, code


def position_report(
    raw: Mapping[str, Any], account_id: AccountId, venue: str, now_ns: int
) -> PositionReport | None:
    """Return a position of ccxt as a report, None for a flat one."""
    contracts = number(raw.get("contracts"))
    if not contracts:
        return None
    signed = -abs(contracts) if raw.get("side") == "short" else contracts
    at_ms = raw.get("timestamp")
    return PositionReport(
        account_id=account_id,
        instrument_id=instrument_id_of(raw["symbol"], venue),
        signed_quantity=signed,
        average_open=number(raw.get("entryPrice")),
        ts_event=now_ns if at_ms is None else int(at_ms) * _MS,
        ts_init=now_ns,
    )

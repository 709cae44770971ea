"""What accounts read: orders, fills and balances in the protocol's words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from workbench.model.money import ZERO
from workbench_exchange.config import Listing
from workbench_exchange.orders import Fill, Kind, Order
from workbench_exchange.wallet import Balance, Wallet

Payload = dict[str, Any]
NO_LIST = -1
_SPOT = "SPOT"
PREVENTION = "EXPIRE_MAKER"


def amount(value: Decimal) -> str:
    """Return a number as it is written on the wire: eight digits, never an exponent."""
    return f"{value:.8f}"


def execution(
    order: Order,
    listing: Listing,
    what: str,
    now_ms: int,
    number: int,
    fill: Fill | None = None,
    cancel_id: str = "",
) -> Payload:
    """Return an `executionReport`.

    Args:
        order: As it is now.
        listing: Of its symbol.
        what: The execution type, such as NEW.
        now_ms: The time.
        number: The execution's id.
        fill: Of a TRADE.
        cancel_id: What the client calls its cancel.
    """
    payload = {
        "e": "executionReport",
        "E": now_ms,
        "s": order.symbol,
        "c": cancel_id or order.client_id,
        "S": order.side.name,
        "o": order.kind.value,
        "f": order.force.value,
        "q": amount(listing.quantity(order.lots)),
        "p": amount(listing.price(order.ticks)),
        "P": amount(listing.price(order.stop_ticks)),
        "F": amount(ZERO),
        "g": NO_LIST,
        "C": order.client_id if cancel_id else "",
        "x": what,
        "X": order.status.value,
        "r": "NONE",
        "i": order.number,
        "l": amount(ZERO if fill is None else fill.quantity),
        "z": amount(listing.quantity(order.done)),
        "L": amount(ZERO if fill is None else fill.price),
        "n": amount(ZERO if fill is None else fill.fee),
        "N": None if fill is None else fill.fee_asset,
        "T": order.updated_ms,
        "t": -1 if fill is None else fill.number,
        "I": number,
        "w": order.is_working and order.is_open and order.kind is not Kind.MARKET,
        "m": fill is not None and fill.is_maker,
        "M": fill is not None,
        "O": order.created_ms,
        "Z": amount(order.paid),
        "Y": amount(ZERO if fill is None else fill.paid),
        "Q": amount(order.budget or ZERO),
        "V": PREVENTION,
    }
    if order.working_ms >= 0:
        payload["W"] = order.working_ms
    return payload


def account_position(balances: Mapping[str, Balance], now_ms: int) -> Payload:
    """Return an `outboundAccountPosition` with the balances that changed."""
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": now_ms,
        "B": [
            {"a": asset, "f": amount(balance.free), "l": amount(balance.locked)}
            for asset, balance in balances.items()
        ],
    }


def _core(order: Order, listing: Listing) -> Payload:
    return {
        "symbol": order.symbol,
        "orderId": order.number,
        "orderListId": NO_LIST,
        "clientOrderId": order.client_id,
        "price": amount(listing.price(order.ticks)),
        "origQty": amount(listing.quantity(order.lots)),
        "executedQty": amount(listing.quantity(order.done)),
        "origQuoteOrderQty": amount(order.budget or ZERO),
        "cummulativeQuoteQty": amount(order.paid),
        "status": order.status.value,
        "timeInForce": order.force.value,
        "type": order.kind.value,
        "side": order.side.name,
        "selfTradePreventionMode": PREVENTION,
    }


def status(order: Order, listing: Listing) -> Payload:
    """Return an order as it is found by a query."""
    return _core(order, listing) | {
        "stopPrice": amount(listing.price(order.stop_ticks)),
        "icebergQty": amount(ZERO),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.is_working,
        "workingTime": order.working_ms,
    }


def placed(order: Order, listing: Listing, fills: Iterable[Fill], wanted: str) -> Payload:
    """Return the answer to a new order.

    Args:
        order: As it is after it came.
        listing: Of its symbol.
        fills: What it traded.
        wanted: ACK, RESULT or FULL.
    """
    if wanted == "ACK":
        return {
            "symbol": order.symbol,
            "orderId": order.number,
            "orderListId": NO_LIST,
            "clientOrderId": order.client_id,
            "transactTime": order.created_ms,
        }
    payload = _core(order, listing) | {
        "transactTime": order.updated_ms,
        "workingTime": order.working_ms,
    }
    if order.stop_ticks:
        payload["stopPrice"] = amount(listing.price(order.stop_ticks))
    if wanted == "FULL":
        payload["fills"] = [
            {
                "price": amount(fill.price),
                "qty": amount(fill.quantity),
                "commission": amount(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.number,
            }
            for fill in fills
        ]
    return payload


def canceled(order: Order, listing: Listing, cancel_id: str) -> Payload:
    """Return the answer to a cancel."""
    payload = _core(order, listing) | {
        "origClientOrderId": order.client_id,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_ms,
    }
    if order.stop_ticks:
        payload["stopPrice"] = amount(listing.price(order.stop_ticks))
    return payload


def trade(fill: Fill) -> Payload:
    """Return a fill as the list of an account's trades has it."""
    return {
        "symbol": fill.symbol,
        "id": fill.number,
        "orderId": fill.order,
        "orderListId": NO_LIST,
        "price": amount(fill.price),
        "qty": amount(fill.quantity),
        "quoteQty": amount(fill.paid),
        "commission": amount(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.at_ms,
        "isBuyer": fill.is_buyer,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def account(
    wallet: Wallet, number: int, fees: tuple[Decimal, Decimal], *, leaves_out_empty: bool
) -> Payload:
    """Return an account with its balances.

    Args:
        wallet: What it has.
        number: Its id.
        fees: Shares of makers and takers.
        leaves_out_empty: Whether assets of which there is nothing are left out.
    """
    maker, taker = fees
    return {
        "makerCommission": int(maker * 10_000),
        "takerCommission": int(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": amount(maker),
            "taker": amount(taker),
            "buyer": amount(ZERO),
            "seller": amount(ZERO),
        },
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": wallet.updated_ms,
        "accountType": _SPOT,
        "balances": [
            {"asset": asset, "free": amount(one.free), "locked": amount(one.locked)}
            for asset, one in sorted(wallet.balances.items())
            if not leaves_out_empty or one.free or one.locked
        ],
        "permissions": [_SPOT],
        "uid": number,
    }

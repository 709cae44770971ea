"""Everything that can be asked, once for REST and for sockets.

An operation has the name that it has on a socket; its path is that of REST. Its handler takes a
request and returns what becomes JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from workbench_exchange import public, reports
from workbench_exchange.candles import INTERVALS
from workbench_exchange.orders import (
    Kind,
    Order,
    read_client_id,
    read_integer,
    read_order,
)
from workbench_exchange.pair import Pair
from workbench_exchange.refusals import RefusalError, illegal, missing
from workbench_exchange.venue import Venue

_FOREVER_MS = 2**62


class Request(NamedTuple):
    """What an operation works on.

    Attributes:
        account: Who asks; empty if it was not signed.
    """

    venue: Venue
    account: str
    params: Mapping[str, str]

    def text(self, name: str) -> str:
        """Return a parameter that must be there."""
        value = self.params.get(name, "")
        if not value:
            raise missing(name)
        return value

    def integer(self, name: str, default: int) -> int:
        """Return a whole number."""
        value = read_integer(self.params, name)
        return default if value is None else value

    def limit(self, default: int, most: int) -> int:
        """Return how many rows are wanted."""
        return max(1, min(self.integer("limit", default), most))

    def pair(self) -> Pair:
        """Return the symbol that is named."""
        return self.venue.pair(self.text("symbol"))

    def pairs(self) -> list[Pair]:
        """Return the symbols that are named, all if none is."""
        params = self.params
        if params.get("symbol"):
            return [self.pair()]
        if params.get("symbols"):
            try:
                names = msgspec.json.decode(params["symbols"], type=list[str])
            except msgspec.DecodeError:
                raise illegal("symbols") from None
            return [self.venue.pair(name) for name in names]
        return list(self.venue.pairs.values())

    def one_or_all(self, show: Callable[[Pair], Any]) -> Any:
        """Return one symbol's answer, or a list of them."""
        rows = [show(pair) for pair in self.pairs()]
        return rows[0] if self.params.get("symbol") else rows

    def order(self, code: int, text: str) -> Order:
        """Return the order that is named.

        Raises:
            RefusalError: With this code and text if there is none.
        """
        pair, number = self.pair(), read_integer(self.params, "orderId")
        client_id = self.params.get("origClientOrderId", "")
        if number is None and not client_id:
            raise RefusalError(
                -1102,
                "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
            )
        order = self.venue.find(self.account, pair.symbol, number, client_id)
        if order is None or (client_id and order.client_id != client_id):
            raise RefusalError(code, text)
        return order


Handler = Callable[[Request], Any]


class Operation(NamedTuple):
    """Something that can be asked.

    Attributes:
        name: As on a socket.
        method, path: As in REST; empty if it is for sockets only.
        handler: What answers.
        weight: What it counts for.
        is_signed: Whether it needs a key and a signature.
        is_order: Whether it counts as a new order.
    """

    name: str
    method: str
    path: str
    handler: Handler
    weight: int = 1
    is_signed: bool = False
    is_order: bool = False


# Of the market


def _ping(request: Request) -> Any:
    del request
    return {}


def _time(request: Request) -> Any:
    return {"serverTime": request.venue.now_ms()}


def _exchange_info(request: Request) -> Any:
    return public.exchange_info(request.venue.config, request.pairs(), request.venue.now_ms())


def _depth(request: Request) -> Any:
    return public.depth(request.pair(), request.limit(100, 5000))


def _recent_trades(request: Request) -> Any:
    pair = request.pair()
    return [public.trade(pair, one) for one in list(pair.trades)[-request.limit(500, 1000) :]]


def _historical_trades(request: Request) -> Any:
    pair, first = request.pair(), read_integer(request.params, "fromId")
    limit = request.limit(500, 1000)
    if first is None:
        return _recent_trades(request)
    rows = [one for one in pair.trades if one.number >= first]
    return [public.trade(pair, one) for one in rows[:limit]]


def _aggregates(request: Request) -> Any:
    pair, limit = request.pair(), request.limit(500, 1000)
    first = read_integer(request.params, "fromId")
    start, end = request.integer("startTime", 0), request.integer("endTime", _FOREVER_MS)
    rows = [
        one
        for one in pair.aggregates
        if start <= one.at_ms <= end and (first is None or one.number >= first)
    ]
    is_from = first is not None or "startTime" in request.params
    return [public.aggregate(pair, one) for one in (rows[:limit] if is_from else rows[-limit:])]


def _candles(request: Request) -> Any:
    pair, interval = request.pair(), request.text("interval")
    if interval not in INTERVALS:
        raise RefusalError(-1120, "Invalid interval.")
    pair.candles.roll(request.venue.now_ms())
    start, end = request.integer("startTime", 0), request.integer("endTime", _FOREVER_MS)
    rows = pair.candles.of(interval, start, end)
    limit = request.limit(500, 1000)
    kept = rows[:limit] if "startTime" in request.params else rows[-limit:]
    return [public.candle(pair, one, interval) for one in kept]


def _book_ticker(request: Request) -> Any:
    return request.one_or_all(public.book_ticker)


def _price(request: Request) -> Any:
    return request.one_or_all(public.price)


def _day(request: Request) -> Any:
    now = request.venue.now_ms()
    return request.one_or_all(lambda pair: public.day(pair, now))


# Of an account


def _place(request: Request) -> Any:
    venue, pair = request.venue, request.pair()
    wanted = _response_type(request.params)
    new = read_order(request.params, pair.listing, venue.next_client_id())
    order = venue.place(request.account, pair, new)
    if not wanted:
        wanted = "FULL" if order.kind in (Kind.LIMIT, Kind.MARKET) else "ACK"
    fills = venue.fills_of_order.get(order.number, [])
    return reports.placed(order, pair.listing, fills, wanted)


def _response_type(params: Mapping[str, str]) -> str:
    wanted = params.get("newOrderRespType", "")
    if wanted not in ("", "ACK", "RESULT", "FULL"):
        raise illegal("newOrderRespType")
    return wanted


def _test(request: Request) -> Any:
    pair = request.pair()
    new = read_order(request.params, pair.listing, request.venue.next_client_id())
    request.venue.check(request.account, pair, new)
    if request.params.get("computeCommissionRates", "").lower() != "true":
        return {}
    config = request.venue.config
    rates = {"maker": reports.amount(config.maker_fee), "taker": reports.amount(config.taker_fee)}
    return {"standardCommissionForOrder": rates}


def _status(request: Request) -> Any:
    order = request.order(-2013, "Order does not exist.")
    return reports.status(order, request.pair().listing)


def _cancel(request: Request) -> Any:
    venue = request.venue
    order = request.order(-2011, "Unknown order sent.")
    cancel_id = read_client_id(request.params, "newClientOrderId") or venue.next_client_id()
    venue.cancel(order, cancel_id)
    return reports.canceled(order, request.pair().listing, cancel_id)


def _cancel_all(request: Request) -> Any:
    venue, pair = request.venue, request.pair()
    mine = [
        one for one in venue.open.get(request.account, {}).values() if one.symbol == pair.symbol
    ]
    if not mine:
        raise RefusalError(-2011, "Unknown order sent.")
    rows: list[Any] = []
    for order in mine:
        cancel_id = venue.next_client_id()
        venue.cancel(order, cancel_id)
        rows.append(reports.canceled(order, pair.listing, cancel_id))
    return rows


def _cancel_replace(request: Request) -> Any:
    mode = request.text("cancelReplaceMode")
    if mode not in ("STOP_ON_FAILURE", "ALLOW_FAILURE"):
        raise illegal("cancelReplaceMode")
    named = {
        "symbol": request.text("symbol"),
        "orderId": request.params.get("cancelOrderId", ""),
        "origClientOrderId": request.params.get("cancelOrigClientOrderId", ""),
        "newClientOrderId": request.params.get("cancelNewClientOrderId", ""),
    }
    canceled, cancel_body = _tried(_cancel, request._replace(params=named))
    if canceled == "FAILURE" and mode == "STOP_ON_FAILURE":
        placed, new_body = "NOT_ATTEMPTED", None
    else:
        placed, new_body = _tried(_place, request)
    answer = {
        "cancelResult": canceled,
        "newOrderResult": placed,
        "cancelResponse": cancel_body,
        "newOrderResponse": new_body,
    }
    if (canceled, placed) == ("SUCCESS", "SUCCESS"):
        return answer
    if "SUCCESS" in (canceled, placed):
        text = "Order cancel-replace partially failed."
        raise RefusalError(-2021, text, status=409, data=answer)
    raise RefusalError(-2022, "Order cancel-replace failed.", data=answer)


def _tried(handler: Handler, request: Request) -> tuple[str, Any]:
    try:
        return "SUCCESS", handler(request)
    except RefusalError as refusal:
        return "FAILURE", refusal.payload()


def _open_orders(request: Request) -> Any:
    wanted = {pair.symbol: pair.listing for pair in request.pairs()}
    return [
        reports.status(one, wanted[one.symbol])
        for one in request.venue.open.get(request.account, {}).values()
        if one.symbol in wanted
    ]


def _all_orders(request: Request) -> Any:
    pair, limit = request.pair(), request.limit(500, 1000)
    first = read_integer(request.params, "orderId")
    start, end = request.integer("startTime", 0), request.integer("endTime", _FOREVER_MS)
    rows = [
        one
        for one in request.venue.orders_of.get((request.account, pair.symbol), [])
        if start <= one.created_ms <= end and (first is None or one.number >= first)
    ]
    is_from = first is not None or "startTime" in request.params
    kept = rows[:limit] if is_from else rows[-limit:]
    return [reports.status(one, pair.listing) for one in kept]


def _my_trades(request: Request) -> Any:
    pair, limit = request.pair(), request.limit(500, 1000)
    first, order = read_integer(request.params, "fromId"), read_integer(request.params, "orderId")
    start, end = request.integer("startTime", 0), request.integer("endTime", _FOREVER_MS)
    rows = [
        fill
        for fill in request.venue.fills.get((request.account, pair.symbol), [])
        if start <= fill.at_ms <= end
        and (first is None or fill.number >= first)
        and (order is None or fill.order == order)
    ]
    is_from = first is not None or "startTime" in request.params
    return [reports.trade(fill) for fill in (rows[:limit] if is_from else rows[-limit:])]


def _account(request: Request) -> Any:
    venue = request.venue
    return reports.account(
        venue.wallets[request.account],
        list(venue.wallets).index(request.account) + 1,
        (venue.config.maker_fee, venue.config.taker_fee),
        leaves_out_empty=request.params.get("omitZeroBalances", "").lower() == "true",
    )


def _signed(
    name: str,
    method: str,
    path: str,
    handler: Handler,
    weight: int = 1,
    *,
    is_order: bool = False,
) -> Operation:
    return Operation(name, method, path, handler, weight, is_signed=True, is_order=is_order)


_ALL = (
    Operation("ping", "GET", "ping", _ping),
    Operation("time", "GET", "time", _time),
    Operation("exchangeInfo", "GET", "exchangeInfo", _exchange_info, 20),
    Operation("depth", "GET", "depth", _depth, 5),
    Operation("trades.recent", "GET", "trades", _recent_trades, 25),
    Operation("trades.historical", "GET", "historicalTrades", _historical_trades, 25),
    Operation("trades.aggregate", "GET", "aggTrades", _aggregates, 4),
    Operation("klines", "GET", "klines", _candles, 2),
    Operation("uiKlines", "GET", "uiKlines", _candles, 2),
    Operation("ticker.book", "GET", "ticker/bookTicker", _book_ticker, 2),
    Operation("ticker.price", "GET", "ticker/price", _price, 2),
    Operation("ticker.24hr", "GET", "ticker/24hr", _day, 2),
    _signed("order.place", "POST", "order", _place, is_order=True),
    _signed("order.test", "POST", "order/test", _test),
    _signed("order.status", "GET", "order", _status, 4),
    _signed("order.cancel", "DELETE", "order", _cancel),
    _signed("order.cancelReplace", "POST", "order/cancelReplace", _cancel_replace, is_order=True),
    _signed("openOrders.status", "GET", "openOrders", _open_orders, 6),
    _signed("openOrders.cancelAll", "DELETE", "openOrders", _cancel_all),
    _signed("allOrders", "GET", "allOrders", _all_orders, 20),
    _signed("myTrades", "GET", "myTrades", _my_trades, 20),
    _signed("account.status", "GET", "account", _account, 20),
)
OPERATIONS = {one.name: one for one in _ALL}

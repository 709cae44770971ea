"""What everybody reads: rules, books, trades, candles, tickers."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from workbench.model.enums import OrderSide
from workbench.model.money import ZERO
from workbench_exchange.candles import DAY_MS, Candle, closing
from workbench_exchange.config import DIGITS, ExchangeConfig, Listing
from workbench_exchange.orders import Kind
from workbench_exchange.pair import Aggregate, Pair, PublicTrade
from workbench_exchange.reports import PREVENTION, Payload, amount

_SIDES = {OrderSide.BUY: "bids", OrderSide.SELL: "asks"}


def rate_limits(config: ExchangeConfig) -> list[Payload]:
    """Return what a client may ask for."""
    limits = config.limits
    return [
        _limit("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute),
        _limit("ORDERS", "SECOND", 10, limits.orders_per_10_s),
        _limit("ORDERS", "DAY", 1, limits.orders_per_day),
    ]


def _limit(kind: str, interval: str, count: int, limit: int) -> Payload:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def exchange_info(config: ExchangeConfig, pairs: Iterable[Pair], now_ms: int) -> Payload:
    """Return the rules of symbols."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": rate_limits(config),
        "exchangeFilters": [],
        "symbols": [_rules(pair.listing, config) for pair in pairs],
    }


def _rules(listing: Listing, config: ExchangeConfig) -> Payload:
    highest = listing.tick * (10**12)
    return {
        "symbol": listing.symbol,
        "status": "TRADING",
        "baseAsset": listing.base,
        "baseAssetPrecision": DIGITS,
        "quoteAsset": listing.quote,
        "quotePrecision": DIGITS,
        "quoteAssetPrecision": DIGITS,
        "baseCommissionPrecision": DIGITS,
        "quoteCommissionPrecision": DIGITS,
        "orderTypes": [kind.value for kind in Kind],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": amount(listing.tick),
                "maxPrice": amount(highest),
                "tickSize": amount(listing.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": amount(listing.min_quantity),
                "maxQty": amount(listing.max_quantity),
                "stepSize": amount(listing.step),
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": amount(listing.min_notional),
                "applyMinToMarket": True,
                "maxNotional": amount(highest),
                "applyMaxToMarket": False,
                "avgPriceMins": 0,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": config.limits.max_open_orders},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": PREVENTION,
        "allowedSelfTradePreventionModes": [PREVENTION],
    }


def levels(pair: Pair, side: OrderSide, count: int) -> list[list[str]]:
    """Return the best levels of a side."""
    price, quantity = pair.listing.price, pair.listing.quantity
    return [
        [amount(price(ticks)), amount(quantity(lots))]
        for ticks, lots in pair.book.levels(side, count)
    ]


def depth(pair: Pair, count: int) -> Payload:
    """Return the book."""
    sides = {name: levels(pair, side, count) for side, name in _SIDES.items()}
    return {"lastUpdateId": pair.book.update_id, **sides}


def trade(pair: Pair, one: PublicTrade) -> Payload:
    """Return a trade as the list of recent ones has it."""
    listing = pair.listing
    return {
        "id": one.number,
        "price": amount(listing.price(one.ticks)),
        "qty": amount(listing.quantity(one.lots)),
        "quoteQty": amount(listing.worth * one.ticks * one.lots),
        "time": one.at_ms,
        "isBuyerMaker": one.is_buyer_maker,
        "isBestMatch": True,
    }


def aggregate(pair: Pair, one: Aggregate) -> Payload:
    """Return a taker's trades at one price."""
    return {
        "a": one.number,
        "p": amount(pair.listing.price(one.ticks)),
        "q": amount(pair.listing.quantity(one.lots)),
        "f": one.first,
        "l": one.last,
        "T": one.at_ms,
        "m": one.is_buyer_maker,
        "M": True,
    }


def candle(pair: Pair, one: Candle, interval: str) -> list[Any]:
    """Return a candle as a row."""
    listing = pair.listing
    return [
        one.opened_ms,
        *(amount(listing.price(ticks)) for ticks in (one.open, one.high, one.low, one.close)),
        amount(listing.quantity(one.lots)),
        closing(one.opened_ms, interval),
        amount(listing.worth * one.amount),
        one.trades,
        amount(listing.quantity(one.taken_lots)),
        amount(listing.worth * one.taken_amount),
        "0",
    ]


def _top(pair: Pair, side: OrderSide) -> tuple[str, str]:
    best = pair.book.best(side)
    if best is None:
        return amount(ZERO), amount(ZERO)
    return amount(pair.listing.price(best[0])), amount(pair.listing.quantity(best[1]))


def book_ticker(pair: Pair) -> Payload:
    """Return the top of the book."""
    bid, bid_size = _top(pair, OrderSide.BUY)
    ask, ask_size = _top(pair, OrderSide.SELL)
    return {
        "symbol": pair.symbol,
        "bidPrice": bid,
        "bidQty": bid_size,
        "askPrice": ask,
        "askQty": ask_size,
    }


def price(pair: Pair) -> Payload:
    """Return the last price."""
    return {"symbol": pair.symbol, "price": amount(pair.listing.price(pair.last_ticks))}


def day(pair: Pair, now_ms: int) -> Payload:
    """Return the last 24 hours."""
    listing = pair.listing
    one = pair.candles.last_day(now_ms) or Candle(opened_ms=now_ms, open=0, high=0, low=0, close=0)
    change = one.close - one.open
    percent = Decimal(100 * change) / one.open if one.open else ZERO
    mean = listing.worth * one.amount / listing.quantity(one.lots) if one.lots else ZERO
    last = pair.trades[-1] if pair.trades else None
    top = book_ticker(pair)
    return {
        "symbol": pair.symbol,
        "priceChange": amount(listing.price(change)),
        "priceChangePercent": f"{percent:.3f}",
        "weightedAvgPrice": amount(mean),
        "prevClosePrice": amount(listing.price(one.open)),
        "lastPrice": amount(listing.price(pair.last_ticks or one.close)),
        "lastQty": amount(ZERO if last is None else listing.quantity(last.lots)),
        **{name: value for name, value in top.items() if name != "symbol"},
        "openPrice": amount(listing.price(one.open)),
        "highPrice": amount(listing.price(one.high)),
        "lowPrice": amount(listing.price(one.low)),
        "volume": amount(listing.quantity(one.lots)),
        "quoteVolume": amount(listing.worth * one.amount),
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": one.first_trade,
        "lastId": one.last_trade,
        "count": one.trades,
    }


# Events of streams


def trade_event(pair: Pair, one: PublicTrade, now_ms: int) -> Payload:
    """Return a trade as it is streamed."""
    return {
        "e": "trade",
        "E": now_ms,
        "s": pair.symbol,
        "t": one.number,
        "p": amount(pair.listing.price(one.ticks)),
        "q": amount(pair.listing.quantity(one.lots)),
        "T": one.at_ms,
        "m": one.is_buyer_maker,
        "M": True,
    }


def aggregate_event(pair: Pair, one: Aggregate, now_ms: int) -> Payload:
    """Return a taker's trades at one price as they are streamed."""
    return {"e": "aggTrade", "E": now_ms, "s": pair.symbol, **aggregate(pair, one)}


def book_ticker_event(pair: Pair) -> Payload:
    """Return the top of the book as it is streamed."""
    bid, bid_size = _top(pair, OrderSide.BUY)
    ask, ask_size = _top(pair, OrderSide.SELL)
    return {
        "u": pair.book.update_id,
        "s": pair.symbol,
        "b": bid,
        "B": bid_size,
        "a": ask,
        "A": ask_size,
    }


def depth_event(
    pair: Pair, first_id: int, changed: Iterable[tuple[OrderSide, int]], now_ms: int
) -> Payload:
    """Return the levels that changed, with what is there now (0 for nothing)."""
    listing, book = pair.listing, pair.book
    sides: dict[OrderSide, list[list[str]]] = {side: [] for side in OrderSide}
    for side, ticks in changed:
        lots = book.lots_at(side, ticks)
        sides[side].append([amount(listing.price(ticks)), amount(listing.quantity(lots))])
    return {
        "e": "depthUpdate",
        "E": now_ms,
        "s": pair.symbol,
        "U": first_id,
        "u": book.update_id,
        "b": sides[OrderSide.BUY],
        "a": sides[OrderSide.SELL],
    }


def candle_event(pair: Pair, one: Candle, interval: str, now_ms: int) -> Payload:
    """Return the present candle as it is streamed."""
    row = candle(pair, one, interval)
    return {
        "e": "kline",
        "E": now_ms,
        "s": pair.symbol,
        "k": {
            "t": row[0],
            "T": row[6],
            "s": pair.symbol,
            "i": interval,
            "f": one.first_trade,
            "L": one.last_trade,
            **dict(zip("ohlcv", (row[1], row[2], row[3], row[4], row[5]), strict=True)),
            "n": row[8],
            "x": now_ms > row[6],
            "q": row[7],
            "V": row[9],
            "Q": row[10],
            "B": "0",
        },
    }


_DAY_WORDS = {
    "priceChange": "p",
    "priceChangePercent": "P",
    "weightedAvgPrice": "w",
    "prevClosePrice": "x",
    "lastPrice": "c",
    "lastQty": "Q",
    "bidPrice": "b",
    "bidQty": "B",
    "askPrice": "a",
    "askQty": "A",
    "openPrice": "o",
    "highPrice": "h",
    "lowPrice": "l",
    "volume": "v",
    "quoteVolume": "q",
    "openTime": "O",
    "closeTime": "C",
    "firstId": "F",
    "lastId": "L",
    "count": "n",
}
_SHORT = frozenset({"c", "o", "h", "l", "v", "q"})


def day_event(pair: Pair, now_ms: int, *, is_short: bool) -> Payload:
    """Return the last 24 hours as they are streamed, whole or in short."""
    values = day(pair, now_ms)
    words = {short: values[name] for name, short in _DAY_WORDS.items()}
    if is_short:
        words = {short: value for short, value in words.items() if short in _SHORT}
    name = "24hrMiniTicker" if is_short else "24hrTicker"
    return {"e": name, "E": now_ms, "s": pair.symbol, **words}

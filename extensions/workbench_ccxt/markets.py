"""Instruments out of ccxt's markets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from workbench.model.errors import InstrumentError
from workbench.model.identifiers import InstrumentId, symbol_of
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Future, Instrument
from workbench.model.money import CURRENCIES, ZERO, Currency
from workbench.venues.contract import SymbolMatch

_DECIMAL_PLACES, _TICK_SIZE = 2, 4  # ccxt's modes of precision; 3 is significant digits
_MS = 1_000_000


def number(value: Any) -> Decimal | None:
    """Return a number of ccxt's exactly, None for none.

    >>> number("0.00001000"), number(0.1), number(None)
    (Decimal('0.00001000'), Decimal('0.1'), None)
    """
    if value is None or value == "":
        return None
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def unit(code: str) -> Currency:
    """Return a currency; one that is not known has 8 digits."""
    return CURRENCIES.get(code) or Currency(code, 8)


def instrument_id_of(symbol: str, venue: str) -> InstrumentId:
    """Return the id of a symbol of ccxt."""
    return InstrumentId(f"{symbol}.{venue}")


def symbol_at(instrument_id: InstrumentId) -> str:
    """Return ccxt's symbol."""
    return str(symbol_of(instrument_id))


def instrument(
    market: Mapping[str, Any], venue: str, precision_mode: int, now_ns: int
) -> Instrument | None:
    """Return the instrument of a market; None for a kind that is not traded here.

    Raises:
        InstrumentError: If its increments are not fixed, or its numbers do not fit together.
    """
    kind: Any = _KINDS.get(market.get("type", ""))
    if kind is None:
        return None
    step: dict[str, Any] = market["precision"]
    limits: dict[str, dict[str, Any] | None] = market.get("limits") or {}
    amount, cost = limits.get("amount") or {}, limits.get("cost") or {}
    base, quote = unit(market["base"]), unit(market["quote"])
    fields: dict[str, Any] = {
        "id": instrument_id_of(market["symbol"], venue),
        "base_currency": base,
        "quote_currency": quote,
        "settlement_currency": unit(market["settle"]) if market.get("settle") else quote,
        "price_increment": _increment(market, step.get("price"), precision_mode),
        "quantity_increment": _increment(market, step.get("amount"), precision_mode),
        "multiplier": number(market.get("contractSize")) or Decimal(1),
        "min_quantity": number(amount.get("min")),
        "max_quantity": number(amount.get("max")) or None,
        "min_notional": number(cost.get("min")),
        "max_notional": number(cost.get("max")) or None,
        "maker_fee": number(market.get("maker")) or ZERO,
        "taker_fee": number(market.get("taker")) or ZERO,
        "is_inverse": bool(market.get("inverse")),
        "ts_event": now_ns,
        "ts_init": now_ns,
    }
    if kind is Future:
        fields |= {"underlying": market["base"], "expiration_ns": int(market["expiry"]) * _MS}
    return kind(**fields)


_KINDS = {"spot": CurrencyPair, "margin": CurrencyPair, "swap": CryptoPerpetual, "future": Future}


def _increment(market: Mapping[str, Any], value: Any, mode: int) -> Decimal:
    found = number(value)
    if found is None or mode not in (_DECIMAL_PLACES, _TICK_SIZE):
        raise InstrumentError(
            f"{market['symbol']}: the exchange names no fixed increment ({value!r}, precision mode"
            f" {mode})"
        )
    return Decimal(1).scaleb(-int(found)) if mode == _DECIMAL_PLACES else found.normalize()


def matches(
    markets: Iterable[Mapping[str, Any]], text: str, limit: int, venue: str
) -> list[SymbolMatch]:
    """Return the markets that a text may mean: the same, then those that begin so, then others."""
    wanted = text.upper().strip()
    ranked: list[tuple[int, int, str, Mapping[str, Any]]] = []
    for market in markets:
        names = [str(market[name]).upper() for name in ("symbol", "id", "base")]
        if market.get("type") not in _KINDS or not any(wanted in name for name in names):
            continue
        is_same, begins = wanted in names[:2], any(name.startswith(wanted) for name in names)
        rank = 0 if is_same else 1 if begins else 2
        ranked.append((rank, len(names[0]), names[0], market))
    ranked.sort(key=lambda row: row[:3])
    return [
        SymbolMatch(
            instrument_id_of(market["symbol"], venue),
            f"{market['base']} in {market['quote']}, {market['type']}",
        )
        for *_, market in ranked[:limit]
    ]

"""Instruments: what is traded, on which grid of prices and quantities, at what cost.

The border between float64 market data and exact orders is here: `price` and `quantity` are the
only ways from a float to a `Decimal`, and they round where everyone can see it.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import msgspec

from workbench.model.errors import ConfigError, InstrumentError
from workbench.model.identifiers import (
    InstrumentId,
    Venue,
    parse_instrument_id,
    symbol_of,
    venue_of,
)
from workbench.model.money import ZERO, Currency, currency

GRID_TOLERANCE = 1e-6
"""How far from a tick, in ticks, a float may lie and still mean that tick."""

Number = Decimal | int | float | str
_T = TypeVar("_T", bound="Instrument")


def to_decimal(value: Number, what: str = "number") -> Decimal:
    """Return the shortest decimal that means `value`; never rounds.

    Raises:
        ConfigError: If it is not a finite number.

    >>> to_decimal(0.1)
    Decimal('0.1')
    """
    if isinstance(value, bool):
        raise ConfigError(f"{what} must be a number; got {value!r}")
    try:
        number = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise ConfigError(f"{what} must be a number; got {value!r}") from None
    if not number.is_finite():
        raise ConfigError(f"{what} must be a finite number; got {value!r}")
    return number


class Instrument(msgspec.Struct, frozen=True, kw_only=True, tag=True, dict=True):
    """What every instrument has; use one of the subclasses.

    Attributes:
        id: `SYMBOL.VENUE`.
        quote_currency: What prices are in.
        base_currency: What a quantity is of, where that is a currency.
        settlement_currency: What profit, fees and margins are in.
        price_increment: One tick, in the quote currency.
        quantity_increment: One step of quantity.
        multiplier: Units of the underlying per contract.
        min_quantity, max_quantity: Limits of one order, None for none.
        min_notional, max_notional: Limits of one order, in the settlement currency.
        margin_init, margin_maint: Shares of notional, before leverage.
        maker_fee, taker_fee: Shares of notional; negative for a rebate.
        is_inverse: Whether a contract is worth `multiplier` quote units and settles in base.
    """

    id: InstrumentId
    quote_currency: Currency
    settlement_currency: Currency
    base_currency: Currency | None = None
    price_increment: Decimal
    quantity_increment: Decimal
    multiplier: Decimal = Decimal(1)
    min_quantity: Decimal | None = None
    max_quantity: Decimal | None = None
    min_notional: Decimal | None = None
    max_notional: Decimal | None = None
    margin_init: Decimal = ZERO
    margin_maint: Decimal = ZERO
    maker_fee: Decimal = ZERO
    taker_fee: Decimal = ZERO
    is_inverse: bool = False
    ts_event: int = 0
    ts_init: int = 0

    def __post_init__(self) -> None:
        """Check that the definition is consistent."""
        parse_instrument_id(self.id)
        for name in ("price_increment", "quantity_increment", "multiplier"):
            if getattr(self, name) <= 0:
                raise InstrumentError(
                    f"{self.id}: {name} must be positive; got {getattr(self, name)}"
                )
        for name in ("margin_init", "margin_maint"):
            if getattr(self, name) < 0:
                raise InstrumentError(
                    f"{self.id}: {name} must not be negative; got {getattr(self, name)}"
                )
        for low, high in (("min_quantity", "max_quantity"), ("min_notional", "max_notional")):
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise InstrumentError(f"{self.id}: {low} {least} is above {high} {most}")

    @property
    def venue(self) -> Venue:
        """Return the venue, the part of the id after its last dot."""
        return venue_of(self.id)

    @property
    def price_digits(self) -> int:
        """Return how many digits a price shows."""
        return _digits(self.price_increment)

    @property
    def quantity_digits(self) -> int:
        """Return how many digits a quantity shows."""
        return _digits(self.quantity_increment)

    def price(self, value: Number) -> Decimal:
        """Round to the nearest tick.

        >>> CurrencyPair.define("AUD/USD.SIM", price_increment="0.00001").price(0.6543212)
        Decimal('0.65432')
        """
        if isinstance(value, float):
            return self.price_increment * self.ticks(value)
        return _nearest(to_decimal(value, "price"), self.price_increment)

    def quantity(self, value: Number) -> Decimal:
        """Round down to a step of quantity, so that it is never more than was asked for.

        >>> CurrencyPair.define("AUD/USD.SIM", quantity_increment="0.1").quantity(0.39)
        Decimal('0.3')
        """
        if isinstance(value, float):
            if not math.isfinite(value):
                raise ConfigError(f"quantity must be a finite number; got {value!r}")
            steps = math.floor(value / float(self.quantity_increment) + GRID_TOLERANCE)
            return self.quantity_increment * steps
        number = to_decimal(value, "quantity")
        return self.quantity_increment * (number // self.quantity_increment)

    def exact_price(self, value: Number) -> Decimal:
        """Return the tick a float means; off the grid, the number itself, for risk to refuse."""
        return _exact(value, self.price_increment, "price")

    def exact_quantity(self, value: Number) -> Decimal:
        """Return the step a float means; off the grid, the number itself, for risk to refuse."""
        return _exact(value, self.quantity_increment, "quantity")

    def ticks(self, value: float) -> int:
        """Return a market price as whole ticks, the unit that matching compares.

        Raises:
            ConfigError: If the price is not finite.
        """
        try:
            return round(value / self.tick_size)
        except (ValueError, OverflowError):
            raise ConfigError(f"price must be a finite number; got {value!r}") from None

    @property
    def tick_size(self) -> float:
        """Return the price increment as a float (kept after the first use)."""
        kept: dict[str, Any] = self.__dict__
        size = kept.get("_tick_size")
        if size is None:
            size = kept["_tick_size"] = float(self.price_increment)
        return size

    def notional(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Return what `quantity` at `price` is worth, in the settlement currency."""
        if self.is_inverse:
            return quantity * self.multiplier / price
        return quantity * self.multiplier * price

    def profit(self, quantity: Decimal, entry: Decimal, exit_: Decimal) -> Decimal:
        """Return the profit of holding `quantity` (negative for short) from `entry` to `exit_`.

        Linear: `quantity * multiplier * (exit - entry)`; inverse: the same with `1/entry - 1/exit`.
        The result is in the settlement currency, before fees.
        """
        if self.is_inverse:
            return quantity * self.multiplier * (1 / entry - 1 / exit_)
        return quantity * self.multiplier * (exit_ - entry)


def _digits(increment: Decimal) -> int:
    exponent = increment.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _nearest(value: Decimal, increment: Decimal) -> Decimal:
    return increment * (value / increment).to_integral_value()


def _exact(value: Number, increment: Decimal, what: str) -> Decimal:
    if not isinstance(value, float):
        return to_decimal(value, what)
    if not math.isfinite(value):
        raise ConfigError(f"{what} must be a finite number; got {value!r}")
    steps = value / float(increment)
    nearest = round(steps)
    return (
        increment * nearest if abs(steps - nearest) <= GRID_TOLERANCE else to_decimal(value, what)
    )


def _definition(instrument_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """Turn what a user typed into exact fields: numbers into Decimal, codes into currencies."""
    fields: dict[str, Any] = {"id": parse_instrument_id(instrument_id)}
    for name, value in given.items():
        if value is None or isinstance(value, bool):
            fields[name] = value
        elif name.endswith("_currency"):
            fields[name] = currency(value)
        elif name in ("underlying", "option_kind", "isin") or name.endswith("_ns"):
            fields[name] = value
        else:
            fields[name] = to_decimal(value, name)
    return fields


def _pair_currencies(instrument_id: str, given: dict[str, Any]) -> None:
    """Fill base and quote currency from a symbol such as `BTC/USDT` where they are not given."""
    base, slash, quote = symbol_of(instrument_id).partition("/")
    quote = quote.partition("-")[0]
    for name, code in (("base_currency", base), ("quote_currency", quote)):
        if given.get(name) is None:
            if not slash:
                raise InstrumentError(
                    f"{instrument_id}: pass {name}, or write the symbol as BASE/QUOTE.VENUE"
                )
            given[name] = code


class CurrencyPair(Instrument, frozen=True, kw_only=True, tag=True):
    """A spot pair such as `BTC/USDT` or `AUD/USD`."""

    @staticmethod
    def define(
        instrument_id: str,
        *,
        price_increment: Number = "0.00001",
        quantity_increment: Number = "1",
        base_currency: str | Currency | None = None,
        quote_currency: str | Currency | None = None,
        **more: Any,
    ) -> CurrencyPair:
        """Define a pair from plain numbers and codes; the currencies come from `BASE/QUOTE`.

        Args:
            instrument_id: `BASE/QUOTE.VENUE`.
            price_increment: One tick.
            quantity_increment: One step of quantity.
            base_currency: Where the symbol does not say it.
            quote_currency: Where the symbol does not say it.
            **more: Any other attribute of `Instrument`.

        Raises:
            InstrumentError: If the definition is inconsistent.
            ConfigError: If a value cannot be read.

        >>> CurrencyPair.define("GBP/USD.FXCM", taker_fee="0.00002").quote_currency.code
        'USD'
        """
        given = dict(
            more,
            price_increment=price_increment,
            quantity_increment=quantity_increment,
            base_currency=base_currency,
            quote_currency=quote_currency,
        )
        _pair_currencies(instrument_id, given)
        given.setdefault("settlement_currency", given["quote_currency"])
        return _make(CurrencyPair, instrument_id, given)


class CryptoPerpetual(Instrument, frozen=True, kw_only=True, tag=True):
    """A perpetual future on a crypto pair, linear or inverse."""

    @staticmethod
    def define(
        instrument_id: str,
        *,
        price_increment: Number = "0.1",
        quantity_increment: Number = "0.001",
        base_currency: str | Currency | None = None,
        quote_currency: str | Currency | None = None,
        is_inverse: bool = False,
        **more: Any,
    ) -> CryptoPerpetual:
        """Define a perpetual from plain numbers and codes (arguments as for `CurrencyPair.define`).

        An inverse one settles in its base currency unless `settlement_currency` says otherwise.

        Raises:
            InstrumentError: If the definition is inconsistent.
            ConfigError: If a value cannot be read.

        >>> CryptoPerpetual.define("BTC/USDT-PERP.BINANCE").settlement_currency.code
        'USDT'
        """
        given = dict(
            more,
            price_increment=price_increment,
            quantity_increment=quantity_increment,
            base_currency=base_currency,
            quote_currency=quote_currency,
            is_inverse=is_inverse,
        )
        _pair_currencies(instrument_id, given)
        side = "base_currency" if is_inverse else "quote_currency"
        given.setdefault("settlement_currency", given[side])
        return _make(CryptoPerpetual, instrument_id, given)


class Equity(Instrument, frozen=True, kw_only=True, tag=True):
    """A share."""

    isin: str | None = None

    @staticmethod
    def define(
        instrument_id: str,
        *,
        currency: str | Currency = "USD",
        price_increment: Number = "0.01",
        quantity_increment: Number = "1",
        isin: str | None = None,
        **more: Any,
    ) -> Equity:
        """Define a share from plain numbers and codes.

        Raises:
            InstrumentError: If the definition is inconsistent.
            ConfigError: If a value cannot be read.

        >>> Equity.define("AAPL.NASDAQ").price(189.987)
        Decimal('189.99')
        """
        given = dict(
            more,
            price_increment=price_increment,
            quantity_increment=quantity_increment,
            isin=isin,
            quote_currency=currency,
        )
        given.setdefault("settlement_currency", currency)
        return _make(Equity, instrument_id, given)


class Future(Instrument, frozen=True, kw_only=True, tag=True):
    """A dated future: `activation_ns` and `expiration_ns` bound its trading, UTC nanoseconds."""

    underlying: str
    activation_ns: int = 0
    expiration_ns: int

    @staticmethod
    def define(
        instrument_id: str,
        *,
        underlying: str,
        expiration_ns: int,
        activation_ns: int = 0,
        currency: str | Currency = "USD",
        price_increment: Number = "0.01",
        quantity_increment: Number = "1",
        multiplier: Number = "1",
        **more: Any,
    ) -> Future:
        """Define a dated future from plain numbers and codes.

        Raises:
            InstrumentError: If the definition is inconsistent.
            ConfigError: If a value cannot be read.

        >>> es = Future.define("ESH4.CME", underlying="ES", expiration_ns=10**18, multiplier=50)
        >>> es.notional(Decimal(2), Decimal("4800.25"))
        Decimal('480025.00')
        """
        if activation_ns >= expiration_ns:
            raise InstrumentError(f"{instrument_id}: it must expire after its activation")
        given = dict(
            more,
            underlying=underlying,
            activation_ns=activation_ns,
            expiration_ns=expiration_ns,
            price_increment=price_increment,
            quantity_increment=quantity_increment,
            multiplier=multiplier,
            quote_currency=currency,
        )
        given.setdefault("settlement_currency", currency)
        return _make(Future, instrument_id, given)


def _make(kind: type[_T], instrument_id: str, given: dict[str, Any]) -> _T:
    names = msgspec.structs.fields(kind)
    known = {field.name for field in names}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ConfigError(
            f"{kind.__name__}.define has no argument {', '.join(map(repr, unknown))};"
            f" it takes {', '.join(sorted(known - {'id'}))}"
        )
    return kind(**_definition(instrument_id, {k: v for k, v in given.items() if v is not None}))

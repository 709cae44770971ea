"""Instruments: what is traded, on which grid of prices and quantities, at what cost.

The border between float64 market data and exact orders is here: `price` and `quantity` are the
only ways from a float to a `Decimal`, and they round where everyone can see it.
"""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from workbench.model.display import fitted, pairs_html, shown
from workbench.model.errors import ConfigError, InstrumentError
from workbench.model.identifiers import (
    InstrumentId,
    Venue,
    parse_instrument_id,
    symbol_of,
    venue_of,
)
from workbench.model.money import ZERO, Currency, currency

_LIMITS = (("min_quantity", "max_quantity"), ("min_notional", "max_notional"))
_NEVER_NEGATIVE = ("margin_init", "margin_maint", *(name for pair in _LIMITS for name in pair))

GRID_TOLERANCE = 1e-6
"""How far from a tick, in ticks, a float may lie and still mean that tick."""

_TOLERANCE = Decimal(str(GRID_TOLERANCE))
_FINE = 2.0**32  # beyond it, neighbouring floats lie further apart than the tolerance

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
        for name in _NEVER_NEGATIVE:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InstrumentError(f"{self.id}: {name} must not be negative; got {value}")
        for low, high in _LIMITS:
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
            steps = value / float(self.quantity_increment)
            if abs(steps) < _FINE:
                whole = math.trunc(steps + math.copysign(GRID_TOLERANCE, steps))
                return self.quantity_increment * whole
        exact = self.exact_quantity(value)
        return self.quantity_increment * _steps(exact, self.quantity_increment, ROUND_DOWN)

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

    @cached_property
    def tick_size(self) -> float:
        """Return the price increment as a float."""
        return float(self.price_increment)

    @cached_property
    def least_size(self) -> float:
        """Return the smallest market size that `quantity` does not round down to nothing."""
        return float(self.quantity_increment) * (1 - GRID_TOLERANCE)

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

    def __repr__(self) -> str:
        """Return its kind and id, and in which steps prices and quantities move."""
        return fitted(
            f"<{type(self).__name__} {self.id}: tick {self.price_increment} {self.quote_currency},"
            f" step {self.quantity_increment}>"
        )

    def _repr_html_(self) -> str:
        names = [name for name in self.__struct_fields__ if not name.startswith("ts_")]
        values = {name: getattr(self, name) for name in names}
        rows = [
            (name.replace("_", " "), shown(value) if name not in _STEPS else str(value))
            for name, value in values.items()
            if value is not None and value is not False
        ]
        return pairs_html(rows, type(self).__name__)


# A step of 1E-18 would be nothing when rounded as money is.
_STEPS = ("price_increment", "quantity_increment", "multiplier")


def _digits(increment: Decimal) -> int:
    exponent = increment.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _nearest(value: Decimal, increment: Decimal) -> Decimal:
    return increment * _steps(value, increment, ROUND_HALF_EVEN)


def _steps(value: Decimal, increment: Decimal, rounding: str) -> Decimal:
    return (value / increment).to_integral_value(rounding=rounding)


def _exact(value: Number, increment: Decimal, what: str) -> Decimal:
    if not isinstance(value, float):
        return to_decimal(value, what)
    steps = value / float(increment)
    if abs(steps) < _FINE:
        nearest = round(steps)
        on_grid = abs(steps - nearest) <= GRID_TOLERANCE
        return increment * nearest if on_grid else to_decimal(value, what)
    number = to_decimal(value, what)
    whole = _steps(number, increment, ROUND_HALF_EVEN)
    return increment * whole if abs(number / increment - whole) <= _TOLERANCE else number


def _definition(instrument_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """Turn what a user typed into exact fields: numbers into Decimal, codes into currencies."""
    fields: dict[str, Any] = {"id": parse_instrument_id(instrument_id)}
    for name, value in given.items():
        if name.endswith("_currency"):
            fields[name] = currency(value)
        elif name in _PLAIN:
            if type(value) is not _PLAIN[name]:
                raise ConfigError(f"{name} must be of type {_PLAIN[name].__name__}; got {value!r}")
            fields[name] = value
        else:
            fields[name] = to_decimal(value, name)
    return fields


_PLAIN = {
    "is_inverse": bool,
    "isin": str,
    "underlying": str,
    "activation_ns": int,
    "expiration_ns": int,
    "ts_event": int,
    "ts_init": int,
}


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


def _settle(given: dict[str, Any], side: str) -> None:
    if given.get("settlement_currency") is None:
        given["settlement_currency"] = given[side]


def _quote(given: dict[str, Any], code: str | Currency) -> None:
    """Fill the quote and settlement currency, which a user may also have given by their names."""
    if given.get("quote_currency") is None:
        given["quote_currency"] = code
    _settle(given, "quote_currency")


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
        _settle(given, "quote_currency")
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
        _settle(given, "base_currency" if is_inverse else "quote_currency")
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
        )
        _quote(given, currency)
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
        )
        _quote(given, currency)
        return _make(Future, instrument_id, given)


DERIVATIVES = (CryptoPerpetual, Future)
"""What is held on margin: to buy it exchanges nothing, so that no cash account can hold it."""


def _make(kind: type[_T], instrument_id: str, given: dict[str, Any]) -> _T:
    names = msgspec.structs.fields(kind)
    known = {field.name for field in names} - {"id"}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ConfigError(
            f"{kind.__name__}.define has no argument {', '.join(map(repr, unknown))};"
            f" it takes {', '.join(sorted(known))}"
        )
    return kind(**_definition(instrument_id, {k: v for k, v in given.items() if v is not None}))

"""Currencies and exact amounts of money.

All arithmetic is decimal with 28 digits (`MONEY_CONTEXT`), rounded only for display.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from types import MappingProxyType

import msgspec

from workbench.model.errors import ConfigError

MONEY_CONTEXT = Context(prec=28, rounding=ROUND_HALF_EVEN)
"""The decimal context a run computes in; drivers enter it with `decimal.localcontext`."""

# Wider than money: 28 digits and a currency's own may not fit into 28, and quantize would refuse.
_ROUNDING_CONTEXT = Context(prec=96, rounding=ROUND_HALF_EVEN)

# A comma counts only between groups of three: "1,5" is a decimal comma, not fifteen.
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")

ZERO = Decimal(0)


class Currency(msgspec.Struct, frozen=True, cache_hash=True):
    """A currency: its code and how many digits are shown.

    >>> Currency("USD", 2)
    Currency(code='USD', digits=2)
    """

    code: str
    digits: int

    def __post_init__(self) -> None:
        """Check the code and digits."""
        if not self.code or any(c.isspace() for c in self.code):
            raise ConfigError(f"a currency code is a word such as 'USD'; got {self.code!r}")
        if not 0 <= self.digits <= 18:
            raise ConfigError(f"currency digits must be between 0 and 18; got {self.digits}")

    def __str__(self) -> str:
        """Return the code."""
        return self.code


_FIAT_2 = (
    "AED ARS AUD BRL CAD CHF CNH CNY CZK DKK EUR GBP HKD HUF ILS INR MXN MYR NOK NZD PHP PLN RON"
    " RUB SAR SEK SGD THB TRY TWD USD XAG XAU ZAR"
)
_FIAT_0 = "CLP IDR ISK JPY KRW VND"
_CRYPTO_8 = (
    "AAVE ADA ATOM AVAX BCH BNB BTC DASH DOGE DOT EOS ETC ETH FIL LINK LTC MATIC NEAR SHIB SOL"
    " SUI TON TRX UNI XBT XLM XMR XRP XTZ ZEC"
)
_STABLE = "BUSD DAI FDUSD TUSD USDC USDT"

CURRENCIES: Mapping[str, Currency] = MappingProxyType(
    {
        code: Currency(code, digits)
        for codes, digits in ((_FIAT_2, 2), (_FIAT_0, 0), (_CRYPTO_8, 8), (_STABLE, 8))
        for code in codes.split()
    }
)
"""The currencies known by code; any other is written `Currency("CODE", digits)`."""


def currency(value: str | Currency) -> Currency:
    """Return the currency a code names; a `Currency` is returned as it is.

    Raises:
        ConfigError: If it is no text, or the code is not among `CURRENCIES`.

    >>> currency("JPY").digits
    0
    """
    if isinstance(value, Currency):
        return value
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"a currency is a code such as 'USD', or a Currency; got {value!r}")
    found = CURRENCIES.get(value.upper())
    if found is None:
        raise ConfigError(
            f"no currency {value!r} is known;"
            f" for one of your own pass Currency({value!r}, digits=...)"
        )
    return found


class Money(msgspec.Struct, frozen=True, eq=True):
    """An exact amount in one currency; adding two currencies is an error.

    >>> Money.parse("1_000_000 USD") + Money(Decimal("0.10"), currency("USD"))
    Money('1000000.10 USD')
    """

    amount: Decimal
    currency: Currency

    @staticmethod
    def parse(value: str | Money) -> Money:
        """Read `"1_000_000 USD"`; a `Money` is returned as it is.

        Raises:
            ConfigError: If the text is not an amount and a currency code.
        """
        if isinstance(value, Money):
            return value
        parts = value.split() if isinstance(value, str) else ()  # pyright: ignore[reportUnnecessaryIsInstance]
        number, code = parts if len(parts) == 2 else ("", "")
        if _THOUSANDS.fullmatch(number):
            number = number.replace(",", "")
        try:
            amount = Decimal(number)
        except InvalidOperation:
            amount = None
        if amount is None or not amount.is_finite():
            raise ConfigError(
                "money is an amount and a currency, such as '1_000_000 USD' or '1,000.50 EUR';"
                f" got {value!r}"
            )
        return Money(amount, currency(code))

    def _same(self, other: Money) -> Decimal:
        if other.currency != self.currency:
            raise ConfigError(
                f"cannot combine {self.currency.code} with {other.currency.code};"
                " convert one of them by a known rate first"
            )
        return other.amount

    def __add__(self, other: Money) -> Money:
        """Return the sum of two amounts of one currency."""
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        """Return the difference of two amounts of one currency."""
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> Money:
        """Return the amount with its sign turned."""
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        """Compare two amounts of one currency."""
        return self.amount < self._same(other)

    # Written out: `functools.total_ordering` finds a Struct's empty slots and adds nothing.

    def __le__(self, other: Money) -> bool:
        """Compare two amounts of one currency."""
        return self.amount <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        """Compare two amounts of one currency."""
        return self.amount > self._same(other)

    def __ge__(self, other: Money) -> bool:
        """Compare two amounts of one currency."""
        return self.amount >= self._same(other)

    def rounded(self) -> Money:
        """Return the amount rounded half-even to the currency's digits."""
        return Money(round_to_digits(self.amount, self.currency), self.currency)

    def __str__(self) -> str:
        """Return the rounded amount with thousands separators and the code."""
        return f"{self.rounded().amount:,f} {self.currency.code}"

    def __repr__(self) -> str:
        """Return the exact amount and the code."""
        return f"Money('{self.amount:f} {self.currency.code}')"


def round_to_digits(amount: Decimal, unit: Currency) -> Decimal:
    """Round half-even to the digits of `unit`."""
    return amount.quantize(Decimal(1).scaleb(-unit.digits), context=_ROUNDING_CONTEXT)

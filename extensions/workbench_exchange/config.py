"""What the exchange lists, who has an account, and how its market lives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cached_property

import msgspec

from workbench.model.errors import ConfigError
from workbench.model.instruments import Number, to_decimal

DIGITS = 8
"""Decimal places of every amount on the wire, and of every commission."""

UNIT = Decimal(1).scaleb(-DIGITS)
_ASSET = re.compile(r"[A-Z0-9]{1,12}")


class Listing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A symbol and the rules of its orders.

    Attributes:
        base, quote: The two assets, such as BTC and USDT.
        tick: Step of prices, in the quote asset.
        step: Step of quantities, in the base asset.
        min_quantity, max_quantity: Limits of one order.
        min_notional: Least price × quantity of one order.
        start_price: Where a made-up market begins.

    Raises:
        ConfigError: If the numbers do not fit together.
    """

    base: str
    quote: str
    tick: Decimal = Decimal("0.01")
    step: Decimal = Decimal("0.00001")
    min_quantity: Decimal = Decimal("0.00001")
    max_quantity: Decimal = Decimal(9000)
    min_notional: Decimal = Decimal(5)
    start_price: Decimal = Decimal(100)

    def __post_init__(self) -> None:
        """Check that amounts stay within the digits of the wire."""
        for asset in (self.base, self.quote):
            if not _ASSET.fullmatch(asset):
                raise ConfigError(
                    f"an asset is 1 to 12 capital letters and digits, such as BTC; got {asset!r}"
                )
        if min(self.tick, self.step, self.start_price, self.min_quantity) <= 0:
            raise ConfigError(f"{self.symbol}: tick, step, prices and quantities must be positive")
        if self.tick * self.step % UNIT:
            raise ConfigError(
                f"{self.symbol}: tick × step must be a multiple of {UNIT:f}, so that every amount"
                f" fits into {DIGITS} digits; got {self.tick} × {self.step}"
            )

    @property
    def symbol(self) -> str:
        """Return the symbol, such as BTCUSDT."""
        return f"{self.base}{self.quote}"

    @cached_property
    def worth(self) -> Decimal:
        """Return the quote asset's amount of one tick times one lot."""
        return self.tick * self.step

    def price(self, ticks: int) -> Decimal:
        """Return a price of so many ticks."""
        return self.tick * ticks

    def quantity(self, lots: int) -> Decimal:
        """Return a quantity of so many lots."""
        return self.step * lots

    @classmethod
    def parse(cls, text: str) -> Listing:
        """Return the listing that `BASE/QUOTE` or `BASE/QUOTE:START_PRICE` means.

        >>> Listing.parse("SOL/USDT:150").start_price
        Decimal('150')
        """
        pair, _, price = text.partition(":")
        base, slash, quote = pair.upper().partition("/")
        if not slash:
            raise ConfigError(f"expected BASE/QUOTE such as BTC/USDT; got {text!r}")
        known = DEFAULT_LISTINGS.get(f"{base}{quote}")
        listing = cls(base=base, quote=quote) if known is None else known
        if not price:
            return listing
        return msgspec.structs.replace(listing, start_price=to_decimal(price, "start price"))


DEFAULT_LISTINGS = {
    listing.symbol: listing
    for listing in (
        Listing(base="BTC", quote="USDT", start_price=Decimal(60_000)),
        Listing(
            base="ETH",
            quote="USDT",
            step=Decimal("0.0001"),
            min_quantity=Decimal("0.0001"),
            start_price=Decimal(3_000),
        ),
    )
}


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one client may ask for.

    Attributes:
        weight_per_minute: Sum of the requests' weights.
        orders_per_10_s, orders_per_day: New orders of one account.
        max_open_orders: Of one account in one symbol.
    """

    weight_per_minute: int = 6_000
    orders_per_10_s: int = 100
    orders_per_day: int = 200_000
    max_open_orders: int = 200


class ExchangeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about the exchange but where it listens.

    Attributes:
        listings: What is traded.
        accounts: What each account has when the state file is new, by name and asset.
        maker_fee, taker_fee: Shares of what an order receives.
        limits: How much one client may ask for.
        ping_s: How often a socket is pinged.
    """

    listings: tuple[Listing, ...] = tuple(DEFAULT_LISTINGS.values())
    accounts: dict[str, dict[str, Decimal]] = msgspec.field(
        default_factory=lambda: {
            "trader": {"USDT": Decimal(100_000), "BTC": Decimal(2), "ETH": Decimal(20)}
        }
    )
    maker_fee: Decimal = Decimal("0.001")
    taker_fee: Decimal = Decimal("0.001")
    limits: Limits = Limits()
    ping_s: float = 20.0


def as_listings(symbols: Iterable[Listing | str]) -> tuple[Listing, ...]:
    """Return the listings that symbols mean; each may be spelled `BASE/QUOTE[:START_PRICE]`.

    Raises:
        ConfigError: If there is none, or one comes twice.
    """
    listings = tuple(one if isinstance(one, Listing) else Listing.parse(one) for one in symbols)
    names = [listing.symbol for listing in listings]
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"expected one or more different symbols; got {names}")
    return listings


def as_accounts(accounts: Mapping[str, Mapping[str, Number]]) -> dict[str, dict[str, Decimal]]:
    """Return accounts with exact balances."""
    return {
        name: {asset: to_decimal(value, f"{name}'s {asset}") for asset, value in balances.items()}
        for name, balances in accounts.items()
    }

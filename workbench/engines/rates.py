"""Exchange rates between currencies: from known prices of pairs, or fixed by the user; else None.

A rate is never guessed. It goes over the fewest pairs that have a price; of equally short ways the
one whose currencies come first in the alphabet. Between two currencies a fixed rate comes first,
then a pair quoted that way round, then one quoted the other way, each by instrument id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple, Protocol

from workbench.model.enums import OrderSide, PriceType
from workbench.model.errors import ConfigError, PriceError
from workbench.model.identifiers import InstrumentId
from workbench.model.instruments import CurrencyPair, Instrument, Number, to_decimal
from workbench.model.money import MONEY_CONTEXT, ZERO, Currency

Convert = Callable[[Decimal, Currency, Currency], Decimal | None]
"""Turns an amount of one currency into another; None where no rate is known."""

_ONE = Decimal(1)


class PriceSource(Protocol):
    """Who knows instruments and their prices, such as the cache."""

    def instruments(self) -> list[Instrument]:
        """Return all instruments."""
        ...

    def price_to(self, instrument_id: InstrumentId, side: OrderSide) -> float | None:
        """Return what an order of `side` would trade at now, or None."""
        ...


class RateStep(NamedTuple):
    """One step of a conversion: one `source` is `rate` of `target`; `by` a pair, or `"fixed"`."""

    source: str
    target: str
    by: str
    rate: Decimal


class _Link(NamedTuple):
    """A way from one currency to a neighbour: a pair or, without one, a fixed rate."""

    pair: CurrencyPair | None
    is_turned: bool
    fixed: Decimal = _ONE


class _Found(NamedTuple):
    """A link whose price is known."""

    source: str
    target: str
    link: _Link
    price: Decimal


_Graph = dict[str, dict[str, list[_Link]]]


class Rates:
    """Rates of exchange between any two currencies that known prices connect.

    `price_type` says which price of a pair counts: the middle of bid and ask (`MID`), what selling
    the first currency would bring now (`BID`), or what buying it would cost (`ASK`).

    Args:
        prices: Who knows the pairs and their prices: the cache.
        fixed: Rates that prices do not say, such as `{"USDT/USD": 1}`; they go before prices.

    Raises:
        ConfigError: If a fixed rate is not positive, or its name is not `FROM/TO`.

    >>> from workbench.engines.cache import Cache
    >>> rates = Rates(Cache(), {"USDT/USD": 1})
    >>> rates.rate("USD", "USDT"), rates.rate("USD", "EUR")
    (Decimal('1'), None)
    """

    def __init__(self, prices: PriceSource, fixed: Mapping[str, Number] | None = None) -> None:
        self._prices = prices
        self._fixed: dict[tuple[str, str], Decimal] = {}
        self._instruments: list[Instrument] | None = None
        self._graph: _Graph = {}
        if fixed is not None and not isinstance(fixed, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"fixed rates are a mapping such as {{'USDT/USD': 1}}; got {fixed!r}")
        for name, rate in (fixed or {}).items():
            source, slash, target = name.partition("/")
            if not slash:
                raise ConfigError(f"a fixed rate is named like 'USDT/USD'; got {name!r}")
            self.fix(source, target, rate)

    def fix(self, source: str | Currency, target: str | Currency, rate: Number) -> None:
        """Say that one `source` is `rate` of `target`, both ways, whatever prices say.

        Raises:
            ConfigError: If the rate is not positive, or both currencies are the same.
        """
        start, end = _code(source), _code(target)
        exact = to_decimal(rate, f"the rate {start}/{end}")
        if exact <= 0:
            raise ConfigError(f"the rate {start}/{end} must be positive; got {rate!r}")
        if start == end or not start or not end:
            raise ConfigError(f"a rate is between two currencies; got {start!r} and {end!r}")
        self._fixed.pop((end, start), None)
        self._fixed[start, end] = exact
        self._instruments = None

    @property
    def fixed(self) -> dict[str, Decimal]:
        """Return the fixed rates by `FROM/TO`."""
        return {f"{source}/{target}": rate for (source, target), rate in self._fixed.items()}

    def rate(
        self,
        source: str | Currency,
        target: str | Currency,
        price_type: PriceType = PriceType.MID,
    ) -> Decimal | None:
        """Return how much of `target` one `source` is; None where that is not known.

        Raises:
            ConfigError: If `price_type` is LAST.
        """
        return self.convert(_ONE, source, target, price_type)

    def convert(
        self,
        amount: Decimal,
        source: str | Currency,
        target: str | Currency,
        price_type: PriceType = PriceType.MID,
    ) -> Decimal | None:
        """Return an amount of `source` in `target`, to 28 digits; None where no rate is known.

        Raises:
            ConfigError: If `price_type` is LAST.
        """
        start, end = _code(source), _code(target)
        if start == end:
            return amount
        way = self._way(start, end, price_type)
        if way is None:
            return None
        # Multiplied first and divided once: 300 USD at BTC/USD 3 are 100 BTC, not 99.99...
        times, divided_by = amount, _ONE
        for found in way:
            if found.link.is_turned:
                divided_by = MONEY_CONTEXT.multiply(divided_by, found.price)
            else:
                times = MONEY_CONTEXT.multiply(times, found.price)
        return times if divided_by == 1 else MONEY_CONTEXT.divide(times, divided_by)

    def steps(
        self,
        source: str | Currency,
        target: str | Currency,
        price_type: PriceType = PriceType.MID,
    ) -> list[RateStep] | None:
        """Return how a rate comes about, step by step; None where there is none."""
        way = self._way(_code(source), _code(target), price_type)
        return None if way is None else [_step(found) for found in way]

    # Several amounts

    def total(self, amounts: Mapping[str, Decimal], currency: str | Currency) -> Decimal:
        """Return amounts by currency code as one sum of one currency, at middle prices.

        Raises:
            PriceError: If a rate is missing; all that are missing are named.
        """
        total, missing = ZERO, list[str]()
        for code, amount in amounts.items():
            converted = self.convert(amount, code, currency) if amount else ZERO
            if converted is None:
                missing.append(code)
            else:
                total = MONEY_CONTEXT.add(total, converted)
        if missing:
            raise PriceError(self._why_missing(missing, _code(currency)))
        return total

    def missing(self, codes: Iterable[str], currency: str | Currency) -> list[str]:
        """Return the rates into `currency` that are not known, named `FROM/TO`, sorted."""
        end = _code(currency)
        return sorted({f"{code}/{end}" for code in codes if self.rate(code, end) is None})

    def _why_missing(self, codes: list[str], end: str) -> str:
        silent = [
            pair.id
            for pair in self._prices.instruments()
            if isinstance(pair, CurrencyPair)
            and {str(pair.base_currency), str(pair.quote_currency)} & {*codes, end}
            and self._price(_Link(pair, is_turned=False), PriceType.MID) is None
        ]
        names = ", ".join(f"{code}/{end}" for code in codes)
        without = ", ".join(sorted(silent))
        prices = f"pairs without a price: {without}" if silent else "no pair says it"
        return (
            f"no rate {names} is known ({prices}); subscribe to a pair that says it, or fix it:"
            f" portfolio.rates.fix({codes[0]!r}, {end!r}, rate)"
        )

    # The way from one currency to another

    def _way(self, start: str, end: str, price_type: PriceType) -> list[_Found] | None:
        """Return the links of the shortest way with prices, by breadth-first search."""
        if price_type is PriceType.LAST:
            raise ConfigError("a rate is of MID, BID or ASK prices; got LAST")
        if start == end:
            return []
        graph = self._links()
        direct = self._known(start, end, graph.get(start, {}).get(end, ()), price_type)
        if direct is not None:
            return [direct]
        came_by: dict[str, _Found | None] = {start: None}
        ahead = deque([start])
        while ahead and end not in came_by:
            here = ahead.popleft()
            for there, links in graph.get(here, {}).items():
                if there not in came_by:
                    found = self._known(here, there, links, price_type)
                    if found is not None:
                        came_by[there] = found
                        ahead.append(there)
        way: list[_Found] = []
        found = came_by.get(end)
        while found is not None:
            way.append(found)
            found = came_by[found.source]
        return way[::-1] or None

    def _known(
        self, source: str, target: str, links: Iterable[_Link], price_type: PriceType
    ) -> _Found | None:
        for link in links:
            price = self._price(link, price_type)
            if price is not None:
                return _Found(source, target, link, price)
        return None

    def _price(self, link: _Link, price_type: PriceType) -> Decimal | None:
        """Return the price that a link multiplies by, or divides by where it is turned."""
        pair = link.pair
        if pair is None:
            return link.fixed
        if price_type is PriceType.MID:
            bid, ask = self._side(pair, OrderSide.SELL), self._side(pair, OrderSide.BUY)
            if bid is None or ask is None:
                return None
            return MONEY_CONTEXT.divide(MONEY_CONTEXT.add(bid, ask), Decimal(2))
        # Selling a currency sells the pair at the bid; a pair the other way round is bought.
        sells = (price_type is PriceType.BID) != link.is_turned
        return self._side(pair, OrderSide.SELL if sells else OrderSide.BUY)

    def _side(self, pair: CurrencyPair, side: OrderSide) -> Decimal | None:
        value = self._prices.price_to(pair.id, side)
        price = None if value is None or value != value else pair.price(value)  # NaN
        return price if price is not None and price > 0 else None

    def _links(self) -> _Graph:
        """Return every link, neighbours in alphabetical order; made anew for new instruments."""
        instruments = self._prices.instruments()
        if instruments != self._instruments:
            self._graph = _graph(self._fixed, instruments)
            self._instruments = instruments
        return self._graph


def _graph(fixed: Mapping[tuple[str, str], Decimal], instruments: Iterable[Instrument]) -> _Graph:
    ranked: dict[tuple[str, str], list[tuple[int, str, _Link]]] = {}

    def add(rank: int, name: str, ends: tuple[str, str], link: _Link) -> None:
        ranked.setdefault(ends, []).append((rank, name, link))

    for (source, target), rate in fixed.items():
        add(0, "", (source, target), _Link(None, is_turned=False, fixed=rate))
        add(0, "", (target, source), _Link(None, is_turned=True, fixed=rate))
    for pair in instruments:
        if isinstance(pair, CurrencyPair) and pair.base_currency is not None:
            base, quote = pair.base_currency.code, pair.quote_currency.code
            add(1, pair.id, (base, quote), _Link(pair, is_turned=False))
            add(2, pair.id, (quote, base), _Link(pair, is_turned=True))
    graph: _Graph = {}
    for source, target in sorted(ranked):
        links = sorted(ranked[source, target], key=lambda entry: entry[:2])
        graph.setdefault(source, {})[target] = [link for *_, link in links]
    return graph


def _step(found: _Found) -> RateStep:
    link = found.link
    by = "fixed" if link.pair is None else link.pair.id
    rate = MONEY_CONTEXT.divide(_ONE, found.price) if link.is_turned else found.price
    return RateStep(found.source, found.target, by, rate)


def _code(unit: str | Currency) -> str:
    return unit.code if isinstance(unit, Currency) else unit

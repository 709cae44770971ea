"""Rates of exchange over time, by the rules of `workbench.engines.rates`."""

# NumPy's stubs leave parts of the overloads of these functions unknown.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from workbench.model.errors import PriceError
from workbench.model.instruments import CurrencyPair, Instrument

Floats = npt.NDArray[np.float64]
Sides = Callable[[Instrument], tuple[Floats, Floats]]
_Edges = dict[str, dict[str, Floats]]


def rate_curves(
    instruments: Iterable[Instrument],
    prices: Sides,
    fixed: Mapping[str, Decimal],
    target: str,
    count: int,
) -> dict[str, Floats]:
    """Return how much of `target` one of each currency was, at each time; NaN while not known.

    Args:
        instruments: Those whose pairs count.
        prices: Bid and ask of an instrument at each time, NaN where they are not known.
        fixed: Rates by `FROM/TO` that go before prices.
        target: The currency to convert into.
        count: How many times there are.
    """
    edges = _edges(instruments, prices, fixed, count)
    rates = {code: np.full(count, np.nan) for code in edges}
    rates[target] = np.ones(count)
    # One round for each further step: the first that finds a rate found the shortest way.
    for _ in rates:
        before = dict(rates)
        for code, neighbours in edges.items():
            if code != target:
                rates[code] = _or_else(before[code], _over(neighbours, before, count))
        if all(rates[code] is before[code] for code in rates):
            break
    return rates


def converted(columns: Mapping[str, Floats], rates: Mapping[str, Floats], target: str) -> Floats:
    """Return columns by currency code as one of `target`; NaN while a rate was not known.

    Raises:
        PriceError: If a rate that is needed was never known; all such are named.
    """
    total, missing = np.zeros(len(rates[target])), list[str]()
    for code, column in columns.items():
        wanted = column != 0
        rate = rates.get(code)
        if wanted.any() and (rate is None or np.isnan(rate[wanted]).all()):
            missing.append(f"{code}/{target}")
        elif rate is not None:
            total += np.where(wanted, column * rate, 0.0)
    if missing:
        raise PriceError(
            f"no rate {', '.join(missing)} was known at any time; add data of a pair that says it,"
            f" or pass rates={{{missing[0]!r}: ...}}"
        )
    return total


def _edges(
    instruments: Iterable[Instrument],
    prices: Sides,
    fixed: Mapping[str, Decimal],
    count: int,
) -> _Edges:
    """Return the rates of neighbours, both in alphabetical order; NaN where there is no price."""
    ranked: list[tuple[str, str, int, str, Floats]] = []
    for name, rate in fixed.items():
        source, _, target = name.partition("/")
        ranked.append((source, target, 0, "", np.full(count, float(rate))))
        ranked.append((target, source, 0, "", np.full(count, float(1 / rate))))
    for pair in instruments:
        if isinstance(pair, CurrencyPair) and pair.base_currency is not None:
            bid, ask = prices(pair)
            with np.errstate(invalid="ignore"):
                middle = np.where((bid > 0) & (ask > 0), (bid + ask) / 2, np.nan)
            base, quote = pair.base_currency.code, pair.quote_currency.code
            ranked.append((base, quote, 1, pair.id, middle))
            ranked.append((quote, base, 2, pair.id, 1 / middle))
    edges: _Edges = {}
    for source, target, _, _, rate in sorted(ranked, key=lambda entry: entry[:4]):
        row = edges.setdefault(source, {})
        row[target] = rate if target not in row else _or_else(row[target], rate)
    return edges


def _over(neighbours: Mapping[str, Floats], rates: Mapping[str, Floats], count: int) -> Floats:
    found = np.full(count, np.nan)
    for code, edge in neighbours.items():
        found = _or_else(found, edge * rates[code])
    return found


def _or_else(first: Floats, other: Floats) -> Floats:
    """Return the other where the first is not known; itself if nothing changes."""
    lacks = np.isnan(first) & ~np.isnan(other)
    return np.where(lacks, other, first) if lacks.any() else first

"""What must hold of market data before anything trades on it; each check names row and value."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from workbench.history.rows import BoolArray, Float64Array, Int64Array, Rows, first_true
from workbench.model.display import format_ns
from workbench.model.errors import DataError

_Found = Callable[[int], str]


def check_not_empty(count: int, label: str) -> None:
    """Refuse data without a row.

    Raises:
        DataError: If `count` is 0.
    """
    if count == 0:
        raise DataError(f"{label}: no rows; at least one row of data is needed")


def check_times(ts: Int64Array, rows: Rows, *, unique: bool) -> None:
    """Refuse times that go back, and with `unique` times that repeat.

    Raises:
        DataError: Naming the first row that does.
    """
    step = ts[1:] - ts[:-1]
    back = first_true(step < 0)
    if back is not None:
        raise DataError(
            f"{rows.at(back + 1)}: time goes back, the row before is at"
            f" {format_ns(int(ts[back]))}; sort the data by time first"
        )
    same = first_true(step == 0) if unique else None
    if same is not None:
        raise DataError(
            f"{rows.at(same + 1)}: the row before has the same time, and a bar is one per"
            " interval; drop the duplicates first (several symbols in one source: pass symbol=)"
        )


def check_quotes(columns: Mapping[str, Float64Array], rows: Rows) -> None:
    """Check bid and ask, and their sizes where there are any (infinite means unlimited).

    Raises:
        DataError: Naming the first row that is not a quote.
    """
    bid, ask = columns["bid"], columns["ask"]
    _check_prices(columns, ("bid", "ask"), rows)
    _refuse(
        bid > ask,
        rows,
        lambda i: f"bid {bid[i]} is above ask {ask[i]}",
        "crossed quotes are no market: drop those rows, or swap the columns with columns=",
    )
    _check_sizes(columns, ("bid_size", "ask_size"), rows, finite=False)


def check_trades(columns: Mapping[str, Float64Array], rows: Rows) -> None:
    """Check price and size.

    Raises:
        DataError: Naming the first row that is not a trade.
    """
    _check_prices(columns, ("price",), rows)
    _check_sizes(columns, ("size",), rows, finite=True)


def check_bars(columns: Mapping[str, Float64Array], rows: Rows) -> None:
    """Check that high and low enclose open and close, and the volume where there is one.

    Raises:
        DataError: Naming the first row that is not a bar.
    """
    _check_prices(columns, ("open", "high", "low", "close"), rows)
    high, low = columns["high"], columns["low"]
    _refuse(
        high < low,
        rows,
        lambda i: f"high {high[i]} is below low {low[i]}",
        "mend or drop the row, or name the right columns with columns=",
    )
    for name in ("open", "close"):
        price = columns[name]
        _refuse(
            (price > high) | (price < low),
            rows,
            lambda i, name=name, price=price: (
                f"{name} {price[i]} lies outside low {low[i]} to high {high[i]}"
            ),
            "mend or drop the row, or name the right columns with columns=",
        )
    _check_sizes(columns, ("volume",), rows, finite=True)


def check_mark_prices(columns: Mapping[str, Float64Array], rows: Rows) -> None:
    """Check the price.

    Raises:
        DataError: Naming the first row that is not a mark price.
    """
    _check_prices(columns, ("price",), rows)


def check_rates(columns: Mapping[str, Float64Array], rows: Rows) -> None:
    """Check that funding rates are finite.

    Raises:
        DataError: Naming the first row that is not.
    """
    rate = columns["rate"]
    advice = "a rate must be a finite number: mend or drop those rows first"
    _refuse(~np.isfinite(rate), rows, lambda i: f"rate is {rate[i]}", advice)


def _check_prices(columns: Mapping[str, Float64Array], names: tuple[str, ...], rows: Rows) -> None:
    for name in names:
        price = columns[name]
        bad = ~np.isfinite(price) | (price <= 0)
        _refuse(
            bad,
            rows,
            lambda i, name=name, price=price: f"{name} is {price[i]}",
            "a price must be a positive, finite number: fill or drop those rows first",
        )


def _check_sizes(
    columns: Mapping[str, Float64Array], names: tuple[str, ...], rows: Rows, *, finite: bool
) -> None:
    limits = "0 or more and finite" if finite else "0 or more (infinite for unlimited)"
    for name in names:
        size = columns.get(name)
        if size is None:
            continue
        bad = np.isnan(size) | (size < 0)
        if finite:
            bad |= np.isinf(size)
        _refuse(
            bad,
            rows,
            lambda i, name=name, size=size: f"{name} is {size[i]}",
            f"it must be {limits}: mend or drop those rows first",
        )


def _refuse(bad: BoolArray, rows: Rows, found: _Found, advice: str) -> None:
    row = first_true(bad)
    if row is not None:
        count = int(bad.sum())
        more = f" (and {count - 1:,} more rows like it)" if count > 1 else ""
        raise DataError(f"{rows.at(row)}: {found(row)}{more}; {advice}")

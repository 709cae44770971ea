"""`bars`, `quotes` and `trades`: one table of market data in, one checked dataset out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, Literal

import numpy as np

from workbench.history.checks import (
    check_bars,
    check_not_empty,
    check_quotes,
    check_times,
    check_trades,
)
from workbench.history.columns import BarColumns, QuoteColumns, TradeColumns
from workbench.history.dataset import Dataset
from workbench.history.intervals import check_interval, infer_interval, parse_interval
from workbench.history.messages import is_messages, split_messages
from workbench.history.names import ALIASES, is_stamped_at, match_columns, open_time_of
from workbench.history.rows import Float64Array, Int64Array, Rows
from workbench.history.sources import Column, RawTable, read_source
from workbench.history.symbols import one_symbol
from workbench.history.times import to_nanoseconds
from workbench.history.values import to_aggressor_codes, to_floats, to_maker_codes
from workbench.model.commands import DataKind
from workbench.model.data import BarSpec
from workbench.model.enums import PriceType
from workbench.model.errors import ConfigError, DataError
from workbench.model.identifiers import InstrumentId, parse_instrument_id
from workbench.model.instruments import Instrument

Zone = str | tzinfo | None
Stamp = Literal["open", "close"]


def quotes(
    source: Any,
    instrument: Instrument | str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    tz: Zone = None,
    symbol: str | None = None,
) -> Dataset:
    """Return quotes from a table, a file or a list of `Quote` messages.

    Args:
        source: A pandas or polars DataFrame, a pyarrow Table, a NumPy structured array, a dict of
            arrays, a path to .parquet, .csv or .csv.gz, or a list of `Quote`. Columns are found by
            their usual names: a time, bid, ask and, where known, bid_size and ask_size. Without
            sizes they are infinite: unlimited.
        instrument: What is quoted, an `Instrument` or its id; `wb.backtest` fills it in.
        columns: Part to column, such as `{"bid": "my_column"}`, where the name is another.
        tz: The zone of times that name none, such as `"UTC"`.
        symbol: The rows to take, where a column of symbols holds several.

    Raises:
        DataError: Naming source, row and value of what is wrong: no or unreadable data, missing
            columns, times that go back or have no zone, prices that are not positive, a bid above
            the ask, negative sizes.

    >>> table = {"ts": [1_700_000_000, 1_700_000_001], "bid": [1.0, 1.1], "ask": [1.2, 1.2]}
    >>> quotes(table, "AUD/USD.SIM").events()[0].ask
    1.2
    """
    if is_messages(source):
        return _messages(source, DataKind.QUOTES, instrument)
    table = _table(source, symbol)
    return quotes_of(table, _instrument_id(instrument), columns=columns, tz=tz)


def trades(
    source: Any,
    instrument: Instrument | str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    tz: Zone = None,
    symbol: str | None = None,
) -> Dataset:
    """Return trades from a table, a file or a list of `Trade` messages.

    Args:
        source: As for `quotes`; a time, price, size and, where known, who took liquidity
            (buyer_maker, or side as buy and sell) and trade_id (else the number of the row).
        instrument: What is traded, an `Instrument` or its id; `wb.backtest` fills it in.
        columns: Part to column, such as `{"size": "my_column"}`, where the name is another.
        tz: The zone of times that name none, such as `"UTC"`.
        symbol: The rows to take, where a column of symbols holds several.

    Raises:
        DataError: Naming source, row and value of what is wrong.

    >>> table = {"ts": [1_700_000_000], "p": [1.5], "qty": [2], "side": ["sell"]}
    >>> trades(table, "AUD/USD.SIM").events()[0].aggressor
    <AggressorSide.SELLER: 'seller'>
    """
    if is_messages(source):
        return _messages(source, DataKind.TRADES, instrument)
    table = _table(source, symbol)
    return trades_of(table, _instrument_id(instrument), columns=columns, tz=tz)


def bars(
    source: Any,
    instrument: Instrument | str | None = None,
    *,
    interval: str | BarSpec | None = None,
    price: str | PriceType = "last",
    stamp: Stamp = "close",
    columns: Mapping[str, str] | None = None,
    tz: Zone = None,
    symbol: str | None = None,
) -> Dataset:
    """Return bars from a table, a file or a list of `Bar` messages.

    A bar is known at its close, so that is the time it is stored under. Sources that stamp bars
    when they open (yfinance, most exchanges' candles) need `stamp="open"`: without it a strategy
    would see each bar before it happened.

    Args:
        source: As for `quotes`; a time, open, high, low, close and, where known, volume. Without a
            volume, or with an empty column of it, sizes are unlimited.
        instrument: What the prices are of, an `Instrument` or its id; `wb.backtest` fills it in.
        interval: `"1min"`, `"5m"`, `"1h"`, `"1d"`, `"1-minute"`, `"100-tick"` or a `BarSpec`; by
            default the median spacing of the times, if that is a standard one.
        price: `"last"`, `"bid"`, `"ask"` or `"mid"`.
        stamp: Whether times are when bars `"open"` or `"close"`.
        columns: Part to column, such as `{"close": "my_column"}`, where the name is another.
        tz: The zone of times that name none, such as `"UTC"`.
        symbol: The rows to take, where a column of symbols holds several.

    Raises:
        DataError: Naming source, row and value of what is wrong; besides what holds for `quotes`,
            bars of the same time, and an open or close outside low to high.
        ConfigError: If `interval` or `price` cannot be read.

    >>> times = [1_700_000_000, 1_700_000_060]
    >>> ohlc = {"open": [1, 2], "high": [2, 3], "low": [1, 2], "close": [2, 3]}
    >>> bars({"time": times, **ohlc}, "AUD/USD.SIM", stamp="open")
    <bars AUD/USD.SIM-1-minute-last: 2 rows, 2023-11-14T22:14:20Z to 2023-11-14T22:15:20Z>
    """
    if stamp not in ("open", "close"):
        raise DataError(f"stamp must be 'open' or 'close'; got {stamp!r}")
    if is_messages(source):
        return _bar_messages(source, instrument, interval, price, stamp)
    return bars_of(
        _table(source, symbol),
        _instrument_id(instrument),
        interval=interval,
        price=price,
        stamp=stamp,
        columns=columns,
        tz=tz,
    )


def quotes_of(
    table: RawTable,
    instrument_id: InstrumentId | None,
    *,
    columns: Mapping[str, str] | None = None,
    tz: Zone = None,
) -> QuoteColumns:
    """Return the quotes of a table that has been read (arguments as for `quotes`)."""
    found = match_columns(table, DataKind.QUOTES, columns)
    ts, rows = _times(found["timestamp"], table, tz, unique=False)
    floats = _floats(found, ("bid", "ask", "bid_size", "ask_size"), rows)
    check_quotes(floats, rows)
    return QuoteColumns(ts, dict(floats), instrument_id, source=table.label)


def trades_of(
    table: RawTable,
    instrument_id: InstrumentId | None,
    *,
    columns: Mapping[str, str] | None = None,
    tz: Zone = None,
) -> TradeColumns:
    """Return the trades of a table that has been read (arguments as for `trades`)."""
    found = match_columns(table, DataKind.TRADES, columns)
    ts, rows = _times(found["timestamp"], table, tz, unique=False)
    floats = _floats(found, ("price", "size"), rows)
    check_trades(floats, rows)
    held = dict(floats)
    if "buyer_maker" in found:
        held["aggressor"] = to_maker_codes(found["buyer_maker"], rows)
    elif "aggressor" in found:
        held["aggressor"] = to_aggressor_codes(found["aggressor"], rows)
    if "trade_id" in found:
        held["trade_id"] = found["trade_id"].values
    return TradeColumns(ts, held, instrument_id, source=table.label)


def bars_of(
    table: RawTable,
    instrument_id: InstrumentId | None,
    *,
    interval: str | BarSpec | None = None,
    price: str | PriceType = "last",
    stamp: Stamp = "close",
    columns: Mapping[str, str] | None = None,
    tz: Zone = None,
) -> BarColumns:
    """Return the bars of a table that has been read (arguments as for `bars`)."""
    found = match_columns(table, DataKind.BARS, columns)
    if not any(part in ALIASES["timestamp"] for part in columns or ()):
        found["timestamp"] = _stamped(table, found["timestamp"], stamp)
    ts, rows = _times(found["timestamp"], table, tz, unique=True)
    floats = _floats(found, ("open", "high", "low", "close", "volume"), rows)
    if "volume" in floats and np.isnan(floats["volume"]).all():
        del floats["volume"]
    check_bars(floats, rows)
    if interval is None:
        spec = infer_interval(ts, price, table.label)
    else:
        spec = parse_interval(interval, price)
        check_interval(spec, ts, table.label)
    if stamp == "open":
        if spec.interval_ns is None:
            raise DataError(
                f"{table.label}: {spec} bars have no fixed length, so their closes do not follow"
                " from their opens; stamp them at their close first"
            )
        ts = ts + spec.interval_ns
    return BarColumns(ts, dict(floats), instrument_id, bar_spec=spec, source=table.label)


def _table(source: Any, symbol: str | None) -> RawTable:
    return one_symbol(read_source(source, symbol), symbol)


def _stamped(table: RawTable, time: Column, stamp: Stamp) -> Column:
    """Return the time column that fits `stamp`; refuse one whose name says the opposite."""
    says = is_stamped_at(time)
    if says is None or says == stamp:
        return time
    if stamp == "open":
        opens = open_time_of(table)
        if opens is not None:
            return opens
    raise DataError(
        f"{table.label}: column {time.name!r} says that bars are stamped at their {says};"
        f" pass stamp={says!r}, or columns={{'timestamp': {time.name!r}}} if it is not so"
    )


def _times(column: Column, table: RawTable, tz: Zone, *, unique: bool) -> tuple[Int64Array, Rows]:
    check_not_empty(len(table), table.label)
    ts = to_nanoseconds(column, table.rows, tz)
    rows = table.rows.timed(ts)
    check_times(ts, rows, unique=unique)
    return ts, rows


def _floats(
    found: Mapping[str, Column], names: Sequence[str], rows: Rows
) -> dict[str, Float64Array]:
    return {name: to_floats(found[name], rows) for name in names if name in found}


def _instrument_id(instrument: object) -> InstrumentId | None:
    if instrument is None:
        return None
    if isinstance(instrument, Instrument):
        return instrument.id
    if isinstance(instrument, str):
        return parse_instrument_id(instrument)
    raise ConfigError(f"instrument must be an Instrument or its id; got {instrument!r}")


def _bar_messages(
    source: Sequence[Any],
    instrument: Instrument | str | None,
    interval: str | BarSpec | None,
    price: str | PriceType,
    stamp: Stamp,
) -> Dataset:
    if stamp == "open":
        raise DataError("Bar messages are stamped at their close; leave stamp out")
    dataset = _messages(source, DataKind.BARS, instrument)
    if interval is not None and parse_interval(interval, price) != dataset.bar_spec:
        raise DataError(f"list: the messages are {dataset.bar_spec} bars, not {interval}")
    return dataset


def _messages(
    source: Sequence[Any], kind: DataKind, instrument: Instrument | str | None
) -> Dataset:
    datasets = split_messages(source)
    if len(datasets) > 1 or datasets[0].kind is not kind:
        names = ", ".join(f"{dataset!r}" for dataset in datasets)
        raise DataError(
            f"list: wb.{kind.value} takes messages of one instrument; got {names}."
            " A mixed list can go to wb.backtest as it is"
        )
    instrument_id = _instrument_id(instrument)
    return datasets[0] if instrument_id is None else datasets[0].bind(instrument_id)

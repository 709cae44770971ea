"""Instruments, data and venues as the command line spells them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.model.enums import PriceType
from workbench.model.errors import ConfigError
from workbench.model.identifiers import InstrumentId
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Instrument
from workbench.sim import SimulatedVenue

if TYPE_CHECKING:
    from workbench.history import Dataset

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # pyright: ignore[reportPrivateUsage]
else:
    Subparsers = Any

_KINDS = ("bars", "quotes", "trades")
_PRICES = tuple(price.value for price in PriceType)
_TYPES: dict[str, type[CurrencyPair | CryptoPerpetual | Equity]] = {
    "currency_pair": CurrencyPair,
    "crypto_perpetual": CryptoPerpetual,
    "equity": Equity,
}


def add_strategy(parser: argparse.ArgumentParser) -> None:
    """Add the strategy and its parameters."""
    parser.add_argument(
        "strategy",
        metavar="STRATEGY",
        help="path/to/file.py:ClassName or package.module:ClassName",
    )
    parser.add_argument(
        *("-p", "--parameter"),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the strategy, such as -p fast=10; once for each",
    )


def add_instrument(parser: argparse.ArgumentParser) -> None:
    """Add what is traded."""
    group = parser.add_argument_group("instrument")
    group.add_argument(
        "--instrument",
        action="append",
        required=True,
        metavar="SYMBOL.VENUE",
        help="such as GBP/USD.FXCM; once for each, with the same properties below",
    )
    group.add_argument(
        "--type", choices=_TYPES, default="currency_pair", help="default: %(default)s"
    )
    group.add_argument("--tick", metavar="SIZE", help="the price increment")
    group.add_argument("--step", metavar="SIZE", help="the quantity increment")
    group.add_argument("--currency", metavar="CODE", help="what an equity is quoted in")
    group.add_argument("--maker-fee", metavar="SHARE", help="of notional, such as 0.0002")
    group.add_argument("--taker-fee", metavar="SHARE", help="of notional, such as 0.0004")


def add_data(parser: Any, *, required: bool) -> None:
    """Add where history is; to a parser or a group of it."""
    parser.add_argument(
        "--data",
        action="append",
        required=required,
        metavar="[QUALIFIER=]PATH",
        help="a CSV or Parquet file; once for each. Qualifiers: bid, ask, mid or last for bars of"
        " that price, an instrument where there are several, or both: GBP/USD.FXCM,bid=PATH",
    )


def add_data_format(parser: argparse.ArgumentParser) -> None:
    """Add how history is to be read, and which part of it."""
    group = parser.add_argument_group("data")
    group.add_argument("--kind", choices=_KINDS, help="default: what the columns look like")
    group.add_argument("--tz", metavar="ZONE", help="of times that name none, such as UTC")
    group.add_argument("--interval", help="of bars, such as 1min; default: from their times")
    group.add_argument(
        "--stamp",
        choices=("open", "close"),
        help="whether the times of bars are when they open or close; default: close",
    )
    group.add_argument("--symbol", help="the rows to take of a file that holds several")
    group.add_argument("--start", metavar="TIME", help="run from then on, ISO 8601, UTC")
    group.add_argument("--end", metavar="TIME", help="run until before then")


def add_venue(parser: argparse.ArgumentParser) -> None:
    """Add how fills are simulated."""
    group = parser.add_argument_group("simulated venue")
    group.add_argument(
        "--balance",
        action="append",
        default=[],
        metavar="MONEY",
        help="a starting balance such as '1_000_000 USD'; once for each currency",
    )
    group.add_argument("--account-type", default="margin", help="margin (default) or cash")
    group.add_argument("--leverage", default="1", help="divides margins; default: %(default)s")
    group.add_argument(
        "--latency-ns", type=int, default=0, metavar="NS", help="of each command; default: 0"
    )
    group.add_argument(
        "--fill-on",
        default="close",
        help="where an order sent from on_bar fills: close (default) or next_open",
    )


def instruments_of(arguments: argparse.Namespace) -> list[Instrument]:
    """Return the instruments.

    Raises:
        InstrumentError: If a definition is inconsistent.
        ConfigError: If it cannot be read.
    """
    options = {
        "price_increment": arguments.tick,
        "quantity_increment": arguments.step,
        "maker_fee": arguments.maker_fee,
        "taker_fee": arguments.taker_fee,
    }
    if arguments.currency is not None:
        if arguments.type != "equity":
            raise ConfigError(
                f"--currency is for equities; a {arguments.type} has it in its symbol"
            )
        options["currency"] = arguments.currency
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    define = _TYPES[arguments.type].define
    return [define(name, **given) for name in dict.fromkeys(arguments.instrument)]


def venues_of(
    arguments: argparse.Namespace, instruments: Sequence[Instrument]
) -> list[SimulatedVenue]:
    """Return a simulated venue, with the same settings, for each venue of the instruments.

    Raises:
        ConfigError: If a setting cannot be read.
    """
    return [
        SimulatedVenue(
            name=name,
            account_type=arguments.account_type,
            starting_balances=arguments.balance,
            leverage=arguments.leverage,
            latency_ns=arguments.latency_ns,
            fill_on=arguments.fill_on,
        )
        for name in dict.fromkeys(instrument.venue for instrument in instruments)
    ]


def data_of(arguments: argparse.Namespace, instruments: Sequence[Instrument]) -> list[Dataset]:
    """Return the data of each `--data`, checked.

    Raises:
        DataError: If a file is not there or holds no such data.
        ConfigError: If a qualifier or an option does not fit.
    """
    return [_dataset(text, arguments, instruments) for text in arguments.data]


def _dataset(
    text: str, arguments: argparse.Namespace, instruments: Sequence[Instrument]
) -> Dataset:
    from workbench.history import bars, quotes, trades
    from workbench.history.names import guess_kind
    from workbench.history.sources import read_source
    from workbench.history.symbols import one_symbol

    path, price, instrument_id = _qualified(text, instruments)
    of_bars: dict[str, Any] = {
        "price": price,
        "interval": arguments.interval,
        "stamp": arguments.stamp,
    }
    of_bars = {name: value for name, value in of_bars.items() if value is not None}
    kind = arguments.kind or ("bars" if of_bars else None)
    if kind is None:
        table = one_symbol(read_source(path, arguments.symbol), arguments.symbol)
        kind = guess_kind(table).value
    if kind == "bars":
        return bars(path, instrument_id, tz=arguments.tz, symbol=arguments.symbol, **of_bars)
    if of_bars:
        raise ConfigError(f"{path}: {', '.join(of_bars)} is for bars; these are {kind}")
    load = quotes if kind == "quotes" else trades
    return load(path, instrument_id, tz=arguments.tz, symbol=arguments.symbol)


def _qualified(
    text: str, instruments: Sequence[Instrument]
) -> tuple[str, str | None, InstrumentId | None]:
    """Split `[INSTRUMENT,][PRICE=]PATH` into path, price and instrument."""
    instrument_id = instruments[0].id if len(instruments) == 1 else None
    if "=" not in text or Path(text).is_file():
        return text, None, instrument_id
    qualifiers, _, path = text.partition("=")
    known = {str(instrument.id): instrument.id for instrument in instruments}
    price = None
    for qualifier in qualifiers.split(","):
        if qualifier in _PRICES:
            price = qualifier
        elif qualifier in known:
            instrument_id = known[qualifier]
        else:
            raise ConfigError(
                f"--data {text}: {qualifier!r} is no qualifier; there are {', '.join(_PRICES)} for"
                f" the price of bars, and the instruments {', '.join(known)}"
            )
    return path, price, instrument_id

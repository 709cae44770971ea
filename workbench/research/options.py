"""Strategies, instruments, data and venues as options spell them: of a command, of a magic."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.model.enums import PriceType
from workbench.model.errors import ConfigError
from workbench.model.identifiers import InstrumentId
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Instrument
from workbench.node import Synthetic
from workbench.research.calls import Call, one_or_list
from workbench.sim import SimulatedVenue

if TYPE_CHECKING:
    from workbench.history import Dataset

_KINDS = ("bars", "quotes", "trades")
_PRICES = tuple(price.value for price in PriceType)
_TYPES: dict[str, type[CurrencyPair | CryptoPerpetual | Equity]] = {
    "currency_pair": CurrencyPair,
    "crypto_perpetual": CryptoPerpetual,
    "equity": Equity,
}


_MADE_UP = ("rate", "seed", "start_price")
_STORED = ("speed", "kind", "tz", "interval", "stamp", "symbol", "start", "end")
VENUE_DEFAULTS = {"account_type": "margin", "leverage": "1", "latency_ns": 0, "fill_on": "close"}
"""The settings of a simulated venue where none was given."""


def add_strategy(parser: argparse.ArgumentParser) -> None:
    """Add the strategy and its parameters."""
    parser.add_argument(
        "strategy",
        metavar="STRATEGY",
        help="path/to/file.py:ClassName or package.module:ClassName",
    )
    add_parameters(parser)


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Add a strategy's parameters."""
    parser.add_argument(
        *("-p", "--parameter"),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the strategy, such as -p fast=10; once for each",
    )


def add_instrument(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add what is traded."""
    group = parser.add_argument_group("instrument")
    group.add_argument(
        "--instrument",
        action="append",
        required=required,
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


def add_market(parser: argparse.ArgumentParser) -> None:
    """Add how a market is made up, and how fast history is replayed."""
    made_up = parser.add_argument_group("synthetic market")
    made_up.add_argument("--rate", type=float, help="quotes a second; default: 10")
    made_up.add_argument("--seed", type=int, help="of the random walk; default: 1")
    made_up.add_argument("--start-price", type=float, help="default: 100")
    replay = parser.add_argument_group("replay")
    replay.add_argument(
        "--speed", type=float, help="how many times real speed; default: as fast as it is handled"
    )


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


def instrument_calls(arguments: argparse.Namespace) -> list[Call[Instrument]]:
    """Return what defines each instrument.

    Raises:
        ConfigError: If an option does not fit.
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
    kind = _TYPES[arguments.type]
    define: Callable[..., Instrument] = kind.define
    return [
        Call(f"wb.{kind.__name__}.define", define, name, **given)
        for name in dict.fromkeys(arguments.instrument)
    ]


def instruments_of(arguments: argparse.Namespace) -> list[Instrument]:
    """Return the instruments.

    Raises:
        InstrumentError: If a definition is inconsistent.
        ConfigError: If it cannot be read.
    """
    return [call.make() for call in instrument_calls(arguments)]


def venue_calls(
    arguments: argparse.Namespace, instruments: Sequence[Instrument]
) -> list[Call[SimulatedVenue]]:
    """Return what makes a simulated venue, with the same settings, for each instrument's venue."""
    given = {name: getattr(arguments, name) for name in VENUE_DEFAULTS}
    given = {name: value for name, value in given.items() if value != VENUE_DEFAULTS[name]}
    if arguments.balance:
        given["starting_balances"] = arguments.balance
    return [
        Call("wb.SimulatedVenue", SimulatedVenue, name=str(name), **given)
        for name in dict.fromkeys(instrument.venue for instrument in instruments)
    ]


def venues_of(
    arguments: argparse.Namespace, instruments: Sequence[Instrument]
) -> list[SimulatedVenue]:
    """Return a simulated venue, with the same settings, for each venue of the instruments.

    Raises:
        ConfigError: If a setting cannot be read.
    """
    return [call.make() for call in venue_calls(arguments, instruments)]


def check_market(arguments: argparse.Namespace, is_synthetic: bool, words: tuple[str, str]) -> None:
    """Refuse options of stored data for a synthetic market, and the other way round.

    Args:
        arguments: What was given.
        is_synthetic: Whether the market is made up.
        words: What asks for a synthetic market, and what for stored data.

    Raises:
        ConfigError: Naming the option.
    """
    for name in _STORED if is_synthetic else _MADE_UP:
        if getattr(arguments, name) is not None:
            needed = words[1] if is_synthetic else words[0]
            raise ConfigError(f"--{name.replace('_', '-')} goes with {needed}")


def synthetic_call(arguments: argparse.Namespace, instruments: Sequence[Any]) -> Call[Synthetic]:
    """Return what makes the synthetic market of some instruments."""
    given = {name: getattr(arguments, name) for name in _MADE_UP}
    options = {name: value for name, value in given.items() if value is not None}
    return Call("wb.Synthetic", Synthetic, one_or_list(list(instruments)), **options)


def data_calls(
    arguments: argparse.Namespace, instruments: Sequence[Instrument]
) -> list[Call[Dataset]]:
    """Return what loads the data of each `--data`.

    Raises:
        DataError: If a file is not there or holds no such data.
        ConfigError: If a qualifier or an option does not fit.
    """
    return [_dataset(text, arguments, instruments) for text in arguments.data]


def data_of(arguments: argparse.Namespace, instruments: Sequence[Instrument]) -> list[Dataset]:
    """Return the data of each `--data`, checked.

    Raises:
        DataError: If a file is not there or holds no such data.
        ConfigError: If a qualifier or an option does not fit.
    """
    return [call.make() for call in data_calls(arguments, instruments)]


def _dataset(
    text: str, arguments: argparse.Namespace, instruments: Sequence[Instrument]
) -> Call[Dataset]:
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
    if kind != "bars" and of_bars:
        raise ConfigError(f"{path}: {', '.join(of_bars)} is for bars; these are {kind}")
    load = {"bars": bars, "quotes": quotes, "trades": trades}[kind]
    of_all: dict[str, Any] = {"tz": arguments.tz, "symbol": arguments.symbol}
    of_all = {name: value for name, value in of_all.items() if value is not None}
    name = None if instrument_id is None else str(instrument_id)
    return Call(f"wb.{kind}", load, path, name, **of_all, **of_bars)


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

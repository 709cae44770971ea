"""`workbench backtest`: a strategy over stored history."""

from __future__ import annotations

import argparse
import sys
import traceback

from workbench.cli import tables
from workbench.cli.subparsers import Subparsers
from workbench.research import options
from workbench.research.strategy_names import make_strategy


def add(subparsers: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "backtest",
        help="run a strategy over stored history",
        description="Run a strategy over stored history and print what happened.",
        epilog="Example: workbench backtest ema.py:EmaCross -p fast=10 --instrument GBP/USD.FXCM"
        " --data bid=bid.csv --data ask=ask.csv --out results",
        parents=[common],
    )
    options.add_strategy(parser)
    options.add_data(parser, required=True)
    options.add_instrument(parser)
    options.add_data_format(parser)
    options.add_venue(parser)
    parser.add_argument(
        "--out", metavar="DIR", help="write orders, fills, positions, account and equity as CSV"
    )
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")
    parser.set_defaults(handler=backtest)


def backtest(arguments: argparse.Namespace) -> int:
    """Run it; return 0, 1 if the strategy failed, 130 if it was interrupted."""
    from workbench.research import backtest as run_backtest

    strategy = make_strategy(arguments.strategy, arguments.parameter)
    instruments = options.instruments_of(arguments)
    venues = options.venues_of(arguments, instruments)
    data = options.data_of(arguments, instruments)
    folder = None if arguments.out is None else tables.make_folder(arguments.out)
    result = run_backtest(
        strategy,
        data,
        instrument=instruments,
        venue=venues,
        start=arguments.start,
        end=arguments.end,
        progress=False if arguments.no_progress else None,
        raise_exception=False,
    )
    print(result)
    if folder is not None:
        frames = {
            "orders": result.orders,
            "fills": result.fills,
            "positions": result.positions,
            "account": result.account,
            "equity": result.equity,
        }
        tables.write(folder, frames)
    if result.error is not None:
        sys.stdout.flush()
        traceback.print_exception(result.error)
        return 1
    return 130 if result.ended == "interrupted" else 0

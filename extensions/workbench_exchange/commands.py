"""`workbench exchange`: the local exchange as a process of its own, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from workbench.model.errors import ConfigError


def add_commands(subparsers: Any) -> None:
    """Add the subcommand; what it needs is imported when it runs."""
    parser = subparsers.add_parser(
        "exchange",
        help="run a local spot exchange on loopback until it is told to stop",
        description="Run a spot exchange on loopback that speaks the part of Binance's protocol"
        " that its clients use, with a living market. SIGINT (Ctrl-C) or SIGTERM stops it.",
        epilog="Example: workbench exchange --file exchange.sqlite --seed 7"
        " --symbols BTC/USDT SOL/USDT:150",
    )
    parser.add_argument("--host", default="127.0.0.1", help="loopback only; default: %(default)s")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--file", type=Path, metavar="PATH", help="remember its state here; default: nowhere"
    )
    parser.add_argument(
        "--keys",
        type=Path,
        metavar="PATH",
        help="write addresses and keys here as JSON, mode 0600; default: beside the state file, or"
        " a temporary file",
    )
    parser.add_argument(
        "--symbols",
        nargs="+",
        default=["BTC/USDT", "ETH/USDT"],
        metavar="BASE/QUOTE[:PRICE]",
        help="what is listed; default: BTC/USDT ETH/USDT",
    )
    parser.add_argument(
        "--balance",
        action="append",
        default=[],
        metavar="ACCOUNT:ASSET=AMOUNT",
        help="what an account begins with, such as trader:USDT=100000; once for each",
    )
    parser.add_argument(
        "--unlimited", action="store_true", help="any number of requests and orders, for load tests"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the random market; default: 1")
    parser.add_argument("--quiet", action="store_true", help="no market but the accounts")
    parser.add_argument(
        "--replay",
        action="append",
        default=[],
        metavar="SYMBOL=FILE",
        help="quotes or trades of a Parquet or CSV file instead of the random market",
    )
    parser.add_argument("--speed", type=float, default=1.0, help="of a replay; default: 1")
    parser.set_defaults(handler=serve)


def serve(arguments: argparse.Namespace) -> int:
    """Run it; return 0 once it was stopped."""
    try:
        from workbench_exchange.exchange import LocalExchange
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the exchange needs {error.name}: pip install 'trading-workbench[exchange]'"
        ) from error
    exchange = LocalExchange(
        arguments.symbols,
        accounts=_accounts(arguments.balance),
        market=_market(arguments),
        host=arguments.host,
        port=arguments.port,
        file=arguments.file,
        limits=_limits() if arguments.unlimited else None,
    )
    asyncio.run(_serve(exchange, arguments))
    return 0


def _limits() -> Any:
    from workbench_exchange.config import Limits

    most = 10**9
    return Limits(
        weight_per_minute=most, orders_per_10_s=most, orders_per_day=most, max_open_orders=most
    )


def _accounts(balances: list[str]) -> dict[str, dict[str, str]] | None:
    accounts: dict[str, dict[str, str]] = {}
    for text in balances:
        name, _, rest = text.partition(":")
        asset, is_given, amount = rest.partition("=")
        if not (name and asset and is_given):
            raise ConfigError(f"--balance is ACCOUNT:ASSET=AMOUNT; got {text!r}")
        accounts.setdefault(name, {})[asset.upper()] = amount
    return accounts or None


def _market(arguments: argparse.Namespace) -> Any:
    from workbench_exchange.market import QuietMarket, RandomMarket, ReplayMarket

    if arguments.quiet and arguments.replay:
        raise ConfigError("--quiet and --replay exclude each other")
    if arguments.quiet:
        return QuietMarket()
    if not arguments.replay:
        return RandomMarket(arguments.seed)
    data: dict[str, list[str]] = {}
    for text in arguments.replay:
        symbol, is_given, path = text.partition("=")
        if not is_given:
            raise ConfigError(f"--replay is SYMBOL=FILE; got {text!r}")
        data.setdefault(symbol.upper().replace("/", ""), []).append(path)
    return ReplayMarket(data, speed=arguments.speed)


async def _serve(exchange: Any, arguments: argparse.Namespace) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with exchange:
        with _key_file(exchange, arguments) as path:
            where = exchange.addresses
            print(f"REST     {where.rest}/api/v3")
            print(f"streams  {where.streams}/ws and /stream")
            print(f"WS-API   {where.requests}")
            print(f"state    {arguments.file or 'forgotten at the end'}")
            print(f"keys     {path}", flush=True)
            await ended.wait()
    print("stopped", flush=True)


@contextlib.contextmanager
def _key_file(exchange: Any, arguments: argparse.Namespace) -> Generator[Path]:
    """Write addresses and keys where only their owner reads them; remove them at the end."""
    path: Path | None = arguments.keys
    if path is None and arguments.file is not None:
        path = arguments.file.with_name(f"{arguments.file.name}.keys.json")
    if path is None:
        descriptor, name = tempfile.mkstemp(prefix="workbench-exchange-", suffix=".keys.json")
        path = Path(name)
    else:
        path.unlink(missing_ok=True)  # it may have another mode
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ConfigError(f"cannot write the keys: {error}") from error
    held = {
        **exchange.addresses._asdict(),
        "token": exchange.token,
        "accounts": {name: key._asdict() for name, key in exchange.keys.items()},
    }
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(held, file, indent=2)
    try:
        yield path.absolute()
    finally:
        path.unlink(missing_ok=True)

"""What `%node new` and `%backtest` stand for: calls, made of options and the user's variables."""

from __future__ import annotations

import argparse
import keyword
from pathlib import Path
from typing import Any

from workbench.history import Dataset
from workbench.jupyter.words import names_of
from workbench.model.errors import ConfigError
from workbench.model.instruments import Instrument
from workbench.node import TradingNode, TradingNodeConfig, sandbox
from workbench.research import BacktestResult, backtest, options
from workbench.research.calls import Call, Variable, made, one_or_list
from workbench.research.strategy_names import strategy_call, strategy_class
from workbench.runtime.lifecycle import NodeState
from workbench.trading import Actor
from workbench.trading.actor import ROOTS

Namespace = dict[str, Any]
_GOING = (NodeState.RUNNING, NodeState.STOPPING)
_TABLES = ("DataFrame", "Table")
_OF_FILES = ("kind", "tz", "interval", "stamp", "symbol")


def sandbox_call(given: argparse.Namespace, namespace: Namespace) -> Call[TradingNode]:
    """Return what `%node new` stands for.

    Raises:
        ConfigError: If an option does not fit.
    """
    strategy = _strategy(given.strategy, given.parameter, namespace)
    instruments = _instruments(given, namespace)
    is_synthetic = given.data in (None, [given.default_data])
    options.check_market(given, is_synthetic, ("--data synthetic", "stored data (--data ...)"))
    more: dict[str, Any] = {}
    if is_synthetic:
        market = options.synthetic_call(given, instruments)
        data = [market] if market.keywords else []
    else:
        data = [one_or_list(_data(given, namespace, made(instruments)))]
        more = {name: getattr(given, name) for name in ("speed", "start", "end")}
    if given.trader is not None:
        more["config"] = Call("wb.TradingNodeConfig", TradingNodeConfig, trader_id=given.trader)
    return _call("wb.sandbox", sandbox, strategy, *data, given=given, on=instruments, more=more)


def backtest_call(given: argparse.Namespace, namespace: Namespace) -> Call[BacktestResult]:
    """Return what `%backtest` stands for.

    Raises:
        ConfigError: If an option does not fit.
    """
    strategy = _strategy(given.strategy, given.parameter, namespace)
    instruments = _instruments(given, namespace)
    data = one_or_list(_data(given, namespace, made(instruments)))
    more = {"start": given.start, "end": given.end}
    if given.no_progress:
        more["progress"] = False
    return _call("wb.backtest", backtest, strategy, data, given=given, on=instruments, more=more)


def _call(
    name: str,
    function: Any,
    *arguments: Any,
    given: argparse.Namespace,
    on: list[Any],
    more: dict[str, Any],
) -> Call[Any]:
    """Return the call, with those settings that were given."""
    keywords: dict[str, Any] = {"instrument": one_or_list(on)}
    venues = options.venue_calls(given, made(on))
    if any(len(venue.keywords) > 1 for venue in venues):  # more than its name
        keywords["venue"] = one_or_list(venues)
    keywords |= {name: value for name, value in more.items() if value is not None}
    return Call(name, function, *arguments, **keywords)


def _strategy(text: str, parameters: list[str], namespace: Namespace) -> Call[Actor] | Variable:
    found = namespace.get(text)
    if isinstance(found, type) and issubclass(found, Actor):
        return strategy_call(found, parameters)
    if isinstance(found, Actor):
        if parameters:
            raise ConfigError(
                f"{text} is an object, which has its parameters; name its class,"
                f" {type(found).__name__}, to give others"
            )
        return Variable(text, found)
    if ":" in text or text.endswith(".py"):
        return strategy_call(strategy_class(text), parameters)
    kind = f"of type {type(found).__name__}, not a strategy"
    held = kind if text in namespace else "not defined"
    known = ", ".join(names_of_strategies(namespace)) or "none yet"
    raise ConfigError(
        f"{text!r} is {held}; strategies: {known}. One in a file is named as"
        " path/to/file.py:ClassName"
    )


def names_of_strategies(namespace: Namespace) -> list[str]:
    """Return the names of strategies in a namespace: of classes, then of objects."""
    classes = [
        name
        for name in names_of(namespace, type)
        if issubclass(namespace[name], Actor) and namespace[name] not in ROOTS
    ]
    return classes + names_of(namespace, Actor)


def names_of_tables(namespace: Namespace) -> list[str]:
    """Return the names of what looks like market data in a namespace."""
    found = list(namespace.items())
    return [
        name
        for name, value in found
        if name[0] != "_" and (isinstance(value, Dataset) or type(value).__name__ in _TABLES)
    ]


def _instruments(given: argparse.Namespace, namespace: Namespace) -> list[Any]:
    """Return variables for those that are, else calls that define them."""
    if given.instrument is None:
        if not isinstance(namespace.get("instrument"), Instrument):
            raise ConfigError(
                "say what is traded: --instrument BTC/USDT.SIM, or a variable that holds an"
                " instrument; by default the variable `instrument`, which is not defined"
            )
        given.instrument = ["instrument"]
    found: list[Any] = []
    texts: list[str] = []
    for text in dict.fromkeys(given.instrument):
        value = namespace.get(text)
        if isinstance(value, Instrument):
            found.append(Variable(text, value))
        elif "." in text:
            texts.append(text)
        else:
            known = ", ".join(names_of(namespace, Instrument)) or "none"
            raise ConfigError(
                f"--instrument takes SYMBOL.VENUE, such as BTC/USDT.SIM, or a variable; got"
                f" {text!r}. Variables that hold one: {known}"
            )
    defined = options.instrument_calls(argparse.Namespace(**vars(given) | {"instrument": texts}))
    unused = [name for name in ("tick", "step", "maker_fee", "taker_fee") if getattr(given, name)]
    if unused and not texts:
        option = unused[0].replace("_", "-")
        raise ConfigError(f"--{option} is for SYMBOL.VENUE; a variable's instrument has its own")
    return [*found, *defined]


def _data(given: argparse.Namespace, namespace: Namespace, instruments: list[Any]) -> list[Any]:
    """Return variables for those that are, else calls that load files."""
    texts: list[str] = given.data or []
    if "synthetic" in texts and "synthetic" not in namespace:
        raise ConfigError("a synthetic market stands by itself and is no history: --data synthetic")
    found: list[Any] = []
    for text in texts:
        if text.isidentifier() and text in namespace:
            given_too = [name for name in _OF_FILES if getattr(given, name) is not None]
            if given_too:
                raise ConfigError(
                    f"--{given_too[0]} is for files; {text} is a variable: pass"
                    f" wb.bars({text}, {given_too[0]}=...) or the like in its place"
                )
            found.append(Variable(text, namespace[text]))
        elif text.isidentifier() and not Path(text).is_file():
            known = ", ".join(names_of_tables(namespace)) or "none"
            raise ConfigError(
                f"{text!r} is not defined; variables that hold data: {known}. A file is named with"
                " its ending, .csv or .parquet"
            )
        else:
            one = argparse.Namespace(**vars(given) | {"data": [text]})
            found += options.data_calls(one, instruments)
    return found


def check_name(name: str, namespace: Namespace, kind: type) -> None:
    """Refuse a name that cannot be bound, or that holds something else.

    Raises:
        ConfigError: If it is no name, holds something of another kind, or a node that runs.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigError(f"{name!r} is no name of a variable")
    held = namespace.get(name)
    if held is not None and not isinstance(held, kind):
        what = type(held).__name__
        raise ConfigError(f"{name} holds a {what}; choose another name, or `del {name}` first")
    if isinstance(held, TradingNode) and held.state in _GOING:
        raise ConfigError(
            f"{name} is a {held.state.value} node; stop it first (%node stop {name}), or let it"
            f" begin anew (%node reset {name})"
        )

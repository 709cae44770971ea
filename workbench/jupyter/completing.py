"""Completion after our magics: words, options, and what is in the namespace and the folder."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from workbench.jupyter.arguments import Parser, backtest_parser, strategy_parser
from workbench.jupyter.making import Namespace, names_of_strategies, names_of_tables
from workbench.jupyter.words import ALL, names_of, names_of_nodes, parser_of
from workbench.model.instruments import Instrument
from workbench.node import PromotionRules, TradingNode, nodes
from workbench.trading import Actor

_FILES = (".csv", ".csv.gz", ".parquet")
_MAGICS = ("%node", "%backtest", "%%strategy")


def node_matcher(shell: Any) -> Any:
    """Return what completes our magics in a shell, in place of all other completion."""

    def complete(context: CompletionContext) -> Any:
        line = context.line_with_cursor
        found = candidates(line, shell.user_ns)
        shown = [SimpleCompletion(word, type="keyword") for word in found]
        result = {"completions": shown, "ordered": True, "suppress": bool(shown)}
        if shown:
            result["matched_fragment"] = line.rpartition(" ")[2]
        return result

    # Its stubs take only functions that are matchers already.
    decorate: Any = context_matcher(identifier="workbench.node", priority=1000)
    return decorate(complete)


def candidates(line: str, namespace: Namespace) -> list[str]:
    """Return what may stand at the end of a line.

    >>> candidates("%node st", {})
    ['status', 'stop']
    >>> candidates("%node run -", {})
    ['--help', '--thread']
    """
    words = line.lstrip().split(" ")
    before, begun = [word for word in words[:-1] if word], words[-1]
    if not before or before[0] not in _MAGICS:
        return []
    return [word for word in _offered(before, begun, namespace) if word.startswith(begun)]


def _offered(before: list[str], begun: str, namespace: Namespace) -> list[str]:
    magic, *words = before
    if magic == "%backtest":
        return _arguments(backtest_parser(), words, begun, namespace)
    if magic == "%%strategy":
        return _arguments(strategy_parser(), words, begun, namespace)
    if not words:
        return list(ALL)
    if words[0] not in ALL:
        return []
    return _arguments(parser_of(words[0]), words[1:], begun, namespace)


def _arguments(parser: Parser, words: list[str], begun: str, namespace: Namespace) -> list[str]:
    """Return what may come after the words that a parser takes."""
    option = parser.option(words[-1]) if words else None
    if option is not None and option.nargs != 0:
        return _values(parser, option, words, begun, namespace)
    if begun.startswith("-"):
        return parser.option_words
    place = parser.place(words)
    if place is not None:
        return _values(parser, place, words, begun, namespace)
    return [word for word in parser.option_words if word.startswith("--") and word != "--help"]


def _values(
    parser: Parser, action: argparse.Action, words: list[str], begun: str, namespace: Namespace
) -> list[str]:
    """Return what an argument may be."""
    if action.choices is not None:
        return list(action.choices)
    if action.dest == "parameter":
        return _parameters(words, namespace)
    if parser.is_of_node and action.dest in _OF_NODE:
        return _OF_NODE[action.dest](_node(words, namespace), namespace)
    if action.dest == "strategy":
        return names_of_strategies(namespace)
    if action.dest == "instrument":
        return names_of(namespace, Instrument)
    if action.dest == "data":
        made_up = [parser.get_default("default_data")] if action.option_strings else []
        return [word for word in made_up if word] + names_of_tables(namespace) + _files(begun)
    if action.dest == "node" or (action.dest == "name" and parser.is_of_node):
        return names_of_nodes(namespace)
    if action.dest == "name" and parser.prog == "%%strategy":
        return names_of(namespace, Actor)
    return []


def _node(words: list[str], namespace: Namespace) -> TradingNode | None:
    """Return the node that the words name, or the one that is meant without a name."""
    known = names_of_nodes(namespace)
    named = [namespace[word] for word in words if word in known]
    return next(iter((*named, *reversed(nodes()))), None)


def _strategies(node: TradingNode | None, namespace: Namespace) -> list[str]:
    there = [] if node is None else node.strategies
    mine = [name for name in names_of(namespace, Actor) if namespace[name] in there]
    return [*mine, *(str(one.component_id) for one in there if one.component_id)]


def _accounts(node: TradingNode | None, _: Namespace) -> list[str]:
    return [] if node is None else [str(one) for one in node.real_accounts]


_OF_NODE: dict[str, Callable[[TradingNode | None, Namespace], list[str]]] = {
    "strategy": _strategies,
    "account": _accounts,
    "confirm": _accounts,
    "rules": lambda _, namespace: names_of(namespace, PromotionRules),
}


def _parameters(words: list[str], namespace: Namespace) -> list[str]:
    """Return the parameters of the strategy that the words name."""
    kinds = [namespace[word] for word in words if isinstance(namespace.get(word), type)]
    found = [kind for kind in kinds if issubclass(kind, Actor)]
    return [f"{name}=" for name in found[0].declared_parameters()] if found else []


def _files(begun: str) -> list[str]:
    """Return the data files and folders that a begun path, maybe behind a qualifier, may mean."""
    qualifier, equals, path = begun.rpartition("=")
    folder, _, _ = path.rpartition("/")
    try:
        entries = sorted(os.scandir(folder or "."), key=lambda entry: entry.name)
    except OSError:
        return []
    start = f"{qualifier}{equals}{folder}/" if folder else f"{qualifier}{equals}"
    folders = [f"{start}{one.name}/" for one in entries if one.is_dir() and one.name[0] != "."]
    return [f"{start}{one.name}" for one in entries if one.name.endswith(_FILES)] + folders

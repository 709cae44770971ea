"""The words of `%node`: what each does, and the one public call it stands for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, NamedTuple

from workbench.jupyter import arguments
from workbench.jupyter.arguments import Parser
from workbench.node import TradingNode
from workbench.node.waiting import is_loop_running


class Counters:
    """The channels and the lanes of a node, one table below the other.

    Attributes:
        channels: The five channels' counters, a DataFrame.
        lanes: The eight engine lanes' counters, a DataFrame.
    """

    def __init__(self, node: TradingNode) -> None:
        self.channels = node.channels()
        self.lanes = node.lanes()

    def __repr__(self) -> str:
        """Return both as text."""
        return f"{self.channels.to_string()}\n\n{self.lanes.to_string()}"

    def _repr_html_(self) -> str:
        return f"{self.channels.to_html()}{self.lanes.to_html()}"


class Word(NamedTuple):
    """One word.

    Attributes:
        does: What it does, for its help.
        python: The call it stands for.
        call: Makes it, with the node and the options; what it returns is shown.
        options: What adds options of its own.
        awaited: Makes it where the cell can await, if that is done otherwise; given the same.
    """

    does: str
    python: str
    call: Callable[[TradingNode, argparse.Namespace], Any]
    options: tuple[Callable[[Parser], None], ...] = ()
    awaited: Callable[[TradingNode, argparse.Namespace], Coroutine[Any, Any, Any]] | None = None


def _then(call: Callable[[TradingNode], object]) -> Callable[[TradingNode, Any], TradingNode]:
    """Return what makes a call and shows the node afterwards."""

    def step(node: TradingNode, _: argparse.Namespace) -> TradingNode:
        call(node)
        return node

    return step


def _run(node: TradingNode, given: argparse.Namespace) -> TradingNode:
    # Where no loop runs, as in a terminal, the node gets a thread and loop of its own.
    node.run(thread=given.thread or not is_loop_running())
    return node


async def _stop_awaited(node: TradingNode, _: argparse.Namespace) -> TradingNode:
    await node.stop_async()
    return node


def _journal(node: TradingNode, given: argparse.Namespace) -> Any:
    journal = node.journal()
    if given.newest is not None:
        return journal.newest(given.newest)
    return journal if given.part is None else getattr(journal, given.part)()


def _promotion(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "strategy": given.strategy,
        "account": given.account,
        "confirm": given.confirm,
        "dry_run": given.dry_run,
        "rules": given.rules,
        "position": given.position,
    }


NEW = "new"
RESET = "reset"
WORDS: dict[str, Word] = {
    "build": Word("makes engines and clients", "node.build()", _then(TradingNode.build)),
    "run": Word(
        "starts it on the kernel's loop, or on a thread of its own",
        "node.run(thread=False)",
        _run,
        (arguments.add_thread,),
    ),
    "status": Word("shows where it is", "node", lambda node, _: node),
    "watch": Word(
        "shows it live, on a dashboard",
        "node.dashboard(hz=5)",
        lambda node, given: node.dashboard(given.hz),
        (arguments.add_hz,),
    ),
    "orders": Word("shows all orders", "node.orders()", lambda node, _: node.orders()),
    "fills": Word("shows all fills", "node.fills()", lambda node, _: node.fills()),
    "positions": Word("shows all positions", "node.positions()", lambda node, _: node.positions()),
    "channels": Word(
        "shows the counters of channels and lanes",
        "node.channels(), node.lanes()",
        lambda node, _: Counters(node),
    ),
    "log": Word(
        "shows the newest lines of its log",
        "node.log(20)",
        lambda node, given: node.log(given.lines),
        (arguments.add_lines,),
    ),
    "journal": Word(
        "shows what is kept of this run and of those before it",
        "node.journal()",
        _journal,
        (arguments.add_journal_parts,),
    ),
    "shadow": Word(
        "shows how far the venue is from its simulation",
        "node.shadow()",
        lambda node, _: node.shadow(),
    ),
    "verify": Word(
        "feeds the run's record to fresh copies of its strategies, and compares",
        "await node.verify_async()",
        lambda node, given: node.verify(given.strategy, given.run),
        (arguments.add_strategy, arguments.add_run),
        awaited=lambda node, given: node.verify_async(given.strategy, given.run),
    ),
    "checklist": Word(
        "shows what must hold before a strategy trades a real account",
        "await node.checklist_async(strategy, account)",
        lambda node, given: node.checklist(given.strategy, given.account, rules=given.rules),
        (arguments.add_strategy, arguments.add_account, arguments.add_rules),
        awaited=lambda node, given: node.checklist_async(
            given.strategy, given.account, rules=given.rules
        ),
    ),
    "promote": Word(
        "lets a strategy trade a real account",
        "await node.promote_async(strategy, account, confirm=account)",
        lambda node, given: node.promote(**_promotion(given)),
        (
            arguments.add_strategy,
            arguments.add_account,
            arguments.add_promotion,
            arguments.add_rules,
        ),
        awaited=lambda node, given: node.promote_async(**_promotion(given)),
    ),
    "demote": Word(
        "lets a promoted strategy trade the simulated exchange again",
        "await node.demote_async(strategy)",
        lambda node, given: node.demote(given.strategy, position=given.position),
        (arguments.add_strategy, arguments.add_demotion),
        awaited=lambda node, given: node.demote_async(given.strategy, position=given.position),
    ),
    "halt": Word(
        "lets no new orders through",
        'node.set_trading_state("halted")',
        _then(lambda node: node.set_trading_state("halted")),
    ),
    "resume": Word(
        "lets orders through again",
        'node.set_trading_state("active")',
        _then(lambda node: node.set_trading_state("active")),
    ),
    "kill": Word(
        "halts it and cancels every open order", "node.kill()", lambda node, _: node.kill()
    ),
    "stop": Word(
        "stops it gracefully and waits",
        "await node.stop_async()",
        _then(TradingNode.stop),
        awaited=_stop_awaited,
    ),
    "dispose": Word("lets go of everything", "node.dispose()", _then(TradingNode.dispose)),
    RESET: Word(
        "stops and disposes of it, and makes an equal new one",
        "node = await node.reset_async()",
        lambda node, _: node.reset(),
        awaited=lambda node, _: node.reset_async(),
    ),
}
"""What can follow `%node` beside `new`."""

ALL = (NEW, *WORDS)

AWAITED = frozenset(word for word, known in WORDS.items() if known.awaited is not None)
"""The words that await where the cell can."""


@cache
def parser_of(word: str) -> Parser:
    """Return the parser of what follows a word."""
    if word == NEW:
        return arguments.new_parser()
    known = WORDS[word]
    return arguments.node_parser(word, known.python, known.does, *known.options)


def names_of(namespace: dict[str, Any], kind: type | tuple[type, ...]) -> list[str]:
    """Return the names by which a namespace's user knows objects of a kind."""
    found = list(namespace.items())
    return [name for name, value in found if isinstance(value, kind) and name[0] != "_"]


def names_of_nodes(namespace: dict[str, Any]) -> list[str]:
    """Return the names by which a namespace's user knows nodes."""
    return names_of(namespace, TradingNode)

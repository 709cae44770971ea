"""What follows a magic, split and parsed; what is wrong with it is a `ConfigError`."""

from __future__ import annotations

import argparse
import shlex
from typing import Any, NoReturn

from IPython.core.magic_arguments import MagicArgumentParser

from workbench.model.errors import ConfigError
from workbench.research import options

# IPython's own formatter writes for Sphinx; its stubs take no other.
_Formatter: Any = argparse.RawDescriptionHelpFormatter


class Parser(MagicArgumentParser):
    """Parses the words of one magic.

    Attributes:
        python: The Python it stands for.
        is_of_node: Whether its argument NAME is a node that there is.

    Args:
        prog: The magic and its word, such as `%node new`.
        python: The Python it stands for.
        description: What it does.
        example: How it is written.
    """

    def __init__(self, prog: str, python: str, description: str, example: str = "") -> None:
        text = f"{description} In Python:\n\n    " + python.replace("\n", "\n    ")
        super().__init__(
            prog=prog,
            description=text,
            epilog=f"Example: {example}" if example else None,
            formatter_class=_Formatter,
        )
        self.python = python
        self.is_of_node = False
        self.example = example or prog
        self.allow_abbrev = False  # a half-written word is completed, not guessed
        self.add_argument("--help", action="store_true", help="show this help")

    def error(self, message: str) -> NoReturn:
        """Refuse the words.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.prog}: {message}. Example: {self.example}")

    def parse(self, line: str) -> argparse.Namespace | None:
        """Return the arguments; None where `--help` was asked for, which is printed.

        Raises:
            ConfigError: If they cannot be used.
        """
        words = split(line, self.prog)
        if "--help" in words:
            print(self.format_help())
            return None
        try:
            return self.parse_args(words)
        except ConfigError as error:
            raise ConfigError(str(error)) from None  # without the parser's own lines

    @property
    def option_words(self) -> list[str]:
        """Return its options, the long ones first."""
        found = [word for action in self._actions for word in action.option_strings]
        return sorted(found, key=lambda word: (not word.startswith("--"), word))

    def place(self, words: list[str]) -> argparse.Action | None:
        """Return the argument without an option that comes after some words, None if there is none.

        The last of several that may be repeated goes on for ever.
        """
        places = [action for action in self._actions if not action.option_strings]
        taken = 0
        previous: argparse.Action | None = None
        for word in words:
            if previous is None and not word.startswith("-"):
                taken += 1
            option = self.option(word) if previous is None else None
            previous = option if option is not None and option.nargs != 0 else None
        if taken < len(places):
            return places[taken]
        return places[-1] if places and places[-1].nargs == "+" else None

    def option(self, word: str) -> argparse.Action | None:
        """Return what an option word stands for, None if there is no such option."""
        return self._option_string_actions.get(word)


def split(line: str, prog: str = "the magic") -> list[str]:
    """Return the words of a line, as a shell splits them.

    >>> split("new node -p name='a b'")
    ['new', 'node', '-p', 'name=a b']
    """
    try:
        return shlex.split(line)
    except ValueError as error:  # a quotation without an end
        raise ConfigError(f"{prog}: {error} in {line!r}") from None


def node_parser(word: str, python: str, does: str, *more: Any) -> Parser:
    """Return the parser of a `%node` word that is about one node.

    Args:
        word: The word.
        python: The Python it stands for.
        does: What it does.
        *more: Functions that add options to it.
    """
    parser = Parser(f"%node {word}", python, _sentence(does), f"%node {word}")
    parser.is_of_node = True
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="the node's variable; default: the latest node"
    )
    for add in more:
        add(parser)
    return parser


def new_parser() -> Parser:
    """Return the parser of `%node new`."""
    parser = Parser(
        "%node new",
        "node = wb.sandbox(strategy, data, instrument=instrument)",
        "Makes a node with simulated fills.",
        "%node new node --strategy EmaCross -p fast=5 --instrument BTC/USDT.SIM --rate 50",
    )
    parser.add_argument("name", metavar="NAME", help="the variable that the node is bound to")
    parser.add_argument(
        *("-s", "--strategy"),
        required=True,
        metavar="STRATEGY",
        help="a variable (an object or a class), or path/to/file.py:ClassName",
    )
    options.add_parameters(parser)
    _add_data(parser, default="synthetic", what="synthetic (the default), ")
    options.add_instrument(parser, required=False)
    options.add_market(parser)
    options.add_data_format(parser)
    options.add_venue(parser)
    parser.add_argument("--trader", metavar="NAME", help="the trader's id; default: TRADER-001")
    return parser


def backtest_parser() -> Parser:
    """Return the parser of `%backtest`."""
    parser = Parser(
        "%backtest",
        "result = wb.backtest(strategy, data, instrument=instrument)",
        "Runs a strategy over history and returns the result.",
        "%backtest EmaCross bars.csv -p fast=5 --instrument BTC/USDT.SIM --name result",
    )
    parser.add_argument(
        "strategy",
        metavar="STRATEGY",
        help="a variable (an object or a class), or path/to/file.py:ClassName",
    )
    parser.add_argument(
        "data",
        nargs="+",
        metavar="DATA",
        help="variables or files; bid=PATH and INSTRUMENT,bid=PATH say more",
    )
    options.add_parameters(parser)
    options.add_instrument(parser, required=False)
    options.add_data_format(parser)
    options.add_venue(parser)
    parser.add_argument("--name", metavar="NAME", help="the variable that the result is bound to")
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")
    return parser


def strategy_parser() -> Parser:
    """Return the parser of `%%strategy`."""
    parser = Parser(
        "%%strategy",
        "node.swap_strategy(strategy, NewClass)",
        "Runs a cell that defines one strategy class and keeps an object NAME of it. Run\n"
        "again, it lets the object, and its like in nodes, go on with the new code.",
        "%%strategy cross",
    )
    parser.add_argument("name", metavar="NAME", help="the variable that the object is bound to")
    parser.add_argument("--node", metavar="NODE", help="exchange the code in this node only")
    return parser


def _add_data(parser: Parser, *, default: str, what: str) -> None:
    parser.add_argument(
        "--data",
        action="append",
        metavar="DATA",
        help=f"{what}a variable, or a CSV or Parquet file; once for each",
    )
    parser.set_defaults(default_data=default)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def add_thread(parser: Parser) -> None:
    """Add `--thread`."""
    parser.add_argument(
        "--thread",
        action="store_true",
        help="on a thread and loop of its own, so that no cell holds it up",
    )


def add_hz(parser: Parser) -> None:
    """Add `--hz`."""
    parser.add_argument("--hz", type=float, default=5.0, help="frames a second; default: 5")


def add_lines(parser: Parser) -> None:
    """Add `-n`."""
    parser.add_argument(
        *("-n", "--lines"), type=int, default=20, metavar="N", help="how many; default: 20"
    )


def add_strategy(parser: Parser) -> None:
    """Add `--strategy`."""
    parser.add_argument(
        *("-s", "--strategy"),
        metavar="STRATEGY",
        help="a variable, the strategy's id or its class's name; default: the only one",
    )


def add_account(parser: Parser) -> None:
    """Add `--account`."""
    parser.add_argument(
        "--account", metavar="ACCOUNT", help="the real account's id; default: the only one"
    )


def add_rules(parser: Parser) -> None:
    """Add `--rules`."""
    parser.add_argument(
        "--rules", metavar="RULES", help="a variable that holds a wb.PromotionRules(...)"
    )


def add_promotion(parser: Parser) -> None:
    """Add what only a promotion takes."""
    parser.add_argument(
        "--confirm",
        metavar="ACCOUNT",
        default="",
        help="the account's id once more: this is real money",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be, and change nothing"
    )
    parser.add_argument(
        "--position",
        choices=("close", "open"),
        default="close",
        help="the simulated position: close it (the default), or open an equal one at the venue",
    )


def add_demotion(parser: Parser) -> None:
    """Add what only a demotion takes."""
    parser.add_argument(
        "--position",
        choices=("leave", "close"),
        default="leave",
        help="the position at the venue: leave it there (the default), or close it",
    )


def add_run(parser: Parser) -> None:
    """Add `--run`."""
    parser.add_argument(
        "--run", type=int, metavar="N", help="of the journal; -1 is the last; default: the present"
    )


def add_journal_parts(parser: Parser) -> None:
    """Add what of a journal is shown."""
    parts: Any = parser.add_mutually_exclusive_group()
    parts.add_argument(
        *("-n", "--newest"), type=int, metavar="N", help="the newest records, so many"
    )
    for word, method, what in (
        ("--runs", "runs", "its runs"),
        ("--orders", "order_events", "what became of every order"),
        ("--fills", "fills", "the fills"),
    ):
        parts.add_argument(word, dest="part", action="store_const", const=method, help=what)

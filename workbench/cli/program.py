"""The parser, the exit codes, and the subcommands that extensions add.

An extension registers a function under the entry-point group `workbench.commands`. It is called
with the action that `ArgumentParser.add_subparsers` returned, and adds parsers to it, each with a
handler:

    def add_commands(subparsers):
        parser = subparsers.add_parser("greet", help="say hello")
        parser.set_defaults(handler=lambda arguments: print("hello") or 0)
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
import traceback
from collections.abc import Sequence

from workbench.cli import backtest, demo, doctor, run
from workbench.cli.package import VERSION
from workbench.cli.subparsers import Subparsers
from workbench.model.errors import StrategyError, WorkbenchError

COMMANDS = "workbench.commands"
OK, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done. 1: a strategy, notebook or node failed, or something needed is missing. 2: the command
    or its input cannot be used. 130: interrupted.

    Args:
        argv: The arguments; by default those of the process.
    """
    arguments = build_parser().parse_args(argv, argparse.Namespace(debug=False))
    try:
        return arguments.handler(arguments)
    except StrategyError as error:
        traceback.print_exception(error)
        return FAILED
    except WorkbenchError as error:
        if arguments.debug:
            traceback.print_exception(error)
        print(f"workbench: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("workbench: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all subcommands, those of extensions too."""
    debug = argparse.ArgumentParser(add_help=False)
    debug.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="A trading node that lives inside the Jupyter kernel.",
        parents=[debug],
    )
    parser.set_defaults(handler=_without_handler)
    parser.add_argument("--version", action="version", version=f"workbench {VERSION}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (demo, backtest, run, doctor):
        command.add(subparsers, debug)
    _add_extensions(subparsers)
    return parser


def _add_extensions(subparsers: Subparsers) -> None:
    """Let each extension add its subcommands; one that cannot is named and left out.

    One whose own dependencies are not installed is no fault: its command says what it needs.
    """
    for entry_point in importlib.metadata.entry_points(group=COMMANDS):
        try:
            entry_point.load()(subparsers)
        except Exception as error:
            package = entry_point.value.partition(".")[0]
            if isinstance(error, ModuleNotFoundError) and (error.name or package) != package:
                _add_uninstalled(subparsers, entry_point.name, str(error.name))
                continue
            print(
                f"workbench: left out the commands of {entry_point.name!r} ({entry_point.value}):"
                f" {type(error).__name__}: {error}",
                file=sys.stderr,
            )


def _add_uninstalled(subparsers: Subparsers, command: str, module: str) -> None:
    needs = f"needs the Python package {module}, which is not installed"

    def refuse(_: argparse.Namespace) -> int:
        print(f"workbench: {command} {needs}", file=sys.stderr)
        return FAILED

    # No character begins an option, so that it takes whatever follows.
    parser = subparsers.add_parser(command, help=needs, add_help=False, prefix_chars="\0")
    parser.add_argument("words", nargs="*")
    parser.set_defaults(handler=refuse)


def _without_handler(_: argparse.Namespace) -> int:
    print(
        "workbench: this command does nothing: its extension must call"
        " parser.set_defaults(handler=...)",
        file=sys.stderr,
    )
    return REFUSED

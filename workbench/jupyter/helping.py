"""`%node stop?` shows what the word does: IPython would look for a variable of that name."""

from __future__ import annotations

import re

_QUESTION = re.compile(r"^(\s*%node\s+\w+)\s*\?{1,2}\s*$")


def ask_for_help(lines: list[str]) -> list[str]:
    r"""Return a cell's lines with `--help` in the place of the question mark behind a word.

    >>> ask_for_help(["%node stop?\n", "%node?\n"])
    ['%node stop --help\n', '%node?\n']
    """
    return [_QUESTION.sub(r"\1 --help\n", line) for line in lines]

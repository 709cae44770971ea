"""`%node stop` awaits: an input transformer adds `await` where the shell can take it.

So do the other words that have something to wait for. At the top level of a cell, also in loops and
assignments, `%node stop` becomes an awaited call, so that the node's tasks go on while the cell
waits. Inside a function, or within another magic such as `%%time`, `await` would be a syntax error:
there the magic waits by a nested run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from workbench.jupyter.words import AWAITED as WORDS

AWAITED = "--await"
_NO_AWAIT = (
    ast.FunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


class AwaitNodeStop:
    """The transformer of one shell.

    Args:
        shell: The running IPython shell; its `autoawait` decides whether to transform at all.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._is_running = False

    def begin(self, *_: Any) -> None:
        """Note that a cell runs: what is transformed meanwhile is inside another magic."""
        self._is_running = True

    def end(self, *_: Any) -> None:
        """Note that the cell has ended."""
        self._is_running = False

    def transform(self, lines: list[str]) -> list[str]:
        """Return the lines with `await` before each `%node stop` or its like that can take it."""
        if self._is_running or not getattr(self._shell, "autoawait", False):
            return lines
        return add_await(lines)


def add_await(lines: list[str]) -> list[str]:
    r"""Return transformed lines with `await` added; lines that do not parse are left alone.

    >>> add_await(["get_ipython().run_line_magic('node', 'stop')\n"])
    ["(await get_ipython().run_line_magic('node', 'stop --await'))\n"]
    """
    text = "".join(lines)
    if "run_line_magic" not in text or not any(word in text for word in WORDS):
        return lines
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # ValueError: characters that no source may have
        return lines
    # Bytes, as columns count them, and because only theirs are the parser's ends of lines.
    encoded = text.encode().splitlines(keepends=True)
    stops = list(_stops(tree, is_awaited=False, can_await=True))
    for call, is_awaited in sorted(stops, key=lambda found: _position(found[0]), reverse=True):
        _add_to(encoded, call, is_awaited)
    return [line.decode() for line in encoded]


def _position(call: ast.Call) -> tuple[int, int]:
    return call.lineno, call.col_offset


def _add_to(encoded: list[bytes], call: ast.Call, is_awaited: bool) -> None:
    """Write one call anew, in place. IPython writes them on one line; others stay."""
    row, words = call.lineno - 1, call.args[1]
    if call.end_lineno != call.lineno or call.end_col_offset is None:
        return
    line = encoded[row]
    before, inside = line[: call.col_offset], line[call.col_offset : words.col_offset]
    after = line[call.end_col_offset :]
    new = inside + repr(f"{ast.literal_eval(words)} {AWAITED}").encode() + b")"
    encoded[row] = before + (new if is_awaited else b"(await " + new + b")") + after


def _stops(tree: ast.AST, *, is_awaited: bool, can_await: bool) -> Iterator[tuple[ast.Call, bool]]:
    """Yield the calls that can be awaited, and whether they are already."""
    if isinstance(tree, ast.Call) and can_await and _is_node_stop(tree):
        yield tree, is_awaited
        return
    if isinstance(tree, _NO_AWAIT):
        can_await = False
    elif isinstance(tree, ast.AsyncFunctionDef):
        can_await = True
    for child in ast.iter_child_nodes(tree):
        yield from _stops(child, is_awaited=isinstance(tree, ast.Await), can_await=can_await)


def _is_node_stop(call: ast.Call) -> bool:
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "run_line_magic"):
        return False
    if len(call.args) != 2 or call.keywords:
        return False
    name, line = (a.value if isinstance(a, ast.Constant) else None for a in call.args)
    words = line.split() if isinstance(line, str) else []
    return name == "node" and bool(words) and words[0] in WORDS and AWAITED not in words

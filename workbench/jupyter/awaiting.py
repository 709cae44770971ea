"""`%node stop` awaits: an input transformer that adds `await` where the shell can take it.

At the top level of a cell, also in loops and assignments, `%node stop` becomes an awaited call, so
that the node's tasks go on while the cell waits. Inside a function, or within another magic such as
`%%time`, `await` would be a syntax error: there the magic waits by a nested run.
"""

from __future__ import annotations

import ast
from typing import Any

AWAITED = "--await"
_NO_AWAIT = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
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
        """Return the cell's lines with `await` before each `%node stop` that can take it."""
        if self._is_running or not getattr(self._shell, "autoawait", False):
            return lines
        return add_await(lines)


def add_await(lines: list[str]) -> list[str]:
    """Return transformed lines with `await` added; lines that do not parse are left alone.

    >>> add_await(["get_ipython().run_line_magic('node', 'stop')\\n"])
    ["(await get_ipython().run_line_magic('node', 'stop --await'))\\n"]
    """
    text = "".join(lines)
    if "'node'" not in text or "stop" not in text:
        return lines
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return lines
    encoded = [line.encode() for line in text.splitlines(keepends=True)]
    for call in sorted(_stops(tree), key=lambda c: (c.lineno, c.col_offset), reverse=True):
        row = call.lineno - 1
        if call.end_lineno != call.lineno or call.end_col_offset is None:
            continue
        argument = call.args[1]
        line = encoded[row]
        before, inside = line[: call.col_offset], line[call.col_offset : argument.col_offset]
        after = line[call.end_col_offset :]
        words = repr(f"{ast.literal_eval(argument)} {AWAITED}").encode()
        encoded[row] = before + b"(await " + inside + words + b"))" + after
    return b"".join(encoded).decode().splitlines(keepends=True)


def _stops(tree: ast.AST) -> list[ast.Call]:
    """Return the calls of `%node stop` that stand where `await` is allowed."""
    found: list[ast.Call] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _NO_AWAIT):
            continue
        if isinstance(node, ast.Call) and _is_node_stop(node):
            found.append(node)
        else:
            found.extend(_stops(node))
    return found


def _is_node_stop(call: ast.Call) -> bool:
    if not (isinstance(call.func, ast.Attribute) and call.func.attr == "run_line_magic"):
        return False
    if len(call.args) != 2 or not all(isinstance(a, ast.Constant) for a in call.args):
        return False
    name, line = (ast.literal_eval(a) for a in call.args)
    words = line.split() if isinstance(line, str) else []
    return name == "node" and words[:1] == ["stop"] and AWAITED not in words

"""Completion after `%node`: its words, then the names of nodes, and nothing else."""

from __future__ import annotations

from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from workbench.jupyter.magics import WORDS, names_of_nodes


def node_matcher(shell: Any) -> Any:
    """Return what completes `%node` in a shell, in place of all other completion."""

    def complete(context: CompletionContext) -> Any:
        line = context.line_with_cursor
        found = candidates(line, names_of_nodes(shell.user_ns))
        shown = [SimpleCompletion(word, type="keyword") for word in found]
        return {"completions": shown, "ordered": True, "suppress": bool(shown)}

    # Its stubs take only functions that are matchers already.
    decorate: Any = context_matcher(identifier="workbench.node", priority=1000)
    return decorate(complete)


def candidates(line: str, names: list[str]) -> list[str]:
    """Return what may stand at the end of a line.

    >>> candidates("%node st", ["node"])
    ['status', 'stop']
    >>> candidates("%node stop ", ["left", "right"])
    ['left', 'right']
    """
    words = line.lstrip().split(" ")
    before, begun = [word for word in words[:-1] if word], words[-1]
    if not before or before[0] != "%node" or len(before) > 2:
        return []
    offered = list(WORDS) if len(before) == 1 else names
    return [word for word in offered if word.startswith(begun)]

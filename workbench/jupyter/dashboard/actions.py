"""What the buttons do: each is one public method of the node, called on the thread it needs."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from typing import Any

from workbench.jupyter.dashboard.heads import ACTIONS
from workbench.model.errors import WorkbenchError
from workbench.node import TradingNode

Answer = Callable[[str, str], None]
"""Takes what came of it: a text, empty where the frames tell it, and its tone."""

_LABELS: Mapping[str, str] = {action: label for action, label, _ in ACTIONS}


class Actions:
    """The buttons of one node's dashboard.

    KILL and stop need no loop: they are done at once, on whichever thread the message came. The
    others belong to the kernel's main thread: they are done there as soon as its loop has a turn,
    which is after a busy cell.

    Args:
        node: What they act on.
        loop: The kernel's loop, on its main thread.
    """

    def __init__(self, node: TradingNode, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # What a strategy prints appears below the cell that shows the dashboard.
        self._context = contextvars.copy_context()
        self._at_once: dict[str, Callable[[], Any]] = {
            "kill": lambda: node.kill(),
            "stop": node.request_stop,
        }
        self._on_loop: dict[str, Callable[[], Any]] = {
            "build": node.build,
            "run": node.run,
            "dispose": node.dispose,
            "resume": lambda: node.set_trading_state("active"),
        }

    def press(self, action: str, answer: Answer) -> None:
        """Do what a button says; `answer` is told once, from the thread that did it."""
        if action in self._at_once:
            _perform(action, self._at_once[action], answer)
        elif action in self._on_loop:
            task = (_perform, action, self._on_loop[action], answer)
            try:
                self._loop.call_soon_threadsafe(*task, context=self._context.copy())
            except RuntimeError as error:  # the loop is closed: the kernel is ending
                answer(f"{_LABELS[action]}: {error}", "bad")
        else:
            answer(f"there is no button {action!r}; there are {', '.join(_LABELS)}", "bad")


def _perform(action: str, function: Callable[[], Any], answer: Answer) -> None:
    try:
        function()
    except Exception as error:  # nobody else would see it
        kind = "" if isinstance(error, WorkbenchError) else f"{type(error).__name__}: "
        answer("\n".join([f"{_LABELS[action]}: {kind}{error}", *_notes(error)]), "bad")
    else:
        answer("", "good")


def _notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", ()))

"""How a notebook shows our errors: the user's own lines and the sentence, not our insides."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

_PACKAGE = str(Path(__file__).parent.parent)


def render(error: BaseException, *, with_cause: bool) -> list[str]:
    """Return an error as lines for IPython's `_render_traceback_`.

    Args:
        error: What was raised.
        with_cause: Whether to show the exception that caused it, whole.
    """
    lines: list[str] = []
    cause = error.__cause__
    if with_cause and cause is not None:
        lines += _own_lines(cause.__traceback__)
        lines += traceback.format_exception_only(cause)
        lines.append("\nwhich is why:\n")
    else:
        lines += _own_lines(error.__traceback__)
    lines += traceback.format_exception_only(error)
    return "".join(lines).splitlines()


def _own_lines(trace: TracebackType | None) -> list[str]:
    frames = [f for f in traceback.extract_tb(trace) if not f.filename.startswith(_PACKAGE)]
    # IPython's own frames come first and say nothing about the cell.
    frames = [f for f in frames if "IPython/core" not in f.filename.replace("\\", "/")]
    if not frames:
        return []
    return ["Traceback (most recent call last):\n", *traceback.format_list(frames)]

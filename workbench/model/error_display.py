"""How a notebook shows our errors: the user's own lines and the sentence, not our insides."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path

_PACKAGE = str(Path(__file__).parent.parent) + os.sep
# Whatever drives cells and loops says nothing about what went wrong.
_MACHINERY = tuple(
    f"{os.sep}{name}{os.sep}" for name in ("IPython", "ipykernel", "asyncio", "nest_asyncio2")
)
_LIBRARIES = (
    str(Path(traceback.__file__).parent) + os.sep,
    *(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages")),
    "<frozen ",
)
_ERRORS = "workbench.model.errors."

file_namers: list[Callable[[str], str]] = []
"""Each may turn a file's name into what its user knows it by, such as a notebook's cell."""


def render(error: BaseException, *, with_cause: bool) -> list[str]:
    """Return an error as lines for IPython's `_render_traceback_`.

    Args:
        error: What was raised.
        with_cause: Whether to show the exceptions that caused it in any case, else only where
            they came from the user's code.
    """
    shown = traceback.TracebackException.from_exception(error, compact=True)
    cause = shown.__cause__
    if not with_cause and not (cause is not None and any(map(_is_users, cause.stack))):
        shown.__cause__ = shown.__context__ = None
    _keep_own(shown)
    lines = "".join(shown.format()).splitlines()
    return [line.removeprefix(_ERRORS) for line in lines]


def report(error: BaseException) -> str:
    """Return an error as text: ours as a notebook shows them, any other one whole."""
    lines: Callable[[], list[str]] | None = getattr(error, "_render_traceback_", None)
    return "".join(traceback.format_exception(error)) if lines is None else "\n".join(lines())


def _keep_own(shown: traceback.TracebackException) -> None:
    """Leave the user's own frames, here and in what is shown with it."""
    frames = [f for f in shown.stack if _is_own(f.filename)]
    for frame in frames:
        for name in file_namers:
            frame.filename = name(frame.filename)
    # None leaves out the headline too.
    shown.stack = traceback.StackSummary.from_list(frames) if frames else None  # pyright: ignore
    for another in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        if another is not None:
            _keep_own(another)


def _is_users(frame: traceback.FrameSummary) -> bool:
    """Return whether a frame is in neither our code nor a library's."""
    return _is_own(frame.filename) and not any(part in frame.filename for part in _LIBRARIES)


def _is_own(filename: str) -> bool:
    if filename.startswith(_PACKAGE):
        return False
    return not any(part in filename for part in _MACHINERY) and "nest_asyncio2.py" not in filename

"""Where a thread handles messages, so that another one can break off what does not return there.

Breaking off raises an exception in the middle of somebody's code. It must strike a callback, never
our own code around it, which would be left half done, and never a notebook's cell that merely
shares the thread. So it is sent only where the thread's innermost frame is a user's, beneath our
handling: while one thread runs Python code every other one stands still, and takes an exception it
was sent at the very place where it stands. What is still on its way when the handling ends, because
C code held it up, is taken back.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from workbench.model.errors import BrokenOffError

_OURS = str(Path(__file__).parent.parent) + os.sep
_DISPATCH = str(Path(__file__).with_name("dispatch.py"))
_STANDARD = str(Path(os.__file__).parent) + os.sep
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def _nothing() -> None:
    return None


class Handling:
    """Marks, as a context manager, where a thread handles messages.

    Attributes:
        on_enter: Called before messages are handled; what has come since `on_exit` is from outside.
        on_exit: Called after messages were handled.
    """

    def __init__(self) -> None:
        self.on_enter: Callable[[], None] = _nothing
        self.on_exit: Callable[[], None] = _nothing
        self._is_inside = False
        self._thread = 0
        self._is_armed = False
        self._lock = threading.Lock()

    @property
    def is_inside(self) -> bool:
        """Return whether messages are being handled."""
        return self._is_inside

    def __enter__(self) -> None:
        """Begin to handle."""
        self.on_enter()
        self._thread = threading.get_ident()
        self._is_inside = True

    def __exit__(self, *_: object) -> None:
        """End; what was sent and has not arrived is taken back."""
        self._is_inside = False
        if self._is_armed:
            with self._lock:
                self._is_armed = False
                _send(self._thread, None)
        self.on_exit()

    def callback(self) -> str:
        """Return which callback runs and in which line; empty if none does."""
        frame = self._innermost()
        found = None if frame is None else _callback_of(frame)
        return "" if found is None else f"{found.f_code.co_qualname} (line {found.f_lineno})"

    def break_off(self) -> bool:
        """Raise `BrokenOffError` in the callback that runs; called from another thread.

        Returns:
            Whether it was sent. Where our own code runs at this moment it is not: try again.
        """
        with self._lock:
            # From here to the end nothing may wait: the other thread stands still meanwhile.
            frame = self._innermost()
            if frame is None or _is_ours(frame) or _callback_of(frame) is None:
                return False
            self._is_armed = True
            place = frame.f_lasti
            _send(self._thread, BrokenOffError)
            now = self._innermost()
            if now is not None and now is frame and now.f_lasti == place:
                return True
            # The other thread went on in between: it may be anywhere by now.
            _send(self._thread, None)
            return False

    def _innermost(self) -> FrameType | None:
        if not self._is_inside:
            return None
        return sys._current_frames().get(self._thread)  # pyright: ignore[reportPrivateUsage]


def came_too_late(error: BrokenOffError) -> bool:
    """Return whether a break-off has struck our own code: what it was for had just returned."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or _is_ours(trace.tb_frame)


def _send(thread: int, error: type[BaseException] | None) -> None:
    sent = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), sent)


def _callback_of(frame: FrameType) -> FrameType | None:
    """Return the frame of the user's code that our code has called; None if there is none."""
    found: FrameType | None = None
    step: FrameType | None = frame
    while step is not None and step.f_code.co_filename != _DISPATCH:
        if not _is_ours(step):
            found = step if _is_users(step) else found
        elif found is not None:
            return found
        step = step.f_back
    # What nobody of ours has called is the host.
    return None if step is None else found


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_OURS)


def _is_users(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    if name.startswith((_OURS, "<frozen ")):
        return False
    return not name.startswith(_STANDARD) or any(part in name for part in _PACKAGES)

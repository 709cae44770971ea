"""SIGINT and SIGTERM stop a standalone node; an embedded one installs no handler."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stopping_on_signals(request_stop: Callable[[str], None]) -> Generator[None]:
    """Let the first SIGINT or SIGTERM ask for a graceful stop; a second one acts as it did before.

    So a second Ctrl-C interrupts what hangs. A signal that was ignored stays ignored. Elsewhere
    than on the main thread this does nothing: Python allows handlers only there.

    Args:
        request_stop: Takes the signal's name; it runs inside the handler and must take no lock.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def stop(number: int, _: FrameType | None) -> None:
        signal.signal(number, before[number])
        request_stop(signal.Signals(number).name)

    for number in (signal.SIGINT, signal.SIGTERM):
        present = signal.getsignal(number)
        if present is not signal.SIG_IGN:
            # None: something other than Python installed it, and Python cannot put it back.
            before[number] = signal.SIG_DFL if present is None else present
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

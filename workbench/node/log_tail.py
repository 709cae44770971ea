"""The tail of the log, as far as it is about one node or the process as a whole."""

from __future__ import annotations

import logging
from collections import deque
from contextvars import ContextVar

from workbench.model.error_display import report
from workbench.node.snapshots import LogLine

LINES = 200
_LOGGER = "workbench"

running_node: ContextVar[int] = ContextVar("workbench_running_node", default=0)
"""The serial of the node whose task runs; 0 in a cell, or on a thread that is no node's."""


class LogTail(logging.Handler):
    """Keeps the latest lines of the logger `workbench`.

    Those are a node's whose tasks logged them; what no node's task logs (a cell, the kernel) is
    kept for every node. Levels stay as they are: by default warnings and worse come here, and
    `logging.getLogger("workbench").setLevel("INFO")` lets more through.

    Args:
        serial: Which node it is for.
        limit: How many lines are kept.

    Attributes:
        count: How many lines there were.
    """

    def __init__(self, serial: int, limit: int = LINES) -> None:
        super().__init__()
        self.count = 0
        self._serial = serial
        self._lines: deque[LogLine] = deque(maxlen=limit)
        self._kept: tuple[LogLine, ...] = ()
        self._kept_at = 0

    def attach(self) -> None:
        """Begin to keep lines; twice does nothing."""
        logging.getLogger(_LOGGER).addHandler(self)

    def detach(self) -> None:
        """Keep no more lines; those that are there stay."""
        logging.getLogger(_LOGGER).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, if it is this node's or nobody's."""
        try:
            if running_node.get() in (0, self._serial):
                self._lines.append(_line(record))
                self.count += 1
            self._keep_last_resort(record)
        except Exception:
            self.handleError(record)

    def _keep_last_resort(self, record: logging.LogRecord) -> None:
        # Where nobody has set up logging, Python prints warnings as a last resort. It would not,
        # as there is a handler now: this one.
        last = logging.lastResort
        if last is None or record.levelno < last.level:
            return
        logger: logging.Logger | None = logging.getLogger(record.name)
        first: LogTail | None = None
        while logger is not None:
            for handler in logger.handlers:
                if not isinstance(handler, LogTail):
                    return
                first = first or handler
            logger = logger.parent if logger.propagate else None
        if first is self:
            last.handle(record)

    def lines(self) -> tuple[LogLine, ...]:
        """Return the lines, oldest first; from any thread."""
        self.acquire()
        try:
            if self._kept_at != self.count:
                self._kept, self._kept_at = tuple(self._lines), self.count
            return self._kept
        finally:
            self.release()


def _line(record: logging.LogRecord) -> LogLine:
    text = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text = f"{text}\n{report(error).rstrip()}"
    return LogLine(
        ts=int(record.created * 1e9), level=record.levelname, logger=record.name, text=text
    )

"""A node's dashboard: a thread that makes frames, and a widget that carries them."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from workbench.jupyter.dashboard import charts, still
from workbench.jupyter.dashboard.actions import Actions
from workbench.jupyter.dashboard.frames import MOST_LOG_LINES, MOST_POINTS, FrameMaker
from workbench.jupyter.dashboard.heads import ACTIONS, TABS
from workbench.jupyter.dashboard.tables import COLUMNS, EMPTY
from workbench.jupyter.dashboard.widget import DashboardWidget
from workbench.node import TradingNode
from workbench.runtime.lifecycle import NodeState
from workbench.runtime.switching import quick_switching

_log = logging.getLogger(__name__)

_UNSEEN_S = 1.0  # between two frames while nobody looks: they only go into the window
_BEAT_S = 1.0  # at least so often a view hears something: it takes silence for a lost kernel
_SILENT_S = 60.0  # a view that says nothing for so long is gone: it speaks each 15 s
_FRESH_S = 0.01  # for the node's loop to take the snapshot that was asked for
_END_S = 5.0


class Dashboard:
    """Shows a node live wherever it is displayed, until it is closed or the node disposed of.

    Frames are made on a thread of its own, so that they go on while a cell keeps the kernel's
    loop; they read the node's snapshots and never wait for the node. While no view of it can be
    seen none are sent. After the node was disposed of the last state stays to be looked at.

    `node.dashboard()` makes it.

    Args:
        node: The node to show.
        hz: Frames a second.
        loop: The kernel's loop.
        on_close: Called once when it is closed.
    """

    def __init__(
        self,
        node: TradingNode,
        hz: float,
        loop: asyncio.AbstractEventLoop,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self.hz = hz
        self._node = node
        self._on_close = on_close
        self._frames = FrameMaker()
        self._actions = Actions(node, loop)
        self._loop = loop
        # Each with when it was heard last. A page that crashed or lost its line says no bye, and
        # what is sent to it piles up in the server.
        self._views: dict[str, float] = {}
        self._is_clearing = False
        self._has_newcomer = False
        self._number = 0
        self._sent_at = 0.0
        self._failure = ""
        self._is_closed = False
        self._is_over = False
        # Guards what views say, and the frames with their numbers: a view that says hello after
        # the thread's end is answered by the thread that its message came on.
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._widget = DashboardWidget()
        self._widget.on_msg(self._on_message)
        self._charting: threading.Thread | None = None
        # In a copy of this context: ipykernel 7.0 looks up there which message it answers.
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._run,),
            name=f"workbench dashboard {node.config.trader_id}",
            daemon=True,
        )
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        """Return whether it is closed."""
        return self._is_closed

    def close(self) -> None:
        """End it everywhere it is shown; no comm, thread or callback is left. The node goes on."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._views.clear()
            self._widget.send({"kind": "closed"})
        self._wake.set()
        for thread in (self._thread, self._charting):
            if thread is not None and thread is not threading.current_thread():
                thread.join(_END_S)
        self._widget.on_msg(self._on_message, remove=True)
        self._widget.close()
        self._on_close()

    # Frames

    def _run(self) -> None:
        due = time.monotonic()
        while not self._is_closed and not self._is_over:
            self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            due = time.monotonic() + (1 / self.hz if self._views else _UNSEEN_S)
            try:
                self._tick()
            except Exception as error:
                self._note_failure(error)
            else:
                self._failure = ""

    def _tick(self) -> None:
        """Take a snapshot, and send what it changes to whoever looks."""
        node = self._node
        # Before anything is read: the last frame is of the node as it stayed.
        is_last = node.state is NodeState.DISPOSED
        self._clear_views()
        node.request_snapshot()
        self._wait_for_snapshot()
        snapshot = node.snapshot()
        with self._lock:
            if self._is_closed:
                return
            changes = self._frames.add(snapshot, time.monotonic_ns())
            self._is_over = is_last
            if self._has_newcomer:
                self._send_whole()
            elif self._views and (changes or is_last or self._is_beat_due):
                self._send(changes | {"is_last": True} if is_last else changes, is_whole=False)

    @property
    def _is_beat_due(self) -> bool:
        return time.monotonic() - self._sent_at >= _BEAT_S

    def _wait_for_snapshot(self) -> None:
        time.sleep(_FRESH_S)

    def _send_whole(self) -> None:
        self._has_newcomer = False
        self._send(self._frames.whole() | _described() | {"is_last": self._is_over}, is_whole=True)

    def _send(self, frame: dict[str, Any], *, is_whole: bool) -> None:
        self._number += 1
        self._sent_at = time.monotonic()
        about = {"kind": "frame", "number": self._number, "whole": is_whole}
        self._widget.send(about, [msgspec.json.encode(frame)])

    def _note_failure(self, error: Exception) -> None:
        """Tell of an error of the dashboard's own: once in the log, and in every view."""
        text = f"{type(error).__name__}: {error}"
        if text != self._failure:
            self._failure = text
            _log.error("the dashboard of %s failed", self._node.config.trader_id, exc_info=error)
        if not self._is_closed:
            self._widget.send({"kind": "failed", "text": f"The dashboard itself failed: {text}"})

    # What views say

    def _clear_views(self) -> None:
        """Have silent views forgotten once the kernel's loop has a turn.

        While a cell keeps it, a kernel without subshells hears none of them.
        """
        if self._is_clearing or not self._silent_views():
            return
        self._is_clearing = True
        with suppress(RuntimeError):  # the loop is closed: the kernel is ending
            self._loop.call_soon_threadsafe(self._forget_silent)

    def _silent_views(self) -> list[str]:
        now = time.monotonic()
        return [view for view, heard in list(self._views.items()) if now - heard > _SILENT_S]

    def _forget_silent(self) -> None:
        with self._lock:
            for view in self._silent_views():
                self._views.pop(view, None)
            self._is_clearing = False

    def _on_message(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Take a view's message; on ipykernel 7.4 this is called on a subshell's thread."""
        kind, view = content.get("kind"), str(content.get("view"))
        with self._lock:
            if view in self._views:
                self._views[view] = time.monotonic()
        if kind == "hello" or (kind == "here" and view not in self._views):
            self._on_hello(view)
        elif kind == "bye":
            with self._lock:
                self._views.pop(view, None)
        elif kind == "press":
            self._on_press(view, content)
        elif kind == "charts":
            self._on_charts(bool(content.get("script")))
        elif kind == "close":
            self.close()

    def _on_hello(self, view: str) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._views[view] = time.monotonic()
            self._has_newcomer = True
            if self._is_over:
                self._send_whole()
        self._wake.set()

    def _on_charts(self, with_script: bool) -> None:
        """Send what charts are made from, on a thread: to import Bokeh takes a second."""
        with self._lock:
            if not self._is_closed:
                self._charting = threading.Thread(
                    target=contextvars.copy_context().run,
                    args=(self._send_charts, with_script),
                    name="workbench dashboard charts",
                    daemon=True,
                )
                self._charting.start()

    def _send_charts(self, with_script: bool) -> None:
        try:
            # The import computes for a second or two: the node's loop must get its turns.
            with quick_switching():
                described = msgspec.json.encode(charts.described())
            about = {"kind": "charts", "has_script": with_script}
            buffers = [described, charts.script()] if with_script else [described]
            with self._lock:
                if not self._is_closed:
                    self._widget.send(about, buffers)
        except Exception as error:
            self._note_failure(error)

    def _on_press(self, view: str, content: dict[str, Any]) -> None:
        def answer(text: str, tone: str) -> None:
            reply = {"kind": "reply", "view": view, "number": content.get("number")}
            with self._lock:
                if not self._is_closed:
                    self._widget.send(reply | {"text": text, "tone": tone})
            self._wake.set()

        self._actions.press(str(content.get("action")), answer)

    # Looks

    def __repr__(self) -> str:
        """Return what it shows."""
        shown = "closed" if self._is_closed else f"{self.hz:g} Hz"
        return f"Dashboard({self._node.config.trader_id}, {self._node.state.value}, {shown})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return the widget, and a still picture for what shows no widgets."""
        snapshot = self._node.snapshot()
        bundle: dict[str, Any] = {
            "text/plain": f"{self!r}\n{still.to_text(snapshot)}",
            "text/html": still.to_html(snapshot),
        }
        if not self._is_closed:
            about = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
            bundle["application/vnd.jupyter.widget-view+json"] = about
        return bundle


class StillDashboard:
    """A node's dashboard where no widget can be shown, as in a terminal: as it is at each look.

    Args:
        node: The node to show.
    """

    def __init__(self, node: TradingNode) -> None:
        self._node = node

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def __repr__(self) -> str:
        """Return the node's snapshot as text."""
        self._node.request_snapshot()
        time.sleep(_FRESH_S)
        return still.to_text(self._node.snapshot())


def _described() -> dict[str, Any]:
    """Return what does not change: what the view is built from."""
    return {
        "states": [state.value for state in NodeState],
        "actions": ACTIONS,
        "tabs": TABS,
        "tables": {name: {"columns": COLUMNS[name], "empty": EMPTY[name]} for name in COLUMNS},
        "no_stalls": "None so far.",
        "most": {"points": MOST_POINTS, "log_lines": MOST_LOG_LINES},
    }

"""A front end for tests: it speaks the widget protocol to a real kernel, as JupyterLab does."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Callable
from typing import Any

from tests.notebooks.kernels import Kernel
from tests.waiting import GUARD_S


class FrontEnd(Kernel):
    """A kernel with a front end that shows one dashboard.

    Attributes:
        seen: What the kernel published, in order: `("frame", whole, frame)`, `("reply", reply)`,
            `("text", printed)`, `("closed",)`, `("comm_close", comm_id)` and so on.
        view: Which view says what is said.
        subshell: Where its messages are handled; None for the main shell.
    """

    def __init__(self, *setup: str) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.comms: list[str] = []
        self.view = "first"
        self.subshell: str | None = None
        self._numbers: list[int] = []
        super().__init__(*setup)

    def _take(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "comm_open":
            if "DashboardView" in content["data"].get("state", {}).get("_esm", ""):
                self.comms.append(content["comm_id"])
        elif kind == "comm_close":
            self.seen.append(("comm_close", content["comm_id"]))
        elif kind == "comm_msg" and content["comm_id"] in self.comms:
            self._take_custom(content["data"].get("content", {}), message.get("buffers", []))
        elif kind == "stream":
            self.seen.append(("text", content["text"]))
        super()._take(message)

    def _take_custom(self, content: dict[str, Any], buffers: list[Any]) -> None:
        kind = content.get("kind")
        if kind == "frame":
            self._numbers.append(content["number"])
            frame = json.loads(bytes(buffers[0]))
            self.seen.append(("frame", content["whole"], frame))
        elif kind == "charts":
            self.seen.append(("charts", *(bytes(one) for one in buffers)))
        elif kind is not None:
            self.seen.append((kind, content))

    # Saying

    def say(self, kind: str, **more: Any) -> None:
        """Send a message of the view to the dashboard that was opened last."""
        content = {"kind": kind, "view": self.view} | more
        self._send(self.comms[-1], {"method": "custom", "content": content})

    def _send(self, comm_id: str, data: dict[str, Any]) -> None:
        session = self.client.session
        message = session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        if self.subshell is not None:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

    def press(self, action: str, number: int = 1) -> dict[str, Any]:
        """Press a button, and return the reply."""
        self.say("press", action=action, number=number)
        return self.wait_for(lambda one: one[0] == "reply" and one[1]["number"] == number)[1]

    def make_subshell(self) -> bool:
        """Ask for a subshell, as JupyterLab does for widgets; return whether there is one."""
        info = self.client.kernel_info(reply=True, timeout=GUARD_S)["content"]
        if "kernel subshells" not in info.get("supported_features", ()):
            return False
        message = self.client.session.msg("create_subshell_request", {})
        self.client.control_channel.send(message)
        while True:
            reply = self.client.get_control_msg(timeout=GUARD_S)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                self.subshell = reply["content"].get("subshell_id")
                return self.subshell is not None

    # Waiting

    def wait_for(self, is_it: Callable[[tuple[Any, ...]], bool], after: int = 0) -> tuple[Any, ...]:
        """Read until something that was seen, not before the place `after`, is it."""
        at = after
        deadline = time.monotonic() + GUARD_S
        while True:
            while at < len(self.seen):
                if is_it(self.seen[at]):
                    return self.seen[at]
                at += 1
            if time.monotonic() > deadline:
                raise TimeoutError(f"not seen; the last: {str(self.seen[-3:])[:2000]}")
            try:
                self._take(self.client.get_iopub_msg(timeout=0.5))
            except queue.Empty:
                assert self.manager.is_alive(), "the kernel died"

    def hello(self, view: str = "first") -> dict[str, Any]:
        """Show the dashboard in a view, and return the whole frame that it gets."""
        self.view = view
        before = len(self.seen)
        self.say("hello")
        return self.wait_for(lambda one: one[0] == "frame" and one[1], before)[2]

    def frame_where(self, is_it: Callable[[dict[str, Any]], bool], after: int = 0) -> Any:
        """Read until a frame from the place `after` on is it; return the frame."""
        return self.wait_for(lambda one: one[0] == "frame" and is_it(one[2]), after)[2]

    def wait_for_state(self, state: str) -> None:
        """Read until a frame shows a state."""
        self.frame_where(lambda frame: frame.get("head", {}).get("state") == state)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the frames that came."""
        return self._numbers

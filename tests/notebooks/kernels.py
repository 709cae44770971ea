"""A real Jupyter kernel for tests: start it, run code in it, read what came out, in order."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager, KernelManager

from tests.waiting import GUARD_S

_END_S = 20.0  # for an end by itself; a server gives less
_NAME = "workbench-test"
_STACKS = """
import faulthandler as _faulthandler, signal as _signal
_stacks = open({path!r}, "w")
_faulthandler.register(_signal.SIGUSR1, file=_stacks)
del _signal
"""


class Cell:
    """One execution: the kernel's messages about it, in the order they came."""

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self.messages: list[dict[str, Any]] = []
        self.reply: dict[str, Any] | None = None
        self.is_idle = False

    def _streamed(self, name: str) -> str:
        found = [m["content"] for m in self.messages if m["msg_type"] == "stream"]
        return "".join(c["text"] for c in found if c["name"] == name)

    @property
    def out(self) -> str:
        """What was printed."""
        return self._streamed("stdout")

    @property
    def err(self) -> str:
        """What was printed to stderr."""
        return self._streamed("stderr")

    @property
    def error(self) -> dict[str, Any] | None:
        """The error message, if it ended in one."""
        found = [m["content"] for m in self.messages if m["msg_type"] == "error"]
        return found[-1] if found else None

    @property
    def error_text(self) -> str:
        """The error as it is shown."""
        return "" if self.error is None else "\n".join(self.error["traceback"])

    @property
    def result(self) -> str:
        """The plain text of what the cell's last line returned."""
        found = [m["content"]["data"] for m in self.messages if m["msg_type"] == "execute_result"]
        return found[-1]["text/plain"] if found else ""

    def ok(self) -> Cell:
        """Fail the test if the cell failed."""
        assert self.error is None, self.error_text
        assert self.reply is not None
        assert self.reply["status"] == "ok", self.reply
        return self


class Kernel:
    """A kernel of this interpreter, with directories of its own.

    Args:
        connection: `ipc` needs no free port.
    """

    def __init__(self, *setup: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="wb"))  # short: ipc paths are limited
        self.manager = manager_in(self.directory)
        self.manager.start_kernel(env=environment(self.directory), cwd=str(self.directory))
        self.client = self.manager.client()
        self.client.start_channels()
        self._cells: dict[str, Cell] = {}
        try:
            self.client.wait_for_ready(timeout=GUARD_S)
            self.run(_STACKS.format(path=str(self._stacks))).ok()
            for code in setup:
                self.run(code).ok()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the kernel, whatever state it is in."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.manager.context.term()
        shutil.rmtree(self.directory, ignore_errors=True)

    # Cells

    def submit(self, code: str) -> Cell:
        """Ask for a cell to be run; return at once."""
        cell = Cell(self.client.execute(code, allow_stdin=False))
        self._cells[cell.message_id] = cell
        return cell

    def run(self, code: str) -> Cell:
        """Run a cell to its end."""
        return self.finish(self.submit(code))

    def finish(self, cell: Cell) -> Cell:
        """Wait for a cell's end and everything it showed."""
        self._read_until(lambda: cell.is_idle)
        deadline = time.monotonic() + GUARD_S
        while cell.reply is None:
            message = self.client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
            owner = self._cells.get(message["parent_header"].get("msg_id", ""))
            if owner is not None:
                owner.reply = message["content"]
        return cell

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the kernel, by way of JSON."""
        code = f"import json as _json; print(_json.dumps({expression}))"
        return json.loads(self.run(code).ok().out)

    def wait_for_text(self, cell: Cell, text: str) -> None:
        """Read messages until a cell has shown a text, on either stream."""
        self._read_until(lambda: text in cell.out + cell.err)

    def wait_until(self, expression: str) -> None:
        """Wait, awaiting in the kernel, until an expression is true there."""
        guard = int(GUARD_S / 0.01)
        self.run(
            "import asyncio as _asyncio\n"
            f"for _ in range({guard}):\n"
            f"    if {expression}: break\n"
            "    await _asyncio.sleep(0.01)\n"
            f"else: raise TimeoutError({expression!r})"
        ).ok()

    def interrupt(self) -> None:
        """Interrupt it, as the stop button does."""
        self.manager.interrupt_kernel()

    def _read_until(self, is_reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + GUARD_S
        while not is_reached():
            if time.monotonic() > deadline:
                raise TimeoutError("the kernel did not get there")
            try:
                self._take(self.client.get_iopub_msg(timeout=0.5))
            except queue.Empty:
                assert self.manager.is_alive(), "the kernel died"

    def _take(self, message: dict[str, Any]) -> None:
        cell = self._cells.get(message["parent_header"].get("msg_id", ""))
        if cell is None:
            return
        if message["msg_type"] == "status":
            cell.is_idle = cell.is_idle or message["content"]["execution_state"] == "idle"
        else:
            cell.messages.append(message)

    # Requests

    def complete(self, code: str) -> list[str]:
        """Return what completes `code` at its end."""
        message_id = self.client.complete(code, len(code))
        return self._answer(message_id)["matches"]

    def inspect(self, code: str) -> str:
        """Return the help on the name at the end of `code`."""
        return self._answer(self.client.inspect(code, len(code)))["data"]["text/plain"]

    def _answer(self, message_id: str) -> dict[str, Any]:
        while True:
            message = self.client.get_shell_msg(timeout=GUARD_S)
            if message["parent_header"].get("msg_id") == message_id:
                return message["content"]

    # Its end

    def shutdown(self, restart: bool) -> list[dict[str, Any]]:
        """Ask it to end and wait for its end, as the server does; return what came meanwhile.

        Once in hundreds of times a kernel does not end by itself after it was asked, nodes or not.
        The server then kills it, and so does this, after it has printed where the kernel hangs.
        """
        self.client.shutdown(restart=restart)
        seen: list[dict[str, Any]] = []
        deadline = time.monotonic() + _END_S
        while self.manager.is_alive() and time.monotonic() < deadline:
            self._drain(seen, 0.05)
        if self.manager.is_alive():
            self.manager.signal_kernel(signal.SIGUSR1)
            self._drain(seen, 0.5)
            print(self._stacks.read_text(), file=sys.stderr)
            self.manager.shutdown_kernel(now=True)
        self._drain(seen, 0.2)
        return seen

    @property
    def _stacks(self) -> Path:
        return self.directory / "stacks.txt"

    def _drain(self, seen: list[dict[str, Any]], timeout_s: float) -> None:
        try:
            while True:
                message = self.client.get_iopub_msg(timeout=timeout_s)
                seen.append(message)
                self._take(message)
        except queue.Empty:
            return


def manager_in(directory: Path, kind: type[Any] = KernelManager) -> Any:
    """Return a manager for a kernel of this interpreter that keeps to a directory."""
    spec = directory / "kernels" / _NAME
    spec.mkdir(parents=True, exist_ok=True)
    arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = json.dumps({"argv": arguments, "display_name": _NAME, "language": "python"})
    (spec / "kernel.json").write_text(text)
    specs = KernelSpecManager(kernel_dirs=[str(directory / "kernels")])
    manager = kind(
        kernel_name=_NAME,
        kernel_spec_manager=specs,
        connection_file=str(directory / "connection.json"),
    )
    manager.transport = "ipc"  # needs no free port
    manager.ip = str(directory / "s")
    return manager


def environment(directory: Path) -> dict[str, str]:
    """Return an environment in which Jupyter and IPython keep to a directory."""
    places = {
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
    }
    return os.environ | {name: str(directory / place) for name, place in places.items()}


def execute(notebook: Any, directory: Path) -> None:
    """Execute a notebook in place, in a directory; its kernel ends with it."""

    async def executed() -> None:
        manager = manager_in(directory, AsyncKernelManager)
        client = nbclient.NotebookClient(notebook, km=manager, timeout=GUARD_S)
        places = {"env": environment(directory), "cwd": str(directory)}
        await client.async_execute(cleanup_kc=True, **places)
        manager.context.term()

    asyncio.run(executed())

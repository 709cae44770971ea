"""A real kernel of this very interpreter, with folders of its own, for running notebook cells.

An installed kernel specification called "python3" may point to another interpreter, and a user's
IPython profile may do anything: neither is used here.
"""

# nbclient and nbformat leave their kernel managers and cells untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from workbench.cli.package import PACKAGE
from workbench.model.errors import WorkbenchError

_NAME = "workbench"
_LOG_SHOWN = 4000


class KernelError(WorkbenchError, RuntimeError):
    """A kernel that does not start, or ended before it should."""


class ScratchKernel:
    """Runs the cells of a notebook in a kernel that lives as long as the `async with` block.

    Args:
        notebook: What to run, as nbformat reads it.
        folder: An empty folder for the kernel's own files; its working directory is in it.
        cell_timeout_s: The longest one cell may take.
        start_timeout_s: The longest the start may take.

    Attributes:
        pid: The kernel's process.
    """

    def __init__(
        self, notebook: Any, folder: Path, *, cell_timeout_s: int, start_timeout_s: int = 60
    ) -> None:
        from nbclient import NotebookClient

        self._folder = folder
        self._start_timeout_s = start_timeout_s
        self._client: Any = NotebookClient(
            notebook, timeout=cell_timeout_s, kernel_name=_NAME, allow_errors=False
        )
        self._manager: Any = self._client.create_kernel_manager()
        self._manager.kernel_spec_manager.kernel_dirs = [str(folder / "kernels")]
        self._manager.kernel_spec_manager.ensure_native_kernel = False
        self._manager.connection_file = str(folder / "connection.json")
        self.pid = 0

    async def __aenter__(self) -> ScratchKernel:
        """Start the kernel and wait until it answers.

        Raises:
            KernelError: If it does not; with what it wrote.
        """
        spec = self._folder / "kernels" / _NAME
        spec.mkdir(parents=True)
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        described = {"argv": command, "display_name": _NAME, "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(described), encoding="utf-8")
        work = self._folder / "work"
        work.mkdir()
        try:
            with (self._folder / "kernel.log").open("wb") as log:
                await self._manager.start_kernel(
                    cwd=str(work),
                    env=environment(self._folder),
                    stdout=log,
                    stderr=log,
                )
            self.pid = self._manager.provisioner.pid
            await self._connect()
        except BaseException:
            await self._end(now=True)
            raise
        return self

    async def _connect(self) -> None:
        self._client.kc = self._manager.client()
        self._client.kc.start_channels()
        try:
            await self._client.kc.wait_for_ready(timeout=self._start_timeout_s)
        except RuntimeError as error:
            raise KernelError(f"the kernel did not start: {error}{self.log()}") from error
        self._client.kc.allow_stdin = False

    async def execute(self, cell: Any, index: int) -> None:
        """Run one cell; its outputs are in it afterwards.

        Raises:
            nbclient.exceptions.CellExecutionError: If it raised; its outputs hold the traceback.
            KernelError: If it took too long, or the kernel died.
        """
        from nbclient.exceptions import CellTimeoutError, DeadKernelError

        try:
            await self._client.async_execute_cell(cell, index)
        except CellTimeoutError as error:
            limit = self._client.timeout
            raise KernelError(f"the cell did not end within {limit} s (see --timeout)") from error
        except DeadKernelError as error:
            raise KernelError(f"the kernel died while the cell ran{self.log()}") from error

    def keep_widgets(self) -> None:
        """Put the state of widgets into the notebook, so that it can show them without a kernel."""
        self._client.set_widgets_metadata()

    def log(self) -> str:
        """Return the end of what the kernel's process itself wrote, as lines of their own."""
        path = self._folder / "kernel.log"
        text = path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else ""
        return f"; it wrote:\n{text[-_LOG_SHOWN:]}" if text else ""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        """End the kernel: with notice after a normal end, else at once, with what it started."""
        await self._end(now=isinstance(error, KernelError | asyncio.CancelledError))

    async def _end(self, *, now: bool) -> None:
        with suppress(ProcessLookupError):
            if self._manager.has_kernel:
                await self._manager.shutdown_kernel(now=now)
        if self._client.kc is not None:
            self._client.kc.stop_channels()
            self._client.kc = None
        self._manager.cleanup_connection_file()


def environment(folder: Path) -> dict[str, str]:
    """Return the kernel's environment: ours, with Jupyter's and IPython's folders in `folder`.

    The folder that `workbench` was imported from comes first, so that the kernel has the same one.
    """
    own = {
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "jupyter/config",
        "JUPYTER_DATA_DIR": "jupyter/data",
        "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    }
    source = str(PACKAGE.parent)
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        **{name: str(folder / part) for name, part in own.items()},
        "PYTHONPATH": os.pathsep.join(paths),
    }


@contextmanager
def cancelled_by_signals() -> Generator[Callable[[], bool]]:
    """Cancel the running task on SIGINT or SIGTERM; yield what says whether that happened.

    nbclient takes a cancellation for the death of its kernel, so the error alone does not tell.
    Only the first signal counts: ending the kernel, which it causes, is quick and not to be left.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    came: list[int] = []

    def on_signal(number: int) -> None:
        came.append(number)
        if len(came) == 1 and task is not None:
            task.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield lambda: bool(came)
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)

"""Which process this is, in words that another process can check."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import msgspec


class ProcessId(msgspec.Struct, frozen=True, kw_only=True):
    """A process, told apart from a later one that got its number.

    Attributes:
        host: The machine's name.
        scope: Within which `pid` and `started` mean something: this boot of this machine, and the
            container, if any. Empty where the system does not say.
        pid: Its number.
        started: When it started, as the system counts; empty where it does not say.
    """

    host: str
    scope: str
    pid: int
    started: str

    def __str__(self) -> str:
        """Return where it runs."""
        return f"process {self.pid} on {self.host}"


def this_process() -> ProcessId:
    """Return the calling process."""
    pid = os.getpid()
    return ProcessId(host=platform.node(), scope=_scope(), pid=pid, started=_started(pid) or "")


def is_gone(process: ProcessId, here: ProcessId) -> bool:
    """Return whether a process has surely ended; False where that cannot be said from here.

    Args:
        process: Which.
        here: The process that asks.
    """
    if not here.scope or (process.host, process.scope) != (here.host, here.scope):
        return False
    started = _started(process.pid)
    return started is None or started != process.started


def _scope() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        # Without /proc: its time of boot, where `sysctl` says it.
        return _output("sysctl", "-n", "kern.boottime")


def _started(pid: int) -> str | None:
    """Return when a process started, None if there is none of that number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        return _output("ps", "-o", "lstart=", "-p", str(pid)) or None
    # The name, in parentheses, may hold anything; the state comes next, the start as the 22nd.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()

"""A JupyterLab server of this interpreter, on loopback, that keeps to a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from tests.waiting import GUARD_S

_END_S = 30.0
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

_CONFIG = {
    "IdentityProvider": {"token": ""},  # loopback only, and only for as long as the tests last
    "PasswordIdentityProvider": {"hashed_password": ""},
    "ServerApp": {
        "ip": "127.0.0.1",
        "open_browser": False,
        "allow_root": True,
        "disable_check_xsrf": True,  # the tests end kernels without a page
    },
    "LabApp": {
        "expose_app_in_browser": True,  # the tests look at the document's model through it
        "extension_manager": "readonly",  # the other one asks the package index
        "news_url": None,
    },
}
# Asks for news and for newer versions: requests that leave the machine, and a question on top of
# the page.
_PAGE = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
_OVERRIDES = {
    # Cells out of view are otherwise not in the page, and a whole notebook fits on no picture.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    # Saved outputs would be the next test's, and a file changed meanwhile raises a question.
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}


class LabServer:
    """JupyterLab in a process of its own; its kernels end with it.

    Attributes:
        folder: What the file browser shows: copies of the notebooks.
        url: Where it listens, with a slash at its end.
    """

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="wb-lab-"))
        self.folder = self._home / "notebooks"
        self.folder.mkdir()
        self.renew()
        self._write("config/jupyter_server_config.json", _CONFIG)
        self._write("config/labconfig/page_config.json", _PAGE)
        self._write("config/labconfig/default_setting_overrides.json", _OVERRIDES)
        self._log = self._home / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", f"--ServerApp.port={_free_port()}"],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl+C is for the tests, which end it then
            )
        try:
            self.url = self._wait()
        except BaseException:
            self.close()
            raise

    @property
    def log(self) -> str:
        """What it has printed, and its kernels before they were ready."""
        return self._log.read_text(errors="replace")

    def renew(self) -> None:
        """Copy the notebooks anew, as they are shipped."""
        for path in NOTEBOOKS.glob("*.ipynb"):
            shutil.copy(path, self.folder)

    def new(self, name: str, *cells: str) -> str:
        """Write a notebook with code cells; return its name with its ending."""
        code = [
            {
                "cell_type": "code",
                "id": f"cell-{index:02}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for index, source in enumerate(cells)
        ]
        spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        document = {
            "cells": code,
            "metadata": {"kernelspec": spec},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (self.folder / f"{name}.ipynb").write_text(json.dumps(document), encoding="utf-8")
        return f"{name}.ipynb"

    def kernels(self) -> list[str]:
        """Return the ids of the kernels that it runs."""
        with urllib.request.urlopen(f"{self.url}api/kernels", timeout=GUARD_S) as answer:
            return [kernel["id"] for kernel in json.load(answer)]

    def end_kernels(self) -> None:
        """Shut all its kernels down."""
        for kernel in self.kernels():
            asked = urllib.request.Request(f"{self.url}api/kernels/{kernel}", method="DELETE")
            with urllib.request.urlopen(asked, timeout=GUARD_S):
                pass

    def close(self) -> None:
        """End it and its kernels."""
        if self._process.poll() is None:
            family = psutil.Process(self._process.pid).children(recursive=True)
            self._process.terminate()  # it then shuts its kernels down
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            _, left = psutil.wait_procs(family, timeout=_END_S)
            for process in left:
                process.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _write(self, name: str, value: object) -> None:
        path = self._home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        places = {
            "IPYTHONDIR": "ipython",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        # Nor coverage: kernels that are measured take twice as long, and tests/notebooks has them.
        strange = ("JUPYTER_PATH", "JUPYTER_TOKEN", "COVERAGE_PROCESS")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(strange)}
        return kept | {name: str(self._home / place) for name, place in places.items()}

    def _wait(self) -> str:
        """Return its address once it answers there."""
        facts = self._home / "runtime" / f"jpserver-{self._process.pid}.json"
        deadline = time.monotonic() + GUARD_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"JupyterLab ended by itself:\n{self.log}")
            try:
                # It may have taken another port than it was told, if that was taken meanwhile.
                url = f"http://127.0.0.1:{json.loads(facts.read_text())['port']}/"
                with urllib.request.urlopen(f"{url}api/status", timeout=GUARD_S):
                    return url
            except (OSError, ValueError):
                time.sleep(0.1)
        raise TimeoutError(f"JupyterLab does not answer:\n{self.log}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]

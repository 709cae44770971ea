"""The browser: the system's Chromium, driven by playwright."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.lab_page import HEIGHT, WIDTH, LabPage
from tests.browser.server import LabServer
from tests.waiting import GUARD_S

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def path() -> str | None:
    """Return where Chromium is; None where there is none."""
    named = os.environ.get("WORKBENCH_CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, _NAMES)), None)


def what_is_lacking() -> str:
    """Return what has to be installed before there can be a browser; empty if nothing has to."""
    for module in ("playwright", "jupyterlab"):
        if importlib.util.find_spec(module) is None:
            return f"the browser tests need {module}: pip install -e '.[test,browser]'"
    if path() is None:
        return (
            "the browser tests need Chromium: apt-get install chromium, or name another one by"
            " WORKBENCH_CHROMIUM=/path/to/it"
        )
    return ""


@contextmanager
def launched() -> Generator[BrowserContext]:
    """A browser, in which nothing outside this machine has a name."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path(),
            timeout=GUARD_S * 1000,
            args=["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
        )
        # One context: each page finds JupyterLab's scripts where the first one has left them.
        yield browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        browser.close()


@contextmanager
def opened(
    browser: BrowserContext, server: LabServer, name: str, pictures: Path
) -> Generator[LabPage]:
    """A page of its own, with the notebooks as they are shipped; its kernels end with it."""
    server.renew()
    lab = LabPage(browser, server, workspace=name, pictures=pictures)
    try:
        yield lab
    finally:
        lab.page.close()
        server.end_kernels()

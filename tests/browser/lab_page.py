"""JupyterLab as a person uses it: open a notebook, run it, read it, take pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.browser.server import LabServer
from tests.waiting import GUARD_S

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Locator

WIDTH, HEIGHT = 1200, 900
_FRAME = 200  # more than JupyterLab itself needs above and below a document

# Kernel, model and view of the notebook that is open: each is found anew, a reload makes new ones.
_PANEL = """
    const panel = [...(window.jupyterapp?.shell.widgets("main") ?? [])]
        .find(w => w.context?.path === %r);
    const kernel = panel?.sessionContext?.session?.kernel;
"""

# What happens in the page, in its order: each cell's end, and each change of a text that a test
# watches. One line of time, by the page's own clock, in which an order is an order.
_EVENTS = """
    const prompts = () => [...panel.node.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
    const texts = () => prompts().map(prompt => prompt.textContent.trim());
    let last = texts();
    window.workbenchEvents = [];
    window.workbenchWatched = {};
    const look = () => {
        const at = performance.now();
        const now = texts();
        now.forEach((text, index) => {
            if (last[index] === '[*]:' && text !== '[*]:')
                window.workbenchEvents.push({at, kind: 'end', cell: index});
        });
        last = now;
        for (const [name, watched] of Object.entries(window.workbenchWatched)) {
            const text = document.querySelector(watched.selector)?.textContent ?? '';
            if (text !== watched.text) {
                watched.text = text;
                window.workbenchEvents.push({at, kind: name, text});
            }
        }
    };
    const click = event => window.workbenchEvents.push(
        {at: performance.now(), kind: 'click', text: event.target.textContent});
    document.addEventListener('click', click, true);
    const everything = {subtree: true, childList: true, characterData: true};
    new MutationObserver(look).observe(document.body, everything);
"""


class LabPage:
    """One page of the browser: a JupyterLab with one notebook.

    Args:
        context: What the page is opened in; pages share what it has loaded before.
        server: The JupyterLab.
        workspace: A name that no other page has: what is open is kept under it.
        pictures: Where pictures go.

    Attributes:
        errors: What the console showed as an error, and exceptions that nothing caught.
        addresses: Whatever was asked for, web sockets included.
    """

    def __init__(
        self, context: BrowserContext, server: LabServer, workspace: str, pictures: Path
    ) -> None:
        self.errors: list[str] = []
        self.addresses: list[str] = []
        self.name = ""
        self._server = server
        self._workspace = workspace
        self._pictures = pictures
        self.page = context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("websocket", lambda socket: self.addresses.append(socket.url))
        self.page.set_default_timeout(GUARD_S * 1000)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url')})")

    def foreign(self) -> list[str]:
        """Return the addresses that are not on this machine."""
        schemes = ("data", "blob", "about")  # in the page itself
        parts = [(address, urlsplit(address)) for address in self.addresses]
        return [a for a, p in parts if p.scheme not in schemes and p.hostname != "127.0.0.1"]

    # The document

    def open(self, name: str) -> LabPage:
        """Open a notebook and wait until its kernel is idle."""
        self.name = name
        self.page.goto(f"{self._server.url}lab/workspaces/{self._workspace}/tree/{name}")
        self.wait_until_idle()
        if self.page.locator(".jp-SideBar .lm-mod-current").count():
            self.command("application:toggle-left-area")
        self.theme("light")  # the server keeps it: a test before may have changed it
        return self

    def reload(self) -> None:
        """Load the page again, as F5 does; the kernel goes on."""
        self.page.reload()
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Wait until the notebook is shown and its kernel is idle."""
        self._wait("panel?.context.isReady && panel.isVisible && kernel?.status === 'idle'")
        self.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
        self._do(f"if (!window.workbenchEvents) {{ {_EVENTS} }}")

    def command(self, command: str, **arguments: Any) -> None:
        """Have JupyterLab execute one of its commands."""
        code = "([command, arguments]) => window.jupyterapp.commands.execute(command, arguments)"
        self.page.evaluate(code, [command, arguments])

    def menu(self, menu: str, item: str) -> None:
        """Click on an item of the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{menu}$")).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{re.escape(item)}$")).click()

    def save(self) -> None:
        """Save the notebook, which a reload would otherwise ask about."""
        self.command("docmanager:save")
        self._wait("panel.context.model.dirty === false")

    # Cells: by their place among the code cells

    def sources(self) -> list[str]:
        """Return the code cells' code."""
        cells = self._ask("panel.context.model.sharedModel.toJSON().cells")
        return ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]

    def index(self, text: str) -> int:
        """Return the place of the first code cell that contains a text."""
        return next(i for i, source in enumerate(self.sources()) if text in source)

    def cell(self, index: int) -> Locator:
        """Return a code cell."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(index)

    def select(self, index: int) -> None:
        """Click at a cell's side."""
        self.cell(index).locator(".jp-InputPrompt").click()

    def show(self, index: int) -> None:
        """Scroll until a cell stands at the top."""
        self.cell(index).evaluate("cell => cell.scrollIntoView({block: 'start'})")

    def run(self, index: int) -> None:
        """Run a cell with Ctrl+Enter; return without waiting for it."""
        self.select(index)
        self.page.keyboard.press("Control+Enter")

    def run_to_end(self, index: int) -> str:
        """Run a cell, wait for its end, return what it shows."""
        moment = self.moment()
        self.run(index)
        self.wait_for_end([index], moment)
        return self.text(index)

    def run_all(self) -> None:
        """Run all cells by the menu and wait for each one's end."""
        moment = self.moment()
        self.menu("Run", "Run All Cells")
        self.wait_for_end(range(len(self.sources())), moment)

    def wait_for_end(self, indexes: Iterable[int], moment: int) -> None:
        """Wait until cells have ended since a moment; one that an error skipped has ended too."""
        self._wait(
            f"{list(indexes)}.every(index => window.workbenchEvents.slice({moment})"
            ".some(event => event.kind === 'end' && event.cell === index))"
        )

    def counts(self) -> list[int]:
        """Return the number that stands beside each code cell; 0 where there is none."""
        prompts = self.page.locator(
            ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .jp-InputPrompt"
        )
        found = [re.fullmatch(r"\[(\d+)\]:", text.strip()) for text in prompts.all_inner_texts()]
        return [int(match[1]) if match else 0 for match in found]

    # What happens, in its order

    def watch(self, name: str, selector: str) -> None:
        """Note each change of the text at a selector as an event of this name."""
        now = f"document.querySelector({selector!r})?.textContent ?? ''"
        self._do(f"window.workbenchWatched['{name}'] = {{selector: {selector!r}, text: {now}}}")

    def moment(self) -> int:
        """Return now, as a place among the events."""
        return self._ask("window.workbenchEvents.length")

    def events(self, moment: int = 0) -> list[dict[str, Any]]:
        """Return what happened since a moment: `kind`, `at` in ms, `cell` or `text`."""
        return self._ask(f"window.workbenchEvents.slice({moment})")

    def wait_until_busy(self, index: int) -> None:
        """Wait until a cell has begun, or at least stands in the queue."""
        prompt = self.cell(index).locator(".jp-InputPrompt")
        prompt.filter(has_text="[*]").wait_for()

    def text(self, index: int) -> str:
        """Return what a cell shows, errors included, as a person reads it."""
        return "\n".join(self.cell(index).locator(".jp-OutputArea-output").all_inner_texts())

    def wait_for_text(self, index: int, text: str) -> None:
        """Wait until a cell shows a text."""
        self.cell(index).locator(".jp-OutputArea-output", has_text=text).first.wait_for()

    def failures(self) -> list[str]:
        """Return the errors that cells have ended in."""
        cells = self._ask("panel.context.model.sharedModel.toJSON().cells")
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        errors = [output for output in outputs if output["output_type"] == "error"]
        return [f"{error['ename']}: {error['evalue']}" for error in errors]

    # The kernel

    def interrupt(self) -> None:
        """Interrupt the kernel by the menu."""
        self.menu("Kernel", "Interrupt Kernel")

    def restart(self) -> None:
        """Restart the kernel by the menu, and wait until the new one is idle."""
        self.menu("Kernel", "Restart Kernel…")
        restarts = "window.restarts = 0; kernel.statusChanged.connect((_, status) => {"
        self._do(f"{restarts} if (status.includes('restarting')) window.restarts += 1; }})")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self._wait("window.restarts > 0")
        self.wait_until_idle()

    # Looks

    def theme(self, name: str) -> None:
        """Change to `light` or `dark`."""
        self.command("apputils:change-theme", theme=f"JupyterLab {name.title()}")
        light = "true" if name == "light" else "false"
        self._wait(f"document.body.dataset.jpThemeLight === '{light}'")
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def picture(self, name: str) -> Path:
        """Take a picture of the window as it is; return where it was kept."""
        path = self._pictures / f"{name}.png"
        self._rest()
        self.page.screenshot(path=path)
        return path

    def picture_of_all(self, name: str) -> Path:
        """Take a picture of the whole notebook, however long; return where it was kept."""
        outer = "panel.node.querySelector('.jp-WindowedPanel-outer')"
        height = int(self._ask(f"{outer}.scrollHeight"))
        self.page.set_viewport_size({"width": WIDTH, "height": height + _FRAME})
        self._wait(f"{outer}.clientHeight >= {height}")
        self._do(f"{outer}.scrollTop = 0")
        return self._picture(name, self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)"))

    def picture_of(self, name: str, where: Locator) -> Path:
        """Take a picture of one thing; return where it was kept."""
        height = int(where.evaluate("element => element.offsetHeight"))
        self.page.set_viewport_size({"width": WIDTH, "height": max(HEIGHT, height + _FRAME)})
        return self._picture(name, where)

    def _picture(self, name: str, where: Locator) -> Path:
        path = self._pictures / f"{name}.png"
        self._rest()
        where.screenshot(path=path)
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        return path

    def _rest(self) -> None:
        """Move the mouse to where it lights nothing up."""
        self.page.mouse.move(WIDTH - 1, 1, steps=5)
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
        )

    def overflows(self) -> list[str]:
        """Return the outputs that are wider than the page shows, by their first words."""
        return self._ask(
            """[...panel.node.querySelectorAll('.jp-OutputArea-output')]
            .filter(output => output.scrollWidth > output.clientWidth + 1)
            .map(output => `${output.textContent.trim().slice(0, 60)}:`
                + ` ${output.scrollWidth} of ${output.clientWidth} px`)"""
        )

    # JavaScript

    @property
    def _panel(self) -> str:
        return _PANEL % self.name

    def _ask(self, expression: str) -> Any:
        return self.page.evaluate(f"() => {{ {self._panel} return {expression}; }}")

    def _do(self, statements: str) -> None:
        self.page.evaluate(f"() => {{ {self._panel} {statements}; }}")

    def _wait(self, expression: str) -> None:
        self.page.wait_for_function(f"() => {{ {self._panel} return Boolean({expression}); }}")

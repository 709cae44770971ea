"""A node's dashboard in a page, as a person reads and clicks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.browser.lab_page import LabPage

if TYPE_CHECKING:
    from playwright.sync_api import Locator


_CAN_BE_PRESSED = """
buttons => buttons
    .filter(one => one.offsetParent !== null && !one.disabled)
    .map(one => one.dataset.wb.replace("action-", ""))
"""


class Board:
    """A dashboard in a page; its parts are found by their `data-wb`."""

    def __init__(self, lab: LabPage, cell: int) -> None:
        self.lab = lab
        self.root = lab.cell(cell).locator("[data-wb=dashboard]")
        self.part("strip").wait_for()

    def part(self, name: str) -> Locator:
        return self.root.locator(f"[data-wb={name}]")

    def press(self, action: str) -> None:
        self.part(f"action-{action}").click()

    def wait_for_state(self, state: str) -> None:
        self.root.locator(f"[data-wb=strip][data-state={state}]").wait_for()
        present = self.root.locator("[data-wb=strip] li[aria-current=step]")
        assert present.get_attribute("data-state") == state

    def allowed(self) -> set[str]:
        # In one look: a button that vanishes between two questions would be waited for.
        return set(self.root.locator("[data-wb^='action-']").evaluate_all(_CAN_BE_PRESSED))

    def badges(self) -> list[str]:
        """Return where orders go, as the badges beside the trader's name say."""
        return self.part("ways").locator("span").all_inner_texts()

    def tab(self, name: str) -> None:
        self.part(f"tab-{name}").click()
        self.part(f"page-{name}").wait_for()

    def value(self, table: str, row: str, column: str) -> str:
        cells = self.part(f"table-{table}").locator("tbody tr").filter(has_text=row)
        return cells.first.locator(f"[data-column='{column}']").inner_text()

    def handled(self) -> int:
        """How many messages the engines' lanes have handled, by their table."""
        cells = self.part("table-lanes").locator("td[data-column=Handled]").all_inner_texts()
        return sum(int(text.replace(",", "")) for text in cells)

    def price_points(self) -> int:
        """How many points the price chart's line has."""
        return self.lab.page.evaluate(
            """() => Math.max(0, ...Object.values(window.__workbenchBokehs ?? {})
            .flatMap(api => api.documents)
            .map(one => one.get_model_by_name("prices")?.data.t?.length ?? 0))"""
        )


def wait(lab: LabPage, condition: Callable[[], bool]) -> None:
    """Wait until something that only Python can tell is so."""
    for _ in range(1200):
        if condition():
            return
        lab.page.wait_for_timeout(100)
    raise TimeoutError("the page did not get there")

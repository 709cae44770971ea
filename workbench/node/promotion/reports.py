"""What a promotion or demotion did, or would do."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from workbench.model.display import grid_html, shown
from workbench.node.promotion.certificate import Certificate
from workbench.node.promotion.checklist import Checklist
from workbench.node.promotion.moving import Moved


class PromotionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a promotion.

    Attributes:
        strategy_id: The strategy.
        account_id: The account.
        checklist: What was looked at.
        moved: What was cancelled, closed and opened; in a dry run what would be.
        certificate: What is in the journal; None in a dry run.
        is_dry_run: Whether nothing has changed.
    """

    strategy_id: str
    account_id: str
    checklist: Checklist
    moved: Moved
    certificate: Certificate | None = None
    is_dry_run: bool = False

    def __str__(self) -> str:
        """Return it as lines."""
        return "\n".join((self._head(), *self._lines(), "", str(self.checklist)))

    def __repr__(self) -> str:
        """Return it as lines."""
        return str(self)

    def _head(self) -> str:
        if not self.is_dry_run:
            return f"{self.strategy_id} trades account {self.account_id} now"
        if self.checklist.failed:
            return f"dry run: {self.strategy_id} may not be promoted to {self.account_id}"
        return f"dry run: {self.strategy_id} may be promoted to {self.account_id}; nothing changed"

    def _lines(self) -> Iterator[str]:
        return told(self.moved, would=self.is_dry_run)

    def _repr_html_(self) -> str:
        rows = [(line,) for line in self._lines()]
        table = grid_html(("",), rows, self._head()) if rows else f"<b>{self._head()}</b>"
        return table + self.checklist._repr_html_()  # pyright: ignore[reportPrivateUsage]


class DemotionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a demotion did.

    Attributes:
        strategy_id: The strategy.
        account_id: The account its orders went to.
        moved: What was cancelled and closed there, and what is left.
    """

    strategy_id: str
    account_id: str
    moved: Moved = Moved()

    def __str__(self) -> str:
        """Return it as lines."""
        head = f"{self.strategy_id} no longer trades account {self.account_id}"
        return "\n".join((head, *told(self.moved)))

    def __repr__(self) -> str:
        """Return it as lines."""
        return str(self)

    def _repr_html_(self) -> str:
        head, *lines = str(self).split("\n")
        return grid_html(("",), [(line,) for line in lines or ["nothing was open there"]], head)


def told(moved: Moved, *, would: bool = False) -> Iterator[str]:
    """Yield what a move did, a line each."""
    verb = "would be " if would else ""
    for line in moved.cancelled:
        yield f"{verb}cancelled: {line}"
    for instrument_id, quantity in moved.closed.items():
        yield f"{verb}closed: {shown(quantity)} {instrument_id}"
    for instrument_id, quantity in moved.opened.items():
        yield f"{verb}ordered at the venue: {shown(quantity)} {instrument_id}"
    if not would:
        for line in moved.left:
            yield f"still open: {line}"

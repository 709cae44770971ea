"""What promotion refuses with."""

from __future__ import annotations

from workbench.model.errors import WorkbenchError
from workbench.node.promotion.checklist import Checklist


class PromotionError(WorkbenchError, RuntimeError):
    """A strategy was not promoted, or may not run promoted; nothing has changed.

    Attributes:
        checklist: What was looked at, where that decided.
    """

    def __init__(self, message: str, checklist: Checklist | None = None) -> None:
        super().__init__(message)
        self.checklist = checklist

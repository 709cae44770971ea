"""What a journal or a lease refuses."""

from __future__ import annotations

from workbench.model.errors import WorkbenchError


class JournalError(WorkbenchError, RuntimeError):
    """A journal that cannot be opened, read or written."""


class LeaseError(WorkbenchError, RuntimeError):
    """An account that another node trades, or that this one may trade no longer."""

"""What a plug-in's endpoints raise, and what each means for an order: certainty is what matters.

An endpoint raises `VenueRejectedError` or `NotSentError` only when it knows. Every other exception,
a timeout or a broken connection among them, leaves the outcome unknown: the adapters then ask the
venue what became of it.
"""

from __future__ import annotations

from workbench.model.errors import WorkbenchError


class VenueError(WorkbenchError, RuntimeError):
    """A venue or its plug-in cannot be used, or failed."""


class PluginError(VenueError):
    """A plug-in that does not hold what the contract asks of it."""


class CredentialsError(VenueError, LookupError):
    """Credentials that an account needs are not there."""


class VenueRejectedError(VenueError):
    """The venue refused the request, and said so: nothing has changed there.

    Attributes:
        code: The venue's own word or number for it.
    """

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(f"{reason} ({code})" if code else reason)
        self.code = code


class OrderNotFoundError(VenueRejectedError):
    """The venue has no such order, or has it no longer among those it can change."""


class RateLimitedError(VenueRejectedError):
    """The venue refused the request because there were too many.

    Attributes:
        retry_after_s: How long to send nothing.
    """

    def __init__(self, reason: str, retry_after_s: float = 1.0, code: str = "") -> None:
        super().__init__(reason, code)
        self.retry_after_s = retry_after_s


class NotSentError(VenueError):
    """The request never left this machine, for certain."""

"""What ccxt's exceptions mean for a request: certainly refused, certainly not sent, or unknown."""

from __future__ import annotations

import logging
import re
from types import TracebackType
from typing import Any

from workbench.venues.errors import (
    NotSentError,
    OrderNotFoundError,
    RateLimitedError,
    VenueError,
    VenueRejectedError,
)
from workbench.venues.secrets import redact

_log = logging.getLogger(__name__)

STATUS = "workbench_status"
"""The attribute of an exception that holds the HTTP status it came with."""

# By name: ccxt is not imported here. A name stands for its subclasses too.
_REFUSALS = frozenset(
    {
        "ArgumentsRequired",
        "AuthenticationError",
        "BadRequest",
        "InsufficientFunds",
        "InvalidAddress",
        "InvalidNonce",
        "InvalidOrder",
        "NotSupported",
        "OperationRejected",
    }
)
_TOO_MANY = frozenset({"DDoSProtection", "RateLimitExceeded"})
_BAN = re.compile(r"\b418\b")


class told:  # noqa: N801  # reads as a function
    """Raise what ccxt raises within as the errors of the contract.

    In ccxt's own frames are keys, headers and signed addresses, which a traceback that shows
    variables would show: none is left. A DEBUG record tells where it came from.

    Args:
        exchange: Its name, for messages.

    Raises:
        VenueRejectedError: It was refused for certain (or a subclass of it).
        NotSentError: It did not leave.
        VenueError: Nothing is certain.
    """

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        """Raise another error, or the one that came without the way it took."""
        if error is None or isinstance(error, VenueError):
            return
        if not isinstance(error, Exception):
            _forget_way(error)
            return
        _log.debug("%s raised", self._exchange, exc_info=error)
        made = failure(self._exchange, error)
        _forget_way(error)
        del error, kind, place  # what it says is among this frame's variables, too
        try:
            raise made from None
        finally:
            made.__context__ = None


def _forget_way(error: BaseException) -> None:
    error.__traceback__ = error.__cause__ = error.__context__ = None


def failure(exchange: str, error: Exception) -> VenueError:
    """Return the contract's error for an exception of ccxt; one of these is that itself."""
    if isinstance(error, VenueError):
        return error
    error = _cause(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    text, code = _reason(exchange, error), type(error).__name__
    if "OrderNotFound" in names:
        return OrderNotFoundError(text, code)
    if names & _TOO_MANY:
        retry_after_s = 60.0 if _BAN.search(text) else 1.0
        return RateLimitedError(text, getattr(error, "retry_after_s", retry_after_s), code)
    if names & _REFUSALS or ("ExchangeError" in names and _is_refusal(error)):
        return VenueRejectedError(text, code)
    distrust = _distrust(error)
    if distrust:
        return NotSentError(
            f"{exchange} is not trusted, nothing was sent: {distrust}. A server shows a certificate"
            " that this machine's authorities have signed; that is always checked"
        )
    if _never_connected(error):
        return NotSentError(f"{exchange} cannot be reached: {text}")
    return VenueError(f"{code}: {text}")


def _cause(error: Exception) -> Exception:
    """Return the exception of ccxt behind one that its own clearing up raised."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, Exception) and type(found).__module__.startswith("ccxt."):
            return found
        found = found.__cause__ or found.__context__
    return error


def _is_refusal(error: Exception) -> bool:
    """Return whether the exchange answered with a status that says so.

    An `ExchangeError` alone may also be an answer that broke off in the middle.
    """
    status = getattr(error, STATUS, None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 409)


def _distrust(error: BaseException | None) -> str:
    """Return why a server's certificate is not trusted; empty if that is not the reason."""
    while error is not None:
        if type(error).__name__ == "SSLCertVerificationError":
            return str(getattr(error, "verify_message", "") or error)
        # A socket's watcher has it as its argument.
        inner = next((one for one in error.args if isinstance(one, BaseException)), None)
        found = getattr(error, "certificate_error", None) or inner
        error = found or error.__cause__ or error.__context__
    return ""


def _never_connected(error: BaseException | None) -> bool:
    while error is not None:
        if type(error).__name__ in ("ClientConnectorError", "ClientConnectorDNSError", "gaierror"):
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(exchange: str, error: Exception) -> str:
    """Return what an exception says, without keys and the signature of the request."""
    text = redact(str(error).removeprefix(f"{exchange} "))
    return re.sub(r"\?\S*", "", text) if "signature=" in text else text


def retry_after(headers: Any) -> float | None:
    """Return the seconds that a reply's headers ask to wait."""
    value = headers.get("Retry-After") if hasattr(headers, "get") else None
    try:
        return None if value is None else float(value)
    except ValueError:
        return None

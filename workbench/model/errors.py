"""The one exception tree: everything workbench raises on purpose is a `WorkbenchError`."""

from __future__ import annotations

from typing import Any

from workbench.model.error_display import render


class WorkbenchError(Exception):
    """Anything workbench refuses or cannot do.

    The text says what was expected, what was found, and what to do.
    """

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the user's own lines and the sentence."""
        return render(self, with_cause=False)


class ConfigError(WorkbenchError, ValueError):
    """A configuration value or argument is not usable."""


class DataError(WorkbenchError, ValueError):
    """Market data that cannot be loaded or is not what it claims to be."""


class InstrumentError(WorkbenchError, LookupError):
    """An instrument that nobody knows, or that is defined inconsistently."""


class PriceError(WorkbenchError, LookupError):
    """A price or rate of exchange that an answer needs is not known; nothing is guessed."""


class CodecError(WorkbenchError, ValueError):
    """Bytes that are not a message, or a value that is not a message."""


class LifecycleError(WorkbenchError, RuntimeError):
    """A lifecycle step that is not allowed in the present state."""


class OrderStateError(WorkbenchError, RuntimeError):
    """An event that an order in its present state cannot take."""


class OverfillError(OrderStateError):
    """A fill goes beyond an order's quantity, and was not applied."""


class DuplicateFillError(OrderStateError):
    """A fill whose trade id the order already holds."""


class SenderError(WorkbenchError, RuntimeError):
    """A channel sender was asked for where none is bound."""


class RunnerError(WorkbenchError, RuntimeError):
    """The runner was used in a way its state does not allow."""


class ThreadError(WorkbenchError, RuntimeError):
    """Something that belongs to one thread was changed from another."""


class ClientError(WorkbenchError, RuntimeError):
    """A data or execution client failed, or none serves what was asked for."""


class BrokenOffError(BaseException):
    """A KILL broke off a callback that did not return.

    It is no `Exception`: a loop that goes on after every `except Exception` is broken off too.
    """

    def __str__(self) -> str:
        """Return what happened, also where nothing was given: a thread is only sent a class."""
        return super().__str__() or "KILL broke it off: it did not return"


CALLBACK_FAILURES = (Exception, BrokenOffError)
"""What a callback may fail with; its owner is named."""


class StrategyError(WorkbenchError, RuntimeError):
    """An exception raised by a strategy or actor, with its name and the event that caused it.

    The original exception is the `__cause__`, so a traceback shows it whole.

    Attributes:
        strategy_id: The id of the actor or strategy that raised.
        callback: The name of the callback, such as `on_quote`.
        event: The message being handled, or None for a callback without one.
    """

    def __init__(
        self, strategy_id: str, callback: str, event: object, error: BaseException
    ) -> None:
        self.strategy_id = strategy_id
        self.callback = callback
        self.event = event
        handling = "" if event is None else f" handling {event!r}"
        super().__init__(
            f"{strategy_id} raised {type(error).__name__} in {callback}{handling}: {error}"
        )

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the strategy's own exception, whole, and the sentence."""
        return render(self, with_cause=True)

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it survive the way back from another process (without its cause, as ever)."""
        return _restored, (type(self), str(self), self.__dict__)


def _restored(kind: type[StrategyError], text: str, kept: dict[str, Any]) -> StrategyError:
    error = kind.__new__(kind, text)
    error.__dict__.update(kept)
    return error

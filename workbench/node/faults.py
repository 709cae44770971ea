"""What a node must outlive, and how failures of clients are put into words."""

from __future__ import annotations

from workbench.engines.clients import DataClient, ExecutionClient
from workbench.model.errors import CALLBACK_FAILURES, ClientError

Client = DataClient | ExecutionClient

# The loop passes an interrupt on to the host by itself. GeneratorExit is not among these: after it
# nothing can be awaited.
FAILURES = (*CALLBACK_FAILURES, KeyboardInterrupt, SystemExit)
"""What a callback or client may raise and the node must outlive."""


def describe(error: BaseException) -> str:
    """Return an exception as a sentence; many have no text, only a name."""
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name


def client_error(client: Client, what: str, error: BaseException | None = None) -> ClientError:
    """Return an error that names the client; the cause stays with it."""
    made = ClientError(
        f"{client.client_id} {what}{'' if error is None else ': ' + describe(error)}"
    )
    made.__cause__ = error
    return made

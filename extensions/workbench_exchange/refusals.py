"""What the exchange refuses, with the protocol's code and HTTP status.

The texts are those that clients of the protocol recognise: some tell errors apart by them.
"""

from __future__ import annotations

from typing import Any

from workbench.model.errors import WorkbenchError


class RefusalError(WorkbenchError):
    """A request that is not carried out.

    Attributes:
        code: The protocol's number, negative.
        text: What a client reads.
        status: Of the HTTP reply.
        data: More that belongs to the error, or None.
        retry_after_s: When to come again, for rate limits.
    """

    def __init__(
        self,
        code: int,
        text: str,
        *,
        status: int = 400,
        data: dict[str, Any] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.status = status
        self.data = data
        self.retry_after_s = retry_after_s

    def payload(self) -> dict[str, Any]:
        """Return the error as a reply's body."""
        body: dict[str, Any] = {"code": self.code, "msg": self.text}
        return body if self.data is None else {**body, "data": self.data}


def missing(name: str) -> RefusalError:
    """Return the refusal of a request without a parameter it needs."""
    return RefusalError(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def illegal(name: str) -> RefusalError:
    """Return the refusal of a parameter that cannot be read."""
    return RefusalError(-1100, f"Illegal characters found in parameter '{name}'.")


def unneeded(name: str) -> RefusalError:
    """Return the refusal of a parameter that does not belong to the request."""
    return RefusalError(-1106, f"Parameter '{name}' sent when not required.")


def filtered(name: str) -> RefusalError:
    """Return the refusal of an order that a symbol's filter does not let pass."""
    return RefusalError(-1013, f"Filter failure: {name}")


def rejected(text: str) -> RefusalError:
    """Return the rejection of a new order."""
    return RefusalError(-2010, text)


def insufficient() -> RefusalError:
    """Return the rejection of an order that the balance does not cover."""
    return rejected("Account has insufficient balance for requested action.")


def unknown_symbol() -> RefusalError:
    """Return the refusal of a symbol that is not listed."""
    return RefusalError(-1121, "Invalid symbol.")

"""Client order ids as an exchange takes them, and back."""

from __future__ import annotations

import re

import msgspec

from workbench.model.identifiers import ClientOrderId
from workbench.venues.errors import NotSentError


class IdRule(msgspec.Struct, frozen=True):
    """What an exchange takes.

    Attributes:
        longest: How many characters at most.
        pattern: Of which.
        dash: What stands for `-`, where the exchange does not take that.
    """

    longest: int = 36
    pattern: str = r"[.A-Z:/a-z0-9_-]+"
    dash: str = ""


_OKX = IdRule(32, r"[A-Za-z0-9]+", dash="Z")
_RULES = {"okx": _OKX, "okxus": _OKX, "myokx": _OKX}


class ClientIds:
    """Turns our ids into an exchange's and back; nothing is shortened, so that none can repeat.

    >>> ids = ClientIds("okx")
    >>> ids.outgoing(ClientOrderId("O-200913122640123-001-1-17"))
    'OZ200913122640123Z001Z1Z17'
    >>> ids.incoming("OZ200913122640123Z001Z1Z17")
    'O-200913122640123-001-1-17'
    """

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange
        self._rule = _RULES.get(exchange, IdRule())

    def outgoing(self, client_order_id: ClientOrderId) -> str:
        """Return an id as the exchange takes it.

        Raises:
            NotSentError: If it takes no such id.
        """
        rule, text = self._rule, str(client_order_id)
        if rule.dash and rule.dash not in text:
            text = text.replace("-", rule.dash)
        if len(text) > rule.longest or not re.fullmatch(rule.pattern, text):
            raise NotSentError(
                f"{self._exchange} takes client order ids of at most {rule.longest} characters out"
                f" of {rule.pattern}; got {client_order_id!r}: shorten the tag of the strategy, or"
                f" leave {rule.dash or 'other characters'!r} out of it and the trader id"
            )
        return text

    def incoming(self, text: str | None) -> ClientOrderId | None:
        """Return our id of an order, None where it has none."""
        if not text:
            return None
        dash = self._rule.dash
        if dash and text.startswith(f"O{dash}"):
            text = text.replace(dash, "-")
        return ClientOrderId(text)

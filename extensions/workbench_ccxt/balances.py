"""What an account holds, out of what is fetched and what is streamed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from workbench.model.enums import AccountType
from workbench.model.events import AccountState, Balance
from workbench.model.identifiers import AccountId
from workbench.model.money import ZERO
from workbench_ccxt.markets import number, unit


class Balances:
    """The balances of one account.

    Args:
        account_id: Which.
        account_type: What they mean.

    Attributes:
        updates: Counts what was streamed: who fetched meanwhile may have an older state.
    """

    def __init__(self, account_id: AccountId, account_type: AccountType) -> None:
        self.updates = 0
        self._account_id = account_id
        self._account_type = account_type
        self._held: dict[str, tuple[Decimal, Decimal]] = {}

    def replace(self, raw: Mapping[str, Any]) -> None:
        """Take a whole state."""
        gone = dict.fromkeys(self._held, (ZERO, ZERO))
        there = {code: held for code, held in _entries(raw).items() if any(held) or code in gone}
        self._held = gone | there

    def update(self, raw: Mapping[str, Any]) -> None:
        """Take a state that may name a part of the currencies only."""
        self.updates += 1
        self._held |= _entries(raw)

    def state(self, now_ns: int) -> AccountState:
        """Return all there is: what is held, and what was held before."""
        return AccountState(
            account_id=self._account_id,
            account_type=self._account_type,
            base_currency=None,
            balances=tuple(
                Balance(unit(code), total, locked)
                for code, (total, locked) in sorted(self._held.items())
            ),
            ts_event=now_ns,
            ts_init=now_ns,
        )


_WORDS = frozenset({"info", "timestamp", "datetime", "free", "used", "total", "debt"})


def _entries(raw: Mapping[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for code, entry in raw.items():
        if code in _WORDS or not isinstance(entry, Mapping):
            continue
        values: Mapping[str, Any] = entry  # pyright: ignore[reportUnknownVariableType]
        total, locked = number(values.get("total")), number(values.get("used")) or ZERO
        if total is None:
            free = number(values.get("free"))
            total = None if free is None else free + locked
        if total is not None:
            found[code] = total, locked
    return found

"""An account's balances: exact, free and locked."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from workbench.model.money import ZERO
from workbench_exchange.refusals import insufficient


class Balance(msgspec.Struct):
    """What an account has of an asset."""

    free: Decimal = ZERO
    locked: Decimal = ZERO


class Wallet:
    """The balances of one account.

    Args:
        balances: By asset.

    Attributes:
        balances: By asset.
        touched: The assets that changed since somebody cleared it.
        updated_ms: When one changed last.
    """

    def __init__(self, balances: dict[str, Balance], updated_ms: int = 0) -> None:
        self.balances = balances
        self.touched: dict[str, None] = {}
        self.updated_ms = updated_ms

    def of(self, asset: str) -> Balance:
        """Return the balance of an asset, and note that it changes."""
        self.touched[asset] = None
        return self.balances.setdefault(asset, Balance())

    def free(self, asset: str) -> Decimal:
        """Return what is not kept for orders."""
        balance = self.balances.get(asset)
        return ZERO if balance is None else balance.free

    def lock(self, asset: str, amount: Decimal) -> None:
        """Keep an amount for an order; a negative one is let go.

        Raises:
            RefusalError: If so much is not free.
        """
        if amount > self.free(asset):
            raise insufficient()
        if amount:
            balance = self.of(asset)
            balance.free -= amount
            balance.locked += amount

    def spend(self, asset: str, amount: Decimal) -> None:
        """Take out what was locked."""
        self.of(asset).locked -= amount

    def receive(self, asset: str, amount: Decimal) -> None:
        """Put in."""
        self.of(asset).free += amount

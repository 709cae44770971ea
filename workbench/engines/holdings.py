"""What a margin account keeps of each position and resting order."""

from __future__ import annotations

from decimal import Decimal

from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.model.positions import average_price


class Holding:
    """A position as its account sees it: enough to say what a fill realises."""

    __slots__ = ("average", "has_margin", "instrument", "quantity")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.has_margin = bool(instrument.margin_init or instrument.margin_maint)
        self.quantity = ZERO
        self.average = ZERO

    def fill(self, signed: Decimal, price: Decimal) -> Decimal:
        """Take a fill and return its profit before commission."""
        held = self.quantity
        self.quantity = total = held + signed
        if not held:
            self.average = price
            return ZERO
        if (held > 0) == (signed > 0):
            self.average = average_price(self.instrument, held, self.average, signed, price)
            return ZERO
        turns = total and (total > 0) != (held > 0)
        entry = self.average
        if turns:
            self.average = price
        return self.instrument.profit(held if turns else -signed, entry, price)


class RestingOrder:
    """A resting order, and how much of it is taken to add to its strategy's position."""

    __slots__ = ("growth", "instrument", "price", "signed")

    def __init__(self, instrument: Instrument, signed: Decimal, price: Decimal) -> None:
        self.instrument = instrument
        self.signed = signed
        self.price = price
        self.growth: Decimal | None = None

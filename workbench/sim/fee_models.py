"""Fee models: what a fill costs."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from workbench.model.enums import LiquiditySide
from workbench.model.errors import ConfigError
from workbench.model.instruments import Instrument, to_decimal
from workbench.model.money import ZERO, Currency, Money
from workbench.model.settings import SettingsMeta


class FillFacts(NamedTuple):
    """What a fee depends on; `is_first` for an order's first fill."""

    quantity: Decimal
    price: Decimal
    liquidity: LiquiditySide
    is_first: bool


class FeeModel(msgspec.Struct, frozen=True, kw_only=True, metaclass=SettingsMeta):
    """What fills cost; subclass it and override `fee` for one of your own.

    This one takes the instrument's own maker and taker fees.
    """

    def fee(self, instrument: Instrument, fill: FillFacts) -> tuple[Decimal, Currency]:
        """Return the commission of a fill, negative for a rebate, and its currency."""
        is_maker = fill.liquidity is LiquiditySide.MAKER
        share = instrument.maker_fee if is_maker else instrument.taker_fee
        return _of_notional(share, instrument, fill), instrument.settlement_currency

    def estimate(self, instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
        """Return what a cash account sets aside for the fee of a buy, in the settlement currency.

        The dearer of what making and taking liquidity would cost, at least 0; nothing for a fee in
        another currency.
        """
        most = ZERO
        for liquidity in (LiquiditySide.TAKER, LiquiditySide.MAKER):
            facts = FillFacts(quantity, price, liquidity, is_first=True)
            amount, unit = self.fee(instrument, facts)
            if amount > most and unit == instrument.settlement_currency:
                most = amount
        return most


class MakerTakerFeeModel(FeeModel, frozen=True, kw_only=True):
    """Shares of notional, whatever the instrument says.

    Attributes:
        maker: For a fill that rested; negative for a rebate; None for the instrument's own.
        taker: For a fill that took; None for the instrument's own.
    """

    maker: Decimal | None = None
    taker: Decimal | None = None

    def __post_init__(self) -> None:
        """Make the shares exact."""
        for name in ("maker", "taker"):
            given = getattr(self, name)
            if given is not None:
                msgspec.structs.force_setattr(self, name, to_decimal(given, name))

    def fee(self, instrument: Instrument, fill: FillFacts) -> tuple[Decimal, Currency]:
        """Return a share of the fill's notional."""
        if fill.liquidity is LiquiditySide.MAKER:
            share = instrument.maker_fee if self.maker is None else self.maker
        else:
            share = instrument.taker_fee if self.taker is None else self.taker
        return _of_notional(share, instrument, fill), instrument.settlement_currency


class FixedFeeModel(FeeModel, frozen=True, kw_only=True):
    """The same amount for every order, or for every fill.

    Attributes:
        commission: `"2 USD"` or a `Money`.
        per_fill: Charge every fill, not only an order's first.

    >>> FixedFeeModel(commission="2 USD").commission.amount
    Decimal('2')
    """

    commission: Money
    per_fill: bool = False

    def __post_init__(self) -> None:
        """Make the amount exact."""
        msgspec.structs.force_setattr(self, "commission", Money.parse(self.commission))

    def fee(self, instrument: Instrument, fill: FillFacts) -> tuple[Decimal, Currency]:  # noqa: ARG002
        """Return the amount, zero for a later fill of an order."""
        amount = self.commission.amount if self.per_fill or fill.is_first else ZERO
        return amount, self.commission.currency


class PerContractFeeModel(FeeModel, frozen=True, kw_only=True):
    """An amount for every contract (unit of quantity).

    Attributes:
        commission: `"0.85 USD"` or a `Money`, for one contract.
    """

    commission: Money

    def __post_init__(self) -> None:
        """Make the amount exact."""
        exact = Money.parse(self.commission)
        if exact.amount < 0:
            raise ConfigError(f"a commission per contract must not be negative; got {exact}")
        msgspec.structs.force_setattr(self, "commission", exact)

    def fee(self, instrument: Instrument, fill: FillFacts) -> tuple[Decimal, Currency]:  # noqa: ARG002
        """Return the amount for each contract of the fill."""
        return self.commission.amount * fill.quantity, self.commission.currency


def _of_notional(share: Decimal, instrument: Instrument, fill: FillFacts) -> Decimal:
    return instrument.notional(fill.quantity, fill.price) * share if share else ZERO

"""What an order needs of its account: one answer for the risk engine and for the account's locks.

`account_need` tells the risk engine what `Account.lock_order` will lock.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from workbench.engines.rates import Convert
from workbench.model.enums import AccountType
from workbench.model.events import AccountState
from workbench.model.instruments import DERIVATIVES, CurrencyPair, Instrument
from workbench.model.money import ZERO, Currency


class Need(NamedTuple):
    """What an order ties up: an amount of a currency.

    For a sale of shares from a cash account `unit` is the instrument's id and `currency` None.
    """

    unit: str
    amount: Decimal
    currency: Currency | None = None


def estimated_fee(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """Return what a fill may cost by the dearer of maker and taker fee, at least 0.

    In the settlement currency, as every `FeeEstimate`.
    """
    taker, maker = instrument.taker_fee, instrument.maker_fee
    dearer = taker if taker >= maker else maker
    return instrument.notional(quantity, price) * dearer if dearer > 0 else ZERO


FeeEstimate = Callable[[Instrument, Decimal, Decimal], Decimal]
"""Says what a fill of a quantity at a price may cost, in the settlement currency; at least 0."""


def cash_need(
    instrument: Instrument,
    signed_quantity: Decimal,
    price: Decimal,
    fee: FeeEstimate = estimated_fee,
) -> Need:
    """Return what an order ties up in a cash account until it is filled.

    A buy: the notional and its estimated fee. A sale: what is sold, whose fee comes out of what it
    brings.

    >>> from workbench.model.instruments import Equity
    >>> share = Equity.define("ACME.SIM", taker_fee="0.01")
    >>> cash_need(share, Decimal(10), Decimal(2)).amount
    Decimal('20.20')
    """
    if signed_quantity > 0:
        unit = instrument.settlement_currency
        worth = instrument.notional(signed_quantity, price)
        return Need(unit.code, worth + fee(instrument, signed_quantity, price), unit)
    unit = instrument.base_currency
    if unit is None:
        return Need(instrument.id, -signed_quantity)
    return Need(unit.code, -signed_quantity * instrument.multiplier, unit)


def margin_need(
    instrument: Instrument, growth: Decimal, price: Decimal, leverage: Decimal
) -> Need | None:
    """Return the initial margin of an order that adds `growth` to a position; None for none."""
    if not instrument.margin_init or growth <= 0:
        return None
    unit = instrument.settlement_currency
    return Need(unit.code, initial_margin(instrument, growth, price, leverage), unit)


def account_need(
    account: AccountState,
    instrument: Instrument,
    signed_quantity: Decimal,
    price: Decimal,
    *,
    growth: Decimal | None = None,
    fee: FeeEstimate = estimated_fee,
    convert: Convert | None = None,
) -> Need | None:
    """Return what an account will lock for an order; None for nothing.

    Args:
        account: The account's newest state.
        instrument: What is traded.
        signed_quantity: What is still to be filled, negative for a sale.
        price: At which it is to be filled at worst.
        growth: How much of it may add to the position (`growth_of`); by default all.
        fee: As the account's own.
        convert: As the account's own. Where a rate is missing the need stays in its own currency,
            of which an account with a base currency has none: so the order is refused.
    """
    if account.account_type is AccountType.MARGIN:
        size = abs(signed_quantity) if growth is None else growth
        need = margin_need(instrument, size, price, account.leverage_of(instrument.id))
    else:
        need = cash_need(instrument, signed_quantity, price, fee)
    base = account.base_currency
    unit = None if need is None else need.currency
    if need is None or base is None or unit in (None, base) or convert is None:
        return need
    if unit != instrument.settlement_currency:
        return need  # sold from a cash account: an asset, which is not converted
    converted = convert(need.amount, unit, base)
    return need if converted is None else Need(base.code, converted, base)


def initial_margin(
    instrument: Instrument, growth: Decimal, price: Decimal, leverage: Decimal
) -> Decimal:
    """Return the initial margin of adding `growth` at `price`, in the settlement currency."""
    return instrument.notional(growth, price) * instrument.margin_init / leverage


def holding_refusal(
    account_type: AccountType, base_currency: Currency | None, instrument: Instrument
) -> str:
    """Return why such an account cannot hold an instrument; empty if it can."""
    if account_type is AccountType.MARGIN:
        return ""
    if isinstance(instrument, DERIVATIVES):
        return (
            f"{instrument.id} is a {type(instrument).__name__}, which a cash account cannot hold;"
            " use account_type='margin'"
        )
    if base_currency is not None and isinstance(instrument, CurrencyPair):
        return (
            f"{instrument.id} exchanges {instrument.base_currency} for {instrument.quote_currency},"
            f" and a cash account kept in {base_currency} alone cannot hold both; leave"
            " base_currency out, or use account_type='margin'"
        )
    return ""


def growth_of(held: Decimal, before: Decimal, quantity: Decimal) -> Decimal:
    """Return how much larger a position an order against it may leave, once others have filled.

    A position of `held` (signed) is as large as ever when twice of it was traded against it; what
    is beyond adds to it. `before` of the other orders count first, `quantity` is the order's.

    >>> [growth_of(Decimal(10), Decimal(before), Decimal(15)) for before in (0, 15)]
    [Decimal('0'), Decimal('10')]
    """
    turned = 2 * abs(held)
    return max(ZERO, before + quantity - turned) - max(ZERO, before - turned)

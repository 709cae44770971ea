"""Account arithmetic: what a fill, a resting order and a position do to balances and margins.

MARGIN: balance = start + sum of realised profit (commissions included) and of funding; resting
orders lock initial margin of what they add to a position, positions maintenance margin, both
divided by leverage. CASH, per currency: balance = start + signed flows - commissions; resting
orders lock what they would spend, the dearer of the instrument's two fees included.

An account with a base currency is kept in that one: what a fill brings or costs in another is
converted at the rate known then. Where none is known the amount stays in its own currency, and
`missing_rates` names the rate.

What an order needs is worked out in `workbench.engines.needs`, for the risk engine too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from workbench.engines.holdings import Holding, RestingOrder
from workbench.engines.needs import (
    FeeEstimate,
    cash_need,
    estimated_fee,
    growth_of,
    initial_margin,
)
from workbench.engines.positions import own_position_id
from workbench.engines.rates import Convert
from workbench.model.enums import AccountType, OrderManagement, OrderSide
from workbench.model.errors import ConfigError
from workbench.model.events import AccountState, Balance, MarginBalance, OrderFilled
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
)
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO, Currency, Money, round_to_digits

_Key = tuple[InstrumentId, StrategyId, PositionId | None]


class FundingPayment(NamedTuple):
    """What one position received (negative: paid) as funding, in `currency`."""

    strategy_id: StrategyId
    position_id: PositionId | None
    amount: Decimal
    currency: Currency


class Account(ABC):
    """Balances of one account, moved by fills.

    Args:
        account_id: Its name.
        starting_balances: What it holds at first; in its base currency if it has one.
        base_currency: The one currency it is kept in, or None for several.
        leverage: Divides margins.
        leverages: The same for single instruments, by id.
        round_money: Round each fill's money to the currency's digits, as some venues do.
        order_management: Whether a strategy's fills in an instrument make one position (NETTING)
            or one for each order or as named (HEDGING).
        fee: What a cash account sets aside for the fee of a buy.
        convert: Turns an amount into another currency; None where no rate is known.

    Raises:
        ConfigError: If a starting balance is missing, negative or not in the base currency, or a
            leverage is below 1.

    Attributes:
        convert: As given; may be set once prices are known.
    """

    account_type: AccountType
    locks_reductions: bool
    """Whether an order that can only shrink a position ties something up."""

    def __init__(
        self,
        account_id: AccountId,
        starting_balances: list[Money],
        *,
        base_currency: Currency | None = None,
        leverage: Decimal = Decimal(1),
        leverages: Mapping[str, Decimal] | None = None,
        round_money: bool = False,
        order_management: OrderManagement = OrderManagement.NETTING,
        fee: FeeEstimate = estimated_fee,
        convert: Convert | None = None,
    ) -> None:
        _check_balances(account_id, starting_balances, base_currency)
        self.account_id = account_id
        self.base_currency = base_currency
        self.leverage = leverage
        self._leverage_of = {InstrumentId(name): each for name, each in (leverages or {}).items()}
        self.leverages = tuple(self._leverage_of.items())
        for each in (leverage, *self._leverage_of.values()):
            if each < 1:
                raise ConfigError(f"leverage must be 1 or more; got {each}")
        self.round_money = round_money
        self.convert = convert
        self._is_hedging = order_management is OrderManagement.HEDGING
        self._fee = fee
        self._open_books(starting_balances)

    def _open_books(self, balances: list[Money]) -> None:
        """Make what this kind of account keeps."""
        self._totals: dict[str, Decimal] = {}
        self._currencies: dict[str, Currency] = {}
        self._missing_rates: set[str] = set()
        self._locks: dict[ClientOrderId, tuple[str, Decimal]] = {}
        self._locked: dict[str, Decimal] = {}
        for money in balances:
            self._move(money.currency, money.amount)

    @property
    def missing_rates(self) -> list[str]:
        """Return the rates that were missing, as `FROM/TO`: those amounts kept their currency."""
        return sorted(self._missing_rates)

    def leverage_of(self, instrument_id: InstrumentId) -> Decimal:
        """Return what divides the margins of an instrument."""
        return self._leverage_of.get(instrument_id, self.leverage)

    @abstractmethod
    def apply_fill(self, instrument: Instrument, fill: OrderFilled) -> None:
        """Move the balances by one fill."""

    @abstractmethod
    def lock_order(
        self,
        client_order_id: ClientOrderId,
        strategy_id: StrategyId,
        instrument: Instrument,
        signed_quantity: Decimal,
        price: Decimal,
        position_id: PositionId | None = None,
    ) -> None:
        """Lock what a resting order ties up, in place of what it did before.

        Its quantity is what is still to be filled, negative for a sale; `position_id` is the
        position it is for, where the venue keeps several (HEDGING).
        """

    def position_for(
        self,
        client_order_id: ClientOrderId,  # noqa: ARG002  # a cash account keeps no positions
        position_id: PositionId | None,
    ) -> PositionId | None:
        """Return the position that an order's next fill belongs to, as far as an account knows."""
        return position_id

    def apply_funding(
        self,
        instrument: Instrument,  # noqa: ARG002  # a cash account holds nothing that is funded
        rate: Decimal,  # noqa: ARG002
        price: Decimal,  # noqa: ARG002
    ) -> list[FundingPayment]:
        """Move the balance by the funding of each position in an instrument; longs pay `rate`.

        A position pays `notional(signed quantity, price) * rate`, in the settlement currency.

        Args:
            instrument: A perpetual.
            rate: A share of notional; negative: shorts pay.
            price: At which the notional is taken, the mark or index price.

        Returns:
            What each position received or paid, before any conversion.
        """
        return []

    def unlock_order(self, client_order_id: ClientOrderId) -> bool:
        """Free what an order that is over tied up; return whether there was anything."""
        return self._unlock(client_order_id)

    def _lock(self, client_order_id: ClientOrderId, unit: Currency, amount: Decimal) -> None:
        self._unlock(client_order_id)
        if amount:
            if self.base_currency is not None:
                unit, amount = self._kept(unit, amount)
            self._currencies.setdefault(unit.code, unit)
            self._totals.setdefault(unit.code, ZERO)
            self._locks[client_order_id] = unit.code, amount
            self._locked[unit.code] = self._locked.get(unit.code, ZERO) + amount

    def _unlock(self, client_order_id: ClientOrderId) -> bool:
        lock = self._locks.pop(client_order_id, None)
        if lock is None:
            return False
        if self._locks:
            self._locked[lock[0]] -= lock[1]
        else:
            self._locked.clear()  # what rounding to 28 digits left must not add up
        return True

    def restore(self, balances: Sequence[Balance]) -> None:
        """Hold these totals, whatever fills brought; what orders tie up stays as it is."""
        self._missing_rates.clear()
        self._totals = {balance.currency.code: balance.total for balance in balances}
        self._currencies.update({one.currency.code: one.currency for one in balances})

    def margins(self) -> tuple[MarginBalance, ...]:
        """Return the margins of positions; none in a cash account."""
        return ()

    def state(self, ts_ns: int) -> AccountState:
        """Return balances and margins as an event."""
        margins = self.margins()
        locked = self._locked
        if margins:
            locked = dict(locked)
            for margin in margins:
                unit, amount = margin.currency, margin.maintenance
                if self.base_currency is not None:
                    unit, amount = self._kept(unit, amount)
                    self._add(unit, ZERO)
                locked[unit.code] = locked.get(unit.code, ZERO) + amount
        balances = [
            Balance(self._currencies[code], total, locked.get(code, ZERO))
            for code, total in self._totals.items()
        ]
        return AccountState(
            account_id=self.account_id,
            account_type=self.account_type,
            base_currency=self.base_currency,
            leverage=self.leverage,
            leverages=self.leverages,
            balances=tuple(balances),
            margins=margins,
            ts_event=ts_ns,
            ts_init=ts_ns,
        )

    def _move(self, unit: Currency, amount: Decimal) -> None:
        """Add to a balance, in the base currency if there is one."""
        if self.base_currency is not None:
            unit, amount = self._kept(unit, amount)
        self._add(unit, amount)

    def _kept(self, unit: Currency, amount: Decimal) -> tuple[Currency, Decimal]:
        """Return an amount in the currency it is kept in: the base one if its rate is known."""
        base = self.base_currency
        if base is None or unit == base:
            return unit, amount
        converted = None if self.convert is None else self.convert(amount, unit, base)
        if converted is None:
            self._missing_rates.add(f"{unit.code}/{base.code}")
            return unit, amount
        return base, converted

    def _add(self, unit: Currency, amount: Decimal) -> None:
        if self.round_money:
            amount = round_to_digits(amount, unit)
        code = unit.code
        self._currencies.setdefault(code, unit)
        self._totals[code] = self._totals.get(code, ZERO) + amount


def _check_balances(
    account_id: AccountId, balances: list[Money], base_currency: Currency | None
) -> None:
    if not balances:
        raise ConfigError(f"account {account_id} needs a starting balance, such as '1_000_000 USD'")
    for money in balances:
        if money.amount < 0:
            raise ConfigError(f"a starting balance must not be negative; got {money}")
        if base_currency not in (None, money.currency):
            raise ConfigError(
                f"account {account_id} is kept in {base_currency} alone; its starting balance must"
                f" be in {base_currency}, or leave base_currency out; got {money}"
            )


class CashAccount(Account):
    """An account that trades what it has.

    What is bought stays what it is: only money (notional, commissions) is turned into a base
    currency, never the currency that a pair was bought for. Such an account had better trade no
    pairs: see `holding_refusal`.
    """

    account_type = AccountType.CASH
    locks_reductions = True

    def apply_fill(self, instrument: Instrument, fill: OrderFilled) -> None:
        """Exchange base for quote, or money for shares."""
        sign = fill.side.sign
        worth = instrument.notional(fill.quantity, fill.price)
        self._move(instrument.settlement_currency, -sign * worth)
        if instrument.base_currency is not None:
            self._add(instrument.base_currency, sign * fill.quantity * instrument.multiplier)
        self._move(fill.commission_currency, -fill.commission)

    def lock_order(
        self,
        client_order_id: ClientOrderId,
        strategy_id: StrategyId,  # noqa: ARG002  # it is not said whose money it is
        instrument: Instrument,
        signed_quantity: Decimal,
        price: Decimal,
        position_id: PositionId | None = None,  # noqa: ARG002
    ) -> None:
        """Lock the notional and fee of a buy, the base quantity of a sale; shares are no money."""
        need = cash_need(instrument, signed_quantity, price, self._fee)
        if need.currency is None:
            self._unlock(client_order_id)
        else:
            self._lock(client_order_id, need.currency, need.amount)


class MarginAccount(Account):
    """An account whose balance moves by realised profit.

    With HEDGING long and short of one strategy stand side by side, and both need margin. What a
    fill has beyond the position it names goes to the one of its order's own.

    A resting order locks initial margin for what it adds to its strategy's position: all of it, or
    against a position what is left of `growth_of` after the older orders of its side. That is
    worked out anew when the position or these orders change.
    """

    account_type = AccountType.MARGIN
    locks_reductions = False

    def _open_books(self, balances: list[Money]) -> None:
        super()._open_books(balances)
        self._holdings: dict[_Key, Holding] = {}
        self._resting: dict[_Key, dict[ClientOrderId, RestingOrder]] = {}
        self._keys: dict[ClientOrderId, _Key] = {}
        self._ended: set[PositionId | None] = set()  # hedged positions that were closed
        self._margins: tuple[MarginBalance, ...] | None = ()

    def apply_fill(self, instrument: Instrument, fill: OrderFilled) -> None:
        """Net the fill into its position and move the balance by what that realised."""
        unit = instrument.settlement_currency
        if fill.commission_currency == unit:
            commission = fill.commission
        else:
            commission = ZERO
            self._move(fill.commission_currency, -fill.commission)
        if self.round_money:
            commission = round_to_digits(commission, unit)
        signed = fill.quantity if fill.side is OrderSide.BUY else -fill.quantity
        if self._is_hedging:
            profit = self._fill_hedged(instrument, fill, signed)
        else:
            key = (fill.instrument_id, fill.strategy_id, None)
            profit = self._fill(key, instrument, signed, fill.price)
        self._move(unit, profit - commission)

    def position_for(
        self, client_order_id: ClientOrderId, position_id: PositionId | None
    ) -> PositionId | None:
        """Return the position that an order's next fill belongs to; None with NETTING.

        With HEDGING the one it names, or once that is closed, or without a name, the order's own;
        where that was closed, too, its next.
        """
        if not self._is_hedging:
            return None
        if position_id is None or position_id in self._ended:
            own = position_id = own_position_id(client_order_id)
            number = 1
            while position_id in self._ended:
                number += 1
                position_id = PositionId(f"{own}-{number}")
        return position_id

    def _fill_hedged(self, instrument: Instrument, fill: OrderFilled, signed: Decimal) -> Decimal:
        named = self.position_for(fill.client_order_id, fill.position_id)
        key = (fill.instrument_id, fill.strategy_id, named)
        holding = self._holdings.get(key)
        held = ZERO if holding is None else holding.quantity
        if held * signed >= 0 or abs(signed) <= abs(held):
            return self._fill(key, instrument, signed, fill.price)
        profit = self._fill(key, instrument, -held, fill.price)
        own = self.position_for(fill.client_order_id, None)
        rest = (fill.instrument_id, fill.strategy_id, own)
        return profit + self._fill(rest, instrument, signed + held, fill.price)

    def _fill(self, key: _Key, instrument: Instrument, signed: Decimal, price: Decimal) -> Decimal:
        """Net a fill into one position and return its profit before commission."""
        holding = self._holdings.get(key)
        if holding is None:
            holding = self._holdings[key] = Holding(instrument)
        profit = holding.fill(signed, price)
        if not holding.quantity:
            del self._holdings[key]
            if self._is_hedging:
                self._ended.add(key[2])
        if holding.has_margin:
            self._margins = None
        if key in self._resting:
            self._relock(key)
        return profit

    def apply_funding(
        self, instrument: Instrument, rate: Decimal, price: Decimal
    ) -> list[FundingPayment]:
        """Move the balance by the funding of each position in an instrument; longs pay `rate`."""
        unit = instrument.settlement_currency
        payments: list[FundingPayment] = []
        for (instrument_id, strategy_id, position_id), holding in self._holdings.items():
            if instrument_id == instrument.id:
                amount = -rate * instrument.notional(holding.quantity, price)
                if self.round_money:
                    amount = round_to_digits(amount, unit)
                self._move(unit, amount)
                payments.append(FundingPayment(strategy_id, position_id, amount, unit))
        return payments

    def lock_order(
        self,
        client_order_id: ClientOrderId,
        strategy_id: StrategyId,
        instrument: Instrument,
        signed_quantity: Decimal,
        price: Decimal,
        position_id: PositionId | None = None,
    ) -> None:
        """Lock the initial margin of what the order adds to its position."""
        if not instrument.margin_init:
            return
        named = self.position_for(client_order_id, position_id)
        key = self._keys[client_order_id] = (instrument.id, strategy_id, named)
        resting = self._resting.setdefault(key, {})
        resting[client_order_id] = RestingOrder(instrument, signed_quantity, price)
        self._relock(key)

    def unlock_order(self, client_order_id: ClientOrderId) -> bool:
        """Free what an order that is over tied up; return whether there was such an order."""
        key = self._keys.pop(client_order_id, None)
        if key is None:
            return False
        self._unlock(client_order_id)
        resting = self._resting[key]
        del resting[client_order_id]
        if resting:
            self._relock(key)
        else:
            del self._resting[key]
        return True

    def _relock(self, key: _Key) -> None:
        """Lock what the resting orders for a position add to it as it is."""
        holding = self._holdings.get(key)
        held = ZERO if holding is None else holding.quantity
        before = ZERO
        for client_order_id, order in self._resting[key].items():
            growth = abs(order.signed)
            if held * order.signed < 0:
                before, growth = before + growth, growth_of(held, before, growth)
            if growth != order.growth:
                order.growth = growth
                instrument = order.instrument
                leverage = self._leverage_of.get(instrument.id, self.leverage)
                amount = initial_margin(instrument, growth, order.price, leverage)
                self._lock(client_order_id, instrument.settlement_currency, amount)

    def margins(self) -> tuple[MarginBalance, ...]:
        """Return the margins of open positions by instrument, at their average open price."""
        if self._margins is None:
            self._margins = self._margins_now() if self._holdings else ()
        return self._margins

    def _margins_now(self) -> tuple[MarginBalance, ...]:
        worth: dict[InstrumentId, tuple[Instrument, Decimal]] = {}
        for holding in self._holdings.values():
            if holding.has_margin:
                instrument = holding.instrument
                amount = instrument.notional(abs(holding.quantity), holding.average)
                _, before = worth.get(instrument.id, (instrument, ZERO))
                leverage = self._leverage_of.get(instrument.id, self.leverage)
                worth[instrument.id] = instrument, before + amount / leverage
        return tuple(
            MarginBalance(
                instrument.id,
                instrument.settlement_currency,
                amount * instrument.margin_init,
                amount * instrument.margin_maint,
            )
            for instrument, amount in worth.values()
        )


ACCOUNT_TYPES: dict[AccountType, Callable[..., Account]] = {
    AccountType.CASH: CashAccount,
    AccountType.MARGIN: MarginAccount,
}
"""Which class keeps an account of which type."""

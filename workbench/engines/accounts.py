"""Account arithmetic: what a fill, a resting order and a position do to balances and margins.

MARGIN: balance = start + sum of realised profit (commissions included); resting orders lock
initial margin of what they add to a position, positions maintenance margin, both divided by
leverage. CASH, per currency: balance = start + signed flows - commissions; resting orders lock
what they would spend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal

from workbench.model.enums import AccountType, OrderSide
from workbench.model.errors import ConfigError
from workbench.model.events import AccountState, Balance, MarginBalance, OrderFilled
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    StrategyId,
)
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO, Currency, Money, round_to_digits
from workbench.model.positions import average_price

_Key = tuple[InstrumentId, StrategyId]


class Account(ABC):
    """Balances of one account, moved by fills.

    Args:
        account_id: Its name.
        starting_balances: What it holds at first.
        base_currency: The one currency it is kept in, or None for several.
        leverage: Divides margins.
        round_money: Round each fill's money to the currency's digits, as some venues do.
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
        round_money: bool = False,
    ) -> None:
        if not starting_balances:
            raise ConfigError(
                f"account {account_id} needs a starting balance, such as '1_000_000 USD'"
            )
        self.account_id = account_id
        self.base_currency = base_currency
        self.leverage = leverage
        self.round_money = round_money
        self._totals: dict[str, Decimal] = {}
        self._currencies: dict[str, Currency] = {}
        for money in starting_balances:
            if money.amount < 0:
                raise ConfigError(f"a starting balance must not be negative; got {money}")
            self._move(money.currency, money.amount)
        self._locks: dict[ClientOrderId, tuple[str, Decimal]] = {}
        self._locked: dict[str, Decimal] = {}

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
    ) -> None:
        """Lock what a resting order ties up, in place of what it did before.

        Its quantity is what is still to be filled, negative for a sale.
        """

    def unlock_order(self, client_order_id: ClientOrderId) -> bool:
        """Free what an order that is over tied up; return whether there was anything."""
        return self._unlock(client_order_id)

    def _lock(self, client_order_id: ClientOrderId, unit: Currency, amount: Decimal) -> None:
        self._unlock(client_order_id)
        if amount:
            self._currencies.setdefault(unit.code, unit)
            self._totals.setdefault(unit.code, ZERO)
            self._locks[client_order_id] = unit.code, amount
            self._locked[unit.code] = self._locked.get(unit.code, ZERO) + amount

    def _unlock(self, client_order_id: ClientOrderId) -> bool:
        lock = self._locks.pop(client_order_id, None)
        if lock is None:
            return False
        self._locked[lock[0]] -= lock[1]
        return True

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
                code = margin.currency.code
                locked[code] = locked.get(code, ZERO) + margin.maintenance
        balances = [
            Balance(self._currencies[code], total, locked.get(code, ZERO))
            for code, total in self._totals.items()
        ]
        return AccountState(
            account_id=self.account_id,
            account_type=self.account_type,
            base_currency=self.base_currency,
            leverage=self.leverage,
            balances=tuple(balances),
            margins=margins,
            ts_event=ts_ns,
            ts_init=ts_ns,
        )

    def _move(self, unit: Currency, amount: Decimal) -> None:
        if self.round_money:
            amount = round_to_digits(amount, unit)
        code = unit.code
        self._currencies.setdefault(code, unit)
        self._totals[code] = self._totals.get(code, ZERO) + amount


class CashAccount(Account):
    """An account that trades what it has."""

    account_type = AccountType.CASH
    locks_reductions = True

    def apply_fill(self, instrument: Instrument, fill: OrderFilled) -> None:
        """Exchange base for quote, or money for shares."""
        sign = fill.side.sign
        worth = instrument.notional(fill.quantity, fill.price)
        self._move(instrument.settlement_currency, -sign * worth)
        if instrument.base_currency is not None:
            self._move(instrument.base_currency, sign * fill.quantity * instrument.multiplier)
        self._move(fill.commission_currency, -fill.commission)

    def lock_order(
        self,
        client_order_id: ClientOrderId,
        strategy_id: StrategyId,  # noqa: ARG002  # it is not said whose money it is
        instrument: Instrument,
        signed_quantity: Decimal,
        price: Decimal,
    ) -> None:
        """Lock the notional of a buy, the base quantity of a sale; sold shares are no money."""
        unit, amount = instrument.settlement_currency, ZERO
        if signed_quantity > 0:
            amount = instrument.notional(signed_quantity, price)
        elif instrument.base_currency is not None:
            unit, amount = instrument.base_currency, -signed_quantity * instrument.multiplier
        self._lock(client_order_id, unit, amount)


class _Holding:
    """What one strategy holds of one instrument: enough to say what a fill realises."""

    __slots__ = ("average", "instrument", "quantity")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
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


class _Resting:
    """A resting order, and how much of it is taken to add to its strategy's position."""

    __slots__ = ("growth", "instrument", "price", "signed")

    def __init__(self, instrument: Instrument, signed: Decimal, price: Decimal) -> None:
        self.instrument = instrument
        self.signed = signed
        self.price = price
        self.growth: Decimal | None = None


class MarginAccount(Account):
    """An account whose balance moves by realised profit.

    A resting order locks initial margin for what it adds to its strategy's position: all of it, or
    against a position what is left of `growth_of` after the older orders of its side. That is
    worked out anew when the position or these orders change.
    """

    account_type = AccountType.MARGIN
    locks_reductions = False

    def __init__(
        self,
        account_id: AccountId,
        starting_balances: list[Money],
        *,
        base_currency: Currency | None = None,
        leverage: Decimal = Decimal(1),
        round_money: bool = False,
    ) -> None:
        super().__init__(
            account_id,
            starting_balances,
            base_currency=base_currency,
            leverage=leverage,
            round_money=round_money,
        )
        self._holdings: dict[_Key, _Holding] = {}
        self._resting: dict[_Key, dict[ClientOrderId, _Resting]] = {}
        self._keys: dict[ClientOrderId, _Key] = {}

    def apply_fill(self, instrument: Instrument, fill: OrderFilled) -> None:
        """Net the fill into its strategy's position and move the balance by what that realised."""
        key = (fill.instrument_id, fill.strategy_id)
        unit = instrument.settlement_currency
        if fill.commission_currency == unit:
            commission = fill.commission
        else:
            commission = ZERO
            self._move(fill.commission_currency, -fill.commission)
        if self.round_money:
            commission = round_to_digits(commission, unit)
        holding = self._holdings.get(key)
        if holding is None:
            holding = self._holdings[key] = _Holding(instrument)
        signed = fill.quantity if fill.side is OrderSide.BUY else -fill.quantity
        self._move(unit, holding.fill(signed, fill.price) - commission)
        if not holding.quantity:
            del self._holdings[key]
        if key in self._resting:
            self._relock(key)

    def lock_order(
        self,
        client_order_id: ClientOrderId,
        strategy_id: StrategyId,
        instrument: Instrument,
        signed_quantity: Decimal,
        price: Decimal,
    ) -> None:
        """Lock the initial margin of what the order adds to the position."""
        if not instrument.margin_init:
            return
        key = self._keys[client_order_id] = (instrument.id, strategy_id)
        resting = self._resting.setdefault(key, {})
        resting[client_order_id] = _Resting(instrument, signed_quantity, price)
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
        """Lock what a strategy's resting orders of an instrument add to its position as it is."""
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
                worth = instrument.notional(growth, order.price)
                amount = worth * instrument.margin_init / self.leverage
                self._lock(client_order_id, instrument.settlement_currency, amount)

    def margins(self) -> tuple[MarginBalance, ...]:
        """Return the margins of open positions by instrument, at their average open price."""
        worth: dict[InstrumentId, tuple[Instrument, Decimal]] = {}
        for holding in self._holdings.values():
            instrument = holding.instrument
            if instrument.margin_init or instrument.margin_maint:
                amount = instrument.notional(abs(holding.quantity), holding.average)
                _, before = worth.get(instrument.id, (instrument, ZERO))
                worth[instrument.id] = instrument, before + amount / self.leverage
        if not worth:
            return ()
        return tuple(
            MarginBalance(
                instrument.id,
                instrument.settlement_currency,
                amount * instrument.margin_init,
                amount * instrument.margin_maint,
            )
            for instrument, amount in worth.values()
        )


def growth_of(held: Decimal, before: Decimal, quantity: Decimal) -> Decimal:
    """Return how much larger a position an order against it may leave, once others have filled.

    A position of `held` (signed) is as large as ever when twice of it was traded against it; what
    is beyond adds to it. `before` of the other orders count first, `quantity` is the order's.

    >>> [growth_of(Decimal(10), Decimal(before), Decimal(15)) for before in (0, 15)]
    [Decimal('0'), Decimal('10')]
    """
    turned = 2 * abs(held)
    return max(ZERO, before + quantity - turned) - max(ZERO, before - turned)


ACCOUNT_TYPES: dict[AccountType, Callable[..., Account]] = {
    AccountType.CASH: CashAccount,
    AccountType.MARGIN: MarginAccount,
}
"""Which class keeps an account of which type."""

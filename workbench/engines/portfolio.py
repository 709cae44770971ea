"""The portfolio: what is held, what it is worth, and which prices and rates are missing for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from workbench.engines.cache import Cache
from workbench.engines.rates import Rates
from workbench.model.enums import AccountType, OrderSide
from workbench.model.errors import ConfigError, PriceError
from workbench.model.events import AccountState, Balance
from workbench.model.identifiers import AccountId, InstrumentId
from workbench.model.money import ZERO, Currency
from workbench.model.money import currency as known_currency
from workbench.model.positions import Position

ClosingPrice = Callable[[InstrumentId, OrderSide], float | Decimal | None]
"""Says at which price an order of a side would close a position now; None where it is not known."""


class Portfolio:
    """Answers about accounts and positions, over all of them or over what is asked for.

    `instrument_id`, `strategy_id`, `account_id` and `venue` narrow an answer down. Amounts come by
    currency code and are not converted; what has no price is left out, and `missing_prices` names
    it. With `currency=` the answer has that currency alone, everything converted at the middle
    prices known now (`rates`); as one sum that lacks a part would mislead, a price or rate that is
    missing then raises `PriceError`, which names all that are. No answer takes longer for
    positions that are closed.

    Args:
        cache: Where orders, positions, accounts and prices are.
        rates: Rates of exchange; by default those of the cache's prices.
        closing_price: What values open positions; by default what closing them would bring, a long
            one at the bid and a short one at the ask. Mark prices would be another choice.

    Attributes:
        rates: Rates of exchange; `rates.fix("USDT", "USD", 1)` adds what no price says.
        closing_price: As given; may be set at any time.

    >>> Portfolio(Cache()).total_pnl(currency="USD")
    {'USD': Decimal('0')}
    """

    def __init__(
        self,
        cache: Cache,
        rates: Rates | None = None,
        closing_price: ClosingPrice | None = None,
    ) -> None:
        self.rates = Rates(cache) if rates is None else rates
        self.closing_price: ClosingPrice = closing_price or cache.price_to
        self._cache = cache
        self._realized: dict[tuple[str, str, str, str], Decimal] = {}

    def add_realized(self, position: Position, amount: Decimal) -> None:
        """Count realised profit (commissions included) of a position."""
        instrument = position.instrument
        unit = instrument.settlement_currency.code
        key = (instrument.id, position.strategy_id, position.account_id, unit)
        self._realized[key] = self._realized.get(key, ZERO) + amount

    # Accounts

    def balances(
        self,
        venue: str | None = None,
        *,
        account_id: str | None = None,
        currency: str | Currency | None = None,
    ) -> dict[str, Balance]:
        """Return balances by currency code, of all accounts that are asked for together.

        Raises:
            PriceError: If `currency` is given and a rate is missing.
        """
        found: dict[str, Balance] = {}
        for account in self._accounts(venue, account_id):
            for balance in account.balances:
                code = balance.currency.code
                before = found.get(code)
                if before is not None:
                    total, locked = balance.total + before.total, balance.locked + before.locked
                    balance = Balance(balance.currency, total, locked)
                found[code] = balance
        if currency is None:
            return found
        unit = known_currency(currency)
        totals = self.rates.total({code: b.total for code, b in found.items()}, unit)
        locked = self.rates.total({code: b.locked for code, b in found.items()}, unit)
        return {unit.code: Balance(unit, totals, locked)}

    def locked(
        self,
        venue: str | None = None,
        *,
        account_id: str | None = None,
        currency: str | Currency | None = None,
    ) -> dict[str, Decimal]:
        """Return what orders and positions lock, by currency code (see `balances`)."""
        amounts = {c: b.locked for c, b in self.balances(venue, account_id=account_id).items()}
        return self._in(currency, amounts)

    def margins(
        self,
        venue: str | None = None,
        *,
        account_id: str | None = None,
        currency: str | Currency | None = None,
    ) -> dict[InstrumentId, tuple[Decimal, Decimal]]:
        """Return (initial, maintenance) margin by instrument, in its settlement currency.

        Raises:
            PriceError: If `currency` is given and a rate is missing.
        """
        found: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
        for account in self._accounts(venue, account_id):
            for margin in account.margins:
                code = margin.currency.code
                initial = self._one(currency, code, margin.initial)
                maintenance = self._one(currency, code, margin.maintenance)
                before = found.get(margin.instrument_id, (ZERO, ZERO))
                found[margin.instrument_id] = before[0] + initial, before[1] + maintenance
        return found

    def equity(
        self,
        venue: str | None = None,
        *,
        account_id: str | None = None,
        currency: str | Currency | None = None,
    ) -> dict[str, Decimal]:
        """Return what accounts are worth, by currency code.

        A margin account: its balances and the unrealised profit of its positions. A cash account:
        its balances, which hold the currencies that were bought, and the present value of shares.

        Raises:
            PriceError: If `currency` is given and a price or rate is missing.
        """
        accounts = self._accounts(venue, account_id)
        worth: dict[str, Decimal] = {}
        for account in accounts:
            for balance in account.balances:
                code = balance.currency.code
                worth[code] = worth.get(code, ZERO) + balance.total
        kinds = {account.account_id: account.account_type for account in accounts}
        valued = [p for p in self._cache.positions_open() if _adds_to_equity(p, kinds)]
        for position, price in self._priced(valued, currency):
            unit = position.instrument.settlement_currency.code
            if kinds[position.account_id] is AccountType.MARGIN:
                amount = position.unrealized_pnl(price)
            else:
                amount = position.instrument.notional(position.signed_quantity, price)
            worth[unit] = worth.get(unit, ZERO) + amount
        return self._in(currency, worth)

    # Positions

    def net_position(
        self,
        instrument_id: str,
        strategy_id: str | None = None,
        *,
        account_id: str | None = None,
    ) -> Decimal:
        """Return the signed quantity held, long and short netted."""
        if account_id is None:
            return self._cache.net_quantity(instrument_id, strategy_id)
        held = self._open(instrument_id, strategy_id, account_id)
        return sum((position.signed_quantity for position in held), ZERO)

    def is_flat(
        self,
        instrument_id: str | None = None,
        strategy_id: str | None = None,
        *,
        account_id: str | None = None,
        venue: str | None = None,
    ) -> bool:
        """Return whether nothing is held that could be closed.

        A long beside an equal short is not flat. What is below an instrument's step is: a fee taken
        in the base currency may leave it, nobody can sell it, and its position stays open.
        """
        return not any(
            abs(position.signed_quantity) >= position.instrument.quantity_increment
            for position in self._open(instrument_id, strategy_id, account_id, venue)
        )

    def realized_pnl(
        self,
        instrument_id: str | None = None,
        strategy_id: str | None = None,
        *,
        account_id: str | None = None,
        venue: str | None = None,
        currency: str | Currency | None = None,
    ) -> dict[str, Decimal]:
        """Return realised profit, commissions in the settlement currency included.

        Raises:
            PriceError: If `currency` is given and a rate is missing.
        """
        total: dict[str, Decimal] = {}
        for (instrument, strategy, account, unit), amount in self._realized.items():
            if (
                instrument_id in (None, instrument)
                and strategy_id in (None, strategy)
                and account_id in (None, account)
                and (venue is None or instrument.endswith(f".{venue}"))
            ):
                total[unit] = total.get(unit, ZERO) + amount
        return self._in(currency, total)

    def unrealized_pnl(
        self,
        instrument_id: str | None = None,
        strategy_id: str | None = None,
        *,
        account_id: str | None = None,
        venue: str | None = None,
        currency: str | Currency | None = None,
        price: Decimal | None = None,
    ) -> dict[str, Decimal]:
        """Return the profit of closing every open position now, or at `price`.

        Raises:
            PriceError: If `currency` is given and a price or rate is missing.
            ConfigError: If `price` is given without `instrument_id`.
        """
        held = self._open(instrument_id, strategy_id, account_id, venue)
        total: dict[str, Decimal] = {}
        for position, closing in self._priced(held, currency, _of_one(price, instrument_id)):
            unit = position.instrument.settlement_currency.code
            total[unit] = total.get(unit, ZERO) + position.unrealized_pnl(closing)
        return self._in(currency, total)

    def total_pnl(
        self,
        instrument_id: str | None = None,
        strategy_id: str | None = None,
        *,
        account_id: str | None = None,
        venue: str | None = None,
        currency: str | Currency | None = None,
        price: Decimal | None = None,
    ) -> dict[str, Decimal]:
        """Return realised and unrealised profit together (see both)."""
        total = self.realized_pnl(
            instrument_id, strategy_id, account_id=account_id, venue=venue, currency=currency
        )
        unrealized = self.unrealized_pnl(
            instrument_id,
            strategy_id,
            account_id=account_id,
            venue=venue,
            currency=currency,
            price=price,
        )
        for unit, amount in unrealized.items():
            total[unit] = total.get(unit, ZERO) + amount
        return total

    def net_exposure(
        self,
        instrument_id: str | None = None,
        strategy_id: str | None = None,
        *,
        account_id: str | None = None,
        venue: str | None = None,
        currency: str | Currency | None = None,
        price: Decimal | None = None,
    ) -> dict[str, Decimal]:
        """Return the signed notional of open positions now or at `price`, longs less shorts.

        By settlement currency; an inverse contract's notional is in its base currency.

        Raises:
            PriceError: If `currency` is given and a price or rate is missing.
            ConfigError: If `price` is given without `instrument_id`.
        """
        held = self._open(instrument_id, strategy_id, account_id, venue)
        total: dict[str, Decimal] = {}
        for position, at in self._priced(held, currency, _of_one(price, instrument_id)):
            unit = position.instrument.settlement_currency.code
            worth = position.instrument.notional(position.signed_quantity, at)
            total[unit] = total.get(unit, ZERO) + worth
        return self._in(currency, total)

    def net_exposures(
        self,
        *,
        strategy_id: str | None = None,
        account_id: str | None = None,
        venue: str | None = None,
        currency: str | Currency | None = None,
    ) -> dict[InstrumentId, Decimal]:
        """Return the signed notional by instrument, in its settlement currency or in `currency`.

        Raises:
            PriceError: If `currency` is given and a price or rate is missing.
        """
        held = self._open(None, strategy_id, account_id, venue)
        found: dict[InstrumentId, Decimal] = {}
        for position, price in self._priced(held, currency):
            instrument = position.instrument
            worth = instrument.notional(position.signed_quantity, price)
            amount = self._one(currency, instrument.settlement_currency.code, worth)
            found[instrument.id] = found.get(instrument.id, ZERO) + amount
        return found

    # What is missing

    def missing_prices(
        self,
        instrument_id: str | None = None,
        strategy_id: str | None = None,
        *,
        account_id: str | None = None,
        venue: str | None = None,
    ) -> list[InstrumentId]:
        """Return the instruments held for which no price is known, sorted."""
        held = self._open(instrument_id, strategy_id, account_id, venue)
        return sorted({p.instrument_id for p in held if self._closing_price(p) is None})

    def missing_rates(self, currency: str | Currency) -> list[str]:
        """Return the rates, as `FROM/TO`, that converting every answer to `currency` would lack."""
        held = self._cache.positions_open()
        codes = {position.instrument.settlement_currency.code for position in held}
        codes.update(unit for (*_, unit), amount in self._realized.items() if amount)
        for account in self._cache.accounts():
            codes.update(b.currency.code for b in account.balances if b.total or b.locked)
            codes.update(margin.currency.code for margin in account.margins)
        return self.rates.missing(codes, currency)

    # How answers are made

    def _accounts(self, venue: str | None, account_id: str | None) -> list[AccountState]:
        found = self._cache.accounts() if venue is None else self._cache.accounts_at(venue)
        return [a for a in found if account_id in (None, a.account_id)]

    def _open(
        self,
        instrument_id: str | None,
        strategy_id: str | None,
        account_id: str | None,
        venue: str | None = None,
    ) -> list[Position]:
        held = self._cache.positions_open(instrument_id=instrument_id, strategy_id=strategy_id)
        if account_id is None and venue is None:
            return held
        return [
            position
            for position in held
            if account_id in (None, position.account_id)
            and venue in (None, position.instrument.venue)
        ]

    def _closing_price(self, position: Position) -> Decimal | None:
        side = OrderSide.SELL if position.signed_quantity > 0 else OrderSide.BUY
        price = self.closing_price(position.instrument_id, side)
        return None if price is None else position.instrument.price(price)

    def _priced(
        self,
        held: Iterable[Position],
        currency: str | Currency | None,
        price: Decimal | None = None,
    ) -> list[tuple[Position, Decimal]]:
        """Return positions with their prices; without one it is left out, or for a sum an error."""
        priced: list[tuple[Position, Decimal]] = []
        missing: set[str] = set()
        for position in held:
            at = self._closing_price(position) if price is None else price
            if at is None:
                missing.add(position.instrument_id)
            else:
                priced.append((position, at))
        if missing and currency is not None:
            raise PriceError(
                f"no price of {', '.join(sorted(missing))} is known, which is held; subscribe to"
                " its quotes, trades or bars, or ask without currency= for what is known"
            )
        return priced

    def _in(
        self, currency: str | Currency | None, amounts: dict[str, Decimal]
    ) -> dict[str, Decimal]:
        """Return amounts as they are, or as one sum of `currency`."""
        if currency is None:
            return amounts
        code = known_currency(currency).code
        return {code: self.rates.total(amounts, code)}

    def _one(self, currency: str | Currency | None, code: str, amount: Decimal) -> Decimal:
        return (
            amount if currency is None else next(iter(self._in(currency, {code: amount}).values()))
        )


def _adds_to_equity(position: Position, kinds: Mapping[AccountId, AccountType]) -> bool:
    """Return whether a position is worth something beside the balances of these accounts."""
    kind = kinds.get(position.account_id)
    # A cash account's balance holds a currency that was bought.
    return kind is AccountType.MARGIN or (
        kind is not None and position.instrument.base_currency is None
    )


def _of_one(price: Decimal | None, instrument_id: str | None) -> Decimal | None:
    if price is not None and instrument_id is None:
        raise ConfigError(f"a price is that of one instrument: pass instrument_id too; got {price}")
    return price

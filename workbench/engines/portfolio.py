"""The portfolio: what is held, what it is worth, and which prices are missing to say so."""

from __future__ import annotations

from decimal import Decimal

from workbench.engines.cache import Cache
from workbench.model.enums import AccountType, OrderSide
from workbench.model.events import AccountState, Balance
from workbench.model.identifiers import InstrumentId
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.model.positions import Position


class Portfolio:
    """Answers about accounts and positions; amounts are per currency code, never converted.

    Args:
        cache: Where orders, positions, accounts and prices are.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._realized: dict[tuple[str, str, str], Decimal] = {}

    def add_realized(self, position: Position, amount: Decimal) -> None:
        """Count realised profit (commissions included) of a position."""
        unit = position.instrument.settlement_currency.code
        key = (position.instrument_id, position.strategy_id, unit)
        self._realized[key] = self._realized.get(key, ZERO) + amount

    def balances(self, venue: str) -> dict[str, Balance]:
        """Return the balances of the account at a venue by currency code; empty without account."""
        account = self._cache.account_at(venue)
        return {} if account is None else {b.currency.code: b for b in account.balances}

    def locked(self, venue: str) -> dict[str, Decimal]:
        """Return what is locked at a venue by currency code."""
        return {code: balance.locked for code, balance in self.balances(venue).items()}

    def margins(self, venue: str) -> dict[InstrumentId, tuple[Decimal, Decimal]]:
        """Return (initial, maintenance) margin at a venue by instrument."""
        account = self._cache.account_at(venue)
        margins = () if account is None else account.margins
        return {m.instrument_id: (m.initial, m.maintenance) for m in margins}

    def net_position(self, instrument_id: str, strategy_id: str | None = None) -> Decimal:
        """Return the signed quantity held."""
        return self._cache.net_quantity(instrument_id, strategy_id)

    def realized_pnl(
        self, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> dict[str, Decimal]:
        """Return realised profit, commissions included, by currency code."""
        total: dict[str, Decimal] = {}
        for (instrument, strategy, unit), amount in self._realized.items():
            if instrument_id in (None, instrument) and strategy_id in (None, strategy):
                total[unit] = total.get(unit, ZERO) + amount
        return total

    def unrealized_pnl(
        self, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> dict[str, Decimal]:
        """Return the profit of closing every open position now, by currency code.

        Positions whose price is missing are left out: `missing_prices` names them.
        """
        total: dict[str, Decimal] = {}
        for position in self._open(instrument_id, strategy_id):
            price = self._closing_price(position)
            if price is not None:
                unit = position.instrument.settlement_currency.code
                total[unit] = total.get(unit, ZERO) + position.unrealized_pnl(price)
        return total

    def total_pnl(
        self, instrument_id: str | None = None, strategy_id: str | None = None
    ) -> dict[str, Decimal]:
        """Return realised and unrealised profit together, by currency code."""
        total = self.realized_pnl(instrument_id, strategy_id)
        for unit, amount in self.unrealized_pnl(instrument_id, strategy_id).items():
            total[unit] = total.get(unit, ZERO) + amount
        return total

    def net_exposure(self, instrument_id: str | None = None) -> dict[str, Decimal]:
        """Return the signed notional of open positions at present prices, by currency code."""
        total: dict[str, Decimal] = {}
        for position in self._open(instrument_id, None):
            price = self._closing_price(position)
            if price is not None:
                unit = position.instrument.settlement_currency.code
                worth = position.instrument.notional(position.signed_quantity, price)
                total[unit] = total.get(unit, ZERO) + worth
        return total

    def equity(self, venue: str) -> dict[str, Decimal]:
        """Return what the account at a venue is worth, by currency code.

        A margin account: its balances and the unrealised profit. A cash account: its balances,
        which hold what was bought, and the present value of shares, in their currency.
        """
        account = self._cache.account_at(venue)
        if account is None:
            return {}
        worth = {balance.currency.code: balance.total for balance in account.balances}
        for position in self._cache.positions_open():
            price = self._closing_price(position)
            if position.instrument.venue == venue and price is not None:
                unit = position.instrument.settlement_currency.code
                amount = _worth(account, position, position.instrument, price)
                worth[unit] = worth.get(unit, ZERO) + amount
        return worth

    def missing_prices(self) -> list[InstrumentId]:
        """Return the instruments held for which no price is known."""
        held = self._cache.positions_open()
        return sorted({p.instrument_id for p in held if self._closing_price(p) is None})

    def _open(self, instrument_id: str | None, strategy_id: str | None) -> list[Position]:
        return self._cache.positions_open(instrument_id=instrument_id, strategy_id=strategy_id)

    def _closing_price(self, position: Position) -> Decimal | None:
        side = OrderSide.SELL if position.signed_quantity > 0 else OrderSide.BUY
        price = self._cache.price_to(position.instrument_id, side)
        return None if price is None else position.instrument.price(price)


def _worth(
    account: AccountState, position: Position, instrument: Instrument, price: Decimal
) -> Decimal:
    if account.account_type is AccountType.MARGIN:
        return position.unrealized_pnl(price)
    if instrument.base_currency is not None:
        return ZERO
    return instrument.notional(position.signed_quantity, price)

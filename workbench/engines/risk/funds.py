"""Whether an account can bear an order: free balance (cash) or free margin.

A venue tells of a fill and of the balance it leaves one after the other. So a sale from a cash
account may use, whatever the balance says, what our own fills have brought to it and no resting
order sells (`Exposure.unsold_of`): never more than the larger of the two, less what is claimed by
orders on their way, so that sales together come to no more than what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from workbench.engines.cache import Cache
from workbench.engines.needs import Need, account_need, growth_of, holding_refusal
from workbench.engines.rates import Convert
from workbench.engines.risk.exposure import Claim, Exposure, pricing, rest_of
from workbench.engines.risk.refusals import Refusal
from workbench.model.enums import AccountType, ContingencyType
from workbench.model.events import AccountState, OrderInitialized
from workbench.model.identifiers import AccountId, ClientId, ClientOrderId
from workbench.model.instruments import Instrument
from workbench.model.money import ZERO
from workbench.model.orders import Order

_SIBLINGS = (ContingencyType.OCO, ContingencyType.OUO)


class Funds:
    """Compares what orders need with what is free and not claimed by others on their way.

    Args:
        cache: Where accounts, orders and positions are.
        exposure: Where claims are.
        convert: As the accounts' own; None where no rates are known.

    Attributes:
        makes_room: Whether what ties up the same as an order is cut back before it leaves.
    """

    def __init__(self, cache: Cache, exposure: Exposure, convert: Convert | None) -> None:
        self.makes_room: Callable[[OrderInitialized, AccountId], bool] = _never
        self._cache = cache
        self._exposure = exposure
        self._convert = convert

    def check(
        self, order: OrderInitialized, price: Decimal, instrument: Instrument
    ) -> Claim | Refusal:
        """Return what the order will tie up, or why the account cannot bear it.

        The account is the one that the command names, else that of the client which it names, else
        the venue's first.
        """
        client_id, account_id = self._exposure.client_id, self._exposure.account_id
        if client_id is None and account_id is None:
            account = self._cache.account_at(instrument.venue)
        else:
            account = self._cache.account_for(instrument.venue, client_id, account_id)
        if account is None:
            return self._no_account(instrument, client_id, account_id)
        if account.account_type is AccountType.MARGIN and not instrument.margin_init:
            return Claim(order, None, account.account_id)
        need = self._bearable(order, price, instrument, account)
        return need if isinstance(need, Refusal) else Claim(order, need, account.account_id)

    def _bearable(
        self, order: OrderInitialized, price: Decimal, instrument: Instrument, account: AccountState
    ) -> Need | Refusal | None:
        reason = holding_refusal(account.account_type, account.base_currency, instrument)
        if reason:
            return Refusal("ACCOUNT_TYPE", f"account {account.account_id}: {reason}")
        need = self._need(order, price, instrument, account)
        if need is None:
            return None
        own = ZERO
        if order.terms.contingency in _SIBLINGS:
            # Only one of them can fill: together they need what the dearest does.
            own = min(need.amount, self._of_siblings(order, need.unit, instrument, account))
        refusal = self._check_free(need, own, "its linked orders tie up", instrument, account)
        return refusal or (need if not own else need._replace(amount=need.amount - own))

    def check_growth(
        self, order: Order, rest: OrderInitialized, instrument: Instrument
    ) -> Refusal | None:
        """Return why the account cannot bear what an open order would tie up beyond what it does.

        What shrinks passes, whatever the account has.
        """
        account = self._account_of(order, instrument)
        if account is None:
            return self._no_account(instrument, None, order.account_id)
        price = pricing(rest)
        need = None if price is None else self._need(rest, price, instrument, account)
        if need is None:
            return None
        own = self._tied_up(order, instrument, account).amount + self._being_added(order).amount
        if need.amount <= own:
            return None
        return self._check_free(need, own, "it ties up", instrument, account)

    def _need(
        self, order: OrderInitialized, price: Decimal, instrument: Instrument, account: AccountState
    ) -> Need | None:
        """Return what an order ties up until it is filled."""
        growth = None
        if account.account_type is AccountType.MARGIN:
            if not instrument.margin_init or order.reduce_only:
                return None
            growth = self._growth(order)
        elif self._closes_parent(order) or (
            order.reduce_only and self.makes_room(order, account.account_id)
        ):
            return None
        return account_need(
            account,
            instrument,
            order.quantity if order.side.sign > 0 else -order.quantity,
            price,
            growth=growth,
            convert=self._convert,
        )

    def _growth(self, order: OrderInitialized) -> Decimal:
        """Return what the order adds to its position at worst."""
        held = self._exposure.held(order)
        if held * order.side.sign >= 0:
            return order.quantity
        # Orders that rest may close the position first; this one then opens another.
        before = self._exposure.working(order, with_reduce_only=False)
        return growth_of(held, before, order.quantity)

    def _closes_parent(self, order: OrderInitialized) -> bool:
        """Return whether a child sells what its parent buys, or the other way round."""
        parent = self._exposure.parent(order)
        return (
            parent is not None
            and parent.side is order.side.opposite
            and order.quantity <= parent.quantity
        )

    def _check_free(
        self, need: Need, own: Decimal, whose: str, instrument: Instrument, account: AccountState
    ) -> Refusal | None:
        """Return a refusal if a need is above what is free and what is tied up for it already."""
        if need.unit == instrument.id:
            free = self._exposure.unsold(instrument.id, account.account_id)
        else:
            free = _free(account, need.unit)
        claimed = self._claimed(need.unit, account.account_id)
        if need.amount - own <= free - claimed:
            return None
        if account.account_type is AccountType.CASH and need.unit == _sold(instrument):
            free = max(free, self._exposure.unsold_of(instrument, account.account_id))
        free -= claimed
        if need.amount - own <= free:
            return None
        of_own = f" beyond the {own} {whose}" if own else ""
        return Refusal(
            "INSUFFICIENT_FUNDS",
            f"needs {need.amount - own} {need.unit}{of_own}; {free} {need.unit} of"
            f" {account.account_id} is free",
        )

    def _account_of(self, order: Order, instrument: Instrument) -> AccountState | None:
        return self._cache.account_for(instrument.venue, None, order.account_id)

    def _no_account(
        self, instrument: Instrument, client_id: ClientId | None, account_id: AccountId | None
    ) -> Refusal:
        if account_id is not None:
            known = ", ".join(sorted(one.account_id for one in self._cache.accounts())) or "none"
            reason = f"account {account_id} has not told its balances; known: {known}"
            return Refusal("ACCOUNT_MISSING", reason)
        where = f"at {instrument.venue}" if client_id is None else f"of client {client_id!r}"
        return Refusal("ACCOUNT_MISSING", f"no account {where} is known")

    # What others tie up

    def _tied_up(self, order: Order, instrument: Instrument, account: AccountState) -> Need:
        """Return what the account shows of an open order, or what it claims."""
        claim = self._exposure.claims.get(order.client_order_id)
        price = pricing(order)
        if claim is not None:
            need = claim.need
        elif price is None or not order.is_open:
            need = None
        else:
            now = rest_of(order.to_initialized(), order)
            need = self._need(now, price, instrument, account)
        return _NOTHING if need is None else need

    def _of_siblings(
        self, order: OrderInitialized, unit: str, instrument: Instrument, account: AccountState
    ) -> Decimal:
        most = ZERO
        for other in order.terms.linked_order_ids:
            sibling = self._cache.order(other)
            if sibling is not None:
                need = self._tied_up(sibling, instrument, account)
                if need.unit == unit and need.amount > most:
                    most = need.amount
        return most

    def _being_added(self, order: Order) -> Need:
        """Return what modifications on their way may add to what an order ties up."""
        instrument = self._cache.require_instrument(order.instrument_id)
        account = self._account_of(order, instrument)
        most = _NOTHING
        if account is None:
            return most
        for change in self._exposure.changes.get(order.client_order_id, ()):
            price = pricing(change)
            rest = rest_of(change, order)
            need = None if price is None else self._need(rest, price, instrument, account)
            if need is not None and need.amount > most.amount:
                most = need
        shown = self._tied_up(order, instrument, account).amount
        return most._replace(amount=max(ZERO, most.amount - shown))

    def _claimed(self, unit: str, account_id: AccountId) -> Decimal:
        total = ZERO
        for claim in self._exposure.claims.values():
            need = claim.need
            if need is not None and need.unit == unit and claim.account_id == account_id:
                total += need.amount
        for client_order_id in self._exposure.changes:
            total += self._added(client_order_id, unit, account_id)
        return total

    def _added(self, client_order_id: ClientOrderId, unit: str, account_id: AccountId) -> Decimal:
        order = self._cache.order(client_order_id)
        if order is None or order.account_id not in (None, account_id):
            return ZERO
        added = self._being_added(order)
        return added.amount if added.unit == unit else ZERO


_NOTHING = Need("", ZERO)


def _never(_: OrderInitialized, __: AccountId) -> bool:
    return False


def _sold(instrument: Instrument) -> str:
    unit = instrument.base_currency
    return "" if unit is None else unit.code


def _free(account: AccountState, unit: str) -> Decimal:
    for balance in account.balances:
        if balance.currency.code == unit:
            return balance.free
    return ZERO

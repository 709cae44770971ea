"""What is held, what works, and what passed risk but is not shown by an account yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, Sequence, Set
from decimal import Decimal
from typing import NamedTuple

import msgspec

from workbench.engines.cache import Cache
from workbench.engines.needs import Need
from workbench.engines.reduce_only import linked
from workbench.engines.risk.definition import is_resting
from workbench.model.enums import OrderSide
from workbench.model.events import (
    OrderCancelRejected,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderSubmitted,
    OrderUpdated,
)
from workbench.model.identifiers import (
    AccountId,
    ClientId,
    ClientOrderId,
    InstrumentId,
    PositionId,
    StrategyId,
    Venue,
    venue_of,
)
from workbench.model.instruments import DERIVATIVES, Instrument
from workbench.model.money import ZERO
from workbench.model.orders import Order


class Claim(NamedTuple):
    """An order that passed and that its account does not show yet, with what it will tie up."""

    order: OrderInitialized
    need: Need | None
    account_id: AccountId | None


class Working(NamedTuple):
    """What an order that works, or is on its way, may still trade."""

    client_order_id: ClientOrderId
    definition: OrderInitialized | Order
    quantity: Decimal


_NOT_SHOWN_YET = (
    OrderSubmitted,
    OrderPendingUpdate,
    OrderPendingCancel,
    OrderModifyRejected,
    OrderCancelRejected,
)
"""Events after which an order that its account did not show still does not show there."""

_CODES_OF_ANSWERS = ("", "CAPABILITY_MISSING")
"""With which a change is refused after risk: by the venue, or for a client that cannot amend."""


def pricing(order: OrderInitialized | Order) -> Decimal | None:
    """Return the order's own price that values it: its limit, else its trigger."""
    return order.trigger_price if order.price is None else order.price


def rest_of(definition: OrderInitialized, order: Order) -> OrderInitialized:
    """Return a definition with what is still to be filled as its quantity."""
    rest = definition.quantity - order.filled_quantity
    return msgspec.structs.replace(definition, quantity=rest)


class Exposure:
    """Keeps the claims of orders on their way and answers what an order would add to what is there.

    Args:
        cache: What is known.

    Attributes:
        claims: Orders that passed and that their account does not show yet.
        changes: Modifications that passed and were not answered, oldest first, as what the order
            becomes.
        hedging: The accounts that keep positions apart.
        client_id: The client that the command being checked names.
        account_id: The account that it names, or its order is in.
        among: The account that it is for, where its venue has several: what is held and works in
            the others is left out. None where there is one.
        apart: The accounts that count together, apart from all others.
    """

    def __init__(self, cache: Cache) -> None:
        self.claims: dict[ClientOrderId, Claim] = {}
        self.changes: dict[ClientOrderId, deque[OrderInitialized]] = {}
        self.hedging: Container[AccountId] = frozenset[AccountId]()
        self.client_id: ClientId | None = None
        self.account_id: AccountId | None = None
        self.among: AccountId | None = None
        self.apart: Set[AccountId] = frozenset[AccountId]()
        self._cache = cache
        self._listed: dict[ClientOrderId, OrderInitialized] = {}

    # What happens to orders

    def on_event(self, event: OrderEvent) -> None:
        """Note what the account shows of an order from now on, or that it is over."""
        if self.changes:
            self._settle_changes(event)
        claim = self.claims.get(event.client_order_id)
        if claim is None or type(event) in _NOT_SHOWN_YET:
            return
        order = self._cache.order(event.client_order_id)
        if isinstance(event, OrderFilled) and order is not None and not order.is_closed:
            need = claim.need
            if need is not None:
                rest = need._replace(amount=need.amount * order.leaves_quantity / order.quantity)
                self.claims[event.client_order_id] = claim._replace(need=rest)
            return
        del self.claims[event.client_order_id]

    def _settle_changes(self, event: OrderEvent) -> None:
        changes = self.changes.get(event.client_order_id)
        if changes is None:
            return
        order = self._cache.order(event.client_order_id)
        is_refused = isinstance(event, (OrderModifyRejected, OrderCancelRejected))
        # What risk refused was never among the changes.
        left_out = is_refused and event.code not in _CODES_OF_ANSWERS
        is_unasked = isinstance(event, OrderUpdated) and event.is_unasked
        is_answer = isinstance(event, (OrderUpdated, OrderModifyRejected))
        if is_answer and not left_out and not is_unasked:
            changes.popleft()
        # Nothing follows a cancel: when the venue answers it, it has answered what came before.
        is_last = isinstance(event, OrderCancelRejected) and not left_out
        if not changes or is_last or order is None or order.is_closed:
            del self.changes[event.client_order_id]

    # The account

    def aim(self, venue: Venue, client_id: ClientId | None, account_id: AccountId | None) -> None:
        """Look at the account that a command is for, which names this client or account."""
        self.client_id = client_id
        self.account_id = account_id
        self.among = self._cache.account_among(venue, client_id, account_id)

    # Positions

    def examine(self, orders: Sequence[OrderInitialized]) -> None:
        """Count, for children among these orders, on what their parents will open; () for none."""
        self._listed = {order.client_order_id: order for order in orders}

    def parent(self, order: OrderInitialized) -> OrderInitialized | None:
        """Return the order of the list being examined whose fill this one waits for."""
        parent_id = order.terms.parent_order_id
        return None if parent_id is None else self._listed.get(parent_id)

    def held(self, order: OrderInitialized) -> Decimal:
        """Return the signed position that an order is for: its strategy's, in the order's account.

        Where positions are kept apart it is the one the order names, or else a new one. A parent in
        the list being examined counts with what it will add.
        """
        if order.position_id is not None or (self.hedging and self._is_hedged(order)):
            held = self._named(order.position_id)
        else:
            held = self._cache.net_quantity(order.instrument_id, order.strategy_id, self.among)
        if self._listed and (parent := self.parent(order)) is not None:
            held += parent.side.sign * parent.quantity
        return held

    def _is_hedged(self, order: OrderInitialized) -> bool:
        venue = venue_of(order.instrument_id)
        account = self._cache.account_for(venue, self.client_id, self.account_id)
        return account is not None and account.account_id in self.hedging

    def _named(self, position_id: PositionId | None) -> Decimal:
        position = None if position_id is None else self._cache.position(position_id)
        if position is None or self.among not in (None, position.account_id):
            return ZERO
        return position.signed_quantity

    def reduces(self, order: OrderInitialized, quantity: Decimal) -> bool:
        """Return whether trading `quantity` on the order's side shrinks or closes its position."""
        held = self.held(order)
        return held * order.side.sign < 0 and quantity <= abs(held)

    def shrinks(self, order: OrderInitialized) -> bool:
        """Return whether an order, with all that work beside it, only shrinks its position."""
        quantity = order.quantity
        if not order.reduce_only:
            # Together with what else is on its way it must not flip the position either.
            quantity += self.working(order)
        return self.reduces(order, quantity)

    # Orders

    def working(self, order: OrderInitialized, *, with_reduce_only: bool = True) -> Decimal:
        """Return what the strategy's other orders of that side and account are about to trade."""
        return sum(
            (
                other.quantity
                for other in self._works(order.instrument_id, order.strategy_id)
                if _counts_beside(other, order)
                and (with_reduce_only or not other.definition.reduce_only)
            ),
            ZERO,
        )

    def working_of_all(self, order: OrderInitialized) -> Decimal:
        """Return the same over all strategies, without what only reduces."""
        return sum(
            (
                other.quantity
                for other in self._works(order.instrument_id, None)
                if other.definition.side is order.side
                and other.client_order_id != order.client_order_id
                and not other.definition.reduce_only
            ),
            ZERO,
        )

    def _works(
        self, instrument_id: InstrumentId, strategy_id: StrategyId | None
    ) -> Iterator[Working]:
        seen: set[ClientOrderId] = set()
        among = self.among
        for order in self._cache.orders_open(instrument_id=instrument_id, strategy_id=strategy_id):
            seen.add(order.client_order_id)
            if among is None or order.account_id == among:
                yield Working(order.client_order_id, order, order.leaves_quantity)
        for name, claim in self.claims.items():
            definition = claim.order
            if (
                name not in seen
                and definition.instrument_id == instrument_id
                and strategy_id in (None, definition.strategy_id)
                and among in (None, claim.account_id)
            ):
                yield Working(name, definition, definition.quantity)

    def resting_beside(
        self, order: OrderInitialized, instrument_id: InstrumentId | None
    ) -> set[ClientOrderId]:
        """Return what rests or is on its way to rest, of an instrument or of all together.

        Of an instrument in the account that the order is for; all together in every account that
        counts with that one.
        """
        open_orders = self._cache.orders_open(instrument_id=instrument_id)
        if self._cache.has_one_account:
            accounts = None
            names = {one.client_order_id for one in open_orders}
        else:
            accounts = self._beside(order) if instrument_id is None else self._among
            names = {
                one.client_order_id
                for one in open_orders
                if accounts is None or one.account_id in accounts
            }
        names.update(
            name
            for name, claim in self.claims.items()
            if instrument_id in (None, claim.order.instrument_id)
            and is_resting(claim.order)
            and (accounts is None or claim.account_id in accounts)
        )
        return names

    @property
    def _among(self) -> tuple[AccountId, ...] | None:
        return None if self.among is None else (self.among,)

    def _beside(self, order: OrderInitialized) -> tuple[AccountId, ...] | None:
        """Return the accounts that count together with that of an order, None for all."""
        cache, apart = self._cache, self.apart
        if not cache.is_split_by(apart):
            return None
        is_apart = self.is_apart(order.instrument_id)
        return tuple(one for one in cache.registered_accounts() if (one in apart) is is_apart)

    def is_apart(self, instrument_id: InstrumentId) -> bool:
        """Return whether what is for an instrument counts apart from what is for other accounts."""
        if not self._cache.is_split_by(self.apart):
            return False
        venue = venue_of(instrument_id)
        mine = self._cache.account_id_for(venue, self.client_id, self.account_id)
        return mine is not None and mine in self.apart

    def unsold(self, instrument_id: InstrumentId, account_id: AccountId) -> Decimal:
        """Return what an account holds and no resting order sells; claims are not counted."""
        total = ZERO
        for position in self._cache.positions_open(instrument_id=instrument_id):
            if position.account_id == account_id:
                total += position.signed_quantity
        siblings: list[Order] = []
        for order in self._cache.orders_open(instrument_id=instrument_id):
            if (
                order.side is OrderSide.SELL
                and order.account_id == account_id
                and order.client_order_id not in self.claims
            ):
                if order.contingency is None:
                    total -= order.leaves_quantity
                else:
                    siblings.append(order)
        # Of linked ones only one can fill.
        for group in linked(siblings):
            total -= max(order.leaves_quantity for order in group)
        return total

    def unsold_of(self, instrument: Instrument, account_id: AccountId) -> Decimal:
        """Return what fills brought of an instrument's base currency and no resting order sells.

        Over all instruments of that currency; claims are not counted. 0 where something is traded
        for the currency in that account: how much of it is left, only the venue knows.
        """
        unit, total = instrument.base_currency, ZERO
        for other in self._cache.instruments():
            if other.venue != instrument.venue or isinstance(other, DERIVATIVES):
                continue
            if other.base_currency == unit:
                total += self.unsold(other.id, account_id) * other.multiplier
            elif other.settlement_currency == unit and self._is_traded(other.id, account_id):
                return ZERO
        return max(ZERO, total)

    def _is_traded(self, instrument_id: InstrumentId, account_id: AccountId) -> bool:
        """Return whether an account holds an instrument, or has an order for it on its way."""
        cache = self._cache
        found = (
            *cache.positions_open(instrument_id=instrument_id),
            *cache.orders_open(instrument_id=instrument_id),
        )
        return any(one.account_id == account_id for one in found) or any(
            claim.order.instrument_id == instrument_id and claim.account_id == account_id
            for claim in self.claims.values()
        )


def _counts_beside(other: Working, order: OrderInitialized) -> bool:
    named, mine = other.definition.position_id, order.position_id
    return (
        other.definition.side is order.side
        and other.client_order_id != order.client_order_id
        # Where both name a position, they count together only if it is the same.
        and (named is None or mine is None or named == mine)
    )

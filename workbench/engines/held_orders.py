"""An order that is held on our side, and what leaves when it is released."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from workbench.engines.triggers import TRIGGERED, Watch, make_watch, whole_ticks
from workbench.model.commands import ModifyOrder, SubmitOrder, SubmitOrderList, TradingCommand
from workbench.model.enums import OrderType, TriggerType
from workbench.model.events import OrderInitialized, OrderTerms
from workbench.model.identifiers import AccountId, ClientId, ClientOrderId
from workbench.model.instruments import Instrument
from workbench.model.orders import Order


class Stage(StrEnum):
    """What a held order waits for."""

    WAITING = "waiting"  # for its parent
    WATCHED = "watched"
    CLEARING = "clearing"  # for the end of what ties up the same
    RELEASING = "releasing"  # through risk


class Held(msgspec.Struct, eq=False):
    """An order that is held.

    Attributes:
        command: It came with, as an order of its own.
        quantity, price, trigger_price: As they are now.
        watch: Its trigger; None where the venue watches it once it is released.
        rivals: Linked orders that tie up the same: none of them may work when it leaves.
        is_sent: It was put before risk again.
        later: Commands that came while it was being released.
    """

    command: SubmitOrder
    definition: OrderInitialized
    instrument: Instrument
    sequence: int
    stage: Stage
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    watch: Watch | None = None
    since_ns: int = 0
    rivals: tuple[ClientOrderId, ...] = ()
    is_sent: bool = False
    later: list[TradingCommand] = []

    @property
    def named(self) -> tuple[ClientId | None, AccountId | None]:
        """Return the client and account that its command names."""
        return self.command.client_id, self.command.account_id

    def change(self, command: ModifyOrder) -> None:
        """Take what its owner wants of it from now on; its trigger counts as not reached yet."""
        if command.quantity is not None:
            self.quantity = command.quantity
        if command.price is not None:
            self.price = command.price
        if command.trigger_price is not None:
            self.trigger_price = command.trigger_price
        watch = self.watch
        if watch is None:
            return
        trigger = trigger_of(self.definition.order_type, command.price, command.trigger_price)
        if trigger is not None:
            watch.trigger = whole_ticks(trigger, self.instrument)
            watch.was_reached = False


def make_held(
    command: SubmitOrder,
    instrument: Instrument,
    sequence: int,
    watched_by: TriggerType | None,
    rivals: tuple[ClientOrderId, ...],
    *,
    waits: bool,
) -> Held:
    """Return an order that is held from now on.

    Args:
        command: It came with, as an order of its own.
        instrument: What it trades.
        sequence: How many were held before.
        watched_by: By which price its trigger is watched; None where it waits for something else.
        rivals: Linked orders that tie up the same.
        waits: Whether it waits for something before its trigger counts.
    """
    order = command.order
    return Held(
        command=command,
        definition=order,
        instrument=instrument,
        sequence=sequence,
        stage=Stage.WAITING if waits else Stage.WATCHED,
        quantity=order.quantity,
        price=order.price,
        trigger_price=order.trigger_price,
        watch=None if watched_by is None else watch_of(order, watched_by, instrument),
        rivals=rivals,
    )


def held_again(held: Held, order: Order) -> None:
    """Give what is held again, as it came, what its order has become."""
    held.quantity, held.price, held.trigger_price = (
        order.quantity,
        order.price,
        order.trigger_price,
    )
    watch = held.watch
    trigger = trigger_of(held.definition.order_type, order.price, order.trigger_price)
    if watch is None or trigger is None:
        return
    if order.trigger_price != held.definition.trigger_price:
        watch.activation = None  # a trailing one that has followed the market, or was moved
    watch.trigger = whole_ticks(trigger, held.instrument)


def alone(order: OrderInitialized) -> SubmitOrder:
    """Return the command that submits an order."""
    return SubmitOrder(
        strategy_id=order.strategy_id,
        instrument_id=order.instrument_id,
        client_order_id=order.client_order_id,
        order=order,
        ts_init=order.ts_init,
    )


def of_list(command: SubmitOrderList, order: OrderInitialized) -> SubmitOrder:
    """Return an order of a list as one of its own, without its links."""
    terms = msgspec.structs.replace(
        order.terms, contingency=None, linked_order_ids=(), parent_order_id=None
    )
    return msgspec.structs.replace(
        alone(msgspec.structs.replace(order, terms=terms)),
        client_id=command.client_id,
        account_id=command.account_id,
        ts_init=command.ts_init,
    )


def bare_terms(order: OrderInitialized) -> OrderTerms:
    """Return the terms of a released order: no links, and no trigger once that was reached."""
    terms = msgspec.structs.replace(
        order.terms,
        emulation_trigger=None,
        contingency=None,
        linked_order_ids=(),
        parent_order_id=None,
    )
    if order.order_type in TRIGGERED:
        return terms
    return OrderTerms(
        expire_ns=terms.expire_ns,
        display_quantity=terms.display_quantity,
        order_list_id=terms.order_list_id,
        tags=terms.tags,
    )


def watch_of(order: OrderInitialized, trigger_type: TriggerType, instrument: Instrument) -> Watch:
    """Return the watch of an order's trigger, by another price than it says itself."""
    terms = msgspec.structs.replace(order.terms, trigger_type=trigger_type)
    trigger = trigger_of(order.order_type, order.price, order.trigger_price)
    ticks = None if trigger is None else whole_ticks(trigger, instrument)
    kind = order.order_type
    if kind is OrderType.LIMIT:
        kind = OrderType.LIMIT_IF_TOUCHED  # it waits for its price on the same side
    return make_watch(order.side, kind, ticks, terms, instrument)


def trigger_of(
    order_type: OrderType, price: Decimal | None, trigger_price: Decimal | None
) -> Decimal | None:
    """Return what of an order's prices is watched: its trigger, of a LIMIT its limit."""
    return price if order_type is OrderType.LIMIT else trigger_price

"""A simulated exchange as an earlier one of the same account left it: its account, its orders."""

# It puts back what only the exchange itself ever changes.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from workbench.engines.triggers import AFTER_TRIGGER, TRIGGERED
from workbench.model.enums import OrderStatus, OrderType
from workbench.model.events import AccountState, OrderFilled, OrderInitialized
from workbench.model.identifiers import ClientOrderId, InstrumentId
from workbench.model.instruments import Instrument
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.sim.desk import AUCTIONS
from workbench.sim.exchange import SimulatedExchange
from workbench.sim.resting import VenueOrder, venue_order, watch_of


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What an exchange left.

    Attributes:
        instruments: What was traded.
        orders: All orders that are known, also those that are over.
        definitions: Linked orders as they were sent.
        positions: The open ones.
        fills: All of the account, oldest first.
        states: The last two states of the account that differ in what is held, older one first.
    """

    instruments: Sequence[Instrument]
    orders: Sequence[Order]
    definitions: Mapping[ClientOrderId, OrderInitialized]
    positions: Sequence[Position]
    fills: Sequence[OrderFilled]
    states: Sequence[AccountState]


def restore(exchange: SimulatedExchange, left: Left) -> None:
    """Bring a new exchange to where another one was.

    What was on its way is not here: its orders are those that it had accepted. Nothing is sent.
    """
    listed = {one.id: one for one in left.instruments if one.venue == exchange.name}
    for instrument in listed.values():
        exchange.add_instrument(instrument)
    _restore_account(exchange, left, listed)
    exchange.held.restore(left.positions)
    _count_on(exchange, left)
    mine = [order for order in left.orders if order.account_id == exchange.account_id]
    exchange._linked.restore(left.definitions, {one.client_order_id: one for one in mine})
    for order in sorted((one for one in mine if one.is_open), key=lambda one: one.ts_init):
        if order.instrument_id in listed:
            _put(exchange, order)


def _restore_account(
    exchange: SimulatedExchange, left: Left, listed: Mapping[InstrumentId, Instrument]
) -> None:
    account = exchange.account
    for fill in left.fills:
        instrument = listed.get(fill.instrument_id)
        if instrument is not None:
            account.apply_fill(instrument, fill)
    if not left.states:
        return
    now = _totals(account.state(0))
    # A state is told just before the fill that it follows from. If only that one is known, it is
    # one too far: the fill has not happened. Else the last one is right: it knows what no fill
    # tells, such as funding, and the rates that there were.
    if now != _totals(left.states[-1]) and now not in map(_totals, left.states[:-1]):
        account.restore(left.states[-1].balances)


def _totals(state: AccountState) -> dict[str, object]:
    return {one.currency.code: one.total for one in state.balances if one.total}


def _count_on(exchange: SimulatedExchange, left: Left) -> None:
    """Let ids go on where they were: none comes up again."""
    exchange._order_count = _last(
        f"{exchange.name}-", (one.venue_order_id or "" for one in left.orders)
    )
    exchange._sequence = exchange._order_count
    exchange._answers.trades = _last(f"{exchange.name}-T", (one.trade_id for one in left.fills))


def _last(prefix: str, names: Iterable[str]) -> int:
    numbers = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def _put(exchange: SimulatedExchange, order: Order) -> None:
    """Let an order wait again as it did."""
    engine = exchange.engine(order.instrument_id)
    venue_order_id = order.venue_order_id
    if engine is None or venue_order_id is None:
        return
    exchange._sequence += 1
    definition = order.to_initialized()
    if order.reduce_only and not exchange.settings.capabilities.reduce_only:
        definition = msgspec.structs.replace(definition, reduce_only=False)  # as it came
    made = venue_order(definition, venue_order_id, exchange._sequence, engine.instrument)
    made.filled = order.filled_quantity
    made.is_accepted = True
    exchange._orders[order.client_order_id] = made
    desk, name = engine.desk, order.client_order_id
    is_held = exchange._linked.is_held(name)
    exchange.times.watch(made, desk, is_held=is_held)
    if is_held:
        desk.hold(made)
        return
    _set_stage(made, order, engine.instrument)
    if made.definition.time_in_force in AUCTIONS:
        desk.resting.park(made)
    else:
        desk.rest(made)
    exchange._lock_silently(made, engine.instrument)


def _set_stage(made: VenueOrder, order: Order, instrument: Instrument) -> None:
    """Say what an order waits for: its price, or its trigger still."""
    kind = order.order_type
    if kind is OrderType.MARKET_TO_LIMIT:
        made.order_type = OrderType.LIMIT
    elif kind in TRIGGERED:
        if order.status is OrderStatus.TRIGGERED or order.filled_quantity:
            made.order_type = AFTER_TRIGGER[kind]
        else:
            made.watch = watch_of(made, instrument)

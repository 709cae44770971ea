"""A shadow: simulated exchanges beside a node's venues, on the same data and the same orders.

It looks on. Whatever goes to a real venue goes to a simulated exchange of its own, too, which sees
the market as a sandbox's does, and what this answers goes nowhere but into a report of how far the
two are apart. The exchange has a clock of its own, which follows the node's; nothing of it reaches
the channels, the log, the books or a strategy. What goes wrong in it ends the shadow and nothing
else.

Each order is judged by itself: a reduce-only order may fill whole in the shadow, whatever the
shadow holds. One that ends at its venue before it was filled ends in the shadow, too.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from typing import Any

import msgspec

from workbench.engines.clients import ExecutionClient
from workbench.model.commands import (
    CancelOrder,
    SubmitOrder,
    SubmitOrderList,
    TradingCommand,
)
from workbench.model.enums import OrderManagement, OrderStatus
from workbench.model.errors import CALLBACK_FAILURES, ConfigError
from workbench.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderRejected,
    OrderTriggered,
    OrderUpdated,
)
from workbench.model.identifiers import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    Venue,
    venue_of,
)
from workbench.model.money import MONEY_CONTEXT, Money, currency
from workbench.node.faults import describe
from workbench.node.shadow_gaps import InstrumentGap, ShadowedOrder, Tally
from workbench.node.shadow_report import ShadowReport
from workbench.runtime.clock import SimulatedClock
from workbench.sim import SimulatedExchange, SimulatedVenue
from workbench.sim.held import HeldPositions
from workbench.trading.core import TradingCore

_log = logging.getLogger(__name__)

ORDERS = 5_000
"""How many orders, and how many fills, are kept one by one, the newest; all of them add up."""

_ENDS: dict[type[OrderEvent], OrderStatus] = {
    OrderRejected: OrderStatus.REJECTED,
    OrderCanceled: OrderStatus.CANCELED,
    OrderExpired: OrderStatus.EXPIRED,
}
_BECOMES: dict[type[OrderEvent], OrderStatus] = {
    OrderAccepted: OrderStatus.ACCEPTED,
    OrderTriggered: OrderStatus.TRIGGERED,
    **_ENDS,
}
_HEARD = frozenset({OrderFilled, *_ENDS})


class Shadow:
    """The simulated exchanges beside the venues of one core.

    Args:
        core: Whose data and orders, its clients added.
        venues: How each venue is simulated, by its name.
        limit: How many orders, and how many fills, are kept one by one.

    Attributes:
        fault: What ended it, None while it looks on.

    Raises:
        ConfigError: If a venue has no name or no real execution client, or is there twice.
    """

    def __init__(
        self, core: TradingCore, venues: Sequence[SimulatedVenue], limit: int = ORDERS
    ) -> None:
        self.fault: BaseException | None = None
        self._core = core
        self._limit = limit
        self._now = core.clock.timestamp_ns
        self._clock = SimulatedClock(self._now())
        self._began_ns = self._now()
        self._exchanges: dict[Venue, SimulatedExchange] = {}
        real = {client.venue for client in core.execution.clients if not client.is_simulated}
        for settings in venues:
            self._add(settings, real)
        self._see: tuple[Callable[[Any], None], ...] = tuple(
            exchange.process for exchange in self._exchanges.values()
        )
        # What was sent waits for the next look at the market: so it is on its way to its venue
        # before anything is done here. Nothing has moved in between.
        self._sent: deque[tuple[int, AccountId, TradingCommand]] = deque()
        self._orders: dict[ClientOrderId, ShadowedOrder] = {}
        self._fills: deque[tuple[ShadowedOrder, OrderFilled]] = deque(maxlen=limit)
        self._tallies: dict[InstrumentId, Tally] = {}
        self._dropped = 0
        self._unseen = 0

    def _add(self, settings: SimulatedVenue, real: set[Venue]) -> None:
        if settings.name is None or settings.name in self._exchanges:
            raise ConfigError(
                f"a shadow is a wb.SimulatedVenue(name=VENUE), one for each venue; got {settings!r}"
            )
        if settings.name not in real:
            known = ", ".join(sorted(real)) or "none"
            raise ConfigError(
                f"a shadow stands beside a real venue, and no account at {settings.name} is"
                f" traded here; those traded are of: {known}"
            )
        exchange = SimulatedExchange(_by_itself(settings), self._clock, self._on_shadow_event)
        exchange.held = _Unbound(is_hedging=False)
        self._exchanges[settings.name] = exchange

    def attach(self) -> None:
        """Look on from now on."""
        core = self._core
        core.dispatcher.before_data.append(self.see)
        core.execution.on_sent.append(self.note_sent)
        core.bus.subscribe("events.order.*", self.hear)

    # What the node tells

    def see(self, event: Any) -> None:
        """See a data event, before the data engine does."""
        if self.fault is not None:
            return
        try:
            if self._sent:
                self._give()
            now, clock = self._now(), self._clock
            if now >= clock.next_due:
                self._advance(now)
            else:
                clock.now_ns = now
            for see in self._see:
                see(event)
        except CALLBACK_FAILURES as error:
            self._end(error)

    def note_sent(self, client: ExecutionClient, command: TradingCommand) -> None:
        """Take note of a command that went to a client."""
        if self.fault is None and not client.is_simulated and client.venue in self._exchanges:
            self._sent.append((self._now(), client.account_id, command))

    def hear(self, event: Any) -> None:
        """Hear what became of an order, at a real venue or elsewhere."""
        if type(event) not in _HEARD or self.fault is not None:
            return
        try:
            if self._sent:
                self._give()
            self._hear(event)
        except CALLBACK_FAILURES as error:
            self._end(error)

    def _hear(self, event: OrderEvent) -> None:
        order = self._orders.get(event.client_order_id)
        if order is None:
            self._unseen += isinstance(event, OrderFilled) and self._is_real(event)
            return
        if isinstance(event, OrderFilled):
            order.venue.fill(event)
            self._fills.append((order, event))
        elif isinstance(event, OrderRejected):
            order.venue.rejection = event.reason or "rejected"
        self._look_up(order)
        if order.venue.status in _ENDS.values():
            self._withdraw(order)

    def _is_real(self, fill: OrderFilled) -> bool:
        return any(
            client.account_id == fill.account_id and client.venue in self._exchanges
            for client in self._core.execution.clients
            if not client.is_simulated
        )

    def _end(self, error: BaseException) -> None:
        self.fault = error
        self._sent.clear()
        _log.error("the shadow has ended, the node goes on: %s", describe(error), exc_info=error)

    # The simulated exchanges

    def _advance(self, to_ns: int) -> None:
        clock = self._clock
        while (event := clock.advance(to_ns)) is not None:
            clock.fire(event)

    def _give(self) -> None:
        """Give the exchanges what was sent, each at the time it was."""
        while self._sent:
            at_ns, account_id, command = self._sent.popleft()
            self._advance(at_ns)
            if isinstance(command, SubmitOrder):
                self._enter(command.order, account_id, command)
            elif isinstance(command, SubmitOrderList):
                for definition in command.orders:
                    self._enter(definition, account_id, command)
            self._exchange_of(command.instrument_id).execute(command)
        while len(self._orders) > self._limit:
            self._drop_oldest()

    def _exchange_of(self, instrument_id: InstrumentId) -> SimulatedExchange:
        return self._exchanges[venue_of(instrument_id)]

    def _enter(
        self,
        definition: OrderInitialized,
        account_id: AccountId,
        command: SubmitOrder | SubmitOrderList,
    ) -> None:
        instrument = self._core.cache.require_instrument(definition.instrument_id)
        exchange = self._exchange_of(definition.instrument_id)
        if exchange.engine(definition.instrument_id) is None:
            exchange.add_instrument(instrument)  # of an earlier run: no client told of it yet
        self._orders[definition.client_order_id] = ShadowedOrder(
            definition, account_id, command.ts_init, instrument
        )

    def _withdraw(self, order: ShadowedOrder) -> None:
        """Cancel what is left of an order in the shadow."""
        if order.shadow.is_over:
            return
        definition = order.definition
        self._exchange_of(definition.instrument_id).execute(
            CancelOrder(
                strategy_id=definition.strategy_id,
                instrument_id=definition.instrument_id,
                client_order_id=definition.client_order_id,
                ts_init=self._clock.timestamp_ns(),
            )
        )

    def _drop_oldest(self) -> None:
        """Keep of the oldest order only what it adds to the sums."""
        order = self._orders.pop(next(iter(self._orders)))
        self._look_up(order)
        self._dropped += 1
        instrument_id = order.definition.instrument_id
        tally = self._tallies.setdefault(instrument_id, Tally(instrument_id))
        tally.add(order.gap())
        self._withdraw(order)

    def _look_up(self, order: ShadowedOrder) -> None:
        """See what the order is at its venue now, unless it was forgotten since."""
        known = self._core.cache.order(order.definition.client_order_id)
        if known is not None:
            order.venue.status, order.venue.quantity = known.status, known.quantity

    def _on_shadow_event(self, event: object) -> None:
        """Take what an exchange here sends; this is as far as it goes."""
        if not isinstance(event, OrderEvent):
            return
        order = self._orders.get(event.client_order_id)
        if order is None:
            return
        leg = order.shadow
        if isinstance(event, OrderFilled):
            leg.fill(event)
            is_whole = leg.filled >= leg.quantity
            leg.status = OrderStatus.FILLED if is_whole else OrderStatus.PARTIALLY_FILLED
        elif isinstance(event, OrderUpdated):
            leg.quantity = event.quantity or leg.quantity
        else:
            leg.status = _BECOMES.get(type(event), leg.status)
            if isinstance(event, OrderRejected):
                leg.rejection = event.reason or "rejected"

    # The report

    def report(self) -> ShadowReport:
        """Return how far venue and shadow are apart; on the core's thread."""
        with localcontext(MONEY_CONTEXT):
            if self.fault is None:
                self._catch_up()
            for order in self._orders.values():
                if not order.venue.is_over:
                    self._look_up(order)
            orders = tuple(order.gap() for order in self._orders.values())
            return ShadowReport(
                began=self._began_ns,
                ts=self._now(),
                venues=tuple(self._exchanges),
                orders=orders,
                fill_gaps=tuple(order.fill_gap(fill) for order, fill in self._fills),
                instruments=self._totals(orders),
                dropped=self._dropped,
                unseen_fills=self._unseen,
                fault="" if self.fault is None else describe(self.fault),
            )

    def _catch_up(self) -> None:
        try:
            self._give()
            self._advance(self._now())
        except CALLBACK_FAILURES as error:
            self._end(error)

    def _totals(self, orders: Sequence[Any]) -> tuple[InstrumentGap, ...]:
        tallies = {name: tally.copy() for name, tally in self._tallies.items()}
        for order in orders:
            name = order.instrument_id
            tallies.setdefault(name, Tally(name)).add(order)
        return tuple(tallies[name].total() for name in sorted(tallies))


class _Unbound(HeldPositions):
    """Holdings that bind no reduce-only order, and count nothing."""

    def reducible(self, definition: OrderInitialized) -> Decimal:  # noqa: ARG002
        """Return that it may fill whole."""
        return Decimal("Infinity")

    def count(self, definition: OrderInitialized, quantity: Decimal) -> None:
        """Count nothing."""


def _by_itself(settings: SimulatedVenue) -> SimulatedVenue:
    """Return settings for an exchange whose account is of no interest."""
    balances = settings.starting_balances
    if not balances:
        unit = settings.base_currency or currency("USD")
        balances = (Money(Decimal(1), unit),)
    return msgspec.structs.replace(
        settings, starting_balances=balances, order_management=OrderManagement.NETTING
    )

"""Orders, fills and positions at random: indices, sums, forgetting, and rebuilding from the log."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.execution_fakes import ACCOUNT, OTHER, PAIR, Broker, D, Desk, Setup
from workbench.engines.cache import Cache
from workbench.engines.execution import ExecutionEngine
from workbench.engines.portfolio import Portfolio
from workbench.engines.rebuilding import rebuild
from workbench.engines.risk import RiskLimits
from workbench.model import events as e
from workbench.model.enums import LiquiditySide, OrderSide, OrderStatus, OrderType, TimeInForce
from workbench.model.identifiers import AccountId, TradeId, VenueOrderId
from workbench.model.money import MONEY_CONTEXT, currency
from workbench.model.order_state import CLOSED, IN_FLIGHT, OPEN
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.model.reports import FillReport, OrderStatusReport
from workbench.runtime.bus import MessageBus
from workbench.runtime.clock import SimulatedClock
from workbench.runtime.eventlog import RecordKind

HEDGED = AccountId("SIM-002")
PICK = st.integers(0, 10_000)
QUANTITY = st.integers(1, 12)
PRICE = st.sampled_from([D("0.9"), D("1.0"), D("1.1")])


def brokers() -> tuple[Broker, Broker]:
    return Broker("NET"), Broker("HEDGE", account_id=HEDGED, management="hedging")


class Trading(RuleBasedStateMachine):
    """Two strategies, two instruments, a netting and a hedging account, and a venue at random."""

    allow_overfills = False

    def __init__(self) -> None:
        super().__init__()
        self.setup = Setup(
            *brokers(),
            allow_overfills=self.allow_overfills,
            limits=RiskLimits(orders=10**6, modifies=10**6),
        )
        second = Desk()
        self.setup.core.add_actor(second)
        second.start()
        self.desks = [self.setup.desk, second]
        self.cache, self.execution = self.setup.cache, self.setup.execution
        self.sent: list[Order] = []
        self.applied: list[e.OrderFilled] = []
        self.forgotten: list[Position] = []
        self.now = 10
        self.told = 0
        self.purges = 0
        self.setup.core.bus.subscribe("events.order.*", self._hear)

    def _hear(self, event: e.OrderEvent) -> None:
        if isinstance(event, e.OrderFilled):
            self.applied.append(event)

    def _order(self, pick: int) -> Order:
        return self.sent[pick % len(self.sent)]

    def _tick(self) -> int:
        self.now += 1
        return self.now

    # What strategies do

    @rule(
        who=st.integers(0, 1),
        side=st.sampled_from(["buy", "sell"]),
        quantity=QUANTITY,
        price=PRICE,
        instrument=st.sampled_from([PAIR, OTHER]),
        hedged=st.booleans(),
        named=st.none() | PICK,
    )
    def submit(
        self,
        who: int,
        side: str,
        quantity: int,
        price: Decimal,
        instrument: Any,
        hedged: bool,
        named: int | None,
    ) -> None:
        desk = self.desks[who]
        order = desk.orders.limit(instrument.id, side, quantity, price)
        positions = self.cache.positions()
        position_id = None
        if named is not None and positions:
            position_id = positions[named % len(positions)].position_id
        account_id = HEDGED if hedged else None
        desk.submit_order(order, account_id=account_id, position_id=position_id)
        self.setup.core.dispatcher.drain()
        if not order.is_closed:
            self.setup.accept(order, HEDGED if hedged else ACCOUNT)
            self.sent.append(order)

    @rule(who=st.integers(0, 1), pick=PICK)
    def close(self, who: int, pick: int) -> None:
        desk = self.desks[who]
        held = self.cache.positions_open(strategy_id=desk.strategy_id)
        if held:
            desk.close_position(held[pick % len(held)])
            self.setup.core.dispatcher.drain()
            order = self.cache.orders()[-1]
            if not order.is_closed:
                account = held[pick % len(held)].account_id
                self.setup.accept(order, account)
                self.setup.fill(order, order.quantity, ts=self._tick())
                self.told += 1

    # What the venue does

    @precondition(lambda self: self.sent)
    @rule(pick=PICK, quantity=QUANTITY, price=PRICE, names=st.booleans())
    def fill(self, pick: int, quantity: int, price: Decimal, names: bool) -> None:
        order = self._order(pick)
        self.told += 1
        # As an exchange does: it names the position the order came with.
        named = order.position_id if names and order.account_id == HEDGED else None
        self.setup.fill(order, quantity, price=price, ts=self._tick(), position_id=named)

    @precondition(lambda self: self.applied)
    @rule(pick=PICK)
    def repeat(self, pick: int) -> None:
        before, refused = len(self.applied), len(self.execution.refused_events)
        self.told += 1
        self.setup.tell(self.applied[pick % len(self.applied)])
        assert len(self.applied) == before
        assert len(self.execution.refused_events) == refused + 1

    @precondition(lambda self: self.sent)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        order = self._order(pick)
        if order.is_open:
            self.setup.event(e.OrderCanceled, order, self._tick())

    @rule(pick=PICK, filled=st.integers(0, 10), hedged=st.booleans(), ended=st.booleans(), own=PICK)
    def report(self, pick: int, filled: int, hedged: bool, ended: bool, own: int) -> None:
        order = self._order(own) if self.sent and own % 3 == 0 else None
        quantity = D(10) if order is None else order.quantity
        done = filled >= quantity
        # What was forgotten does not come up again under its old id.
        found = f"X-{pick % 5}-{hedged}-{self.purges}"
        now = self._tick()
        if order is not None:
            hedged = order.account_id == HEDGED
        self.setup.tell(
            OrderStatusReport(
                account_id=HEDGED if hedged else ACCOUNT,
                instrument_id=PAIR.id if order is None else order.instrument_id,
                client_order_id=None if order is None else order.client_order_id,
                venue_order_id=VenueOrderId(
                    found if order is None else f"V-{order.client_order_id}"
                ),
                side=OrderSide.BUY if order is None else order.side,
                order_type=OrderType.LIMIT,
                time_in_force=TimeInForce.GTC,
                status=_status(done=done, ended=ended, filled=filled),
                quantity=quantity,
                filled_quantity=min(quantity, D(filled)),
                price=D(1),
                ts_event=now,
                ts_init=now,
            )
        )

    @rule(pick=PICK, quantity=QUANTITY)
    def report_fill(self, pick: int, quantity: int) -> None:
        now = self._tick()
        self.setup.tell(
            FillReport(
                account_id=ACCOUNT,
                instrument_id=OTHER.id,
                client_order_id=None,
                venue_order_id=VenueOrderId(f"Y-{pick % 4}-{self.purges}"),
                trade_id=TradeId(f"Y-{pick % 16}"),
                side=OrderSide.SELL,
                quantity=D(quantity),
                price=D(1),
                commission_currency=currency("USD"),
                liquidity=LiquiditySide.TAKER,
                ts_event=now,
                ts_init=now,
            )
        )

    @rule(back=st.integers(0, 20))
    def forget(self, back: int) -> None:
        purged = self.setup.core.purge(self.now - back)
        self.purges += 1
        self.forgotten += purged.positions
        assert all(order.is_closed for order in purged.orders)
        assert not any(position.is_open for position in purged.positions)

    # What must always hold

    @invariant()
    def positions_are_the_sum_of_fills(self) -> None:
        held: dict[Any, Decimal] = {}
        for fill in self.applied:
            key = fill.instrument_id, fill.strategy_id, fill.account_id
            held[key] = held.get(key, D(0)) + fill.side.sign * fill.quantity
        for key, quantity in held.items():
            assert self.cache.net_quantity(*key) == quantity
        total = sum(abs(p.signed_quantity) for p in self.cache.positions_open())
        assert total >= sum(abs(quantity) for quantity in held.values())

    @invariant()
    def every_trade_counts_once_or_is_refused(self) -> None:
        names = [(fill.client_order_id, fill.trade_id) for fill in self.applied]
        assert len(set(names)) == len(names)
        for order in self.cache.orders():
            own = [f.quantity for f in self.applied if f.client_order_id == order.client_order_id]
            assert sum(own, D(0)) == order.filled_quantity
            assert len(order.trade_ids) == len(own)
            is_known_by_fills = "from_fill" in order.terms.tags
            if not (self.allow_overfills or is_known_by_fills):
                assert order.filled_quantity <= order.quantity
            assert order.leaves_quantity == max(D(0), order.quantity - order.filled_quantity)

    @invariant()
    def what_was_realised_is_what_positions_realised(self) -> None:
        kept = [*self.cache.positions(), *self.forgotten]
        realized = sum((p.realized_pnl for p in kept), D(0))
        total = self.setup.core.portfolio.realized_pnl().get("USD", D(0))
        assert abs(total - realized) < D("1e-20")

    @invariant()
    def netted_accounts_hold_one_position_each(self) -> None:
        held = [p for p in self.cache.positions_open() if p.account_id == ACCOUNT]
        assert len({(p.instrument_id, p.strategy_id) for p in held}) == len(held)

    @invariant()
    def indices_equal_a_scan(self) -> None:
        cache = self.cache
        orders, positions = cache.orders(), cache.positions()
        for instrument in (None, PAIR.id):
            for strategy in (None, "EXTERNAL", self.desks[0].strategy_id):
                which: dict[str, Any] = {"instrument_id": instrument, "strategy_id": strategy}
                mine = [o for o in orders if _is(o, instrument, strategy)]
                assert _ids(cache.orders(**which)) == _ids(mine)
                assert _ids(cache.orders_open(**which)) == _ids(mine, OPEN)
                assert _ids(cache.orders_in_flight(**which)) == _ids(mine, IN_FLIGHT)
                assert _ids(cache.orders_closed(**which)) == _ids(mine, CLOSED)
                assert cache.orders_initialized(**which) == []
                own = [p for p in positions if _is(p, instrument, strategy)]
                opened = {p.position_id for p in own if p.is_open}
                assert {p.position_id for p in cache.positions_open(**which)} == opened
                closed = {p.position_id for p in own if not p.is_open}
                assert {p.position_id for p in cache.positions_closed(**which)} == closed

    @invariant()
    def own_orders_are_what_rests(self) -> None:
        for instrument in (PAIR, OTHER):
            own = self.cache.own_orders(instrument.id)
            for side in OrderSide:
                resting = [
                    o
                    for o in self.cache.orders_open(instrument_id=instrument.id)
                    if o.side is side and o.price is not None
                ]
                resting.sort(key=lambda o: o.price or D(0))
                wanted = {
                    price: sum((o.leaves_quantity for o in orders), D(0))
                    for price, orders in groupby(resting, key=lambda o: o.price)
                }
                assert own.side(side) == wanted

    def teardown(self) -> None:
        if self.purges:
            return  # the log does not say what was forgotten
        derived: list[Any] = []
        cache, clock, bus = Cache(), SimulatedClock(1), MessageBus()
        portfolio = Portfolio(cache)
        execution = ExecutionEngine(
            *(cache, clock, portfolio, bus, derived.append, _ignore, derived.append),
            allow_overfills=self.allow_overfills,
        )
        for broker in brokers():
            execution.add_client(broker)
        for instrument in (PAIR, OTHER):
            cache.add_instrument(instrument)
        rebuild(self.setup.core.log, cache, execution)
        assert cache.orders() == self.cache.orders()
        assert cache.positions() == self.cache.positions()
        assert cache.accounts() == self.cache.accounts()
        assert portfolio.realized_pnl() == self.setup.core.portfolio.realized_pnl()
        told = [
            r.message
            for r in self.setup.core.log.records([RecordKind.DERIVED])
            if isinstance(r.message, e.PositionEvent)
        ]
        assert [event for event in derived if isinstance(event, e.PositionEvent)] == told


class TradingWithOverfills(Trading):
    """The same where fills beyond an order's quantity count."""

    allow_overfills = True


def _ignore(_: Any) -> None: ...


def _status(*, done: bool, ended: bool, filled: int) -> OrderStatus:
    if done:
        return OrderStatus.FILLED
    if ended:
        return OrderStatus.CANCELED
    return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED


def _is(what: Order | Position, instrument: str | None, strategy: str | None) -> bool:
    return instrument in (None, what.instrument_id) and strategy in (None, what.strategy_id)


def _ids(orders: list[Order], of: frozenset[OrderStatus] | None = None) -> set[str]:
    return {o.client_order_id for o in orders if of is None or o.status in of}


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=25, stateful_step_count=30)
TestTradingWithOverfills = TradingWithOverfills.TestCase
TestTradingWithOverfills.settings = settings(max_examples=15, stateful_step_count=30)
assert MONEY_CONTEXT.prec == 28

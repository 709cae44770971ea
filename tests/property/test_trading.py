"""What must always hold between orders, fills, positions and money, whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workbench.history import Timeline, load
from workbench.model import events as e
from workbench.model.data import Quote, Trade
from workbench.model.enums import AggressorSide, OrderStatus
from workbench.model.instruments import CurrencyPair, Instrument
from workbench.model.order_state import CLOSED, OPEN, TARGET
from workbench.model.orders import Order
from workbench.sim import BacktestEngine, SimulatedVenue
from workbench.trading import Strategy

D = Decimal
PAIR = CurrencyPair.define(
    "AUD/USD.SIM",
    price_increment="0.01",
    maker_fee="-0.0001",
    taker_fee="0.0003",
    margin_init="0.1",
    margin_maint="0.05",
)


@dataclass(frozen=True)
class Act:
    """One thing a strategy does: (what, side, quantity, ticks from the bid, time in force...)."""

    what: str
    side: str
    quantity: int
    distance: int
    force: str
    post_only: bool
    reduce_only: bool


ACTS = st.builds(
    Act,
    what=st.sampled_from(
        [
            *("market", "limit", "limit", "limit", "modify", "cancel", "all", "close"),
            # Several commands at once, so that some find the order on its way or pending.
            *("limit_modify", "modify", "modify_twice", "modify_cancel", "cancel_modify"),
        ]
    ),
    side=st.sampled_from(["buy", "sell"]),
    quantity=st.integers(1, 40),
    distance=st.integers(-3, 3),
    force=st.sampled_from(["gtc", "gtc", "gtc", "ioc", "fok"]),
    post_only=st.booleans(),
    reduce_only=st.booleans(),
)


@st.composite
def markets(draw: st.DrawFn) -> list[Any]:
    """Quotes that walk a few ticks around 1.00, with trades in between."""
    level, data = 100, list[Any]()
    for ts in range(1, draw(st.integers(2, 25))):
        level = max(50, level + draw(st.integers(-3, 3)))
        sizes = [float(draw(st.sampled_from([0, 5, 20, 1000]))) for _ in range(2)]
        bid, ask = level / 100, (level + draw(st.integers(0, 2))) / 100
        data.append(Quote(PAIR.id, bid, ask, *sizes, ts * 10, ts * 10))
        if draw(st.booleans()):
            side = draw(st.sampled_from(list(AggressorSide)))
            size = float(draw(st.integers(1, 30)))
            trade_id: Any = f"{ts}"
            data.append(Trade(PAIR.id, bid, size, side, trade_id, ts * 10 + 5, ts * 10 + 5))
    return data


REPEATED = ("modify", "cancel", "modify_twice", "modify_cancel", "cancel_modify")


LATENCIES = st.sampled_from([0, 5, 12, 35])


class Monkey(Strategy):
    """Does one act a quote, or two."""

    acts: list[Any]

    def on_start(self) -> None:
        self.todo: Iterator[Act] = iter(self.acts)
        self.sent: list[Order] = []
        self.path: dict[str, list[tuple[str, OrderStatus]]] = {}
        self.subscribe_quotes()

    def on_quote(self, quote: Quote) -> None:
        for act in (next(self.todo, None), next(self.todo, None)):
            if act is not None:
                self.do(act, quote)

    def do(self, act: Act, quote: Quote) -> None:
        latest = self.sent[-1] if self.sent else None
        price = PAIR.price(quote.bid) + act.distance * PAIR.price_increment
        if act.what == "market":
            self.send(
                self.orders.market(
                    PAIR.id,
                    act.side,
                    act.quantity,
                    time_in_force=act.force,
                    reduce_only=act.reduce_only,
                )
            )
        elif act.what == "limit":
            self.send(
                self.orders.limit(
                    PAIR.id,
                    act.side,
                    act.quantity,
                    price,
                    time_in_force=act.force,
                    post_only=act.post_only,
                    reduce_only=act.reduce_only,
                )
            )
        elif act.what == "limit_modify":
            self.send(self.orders.limit(PAIR.id, act.side, act.quantity, price))
            self.modify_order(self.sent[-1], quantity=act.quantity + 1)
        elif act.what in REPEATED and latest is not None:
            for number, step in enumerate(act.what.split("_")):
                if step == "cancel":
                    self.cancel_order(latest)
                else:
                    self.modify_order(latest, quantity=act.quantity + number, price=price)
        elif act.what == "all":
            self.cancel_all_orders(side=act.side)
        elif act.what == "close":
            self.close_position()

    def send(self, order: Order) -> None:
        self.sent.append(order)
        self.submit_order(order)

    def on_order_event(self, event: e.OrderEvent) -> None:
        order = self.cache.order(event.client_order_id)
        assert order is not None
        assert order.filled_quantity <= order.quantity
        refused = isinstance(event, e.OrderModifyRejected | e.OrderCancelRejected)
        if refused and event.account_id is None:
            # It was refused here, not by the venue: the order is as it was.
            assert event.code
            told = self.path.get(event.client_order_id)
            assert order.status is (told[-1][1] if told else OrderStatus.INITIALIZED)
        self.path.setdefault(event.client_order_id, []).append((type(event).__name__, order.status))


def run(acts: list[list[Act]], data: list[Any], **venue: Any) -> BacktestEngine:
    listed: list[Instrument] = [PAIR]
    engine = BacktestEngine(
        Timeline(load(data, listed)),
        listed,
        [SimulatedVenue(**venue).for_instruments(listed)],
        [Monkey(acts=own) for own in acts],
        run_tag="T",
    )
    engine.run()
    assert engine.error is None, engine.error
    assert engine.core.execution.refused_events == []
    return engine


STRICT = st.lists(
    st.builds(
        Act,
        what=st.sampled_from(
            ["limit", "limit", "limit_modify", "modify", "modify_twice", "cancel_modify"]
        ),
        side=st.just("buy"),
        quantity=st.integers(1, 90),
        distance=st.integers(-1, 3),
        force=st.just("gtc"),
        post_only=st.just(value=False),
        reduce_only=st.just(value=False),
    ),
    min_size=2,
    max_size=12,
)


@given(acts=st.lists(STRICT, min_size=1, max_size=2), data=markets(), latency_ns=LATENCIES)
def test_limit_orders_never_spend_or_lock_cash_that_is_not_there(
    acts: list[list[Act]], data: list[Any], latency_ns: int
) -> None:
    engine = run(
        acts,
        data,
        account_type="cash",
        starting_balances="100 USD",
        latency_ns=latency_ns,
        maker_fee=0,
        taker_fee=0,
    )
    for state in states(engine):
        assert all(balance.free >= 0 for balance in state.balances), state


def fills(engine: BacktestEngine) -> list[e.OrderFilled]:
    return [r.message for r in engine.core.log if isinstance(r.message, e.OrderFilled)]


def states(engine: BacktestEngine) -> list[e.AccountState]:
    return [r.message for r in engine.core.log if isinstance(r.message, e.AccountState)]


def totals(engine: BacktestEngine) -> dict[str, Decimal]:
    account = engine.core.cache.account_at("SIM")
    assert account is not None
    return {balance.currency.code: balance.total for balance in account.balances}


STARTS = {"margin": ["1_000_000 USD"], "cash": ["10_000 USD", "100 AUD"]}
RUNS = {
    "acts": st.lists(st.lists(ACTS, max_size=40), min_size=1, max_size=2),
    "data": markets(),
    "kind": st.sampled_from(sorted(STARTS)),
    "latency_ns": LATENCIES,
}


def made(acts: list[list[Act]], data: list[Any], kind: str, latency_ns: int) -> BacktestEngine:
    return run(acts, data, account_type=kind, starting_balances=STARTS[kind], latency_ns=latency_ns)


@given(**RUNS)
def test_a_position_is_the_sum_of_its_strategys_fills(
    acts: list[list[Act]], data: list[Any], kind: str, latency_ns: int
) -> None:
    engine = made(acts, data, kind, latency_ns)
    for actor in engine.core.actors:
        own = [f for f in fills(engine) if f.strategy_id == actor.component_id]
        held = sum((f.side.sign * f.quantity for f in own), D(0))
        assert engine.core.portfolio.net_position(PAIR.id, actor.component_id) == held
    for order in engine.core.cache.orders():
        own = [f for f in fills(engine) if f.client_order_id == order.client_order_id]
        assert sum((f.quantity for f in own), D(0)) == order.filled_quantity <= order.quantity
        assert sum((f.commission for f in own), D(0)) == order.commission


@given(**{**RUNS, "kind": st.just("margin")})
def test_a_margin_balance_is_its_start_and_what_was_realised(
    acts: list[list[Act]], data: list[Any], kind: str, latency_ns: int
) -> None:
    engine = made(acts, data, kind, latency_ns)
    realized = engine.core.portfolio.realized_pnl().get("USD", D(0))
    assert abs(totals(engine)["USD"] - 1_000_000 - realized) < D("1e-15")
    by_position = sum((p.realized_pnl for p in engine.core.cache.positions()), D(0))
    assert abs(realized - by_position) < D("1e-15")


@given(**{**RUNS, "kind": st.just("cash")})
def test_a_cash_balance_is_its_start_and_signed_flows_less_commissions(
    acts: list[list[Act]], data: list[Any], kind: str, latency_ns: int
) -> None:
    engine = made(acts, data, kind, latency_ns)
    usd, aud = D(10_000), D(100)
    for fill in fills(engine):
        usd -= fill.side.sign * fill.quantity * fill.price + fill.commission
        aud += fill.side.sign * fill.quantity
    assert totals(engine) == {"USD": usd, "AUD": aud}
    assert aud >= 0, "base currency that was not there was sold"


@given(**RUNS)
def test_locks_are_never_negative_and_nothing_is_locked_when_nothing_is_open(
    acts: list[list[Act]], data: list[Any], kind: str, latency_ns: int
) -> None:
    engine = made(acts, data, kind, latency_ns)
    for state in states(engine):
        assert all(balance.locked >= 0 for balance in state.balances)
    exchange = engine.exchanges[0]
    last = exchange.account.state(0)
    for_positions = sum((margin.maintenance for margin in last.margins), D(0))
    if not exchange.open_orders():
        assert sum((balance.locked for balance in last.balances), D(0)) == for_positions
    if not engine.core.cache.positions_open():
        assert for_positions == 0
    # What the venue has open is what the core has open.
    assert {o.definition.client_order_id for o in exchange.open_orders()} == {
        o.client_order_id for o in engine.core.cache.orders_open()
    }
    known = engine.core.cache.account_at("SIM")
    assert known is not None
    assert (known.balances, known.margins) == (last.balances, last.margins)


@given(**RUNS)
def test_orders_go_the_ways_of_the_table_and_end_where_they_can(
    acts: list[list[Act]], data: list[Any], kind: str, latency_ns: int
) -> None:
    engine = made(acts, data, kind, latency_ns)
    reachable = {*TARGET.values(), OrderStatus.INITIALIZED}
    for actor in engine.core.actors:
        assert isinstance(actor, Monkey)
        for path in actor.path.values():
            assert [name for name, _ in path].count("OrderInitialized") == 1
            for (_, before), (_, after) in pairwise(path):
                assert after in reachable
                if before in CLOSED and before is not OrderStatus.CANCELED:
                    assert after is before
            assert [name for name, _ in path].count("OrderDenied") <= 1
    for order in engine.core.cache.orders():
        assert order.status in OPEN | CLOSED
        assert order.status is not OrderStatus.PENDING_UPDATE
        assert (order.status is OrderStatus.FILLED) == (order.leaves_quantity == 0) or (
            order.status is OrderStatus.CANCELED
        )


@given(**RUNS)
def test_two_runs_are_equal_to_the_byte(
    acts: list[list[Act]], data: list[Any], kind: str, latency_ns: int
) -> None:
    logs = {made(acts, data, kind, latency_ns).core.log.to_bytes() for _ in range(2)}
    assert len(logs) == 1

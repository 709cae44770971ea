"""Orders held on our side, with a venue that takes market and limit orders only; a test answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workbench.engines.capabilities import Capabilities
from workbench.engines.clients import DataClient, ExecutionClient, VenueState
from workbench.engines.demands import TRIES, ContingencyFailed
from workbench.engines.risk import OnExcess, RiskLimits
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.data import Bar, BarType, MarkPrice, Quote, Trade
from workbench.model.enums import (
    AccountType,
    AggressorSide,
    ContingencyType,
    LiquiditySide,
    OrderStatus,
    OrderType,
    TradingState,
)
from workbench.model.identifiers import AccountId, ClientId, TradeId, Venue, VenueOrderId
from workbench.model.instruments import CurrencyPair
from workbench.model.money import currency
from workbench.model.orders import Order
from workbench.runtime.channels import Channels
from workbench.runtime.clock import SimulatedClock
from workbench.runtime.senders import Senders
from workbench.trading import Strategy, TradingCore

D = Decimal
PAIR = CurrencyPair.define("AUD/USD.SIM", price_increment="0.01", quantity_increment="1")
ACCOUNT = AccountId("SIM-PAPER")
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
SIMPLE = Capabilities(
    order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}), contingencies=frozenset()
)
WHOLE = Capabilities()


class Feed(DataClient):
    """Serves some kinds of data, which a test sends."""

    def __init__(self, kinds: set[str]) -> None:
        self.client_id = ClientId("FEED")
        self.kinds = kinds
        self.asked: list[str] = []

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    def serves(self, kind: Any, *_: Any) -> bool:
        return kind.value in self.kinds

    def subscribe(self, command: c.Subscribe) -> None:
        self.asked.append(f"+{command.kind.value}")

    def unsubscribe(self, command: c.Unsubscribe) -> None:
        self.asked.append(f"-{command.kind.value}")

    def request(self, command: c.RequestData) -> None:
        return None


class Broker(ExecutionClient):
    """Keeps what it is sent; a test answers."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.client_id, self.venue, self.account_id = ClientId("SIM"), Venue("SIM"), ACCOUNT
        self.capabilities = capabilities
        self.sent: list[Any] = []
        self.say: Any = None

    async def connect(self) -> None: ...

    async def disconnect(self) -> None: ...

    async def venue_state(self) -> VenueState:
        raise NotImplementedError

    def submit_order(self, command: c.SubmitOrder) -> None:
        self.sent.append(command)
        self.say(e.OrderSubmitted(account_id=ACCOUNT, **e.about(command, command.ts_init)))

    def submit_order_list(self, command: c.SubmitOrderList) -> None:
        self.sent.append(command)

    def modify_order(self, command: c.ModifyOrder) -> None:
        self.sent.append(command)

    def cancel_order(self, command: c.CancelOrder) -> None:
        self.sent.append(command)

    def cancel_all_orders(self, command: c.CancelAllOrders) -> None:
        self.sent.append(command)

    def query_order(self, command: c.QueryOrder) -> None:
        self.sent.append(command)


class Desk(Strategy):
    """Notes what it hears, and does what a test put into `on_seen` when it sees a quote."""

    def on_start(self) -> None:
        self.heard: list[Any] = []
        self.on_seen: Any = None

    def on_order_event(self, event: e.OrderEvent) -> None:
        self.heard.append(event)

    def on_quote(self, quote: Quote) -> None:
        self.heard.append("quote")
        if self.on_seen is not None:
            self.on_seen()


class Setup:
    """A core with a broker, a feed and a started strategy."""

    def __init__(
        self,
        capabilities: Capabilities = SIMPLE,
        *,
        kinds: str = "quotes trades bars mark_prices",
        quote: bool = True,
        run_tag: str = "T",
        **core: Any,
    ) -> None:
        self.run_tag = run_tag
        self.clock = SimulatedClock(10 * DAY)
        channels = Channels.plain()
        senders = Senders(channels, "test")
        self.core = TradingCore(self.clock, channels, senders, run_tag=run_tag, **core)
        self.broker, self.feed = Broker(capabilities), Feed(set(kinds.split()))
        self.broker.say = self.core.senders.exec_event.send
        self.core.execution.add_client(self.broker)
        self.core.data.add_client(self.feed)
        self.core.cache.add_instrument(PAIR)
        self.failed: list[ContingencyFailed] = []
        self.core.bus.subscribe("events.contingency.*", self.failed.append)
        self.desk = Desk()
        self.core.add_actor(self.desk)
        self.core.start_actors()
        self.account()
        self.trades = 0
        if quote:
            self.quote(1.00, 1.02)

    def account(self, amount: int = 1_000_000, kind: AccountType = AccountType.MARGIN) -> None:
        self.tell(
            e.AccountState(
                account_id=ACCOUNT,
                account_type=kind,
                base_currency=None,
                balances=(e.Balance(currency("USD"), D(amount)),),
                ts_event=1,
                ts_init=1,
            )
        )

    # What the market and the venue say

    def see(self, message: Any) -> None:
        self.core.senders.data_event.send(message)
        while self.core.dispatcher.handle_next():
            pass

    def quote(self, bid: float, ask: float, size: float = 100.0) -> None:
        now = self.clock.timestamp_ns()
        self.see(Quote(PAIR.id, bid, ask, size, size, now, now))

    def trade(self, price: float) -> None:
        now = self.clock.timestamp_ns()
        self.see(Trade(PAIR.id, price, 1.0, AggressorSide.BUYER, TradeId(f"{now}"), now, now))

    def mark(self, price: float) -> None:
        now = self.clock.timestamp_ns()
        self.see(MarkPrice(PAIR.id, price, now, now))

    def bar(self, ohlc: tuple[float, float, float, float], spec: str = "1-minute-last") -> None:
        now = self.clock.timestamp_ns()
        self.see(Bar(BarType.parse(f"{PAIR.id}-{spec}"), *ohlc, None, now, now))

    def wait(self, seconds: float) -> None:
        to_ns = self.clock.timestamp_ns() + int(seconds * SECOND)
        while (event := self.clock.advance(to_ns)) is not None:
            self.core.senders.time_event.send(event)
            self.core.dispatcher.drain()

    def tell(self, event: Any) -> None:
        self.core.senders.exec_event.send(event)
        self.core.dispatcher.drain()

    def event(self, kind: type[e.OrderEvent], order: Order, **more: Any) -> None:
        self.tell(kind(**e.about(order, self.clock.timestamp_ns()), **more))

    def accept(self, order: Order) -> None:
        self.event(
            e.OrderAccepted,
            order,
            account_id=ACCOUNT,
            venue_order_id=VenueOrderId(order.client_order_id),
        )

    def fill(self, order: Order, quantity: int, price: str = "1") -> None:
        self.trades += 1
        self.event(
            e.OrderFilled,
            order,
            account_id=ACCOUNT,
            venue_order_id=VenueOrderId(order.client_order_id),
            trade_id=TradeId(f"T{self.trades}"),
            side=order.side,
            order_type=order.order_type,
            quantity=D(quantity),
            price=D(price),
            commission=D(0),
            commission_currency=currency("USD"),
            liquidity=LiquiditySide.TAKER,
        )

    # What the strategy does

    def submit(self, kind: str, *args: Any, **options: Any) -> Order:
        order: Order = getattr(self.desk.orders, kind)(PAIR.id, *args, **options)
        self.desk.submit_order(order)
        self.core.dispatcher.drain()
        return order

    def submit_list(self, made: Any) -> Any:
        self.desk.submit_order_list(made)
        self.core.dispatcher.drain()
        return made

    def do(self, method: str, *args: Any, **options: Any) -> None:
        getattr(self.desk, method)(*args, **options)
        self.core.dispatcher.drain()

    # What there is to see

    @property
    def kinds(self) -> list[str]:
        return [one if isinstance(one, str) else type(one).__name__ for one in self.desk.heard]

    @property
    def sent(self) -> list[str]:
        """What the venue was sent, in words."""
        return [_words(command) for command in self.broker.sent]

    def heard(self, kind: type[Any]) -> Any:
        """The latest event of a kind."""
        return [event for event in self.desk.heard if type(event) is kind][-1]

    def check(self) -> None:
        assert not self.core.execution.refused_events


def _words(command: Any) -> str:
    if isinstance(command, c.SubmitOrder):
        order = command.order
        price = "" if order.price is None else f" @{order.price}"
        return f"{order.side.value} {order.quantity} {order.order_type.value}{price}"
    if isinstance(command, c.SubmitOrderList):
        return f"list of {len(command.orders)}"
    if isinstance(command, c.ModifyOrder):
        return f"modify {command.quantity}"
    return type(command).__name__


# Triggers


def test_an_order_whose_trigger_the_venue_lacks_is_held_until_it_is_reached() -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.05")
    assert order.status is OrderStatus.EMULATED
    assert setup.kinds == ["OrderInitialized", "OrderEmulated"]
    assert setup.core.cache.orders_emulated() == [order]
    setup.quote(1.02, 1.04)
    assert setup.sent == []
    setup.quote(1.04, 1.05)
    assert setup.sent == ["buy 5 market"]
    released = setup.heard(e.OrderReleased)
    assert (released.order_type, released.released_price) == (OrderType.MARKET, D("1.05"))
    setup.accept(order)
    setup.fill(order, 5, "1.05")
    assert order.status is OrderStatus.FILLED
    assert setup.kinds[2:] == [
        *("OrderReleased", "OrderSubmitted", "OrderAccepted", "OrderFilled"),
    ]
    assert setup.core.cache.orders_emulated() == []
    setup.check()


def test_an_order_that_the_venue_takes_is_not_touched() -> None:
    setup = Setup(WHOLE)
    order = setup.submit("stop_market", "buy", 5, "1.05")
    assert setup.sent == ["buy 5 stop_market"]
    assert order.status is OrderStatus.SUBMITTED
    assert setup.feed.asked == []


def test_an_emulation_trigger_holds_an_order_that_the_venue_would_take() -> None:
    setup = Setup(WHOLE)
    order = setup.submit("stop_limit", "sell", 5, "0.94", "0.95", emulation_trigger="last")
    setup.quote(0.90, 0.92)
    assert setup.sent == []
    setup.trade(0.95)
    assert setup.sent == ["sell 5 limit @0.94"]
    assert order.order_type is OrderType.LIMIT
    assert order.trigger_price is None
    left: Any = setup.broker.sent[0].order
    assert left.terms.emulation_trigger is None


@pytest.mark.parametrize(
    ("kind", "side", "prices", "before", "at"),
    [
        ("stop_market", "buy", ("1.05",), (1.03, 1.04), (1.04, 1.05)),
        ("stop_market", "sell", ("0.95",), (0.96, 0.98), (0.95, 0.97)),
        ("market_if_touched", "buy", ("0.95",), (0.95, 0.96), (0.94, 0.95)),
        ("market_if_touched", "sell", ("1.05",), (1.04, 1.06), (1.05, 1.07)),
        ("stop_limit", "buy", ("1.07", "1.05"), (1.03, 1.04), (1.04, 1.05)),
        ("limit_if_touched", "sell", ("1.04", "1.05"), (1.04, 1.06), (1.05, 1.07)),
    ],
)
def test_each_type_waits_for_its_own_side_of_the_market(
    kind: str, side: str, prices: Any, before: Any, at: Any
) -> None:
    setup = Setup()
    order = setup.submit(kind, side, 5, *prices)
    setup.quote(*before)
    assert order.status is OrderStatus.EMULATED
    setup.quote(*at)
    assert len(setup.sent) == 1
    setup.check()


@pytest.mark.parametrize(
    ("trigger", "moves"),
    [
        ("bid_ask", ["quote 1.04 1.06"]),
        ("last", ["trade 1.05"]),
        ("last_or_bid_ask", ["quote 1.04 1.05"]),
        ("last_or_bid_ask", ["trade 1.06"]),
        ("mid", ["quote 1.04 1.06"]),
        ("mark", ["mark 1.05"]),
        ("double_last", ["trade 1.05", "quote 1.05 1.06", "trade 1.06"]),
        ("double_bid_ask", ["quote 1.04 1.05", "trade 1.05", "quote 1.04 1.05"]),
    ],
)
def test_every_trigger_type_is_reached_by_its_own_price_only(
    trigger: str, moves: list[str]
) -> None:
    setup = Setup()
    setup.trade(1.01)
    order = setup.submit("stop_market", "buy", 5, "1.05", emulation_trigger=trigger)
    for move in moves:
        assert order.status is OrderStatus.EMULATED
        what, *prices = move.split()
        getattr(setup, what)(*map(float, prices))
    assert setup.sent == ["buy 5 market"]


@pytest.mark.parametrize("trigger", ["last", "mark", "double_last"])
def test_other_prices_do_not_reach_a_trigger(trigger: str) -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.05", emulation_trigger=trigger)
    for _ in range(3):
        setup.quote(1.06, 1.08)
    assert order.status is OrderStatus.EMULATED


def test_a_double_trigger_must_be_reached_twice_in_a_row() -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.05", emulation_trigger="double_bid_ask")
    for ask in (1.05, 1.04, 1.05):
        setup.quote(1.00, ask)
    assert order.status is OrderStatus.EMULATED


def test_a_side_without_a_size_reaches_nothing() -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.05")
    setup.quote(1.05, 1.06, size=0.0)
    setup.quote(1.05, float("nan"))
    assert order.status is OrderStatus.EMULATED


def test_a_trigger_that_is_reached_already_releases_at_once() -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.01")
    assert setup.kinds[:3] == ["OrderInitialized", "OrderEmulated", "OrderReleased"]
    assert setup.heard(e.OrderReleased).released_price == D("1.02")
    assert order.status is OrderStatus.SUBMITTED


def test_a_limit_with_an_emulation_trigger_leaves_once_its_price_is_reached() -> None:
    setup = Setup(WHOLE)
    setup.submit("limit", "buy", 5, "0.98", emulation_trigger="bid_ask")
    setup.quote(0.97, 0.99)
    assert setup.sent == []
    setup.quote(0.96, 0.98)
    assert setup.sent == ["buy 5 limit @0.98"]


def test_a_market_order_with_an_emulation_trigger_has_nothing_to_wait_for() -> None:
    setup = Setup()
    setup.submit("market", "buy", 5, emulation_trigger="bid_ask")
    assert setup.sent == ["buy 5 market"]


def test_of_orders_reached_at_once_the_nearest_trigger_leaves_first() -> None:
    setup = Setup()
    setup.submit("stop_market", "buy", 1, "1.08")
    setup.submit("stop_market", "buy", 2, "1.05")
    setup.submit("stop_market", "buy", 3, "1.05")
    setup.quote(1.10, 1.12)
    assert setup.sent == ["buy 2 market", "buy 3 market", "buy 1 market"]


def test_a_trailing_stop_follows_and_tells_of_each_move() -> None:
    setup = Setup()
    order = setup.submit("trailing_stop_market", "sell", 5, "0.05")
    assert order.trigger_price == D("0.95")
    setup.quote(1.10, 1.12)
    assert order.trigger_price == D("1.05")
    setup.quote(1.06, 1.08)
    assert order.trigger_price == D("1.05")
    setup.quote(1.05, 1.07)
    assert setup.sent == ["sell 5 market"]
    assert setup.kinds.count("OrderUpdated") == 2
    assert setup.heard(e.OrderUpdated).is_unasked
    setup.check()


def test_a_trailing_stop_limit_carries_its_limit_along() -> None:
    setup = Setup()
    order = setup.submit("trailing_stop_limit", "buy", 5, "0.05", "0.02")
    assert (order.trigger_price, order.price) == (D("1.07"), D("1.09"))
    setup.quote(0.90, 0.92)
    assert (order.trigger_price, order.price) == (D("0.97"), D("0.99"))
    setup.quote(0.96, 0.98)
    assert setup.sent == ["buy 5 limit @0.99"]


@pytest.mark.parametrize(("kind", "offset"), [("ticks", 5), ("basis_points", 500)])
def test_trailing_offsets_of_every_type(kind: str, offset: int) -> None:
    setup = Setup()
    order = setup.submit("trailing_stop_market", "sell", 5, offset, trailing_offset_type=kind)
    assert order.trigger_price == D("0.95")


def test_a_trailing_stop_waits_for_its_activation_price() -> None:
    setup = Setup()
    order = setup.submit("trailing_stop_market", "sell", 5, "0.05", activation_price="1.10")
    setup.quote(1.05, 1.07)
    assert order.trigger_price is None
    setup.quote(1.12, 1.14)
    assert order.trigger_price == D("1.07")


def test_a_released_order_passes_risk_once_more() -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.05")
    setup.core.risk.set_trading_state(TradingState.HALTED)
    setup.quote(1.04, 1.06)
    assert order.status is OrderStatus.DENIED
    assert order.reason.startswith("TRADING_HALTED")
    assert setup.kinds.count("OrderInitialized") == 1
    assert setup.sent == []
    setup.check()


def test_a_released_order_beyond_the_rate_waits_though_others_are_dropped() -> None:
    setup = Setup(limits=RiskLimits(orders=1))
    stops = [setup.submit("stop_market", "buy", size, "1.05") for size in (5, 6)]
    setup.quote(1.04, 1.06)
    assert setup.sent == ["buy 5 market"]
    assert stops[1].status is OrderStatus.RELEASED
    assert setup.submit("market", "buy", 1).reason.startswith("RATE_LIMIT_EXCEEDED")
    setup.wait(1)
    assert setup.sent == ["buy 5 market", "buy 6 market"]
    setup.check()


def test_a_stop_that_reduces_is_not_lost_to_a_stalled_market() -> None:
    setup = Setup()
    entry = setup.submit("market", "buy", 5)
    setup.accept(entry)
    setup.fill(entry, 5)
    setup.submit("stop_market", "sell", 5, "0.95", reduce_only=True)
    setup.core.risk.is_stale = lambda _: True
    assert setup.submit("market", "buy", 1).reason.startswith("QUOTE_STALE")
    setup.quote(0.90, 0.92)
    assert setup.sent == ["buy 5 market", "sell 5 market"]
    setup.check()


def test_a_trigger_of_a_type_no_data_has_is_denied() -> None:
    setup = Setup(kinds="quotes trades bars")
    order = setup.submit("stop_market", "buy", 5, "1.05", emulation_trigger="mark")
    assert order.reason.startswith("EMULATION_IMPOSSIBLE")


def test_a_venue_without_the_type_it_would_be_released_as_denies() -> None:
    setup = Setup(Capabilities(order_types=frozenset({OrderType.STOP_MARKET, OrderType.LIMIT})))
    order = setup.submit("stop_market", "buy", 5, "1.05", emulation_trigger="bid_ask")
    assert order.reason.startswith("EMULATION_IMPOSSIBLE")


# Data


def test_data_is_taken_only_while_something_is_watched() -> None:
    setup = Setup()
    first = setup.submit("stop_market", "buy", 5, "1.05")
    second = setup.submit("stop_market", "buy", 5, "1.06", emulation_trigger="last_or_bid_ask")
    assert setup.feed.asked == ["+quotes", "+trades"]
    setup.do("cancel_order", second)
    assert setup.feed.asked[2:] == ["-trades"]
    setup.do("cancel_order", first)
    assert setup.feed.asked[3:] == ["-quotes"]


def test_a_subscription_of_the_strategy_stays_when_nothing_is_watched_any_more() -> None:
    setup = Setup()
    setup.do("subscribe_quotes", PAIR.id)
    order = setup.submit("stop_market", "buy", 5, "1.05")
    setup.do("cancel_order", order)
    assert setup.feed.asked == ["+quotes"]
    setup.quote(1.00, 1.02)
    assert setup.kinds[-1] == "quote"


def test_triggers_see_a_quote_before_strategies_that_subscribed_earlier() -> None:
    setup = Setup()
    setup.do("subscribe_quotes", PAIR.id)
    order = setup.submit("stop_market", "buy", 5, "1.05")
    setup.desk.on_seen = lambda: setup.desk.cancel_order(order)
    setup.quote(1.04, 1.06)
    # Its release was decided by then; the cancel still finds it on this side.
    assert setup.kinds[2:] == ["quote", "OrderReleased", "OrderCanceled"]
    assert order.status is OrderStatus.CANCELED
    assert setup.sent == []
    setup.check()


def test_without_quotes_trades_stand_in_for_them() -> None:
    setup = Setup(kinds="trades", quote=False)
    setup.trade(1.00)
    setup.submit("stop_market", "buy", 5, "1.05")
    assert setup.feed.asked == []
    setup.trade(1.05)
    assert setup.sent == ["buy 5 market"]


def test_with_quotes_neither_trades_nor_bars_stand_in() -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.05")
    setup.trade(1.10)
    setup.bar((1.10, 1.10, 1.10, 1.10))
    assert order.status is OrderStatus.EMULATED


def test_a_bar_releases_at_its_close_what_it_reached_on_the_way() -> None:
    setup = Setup(kinds="bars", quote=False)
    setup.bar((1.0, 1.0, 1.0, 1.0))
    order = setup.submit("stop_market", "sell", 5, "0.95")
    setup.wait(60)
    setup.bar((1.0, 1.02, 0.96, 1.0))
    assert order.status is OrderStatus.EMULATED
    setup.wait(60)
    setup.bar((1.0, 1.02, 0.94, 1.0))
    assert setup.sent == ["sell 5 market"]
    assert setup.heard(e.OrderReleased).released_price == D("0.94")


def test_of_a_bar_that_began_before_an_order_came_only_the_close_counts() -> None:
    setup = Setup(kinds="bars", quote=False)
    setup.bar((1.0, 1.0, 1.0, 1.0))
    setup.wait(30)
    order = setup.submit("stop_market", "sell", 5, "0.95")
    setup.wait(30)
    setup.bar((1.0, 1.02, 0.90, 1.0))
    assert order.status is OrderStatus.EMULATED
    setup.wait(60)
    setup.bar((1.0, 1.02, 0.90, 1.0))
    assert setup.sent == ["sell 5 market"]


def test_coarser_bars_of_the_same_price_are_not_walked_again() -> None:
    setup = Setup(kinds="bars", quote=False)
    setup.bar((1.0, 1.0, 1.0, 1.0))
    order = setup.submit("trailing_stop_market", "sell", 5, "0.05")
    for ohlc in ((1.0, 1.0, 0.97, 1.0), (1.06, 1.10, 1.06, 1.10)):
        setup.wait(60)
        setup.bar(ohlc)
    assert order.trigger_price == D("1.05")
    setup.bar((1.0, 1.10, 0.97, 1.10), "2-minute-last")
    assert order.status is OrderStatus.EMULATED


def test_bid_and_ask_bars_are_each_for_their_side() -> None:
    setup = Setup(kinds="bars", quote=False)
    setup.bar((1.0, 1.0, 1.0, 1.0), "1-minute-bid")
    setup.bar((1.02, 1.02, 1.02, 1.02), "1-minute-ask")
    buy = setup.submit("stop_market", "buy", 5, "1.05")
    sell = setup.submit("stop_market", "sell", 4, "0.95")
    middle = setup.submit("stop_market", "buy", 3, "1.04", emulation_trigger="mid")
    setup.wait(60)
    setup.bar((1.0, 1.06, 1.0, 1.04), "1-minute-bid")
    setup.bar((0.90, 1.04, 0.90, 1.04), "1-minute-ask")
    assert [buy.status, sell.status] == [OrderStatus.EMULATED] * 2
    assert middle.status is OrderStatus.SUBMITTED
    setup.wait(60)
    setup.bar((1.0, 1.0, 0.95, 1.0), "1-minute-bid")
    setup.bar((1.02, 1.05, 1.02, 1.02), "1-minute-ask")
    assert setup.sent == ["buy 3 market", "sell 4 market", "buy 5 market"]


# Times in force


def test_a_gtd_order_that_is_held_expires_here() -> None:
    setup = Setup()
    end = setup.clock.timestamp_ns() + 5 * SECOND
    order = setup.submit("stop_market", "buy", 5, "1.05", expire=end)
    setup.wait(4)
    assert order.status is OrderStatus.EMULATED
    setup.wait(1)
    assert order.status is OrderStatus.EXPIRED
    assert setup.feed.asked == ["+quotes", "-quotes"]
    setup.quote(1.10, 1.12)
    assert setup.sent == []
    setup.check()


def test_a_day_order_that_is_held_ends_with_the_day() -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.05", time_in_force="day")
    setup.wait(86_399)
    assert order.status is OrderStatus.EMULATED
    setup.wait(1)
    assert order.status is OrderStatus.EXPIRED


def test_the_time_of_an_order_that_was_released_or_cancelled_is_no_concern_here() -> None:
    setup = Setup()
    end = setup.clock.timestamp_ns() + 5 * SECOND
    cancelled = setup.submit("stop_market", "buy", 5, "1.05", expire=end)
    setup.do("cancel_order", cancelled)
    setup.submit("stop_market", "buy", 5, "1.01", expire=end)
    assert setup.clock.timer_names == []


# Modify and cancel


def test_a_held_order_is_modified_here() -> None:
    setup = Setup()
    order = setup.submit("stop_limit", "buy", 5, "1.06", "1.05")
    setup.do("modify_order", order, quantity=7, price="1.12", trigger_price="1.10")
    assert (order.quantity, order.price, order.trigger_price) == (D(7), D("1.12"), D("1.10"))
    setup.quote(1.06, 1.08)
    assert setup.sent == []
    setup.quote(1.09, 1.10)
    assert setup.sent == ["buy 7 limit @1.12"]
    setup.check()


def test_a_trigger_moved_to_where_the_market_is_releases() -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.05")
    setup.do("modify_order", order, trigger_price="1.02")
    assert setup.sent == ["buy 5 market"]


def test_a_modified_limit_is_released_at_its_new_price() -> None:
    setup = Setup(WHOLE)
    order = setup.submit("limit", "buy", 5, "0.98", emulation_trigger="bid_ask")
    setup.do("modify_order", order, price="0.99")
    setup.quote(0.98, 0.99)
    assert setup.sent == ["buy 5 limit @0.99"]


def test_a_held_order_is_cancelled_here() -> None:
    setup = Setup()
    order = setup.submit("stop_market", "buy", 5, "1.05")
    setup.do("cancel_order", order)
    assert order.status is OrderStatus.CANCELED
    setup.quote(1.10, 1.12)
    assert setup.sent == []
    setup.check()


def test_a_modification_that_meets_a_release_follows_it_to_the_venue() -> None:
    setup = Setup()
    setup.do("subscribe_quotes", PAIR.id)
    order = setup.submit("stop_limit", "buy", 5, "1.06", "1.05")
    setup.desk.on_seen = lambda: setup.desk.modify_order(order, quantity=6)
    setup.quote(1.04, 1.05)
    assert setup.sent == ["buy 5 limit @1.06", "modify 6"]


def test_cancel_all_takes_what_is_held_of_its_side_and_goes_on_to_the_venue() -> None:
    setup = Setup()
    buy = setup.submit("stop_market", "buy", 5, "1.05")
    sell = setup.submit("stop_market", "sell", 5, "0.95")
    setup.do("cancel_all_orders", side="buy")
    assert [buy.status, sell.status] == [OrderStatus.CANCELED, OrderStatus.EMULATED]
    assert setup.sent == ["CancelAllOrders"]
    setup.do("cancel_all_orders")
    assert sell.status is OrderStatus.CANCELED
    setup.check()


# Linked orders


def bracket(setup: Setup, **options: Any) -> Any:
    made = setup.desk.orders.bracket(
        PAIR.id, "buy", 10, stop_loss="0.95", take_profit="1.10", **options
    )
    return setup.submit_list(made)


def test_a_list_that_the_venue_takes_whole_is_handed_on_whole() -> None:
    setup = Setup(WHOLE)
    bracket(setup)
    assert setup.sent == ["list of 3"]


def test_a_list_that_it_cannot_take_is_taken_apart() -> None:
    setup = Setup()
    made = bracket(setup)
    assert setup.sent == ["buy 10 market"]
    left: Any = setup.broker.sent[0].order.terms
    assert (left.contingency, left.linked_order_ids) == (None, ())
    assert made.entry.contingency is ContingencyType.OTO
    assert [one.status for one in made] == [
        *(OrderStatus.SUBMITTED, OrderStatus.EMULATED, OrderStatus.EMULATED),
    ]
    setup.accept(made.entry)
    setup.fill(made.entry, 4)
    # The take-profit goes out, the stop-loss is watched here, both for what was filled.
    assert setup.sent[1:] == ["sell 4 limit @1.10"]
    assert made.stop_loss.quantity == 4
    setup.accept(made.take_profit)
    setup.fill(made.entry, 6)
    assert setup.sent[2:] == ["modify 10"]
    assert made.stop_loss.quantity == 10
    setup.event(e.OrderUpdated, made.take_profit, quantity=D(10))
    setup.fill(made.take_profit, 5)
    assert made.stop_loss.quantity == 5
    setup.quote(0.95, 0.97)
    assert setup.sent[3:] == ["sell 5 market"]
    setup.accept(made.stop_loss)
    setup.fill(made.stop_loss, 5)
    assert setup.sent[4:] == ["CancelOrder"]
    setup.event(e.OrderCanceled, made.take_profit)
    assert setup.core.cache.net_quantity(PAIR.id) == 0
    assert setup.core.cache.orders_emulated() == []
    assert setup.failed == []
    setup.check()


def test_two_fills_in_a_row_give_exits_the_size_of_both() -> None:
    setup = Setup()
    made = bracket(setup)
    for number, quantity in enumerate((4, 6)):
        setup.core.senders.exec_event.send(
            e.OrderFilled(
                account_id=ACCOUNT,
                venue_order_id=VenueOrderId("V"),
                trade_id=TradeId(f"A{number}"),
                side=made.entry.side,
                order_type=made.entry.order_type,
                quantity=D(quantity),
                price=D(1),
                commission=D(0),
                commission_currency=currency("USD"),
                liquidity=LiquiditySide.TAKER,
                **e.about(made.entry, setup.clock.timestamp_ns()),
            )
        )
    setup.core.dispatcher.drain()
    assert setup.sent == ["buy 10 market", "sell 4 limit @1.10", "modify 10"]
    assert made.stop_loss.quantity == 10
    setup.check()


def test_a_parent_that_is_rejected_takes_its_children_along() -> None:
    setup = Setup()
    made = bracket(setup)
    setup.event(e.OrderRejected, made.entry, account_id=ACCOUNT, reason="no")
    assert [one.status for one in made][1:] == [OrderStatus.CANCELED] * 2
    assert made.stop_loss.reason == f"its parent {made.entry.client_order_id} was rejected"


def test_a_list_denied_by_risk_leaves_nothing_behind() -> None:
    setup = Setup()
    setup.core.risk.set_trading_state(TradingState.HALTED)
    made = bracket(setup)
    assert {one.status for one in made} == {OrderStatus.DENIED}
    assert setup.sent == []


def test_a_list_of_which_one_trigger_cannot_be_watched_is_denied_whole() -> None:
    setup = Setup(kinds="")
    made = bracket(setup, entry_price="0.99")
    assert {one.status for one in made} == {OrderStatus.DENIED}
    assert all(one.reason.startswith("EMULATION_IMPOSSIBLE") for one in made)
    assert setup.sent == []


def test_cancel_all_ends_children_that_wait() -> None:
    setup = Setup()
    made = bracket(setup, entry_price="0.99")
    setup.accept(made.entry)
    setup.do("cancel_all_orders")
    assert [one.status for one in made][1:] == [OrderStatus.CANCELED] * 2
    assert setup.sent[1:] == ["CancelAllOrders"]


def test_an_emulated_stop_of_a_bracket_takes_the_list_apart_at_any_venue() -> None:
    setup = Setup(WHOLE)
    made = bracket(setup, entry_price="0.99", emulation_trigger="bid_ask")
    # The entry is held until its price is reached; its exits wait for it.
    assert {one.status for one in made} == {OrderStatus.EMULATED}
    setup.quote(0.97, 0.99)
    assert setup.sent == ["buy 10 limit @0.99"]
    setup.accept(made.entry)
    setup.fill(made.entry, 10)
    assert setup.sent[1:] == ["sell 10 limit @1.10"]


def oco(setup: Setup, **options: Any) -> Any:
    orders = setup.desk.orders
    above = orders.limit(PAIR.id, "sell", 10, "1.10", **options)
    below = orders.limit(PAIR.id, "buy", 10, "0.90", **options)
    made = setup.submit_list(orders.oco(above, below))
    for order in made:
        setup.accept(order)
    return made


def test_a_fill_of_an_oco_cancels_the_other_at_the_venue() -> None:
    setup = Setup()
    above, below = oco(setup)
    setup.fill(above, 3)
    assert setup.sent[2:] == ["CancelOrder"]
    assert below.status is OrderStatus.PENDING_CANCEL
    setup.event(e.OrderCanceled, below)
    assert setup.failed == []
    setup.check()


def test_a_refused_cancel_of_ours_is_asked_for_again_then_reported() -> None:
    setup = Setup()
    above, below = oco(setup)
    setup.fill(above, 10)
    for tries in range(1, TRIES + 1):
        assert setup.sent[2:] == ["CancelOrder"] * tries
        setup.event(e.OrderCancelRejected, below, reason="busy")
    assert len(setup.sent) == 2 + TRIES
    (failure,) = setup.failed
    assert failure.client_order_id == below.client_order_id
    assert "refused 3 times (busy)" in failure.reason


def test_a_cancel_refused_before_the_order_was_accepted_waits_until_it_is() -> None:
    setup = Setup()
    orders = setup.desk.orders
    made = setup.submit_list(
        orders.oco(
            orders.limit(PAIR.id, "sell", 10, "1.10"), orders.limit(PAIR.id, "buy", 10, "0.90")
        )
    )
    above, below = made
    setup.accept(above)
    setup.fill(above, 10)
    setup.event(e.OrderCancelRejected, below, reason="unknown order")
    assert setup.sent[2:] == ["CancelOrder"]
    setup.event(e.OrderAccepted, below, account_id=ACCOUNT, venue_order_id=VenueOrderId("V2"))
    assert setup.sent[3:] == ["CancelOrder"]


def test_a_fill_before_our_cancel_arrives_is_reported() -> None:
    setup = Setup()
    above, below = oco(setup)
    setup.fill(above, 3)
    setup.fill(below, 4)
    (failure,) = setup.failed
    assert failure.client_order_id == below.client_order_id
    assert "4 of it filled while it was being cancelled" in failure.reason
    # Both are being cancelled now: neither has the other beside it any more.
    assert setup.sent[2:] == ["CancelOrder", "CancelOrder"]


def test_a_fill_before_our_cancel_arrives_cannot_hurt_where_it_only_reduces() -> None:
    setup = Setup()
    made = bracket(setup)
    setup.accept(made.entry)
    setup.fill(made.entry, 10)
    setup.accept(made.take_profit)
    setup.quote(0.95, 0.97)
    setup.accept(made.stop_loss)
    setup.fill(made.stop_loss, 9)
    setup.fill(made.take_profit, 1)
    assert setup.failed == []


def test_an_order_that_filled_beyond_what_it_was_being_cut_to_is_cancelled() -> None:
    setup = Setup()
    orders = setup.desk.orders
    made = setup.submit_list(
        orders.ouo(
            orders.limit(PAIR.id, "sell", 10, "1.10"), orders.limit(PAIR.id, "buy", 10, "0.90")
        )
    )
    above, below = made
    for order in made:
        setup.accept(order)
    setup.fill(above, 8)
    assert setup.sent[2:] == ["modify 2"]
    setup.fill(below, 5)
    assert "being cut to 2" in setup.failed[0].reason
    setup.event(e.OrderModifyRejected, below, reason="5 are filled")
    assert setup.sent[3:].count("CancelOrder") == 2


def test_a_parent_that_fills_after_its_cancel_is_reported() -> None:
    setup = Setup()
    made = bracket(setup, entry_price="0.99")
    setup.accept(made.entry)
    setup.do("cancel_order", made.entry)
    setup.event(e.OrderCanceled, made.entry)
    assert made.stop_loss.status is OrderStatus.CANCELED
    setup.fill(made.entry, 3)
    assert "filled after its children were cancelled" in setup.failed[0].reason


def test_what_the_owner_gives_an_exit_is_the_most_it_works_for() -> None:
    setup = Setup()
    made = bracket(setup)
    setup.accept(made.entry)
    setup.do("modify_order", made.take_profit, quantity=6)
    setup.fill(made.entry, 10)
    assert setup.sent[1:] == ["sell 6 limit @1.10"]


def test_a_released_stop_is_cut_to_what_there_is_to_reduce() -> None:
    setup = Setup()
    entry = setup.submit("market", "buy", 10)
    setup.accept(entry)
    setup.fill(entry, 10, "1.02")
    stop = setup.submit("stop_market", "sell", 10, "0.95", reduce_only=True)
    part = setup.submit("market", "sell", 4)
    setup.accept(part)
    setup.fill(part, 4, "1.00")
    setup.quote(0.95, 0.97)
    assert setup.sent[-1] == "sell 6 market"
    assert (stop.status, stop.quantity) == (OrderStatus.SUBMITTED, 6)
    setup.check()


def test_the_exits_of_a_bracket_that_was_cut_down_end_together() -> None:
    setup = Setup()
    entry, stop, target = setup.submit_list(
        setup.desk.orders.bracket(
            PAIR.id, "buy", 10, stop_loss="0.95", take_profit="1.20", entry_price="1.00"
        )
    )
    setup.accept(entry)
    setup.fill(entry, 10, "1.00")
    setup.accept(target)
    part = setup.submit("market", "sell", 4)
    setup.accept(part)
    setup.fill(part, 4, "1.00")
    setup.quote(0.95, 0.97)
    assert setup.sent[-1] == "sell 6 market"
    setup.accept(stop)
    setup.fill(stop, 6, "0.95")
    assert (stop.status, setup.sent[-1]) == (OrderStatus.FILLED, "CancelOrder")
    setup.event(e.OrderCanceled, target, account_id=ACCOUNT, venue_order_id=target.venue_order_id)
    assert target.status is OrderStatus.CANCELED
    setup.check()


def test_an_exit_that_was_cut_down_grows_again_with_what_its_parent_fills() -> None:
    setup = Setup()
    short = setup.submit("market", "sell", 2)
    setup.accept(short)
    entry, stop, target = setup.submit_list(
        setup.desk.orders.bracket(
            PAIR.id, "buy", 10, stop_loss="0.95", take_profit="1.20", entry_price="1.00"
        )
    )
    setup.accept(entry)
    setup.fill(short, 2, "1.00")
    setup.fill(entry, 4, "1.00")
    assert setup.sent[-1] == "sell 2 limit @1.20", "of a net position of 2"
    setup.accept(target)
    setup.fill(entry, 6, "1.00")
    assert (setup.sent[-1], stop.quantity) == ("modify 10", 10)
    setup.check()


def test_what_is_released_after_its_strategy_stopped_leaves_only_to_reduce() -> None:
    setup = Setup()
    entry = setup.submit("stop_market", "buy", 5, "1.05")
    held = setup.submit("market", "buy", 5)
    setup.accept(held)
    setup.fill(held, 5, "1.02")
    exit_ = setup.submit("stop_market", "sell", 5, "0.95", reduce_only=True)
    setup.core.stop_actors()
    setup.quote(1.04, 1.05)
    assert (entry.status, setup.sent) == (OrderStatus.DENIED, ["buy 5 market"])
    assert entry.reason.startswith("STRATEGY_STOPPED: Desk-001 is STOPPED")
    setup.quote(0.95, 0.97)
    assert (exit_.status, setup.sent[1:]) == (OrderStatus.SUBMITTED, ["sell 5 market"])
    setup.check()


def test_what_is_released_after_its_route_was_closed_leaves_only_to_reduce() -> None:
    setup = Setup()
    routes, me = setup.core.routes, setup.desk.strategy_id
    routes.guarded.add(ACCOUNT)
    routes.set(me, Venue("SIM"), ACCOUNT)
    entry = setup.submit("stop_market", "buy", 5, "1.05")
    held = setup.submit("market", "buy", 5)
    setup.accept(held)
    setup.fill(held, 5, "1.02")
    exit_ = setup.submit("stop_market", "sell", 5, "0.95", reduce_only=True)
    routes.refuse(me, "STRATEGY_CHANGED", "Desk.on_quote changed")
    setup.quote(1.04, 1.05)
    assert (entry.status, setup.sent) == (OrderStatus.DENIED, ["buy 5 market"])
    assert entry.reason == "STRATEGY_CHANGED: Desk.on_quote changed"
    setup.quote(0.95, 0.97)
    assert (exit_.status, setup.sent[1:]) == (OrderStatus.SUBMITTED, ["sell 5 market"])
    setup.check()


def test_an_order_that_ended_while_it_waited_for_the_rate_claims_nothing_and_is_not_sent() -> None:
    setup = Setup(limits=RiskLimits(orders=1, on_excess=OnExcess.BUFFER))
    setup.account(20, AccountType.CASH)
    orders = setup.desk.orders
    one, other = setup.submit_list(
        orders.oco(
            orders.stop_market(PAIR.id, "buy", 5, "1.05"),
            orders.stop_market(PAIR.id, "buy", 5, "1.06"),
        )
    )
    setup.quote(1.05, 1.07)
    assert (one.status, other.status) == (OrderStatus.SUBMITTED, OrderStatus.RELEASED)
    setup.accept(one)
    setup.fill(one, 5, "1.05")
    setup.wait(2)
    assert other.status is OrderStatus.CANCELED
    assert setup.sent == ["buy 5 market"]
    assert setup.submit("limit", "buy", 15, "1.0").reason == "", "of 20 USD nothing is tied up"
    setup.check()

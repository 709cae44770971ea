"""The risk engine: each check passes and refuses, once, with its code; nothing else is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from workbench.engines.cache import Cache
from workbench.engines.risk import RiskEngine, RiskLimits
from workbench.model import commands as c
from workbench.model import events as e
from workbench.model.data import Quote
from workbench.model.enums import AccountType, OrderSide, TradingState
from workbench.model.errors import ConfigError
from workbench.model.identifiers import AccountId, ClientOrderIds, StrategyId, Venue
from workbench.model.instruments import CryptoPerpetual, CurrencyPair, Equity, Future, Instrument
from workbench.model.money import Money, currency
from workbench.model.orders import Order
from workbench.model.positions import Position
from workbench.runtime.clock import SimulatedClock
from workbench.trading.order_factory import OrderFactory

D = Decimal
ME, OTHER = StrategyId("Me-001"), StrategyId("Other-002")
PAIR = CurrencyPair.define(
    "AUD/USD.SIM",
    price_increment="0.1",
    quantity_increment="10",
    min_quantity=20,
    max_quantity=1000,
    min_notional=30,
    max_notional=900,
    margin_init="0.1",
)
SHARE = Equity.define("ACME.SIM")


class Desk:
    """A risk engine with its cache, and what it lets through."""

    def __init__(
        self, account: str | None = "margin", balance: str = "1000 USD", **limits: Any
    ) -> None:
        self.cache, self.clock = Cache(), SimulatedClock(1)
        self.sent: list[c.TradingCommand] = []
        self.events: list[Any] = []
        self.risk = RiskEngine(
            self.cache, self.clock, self.take, self.events.append, RiskLimits(**limits)
        )
        ids = ClientOrderIds("T", "1")
        self.orders = OrderFactory(ME, self.cache, self.clock, ids)
        for instrument in (PAIR, SHARE):
            self.cache.add_instrument(instrument)
            self.quote(1.0, 1.1, instrument)
        if account is not None:
            self.account(account, balance)

    def take(self, command: Any) -> None:
        self.sent.append(command)

    def quote(self, bid: float, ask: float, instrument: Instrument = PAIR) -> None:
        self.cache.market(instrument.id).quote = Quote(instrument.id, bid, ask, 1e9, 1e9, 1, 1)

    def account(self, kind: str, *balances: str) -> None:
        parsed = [Money.parse(text) for text in balances]
        self.cache.put_account(
            Venue("SIM"),
            e.AccountState(
                account_id=AccountId("SIM-PAPER"),
                account_type=AccountType(kind),
                base_currency=None,
                leverage=D(2),
                balances=tuple(e.Balance(money.currency, money.amount) for money in parsed),
                ts_event=1,
                ts_init=1,
            ),
        )

    def hold(self, quantity: int, instrument: Instrument = PAIR, owner: StrategyId = ME) -> None:
        side = OrderSide.BUY if quantity > 0 else OrderSide.SELL
        position = Position(
            position_id=f"P-{owner}-{instrument.id}",  # type: ignore[arg-type]
            strategy_id=owner,
            account_id=AccountId("SIM-PAPER"),
            instrument=instrument,
            entry=side,
        )
        position.apply(side, D(abs(quantity)), D(1), D(0), 1)
        self.cache.add_position(position)

    def submit(self, order: Order) -> str:
        """Return the code of the refusal, or nothing."""
        self.cache.add_order(order)
        before = len(self.sent), len(self.events)
        self.risk.execute(
            c.SubmitOrder(
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                order=order.to_initialized(),
                ts_init=1,
            )
        )
        return self.outcome(before)

    def modify(self, order: Order, **change: Any) -> str:
        before = len(self.sent), len(self.events)
        self.risk.execute(
            c.ModifyOrder(
                strategy_id=ME,
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                ts_init=1,
                **change,
            )
        )
        return self.outcome(before)

    def outcome(self, before: tuple[int, int]) -> str:
        sent, told = len(self.sent) - before[0], len(self.events) - before[1]
        assert sent + told == 1, "passed on or refused, exactly once"
        if sent:
            return ""
        refusal = self.events[-1]
        assert refusal.reason
        assert isinstance(refusal, e.OrderDenied | e.OrderModifyRejected)
        return refusal.code

    def apply(self, order: Order, kind: type[e.OrderEvent], **more: Any) -> None:
        """Let an event happen to an order, as the execution engine would."""
        event = kind(
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            ts_event=1,
            ts_init=1,
            **more,
        )
        order.apply(event)
        self.cache.update_order(order)
        self.risk.on_event(event)

    def accept(self, order: Order) -> Order:
        account = AccountId("SIM-PAPER")
        self.apply(order, e.OrderSubmitted, account_id=account)
        self.apply(order, e.OrderAccepted, account_id=account, venue_order_id="V-1")
        return order

    def fill(self, order: Order, quantity: int) -> None:
        self.apply(
            order,
            e.OrderFilled,
            account_id="SIM-PAPER",
            venue_order_id="V-1",
            trade_id=f"T-{order.filled_quantity}",
            side=order.side,
            order_type=order.order_type,
            quantity=D(quantity),
            price=D(1),
            commission=D(0),
            commission_currency=currency("USD"),
            liquidity="taker",
        )

    def buy(
        self, quantity: Any, price: Any = None, instrument: Instrument = PAIR, **more: Any
    ) -> Order:
        return self.make("buy", quantity, price, instrument, **more)

    def sell(
        self, quantity: Any, price: Any = None, instrument: Instrument = PAIR, **more: Any
    ) -> Order:
        return self.make("sell", quantity, price, instrument, **more)

    def make(
        self, side: str, quantity: Any, price: Any, instrument: Instrument, **more: Any
    ) -> Order:
        if price is None:
            return self.orders.market(instrument.id, side, quantity, **more)
        return self.orders.limit(instrument.id, side, quantity, price, **more)


@pytest.mark.parametrize(
    ("quantity", "price", "code"),
    [
        (100, "1.0", ""),
        (100, None, ""),
        (100, "1.05", "PRICE_OFF_GRID"),
        (100, 1.05, "PRICE_OFF_GRID"),
        (100, 1.0000000001, ""),  # a float that means a tick
        (100, 0, "PRICE_INVALID"),
        (100, "-1", "PRICE_INVALID"),
        (0, None, "QUANTITY_INVALID"),
        (-100, None, "QUANTITY_INVALID"),
        (105, None, "QUANTITY_OFF_GRID"),
        (10, None, "QUANTITY_TOO_SMALL"),
        (20, "1.5", ""),
        (1000, "0.5", ""),
        (1010, "0.5", "QUANTITY_TOO_LARGE"),
        (20, "1.4", "NOTIONAL_TOO_SMALL"),
        (900, "1.0", ""),
        (910, "1.0", "NOTIONAL_TOO_LARGE"),
        (810, None, ""),
        (820, None, "NOTIONAL_TOO_LARGE"),  # 902 at the ask
    ],
)
def test_price_quantity_and_notional_are_checked(quantity: Any, price: Any, code: str) -> None:
    assert Desk().submit(Desk().buy(quantity, price)) == code


def test_an_order_of_an_unknown_instrument_is_denied() -> None:
    desk = Desk()
    assert desk.submit(desk.orders.market("NO/PE.SIM", "buy", 1)) == "INSTRUMENT_UNKNOWN"


@pytest.mark.parametrize(
    ("now", "code"), [(9, "INSTRUMENT_INACTIVE"), (10, ""), (19, ""), (20, "INSTRUMENT_INACTIVE")]
)
def test_a_future_trades_from_its_activation_until_it_expires(now: int, code: str) -> None:
    second = 1_000_000_000
    future = Future.define(
        "ESH4.SIM", underlying="ES", activation_ns=10 * second, expiration_ns=20 * second
    )
    desk = Desk()
    desk.cache.add_instrument(future)
    desk.clock.advance(now * second)
    order = desk.buy(1, "100.00", future)
    assert desk.submit(order) == code
    if code:
        assert desk.events[-1].reason == (
            "ESH4.SIM trades from 1970-01-01 00:00:10 UTC until 1970-01-01 00:00:20 UTC;"
            f" it is 1970-01-01 00:00:{now:02} UTC"
        )
    else:
        desk.accept(order)
        desk.clock.advance(20 * second)
        assert desk.modify(order, quantity=D(2)) == "INSTRUMENT_INACTIVE"


def test_a_cash_account_cannot_hold_a_derivative() -> None:
    desk = Desk("cash")
    perpetual = CryptoPerpetual.define("BTC/USD-PERP.SIM")
    desk.cache.add_instrument(perpetual)
    assert desk.submit(desk.buy(1, "1.00", perpetual)) == "ACCOUNT_TYPE"
    assert "CryptoPerpetual" in desk.events[-1].reason


def test_the_configured_notional_is_a_limit_too() -> None:
    desk = Desk(max_notional={"AUD/USD.SIM": D(100)})
    assert desk.submit(desk.buy(100, "1.0")) == ""
    assert desk.submit(desk.buy(110, "1.0")) == "NOTIONAL_TOO_LARGE"


@pytest.mark.parametrize(
    ("held", "side", "quantity", "code"),
    [
        (100, "sell", 100, ""),
        (100, "sell", 110, "REDUCE_ONLY"),
        (100, "buy", 100, "REDUCE_ONLY"),
        (-100, "buy", 100, ""),
        (0, "buy", 100, "REDUCE_ONLY"),
    ],
)
def test_reduce_only_orders_reduce(held: int, side: str, quantity: int, code: str) -> None:
    desk = Desk()
    if held:
        desk.hold(held)
    desk.hold(-1000, owner=OTHER)
    assert desk.submit(desk.make(side, quantity, None, PAIR, reduce_only=True)) == code


def test_reduce_only_is_the_first_check() -> None:
    desk = Desk()
    order = desk.orders.market("NO/PE.SIM", "buy", 1, reduce_only=True)
    assert desk.submit(order) == "REDUCE_ONLY"


def test_a_market_order_without_any_price_is_denied() -> None:
    desk = Desk()
    desk.cache.market(PAIR.id).quote = None
    assert desk.submit(desk.buy(100)) == "PRICE_MISSING"
    assert desk.submit(desk.buy(100, "1.0")) == ""


def test_a_market_order_may_be_priced_from_the_other_side() -> None:
    desk = Desk()
    desk.quote(1.0, float("nan"))
    assert desk.submit(desk.buy(100)) == ""
    desk.quote(float("nan"), float("nan"))
    assert desk.submit(desk.buy(100)) == "PRICE_MISSING"


def test_an_order_without_an_account_is_denied() -> None:
    desk = Desk(account=None)
    assert desk.submit(desk.buy(100)) == "ACCOUNT_MISSING"


# Funds


def test_free_margin_is_needed_for_what_grows_the_position() -> None:
    # 0.1 margin, leverage 2: 500 x 1.0 needs 25.
    desk = Desk(balance="25 USD")
    assert desk.submit(desk.buy(510, "1.0")) == "INSUFFICIENT_FUNDS"
    assert desk.submit(desk.buy(500, "1.0")) == ""
    desk = Desk(balance="0 USD")
    desk.hold(100)
    assert desk.submit(desk.sell(100, "1.0")) == ""
    desk = Desk(balance="0 USD")
    desk.hold(100)
    assert desk.submit(desk.sell(200, "1.0")) == ""  # as short as it was long
    assert desk.submit(desk.sell(210, "1.0")) == "INSUFFICIENT_FUNDS"


def test_margin_counts_every_order_until_the_account_shows_it() -> None:
    desk = Desk(balance="25 USD")
    order = desk.buy(300, "1.0")
    assert desk.submit(order) == ""
    assert desk.submit(desk.buy(300, "1.0")) == "INSUFFICIENT_FUNDS"
    desk.apply(order, e.OrderSubmitted, account_id="SIM-PAPER")
    # On its way the account does not show it yet.
    assert desk.submit(desk.buy(300, "1.0")) == "INSUFFICIENT_FUNDS"
    desk.apply(order, e.OrderAccepted, account_id="SIM-PAPER", venue_order_id="V-1")
    assert desk.submit(desk.buy(300, "1.0")) == ""


@pytest.mark.parametrize(
    "end", [(e.OrderRejected, {"account_id": "SIM-PAPER", "reason": "no"}), (e.OrderCanceled, {})]
)
def test_what_an_order_claims_is_free_again_when_it_is_over(end: Any) -> None:
    desk = Desk(balance="25 USD")
    order = desk.buy(500, "1.0")
    assert desk.submit(order) == ""
    desk.apply(order, e.OrderSubmitted, account_id="SIM-PAPER")
    desk.apply(order, end[0], **end[1])
    assert desk.submit(desk.buy(500, "1.0")) == ""


def test_a_modify_that_is_refused_leaves_what_an_order_on_its_way_claims() -> None:
    desk = Desk("cash", "100 USD")
    order = desk.buy(90, "1.0")
    assert desk.submit(order) == ""
    desk.apply(order, e.OrderSubmitted, account_id="SIM-PAPER")
    assert desk.modify(order, quantity=D(80)) == "ORDER_NOT_OPEN"
    desk.risk.on_event(desk.events[-1])
    assert desk.submit(desk.buy(90, "1.0")) == "INSUFFICIENT_FUNDS"


def test_a_partial_fill_leaves_the_rest_claimed() -> None:
    desk = Desk(balance="25 USD")
    order = desk.buy(400)  # 400 x 1.1 x 0.05 = 22
    assert desk.submit(order) == ""
    desk.apply(order, e.OrderSubmitted, account_id="SIM-PAPER")
    desk.fill(order, 300)  # 5.5 stay claimed
    assert desk.submit(desk.buy(400, "1.0")) == "INSUFFICIENT_FUNDS"
    assert desk.submit(desk.buy(390, "1.0")) == ""
    desk.fill(order, 100)
    assert desk.submit(desk.buy(110, "1.0")) == ""


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.ACTIVE])
def test_a_refused_order_claims_nothing(state: TradingState) -> None:
    desk = Desk(balance="25 USD", orders=1)
    desk.risk.set_trading_state(state)
    expected = "TRADING_HALTED" if state is TradingState.HALTED else ""
    assert desk.submit(desk.buy(20, "2.0")) == expected
    refused = desk.submit(desk.buy(400, "1.0"))
    assert refused == (expected or "RATE_LIMIT_EXCEEDED")
    desk.risk.set_trading_state(TradingState.ACTIVE)
    desk.clock.advance(2_000_000_000)
    assert desk.submit(desk.buy(400, "1.0")) == ""


def test_a_cash_account_pays_in_the_quote_and_sells_from_the_base_currency() -> None:
    desk = Desk(account="cash", balance="100 USD")
    desk.account("cash", "100 USD", "50 AUD")
    assert desk.submit(desk.buy(110, "1.0")) == "INSUFFICIENT_FUNDS"
    assert desk.submit(desk.sell(60, "1.0")) == "INSUFFICIENT_FUNDS"
    assert desk.submit(desk.sell(30, "1.0")) == ""
    assert desk.submit(desk.sell(30, "1.0")) == "INSUFFICIENT_FUNDS"
    assert desk.submit(desk.buy(60, "1.0")) == ""
    assert desk.submit(desk.buy(60, "1.0")) == "INSUFFICIENT_FUNDS"
    assert desk.submit(desk.buy(30)) == ""  # 33 at the ask


def test_a_cash_account_sells_only_the_shares_it_holds() -> None:
    desk = Desk(account="cash")
    desk.hold(10, SHARE)
    assert desk.submit(desk.sell(11, None, SHARE)) == "INSUFFICIENT_FUNDS"
    # The order denied just now is not being sold.
    resting = desk.sell(6, "2.00", SHARE)
    assert desk.submit(resting) == ""
    assert desk.submit(desk.sell(5, None, SHARE)) == "INSUFFICIENT_FUNDS"
    desk.accept(resting)
    assert desk.submit(desk.sell(5, None, SHARE)) == "INSUFFICIENT_FUNDS"
    assert desk.submit(desk.sell(4, None, SHARE)) == ""


# Staleness, state and rate


def test_an_order_priced_from_a_stale_instrument_is_denied() -> None:
    desk = Desk()
    desk.risk.is_stale = lambda instrument_id: instrument_id == PAIR.id
    assert desk.submit(desk.buy(100)) == "QUOTE_STALE"
    assert desk.submit(desk.buy(1, None, SHARE)) == ""


def test_halted_refuses_everything_but_cancels() -> None:
    desk = Desk()
    order = desk.buy(100, "1.0")
    desk.submit(order)
    desk.accept(order)
    desk.hold(100)
    desk.risk.set_trading_state(TradingState.HALTED)
    assert desk.submit(desk.sell(100)) == "TRADING_HALTED"
    assert desk.modify(order, quantity=D(90)) == "TRADING_HALTED"
    cancel = c.CancelOrder(
        strategy_id=ME,
        instrument_id=PAIR.id,
        client_order_id=order.client_order_id,
        ts_init=1,
    )
    desk.risk.execute(cancel)
    assert desk.sent[-1] is cancel


@pytest.mark.parametrize(
    ("side", "quantity", "code"),
    [
        ("sell", 100, ""),
        ("sell", 110, "TRADING_REDUCING"),  # a flip
        ("buy", 100, "TRADING_REDUCING"),
    ],
)
def test_reducing_refuses_what_grows_or_flips(side: str, quantity: int, code: str) -> None:
    desk = Desk()
    desk.hold(100)
    desk.risk.set_trading_state(TradingState.REDUCING)
    assert desk.submit(desk.make(side, quantity, None, PAIR)) == code


def test_reducing_counts_what_is_on_its_way_and_resting() -> None:
    desk = Desk()
    desk.hold(100)
    desk.risk.set_trading_state(TradingState.REDUCING)
    first = desk.sell(60, "1.0")
    assert desk.submit(first) == ""
    assert desk.submit(desk.sell(60)) == "TRADING_REDUCING"
    desk.accept(first)
    assert desk.submit(desk.sell(60)) == "TRADING_REDUCING"
    # The venue itself keeps a reduce-only order from flipping.
    assert desk.submit(desk.sell(60, None, reduce_only=True)) == ""
    assert desk.modify(first, quantity=D(110)) == "TRADING_REDUCING"


def test_orders_beyond_the_rate_are_dropped_until_the_window_has_passed() -> None:
    desk = Desk(orders=2, orders_interval_ns=10)
    assert [desk.submit(desk.buy(100, "0.5")) for _ in range(3)] == ["", "", "RATE_LIMIT_EXCEEDED"]
    desk.clock.advance(11)
    assert desk.submit(desk.buy(100, "0.5")) == ""


def test_modifications_have_a_rate_of_their_own() -> None:
    desk = Desk(modifies=1)
    order = desk.buy(100, "1.0")
    desk.submit(order)
    desk.accept(order)
    assert [desk.modify(order, quantity=D(90)) for _ in range(2)] == ["", "RATE_LIMIT_EXCEEDED"]
    assert desk.submit(desk.buy(100, "0.5")) == ""


# Modifications


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": D(200)}, ""),
        ({"price": D("1.1")}, ""),
        ({"price": D("1.05")}, "PRICE_OFF_GRID"),
        ({"price": D(0)}, "PRICE_INVALID"),
        ({"quantity": D(105)}, "QUANTITY_OFF_GRID"),
        ({"quantity": D(2000)}, "QUANTITY_TOO_LARGE"),
        ({"quantity": D(910)}, "NOTIONAL_TOO_LARGE"),
        ({"quantity": D(40)}, "QUANTITY_BELOW_FILLED"),
        ({"quantity": D(50)}, ""),
    ],
)
def test_modifications_are_checked_like_orders(change: dict[str, Any], code: str) -> None:
    desk = Desk()
    order = desk.buy(100, "1.0")
    desk.submit(order)
    desk.fill(desk.accept(order), 50)
    assert desk.modify(order, **change) == code


def test_a_modification_needs_funds_for_what_it_adds() -> None:
    desk = Desk("cash", "100 USD")
    order = desk.buy(50, "1.0")
    desk.submit(order)
    desk.accept(order)
    desk.account("cash", "50 USD")  # what its lock leaves
    assert desk.modify(order, quantity=D(110)) == "INSUFFICIENT_FUNDS"
    assert desk.events[-1].reason == (
        "needs 60.0 USD beyond the 50.0 it ties up; 50 USD of SIM-PAPER is free"
    )
    assert desk.modify(order, price=D("2.1")) == "INSUFFICIENT_FUNDS"
    desk.fill(order, 20)
    assert desk.modify(order, quantity=D(110)) == "INSUFFICIENT_FUNDS"
    assert desk.modify(order, quantity=D(100)) == ""


def test_modifications_on_their_way_are_counted_until_the_venue_answers() -> None:
    desk = Desk("cash", "100 USD")
    order = desk.buy(50, "1.0")
    desk.submit(order)
    desk.accept(order)
    desk.account("cash", "50 USD")
    assert desk.modify(order, quantity=D(40)) == ""
    assert desk.modify(order, quantity=D(80)) == ""
    assert desk.modify(order, quantity=D(90)) == ""
    assert desk.submit(desk.buy(30, "1.0")) == "INSUFFICIENT_FUNDS"
    desk.apply(order, e.OrderModifyRejected, reason="here", code="PRICE_OFF_GRID")
    desk.apply(order, e.OrderUpdated, quantity=D(40))
    desk.account("cash", "60 USD")
    assert desk.submit(desk.buy(30, "1.0")) == "INSUFFICIENT_FUNDS"
    desk.apply(order, e.OrderUpdated, quantity=D(80))
    desk.account("cash", "30 USD")
    assert desk.submit(desk.buy(30, "1.0")) == "INSUFFICIENT_FUNDS"
    desk.apply(order, e.OrderModifyRejected, reason="too late")
    assert desk.submit(desk.buy(30, "1.0")) == ""


def test_an_answered_cancel_ends_the_modifications_before_it() -> None:
    desk = Desk("cash", "100 USD")
    order = desk.buy(50, "1.0")
    desk.submit(order)
    desk.accept(order)
    desk.account("cash", "50 USD")
    assert desk.modify(order, quantity=D(90)) == ""
    desk.apply(order, e.OrderPendingCancel)
    assert desk.submit(desk.buy(50, "1.0")) == "INSUFFICIENT_FUNDS"
    desk.apply(order, e.OrderCancelRejected, reason="too late")
    assert desk.submit(desk.buy(50, "1.0")) == ""


def test_what_shrinks_an_order_needs_nothing() -> None:
    desk = Desk("cash", "100 USD")
    order = desk.buy(90, "1.0")
    desk.submit(order)
    desk.accept(order)
    desk.account("cash", "-20 USD")
    assert desk.modify(order, quantity=D(80)) == ""


def test_shares_on_sale_are_not_sold_again_by_a_modification() -> None:
    desk = Desk("cash", "100 USD")
    desk.hold(10, SHARE)
    order = desk.sell(6, "1.0", SHARE)
    desk.submit(order)
    desk.accept(order)
    assert desk.modify(order, quantity=D(11)) == "INSUFFICIENT_FUNDS"
    assert desk.modify(order, quantity=D(10)) == ""
    assert desk.submit(desk.sell(1, "1.0", SHARE)) == "INSUFFICIENT_FUNDS"


def test_several_orders_against_a_position_need_margin_for_what_they_leave_together() -> None:
    desk = Desk("margin", "0 USD")
    desk.hold(100)
    close = desk.sell(100, "1.0")
    assert desk.submit(close) == ""
    desk.accept(close)
    assert desk.submit(desk.sell(100, "1.0")) == ""  # leaves as much as there is, short
    assert desk.submit(desk.sell(20, "1.5")) == "INSUFFICIENT_FUNDS"
    assert desk.modify(close, quantity=D(120)) == "INSUFFICIENT_FUNDS"
    assert desk.submit(desk.sell(20, "1.5", reduce_only=True)) == ""


def test_a_modification_without_an_account_is_refused() -> None:
    desk = Desk(None)
    order = desk.buy(100, "1.0")
    desk.cache.add_order(order)
    desk.accept(order)
    assert desk.modify(order, quantity=D(90)) == "ACCOUNT_MISSING"


def test_only_an_open_order_that_is_not_being_canceled_can_change() -> None:
    desk = Desk()
    order = desk.buy(100, "1.0")
    assert desk.modify(order, quantity=D(50)) == "ORDER_UNKNOWN"
    desk.submit(order)
    assert desk.modify(order, quantity=D(50)) == "ORDER_NOT_OPEN"
    desk.accept(order)
    desk.apply(order, e.OrderPendingCancel)
    assert desk.modify(order, quantity=D(50)) == "ORDER_NOT_OPEN"


# Limits


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"orders": 0}, "orders must be a whole number, 1 or more; got 0"),
        ({"orders": "5"}, "orders must be a whole number, 1 or more; got '5'"),
        ({"modifies": 0}, "modifies must be"),
        ({"orders_interval_ns": 1.5}, "orders_interval_ns must be"),
        (
            {"max_notional": {"AUD/USD.SIM": D(0)}},
            r"max_notional\['AUD/USD.SIM'\] must be positive",
        ),
        ({"max_notional": {"AUD/USD.SIM": "x"}}, r"max_notional\['AUD/USD.SIM'\] must be a number"),
        ({"max_notional": 0}, "max_notional must be positive; got 0"),
        ({"max_position": "much"}, "max_position must be a number"),
        ({"max_order_quantity": {"A.SIM": -1}}, r"max_order_quantity\['A.SIM'\] must be positive"),
        ({"max_open_orders": 1.5}, "max_open_orders must be a whole number"),
        ({"orders_per_minute": {"A.SIM": 0}}, r"orders_per_minute\['A.SIM'\] must be a whole"),
        ({"max_loss_per_day": 500}, "max_loss_per_day is an amount as text, such as '5_000 USD'"),
        ({"max_loss_per_day": "500"}, "money is an amount and a currency"),
        ({"max_loss_per_day": "-5 USD"}, "max_loss_per_day must be positive; got '-5 USD'"),
        ({"on_loss": "sell"}, "on_loss must be one of 'refuse', 'reducing', 'halted'; got 'sell'"),
        ({"on_excess": "keep"}, "on_excess must be one of 'drop', 'buffer'; got 'keep'"),
        ({"position_scope": "me"}, "position_scope must be one of"),
        ({"order": 5}, "RiskLimits has no field 'order'; it has: orders, modifies"),
    ],
)
def test_a_limit_that_does_not_fit_is_refused_by_name(limits: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        RiskLimits(**limits)


def test_plain_limits_are_made_exact() -> None:
    limits = RiskLimits(max_notional={"AUD/USD.SIM": 0.1})  # type: ignore[dict-item]
    assert limits.max_notional == {"AUD/USD.SIM": D("0.1")}

"""Runs a scenario through NautilusTrader 2."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader import model as m
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.core import UUID4
from nautilus_trader.execution import MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.trading import Strategy, StrategyConfig

from tests.oracle.scenario import (
    CASH,
    DIGITS,
    TICK,
    Action,
    Bar,
    BidAsk,
    Cancel,
    Fill,
    Modify,
    Outcome,
    Scenario,
    Submit,
    SubmitList,
    Ticket,
    row_of,
    ticks_of,
)

SIM = m.Venue("SIM")
USDT = m.Currency.from_str("USDT")
PAIR_ID = m.InstrumentId(m.Symbol("BTC/USDT"), SIM)
BARS = {
    side: m.BarType.from_str(f"{PAIR_ID}-1-MINUTE-{side.upper()}-EXTERNAL")
    for side in ("last", "bid", "ask")
}
TRADER, OWNER = m.TraderId("TRADER-001"), m.StrategyId("Scripted-001")
LINKS = {
    "oco": m.ContingencyType.OCO,
    "ouo": m.ContingencyType.OUO,
    "oto": m.ContingencyType.OTO,
}
KINDS = {
    "market": m.MarketOrder,
    "limit": m.LimitOrder,
    "stop_market": m.StopMarketOrder,
    "stop_limit": m.StopLimitOrder,
    "market_to_limit": m.MarketToLimitOrder,
    "market_if_touched": m.MarketIfTouchedOrder,
    "limit_if_touched": m.LimitIfTouchedOrder,
    "trailing_stop_market": m.TrailingStopMarketOrder,
    "trailing_stop_limit": m.TrailingStopLimitOrder,
}
PENDING = (m.OrderStatus.PENDING_UPDATE, m.OrderStatus.PENDING_CANCEL)


def price(ticks: int | None) -> Any:
    return None if ticks is None else m.Price.from_decimal(TICK * ticks)


class Scripted(Strategy):
    """Does what a scenario says."""

    def prepare(self, scenario: Scenario) -> Scripted:
        self.scenario = scenario
        self.row = -1
        self.todo = scenario.actions_after()
        self.fills: list[Fill] = []
        self.reasons: dict[str, str] = {}
        return self

    def on_start(self) -> None:
        if self.scenario.has_bars:
            # The venue walks a pair when its second bar comes: the ask.
            self.subscribe_bars(BARS[list(self.scenario.sides())[-1]])
        else:
            self.subscribe_quotes(PAIR_ID)

    def on_quote(self, quote: Any) -> None:
        self.go_on()

    def on_bar(self, bar: Any) -> None:
        self.go_on()

    def go_on(self) -> None:
        self.row += 1
        for action in self.todo.get(self.row, ()):
            try:
                self.act(action)
            except ValueError as error:
                # The engine would log it and go on.
                self.reasons[getattr(action, "ticket", action).name] = f"invalid: {error}"

    def act(self, action: Action) -> None:
        if isinstance(action, Submit):
            opened_by = action.ticket.position
            position_id = None
            if opened_by is not None:
                position_id = self.cache.position_id(m.ClientOrderId(opened_by))
            self.submit_order(self.make(action.ticket), position_id)
            return
        if isinstance(action, SubmitList):
            self.submit_order_list(self.make_list(action))
            return
        order = self.cache.order(m.ClientOrderId(action.name))
        if order is None or not order.is_open:
            return
        if isinstance(action, Modify):
            quantity = None if action.quantity is None else m.Quantity.from_int(action.quantity)
            self.modify_order(
                order.client_order_id, quantity, price(action.price), price(action.trigger)
            )
        elif isinstance(action, Cancel):
            self.cancel_order(order.client_order_id)

    def make(self, ticket: Ticket, **linked: Any) -> Any:
        now = self.clock.timestamp_ns()
        fields: dict[str, Any] = {
            "trader_id": TRADER,
            "strategy_id": OWNER,
            "instrument_id": PAIR_ID,
            "client_order_id": m.ClientOrderId(ticket.name),
            "order_side": getattr(m.OrderSide, ticket.side.upper()),
            "order_type": getattr(m.OrderType, ticket.kind.upper()),
            "quantity": m.Quantity.from_int(ticket.quantity),
            "time_in_force": getattr(m.TimeInForce, ticket.force.upper()),
            "post_only": ticket.post_only,
            "reduce_only": ticket.reduce_only,
            "quote_quantity": False,
            "reconciliation": False,
            "event_id": UUID4(),
            "ts_event": now,
            "ts_init": now,
            "price": price(ticket.price),
            "trigger_price": price(ticket.trigger),
            "activation_price": price(ticket.activation),
            **linked,
        }
        if "stop" in ticket.kind or "touched" in ticket.kind:
            fields["trigger_type"] = getattr(m.TriggerType, ticket.trigger_type.upper())
        if ticket.expires is not None:
            # It looks at expiry after matching, so that this row is the last that can fill it.
            exact = self.scenario.expiry_ns(ticket.expires)
            with_row = self.scenario.time_ns(ticket.expires)
            fields["expire_time"] = with_row if self.scenario.peer_expires_with_row else exact
        if ticket.offset is not None:
            scale = TICK if ticket.offset_type == "price" else Decimal(1)
            fields["trailing_offset"] = scale * ticket.offset
            fields["trailing_offset_type"] = getattr(
                m.TrailingOffsetType, ticket.offset_type.upper()
            )
            if ticket.limit_offset is not None:
                # It counts from the market, not from the trigger.
                fields["limit_offset"] = scale * (ticket.offset + ticket.limit_offset)
        return KINDS[ticket.kind].create(m.OrderInitialized(**fields))

    def make_list(self, action: SubmitList) -> list[Any]:
        list_id = m.OrderListId(f"list-{action.tickets[0].name}")
        names = [m.ClientOrderId(ticket.name) for ticket in action.tickets]
        made: list[Any] = []
        for index, ticket in enumerate(action.tickets):
            fields: dict[str, Any] = {"order_list_id": list_id}
            is_child = index > 0 and action.link in ("oto", "bracket")
            if is_child:
                fields["parent_order_id"] = names[0]
            if action.link in ("oto", "bracket") and not is_child:
                fields["contingency_type"] = m.ContingencyType.OTO
                fields["linked_order_ids"] = names[1:]
            elif action.link in ("oco", "ouo", "bracket"):
                link = "ouo" if action.link == "bracket" else action.link
                fields["contingency_type"] = LINKS[link]
                siblings = names[1:] if action.link == "bracket" else names
                fields["linked_order_ids"] = [one for one in siblings if one != names[index]]
            made.append(self.make(ticket, **fields))
        return made

    def on_order_filled(self, event: Any) -> None:
        self.fills.append(
            Fill(
                row_of(self.scenario, event.ts_event),
                event.client_order_id.value,
                event.order_side.name.lower(),
                int(event.last_qty.as_decimal()),
                ticks_of(event.last_px.as_decimal()),
                Decimal(0) if event.commission is None else event.commission.as_decimal(),
            )
        )

    def on_order_denied(self, event: Any) -> None:
        self.reasons[event.client_order_id.value] = event.reason

    def on_order_rejected(self, event: Any) -> None:
        self.reasons[event.client_order_id.value] = event.reason


def run(scenario: Scenario) -> Outcome:
    """Return what came of a scenario there."""
    quiet = LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True)
    engine = BacktestEngine(
        BacktestEngineConfig(
            trader_id=TRADER, bypass_logging=True, run_analysis=False, logging=quiet
        )
    )
    engine.add_venue(
        venue=SIM,
        oms_type=m.OmsType.HEDGING if scenario.hedging else m.OmsType.NETTING,
        account_type=m.AccountType.MARGIN,
        starting_balances=[m.Money(CASH, USDT)],
        book_type=m.BookType.L1_MBP,
        fee_model=MakerTakerFeeModel(Decimal(scenario.maker), Decimal(scenario.taker)),
        latency_model=StaticLatencyModel(base_latency_nanos=scenario.latency_ns),
        reject_stop_orders=scenario.rejects_reached,
        bar_adaptive_high_low_ordering=scenario.adaptive,
        liquidity_consumption=scenario.peer_consumes,
    )
    pair = m.CurrencyPair(
        instrument_id=PAIR_ID,
        raw_symbol=PAIR_ID.symbol,
        base_currency=m.Currency.from_str("BTC"),
        quote_currency=USDT,
        price_precision=DIGITS,
        size_precision=0,
        price_increment=price(1),
        size_increment=m.Quantity.from_int(1),
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        ts_event=0,
        ts_init=0,
    )
    engine.add_instrument(pair)
    engine.add_data(_data(scenario))
    strategy = Scripted(StrategyConfig(strategy_id=OWNER)).prepare(scenario)
    engine.add_strategy(strategy)
    engine.run()
    cache = engine.cache
    orders = {
        ticket.name: cache.order(m.ClientOrderId(ticket.name)) for ticket in scenario.tickets()
    }
    profit = cache.account_for_venue(SIM).balance_total(USDT).as_decimal() - CASH
    open_profits = [
        held.unrealized_pnl(price(_closing(scenario, held.signed_qty))).as_decimal()
        for held in cache.positions_open()
    ]
    outcome = Outcome(
        fills=tuple(strategy.fills),
        orders={
            name: (order.status.name.lower(), int(order.filled_qty.as_decimal()))
            for name, order in orders.items()
            if order is not None
        },
        positions=tuple(sorted(int(held.signed_qty) for held in cache.positions_open())),
        profit=profit,
        total=profit + sum(open_profits),
        reasons=strategy.reasons,
    )
    engine.dispose()
    return outcome


def _closing(scenario: Scenario, quantity: float) -> int:
    """Return the price at which a position could be closed at the end."""
    last = scenario.rows[-1]
    if isinstance(last, Bar):
        return last.close
    if isinstance(last, BidAsk):
        return last.bid.close if quantity > 0 else last.ask.close
    return last.bid if quantity > 0 else last.ask


def _data(scenario: Scenario) -> list[Any]:
    if scenario.has_bars:
        return [
            _bar(BARS[side], found[row], scenario.time_ns(row))
            for row in range(len(scenario.rows))
            for side, found in scenario.sides().items()
        ]
    return [
        m.QuoteTick(
            PAIR_ID,
            price(row.bid),
            price(row.ask),
            m.Quantity.from_int(row.bid_size),
            m.Quantity.from_int(row.ask_size),
            scenario.time_ns(index),
            scenario.time_ns(index),
        )
        for index, row in enumerate(scenario.rows)
    ]


def _bar(kind: Any, row: Bar, time_ns: int) -> Any:
    prices = (price(ticks) for ticks in (row.open, row.high, row.low, row.close))
    return m.Bar(kind, *prices, m.Quantity.from_int(row.volume), time_ns, time_ns)

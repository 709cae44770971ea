"""Random plans for a simulated exchange: a strategy that sends anything, a market that moves."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import workbench as wb
from workbench import sim
from workbench.model import events as e
from workbench.model.commands import ModifyOrder
from workbench.model.enums import ContingencyType, OrderStatus
from workbench.model.instruments import CurrencyPair
from workbench.sim import BacktestEngine

D = Decimal
ORDER_ID_DASHES = 3  # O-T-1-1
PAIR = CurrencyPair.define(
    "ETH/USD.SIM",
    price_increment="0.01",
    margin_init="0.05",
    maker_fee="-0.0001",
    taker_fee="0.0003",
)
TICK = D("0.01")
SECOND = 1_000_000_000
FORCES = ("gtc", "gtc", "gtc", "ioc", "fok", "day", "gtd", "at_the_open", "at_the_close")
TRIGGERS = ("default", "bid_ask", "last", "last_or_bid_ask", "mid", "double_last", "double_bid_ask")
MODELS: tuple[Any, ...] = (
    sim.FillModel(),
    sim.FillModel(prob_fill_on_limit=0.5, prob_slippage=0.5, seed=3),
    sim.BestPriceFillModel(),
    sim.OneTickSlippageFillModel(),
    sim.TwoTierFillModel(sizes=(2, 3)),
    sim.ThreeTierFillModel(sizes=(1, 2, 3)),
    sim.SizeAwareFillModel(threshold=4),
    sim.VolumeSensitiveFillModel(share="0.3"),
)
FEES: tuple[Any, ...] = (
    sim.FeeModel(),
    sim.MakerTakerFeeModel(maker="-0.0002", taker="0.0005"),
    sim.FixedFeeModel(commission="2 USD"),
    sim.FixedFeeModel(commission="1 USD", per_fill=True),
    sim.PerContractFeeModel(commission="0.01 USD"),
)
LATENCIES: tuple[Any, ...] = (
    sim.LatencyModel(),
    sim.LatencyModel(),
    sim.LatencyModel(base_ns=3 * SECOND),
    sim.LatencyModel(insert_ns=5 * SECOND, update_ns=SECOND),  # a cancel overtakes its order
)


class Anything(wb.Strategy):
    """Sends random orders, lists, modifies and cancels, from a random generator of its own."""

    seed: int = 0

    def on_start(self) -> None:
        self.random = Random(self.seed)
        self.price = D(100)
        self.subscribe_quotes(PAIR.id)
        self.subscribe_trades(PAIR.id)
        for one in ("last", "bid", "ask"):
            self.subscribe_bars(f"{PAIR.id}-1-second-{one}")

    def on_quote(self, quote: wb.Quote) -> None:
        self.act(quote.bid)

    def on_trade(self, trade: wb.Trade) -> None:
        self.act(trade.price)

    def on_bar(self, bar: wb.Bar) -> None:
        self.act(bar.close)

    def act(self, price: float) -> None:
        self.price = PAIR.price(price)
        for _ in range(self.random.choice((0, 1, 1, 2))):
            name = self.random.choice(
                ("single", "single", "single", "linked", "linked", "modify", "modify", "cancel")
            )
            if self.random.random() < 0.03:
                name = "cancel_all"
            getattr(self, name)()

    # Orders

    def near(self) -> Decimal:
        return self.price + self.random.randint(-6, 6) * TICK

    def order(self, **fixed: Any) -> wb.Order:
        random = self.random
        side = fixed.pop("side", None) or random.choice(("buy", "sell"))
        kind = random.choice(("market", "limit", "limit", "market_to_limit", "trigger", "trigger"))
        quantity = fixed.pop("quantity", None) or random.randint(1, 12)
        options: dict[str, Any] = {"time_in_force": random.choice(FORCES), **fixed}
        if options["time_in_force"] == "gtd":
            options["expire"] = self.clock.timestamp_ns() + random.randint(1, 9) * SECOND
        if random.random() < 0.08:
            options["reduce_only"] = True
        if kind == "market":
            return self.orders.market(PAIR.id, side, quantity, **options)
        if kind == "market_to_limit":
            return self.orders.market_to_limit(PAIR.id, side, quantity, **options)
        if kind == "limit":
            if random.random() < 0.2:
                options["post_only"] = True
            return self.orders.limit(PAIR.id, side, quantity, self.near(), **options)
        if random.random() < 0.9 and options["time_in_force"].startswith("at_"):
            options["time_in_force"] = "gtc"
        return self.triggered(side, quantity, options)

    def triggered(self, side: str, quantity: int, options: dict[str, Any]) -> wb.Order:
        random, orders = self.random, self.orders
        options["trigger_type"] = random.choice(TRIGGERS)
        kind = random.choice(("stop_market", "stop_limit", "mit", "lit", "trail", "trail_limit"))
        if kind == "stop_market":
            return orders.stop_market(PAIR.id, side, quantity, self.near(), **options)
        if kind == "stop_limit":
            return orders.stop_limit(PAIR.id, side, quantity, self.near(), self.near(), **options)
        if kind == "mit":
            return orders.market_if_touched(PAIR.id, side, quantity, self.near(), **options)
        if kind == "lit":
            near = self.near(), self.near()
            return orders.limit_if_touched(PAIR.id, side, quantity, *near, **options)
        unit, offset = random.choice((("price", "0.03"), ("ticks", 2), ("basis_points", 3)))
        options["trailing_offset_type"] = unit
        if random.random() < 0.4:
            options["activation_price"] = self.near()
        if kind == "trail":
            return orders.trailing_stop_market(PAIR.id, side, quantity, offset, **options)
        return orders.trailing_stop_limit(PAIR.id, side, quantity, offset, offset, **options)

    def single(self) -> None:
        self.submit_order(self.order())

    def linked(self) -> None:
        random, orders = self.random, self.orders
        kind = random.choice(("bracket", "bracket", "oco", "ouo", "oto", "together"))
        if kind == "bracket":
            side = random.choice(("buy", "sell"))
            away = (1 if side == "buy" else -1) * random.randint(1, 4) * TICK
            entry: dict[str, Any] = {}
            if random.random() < 0.5:
                entry["entry_price"] = self.near()
            if random.random() < 0.2:
                entry["entry_trigger_price"] = self.near()
            base = entry.get("entry_price", self.price)
            made = orders.bracket(
                PAIR.id,
                side,
                random.randint(1, 12),
                stop_loss=base - away,
                take_profit=base + away,
                **entry,
            )
        elif kind == "oto":
            made = orders.oto(self.order(), self.order(reduce_only=True), self.order())
        else:
            quantity = random.randint(1, 12)
            made = getattr(orders, kind)(
                *(self.order(quantity=quantity) for _ in range(random.randint(2, 3)))
            )
        self.submit_order_list(made)

    # Changes

    def any_order(self) -> wb.Order | None:
        every = self.cache.orders_open() or self.cache.orders()
        mine = [order for order in every if order.strategy_id == self.strategy_id]
        return self.random.choice(mine) if mine else None

    def modify(self) -> None:
        order = self.any_order()
        if order is None:
            return
        change: dict[str, Any] = {}
        if self.random.random() < 0.5 or not (order.price or order.trigger_price):
            change["quantity"] = self.random.randint(1, 14)
        if order.price is not None and self.random.random() < 0.6:
            change["price"] = self.near()
        if order.trigger_price is not None and self.random.random() < 0.6:
            change["trigger_price"] = self.near()
        self.modify_order(order, **(change or {"quantity": 7}))

    def cancel(self) -> None:
        order = self.any_order()
        if order is not None:
            self.cancel_order(order)

    def cancel_all(self) -> None:
        self.cancel_all_orders(PAIR.id)


def market(seed: int, count: int, kinds: str = "quotes") -> list[Any]:
    """Return a random walk around 100, as quotes, trades, bars, paired bars, or `mixed`."""
    random = Random(seed)
    data: list[Any] = []
    mid = 10_000
    for number in range(1, count + 1):
        ts = number * SECOND + 1
        mid = min(10_060, max(9_940, mid + random.randint(-3, 3)))
        kind = random.choice(("quotes", "quotes", "trades")) if kinds == "mixed" else kinds
        if kind == "quotes":
            half = random.randint(1, 2)
            sizes = [float(random.choice((0, 1, 3, 8, 50))) for _ in range(2)]
            bid, ask = (mid - half) / 100, (mid + half) / 100
            data.append(wb.Quote(PAIR.id, bid, ask, *sizes, ts, ts))
        elif kind == "trades":
            size = float(random.randint(1, 20))
            aggressor = random.choice(list(wb.AggressorSide))
            data.append(wb.Trade(PAIR.id, mid / 100, size, aggressor, f"t{number}", ts, ts))
        else:
            data.extend(_bars(random, mid, ts, kinds))
    return data


def _bars(random: Random, mid: int, ts: int, kinds: str) -> list[wb.Bar]:
    first, last = mid + random.randint(-3, 3), mid + random.randint(-3, 3)
    high, low = max(first, last) + random.randint(0, 4), min(first, last) - random.randint(0, 4)
    volume = random.choice((None, None, 0.0, 40.0, 400.0)) if kinds == "bars" else None
    wide = {"bars": {"last": 0}, "pairs": {"bid": 0, "ask": 2}}[kinds]
    return [
        wb.Bar(
            wb.BarType.parse(f"{PAIR.id}-1-second-{name}"),
            *((one + more) / 100 for one in (first, high, low, last)),
            volume,
            ts,
            ts,
        )
        for name, more in wide.items()
    ]


def venue(seed: int, **fixed: Any) -> sim.SimulatedVenue:
    """Return random settings."""
    random = Random(seed)
    settings: dict[str, Any] = {
        "name": "SIM",
        "account_type": random.choice(("margin", "margin", "cash")),
        "order_management": random.choice(("netting", "netting", "hedging")),
        "starting_balances": ["1_000_000 USD", "1_000 ETH"],
        "fill_model": random.choice(MODELS),
        "fee_model": random.choice(FEES),
        "latency": random.choice(LATENCIES),
        "fill_on": random.choice(("close", "next_open")),
        "bar_path": random.choice(("ohlc", "adaptive")),
        "trades_move_book": random.random() < 0.5,
        "rejects_reached_triggers": random.random() < 0.2,
        # Sessions of minutes, so that DAY and the auctions come within the data.
        "session": random.choice(
            (sim.TradingSession(), sim.TradingSession(open="00:01", close="00:02"))
        ),
        "leverage": 10,
    }
    return sim.SimulatedVenue(**{**settings, **fixed})


def run_engine(
    data: list[Any], settings: sim.SimulatedVenue, *strategies: wb.Strategy
) -> BacktestEngine:
    """Return an engine that has run."""
    from workbench.history import Timeline, load

    listed = [PAIR]
    engine = BacktestEngine(
        Timeline(load(data, listed)),
        listed,
        [settings.for_instruments(listed)],
        strategies,
        run_tag="T",
        limits=wb.RiskLimits(orders=1_000_000),
    )
    engine.run()
    if engine.error is not None:
        raise engine.error
    return engine


# What must hold


def check(engine: BacktestEngine) -> None:
    """Check everything that holds whatever was sent and whatever the market did."""
    core = engine.core
    assert core.execution.refused_events == []
    (exchange,) = engine.exchanges
    orders = {order.client_order_id: order for order in core.cache.orders()}
    for order in orders.values():
        assert 0 <= order.filled_quantity <= order.quantity, order
        assert (order.status is OrderStatus.FILLED) == (
            order.filled_quantity == order.quantity and order.status is not OrderStatus.CANCELED
        ), order
    there = {one.client_order_id for one in exchange.open_orders()}
    here = {name for name, order in orders.items() if order.is_open}
    on_the_way = {name for name, order in orders.items() if order.is_in_flight}
    assert here - on_the_way <= there, "open here, not there"
    assert there <= here | on_the_way, "open there, not here"
    check_desk(exchange)
    commands = (record.message for record in core.log if isinstance(record.message, ModifyOrder))
    check_links(orders, {one.client_order_id for one in commands if one.quantity is not None})
    check_money(engine)
    check_positions(engine)


def check_desk(exchange: Any) -> None:
    """Every order that is open waits in exactly one place, and nothing else does."""
    desk = exchange.engine(PAIR.id).desk
    resting = desk.resting
    in_ladders = [order for ladder in resting._ladders.values() for _, _, order in ladder._entries]
    places = [
        *in_ladders,
        *resting.watched.values(),
        *resting.parked.values(),
        *resting.armed,
        *(one for one in desk.deferred if not one.is_over),
    ]
    names = [one.client_order_id for one in places]
    assert len(names) == len(set(names)), "twice"
    assert set(names) == {one.client_order_id for one in exchange.open_orders()}
    assert all(not one.is_over for one in places)
    for ladder in resting._ladders.values():
        entries = [(rank, sequence) for rank, sequence, _ in ladder._entries]
        assert entries == sorted(entries)
        assert entries == [(o.rank, o.sequence) for _, _, o in ladder._entries]
    watched = sum(one.client_order_id in exchange.times for one in exchange.open_orders())
    assert len(exchange.times) == watched, "an alert of an order that is over"


def check_links(orders: dict[Any, wb.Order], resized: set[Any]) -> None:
    """No contingency is half done; what is still on its way may have been overtaken.

    An order that its owner resized is not of its siblings' size any more.
    """
    for order in orders.values():
        terms = order.terms
        others = [orders[name] for name in terms.linked_order_ids if name in orders]
        if order.is_in_flight or any(one.is_in_flight for one in others):
            continue
        if terms.contingency is ContingencyType.OCO and order.filled_quantity:
            assert not any(one.is_open for one in others), "one of an OCO filled, another is open"
        elif terms.contingency is ContingencyType.OUO and order.status is OrderStatus.FILLED:
            assert not any(one.is_open for one in others), "one of an OUO filled, another is open"
        elif terms.contingency is ContingencyType.OUO and order.is_open and order.filled_quantity:
            for one in others:
                is_ours = {one.client_order_id, order.client_order_id}.isdisjoint(resized)
                assert not (is_ours and one.is_open) or (
                    one.leaves_quantity <= order.leaves_quantity
                )
        elif terms.contingency is ContingencyType.OTO and order.is_closed:
            is_idle = order.filled_quantity == 0
            assert not (is_idle and any(one.is_open for one in others)), "a child without a parent"


def check_money(engine: BacktestEngine) -> None:
    """Margin: start + realised. Cash: start + signed flows - commissions, per currency."""
    (exchange,) = engine.exchanges
    account = engine.core.cache.account_at("SIM")
    assert account is not None
    totals = {one.currency.code: one.total for one in account.balances}
    fills = fills_of(engine)
    if exchange.settings.account_type == "margin":
        realized = engine.core.portfolio.realized_pnl().get("USD", D(0))
        assert abs(totals["USD"] - 1_000_000 - realized) < D("1e-15")
        assert totals["ETH"] == 1_000
    else:
        flows = {"USD": D(1_000_000), "ETH": D(1_000)}
        for fill in fills:
            signed = fill.quantity * fill.side.sign
            flows["ETH"] += signed
            flows["USD"] -= signed * fill.price + fill.commission
        assert all(abs(flows[code] - totals[code]) < D("1e-15") for code in flows)
    if not exchange.open_orders() and exchange.settings.account_type == "cash":
        assert all(one.locked == 0 for one in account.balances)


def check_positions(engine: BacktestEngine) -> None:
    """The position is the sum of the fills, here and at the exchange."""
    net = sum((fill.quantity * fill.side.sign for fill in fills_of(engine)), D(0))
    assert engine.core.portfolio.net_position(PAIR.id) == net
    (exchange,) = engine.exchanges
    assert sum(exchange.held.quantities(), D(0)) == net
    positions = engine.core.cache.positions()
    if any(one.position_id[len("P-") :].count("-") > ORDER_ID_DASHES for one in positions):
        # A position kept apart was closed while the order that opened it still filled: its next one
        # (`P-ORDER-2`) is the exchange's first one again. Only the sum is compared then.
        return
    held = sorted(one.signed_quantity for one in engine.core.cache.positions_open())
    assert sorted(exchange.held.quantities()) == held


def fills_of(engine: BacktestEngine) -> list[e.OrderFilled]:
    """Return the fills of a run, in order."""
    records = engine.core.log.records()
    return [one.message for one in records if isinstance(one.message, e.OrderFilled)]

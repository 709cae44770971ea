"""Curves in one currency against the portfolio, asked at every event; several positions at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.engines.cache import Cache
from workbench.engines.portfolio import Portfolio
from workbench.engines.rates import Rates
from workbench.history import Timeline, load
from workbench.model.enums import OrderSide, PositionSide
from workbench.model.errors import ConfigError, PriceError
from workbench.model.events import AccountState, PositionClosed, PositionEvent, PositionOpened
from workbench.model.identifiers import AccountId, PositionId, StrategyId
from workbench.model.positions import Position
from workbench.research.equity import Curves
from workbench.research.rate_curves import converted, rate_curves

D = Decimal
PERP = wb.CryptoPerpetual.define("BTC/USDT-PERP.SIM", price_increment="0.01", taker_fee="0.001")
INVERSE = wb.CryptoPerpetual.define(
    "BTC/USD-PERP.SIM", price_increment="0.01", quantity_increment=1, is_inverse=True
)
COIN = wb.CurrencyPair.define("BTC/USDT.SIM", price_increment="0.01")
YEN = wb.CurrencyPair.define("USDT/JPY.SIM", price_increment="0.01")
EURO = wb.CurrencyPair.define("JPY/EUR.SIM", price_increment="0.0001")
STABLE: dict[str, Any] = {"USDT/USD": 1}


def quotes(instrument: wb.Instrument, count: int, seed: int, price: float, later_s: int = 0) -> Any:
    frame = wb.sample_quotes(count, seed=seed, start_price=price)
    return wb.quotes(frame.shift(freq=pd.Timedelta(seconds=later_s)), instrument)


class Trader(wb.Strategy):
    """Holds now a long, now a short of each perpetual."""

    def on_start(self) -> None:
        self.seen = 0
        self.subscribe_quotes(PERP.id)
        self.subscribe_quotes(INVERSE.id)

    def on_quote(self, quote: wb.Quote) -> None:
        self.seen += 1
        if self.seen % 5 == 0:
            side = "buy" if self.seen % 3 else "sell"
            self.submit_order(self.orders.market(quote.instrument_id, side, 1 + self.seen % 4))


class Bookkeeper(wb.Actor):
    """The reference: just after each time it asks the portfolio."""

    times: tuple[int, ...] = ()
    unit: str = "USD"

    def on_start(self) -> None:
        self.notes: dict[int, tuple[float, float]] = {}
        for ts in self.times:
            self.clock.set_alert(f"note {ts}", ts + 1, lambda event, ts=ts: self.note(ts))

    def note(self, ts: int) -> None:
        try:
            equity = float(self.portfolio.equity(currency=self.unit)[self.unit])
        except PriceError:
            equity = np.nan
        try:
            profit = float(self.portfolio.total_pnl(currency=self.unit)[self.unit])
        except PriceError:
            profit = np.nan
        self.notes[ts] = equity, profit


@pytest.mark.parametrize(
    ("unit", "fixed"), [("USD", STABLE), ("JPY", {}), ("EUR", {"BTC/EUR": 5}), ("USDT", STABLE)]
)
def test_equity_and_profit_in_one_currency_are_the_portfolios(
    unit: str, fixed: dict[str, Any]
) -> None:
    data = [
        quotes(PERP, 90, 1, 100.0),
        quotes(INVERSE, 80, 2, 90.0),
        quotes(COIN, 60, 3, 101.0, 7),
        quotes(YEN, 50, 4, 150.0, 11),
        quotes(EURO, 40, 5, 0.5, 20),
    ]
    times = sorted({ts for dataset in data for ts in dataset.ts.tolist()})

    class Fixing(Bookkeeper):
        def on_start(self) -> None:
            super().on_start()
            for name, rate in fixed.items():
                source, _, target = name.partition("/")
                self.portfolio.rates.fix(source, target, rate)

    keeper = Fixing(times=tuple(times), unit=unit)
    result = wb.backtest(
        [Trader(), keeper],
        data,
        instrument=[PERP, INVERSE, COIN, YEN, EURO],
        venue=wb.SimulatedVenue(starting_balances=["10_000 USDT", "3 BTC"]),
    )
    keeper.note(times[-1])
    assert len(result.fills) > 10
    equity, profit = result.equity_in(unit), result.profit_in(unit)
    assert equity.name == profit.name == unit
    assert [ts.value for ts in equity.index] == times
    for number, ts in enumerate(times):
        worth, gained = keeper.notes[ts]
        assert equity.iloc[number] == pytest.approx(worth, rel=1e-9, nan_ok=True)
        assert profit.iloc[number] == pytest.approx(gained, rel=1e-7, abs=1e-6, nan_ok=True)
    assert equity.notna().sum() > 50


def test_rates_are_given_to_the_result_and_a_missing_one_is_named() -> None:
    data = quotes(PERP, 60, 1, 100.0)
    result = wb.backtest(Trader(), data, instrument=[PERP, INVERSE])
    with pytest.raises(PriceError, match=r"no rate USDT/USD was known .* rates=\{'USDT/USD'"):
        result.equity_in("USD")
    doubled = result.equity_in("USD", rates={"USDT/USD": 2})
    assert doubled.to_numpy() == pytest.approx(2 * result.equity["USDT"].to_numpy())
    assert result.profit_in("USD", STABLE).iloc[-1] == result.profit["USDT"].iloc[-1]
    with pytest.raises(ConfigError, match="must be positive"):
        result.equity_in("USD", rates={"USDT/USD": -1})
    with pytest.raises(ConfigError, match=r"a mapping such as \{'USDT/USD': 1\}; got 5"):
        result.profit_in("USD", rates=5)  # type: ignore[arg-type]


def test_what_is_nothing_needs_no_rate() -> None:
    columns = {"XMR": np.array([0.0, 0.0]), "USD": np.array([1.0, 2.0])}
    rates = rate_curves([], lambda _: (np.zeros(2), np.zeros(2)), {}, "USD", 2)
    assert converted(columns, rates, "USD").tolist() == [1.0, 2.0]
    columns["XMR"][1] = 1.0
    with pytest.raises(PriceError, match="no rate XMR/USD was known at any time"):
        converted(columns, rates, "USD")


def test_rates_over_time_are_those_of_the_engines_at_each_time() -> None:
    """Every pair is known half of the time: each way is the shortest one of its moment."""
    names = (
        "AUD/USD.B",
        "AUD/USD.A",
        "USD/AUD.A",
        "AUD/JPY.A",
        "JPY/USD.A",
        "EUR/JPY.A",
        "EUR/CHF.A",
    )
    pairs = [wb.CurrencyPair.define(name, price_increment="0.0001") for name in names]
    count = 300
    random = np.random.default_rng(7)
    bids = {pair.id: random.integers(1, 90_000, count) / 10_000 for pair in pairs}
    for bid in bids.values():
        bid[random.random(count) < 0.5] = np.nan
    fixed = {"CHF/USD": D("1.25"), "USD/NZD": D(2)}
    curves = rate_curves(pairs, lambda p: (bids[p.id], bids[p.id]), fixed, "USD", count)
    cache = Cache()
    for pair in pairs:
        cache.add_instrument(pair)
    rates = Rates(cache, fixed)
    assert set(curves) == {"AUD", "CHF", "EUR", "JPY", "NZD", "USD"}
    for moment in range(count):
        for pair in pairs:
            bid = float(bids[pair.id][moment])
            cache.market(pair.id).quote = wb.Quote(pair.id, bid, bid, 1.0, 1.0, 1, 1)
        for code, curve in curves.items():
            rate = rates.rate(code, "USD")
            expected = np.nan if rate is None else float(rate)
            assert curve[moment] == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("instrument", [PERP, INVERSE])
def test_positions_side_by_side_are_each_closed_at_their_own_side(
    instrument: wb.Instrument,
) -> None:
    """HEDGING: two longs and a short of one strategy, one of them closed again."""
    data = quotes(instrument, 6, 3, 100.0)
    timeline = Timeline(load(data, [instrument]), None, None)
    cache = Cache()
    portfolio = Portfolio(cache)
    held: dict[str, Position] = {}
    events: list[PositionEvent] = []
    steps = [
        ("A", "buy", 3, "99"),
        ("B", "buy", 5, "102"),
        ("C", "sell", 4, "101"),
        ("A", "sell", 3, "98"),
    ]
    expected: list[float] = []
    for number, (name, side, size, at) in enumerate(steps):
        ts = int(data.ts[number])
        if name not in held:
            held[name] = Position(
                position_id=PositionId(name),
                strategy_id=StrategyId("S"),
                account_id=AccountId("SIM-PAPER"),
                instrument=instrument,
                entry=OrderSide(side),
            )
            cache.add_position(held[name])
        position = held[name]
        before = position.realized_pnl
        position.apply(OrderSide(side), D(size), D(at), D(1), ts)
        portfolio.add_realized(position, position.realized_pnl - before)
        kind = PositionOpened if position.is_open else PositionClosed
        ids: Any = {"client_order_id": "O", "side": PositionSide.FLAT}
        events.append(
            kind(
                **ids,
                position_id=position.position_id,
                strategy_id=position.strategy_id,
                instrument_id=instrument.id,
                account_id=position.account_id,
                signed_quantity=position.signed_quantity,
                average_open=position.average_open,
                average_close=position.average_close,
                realized_pnl=position.realized_pnl,
                currency=instrument.settlement_currency,
                ts_event=ts,
                ts_init=ts,
            )
        )
        quote = data.events(number, number + 1)[0]
        cache.market(instrument.id).quote = quote
        unit = instrument.settlement_currency.code
        open_profit = sum(
            p.unrealized_pnl(instrument.price(quote.bid if p.signed_quantity > 0 else quote.ask))
            for p in held.values()
        )
        expected.append(float(portfolio.realized_pnl()[unit] + open_profit))
    accounts: list[AccountState] = []
    curves = Curves(timeline, [instrument], accounts, events, int(data.ts[-1]))
    (column,) = curves.profit().to_dict("list").values()
    assert column[: len(steps)] == pytest.approx(expected, rel=1e-12)

"""Accounts as a backtest keeps them: one currency, hedged positions, leverage, fees set aside."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest

import workbench as wb
from workbench.model.errors import ConfigError
from workbench.sim.fee_models import FixedFeeModel, PerContractFeeModel

D = Decimal
YEN = wb.CurrencyPair.define("USD/JPY.SIM", price_increment="0.01", taker_fee="0.001")
EURO = wb.CurrencyPair.define("EUR/USD.SIM", price_increment="0.0001")
PERP = wb.CryptoPerpetual.define(
    "BTC/USDT-PERP.SIM", price_increment="0.01", margin_init="0.1", taker_fee="0.001"
)
SHARE = wb.Equity.define("ACME.SIM", taker_fee="0.01")


def quotes(instrument: wb.Instrument, *prices: float) -> Any:
    return [wb.Quote(instrument.id, p, p, 1e9, 1e9, ts, ts) for ts, p in enumerate(prices, 10**18)]


class Plan(wb.Strategy):
    """Sends one step of a plan at each quote of an instrument: side, quantity, options."""

    instrument_id: str = PERP.id
    steps: tuple[Any, ...] = ()

    def on_start(self) -> None:
        self.left = iter(self.steps)
        self.subscribe_quotes(self.instrument_id)

    def on_quote(self, quote: wb.Quote) -> None:
        side, quantity, options = next(self.left, ("", 0, {}))
        if side and "price" in options:
            self.submit_order(self.orders.limit(self.instrument_id, side, quantity, **options))
        elif side:
            self.submit_order(self.orders.market(self.instrument_id, side, quantity, **options))


def test_an_account_in_one_currency_converts_what_trading_brings_at_the_pairs_price() -> None:
    plan = Plan(instrument_id=YEN.id, steps=(("buy", 1000, {}), ("sell", 1000, {})))
    result = wb.backtest(
        plan,
        quotes(YEN, 100.0, 125.0, 125.0),
        instrument=YEN,
        venue=wb.SimulatedVenue(starting_balances="10_000 USD", base_currency="USD"),  # type: ignore[arg-type]
    )
    # 100 JPY of fee, then a profit of 25,000 less 125; the exchange sees a price before it trades.
    assert list(result.balances) == ["USD"]
    assert round(result.balances["USD"], 12) == 10_000 + D(-100) / 100 + D(25_000 - 125) / 125


def test_without_a_rate_the_profit_stays_in_its_own_currency() -> None:
    plan = Plan(steps=(("buy", 1, {}), ("sell", 1, {})))
    result = wb.backtest(
        plan,
        quotes(PERP, 100.0, 110.0, 110.0),
        instrument=PERP,
        venue=wb.SimulatedVenue(starting_balances="10_000 USD", base_currency="USD"),  # type: ignore[arg-type]
    )
    # Margin is asked in dollars, which needs the rate: the order is denied, and names the unit.
    assert result.balances == {"USD": D(10_000)}
    assert "USDT" in result.orders["reason"].iloc[0]


def test_a_fixed_rate_lets_the_account_trade() -> None:
    class Fixing(Plan):
        def on_start(self) -> None:
            super().on_start()
            self.portfolio.rates.fix("USDT", "USD", "0.5")

    result = wb.backtest(
        Fixing(steps=(("buy", 1, {}), ("sell", 1, {}))),
        quotes(PERP, 100.0, 110.0, 110.0),
        instrument=PERP,
        venue=wb.SimulatedVenue(starting_balances="10_000 USD", base_currency="USD"),  # type: ignore[arg-type]
    )
    assert result.balances == {"USD": D(10_000) + (D(10) - D("0.21")) / 2}


def test_a_cash_account_kept_in_one_currency_trades_no_pairs() -> None:
    with pytest.raises(ConfigError, match="a cash account kept in USD alone cannot hold both"):
        wb.backtest(
            Plan(),
            quotes(EURO, 1.0),
            instrument=EURO,
            venue=wb.SimulatedVenue(account_type="cash", base_currency="USD"),  # type: ignore[arg-type]
        )


HEDGED = (
    ("buy", 2, {}),
    ("sell", 3, {}),
    ("sell", 1, {"closes": 1}),
    ("buy", 1, {"closes": 2}),
    ("", 0, {}),
)


def test_hedged_positions_stand_side_by_side_and_the_balance_is_what_they_realised() -> None:
    class Hedger(Plan):
        """Closes parts of the long and of the short that its first two orders opened."""

        def on_start(self) -> None:
            super().on_start()
            self.names: list[str] = []

        def on_position_opened(self, event: wb.PositionOpened) -> None:
            self.names.append(event.position_id)

        def on_quote(self, quote: wb.Quote) -> None:
            side, quantity, options = next(self.left, ("", 0, {}))
            which = options.get("closes", 0)
            named = self.names[which - 1] if which else None
            if side:
                order = self.orders.market(PERP.id, side, quantity, position_id=named)
                self.submit_order(order)

    hedger = Hedger(steps=HEDGED)
    result = wb.backtest(
        hedger,
        quotes(PERP, 100.0, 110.0, 120.0, 130.0, 140.0),
        instrument=PERP,
        venue=wb.SimulatedVenue(starting_balances="10_000 USDT", order_management="hedging"),  # type: ignore[arg-type]
    )
    held = sorted(result.positions["quantity"].tolist())
    assert held == [D(-2), D(1)]
    fees = D("0.2") + D("0.33") + D("0.12") + D("0.13")
    assert result.balances["USDT"] == 10_000 + D(20) - D(20) - fees
    (margin,) = hedger.cache.accounts()[0].margins
    assert margin.initial == D(10) + D(22)
    # Long 1 from 100, short 2 from 110, at 140.
    assert result.summary["unrealized pnl USDT"] == D(40) - D(60)
    assert result.equity["USDT"].iloc[-1] == pytest.approx(10_000 - float(fees) - 20)


def test_an_instruments_own_leverage_divides_its_margin() -> None:
    plan = Plan(steps=(("buy", 10, {"price": "50"}),))
    result = wb.backtest(
        plan,
        quotes(PERP, 100.0, 100.0),
        instrument=PERP,
        venue=wb.SimulatedVenue(starting_balances="6 USDT", leverages={PERP.id: 10}),  # type: ignore[dict-item]
    )
    assert plan.cache.orders_open()
    assert plan.portfolio.locked("SIM") == {"USDT": D(5)}
    assert result.balances["USDT"] == 6


@pytest.mark.parametrize("leverages", [{PERP.id: "0.5"}, {PERP.id: "much"}, [5]])
def test_leverages_that_are_none_are_refused(leverages: Any) -> None:
    with pytest.raises(ConfigError, match="leverage"):
        wb.SimulatedVenue(leverages=leverages)


@pytest.mark.parametrize(
    ("venue", "locked"),
    [
        ({}, "1010.00"),
        ({"taker_fee": "0.02"}, "1020.00"),
        ({"fee_model": FixedFeeModel(commission="3 USD")}, "1003"),  # type: ignore[arg-type]
        ({"fee_model": FixedFeeModel(commission="3 EUR")}, "1000"),  # type: ignore[arg-type]
        ({"fee_model": PerContractFeeModel(commission="0.5 USD")}, "1005.0"),  # type: ignore[arg-type]
        ({"maker_fee": "-0.01", "taker_fee": 0}, "1000"),
    ],
)
def test_a_resting_cash_buy_sets_its_fee_aside(venue: dict[str, Any], locked: str) -> None:
    plan = Plan(instrument_id=SHARE.id, steps=(("buy", 10, {"price": 100}),))
    wb.backtest(
        plan,
        quotes(SHARE, 101.0, 101.0),
        instrument=SHARE,
        venue=wb.SimulatedVenue(account_type="cash", starting_balances="5000 USD", **venue),  # type: ignore[arg-type]
    )
    assert plan.portfolio.locked("SIM") == {"USD": D(locked)}


def test_two_venues_keep_two_accounts_and_the_portfolio_sums_them_in_one_currency() -> None:
    away = wb.CurrencyPair.define("EUR/USD.AWAY", price_increment="0.0001")
    plans = [
        Plan(steps=(("buy", 1, {}),)),
        Plan(instrument_id=away.id, steps=(("sell", 100, {}),)),
    ]
    data = list(itertools.chain(quotes(PERP, 100.0, 110.0), quotes(away, 1.5, 1.25)))
    result = wb.backtest(
        plans,
        data,
        instrument=[PERP, away],
        venue=[
            wb.SimulatedVenue(name="SIM", starting_balances="100 USDT"),  # type: ignore[arg-type]
            wb.SimulatedVenue(name="AWAY", starting_balances=["100 USD", "100 EUR"]),  # type: ignore[arg-type]
        ],
    )
    portfolio = plans[0].portfolio
    assert portfolio.equity("SIM") == {"USDT": D("109.9")}
    assert portfolio.equity("AWAY") == {"USD": D(125), "EUR": D(100)}
    assert portfolio.realized_pnl(account_id="SIM-PAPER") == {"USDT": D("-0.1")}
    assert portfolio.missing_rates("USD") == ["USDT/USD"]
    portfolio.rates.fix("USDT", "USD", 1)
    assert portfolio.equity(currency="USD") == {"USD": D("109.9") + 125 + 125}
    assert result.equity_in("USD", {"USDT/USD": 1}).iloc[-1] == pytest.approx(359.9)

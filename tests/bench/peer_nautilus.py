"""Work B in nautilus_trader 2.0.0rc6; run it with a Python that has it (and NumPy) installed."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from measuring import report
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType,
    Bar,
    BarType,
    BookType,
    Currency,
    CurrencyPair,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    Symbol,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig
from workloads import B_FEE, CrossRule, bars

COUNT, CASH = 500_000, 10_000_000
SIM = Venue("SIM")
USDT = Currency.from_str("USDT")


class Crosser(Strategy):
    """The rule, with one market order for each change."""

    def prepare(self, pair_id: InstrumentId, bar_type: BarType) -> Crosser:
        """Keep what `on_start` needs."""
        self.pair_id, self.bar_type = pair_id, bar_type
        self.rule = CrossRule()
        self.held = 0
        return self

    def on_start(self) -> None:
        """Subscribe."""
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Any) -> None:
        """Take the next bar."""
        target = self.rule.update(bar.close.as_double())
        if target is None or target == self.held:
            return
        change, self.held = target - self.held, target
        side = OrderSide.BUY if change > 0 else OrderSide.SELL
        quantity = Quantity.from_int(abs(change))
        self.submit_order(self.order_factory.market(self.pair_id, side, quantity))


def main() -> None:
    """Run it once."""
    pair = CurrencyPair(
        instrument_id=InstrumentId(Symbol("BTC/USDT"), SIM),
        raw_symbol=Symbol("BTC/USDT"),
        base_currency=Currency.from_str("BTC"),
        quote_currency=USDT,
        price_precision=2,
        size_precision=0,
        price_increment=Price(0.01, 2),
        size_increment=Quantity.from_int(1),
        margin_init=Decimal("0.03"),
        margin_maint=Decimal("0.03"),
        ts_event=0,
        ts_init=0,
    )
    bar_type = BarType.from_str(f"{pair.id}-1-MINUTE-LAST-EXTERNAL")
    arrays = bars(COUNT)
    names = ("open", "high", "low", "close", "volume", "time")
    rows = zip(*(arrays[name].tolist() for name in names), strict=True)
    events = [
        Bar(bar_type, *(Price(price, 2) for price in prices), Quantity(volume, 0), time_ns, time_ns)
        for *prices, volume, time_ns in rows
    ]
    quiet = LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True)
    engine = BacktestEngine(
        BacktestEngineConfig(bypass_logging=True, run_analysis=False, logging=quiet)
    )
    fee = Decimal(B_FEE)
    engine.add_venue(
        venue=SIM,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        starting_balances=[Money(CASH, USDT)],
        book_type=BookType.L1_MBP,
        fee_model=MakerTakerFeeModel(fee, fee),
    )
    engine.add_instrument(pair)
    engine.add_data(events)
    strategy = Crosser(StrategyConfig()).prepare(pair.id, bar_type)
    engine.add_strategy(strategy)
    began = time.perf_counter()
    engine.run()
    seconds = time.perf_counter() - began
    last = Price(float(arrays["close"][-1]), 2)
    pnl = engine.cache.account_for_venue(SIM).balance_total(USDT).as_double() - CASH
    pnl += sum(p.unrealized_pnl(last).as_double() for p in engine.cache.positions_open())
    orders = len(engine.cache.orders())
    report(events=COUNT, seconds=seconds, orders=orders, pnl=round(pnl, 2))


if __name__ == "__main__":
    main()

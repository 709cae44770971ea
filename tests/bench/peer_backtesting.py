"""Work B in backtesting.py; run it with a Python that has `backtesting` installed."""

from __future__ import annotations

import time
import warnings

import pandas as pd
from backtesting import Backtest, Strategy
from measuring import report
from workloads import B_FEE, CrossRule, bars

CASH = 10_000_000.0
COUNT = 500_000


class Crosser(Strategy):
    """Its `next` begins with the second bar, so the rule takes the first one in `init`."""

    sent = 0

    def init(self) -> None:
        """Begin the rule."""
        self.rule = CrossRule()
        self.rule.update(float(self.data.df["Close"].iloc[0]))
        self.held = 0

    def next(self) -> None:
        """Take the next bar."""
        target = self.rule.update(self.data.Close[-1])
        if target is None or target == self.held:
            return
        change, self.held = target - self.held, target
        Crosser.sent += 1
        if change > 0:
            self.buy(size=change)
        else:
            self.sell(size=-change)


def main() -> None:
    """Run it once."""
    warnings.filterwarnings("ignore")
    arrays = bars(COUNT)
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name.capitalize(): arrays[name] for name in names})
    frame.index = pd.to_datetime(arrays["time"])
    test = Backtest(
        frame, Crosser, cash=CASH, commission=float(B_FEE), exclusive_orders=False, hedging=False
    )
    began = time.perf_counter()
    outcome = test.run()
    seconds = time.perf_counter() - began
    pnl = outcome["Equity Final [$]"] - CASH
    report(events=COUNT, seconds=seconds, orders=Crosser.sent, pnl=round(float(pnl), 2))


if __name__ == "__main__":
    main()

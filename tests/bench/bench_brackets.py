"""A day of quotes with brackets: `python tests/bench/bench_brackets.py [--rounds 5]`.

Work A's 1,000,000 quotes; every 50th sends a bracket that buys at the market with a take-profit and
a stop-loss 5 ticks away, 20,000 in all. Some 50 brackets, 100 orders, rest at a time. Each run is a
process of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from measuring import interleaved, median, report
from workloads import A_FEE, quotes

COUNT, EVERY, SIZE, AWAY = 1_000_000, 50, 1_000, 0.00005


def run(every: int) -> None:
    """Run the quotes with a bracket at every so manieth, 0 for none; report the figures."""
    import workbench as wb
    from workbench.history import Timeline, load
    from workbench.sim import BacktestEngine

    pair = wb.CurrencyPair.define(
        "AUD/USD.SIM", price_increment="0.00001", maker_fee=A_FEE, taker_fee=A_FEE
    )

    class Brackets(wb.Strategy):
        def on_start(self) -> None:
            self.count = 0
            self.pair_id = self.instrument.id
            self.subscribe_quotes(self.pair_id)

        def on_quote(self, quote: Any) -> None:
            self.count += 1
            if every and self.count % every == 0:
                tick = self.instrument.price
                self.submit_order_list(
                    self.orders.bracket(
                        self.pair_id,
                        "buy",
                        SIZE,
                        stop_loss=tick(quote.bid - AWAY),
                        take_profit=tick(quote.ask + AWAY),
                    )
                )

    arrays = quotes(COUNT)
    columns = [arrays[name].tolist() for name in ("bid", "ask", "bid_size", "ask_size", "time")]
    data = [wb.Quote(pair.id, b, a, bs, s, t, t) for b, a, bs, s, t in zip(*columns, strict=True)]
    venue = wb.SimulatedVenue(starting_balances="10_000_000 USD")
    engine = BacktestEngine(
        Timeline(load(data, [pair])),
        [pair],
        [venue.for_instruments([pair])],
        [Brackets()],
        run_tag="bench",
        limits=wb.RiskLimits(orders=1_000_000),
    )
    began = time.perf_counter()
    engine.run()
    seconds = time.perf_counter() - began
    orders = engine.core.cache.orders()
    states: dict[str, int] = {}
    for order in orders:
        states[order.status.value] = states.get(order.status.value, 0) + 1
    pnl = sum(engine.core.portfolio.total_pnl().values())
    report(
        events=engine.events_handled,
        seconds=seconds,
        orders=len(orders),
        states=states,
        pnl=round(float(pnl), 2),
    )


def main() -> None:
    """Run one work, or the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, metavar="EVERY")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.one is not None:
        run(arguments.one)
        return
    me = [sys.executable, str(Path(__file__).resolve()), "--one"]
    runs = interleaved({"quotes": [*me, "0"], "brackets": [*me, str(EVERY)]}, arguments.rounds)
    print("\n| what | events/s | orders | µs an order | PnL | peak MB |")
    print("|---|---:|---:|---:|---:|---:|")
    plain = median(runs["quotes"], "seconds")
    for name, rows in runs.items():
        seconds, count = median(rows, "seconds"), rows[-1]["orders"]
        each = f"{(seconds - plain) / count * 1e6:.1f}" if count else ""
        print(
            f"| {name} | {rows[-1]['events'] / seconds:,.0f} | {count:,} | {each} |"
            f" {rows[-1]['pnl']:,.2f} | {median(rows, 'peak_mb'):,.0f} |"
        )
    print(f"\norders by status: {runs['brackets'][-1]['states']}")


if __name__ == "__main__":
    main()

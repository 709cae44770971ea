"""Works A and B: `python tests/bench/bench_backtest.py [--rounds 5] [--peer NAME=PYTHON ...]`.

Each run is a process of its own, and the rounds are interleaved. A peer is compared where a Python
that has it installed is given: `--peer nautilus=/path/to/python`, `--peer backtesting=...`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from measuring import interleaved, median, ratio, report
from workloads import A_EVERY, A_FEE, A_SIZE, B_FEE, CrossRule, bars, quotes

HERE = Path(__file__).resolve()
A_COUNT, B_COUNT = 1_000_000, 500_000


def bare_quotes() -> None:
    """Work A in a plain loop: no clock, no book, no account."""
    import workbench as wb

    arrays = quotes(A_COUNT)
    columns = [arrays[name].tolist() for name in ("bid", "ask", "bid_size", "ask_size", "time")]
    events = [
        wb.Quote("AUD/USD.SIM", b, a, bs, s, t, t) for b, a, bs, s, t in zip(*columns, strict=True)
    ]

    class Counter:
        def __init__(self) -> None:
            self.count = 0
            self.fills: list[tuple[int, float]] = []

        def on_quote(self, quote: Any) -> None:
            self.count += 1
            if self.count % A_EVERY == 0:
                buys = (self.count // A_EVERY) % 2
                self.fills.append((A_SIZE, quote.ask) if buys else (-A_SIZE, quote.bid))

    counter = Counter()
    callback = counter.on_quote
    began = time.perf_counter()
    for event in events:
        callback(event)
    seconds = time.perf_counter() - began
    _report_bare(A_COUNT, seconds, counter.fills, float(A_FEE), events[-1].bid)


def bare_bars() -> None:
    """Work B in a plain loop."""
    import workbench as wb

    arrays = bars(B_COUNT)
    names = ("open", "high", "low", "close", "volume", "time")
    columns = [arrays[name].tolist() for name in names]
    kind = wb.BarType.parse("BTC/USDT.SIM-1-minute-last")
    events = [wb.Bar(kind, *row, row[-1]) for row in zip(*columns, strict=True)]

    class Crosser:
        def __init__(self) -> None:
            self.rule = CrossRule()
            self.position = 0
            self.fills: list[tuple[int, float]] = []

        def on_bar(self, bar: Any) -> None:
            target = self.rule.update(bar.close)
            if target is not None and target != self.position:
                self.fills.append((target - self.position, bar.close))
                self.position = target

    crosser = Crosser()
    callback = crosser.on_bar
    began = time.perf_counter()
    for event in events:
        callback(event)
    seconds = time.perf_counter() - began
    _report_bare(B_COUNT, seconds, crosser.fills, float(B_FEE), events[-1].close)


def _report_bare(
    events: int, seconds: float, fills: list[tuple[int, float]], fee: float, last: float
) -> None:
    cash = sum(-size * price - abs(size) * price * fee for size, price in fills)
    held = sum(size for size, _ in fills)
    pnl = cash + held * last
    report(events=events, seconds=seconds, orders=len(fills), pnl=round(pnl, 2))


def workbench_quotes(from_arrays: bool, round_money: bool = False) -> None:
    """Work A in workbench, over ready-made quotes or from arrays (construction included)."""
    import workbench as wb
    from workbench.history import Timeline, load
    from workbench.sim import BacktestEngine

    pair = wb.CurrencyPair.define(
        "AUD/USD.SIM", price_increment="0.00001", maker_fee=A_FEE, taker_fee=A_FEE
    )

    class Counter(wb.Strategy):
        def on_start(self) -> None:
            self.count = 0
            self.pair_id = self.instrument.id
            self.subscribe_quotes(self.pair_id)

        def on_quote(self, quote: Any) -> None:
            self.count += 1
            if self.count % A_EVERY == 0:
                side = "buy" if (self.count // A_EVERY) % 2 else "sell"
                self.submit_order(self.orders.market(self.pair_id, side, A_SIZE))

    data: Any = quotes(A_COUNT)
    began = time.perf_counter()
    if not from_arrays:
        names = ("bid", "ask", "bid_size", "ask_size", "time")
        columns = [data[name].tolist() for name in names]
        data = [
            wb.Quote(pair.id, b, a, bs, s, t, t) for b, a, bs, s, t in zip(*columns, strict=True)
        ]
    venue = wb.SimulatedVenue(starting_balances="10_000_000 USD", round_money=round_money)
    timeline = Timeline(load(data, [pair]))
    engine = BacktestEngine(
        timeline, [pair], [venue.for_instruments([pair])], [Counter()], run_tag="bench"
    )
    if not from_arrays:
        began = time.perf_counter()
    engine.run()
    _report_engine(engine, time.perf_counter() - began)


def workbench_bars() -> None:
    """Work B in workbench, over ready-made bars."""
    import workbench as wb
    from workbench.history import Timeline, load
    from workbench.sim import BacktestEngine

    pair = wb.CurrencyPair.define(
        "BTC/USDT.SIM", price_increment="0.01", maker_fee=B_FEE, taker_fee=B_FEE
    )
    kind = wb.BarType.parse("BTC/USDT.SIM-1-minute-last")

    class Crosser(wb.Strategy):
        def on_start(self) -> None:
            self.rule = CrossRule()
            self.held = 0
            self.pair_id = self.instrument.id
            self.subscribe_bars(kind)

        def on_bar(self, bar: Any) -> None:
            target = self.rule.update(bar.close)
            if target is not None and target != self.held:
                side = "buy" if target > self.held else "sell"
                size = abs(target - self.held)
                self.held = target
                self.submit_order(self.orders.market(self.pair_id, side, size))

    arrays = bars(B_COUNT)
    names = ("open", "high", "low", "close", "volume", "time")
    columns = [arrays[name].tolist() for name in names]
    events = [wb.Bar(kind, *row, row[-1]) for row in zip(*columns, strict=True)]
    venue = wb.SimulatedVenue(starting_balances="10_000_000 USDT")
    engine = BacktestEngine(
        Timeline(load(events, [pair])),
        [pair],
        [venue.for_instruments([pair])],
        [Crosser()],
        run_tag="bench",
    )
    began = time.perf_counter()
    engine.run()
    _report_engine(engine, time.perf_counter() - began)


def _report_engine(engine: Any, seconds: float) -> None:
    pnl = sum(engine.core.portfolio.total_pnl().values())
    orders = len(engine.core.cache.orders())
    report(events=engine.events_handled, seconds=seconds, orders=orders, pnl=round(float(pnl), 2))


ONE = {
    "bare-quotes": bare_quotes,
    "bare-bars": bare_bars,
    "quotes": lambda: workbench_quotes(from_arrays=False),
    "quotes-from-arrays": lambda: workbench_quotes(from_arrays=True),
    "quotes-round-money": lambda: workbench_quotes(from_arrays=False, round_money=True),
    "bars": workbench_bars,
}


def compare(rounds: int, peers: dict[str, str]) -> None:
    """Run everything interleaved and print a table of medians and ratios."""
    commands = {name: [sys.executable, str(HERE), "--one", name] for name in ONE}
    for name, python in peers.items():
        commands[f"{name}-bars"] = [python, str(HERE.parent / f"peer_{name}.py")]
    runs = interleaved(commands, rounds)
    base = {name: "bare-bars" if name.endswith("bars") else "bare-quotes" for name in runs}
    print("\n| what | events/s | × bare loop | orders | PnL | peak MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, rows in runs.items():
        events = median(rows, "events") / median(rows, "seconds")
        times = ratio(rows, runs[base[name]], "seconds")
        last = rows[-1]
        print(
            f"| {name} | {events:,.0f} | {times:.2f} | {last['orders']:,} | {last['pnl']:,.2f} |"
            f" {median(rows, 'peak_mb'):,.0f} |"
        )
    for name in peers:
        faster = ratio(runs[f"{name}-bars"], runs["bars"], "seconds")
        print(f"\nbars: {faster:.2f} times as fast as {name}")


def main() -> None:
    """Run one work, or compare all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", choices=ONE)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    arguments = parser.parse_args()
    if arguments.one:
        ONE[arguments.one]()
    else:
        compare(arguments.rounds, dict(one.split("=", 1) for one in arguments.peer))


if __name__ == "__main__":
    main()

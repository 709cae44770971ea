"""Cost of an order by how many positions were closed before: `bench_closed_positions.py`.

Each run is a process of its own: so many round trips (a market order opens, another one closes) at
a simulated exchange, then as many as are timed. With `--purge` what was closed is forgotten on the
way, as in a node that runs for months. Times are those of the processor; the garbage collector
runs.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

from measuring import interleaved, median, ratio, report

HERE = Path(__file__).resolve()
LEVELS = (10, 1_000, 100_000)
TIMED = 1_000  # round trips
PURGE_EVERY = 1_000
LOG_LIMIT = 20_000


def run(closed: int, purge: bool) -> None:
    """Close so many positions, then time more of them."""
    warm_up()
    engine, trips = make()
    # What was imported is not what is measured: only what orders leave is examined.
    gc.collect()
    gc.freeze()
    memory_before = _resident_mb()
    trips(closed, purge)
    grown_mb = _resident_mb() - memory_before
    began = time.process_time()
    trips(TIMED, purge)
    seconds = time.process_time() - began
    cache = engine.core.cache
    report(
        closed=closed,
        purge=purge,
        orders=2 * TIMED,
        us_an_order=round(seconds / (2 * TIMED) * 1e6, 2),
        bytes_a_round_trip=round(grown_mb * 2**20 / closed) if closed > 10_000 else None,
        kept=len(cache.orders()),
        realized=str(engine.core.portfolio.realized_pnl()["USD"]),
    )


def warm_up() -> None:
    """Have every path taken before anything is timed."""
    _, trips = make()
    trips(500, purge=True)


def make() -> tuple[Any, Any]:
    """Return a backtest that goes on when it is told to, and what tells it to do round trips."""
    import workbench as wb
    from workbench.history import Timeline, load
    from workbench.sim import BacktestEngine

    pair = wb.CurrencyPair.define("AUD/USD.SIM", price_increment="0.00001", taker_fee="0.00002")
    quote = wb.Quote(pair.id, 0.7, 0.70001, 1e6, 1e6, 1, 1)

    class Idle(wb.Strategy):
        """Sends what it is told to."""

    strategy = Idle()
    venue = wb.SimulatedVenue(starting_balances="10_000_000 USD")
    engine = BacktestEngine(
        Timeline(load([quote], [pair])),
        [pair],
        [venue.for_instruments([pair])],
        [strategy],
        run_tag="bench",
        limits=wb.RiskLimits(orders=10**9),
    )
    core = engine.core
    engine._connect()  # the run is driven from here
    core.log._records = deque(maxlen=LOG_LIMIT)  # as in a node with a `log_limit`
    core.cache.add_instrument(pair)
    core.start_actors()
    for exchange in engine.exchanges:
        exchange.process(quote)
    core.cache.market(pair.id).quote = quote
    done = 0

    def trips(more: int, purge: bool) -> None:
        nonlocal done
        for _ in range(more):
            for side in ("buy", "sell"):
                strategy.submit_order(strategy.orders.market(pair.id, side, 1_000))
                core.dispatcher.drain()
            done += 1
            if purge and done % PURGE_EVERY == 0:
                core.purge(core.clock.timestamp_ns() + 1)

    return engine, trips


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def compare(rounds: int) -> None:
    """Run every level interleaved and print medians and ratios."""
    base = [sys.executable, str(HERE), "--one"]
    commands = {f"{level:,} kept": [*base, str(level)] for level in LEVELS}
    last = f"{LEVELS[-1]:,} forgotten"
    commands[last] = [*base, str(LEVELS[-1]), "--purge"]
    runs = interleaved(commands, rounds)
    first = next(iter(runs.values()))
    print("\n| closed positions | µs an order | × the first | bytes a round trip | peak MB |")
    print("|---|---:|---:|---:|---:|")
    for name, rows in runs.items():
        grown = rows[-1]["bytes_a_round_trip"]
        size = "" if grown is None else f"{median(rows, 'bytes_a_round_trip'):,.0f}"
        print(
            f"| {name} | {median(rows, 'us_an_order'):.1f} |"
            f" {ratio(rows, first, 'us_an_order'):.2f} | {size} |"
            f" {median(rows, 'peak_mb'):,.0f} |"
        )


def main() -> None:
    """Run one level, or compare all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, metavar="CLOSED")
    parser.add_argument("--purge", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.one is None:
        compare(arguments.rounds)
    else:
        run(arguments.one, arguments.purge)


if __name__ == "__main__":
    main()

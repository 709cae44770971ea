"""What a shadow costs a node: `python tests/bench/bench_shadow.py [--rounds 5]`.

A core with a real execution client (that fills each order at once, in this process) handles 200,000
quotes, and an order on every tenth of 20,000 more, with and without a shadow beside the client:
CPU microseconds for a quote, and for all the messages of an order. Each run is a process of its
own, and the rounds are interleaved.
"""

from __future__ import annotations

import argparse
import sys
import time
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from measuring import interleaved, median, report

QUOTES = 200_000
MORE = 20_000
EVERY = 10


def core_of(*, has_shadow: bool) -> Any:
    """Return a core with a strategy, a real client and maybe a shadow."""
    import workbench as wb
    from tests.node_fakes import PAIR, Feed, Market
    from workbench.model.identifiers import Venue
    from workbench.node.clients import BuildContext
    from workbench.node.shadow import Shadow
    from workbench.runtime.clock import LiveClock
    from workbench.runtime.runner import AsyncRunner
    from workbench.trading.core import TradingCore

    class Buyer(wb.Strategy):
        """Trades when told to."""

        def on_start(self) -> None:
            """Listen."""
            self.every = 0
            self.count = 0
            self.subscribe_quotes(PAIR.id)

        def on_quote(self, quote: wb.Quote) -> None:
            """Trade on some."""
            self.count += 1
            if self.every and self.count % self.every == 0:
                side = "buy" if self.count % (2 * self.every) else "sell"
                self.submit_order(self.orders.limit(PAIR.id, side, 1, price=quote.ask))

    runner = AsyncRunner()
    clock = LiveClock(runner.senders.time_event.send)
    with runner.bound():
        channels = runner.take_channels()
        core = TradingCore(
            *(clock, channels, runner.senders),
            run_tag="1",
            limits=wb.RiskLimits(orders=1_000_000),
            log_limit=1000,
        )
        see = core.dispatcher.before_data.append
        context = BuildContext(clock, channels, core.senders, see, print)
        core.data.add_client(Feed()(context))
        market = Market(is_simulated=False)
        core.execution.add_client(market(context))
        core.senders.data_event.send(PAIR)
        core.senders.exec_event.send(market.client.account())
        core.dispatcher.flush()
        core.dispatcher.drain()
        if has_shadow:
            Shadow(core, [wb.SimulatedVenue(name=Venue("SIM"))]).attach()
        strategy = Buyer()
        core.add_actor(strategy)
        core.start_actors()
    return core, strategy


def handled(core: Any, count: int) -> float:
    """Handle so many quotes, and return the seconds."""
    import workbench as wb
    from tests.node_fakes import PAIR

    quotes = [
        wb.Quote(PAIR.id, 100.0 + n % 7 * 0.01, 100.02 + n % 7 * 0.01, 1000.0, 1000.0, n, n)
        for n in range(count)
    ]
    dispatcher = core.dispatcher
    with localcontext() as context:
        context.prec = 28
        began = time.process_time()
        for quote in quotes:
            dispatcher.handle_data(quote)
            dispatcher.drain()
        return time.process_time() - began


def run(mode: str) -> None:
    """Handle quotes, then quotes and orders, and report the figures."""
    core, strategy = core_of(has_shadow=mode == "shadow")
    handled(core, 10_000)
    quote_us = handled(core, QUOTES) / QUOTES * 1e6
    strategy.every = EVERY
    seconds = handled(core, MORE)
    orders = len(core.cache.orders())
    assert orders == MORE // EVERY, orders
    unfilled = [one for one in core.cache.orders() if one.filled_quantity != Decimal(1)]
    assert not unfilled, (len(unfilled), unfilled[0].reason)
    order_us = (seconds * 1e6 - MORE * quote_us) / orders
    report(mode=mode, quote_us=round(quote_us, 3), order_us=round(order_us, 1))


def main() -> None:
    """Compare with and without, or do one run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--run", choices=("bare", "shadow"))
    given = parser.parse_args()
    if given.run:
        run(given.run)
        return
    commands = {mode: [sys.executable, __file__, "--run", mode] for mode in ("bare", "shadow")}
    runs = interleaved(commands, given.rounds)
    for key in ("quote_us", "order_us"):
        figures = "  ".join(f"{mode} {median(rows, key):9.2f}" for mode, rows in runs.items())
        print(f"{key:9} {figures}")


if __name__ == "__main__":
    main()
